/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's trace events of OS switches, as text: what the file "trace" of tracefs says, or
 * trace-cmd report. Each is a line
 *
 *            <idle>-0     [000] d..1.   123.456789: twinos_leave: os=1 why=idle
 */
#ifndef TWINOS_TRACE_H
#define TWINOS_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include "libtwinos/libtwinos.h"

enum trace_kind {
	TRACE_LEAVE,			/* the leading OS gives CPU 0 to an OS */
	TRACE_BACK,			/* and has it again */
	TRACE_RING,			/* a doorbell */
	TRACE_STATE,
	TRACE_LOST,			/* some that were to be here are not */
};

/* Why CPU 0 was given away, or came back. */
enum trace_why { WHY_IDLE, WHY_TURN, WHY_INTERRUPT, WHY_EVENT, WHY_URGENT, WHY_OTHER, WHYS };

struct trace_event {
	enum trace_kind kind;
	unsigned int cpu;		/* that wrote it */
	uint32_t os;			/* not of TRACE_LOST */
	uint64_t time;			/* nanoseconds; of TRACE_LOST, of the next one of its CPU */
	enum trace_why why;
	bool over_task;			/* TRACE_LEAVE: taken from a task */
	bool from_leading;		/* TRACE_RING */
	enum twinos_state state;
	uint64_t number;		/* TRACE_BACK: ns away, 0 not told; TRACE_LOST: events, 0 unknown */
};

struct trace {
	unsigned int nr;
	struct trace_event *event;	/* by time */
	uint64_t overwritten;		/* events before the first one that the buffer had no room for */
};

const char *why_name(enum trace_why why);
int parse_trace(const char *name, char *text, size_t size, struct trace *trace);
void free_trace(struct trace *trace);

/* record.c */
char *record_trace(double seconds, uint64_t *start, uint64_t *end, size_t *size);

#endif
