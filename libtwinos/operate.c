// SPDX-License-Identifier: GPL-2.0
/*
 * What kexec --twinos and the twinos command do with an OS, from checking to the
 * system call: load, launch, unload, stop, kill, move, start.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include <twinos/control.h>
#include "libtwinos.h"
#include "parameters.h"

#define SLICE_DEFAULT 10000	/* what the kernel gives an OS that is new */
#define WEIGHT_DEFAULT 50

/**
 * load_os() - load an image
 * @may_replace: in place of what is loaded for the same window, and not launched, too
 * @id: which number it got
 * @notes: where to say what was left out
 */
int load_os(const struct roots *roots, const struct request *r, bool may_replace, uint32_t *id,
	    FILE *notes)
{
	static struct loaded l;
	int err, number = 0;

	err = prepare_load(roots, r, twinos_purgatory, twinos_purgatory_end - twinos_purgatory,
			   &l);
	if (!err && !may_replace && !r->id && l.share.share.id)
		err = refuse(EBUSY, "the window at %#" PRIx64 " belongs to coexisting OS %u (loaded); choose another, or unload it (twinos unload %u) first",
			     l.placement.window.start, l.share.share.id, l.share.share.id);
	if (!err)
		number = twinos_kexec_load(l.placement.purgatory.start + PURGATORY_ENTRY,
					   l.nr_segments, l.segment);
	if (number > 0) {
		*id = number;
		announce_os(roots, number);
		if (*l.left_out)
			fprintf(notes, "%s: left out of the command line, since it is about what is not in the share: %s\n",
				twinos_program, l.left_out);
	}
	release(&l);
	return err ? err : number < 0 ? number : 0;
}

/** launch_os() - back when the running OS has control again */
int launch_os(const struct roots *roots, uint32_t id)
{
	struct os os;
	int err = prepare_launch(roots, id, &os);

	if (!err)
		err = twinos_command(roots, TWINOS_REBOOT_LAUNCH, os.id, 0);
	/* It runs, with or without. */
	if (!err && link_terminal(roots, &os))
		fprintf(stderr, "%s: warning: %s\n", twinos_program, refusal());
	return err;
}

int unload_os(const struct roots *roots, uint32_t id)
{
	struct os os;
	char terminal[32];
	int err = prepare_unload(roots, id, &os);

	if (err)
		return err;
	os_terminal(roots, os.id, terminal);
	err = twinos_command(roots, TWINOS_UNLOAD, os.id, 0);
	if (!err)
		unlink_terminal(roots, terminal, NULL);
	return err;
}

/**
 * stop_os() - ask it to shut down, and wait until it has
 * @limit: seconds
 * @progress: where to say that it takes its time
 */
int stop_os(const struct roots *roots, uint32_t id, unsigned int limit, FILE *progress)
{
	struct os os;
	int door, err = prepare_end(roots, id, "stop", &os);

	if (!err)
		err = twinos_command(roots, TWINOS_STOP, os.id, 0);
	if (err)
		return err;
	door = open_door(roots);
	if (door < 0)
		return door;
	/* Somebody who looks on is told at once, a log only if it takes long. */
	err = wait_for_end(roots, &os, limit, door, progress, isatty(fileno(progress)) ? 0 : 2);
	close(door);
	return err;
}

/** kill_os() - end it without asking */
int kill_os(const struct roots *roots, uint32_t id)
{
	struct os os;
	int err = prepare_end(roots, id, "kill", &os);

	if (!err)
		err = twinos_command(roots, TWINOS_KILL, os.id, 0);
	return err ? err : check_back(roots, &os);
}

/** move_os() - to another CPU while it runs; @cpu 0: it shares that one */
int move_os(const struct roots *roots, uint32_t id, uint32_t cpu)
{
	struct os os;
	int err = prepare_move(roots, id, cpu, &os);

	return err ? err : twinos_command(roots, TWINOS_MOVE, os.id, cpu);
}

