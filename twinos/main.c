// SPDX-License-Identifier: GPL-2.0
/*
 * twinos: starts, stops, shows and adjusts the OSes on this machine. Here: its options,
 * and which command they are for. Manual page: doc/twinos.8.
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
"usage: twinos COMMAND [OPTION...] [OS...]\n"
"An OS is meant by its name, that of /etc/twinos/NAME.conf, or by its number.\n"
"\n"
"  list     [--json]                 a line for each: state, CPUs, window, devices, uptime\n"
"  status   [OS] [--json]            state, CPUs, memory, devices, CPU time\n"
"  top      [OS...] [--once]         live, what each does per second, S seconds (1) apart:\n"
"           [--delay=S] [--json]     part of CPU 0, OS switches, interrupts, console, network;\n"
"                                    --once: one table\n"
"  metrics  [--output=FILE]          what is counted of each, as Prometheus reads it\n"
"  map      [--svg=FILE | --json]    who has what: memory, CPUs, devices. --svg: as a picture,\n"
"                                    -: on standard output\n"
"  timeline [OS] [--for=S]           who had CPU 0 when, and why it was switched, in the next S\n"
"           [--input=FILE]           seconds (0.01 to 60; 2), or in what the file trace of\n"
"           [--svg=FILE | --json]    tracefs or trace-cmd report has said\n"
"  plan     NAME --memory=SIZE       find a share that fits this machine; write its file, the\n"
"           [--cpus=COUNT]           boot line and rules for udev. COUNT CPUs of its own, 0:\n"
"           [--pci=BDF,...]          it shares CPU 0. --force: in place of a file that is\n"
"           [--irq=PIN,...]          there. --dry-run: only show what would be written.\n"
"           [--root=KIND:PLACE]      Its root is on a disk of these, or nfs:PATH, nbd:EXPORT or\n"
"           [--force] [--dry-run]    9p:PATH, from the leading OS or from KIND://SERVER/...\n"
"           [--json]\n"
"  plan     --update [--dry-run] [--json]\n"
"                                    boot line and rules alone, from all files as they are\n"
"  check    [NAME | FILE]... [--json]  all that is wrong with these, or with all\n"
"  start    NAME... | --all          load and launch it, wait until its first process runs;\n"
"           [--timeout=S]            --all: those with autostart = yes\n"
"  stop     OS... | --all            ask it to shut down and wait, as long as its file says\n"
"           [--limit=S] [-q]         (stop-limit), or S seconds\n"
"  restart  NAME... [--limit=S] [--timeout=S]\n"
"  kill     OS... [-q]               end it without asking\n"
"  unload   OS... [-q]               forget it; what is reserved for it is given back\n"
"  run      NAME                     start it and stay, for a supervisor (sd_notify): its\n"
"                                    console on standard output, its end is this command's\n"
"  wait     OS --state=STATE[,...]   until it is in one of these states, or S seconds are\n"
"           [--timeout=S] [--json]   over; STATE: empty, loaded, starting, running, stopped,\n"
"                                    crashed, hung\n"
"  console  [OS]                     its terminal, what it has written first; Ctrl-] leaves it\n"
"  log      [OS] [-f] [--json|--raw] its last console output; -f: and what follows\n"
"  move     OS CPU                   to another CPU while it runs; 0: it shares CPU 0\n"
"  set      OS [slice=US] [weight=PCT]  how it shares CPU 0: microseconds at a time (100 to\n"
"                                    1000000), percent when both are busy (1 to 99)\n"
"  slice    [--os=OS] [--json|US]    show or set the slice\n"
"  weight   [--os=OS] [--json|PCT]   show or set the weight\n"
"  share    [OS] [--json]            memory, devices and pins it was given\n"
"  windows  [--json]                 memory withheld for coexisting OSes\n"
"\n"
"--os=OS can stand for the word OS, and both can be left out of status (all), console, log, share,\n"
"timeline, slice and weight where there is only one. --raw does not make control characters visible.\n"
"-q, --quiet: nothing to do is no failure. -f is --follow. Also: --help, --version.\n"
"\n"
"Exit status: 0 done, 1 refused or not there, 100 wrong usage, 111 system error.\n"
"Of run: 0 the OS shut down, or was stopped or killed on demand; 4 it crashed; 5 it hung;\n"
"6 it wants to reboot.\n";

static const struct command commands[] = {
	{ "list", run_list, TAKES(JSON), 0, 0, false },
	{ "status", run_status, TAKES(JSON), 0, 1, true },
	{ "top", run_top, TAKES(ONCE) | TAKES(DELAY) | TAKES(JSON), 0, UINT_MAX, true },
	{ "metrics", run_metrics, TAKES(OUTPUT), 0, 0, false },
	{ "map", run_map, TAKES(SVG) | TAKES(JSON), 0, 0, false },
	{ "timeline", run_timeline, TAKES(SVG) | TAKES(JSON) | TAKES(FOR) | TAKES(INPUT), 0, 1, true },
	{ "plan", run_plan, TAKES(MEMORY) | TAKES(CPUS) | TAKES(PCI) | TAKES(IRQ) | TAKES(ROOT) | TAKES(FORCE) |
	  TAKES(UPDATE) | TAKES(DRY_RUN) | TAKES(JSON), 0, 1, false },
	{ "check", run_check, TAKES(JSON), 0, UINT_MAX, false },
	{ "start", run_start, TAKES(ALL) | TAKES(TIMEOUT), 0, UINT_MAX, false },
	{ "stop", run_stop, TAKES(ALL) | TAKES(LIMIT) | TAKES(QUIET), 0, UINT_MAX, true },
	{ "restart", run_restart, TAKES(LIMIT) | TAKES(TIMEOUT), 0, UINT_MAX, true },
	{ "kill", run_kill, TAKES(QUIET), 0, UINT_MAX, true },
	{ "unload", run_unload, TAKES(QUIET), 0, UINT_MAX, true },
	{ "run", run_run, 0, 1, 1, false },
	{ "wait", run_wait, TAKES(STATE) | TAKES(TIMEOUT) | TAKES(JSON), 1, 1, true },
	{ "console", run_console, 0, 0, 1, true },
	{ "log", run_log, TAKES(JSON) | TAKES(RAW) | TAKES(FOLLOW), 0, 1, true },
	{ "move", run_move, 0, 2, 2, true },
	{ "set", run_set, 0, 2, 3, true },
	{ "slice", run_slice, TAKES(OS) | TAKES(JSON), 0, 1, false },
	{ "weight", run_weight, TAKES(OS) | TAKES(JSON), 0, 1, false },
	{ "share", run_share, TAKES(JSON), 0, 1, true },
	{ "windows", run_windows, TAKES(JSON), 0, 0, false },
	{ NULL, NULL, 0, 0, 0, false },
};

#define LETTERS ":fhqV"
#define OPTION_BASE 0x100
#define LONG(option, name, value) \
	[OPTION_##option] = { name, value, NULL, OPTION_BASE + OPTION_##option }
static const struct option long_options[] = {
	LONG(OS, "os", required_argument),
	LONG(JSON, "json", no_argument),
	LONG(RAW, "raw", no_argument),
	LONG(ALL, "all", no_argument),
	LONG(FOLLOW, "follow", no_argument),
	LONG(LIMIT, "limit", required_argument),
	LONG(QUIET, "quiet", no_argument),
	LONG(STATE, "state", required_argument),
	LONG(TIMEOUT, "timeout", required_argument),
	LONG(MEMORY, "memory", required_argument),
	LONG(CPUS, "cpus", required_argument),
	LONG(PCI, "pci", required_argument),
	LONG(IRQ, "irq", required_argument),
	LONG(ROOT, "root", required_argument),
	LONG(FORCE, "force", no_argument),
	LONG(UPDATE, "update", no_argument),
	LONG(DRY_RUN, "dry-run", no_argument),
	LONG(ONCE, "once", no_argument),
	LONG(DELAY, "delay", required_argument),
	LONG(OUTPUT, "output", required_argument),
	LONG(SVG, "svg", required_argument),
	LONG(FOR, "for", required_argument),
	LONG(INPUT, "input", required_argument),
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

static unsigned int seconds(const char *name, const char *text)
{
	unsigned int value = 0;

	if (text && parse_count(name, text, 1, CONF_STOP_LIMIT_MAX, " of seconds", &value))
		die(EXIT_USAGE, "%s", refusal());
	return value;
}

static void parse_options(int argc, char **argv, struct options *options)
{
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, LETTERS, long_options, NULL)) != -1) {
		switch (option) {
		case 'f':
			set_option(options, OPTION_FOLLOW);
			break;
		case 'q':
			set_option(options, OPTION_QUIET);
			break;
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
	if (GIVEN(options, OS))
		check_os_text("--os", options->text[OPTION_OS]);
	options->limit = seconds("--limit", options->text[OPTION_LIMIT]);
	options->timeout = seconds("--timeout", options->text[OPTION_TIMEOUT]);
}

static const struct command *find_command(const char *name)
{
	const struct command *command;

	for (command = commands; command->name; command++)
		if (!strcmp(command->name, name))
			return command;
	die(EXIT_USAGE, "no command '%s'; see twinos --help", name);
}

/* --os=OS stands for the word that names it, where there is one. Returns what is to be freed. */
static const char **move_os_to_words(const struct command *command, struct options *options)
{
	const char **words;

	if (!GIVEN(options, OS) || !command->os_is_word)
		return NULL;
	words = calloc(options->nr_words + 1, sizeof(*words));
	if (!words)
		die(EXIT_SYSTEM, "out of memory");
	words[0] = options->text[OPTION_OS];
	memcpy(words + 1, options->words, options->nr_words * sizeof(*words));
	options->words = words;
	options->nr_words++;
	options->text[OPTION_OS] = NULL;
	return words;
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
	if (GIVEN(options, SVG) && GIVEN(options, JSON))
		die(EXIT_USAGE, "--json and --svg exclude each other; see twinos --help");
	if (GIVEN(options, SVG) && !*options->text[OPTION_SVG])
		die(EXIT_USAGE, "--svg lacks its file; see twinos --help");
}

