// SPDX-License-Identifier: GPL-2.0
/*
 * Two OSes on one CPU: who has it when. Each kernel runs this code with the
 * local APIC timer as a clock event device of its own, which fires for the
 * kernel's next event or for the end of its turn, whichever comes first; so a
 * switch needs no timer of the kernel to be started or stopped.
 *
 * The rule: each OS is charged for the CPU time that it uses, divided by its
 * weight. The one that is ahead by half a slice gives way. An OS that has
 * nothing to do gives its CPU away until its next timer event or interrupt.
 * A device interrupt of the OS that does not run (a foreign interrupt) is
 * acknowledged, noted for its owner, and switches at once.
 */
#include <linux/clockchips.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdesc.h>
#include <linux/kernel.h>
#include <linux/kernel_stat.h>
#include <linux/sched.h>
#include <linux/sched/idle.h>
#include <linux/smp.h>
#include <asm/apic.h>
#include <asm/cpufeature.h>
#include <asm/hw_irq.h>
#include <asm/irq_vectors.h>
#include <asm/msr.h>
#include <asm/sync_bitops.h>
#include <asm/tlbflush.h>
#include <asm/tsc.h>

#include "twinos.h"

/* All times are TSC ticks. */
static u64 deadline = U64_MAX;	/* next event of this kernel */
static u64 turn_end = U64_MAX;	/* when to think about the other OS */
static u64 early_budget;	/* between two yields of a kernel that boots */
static u64 lapic_mult;		/* LAPIC timer counts per tick, << LAPIC_SHIFT */
static u64 launch_away_max;
static bool timesharing;	/* there is another OS to share this CPU with */
static bool tsc_deadline;
static bool timer_owned;	/* the LAPIC timer is programmed by us */
static u64 grace_end;		/* until then foreign interrupts wait */
static bool halted;		/* since resumed_tsc, both OSes idle */

/* A foreign interrupt buys its owner this part of a slice, half a ms at most. */
#define GRACE_SHIFT	6

#define LAPIC_SHIFT	24

static void program_timer(u64 now)
{
	u64 target = min(deadline, turn_end);
	u64 count;

	if (tsc_deadline) {
		native_wrmsr(MSR_IA32_TSC_DEADLINE,
			     target == U64_MAX ? 0 : (u32)target,
			     target == U64_MAX ? 0 : (u32)(target >> 32));
		return;
	}
	if (target == U64_MAX) {
		twinos_lapic_write(APIC_TMICT, 0);
		return;
	}
	/* One more, so that it never fires before the TSC is there. */
	count = target > now ? target - now : 0;
	if (count > U32_MAX)
		count = U32_MAX;
	count = ((count * lapic_mult) >> LAPIC_SHIFT) + 1;
	twinos_lapic_write(APIC_TMICT, min_t(u64, count, U32_MAX));
}

static void own_timer(void)
{
	u32 lvtt = X86_PLATFORM_IPI_VECTOR;

	if (tsc_deadline)
		lvtt |= APIC_LVT_TIMER_TSCDEADLINE;
	twinos_lapic_write(APIC_LVTT, lvtt);
	if (tsc_deadline)	/* Intel SDM 3A, 11.5.4.1 */
		asm volatile("mfence" : : : "memory");
	else
		twinos_lapic_write(APIC_TDCR, APIC_TDR_DIV_1);
	timer_owned = true;
}

static int set_next_event(unsigned long delta, struct clock_event_device *dev)
{
	u64 now = rdtsc();

	deadline = now + delta;
	program_timer(now);
	return 0;
}

static int set_shutdown(struct clock_event_device *dev)
{
	deadline = U64_MAX;
	if (timer_owned)
		program_timer(rdtsc());
	return 0;
}

static int set_oneshot(struct clock_event_device *dev)
{
	own_timer();
	return 0;
}

static struct clock_event_device twinos_clockevent = {
	.name			= "twinos",
	.features		= CLOCK_EVT_FEAT_ONESHOT | CLOCK_EVT_FEAT_PERCPU,
	.rating			= 400,
	.set_next_event		= set_next_event,
	.set_state_shutdown	= set_shutdown,
	.set_state_oneshot	= set_oneshot,
	.set_state_oneshot_stopped = set_shutdown,
	.tick_resume		= set_oneshot,
	.irq			= -1,
};

