/* SPDX-License-Identifier: GPL-2.0 */
/* Another kernel's console, passed on line by line. */
#ifndef TWINOS_LINES_H
#define TWINOS_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include "libtwinos/libtwinos.h"

enum form { FORM_VISIBLE, FORM_RAW, FORM_JSON };

/* How long a line may be unfinished until what there is of it is passed on. */
#define LINES_PATIENCE 1

struct lines {
	enum form form;
	char *text;		/* of a line that has not ended */
	size_t size;
	double since;		/* when something came last, seconds_now() */
	bool cut;		/* the line's beginning has been passed on already */
};

void add_lines(struct lines *lines, const char *text, size_t size);
void flush_lines(struct lines *lines);
int pass_console(struct console *console, struct lines *lines, const char *name);

#endif
