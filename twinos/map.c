// SPDX-License-Identifier: GPL-2.0
/*
 * twinos map: who has what of this machine. Its memory, its CPUs, and the devices of each OS.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "map.h"

#define MIB		(UINT64_C(1) << 20)
#define SMALL_HOLE	(16 * MIB)	/* between two parts of the leading OS's RAM */
#define CPUS_MAX	8192		/* the most that x86 kernels are built for */

/* ---- memory ---- */

static void no_memory(void) __attribute__((noreturn));
static void no_memory(void)
{
	die(EXIT_SYSTEM, "out of memory");
}

static void check(int err)
{
	if (err)
		fail(err);
}

static void add_piece(struct map *map, const struct range *range, enum part part,
		      const struct os *os)
{
	struct piece *p = reallocarray(map->piece, map->nr_pieces + 1, sizeof(*p));

	if (!p)
		no_memory();
	map->piece = p;
	p[map->nr_pieces++] = (struct piece){ *range, range->size, part, os };
}

static void add_pieces(struct map *map, const struct ranges *set, enum part part, uint64_t min)
{
	unsigned int i;

	for (i = 0; i < set->nr; i++)
		if (set->range[i].size >= min)
			add_piece(map, &set->range[i], part, NULL);
}

/* An OS that has ended, and whose memory that was last; NULL if it is not known. */
static const struct os *last_owner(const struct os_list *list, const struct range *r)
{
	const struct os *os;

	for (os = list->os; os < list->os + list->nr; os++)
		if (os->state != TWINOS_EMPTY && !os_claims(os) &&
		    (ranges_overlap(r, &os->window) || ranges_overlap(r, &os->low)))
			return os;
	return NULL;
}

/* What the OSes have claims to. */
static void add_claims(struct map *map, struct ranges *theirs)
{
	const struct os *os;

	for (os = next_claim(&map->oses, NULL, 0); os; os = next_claim(&map->oses, os, 0)) {
		if (os->window.size) {
			add_piece(map, &os->window, PART_WINDOW, os);
			check(add_range(theirs, os->window.start, range_end(&os->window)));
		}
		if (os->low.size) {
			add_piece(map, &os->low, PART_LOW, os);
			check(add_range(theirs, os->low.start, range_end(&os->low)));
		}
	}
}

static void subtract(struct ranges *set, const struct ranges *other)
{
	unsigned int i;

	for (i = 0; i < other->nr; i++)
		check(subtract_range(set, other->range[i].start, range_end(&other->range[i])));
}

/* What the boot has withheld and nobody claims; it is added to @theirs. */
static void add_unused(struct map *map, struct ranges *theirs)
{
	static struct booted_windows windows;
	struct ranges unused = { 0 };
	unsigned int i;

	check(read_windows(&roots, &windows));
	for (i = 0; i < windows.nr; i++) {
		const struct range *window = &windows.booted[i].window;
		const struct range *low = &windows.booted[i].low;

		check(add_range(&unused, window->start, range_end(window)));
		if (low->size)
			check(add_range(&unused, low->start, range_end(low)));
	}
	subtract(&unused, theirs);
	for (i = 0; i < unused.nr; i++) {
		add_piece(map, &unused.range[i], PART_UNUSED,
			  last_owner(&map->oses, &unused.range[i]));
		check(add_range(theirs, unused.range[i].start, range_end(&unused.range[i])));
	}
	free_ranges(&unused);
}

static void add_ram(struct ranges *set, const struct memory_map *map)
{
	unsigned int i;

	for (i = 0; i < map->nr; i++)
		if (!strcmp(map->range[i].name, "System RAM") &&
		    map->range[i].end > map->range[i].start)
			check(add_range(set, map->range[i].start, map->range[i].end));
}

static int by_start(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	return x->range.start < y->range.start ? -1 : x->range.start > y->range.start;
}

/* Firmware takes bits of RAM out of the middle: what is left is one piece to people. */
static void join_leading(struct map *map)
{
	struct piece *last = NULL, *p;
	unsigned int i, nr = 0;

	for (i = 0; i < map->nr_pieces; i++) {
		p = &map->piece[i];
		if (last && last->part == PART_LEADING && p->part == PART_LEADING &&
		    p->range.start - range_end(&last->range) < SMALL_HOLE &&
		    (last->range.start >= MIB || p->range.start < MIB)) {
			last->range.size = range_end(&p->range) - last->range.start;
			last->size += p->size;
			continue;
		}
		last = &map->piece[nr++];
		*last = *p;
	}
	map->nr_pieces = nr;
}

