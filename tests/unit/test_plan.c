// SPDX-License-Identifier: GPL-2.0
/* A share that fits a machine, and the files that are made of it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "image.h"

#define GIB (UINT64_C(1) << 30)
#define MIB (UINT64_C(1) << 20)

static struct tree t;
static struct plan_request request;
static struct plan plan;

static void machine(const char *name)
{
	tree__machine(&t, name);
	tree__hardware(&t, name);
}

static int setup(void **state)
{
	(void)state;
	tree__create(&t);
	request = (struct plan_request){ .name = "web", .memory = GIB, .release = "6.12.117" };
	tree__file(&t, "etc/default/grub", "GRUB_CMDLINE_LINUX=\"\"\n");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free_plan(&plan);
	tree__remove(&t);
	return 0;
}

static int make(void)
{
	free_plan(&plan);
	return make_plan(&t.roots, &request, &plan);
}

/* It must work. */
static void made(void)
{
	if (make())
		fail_msg("refused: %s", refusal());
}

static void give(const char *pci, const char *irq)
{
	request.devices = (struct share_options){ 0 };
	if (pci)
		assert_int_equal(share_option(&request.devices, "pci", "pci", pci), 0);
	if (irq)
		assert_int_equal(share_option(&request.devices, "irq", "irq", irq), 0);
}

#define assert_window(first, bytes) do { \
		assert_int_equal(conf_window(&plan.conf).start, first); \
		assert_int_equal(conf_window(&plan.conf).size, bytes); \
	} while (0)

static void assert_cpus(const char *list)
{
	uint32_t cpus[TWINOS_MAX_CPUS], nr = 0, i;

	if (*list)
		assert_int_equal(parse_cpus("", list, cpus, &nr), 0);
	assert_int_equal(plan.conf.share.nr_cpus, nr);
	for (i = 0; i < nr; i++)
		assert_int_equal(plan.conf.share.cpus[i], cpus[i]);
}

static bool warns(const char *text)
{
	unsigned int i;

	for (i = 0; i < plan.warnings.nr; i++)
		if (strstr(plan.warnings.text[i], text))
			return true;
	return false;
}

static void file_has(unsigned int file, const char *text)
{
	if (!strstr(plan.files[file].text, text))
		fail_msg("no \"%s\" in %s: %s", text, plan.files[file].path, plan.files[file].text);
}

/* A configuration that is there already. */
static void add_conf(const char *name, const char *share)
{
	char path[100];

	snprintf(path, sizeof(path), "etc/twinos/%s.conf", name);
	tree__file(&t, path, "[boot]\nkernel = /boot/k\n[share]\n%s", share);
}

/* A function with MSI-X in a folder of /sys/devices; what else it has is up to the test. */
static void add_pci(const char *folder, const char *bdf, unsigned int class, int node,
		    unsigned int bits)
{
	uint8_t config[256] = { 0x34, 0x12, [6] = 0x10, [0x34] = 0x40, [0x40] = 0x11 };
	char path[200], target[200];

	snprintf(target, sizeof(target), "sys/devices/%s/%s", folder, bdf);
	snprintf(path, sizeof(path), "%s/config", target);
	tree__bytes(&t, path, config, sizeof(config));
	snprintf(path, sizeof(path), "%s/class", target);
	tree__file(&t, path, "0x%06x\n", class);
	snprintf(path, sizeof(path), "%s/numa_node", target);
	tree__file(&t, path, "%d\n", node);
	snprintf(path, sizeof(path), "%s/dma_mask_bits", target);
	tree__file(&t, path, "%u\n", bits);
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s", bdf);
	tree__link(&t, path, target);
}

static void add_interface(const char *device, const char *name, const char *flags)
{
	char path[200];

	snprintf(path, sizeof(path), "sys/devices/%s/net/%s/flags", device, name);
	tree__file(&t, path, "%s\n", flags);
	snprintf(path, sizeof(path), "sys/devices/%s/net/%s/subsystem", device, name);
	tree__link(&t, path, "sys/class/net");
}

/* ---- memory ---- */

static void small_machine(void **state)
{
	(void)state;
	machine("vm-2g");
	request.memory = 512 * MIB;
	made();
	/* Behind the kernel, which lies at 0x2d000000 and has 64 MiB to grow. */
	assert_window(0x33600000, 512 * MIB);
	assert_cpus("");
	assert_int_equal(plan.conf.share.low.size, 0);
	file_has(2, "No cpus: it shares CPU 0");
	/* In front of it there is room for less. */
	request.memory = 256 * MIB;
	made();
	assert_window(0x10000000, 256 * MIB);
}

/* The half that the leading OS keeps is of what the machine has, not of what firmware left. */
static void half_is_kept(void **state)
{
	(void)state;
	machine("vm-2g");
	request.memory = GIB;
	made();
	assert_window(0x33600000, GIB);
	request.memory = GIB + 2 * MIB;
	assert_refused(make(), "--memory=1026M would leave the leading OS less than half");
	assert_refused(make(), "a further window can have 1G");
	add_conf("db", "memory = 512M@0x50000000\n");
	request.memory = 514 * MIB;
	assert_refused(make(), "a further window can have 512M");
	/* Low slices do not count. */
	add_conf("db", "memory = 512M@0x50000000\nlow = 64K@0x80000\n");
	/* Only if the kernel makes room. */
	request.memory = 512 * MIB;
	made();
	assert_window(0x10000000, 512 * MIB);
	add_conf("db", "memory = 512M@0x28000000\n");
	made();
	assert_window(0x48000000, 512 * MIB);
	add_conf("db", "memory = 512M@0x40000000\n");
	made();
	assert_window(0x10000000, 512 * MIB);
	add_conf("db", "memory = 64M@0x2c000000\n");
	add_conf("db2", "memory = 448M@0x48000000\n");
	assert_refused(make(), "no window of 512M fits into free memory, on one side of 4 GiB; the largest has 448M");
}

