/* SPDX-License-Identifier: GPL-2.0 */
#include <linux/linkage.h>
#include <linux/objtool.h>
#include <asm/asm.h>
#include <asm/cpufeatures.h>
#include <asm/nospec-branch.h>

	.section .noinstr.text, "ax"

/*
 * void twinos_refill_rsb(void) - forget the return addresses of the other OS
 *
 * What __switch_to_asm does between two processes. May use per-CPU data.
 */
SYM_FUNC_START(twinos_refill_rsb)
	FILL_RETURN_BUFFER %rax, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_CTXSW
	RET
SYM_FUNC_END(twinos_refill_rsb)