/* The other OS can be given the CPU. */
static __always_inline bool other_alive(void)
{
	u32 state = READ_ONCE(twinos_shared()->state);

	return state == TWINOS_STARTING || state == TWINOS_RUNNING;
}

static __always_inline bool has_pending(const struct twinos_side *side)
{
	return side->pending[0] | side->pending[1] | side->pending[2] | side->pending[3];
}

static __always_inline bool other_wants_cpu(const struct twinos_side *other, u64 now)
{
	return !READ_ONCE(other->idle) || other->wake_tsc <= now || has_pending(other);
}

/* In percent. The other OS can write there, too: never divide by its zero. */
static __always_inline u32 weight(void)
{
	return clamp(READ_ONCE(twinos_shared()->weight[twinos_role]), 1U, 99U);
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
void twinos_account(void)
{
	charge(twinos_me(), rdtsc());
}

/*
 * The slice that is in force: while the coexisting OS boots at most a
 * millisecond, so that the leading OS notices as little as possible of it.
 */
static __always_inline u64 slice(void)
{
	const struct twinos_shared *shared = twinos_shared();

	if (unlikely(shared->state == TWINOS_STARTING))
		return min(shared->slice_tsc, (u64)shared->tsc_khz);
	return shared->slice_tsc;
}

/* How much longer this OS may run while the other one wants the CPU, too. */
static __always_inline s64 turn_left(const struct twinos_side *me,
				     const struct twinos_side *other)
{
	s64 ahead = me->vrun - other->vrun;
	s64 left = (s64)(slice() / 2) - ahead;

	return left * (s64)weight() / 50;
}

static __always_inline s64 grace(void)
{
	return min(slice() >> GRACE_SHIFT, (u64)twinos_shared()->tsc_khz / 2);
}

/*
 * May the other OS's interrupts take the CPU from this one? Not once their
 * owner has had more than its share by two slices: a flood of interrupts must
 * not buy it the CPU.
 */
static bool may_interrupt(const struct twinos_side *me, const struct twinos_side *other)
{
	return (s64)(other->vrun - me->vrun) < 2 * (s64)slice();
}

/*
 * An OS with nothing to run wants the CPU at its next event; one that waits for
 * its turn, or has interrupts waiting, gets it when ours is over.
 */
static void set_turn_end(u64 now)
{
	const struct twinos_side *other = twinos_other();

	if (!other_wants_cpu(other, now))
		turn_end = other->wake_tsc;
	else
		turn_end = now + max(turn_left(twinos_me(), other), grace());
}

/* Interrupts that came in for this OS while the other one ran. */
static void replay_pending(struct twinos_side *me)
{
	int word;

	for (word = 0; word < ARRAY_SIZE(me->pending); word++) {
		u64 pending = READ_ONCE(me->pending[word]);

		if (likely(!pending))
			continue;
		/* The leading OS may add some to an OS that it has moved. */
		pending = xchg(&me->pending[word], 0);
		while (pending) {
			int bit = __ffs64(pending);

			pending &= pending - 1;
			/*
			 * A level-triggered pin raises its vector again after
			 * the EOI by itself; no edge must be mixed into that.
			 */
			if (!(twinos_lapic_read(APIC_IRR + word * 0x20 + (bit / 32) * 0x10) &
			      BIT(bit % 32)))
				twinos_lapic_self_ipi(word * 64 + bit);
		}
	}
}

/*
 * System vectors have the same number in both kernels. One that is pending
 * now will be taken by the other kernel, which finds nothing to do; raise it
 * again when this kernel is back.
 */
static void replay_system_vectors(u32 irr)
{
	while (irr) {
		twinos_lapic_self_ipi(224 + __ffs(irr));
		irr &= irr - 1;
	}
}

#define REPLAYED_VECTORS	(GENMASK(31, FIRST_SYSTEM_VECTOR - 224) & \
				 ~BIT(X86_PLATFORM_IPI_VECTOR - 224))

/*
 * The leading OS has moved this one to a CPU of its own while it did not run:
 * nobody is left to share with.
 */