/*
 * What firmware calls RAM, and neither the leading OS uses nor twinos= has withheld. A megabyte
 * is the least: the kernel leaves pages out here and there.
 */
static void add_withheld(struct map *map, const struct ranges *leading,
			 const struct ranges *theirs)
{
	struct memory_map firmware = { 0 };
	struct ranges other = { 0 };

	check(read_firmware_map(roots.sys, &firmware));
	add_ram(&other, &firmware);
	subtract(&other, leading);
	subtract(&other, theirs);
	add_pieces(map, &other, PART_WITHHELD, MIB);
	free_ranges(&other);
	free(firmware.range);
}

static void read_memory(struct map *map)
{
	struct ranges leading = { 0 }, theirs = { 0 };
	struct memory_map used = { 0 };

	check(read_used_map(roots.proc, &used));
	add_ram(&leading, &used);
	add_claims(map, &theirs);
	add_unused(map, &theirs);
	subtract(&leading, &theirs);
	add_pieces(map, &leading, PART_LEADING, 0);
	add_withheld(map, &leading, &theirs);
	if (map->nr_pieces)
		qsort(map->piece, map->nr_pieces, sizeof(map->piece[0]), by_start);
	join_leading(map);
	free_ranges(&leading);
	free_ranges(&theirs);
	free(used.range);
}

/* ---- CPUs ---- */

/* Marks those of a list of the kernel's; returns -errno without a refusal. */
static int mark_cpus(const char *file, bool *marked)
{
	char path[300], *list;
	uint32_t first, last;
	const char *at;
	int more;

	snprintf(path, sizeof(path), "%s/devices/system/cpu/%s", roots.sys, file);
	more = read_file(path, &list, NULL);
	if (more == -ENOENT)
		return more;
	if (more)
		die(EXIT_SYSTEM, "%s cannot be read: %s", path, strerror(-more));
	list[strcspn(list, "\n")] = 0;
	at = list;
	while ((more = next_numbers(&at, &first, &last)) > 0 && last < CPUS_MAX)
		for (; first <= last; first++)
			marked[first] = true;
	if (more)
		die(EXIT_SYSTEM, "%s does not tell which CPUs there are: %s", path, list);
	free(list);
	return 0;
}

/* The one that shares CPU 0, or will when it is launched. */
static const struct os *sharer(const struct os_list *list, bool running)
{
	const struct os *os;

	for (os = next_claim(list, NULL, 0); os; os = next_claim(list, os, 0))
		if (os->mode == TWINOS_TIME_SHARED && os_running(os) == running)
			return os;
	return NULL;
}

static struct map_cpu describe_cpu(const struct os_list *oses, uint32_t cpu, bool online)
{
	const struct os *os = cpu_owner(oses, cpu, 0);
	struct map_cpu c = { cpu, online ? CPU_LEADING : CPU_OFFLINE, NULL };

	if (os && os_running(os))
		return (struct map_cpu){ cpu, CPU_OWN, os };
	if (!cpu && sharer(oses, true))
		return (struct map_cpu){ cpu, CPU_SHARED, sharer(oses, true) };
	if (online)
		c.os = os ?: !cpu ? sharer(oses, false) : NULL;
	return c;
}

/*
 * A CPU that is given away is not present in the leading OS. One that is possible and neither
 * present nor given away is an empty socket, or what a virtual machine might get later.
 */
static void read_cpus(struct map *map)
{
	static bool possible[CPUS_MAX], present[CPUS_MAX], online[CPUS_MAX];
	uint32_t cpu;

	if (mark_cpus("online", online))
		die(EXIT_SYSTEM, "%s/devices/system/cpu/online is missing; is /sys mounted?",
		    roots.sys);
	if (mark_cpus("present", present))
		memcpy(present, online, sizeof(present));
	if (mark_cpus("possible", possible))
		memset(possible, true, sizeof(possible));
	map->cpu = calloc(CPUS_MAX, sizeof(*map->cpu));
	if (!map->cpu)
		no_memory();
	for (cpu = 0; cpu < CPUS_MAX; cpu++)
		if (possible[cpu] &&
		    (present[cpu] || online[cpu] || cpu_owner(&map->oses, cpu, 0)))
			map->cpu[map->nr_cpus++] = describe_cpu(&map->oses, cpu, online[cpu]);
}

/* ---- devices ---- */

/**
 * os_functions() - the PCI functions that an OS has; room for TWINOS_MAX_PCI
 *
 * One that has ended may still hold some, for its next load: those whose driver is ours.
 */
