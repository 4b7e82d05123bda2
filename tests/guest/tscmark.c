// SPDX-License-Identifier: GPL-2.0
/*
 * Says when user space began: reads the TSC before anything else of the
 * program runs, prints it, and becomes the program named by its arguments, if
 * any. As rdinit= it marks a kernel's first user-space instructions; in a
 * script it stamps a moment ("tscmark: ok tsc N").
 */
#include "guest.h"

static uint64_t first;

/* Ahead of every other constructor: before it is only libc's set-up. */
__attribute__((constructor(101)))
static void mark(void)
{
	first = tsc();
}

int main(int argc, char **argv)
{
	if (argc < 2)
		ok("tsc %llu", (unsigned long long)first);

	printf("tscmark: ok tsc %llu\n", (unsigned long long)first);
	fflush(stdout);
	execv(argv[1], argv + 1);
	failed("cannot run %s: %s", argv[1], strerror(errno));
}
