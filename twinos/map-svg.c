// SPDX-License-Identifier: GPL-2.0
/*
 * The picture of twinos map: memory as a column, low addresses at the bottom, beside it the
 * CPUs and a panel for the devices of each OS.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "map.h"
#include "svg.h"

#define WIDTH		1000.0
#define MARGIN		28.0
#define TOP		98.0		/* of what is below the headings */
#define BAR_X		140.0		/* memory; addresses are left of it */
#define BAR_WIDTH	330.0
#define PIECE_MIN	27.0		/* height of one, so that its label fits */
#define BAR_EXTRA	230.0		/* and what they share by their sizes */
#define HOLE		20.0		/* between two that do not adjoin */
#define RIGHT_X		516.0
#define RIGHT_WIDTH	(WIDTH - MARGIN - RIGHT_X)
#define LINE		19.0		/* of text in a panel */

/* ---- memory ---- */

static uint64_t all_memory(const struct map *map)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < map->nr_pieces; i++)
		sum += map->piece[i].size;
	return sum ?: 1;
}

static double piece_height(const struct map *map, const struct piece *p)
{
	return PIECE_MIN + BAR_EXTRA * p->size / all_memory(map);
}

/* Does the next piece, if there is one, begin where this one ends? */
static bool adjoins_next(const struct map *map, unsigned int i)
{
	return i + 1 < map->nr_pieces &&
	       range_end(&map->piece[i].range) == map->piece[i + 1].range.start;
}

static double memory_height(const struct map *map)
{
	double height = 0;
	unsigned int i;

	for (i = 0; i < map->nr_pieces; i++) {
		height += piece_height(map, &map->piece[i]);
		if (i + 1 < map->nr_pieces && !adjoins_next(map, i))
			height += HOLE;
	}
	return height;
}

/* By an OS: light letters on a colour. */
static bool is_used(const struct piece *p)
{
	return p->part == PART_LEADING || p->part == PART_WINDOW || p->part == PART_LOW;
}

static const char *piece_class(const struct piece *p)
{
	switch (p->part) {
	case PART_LEADING:
		return "leading";
	case PART_WINDOW:
	case PART_LOW:
		return svg_os_class(p->os->id);
	default:
		return "panel";
	}
}

static void draw_address(struct svg *svg, uint64_t address, double y)
{
	char text[24];

	snprintf(text, sizeof(text), "%#" PRIx64, address);
	svg_line(svg, "edge-line", BAR_X - 6, y, BAR_X, y);
	svg_text(svg, "faint small", SVG_END, BAR_X - 10, y + 4, address ? text : "0x0");
}

static void draw_piece_label(struct svg *svg, const struct piece *p, double y, double height)
{
	const bool used = is_used(p);
	const bool two_lines = height > 44 && p->part == PART_WINDOW;
	const double middle = y + height / 2 + 4.5;
	char size[24], owner[128], line[128];

	format_size(p->size, size, sizeof(size));
	piece_owner(p, owner, sizeof(owner));
	if (p->part == PART_WINDOW && !two_lines)
		strcat(owner, ", window");
	svg_text(svg, used ? "on small" : "ink small", SVG_END, BAR_X + BAR_WIDTH - 10, middle,
		 size);
	svg_fit(owner, sizeof(owner), BAR_WIDTH - 28 - svg_width(size, SVG_SMALL), SVG_BOLD);
	svg_text(svg, used ? "on bold" : "ink", SVG_START, BAR_X + 10,
		 middle - (two_lines ? 8 : 0), owner);
	if (!two_lines)
		return;
	snprintf(line, sizeof(line), "window, %s", state_name(shown_state(p->os)));
	svg_text(svg, "on small", SVG_START, BAR_X + 10, middle + 9, line);
}

static void draw_piece(struct svg *svg, const struct piece *p, double y, double height)
{
	svg_rect(svg, piece_class(p), BAR_X, y, BAR_WIDTH, height - 1, 0);
	if (!is_used(p))
		svg_rect(svg, "edge-line dashed", BAR_X + 0.5, y + 0.5, BAR_WIDTH - 1, height - 2,
			 0);
	draw_piece_label(svg, p, y, height);
}

static void draw_memory(struct svg *svg, const struct map *map)
{
	double y = TOP + memory_height(map), height;
	const struct piece *p;
	unsigned int i;

	svg_text(svg, "ink head", SVG_START, MARGIN, TOP - 18, "Memory");
	for (i = 0; i < map->nr_pieces; i++) {
		p = &map->piece[i];
		height = piece_height(map, p);
		y -= height;
		draw_piece(svg, p, y, height);
		draw_address(svg, p->range.start, y + height - 1);
		if (adjoins_next(map, i))
			continue;
		draw_address(svg, range_end(&p->range), y);
		if (i + 1 == map->nr_pieces)
			break;
		y -= HOLE;
		svg_text(svg, "faint tiny", SVG_MIDDLE, BAR_X + BAR_WIDTH / 2, y + 13,
			 "firmware and devices");
	}
}