static void leading_minimum(void **state)
{
	(void)state;
	machine("vm-2g");
	/* 768 MiB: half of it would leave less than 512 MiB. */
	tree__range(&t, 3, 0x100000, 0x2fffffff, "System RAM");
	request.memory = 258 * MIB;
	assert_refused(make(), "or less than 512M; a further window can have 256M");
}

static void sizes(void **state)
{
	(void)state;
	machine("laptop");
	request.memory = GIB + MIB;
	assert_refused(make(), "is not a multiple of 2M");
	request.memory = 2 * MIB;
	assert_refused(make(), "--memory=2M is too little for a Linux");
	request.memory = 0;
	assert_refused(make(), "too little");
}

/* Above 4 GiB, at a multiple of 1 GiB, clear of the kernel and of an initrd at the very top. */
static void large_machine(void **state)
{
	(void)state;
	machine("laptop");
	request.memory = 2 * GIB;
	made();
	assert_window(4 * GIB, 2 * GIB);
	request.memory = 4 * GIB;
	made();
	/* The kernel ends at 0x1c5600000; 64 MiB behind it, and aligned. */
	assert_window(8 * GIB, 4 * GIB);
	file_has(2, "# Above 4 GiB: what this share has can reach it");
	file_has(2, "memory = 4G@0x200000000\n");
	/* No room at a multiple of 1 GiB. */
	add_conf("db", "memory = 1G@0x240000000\n");
	request.memory = 6 * GIB;
	made();
	assert_window(0x280000000, 6 * GIB);
	/* Up to 64 MiB below the initrd, no further. */
	tree__boot_params(&t, 0x403c00000, 0x3000000, true);
	request.memory = 6 * GIB - 4 * MIB;
	made();
	assert_window(0x280000000, 6 * GIB - 4 * MIB);
	request.memory = 6 * GIB;
	assert_refused(make(), "the largest has 6140M");
	/* And 16 MiB above it. */
	tree__boot_params(&t, 4 * GIB, 0x3000000, true);
	request.memory = 512 * MIB;
	made();
	assert_window(0x104000000, 512 * MIB);
}

/* Never across 4 GiB, and half of what is below stays. */
static void across(void **state)
{
	(void)state;
	tree__machine(&t, "q35-6g-above");
	tree__hardware(&t, "vm-2g");
	/* One range of RAM on both sides of it, as there is where no device has addresses. */
	tree__file(&t, "proc/iomem", "00001000-0009fbff : System RAM\n00100000-17fffffff : System RAM\n");
	tree__range(&t, 3, 0x100000, 0x17fffffff, "System RAM");
	tree__range(&t, 8, 0x180000000, 0x180000fff, "Reserved");
	request.memory = 3 * GIB;
	assert_refused(make(), "no window of 3G fits into free memory, on one side of 4 GiB; the largest has 2G");
	request.memory = 2 * GIB;
	made();
	assert_window(4 * GIB, 2 * GIB);
}

/* Devices of 32 bits, or of which nobody knows, pull the window down. */
static void reach(void **state)
{
	(void)state;
	machine("laptop");
	add_pci("pci0000:00", "0000:00:1f.6", 0x020000, -1, 32);
	add_pci("pci0000:00/0000:00:1d.0", "0000:03:00.0", 0x010802, -1, 32);
	give("03:00.0", NULL);
	made();
	assert_window(4 * GIB, GIB);
	give("00:1f.6", NULL);
	request.memory = 512 * MIB;
	made();
	assert_window(0x10000000, 512 * MIB);
	file_has(2, "# Below 4 GiB: a function of this share is not known to address more than 32 bits");
	assert_false(warns("32 bits"));
	/* Half of what is below 4 GiB stays the leading OS's. */
	request.memory = GIB;
	made();
	assert_window(4 * GIB, GIB);
	assert_true(warns("no window below 4 GiB fits"));
	assert_non_null(strstr(plan.conf.append, " swiotlb=noforce "));
	tree__file(&t, "sys/devices/pci0000:00/0000:00:1f.6/dma_mask_bits", "64\n");
	tree__file(&t, "sys/devices/pci0000:00/0000:00:1f.6/consistent_dma_mask_bits", "32\n");
	request.memory = 512 * MIB;
	made();
	assert_window(0x10000000, 512 * MIB);
	assert_null(strstr(plan.conf.append, "swiotlb"));
	tree__file(&t, "sys/devices/pci0000:00/0000:00:1f.6/consistent_dma_mask_bits", "64\n");
	made();
	assert_window(4 * GIB, 512 * MIB);
	/* Booted without a driver, as it was given away, it says less; but it has worked. */
	tree__file(&t, "sys/devices/pci0000:00/0000:00:1f.6/dma_mask_bits", "32\n");
	request.force = true;
	add_conf("web", "memory = 2G@0x200000000\npci = 0000:00:1f.6\n");
	made();
	assert_window(4 * GIB, 512 * MIB);
	add_conf("web", "memory = 512M@0x20000000\npci = 0000:00:1f.6\n");
	made();
	assert_window(0x10000000, 512 * MIB);
	add_conf("web", "memory = 2G@0x200000000\n");
	made();
	assert_window(0x10000000, 512 * MIB);
}

/* However much there is above: 32-bit devices of the leading OS want some below, too. */
static void half_of_what_is_below(void **state)
{
	(void)state;
	machine("laptop");
	tree__file(&t, "proc/iomem", "00100000-bfffffff : System RAM\n100000000-47fffffff : System RAM\n");
	tree__range(&t, 4, 0x100000, 0xbfffffff, "System RAM");
	add_pci("pci0000:00", "0000:00:1f.6", 0x020000, -1, 32);
	give("00:1f.6", NULL);
	request.memory = 1536 * MIB;
	made();
	assert_window(GIB, 1536 * MIB);
	request.memory += 2 * MIB;
	made();
	assert_window(4 * GIB, 1538 * MIB);
	assert_true(warns("no window below 4 GiB fits"));
}

