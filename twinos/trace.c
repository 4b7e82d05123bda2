// SPDX-License-Identifier: GPL-2.0
/*
 * Reads recorded trace events. A recording is mostly of other people's making: lines of other
 * events are passed over, and one of ours that makes no sense is refused by its number.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "trace.h"

static const char *const why_names[WHYS] = {
	"idle", "turn", "interrupt", "event", "urgent", "other",
};

const char *why_name(enum trace_why why)
{
	return why_names[why];
}

/* Where the parser is. */
struct reader {
	const char *name;		/* of the file */
	unsigned int line;
	bool known;			/* something that only a trace has was seen */
	struct trace *trace;
	uint64_t last;			/* time */
};

static int not_understood(const struct reader *r, const char *what)
{
	return refuse(EINVAL, "%s:%u: %s", r->name, r->line, what);
}

static struct trace_event *add_event(struct trace *trace)
{
	struct trace_event *e = trace->event;

	/* Twice the room whenever it is full, which it is at each power of two. */
	if (!(trace->nr & (trace->nr - 1))) {
		e = reallocarray(e, trace->nr ? trace->nr * 2ul : 1, sizeof(*e));
		if (!e)
			return NULL;
		trace->event = e;
	}
	e = &trace->event[trace->nr++];
	*e = (struct trace_event){ .why = WHY_OTHER };
	return e;
}

/* ---- the fields of an event: key=value, of which there may be more than are known here ---- */

/* What stands behind "key=", up to the next blank; false if there is no such field. */
static bool field(const char *fields, const char *key, char *value, size_t size)
{
	const size_t length = strlen(key);
	const char *s;
	size_t n;

	for (s = fields + strspn(fields, " "); *s; s += n + strspn(s + n, " ")) {
		n = strcspn(s, " ");
		if (n > length && n - length <= size && s[length] == '=' &&
		    !memcmp(s, key, length)) {
			snprintf(value, size, "%.*s", (int)(n - length - 1), s + length + 1);
			return true;
		}
	}
	return false;
}

static bool number(const char *text, uint64_t max, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 10);
	return isdigit((unsigned char)*text) && !*end && !errno && *value <= max;
}

static bool take_os(const char *fields, struct trace_event *e)
{
	uint64_t id;
	char text[24];

	if (!field(fields, "os", text, sizeof(text)) || !number(text, TWINOS_MAX_ID, &id) || !id)
		return false;
	e->os = id;
	return true;
}

/* A word that a later kernel may have is a reason, too. */
static bool take_why(const char *fields, struct trace_event *e)
{
	char text[24];
	int i;

	if (!field(fields, "why", text, sizeof(text)))
		return false;
	for (i = 0; i < WHY_OTHER && strcmp(text, why_names[i]); i++)
		;
	e->why = i;
	return true;
}

static bool take_leave(const char *fields, struct trace_event *e)
{
	char text[24];

	e->over_task = field(fields, "over", text, sizeof(text)) && !strcmp(text, "task");
	return take_why(fields, e);
}

static bool take_back(const char *fields, struct trace_event *e)
{
	char text[24];

	if (field(fields, "away_ns", text, sizeof(text)) && !number(text, INT64_MAX, &e->number))
		return false;
	return take_why(fields, e);
}

static bool take_ring(const char *fields, struct trace_event *e)
{
	char text[24];

	if (!field(fields, "from", text, sizeof(text)))
		return false;
	e->from_leading = !strcmp(text, "leading");
	return e->from_leading || !strcmp(text, "coexisting");
}

static bool take_state(const char *fields, struct trace_event *e)
{
	char text[24];
	int state;

	if (!field(fields, "state", text, sizeof(text)))
		return false;
	for (state = TWINOS_EMPTY; state <= TWINOS_HUNG; state++)
		if (!strcmp(text, state_name(state)))
			break;
	e->state = state;
	return state <= TWINOS_HUNG;
}