static void set_roots(void)
{
	static char proc[300], sys[300], etc[300], dev[300], root[300];

	snprintf(proc, sizeof(proc), "%s/proc", TWINOS_ROOT);
	snprintf(sys, sizeof(sys), "%s/sys", TWINOS_ROOT);
	snprintf(etc, sizeof(etc), "%s/etc", TWINOS_ROOT);
	snprintf(dev, sizeof(dev), "%s/dev", TWINOS_ROOT);
	/* /etc/twinos.conf is kexec's alone. */
	snprintf(root, sizeof(root), "%s", TWINOS_ROOT);
	roots = (struct roots){ proc, sys, etc, NULL, dev, root };
}

int main(int argc, char **argv)
{
	const struct command *command;
	struct options options = { 0 };
	const char **words;
	int status;

	twinos_program = "twinos";
	set_roots();
	parse_options(argc, argv, &options);
	if (optind == argc) {
		fputs(help, stderr);
		return EXIT_USAGE;
	}
	command = find_command(argv[optind++]);
	options.words = (const char **)argv + optind;
	options.nr_words = argc - optind;
	words = move_os_to_words(command, &options);
	check_options(command, &options);

	status = command->run(&options);
	free(words);
	if (fflush(stdout) || ferror(stdout))
		die(EXIT_SYSTEM, "standard output: %s", strerror(errno));
	return status;
}
