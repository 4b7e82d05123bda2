// SPDX-License-Identifier: GPL-2.0
/*
 * PCI functions that are given away stay in the leading OS's device tree, bound to the driver
 * "twinos". So their addresses, the bridges above, power, reset and unplugging are the kernel's
 * own business, and the user sees who has them.
 *
 * All functions here want twinos_mutex to be held, but for the driver's own. In these the lock of
 * the device is held, which comes behind the mutex elsewhere.
 */
#include <linux/blkdev.h>
#include <linux/netdevice.h>
#include <linux/pci.h>
#include <linux/xarray.h>

#include "leading.h"
#include <asm/pci_x86.h>

/* A function that is given away; the driver's data of its device. */
struct function {
	struct list_head list;
	struct pci_dev *pdev;
	struct pci_saved_state *state;	/* as this OS had it */
	char *override;			/* the driver that the user wants, or NULL */
	u32 owner;			/* number of the OS */
	bool claimed;			/* its IOMMU group is that OS's */
	bool unplugged;			/* and no longer that OS's */
};

static LIST_HEAD(functions);

/* OSes that a function was taken from, until they do not run any more, see answer_doorbell(). */
DECLARE_BITMAP(twinos_losers, TWINOS_MAX_ID + 1);

static void lose(u32 owner)
{
	set_bit(owner, twinos_losers);
	WRITE_ONCE(twinos_common->doorbell, 1);
	twinos_ring(cpu_physical_id(TWINOS_SHARED_CPU));
}

/* No DMA and no interrupts any more. */
static void silence(struct pci_dev *pdev)
{
	pci_write_config_word(pdev, PCI_COMMAND, PCI_COMMAND_INTX_DISABLE);
	if (pdev->msix_cap)
		pci_write_config_word(pdev, pdev->msix_cap + PCI_MSIX_FLAGS, 0);
	if (pdev->msi_cap)
		pci_write_config_word(pdev, pdev->msi_cap + PCI_MSI_FLAGS, 0);
}

/* Only what take_function() has prepared. */
static int probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct function *f = pci_get_drvdata(pdev);
	int err;

	if (!f)
		return -ENODEV;
	err = pci_enable_device_mem(pdev);	/* and the bridges above */
	if (err)
		return err;
	pci_clear_master(pdev);
	pci_save_state(pdev);
	f->state = pci_store_saved_state(pdev);
	if (f->state)
		return 0;
	pci_disable_device(pdev);
	return -ENOMEM;
}

/* Either who unplugs it does this, or who gives it back. */
static void unclaim(struct function *f)
{
	if (xchg(&f->claimed, false))
		twinos_fence_release(f->pdev);
}

/*
 * Who unplugs a function has to wait for the end of the OS that uses it. Not for ever: somebody
 * who holds twinos_mutex may wait for the lock of this device.
 */
static void remove(struct pci_dev *pdev)
{
	struct function *f = pci_get_drvdata(pdev);

	if (f) {
		u32 owner = f->owner;	/* from here on f may go any time */

		pci_warn(pdev, "twinos: removed, though it belongs to coexisting OS %u\n", owner);
		pci_set_drvdata(pdev, NULL);
		unclaim(f);
		smp_store_release(&f->unplugged, true);	/* with what was read above */
		lose(owner);
		wait_on_bit_timeout(twinos_losers, owner, TASK_UNINTERRUPTIBLE, 10 * HZ);
		silence(pdev);
	}
	pci_disable_device(pdev);
}

/* A frozen channel is reset, with everything that is below it. */
static pci_ers_result_t error_detected(struct pci_dev *pdev, pci_channel_state_t state)
{
	const struct function *f = pci_get_drvdata(pdev);

	if (state == pci_channel_io_frozen && f) {
		pci_err(pdev, "twinos: is reset under coexisting OS %u\n", f->owner);
		lose(f->owner);
	}
	return state == pci_channel_io_normal ? PCI_ERS_RESULT_CAN_RECOVER :
						PCI_ERS_RESULT_DISCONNECT;
}

