// SPDX-License-Identifier: GPL-2.0
/* A whole load up to the system call, on recorded machines. */
#include <stdlib.h>
#include <string.h>
#include "image.h"
#include "parameters.h"

extern const uint8_t twinos_purgatory[], twinos_purgatory_end[];

static struct tree t;
static char kernel[128], initrd[128];
static struct request request;
static struct loaded loaded;

static int setup(void **state)
{
	uint8_t *file, data[10000];
	size_t size;

	(void)state;
	tree__create(&t);
	tree__machine(&t, "q35-twinos");
	file = image__make(GZIP, &size);
	tree__bytes(&t, "bzImage", file, size);
	free(file);
	memset(data, 'i', sizeof(data));
	tree__bytes(&t, "initrd", data, sizeof(data));
	snprintf(kernel, sizeof(kernel), "%s/bzImage", t.root);
	snprintf(initrd, sizeof(initrd), "%s/initrd", t.root);
	request = (struct request){
		.kernel = kernel, .initrd = initrd, .command_line = "console=ttyS1",
		.id = 1, .share = { .has_mem_min = true, .mem_min = 0x100000 },
	};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tree__remove(&t);
	return 0;
}

static int prepare(void)
{
	return prepare_load(&t.roots, &request, twinos_purgatory,
			    twinos_purgatory_end - twinos_purgatory, &loaded);
}

static void check_segments(void)
{
	const uint64_t start = loaded.placement.window.start;
	const uint64_t end = range_end(&loaded.placement.window);
	unsigned int i, j;

	assert_in_range(loaded.nr_segments, 5, 16);
	for (i = 0; i < loaded.nr_segments; i++) {
		const struct segment *s = &loaded.segment[i];

		assert_int_equal((s->mem | s->memsz) & 4095, 0);
		assert_true(s->bufsz && s->bufsz <= s->memsz);
		assert_true(s->mem >= start + (i ? TWINOS_SHARED_SIZE : 0));
		assert_true(s->mem + s->memsz <= end);
		for (j = 0; j < i; j++)
			assert_true(s->mem >= loaded.segment[j].mem + loaded.segment[j].memsz ||
				    loaded.segment[j].mem >= s->mem + s->memsz);
	}
	/* The share is the first segment, at the window's first byte. */
	assert_int_equal(loaded.segment[0].mem, start);
	assert_int_equal(((const struct setup_data *)loaded.segment[0].buf)->type, SETUP_TWINOS);
}

/* What the CPU will find: parameters, and gates that lead to the stubs. */
static void check_purgatory(void)
{
	const struct segment *s = &loaded.segment[1];
	const struct purgatory_parameters *p = s->buf;
	unsigned int i;

	assert_int_equal(s->mem, loaded.placement.purgatory.start);
	assert_int_equal(p->kernel_entry, loaded.placement.entry);
	assert_int_equal(p->boot_params, loaded.placement.boot_params.start);
	assert_int_equal(p->entry_32bit, loaded.placement.entry_32bit);
	for (i = 0; i < PURGATORY_VECTORS; i++) {
		struct purgatory_gate gate;
		uint64_t offset;
		const uint8_t *stub;

		memcpy(&gate, (const uint8_t *)s->buf + p->idt + i * sizeof(gate), sizeof(gate));
		offset = gate.offset_0 | (uint64_t)gate.offset_16 << 16 |
			 (uint64_t)gate.offset_32 << 32;
		assert_int_equal(gate.selector, 0x10);
		assert_int_equal(gate.type, 0x8e);
		assert_in_range(offset, s->mem + PURGATORY_ENTRY, s->mem + s->bufsz);
		stub = (const uint8_t *)s->buf + (offset - s->mem);
		/* push $0 where the CPU pushes no error code; push $vector; jmp */
		if (i == 8 || (i >= 10 && i <= 14) || i == 17 || i == 21 || i == 29 || i == 30) {
			assert_int_equal(stub[0], 0x6a);
			assert_int_equal(stub[1], i);
			assert_int_equal(stub[2], 0xe9);
		} else {
			assert_int_equal(stub[0], 0x6a);
			assert_int_equal(stub[1], 0);
			assert_int_equal(stub[2], 0x6a);
			assert_int_equal(stub[3], i);
			assert_int_equal(stub[4], 0xe9);
		}
	}
}

static void give_pin(uint32_t pin)
{
	request.share.has_irq = true;
	request.share.nr_irqs = 1;
	request.share.irqs[0] = pin;
}