/* ---- CPUs: the more there are, the smaller ---- */

struct grid {
	unsigned int columns;
	double cell, height, gap, x;
};

static struct grid cpu_grid(const struct map *map)
{
	struct grid g = { .x = RIGHT_X };

	if (map->nr_cpus <= 32) {
		g = (struct grid){ 8, 0, 46, 6, RIGHT_X };
	} else if (map->nr_cpus <= 128) {
		g = (struct grid){ 16, 0, 34, 4, RIGHT_X };
	} else {
		/* Without numbers of their own: each row has that of its first. */
		g = (struct grid){ 32, 0, 12, 2, RIGHT_X + 36 };
	}
	g.cell = (RIGHT_X + RIGHT_WIDTH - g.x + g.gap) / g.columns - g.gap;
	return g;
}

static double cpus_height(const struct map *map)
{
	const struct grid g = cpu_grid(map);
	const unsigned int rows = (map->nr_cpus + g.columns - 1) / g.columns;

	return rows * (g.height + g.gap);
}

static void draw_cpu_box(struct svg *svg, const struct map_cpu *c, const struct grid *g, double x,
			 double y)
{
	switch (c->use) {
	case CPU_OFFLINE:
		svg_rect(svg, "edge-line dashed", x + 0.5, y + 0.5, g->cell - 1, g->height - 1, 0);
		break;
	case CPU_OWN:
		svg_rect(svg, svg_os_class(c->os->id), x, y, g->cell, g->height, 0);
		break;
	case CPU_SHARED:
		svg_rect(svg, "leading", x, y, g->cell, g->height / 2, 0);
		svg_rect(svg, svg_os_class(c->os->id), x, y + g->height / 2, g->cell,
			 g->height / 2, 0);
		break;
	case CPU_LEADING:
		svg_rect(svg, "leading", x, y, g->cell, g->height, 0);
		if (!c->os)
			break;
		svg_rect(svg, "page", x, y + g->height - 8, g->cell, 2, 0);
		svg_rect(svg, svg_os_class(c->os->id), x, y + g->height - 6, g->cell, 6, 0);
		break;
	}
}

static void cpu_owner_text(const struct map_cpu *c, bool large, char *text, size_t size)
{
	if (c->use == CPU_OFFLINE)
		snprintf(text, size, large ? "offline" : "off");
	else if (c->use == CPU_LEADING)
		snprintf(text, size, large ? "leading" : "L");
	else if (c->use == CPU_SHARED)
		snprintf(text, size, large ? "+ OS %u" : "L+%u", c->os->id);
	else
		snprintf(text, size, large ? "OS %u" : "%u", c->os->id);
}

static void draw_cpu(struct svg *svg, const struct map_cpu *c, const struct grid *g, double x,
		     double y)
{
	const bool large = g->columns == 8, filled = c->use != CPU_OFFLINE;
	const double up = c->use == CPU_LEADING && c->os ? 3 : 0;	/* for the stripe */
	char number[16], owner[16], class[32];

	draw_cpu_box(svg, c, g, x, y);
	if (g->columns == 32)
		return;
	snprintf(number, sizeof(number), "%u", c->number);
	cpu_owner_text(c, large, owner, sizeof(owner));
	snprintf(class, sizeof(class), "%s %s", filled ? "on" : "faint", large ? "head" : "tiny bold");
	svg_text(svg, class, SVG_MIDDLE, x + g->cell / 2, y + (large ? 19 : 13) - up / 2, number);
	svg_text(svg, filled ? "on tiny" : "faint tiny", SVG_MIDDLE, x + g->cell / 2,
		 y + (large ? 36 : 26) - up, owner);
}

static void draw_cpus(struct svg *svg, const struct map *map)
{
	const struct grid g = cpu_grid(map);
	char number[16];
	unsigned int i;
	double x, y;

	svg_text(svg, "ink head", SVG_START, RIGHT_X, TOP - 18, "CPUs");
	for (i = 0; i < map->nr_cpus; i++) {
		x = g.x + i % g.columns * (g.cell + g.gap);
		y = TOP + i / g.columns * (g.height + g.gap);
		draw_cpu(svg, &map->cpu[i], &g, x, y);
		if (g.columns < 32 || i % g.columns)
			continue;
		snprintf(number, sizeof(number), "%u", map->cpu[i].number);
		svg_text(svg, "faint tiny", SVG_END, g.x - 6, y + 10, number);
	}
}

/* ---- devices ---- */

static bool is_shown(const struct os *os)
{
	return os->state != TWINOS_EMPTY;
}

