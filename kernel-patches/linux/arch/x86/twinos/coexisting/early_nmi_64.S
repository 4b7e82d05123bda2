/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The NMI while a coexisting kernel has no handler of its own for it yet.
 */
#include <linux/linkage.h>
#include <linux/objtool.h>
#include <asm/asm.h>
#include <asm/unwind_hints.h>

	.section .noinstr.text, "ax"

/*
 * In: an interrupt frame on whatever stack was in use, aligned as the CPU leaves it.
 * Keeps all registers.
 */
SYM_CODE_START(twinos_early_nmi)
	UNWIND_HINT_IRET_REGS
	ENDBR
	cld
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	movq	%cr2, %rax
	pushq	%rax
	pushq	%rax		/* keeps the stack aligned */
	call	twinos_guarded
	popq	%rax
	popq	%rax
	movq	%rax, %cr2
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%rax
	iretq
SYM_CODE_END(twinos_early_nmi)
