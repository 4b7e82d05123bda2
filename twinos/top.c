// SPDX-License-Identifier: GPL-2.0
/*
 * twinos top: what each OS does, in rows of figures per second: once as a table or as JSON,
 * or again and again on the terminal, which live.c does.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "common.h"
#include "top.h"

#define DELAY_MIN 0.1
#define DELAY_MAX 3600

const char *const top_titles[TOP_COLUMNS] = {
	"NAME", "OS", "STATE", "MODE", "CPUS", "CPU%", "ALIVE", "UP", "SWITCH/s", "FOREIGN/s",
	"BELL-IN/s", "BELL-OUT/s", "CON-IN/s", "CON-OUT/s", "NET-IN/s", "NET-OUT/s",
};

/* What the figures are called in JSON, and where they come from. */
static const struct {
	const char *key;
	enum measure measure;
	enum side side;			/* in the row of a coexisting OS */
	bool not_leading;		/* nothing that the leading OS does with the others */
} figures[TOP_COLUMNS] = {
	[TOP_CPU] = { "cpu_percent", MEASURE_CPU, SIDE_COEXISTING, false },
	[TOP_SWITCHES] = { "switches", MEASURE_SWITCHES, SIDE_COEXISTING, false },
	[TOP_FOREIGN] = { "foreign", MEASURE_FOREIGN, SIDE_COEXISTING, false },
	[TOP_BELL_IN] = { "doorbells_in", MEASURE_DOORBELLS, SIDE_LEADING, false },
	[TOP_BELL_OUT] = { "doorbells_out", MEASURE_DOORBELLS, SIDE_COEXISTING, false },
	[TOP_CONSOLE_IN] = { "console_in", MEASURE_CONSOLE, SIDE_LEADING, true },
	[TOP_CONSOLE_OUT] = { "console_out", MEASURE_CONSOLE, SIDE_COEXISTING, true },
	[TOP_NETWORK_IN] = { "network_in", MEASURE_NETWORK_BYTES, SIDE_LEADING, false },
	[TOP_NETWORK_OUT] = { "network_out", MEASURE_NETWORK_BYTES, SIDE_COEXISTING, false },
};

const struct order orders[] = {
	{ 'n', "OS", { TOP_NUMBER, TOP_NUMBER } },
	{ 'c', "CPU", { TOP_CPU, TOP_CPU } },
	{ 's', "switches", { TOP_SWITCHES, TOP_SWITCHES } },
	{ 'f', "foreign", { TOP_FOREIGN, TOP_FOREIGN } },
	{ 'b', "bells", { TOP_BELL_IN, TOP_BELL_OUT } },
	{ 'o', "console", { TOP_CONSOLE_IN, TOP_CONSOLE_OUT } },
	{ 't', "network", { TOP_NETWORK_IN, TOP_NETWORK_OUT } },
	{ 0 },
};

/** to_the_left() - texts are, and numbers to the right */
bool to_the_left(enum column column)
{
	return column <= TOP_CPUS && column != TOP_NUMBER;
}

/* "0", "3.2", "512", "12.3k" */
static char *format_rate(double rate)
{
	static const char units[] = "kMGTP";
	const char *unit = NULL;

	if (rate < 0)
		return format("-");
	if (rate < 9.95)
		return format(rate > 0 ? "%.1f" : "%.0f", rate);
	if (rate < 9999.5)
		return format("%.0f", rate);
	do {
		rate /= 1000;
		unit = unit ? unit + 1 : units;
	} while (rate >= 999.95 && unit[1]);
	return format("%.1f%c", rate, *unit);
}

static void fill_figures(struct row *row, const struct rates *rates)
{
	enum side side;
	unsigned int i;

	for (i = 0; i < TOP_COLUMNS; i++) {
		row->value[i] = -1;
		if (!figures[i].key || (!row->os && figures[i].not_leading))
			continue;
		side = row->os ? figures[i].side : SIDES - 1 - figures[i].side;
		row->value[i] = rates->rate[figures[i].measure][side];
		if (i == TOP_CPU && row->value[i] >= 0)
			row->value[i] *= 100;
	}
}

/* Of the leading OS; negative if that cannot be read. */
static double own_uptime(void)
{
	char text[64];

	return read_text(roots.proc, "uptime", text, sizeof(text)) ? -1 : strtod(text, NULL);
}

