// SPDX-License-Identifier: GPL-2.0
/*
 * The twinos command (environment: TWINOS, built to read the files below the
 * folder in TWINOS_ROOT): what it says of several coexisting OSes, and which
 * of them it means.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
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

/* Exit status; what it printed, errors too, is in output. */
static int run(const char *arguments)
{
	char command[1024];
	size_t used = 0, n;
	FILE *pipe;
	int status;

	snprintf(command, sizeof(command), "exec %s %s 2>&1 </dev/null", getenv("TWINOS"),
		 arguments);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	while (used < sizeof(output) - 1 &&
	       (n = fread(output + used, 1, sizeof(output) - 1 - used, pipe)) > 0)
		used += n;
	output[used] = 0;
	status = pclose(pipe);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
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
		"plain\ttext\n\x1b[31mred\r\n\x7f \xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa7 "
		"\xff\xc3( \xc2\x9b" "1m \xed\xa0\x80 \0\xe2\x82";

	(void)state;
	add_os(2, "crashed", "time-shared", "");
	tree__bytes(&t, "sys/kernel/twinos/os2/log", log, sizeof(log) - 1);
	tree__bytes(&t, "sys/kernel/twinos/os2/reason", "panic: \xe9\x1b]0;\n", 13);
	says("log",
	     "plain\ttext\n\\x1b[31mred\\x0d\n\\x7f \xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa7 "
	     "\\xff\\xc3( \\xc2\\x9b" "1m \\xed\\xa0\\x80 \\x00\\xe2\\x82\n");
	assert_int_equal(run("log --raw"), 0);
	assert_memory_equal(output, log, sizeof(log) - 1);
	says("log --json",
	     "{\"log\":\"plain\\ttext\\n\\u001B[31mred\\r\\n\x7f \\u00E9 \\u20AC \\uD83D\\uDC27 "
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

static int there(void **state)
{
	const char *twinos = getenv("TWINOS");

	(void)state;
	if (twinos && !access(twinos, X_OK))
		return 0;
	print_error("there is no program %s; build it, or name one in TWINOS\n",
		    twinos ? twinos : "twinos");
	return -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(empty), TEST(all_of_them), TEST(json), TEST(times), TEST(which),
		TEST(no_effect), TEST(words), TEST(foreign_text), TEST(goes_meanwhile),
		TEST(in_a_coexisting_os),
	};

	return cmocka_run_group_tests_name("twinos", tests, there, NULL);
}
