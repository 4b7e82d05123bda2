// SPDX-License-Identifier: GPL-2.0
/*
 * The line that says why something is refused. It is noted where the cause is
 * known and printed once, where the program ends.
 */
#include <stdarg.h>
#include <string.h>
#include "libtwinos.h"

const char *twinos_program = "kexec";

static char line[TWINOS_REFUSAL_MAX];

int refuse(int err, const char *format, ...)
{
	va_list args;
	char *c;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	/* File names and option values may hold anything; a line stays a line. */
	for (c = line; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	return -err;
}

const char *refusal(void)
{
	return line;
}

/** said_as() - what kexec calls @option is @key in a file of the twinos command */
const char *said_as(const char *option, const char *key)
{
	return strcmp(twinos_program, "kexec") ? key : option;
}
