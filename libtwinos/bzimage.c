// SPDX-License-Identifier: GPL-2.0
/*
 * The bzImage's set-up header (Documentation/arch/x86/boot.rst), checked field
 * by field against the file before anything of it is used.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "libtwinos.h"

#define SECTOR 512
#define HEADER 0x1f1			/* offset of struct setup_header */
#define INIT_SIZE_MAX (1u << 30)	/* more than any kernel; keeps sums small */

static int refuse_image(const char *name, const char *why)
{
	return refuse(ENOEXEC, "%s: %s", name, why);
}

static uint16_t le16(const uint8_t *p)
{
	return p[0] | p[1] << 8;
}

static uint32_t le32(const uint8_t *p)
{
	return le16(p) | (uint32_t)le16(p + 2) << 16;
}

/* Has an EFI program a section of this name? */
static bool has_section(const uint8_t *file, size_t size, const char *name)
{
	uint64_t at = size < 0x40 ? size : le32(file + 0x3c);
	unsigned int nr;

	/* "PE", 20 bytes of file header, an optional header, 40 bytes for each section. */
	if (at + 24 > size || memcmp(file + at, "PE\0", 4))
		return false;
	nr = le16(file + at + 6);
	at += 24 + le16(file + at + 20);
	for (; nr && at + 40 <= size; nr--, at += 40)
		if (!strncmp((const char *)file + at, name, 8))
			return true;
	return false;
}

/* A file without a bzImage's header: what it may be, and where the bzImage is. */
static int refuse_other(const char *name, const uint8_t *file, size_t size)
{
	static const struct {
		const char *magic;
		size_t size, at;
		const char *why;
	} kinds[] = {
		{ "\x7f" "ELF", 4, 0,
		  "an ELF file, perhaps vmlinux; give arch/x86/boot/bzImage of the same kernel" },
		{ "zimg", 4, 4,
		  "an EFI zboot image, which only other architectures have; give arch/x86/boot/bzImage of a TwinOS kernel" },
		{ "\x1f\x8b", 2, 0,
		  "a file packed with gzip; give the bzImage as it was built" },
	};
	unsigned int i;

	if (!memcmp(file, "MZ", 2) && has_section(file, size, ".linux"))
		return refuse(ENOEXEC,
			      "%s: a unified kernel image; take the bzImage out of it (objcopy -O binary --dump-section .linux=bzImage %s /dev/null), and the initrd likewise (.initrd)",
			      name, name);
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!memcmp(file + kinds[i].at, kinds[i].magic, kinds[i].size))
			return refuse_image(name, kinds[i].why);
	return refuse_image(name, "not a bzImage; give arch/x86/boot/bzImage of a TwinOS kernel");
}

/**
 * check_bzimage() - is a file a bzImage that a coexisting OS can be?
 * @name: file name, for the refusal
 * @image: filled in; points into @file
 */
int check_bzimage(const char *name, const uint8_t *file, size_t size, struct bzimage *image)
{
	struct setup_header *h = &image->header;
	uint64_t end;

	memset(image, 0, sizeof(*image));
	if (!size)
		return refuse_image(name, "the file is empty; give a bzImage");
	if (size < 2 * SECTOR)
		return refuse_image(name, "too short for a bzImage; is it truncated?");
	if (file[0x1fe] != 0x55 || file[0x1ff] != 0xaa || memcmp(file + 0x202, "HdrS", 4))
		return refuse_other(name, file, size);

	/* The header says how long it is: the jump over it at 0x200. */
	if (file[0x200] != 0xeb)
		return refuse_image(name, "corrupt set-up header (no jump at 0x200)");
	image->header_size = 0x202 + file[0x201] - HEADER;
	if (image->header_size > sizeof(*h))
		image->header_size = sizeof(*h);
	memcpy(h, file + HEADER, image->header_size);

	if (h->version < 0x20c)
		return refuse(ENOEXEC, "%s: boot protocol %u.%02u is too old; 2.12 or later is needed",
			      name, h->version >> 8, h->version & 0xff);
	if (h->version >> 8 != 2)
		return refuse_image(name, "corrupt set-up header (unknown boot protocol)");
	if (image->header_size < offsetof(struct setup_header, handover_offset))
		return refuse_image(name, "corrupt set-up header (too short)");
	if (!(h->loadflags & LOADED_HIGH))
		return refuse_image(name, "a zImage, not a bzImage; rebuild it as bzImage");
	if (!(h->xloadflags & XLF_KERNEL_64))
		return refuse_image(name, "a 32-bit kernel; a 64-bit one is needed");
	if (!h->relocatable_kernel)
		return refuse_image(name, "not relocatable; rebuild it with CONFIG_RELOCATABLE=y");
	if (h->kernel_alignment < 0x200000 || h->kernel_alignment > 0x40000000 ||
	    h->kernel_alignment & (h->kernel_alignment - 1))
		return refuse_image(name, "corrupt set-up header (kernel_alignment)");
	if (!h->init_size || h->init_size > INIT_SIZE_MAX)
		return refuse_image(name, "corrupt set-up header (init_size)");
	if (h->pref_address & (h->kernel_alignment - 1) || h->pref_address >> 52)
		return refuse_image(name, "corrupt set-up header (pref_address)");
	if (!h->cmdline_size || h->cmdline_size > 0x100000)
		return refuse_image(name, "corrupt set-up header (cmdline_size)");

	/* setup_sects 0 means 4, for ever (boot.rst). */
	image->setup_size = (h->setup_sects ? h->setup_sects : 4) * SECTOR + SECTOR;
	if (image->setup_size >= size)
		return refuse_image(name, "truncated: it ends inside its set-up code");
	/*
	 * syssize counts 16-byte paragraphs of the protected-mode part. What follows
	 * it is a signature or padding; what is missing is truncation.
	 */
	image->kernel_size = (uint64_t)h->syssize * 16;
	if (!h->syssize || image->kernel_size > size - image->setup_size)
		return refuse_image(name, "truncated: it is shorter than its set-up header says");
	end = (uint64_t)h->payload_offset + h->payload_length;
	if (h->payload_offset < 0x200 || h->payload_length < 32 ||
	    end > image->kernel_size)
		return refuse_image(name, "corrupt set-up header (payload_offset, payload_length)");
	if (image->kernel_size > h->init_size)
		return refuse_image(name, "corrupt set-up header (init_size is below the kernel's size)");
	image->file = file;
	image->size = size;
	image->payload = file + image->setup_size + h->payload_offset;
	image->payload_size = h->payload_length;
	return 0;
}