static const struct {
	const char *name;
	enum trace_kind kind;
	bool (*take)(const char *fields, struct trace_event *event);
} kinds[] = {
	{ "leave", TRACE_LEAVE, take_leave }, { "back", TRACE_BACK, take_back },
	{ "ring", TRACE_RING, take_ring }, { "state", TRACE_STATE, take_state },
};

#define NR_KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* ---- lines ---- */

/* Where the time begins that ends at @end. */
static const char *find_time(const char *line, const char *end)
{
	while (end > line && (isdigit((unsigned char)end[-1]) || end[-1] == '.'))
		end--;
	return end;
}

/* "123.456789" up to @end, with as many decimals as there are, to nanoseconds. */
static bool take_time(const char *s, const char *end, uint64_t *time)
{
	const char *dot = memchr(s, '.', end - s);
	uint64_t seconds, ns = 0;
	unsigned int digits = 0;
	char *stop;

	if (!dot || dot == s)
		return false;
	errno = 0;
	seconds = strtoull(s, &stop, 10);
	if (errno || stop != dot || seconds > INT64_MAX / 2000000000)
		return false;
	for (dot++; dot < end && isdigit((unsigned char)*dot) && digits < 9; dot++, digits++)
		ns = ns * 10 + (*dot - '0');
	if (dot != end || !digits)
		return false;
	for (; digits < 9; digits++)
		ns *= 10;
	*time = seconds * 1000000000 + ns;
	return true;
}

static const char *skip_back(const char *line, const char *s, bool blanks)
{
	while (s > line && (s[-1] == ' ') == blanks)
		s--;
	return s;
}

/* "[000]" or "[000] d..1." before @end. */
static bool take_cpu(const char *line, const char *end, unsigned int *cpu)
{
	const char *s;
	int words, n;

	for (words = 0; words < 2; words++) {
		end = skip_back(line, end, true);
		s = skip_back(line, end, false);
		n = 0;
		if (sscanf(s, "[%u]%n", cpu, &n) == 1 && n && s + n == end)
			return true;
		end = s;
	}
	return false;
}

/*
 * The last " twinos_" with a time before it: a task may be called anything, but what is behind the
 * name of the event is ours.
 */
static const char *find_event(const char *line, unsigned int *kind)
{
	const char *found = NULL, *s = line;
	size_t n;
	unsigned int i;

	while ((s = strstr(s, ": twinos_"))) {
		s += strlen(": twinos_");
		n = strcspn(s, ": ");
		for (i = 0; i < NR_KINDS; i++)
			if (s[n] == ':' && n == strlen(kinds[i].name) &&
			    !memcmp(s, kinds[i].name, n)) {
				found = s;
				*kind = i;
			}
	}
	return found;
}

/*
 * Events of one buffer are in order, and tracefs merges them by time. trace-cmd and a clock that
 * is a CPU's own may have them apart by microseconds; more than a second is another recording.
 */
static int take_event(struct reader *r, const char *line)
{
	const char *name, *s, *end;
	struct trace_event e = { .why = WHY_OTHER }, *new;
	unsigned int kind = 0;

	name = find_event(line, &kind);
	if (!name)
		return 0;
	end = name - strlen(": twinos_");
	s = find_time(line, end);
	/* Else it is what somebody has written into the trace, or has called a task. */
	if (s == end || !take_cpu(line, s, &e.cpu))
		return 0;
	if (!take_time(s, end, &e.time))
		return not_understood(r, "the event has no time in seconds; record it with the trace clock mono or local");
	e.kind = kinds[kind].kind;
	if (!take_os(name, &e) || !kinds[kind].take(strchr(name, ':') + 1, &e))
		return not_understood(r, "the event is not understood; is it one of this version's kernel?");
	if (e.time + 1000000000 < r->last)
		return not_understood(r, "the time goes back; give one recording, not several");
	if (e.time < r->last)
		e.time = r->last;
	r->last = e.time;
	new = add_event(r->trace);
	if (!new)
		return refuse(ENOMEM, "not enough memory for the recording");
	*new = e;
	return 0;
}

