// SPDX-License-Identifier: GPL-2.0
/*
 * How long was this OS away? Wakes with real-time priority every period and
 * tells the longest time between two wakings, in TSC ticks: what a process
 * that must not wait has seen, whatever the kernel's own statistics say.
 * Ends at SIGTERM or after the given time.
 */
#include "guest.h"

#include <signal.h>

static volatile sig_atomic_t stopped;

static void on_term(int number UNUSED)
{
	stopped = 1;
}

int main(int argc, char **argv)
{
	uint64_t last, now, gap = 0, beats, period, end;
	struct timespec next;

	if (argc != 3)
		usage("SECONDS PERIOD_US");
	period = number(argv[2]) * 1000;
	if (!period || period > 1000000000)
		usage("SECONDS PERIOD_US (1 to 1000000)");
	run_first(20);
	signal(SIGTERM, on_term);

	end = nanoseconds(CLOCK_MONOTONIC) + number(argv[1]) * 1000000000ull;
	clock_gettime(CLOCK_MONOTONIC, &next);
	last = tsc();
	for (beats = 0; !stopped && nanoseconds(CLOCK_MONOTONIC) < end; beats++) {
		next.tv_nsec += period;
		if (next.tv_nsec >= 1000000000) {
			next.tv_nsec -= 1000000000;
			next.tv_sec++;
		}
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
		now = tsc();
		if (now - last > gap)
			gap = now - last;
		last = now;
	}
	ok("beats %llu gap_max %llu", (unsigned long long)beats, (unsigned long long)gap);
}
