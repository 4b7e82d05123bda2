// SPDX-License-Identifier: GPL-2.0
/*
 * Two OSes on one CPU: who has it when.
 *
 * The rule: each OS is charged for the CPU time that it uses, divided by its weight. The one that
 * is ahead by half a slice gives way. An OS that has nothing to do gives its CPU away until its
 * next timer event or interrupt. An interrupt of the OS that does not run (a foreign interrupt) is
 * noted for its owner, which gets the CPU for it.
 *
 * Interrupts only find out that the other OS is to have the CPU. It is given away by the idle loop,
 * or by a kernel thread of the highest real-time priority where something else runs: the scheduler
 * then sees to it that no lock is held, no softirq under way and nothing of a task left in the CPU;
 * an OS that is away is idle to its RCU, and its task of a moment ago can run on another CPU. What
 * holds the thread off too long is switched away from in the interrupt.
 */
#include <linux/context_tracking.h>
#include <linux/irq.h>
#include <linux/kernel_stat.h>
#include <linux/kthread.h>
#include <linux/static_call.h>
#include <uapi/linux/sched/types.h>
#include <asm/mce.h>
#include <asm/paravirt.h>

#include "twinos.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/* All times are TSC ticks. */
bool twinos_timesharing;	/* there is another OS to share this CPU with */
static u64 grace_end;		/* until then foreign interrupts wait */
static bool halted;		/* since resumed_tsc, both OSes idle */
static u64 wanted_tsc;		/* since when the CPU is to be given away; 0: it is not */
static u64 stolen_ns;		/* time away that was wanted here, all of it */
static u64 (*host_steal_clock)(int cpu);
static bool switching;		/* between the decision and the account of a switch */

static const struct twinos_role *role;
static struct task_struct *giver;

/* A foreign interrupt buys its owner this part of a slice, half a ms at most. */
#define GRACE_SHIFT	6

/* CPU time that a kernel may take to boot until it has interrupts, in guard_tsc. */
#define BOOT_LIMIT	8

/* What another CPU of the leading OS waits for. */
#define URGENT_VECTORS	(BIT_ULL(CALL_FUNCTION_VECTOR - 192) | \
			 BIT_ULL(CALL_FUNCTION_SINGLE_VECTOR - 192))

/* The other OS can be given the CPU. */
static __always_inline bool other_alive(void)
{
	u32 state = READ_ONCE(twinos_shared()->state);

	return state == TWINOS_STARTING || state == TWINOS_RUNNING;
}

static __always_inline bool has_pending(const struct twinos_side *side)
{
	return READ_ONCE(side->pending[0]) | READ_ONCE(side->pending[1]) |
	       READ_ONCE(side->pending[2]) | READ_ONCE(side->pending[3]) |
	       READ_ONCE(side->held);
}

static __always_inline bool other_wants_cpu(const struct twinos_side *other, u64 now)
{
	return !READ_ONCE(other->idle) || other->wake_tsc <= now || has_pending(other);
}

/* In percent; never a zero of the other OS. */
static __always_inline u32 weight(void)
{
	u32 percent = READ_ONCE(twinos_shared()->weight[twinos_role]);

	return percent - 1 < 99 ? percent : 50;
}

/* CPU time of @me, weighted; the time of a halted CPU is nobody's. */
static __always_inline void charge(struct twinos_side *me, u64 now)
{
	u64 used = now - me->resumed_tsc;

	me->resumed_tsc = now;
	if (halted) {
		halted = false;
		return;
	}
	me->run_tsc += used;
	me->vrun += used * 50 / weight();
}

/** twinos_account() - charge the OS that runs for the time so far. Interrupts off. */
void twinos_account(void *unused)
{
	charge(twinos_me(), rdtsc());
}

/*
 * The slice that is in force: while the coexisting OS boots at most a millisecond, so that the
 * leading OS notices as little as possible of it.
 */
static __always_inline u64 slice(void)
{
	const struct twinos_shared *shared = twinos_shared();

	if (unlikely(shared->state == TWINOS_STARTING))
		return min(shared->slice_tsc, (u64)shared->tsc_khz);
	return shared->slice_tsc;
}

/*
 * How much longer this OS may run while the other one wants the CPU, too. One that is far behind
 * catches up slice by slice.
 */
