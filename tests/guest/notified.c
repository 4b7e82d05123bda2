// SPDX-License-Identifier: GPL-2.0
/*
 * The supervisor's end of sd_notify(3): prints the lines of each datagram that comes to a
 * socket, a path or "@" and an abstract name. Ready when it has printed "listening".
 */
#include "guest.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char text[4096];
	ssize_t size;
	int fd;

	if (argc != 2 || strlen(argv[1]) >= sizeof(address.sun_path))
		usage("SOCKET");
	strcpy(address.sun_path, argv[1]);
	if (*argv[1] == '@')
		address.sun_path[0] = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address,
			   offsetof(struct sockaddr_un, sun_path) + strlen(argv[1])))
		failed("%s: %s", argv[1], strerror(errno));
	puts("listening");
	fflush(stdout);
	while ((size = recv(fd, text, sizeof(text), 0)) > 0) {
		fwrite(text, 1, size, stdout);
		fflush(stdout);
	}
	failed("recv: %s", strerror(errno));
}
