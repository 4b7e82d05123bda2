// SPDX-License-Identifier: GPL-2.0
/*
 * The launch guard: takes the CPU back from a coexisting OS that hangs with
 * interrupts off. A timer that the leading OS does not use itself (HPET
 * channel 0, or the PIT) raises an NMI every second through its IO-APIC pin.
 * The OS that runs looks how long the other one has been waiting; a coexisting
 * OS that finds that it is overdue gives the CPU back for good.
 *
 * Out of reach, because no handler of ours is there yet: a kernel that hangs
 * before setup_arch() has read its share, and a triple fault, which resets
 * the machine.
 */
#include <linux/clockchips.h>
#include <linux/delay.h>
#include <linux/i8253.h>
#include <linux/io.h>
#include <linux/irq.h>
#include <linux/string.h>
#include <asm/apic.h>
#include <asm/desc.h>
#include <asm/hpet.h>
#include <asm/io_apic.h>
#include <asm/nmi.h>
#include <asm/time.h>
#include <asm/trapnr.h>
#include <asm/tsc.h>

#include "twinos.h"

#define TIMER_IRQ	0

static bool armed;
static u32 saved_rte[2];
static void __iomem *ioapic, *hpet;
static unsigned int pin;

/* Interrupts off. */
static u32 ioapic_read(unsigned int reg)
{
	u32 value;

	twinos_lock(TWINOS_LOCK_IOAPIC);
	writel(reg, ioapic);
	value = readl(ioapic + 0x10);
	twinos_unlock(TWINOS_LOCK_IOAPIC);
	return value;
}

static void ioapic_write(unsigned int reg, u32 value)
{
	twinos_lock(TWINOS_LOCK_IOAPIC);
	writel(reg, ioapic);
	writel(value, ioapic + 0x10);
	twinos_unlock(TWINOS_LOCK_IOAPIC);
}

/* Claims only what nobody else has: perf and the watchdog come first. */
static int guard_nmi(unsigned int type, struct pt_regs *regs)
{
	/* The NMI that stops the CPUs of the leading OS before its crash kernel starts. */
	if (twinos_role == TWINOS_COEXISTING && READ_ONCE(twinos_common->crashed))
		for (;;)
			native_halt();
	if (twinos_role == TWINOS_LEADING ? !armed : !twinos_timesharing())
		return NMI_DONE;
	if (twinos_role == TWINOS_COEXISTING && twinos_overdue()) {
		strscpy(twinos_shared()->reason, "hung with interrupts off",
			sizeof(twinos_shared()->reason));
		twinos_leave_for_good(TWINOS_HUNG);
	}
	return NMI_HANDLED;
}

static void start_timer(void)
{
	u32 config, period, now;

	if (!hpet) {
		/* Mode 2, the longest period there is: 55 ms. */
		outb_p(0x34, PIT_MODE);
		outb_p(0, PIT_CH0);
		outb_p(0, PIT_CH0);
		return;
	}
	period = div_u64(1000000000000000ULL, readl(hpet + HPET_PERIOD));
	now = readl(hpet + HPET_COUNTER);
	config = readl(hpet + HPET_Tn_CFG(0)) & ~HPET_TN_LEVEL;
	writel(config | HPET_TN_ENABLE | HPET_TN_PERIODIC | HPET_TN_SETVAL | HPET_TN_32BIT,
	       hpet + HPET_Tn_CFG(0));
	writel(now + period, hpet + HPET_Tn_CMP(0));
	udelay(1);	/* as in hpet_clkevt_set_state_periodic() */
	writel(period, hpet + HPET_Tn_CMP(0));
}

static void stop_timer(void)
{
	if (hpet)
		writel(readl(hpet + HPET_Tn_CFG(0)) & ~(HPET_TN_ENABLE | HPET_TN_PERIODIC),
		       hpet + HPET_Tn_CFG(0));
	else
		clockevent_i8253_disable();
}

/**
 * twinos_guard_arm() - leading OS: begin to guard a launch
 *
 * Process context, on the shared CPU. Does nothing, and says so, where the timer
 * is in use or the IO-APIC is behind interrupt remapping.
 */
void twinos_guard_arm(void)
{
	struct irq_data *timer = irq_get_irq_data(TIMER_IRQ);
	struct clock_event_device *evt = global_clock_event;
	int idx = mp_find_ioapic(0);
	unsigned long flags;

	if (armed)
		return;
	if (idx < 0 || !timer || strcmp(timer->chip->name, "IO-APIC") ||
	    (evt && !clockevent_state_detached(evt) && !clockevent_state_shutdown(evt))) {
		pr_warn("no timer is free to guard the launch: a coexisting OS that hangs keeps the CPU\n");
		return;
	}
	pin = timer->hwirq;
	ioapic = ioremap(mpc_ioapic_addr(idx), PAGE_SIZE);
	if (is_hpet_enabled())
		hpet = ioremap(hpet_address, PAGE_SIZE);
	if (!ioapic || (is_hpet_enabled() && !hpet))
		goto unmap;
	if (register_nmi_handler(NMI_UNKNOWN, guard_nmi, 0, "twinos"))
		goto unmap;

	local_irq_save(flags);
	armed = true;
	saved_rte[0] = ioapic_read(0x10 + 2 * pin);
	saved_rte[1] = ioapic_read(0x11 + 2 * pin);
	ioapic_write(0x10 + 2 * pin, BIT(16));
	start_timer();
	ioapic_write(0x11 + 2 * pin, read_apic_id() << 24);
	ioapic_write(0x10 + 2 * pin, APIC_DELIVERY_MODE_NMI << 8);
	local_irq_restore(flags);
	return;
unmap:
	if (ioapic)
		iounmap(ioapic);
	if (hpet)
		iounmap(hpet);
	ioapic = hpet = NULL;
}

/** twinos_guard_disarm() - leading OS: put the timer and its pin back */
void twinos_guard_disarm(void)
{
	unsigned long flags;

	if (!armed)
		return;
	local_irq_save(flags);
	ioapic_write(0x10 + 2 * pin, BIT(16));
	stop_timer();
	ioapic_write(0x11 + 2 * pin, saved_rte[1]);
	ioapic_write(0x10 + 2 * pin, saved_rte[0]);
	armed = false;
	local_irq_restore(flags);
	unregister_nmi_handler(NMI_UNKNOWN, "twinos");
	iounmap(ioapic);
	if (hpet)
		iounmap(hpet);
	ioapic = hpet = NULL;
}

asmlinkage void twinos_early_nmi(void);

/**
 * twinos_guard_early() - coexisting OS: answer the guard from now on
 *
 * The kernel's own exception gates come long before its interrupts, so the
 * handler is there from the beginning. Until they are installed the NMI goes to
 * one that needs no stack but its own frame; early_fixup_exception() ignores it.
 */
void __init twinos_guard_early(void)
{
	struct desc_ptr idt;
	gate_desc nmi;

	store_idt(&idt);
	pack_gate(&nmi, GATE_INTERRUPT, (unsigned long)twinos_early_nmi, 0, 0, __KERNEL_CS);
	memcpy((gate_desc *)idt.address + X86_TRAP_NMI, &nmi, sizeof(nmi));
	if (register_nmi_handler(NMI_UNKNOWN, guard_nmi, 0, "twinos"))
		pr_warn("no NMI handler: if this OS hangs, the machine does\n");
}