static void too_many(void **state)
{
	char name[8], share[80];
	int i;

	(void)state;
	machine("server");
	for (i = 0; i < 16; i++) {
		snprintf(name, sizeof(name), "os%d", i);
		snprintf(share, sizeof(share), "memory = 1G@0x%x00000000\n", i + 2);
		add_conf(name, i ? share : "");
	}
	made();
	add_conf("os0", "memory = 1G@0x100000000\n");
	assert_refused(make(), "with this one, 17 configurations would need memory from the boot line");
}

/* The image of a kernel that goes to another place at each boot can be given away, if need be. */
static void kernel_moves(void **state)
{
	(void)state;
	machine("vm-2g");
	tree__file(&t, "proc/iomem",
		   "00001000-0009fbff : System RAM\n00100000-7ffdbfff : System RAM\n"
		   "  48000000-49ffffff : Kernel code\n  4a000000-4abfffff : Kernel bss\n");
	request.memory = GIB;
	made();
	assert_window(0x40000000 - 0x30000000, GIB);
	tree__boot_params(&t, 0x7d09e000, 0x2f2dbbc, false);
	assert_refused(make(), "no window of 1G fits");
}

static void reserved_memory(void **state)
{
	(void)state;
	machine("server");
	tree__file(&t, "sys/devices/system/node/online", "0\n");
	add_pci("pci0000:00", "0000:00:1f.6", 0x020000, -1, 32);
	give("00:1f.6", NULL);
	request.memory = 512 * MIB;
	made();
	/* Behind the crash kernel, before the kernel. */
	assert_window(0x3b000000, 512 * MIB);
	request.memory = 528 * MIB;
	made();
	assert_window(0x3b000000, 528 * MIB);
	/* There it would reach the kernel, which does not move here. */
	request.memory = 534 * MIB;
	made();
	assert_window(4 * GIB, 534 * MIB);
}

/* Memory by firmware's map that the running kernel keeps away from, by memmap= for instance. */
static void kept_away(void **state)
{
	(void)state;
	machine("laptop");
	tree__file(&t, "proc/iomem",
		   "00001000-0007ffff : System RAM\n00080000-0008ffff : Reserved\n"
		   "00100000-3fffffff : System RAM\n100000000-13fffffff : Reserved\n"
		   "140000000-47fffffff : System RAM\n");
	request.cpus = 2;
	made();
	assert_window(5 * GIB, GIB);
	assert_int_equal(plan.conf.share.low.start, 0x70000);
}

/* A boot line written by hand, and an OS that was loaded by hand. */
static void taken_by_hand(void **state)
{
	(void)state;
	machine("laptop");
	tree__file(&t, "etc/default/grub",
		   "# twinos=1G@5G is not meant\nGRUB_CMDLINE_LINUX=\"quiet twinos=1G@0x100000000,low=64K@0x80000\"\n");
	request.cpus = 4;
	made();
	assert_window(5 * GIB, GIB);
	assert_int_equal(plan.conf.share.low.start, 0x70000);
	assert_true(warns("etc/default/grub has a twinos= of its own"));
	tree__os(&t, 2, "running", "dedicated", "window 0x140000000-0x17fffffff\nlow 0x70000-0x77fff\n");
	made();
	/* Between there and the kernel is no room at a multiple of 1 GiB. */
	assert_window(0x180000000, GIB);
	assert_int_equal(plan.conf.share.low.start, 0x60000);
	assert_cpus("1,2,5,6");
	/* What is loaded has its CPUs only when it is launched, but will want them. */
	tree__os(&t, 3, "loaded", "dedicated", "window 0x300000000-0x30fffffff\ncpu 1\n");
	made();
	assert_cpus("2,3,6,7");
}

/* What this boot withholds for nobody any more can be had. */
static void withheld(void **state)
{
	(void)state;
	tree__machine(&t, "q35-6g-above");
	tree__hardware(&t, "vm-2g");
	tree__file(&t, "proc/iomem",
		   "00001000-0009fbff : System RAM\n00100000-3fffffff : System RAM\n"
		   "100000000-13fffffff : System RAM\n"
		   "140000000-1ffffffff : TwinOS window\n  140000000-1ffffffff : Reserved\n");
	request.memory = 2 * GIB;
	made();
	assert_window(4 * GIB, 2 * GIB);
	add_conf("db", "memory = 1G@0x100000000\n");
	made();
	assert_window(5 * GIB, 2 * GIB);
}

/* ---- CPUs ---- */

static void cores(void **state)
{
	(void)state;
	machine("laptop");
	request.cpus = 2;
	made();
	assert_cpus("1,5");
	assert_int_equal(plan.conf.share.low.start, 0x80000);
	assert_int_equal(plan.conf.share.low.size, 0x10000);
	assert_int_equal(plan.warnings.nr, 1);		/* there is no kernel */
	file_has(2, "cpus = 1,5\n");
	file_has(2, "low = 64K@0x80000\n");
	request.cpus = 3;
	made();
	assert_cpus("1,2,5,6");
	assert_true(warns("3 CPUs would split a core between two OSes; its share has 4"));
	request.cpus = 6;
	made();
	assert_cpus("1-3,5-7");
	/* The kernel may be able to take CPU 0 offline, too; it stays all the same. */
	tree__file(&t, "sys/devices/system/cpu/cpu0/online", "1\n");
	request.cpus = 7;
	assert_refused(make(), "there are not 7 CPUs in whole cores that can leave the leading OS");
	/* One of its two threads is another's. */
	add_conf("db", "memory = 1G@0x100000000\nlow = 64K@0x80000\ncpus = 6\n");
	request.cpus = 4;
	made();
	assert_cpus("1,3,5,7");
	assert_int_equal(plan.conf.share.low.start, 0x70000);
	/* The kernel cannot take one offline. */
	request.cpus = 2;
	assert_return_code(unlink(strcat(strcpy((char[200]){ 0 }, t.sys),
					 "/devices/system/cpu/cpu5/online")), 0);
	made();
	assert_cpus("3,7");
}

