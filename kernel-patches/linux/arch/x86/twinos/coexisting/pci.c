// SPDX-License-Identifier: GPL-2.0
/*
 * A coexisting OS finds the PCI functions of its share and no others: the rest of configuration
 * space reads as empty slots. Bridges and reset are the leading OS's.
 */
#include <linux/pci.h>

#include "coexisting.h"
#include <asm/pci_x86.h>

static const struct twinos_share *share = &twinos_own_share;

static bool visible(unsigned int domain, unsigned int bus, unsigned int devfn)
{
	unsigned int i;

	for (i = 0; i < share->nr_pci; i++)
		if (share->pci[i].domain == domain && share->pci[i].bus == bus &&
		    share->pci[i].devfn == devfn)
			return true;
	return false;
}

static int filtered_read(unsigned int domain, unsigned int bus, unsigned int devfn,
			 int reg, int len, u32 *val)
{
	if (visible(domain, bus, devfn))
		return twinos_pci_ops.read(domain, bus, devfn, reg, len, val);
	*val = U32_MAX;
	return 0;
}

static int filtered_write(unsigned int domain, unsigned int bus, unsigned int devfn,
			  int reg, int len, u32 val)
{
	return visible(domain, bus, devfn) ?
	       twinos_pci_ops.write(domain, bus, devfn, reg, len, val) : 0;
}

static const struct pci_raw_ops filtered_ops = {
	.read	= filtered_read,
	.write	= filtered_write,
};

static int no_intx(struct pci_dev *pdev)
{
	return 0;
}

/** twinos_pci_arch_init() - configuration space as the leading OS reaches it, through the filter */
int __init twinos_pci_arch_init(void)
{
	const struct twinos_shared *shared = twinos_shared();
	u8 first = U8_MAX, last = 0;
	unsigned int i;

	pci_direct_init(1);
	/* Only the buses of the share: each takes a megabyte to map. */
	for (i = 0; i < share->nr_pci; i++) {
		first = min(first, share->pci[i].bus);
		last = max(last, share->pci[i].bus);
	}
	first = max_t(u8, first, shared->mmconfig_buses & 0xff);
	last = min_t(u8, last, shared->mmconfig_buses >> 8);
	if (shared->mmconfig_addr && first <= last) {
		pci_mmconfig_add(shared->mmconfig_segment, first, last, shared->mmconfig_addr);
		pci_mmcfg_arch_init();
	}
	twinos_pci_divert(&filtered_ops);
	pcibios_enable_irq = no_intx;
	return 0;
}

/*
 * Each bus that has a function of the share is scanned as a root bus: the bridges above belong to
 * the leading OS, which has programmed them. As a subsys_initcall.
 */
int __init twinos_pci_scan(void)
{
	unsigned int i;

	for (i = 0; i < share->nr_pci; i++)
		if (!pci_find_bus(share->pci[i].domain, share->pci[i].bus))
			pcibios_scan_root(share->pci[i].bus);
	return 0;
}
