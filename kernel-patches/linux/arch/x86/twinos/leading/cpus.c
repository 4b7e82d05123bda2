// SPDX-License-Identifier: GPL-2.0
/*
 * CPUs are handed over by CPU hotplug and taken back in the same way. The CPU that a coexisting OS
 * boots on goes offline here and, instead of waiting in this kernel, enters the purgatory; the
 * others wait in this kernel until the coexisting one starts them by INIT and SIPI. Bringing a CPU
 * online again begins with an INIT, which works whatever it was doing.
 */
#include <linux/cpu.h>
#include <linux/iopoll.h>
#include <linux/device.h>
#include <asm/desc.h>
#include <asm/io_apic.h>
#include <asm/irq.h>
#include <asm/reboot.h>
#include <asm/spec-ctrl.h>

#include "leading.h"

/* CPUs that are not this OS's at present; only we may bring them online. */
static struct cpumask lent;

/*
 * Continue on this CPU, which is dead in this OS, in a coexisting one: at its purgatory, or where
 * it was parked. Inline, so that objtool sees that it does not return.
 */
static __always_inline void __noreturn continue_in(struct twinos_shared *shared)
{
	native_set_debugreg(7, 0x400);
	/* The slot may have been another window's when this CPU saw it last. */
	__flush_tlb_all();
	asm volatile(CALL_NOSPEC
		     : ASM_CALL_CONSTRAINT
		     : "S" (&shared->side[TWINOS_COEXISTING].transit),
		       THUNK_TARGET((unsigned long)shared + TWINOS_TRANSIT_OFFSET -
				    TWINOS_SHARED_OFFSET +
				    (twinos_enter_start - twinos_transit_start))
		     : "memory");
	for (;;)
		native_halt();
}

/* What a CPU that goes offline enters, or NULL. */
static DEFINE_PER_CPU(struct twinos_os *, enters);

asmlinkage void twinos_drop_interrupt(void);

/* Exceptions as ever, interrupts dropped. */
static gate_desc drop_idt[IDT_ENTRIES] __ro_after_init;

static void __init make_drop_idt(void)
{
	struct desc_ptr idt;
	int vector;

	store_idt(&idt);
	memcpy(drop_idt, (void *)idt.address, sizeof(drop_idt));
	for (vector = FIRST_EXTERNAL_VECTOR; vector < IDT_ENTRIES; vector++)
		pack_gate(&drop_idt[vector], GATE_INTERRUPT,
			  (unsigned long)twinos_drop_interrupt, 0, 0, __KERNEL_CS);
}

static bool interrupts_pending(void)
{
	u32 pending = 0;
	int i;

	for (i = 1; i < 8; i++)
		pending |= apic_read(APIC_IRR + i * 0x10);
	return pending;
}

/*
 * What is still pending in the local APIC, most often a last timer interrupt, would be found by the
 * other kernel and meant nothing to it. There is no way to clear it but to take it, and only an
 * enabled APIC lets that happen.
 */
static void drop_pending_interrupts(void)
{
	const struct desc_ptr drop = { sizeof(drop_idt) - 1, (unsigned long)drop_idt };
	u32 spiv = apic_read(APIC_SPIV);
	struct desc_ptr idt;

	store_idt(&idt);
	native_load_idt(&drop);
	apic_write(APIC_SPIV, spiv | APIC_SPIV_APIC_ENABLED);
	apic_read(APIC_SPIV);	/* it has arrived */
	while (interrupts_pending())
		asm volatile("sti; nop; nop; cli" : : : "memory");
	apic_write(APIC_SPIV, spiv);
	native_load_idt(&idt);
}

/*
 * An interrupt can be on its way to a CPU that goes offline when it is moved to another.
 * fixup_irqs() waits a millisecond for those, and all CPUs stand still meanwhile. A CPU that is
 * lent does so when it is dead and the others go on again. What it finds then is raised once more,
 * where it belongs now, by the CPU that lends it.
 */
static unsigned int moved_irqs[NR_VECTORS];	/* Linux's numbers, by vector; 0: none */
static bool late_known;				/* they are those that came late */