/* Cores of two kinds: what has two threads first, and single ones for the rest. */
static void two_kinds(void **state)
{
	static const char path[] = "sys/devices/system/cpu/cpu%u/topology/thread_siblings_list";
	char file[128];
	unsigned int cpu;

	(void)state;
	machine("laptop");
	for (cpu = 0; cpu < 8; cpu++) {
		snprintf(file, sizeof(file), path, cpu);
		if (cpu < 4)
			tree__file(&t, file, "%u-%u\n", cpu & ~1u, cpu | 1);
		else
			tree__file(&t, file, "%u\n", cpu);
	}
	request.cpus = 1;
	made();
	assert_cpus("4");
	assert_int_equal(plan.conf.share.low.size, 0);
	request.cpus = 3;
	made();
	assert_cpus("2-4");
	request.cpus = 6;
	made();
	assert_cpus("2-7");
	for (cpu = 0; cpu < 8; cpu++) {
		snprintf(file, sizeof(file), path, cpu);
		if (cpu < 4)
			tree__file(&t, file, "%u\n", cpu);
		else
			tree__file(&t, file, "%u-%u\n", cpu & ~1u, cpu | 1);
	}
	request.cpus = 2;
	made();
	assert_cpus("4,5");
}

static void no_cores(void **state)
{
	(void)state;
	machine("vm-2g");
	request.memory = 256 * MIB;
	request.cpus = 1;
	made();
	assert_cpus("1");
	request.cpus = 2;
	assert_refused(make(), "give fewer CPUs");
	add_conf("db", "cpus = 1\n");
	request.cpus = 1;
	assert_refused(make(), "there are none: leave out --cpus, to share CPU 0");
	request.cpus = 0;
	made();
	assert_cpus("");
	add_conf("db2", "memory = 64M@0x60000000\n");
	made();
	assert_true(warns("db2 shares CPU 0 as well, and one OS can at a time"));
	assert_false(warns("db shares"));
}

/* What firmware leaves of the last 64K below 640K is not touched, even if that is all. */
static void highest_low_slice(void **state)
{
	(void)state;
	machine("laptop");
	tree__range(&t, 2, 0x59000, 0x9ffff, "System RAM");
	tree__file(&t, "proc/iomem", "00001000-0009ffff : System RAM\n100000000-47fffffff : System RAM\n");
	request.cpus = 2;
	made();
	assert_int_equal(plan.conf.share.low.start, 0x80000);
}

static void no_low_slice(void **state)
{
	char name[8], share[80];
	int i;

	(void)state;
	machine("laptop");
	request.cpus = 2;
	/* At 0x58000 firmware has something. */
	for (i = 3; i <= 8; i++) {
		if (i == 5)
			continue;
		snprintf(name, sizeof(name), "os%d", i);
		snprintf(share, sizeof(share), "low = 64K@0x%d0000\n", i);
		add_conf(name, share);
	}
	assert_refused(make(), "2 CPUs need a low slice to start from, and no 64K below 640K are free");
	add_conf("os6", "low = 32K@0x60000\n");
	assert_refused(make(), "2 CPUs need a low slice");
	add_conf("os6", "");
	made();
	assert_int_equal(plan.conf.share.low.start, 0x60000);
}

/* ---- NUMA ---- */

static void nodes(void **state)
{
	(void)state;
	machine("server");
	request.memory = 8 * GIB;
	request.cpus = 4;
	made();
	/* Not where CPU 0 is. */
	assert_cpus("8,9,24,25");
	assert_int_equal(plan.node, 1);
	assert_window(0x1080000000, 8 * GIB);
	file_has(2, "of NUMA node 1");
	/* Where the functions are. */
	add_pci("pci0000:00", "0000:00:1f.6", 0x020000, 0, 64);
	add_pci("pci0000:80", "0000:81:00.0", 0x010802, 1, 64);
	give("00:1f.6", NULL);
	made();
	assert_cpus("1,2,17,18");
	assert_window(4 * GIB, 8 * GIB);
	give("00:1f.6,81:00.0", NULL);
	made();
	assert_int_equal(plan.node, 1);
	assert_true(warns("PCI function 0000:00:1f.6 is on NUMA node 0, and the rest of the share on node 1"));
	/* One that shares CPU 0 is where that is. */
	give(NULL, NULL);
	request.cpus = 0;
	made();
	assert_int_equal(plan.node, 0);
	assert_window(4 * GIB, 8 * GIB);
}

/* A node that has too little of one thing. */
static void other_node(void **state)
{
	(void)state;
	machine("server");
	add_conf("db", "memory = 48G@0x1080000000\ncpus = 8-15,24-27\nlow = 64K@0x80000\n");
	request.memory = 8 * GIB;
	request.cpus = 6;
	made();
	assert_int_equal(plan.node, 0);
	assert_cpus("1,2,3,17,18,19");
	add_conf("db2", "memory = 48G@0x100000000\n");
	assert_refused(make(), "would leave the leading OS less than half");
	/* 6 CPUs only on node 0, 17 GiB in one range only on node 1. */
	add_conf("db2", "memory = 30G@0x500000000\n");
	request.memory = 17 * GIB;
	add_conf("db", "memory = 1G@0x1080000000\ncpus = 8-15,24-27\nlow = 64K@0x80000\n");
	assert_refused(make(), "no window of 17G fits into free memory, on one side of 4 GiB and on the node of its CPUs; the largest has 16G");
	request.cpus = 15;
	assert_refused(make(), "no NUMA node has 15 CPUs in whole cores");
}

