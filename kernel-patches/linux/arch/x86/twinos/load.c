// SPDX-License-Identifier: GPL-2.0
/*
 * kexec_load() into the TwinOS slot: checks that the segments and the share
 * belong to nobody, takes the devices of the share from this OS, and copies
 * the segments straight into the window, which is no OS's memory yet.
 *
 * kexec checks the same and says more clearly what is wrong; this is what
 * keeps a wrong program from damaging the leading OS. Everything is checked
 * before anything is changed.
 */
#include <linux/capability.h>
#include <linux/cpu.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/kexec.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/acpi.h>
#include <asm/io_apic.h>
#include <asm/setup_data.h>

#include "twinos.h"

struct twinos_image twinos_image;
DEFINE_MUTEX(twinos_mutex);	/* image, resources, launch */

static int pin_irqs[TWINOS_MAX_IRQS];
static unsigned int nr_pins;

static irqreturn_t pin_interrupt(int irq, void *unused)
{
	return IRQ_NONE;
}

static void give_pins(void)
{
	while (nr_pins)
		free_irq(pin_irqs[--nr_pins], &pin_irqs);
}

/* A disabled handler on each pin keeps this OS's drivers away from it. */
static int take_pins(const struct twinos_share *share)
{
	int irq, err;

	while (nr_pins < share->nr_irqs) {
		u32 gsi = share->irqs[nr_pins];

		irq = -EINVAL;
		if (gsi < gsi_top)
			irq = mp_map_gsi_to_irq(gsi, IOAPIC_MAP_ALLOC, NULL);
		if (irq < 0) {
			pr_err("there is no interrupt pin %u\n", gsi);
			err = -EINVAL;
			goto fail;
		}
		err = request_irq(irq, pin_interrupt, IRQF_NO_AUTOEN | IRQF_PROBE_SHARED,
				  "twinos", &pin_irqs);
		if (err) {
			pr_err("interrupt pin %u is in use\n", gsi);
			goto fail;
		}
		pin_irqs[nr_pins++] = irq;
	}
	return 0;
fail:
	give_pins();
	return err;
}

/**
 * twinos_take_resources() - take pins and PCI functions from this OS
 * @share: validated share
 *
 * Returns 0, or an errno with nothing taken. twinos_mutex held.
 */
int twinos_take_resources(const struct twinos_share *share)
{
	int err;

	give_pins();
	err = take_pins(share);
	if (err)
		return err;
	err = twinos_pci_take(share);
	if (err)
		give_pins();
	return err;
}

/** twinos_give_resources() - give them back. twinos_mutex held. */
void twinos_give_resources(void)
{
	give_pins();
	twinos_pci_give_back();
}

static bool inside(u64 start, u64 size, u64 outer_start, u64 outer_size)
{
	return size <= outer_size && start >= outer_start &&
	       start - outer_start <= outer_size - size;
}

/**
 * twinos_share_check() - is a share consistent in itself?
 * @share: as read from somebody else's memory
 *
 * Returns 0 or -EINVAL. Used by both OSes.
 */
int twinos_share_check(const struct twinos_share *share)
{
	unsigned int i;

	if (share->magic != TWINOS_SHARE_MAGIC ||
	    share->version != TWINOS_ABI_VERSION || share->size != sizeof(*share))
		return -EINVAL;
	if ((share->window_start | share->window_size |
	     share->low_start | share->low_size) & ~PAGE_MASK)
		return -EINVAL;
	if (share->window_size < 2 * TWINOS_SHARED_SIZE ||
	    share->window_start + share->window_size <= share->window_start)
		return -EINVAL;
	if (share->low_size && !inside(share->low_start, share->low_size, PAGE_SIZE, SZ_1M))
		return -EINVAL;
	if (!inside(share->kernel_start, share->kernel_size,
		    share->window_start, share->window_size) ||
	    (share->initrd_size &&
	     !inside(share->initrd_start, share->initrd_size,
		     share->window_start, share->window_size)))
		return -EINVAL;
	if (share->id != TWINOS_ID_DEFAULT ||
	    share->flags & ~(TWINOS_SHARE_DIRECT | TWINOS_SHARE_ENTRY32))
		return -EINVAL;
	if (share->nr_cpus > TWINOS_MAX_CPUS || share->nr_pci > TWINOS_MAX_PCI ||
	    share->nr_irqs > TWINOS_MAX_IRQS)
		return -EINVAL;
	for (i = 0; i < share->nr_irqs; i++)
		if (!share->irqs[i] || share->irqs[i] >= 1024)
			return -EINVAL;
	return 0;
}

