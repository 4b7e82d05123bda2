// SPDX-License-Identifier: GPL-2.0
/*
 * What is counted of each OS and what that is per second (twinos/rates.c), from two readings
 * of recorded files (stats/): also where an OS comes, goes or begins anew between them.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "tree.h"
#include "twinos/rates.h"

#define KHZ	2000000ull
#define FIRST	200000000000ull		/* when they were read */
#define SECOND	204000000000ull

static struct tree t;
static struct reading before, after;

static int setup(void **state)
{
	(void)state;
	tree__create(&t);
	tree__machine(&t, "q35-twinos");
	tree__file(&t, "sys/kernel/twinos/os1/stats", "%s", "");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free_reading(&before);
	free_reading(&after);
	tree__remove(&t);
	return 0;
}

static void interface(unsigned int id, const char *name, unsigned long long rx,
		      unsigned long long tx)
{
	static const char *const files[] = { "bytes", "packets", "dropped", "errors" };
	char path[200];
	unsigned int i;

	/* A thousandth of the bytes is packets, and so on. */
	for (i = 0; i < 4; i++, rx /= 1000, tx /= 1000) {
		snprintf(path, sizeof(path),
			 "sys/devices/platform/twinos%u/virtio%u/net/%s/statistics/rx_%s", id, id,
			 name, files[i]);
		tree__file(&t, path, "%llu\n", rx);
		snprintf(path, sizeof(path),
			 "sys/devices/platform/twinos%u/virtio%u/net/%s/statistics/tx_%s", id, id,
			 name, files[i]);
		tree__file(&t, path, "%llu\n", tx);
	}
}

/* As of a moment, which the files do not say. */
static void look(struct reading *reading, uint64_t now)
{
	unsigned int i;

	free_reading(reading);
	assert_int_equal(read_all(&t.roots, reading), 0);
	for (i = 0; i < reading->nr; i++)
		reading->os[i].now = now;
}

static const struct observed *seen(const struct reading *reading, unsigned int id)
{
	unsigned int i;

	for (i = 0; i < reading->nr; i++)
		if (reading->os[i].os.id == id)
			return &reading->os[i];
	fail_msg("OS %u was not read", id);
	return NULL;
}

static void is(double got, double wanted)
{
	if (wanted < 0 ? got >= 0 : fabs(got - wanted) > 1e-6)
		fail_msg("%f is not %f", got, wanted);
}

static void all_unknown(const struct rates *rates)
{
	unsigned int i;

	for (i = 0; i < COUNTERS; i++) {
		is(rates->rate[i][SIDE_LEADING], -1);
		is(rates->rate[i][SIDE_COEXISTING], -1);
	}
}

static void two(const struct rates *rates, enum measure measure, double leading,
		double coexisting)
{
	is(rates->rate[measure][SIDE_LEADING], leading);
	is(rates->rate[measure][SIDE_COEXISTING], coexisting);
}

static void numbers(void **state)
{
	const struct observed *o;

	(void)state;
	tree__os(&t, 1, "running", "time-shared", "name web\nwindow 0x100000-0xfffffff\n");
	tree__stats(&t, 1, "shared-1");
	interface(1, "eth1", 5000000, 7000000);
	look(&before, FIRST);
	o = seen(&before, 1);
	assert_int_equal(o->khz, KHZ);
	assert_int_equal(o->moves, 0);
	assert_int_equal(o->count[MEASURE_CPU][SIDE_LEADING], 61000000000);
	assert_int_equal(o->count[MEASURE_AWAY_MAX][SIDE_COEXISTING], 20310440);
	assert_int_equal(o->count[MEASURE_CONSOLE][SIDE_LEADING], 12);
	assert_int_equal(o->count[MEASURE_CONSOLE][SIDE_COEXISTING], 20480);
	/* What the leading OS receives comes out of the other one. */
	assert_int_equal(o->count[MEASURE_NETWORK_BYTES][SIDE_COEXISTING], 5000000);
	assert_int_equal(o->count[MEASURE_NETWORK_BYTES][SIDE_LEADING], 7000000);
	assert_int_equal(o->count[MEASURE_NETWORK_PACKETS][SIDE_LEADING], 7000);
	assert_int_equal(o->count[MEASURE_NETWORK_DROPPED][SIDE_COEXISTING], 5);
	assert_int_equal(o->count[MEASURE_NETWORK_ERRORS][SIDE_COEXISTING], 0);
	is(seconds_between(o->launch, o->now, o->khz), 50);
	is(seconds_between(o->alive, o->now, o->khz), 1);
	/* Of another's TSC that is ahead. */
	is(seconds_between(FIRST + 5, FIRST, KHZ), 0);
	is(seconds_between(0, FIRST, KHZ), -1);
	is(seconds_between(5, FIRST, 0), -1);
	/* It was not launched since it was loaded: its file is empty. */
	tree__os(&t, 2, "loaded", "dedicated", "window 0x40000000-0x5fffffff\ncpu 2\n");
	tree__file(&t, "sys/kernel/twinos/os2/stats", "%s", "");
	look(&before, FIRST);
	o = seen(&before, 2);
	assert_int_equal(o->khz, 0);
	assert_true(o->count[MEASURE_CPU][SIDE_LEADING] == UNKNOWN);
	assert_true(o->count[MEASURE_NETWORK_BYTES][SIDE_LEADING] == UNKNOWN);
}

