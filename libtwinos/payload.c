// SPDX-License-Identifier: GPL-2.0
/*
 * Unpack the kernel from a bzImage, and the archives of an initrd, when loading,
 * so that nobody waits for a decompressor during the launch. The compressor is
 * told by its magic. A kernel's unpacked size is bounded by the header's
 * init_size, which the kernel's own decompressor relies on too; an initrd that
 * is not understood from its first byte to its last is left to the kernel.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#ifdef HAVE_LIBZ
#include <zlib.h>
#endif
#ifdef HAVE_LIBLZMA
#include <lzma.h>
#endif
#ifdef HAVE_LIBZSTD
#include <zstd.h>
#include <zstd_errors.h>
#endif
#ifdef HAVE_LIBLZ4
#include <lz4.h>
#endif
#ifdef HAVE_LIBLZO2
#include <lzo/lzo1x.h>
#endif
#ifdef HAVE_LIBBZ2
#include <bzlib.h>
#endif
#include "libtwinos.h"

#define INITRD_MAX (256u << 20)

struct output {
	uint8_t *data;
	size_t used;
	size_t max;
	size_t taken;			/* bytes of the input that the stream has */
};

/*
 * An unpacker returns 0, -EINVAL for bad data, -EFBIG when the output does not
 * fit into max, or -ENOMEM. What follows the end of the stream is left alone: the
 * kernel's build appends the unpacked size.
 */
typedef int unpack_fn(const uint8_t *in, size_t size, struct output *out);

#ifdef HAVE_LIBZ
static int unpack_gzip(const uint8_t *in, size_t size, struct output *out)
{
	z_stream z = {
		.next_in = (uint8_t *)in, .avail_in = size,
		.next_out = out->data, .avail_out = out->max,
	};
	int result;

	if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
		return -ENOMEM;
	result = inflate(&z, Z_FINISH);
	out->used = z.total_out;
	out->taken = z.total_in;
	inflateEnd(&z);
	if (result == Z_STREAM_END)
		return 0;
	return result == Z_BUF_ERROR && !z.avail_out ? -EFBIG : -EINVAL;
}
#else
#define unpack_gzip NULL
#endif

#ifdef HAVE_LIBLZMA
#define LZMA_MEMORY_MAX (256ull << 20)

static int run_lzma(lzma_stream *z, const uint8_t *in, size_t size, struct output *out)
{
	lzma_ret result;

	z->next_in = in;
	z->avail_in = size;
	z->next_out = out->data;
	z->avail_out = out->max;
	result = lzma_code(z, LZMA_FINISH);
	out->used = z->total_out;
	out->taken = z->total_in;
	lzma_end(z);
	if (result == LZMA_STREAM_END)
		return 0;
	if (result == LZMA_OK || result == LZMA_BUF_ERROR)
		return z->avail_out ? -EINVAL : -EFBIG;
	return result == LZMA_MEM_ERROR || result == LZMA_MEMLIMIT_ERROR ? -ENOMEM : -EINVAL;
}

static int unpack_xz(const uint8_t *in, size_t size, struct output *out)
{
	lzma_stream z = LZMA_STREAM_INIT;

	if (lzma_stream_decoder(&z, LZMA_MEMORY_MAX, 0) != LZMA_OK)
		return -ENOMEM;
	return run_lzma(&z, in, size, out);
}

static int unpack_lzma(const uint8_t *in, size_t size, struct output *out)
{
	lzma_stream z = LZMA_STREAM_INIT;

	if (lzma_alone_decoder(&z, LZMA_MEMORY_MAX) != LZMA_OK)
		return -ENOMEM;
	return run_lzma(&z, in, size, out);
}
#else
#define unpack_xz NULL
#define unpack_lzma NULL
#endif

#ifdef HAVE_LIBZSTD
/* One frame, in one piece: then its window may be any size, as in the kernel. */
static int unpack_zstd(const uint8_t *in, size_t size, struct output *out)
{
	const size_t frame = ZSTD_findFrameCompressedSize(in, size);
	size_t unpacked;

	if (ZSTD_isError(frame))
		return -EINVAL;
	unpacked = ZSTD_decompress(out->data, out->max, in, frame);
	if (ZSTD_isError(unpacked))
		return ZSTD_getErrorCode(unpacked) == ZSTD_error_dstSize_tooSmall ? -EFBIG :
		       ZSTD_getErrorCode(unpacked) == ZSTD_error_memory_allocation ? -ENOMEM :
		       -EINVAL;
	out->used = unpacked;
	out->taken = frame;
	return 0;
}
#else
#define unpack_zstd NULL
#endif

