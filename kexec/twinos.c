// SPDX-License-Identifier: GPL-2.0
/*
 * kexec --twinos as a command: its options among upstream's, the load, the
 * launch, and what upstream's main() asks us. With --twinos everything is done
 * here; without it upstream's code runs as ever, except that kexec -e launches
 * the coexisting OS if no ordinary image is loaded.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include "../kexec.h"
#include <arch/options.h>
#include "twinos.h"
#include "parameters.h"

extern const uint8_t twinos_purgatory[], twinos_purgatory_end[];

static const struct roots roots = { "/proc", "/sys", "/etc/twinos.conf" };

static const struct option all_options[] = {
	KEXEC_ALL_OPTIONS
	{ 0, 0, 0, 0 },
};
static const char short_options[] = KEXEC_ALL_OPT_STR;

/* Exit status of --status, by state; see kexec-twinos(8). */
#define STATUS_UNKNOWN 255

enum action { ACTION_NONE, ACTION_LOAD, ACTION_EXEC, ACTION_UNLOAD, ACTION_STATUS };

struct command {
	enum action action;
	struct request request;
	char *command_line;
};

void twinos_usage(void)
{
	printf("Coexisting OS (see kexec-twinos(8)):\n"
	       "     --twinos              With -l, load a kernel to run beside this one;\n"
	       "                           with -e, -u or -S, launch it, unload it, print its state.\n"
	       "     --mem-min=<addr>, --mem-max=<addr>  Its memory window.\n"
	       "     --twinos-low=<size>@<addr>  Its low-memory slice.\n"
	       "     --twinos-cpus=<list>  Its CPUs (dedicated mode).\n"
	       "     --twinos-pci=<[domain:]bus:device.function>,...  Its PCI functions.\n"
	       "     --twinos-irq=<pin>,...  Its interrupt pins.\n"
	       "     --twinos-id=<number>  Its number (1).\n"
	       "     --twinos-entry=direct|bzimage  Enter the kernel itself (default), or its\n"
	       "                           decompressor (always with --entry-32bit).\n");
}

/** twinos_requested() - is one of ours among the options? Leaves getopt as it was. */
bool twinos_requested(int argc, char **argv)
{
	bool found = false;
	int opt;

	opterr = 0;
	optind = 1;
	while ((opt = getopt_long(argc, argv, short_options, all_options, NULL)) != -1)
		if (opt >= OPT_TWINOS && opt < OPT_ARCH_MAX)
			found = true;
	opterr = 1;
	optind = 1;
	return found;
}

static int refuse_with(const char *option, const char *why)
{
	return refuse(EINVAL, "--twinos cannot be combined with %s: %s", option, why);
}

static int set_action(struct command *c, enum action action)
{
	if (c->action != ACTION_NONE && c->action != action)
		return refuse(EINVAL, "give one of -l, -e, -u and -S with --twinos");
	c->action = action;
	return 0;
}

static int share_option_once(struct share_options *share, bool given, const char *name,
			     const char *key)
{
	if (given)
		return refuse(EINVAL, "%s is given twice", name);
	if (!*optarg)
		return refuse(EINVAL, "%s is empty; give a value or leave it out", name);
	return share_option(share, name, key, optarg);
}

static int set_string(const char **where, const char *name)
{
	if (*where)
		return refuse(EINVAL, "%s is given twice", name);
	*where = optarg;
	return 0;
}

