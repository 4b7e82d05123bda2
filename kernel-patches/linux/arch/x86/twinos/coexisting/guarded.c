// SPDX-License-Identifier: GPL-2.0
/*
 * A coexisting OS under the launch guard (leading/guard.c): in the NMI it looks how
 * long the leading OS has been waiting for the CPU, and gives it back for good if
 * that is too long.
 */
#include <linux/string.h>
#include <asm/desc.h>
#include <asm/nmi.h>
#include <asm/trapnr.h>

#include "coexisting.h"

static int guarded_nmi(unsigned int type, struct pt_regs *regs)
{
	/* The NMI that stops the CPUs of the leading OS before its crash kernel starts. */
	if (READ_ONCE(twinos_common->crashed))
		for (;;)
			native_halt();
	if (!twinos_timesharing())
		return NMI_DONE;
	if (twinos_overdue()) {
		strscpy(twinos_shared()->reason, "hung with interrupts off",
			sizeof(twinos_shared()->reason));
		twinos_leave_for_good(TWINOS_HUNG);
	}
	/* It was for the leading OS: a backtrace, a counter, the button. */
	twinos_note_exception(TWINOS_NOTED_NMI);
	return NMI_HANDLED;
}

asmlinkage void twinos_early_nmi(void);

/**
 * twinos_guard_early() - answer the guard from now on
 *
 * The kernel's own exception gates come long before its interrupts, so the
 * handler is there from the beginning. Until they are installed the NMI goes to
 * one that needs no stack but its own frame; early_fixup_exception() ignores it.
 */
void __init twinos_guard_early(void)
{
	struct desc_ptr idt;
	gate_desc nmi;

	store_idt(&idt);
	pack_gate(&nmi, GATE_INTERRUPT, (unsigned long)twinos_early_nmi, 0, 0, __KERNEL_CS);
	memcpy((gate_desc *)idt.address + X86_TRAP_NMI, &nmi, sizeof(nmi));
	if (register_nmi_handler(NMI_UNKNOWN, guarded_nmi, 0, "twinos"))
		pr_warn("no NMI handler: if this OS hangs, the machine does\n");
}
