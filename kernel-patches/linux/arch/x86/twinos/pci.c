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
#include <linux/pm_runtime.h>
#include <linux/slab.h>
#include <asm/pci_x86.h>

#include "leading/leading.h"
#include "coexisting/coexisting.h"

/* Functions that are, in the leading OS, those of coexisting ones. */
static struct function {
	struct twinos_pci at;
	u32 owner;			/* number of the OS, 0: entry is free */
	bool reset;			/* since its owner used it */
	struct pci_dev *bridge;		/* above it, kept awake; or NULL */
	bool bridge_enabled;		/* for this function */
	u32 bar_values[PCI_STD_NUM_BARS];	/* as this OS had them */
	struct resource *bars[PCI_STD_NUM_BARS];
} functions[8 * TWINOS_MAX_PCI];
static unsigned int nr_functions;	/* entries ever in use */
static const struct pci_raw_ops *conf_ops, *ext_ops;

/* The first function of an OS behind @f, from the beginning for NULL. */
static struct function *next_function(struct function *f, u32 owner)
{
	for (f = f ? f + 1 : functions; f < functions + nr_functions; f++)
		if (f->owner == owner)
			return f;
	return NULL;
}

static struct function *find_function(unsigned int domain, unsigned int bus,
				      unsigned int devfn)
{
	struct function *f;

	for (f = functions; f < functions + nr_functions; f++)
		if (f->owner && f->at.domain == domain && f->at.bus == bus &&
		    f->at.devfn == devfn)
			return f;
	return NULL;
}

static bool visible(unsigned int domain, unsigned int bus, unsigned int devfn)
{
	return !find_function(domain, bus, devfn) == (twinos_role == TWINOS_LEADING);
}

/*
 * Ports 0xcf8 and 0xcfc are an address and a data register for the whole
 * machine: locked, and only used where memory-mapped access does not reach. A
 * kernel that begins to boot uses them before it knows that it is not alone.
 */
static int any_read(unsigned int domain, unsigned int bus, unsigned int devfn,
		    int reg, int len, u32 *val)
{
	unsigned long flags;
	int err;

	if (ext_ops && !ext_ops->read(domain, bus, devfn, reg, len, val))
		return 0;
	if (!conf_ops)
		return -EINVAL;
	local_irq_save(flags);
	twinos_lock(TWINOS_LOCK_PCI);
	err = conf_ops->read(domain, bus, devfn, reg, len, val);
	twinos_unlock(TWINOS_LOCK_PCI);
	local_irq_restore(flags);
	return err;
}

static int any_write(unsigned int domain, unsigned int bus, unsigned int devfn,
		     int reg, int len, u32 val)
{
	unsigned long flags;
	int err;

	if (ext_ops && !ext_ops->write(domain, bus, devfn, reg, len, val))
		return 0;
	if (!conf_ops)
		return -EINVAL;
	local_irq_save(flags);
	twinos_lock(TWINOS_LOCK_PCI);
	err = conf_ops->write(domain, bus, devfn, reg, len, val);
	twinos_unlock(TWINOS_LOCK_PCI);
	local_irq_restore(flags);
	return err;
}

static int conf_read(unsigned int domain, unsigned int bus, unsigned int devfn,
		     int reg, int len, u32 *val)
{
	if (visible(domain, bus, devfn))
		return any_read(domain, bus, devfn, reg, len, val);
	*val = U32_MAX;
	return 0;
}

static int conf_write(unsigned int domain, unsigned int bus, unsigned int devfn,
		      int reg, int len, u32 val)
{
	return visible(domain, bus, devfn) ?
	       any_write(domain, bus, devfn, reg, len, val) : 0;
}

static int ext_read(unsigned int domain, unsigned int bus, unsigned int devfn,
		    int reg, int len, u32 *val)
{
	if (visible(domain, bus, devfn))
		return ext_ops->read(domain, bus, devfn, reg, len, val);
	*val = U32_MAX;
	return 0;
}

