// SPDX-License-Identifier: GPL-2.0
/*
 * bzImages: every compressor, every check of the set-up header and of the
 * kernel inside; and damaged ones by the thousand, which must neither crash
 * kexec nor be accepted with contents that do not fit together.
 */
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include "image.h"

#define HEADER(file) ((struct setup_header *)((file) + 0x1f1))

static const char *const packing_names[PACKINGS] = {
	"gzip", "xz", "lzma", "zstd", "lz4", "lzo", "bzip2",
};

static void every_compressor(void **state)
{
	static struct elf_image elf;
	struct bzimage image;
	struct vmlinux kernel;
	uint8_t *payload;
	enum packing p;
	size_t size;

	(void)state;
	image__elf(&elf);
	for (p = 0; p < PACKINGS; p++) {
		uint8_t *file = image__make(p, &size);
		int err = image__read(file, size, &image, &payload, &kernel);

		if (err)
			fail_msg("%s: %s", packing_names[p], refusal());
		assert_int_equal(kernel.entry, IMAGE_ENTRY);
		assert_int_equal(kernel.memory_size, 0x300000);
		assert_int_equal(kernel.nr_parts, 2);
		assert_int_equal(kernel.part[0].offset, 0);
		assert_int_equal(kernel.part[0].size, sizeof(elf.code));
		assert_memory_equal(kernel.part[0].data, elf.code, sizeof(elf.code));
		assert_int_equal(kernel.part[1].offset, 0x200000);
		assert_int_equal(kernel.part[1].size, sizeof(elf.data));
		assert_memory_equal(kernel.part[1].data, elf.data, sizeof(elf.data));
		free(payload);
		free(file);
	}
}

static void expect_header(const char *text, void (*damage)(uint8_t *file, size_t *size))
{
	struct bzimage image;
	size_t size;
	uint8_t *file = image__make(GZIP, &size);

	damage(file, &size);
	assert_refused(check_bzimage("bzImage", file, size, &image), text);
	free(file);
}

#define DAMAGE(name, statement) \
	static void name(uint8_t *file, size_t *size) \
	{ \
		(void)file, (void)size; \
		statement; \
	}

DAMAGE(empty, *size = 0)
DAMAGE(shorter, *size = 600)
DAMAGE(only_setup, *size = 4096)
DAMAGE(half, *size /= 2)
DAMAGE(no_boot_flag, HEADER(file)->boot_flag = 0)
DAMAGE(no_magic, HEADER(file)->header = 0)
DAMAGE(no_jump, HEADER(file)->jump = 0)
DAMAGE(short_header, HEADER(file)->jump = 0x20eb)
DAMAGE(old_protocol, HEADER(file)->version = 0x20b)
DAMAGE(new_protocol, HEADER(file)->version = 0x300)
DAMAGE(z_image, HEADER(file)->loadflags = 0)
DAMAGE(only_32bit, HEADER(file)->xloadflags = 0)
DAMAGE(fixed, HEADER(file)->relocatable_kernel = 0)
DAMAGE(alignment_0, HEADER(file)->kernel_alignment = 0)
DAMAGE(alignment_3, HEADER(file)->kernel_alignment = 0x300000)
DAMAGE(alignment_huge, HEADER(file)->kernel_alignment = 0x80000000)
DAMAGE(init_0, HEADER(file)->init_size = 0)
DAMAGE(init_huge, HEADER(file)->init_size = 0xffffffff)
DAMAGE(init_small, HEADER(file)->init_size = 4096)
DAMAGE(pref_odd, HEADER(file)->pref_address++)
DAMAGE(pref_huge, HEADER(file)->pref_address = 0xfffffffffff00000 & ~0x1fffffull)
DAMAGE(cmdline_0, HEADER(file)->cmdline_size = 0)
DAMAGE(setup_long, HEADER(file)->setup_sects = 255)
DAMAGE(sys_0, HEADER(file)->syssize = 0)
DAMAGE(sys_long, HEADER(file)->syssize += 2)
DAMAGE(payload_far, HEADER(file)->payload_offset = 0xffffff00)
DAMAGE(payload_in_head, HEADER(file)->payload_offset = 0x100)
DAMAGE(payload_long, HEADER(file)->payload_length = 0xffffff00)
DAMAGE(payload_short, HEADER(file)->payload_length = 16)

