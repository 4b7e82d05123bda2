// SPDX-License-Identifier: GPL-2.0
/*
 * The share that the user asked for: options first, and for what they do not
 * say the defaults in the [share] section of twinos.conf.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "libtwinos.h"

#define PAGE_MASK 4095ull

/* Whether a key of the share has been given; NULL if there is no such key. */
static bool *given(struct share_options *share, const char *key)
{
	const struct {
		const char *key;
		bool *given;
	} keys[] = {
		{ "mem-min", &share->has_mem_min }, { "mem-max", &share->has_mem_max },
		{ "low", &share->has_low }, { "cpus", &share->has_cpus },
		{ "pci", &share->has_pci }, { "irq", &share->has_irq },
	};
	unsigned int i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!strcmp(key, keys[i].key))
			return keys[i].given;
	return NULL;
}

static int take_mem_min(struct share_options *share, const char *name, const char *text)
{
	int err = parse_number(name, text, &share->mem_min);

	if (!err && share->mem_min & PAGE_MASK)
		err = refuse(EINVAL, "%s=%s is not aligned; give a multiple of 4K", name, text);
	return err;
}

static int take_mem_max(struct share_options *share, const char *name, const char *text)
{
	int err = parse_number(name, text, &share->mem_max);

	if (!err && share->mem_max & PAGE_MASK && (share->mem_max + 1) & PAGE_MASK)
		err = refuse(EINVAL, "%s=%s is not aligned; give the last byte of a 4K page",
			     name, text);
	return err;
}

static int take_low(struct share_options *share, const char *name, const char *text)
{
	int err = parse_range(name, text, &share->low);

	if (!err && (share->low.start | share->low.size) & PAGE_MASK)
		err = refuse(EINVAL, "%s=%s is not aligned; give multiples of 4K", name, text);
	if (!err && (share->low.start < 0x1000 || range_end(&share->low) > 0x100000))
		err = refuse(EINVAL, "%s=%s is not low memory; give a range between 4K and 1M",
			     name, text);
	return err;
}

/**
 * share_option() - take one key of the share
 * @name: what to call it in a refusal ("--twinos-pci", "/etc/twinos.conf:3: pci")
 * @key: mem-min, mem-max, low, cpus, pci or irq
 * @text: its value; empty for none of the last four
 *
 * Returns -ENOENT for another key, without a refusal; -EINVAL if it was given before.
 */
int share_option(struct share_options *share, const char *name, const char *key,
		 const char *text)
{
	bool *has = given(share, key);
	int err = 0;

	if (!has)
		return -ENOENT;
	if (*has)
		return refuse(EINVAL, "%s is given twice; give it once", name);
	if (!strcmp(key, "mem-min"))
		err = take_mem_min(share, name, text);
	else if (!strcmp(key, "mem-max"))
		err = take_mem_max(share, name, text);
	else if (!*text)
		err = 0;
	else if (!strcmp(key, "low"))
		err = take_low(share, name, text);
	else if (!strcmp(key, "cpus"))
		err = parse_cpus(name, text, share->cpus, &share->nr_cpus);
	else if (!strcmp(key, "pci"))
		err = parse_pci(name, text, share->pci, &share->nr_pci);
	else
		err = parse_irqs(name, text, share->irqs, &share->nr_irqs);
	*has = !err;
	return err;
}

/* What is read of twinos.conf; @file is what it says itself, whatever options say. */
struct reading {
	const char *path;
	unsigned int line;
	bool in_share;
	struct share_options *share, file;
};

static int refuse_line(const struct reading *r, const char *why)
{
	return refuse(EINVAL, "%s:%u: %s", r->path, r->line, why);
}

static int take_section(struct reading *r, const char *text)
{
	const size_t length = strlen(text);

	if (text[length - 1] != ']')
		return refuse_line(r, "this is not understood; a section is [share]");
	r->in_share = !strcmp(text, "[share]");
	return r->in_share ? 0 :
		refuse(EINVAL, "%s:%u: there is no section %.*s; all keys belong to [share]",
		       r->path, r->line, (int)length - 2, text + 1);
}

/* @line: its end is cut off behind the last character that is not blank */
static int take_line(struct reading *r, char *line)
{
	char *value, *end, name[160];
	int err;

	if (!*line || strchr("#;", *line))
		return 0;
	if (isspace((unsigned char)*line))
		return refuse_line(r, "the line begins with a blank; KEY = VALUE stands on one line, from its start");
	if (*line == '[')
		return take_section(r, line);
	value = strchr(line, '=');
	if (!value || value == line)
		return refuse_line(r, "this is not understood; it is KEY = VALUE in [share]");
	if (!r->in_share)
		return refuse_line(r, "this is in no section; put [share] on a line before it");
	for (end = value++; isspace((unsigned char)end[-1]); end--)
		;
	*end = 0;
	while (isspace((unsigned char)*value))
		value++;
	snprintf(name, sizeof(name), "%s:%u: %s", r->path, r->line, line);
	err = share_option(&r->file, name, line, value);
	if (err == -ENOENT)
		return refuse(EINVAL,
			      "%s:%u: there is no key %s; known are mem-min, mem-max, low, cpus, pci, irq",
			      r->path, r->line, line);
	return err || *given(r->share, line) ? err : share_option(r->share, name, line, value);
}

static int read_lines(struct reading *r, FILE *file)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t length;
	int err = 0;

	while (!err && (length = getline(&line, &size, file)) >= 0) {
		r->line++;
		if (strlen(line) != (size_t)length) {
			err = refuse_line(r, "this is not understood; it is not text");
			break;
		}
		while (length && isspace((unsigned char)line[length - 1]))
			line[--length] = 0;
		err = take_line(r, line);
	}
	if (!err && !feof(file))
		err = refuse(errno, "%s cannot be read: %s; correct or remove it", r->path,
			     strerror(errno));
	free(line);
	return err;
}

/** share_defaults() - fill in from a file, if it exists, what no option has said */
int share_defaults(struct share_options *share, const char *path)
{
	struct reading r = { .path = path, .share = share };
	const bool window_given = share->has_mem_min, end_given = share->has_mem_max;
	FILE *file = fopen(path, "re");
	int err;

	if (!file && errno == ENOENT)
		return 0;
	if (!file)
		return refuse(errno, "%s cannot be read: %s; correct or remove it", path,
			      strerror(errno));
	/* A window belongs together: a file's end does not go with an option's start. */
	share->has_mem_max |= window_given;
	err = read_lines(&r, file);
	if (window_given)
		share->has_mem_max = end_given;
	fclose(file);
	return err;
}