/* The memory that is withheld has no blocks; it is of the node that is around it. */
static void hole_in_node(void **state)
{
	char path[200];
	int block;

	(void)state;
	machine("server");
	tree__file(&t, "proc/iomem",
		   "00001000-0009bfff : System RAM\n00100000-7728cfff : System RAM\n"
		   "100000000-10bfffffff : System RAM\n"
		   "10c0000000-12bfffffff : TwinOS window\n  10c0000000-12bfffffff : Reserved\n"
		   "12c0000000-207fffffff : System RAM\n");
	for (block = 34; block <= 36; block++) {
		snprintf(path, sizeof(path), "%s/devices/system/node/node1/memory%d", t.sys, block);
		assert_return_code(rmdir(path), 0);
	}
	request.memory = 8 * GIB;
	request.cpus = 2;
	made();
	assert_window(0x1080000000, 8 * GIB);
	/* Between two nodes it is nobody's. */
	for (block = 33; block <= 36; block++) {
		snprintf(path, sizeof(path), "%s/devices/system/node/node1/memory%d", t.sys, block);
		rmdir(path);
	}
	made();
	assert_window(37 * 2 * GIB, 8 * GIB);
}

/* ---- devices ---- */

static void functions(void **state)
{
	(void)state;
	machine("laptop");
	add_pci("pci0000:00", "0000:00:1f.6", 0x020000, -1, 64);
	add_pci("pci0000:00/0000:00:1d.0", "0000:03:00.0", 0x010802, -1, 64);
	add_pci("pci0000:00", "0000:00:02.0", 0x030000, -1, 64);
	add_pci("pci0000:00", "0000:00:04.0", 0x020000, -1, 64);
	add_interface("pci0000:00/0000:00:1f.6", "eth0", "0x1003");
	add_interface("pci0000:00/0000:00:04.0", "eth1", "0x1002");
	made();
	/* Neither a screen nor what is in use. */
	assert_int_equal(plan.functions.nr, 2);
	assert_string_equal(plan.functions.text[0], "0000:00:04.0  Ethernet card eth1");
	assert_string_equal(plan.functions.text[1], "0000:03:00.0  NVMe disk");
	give("00:1f.6", NULL);
	assert_refused(make(), "PCI function 0000:00:1f.6 (eth0) is in use: the interface is up; ip link set eth0 down first");
	give("00:05.0", NULL);
	assert_refused(make(), "PCI function 0000:00:05.0 does not exist");
	give("00:04.0,03:00.0", "3");
	made();
	assert_int_equal(plan.functions.nr, 0);
	file_has(2, "pci = 0000:00:04.0,0000:03:00.0\n");
	file_has(2, "irq = 3\n");
	file_has(2, "append = root=LABEL=web ro console=ttyS1 ");
	file_has(1, "\n# web\nKERNEL==\"0000:00:04.0\", ATTR{driver_override}=\"twinos\"\n"
		 "KERNEL==\"0000:00:04.0\", ENV{.TWINOS_EARLY}==\"1\", TEST==\"driver/unbind\", ATTR{driver/unbind}=\"0000:00:04.0\"\n"
		 "KERNEL==\"0000:03:00.0\", ATTR{driver_override}=\"twinos\"\n");
	add_conf("db", "pci = 0000:03:00.0\nirq = 3\n");
	assert_refused(make(), "PCI function 0000:03:00.0 is in ");
	assert_refused(make(), "etc/twinos/db.conf:4 already; choose another");
	give(NULL, "3");
	assert_refused(make(), "interrupt pin 3 is in ");
	give(NULL, "12");
	assert_refused(make(), "interrupt pin 12 is in use by the running OS (i8042)");
	give(NULL, NULL);
	made();
	assert_int_equal(plan.functions.nr, 1);
}

static void company(void **state)
{
	(void)state;
	machine("laptop");
	add_pci("pci0000:00/0000:00:1c.0", "0000:04:00.0", 0x020000, -1, 64);
	add_pci("pci0000:00/0000:00:1c.0", "0000:04:00.1", 0x020000, -1, 64);
	add_pci("pci0000:00/0000:00:1c.0", "0000:04:01.0", 0x010000, -1, 64);
	add_pci("pci0000:00/0000:00:1c.0", "0000:04:02.0", 0x060400, -1, 64);
	add_pci("pci0000:00", "0000:00:04.0", 0x020000, -1, 64);
	add_pci("pci0000:00", "0000:00:05.0", 0x020000, -1, 64);
	give("04:00.0", NULL);
	made();
	assert_true(warns("0000:04:00.0: 0000:04:00.1 of the same device stay"));
	give("04:00.0,04:00.1", NULL);
	made();
	assert_true(warns("0000:04:00.1: 0000:04:01.0 behind the same bridge 0000:00:1c.0 stay"));
	give("04:00.0,04:00.1,04:01.0", NULL);
	made();
	assert_int_equal(plan.warnings.nr, 1);		/* there is no kernel */
	/* A root bus is no bridge; a group counts wherever its members are. */
	give("00:04.0", NULL);
	made();
	assert_int_equal(plan.warnings.nr, 1);
	tree__link(&t, "sys/kernel/iommu_groups/7/devices/0000:00:05.0", "sys/devices/pci0000:00/0000:00:05.0");
	tree__link(&t, "sys/devices/pci0000:00/0000:00:04.0/iommu_group", "sys/kernel/iommu_groups/7");
	made();
	assert_true(warns("0000:00:04.0: 0000:00:05.0 of the same IOMMU group must be given, too"));
}

