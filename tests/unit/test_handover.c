// SPDX-License-Identifier: GPL-2.0
/* Where things go, the coexisting OS's memory map, boot_params and share. */
#include <stdlib.h>
#include <string.h>
#include "image.h"

static struct memory_map firmware;

#define MIB (1ull << 20)

static void check_entry(const struct boot_e820_entry *e, uint64_t first, uint64_t last,
			uint32_t type)
{
	assert_int_equal(e->addr, first);
	assert_int_equal(e->addr + e->size - 1, last);
	assert_int_equal(e->type, type);
}

static void e820_of_the_test_machine(void **state)
{
	const struct range window = { MIB, 255 * MIB }, low = { 0x80000, 0x10000 };
	struct boot_e820_entry e[E820_MAX_ENTRIES_ZEROPAGE];
	struct tree t;

	(void)state;
	tree__create(&t);
	tree__machine(&t, "q35-twinos");
	assert_int_equal(read_firmware_map(t.sys, &firmware), 0);
	assert_int_equal(build_e820(e, E820_MAX_ENTRIES_ZEROPAGE, &window, &low, &firmware), 11);
	check_entry(&e[0], 0, 0x7ffff, 2);
	check_entry(&e[1], 0x80000, 0x8ffff, 1);
	check_entry(&e[2], 0x90000, 0x9ffff, 2);
	check_entry(&e[3], 0xf0000, 0xfffff, 2);
	check_entry(&e[4], 0x100000, 0x11ffff, 2);
	check_entry(&e[5], 0x120000, 0xfffffff, 1);
	check_entry(&e[6], 0x10000000, 0x3fffffff, 2);
	free(firmware.range);
	firmware = (struct memory_map){ 0 };
	tree__remove(&t);
}

/* Sorted, disjoint, and RAM exactly where the share has it, on any map. */
static void check_e820(const struct boot_e820_entry *e, unsigned int nr,
		       const struct range *window, const struct range *low)
{
	uint64_t ram = 0, at = 0;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		assert_true(e[i].size && e[i].addr >= at);
		at = e[i].addr + e[i].size;
		if (e[i].type != 1) {
			assert_int_equal(e[i].type, 2);
			continue;
		}
		ram += e[i].size;
		assert_true((e[i].addr >= window->start + TWINOS_SHARED_SIZE &&
			     at <= range_end(window)) ||
			    (e[i].addr >= low->start && at <= range_end(low)));
	}
	assert_int_equal(ram, window->size - TWINOS_SHARED_SIZE + low->size);
}

static void e820_of_any_machine(void **state)
{
	static struct memory ranges[300 * 12];
	struct boot_e820_entry e[E820_MAX_ENTRIES_ZEROPAGE];
	unsigned int round, i, nr, x = 7;

	(void)state;
	firmware.range = ranges;
	for (round = 0; round < 300; round++) {
		struct range window, low = { 0, 0 };
		uint64_t at = 0;

		/* Overlapping, touching, odd and many ranges; the window anywhere. */
		firmware.nr = 1 + round * 12;
		for (i = 0; i < firmware.nr; i++) {
			struct memory *m = &firmware.range[i];

			x = x * 1103515245 + 12345;
			m->start = at;
			m->end = at + 0x1000 * (1 + (x >> 16) % 4000) + (x >> 4) % 3;
			at += 0x1000 * ((x >> 8) % 5000) + (x >> 5) % 2;
			strcpy(m->name, x & 1 << 20 ? "System RAM" : "Reserved");
		}
		x = x * 1103515245 + 12345;
		window.start = MIB + 0x1000 * (x >> 12);
		window.size = 16 * MIB + 0x1000 * (x >> 20);
		if (round & 1)
			low = (struct range){ 0x80000, 0x10000 };
		nr = build_e820(e, E820_MAX_ENTRIES_ZEROPAGE, &window, &low, &firmware);
		assert_in_range(nr, 2, E820_MAX_ENTRIES_ZEROPAGE);
		check_e820(e, nr, &window, &low);
	}
	firmware = (struct memory_map){ 0 };
}

struct scene {
	uint8_t *file;
	size_t size;
	struct bzimage image;
	uint8_t *elf;
	struct vmlinux kernel;
	struct sizes sizes;
	struct placement p;
};

static void open_scene(struct scene *s)
{
	memset(s, 0, sizeof(*s));
	s->file = image__make(GZIP, &s->size);
	assert_int_equal(image__read(s->file, s->size, &s->image, &s->elf, &s->kernel), 0);
	s->sizes = (struct sizes){ .initrd = 3 * MIB + 5, .command_line = 13, .purgatory = 3000 };
	s->p.window = (struct range){ MIB, 255 * MIB };
	s->p.direct = true;
}