static void direct(void **state)
{
	const struct boot_params *params;

	(void)state;
	give_pin(3);
	if (prepare())
		fail_msg("%s", refusal());
	check_segments();
	check_purgatory();
	assert_int_equal(loaded.placement.low.start, 0x80000);
	assert_true(loaded.placement.direct);
	params = loaded.segment[2].buf;
	assert_int_equal(params->hdr.setup_data, 0x100000);
	assert_int_equal(params->hdr.ramdisk_size, 10000);
	assert_string_equal(loaded.segment[3].buf, "console=ttyS1");
	assert_int_equal(loaded.share.share.flags, TWINOS_SHARE_DIRECT);
	release(&loaded);
}

static void defaults_of_the_machine(void **state)
{
	(void)state;
	request.share.has_mem_min = false;
	request.initrd = NULL;
	tree__file(&t, "twinos.conf", "[share]\nirq = 3\n");
	if (prepare())
		fail_msg("%s", refusal());
	check_segments();
	assert_int_equal(loaded.placement.window.size, 255 << 20);
	assert_int_equal(loaded.share.share.nr_irqs, 1);
	assert_int_equal(loaded.share.share.initrd_size, 0);
	release(&loaded);
}

static void through_the_decompressor(void **state)
{
	(void)state;
	tree__machine(&t, "q35-6g-above");
	request.share.mem_min = 0x40000000;
	request.entry = TWINOS_ENTRY_BZIMAGE;
	if (prepare())
		fail_msg("%s", refusal());
	check_segments();
	check_purgatory();
	assert_int_equal(loaded.placement.entry, 0x40200200);
	assert_int_equal(loaded.share.share.flags, 0);
	release(&loaded);
	request.entry = TWINOS_ENTRY_DEFAULT;
	request.entry_32bit = true;
	if (prepare())
		fail_msg("%s", refusal());
	check_segments();
	check_purgatory();
	assert_int_equal(loaded.placement.entry, 0x40200000);
	assert_int_equal(loaded.share.share.flags, TWINOS_SHARE_ENTRY32);
	release(&loaded);
}

static void expect(const char *text)
{
	int err = prepare();

	release(&loaded);
	assert_refused(err, text);
}

static void refusals(void **state)
{
	static char long_line[3000];
	char nothing[128];

	(void)state;
	snprintf(nothing, sizeof(nothing), "%s/nothing", t.root);
	request.kernel = nothing;
	expect("cannot be opened");
	request.kernel = t.root;
	expect("not a regular file");
	request.kernel = initrd;
	expect("not a bzImage");
	tree__bytes(&t, "nothing", "", 0);
	request.kernel = nothing;
	expect("empty");
	request.kernel = kernel;
	request.initrd = nothing;
	expect("initrd");
	request.initrd = t.root;
	expect("not a regular file");
	request.initrd = initrd;
	memset(long_line, 'x', sizeof(long_line) - 1);
	request.command_line = long_line;
	expect("at most 2047");
	request.command_line = "";
	request.entry = TWINOS_ENTRY_BZIMAGE;
	expect("--twinos-entry=direct");
	request.entry = TWINOS_ENTRY_DIRECT;
	give_pin(4);
	expect("pin 4 is in use");
	request.share.nr_irqs = 0;
	request.share.has_pci = true;
	request.share.nr_pci = 1;
	expect("0000:00:00.0 does not exist");
	request.share.nr_pci = 0;
	assert_int_equal(prepare(), 0);
	release(&loaded);
}

static void dedicated(void **state)
{
	(void)state;
	tree__file(&t, "sys/devices/system/cpu/present", "0-3\n");
	tree__file(&t, "sys/devices/system/cpu/online", "0-3\n");
	/* CPU 0 is shared, however many there are. */
	assert_int_equal(prepare(), 0);
	assert_int_equal(loaded.share.share.nr_cpus, 0);
	release(&loaded);
	request.share.has_cpus = true;
	request.share.nr_cpus = 2;
	request.share.cpus[0] = 3;
	request.share.cpus[1] = 1;
	assert_int_equal(prepare(), 0);
	assert_int_equal(loaded.share.share.nr_cpus, 2);
	assert_int_equal(loaded.share.share.cpus[0], 3);
	assert_int_equal(loaded.share.share.cpus[1], 1);
	assert_int_equal(loaded.share.share.low_start, 0x80000);
	release(&loaded);
	request.share.cpus[0] = 4;
	expect("CPU 4 does not exist (there are 0-3)");
	/* The defaults of twinos.conf are checked like options. */
	request.share = (struct share_options){ .has_mem_min = true, .mem_min = 0x100000 };
	tree__file(&t, "twinos.conf", "[share]\ncpus = 0\n");
	expect("CPU 0 stays with the running OS");
}