static void header_fields(void **state)
{
	(void)state;
	expect_header("empty", empty);
	expect_header("too short", shorter);
	expect_header("truncated", only_setup);
	expect_header("truncated", half);
	expect_header("not a bzImage", no_boot_flag);
	expect_header("not a bzImage", no_magic);
	expect_header("jump", no_jump);
	expect_header("too short", short_header);
	expect_header("too old", old_protocol);
	expect_header("unknown boot protocol", new_protocol);
	expect_header("zImage", z_image);
	expect_header("32-bit", only_32bit);
	expect_header("CONFIG_RELOCATABLE", fixed);
	expect_header("kernel_alignment", alignment_0);
	expect_header("kernel_alignment", alignment_3);
	expect_header("kernel_alignment", alignment_huge);
	expect_header("init_size", init_0);
	expect_header("init_size", init_huge);
	expect_header("init_size", init_small);
	expect_header("pref_address", pref_odd);
	expect_header("pref_address", pref_huge);
	expect_header("cmdline_size", cmdline_0);
	expect_header("truncated", setup_long);
	expect_header("truncated", sys_0);
	expect_header("truncated", sys_long);
	expect_header("payload", payload_far);
	expect_header("payload", payload_in_head);
	expect_header("payload", payload_long);
	expect_header("payload", payload_short);
}

/* What follows the kernel is not looked at and not loaded: a signature, padding. */
static void padded(void **state)
{
	const size_t padding = 64 << 20;
	struct bzimage image;
	struct vmlinux kernel;
	size_t size;
	uint8_t *file = image__make(GZIP, &size), *payload;

	(void)state;
	file = realloc(file, size + padding);
	assert_non_null(file);
	memset(file + size, 0xa5, padding);
	if (image__read(file, size + padding, &image, &payload, &kernel))
		fail_msg("%s", refusal());
	assert_int_equal(image.setup_size + image.kernel_size, size);
	free(payload);
	free(file);
}

/* An EFI program with three sections, the last one named. */
static void make_efi(uint8_t *file, const char *section)
{
	memcpy(file, "MZ", 2);
	file[0x3c] = 0x80;
	memcpy(file + 0x80, "PE\0\0\x64\x86\x03\0", 8);
	file[0x80 + 20] = 0xf0;		/* size of the optional header */
	memcpy(file + 0x80 + 24 + 0xf0, ".text", 5);
	memcpy(file + 0x80 + 24 + 0xf0 + 40, ".initrd", 7);
	memcpy(file + 0x80 + 24 + 0xf0 + 80, section, strlen(section));
}

/* Files that hold a kernel in another form. */
static void other_files(void **state)
{
	uint8_t *file = calloc(1, 2048);
	struct bzimage image;

	(void)state;
	make_efi(file, ".linux");
	assert_refused(check_bzimage("uki.efi", file, 2048, &image),
		       "uki.efi: a unified kernel image; take the bzImage out of it (objcopy -O binary --dump-section .linux=bzImage uki.efi /dev/null), and the initrd likewise (.initrd)");
	/* Cut, or with numbers that point anywhere: read no further than it goes. */
	file = realloc(file, 1024);
	file[0x3d] = 0x03;
	assert_refused(check_bzimage("f", file, 1024, &image), "not a bzImage");
	memset(file + 0x3c, 0xff, 4);
	assert_refused(check_bzimage("f", file, 1024, &image), "not a bzImage");
	memset(file, 0, 1024);
	make_efi(file, ".linux");
	memset(file + 0x80 + 20, 0xff, 2);
	assert_refused(check_bzimage("f", file, 1024, &image), "not a bzImage");
	make_efi(file, ".linux");
	memset(file + 0x80 + 6, 0xff, 2);
	make_efi(file, "nothing");
	assert_refused(check_bzimage("f", file, 1024, &image), "not a bzImage");
	memset(file, 0, 1024);
	memcpy(file, "MZ\0\0zimg", 8);
	assert_refused(check_bzimage("f", file, 1024, &image), "an EFI zboot image");
	memcpy(file, "\x7f" "ELF", 4);
	memset(file + 4, 0, 4);
	assert_refused(check_bzimage("f", file, 1024, &image), "vmlinux");
	memcpy(file, "\x1f\x8b\x08", 3);
	assert_refused(check_bzimage("f", file, 1024, &image), "gzip");
	free(file);
}

