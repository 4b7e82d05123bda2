// SPDX-License-Identifier: GPL-2.0
/*
 * Message interrupts of a coexisting OS where they are remapped: the leading OS has the tables.
 * Between the vectors of this kernel and the interrupts of its devices is a domain that tells it of
 * each to which CPU and vector it goes, and hears what the device is to write for that.
 */
#include <linux/irqdomain.h>
#include <linux/msi.h>
#include <linux/pci.h>
#include <asm/irqdomain.h>

#include "coexisting.h"

#define ANSWER_LIMIT	5	/* seconds */

static DEFINE_RAW_SPINLOCK(mailbox);

/* What the leading OS has said of an interrupt. */
struct remapped {
	u32 function, entry;
	u64 address;
	u32 data;
};

/*
 * Interrupts off. On a shared CPU the leading OS must run for it. On one of its own it does, but
 * this OS may be in the middle of a move between the two.
 */
static bool wait_for_answer(struct twinos_remapping *box)
{
	u64 end = rdtsc() + ANSWER_LIMIT * MSEC_PER_SEC * (u64)tsc_khz;

	/* Before the answer; pairs with twinos_remap_answer(). */
	while (smp_load_acquire(&box->state) != TWINOS_ANSWERED) {
		if (rdtsc() > end)
			return false;
		if (!twinos_yield_for_answer())
			cpu_relax();
	}
	return true;
}

/* @vector: 0 if none is to be raised. Any context but NMI. Returns an errno. */
static int ask(struct remapped *r, u32 apic_id, unsigned int vector)
{
	struct twinos_remapping *box = &twinos_shared()->remapping;

	guard(raw_spinlock_irqsave)(&mailbox);
	box->function = r->function;
	box->entry = r->entry;
	box->apic_id = apic_id;
	box->vector = vector;
	smp_store_release(&box->state, TWINOS_ASKED);	/* pairs with twinos_remap_answer() */
	twinos_ring_leading(TWINOS_WORK);
	if (!wait_for_answer(box)) {
		pr_err_ratelimited("the leading OS does not answer about an interrupt\n");
		return -ETIMEDOUT;
	}
	r->address = box->address;
	r->data = box->data;
	return box->error;
}

static int tell(struct irq_data *data)
{
	const struct irq_cfg *cfg = irqd_cfg(data);

	/* One that is not in use has a vector that is only there to be told. */
	return ask(data->chip_data, cfg->dest_apicid,
		   cfg->vector < TWINOS_VECTOR_SPLIT || cfg->vector >= FIRST_SYSTEM_VECTOR ? 0 :
		   cfg->vector);
}

static int set_affinity(struct irq_data *data, const struct cpumask *mask, bool force)
{
	struct irq_data *parent = data->parent_data;
	int ret = parent->chip->irq_set_affinity(parent, mask, force);

	if (ret < 0 || ret == IRQ_SET_MASK_OK_DONE)
		return ret;
	if (tell(data))
		return -EIO;
	vector_schedule_cleanup(irqd_cfg(data));
	return IRQ_SET_MASK_OK_DONE;
}

static void compose(struct irq_data *data, struct msi_msg *msg)
{
	const struct remapped *r = data->chip_data;

	*msg = (struct msi_msg){
		.address_lo	= lower_32_bits(r->address),
		.address_hi	= upper_32_bits(r->address),
		.data		= r->data,
	};
}

static struct irq_chip chip = {
	.name			= "TWINOS-IR",
	.irq_ack		= apic_ack_irq,
	.irq_set_affinity	= set_affinity,
	.irq_compose_msi_msg	= compose,
};

static int find_function(const struct pci_dev *pdev)
{
	const struct twinos_share *share = &twinos_own_share;
	unsigned int i;

	for (i = 0; i < share->nr_pci; i++)
		if (share->pci[i].domain == pci_domain_nr(pdev->bus) &&
		    share->pci[i].bus == pdev->bus->number && share->pci[i].devfn == pdev->devfn)
			return i;
	return -ENODEV;
}

static int alloc_interrupt(struct irq_domain *domain, unsigned int virq, unsigned int nr, void *arg)
{
	const struct irq_alloc_info *info = arg;
	int function = find_function(msi_desc_to_pci_dev(info->desc));
	struct irq_data *data;
	struct remapped *r;
	int err;

	if (function < 0 || nr != 1)
		return -EINVAL;
	if (info->desc->msi_index >= TWINOS_MAX_ENTRIES)
		return -ENOSPC;		/* the driver does with fewer */
	r = kzalloc(sizeof(*r), GFP_KERNEL);
	if (!r)
		return -ENOMEM;
	r->function = function;
	r->entry = info->desc->msi_index;
	err = irq_domain_alloc_irqs_parent(domain, virq, nr, arg);
	if (err < 0) {
		kfree(r);
		return err;
	}
	data = irq_domain_get_irq_data(domain, virq);
	data->hwirq = function << 16 | r->entry;
	data->chip = &chip;
	data->chip_data = r;
	irq_set_status_flags(virq, IRQ_MOVE_PCNTXT);
	return 0;
}

static void free_interrupt(struct irq_domain *domain, unsigned int virq, unsigned int nr)
{
	kfree(irq_domain_get_irq_data(domain, virq)->chip_data);
	irq_domain_free_irqs_common(domain, virq, nr);
}

static int activate(struct irq_domain *domain, struct irq_data *data, bool reserve)
{
	return tell(data);
}

static void deactivate(struct irq_domain *domain, struct irq_data *data)
{
	ask(data->chip_data, BAD_APICID, 0);
}

static const struct irq_domain_ops ops = {
	.alloc		= alloc_interrupt,
	.free		= free_interrupt,
	.activate	= activate,
	.deactivate	= deactivate,
};

static const struct msi_parent_ops parent_ops = {
	.supported_flags	= X86_VECTOR_MSI_FLAGS_SUPPORTED,
	.prefix			= "IR-",
	.init_dev_msi_info	= msi_parent_init_dev_msi_info,
};

/** twinos_create_msi_domain() - where the interrupts of this OS's devices come from. Boot time. */
struct irq_domain * __init twinos_create_msi_domain(void)
{
	struct irq_domain *vectors = native_create_pci_msi_domain(), *domain;
	struct fwnode_handle *node;

	if (!twinos_shared()->remapping.on)
		return vectors;
	node = irq_domain_alloc_named_fwnode("TWINOS-IR");
	domain = node ? irq_domain_create_hierarchy(vectors, 0, 0, node, &ops, NULL) : NULL;
	if (!domain)
		panic("no memory for interrupts");
	irq_domain_update_bus_token(domain, DOMAIN_BUS_DMAR);	/* as one of the hardware's */
	domain->flags |= IRQ_DOMAIN_FLAG_MSI_PARENT | IRQ_DOMAIN_FLAG_ISOLATED_MSI;
	domain->msi_parent_ops = &parent_ops;
	return domain;
}