unsigned int os_functions(const struct os *os, struct twinos_pci *functions)
{
	unsigned int nr = 0;
	char driver[64];
	bool built_in;
	uint32_t i;

	for (i = 0; i < os->nr_pci; i++) {
		if (!os_claims(os)) {
			function_driver(&roots, &os->pci[i], driver, sizeof(driver), &built_in);
			if (strcmp(driver, "twinos"))
				continue;
		}
		functions[nr++] = os->pci[i];
	}
	return nr;
}

/* ---- texts ---- */

/** os_title() - "OS 2 (web)" */
const char *os_title(const struct os *os, char *text, size_t size)
{
	snprintf(text, size, *os->name ? "OS %u (%s)" : "OS %u", os->id, os->name);
	return text;
}

/** format_size() - "1.5 GiB"; a decimal where it is not a round number */
const char *format_size(uint64_t size, char *text, size_t room)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	unsigned int i = 0;

	while (i < 6 && size >> 10 * (i + 1))
		i++;
	if (size & ((UINT64_C(1) << 10 * i) - 1))
		snprintf(text, room, "%.1f %s", (double)size / (UINT64_C(1) << 10 * i), units[i]);
	else
		snprintf(text, room, "%" PRIu64 " %s", size >> 10 * i, units[i]);
	return text;
}

/** piece_owner() - "OS 2 (web), window" */
const char *piece_owner(const struct piece *p, char *text, size_t size)
{
	char title[64];

	switch (p->part) {
	case PART_LEADING:
		snprintf(text, size, "leading OS");
		break;
	case PART_WINDOW:
		snprintf(text, size, "%s", os_title(p->os, title, sizeof(title)));
		break;
	case PART_LOW:
		snprintf(text, size, "%s, low slice", os_title(p->os, title, sizeof(title)));
		break;
	case PART_UNUSED:
		if (p->os)
			snprintf(text, size, "not in use, was %s",
				 os_title(p->os, title, sizeof(title)));
		else
			snprintf(text, size, "not in use");
		break;
	case PART_WITHHELD:
		snprintf(text, size, "withheld, not by twinos=");
		break;
	}
	return text;
}

static void print_memory(const struct map *map)
{
	char range[40], size[24], owner[128];
	const struct piece *p;

	printf("%-25s  %10s  WHOSE\n", "MEMORY", "SIZE");
	for (p = map->piece; p < map->piece + map->nr_pieces; p++) {
		snprintf(range, sizeof(range), "%#" PRIx64 "-%#" PRIx64, p->range.start,
			 range_end(&p->range) - 1);
		printf("%-25s  %10s  %s\n", range, format_size(p->size, size, sizeof(size)),
		       piece_owner(p, owner, sizeof(owner)));
	}
}

static void print_cpu_use(const struct map_cpu *c)
{
	char title[64] = "";

	if (c->os)
		os_title(c->os, title, sizeof(title));
	switch (c->use) {
	case CPU_LEADING:
		if (c->os && c->os->mode == TWINOS_TIME_SHARED)
			printf("leading OS; %s is loaded, to share it\n", title);
		else if (c->os)
			printf("leading OS; %s is loaded for it\n", title);
		else
			puts("leading OS");
		break;
	case CPU_SHARED:
		printf("leading OS and %s, by turns\n", title);
		break;
	case CPU_OWN:
		puts(title);
		break;
	case CPU_OFFLINE:
		puts("offline");
		break;
	}
}

/* CPUs in a row that are used alike are one line. */
static void print_cpus(const struct map *map)
{
	unsigned int i, last;
	char numbers[32];

	printf("\n%-25s  %10s  WHOSE\n", "CPU", "");
	for (i = 0; i < map->nr_cpus; i = last + 1) {
		const struct map_cpu *c = &map->cpu[i];

		for (last = i; last + 1 < map->nr_cpus; last++)
			if (map->cpu[last + 1].number != map->cpu[last].number + 1 ||
			    map->cpu[last + 1].use != c->use || map->cpu[last + 1].os != c->os)
				break;
		snprintf(numbers, sizeof(numbers), last > i ? "%u-%u" : "%u", c->number,
			 map->cpu[last].number);
		printf("%-25s  %10s  ", numbers, "");
		print_cpu_use(c);
	}
}

static int title_width(const struct map *map)
{
	char title[64];
	size_t width = 25;
	unsigned int i;

	for (i = 0; i < map->oses.nr; i++)
		if (strlen(os_title(&map->oses.os[i], title, sizeof(title))) > width)
			width = strlen(title);
	return width;
}

