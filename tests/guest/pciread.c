// SPDX-License-Identifier: GPL-2.0
/*
 * Reads what does not change of every PCI function's configuration space, over
 * and over, and compares: pciread SECONDS. Where the kernel uses ports 0xcf8
 * and 0xcfc (pci=nommconf), a kernel on another CPU that uses them at the same
 * moment and without a lock makes it read another function's registers.
 */
#include "guest.h"

#include <dirent.h>
#include <fcntl.h>

#define FUNCTIONS	64
#define WORDS		7

/* Identity, class, addresses: neither command and status nor MSI-X. */
static const off_t offsets[WORDS] = { 0x00, 0x08, 0x10, 0x14, 0x20, 0x24, 0x2c };

static struct {
	int fd;
	char name[16];
	uint32_t first[WORDS];
} functions[FUNCTIONS];

static uint32_t get(int f, int word)
{
	uint32_t value;

	if (pread(functions[f].fd, &value, sizeof(value), offsets[word]) != sizeof(value))
		failed("%s: %s", functions[f].name, strerror(errno));
	return value;
}

int main(int argc, char **argv)
{
	static const char devices[] = "/sys/bus/pci/devices";
	DIR *directory = opendir(devices);
	struct dirent *entry;
	uint64_t end, reads = 0;
	char path[300];
	int nr = 0, f, w;

	if (argc != 2)
		usage("SECONDS");
	end = nanoseconds(CLOCK_MONOTONIC) + number(argv[1]) * 1000000000ull;
	while (directory && nr < FUNCTIONS && (entry = readdir(directory))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s/config", devices, entry->d_name);
		snprintf(functions[nr].name, sizeof(functions[nr].name), "%.15s", entry->d_name);
		functions[nr].fd = open(path, O_RDONLY);
		if (functions[nr].fd < 0)
			failed("%s: %s", path, strerror(errno));
		for (w = 0; w < WORDS; w++)
			functions[nr].first[w] = get(nr, w);
		nr++;
	}
	if (!nr)
		failed("there is no PCI function");
	while (nanoseconds(CLOCK_MONOTONIC) < end)
		for (f = 0; f < nr; f++)
			for (w = 0; w < WORDS; w++, reads++) {
				uint32_t now = get(f, w);

				if (now != functions[f].first[w])
					failed("%s at %#x: %#x, was %#x", functions[f].name,
					       (unsigned int)offsets[w], now, functions[f].first[w]);
			}
	ok("functions %d reads %llu", nr, (unsigned long long)reads);
}