static __always_inline s64 turn_left(const struct twinos_side *me,
				     const struct twinos_side *other)
{
	s64 behind = other->vrun - me->vrun;
	s64 left = slice() / 2 + min_t(s64, behind, slice() / 2);

	return left * (s64)weight() / 50;
}

static __always_inline s64 grace(void)
{
	return min(slice() >> GRACE_SHIFT, (u64)twinos_shared()->tsc_khz / 2);
}

/*
 * How long what runs may put off that the CPU is given away. Where the leading OS has other CPUs
 * they may wait for a lock that it holds; else nobody does.
 */
static u64 patience(void)
{
	u64 ms = twinos_shared()->tsc_khz;

	return twinos_coexisting() || num_online_cpus() == 1 ? ms / 5 : ms;
}

/*
 * May the other OS's interrupts take the CPU from this one? Not once their owner has had more than
 * its share by two slices: a flood of interrupts must not buy it the CPU.
 */
static bool may_interrupt(const struct twinos_side *me, const struct twinos_side *other)
{
	return (s64)(other->vrun - me->vrun) < 2 * (s64)slice();
}

/*
 * An OS with nothing to run wants the CPU at its next event; one that waits for its turn, or has
 * interrupts waiting, gets it when ours is over.
 */
static void set_turn(u64 now)
{
	const struct twinos_side *other = twinos_other();

	if (!other_wants_cpu(other, now))
		twinos_timer_set_turn(other->wake_tsc);
	else
		twinos_timer_set_turn(now + max(turn_left(twinos_me(), other), grace()));
}

/* ---- the switch ---- */

static void note_departure(struct twinos_side *me, u64 now, bool idle)
{
	charge(me, now);
	me->idle = idle;
	me->wake_tsc = twinos_timer_next;
	me->switches++;
	me->donated += idle;
	if (wanted_tsc)
		me->put_off_max = max(me->put_off_max, now - wanted_tsc);
	wanted_tsc = 0;
	me->switch_tsc = now;
}

static void note_cost(struct twinos_side *me, const struct twinos_side *other)
{
	u64 cost = rdtsc() - other->switch_tsc;

	if (unlikely(cost < me->switch_min))
		me->switch_min = cost;
	if (unlikely(cost > me->switch_max))
		me->switch_max = cost;
	me->switch_sum += cost;
	me->resumed++;
}

/* An idle OS misses the CPU only from its next event on. */
static void note_absence(struct twinos_side *me, u64 left, u64 now, bool idle)
{
	u64 away = now - left;

	if (idle)
		away = now > me->wake_tsc ? now - max(left, me->wake_tsc) : 0;
	if (likely(tsc_khz))	/* not so early in a boot */
		stolen_ns += mul_u64_u32_div(away, NSEC_PER_MSEC, tsc_khz);
	me->away_max = max(me->away_max, away);
	if (unlikely(twinos_shared()->state == TWINOS_STARTING))
		me->launch_away_max = me->away_max;
}

/* The turn of an OS that is back; what came in for it is raised. */
static void begin_turn(struct twinos_side *me, const struct twinos_side *other, u64 now,
		       bool idle)
{
	if (idle)
		me->vrun = max_t(s64, me->vrun, other->vrun - slice() / 2);
	/* Time to handle them, before the other OS's next one takes the CPU. */
	grace_end = 0;
	if (has_pending(me)) {
		twinos_raise_pending();
		grace_end = now + grace();
	}
	set_turn(now);
}

/* There is no other OS any more. This kernel may need its locks at once. */
static void end_sharing(void)
{
	twinos_timesharing = false;
	twinos_timer_set_turn(U64_MAX);
	twinos_break_locks(twinos_shared()->id);
	WRITE_ONCE(twinos_common->doorbell, 1);
	twinos_lapic_send(APIC_DEST_SELF | X86_PLATFORM_IPI_VECTOR, 0);
}

enum how {
	IDLE,		/* this OS has nothing to do */
	BUSY,		/* over a kernel thread */
	OVER_TASK,	/* over whatever runs */
};

static __always_inline unsigned int count_exceptions(void)
{
	return this_cpu_read(irq_stat.__nmi_count) +
	       (IS_ENABLED(CONFIG_X86_MCE) ? this_cpu_read(mce_exception_count) : 0);
}