static void continue_alone(struct twinos_side *me, u32 irr)
{
	twinos_moved();
	twinos_timer_restart();
	replay_system_vectors(irr);
	replay_pending(me);
}

/*
 * The other kernel's CR4 has no VMXE, and in VMX operation it cannot be
 * cleared: as long as there is a hypervisor in this OS, the other one waits.
 */
static void keep_cpu(u64 now)
{
	pr_warn_once("KVM uses the shared CPU: the OS that shares it waits until that has ended\n");
	turn_end = now + slice();
	program_timer(now);
}

/*
 * Switch to the other OS, and put this one's timer, interrupts and accounts
 * in order when it is back. Interrupts off. @idle: this OS has nothing to do.
 */
static void switch_os(bool idle)
{
	struct twinos_shared *shared = twinos_shared();
	struct twinos_side *me = twinos_me();
	struct twinos_side *other = twinos_other();
	u64 left, now, cost, away;
	u32 irr;

	left = rdtsc();
	if (unlikely(cr4_read_shadow() & X86_CR4_VMXE)) {
		keep_cpu(left);
		return;
	}
	charge(me, left);
	me->idle = idle;
	me->wake_tsc = deadline;
	me->switches++;
	if (idle)
		me->donated++;
	me->switch_tsc = left;
	irr = twinos_lapic_read(APIC_IRR + 0x70) & REPLAYED_VECTORS;

	twinos_switch_cpu_state();

	now = rdtsc();
	me->resumed_tsc = now;
	me->idle = false;
	if (unlikely(twinos_dedicated())) {
		continue_alone(me, irr);
		return;
	}
	if (idle && (s64)(other->vrun - me->vrun) > (s64)slice() / 2)
		me->vrun = other->vrun - slice() / 2;
	if (unlikely(irr))
		replay_system_vectors(irr);
	/* Time to handle them, before the other OS's next one takes the CPU. */
	grace_end = 0;
	if (has_pending(me)) {
		replay_pending(me);
		grace_end = now + grace();
	}
	set_turn_end(now);
	program_timer(now);

	if (likely(other_alive())) {
		cost = rdtsc() - other->switch_tsc;
		if (cost < me->switch_min)
			me->switch_min = cost;
		if (cost > me->switch_max)
			me->switch_max = cost;
		me->switch_sum += cost;
		me->resumed++;
	}

	/* An idle OS is away only from its next event on. */
	away = now - left;
	if (idle)
		away = now > me->wake_tsc ? now - max(left, me->wake_tsc) : 0;
	if (away > me->away_max)
		me->away_max = away;
	if (unlikely(twinos_role == TWINOS_LEADING)) {
		if (shared->state == TWINOS_STARTING &&
		    away > launch_away_max)
			launch_away_max = away;
		if (!other_alive()) {
			timesharing = false;
			turn_end = U64_MAX;
			program_timer(rdtsc());
			twinos_coexisting_ended();
		}
	}
}

/**
 * twinos_overdue() - has the other OS waited for the CPU for too long?
 *
 * True a second after the end of this one's turn, if the other one wants the CPU
 * and did not get it: a kernel that still takes its timer interrupt gives way when
 * its turn is over, however long that may be. Any context.
 */
bool twinos_overdue(void)
{
	const struct twinos_shared *shared = twinos_shared();
	const struct twinos_side *other = twinos_other();
	u64 since = twinos_me()->resumed_tsc;
	u64 now = rdtsc();

	if (!timesharing || !other_wants_cpu(other, now))
		return false;
	if (other->idle && other->wake_tsc != U64_MAX)
		since = max(since, other->wake_tsc);
	if (turn_end != U64_MAX)
		since = max(since, turn_end);
	return now > since + shared->guard_tsc;
}

/* In hard interrupt context: would this CPU go on idling? */
static bool idling(void)
{
	return is_idle_task(current) && !need_resched() &&
	       !softirq_count() && !local_softirq_pending();
}

