// SPDX-License-Identifier: GPL-2.0
/* twinos slice, weight and set: how a CPU is shared. */
#include <stdlib.h>
#include <string.h>
#include "common.h"

/* A number that counts on a shared CPU only; @what is "slice" or "weight". */
static void warn_dedicated(const struct os *os, const char *what)
{
	if (!os_claims(os) || os->mode != TWINOS_DEDICATED)
		return;
	if (os->nr_cpus > 1)
		fprintf(stderr, "twinos: coexisting OS %u has several CPUs of its own, so its %s has no effect; to let it share CPU 0, load it without CPUs\n",
			os->id, what);
	else
		fprintf(stderr, "twinos: coexisting OS %u has a CPU of its own, so its %s has no effect until it is moved to CPU 0 (twinos move %u 0)\n",
			os->id, what, os->id);
}

/* Shows the number in a file of the OS, or sets it to word. */
static int show_or_set(const struct options *options, const char *name, const char *what,
			const char *unit, unsigned int min, unsigned int max)
{
	const char *word = options->nr_words ? options->words[0] : NULL;
	unsigned int value;
	struct os os;
	char *text;
	int err;

	if (word && GIVEN(options, JSON))
		die(EXIT_USAGE, "--json shows, a value sets: not both; see twinos --help");
	if (word && parse_count(what, word, min, max, unit, &value))
		die(EXIT_USAGE, "%s", refusal());
	os = wanted_os(options->text[OPTION_OS]);
	if (word) {
		err = set_number(&roots, os.id, name, value);
		if (err)
			fail(err);
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


/* ---- set ---- */

static const struct {
	const char *word, *file, *unit;
	unsigned int min, max;
} numbers[] = {
	{ "slice", "slice_us", " of microseconds", 100, 1000000 },
	{ "weight", "weight", " of percent", 1, 99 },
};

#define NUMBERS (sizeof(numbers) / sizeof(numbers[0]))

/* slice=US or weight=PCT */
static void take_word(const char *word, unsigned int *values)
{
	const char *value = strchr(word, '=');
	unsigned int i;

	for (i = 0; i < NUMBERS; i++)
		if (value && strlen(numbers[i].word) == (size_t)(value - word) &&
		    !strncmp(word, numbers[i].word, value - word))
			break;
	if (i == NUMBERS)
		die(EXIT_USAGE, "'%s' is neither slice=US nor weight=PCT; see twinos --help", word);
	if (values[i])
		die(EXIT_USAGE, "%s is given twice; see twinos --help", numbers[i].word);
	if (parse_count(numbers[i].word, value + 1, numbers[i].min, numbers[i].max,
			numbers[i].unit, &values[i]))
		die(EXIT_USAGE, "%s", refusal());
}

/* All is looked at before anything is set. */
int run_set(const struct options *options)
{
	unsigned int values[NUMBERS] = { 0 };
	unsigned int i;
	struct os os;
	int err;

	check_os_text("NAME", options->words[0]);
	for (i = 1; i < options->nr_words; i++)
		take_word(options->words[i], values);
	os = wanted_os(options->words[0]);
	for (i = 0; i < NUMBERS; i++) {
		if (!values[i])
			continue;
		err = set_number(&roots, os.id, numbers[i].file, values[i]);
		if (err)
			fail(err);
		warn_dedicated(&os, numbers[i].word);
	}
	return 0;
}
