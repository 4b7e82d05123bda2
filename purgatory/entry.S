/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The TwinOS purgatory: the few instructions between the leading kernel and
 * the coexisting one. It replaces the descriptor tables, which are still the
 * leading OS's, and jumps to the kernel that kexec has put into the window.
 * From its first lines until that kernel loads an IDT of its own, an exception
 * or NMI ends the coexisting OS with a reason instead of the machine.
 *
 * Nothing is verified here: that was done when loading, and the launch is what
 * the leading OS waits for.
 *
 * In:	long mode, paging on, the window mapped to itself, interrupts off
 *	%rsp	a valid stack
 *	%rbp	struct twinos_shared, virtual, in that address space
 *
 * Out, to the kernel:
 *	%rsi	boot_params, physical
 *	%cs, %ds, %es, %ss	flat, as the boot protocol has them (0x10, 0x18)
 *	64-bit: the address space as on entry; 32-bit: paging off, PAE off,
 *	%ebx, %ebp, %edi zero
 */
#define __ASSEMBLY__
#include "parameters.h"

#define CR0_PG_BIT	31
#define MSR_EFER	0xc0000080
#define EFER_LME_BIT	8

	.section .head, "awx"
	.code64
	.globl	purgatory_start
purgatory_start:
	.quad	PURGATORY_MAGIC
	.quad	purgatory_end		/* linked to address 0 */
	.quad	vectors - purgatory_start
	.quad	idt - purgatory_start
	.quad	0, 0, 0, 0
	.if	. - purgatory_start - PURGATORY_ENTRY
	.error	"PURGATORY_ENTRY is not behind the parameters"
	.endif

	movq	%rbp, purgatory_start + PARAMETER_SHARED(%rip)

	/* The tables' pointers need an address, and this code is anywhere. */
	leaq	gdt(%rip), %rax
	movq	%rax, gdt_pointer + 2(%rip)
	leaq	idt(%rip), %rax
	movq	%rax, idt_pointer + 2(%rip)
	lgdt	gdt_pointer(%rip)
	lidt	idt_pointer(%rip)
	movl	$PURGATORY_DS, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	pushq	$PURGATORY_CS
	leaq	.Lcs(%rip), %rax
	pushq	%rax
	lretq
.Lcs:
	movq	purgatory_start + PARAMETER_BOOT_PARAMS(%rip), %rsi
	movq	purgatory_start + PARAMETER_KERNEL_ENTRY(%rip), %rax
	cmpq	$0, purgatory_start + PARAMETER_ENTRY_32BIT(%rip)
	jne	.Lleave_long_mode
	xorl	%ebx, %ebx
	xorl	%ebp, %ebp
	xorl	%edi, %edi
	jmpq	*%rax

/*
 * Compatibility mode first, then paging off, which ends long mode (Intel SDM
 * 3A, 9.8.5.4). From here on the 64-bit gates are of no use, and an exception
 * resets the machine; kexec has made sure that all is below 4 GiB.
 */
.Lleave_long_mode:
	movl	%eax, %edx
	pushq	$PURGATORY_CS32
	leaq	.Lcompatibility(%rip), %rbx
	pushq	%rbx
	lretq
	.code32
.Lcompatibility:
	movl	%cr0, %eax
	btrl	$CR0_PG_BIT, %eax
	movl	%eax, %cr0
	movl	%edx, %ebp
	movl	$MSR_EFER, %ecx
	rdmsr
	btrl	$EFER_LME_BIT, %eax
	wrmsr
	xorl	%eax, %eax
	movl	%eax, %cr4

	/* Selector 0x10 has to be a 32-bit segment for this entry. */
	movl	$0x0000ffff, gdt - .Lcompatibility + PURGATORY_CS(%ebx)
	movl	$0x00cf9b00, gdt - .Lcompatibility + PURGATORY_CS + 4(%ebx)
	movl	%ebp, far_entry - .Lcompatibility(%ebx)
	leal	stack_end - .Lcompatibility(%ebx), %esp
	movl	%ebx, %eax
	xorl	%ebx, %ebx
	xorl	%ebp, %ebp
	xorl	%edi, %edi
	ljmpl	*far_entry - .Lcompatibility(%eax)
	.code64

/*
 * One stub for each vector: push 0 where the CPU pushes no error code, push
 * the vector, go to the common part. Stack there: vector, error code, %rip,
 * %cs, %rflags, %rsp, %ss. The stack is aligned by the CPU on exceptions.
 */
#define HAS_ERROR_CODE 0x60227d00	/* 8, 10-14, 17, 21, 29, 30 */
	.balign	PURGATORY_STUB_SIZE
vectors:
	vector = 0
	.rept	PURGATORY_VECTORS
	.balign	PURGATORY_STUB_SIZE
	.if	!((HAS_ERROR_CODE >> vector) & 1)
	pushq	$0
	.endif
	pushq	$vector
	.byte	0xe9			/* jmp fault_entry, in its long form */
	.long	fault_entry - . - 4
	vector = vector + 1
	.endr

fault_entry:
	cld
	movq	%rsp, %rsi
	leaq	stack_end(%rip), %rsp
	movq	purgatory_start + PARAMETER_SHARED(%rip), %rdi
	movq	%cr2, %rdx
	call	purgatory_fault
	ud2				/* it does not return */

	.balign	16
gdt:
	.quad	0
	.quad	0x00cf9b000000ffff	/* 0x08: code, 32-bit */
	.quad	0x00af9b000000ffff	/* 0x10: code, 64-bit */
	.quad	0x00cf93000000ffff	/* 0x18: data */
gdt_pointer:
	.word	gdt_pointer - gdt - 1
	.quad	0
idt_pointer:
	.word	16 * PURGATORY_VECTORS - 1
	.quad	0
far_entry:
	.long	0
	.word	PURGATORY_CS
	.balign	16
idt:
	.skip	16 * PURGATORY_VECTORS
	.skip	1024
stack_end:
	.section .note.GNU-stack, "", @progbits
