// SPDX-License-Identifier: GPL-2.0
/*
 * A PCI function in bad hands: QEMU's "edu" device, which copies between its own buffer and any
 * address, and raises an interrupt when told to, without a driver.
 *
 * hostile page              has a page, says its physical address, and whether somebody
 *                           writes to it, until its input ends
 * hostile common WINDOW     says where the page is that all kernels have in common
 * hostile write BDF PA...   lets the function write its buffer to physical addresses
 * hostile read BDF PA...    lets it read such pages
 * hostile msi BDF ADDRESS DATA...   lets it send messages of any kind
 */
#include "guest.h"

#include <fcntl.h>
#include <poll.h>
#include <twinos/abi.h>

#define PATTERN		0x5a
#define SIZE		64	/* bytes copied at a time */
#define BUFFER		0x40000

/* Registers, see QEMU's docs/specs/edu. */
#define RAISE		0x60
#define ACKNOWLEDGE	0x64
#define DMA_FROM	0x80
#define DMA_TO		0x88
#define DMA_COUNT	0x90
#define DMA_COMMAND	0x98
#define START		1
#define FROM_DEVICE	2

static volatile uint8_t *registers;
static int config;

static void put64(int at, uint64_t value)
{
	*(volatile uint64_t *)(registers + at) = value;
}

static void put_config(off_t at, const void *value, size_t size)
{
	if (pwrite(config, value, size, at) != (ssize_t)size)
		failed("configuration space: %s", strerror(errno));
}

static uint8_t get_config(off_t at)
{
	uint8_t value;

	if (pread(config, &value, 1, at) != 1)
		failed("configuration space: %s", strerror(errno));
	return value;
}

static void open_function(const char *bdf)
{
	const uint16_t command = 0x406;		/* memory, master, no INTx */
	char path[100];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", bdf);
	config = open(path, O_RDWR);
	if (config < 0)
		failed("%s: %s", path, strerror(errno));
	put_config(4, &command, sizeof(command));
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource0", bdf);
	fd = open(path, O_RDWR);
	registers = mmap(NULL, 0x100000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd < 0 || registers == MAP_FAILED)
		failed("%s: %s", path, strerror(errno));
}

static uint64_t physical(const void *page)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY);

	if (pread(fd, &entry, sizeof(entry), (uintptr_t)page / 4096 * 8) != sizeof(entry) ||
	    !(entry >> 63))
		failed("pagemap");
	close(fd);
	return (entry & ((1ull << 55) - 1)) * 4096;
}

static uint8_t *own_page(int fill)
{
	uint8_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED | MAP_POPULATE, -1, 0);

	if (page == MAP_FAILED)
		failed("mmap: %s", strerror(errno));
	memset(page, fill, 4096);
	return page;
}

static void copy(uint64_t from, uint64_t to, uint64_t direction)
{
	put64(DMA_FROM, from);
	put64(DMA_TO, to);
	put64(DMA_COUNT, SIZE);
	put64(DMA_COMMAND, START | direction);
	while (*(volatile uint64_t *)(registers + DMA_COMMAND) & START)
		usleep(1000);
}

static void send(uint64_t address, uint32_t data)
{
	const uint16_t on = 1;
	uint32_t half;
	int cap;

	for (cap = get_config(0x34); cap && get_config(cap) != 5; cap = get_config(cap + 1))
		;
	if (!cap)
		failed("no MSI");
	half = address;
	put_config(cap + 4, &half, 4);
	half = address >> 32;
	put_config(cap + 8, &half, 4);
	put_config(cap + 12, &data, 2);
	put_config(cap + 2, &on, 2);
	*(volatile uint32_t *)(registers + RAISE) = 1;
	*(volatile uint32_t *)(registers + ACKNOWLEDGE) = 1;
}

__attribute__((noreturn))
static void hold_page(void)
{
	struct pollfd input = { .events = POLLIN };
	uint8_t *page = own_page(PATTERN);
	char byte;
	int i;

	printf("hostile: page %#llx\n", (unsigned long long)physical(page));
	fflush(stdout);
	do {
		for (i = 0; i < 4096; i++)
			if (page[i] != PATTERN)
				failed("somebody has written to the page");
	} while (!poll(&input, 1, 100) || read(0, &byte, 1) > 0);
	ok("the page is whole");
}

static int find_common(uint64_t window)
{
	int fd = open("/dev/mem", O_RDONLY);
	struct twinos_shared *shared = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd,
					    window + TWINOS_SHARED_OFFSET);

	if (fd < 0 || shared == MAP_FAILED)
		failed("/dev/mem: %s", strerror(errno));
	printf("%#llx\n", (unsigned long long)shared->common);
	return 0;
}

int main(int argc, char **argv)
{
	uint8_t *page;
	int i, k;

	if (argc == 2 && !strcmp(argv[1], "page"))
		hold_page();
	if (argc == 3 && !strcmp(argv[1], "common"))
		return find_common(number(argv[2]));
	if (argc < 4)
		usage("page | common WINDOW | write BDF PA... | read BDF PA... | msi BDF ADDRESS DATA...");
	open_function(argv[2]);
	if (!strcmp(argv[1], "msi")) {
		for (i = 3; i + 1 < argc; i += 2)
			send(number(argv[i]), number(argv[i + 1]));
		ok("sent");
	}
	/* Its own memory it does reach, by a way there and back. */
	page = own_page(0xcc);
	copy(physical(page), BUFFER, 0);
	memset(page, 0, 4096);
	copy(BUFFER, physical(page), FROM_DEVICE);
	for (i = 0; i < SIZE; i++)
		if (page[i] != 0xcc)
			failed("no DMA to memory of its own");
	for (i = 3; i < argc; i++) {
		if (!strcmp(argv[1], "write")) {
			copy(BUFFER, number(argv[i]), FROM_DEVICE);
			continue;
		}
		copy(number(argv[i]), BUFFER, 0);
		copy(BUFFER, physical(page), FROM_DEVICE);
		for (k = 0; k < SIZE && page[k] == PATTERN; k++)
			;
		if (k == SIZE)
			failed("could read at %s", argv[i]);
	}
	ok("tried");
}