static inline uint32_t le32(const uint8_t *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

#ifdef HAVE_LIBLZ4
/* The legacy frame: magic, then blocks of up to 8 MiB, each behind its size. */
static int unpack_lz4(const uint8_t *in, size_t size, struct output *out)
{
	size_t at = 4;

	while (size - at > 4) {
		uint32_t block = le32(in + at);
		size_t room = out->max - out->used;
		int n;

		at += 4;
		if (!block || block > size - at || block > LZ4_COMPRESSBOUND(8 << 20))
			return -EINVAL;
		if (!room)
			return -EFBIG;
		if (room > 8 << 20)
			room = 8 << 20;
		n = LZ4_decompress_safe((const char *)in + at, (char *)out->data + out->used,
					block, room);
		if (n < 0)
			return -EINVAL;
		out->used += n;
		at += block;
	}
	out->taken = at;
	return 0;
}
#else
#define unpack_lz4 NULL
#endif

#ifdef HAVE_LIBLZO2
static inline uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

/* Flags of an lzop file's header. */
#define LZOP_ADLER32_D	0x0001
#define LZOP_ADLER32_C	0x0002
#define LZOP_CRC32_D	0x0100
#define LZOP_CRC32_C	0x0200
#define LZOP_FILTER	0x0800

/* The lzop file format: a header with a name in it, then checksummed blocks. */
static int unpack_lzo(const uint8_t *in, size_t size, struct output *out)
{
	size_t at = 9, checks_c, checks_d;
	unsigned int version;
	uint32_t flags;

	if (size < 64)
		return -EINVAL;
	version = in[at] << 8 | in[at + 1];
	at += version >= 0x0940 ? 8 : 5;
	flags = be32(in + at);
	at += flags & LZOP_FILTER ? 8 : 4;
	at += version >= 0x0940 ? 12 : 8;
	at += in[at] + 1 + 4;
	checks_d = 4 * (!!(flags & LZOP_ADLER32_D) + !!(flags & LZOP_CRC32_D));
	checks_c = 4 * (!!(flags & LZOP_ADLER32_C) + !!(flags & LZOP_CRC32_C));
	for (;;) {
		lzo_uint unpacked, packed, n;

		/* The last block is nothing but an unpacked size of 0. */
		if (at > size - 4)
			return -EINVAL;
		unpacked = be32(in + at);
		if (!unpacked) {
			out->taken = at + 4;
			return 0;
		}
		if (at > size - 8)
			return -EINVAL;
		packed = be32(in + at + 4);
		at += 8;
		if (packed > unpacked || !packed)
			return -EINVAL;
		at += checks_d;
		if (packed < unpacked)
			at += checks_c;
		if (at > size || packed > size - at)
			return -EINVAL;
		if (unpacked > out->max - out->used)
			return -EFBIG;
		n = unpacked;
		if (packed == unpacked)
			memcpy(out->data + out->used, in + at, n);
		else if (lzo1x_decompress_safe(in + at, packed, out->data + out->used,
					       &n, NULL) != LZO_E_OK || n != unpacked)
			return -EINVAL;
		out->used += n;
		at += packed;
	}
}
#else
#define unpack_lzo NULL
#endif

#ifdef HAVE_LIBBZ2
static int unpack_bzip2(const uint8_t *in, size_t size, struct output *out)
{
	bz_stream z = {
		.next_in = (char *)in, .avail_in = size,
		.next_out = (char *)out->data, .avail_out = out->max,
	};
	int result;

	if (BZ2_bzDecompressInit(&z, 0, 0) != BZ_OK)
		return -ENOMEM;
	do {
		result = BZ2_bzDecompress(&z);
	} while (result == BZ_OK && z.avail_in && z.avail_out);
	out->used = (uint64_t)z.total_out_hi32 << 32 | z.total_out_lo32;
	out->taken = size - z.avail_in;
	BZ2_bzDecompressEnd(&z);
	if (result == BZ_STREAM_END)
		return 0;
	return result == BZ_OK && !z.avail_out ? -EFBIG : -EINVAL;
}
#else
#define unpack_bzip2 NULL
#endif

static const struct compressor {
	const char *name;		/* as in CONFIG_KERNEL_* */
	const char *library;
	unpack_fn *unpack;
	unsigned int magic_size;
	const char *magic;
} compressors[] = {
	{ "GZIP", "zlib", unpack_gzip, 3, "\x1f\x8b\x08" },
	{ "XZ", "liblzma", unpack_xz, 6, "\xfd" "7zXZ\0" },
	{ "ZSTD", "libzstd", unpack_zstd, 4, "\x28\xb5\x2f\xfd" },
	{ "LZ4", "liblz4", unpack_lz4, 4, "\x02\x21\x4c\x18" },
	{ "LZO", "liblzo2", unpack_lzo, 9, "\x89LZO\0\r\n\x1a\n" },
	{ "BZIP2", "libbz2", unpack_bzip2, 3, "BZh" },
	{ "LZMA", "liblzma", unpack_lzma, 3, "\x5d\0\0" },
};

static const struct compressor *find_compressor(const uint8_t *in, size_t size)
{
	unsigned int i;

	for (i = 0; i < sizeof(compressors) / sizeof(compressors[0]); i++)
		if (size >= compressors[i].magic_size &&
		    !memcmp(in, compressors[i].magic, compressors[i].magic_size))
			return &compressors[i];
	return NULL;
}

/** unpacked_size() - what a payload says about it in its last bytes, if that can be */
uint64_t unpacked_size(const struct bzimage *image)
{
	const uint32_t size = le32(image->payload + image->payload_size - 4);

	return size < image->header.init_size ? size : image->header.init_size;
}

/**
 * unpack_payload() - what the decompressor would unpack
 * @data: to be freed; vmlinux as ELF, perhaps with relocations behind it
 *
 * A payload that cannot be unpacked is refused, whatever the entry: nothing
 * else tells whether a kernel is TwinOS-aware.
 */
int unpack_payload(const char *name, const struct bzimage *image, uint8_t **data, size_t *size)
{
	struct output out = { .max = image->header.init_size };
	const struct compressor *c;
	int err;

	*data = NULL;
	*size = 0;
	c = find_compressor(image->payload, image->payload_size);
	if (!c)
		return refuse(ENOEXEC, "%s: the payload is corrupt (no known compression)", name);
	if (!c->unpack)
		return refuse(ENOEXEC,
			      "%s: this %s was built without %s; rebuild it, or the kernel with CONFIG_KERNEL_GZIP",
			      name, twinos_program, c->library);
	out.data = malloc(out.max);
	if (!out.data)
		return refuse(ENOMEM, "%s: not enough memory to unpack it", name);
	err = c->unpack(image->payload, image->payload_size, &out);
	if (err) {
		free(out.data);
		if (err == -EFBIG)
			return refuse(ENOEXEC,
				      "%s: corrupt: the payload (%s) unpacks to more than its set-up header says",
				      name, c->name);
		if (err == -ENOMEM)
			return refuse(ENOMEM, "%s: not enough memory to unpack it (%s)",
				      name, c->name);
		return refuse(ENOEXEC, "%s: corrupt or truncated: the payload (%s) does not unpack",
			      name, c->name);
	}
	*data = out.data;
	*size = out.used;
	return 0;
}

/* Why an initrd stays packed; for kexec -d, not a refusal. */
static int leave_packed(int err, const char *why)
{
	debug("twinos: %-12s left packed: %s\n", "initrd", why);
	return -err;
}

/* Append what one stream unpacks to; 0, or the errno of leave_packed(). */
static int unpack_archive(const uint8_t *in, size_t size, struct output *out)
{
	const struct compressor *c = find_compressor(in, size);
	int err;

	if (!c)
		return leave_packed(ENOEXEC, "not only compressed archives");
	if (!c->unpack)
		return leave_packed(ENOEXEC, "this program lacks the library to unpack it");
	err = c->unpack(in, size, out);
	if (err == -EFBIG)
		return leave_packed(EFBIG, "it would take too much of the window");
	if (err == -ENOMEM)
		return leave_packed(ENOMEM, "not enough memory");
	if (err)
		return leave_packed(EINVAL, "it does not unpack");
	if (out->used < 6 || (memcmp(out->data, "070701", 6) && memcmp(out->data, "070702", 6)))
		return leave_packed(ENOEXEC, "what it unpacks to is no cpio archive");
	return 0;
}

/**
 * unpack_initrd() - what the kernel would unpack before it frees the initrd
 * @max: bytes that it may take unpacked
 * @data: to be freed; cpio archives, one behind the other
 *
 * The file must be compressed cpio archives and nothing else. Anything else is
 * not refused but for the kernel to judge, so no refusal is noted: what does
 * not begin with a compressor's magic (a plain archive, or one of microcode
 * before the compressed one), what is damaged, and what is too large.
 */
int unpack_initrd(const uint8_t *file, size_t file_size, size_t max, uint8_t **data, size_t *size)
{
	uint8_t *all, *less;
	size_t at = 0, used = 0;
	int err = 0;

	*data = NULL;
	*size = 0;
	/* Some of the libraries count in 32 bits. */
	if (max > INITRD_MAX)
		max = INITRD_MAX;
	if (!find_compressor(file, file_size))
		return leave_packed(ENOEXEC, "not compressed");
	if (file_size > max)
		return leave_packed(EFBIG, "it would take too much of the window");
	all = malloc(max);
	if (!all)
		return leave_packed(ENOMEM, "not enough memory");
	while (at < file_size) {
		struct output out = { .data = all + used, .max = max - used };

		err = unpack_archive(file + at, file_size - at, &out);
		if (err)
			break;
		at += out.taken;
		used += out.used;
		/* The kernel looks for the next archive at a multiple of 4. */
		while (used & 3 && used < max)
			all[used++] = 0;
	}
	if (err) {
		free(all);
		return err;
	}
	less = realloc(all, used);
	*data = less ? less : all;
	*size = used;
	debug("twinos: %-12s unpacked: %zu KiB from %zu KiB\n", "initrd", used >> 10,
	      file_size >> 10);
	return 0;
}
