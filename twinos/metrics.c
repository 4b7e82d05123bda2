// SPDX-License-Identifier: GPL-2.0
/*
 * twinos metrics: what is counted of each OS, in the text format that Prometheus reads: by
 * way of a file, of which node_exporter's textfile collector takes those that end in .prom.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>
#include "common.h"
#include "rates.h"

/* Which of the two, as a label. */
static const char by[] = "side", way[] = "direction";
static const char *const sides[SIDES] = { "leading", "coexisting" };
static const char *const ways[SIDES] = { "in", "out" };

static const struct {
	const char *name, *type, *help, *label;
	enum measure measure;
	bool ticks;			/* of the TSC; shown are seconds */
} families[] = {
	{ "twinos_shared_cpu_seconds_total", "counter",
	  "CPU time of each side on a CPU that both share, since the launch.",
	  by, MEASURE_CPU, true },
	{ "twinos_switches_total", "counter",
	  "Times that this side gave the shared CPU to the other one.",
	  by, MEASURE_SWITCHES, false },
	{ "twinos_donated_switches_total", "counter",
	  "Of these, because this side was idle.",
	  by, MEASURE_DONATED, false },
	{ "twinos_foreign_interrupts_total", "counter",
	  "Interrupts of the other side's devices that this side passed on.",
	  by, MEASURE_FOREIGN, false },
	{ "twinos_away_max_seconds", "gauge",
	  "Longest time that this side was without the shared CPU.",
	  by, MEASURE_AWAY_MAX, true },
	{ "twinos_doorbells_total", "counter",
	  "Doorbell interrupts that this side sent to the other one.",
	  by, MEASURE_DOORBELLS, false },
	{ "twinos_console_bytes_total", "counter",
	  "Bytes of its console: printed by it (out), typed for it (in).",
	  way, MEASURE_CONSOLE, false },
	{ "twinos_network_bytes_total", "counter",
	  "Bytes between it and the leading OS: sent by it (out), sent to it (in).",
	  way, MEASURE_NETWORK_BYTES, false },
	{ "twinos_network_packets_total", "counter",
	  "Packets between it and the leading OS: sent by it (out), sent to it (in).",
	  way, MEASURE_NETWORK_PACKETS, false },
	{ "twinos_network_dropped_total", "counter",
	  "Of these packets, those that the leading OS dropped.",
	  way, MEASURE_NETWORK_DROPPED, false },
	{ "twinos_network_errors_total", "counter",
	  "Errors of the leading OS's interface with these packets.",
	  way, MEASURE_NETWORK_ERRORS, false },
};

/* One that was not launched since its load has no counters. */
static bool was_launched(const struct observed *o)
{
	return o->khz && o->launch;
}

/* A family has its head once, and none if there is nothing of it. */
static void print_head(FILE *out, bool *printed, const char *name, const char *type,
		       const char *help)
{
	if (!*printed)
		fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
	*printed = true;
}

/* A name is letters, digits, - and _ (is_name()), so that nothing in it needs a backslash. */
static void print_labels(FILE *out, const char *name, const struct observed *o)
{
	fprintf(out, "%s{os=\"%u\",name=\"%s\"", name, o->os.id, o->os.name);
}

static void print_state(FILE *out, const struct reading *reading)
{
	static const char *const names[] = TWINOS_STATE_NAMES;
	static const char name[] = "twinos_state";
	const struct observed *o;
	bool printed = false;
	unsigned int i;

	for (o = reading->os; o < reading->os + reading->nr; o++) {
		print_head(out, &printed, name, "gauge",
			   "1 for the state that it is in, 0 for others.");
		for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
			print_labels(out, name, o);
			fprintf(out, ",state=\"%s\"} %d\n", names[i], shown_state(&o->os) == i);
		}
	}
}

/* What is one number of an OS; negative: it has none. */
static double memory(const struct observed *o)
{
	return os_claims(&o->os) ? o->os.window.size + o->os.low.size : -1.0;
}

static double cpus(const struct observed *o)
{
	return os_claims(&o->os) ? o->os.nr_cpus : -1.0;
}

static double moves(const struct observed *o)
{
	return was_launched(o) && o->moves != UNKNOWN ? o->moves : -1.0;
}

static double sign_of_life(const struct observed *o)
{
	return os_running(&o->os) ? seconds_between(o->alive, o->now, o->khz) : -1;
}

/* The TSC knows how long ago that was. */
static double launch_time(const struct observed *o)
{
	const double ago = seconds_between(o->launch, __rdtsc(), o->khz);
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return ago < 0 ? -1 : now.tv_sec + now.tv_nsec / 1e9 - ago;
}