static void fill_texts(struct row *row)
{
	const struct os *os = row->os ? &row->os->os : NULL;
	const bool claims = os && os_claims(os);
	char cpus[400] = "";
	unsigned int i;

	if (os)
		format_cpus(os, cpus, sizeof(cpus));
	else
		read_text(roots.sys, "devices/system/cpu/online", cpus, sizeof(cpus));
	row->text[TOP_NAME] = format("%s", !os ? "leading" : *os->name ? os->name : "-");
	row->text[TOP_NUMBER] = os ? format("%u", os->id) : format("-");
	row->text[TOP_STATE] = format("%s", state_name(os ? shown_state(os) : TWINOS_RUNNING));
	row->text[TOP_MODE] = format("%s", claims ? mode_name(os->mode) : "-");
	row->text[TOP_CPUS] = format("%s", os && !claims ? "-" : *cpus ? cpus : os ? "0" : "-");
	row->text[TOP_CPU] = row->value[TOP_CPU] < 0 ? format("-") :
		format("%.1f", row->value[TOP_CPU]);
	row->text[TOP_ALIVE] = row->value[TOP_ALIVE] < 0 ? format("-") :
		format("%.0fs", row->value[TOP_ALIVE]);
	row->text[TOP_UP] = row->value[TOP_UP] < 0 ? format("-") : format_time(row->value[TOP_UP]);
	for (i = TOP_SWITCHES; i < TOP_COLUMNS; i++)
		row->text[i] = format_rate(row->value[i]);
	for (i = 0; i < TOP_COLUMNS; i++)
		if (!row->text[i])
			die(EXIT_SYSTEM, "out of memory");
}

/* @o: NULL for the leading OS */
static void add_row(struct top *top, const struct observed *o, const struct rates *rates)
{
	struct row *row = &top->rows[top->nr_rows++];

	row->os = o;
	fill_figures(row, rates);
	if (!o)
		row->value[TOP_UP] = own_uptime();
	else if (os_running(&o->os)) {
		row->value[TOP_ALIVE] = seconds_between(o->alive, o->now, o->khz);
		row->value[TOP_UP] = seconds_between(o->launch, o->now, o->khz);
		top->running += shown_state(&o->os) != TWINOS_HUNG;
	}
	fill_texts(row);
}

/* Of several with one name, the one that is loaded or runs, as everywhere. */
static bool is_wanted(const struct top *top, const struct observed *o)
{
	const struct os *os = &o->os;
	const struct observed *other;
	unsigned int i;

	if (!top->nr_words)
		return os->state != TWINOS_EMPTY;
	for (i = 0; i < top->nr_words; i++) {
		if (!is_name(top->words[i])) {
			if (os->id == strtoul(top->words[i], NULL, 10))
				return true;
			continue;
		}
		if (strcmp(os->name, top->words[i]))
			continue;
		for (other = top->now.os; other < top->now.os + top->now.nr; other++)
			if (!strcmp(other->os.name, os->name) && other != o &&
			    (os_claims(&other->os) > os_claims(os) ||
			     (os_claims(&other->os) == os_claims(os) && other < o)))
				break;
		if (other == top->now.os + top->now.nr)
			return true;
	}
	return false;
}

static double sort_value(const struct row *row, const struct order *order)
{
	const double a = row->value[order->columns[0]], b = row->value[order->columns[1]];

	return a < 0 ? b : b < 0 ? a : a + b;
}

static int compare(const void *a, const void *b, void *order)
{
	const struct row *one = a, *other = b;
	const double x = sort_value(one, order), y = sort_value(other, order);

	if (x != y)
		return x > y ? -1 : 1;
	return one->os->os.id < other->os->os.id ? -1 : 1;
}

/** make_rows() - from the last two readings, in the order that is wanted now */
void make_rows(struct top *top)
{
	const struct observed *o;
	struct rates rates;
	unsigned int i, j;
	size_t length;

	for (i = 0; i < top->nr_rows; i++)
		for (j = 0; j < TOP_COLUMNS; j++)
			free(top->rows[i].text[j]);
	free(top->rows);
	top->rows = calloc(top->now.nr + 1, sizeof(*top->rows));
	if (!top->rows)
		die(EXIT_SYSTEM, "out of memory");
	top->nr_rows = 0;
	top->running = 0;
	leading_rates(&top->before, &top->now, &rates);
	add_row(top, NULL, &rates);
	for (o = top->now.os; o < top->now.os + top->now.nr; o++) {
		if (!is_wanted(top, o))
			continue;
		os_rates(&top->before, o, &rates);
		add_row(top, o, &rates);
	}
	qsort_r(top->rows + 1, top->nr_rows - 1, sizeof(*top->rows), compare, (void *)top->order);
	for (j = 0; j < TOP_COLUMNS; j++) {
		if (strlen(top_titles[j]) > top->width[j])
			top->width[j] = strlen(top_titles[j]);
		for (i = 0; i < top->nr_rows; i++) {
			length = strlen(top->rows[i].text[j]);
			if (length > top->width[j])
				top->width[j] = length;
		}
	}
}

