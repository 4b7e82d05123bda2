// SPDX-License-Identifier: GPL-2.0
/*
 * Runs a program as an ordinary user, for the tests of what needs privilege.
 */
#include "guest.h"

#include <grp.h>

int main(int argc, char **argv)
{
	if (argc < 2)
		usage("PROGRAM [ARGUMENT...]");
	if (setgroups(0, NULL) || setgid(1000) || setuid(1000))
		failed("cannot become an ordinary user: %s", strerror(errno));
	execvp(argv[1], argv + 1);
	failed("cannot run %s: %s", argv[1], strerror(errno));
}
