// SPDX-License-Identifier: GPL-2.0
/*
 * Compares the clocks with the TSC over a stretch of time: the monotonic and
 * the wall clock may not drift from it, must not step back, and the
 * clocksource must still be the TSC at the end. Prints the wall clock at TSC 0
 * too, so that two OSes' clocks can be compared with each other.
 */
#include "guest.h"

/* Clock and TSC at one moment, the best of several tries. */
static void sample(clockid_t clock, uint64_t *nsec, uint64_t *ticks)
{
	uint64_t before, after, value, best = ~0ull;
	int i;

	for (i = 0; i < 20; i++) {
		before = tsc();
		value = nanoseconds(clock);
		after = tsc();
		if (after - before >= best)
			continue;
		best = after - before;
		*nsec = value;
		*ticks = before + best / 2;
	}
}

static double drift(uint64_t nsec, uint64_t ticks, double khz)
{
	return nsec / (ticks * 1e6 / khz) - 1;
}

static double size_of(double value)
{
	return value < 0 ? -value : value;
}

int main(int argc, char **argv)
{
	uint64_t mono[2], mono_tsc[2], real[2], real_tsc[2], end, now, last;
	double khz, limit, mono_drift, real_drift;
	struct timespec nap = { 0, 0 };
	char source[32] = "unknown\n", *rest;
	FILE *file;

	if (argc != 3 && argc != 4)
		usage("SECONDS LIMIT [TSC_KHZ]");
	limit = strtod(argv[2], &rest);
	if (*rest || limit <= 0)
		usage("SECONDS LIMIT [TSC_KHZ]");
	khz = argc == 4 ? number(argv[3]) : tsc_khz();

	sample(CLOCK_MONOTONIC, &mono[0], &mono_tsc[0]);
	sample(CLOCK_REALTIME, &real[0], &real_tsc[0]);
	end = mono_tsc[0] + number(argv[1]) * khz * 1e3;
	last = mono[0];
	/* Naps, so that the clock is also read at many places on the way. */
	for (;;) {
		now = tsc();
		if (now >= end)
			break;
		nap.tv_sec = (end - now) / khz / 1e3 / 4;
		nap.tv_nsec = 50000000;
		nanosleep(&nap, NULL);
		now = nanoseconds(CLOCK_MONOTONIC);
		if (now < last)
			failed("monotonic clock went back by %llu ns",
			       (unsigned long long)(last - now));
		last = now;
	}
	sample(CLOCK_MONOTONIC, &mono[1], &mono_tsc[1]);
	sample(CLOCK_REALTIME, &real[1], &real_tsc[1]);

	mono_drift = drift(mono[1] - mono[0], mono_tsc[1] - mono_tsc[0], khz);
	real_drift = drift(real[1] - real[0], real_tsc[1] - real_tsc[0], khz);

	file = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "r");
	if (file) {
		if (!fgets(source, sizeof(source), file))
			failed("cannot read the current clocksource");
		fclose(file);
	}
	source[strcspn(source, "\n")] = 0;
	if (strncmp(source, "tsc", 3))
		failed("clocksource is %s, not tsc", source);
	if (size_of(mono_drift) > limit)
		failed("monotonic clock drifts by %.3g from the TSC (limit %g)", mono_drift, limit);
	if (size_of(real_drift) > limit)
		failed("wall clock drifts by %.3g from the TSC (limit %g)", real_drift, limit);
	ok("monotonic %.3g wall %.3g wall_at_tsc0 %.6f seconds %.3f",
	   mono_drift, real_drift, real[1] / 1e9 - real_tsc[1] / (khz * 1e3),
	   (mono[1] - mono[0]) / 1e9);
}
