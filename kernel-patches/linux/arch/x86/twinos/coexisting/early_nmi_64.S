/* SPDX-License-Identifier: GPL-2.0 */
/* The NMI while a coexisting kernel boots. */
#include <linux/linkage.h>
#include <linux/objtool.h>
#include <asm/asm.h>
#include <asm/unwind_hints.h>

	.section .noinstr.text, "ax"

#define PATCHER_SIZE	128	/* of text_poke_early(), or a little more */

/*
 * In the middle of text_poke_early(), and of memcpy() for it, code that a handler runs may be half
 * written. That NMI is dropped: the guard's next one comes soon.
 */
	.macro	SKIP_WHILE_PATCHING
	pushq	%rax
	movq	8(%rsp), %rax		/* RIP */
	subq	twinos_patcher(%rip), %rax
	cmpq	$PATCHER_SIZE, %rax
	jb	.Lskip\@
	movq	32(%rsp), %rax		/* RSP, where memcpy() has its return address */
	movq	(%rax), %rax
	subq	twinos_patcher(%rip), %rax
	cmpq	$PATCHER_SIZE, %rax
.Lskip\@:
	popq	%rax
	jae	.Lhandle\@
	iretq
.Lhandle\@:
	.endm

/* Before the kernel's own entry, which is patched as well. There is no user code yet. */
SYM_CODE_START(twinos_filter_nmi)
	UNWIND_HINT_IRET_REGS
	ENDBR
	cmpq	$0, twinos_patcher(%rip)
	je	asm_exc_nmi
	SKIP_WHILE_PATCHING
	jmp	asm_exc_nmi
SYM_CODE_END(twinos_filter_nmi)

/*
 * While there is no such entry. In: an interrupt frame on whatever stack was in use, aligned by the
 * CPU. Keeps all registers. What it calls may be instrumented, so it is, too.
 */
	.text
SYM_CODE_START(twinos_early_nmi)
	UNWIND_HINT_IRET_REGS
	ENDBR
	SKIP_WHILE_PATCHING
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
