// SPDX-License-Identifier: GPL-2.0
/* twinos slice and weight: how a CPU is shared. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "common.h"

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

static void write_number(const struct os *os, const char *name, const char *what, unsigned int value)
{
	char path[300];
	FILE *file;

	snprintf(path, sizeof(path), "%s/kernel/twinos/os%u/%s", roots.sys, os->id, name);
	file = fopen(path, "we");
	if (!file && errno == ENOENT) {
		snprintf(path, sizeof(path), "%u", os->id);
		die_gone(path);
	}
	if (!file)
		die(EXIT_SYSTEM, "%s: %s", path, strerror(errno));
	fprintf(file, "%u\n", value);
	if (fclose(file)) {
		if (errno == EINVAL || errno == ERANGE)
			die(EXIT_REFUSED, "the kernel refuses %u as the %s", value, what);
		die(EXIT_SYSTEM, "%s: %s", path, strerror(errno));
	}
}

/* Shows the number in a file of the OS, or sets it to word. */
static int show_or_set(const struct options *options, const char *name, const char *what,
			const char *unit, unsigned int min, unsigned int max)
{
	const char *word = options->nr_words ? options->words[0] : NULL;
	unsigned int value;
	struct os os;
	char *text;

	if (word && GIVEN(options, JSON))
		die(EXIT_USAGE, "--json shows, a value sets: not both; see twinos --help");
	if (word && parse_count(what, word, min, max, unit, &value))
		die(EXIT_USAGE, "%s", refusal());
	os = wanted_os(options->text[OPTION_OS]);
	if (word) {
		write_number(&os, name, what, value);
	} else {
		text = read_of(&os, name, NULL);
		if (GIVEN(options, JSON))
			print_json(json_pack("{s:I}", name, (json_int_t)strtoull(text, NULL, 10)));
		else
			fputs(text, stdout);
		free(text);
	}
	warn_dedicated(&os, what);
	return 0;
}

int run_slice(const struct options *options)
{
	return show_or_set(options, "slice_us", "slice", " of microseconds", 100, 1000000);
}

int run_weight(const struct options *options)
{
	return show_or_set(options, "weight", "weight", "", 1, 99);
}

