// SPDX-License-Identifier: GPL-2.0
/*
 * A share that fits this machine: whole cores of one NUMA node and a window in the memory of that
 * node, a low slice if there are several CPUs, and the devices that the user names. Nothing is
 * written here, so that a plan that cannot be made changes nothing.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "libtwinos.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define FOUR_GIB (UINT64_C(1) << 32)

#define WINDOW_ALIGN (2 * MIB)		/* the kernel is mapped by pages of this size */
#define WINDOW_MIN (64 * MIB)
/* Below: the places that a boot loader and a kernel without KASLR take first. */
#define WINDOW_LOWEST (256 * MIB)
#define LEADING_MIN (512 * MIB)		/* the leading OS keeps that, on a machine that has it */

/*
 * Firmware keeps its data above, and boot loader, trampoline and a crash kernel need room below
 * (doc/real-machine.md, section 3).
 */
#define LOW_HIGHEST 0x80000ull
#define LOW_LOWEST 0x30000ull
#define LOW_SIZE 0x10000ull

#define BOOT_OPTIONS_MAX 16		/* twinos= on a boot line */

/* What making a plan knows so far. */
struct making {
	const struct roots *roots;
	const struct plan_request *request;
	struct plan *plan;
	struct share_options *share;	/* of the plan */
	bool running_twinos;		/* the running kernel could be the leading one */
	struct os_list oses;
	struct confs confs;		/* the others */
	struct conf old;		/* of this name, that is replaced */
	struct spare spare;
	struct topology topology;
	struct ranges memory[NODES_MAX];	/* by node, whoever uses it */
	struct ranges windows;		/* of others */
	bool reach_32;			/* a function has DMA of 32 bits only */
	/* Why the nodes did not do. */
	unsigned int most_cpus;
	uint64_t most_memory;
};

static int out_of_memory(void)
{
	return refuse(ENOMEM, "not enough memory");
}

/* 2G, 1536M: for people, so rounded down to what has a short name. */
static const char *size_text(uint64_t size)
{
	static char text[4][32];
	static unsigned int next;
	char *t = text[next++ % 4];

	if (!(size % GIB) && size)
		snprintf(t, sizeof(text[0]), "%" PRIu64 "G", size / GIB);
	else
		snprintf(t, sizeof(text[0]), "%" PRIu64 "M", size / MIB);
	return t;
}

/* ---- what is there, and whose it is ---- */

static int read_machine(struct making *m)
{
	char directory[300], role[32];
	const struct os *os;
	int err = 0;

	snprintf(directory, sizeof(directory), "%s/kernel/twinos", m->roots->sys);
	m->running_twinos = !read_text(directory, "role", role, sizeof(role));
	if (m->running_twinos && strcmp(role, "leading"))
		return refuse(EOPNOTSUPP, "this is a %s OS; only the leading OS can give something away",
			      role);
	if (m->running_twinos)
		err = read_oses(m->roots, &m->oses);
	os = err ? NULL : find_named(&m->oses, m->request->name);
	if (os && os_running(os))
		return refuse(EBUSY, "coexisting OS %u (%s) is running, and what it has cannot be planned anew meanwhile; stop it (twinos stop %s) first",
			      os->id, os->name, os->name);
	if (!err)
		err = read_confs(m->roots, m->request->name, &m->confs);
	if (!err)
		err = read_spare(m->roots, &m->spare);
	if (!err)
		err = read_topology(m->roots, &m->topology);
	if (!err)
		err = read_nodes_memory(m->roots, m->topology.node, m->topology.nr_nodes,
					m->memory);
	if (!err && !m->spare.knows_boot)
		err = add_text(&m->plan->warnings, "where the boot loader put the initrd is not known (no %s/kernel/boot_params/data); if the window is over it, the kernel does not withhold it, and says so",
			       m->roots->sys);
	return err;
}

/* A range of somebody else's: low slices are not counted as windows. */
static int take_away(struct making *m, const struct range *r)
{
	int err = 0;

	if (!r->size)
		return 0;
	if (r->start >= MIB)
		err = add_range(&m->windows, r->start, range_end(r));
	return err ? err : subtract_range(&m->spare.free, r->start, range_end(r));
}

