// SPDX-License-Identifier: GPL-2.0
/*
 * What can be done with a coexisting OS that is loaded or runs: launch, unload,
 * stop, kill, move, state. Each function finds out which OS is meant and checks
 * what can be known before the system call, which operate.c makes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "libtwinos.h"

#define LOADED STATE(TWINOS_LOADED)
#define RUNNING (STATE(TWINOS_STARTING) | STATE(TWINOS_RUNNING))
#define ENDED (STATE(TWINOS_STOPPED) | STATE(TWINOS_CRASHED) | STATE(TWINOS_HUNG))

/* Only one OS at a time can share the CPU of the leading one. */
static int check_shared_cpu(const struct os_list *list)
{
	const struct os *os;

	for (os = list->os; os < list->os + list->nr; os++)
		if (os_running(os) && os->mode == TWINOS_TIME_SHARED)
			return refuse(EBUSY, "coexisting OS %u shares CPU 0 already, and only one can; stop it (twinos stop %u), or move it to a CPU of its own (twinos move %u CPU)",
				      os->id, os->id, os->id);
	return 0;
}

static int refuse_running(uint32_t id)
{
	return refuse(EBUSY, "coexisting OS %u is running already; wait until it has stopped, or stop it (twinos stop %u)",
		      id, id);
}

/**
 * prepare_launch() - kexec --twinos -e
 * @id: what the user said, 0 for the only one that is loaded
 * @os: which it is
 */
int prepare_launch(const struct roots *roots, uint32_t id, struct os *os)
{
	char numbers[TWINOS_MAX_ID * 4];
	struct os_list list;
	int err;

	err = read_oses(roots, &list);
	if (!err)
		err = choose_os(&list, id, LOADED, "launch", os);
	if (err == -ENOENT && id && os_running(os))
		return refuse_running(id);
	if (err == -ENOENT && id) {
		os_numbers(&list, LOADED, numbers, sizeof(numbers));
		return refuse(ENOENT, "nothing is loaded as coexisting OS %u (loaded: %s); load it with kexec --twinos --twinos-id=%u -l first",
			      id, numbers, id);
	}
	if (err == -ENOENT && os_numbers(&list, RUNNING, numbers, sizeof(numbers)))
		return refuse(ENOENT, "nothing is loaded (running already: %s); load a kernel with kexec --twinos -l (or kexec -l) first",
			      numbers);
	if (err == -ENOENT)
		return refuse(ENOENT, "nothing is loaded; load a kernel with kexec --twinos -l (or kexec -l) first");
	if (err)
		return err;
	if (!os->nr_cpus) {
		err = check_shared_cpu(&list);
		if (err)
			return err;
	}
	err = check_cpus(roots, os->cpus, os->nr_cpus, &list, os->id);
	/* Another launch of it may have them since. Then its state has changed before. */
	if (err && !read_oses(roots, &list) && find_os(&list, os->id) &&
	    os_running(find_os(&list, os->id)))
		return refuse_running(os->id);
	return err;
}

/** prepare_unload() - kexec -u; also for what an OS that has ended still has */
int prepare_unload(const struct roots *roots, uint32_t id, struct os *os)
{
	char numbers[TWINOS_MAX_ID * 4];
	struct os_list list;
	int err;

	err = read_oses(roots, &list);
	if (err)
		return err;
	err = choose_os(&list, id, LOADED, "unload", os);
	if (err == -ENOENT)
		err = choose_os(&list, id, ENDED, "unload", os);
	if (err != -ENOENT)
		return err;
	if (id && os_running(os))
		return refuse(EBUSY, "coexisting OS %u is running; stop it first (twinos stop %u)",
			      id, id);
	if (id)
		return refuse(ENOENT, "nothing is loaded as coexisting OS %u; there is nothing to unload",
			      id);
	if (os_numbers(&list, RUNNING, numbers, sizeof(numbers)))
		return refuse(ENOENT, "nothing is loaded (running: %s); there is nothing to unload",
			      numbers);
	return refuse(ENOENT, "nothing is loaded; there is nothing to unload");
}

static int choose_running(const struct os_list *list, uint32_t id, unsigned int states,
			  const char *verb, struct os *os)
{
	char numbers[TWINOS_MAX_ID * 4];
	int err;

	err = choose_os(list, id, states, verb, os);
	if (err != -ENOENT)
		return err;
	if (!id)
		return refuse(ESRCH, "no coexisting OS is running; there is nothing to %s", verb);
	os_numbers(list, states, numbers, sizeof(numbers));
	return refuse(ESRCH, "coexisting OS %u is not running but %s (running: %s); there is nothing to %s",
		      id, state_name(os->state), numbers, verb);
}

