// SPDX-License-Identifier: GPL-2.0
/*
 * Fills memory with values known from their place, waits, and compares all of
 * it: memory that another OS also uses would have changed.
 */
#include "guest.h"

static uint64_t value(uint64_t index, uint64_t salt)
{
	return (index + salt) * 0x9e3779b97f4a7c15ull;
}

int main(int argc, char **argv)
{
	uint64_t size, i, salt, *memory;

	if (argc != 3)
		usage("MEGABYTES SECONDS");
	size = number(argv[1]) << 20;
	salt = tsc();
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!size || memory == MAP_FAILED)
		failed("no %s MB of memory", argv[1]);
	for (i = 0; i < size / 8; i++)
		memory[i] = value(i, salt);
	sleep(number(argv[2]));
	for (i = 0; i < size / 8; i++) {
		if (memory[i] != value(i, salt))
			failed("word %llu is %016llx, was %016llx", (unsigned long long)i,
			       (unsigned long long)memory[i], (unsigned long long)value(i, salt));
	}
	ok("%llu MB", (unsigned long long)size >> 20);
}
