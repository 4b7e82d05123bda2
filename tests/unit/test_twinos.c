// SPDX-License-Identifier: GPL-2.0
/*
 * The twinos command (environment: TWINOS, built to read the files below the
 * folder in TWINOS_ROOT): what it says of several coexisting OSes, and which
 * of them it means.
 */
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <x86intrin.h>
#include "tree.h"

static struct tree t;
static char output[16384];

static void os_file(unsigned int id, const char *name, const char *text)
{
	char path[100];

	snprintf(path, sizeof(path), "sys/kernel/twinos/os%u/%s", id, name);
	tree__file(&t, path, "%s\n", text);
}

static void add_os(unsigned int id, const char *state, const char *mode, const char *share)
{
	tree__os(&t, id, state, mode, share);
	os_file(id, "reason", "");
	os_file(id, "slice_us", "10000");
	os_file(id, "weight", "50");
	os_file(id, "stats", "tsc_khz 1000000");
}

static int setup(void **state)
{
	(void)state;
	tree__create(&t);
	tree__machine(&t, "q35-twinos");
	add_os(1, "empty", "time-shared", "");
	setenv("TWINOS_ROOT", t.root, 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tree__remove(&t);
	return 0;
}

/* Exit status; what it printed, errors too, is in output, without the test's folder. */
static int run(const char *arguments)
{
	return tree__twinos(&t, arguments, output, sizeof(output));
}

static void says(const char *arguments, const char *text)
{
	if (run(arguments) || strcmp(output, text))
		fail_msg("twinos %s: %s", arguments, output);
}

static void refuses(const char *arguments, int status, const char *text)
{
	if (run(arguments) != status || !strstr(output, text))
		fail_msg("twinos %s: %s", arguments, output);
}

static void four(void)
{
	add_os(2, "running", "dedicated",
	       "window 0x40000000-0x5fffffff\nlow 0x80000-0x87fff\ncpu 2\ncpu 3\ncpu 7\n"
	       "pci 0000:00:05.0\npci 0000:00:06.0\nirq 3\n");
	add_os(3, "loaded", "dedicated", "window 0x60000000-0x6fffffff\ncpu 1\n");
	add_os(10, "crashed", "dedicated", "window 0x70000000-0x7fffffff\ncpu 4\npci 0000:00:07.0\n");
	os_file(10, "reason", "panic: no init found");
}

static void empty(void **state)
{
	(void)state;
	says("status",
	     "role: leading\n"
	     "OS 1: empty\n"
	     "  slice        10000 us, weight 50 percent\n");
}

static void all_of_them(void **state)
{
	(void)state;
	four();
	add_os(1, "running", "time-shared", "window 0x100000-0xfffffff\n");
	says("status",
	     "role: leading\n"
	     "OS 1: running\n"
	     "  mode         time-shared\n"
	     "  window       0x100000-0xfffffff\n"
	     "  slice        10000 us, weight 50 percent\n"
	     "OS 2: running\n"
	     "  mode         dedicated, CPU 2-3,7\n"
	     "  window       0x40000000-0x5fffffff\n"
	     "  low slice    0x80000-0x87fff\n"
	     "  PCI          0000:00:05.0, 0000:00:06.0\n"
	     "  pins         3\n"
	     "OS 3: loaded\n"
	     "  mode         dedicated, CPU 1\n"
	     "  window       0x60000000-0x6fffffff\n"
	     "OS 10: crashed: panic: no init found\n");
	says("status --os=3",
	     "role: leading\n"
	     "OS 3: loaded\n"
	     "  mode         dedicated, CPU 1\n"
	     "  window       0x60000000-0x6fffffff\n");
	refuses("status --os=4", 1, "there is no coexisting OS 4");
}

static void json(void **state)
{
	(void)state;
	four();
	says("status --os=2 --json",
	     "{\"role\":\"leading\",\"os\":[{\"os\":2,\"state\":\"running\",\"reason\":\"\","
	     "\"mode\":\"dedicated\",\"slice_us\":10000,\"weight\":50,"
	     "\"share\":{\"window\":\"0x40000000-0x5fffffff\",\"low\":\"0x80000-0x87fff\","
	     "\"cpu\":[2,3,7],\"pci\":[\"0000:00:05.0\",\"0000:00:06.0\"],\"irq\":[3]},"
	     "\"stats\":{\"tsc_khz\":1000000}}]}\n");
	assert_int_equal(run("status --json"), 0);
	assert_non_null(strstr(output, "{\"os\":1,\"state\":\"empty\""));
	assert_non_null(strstr(output, "\"share\":{\"cpu\":[],\"pci\":[],\"irq\":[]}"));
	assert_non_null(strstr(output, "{\"os\":10,\"state\":\"crashed\""));
	says("share --os=3 --json",
	     "{\"window\":\"0x60000000-0x6fffffff\",\"cpu\":[1],\"pci\":[],\"irq\":[]}\n");
}

static void times(void **state)
{
	(void)state;
	add_os(1, "running", "dedicated", "cpu 1\n");
	os_file(1, "stats",
		"tsc_khz 1000\nlaunch_tsc 1000\nfirst_return_tsc 3000\ninit_tsc 9000\n"
		"launch_away_max 500\nleading_run_tsc 0\nleading_switches 0\n"
		"coexisting_run_tsc 0\ncoexisting_switches 0");
	/* Nothing was ever switched: there is nothing to say of it. */
	says("status",
	     "role: leading\n"
	     "OS 1: running\n"
	     "  mode         dedicated, CPU 1\n"
	     "  launch       took 2.000 ms\n"
	     "  init         started 8.000 ms after the launch\n");
	os_file(1, "mode", "time-shared");
	assert_int_equal(run("status"), 0);
	assert_non_null(strstr(output, "leading OS back after 2.000 ms, away at most 0.500 ms"));
	assert_non_null(strstr(output, "  coexisting   CPU 0.000 s, 0 switches away"));
}

/* Without --os: the only one that there is. */
static void which(void **state)
{
	(void)state;
	os_file(1, "log", "nothing");
	says("log", "nothing\n");
	add_os(5, "running", "dedicated", "cpu 5\n");
	os_file(5, "log", "five");
	says("log", "five\n");
	says("log --os=1", "nothing\n");
	says("share", "cpu 5\n");
	add_os(6, "stopped", "dedicated", "");
	os_file(6, "log", "six");
	refuses("log", 1, "there are several coexisting OSes (5, 6); say which one with --os=N");
	refuses("weight 30", 1, "several coexisting OSes (5, 6)");
	says("log --os=6", "six\n");
	says("weight --os=6 30", "");
	says("weight --os=6", "30\n");
	refuses("log --os=7", 1, "there is no coexisting OS 7");
	refuses("log --os=65", 100, "a number from 1 to 64");
	/* Windows are nobody's. */
	says("windows", "0x100000-0xfffffff low 0x80000-0x8ffff\n");
}

/* On CPUs of its own an OS has nothing to share. */
static void no_effect(void **state)
{
	(void)state;
	add_os(5, "running", "dedicated", "cpu 5\n");
	says("weight 30",
	     "twinos: coexisting OS 5 has a CPU of its own, so its weight has no effect until it is moved to CPU 0 (twinos move 5 0)\n");
	assert_int_equal(run("weight"), 0);
	assert_non_null(strstr(output, "30\n"));
	assert_non_null(strstr(output, "has no effect"));
	assert_int_equal(run("slice --os=5 500"), 0);
	assert_non_null(strstr(output, "so its slice has no effect until it is moved"));
	assert_int_equal(run("slice --json"), 0);
	assert_non_null(strstr(output, "{\"slice_us\":500}\n"));
	add_os(5, "running", "dedicated", "cpu 5\ncpu 6\n");
	says("weight 40",
	     "twinos: coexisting OS 5 has several CPUs of its own, so its weight has no effect; to let it share CPU 0, load it without CPUs\n");
	add_os(5, "running", "time-shared", "");
	says("weight 30", "");
	add_os(5, "stopped", "dedicated", "");
	says("weight 30", "");
}

/* Options and command in any order; help wherever it is asked for. */
static void words(void **state)
{
	static const char *const wrong[] = {
		"", "frobnicate", "--json", "status Extra", "status --rubbish", "status -x",
		"weight -1", "weight 30x", "weight 0", "weight 100", "slice 99", "slice 1 2",
		"slice 0x1000", "log --os=0", "log --os", "log --os=", "log --os=1 --os=2",
		"weight 30 --json", "windows --os=1", "status --raw", "log --raw --json",
		"status 1 2", "status 0", "status Web", "status web --os=web", "log -f --limit=3",
		"status -f", "windows web", "start", "start --all web", "stop", "stop --all web",
		"stop 65", "kill", "unload", "restart", "run", "run a b", "run a --json",
		"start web --timeout=0", "start web --limit=5", "stop 5 --limit=x", "stop 5 --limit=86401",
		"wait 5", "wait --state=running", "wait 5 --state=", "wait 5 --state=run",
		"wait 5 --state=running,", "wait 5 --state=running --timeout=1h",
		"wait 5 --state=running --state=stopped", "move 5", "move 5 x", "move 5 1 2", "move 5 -1",
		"set 5", "set 5 slice", "set 5 slice=", "set 5 slice=99", "set 5 weight=100",
		"set 5 weight=1 weight=2", "set 5 colour=1", "set 5 slice=500 weight=0", "set slice=500",
		"list web", "list --os=5", "kill 5 --json",
	};
	char version[64];
	unsigned int i;

	(void)state;
	add_os(5, "running", "time-shared", "");
	os_file(5, "log", "five");
	says("--os=5 log", "five\n");
	says("log --os 5", "five\n");
	says("--json weight", "{\"weight\":50}\n");
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (run(wrong[i]) != 100)
			fail_msg("twinos %s: %s", wrong[i], output);
	}
	for (i = 0; i < 4; i++) {
		static const char *const help[] = { "--help", "-h", "log --help", "-h --os=0" };

		if (run(help[i]) || !strstr(output, "usage: twinos COMMAND"))
			fail_msg("twinos %s: %s", help[i], output);
	}
	snprintf(version, sizeof(version), "twinos test, ABI version %d\n", TWINOS_ABI_VERSION);
	says("--version", version);
}

