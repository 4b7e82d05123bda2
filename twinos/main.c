// SPDX-License-Identifier: GPL-2.0
/*
 * twinos: shows, and adjusts, what /sys/kernel/twinos holds about the OSes on
 * this machine. Here: its options, and which command they are for. Manual page:
 * doc/twinos.8.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "common.h"

/* Another place can be compiled in, to run the command on recorded files. */
#ifndef TWINOS_ROOT
#define TWINOS_ROOT	""
#endif

#define STRING(x)	#x
#define NUMBER_TEXT(x)	STRING(x)

static const char help[] =
"usage: twinos status  [--os=OS] [--json]          state, CPUs, memory, devices, CPU time\n"
"       twinos log     [--os=OS] [--json | --raw]  last console output of the coexisting OS\n"
"       twinos slice   [--os=OS] [--json | US]     show or set the slice, in microseconds\n"
"       twinos weight  [--os=OS] [--json | PCT]    show or set its part of a shared CPU when\n"
"                                                 both OSes are busy, 1 to 99 percent\n"
"       twinos share   [--os=OS] [--json]          memory, devices and pins it was given\n"
"       twinos windows [--json]                   memory withheld for coexisting OSes\n"
"       twinos plan    NAME --memory=SIZE [--cpus=COUNT] [--pci=BDF,...] [--irq=PIN,...]\n"
"                      [--force] [--dry-run] [--json]\n"
"                                                 find a share that fits this machine and\n"
"                                                 write its files\n"
"       twinos plan    --update [--dry-run] [--json]\n"
"                                                 the files for boot loader and udev alone\n"
"       twinos check   [NAME | FILE]... [--json]  what is wrong with configurations\n"
"       twinos --help | --version\n"
"\n"
"OS is the coexisting OS's number or name; --os can be left out where there is only one\n"
"(status shows all of them). --raw does not make control characters visible.\n"
"Exit status: 0 done, 1 refused or not there, 100 wrong usage, 111 system error.\n";

static const struct command commands[] = {
	{ "status", run_status, TAKES(OS) | TAKES(JSON), 0, 0 },
	{ "log", run_log, TAKES(OS) | TAKES(JSON) | TAKES(RAW), 0, 0 },
	{ "slice", run_slice, TAKES(OS) | TAKES(JSON), 0, 1 },
	{ "weight", run_weight, TAKES(OS) | TAKES(JSON), 0, 1 },
	{ "share", run_share, TAKES(OS) | TAKES(JSON), 0, 0 },
	{ "windows", run_windows, TAKES(JSON), 0, 0 },
	{ "plan", run_plan, TAKES(MEMORY) | TAKES(CPUS) | TAKES(PCI) | TAKES(IRQ) | TAKES(FORCE) |
	  TAKES(UPDATE) | TAKES(DRY_RUN) | TAKES(JSON), 0, 1 },
	{ "check", run_check, TAKES(JSON), 0, UINT_MAX },
	{ NULL, NULL, 0, 0, 0 },
};

/* By enum option_key; those without a letter are known by their place alone. */
#define LETTERS ":hV"
#define OPTION_BASE 0x100
static const struct option long_options[] = {
	{ "os", required_argument, NULL, OPTION_BASE + OPTION_OS },
	{ "json", no_argument, NULL, OPTION_BASE + OPTION_JSON },
	{ "raw", no_argument, NULL, OPTION_BASE + OPTION_RAW },
	{ "memory", required_argument, NULL, OPTION_BASE + OPTION_MEMORY },
	{ "cpus", required_argument, NULL, OPTION_BASE + OPTION_CPUS },
	{ "pci", required_argument, NULL, OPTION_BASE + OPTION_PCI },
	{ "irq", required_argument, NULL, OPTION_BASE + OPTION_IRQ },
	{ "force", no_argument, NULL, OPTION_BASE + OPTION_FORCE },
	{ "update", no_argument, NULL, OPTION_BASE + OPTION_UPDATE },
	{ "dry-run", no_argument, NULL, OPTION_BASE + OPTION_DRY_RUN },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static void set_option(struct options *options, int option)
{
	const char *name = long_options[option].name;

	if (options->text[option] && optarg)
		die(EXIT_USAGE, "--%s is given twice; see twinos --help", name);
	options->text[option] = optarg ?: "";
}

static void parse_options(int argc, char **argv, struct options *options)
{
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, LETTERS, long_options, NULL)) != -1) {
		switch (option) {
		case 'h':
			fputs(help, stdout);
			exit(0);
		case 'V':
			puts("twinos " TWINOS_VERSION ", ABI version " NUMBER_TEXT(TWINOS_ABI_VERSION));
			exit(0);
		case ':':
			die(EXIT_USAGE, "%s lacks its value; see twinos --help", argv[optind - 1]);
		case '?':
			die(EXIT_USAGE, "'%s' is no option; see twinos --help", argv[optind - 1]);
		default:
			set_option(options, option - OPTION_BASE);
		}
	}
	if (options->text[OPTION_OS])
		check_os_text("--os", options->text[OPTION_OS]);
}

static const struct command *find_command(const char *name)
{
	const struct command *command;

	for (command = commands; command->name; command++)
		if (!strcmp(command->name, name))
			return command;
	die(EXIT_USAGE, "no command '%s'; see twinos --help", name);
}

/* What goes with the command, and what goes together. */
static void check_options(const struct command *command, const struct options *options)
{
	unsigned int i;

	if (options->nr_words > command->max_words)
		die(EXIT_USAGE, "'%s' does not belong there; see twinos --help",
		    options->words[command->max_words]);
	if (options->nr_words < command->min_words)
		die(EXIT_USAGE, "%s lacks a word behind it; see twinos --help", command->name);
	for (i = 0; i < OPTIONS; i++)
		if (options->text[i] && !(command->takes & 1u << i))
			die(EXIT_USAGE, "--%s does not go with %s; see twinos --help",
			    long_options[i].name, command->name);
	if (GIVEN(options, RAW) && GIVEN(options, JSON))
		die(EXIT_USAGE, "--json and --raw exclude each other; see twinos --help");
}

static void set_roots(void)
{
	static char proc[300], sys[300], etc[300], conf[300], root[300];

	snprintf(root, sizeof(root), "%s", TWINOS_ROOT);
	snprintf(proc, sizeof(proc), "%s/proc", TWINOS_ROOT);
	snprintf(sys, sizeof(sys), "%s/sys", TWINOS_ROOT);
	snprintf(etc, sizeof(etc), "%s/etc", TWINOS_ROOT);
	snprintf(conf, sizeof(conf), "%s/etc/twinos.conf", TWINOS_ROOT);
	roots = (struct roots){ proc, sys, etc, conf, root };
}

int main(int argc, char **argv)
{
	const struct command *command;
	struct options options = { 0 };
	int status;

	set_roots();
	parse_options(argc, argv, &options);
	if (optind == argc) {
		fputs(help, stderr);
		return EXIT_USAGE;
	}
	command = find_command(argv[optind++]);
	options.words = argv + optind;
	options.nr_words = argc - optind;
	check_options(command, &options);

	status = command->run(&options);
	if (fflush(stdout) || ferror(stdout))
		die(EXIT_SYSTEM, "standard output: %s", strerror(errno));
	return status;
}
