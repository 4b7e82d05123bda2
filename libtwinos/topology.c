// SPDX-License-Identifier: GPL-2.0
/*
 * The cores of the machine: which CPUs are threads of one core, and of which NUMA node it is.
 * A core is the least that an OS can have for itself.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "libtwinos.h"

#define CPUS_MAX 8192			/* the most that x86 kernels are built for */

typedef void cpu_fn(void *user, uint32_t cpu);

/* Walk over a list like 0-3,8 in a file below devices/system. Returns -errno without a refusal. */
static int for_each_cpu(const struct roots *roots, const char *file, cpu_fn *fn, void *user)
{
	char path[400], *list;
	uint32_t first, last;
	const char *at;
	int more;

	snprintf(path, sizeof(path), "%s/devices/system/%s", roots->sys, file);
	more = read_file(path, &list, NULL);
	if (more)
		return more;
	list[strcspn(list, "\n")] = 0;
	for (at = list; (more = next_numbers(&at, &first, &last)) > 0 && last < CPUS_MAX; )
		for (; first <= last; first++)
			fn(user, first);
	free(list);
	return more > 0 ? -ERANGE : more;
}

struct reading {
	const struct roots *roots;
	struct topology *topology;
	unsigned int node;
	uint32_t lowest;		/* of those */
	int err;
};

static void note_lowest(void *user, uint32_t cpu)
{
	struct reading *r = user;

	if (cpu < r->lowest)
		r->lowest = cpu;
}

static struct core *core_of(struct topology *t, uint32_t lowest)
{
	struct core *c;

	for (c = t->core; c < t->core + t->nr_cores; c++)
		if (c->cpus[0] == lowest)
			return c;
	return NULL;
}

/* Can the kernel take this CPU offline? */
static bool hotpluggable(const struct roots *roots, uint32_t cpu)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/devices/system/cpu/cpu%u/online", roots->sys, cpu);
	return !access(path, F_OK);
}

/* CPUs come in order, so that the first of a core is its lowest. */
static void add_cpu(void *user, uint32_t cpu)
{
	struct reading *r = user;
	struct topology *t = r->topology;
	struct core *c, *more;
	char file[64];

	r->lowest = cpu;
	snprintf(file, sizeof(file), "cpu/cpu%u/topology/thread_siblings_list", cpu);
	for_each_cpu(r->roots, file, note_lowest, r);
	c = core_of(t, r->lowest);
	if (!c) {
		more = reallocarray(t->core, t->nr_cores + 1, sizeof(*more));
		if (!more) {
			r->err = refuse(ENOMEM, "not enough memory for the list of CPUs");
			return;
		}
		t->core = more;
		c = &more[t->nr_cores++];
		*c = (struct core){ .fixed = false };
	}
	if (c->nr == CORE_THREADS_MAX) {
		r->err = refuse(EIO, "CPU %u is one of more than %d threads of its core; that is not known here",
				cpu, CORE_THREADS_MAX);
		return;
	}
	c->cpus[c->nr++] = cpu;
	c->fixed |= !cpu || !hotpluggable(r->roots, cpu);
}

static void set_node(void *user, uint32_t cpu)
{
	struct reading *r = user;
	unsigned int i, j;

	for (i = 0; i < r->topology->nr_cores; i++)
		for (j = 0; j < r->topology->core[i].nr; j++)
			if (r->topology->core[i].cpus[j] == cpu)
				r->topology->core[i].node = r->node;
}

static void add_node(void *user, uint32_t node)
{
	struct reading *r = user;
	struct topology *t = r->topology;

	if (t->nr_nodes < NODES_MAX)
		t->node[t->nr_nodes++] = node;
	else
		r->err = refuse(EIO, "there are more than %d NUMA nodes; that is not known here", NODES_MAX);
}

/**
 * read_topology() - the cores whose threads are online now
 * @topology: filled in; free_topology() in any case
 */
int read_topology(const struct roots *roots, struct topology *topology)
{
	struct reading r = { .roots = roots, .topology = topology };
	unsigned int i;
	char file[64];
	int err;

	*topology = (struct topology){ 0 };
	err = for_each_cpu(roots, "cpu/online", add_cpu, &r);
	if (err || !topology->nr_cores)
		return refuse(EIO, "%s/devices/system/cpu/online does not tell which CPUs there are; is /sys mounted?",
			      roots->sys);
	/* Without CONFIG_NUMA there is no such folder, and one node. */
	err = for_each_cpu(roots, "node/online", add_node, &r);
	if (err && err != -ENOENT)
		return refuse(-err, "%s/devices/system/node/online cannot be read: %s", roots->sys,
			      strerror(-err));
	if (err == -ENOENT || !topology->nr_nodes)
		add_node(&r, 0);
	for (i = 0; i < topology->nr_nodes && !err; i++) {
		r.node = topology->node[i];
		snprintf(file, sizeof(file), "node/node%u/cpulist", r.node);
		for_each_cpu(roots, file, set_node, &r);
	}
	return r.err;
}

void free_topology(struct topology *topology)
{
	free(topology->core);
	*topology = (struct topology){ 0 };
}

/** cpu_core() - whose thread a CPU is; NULL if it is not online */
const struct core *cpu_core(const struct topology *topology, uint32_t cpu)
{
	unsigned int i, j;

	for (i = 0; i < topology->nr_cores; i++)
		for (j = 0; j < topology->core[i].nr; j++)
			if (topology->core[i].cpus[j] == cpu)
				return &topology->core[i];
	return NULL;
}