/* The log and the reason are another kernel's text. */
static void foreign_text(void **state)
{
	static const char log[] =
		"plain\ttext\n\x1b[31mr\red\r\n\x7f \xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa7 "
		"\xff\xc3( \xc2\x9b" "1m \xed\xa0\x80 \0\xe2\x82";

	(void)state;
	add_os(2, "crashed", "time-shared", "");
	tree__bytes(&t, "sys/kernel/twinos/os2/log", log, sizeof(log) - 1);
	tree__bytes(&t, "sys/kernel/twinos/os2/reason", "panic: \xe9\x1b]0;\n", 13);
	says("log",
	     "plain\ttext\n\\x1b[31mr\\x0ded\n\\x7f \xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa7 "
	     "\\xff\\xc3( \\xc2\\x9b" "1m \\xed\\xa0\\x80 \\x00\\xe2\\x82\n");
	assert_int_equal(run("log --raw"), 0);
	assert_memory_equal(output, log, sizeof(log) - 1);
	says("log --json",
	     "{\"log\":\"plain\\ttext\\n\\u001B[31mr\\red\\r\\n\x7f \\u00E9 \\u20AC \\uD83D\\uDC27 "
	     "\\uFFFD\\uFFFD( \\u009B1m \\uFFFD\\uFFFD\\uFFFD \\u0000\\uFFFD\\uFFFD\"}\n");
	assert_int_equal(run("status --os=2"), 0);
	assert_non_null(strstr(output, "OS 2: crashed: panic: \\xe9\\x1b]0;\n"));
	assert_int_equal(run("status --os=2 --json"), 0);
	assert_non_null(strstr(output, "\"reason\":\"panic: \\uFFFD\\u001B]0;\""));
}

