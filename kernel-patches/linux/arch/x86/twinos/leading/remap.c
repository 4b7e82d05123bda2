// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupt remapping by request. Where it is on, this OS owns the tables: a message interrupt of a
 * device names an entry, and only that says to which CPU and with which vector it goes. Each
 * interrupt of a function that is given away has its entry, blocked at first; its OS asks by the
 * mailbox in its shared page for a target. This file checks that it is a CPU and a vector of that
 * OS, so no function can interrupt anybody else.
 *
 * Entries are those of interrupts that this kernel allocates for the device and never starts. What
 * is put into them comes by the kernel's own description of a target, as for pins
 * (resources.c), so nothing here knows one vendor's tables.
 */
#include <linux/irqdomain.h>
#include <linux/msi.h>
#include <linux/pci.h>
#include <linux/spinlock.h>
#include <asm/irqdomain.h>

#include "leading.h"

/* The entries of one OS, by the number of the function in its share. */
struct entries {
	unsigned int nr_cpus;		/* 0: requests are refused */
	u32 apic_ids[TWINOS_MAX_CPUS + 1];
	struct {
		unsigned int nr;
		int *irqs;
	} functions[TWINOS_MAX_PCI];
};

static struct entries *tables[TWINOS_MAX_ID + 1];	/* written with twinos_mutex held, too */
static DEFINE_RAW_SPINLOCK(lock);

/** twinos_remap_entry() - the part of an interrupt that is its entry; NULL if it has none */
struct irq_data *twinos_remap_entry(struct irq_data *data)
{
	while (data && data->parent_data && data->parent_data->domain != x86_vector_domain)
		data = data->parent_data;
	return data && data->parent_data ? data : NULL;
}

/* As apic->calc_dest_apicid(), which knows only the CPUs that this OS has. */
static u32 destination(u32 apic_id)
{
	if (!apic->dest_mode_logical)
		return apic_id;
	return apic_id >> 4 << 16 | BIT(apic_id & 15);	/* x2APIC: SDM vol. 3, 11.12.10.2 */
}

/**
 * twinos_remap() - let the entry of an interrupt raise a vector, which may be another kernel's
 * @data: of the level that is the entry
 *
 * Interrupts off, and nobody else works on this interrupt.
 */
void twinos_remap(struct irq_data *data, u32 apic_id, unsigned int vector)
{
	struct irq_cfg *cfg = irqd_cfg(data), own = *cfg;

	cfg->vector = vector;
	cfg->dest_apicid = destination(apic_id);
	data->domain->ops->activate(data->domain, data, false);
	*cfg = own;
}

static void block(int irq)
{
	struct irq_data *data = twinos_remap_entry(irq_get_irq_data(irq));

	data->domain->ops->deactivate(data->domain, data);
}

/* ---- what a function needs ---- */

static void free_entries(struct entries *t)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(t->functions); i++) {
		while (t->functions[i].nr)
			irq_domain_free_irqs(t->functions[i].irqs[--t->functions[i].nr], 1);
		kfree(t->functions[i].irqs);
	}
	kfree(t);
}

static int alloc_entry(struct pci_dev *pdev)
{
	struct msi_desc desc = { .dev = &pdev->dev };	/* which device it is, is all that is asked */
	struct irq_alloc_info info;

	init_irq_alloc_info(&info, NULL);
	info.type = X86_IRQ_ALLOC_TYPE_PCI_MSIX;
	info.desc = &desc;
	return irq_domain_alloc_irqs(dev_get_msi_domain(&pdev->dev), 1, dev_to_node(&pdev->dev),
				     &info);
}

static bool is_remapped(struct pci_dev *pdev)
{
	struct irq_domain *domain = dev_get_msi_domain(&pdev->dev);

	return domain && domain->parent == x86_vector_domain && irq_domain_is_msi_parent(domain);
}

static int alloc_entries(struct entries *t, unsigned int function, struct pci_dev *pdev)
{
	unsigned int nr = clamp(pci_msix_vec_count(pdev), 1, TWINOS_MAX_ENTRIES);
	int irq;

	if (!is_remapped(pdev)) {
		pci_err(pdev, "twinos: its interrupts are not remapped, unlike those of others in the share\n");
		return -EOPNOTSUPP;
	}
	t->functions[function].irqs = kcalloc(nr, sizeof(int), GFP_KERNEL);
	if (!t->functions[function].irqs)
		return -ENOMEM;
	while (t->functions[function].nr < nr) {
		irq = alloc_entry(pdev);
		if (irq < 0) {
			pci_err(pdev, "twinos: has %u interrupts, and interrupt remapping has room for %u of them (error %d)\n",
				nr, t->functions[function].nr, irq);
			return irq;
		}
		t->functions[function].irqs[t->functions[function].nr++] = irq;
	}
	return 0;
}