/* What a boot line written by hand withholds already. */
static int take_away_by_hand(struct making *m)
{
	struct boot_option options[TWINOS_MAX_ID];
	char *path = twinos_path(m->roots->etc, "default/grub"), *text;
	unsigned int i, nr;
	int err = 0;

	if (!path)
		return -ENOMEM;
	if (read_file(path, &text, NULL)) {
		free(path);
		return 0;
	}
	nr = parse_boot_options(text, options, TWINOS_MAX_ID);
	for (i = 0; i < nr && !err; i++) {
		err = take_away(m, &options[i].window);
		if (!err)
			err = take_away(m, &options[i].low);
	}
	if (nr && !err)
		err = add_text(&m->plan->warnings, "%s has a twinos= of its own, whose memory is left alone; if it is not needed, remove it there",
			       path);
	free(text);
	free(path);
	return err;
}

static int take_away_others(struct making *m)
{
	const struct os *own = find_named(&m->oses, m->request->name), *os;
	struct range window;
	unsigned int i;
	int err = 0;

	for (i = 0; i < m->confs.nr && !err; i++) {
		window = conf_window(&m->confs.conf[i]);
		err = take_away(m, &window);
		if (!err)
			err = take_away(m, &m->confs.conf[i].share.low);
	}
	for (os = next_claim(&m->oses, NULL, own ? own->id : 0); os && !err;
	     os = next_claim(&m->oses, os, own ? own->id : 0)) {
		err = take_away(m, &os->window);
		if (!err)
			err = take_away(m, &os->low);
	}
	return err ? err : take_away_by_hand(m);
}

/* ---- devices ---- */

static const struct conf *conf_with_pci(const struct confs *confs, const struct twinos_pci *pci)
{
	unsigned int i, j;

	for (i = 0; i < confs->nr; i++)
		for (j = 0; j < confs->conf[i].share.nr_pci; j++)
			if (!memcmp(&confs->conf[i].share.pci[j], pci, sizeof(*pci)))
				return &confs->conf[i];
	return NULL;
}

static const struct conf *conf_with_irq(const struct confs *confs, uint32_t irq)
{
	unsigned int i, j;

	for (i = 0; i < confs->nr; i++)
		for (j = 0; j < confs->conf[i].share.nr_irqs; j++)
			if (confs->conf[i].share.irqs[j] == irq)
				return &confs->conf[i];
	return NULL;
}

static const struct conf *conf_with_cpu(const struct confs *confs, uint32_t cpu)
{
	unsigned int i, j;

	for (i = 0; i < confs->nr; i++)
		for (j = 0; j < confs->conf[i].share.nr_cpus; j++)
			if (confs->conf[i].share.cpus[j] == cpu)
				return &confs->conf[i];
	return NULL;
}

static int refuse_taken(const char *what, const struct conf *conf, enum conf_key key)
{
	return refuse(EBUSY, "%s is in %s:%u already; choose another, or take it out there", what,
		      conf->said[key].file, conf->said[key].line);
}

/*
 * Can a function write to memory above 4 GiB? One that was given away before has had no driver that
 * could have said so since the machine was booted; it stays where it was.
 */
static bool reaches(const struct making *m, const struct twinos_pci *pci, const char *driver)
{
	uint32_t i;

	if (function_reach(m->roots, pci) > 32)
		return true;
	if (*driver && strcmp(driver, "twinos"))
		return false;
	for (i = 0; i < m->old.share.nr_pci; i++)
		if (!memcmp(&m->old.share.pci[i], pci, sizeof(*pci)))
			return conf_window(&m->old).start >= FOUR_GIB;
	return false;
}

static int take_function(struct making *m, const struct twinos_pci *pci)
{
	const struct os *own = find_named(&m->oses, m->request->name);
	const struct conf *conf = conf_with_pci(&m->confs, pci);
	char bdf[24], what[64], driver[64], company[900];
	bool built_in;
	int err;

	format_function(pci, bdf, sizeof(bdf));
	snprintf(what, sizeof(what), "PCI function %s", bdf);
	if (conf)
		return refuse_taken(what, conf, CONF_PCI);
	if (function_virtual(m->roots, pci))
		return refuse(EOPNOTSUPP, "%s is a virtual function (SR-IOV), which a coexisting OS does not find; give the physical one",
			      what);
	err = check_pci(m->roots, pci, &m->oses, own ? own->id : 0);
	if (err)
		return err;
	function_company(m->roots, pci, m->share, company, sizeof(company));
	if (*company)
		err = add_text(&m->plan->warnings, "%s", company);
	function_driver(m->roots, pci, driver, sizeof(driver), &built_in);
	if (!err && built_in && strcmp(driver, "twinos"))
		err = add_text(&m->plan->warnings, "%s: its driver %s is built into the running kernel, and has it until the rules for udev take it away in the initrd; without an initrd, the leading OS sees it until it is given away",
			       what, driver);
	m->reach_32 |= !reaches(m, pci, driver);
	return err;
}

