// SPDX-License-Identifier: GPL-2.0
/*
 * The launch guard: NMIs on the shared CPU, by which a coexisting OS gives it back
 * (coexisting/guarded.c). One a second, for an OS that hangs with interrupts off; and one each
 * quarter of a millisecond while an OS boots, as long as it has no interrupts. They come from a
 * timer that the leading OS does not use itself, HPET channel 0 or the PIT, through its IO-APIC
 * pin; or else from another CPU of the leading OS. The guard waits for the first one, so that it is
 * known to tick.
 *
 * Out of reach, because no handler of ours is there yet: a kernel that hangs before setup_arch()
 * has read its share, and a triple fault, which resets the machine.
 */
#include <linux/clockchips.h>
#include <linux/hrtimer.h>
#include <linux/i8253.h>
#include <linux/io.h>
#include <linux/iopoll.h>
#include <linux/smp.h>
#include <asm/hpet.h>
#include <asm/io_apic.h>
#include <asm/nmi.h>
#include <asm/time.h>

#include "leading.h"

#define TIMER_IRQ	0
#define SLOW_US	USEC_PER_SEC
#define FAST_US	250

static bool armed, fast;
static unsigned int ticks;		/* NMIs since it was armed */
static const struct source *source;
static void __iomem *hpet;

struct source {
	const char *name;
	bool (*start)(void);
	void (*set_period)(unsigned int us);	/* any context; 0: pauses */
	void (*stop)(void);
};

/* Claims only what nobody else has: perf and the watchdog come first. */
static int guard_nmi(unsigned int type, struct pt_regs *regs)
{
	if (!armed)
		return NMI_DONE;
	WRITE_ONCE(ticks, ticks + 1);
	if (fast && READ_ONCE(twinos_shared()->state) != TWINOS_STARTING) {
		fast = false;
		source->set_period(SLOW_US);
	}
	return NMI_HANDLED;
}

/* ---- a timer of the machine ---- */

static void compose_nmi(struct irq_data *data, struct msi_msg *msg)
{
	irq_chip_compose_msi_msg(data->parent_data, msg);
	msg->arch_addr_lo.destid_0_7 = cpu_physical_id(TWINOS_SHARED_CPU);
	msg->arch_data.delivery_mode = APIC_DELIVERY_MODE_NMI;
}

/* The kernel's own way to write a pin's entry, but for what is in it. */
static void let_raise(bool nmi)
{
	static struct irq_chip nmi_chip = { .irq_compose_msi_msg = compose_nmi };
	struct irq_desc *desc = irq_to_desc(TIMER_IRQ);
	struct irq_data *data = irq_desc_get_irq_data(desc);
	struct irq_chip *chip = data->chip;

	guard(raw_spinlock_irqsave)(&desc->lock);
	if (nmi)
		data->chip = &nmi_chip;
	mp_irqdomain_activate(data->domain, data, false);
	data->chip = chip;
}

static void pause_timer(void)
{
	if (hpet) {
		writel(readl(hpet + HPET_Tn_CFG(0)) & ~(HPET_TN_ENABLE | HPET_TN_PERIODIC),
		       hpet + HPET_Tn_CFG(0));
	} else {
		/* Mode 0, no count: as clockevent_i8253_disable(), but in an NMI, too. */
		outb_p(0x30, PIT_MODE);
		outb_p(0, PIT_CH0);
		outb_p(0, PIT_CH0);
	}
}

static void set_timer(unsigned int us)
{
	u32 config, period;

	pause_timer();
	if (!us)
		return;
	if (!hpet) {
		/* Mode 2; 55 ms is the longest period there is. */
		period = min_t(u64, (u64)PIT_TICK_RATE * us / USEC_PER_SEC, 0x10000);
		outb_p(0x34, PIT_MODE);
		outb_p(period & 0xff, PIT_CH0);
		outb_p(period >> 8 & 0xff, PIT_CH0);
		return;
	}
	period = div_u64(1000000000ULL * us, readl(hpet + HPET_PERIOD));
	config = readl(hpet + HPET_Tn_CFG(0)) & ~HPET_TN_LEVEL;
	writel(config | HPET_TN_ENABLE | HPET_TN_PERIODIC | HPET_TN_SETVAL | HPET_TN_32BIT,
	       hpet + HPET_Tn_CFG(0));
	writel(readl(hpet + HPET_COUNTER) + period, hpet + HPET_Tn_CMP(0));
	udelay(1);	/* as in hpet_clkevt_set_state_periodic() */
	writel(period, hpet + HPET_Tn_CMP(0));
}