static int ext_write(unsigned int domain, unsigned int bus, unsigned int devfn,
		     int reg, int len, u32 val)
{
	return visible(domain, bus, devfn) ?
	       ext_ops->write(domain, bus, devfn, reg, len, val) : 0;
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
static u32 raw_read(const struct function *f, int reg, int len)
{
	u32 val = U32_MAX;

	any_read(f->at.domain, f->at.bus, f->at.devfn, reg, len, &val);
	return val;
}

static void raw_write(const struct function *f, int reg, int len, u32 val)
{
	any_write(f->at.domain, f->at.bus, f->at.devfn, reg, len, val);
}

static int raw_find_capability(const struct function *f, u8 cap)
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

/* Begins a function-level reset if there is one. */
static bool begin_reset(const struct function *f)
{
	int pos;

	pos = raw_find_capability(f, PCI_CAP_ID_EXP);
	if (pos && (raw_read(f, pos + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR)) {
		raw_write(f, pos + PCI_EXP_DEVCTL, 2,
			  raw_read(f, pos + PCI_EXP_DEVCTL, 2) | PCI_EXP_DEVCTL_BCR_FLR);
		return true;
	}
	pos = raw_find_capability(f, PCI_CAP_ID_AF);
	if (pos && (raw_read(f, pos + PCI_AF_CAP, 1) & PCI_AF_CAP_FLR)) {
		raw_write(f, pos + PCI_AF_CTRL, 1, PCI_AF_CTRL_FLR);
		return true;
	}
	return false;
}

/* Back in our device tree, without a driver; or NULL. */
static struct pci_dev *find_again(const struct function *f)
{
	struct pci_bus *bus = pci_find_bus(f->at.domain, f->at.bus);

	return bus ? pci_scan_single_device(bus, f->at.devfn) : NULL;
}

/*
 * A function without a reset of its own: by what its bus offers, unless a function of
 * another OS is behind the same bridge. The kernel wants it in the device tree for that,
 * and refuses by itself if one of ours is there.
 */
static void reset_by_bus(struct function *f)
{
	u32 owner = f->owner;
	struct pci_dev *pdev;
	struct function *g;

	if (!f->bridge)
		return;
	for (g = functions; g < functions + nr_functions; g++)
		if (g->owner && g->owner != owner && g->bridge == f->bridge)
			return;
	pci_lock_rescan_remove();
	f->owner = 0;	/* visible */
	pdev = find_again(f);
	if (pdev) {
		f->reset = !pci_reset_function(pdev);
		pci_stop_and_remove_bus_device(pdev);
	}
	f->owner = owner;
	pci_unlock_rescan_remove();
}

/**
 * twinos_pci_quiesce() - stop DMA and interrupts of what an OS was given
 * @owner: its number
 *
 * After it has ended; what it left running must not write to the window when
 * that is loaded again. Functions that can are reset. Process context, may
 * sleep.
 */
void twinos_pci_quiesce(u32 owner)
{
	bool wait = false;
	struct function *f;
	int pos, n;

	for (f = next_function(NULL, owner); f; f = next_function(f, owner)) {
		raw_write(f, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE);
		pos = raw_find_capability(f, PCI_CAP_ID_MSIX);
		if (pos)
			raw_write(f, pos + PCI_MSIX_FLAGS, 2, 0);
		pos = raw_find_capability(f, PCI_CAP_ID_MSI);
		if (pos)
			raw_write(f, pos + PCI_MSI_FLAGS, 2, 0);
	}
	for (f = next_function(NULL, owner); f; f = next_function(f, owner)) {
		f->reset = begin_reset(f);
		wait |= f->reset;
	}
	if (wait)
		msleep(100);	/* PCI Express Base Specification 6.6.2; AF: the same */
	for (f = next_function(NULL, owner); f; f = next_function(f, owner))
		if (!f->reset)
			reset_by_bus(f);
	/*
	 * A reset of the bus has hit others, too; and an OS that was ended while it asked
	 * a function for the size of its ranges has left anything there.
	 */
	for (f = next_function(NULL, owner); f; f = next_function(f, owner))
		for (n = 0; n < PCI_STD_NUM_BARS; n++)
			raw_write(f, PCI_BASE_ADDRESS_0 + 4 * n, 4, f->bar_values[n]);
}

static void release_bars(struct function *f)
{
	int n;

	for (n = 0; n < PCI_STD_NUM_BARS; n++) {
		if (!f->bars[n])
			continue;
		release_resource(f->bars[n]);
		kfree(f->bars[n]);
		f->bars[n] = NULL;
	}
}

/* Keep the addresses of a function that leaves our device tree occupied. */
static void hold_bars(struct function *f, struct pci_dev *pdev)
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
		f->bars[n] = res;
	}
}

