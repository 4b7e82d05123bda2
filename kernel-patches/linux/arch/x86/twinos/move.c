// SPDX-License-Identifier: GPL-2.0
/*
 * Moving a running coexisting OS to another CPU: from the shared one to one of
 * its own, and back. The OS leaves its CPU as at an OS switch, with its state
 * saved in its own memory, and goes on where the leading OS lets it. What it
 * must then set right is what belongs to the CPU and not to the OS: the local
 * APIC, and the APIC ID that its devices send their interrupts to.
 */
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irq_work.h>
#include <linux/irqdesc.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/reboot.h>
#include <linux/smp.h>
#include <linux/workqueue.h>
#include <asm/apic.h>
#include <asm/hw_irq.h>
#include <asm/irq_vectors.h>
#include <asm/processor.h>
#include <asm/smp.h>

#include "twinos.h"

/* ---- the coexisting OS ---- */

/* Where the interrupts of our devices go; physical APIC ID. */
static u32 target = BAD_APICID;

static void retarget_interrupt(unsigned int irq)
{
	struct irq_desc *desc = irq_to_desc(irq);
	struct irq_data *data;
	struct irq_cfg *cfg;
	unsigned long flags;

	if (!desc)
		return;
	raw_spin_lock_irqsave(&desc->lock, flags);
	data = irq_desc_get_irq_data(desc);
	cfg = irqd_cfg(data);
	if (desc->action && cfg && cfg->vector && irqd_is_activated(data) &&
	    data->chip->irq_set_affinity) {
		cfg->dest_apicid = target;
		data->chip->irq_set_affinity(data, cpumask_of(0), true);
	}
	raw_spin_unlock_irqrestore(&desc->lock, flags);
}

/* Hard interrupt context. */
static void retarget_interrupts(u32 apic_id)
{
	unsigned int irq;

	if (target == apic_id)
		return;
	target = apic_id;
	for (irq = 0; irq < nr_irqs; irq++)
		retarget_interrupt(irq);
}

static void retarget_here(struct irq_work *work)
{
	retarget_interrupts(cpu_physical_id(0));
}

static DEFINE_IRQ_WORK(retarget_work, retarget_here);

/* As setup_local_APIC() leaves it; the CPU was dead in the leading OS. */
static void set_up_lapic(void)
{
	twinos_lapic_write(APIC_TASKPRI, 0x10);
	twinos_lapic_write(APIC_SPIV, APIC_SPIV_APIC_ENABLED | SPURIOUS_APIC_VECTOR);
	twinos_lapic_write(APIC_LVT0, APIC_DM_EXTINT | APIC_LVT_MASKED);
	twinos_lapic_write(APIC_LVT1, APIC_DM_NMI | APIC_LVT_MASKED);
	twinos_lapic_write(APIC_LVTERR, ERROR_APIC_VECTOR);
}

/**
 * twinos_moved() - coexisting OS: it finds itself on another CPU
 *
 * Interrupts off, right after the CPU state has been loaded.
 */
void twinos_moved(void)
{
	u32 apic_id = twinos_shared()->apic_ids[0];

	per_cpu(x86_cpu_to_apicid, 0) = apic_id;
	cpu_data(0).topo.apicid = apic_id;
	if (twinos_dedicated())
		set_up_lapic();
	irq_work_queue(&retarget_work);
}

/*
 * Leave this CPU; returns on another one. In an interrupt, after EOI. Our
 * interrupts go to the leading OS meanwhile, which notes them.
 */
static void park(void)
{
	twinos_me()->idle = false;
	retarget_interrupts(twinos_shared()->leading_apic_id);
	twinos_fault_at("park");
	mdelay(1);	/* for what was on its way here, as in fixup_irqs() */
	twinos_keep_pending();
	twinos_park_cpu_state();
	twinos_moved();
	if (!twinos_dedicated())
		twinos_timeshare_resume();
	else
		twinos_timer_restart();
	twinos_raise_pending();
}

static void shut_down(struct work_struct *work)
{
	pr_info("the leading OS asks for a shutdown\n");
	orderly_poweroff(true);
}

static DECLARE_WORK(shut_down_work, shut_down);

/* Asked to while it boots: with nothing there yet that could be shut down. */
static bool stop_early;

