/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the guest programs share: the time-stamp counter, numbers read
 * strictly, the kernel's TwinOS statistics, and the one line with which every
 * program ends: "NAME: ok ..." (exit 0) or "NAME: FAILED ..." (exit 1).
 * A wrong command line is exit 100.
 */
#ifndef TWINOS_GUEST_H
#define TWINOS_GUEST_H

/* First of all headers, for this. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define UNUSED		__attribute__((unused))

/* Loads after it are not executed before it, so that it ends an interval. */
static inline uint64_t tsc(void)
{
	uint32_t low, high;

	asm volatile("lfence; rdtsc; lfence" : "=a" (low), "=d" (high) :: "memory");
	return (uint64_t)high << 32 | low;
}

static UNUSED void verdict(const char *word, const char *format, va_list args)
{
	char line[512];

	/* One write: lines of programs that share a console stay whole. */
	vsnprintf(line, sizeof(line), format, args);
	printf("%s: %s%s%s\n", program_invocation_short_name, word, *line ? " " : "", line);
	fflush(stdout);
}

__attribute__((noreturn, format(printf, 1, 2)))
static UNUSED void ok(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	verdict("ok", format, args);
	va_end(args);
	exit(0);
}

__attribute__((noreturn, format(printf, 1, 2)))
static UNUSED void failed(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	verdict("FAILED", format, args);
	va_end(args);
	exit(1);
}

__attribute__((noreturn))
static UNUSED void usage(const char *grammar)
{
	fprintf(stderr, "usage: %s %s\n", program_invocation_short_name, grammar);
	exit(100);
}

/* A whole non-negative number, decimal or 0x...; anything else is exit 100. */
static UNUSED uint64_t number(const char *text)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (!isdigit((unsigned char)*text) || *end || errno) {
		fprintf(stderr, "%s: '%s' is not a number\n",
			program_invocation_short_name, text);
		exit(100);
	}
	return value;
}

/*
 * A value of the TwinOS statistics, whichever OS this is. Returns 0 and leaves
 * *value alone where the kernel has no such line (or no TwinOS).
 */
static UNUSED int statistic(const char *key, uint64_t *value)
{
	static const char * const paths[] = {
		"/sys/kernel/twinos/os1/stats", "/sys/kernel/twinos/stats",
	};
	size_t i, length = strlen(key);
	char line[256];
	int found = 0;
	FILE *file;

	for (i = 0; i < ARRAY_SIZE(paths) && !found; i++) {
		file = fopen(paths[i], "r");
		if (!file)
			continue;
		while (!found && fgets(line, sizeof(line), file)) {
			if (strncmp(line, key, length) || line[length] != ' ')
				continue;
			*value = strtoull(line + length + 1, NULL, 0);
			found = 1;
		}
		fclose(file);
	}
	return found;
}

/* OS switches so far, both ways; 0 without TwinOS. */
static UNUSED uint64_t switches(void)
{
	uint64_t leading = 0, coexisting = 0;

	statistic("leading_switches", &leading);
	statistic("coexisting_switches", &coexisting);
	return leading + coexisting;
}

/* Ahead of every ordinary process. musl has no sched_setscheduler(). */
static UNUSED void run_first(int priority)
{
	int param = priority;

	if (syscall(SYS_sched_setscheduler, 0, 1 /* SCHED_FIFO */, &param))
		failed("sched_setscheduler: %s", strerror(errno));
	mlockall(MCL_CURRENT);
}

static UNUSED uint64_t nanoseconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

/*
 * TSC and monotonic clock of one moment: of some tries the one that took the
 * fewest ticks, so that a moment in which something else ran does not count.
 */
static UNUSED void moment(uint64_t *ticks, uint64_t *nsec)
{
	uint64_t before, after, now, shortest = UINT64_MAX;
	int i;

	for (i = 0; i < 50; i++) {
		before = tsc();
		now = nanoseconds(CLOCK_MONOTONIC);
		after = tsc();
		if (after - before >= shortest)
			continue;
		shortest = after - before;
		*ticks = before + shortest / 2;
		*nsec = now;
	}
}

/*
 * TSC ticks per millisecond: what the kernel says, or else what 100 ms or more
 * of the monotonic clock say.
 */
static UNUSED uint64_t tsc_khz(void)
{
	uint64_t khz = 0, ticks, nsec, ticks_end, nsec_end;

	if (statistic("tsc_khz", &khz) && khz)
		return khz;
	moment(&ticks, &nsec);
	usleep(100000);
	moment(&ticks_end, &nsec_end);
	return (ticks_end - ticks) * 1000000 / (nsec_end - nsec);
}

#endif /* TWINOS_GUEST_H */
