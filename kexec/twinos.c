// SPDX-License-Identifier: GPL-2.0
/*
 * kexec --twinos as a command: its options among upstream's, what is done for
 * each of them, and what upstream's code asks us. With --twinos everything is done
 * here; without it upstream's code runs as ever, except that kexec -e launches
 * the coexisting OS if no ordinary image is loaded, and that an ordinary image
 * leaves coexisting OSes' memory alone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "../kexec.h"
#include <arch/options.h>
#include "twinos.h"
#include "libtwinos/libtwinos.h"

static const struct roots roots = {
	.proc = "/proc", .sys = "/sys", .etc = "/etc", .conf = "/etc/twinos.conf", .dev = "/dev",
};

static const struct option all_options[] = {
	KEXEC_ALL_OPTIONS
	{ 0, 0, 0, 0 },
};
static const char short_options[] = KEXEC_ALL_OPT_STR;

/* Exit status of --status, by state; see kexec-twinos(8). */
#define STATUS_UNKNOWN 255

#define TIMEOUT_DEFAULT CONF_STOP_LIMIT_DEFAULT	/* seconds that an OS has for shutting down */
#define TIMEOUT_MAX CONF_STOP_LIMIT_MAX

enum action {
	ACTION_NONE, ACTION_LOAD, ACTION_EXEC, ACTION_UNLOAD, ACTION_STATUS, ACTION_STOP,
	ACTION_KILL, ACTION_MOVE,
};

struct command {
	enum action action;
	struct request request;
	const char *append;
	bool reuse_command_line;
	char *command_line;
	unsigned int timeout;		/* 0: not given */
	unsigned int given;		/* share_keys, a bit each */
	const char *load_only;		/* an option that only -l knows, NULL if none is given */
};

static const struct {
	int opt;
	enum action action;
} actions[] = {
	{ OPT_LOAD, ACTION_LOAD },
	{ OPT_EXEC, ACTION_EXEC },
	{ OPT_UNLOAD, ACTION_UNLOAD },
	{ OPT_STATUS, ACTION_STATUS },
	{ OPT_TWINOS_STOP, ACTION_STOP },
	{ OPT_TWINOS_KILL, ACTION_KILL },
	{ OPT_TWINOS_MOVE, ACTION_MOVE },
};

/* The share; an empty list takes a default of twinos.conf away. */
static const struct {
	int opt;
	const char *name, *key;
	bool may_be_empty;
} share_keys[] = {
	{ OPT_TWINOS_CPUS, "--twinos-cpus", "cpus", true },
	{ OPT_MEM_MIN, "--mem-min", "mem-min", false },
	{ OPT_MEM_MAX, "--mem-max", "mem-max", false },
	{ OPT_TWINOS_LOW, "--twinos-low", "low", true },
	{ OPT_TWINOS_PCI, "--twinos-pci", "pci", true },
	{ OPT_TWINOS_IRQ, "--twinos-irq", "irq", true },
};

/* Upstream's options that do not go with --twinos. */
static const struct {
	int opt;
	const char *name, *why;
} excluded[] = {
	{ OPT_FORCE, "-f", "load with -l, then launch with kexec --twinos -e" },
	{ OPT_PANIC, "-p", "a crash kernel is not a coexisting OS" },
	{ OPT_KEXEC_FILE_SYSCALL, "-s", "it needs the kexec_load system call (-c)" },
	{ OPT_KEXEC_SYSCALL_AUTO, "-a", "it needs the kexec_load system call (-c)" },
	{ OPT_REAL_MODE, "--real-mode", "a coexisting OS has no firmware to call" },
	{ OPT_LOAD_PRESERVE_CONTEXT, "--load-preserve-context",
	  "nothing has to be preserved, the running OS goes on" },
	{ OPT_LOAD_JUMP_BACK_HELPER, "--load-jump-back-helper",
	  "the running OS gets control back by itself" },
	{ OPT_LOAD_LIVE_UPDATE, "live update", "that is Xen's" },
	{ OPT_EXEC_LIVE_UPDATE, "live update", "that is Xen's" },
	{ OPT_ENTRY, "--entry", "the entry is the purgatory's" },
	{ OPT_REUSE_INITRD, "--reuseinitrd", "give --initrd=FILE" },
};

