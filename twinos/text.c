// SPDX-License-Identifier: GPL-2.0
/*
 * Another kernel's text: its log, the reason why it ended. It may hold escape
 * sequences, which a terminal would obey, and bytes that are no UTF-8, which no
 * JSON may hold. What a character is, jansson decides.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include "text.h"

/* Bytes of the UTF-8 character at text, 0 if there is none. */
static size_t character(const unsigned char *text, size_t left)
{
	json_t *string = NULL;
	size_t n;

	if (*text < 0x80)
		return 1;
	for (n = 2; n <= left && n <= 4 && !string; n++)
		string = json_stringn((const char *)text, n);
	json_decref(string);
	return string ? n - 1 : 0;
}

/* C0 but tab and newline, DEL, C1 */
static bool is_control(const unsigned char *text, size_t n)
{
	if (n == 1)
		return (*text < 0x20 && *text != '\t' && *text != '\n') || *text == 0x7f;
	return n == 2 && text[0] == 0xc2 && text[1] < 0xa0;
}

/* A carriage return, or several, as a terminal wants them at the end of a line. */
static bool ends_line(const unsigned char *text, const unsigned char *end)
{
	const unsigned char *s = text;

	while (s < end && *s == '\r')
		s++;
	return s > text && s < end && *s == '\n';
}

/*
 * Copy in which all is UTF-8; what is not is in its place @visible as \xNN, and
 * so are control characters, or else one U+FFFD for each byte.
 */
static char *copy_text(const char *text, size_t size, bool visible, size_t *copied)
{
	const unsigned char *s = (const unsigned char *)text, *end = s + size;
	char *copy = NULL;
	FILE *out = open_memstream(&copy, copied);
	size_t n;

	for (; out && s < end; s += n) {
		n = character(s, end - s);
		if (visible && ends_line(s, end))
			continue;
		if (n && !(visible && is_control(s, n))) {
			fwrite(s, 1, n, out);
			continue;
		}
		n = 1;
		if (visible)
			fprintf(out, "\\x%02x", *s);
		else
			fputs("\uFFFD", out);
	}
	if (!out || fclose(out)) {
		fputs("twinos: out of memory\n", stderr);
		exit(111);
	}
	return copy;
}

/** visible_text() - @text as a terminal may have it; to be freed */
char *visible_text(const char *text, size_t size)
{
	size_t copied;

	return copy_text(text, size, true, &copied);
}

/** json_text() - @text as a JSON string */
json_t *json_text(const char *text, size_t size)
{
	size_t copied;
	char *copy = copy_text(text, size, false, &copied);
	json_t *string = json_stringn(copy, copied);

	free(copy);
	return string;
}
