// SPDX-License-Identifier: GPL-2.0
/* The CPUs of the share: lists of the kernel's and of the user's. */
#include <string.h>
#include "tree.h"

#define CPUS 2000

static struct tree t;
static struct os_list oses;

static void cpu_files(const char *present, const char *online)
{
	tree__file(&t, "sys/devices/system/cpu/present", "%s\n", present);
	tree__file(&t, "sys/devices/system/cpu/online", "%s\n", online);
}

static int setup(void **state)
{
	(void)state;
	tree__create(&t);
	tree__os(&t, 1, "empty", "time-shared", "");
	cpu_files("0-7", "0-6");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tree__remove(&t);
	return 0;
}

static int check_for(uint32_t id, const char *list)
{
	uint32_t cpus[TWINOS_MAX_CPUS], nr = 0;

	if (*list)
		assert_int_equal(parse_cpus("--twinos-cpus", list, cpus, &nr), 0);
	assert_int_equal(read_oses(&t.roots, &oses), 0);
	return check_cpus(&t.roots, cpus, nr, &oses, id);
}

static int check(const char *list)
{
	return check_for(1, list);
}

static void good(void **state)
{
	(void)state;
	assert_int_equal(check(""), 0);
	assert_int_equal(check("1"), 0);
	assert_int_equal(check("6,2-4"), 0);
	assert_int_equal(check("1-6"), 0);
	cpu_files("0-255", "0,64-127");
	assert_int_equal(check("64-127"), 0);
}

static void bad(void **state)
{
	(void)state;
	assert_refused(check("8"), "CPU 8 does not exist (there are 0-7)");
	assert_refused(check("1,2147483647"), "CPU 2147483647 does not exist");
	assert_refused(check("6-8"), "CPU 8 does not exist");
	assert_refused(check("7"), "CPU 7 is offline; bring it online first (echo 1 >/sys/devices/system/cpu/cpu7/online)");
	assert_refused(check("0"), "CPU 0 stays with the running OS: it is the machine's boot processor, which an INIT would restart");
	assert_refused(check("1-3,0"), "CPU 0 stays");
	assert_refused(check("0-6"), "these are all CPUs that are online (0-6); leave the running OS CPU 0");
	assert_refused(check("0-7"), "all CPUs that are online");
	tree__file(&t, "sys/devices/system/cpu/cpu2/online", "1\n");
	tree__folder(&t, "sys/devices/system/cpu/cpu3");
	assert_int_equal(check("1,2"), 0);
	assert_refused(check("2,3"), "CPU 3 cannot be taken offline by the running kernel");
	cpu_files("0", "0");
	assert_refused(check("0"), "these are all CPUs");
	assert_refused(check("1"), "CPU 1 does not exist (there are 0)");
}

static void others(void **state)
{
	(void)state;
	tree__os(&t, 1, "loaded", "dedicated", "cpu 2\ncpu 3\n");
	tree__os(&t, 4, "running", "dedicated", "window 0x100000-0xfffffff\ncpu 7\n");
	tree__os(&t, 64, "hung", "dedicated", "cpu 5\n");
	assert_int_equal(check("2,3,5"), 0);
	assert_refused(check_for(2, "1,3"),
		       "CPU 3 belongs to coexisting OS 1 (loaded); choose another, or unload it (twinos unload 1) first");
	assert_refused(check("7"),
		       "CPU 7 belongs to coexisting OS 4 (running); choose another, or stop it (twinos stop 4) first");
	assert_refused(check("0-7"), "CPU 7 belongs to coexisting OS 4");
	assert_int_equal(check_for(64, "5,6"), 0);
}

static void damaged_files(void **state)
{
	static const char *const lists[] = { "", "rubbish", "0-", "3-1", "0,", "0-99999999", "0 1" };
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		cpu_files("0-7", lists[i]);
		assert_refused(check("1"), "does not tell which CPUs there are");
		cpu_files(lists[i], "0-7");
		assert_refused(check("1"), "does not tell which CPUs there are");
		/* Sharing CPU 0 does not depend on it. */
		assert_int_equal(check(""), 0);
	}
}

/* One CPU of each core, as with SMT switched off: no ranges, hence a long list. */
static void long_lists(void **state)
{
	static char list[CPUS * 5];
	char *p = list;
	unsigned int i;

	(void)state;
	for (i = 0; i < CPUS; i += 2)
		p += sprintf(p, "%s%u", i ? "," : "", i);
	cpu_files(list, list);
	assert_int_equal(check("2,1022,1998"), 0);
	assert_refused(check("3"), "CPU 3 does not exist (there are 0,2,4,");
	assert_non_null(strstr(refusal(), "choose others"));
}

static void unreadable_lists(void **state)
{
	char online[128];

	(void)state;
	snprintf(online, sizeof(online), "%s/devices/system/cpu/online", t.sys);
	tree__file(&t, "sys/devices/system/cpu/online", "rubbish\n");
	assert_refused(check("1"), "does not tell which CPUs there are: rubbish");
	assert_int_equal(remove(online), 0);
	assert_int_equal(check(""), 0);		/* a kernel without SMP */
	tree__folder(&t, "sys/devices/system/cpu/online");
	assert_int_equal(check(""), 0);
	assert_refused(check("1"), "/devices/system/cpu/online cannot be read: Is a directory");
}

static void coming_back(void **state)
{
	struct os ended = { .id = 2, .nr_cpus = 2, .cpus = { 3, 5 } };

	(void)state;
	assert_int_equal(read_oses(&t.roots, &oses), 0);
	assert_int_equal(missing_cpu(&t.roots, &ended, &oses), -1);
	cpu_files("0-7", "0-4");
	assert_int_equal(missing_cpu(&t.roots, &ended, &oses), 5);
	cpu_files("0-7", "0-2");
	assert_int_equal(missing_cpu(&t.roots, &ended, &oses), 3);
	/* Somebody else has it by now. */
	tree__os(&t, 3, "running", "dedicated", "cpu 3\ncpu 5\n");
	assert_int_equal(read_oses(&t.roots, &oses), 0);
	assert_int_equal(missing_cpu(&t.roots, &ended, &oses), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(good), TEST(bad), TEST(others), TEST(damaged_files), TEST(long_lists),
		TEST(unreadable_lists), TEST(coming_back),
	};

	return cmocka_run_group_tests_name("cpus", tests, NULL, NULL);
}
