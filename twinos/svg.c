// SPDX-License-Identifier: GPL-2.0
/*
 * Pictures as SVG: what is drawn goes to the file at once, so that nothing has to be kept.
 * Whatever cannot be written ends the command.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "common.h"
#include "svg.h"
#include "text.h"

/*
 * A page that is light or dark by the reader's wish. The colours of the leading OS and of the
 * first two are those of doc/twinos.svg. Texts on a colour ("on") have a contrast of 4.5 at least.
 */
static const struct {
	const char *name, *light, *dark;
} colours[] = {
	{ "page", "#f4f6f8", "#141a20" },
	{ "panel", "#e3e8ed", "#232c35" },
	{ "edge", "#7b8894", "#55626e" },
	{ "grid", "#c9d1d9", "#333e48" },
	{ "ink", "#16202a", "#e8edf2" },
	{ "faint", "#4a5864", "#a5b1bc" },
	{ "on", "#ffffff", "#10161c" },
	{ "leading", "#1c5a99", "#7db4ec" },
	{ "os1", "#a8480f", "#f0a06a" },
	{ "os2", "#2f6b3a", "#7cc48b" },
	{ "os3", "#5c4a8a", "#b6a3e8" },
	{ "os4", "#9c2350", "#f08fb0" },
	{ "os5", "#0b6b70", "#63c5c9" },
	{ "os6", "#6a5c10", "#d0bf62" },
	{ "os7", "#86308f", "#dd94e4" },
	{ "os8", "#6f4a36", "#c9a58f" },
};

#define NR_COLOURS	(sizeof(colours) / sizeof(colours[0]))
#define NR_OS_CLASSES	8

/* Numbers with up to two decimals, and no more of them than are needed. */
static void put_number(struct svg *svg, double number)
{
	char text[40];
	size_t n = snprintf(text, sizeof(text), "%.2f", number);

	while (text[n - 1] == '0')
		n--;
	if (text[n - 1] == '.')
		n--;
	fwrite(text, 1, n, svg->out);
}

static void put_attribute(struct svg *svg, const char *name, double number)
{
	fprintf(svg->out, " %s=\"", name);
	put_number(svg, number);
	fputc('"', svg->out);
}

/* What no XML may hold, as UTF-8: U+FFFE and U+FFFF. */
static bool is_forbidden(const char *text)
{
	return !strncmp(text, "\xef\xbf\xbe", 3) || !strncmp(text, "\xef\xbf\xbf", 3);
}

static void put_escaped(struct svg *svg, const char *text)
{
	char *visible = visible_text(text, strlen(text));
	const char *s;

	for (s = visible; *s; s++) {
		switch (*s) {
		case '&':
			fputs("&amp;", svg->out);
			break;
		case '<':
			fputs("&lt;", svg->out);
			break;
		case '>':
			fputs("&gt;", svg->out);
			break;
		case '"':
			fputs("&quot;", svg->out);
			break;
		default:
			if (is_forbidden(s)) {
				fputs("\uFFFD", svg->out);
				s += 2;
			} else {
				fputc(*s, svg->out);
			}
		}
	}
	free(visible);
}

/* Each colour is said outright as well, for what does not know var(). */
static void put_style(struct svg *svg)
{
	unsigned int i;

	fputs("<style>\n:root {", svg->out);
	for (i = 0; i < NR_COLOURS; i++)
		fprintf(svg->out, " --%s: %s;", colours[i].name, colours[i].light);
	fputs(" }\n@media (prefers-color-scheme: dark) { :root {", svg->out);
	for (i = 0; i < NR_COLOURS; i++)
		fprintf(svg->out, " --%s: %s;", colours[i].name, colours[i].dark);
	fputs(" } }\n", svg->out);
	for (i = 0; i < NR_COLOURS; i++)
		fprintf(svg->out,
			".%1$s { fill: %2$s; fill: var(--%1$s) } .%1$s-line { fill: none; stroke: %2$s; stroke: var(--%1$s) }\n",
			colours[i].name, colours[i].light);
	fputs(".title { font-size: 19px; font-weight: bold } .head { font-size: 15px; font-weight: bold }\n"
	      ".small { font-size: 12px } .tiny { font-size: 10.5px } .bold { font-weight: bold }\n"
	      ".hatched { fill: url(#hatched) } .dashed { stroke-dasharray: 4 3 }\n"
	      "</style>\n", svg->out);
}

/**
 * svg_open() - begin a picture, on a page of its own
 * @path: "-" for standard output
 * @title: what it is, and
 * @description: what there is to see, for who does not see it
 */
