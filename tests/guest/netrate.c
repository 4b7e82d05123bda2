// SPDX-License-Identifier: GPL-2.0
/*
 * How fast TCP is. "serve ADDRESS PORT" answers one peer after the other; "stream ADDRESS PORT
 * MEGABYTES" sends so much to one and waits until all of it has been read, "ping ADDRESS PORT COUNT"
 * sends a byte and waits for it to come back, so often. Time is CLOCK_MONOTONIC.
 * "flood ADDRESS PORT COUNT" sends datagrams that nobody answers, one a millisecond.
 */
#include "guest.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>

#define BLOCK	(256 << 10)

static char block[BLOCK];

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void answer(int peer)
{
	char what;
	ssize_t got;

	if (read(peer, &what, 1) != 1)
		return;
	if (what == 'p') {
		while (read(peer, &what, 1) == 1 && write(peer, &what, 1) == 1)
			;
		return;
	}
	while ((got = read(peer, block, sizeof(block))) > 0)
		;
	if (!got && write(peer, &what, 1) != 1)
		failed("send: %s", strerror(errno));
}

static void serve(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1, peer;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) || listen(fd, 4))
		failed("listen: %s", strerror(errno));
	for (;;) {
		peer = accept(fd, NULL, NULL);
		if (peer < 0)
			failed("accept: %s", strerror(errno));
		setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		answer(peer);
		close(peer);
	}
}

static int reach(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)))
		failed("connect: %s", strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

static void stream(const struct sockaddr_in *address, long megabytes)
{
	uint64_t left = megabytes * 1000000ull;
	int fd = reach(address);
	double begin = now();
	ssize_t sent;
	char end;

	if (write(fd, "s", 1) != 1)
		failed("send: %s", strerror(errno));
	for (; left; left -= sent) {
		sent = write(fd, block, left < BLOCK ? left : BLOCK);
		if (sent < 0)
			failed("send: %s", strerror(errno));
	}
	shutdown(fd, SHUT_WR);
	if (read(fd, &end, 1) != 1)
		failed("the other side has not read all");
	printf("netrate: stream %.3f MB/s\n", megabytes / (now() - begin));
}

static void ping(const struct sockaddr_in *address, long count)
{
	int fd = reach(address);
	double begin;
	char byte = 'p';
	long i;

	if (write(fd, &byte, 1) != 1)
		failed("send: %s", strerror(errno));
	begin = now();
	for (i = 0; i < count; i++)
		if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
			failed("ping %ld: %s", i, strerror(errno));
	printf("netrate: round trip %.3f us\n", (now() - begin) / count * 1e6);
}

static void flood(const struct sockaddr_in *address, long count)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	while (count--) {
		sendto(fd, block, 100, MSG_DONTWAIT, (const struct sockaddr *)address,
		       sizeof(*address));
		usleep(1000);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET };

	signal(SIGPIPE, SIG_IGN);
	setlinebuf(stdout);
	if (argc < 4 || inet_pton(AF_INET, argv[2], &address.sin_addr) != 1)
		failed("usage: netrate serve|stream|ping|flood ADDRESS PORT [MEGABYTES|COUNT]");
	address.sin_port = htons(atoi(argv[3]));
	if (!strcmp(argv[1], "serve"))
		serve(&address);
	else if (argc > 4 && !strcmp(argv[1], "stream"))
		stream(&address, atol(argv[4]));
	else if (argc > 4 && !strcmp(argv[1], "ping"))
		ping(&address, atol(argv[4]));
	else if (argc > 4 && !strcmp(argv[1], "flood"))
		flood(&address, atol(argv[4]));
	else
		failed("it wants to know how much");
	return 0;
}
