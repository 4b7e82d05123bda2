// SPDX-License-Identifier: GPL-2.0
/*
 * twinos timeline: which OS had the shared CPU when, and why it was switched. Out of a recording
 * that is made now, or was made before. Here: the command and its text.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "common.h"
#include "timeline.h"

#define FOR_DEFAULT	2.0
#define FOR_MIN		0.01
#define FOR_MAX		60.0
#define STATES_SHOWN	12

/* ---- texts ---- */

double in_seconds(uint64_t ns)
{
	return ns / 1e9;
}

/** format_duration() - "1.234 ms" */
const char *format_duration(uint64_t ns, char *text, size_t size)
{
	if (ns >= 1000000000)
		snprintf(text, size, "%.3f s", ns / 1e9);
	else if (ns >= 1000000)
		snprintf(text, size, "%.3f ms", ns / 1e6);
	else
		snprintf(text, size, "%.1f us", ns / 1e3);
	return text;
}

/* Who had the CPU at once while @who was without it for longest. */
static enum holder longest_away(const struct timeline *t, enum holder who)
{
	if (who != HOLDER_LEADING)
		return HOLDER_LEADING;
	return t->longest[HOLDER_ANOTHER] > t->longest[HOLDER_COEXISTING] ?
		HOLDER_ANOTHER : HOLDER_COEXISTING;
}

/** format_away() - the longest that somebody else had the CPU at once; "-" if nobody had */
const char *format_away(const struct timeline *t, enum holder who, char *text, size_t size)
{
	const enum holder other = longest_away(t, who);
	char duration[32];

	if (!t->longest[other])
		return "-";
	snprintf(text, size, "%s%s", t->cut[other] ? "at least " : "",
		 format_duration(t->longest[other], duration, sizeof(duration)));
	return text;
}

unsigned int sum_of(const unsigned int *counts)
{
	unsigned int i, sum = 0;

	for (i = 0; i < WHYS; i++)
		sum += counts[i];
	return sum;
}

/** format_notes() - what is missing of it, as a sentence; "" if nothing is */
const char *format_notes(const struct timeline *t, char *text, size_t size)
{
	size_t used = 0;

	*text = 0;
	if (t->gaps || t->lost)
		used = snprintf(text, size, "Lost: %s%" PRIu64 " events%s.", t->lost_unknown ? "at least " : "",
				t->lost, t->time[HOLDER_UNKNOWN] ? "; who had CPU 0 then is unknown" :
				t->gaps ? "" : ", before the first one");
	if (t->unpaired && used < size)
		snprintf(text + used, size - used, "%s%u switch%s told on one side alone.",
			 used ? " " : "", t->unpaired, t->unpaired == 1 ? " is" : "es are");
	return text;
}

static double percent(const struct timeline *t, enum holder who)
{
	return t->end > t->start ? 100.0 * t->time[who] / (t->end - t->start) : 0;
}

static void print_reasons(const char *label, const unsigned int *counts, unsigned int over_task)
{
	const char *before = ": ";
	int i;

	printf("  %-14s%u times", label, sum_of(counts));
	for (i = 0; i < WHYS; i++)
		if (counts[i]) {
			printf("%s%s %u", before, why_name(i), counts[i]);
			before = ", ";
		}
	if (over_task)
		printf("; %u of them over a task", over_task);
	putchar('\n');
}

static void print_states(const struct timeline *t)
{
	const struct trace_event *e;
	unsigned int nr = 0;

	for (e = t->trace->event; e < t->trace->event + t->trace->nr; e++) {
		if (e->kind != TRACE_STATE || e->os != t->os)
			continue;
		if (nr++ < STATES_SHOWN)
			printf("  %-14s%s at %.6f s\n", "state", state_name(e->state),
			       e->time > t->start ? in_seconds(e->time - t->start) : 0.0);
	}
	if (nr > STATES_SHOWN)
		printf("  %-14s... and %u more\n", "state", nr - STATES_SHOWN);
}

/* ---- the strip: the part of the time that the coexisting OS had, bin by bin ---- */

static unsigned int terminal_width(void)
{
	const char *columns = getenv("COLUMNS");
	unsigned long width = 80;
	struct winsize size;

	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col)
		width = size.ws_col;
	else if (columns && isdigit((unsigned char)*columns))
		width = strtoul(columns, NULL, 10);
	return width < 20 ? 20 : width > 400 ? 400 : width;
}

/* How much of each bin @who had, from 0 to 1. */
static double *fill_bins(const struct timeline *t, enum holder who, unsigned int nr)
{
	const double length = (double)(t->end - t->start) / nr;
	double *bins = calloc(nr, sizeof(*bins)), from, to, edge;
	const struct span *s;
	unsigned int i;

	if (!bins)
		die(EXIT_SYSTEM, "out of memory");
	for (s = t->span; s < t->span + t->nr; s++) {
		if (s->holder != who)
			continue;
		from = (s->start - t->start) / length;
		to = (s->end - t->start) / length;
		for (i = from; i < nr && i < to; i++, from = edge) {
			edge = i + 1;
			bins[i] += (to < edge ? to : edge) - from;
		}
	}
	return bins;
}

