// SPDX-License-Identifier: GPL-2.0
/*
 * The DMA fence: where there is an IOMMU, a function that is given away reaches the memory of its
 * OS and nothing else, whatever its driver, a crash or a transfer that is still under way does. This
 * OS owns the IOMMU. From the moment a function leaves its driver here until it is back, its group
 * belongs to the OS it is given to; it has that OS's domain while an image is loaded or runs, and
 * before and afterwards none, so that all is blocked.
 *
 * All functions here want twinos_mutex to be held.
 */
#include <linux/iommu.h>
#include <linux/pci.h>

#include "leading.h"

/*
 * What an OS reaches, mapped to itself. One is enough unless its functions are behind IOMMUs that
 * differ.
 */
struct fence {
	struct list_head list;
	struct iommu_domain *domain;
	u32 owner;
};

static LIST_HEAD(fences);

static int map_range(struct iommu_domain *domain, u64 start, u64 size)
{
	return size ? iommu_map(domain, start, start, size,
				IOMMU_READ | IOMMU_WRITE | IOMMU_CACHE, GFP_KERNEL) : 0;
}

static struct fence *new_fence(struct device *dev, const struct twinos_share *share)
{
	struct fence *fence = kzalloc(sizeof(*fence), GFP_KERNEL);
	int err;

	if (!fence)
		return ERR_PTR(-ENOMEM);
	fence->domain = iommu_paging_domain_alloc(dev);
	err = PTR_ERR_OR_ZERO(fence->domain);
	if (err)
		goto no_domain;
	err = map_range(fence->domain, share->window_start, share->window_size) ?:
	      map_range(fence->domain, share->low_start, share->low_size);
	if (err) {
		iommu_domain_free(fence->domain);
		goto no_domain;
	}
	fence->owner = share->id;
	list_add(&fence->list, &fences);
	return fence;
no_domain:
	kfree(fence);
	return ERR_PTR(err);
}

/* Another function of the group may have brought its domain along. */
static int attach(struct device *dev, const struct twinos_share *share)
{
	struct iommu_domain *current_domain = iommu_get_domain_for_dev(dev);
	struct iommu_group *group = iommu_group_get(dev);
	struct fence *fence;
	int err = -EINVAL;

	list_for_each_entry(fence, &fences, list) {
		if (fence->owner != share->id)
			continue;
		err = fence->domain == current_domain ? 0 : iommu_attach_group(fence->domain, group);
		if (!err)
			goto out;
	}
	fence = new_fence(dev, share);
	err = PTR_ERR_OR_ZERO(fence) ?: iommu_attach_group(fence->domain, group);
out:
	iommu_group_put(group);
	return err;
}

/**
 * twinos_fence_claim() - block the DMA of a function, on behalf of an OS
 *
 * The driver "twinos" must be its driver, and no other driver that of one in its group. Returns 0,
 * also where there is no IOMMU, or an errno: EPERM if the group is in use.
 */
int twinos_fence_claim(struct pci_dev *pdev, u32 owner)
{
	static char owners[TWINOS_MAX_ID + 1];

	return device_iommu_mapped(&pdev->dev) ?
	       iommu_device_claim_dma_owner(&pdev->dev, &owners[owner]) : 0;
}

/** twinos_fence_release() - undo twinos_fence_claim(); the device needs its domain no more */
void twinos_fence_release(struct pci_dev *pdev)
{
	if (!device_iommu_mapped(&pdev->dev))
		return;
	twinos_fence_block(pdev);
	iommu_device_release_dma_owner(&pdev->dev);
}

/** twinos_fence_block() - a claimed function reaches nothing any more, nor do those of its group */
void twinos_fence_block(struct pci_dev *pdev)
{
	struct iommu_group *group = iommu_group_get(&pdev->dev);

	if (group)
		iommu_detach_group(NULL, group);
	iommu_group_put(group);
}

/** twinos_fence_free() - forget what an OS could reach. All its functions are blocked. */
void twinos_fence_free(u32 owner)
{
	struct fence *fence, *next;

	list_for_each_entry_safe(fence, next, &fences, list) {
		if (fence->owner != owner)
			continue;
		list_del(&fence->list);
		iommu_domain_free(fence->domain);
		kfree(fence);
	}
}

/** twinos_fence_open() - let a claimed function reach the memory of a share. Returns an errno. */
int twinos_fence_open(struct pci_dev *pdev, const struct twinos_share *share)
{
	int err = device_iommu_mapped(&pdev->dev) ? attach(&pdev->dev, share) : 0;

	if (err)
		pci_err(pdev, "twinos: its IOMMU cannot map the memory of OS %u (error %d)\n",
			share->id, err);
	return err;
}

/* ---- before anything is changed ---- */

static int check_member(struct device *dev, void *data)
{
	const struct twinos_share *share = data;
	const struct pci_dev *pdev = to_pci_dev(dev);
	unsigned int i;

	/* A bridge makes no DMA of its own. */
	if (!dev_is_pci(dev) || pdev->hdr_type != PCI_HEADER_TYPE_NORMAL)
		return 0;
	for (i = 0; i < share->nr_pci; i++)
		if (share->pci[i].domain == pci_domain_nr(pdev->bus) &&
		    share->pci[i].bus == pdev->bus->number && share->pci[i].devfn == pdev->devfn)
			return 0;
	pci_err(pdev, "twinos: is of an IOMMU group that is given away; give it, too, or none of them\n");
	return -EBUSY;
}

/**
 * twinos_fence_check() - can a function be given as part of a share, as far as an IOMMU goes?
 *
 * A group is given whole. Without a fence (TWINOS_SHARE_NO_FENCE) only where this OS's own devices
 * have none either. Returns 0 or an errno.
 */
int twinos_fence_check(struct pci_dev *pdev, const struct twinos_share *share)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(&pdev->dev);
	struct iommu_group *group = iommu_group_get(&pdev->dev);
	int err = 0;

	if (!group)
		return 0;
	if (!(share->flags & TWINOS_SHARE_NO_FENCE)) {
		err = iommu_group_for_each_dev(group, (void *)share, check_member);
	} else if (domain && domain->type != IOMMU_DOMAIN_IDENTITY) {
		pci_err(pdev, "twinos: is behind an IOMMU and needs the fence; without it boot with iommu=pt\n");
		err = -EOPNOTSUPP;
	}
	iommu_group_put(group);
	return err;
}