#define NR(table) (sizeof(table) / sizeof((table)[0]))

void twinos_usage(void)
{
	printf("Coexisting OSes (see kexec-twinos(8)):\n"
	       "     --twinos              With -l, load a kernel to run beside this one; with\n"
	       "                           -e, -u or -S, launch it, unload it, print its state.\n"
	       "     --twinos-id=<number>  Its number, 1 to 64 (the lowest free one; with the\n"
	       "                           other actions, the only one that it can be).\n"
	       "     --mem-min=<addr>, --mem-max=<addr>  Its memory window.\n"
	       "     --twinos-low=<size>@<addr>  Its low-memory slice.\n"
	       "     --twinos-cpus=<list>  Its CPUs (none: it shares CPU 0 with this OS).\n"
	       "     --twinos-pci=<[domain:]bus:device.function>,...  Its PCI functions.\n"
	       "     --twinos-irq=<pin>,...  Its interrupt pins.\n"
	       "     --twinos-entry=direct|bzimage  Enter the kernel itself (default), or its\n"
	       "                           decompressor (always with --entry-32bit).\n"
	       "     --twinos-stop         Ask it to shut down, and wait until it has.\n"
	       "     --twinos-timeout=<seconds>  With --twinos-stop, how long (%d).\n"
	       "     --twinos-kill         End it without asking.\n"
	       "     --twinos-move         Move it, while it runs, to the CPU of --twinos-cpus;\n"
	       "                           with 0, it shares CPU 0 with this OS.\n",
	       TIMEOUT_DEFAULT);
}

/* Is any option from first to last given? Leaves getopt as it was. */
static bool given(int argc, char **argv, int first, int last)
{
	bool found = false;
	int opt;

	opterr = 0;
	optind = 1;
	while ((opt = getopt_long(argc, argv, short_options, all_options, NULL)) != -1)
		found |= opt >= first && opt <= last;
	opterr = 1;
	optind = 1;
	return found;
}

/** twinos_requested() - is one of ours among the options? Help is upstream's, ours included. */
bool twinos_requested(int argc, char **argv)
{
	return given(argc, argv, OPT_TWINOS, OPT_ARCH_MAX - 1) &&
	       !given(argc, argv, OPT_HELP, OPT_HELP) &&
	       !given(argc, argv, OPT_VERSION, OPT_VERSION);
}

static int set_action(struct command *c, enum action action)
{
	if (c->action != ACTION_NONE && c->action != action)
		return refuse(EINVAL, "give one of -l, -e, -u, -S, --twinos-stop, --twinos-kill and --twinos-move");
	c->action = action;
	return 0;
}

static int set_share(struct command *c, unsigned int key)
{
	const char *name = share_keys[key].name;

	if (!*optarg && !share_keys[key].may_be_empty)
		return refuse(EINVAL, "%s is empty; give a value or leave it out", name);
	c->given |= 1u << key;
	return share_option(&c->request.share, name, share_keys[key].key, optarg);
}

static int set_string(const char **where, const char *name)
{
	if (*where)
		return refuse(EINVAL, "%s is given twice; give it once", name);
	*where = optarg;
	return 0;
}

static int set_count(const char *name, unsigned int max, const char *what, unsigned int *count)
{
	if (*count)
		return refuse(EINVAL, "%s is given twice; give it once", name);
	return parse_count(name, optarg, 1, max, what, count);
}