static void stop_timer(void)
{
	let_raise(false);
	pause_timer();
	if (hpet)
		iounmap(hpet);
	hpet = NULL;
}

static bool start_timer(void)
{
	struct irq_data *timer = irq_get_irq_data(TIMER_IRQ);
	struct clock_event_device *evt = global_clock_event;

	/* In use, or behind interrupt remapping? */
	if (!timer || !irqd_is_activated(timer) || strcmp(timer->chip->name, "IO-APIC") ||
	    (evt && !clockevent_state_detached(evt) && !clockevent_state_shutdown(evt)))
		return false;
	if (is_hpet_enabled())
		hpet = ioremap(hpet_address, PAGE_SIZE);
	let_raise(true);
	set_timer(FAST_US);
	return true;
}

/* ---- another CPU of this OS ---- */

static struct hrtimer sender;
static bool sending;
static unsigned int ipi_period;		/* microseconds; 0: it pauses */

static void start_sender(void *unused)
{
	hrtimer_start(&sender, ns_to_ktime(FAST_US * NSEC_PER_USEC), HRTIMER_MODE_REL_PINNED_HARD);
}

/*
 * In a hard interrupt: no task gets that CPU while it waits for an answer of the shared one. On any
 * CPU of this OS but that, as long as there is another; from one that goes offline, timers move.
 */
static enum hrtimer_restart send_nmi(struct hrtimer *timer)
{
	static call_single_data_t move = CSD_INIT(start_sender, NULL);
	unsigned int us = READ_ONCE(ipi_period), other;

	if (!READ_ONCE(sending))
		return HRTIMER_NORESTART;
	if (smp_processor_id() == TWINOS_SHARED_CPU) {
		other = cpumask_any_but(cpu_online_mask, TWINOS_SHARED_CPU);
		if (other < nr_cpu_ids && !smp_call_function_single_async(other, &move))
			return HRTIMER_NORESTART;
	} else if (us) {
		__apic_send_IPI(TWINOS_SHARED_CPU, NMI_VECTOR);
	}
	hrtimer_forward_now(timer, ns_to_ktime((us ?: 1000) * NSEC_PER_USEC));
	return HRTIMER_RESTART;
}

static void set_ipi_period(unsigned int us)
{
	WRITE_ONCE(ipi_period, us);
}

static bool start_ipis(void)
{
	unsigned int cpu = cpumask_any_but(cpu_online_mask, TWINOS_SHARED_CPU);

	if (cpu >= nr_cpu_ids)
		return false;
	hrtimer_init(&sender, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
	sender.function = send_nmi;
	ipi_period = FAST_US;
	sending = true;
	return !smp_call_function_single(cpu, start_sender, NULL, true);
}

static void stop_ipis(void)
{
	WRITE_ONCE(sending, false);
	hrtimer_cancel(&sender);
}

/* ---- */

static const struct source sources[] = {
	{ "a timer", start_timer, set_timer, stop_timer },
	{ "another CPU", start_ipis, set_ipi_period, stop_ipis },
};

/**
 * twinos_guard_arm() - leading OS: prepare to guard a launch
 *
 * Process context, on the shared CPU. Says so where nothing is there to do it. A kernel that has
 * just been entered has no handler for an NMI, so none comes before twinos_guard_start().
 */
void twinos_guard_arm(void)
{
	unsigned int i, seen;

	if (armed || register_nmi_handler(NMI_UNKNOWN, guard_nmi, 0, "twinos"))
		return;
	armed = true;
	fast = false;
	ticks = 0;
	for (i = 0; i < ARRAY_SIZE(sources); i++) {
		source = &sources[i];
		if (!source->start())
			continue;
		if (!read_poll_timeout(READ_ONCE, seen, seen, 250, 25000, false, ticks)) {
			source->set_period(0);
			return;
		}
		pr_warn("the launch guard cannot use %s: no NMI comes\n", source->name);
		source->stop();
	}
	pr_warn("nothing guards the launch: a coexisting OS that hangs keeps the CPU\n");
	armed = false;
	unregister_nmi_handler(NMI_UNKNOWN, "twinos");
}

/** twinos_guard_start() - leading OS: the other OS answers NMIs. On the shared CPU. */
void twinos_guard_start(void)
{
	if (!armed)
		return;
	fast = READ_ONCE(twinos_shared()->state) == TWINOS_STARTING;
	source->set_period(fast ? FAST_US : SLOW_US);
}

/** twinos_guard_disarm() - leading OS: put the timer and its pin back. Process context. */
void twinos_guard_disarm(void)
{
	if (!armed)
		return;
	source->stop();
	armed = false;
	unregister_nmi_handler(NMI_UNKNOWN, "twinos");
}
