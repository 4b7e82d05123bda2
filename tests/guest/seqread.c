// SPDX-License-Identifier: GPL-2.0
/*
 * Sequential read of a block device past the page cache, timed with the TSC:
 * several rounds over the same stretch, one line with the median, so that one
 * slow round of the host does not decide.
 */
#include "guest.h"

#include <fcntl.h>

#define BLOCK		131072
#define MAX_ROUNDS	101

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	uint64_t ticks[MAX_ROUNDS], size, rounds, round, offset, begin;
	void *block;
	int fd;

	if (argc != 4)
		usage("DEVICE SIZE_KB ROUNDS");
	size = number(argv[2]) * 1024;
	rounds = number(argv[3]);
	if (!size || size % BLOCK || !rounds || rounds > MAX_ROUNDS)
		usage("DEVICE SIZE_KB ROUNDS (size: a multiple of 128 KB; at most 101 rounds)");
	fd = open(argv[1], O_RDONLY | O_DIRECT);
	if (fd < 0)
		failed("%s: %s", argv[1], strerror(errno));
	if (posix_memalign(&block, 4096, BLOCK))
		failed("no memory");
	memset(block, 0, BLOCK);

	for (round = 0; round < rounds; round++) {
		begin = tsc();
		for (offset = 0; offset < size; offset += BLOCK) {
			if (pread(fd, block, BLOCK, offset) != BLOCK)
				failed("read at %llu: %s", (unsigned long long)offset,
				       strerror(errno));
		}
		ticks[round] = tsc() - begin;
	}
	qsort(ticks, rounds, sizeof(ticks[0]), ascending);
	ok("%s kb %llu rounds %llu ticks_min %llu ticks_median %llu ticks_max %llu", argv[1],
	   (unsigned long long)size / 1024, (unsigned long long)rounds,
	   (unsigned long long)ticks[0], (unsigned long long)ticks[rounds / 2],
	   (unsigned long long)ticks[rounds - 1]);
}