static void on_a_shared_cpu(void **state)
{
	struct rates rates;

	(void)state;
	tree__os(&t, 1, "running", "time-shared", "window 0x100000-0xfffffff\n");
	tree__stats(&t, 1, "shared-1");
	interface(1, "eth1", 5000000, 7000000);
	look(&before, FIRST);
	tree__stats(&t, 1, "shared-2");
	interface(1, "eth1", 6000000, 7000000);
	look(&after, SECOND);
	os_rates(&before, seen(&after, 1), &rates);
	two(&rates, MEASURE_CPU, 0.6, 0.25);
	two(&rates, MEASURE_SWITCHES, 100, 100);
	two(&rates, MEASURE_DONATED, 95, 25);
	two(&rates, MEASURE_FOREIGN, 4, 25);
	two(&rates, MEASURE_DOORBELLS, 250, 250);
	two(&rates, MEASURE_CONSOLE, 1, 512);
	two(&rates, MEASURE_NETWORK_BYTES, 0, 500000);
	two(&rates, MEASURE_NETWORK_PACKETS, 0, 500);
	/* No more than all of it, of which a turn from before is a part. */
	look(&after, FIRST + 1000 * KHZ);
	os_rates(&before, seen(&after, 1), &rates);
	two(&rates, MEASURE_CPU, 1, 0.5);
	/* Nothing is known of no time at all. */
	look(&after, FIRST);
	os_rates(&before, seen(&after, 1), &rates);
	all_unknown(&rates);
	look(&after, FIRST - 5);
	os_rates(&before, seen(&after, 1), &rates);
	all_unknown(&rates);
}

static void on_cpus_of_its_own(void **state)
{
	struct rates rates;

	(void)state;
	tree__os(&t, 2, "running", "dedicated", "window 0x40000000-0x5fffffff\ncpu 2\n");
	tree__stats(&t, 2, "dedicated-1");
	look(&before, FIRST);
	tree__stats(&t, 2, "dedicated-2");
	look(&after, SECOND);
	os_rates(&before, seen(&after, 2), &rates);
	two(&rates, MEASURE_CPU, -1, -1);
	two(&rates, MEASURE_SWITCHES, -1, -1);
	two(&rates, MEASURE_FOREIGN, -1, -1);
	two(&rates, MEASURE_DOORBELLS, 30, 10);
	two(&rates, MEASURE_CONSOLE, 0, 300);
	two(&rates, MEASURE_NETWORK_BYTES, -1, -1);
}

static void older_kernel(void **state)
{
	struct rates rates;

	(void)state;
	tree__os(&t, 1, "running", "time-shared", "window 0x100000-0xfffffff\n");
	tree__stats(&t, 1, "older-1");
	look(&before, FIRST);
	tree__stats(&t, 1, "older-2");
	look(&after, SECOND);
	os_rates(&before, seen(&after, 1), &rates);
	two(&rates, MEASURE_CPU, 0.6, 0.25);
	two(&rates, MEASURE_DOORBELLS, -1, -1);
	two(&rates, MEASURE_CONSOLE, -1, 512);
	/* The kernel was not exchanged in between, but the file might be cut. */
	tree__stats(&t, 1, "shared-2");
	look(&after, SECOND);
	os_rates(&before, seen(&after, 1), &rates);
	two(&rates, MEASURE_DOORBELLS, -1, -1);
}

