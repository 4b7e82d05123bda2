/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bzImages made for the tests: a small ELF kernel with several segments and
 * the TwinOS note, packed with any of the compressors.
 */
#ifndef TESTS_UNIT_IMAGE_H
#define TESTS_UNIT_IMAGE_H

#include <elf.h>
#include "tree.h"

enum packing { GZIP, XZ, LZMA, ZSTD, LZ4, LZO, BZIP2, PACKINGS };

#define IMAGE_PADDR 0x10000000ull	/* where the kernel is linked to */
#define IMAGE_INIT_SIZE 0x400000u
#define IMAGE_ENTRY 0x40

struct elf_image {
	Elf64_Ehdr header;
	Elf64_Phdr phdr[4];		/* code, data with bss, note, unused */
	struct {
		Elf64_Nhdr header;
		char name[8];
		uint32_t version;
	} note;
	uint8_t code[20000];
	uint8_t data[5000];
};

void image__elf(struct elf_image *elf);
/* Pack size bytes as the kernel's build does; *packed is to be freed. */
size_t image__pack(enum packing packing, const void *data, size_t size, uint8_t **packed);
/* A whole bzImage around a payload; to be freed. */
uint8_t *image__bzimage(const uint8_t *payload, size_t payload_size, size_t *size);
/* All of it. */
uint8_t *image__make(enum packing packing, size_t *size);
/* As kexec reads it: header, payload, ELF. *elf, of which the kernel's parts are, is to be freed. */
int image__read(const uint8_t *file, size_t size, struct bzimage *image, uint8_t **elf,
		struct vmlinux *kernel);
/* Bytes of a kernel's memory up to the end of its last part. */
uint64_t image__end(const struct vmlinux *kernel);

#endif