/* OS 2 goes when its share is read; the rest of its files is gone by then. */
static void vanish(void)
{
	static const char *const names[] = {
		"state", "reason", "mode", "slice_us", "weight", "stats", "share", ".",
	};
	char path[200];
	unsigned int i;
	pid_t child;
	int fd;

	add_os(2, "running", "dedicated", "");
	snprintf(path, sizeof(path), "%s/kernel/twinos/os2/share", t.sys);
	assert_return_code(remove(path), 0);
	assert_return_code(mkfifo(path, 0600), 0);
	child = fork();
	assert_return_code(child, 0);
	if (child)
		return;
	fd = open(path, O_WRONLY);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/kernel/twinos/os2/%s", t.sys, names[i]);
		path[strlen(path) - (*names[i] == '.' ? 2 : 0)] = 0;
		remove(path);
	}
	_exit(fd < 0);
}

static void goes_meanwhile(void **state)
{
	int status;

	(void)state;
	vanish();
	says("status",
	     "role: leading\n"
	     "OS 1: empty\n"
	     "  slice        10000 us, weight 50 percent\n");
	assert_return_code(wait(&status), 0);
	assert_int_equal(status, 0);
	vanish();
	assert_int_equal(run("status --json"), 0);
	assert_null(strstr(output, "\"os\":2"));
	assert_string_equal(output + strlen(output) - 4, "}]}\n");
	assert_return_code(wait(&status), 0);
	assert_int_equal(status, 0);
	vanish();
	assert_int_equal(run("status --os=2 --json"), 1);
	assert_string_equal(output, "twinos: there is no coexisting OS 2 on this machine\n");
	assert_return_code(wait(&status), 0);
	assert_int_equal(status, 0);
}

