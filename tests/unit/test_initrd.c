// SPDX-License-Identifier: GPL-2.0
/*
 * The initrd: unpacked when loading if it is compressed cpio archives from its
 * first byte to its last and the window has room, else handed on as it is.
 */
#include <stdlib.h>
#include <string.h>
#include "image.h"

#define MIB (1ull << 20)
#define CPIO_SIZE 30001			/* no multiple of 4 */
#define PADDED_SIZE ((CPIO_SIZE + 3) & ~3)

extern const uint8_t twinos_purgatory[], twinos_purgatory_end[];

static struct tree t;
static char kernel[128], initrd[128];
static struct request request;
static uint8_t cpio[CPIO_SIZE];

static int setup(void **state)
{
	uint8_t *file;
	unsigned int i, x = 3;
	size_t size;

	(void)state;
	tree__create(&t);
	tree__machine(&t, "q35-twinos");
	file = image__make(GZIP, &size);
	tree__bytes(&t, "bzImage", file, size);
	free(file);
	snprintf(kernel, sizeof(kernel), "%s/bzImage", t.root);
	snprintf(initrd, sizeof(initrd), "%s/initrd", t.root);
	request = (struct request){
		.kernel = kernel, .initrd = initrd, .command_line = "", .id = 1,
		.share = { .has_mem_min = true, .mem_min = 0x100000 },
	};
	for (i = 0; i < sizeof(cpio); i++)
		cpio[i] = i & 512 ? i : (x = x * 1103515245 + 12345) >> 28;
	memcpy(cpio, "070701", 6);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tree__remove(&t);
	return 0;
}

/* One stream as the compressor's own program writes it, without a size behind it. */
static size_t pack(enum packing packing, const void *data, size_t size, uint8_t **packed)
{
	size_t n = image__pack(packing, data, size, packed);

	return packing == GZIP ? n : n - 4;
}

/* Load with an initrd of these bytes; what the kernel is given must be that. */
static void expect(const void *file, size_t size, const void *given, size_t given_size)
{
	const struct boot_params *params;
	const struct segment *s;
	struct loaded l;

	tree__bytes(&t, "initrd", file, size);
	if (prepare_load(&t.roots, &request, twinos_purgatory,
			 twinos_purgatory_end - twinos_purgatory, &l))
		fail_msg("%s", refusal());
	s = &l.segment[l.nr_segments - 1];
	params = l.segment[2].buf;
	assert_int_equal(s->bufsz, given_size);
	assert_memory_equal(s->buf, given, given_size);
	assert_int_equal(l.share.share.initrd_start, s->mem);
	assert_int_equal(l.share.share.initrd_size, given_size);
	assert_int_equal(params->hdr.ramdisk_image, s->mem);
	assert_int_equal(params->hdr.ramdisk_size, given_size);
	assert_int_equal(s->mem + s->memsz, range_end(&l.placement.window));
	release(&l);
}

static void expect_packed(const void *file, size_t size)
{
	expect(file, size, file, size);
}

static void every_compressor(void **state)
{
	uint8_t padded[PADDED_SIZE] = { 0 }, *file;
	enum packing p;
	size_t n;

	(void)state;
	memcpy(padded, cpio, CPIO_SIZE);
	for (p = 0; p < PACKINGS; p++) {
		n = pack(p, cpio, CPIO_SIZE, &file);
		expect(file, n, padded, PADDED_SIZE);
		free(file);
	}
	/* The format with checksums. */
	cpio[5] = padded[5] = '2';
	n = pack(GZIP, cpio, CPIO_SIZE, &file);
	expect(file, n, padded, PADDED_SIZE);
	free(file);
}

/* Archives one behind the other, each compressed in its own way. */
static void several(void **state)
{
	static const enum packing packings[] = { GZIP, GZIP, XZ, ZSTD, LZO, BZIP2 };
	static uint8_t file[6 * CPIO_SIZE], padded[6 * PADDED_SIZE];
	size_t used = 0, unpacked = 0, n;
	uint8_t *one;
	unsigned int i;

	(void)state;
	for (i = 0; i < 6; i++) {
		n = pack(packings[i], cpio, CPIO_SIZE, &one);
		memcpy(file + used, one, n);
		free(one);
		used += n;
		memcpy(padded + unpacked, cpio, CPIO_SIZE);
		unpacked += PADDED_SIZE;
		expect(file, used, padded, unpacked);
	}
	/* A plain one or padding behind them. */
	memcpy(file + used, cpio, CPIO_SIZE);
	expect_packed(file, used + CPIO_SIZE);
	memset(file + used, 0, 4);
	expect_packed(file, used + 4);
	expect_packed(file, used + 1);
}

