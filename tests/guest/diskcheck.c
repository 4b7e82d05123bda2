// SPDX-License-Identifier: GPL-2.0
/*
 * Writes known data to a block device past the page cache, reads it back and
 * compares every word, pass after pass with changing data, until the time is
 * over. One pass is always done in whole.
 */
#include "guest.h"

#include <fcntl.h>

#define BLOCK	65536

/* What belongs at a byte offset in a pass: differs in every word. */
static uint64_t pattern(uint64_t pass, uint64_t offset)
{
	uint64_t x = offset ^ pass << 48 ^ 0x9e3779b97f4a7c15ull;

	x ^= x >> 31;
	x *= 0xbf58476d1ce4e5b9ull;
	return x ^ x >> 29;
}

int main(int argc, char **argv)
{
	uint64_t start, size, end, pass, offset, i, *block;
	int fd;

	if (argc != 5)
		usage("DEVICE START_KB SIZE_KB SECONDS");
	start = number(argv[2]) * 1024;
	size = number(argv[3]) * 1024;
	if (!size || size % BLOCK)
		usage("DEVICE START_KB SIZE_KB SECONDS (size: a multiple of 64 KB)");
	end = nanoseconds(CLOCK_MONOTONIC) + number(argv[4]) * 1000000000ull;
	fd = open(argv[1], O_RDWR | O_DIRECT);
	if (fd < 0)
		failed("%s: %s", argv[1], strerror(errno));
	if (posix_memalign((void **)&block, 4096, BLOCK))
		failed("no memory");

	for (pass = 1; pass == 1 || nanoseconds(CLOCK_MONOTONIC) < end; pass++) {
		for (offset = start; offset < start + size; offset += BLOCK) {
			for (i = 0; i < BLOCK / 8; i++)
				block[i] = pattern(pass, offset + i * 8);
			if (pwrite(fd, block, BLOCK, offset) != BLOCK)
				failed("write at %llu: %s", (unsigned long long)offset,
				       strerror(errno));
		}
		for (offset = start; offset < start + size; offset += BLOCK) {
			memset(block, 0, BLOCK);
			if (pread(fd, block, BLOCK, offset) != BLOCK)
				failed("read at %llu: %s", (unsigned long long)offset,
				       strerror(errno));
			for (i = 0; i < BLOCK / 8; i++) {
				if (block[i] == pattern(pass, offset + i * 8))
					continue;
				failed("pass %llu, byte %llu: read %016llx, wrote %016llx",
				       (unsigned long long)pass,
				       (unsigned long long)(offset + i * 8),
				       (unsigned long long)block[i],
				       (unsigned long long)pattern(pass, offset + i * 8));
			}
		}
	}
	ok("%s passes %llu kb %llu", argv[1], (unsigned long long)(pass - 1),
	   (unsigned long long)((pass - 1) * size / 1024));
}
