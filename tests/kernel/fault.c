// SPDX-License-Identifier: GPL-2.0
/*
 * Faults of a coexisting kernel on request, for tests of what the leading OS
 * makes of them: twinos_fault=WHAT@STAGE on its command line. WHAT is panic,
 * hang (interrupts off), nmi (hang in an NMI handler, from STAGE irq on), null
 * (a NULL pointer read) or lock (die with the lock of the machine held);
 * STAGE is early (setup_arch, no exception handlers but the first ones), irq
 * (after init_IRQ), timer (before the clock event device), initcall, late, late0 to
 * late9 (on that CPU), or park (when it is to be moved to another CPU).
 *
 * And two that real machines have by themselves now and then, on the command line
 * of the leading OS: twinos_fault=late-irq, interrupts that reach a CPU when it
 * does not take them any more; and twinos_fault=guard, a timer that does not tick. That
 * needs an HPET, and tsc=nowatchdog, since the clock of the HPET stands still, too.
 */
#include <linux/bitmap.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <asm/apic.h>
#include <asm/hpet.h>
#include <asm/hw_irq.h>
#include <asm/irq_vectors.h>
#include <asm/nmi.h>
#include <asm/processor.h>
#include <asm/x86_init.h>

#include "../both/twinos.h"

static char fault[16];

static int hang_in_nmi(unsigned int type, struct pt_regs *regs)
{
	for (;;)
		cpu_relax();
	return NMI_HANDLED;
}

static void fault_at(const char *stage)
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
		twinos_lock();
		twinos_leave_for_good(TWINOS_CRASHED, fault);
	}
}

/* What the stages are in: functions of the platform, wrapped. */
static void (*intr_init)(void) __initdata;
static void (*timer_init)(void) __initdata;
static void (*platform_ipi)(void);

static void __init fault_irq(void)
{
	intr_init();
	fault_at("irq");
}

static void __init fault_timer(void)
{
	fault_at("timer");
	timer_init();
}

static void fault_park(void)
{
	u32 *request = &twinos_shared()->request;

	if (READ_ONCE(*request) == TWINOS_REQUEST_PARK && twinos_dedicated()) {
		WRITE_ONCE(*request, TWINOS_REQUEST_NONE);
		fault_at("park");
	}
	platform_ipi();
}

/* After setup_data, which has told that this is a coexisting OS. */
static int __init parse_fault(char *p)
{
	strscpy(fault, p ?: "", sizeof(fault));
	fault_at("early");
	intr_init = x86_init.irqs.intr_init;
	x86_init.irqs.intr_init = fault_irq;
	timer_init = x86_init.timers.timer_init;
	x86_init.timers.timer_init = fault_timer;
	return 0;
}
early_param("twinos_fault", parse_fault);

static int __init fault_initcall(void)
{
	fault_at("initcall");
	return 0;
}
device_initcall(fault_initcall);

/* Interrupts that come to a CPU that goes offline, late: all of its once more. */
static DECLARE_BITMAP(handled, NR_VECTORS);
static int (*cpu_disable)(void);
static void (*stay_dead)(void);

static int note_vectors(void)
{
	unsigned int vector;

	bitmap_zero(handled, NR_VECTORS);
	for (vector = FIRST_EXTERNAL_VECTOR; vector < NR_VECTORS; vector++)
		if (!IS_ERR_OR_NULL(__this_cpu_read(vector_irq[vector])))
			__set_bit(vector, handled);
	return cpu_disable();
}

static void send_them_late(void)
{
	unsigned int vector;

	for_each_set_bit(vector, handled, NR_VECTORS)
		__apic_send_IPI(smp_processor_id(), vector);
	stay_dead();
}

/* The comparator of an HPET that does not count raises nothing. */
static void __init stop_hpet(void)
{
	void __iomem *hpet = is_hpet_enabled() ? ioremap(hpet_address, PAGE_SIZE) : NULL;

	if (!hpet) {
		pr_err("twinos_fault=guard needs an HPET\n");
		return;
	}
	writel(readl(hpet + HPET_CFG) & ~HPET_CFG_ENABLE, hpet + HPET_CFG);
	iounmap(hpet);
}

/* A hang of one CPU is met by the others, so on which one it is makes a difference. */
static void __init fault_on_each_cpu(void)
{
	char stage[] = "late0";
	unsigned int cpu;

	for_each_online_cpu(cpu) {
		if (cpu > 9)
			break;
		stage[4] = '0' + cpu;
		set_cpus_allowed_ptr(current, cpumask_of(cpu));
		fault_at(stage);
	}
	set_cpus_allowed_ptr(current, cpu_possible_mask);
}

static int __init fault_late(void)
{
	if (!twinos_coexisting() && !strcmp(fault, "guard"))
		stop_hpet();
	if (!twinos_coexisting() && !strcmp(fault, "late-irq")) {
		cpu_disable = smp_ops.cpu_disable;
		smp_ops.cpu_disable = note_vectors;
		stay_dead = smp_ops.play_dead;
		smp_ops.play_dead = send_them_late;
	}
	if (twinos_coexisting() && strstr(fault, "@park")) {
		platform_ipi = x86_platform_ipi_callback;
		x86_platform_ipi_callback = fault_park;
	}
	fault_at("late");
	if (strstr(fault, "@late"))
		fault_on_each_cpu();
	return 0;
}
late_initcall_sync(fault_late);
