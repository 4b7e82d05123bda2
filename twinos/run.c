// SPDX-License-Identifier: GPL-2.0
/*
 * twinos run: an OS in the foreground, as a supervisor wants a service: it is started, its
 * console is passed on to standard output, it is asked to shut down when we are, and its
 * end is ours. What the supervisor is told is in sd_notify(3).
 *
 * Between the events that matter nothing wakes this process but the supervisor's watchdog.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <twinos/control.h>
#include "common.h"
#include "lines.h"
#include "notify.h"
#include "operate.h"
#include "text.h"

/* Exit statuses, besides those that all commands have. */
#define EXIT_CRASHED	4
#define EXIT_HUNG	5
#define EXIT_REBOOT	6

#define NEVER		1e18
/* What killing it and the rest may take, beyond the limit for its shutdown. */
#define STOP_MARGIN	30
/* How soon the watchdog is fed again when a hung OS goes on after all. */
#define RECOVERED_WITHIN 1

struct run {
	const char *name;
	struct conf conf;
	struct os os;			/* as it was seen last */
	struct console console;
	struct lines lines;
	int door, signals;
	bool ready;
	unsigned int asked;		/* how often we have been told to stop */
	bool limit_over;		/* it was killed since it did not shut down */
	bool no_life;			/* it was killed since it seemed hung */
	double kill_at;			/* seconds_now() */
	double watchdog, feed_at;	/* its interval, 0 for none */
	bool starved;			/* the watchdog was due and was not fed */
	bool silent;			/* standard output is of no use any more */
};

/* To people and to the supervisor alike. */
__attribute__((format(printf, 2, 3)))
static void tell(const struct run *r, const char *format, ...)
{
	char text[TWINOS_REFUSAL_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fprintf(stderr, "twinos: %s: %s\n", r->name, text);
	notify("STATUS=%s\n", text);
}

/* With what libtwinos has noted. */
__attribute__((noreturn))
static void give_up(const struct run *r, int err)
{
	tell(r, "%s", refusal());
	exit(err == -EIO ? EXIT_SYSTEM : EXIT_REFUSED);
}

/* Signals wait until they are read, from here on. */
static void take_signals(struct run *r)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGABRT);	/* of the supervisor's watchdog */
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	r->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (r->signals < 0)
		die(EXIT_SYSTEM, "signals cannot be read: %s", strerror(errno));
}

/* ---- the console ---- */

static void pass_on(struct run *r, bool all)
{
	int err;

	if (r->silent)
		return;
	err = pass_console(&r->console, &r->lines, r->name);
	if (err)
		fprintf(stderr, "twinos: %s: %s\n", r->name, refusal());
	if (all || (r->lines.size && seconds_now() >= r->lines.since + LINES_PATIENCE))
		flush_lines(&r->lines);
	if (!ferror(stdout))
		return;
	/* Its console is no reason to give up the OS. */
	tell(r, "its console cannot be passed on, standard output: %s", strerror(errno));
	r->silent = true;
	r->lines.size = 0;
}

/* ---- the watchdog ---- */

static void feed(struct run *r)
{
	double next = r->watchdog / 2;

	if (!r->watchdog || seconds_now() < r->feed_at)
		return;
	if (shown_state(&r->os) != TWINOS_HUNG) {
		if (r->starved)
			tell(r, "gives signs of life again");
		r->starved = false;
		notify("WATCHDOG=1\n");
	} else {
		if (!r->starved)
			tell(r, "no sign of life for %.0f s; the watchdog is not fed",
			     r->os.hung_for);
		r->starved = true;
		/* It may come back before the supervisor loses patience. */
		next = next < RECOVERED_WITHIN ? next : RECOVERED_WITHIN;
	}
	r->feed_at = seconds_now() + next;
}

/* ---- stopping ---- */

static void kill_it(struct run *r)
{
	int err;

	r->kill_at = NEVER;
	err = kill_os(&roots, r->os.id);
	if (err && err != -ESRCH)
		tell(r, "%s", refusal());
}

static void ask(struct run *r)
{
	int err;

	r->kill_at = seconds_now() + r->conf.stop_limit;
	notify("STOPPING=1\nEXTEND_TIMEOUT_USEC=%llu\n",
	       (r->conf.stop_limit + STOP_MARGIN) * 1000000ull);
	tell(r, "asked to shut down, %u s at most", r->conf.stop_limit);
	err = twinos_command(&roots, TWINOS_STOP, r->os.id, 0);
	if (err && err != -ESRCH)
		tell(r, "%s", refusal());
}

static void take_signal(struct run *r)
{
	struct signalfd_siginfo info;

	while (read(r->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGABRT) {
			tell(r, "the supervisor takes it for hung; killing it");
			r->no_life = true;
			kill_it(r);
		} else if (!r->asked++) {
			ask(r);
		} else {
			tell(r, "told to stop again; killing it");
			kill_it(r);
		}
	}
}

