/* SPDX-License-Identifier: GPL-2.0 */
/* Who had CPU 0 when, out of recorded trace events. */
#ifndef TWINOS_TIMELINE_H
#define TWINOS_TIMELINE_H

#include "trace.h"

enum holder { HOLDER_UNKNOWN, HOLDER_LEADING, HOLDER_COEXISTING, HOLDER_ANOTHER, HOLDERS };

struct span {
	uint64_t start, end;		/* nanoseconds */
	enum holder holder;
	bool cut;			/* it may have begun before, or ended behind, the recording */
};

struct timeline {
	uint32_t os;			/* the one that is meant; HOLDER_ANOTHER is any other */
	char name[TWINOS_NAME_SIZE];	/* "" if it is not known */
	uint64_t start, end;
	unsigned int nr, room;
	struct span *span;		/* from start to end, without a hole */
	const struct trace *trace;

	/* What comes of it. */
	uint64_t time[HOLDERS];
	uint64_t longest[HOLDERS];	/* of one span */
	bool cut[HOLDERS];		/* that one is cut */
	unsigned int leaves[WHYS], backs[WHYS], over_task;
	unsigned int rings[2];		/* [1]: from the leading OS */
	uint64_t lost;			/* events; at least that many if lost_unknown */
	unsigned int gaps;		/* where they were lost */
	bool lost_unknown;
	unsigned int unpaired;		/* leaves without a return and the other way round */
};

int make_timeline(struct timeline *t, const struct trace *trace, uint32_t os, uint64_t start,
		  uint64_t end);
void free_timeline(struct timeline *t);
double in_seconds(uint64_t ns);
const char *format_duration(uint64_t ns, char *text, size_t size);
const char *format_away(const struct timeline *t, enum holder who, char *text, size_t size);
const char *format_notes(const struct timeline *t, char *text, size_t size);
unsigned int sum_of(const unsigned int *counts);

/* timeline-svg.c */
void draw_timeline(const struct timeline *t, const char *path);

#endif
