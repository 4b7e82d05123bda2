// SPDX-License-Identifier: GPL-2.0
/*
 * The state of a coexisting OS as it is shown: one on CPUs of its own that gives no sign of life
 * has hung (libtwinos/oses.c), and no other one has.
 */
#include <string.h>
#include "tree.h"

static struct tree t;

static int setup(void **state)
{
	(void)state;
	tree__create(&t);
	tree__machine(&t, "q35-twinos");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tree__remove(&t);
	return 0;
}

/* How OS 2 shows, which the kernel says is in @state. */
static void shows(const char *state, const char *mode, const char *wanted)
{
	struct os os;

	tree__os(&t, 2, state, mode, "window 0x40000000-0x5fffffff\ncpu 2\n");
	assert_int_equal(read_os(&t.roots, 2, &os), 0);
	assert_string_equal(state_name(shown_state(&os)), wanted);
	/* What it is for whoever acts on it stays as it was. */
	assert_string_equal(state_name(os.state), state);
	assert_int_equal(os_running(&os), !strcmp(state, "starting") || !strcmp(state, "running"));
	assert_int_equal(os.hung_for > 0, !strcmp(wanted, "hung") && strcmp(state, "hung"));
}

static void on_its_own(void **state)
{
	struct os os;

	(void)state;
	tree__life(&t, 2, 0, 0);
	shows("running", "dedicated", "running");
	/* A sign of life each second, however idle it is; a few can be late. */
	tree__life(&t, 2, 9, 0);
	shows("running", "dedicated", "running");
	tree__life(&t, 2, 11, 0);
	shows("running", "dedicated", "hung");
	tree__life(&t, 2, 86400, 0);
	shows("running", "dedicated", "hung");
	assert_int_equal(read_os(&t.roots, 2, &os), 0);
	assert_in_range(os.hung_for, 86400, 86410);
}

/* On a shared CPU it is one in ten seconds, and the kernel itself ends an OS that hangs. */
static void shared(void **state)
{
	(void)state;
	tree__life(&t, 2, 11, 0);
	shows("running", "time-shared", "running");
	tree__life(&t, 2, 86400, 3);
	shows("running", "time-shared", "running");
}

/* One that has just come from a shared CPU may have given its last one ten seconds ago. */
static void moved(void **state)
{
	(void)state;
	tree__life(&t, 2, 11, 1);
	shows("running", "dedicated", "running");
	tree__life(&t, 2, 19, 2);
	shows("running", "dedicated", "running");
	tree__life(&t, 2, 21, 1);
	shows("running", "dedicated", "hung");
}

/* No sign of life yet, or none that counts any more. */
static void not_running(void **state)
{
	static const char *const others[] = { "empty", "loaded", "starting", "stopped", "crashed" };
	unsigned int i;

	(void)state;
	tree__life(&t, 2, 86400, 0);
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		shows(others[i], "dedicated", others[i]);
	shows("hung", "time-shared", "hung");
	tree__file(&t, "sys/kernel/twinos/os2/stats", "tsc_khz 1000000\nalive_tsc 0\n");
	shows("running", "dedicated", "running");
	/* What another kernel does not tell. */
	tree__file(&t, "sys/kernel/twinos/os2/stats", "alive_tsc 1\n");
	shows("running", "dedicated", "running");
	tree__file(&t, "sys/kernel/twinos/os2/stats", "tsc_khz 1000000\n");
	shows("running", "dedicated", "running");
	tree__file(&t, "sys/kernel/twinos/os2/stats", "%s", "");
	shows("running", "dedicated", "running");
}

static void without_statistics(void **state)
{
	(void)state;
	shows("running", "dedicated", "running");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(on_its_own), TEST(shared), TEST(moved), TEST(not_running),
		TEST(without_statistics),
	};

	return cmocka_run_group_tests_name("oses", tests, NULL, NULL);
}