static int take_pin(struct making *m, uint32_t irq)
{
	const struct os *own = find_named(&m->oses, m->request->name);
	const struct conf *conf = conf_with_irq(&m->confs, irq);
	char what[64];

	snprintf(what, sizeof(what), "interrupt pin %u", irq);
	if (conf)
		return refuse_taken(what, conf, CONF_IRQ);
	return check_irq(m->roots, irq, &m->oses, own ? own->id : 0);
}

static int take_devices(struct making *m)
{
	const struct share_options *wanted = &m->request->devices;
	uint32_t i;
	int err = 0;

	*m->share = *wanted;
	for (i = 0; i < wanted->nr_pci && !err; i++)
		err = take_function(m, &wanted->pci[i]);
	for (i = 0; i < wanted->nr_irqs && !err; i++)
		err = take_pin(m, wanted->irqs[i]);
	if (!err && !wanted->nr_pci && !m->request->root)
		err = list_functions(m->roots, &m->confs, &m->oses, &m->plan->functions);
	return err;
}

/* ---- CPUs ---- */

/* Can all threads of a core leave the leading OS for this share? */
static bool core_usable(const struct making *m, const struct core *core)
{
	unsigned int i;

	for (i = 0; i < core->nr; i++)
		if (conf_with_cpu(&m->confs, core->cpus[i]) ||
		    cpu_owner(&m->oses, core->cpus[i], 0))
			return false;
	return !core->fixed;
}

/* Those with most threads first, then in order. */
static int by_threads(const void *a, const void *b)
{
	const struct core *const *x = a, *const *y = b;

	if ((*x)->nr != (*y)->nr)
		return (*x)->nr > (*y)->nr ? -1 : 1;
	return (*x)->cpus[0] < (*y)->cpus[0] ? -1 : 1;
}

