// SPDX-License-Identifier: GPL-2.0
/*
 * Are timers kept while OSes are switched? Sleeps of several lengths and a
 * periodic timerfd, measured with the TSC: none may end early, none later
 * than the given limit, and a periodic timer may lose no expiry.
 */
#include "guest.h"

#include <sys/timerfd.h>

static double khz;
static uint64_t late_max;

static void must_take(uint64_t ticks, uint64_t wanted_nsec, uint64_t limit_ms, const char *what)
{
	int64_t late = ticks * 1e6 / khz - wanted_nsec;

	/* The TSC frequency is known to 1e-4 at worst: that much is not early. */
	if (late < -(int64_t)(wanted_nsec / 10000 + 1000))
		failed("%s of %llu us ended %lld us early", what,
		       (unsigned long long)wanted_nsec / 1000, (long long)-late / 1000);
	if (late > (int64_t)limit_ms * 1000000)
		failed("%s of %llu us ended %lld us late (limit %llu ms)", what,
		       (unsigned long long)wanted_nsec / 1000, (long long)late / 1000,
		       (unsigned long long)limit_ms);
	if (late > 0 && (uint64_t)late > late_max)
		late_max = late;
}

int main(int argc, char **argv)
{
	static const uint64_t lengths[] = {	/* ns */
		50000, 1000000, 3700000, 10000000, 41000000, 250000000,
	};
	struct itimerspec period = { { 0, 5000000 }, { 0, 5000000 } };
	uint64_t end, begin, limit, expired, expirations, sleeps = 0;
	struct timespec sleep;
	size_t i;
	int fd;

	if (argc != 3)
		usage("SECONDS LATE_LIMIT_MS");
	khz = tsc_khz();
	limit = number(argv[2]);
	end = tsc() + number(argv[1]) * khz * 1e3;

	do {
		for (i = 0; i < ARRAY_SIZE(lengths); i++) {
			sleep.tv_sec = 0;
			sleep.tv_nsec = lengths[i];
			begin = tsc();
			if (nanosleep(&sleep, NULL))
				failed("nanosleep: %s", strerror(errno));
			must_take(tsc() - begin, lengths[i], limit, "a sleep");
			sleeps++;
		}

		fd = timerfd_create(CLOCK_MONOTONIC, 0);
		if (fd < 0)
			failed("timerfd_create: %s", strerror(errno));
		begin = tsc();
		timerfd_settime(fd, 0, &period, NULL);
		for (expirations = 0; expirations < 40; expirations += expired) {
			if (read(fd, &expired, sizeof(expired)) != sizeof(expired))
				failed("timerfd: %s", strerror(errno));
		}
		must_take(tsc() - begin, expirations * 5000000, limit, "a run of timer periods");
		close(fd);
	} while (tsc() < end);

	ok("sleeps %llu late_max_us %llu switches %llu", (unsigned long long)sleeps,
	   (unsigned long long)late_max / 1000, (unsigned long long)switches());
}
