// SPDX-License-Identifier: GPL-2.0
/*
 * The leading OS's boot option twinos=, which withholds memory for coexisting
 * OSes, and the check that a range of memory is nobody's.
 */
#include <linux/ioport.h>
#include <linux/mm.h>
#include <asm/e820/api.h>
#include <asm/sections.h>
#include <asm/setup.h>

#include "leading.h"

struct twinos_window twinos_windows[TWINOS_MAX_WINDOWS];
unsigned int twinos_nr_windows;

static bool __init parse_range(char **p, struct resource *range)
{
	char *end;
	u64 start, size = memparse(*p, &end);

	if (end == *p || *end != '@')
		return false;
	*p = end + 1;
	start = memparse(*p, &end);
	if (end == *p || !size || start + size < start || (start | size) & ~PAGE_MASK)
		return false;
	*p = end;
	*range = DEFINE_RES_MEM_NAMED(start, size, "TwinOS window");
	return true;
}

static bool __init can_withhold(const struct resource *range)
{
	u64 ramdisk = boot_params.hdr.ramdisk_image | (u64)boot_params.ext_ramdisk_image << 32;
	u64 ramdisk_size = boot_params.hdr.ramdisk_size |
			   (u64)boot_params.ext_ramdisk_size << 32;

	if (!e820__mapped_any(range->start, range->end + 1, E820_TYPE_RAM)) {
		pr_err("twinos= ignored: there is no memory at %#llx\n", range->start);
		return false;
	}
	if ((range->start < __pa_symbol(_end) && range->end >= __pa_symbol(_text)) ||
	    (ramdisk_size && range->start < ramdisk + ramdisk_size && range->end >= ramdisk)) {
		pr_err("twinos= ignored: %#llx-%#llx holds this kernel or its initrd\n",
		       range->start, range->end);
		return false;
	}
	return true;
}

/* twinos=off, or twinos=SIZE@ADDR[,low=SIZE@ADDR], which may be repeated. */
static int __init parse_twinos(char *p)
{
	struct twinos_window w = {};
	unsigned int i;
	bool good;

	if (!p)
		return -EINVAL;
	if (twinos_coexisting())
		return 0;
	if (!strcmp(p, "off")) {
		twinos_off = true;
		return 0;
	}
	if (twinos_nr_windows == TWINOS_MAX_WINDOWS) {
		pr_err("no more than %d twinos= options are possible\n", TWINOS_MAX_WINDOWS);
		return 0;
	}
	good = parse_range(&p, &w.ranges[0]);
	if (good && !strncmp(p, ",low=", 5)) {
		p += 5;
		good = parse_range(&p, &w.ranges[1]) && w.ranges[1].end < SZ_1M;
	}
	if (!good || (*p && *p != ' ')) {
		pr_err("twinos= wants SIZE@ADDR[,low=SIZE@ADDR], page-aligned, low below 1M\n");
		return 0;
	}
	w.nr_ranges = w.ranges[1].end ? 2 : 1;
	for (i = 0; i < w.nr_ranges; i++)
		if (!can_withhold(&w.ranges[i]))
			return 0;
	for (i = 0; i < w.nr_ranges; i++)
		e820__range_update(w.ranges[i].start, resource_size(&w.ranges[i]),
				   E820_TYPE_RAM, E820_TYPE_RESERVED);
	e820__update_table(e820_table);
	pr_info("memory %#llx-%#llx withheld\n", w.ranges[0].start, w.ranges[0].end);
	twinos_windows[twinos_nr_windows++] = w;
	return 0;
}
early_param("twinos", parse_twinos);

/** twinos_name_windows() - in /proc/iomem. Boot time. */
void __init twinos_name_windows(void)
{
	unsigned int i, j;

	for (i = 0; i < twinos_nr_windows; i++)
		for (j = 0; j < twinos_windows[i].nr_ranges; j++)
			if (insert_resource(&iomem_resource, &twinos_windows[i].ranges[j]))
				pr_warn("%pR cannot be named in /proc/iomem\n",
					&twinos_windows[i].ranges[j]);
}

/* Is all of a range memory as the firmware told us? Its map is sorted. */
static bool firmware_ram(u64 start, u64 end)
{
	unsigned int i;

	for (i = 0; i < e820_table_firmware->nr_entries && start < end; i++) {
		const struct e820_entry *e = &e820_table_firmware->entries[i];

		if (e->type == E820_TYPE_RAM && e->addr <= start && e->addr + e->size > start)
			start = e->addr + e->size;
	}
	return start >= end;
}

/**
 * twinos_window_free() - may a coexisting OS have this memory?
 *
 * True if all of it is RAM by the firmware's map and none of it is RAM, or in any
 * other way busy, in this kernel's. Process context.
 */
bool twinos_window_free(u64 start, u64 size)
{
	return start + size > start && firmware_ram(start, start + size) &&
	       region_intersects(start, size, IORESOURCE_SYSTEM_RAM,
				 IORES_DESC_NONE) == REGION_DISJOINT;
}