/* Give the CPU to the other OS; returns when it is back. Interrupts off. RCU need not watch. */
static void switch_os(enum how how)
{
	struct twinos_side *me = twinos_me();
	struct twinos_side *other = twinos_other();
	unsigned int exceptions = count_exceptions();
	bool idle = how == IDLE, alive;
	u64 left = rdtsc(), now;
	u32 irr;

	WRITE_ONCE(switching, true);
	note_departure(me, left, idle);
	irr = twinos_pending_system();

	if (how == OVER_TASK)
		twinos_over_task(twinos_switch_cpu_state);
	else
		twinos_switch_cpu_state();

	now = rdtsc();
	me->resumed_tsc = now;
	me->idle = false;
	/* One that came after that look may have raised work, which the other OS took. */
	if (unlikely(exceptions != count_exceptions()))
		irr |= BIT(IRQ_WORK_VECTOR - 224);
	if (unlikely(irr))
		twinos_raise_system(irr);
	/* On another CPU, where nobody is left to share with? */
	if (unlikely(twinos_dedicated())) {
		role->moved();
		twinos_continue_alone();
		WRITE_ONCE(switching, false);
		return;
	}
	alive = other_alive();
	if (unlikely(me->held || !alive)) {
		me->held = 0;
		twinos_lapic_drain();
	}
	begin_turn(me, other, now, idle);
	if (likely(alive))
		note_cost(me, other);
	else
		end_sharing();
	note_absence(me, left, now, idle);
	WRITE_ONCE(switching, false);
}

enum why { NOTHING_TO_DO, TURN_OVER, INTERRUPT, EVENT, URGENT };	/* as show_why() */

static enum why why_leave(const struct twinos_side *other, enum how how)
{
	if (how == IDLE)
		return NOTHING_TO_DO;
	if (READ_ONCE(other->pending[3]) & URGENT_VECTORS)
		return URGENT;
	if (has_pending(other))
		return INTERRUPT;
	return READ_ONCE(other->idle) ? EVENT : TURN_OVER;
}

/* For whoever traces. RCU watches for that, as in an interrupt, in the idle loop as well. */
static noinline void trace_leave(enum how how)
{
	ct_irq_enter();
	trace_twinos_leave(twinos_shared()->id, why_leave(twinos_other(), how), how == OVER_TASK);
	ct_irq_exit();
}

static noinline void trace_back(u64 left)
{
	ct_irq_enter();
	trace_twinos_back(twinos_shared()->id, twinos_other()->idle ? NOTHING_TO_DO : TURN_OVER,
			  mul_u64_u32_div(rdtsc() - left, NSEC_PER_MSEC, tsc_khz));
	ct_irq_exit();
}

/* The same, seen by who traces. Not in an NMI. */
static __always_inline void switch_os_traced(enum how how)
{
	u64 left = rdtsc();

	if (trace_twinos_leave_enabled())
		trace_leave(how);
	switch_os(how);
	if (trace_twinos_back_enabled())
		trace_back(left);
}

/*
 * Time away is nobody's: not that of the task that it was taken from, which the scheduler learns
 * from this. Adds to what a hypervisor below has stolen.
 */
static u64 steal_clock(int cpu)
{
	return host_steal_clock(cpu) + (cpu == TWINOS_SHARED_CPU ? READ_ONCE(stolen_ns) : 0);
}

/* ---- who decides ---- */

/*
 * Is the CPU to be given to the other OS? Its kernel's CR4 and EFER know of no hypervisor, and in
 * VMX operation VMXE cannot be cleared: as long as there is one in this OS, the other one waits.
 */
static bool other_is_due(const struct twinos_side *me, const struct twinos_side *other, u64 now)
{
	return other_wants_cpu(other, now) && likely(!twinos_hypervisor_active()) &&
	       (READ_ONCE(other->pending[3]) & URGENT_VECTORS || turn_left(me, other) <= 0 ||
		(READ_ONCE(other->idle) && other->wake_tsc <= now) ||
		(has_pending(other) && now >= grace_end && may_interrupt(me, other)));
}

/*
 * Hard interrupt context, after EOI: let the CPU be given away if the other OS is due, and look
 * again when it should have been.
 */
