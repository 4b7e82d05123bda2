// SPDX-License-Identifier: GPL-2.0
/*
 * What is counted of each coexisting OS, and what that is per second. OSes come and go
 * between two readings, and the counters of one that is launched anew begin with 0: where
 * two numbers are not of the same run of the same OS there is no rate.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>
#include "rates.h"

/* Lines of osN/stats. */
static const char *const keys[MEASURES][SIDES] = {
	[MEASURE_CPU] = { "leading_run_tsc", "coexisting_run_tsc" },
	[MEASURE_SWITCHES] = { "leading_switches", "coexisting_switches" },
	[MEASURE_DONATED] = { "leading_donated", "coexisting_donated" },
	[MEASURE_FOREIGN] = { "leading_foreign", "coexisting_foreign" },
	[MEASURE_DOORBELLS] = { "leading_doorbells", "coexisting_doorbells" },
	[MEASURE_CONSOLE] = { "console_in_bytes", "log_bytes" },
	[MEASURE_AWAY_MAX] = { "leading_away_max", "coexisting_away_max" },
};

/* Files of the leading OS's interface: what that sends is what the other OS gets. */
static const char *const files[MEASURES][SIDES] = {
	[MEASURE_NETWORK_BYTES] = { "tx_bytes", "rx_bytes" },
	[MEASURE_NETWORK_PACKETS] = { "tx_packets", "rx_packets" },
	[MEASURE_NETWORK_DROPPED] = { "tx_dropped", "rx_dropped" },
	[MEASURE_NETWORK_ERRORS] = { "tx_errors", "rx_errors" },
};

static void take_statistic(struct observed *o, const char *key, uint64_t value)
{
	unsigned int i, side;

	if (!strcmp(key, "tsc_khz"))
		o->khz = value;
	else if (!strcmp(key, "launch_tsc"))
		o->launch = value;
	else if (!strcmp(key, "alive_tsc"))
		o->alive = value;
	else if (!strcmp(key, "moves"))
		o->moves = value;
	for (i = 0; i < MEASURES; i++)
		for (side = 0; side < SIDES; side++)
			if (keys[i][side] && !strcmp(key, keys[i][side]))
				o->count[i][side] = value;
}

/* One that is just being removed counts as far as it could be read. */
static void add_interface(struct observed *o, const char *folder)
{
	uint64_t *count;
	unsigned int i, side;
	char text[32];

	for (i = 0; i < MEASURES; i++) {
		for (side = 0; side < SIDES; side++) {
			if (!files[i][side] ||
			    read_text(folder, files[i][side], text, sizeof(text)))
				continue;
			count = &o->count[i][side];
			*count = (*count == UNKNOWN ? 0 : *count) + strtoull(text, NULL, 10);
		}
	}
}

static int read_network(const struct roots *roots, struct observed *o)
{
	char pattern[400];
	glob_t found;
	size_t i;
	int err;

	snprintf(pattern, sizeof(pattern), "%s/devices/platform/twinos%u/virtio*/net/*/statistics",
		 roots->sys, o->os.id);
	err = glob(pattern, GLOB_NOSORT, NULL, &found);
	if (err == GLOB_NOSPACE)
		return refuse(ENOMEM, "not enough memory");
	for (i = 0; !err && i < found.gl_pathc; i++)
		add_interface(o, found.gl_pathv[i]);
	globfree(&found);
	return 0;
}

/* -ENOENT without a refusal if the OS has gone. */
static int observe(const struct roots *roots, const struct os *os, struct observed *o)
{
	const char *next;
	uint64_t value;
	char key[64], *stats;
	unsigned int i, side;
	int err;

	*o = (struct observed){ .os = *os, .moves = UNKNOWN };
	for (i = 0; i < MEASURES; i++)
		for (side = 0; side < SIDES; side++)
			o->count[i][side] = UNKNOWN;
	err = read_os_file(roots, os->id, "stats", &stats, NULL);
	if (err)
		return err;
	o->now = __rdtsc();
	for (next = stats; next_statistic(&next, key, sizeof(key), &value); )
		take_statistic(o, key, value);
	free(stats);
	return read_network(roots, o);
}

/** read_all() - of all OSes; free_reading() afterwards if it returns 0 */
int read_all(const struct roots *roots, struct reading *reading)
{
	struct os_list list;
	unsigned int i;
	int err = read_oses(roots, &list);

	*reading = (struct reading){ 0 };
	if (err)
		return err;
	reading->os = calloc(list.nr, sizeof(*reading->os));
	if (!reading->os)
		return refuse(ENOMEM, "not enough memory");
	for (i = 0; i < list.nr; i++) {
		err = observe(roots, &list.os[i], &reading->os[reading->nr]);
		if (!err)
			reading->nr++;
		else if (err != -ENOENT)
			break;
		err = 0;
	}
	if (err)
		free_reading(reading);
	return err;
}

void free_reading(struct reading *reading)
{
	free(reading->os);
	*reading = (struct reading){ 0 };
}

static void clear_rates(struct rates *rates)
{
	unsigned int i, side;

	for (i = 0; i < COUNTERS; i++)
		for (side = 0; side < SIDES; side++)
			rates->rate[i][side] = -1;
}

static const struct observed *same_run(const struct reading *before, const struct observed *now)
{
	const struct observed *o;

	for (o = before->os; o < before->os + before->nr; o++)
		if (o->os.id == now->os.id)
			return now->launch && o->launch == now->launch ? o : NULL;
	return NULL;
}

/* It has no meaning for an OS with CPUs of its own. */
static bool of_shared_cpu(enum measure measure)
{
	return measure <= MEASURE_FOREIGN;
}

/** os_rates() - what one OS did since @before */
void os_rates(const struct reading *before, const struct observed *now, struct rates *rates)
{
	const struct observed *then = same_run(before, now);
	const bool shared = now->os.mode == TWINOS_TIME_SHARED;
	uint64_t from, to;
	unsigned int i, side;
	double seconds;

	clear_rates(rates);
	if (!then || !os_running(&now->os))
		return;
	seconds = seconds_between(then->now, now->now, now->khz);
	if (seconds <= 0)
		return;
	for (i = 0; i < COUNTERS; i++) {
		for (side = 0; side < SIDES; side++) {
			from = then->count[i][side];
			to = now->count[i][side];
			/* Fewer than before: of an interface that was made anew. */
			if (from == UNKNOWN || to == UNKNOWN || to < from ||
			    (of_shared_cpu(i) && !shared))
				continue;
			rates->rate[i][side] = (to - from) / seconds;
		}
	}
	/* A turn is counted when it ends or is looked at, some of it so in the next reading. */
	for (side = 0; side < SIDES; side++) {
		rates->rate[MEASURE_CPU][side] /= now->khz * 1e3;
		if (rates->rate[MEASURE_CPU][side] > 1)
			rates->rate[MEASURE_CPU][side] = 1;
	}
}

/** leading_rates() - what it did with all others together */
void leading_rates(const struct reading *before, const struct reading *now, struct rates *sum)
{
	const struct observed *o;
	struct rates rates;
	unsigned int i, side;

	clear_rates(sum);
	for (o = now->os; o < now->os + now->nr; o++) {
		os_rates(before, o, &rates);
		for (i = 0; i < COUNTERS; i++)
			for (side = 0; side < SIDES; side++)
				if (rates.rate[i][side] >= 0)
					sum->rate[i][side] = rates.rate[i][side] +
						(sum->rate[i][side] < 0 ? 0 : sum->rate[i][side]);
	}
}
