// SPDX-License-Identifier: GPL-2.0
/*
 * What an OS prints, as it prints it. The kernel keeps the last 64 KiB of it in osN/log and
 * counts all of it in osN/stats, and both go on while they are read.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "libtwinos.h"

#define TRIES 50

/* False if it was not launched, or has been unloaded. */
static bool read_counts(const struct roots *roots, uint32_t id, uint64_t *launch,
			uint64_t *bytes)
{
	char *stats;

	if (read_os_file(roots, id, "stats", &stats, NULL))
		return false;
	*launch = statistic(stats, "launch_tsc");
	*bytes = statistic(stats, "log_bytes");
	free(stats);
	return *launch;
}

/* Returns how much it was, -errno if it cannot be read. */
static ssize_t read_log(const struct roots *roots, uint32_t id, char *text, uint64_t from,
			size_t size)
{
	char path[300];
	ssize_t n = 0;
	size_t done = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/kernel/twinos/os%u/log", roots->sys, id);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (done < size && (n = pread(fd, text + done, size - done, from + done)) > 0)
		done += n;
	if (n < 0)
		n = -errno;
	close(fd);
	return n < 0 ? n : (ssize_t)done;
}

/**
 * read_console() - what has been printed since the last time
 * @console: with the number alone, for all that is still there
 * @printed: its text is to be freed
 *
 * Nothing is new of an OS that has gone; that it has, its state says.
 */
int read_console(const struct roots *roots, struct console *console, struct printed *printed)
{
	uint64_t launch, launch_after, bytes, after, first, from;
	unsigned int tries;
	ssize_t n;

	*printed = (struct printed){ 0 };
	for (tries = 0; tries < TRIES; tries++) {
		if (!read_counts(roots, console->id, &launch, &bytes))
			return 0;
		if (launch != console->launch) {
			printed->again = console->launch;
			console->launch = launch;
			console->bytes = 0;
		}
		/* The file begins with the oldest byte that is still there. */
		first = bytes > TWINOS_RING_SIZE ? bytes - TWINOS_RING_SIZE : 0;
		from = console->bytes > first ? console->bytes : first;
		free(printed->text);
		printed->text = NULL;
		printed->size = 0;
		if (bytes <= from)
			return 0;
		printed->text = malloc(bytes - from);
		if (!printed->text)
			return refuse(ENOMEM, "not enough memory");
		n = read_log(roots, console->id, printed->text, from - first, bytes - from);
		if (n < 0 && n != -ENOENT && n != -ENODEV)
			return refuse(EIO, "the log of coexisting OS %u cannot be read: %s",
				      console->id, strerror(-n));
		if (!read_counts(roots, console->id, &launch_after, &after))
			launch_after = 0;
		printed->size = n < 0 ? 0 : n;
		/* Another's log, or one that has moved on below: not until it is quiet for once. */
		if (launch_after && launch_after != launch)
			continue;
		if (after == bytes || after <= TWINOS_RING_SIZE || !launch_after)
			break;
	}
	printed->lost = from - console->bytes;
	/* It never is, so what was in between is taken for lost. */
	if (tries == TRIES && after > bytes)
		printed->lost += after - bytes;
	console->bytes = bytes;
	return 0;
}
