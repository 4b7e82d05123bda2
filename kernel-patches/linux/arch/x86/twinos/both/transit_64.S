/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The few instructions that belong to neither kernel. The leading kernel copies them into the
 * shared area, which both kernels map in the slot of the coexisting OS; so the instruction after
 * the load of CR3 is the same instruction at the same address in the other kernel's address space.
 *
 * From before that load until the kernel that is resumed has loaded its own, the descriptor tables
 * are those at the end of this file: neither kernel's exception handlers would find their stack and
 * their data. Interrupts are off; an NMI or a machine check is noted in the shared page, and raised
 * again by the kernel that is resumed (twinos_switch_cpu_state()).
 *
 * The code is position-independent and never runs where it is linked, hence the section.
 */
#include <linux/linkage.h>
#include <linux/objtool.h>
#include <asm/asm.h>
#include <asm/cpufeatures.h>
#include <asm/irq_vectors.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>
#include <asm/processor-flags.h>
#include <asm/trapnr.h>
#include <twinos/abi.h>
#include "twinos-asm-offsets.h"

	.section .rodata, "a"
	.balign 16

/* What is at @offset of the shared area, wherever that is mapped. */
#define AREA(offset)	(twinos_transit_start - TWINOS_TRANSIT_OFFSET + (offset))(%rip)
#define SHARED(field)	AREA(TWINOS_SHARED_OFFSET + (field))
#define COMMON(field)	AREA(TWINOS_COMMON_OFFSET + (field))

/*
 * twinos_transit - leave one kernel and continue in the other
 *
 * In:	%rdi	struct twinos_transit of the OS that leaves, filled here
 *	%rsi	struct twinos_transit of the OS that is resumed
 *	both virtual, in the shared area; interrupts off
 *
 * Returns to the caller of the OS that is resumed, with its callee-saved
 * registers and flags; caller-saved registers are lost. GDTR and IDTR are
 * those of this page, TR, LDTR, segment bases and MSRs still those of the OS
 * that left.
 */
	.macro	SAVE_TRANSIT
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	pushfq
	movq	%rsp, TRANSIT_rsp(%rdi)
	movq	%cr3, %rax
	movq	%rax, TRANSIT_cr3(%rdi)
	movq	%cr4, %rax
	movq	%rax, TRANSIT_cr4(%rdi)
	movq	%cr0, %r10
	movq	%r10, TRANSIT_cr0(%rdi)
	.endm

SYM_DATA_START(twinos_transit_start)
	endbr64
	SAVE_TRANSIT

	/*
	 * The IDT first: with a GDT as small as this one, the handlers of the kernel would not find
	 * out which CPU they are on.
	 */
.Lenter:
	lidt	twinos_transit_idtr(%rip)
	lgdt	twinos_transit_gdtr(%rip)
	leaq	AREA(TWINOS_TRANSIT_STACK_TOP), %rsp
	cmpl	$0, COMMON(COMMON_crashed)
	jne	.Lhalt

	/*
	 * Enter the address space of %rsi. Clearing CR4.PGE drops every TLB entry, global ones and
	 * those of all PCIDs included (Intel SDM 3A, 4.10.4.1); both kernels use the same virtual
	 * addresses. CR4.PCIDE may only be set while the PCID in CR3 is zero (3A, 4.10.1).
	 */
	movq	TRANSIT_cr4(%rsi), %rdx
	movq	TRANSIT_cr3(%rsi), %rax
	movq	TRANSIT_cr0(%rsi), %r9
	movq	%rdx, %rcx
	andq	$~(X86_CR4_PGE | X86_CR4_PCIDE), %rcx
	movq	%rcx, %cr4
	btl	$X86_CR4_PCIDE_BIT, %edx
	jc	.Lpcid
	movq	%rax, %cr3
.Lentered:
	movq	%rdx, %cr4
	cmpq	%r9, %r10
	jne	.Lcr0
.Lstack:
	movq	TRANSIT_rsp(%rsi), %rsp
	popfq
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret
	int3

.Lcr0:
	movq	%r9, %cr0
	jmp	.Lstack

.Lpcid:
	movq	%rax, %r8
	andq	$~0xfff, %r8
	btrq	$63, %r8
	movq	%r8, %cr3
	btsq	$X86_CR4_PCIDE_BIT, %rcx
	movq	%rcx, %cr4
	movq	%rax, %cr3
	jmp	.Lentered

/* Handlers of an NMI and of a machine check. All registers are kept. */
	.balign 16
SYM_DATA_START(twinos_transit_nmi)
	endbr64
	orl	$TWINOS_NOTED_NMI, SHARED(SHARED_noted)
	jmp	.Lgo_on
	.balign 16
SYM_DATA_START(twinos_transit_mce)
	endbr64
	orl	$TWINOS_NOTED_MCE, SHARED(SHARED_noted)
	/*
	 * Go on without an IRET, which would let the next NMI in too early: the address to return
	 * to is put below the interrupted stack pointer, where the frame begins (with SS, which is
	 * not needed, or padding).
	 */