static int by_number(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void give_core(struct share_options *share, const struct core *core)
{
	memcpy(&share->cpus[share->nr_cpus], core->cpus, core->nr * sizeof(core->cpus[0]));
	share->nr_cpus += core->nr;
}

/*
 * Whole cores of a node with so many threads, or the next number that whole cores make. Returns
 * false, and notes how many there would be, if the node has too few.
 */
static bool pick_cpus(struct making *m, unsigned int node)
{
	const unsigned int wanted = m->request->cpus, nr_cores = m->topology.nr_cores;
	const struct core **cores = calloc(nr_cores, sizeof(*cores)), *rest = NULL;
	unsigned int i, nr = 0, sum = 0;

	m->share->nr_cpus = 0;
	if (!cores)
		return false;
	for (i = 0; i < nr_cores; i++)
		if (m->topology.core[i].node == node && core_usable(m, &m->topology.core[i]))
			cores[nr++] = &m->topology.core[i];
	qsort(cores, nr, sizeof(*cores), by_threads);
	for (i = 0; i < nr; i++) {
		sum += cores[i]->nr;
		if (m->share->nr_cpus + cores[i]->nr <= wanted)
			give_core(m->share, cores[i]);
		else if (!rest || cores[i]->nr < rest->nr)
			rest = cores[i];
	}
	if (m->share->nr_cpus < wanted && rest && m->share->nr_cpus + rest->nr <= TWINOS_MAX_CPUS)
		give_core(m->share, rest);
	free(cores);
	if (sum > m->most_cpus)
		m->most_cpus = sum;
	qsort(m->share->cpus, m->share->nr_cpus, sizeof(m->share->cpus[0]), by_number);
	return m->share->nr_cpus >= wanted;
}

/* ---- the window ---- */

/* How much of the leading OS's memory in a range may go. */
static uint64_t may_go(const struct making *m, uint64_t min, uint64_t max)
{
	/* What firmware keeps of the machine's memory for itself counts as the leading OS's. */
	const uint64_t round = 64 * MIB - 1;
	const uint64_t ram = (ranges_size(&m->spare.ram, min, max) + round) & ~round;
	const uint64_t gone = ranges_size(&m->windows, min, max);
	uint64_t limit = ram / 2;

	if (ram > LEADING_MIN && ram - limit < LEADING_MIN)
		limit = ram - LEADING_MIN;
	return limit > gone ? limit - gone : 0;
}

static bool pick_in_zone(struct making *m, const struct ranges *set, bool low_zone)
{
	const uint64_t size = m->request->memory;
	const uint64_t min = low_zone ? WINDOW_LOWEST : FOUR_GIB;
	const uint64_t max = low_zone ? FOUR_GIB : UINT64_MAX;
	uint64_t room = largest_fit(set, WINDOW_ALIGN, min, max), start;

	/* Of what 32-bit devices and firmware can reach, too, the leading OS keeps half. */
	if (low_zone && room > may_go(m, 0, FOUR_GIB))
		room = may_go(m, 0, FOUR_GIB) & ~(WINDOW_ALIGN - 1);
	if (room > m->most_memory)
		m->most_memory = room;
	if (size > room || (!(size >= GIB && fit_range(set, size, GIB, min, max, &start)) &&
			    !fit_range(set, size, WINDOW_ALIGN, min, max, &start)))
		return false;
	m->share->has_mem_min = m->share->has_mem_max = true;
	m->share->mem_min = start;
	m->share->mem_max = start + size - 1;
	return true;
}

/*
 * Above 4 GiB, where nobody misses it, if the functions of the share get there. Else below, whole:
 * a coexisting kernel has only its window for the buffers of a device that addresses 32 bits.
 */
static int pick_window(struct making *m, unsigned int index, bool avoid_kernel, bool *found)
{
	const struct range *kernel = &m->spare.kernel;
	struct ranges set = { 0 };
	unsigned int i;
	int err = 0;

	for (i = 0; i < m->spare.free.nr && !err; i++)
		err = add_range(&set, m->spare.free.range[i].start,
				range_end(&m->spare.free.range[i]));
	if (!err)
		err = intersect_ranges(&set, &m->memory[index]);
	if (!err && avoid_kernel && kernel->size)
		err = subtract_range(&set, kernel->start, range_end(kernel));
	*found = !err && (pick_in_zone(m, &set, m->reach_32) ||
			  pick_in_zone(m, &set, !m->reach_32));
	free_ranges(&set);
	return err;
}

static unsigned int functions_on(const struct making *m, unsigned int node)
{
	unsigned int i, nr = 0;

	for (i = 0; i < m->share->nr_pci; i++)
		nr += function_node(m->roots, &m->share->pci[i]) == (int)node;
	return nr;
}

/* Is the node at @a better than the one at @b? */
static bool better_node(const struct making *m, unsigned int a, unsigned int b)
{
	const struct core *boot = cpu_core(&m->topology, 0);
	const unsigned int x = functions_on(m, m->topology.node[a]);
	const unsigned int y = functions_on(m, m->topology.node[b]);
	const bool x_boot = boot && boot->node == m->topology.node[a];
	const bool y_boot = boot && boot->node == m->topology.node[b];

	if (!m->request->cpus)		/* it runs on CPU 0 */
		return x_boot;
	if (x != y)
		return x > y;
	return x_boot != y_boot ? y_boot : a < b;
}

static int refuse_share(const struct making *m)
{
	const unsigned int nodes = m->topology.nr_nodes;
	const char *where = nodes > 1 ? "no NUMA node has" : "there are not";

	if (m->most_cpus < m->request->cpus)
		return refuse(ENOSPC, "%s %u CPUs in whole cores that can leave the leading OS (CPU 0's core stays, and what other configurations have); %s",
			      where, m->request->cpus,
			      !m->most_cpus ? "there are none: leave out --cpus, to share CPU 0" :
			      nodes > 1 ? "give fewer CPUs, or make two configurations" :
			      "give fewer CPUs, or leave out --cpus, to share CPU 0");
	return refuse(ENOSPC, "no window of %s fits into free memory, on one side of 4 GiB%s; the largest has %s",
		      size_text(m->request->memory),
		      nodes > 1 ? " and on the node of its CPUs" : "", size_text(m->most_memory));
}

static int check_size(const struct making *m)
{
	const uint64_t size = m->request->memory, most = may_go(m, 0, UINT64_MAX);

	if (size % WINDOW_ALIGN)
		return refuse(EINVAL, "--memory=%" PRIu64 " is not a multiple of 2M", size);
	if (size < WINDOW_MIN)
		return refuse(EINVAL, "--memory=%s is too little for a Linux; give at least %s",
			      size_text(size), size_text(WINDOW_MIN));
	if (size > most)
		return refuse(ENOSPC, "--memory=%s would leave the leading OS less than half of the memory, or less than %s; a further window can have %s",
			      size_text(size), size_text(LEADING_MIN), size_text(most));
	return 0;
}

/* The nodes one after the other, the best first, until one has both CPUs and memory. */
static int pick_node(struct making *m)
{
	unsigned int order[NODES_MAX], i, j, pass;
	const unsigned int nr = m->topology.nr_nodes;
	const unsigned int passes = m->spare.kernel_moves ? 2 : 1;
	int err = 0;

	for (i = 0; i < nr; i++) {
		for (j = i; j && better_node(m, i, order[j - 1]); j--)
			order[j] = order[j - 1];
		order[j] = i;
	}
	/* Where the kernel is now counts, unless that changes with each boot anyway. */
	for (pass = 0; pass < passes; pass++)
		for (i = 0; i < (m->request->cpus ? nr : 1); i++) {
			bool found = false;

			if (m->request->cpus && !pick_cpus(m, m->topology.node[order[i]]))
				continue;
			err = pick_window(m, order[i], !pass, &found);
			if (err || found) {
				m->plan->node = m->topology.node[order[i]];
				return err;
			}
		}
	return refuse_share(m);
}

static int pick_low(struct making *m)
{
	struct range *low = &m->share->low;
	uint64_t at;

	*low = (struct range){ 0 };
	m->share->has_low = false;
	if (m->share->nr_cpus < 2)
		return 0;
	for (at = LOW_HIGHEST; at >= LOW_LOWEST; at -= LOW_SIZE)
		if (fit_range(&m->spare.free, LOW_SIZE, LOW_SIZE, at, at + LOW_SIZE, &low->start)) {
			low->size = LOW_SIZE;
			m->share->has_low = true;
			return 0;
		}
	return refuse(ENOSPC, "%u CPUs need a low slice to start from, and no %s below 640K are free any more; give --cpus=1",
		      m->share->nr_cpus, "64K");
}

/* What the user should know about the choice. */
static int note_choice(struct making *m)
{
	const unsigned int nr_nodes = m->topology.nr_nodes;
	const bool above = m->share->mem_min >= FOUR_GIB;
	unsigned int i;
	int err = 0;

	if (m->share->nr_cpus > m->request->cpus)
		err = add_text(&m->plan->warnings, "%u CPUs would split a core between two OSes; its share has %u, which are whole cores",
			       m->request->cpus, m->share->nr_cpus);
	if (!err && above && m->reach_32)
		err = add_text(&m->plan->warnings, "a PCI function of the share is not known to address more than 32 bits, and no window below 4 GiB fits; if it cannot, its driver finds no memory there");
	for (i = 0; i < m->share->nr_pci && nr_nodes > 1 && !err; i++) {
		const int node = function_node(m->roots, &m->share->pci[i]);
		char bdf[24];

		format_function(&m->share->pci[i], bdf, sizeof(bdf));
		if (node >= 0 && node != (int)m->plan->node)
			err = add_text(&m->plan->warnings, "PCI function %s is on NUMA node %d, and the rest of the share on node %u",
				       bdf, node, m->plan->node);
	}
	for (i = 0; i < m->confs.nr && !m->share->nr_cpus && !err; i++)
		if (!m->confs.conf[i].share.nr_cpus)
			err = add_text(&m->plan->warnings, "%s shares CPU 0 as well, and one OS can at a time; give --cpus to one of them",
				       m->confs.conf[i].name);
	return err;
}

/* ---- kernel and command line ---- */

/* The newest of the kernels that are called TwinOS's. */
static char *twinos_release(const char *boot)
{
	struct dirent **entries;
	int i, nr = scandir(boot, &entries, NULL, versionsort);
	char *release = NULL;

	for (i = 0; i < nr; i++) {
		if (!strncmp(entries[i]->d_name, "vmlinuz-", 8) &&
		    strstr(entries[i]->d_name, "twinos")) {
			free(release);
			release = strdup(entries[i]->d_name + 8);
		}
		free(entries[i]);
	}
	if (nr >= 0)
		free(entries);
	return release;
}

/* The running kernel's, if it has TwinOS; else one that is installed and has. */
static int find_kernel(struct making *m)
{
	struct conf *conf = &m->plan->conf;
	const char *root = m->roots->root ?: "";
	char *boot = twinos_path(root, "boot"), *release = NULL, *initrd;
	int err = 0;

	if (boot && !m->running_twinos)
		release = twinos_release(boot);
	if (!release)
		release = strdup(m->request->release);
	conf->kernel = release ? twinos_path(root, "boot/vmlinuz-%s", release) : NULL;
	initrd = release ? twinos_path(root, "boot/initrd.img-%s", release) : NULL;
	if (!conf->kernel || !initrd)
		err = out_of_memory();
	if (!err && access(conf->kernel, F_OK))
		err = add_text(&m->plan->warnings, "there is no %s; say in %s which kernel to boot",
			       conf->kernel, conf->file);
	else if (!err && !m->running_twinos)
		err = add_text(&m->plan->warnings, "the running kernel has no TwinOS support; boot one that has as the leading OS");
	if (!err && !access(initrd, F_OK)) {
		conf->initrd = initrd;
		initrd = NULL;
	}
	free(initrd);
	free(release);
	free(boot);
	return err;
}

/* What is set for a core, or for all kernels, as the leading OS has it. */
static const char *const common_words[] = {
	"mitigations", "split_lock_detect", "clearcpuid", "ibt", "no5lvl", "nosmt", "pti", "nopti",
	"spectre_v2", "spec_store_bypass_disable", "l1tf", "mds", "tsx", "retbleed",
};

static void write_common_words(const struct roots *roots, FILE *file)
{
	char path[300], *text, *word, *next;
	unsigned int i;

	snprintf(path, sizeof(path), "%s/cmdline", roots->proc);
	if (read_file(path, &text, NULL))
		return;
	for (word = strtok_r(text, " \n", &next); word; word = strtok_r(NULL, " \n", &next)) {
		const size_t length = strcspn(word, "=");

		for (i = 0; i < sizeof(common_words) / sizeof(common_words[0]); i++)
			if (strlen(common_words[i]) == length &&
			    !memcmp(word, common_words[i], length))
				fprintf(file, " %s", word);
	}
	free(text);
}

static int make_command_line(struct making *m)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);
	unsigned int i;

	if (!file)
		return out_of_memory();
	if (!m->request->root)
		fprintf(file, " root=LABEL=%s ro", m->request->name);
	for (i = 0; i < m->share->nr_irqs; i++)
		if (m->share->irqs[i] == 3 || m->share->irqs[i] == 4)
			fprintf(file, " console=ttyS%d", m->share->irqs[i] == 3);
	if (m->share->mem_min >= FOUR_GIB)	/* it would look for memory below in vain */
		fputs(" swiotlb=noforce", file);
	/* An initrd made by the leading OS knows, and would wait for, that one's swap space. */
	fputs(" noresume dis_ucode_ldr modprobe.blacklist=pcspkr,intel_uncore", file);
	write_common_words(m->roots, file);
	if (fclose(file)) {
		free(text);
		return out_of_memory();
	}
	m->plan->conf.append = strdup(text + (*text == ' '));
	free(text);
	return m->plan->conf.append ? 0 : out_of_memory();
}

