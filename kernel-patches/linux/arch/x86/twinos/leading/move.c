// SPDX-License-Identifier: GPL-2.0
/*
 * Moving a running coexisting OS to another CPU: from the shared one to one of
 * its own, and back. The OS leaves its CPU as at an OS switch, with its state
 * saved in its own memory, and goes on where the leading OS lets it. The pins of its
 * share, which the leading OS routes, follow it.
 */
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/workqueue.h>
#include <asm/apic.h>
#include <asm/processor.h>
#include <asm/smp.h>

#include "leading.h"

/**
 * twinos_stray_vector() - an interrupt of no OS that shares this CPU
 *
 * Of one that is being moved, or has ended. Hard interrupt context, after EOI.
 */
void twinos_stray_vector(unsigned int vector)
{
	/* Ends at any moment, on another CPU. */
	struct twinos_shared *shared = READ_ONCE(twinos_in_motion);

	if (!shared)
		return;
	twinos_note(&shared->side[TWINOS_COEXISTING], vector);
	/* If its APIC does not listen yet, it looks before it goes on. */
	if (READ_ONCE(shared->mode) == TWINOS_DEDICATED)
		twinos_ring(shared->apic_ids[0]);
}

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
	twinos_route_pins(os, os->shared->apic_ids[0]);
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
	twinos_route_pins(os, os->shared->leading_apic_id);
	twinos_request(os, TWINOS_REQUEST_PARK);
	while (!READ_ONCE(os->shared->parked)) {
		if (ktime_after(ktime_get(), limit) &&
		    cmpxchg(&os->shared->request, TWINOS_REQUEST_PARK,
			    TWINOS_REQUEST_NONE) == TWINOS_REQUEST_PARK) {
			pr_err("coexisting OS %u does not leave its CPU\n", os->id);
			twinos_route_pins(os, os->shared->apic_ids[0]);
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
	twinos_guard_start();
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
		twinos_route_pins(os, os->shared->apic_ids[0]);
		twinos_reclaim_cpu(old);
		return 0;
	}
	/* Back to where it was, which this OS has to have for a moment. */
	set_place(os, TWINOS_DEDICATED, cpu_physical_id(old));
	os->share.cpus[0] = old;
	twinos_reclaim_cpu(old);
	if (!twinos_lend_cpu(os, old)) {
		twinos_route_pins(os, os->shared->apic_ids[0]);
		return err;
	}
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
	twinos_notify(os);
	return err;
}