/** twinos_boot_done() - coexisting OS: can be shut down from now on. Process context. */
void twinos_boot_done(void)
{
	WRITE_ONCE(twinos_shared()->state, TWINOS_RUNNING);
	/* Whoever asks now sees the state; who asked before has left a note. */
	smp_mb();
	if (READ_ONCE(stop_early))
		schedule_work(&shut_down_work);
}

/**
 * twinos_coexisting_interrupt() - X86_PLATFORM_IPI_VECTOR in a coexisting OS
 *
 * Hard interrupt context, after EOI.
 */
void twinos_coexisting_interrupt(void)
{
	u32 *request = &twinos_shared()->request;

	if (unlikely(READ_ONCE(*request))) {
		switch (xchg(request, TWINOS_REQUEST_NONE)) {
		case TWINOS_REQUEST_STOP:
			WRITE_ONCE(stop_early, true);
			smp_mb();	/* pairs with twinos_boot_done() */
			if (READ_ONCE(twinos_shared()->state) == TWINOS_RUNNING)
				schedule_work(&shut_down_work);
			break;
		case TWINOS_REQUEST_PARK:
			if (twinos_dedicated())
				park();
			break;
		}
	}
	if (twinos_dedicated())
		twinos_raise_pending();
	/* An OS on CPUs of its own has ended, and the leading one must hear it. */
	if (unlikely(READ_ONCE(twinos_common->doorbell)))
		twinos_bounce_ipi(X86_PLATFORM_IPI_VECTOR);
}

/* ---- the leading OS ---- */

/* Where an OS goes on that does not run at present. */
static void set_place(struct twinos_os *os, enum twinos_mode mode, u32 apic_id)
{
	twinos_set_mode(os, mode);
	os->shared->apic_ids[0] = apic_id;
	os->shared->moves++;
	os->shared->parked = 0;
}

static void go_on_sharing(void *unused)
{
	twinos_timeshare_resume();
}

static int to_own_cpu(struct twinos_os *os, unsigned int cpu)
{
	u32 shared_apic_id = os->shared->apic_ids[0];
	int err;

	WRITE_ONCE(twinos_in_motion, os->shared);
	twinos_timeshare_end();
	if (READ_ONCE(os->shared->state) != TWINOS_RUNNING)
		return -ESRCH;		/* has ended, twinos_end() is on its way */
	set_place(os, TWINOS_DEDICATED, cpu_physical_id(cpu));
	os->share.nr_cpus = 1;
	os->share.cpus[0] = cpu;
	err = twinos_lend_cpu(os, cpu);
	if (err) {
		set_place(os, TWINOS_TIME_SHARED, shared_apic_id);
		os->share.nr_cpus = 0;
		smp_call_function_single(TWINOS_SHARED_CPU, go_on_sharing, NULL, true);
		return err;
	}
	twinos_finish_sharing();
	return 0;
}

/* There is no way back: twinos_move() ends it. */
static int lost(struct twinos_os *os, enum twinos_state state, const char *reason)
{
	strscpy(os->shared->reason, reason, sizeof(os->shared->reason));
	WRITE_ONCE(os->shared->state, state);
	return -EIO;
}

/*
 * Let it leave its own CPU. Returns 0, ETIMEDOUT if it does not hear, ESRCH if it
 * has ended, EIO if it hung on the way.
 */
static int park_os(struct twinos_os *os)
{
	ktime_t limit = ktime_add_ms(ktime_get(), 1000);
	ktime_t end = ktime_add_ms(limit, 1000);

	os->shared->parked = 0;
	WRITE_ONCE(twinos_in_motion, os->shared);
	twinos_request(os, TWINOS_REQUEST_PARK);
	while (!READ_ONCE(os->shared->parked)) {
		if (ktime_after(ktime_get(), limit) &&
		    cmpxchg(&os->shared->request, TWINOS_REQUEST_PARK,
			    TWINOS_REQUEST_NONE) == TWINOS_REQUEST_PARK) {
			pr_err("coexisting OS %u does not leave its CPU\n", os->id);
			return -ETIMEDOUT;
		}
		if (READ_ONCE(os->shared->state) != TWINOS_RUNNING)
			return -ESRCH;
		if (ktime_after(ktime_get(), end))
			return lost(os, TWINOS_HUNG, "hung in a move");
		usleep_range(50, 100);
	}
	twinos_stop_cpus(os);
	return 0;
}