.Lgo_on:
	pushq	%rax
	pushq	%rbx
	movq	16(%rsp), %rax		/* RIP */
	movq	40(%rsp), %rbx		/* RSP */
	leaq	-8(%rbx), %rbx
	movq	%rax, (%rbx)
	movq	%rbx, 40(%rsp)
	popq	%rbx
	popq	%rax
	leaq	16(%rsp), %rsp
	popfq
	popq	%rsp
	ret
	int3

/*
 * twinos_abandon - give the CPU back to the leading OS for good
 *
 * In:	%rdi	struct twinos_shared, virtual
 *	%esi	enum twinos_state that the coexisting OS ends in
 *
 * May be jumped to from any 64-bit state in which the shared area is mapped
 * in this slot, with or without a stack, even from an NMI handler. Does not
 * return.
 */
	.balign 16
SYM_DATA_START(twinos_abandon_start)
	endbr64
	cli
	movl	%esi, SHARED_state(%rdi)
	leaq	SHARED_leading(%rdi), %rsi
	movq	%cr0, %r10
	jmp	.Lenter

/*
 * twinos_leave - the same for an OS on CPUs of its own
 *
 * In:	as twinos_abandon
 *
 * Tells the leading OS, and waits for its INIT. Stays in this page, which is nobody's but the two
 * kernels'; the local APIC need not be enabled.
 */
	.balign 16
SYM_DATA_START(twinos_leave_start)
	endbr64
	cli
	movl	%esi, SHARED_state(%rdi)
	movl	$1, (TWINOS_COMMON_OFFSET - TWINOS_SHARED_OFFSET + COMMON_doorbell)(%rdi)
	movl	SHARED_leading_apic(%rdi), %esi
	movl	$MSR_IA32_APICBASE, %ecx
	rdmsr
	testl	$APICBASE_X2APIC, %eax
	jnz	.Lx2apic
	/* An IPI that this CPU was about to send goes first. */
	movl	$0x10000, %ecx
.Lbusy:
	testl	$APIC_ICR_BUSY_BIT, (LAPIC_ICR - TWINOS_SHARED_OFFSET)(%rdi)
	jz	.Lidle
	pause
	loop	.Lbusy
.Lidle:
	shll	$24, %esi
	movl	%esi, (LAPIC_ICR2 - TWINOS_SHARED_OFFSET)(%rdi)
	movl	$X86_PLATFORM_IPI_VECTOR, (LAPIC_ICR - TWINOS_SHARED_OFFSET)(%rdi)
.Lhalt:
	hlt
	jmp	.Lhalt
.Lx2apic:
	/* A write of this MSR waits for no store (Intel SDM 3A, 11.12.3). */
	mfence
	lfence
	movl	$MSR_X2APIC_ICR, %ecx
	movl	%esi, %edx
	movl	$X86_PLATFORM_IPI_VECTOR, %eax
	wrmsr
	jmp	.Lhalt

/*
 * twinos_park - save the CPU state as twinos_transit does, and wait
 *
 * In:	%rdi	struct twinos_transit of the OS that leaves, virtual
 *
 * Returns where twinos_enter continues it.
 */
	.balign 16
SYM_DATA_START(twinos_park_start)
	endbr64
	SAVE_TRANSIT
	lidt	twinos_transit_idtr(%rip)
	lgdt	twinos_transit_gdtr(%rip)
	leaq	AREA(TWINOS_TRANSIT_STACK_TOP), %rsp
	movl	$1, SHARED(SHARED_parked)
	jmp	.Lhalt

/*
 * twinos_enter - continue in another kernel without a way back
 *
 * In:	%rsi	struct twinos_transit, virtual, valid in both address spaces
 */
	.balign 16
SYM_DATA_START(twinos_enter_start)
	endbr64
	movq	%cr0, %r10
	jmp	.Lenter

/*
 * The descriptor tables. The selectors are those of every x86-64 Linux, and the descriptors are
 * marked as accessed, so that the CPU writes nothing here. twinos_write_transit() fills in what
 * depends on the address.
 */
	.balign 16
SYM_DATA_START(twinos_transit_gdt)
	.quad	0
	.quad	0
	.quad	0x00af9b000000ffff	/* __KERNEL_CS */
	.quad	0x00cf93000000ffff	/* __KERNEL_DS */
	.balign 16
SYM_DATA_START(twinos_transit_idt)
	.fill	2 * (X86_TRAP_MC + 1), 8, 0
	.balign 8
	.skip	6
SYM_DATA_START(twinos_transit_gdtr)
	.word	. - twinos_transit_gdt
	.quad	0
	.skip	6
SYM_DATA_START(twinos_transit_idtr)
	.word	0
	.quad	0
SYM_DATA(twinos_transit_end, .byte 0xcc)

/*
 * void twinos_refill_rsb(void) - forget the return addresses of the other OS
 *
 * What __switch_to_asm does between two processes. Of the kernel itself; may use per-CPU data.
 */
	.section .noinstr.text, "ax"
SYM_FUNC_START(twinos_refill_rsb)
	FILL_RETURN_BUFFER %rax, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_CTXSW
	RET
SYM_FUNC_END(twinos_refill_rsb)