/* The turn is over, or the other OS has an event: switch or go on. */
static void end_of_turn(u64 now)
{
	struct twinos_side *me = twinos_me();
	struct twinos_side *other = twinos_other();
	bool idle = idling();

	if (!timesharing) {
		turn_end = U64_MAX;
		program_timer(now);
		return;
	}
	charge(me, now);
	if (other_wants_cpu(other, now) &&
	    (idle || other->idle || turn_left(me, other) <= 0 ||
	     (has_pending(other) && may_interrupt(me, other)))) {
		switch_os(idle);
		return;
	}
	set_turn_end(now);
	program_timer(now);
}

/**
 * twinos_interrupt() - X86_PLATFORM_IPI_VECTOR, in both roles
 *
 * The LAPIC timer, or a word from another OS. Hard interrupt context, after
 * EOI. Also comes without a reason when it was pending at an OS switch.
 */
void twinos_interrupt(void)
{
	u64 now;

	if (twinos_role == TWINOS_LEADING)
		twinos_leading_interrupt();
	else
		twinos_coexisting_interrupt();
	if (!timer_owned || smp_processor_id() != TWINOS_SHARED_CPU)
		return;
	now = rdtsc();
	if (now >= deadline) {
		deadline = U64_MAX;
		twinos_clockevent.event_handler(&twinos_clockevent);
		now = rdtsc();
	}
	if (now >= turn_end)
		end_of_turn(now);
	else
		program_timer(now);
}

/**
 * twinos_idle() - give the CPU away, or halt it if the other OS is idle, too
 *
 * Called by arch_cpu_idle() with interrupts off, and returns so. Returns false
 * if there is no other OS and the kernel should do what it always does.
 */
