// SPDX-License-Identifier: GPL-2.0
/*
 * What a coexisting OS is given besides memory and CPUs: PCI functions and interrupt
 * pins. The leading OS alone programs the IO-APIC: a pin of a share raises a fixed
 * vector on its OS's first CPU, and a coexisting OS needs to know nothing more.
 */
#include <linux/acpi.h>
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

/*
 * The kernel's own way to write a pin's entry, with what another kernel has in place of the vector
 * that was allocated here, and which this one never uses. To nobody: a disabled interrupt may be
 * unmasked all the same until it occurs, but these pins are no longer for this OS to see.
 */
static void route_pin(unsigned int irq, u32 apic_id, unsigned int vector)
{
	struct irq_desc *desc = irq_to_desc(irq);
	struct irq_data *data = irq_desc_get_irq_data(desc);
	struct irq_data *entry = twinos_remap_entry(data);
	struct irq_cfg *cfg = irqd_cfg(data), own;

	guard(raw_spinlock_irqsave)(&desc->lock);
	if (apic_id == BAD_APICID) {
		data->chip->irq_mask(data);
		return;
	}
	if (entry)
		twinos_remap(entry, apic_id, vector);
	own = *cfg;
	cfg->vector = vector;
	cfg->dest_apicid = apic_id;
	mp_irqdomain_activate(data->domain, data, false);
	data->chip->irq_unmask(data);
	*cfg = own;
}

/** twinos_route_pins() - to a CPU, or nobody: BAD_APICID. twinos_mutex held. */
void twinos_route_pins(struct twinos_os *os, u32 apic_id)
{
	unsigned int i;

	for (i = 0; i < os->nr_pins; i++)
		route_pin(os->pin_irqs[i], apic_id, TWINOS_VECTOR_SPLIT + i);
}

/* A disabled handler on each pin keeps this OS's drivers away from it. */
static int take_pin(struct twinos_os *os, u32 gsi)
{
	int irq = gsi < gsi_top ? mp_map_gsi_to_irq(gsi, IOAPIC_MAP_ALLOC, NULL) : -EINVAL;
	int err;

	if (irq < 0) {
		pr_err("there is no interrupt pin %u\n", gsi);
		return -EINVAL;
	}
	err = request_irq(irq, pin_interrupt, IRQF_NO_AUTOEN | IRQF_PROBE_SHARED, "twinos", os);
	if (err) {
		pr_err("interrupt pin %u is in use\n", gsi);
		return err;
	}
	route_pin(irq, BAD_APICID, 0);
	os->pin_irqs[os->nr_pins++] = irq;
	return 0;
}

/**
 * twinos_take_resources() - take pins and PCI functions of a valid share from this OS
 *
 * Returns 0, or an errno with nothing taken. twinos_mutex held.
 */
int twinos_take_resources(struct twinos_os *os, const struct twinos_share *share)
{
	unsigned int i;
	int err = 0;

	give_pins(os);
	for (i = 0; i < share->nr_irqs && !err; i++)
		err = take_pin(os, share->irqs[i]);
	err = err ?: twinos_pci_take(share);
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