/* Whose place a load takes; its number is the kernel's to choose if it takes nobody's. */
static void numbers(void **state)
{
	static const char first[] = "window 0x100000-0x7ffffff\nlow 0x80000-0x8ffff\nirq 3\n";

	(void)state;
	request.id = 0;
	assert_int_equal(prepare(), 0);
	assert_int_equal(loaded.share.share.id, 0);
	release(&loaded);
	/* Loaded for the same window, not launched: replaced. */
	tree__os(&t, 1, "loaded", "time-shared", first);
	assert_int_equal(prepare(), 0);
	assert_int_equal(loaded.share.share.id, 1);
	assert_int_equal(loaded.share.share.window_size, 255 << 20);
	release(&loaded);
	/* Another window: another OS, and no further than where it may. */
	tree__os(&t, 3, "running", "dedicated", "window 0xc000000-0xfffffff\ncpu 1\n");
	request.share.mem_min = 0x8000000;
	assert_int_equal(prepare(), 0);
	assert_int_equal(loaded.share.share.id, 0);
	assert_int_equal(loaded.share.share.window_size, 0x4000000);
	assert_int_equal(loaded.share.share.low_size, 0);
	release(&loaded);
	request.share.mem_min = 0x4000000;
	expect("the window 0x4000000-0xbffffff overlaps the window 0x100000-0x7ffffff of coexisting OS 1 (loaded); choose another range, or unload it (twinos unload 1) first");
	request.share.mem_min = 0x100000;
	request.id = 2;
	expect("overlaps the window 0x100000-0x7ffffff of coexisting OS 1 (loaded)");
	request.id = 3;
	expect("coexisting OS 3 is running; stop it (twinos stop 3) before loading another in its place");
	tree__os(&t, 1, "running", "time-shared", first);
	request.id = 0;
	expect("overlaps the window 0x100000-0x7ffffff of coexisting OS 1 (running); choose another range, or stop it (twinos stop 1) first");
	request.share.mem_min = 0x8000000;
	give_pin(3);
	expect("interrupt pin 3 belongs to coexisting OS 1 (running)");
	tree__os(&t, 1, "stopped", "time-shared", first);
	assert_int_equal(prepare(), 0);
	assert_int_equal(loaded.share.share.id, 0);
	release(&loaded);
}

static void expect_line(const char *line, const char *given, const char *left_out)
{
	request.command_line = line;
	if (prepare())
		fail_msg("%s", refusal());
	assert_string_equal(loaded.segment[3].buf, given);
	assert_int_equal(loaded.segment[3].bufsz, strlen(given) + 1);
	assert_string_equal(loaded.left_out, left_out);
	release(&loaded);
}

/* A root file system from the network, and what of the user's own words replaces. */
static void network_root(void **state)
{
	(void)state;
	request.name = "web";
	request.root = "nfs:/srv/web";
	expect_line("quiet", "root=/dev/nfs nfsroot=10.87.1.1:/srv/web rw ip=10.87.1.2::10.87.1.1:255.255.255.0:web::off console=hvc0 quiet", "");
	expect_line("", "root=/dev/nfs nfsroot=10.87.1.1:/srv/web rw ip=10.87.1.2::10.87.1.1:255.255.255.0:web::off console=hvc0", "");
	expect_line("ip=dhcp console=tty0 ro", "root=/dev/nfs nfsroot=10.87.1.1:/srv/web rw ip=dhcp console=tty0 ro", "");
	request.id = 7;
	request.name = "";
	request.root = "nbd:web";
	expect_line("console=hvc0", "root=/dev/nbd0 nbdroot=10.87.7.1,web,nbd0 ip=10.87.7.2::10.87.7.1:255.255.255.0:coexisting::off console=hvc0", "");
	/* With a card of its own, the interface is said. (It is refused after that.) */
	request.share.has_pci = true;
	request.share.nr_pci = 1;
	request.share.pci[0].devfn = 31 << 3;
	tree__file(&t, "sys/bus/pci/devices/0000:00:1f.0/class", "0x020000\n");
	request.command_line = "";
	{
		char *line, *left_out;

		assert_int_equal(make_line(&t.roots, &request, &request.share, 7, &line, &left_out), 0);
		assert_non_null(strstr(line, ":coexisting:twinos0:off console=hvc0"));
		free(line);
		free(left_out);
	}
	tree__file(&t, "etc/default/twinos", "NET4=1000.1\n");
	request.share.nr_pci = 0;
	assert_refused(prepare(), "NET4=1000.1 is not the first half of an IPv4 address");
	release(&loaded);
}

