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
#include <linux/crc32c.h>
#include <linux/io.h>
#include <linux/kexec.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/io_apic.h>
#include <asm/setup_data.h>
#include <asm/x86_init.h>

#include "leading.h"

/* The lowest number that no OS with a claim has; 0: there is none. */
static u32 free_number(void)
{
	const struct twinos_os *os;
	u32 id;

	for (id = 1; id <= TWINOS_MAX_ID; id++) {
		os = twinos_find(id);
		if (!os || !twinos_claims(os))
			return id;
	}
	return 0;
}

/*
 * The share is the segment that begins with a setup_data node of its type. It is read
 * once; the coexisting OS gets what was found good, see twinos_write_shared_area().
 */
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
		if (!share->id)
			share->id = free_number();
		if (twinos_share_check(share) ||
		    segments[i].mem != share->window_start + TWINOS_SHARE_OFFSET ||
		    segments[i].memsz > PAGE_SIZE) {
			pr_err("the share is malformed\n");
			return -EINVAL;
		}
		return i;
	}
	pr_err("there is no share among the segments\n");
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
		    !twinos_inside(s->mem, s->memsz, share->window_start + TWINOS_SHARED_SIZE,
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

/* Between two pieces this OS may do something else. */
#define PIECE	SZ_64K

/*
 * Go over a segment in the window: fill it, if that is asked for, and add what it has
 * of the image to the checksum. Returns 0, EFAULT or ENOMEM.
 */
static int walk_segment(const struct kexec_segment *s, bool fill, u32 *checksum)
{
	u8 *to = memremap(s->mem, s->memsz, MEMREMAP_WB);
	size_t done, piece;
	int err = 0;

	if (!to)
		return -ENOMEM;
	for (done = 0; done < s->bufsz && !err; done += piece) {
		piece = min_t(size_t, s->bufsz - done, PIECE);
		if (fill && copy_from_user(to + done, s->buf + done, piece))
			err = -EFAULT;
		*checksum = crc32c(*checksum, to + done, piece);
		cond_resched();
	}
	for (; fill && done < s->memsz && !err; done += piece) {
		piece = min_t(size_t, s->memsz - done, PIECE);
		memset(to + done, 0, piece);
		cond_resched();
	}
	memunmap(to);
	return err;
}

static int walk_image(const struct twinos_os *os, bool fill, u32 *checksum)
{
	unsigned int i;
	int err = 0;

	*checksum = 0;
	for (i = 0; i < os->nr_segments && !err; i++)
		err = walk_segment(&os->segments[i], fill, checksum);
	return err;
}

/** twinos_unload() - forget an OS that does not run. ENOENT for NULL, EBUSY. twinos_mutex held. */
int twinos_unload(struct twinos_os *os)
{
	if (!os)
		return -ENOENT;
	if (os->running)
		return -EBUSY;
	twinos_give_resources(os);
	twinos_forget(os);
	return 0;
}

static bool overlap(u64 start, u64 size, u64 other_start, u64 other_size)
{
	return size && other_size && start < other_start + other_size &&
	       other_start < start + size;
}

/* What two shares cannot both have, or NULL. */
static const char *conflict(const struct twinos_share *a, const struct twinos_share *b)
{
	unsigned int i, j;

	if (overlap(a->window_start, a->window_size, b->window_start, b->window_size))
		return "window";
	if (overlap(a->low_start, a->low_size, b->low_start, b->low_size))
		return "low slice";
	for (i = 0; i < a->nr_pci; i++)
		for (j = 0; j < b->nr_pci; j++)
			if (!memcmp(&a->pci[i], &b->pci[j], sizeof(a->pci[i])))
				return "PCI function";
	for (i = 0; i < a->nr_irqs; i++)
		for (j = 0; j < b->nr_irqs; j++)
			if (a->irqs[i] == b->irqs[j])
				return "interrupt pin";
	return NULL;
}

/*
 * What an OS that has ended still has is taken over; what another one may
 * still use is refused. Two rounds, so that nothing is changed in that case.
 */
static int settle_conflicts(const struct twinos_share *share)
{
	struct twinos_os *os, *next;
	const char *what;

	list_for_each_entry(os, &twinos_oses, list) {
		what = conflict(share, &os->share);
		if (os->id != share->id && twinos_claims(os) && what) {
			pr_err("a %s of the share belongs to coexisting OS %u\n", what, os->id);
			return what[0] == 'w' || what[0] == 'l' ? -EADDRNOTAVAIL : -EBUSY;
		}
	}
	list_for_each_entry_safe(os, next, &twinos_oses, list)
		if (os->id != share->id && conflict(share, &os->share))
			twinos_unload(os);
	return 0;
}

/* Everything that can be refused before anything is taken. */
static int check_load(unsigned long entry, const struct kexec_segment *segments,
		      unsigned long nr, const struct twinos_share *share, int share_segment)
{
	const struct twinos_os *os = twinos_find(share->id);
	int err;

	if (os && os->running) {
		pr_err("coexisting OS %u is running\n", os->id);
		return -EBUSY;
	}
	/* Its messages and entries are plain ones, which nobody would translate. */
	if (x86_apic_ops.restore != native_restore_boot_irq_mode) {
		pr_err("interrupt remapping is on; boot with intremap=off\n");
		return -EOPNOTSUPP;
	}
	if (!twinos_window_free(share->window_start, share->window_size) ||
	    (share->low_size && !twinos_window_free(share->low_start, share->low_size))) {
		pr_err("window %#llx-%#llx is in use by this OS or is not memory; boot with twinos=\n",
		       share->window_start, share->window_start + share->window_size - 1);
		return -EADDRNOTAVAIL;
	}
	if (!twinos_inside(entry, 1, share->window_start + TWINOS_SHARED_SIZE,
		    share->window_size - TWINOS_SHARED_SIZE)) {
		pr_err("the entry %#lx is outside the window\n", entry);
		return -EADDRNOTAVAIL;
	}
	if (share->nr_cpus > 1 && !share->low_size) {
		pr_err("an OS with more than one CPU needs a low slice to start them\n");
		return -EINVAL;
	}
	err = check_segments(segments, nr, share, share_segment);
	if (err && err != -EFAULT)
		pr_err("a segment is malformed or outside the window\n");
	return err ?: twinos_check_cpus(os, share);
}

/* Returns the number of the OS, or an errno. */
static int load(unsigned long entry, const struct kexec_segment *segments,
		unsigned long nr)
{
	struct twinos_share *share;
	struct twinos_os *os;
	int share_segment, err;

	share = kzalloc(sizeof(*share), GFP_KERNEL);
	if (!share)
		return -ENOMEM;
	share_segment = find_share(segments, nr, share);
	err = share_segment < 0 ? share_segment :
	      check_load(entry, segments, nr, share, share_segment) ?:
	      settle_conflicts(share);
	if (err)
		goto out;
	os = twinos_find_or_create(share->id);
	if (!os) {
		err = -ENOMEM;
		goto out;
	}
	err = twinos_take_resources(os, share);
	if (err) {
		/* What an earlier image was given is still its own. */
		if (os->loaded)
			twinos_take_resources(os, &os->share);
		else if (!os->launched)
			twinos_unload(os);
		goto out;
	}

	os->loaded = false;
	memcpy(os->segments, segments, nr * sizeof(segments[0]));
	os->segments[share_segment] = segments[nr - 1];
	os->nr_segments = nr - 1;
	err = walk_image(os, true, &os->checksum);
	if (err) {
		twinos_unload(os);
		goto out;
	}
	os->share = *share;
	os->mode = share->nr_cpus ? TWINOS_DEDICATED : TWINOS_TIME_SHARED;
	os->entry = entry;
	os->loaded = true;
	twinos_notify(os);
	err = os->id;
out:
	kfree(share);
	return err;
}

static int kexec_load_here(unsigned long entry, unsigned long nr_segments,
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
		err = twinos_unload(twinos_find(TWINOS_ID_DEFAULT));
	else
		err = load(entry, segments, nr_segments);
	mutex_unlock(&twinos_mutex);
	kfree(segments);
	return err;
}

/**
 * twinos_kexec_load() - kexec_load() with KEXEC_TWINOS
 * @entry: physical address of the purgatory's first instruction
 * @nr_segments: 0 to unload number 1
 * @usegments: as for kexec_load()
 * @flags: of kexec_load(); with KEXEC_TWINOS and the architecture, nothing else
 * @result: the number of the OS (0 after an unload), EPERM, EBUSY (that one is
 *	running), EINVAL (malformed), EADDRNOTAVAIL (memory that is not free), EFAULT, ENOMEM, ENODEV, EOPNOTSUPP
 *	or what taking a device returned
 *
 * An image loaded before is kept on errors. Returns false for other loads.
 */
bool twinos_kexec_load(unsigned long entry, unsigned long nr_segments,
		       struct kexec_segment __user *usegments, unsigned long flags,
		       unsigned long *result)
{
	if (!(flags & KEXEC_TWINOS))
		return false;
	*result = kexec_load_here(entry, nr_segments, usegments, flags);
	return true;
}

static int launch(struct twinos_os *os, u64 now)
{
	u32 checksum;
	int err;

	if (!os || (!os->running && !os->loaded))
		return -ENOENT;
	if (os->running)
		return -EALREADY;
	if (twinos_pci_count(os->id) < os->share.nr_pci) {
		pr_err("coexisting OS %u has lost a PCI function; load it again\n", os->id);
		return -ENXIO;
	}
	err = walk_image(os, false, &checksum);
	if (err)
		return err;
	if (checksum != os->checksum) {
		pr_err("the image of coexisting OS %u has changed since it was loaded; load it again\n",
		       os->id);
		return -EIO;
	}
	os->launching = true;
	err = twinos_launch(os, now);
	os->launching = false;
	return err;
}

/**
 * twinos_reboot() - the command TWINOS_REBOOT_LAUNCH of reboot()
 * @cmd: EINVAL if it is another one
 * @id: number of the coexisting OS
 *
 * CAP_SYS_BOOT has been checked. Returns 0, EOPNOTSUPP, ENOENT (nothing is
 * loaded), EALREADY (it runs), EIO (the image is not what was loaded) or what a
 * launch returns.
 */
int twinos_reboot(unsigned int cmd, unsigned long id)
{
	u64 now = rdtsc();
	int err;

	if (cmd != TWINOS_REBOOT_LAUNCH)
		return -EINVAL;
	if (twinos_off || twinos_role != TWINOS_LEADING)
		return -EOPNOTSUPP;
	mutex_lock(&twinos_mutex);
	err = launch(twinos_find(id), now);
	mutex_unlock(&twinos_mutex);
	return err;
}
