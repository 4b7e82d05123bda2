// SPDX-License-Identifier: GPL-2.0
/* Temporary trees of /proc and /sys for the tests; see tree.h. */
#define _GNU_SOURCE
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>
#include "tree.h"

static struct {
	unsigned int major, minor;
	int err;
} claim;
static unsigned int nr_claims;

void tree__claim(unsigned int major, unsigned int minor, int err)
{
	claim.major = major;
	claim.minor = minor;
	claim.err = err;
}

unsigned int tree__claims(void)
{
	const unsigned int nr = nr_claims;

	nr_claims = 0;
	return nr;
}

/* Instead of try_claim(), which needs the disk. */
int __wrap_try_claim(unsigned int major, unsigned int minor)
{
	if (claim.err && major == claim.major && minor == claim.minor)
		return claim.err;
	nr_claims++;
	return 0;
}

void tree__create(struct tree *t)
{
	/* nohup has let us ignore the first, a shell without job control the others. */
	signal(SIGHUP, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGQUIT, SIG_DFL);
	claim.err = 0;
	snprintf(t->root, sizeof(t->root), "/tmp/twinos-unit.XXXXXX");
	assert_non_null(mkdtemp(t->root));
	snprintf(t->proc, sizeof(t->proc), "%s/proc", t->root);
	snprintf(t->sys, sizeof(t->sys), "%s/sys", t->root);
	snprintf(t->etc, sizeof(t->etc), "%s/etc", t->root);
	snprintf(t->conf, sizeof(t->conf), "%s/twinos.conf", t->root);
	assert_return_code(mkdir(t->proc, 0700), 0);
	assert_return_code(mkdir(t->sys, 0700), 0);
	t->roots = (struct roots){ t->proc, t->sys, t->etc, t->conf, NULL, t->root };
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

void tree__remove(struct tree *t)
{
	assert_int_equal(nftw(t->root, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void full_path(struct tree *t, const char *path, char *full, size_t size)
{
	char *slash;

	snprintf(full, size, "%s/%s", t->root, path);
	for (slash = full + strlen(t->root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = 0;
		mkdir(full, 0700);
		*slash = '/';
	}
}

void tree__bytes(struct tree *t, const char *path, const void *data, size_t size)
{
	char full[512];
	FILE *file;

	full_path(t, path, full, sizeof(full));
	file = fopen(full, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

void tree__file(struct tree *t, const char *path, const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	assert_return_code(vasprintf(&text, format, args), 0);
	va_end(args);
	tree__bytes(t, path, text, strlen(text));
	free(text);
}

void tree__link(struct tree *t, const char *path, const char *target)
{
	char full[512], to[512];

	full_path(t, path, full, sizeof(full));
	snprintf(to, sizeof(to), "%s/%s", t->root, target);
	assert_return_code(symlink(to, full), 0);
}

void tree__folder(struct tree *t, const char *path)
{
	char full[512];

	full_path(t, path, full, sizeof(full));
	mkdir(full, 0700);
}

static void copy(struct tree *t, const char *path, const char *machine, const char *name)
{
	char from[512], text[16384];
	size_t n;
	FILE *file;

	snprintf(from, sizeof(from), MACHINES "/%s/%s", machine, name);
	file = fopen(from, "r");
	assert_non_null(file);
	n = fread(text, 1, sizeof(text), file);
	fclose(file);
	assert_true(n < sizeof(text));
	tree__bytes(t, path, text, n);
}

void tree__range(struct tree *t, unsigned int nr, uint64_t first, uint64_t last,
		 const char *type)
{
	char path[100];

	snprintf(path, sizeof(path), "sys/firmware/memmap/%u/start", nr);
	tree__file(t, path, "%#" PRIx64 "\n", first);
	snprintf(path, sizeof(path), "sys/firmware/memmap/%u/end", nr);
	tree__file(t, path, "%#" PRIx64 "\n", last);
	snprintf(path, sizeof(path), "sys/firmware/memmap/%u/type", nr);
	tree__file(t, path, "%s\n", type);
}

void tree__machine(struct tree *t, const char *name)
{
	char from[512], line[200], type[60];
	unsigned long long first, last;
	unsigned int i = 0;
	FILE *file;

	copy(t, "proc/iomem", name, "iomem");
	copy(t, "proc/interrupts", name, "interrupts");
	copy(t, "sys/kernel/twinos/windows", name, "windows");
	tree__file(t, "sys/kernel/twinos/role", "leading\n");
	tree__file(t, "sys/kernel/twinos/abi", "%d\n", TWINOS_ABI_VERSION);
	tree__os(t, 1, "empty", "time-shared", "");
	tree__file(t, "proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu pdpe1gb lm\n");
	tree__file(t, "proc/meminfo", "MemTotal: 4000000 kB\nMemAvailable: 3000000 kB\n");
	snprintf(from, sizeof(from), MACHINES "/%s/memmap", name);
	file = fopen(from, "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		assert_int_equal(sscanf(line, "%llx %llx %59[^\n]", &first, &last, type), 3);
		tree__range(t, i++, first, last, type);
	}
	fclose(file);
	assert_true(i);
}

static FILE *open_recorded(const char *name, const char *file)
{
	char path[512];
	FILE *stream;

	snprintf(path, sizeof(path), MACHINES "/%s/%s", name, file);
	stream = fopen(path, "r");
	assert_non_null(stream);
	return stream;
}

void tree__boot_params(struct tree *t, uint64_t initrd, uint64_t size, bool kaslr)
{
	struct boot_params params = {
		.ext_ramdisk_image = initrd >> 32, .ext_ramdisk_size = size >> 32,
		.hdr = {
			.ramdisk_image = initrd, .ramdisk_size = size,
			.loadflags = LOADED_HIGH | (kaslr ? KASLR_FLAG : 0),
		},
	};

	tree__bytes(t, "sys/kernel/boot_params/data", &params, sizeof(params));
}

static void make_cpus(struct tree *t, const char *name)
{
	char siblings[64], path[128], lists[8][512] = { "" };
	unsigned int cpu, node, last = 0, nodes = 0;
	FILE *file = open_recorded(name, "topology");

	while (fscanf(file, "%u %63s %u", &cpu, siblings, &node) == 3) {
		assert_true(node < 8);
		snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu%u/topology/thread_siblings_list",
			 cpu);
		tree__file(t, path, "%s\n", siblings);
		if (cpu) {
			snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu%u/online", cpu);
			tree__file(t, path, "1\n");
		}
		snprintf(lists[node] + strlen(lists[node]), 16, "%s%u", *lists[node] ? "," : "", cpu);
		last = cpu;
		nodes = node > nodes ? node : nodes;
	}
	fclose(file);
	tree__file(t, "sys/devices/system/cpu/online", "0-%u\n", last);
	tree__file(t, "sys/devices/system/cpu/present", "0-%u\n", last);
	tree__file(t, "sys/devices/system/node/online", nodes ? "0-%u\n" : "%u\n", nodes);
	for (node = 0; node <= nodes; node++) {
		snprintf(path, sizeof(path), "sys/devices/system/node/node%u/cpulist", node);
		tree__file(t, path, "%s\n", lists[node]);
	}
}

static void make_blocks(struct tree *t, const char *name)
{
	FILE *file = open_recorded(name, "blocks");
	unsigned int node, first, last;
	char path[128], line[200], *word;
	unsigned long long size;

	while (fgets(line, sizeof(line), file)) {
		assert_int_equal(sscanf(line, "%u %llx", &node, &size), 2);
		tree__file(t, "sys/devices/system/memory/block_size_bytes", "%llx\n", size);
		strtok(line, " ");
		strtok(NULL, " ");
		while ((word = strtok(NULL, " "))) {
			assert_int_equal(sscanf(word, "%u-%u", &first, &last), 2);
			for (; first <= last; first++) {
				snprintf(path, sizeof(path),
					 "sys/devices/system/node/node%u/memory%u", node, first);
				tree__folder(t, path);
			}
		}
	}
	fclose(file);
}

void tree__hardware(struct tree *t, const char *name)
{
	unsigned long long start = 0, size = 0;
	FILE *file = open_recorded(name, "boot");
	bool kaslr = false;
	char line[100];

	while (fgets(line, sizeof(line), file)) {
		sscanf(line, "initrd %llx %llx", &start, &size);
		kaslr |= !strncmp(line, "kaslr", 5);
	}
	fclose(file);
	tree__boot_params(t, start, size, kaslr);
	copy(t, "proc/cmdline", name, "cmdline");
	make_cpus(t, name);
	make_blocks(t, name);
}

void tree__os(struct tree *t, unsigned int id, const char *state, const char *mode,
	      const char *share)
{
	char path[100];

	snprintf(path, sizeof(path), "sys/kernel/twinos/os%u/state", id);
	tree__file(t, path, "%s\n", state);
	snprintf(path, sizeof(path), "sys/kernel/twinos/os%u/mode", id);
	tree__file(t, path, "%s\n", mode);
	snprintf(path, sizeof(path), "sys/kernel/twinos/os%u/share", id);
	tree__file(t, path, "%s", share);
}

void _assert_refused(int err, const char *text, const char *file, int line)
{
	if (err >= 0 || !strstr(refusal(), text) || strchr(refusal(), '\n')) {
		print_error("expected a refusal that says \"%s\", got %d: \"%s\"\n", text, err,
			    refusal());
		_fail(file, line);
	}
}

int tree__has_twinos(void **state)
{
	const char *twinos = getenv("TWINOS");

	(void)state;
	if (twinos && !access(twinos, X_OK))
		return 0;
	print_error("there is no program %s; build it, or name one in TWINOS\n",
		    twinos ? twinos : "twinos");
	return -1;
}

int tree__shell(const char *command, char *output, size_t size)
{
	FILE *pipe = popen(command, "r");
	size_t used = 0, n;
	int status;

	assert_non_null(pipe);
	while (used < size - 1 && (n = fread(output + used, 1, size - 1 - used, pipe)) > 0)
		used += n;
	output[used] = 0;
	status = pclose(pipe);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int tree__twinos(const struct tree *t, const char *arguments, char *output, size_t size)
{
	char command[1024], *at;
	int status;

	snprintf(command, sizeof(command), "exec %s %s 2>&1 </dev/null", getenv("TWINOS"), arguments);
	status = tree__shell(command, output, size);
	while ((at = strstr(output, t->root)))
		memmove(at, at + strlen(t->root), strlen(at + strlen(t->root)) + 1);
	return status;
}

void tree__stats(struct tree *t, unsigned int id, const char *name)
{
	char path[300], text[4096];
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), MACHINES "/../stats/%s", name);
	file = fopen(path, "r");
	assert_non_null(file);
	n = fread(text, 1, sizeof(text), file);
	fclose(file);
	snprintf(path, sizeof(path), "sys/kernel/twinos/os%u/stats", id);
	tree__bytes(t, path, text, n);
}

void tree__life(struct tree *t, unsigned int id, unsigned int seconds, unsigned int moves)
{
	const uint64_t khz = 1000000000, now = __rdtsc();
	char path[100];

	snprintf(path, sizeof(path), "sys/kernel/twinos/os%u/stats", id);
	tree__file(t, path, "tsc_khz %" PRIu64 "\nlaunch_tsc %" PRIu64 "\nmoves %u\n"
		   "alive_tsc %" PRIu64 "\n", khz, now - 3600 * 1000 * khz, moves,
		   now - seconds * 1000 * khz);
}
