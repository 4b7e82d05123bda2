// SPDX-License-Identifier: GPL-2.0
/* Windows on recorded machines: what is free, what is in use and by whom. */
#include <string.h>
#include "tree.h"

static struct memory_map firmware, used;
static struct os_list oses;

struct machine {
	struct tree t;
	struct share_options options;
	struct range window, low;
	uint32_t id, found;		/* asked for (0: any), chosen */
	uint32_t nr_cpus;
};

static void open_machine(struct machine *m, const char *name)
{
	memset(m, 0, sizeof(*m));
	tree__create(&m->t);
	tree__machine(&m->t, name);
	assert_int_equal(read_firmware_map(m->t.sys, &firmware), 0);
	assert_int_equal(read_used_map(m->t.proc, &used), 0);
}

static int find(struct machine *m, uint64_t min, uint64_t max, const char *low)
{
	m->found = m->id;
	memset(&m->options, 0, sizeof(m->options));
	m->options.has_mem_min = min != 0;
	m->options.mem_min = min;
	m->options.has_mem_max = max != 0;
	m->options.mem_max = max;
	if (low)
		assert_int_equal(share_option(&m->options, "--twinos-low", "low", low), 0);
	m->options.nr_cpus = m->nr_cpus;
	assert_int_equal(read_oses(&m->t.roots, &oses), 0);
	return find_window(&m->t.roots, &m->options, &oses, &m->found, &firmware, &used, &m->window, &m->low);
}

static void withheld(void **state)
{
	struct machine m;

	(void)state;
	open_machine(&m, "q35-twinos");
	/* Without an end: up to where the leading kernel's memory begins. */
	assert_int_equal(find(&m, 0x100000, 0, NULL), 0);
	assert_int_equal(m.window.start, 0x100000);
	assert_int_equal(range_end(&m.window), 0x10000000);
	assert_int_equal(m.low.start, 0x80000);		/* from twinos=,low= */
	assert_int_equal(m.low.size, 0x10000);
	/* Without anything: the window that was withheld. */
	assert_int_equal(find(&m, 0, 0, NULL), 0);
	assert_int_equal(m.window.start, 0x100000);
	assert_int_equal(m.window.size, 0xff00000);
	/* Whoever says so gets no low slice. */
	assert_int_equal(find(&m, 0x100000, 0, ""), 0);
	assert_int_equal(m.low.size, 0);
	/* A part of it, by last byte and by end. */
	assert_int_equal(find(&m, 0x4000000, 0x7ffffff, NULL), 0);
	assert_int_equal(m.window.size, 0x4000000);
	assert_int_equal(find(&m, 0x4000000, 0x8000000, NULL), 0);
	assert_int_equal(m.window.size, 0x4000000);
	assert_int_equal(find(&m, 0, 0x7ffffff, NULL), 0);
	assert_int_equal(range_end(&m.window), 0x8000000);
	assert_int_equal(find(&m, 0x100000, 0, "32K@0x84000"), 0);
	assert_int_equal(m.low.start, 0x84000);
	tree__remove(&m.t);
}

static void refused(void **state)
{
	struct machine m;

	(void)state;
	open_machine(&m, "q35-twinos");
	assert_refused(find(&m, 0x8000000, 0x4000000, NULL), "--mem-max=0x4000000 is not above");
	assert_refused(find(&m, 0x8000000, 0x8000000, NULL), "is not above");
	assert_refused(find(&m, 0, 0xfff, NULL), "below the window");
	assert_refused(find(&m, 0x20000000, 0, NULL),
		       "(System RAM at 0x10000000) is in use by the running OS; boot it with twinos=");
	assert_refused(find(&m, 0x100000, 0x1fffffff, NULL), "is in use by the running OS");
	/* The innermost user is named. */
	assert_refused(find(&m, 0x10000000, 0x10000fff, NULL), "(Kernel code at 0x10000000)");
	assert_refused(find(&m, 0x10000000000, 0, NULL), "is not RAM");
	assert_refused(find(&m, 0xa0000, 0xbffff, NULL), "is not RAM from 0xa0000");
	assert_refused(find(&m, 0xb0000000, 0xb7ffffff, NULL), "is not RAM");
	assert_refused(find(&m, 0x30000000, 0x4fffffff, NULL), "is not RAM from 0x3ff");
	assert_refused(find(&m, 0xfffffffffffff000, 0, NULL), "wraps");
	assert_refused(find(&m, 0xffffffffffffe000, UINT64_MAX, NULL), "wraps");
	assert_refused(find(&m, 0x100000, 0, "64K@0x10000"), "the low slice 0x10000-0x1ffff (System RAM");
	assert_refused(find(&m, 0x100000, 0, "64K@0xa0000"), "is not RAM");
	tree__remove(&m.t);
}

