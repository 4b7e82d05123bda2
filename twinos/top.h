/* SPDX-License-Identifier: GPL-2.0 */
/* What twinos top shows: rows of texts, for a plain table and for the live view. */
#ifndef TWINOS_TOP_H
#define TWINOS_TOP_H

#include "rates.h"

/* From the left, which is what a narrow terminal shows. */
enum column {
	TOP_NAME, TOP_NUMBER, TOP_STATE, TOP_MODE, TOP_CPUS, TOP_CPU, TOP_ALIVE, TOP_UP,
	TOP_SWITCHES, TOP_FOREIGN, TOP_BELL_IN, TOP_BELL_OUT, TOP_CONSOLE_IN, TOP_CONSOLE_OUT,
	TOP_NETWORK_IN, TOP_NETWORK_OUT, TOP_COLUMNS
};

/* By what the rows are sorted, behind the leading OS. */
struct order {
	char key;			/* of the live view */
	const char *name;
	enum column columns[2];		/* their sum, the largest first */
};

extern const struct order orders[];	/* the last one has no key; the first is by number */
extern const char *const top_titles[TOP_COLUMNS];

struct row {
	const struct observed *os;	/* NULL: the leading OS */
	double value[TOP_COLUMNS];	/* of those with a number; negative: not known */
	char *text[TOP_COLUMNS];
};

struct top {
	const char *const *words;	/* the OSes that are meant; none: all */
	unsigned int nr_words;
	double delay;			/* seconds */
	struct reading before, now;
	const struct order *order;
	unsigned int nr_rows;
	unsigned int running;		/* those of the coexisting OSes shown that run */
	struct row *rows;
	size_t width[TOP_COLUMNS];	/* they only grow, so that no column moves to and fro */
};

int next_reading(struct top *top);
void make_rows(struct top *top);
bool to_the_left(enum column column);

/* live.c; returns an error with a refusal when it cannot go on. */
int run_live(struct top *top);

#endif