static void consider(u64 now)
{
	struct twinos_side *me = twinos_me();
	bool idling;

	charge(me, now);
	if (!other_is_due(me, twinos_other(), now)) {
		wanted_tsc = 0;
		set_turn(now);
		if (now < grace_end && grace_end < twinos_timer_turn)
			twinos_timer_set_turn(grace_end);
		return;
	}
	idling = is_idle_task(current) && !need_resched();
	if (!wanted_tsc) {
		wanted_tsc = now;
		/* The idle loop comes past twinos_idle() next, unless it polls. */
		if (giver && !idling)
			wake_up_process(giver);
	}
	if (unlikely((!giver && !idling) || now - wanted_tsc >= patience())) {
		me->over_task++;
		switch_os_traced(OVER_TASK);
		return;
	}
	twinos_timer_set_turn(wanted_tsc + patience());
}

/* In a kernel thread. As a CPU that play_idle_precise() keeps idle: RCU does not wait. */
static void switch_in_thread(void)
{
	current->flags |= PF_IDLE;
	ct_idle_enter();
	switch_os_traced(BUSY);
	ct_idle_exit();
	current->flags &= ~PF_IDLE;
}

static int giver_thread(void *unused)
{
	for (;;) {
		set_current_state(TASK_IDLE);
		if (!READ_ONCE(wanted_tsc))
			schedule();
		__set_current_state(TASK_RUNNING);
		guard(irq)();
		if (wanted_tsc && twinos_timesharing)
			switch_in_thread();
		wanted_tsc = 0;
	}
	return 0;
}

/**
 * twinos_idle() - give the CPU away, or halt it if the other OS is idle, too
 *
 * Called by arch_cpu_idle() with interrupts off, and returns so. Returns false if there is no other
 * OS and the kernel should do what it always does.
 */
bool __cpuidle twinos_idle(void)
{
	u64 now;

	if (likely(!READ_ONCE(twinos_timesharing)) ||
	    raw_smp_processor_id() != TWINOS_SHARED_CPU)
		return false;

	instrumentation_begin();
	now = rdtsc();
	charge(twinos_me(), now);
	if (other_wants_cpu(twinos_other(), now) && likely(!twinos_hypervisor_active())) {
		switch_os_traced(IDLE);
	} else {
		/* Both idle: wake up for whoever has the earlier event. */
		wanted_tsc = 0;
		set_turn(now);
		halted = true;
		instrumentation_end();
		raw_safe_halt();
		raw_local_irq_disable();
		instrumentation_begin();
		charge(twinos_me(), rdtsc());
	}
	instrumentation_end();
	return true;
}

/*
 * X86_PLATFORM_IPI_VECTOR: the LAPIC timer, or a word from another OS or CPU. Hard interrupt
 * context, after EOI. Also comes without a reason when it was pending at an OS switch.
 */
static void timer_or_doorbell(void)
{
	role->doorbell();
	if (!twinos_timer_owned())
		return;
	if (unlikely(has_pending(twinos_me())))
		twinos_raise_pending();
	twinos_timer_handle();
	if (twinos_timesharing)
		consider(rdtsc());
	else
		twinos_timer_set_turn(U64_MAX);
}

/*
 * Has the other OS waited for the CPU for too long?
 *
 * True a second after the end of this one's turn, if the other one wants the CPU and did not get
 * it: a kernel that still takes its timer interrupt gives way when its turn is over, however long
 * that may be.
 */
static bool overdue(const struct twinos_side *other, u64 since, u64 now)
{
	if (!other_wants_cpu(other, now))
		return false;
	if (other->idle && other->wake_tsc != U64_MAX)
		since = max(since, other->wake_tsc);
	if (twinos_timer_turn != U64_MAX)
		since = max(since, twinos_timer_turn);
	return now > since + twinos_shared()->guard_tsc;
}

/**
 * twinos_hung() - does this OS not give the CPU back? In an NMI.
 *
 * It has been overdue for a quarter of a second, with nothing in between: a machine that was
 * stopped takes an NMI, or several, before the interrupt that is due. Or it boots, gives the CPU
 * back in NMIs, and has no interrupts yet after so long.
 */