bool __cpuidle twinos_idle(void)
{
	u64 now;

	if (likely(!READ_ONCE(timesharing)) ||
	    raw_smp_processor_id() != TWINOS_SHARED_CPU)
		return false;

	instrumentation_begin();
	now = rdtsc();
	charge(twinos_me(), now);
	if (other_wants_cpu(twinos_other(), now)) {
		switch_os(true);
	} else {
		/* Both idle: wake up for whoever has the earlier event. */
		set_turn_end(now);
		program_timer(now);
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

/**
 * twinos_first_switch() - start the coexisting OS
 *
 * Leading OS, interrupts off, everything prepared. Returns when the
 * coexisting kernel gives the CPU back for the first time.
 */
void twinos_first_switch(void)
{
	struct twinos_side *me = twinos_me();

	me->resumed_tsc = rdtsc();
	launch_away_max = 0;
	timesharing = true;
	switch_os(false);
}

static void keep_shared_cpu(void *unused)
{
	timesharing = false;
}

/**
 * twinos_timeshare_end() - do not give the CPU away any more
 *
 * Leading OS, process context. While this runs on the shared CPU the other OS
 * does not, nor will it when this has returned.
 */
void twinos_timeshare_end(void)
{
	smp_call_function_single(TWINOS_SHARED_CPU, keep_shared_cpu, NULL, true);
}

/**
 * twinos_timeshare_resume() - a parked OS shares this CPU again
 *
 * On the shared CPU, interrupts off; in the leading OS before the other one
 * runs, in the coexisting OS when it finds itself there. Accounts start anew.
 */
void twinos_timeshare_resume(void)
{
	u64 now = rdtsc();

	twinos_me()->resumed_tsc = now;
	timesharing = true;
	own_timer();
	set_turn_end(now);
	program_timer(now);
}

/**
 * twinos_keep_pending() - coexisting OS: note what is pending in this CPU's APIC
 *
 * Before it leaves the CPU for good. Interrupts off.
 */
void twinos_keep_pending(void)
{
	struct twinos_side *me = twinos_me();
	unsigned int bit;
	int i;

	for (i = 1; i < 8; i++) {
		unsigned long irr = twinos_lapic_read(APIC_IRR + i * 0x10);

		if (i == 7)
			irr &= REPLAYED_VECTORS & ~BIT(LOCAL_TIMER_VECTOR - 224);
		/* The leading OS adds to them, too; see twinos_lock() for sync_. */
		for_each_set_bit(bit, &irr, 32)
			sync_set_bit(32 * (i % 2) + bit, (unsigned long *)&me->pending[i / 2]);
	}
}

/** twinos_raise_pending() - what came in for this OS on another CPU. Interrupts off. */
void twinos_raise_pending(void)
{
	if (unlikely(has_pending(twinos_me())))
		replay_pending(twinos_me());
}

/** twinos_timer_restart() - this kernel's timer on another CPU's APIC. Interrupts off. */
void twinos_timer_restart(void)
{
	timesharing = false;
	turn_end = U64_MAX;
	own_timer();
	program_timer(rdtsc());
}

/** twinos_timesharing() - is there an OS that this one shares its CPU with? */
bool twinos_timesharing(void)
{
	return timesharing;
}

/**
 * twinos_ask() - raise an interrupt in the OS that shares this CPU
 * @vector: system vector
 *
 * Leading OS, on the shared CPU, interrupts off. The other OS gets the CPU as
 * if a device of it had interrupted.
 */
void twinos_ask(unsigned int vector)
{
	u64 now = rdtsc();

	if (!timesharing)
		return;
	twinos_other()->pending[vector / 64] |= BIT_ULL(vector % 64);
	charge(twinos_me(), now);
	set_turn_end(now);
	program_timer(now);
}

u64 twinos_launch_away_max(void)
{
	return launch_away_max;
}

/**
 * twinos_yield_early() - let the leading OS run while this kernel boots
 *
 * Called by the coexisting kernel from many places of its early boot, where
 * no interrupt can take the CPU from it yet.
 */
void twinos_yield_early(void)
{
	unsigned long flags;
	u64 now = rdtsc();

	if (!timesharing || twinos_role != TWINOS_COEXISTING || timer_owned ||
	    now - twinos_me()->resumed_tsc < early_budget)
		return;
	local_irq_save(flags);
	switch_os(false);
	local_irq_restore(flags);
}

/* An interrupt of the other OS, already acknowledged: note it, switch. */
static void bounce(unsigned int vector)
{
	struct twinos_side *me = twinos_me();
	struct twinos_side *other = twinos_other();
	u64 now;

	me->foreign++;
	other->pending[vector / 64] |= BIT_ULL(vector % 64);
	now = rdtsc();
	charge(me, now);
	if (idling() || (now >= grace_end && may_interrupt(me, other))) {
		switch_os(idling());
		return;
	}
	set_turn_end(now);
	if (now < grace_end)
		turn_end = min(turn_end, grace_end);
	program_timer(now);
}

/**
 * twinos_bounce_ipi() - hand an IPI to the leading OS, whose CPU this is
 * @vector: of the interrupt, after EOI
 *
 * An OS that shares a CPU has only that one and never sends such an IPI, so
 * the leading OS's other CPUs did. Returns false where there is no sharing.
 */
bool twinos_bounce_ipi(unsigned int vector)
{
	if (!timesharing)
		return false;
	bounce(vector);
	return true;
}

/*
 * The shared page of the OS that has been moved last: its interrupts come to
 * the shared CPU until it has pointed its devices to its own.
 */
struct twinos_shared *twinos_in_motion;

static void forward(struct twinos_shared *shared, unsigned int vector)
{
	struct twinos_side *side = &shared->side[TWINOS_COEXISTING];

	sync_set_bit(vector % 64, (unsigned long *)&side->pending[vector / 64]);
	/* If its APIC does not listen yet, it looks before it goes on. */
	if (READ_ONCE(shared->mode) == TWINOS_DEDICATED)
		twinos_ring(shared->apic_ids[0]);
}

/*
 * Flow handler of the vectors that belong to the other OS. The vector is the
 * highest one in service.
 */
static void foreign_interrupt(struct irq_desc *desc)
{
	/* Ends at any moment, on another CPU. */
	struct twinos_shared *moved = READ_ONCE(twinos_in_motion);
	int vector = -1, i;

	for (i = 7; i >= 1; i--) {
		u32 isr = twinos_lapic_read(APIC_ISR + i * 0x10);

		if (isr) {
			vector = i * 32 + __fls(isr);
			break;
		}
	}
	apic_eoi();
	if (vector < 0)
		return;
	kstat_incr_irq_this_cpu(irq_desc_get_irq(desc));
	if (timesharing)
		bounce(vector);
	else if (moved)
		forward(moved, vector);
	/* else of an OS that has ended */
}

/**
 * twinos_reserve_vectors() - keep the other OS's device vectors free
 * @matrix: the vector allocator, before it is online
 *
 * Boot time, once per kernel. What is not allocated here raises no interrupt
 * of this OS, so every one that comes is known to be foreign.
 */
void __init twinos_reserve_vectors(struct irq_matrix *matrix)
{
	unsigned int from = TWINOS_VECTOR_SPLIT, to = FIRST_SYSTEM_VECTOR;
	unsigned int vector;

	if (twinos_off)
		return;
	if (twinos_role == TWINOS_COEXISTING) {
		from = FIRST_EXTERNAL_VECTOR;
		to = TWINOS_VECTOR_SPLIT;
	}
	for (vector = from; vector < to; vector++)
		irq_matrix_assign_system(matrix, vector, false);
}

/**
 * twinos_vectors_init() - take over the vectors of the other OS
 *
 * Points them to one interrupt descriptor on this CPU. Returns 0 or -ENOMEM.
 */
int twinos_vectors_init(void)
{
	static int irq;
	unsigned int from = TWINOS_VECTOR_SPLIT, to = FIRST_SYSTEM_VECTOR;
	unsigned int vector;

	if (irq > 0)
		return 0;
	irq = irq_alloc_desc(numa_node_id());
	if (irq < 0)
		return irq;
	irq_set_chip_and_handler(irq, &dummy_irq_chip, foreign_interrupt);
	irq_modify_status(irq, IRQ_NOREQUEST, IRQ_NOPROBE);

	if (twinos_role == TWINOS_COEXISTING) {
		from = FIRST_EXTERNAL_VECTOR;
		to = TWINOS_VECTOR_SPLIT;
	}
	preempt_disable();
	for (vector = from; vector < to; vector++)
		if (IS_ERR_OR_NULL(__this_cpu_read(vector_irq[vector])))
			__this_cpu_write(vector_irq[vector], irq_to_desc(irq));
	preempt_enable();
	return 0;
}

static void set_timer_frequency(unsigned int tsc_khz, u64 lapic_hz)
{
	tsc_deadline = cpuid_ecx(1) & BIT(X86_FEATURE_TSC_DEADLINE_TIMER & 31);
	lapic_mult = div64_u64(lapic_hz << LAPIC_SHIFT, (u64)tsc_khz * 1000);
}

/**
 * twinos_timer_init() - make the LAPIC timer one that two OSes can share
 * @tsc_khz: frequency of the TSC
 * @lapic_hz: undivided frequency of the LAPIC timer, ignored where it can
 *	compare with the TSC itself
 *
 * Replaces this CPU's tick device, once. Returns 0 or -ENODEV.
 */
int twinos_timer_init(unsigned int tsc_khz, u64 lapic_hz)
{
	unsigned long flags;

	if (timer_owned)
		return 0;
	set_timer_frequency(tsc_khz, lapic_hz);
	if (!tsc_deadline && !lapic_mult) {
		pr_err("the frequency of the local APIC timer is not known\n");
		return -ENODEV;
	}
	twinos_clockevent.cpumask = cpumask_of(raw_smp_processor_id());
	clockevents_config_and_register(&twinos_clockevent, tsc_khz * 1000,
					0xf, 0x7fffffff);
	if (!timer_owned)
		return -ENODEV;
	/*
	 * The device that ours has replaced is shut down once more when it is
	 * looked at as a broadcast device, and masks the vector.
	 */
	local_irq_save(flags);
	own_timer();
	program_timer(rdtsc());
	local_irq_restore(flags);
	return 0;
}

/**
 * twinos_timeshare_early() - the coexisting OS begins to keep the accounts
 *
 * Called once by the coexisting kernel, as early as the shared area is mapped.
 */
void __init twinos_timeshare_early(void)
{
	struct twinos_shared *shared = twinos_shared();

	set_timer_frequency(shared->tsc_khz, shared->lapic_hz);
	early_budget = shared->tsc_khz / 2;	/* half a millisecond */
	twinos_me()->resumed_tsc = rdtsc();
	timesharing = !twinos_dedicated();
}
