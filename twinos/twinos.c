// SPDX-License-Identifier: GPL-2.0
/*
 * twinos: shows and adjusts what /sys/kernel/twinos holds about the OSes on
 * this machine. It only reads and writes those files: loading and launching
 * are kexec's business. Manual page: doc/twinos.8.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Another place can be compiled in, to run the command on recorded files. */
#ifndef TWINOS_SYSFS
#define TWINOS_SYSFS	"/sys/kernel/twinos"
#endif

#define EXIT_REFUSED	1	/* no TwinOS, no such OS, value refused */
#define EXIT_USAGE	100
#define EXIT_SYSTEM	111	/* a file could not be read or written */

#define MAX_OS		64

static const char help[] =
"usage: twinos status  [--os=N] [--json]         state, CPUs, memory, devices, CPU time\n"
"       twinos log     [--os=N] [--json]         last console output of the coexisting OS\n"
"       twinos slice   [--os=N] [--json] [US]    show or set the slice, in microseconds\n"
"       twinos weight  [--os=N] [--json] [PCT]   show or set its part of a shared CPU when\n"
"                                                both OSes are busy, 1 to 99 percent\n"
"       twinos share   [--os=N] [--json]         memory, devices and pins it was given\n"
"       twinos windows [--json]                  memory withheld for coexisting OSes\n"
"       twinos --help | --version\n"
"\n"
"--os=N is the coexisting OS's number; it can be left out where there is only one\n"
"(status shows all of them).\n"
"Exit status: 0 done, 1 refused or not there, 100 wrong usage, 111 system error.\n";

struct options {
	unsigned int os;	/* 0: not given */
	bool json;
	const char *value;	/* of slice and weight, or NULL */
};

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

/* A decimal number of digits alone, within min and max; else a usage error. */
static unsigned long parse_number(const char *text, unsigned long min, unsigned long max,
				  const char *what)
{
	unsigned long value = 0;
	const char *c;

	for (c = text; isdigit((unsigned char)*c) && value <= max; c++)
		value = value * 10 + (*c - '0');
	if (*c || c == text || value < min || value > max)
		die(EXIT_USAGE, "%s must be a number from %lu to %lu, not '%s'", what, min, max,
		    text);
	return value;
}

/*
 * Whole content of a file below TWINOS_SYSFS, NUL-terminated; to be freed.
 * Returns NULL where there is no such file; any other trouble ends the program.
 */
static char *read_optional(const char *name)
{
	size_t size = 0, room = 4096, got;
	char path[256], *text;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", TWINOS_SYSFS, name);
	file = fopen(path, "r");
	if (!file && (errno == ENOENT || errno == ENOTDIR))
		return NULL;
	if (!file)
		die(EXIT_SYSTEM, "%s: %s", path, strerror(errno));
	text = malloc(room);
	while (text && (got = fread(text + size, 1, room - size - 1, file)) > 0) {
		size += got;
		if (room - size < 2)
			text = realloc(text, room *= 2);
	}
	if (!text)
		die(EXIT_SYSTEM, "out of memory");
	if (ferror(file))
		die(EXIT_SYSTEM, "%s: %s", path, strerror(errno));
	fclose(file);
	text[size] = 0;
	return text;
}

static char *read_os(unsigned int os, const char *name)
{
	char path[64], *text;

	snprintf(path, sizeof(path), "os%u/%s", os, name);
	text = read_optional(path);
	if (!text)
		die(EXIT_REFUSED, "there is no coexisting OS %u on this machine", os);
	return text;
}

/* The first line of it alone. */
static char *first_line(char *text)
{
	text[strcspn(text, "\n")] = 0;
	return text;
}

