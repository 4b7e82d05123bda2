// SPDX-License-Identifier: GPL-2.0
/*
 * kexec_load() into the TwinOS slot: checks that the segments and the share belong to nobody,
 * takes the devices of the share from this OS, and copies the segments straight into the window,
 * which is no OS's memory yet. kexec checks the same and says more clearly what is wrong; this is
 * what keeps a wrong program from damaging the leading OS.
 */
#include <linux/crc32c.h>
#include <linux/io.h>
#include <linux/pagemap.h>
#include <linux/uaccess.h>
#include <asm/io_apic.h>
#include <asm/setup_data.h>
#include <asm/x86_init.h>

#include "leading.h"

/* A setup_data node of our type, as kexec writes it. */
struct share_node {
	u64 next;
	u32 type, len;
	struct twinos_share share;
};

/* The lowest number that no OS with a claim has; 0: there is none. */
static u32 free_number(void)
{
	u32 id;

	for (id = 1; id <= TWINOS_MAX_ID; id++)
		if (!twinos_find(id) || !twinos_claims(twinos_find(id)))
			return id;
	return 0;
}

/*
 * The share is the segment that begins with its node. It is read once, and no longer among the
 * segments then; the coexisting OS gets what was found good, see twinos_write_shared_area().
 */
static int take_share(struct kexec_segment *segments, unsigned long *nr, struct share_node *node)
{
	struct twinos_share *share = &node->share;
	struct kexec_segment *s;

	for (s = segments; s < segments + *nr; s++) {
		if (s->bufsz < sizeof(*node))
			continue;
		if (copy_from_user(node, s->buf, sizeof(*node)))
			return -EFAULT;
		if (node->type != SETUP_TWINOS)
			continue;
		if (!share->id)
			share->id = free_number();
		if (node->len < sizeof(*share) || node->len > PAGE_SIZE ||
		    twinos_share_check(share) || s->memsz > PAGE_SIZE ||
		    s->mem != share->window_start + TWINOS_SHARE_OFFSET) {
			pr_err("the share is malformed\n");
			return -EINVAL;
		}
		*s = segments[--*nr];
		return 0;
	}
	pr_err("there is no share among the segments\n");
	return -EINVAL;
}

/* Is a range one that the image may fill? */
static bool in_window(u64 start, u64 size, const struct twinos_share *share)
{
	return twinos_inside(start, size, share->window_start + TWINOS_SHARED_SIZE,
			     share->window_size - TWINOS_SHARED_SIZE);
}

static bool overlap(u64 start, u64 size, u64 other_start, u64 other_size)
{
	return size && other_size && start < other_start + other_size &&
	       other_start < start + size;
}

static int check_segments(const struct kexec_segment *segments, unsigned long nr,
			  const struct twinos_share *share)
{
	const struct kexec_segment *s, *other;
	int err = 0;

	for (s = segments; s < segments + nr && !err; s++) {
		if ((s->mem | s->memsz) & ~PAGE_MASK || s->bufsz > s->memsz)
			err = -EINVAL;
		else if (!in_window(s->mem, s->memsz, share))
			err = -EADDRNOTAVAIL;
		for (other = segments; other < s && !err; other++)
			if (overlap(s->mem, s->memsz, other->mem, other->memsz))
				err = -EINVAL;
		/* A fault half-way would leave neither the old image nor the new. */
		if (!err && fault_in_readable(s->buf, s->bufsz))
			return -EFAULT;
	}
	if (err)
		pr_err("a segment is malformed or outside the window\n");
	return err;
}

/*
 * Go over a segment in the window: fill it, if that is asked for, and add what it has of the image
 * to the checksum. After each piece this OS may do something else. Returns 0, EFAULT or ENOMEM.
 */
