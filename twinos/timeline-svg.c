// SPDX-License-Identifier: GPL-2.0
/*
 * The picture of twinos timeline: a lane for each OS, filled where it has CPU 0, the doorbells
 * between them, a row for each reason of a switch, and the numbers at the right.
 *
 * However many switches there are, no more is drawn than can be seen: what is narrower than a
 * column of the picture is summed up in it, and shows as a shade.
 */
#include <stdlib.h>
#include <string.h>
#include "common.h"
#include "svg.h"
#include "timeline.h"

#define WIDTH		1000.0
#define MARGIN		28.0
#define PLOT_X		150.0
#define COLUMNS		610		/* one unit wide each */
#define PLOT_END	(PLOT_X + COLUMNS)
#define FIRST_X		850.0		/* right edges of the two columns of numbers */
#define SECOND_X	(WIDTH - MARGIN)
#define TOP		66.0
#define LANE		44.0
#define BELLS		34.0
#define ROW		20.0
#define GROUP		28.0		/* heading of a group of rows */
#define SHADES		8
#define MARK		2		/* columns that a mark of a reason takes */
#define ARROW		6		/* and a doorbell */
#define STATE_LINE	16.0
#define STATE_LINES	4
#define STATES_MAX	40

struct drawing {
	const struct timeline *t;
	struct svg svg;
	double scale;			/* columns in a nanosecond */
	double y;			/* where it goes on */
	double states_y, lanes_y, end_y;
};

static double column(const struct drawing *d, uint64_t time)
{
	if (time <= d->t->start)
		return 0;
	return time >= d->t->end ? COLUMNS : (time - d->t->start) * d->scale;
}

static const char *lane_class(const struct timeline *t, enum holder who)
{
	switch (who) {
	case HOLDER_LEADING:
		return "leading";
	case HOLDER_COEXISTING:
		return svg_os_class(t->os);
	default:
		return "edge";
	}
}

/* ---- columns that are shaded by a number from 0 to 1 ---- */

static int shade_of(double part)
{
	if (part <= 0)
		return 0;
	return part >= 1 ? SHADES : (int)(part * (SHADES - 1)) + 1;
}

/* Neighbours of one shade are one box; each shade is one path. */
static void draw_shade(struct svg *svg, const double *parts, unsigned int nr, double width,
		       int shade, const char *class, double y, double height)
{
	unsigned int i, last;
	bool begun = false;

	for (i = 0; i < nr; i = last) {
		for (last = i + 1; last < nr && shade_of(parts[last]) == shade_of(parts[i]); last++)
			;
		if (shade_of(parts[i]) != shade)
			continue;
		if (!begun)
			svg_path(svg, class, 0.2 + 0.8 * shade / SHADES);
		begun = true;
		svg_path_box(svg, PLOT_X + i * width, y, (last - i) * width, height);
	}
	if (begun)
		svg_path_end(svg);
}

static void draw_shades(struct svg *svg, const double *parts, unsigned int nr, double width,
			const char *class, double y, double height)
{
	int shade;

	for (shade = 1; shade <= SHADES; shade++)
		draw_shade(svg, parts, nr, width, shade, class, y, height);
}

/* ---- lanes ---- */

/* A span of less than a column is added to those that it is in. */
static void add_to_columns(double *parts, double from, double to)
{
	unsigned int i;
	double edge;

	for (i = from; i < COLUMNS && from < to; i++, from = edge) {
		edge = i + 1;
		parts[i] += (to < edge ? to : edge) - from;
	}
}

static void draw_spans(struct drawing *d, enum holder who, const char *class, double y,
		       double height)
{
	double parts[COLUMNS] = { 0 }, from, to;
	const struct span *s;

	for (s = d->t->span; s < d->t->span + d->t->nr; s++) {
		if (s->holder != who)
			continue;
		from = column(d, s->start);
		to = column(d, s->end);
		if (to - from >= 1)
			svg_rect(&d->svg, class, PLOT_X + from, y, to - from, height, 0);
		else
			add_to_columns(parts, from, to);
	}
	draw_shades(&d->svg, parts, COLUMNS, 1, class, y, height);
}

static void draw_lane(struct drawing *d, enum holder who, const char *label)
{
	const struct timeline *t = d->t;
	char text[64], away[64];

	svg_rect(&d->svg, "panel", PLOT_X, d->y, COLUMNS, LANE, 0);
	draw_spans(d, who, lane_class(t, who), d->y, LANE);
	draw_spans(d, HOLDER_UNKNOWN, "hatched", d->y, LANE);
	snprintf(text, sizeof(text), "%s", label);
	svg_fit(text, sizeof(text), PLOT_X - MARGIN - 28, SVG_BOLD);
	svg_rect(&d->svg, lane_class(t, who), MARGIN, d->y + LANE / 2 - 7, 13, 13, 0);
	svg_text(&d->svg, "ink bold", SVG_START, MARGIN + 20, d->y + LANE / 2 + 4.5, text);
	snprintf(text, sizeof(text), "%.1f %%", 100.0 * t->time[who] / (t->end - t->start));
	svg_text(&d->svg, "ink head", SVG_END, FIRST_X, d->y + LANE / 2 + 5, text);
	if (who != HOLDER_ANOTHER)
		svg_text(&d->svg, "ink", SVG_END, SECOND_X, d->y + LANE / 2 + 5,
			 format_away(t, who, away, sizeof(away)));
	d->y += LANE;
}