/** set_number() - slice_us or weight of an OS; -ENOENT, with a refusal, if there is none */
int set_number(const struct roots *roots, uint32_t id, const char *file, unsigned int value)
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), "%s/kernel/twinos/os%u/%s", roots->sys, id, file);
	f = fopen(path, "we");
	if (!f && errno == ENOENT)
		return refuse(ENOENT, "there is no coexisting OS %u on this machine", id);
	if (!f)
		return refuse(EIO, "%s cannot be written: %s%s", path, strerror(errno),
			      errno == EACCES ? "; be root" : "");
	fprintf(f, "%u\n", value);
	if (!fclose(f))
		return 0;
	if (errno == EINVAL || errno == ERANGE)
		return refuse(EINVAL, "the running kernel refuses %u for %s", value, path);
	return refuse(EIO, "%s cannot be written: %s", path, strerror(errno));
}

/* ---- start ---- */

/*
 * The one of that name, which must not run; if there is none, the number that it gets where that
 * has to be known beforehand, else 0.
 */
static int number_of(const struct roots *roots, const struct conf *conf, uint32_t *id)
{
	struct os_list list;
	const struct os *os;
	int err = read_oses(roots, &list);

	if (err)
		return err;
	os = find_named(&list, conf->name);
	*id = os ? os->id : conf->root ? free_id(&list) : 0;
	if (!os || !os_running(os))
		return 0;
	return refuse(EBUSY, "it is %s already, as coexisting OS %u", state_name(os->state),
		      os->id);
}

/* Whoever started us has changed his mind. */
static bool told_to_end(void)
{
	sigset_t pending;

	sigpending(&pending);
	return sigismember(&pending, SIGTERM) || sigismember(&pending, SIGINT) ||
	       sigismember(&pending, SIGHUP);
}

/* Slice and weight that somebody has set for an earlier launch do not count for this one. */
static int launch_loaded(const struct roots *roots, const struct conf *conf, uint32_t id)
{
	int err = set_number(roots, id, "slice_us", conf->slice_us ?: SLICE_DEFAULT);

	if (!err)
		err = set_number(roots, id, "weight", conf->weight ?: WEIGHT_DEFAULT);
	if (!err && told_to_end())
		err = refuse(ECANCELED, "told to end before %s was launched", conf->name);
	return err ? err : launch_os(roots, id);
}

static int load_and_launch(const struct roots *roots, const struct conf *conf, struct os *os,
			   FILE *notes)
{
	struct request request = {
		.kernel = conf->kernel, .initrd = conf->initrd,
		.command_line = conf->append ?: "", .root = conf->root, .name = conf->name,
		.share = conf->share,
	};
	char why[TWINOS_REFUSAL_MAX];
	uint32_t id;
	int err = number_of(roots, conf, &request.id);

	if (!err)
		err = load_os(roots, &request, false, &id, notes);
	if (err)
		return err;
	err = launch_loaded(roots, conf, id);
	if (!err)
		err = read_os(roots, id, os);
	if (!err)
		return 0;
	if (err == -ENOENT)
		refuse(ENOENT, "coexisting OS %u has gone right after its launch", id);
	snprintf(why, sizeof(why), "%s", refusal());
	/* Nothing is left behind; what runs in spite of that is not touched by it. */
	twinos_command(roots, TWINOS_UNLOAD, id, 0);
	return refuse(-err, "%s", why);
}

/**
 * start_os() - load and launch what a file says
 * @os: as it is then
 *
 * One at a time does so, since between load and launch the number could become somebody
 * else's. SIGTERM, SIGINT and SIGHUP wait; one that has come before the launch has it left
 * undone (-ECANCELED).
 */
int start_os(const struct roots *roots, const struct conf *conf, struct os *os, FILE *notes)
{
	sigset_t ending, before;
	uint32_t id;
	int door, err;

	if (!*conf->name)
		return refuse(EINVAL, "%s: an OS is called after its file, and this is no name; see twinos.conf(5)",
			      conf->file);
	err = check_leading(roots);
	if (!err)
		err = number_of(roots, conf, &id);
	if (err)
		return err;
	door = open_door(roots);
	if (door < 0)
		return door;
	sigemptyset(&ending);
	sigaddset(&ending, SIGTERM);
	sigaddset(&ending, SIGINT);
	sigaddset(&ending, SIGHUP);
	sigprocmask(SIG_BLOCK, &ending, &before);
	while (flock(door, LOCK_EX) && errno == EINTR)
		;
	err = load_and_launch(roots, conf, os, notes);
	close(door);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return err;
}