static void occupy_bars(struct function *f)
{
	int n;

	for (n = 0; n < PCI_STD_NUM_BARS; n++) {
		struct resource *res = f->bars[n], *root, *parent;

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
			f->bars[n] = NULL;
		}
	}
}

static int check_function(const struct twinos_pci *at, u32 owner)
{
	struct function *f = find_function(at->domain, at->bus, at->devfn);
	struct pci_dev *pdev;
	int err = 0;

	if (f)
		return f->owner == owner ? 0 : -EBUSY;
	pdev = pci_get_domain_bus_and_slot(at->domain, at->bus, at->devfn);
	if (!pdev) {
		pr_err("there is no PCI function %04x:%02x:%02x.%d\n", at->domain,
		       at->bus, PCI_SLOT(at->devfn), PCI_FUNC(at->devfn));
		return -ENODEV;
	}
	if (pdev->hdr_type != PCI_HEADER_TYPE_NORMAL) {
		pci_err(pdev, "twinos: is a bridge and cannot be given away\n");
		err = -EINVAL;
	} else if (device_iommu_mapped(&pdev->dev)) {
		pci_err(pdev, "twinos: is behind an IOMMU; boot with intel_iommu=off amd_iommu=off\n");
		err = -EOPNOTSUPP;
	} else if (!pdev->msi_cap && !pdev->msix_cap) {
		pci_err(pdev, "twinos: has neither MSI nor MSI-X and cannot be given away\n");
		err = -EOPNOTSUPP;
	}
	pci_dev_put(pdev);
	return err;
}

static struct function *free_entry(void)
{
	struct function *f;

	for (f = functions; f < functions + nr_functions; f++)
		if (!f->owner)
			return f;
	return nr_functions < ARRAY_SIZE(functions) ? &functions[nr_functions++] : NULL;
}

/* Is there an entry for each function of a share that has none yet? */
static bool enough_entries(const struct twinos_share *share)
{
	unsigned int i, wanted = 0, used = 0;

	for (i = 0; i < nr_functions; i++)
		used += functions[i].owner != 0;
	for (i = 0; i < share->nr_pci; i++)
		wanted += visible(share->pci[i].domain, share->pci[i].bus, share->pci[i].devfn);
	if (used + wanted <= ARRAY_SIZE(functions))
		return true;
	pr_err("no more than %zu PCI functions can be given away\n", ARRAY_SIZE(functions));
	return false;
}

/*
 * A bridge with nothing below it that this OS knows of would be put to sleep, and
 * without a driver below it was perhaps never enabled.
 */
static void hold_bridge(struct function *f, struct pci_dev *pdev)
{
	f->bridge = pci_dev_get(pci_upstream_bridge(pdev));
	if (!f->bridge)
		return;
	pm_runtime_get_sync(&f->bridge->dev);
	f->bridge_enabled = !pci_enable_device(f->bridge);
	if (f->bridge_enabled)
		pci_set_master(f->bridge);
	else
		pci_warn(f->bridge, "twinos: cannot be enabled for what is below it\n");
}

static void release_bridge(struct function *f)
{
	if (!f->bridge)
		return;
	if (f->bridge_enabled)
		pci_disable_device(f->bridge);
	pm_runtime_put(&f->bridge->dev);
	pci_dev_put(f->bridge);
	f->bridge = NULL;
}

static bool in_share(const struct function *f, const struct twinos_share *share)
{
	unsigned int i;

	for (i = 0; i < share->nr_pci; i++)
		if (!memcmp(&share->pci[i], &f->at, sizeof(f->at)))
			return true;
	return false;
}

static void take_function(const struct twinos_pci *at, u32 owner)
{
	struct pci_dev *pdev;
	struct function *f;
	int n;

	pdev = pci_get_domain_bus_and_slot(at->domain, at->bus, at->devfn);
	if (!pdev)	/* removed since the check */
		return;
	f = free_entry();
	pci_info(pdev, "twinos: leaves this OS\n");
	f->at = *at;
	f->reset = false;
	for (n = 0; n < PCI_STD_NUM_BARS; n++)
		f->bar_values[n] = raw_read(f, PCI_BASE_ADDRESS_0 + 4 * n, 4);
	hold_bars(f, pdev);
	hold_bridge(f, pdev);
	pci_stop_and_remove_bus_device(pdev);
	occupy_bars(f);
	f->owner = owner;
	pci_dev_put(pdev);
}