static void not_compressed(void **state)
{
	static uint8_t file[2 * CPIO_SIZE];
	uint8_t *one, zeros[100] = { 0 };
	enum packing p;
	size_t n;

	(void)state;
	expect_packed(cpio, CPIO_SIZE);
	expect_packed(cpio, 1);
	expect_packed(zeros, sizeof(zeros));
	/* Microcode first, as distributions have it. */
	for (p = 0; p < PACKINGS; p++) {
		n = pack(p, cpio, CPIO_SIZE, &one);
		memset(file, 0, 1024);
		memcpy(file, cpio, 500);
		memcpy(file + 1024, one, n);
		expect_packed(file, 1024 + n);
		free(one);
	}
}

/* A compressed something that is not cpio: an image of a file system, say. */
static void no_cpio(void **state)
{
	uint8_t *file;
	enum packing p;
	size_t n;

	(void)state;
	cpio[5] = '7';		/* the old portable format */
	for (p = 0; p < PACKINGS; p++) {
		n = pack(p, cpio, CPIO_SIZE, &file);
		expect_packed(file, n);
		free(file);
	}
	n = pack(GZIP, "07070", 5, &file);
	expect_packed(file, n);
	free(file);
	n = pack(ZSTD, "", 0, &file);
	expect_packed(file, n);
	free(file);
}

/* The kernel decides what to say about them. */
static void truncated(void **state)
{
	enum packing p;

	(void)state;
	for (p = 0; p < PACKINGS; p++) {
		uint8_t *file;
		const size_t n = pack(p, cpio, CPIO_SIZE, &file);
		size_t cut, step = n / 40;

		for (cut = 1; cut < n; cut += step)
			expect_packed(file, cut);
		/* lzma's end mark may be missing; the size in its header tells. */
		if (p != LZMA)
			expect_packed(file, n - 1);
		free(file);
	}
}

static void damaged(void **state)
{
	static const enum packing checked[] = { GZIP, XZ, BZIP2 };
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		uint8_t *file;
		const size_t n = pack(checked[i], cpio, CPIO_SIZE, &file);
		size_t at, step = n / 50;

		for (at = 20; at < n; at += step) {
			file[at] ^= 0x55;
			expect_packed(file, n);
			file[at] ^= 0x55;
		}
		free(file);
	}
}

/* Unpacked it takes at most a quarter of what the other parts leave of the window. */
static void room(void **state)
{
	static const enum packing packings[] = { GZIP, XZ, ZSTD, LZO, BZIP2 };
	const size_t size = 4 * MIB;
	uint8_t *data = calloc(1, size), *file;
	unsigned int i;

	(void)state;
	memcpy(data, "070701", 6);
	request.share.has_mem_max = true;
	for (i = 0; i < 5; i++) {
		size_t n = pack(packings[i], data, size, &file);
		/* The kernel begins at 2 MiB; the small parts lie below it. */
		const uint64_t packed = (n + 4095) & ~4095ull;
		const uint64_t wanted = MIB + IMAGE_INIT_SIZE + packed + 4 * size;

		request.share.mem_max = MIB + wanted - 1;
		expect(file, n, data, size);
		/* And at most half of the memory that the leading OS has. */
		tree__file(&t, "proc/meminfo", "MemAvailable: %zu kB\n", 2 * size / 1024 - 1);
		expect_packed(file, n);
		tree__file(&t, "proc/meminfo", "MemAvailable: %zu kB\n", 2 * size / 1024);
		expect(file, n, data, size);
		request.share.mem_max = MIB + wanted - 4096 - 1;
		expect_packed(file, n);
		/* So tight that only the packed one can be placed at all. */
		request.share.mem_max = MIB + MIB + IMAGE_INIT_SIZE + packed - 1;
		expect_packed(file, n);
		free(file);
	}
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(every_compressor), TEST(several), TEST(not_compressed), TEST(no_cpio),
		TEST(truncated), TEST(damaged), TEST(room),
	};

	return cmocka_run_group_tests_name("initrd", tests, NULL, NULL);
}
