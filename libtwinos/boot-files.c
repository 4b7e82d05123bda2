// SPDX-License-Identifier: GPL-2.0
/*
 * What the leading OS has to be told before its configurations are read: which memory to withhold,
 * by its boot line, and which PCI functions to leave without a driver, by udev. Both files are made
 * anew from all configurations each time, so that they can be compared with them, too.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "libtwinos.h"

static int out_of_memory(void)
{
	return refuse(ENOMEM, "not enough memory");
}

/** conf_window() - size 0: it names none, and takes the first that is free */
struct range conf_window(const struct conf *conf)
{
	const struct share_options *s = &conf->share;

	if (!s->has_mem_min || !s->has_mem_max)
		return (struct range){ 0 };
	return (struct range){ s->mem_min, s->mem_max + 1 - s->mem_min };
}

/** format_range() - SIZE@ADDRESS, as the boot option has it */
void format_range(const struct range *r, char *text, size_t size)
{
	static const struct {
		unsigned int shift;
		const char *unit;
	} units[] = { { 30, "G" }, { 20, "M" }, { 10, "K" }, { 0, "" } };
	unsigned int i;

	for (i = 0; r->size & ((UINT64_C(1) << units[i].shift) - 1); i++)
		;
	snprintf(text, size, "%" PRIu64 "%s@%#" PRIx64, r->size >> units[i].shift, units[i].unit,
		 r->start);
}

/** format_function() - DDDD:BB:DD.F, as in sysfs */
void format_function(const struct twinos_pci *pci, char *text, size_t size)
{
	snprintf(text, size, "%04x:%02x:%02x.%x", pci->domain, pci->bus, pci->devfn >> 3,
		 pci->devfn & 7);
}

static bool ends_word(char c)
{
	return !c || strchr(" \t\n\"'", c);
}

/* A range at *at, up to a comma or the end of the word, behind which *at is then. */
static bool next_range(const char **at, struct range *r)
{
	char text[80];
	size_t n = 0;

	while (!ends_word((*at)[n]) && (*at)[n] != ',')
		n++;
	if (n >= sizeof(text))
		return false;
	memcpy(text, *at, n);
	text[n] = 0;
	*at += n;
	return !parse_range("twinos", text, r);
}

/**
 * parse_boot_options() - each twinos= of a boot line, or of the boot loader's file
 *
 * Comments (# at a line's start) are skipped, and what a kernel would not understand.
 */
unsigned int parse_boot_options(const char *text, struct boot_option *options, unsigned int max)
{
	static const char name[] = "twinos=", low[] = ",low=";
	bool comment = false, first = true;
	unsigned int nr = 0;
	const char *at;

	for (at = text; *at && nr < max; at++) {
		if (at == text || at[-1] == '\n')
			comment = *at == '#';
		first = at == text || ends_word(at[-1]);
		if (comment || !first || strncmp(at, name, strlen(name)))
			continue;
		at += strlen(name);
		options[nr].low = (struct range){ 0 };
		if (next_range(&at, &options[nr].window) &&
		    (ends_word(*at) || (!strncmp(at, low, strlen(low)) &&
					(at += strlen(low), next_range(&at, &options[nr].low)))))
			nr++;
		at--;
	}
	return nr;
}

/** format_boot_option() - what withholds the memory of one OS; "" if it names none */
void format_boot_option(const struct conf *conf, char *text, size_t size)
{
	const struct range window = conf_window(conf);
	char memory[64], low[64];

	*text = 0;
	if (!window.size)
		return;
	format_range(&window, memory, sizeof(memory));
	snprintf(text, size, "twinos=%s", memory);
	if (!conf->share.low.size)
		return;
	format_range(&conf->share.low, low, sizeof(low));
	snprintf(text, size, "twinos=%s,low=%s", memory, low);
}

/* Is there an OS that shares CPU 0? */
static bool any_time_shared(const struct confs *confs)
{
	unsigned int i;

	for (i = 0; i < confs->nr; i++)
		if (!confs->conf[i].share.nr_cpus)
			return true;
	return false;
}

/** boot_line() - all words that the configurations need on it; to be freed */
char *boot_line(const struct confs *confs)
{
	char *text = NULL, option[160];
	unsigned int i;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	if (!file) {
		out_of_memory();
		return NULL;
	}
	for (i = 0; i < confs->nr; i++) {
		format_boot_option(&confs->conf[i], option, sizeof(option));
		if (*option)
			fprintf(file, "%s%s", ftell(file) ? " " : "", option);
	}
	if (any_time_shared(confs))
		fprintf(file, "%snmi_watchdog=0", ftell(file) ? " " : "");
	if (fclose(file)) {
		out_of_memory();
		free(text);
		return NULL;
	}
	return text;
}

static void add_words(FILE *file, const char *words)
{
	fprintf(file, "GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX %s\"\n", words);
}