static int walk_segment(const struct kexec_segment *s, bool fill, u32 *checksum)
{
	u8 *to = memremap(s->mem, s->memsz, MEMREMAP_WB);
	size_t size = fill ? s->memsz : s->bufsz, done, piece, image;
	int err = 0;

	if (!to)
		return -ENOMEM;
	for (done = 0; done < size && !err; done += piece) {
		piece = min_t(size_t, size - done, SZ_64K);
		image = min(piece, s->bufsz - min(s->bufsz, done));
		if (fill) {
			if (copy_from_user(to + done, s->buf + done, image))
				err = -EFAULT;
			memset(to + done + image, 0, piece - image);
		}
		*checksum = crc32c(*checksum, to + done, image);
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

/* What another OS may still use is refused. */
static int check_conflicts(const struct twinos_share *share)
{
	const struct twinos_os *os;
	const char *what;

	list_for_each_entry(os, &twinos_oses, list) {
		what = conflict(share, &os->share);
		if (os->id != share->id && twinos_claims(os) && what) {
			pr_err("a %s of the share belongs to coexisting OS %u\n", what, os->id);
			return what[0] == 'w' || what[0] == 'l' ? -EADDRNOTAVAIL : -EBUSY;
		}
	}
	return 0;
}

/* Everything that can be refused before anything is changed. */
static int check_load(unsigned long entry, const struct kexec_segment *segments,
		      unsigned long nr, const struct twinos_share *share)
{
	const struct twinos_os *os = twinos_find(share->id);

	if (os && os->running) {
		pr_err("coexisting OS %u is running\n", os->id);
		return -EBUSY;
	}
	if (!twinos_window_free(share->window_start, share->window_size) ||
	    (share->low_size && !twinos_window_free(share->low_start, share->low_size))) {
		pr_err("window %#llx-%#llx is in use by this OS or is not memory; boot with twinos=\n",
		       share->window_start, share->window_start + share->window_size - 1);
		return -EADDRNOTAVAIL;
	}
	if (!in_window(entry, 1, share)) {
		pr_err("the entry %#lx is outside the window\n", entry);
		return -EADDRNOTAVAIL;
	}
	if (share->nr_cpus > 1 && !share->low_size) {
		pr_err("an OS with more than one CPU needs a low slice to start them\n");
		return -EINVAL;
	}
	return check_segments(segments, nr, share) ?: twinos_check_cpus(os, share) ?:
	       check_conflicts(share);
}

/* Returns the number of the OS, or an errno. */
static int load(unsigned long entry, struct kexec_segment *segments, unsigned long nr)
{
	struct share_node *node __free(kfree) = kmalloc(sizeof(*node), GFP_KERNEL);
	struct twinos_os *os, *next;
	int err;

	if (!node)
		return -ENOMEM;
	err = take_share(segments, &nr, node) ?: check_load(entry, segments, nr, &node->share);
	if (err)
		return err;
	/* What an OS that has ended still has is taken over. */
	list_for_each_entry_safe(os, next, &twinos_oses, list)
		if (os->id != node->share.id && conflict(&node->share, &os->share))
			twinos_unload(os);
	os = twinos_find_or_create(node->share.id);
	if (!os)
		return -ENOMEM;
	/* Before its devices leave this OS, so that their names are not taken. */
	twinos_link_create(os, &node->share);
	err = twinos_take_resources(os, &node->share);
	if (err && os->loaded) {	/* what an earlier image was given is still its own */
		twinos_take_resources(os, &os->share);
		twinos_link_create(os, &os->share);
	} else if (err && !os->launched) {
		twinos_unload(os);
	}
	if (err)
		return err;

	os->loaded = false;
	memcpy(os->segments, segments, nr * sizeof(segments[0]));
	os->nr_segments = nr;
	err = walk_image(os, true, &os->checksum);
	if (err) {
		twinos_unload(os);
		return err;
	}
	os->share = node->share;
	os->mode = os->share.nr_cpus ? TWINOS_DEDICATED : TWINOS_TIME_SHARED;
	os->entry = entry;
	os->loaded = true;
	twinos_terminal_create(os);
	twinos_notify(os);
	return os->id;
}

/**
 * twinos_load() - kexec_load() with KEXEC_TWINOS, and no other flag but the architecture
 * @entry: physical address of the purgatory's first instruction
 * @nr_segments: 0 to unload number 1
 *
 * The caller's rights and the number of segments have been checked. Returns the number of the OS
 * (0 after an unload), EBUSY (that one is running), EINVAL (malformed), EADDRNOTAVAIL (memory that
 * is not free), EFAULT, ENOMEM, ENODEV, EOPNOTSUPP or what taking a device returned. An image
 * loaded before is kept on errors.
 */
int twinos_load(unsigned long entry, unsigned long nr_segments, struct kexec_segment *segments,
		unsigned long flags)
{
	if (!twinos_leading())
		return -EOPNOTSUPP;
	if ((flags & ~KEXEC_ARCH_MASK) != KEXEC_TWINOS)
		return -EINVAL;
	guard(mutex)(&twinos_mutex);
	return nr_segments ? load(entry, segments, nr_segments) :
			     twinos_unload(twinos_find(TWINOS_ID_DEFAULT));
}

/**
 * twinos_reboot() - the command TWINOS_REBOOT_LAUNCH of reboot(), for OS @id
 *
 * CAP_SYS_BOOT has been checked. Returns 0, EINVAL for other commands, EOPNOTSUPP, ENOENT (nothing
 * is loaded), EALREADY (it runs), EIO (the image is not what was loaded) or what a launch returns.
 */
int twinos_reboot(unsigned int cmd, unsigned long id)
{
	u64 now = rdtsc();
	struct twinos_os *os;
	u32 checksum;
	int err;

	if (cmd != TWINOS_REBOOT_LAUNCH)
		return -EINVAL;
	if (!twinos_leading())
		return -EOPNOTSUPP;
	guard(mutex)(&twinos_mutex);
	os = twinos_find(id);
	if (!os || !twinos_claims(os))
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
	return twinos_launch(os, now);
}
