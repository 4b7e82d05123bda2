// SPDX-License-Identifier: GPL-2.0
/* What an OS prints, read while it prints: nothing twice, nothing left out unnoticed. */
#include <stdlib.h>
#include <string.h>
#include "tree.h"

static struct tree t;
static struct printed printed;

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
	free(printed.text);
	printed.text = NULL;
	tree__remove(&t);
	return 0;
}

/* All that it has printed since it was launched; the kernel keeps the end of it. */
static void prints(unsigned long long launch, const char *text, size_t size)
{
	const size_t kept = size < TWINOS_RING_SIZE ? size : TWINOS_RING_SIZE;

	tree__file(&t, "sys/kernel/twinos/os2/stats", "tsc_khz 1000\nlaunch_tsc %llu\nlog_bytes %zu\n",
		   launch, size);
	tree__bytes(&t, "sys/kernel/twinos/os2/log", text + size - kept, kept);
}

static void reads(struct console *console, const char *text, size_t size, uint64_t lost, bool again)
{
	free(printed.text);
	assert_int_equal(read_console(&t.roots, console, &printed), 0);
	assert_int_equal(printed.size, size);
	if (size)
		assert_memory_equal(printed.text, text, size);
	assert_int_equal(printed.lost, lost);
	assert_int_equal(printed.again, again);
}

static void pieces(void **state)
{
	struct console console = { .id = 2 };

	(void)state;
	reads(&console, "", 0, 0, false);		/* no such OS */
	tree__file(&t, "sys/kernel/twinos/os2/stats", "%s", "");
	reads(&console, "", 0, 0, false);		/* loaded */
	prints(100, "one\n", 4);
	reads(&console, "one\n", 4, 0, false);
	reads(&console, "", 0, 0, false);
	prints(100, "one\ntwo\nthr", 11);
	reads(&console, "two\nthr", 7, 0, false);
	prints(100, "one\ntwo\nthree\n", 14);
	reads(&console, "ee\n", 3, 0, false);
	/* Launched again: all of it, even if it is more than before. */
	prints(200, "ONE\nTWO\nTHREE\nFOUR\n", 19);
	reads(&console, "ONE\nTWO\nTHREE\nFOUR\n", 19, 0, true);
	reads(&console, "", 0, 0, false);
	/* Loaded again, then launched. */
	tree__file(&t, "sys/kernel/twinos/os2/stats", "%s", "");
	reads(&console, "", 0, 0, false);
	prints(300, "1\n", 2);
	reads(&console, "1\n", 2, 0, true);
}

static void ring(void **state)
{
	const size_t size = TWINOS_RING_SIZE;
	struct console console = { .id = 2 };
	char *text = malloc(3 * size);
	size_t i;

	(void)state;
	assert_non_null(text);
	for (i = 0; i < 3 * size; i++)
		text[i] = i * 7919 >> 8;
	prints(100, text, size);
	reads(&console, text, size, 0, false);
	prints(100, text, size + 10);
	reads(&console, text + size, 10, 0, false);
	/* As much as there is room for, and a byte more. */
	prints(100, text, 2 * size + 10);
	reads(&console, text + size + 10, size, 0, false);
	prints(100, text, 3 * size);
	reads(&console, text + 2 * size + 10, size - 10, 0, false);
	/* Somebody who comes late has the end. */
	console = (struct console){ .id = 2 };
	reads(&console, text + 2 * size, size, 2 * size, false);
	console = (struct console){ .id = 2 };
	prints(100, text, size - 1);
	reads(&console, text, size - 1, 0, false);
	prints(100, text, 2 * size);
	reads(&console, text + size, size, 1, false);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(pieces), TEST(ring),
	};

	return cmocka_run_group_tests_name("console", tests, NULL, NULL);
}
