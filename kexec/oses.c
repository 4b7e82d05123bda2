// SPDX-License-Identifier: GPL-2.0
/*
 * The coexisting OSes that there are, as /sys/kernel/twinos tells: their states
 * and shares, what of a new share is another's already, and which of them a
 * command means that names none.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "twinos.h"

static const char *const state_names[] = TWINOS_STATE_NAMES;
static const char *const mode_names[] = TWINOS_MODE_NAMES;

#define NR(names) (sizeof(names) / sizeof((names)[0]))

static int find_name(const char *text, const char *const *names, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (!strcmp(text, names[i]))
			return i;
	return -ENOENT;
}

const char *state_name(enum twinos_state state)
{
	return state_names[state];
}

/* One line of the share; a later kernel may have lines that are not known here. */
static int take_line(struct os *os, const char *key, const char *value)
{
	struct twinos_pci pci[TWINOS_MAX_PCI];
	uint64_t first, last;
	uint32_t nr;

	if (!strcmp(key, "window") || !strcmp(key, "low")) {
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

static int read_share(const char *directory, struct os *os)
{
	char path[300], *text, *rest, *line, *value;
	int err;

	snprintf(path, sizeof(path), "%s/share", directory);
	err = read_file(path, &text, NULL);
	if (err)
		return err == -ENOENT ? 0 :
		       refuse(-err, "%s cannot be read: %s", path, strerror(-err));
	for (rest = text; !err && (line = next_line(&rest)); ) {
		value = line + strcspn(line, " ");
		if (*value)
			*value++ = 0;
		if (take_line(os, line, value))
			err = refuse(EPROTO, "the running kernel says that coexisting OS %u has \"%s %s\", which this kexec does not understand",
				     os->id, line, value);
	}
	free(text);
	return err;
}

/**
 * read_oses() - all that the running kernel tells of
 *
 * An OS that was never loaded, or was unloaded, has no folder (os1 has one all
 * the time).
 */
int read_oses(const struct roots *roots, struct os_list *list)
{
	char directory[300], text[32];
	uint32_t id;
	int found, err;

	list->nr = 0;
	for (id = 1; id <= TWINOS_MAX_ID; id++) {
		struct os *os = &list->os[list->nr];

		snprintf(directory, sizeof(directory), "%s/kernel/twinos/os%u", roots->sys, id);
		err = read_text(directory, "state", text, sizeof(text));
		if (err == -ENOENT)
			continue;
		if (err)
			return refuse(-err, "%s/state cannot be read: %s", directory, strerror(-err));
		memset(os, 0, sizeof(*os));
		os->id = id;
		found = find_name(text, state_names, NR(state_names));
		if (found < 0)
			return refuse(EPROTO, "the running kernel says that coexisting OS %u is \"%s\", which this kexec does not know",
				      id, text);
		os->state = found;
		if (!read_text(directory, "mode", text, sizeof(text))) {
			found = find_name(text, mode_names, NR(mode_names));
			os->mode = found < 0 ? TWINOS_TIME_SHARED : found;
		}
		err = read_share(directory, os);
		if (err)
			return err;
		list->nr++;
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

bool os_running(const struct os *os)
{
	return os->state == TWINOS_STARTING || os->state == TWINOS_RUNNING;
}

/* All of its share is its own; one that has ended keeps nothing that cannot be taken. */
static bool os_claims(const struct os *os)
{
	return os->state == TWINOS_LOADED || os_running(os);
}

/** os_release() - the command that makes an OS give back what it claims */
const char *os_release(const struct os *os)
{
	static char text[64];

	if (os_running(os))
		snprintf(text, sizeof(text), "stop it (kexec --twinos-id=%u --twinos-stop)", os->id);
	else
		snprintf(text, sizeof(text), "unload it (kexec --twinos-id=%u -u)", os->id);
	return text;
}

/**
 * next_claim() - walk over the OSes whose shares a load must respect
 * @os: the one before, NULL for the first
 * @id: the one that is loaded or replaced, which is no obstacle to itself
 */
const struct os *next_claim(const struct os_list *list, const struct os *os, uint32_t id)
{
	for (os = os ? os + 1 : list->os; os < list->os + list->nr; os++)
		if (os->id != id && os_claims(os))
			return os;
	return NULL;
}

const struct os *cpu_owner(const struct os_list *list, uint32_t cpu, uint32_t id)
{
	const struct os *os;
	uint32_t i;

	for (os = next_claim(list, NULL, id); os; os = next_claim(list, os, id))
		for (i = 0; i < os->nr_cpus; i++)
			if (os->cpus[i] == cpu)
				return os;
	return NULL;
}

static bool has_pci(const struct os *os, const struct twinos_pci *pci)
{
	uint32_t i;

	for (i = 0; i < os->nr_pci; i++)
		if (!memcmp(&os->pci[i], pci, sizeof(*pci)))
			return true;
	return false;
}

/** pci_owner() - who has a claim to a function, NULL if nobody but @id */
const struct os *pci_owner(const struct os_list *list, const struct twinos_pci *pci, uint32_t id)
{
	const struct os *os;

	for (os = next_claim(list, NULL, id); os; os = next_claim(list, os, id))
		if (has_pci(os, pci))
			return os;
	return NULL;
}

/** pci_held() - does any OS have it, perhaps one that has ended? Then it is not in sysfs. */
bool pci_held(const struct os_list *list, const struct twinos_pci *pci)
{
	unsigned int i;

	for (i = 0; i < list->nr; i++)
		if (has_pci(&list->os[i], pci))
			return true;
	return false;
}

const struct os *irq_owner(const struct os_list *list, uint32_t irq, uint32_t id)
{
	const struct os *os;
	uint32_t i;

	for (os = next_claim(list, NULL, id); os; os = next_claim(list, os, id))
		for (i = 0; i < os->nr_irqs; i++)
			if (os->irqs[i] == irq)
				return os;
	return NULL;
}

static bool overlap(const struct range *a, const struct range *b)
{
	return a->size && b->size && a->start <= b->start + (b->size - 1) &&
	       b->start <= a->start + (a->size - 1);
}

/**
 * memory_owner() - whose window or low slice a range overlaps, NULL if nobody's
 * @which: the range of that OS, may be NULL
 */
const struct os *memory_owner(const struct os_list *list, const struct range *r, uint32_t id,
			      const struct range **which)
{
	const struct range *found = NULL;
	const struct os *os;

	for (os = next_claim(list, NULL, id); os; os = next_claim(list, os, id)) {
		if (overlap(r, &os->window))
			found = &os->window;
		else if (overlap(r, &os->low))
			found = &os->low;
		if (found)
			break;
	}
	if (which)
		*which = found;
	return os;
}

/** check_memory() - refuses a range that is another OS's; @what is "the window" or so */
int check_memory(const struct os_list *list, const char *what, const struct range *r, uint32_t id)
{
	const struct range *theirs;
	const struct os *os = memory_owner(list, r, id, &theirs);

	if (!os)
		return 0;
	return refuse(EADDRNOTAVAIL,
		      "%s %#" PRIx64 "-%#" PRIx64 " overlaps the %s %#" PRIx64 "-%#" PRIx64 " of coexisting OS %u (%s); choose another range, or %s first",
		      what, r->start, range_end(r) - 1,
		      theirs == &os->low ? "low slice" : "window", theirs->start,
		      range_end(theirs) - 1, os->id, state_names[os->state], os_release(os));
}

/** free_id() - the lowest number that no OS with a claim has; 0 if there is none */
uint32_t free_id(const struct os_list *list)
{
	const struct os *os;
	uint32_t id;

	for (id = 1; id <= TWINOS_MAX_ID; id++) {
		os = find_os(list, id);
		if (!os || !os_claims(os))
			return id;
	}
	return 0;
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

/**
 * choose_os() - the OS that a command means
 * @id: what the user said, 0 for nothing
 * @states: STATE() of those that the command is for
 * @verb: "launch", for the refusal
 * @os: filled in with a copy; state TWINOS_EMPTY if there is none of that number
 *
 * Without a number it is the only one in such a state. Returns -ENOENT without
 * a refusal if that is none, so that the caller can say what is missing.
 */
int choose_os(const struct os_list *list, uint32_t id, unsigned int states, const char *verb,
	      struct os *os)
{
	const struct os *found = NULL;
	char numbers[TWINOS_MAX_ID * 4];
	unsigned int i;

	if (id) {
		found = find_os(list, id);
		*os = found ? *found : (struct os){ .id = id, .state = TWINOS_EMPTY };
		return states & STATE(os->state) ? 0 : -ENOENT;
	}
	*os = (struct os){ .id = 0 };
	if (os_numbers(list, states, numbers, sizeof(numbers)) > 1)
		return refuse(EINVAL, "there are several coexisting OSes to %s (%s); say which one with --twinos-id=N",
			      verb, numbers);
	for (i = 0; i < list->nr && !found; i++)
		if (states & STATE(list->os[i].state))
			found = &list->os[i];
	if (!found)
		return -ENOENT;
	*os = *found;
	return 0;
}
