// SPDX-License-Identifier: GPL-2.0
/*
 * twinos: shows and adjusts what /sys/kernel/twinos holds about the OSes on
 * this machine. It only reads and writes those files: loading and launching
 * are kexec's business. Manual page: doc/twinos.8.
 *
 * Everything is read before anything is printed, since an OS can go meanwhile.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "libtwinos/libtwinos.h"
#include "text.h"

/* Another place can be compiled in, to run the command on recorded files. */
#ifndef TWINOS_ROOT
#define TWINOS_ROOT	""
#endif

#define STRING(x)	#x
#define NUMBER_TEXT(x)	STRING(x)

#define EXIT_REFUSED	1	/* no TwinOS, no such OS, value refused */
#define EXIT_USAGE	100
#define EXIT_SYSTEM	111	/* a file could not be read or written */

static const char help[] =
"usage: twinos status  [--os=N] [--json]          state, CPUs, memory, devices, CPU time\n"
"       twinos log     [--os=N] [--json | --raw]  last console output of the coexisting OS\n"
"       twinos slice   [--os=N] [--json | US]     show or set the slice, in microseconds\n"
"       twinos weight  [--os=N] [--json | PCT]    show or set its part of a shared CPU when\n"
"                                                 both OSes are busy, 1 to 99 percent\n"
"       twinos share   [--os=N] [--json]          memory, devices and pins it was given\n"
"       twinos windows [--json]                   memory withheld for coexisting OSes\n"
"       twinos --help | --version\n"
"\n"
"--os=N is the coexisting OS's number; it can be left out where there is only one\n"
"(status shows all of them). --raw does not make control characters visible.\n"
"Exit status: 0 done, 1 refused or not there, 100 wrong usage, 111 system error.\n";

struct options {
	unsigned int os;	/* 0: not given */
	bool json, raw;
	const char *value;	/* of slice and weight, or NULL */
};

static struct roots roots;