/* @word is what it was read from, for those that have no name here. */
static int take_option(struct command *c, int opt, const char *word)
{
	struct request *r = &c->request;
	unsigned int i;

	for (i = 0; i < NR(actions); i++)
		if (opt == actions[i].opt)
			return set_action(c, actions[i].action);
	for (i = 0; i < NR(share_keys); i++)
		if (opt == share_keys[i].opt)
			return set_share(c, i);
	for (i = 0; i < NR(excluded); i++)
		if (opt == excluded[i].opt)
			return refuse(EINVAL, "--twinos cannot be combined with %s: %s",
				      excluded[i].name, excluded[i].why);
	switch (opt) {
	case OPT_TWINOS:
	case OPT_KEXEC_SYSCALL:		/* what --twinos implies */
	case OPT_NOCHECKS:		/* nothing is checked at the launch */
	case OPT_NOIFDOWN:
	case OPT_NOSYNC:
		return 0;
	case OPT_DEBUG:
		kexec_debug = 1;
		twinos_debug = true;
		return 0;
	case OPT_TWINOS_ID:
		return set_count("--twinos-id", TWINOS_MAX_ID, "", &r->id);
	case OPT_TWINOS_TIMEOUT:
		return set_count("--twinos-timeout", TIMEOUT_MAX, " of seconds", &c->timeout);
	case OPT_TWINOS_ENTRY:
		c->load_only = "--twinos-entry";
		if (!strcmp(optarg, "direct"))
			r->entry = TWINOS_ENTRY_DIRECT;
		else if (!strcmp(optarg, "bzimage"))
			r->entry = TWINOS_ENTRY_BZIMAGE;
		else
			return refuse(EINVAL, "--twinos-entry=%s is neither direct nor bzimage",
				      optarg);
		return 0;
	case OPT_ENTRY_32BIT:
		c->load_only = "--entry-32bit";
		r->entry_32bit = true;
		return 0;
	case OPT_APPEND:
		c->load_only = "--append";
		return set_string(&c->append, "--append");
	case OPT_RAMDISK:
		c->load_only = "--initrd";
		return set_string(&r->initrd, "--initrd");
	case OPT_REUSE_CMDLINE:
		c->load_only = "--reuse-cmdline";
		c->reuse_command_line = true;
		return 0;
	case OPT_TYPE:
		if (!strcmp(optarg, "bzImage") || !strcmp(optarg, "bzImage64"))
			return 0;
		return refuse(EINVAL, "--twinos cannot be combined with --type=%s: a coexisting OS is a bzImage",
			      optarg);
	default:
		/* The rest concerns upstream's purgatory and firmware tables. */
		return refuse(EINVAL, "%s: --twinos has no use for this option; leave it out, see kexec-twinos(8)",
			      word);
	}
}

/*
 * getopt takes the beginning of an option for it; with ours, "--twinos-s" would
 * stop an OS.
 */
static int check_word(int opt, const char *word)
{
	const struct option *o = all_options;

	if (opt < OPT_TWINOS || opt >= OPT_ARCH_MAX)
		return 0;
	while (o->val != opt)
		o++;
	if (strcspn(word, "=") == strlen(o->name) + 2)
		return 0;
	return refuse(EINVAL, "%s is not written in full; if you mean --%s, say so", word, o->name);
}

/* What goes with an action other than the load; @extra is an argument behind the options. */
static int check_action(const struct command *c, const char *extra)
{
	const bool move = c->action == ACTION_MOVE;
	unsigned int i;

	if (extra)
		return refuse(EINVAL, "%s: a kernel is given only with -l", extra);
	if (c->load_only)
		return refuse(EINVAL, "%s goes only with -l; leave it out", c->load_only);
	for (i = 0; i < NR(share_keys); i++)
		if (c->given & 1u << i && !(move && share_keys[i].opt == OPT_TWINOS_CPUS))
			return refuse(EINVAL, "%s describes what -l loads; leave it out",
				      share_keys[i].name);
	if (c->timeout && c->action != ACTION_STOP)
		return refuse(EINVAL, "--twinos-timeout goes only with --twinos-stop; leave it out");
	if (move && c->request.share.nr_cpus != 1)
		return refuse(EINVAL, "--twinos-move needs one CPU to move to; give --twinos-cpus=CPU, or 0 to share CPU 0 with the running OS");
	return 0;
}

