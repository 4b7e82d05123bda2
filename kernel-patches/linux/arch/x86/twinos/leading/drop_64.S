/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Interrupt handler that does nothing but the EOI, for a CPU that is about to
 * be handed over and gets rid of what is pending in its local APIC.
 */
#include <linux/linkage.h>
#include <linux/objtool.h>
#include <asm/asm.h>
#include <asm/msr-index.h>
#include <asm/unwind_hints.h>
#include "twinos-asm-offsets.h"

	.section .noinstr.text, "ax"

/* In: an interrupt frame. Keeps all registers. */
SYM_CODE_START(twinos_drop_interrupt)
	UNWIND_HINT_IRET_REGS
	ENDBR
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	movl	$MSR_IA32_APICBASE, %ecx
	rdmsr
	testl	$APICBASE_X2APIC, %eax
	jnz	1f
	movl	$0, LAPIC_EOI_VA
	jmp	2f
1:	movl	$MSR_X2APIC_EOI, %ecx
	xorl	%eax, %eax
	xorl	%edx, %edx
	wrmsr
2:	popq	%rdx
	popq	%rcx
	popq	%rax
	iretq
SYM_CODE_END(twinos_drop_interrupt)