/* As "zstd --ultra --long=31" packs it: more window than a stream may have. */
static void long_window(void **state)
{
	static struct elf_image elf;
	const size_t room = sizeof(elf) + 4096;
	uint8_t *packed = malloc(room), *file, *payload;
	ZSTD_CCtx *z = ZSTD_createCCtx();
	ZSTD_outBuffer out = { packed, room, 0 };
	struct bzimage image;
	struct vmlinux kernel;
	size_t size;

	(void)state;
	image__elf(&elf);
	ZSTD_CCtx_setParameter(z, ZSTD_c_windowLog, 31);
	ZSTD_CCtx_setParameter(z, ZSTD_c_contentSizeFlag, 0);
	ZSTD_CCtx_setParameter(z, ZSTD_c_hashLog, 12);
	ZSTD_CCtx_setParameter(z, ZSTD_c_chainLog, 12);
	ZSTD_CCtx_setParameter(z, ZSTD_c_strategy, ZSTD_fast);
	{
		ZSTD_inBuffer in = { &elf, sizeof(elf), 0 };

		/* In two steps, so that the size is not known when the frame begins. */
		in.size /= 2;
		assert_false(ZSTD_isError(ZSTD_compressStream2(z, &out, &in, ZSTD_e_flush)));
		in.size = sizeof(elf);
		assert_int_equal(ZSTD_compressStream2(z, &out, &in, ZSTD_e_end), 0);
	}
	ZSTD_freeCCtx(z);
	memcpy(packed + out.pos, &(uint32_t){ sizeof(elf) }, 4);
	file = image__bzimage(packed, out.pos + 4, &size);
	if (image__read(file, size, &image, &payload, &kernel))
		fail_msg("%s", refusal());
	assert_memory_equal(kernel.part[0].data, elf.code, sizeof(elf.code));
	free(payload);
	free(file);
	free(packed);
}

/* What read_vmlinux says about a changed ELF. */
static void expect_elf(const char *text, const struct elf_image *elf, size_t elf_size)
{
	struct bzimage image;
	struct vmlinux kernel;
	size_t size;
	uint8_t *file = image__make(GZIP, &size);

	assert_int_equal(check_bzimage("bzImage", file, size, &image), 0);
	assert_refused(read_vmlinux("bzImage", &image, (const uint8_t *)elf, elf_size, &kernel),
		       text);
	free(file);
}

#define EXPECT_ELF(text, statement) \
	do { \
		image__elf(&elf); \
		elf_size = sizeof(elf); \
		statement; \
		expect_elf(text, &elf, elf_size); \
	} while (0)

/* The code, page by page, and the note: one more than can be loaded. */
static void many_segments(struct elf_image *elf)
{
	Elf64_Phdr phdr[VMLINUX_PARTS_MAX + 2];
	unsigned int i;

	for (i = 0; i <= VMLINUX_PARTS_MAX; i++) {
		phdr[i] = elf->phdr[0];
		phdr[i].p_filesz = phdr[i].p_memsz = 4096;
		phdr[i].p_paddr += i * 4096;
	}
	phdr[i] = elf->phdr[2];
	memcpy(elf->code + 4096, phdr, sizeof(phdr));
	elf->header.e_phoff = offsetof(struct elf_image, code) + 4096;
	elf->header.e_phnum = VMLINUX_PARTS_MAX + 2;
}

