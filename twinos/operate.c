// SPDX-License-Identifier: GPL-2.0
/*
 * twinos start, stop, kill, restart, unload and move: what changes an OS as a whole. What
 * they do is libtwinos's; here is which OSes are meant, and waiting.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common.h"
#include "operate.h"
#include "text.h"

#define LAST_LINES 10

/*
 * Each OS in a process of its own, so that they wait at the same time and none holds up
 * another. Returns the worst status.
 */
static int each(const char *const *names, unsigned int nr,
		int (*run)(const char *name, const struct options *options),
		const struct options *options)
{
	int status, worst = 0;
	unsigned int i;
	pid_t child;

	if (nr == 1)
		return run(names[0], options);
	fflush(stdout);
	for (i = 0; i < nr; i++) {
		child = fork();
		if (child < 0)
			die(EXIT_SYSTEM, "no process can be started: %s", strerror(errno));
		if (!child)
			exit(run(names[i], options));
	}
	while (nr--) {
		if (wait(&status) < 0)
			die(EXIT_SYSTEM, "waiting failed: %s", strerror(errno));
		status = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_SYSTEM;
		if (status > worst)
			worst = status;
	}
	return worst;
}

/* End with what libtwinos has noted about one of several. */
__attribute__((noreturn))
static void fail_for(const char *name, int err)
{
	die(err == -EIO ? EXIT_SYSTEM : EXIT_REFUSED, "%s: %s", name, refusal());
}

static void need_names(const struct options *options, const char *command, bool all)
{
	if (GIVEN(options, ALL) ? options->nr_words : !options->nr_words)
		die(EXIT_USAGE, all ? "%s needs names, or --all; see twinos --help" :
				      "%s needs names; see twinos --help", command);
}

/* ---- start ---- */

/** show_last_lines() - of its console, for who wants to know why it has ended */
void show_last_lines(const char *name, uint32_t id)
{
	unsigned int lines = LAST_LINES;
	char *text, *shown, *from;
	size_t size;

	if (read_os_file(&roots, id, "log", &text, &size))
		return;
	while (size && text[size - 1] == '\n')
		size--;
	for (from = text + size; from > text; from--)
		if (from[-1] == '\n' && !--lines)
			break;
	shown = visible_text(from, text + size - from);
	if (*shown)
		fprintf(stderr, "twinos: %s: the last lines of its console:\n%s\n", name, shown);
	free(shown);
	free(text);
}

/** read_launched() - the OS that was launched as @launched; -ENOENT if it is another's now */
int read_launched(const struct os *launched, struct os *now)
{
	int err = read_os(&roots, launched->id, now);

	if (!err && (now->state == TWINOS_EMPTY || now->state == TWINOS_LOADED ||
		     strcmp(now->name, launched->name)))
		err = -ENOENT;
	return err;
}

__attribute__((noreturn))
static void die_early(const char *name, const struct os *os)
{
	char *reason = NULL, *shown;

	if (read_os_file(&roots, os->id, "reason", &reason, NULL))
		reason = NULL;
	if (reason)
		reason[strcspn(reason, "\n")] = 0;
	show_last_lines(name, os->id);
	shown = visible_text(reason ?: "", strlen(reason ?: ""));
	die(EXIT_REFUSED, "%s: it %s before its first process ran: %s", name, end_verb(os->state),
	    *shown ? shown : "no reason is known");
}

static int await_running(const char *name, const struct os *launched, double limit)
{
	const double start = seconds_now();
	double spent, say = isatty(STDERR_FILENO) ? 0 : 2;
	int door = open_door(&roots), err;
	struct os os;

	if (door < 0)
		fail_for(name, door);
	for (;;) {
		spent = seconds_now() - start;
		err = read_launched(launched, &os);
		if (err == -ENOENT)
			die(EXIT_REFUSED, "%s: it was unloaded or replaced before its first process ran",
			    name);
		if (err)
			fail_for(name, err);
		if (os.state == TWINOS_RUNNING)
			break;
		if (!os_running(&os) && settled(&roots, &os))
			die_early(name, &os);
		if (limit && spent >= limit)
			die(EXIT_REFUSED, "%s: its first process has not begun within %.0f s; it goes on as coexisting OS %u, see twinos log %s",
			    name, limit, os.id, name);
		if (spent >= say) {
			fprintf(stderr, "twinos: %s: launched as coexisting OS %u, waiting for its first process (%.0f s)\n",
				name, os.id, spent);
			say = spent + 10;
		}
		err = await_news(door, (limit && limit < say ? limit : say) - spent);
		if (err)
			fail_for(name, err);
	}
	close(door);
	printf("%s: running as coexisting OS %u\n", name, os.id);
	return 0;
}

static int start_conf(const struct conf *conf, const struct options *options)
{
	struct os os;
	int err = start_os(&roots, conf, &os, stderr);

	if (err)
		fail_for(conf->name, err);
	return await_running(conf->name, &os, options->timeout);
}

static void load_conf(const char *name, struct conf *conf)
{
	int err = read_conf(&roots, name, conf, NULL, NULL);

	if (err)
		fail_for(name, err);
}

static int start_one(const char *name, const struct options *options)
{
	struct conf conf;
	int status;

	load_conf(name, &conf);
	status = start_conf(&conf, options);
	free_conf(&conf);
	return status;
}

static bool runs(const char *name)
{
	struct os os;

	return !find_os_by(name, &os) && os_running(&os);
}