/* ---- the files ---- */

static void write_cpus(FILE *file, const struct share_options *share)
{
	uint32_t first, last;

	for (first = 0; first < share->nr_cpus; first = last + 1) {
		for (last = first; last + 1 < share->nr_cpus; last++)
			if (share->cpus[last + 1] != share->cpus[last] + 1)
				break;
		fprintf(file, "%s%u", first ? "," : "", share->cpus[first]);
		if (last > first)
			fprintf(file, "-%u", share->cpus[last]);
	}
}

static const char *why_there(const struct making *m)
{
	if (m->share->mem_min < FOUR_GIB)
		return m->reach_32 ?
			"# Below 4 GiB: a function of this share is not known to address more than 32 bits, and\n"
			"# its driver takes its buffers from the window.\n" :
			"# Below 4 GiB, as there is no room above.\n";
	return m->reach_32 ?
		"# Above 4 GiB, as there is no room below; see the warning about 32 bits in doc/real-machine.md.\n" :
		"# Above 4 GiB: what this share has can reach it, and the leading OS keeps what is below,\n"
		"# which its 32-bit devices, its boot loader and a crash kernel need.\n";
}

static void write_conf(FILE *file, const struct making *m)
{
	const struct conf *conf = &m->plan->conf;
	const struct share_options *share = m->share;
	const struct range window = conf_window(conf);
	char text[64];
	uint32_t i;

	fprintf(file,
		"# The coexisting OS \"%s\", as twinos plan found it to fit this machine. Change what you\n"
		"# like, see twinos.conf(5), and look at it with: twinos check %s\n"
		"# The boot line and udev know memory, low and pci, too. After a change of one of them:\n"
		"# twinos plan --update; update-grub; update-initramfs -u; reboot.\n"
		"\n[boot]\nkernel = %s\n", conf->name, conf->name, conf->kernel);
	if (conf->initrd)
		fprintf(file, "initrd = %s\n", conf->initrd);
	if (conf->root)
		fprintf(file,
			"# Its root file system, which the leading OS, or the server that is named, exports to\n"
			"# it; twinos.conf(5) has examples.\n"
			"root = %s\n"
			"# What the leading OS says about mitigations and the like should be said here, too.\n",
			conf->root);
	else
		fputs("# To be changed: root= names the root file system of this OS, which is on a disk of its\n"
		      "# share, not the leading OS's (blkid shows labels and UUIDs). What the leading OS says\n"
		      "# about mitigations and the like should be said here, too.\n", file);
	fprintf(file, "append = %s\n\n[share]\n%s", conf->append, why_there(m));
	format_range(&window, text, sizeof(text));
	fprintf(file, "memory = %s\n", text);
	if (share->low.size) {
		format_range(&share->low, text, sizeof(text));
		fprintf(file, "# What further CPUs start from.\nlow = %s\n", text);
	}
	if (share->nr_cpus) {
		if (m->topology.nr_nodes > 1)
			fprintf(file, "# Whole cores, of NUMA node %u, as is the memory.\n",
				m->plan->node);
		else
			fputs("# Whole cores.\n", file);
		fputs("cpus = ", file);
		write_cpus(file, share);
		fputc('\n', file);
	} else {
		fputs("# No cpus: it shares CPU 0 with the leading OS.\n", file);
	}
	fputs(share->nr_pci ? "pci = " : "pci =", file);
	for (i = 0; i < share->nr_pci; i++) {
		format_function(&share->pci[i], text, sizeof(text));
		fprintf(file, "%s%s", i ? "," : "", text);
	}
	fputc('\n', file);
	for (i = 0; i < share->nr_irqs; i++)
		fprintf(file, "%s%u", i ? "," : "irq = ", share->irqs[i]);
	fputs(i ? "\n" : "", file);
}