static void in_a_coexisting_os(void **state)
{
	(void)state;
	tree__file(&t, "sys/kernel/twinos/role", "coexisting\n");
	tree__file(&t, "sys/kernel/twinos/stats", "tsc_khz 1000\n");
	says("status", "role: coexisting\n");
	/* On CPUs of its own, it knows of nobody who was away. */
	tree__file(&t, "sys/kernel/twinos/stats",
		   "tsc_khz 1000\nlaunch_tsc 1000\nfirst_return_tsc 3000\n");
	says("status", "role: coexisting\n  launch       took 2.000 ms\n");
	refuses("log", 1, "ask the leading OS");
	refuses("windows", 1, "ask the leading OS");
	refuses("status --os=1", 1, "knows of no other by number");
}


/* ---- names, files, and what is done with them ---- */

static void named(void)
{
	four();
	tree__os(&t, 2, "running", "dedicated",
		 "name web\nwindow 0x40000000-0x5fffffff\ncpu 2\ncpu 3\npci 0000:00:05.0\nirq 3\n");
	tree__os(&t, 10, "crashed", "dedicated", "name db\nwindow 0x70000000-0x7fffffff\ncpu 4\n");
	tree__file(&t, "etc/twinos/web.conf", "[boot]\nkernel = /boot/k\n");
	tree__file(&t, "etc/twinos/mail.conf", "[boot]\nkernel = /boot/k\n");
}

static void names(void **state)
{
	(void)state;
	named();
	os_file(2, "log", "of web");
	says("log web", "of web\n");
	says("log --os=web", "of web\n");
	says("share web --json", "{\"window\":\"0x40000000-0x5fffffff\",\"cpu\":[2,3],"
	     "\"pci\":[\"0000:00:05.0\"],\"irq\":[3]}\n");
	says("status web",
	     "role: leading\n"
	     "OS 2 (web): running\n"
	     "  mode         dedicated, CPU 2-3\n"
	     "  window       0x40000000-0x5fffffff\n"
	     "  PCI          0000:00:05.0\n"
	     "  pins         3\n");
	assert_int_equal(run("status db --json"), 0);
	assert_non_null(strstr(output, "{\"os\":10,\"name\":\"db\",\"state\":\"crashed\""));
	assert_int_equal(run("slice --os=web"), 0);
	assert_non_null(strstr(output, "10000\n"));
	refuses("log mail", 1, "there is no coexisting OS mail on this machine");
	refuses("status mail", 1, "there is no coexisting OS mail");
	/* Of two with a name, the one that has ended is not meant. */
	tree__os(&t, 3, "running", "dedicated", "name db\nwindow 0x60000000-0x6fffffff\ncpu 1\n");
	os_file(3, "log", "of db, now");
	says("log db", "of db, now\n");
	refuses("log", 1, "several coexisting OSes (2, 3, 10)");
}

