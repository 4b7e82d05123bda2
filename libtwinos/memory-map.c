// SPDX-License-Identifier: GPL-2.0
/*
 * What memory the machine has (/sys/firmware/memmap, which memmap= on the
 * command line does not change) and what of it the running OS uses
 * (/proc/iomem). A window must be the former and not the latter: the opposite
 * of what an ordinary kexec_load asks for.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "libtwinos.h"

#define PAGE 4096ull

static int add(struct memory_map *map, uint64_t first, uint64_t last, const char *name)
{
	struct memory *m;

	/* Twice the room whenever it is full, which it is at each power of two. */
	if (!(map->nr & (map->nr - 1))) {
		m = reallocarray(map->range, map->nr ? map->nr * 2 : 1, sizeof(*m));
		if (!m)
			return refuse(ENOMEM, "not enough memory for the memory map");
		map->range = m;
	}
	m = &map->range[map->nr++];
	m->start = first;
	m->end = last + 1;
	snprintf(m->name, sizeof(m->name), "%s", name);
	return 0;
}

static int by_start(const void *a, const void *b)
{
	const struct memory *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* An empty map; what it held is freed. */
static void clear(struct memory_map *map)
{
	free(map->range);
	*map = (struct memory_map){ 0 };
}

static void sort(struct memory_map *map)
{
	if (map->nr)
		qsort(map->range, map->nr, sizeof(map->range[0]), by_start);
}

static int read_hex(const char *directory, const char *entry, const char *file, uint64_t *value)
{
	char path[600], text[64], *end;

	snprintf(path, sizeof(path), "%s/%s", directory, entry);
	if (read_text(path, file, text, sizeof(text)))
		return -EIO;
	errno = 0;
	*value = strtoull(text, &end, 16);
	return errno || end == text || *end ? -EIO : 0;
}

/**
 * read_firmware_map() - the map that the firmware gave, sorted
 * @sys: root of sysfs
 * @map: read before, or all zero
 */
int read_firmware_map(const char *sys, struct memory_map *map)
{
	char directory[300], path[600], type[48];
	struct dirent *entry;
	uint64_t first, last;
	int err = 0;
	DIR *dir;

	clear(map);
	snprintf(directory, sizeof(directory), "%s/firmware/memmap", sys);
	dir = opendir(directory);
	if (!dir)
		return refuse(ENOENT,
			      "%s is missing; the running kernel needs CONFIG_FIRMWARE_MEMMAP",
			      directory);
	while (!err && (errno = 0, entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		if (read_hex(directory, entry->d_name, "start", &first) ||
		    read_hex(directory, entry->d_name, "end", &last) || last < first ||
		    read_text(path, "type", type, sizeof(type)))
			err = refuse(EIO, "%s/%s cannot be read; run %s as root",
				     directory, entry->d_name, twinos_program);
		else
			err = add(map, first, last, type);
	}
	if (!err && errno)
		err = refuse(errno, "%s cannot be read: %s", directory, strerror(errno));
	closedir(dir);
	if (!err && !map->nr)
		err = refuse(ENOENT, "%s is empty: the firmware's memory map is not known",
			     directory);
	sort(map);
	return err;
}

/* Ranges of /proc/iomem that say "not RAM for this OS" over what may be RAM. */
static bool withheld(const char *name)
{
	return !strcmp(name, "Reserved") || !strcmp(name, "reserved") ||
	       !strncmp(name, "TwinOS", 6);
}

/**
 * read_used_map() - what the running OS uses, nested ranges included
 * @proc: root of procfs
 * @map: read before, or all zero
 */
int read_used_map(const char *proc, struct memory_map *map)
{
	char path[300], *text, *rest, *line;
	bool hidden = true;
	int err;

	clear(map);
	snprintf(path, sizeof(path), "%s/iomem", proc);
	err = read_file(path, &text, NULL);
	if (err)
		return refuse(-err, "%s cannot be read: %s; is /proc mounted?", path, strerror(-err));
	for (rest = text; !err && (line = next_line(&rest)); ) {
		uint64_t first, last;
		int name = 0;

		if (sscanf(line, " %" SCNx64 "-%" SCNx64 " : %n", &first, &last, &name) != 2 ||
		    !name || last < first) {
			err = refuse(EIO, "%s has a line that is not understood: %s", path, line);
			continue;
		}
		if (last)
			hidden = false;
		if (!withheld(line + name))
			err = add(map, first, last, line + name);
	}
	free(text);
	if (!err && hidden)
		err = refuse(EPERM, "%s does not show addresses; run %s as root", path,
			     twinos_program);
	sort(map);
	return err;
}

/* First byte at or above start that is not firmware RAM; start if it is none. */
static uint64_t ram_end(uint64_t start, const struct memory_map *firmware)
{
	unsigned int i;

	for (i = 0; i < firmware->nr; i++) {
		const struct memory *m = &firmware->range[i];

		if (!strcmp(m->name, "System RAM") && m->start <= start && m->end > start)
			start = m->end;
	}
	return start;
}

/* The innermost range in use that overlaps, which is the best name for it. */
static const struct memory *user_of(uint64_t start, uint64_t end, const struct memory_map *used)
{
	const struct memory *found = NULL;
	unsigned int i;

	for (i = 0; i < used->nr; i++) {
		const struct memory *m = &used->range[i];

		if (m->start >= end || m->end - 1 < start)
			continue;
		if (!found || m->end - m->start < found->end - found->start)
			found = m;
	}
	return found;
}

/**
 * check_free() - is a range RAM, and not the running OS's?
 * @what: "the window", for the refusal
 */
int check_free(const char *what, const struct range *r, const struct memory_map *firmware,
	       const struct memory_map *used)
{
	const uint64_t end = range_end(r);
	const struct memory *user = user_of(r->start, end, used);
	uint64_t ram = ram_end(r->start, firmware);

	if (end <= r->start)
		return refuse(ERANGE,
			      "%s from %#" PRIx64 " on wraps around the end of the address space; choose another range",
			      what, r->start);
	if (ram < end)
		return refuse(EADDRNOTAVAIL,
			      "%s %#" PRIx64 "-%#" PRIx64 " is not RAM from %#" PRIx64 " on; choose another range",
			      what, r->start, end - 1, ram);
	if (user && r->size == PAGE)
		return refuse(EADDRNOTAVAIL,
			      "%s %#" PRIx64 " (%s at %#" PRIx64 ") is in use by the running OS; boot it with twinos=SIZE@%#" PRIx64,
			      what, r->start, user->name, user->start, r->start);
	if (user)
		return refuse(EADDRNOTAVAIL,
			      "%s %#" PRIx64 "-%#" PRIx64 " (%s at %#" PRIx64 ") is in use by the running OS; boot it with twinos=%" PRIu64 "%s@%#" PRIx64,
			      what, r->start, end - 1, user->name, user->start,
			      r->size >> (r->size & 0xfffff ? 10 : 20),
			      r->size & 0xfffff ? "K" : "M", r->start);
	return 0;
}

/**
 * free_run() - how far free RAM reaches from an address on
 * @end: first byte that is not RAM or is in use
 */
int free_run(uint64_t start, const struct memory_map *firmware,
	     const struct memory_map *used, uint64_t *end)
{
	const struct range first = { start, PAGE };
	unsigned int i;
	int err = check_free("the window at", &first, firmware, used);

	if (err)
		return err;
	*end = ram_end(start, firmware);
	for (i = 0; i < used->nr; i++)
		if (used->range[i].start >= start && used->range[i].start < *end)
			*end = used->range[i].start;
	*end &= ~(PAGE - 1);
	return 0;
}
