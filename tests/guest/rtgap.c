// SPDX-License-Identifier: GPL-2.0
/*
 * How long must a thread that may not wait have waited? A real-time thread on
 * one CPU wakes every millisecond; the longest time between two wakings, in TSC
 * ticks, is measured from mark to mark. SIGUSR1 is a mark: it prints
 *
 *	rtgap NAME max TICKS n WAKINGS until TSC
 *
 * and begins the next measurement. The names are given in their order; what is
 * measured after the last one has the last one's name again. SIGTERM prints the
 * measurement under way and ends.
 *
 * The real-time thread itself never prints: it hands its figures to the first
 * thread at the waking that follows a mark.
 */
#include "guest.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

#define PERIOD_NSEC	1000000
#define PRIORITY	80

static struct {
	uint64_t gap;
	uint64_t until;		/* when the longest one ended */
	uint64_t wakings;
} measured;
static atomic_int marked;	/* set by the first thread, cleared when measured is valid */

static void *beat(void *arg UNUSED)
{
	uint64_t last, now, gap = 0, until = 0, wakings = 0;
	struct timespec next;

	clock_gettime(CLOCK_MONOTONIC, &next);
	last = tsc();
	for (;;) {
		next.tv_nsec += PERIOD_NSEC;
		if (next.tv_nsec >= 1000000000) {
			next.tv_nsec -= 1000000000;
			next.tv_sec++;
		}
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
		now = tsc();
		if (now - last > gap) {
			gap = now - last;
			until = now;
		}
		last = now;
		wakings++;
		if (atomic_load(&marked)) {
			measured.gap = gap;
			measured.until = until;
			measured.wakings = wakings;
			gap = 0;
			wakings = 0;
			atomic_store(&marked, 0);
		}
	}
	return NULL;
}

static void start(unsigned int cpu)
{
	struct sched_param param = { .sched_priority = PRIORITY };
	pthread_attr_t attr;
	pthread_t thread;
	cpu_set_t cpus;
	int err;

	if (cpu >= CPU_SETSIZE)
		failed("there is no CPU %u", cpu);
	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	/* Inherited by the thread, and undone for the first one below. */
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		failed("CPU %u: %s", cpu, strerror(errno));
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		failed("mlockall: %s", strerror(errno));

	pthread_attr_init(&attr);
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attr, SCHED_FIFO);
	pthread_attr_setschedparam(&attr, &param);
	err = pthread_create(&thread, &attr, beat, NULL);
	if (err)
		failed("real-time thread: %s", strerror(err));

	for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
		CPU_SET(cpu, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
}

static void report(const char *name)
{
	const struct timespec pause = { 0, PERIOD_NSEC };

	atomic_store(&marked, 1);
	while (atomic_load(&marked))
		nanosleep(&pause, NULL);
	printf("rtgap %s max %llu n %llu until %llu\n", name,
	       (unsigned long long)measured.gap, (unsigned long long)measured.wakings,
	       (unsigned long long)measured.until);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	unsigned int measurements = 0;
	sigset_t signals;
	int got;

	if (argc < 3)
		usage("CPU NAME...");
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	start(number(argv[1]));

	do {
		sigwait(&signals, &got);
		report(argv[2 + (measurements < argc - 3u ? measurements : argc - 3u)]);
		measurements++;
	} while (got != SIGTERM);
	ok("measurements %u", measurements);
}