static void print_json_string(const char *text, size_t length)
{
	size_t i;

	putchar('"');
	for (i = 0; i < length; i++) {
		unsigned char c = text[i];

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c == '\n')
			fputs("\\n", stdout);
		else if (c < 0x20 || c >= 0x7f)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static void print_json_value(const char *text, size_t length)
{
	/* A longer or zero-led run of digits is no number to JSON readers. */
	if (length && length <= 19 && strspn(text, "0123456789") >= length &&
	    (length == 1 || *text != '0'))
		printf("%.*s", (int)length, text);
	else
		print_json_string(text, length);
}

/* Members of a JSON object, one for each line "key value" of the text. */
static void print_json_members(const char *text, const char *separator)
{
	size_t key, length;

	for (; *text; text += length + (text[length] == '\n')) {
		length = strcspn(text, "\n");
		key = strcspn(text, " \t:\n");
		if (!key)
			continue;
		fputs(separator, stdout);
		separator = ",";
		print_json_string(text, key);
		putchar(':');
		while (key < length && strchr(" \t:", text[key]))
			key++;
		print_json_value(text + key, length - key);
	}
}

/*
 * The share as a JSON object. What there can be several of is an array, whether
 * there are any or not.
 */
static void print_json_share(const char *text)
{
	static const char * const lists[] = { "cpu", "pci", "irq" };
	const char *line, *separator;
	size_t i, key, length;

	putchar('{');
	separator = "";
	for (line = text; *line; line += length + (line[length] == '\n')) {
		length = strcspn(line, "\n");
		key = strcspn(line, " \n");
		for (i = 0; i < 3; i++) {
			if (key == 3 && !strncmp(line, lists[i], key))
				break;
		}
		if (i < 3 || key + 1 > length)
			continue;
		fputs(separator, stdout);
		separator = ",";
		print_json_string(line, key);
		putchar(':');
		print_json_value(line + key + 1, length - key - 1);
	}
	for (i = 0; i < 3; i++) {
		printf("%s\"%s\":[", separator, lists[i]);
		separator = "";
		for (line = text; *line; line += length + (line[length] == '\n')) {
			length = strcspn(line, "\n");
			if (length < 5 || strncmp(line, lists[i], 3) || line[3] != ' ')
				continue;
			fputs(separator, stdout);
			separator = ",";
			print_json_value(line + 4, length - 4);
		}
		putchar(']');
		separator = ",";
	}
	putchar('}');
}

/* Number behind "key " at the start of a line of the statistics; 0 if none. */
static uint64_t statistic(const char *stats, const char *key)
{
	size_t length = strlen(key);
	const char *line = stats;

	while (line) {
		if (!strncmp(line, key, length) && line[length] == ' ')
			return strtoull(line + length, NULL, 10);
		line = strchr(line, '\n');
		if (line)
			line++;
	}
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
		printf("  %-12s CPU %.3f s, %llu switches away, %llu of them idle, ", sides[i],
		       SIDE("run_tsc") / 1e3 / khz, (unsigned long long)SIDE("switches"),
		       (unsigned long long)SIDE("donated"));
		printf("away at most %.3f ms, %llu foreign interrupts\n",
		       (double)SIDE("away_max") / khz, (unsigned long long)SIDE("foreign"));
#undef SIDE
	}
}

/*
 * The next value of a key of the share, NULL behind the last; *share moves
 * behind its line.
 */
static const char *next_value(const char **share, const char *key, size_t *length)
{
	size_t key_length = strlen(key), n;
	const char *line;

	while (**share) {
		line = *share;
		n = strcspn(line, "\n");
		*share = line + n + (line[n] == '\n');
		if (n > key_length && !strncmp(line, key, key_length) && line[key_length] == ' ') {
			*length = n - key_length - 1;
			return line + key_length + 1;
		}
	}
	return NULL;
}

static void print_line(const char *share, const char *key, const char *label)
{
	const char *value, *separator = "";
	size_t length;

	while ((value = next_value(&share, key, &length))) {
		if (!*separator)
			printf("  %-12s ", label);
		printf("%s%.*s", separator, (int)length, value);
		separator = ", ";
	}
	if (*separator)
		putchar('\n');
}

/* "2-3,5", from one line for each CPU */
static void print_cpus(const char *share)
{
	const char *value, *separator = ", CPU ";
	long cpu, first = -1, last = -1;
	size_t length;

	do {
		value = next_value(&share, "cpu", &length);
		cpu = value ? atol(value) : -1;
		if (value && first >= 0 && cpu == last + 1) {
			last = cpu;
			continue;
		}
		if (first >= 0) {
			printf("%s%ld", separator, first);
			if (last > first)
				printf("-%ld", last);
			separator = ",";
		}
		first = last = cpu;
	} while (value);
}

/* What an OS was given is its own until it has ended. */
static bool has_share(const char *state)
{
	return !strcmp(state, "loaded") || !strcmp(state, "starting") || !strcmp(state, "running");
}