static void drivers(void **state)
{
	(void)state;
	machine("laptop");
	add_pci("pci0000:00", "0000:00:04.0", 0x020000, -1, 64);
	tree__folder(&t, "sys/bus/pci/drivers/e1000e");
	tree__link(&t, "sys/devices/pci0000:00/0000:00:04.0/driver", "sys/bus/pci/drivers/e1000e");
	give("00:04.0", NULL);
	made();
	assert_true(warns("its driver e1000e is built into the running kernel"));
	tree__file(&t, "sys/bus/pci/drivers/e1000e/module/initstate", "live\n");
	made();
	assert_false(warns("e1000e"));
	tree__folder(&t, "sys/devices/pci0000:00/0000:00:04.0/physfn");
	assert_refused(make(), "is a virtual function (SR-IOV)");
	give(NULL, NULL);
	made();
	assert_int_equal(plan.functions.nr, 0);
}

/* ---- kernel ---- */

static void kernels(void **state)
{
	uint8_t *file;
	size_t size;

	(void)state;
	machine("laptop");
	made();
	assert_true(warns("boot/vmlinuz-6.12.117; say in "));
	file = image__make(GZIP, &size);
	tree__bytes(&t, "boot/vmlinuz-6.12.117", file, size);
	tree__bytes(&t, "boot/vmlinuz-6.12.9-twinos", file, size);
	tree__bytes(&t, "boot/vmlinuz-6.12.117-twinos", file, size);
	tree__file(&t, "boot/initrd.img-6.12.117-twinos", "070701");
	made();
	assert_int_equal(plan.warnings.nr, 0);
	file_has(2, "boot/vmlinuz-6.12.117\n");
	assert_null(plan.conf.initrd);
	/* The running kernel is another one: the newest that is TwinOS's. */
	assert_return_code(unlink(strcat(strcpy((char[200]){ 0 }, t.sys), "/kernel/twinos/role")), 0);
	made();
	file_has(2, "boot/vmlinuz-6.12.117-twinos\n");
	file_has(2, "boot/initrd.img-6.12.117-twinos\n");
	assert_true(warns("the running kernel has no TwinOS support; boot one that has"));
	/* What it needs at least. */
	request.memory = 64 * MIB;
	tree__file(&t, "boot/initrd.img-6.12.117-twinos", "%*s", 63 << 20, "x");
	assert_refused(make(), "the initrd of 64512 KiB does not fit");
	memset(file + 0x1fe, 0, 2);
	tree__bytes(&t, "boot/vmlinuz-6.12.117-twinos", file, size);
	made();
	assert_true(warns("not a bzImage"));
	free(file);
	tree__file(&t, "sys/kernel/twinos/role", "coexisting\n");
	assert_refused(make(), "this is a coexisting OS; only the leading OS");
}

/* ---- files ---- */

static void names(void **state)
{
	(void)state;
	machine("laptop");
	request.name = "Web";
	assert_refused(make(), "Web cannot be the name of an OS");
	request.name = "../web";
	assert_refused(make(), "cannot be the name");
	request.name = "web";
	add_conf("web", "memory = 8G@0x100000000\ncpus = 1-7\n");
	assert_refused(make(), "etc/twinos/web.conf is there already; choose another name, or replace it with --force");
	/* What it had itself is free for it. */
	request.force = true;
	request.cpus = 6;
	made();
	assert_window(4 * GIB, GIB);
	assert_cpus("1-3,5-7");
	tree__os(&t, 2, "running", "dedicated", "name web\nwindow 0x140000000-0x17fffffff\n");
	assert_refused(make(), "coexisting OS 2 (web) is running, and what it has cannot be planned anew meanwhile");
	tree__file(&t, "sys/kernel/twinos/os2/state", "loaded\n");
	made();
	/* What the others claim must be known. */
	add_conf("db", "memory = 1G@\n");
	assert_refused(make(), "etc/twinos/db.conf:4: memory=1G@ is not");
}

static void boot_files_of_all(void **state)
{
	(void)state;
	machine("laptop");
	add_conf("db", "memory = 2G@0x100000000\nlow = 64K@0x80000\ncpus = 1,5\n");
	add_conf("zoo", "memory = 512M@0x180000000\ncpus = 2\n");
	add_conf("any", "cpus = 6\n");
	request.cpus = 2;
	made();
	assert_null(strstr(plan.files[0].text, "any."));
	assert_int_equal(plan.nr_files, 3);
	/* In the order of their names. */
	file_has(0, "\n# Memory withheld for db.\n"
		 "GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX twinos=2G@0x100000000,low=64K@0x80000\"\n"
		 "\n# Memory withheld for web.\n"
		 "GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX twinos=1G@0x200000000,low=64K@0x70000\"\n"
		 "\n# Memory withheld for zoo.\n"
		 "GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX twinos=512M@0x180000000\"\n");
	assert_null(strstr(plan.files[0].text, "iommu"));
	assert_null(strstr(plan.files[0].text, "watchdog=0"));
	assert_string_equal(plan.boot_line,
			    "twinos=2G@0x100000000,low=64K@0x80000 twinos=1G@0x200000000,low=64K@0x70000 twinos=512M@0x180000000");
	tree__file(&t, "sys/firmware/acpi/tables/DMAR", "DMAR");
	request.cpus = 0;
	made();
	assert_null(strstr(plan.files[0].text, "iommu"));
	file_has(0, " nmi_watchdog=0\"\n");
	assert_non_null(strstr(plan.boot_line, " nmi_watchdog=0"));
	assert_null(strstr(plan.boot_line, "iommu"));
	/* The same again from the configurations alone. */
	assert_int_equal(write_files(plan.files, plan.nr_files), 0);
	{
		struct plan update;

		assert_int_equal(make_update(&t.roots, &update), 0);
		assert_int_equal(update.nr_files, 2);
		assert_string_equal(update.files[0].text, plan.files[0].text);
		assert_string_equal(update.files[1].text, plan.files[1].text);
		free_plan(&update);
	}
}

