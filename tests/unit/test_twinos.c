// SPDX-License-Identifier: GPL-2.0
/*
 * The twinos command (environment: TWINOS, built to read the files below the
 * folder in TWINOS_SYSFS): what it says of several coexisting OSes, and which
 * of them it means.
 */
#include <stdlib.h>
#include <string.h>
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
	char folder[120];

	(void)state;
	tree__create(&t);
	tree__machine(&t, "q35-twinos");
	add_os(1, "empty", "time-shared", "");
	snprintf(folder, sizeof(folder), "%s/kernel/twinos", t.sys);
	setenv("TWINOS_SYSFS", folder, 1);
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
	says("weight --os=5", "50\n");
	refuses("log --os=7", 1, "there is no coexisting OS 7");
	refuses("log --os=65", 100, "a number from 1 to 64");
	/* Windows are nobody's. */
	says("windows", "0x100000-0xfffffff low 0x80000-0x8ffff\n");
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
		TEST(in_a_coexisting_os),
	};

	return cmocka_run_group_tests_name("twinos", tests, there, NULL);
}