static void list(void **state)
{
	const unsigned long long now = __rdtsc(), khz = 1000000;
	char stats[200];

	(void)state;
	says("list", "NAME  OS  STATE  MODE  CPUS  WINDOW  DEVICES  UP  ALIVE\n");
	says("list --json", "{\"os\":[]}\n");
	named();
	/* One that runs as long as a TSC of 1 GHz says, give or take what the test takes. */
	snprintf(stats, sizeof(stats), "tsc_khz %llu\nlaunch_tsc %llu\nalive_tsc %llu", khz,
		 now - (3 * 86400 + 4 * 3600 + 59) * khz * 1000, now - khz * 2);
	os_file(2, "stats", stats);
	add_os(1, "running", "time-shared", "window 0x100000-0xfffffff\nirq 4\n");
	assert_int_equal(run("list"), 0);
	assert_non_null(strstr(output, "\n-     1   running  time-shared  0     0x100000-0xfffffff     pin4          -           -\n"));
	assert_non_null(strstr(output, "\nweb   2   running  dedicated    2-3   0x40000000-0x5fffffff  00:05.0,pin3  3d04:0"));
	assert_non_null(strstr(output, "\n-     3   loaded   dedicated    1     0x60000000-0x6fffffff  -             -           -\n"));
	assert_non_null(strstr(output, "\ndb    10  crashed  -            -     -                      -             -           -\n"));
	assert_non_null(strstr(output, "\nmail  -   empty    -            -     -                      -             -           -\n"));
	assert_int_equal(run("list --json"), 0);
	assert_non_null(strstr(output, "{\"name\":\"web\",\"os\":2,\"state\":\"running\",\"mode\":\"dedicated\",\"share\":{\"window\":"));
	assert_non_null(strstr(output, "\"up\":2736"));
	assert_non_null(strstr(output, "{\"name\":\"mail\",\"os\":null,\"state\":\"empty\",\"mode\":null,\"share\":null,\"up\":null,\"alive\":null}"));
	assert_non_null(strstr(output, "{\"name\":null,\"os\":1,"));
}

/* It gives no sign of life; what acts on it finds it running. */
static void hung(void **state)
{
	(void)state;
	named();
	tree__life(&t, 2, 34, 0);
	add_os(1, "running", "time-shared", "window 0x100000-0xfffffff\n");
	tree__life(&t, 1, 34, 0);
	assert_int_equal(run("list"), 0);
	assert_non_null(strstr(output, "\n-     1   running  time-shared  0 "));
	assert_non_null(strstr(output, "\nweb   2   hung     dedicated    2-3   0x40000000-0x5fffffff  00:05.0,pin3  01:00:00  34s\n"));
	assert_int_equal(run("list --json"), 0);
	assert_non_null(strstr(output, "{\"name\":\"web\",\"os\":2,\"state\":\"hung\",\"mode\":\"dedicated\",\"share\":{\"window\":"));
	assert_non_null(strstr(output, "\"alive\":34."));
	assert_non_null(strstr(output, "\"os\":1,\"state\":\"running\""));
	says("status web",
	     "role: leading\n"
	     "OS 2 (web): hung: no sign of life for 34 s\n"
	     "  mode         dedicated, CPU 2-3\n"
	     "  window       0x40000000-0x5fffffff\n"
	     "  PCI          0000:00:05.0\n"
	     "  pins         3\n");
	assert_int_equal(run("status web --json"), 0);
	assert_non_null(strstr(output, "{\"os\":2,\"name\":\"web\",\"state\":\"hung\",\"reason\":\"\","));
	/* One that has ended so is told from it by the reason. */
	add_os(3, "hung", "time-shared", "");
	os_file(3, "reason", "hung with interrupts off");
	assert_int_equal(run("status 3"), 0);
	assert_non_null(strstr(output, "OS 3: hung: hung with interrupts off\n"));
	os_file(2, "log", "of web");
	says("log web", "of web\n");
	refuses("start web", 1, "it is running already, as coexisting OS 2");
	refuses("unload web", 1, "coexisting OS 2 is running");
}

