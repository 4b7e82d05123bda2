// SPDX-License-Identifier: GPL-2.0
/*
 * The CPUs of the share: those of the leading OS that a coexisting one may have
 * for itself, and whether the running kernel can give CPUs away at all.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "libtwinos.h"

#define CPUS_MAX 8192			/* the most that x86 kernels are built for */

struct cpu_set {
	bool cpu[CPUS_MAX];
	unsigned int nr;
	char text[160];			/* 0-3,8, as the kernel writes it; "..." if it goes on */
};

/* Which CPUs the kernel lists. Returns -ENOENT without a refusal if there is no such file. */
static int read_cpus(const struct roots *roots, const char *file, struct cpu_set *set)
{
	char path[300], *list;
	const char *at;
	uint32_t first, last;
	size_t length;
	int more;

	memset(set, 0, sizeof(*set));
	snprintf(path, sizeof(path), "%s/devices/system/cpu/%s", roots->sys, file);
	more = read_file(path, &list, &length);
	if (more == -ENOENT)
		return more;
	if (more)
		return refuse(-more, "%s cannot be read: %s", path, strerror(-more));
	if (length && list[length - 1] == '\n')
		list[--length] = 0;
	at = list;
	while ((more = next_numbers(&at, &first, &last)) > 0 && last < CPUS_MAX)
		for (; first <= last; first++, set->nr++)
			set->cpu[first] = true;
	snprintf(set->text, sizeof(set->text), length < sizeof(set->text) ? "%s" : "%.150s...", list);
	free(list);
	return more || !set->nr ?
		refuse(EIO, "%s does not tell which CPUs there are: %s", path, set->text) : 0;
}

/** has_word() - is it among the words of a text, which blanks, tabs or newlines separate? */
bool has_word(const char *text, const char *word)
{
	const size_t length = strlen(word);
	size_t n;

	for (text += strspn(text, " \t\n"); *text; text += n + strspn(text + n, " \t\n")) {
		n = strcspn(text, " \t\n");
		if (n == length && !memcmp(text, word, n))
			return true;
	}
	return false;
}

/* Has the kernel no means to take this CPU offline? */
static bool is_fixed(const struct roots *roots, uint32_t cpu)
{
	char directory[300], text[32];

	snprintf(directory, sizeof(directory), "%s/devices/system/cpu/cpu%u", roots->sys, cpu);
	return !access(directory, F_OK) && read_text(directory, "online", text, sizeof(text));
}

/**
 * check_cpus() - may these CPUs leave the leading OS?
 * @cpus: none twice (parse_cpus())
 * @nr: 0 for time-shared mode
 * @id: whom they are for
 */
int check_cpus(const struct roots *roots, const uint32_t *cpus, uint32_t nr,
	       const struct os_list *oses, uint32_t id)
{
	struct cpu_set present, online;
	const struct os *owner;
	unsigned int left;
	uint32_t i;
	int err;

	if (!nr)
		return 0;
	err = read_cpus(roots, "present", &present);
	if (!err)
		err = read_cpus(roots, "online", &online);
	if (err == -ENOENT)
		return refuse(EIO, "%s/devices/system/cpu does not tell which CPUs there are; is /sys mounted?",
			      roots->sys);
	if (err)
		return err;
	for (i = 0; i < nr; i++) {
		owner = cpu_owner(oses, cpus[i], id);
		if (owner)
			return refuse(ENODEV, "CPU %u belongs to coexisting OS %u (%s); choose another, or %s first",
				      cpus[i], owner->id, state_name(owner->state),
				      os_release(owner));
		if (cpus[i] >= CPUS_MAX || !present.cpu[cpus[i]])
			return refuse(ENODEV, "CPU %u does not exist (there are %s); choose others",
				      cpus[i], present.text);
	}
	for (left = online.nr, i = 0; i < nr; i++)
		left -= online.cpu[cpus[i]];
	if (!left)
		return refuse(ENODEV, "these are all CPUs that are online (%s); leave the running OS CPU 0 at least",
			      online.text);
	for (i = 0; i < nr; i++) {
		if (!cpus[i])
			return refuse(ENODEV, "CPU 0 stays with the running OS: it is the machine's boot processor, which an INIT would restart in its firmware; choose others");
		if (!online.cpu[cpus[i]])
			return refuse(ENODEV, "CPU %u is offline; bring it online first (echo 1 >/sys/devices/system/cpu/cpu%u/online) or choose another",
				      cpus[i], cpus[i]);
		if (is_fixed(roots, cpus[i]))
			return refuse(ENODEV, "CPU %u cannot be taken offline by the running kernel (it has no file /sys/devices/system/cpu/cpu%u/online); choose another",
				      cpus[i], cpus[i]);
	}
	return 0;
}

/** missing_cpu() - the first CPU of an OS that has ended that is not back; -1 if all are */
int missing_cpu(const struct roots *roots, const struct os *ended, const struct os_list *oses)
{
	struct cpu_set online;
	uint32_t i;

	if (read_cpus(roots, "online", &online))
		return -1;
	for (i = 0; i < ended->nr_cpus; i++)
		if (ended->cpus[i] < CPUS_MAX && !online.cpu[ended->cpus[i]] &&
		    !cpu_owner(oses, ended->cpus[i], ended->id))
			return ended->cpus[i];
	return -1;
}
