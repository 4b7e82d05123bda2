// SPDX-License-Identifier: GPL-2.0
/*
 * How a coexisting OS ends: by itself, because it is asked to, because it is killed, or with this
 * one. Its CPUs, devices and pins come back, and the log says what happened.
 */
#include <linux/mm.h>
#include <linux/reboot.h>
#include <linux/suspend.h>

#include "leading.h"
#include "../both/terminal.h"
#include "../both/trace.h"

/* Of the OS moved last: its interrupts come to the shared CPU until they are pointed to its own. */
struct twinos_shared *twinos_in_motion;

#define LAST_BYTES	1023

static void log_last_lines(const struct twinos_shared *shared)
{
	u64 size = min_t(u64, shared->output.head, TWINOS_RING_SIZE);
	char *text = kzalloc(LAST_BYTES + 1, GFP_KERNEL), *rest = text, *line;

	if (!text)
		return;
	twinos_ring_read(shared, text, size > LAST_BYTES ? size - LAST_BYTES : 0, LAST_BYTES);
	if (size > LAST_BYTES && strchr(text, '\n'))
		strsep(&rest, "\n");	/* begin with a whole line */
	while ((line = strsep(&rest, "\r\n")))
		if (*line)
			pr_info("  %s\n", line);
	kfree(text);
}

/* What it has written last is kept: its window may be another's soon. */
static void note_end(struct twinos_os *os)
{
	const struct twinos_shared *shared = os->shared;

	os->ended = READ_ONCE(shared->state);
	strscpy(os->reason, shared->reason);
	if (os->ended == TWINOS_STOPPED) {
		pr_info("coexisting OS %u has stopped: %s\n", os->id, os->reason);
		return;
	}
	if (os->ended != TWINOS_CRASHED)
		os->ended = TWINOS_HUNG;
	if (!os->reason[0])
		strscpy(os->reason, "hung before it had exception handlers of its own");
	pr_err("coexisting OS %u %s: %s; its last lines:\n", os->id,
	       os->ended == TWINOS_HUNG ? "hung" : "has crashed", os->reason);
	log_last_lines(shared);
}

/**
 * twinos_end() - deal with the end of a running OS: its state says how it has ended
 *
 * CPUs come back, devices are made quiet and stay reserved for the next launch, or return to this
 * OS if that is wanted. Process context, twinos_mutex held.
 */