/* It ends, and begins again with 0, which is far from what it was. */
static void come_and_go(void **state)
{
	struct rates rates;

	(void)state;
	look(&before, FIRST);
	tree__os(&t, 2, "running", "time-shared", "window 0x100000-0xfffffff\n");
	tree__stats(&t, 2, "shared-1");
	look(&after, SECOND);
	os_rates(&before, seen(&after, 2), &rates);
	all_unknown(&rates);
	/* Its numbers stay when it has ended. */
	look(&before, FIRST);
	tree__os(&t, 2, "crashed", "time-shared", "");
	tree__stats(&t, 2, "shared-2");
	look(&after, SECOND);
	os_rates(&before, seen(&after, 2), &rates);
	all_unknown(&rates);
	tree__os(&t, 2, "running", "time-shared", "window 0x100000-0xfffffff\n");
	tree__stats(&t, 2, "again-2");
	look(&after, SECOND);
	os_rates(&before, seen(&after, 2), &rates);
	all_unknown(&rates);
	leading_rates(&before, &after, &rates);
	all_unknown(&rates);
	look(&before, SECOND);
	look(&after, SECOND + 1000 * KHZ);
	os_rates(&before, seen(&after, 2), &rates);
	two(&rates, MEASURE_CPU, 0, 0);
	/* And away. */
	tree__os(&t, 2, "empty", "time-shared", "");
	tree__file(&t, "sys/kernel/twinos/os2/stats", "%s", "");
	look(&after, SECOND + 2000 * KHZ);
	os_rates(&before, seen(&after, 2), &rates);
	all_unknown(&rates);
}

/* Removed and made anew, it counts from 0, while all else goes on; two of them are added up. */
static void interfaces(void **state)
{
	struct rates rates;

	(void)state;
	tree__os(&t, 1, "running", "time-shared", "window 0x100000-0xfffffff\n");
	tree__stats(&t, 1, "shared-1");
	look(&before, FIRST);
	tree__stats(&t, 1, "shared-2");
	interface(1, "eth1", 6000000, 7000000);
	look(&after, SECOND);
	os_rates(&before, seen(&after, 1), &rates);
	two(&rates, MEASURE_NETWORK_BYTES, -1, -1);
	tree__stats(&t, 1, "shared-1");
	look(&before, FIRST);
	tree__stats(&t, 1, "shared-2");
	interface(1, "eth1", 4000, 9000000);
	look(&after, SECOND);
	os_rates(&before, seen(&after, 1), &rates);
	two(&rates, MEASURE_NETWORK_BYTES, 1000000, -1);
	two(&rates, MEASURE_CPU, 0.6, 0.25);
	interface(1, "eth2", 6000000, 100);
	look(&after, SECOND);
	assert_int_equal(seen(&after, 1)->count[MEASURE_NETWORK_BYTES][SIDE_COEXISTING], 6004000);
	/* That of OS 11 is not one of OS 1. */
	interface(11, "eth3", 1000, 1000);
	look(&after, SECOND);
	assert_int_equal(seen(&after, 1)->count[MEASURE_NETWORK_BYTES][SIDE_COEXISTING], 6004000);
}

static void of_the_leading_os(void **state)
{
	struct rates rates;

	(void)state;
	tree__os(&t, 1, "running", "time-shared", "window 0x100000-0xfffffff\n");
	tree__os(&t, 2, "running", "dedicated", "window 0x40000000-0x5fffffff\ncpu 2\n");
	tree__os(&t, 3, "running", "dedicated", "window 0x60000000-0x6fffffff\ncpu 3\n");
	tree__stats(&t, 1, "shared-1");
	tree__stats(&t, 2, "dedicated-1");
	tree__stats(&t, 3, "older-1");
	look(&before, FIRST);
	tree__stats(&t, 1, "shared-2");
	tree__stats(&t, 2, "dedicated-2");
	tree__stats(&t, 3, "older-2");
	look(&after, SECOND);
	leading_rates(&before, &after, &rates);
	two(&rates, MEASURE_CPU, 0.6, 0.25);
	two(&rates, MEASURE_SWITCHES, 100, 100);
	two(&rates, MEASURE_DOORBELLS, 280, 260);
	two(&rates, MEASURE_NETWORK_BYTES, -1, -1);
	/* One that begins anew is left out of the sum. */
	tree__stats(&t, 2, "again-2");
	look(&after, SECOND);
	leading_rates(&before, &after, &rates);
	two(&rates, MEASURE_DOORBELLS, 250, 250);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(numbers), TEST(on_a_shared_cpu), TEST(on_cpus_of_its_own), TEST(older_kernel),
		TEST(come_and_go), TEST(interfaces), TEST(of_the_leading_os),
	};

	return cmocka_run_group_tests_name("rates", tests, NULL, NULL);
}