static const struct {
	const char *name, *type, *help;
	double (*value)(const struct observed *o);
	int digits;
} numbers[] = {
	{ "twinos_memory_bytes", "gauge", "Memory that it was given.", memory, 0 },
	{ "twinos_cpus", "gauge", "CPUs of its own; 0: it shares CPU 0 of the leading OS.",
	  cpus, 0 },
	{ "twinos_launch_time_seconds", "gauge", "When it was launched, in seconds since 1970.",
	  launch_time, 2 },
	{ "twinos_sign_of_life_age_seconds", "gauge",
	  "Time since its last sign of life; it gives one each second, or on a shared CPU in ten.",
	  sign_of_life, 3 },
	{ "twinos_moves_total", "counter", "Times that it has changed its CPU.", moves, 0 },
};

#define NR(list) (sizeof(list) / sizeof((list)[0]))

static void print_number(FILE *out, const struct reading *reading, unsigned int i)
{
	const struct observed *o;
	bool printed = false;
	double value;

	for (o = reading->os; o < reading->os + reading->nr; o++) {
		value = numbers[i].value(o);
		if (value < 0)
			continue;
		print_head(out, &printed, numbers[i].name, numbers[i].type, numbers[i].help);
		print_labels(out, numbers[i].name, o);
		fprintf(out, "} %.*f\n", numbers[i].digits, value);
	}
}

static void print_family(FILE *out, const struct reading *reading, unsigned int i)
{
	const char *const *values = families[i].label == by ? sides : ways;
	const struct observed *o;
	bool printed = false;
	unsigned int side;
	uint64_t count;

	for (o = reading->os; o < reading->os + reading->nr; o++) {
		for (side = 0; was_launched(o) && side < SIDES; side++) {
			count = o->count[families[i].measure][side];
			if (count == UNKNOWN)
				continue;
			print_head(out, &printed, families[i].name, families[i].type,
				   families[i].help);
			print_labels(out, families[i].name, o);
			fprintf(out, ",%s=\"%s\"} ", families[i].label, values[side]);
			if (families[i].ticks)
				fprintf(out, "%.9f\n", count / (o->khz * 1e3));
			else
				fprintf(out, "%llu\n", (unsigned long long)count);
		}
	}
}

static void print_metrics(FILE *out, const struct reading *reading)
{
	unsigned int i;

	print_state(out, reading);
	for (i = 0; i < NR(numbers); i++)
		print_number(out, reading, i);
	for (i = 0; i < NR(families); i++)
		print_family(out, reading, i);
}

/*
 * The collector may read at any time and is to find all of it: so it is written under a name
 * that it does not look at and then renamed. It is not forced to the disk; the next one comes
 * in seconds.
 */
static void write_metrics(const char *path, const struct reading *reading)
{
	sigset_t all, before;
	struct stat st;
	char *temporary;
	int fd, err = 0;
	FILE *out;

	/* Renaming would make a file of a device or a pipe. */
	if (!stat(path, &st) && !S_ISREG(st.st_mode))
		die(EXIT_REFUSED, "--output=%s is there and is not a file", path);
	if (asprintf(&temporary, "%s.XXXXXX", path) < 0)
		die(EXIT_SYSTEM, "out of memory");
	/* A signal leaves nothing behind. */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	fd = mkstemp(temporary);
	if (fd < 0)
		die(EXIT_SYSTEM, "%s cannot be written: %s", path, strerror(errno));
	out = fdopen(fd, "w");
	if (!out)
		die(EXIT_SYSTEM, "out of memory");
	print_metrics(out, reading);
	if (fflush(out) || fchmod(fd, 0644))
		err = errno;
	if (fclose(out) && !err)
		err = errno;
	if (!err && rename(temporary, path))
		err = errno;
	if (err) {
		unlink(temporary);
		die(EXIT_SYSTEM, "%s cannot be written: %s", path, strerror(err));
	}
	free(temporary);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

int run_metrics(const struct options *options)
{
	const char *output = options->text[OPTION_OUTPUT];
	const char *path = output && strcmp(output, "-") ? output : NULL;
	struct reading reading;
	int err;

	if (path && !*path)
		die(EXIT_USAGE, "--output= lacks the name of a file; see twinos --help");
	need_leading();
	err = read_all(&roots, &reading);
	if (err)
		fail(err);
	if (path)
		write_metrics(path, &reading);
	else
		print_metrics(stdout, &reading);
	free_reading(&reading);
	return 0;
}