void twinos_end(struct twinos_os *os)
{
	twinos_stop_cpus(os);
	twinos_break_locks(os->id);
	if (twinos_in_motion == os->shared)
		WRITE_ONCE(twinos_in_motion, NULL);
	note_end(os);
	twinos_link_close(os);
	twinos_terminal_close(os);
	twinos_route_pins(os, BAD_APICID);
	twinos_remap_close(os->id);
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

/** twinos_unload() - forget an OS that does not run. ENOENT for NULL, EBUSY. twinos_mutex held. */
int twinos_unload(struct twinos_os *os)
{
	if (!os)
		return -ENOENT;
	if (os->running)
		return -EBUSY;
	twinos_give_resources(os);
	twinos_terminal_delete(os);
	twinos_link_delete(os);
	if (os->id != TWINOS_ID_DEFAULT) {
		list_del(&os->list);
		kobject_put(&os->kobj);		/* frees it */
		return 0;
	}
	os->loaded = false;
	os->launched = false;
	os->reason[0] = 0;
	memset(&os->share, 0, sizeof(os->share));
	twinos_notify(os);
	return 0;
}

/* Whatever an OS was doing. @reason is noted if it has not ended by itself. Process context. */
static void stop_running(struct twinos_os *os, const char *reason)
{
	enum twinos_state state;

	if (os->mode == TWINOS_TIME_SHARED)
		smp_call_function_single(TWINOS_SHARED_CPU, twinos_timeshare_end, NULL, true);
	/* A handler of ours could wait for a lock that it holds, see holder_ended(). */
	guard(irqsave)();
	twinos_stop_cpus(os);
	state = READ_ONCE(os->shared->state);
	if (state == TWINOS_STARTING || state == TWINOS_RUNNING) {
		strscpy(os->shared->reason, reason);
		WRITE_ONCE(os->shared->state, TWINOS_STOPPED);
	}
}

/** twinos_kill() - end a running OS without asking it. Process context, twinos_mutex held. */
void twinos_kill(struct twinos_os *os, const char *reason)
{
	stop_running(os, reason);
	os->give_back = true;
	twinos_end(os);
}

/* Is there news of a running OS? Its next output is, if somebody waits. */
static bool has_news(const struct twinos_os *os)
{
	/* Who comes to wait after this looks by himself. */
	if (waitqueue_active(&twinos_watchers))
		/* Before what it has printed is looked at. */
		xchg(&os->shared->output.data_wanted, 1);
	return twinos_get_state(os) != os->told ||
	       READ_ONCE(os->shared->output.head) != os->told_bytes;
}

/* Somebody has rung: deal with every OS that has ended, is to, has begun to run or has printed. */
static void answer_doorbell(struct work_struct *work)
{
	struct twinos_os *os;

	guard(mutex)(&twinos_mutex);
	list_for_each_entry(os, &twinos_oses, list) {
		bool lost = test_bit(os->id, twinos_losers);

		if (os->running && lost)
			twinos_kill(os, "lost a PCI function");
		else if (os->running && twinos_get_state(os) > TWINOS_RUNNING)
			twinos_end(os);
		else if (os->running && has_news(os))
			twinos_notify(os);
		if (lost)
			clear_and_wake_up_bit(os->id, twinos_losers);
	}
}

static DECLARE_WORK(doorbell_work, answer_doorbell);

/** twinos_answer_doorbell() - what has an OS rung for? Hard interrupt context, after EOI. */
void twinos_answer_doorbell(void)
{
	unsigned long rung = 0;
	unsigned int bit;

	if (READ_ONCE(twinos_common->rung))
		rung = xchg(&twinos_common->rung, 0);
	for_each_set_bit(bit, &rung, TWINOS_MAX_ID) {
		trace_twinos_ring(bit + 1, false);
		twinos_link_rung(bit + 1);
		twinos_terminal_answer(bit + 1);
		twinos_remap_answer(bit + 1);
	}
	if (READ_ONCE(twinos_common->doorbell)) {
		WRITE_ONCE(twinos_common->doorbell, 0);
		/* Orders the store before what the work reads of the states. */
		smp_mb();
		queue_work(system_unbound_wq, &doorbell_work);
	}
}

/*
 * This OS restarts, halts or kexecs: what the coexisting ones are using would live on in the next
 * kernel, whose memory theirs may be, and the guard's NMI would find it without a handler.
 */
static int leading_ends(struct notifier_block *nb, unsigned long event, void *cmd)
{
	struct twinos_os *os;

	guard(mutex)(&twinos_mutex);
	list_for_each_entry(os, &twinos_oses, list) {
		if (!os->running)
			continue;
		pr_notice("coexisting OS %u ends with this one\n", os->id);
		stop_running(os, "the leading OS has ended");
		twinos_break_locks(os->id);
		if (os->mode == TWINOS_TIME_SHARED)
			twinos_guard_disarm();
		twinos_remap_close(os->id);
		twinos_pci_quiesce(os->id);
	}
	return NOTIFY_DONE;
}

/*
 * Nobody could put the devices and CPUs of another kernel to sleep; and hibernation
 * keeps nothing that is in a window. What is left there of an OS that has ended goes.
 */
static int leading_sleeps(struct notifier_block *nb, unsigned long event, void *unused)
{
	bool suspend = event == PM_SUSPEND_PREPARE;
	struct twinos_os *os, *next;
	int ret = NOTIFY_DONE;

	if (!suspend && event != PM_HIBERNATION_PREPARE && event != PM_RESTORE_PREPARE)
		return NOTIFY_DONE;
	guard(mutex)(&twinos_mutex);
	list_for_each_entry_safe(os, next, &twinos_oses, list) {
		const char *what = os->running ? "is running" :
				   os->loaded && !suspend ? "is loaded" :
				   os->nr_pins || twinos_pci_count(os->id) ? "has devices" : NULL;

		if (what) {
			pr_err("coexisting OS %u %s; %s it before this one sleeps\n", os->id,
			       what, os->running ? "stop" : "unload");
			ret = NOTIFY_BAD;
		} else if (!suspend) {
			twinos_unload(os);
		}
	}
	return ret;
}

/** twinos_end_init() - watch what this OS does to the others. Boot time. */
void __init twinos_end_init(void)
{
	static struct notifier_block ends = { .notifier_call = leading_ends };

	register_reboot_notifier(&ends);
	pm_notifier(leading_sleeps, 0);
}

/** twinos_request() - ask an OS to do something, which it sees in an interrupt. Process context. */
void twinos_request(const struct twinos_os *os, enum twinos_request request)
{
	WRITE_ONCE(os->shared->request, request);
	smp_mb();	/* before the interrupt */
	twinos_ring_os(os);
}
