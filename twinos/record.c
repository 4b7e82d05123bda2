// SPDX-License-Identifier: GPL-2.0
/*
 * Records the kernel's trace events in an instance of tracefs of this process's own, so that
 * nobody else's tracing is disturbed, and removes it whatever happens.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "common.h"
#include "trace.h"

#define NS		1000000000ull
#define BUFFER_MIN	1024		/* KiB of CPU 0, which switches; a second of busy switching */
#define BUFFER_MAX	16384

static char instance[320];		/* "" while there is none */

static void remove_instance(void)
{
	if (*instance && rmdir(instance))
		fprintf(stderr, "twinos: %s cannot be removed: %s\n", instance, strerror(errno));
	*instance = 0;
}

static int write_setting(const char *name, const char *value)
{
	char path[420];
	int fd, err = 0;

	snprintf(path, sizeof(path), "%s/%s", instance, name);
	fd = open(path, O_WRONLY | O_CLOEXEC | O_TRUNC);
	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		err = -errno;
	close(fd);
	return err;
}

static void need_setting(const char *name, const char *value)
{
	int err = write_setting(name, value);

	if (err)
		die(EXIT_SYSTEM, "%s/%s: %s", instance, name, strerror(-err));
}

/* One that is there already is of a process that had our number and was killed: it is ours now. */
static void make_instance(void)
{
	char folder[300];

	snprintf(folder, sizeof(folder), "%s/kernel/tracing/instances", roots.sys);
	if (access(folder, F_OK) && errno == EACCES)
		die(EXIT_SYSTEM, "%s: %s; be root", folder, strerror(errno));
	if (access(folder, F_OK))
		die(EXIT_REFUSED, "%s is not there: mount tracefs (mount -t tracefs tracefs /sys/kernel/tracing); a kernel without CONFIG_FTRACE has none",
		    folder);
	snprintf(instance, sizeof(instance), "%s/twinos-%ld", folder, (long)getpid());
	if (mkdir(instance, 0700) && errno != EEXIST)
		die(EXIT_SYSTEM, "%s cannot be made: %s%s", instance, strerror(errno),
		    errno == EACCES || errno == EPERM ? "; be root" : "");
	atexit(remove_instance);
}

static void set_up(double seconds)
{
	double room = seconds * BUFFER_MIN;
	char text[24];
	int err;

	if (room < BUFFER_MIN)
		room = BUFFER_MIN;
	if (room > BUFFER_MAX)
		room = BUFFER_MAX;
	snprintf(text, sizeof(text), "%.0f\n", room);
	/* With less, more is lost, and that is told. */
	write_setting("per_cpu/cpu0/buffer_size_kb", text);
	/* The clock of CLOCK_MONOTONIC: when it began and ended is known in its terms. */
	need_setting("trace_clock", "mono\n");
	/* One kind is enabled after the other, which takes a while: all begin at once. */
	need_setting("tracing_on", "0\n");
	err = write_setting("events/twinos/enable", "1\n");
	if (err == -ENOENT)
		die(EXIT_REFUSED, "the running kernel has no trace events of TwinOS; it needs CONFIG_FTRACE, and the version that this command is of");
	if (err)
		die(EXIT_SYSTEM, "%s/events/twinos/enable: %s", instance, strerror(-err));
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS + t.tv_nsec;
}

/* Returns a signal that came meanwhile, or 0. */
static int sleep_until(uint64_t end, const sigset_t *signals)
{
	struct timespec left;
	uint64_t t;
	int signal;

	while ((t = now()) < end) {
		left = (struct timespec){ (end - t) / NS, (end - t) % NS };
		signal = sigtimedwait(signals, NULL, &left);
		if (signal > 0)
			return signal;
	}
	return 0;
}

static char *read_trace(size_t *size)
{
	char path[420], *text;
	int err;

	snprintf(path, sizeof(path), "%s/trace", instance);
	err = read_file(path, &text, size);
	if (err)
		die(EXIT_SYSTEM, "%s: %s", path, strerror(-err));
	return text;
}

/* Those that would end this process: not the ones that it was started to ignore, as by nohup. */
static void ending_signals(sigset_t *set)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction action;
	unsigned int i;

	sigemptyset(set);
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (!sigaction(signals[i], NULL, &action) && action.sa_handler != SIG_IGN)
			sigaddset(set, signals[i]);
}

/**
 * record_trace() - what the file "trace" said after so many seconds; to be freed
 * @start, @end: nanoseconds of the clock that the events have
 *
 * A signal that would end the process ends it when the instance is removed.
 */
char *record_trace(double seconds, uint64_t *start, uint64_t *end, size_t *size)
{
	sigset_t signals, before;
	char *text = NULL;
	int signal;

	ending_signals(&signals);
	sigprocmask(SIG_BLOCK, &signals, &before);
	make_instance();
	set_up(seconds);
	*start = now();
	need_setting("tracing_on", "1\n");
	signal = sleep_until(*start + (uint64_t)(seconds * NS), &signals);
	*end = now();
	need_setting("tracing_on", "0\n");
	if (!signal)
		text = read_trace(size);
	remove_instance();
	if (signal)
		raise(signal);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return text;
}
