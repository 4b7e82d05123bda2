// SPDX-License-Identifier: GPL-2.0
/*
 * From trace events to who had CPU 0 when. A recording can begin and end in the middle, and events
 * can be missing: what is not known is a span of its own, never guessed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "timeline.h"

#define ROUNDING	2000		/* nanoseconds, of the times that tracefs shows */

/* Who has the CPU, as far as the events have been read. */
struct state {
	struct timeline *t;
	enum holder holder;
	uint64_t since;			/* when that began */
	uint64_t seen;			/* the last event of CPU 0 */
	bool beginning;			/* nothing has told who has it */
	bool ending;			/* nothing will tell how long */
	int err;
};

static void add_span(struct state *s, enum holder holder, uint64_t start, uint64_t end)
{
	struct timeline *t = s->t;
	struct span *last = t->nr ? &t->span[t->nr - 1] : NULL, *more;

	if (end <= start || s->err)
		return;
	if (last && last->holder == holder && holder == HOLDER_UNKNOWN) {
		last->end = end;
		return;
	}
	if (t->nr == t->room) {
		t->room = t->room ? t->room * 2 : 64;
		more = reallocarray(t->span, t->room, sizeof(*more));
		if (!more) {
			s->err = refuse(ENOMEM, "not enough memory for the recording");
			return;
		}
		t->span = more;
	}
	t->span[t->nr++] = (struct span){ start, end, holder, s->beginning || s->ending };
}

static void change(struct state *s, enum holder holder, uint64_t time)
{
	s->holder = holder;
	s->since = time > s->since ? time : s->since;
	s->beginning = false;
}

static void take_leave(struct state *s, const struct trace_event *e, enum holder who)
{
	switch (s->holder) {
	case HOLDER_LEADING:
		add_span(s, HOLDER_LEADING, s->since, e->time);
		break;
	case HOLDER_UNKNOWN:
		/* Only who has it can give it away: before the first event that was the leading OS. */
		add_span(s, s->beginning ? HOLDER_LEADING : HOLDER_UNKNOWN, s->since, e->time);
		break;
	default:
		/* It must have come back, but when? */
		s->t->unpaired++;
		add_span(s, HOLDER_UNKNOWN, s->since, e->time);
	}
	change(s, who, e->time);
}

/* @e->number: how long it was away, which tells when it was given away if nothing else does. */
static void take_back(struct state *s, const struct trace_event *e, enum holder who)
{
	uint64_t left = e->number && e->number <= e->time ? e->time - e->number : e->time;

	if (left < s->since || (s->beginning && !e->number))
		left = s->since;
	/* Exact, also where the beginning was not recorded. */
	if (e->number > s->t->longest[who])
		s->t->longest[who] = e->number;
	if (s->holder != who) {
		s->t->unpaired += !s->beginning && s->holder != HOLDER_UNKNOWN;
		add_span(s, s->holder == HOLDER_LEADING ? HOLDER_LEADING : HOLDER_UNKNOWN,
			 s->since, left);
		add_span(s, who, left, e->time);
	} else {
		add_span(s, who, s->since, e->time);
	}
	change(s, HOLDER_LEADING, e->time);
}

/* From the last event that CPU 0 has told until the next one. */
static void take_gap(struct state *s, const struct trace_event *e)
{
	struct timeline *t = s->t;

	t->gaps++;
	t->lost += e->number;
	t->lost_unknown |= !e->number;
	/* Other CPUs tell of doorbells and states alone. */
	if (e->cpu)
		return;
	s->ending = true;
	add_span(s, s->holder, s->since, s->seen);
	s->ending = false;
	change(s, HOLDER_UNKNOWN, s->seen);
}

/* An OS that has ended has no CPU any more, whether that was told or not. */
static void take_end(struct state *s, const struct trace_event *e, enum holder who)
{
	if (s->holder != who || e->state == TWINOS_STARTING || e->state == TWINOS_RUNNING)
		return;
	add_span(s, who, s->since, e->time);
	change(s, HOLDER_LEADING, e->time);
}

static void count_event(struct timeline *t, const struct trace_event *e)
{
	if (e->os != t->os)
		return;
	switch (e->kind) {
	case TRACE_LEAVE:
		t->leaves[e->why]++;
		t->over_task += e->over_task;
		break;
	case TRACE_BACK:
		t->backs[e->why]++;
		break;
	case TRACE_RING:
		t->rings[e->from_leading]++;
		break;
	default:
		break;
	}
}

static void take_event(struct state *s, const struct trace_event *e)
{
	const enum holder who = e->os == s->t->os ? HOLDER_COEXISTING : HOLDER_ANOTHER;

	switch (e->kind) {
	case TRACE_LEAVE:
		take_leave(s, e, who);
		break;
	case TRACE_BACK:
		take_back(s, e, who);
		break;
	case TRACE_STATE:
		take_end(s, e, who);
		break;
	case TRACE_LOST:
		take_gap(s, e);
		return;
	case TRACE_RING:
		break;
	}
	count_event(s->t, e);
	if (!e->cpu)
		s->seen = e->time;
}

static void sum_up(struct timeline *t)
{
	const struct span *s;

	for (s = t->span; s < t->span + t->nr; s++) {
		t->time[s->holder] += s->end - s->start;
		if (s->end - s->start <= t->longest[s->holder] + ROUNDING)
			continue;
		t->longest[s->holder] = s->end - s->start;
		t->cut[s->holder] = s->cut;
	}
}

/* Without the times of the recorder, it is from the first event to the last one. */
static void set_ends(struct timeline *t, uint64_t start, uint64_t end)
{
	const struct trace_event *first, *last;

	t->start = start;
	t->end = end;
	if (end || !t->trace->nr)
		return;
	first = &t->trace->event[0];
	last = &t->trace->event[t->trace->nr - 1];
	t->start = first->time;
	if (first->kind == TRACE_BACK && first->number < first->time)
		t->start -= first->number;
	/* One event alone has no duration: a millisecond, so that there is something to see. */
	t->end = last->time > t->start ? last->time : t->start + 1000000;
}

/**
 * make_timeline() - all about one OS
 * @trace: has to stay as long as the timeline does
 * @start, @end: of the recording; 0 if it does not tell
 */
int make_timeline(struct timeline *t, const struct trace *trace, uint32_t os, uint64_t start,
		  uint64_t end)
{
	struct state s = { .t = t, .beginning = true };
	unsigned int i;

	*t = (struct timeline){ .os = os, .trace = trace };
	set_ends(t, start, end);
	s.since = t->start;
	s.seen = t->start;
	if (trace->overwritten) {
		/* What the buffer had no room for was before all of this. */
		t->lost = trace->overwritten;
		if (trace->nr && end && trace->event[0].time > t->start) {
			add_span(&s, HOLDER_UNKNOWN, t->start, trace->event[0].time);
			s.since = s.seen = trace->event[0].time;
			t->gaps++;
		}
	}
	for (i = 0; i < trace->nr && !s.err; i++)
		take_event(&s, &trace->event[i]);
	s.ending = true;
	add_span(&s, s.holder, s.since, t->end);
	if (!s.err)
		sum_up(t);
	return s.err;
}

void free_timeline(struct timeline *t)
{
	free(t->span);
	t->span = NULL;
}