/* As native_cpu_disable(), but the APIC of a lent CPU still takes interrupts. */
static int cpu_disable(void)
{
	int err = lapic_can_unplug_cpu();
	unsigned int vector;

	if (!cpumask_test_cpu(smp_processor_id(), &lent))
		return native_cpu_disable();
	if (err)
		return err;
	for (vector = FIRST_EXTERNAL_VECTOR; vector < NR_VECTORS; vector++) {
		struct irq_desc *desc = __this_cpu_read(vector_irq[vector]);

		moved_irqs[vector] = IS_ERR_OR_NULL(desc) ? 0 : irq_desc_get_irq(desc);
	}
	this_cpu_write(cpu_info.loops_per_jiffy, 1);	/* so its mdelay() takes no time */
	cpu_disable_common();
	this_cpu_write(cpu_info.loops_per_jiffy, loops_per_jiffy);
	return 0;
}

static void note_late_interrupts(void)
{
	unsigned int vector;

	mdelay(1);
	for (vector = FIRST_EXTERNAL_VECTOR; vector < NR_VECTORS; vector++)
		if (!is_vector_pending(vector) ||
		    __this_cpu_read(vector_irq[vector]) == VECTOR_RETRIGGERED)
			moved_irqs[vector] = 0;
	apic_soft_disable();
	smp_store_release(&late_known, true);	/* and with it moved_irqs */
}

static void raise_late_interrupts(unsigned int cpu)
{
	unsigned int vector;
	bool known;

	if (read_poll_timeout(smp_load_acquire, known, known, 100, 10 * USEC_PER_SEC, false,
			      &late_known)) {
		pr_err("CPU %u does not tell which interrupts it had left\n", cpu);
		return;
	}
	irq_lock_sparse();
	for (vector = FIRST_EXTERNAL_VECTOR; vector < NR_VECTORS; vector++) {
		struct irq_desc *desc = moved_irqs[vector] ? irq_to_desc(moved_irqs[vector]) : NULL;
		struct irq_data *data;

		if (!desc)
			continue;
		guard(raw_spinlock_irq)(&desc->lock);
		data = irq_desc_get_irq_data(desc);
		if (desc->action && irqd_is_activated(data) && data->chip->irq_retrigger)
			data->chip->irq_retrigger(data);
	}
	irq_unlock_sparse();
}

static void play_dead_or_enter(void)
{
	struct twinos_os *os = this_cpu_read(enters);

	if (!cpumask_test_cpu(smp_processor_id(), &lent)) {
		native_play_dead();
		return;
	}
	if (cpu_feature_enabled(X86_FEATURE_KERNEL_IBRS))
		__update_spec_ctrl(0);	/* as native_play_dead() */
	play_dead_common();
	note_late_interrupts();
	while (!os)	/* until the coexisting OS starts it by an INIT */
		native_halt();
	drop_pending_interrupts();
	if (!os->shared->enter_tsc)
		os->shared->enter_tsc = rdtsc();
	continue_in(os->shared);
}

#ifdef CONFIG_CRASH_DUMP
/*
 * This OS has crashed, and its crash kernel is about to start: it gets a machine in which nobody
 * else runs or holds a lock.
 */
static void crash_shutdown(struct pt_regs *regs)
{
	unsigned int cpu;

	for_each_cpu(cpu, &lent)
		twinos_init_cpu(cpu);
	twinos_alone();
	native_machine_crash_shutdown(regs);
}
#endif

/** twinos_cpus_init() - take the kernel's own hooks of CPU hotplug. Boot time. */
void __init twinos_cpus_init(void)
{
	make_drop_idt();
#ifdef CONFIG_CRASH_DUMP
	machine_ops.crash_shutdown = crash_shutdown;
#endif
	smp_ops.cpu_disable = cpu_disable;
	smp_ops.play_dead = play_dead_or_enter;
}

static bool has_cpu(const struct twinos_share *share, u32 cpu)
{
	unsigned int i;

	for (i = 0; i < share->nr_cpus; i++)
		if (share->cpus[i] == cpu)
			return true;
	return false;
}

/**
 * twinos_check_cpus() - can the CPUs of a share be handed over?
 * @os: whose share it is to be
 * @share: consistent in itself
 *
 * Process context, twinos_mutex held. Returns 0, or ENODEV after saying in the log which cannot.
 */
