// SPDX-License-Identifier: GPL-2.0
/*
 * Are the debug registers kept? A traced child has write watchpoints on four
 * words (DR0 to DR3) and writes each in turn with a long spin before it; every
 * write must trap, with the right bit in DR6, and nothing else may. With "cpu" the
 * watchpoint is CPU 0's, not a task's: it is in force whatever runs at a switch, and
 * must have counted every write.
 */
#include "guest.h"

#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

static volatile uint64_t watched[4] __attribute__((aligned(64)));

static void count_on_cpu(uint64_t wanted, uint64_t end)
{
	struct perf_event_attr attr = {
		.type		= PERF_TYPE_BREAKPOINT,
		.size		= sizeof(attr),
		.pinned		= 1,
		.bp_type	= HW_BREAKPOINT_W,
		.bp_addr	= (uintptr_t)&watched[0],
		.bp_len		= HW_BREAKPOINT_LEN_8,
	};
	int event = syscall(SYS_perf_event_open, &attr, -1, 0, -1, 0);
	uint64_t first = switches(), writes = 0, counted, begin;

	if (event < 0)
		failed("perf_event_open: %s", strerror(errno));
	while (nanoseconds(CLOCK_MONOTONIC) < end || switches() - first < wanted) {
		for (begin = tsc(); tsc() - begin < tsc_khz() * 7; )
			;
		watched[0] = ++writes;
	}
	if (read(event, &counted, sizeof(counted)) != sizeof(counted))
		failed("the watchpoint is no longer in force");
	if (counted != writes)
		failed("%llu of %llu writes were seen", (unsigned long long)counted,
		       (unsigned long long)writes);
	ok("writes %llu switches %llu", (unsigned long long)writes,
	   (unsigned long long)(switches() - first));
}

static void child(void)
{
	volatile uint64_t spin;
	uint64_t i, begin, pause = tsc_khz() * 7;

	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	for (i = 0; ; i++) {
		for (begin = tsc(), spin = 0; tsc() - begin < pause; )
			spin++;
		watched[i % 4] = i;
	}
}

static long peek(pid_t pid, int number)
{
	errno = 0;
	return ptrace(PTRACE_PEEKUSER, pid, offsetof(struct user, u_debugreg[number]), NULL);
}

static void poke(pid_t pid, int number, long value)
{
	if (ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, u_debugreg[number]), value))
		failed("setting DR%d: %s", number, strerror(errno));
}

int main(int argc, char **argv)
{
	uint64_t wanted, first, end, traps;
	int status, i;
	pid_t pid;

	if (argc != 3 && argc != 4)
		usage("SECONDS SWITCHES [DR7|cpu] (ends when both are reached)");
	end = nanoseconds(CLOCK_MONOTONIC) + number(argv[1]) * 1000000000ull;
	wanted = number(argv[2]);
	if (argc == 4 && !strcmp(argv[3], "cpu"))
		count_on_cpu(wanted, end);
	first = switches();

	pid = fork();
	if (pid < 0)
		failed("fork: %s", strerror(errno));
	if (!pid)
		child();
	ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_EXITKILL);
	waitpid(pid, &status, 0);
	for (i = 0; i < 4; i++)
		poke(pid, i, (long)&watched[i]);
	/* Each enabled locally, on writes (01) of eight bytes (10). */
	poke(pid, 7, argc == 4 ? number(argv[3]) : 0x99990055);

	for (traps = 0; ; traps++) {
		if (ptrace(PTRACE_CONT, pid, NULL, NULL))
			failed("continuing: %s", strerror(errno));
		waitpid(pid, &status, 0);
		if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
			failed("trap %llu: wait status %x", (unsigned long long)traps, status);
		if ((peek(pid, 6) & 15) != 1 << traps % 4)
			failed("trap %llu: DR6 is %lx", (unsigned long long)traps, peek(pid, 6));
		poke(pid, 6, 0);
		for (i = 0; i < 4; i++) {
			if (peek(pid, i) != (long)&watched[i])
				failed("DR%d is %lx", i, peek(pid, i));
		}
		/* The word itself: the write just trapped must have happened. */
		if ((uint64_t)ptrace(PTRACE_PEEKDATA, pid, &watched[traps % 4], NULL) != traps)
			failed("a write went by without a trap before number %llu",
			       (unsigned long long)traps);
		if (nanoseconds(CLOCK_MONOTONIC) >= end && switches() - first >= wanted)
			break;
		if (nanoseconds(CLOCK_MONOTONIC) > end + 600000000000ull)
			failed("%llu switches in ten minutes more than given, %llu wanted",
			       (unsigned long long)(switches() - first),
			       (unsigned long long)wanted);
	}
	ptrace(PTRACE_KILL, pid, NULL, NULL);
	ok("traps %llu switches %llu", (unsigned long long)traps + 1,
	   (unsigned long long)(switches() - first));
}