/* What is written is what was planned, and read_conf() takes it. */
static void read_again(void **state)
{
	struct conf conf;

	(void)state;
	machine("laptop");
	add_pci("pci0000:00", "0000:00:04.0", 0x020000, -1, 64);
	give("00:04.0", "3,4");
	request.cpus = 4;
	made();
	assert_int_equal(write_files(plan.files, plan.nr_files), 0);
	assert_int_equal(read_conf(&t.roots, "web", &conf, NULL, NULL), 0);
	assert_memory_equal(conf.share.cpus, plan.conf.share.cpus, 4 * sizeof(uint32_t));
	assert_int_equal(conf.share.nr_cpus, 4);
	assert_int_equal(conf_window(&conf).start, conf_window(&plan.conf).start);
	assert_int_equal(conf_window(&conf).size, GIB);
	assert_int_equal(conf.share.low.start, 0x80000);
	assert_int_equal(conf.share.nr_pci, 1);
	assert_int_equal(conf.share.nr_irqs, 2);
	assert_string_equal(conf.append, "root=LABEL=web ro console=ttyS1 console=ttyS0 swiotlb=noforce noresume dis_ucode_ldr modprobe.blacklist=pcspkr,intel_uncore mitigations=auto,nosmt");
	free_conf(&conf);
}

/* Its root file system from the network, and no function. */
static void network_root(void **state)
{
	struct conf conf;

	(void)state;
	machine("laptop");
	add_pci("pci0000:00", "0000:00:04.0", 0x020000, -1, 64);
	request.cpus = 2;
	made();
	assert_int_equal(plan.functions.nr, 1);
	file_has(2, "\npci =\n");
	file_has(2, "\nappend = root=LABEL=web ro ");
	request.root = "nfs:/srv/web";
	made();
	/* It needs none, so that none is offered. */
	assert_int_equal(plan.functions.nr, 0);
	file_has(2, "\nroot = nfs:/srv/web\n");
	file_has(2, "\npci =\n");
	file_has(2, "\nappend = swiotlb=noforce noresume ");
	assert_null(strstr(plan.files[2].text, "root=LABEL"));
	assert_int_equal(write_files(plan.files, plan.nr_files), 0);
	assert_int_equal(read_conf(&t.roots, "web", &conf, NULL, NULL), 0);
	assert_string_equal(conf.root, "nfs:/srv/web");
	assert_int_equal(conf.share.nr_pci, 0);
	free_conf(&conf);
	request.force = true;
	request.root = "web";
	assert_refused(make(), "root=web is none of nfs:PATH");
}

static bool is_there(const char *path)
{
	char full[300];

	snprintf(full, sizeof(full), "%s/%s", t.root, path);
	return !access(full, F_OK);
}

static void assert_content(const char *path, const char *content)
{
	char full[300], *text;

	snprintf(full, sizeof(full), "%s/%s", t.root, path);
	assert_int_equal(read_file(full, &text, NULL), 0);
	assert_string_equal(text, content);
	free(text);
}

static unsigned int entries(const char *path)
{
	char command[400], number[16];
	FILE *pipe;

	snprintf(command, sizeof(command), "ls -A %s/%s | wc -l", t.root, path);
	pipe = popen(command, "r");
	assert_non_null(fgets(number, sizeof(number), pipe));
	pclose(pipe);
	return strtoul(number, NULL, 10);
}

static void writes(const char *const *paths, unsigned int nr, bool good)
{
	struct new_file files[4] = { { 0 } };
	unsigned int i;
	int err;

	for (i = 0; i < nr; i++) {
		assert_true(asprintf(&files[i].path, "%s/%s", t.root, paths[i]) > 0);
		files[i].text = "new\n";
	}
	err = write_files(files, nr);
	for (i = 0; i < nr; i++)
		free(files[i].path);
	if (good)
		assert_int_equal(err, 0);
	else
		assert_refused(err, "; nothing was changed");
}