/* What is not in the share is not in the command line that the kernel gets. */
static void command_line(void **state)
{
	static char line[2600], word[1100];

	(void)state;
	/* Without a port it has the terminal that every OS has. */
	expect_line("earlyprintk=serial,ttyS0 quiet", "console=hvc0 quiet", "earlyprintk=serial,ttyS0");
	expect_line("console=ttyS0 x", "console=hvc0 x", "console=ttyS0");
	expect_line("", "console=hvc0", "");
	expect_line("console=tty0 x", "console=tty0 x", "");
	expect_line("x -- console=tty0", "console=hvc0 x -- console=tty0", "");
	give_pin(11);
	expect_line("x", "console=hvc0 x", "");
	give_pin(3);
	expect_line("x", "x", "");
	give_pin(3);
	expect_line("earlyprintk=ttyS1 mem=1G console=ttyS0 console=ttyS1",
		    "earlyprintk=ttyS1 console=ttyS1", "mem=1G console=ttyS0");
	/*
	 * A serial port on a PCI card may be any ttyS. (The function that this
	 * machine has not is refused after that.)
	 */
	request.command_line = "console=ttyS0";
	request.share.has_pci = true;
	request.share.nr_pci = 1;
	request.share.pci[0].devfn = 31 << 3;
	tree__file(&t, "sys/bus/pci/devices/0000:00:1f.0/class", "0x020000\n");
	assert_true(prepare() < 0);
	assert_string_equal(loaded.left_out, "console=ttyS0");
	release(&loaded);
	tree__file(&t, "sys/bus/pci/devices/0000:00:1f.0/class", "0x070002\n");
	assert_true(prepare() < 0);
	assert_string_equal(loaded.left_out, "");
	release(&loaded);
	request.share.nr_pci = 0;
	/* What counts is how long it is for the kernel. */
	snprintf(word, sizeof(word), "mem=%0996d", 1);
	snprintf(line, sizeof(line), "%s %01500d", word, 1);
	expect_line(line, line + 1001, word);
}

/* Firmware and running kernel with a window of 128 GiB around 512 GiB. */
static void make_large_machine(void)
{
	tree__machine(&t, "q35-6g-above");
	tree__file(&t, "sys/firmware/memmap/99/start", "0x200000000\n");
	tree__file(&t, "sys/firmware/memmap/99/end", "0x9fffffffff\n");
	tree__file(&t, "sys/firmware/memmap/99/type", "System RAM\n");
	tree__file(&t, "proc/iomem",
		   "00001000-0009fbff : System RAM\n00100000-7ffd9fff : System RAM\n"
		   "100000000-6fffffffff : System RAM\n7000000000-8fffffffff : TwinOS window\n"
		   "  7000000000-8fffffffff : Reserved\n");
	tree__file(&t, "sys/kernel/twinos/windows", "0x7000000000-0x8fffffffff\n");
}

static void set_window(uint64_t start, uint64_t last)
{
	request.share.has_mem_min = request.share.has_mem_max = true;
	request.share.mem_min = start;
	request.share.mem_max = last;
}

/* A window may lie anywhere, across a multiple of 512 GiB, too. */
static void span(void **state)
{
	(void)state;
	make_large_machine();
	set_window(0x7000000000, 0x8fffffffff);
	assert_int_equal(prepare(), 0);
	release(&loaded);
	set_window(0x7fffe00000, 0x801fffffff);
	assert_int_equal(prepare(), 0);
	release(&loaded);
	tree__file(&t, "proc/cpuinfo", "vendor_id\t: unknown\n");
	expect("cpuinfo does not tell");
}

static void set_xloadflags(uint16_t flags)
{
	size_t size;
	uint8_t *file = image__make(GZIP, &size);

	((struct setup_header *)(file + 0x1f1))->xloadflags |= flags;
	tree__bytes(&t, "bzImage", file, size);
	free(file);
}

