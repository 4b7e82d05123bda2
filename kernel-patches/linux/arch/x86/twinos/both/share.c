// SPDX-License-Identifier: GPL-2.0
/* The share of a coexisting OS, as both it and the leading one check it. */
#include <linux/elf.h>
#include <linux/elfnote.h>
#include <linux/mm.h>

#include "twinos.h"

/*
 * The mark by which kexec --twinos recognises a kernel that knows how to be a
 * coexisting OS: an ELF note, kept in vmlinux and so in every bzImage.
 */
ELFNOTE32(TWINOS_NOTE_NAME, TWINOS_NOTE_TYPE, TWINOS_ABI_VERSION);

bool twinos_off;

/** twinos_inside() - is one range in another? Sizes in bytes. */
bool twinos_inside(u64 start, u64 size, u64 outer_start, u64 outer_size)
{
	return size <= outer_size && start >= outer_start &&
	       start - outer_start <= outer_size - size;
}

static bool in_window(const struct twinos_share *share, u64 start, u64 size)
{
	return twinos_inside(start, size, share->window_start, share->window_size);
}

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789-_"

/** twinos_share_check() - is a share consistent in itself? Returns 0 or -EINVAL. */
int twinos_share_check(const struct twinos_share *share)
{
	size_t name = strnlen(share->name, sizeof(share->name));
	unsigned int i, j;

	if (share->magic != TWINOS_SHARE_MAGIC ||
	    share->version != TWINOS_ABI_VERSION || share->size != sizeof(*share) ||
	    !share->id || share->id > TWINOS_MAX_ID ||
	    share->flags & ~(TWINOS_SHARE_DIRECT | TWINOS_SHARE_ENTRY32 | TWINOS_SHARE_NO_FENCE) ||
	    share->nr_cpus > TWINOS_MAX_CPUS || share->nr_pci > TWINOS_MAX_PCI ||
	    share->nr_irqs > TWINOS_MAX_IRQS)
		return -EINVAL;
	if ((share->window_start | share->window_size |
	     share->low_start | share->low_size) & ~PAGE_MASK ||
	    share->window_size < 2 * TWINOS_SHARED_SIZE ||
	    share->window_start + share->window_size <= share->window_start ||
	    (share->low_size &&
	     !twinos_inside(share->low_start, share->low_size, PAGE_SIZE, SZ_1M)) ||
	    !in_window(share, share->kernel_start, share->kernel_size) ||
	    (share->initrd_size && !in_window(share, share->initrd_start, share->initrd_size)))
		return -EINVAL;
	if (name == sizeof(share->name) || strspn(share->name, NAME_CHARACTERS) != name)
		return -EINVAL;
	for (i = 0; i < share->nr_cpus; i++)
		for (j = 0; j < i; j++)
			if (share->cpus[i] == share->cpus[j])
				return -EINVAL;
	for (i = 0; i < share->nr_irqs; i++)
		if (!share->irqs[i] || share->irqs[i] >= NR_IRQS_LEGACY)
			return -EINVAL;
	return 0;
}
