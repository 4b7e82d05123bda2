// SPDX-License-Identifier: GPL-2.0
/*
 * The share that the user asked for: options first, and for what they do not
 * say the defaults in the [share] section of twinos.conf.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <ini.h>
#include "twinos.h"

#define PAGE_MASK 4095ull

/**
 * share_option() - take one key of the share, unless it was given before
 * @name: what to call it in a refusal ("--twinos-pci", "pci in /etc/twinos.conf")
 * @key: mem-min, mem-max, low, cpus, pci or irq
 * @text: its value
 *
 * Returns -ENOENT for another key, without a refusal.
 */
int share_option(struct share_options *share, const char *name, const char *key,
		 const char *text)
{
	int err;

	if (!strcmp(key, "mem-min")) {
		if (share->has_mem_min)
			return 0;
		err = parse_number(name, text, &share->mem_min);
		if (!err && share->mem_min & PAGE_MASK)
			err = refuse(EINVAL, "%s=%s is not aligned; give a multiple of 4K",
				     name, text);
		share->has_mem_min = !err;
	} else if (!strcmp(key, "mem-max")) {
		if (share->has_mem_max)
			return 0;
		err = parse_number(name, text, &share->mem_max);
		if (!err && share->mem_max & PAGE_MASK && (share->mem_max + 1) & PAGE_MASK)
			err = refuse(EINVAL,
				     "%s=%s is not aligned; give the last byte of a 4K page",
				     name, text);
		share->has_mem_max = !err;
	} else if (!strcmp(key, "low")) {
		if (share->has_low)
			return 0;
		/* Empty: none, whatever the defaults say; likewise below. */
		err = *text ? parse_range(name, text, &share->low) : 0;
		if (!err && (share->low.start | share->low.size) & PAGE_MASK)
			err = refuse(EINVAL, "%s=%s is not aligned; give multiples of 4K",
				     name, text);
		if (!err && *text &&
		    (share->low.start < 0x1000 || range_end(&share->low) > 0x100000))
			err = refuse(EINVAL,
				     "%s=%s is not low memory; give a range between 4K and 1M",
				     name, text);
		share->has_low = !err;
	} else if (!strcmp(key, "cpus")) {
		if (share->has_cpus)
			return 0;
		err = *text ? parse_cpus(name, text, share->cpus, &share->nr_cpus) : 0;
		share->has_cpus = !err;
	} else if (!strcmp(key, "pci")) {
		if (share->has_pci)
			return 0;
		err = *text ? parse_pci(name, text, share->pci, &share->nr_pci) : 0;
		share->has_pci = !err;
	} else if (!strcmp(key, "irq")) {
		if (share->has_irq)
			return 0;
		err = *text ? parse_irqs(name, text, share->irqs, &share->nr_irqs) : 0;
		share->has_irq = !err;
	} else {
		return -ENOENT;
	}
	return err;
}

struct reading {
	struct share_options *share;
	const char *path;
	int err;
};

static int conf_line(void *user, const char *section, const char *key, const char *value)
{
	struct reading *r = user;
	char name[160];
	int err;

	if (strcmp(section, "share"))
		return 1;
	snprintf(name, sizeof(name), "%s in %s", key, r->path);
	err = share_option(r->share, name, key, value);
	if (err == -ENOENT)
		err = refuse(EINVAL,
			     "%s: there is no key %s in [share]; known are mem-min, mem-max, low, cpus, pci, irq",
			     r->path, key);
	if (err && !r->err)
		r->err = err;
	return !err;
}

/** share_defaults() - fill in from a file, if it exists, what no option has said */
int share_defaults(struct share_options *share, const char *path)
{
	struct reading r = { .share = share, .path = path };
	const bool window_given = share->has_mem_min, end_given = share->has_mem_max;
	int line;

	/* A window belongs together: a file's end does not go with an option's start. */
	if (share->has_mem_min)
		share->has_mem_max = true;
	line = access(path, F_OK) ? 0 : ini_parse(path, conf_line, &r);
	if (window_given)
		share->has_mem_max = end_given;
	if (r.err)
		return r.err;
	if (line < 0)
		return refuse(EIO, "%s cannot be read; correct or remove it", path);
	if (line > 0)
		return refuse(EINVAL, "%s: line %d is not understood; it is KEY = VALUE in [share]",
			      path, line);
	return 0;
}