/* A running kernel with 5-level paging, and one to be loaded that knows it or not. */
static void five_levels(void **state)
{
	(void)state;
	tree__machine(&t, "q35-6g-above");
	request.share.mem_min = 0x40000000;
	tree__file(&t, "proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu la57 pdpe1gb\n");
	expect("bzImage cannot run with 5-level paging, which the running kernel uses; build it with CONFIG_X86_5LEVEL=y, or boot the running kernel with no5lvl");
	request.entry = TWINOS_ENTRY_BZIMAGE;
	expect("cannot run with 5-level paging");
	/* Its decompressor knows that there is such a thing, but the kernel does not. */
	set_xloadflags(XLF_5LEVEL);
	expect("cannot run with 5-level paging");
	set_xloadflags(XLF_5LEVEL | XLF_5LEVEL_ENABLED);
	assert_int_equal(prepare(), 0);
	release(&loaded);
	request.command_line = "quiet no5lvl";
	expect("no5lvl would end 5-level paging");
	request.entry_32bit = true;
	expect("--entry-32bit does not go with 5-level paging");
	/* The kernel itself goes by what it finds. */
	request.entry_32bit = false;
	request.entry = TWINOS_ENTRY_DIRECT;
	assert_int_equal(prepare(), 0);
	release(&loaded);
}

/* The other way round, for a CPU that is not the one of this test. */
static void no5lvl(void **state)
{
	const struct paging without = {}, off = { .cpu_five_levels = true };
	struct bzimage image = { .header.xloadflags = XLF_5LEVEL };
	struct placement p = { .direct = true };

	(void)state;
	assert_int_equal(check_paging("bzImage", &image, &p, "", &off), 0);
	p.direct = false;
	assert_int_equal(check_paging("bzImage", &image, &p, "", &off), 0);
	image.header.xloadflags |= XLF_5LEVEL_ENABLED;
	assert_int_equal(check_paging("bzImage", &image, &p, "", &without), 0);
	assert_int_equal(check_paging("bzImage", &image, &p, "a no5lvl b", &off), 0);
	assert_refused(check_paging("bzImage", &image, &p, "xno5lvl no5lvly", &off),
		       "would begin 5-level paging, which the running kernel does not use; add no5lvl to --append, or use --twinos-entry=direct");
	p.entry_32bit = true;
	assert_refused(check_paging("bzImage", &image, &p, "", &off), "would begin 5-level");
	p.direct = true;
	p.entry_32bit = false;
	assert_int_equal(check_paging("bzImage", &image, &p, "", &off), 0);
}

static void set_available(unsigned long kib)
{
	tree__file(&t, "proc/meminfo", "MemTotal: 9999999 kB\nMemFree: 1 kB\nMemAvailable: %8lu kB\nBuffers: 5 kB\n",
		   kib);
}

/* A load takes no memory that is not there. */
static void little_memory(void **state)
{
	const uint64_t need = sizeof(struct elf_image);

	(void)state;
	set_available(need / 1024 - 1);
	expect("bzImage: to load it needs 1 MiB of memory, and 0 MiB are available; free some first");
	set_available(need / 1024 + 1);
	assert_int_equal(prepare(), 0);
	release(&loaded);
	tree__file(&t, "proc/meminfo", "MemTotal: 1 kB\n");
	expect("does not tell how much memory is available");
}

static void leading(void **state)
{
	(void)state;
	assert_true(twinos_leading(&t.roots));
	tree__file(&t, "sys/kernel/twinos/abi", "99\n");
	assert_refused(check_leading(&t.roots), "version 99");
	tree__file(&t, "sys/kernel/twinos/role", "coexisting\n");
	assert_false(twinos_leading(&t.roots));
	assert_refused(check_leading(&t.roots), "only the leading OS");
	tree__remove(&t);
	tree__create(&t);
	assert_refused(check_leading(&t.roots), "no TwinOS support");
}

static void wrong_purgatory(void **state)
{
	uint8_t copy[16384];
	const size_t size = twinos_purgatory_end - twinos_purgatory;

	(void)state;
	assert_true(size <= sizeof(copy));
	assert_refused(prepare_load(&t.roots, &request, copy, 10, &loaded), "without its purgatory");
	release(&loaded);
	memcpy(copy, twinos_purgatory, size);
	copy[0]++;
	assert_refused(prepare_load(&t.roots, &request, copy, size, &loaded), "wrong purgatory");
	release(&loaded);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(direct), TEST(defaults_of_the_machine), TEST(through_the_decompressor),
		TEST(refusals), TEST(dedicated),
		TEST(numbers), TEST(command_line), TEST(network_root), TEST(span), TEST(five_levels), TEST(no5lvl),
		TEST(little_memory), TEST(leading), TEST(wrong_purgatory),
	};

	return cmocka_run_group_tests_name("load", tests, NULL, NULL);
}
