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
#include <linux/cpuhotplug.h>
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

#include "twinos.h"

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
	asm volatile(ANNOTATE_RETPOLINE_SAFE
		     "call *%[code]"
		     : ASM_CALL_CONSTRAINT
		     : "S" (&shared->side[TWINOS_COEXISTING].transit),
		       [code] "r" ((unsigned long)shared + TWINOS_TRANSIT_OFFSET -
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

	twinos_fault_late_irqs(moved_irqs);
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

/* To a CPU that is not this OS's. */
static void send_ipi(u32 apic_id, u32 command)
{
	unsigned long flags;

	local_irq_save(flags);
	apic_wait_icr_idle();
	apic_icr_write(command, apic_id);
	local_irq_restore(flags);
}

/** twinos_ring() - let an OS on CPUs of its own look what there is */
void twinos_ring(u32 apic_id)
{
	send_ipi(apic_id, APIC_DM_FIXED | X86_PLATFORM_IPI_VECTOR);
}

/*
 * A CPU that another OS runs on is not brought online by mistake. Not EBUSY,
 * after which cpu_subsys_online() would try again.
 */
static int refuse_lent(unsigned int cpu)
{
	if (!cpumask_test_cpu(cpu, &lent))
		return 0;
	pr_err("CPU %u belongs to a coexisting OS\n", cpu);
	return -EPERM;
}

/*
 * An INIT leaves a CPU waiting for a SIPI, in no kernel's memory, whatever it was
 * doing. x2APIC does not tell when it has arrived; it takes less than this.
 */
static void init_cpu(unsigned int cpu)
{
	u32 apic_id = cpu_physical_id(cpu);

	send_ipi(apic_id, APIC_INT_LEVELTRIG | APIC_INT_ASSERT | APIC_DM_INIT);
	send_ipi(apic_id, APIC_INT_LEVELTRIG | APIC_DM_INIT);
	udelay(10);
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
		init_cpu(cpu);
	twinos_alone();
	native_machine_crash_shutdown(regs);
}
#endif

static int __init dedicated_init(void)
{
	int err;

	if (twinos_off || twinos_role != TWINOS_LEADING)
		return 0;
	twinos_lapic_init();
	make_drop_idt();
#ifdef CONFIG_CRASH_DUMP
	machine_ops.crash_shutdown = crash_shutdown;
#endif
	smp_ops.cpu_disable = cpu_disable;
	smp_ops.play_dead = play_dead_or_enter;
	x86_platform_ipi_callback = twinos_interrupt;
	err = cpuhp_setup_state_nocalls(CPUHP_BP_PREPARE_DYN, "x86/twinos:prepare",
					refuse_lent, NULL);
	return err < 0 ? err : 0;
}
late_initcall(dedicated_init);

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
	tsc_clocksource_reliable = 1;
	err = add_cpu(cpu);
	tsc_clocksource_reliable = reliable;
	if (err)
		pr_err("CPU %u is back, but cannot be brought online (%d)\n", cpu, err);
}

/**
 * twinos_launch_dedicated() - start the loaded image on CPUs of its own
 * @os: loaded, not running, its share with CPUs
 * @now: TSC when it was asked for
 *
 * Process context, twinos_mutex held. This OS goes on all the time. Returns 0
 * when the coexisting OS boots, or an errno with every CPU back: ENODEV,
 * ECANCELED if a CPU cannot be taken offline, EOPNOTSUPP, ENOMEM.
 */
int twinos_launch_dedicated(struct twinos_os *os, u64 now)
{
	const struct twinos_share *share = &os->share;
	unsigned int i;
	int err;

	err = twinos_check_cpus(os, share);
	if (err)
		return err;
	os->shared = twinos_map_slot(os->id, share->window_start);
	if (!os->shared)
		return -ENOMEM;
	err = twinos_write_shared_area(os, now);
	if (err)
		return err;
	os->give_back = false;
	/* The others first: the one that boots may start them at once. */
	for (i = 1; i < share->nr_cpus; i++) {
		err = lend(share->cpus[i]);
		if (err)
			goto undo;
	}
	err = twinos_lend_cpu(os, share->cpus[0]);
	if (err)
		goto undo;
	os->running = true;
	os->loaded = false;
	os->launched = true;
	os->shared->first_return_tsc = rdtsc();
	twinos_sysfs_notify(os);
	return 0;
undo:
	while (--i)
		twinos_reclaim_cpu(share->cpus[i]);
	return err;
}

/** twinos_stop_cpus() - INIT to all CPUs of an OS; does nothing for one that shares a CPU */
void twinos_stop_cpus(const struct twinos_os *os)
{
	unsigned int i;

	if (os->mode == TWINOS_DEDICATED)
		for (i = 0; i < os->share.nr_cpus; i++)
			init_cpu(os->share.cpus[i]);
}

/**
 * twinos_stop_running() - nothing of an OS runs any more, whatever it was doing
 * @os: running, in either mode
 * @reason: noted if it has not ended by itself
 *
 * Process context.
 */
void twinos_stop_running(struct twinos_os *os, const char *reason)
{
	enum twinos_state state;
	unsigned long flags;

	if (os->mode == TWINOS_TIME_SHARED)
		twinos_timeshare_end();
	/* A handler of ours could wait for a lock that it holds, see holder_ended(). */
	local_irq_save(flags);
	twinos_stop_cpus(os);
	state = READ_ONCE(os->shared->state);
	if (state == TWINOS_STARTING || state == TWINOS_RUNNING) {
		strscpy(os->shared->reason, reason, sizeof(os->shared->reason));
		WRITE_ONCE(os->shared->state, TWINOS_STOPPED);
	}
	local_irq_restore(flags);
}

/** twinos_take_cpus_back() - bring the stopped CPUs of an OS online */
void twinos_take_cpus_back(struct twinos_os *os)
{
	unsigned int i;

	for (i = 0; i < os->share.nr_cpus; i++)
		twinos_reclaim_cpu(os->share.cpus[i]);
}

/* Somebody has rung: deal with every OS on CPUs of its own that has ended. */
static void answer_doorbell(struct work_struct *work)
{
	struct twinos_os *os;

	mutex_lock(&twinos_mutex);
	list_for_each_entry(os, &twinos_oses, list)
		if (os->running && os->mode == TWINOS_DEDICATED &&
		    twinos_get_state(os) > TWINOS_RUNNING)
			twinos_end(os);
	mutex_unlock(&twinos_mutex);
}

static DECLARE_WORK(doorbell_work, answer_doorbell);

/**
 * twinos_leading_interrupt() - X86_PLATFORM_IPI_VECTOR in the leading OS
 *
 * Hard interrupt context, after EOI.
 */
void twinos_leading_interrupt(void)
{
	if (READ_ONCE(twinos_common->doorbell)) {
		WRITE_ONCE(twinos_common->doorbell, 0);
		/* Orders the store before what the work reads of the states. */
		smp_mb();
		queue_work(system_unbound_wq, &doorbell_work);
	}
}

static void ask_here(void *vector)
{
	twinos_ask((unsigned long)vector);
}

/**
 * twinos_request() - ask a coexisting OS to do something
 *
 * Process context. It looks at the request in the interrupt that this raises.
 */
void twinos_request(const struct twinos_os *os, enum twinos_request request)
{
	WRITE_ONCE(os->shared->request, request);
	smp_mb();	/* before the interrupt */
	if (os->mode == TWINOS_TIME_SHARED) {
		smp_call_function_single(TWINOS_SHARED_CPU, ask_here,
					 (void *)X86_PLATFORM_IPI_VECTOR, true);
		return;
	}
	twinos_ring(cpu_physical_id(os->share.cpus[0]));
}

/** twinos_stop() - ask a coexisting OS to shut down. Process context. Returns 0. */
int twinos_stop(struct twinos_os *os)
{
	os->give_back = true;
	twinos_request(os, TWINOS_REQUEST_STOP);
	return 0;
}

/**
 * twinos_kill() - end a running OS without asking it
 *
 * Process context, twinos_mutex held. Returns 0 when everything is back.
 */
int twinos_kill(struct twinos_os *os)
{
	twinos_stop_running(os, "killed");
	os->give_back = true;
	twinos_end(os);
	return 0;
}