static void kernels(void **state)
{
	static struct elf_image elf;
	size_t elf_size;

	(void)state;
	EXPECT_ELF("not an ELF", elf_size = 10);
	EXPECT_ELF("not an ELF", elf.header.e_ident[0] = 0);
	EXPECT_ELF("32-bit", elf.header.e_ident[EI_CLASS] = ELFCLASS32);
	EXPECT_ELF("32-bit", elf.header.e_ident[EI_CLASS] = 77);
	EXPECT_ELF("corrupt", elf.header.e_ident[EI_DATA] = 0);
	EXPECT_ELF("x86-64", elf.header.e_machine = EM_AARCH64);
	EXPECT_ELF("executable", elf.header.e_type = ET_REL);
	EXPECT_ELF("program headers", elf.header.e_phnum = 0);
	EXPECT_ELF("program headers", elf.header.e_phnum = 0xfff0);
	EXPECT_ELF("program headers", elf.header.e_phoff = ~0ull);
	EXPECT_ELF("program headers", elf.header.e_phoff = sizeof(elf) - 8);
	EXPECT_ELF("not TwinOS-aware", elf.header.e_phnum = 2);
	EXPECT_ELF("not TwinOS-aware", elf.note.name[0] = 'X');
	EXPECT_ELF("not TwinOS-aware", elf.note.header.n_type = 2);
	EXPECT_ELF("not TwinOS-aware", elf.note.header.n_namesz = ~0u);
	EXPECT_ELF("not TwinOS-aware", elf.note.header.n_descsz = ~0u);
	EXPECT_ELF("not TwinOS-aware", elf.note.header.n_descsz = 0);
	EXPECT_ELF("version 77", elf.note.version = 77);
	EXPECT_ELF("no segments", elf.phdr[0].p_type = elf.phdr[1].p_type = PT_NULL);
	EXPECT_ELF("outside the file", elf.phdr[0].p_offset = sizeof(elf) - 100);
	EXPECT_ELF("outside the file", elf.phdr[0].p_offset = ~0ull);
	EXPECT_ELF("outside the file", elf.phdr[1].p_filesz = ~0ull);
	EXPECT_ELF("outside the file", elf.phdr[2].p_filesz = 1 << 30);
	EXPECT_ELF("larger in the file", elf.phdr[1].p_memsz = 100);
	EXPECT_ELF("wraps", elf.phdr[1].p_memsz = ~0ull);
	EXPECT_ELF("within a page", elf.phdr[1].p_paddr = IMAGE_PADDR + 100);
	EXPECT_ELF("overlap", elf.phdr[1].p_paddr = IMAGE_PADDR + 0x1000);
	EXPECT_ELF("overlap", elf.phdr[1] = elf.phdr[0]);
	EXPECT_ELF("outside its run-time range", elf.phdr[1].p_paddr = IMAGE_PADDR + 0x380000);
	EXPECT_ELF("outside its run-time range", elf.phdr[1].p_paddr = 0x100000000);
	EXPECT_ELF("too many segments", many_segments(&elf));
	EXPECT_ELF("unaligned", elf.phdr[0].p_paddr += 0x1000);
	EXPECT_ELF("entry point", elf.header.e_entry = 0);
	EXPECT_ELF("entry point", elf.header.e_entry = IMAGE_PADDR + 0x200000);
	EXPECT_ELF("entry point", elf.header.e_entry = IMAGE_PADDR + sizeof(elf.code));
	EXPECT_ELF("entry point", elf.phdr[0].p_flags = PF_R);
}

static void bombs(void **state)
{
	const size_t bomb_size = IMAGE_INIT_SIZE + 1;
	uint8_t *zeros = calloc(1, bomb_size);
	enum packing p;

	(void)state;
	for (p = 0; p < PACKINGS; p++) {
		struct bzimage image;
		uint8_t *payload, *file, *data;
		size_t n, size;

		if (p == LZO)
			memset(zeros, 1, 1000);
		n = image__pack(p, zeros, bomb_size, &payload);
		file = image__bzimage(payload, n, &size);
		assert_int_equal(check_bzimage("bzImage", file, size, &image), 0);
		/* A block of lz4 that is too large looks like a damaged one. */
		assert_refused(unpack_payload("bzImage", &image, &data, &n),
			       p == LZ4 ? "does not unpack" : "unpacks to more");
		assert_null(data);
		free(file);
		free(payload);
	}
	free(zeros);
}

/* A garbage payload, and one that unpacks to garbage. */
static void garbage(void **state)
{
	uint8_t text[5000], *packed, *payload, *file;
	struct bzimage image;
	struct vmlinux kernel;
	size_t n, size;

	(void)state;
	memset(text, 'x', sizeof(text));
	file = image__bzimage(text, sizeof(text), &size);
	assert_refused(image__read(file, size, &image, &payload, &kernel), "no known compression");
	free(file);
	n = image__pack(GZIP, text, sizeof(text), &packed);
	file = image__bzimage(packed, n, &size);
	assert_refused(image__read(file, size, &image, &payload, &kernel), "not an ELF");
	free(file);
	free(packed);
}

/*
 * An accepted image must be consistent, whatever was changed in it. Takes the
 * file by copy, of exactly its size, so that reading beyond it is seen.
 */
