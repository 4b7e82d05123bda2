// SPDX-License-Identifier: GPL-2.0
/* twinos check: all that is wrong with configurations, and whether they can be started. */
#include <stdlib.h>
#include <string.h>
#include "common.h"
#include "text.h"

static const char *const levels[] = {
	[FINDING_NOTE] = "note", [FINDING_WARNING] = "warning", [FINDING_ERROR] = "error",
};

static void show(const struct findings *findings, const struct texts *checked)
{
	unsigned int i;

	for (i = 0; i < findings->nr; i++) {
		const struct finding *f = &findings->finding[i];
		char *text = visible_text(f->text, strlen(f->text));

		if (f->file && f->line)
			printf("%s:%u: ", f->file, f->line);
		else if (f->file)
			printf("%s: ", f->file);
		printf("%s: %s\n", levels[f->level], text);
		free(text);
	}
	for (i = 0; i < checked->nr; i++)
		printf("%s: %s\n", checked->text[i],
		       can_start(findings, checked->text[i]) ? "can be started" : "cannot be started");
}

static void show_json(const struct findings *findings, const struct texts *checked)
{
	json_t *array = json_array(), *oses = json_array();
	unsigned int i;

	for (i = 0; i < findings->nr; i++) {
		const struct finding *f = &findings->finding[i];
		json_t *object = json_object();

		json_object_set_new(object, "level", json_string(levels[f->level]));
		if (*f->name)
			json_object_set_new(object, "name", json_text(f->name, strlen(f->name)));
		if (f->file)
			json_object_set_new(object, "file", json_text(f->file, strlen(f->file)));
		if (f->line)
			json_object_set_new(object, "line", json_integer(f->line));
		json_object_set_new(object, "text", json_text(f->text, strlen(f->text)));
		json_array_append_new(array, object);
	}
	for (i = 0; i < checked->nr; i++) {
		const char *name = checked->text[i];

		json_array_append_new(oses, json_pack("{s:o, s:b}",
						      "name", json_text(name, strlen(name)),
						      "can_start", can_start(findings, name)));
	}
	print_json(json_pack("{s:o, s:o}", "os", oses, "findings", array));
}

int run_check(const struct options *options)
{
	const struct check_request request = {
		.names = options->words, .nr = options->nr_words,
		.purgatory = twinos_purgatory,
		.purgatory_size = twinos_purgatory_end - twinos_purgatory,
	};
	struct findings findings = { 0 };
	struct texts checked = { 0 };
	bool good = true;
	unsigned int i;
	int err;

	err = check_configurations(&roots, &request, &checked, &findings);
	if (err)
		fail(err);
	if (GIVEN(options, JSON))
		show_json(&findings, &checked);
	else
		show(&findings, &checked);
	for (i = 0; i < checked.nr; i++)
		good &= can_start(&findings, checked.text[i]);
	free_findings(&findings);
	free_texts(&checked);
	return good ? 0 : EXIT_REFUSED;
}
