// SPDX-License-Identifier: GPL-2.0
/*
 * The protocol of sd_notify(3): each message is one datagram to the socket that
 * NOTIFY_SOCKET names, a path or, with "@" in front, an abstract name. It is little enough
 * that no library is worth its weight in an initramfs, or on a system without systemd.
 */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "notify.h"

static int send_to(const char *name, const char *text)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const size_t length = strlen(name);
	ssize_t sent;
	int fd;

	/* A path has its NUL, an abstract name has no end but that of the address. */
	if ((*name != '/' && *name != '@') || length < 2 || length >= sizeof(address.sun_path))
		return EINVAL;
	memcpy(address.sun_path, name, length);
	if (*name == '@')
		address.sun_path[0] = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	sent = sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address,
		      offsetof(struct sockaddr_un, sun_path) + length + (*name == '/'));
	if (sent < 0) {
		close(fd);
		return errno;
	}
	close(fd);
	return 0;
}

void notify(const char *format, ...)
{
	static int told;
	const char *name = getenv("NOTIFY_SOCKET");
	char text[2048];
	va_list args;
	int err;

	if (!name || !*name)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	err = send_to(name, text);
	if (!err || told)
		return;
	told = 1;
	fprintf(stderr, "twinos: the supervisor cannot be told: NOTIFY_SOCKET=%s: %s\n", name,
		strerror(err));
}

double watchdog_seconds(void)
{
	const char *interval = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

	if (!interval || (pid && strtol(pid, NULL, 10) != getpid()))
		return 0;
	return strtoull(interval, NULL, 10) / 1e6;
}