static int check_load(struct command *c, bool twinos, int argc, char **argv)
{
	struct request *r = &c->request;
	char *base;

	if (!twinos)
		return refuse(EINVAL, "options for a coexisting OS need --twinos; give it, or leave them out");
	if (r->entry_32bit && r->entry == TWINOS_ENTRY_DIRECT)
		return refuse(EINVAL, "--entry-32bit cannot be combined with --twinos-entry=direct: the kernel itself has a 64-bit entry only");
	if (c->timeout)
		return refuse(EINVAL, "--twinos-timeout goes only with --twinos-stop; leave it out");
	if (optind >= argc)
		return refuse(EINVAL, "no kernel is given; kexec --twinos -l bzImage");
	if (optind + 1 < argc)
		return refuse(EINVAL, "%s: only one kernel can be given", argv[optind + 1]);
	r->kernel = argv[optind];
	base = c->reuse_command_line ? get_command_line() : NULL;
	c->command_line = concat_cmdline(base, c->append);
	free(base);
	if (!c->command_line)
		c->command_line = calloc(1, 1);
	r->command_line = c->command_line;
	return 0;
}

static int parse_command(int argc, char **argv, struct command *c)
{
	bool twinos = false;
	const char *word;
	int opt, err;

	*c = (struct command){ .action = ACTION_NONE };
	opterr = 0;
	optind = 1;
	while ((opt = getopt_long(argc, argv, short_options, all_options, NULL)) != -1) {
		/* Name what getopt itself has found; it may be one letter of several. */
		if ((opt == '?' || opt == ':') && optopt > ' ' && optopt < 0x7f &&
		    !strchr(short_options, optopt))
			return refuse(EINVAL, "-%c is not an option of kexec; see kexec --help",
				      optopt);
		if (opt == '?' || opt == ':')
			return refuse(EINVAL, "%s is not an option of kexec or lacks its value; see kexec --help",
				      argv[optind - 1]);
		twinos |= opt == OPT_TWINOS;
		/* Its value may be a word of its own. */
		word = argv[optind - 1 - (argv[optind - 1] == optarg)];
		err = check_word(opt, word);
		if (!err)
			err = take_option(c, opt, word);
		if (err == -EINVAL && !*refusal())
			err = refuse(EINVAL, "%s is not understood", argv[optind - 1]);
		if (err)
			return err;
	}
	if (c->action != ACTION_NONE && c->action != ACTION_LOAD)
		return check_action(c, optind < argc ? argv[optind] : NULL);
	c->action = ACTION_LOAD;	/* as upstream */
	return check_load(c, twinos, argc, argv);
}

/* For people; scripts know what they do. */
static void hint(void)
{
	if (isatty(STDERR_FILENO) && !access(roots.conf, F_OK))
		fprintf(stderr, "kexec: what was not said is from %s; twinos start NAME does all of it from /etc/twinos/NAME.conf, see twinos(8)\n",
			roots.conf);
}

static int load(const struct request *r)
{
	uint32_t id;
	int err = load_os(&roots, r, true, &id, stderr);

	if (err)
		return err;
	hint();
	/* Where there are others, the number that it got is needed from now on. */
	if (id > TWINOS_ID_DEFAULT && !r->id)
		printf("loaded as coexisting OS %u\n", id);
	return 0;
}