/* Each towards whom it is for; many in one place are one arrow. */
static void draw_bells_from(struct drawing *d, bool leading)
{
	bool rung[COLUMNS / ARROW + 1] = { false };
	const struct trace_event *e;
	const double tip = leading ? d->y + 15 : d->y + BELLS - 15;
	unsigned int i;

	for (e = d->t->trace->event; e < d->t->trace->event + d->t->trace->nr; e++)
		if (e->kind == TRACE_RING && e->os == d->t->os && e->from_leading == leading)
			rung[(int)column(d, e->time) / ARROW] = true;
	svg_path(&d->svg, lane_class(d->t, leading ? HOLDER_LEADING : HOLDER_COEXISTING), 1);
	for (i = 0; i < COLUMNS / ARROW + 1; i++) {
		if (!rung[i])
			continue;
		svg_path_box(&d->svg, PLOT_X + (i + 0.5) * ARROW - 0.75, leading ? d->y + 2 : tip + 5,
			     1.5, 8);
		svg_path_triangle(&d->svg, PLOT_X + (i + 0.5) * ARROW, tip, ARROW - 0.5,
				  leading ? -6 : 6);
	}
	svg_path_end(&d->svg);
}

static void draw_bells(struct drawing *d)
{
	char text[64];

	if (!d->t->rings[0] && !d->t->rings[1]) {
		d->y += 8;
		return;
	}
	draw_bells_from(d, true);
	draw_bells_from(d, false);
	svg_text(&d->svg, "faint small", SVG_START, MARGIN + 20, d->y + BELLS / 2 + 4, "doorbells");
	snprintf(text, sizeof(text), "%u \u2193", d->t->rings[1]);
	svg_text(&d->svg, "ink small", SVG_END, FIRST_X, d->y + BELLS / 2 + 4, text);
	snprintf(text, sizeof(text), "%u \u2191", d->t->rings[0]);
	svg_text(&d->svg, "ink small", SVG_END, SECOND_X, d->y + BELLS / 2 + 4, text);
	d->y += BELLS;
}

static void draw_lanes(struct drawing *d)
{
	const struct timeline *t = d->t;
	char label[64];

	snprintf(label, sizeof(label), *t->name ? "OS %u %s" : "OS %u", t->os, t->name);
	svg_text(&d->svg, "faint small", SVG_END, FIRST_X, d->y - 6, "had CPU 0");
	svg_text(&d->svg, "faint small", SVG_END, SECOND_X, d->y - 6, "longest away");
	draw_lane(d, HOLDER_LEADING, "leading");
	draw_bells(d);
	draw_lane(d, HOLDER_COEXISTING, label);
	if (t->time[HOLDER_ANOTHER]) {
		d->y += 8;
		draw_lane(d, HOLDER_ANOTHER, "others");
	}
}

/* ---- reasons ---- */

struct row {
	enum trace_kind kind;
	enum trace_why why;
	bool over_task;			/* these alone, whatever the reason */
	const char *label;
	unsigned int count, all;
};

static bool in_row(const struct timeline *t, const struct row *r, const struct trace_event *e)
{
	if (e->kind != r->kind || e->os != t->os)
		return false;
	return r->over_task ? e->over_task : e->why == r->why;
}

/* How often it can be halved: the eye sees no more of a number of marks. */
static double magnitude(double count)
{
	double n = 1;

	for (; count >= 2; count /= 2)
		n++;
	return n + count - 1;
}

/* Shaded by how many there are, as compared to where most are; one is always seen well. */
static void draw_marks(struct drawing *d, const struct row *r)
{
	double counts[COLUMNS / MARK + 1] = { 0 }, most = 0;
	const unsigned int nr = COLUMNS / MARK;
	const struct trace_event *e;
	unsigned int i;

	for (e = d->t->trace->event; e < d->t->trace->event + d->t->trace->nr; e++)
		if (in_row(d->t, r, e)) {
			i = column(d, e->time) / MARK;
			counts[i < nr ? i : nr - 1]++;
		}
	for (i = 0; i < nr; i++)
		most = counts[i] > most ? counts[i] : most;
	for (i = 0; i < nr; i++)
		counts[i] = counts[i] ? 0.3 + 0.7 * magnitude(counts[i]) / magnitude(most) : 0;
	/* In the colour of the one that gets the CPU. */
	draw_shades(&d->svg, counts, nr, MARK,
		    lane_class(d->t, r->kind == TRACE_LEAVE ? HOLDER_COEXISTING : HOLDER_LEADING),
		    d->y + 4, ROW - 8);
}