/* The leading kernel takes no more. */
static int check_number(const struct confs *confs)
{
	unsigned int i, nr = 0;

	for (i = 0; i < confs->nr; i++)
		nr += !!conf_window(&confs->conf[i]).size;
	return nr <= BOOT_OPTIONS_MAX ? 0 :
		refuse(ENOSPC, "with this one, %u configurations would need memory from the boot line, and the leading OS withholds at most %d windows; remove one",
		       nr, BOOT_OPTIONS_MAX);
}

/* The others and this one, in the order of their names, as a later plan would find them. */
static int make_boot_files(struct making *m)
{
	struct confs all = { .nr = m->confs.nr + 1 };
	unsigned int i, at = 0;
	int err;

	all.conf = calloc(all.nr, sizeof(*all.conf));
	if (!all.conf)
		return out_of_memory();
	while (at < m->confs.nr && strcmp(m->confs.conf[at].name, m->request->name) < 0)
		at++;
	for (i = 0; i < all.nr; i++)
		all.conf[i] = i < at ? m->confs.conf[i] : i == at ? m->plan->conf :
			      m->confs.conf[i - 1];
	err = check_number(&all);
	if (!err)
		err = boot_files(m->roots, &all, m->plan->files);
	if (!err) {
		m->plan->boot_line = boot_line(&all);
		err = m->plan->boot_line ? 0 : -ENOMEM;
	}
	free(all.conf);			/* but not what is in it */
	return err;
}

