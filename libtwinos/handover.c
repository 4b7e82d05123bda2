// SPDX-License-Identifier: GPL-2.0
/*
 * What the coexisting kernel is told: the share, as a setup_data node at the
 * window's first byte, and boot_params with its own memory map. Nothing in
 * boot_params describes the leading OS's screen, firmware or disks.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "libtwinos.h"

#define E820_RAM 1
#define E820_RESERVED 2
#define LOADER_KEXEC 0xd0		/* loader kexec, version 0 */

void fill_share(struct share_node *node, const struct placement *p,
		const struct share_options *options, uint32_t id, const char *name)
{
	struct twinos_share *s = &node->share;

	memset(node, 0, sizeof(*node));
	node->type = SETUP_TWINOS;
	node->len = sizeof(node->share);
	s->magic = TWINOS_SHARE_MAGIC;
	s->version = TWINOS_ABI_VERSION;
	s->size = sizeof(*s);
	s->window_start = p->window.start;
	s->window_size = p->window.size;
	s->low_start = p->low.start;
	s->low_size = p->low.size;
	s->kernel_start = p->kernel.start;
	s->kernel_size = p->kernel.size;
	s->initrd_start = p->initrd.start;
	s->initrd_size = p->initrd.size;
	s->id = id;
	s->flags = (p->direct ? TWINOS_SHARE_DIRECT : 0) |
		   (p->entry_32bit ? TWINOS_SHARE_ENTRY32 : 0);
	s->nr_cpus = options->nr_cpus;
	s->nr_pci = options->nr_pci;
	s->nr_irqs = options->nr_irqs;
	snprintf(s->name, sizeof(s->name), "%s", name);
	memcpy(s->cpus, options->cpus, options->nr_cpus * sizeof(s->cpus[0]));
	memcpy(s->pci, options->pci, options->nr_pci * sizeof(s->pci[0]));
	memcpy(s->irqs, options->irqs, options->nr_irqs * sizeof(s->irqs[0]));
}

struct piece {
	uint64_t start, end;
	uint32_t type;
};

static int by_start(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Append [start, end) as reserved, minus what is the coexisting OS's. */
static void add_reserved(struct piece *pieces, unsigned int *nr, uint64_t start, uint64_t end,
			 const struct range *own, unsigned int nr_own)
{
	for (; nr_own; own++, nr_own--) {
		if (!own->size || own->start >= end || range_end(own) <= start)
			continue;
		if (own->start > start)
			add_reserved(pieces, nr, start, own->start, own + 1, nr_own - 1);
		start = range_end(own);
		if (start >= end)
			return;
	}
	pieces[(*nr)++] = (struct piece){ start, end, E820_RESERVED };
}

/* Make one of two reserved neighbours, with what is between them. */
static bool join_nearest(struct piece *p, unsigned int *nr)
{
	unsigned int i, best = 0;
	uint64_t gap = UINT64_MAX;

	for (i = 1; i < *nr; i++)
		if (p[i - 1].type == E820_RESERVED && p[i].type == E820_RESERVED &&
		    p[i].start - p[i - 1].end < gap) {
			gap = p[i].start - p[i - 1].end;
			best = i;
		}
	if (!best)
		return false;
	p[best - 1].end = p[best].end;
	memmove(&p[best], &p[best + 1], (*nr - best - 1) * sizeof(*p));
	(*nr)--;
	return true;
}

/**
 * build_e820() - the coexisting OS's memory map
 * @table: of @max entries
 * @window: its first TWINOS_SHARED_SIZE bytes are reserved, the rest is RAM
 * @low: RAM; size 0 if there is none
 * @firmware: all else in it is reserved, whatever it was
 *
 * Returns the number of entries, sorted and not overlapping. What is the OS's
 * own is always among them; where the rest has more ranges than @max, it says
 * "reserved" of what lies between two of them, too.
 */
int build_e820(struct boot_e820_entry *table, unsigned int max,
	       const struct range *window, const struct range *low,
	       const struct memory_map *firmware)
{
	const struct range own[2] = { *low, *window };
	/* Both ranges of ours may cut each of the firmware's, which may overlap. */
	struct piece *p = calloc(firmware->nr * 3ul + 3, sizeof(*p));
	unsigned int nr = 0, i;

	if (!p)
		return refuse(ENOMEM, "not enough memory for the memory map");
	for (i = 0; i < firmware->nr; i++) {
		const struct memory *m = &firmware->range[i];

		add_reserved(p, &nr, m->start, m->end ? m->end : UINT64_MAX, own, 2);
	}
	qsort(p, nr, sizeof(*p), by_start);
	/* The firmware's ranges may overlap or touch; they are all the same now. */
	for (i = 1; i < nr; ) {
		if (p[i].start > p[i - 1].end) {
			i++;
			continue;
		}
		if (p[i].end > p[i - 1].end)
			p[i - 1].end = p[i].end;
		memmove(&p[i], &p[i + 1], (nr - i - 1) * sizeof(*p));
		nr--;
	}
	p[nr++] = (struct piece){ window->start, window->start + TWINOS_SHARED_SIZE,
				  E820_RESERVED };
	p[nr++] = (struct piece){ window->start + TWINOS_SHARED_SIZE, range_end(window),
				  E820_RAM };
	if (low->size)
		p[nr++] = (struct piece){ low->start, range_end(low), E820_RAM };
	qsort(p, nr, sizeof(*p), by_start);
	while (nr > max)
		if (!join_nearest(p, &nr))
			break;
	for (i = 0; i < nr && i < max; i++)
		table[i] = (struct boot_e820_entry){ p[i].start, p[i].end - p[i].start,
						     p[i].type };
	free(p);
	return i;
}

/** fill_boot_params() - the page that the kernel's entry gets in %rsi */
int fill_boot_params(struct boot_params *params, const struct bzimage *image,
		     const struct placement *p, const struct memory_map *firmware)
{
	struct setup_header *h = &params->hdr;
	int nr;

	memset(params, 0, sizeof(*params));
	memcpy(h, &image->header, image->header_size);
	h->type_of_loader = LOADER_KEXEC;
	h->ext_loader_ver = 0;
	h->ext_loader_type = 0;
	h->loadflags = LOADED_HIGH;
	h->heap_end_ptr = 0;
	h->vid_mode = 0xffff;		/* "normal" */
	h->hardware_subarch = 0;
	h->hardware_subarch_data = 0;
	h->code32_start = p->load.start;
	h->ramdisk_image = p->initrd.start;
	h->ramdisk_size = p->initrd.size;
	params->ext_ramdisk_image = p->initrd.start >> 32;
	params->ext_ramdisk_size = p->initrd.size >> 32;
	h->cmd_line_ptr = p->command_line.start;
	params->ext_cmd_line_ptr = p->command_line.start >> 32;
	h->setup_data = p->window.start + TWINOS_SHARE_OFFSET;
	nr = build_e820(params->e820_table, E820_MAX_ENTRIES_ZEROPAGE, &p->window, &p->low,
			firmware);
	if (nr < 0)
		return nr;
	params->e820_entries = nr;
	return 0;
}
