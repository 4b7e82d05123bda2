// SPDX-License-Identifier: GPL-2.0
/*
 * The local APIC timer of a CPU that two OSes share, as a clock event device of each kernel. It
 * fires for the kernel's next event or for the end of its turn, whichever comes first; so an OS
 * switch starts and stops no timer: the kernel that comes back programs its own event again.
 */
#include <linux/clockchips.h>

#include "twinos.h"

/* All times are TSC ticks. */
u64 twinos_timer_next = U64_MAX;	/* next event of this kernel */
u64 twinos_timer_turn = U64_MAX;	/* when to think about the other OS */
static u64 lapic_mult;		/* LAPIC timer counts per tick, << LAPIC_SHIFT */
static bool tsc_deadline;	/* the timer compares with the TSC */
static bool owned;		/* it is programmed by us */

#define LAPIC_SHIFT	24

/* The clock event core wants 32 bits of Hz, and TSCs run faster than 4.29 GHz. */
#define TICKS_PER_COUNT	8

static void program(u64 now)
{
	u64 target = min(twinos_timer_next, twinos_timer_turn);
	u64 count = 0;

	if (tsc_deadline) {
		native_wrmsrl(MSR_IA32_TSC_DEADLINE, target == U64_MAX ? 0 : target);
		return;
	}
	/* One more, so that it never fires before the TSC is there. */
	if (target != U64_MAX) {
		count = target > now ? min_t(u64, target - now, U32_MAX) : 0;
		count = min_t(u64, ((count * lapic_mult) >> LAPIC_SHIFT) + 1, U32_MAX);
	}
	twinos_lapic_write(APIC_TMICT, count);
}

static int own(struct clock_event_device *unused)
{
	twinos_lapic_write(APIC_LVTT, X86_PLATFORM_IPI_VECTOR |
				      (tsc_deadline ? APIC_LVT_TIMER_TSCDEADLINE : 0));
	if (tsc_deadline)	/* Intel SDM 3A, 11.5.4.1 */
		asm volatile("mfence" : : : "memory");
	else
		twinos_lapic_write(APIC_TDCR, APIC_TDR_DIV_1);
	owned = true;
	return 0;
}

static int set_next_event(unsigned long delta, struct clock_event_device *dev)
{
	u64 now = rdtsc();

	twinos_timer_next = now + (u64)delta * TICKS_PER_COUNT;
	program(now);
	return 0;
}

static int set_shutdown(struct clock_event_device *dev)
{
	twinos_timer_next = U64_MAX;
	if (owned)
		program(rdtsc());
	return 0;
}

static struct clock_event_device clockevent = {
	.name			= "twinos",
	.features		= CLOCK_EVT_FEAT_ONESHOT | CLOCK_EVT_FEAT_PERCPU,
	.rating			= 400,
	.set_next_event		= set_next_event,
	.set_state_shutdown	= set_shutdown,
	.set_state_oneshot	= own,
	.set_state_oneshot_stopped = set_shutdown,
	.tick_resume		= own,
	.irq			= -1,
};

/** twinos_timer_owned() - is this CPU's timer ours? */
bool twinos_timer_owned(void)
{
	return owned && raw_smp_processor_id() == TWINOS_SHARED_CPU;
}

/** twinos_timer_handle() - deal with this kernel's event if its time has come. In an interrupt. */
void twinos_timer_handle(void)
{
	if (rdtsc() < twinos_timer_next)
		return;
	twinos_timer_next = U64_MAX;
	clockevent.event_handler(&clockevent);
}

/** twinos_timer_set_turn() - fire at @end (TSC) at the latest. Interrupts off. */
void twinos_timer_set_turn(u64 end)
{
	twinos_timer_turn = end;
	if (owned)
		program(rdtsc());
}

/** twinos_timer_restart() - on another CPU's APIC, with no turn. Interrupts off. */
void twinos_timer_restart(void)
{
	own(NULL);
	twinos_timer_set_turn(U64_MAX);
}

/**
 * twinos_timer_init() - make the LAPIC timer one that two OSes can share
 * @shared: what the leading OS has found out about it
 *
 * Replaces this CPU's tick device, once. Returns 0 or -ENODEV.
 */
int twinos_timer_init(const struct twinos_shared *shared)
{
	if (owned)
		return 0;
	tsc_deadline = shared->tsc_deadline;
	lapic_mult = div64_u64(shared->lapic_hz << LAPIC_SHIFT, (u64)shared->tsc_khz * 1000);
	if (!tsc_deadline && !lapic_mult) {
		pr_err("the frequency of the local APIC timer is not known\n");
		return -ENODEV;
	}
	clockevent.cpumask = cpumask_of(raw_smp_processor_id());
	clockevents_config_and_register(&clockevent,
					shared->tsc_khz * (1000 / TICKS_PER_COUNT),
					0xf, 0x7fffffff);
	if (!owned)
		return -ENODEV;
	/* The replaced device masks the vector when it is shut down as a broadcast device. */
	guard(irqsave)();
	own(NULL);
	program(rdtsc());
	return 0;
}