static int status(uint32_t id, int *exit_status)
{
	static const int values[] = {
		[TWINOS_EMPTY] = 0, [TWINOS_LOADED] = 1, [TWINOS_STARTING] = 2,
		[TWINOS_RUNNING] = 2, [TWINOS_STOPPED] = 3, [TWINOS_CRASHED] = 4,
		[TWINOS_HUNG] = 5,
	};
	enum twinos_state state;
	int err;

	*exit_status = STATUS_UNKNOWN;
	if (!twinos_leading(&roots))
		return refuse(EOPNOTSUPP, "the running kernel is no TwinOS leading OS; boot one built with CONFIG_TWINOS=y");
	err = os_status(&roots, id, &state);
	if (err)
		return err;
	printf("%s\n", state_name(state));
	*exit_status = values[state];
	return 0;
}

static int report(int err)
{
	if (err)
		fprintf(stderr, "kexec: %s\n", refusal());
	return err ? 1 : 0;
}

static int change(const struct command *c)
{
	const uint32_t id = c->request.id;
	int err = check_leading(&roots);

	if (err)
		return err;
	switch (c->action) {
	case ACTION_EXEC:
		return launch_os(&roots, id);
	case ACTION_UNLOAD:
		return unload_os(&roots, id);
	case ACTION_STOP:
		return stop_os(&roots, id, c->timeout ?: TIMEOUT_DEFAULT, stderr);
	case ACTION_KILL:
		return kill_os(&roots, id);
	case ACTION_MOVE:
		return move_os(&roots, id, c->request.share.cpus[0]);
	default:
		return load(&c->request);
	}
}

/** twinos_main() - main() when one of our options is given */
int twinos_main(int argc, char **argv)
{
	struct command c;
	int err, exit_status;

	/* Whatever is wrong with a question, the answer must not look like a state. */
	if (given(argc, argv, OPT_STATUS, OPT_STATUS)) {
		exit_status = STATUS_UNKNOWN;
		err = parse_command(argc, argv, &c);
		report(err ? err : status(c.request.id, &exit_status));
		return exit_status;
	}
	err = parse_command(argc, argv, &c);
	if (!err)
		err = change(&c);
	free(c.command_line);
	return report(err);
}

/** twinos_present() - kexec -e without an ordinary image: is it for us? */
bool twinos_present(void)
{
	return twinos_leading(&roots);
}

/** twinos_exec() - kexec -e for us; returns the exit status once the running OS has control again */
int twinos_exec(void)
{
	return report(change(&(struct command){ .action = ACTION_EXEC }));
}

/**
 * twinos_leave_windows() - nothing of an ordinary image goes into coexisting OSes' memory
 * @info: its list of memory is replaced by one of RAM alone, without the windows
 *
 * The kernel that is loaded could not withhold them otherwise. It is still told that they are
 * memory, from the list as it was.
 */
void twinos_leave_windows(struct kexec_info *info)
{
	static struct booted_windows windows;
	static struct memory_range *left;
	struct ranges ram = { 0 };
	unsigned int i;
	int err = 0;

	if (!twinos_leading(&roots) || read_windows(&roots, &windows))
		return;
	for (i = 0; i < (unsigned int)info->memory_ranges && !err; i++)
		if (info->memory_range[i].type == RANGE_RAM)
			err = add_range(&ram, info->memory_range[i].start,
					info->memory_range[i].end + 1);
	for (i = 0; i < windows.nr && !err; i++) {
		const struct range *window = &windows.booted[i].window;
		const struct range *low = &windows.booted[i].low;

		err = subtract_range(&ram, window->start, range_end(window));
		if (!err)
			err = subtract_range(&ram, low->start, range_end(low));
	}
	if (err)
		die("%s\n", refusal());
	left = xrealloc(left, ram.nr * sizeof(*left));
	for (i = 0; i < ram.nr; i++)
		left[i] = (struct memory_range){
			ram.range[i].start, range_end(&ram.range[i]) - 1, RANGE_RAM,
		};
	info->memory_range = left;
	info->memory_ranges = ram.nr;
	free_ranges(&ram);
}
