// SPDX-License-Identifier: GPL-2.0
/*
 * What memory a boot of this machine can withhold for coexisting OSes, and which NUMA node it is
 * of. That is not what is free now: the running OS uses most of it, and may do so until the next
 * boot. What that boot needs for itself stays out, as this one shows it: the kernel's image, the
 * boot loader's initrd, memory for a crash kernel, and what firmware or the kernel have reserved.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "libtwinos.h"

#define MIB (UINT64_C(1) << 20)

/* A later kernel of the same machine may be larger, and need more to unpack itself. */
#define KERNEL_MARGIN (64 * MIB)
/*
 * Boot loaders put the initrd as high as they can: a larger one begins lower, and what the loader
 * has above it changes a little from boot to boot.
 */
#define INITRD_MARGIN_BELOW (64 * MIB)
#define INITRD_MARGIN_ABOVE (16 * MIB)

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

struct iomem {
	struct ranges ram;		/* the running OS's, and what was withheld from it */
	struct ranges reserved;		/* of it, without the kernel's image */
	uint64_t kernel, kernel_end;	/* of the running OS's image; both 0 if it is not told */
};

/*
 * /proc/iomem, where two blanks are one level:
 * "00100000-7ffd9fff : System RAM" and in it "  10000000-107fffff : Kernel code".
 */
static int take_line(struct iomem *map, const char *path, const char *line, bool *in_ram,
		     bool *hidden)
{
	uint64_t first, last;
	const char *name;
	int at = 0;

	if (sscanf(line, " %" SCNx64 "-%" SCNx64 " : %n", &first, &last, &at) != 2 || !at ||
	    last < first || last == UINT64_MAX)
		return refuse(EIO, "%s has a line that is not understood: %s", path, line);
	name = line + at;
	if (last)
		*hidden = false;
	if (!isspace((unsigned char)*line))
		*in_ram = !strcmp(name, "System RAM");
	if (begins(name, "TwinOS window") ||
	    (*in_ram && !isspace((unsigned char)*line)))
		return add_range(&map->ram, first, last + 1);
	if (!*in_ram)
		return 0;
	if (!begins(name, "Kernel "))
		return add_range(&map->reserved, first, last + 1);
	if (!map->kernel_end || first < map->kernel)
		map->kernel = first;
	if (last + 1 > map->kernel_end)
		map->kernel_end = last + 1;
	return 0;
}

static int read_iomem(const struct roots *roots, struct iomem *map)
{
	bool in_ram = false, hidden = true;
	char path[300], *text, *rest, *line;
	int err;

	snprintf(path, sizeof(path), "%s/iomem", roots->proc);
	err = read_file(path, &text, NULL);
	if (err)
		return refuse(-err, "%s cannot be read: %s; is /proc mounted?", path, strerror(-err));
	for (rest = text; !err && (line = next_line(&rest)); )
		err = take_line(map, path, line, &in_ram, &hidden);
	free(text);
	if (!err && hidden)
		err = refuse(EPERM, "%s does not show addresses; be root", path);
	return err;
}

/* What firmware says is RAM, whatever the running kernel's command line says of it. */
static int read_firmware_ram(const struct roots *roots, struct ranges *ram)
{
	struct memory_map firmware = { 0 };
	unsigned int i;
	int err = read_firmware_map(roots->sys, &firmware);

	for (i = 0; i < firmware.nr && !err; i++)
		if (!strcmp(firmware.range[i].name, "System RAM"))
			err = add_range(ram, firmware.range[i].start, firmware.range[i].end);
	free(firmware.range);
	return err;
}

/* What the boot loader told the running kernel; false if it is not known any more. */
static bool read_boot_params(const struct roots *roots, struct boot_params *params)
{
	char path[300], *data;
	size_t size;
	bool good;

	snprintf(path, sizeof(path), "%s/kernel/boot_params/data", roots->sys);
	if (read_file(path, &data, &size))
		return false;
	good = size >= sizeof(*params);
	if (good)
		memcpy(params, data, sizeof(*params));
	free(data);
	return good;
}

static uint64_t below(uint64_t address, uint64_t bytes)
{
	return address > bytes ? address - bytes : 0;
}

/**
 * read_spare() - the memory that the next boot can withhold
 * @spare: filled in; free_spare() in any case
 */