static void print_os(unsigned int os, bool json)
{
	char *state = first_line(read_os(os, "state"));
	char *reason = first_line(read_os(os, "reason"));
	char *mode = first_line(read_os(os, "mode"));
	char *share = read_os(os, "share");
	char *stats = read_os(os, "stats");
	char *slice = first_line(read_os(os, "slice_us"));
	char *weight = first_line(read_os(os, "weight"));
	bool shared = strcmp(mode, "dedicated");

	if (json) {
		printf("{\"os\":%u,\"state\":", os);
		print_json_string(state, strlen(state));
		printf(",\"reason\":");
		print_json_string(reason, strlen(reason));
		printf(",\"mode\":");
		print_json_string(mode, strlen(mode));
		printf(",\"slice_us\":");
		print_json_value(slice, strlen(slice));
		printf(",\"weight\":");
		print_json_value(weight, strlen(weight));
		printf(",\"share\":");
		print_json_share(share);
		printf(",\"stats\":{");
		print_json_members(stats, "");
		printf("}}");
	} else {
		printf("OS %u: %s%s%s\n", os, state, *reason ? ": " : "", reason);
		if (has_share(state)) {
			printf("  mode         %s", mode);
			print_cpus(share);
			putchar('\n');
			print_line(share, "window", "window");
			print_line(share, "low", "low slice");
			print_line(share, "pci", "PCI");
			print_line(share, "irq", "pins");
		}
		if (shared)
			printf("  slice        %s us, weight %s percent\n", slice, weight);
		print_times(stats, shared);
	}
	free(state);
	free(reason);
	free(mode);
	free(share);
	free(stats);
	free(slice);
	free(weight);
}

static char *read_role(void)
{
	char *role = read_optional("role");

	if (!role)
		die(EXIT_REFUSED, "the running kernel has no TwinOS support");
	return first_line(role);
}

static void run_status(const struct options *options)
{
	char *role = read_role(), *stats, path[64], *state;
	bool leading = !strcmp(role, "leading");
	const char *separator = "";
	unsigned int os;

	if (!leading && options->os)
		die(EXIT_REFUSED, "this is a coexisting OS: it knows of no other by number");
	if (options->os)
		free(read_os(options->os, "state"));	/* there at all? */
	if (options->json) {
		printf("{\"role\":");
		print_json_string(role, strlen(role));
		fputs(leading ? ",\"os\":[" : ",\"stats\":{", stdout);
	} else {
		printf("role: %s\n", role);
	}
	for (os = 1; leading && os <= MAX_OS; os++) {
		if (options->os && os != options->os)
			continue;
		snprintf(path, sizeof(path), "os%u/state", os);
		state = options->os ? NULL : read_optional(path);
		if (!state && !options->os)
			continue;
		free(state);
		if (options->json)
			fputs(separator, stdout);
		separator = ",";
		print_os(os, options->json);
	}
	if (!leading) {
		stats = read_optional("stats");
		if (!stats)
			die(EXIT_SYSTEM, "%s/stats is missing", TWINOS_SYSFS);
		if (options->json)
			print_json_members(stats, "");
		else
			print_times(stats, statistic(stats, "leading_switches"));
		free(stats);
	}
	if (options->json)
		puts(leading ? "]}" : "}}");
	free(role);
}

static void check_leading(void)
{
	char *role = read_role();

	if (strcmp(role, "leading"))
		die(EXIT_REFUSED, "this is a coexisting OS; ask the leading OS");
	free(role);
}

/*
 * Only the leading OS has something to say about others. Without --os it is the
 * one that there is; os1 is there even while it is empty.
 */
static unsigned int wanted_os(const struct options *options)
{
	char *state, path[64], numbers[MAX_OS * 4] = "";
	unsigned int os, found = 0, nr = 0;
	size_t used = 0;

	check_leading();
	if (options->os)
		return options->os;
	for (os = 1; os <= MAX_OS; os++) {
		snprintf(path, sizeof(path), "os%u/state", os);
		state = read_optional(path);
		if (state && strcmp(first_line(state), "empty")) {
			used += snprintf(numbers + used, sizeof(numbers) - used, "%s%u",
					 nr++ ? ", " : "", os);
			found = os;
		}
		free(state);
	}
	if (nr > 1)
		die(EXIT_REFUSED, "there are several coexisting OSes (%s); say which one with --os=N",
		    numbers);
	return nr ? found : 1;
}

static void run_log(const struct options *options)
{
	char *text = read_os(wanted_os(options), "log");

	if (options->json) {
		printf("{\"log\":");
		print_json_string(text, strlen(text));
		puts("}");
	} else {
		fputs(text, stdout);
		if (*text && text[strlen(text) - 1] != '\n')
			putchar('\n');
	}
	free(text);
}

