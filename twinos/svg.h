/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pictures as SVG: rectangles, lines, paths and texts in a file, and the look that those of
 * this command have in common, on light and on dark pages.
 *
 * Everything is drawn in classes: a name of colours[] in svg.c fills, with "-line" behind it
 * draws the outline; "title", "head", "small", "tiny" and "bold" are sizes and weights of texts.
 */
#ifndef TWINOS_SVG_H
#define TWINOS_SVG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct svg {
	const char *path;		/* "-" for standard output */
	FILE *out;
};

enum svg_anchor { SVG_START, SVG_MIDDLE, SVG_END };

#define SVG_SMALL	12.0		/* heights of letters */
#define SVG_TINY	10.5
#define SVG_TEXT	13.0
#define SVG_BOLD	14.5		/* wider, as if it were higher */

void svg_open(struct svg *svg, const char *path, double width, double height, const char *title,
	      const char *description);
void svg_close(struct svg *svg);
void svg_rect(struct svg *svg, const char *class, double x, double y, double width, double height,
	      double radius);
void svg_line(struct svg *svg, const char *class, double x1, double y1, double x2, double y2);
void svg_text(struct svg *svg, const char *class, enum svg_anchor anchor, double x, double y,
	      const char *text);
void svg_path(struct svg *svg, const char *class, double opacity);
void svg_path_box(struct svg *svg, double x, double y, double width, double height);
void svg_path_triangle(struct svg *svg, double x, double y, double width, double height);
void svg_path_end(struct svg *svg);

const char *svg_os_class(uint32_t id);
double svg_width(const char *text, double size);
const char *svg_fit(char *text, size_t room, double width, double size);

#endif
