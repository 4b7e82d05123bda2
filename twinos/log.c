// SPDX-License-Identifier: GPL-2.0
/* twinos log: what another kernel has printed. */
#include <stdlib.h>
#include <string.h>
#include "common.h"
#include "text.h"

int run_log(const struct options *options)
{
	struct os os = wanted_os(options->text[OPTION_OS]);
	size_t size;
	char *text, *shown;

	text = read_of(&os, "log", &size);
	if (GIVEN(options, JSON)) {
		print_json(json_pack("{s:o}", "log", json_text(text, size)));
	} else if (GIVEN(options, RAW)) {
		fwrite(text, 1, size, stdout);
	} else {
		shown = visible_text(text, size);
		fputs(shown, stdout);
		if (*shown && shown[strlen(shown) - 1] != '\n')
			putchar('\n');
		free(shown);
	}
	free(text);
	return 0;
}