static const struct pci_error_handlers error_handlers = { .error_detected = error_detected };

/* Registered at boot. */
struct pci_driver twinos_pci_driver = {
	.name			= "twinos",
	.probe			= probe,
	.remove			= remove,
	.err_handler		= &error_handlers,
	.driver_managed_dma	= true,
	.driver.suppress_bind_attrs = true,
};

static struct function *find_function(const struct pci_dev *pdev)
{
	struct function *f;

	list_for_each_entry(f, &functions, list)
		if (f->pdev == pdev)
			return f;
	return NULL;
}

/* May the bus of a function be reset? Not under anybody else's hands. */
static bool has_bus(const struct function *f)
{
	const struct function *other;
	struct pci_dev *pdev = NULL;

	for_each_pci_dev(pdev) {
		if (pdev->bus != f->pdev->bus)
			continue;
		other = find_function(pdev);
		if (!other || other->owner != f->owner) {
			pci_dev_put(pdev);
			return false;
		}
	}
	return true;
}

/**
 * twinos_pci_quiesce() - stop DMA and interrupts of what an OS that has ended was given
 *
 * It must not write to the window when that is loaded again. Functions that can are reset, by
 * themselves or with the bus if nobody else is on that; and configured as this OS had them.
 */
void twinos_pci_quiesce(u32 owner)
{
	struct pci_bus *bus = NULL;	/* that was reset last */
	struct function *f;

	list_for_each_entry(f, &functions, list) {
		if (f->owner != owner || f->unplugged)
			continue;
		silence(f->pdev);
		if (f->claimed)
			twinos_fence_block(f->pdev);
	}
	twinos_fence_free(owner);
	list_for_each_entry(f, &functions, list) {
		if (f->owner != owner || f->unplugged)
			continue;
		/* Its OS may have put it to sleep. */
		f->pdev->current_state = PCI_UNKNOWN;
		pci_set_power_state(f->pdev, PCI_D0);
		if (pci_reset_function(f->pdev) == -ENOTTY && bus != f->pdev->bus &&
		    has_bus(f) && !pci_reset_bus(f->pdev))
			bus = f->pdev->bus;
		pci_load_saved_state(f->pdev, f->state);
		pci_restore_state(f->pdev);
	}
}

/*
 * No other user of a disk, or of a partition of it, may begin until release_claims(). A path of a
 * multipath NVMe disk, which is hidden, says by its name which disk that is, below no controller:
 * nvmeSUBSYSTEMcCONTROLLERnNUMBER leads to nvmeSUBSYSTEMnNUMBER.
 */
static int claim_disk(struct xarray *claims, struct gendisk *disk)
{
	struct device *head __free(put_device) = NULL;
	struct block_device *bdev = disk->part0;
	int subsystem, controller, nr, err;
	char name[DISK_NAME_LEN];

	if (disk->flags & GENHD_FL_HIDDEN) {
		if (sscanf(disk->disk_name, "nvme%dc%dn%d", &subsystem, &controller, &nr) != 3)
			return -EBUSY;
		snprintf(name, sizeof(name), "nvme%dn%d", subsystem, nr);
		head = class_find_device_by_name(&block_class, name);
		if (!head)
			return 0;
		bdev = dev_to_bdev(head);
	}
	err = xa_insert(claims, bdev->bd_dev, bdev, GFP_KERNEL);
	if (err)
		return err == -EBUSY ? 0 : err;		/* two paths to the same one */
	err = bd_prepare_to_claim(bdev, claims, NULL);
	if (err)
		xa_erase(claims, bdev->bd_dev);
	else
		get_device(&bdev->bd_device);
	return err;
}