static long share_here(void *data)
{
	struct twinos_os *os = data;
	int err = twinos_prepare_sharing(os);

	if (err)
		return err;
	err = park_os(os);
	if (err) {
		twinos_finish_sharing();
		return err;
	}
	set_place(os, TWINOS_TIME_SHARED, os->shared->leading_apic_id);
	os->shared->side[TWINOS_LEADING].vrun = 0;
	os->shared->side[TWINOS_COEXISTING].vrun = 0;
	local_irq_disable();
	twinos_first_switch();
	local_irq_enable();
	return 0;
}

static int to_shared_cpu(struct twinos_os *os)
{
	unsigned int cpu = os->share.cpus[0];
	int err;

	err = work_on_cpu(TWINOS_SHARED_CPU, share_here, os);
	if (err)
		return err;
	os->share.nr_cpus = 0;
	twinos_reclaim_cpu(cpu);
	return 0;
}

static long catch_here(void *unused)
{
	return twinos_vectors_init();
}

static int to_another_cpu(struct twinos_os *os, unsigned int cpu)
{
	unsigned int old = os->share.cpus[0];
	int err;

	/* Whose its vectors are is only known as long as nobody else has them. */
	if (twinos_timeshared) {
		pr_err("coexisting OS %u shares CPU %u; move that one first\n",
		       twinos_timeshared->id, TWINOS_SHARED_CPU);
		return -EBUSY;
	}
	err = work_on_cpu(TWINOS_SHARED_CPU, catch_here, NULL);
	if (!err)
		err = park_os(os);
	if (err)
		return err;
	set_place(os, TWINOS_DEDICATED, cpu_physical_id(cpu));
	os->share.cpus[0] = cpu;
	err = twinos_lend_cpu(os, cpu);
	if (!err) {
		twinos_reclaim_cpu(old);
		return 0;
	}
	/* Back to where it was, which this OS has to have for a moment. */
	set_place(os, TWINOS_DEDICATED, cpu_physical_id(old));
	os->share.cpus[0] = old;
	twinos_reclaim_cpu(old);
	if (!twinos_lend_cpu(os, old))
		return err;
	os->share.nr_cpus = 0;
	return lost(os, TWINOS_CRASHED, "lost its CPU in a move");
}

/**
 * twinos_move() - let a running OS continue on another CPU
 * @os: with one CPU
 * @cpu: of this OS, online; 0 to share that one
 *
 * Process context, twinos_mutex held. Returns 0 when it is there, or an errno
 * with everything as it was: ESRCH, EBUSY if another OS shares the CPU,
 * EOPNOTSUPP if it has several CPUs, ENODEV, ECANCELED if the CPU cannot be
 * taken offline, ETIMEDOUT if the OS does not answer. EIO if the OS could
 * neither go nor stay; it has ended then.
 */
int twinos_move(struct twinos_os *os, unsigned int cpu)
{
	struct twinos_share *share;
	int err;

	if (READ_ONCE(os->shared->state) != TWINOS_RUNNING)
		return -ESRCH;
	if (os->share.nr_cpus > 1) {
		pr_err("coexisting OS %u has several CPUs and cannot be moved\n", os->id);
		return -EOPNOTSUPP;
	}
	if (cpu == TWINOS_SHARED_CPU) {
		if (os->mode == TWINOS_TIME_SHARED)
			return 0;
		if (twinos_timeshared) {
			pr_err("coexisting OS %u shares the CPU already\n",
			       twinos_timeshared->id);
			return -EBUSY;
		}
		err = to_shared_cpu(os);
	} else {
		if (os->mode == TWINOS_DEDICATED && os->share.cpus[0] == cpu)
			return 0;
		share = kmemdup(&os->share, sizeof(*share), GFP_KERNEL);
		if (!share)
			return -ENOMEM;
		share->nr_cpus = 1;
		share->cpus[0] = cpu;
		err = twinos_check_cpus(os, share);
		kfree(share);
		if (err)
			return err;
		if (os->mode == TWINOS_TIME_SHARED)
			err = to_own_cpu(os, cpu);
		else
			err = to_another_cpu(os, cpu);
	}
	if (err == -EIO)
		twinos_end(os);
	twinos_sysfs_notify(os);
	return err;
}
