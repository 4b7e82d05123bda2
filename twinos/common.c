// SPDX-License-Identifier: GPL-2.0
/*
 * What the commands have in common: how they end, which OS is meant, and what
 * /sys/kernel/twinos says.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "common.h"

struct roots roots;

void die(int status, const char *format, ...)
{
	va_list args;

	fputs("twinos: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(status);
}

void fail(int err)
{
	die(err == -EIO ? EXIT_SYSTEM : EXIT_REFUSED, "%s", refusal());
}

void die_gone(const char *os)
{
	die(EXIT_REFUSED, "there is no coexisting OS %s on this machine", os);
}

void print_json(json_t *value)
{
	/* As many digits as a double has: 0.1 is then 0.1. */
	if (!value || json_dumpf(value, stdout,
				 JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15)))
		die(EXIT_SYSTEM, "out of memory");
	putchar('\n');
	json_decref(value);
}

/** read_own() - what a file of the machine says, not of one OS; NULL if there is none */
char *read_own(const char *name)
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

bool is_leading(void)
{
	char *role = read_own("role");
	bool leading;

	if (!role)
		die(EXIT_REFUSED, "the running kernel has no TwinOS support, or it is off there (dmesg says why)");
	leading = !strcmp(role, "leading\n");
	free(role);
	return leading;
}

void need_leading(void)
{
	if (!is_leading())
		die(EXIT_REFUSED, "this is a coexisting OS; ask the leading OS");
}

/** read_of() - a file of an OS that must be there */
char *read_of(const struct os *os, const char *name, size_t *size)
{
	char *text, number[12];
	int err = read_os_file(&roots, os->id, name, &text, size);

	if (err == -ENOENT) {
		snprintf(number, sizeof(number), "%u", os->id);
		die_gone(number);
	}
	if (err)
		fail(err);
	return text;
}

/** check_os_text() - a number or a name? @name is what the option is called */
void check_os_text(const char *name, const char *text)
{
	unsigned int id;

	if (is_name(text))
		return;
	if (isdigit((unsigned char)*text) || !*text) {
		if (parse_count(name, text, 1, TWINOS_MAX_ID, "", &id))
			die(EXIT_USAGE, "%s", refusal());
		return;
	}
	die(EXIT_USAGE, "%s=%s is neither the name of an OS nor a number", name, text);
}

/** os_word() - the OS that a command is for, checked; NULL if none is named */
const char *os_word(const struct options *options)
{
	if (!options->nr_words)
		return NULL;
	check_os_text("NAME", options->words[0]);
	return options->words[0];
}

static const struct os *find_in(const struct os_list *list, const char *text)
{
	return is_name(text) ? find_named(list, text) : find_os(list, strtoul(text, NULL, 10));
}

static int refuse_gone(const char *os)
{
	return refuse(ENOENT, "there is no coexisting OS %s on this machine", os);
}

/** find_os_by() - by number or name; -ENOENT, with a refusal, if there is none */
int find_os_by(const char *text, struct os *os)
{
	struct os_list list;
	const struct os *found;
	int err = read_oses(&roots, &list);

	if (err)
		return err;
	found = find_in(&list, text);
	if (!found)
		return refuse_gone(text);
	*os = *found;
	return 0;
}

/**
 * wanted_os() - the OS meant
 * @text: its number or name, checked; NULL for the one that there is
 *
 * Only the leading OS has something to say about others. os1 is there even while it is empty.
 */
struct os wanted_os(const char *text)
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
	if (text) {
		os = find_in(&list, text);
		if (!os)
			die_gone(text);
		return *os;
	}
	if (os_numbers(&list, any, numbers, sizeof(numbers)) > 1)
		die(EXIT_REFUSED, "there are several coexisting OSes (%s); say which one with --os=N",
		    numbers);
	for (os = list.os; os < list.os + list.nr - 1 && !(any & STATE(os->state)); os++)
		;
	return any & STATE(os->state) ? *os : list.os[0];
}

/** end_verb() - "has crashed" */
const char *end_verb(enum twinos_state state)
{
	switch (state) {
	case TWINOS_CRASHED:
		return "has crashed";
	case TWINOS_HUNG:
		return "hung";
	default:
		return "has ended";
	}
}

/** format_cpus() - "2-3,5"; "" if it has none of its own */
void format_cpus(const struct os *os, char *text, size_t size)
{
	uint32_t first, last;
	size_t used = 0;

	*text = 0;
	for (first = 0; first < os->nr_cpus && used < size; first = last + 1) {
		for (last = first; last + 1 < os->nr_cpus; last++)
			if (os->cpus[last + 1] != os->cpus[last] + 1)
				break;
		used += snprintf(text + used, size - used, "%s%u", first ? "," : "",
				 os->cpus[first]);
		if (last > first && used < size)
			used += snprintf(text + used, size - used, "-%u", os->cpus[last]);
	}
}

void format_pci(const struct twinos_pci *pci, char *text, size_t size)
{
	snprintf(text, size, "%04x:%02x:%02x.%x", pci->domain, pci->bus, pci->devfn >> 3,
		 pci->devfn & 7);
}