/* The share is the segment that begins with a setup_data node of its type. */
static int find_share(const struct kexec_segment *segments, unsigned long nr,
		      struct twinos_share *share)
{
	struct setup_data header;
	unsigned long i;

	for (i = 0; i < nr; i++) {
		if (segments[i].bufsz < sizeof(header) + sizeof(*share))
			continue;
		if (copy_from_user(&header, segments[i].buf, sizeof(header)))
			return -EFAULT;
		if (header.type != SETUP_TWINOS)
			continue;
		if (header.len < sizeof(*share) ||
		    header.len > PAGE_SIZE - sizeof(header))
			return -EINVAL;
		if (copy_from_user(share, segments[i].buf + sizeof(header), sizeof(*share)))
			return -EFAULT;
		if (twinos_share_check(share) ||
		    segments[i].mem != share->window_start + TWINOS_SHARE_OFFSET ||
		    segments[i].memsz > PAGE_SIZE)
			return -EINVAL;
		return i;
	}
	return -EINVAL;
}

static int check_segments(const struct kexec_segment *segments, unsigned long nr,
			  const struct twinos_share *share, int share_segment)
{
	unsigned long i, j;

	for (i = 0; i < nr; i++) {
		const struct kexec_segment *s = &segments[i];

		if ((s->mem | s->memsz) & ~PAGE_MASK || s->bufsz > s->memsz)
			return -EINVAL;
		if (i != share_segment &&
		    !inside(s->mem, s->memsz, share->window_start + TWINOS_SHARED_SIZE,
			    share->window_size - TWINOS_SHARED_SIZE))
			return -EADDRNOTAVAIL;
		for (j = 0; j < i; j++)
			if (s->mem < segments[j].mem + segments[j].memsz &&
			    segments[j].mem < s->mem + s->memsz)
				return -EINVAL;
		/* A fault half-way would leave neither the old image nor the new. */
		if (fault_in_readable(s->buf, s->bufsz))
			return -EFAULT;
	}
	return 0;
}

static int copy_segment(const struct kexec_segment *s)
{
	u8 *to = memremap(s->mem, s->memsz, MEMREMAP_WB);
	int err = 0;

	if (!to)
		return -ENOMEM;
	if (copy_from_user(to, s->buf, s->bufsz))
		err = -EFAULT;
	else
		memset(to + s->bufsz, 0, s->memsz - s->bufsz);
	memunmap(to);
	cond_resched();
	return err;
}

static int unload(void)
{
	if (twinos_running())
		return -EBUSY;
	twinos_image.loaded = false;
	memset(&twinos_image.share, 0, sizeof(twinos_image.share));
	twinos_give_resources();
	twinos_sysfs_notify();
	return 0;
}