static void set(void **state)
{
	(void)state;
	add_os(2, "running", "time-shared", "name web\n");
	says("set web slice=500 weight=99", "");
	says("slice --os=web", "500\n");
	says("weight --os=2", "99\n");
	says("set --os=web weight=1", "");
	says("weight --os=web", "1\n");
	/* Neither, if one is wrong. */
	assert_int_equal(run("set web slice=600 weight=0"), 100);
	assert_non_null(strstr(output, "weight=0: give a number of percent from 1 to 99"));
	says("slice --os=web", "500\n");
	refuses("set db slice=500", 1, "there is no coexisting OS db");
}

/* What is refused before anything is done; the kernel that answers is not a real one. */
static void operations(void **state)
{
	(void)state;
	named();
	refuses("start db", 1, "twinos: db: there is no ");
	refuses("start db", 1, "/etc/twinos/db.conf; write it, see twinos.conf(5)");
	refuses("start Web", 1, "twinos: Web: Web cannot be the name of an OS");
	refuses("run db", 1, "twinos: db: there is no ");
	refuses("restart db", 1, "twinos: db: there is no ");
	/* At boot: nothing that is not to, or that runs. */
	says("start --all", "");
	tree__file(&t, "etc/twinos/web.conf", "[boot]\nkernel = /boot/k\n[run]\nautostart = yes\n");
	says("start --all", "");
	tree__file(&t, "etc/twinos/odd.conf", "[boot]\nkernel = /boot/k\n[run]\nautostart = perhaps\n");
	refuses("start odd", 1, "odd.conf:4: autostart=perhaps is neither yes nor no");
	refuses("start --all", 1, "odd.conf:4: autostart=perhaps is neither yes nor no");
	/* All are tried. */
	refuses("start db odd", 1, "odd.conf:4: ");
	refuses("start db odd", 1, "db.conf; write it");
	refuses("stop mail", 1, "there is no coexisting OS mail");
	refuses("stop -q mail", 0, "");
	refuses("kill 60 --quiet", 0, "");
	refuses("kill 60", 1, "there is no coexisting OS 60");
	refuses("unload mail", 1, "there is no coexisting OS mail");
	refuses("move mail 3", 1, "there is no coexisting OS mail");
	if (geteuid()) {
		refuses("start web", 1, "this needs the capability CAP_SYS_BOOT; run twinos as root");
		refuses("stop web", 1, "run twinos as root");
		return;
	}
	refuses("start web", 1, "twinos: web: it is running already, as coexisting OS 2");
	refuses("run web", 1, "twinos: web: it is running already, as coexisting OS 2");
	refuses("start mail", 1, "/dev/twinos/control is not there");
	refuses("stop db", 1, "db: coexisting OS 10 is not running but crashed (running: 2)");
	refuses("stop -q db", 0, "");
	refuses("kill 3", 1, "3: coexisting OS 3 is not running but loaded");
	refuses("unload web", 1, "web: coexisting OS 2 is running; stop it first");
	refuses("move web 5", 1, "web: coexisting OS 2 has 2 CPUs; only one with a single CPU can be moved");
	refuses("stop web", 1, "/dev/twinos/control is not there");
	tree__file(&t, "sys/kernel/twinos/abi", "3\n");
	refuses("start mail", 1, "speaks version 3 of the TwinOS interface, this twinos version");
	tree__file(&t, "sys/kernel/twinos/role", "coexisting\n");
	refuses("start mail", 1, "this is a coexisting OS");
	refuses("stop web", 1, "ask the leading OS");
	refuses("list", 1, "ask the leading OS");
	refuses("wait web --state=running", 1, "ask the leading OS");
}

