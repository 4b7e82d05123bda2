// SPDX-License-Identifier: GPL-2.0
/*
 * What a coexisting OS is given besides memory and CPUs: PCI functions and interrupt
 * pins. The leading OS alone programs the IO-APIC: a pin of a share raises a fixed
 * vector on its OS's first CPU, and a coexisting OS needs to know nothing more.
 */
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdesc.h>
#include <linux/kernel.h>
#include <asm/acpi.h>
#include <asm/hw_irq.h>
#include <asm/io_apic.h>
#include <asm/irqdomain.h>

#include "leading.h"

static irqreturn_t pin_interrupt(int irq, void *unused)
{
	return IRQ_NONE;
}

static void give_pins(struct twinos_os *os)
{
	while (os->nr_pins)
		free_irq(os->pin_irqs[--os->nr_pins], os);
}

static void change_pin(unsigned int irq, void (*change)(struct irq_data *data, u32 apic_id,
							unsigned int vector),
		       u32 apic_id, unsigned int vector)
{
	struct irq_desc *desc = irq_to_desc(irq);
	unsigned long flags;

	raw_spin_lock_irqsave(&desc->lock, flags);
	change(irq_desc_get_irq_data(desc), apic_id, vector);
	raw_spin_unlock_irqrestore(&desc->lock, flags);
}

/*
 * The kernel's own way to write a pin's entry, with what another kernel has in
 * place of the vector that was allocated here, and which this one never uses.
 */
static void route(struct irq_data *data, u32 apic_id, unsigned int vector)
{
	struct irq_cfg *cfg = irqd_cfg(data), own = *cfg;

	cfg->vector = vector;
	cfg->dest_apicid = apic_id;
	mp_irqdomain_activate(data->domain, data, false);
	data->chip->irq_unmask(data);
	*cfg = own;
}

/*
 * A disabled interrupt may be unmasked all the same until it occurs, but these
 * pins are no longer for this OS to see.
 */
static void mask(struct irq_data *data, u32 apic_id, unsigned int vector)
{
	data->chip->irq_mask(data);
}

/** twinos_route_pins() - let the pins of an OS interrupt a CPU. twinos_mutex held. */
void twinos_route_pins(struct twinos_os *os, u32 apic_id)
{
	unsigned int i;

	for (i = 0; i < os->nr_pins; i++)
		change_pin(os->pin_irqs[i], route, apic_id, TWINOS_VECTOR_SPLIT + i);
}

/** twinos_mask_pins() - let them interrupt nobody. twinos_mutex held. */
void twinos_mask_pins(struct twinos_os *os)
{
	unsigned int i;

	for (i = 0; i < os->nr_pins; i++)
		change_pin(os->pin_irqs[i], mask, 0, 0);
}

/* A disabled handler on each pin keeps this OS's drivers away from it. */
static int take_pins(struct twinos_os *os, const struct twinos_share *share)
{
	int irq, err;

	while (os->nr_pins < share->nr_irqs) {
		u32 gsi = share->irqs[os->nr_pins];

		irq = -EINVAL;
		if (gsi < gsi_top)
			irq = mp_map_gsi_to_irq(gsi, IOAPIC_MAP_ALLOC, NULL);
		if (irq < 0) {
			pr_err("there is no interrupt pin %u\n", gsi);
			err = -EINVAL;
			goto fail;
		}
		err = request_irq(irq, pin_interrupt, IRQF_NO_AUTOEN | IRQF_PROBE_SHARED,
				  "twinos", os);
		if (err) {
			pr_err("interrupt pin %u is in use\n", gsi);
			goto fail;
		}
		change_pin(irq, mask, 0, 0);
		os->pin_irqs[os->nr_pins++] = irq;
	}
	return 0;
fail:
	give_pins(os);
	return err;
}

/**
 * twinos_take_resources() - take pins and PCI functions from this OS
 * @os: that they are for
 * @share: validated share of it
 *
 * Returns 0, or an errno with nothing taken. twinos_mutex held.
 */
int twinos_take_resources(struct twinos_os *os, const struct twinos_share *share)
{
	int err;

	give_pins(os);
	err = take_pins(os, share);
	if (err)
		return err;
	err = twinos_pci_take(share);
	if (err)
		give_pins(os);
	return err;
}

/** twinos_give_resources() - give them back. twinos_mutex held. */
void twinos_give_resources(struct twinos_os *os)
{
	give_pins(os);
	twinos_pci_give_back(os->id);
}
