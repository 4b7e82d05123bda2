/* SPDX-License-Identifier: GPL-2.0 */
/* Who has what of the machine, for the command that shows it and for its picture. */
#ifndef TWINOS_MAP_H
#define TWINOS_MAP_H

#include "common.h"

enum part {
	PART_LEADING,
	PART_WINDOW,
	PART_LOW,
	PART_UNUSED,			/* withheld by twinos=, and nobody's */
	PART_WITHHELD,			/* by something else, as memmap= */
};

/* A piece of memory. */
struct piece {
	struct range range;
	uint64_t size;			/* of the RAM in it; the leading OS's has small holes */
	enum part part;
	const struct os *os;		/* whose it is; PART_UNUSED: whose it was, or NULL */
};

enum cpu_use { CPU_LEADING, CPU_SHARED, CPU_OWN, CPU_OFFLINE };

struct map_cpu {
	uint32_t number;
	enum cpu_use use;
	const struct os *os;		/* that has it; CPU_LEADING: that will, once launched */
};

struct map {
	struct os_list oses;
	unsigned int nr_pieces, nr_cpus;
	struct piece *piece;		/* from low to high */
	struct map_cpu *cpu;
};

const char *os_title(const struct os *os, char *text, size_t size);
const char *piece_owner(const struct piece *p, char *text, size_t size);
const char *format_size(uint64_t size, char *text, size_t room);
unsigned int os_functions(const struct os *os, struct twinos_pci *functions);
void draw_map(const struct map *map, const char *path);

#endif