static bool try_image(const uint8_t *data, size_t size)
{
	uint8_t *file = malloc(size ? size : 1), *payload;
	struct bzimage image;
	struct vmlinux kernel = { 0 };
	bool accepted;

	memcpy(file, data, size);
	accepted = !image__read(file, size, &image, &payload, &kernel);
	if (accepted) {
		assert_true(image.setup_size < size);
		assert_in_range(image.payload_size, 32, size);
		assert_true(image.payload >= file &&
			    image.payload + image.payload_size <= file + size);
		assert_true(image.header.relocatable_kernel);
		assert_true(image.header.xloadflags & XLF_KERNEL_64);
		assert_in_range(kernel.memory_size, 4096, image.header.init_size);
		assert_in_range(image__end(&kernel), 1, kernel.memory_size);
		assert_true(kernel.entry < image__end(&kernel));
		free(payload);
	}
	free(file);
	return accepted;
}

static void truncated(void **state)
{
	size_t size, cut;
	uint8_t *file = image__make(GZIP, &size);

	(void)state;
	assert_true(try_image(file, size));
	/* Any length: the header says how long the file is. */
	for (cut = 0; cut < size; cut += cut < 5000 ? 13 : 97)
		assert_false(try_image(file, cut));
	assert_false(try_image(file, size - 1));
	assert_false(try_image(file, size - 16));
	assert_false(try_image(file, size - 600));
	free(file);
}

/* Every bit of the set-up header flipped, and bytes set to extremes. */
static void mutated_headers(void **state)
{
	static const uint8_t values[] = { 0, 1, 0x7f, 0x80, 0xff };
	size_t size, at;
	uint8_t *file = image__make(ZSTD, &size);
	unsigned int i, tried = 0, accepted = 0;

	(void)state;
	for (at = 0x1f1; at < 0x26c; at++) {
		const uint8_t old = file[at];

		for (i = 0; i < 8 + sizeof(values); i++) {
			file[at] = i < 8 ? old ^ 1 << i : values[i - 8];
			tried++;
			accepted += try_image(file, size);
		}
		file[at] = old;
	}
	print_message("%u headers, %u accepted (fields that do not matter)\n", tried, accepted);
	assert_true(tried > 1500);
	assert_true(try_image(file, size));
	free(file);
}

/* Formats with a checksum must notice any damage to the packed bytes. */
static void mutated_payloads(void **state)
{
	static const bool checked[PACKINGS] = { [GZIP] = true, [XZ] = true, [BZIP2] = true };
	enum packing p;

	(void)state;
	for (p = 0; p < PACKINGS; p++) {
		size_t size, at, last;
		uint8_t *file = image__make(p, &size);
		const size_t start = 8 * 512 + 0x300;

		last = start + HEADER(file)->payload_length - 4;
		for (at = start; at < last; at += p == LZMA || p == XZ ? 151 : 53) {
			const uint8_t old = file[at];
			bool accepted;

			file[at] ^= 0x55;
			accepted = try_image(file, size);
			/* Of gzip's header time, flags and system do not matter. */
			if (checked[p] && !(p == GZIP && at < start + 10) && accepted)
				fail_msg("%s: damage at %zu is not seen", packing_names[p],
					 at - start);
			file[at] = old;
		}
		free(file);
	}
}

/* Every byte of the ELF's headers and note. */
static void mutated_kernels(void **state)
{
	static const uint8_t flips[] = { 1, 0x10, 0x80, 0xff };
	static struct elf_image elf;
	struct bzimage image;
	size_t size, at;
	uint8_t *file = image__make(GZIP, &size);
	unsigned int i;

	(void)state;
	assert_int_equal(check_bzimage("bzImage", file, size, &image), 0);
	for (at = 0; at < offsetof(struct elf_image, code); at++) {
		for (i = 0; i < sizeof(flips); i++) {
			struct vmlinux kernel;

			image__elf(&elf);
			((uint8_t *)&elf)[at] ^= flips[i];
			if (read_vmlinux("bzImage", &image, (uint8_t *)&elf, sizeof(elf), &kernel))
				continue;
			assert_true(kernel.memory_size <= image.header.init_size);
			assert_true(kernel.entry < image__end(&kernel));
			assert_true(image__end(&kernel) <= kernel.memory_size);
		}
	}
	free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_compressor), cmocka_unit_test(header_fields),
		cmocka_unit_test(padded), cmocka_unit_test(other_files), cmocka_unit_test(long_window),
		cmocka_unit_test(kernels), cmocka_unit_test(bombs), cmocka_unit_test(garbage),
		cmocka_unit_test(truncated), cmocka_unit_test(mutated_headers),
		cmocka_unit_test(mutated_payloads), cmocka_unit_test(mutated_kernels),
	};

	return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
