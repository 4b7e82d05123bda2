// SPDX-License-Identifier: GPL-2.0
/*
 * twinos status, share and windows: what the leading OS tells of the others.
 *
 * Everything is read before anything is printed, since an OS can go meanwhile.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "common.h"
#include "text.h"

/* All that is shown of one OS. */
struct report {
	struct os os;
	char *reason, *slice, *weight, *stats;
};

static void free_report(struct report *r)
{
	free(r->reason);
	free(r->slice);
	free(r->weight);
	free(r->stats);
}

/* Returns false if there is no such OS, or no longer. */
static bool read_report(unsigned int id, struct report *r)
{
	struct {
		const char *name;
		char **text;
	} files[] = {
		{ "reason", &r->reason }, { "slice_us", &r->slice },
		{ "weight", &r->weight }, { "stats", &r->stats },
	};
	unsigned int i;
	int err;

	memset(r, 0, sizeof(*r));
	err = read_os(&roots, id, &r->os);
	for (i = 0; !err && i < sizeof(files) / sizeof(files[0]); i++) {
		err = read_os_file(&roots, id, files[i].name, files[i].text, NULL);
		if (!err && files[i].text != &r->stats)
			(*files[i].text)[strcspn(*files[i].text, "\n")] = 0;
	}
	if (err && err != -ENOENT)
		fail(err);
	if (err)
		free_report(r);
	return !err;
}

static json_t *range_json(const struct range *range)
{
	return json_sprintf("%#" PRIx64 "-%#" PRIx64, range->start, range_end(range) - 1);
}

/** share_json() - what there can be several of is an array, whether there are any or not */
json_t *share_json(const struct os *os)
{
	json_t *share = json_object(), *cpus = json_array(), *pci = json_array();
	json_t *irqs = json_array();
	char bdf[24];
	uint32_t i;

	if (os->window.size)
		json_object_set_new(share, "window", range_json(&os->window));
	if (os->low.size)
		json_object_set_new(share, "low", range_json(&os->low));
	for (i = 0; i < os->nr_cpus; i++)
		json_array_append_new(cpus, json_integer(os->cpus[i]));
	for (i = 0; i < os->nr_pci; i++) {
		format_pci(&os->pci[i], bdf, sizeof(bdf));
		json_array_append_new(pci, json_string(bdf));
	}
	for (i = 0; i < os->nr_irqs; i++)
		json_array_append_new(irqs, json_integer(os->irqs[i]));
	json_object_set_new(share, "cpu", cpus);
	json_object_set_new(share, "pci", pci);
	json_object_set_new(share, "irq", irqs);
	return share;
}

static json_t *stats_json(const char *stats)
{
	json_t *object = json_object();
	uint64_t value;
	char key[64];

	while (next_statistic(&stats, key, sizeof(key), &value))
		json_object_set_new(object, key, json_integer(value));
	return object;
}

/* Milliseconds between two TSC values; -1 where the second never came. */
static double milliseconds(uint64_t from, uint64_t to, uint64_t khz)
{
	return khz && from && to > from ? (double)(to - from) / khz : -1;
}

/* @shared: its CPU is the leading OS's as well, so that there are switches. */
static void print_times(const char *stats, bool shared)
{
	uint64_t khz = statistic(stats, "tsc_khz");
	uint64_t launch = statistic(stats, "launch_tsc");
	double back = milliseconds(launch, statistic(stats, "first_return_tsc"), khz);
	double init = milliseconds(launch, statistic(stats, "init_tsc"), khz);
	uint64_t away = statistic(stats, "launch_away_max");	/* only the leading OS knows */
	static const char * const sides[] = { "leading", "coexisting" };
	char key[64];
	int i;

	if (!khz || !launch)
		return;
	if (back >= 0 && shared && away)
		printf("  launch       leading OS back after %.3f ms, away at most %.3f ms at once\n",
		       back, (double)away / khz);
	else if (back >= 0)
		printf("  launch       took %.3f ms\n", back);
	if (init >= 0)
		printf("  init         started %.3f ms after the launch\n", init);
	for (i = 0; i < 2; i++) {
#define SIDE(name)	(snprintf(key, sizeof(key), "%s_" name, sides[i]), statistic(stats, key))
		/* An OS that has moved to a CPU of its own was switched to before. */
		if (!shared && !SIDE("switches"))
			continue;
		printf("  %-12s CPU %.3f s, %" PRIu64 " switches away, %" PRIu64 " of them idle, ",
		       sides[i], SIDE("run_tsc") / 1e3 / khz, SIDE("switches"), SIDE("donated"));
		printf("away at most %.3f ms, %" PRIu64 " foreign interrupts\n",
		       (double)SIDE("away_max") / khz, SIDE("foreign"));
#undef SIDE
	}
}

static void print_range(const char *label, const struct range *range)
{
	if (range->size)
		printf("  %-12s %#" PRIx64 "-%#" PRIx64 "\n", label, range->start,
		       range_end(range) - 1);
}