__attribute__((noreturn, format(printf, 2, 3)))
static void die(int status, const char *format, ...)
{
	va_list args;

	fputs("twinos: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(status);
}

/* End with the refusal that libtwinos has noted. */
__attribute__((noreturn))
static void fail(int err)
{
	die(err == -EIO ? EXIT_SYSTEM : EXIT_REFUSED, "%s", refusal());
}

static void print_json(json_t *value)
{
	if (!value || json_dumpf(value, stdout, JSON_COMPACT | JSON_ENSURE_ASCII))
		die(EXIT_SYSTEM, "out of memory");
	putchar('\n');
	json_decref(value);
}

/* What a file of the machine says, not of one OS; NULL if there is none. */
static char *read_own(const char *name)
{
	char path[300], *text;
	int err;

	snprintf(path, sizeof(path), "%s/kernel/twinos/%s", roots.sys, name);
	err = read_file(path, &text, NULL);
	if (err && err != -ENOENT)
		die(EXIT_SYSTEM, "%s: %s%s", path, strerror(-err),
		    err == -EACCES ? "; be root" : "");
	return err ? NULL : text;
}

static bool is_leading(void)
{
	char *role = read_own("role");
	bool leading;

	if (!role)
		die(EXIT_REFUSED, "the running kernel has no TwinOS support");
	leading = !strcmp(role, "leading\n");
	free(role);
	return leading;
}

static void need_leading(void)
{
	if (!is_leading())
		die(EXIT_REFUSED, "this is a coexisting OS; ask the leading OS");
}

__attribute__((noreturn))
static void die_gone(unsigned int id)
{
	die(EXIT_REFUSED, "there is no coexisting OS %u on this machine", id);
}

/* A file of an OS that must be there. */
static char *read_of(unsigned int id, const char *name, size_t *size)
{
	char *text;
	int err = read_os_file(&roots, id, name, &text, size);

	if (err == -ENOENT)
		die_gone(id);
	if (err)
		fail(err);
	return text;
}

/*
 * Only the leading OS has something to say about others. Without --os it is the
 * one that there is; os1 is there even while it is empty.
 */
static struct os wanted_os(const struct options *options)
{
	const unsigned int any = ~STATE(TWINOS_EMPTY);
	char numbers[TWINOS_MAX_ID * 4];
	const struct os *os;
	struct os_list list;
	int err;

	need_leading();
	err = read_oses(&roots, &list);
	if (err)
		fail(err);
	if (options->os) {
		os = find_os(&list, options->os);
		if (!os)
			die_gone(options->os);
		return *os;
	}
	if (os_numbers(&list, any, numbers, sizeof(numbers)) > 1)
		die(EXIT_REFUSED, "there are several coexisting OSes (%s); say which one with --os=N",
		    numbers);
	for (os = list.os; os < list.os + list.nr - 1 && !(any & STATE(os->state)); os++)
		;
	return any & STATE(os->state) ? *os : list.os[0];
}

/* ---- status ---- */

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

static void format_pci(const struct twinos_pci *pci, char *text, size_t size)
{
	snprintf(text, size, "%04x:%02x:%02x.%x", pci->domain, pci->bus, pci->devfn >> 3,
		 pci->devfn & 7);
}

/* What there can be several of is an array, whether there are any or not. */
static json_t *share_json(const struct os *os)
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

/* The next of the statistics, lines "key value"; false behind the last. */
static bool next_statistic(const char **stats, char *key, size_t size, uint64_t *value)
{
	const char *line = *stats;
	size_t length = strcspn(line, "\n"), n = strcspn(line, " \n");

	if (!length)
		return false;
	*stats = line + length + (line[length] == '\n');
	snprintf(key, size, "%.*s", (int)n, line);
	*value = strtoull(line + n, NULL, 10);
	return true;
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

/* 0 if there is none of that key. */
static uint64_t statistic(const char *stats, const char *wanted)
{
	uint64_t value;
	char key[64];

	while (next_statistic(&stats, key, sizeof(key), &value))
		if (!strcmp(key, wanted))
			return value;
	return 0;
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

/* "2-3,5" */
static void print_cpus(const struct os *os)
{
	uint32_t first, last;

	for (first = 0; first < os->nr_cpus; first = last + 1) {
		for (last = first; last + 1 < os->nr_cpus; last++)
			if (os->cpus[last + 1] != os->cpus[last] + 1)
				break;
		printf("%s%u", first ? "," : ", CPU ", os->cpus[first]);
		if (last > first)
			printf("-%u", os->cpus[last]);
	}
}

/* What an OS was given is its own until it has ended. */
static void print_share(const struct os *os)
{
	char bdf[24];
	uint32_t i;

	printf("  mode         %s", mode_name(os->mode));
	print_cpus(os);
	putchar('\n');
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

	printf("OS %u: %s%s%s\n", r->os.id, state_name(r->os.state), *reason ? ": " : "",
	       reason);
	if (os_claims(&r->os))
		print_share(&r->os);
	if (shared)
		printf("  slice        %s us, weight %s percent\n", r->slice, r->weight);
	print_times(r->stats, shared);
	free(reason);
}

static json_t *report_json(const struct report *r)
{
	return json_pack("{s:i, s:s, s:o, s:s, s:o, s:o, s:o, s:o}",
			 "os", r->os.id,
			 "state", state_name(r->os.state),
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

	if (options->os)
		die(EXIT_REFUSED, "this is a coexisting OS: it knows of no other by number");
	stats = read_own("stats");
	if (!stats)
		die(EXIT_SYSTEM, "%s/kernel/twinos/stats is missing", roots.sys);
	if (options->json) {
		print_json(json_pack("{s:s, s:o}", "role", "coexisting", "stats",
				     stats_json(stats)));
	} else {
		puts("role: coexisting");
		print_times(stats, statistic(stats, "leading_switches"));
	}
	free(stats);
}

static void run_status(const struct options *options)
{
	struct report reports[TWINOS_MAX_ID];
	unsigned int id, i, nr = 0;
	json_t *array;

	if (!is_leading()) {
		run_own_status(options);
		return;
	}
	for (id = 1; id <= TWINOS_MAX_ID; id++) {
		if ((!options->os || id == options->os) && read_report(id, &reports[nr]))
			nr++;
	}
	if (options->os && !nr)
		die_gone(options->os);
	if (options->json) {
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
}

/* ---- the other commands ---- */

static void run_log(const struct options *options)
{
	struct os os = wanted_os(options);
	size_t size;
	char *text, *shown;

	text = read_of(os.id, "log", &size);
	if (options->json) {
		print_json(json_pack("{s:o}", "log", json_text(text, size)));
	} else if (options->raw) {
		fwrite(text, 1, size, stdout);
	} else {
		shown = visible_text(text, size);
		fputs(shown, stdout);
		if (*shown && shown[strlen(shown) - 1] != '\n')
			putchar('\n');
		free(shown);
	}
	free(text);
}

static void run_share(const struct options *options)
{
	struct os os = wanted_os(options);
	char *text;

	if (options->json) {
		print_json(share_json(&os));
		return;
	}
	text = read_of(os.id, "share", NULL);
	fputs(text, stdout);
	free(text);
}

static void run_windows(const struct options *options)
{
	char *text, *line, *next;
	json_t *windows;

	need_leading();
	text = read_own("windows");
	if (!text)
		die(EXIT_SYSTEM, "%s/kernel/twinos/windows is missing", roots.sys);
	if (options->json) {
		windows = json_array();
		for (line = strtok_r(text, "\n", &next); line; line = strtok_r(NULL, "\n", &next))
			json_array_append_new(windows, json_string(line));
		print_json(json_pack("{s:o}", "windows", windows));
	} else {
		fputs(text, stdout);
	}
	free(text);
}

/* A number that counts on a shared CPU only; @what is "slice" or "weight". */
static void warn_dedicated(const struct os *os, const char *what)
{
	if (!os_claims(os) || os->mode != TWINOS_DEDICATED)
		return;
	if (os->nr_cpus > 1)
		fprintf(stderr, "twinos: coexisting OS %u has several CPUs of its own, so its %s has no effect; to let it share CPU 0, load it without --twinos-cpus\n",
			os->id, what);
	else
		fprintf(stderr, "twinos: coexisting OS %u has a CPU of its own, so its %s has no effect until it is moved to CPU 0 (kexec --twinos-id=%u --twinos-cpus=0 --twinos-move)\n",
			os->id, what, os->id);
}

static void write_number(unsigned int id, const char *name, const char *what, unsigned int value)
{
	char path[300];
	FILE *file;

	snprintf(path, sizeof(path), "%s/kernel/twinos/os%u/%s", roots.sys, id, name);
	file = fopen(path, "we");
	if (!file && errno == ENOENT)
		die_gone(id);
	if (!file)
		die(EXIT_SYSTEM, "%s: %s", path, strerror(errno));
	fprintf(file, "%u\n", value);
	if (fclose(file)) {
		if (errno == EINVAL || errno == ERANGE)
			die(EXIT_REFUSED, "the kernel refuses %u as the %s", value, what);
		die(EXIT_SYSTEM, "%s: %s", path, strerror(errno));
	}
}

/* Shows the number in a file of the OS, or sets it to options->value. */
static void show_or_set(const struct options *options, const char *name, const char *what,
			const char *unit, unsigned int min, unsigned int max)
{
	unsigned int value;
	struct os os;
	char *text;

	if (options->value && parse_count(what, options->value, min, max, unit, &value))
		die(EXIT_USAGE, "%s", refusal());
	os = wanted_os(options);
	if (options->value) {
		write_number(os.id, name, what, value);
	} else {
		text = read_of(os.id, name, NULL);
		if (options->json)
			print_json(json_pack("{s:I}", name, (json_int_t)strtoull(text, NULL, 10)));
		else
			fputs(text, stdout);
		free(text);
	}
	warn_dedicated(&os, what);
}

static void run_slice(const struct options *options)
{
	show_or_set(options, "slice_us", "slice", " of microseconds", 100, 1000000);
}

static void run_weight(const struct options *options)
{
	show_or_set(options, "weight", "weight", "", 1, 99);
}

enum { TAKES_OS = 1, TAKES_RAW = 2, TAKES_VALUE = 4 };

static const struct command {
	const char *name;
	void (*run)(const struct options *options);
	unsigned int takes;
} commands[] = {
	{ "status", run_status, TAKES_OS },
	{ "log", run_log, TAKES_OS | TAKES_RAW },
	{ "slice", run_slice, TAKES_OS | TAKES_VALUE },
	{ "weight", run_weight, TAKES_OS | TAKES_VALUE },
	{ "share", run_share, TAKES_OS },
	{ "windows", run_windows, 0 },
	{ NULL, NULL, 0 },
};

static const struct option long_options[] = {
	{ "os", required_argument, NULL, 'o' },
	{ "json", no_argument, NULL, 'j' },
	{ "raw", no_argument, NULL, 'r' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static void parse_options(int argc, char **argv, struct options *options)
{
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":hV", long_options, NULL)) != -1) {
		switch (option) {
		case 'o':
			if (options->os)
				die(EXIT_USAGE, "--os is given twice; see twinos --help");
			if (parse_count("--os", optarg, 1, TWINOS_MAX_ID, "", &options->os))
				die(EXIT_USAGE, "%s", refusal());
			break;
		case 'j':
			options->json = true;
			break;
		case 'r':
			options->raw = true;
			break;
		case 'h':
			fputs(help, stdout);
			exit(0);
		case 'V':
			puts("twinos " TWINOS_VERSION ", ABI version " NUMBER_TEXT(TWINOS_ABI_VERSION));
			exit(0);
		case ':':
			die(EXIT_USAGE, "%s lacks its value; see twinos --help", argv[optind - 1]);
		default:
			die(EXIT_USAGE, "'%s' is no option; see twinos --help", argv[optind - 1]);
		}
	}
}

static void set_roots(void)
{
	static char proc[300], sys[300], etc[300], conf[300];

	snprintf(proc, sizeof(proc), "%s/proc", TWINOS_ROOT);
	snprintf(sys, sizeof(sys), "%s/sys", TWINOS_ROOT);
	snprintf(etc, sizeof(etc), "%s/etc", TWINOS_ROOT);
	snprintf(conf, sizeof(conf), "%s/etc/twinos.conf", TWINOS_ROOT);
	roots = (struct roots){ proc, sys, etc, conf };
}

int main(int argc, char **argv)
{
	const struct command *command;
	struct options options = { 0 };

	set_roots();
	parse_options(argc, argv, &options);
	if (optind == argc) {
		fputs(help, stderr);
		return EXIT_USAGE;
	}
	for (command = commands; command->name; command++) {
		if (!strcmp(command->name, argv[optind]))
			break;
	}
	if (!command->name)
		die(EXIT_USAGE, "no command '%s'; see twinos --help", argv[optind]);
	optind++;
	if (optind < argc && command->takes & TAKES_VALUE)
		options.value = argv[optind++];
	if (optind < argc)
		die(EXIT_USAGE, "'%s' does not belong there; see twinos --help", argv[optind]);
	if (options.os && !(command->takes & TAKES_OS))
		die(EXIT_USAGE, "windows belong to no OS: --os does not apply; see twinos --help");
	if (options.raw && !(command->takes & TAKES_RAW))
		die(EXIT_USAGE, "--raw goes only with log; see twinos --help");
	if (options.raw && options.json)
		die(EXIT_USAGE, "--json and --raw exclude each other; see twinos --help");
	if (options.value && options.json)
		die(EXIT_USAGE, "--json shows, a value sets: not both; see twinos --help");

	command->run(&options);
	if (fflush(stdout) || ferror(stdout))
		die(EXIT_SYSTEM, "standard output: %s", strerror(errno));
	return 0;
}
