// SPDX-License-Identifier: GPL-2.0
/*
 * Faults of a coexisting kernel on request, for tests of what the leading OS
 * makes of them: twinos_fault=WHAT@STAGE on its command line. WHAT is panic,
 * hang (interrupts off), nmi (hang in an NMI handler, from STAGE irq on), null
 * (a NULL pointer read) or lock (die with the lock of the machine held);
 * STAGE is early (setup_arch, no exception handlers but the first ones), irq
 * (init_IRQ), timer (before the clock event device), initcall, late, or park
 * (when it is to be moved to another CPU).
 *
 * And two that real machines have by themselves now and then, on the command line
 * of the leading OS: twinos_fault=late-irq, interrupts that reach a CPU when it
 * does not take them any more, and guard, a timer that does not tick.
 */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <asm/apic.h>
#include <asm/irq_vectors.h>
#include <asm/nmi.h>
#include <asm/processor.h>

#include "twinos.h"

static char fault[16];
static bool late_irq __ro_after_init;

static int hang_in_nmi(unsigned int type, struct pt_regs *regs)
{
	for (;;)
		cpu_relax();
	return NMI_HANDLED;
}

void twinos_fault_at(const char *stage)
{
	const char *at = strchr(fault, '@');

	if (twinos_role != TWINOS_COEXISTING || !at || strcmp(at + 1, stage))
		return;
	if (!strncmp(fault, "panic@", 6))
		panic("twinos_fault=%s", fault);
	if (!strncmp(fault, "hang@", 5)) {
		pr_emerg("twinos_fault=%s\n", fault);
		native_irq_disable();
		for (;;)
			cpu_relax();
	}
	if (!strncmp(fault, "nmi@", 4) &&
	    !register_nmi_handler(NMI_LOCAL, hang_in_nmi, NMI_FLAG_FIRST, "twinos_fault")) {
		pr_emerg("twinos_fault=%s\n", fault);
		__apic_send_IPI(raw_smp_processor_id(), NMI_VECTOR);
	}
	if (!strncmp(fault, "null@", 5))
		READ_ONCE(*(int *)8UL);
	if (!strncmp(fault, "lock@", 5)) {
		native_irq_disable();
		twinos_lock(TWINOS_LOCK_PCI);
		strscpy(twinos_shared()->reason, fault, sizeof(twinos_shared()->reason));
		twinos_leave_for_good(TWINOS_CRASHED);
	}
}

/**
 * twinos_fault_late_irqs() - interrupts that come when they have been moved
 * @irqs: Linux's numbers of what this CPU has handled, NR_VECTORS of them, by
 *	vector; -1: none
 *
 * From a CPU that goes offline, dead and with interrupts off, its APIC still on.
 */
void twinos_fault_late_irqs(const int *irqs)
{
	unsigned int vector;

	for (vector = FIRST_EXTERNAL_VECTOR; late_irq && vector < NR_VECTORS; vector++)
		if (irqs[vector] >= 0)
			__apic_send_IPI(smp_processor_id(), vector);
}

/** twinos_fault_guard() - does the guard's timer not tick? */
bool twinos_fault_guard(void)
{
	return !strcmp(fault, "guard");
}

static int __init parse_fault(char *p)
{
	strscpy(fault, p ?: "", sizeof(fault));
	late_irq = !strcmp(fault, "late-irq");
	twinos_fault_at("early");
	return 0;
}
early_param("twinos_fault", parse_fault);

static int __init fault_initcall(void)
{
	twinos_fault_at("initcall");
	return 0;
}
device_initcall(fault_initcall);

static int __init fault_late(void)
{
	twinos_fault_at("late");
	return 0;
}
late_initcall_sync(fault_late);
