// SPDX-License-Identifier: GPL-2.0
/* Lines for people, several of them, in the order in which they came up. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include "libtwinos.h"

int add_text(struct texts *texts, const char *format, ...)
{
	char **more = reallocarray(texts->text, texts->nr + 1, sizeof(*more));
	va_list args;
	int n;

	if (!more)
		return refuse(ENOMEM, "not enough memory");
	texts->text = more;
	va_start(args, format);
	n = vasprintf(&more[texts->nr], format, args);
	va_end(args);
	if (n < 0)
		return refuse(ENOMEM, "not enough memory");
	texts->nr++;
	return 0;
}

void free_texts(struct texts *texts)
{
	while (texts->nr)
		free(texts->text[--texts->nr]);
	free(texts->text);
	*texts = (struct texts){ 0 };
}
