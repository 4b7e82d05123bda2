// SPDX-License-Identifier: GPL-2.0
/* bzImages made for the tests; see image.h. */
#include <bzlib.h>
#include <lz4.h>
#include <lz4hc.h>
#include <lzma.h>
#include <lzo/lzo1x.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include "image.h"

#define SETUP_SECTS 7
#define HEADER ((struct setup_header *)(file + 0x1f1))

void image__elf(struct elf_image *elf)
{
	unsigned int i, x = 1;

	memset(elf, 0, sizeof(*elf));
	memcpy(elf->header.e_ident, ELFMAG, SELFMAG);
	elf->header.e_ident[EI_CLASS] = ELFCLASS64;
	elf->header.e_ident[EI_DATA] = ELFDATA2LSB;
	elf->header.e_ident[EI_VERSION] = EV_CURRENT;
	elf->header.e_type = ET_EXEC;
	elf->header.e_machine = EM_X86_64;
	elf->header.e_version = EV_CURRENT;
	elf->header.e_entry = IMAGE_PADDR + IMAGE_ENTRY;
	elf->header.e_phoff = offsetof(struct elf_image, phdr);
	elf->header.e_ehsize = sizeof(elf->header);
	elf->header.e_phentsize = sizeof(elf->phdr[0]);
	elf->header.e_phnum = 3;
	elf->phdr[0] = (Elf64_Phdr){
		.p_type = PT_LOAD, .p_flags = PF_R | PF_X,
		.p_offset = offsetof(struct elf_image, code),
		.p_vaddr = 0xffffffff90000000, .p_paddr = IMAGE_PADDR,
		.p_filesz = sizeof(elf->code), .p_memsz = sizeof(elf->code),
	};
	elf->phdr[1] = (Elf64_Phdr){
		.p_type = PT_LOAD, .p_flags = PF_R | PF_W,
		.p_offset = offsetof(struct elf_image, data),
		.p_vaddr = 0xffffffff90200000, .p_paddr = IMAGE_PADDR + 0x200000,
		.p_filesz = sizeof(elf->data), .p_memsz = 0x100000,
	};
	elf->phdr[2] = (Elf64_Phdr){
		.p_type = PT_NOTE, .p_offset = offsetof(struct elf_image, note),
		.p_filesz = sizeof(elf->note), .p_memsz = sizeof(elf->note),
	};
	elf->note.header.n_namesz = sizeof(TWINOS_NOTE_NAME);
	elf->note.header.n_descsz = sizeof(elf->note.version);
	elf->note.header.n_type = TWINOS_NOTE_TYPE;
	memcpy(elf->note.name, TWINOS_NOTE_NAME, sizeof(TWINOS_NOTE_NAME));
	elf->note.version = TWINOS_ABI_VERSION;
	for (i = 0; i < sizeof(elf->code); i++)
		elf->code[i] = (x = x * 1103515245 + 12345) >> (i & 1024 ? 16 : 30);
	for (i = 0; i < sizeof(elf->data); i++)
		elf->data[i] = i;
}

static size_t pack_lzo(const uint8_t *data, size_t size, uint8_t *out)
{
	static const uint8_t magic[9] = { 0x89, 'L', 'Z', 'O', 0, 0xd, 0xa, 0x1a, 0xa };
	uint8_t *work = malloc(LZO1X_1_MEM_COMPRESS), *p = out;
	lzo_uint n;

	assert_int_equal(lzo_init(), LZO_E_OK);
	memcpy(p, magic, sizeof(magic));
	p += sizeof(magic);
	/* Version 1.030, library, needed, method and level. */
	memcpy(p, "\x10\x30\x20\x80\x09\x40\x03\x09", 8);
	p += 8;
	/* Flags: Adler-32 of the unpacked data; mode, time; no name; checksum. */
	memcpy(p, "\0\0\0\x01" "\0\0\0\0" "\0\0\0\0" "\0\0\0\0" "\0" "\0\0\0\0", 21);
	p += 21;
	assert_int_equal(lzo1x_1_compress(data, size, p + 12, &n, work), LZO_E_OK);
	free(work);
#define BE32(at, v) ((at)[0] = (v) >> 24, (at)[1] = (v) >> 16, (at)[2] = (v) >> 8, (at)[3] = (v))
	BE32(p, size);
	BE32(p + 4, n);
	BE32(p + 8, lzo_adler32(1, data, size));
	p += 12 + n;
	memset(p, 0, 4);
	return p + 4 - out;
}