/** twinos_remap_on() - are an OS's interrupts remapped? twinos_mutex held. */
bool twinos_remap_on(u32 id)
{
	return tables[id];
}

/** twinos_remap_free() - give back the entries of an OS that does not run. twinos_mutex held. */
void twinos_remap_free(u32 id)
{
	struct entries *t = tables[id];

	scoped_guard(raw_spinlock_irqsave, &lock)
		tables[id] = NULL;
	if (t)
		free_entries(t);
}

/**
 * twinos_remap_take() - have entries for the functions of a share, all blocked
 *
 * twinos_mutex held. Returns 0, also where interrupts are not remapped, or an errno with none taken.
 */
int twinos_remap_take(const struct twinos_share *share, struct pci_dev **pdevs)
{
	struct entries *t;
	unsigned int i;
	int err = 0;

	twinos_remap_free(share->id);
	if (!share->nr_pci || !is_remapped(pdevs[0]))
		return 0;
	t = kzalloc(sizeof(*t), GFP_KERNEL);
	if (!t)
		return -ENOMEM;
	for (i = 0; i < share->nr_pci && !err; i++)
		err = alloc_entries(t, i, pdevs[i]);
	if (err) {
		free_entries(t);
		return err;
	}
	scoped_guard(raw_spinlock_irqsave, &lock)
		tables[share->id] = t;
	return 0;
}

/* ---- requests ---- */

/**
 * twinos_remap_open() - answer an OS from now on, for the CPUs that it has
 * @moves: it has the shared one, too: it is on its way to or from there
 *
 * twinos_mutex held. Returns whether its interrupts are remapped.
 */
bool twinos_remap_open(struct twinos_os *os, bool moves)
{
	struct entries *t = tables[os->id];
	unsigned int i;

	if (!t)
		return false;
	guard(raw_spinlock_irqsave)(&lock);
	for (i = 0; i < os->share.nr_cpus; i++)
		t->apic_ids[i] = cpu_physical_id(os->share.cpus[i]);
	if (moves || !i)
		t->apic_ids[i++] = cpu_physical_id(TWINOS_SHARED_CPU);
	t->nr_cpus = i;
	return true;
}

/** twinos_remap_close() - no more interrupts for an OS that has ended. twinos_mutex held. */
void twinos_remap_close(u32 id)
{
	struct entries *t = tables[id];
	unsigned int i, j;

	if (!t)
		return;
	guard(raw_spinlock_irqsave)(&lock);
	t->nr_cpus = 0;
	for (i = 0; i < ARRAY_SIZE(t->functions); i++)
		for (j = 0; j < t->functions[i].nr; j++)
			block(t->functions[i].irqs[j]);
}

static bool has_cpu(const struct entries *t, u32 apic_id)
{
	unsigned int i;

	for (i = 0; i < t->nr_cpus; i++)
		if (t->apic_ids[i] == apic_id)
			return true;
	return false;
}

static int answer(const struct entries *t, const struct twinos_remapping *asked,
		  struct msi_msg *msg)
{
	struct irq_data *data;

	if (!t || !t->nr_cpus || asked->function >= ARRAY_SIZE(t->functions) ||
	    asked->entry >= t->functions[asked->function].nr)
		return -ENOENT;
	data = twinos_remap_entry(irq_get_irq_data(t->functions[asked->function].irqs[asked->entry]));
	if (!asked->vector) {
		data->domain->ops->deactivate(data->domain, data);
	} else {
		if (asked->vector < TWINOS_VECTOR_SPLIT || asked->vector >= FIRST_SYSTEM_VECTOR ||
		    !has_cpu(t, asked->apic_id))
			return -EPERM;
		twinos_remap(data, asked->apic_id, asked->vector);
	}
	return irq_chip_compose_msi_msg(data, msg);
}

/** twinos_remap_answer() - has an OS a request in its mailbox? Hard interrupt context. */
void twinos_remap_answer(u32 id)
{
	struct twinos_shared *shared = twinos_slot(id);
	struct twinos_remapping *box, asked;
	struct msi_msg msg = {};

	/* Before the question; pairs with ask(). */
	if (!shared || smp_load_acquire(&shared->remapping.state) != TWINOS_ASKED)
		return;
	box = &shared->remapping;
	asked = __READ_ONCE(*box);	/* it may change meanwhile */
	scoped_guard(raw_spinlock_irqsave, &lock)
		box->error = answer(tables[id], &asked, &msg);
	box->address = (u64)msg.address_hi << 32 | msg.address_lo;
	box->data = msg.data;
	smp_store_release(&box->state, TWINOS_ANSWERED);	/* pairs with wait_for_answer() */
}
