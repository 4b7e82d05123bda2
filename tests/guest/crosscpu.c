// SPDX-License-Identifier: GPL-2.0
/*
 * How long another CPU of an OS waits for its shared CPU 0: crosscpu call|wake CPU COUNT.
 *
 * call: a function is called on CPU 0 (rdmsr through /dev/cpu/0/msr), which takes an
 * IPI that somebody waits for. wake: a thread that sleeps on CPU 0 is woken, which takes
 * an IPI that nobody waits for; how long until it runs. In TSC ticks, the longest
 * and the mean of COUNT, with a pause of some milliseconds between two, of a length
 * that goes through all phases of a slice.
 */
#include "guest.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#define MSR_TSC_AUX	0xc0000103

static _Atomic uint32_t turn;		/* how often the sleeper was woken */
static _Atomic uint64_t woken_tsc;
static _Atomic uint32_t answered;

static void on_cpu(unsigned int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		failed("CPU %u: %s", cpu, strerror(errno));
}

/*
 * The CPU that we are on never sleeps: emulated in turns with one that computes, it
 * would get none for long when it is woken.
 */
static pid_t stay_awake(void)
{
	const struct sched_param none = { 0 };
	pid_t child = fork();

	if (child)
		return child;
	sched_setscheduler(0, SCHED_IDLE, &none);
	for (;;)
		;
}

static void *sleeper(void *unused UNUSED)
{
	uint32_t seen = 0;

	on_cpu(0);
	for (;;) {
		while (atomic_load(&turn) == seen)
			syscall(SYS_futex, &turn, FUTEX_WAIT, seen, NULL, NULL, 0);
		atomic_store(&woken_tsc, tsc());
		seen = atomic_load(&turn);
		atomic_store(&answered, seen);
	}
	return NULL;
}

static uint64_t call(int msr)
{
	uint64_t value, began = tsc();

	if (pread(msr, &value, sizeof(value), MSR_TSC_AUX) != sizeof(value))
		failed("/dev/cpu/0/msr: %s", strerror(errno));
	return tsc() - began;
}

static uint64_t wake(void)
{
	uint64_t began = tsc();
	uint32_t mine = atomic_fetch_add(&turn, 1) + 1;
	const struct timespec pause = { 0, 1000000 };

	syscall(SYS_futex, &turn, FUTEX_WAKE, 1, NULL, NULL, 0);
	while (atomic_load(&answered) != mine)
		nanosleep(&pause, NULL);
	return atomic_load(&woken_tsc) - began;
}

int main(int argc, char **argv)
{
	uint64_t took, max = 0, sum = 0, count, n;
	pthread_t thread;
	bool calls;
	int msr = -1;
	pid_t awake;

	if (argc != 4 || (strcmp(argv[1], "call") && strcmp(argv[1], "wake")))
		usage("call|wake CPU COUNT");
	calls = !strcmp(argv[1], "call");
	count = number(argv[3]);
	if (calls)
		msr = open("/dev/cpu/0/msr", O_RDONLY);
	else if (pthread_create(&thread, NULL, sleeper, NULL))
		failed("no thread");
	if (calls && msr < 0)
		failed("/dev/cpu/0/msr: %s", strerror(errno));
	on_cpu(number(argv[2]));
	awake = stay_awake();
	for (n = 0; n < count; n++) {
		const struct timespec pause = { 0, 3000000 + n * 7919 % 10000 * 1000 };

		nanosleep(&pause, NULL);
		took = calls ? call(msr) : wake();
		sum += took;
		if (took > max)
			max = took;
	}
	kill(awake, SIGKILL);
	ok("%s n %llu max %llu mean %llu", argv[1], (unsigned long long)count,
	   (unsigned long long)max, (unsigned long long)(count ? sum / count : 0));
}
