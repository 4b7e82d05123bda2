// SPDX-License-Identifier: GPL-2.0
/*
 * How long another CPU of an OS waits for its shared CPU 0: crosscpu call|wake CPU COUNT,
 * crosscpu lock CPU COUNT FILES.
 *
 * call: a function is called on CPU 0 (rdmsr through /dev/cpu/0/msr), which takes an
 * IPI that somebody waits for. wake: a thread that sleeps on CPU 0 is woken, which takes
 * an IPI that nobody waits for; how long until it runs. In TSC ticks, the longest
 * and the mean of COUNT, with a pause of some milliseconds between two, of a length
 * that goes through all phases of a slice.
 *
 * lock: a thread on CPU 0 takes a spinlock of the kernel again and again, that of the
 * process's table of open files, and marks FILES entries while it has it, with preemption
 * off and interrupts on. So it has the lock nearly always, and for as long as FILES says.
 * How long until a thread on the other CPU, which marks one entry COUNT times without a
 * pause, has had it.
 *
 * crosscpu compute: compute until killed, and end the turn of this emulated CPU at times.
 */
#include "guest.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>

#define MSR_TSC_AUX	0xc0000103

static _Atomic uint32_t turn;		/* how often the sleeper was woken */
static _Atomic uint64_t woken_tsc;
static _Atomic uint32_t answered;
static int msr;
static unsigned int files;		/* entries of the table */
static _Atomic uint32_t held;		/* the holder has had the lock */

static void on_cpu(unsigned int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		failed("CPU %u: %s", cpu, strerror(errno));
}

/*
 * CPUs that are emulated in turns: the next one goes on at once. One that computes without
 * this has all the time between two events of the machine.
 */
static void end_turn(void)
{
	asm volatile("pause");
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

static void prepare_call(void)
{
	msr = open("/dev/cpu/0/msr", O_RDONLY);
	if (msr < 0)
		failed("/dev/cpu/0/msr: %s", strerror(errno));
}

static uint64_t call(void)
{
	uint64_t value, began = tsc();

	if (pread(msr, &value, sizeof(value), MSR_TSC_AUX) != sizeof(value))
		failed("/dev/cpu/0/msr: %s", strerror(errno));
	return tsc() - began;
}

static void begin_thread(void *(*thread)(void *))
{
	pthread_t unused;

	if (pthread_create(&unused, NULL, thread, NULL))
		failed("no thread");
}

static void prepare_wake(void)
{
	begin_thread(sleeper);
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

/* In one system call, which has the lock for as long as it takes. */
static void mark(unsigned int first, unsigned int last)
{
	if (syscall(SYS_close_range, first, last, CLOSE_RANGE_CLOEXEC))
		failed("close_range: %s", strerror(errno));
}

static void *holder(void *unused UNUSED)
{
	on_cpu(0);
	for (;;) {
		mark(0, files - 1);
		atomic_store(&held, 1);
		end_turn();
	}
	return NULL;
}

/* Nothing else is to run on this CPU: it would count as waiting. */
static void prepare_lock(void)
{
	const struct rlimit limit = { files, files };

	if (setrlimit(RLIMIT_NOFILE, &limit) || dup2(0, files - 1) < 0)
		failed("%u files: %s", files, strerror(errno));
	begin_thread(holder);
	while (!atomic_load(&held))
		end_turn();
	run_first(1);
}

static uint64_t lock(void)
{
	uint64_t took, began = tsc();

	mark(0, 0);
	took = tsc() - began;
	end_turn();
	return took;
}

static void compute(void)
{
	uint64_t count;

	for (;;) {
		for (count = 5000; count; count--)
			asm volatile("");
		end_turn();
	}
}

static const struct way {
	const char *name;
	int words;			/* of the command line */
	void (*prepare)(void);		/* on CPU */
	uint64_t (*once)(void);		/* returns ticks */
	uint64_t pause_ns;		/* between two; the least */
} ways[] = {
	{ "call", 4, prepare_call, call, 3000000 },
	{ "wake", 4, prepare_wake, wake, 3000000 },
	{ "lock", 5, prepare_lock, lock, 0 },
	{ "compute", 2, compute, NULL, 0 },
};

int main(int argc, char **argv)
{
	uint64_t took, max = 0, sum = 0, count, n;
	const struct way *way = ways;
	pid_t awake = 0;

	while (argc < 2 || strcmp(argv[1], way->name) || argc != way->words)
		if (++way == ways + ARRAY_SIZE(ways))
			usage("call|wake CPU COUNT | lock CPU COUNT FILES | compute");
	if (argc > 4)
		files = number(argv[4]);
	if (argc > 2)
		on_cpu(number(argv[2]));
	way->prepare();
	count = number(argv[3]);
	if (way->pause_ns)
		awake = stay_awake();
	for (n = 0; n < count; n++) {
		const struct timespec pause = { 0, way->pause_ns + n * 7919 % 10000 * 1000 };

		if (way->pause_ns)
			nanosleep(&pause, NULL);
		took = way->once();
		sum += took;
		if (took > max)
			max = took;
	}
	if (awake)
		kill(awake, SIGKILL);
	ok("%s n %llu max %llu mean %llu", way->name, (unsigned long long)count,
	   (unsigned long long)max, (unsigned long long)(count ? sum / count : 0));
}
