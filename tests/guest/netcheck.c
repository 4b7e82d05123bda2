// SPDX-License-Identifier: GPL-2.0
/*
 * One TCP connection with verified data: "serve" accepts one peer and sends
 * back what it gets until the peer closes; "talk" sends blocks of known data
 * and compares what returns, until the time is over or SIGTERM comes. The
 * connection stays open throughout, so it shows whether one survives.
 */
#include "guest.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>

#define BLOCK	8192

static void read_whole(int fd, void *buffer, size_t size)
{
	size_t done = 0;
	ssize_t got;

	while (done < size) {
		got = read(fd, (char *)buffer + done, size - done);
		if (got < 0)
			failed("receive: %s", strerror(errno));
		if (!got)
			failed("the other side closed the connection");
		done += got;
	}
}

static void write_whole(int fd, const void *buffer, size_t size)
{
	size_t done = 0;
	ssize_t sent;

	while (done < size) {
		sent = write(fd, (const char *)buffer + done, size - done);
		if (sent < 0)
			failed("send: %s", strerror(errno));
		done += sent;
	}
}

static void serve(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), peer, on = 1;
	static char block[BLOCK];
	uint64_t total = 0;
	ssize_t got;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) || listen(fd, 1))
		failed("listen: %s", strerror(errno));
	peer = accept(fd, NULL, NULL);
	if (peer < 0)
		failed("accept: %s", strerror(errno));
	while ((got = read(peer, block, sizeof(block))) > 0) {
		write_whole(peer, block, got);
		total += got;
	}
	if (got < 0)
		failed("receive: %s", strerror(errno));
	ok("served bytes %llu", (unsigned long long)total);
}

static volatile sig_atomic_t enough;

static void stop(int signal UNUSED)
{
	enough = 1;
}

static void talk(const struct sockaddr_in *address, uint64_t seconds)
{
	static uint64_t sent[BLOCK / 8], got[BLOCK / 8];
	uint64_t end, round, i;
	int fd = -1, tries;

	/* The other OS may still be on its way up: a minute of patience. */
	for (tries = 0; ; tries++) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		if (!connect(fd, (const struct sockaddr *)address, sizeof(*address)))
			break;
		if (tries == 300)
			failed("connect: %s", strerror(errno));
		close(fd);
		usleep(200000);
	}

	/* Restarts system calls: a block is always completed. */
	signal(SIGTERM, stop);
	end = nanoseconds(CLOCK_MONOTONIC) + seconds * 1000000000ull;
	for (round = 1; round == 1 || (!enough && nanoseconds(CLOCK_MONOTONIC) < end); round++) {
		for (i = 0; i < BLOCK / 8; i++)
			sent[i] = (round << 32 | i) * 0x9e3779b97f4a7c15ull;
		write_whole(fd, sent, sizeof(sent));
		read_whole(fd, got, sizeof(got));
		if (memcmp(sent, got, sizeof(sent)))
			failed("block %llu came back changed", (unsigned long long)round);
	}
	close(fd);
	ok("verified bytes %llu switches %llu", (unsigned long long)(round - 1) * BLOCK,
	   (unsigned long long)switches());
}

int main(int argc, char **argv)
{
	static const char grammar[] = "serve ADDRESS PORT | talk ADDRESS PORT SECONDS";
	struct sockaddr_in address = { .sin_family = AF_INET };

	if (argc < 4 || inet_pton(AF_INET, argv[2], &address.sin_addr) != 1)
		usage(grammar);
	address.sin_port = htons(number(argv[3]));
	if (!strcmp(argv[1], "serve") && argc == 4)
		serve(&address);
	if (!strcmp(argv[1], "talk") && argc == 5)
		talk(&address, number(argv[4]));
	usage(grammar);
}
