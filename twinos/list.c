// SPDX-License-Identifier: GPL-2.0
/*
 * twinos list: a line for each OS that there is, or that a file describes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>
#include "common.h"
#include "rates.h"

enum column { NAME, NUMBER, THE_STATE, MODE, CPUS, WINDOW, DEVICES, UPTIME, ALIVE, COLUMNS };

static const char *const titles[COLUMNS] = {
	"NAME", "OS", "STATE", "MODE", "CPUS", "WINDOW", "DEVICES", "UP", "ALIVE",
};

/* All that is known of one. */
struct entry {
	char name[TWINOS_NAME_SIZE];
	struct os os;			/* id 0: only a file describes it */
	double up, alive;		/* seconds, since; negative: not known */
	char *text[COLUMNS];
};

struct entries {
	unsigned int nr;
	struct entry *entry;
};

static struct entry *add_entry(struct entries *entries, const char *name)
{
	struct entry *e = reallocarray(entries->entry, entries->nr + 1, sizeof(*e));

	if (!e)
		die(EXIT_SYSTEM, "out of memory");
	entries->entry = e;
	e += entries->nr++;
	*e = (struct entry){ .up = -1, .alive = -1 };
	snprintf(e->name, sizeof(e->name), "%s", name);
	return e;
}

static void add_oses(struct entries *entries)
{
	struct os_list list;
	const struct os *os;
	struct entry *e;
	uint64_t khz;
	char *stats;
	int err = read_oses(&roots, &list);

	if (err)
		fail(err);
	for (os = list.os; os < list.os + list.nr; os++) {
		if (os->state == TWINOS_EMPTY)
			continue;
		e = add_entry(entries, os->name);
		e->os = *os;
		if (!os_running(os))
			continue;
		err = read_os_file(&roots, os->id, "stats", &stats, NULL);
		if (err == -ENOENT)
			continue;
		if (err)
			fail(err);
		khz = statistic(stats, "tsc_khz");
		e->up = seconds_between(statistic(stats, "launch_tsc"), __rdtsc(), khz);
		e->alive = seconds_between(statistic(stats, "alive_tsc"), __rdtsc(), khz);
		free(stats);
	}
}

static void add_files(struct entries *entries)
{
	struct conf_names names;
	unsigned int i, j;
	int err = list_confs(&roots, &names);

	if (err)
		fail(err);
	for (i = 0; i < names.nr; i++) {
		for (j = 0; j < entries->nr; j++)
			if (!strcmp(entries->entry[j].name, names.name[i]))
				break;
		if (j == entries->nr && is_name(names.name[i]))
			add_entry(entries, names.name[i]);
	}
	free_conf_names(&names);
}

/** format_time() - "3d04:05:06", to be freed; NULL without memory, as of format() */
char *format_time(double seconds)
{
	const uint64_t s = seconds;
	const unsigned int days = s / 86400;
	char *text;

	if (asprintf(&text, days ? "%ud%02u:%02u:%02u" : "%.0u%02u:%02u:%02u", days,
		     (unsigned int)(s / 3600 % 24), (unsigned int)(s / 60 % 60),
		     (unsigned int)(s % 60)) < 0)
		return NULL;
	return text;
}

static char *format_devices(const struct os *os)
{
	char *text = NULL, bdf[24];
	size_t size;
	FILE *out = open_memstream(&text, &size);
	uint32_t i;

	for (i = 0; out && i < os->nr_pci; i++) {
		format_pci(&os->pci[i], bdf, sizeof(bdf));
		/* Those of segment 0 alone can be given away. */
		fprintf(out, "%s%s", i ? "," : "", os->pci[i].domain ? bdf : bdf + 5);
	}
	for (i = 0; out && i < os->nr_irqs; i++)
		fprintf(out, "%spin%u", os->nr_pci || i ? "," : "", os->irqs[i]);
	if (out && !os->nr_pci && !os->nr_irqs)
		fputc('-', out);
	return out && !fclose(out) ? text : NULL;
}

/** format() - as asprintf() has it, to be freed; NULL without memory */
char *format(const char *format, ...)
{
	va_list args;
	char *text;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	return n < 0 ? NULL : text;
}

static void fill_texts(struct entry *e)
{
	const struct os *os = &e->os;
	const bool claims = os->id && os_claims(os);
	char cpus[400];
	unsigned int i;

	format_cpus(os, cpus, sizeof(cpus));
	e->text[NAME] = format("%s", *e->name ? e->name : "-");
	e->text[NUMBER] = os->id ? format("%u", os->id) : format("-");
	e->text[THE_STATE] = format("%s", state_name(shown_state(os)));
	e->text[MODE] = format("%s", claims ? mode_name(os->mode) : "-");
	e->text[CPUS] = format("%s", !claims ? "-" : *cpus ? cpus : "0");
	e->text[WINDOW] = claims && os->window.size ?
		format("%#" PRIx64 "-%#" PRIx64, os->window.start, range_end(&os->window) - 1) :
		format("-");
	e->text[DEVICES] = claims ? format_devices(os) : format("-");
	e->text[UPTIME] = e->up < 0 ? format("-") : format_time(e->up);
	e->text[ALIVE] = e->alive < 0 ? format("-") : format("%.0fs", e->alive);
	for (i = 0; i < COLUMNS; i++)
		if (!e->text[i])
			die(EXIT_SYSTEM, "out of memory");
}

static void print_row(const char *const *text, const size_t *width)
{
	unsigned int i;

	for (i = 0; i < COLUMNS - 1; i++)
		printf("%-*s  ", (int)width[i], text[i]);
	puts(text[i]);
}

static void print_table(const struct entries *entries)
{
	size_t width[COLUMNS], length;
	unsigned int i, j;

	for (j = 0; j < COLUMNS; j++)
		width[j] = strlen(titles[j]);
	for (i = 0; i < entries->nr; i++) {
		fill_texts(&entries->entry[i]);
		for (j = 0; j < COLUMNS; j++) {
			length = strlen(entries->entry[i].text[j]);
			if (length > width[j])
				width[j] = length;
		}
	}
	print_row(titles, width);
	for (i = 0; i < entries->nr; i++) {
		print_row((const char *const *)entries->entry[i].text, width);
		for (j = 0; j < COLUMNS; j++)
			free(entries->entry[i].text[j]);
	}
}

/** number_json() - what is not known, or not there, and so negative, is null */
json_t *number_json(double number)
{
	return number < 0 ? json_null() : json_real((int64_t)(number * 1000 + 0.5) / 1000.0);
}

static json_t *entry_json(const struct entry *e)
{
	const bool claims = e->os.id && os_claims(&e->os);

	return json_pack("{s:o, s:o, s:s, s:o, s:o, s:o, s:o}",
			 "name", *e->name ? json_string(e->name) : json_null(),
			 "os", e->os.id ? json_integer(e->os.id) : json_null(),
			 "state", state_name(shown_state(&e->os)),
			 "mode", claims ? json_string(mode_name(e->os.mode)) : json_null(),
			 "share", claims ? share_json(&e->os) : json_null(),
			 "up", number_json(e->up),
			 "alive", number_json(e->alive));
}

int run_list(const struct options *options)
{
	struct entries entries = { 0 };
	unsigned int i;
	json_t *array;

	need_leading();
	add_oses(&entries);
	add_files(&entries);
	if (GIVEN(options, JSON)) {
		array = json_array();
		for (i = 0; i < entries.nr; i++)
			json_array_append_new(array, entry_json(&entries.entry[i]));
		print_json(json_pack("{s:o}", "os", array));
	} else {
		print_table(&entries);
	}
	free(entries.entry);
	return 0;
}
