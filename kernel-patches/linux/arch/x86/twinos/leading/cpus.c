// SPDX-License-Identifier: GPL-2.0
/*
 * Dedicated mode, in the leading OS: CPUs are handed over by CPU hotplug and
 * taken back in the same way. The CPU that a coexisting OS boots on goes
 * offline here and, instead of waiting in this kernel, enters the purgatory;
 * the others wait in this kernel until the coexisting one starts them by INIT
 * and SIPI. Bringing a CPU online again begins with an INIT, which works
 * whatever it was doing.
 */
#include <linux/bitmap.h>
#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/irq.h>
#include <linux/irqdesc.h>
#include <linux/kernel.h>
#include <linux/smp.h>
#include <linux/workqueue.h>
#include <asm/apic.h>
#include <asm/desc.h>
#include <asm/io_apic.h>
#include <asm/irq.h>
#include <asm/reboot.h>
#include <asm/smp.h>
#include <asm/spec-ctrl.h>
#include <asm/tlbflush.h>
#include <asm/tsc.h>

#include "leading.h"

/* CPUs that are not this OS's at present; only we may bring them online. */
static struct cpumask lent;

/*
 * Continue on this CPU, which is dead in this OS, in a coexisting one: at its
 * purgatory, or where it was parked. Inline, so that objtool sees that it does
 * not return.
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
 * What is still pending in the local APIC, most often a last timer interrupt,
 * would be found by the other kernel and meant nothing to it. There is no way
 * to clear it but to take it, and only an enabled APIC lets that happen.
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
 * A CPU that goes offline waits a millisecond for interrupts that were on their way
 * when they were moved to other CPUs, and all these CPUs stand still meanwhile. One
 * that is lent does so when it is dead and the others go on again. What it finds
 * is raised once more, where it belongs now, by the CPU that lends it.
 */
static int moved_irqs[NR_VECTORS];	/* Linux's numbers, by vector; -1: none */
static DECLARE_BITMAP(late_vectors, NR_VECTORS);
static bool late_known;

/**
 * twinos_wait_later() - is the wait for late interrupts done by a dead CPU?
 *
 * From fixup_irqs(), on the CPU that goes offline, when its interrupts have been
 * moved away but its vector_irq[] still tells which they were: all CPUs stopped,
 * interrupts off.
 */
bool twinos_wait_later(void)
{
	unsigned int vector;

	if (!cpumask_test_cpu(smp_processor_id(), &lent))
		return false;
	for (vector = 0; vector < NR_VECTORS; vector++) {
		struct irq_desc *desc = __this_cpu_read(vector_irq[vector]);

		moved_irqs[vector] = IS_ERR_OR_NULL(desc) ? -1 : irq_desc_get_irq(desc);
	}
	return true;
}

/* As native_cpu_disable(), but a lent CPU's APIC still takes interrupts. */
static int cpu_disable(void)
{
	int err;

	if (!cpumask_test_cpu(smp_processor_id(), &lent))
		return native_cpu_disable();
	err = lapic_can_unplug_cpu();
	if (!err)
		cpu_disable_common();
	return err;
}

static void note_late_interrupts(void)
{
	unsigned int vector;

	mdelay(1);
	bitmap_zero(late_vectors, NR_VECTORS);
	for (vector = FIRST_EXTERNAL_VECTOR; vector < NR_VECTORS; vector++)
		if (moved_irqs[vector] >= 0 && is_vector_pending(vector) &&
		    __this_cpu_read(vector_irq[vector]) != VECTOR_RETRIGGERED)
			__set_bit(vector, late_vectors);
	apic_soft_disable();
	smp_store_release(&late_known, true);	/* and with it late_vectors */
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
 * This OS has crashed, and its crash kernel is about to start: it gets a machine in
 * which nobody else runs or holds a lock.
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

/**
 * twinos_check_cpus() - can the CPUs of a share be handed over?
 * @os: whose share it is to be
 * @share: consistent in itself
 *
 * Process context, twinos_mutex held. Returns 0, or ENODEV after saying in the
 * kernel log which CPU cannot.
 */
int twinos_check_cpus(const struct twinos_os *os, const struct twinos_share *share)
{
	const struct twinos_os *other;
	unsigned int i, j;

	for (i = 0; i < share->nr_cpus; i++) {
		u32 cpu = share->cpus[i];

		list_for_each_entry(other, &twinos_oses, list) {
			if (other == os || !twinos_claims(other))
				continue;
			for (j = 0; j < other->share.nr_cpus; j++)
				if (other->share.cpus[j] == cpu) {
					pr_err("CPU %u belongs to coexisting OS %u\n", cpu,
					       other->id);
					return -ENODEV;
				}
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

/* Interrupts that the lent CPU found pending when nobody took them any more. */
static void raise_late_interrupts(unsigned int cpu)
{
	ktime_t limit = ktime_add_ms(ktime_get(), 10000);
	unsigned int vector;

	while (!smp_load_acquire(&late_known)) {	/* and with it late_vectors */
		if (ktime_after(ktime_get(), limit)) {
			pr_err("CPU %u does not tell which interrupts it had left\n", cpu);
			return;
		}
		fsleep(100);
	}
	irq_lock_sparse();
	for_each_set_bit(vector, late_vectors, NR_VECTORS) {
		struct irq_desc *desc = irq_to_desc(moved_irqs[vector]);
		struct irq_data *data;
		struct irq_chip *chip;

		if (!desc)
			continue;
		raw_spin_lock_irq(&desc->lock);
		data = irq_desc_get_irq_data(desc);
		chip = irq_data_get_irq_chip(data);
		if (desc->action && irqd_is_activated(data) && chip->irq_retrigger)
			chip->irq_retrigger(data);
		raw_spin_unlock_irq(&desc->lock);
	}
	irq_unlock_sparse();
}

/*
 * A lent CPU is one that has not been booted for this OS: so no interrupt is
 * broadcast to all CPUs of the machine any more, see apic_smt_update().
 */
static void set_lent(unsigned int cpu, bool is_lent)
{
	cpumask_assign_cpu(cpu, &cpus_booted_once_mask, !is_lent);
	apic_smt_update();
	cpumask_assign_cpu(cpu, &lent, is_lent);
}

/*
 * A CPU that is away is not present: nobody brings it online by mistake, and SMT is
 * switched on for all others. Nor is it offline at a user's wish.
 */
static void set_away(unsigned int cpu, bool away)
{
	set_cpu_present(cpu, !away);
	get_cpu_device(cpu)->offline_disabled = away;
}

static int lend(unsigned int cpu)
{
	int err = -ENODEV;

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
	return 0;
}

/**
 * twinos_lend_cpu() - take a CPU offline and let it continue in @os
 * @os: NULL: it waits until its new owner starts it by an INIT
 *
 * Process context, twinos_mutex held, everything prepared. Returns 0, or
 * ECANCELED after saying why in the kernel log.
 */
int twinos_lend_cpu(struct twinos_os *os, unsigned int cpu)
{
	int err;

	per_cpu(enters, cpu) = os;
	err = lend(cpu);
	per_cpu(enters, cpu) = NULL;
	return err;
}

/**
 * twinos_reclaim_cpu() - bring a CPU online that has been lent
 *
 * Its TSC was compared with the others when it was online for the first time,
 * and nobody has written it since; another comparison would keep two CPUs for
 * milliseconds with interrupts off.
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