/* Why it cannot be started is for systemctl status; both kinds of sockets. */
static void supervised(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char name[120], text[2000];
	ssize_t size;
	int fd, abstract;

	(void)state;
	for (abstract = 0; abstract < 2; abstract++) {
		fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
		assert_return_code(fd, errno);
		snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", t.root);
		snprintf(name, sizeof(name), "%s%s", abstract ? "@" : "", address.sun_path);
		if (abstract)
			memcpy(address.sun_path, name, strlen(name) + 1);
		if (abstract)
			address.sun_path[0] = 0;
		assert_return_code(bind(fd, (struct sockaddr *)&address,
					offsetof(struct sockaddr_un, sun_path) + strlen(name)),
				   errno);
		setenv("NOTIFY_SOCKET", name, 1);
		refuses("run db", 1, "twinos: db: there is no ");
		size = recv(fd, text, sizeof(text) - 1, 0);
		assert_true(size > 0);
		text[size] = 0;
		assert_int_equal(strncmp(text, "STATUS=there is no ", 19), 0);
		close(fd);
	}
	setenv("NOTIFY_SOCKET", "relative", 1);
	refuses("run db", 1, "NOTIFY_SOCKET=relative");
	unsetenv("NOTIFY_SOCKET");
}

/* ---- waiting: /dev/twinos/control is a pipe that the test writes to ---- */

static int door;

static void make_door(void)
{
	char path[100];

	snprintf(path, sizeof(path), "%s/dev", t.root);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/dev/twinos", t.root);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/dev/twinos/control", t.root);
	assert_return_code(mkfifo(path, 0600), errno);
	door = open(path, O_RDWR | O_CLOEXEC);
	assert_return_code(door, errno);
}

static void news(void)
{
	static const uint64_t changes;

	assert_int_equal(write(door, &changes, sizeof(changes)), sizeof(changes));
}

/* A file that is there as a whole whenever somebody looks. */
static void replace(unsigned int id, const char *name, const char *text)
{
	char from[200], to[200];

	snprintf(to, sizeof(to), "new");
	tree__file(&t, to, "%s", text);
	snprintf(from, sizeof(from), "%s/new", t.root);
	snprintf(to, sizeof(to), "%s/kernel/twinos/os%u/%s", t.sys, id, name);
	assert_return_code(rename(from, to), errno);
}

static void waits(void **state)
{
	pid_t child;
	int status;

	(void)state;
	named();
	refuses("wait web --state=running", 1, "/dev/twinos/control is not there");
	make_door();
	says("wait web --state=stopped,running", "running\n");
	says("wait web --state=running --json", "{\"state\":\"running\"}\n");
	says("wait mail --state=empty", "empty\n");
	says("wait 60 --state=empty", "empty\n");
	refuses("wait web --state=stopped --timeout=1", 1, "web is running after 1 s, not stopped");
	refuses("wait frob --state=stopped", 1, "there is no coexisting OS frob, and no ");
	child = fork();
	assert_return_code(child, errno);
	if (!child) {
		usleep(300000);
		news();
		usleep(300000);
		replace(2, "state", "stopped\n");
		news();
		_exit(0);
	}
	says("wait web --state=stopped --timeout=20", "stopped\n");
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(door);
}

/* Of an OS that hangs, or comes back, there is no news. */
static void waits_for_hung(void **state)
{
	pid_t child;
	int status;

	(void)state;
	named();
	make_door();
	tree__life(&t, 2, 34, 0);
	says("wait web --state=hung --timeout=20", "hung\n");
	refuses("wait web --state=running --timeout=1", 1, "web is hung after 1 s, not running");
	tree__life(&t, 2, 0, 0);
	refuses("wait web --state=hung --timeout=1", 1, "web is running after 1 s, not hung");
	child = fork();
	assert_return_code(child, errno);
	if (!child) {
		usleep(300000);
		tree__life(&t, 2, 34, 0);
		_exit(0);
	}
	says("wait web --state=stopped,hung --timeout=60", "hung\n");
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(door);
}

/* What log -f has printed so far, until it is as long as wanted. */
static void followed(FILE *pipe, const char *text)
{
	char got[500] = "";
	size_t n = 0;

	while (n < strlen(text) && fgets(got + n, sizeof(got) - n, pipe))
		n += strlen(got + n);
	assert_string_equal(got, text);
}