static int load(unsigned long entry, const struct kexec_segment *segments,
		unsigned long nr)
{
	struct twinos_share *share;
	int share_segment, err;
	unsigned long i;

	share = kzalloc(sizeof(*share), GFP_KERNEL);
	if (!share)
		return -ENOMEM;
	share_segment = find_share(segments, nr, share);
	err = share_segment < 0 ? share_segment : 0;
	if (err)
		goto out;
	if (!twinos_window_free(share->window_start, share->window_size) ||
	    (share->low_size && !twinos_window_free(share->low_start, share->low_size))) {
		pr_err("window %#llx-%#llx is in use by this OS or is not memory; boot with twinos=\n",
		       share->window_start, share->window_start + share->window_size - 1);
		err = -EADDRNOTAVAIL;
		goto out;
	}
	if (!inside(entry, 1, share->window_start + TWINOS_SHARED_SIZE,
		    share->window_size - TWINOS_SHARED_SIZE)) {
		err = -EADDRNOTAVAIL;
		goto out;
	}
	if (share->nr_cpus) {
		err = -EOPNOTSUPP;
		goto out;
	}
	err = check_segments(segments, nr, share, share_segment);
	if (err)
		goto out;
	err = twinos_take_resources(share);
	if (err) {
		/* What an earlier image was given is still its own. */
		if (twinos_image.loaded)
			twinos_take_resources(&twinos_image.share);
		goto out;
	}

	twinos_image.loaded = false;
	for (i = 0; i < nr && !err; i++)
		err = copy_segment(&segments[i]);
	if (err)
		goto out;
	twinos_image.share = *share;
	twinos_image.entry = entry;
	twinos_image.loaded = true;
	twinos_sysfs_notify();
out:
	kfree(share);
	return err;
}

/**
 * twinos_kexec_load() - kexec_load() with KEXEC_TWINOS
 * @entry: physical address of the purgatory's first instruction
 * @nr_segments: 0 to unload
 * @usegments: as for kexec_load()
 * @flags: KEXEC_TWINOS and the architecture, nothing else
 *
 * Returns 0, EPERM, EBUSY (one is running), EINVAL (malformed),
 * EADDRNOTAVAIL (memory that is not free), EFAULT, ENOMEM, ENODEV, EOPNOTSUPP
 * or what taking a device returned. An image loaded before is kept on errors.
 */
int twinos_kexec_load(unsigned long entry, unsigned long nr_segments,
		      struct kexec_segment __user *usegments, unsigned long flags)
{
	struct kexec_segment *segments;
	int err;

	if (!kexec_load_permitted(KEXEC_TYPE_DEFAULT))
		return -EPERM;
	err = security_kernel_load_data(LOADING_KEXEC_IMAGE, false);
	if (err < 0)
		return err;
	err = security_locked_down(LOCKDOWN_KEXEC);
	if (err)
		return err;
	if (twinos_off || twinos_role != TWINOS_LEADING)
		return -EOPNOTSUPP;
	if (nr_segments > KEXEC_SEGMENT_MAX ||
	    (flags & ~KEXEC_ARCH_MASK) != KEXEC_TWINOS ||
	    ((flags & KEXEC_ARCH_MASK) != KEXEC_ARCH &&
	     (flags & KEXEC_ARCH_MASK) != KEXEC_ARCH_DEFAULT))
		return -EINVAL;
	segments = memdup_array_user(usegments, nr_segments, sizeof(segments[0]));
	if (IS_ERR(segments))
		return PTR_ERR(segments);

	mutex_lock(&twinos_mutex);
	if (!nr_segments)
		err = unload();
	else if (twinos_running())
		err = -EBUSY;
	else
		err = load(entry, segments, nr_segments);
	mutex_unlock(&twinos_mutex);
	kfree(segments);
	return err;
}

/**
 * twinos_reboot() - the TWINOS_REBOOT_* commands of reboot()
 * @cmd: which one
 * @id: number of the coexisting OS
 *
 * CAP_SYS_BOOT has been checked. Returns 0 or an errno, EINVAL for commands
 * that are not ours.
 */
int twinos_reboot(unsigned int cmd, unsigned long id)
{
	u64 now = rdtsc();
	int err;

	if (cmd != TWINOS_REBOOT_LAUNCH && cmd != TWINOS_REBOOT_UNLOAD)
		return -EINVAL;
	if (twinos_off || twinos_role != TWINOS_LEADING)
		return -EOPNOTSUPP;
	mutex_lock(&twinos_mutex);
	if (cmd == TWINOS_REBOOT_UNLOAD)
		err = unload();
	else if (twinos_running())
		err = -EBUSY;
	else if (!twinos_image.loaded || twinos_image.share.id != id)
		err = -ENOENT;
	else
		err = twinos_launch(now);
	mutex_unlock(&twinos_mutex);
	return err;
}
