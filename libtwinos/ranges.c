// SPDX-License-Identifier: GPL-2.0
/*
 * Sets of ranges of memory, kept in order and without overlaps: what of them is left when
 * something is taken away, what two have in common, and where something fits.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "libtwinos.h"

void free_ranges(struct ranges *set)
{
	free(set->range);
	*set = (struct ranges){ 0 };
}

/* Behind the last one; the ends are exclusive. Nothing if it is empty. */
static int append(struct ranges *set, uint64_t start, uint64_t end)
{
	struct range *r, *last = set->nr ? &set->range[set->nr - 1] : NULL;

	if (end <= start)
		return 0;
	if (last && range_end(last) == start) {
		last->size += end - start;
		return 0;
	}
	r = reallocarray(set->range, set->nr + 1, sizeof(*r));
	if (!r)
		return refuse(ENOMEM, "not enough memory for the memory map");
	r[set->nr++] = (struct range){ start, end - start };
	set->range = r;
	return 0;
}

/* The old set is replaced by the new one, or stays if there was an error. */
static int replace(struct ranges *set, struct ranges *new, int err)
{
	if (err) {
		free_ranges(new);
		return err;
	}
	free_ranges(set);
	*set = *new;
	return 0;
}

/** subtract_range() - take [start, end) out of a set */
int subtract_range(struct ranges *set, uint64_t start, uint64_t end)
{
	struct ranges left = { 0 };
	unsigned int i;
	int err = 0;

	for (i = 0; i < set->nr && !err; i++) {
		const uint64_t from = set->range[i].start, to = range_end(&set->range[i]);

		if (end <= from || to <= start || end <= start) {
			err = append(&left, from, to);
			continue;
		}
		err = append(&left, from, start);
		if (!err)
			err = append(&left, end, to);
	}
	return replace(set, &left, err);
}

/** add_range() - put [start, end) into a set, which may have parts of it already */
int add_range(struct ranges *set, uint64_t start, uint64_t end)
{
	struct ranges all = { 0 };
	bool added = false;
	unsigned int i;
	int err = subtract_range(set, start, end);

	for (i = 0; i <= set->nr && !err; i++) {
		if (!added && (i == set->nr || set->range[i].start >= start)) {
			err = append(&all, start, end);
			added = true;
		}
		if (!err && i < set->nr)
			err = append(&all, set->range[i].start, range_end(&set->range[i]));
	}
	return replace(set, &all, err);
}

/** intersect_ranges() - leave in a set what is in the other one, too */
int intersect_ranges(struct ranges *set, const struct ranges *other)
{
	struct ranges both = { 0 };
	unsigned int i, j;
	int err = 0;

	for (i = 0; i < set->nr; i++)
		for (j = 0; j < other->nr && !err; j++) {
			const struct range *a = &set->range[i], *b = &other->range[j];

			err = append(&both, a->start > b->start ? a->start : b->start,
				     range_end(a) < range_end(b) ? range_end(a) : range_end(b));
		}
	return replace(set, &both, err);
}

static uint64_t align_up(uint64_t n, uint64_t align)
{
	return (n + align - 1) & ~(align - 1);
}

/**
 * fit_range() - the lowest place for so many bytes in [min, max)
 * @align: of its start, a power of two
 *
 * Returns false if there is none.
 */
bool fit_range(const struct ranges *set, uint64_t size, uint64_t align, uint64_t min,
	       uint64_t max, uint64_t *start)
{
	unsigned int i;

	for (i = 0; i < set->nr; i++) {
		const uint64_t from = set->range[i].start, to = range_end(&set->range[i]);
		const uint64_t end = to < max ? to : max;
		uint64_t at = align_up(from > min ? from : min, align);

		if (at >= from && at < end && end - at >= size) {
			*start = at;
			return true;
		}
	}
	return false;
}

/** largest_fit() - the most that fit_range() finds a place for, a multiple of @align */
uint64_t largest_fit(const struct ranges *set, uint64_t align, uint64_t min, uint64_t max)
{
	uint64_t most = 0;
	unsigned int i;

	for (i = 0; i < set->nr; i++) {
		const uint64_t from = set->range[i].start, to = range_end(&set->range[i]);
		const uint64_t end = (to < max ? to : max) & ~(align - 1);
		const uint64_t at = align_up(from > min ? from : min, align);

		if (at >= from && at < end && end - at > most)
			most = end - at;
	}
	return most;
}

/** ranges_size() - how many bytes of a set are in [min, max) */
uint64_t ranges_size(const struct ranges *set, uint64_t min, uint64_t max)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < set->nr; i++) {
		const uint64_t from = set->range[i].start, to = range_end(&set->range[i]);
		const uint64_t first = from > min ? from : min, end = to < max ? to : max;

		if (first < end)
			sum += end - first;
	}
	return sum;
}