static void plain_memmap(void **state)
{
	struct machine m;

	(void)state;
	open_machine(&m, "q35-memmap");
	assert_int_equal(find(&m, 0x100000, 0, "64K@0x80000"), 0);
	assert_int_equal(range_end(&m.window), 0x10000000);
	assert_int_equal(m.low.size, 0x10000);
	assert_int_equal(find(&m, 0x100000, 0, NULL), 0);
	assert_int_equal(m.low.size, 0);
	assert_refused(find(&m, 0, 0, NULL), "no window is known; give --mem-min");
	tree__remove(&m.t);
}

static void several_windows(void **state)
{
	struct machine m;

	(void)state;
	open_machine(&m, "q35-6g-above");
	assert_int_equal(find(&m, 0, 0, NULL), 0);	/* the first */
	assert_int_equal(m.window.start, 0x140000000);
	assert_int_equal(m.window.size, 0x20000000);
	assert_int_equal(m.low.size, 0);
	assert_int_equal(find(&m, 0x40000000, 0, NULL), 0);
	assert_int_equal(m.window.size, 0x4000000);
	assert_int_equal(m.low.start, 0x70000);
	assert_int_equal(find(&m, 0x150000000, 0, NULL), 0);
	assert_int_equal(range_end(&m.window), 0x160000000);
	/* Where windows touch each other, the end of one is the end. */
	tree__file(&m.t, "sys/kernel/twinos/windows",
		   "0x140000000-0x14fffffff\n0x150000000-0x15fffffff\n");
	assert_int_equal(find(&m, 0x140000000, 0, NULL), 0);
	assert_int_equal(range_end(&m.window), 0x150000000);
	assert_int_equal(find(&m, 0x140000000, 0x15fffffff, NULL), 0);
	assert_refused(find(&m, 0x140000000, 0x160ffffff, NULL), "in use by the running OS");
	assert_refused(find(&m, 0x100000, 0, NULL), "in use by the running OS");
	tree__remove(&m.t);
}