static unsigned int device_lines(const struct os *os)
{
	struct twinos_pci functions[TWINOS_MAX_PCI];
	unsigned int nr = os_functions(os, functions);

	if (os_claims(os) && os->nr_irqs)
		nr++;
	return nr ?: 1;
}

static double panel_height(unsigned int lines)
{
	return 26 + lines * LINE + 8;
}

static double devices_height(const struct map *map)
{
	double height = panel_height(1);
	const struct os *os;

	for (os = map->oses.os; os < map->oses.os + map->oses.nr; os++)
		if (is_shown(os))
			height += panel_height(device_lines(os)) + 8;
	return height;
}

/* What an OS is and where it runs, right in the head of its panel. */
static void describe_os(const struct os *os, char *text, size_t size)
{
	char cpus[400];

	format_cpus(os, cpus, sizeof(cpus));
	if (!os_claims(os))
		snprintf(text, size, "%s", state_name(shown_state(os)));
	else if (os->mode == TWINOS_TIME_SHARED)
		snprintf(text, size, "%s, shares CPU 0", state_name(shown_state(os)));
	else
		snprintf(text, size, "%s, CPU %s", state_name(shown_state(os)), cpus);
}

static void draw_panel(struct svg *svg, double y, unsigned int lines, const char *class,
		       char *title, size_t room, char *state, size_t state_room)
{
	svg_rect(svg, "panel", RIGHT_X, y, RIGHT_WIDTH, panel_height(lines), 0);
	svg_rect(svg, class, RIGHT_X, y, RIGHT_WIDTH, 26, 0);
	/* A list of CPUs may be long; the name is more than that. */
	svg_fit(title, room, RIGHT_WIDTH * 0.7, SVG_BOLD);
	svg_fit(state, state_room, RIGHT_WIDTH - 30 - svg_width(title, SVG_BOLD), SVG_SMALL);
	svg_text(svg, "on bold", SVG_START, RIGHT_X + 10, y + 18, title);
	svg_text(svg, "on small", SVG_END, RIGHT_X + RIGHT_WIDTH - 10, y + 18, state);
}

static void draw_pins(struct svg *svg, const struct os *os, double y)
{
	char text[160];
	size_t used = 0;
	unsigned int i;

	if (!os_claims(os) || !os->nr_irqs)
		return;
	for (i = 0; i < os->nr_irqs && used < sizeof(text); i++)
		used += snprintf(text + used, sizeof(text) - used, "%s%u",
				 i ? ", " : os->nr_irqs > 1 ? "pins " : "pin ", os->irqs[i]);
	svg_text(svg, "ink", SVG_START, RIGHT_X + 10, y,
		 svg_fit(text, sizeof(text), RIGHT_WIDTH - 20, SVG_TEXT));
}

static void draw_devices_of(struct svg *svg, const struct os *os, double y)
{
	struct twinos_pci functions[TWINOS_MAX_PCI];
	unsigned int i, nr = os_functions(os, functions);
	char title[64], state[460], bdf[24];

	os_title(os, title, sizeof(title));
	describe_os(os, state, sizeof(state));
	draw_panel(svg, y, device_lines(os), svg_os_class(os->id), title, sizeof(title),
		   state, sizeof(state));
	y += 26 + LINE - 1;
	if (!nr && !(os_claims(os) && os->nr_irqs)) {
		svg_text(svg, "faint", SVG_START, RIGHT_X + 10, y,
			 os_claims(os) ? "no devices of its own" : "has nothing any more");
		return;
	}
	for (i = 0; i < nr; i++, y += LINE) {
		format_pci(&functions[i], bdf, sizeof(bdf));
		svg_text(svg, "ink", SVG_START, RIGHT_X + 10, y, bdf);
		svg_text(svg, "faint", SVG_START, RIGHT_X + 130, y,
			 function_kind(&roots, &functions[i]));
	}
	draw_pins(svg, os, y);
}

static void draw_devices(struct svg *svg, const struct map *map, double y)
{
	char title[] = "leading OS", state[] = "running, in charge";
	const struct os *os;

	svg_text(svg, "ink head", SVG_START, RIGHT_X, y - 14, "Devices");
	draw_panel(svg, y, 1, "leading", title, sizeof(title), state, sizeof(state));
	svg_text(svg, "ink", SVG_START, RIGHT_X + 10, y + 26 + LINE - 1,
		 "all that is not listed below, firmware and timers");
	y += panel_height(1) + 8;
	for (os = map->oses.os; os < map->oses.os + map->oses.nr; os++) {
		if (!is_shown(os))
			continue;
		draw_devices_of(svg, os, y);
		y += panel_height(device_lines(os)) + 8;
	}
}

/* ---- legend ---- */