static void print_os(const struct os *os, int width)
{
	struct twinos_pci functions[TWINOS_MAX_PCI];
	unsigned int i, nr = os_functions(os, functions);
	char title[64], bdf[24];
	const char *kind;
	int line = 0;

	printf("%-*s  %10s  ", width, os_title(os, title, sizeof(title)), state_name(shown_state(os)));
	for (i = 0; i < nr; i++) {
		format_pci(&functions[i], bdf, sizeof(bdf));
		kind = function_kind(&roots, &functions[i]);
		printf("%*s%s%s%s\n", line++ ? width + 14 : 0, "", bdf, *kind ? " " : "", kind);
	}
	for (i = 0; os_claims(os) && i < os->nr_irqs; i++)
		printf("%*spin %u\n", line++ ? width + 14 : 0, "", os->irqs[i]);
	if (!line)
		puts("-");
}

static void print_devices(const struct map *map)
{
	const int width = title_width(map);
	const struct os *os;

	printf("\n%-*s  %10s  DEVICES\n", width, "OS", "STATE");
	printf("%-*s  %10s  all others\n", width, "leading OS", "");
	for (os = map->oses.os; os < map->oses.os + map->oses.nr; os++)
		if (os->state != TWINOS_EMPTY)
			print_os(os, width);
}

/* ---- JSON ---- */

static json_t *os_json(const struct os *os)
{
	return os ? json_integer(os->id) : json_null();
}

static json_t *piece_json(const struct piece *p)
{
	static const char *const names[] = {
		[PART_LEADING] = "leading", [PART_WINDOW] = "window", [PART_LOW] = "low",
		[PART_UNUSED] = "unused", [PART_WITHHELD] = "withheld",
	};

	return json_pack("{s:o, s:o, s:I, s:s, s:o}",
			 "start", json_sprintf("%#" PRIx64, p->range.start),
			 "end", json_sprintf("%#" PRIx64, range_end(&p->range) - 1),
			 "size", (json_int_t)p->size, "part", names[p->part],
			 "os", os_json(p->os));
}

static json_t *cpu_json(const struct map_cpu *c)
{
	static const char *const names[] = {
		[CPU_LEADING] = "leading", [CPU_SHARED] = "shared", [CPU_OWN] = "own",
		[CPU_OFFLINE] = "offline",
	};

	return json_pack("{s:i, s:s, s:o}", "cpu", (int)c->number, "use", names[c->use],
			 "os", os_json(c->os));
}

static json_t *devices_json(const struct os *os)
{
	struct twinos_pci functions[TWINOS_MAX_PCI];
	unsigned int i, nr = os_functions(os, functions);
	json_t *pci = json_array(), *irqs = json_array();
	char bdf[24];

	for (i = 0; i < nr; i++) {
		format_pci(&functions[i], bdf, sizeof(bdf));
		json_array_append_new(pci, json_pack("{s:s, s:s}", "function", bdf, "kind",
						     function_kind(&roots, &functions[i])));
	}
	for (i = 0; os_claims(os) && i < os->nr_irqs; i++)
		json_array_append_new(irqs, json_integer(os->irqs[i]));
	return json_pack("{s:i, s:o, s:s, s:s, s:o, s:o}", "os", (int)os->id,
			 "name", *os->name ? json_string(os->name) : json_null(),
			 "state", state_name(shown_state(os)), "mode", mode_name(os->mode),
			 "pci", pci, "irq", irqs);
}

static void print_map_json(const struct map *map)
{
	json_t *memory = json_array(), *cpus = json_array(), *oses = json_array();
	const struct os *os;
	unsigned int i;

	for (i = 0; i < map->nr_pieces; i++)
		json_array_append_new(memory, piece_json(&map->piece[i]));
	for (i = 0; i < map->nr_cpus; i++)
		json_array_append_new(cpus, cpu_json(&map->cpu[i]));
	for (os = map->oses.os; os < map->oses.os + map->oses.nr; os++)
		if (os->state != TWINOS_EMPTY)
			json_array_append_new(oses, devices_json(os));
	print_json(json_pack("{s:o, s:o, s:o}", "memory", memory, "cpus", cpus, "os", oses));
}

int run_map(const struct options *options)
{
	static struct map map;

	need_leading();
	check(read_oses(&roots, &map.oses));
	read_memory(&map);
	read_cpus(&map);
	if (GIVEN(options, SVG)) {
		draw_map(&map, options->text[OPTION_SVG]);
	} else if (GIVEN(options, JSON)) {
		print_map_json(&map);
	} else {
		print_memory(&map);
		print_cpus(&map);
		print_devices(&map);
	}
	free(map.piece);
	free(map.cpu);
	return 0;
}