int twinos_check_cpus(const struct twinos_os *os, const struct twinos_share *share)
{
	const struct twinos_os *other;
	unsigned int i;

	for (i = 0; i < share->nr_cpus; i++) {
		u32 cpu = share->cpus[i];

		list_for_each_entry(other, &twinos_oses, list)
			if (other != os && twinos_claims(other) && has_cpu(&other->share, cpu)) {
				pr_err("CPU %u belongs to coexisting OS %u\n", cpu, other->id);
				return -ENODEV;
			}
		if (cpu == TWINOS_SHARED_CPU) {
			pr_err("CPU %u stays with this OS: an INIT would start the firmware on it\n",
			       cpu);
			return -ENODEV;
		}
		if (cpu >= nr_cpu_ids || !cpu_online(cpu)) {
			pr_err("CPU %u is not there or offline\n", cpu);
			return -ENODEV;
		}
	}
	return 0;
}

/*
 * No interrupt is broadcast to all CPUs of the machine as long as one that is present has not been
 * booted, or the reverse, see apic_smt_update(): so is each lent CPU until it boots again.
 */
static void set_lent(unsigned int cpu, bool is_lent)
{
	cpumask_assign_cpu(cpu, &cpus_booted_once_mask, !is_lent);
	apic_smt_update();
	cpumask_assign_cpu(cpu, &lent, is_lent);
}

/*
 * A CPU that is away is not present: nobody brings it online by mistake, and SMT is switched on for
 * all others. Nor is it offline at a user's wish.
 */
static void set_away(unsigned int cpu, bool away)
{
	set_cpu_present(cpu, !away);
	cpumask_assign_cpu(cpu, &cpus_booted_once_mask, away);
	get_cpu_device(cpu)->offline_disabled = away;
}

/**
 * twinos_lend_cpu() - take a CPU offline and let it continue in @os
 * @os: NULL: it waits until its new owner starts it by an INIT
 *
 * Process context, twinos_mutex held, everything prepared. Returns 0, or ECANCELED after saying why
 * in the kernel log.
 */
int twinos_lend_cpu(struct twinos_os *os, unsigned int cpu)
{
	int err = -ENODEV;

	per_cpu(enters, cpu) = os;
	late_known = false;
	/* A user must not take it offline in between, and it go to the other OS with that. */
	lock_device_hotplug();
	if (cpu_online(cpu)) {
		set_lent(cpu, true);	/* before another OS can be on it */
		/* Going offline waits for RCU, most of the time that a launch takes. */
		rcu_expedite_gp();
		err = device_offline(get_cpu_device(cpu));
		rcu_unexpedite_gp();
		if (err)
			set_lent(cpu, false);
		else
			set_away(cpu, true);
	}
	unlock_device_hotplug();
	if (err) {
		pr_err("CPU %u cannot be taken offline (%d)\n", cpu, err);
		return -ECANCELED;
	}
	raise_late_interrupts(cpu);
	per_cpu(enters, cpu) = NULL;
	return 0;
}

/**
 * twinos_reclaim_cpu() - bring a CPU online that has been lent
 *
 * Its TSC was compared with the others when it was online for the first time, and nobody has
 * written it since; another comparison would keep two CPUs for milliseconds with interrupts off.
 */
void twinos_reclaim_cpu(unsigned int cpu)
{
	int reliable = tsc_clocksource_reliable, err;

	if (!cpumask_test_and_clear_cpu(cpu, &lent))
		return;
	set_away(cpu, false);
	tsc_clocksource_reliable = 1;
	err = add_cpu(cpu);
	tsc_clocksource_reliable = reliable;
	if (err)
		pr_err("CPU %u is back, but cannot be brought online (%d)\n", cpu, err);
}

/** twinos_stop_cpus() - INIT to all CPUs of an OS; does nothing for one that shares a CPU */
void twinos_stop_cpus(const struct twinos_os *os)
{
	unsigned int i;

	if (os->mode == TWINOS_DEDICATED)
		for (i = 0; i < os->share.nr_cpus; i++)
			twinos_init_cpu(os->share.cpus[i]);
}

/** twinos_take_cpus_back() - bring the stopped CPUs of an OS online */
void twinos_take_cpus_back(struct twinos_os *os)
{
	unsigned int i;

	for (i = 0; i < os->share.nr_cpus; i++)
		twinos_reclaim_cpu(os->share.cpus[i]);
}