bool twinos_hung(void)
{
	static u64 seen, since;	/* seen: resumed_tsc, which every interrupt changes */
	u64 mark = twinos_me()->resumed_tsc, now = rdtsc();
	u64 limit = twinos_shared()->guard_tsc;

	if (!twinos_timesharing)
		return false;
	if (!twinos_timer_owned() && twinos_me()->run_tsc > BOOT_LIMIT * limit)
		return true;
	if (!overdue(twinos_other(), mark, now))
		return false;
	if (seen != mark)
		since = now;
	seen = mark;
	return now - since > limit / 4;
}

/* ---- begin and end ---- */

/** twinos_set_role() - what an OS does of its own where both run the same. Boot time. */
void __init twinos_set_role(const struct twinos_role *it)
{
	role = it;
	x86_platform_ipi_callback = timer_or_doorbell;
}

/**
 * twinos_start_giver() - from now on a thread gives the CPU away
 *
 * Process context, once in each kernel that shares its CPU. Returns 0 or an errno.
 */
int twinos_start_giver(void)
{
	static const struct sched_param highest = { .sched_priority = MAX_RT_PRIO - 1 };
	struct task_struct *thread;

	if (giver)
		return 0;
	thread = kthread_create_on_cpu(giver_thread, NULL, TWINOS_SHARED_CPU, "twinos");
	if (IS_ERR(thread))
		return PTR_ERR(thread);
	sched_setscheduler_nocheck(thread, SCHED_FIFO, &highest);
	host_steal_clock = static_call_query(pv_steal_clock);
	static_call_update(pv_steal_clock, steal_clock);
	static_key_slow_inc(&paravirt_steal_enabled);
	static_key_slow_inc(&paravirt_steal_rq_enabled);
	wake_up_process(thread);
	WRITE_ONCE(giver, thread);
	return 0;
}

/** twinos_first_switch() - to the coexisting OS, from a kernel thread with interrupts off */
void twinos_first_switch(void)
{
	twinos_me()->resumed_tsc = rdtsc();
	twinos_timesharing = true;
	switch_in_thread();
}

/** twinos_timeshare_end() - the other OS gets the shared CPU no more. There, interrupts off. */
void twinos_timeshare_end(void *unused)
{
	twinos_timesharing = false;
}

/**
 * twinos_timeshare_resume() - a parked OS shares this CPU again
 *
 * On the shared CPU, interrupts off; in the leading OS before the other one runs, in the coexisting
 * OS when it finds itself there. Accounts start anew.
 */
void twinos_timeshare_resume(void *unused)
{
	u64 now = rdtsc();

	twinos_me()->resumed_tsc = now;
	twinos_timesharing = true;
	twinos_timer_restart();
	set_turn(now);
}

/** twinos_continue_alone() - on a CPU that is not shared. Interrupts off. */
void twinos_continue_alone(void)
{
	twinos_timesharing = false;
	twinos_timer_restart();
	twinos_raise_pending();
}

/** twinos_note_for_other() - the other OS gets this CPU for an interrupt. There, interrupts off. */
void twinos_note_for_other(unsigned int vector)
{
	u64 now = rdtsc();

	if (!twinos_timesharing)
		return;
	twinos_note(twinos_other(), vector);
	charge(twinos_me(), now);
	set_turn(now);
	/* Not at once: there may be more, and this OS may soon be idle. */
	if (may_interrupt(twinos_me(), twinos_other()) && twinos_timer_turn > now + grace())
		twinos_timer_set_turn(now + grace());
}

static int vector_in_service(void)
{
	int i;

	for (i = 7; i >= 1; i--) {
		u32 isr = twinos_lapic_read(APIC_ISR + i * 0x10);

		if (isr)
			return i * 32 + __fls(isr);
	}
	return -1;
}

/**
 * twinos_yield_early() - let the leading OS run while this kernel boots
 *
 * In an NMI, as long as no interrupt takes the CPU from this coexisting kernel: it has no timer
 * yet, or has had interrupts off since long before its turn ended. Not from an OS switch that is
 * under way, nor with a lock that the leading OS may want, nor before an EOI. Returns false if that
 * was not wanted or possible.
 */