static void close_scene(struct scene *s)
{
	free(s->elf);
	free(s->file);
}

static int place_scene(struct scene *s)
{
	return place("bzImage", &s->image, &s->kernel, &s->sizes, &s->p);
}

/* All parts inside the window's RAM, page-aligned, none over another. */
static void check_placement(const struct scene *s)
{
	const struct placement *p = &s->p;
	const struct range parts[] = {
		p->kernel, p->purgatory, p->boot_params, p->command_line,
		{ p->initrd.start, (p->initrd.size + 4095) & ~4095ull },
	};
	unsigned int i, j;

	for (i = 0; i < 5; i++) {
		assert_int_equal(parts[i].start & 4095, 0);
		if (!parts[i].size)
			continue;
		assert_true(parts[i].start >= p->window.start + TWINOS_SHARED_SIZE);
		assert_true(range_end(&parts[i]) <= range_end(&p->window));
		for (j = 0; j < i; j++)
			assert_true(parts[i].start >= range_end(&parts[j]) ||
				    parts[j].start >= range_end(&parts[i]) || !parts[j].size);
	}
	assert_true(p->load.start >= p->kernel.start &&
		    range_end(&p->load) <= range_end(&p->kernel));
	assert_true(p->entry >= p->kernel.start && p->entry < range_end(&p->kernel));
}

static void direct(void **state)
{
	struct scene s;

	(void)state;
	open_scene(&s);
	assert_int_equal(place_scene(&s), 0);
	check_placement(&s);
	assert_int_equal(s.p.kernel.start, 2 * MIB);
	assert_int_equal(s.p.kernel.size, IMAGE_INIT_SIZE);
	assert_int_equal(s.p.entry, 2 * MIB + IMAGE_ENTRY);
	close_scene(&s);
}

/* Windows anywhere: with room or without between shared area and kernel. */
static void anywhere(void **state)
{
	uint64_t start;
	struct scene s;

	(void)state;
	open_scene(&s);
	for (start = MIB; start < 9 * MIB; start += 0x3000) {
		uint64_t need;

		s.p.window = (struct range){ start, 255 * MIB };
		assert_int_equal(place_scene(&s), 0);
		check_placement(&s);
		assert_int_equal(s.p.kernel.start & 0x1fffff, 0);
		/* What is said to be needed is enough, and a page less is not. */
		need = s.p.need;
		s.p.window.size = need;
		assert_int_equal(place_scene(&s), 0);
		check_placement(&s);
		s.p.window.size = need - 4096;
		assert_refused(place_scene(&s), "does not fit");
	}
	s.p.window = (struct range){ 5ull << 30, 64 * MIB };
	assert_int_equal(place_scene(&s), 0);
	check_placement(&s);
	close_scene(&s);
}

static void too_small(void **state)
{
	struct scene s;

	(void)state;
	open_scene(&s);
	s.p.window.size = 0x1000;
	assert_refused(place_scene(&s), "too small: at least");
	s.p.window.size = 2 * MIB;
	assert_refused(place_scene(&s), "too small: at least");
	s.p.window.size = 6 * MIB;
	assert_refused(place_scene(&s), "the initrd of 3076 KiB does not fit");
	s.sizes.initrd = 0;
	assert_int_equal(place_scene(&s), 0);
	assert_int_equal(s.p.initrd.start, 0);
	s.sizes.command_line = 100 * MIB;
	assert_refused(place_scene(&s), "too small");
	close_scene(&s);
}

static void decompressor(void **state)
{
	struct scene s;

	(void)state;
	open_scene(&s);
	s.p.direct = false;
	/* 1-256 MB ends where the decompressor would put this kernel. */
	assert_refused(place_scene(&s), "runs it at 0x10000000 or above, outside the window");
	s.p.window.size = 511 * MIB;
	assert_int_equal(place_scene(&s), 0);
	check_placement(&s);
	assert_int_equal(s.p.kernel.start, IMAGE_PADDR);
	assert_int_equal(s.p.entry, IMAGE_PADDR + 0x200);
	s.p.window = (struct range){ 512 * MIB + 0x5000, 64 * MIB };
	assert_int_equal(place_scene(&s), 0);
	check_placement(&s);
	assert_int_equal(s.p.kernel.start, 514 * MIB);
	s.p.entry_32bit = true;
	assert_int_equal(place_scene(&s), 0);
	assert_int_equal(s.p.entry, 514 * MIB);
	s.p.window = (struct range){ 5ull << 30, 64 * MIB };
	assert_refused(place_scene(&s), "--entry-32bit cannot reach");
	s.p.entry_32bit = false;
	s.image.header.xloadflags = XLF_KERNEL_64;
	assert_refused(place_scene(&s), "cannot run above 4 GiB");
	close_scene(&s);
}

