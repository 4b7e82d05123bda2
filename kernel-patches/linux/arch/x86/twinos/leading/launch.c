// SPDX-License-Identifier: GPL-2.0
/*
 * The launch of a coexisting OS by the leading one. Nothing is shut down for it: no device, no
 * process, no timer notices more than that the CPU was away for a moment.
 */
#include <linux/cpuidle.h>
#include <linux/mm.h>
#include <asm/mce.h>

#include "leading.h"

/* The OS that shares the boot CPU, or NULL. Protected by twinos_mutex. */
struct twinos_os *twinos_timeshared;

/*
 * Every idle moment of a shared CPU is to be given away, so its idle loop must end in
 * twinos_idle(). A CPU without a cpuidle device does, and nobody who pauses and resumes cpuidle, or
 * enables a device again, gives it one.
 */
static void gate_cpuidle(bool closed)
{
#ifdef CONFIG_CPU_IDLE
	static struct cpuidle_device *device;

	if (closed) {
		device = per_cpu(cpuidle_devices, TWINOS_SHARED_CPU);
		WRITE_ONCE(per_cpu(cpuidle_devices, TWINOS_SHARED_CPU), NULL);
	} else if (device && device->registered) {
		WRITE_ONCE(per_cpu(cpuidle_devices, TWINOS_SHARED_CPU), device);
	}
#endif
}

/**
 * twinos_prepare_sharing() - make this CPU one that @os can share
 *
 * On the shared CPU, process context, twinos_mutex held, the shared page mapped. Returns 0, ENODEV
 * if the timer cannot be shared, EOPNOTSUPP if the CPU's state cannot, ENOMEM.
 */
int twinos_prepare_sharing(struct twinos_os *os)
{
	int err;

	if (!twinos_state_valid())
		return -EOPNOTSUPP;
	if (!twinos_map_slot(0, os->share.window_start))
		return -ENOMEM;
	twinos_share_cpu_with(os->id);
	err = twinos_timer_init(os->shared) ?: twinos_vectors_init() ?: twinos_start_giver();
	if (err)
		return err;
	twinos_timeshared = os;
	twinos_note_ipis(true);
	twinos_guard_arm();
	gate_cpuidle(true);
	return 0;
}

/** twinos_finish_sharing() - the counterpart: no OS shares the CPU any more */
void twinos_finish_sharing(void)
{
	twinos_guard_disarm();
	gate_cpuidle(false);
	twinos_note_ipis(false);
	twinos_timeshared = NULL;
}

/*
 * Intel's CPUs tell a machine check to all others, unless it is a local one. A kernel that finds no
 * error of its own then takes that for a fatal one.
 */
static void warn_about_machine_checks(void)
{
#ifdef CONFIG_X86_MCE_INTEL
	u64 cap, control = 0;

	if (boot_cpu_data.x86_vendor != X86_VENDOR_INTEL || !boot_cpu_has(X86_FEATURE_MCA))
		return;
	rdmsrl(MSR_IA32_MCG_CAP, cap);
	if (cap & MCG_LMCE_P)
		rdmsrl(MSR_IA32_MCG_EXT_CTL, control);
	if (!(control & MCG_EXT_CTL_LMCE_EN))
		pr_warn_once("machine checks are not local on this machine: an error of one OS can end the others\n");
#endif
}

static long launch_here(void *data)
{
	struct twinos_os *os = data;
	int err = twinos_prepare_sharing(os);

	if (err)
		return err;
	guard(irq)();
	os->shared->enter_tsc = rdtsc();
	twinos_first_switch();
	os->shared->first_return_tsc = rdtsc();
	twinos_guard_start();
	return 0;
}

static int launch_dedicated(struct twinos_os *os)
{
	unsigned int i, n = os->share.nr_cpus;
	int err = 0;

	/* The CPU that boots comes last: it may start the others at once. */
	for (i = 1; i <= n && !err; i++)
		err = twinos_lend_cpu(i < n ? NULL : os, os->share.cpus[i % n]);
	if (err) {
		twinos_take_cpus_back(os);
		return err;
	}
	os->shared->first_return_tsc = rdtsc();
	return 0;
}

/**
 * twinos_launch() - start the loaded image
 * @os: loaded, not running
 * @now: TSC when it was asked for
 *
 * Process context, twinos_mutex held. Returns 0 when the coexisting OS boots, and on a shared CPU
 * this one has control again; or an errno with everything as it was: EBUSY if another OS shares the
 * CPU, ENODEV, ECANCELED if a CPU cannot be taken offline, EOPNOTSUPP, ENOMEM.
 */
int twinos_launch(struct twinos_os *os, u64 now)
{
	bool shared = !os->share.nr_cpus;
	int err;

	if (shared && twinos_timeshared) {
		pr_err("coexisting OS %u shares the CPU already; give this one its own (--twinos-cpus)\n",
		       twinos_timeshared->id);
		return -EBUSY;
	}
	err = twinos_check_cpus(os, &os->share);
	if (err)
		return err;
	os->shared = twinos_map_slot(os->id, os->share.window_start);
	if (!os->shared)
		return -ENOMEM;
	err = twinos_write_shared_area(os, now);
	if (!err) {
		twinos_terminal_open(os);
		twinos_link_open(os);
		warn_about_machine_checks();
		os->give_back = false;
		os->running = true;
		twinos_route_pins(os, os->shared->apic_ids[0]);
		os->shared->remapping.on = twinos_remap_open(os, false);
		err = shared ? work_on_cpu(TWINOS_SHARED_CPU, launch_here, os) :
			       launch_dedicated(os);
	}
	os->loaded = err;
	os->running = !err;
	os->launched |= !err;
	if (err) {
		twinos_route_pins(os, BAD_APICID);
		twinos_remap_close(os->id);
		put_pages_list(&os->launch_tables);
		twinos_link_close(os);
		twinos_terminal_close(os);
	}
	twinos_notify(os);
	return err;
}
