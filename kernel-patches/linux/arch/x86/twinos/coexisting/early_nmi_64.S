/* SPDX-License-Identifier: GPL-2.0 */
/* The NMI while a coexisting kernel has no handler of its own for it yet. */
#include <linux/linkage.h>
#include <linux/objtool.h>
#include <asm/asm.h>
#include <asm/unwind_hints.h>

	.section .noinstr.text, "ax"

/* In: an interrupt frame on whatever stack was in use, aligned by the CPU. Keeps all registers. */
SYM_CODE_START(twinos_early_nmi)
	UNWIND_HINT_IRET_REGS
	ENDBR
	cld
	.irp	reg, rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11
	pushq	%\reg
	.endr
	movq	%cr2, %rax
	pushq	%rax
	pushq	%rax		/* keeps the stack aligned */
	call	twinos_guarded
	popq	%rax
	popq	%rax
	movq	%rax, %cr2
	.irp	reg, r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax
	popq	%\reg
	.endr
	iretq
SYM_CODE_END(twinos_early_nmi)