static void boot_parameters(void **state)
{
	static struct boot_params params;
	uint8_t *bytes = (uint8_t *)&params;
	struct scene s;
	unsigned int i;

	(void)state;
	open_scene(&s);
	assert_int_equal(place_scene(&s), 0);
	/* What a bzImage or an attacker of it could leave in the header. */
	s.image.header.setup_data = 0x1234;
	s.image.header.hardware_subarch = 3;
	s.image.header.loadflags = 0xff;
	s.image.header.cmd_line_ptr = 99;
	firmware.nr = 0;
	assert_int_equal(fill_boot_params(&params, &s.image, &s.p, &firmware), 0);
	assert_int_equal(sizeof(params), 4096);
	assert_int_equal(params.hdr.setup_data, s.p.window.start);
	assert_int_equal(params.hdr.hardware_subarch, 0);
	assert_int_equal(params.hdr.loadflags, LOADED_HIGH);
	assert_int_equal(params.hdr.type_of_loader, 0xd0);
	assert_int_equal(params.hdr.cmd_line_ptr, s.p.command_line.start);
	assert_int_equal(params.hdr.ramdisk_image, s.p.initrd.start);
	assert_int_equal(params.hdr.ramdisk_size, 3 * MIB + 5);
	assert_int_equal(params.hdr.init_size, IMAGE_INIT_SIZE);
	/* Screen, EFI, EDD, APM, ACPI: nothing of the leading OS's. */
	for (i = 0; i < 0x1e8; i++)
		if (i < 0xc0 || i >= 0xcc)
			assert_int_equal(bytes[i], 0);
	for (i = 0x26c; i < 0x2d0; i++)
		assert_int_equal(bytes[i], 0);
	assert_int_equal(params.e820_entries, 2);
	s.p.window = (struct range){ 5ull << 30, 64 * MIB };
	assert_int_equal(place_scene(&s), 0);
	assert_int_equal(fill_boot_params(&params, &s.image, &s.p, &firmware), 0);
	assert_int_equal(params.ext_cmd_line_ptr, 1);
	assert_int_equal(params.ext_ramdisk_image, 1);
	assert_int_equal(params.hdr.setup_data, 5ull << 30);
	close_scene(&s);
}

static void share(void **state)
{
	struct share_options o = { .nr_pci = 2, .nr_irqs = 1, .nr_cpus = 1 };
	struct share_node node;
	struct scene s;

	(void)state;
	assert_int_equal(offsetof(struct share_node, share), sizeof(struct setup_data));
	assert_true(sizeof(node) <= 4096);
	open_scene(&s);
	s.p.low = (struct range){ 0x80000, 0x10000 };
	assert_int_equal(place_scene(&s), 0);
	o.pci[1] = (struct twinos_pci){ 1, 2, 3 };
	o.irqs[0] = 3;
	o.cpus[0] = 5;
	fill_share(&node, &s.p, &o, 7, "web");
	assert_int_equal(node.next, 0);
	assert_int_equal(node.type, SETUP_TWINOS);
	assert_int_equal(node.type & 0x80000000, 0);
	assert_int_equal(node.len, sizeof(struct twinos_share));
	assert_int_equal(node.share.magic, TWINOS_SHARE_MAGIC);
	assert_int_equal(node.share.version, TWINOS_ABI_VERSION);
	assert_int_equal(node.share.size, sizeof(struct twinos_share));
	assert_int_equal(node.share.window_start, MIB);
	assert_int_equal(node.share.window_size, 255 * MIB);
	assert_int_equal(node.share.low_start, 0x80000);
	assert_int_equal(node.share.low_size, 0x10000);
	assert_int_equal(node.share.kernel_start, 2 * MIB);
	assert_int_equal(node.share.kernel_size, IMAGE_INIT_SIZE);
	assert_int_equal(node.share.initrd_start, s.p.initrd.start);
	assert_int_equal(node.share.initrd_size, 3 * MIB + 5);
	assert_int_equal(node.share.id, 7);
	assert_int_equal(node.share.flags, TWINOS_SHARE_DIRECT);
	assert_int_equal(node.share.nr_pci, 2);
	assert_int_equal(node.share.pci[1].bus, 2);
	assert_int_equal(node.share.irqs[0], 3);
	assert_int_equal(node.share.cpus[0], 5);
	assert_int_equal(node.share.reserved, 0);
	close_scene(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(e820_of_the_test_machine), cmocka_unit_test(e820_of_any_machine),
		cmocka_unit_test(direct), cmocka_unit_test(anywhere), cmocka_unit_test(too_small),
		cmocka_unit_test(decompressor), cmocka_unit_test(boot_parameters),
		cmocka_unit_test(share),
	};

	return cmocka_run_group_tests_name("handover", tests, NULL, NULL);
}
