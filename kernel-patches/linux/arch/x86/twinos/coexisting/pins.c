// SPDX-License-Identifier: GPL-2.0
/*
 * The interrupt pins of the share. A coexisting OS has no IO-APIC: the leading OS lets each pin
 * raise a vector that is fixed, on the first CPU of this OS, wherever that moves. What is left here
 * is an interrupt of the pin's number for drivers.
 */
#include <linux/irq.h>
#include <linux/irqdesc.h>

#include "coexisting.h"

struct twinos_share twinos_own_share __ro_after_init;
unsigned int twinos_nr_pins;

/* An edge that comes while it is masked is kept by the flow handler. */
static void nothing(struct irq_data *data)
{
}

static int raise_again(struct irq_data *data)
{
	__apic_send_IPI(0, data->hwirq);
	return 1;
}

static struct irq_chip pin_chip = {
	.name		= "twinos",
	.irq_ack	= apic_ack_irq,
	.irq_mask	= nothing,
	.irq_unmask	= nothing,
	.irq_retrigger	= raise_again,
	.flags		= IRQCHIP_SKIP_SET_WAKE,
};

/** twinos_pins_init() - make them interrupts of this CPU. Boot time, interrupts off. */
void __init twinos_pins_init(void)
{
	const struct twinos_share *share = &twinos_own_share;
	unsigned int i;

	for (i = 0; i < share->nr_irqs; i++) {
		unsigned int vector = TWINOS_VECTOR_SPLIT + i;
		int irq = irq_alloc_desc_at(share->irqs[i], numa_node_id());

		if (irq < 0) {
			pr_err("no interrupt descriptor for pin %u\n", share->irqs[i]);
			continue;
		}
		irq_set_chip_and_handler_name(irq, &pin_chip, handle_edge_irq, "edge");
		irq_get_irq_data(irq)->hwirq = vector;
		__this_cpu_write(vector_irq[vector], irq_to_desc(irq));
	}
}