static void check_limit(struct run *r)
{
	if (seconds_now() < r->kill_at)
		return;
	tell(r, "has not shut down within %u s; killing it", r->conf.stop_limit);
	r->limit_over = true;
	kill_it(r);
}

/* ---- the end ---- */

static int end_status(const struct run *r, const char *reason)
{
	switch (r->os.state) {
	case TWINOS_CRASHED:
		return EXIT_CRASHED;
	case TWINOS_HUNG:
		return EXIT_HUNG;
	default:
		break;
	}
	if (!strcmp(reason, "killed"))
		return r->limit_over || r->no_life ? EXIT_HUNG : 0;
	/* One that has been told to stop is not to be started again, whatever it says. */
	if (!strcmp(reason, "reboot") || !strcmp(reason, "kexec"))
		return r->asked ? 0 : EXIT_REBOOT;
	return !strcmp(reason, "halt") || !strcmp(reason, "power-off") ? 0 : EXIT_CRASHED;
}

static int finish(struct run *r)
{
	char *reason = NULL, *shown;
	int status;

	pass_on(r, true);
	if (read_os_file(&roots, r->os.id, "reason", &reason, NULL))
		reason = strdup("");
	reason[strcspn(reason, "\n")] = 0;
	status = end_status(r, reason);
	shown = visible_text(reason, strlen(reason));
	tell(r, "%s: %s", end_verb(r->os.state), shown);
	if (check_back(&roots, &r->os))
		fprintf(stderr, "twinos: %s: %s\n", r->name, refusal());
	free(shown);
	free(reason);
	return status;
}

/* Looks at the OS; false when it has ended, with the exit status. */
static bool goes_on(struct run *r, int *status)
{
	struct os now;
	int err = read_launched(&r->os, &now);

	if (err == -ENOENT) {
		pass_on(r, true);
		tell(r, "was unloaded or replaced by somebody else");
		*status = 0;
		return false;
	}
	if (err)
		give_up(r, err);
	/* Which CPUs it had is gone from its share when it has ended. */
	if (os_running(&now) || now.state != r->os.state) {
		r->os.state = now.state;
		r->os.mode = now.mode;
	}
	if (os_running(&now))
		r->os = now;
	if (now.state == TWINOS_RUNNING && !r->ready) {
		r->ready = true;
		r->feed_at = 0;
		notify("READY=1\nSTATUS=running as coexisting OS %u, %s\n", now.id,
		       mode_name(now.mode));
	}
	if (os_running(&now) || !settled(&roots, &now))
		return true;
	*status = finish(r);
	return false;
}

/* When something has to be done that nobody wakes us for. */
static int next_time(const struct run *r)
{
	double next = r->kill_at, left;

	if (r->watchdog && r->feed_at < next)
		next = r->feed_at;
	if (r->lines.size && r->lines.since + LINES_PATIENCE < next)
		next = r->lines.since + LINES_PATIENCE;
	if (next == NEVER)
		return -1;
	left = next - seconds_now();
	return left > 0 ? (int)(left * 1000 + 1) : 0;
}

static int follow(struct run *r)
{
	struct pollfd fds[] = {
		{ .fd = r->door, .events = POLLIN },
		{ .fd = r->signals, .events = POLLIN },
	};
	int status, err;

	for (;;) {
		pass_on(r, false);
		if (!goes_on(r, &status))
			return status;
		check_limit(r);
		feed(r);
		if (poll(fds, 2, next_time(r)) < 0 && errno != EINTR)
			die(EXIT_SYSTEM, "waiting failed: %s", strerror(errno));
		if (fds[1].revents & POLLIN)
			take_signal(r);
		err = fds[0].revents & POLLIN ? await_news(r->door, 0) : 0;
		if (err)
			give_up(r, -EIO);
	}
}

int run_run(const struct options *options)
{
	struct run r = { .name = options->words[0], .kill_at = NEVER };
	int err, status;

	take_signals(&r);
	err = read_conf(&roots, r.name, &r.conf, NULL, NULL);
	if (err)
		give_up(&r, err);
	r.watchdog = watchdog_seconds();
	notify("STATUS=loading\n");
	err = start_os(&roots, &r.conf, &r.os, stderr);
	if (err == -ECANCELED) {
		tell(&r, "%s", refusal());
		return 0;
	}
	if (err)
		give_up(&r, err);
	r.door = open_door(&roots);
	if (r.door < 0)
		give_up(&r, r.door);
	r.name = r.conf.name;
	r.console.id = r.os.id;
	tell(&r, "launched as coexisting OS %u", r.os.id);
	status = follow(&r);
	free(r.lines.text);
	free_conf(&r.conf);
	close(r.signals);
	close(r.door);
	return status;
}
