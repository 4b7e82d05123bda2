// SPDX-License-Identifier: GPL-2.0
/*
 * Counts work really done, to measure what part of the CPU an OS gets: a fixed
 * loop of 10,000 instructions is one unit. Time is cut into intervals aligned
 * to multiples of the TSC, the same ones in every OS, so that two logs can be
 * laid side by side; the counts are printed only at the end, because printing
 * is work too.
 */
#include "guest.h"

#define MAX_INTERVALS	100000

static inline void unit_of_work(void)
{
	uint64_t count = 5000;

	asm volatile("1:	dec %0\n"
		     "	jnz 1b" : "+r" (count) :: "cc");
}

int main(int argc, char **argv)
{
	uint64_t length, intervals, first, number_now, now, last, gap = 0, total = 0, i, busy;
	static uint64_t work[MAX_INTERVALS];

	if (argc != 3)
		usage("INTERVAL_MS INTERVALS");
	length = number(argv[1]) * tsc_khz();
	intervals = number(argv[2]);
	if (!length || !intervals || intervals > MAX_INTERVALS)
		usage("INTERVAL_MS INTERVALS (1 to 100000)");
	mlockall(MCL_CURRENT);

	/* The interval under way is not whole: begin with the next. */
	first = tsc() / length + 1;
	while (tsc() / length < first)
		;
	last = tsc();
	for (;;) {
		unit_of_work();
		now = tsc();
		if (now - last > gap)
			gap = now - last;
		last = now;
		number_now = now / length - first;
		if (number_now >= intervals)
			break;
		work[number_now]++;
	}

	for (i = 0, busy = 0; i < intervals; i++) {
		printf("spin: interval %llu work %llu\n", (unsigned long long)(first + i),
		       (unsigned long long)work[i]);
		total += work[i];
		busy += !!work[i];
	}
	if (!total)
		failed("not one unit of work in %llu intervals", (unsigned long long)intervals);
	/* Rate: instructions done per 1000 TSC ticks. */
	ok("work %llu intervals %llu ticks %llu rate %.3f gap_max %llu",
	   (unsigned long long)total, (unsigned long long)busy,
	   (unsigned long long)(length * intervals),
	   total * 10000000.0 / (length * intervals), (unsigned long long)gap);
}
