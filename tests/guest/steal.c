// SPDX-License-Identifier: GPL-2.0
/*
 * Where does the time of an OS go that has half of its CPU? Computes for some seconds and
 * then looks at what the kernel has counted meanwhile: stolen time must be about half (40 to
 * 60 %), and this process's user time, as the kernel charges it, no more than the rest.
 */
#include "guest.h"

#include <sys/resource.h>

/* Stolen time of all CPUs, in seconds (proc(5)). */
static double stolen(void)
{
	unsigned long long steal;
	FILE *file = fopen("/proc/stat", "r");

	if (!file || fscanf(file, "cpu %*u %*u %*u %*u %*u %*u %*u %llu", &steal) != 1)
		failed("cannot read /proc/stat");
	fclose(file);
	return (double)steal / sysconf(_SC_CLK_TCK);
}

static double user(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_utime.tv_sec + usage.ru_utime.tv_usec / 1e6;
}

int main(int argc, char **argv)
{
	double stolen_part, user_part, seconds;
	uint64_t end;

	if (argc != 2)
		usage("SECONDS");
	seconds = number(argv[1]);
	if (!seconds)
		usage("SECONDS (1 or more)");
	end = tsc() + seconds * tsc_khz() * 1e3;
	stolen_part = -stolen();
	user_part = -user();
	while (tsc() < end)
		;
	stolen_part = (stolen_part + stolen()) * 100 / seconds;
	user_part = (user_part + user()) * 100 / seconds;
	if (stolen_part < 40 || stolen_part > 60)
		failed("%.1f %% of the time is stolen, not half", stolen_part);
	if (user_part > 60)
		failed("%.1f %% of the time is this process's, with what is stolen", user_part);
	ok("stolen %.1f user %.1f percent", stolen_part, user_part);
}