static int make_files(struct making *m)
{
	struct new_file *file = &m->plan->files[2];
	char *text = NULL;
	size_t size;
	FILE *stream;
	int err = make_boot_files(m);

	if (err)
		return err;
	m->plan->nr_files = 3;
	stream = open_memstream(&text, &size);
	if (!stream)
		return out_of_memory();
	write_conf(stream, m);
	if (fclose(stream)) {
		free(text);
		return out_of_memory();
	}
	file->text = text;
	file->path = strdup(m->plan->conf.file);
	return file->path ? 0 : out_of_memory();
}

/* The kernel's file says how much it needs at least. */
static int check_kernel_fits(struct making *m)
{
	const struct conf *conf = &m->plan->conf;
	struct placement p = { .window = conf_window(conf), .direct = true };
	struct sizes sizes = { .command_line = 4096, .purgatory = 65536 };
	struct vmlinux kernel = { 0 };
	struct bzimage image;
	char *file, *initrd;
	size_t size;
	int err;

	if (read_file(conf->kernel, &file, &size))
		return 0;
	if (check_bzimage(conf->kernel, (uint8_t *)file, size, &image)) {
		err = add_text(&m->plan->warnings, "%s", refusal());
		free(file);
		return err;
	}
	if (conf->initrd && !read_file(conf->initrd, &initrd, &sizes.initrd))
		free(initrd);
	err = place(conf->kernel, &image, &kernel, &sizes, &p);
	free(file);
	return err;
}