void svg_open(struct svg *svg, const char *path, double width, double height, const char *title,
	      const char *description)
{
	svg->path = path;
	svg->out = strcmp(path, "-") ? fopen(path, "we") : stdout;
	if (!svg->out)
		die(EXIT_SYSTEM, "%s: %s", path, strerror(errno));
	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 ", svg->out);
	put_number(svg, width);
	fputc(' ', svg->out);
	put_number(svg, height);
	fputc('"', svg->out);
	put_attribute(svg, "width", width);
	put_attribute(svg, "height", height);
	fputs(" font-family=\"DejaVu Sans, Verdana, Arial, sans-serif\" font-size=\"13\" role=\"img\" aria-labelledby=\"title desc\">\n<title id=\"title\">",
	      svg->out);
	put_escaped(svg, title);
	fputs("</title>\n<desc id=\"desc\">", svg->out);
	put_escaped(svg, description);
	fputs("</desc>\n", svg->out);
	put_style(svg);
	fputs("<defs><pattern id=\"hatched\" width=\"7\" height=\"7\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\n"
	      "<path class=\"edge\" d=\"M0 0h2v7h-2z\"/></pattern></defs>\n", svg->out);
	svg_rect(svg, "page", 0, 0, width, height, 12);
}

/** svg_close() - it is complete, or that is said */
void svg_close(struct svg *svg)
{
	fputs("</svg>\n", svg->out);
	if (fflush(svg->out) || ferror(svg->out) || (svg->out != stdout && fclose(svg->out)))
		die(EXIT_SYSTEM, "%s: %s",
		    svg->out == stdout ? "standard output" : svg->path, strerror(errno));
}

void svg_rect(struct svg *svg, const char *class, double x, double y, double width, double height,
	      double radius)
{
	fprintf(svg->out, "<rect class=\"%s\"", class);
	put_attribute(svg, "x", x);
	put_attribute(svg, "y", y);
	put_attribute(svg, "width", width);
	put_attribute(svg, "height", height);
	if (radius)
		put_attribute(svg, "rx", radius);
	fputs("/>\n", svg->out);
}

void svg_line(struct svg *svg, const char *class, double x1, double y1, double x2, double y2)
{
	fprintf(svg->out, "<line class=\"%s\"", class);
	put_attribute(svg, "x1", x1);
	put_attribute(svg, "y1", y1);
	put_attribute(svg, "x2", x2);
	put_attribute(svg, "y2", y2);
	fputs("/>\n", svg->out);
}

/** svg_text() - @y is of its baseline; any text is escaped */
void svg_text(struct svg *svg, const char *class, enum svg_anchor anchor, double x, double y,
	      const char *text)
{
	static const char *const anchors[] = {
		[SVG_START] = "", [SVG_MIDDLE] = " text-anchor=\"middle\"",
		[SVG_END] = " text-anchor=\"end\"",
	};

	fprintf(svg->out, "<text class=\"%s\"%s", class, anchors[anchor]);
	put_attribute(svg, "x", x);
	put_attribute(svg, "y", y);
	fputc('>', svg->out);
	put_escaped(svg, text);
	fputs("</text>\n", svg->out);
}

/** svg_path() - many small shapes in one class and opacity; svg_path_end() ends it */
void svg_path(struct svg *svg, const char *class, double opacity)
{
	fprintf(svg->out, "<path class=\"%s\"", class);
	if (opacity < 1)
		put_attribute(svg, "opacity", opacity);
	fputs(" d=\"", svg->out);
}

static void put_pair(struct svg *svg, const char *command, double a, double b)
{
	fputs(command, svg->out);
	put_number(svg, a);
	fputc(' ', svg->out);
	put_number(svg, b);
}

void svg_path_box(struct svg *svg, double x, double y, double width, double height)
{
	put_pair(svg, "M", x, y);
	fputc('h', svg->out);
	put_number(svg, width);
	fputc('v', svg->out);
	put_number(svg, height);
	fputc('h', svg->out);
	put_number(svg, -width);
	fputc('z', svg->out);
}

/** svg_path_triangle() - with a tip at (x, y), and @height below it, above it if negative */
void svg_path_triangle(struct svg *svg, double x, double y, double width, double height)
{
	put_pair(svg, "M", x, y);
	put_pair(svg, "l", width / 2, height);
	fputc('h', svg->out);
	put_number(svg, -width);
	fputc('z', svg->out);
}

void svg_path_end(struct svg *svg)
{
	fputs("\"/>\n", svg->out);
}

/** svg_os_class() - its colour, by its number alone, so that it is the same in all pictures */
const char *svg_os_class(uint32_t id)
{
	static char class[16];

	snprintf(class, sizeof(class), "os%u", (id - 1) % NR_OS_CLASSES + 1);
	return class;
}

/** svg_width() - how wide a text is, nearly: nobody knows which font it will have */
double svg_width(const char *text, double size)
{
	unsigned int letters = 0;

	/* Bytes that begin a character. */
	for (; *text; text++)
		letters += (*text & 0xc0) != 0x80;
	return letters * size * 0.6;
}

/** svg_fit() - cut a text off, with an ellipsis, so that it fits; @room: bytes of its buffer */
const char *svg_fit(char *text, size_t room, double width, double size)
{
	static const char ellipsis[] = "\u2026";
	size_t n = strlen(text);

	if (svg_width(text, size) <= width)
		return text;
	while (n && (svg_width(text, size) > width - size || n + sizeof(ellipsis) > room)) {
		do
			n--;
		while (n && (text[n] & 0xc0) == 0x80);
		text[n] = 0;
	}
	strcpy(text + n, ellipsis);
	return text;
}