/* Is a device, or one below it, in use? Disks that are not are claimed. */
static int claim(struct device *dev, void *claims)
{
	int err = 0;

	if (dev->class == &block_class && !bdev_is_partition(dev_to_bdev(dev)))
		err = claim_disk(claims, dev_to_disk(dev));
	else if (dev->class && !strcmp(dev->class->name, "net") &&
		 to_net_dev(dev)->flags & IFF_UP)
		err = -EBUSY;
	if (err)
		dev_err(dev, "twinos: is in use and cannot be given away\n");
	return err ?: device_for_each_child(dev, claims, claim);
}

static void release_claims(struct xarray *claims)
{
	struct block_device *bdev;
	unsigned long number;

	xa_for_each(claims, number, bdev) {
		bd_abort_claiming(bdev, claims);
		put_device(&bdev->bd_device);
	}
	xa_destroy(claims);
}

static int check_function(struct pci_dev *pdev, const struct twinos_share *share,
			  struct xarray *claims)
{
	const char *why;
	int err;

	err = twinos_fence_check(pdev, share);
	if (err || find_function(pdev))	/* of the same OS, see check_conflicts() */
		return err;
	if (pdev->hdr_type != PCI_HEADER_TYPE_NORMAL)
		why = "is a bridge and cannot be given away";
	else if (!pdev->msi_cap && !pdev->msix_cap)
		why = "has neither MSI nor MSI-X and cannot be given away";
	else
		return claim(&pdev->dev, claims);
	pci_err(pdev, "twinos: %s\n", why);
	return -EOPNOTSUPP;
}

/*
 * The driver of this OS finds each of them again that was not unplugged. All are let go of before
 * the first one gets a driver, which needs the whole of its IOMMU group.
 */
static void give_back(struct list_head *list)
{
	struct function *f, *next;

	list_for_each_entry(f, list, list) {
		if (smp_load_acquire(&f->unplugged))	/* pairs with remove() */
			continue;
		unclaim(f);
		pci_set_drvdata(f->pdev, NULL);
		device_set_driver_override(&f->pdev->dev, f->override ?: "");
		device_release_driver(&f->pdev->dev);
	}
	list_for_each_entry_safe(f, next, list, list) {
		if (!f->unplugged && device_attach(&f->pdev->dev) < 0)
			pci_warn(f->pdev, "twinos: is back, but without a driver\n");
		list_del(&f->list);
		kfree(f->override);
		kfree(f->state);
		pci_dev_put(f->pdev);
		kfree(f);
	}
}

/** twinos_pci_give_back() - the functions of an OS return to this one */
void twinos_pci_give_back(u32 owner)
{
	struct function *f, *next;
	LIST_HEAD(list);

	list_for_each_entry_safe(f, next, &functions, list)
		if (f->owner == owner)
			list_move_tail(&f->list, &list);
	give_back(&list);
	twinos_fence_free(owner);
	twinos_remap_free(owner);
}

/* Nothing to do if its OS has it already. On errors give_back() brings it home. */
static int take_function(struct pci_dev *pdev, u32 owner)
{
	struct device *dev = &pdev->dev;
	struct function *f;
	int err;

	if (find_function(pdev))
		return 0;
	f = kzalloc(sizeof(*f), GFP_KERNEL);
	if (!f)
		return -ENOMEM;
	f->pdev = pci_dev_get(pdev);
	f->owner = owner;
	list_add_tail(&f->list, &functions);
	scoped_guard(spinlock, &dev->driver_override.lock)
		f->override = kstrdup(dev->driver_override.name, GFP_ATOMIC);
	err = device_set_driver_override(dev, twinos_pci_driver.name);
	if (!err) {
		device_release_driver(dev);
		pci_set_drvdata(pdev, f);
		err = device_driver_attach(&twinos_pci_driver.driver, dev);
	}
	if (err)
		pci_err(pdev, "twinos: cannot be given away (error %d)\n", err);
	return err;
}

