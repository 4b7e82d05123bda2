/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The launch guard's NMI while a coexisting kernel has no exception handlers
 * of its own yet. If this kernel has had the CPU for longer than the guard
 * allows, give it back for good, else go on.
 */
#include <linux/linkage.h>
#include <linux/objtool.h>
#include <asm/asm.h>
#include <asm/nospec-branch.h>
#include <asm/unwind_hints.h>
#include <twinos/abi.h>
#include "twinos-asm-offsets.h"

	.section .noinstr.text, "ax"

/* In: an interrupt frame on whatever stack was in use. Keeps all registers. */
SYM_CODE_START(twinos_early_nmi)
	UNWIND_HINT_IRET_REGS
	ENDBR
	pushq	%rax
	pushq	%rdx
	pushq	%rdi
	rdtsc
	shlq	$32, %rdx
	orq	%rdx, %rax
	movabsq	$(TWINOS_SHARED_VA + TWINOS_SHARED_OFFSET), %rdi
	subq	SHARED_resumed(%rdi), %rax
	cmpq	SHARED_guard(%rdi), %rax
	ja	1f
	popq	%rdi
	popq	%rdx
	popq	%rax
	iretq
1:	movl	$SHARED_HUNG, %esi
	movq	SHARED_abandon(%rdi), %rax
	JMP_NOSPEC rax
SYM_CODE_END(twinos_early_nmi)