struct legend {
	struct svg *svg;		/* NULL: only to find out how high it is */
	double x, y;
};

static void add_legend(struct legend *l, const char *fill, const char *outline, char *text,
		       size_t room)
{
	double width;

	svg_fit(text, room, 440, SVG_SMALL);
	width = 20 + svg_width(text, SVG_SMALL) + 16;
	if (l->x + width > WIDTH - MARGIN + 16) {
		l->x = MARGIN;
		l->y += 22;
	}
	if (l->svg) {
		if (fill)
			svg_rect(l->svg, fill, l->x, l->y - 10, 13, 13, 0);
		if (outline)
			svg_rect(l->svg, outline, l->x + 0.5, l->y - 9.5, 12, 12, 0);
		svg_text(l->svg, "ink small", SVG_START, l->x + 20, l->y, text);
	}
	l->x += width;
}

static bool has_part(const struct map *map, enum part part)
{
	unsigned int i;

	for (i = 0; i < map->nr_pieces && map->piece[i].part != part; i++)
		;
	return i < map->nr_pieces;
}

static bool has_cpu(const struct map *map, enum cpu_use use, bool owned)
{
	unsigned int i;

	for (i = 0; i < map->nr_cpus; i++)
		if (map->cpu[i].use == use && (!owned || map->cpu[i].os))
			return true;
	return false;
}

static void say_legend(struct legend *l, const char *fill, const char *outline, const char *text)
{
	char copy[128];

	snprintf(copy, sizeof(copy), "%s", text);
	add_legend(l, fill, outline, copy, sizeof(copy));
}

/* Returns the y of its last line. */
static double draw_legend(struct svg *svg, const struct map *map, double y)
{
	struct legend l = { svg, MARGIN, y };
	const struct os *os;
	char title[64];

	say_legend(&l, "leading", NULL, "leading OS");
	for (os = map->oses.os; os < map->oses.os + map->oses.nr; os++)
		if (is_shown(os))
			say_legend(&l, svg_os_class(os->id), NULL,
				   os_title(os, title, sizeof(title)));
	if (has_part(map, PART_UNUSED) || has_part(map, PART_WITHHELD))
		say_legend(&l, "panel", "edge-line dashed", "withheld, not in use");
	if (has_cpu(map, CPU_OFFLINE, false))
		say_legend(&l, NULL, "edge-line dashed", "CPU that is offline");
	if (has_cpu(map, CPU_LEADING, true))
		say_legend(&l, "leading", NULL, "with a stripe: an OS is loaded for this CPU");
	if (cpu_grid(map).columns == 16)
		say_legend(&l, NULL, NULL, "L: leading OS; L+N: shared with OS N; N: OS N's own");
	return l.y;
}

/* ---- all of it ---- */

static double devices_y(const struct map *map)
{
	return TOP + cpus_height(map) + 44;
}

static unsigned int nr_shown(const struct map *map)
{
	unsigned int i, nr = 0;

	for (i = 0; i < map->oses.nr; i++)
		nr += is_shown(&map->oses.os[i]);
	return nr;
}

static void describe(const struct map *map, char *text, size_t size)
{
	const unsigned int nr = nr_shown(map);
	char ram[24];

	snprintf(text, size, "The leading OS and %u coexisting OS%s, %s of memory, %u CPU%s", nr,
		 nr == 1 ? "" : "es", format_size(all_memory(map), ram, sizeof(ram)), map->nr_cpus,
		 map->nr_cpus == 1 ? "" : "s");
}

/** draw_map() - into a file, or on standard output ("-") */
void draw_map(const struct map *map, const char *path)
{
	const double right = devices_y(map) + devices_height(map);
	const double left = TOP + memory_height(map);
	const double bottom = (left > right ? left : right) + 46;
	const double legend_end = draw_legend(NULL, map, bottom);
	struct svg svg;
	char text[160];

	describe(map, text, sizeof(text));
	svg_open(&svg, path, WIDTH, legend_end + 46, "Who has what of this machine", text);
	svg_text(&svg, "ink title", SVG_START, MARGIN, 36, "Who has what of this machine");
	svg_text(&svg, "faint", SVG_END, WIDTH - MARGIN, 36, text);
	svg_line(&svg, "grid-line", MARGIN, 50, WIDTH - MARGIN, 50);
	draw_memory(&svg, map);
	draw_cpus(&svg, map);
	draw_devices(&svg, map, devices_y(map));
	svg_line(&svg, "grid-line", MARGIN, bottom - 24, WIDTH - MARGIN, bottom - 24);
	draw_legend(&svg, map, bottom);
	svg_text(&svg, "faint small", SVG_START, MARGIN, legend_end + 24,
		 "Memory is not to scale: small pieces are drawn larger than they are.");
	svg_close(&svg);
}
