// SPDX-License-Identifier: GPL-2.0
/*
 * Which memory is to be the window and the low slice of a share: what the user
 * says, or one of those that the running OS withheld when it was booted with
 * twinos=, as long as no other coexisting OS has it. That fixes the OS's
 * number, too.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "libtwinos.h"

#define PAGE 4096ull

/**
 * read_windows() - what the running OS withheld
 *
 * Lines of /sys/kernel/twinos/windows: 0xSTART-0xEND[ low 0xSTART-0xEND].
 */
int read_windows(const struct roots *roots, struct booted_windows *w)
{
	uint64_t first, last, low_first, low_last;
	char path[300], *text, *rest, *line;
	int fields, err;

	w->nr = 0;
	snprintf(path, sizeof(path), "%s/kernel/twinos/windows", roots->sys);
	err = read_file(path, &text, NULL);
	if (err)
		return refuse(-err, "%s cannot be read: %s", path, strerror(-err));
	for (rest = text; !err && w->nr < TWINOS_MAX_ID && (line = next_line(&rest)); ) {
		fields = sscanf(line, "%" SCNx64 "-%" SCNx64 " low %" SCNx64 "-%" SCNx64,
				&first, &last, &low_first, &low_last);
		if ((fields != 2 && fields != 4) || last < first ||
		    (fields == 4 && low_last < low_first)) {
			err = refuse(EIO, "%s has a line that is not understood: %s", path, line);
			continue;
		}
		w->booted[w->nr].window = (struct range){ first, last - first + 1 };
		w->booted[w->nr].low = (struct range){ 0, 0 };
		if (fields == 4)
			w->booted[w->nr].low = (struct range){ low_first, low_last - low_first + 1 };
		w->nr++;
	}
	free(text);
	return err;
}

/* The number of the window of twinos= around an address; w->nr if there is none. */
static unsigned int window_at(const struct booted_windows *w, uint64_t address)
{
	unsigned int i;

	for (i = 0; i < w->nr; i++)
		if (address >= w->booted[i].window.start &&
		    address < range_end(&w->booted[i].window))
			break;
	return i;
}

/* Up to where its window of twinos= ends, or another OS's begins. */
static uint64_t end_before_others(const struct booted_windows *w, const struct os_list *oses,
				  uint32_t id, uint64_t start, uint64_t end)
{
	const unsigned int i = window_at(w, start);
	const struct os *os;

	if (i < w->nr && range_end(&w->booted[i].window) < end)
		end = range_end(&w->booted[i].window);
	for (os = next_claim(oses, NULL, id); os; os = next_claim(oses, os, id))
		if (os->window.size && os->window.start > start && os->window.start < end)
			end = os->window.start;
	return end;
}

/*
 * A load without a number replaces what is loaded for the same window, and not
 * launched yet; else the kernel gives it one that is free.
 */
static int number_for(const struct os_list *oses, uint64_t window_start, uint32_t *id)
{
	const struct os *os;

	if (*id)
		return 0;
	for (os = next_claim(oses, NULL, 0); os; os = next_claim(oses, os, 0))
		if (!os_running(os) && os->window.start == window_start) {
			*id = os->id;
			return 0;
		}
	if (free_id(oses))
		return 0;
	return refuse(EBUSY, "all %d numbers of coexisting OSes are in use; unload or stop one first",
		      TWINOS_MAX_ID);
}

/* Every window has an owner: name them. */
static int refuse_windows(const struct booted_windows *w, const struct os_list *oses)
{
	char text[300] = "";
	unsigned int i;
	size_t used = 0;

	for (i = 0; i < w->nr && used < sizeof(text); i++) {
		const struct range *window = &w->booted[i].window;
		const struct os *os = memory_owner(oses, window, 0, NULL);

		used += snprintf(text + used, sizeof(text) - used,
				 "%s%#" PRIx64 "-%#" PRIx64 " by coexisting OS %u (%s)",
				 i ? ", " : "", window->start, range_end(window) - 1,
				 os->id, state_name(os->state));
	}
	return refuse(EADDRNOTAVAIL,
		      "every window is in use: %s; stop or unload one of them, or give %s",
		      text, said_as("--mem-min=ADDRESS", "memory=SIZE@ADDRESS"));
}

/*
 * The first withheld window that no other OS uses. If there is none, the load
 * replaces what is loaded, and not launched yet, for one of them.
 */