static int take_option(struct command *c, int opt, const char **append, bool *reuse)
{
	struct request *r = &c->request;
	struct share_options *share = &r->share;
	uint64_t number;
	int err;

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
	case OPT_LOAD:
		return set_action(c, ACTION_LOAD);
	case OPT_EXEC:
		return set_action(c, ACTION_EXEC);
	case OPT_UNLOAD:
		return set_action(c, ACTION_UNLOAD);
	case OPT_STATUS:
		return set_action(c, ACTION_STATUS);
	case OPT_MEM_MIN:
		return share_option_once(share, share->has_mem_min, "--mem-min", "mem-min");
	case OPT_MEM_MAX:
		return share_option_once(share, share->has_mem_max, "--mem-max", "mem-max");
	case OPT_TWINOS_LOW:
		return share_option_once(share, share->has_low, "--twinos-low", "low");
	case OPT_TWINOS_CPUS:
		return share_option_once(share, share->has_cpus, "--twinos-cpus", "cpus");
	case OPT_TWINOS_PCI:
		if (share->has_pci)
			return refuse(EINVAL, "--twinos-pci is given twice; give one list");
		return share_option(share, "--twinos-pci", "pci", optarg);
	case OPT_TWINOS_IRQ:
		if (share->has_irq)
			return refuse(EINVAL, "--twinos-irq is given twice; give one list");
		return share_option(share, "--twinos-irq", "irq", optarg);
	case OPT_TWINOS_ID:
		err = parse_number("--twinos-id", optarg, &number);
		if (!err && (!number || number > 64))
			err = refuse(EINVAL, "--twinos-id=%s: give a number from 1 to 64", optarg);
		r->id = number;
		return err;
	case OPT_TWINOS_ENTRY:
		if (!strcmp(optarg, "direct"))
			r->entry = TWINOS_ENTRY_DIRECT;
		else if (!strcmp(optarg, "bzimage"))
			r->entry = TWINOS_ENTRY_BZIMAGE;
		else
			return refuse(EINVAL, "--twinos-entry=%s is neither direct nor bzimage",
				      optarg);
		return 0;
	case OPT_ENTRY_32BIT:
		r->entry_32bit = true;
		return 0;
	case OPT_APPEND:
		return set_string(append, "--append");
	case OPT_RAMDISK:
		return set_string(&r->initrd, "--initrd");
	case OPT_REUSE_CMDLINE:
		*reuse = true;
		return 0;
	case OPT_TYPE:
		if (!strcmp(optarg, "bzImage") || !strcmp(optarg, "bzImage64"))
			return 0;
		return refuse_with("--type", "a coexisting OS is a bzImage");
	case OPT_FORCE:
		return refuse_with("-f", "load with -l, then launch with kexec -e");
	case OPT_PANIC:
		return refuse_with("-p", "a crash kernel is not a coexisting OS");
	case OPT_KEXEC_FILE_SYSCALL:
		return refuse_with("-s", "it needs the kexec_load system call (-c)");
	case OPT_KEXEC_SYSCALL_AUTO:
		return refuse_with("-a", "it needs the kexec_load system call (-c)");
	case OPT_REAL_MODE:
		return refuse_with("--real-mode", "a coexisting OS has no firmware to call");
	case OPT_LOAD_PRESERVE_CONTEXT:
		return refuse_with("--load-preserve-context", "nothing has to be preserved, the running OS goes on");
	case OPT_LOAD_JUMP_BACK_HELPER:
		return refuse_with("--load-jump-back-helper", "the running OS gets control back by itself");
	case OPT_LOAD_LIVE_UPDATE:
	case OPT_EXEC_LIVE_UPDATE:
		return refuse_with("live update", "that is Xen's");
	case OPT_ENTRY:
		return refuse_with("--entry", "the entry is the purgatory's");
	case OPT_REUSE_INITRD:
		return refuse_with("--reuseinitrd", "give --initrd=FILE");
	case '?':
	case ':':
		return refuse(EINVAL, "an option is unknown or lacks its value; see kexec --help");
	default:
		/* The rest concerns upstream's purgatory and firmware tables. */
		return refuse(EINVAL, "an option that --twinos has no use for is given; see kexec-twinos(8)");
	}
}

static int parse_command(int argc, char **argv, struct command *c)
{
	struct request *r = &c->request;
	const char *append = NULL;
	char *base = NULL;
	bool reuse = false, twinos = false;
	int opt, err;

	*c = (struct command){ .request.id = TWINOS_ID_DEFAULT };
	opterr = 0;
	optind = 1;
	while ((opt = getopt_long(argc, argv, short_options, all_options, NULL)) != -1) {
		/* Name what getopt itself has found. */
		if (opt == '?' || opt == ':')
			return refuse(EINVAL, "%s is not an option of kexec or lacks its value; see kexec --help",
				      argv[optind - 1]);
		twinos |= opt == OPT_TWINOS;
		err = take_option(c, opt, &append, &reuse);
		if (err == -EINVAL && !*refusal())
			err = refuse(EINVAL, "%s is not understood", argv[optind - 1]);
		if (err)
			return err;
	}
	if (!twinos)
		return refuse(EINVAL, "options for a coexisting OS need --twinos; give it, or leave them out");
	if (r->entry_32bit && r->entry == TWINOS_ENTRY_DIRECT)
		return refuse(EINVAL, "--entry-32bit cannot be combined with --twinos-entry=direct: the kernel itself has a 64-bit entry only");
	if (c->action == ACTION_NONE)
		c->action = ACTION_LOAD;	/* as upstream */
	if (c->action != ACTION_LOAD) {
		if (optind < argc)
			return refuse(EINVAL, "%s: a kernel is given only with -l", argv[optind]);
		return 0;
	}
	if (optind >= argc)
		return refuse(EINVAL, "no kernel is given; kexec --twinos -l bzImage");
	if (optind + 1 < argc)
		return refuse(EINVAL, "%s: only one kernel can be given", argv[optind + 1]);
	r->kernel = argv[optind];
	if (reuse)
		base = get_command_line();
	c->command_line = concat_cmdline(base, append);
	free(base);
	if (!c->command_line)
		c->command_line = calloc(1, 1);
	r->command_line = c->command_line;
	return 0;
}