static void windows_of_others(void **state)
{
	struct machine m;

	(void)state;
	open_machine(&m, "q35-6g-above");
	tree__os(&m.t, 1, "running", "dedicated", "window 0x140000000-0x15fffffff\ncpu 1\n");
	assert_int_equal(find(&m, 0, 0, NULL), 0);	/* the next one */
	assert_int_equal(m.window.start, 0x40000000);
	assert_int_equal(m.low.start, 0x70000);
	assert_int_equal(m.found, 0);			/* the kernel's to choose */
	/* A part of a window in use is use enough. */
	tree__os(&m.t, 2, "starting", "dedicated",
		 "window 0x42000000-0x43ffffff\nlow 0x70000-0x7ffff\ncpu 2\n");
	assert_refused(find(&m, 0, 0, NULL),
		       "every window is in use: 0x140000000-0x15fffffff by coexisting OS 1 (running), 0x40000000-0x43ffffff by coexisting OS 2 (starting); stop or unload one of them");
	/* The other part has no low slice any more, which only several CPUs need. */
	assert_int_equal(find(&m, 0x40000000, 0, NULL), 0);
	assert_int_equal(range_end(&m.window), 0x42000000);
	assert_int_equal(m.low.size, 0);
	assert_int_equal(m.found, 0);
	m.nr_cpus = 1;
	assert_int_equal(find(&m, 0x40000000, 0, NULL), 0);
	m.nr_cpus = 2;
	assert_refused(find(&m, 0x40000000, 0, NULL),
		       "2 CPUs need a low slice to start from, and coexisting OS 2 (starting) has the one of this window; give another with --twinos-low=32K@ADDRESS");
	assert_refused(find(&m, 0x40000000, 0, "32K@0x78000"),
		       "the low slice 0x78000-0x7ffff overlaps the low slice 0x70000-0x7ffff of coexisting OS 2 (starting)");
	m.nr_cpus = 0;
	assert_refused(find(&m, 0x41000000, 0x42ffffff, NULL),
		       "the window 0x41000000-0x42ffffff overlaps the window 0x42000000-0x43ffffff of coexisting OS 2");
	assert_refused(find(&m, 0x43000000, 0x43ffffff, NULL), "of coexisting OS 2 (starting)");
	/* Ended, or to be replaced: no obstacle. */
	tree__os(&m.t, 2, "hung", "dedicated", "window 0x42000000-0x43ffffff\n");
	assert_int_equal(find(&m, 0, 0, NULL), 0);
	assert_int_equal(m.found, 0);
	tree__os(&m.t, 2, "loaded", "dedicated", "window 0x40000000-0x43ffffff\n");
	assert_int_equal(find(&m, 0, 0, NULL), 0);
	assert_int_equal(m.window.start, 0x40000000);
	assert_int_equal(m.found, 2);
	m.id = 3;
	assert_refused(find(&m, 0, 0, NULL), "every window is in use");
	m.id = 2;
	assert_int_equal(find(&m, 0x42000000, 0x43ffffff, NULL), 0);
	tree__remove(&m.t);
}

static void without_low_slice(void **state)
{
	struct machine m;

	(void)state;
	open_machine(&m, "q35-memmap");
	m.nr_cpus = 2;
	assert_refused(find(&m, 0x100000, 0, ""), "2 CPUs need a low slice to start from; give");
	assert_refused(find(&m, 0x100000, 0, NULL),
		       "2 CPUs need a low slice to start from; give --twinos-low=32K@ADDRESS");
	assert_int_equal(find(&m, 0x100000, 0, "64K@0x80000"), 0);
	m.nr_cpus = 1;
	assert_int_equal(find(&m, 0x100000, 0, NULL), 0);
	tree__remove(&m.t);
}

static void all_numbers_in_use(void **state)
{
	struct machine m;
	unsigned int id;
	char share[64];

	(void)state;
	open_machine(&m, "q35-twinos");
	for (id = 1; id <= TWINOS_MAX_ID; id++) {
		snprintf(share, sizeof(share), "window %#x-%#x\n", (id + 0x100) << 20,
			 ((id + 0x101) << 20) - 1);
		tree__os(&m.t, id, "running", "dedicated", share);
	}
	assert_refused(find(&m, 0x100000, 0, NULL), "all 64 numbers");
	tree__os(&m.t, 40, "stopped", "dedicated", "");
	assert_int_equal(find(&m, 0x100000, 0, NULL), 0);
	assert_int_equal(m.found, 0);
	tree__remove(&m.t);
}

static void nothing_withheld(void **state)
{
	struct machine m;

	(void)state;
	open_machine(&m, "pc-2g");
	assert_refused(find(&m, 0, 0, NULL), "no window is known");
	assert_refused(find(&m, 0x100000, 0xfffffff, NULL),
		       "in use by the running OS; boot it with twinos=255M@0x100000");
	assert_refused(find(&m, 0x40000000, 0, NULL), "in use by the running OS");
	tree__remove(&m.t);
}