/* Those with autostart = yes that do not run; one that cannot be read is worth a status. */
static int start_all(const struct options *options)
{
	struct conf_names names;
	const char **start;
	unsigned int i, nr = 0;
	struct conf conf;
	int status = 0, err;

	err = list_confs(&roots, &names);
	if (err)
		fail(err);
	start = calloc(names.nr + 1, sizeof(*start));
	for (i = 0; start && i < names.nr; i++) {
		err = read_conf(&roots, names.name[i], &conf, NULL, NULL);
		if (err) {
			fprintf(stderr, "twinos: %s: %s\n", names.name[i], refusal());
			status = EXIT_REFUSED;
		} else if (conf.autostart && !runs(names.name[i])) {
			start[nr++] = names.name[i];
		}
		free_conf(&conf);
	}
	if (start && nr) {
		err = each(start, nr, start_one, options);
		status = err > status ? err : status;
	}
	free(start);
	free_conf_names(&names);
	return status;
}

int run_start(const struct options *options)
{
	need_names(options, "start", true);
	if (GIVEN(options, ALL))
		return start_all(options);
	return each(options->words, options->nr_words, start_one, options);
}

/* ---- stop, kill, unload ---- */

/* The limit that was said, or that of the OS's file, if it has one that can be read. */
static unsigned int stop_limit(const struct os *os, const struct options *options)
{
	unsigned int limit = CONF_STOP_LIMIT_DEFAULT;
	struct conf conf;

	if (options->limit)
		return options->limit;
	if (*os->name) {
		if (!read_conf(&roots, os->name, &conf, NULL, NULL))
			limit = conf.stop_limit;
		free_conf(&conf);
	}
	return limit;
}

/* What there is nothing to do for is no failure for who wants it quiet. */
static bool nothing_to_do(int err, const struct options *options)
{
	return GIVEN(options, QUIET) && (err == -ESRCH || err == -ENOENT);
}

/* False if there is none, and that is as good. */
static bool find_one(const char *name, const struct options *options, struct os *os)
{
	int err;

	check_os_text("NAME", name);
	err = find_os_by(name, os);
	if (nothing_to_do(err, options))
		return false;
	if (err)
		fail(err);
	err = check_leading(&roots);
	if (err)
		fail(err);
	return true;
}

static int finish(const char *name, int err, const struct options *options)
{
	if (err && !nothing_to_do(err, options))
		fail_for(name, err);
	return 0;
}

static int stop_one(const char *name, const struct options *options)
{
	struct os os;

	if (!find_one(name, options, &os))
		return 0;
	return finish(name, stop_os(&roots, os.id, stop_limit(&os, options), stderr), options);
}

static int kill_one(const char *name, const struct options *options)
{
	struct os os;

	return find_one(name, options, &os) ? finish(name, kill_os(&roots, os.id), options) : 0;
}

static int unload_one(const char *name, const struct options *options)
{
	struct os os;

	return find_one(name, options, &os) ? finish(name, unload_os(&roots, os.id), options) : 0;
}

static int stop_all(const struct options *options)
{
	char numbers[TWINOS_MAX_ID][4];
	const char *running[TWINOS_MAX_ID];
	unsigned int i, nr = 0;
	struct os_list list;
	int err;

	need_leading();
	err = read_oses(&roots, &list);
	if (err)
		fail(err);
	for (i = 0; i < list.nr; i++) {
		if (!os_running(&list.os[i]))
			continue;
		snprintf(numbers[nr], sizeof(numbers[nr]), "%u", list.os[i].id);
		running[nr] = *list.os[i].name ? list.os[i].name : numbers[nr];
		nr++;
	}
	return nr ? each(running, nr, stop_one, options) : 0;
}

int run_stop(const struct options *options)
{
	need_names(options, "stop", true);
	need_leading();
	if (GIVEN(options, ALL))
		return stop_all(options);
	return each(options->words, options->nr_words, stop_one, options);
}

int run_kill(const struct options *options)
{
	need_names(options, "kill", false);
	need_leading();
	return each(options->words, options->nr_words, kill_one, options);
}

int run_unload(const struct options *options)
{
	need_names(options, "unload", false);
	need_leading();
	return each(options->words, options->nr_words, unload_one, options);
}

/* ---- restart ---- */

/* What would not start again is not stopped. */
static int restart_one(const char *name, const struct options *options)
{
	struct conf conf;
	struct os os;
	int status, err;

	load_conf(name, &conf);
	err = check_leading(&roots);
	if (err)
		fail_for(name, err);
	err = find_os_by(name, &os);
	if (!err && os_running(&os))
		err = stop_os(&roots, os.id, stop_limit(&os, options), stderr);
	if (err && err != -ENOENT && err != -ESRCH)
		fail_for(name, err);
	status = start_conf(&conf, options);
	free_conf(&conf);
	return status;
}

int run_restart(const struct options *options)
{
	need_names(options, "restart", false);
	return each(options->words, options->nr_words, restart_one, options);
}

/* ---- move ---- */

int run_move(const struct options *options)
{
	unsigned int cpu;
	struct os os;
	int err;

	if (parse_count("CPU", options->words[1], 0, INT32_MAX, "", &cpu))
		die(EXIT_USAGE, "%s", refusal());
	check_os_text("NAME", options->words[0]);
	os = wanted_os(options->words[0]);
	err = check_leading(&roots);
	if (!err)
		err = move_os(&roots, os.id, cpu);
	if (err)
		fail_for(options->words[0], err);
	return 0;
}
