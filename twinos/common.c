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
	if (!value || json_dumpf(value, stdout, JSON_COMPACT | JSON_ENSURE_ASCII))
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
		die(EXIT_REFUSED, "the running kernel has no TwinOS support");
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
		os = is_name(text) ? find_named(&list, text) :
			find_os(&list, strtoul(text, NULL, 10));
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
