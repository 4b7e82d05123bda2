// SPDX-License-Identifier: GPL-2.0
/*
 * PCI functions belong to one OS each. The leading OS removes what it gives
 * away from its own device tree, the coexisting OS finds nothing but its
 * share; in both, configuration space of the others reads as an empty slot.
 */
#include <linux/ioport.h>
#include <linux/kernel.h>
#include <linux/delay.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <asm/pci_x86.h>

#include "twinos.h"

static struct twinos_pci functions[TWINOS_MAX_PCI];	/* of the coexisting OS */
static unsigned int nr_functions;
static struct resource *bars[TWINOS_MAX_PCI][PCI_STD_NUM_BARS];
static const struct pci_raw_ops *conf_ops, *ext_ops;

static bool visible(unsigned int domain, unsigned int bus, unsigned int devfn)
{
	unsigned int i;

	for (i = 0; i < nr_functions; i++)
		if (functions[i].domain == domain && functions[i].bus == bus &&
		    functions[i].devfn == devfn)
			return twinos_role == TWINOS_COEXISTING;
	return twinos_role == TWINOS_LEADING;
}

static int filtered_read(const struct pci_raw_ops *ops, unsigned int domain,
			 unsigned int bus, unsigned int devfn, int reg, int len,
			 u32 *val)
{
	if (visible(domain, bus, devfn))
		return ops->read(domain, bus, devfn, reg, len, val);
	*val = U32_MAX;
	return 0;
}

static int filtered_write(const struct pci_raw_ops *ops, unsigned int domain,
			  unsigned int bus, unsigned int devfn, int reg, int len,
			  u32 val)
{
	if (visible(domain, bus, devfn))
		return ops->write(domain, bus, devfn, reg, len, val);
	return 0;
}

static int conf_read(unsigned int domain, unsigned int bus, unsigned int devfn,
		     int reg, int len, u32 *val)
{
	return filtered_read(conf_ops, domain, bus, devfn, reg, len, val);
}

static int conf_write(unsigned int domain, unsigned int bus, unsigned int devfn,
		      int reg, int len, u32 val)
{
	return filtered_write(conf_ops, domain, bus, devfn, reg, len, val);
}

static int ext_read(unsigned int domain, unsigned int bus, unsigned int devfn,
		    int reg, int len, u32 *val)
{
	return filtered_read(ext_ops, domain, bus, devfn, reg, len, val);
}

static int ext_write(unsigned int domain, unsigned int bus, unsigned int devfn,
		     int reg, int len, u32 val)
{
	return filtered_write(ext_ops, domain, bus, devfn, reg, len, val);
}

static const struct pci_raw_ops filtered_conf_ops = {
	.read	= conf_read,
	.write	= conf_write,
};

static const struct pci_raw_ops filtered_ext_ops = {
	.read	= ext_read,
	.write	= ext_write,
};

static void install_filter(void)
{
	if (raw_pci_ops && raw_pci_ops != &filtered_conf_ops) {
		conf_ops = raw_pci_ops;
		raw_pci_ops = &filtered_conf_ops;
	}
	if (raw_pci_ext_ops && raw_pci_ext_ops != &filtered_ext_ops) {
		ext_ops = raw_pci_ext_ops;
		raw_pci_ext_ops = &filtered_ext_ops;
	}
}

/* Past the filter, for functions that are not in our device tree. */
static u32 raw_read(const struct twinos_pci *f, int reg, int len)
{
	u32 val = U32_MAX;

	if (conf_ops && !f->domain && reg < 256)
		conf_ops->read(f->domain, f->bus, f->devfn, reg, len, &val);
	else if (ext_ops)
		ext_ops->read(f->domain, f->bus, f->devfn, reg, len, &val);
	return val;
}

static void raw_write(const struct twinos_pci *f, int reg, int len, u32 val)
{
	if (conf_ops && !f->domain && reg < 256)
		conf_ops->write(f->domain, f->bus, f->devfn, reg, len, val);
	else if (ext_ops)
		ext_ops->write(f->domain, f->bus, f->devfn, reg, len, val);
}