/* With its fence, for the memory of a share; all of its IOMMU group have been taken. */
static int fence_function(struct pci_dev *pdev, const struct twinos_share *share)
{
	struct function *f = find_function(pdev);
	int err;

	if (share->flags & TWINOS_SHARE_NO_FENCE) {
		unclaim(f);
		return 0;
	}
	if (!f->claimed) {
		err = twinos_fence_claim(pdev, f->owner);
		if (err) {
			pci_err(pdev, "twinos: its IOMMU group is in use (error %d)\n", err);
			return err;
		}
		f->claimed = true;
	}
	return twinos_fence_open(pdev, share);
}

static bool is_among(const struct function *f, struct pci_dev **pdevs)
{
	unsigned int i;

	for (i = 0; i < TWINOS_MAX_PCI; i++)
		if (f->pdev == pdevs[i])
			return !f->unplugged;
	return false;
}

/* What an OS has lost, by a share that does not name it any more. Fences are built anew. */
static void drop_functions(const struct twinos_share *share, struct pci_dev **pdevs)
{
	struct function *f, *next;
	LIST_HEAD(list);

	list_for_each_entry_safe(f, next, &functions, list) {
		if (f->owner != share->id)
			continue;
		if (!is_among(f, pdevs))
			list_move_tail(&f->list, &list);
		else if (f->claimed)
			twinos_fence_block(f->pdev);
	}
	give_back(&list);
	twinos_fence_free(share->id);
}

/**
 * twinos_pci_take() - make the functions of a share, which no other OS has, those of its OS
 *
 * What it was given before and is not named again is given back. Checks all before it takes one.
 * Process context. Returns 0; or an errno, if that came late with none left to the OS.
 */
int twinos_pci_take(const struct twinos_share *share)
{
	struct pci_dev *pdevs[TWINOS_MAX_PCI] = {};
	struct xarray claims;
	unsigned int i;
	int err = 0;

	xa_init(&claims);
	for (i = 0; i < share->nr_pci && !err; i++) {
		const struct twinos_pci *at = &share->pci[i];

		pdevs[i] = pci_get_domain_bus_and_slot(at->domain, at->bus, at->devfn);
		if (!pdevs[i])
			pr_err("there is no PCI function %04x:%02x:%02x.%d\n", at->domain,
			       at->bus, PCI_SLOT(at->devfn), PCI_FUNC(at->devfn));
		err = pdevs[i] ? check_function(pdevs[i], share, &claims) : -ENODEV;
	}
	if (!err) {
		twinos_pci_divert(&twinos_pci_ops);
		clear_and_wake_up_bit(share->id, twinos_losers);
		drop_functions(share, pdevs);
		for (i = 0; i < share->nr_pci && !err; i++)
			err = take_function(pdevs[i], share->id);
		for (i = 0; i < share->nr_pci && !err; i++)
			err = fence_function(pdevs[i], share);
		err = err ?: twinos_remap_take(share, pdevs);
		if (err)
			twinos_pci_give_back(share->id);
	}
	release_claims(&claims);
	for (i = 0; i < share->nr_pci; i++)
		pci_dev_put(pdevs[i]);
	return err;
}

/** twinos_pci_count() - how many functions does an OS have? */
unsigned int twinos_pci_count(u32 owner)
{
	const struct function *f;
	unsigned int n = 0;

	list_for_each_entry(f, &functions, list)
		n += f->owner == owner && !f->unplugged;
	return n;
}

/** twinos_pci_fence() - does an IOMMU fence an OS's functions? For people; NULL without functions. */
const char *twinos_pci_fence(u32 owner)
{
	const char *how = NULL;
	const struct function *f;

	list_for_each_entry(f, &functions, list) {
		if (f->owner != owner || f->unplugged)
			continue;
		if (f->claimed)
			return "fence";
		how = device_iommu_mapped(&f->pdev->dev) ? "off" : how ?: "none";
	}
	return how;
}
