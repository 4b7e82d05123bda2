// SPDX-License-Identifier: GPL-2.0
/*
 * A coexisting OS under the launch guard (leading/guard.c). In the NMI it looks how long the
 * leading OS has been waiting for the CPU, and gives it back for good if that is too long. While it
 * boots and no interrupt can take the CPU from it yet, the NMI does that, whatever it is doing: so
 * no stretch of a boot keeps the leading OS waiting.
 */
#include <asm/desc.h>
#include <asm/nmi.h>
#include <asm/text-patching.h>
#include <asm/trapnr.h>

#include "coexisting.h"

/* Returns false if the NMI was for nobody here. */
asmlinkage bool twinos_guarded(void)
{
	/* The NMI that stops the CPUs of the leading OS before its crash kernel starts. */
	if (READ_ONCE(twinos_common->crashed))
		for (;;)
			native_halt();
	if (twinos_dedicated())
		return false;
	if (twinos_hung())
		twinos_leave_for_good(TWINOS_HUNG, "hung with interrupts off");
	/* It was for the leading OS: a backtrace, a counter, the button; or it came between. */
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

/* text_poke_early() as long as the kernel changes its code by that. */
unsigned long twinos_patcher __ro_after_init;

static int __init end_of_patching(void)
{
	twinos_patcher = 0;
	return 0;
}
early_initcall(end_of_patching);

/** twinos_set_nmi_gate() - in the IDT in use, on the stack that it names. Interrupts off. */
void __init twinos_set_nmi_gate(void (*entry)(void))
{
	struct desc_ptr idt;
	gate_desc *gate, new;

	store_idt(&idt);
	gate = (gate_desc *)idt.address + X86_TRAP_NMI;
	pack_gate(&new, GATE_INTERRUPT, (unsigned long)entry, 0, gate->bits.ist, __KERNEL_CS);
	/* At once for an NMI: the rest is the same in all addresses of this kernel. */
	WRITE_ONCE(*(u64 *)gate, *(u64 *)&new);
}

/** twinos_guard_early() - answer the guard from now on; the gate is there, or about to be */
void __init twinos_guard_early(void)
{
	twinos_patcher = (unsigned long)text_poke_early;
	if (__register_nmi_handler(NMI_UNKNOWN, &action))
		pr_warn("no NMI handler: if this OS hangs, the machine does\n");
}