static int check_request(const struct making *m)
{
	const struct plan_request *r = m->request;
	struct conf *conf = &m->plan->conf;
	struct network_root root;
	int err;

	if (r->root) {
		err = parse_root(r->root, &root);
		if (err)
			return err;
		conf->root = strdup(r->root);
		if (!conf->root)
			return out_of_memory();
	}
	if (!is_name(r->name))
		return refuse(EINVAL, "%s cannot be the name of an OS; it is lower-case letters, digits, - and _, at most %d, and not a number",
			      r->name, TWINOS_NAME_SIZE - 1);
	if (!r->force && !access(conf->file, F_OK))
		return refuse(EEXIST, "%s is there already; choose another name, or replace it with --force",
			      conf->file);
	return 0;
}

static int run_steps(struct making *m)
{
	struct conf *conf = &m->plan->conf;
	int err;

	snprintf(conf->name, sizeof(conf->name), "%s", m->request->name);
	conf->file = twinos_path(m->roots->etc, "twinos/%s.conf", m->request->name);
	if (!conf->file)
		return -ENOMEM;
	err = check_request(m);
	/* What it says counts for little, so it may be wrong. */
	if (!err && !access(conf->file, F_OK))
		read_conf(m->roots, m->request->name, &m->old, NULL, NULL);
	if (!err)
		err = read_machine(m);
	if (!err)
		err = take_away_others(m);
	if (!err)
		err = take_devices(m);
	if (!err)
		err = check_size(m);
	if (!err)
		err = pick_node(m);
	if (!err)
		err = pick_low(m);
	if (!err)
		err = note_choice(m);
	if (!err)
		err = find_kernel(m);
	if (!err)
		err = check_kernel_fits(m);
	if (!err)
		err = make_command_line(m);
	return err ? err : make_files(m);
}

/**
 * make_plan() - a share that fits, and the files that say so
 * @plan: filled in; free_plan() in any case
 *
 * Nothing is written; write_files() does.
 */
int make_plan(const struct roots *roots, const struct plan_request *request, struct plan *plan)
{
	static struct making m;		/* large */
	unsigned int i;
	int err;

	*plan = (struct plan){ 0 };
	m = (struct making){
		.roots = roots, .request = request, .plan = plan, .share = &plan->conf.share,
	};
	err = run_steps(&m);
	free_confs(&m.confs);
	free_conf(&m.old);
	free_spare(&m.spare);
	free_topology(&m.topology);
	free_ranges(&m.windows);
	for (i = 0; i < NODES_MAX; i++)
		free_ranges(&m.memory[i]);
	return err;
}

/** make_update() - only what is made from the configurations, as they are now */
int make_update(const struct roots *roots, struct plan *plan)
{
	struct confs confs;
	int err;

	*plan = (struct plan){ 0 };
	err = read_confs(roots, NULL, &confs);
	if (!err)
		err = boot_files(roots, &confs, plan->files);
	if (!err) {
		plan->nr_files = 2;
		plan->boot_line = boot_line(&confs);
		err = plan->boot_line ? 0 : -ENOMEM;
	}
	free_confs(&confs);
	return err;
}

void free_plan(struct plan *plan)
{
	unsigned int i;

	for (i = 0; i < 3; i++) {
		free(plan->files[i].path);
		free(plan->files[i].text);
	}
	free(plan->boot_line);
	free_conf(&plan->conf);
	free_texts(&plan->warnings);
	free_texts(&plan->functions);
	*plan = (struct plan){ 0 };
}