static int raw_find_capability(const struct twinos_pci *f, u8 cap)
{
	int pos, limit = 48;

	if (!(raw_read(f, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST))
		return 0;
	for (pos = raw_read(f, PCI_CAPABILITY_LIST, 1) & ~3; pos >= 0x40 && limit--;
	     pos = raw_read(f, pos + PCI_CAP_LIST_NEXT, 1) & ~3)
		if (raw_read(f, pos + PCI_CAP_LIST_ID, 1) == cap)
			return pos;
	return 0;
}

/**
 * twinos_pci_quiesce() - stop DMA and interrupts of all functions given away
 *
 * After the coexisting OS has ended; what it left running must not write to
 * the window when that is loaded again. Process context, may sleep.
 */
void twinos_pci_quiesce(void)
{
	unsigned int i;

	for (i = 0; i < nr_functions; i++) {
		const struct twinos_pci *f = &functions[i];
		int pos;

		raw_write(f, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE);
		pos = raw_find_capability(f, PCI_CAP_ID_MSIX);
		if (pos)
			raw_write(f, pos + PCI_MSIX_FLAGS, 2, 0);
		pos = raw_find_capability(f, PCI_CAP_ID_MSI);
		if (pos)
			raw_write(f, pos + PCI_MSI_FLAGS, 2, 0);
		pos = raw_find_capability(f, PCI_CAP_ID_EXP);
		if (pos && (raw_read(f, pos + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR)) {
			u32 bar[PCI_STD_NUM_BARS];
			int n;

			for (n = 0; n < PCI_STD_NUM_BARS; n++)
				bar[n] = raw_read(f, PCI_BASE_ADDRESS_0 + 4 * n, 4);
			raw_write(f, pos + PCI_EXP_DEVCTL, 2,
				  raw_read(f, pos + PCI_EXP_DEVCTL, 2) | PCI_EXP_DEVCTL_BCR_FLR);
			msleep(100);	/* PCIe 6.6.2 */
			for (n = 0; n < PCI_STD_NUM_BARS; n++)
				raw_write(f, PCI_BASE_ADDRESS_0 + 4 * n, 4, bar[n]);
		}
	}
}

static bool held(const struct twinos_pci *f)
{
	return !visible(f->domain, f->bus, f->devfn);
}

static void release_bars(unsigned int i)
{
	int n;

	for (n = 0; n < PCI_STD_NUM_BARS; n++) {
		if (!bars[i][n])
			continue;
		release_resource(bars[i][n]);
		kfree(bars[i][n]);
		bars[i][n] = NULL;
	}
}

/* Keep the addresses of a function that leaves our device tree occupied. */
static void hold_bars(unsigned int i, struct pci_dev *pdev)
{
	int n;

	for (n = 0; n < PCI_STD_NUM_BARS; n++) {
		struct resource *bar = &pdev->resource[n], *res;

		if (!bar->parent || !resource_size(bar))
			continue;
		res = kzalloc(sizeof(*res), GFP_KERNEL);
		if (!res)
			continue;
		res->name = "TwinOS PCI function";
		res->start = bar->start;
		res->end = bar->end;
		res->flags = bar->flags | IORESOURCE_BUSY;
		bars[i][n] = res;
	}
}

static void occupy_bars(unsigned int i)
{
	int n;

	for (n = 0; n < PCI_STD_NUM_BARS; n++) {
		struct resource *res = bars[i][n], *root, *parent;

		if (!res)
			continue;
		root = res->flags & IORESOURCE_IO ? &ioport_resource : &iomem_resource;
		parent = NULL;
		do {	/* the smallest resource around it: a bridge window */
			struct resource *r = parent ? parent->child : root;

			for (; r; r = r->sibling)
				if (r->start <= res->start && r->end >= res->end &&
				    !(r->flags & IORESOURCE_BUSY))
					break;
			if (!r || r == parent)
				break;
			parent = r;
		} while (parent->child);
		if (!parent || request_resource(parent, res)) {
			kfree(res);
			bars[i][n] = NULL;
		}
	}
}

static int check_function(const struct twinos_pci *f)
{
	struct pci_dev *pdev;
	int err = 0;

	if (held(f))
		return 0;
	pdev = pci_get_domain_bus_and_slot(f->domain, f->bus, f->devfn);
	if (!pdev) {
		pr_err("there is no PCI function %04x:%02x:%02x.%d\n", f->domain,
		       f->bus, PCI_SLOT(f->devfn), PCI_FUNC(f->devfn));
		return -ENODEV;
	}
	if (pdev->hdr_type != PCI_HEADER_TYPE_NORMAL) {
		pci_err(pdev, "twinos: is a bridge and cannot be given away\n");
		err = -EINVAL;
	} else if (!pdev->msi_cap && !pdev->msix_cap) {
		pci_err(pdev, "twinos: has neither MSI nor MSI-X and cannot be given away\n");
		err = -EOPNOTSUPP;
	}
	pci_dev_put(pdev);
	return err;
}

/**
 * twinos_pci_take() - make the functions of a share those of the coexisting OS
 * @share: validated share
 *
 * Functions held from an earlier load and not named again are given back.
 * Checks all before it takes one. Process context. Returns 0 or an errno.
 */
int twinos_pci_take(const struct twinos_share *share)
{
	unsigned int i;
	int err;

	for (i = 0; i < share->nr_pci; i++) {
		err = check_function(&share->pci[i]);
		if (err)
			return err;
	}
	if (nr_functions != share->nr_pci ||
	    memcmp(functions, share->pci, nr_functions * sizeof(functions[0])))
		twinos_pci_give_back();
	else
		return 0;

	pci_lock_rescan_remove();
	for (i = 0; i < share->nr_pci; i++) {
		const struct twinos_pci *f = &share->pci[i];
		struct pci_dev *pdev;

		pdev = pci_get_domain_bus_and_slot(f->domain, f->bus, f->devfn);
		if (!pdev)	/* removed since the check */
			continue;
		pci_info(pdev, "twinos: leaves this OS\n");
		hold_bars(i, pdev);
		pci_stop_and_remove_bus_device(pdev);
		pci_dev_put(pdev);
		occupy_bars(i);
		functions[i] = *f;
		nr_functions = i + 1;
	}
	install_filter();
	pci_unlock_rescan_remove();
	return 0;
}

/** twinos_pci_give_back() - let the leading OS find its functions again */
void twinos_pci_give_back(void)
{
	struct pci_bus *bus = NULL;
	unsigned int i;

	if (!nr_functions)
		return;
	twinos_pci_quiesce();
	pci_lock_rescan_remove();
	for (i = 0; i < nr_functions; i++)
		release_bars(i);
	nr_functions = 0;
	while ((bus = pci_find_next_bus(bus)))
		pci_rescan_bus(bus);
	pci_unlock_rescan_remove();
}

/** twinos_pci_set_share() - coexisting OS: what it may see */
void __init twinos_pci_set_share(const struct twinos_share *share)
{
	nr_functions = share->nr_pci;
	memcpy(functions, share->pci, sizeof(functions));
}

static int no_intx(struct pci_dev *pdev)
{
	return 0;
}

/**
 * twinos_pci_arch_init() - coexisting OS: x86_init.pci.arch_init
 *
 * Configuration space as the leading OS reaches it, through the filter. Each
 * bus that has a function of the share is scanned as a root bus: the bridges
 * above belong to the leading OS, which has programmed them.
 */
int __init twinos_pci_arch_init(void)
{
	const struct twinos_shared *shared = twinos_shared();

	pci_direct_init(1);
#ifdef CONFIG_PCI_MMCONFIG
	if (shared->mmconfig_addr) {
		pci_mmconfig_add(shared->mmconfig_segment, shared->mmconfig_buses & 0xff,
				 shared->mmconfig_buses >> 8, shared->mmconfig_addr);
		pci_mmcfg_arch_init();
	}
#endif
	install_filter();
	pcibios_enable_irq = no_intx;
	return 0;
}

/* x86_init.pci.init runs as a subsys_initcall, when buses can be scanned. */
int __init twinos_pci_scan(void)
{
	unsigned int i;

	for (i = 0; i < nr_functions; i++)
		if (!pci_find_bus(functions[i].domain, functions[i].bus))
			pcibios_scan_root(functions[i].bus);
	return 0;
}