static int find_booted_window(const struct booted_windows *w, const struct os_list *oses,
			      uint32_t id, struct range *window)
{
	const struct os *os;
	unsigned int i;

	if (!w->nr)
		return refuse(EINVAL,
			      "no window is known; give %s, or boot the running OS with twinos=SIZE@ADDRESS",
			      said_as("--mem-min=ADDRESS", "memory=SIZE@ADDRESS"));
	for (i = 0; i < w->nr; i++) {
		*window = w->booted[i].window;
		if (!memory_owner(oses, window, id, NULL))
			return 0;
	}
	for (i = 0; !id && i < w->nr; i++) {
		*window = w->booted[i].window;
		os = memory_owner(oses, window, 0, NULL);
		if (!os_running(os) && os->window.start == window->start)
			return 0;
	}
	return refuse_windows(w, oses);
}

/* The low slice that goes with the window, unless another OS has it already. */
static int find_low(const struct booted_windows *w, const struct share_options *options,
		    const struct os_list *oses, uint32_t id, const struct range *window,
		    struct range *low)
{
	const unsigned int i = window_at(w, window->start);
	const struct os *owner = NULL;

	*low = options->low;
	if (low->size)
		return check_memory(oses, "the low slice", low, id);
	if (!options->has_low && i < w->nr)
		*low = w->booted[i].low;
	if (low->size)
		owner = memory_owner(oses, low, id, NULL);
	if (owner)
		low->size = 0;
	if (low->size || options->nr_cpus < 2)
		return 0;
	if (owner)
		return refuse(EADDRNOTAVAIL,
			      "%u CPUs need a low slice to start from, and coexisting OS %u (%s) has the one of this window; give another with %s=32K@ADDRESS, or one CPU",
			      options->nr_cpus, owner->id, state_name(owner->state),
			      said_as("--twinos-low", "low"));
	return refuse(EINVAL,
		      "%u CPUs need a low slice to start from; give %s=32K@ADDRESS (boot the running OS with twinos=SIZE@ADDRESS,low=32K@ADDRESS), or one CPU",
		      options->nr_cpus, said_as("--twinos-low", "low"));
}

/**
 * find_window() - the window and the low slice of the share, and the OS's number
 * @id: what the user said, 0 for nothing; filled in
 *
 * The window is what the options say; if they give no end, up to that of the
 * window that the running OS withheld there, or of free memory; or else the
 * first that the running OS withheld and that no other coexisting OS has. The
 * low slice is what the options say, or what goes with that window.
 */
int find_window(const struct roots *roots, const struct share_options *options,
		const struct os_list *oses, uint32_t *id,
		const struct memory_map *firmware, const struct memory_map *used,
		struct range *window, struct range *low)
{
	static struct booted_windows windows;
	uint64_t end;
	int err;

	err = read_windows(roots, &windows);
	if (err)
		return err;
	if (options->has_mem_min && options->has_mem_max &&
	    options->mem_max <= options->mem_min)
		return refuse(EINVAL,
			      "--mem-max=%#" PRIx64 " is not above --mem-min=%#" PRIx64 "; a window needs both ends in order",
			      options->mem_max, options->mem_min);
	if (options->has_mem_min) {
		window->start = options->mem_min;
		err = number_for(oses, window->start, id);
		if (err)
			return err;
		if (options->has_mem_max) {
			/* Its last byte, or one past it: the same page boundary. */
			end = options->mem_max & (PAGE - 1) ? options->mem_max + 1 : options->mem_max;
			if (end <= window->start)
				return refuse(ERANGE,
					      "the window from %#" PRIx64 " wraps around the end of the address space; choose another range",
					      window->start);
		} else {
			err = free_run(window->start, firmware, used, &end);
			if (err)
				return err;
			end = end_before_others(&windows, oses, *id, window->start, end);
		}
		window->size = end - window->start;
	} else {
		err = find_booted_window(&windows, oses, *id, window);
		if (!err)
			err = number_for(oses, window->start, id);
		if (err)
			return err;
		if (options->has_mem_max && options->mem_max >= window->start) {
			end = (options->mem_max + 1) & ~(PAGE - 1);
			if (end < range_end(window))
				window->size = end > window->start ? end - window->start : 0;
		} else if (options->has_mem_max) {
			return refuse(EINVAL,
				      "--mem-max=%#" PRIx64 " is below the window at %#" PRIx64 "; give --mem-min as well",
				      options->mem_max, window->start);
		}
	}
	err = check_free("the window", window, firmware, used);
	if (!err)
		err = check_memory(oses, "the window", window, *id);
	if (!err)
		err = find_low(&windows, options, oses, *id, window, low);
	if (err || !low->size)
		return err;
	if (low->start < range_end(window) && window->start < range_end(low))
		return refuse(EINVAL,
			      "%s=%#" PRIx64 "-%#" PRIx64 " overlaps the window %#" PRIx64 "-%#" PRIx64 "; choose another range",
			      said_as("--twinos-low", "low"), low->start, range_end(low) - 1, window->start,
			      range_end(window) - 1);
	return check_free("the low slice", low, firmware, used);
}