static void print_bin(double part, double unknown, bool utf8)
{
	static const char *const blocks[] = { "·", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
	static const char letters[] = ".123456789#";

	if (unknown > 0.5)
		putchar('?');
	else if (utf8)
		fputs(blocks[part <= 0.005 ? 0 : part >= 0.995 ? 8 : (int)(part * 7) + 1], stdout);
	else
		putchar(letters[part <= 0.005 ? 0 : part >= 0.995 ? 10 : (int)(part * 9) + 1]);
}

static void print_strip(const struct timeline *t)
{
	const unsigned int width = terminal_width();
	const bool utf8 = setlocale(LC_CTYPE, "") && !strcmp(nl_langinfo(CODESET), "UTF-8");
	double *theirs = fill_bins(t, HOLDER_COEXISTING, width);
	double *unknown = fill_bins(t, HOLDER_UNKNOWN, width);
	char bin[32], all[32];
	unsigned int i;

	printf("The part of CPU 0 that OS %u had, %s a column%s:\n", t->os,
	       format_duration((t->end - t->start) / width, bin, sizeof(bin)),
	       t->time[HOLDER_UNKNOWN] ? " (?: unknown)" : "");
	for (i = 0; i < width; i++)
		print_bin(theirs[i], unknown[i], utf8);
	format_duration(t->end - t->start, all, sizeof(all));
	printf("\n0%*s\n", (int)width - 1, all);
	free(theirs);
	free(unknown);
}

static void print_side(const struct timeline *t, const char *label, enum holder who)
{
	char away[64];

	printf("  %-14s%5.1f %%, longest away %s\n", label, percent(t, who),
	       format_away(t, who, away, sizeof(away)));
}

static void print_timeline(const struct timeline *t)
{
	char duration[32], notes[300], label[16];

	snprintf(label, sizeof(label), "OS %u", t->os);
	printf("CPU 0, %s, leading OS and OS %u%s%s%s\n",
	       format_duration(t->end - t->start, duration, sizeof(duration)), t->os,
	       *t->name ? " (" : "", t->name, *t->name ? ")" : "");
	print_side(t, "leading OS", HOLDER_LEADING);
	print_side(t, label, HOLDER_COEXISTING);
	if (t->time[HOLDER_ANOTHER])
		printf("  %-14s%5.1f %%\n", "other OSes", percent(t, HOLDER_ANOTHER));
	if (t->time[HOLDER_UNKNOWN])
		printf("  %-14s%5.1f %%\n", "unknown", percent(t, HOLDER_UNKNOWN));
	print_reasons("given away", t->leaves, t->over_task);
	print_reasons("came back", t->backs, 0);
	if (t->rings[0] || t->rings[1])
		printf("  %-14s%u from the leading OS, %u from OS %u\n", "doorbells", t->rings[1],
		       t->rings[0], t->os);
	print_states(t);
	if (*format_notes(t, notes, sizeof(notes)))
		printf("  %-14s%s\n", "missing", notes);
	print_strip(t);
}

/* ---- JSON ---- */

static json_t *reasons_json(const unsigned int *counts)
{
	json_t *object = json_object();
	int i;

	for (i = 0; i < WHYS; i++)
		json_object_set_new(object, why_name(i), json_integer(counts[i]));
	return object;
}

static json_t *side_json(const struct timeline *t, enum holder who)
{
	return json_pack("{s:f, s:f, s:f}", "seconds", in_seconds(t->time[who]),
			 "part", percent(t, who) / 100, "away_max",
			 in_seconds(t->longest[longest_away(t, who)]));
}

static json_t *states_json(const struct timeline *t)
{
	json_t *array = json_array();
	const struct trace_event *e;

	for (e = t->trace->event; e < t->trace->event + t->trace->nr; e++)
		if (e->kind == TRACE_STATE && e->os == t->os)
			json_array_append_new(array, json_pack("{s:f, s:s}", "at",
				e->time > t->start ? in_seconds(e->time - t->start) : 0.0,
				"state", state_name(e->state)));
	return array;
}

static void print_timeline_json(const struct timeline *t)
{
	print_json(json_pack("{s:i, s:o, s:f, s:o, s:o, s:f, s:f, s:o, s:i, s:o, s:{s:i, s:i}, s:o, s:I, s:i}",
			     "os", (int)t->os,
			     "name", *t->name ? json_string(t->name) : json_null(),
			     "seconds", in_seconds(t->end - t->start),
			     "leading", side_json(t, HOLDER_LEADING),
			     "coexisting", side_json(t, HOLDER_COEXISTING),
			     "others_seconds", in_seconds(t->time[HOLDER_ANOTHER]),
			     "unknown_seconds", in_seconds(t->time[HOLDER_UNKNOWN]),
			     "given_away", reasons_json(t->leaves), "over_task", (int)t->over_task,
			     "came_back", reasons_json(t->backs),
			     "doorbells", "leading", (int)t->rings[1], "coexisting",
			     (int)t->rings[0],
			     "states", states_json(t), "lost", (json_int_t)t->lost,
			     "unpaired", (int)t->unpaired));
}

/* ---- the command ---- */

static double duration(const struct options *options)
{
	const char *text = options->text[OPTION_FOR];
	char *end;
	double value;

	if (!text)
		return FOR_DEFAULT;
	value = strtod(text, &end);
	/* strtod() takes much: blanks, signs, hexadecimal numbers, nan. */
	if (!*text || text[strspn(text, "0123456789.")] || *end || value < FOR_MIN ||
	    value > FOR_MAX)
		die(EXIT_USAGE, "--for=%s: give a number of seconds from %g to %g, as in 0.5", text,
		    FOR_MIN, FOR_MAX);
	return value;
}

/* The OSes that a recording tells of; returns how many. */
static unsigned int recorded_oses(const struct trace *trace, char *text, size_t size, uint32_t *one)
{
	bool seen[TWINOS_MAX_ID + 1] = { false };
	unsigned int i, nr = 0;
	size_t used = 0;

	for (i = 0; i < trace->nr; i++)
		if (trace->event[i].kind != TRACE_LOST)
			seen[trace->event[i].os] = true;
	*text = 0;
	for (i = 1; i <= TWINOS_MAX_ID; i++)
		if (seen[i] && used < size) {
			used += snprintf(text + used, size - used, "%s%u", nr++ ? ", " : "", i);
			*one = i;
		}
	return nr;
}

/* A name is what this machine knows by it now; a number needs no machine. */
static uint32_t number_of(const char *word, char *name, size_t size)
{
	struct os os;

	if (!is_name(word))
		return strtoul(word, NULL, 10);
	if (find_os_by(word, &os))
		die(EXIT_REFUSED, "which number %s had in the recording is not known here; give that",
		    word);
	snprintf(name, size, "%s", os.name);
	return os.id;
}

static uint32_t which_recorded(const struct options *options, const char *file,
			       const struct trace *trace, char *name, size_t size)
{
	char numbers[TWINOS_MAX_ID * 4];
	const char *word = os_word(options);
	uint32_t one = 0, id;
	unsigned int nr = recorded_oses(trace, numbers, sizeof(numbers), &one), i;

	if (!nr)
		die(EXIT_REFUSED, "%s has no events of TwinOS; record those of events/twinos", file);
	if (!word) {
		if (nr > 1)
			die(EXIT_REFUSED, "%s tells of several coexisting OSes (%s); say which one",
			    file, numbers);
		return one;
	}
	id = number_of(word, name, size);
	for (i = 0; i < trace->nr; i++)
		if (trace->event[i].kind != TRACE_LOST && trace->event[i].os == id)
			return id;
	die(EXIT_REFUSED, "%s tells nothing of OS %u, but of %s", file, id, numbers);
}

static char *read_input(const char *file, size_t *size)
{
	char *text;
	int err = read_file(strcmp(file, "-") ? file : "/dev/stdin", &text, size);

	if (err)
		die(EXIT_SYSTEM, "%s: %s", file, strerror(-err));
	return text;
}

static char *load(const struct options *options, struct timeline *t, struct trace *trace)
{
	const char *file = options->text[OPTION_INPUT];
	char name[TWINOS_NAME_SIZE] = "", *text;
	uint32_t id;
	size_t size;
	int err;

	text = read_input(file, &size);
	err = parse_trace(file, text, size, trace);
	if (err)
		die(EXIT_REFUSED, "%s", refusal());
	id = which_recorded(options, file, trace, name, sizeof(name));
	err = make_timeline(t, trace, id, 0, 0);
	if (err)
		fail(err);
	snprintf(t->name, sizeof(t->name), "%s", name);
	return text;
}

static char *record(const struct options *options, struct timeline *t, struct trace *trace)
{
	const struct os os = wanted_os(os_word(options));
	const double seconds = duration(options);
	uint64_t start, end;
	size_t size;
	char *text;
	int err;

	if (!os_running(&os))
		die(EXIT_REFUSED, "coexisting OS %u does not run (%s): there is nothing to record",
		    os.id, state_name(os.state));
	if (os.mode != TWINOS_TIME_SHARED)
		die(EXIT_REFUSED, "coexisting OS %u has CPUs of its own: there is nothing that is switched",
		    os.id);
	text = record_trace(seconds, &start, &end, &size);
	err = parse_trace("trace", text, size, trace);
	if (!err)
		err = make_timeline(t, trace, os.id, start, end);
	if (err)
		fail(err);
	snprintf(t->name, sizeof(t->name), "%s", os.name);
	return text;
}

int run_timeline(const struct options *options)
{
	struct timeline t;
	struct trace trace;
	char *text;

	if (GIVEN(options, INPUT) && GIVEN(options, FOR))
		die(EXIT_USAGE, "--input and --for exclude each other; see twinos --help");
	duration(options);
	text = GIVEN(options, INPUT) ? load(options, &t, &trace) : record(options, &t, &trace);
	if (GIVEN(options, SVG))
		draw_timeline(&t, options->text[OPTION_SVG]);
	else if (GIVEN(options, JSON))
		print_timeline_json(&t);
	else
		print_timeline(&t);
	free_timeline(&t);
	free_trace(&trace);
	free(text);
	return 0;
}
