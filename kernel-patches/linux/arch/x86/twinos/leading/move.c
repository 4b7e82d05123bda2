// SPDX-License-Identifier: GPL-2.0
/*
 * Moving a running coexisting OS to another CPU: from the shared one to one of its own, and back.
 * The OS leaves its CPU as at an OS switch, with its state saved in its own memory, and goes on
 * where the leading OS lets it. The pins of its share, which the leading OS routes, follow it.
 */
#include <linux/cpu.h>
#include <linux/ktime.h>

#include "leading.h"

/** twinos_stray_vector() - of an OS that is moved or has ended. Hard interrupt, after EOI. */
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

static int to_own_cpu(struct twinos_os *os, unsigned int cpu)
{
	u32 shared_apic_id = os->shared->apic_ids[0];
	int err;

	WRITE_ONCE(twinos_in_motion, os->shared);
	smp_call_function_single(TWINOS_SHARED_CPU, twinos_timeshare_end, NULL, true);
	if (READ_ONCE(os->shared->state) != TWINOS_RUNNING)
		return -ESRCH;		/* has ended, twinos_end() is on its way */
	set_place(os, TWINOS_DEDICATED, cpu_physical_id(cpu));
	os->share.nr_cpus = 1;
	os->share.cpus[0] = cpu;
	twinos_remap_open(os, true);
	err = twinos_lend_cpu(os, cpu);
	if (err) {
		set_place(os, TWINOS_TIME_SHARED, shared_apic_id);
		os->share.nr_cpus = 0;
		smp_call_function_single(TWINOS_SHARED_CPU, twinos_timeshare_resume, NULL, true);
		return err;
	}
	twinos_route_pins(os, os->shared->apic_ids[0]);
	twinos_finish_sharing();
	return 0;
}

/*
 * Let it leave its own CPU. Returns 0, ETIMEDOUT if it does not hear, ESRCH if it has ended, EIO if
 * it hung on the way.
 */
static int park_os(struct twinos_os *os)
{
	ktime_t limit = ktime_add_ms(ktime_get(), 1000);
	ktime_t end = ktime_add_ms(limit, 1000);

	os->shared->parked = 0;
	WRITE_ONCE(twinos_in_motion, os->shared);
	twinos_route_pins(os, os->shared->leading_apic_id);
	twinos_remap_open(os, true);
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
		if (ktime_after(ktime_get(), end)) {
			/* There is no way back: twinos_move() ends it. */
			strscpy(os->shared->reason, "hung in a move", sizeof(os->shared->reason));
			WRITE_ONCE(os->shared->state, TWINOS_HUNG);
			return -EIO;
		}
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
	guard(irq)();
	twinos_guard_start();
	twinos_first_switch();
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

/**
 * twinos_move() - let a running OS continue on another CPU
 * @os: with one CPU
 * @cpu: of this OS, online; 0 to share that one
 *
 * From one CPU of its own to another by way of the shared one, where it stays if it can neither go
 * on nor back. Process context, twinos_mutex held. Returns 0 or an errno, with everything as it was
 * but for EIO (it hung and has ended): see include/twinos/control.h.
 */
int twinos_move(struct twinos_os *os, unsigned int cpu)
{
	bool dedicated = os->mode == TWINOS_DEDICATED;
	unsigned int old = os->share.cpus[0];
	struct twinos_share share = { .nr_cpus = 1, .cpus = { cpu } };
	int err = 0;

	if (READ_ONCE(os->shared->state) != TWINOS_RUNNING)
		return -ESRCH;
	if (os->share.nr_cpus > 1) {
		pr_err("coexisting OS %u has several CPUs and cannot be moved\n", os->id);
		return -EOPNOTSUPP;
	}
	if (dedicated ? cpu == old : cpu == TWINOS_SHARED_CPU)
		return 0;
	if (cpu != TWINOS_SHARED_CPU)
		err = twinos_check_cpus(os, &share);
	if (err)
		return err;
	/* Whose its vectors are is only known as long as nobody else has them. */
	if (dedicated && twinos_timeshared) {
		pr_err("coexisting OS %u shares CPU %u; move that one first\n",
		       twinos_timeshared->id, TWINOS_SHARED_CPU);
		return -EBUSY;
	}
	if (dedicated)
		err = to_shared_cpu(os);
	if (!err && cpu != TWINOS_SHARED_CPU) {
		err = to_own_cpu(os, cpu);
		if (err && dedicated)
			to_own_cpu(os, old);
	}
	if (err == -EIO) {
		twinos_end(os);
	} else {
		twinos_remap_open(os, false);
		twinos_ring_os(os);	/* a doorbell on the way may have met nobody */
	}
	twinos_notify(os);
	return err;
}