static void draw_row(struct drawing *d, const struct row *r)
{
	char text[32];

	svg_line(&d->svg, "grid-line", PLOT_X, d->y + ROW, PLOT_END, d->y + ROW);
	svg_text(&d->svg, "ink small", SVG_END, PLOT_X - 12, d->y + 14, r->label);
	draw_marks(d, r);
	snprintf(text, sizeof(text), "%u", r->count);
	svg_text(&d->svg, "ink small", SVG_END, FIRST_X, d->y + 14, text);
	snprintf(text, sizeof(text), "%.1f %%", 100.0 * r->count / (r->all ?: 1));
	svg_text(&d->svg, "faint small", SVG_END, SECOND_X, d->y + 14, text);
	d->y += ROW;
}

static void draw_group(struct drawing *d, enum trace_kind kind, const unsigned int *counts,
		       unsigned int over_task, const char *heading)
{
	const unsigned int all = sum_of(counts);
	struct row r = { .kind = kind, .all = all };
	char text[32];
	int i;

	if (!all)
		return;
	svg_text(&d->svg, "ink bold", SVG_START, MARGIN, d->y + GROUP - 8, heading);
	snprintf(text, sizeof(text), "%u", all);
	svg_text(&d->svg, "ink bold", SVG_END, FIRST_X, d->y + GROUP - 8, text);
	d->y += GROUP;
	for (i = 0; i < WHYS; i++) {
		if (!counts[i])
			continue;
		r.why = i;
		r.count = counts[i];
		r.label = why_name(i);
		draw_row(d, &r);
	}
	if (!over_task)
		return;
	r.over_task = true;
	r.count = over_task;
	r.label = "over a task";
	draw_row(d, &r);
}

static double group_height(const unsigned int *counts, unsigned int over_task)
{
	double height = GROUP;
	int i;

	if (!sum_of(counts))
		return 0;
	for (i = 0; i < WHYS; i++)
		height += counts[i] ? ROW : 0;
	return height + (over_task ? ROW : 0);
}

/* ---- states: a line down all lanes, and its name above them ---- */

/* In the first line of names where there is room; -1 if there is none. */
static int place_state(double *ends, double from, double to)
{
	int line;

	for (line = 0; line < STATE_LINES; line++)
		if (from >= ends[line]) {
			ends[line] = to + 10;
			return line;
		}
	return -1;
}

/*
 * Names stand right of their lines, at the right end left of them.
 *
 * Returns how many lines of names there are. Without @draw, only that.
 */
static int draw_states(struct drawing *d, bool draw)
{
	double ends[STATE_LINES] = { 0 }, x, width;
	const struct trace_event *e;
	int line, lines = 0, nr = 0;
	bool left;

	for (e = d->t->trace->event; e < d->t->trace->event + d->t->trace->nr; e++) {
		if (e->kind != TRACE_STATE || e->os != d->t->os || nr++ >= STATES_MAX)
			continue;
		x = PLOT_X + column(d, e->time);
		width = svg_width(state_name(e->state), SVG_SMALL);
		left = x + 5 + width > PLOT_END + 4;
		line = place_state(ends, left ? x - 5 - width : x, left ? x : x + 5 + width);
		lines = line >= lines ? line + 1 : lines;
		if (!draw)
			continue;
		svg_line(&d->svg, "ink-line dashed", x,
			 line < 0 ? d->lanes_y : d->states_y + line * STATE_LINE, x, d->end_y);
		if (line >= 0)
			svg_text(&d->svg, "ink small", left ? SVG_END : SVG_START,
				 left ? x - 5 : x + 5, d->states_y + line * STATE_LINE + 10,
				 state_name(e->state));
	}
	return lines;
}

/* ---- the time axis ---- */

/* 1, 2 or 5 times a power of ten, so that there are up to eight. */
static double tick_step(uint64_t length)
{
	static const double factors[] = { 2, 2.5, 2 };
	double step = 1;
	int i;

	for (i = 0; length / step > 8; i++)
		step *= factors[i % 3];
	return step;
}

static void format_tick(double ns, uint64_t length, double step, char *text, size_t size)
{
	const double unit = length >= 1000000000 ? 1e9 : length >= 1000000 ? 1e6 : 1e3;
	double part = step / unit;
	int decimals = 0;

	for (; part < 0.99 && decimals < 9; decimals++)
		part *= 10;
	snprintf(text, size, "%.*f %s", decimals, ns / unit,
		 unit == 1e9 ? "s" : unit == 1e6 ? "ms" : "us");
}

