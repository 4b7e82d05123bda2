// SPDX-License-Identifier: GPL-2.0
/*
 * PCI functions that are given away stay in the leading OS's device tree, bound
 * to the driver "twinos". So their addresses, the bridges above, power, reset
 * and unplugging are the kernel's own business, and the user sees who has them.
 *
 * All functions here want twinos_mutex to be held, but for the driver's own. In
 * these the lock of the device is held, which comes behind the mutex elsewhere.
 */
#include <linux/bitmap.h>
#include <linux/blkdev.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/netdevice.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/wait.h>
#include <linux/xarray.h>
#include <asm/smp.h>

#include "leading.h"
#include <asm/pci_x86.h>

/*
 * A function that is given away. The driver's data of its device is the number of
 * the OS as well, or NULL once it is no longer that OS's.
 */
struct function {
	struct list_head list;
	struct pci_dev *pdev;
	struct pci_saved_state *state;	/* as this OS had it */
	char *override;			/* the driver that the user wants, or NULL */
	u32 owner;			/* number of the OS */
};

static LIST_HEAD(functions);
static struct function *arriving;	/* what the driver may bind to */

/* OSes that a function was taken from, until they have ended. */
static DECLARE_BITMAP(losers, TWINOS_MAX_ID + 1);
static DECLARE_WAIT_QUEUE_HEAD(loser_ended);

/* False if it was unplugged. */
static bool held(const struct function *f)
{
	return pci_get_drvdata(f->pdev);
}

static void lose(unsigned long owner)
{
	set_bit(owner, losers);
	WRITE_ONCE(twinos_common->doorbell, 1);
	twinos_ring(cpu_physical_id(TWINOS_SHARED_CPU));
}

/** twinos_pci_lost() - was a function taken from a running OS? */
bool twinos_pci_lost(u32 owner)
{
	return test_bit(owner, losers);
}

/** twinos_pci_losses_handled() - those OSes have ended */
void twinos_pci_losses_handled(void)
{
	bitmap_zero(losers, TWINOS_MAX_ID + 1);
	wake_up_all(&loser_ended);
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

static int probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct function *f = arriving;
	int err;

	if (!f || f->pdev != pdev)
		return -ENODEV;
	err = pci_enable_device_mem(pdev);	/* and the bridges above */
	if (err)
		return err;
	pci_clear_master(pdev);
	pci_save_state(pdev);
	f->state = pci_store_saved_state(pdev);
	if (!f->state) {
		pci_disable_device(pdev);
		return -ENOMEM;
	}
	pci_set_drvdata(pdev, (void *)(unsigned long)f->owner);
	return 0;
}

/*
 * Who unplugs a function has to wait for the end of the OS that uses it. Not for
 * ever: somebody who holds twinos_mutex may wait for the lock of this device.
 */
static void remove(struct pci_dev *pdev)
{
	unsigned long owner = (unsigned long)pci_get_drvdata(pdev);

	pci_set_drvdata(pdev, NULL);
	if (owner) {
		pci_warn(pdev, "twinos: removed, though it belongs to coexisting OS %lu\n", owner);
		lose(owner);
		wait_event_timeout(loser_ended, !test_bit(owner, losers), 10 * HZ);
		silence(pdev);
	}
	pci_disable_device(pdev);
}

/* A frozen channel is reset, with everything that is below it. */
static pci_ers_result_t error_detected(struct pci_dev *pdev, pci_channel_state_t state)
{
	unsigned long owner = (unsigned long)pci_get_drvdata(pdev);

	if (state == pci_channel_io_normal)
		return PCI_ERS_RESULT_CAN_RECOVER;
	if (state == pci_channel_io_frozen && owner) {
		pci_err(pdev, "twinos: is reset under coexisting OS %lu\n", owner);
		lose(owner);
	}
	return PCI_ERS_RESULT_DISCONNECT;
}

static const struct pci_error_handlers error_handlers = {
	.error_detected = error_detected,
};

static struct pci_driver driver = {
	.name			= "twinos",
	.probe			= probe,
	.remove			= remove,
	.err_handler		= &error_handlers,
	.driver.suppress_bind_attrs = true,
};

