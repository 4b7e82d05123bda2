// SPDX-License-Identifier: GPL-2.0
/*
 * The leading OS's boot option twinos=, which withholds memory for coexisting
 * OSes, and the check that a range of memory is nobody's.
 */
#include <linux/errno.h>
#include <linux/ioport.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <asm/e820/api.h>
#include <asm/sections.h>
#include <asm/setup.h>

#include "leading.h"

#define MAX_WINDOWS	16

struct twinos_window twinos_windows[MAX_WINDOWS];
unsigned int twinos_nr_windows;

static struct resource window_resources[2 * MAX_WINDOWS];

static int __init parse_range(char **p, u64 *start, u64 *size)
{
	char *end;

	*size = memparse(*p, &end);
	if (end == *p || *end != '@')
		return -EINVAL;
	*p = end + 1;
	*start = memparse(*p, &end);
	if (end == *p || !*size || *start + *size < *start ||
	    (*start | *size) & ~PAGE_MASK)
		return -EINVAL;
	*p = end;
	return 0;
}

static bool __init withhold(u64 start, u64 size)
{
	u64 ramdisk = boot_params.hdr.ramdisk_image |
		      (u64)boot_params.ext_ramdisk_image << 32;
	u64 ramdisk_size = boot_params.hdr.ramdisk_size |
			   (u64)boot_params.ext_ramdisk_size << 32;

	if (!e820__mapped_any(start, start + size, E820_TYPE_RAM)) {
		pr_err("twinos= ignored: there is no memory at %#llx\n", start);
		return false;
	}
	if ((start < __pa_symbol(_end) && start + size > __pa_symbol(_text)) ||
	    (ramdisk_size && start < ramdisk + ramdisk_size && start + size > ramdisk)) {
		pr_err("twinos= ignored: %#llx-%#llx holds this kernel or its initrd\n",
		       start, start + size - 1);
		return false;
	}
	return true;
}

/* twinos=off, or twinos=SIZE@ADDR[,low=SIZE@ADDR], which may be repeated. */
static int __init parse_twinos(char *p)
{
	struct twinos_window w = {};

	if (!p)
		return -EINVAL;
	if (twinos_role == TWINOS_COEXISTING)
		return 0;
	if (!strcmp(p, "off")) {
		twinos_off = true;
		return 0;
	}
	if (twinos_nr_windows == MAX_WINDOWS) {
		pr_err("no more than %d twinos= options are possible\n", MAX_WINDOWS);
		return 0;
	}
	if (parse_range(&p, &w.start, &w.size))
		goto bad;
	if (!strncmp(p, ",low=", 5)) {
		p += 5;
		if (parse_range(&p, &w.low_start, &w.low_size) ||
		    w.low_start + w.low_size > SZ_1M)
			goto bad;
	}
	if (*p && *p != ' ')
		goto bad;
	if (!withhold(w.start, w.size) ||
	    (w.low_size && !withhold(w.low_start, w.low_size)))
		return 0;

	e820__range_update(w.start, w.size, E820_TYPE_RAM, E820_TYPE_RESERVED);
	if (w.low_size)
		e820__range_update(w.low_start, w.low_size, E820_TYPE_RAM,
				   E820_TYPE_RESERVED);
	e820__update_table(e820_table);
	pr_info("memory %#llx-%#llx withheld\n", w.start, w.start + w.size - 1);
	twinos_windows[twinos_nr_windows++] = w;
	return 0;
bad:
	pr_err("twinos= wants SIZE@ADDR[,low=SIZE@ADDR], page-aligned, low below 1M\n");
	return 0;
}
early_param("twinos", parse_twinos);

static void __init name_range(struct resource *res, u64 start, u64 size)
{
	res->name = "TwinOS window";
	res->start = start;
	res->end = start + size - 1;
	res->flags = IORESOURCE_MEM;
	if (insert_resource(&iomem_resource, res))
		pr_warn("%pR cannot be named in /proc/iomem\n", res);
}

static int __init name_windows(void)
{
	unsigned int i;

	for (i = 0; i < twinos_nr_windows; i++) {
		const struct twinos_window *w = &twinos_windows[i];

		name_range(&window_resources[2 * i], w->start, w->size);
		if (w->low_size)
			name_range(&window_resources[2 * i + 1], w->low_start, w->low_size);
	}
	return 0;
}
late_initcall(name_windows);

/* Is all of a range memory as the firmware told us? */
static bool firmware_ram(u64 start, u64 end)
{
	unsigned int i;

	while (start < end) {
		u64 from = start;

		for (i = 0; i < e820_table_firmware->nr_entries; i++) {
			const struct e820_entry *e = &e820_table_firmware->entries[i];

			if (e->type == E820_TYPE_RAM && e->addr <= start &&
			    e->addr + e->size > start)
				start = e->addr + e->size;
		}
		if (start == from)
			return false;
	}
	return true;
}

/**
 * twinos_window_free() - may a coexisting OS have this memory?
 * @start: physical address
 * @size: in bytes
 *
 * True if all of it is RAM by the firmware's map and none of it is RAM, or
 * in any other way busy, in this kernel's. Process context.
 */
bool twinos_window_free(u64 start, u64 size)
{
	if (!size || start + size < start)
		return false;
	return firmware_ram(start, start + size) &&
	       region_intersects(start, size, IORESOURCE_SYSTEM_RAM,
				 IORES_DESC_NONE) == REGION_DISJOINT;
}
