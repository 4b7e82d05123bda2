// SPDX-License-Identifier: GPL-2.0
/*
 * The bzImage's set-up header (Documentation/arch/x86/boot.rst), checked field
 * by field against the file before anything of it is used.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "twinos.h"

#define SECTOR 512
#define HEADER 0x1f1			/* offset of struct setup_header */
#define INIT_SIZE_MAX (1u << 30)	/* more than any kernel; keeps sums small */

static int refuse_image(const char *name, const char *why)
{
	return refuse(ENOEXEC, "%s: %s", name, why);
}

/**
 * check_bzimage() - is a file a bzImage that a coexisting OS can be?
 * @name: file name, for the refusal
 * @image: filled in; points into @file
 */
int check_bzimage(const char *name, const uint8_t *file, size_t size, struct bzimage *image)
{
	struct setup_header *h = &image->header;
	uint64_t protected_size, end;

	memset(image, 0, sizeof(*image));
	if (!size)
		return refuse_image(name, "the file is empty; give a bzImage");
	if (size < 2 * SECTOR)
		return refuse_image(name, "too short for a bzImage; is it truncated?");
	if (file[0x1fe] != 0x55 || file[0x1ff] != 0xaa || memcmp(file + 0x202, "HdrS", 4))
		return refuse_image(name, "not a bzImage; give arch/x86/boot/bzImage of a TwinOS kernel");

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
	protected_size = size - image->setup_size;
	/*
	 * syssize counts 16-byte paragraphs of the protected-mode part. What
	 * follows it is a CRC or a signature; what is missing is truncation.
	 */
	if (!h->syssize || (uint64_t)h->syssize * 16 > protected_size)
		return refuse_image(name, "truncated: it is shorter than its set-up header says");
	end = (uint64_t)h->payload_offset + h->payload_length;
	if (h->payload_offset < 0x200 || h->payload_length < 32 ||
	    end > (uint64_t)h->syssize * 16 || end > protected_size)
		return refuse_image(name, "corrupt set-up header (payload_offset, payload_length)");
	if (protected_size > h->init_size)
		return refuse_image(name, "corrupt set-up header (init_size is below the file's size)");
	image->file = file;
	image->size = size;
	image->payload = file + image->setup_size + h->payload_offset;
	image->payload_size = h->payload_length;
	return 0;
}