/*
 * Let this OS find those functions again whose owner is U32_MAX. On a root bus there
 * is perhaps a reset that needs no bus (through power management), before a driver
 * sees the function.
 */
static void return_marked(void)
{
	struct pci_bus *bus = NULL;
	struct function *f;
	int n;

	for (f = next_function(NULL, U32_MAX); f; f = next_function(f, U32_MAX)) {
		struct pci_dev *pdev;

		f->owner = 0;
		release_bars(f);
		pdev = find_again(f);
		release_bridge(f);
		if (!pdev)
			continue;
		if (!f->reset && pci_is_root_bus(pdev->bus))
			pci_reset_function(pdev);
		for (n = 0; n < PCI_STD_NUM_BARS; n++)	/* where they were */
			if (pdev->resource[n].flags && !pdev->resource[n].parent)
				pci_claim_resource(pdev, n);
	}
	while ((bus = pci_find_next_bus(bus))) {
		pci_assign_unassigned_bus_resources(bus);
		pci_bus_add_devices(bus);
	}
}

/**
 * twinos_pci_take() - make the functions of a share those of its OS
 * @share: validated share
 *
 * Functions that this OS was given before and that are not named again are
 * given back. Checks all before it takes one. Process context. Returns 0 or
 * an errno.
 */
int twinos_pci_take(const struct twinos_share *share)
{
	struct function *f;
	bool give = false;
	unsigned int i;
	int err;

	for (i = 0; i < share->nr_pci; i++) {
		err = check_function(&share->pci[i], share->id);
		if (err)
			return err;
	}
	if (!enough_entries(share))
		return -ENOSPC;

	pci_lock_rescan_remove();
	install_filter();
	for (f = next_function(NULL, share->id); f; f = next_function(f, share->id))
		if (!in_share(f, share)) {
			f->owner = U32_MAX;
			give = true;
		}
	if (give)
		return_marked();
	for (i = 0; i < share->nr_pci; i++)
		if (visible(share->pci[i].domain, share->pci[i].bus, share->pci[i].devfn))
			take_function(&share->pci[i], share->id);
	pci_unlock_rescan_remove();
	return 0;
}

/** twinos_pci_has() - does an OS have any function? */
bool twinos_pci_has(u32 owner)
{
	return next_function(NULL, owner);
}

/** twinos_pci_give_back() - let the leading OS find the functions of an OS again */
void twinos_pci_give_back(u32 owner)
{
	struct function *f;
	bool give = false;

	pci_lock_rescan_remove();
	for (f = next_function(NULL, owner); f; f = next_function(f, owner)) {
		f->owner = U32_MAX;
		give = true;
	}
	if (give)
		return_marked();
	pci_unlock_rescan_remove();
}

/** twinos_pci_set_share() - coexisting OS: what it may see */
void __init twinos_pci_set_share(const struct twinos_share *share)
{
	for (nr_functions = 0; nr_functions < share->nr_pci; nr_functions++) {
		functions[nr_functions].at = share->pci[nr_functions];
		functions[nr_functions].owner = share->id;
	}
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
		unsigned int i;
		u8 first = U8_MAX, last = 0;

		/* Only the buses of the share: each takes a megabyte to map. */
		for (i = 0; i < nr_functions; i++) {
			first = min(first, functions[i].at.bus);
			last = max(last, functions[i].at.bus);
		}
		first = max_t(u8, first, shared->mmconfig_buses & 0xff);
		last = min_t(u8, last, shared->mmconfig_buses >> 8);
		if (first <= last) {
			pci_mmconfig_add(shared->mmconfig_segment, first, last,
					 shared->mmconfig_addr);
			pci_mmcfg_arch_init();
		}
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
		if (!pci_find_bus(functions[i].at.domain, functions[i].at.bus))
			pcibios_scan_root(functions[i].at.bus);
	return 0;
}