/*
 * "CPU:0 [LOST 12 EVENTS]" of tracefs, "CPU:0 [12 EVENTS DROPPED]" of trace-cmd; either may not
 * know how many.
 */
static int take_lost(struct reader *r, const char *line)
{
	uint64_t lost = 0;
	unsigned int cpu;
	struct trace_event *e;
	int n = 0;

	line += strspn(line, " ");
	if (sscanf(line, "CPU:%u [%n", &cpu, &n) != 1 || !n ||
	    !strstr(line, "EVENTS") || !(strstr(line, "LOST") || strstr(line, "DROPPED")))
		return 0;
	r->known = true;
	sscanf(line + n + strcspn(line + n, "0123456789]"), "%" SCNu64, &lost);
	e = add_event(r->trace);
	if (!e)
		return refuse(ENOMEM, "not enough memory for the recording");
	e->kind = TRACE_LOST;
	e->cpu = cpu;
	e->number = lost;
	e->time = r->last;
	return 0;
}

/* "# entries-in-buffer/entries-written: 205/1207   #P:1" */
static void take_comment(struct reader *r, const char *line)
{
	uint64_t kept, written;

	if (strstr(line, "tracer:") || strstr(line, "entries-in-buffer"))
		r->known = true;
	if (sscanf(line, "# entries-in-buffer/entries-written: %" SCNu64 "/%" SCNu64, &kept,
		   &written) == 2 && written > kept)
		r->trace->overwritten = written - kept;
}

/* Does it look like an event of anybody's: "[000]", and later a time and a colon? */
static bool is_any_event(const char *line)
{
	const char *s = strchr(line, '['), *colon;
	uint64_t time;

	if (!s || strspn(s + 1, "0123456789") < 3)
		return false;
	colon = strstr(s, ": ");
	return colon && take_time(find_time(line, colon), colon, &time);
}

static int take_line(struct reader *r, const char *line)
{
	const unsigned int before = r->trace->nr;
	int err;

	if (*line == '#') {
		take_comment(r, line);
		return 0;
	}
	err = take_event(r, line);
	if (!err && r->trace->nr == before)
		err = take_lost(r, line);
	if (!err && !r->known)
		r->known = r->trace->nr != before || is_any_event(line);
	return err;
}

/* The time of what was lost is that of the next event of its CPU. */
static void date_losses(struct trace *trace)
{
	unsigned int i, j;

	for (i = 0; i < trace->nr; i++) {
		if (trace->event[i].kind != TRACE_LOST)
			continue;
		for (j = i + 1; j < trace->nr; j++)
			if (trace->event[j].kind != TRACE_LOST)
				break;
		if (j < trace->nr)
			trace->event[i].time = trace->event[j].time;
	}
}

void free_trace(struct trace *trace)
{
	free(trace->event);
	*trace = (struct trace){ 0 };
}

/**
 * parse_trace() - the events of TwinOS in a recording
 * @name: of the file, for the refusal
 * @text: is changed
 */
int parse_trace(const char *name, char *text, size_t size, struct trace *trace)
{
	struct reader r = { .name = name, .trace = trace };
	char *rest = text, *line;
	int err = 0;

	*trace = (struct trace){ 0 };
	if (size > 10 && !memcmp(text, "\x17\x08" "Dtracing", 10))
		return refuse(EINVAL, "%s is a file of trace-cmd record; give what trace-cmd report -i %s prints",
			      name, name);
	if (memchr(text, 0, size))
		return refuse(EINVAL, "%s is no text; give what the file trace of tracefs or trace-cmd report says",
			      name);
	while (!err && (line = next_line(&rest))) {
		r.line++;
		err = take_line(&r, line);
	}
	if (!err && !r.known)
		err = refuse(EINVAL, "%s is no recording of trace events; give what the file trace of tracefs or trace-cmd report says",
			     name);
	if (err)
		free_trace(trace);
	else
		date_losses(trace);
	return err;
}