int read_spare(const struct roots *roots, struct spare *spare)
{
	struct boot_params params;
	struct iomem map = { 0 };
	uint64_t initrd, size;
	unsigned int i;
	int err;

	*spare = (struct spare){ 0 };
	err = read_firmware_ram(roots, &spare->ram);
	if (!err)
		err = read_iomem(roots, &map);
	for (i = 0; i < spare->ram.nr && !err; i++)
		err = add_range(&spare->free, spare->ram.range[i].start,
				range_end(&spare->ram.range[i]));
	if (!err)
		err = intersect_ranges(&spare->free, &map.ram);
	for (i = 0; i < map.reserved.nr && !err; i++)
		err = subtract_range(&spare->free, map.reserved.range[i].start,
				     range_end(&map.reserved.range[i]));
	if (map.kernel_end)
		spare->kernel = (struct range){ map.kernel,
						map.kernel_end + KERNEL_MARGIN - map.kernel };
	spare->knows_boot = read_boot_params(roots, &params);
	if (spare->knows_boot && !err) {
		spare->kernel_moves = params.hdr.loadflags & KASLR_FLAG;
		initrd = params.hdr.ramdisk_image | (uint64_t)params.ext_ramdisk_image << 32;
		size = params.hdr.ramdisk_size | (uint64_t)params.ext_ramdisk_size << 32;
		if (size)
			err = subtract_range(&spare->free, below(initrd, INITRD_MARGIN_BELOW),
					     initrd + size + INITRD_MARGIN_ABOVE);
	}
	free_ranges(&map.ram);
	free_ranges(&map.reserved);
	return err;
}

void free_spare(struct spare *spare)
{
	free_ranges(&spare->ram);
	free_ranges(&spare->free);
}

/* Memory blocks have one size, which is written in hexadecimal digits. */
static uint64_t block_size(const struct roots *roots)
{
	char directory[300], text[32];

	snprintf(directory, sizeof(directory), "%s/devices/system/memory", roots->sys);
	if (read_text(directory, "block_size_bytes", text, sizeof(text)))
		return 0;
	return strtoull(text, NULL, 16);
}

/*
 * The blocks of a node, with the withheld memory between two of them, for which there are no
 * blocks: no other node's is there, as the caller sees to.
 */
static int read_blocks(const struct roots *roots, unsigned int node, uint64_t size,
		       struct ranges *blocks)
{
	char path[300], *end;
	struct dirent *entry;
	int err = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/devices/system/node/node%u", roots->sys, node);
	dir = opendir(path);
	if (!dir)
		return refuse(errno, "%s cannot be read: %s", path, strerror(errno));
	while (!err && (errno = 0, entry = readdir(dir))) {
		unsigned long long number;

		if (!begins(entry->d_name, "memory") || !isdigit((unsigned char)entry->d_name[6]))
			continue;
		number = strtoull(entry->d_name + 6, &end, 10);
		if (!*end && number <= UINT64_MAX / size - 1)
			err = add_range(blocks, number * size, (number + 1) * size);
	}
	if (!err && errno)
		err = refuse(errno, "%s cannot be read: %s", path, strerror(errno));
	closedir(dir);
	return err;
}

/**
 * read_nodes_memory() - which memory is of which node
 * @nodes: their numbers
 * @memory: filled in, one for each; all zero before
 *
 * Memory that no block has, as it was withheld at boot, is of a node if what is on either side of
 * it is of that one. A machine without such files has one node, and all is its.
 */
int read_nodes_memory(const struct roots *roots, const unsigned int *nodes, unsigned int nr,
		      struct ranges *memory)
{
	const uint64_t size = block_size(roots);
	uint64_t from = 0;
	unsigned int i, j, owner = 0;
	int err = 0;

	if (nr == 1 || !size)
		return nr ? add_range(&memory[0], 0, UINT64_MAX) : 0;
	for (i = 0; i < nr && !err; i++)
		err = read_blocks(roots, nodes[i], size, &memory[i]);
	/* The nodes' ranges in the order of addresses: each hole is whose neighbours are. */
	while (!err) {
		const struct range *next = NULL;
		unsigned int whose = 0;

		for (i = 0; i < nr; i++)
			for (j = 0; j < memory[i].nr; j++)
				if (memory[i].range[j].start >= from &&
				    (!next || memory[i].range[j].start < next->start)) {
					next = &memory[i].range[j];
					whose = i;
				}
		if (!next)
			break;
		if (from && whose == owner) {
			const uint64_t hole = from, end = next->start, last = range_end(next);

			err = add_range(&memory[owner], hole, end);
			from = last;
		} else {
			owner = whose;
			from = range_end(next);
		}
	}
	if (!err && from)		/* what is above all blocks */
		err = add_range(&memory[owner], from, UINT64_MAX);
	return err;
}