/* All of them, or none. A folder in the place of a file is what fails late. */
static void all_or_none(void **state)
{
	static const char *const good[] = { "a/one", "a/two", "a/b/c/three" };
	static const char *const bad[] = { "a/one", "x/y/new", "a/two", "a/folder" };
	const struct timespec old[2] = { { 1000, 0 }, { 1000, 0 } };
	struct stat st;
	char path[200];

	(void)state;
	writes(good, 3, true);
	assert_content("a/one", "new\n");
	assert_content("a/b/c/three", "new\n");
	snprintf(path, sizeof(path), "%s/a/one", t.root);
	assert_return_code(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	assert_int_equal(entries("a"), 3);

	tree__file(&t, "a/one", "old 1\n");
	tree__file(&t, "a/two", "old 2\n");
	tree__folder(&t, "a/folder");
	writes(bad, 4, false);
	assert_content("a/one", "old 1\n");
	assert_content("a/two", "old 2\n");
	assert_false(is_there("x"));
	assert_int_equal(entries("a"), 4);
	assert_int_equal(entries("a/folder"), 0);
	/* One that fails when another has been replaced already: it is in its own way. */
	tree__file(&t, "a/three", "old 3\n");
	writes((const char *const[]){ "a/new", "a/three", "a/x", "a/x/y" }, 4, false);
	assert_content("a/three", "old 3\n");
	assert_false(is_there("a/new"));
	assert_false(is_there("a/x"));
	assert_int_equal(entries("a"), 5);
	unlink(strcat(strcpy((char[200]){ 0 }, t.root), "/a/three"));
	/* A file in the place of a folder. */
	writes((const char *const[]){ "a/one", "a/two/three" }, 2, false);
	assert_content("a/one", "old 1\n");
	writes(good, 3, true);
	assert_content("a/one", "new\n");
	assert_int_equal(entries("a"), 4);
	/* What says so already keeps its time. */
	assert_return_code(utimensat(AT_FDCWD, path, old, 0), 0);
	tree__file(&t, "a/two", "old\n");
	writes(good, 3, true);
	assert_return_code(stat(path, &st), 0);
	assert_int_equal(st.st_mtime, 1000);
	assert_content("a/two", "new\n");
}

/* As on a full disk: what is too much for it fails in the middle. */
static void no_room(void **state)
{
	static const char *const paths[] = { "a/one", "b/two" };
	struct rlimit limit, before;

	(void)state;
	tree__file(&t, "a/one", "old 1\n");
	signal(SIGXFSZ, SIG_IGN);
	assert_return_code(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = (struct rlimit){ 2, before.rlim_max };
	assert_return_code(setrlimit(RLIMIT_FSIZE, &limit), 0);
	writes(paths, 2, false);
	assert_return_code(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_content("a/one", "old 1\n");
	assert_int_equal(entries("a"), 1);
	assert_false(is_there("b"));
}

/* ---- sets of ranges ---- */

static void range_sets(void **state)
{
	struct ranges set = { 0 }, other = { 0 };
	uint64_t at;

	(void)state;
	assert_int_equal(add_range(&set, 0x3000, 0x5000), 0);
	assert_int_equal(add_range(&set, 0x1000, 0x2000), 0);
	assert_int_equal(add_range(&set, 0x2000, 0x4000), 0);
	assert_int_equal(set.nr, 1);
	assert_int_equal(set.range[0].start, 0x1000);
	assert_int_equal(set.range[0].size, 0x4000);
	assert_int_equal(subtract_range(&set, 0x2000, 0x3000), 0);
	assert_int_equal(set.nr, 2);
	assert_int_equal(set.range[1].start, 0x3000);
	assert_int_equal(subtract_range(&set, 0x2800, 0x2900), 0);
	assert_int_equal(subtract_range(&set, 0x4000, 0x4000), 0);
	assert_int_equal(ranges_size(&set, 0, UINT64_MAX), 0x3000);
	assert_int_equal(ranges_size(&set, 0x1800, 0x3800), 0x1000);
	assert_true(fit_range(&set, 0x1000, 0x1000, 0, UINT64_MAX, &at));
	assert_int_equal(at, 0x1000);
	assert_true(fit_range(&set, 0x1000, 0x4000, 0, UINT64_MAX, &at));
	assert_int_equal(at, 0x4000);
	assert_false(fit_range(&set, 0x1001, 0x4000, 0, UINT64_MAX, &at));
	assert_false(fit_range(&set, 0x1000, 0x1000, 0, 0x1fff, &at));
	assert_int_equal(largest_fit(&set, 0x1000, 0, UINT64_MAX), 0x2000);
	assert_int_equal(largest_fit(&set, 0x1000, 0, 0x4000), 0x1000);
	assert_int_equal(add_range(&other, 0x1800, 0x3800), 0);
	assert_int_equal(intersect_ranges(&set, &other), 0);
	assert_int_equal(set.nr, 2);
	assert_int_equal(range_end(&set.range[1]), 0x3800);
	/* Up to the very end of the address space. */
	assert_int_equal(add_range(&set, UINT64_MAX - 0xfff, UINT64_MAX), 0);
	assert_false(fit_range(&set, 0x1000, 0x1000, 0x4000, UINT64_MAX, &at));
	free_ranges(&set);
	free_ranges(&other);
}

static void boot_options(void **state)
{
	struct boot_option options[4];

	(void)state;
	assert_int_equal(parse_boot_options("quiet twinos=2G@4G,low=32K@0x80000 notwinos=1G@1G twinos=off "
					    "twinos=1M@5M,high=3 twinos=512M@0x20000000\n", options, 4), 2);
	assert_int_equal(options[0].window.start, 4 * GIB);
	assert_int_equal(options[0].window.size, 2 * GIB);
	assert_int_equal(options[0].low.start, 0x80000);
	assert_int_equal(options[0].low.size, 0x8000);
	assert_int_equal(options[1].window.start, 0x20000000);
	assert_int_equal(options[1].low.size, 0);
	assert_int_equal(parse_boot_options("twinos=1M@5M twinos=1M@6M", options, 1), 1);
	assert_int_equal(parse_boot_options("twinos=", options, 4), 0);
	assert_int_equal(parse_boot_options("", options, 4), 0);
	assert_true(same_content("# a\nx\n\n y\n", "x\n# b\n y"));
	assert_false(same_content("x\n", "x\ny\n"));
	assert_false(same_content("x\ny\n", "x\n"));
	assert_false(same_content("x\n", "X\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(small_machine), TEST(half_is_kept), TEST(leading_minimum), TEST(sizes),
		TEST(large_machine), TEST(across), TEST(reach), TEST(half_of_what_is_below),
		TEST(too_many), TEST(kernel_moves),
		TEST(reserved_memory), TEST(kept_away), TEST(taken_by_hand), TEST(withheld), TEST(cores),
		TEST(two_kinds), TEST(no_cores), TEST(highest_low_slice),
		TEST(no_low_slice), TEST(nodes), TEST(other_node),
		TEST(hole_in_node), TEST(functions), TEST(company), TEST(drivers), TEST(kernels),
		TEST(names), TEST(boot_files_of_all), TEST(read_again), TEST(network_root),
		TEST(all_or_none),
		TEST(no_room), TEST(range_sets), TEST(boot_options),
	};

	return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
