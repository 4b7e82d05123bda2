// SPDX-License-Identifier: GPL-2.0
/*
 * A coexisting OS that is asked something by the leading one, by a doorbell: to shut down, or to
 * continue on another CPU. What it must then set right is what belongs to the CPU and not to the
 * OS: the local APIC, and the APIC ID that its devices send their interrupts to.
 */
#include <linux/delay.h>
#include <linux/irq.h>
#include <linux/irq_work.h>
#include <linux/irqdesc.h>
#include <linux/reboot.h>
#include <linux/workqueue.h>

#include "coexisting.h"
#include "../both/terminal.h"

/* Where the interrupts of our devices go; physical APIC ID. */
static u32 target = BAD_APICID;

static void retarget_interrupt(struct irq_desc *desc)
{
	struct irq_data *data = irq_desc_get_irq_data(desc);
	struct irq_cfg *cfg;

	guard(raw_spinlock_irqsave)(&desc->lock);
	cfg = irqd_cfg(data);
	if (desc->action && cfg && cfg->vector && irqd_is_activated(data) &&
	    data->chip->irq_set_affinity) {
		cfg->dest_apicid = target;
		data->chip->irq_set_affinity(data, cpumask_of(0), true);
	}
}

/* Hard interrupt context. */
static void retarget_interrupts(u32 apic_id)
{
	struct irq_desc *desc;
	unsigned int irq;

	if (target == apic_id)
		return;
	target = apic_id;
	for_each_irq_desc(irq, desc)
		retarget_interrupt(desc);
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

/** twinos_moved() - this OS is on another CPU, its state just loaded. Interrupts off. */
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
 * Leave this CPU; returns on another one. In an interrupt, after EOI. Our interrupts go to the
 * leading OS meanwhile, which notes them.
 */
static void park(void)
{
	twinos_me()->idle = false;
	retarget_interrupts(twinos_shared()->leading_apic_id);
	mdelay(1);	/* for what was on its way here, as in fixup_irqs() */
	twinos_keep_pending();
	twinos_over_task(twinos_park_cpu_state);
	twinos_moved();
	if (!twinos_dedicated())
		twinos_timeshare_resume(NULL);
	else
		twinos_continue_alone();
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

/*
 * A sign of life, given by the CPUs in turn: it ends when any of them hangs. On a shared CPU the
 * guard sees a hang; the CPU is not taken for this so often.
 */
static void beat(struct timer_list *timer)
{
	unsigned int cpu;

	guard(preempt)();	/* which keeps the next one online meanwhile */
	cpu = cpumask_next(smp_processor_id(), cpu_online_mask);
	if (cpu >= nr_cpu_ids)
		cpu = cpumask_first(cpu_online_mask);
	WRITE_ONCE(twinos_shared()->alive_tsc, rdtsc());
	timer->expires = jiffies + (twinos_dedicated() ? HZ : 10 * HZ);
	add_timer_on(timer, cpu);
}

static DEFINE_TIMER(beat_timer, beat);

/** twinos_boot_done() - coexisting OS: can be shut down from now on. Process context. */
void twinos_boot_done(void)
{
	beat(&beat_timer);
	WRITE_ONCE(twinos_shared()->state, TWINOS_RUNNING);
	/* Whoever asks now sees the state; who asked before has left a note. */
	smp_mb();
	if (READ_ONCE(stop_early))
		schedule_work(&shut_down_work);
	twinos_ring_leading(TWINOS_NEWS);	/* which tells those who wait for it */
}

/** twinos_answer_request() - doorbell of a coexisting OS. Hard interrupt context, after EOI. */
void twinos_answer_request(void)
{
	u32 *request = &twinos_shared()->request;
	u32 asked = TWINOS_REQUEST_NONE;

	if (unlikely(READ_ONCE(*request)))
		asked = xchg(request, TWINOS_REQUEST_NONE);
	if (asked == TWINOS_REQUEST_STOP) {
		WRITE_ONCE(stop_early, true);
		smp_mb();	/* pairs with twinos_boot_done() */
		if (READ_ONCE(twinos_shared()->state) == TWINOS_RUNNING)
			schedule_work(&shut_down_work);
	} else if (asked == TWINOS_REQUEST_PARK && twinos_dedicated()) {
		park();
	}
	twinos_terminal_answer(0);
	twinos_net_answer();
	/* Some OS has rung, and the leading one must hear it. */
	if (unlikely(READ_ONCE(twinos_common->doorbell) || READ_ONCE(twinos_common->rung)))
		twinos_note_for_other(X86_PLATFORM_IPI_VECTOR);
}
