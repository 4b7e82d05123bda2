// SPDX-License-Identifier: GPL-2.0
/*
 * The coexisting OSes that there are, as /sys/kernel/twinos tells: their states
 * and shares. Any of them can go between two looks at its folder; it is then as
 * if it had never been there.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>
#include "libtwinos.h"

static const char *const state_names[] = TWINOS_STATE_NAMES;
static const char *const mode_names[] = TWINOS_MODE_NAMES;

#define NR(names) (sizeof(names) / sizeof((names)[0]))

/*
 * Seconds without a sign of life after which an OS on CPUs of its own has hung. A timer of it
 * gives one each second, however idle or busy it is. No kernel that works misses ten of them in a
 * row: Linux's own detector of hard lockups waits as long.
 */
#define HUNG_AFTER	10
/*
 * On a shared CPU there is one in so many seconds. One that has just been moved to a CPU of its
 * own has perhaps given its last one that long ago, and the timer is set for that long. When the
 * move was nobody tells, so whoever has ever moved gets that time on top.
 */
#define BEAT_SHARED	10

const char *state_name(enum twinos_state state)
{
	return state_names[state];
}

const char *mode_name(enum twinos_mode mode)
{
	return mode_names[mode];
}

/**
 * is_name() - can an OS be called that?
 *
 * Lower-case letters, digits, "-" and "_"; not digits alone, which are a number.
 */
bool is_name(const char *text)
{
	const size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-_");

	return length && !text[length] && length < TWINOS_NAME_SIZE && !strchr("-_", *text) &&
	       text[strspn(text, "0123456789")];
}

static int refuse_unknown(const struct os *os, const char *verb, const char *what)
{
	return refuse(EPROTO, "the running kernel says that coexisting OS %u %s \"%s\", which is not known here; build kernel and commands from the same source",
		      os->id, verb, what);
}

/* One line of the share; a later kernel may have lines that are not known here. */
static int take_share(struct os *os, const char *key, const char *value)
{
	struct twinos_pci pci[TWINOS_MAX_PCI];
	uint64_t first, last;
	uint32_t nr;

	if (!strcmp(key, "name")) {
		if (!is_name(value))
			return -EINVAL;
		snprintf(os->name, sizeof(os->name), "%s", value);
	} else if (!strcmp(key, "window") || !strcmp(key, "low")) {
		struct range *range = *key == 'w' ? &os->window : &os->low;

		if (sscanf(value, "%" SCNx64 "-%" SCNx64, &first, &last) != 2 || last < first)
			return -EINVAL;
		*range = (struct range){ first, last - first + 1 };
	} else if (!strcmp(key, "cpu")) {
		if (os->nr_cpus == TWINOS_MAX_CPUS || parse_number(key, value, &first))
			return -EINVAL;
		os->cpus[os->nr_cpus++] = first;
	} else if (!strcmp(key, "irq")) {
		if (os->nr_irqs == TWINOS_MAX_IRQS || parse_number(key, value, &first))
			return -EINVAL;
		os->irqs[os->nr_irqs++] = first;
	} else if (!strcmp(key, "pci")) {
		if (os->nr_pci == TWINOS_MAX_PCI || parse_pci(key, value, pci, &nr) || nr != 1)
			return -EINVAL;
		os->pci[os->nr_pci++] = pci[0];
	}
	return 0;
}

/* The number of a name in a file of the OS; -ENOENT if it has gone. */
static int read_name(const struct roots *roots, const struct os *os, const char *file,
		     const char *const *names, unsigned int nr)
{
	char *text;
	unsigned int i;
	int err = read_os_file(roots, os->id, file, &text, NULL);

	if (err)
		return err;
	text[strcspn(text, "\n")] = 0;
	for (i = 0; i < nr && strcmp(text, names[i]); i++)
		;
	err = i < nr ? (int)i : refuse_unknown(os, "is", text);
	free(text);
	return err;
}

static int read_share(const struct roots *roots, struct os *os)
{
	char *text, *line, *value, *next;
	int err = read_os_file(roots, os->id, "share", &text, NULL);

	if (err)
		return err;
	for (line = strtok_r(text, "\n", &next); line && !err; line = strtok_r(NULL, "\n", &next)) {
		value = strchr(line, ' ');
		if (value)
			*value = 0;
		if (take_share(os, line, value ? value + 1 : "")) {
			if (value)
				*value = ' ';
			err = refuse_unknown(os, "has", line);
		}
	}
	free(text);
	return err;
}

/**
 * read_os_file() - what a file of an OS says
 * @text: to be freed, see read_file()
 *
 * Returns -ENOENT without a refusal if there is no such OS (any more).
 */
int read_os_file(const struct roots *roots, uint32_t id, const char *name, char **text,
		 size_t *size)
{
	char path[300];
	int err;

	snprintf(path, sizeof(path), "%s/kernel/twinos/os%u/%s", roots->sys, id, name);
	err = read_file(path, text, size);
	/* One that goes while it is read says ENODEV. */
	if (!err || err == -ENOENT || err == -ENODEV)
		return err ? -ENOENT : 0;
	return refuse(EIO, "%s cannot be read: %s%s", path, strerror(-err),
		      err == -EACCES ? "; be root" : "");
}