/*
 * Only the kernel knows which pins there are, and EINVAL from it is most often
 * one that is not.
 */
static int refuse_pins(const struct twinos_share *share)
{
	char list[8 * TWINOS_MAX_IRQS] = "";
	size_t used = 0;
	uint32_t i;

	for (i = 0; i < share->nr_irqs; i++)
		used += snprintf(list + used, sizeof(list) - used, "%s%u", i ? "," : "",
				 share->irqs[i]);
	return refuse(EINVAL, "the running kernel rejects the share, perhaps there is no interrupt pin among %s; see dmesg",
		      list);
}

static int load(const struct request *r)
{
	enum twinos_state state;
	struct loaded l = { 0 };
	int err;

	err = check_leading(&roots);
	if (!err)
		err = twinos_state(&roots, &state);
	if (err)
		return err;
	if (state == TWINOS_STARTING || state == TWINOS_RUNNING)
		return refuse(EBUSY, "coexisting OS %u is running; stop it (halt in it) before loading another",
			      r->id);
	err = prepare_load(&roots, r, twinos_purgatory, twinos_purgatory_end - twinos_purgatory,
			   &l);
	if (!err)
		err = twinos_kexec_load(l.placement.purgatory.start + PURGATORY_ENTRY,
					l.nr_segments, l.segment);
	if (err == -EINVAL && l.share.share.nr_irqs)
		err = refuse_pins(&l.share.share);
	release(&l);
	return err;
}

static int launch(uint32_t id)
{
	enum twinos_state state;
	int err;

	err = check_leading(&roots);
	if (!err)
		err = twinos_state(&roots, &state);
	if (err)
		return err;
	if (state == TWINOS_STARTING || state == TWINOS_RUNNING)
		return refuse(EBUSY, "coexisting OS %u is running already; wait until it has stopped",
			      id);
	if (state != TWINOS_LOADED)
		return refuse(ENOENT, "nothing is loaded; load a kernel with kexec --twinos -l (or kexec -l) first");
	return twinos_reboot(TWINOS_REBOOT_LAUNCH, id);
}

static int unload(uint32_t id)
{
	int err = check_leading(&roots);

	return err ? err : twinos_reboot(TWINOS_REBOOT_UNLOAD, id);
}

static int status(int *exit_status)
{
	static const char *const names[] = TWINOS_STATE_NAMES;
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
	err = twinos_state(&roots, &state);
	if (err)
		return err;
	printf("%s\n", names[state]);
	*exit_status = values[state];
	return 0;
}

static int report(int err)
{
	if (err)
		fprintf(stderr, "kexec: %s\n", refusal());
	return err ? 1 : 0;
}

/** twinos_main() - main() when --twinos is given */
int twinos_main(int argc, char **argv)
{
	struct command c;
	int err, exit_status;

	err = parse_command(argc, argv, &c);
	if (err)
		return report(err);
	switch (c.action) {
	case ACTION_EXEC:
		return report(launch(c.request.id));
	case ACTION_UNLOAD:
		return report(unload(c.request.id));
	case ACTION_STATUS:
		err = status(&exit_status);
		report(err);
		return exit_status;
	default:
		err = load(&c.request);
		free(c.command_line);
		return report(err);
	}
}

/** twinos_present() - kexec -e without an ordinary image: is it for us? */
bool twinos_present(void)
{
	return twinos_leading(&roots);
}

/** twinos_exec() - kexec -e; returns the exit status once the running OS has control again */
int twinos_exec(void)
{
	return report(launch(TWINOS_ID_DEFAULT));
}