static void run_share(const struct options *options)
{
	char *text = read_os(wanted_os(options), "share");

	if (options->json) {
		print_json_share(text);
		putchar('\n');
	} else {
		fputs(text, stdout);
	}
	free(text);
}

static void run_windows(const struct options *options)
{
	const char *line, *separator = "";
	size_t length;
	char *text;

	if (options->os)
		die(EXIT_USAGE, "windows belong to no OS: --os does not apply; see twinos --help");
	check_leading();
	text = read_optional("windows");
	if (!text)
		die(EXIT_SYSTEM, "%s/windows is missing", TWINOS_SYSFS);
	if (!options->json)
		fputs(text, stdout);
	else
		fputs("{\"windows\":[", stdout);
	for (line = text; options->json && *line; line += length + (line[length] == '\n')) {
		length = strcspn(line, "\n");
		fputs(separator, stdout);
		print_json_string(line, length);
		separator = ",";
	}
	if (options->json)
		puts("]}");
	free(text);
}

/* Shows the number in a file of the OS, or sets it to options->value. */
static void show_or_set(const struct options *options, const char *name, const char *what,
			unsigned long min, unsigned long max)
{
	unsigned long value = 0;
	unsigned int os;
	char path[256], *text;
	FILE *file;

	if (options->value)
		value = parse_number(options->value, min, max, what);
	os = wanted_os(options);
	text = first_line(read_os(os, name));
	if (!options->value) {
		if (options->json)
			printf("{\"%s\":%s}\n", name, text);
		else
			puts(text);
		free(text);
		return;
	}
	free(text);

	snprintf(path, sizeof(path), "%s/os%u/%s", TWINOS_SYSFS, os, name);
	file = fopen(path, "w");
	if (!file)
		die(EXIT_SYSTEM, "%s: %s", path, strerror(errno));
	fprintf(file, "%lu\n", value);
	if (fclose(file)) {
		if (errno == EINVAL || errno == ERANGE)
			die(EXIT_REFUSED, "the kernel refuses %lu as the %s", value, what);
		die(EXIT_SYSTEM, "%s: %s", path, strerror(errno));
	}
}

static void run_slice(const struct options *options)
{
	show_or_set(options, "slice_us", "slice (microseconds)", 100, 1000000);
}

static void run_weight(const struct options *options)
{
	show_or_set(options, "weight", "weight (percent)", 1, 99);
}

static const struct command {
	const char *name;
	void (*run)(const struct options *options);
	bool takes_value;
} commands[] = {
	{ "status", run_status, false },
	{ "log", run_log, false },
	{ "slice", run_slice, true },
	{ "weight", run_weight, true },
	{ "share", run_share, false },
	{ "windows", run_windows, false },
	{ NULL, NULL, false },
};

int main(int argc, char **argv)
{
	const struct command *command;
	struct options options = { 0 };
	int i;

	if (argc < 2) {
		fputs(help, stderr);
		return EXIT_USAGE;
	}
	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") && strcmp(argv[i], "--version"))
			continue;
		if (argc > 2 && !(argc == 3 && i == 2 && !strcmp(argv[i], "--help")))
			die(EXIT_USAGE, "%s stands alone; see twinos --help", argv[i]);
		fputs(strcmp(argv[i], "--help") ? "twinos " TWINOS_VERSION "\n" : help, stdout);
		return 0;
	}

	for (command = commands; command->name; command++) {
		if (!strcmp(command->name, argv[1]))
			break;
	}
	if (!command->name)
		die(EXIT_USAGE, "no command '%s'; see twinos --help", argv[1]);
	for (i = 2; i < argc; i++) {
		if (!strcmp(argv[i], "--json") && !options.json)
			options.json = true;
		else if (!strncmp(argv[i], "--os=", 5) && !options.os)
			options.os = parse_number(argv[i] + 5, 1, MAX_OS, "--os");
		else if (*argv[i] != '-' && command->takes_value && !options.value)
			options.value = argv[i];
		else
			die(EXIT_USAGE, "'%s' does not belong there; see twinos --help", argv[i]);
	}
	if (options.value && options.json)
		die(EXIT_USAGE, "--json shows, a value sets: not both; see twinos --help");

	command->run(&options);
	if (fflush(stdout) || ferror(stdout))
		die(EXIT_SYSTEM, "standard output: %s", strerror(errno));
	return 0;
}