static void draw_grid(struct drawing *d)
{
	const uint64_t length = d->t->end - d->t->start;
	const double step = tick_step(length);
	double at, x;
	char text[32];

	for (at = 0; at <= length * 1.0001; at += step) {
		x = PLOT_X + at * d->scale;
		svg_line(&d->svg, "grid-line", x, d->lanes_y, x, d->end_y + 5);
		format_tick(at, length, step, text, sizeof(text));
		svg_text(&d->svg, "faint small", SVG_MIDDLE, x, d->end_y + 19, text);
	}
}

/* ---- all of it ---- */

static double lanes_height(const struct timeline *t)
{
	return 2 * LANE + (t->rings[0] || t->rings[1] ? BELLS : 8) +
		(t->time[HOLDER_ANOTHER] ? LANE + 8 : 0);
}

static void draw_heading(struct drawing *d, const char *title)
{
	const struct timeline *t = d->t;
	char text[128], all[32], one[32];

	snprintf(text, sizeof(text), "%s; a column is %s",
		 format_duration(t->end - t->start, all, sizeof(all)),
		 format_duration((t->end - t->start) / COLUMNS, one, sizeof(one)));
	svg_text(&d->svg, "ink title", SVG_START, MARGIN, 36, title);
	svg_text(&d->svg, "faint", SVG_END, SECOND_X, 36, text);
	svg_line(&d->svg, "grid-line", MARGIN, 50, SECOND_X, 50);
}

static void draw_legend(struct drawing *d, double y)
{
	static const char shades[] = "paler: only a part of that time";
	double x = MARGIN;
	char notes[300];
	int i;

	for (i = 1; i <= 4; i++) {
		svg_path(&d->svg, svg_os_class(d->t->os), 0.2 + 0.2 * i);
		svg_path_box(&d->svg, x + (i - 1) * 9, y - 10, 9, 13);
		svg_path_end(&d->svg);
	}
	svg_text(&d->svg, "ink small", SVG_START, x + 44, y, shades);
	x += 44 + svg_width(shades, SVG_SMALL) + 24;
	if (d->t->rings[0] || d->t->rings[1]) {
		svg_text(&d->svg, "ink small", SVG_START, x, y,
			 "\u2193 the leading OS rings, \u2191 the coexisting one");
		x += svg_width("v the leading OS rings, ^ the coexisting one", SVG_SMALL) + 24;
	}
	if (d->t->time[HOLDER_UNKNOWN]) {
		svg_rect(&d->svg, "hatched", x, y - 10, 26, 13, 0);
		svg_text(&d->svg, "ink small", SVG_START, x + 33, y, "unknown");
	}
	if (*format_notes(d->t, notes, sizeof(notes)))
		svg_text(&d->svg, "ink small", SVG_START, MARGIN, y + 22, notes);
}

static void describe(const struct timeline *t, char *text, size_t size)
{
	char all[32];

	snprintf(text, size, "Who had CPU 0 in %s: the leading OS %.1f percent of the time, OS %u %.1f percent; it was given away %u times.",
		 format_duration(t->end - t->start, all, sizeof(all)),
		 100.0 * t->time[HOLDER_LEADING] / (t->end - t->start), t->os,
		 100.0 * t->time[HOLDER_COEXISTING] / (t->end - t->start), sum_of(t->leaves));
}

/** draw_timeline() - into a file, or on standard output ("-") */
void draw_timeline(const struct timeline *t, const char *path)
{
	struct drawing d = { .t = t, .scale = (double)COLUMNS / (t->end - t->start) };
	char title[96], text[256], notes[300];

	snprintf(title, sizeof(title), *t->name ? "CPU 0: leading OS and OS %u (%s)" :
		 "CPU 0: leading OS and OS %u", t->os, t->name);
	describe(t, text, sizeof(text));
	d.states_y = TOP;
	d.lanes_y = TOP + 12 + draw_states(&d, false) * STATE_LINE;
	d.end_y = d.lanes_y + lanes_height(t) + group_height(t->leaves, t->over_task) +
		group_height(t->backs, 0) + 8;
	svg_open(&d.svg, path, WIDTH,
		 d.end_y + (*format_notes(t, notes, sizeof(notes)) ? 92 : 70), title, text);
	draw_heading(&d, title);
	draw_grid(&d);
	d.y = d.lanes_y;
	draw_lanes(&d);
	draw_group(&d, TRACE_LEAVE, t->leaves, t->over_task, "Given away");
	draw_group(&d, TRACE_BACK, t->backs, 0, "Came back");
	draw_states(&d, true);
	draw_legend(&d, d.end_y + 50);
	svg_close(&d.svg);
}