static int __init register_driver(void)
{
	if (twinos_off || twinos_role != TWINOS_LEADING)
		return 0;
	return pci_register_driver(&driver);
}
device_initcall(register_driver);

/* For pci_walk_bus(): forget the function @data points to if not all are of the same OS. */
static int compare_owner(struct pci_dev *pdev, void *data)
{
	struct pci_dev **first = data;

	if (pdev->driver == &driver && pci_get_drvdata(pdev) == pci_get_drvdata(*first))
		return 0;
	*first = NULL;
	return 1;
}

/* May the bus of a function be reset? Not under anybody else's hands. */
static bool has_bus(struct pci_dev *pdev)
{
	pci_walk_bus(pdev->bus, compare_owner, &pdev);
	return pdev;
}

/**
 * twinos_pci_quiesce() - stop DMA and interrupts of what an OS was given
 * @owner: its number
 *
 * After it has ended; what it left running must not write to the window when
 * that is loaded again. Functions that can are reset, by themselves or with the
 * bus if nobody else is on that; and configured as this OS had them. Process
 * context, may sleep.
 */
void twinos_pci_quiesce(u32 owner)
{
	struct pci_bus *bus = NULL;	/* that was reset last */
	struct function *f;

	list_for_each_entry(f, &functions, list)
		if (f->owner == owner && held(f))
			silence(f->pdev);
	list_for_each_entry(f, &functions, list) {
		if (f->owner != owner || !held(f))
			continue;
		/* Its OS may have put it to sleep. */
		f->pdev->current_state = PCI_UNKNOWN;
		pci_set_power_state(f->pdev, PCI_D0);
		if (pci_reset_function(f->pdev) == -ENOTTY && bus != f->pdev->bus &&
		    has_bus(f->pdev) && !pci_reset_bus(f->pdev))
			bus = f->pdev->bus;
		pci_load_saved_state(f->pdev, f->state);
		pci_restore_state(f->pdev);
	}
}

/* No other user of a disk, or of a partition of it, may begin until release_claims(). */
static int claim_disk(struct xarray *claims, struct block_device *bdev)
{
	int err = xa_insert(claims, bdev->bd_dev, bdev, GFP_KERNEL);

	if (err == -EBUSY)	/* two paths to the same one */
		return 0;
	if (!err && bd_prepare_to_claim(bdev, claims, NULL)) {
		xa_erase(claims, bdev->bd_dev);
		err = -EBUSY;
	}
	if (!err)
		get_device(&bdev->bd_device);
	return err;
}

/*
 * A path of a multipath NVMe disk, which is hidden, says by its name which disk that
 * is: nvmeSUBSYSTEMcCONTROLLERnNUMBER leads to nvmeSUBSYSTEMnNUMBER. The disk is not
 * below any controller.
 */
static int claim_hidden(struct xarray *claims, struct gendisk *path)
{
	char name[DISK_NAME_LEN];
	struct device *disk;
	int subsystem, controller, nr, err;

	if (sscanf(path->disk_name, "nvme%dc%dn%d", &subsystem, &controller, &nr) != 3)
		return -EBUSY;
	snprintf(name, sizeof(name), "nvme%dn%d", subsystem, nr);
	disk = class_find_device_by_name(&block_class, name);
	if (!disk)
		return 0;
	err = claim_disk(claims, dev_to_bdev(disk));
	put_device(disk);
	return err;
}

