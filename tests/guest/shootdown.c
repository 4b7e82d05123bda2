// SPDX-License-Identifier: GPL-2.0
/*
 * Does every CPU forget a page when it is told to? A thread on each CPU reads
 * one address all the time, while another thread, on each CPU in turn, puts a new
 * page there and then publishes its number. A reader that finds an older number
 * than the published one has used a translation that should have been flushed. The
 * kernel has to interrupt all the other CPUs for each new page and to wait for
 * their answers.
 */
#include "guest.h"

#include <pthread.h>
#include <sched.h>

#define PAGE 4096
#define PAGES 4			/* used in turn */

static volatile uint64_t *shown;	/* where the page is */
static uint64_t published;
static int done;

static void go_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		failed("CPU %d: %s", cpu, strerror(errno));
}

static void *reader(void *argument)
{
	int cpu = (long)argument;
	uint64_t expected, seen, reads = 0;

	go_to(cpu);
	while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) {
		expected = __atomic_load_n(&published, __ATOMIC_ACQUIRE);
		seen = *shown;
		if (seen < expected)
			failed("CPU %d: page %llu is still there, %llu is published", cpu,
			       (unsigned long long)seen, (unsigned long long)expected);
		reads++;
	}
	return (void *)(long)reads;
}

int main(int argc, char **argv)
{
	uint64_t *pages, end, round = 0, reads = 0;
	long cpus = 0, numbers[64], cpu, i;
	pthread_t threads[64];
	cpu_set_t set;
	void *result;
	int file;

	if (argc != 2)
		usage("SECONDS");
	if (sched_getaffinity(0, sizeof(set), &set))
		failed("sched_getaffinity: %s", strerror(errno));
	for (cpu = 0; cpu < CPU_SETSIZE && cpus < 64; cpu++)
		if (CPU_ISSET(cpu, &set))
			numbers[cpus++] = cpu;
	file = memfd_create("pages", 0);
	if (file < 0 || ftruncate(file, PAGES * PAGE))
		failed("memfd: %s", strerror(errno));
	pages = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	shown = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, 0);
	if (pages == MAP_FAILED || shown == MAP_FAILED)
		failed("mmap: %s", strerror(errno));
	for (i = 0; i < cpus; i++)
		if (pthread_create(&threads[i], NULL, reader, (void *)numbers[i]))
			failed("cannot create thread %ld", i);

	end = nanoseconds(CLOCK_MONOTONIC) + number(argv[1]) * 1000000000ull;
	while (nanoseconds(CLOCK_MONOTONIC) < end) {
		round++;
		go_to(numbers[round % cpus]);
		pages[round % PAGES * PAGE / sizeof(*pages)] = round;
		if (mmap((void *)shown, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, file,
			 round % PAGES * PAGE) != (void *)shown)
			failed("mmap: %s", strerror(errno));
		__atomic_store_n(&published, round, __ATOMIC_RELEASE);
	}
	__atomic_store_n(&done, 1, __ATOMIC_RELEASE);
	for (i = 0; i < cpus; i++) {
		pthread_join(threads[i], &result);
		reads += (long)result;
	}
	ok("cpus %ld pages %llu reads %llu", cpus, (unsigned long long)round,
	   (unsigned long long)reads);
}