/* What an OS was given is its own until it has ended. */
static void print_share(const struct os *os)
{
	char bdf[24], cpus[400];
	uint32_t i;

	format_cpus(os, cpus, sizeof(cpus));
	printf("  mode         %s%s%s\n", mode_name(os->mode), *cpus ? ", CPU " : "", cpus);
	print_range("window", &os->window);
	print_range("low slice", &os->low);
	for (i = 0; i < os->nr_pci; i++) {
		format_pci(&os->pci[i], bdf, sizeof(bdf));
		printf("%s%s", i ? ", " : "  PCI          ", bdf);
	}
	fputs(i ? "\n" : "", stdout);
	for (i = 0; i < os->nr_irqs; i++)
		printf("%s%u", i ? ", " : "  pins         ", os->irqs[i]);
	fputs(i ? "\n" : "", stdout);
}

static void print_report(const struct report *r)
{
	const bool shared = r->os.mode == TWINOS_TIME_SHARED;
	char *reason = visible_text(r->reason, strlen(r->reason));

	printf("OS %u%s%s%s: %s%s%s", r->os.id, *r->os.name ? " (" : "", r->os.name,
	       *r->os.name ? ")" : "", state_name(shown_state(&r->os)), *reason ? ": " : "",
	       reason);
	/* Not one that has ended so, which has a reason. */
	if (r->os.hung_for > 0)
		printf(": no sign of life for %.0f s", r->os.hung_for);
	putchar('\n');
	if (os_claims(&r->os))
		print_share(&r->os);
	if (shared)
		printf("  slice        %s us, weight %s percent\n", r->slice, r->weight);
	print_times(r->stats, shared);
	free(reason);
}

static json_t *report_json(const struct report *r)
{
	return json_pack("{s:i, s:s*, s:s, s:o, s:s, s:o, s:o, s:o, s:o}",
			 "os", r->os.id,
			 "name", *r->os.name ? r->os.name : NULL,
			 "state", state_name(shown_state(&r->os)),
			 "reason", json_text(r->reason, strlen(r->reason)),
			 "mode", mode_name(r->os.mode),
			 "slice_us", json_integer(strtoull(r->slice, NULL, 10)),
			 "weight", json_integer(strtoull(r->weight, NULL, 10)),
			 "share", share_json(&r->os),
			 "stats", stats_json(r->stats));
}

static void run_own_status(const struct options *options)
{
	char *stats;

	if (os_word(options))
		die(EXIT_REFUSED, "this is a coexisting OS: it knows of no other by number");
	stats = read_own("stats");
	if (!stats)
		die(EXIT_SYSTEM, "%s/kernel/twinos/stats is missing", roots.sys);
	if (GIVEN(options, JSON)) {
		print_json(json_pack("{s:s, s:o}", "role", "coexisting", "stats",
				     stats_json(stats)));
	} else {
		puts("role: coexisting");
		print_times(stats, statistic(stats, "leading_switches"));
	}
	free(stats);
}

/* The one that is meant, or all; returns how many. */
static unsigned int read_reports(const char *wanted, struct report *reports)
{
	unsigned int id, nr = 0;
	struct os os;

	if (wanted) {
		os = wanted_os(wanted);
		if (!read_report(os.id, reports))
			die_gone(wanted);
		return 1;
	}
	for (id = 1; id <= TWINOS_MAX_ID; id++)
		if (read_report(id, &reports[nr]))
			nr++;
	return nr;
}

int run_status(const struct options *options)
{
	struct report reports[TWINOS_MAX_ID];
	unsigned int i, nr;
	json_t *array;

	if (!is_leading()) {
		run_own_status(options);
		return 0;
	}
	nr = read_reports(os_word(options), reports);
	if (GIVEN(options, JSON)) {
		array = json_array();
		for (i = 0; i < nr; i++)
			json_array_append_new(array, report_json(&reports[i]));
		print_json(json_pack("{s:s, s:o}", "role", "leading", "os", array));
	} else {
		puts("role: leading");
		for (i = 0; i < nr; i++)
			print_report(&reports[i]);
	}
	for (i = 0; i < nr; i++)
		free_report(&reports[i]);
	return 0;
}

/* ---- share, windows ---- */

int run_share(const struct options *options)
{
	struct os os = wanted_os(os_word(options));
	char *text;

	if (GIVEN(options, JSON)) {
		print_json(share_json(&os));
		return 0;
	}
	text = read_of(&os, "share", NULL);
	fputs(text, stdout);
	free(text);
	return 0;
}

int run_windows(const struct options *options)
{
	char *text, *line, *next;
	json_t *windows;

	need_leading();
	text = read_own("windows");
	if (!text)
		die(EXIT_SYSTEM, "%s/kernel/twinos/windows is missing", roots.sys);
	if (GIVEN(options, JSON)) {
		windows = json_array();
		for (line = strtok_r(text, "\n", &next); line; line = strtok_r(NULL, "\n", &next))
			json_array_append_new(windows, json_string(line));
		print_json(json_pack("{s:o}", "windows", windows));
	} else {
		fputs(text, stdout);
	}
	free(text);
	return 0;
}