static void write_grub(FILE *file, const struct confs *confs)
{
	char option[160];
	unsigned int i;

	fputs("# The boot line of the leading OS. \"twinos plan\" writes this file anew from all\n"
	      "# /etc/twinos/*.conf: change those, then run twinos plan --update and update-grub.\n",
	      file);
	for (i = 0; i < confs->nr; i++) {
		format_boot_option(&confs->conf[i], option, sizeof(option));
		if (!*option)
			continue;
		fprintf(file, "\n# Memory withheld for %s.\n", confs->conf[i].name);
		add_words(file, option);
	}
	if (any_time_shared(confs)) {
		fputs("\n# The watchdog's counter would count on while another OS has the shared CPU.\n",
		      file);
		add_words(file, "nmi_watchdog=0");
	}
}

static void write_udev(FILE *file, const struct confs *confs)
{
	unsigned int i, j;
	char bdf[24];

	fputs("# PCI functions of coexisting OSes: no driver of the leading OS takes them, so that no\n"
	      "# network or storage daemon sees them. \"twinos plan\" writes this file anew from all\n"
	      "# /etc/twinos/*.conf: change those, then run twinos plan --update and\n"
	      "# update-initramfs -u. A kernel without TwinOS, and a coexisting one, have no such\n"
	      "# file as below, and keep all they find.\n"
	      "\n"
	      "ACTION!=\"add\", GOTO=\"twinos_end\"\n"
	      "SUBSYSTEM!=\"pci\", GOTO=\"twinos_end\"\n"
	      "TEST!=\"/sys/kernel/twinos/windows\", GOTO=\"twinos_end\"\n"
	      "\n"
	      "# In an initrd nobody uses a function yet, and a driver that was there first (built\n"
	      "# in, or loaded for another function a moment ago) lets go of it.\n"
	      "TEST==\"/conf/initramfs.conf\", ENV{.TWINOS_EARLY}=\"1\"\n"
	      "TEST==\"/etc/initrd-release\", ENV{.TWINOS_EARLY}=\"1\"\n", file);
	for (i = 0; i < confs->nr; i++) {
		const struct share_options *s = &confs->conf[i].share;

		if (s->nr_pci)
			fprintf(file, "\n# %s\n", confs->conf[i].name);
		for (j = 0; j < s->nr_pci; j++) {
			format_function(&s->pci[j], bdf, sizeof(bdf));
			fprintf(file, "KERNEL==\"%s\", ATTR{driver_override}=\"twinos\"\n", bdf);
			fprintf(file, "KERNEL==\"%s\", ENV{.TWINOS_EARLY}==\"1\", TEST==\"driver/unbind\", ATTR{driver/unbind}=\"%s\"\n",
				bdf, bdf);
		}
	}
	fputs("\nLABEL=\"twinos_end\"\n", file);
}

typedef void write_fn(FILE *file, const struct confs *confs);

static int make_file(struct new_file *file, char *path, write_fn *write,
		     const struct confs *confs)
{
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	file->path = path;
	file->text = NULL;
	if (!path || !stream)
		return out_of_memory();
	write(stream, confs);
	if (fclose(stream)) {
		free(text);
		return out_of_memory();
	}
	file->text = text;
	return 0;
}

/**
 * boot_files() - the boot loader's and udev's file as they should be now
 * @files: two, path and text of each to be freed
 */
int boot_files(const struct roots *roots, const struct confs *confs, struct new_file files[2])
{
	int err = make_file(&files[0], twinos_path(roots->etc, "default/grub.d/twinos.cfg"),
			    write_grub, confs);

	files[1] = (struct new_file){ 0 };
	return err ? err : make_file(&files[1], twinos_path(roots->etc, "udev/rules.d/60-twinos.rules"),
				     write_udev, confs);
}

/* The next line that is neither empty nor a comment. */
static const char *next_content(const char **text, size_t *length)
{
	while (**text) {
		const char *line = *text;

		*length = strcspn(line, "\n");
		*text = line + *length + (line[*length] == '\n');
		if (*length && *line != '#')
			return line;
	}
	return NULL;
}

/** same_content() - do two such files say the same, whatever their comments? */
bool same_content(const char *a, const char *b)
{
	const char *x, *y;
	size_t n = 0, m = 0;

	do {
		x = next_content(&a, &n);
		y = next_content(&b, &m);
		if (!x || !y)
			return !x && !y;
	} while (n == m && !memcmp(x, y, n));
	return false;
}

/**
 * read_confs() - all configurations of /etc/twinos, but for one
 * @except: its name, or NULL
 * @confs: to be freed with free_confs() in any case
 *
 * A file that is wrong is refused: what it claims is not known.
 */
int read_confs(const struct roots *roots, const char *except, struct confs *confs)
{
	struct conf_names names;
	unsigned int i;
	int err;

	*confs = (struct confs){ 0 };
	err = list_confs(roots, &names);
	if (err)
		return err;
	confs->conf = calloc(names.nr + 1, sizeof(*confs->conf));
	if (!confs->conf)
		err = out_of_memory();
	for (i = 0; i < names.nr && !err; i++) {
		if (!is_name(names.name[i]) || (except && !strcmp(names.name[i], except)))
			continue;
		err = read_conf(roots, names.name[i], &confs->conf[confs->nr++], NULL, NULL);
	}
	free_conf_names(&names);
	return err;
}

void free_confs(struct confs *confs)
{
	while (confs->nr)
		free_conf(&confs->conf[--confs->nr]);
	free(confs->conf);
	*confs = (struct confs){ 0 };
}
