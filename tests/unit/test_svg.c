// SPDX-License-Identifier: GPL-2.0
/*
 * How pictures are written: whatever a text holds, it stays a text; what does not fit is cut off;
 * what cannot be written is told. What pictures show is tested in test_pictures.c.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* First: cmocka has a fail() of its own. */
#include "twinos/svg.c"
#include "twinos/text.c"
#include "tree.h"

static char message[200];

/* Instead of the command's, which ends it. */
void die(int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	mock_assert(0, message, __FILE__, status);
	abort();
}

static char *drawn(const char *text)
{
	char path[] = "/tmp/twinos-svg.XXXXXX", *content;
	struct svg svg;

	close(mkstemp(path));
	svg_open(&svg, path, 100, 50.5, text, text);
	svg_text(&svg, "ink", SVG_END, 10, 20.125, text);
	svg_path(&svg, "leading", 0.5);
	svg_path_box(&svg, 1, 2, 3.5, 4);
	svg_path_end(&svg);
	svg_close(&svg);
	assert_int_equal(read_file(path, &content, NULL), 0);
	unlink(path);
	return content;
}

static void says(const char *content, const char *text)
{
	if (!strstr(content, text))
		fail_msg("no %s in %s", text, content);
}

static void escapes(void **state)
{
	char *content = drawn("<a href=\"x\"> & \x1b[1m\xff\xef\xbf\xbf\xc3\xa4");

	(void)state;
	says(content, "<title id=\"title\">&lt;a href=&quot;x&quot;&gt; &amp; \\x1b[1m\\xff\uFFFD\u00e4</title>");
	says(content, "<desc id=\"desc\">&lt;a href");
	says(content, "<text class=\"ink\" text-anchor=\"end\" x=\"10\" y=\"20.12\">&lt;a href");
	says(content, "viewBox=\"0 0 100 50.5\"");
	says(content, "<path class=\"leading\" opacity=\"0.5\" d=\"M1 2h3.5v4h-3.5z\"/>");
	free(content);
}

static void fits(void **state)
{
	char text[16] = "ab\u00e4\u00e4\u00e4\u00e4cde";

	(void)state;
	assert_string_equal(svg_fit(text, sizeof(text), 9 * 10 * 0.6, 10), "ab\u00e4\u00e4\u00e4\u00e4cde");
	/* Whole characters go, and there is room for what stands for them. */
	assert_string_equal(svg_fit(text, sizeof(text), 40, 10), "ab\u00e4\u00e4\u00e4\u2026");
	strcpy(text, "abc");
	assert_string_equal(svg_fit(text, 4, 10, 10), "\u2026");
}

/* One OS has one colour, and there are more numbers than colours. */
static void classes(void **state)
{
	(void)state;
	assert_string_equal(svg_os_class(1), "os1");
	assert_string_equal(svg_os_class(8), "os8");
	assert_string_equal(svg_os_class(9), "os1");
	assert_string_equal(svg_os_class(64), "os8");
}

static void cannot_write(void **state)
{
	struct svg svg;

	(void)state;
	expect_assert_failure(svg_open(&svg, "/tmp/no/such/folder", 1, 1, "", ""));
	assert_string_equal(message, "/tmp/no/such/folder: No such file or directory");
	svg_open(&svg, "/dev/full", 1, 1, "", "");
	expect_assert_failure(svg_close(&svg));
	assert_string_equal(message, "/dev/full: No space left on device");
	fclose(svg.out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escapes), cmocka_unit_test(fits), cmocka_unit_test(classes),
		cmocka_unit_test(cannot_write),
	};

	return cmocka_run_group_tests_name("svg", tests, NULL, NULL);
}
