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

static void direct(void **state)
{
	const struct boot_params *params;

	(void)state;
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
	request.share.has_irq = true;
	request.share.nr_irqs = 1;
	request.share.irqs[0] = 4;
	expect("pin 4 is in use");
	request.share.nr_irqs = 0;
	request.share.has_pci = true;
	request.share.nr_pci = 1;
	expect("0000:00:00.0 does not exist");
	request.share.nr_pci = 0;
	assert_int_equal(prepare(), 0);
	release(&loaded);
}

/* A kernel of the time before dedicated mode. */
static void no_dedicated_mode(void **state)
{
	(void)state;
	tree__file(&t, "sys/devices/system/cpu/online", "0\n");
	assert_int_equal(prepare(), 0);
	release(&loaded);
	tree__file(&t, "sys/devices/system/cpu/online", "0-1\n");
	expect("CPUs 0-1 are online, and time-shared mode works with one; take the others offline or boot with maxcpus=1 (the running kernel has no dedicated mode, --twinos-cpus)");
	tree__file(&t, "sys/devices/system/cpu/online", "0,2\n");
	expect("--twinos-cpus");
	tree__file(&t, "sys/devices/system/cpu/online", "rubbish\n");
	expect("does not tell which CPUs there are: rubbish");
	request.share.has_cpus = true;
	request.share.nr_cpus = 1;
	request.share.cpus[0] = 1;
	expect("no dedicated mode; leave --twinos-cpus (or cpus in ");
	tree__file(&t, "sys/kernel/twinos/modes", "time-shared undedicated dedicated2\n");
	expect("no dedicated mode");
	/* A kernel that does not tell has none. */
	tree__remove(&t);
	tree__create(&t);
	assert_refused(check_cpus(&t.roots, request.share.cpus, 1, &(struct os_list){ 0 }, 1),
		       "no dedicated mode");
}

static void dedicated(void **state)
{
	(void)state;
	tree__file(&t, "sys/kernel/twinos/modes", "time-shared dedicated\n");
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
	expect("the window 0x4000000-0xbffffff overlaps the window 0x100000-0x7ffffff of coexisting OS 1 (loaded); choose another range, or unload it (kexec --twinos-id=1 -u) first");
	request.share.mem_min = 0x100000;
	request.id = 2;
	expect("overlaps the window 0x100000-0x7ffffff of coexisting OS 1 (loaded)");
	request.id = 3;
	expect("coexisting OS 3 is running; stop it (kexec --twinos-id=3 --twinos-stop) before loading another in its place");
	tree__os(&t, 1, "running", "time-shared", first);
	request.id = 0;
	expect("overlaps the window 0x100000-0x7ffffff of coexisting OS 1 (running); choose another range, or stop it (kexec --twinos-id=1 --twinos-stop) first");
	request.share.mem_min = 0x8000000;
	request.share.has_irq = true;
	request.share.nr_irqs = 1;
	request.share.irqs[0] = 3;
	expect("interrupt pin 3 belongs to coexisting OS 1 (running)");
	tree__os(&t, 1, "stopped", "time-shared", first);
	assert_int_equal(prepare(), 0);
	assert_int_equal(loaded.share.share.id, 0);
	release(&loaded);
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
		TEST(refusals), TEST(no_dedicated_mode), TEST(dedicated),
		TEST(numbers), TEST(leading), TEST(wrong_purgatory),
	};

	return cmocka_run_group_tests_name("load", tests, NULL, NULL);
}