/** prepare_end() - --twinos-stop and --twinos-kill; @verb says which */
int prepare_end(const struct roots *roots, uint32_t id, const char *verb, struct os *os)
{
	struct os_list list;
	int err = read_oses(roots, &list);

	return err ? err : choose_running(&list, id, RUNNING, verb, os);
}

/**
 * prepare_move() - --twinos-move
 * @cpu: where to, 0 for sharing the leading OS's
 */
int prepare_move(const struct roots *roots, uint32_t id, uint32_t cpu, struct os *os)
{
	struct os_list list;
	int err;

	err = read_oses(roots, &list);
	if (!err)
		err = choose_running(&list, id, STATE(TWINOS_RUNNING), "move", os);
	if (err)
		return err;
	if (os->nr_cpus > 1)
		return refuse(EOPNOTSUPP, "coexisting OS %u has %u CPUs; only one with a single CPU can be moved",
			      os->id, os->nr_cpus);
	if (cpu ? os->nr_cpus && os->cpus[0] == cpu : !os->nr_cpus)
		return refuse(EINVAL, "coexisting OS %u is on CPU %u already; there is nothing to move",
			      os->id, cpu);
	return cpu ? check_cpus(roots, &cpu, 1, &list, os->id) : check_shared_cpu(&list);
}

/** os_status() - -S: the only OS that there is, if the user names none */
int os_status(const struct roots *roots, uint32_t id, enum twinos_state *state)
{
	struct os_list list;
	struct os os;
	int err;

	err = read_oses(roots, &list);
	if (!err)
		err = choose_os(&list, id, ~STATE(TWINOS_EMPTY), "ask for", &os);
	if (err && err != -ENOENT)
		return err;
	*state = err ? TWINOS_EMPTY : os.state;
	return 0;
}

double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/** settled() - has the kernel dealt with the end? It tells the reason from then on */
bool settled(const struct roots *roots, const struct os *os)
{
	char *reason;
	bool told;

	/* Unloaded, or loaded again already. */
	if (!os || os->state == TWINOS_EMPTY || os->state == TWINOS_LOADED)
		return true;
	if (os_running(os))
		return false;
	if (read_os_file(roots, os->id, "reason", &reason, NULL))
		return false;
	told = *reason && *reason != '\n';
	free(reason);
	return told;
}

/** check_back() - are all CPUs back that an OS had before it ended? */
int check_back(const struct roots *roots, const struct os *os)
{
	struct os_list list;
	int err, cpu;

	err = read_oses(roots, &list);
	if (err)
		return err;
	cpu = missing_cpu(roots, os, &list);
	if (cpu < 0)
		return 0;
	return refuse(EIO, "coexisting OS %u has ended, but its CPU %d is not back online; see dmesg, then try echo 1 >/sys/devices/system/cpu/cpu%d/online",
		      os->id, cpu, cpu);
}

/**
 * wait_for_end() - until an OS that was asked to shut down has done it
 * @os: as it was before, so that its CPUs are known
 * @limit: seconds
 * @door: /dev/twinos/control, which tells when a state has changed
 * @progress: where to say that it takes its time
 * @patience: seconds until it says so first; then every ten seconds
 */
int wait_for_end(const struct roots *roots, const struct os *os, unsigned int limit,
		 int door, FILE *progress, unsigned int patience)
{
	const double start = seconds_now();
	double spent, say = patience;
	struct os_list list;
	const struct os *now;
	int err;

	for (;;) {
		spent = seconds_now() - start;
		err = read_oses(roots, &list);
		if (err)
			return err;
		now = find_os(&list, os->id);
		if (settled(roots, now))
			break;
		if (spent >= limit)
			return refuse(ETIMEDOUT, "coexisting OS %u has not shut down within %u s and goes on; end it with twinos kill %u",
				      os->id, limit, os->id);
		if (spent >= say) {
			fprintf(progress, "%s: waiting for coexisting OS %u to shut down, %.0f s at most\n",
				twinos_program, os->id, limit - spent);
			fflush(progress);
			say = spent + 10;
		}
		err = await_news(door, (say < limit ? say : limit) - spent);
		if (err)
			return err;
	}
	if (now && (now->state == TWINOS_CRASHED || now->state == TWINOS_HUNG))
		fprintf(progress, "%s: coexisting OS %u has ended, but %s while it shut down; see twinos status\n",
			twinos_program, os->id, state_name(now->state));
	return check_back(roots, os);
}
