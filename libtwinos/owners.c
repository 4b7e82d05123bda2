// SPDX-License-Identifier: GPL-2.0
/*
 * Among the coexisting OSes that there are: what of a new share is another's
 * already, and which of them a command means that names none.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "libtwinos.h"

/** os_release() - the command that makes an OS give back what it claims */
const char *os_release(const struct os *os)
{
	static char text[64];

	if (os_running(os))
		snprintf(text, sizeof(text), "stop it (twinos stop %u)", os->id);
	else
		snprintf(text, sizeof(text), "unload it (twinos unload %u)", os->id);
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
		if (ranges_overlap(r, &os->window))
			found = &os->window;
		else if (ranges_overlap(r, &os->low))
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
		      range_end(theirs) - 1, os->id, state_name(os->state), os_release(os));
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
