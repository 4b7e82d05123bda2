// SPDX-License-Identifier: GPL-2.0
/*
 * A coexisting OS under the launch guard (leading/guard.c). In the NMI it looks how long the
 * leading OS has been waiting for the CPU, and gives it back for good if that is too long. While it
 * boots and no interrupt can take the CPU from it yet, the NMI does that, whatever it is doing: so
 * no stretch of a boot keeps the leading OS waiting.
 */
#include <asm/desc.h>
#include <asm/nmi.h>
#include <asm/trapnr.h>

#include "coexisting.h"

/* Returns false if the NMI was for nobody here. */
asmlinkage bool twinos_guarded(void)
{
	/* The NMI that stops the CPUs of the leading OS before its crash kernel starts. */
	if (READ_ONCE(twinos_common->crashed))
		for (;;)
			native_halt();
	if (!twinos_timesharing())
		return false;
	if (twinos_hung())
		twinos_leave_for_good(TWINOS_HUNG, "hung with interrupts off");
	/* It was for the leading OS: a backtrace, a counter, the button. */
	if (!twinos_yield_early())
		twinos_note_exception(TWINOS_NOTED_NMI);
	return true;
}

static int guarded_nmi(unsigned int type, struct pt_regs *regs)
{
	return twinos_guarded() ? NMI_HANDLED : NMI_DONE;
}

static struct nmiaction action = {
	.list		= LIST_HEAD_INIT(action.list),
	.handler	= guarded_nmi,
	.name		= "twinos",
	.max_duration	= U64_MAX,	/* the time away is no duration */
};

/**
 * twinos_guard_early() - answer the guard from now on
 * @early_nmi: entry that needs nothing of this kernel and calls twinos_guarded()
 *
 * The kernel's own exception gates come long before its interrupts, so the handler is there from
 * the beginning. Until then the NMI goes to one that needs no stack but that of what it interrupts.
 */
void __init twinos_guard_early(void (*early_nmi)(void))
{
	struct desc_ptr idt;
	gate_desc nmi;

	store_idt(&idt);
	pack_gate(&nmi, GATE_INTERRUPT, (unsigned long)early_nmi, 0, 0, __KERNEL_CS);
	memcpy((gate_desc *)idt.address + X86_TRAP_NMI, &nmi, sizeof(nmi));
	if (__register_nmi_handler(NMI_UNKNOWN, &action))
		pr_warn("no NMI handler: if this OS hangs, the machine does\n");
}