static void follows(void **state)
{
	char command[300];
	FILE *pipe;

	(void)state;
	named();
	make_door();
	replace(2, "stats", "launch_tsc 5\nlog_bytes 8\n");
	replace(2, "log", "one\ntwo\n");
	snprintf(command, sizeof(command), "exec %s log -f web 2>&1 </dev/null", getenv("TWINOS"));
	pipe = popen(command, "r");
	assert_non_null(pipe);
	followed(pipe, "one\ntwo\n");
	/* A line in two pieces is one; a control character in it is visible. */
	replace(2, "log", "one\ntwo\nth");
	replace(2, "stats", "launch_tsc 5\nlog_bytes 10\n");
	news();
	usleep(100000);
	replace(2, "log", "one\ntwo\nth\033ree\r\n");
	replace(2, "stats", "launch_tsc 5\nlog_bytes 16\n");
	news();
	followed(pipe, "th\\x1bree\n");
	/* One that does not go on is shown after a moment, and its end is no empty line. */
	replace(2, "log", "one\ntwo\nth\033ree\r\nlogin: ");
	replace(2, "stats", "launch_tsc 5\nlog_bytes 23\n");
	news();
	followed(pipe, "login: \n");
	replace(2, "log", "one\ntwo\nth\033ree\r\nlogin: \nend\n");
	replace(2, "stats", "launch_tsc 5\nlog_bytes 28\n");
	news();
	followed(pipe, "end\n");
	/* It ends, and is started again, as another number. */
	replace(2, "reason", "power-off\n");
	replace(2, "state", "stopped\n");
	news();
	followed(pipe, "twinos: web: has ended: power-off\n");
	add_os(4, "running", "dedicated", "name web\ncpu 4\n");
	replace(4, "log", "again\n");
	replace(4, "stats", "launch_tsc 9\nlog_bytes 6\n");
	news();
	followed(pipe, "twinos: web: launched again\nagain\n");
	/* It ends when nobody reads any more. */
	close(fileno(pipe));
	news();
	pclose(pipe);
	close(door);
}

/* The terminal is one that the test has the other end of. */
static void console(void **state)
{
	char path[200], command[200], got[100] = "";
	struct termios raw = { 0 };
	int ours, theirs, at;
	FILE *pipe;

	(void)state;
	named();
	refuses("console mail", 1, "there is no coexisting OS mail on this machine");
	os_file(2, "terminal", "");
	refuses("console web", 1, "web has no terminal");
	os_file(2, "terminal", "hvc1");
	make_door();
	refuses("console web", 1, "dev/hvc1: No such file");
	cfmakeraw(&raw);	/* nothing is echoed */
	assert_return_code(openpty(&ours, &theirs, NULL, &raw, NULL), errno);
	snprintf(path, sizeof(path), "%s/dev/hvc1", t.root);
	assert_return_code(symlink(ttyname(theirs), path), errno);
	assert_int_equal(write(ours, "printed before", 14), 14);
	snprintf(command, sizeof(command), "printf typed | %s console web 2>&1", getenv("TWINOS"));
	pipe = popen(command, "r");
	assert_non_null(pipe);
	assert_int_equal(fread(got, 1, sizeof(got) - 1, pipe), 14);
	assert_string_equal(got, "printed before");
	assert_int_equal(pclose(pipe), 0);
	memset(got, 0, sizeof(got));
	assert_int_equal(read(ours, got, sizeof(got) - 1), 5);
	assert_string_equal(got, "typed");
	/* Somebody else is at it. */
	at = open(path, O_RDWR | O_NOCTTY);
	assert_return_code(flock(at, LOCK_EX), errno);
	refuses("console web </dev/null", 1, "another twinos console is at web");
	close(at);
	close(ours);
	close(theirs);
	close(door);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(empty), TEST(all_of_them), TEST(json), TEST(times), TEST(which),
		TEST(no_effect), TEST(words), TEST(foreign_text), TEST(goes_meanwhile),
		TEST(in_a_coexisting_os), TEST(names), TEST(list), TEST(hung), TEST(set), TEST(operations),
		TEST(supervised), TEST(waits), TEST(waits_for_hung), TEST(console), TEST(follows),
	};

	return cmocka_run_group_tests_name("twinos", tests, tree__has_twinos, NULL);
}
