// SPDX-License-Identifier: GPL-2.0
/*
 * How a coexisting OS ends: by itself, because it is asked to, because it is
 * killed, or with this one. Its CPUs, devices and pins come back, and the log says
 * what happened.
 */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/reboot.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/suspend.h>
#include <linux/workqueue.h>
#include <asm/irq_vectors.h>

#include "leading.h"

/*
 * The shared page of the OS that has been moved last: its interrupts come to
 * the shared CPU until it has pointed its devices to its own.
 */
struct twinos_shared *twinos_in_motion;

static void log_last_lines(const struct twinos_shared *shared)
{
	char *text = kmalloc(1024, GFP_KERNEL), *line, *next;
	u64 size = min_t(u64, shared->ring_head, TWINOS_RING_SIZE);
	size_t n;

	if (!text)
		return;
	n = twinos_ring_read(shared, text, size > 1023 ? size - 1023 : 0, 1023);
	text[n] = 0;
	line = text;
	if (n == 1023) {	/* begin with a whole line */
		line = strchr(text, '\n');
		line = line ? line + 1 : text;
	}
	while ((next = strsep(&line, "\n")))
		if (*next)
			pr_info("  %s\n", next);
	kfree(text);
}

/* What it has written last is kept: its window may be another's soon. */
static void note_end(struct twinos_os *os)
{
	const struct twinos_shared *shared = os->shared;

	os->ended = READ_ONCE(shared->state);
	strscpy(os->reason, shared->reason, sizeof(os->reason));
	if (os->ended == TWINOS_STOPPED) {
		pr_info("coexisting OS %u has stopped: %s\n", os->id, os->reason);
		return;
	}
	if (os->ended != TWINOS_CRASHED)
		os->ended = TWINOS_HUNG;
	if (!os->reason[0])
		strscpy(os->reason, "hung before it had exception handlers of its own",
			sizeof(os->reason));
	pr_err("coexisting OS %u %s: %s; its last lines:\n", os->id,
	       os->ended == TWINOS_HUNG ? "hung" : "has crashed", os->reason);
	log_last_lines(shared);
}

/**
 * twinos_end() - deal with the end of a coexisting OS
 * @os: its state says how it has ended, and nothing of it will run again
 *
 * Process context, twinos_mutex held. CPUs come back, devices are made quiet
 * and stay reserved for the next launch, or return to this OS if that is
 * wanted.
 */
void twinos_end(struct twinos_os *os)
{
	if (!os->running)
		return;
	twinos_stop_cpus(os);
	twinos_break_locks(os->id);
	if (twinos_in_motion == os->shared)
		WRITE_ONCE(twinos_in_motion, NULL);
	note_end(os);
	twinos_mask_pins(os);
	twinos_pci_quiesce(os->id);
	if (os->mode == TWINOS_DEDICATED)
		twinos_take_cpus_back(os);
	else
		twinos_finish_sharing();
	os->running = false;
	put_pages_list(&os->launch_tables);
	if (os->give_back)
		twinos_give_resources(os);
	twinos_notify(os);
}

/*
 * Nothing of an OS runs any more afterwards, in either mode and whatever it was doing.
 * @reason is noted if it has not ended by itself. Process context.
 */
static void stop_running(struct twinos_os *os, const char *reason)
{
	enum twinos_state state;
	unsigned long flags;

	if (os->mode == TWINOS_TIME_SHARED)
		smp_call_function_single(TWINOS_SHARED_CPU, twinos_timeshare_end, NULL, true);
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

/* Somebody has rung: deal with every OS that has ended, or is to. */
static void answer_doorbell(struct work_struct *work)
{
	struct twinos_os *os;

	mutex_lock(&twinos_mutex);
	list_for_each_entry(os, &twinos_oses, list) {
		if (os->running && twinos_pci_lost(os->id)) {
			stop_running(os, "lost a PCI function");
			os->give_back = true;
		}
		if (os->running && twinos_get_state(os) > TWINOS_RUNNING)
			twinos_end(os);
	}
	twinos_pci_losses_handled();
	mutex_unlock(&twinos_mutex);
}

static DECLARE_WORK(doorbell_work, answer_doorbell);

/** twinos_answer_doorbell() - has an OS ended? Hard interrupt context, after EOI. */
void twinos_answer_doorbell(void)
{
	if (READ_ONCE(twinos_common->doorbell)) {
		WRITE_ONCE(twinos_common->doorbell, 0);
		/* Orders the store before what the work reads of the states. */
		smp_mb();
		queue_work(system_unbound_wq, &doorbell_work);
	}
}

/*
 * This OS restarts, halts or kexecs: what the coexisting ones are using would
 * live on in the next kernel, and the guard's NMI would find it without a
 * handler. Their memory may be the next kernel's.
 */
static int leading_ends(struct notifier_block *nb, unsigned long event, void *cmd)
{
	struct twinos_os *os;

	mutex_lock(&twinos_mutex);
	list_for_each_entry(os, &twinos_oses, list) {
		if (!os->running)
			continue;
		pr_notice("coexisting OS %u ends with this one\n", os->id);
		stop_running(os, "the leading OS has ended");
		twinos_break_locks(os->id);
		if (os->mode == TWINOS_TIME_SHARED)
			twinos_guard_disarm();
		twinos_pci_quiesce(os->id);
	}
	mutex_unlock(&twinos_mutex);
	return NOTIFY_DONE;
}

static struct notifier_block leading_ends_block = { .notifier_call = leading_ends };

/*
 * Nobody could put the devices and CPUs of another kernel to sleep; and hibernation
 * keeps nothing that is in a window. What is left there of an OS that has ended goes.
 */
static int leading_sleeps(struct notifier_block *nb, unsigned long event, void *unused)
{
	struct twinos_os *os, *next;
	int ret = NOTIFY_DONE;

	if (event != PM_SUSPEND_PREPARE && event != PM_HIBERNATION_PREPARE &&
	    event != PM_RESTORE_PREPARE)
		return NOTIFY_DONE;
	mutex_lock(&twinos_mutex);
	list_for_each_entry_safe(os, next, &twinos_oses, list) {
		bool loses = os->loaded && event != PM_SUSPEND_PREPARE;

		if (os->running || loses || os->nr_pins || twinos_pci_count(os->id)) {
			pr_err("coexisting OS %u %s; %s it before this one sleeps\n", os->id,
			       os->running ? "is running" : loses ? "is loaded" : "has devices",
			       os->running ? "stop" : "unload");
			ret = NOTIFY_BAD;
		} else if (event != PM_SUSPEND_PREPARE) {
			twinos_forget(os);
		}
	}
	mutex_unlock(&twinos_mutex);
	return ret;
}

static struct notifier_block leading_sleeps_block = { .notifier_call = leading_sleeps };

/** twinos_end_init() - watch what this OS does to the others. Boot time. */
void __init twinos_end_init(void)
{
	register_reboot_notifier(&leading_ends_block);
	register_pm_notifier(&leading_sleeps_block);
}

static void ask_here(void *unused)
{
	twinos_note_for_other(X86_PLATFORM_IPI_VECTOR);
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
		smp_call_function_single(TWINOS_SHARED_CPU, ask_here, NULL, true);
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
	stop_running(os, "killed");
	os->give_back = true;
	twinos_end(os);
	return 0;
}