/*
 * Has it hung? Not one that boots, whose timer is not set up yet, nor one on a shared CPU, where
 * the kernel's guard sees a hang and ends it.
 *
 * @now: TSC before any of it was read, so that what keeps this process waiting meanwhile is not
 * taken for silence of the OS
 */
static int read_life(const struct roots *roots, struct os *os, uint64_t now)
{
	double silence;
	char *stats;
	int err;

	if (os->state != TWINOS_RUNNING || os->mode != TWINOS_DEDICATED)
		return 0;
	err = read_os_file(roots, os->id, "stats", &stats, NULL);
	if (err)
		return err == -ENOENT ? 0 : err;
	silence = seconds_between(statistic(stats, "alive_tsc"), now, statistic(stats, "tsc_khz"));
	if (silence > HUNG_AFTER + (statistic(stats, "moves") ? BEAT_SHARED : 0))
		os->hung_for = silence;
	free(stats);
	return 0;
}

/** read_os() - one of them; -ENOENT without a refusal if there is none of that number */
int read_os(const struct roots *roots, uint32_t id, struct os *os)
{
	const uint64_t now = __rdtsc();
	int state, mode, err;

	*os = (struct os){ .id = id };
	state = read_name(roots, os, "state", state_names, NR(state_names));
	if (state < 0)
		return state;
	mode = read_name(roots, os, "mode", mode_names, NR(mode_names));
	if (mode < 0)
		return mode;
	os->state = state;
	os->mode = mode;
	err = read_share(roots, os);
	return err ? err : read_life(roots, os, now);
}

/**
 * read_oses() - all that the running kernel tells of
 *
 * An OS that was never loaded, or was unloaded, has no folder (os1 has one all
 * the time).
 */
int read_oses(const struct roots *roots, struct os_list *list)
{
	uint32_t id;
	int err;

	list->nr = 0;
	for (id = 1; id <= TWINOS_MAX_ID; id++) {
		err = read_os(roots, id, &list->os[list->nr]);
		if (!err)
			list->nr++;
		else if (err != -ENOENT)
			return err;
	}
	if (!list->nr)
		return refuse(EOPNOTSUPP, "the running kernel does not tell the coexisting OS's state; boot it with TwinOS support");
	return 0;
}

const struct os *find_os(const struct os_list *list, uint32_t id)
{
	unsigned int i;

	for (i = 0; i < list->nr; i++)
		if (list->os[i].id == id)
			return &list->os[i];
	return NULL;
}

/** find_named() - one that runs goes before one that has ended; NULL if there is none */
const struct os *find_named(const struct os_list *list, const char *name)
{
	const struct os *found = NULL, *os;

	for (os = list->os; os < list->os + list->nr; os++)
		if (!strcmp(os->name, name) && (!found || (os_claims(os) && !os_claims(found))))
			found = os;
	return found;
}

bool os_running(const struct os *os)
{
	return os->state == TWINOS_STARTING || os->state == TWINOS_RUNNING;
}

/* All of its share is its own; one that has ended keeps nothing that cannot be taken. */
bool os_claims(const struct os *os)
{
	return os->state == TWINOS_LOADED || os_running(os);
}

/**
 * shown_state() - its state for whoever looks
 *
 * One that hangs on CPUs of its own is running for the kernel, and os_running(): it has its share
 * until it is killed.
 */
enum twinos_state shown_state(const struct os *os)
{
	return os->hung_for > 0 ? TWINOS_HUNG : os->state;
}

/** os_numbers() - "1, 3": those in the given states, "none" if there are none */
unsigned int os_numbers(const struct os_list *list, unsigned int states, char *text, size_t size)
{
	unsigned int i, nr = 0;
	size_t used = 0;

	snprintf(text, size, "none");
	for (i = 0; i < list->nr; i++)
		if (states & STATE(list->os[i].state) && used < size)
			used += snprintf(text + used, size - used, "%s%u", nr++ ? ", " : "",
					 list->os[i].id);
	return nr;
}

/** next_statistic() - of osN/stats, lines "key value"; false behind the last */
bool next_statistic(const char **stats, char *key, size_t size, uint64_t *value)
{
	const char *line = *stats;
	size_t length = strcspn(line, "\n"), n = strcspn(line, " \n");

	if (!length)
		return false;
	*stats = line + length + (line[length] == '\n');
	snprintf(key, size, "%.*s", (int)n, line);
	*value = strtoull(line + n, NULL, 10);
	return true;
}

/** statistic() - 0 if there is none of that key */
uint64_t statistic(const char *stats, const char *wanted)
{
	uint64_t value;
	char key[64];

	while (next_statistic(&stats, key, sizeof(key), &value))
		if (!strcmp(key, wanted))
			return value;
	return 0;
}

/** seconds_between() - of two TSC values; negative if the first never was, or @khz is 0 */
double seconds_between(uint64_t from, uint64_t to, uint64_t khz)
{
	const int64_t ticks = to - from;

	if (!from || !khz)
		return -1;
	/* Another CPU's may be a little ahead. */
	return ticks > 0 ? ticks / (khz * 1e3) : 0;
}
