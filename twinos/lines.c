// SPDX-License-Identifier: GPL-2.0
/*
 * Another kernel's console, passed on line by line: a line may come in pieces, and a
 * character may be cut in two. One that does not end is passed on after a moment.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common.h"
#include "lines.h"
#include "text.h"

#define LINE_MAX_SIZE 8192

static void pass_line(struct lines *lines, const char *text, size_t size, bool ended)
{
	json_t *object;
	char *shown;

	if (lines->form == FORM_RAW) {
		fwrite(text, 1, size, stdout);
	} else if (lines->form == FORM_JSON) {
		object = json_pack("{s:o}", "line", json_text(text, size));
		if (!object || json_dumpf(object, stdout, JSON_COMPACT | JSON_ENSURE_ASCII))
			die(EXIT_SYSTEM, "out of memory");
		json_decref(object);
		putchar('\n');
		return;
	} else {
		shown = visible_text(text, size);
		fputs(shown, stdout);
		free(shown);
	}
	if (ended)
		putchar('\n');
}

static void keep(struct lines *lines, const char *text, size_t size)
{
	char *longer;

	if (!size)
		return;
	longer = realloc(lines->text, lines->size + size);
	if (!longer)
		die(EXIT_SYSTEM, "out of memory");
	memcpy(longer + lines->size, text, size);
	lines->text = longer;
	lines->size += size;
}

/** flush_lines() - what there is of a line that has not ended */
void flush_lines(struct lines *lines)
{
	if (lines->size) {
		/* A terminal shows it as it is; in a journal it has to be a line. */
		pass_line(lines, lines->text, lines->size, lines->form == FORM_VISIBLE);
		lines->size = 0;
		lines->cut = lines->form != FORM_RAW;
	}
	fflush(stdout);
}

void add_lines(struct lines *lines, const char *text, size_t size)
{
	const char *end;
	size_t n;

	lines->since = seconds_now();
	for (; size; text += n, size -= n) {
		end = memchr(text, '\n', size);
		n = end ? (size_t)(end - text) : size;
		keep(lines, text, n);
		if (end) {
			/* As a terminal wants the end of a line. */
			while (lines->form != FORM_RAW && lines->size &&
			       lines->text[lines->size - 1] == '\r')
				lines->size--;
			/* The end of a line that has been passed on is no line of its own. */
			if (lines->size || !lines->cut)
				pass_line(lines, lines->text, lines->size, true);
			lines->size = 0;
			lines->cut = false;
			n++;
		} else if (lines->size > LINE_MAX_SIZE) {
			flush_lines(lines);
		}
	}
	fflush(stdout);
}

/**
 * pass_console() - pass on what an OS has printed since the last time
 * @name: what it is called, for what is said on standard error
 */
int pass_console(struct console *console, struct lines *lines, const char *name)
{
	struct printed printed;
	int err = read_console(&roots, console, &printed);

	if (printed.again || printed.lost)
		flush_lines(lines);
	if (printed.again)
		fprintf(stderr, "twinos: %s: launched again\n", name);
	if (printed.lost)
		fprintf(stderr, "twinos: %s: %" PRIu64 " bytes of its console are lost\n", name,
			printed.lost);
	if (printed.size)
		add_lines(lines, printed.text, printed.size);
	free(printed.text);
	return err;
}