size_t image__pack(enum packing packing, const void *data, size_t size, uint8_t **packed)
{
	const size_t room = size + size / 8 + 4096;
	uint8_t *out = calloc(1, room);
	size_t n = 0;

	assert_non_null(out);
	switch (packing) {
	case GZIP: {
		z_stream z = { .next_in = (uint8_t *)data, .avail_in = size,
			       .next_out = out, .avail_out = room };

		assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, 0), Z_OK);
		assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
		n = z.total_out;
		deflateEnd(&z);
		*packed = out;
		return n;	/* ends with the size already */
	}
	case XZ:
		assert_int_equal(lzma_easy_buffer_encode(6, LZMA_CHECK_CRC32, NULL, data, size,
							 out, &n, room), LZMA_OK);
		break;
	case LZMA: {
		lzma_stream z = LZMA_STREAM_INIT;
		lzma_options_lzma options;

		lzma_lzma_preset(&options, 6);
		assert_int_equal(lzma_alone_encoder(&z, &options), LZMA_OK);
		z.next_in = data;
		z.avail_in = size;
		z.next_out = out;
		z.avail_out = room;
		assert_int_equal(lzma_code(&z, LZMA_FINISH), LZMA_STREAM_END);
		n = z.total_out;
		lzma_end(&z);
		break;
	}
	case ZSTD:
		n = ZSTD_compress(out, room, data, size, 5);
		assert_false(ZSTD_isError(n));
		break;
	case LZ4: {
		int packed_size = LZ4_compress_HC(data, (char *)out + 8, size, room - 8, 9);

		assert_true(packed_size > 0 && size <= 8 << 20);
		memcpy(out, "\x02\x21\x4c\x18", 4);
		memcpy(out + 4, &packed_size, 4);
		n = 8 + packed_size;
		break;
	}
	case LZO:
		n = pack_lzo(data, size, out);
		break;
	case BZIP2: {
		unsigned int packed_size = room;

		assert_int_equal(BZ2_bzBuffToBuffCompress((char *)out, &packed_size, (char *)data,
							  size, 9, 0, 0), BZ_OK);
		n = packed_size;
		break;
	}
	default:
		fail();
	}
	memcpy(out + n, &(uint32_t){ size }, 4);
	*packed = out;
	return n + 4;
}

uint8_t *image__bzimage(const uint8_t *payload, size_t payload_size, size_t *size)
{
	const size_t setup = (SETUP_SECTS + 1) * 512, offset = 0x300;
	uint8_t *file;

	*size = setup + ((offset + payload_size + 512 + 15) & ~15ul);
	file = calloc(1, *size);
	assert_non_null(file);
	HEADER->setup_sects = SETUP_SECTS;
	HEADER->syssize = (*size - setup) / 16;
	HEADER->boot_flag = 0xaa55;
	HEADER->jump = 0x6aeb;
	HEADER->header = 0x53726448;	/* "HdrS" */
	HEADER->version = 0x020f;
	HEADER->loadflags = LOADED_HIGH;
	HEADER->initrd_addr_max = 0x7fffffff;
	HEADER->kernel_alignment = 0x200000;
	HEADER->relocatable_kernel = 1;
	HEADER->min_alignment = 0x15;
	HEADER->xloadflags = XLF_KERNEL_64 | XLF_CAN_BE_LOADED_ABOVE_4G;
	HEADER->cmdline_size = 0x7ff;
	HEADER->payload_offset = offset;
	HEADER->payload_length = payload_size;
	HEADER->pref_address = IMAGE_PADDR;
	HEADER->init_size = IMAGE_INIT_SIZE;
	memcpy(file + setup + offset, payload, payload_size);
	return file;
}

uint8_t *image__make(enum packing packing, size_t *size)
{
	static struct elf_image elf;
	uint8_t *payload, *file;
	size_t n;

	image__elf(&elf);
	n = image__pack(packing, &elf, sizeof(elf), &payload);
	file = image__bzimage(payload, n, size);
	free(payload);
	return file;
}

int image__read(const uint8_t *file, size_t size, struct bzimage *image, uint8_t **elf,
		struct vmlinux *kernel)
{
	size_t n;
	int err;

	*elf = NULL;
	err = check_bzimage("bzImage", file, size, image);
	if (!err)
		err = unpack_payload("bzImage", image, elf, &n);
	if (!err)
		err = read_vmlinux("bzImage", image, *elf, n, kernel);
	if (err) {
		free(*elf);
		*elf = NULL;
	}
	return err;
}

uint64_t image__end(const struct vmlinux *kernel)
{
	uint64_t end = 0;
	unsigned int i;

	for (i = 0; i < kernel->nr_parts; i++)
		if (kernel->part[i].offset + kernel->part[i].size > end)
			end = kernel->part[i].offset + kernel->part[i].size;
	return end;
}
