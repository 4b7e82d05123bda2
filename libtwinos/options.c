// SPDX-License-Identifier: GPL-2.0
/*
 * The share that the user asked for: options first, and for what they do not
 * say the defaults in the [share] section of twinos.conf.
 */
#include <errno.h>
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
	struct ini ini;
	struct share_options *share, file;
};

static int take(struct ini *ini, const char *section, const char *key, const char *value)
{
	struct reading *r = (struct reading *)ini;
	int err;

	if (strcmp(section, "share"))
		return key ? 0 : refuse(EINVAL, "there is no section %s; all keys belong to [share]",
					section);
	if (!key)
		return 0;
	err = share_option(&r->file, key, key, value);
	if (err == -ENOENT)
		return refuse(EINVAL,
			      "there is no key %s; known are mem-min, mem-max, low, cpus, pci, irq",
			      key);
	return err || *given(r->share, key) ? err : share_option(r->share, key, key, value);
}

/** share_defaults() - fill in from a file, if it exists, what no option has said */
int share_defaults(struct share_options *share, const char *path)
{
	struct reading r = {
		.ini = { .path = path, .example = "share", .take = take },
		.share = share,
	};
	const bool window_given = share->has_mem_min, end_given = share->has_mem_max;
	int err;

	/* A window belongs together: a file's end does not go with an option's start. */
	share->has_mem_max |= window_given;
	err = read_ini(&r.ini);
	if (window_given)
		share->has_mem_max = end_given;
	return err == -ENOENT ? 0 : err;
}
