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
#include "twinos.h"

#define PAGE 4096ull

static int add(struct memory_map *map, uint64_t first, uint64_t last, const char *name)
{
	struct memory *m;

	if (map->nr == MEMORY_MAP_MAX)
		return refuse(E2BIG, "the memory map has more than %d ranges", MEMORY_MAP_MAX);
	m = &map->range[map->nr++];
	m->start = first;
	m->end = last + 1;
	snprintf(m->name, sizeof(m->name), "%s", name);
	return 0;
}

static int by_start(const void *a, const void *b)
{
	const struct memory *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return 0;
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
 */
int read_firmware_map(const char *sys, struct memory_map *map)
{
	char directory[300], path[600], type[48];
	struct dirent *entry;
	uint64_t first, last;
	int err = 0;
	DIR *dir;

	map->nr = 0;
	snprintf(directory, sizeof(directory), "%s/firmware/memmap", sys);
	dir = opendir(directory);
	if (!dir)
		return refuse(ENOENT,
			      "%s is missing; the running kernel needs CONFIG_FIRMWARE_MEMMAP",
			      directory);
	while (!err && (entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		if (read_hex(directory, entry->d_name, "start", &first) ||
		    read_hex(directory, entry->d_name, "end", &last) || last < first ||
		    read_text(path, "type", type, sizeof(type)))
			err = refuse(EIO, "%s/%s cannot be read; run kexec as root",
				     directory, entry->d_name);
		else
			err = add(map, first, last, type);
	}
	closedir(dir);
	if (!err && !map->nr)
		err = refuse(ENOENT, "%s is empty: the firmware's memory map is not known",
			     directory);
	qsort(map->range, map->nr, sizeof(map->range[0]), by_start);
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
 */
int read_used_map(const char *proc, struct memory_map *map)
{
	char path[300], line[256];
	bool hidden = true;
	int err = 0;
	FILE *file;

	map->nr = 0;
	snprintf(path, sizeof(path), "%s/iomem", proc);
	file = fopen(path, "r");
	if (!file)
		return refuse(errno, "%s cannot be read; is /proc mounted?", path);
	while (!err && fgets(line, sizeof(line), file)) {
		uint64_t first, last;
		int name = 0;

		line[strcspn(line, "\n")] = 0;
		if (sscanf(line, " %" SCNx64 "-%" SCNx64 " : %n", &first, &last, &name) != 2 ||
		    !name || last < first) {
			err = refuse(EIO, "%s has a line that is not understood: %s", path, line);
			break;
		}
		if (last)
			hidden = false;
		if (!withheld(line + name))
			err = add(map, first, last, line + name);
	}
	fclose(file);
	if (!err && hidden)
		err = refuse(EPERM, "%s does not show addresses; run kexec as root", path);
	qsort(map->range, map->nr, sizeof(map->range[0]), by_start);
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

/* Line nr of /sys/kernel/twinos/windows: 0xSTART-0xEND[ low 0xSTART-0xEND]. */
static bool booted_window(const struct roots *roots, unsigned int nr, struct range *window,
			  struct range *low)
{
	uint64_t first, last, low_first, low_last;
	char directory[300], text[4096], *line, *next;
	int fields;

	snprintf(directory, sizeof(directory), "%s/kernel/twinos", roots->sys);
	if (read_text(directory, "windows", text, sizeof(text)))
		return false;
	for (line = text; *line; line = next) {
		next = line + strcspn(line, "\n");
		if (*next)
			*next++ = 0;
		if (nr--)
			continue;
		fields = sscanf(line, "%" SCNx64 "-%" SCNx64 " low %" SCNx64 "-%" SCNx64,
				&first, &last, &low_first, &low_last);
		if (fields < 2 || last < first)
			return false;
		*window = (struct range){ first, last - first + 1 };
		*low = (struct range){ 0, 0 };
		if (fields == 4 && low_last > low_first)
			*low = (struct range){ low_first, low_last - low_first + 1 };
		return true;
	}
	return false;
}

/* The window of twinos= around an address, and its low slice; false if there is none. */
static bool booted_window_at(const struct roots *roots, uint64_t address, struct range *window,
			     struct range *low)
{
	unsigned int i;

	for (i = 0; booted_window(roots, i, window, low); i++)
		if (address >= window->start && address < range_end(window))
			return true;
	return false;
}

/* Up to where its window of twinos= ends, or another OS's begins. */
static uint64_t end_before_others(const struct roots *roots, const struct os_list *oses,
				  uint32_t id, uint64_t start, uint64_t end)
{
	struct range booted, low;
	const struct os *os;

	if (booted_window_at(roots, start, &booted, &low) && range_end(&booted) < end)
		end = range_end(&booted);
	for (os = next_claim(oses, NULL, id); os; os = next_claim(oses, os, id))
		if (os->window.size && os->window.start > start && os->window.start < end)
			end = os->window.start;
	return end;
}

/*
 * A load without a number replaces what is loaded for the same window, and not
 * launched yet; else it gets a number that is free.
 */
static int number_for(const struct os_list *oses, uint64_t window_start, uint32_t *id)
{
	const struct os *os;

	if (*id)
		return 0;
	for (os = next_claim(oses, NULL, 0); os; os = next_claim(oses, os, 0))
		if (!os_running(os) && os->window.start == window_start) {
			*id = os->id;
			return 0;
		}
	*id = free_id(oses);
	if (*id)
		return 0;
	return refuse(EBUSY, "all %d numbers of coexisting OSes are in use; unload or stop one first",
		      TWINOS_MAX_ID);
}

/* Every window has an owner: name them. */
static int refuse_windows(const struct roots *roots, const struct os_list *oses)
{
	struct range window, low;
	char text[300] = "";
	const struct os *os;
	unsigned int i;
	size_t used = 0;

	for (i = 0; booted_window(roots, i, &window, &low) && used < sizeof(text); i++) {
		os = memory_owner(oses, &window, 0, NULL);
		used += snprintf(text + used, sizeof(text) - used,
				 "%s%#" PRIx64 "-%#" PRIx64 " by coexisting OS %u (%s)",
				 i ? ", " : "", window.start, range_end(&window) - 1,
				 os->id, state_name(os->state));
	}
	return refuse(EADDRNOTAVAIL,
		      "every window is in use: %s; stop or unload one of them, or give --mem-min=ADDRESS",
		      text);
}

/*
 * The first withheld window that no other OS uses. If there is none, the load
 * replaces what is loaded, and not launched yet, for one of them.
 */
static int find_booted_window(const struct roots *roots, const struct os_list *oses, uint32_t id,
			      struct range *window)
{
	const struct os *os;
	struct range low;
	unsigned int i;

	for (i = 0; booted_window(roots, i, window, &low); i++)
		if (!memory_owner(oses, window, id, NULL))
			return 0;
	if (!i)
		return refuse(EINVAL,
			      "no window is known; give --mem-min=ADDRESS, or boot the running OS with twinos=SIZE@ADDRESS");
	for (i = 0; !id && booted_window(roots, i, window, &low); i++) {
		os = memory_owner(oses, window, 0, NULL);
		if (!os_running(os) && os->window.start == window->start)
			return 0;
	}
	return refuse_windows(roots, oses);
}

/* The low slice that goes with the window, unless another OS has it already. */
static int find_low(const struct roots *roots, const struct share_options *options,
		    const struct os_list *oses, uint32_t id, const struct range *window,
		    struct range *low)
{
	const struct os *owner = NULL;
	struct range booted, booted_low;

	*low = options->low;
	if (low->size)
		return check_memory(oses, "the low slice", low, id);
	if (!options->has_low && booted_window_at(roots, window->start, &booted, &booted_low))
		*low = booted_low;
	if (low->size)
		owner = memory_owner(oses, low, id, NULL);
	if (owner)
		low->size = 0;
	if (low->size || options->nr_cpus < 2)
		return 0;
	if (owner)
		return refuse(EADDRNOTAVAIL,
			      "%u CPUs need a low slice to start from, and coexisting OS %u (%s) has the one of this window; give another with --twinos-low=32K@ADDRESS, or one CPU",
			      options->nr_cpus, owner->id, state_name(owner->state));
	return refuse(EINVAL,
		      "%u CPUs need a low slice to start from; give --twinos-low=32K@ADDRESS (boot the running OS with twinos=SIZE@ADDRESS,low=32K@ADDRESS), or one CPU",
		      options->nr_cpus);
}

/**
 * find_window() - the window and the low slice of the share, and the OS's number
 * @id: what the user said, 0 for nothing; filled in
 *
 * The window is what the options say; if they give no end, up to that of the
 * window that the running OS withheld there, or of free memory; or else the first that the running OS withheld with twinos= and
 * that no other coexisting OS has. The low slice is what the options say, or
 * what goes with that window.
 */
int find_window(const struct roots *roots, const struct share_options *options,
		const struct os_list *oses, uint32_t *id,
		const struct memory_map *firmware, const struct memory_map *used,
		struct range *window, struct range *low)
{
	uint64_t end;
	int err;

	if (options->has_mem_min && options->has_mem_max &&
	    options->mem_max <= options->mem_min)
		return refuse(EINVAL,
			      "--mem-max=%#" PRIx64 " is not above --mem-min=%#" PRIx64 "; a window needs both ends in order",
			      options->mem_max, options->mem_min);
	if (options->has_mem_min) {
		window->start = options->mem_min;
		err = number_for(oses, window->start, id);
		if (err)
			return err;
		if (options->has_mem_max) {
			/* Its last byte, or one past it: the same page boundary. */
			end = options->mem_max & (PAGE - 1) ? options->mem_max + 1 : options->mem_max;
			if (end <= window->start)
				return refuse(ERANGE,
					      "the window from %#" PRIx64 " wraps around the end of the address space",
					      window->start);
		} else {
			err = free_run(window->start, firmware, used, &end);
			if (err)
				return err;
			end = end_before_others(roots, oses, *id, window->start, end);
		}
		window->size = end - window->start;
	} else {
		err = find_booted_window(roots, oses, *id, window);
		if (!err)
			err = number_for(oses, window->start, id);
		if (err)
			return err;
		if (options->has_mem_max && options->mem_max >= window->start) {
			end = (options->mem_max + 1) & ~(PAGE - 1);
			if (end < range_end(window))
				window->size = end > window->start ? end - window->start : 0;
		} else if (options->has_mem_max) {
			return refuse(EINVAL,
				      "--mem-max=%#" PRIx64 " is below the window at %#" PRIx64 "; give --mem-min as well",
				      options->mem_max, window->start);
		}
	}
	err = check_free("the window", window, firmware, used);
	if (!err)
		err = check_memory(oses, "the window", window, *id);
	if (!err)
		err = find_low(roots, options, oses, *id, window, low);
	if (err || !low->size)
		return err;
	if (low->start < range_end(window) && window->start < range_end(low))
		return refuse(EINVAL,
			      "--twinos-low=%#" PRIx64 "-%#" PRIx64 " overlaps the window %#" PRIx64 "-%#" PRIx64,
			      low->start, range_end(low) - 1, window->start,
			      range_end(window) - 1);
	return check_free("the low slice", low, firmware, used);
}
