// SPDX-License-Identifier: GPL-2.0
/*
 * Promises the scheduler's time away: leaves processes behind that have reserved
 * a part of a CPU each (SCHED_DEADLINE), so that the kernel refuses to take a
 * CPU offline that it needs for them. They only sleep: it is the reservation
 * that counts. "killall deadline" ends them.
 */
#include "guest.h"

#include <signal.h>
#include <sys/wait.h>

#define SCHED_DEADLINE	6
#define PERIOD_NSEC	100000000ull
#define MAX_TASKS	64

/* What sched_setattr(2) takes; C libraries do not declare it. */
struct attributes {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime;
	uint64_t deadline;
	uint64_t period;
};

/* Returns in the parent, once the kernel has accepted the reservation. */
static pid_t reserve(unsigned int percent)
{
	struct attributes attributes = {
		.size = sizeof(attributes),
		.policy = SCHED_DEADLINE,
		.runtime = PERIOD_NSEC / 100 * percent,
		.deadline = PERIOD_NSEC,
		.period = PERIOD_NSEC,
	};
	int error = 0, answer[2];
	pid_t pid;

	if (pipe(answer))
		failed("pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		failed("fork: %s", strerror(errno));
	if (!pid) {
		if (syscall(SYS_sched_setattr, 0, &attributes, 0))
			error = errno;
		if (write(answer[1], &error, sizeof(error)) != sizeof(error) || error)
			_exit(1);
		close(answer[0]);
		close(answer[1]);
		for (;;)
			pause();
	}
	close(answer[1]);
	if (read(answer[0], &error, sizeof(error)) != sizeof(error))
		error = EIO;
	close(answer[0]);
	if (error) {
		waitpid(pid, NULL, 0);
		errno = error;
		return -1;
	}
	return pid;
}

int main(int argc, char **argv)
{
	pid_t pids[MAX_TASKS];
	uint64_t tasks, percent, i;

	if (argc != 3)
		usage("TASKS PERCENT");
	tasks = number(argv[1]);
	percent = number(argv[2]);
	if (!tasks || tasks > MAX_TASKS || !percent || percent > 100)
		usage("TASKS PERCENT (1 to 64 tasks, 1 to 100 percent of a CPU each)");

	for (i = 0; i < tasks; i++) {
		pids[i] = reserve(percent);
		if (pids[i] < 0) {
			int error = errno;

			while (i--)
				kill(pids[i], SIGKILL);
			failed("the kernel refuses %llu tasks of %llu percent: %s",
			       (unsigned long long)tasks, (unsigned long long)percent,
			       strerror(error));
		}
	}
	ok("tasks %llu percent %llu", (unsigned long long)tasks, (unsigned long long)percent);
}