static void hidden_addresses(void **state)
{
	struct machine m;

	(void)state;
	open_machine(&m, "q35-twinos");
	tree__file(&m.t, "proc/iomem",
		   "00000000-00000000 : Reserved\n00000000-00000000 : System RAM\n"
		   "  00000000-00000000 : Kernel code\n");
	assert_refused(read_used_map(m.t.proc, &used), "does not show addresses; run kexec as root");
	tree__remove(&m.t);
}

static void damaged_maps(void **state)
{
	static const char *const lines[] = {
		"", "rubbish\n", "00001000 : System RAM\n", "00002000-00001000 : System RAM\n",
		"00001000-00001fff\n", "x-y : z\n",
	};
	struct machine m;
	unsigned int i;

	(void)state;
	open_machine(&m, "q35-twinos");
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		tree__file(&m.t, "proc/iomem", "%s", lines[i]);
		assert_refused(read_used_map(m.t.proc, &used), "iomem");
	}
	tree__file(&m.t, "sys/firmware/memmap/1/start", "0x\n");
	assert_refused(read_firmware_map(m.t.sys, &firmware), "cannot be read");
	tree__file(&m.t, "sys/firmware/memmap/1/start", "0xffffffff\n");
	assert_refused(read_firmware_map(m.t.sys, &firmware), "cannot be read");
	tree__remove(&m.t);
	tree__create(&m.t);
	assert_refused(read_firmware_map(m.t.sys, &firmware), "CONFIG_FIRMWARE_MEMMAP");
	assert_refused(read_used_map(m.t.proc, &used), "is /proc mounted?");
	tree__folder(&m.t, "sys/firmware/memmap");
	assert_refused(read_firmware_map(m.t.sys, &firmware), "is empty");
	tree__remove(&m.t);
}

/* A server with many virtual functions: only what overlaps matters. */
static void many_ranges(void **state)
{
	char *text = test_malloc(400000), *p = text;
	struct machine m;
	unsigned int i;

	(void)state;
	open_machine(&m, "q35-twinos");
	for (i = 0; i < 5000; i++) {
		p += sprintf(p, "    %08x-%08x : 0000:%02x:00.0\n", 0xe0000000 + (i << 12),
			     0xe0000fff + (i << 12), i >> 8);
		tree__range(&m.t, 100 + i, 0x1000000000 + (i << 12), 0x1000000fff + (i << 12),
			    "Reserved");
	}
	p += sprintf(p, "08000000-08000fff : %0300d\n", 0);
	tree__file(&m.t, "proc/iomem", "%s", text);
	assert_int_equal(read_used_map(m.t.proc, &used), 0);
	assert_int_equal(read_firmware_map(m.t.sys, &firmware), 0);
	assert_int_equal(find(&m, 0x100000, 0x7ffffff, NULL), 0);
	assert_refused(find(&m, 0x100000, 0x8000fff, NULL), "in use by the running OS");
	test_free(text);
	tree__remove(&m.t);
}

static void unreadable_maps(void **state)
{
	struct machine m;

	(void)state;
	open_machine(&m, "q35-twinos");
	tree__remove(&m.t);
	tree__create(&m.t);
	tree__folder(&m.t, "proc/iomem");
	assert_refused(read_used_map(m.t.proc, &used), "cannot be read: Is a directory");
	tree__remove(&m.t);
	open_machine(&m, "q35-twinos");
	tree__file(&m.t, "sys/kernel/twinos/windows", "rubbish\n");
	assert_refused(find(&m, 0, 0, NULL), "windows has a line that is not understood: rubbish");
	tree__remove(&m.t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(withheld), cmocka_unit_test(refused),
		cmocka_unit_test(plain_memmap), cmocka_unit_test(several_windows),
		cmocka_unit_test(windows_of_others), cmocka_unit_test(without_low_slice),
		cmocka_unit_test(all_numbers_in_use), cmocka_unit_test(nothing_withheld), cmocka_unit_test(hidden_addresses),
		cmocka_unit_test(damaged_maps), cmocka_unit_test(many_ranges),
		cmocka_unit_test(unreadable_maps),
	};

	return cmocka_run_group_tests_name("memory_map", tests, NULL, NULL);
}