/* Is a device, or one below it, in use? Disks that are not are claimed. */
static int claim(struct device *dev, void *claims)
{
	int err = 0;

	if (dev->class == &block_class && !bdev_is_partition(dev_to_bdev(dev)))
		err = dev_to_disk(dev)->flags & GENHD_FL_HIDDEN ?
		      claim_hidden(claims, dev_to_disk(dev)) :
		      claim_disk(claims, dev_to_bdev(dev));
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

static struct function *find_function(const struct pci_dev *pdev)
{
	struct function *f;

	list_for_each_entry(f, &functions, list)
		if (f->pdev == pdev)
			return f;
	return NULL;
}

static int check_function(struct pci_dev *pdev, u32 owner, struct xarray *claims)
{
	const struct function *f = find_function(pdev);

	if (f)
		return f->owner == owner ? 0 : -EBUSY;
	if (pdev->hdr_type != PCI_HEADER_TYPE_NORMAL) {
		pci_err(pdev, "twinos: is a bridge and cannot be given away\n");
		return -EINVAL;
	}
	if (device_iommu_mapped(&pdev->dev)) {
		pci_err(pdev, "twinos: is behind an IOMMU; boot with intel_iommu=off amd_iommu=off\n");
		return -EOPNOTSUPP;
	}
	if (!pdev->msi_cap && !pdev->msix_cap) {
		pci_err(pdev, "twinos: has neither MSI nor MSI-X and cannot be given away\n");
		return -EOPNOTSUPP;
	}
	return claim(&pdev->dev, claims);
}

/* The driver of this OS finds it again, unless it was unplugged. */
static void give_back(struct function *f)
{
	struct device *dev = &f->pdev->dev;

	if (held(f)) {
		pci_set_drvdata(f->pdev, NULL);
		device_set_driver_override(dev, f->override ?: "");
		device_release_driver(dev);
		if (device_attach(dev) < 0)
			pci_warn(f->pdev, "twinos: is back, but without a driver\n");
	}
	list_del(&f->list);
	kfree(f->override);
	kfree(f->state);
	pci_dev_put(f->pdev);
	kfree(f);
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
	err = device_set_driver_override(dev, driver.name);
	if (!err) {
		device_release_driver(dev);
		arriving = f;
		err = device_driver_attach(&driver.driver, dev);
		arriving = NULL;
	}
	if (err) {
		pci_err(pdev, "twinos: cannot be given away (error %d)\n", err);
		pci_set_drvdata(pdev, (void *)(unsigned long)owner);	/* for give_back() */
	}
	return err;
}

/* Is a function still there, and named by a share? */
static bool in_share(const struct function *f, const struct twinos_share *share)
{
	const struct pci_dev *pdev = f->pdev;
	unsigned int i;

	for (i = 0; i < share->nr_pci && held(f); i++)
		if (share->pci[i].domain == pci_domain_nr(pdev->bus) &&
		    share->pci[i].bus == pdev->bus->number &&
		    share->pci[i].devfn == pdev->devfn)
			return true;
	return false;
}

/** twinos_pci_give_back() - the functions of an OS return to this one */
void twinos_pci_give_back(u32 owner)
{
	struct function *f, *next;

	list_for_each_entry_safe(f, next, &functions, list)
		if (f->owner == owner)
			give_back(f);
}

/**
 * twinos_pci_take() - make the functions of a share those of its OS
 * @share: validated share
 *
 * Functions that this OS was given before and that are not named again are
 * given back. Checks all before it takes one. Process context. Returns 0; or an
 * errno, if that came late with none left to the OS.
 */
int twinos_pci_take(const struct twinos_share *share)
{
	struct pci_dev *pdevs[TWINOS_MAX_PCI] = {};
	struct function *f, *next;
	struct xarray claims;
	bool taken = false;
	unsigned int i;
	int err = 0;

	xa_init(&claims);
	for (i = 0; i < share->nr_pci && !err; i++) {
		const struct twinos_pci *at = &share->pci[i];

		pdevs[i] = pci_get_domain_bus_and_slot(at->domain, at->bus, at->devfn);
		if (!pdevs[i])
			pr_err("there is no PCI function %04x:%02x:%02x.%d\n", at->domain,
			       at->bus, PCI_SLOT(at->devfn), PCI_FUNC(at->devfn));
		err = pdevs[i] ? check_function(pdevs[i], share->id, &claims) : -ENODEV;
	}
	if (!err) {
		twinos_pci_divert(&twinos_pci_ops);
		list_for_each_entry_safe(f, next, &functions, list)
			if (f->owner == share->id && !in_share(f, share))
				give_back(f);
		taken = true;
	}
	for (i = 0; i < share->nr_pci && !err; i++)
		err = take_function(pdevs[i], share->id);
	release_claims(&claims);
	if (err && taken)
		twinos_pci_give_back(share->id);
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
		n += f->owner == owner && held(f);
	return n;
}