bool twinos_yield_early(void)
{
	u64 turn_end = twinos_timer_owned() ? twinos_timer_turn : twinos_me()->resumed_tsc;

	if (!twinos_timesharing || READ_ONCE(twinos_shared()->state) != TWINOS_STARTING ||
	    turn_end > rdtsc() - twinos_shared()->tsc_khz / 2 || READ_ONCE(switching) ||
	    twinos_holds_lock() || vector_in_service() >= 0)
		return false;
	switch_os(OVER_TASK);
	return true;
}

/**
 * twinos_yield_for_answer() - let the leading OS run, which this one waits for
 *
 * In a coexisting OS, interrupts off; locks of this kernel may be held, since on a shared CPU it has
 * no other one. Returns false if nothing keeps the leading OS from running, or nothing can be done.
 */
bool twinos_yield_for_answer(void)
{
	if (!twinos_timesharing || READ_ONCE(switching) || vector_in_service() >= 0)
		return false;
	switch_os(OVER_TASK);
	return true;
}

/**
 * twinos_timeshare_early() - the coexisting OS begins to keep the accounts
 *
 * Called once by the coexisting kernel, as early as it can answer NMIs: the leading OS has control
 * again, and lets them come. Interrupts off.
 */
void __init twinos_timeshare_early(void)
{
	twinos_me()->resumed_tsc = rdtsc();
	twinos_timesharing = !twinos_dedicated();
	if (twinos_timesharing)
		switch_os(OVER_TASK);
}

/* ---- foreign interrupts ---- */

/*
 * Flow handler of the vectors that belong to the other OS. A level-triggered one, which only the
 * leading OS has, would come again at once after the EOI, as long as its device has not been
 * served: so it stays in service, which holds back other interrupts of the leading OS only, until
 * that one is back and ends it.
 */
static void foreign_interrupt(struct irq_desc *desc)
{
	int vector = vector_in_service();

	if (vector >= 0 && twinos_timesharing &&
	    twinos_lapic_read(APIC_TMR + vector / 32 * 0x10) & BIT(vector % 32)) {
		WRITE_ONCE(twinos_other()->held, 1);
	} else {
		apic_eoi();
		if (vector >= 0 && twinos_timesharing)
			twinos_note(twinos_other(), vector);
	}
	if (vector < 0)
		return;
	kstat_incr_irq_this_cpu(irq_desc_get_irq(desc));
	if (twinos_timesharing) {
		twinos_me()->foreign++;
		consider(rdtsc());
	} else if (role->stray_vector) {
		role->stray_vector(vector);
	}
}

/**
 * twinos_reserve_vectors() - keep the other OS's device vectors free
 * @matrix: the vector allocator, before it is online
 *
 * Boot time, once per kernel. What is not allocated here raises no interrupt of this OS, so every
 * one that comes is known to be foreign.
 */
void __init twinos_reserve_vectors(struct irq_matrix *matrix)
{
	unsigned int vector = twinos_coexisting() ? FIRST_EXTERNAL_VECTOR : TWINOS_VECTOR_SPLIT;
	unsigned int end = twinos_coexisting() ? TWINOS_VECTOR_SPLIT + twinos_nr_pins :
						 FIRST_SYSTEM_VECTOR;

	while (!twinos_off && vector < end)
		irq_matrix_assign_system(matrix, vector++, false);
}

/**
 * twinos_vectors_init() - take over the vectors of the other OS
 *
 * Points them to one interrupt descriptor on this CPU. Returns 0 or -ENOMEM.
 */
int twinos_vectors_init(void)
{
	static int irq;
	unsigned int vector = twinos_coexisting() ? FIRST_EXTERNAL_VECTOR : TWINOS_VECTOR_SPLIT;
	unsigned int end = twinos_coexisting() ? TWINOS_VECTOR_SPLIT : FIRST_SYSTEM_VECTOR;

	if (irq > 0)
		return 0;
	irq = irq_alloc_desc(numa_node_id());
	if (irq < 0)
		return irq;
	irq_set_chip_and_handler(irq, &dummy_irq_chip, foreign_interrupt);
	irq_modify_status(irq, IRQ_NOREQUEST, IRQ_NOPROBE);
	guard(preempt)();
	for (; vector < end; vector++)
		if (IS_ERR_OR_NULL(__this_cpu_read(vector_irq[vector])))
			__this_cpu_write(vector_irq[vector], irq_to_desc(irq));
	return 0;
}