/** next_reading() - the last one becomes the one before; an error with a refusal */
int next_reading(struct top *top)
{
	struct reading reading;
	int err = read_all(&roots, &reading);

	if (err)
		return err;
	free_reading(&top->before);
	top->before = top->now;
	top->now = reading;
	return 0;
}

static void need_reading(struct top *top)
{
	int err = next_reading(top);

	if (err)
		fail(err);
}

/* A slip of the pen is told before anything is shown; later an OS may go and come. */
static void need_oses(const struct top *top)
{
	struct os os;
	unsigned int i;
	int err;

	for (i = 0; i < top->nr_words; i++) {
		check_os_text("NAME", top->words[i]);
		err = find_os_by(top->words[i], &os);
		if (err)
			fail(err);
	}
}

static double parse_delay(const char *text)
{
	double delay;
	char *end;

	if (!text)
		return 1;
	delay = strtod(text, &end);
	/* strtod() knows of more kinds of numbers. */
	if (end == text || *end || text[strspn(text, "0123456789.")] || delay < DELAY_MIN ||
	    delay > DELAY_MAX)
		die(EXIT_USAGE, "--delay=%s: give a number of seconds from %g to %d", text,
		    DELAY_MIN, DELAY_MAX);
	return delay;
}

static void print_line(const struct top *top, const char *const *text)
{
	unsigned int i;

	for (i = 0; i < TOP_COLUMNS; i++)
		printf("%s%*s", i ? "  " : "", (int)top->width[i] * (to_the_left(i) ? -1 : 1),
		       text[i]);
	putchar('\n');
}

static void print_table(const struct top *top)
{
	unsigned int i;

	print_line(top, top_titles);
	for (i = 0; i < top->nr_rows; i++)
		print_line(top, (const char *const *)top->rows[i].text);
}

static json_t *row_json(const struct row *row)
{
	const struct os *os = row->os ? &row->os->os : NULL;
	const bool claims = os && os_claims(os);
	json_t *object = json_object(), *cpus;
	unsigned int i;

	if (os) {
		json_object_set_new(object, "name",
				    *os->name ? json_string(os->name) : json_null());
		json_object_set_new(object, "os", json_integer(os->id));
		json_object_set_new(object, "state", json_string(state_name(shown_state(os))));
		json_object_set_new(object, "mode",
				    claims ? json_string(mode_name(os->mode)) : json_null());
		cpus = claims ? json_array() : json_null();
		for (i = 0; claims && i < os->nr_cpus; i++)
			json_array_append_new(cpus, json_integer(os->cpus[i]));
		json_object_set_new(object, "cpu", cpus);
		json_object_set_new(object, "alive", number_json(row->value[TOP_ALIVE]));
	}
	json_object_set_new(object, "up", number_json(row->value[TOP_UP]));
	for (i = 0; i < TOP_COLUMNS; i++)
		if (figures[i].key && (os || !figures[i].not_leading))
			json_object_set_new(object, figures[i].key, number_json(row->value[i]));
	return object;
}

static json_t *top_json(const struct top *top)
{
	json_t *array = json_array();
	unsigned int i;

	for (i = 1; i < top->nr_rows; i++)
		json_array_append_new(array, row_json(&top->rows[i]));
	return json_pack("{s:o, s:o, s:o}", "delay", number_json(top->delay),
			 "leading", row_json(&top->rows[0]), "os", array);
}

static void free_top(struct top *top)
{
	unsigned int i, j;

	for (i = 0; i < top->nr_rows; i++)
		for (j = 0; j < TOP_COLUMNS; j++)
			free(top->rows[i].text[j]);
	free(top->rows);
	free_reading(&top->before);
	free_reading(&top->now);
}

static void wait_delay(double seconds)
{
	struct timespec left = {
		.tv_sec = seconds, .tv_nsec = (seconds - (time_t)seconds) * 1e9,
	};

	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

int run_top(const struct options *options)
{
	struct top top = {
		.words = options->words, .nr_words = options->nr_words, .order = orders,
		.delay = parse_delay(options->text[OPTION_DELAY]),
	};
	int err = 0;

	need_leading();
	need_oses(&top);
	if (!GIVEN(options, ONCE) && !GIVEN(options, JSON)) {
		err = run_live(&top);
	} else {
		need_reading(&top);
		wait_delay(top.delay);
		need_reading(&top);
		make_rows(&top);
		if (GIVEN(options, JSON))
			print_json(top_json(&top));
		else
			print_table(&top);
	}
	free_top(&top);
	if (err)
		fail(err);
	return 0;
}
