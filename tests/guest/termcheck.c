// SPDX-License-Identifier: GPL-2.0
/*
 * termcheck DEVICE SEND RECEIVE MEGABYTES [LIMIT]: a terminal loses, doubles and changes no byte.
 *
 * Sends so many megabytes of the stream with the number SEND and reads as many of the one with the
 * number RECEIVE, both at once, each byte compared. What is read before the stream begins is
 * passed over: it begins with a line of its own. Nothing else is sent before that of the other
 * side is there, since nobody might read yet. Takes LIMIT seconds at most (300).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define PIECE 4096

static void die(const char *what)
{
	printf("termcheck: %s: %s\n", what, strerror(errno));
	exit(1);
}

struct stream {
	uint64_t state, done;
	char begin[40];
	size_t begun;		/* of the line that it begins with */
};

static struct stream stream(unsigned int number)
{
	struct stream s = { .state = 0x9e3779b97f4a7c15 * (number + 1) };

	snprintf(s.begin, sizeof(s.begin), "\nstream %u begins here\n", number);
	return s;
}

/* All values of a byte, in no order that repeats. */
static uint8_t next(struct stream *s)
{
	s->state ^= s->state << 13;
	s->state ^= s->state >> 7;
	s->state ^= s->state << 17;
	s->done++;
	return s->state >> 32;
}

static size_t fill(struct stream *s, uint8_t *buffer, uint64_t size, int answered)
{
	size_t n = 0;

	while (s->begun < strlen(s->begin))
		buffer[n++] = s->begin[s->begun++];
	while (answered && n < PIECE && s->done < size)
		buffer[n++] = next(s);
	return n;
}

static void check(struct stream *s, const uint8_t *buffer, size_t n, uint64_t size)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (s->begun < strlen(s->begin)) {
			s->begun = buffer[i] == s->begin[s->begun] ? s->begun + 1 :
				   buffer[i] == s->begin[0];
			continue;
		}
		if (s->done == size)	/* what comes behind it is none of ours */
			return;
		if (buffer[i] != next(s)) {
			printf("termcheck: byte %llu is wrong\n", (unsigned long long)s->done);
			exit(1);
		}
	}
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	uint8_t out[PIECE + 64], in[PIECE];
	size_t out_size = 0, out_done = 0;
	struct stream sent, received;
	struct termios raw;
	double begin, limit;
	uint64_t size;
	int fd;

	if (argc < 5) {
		puts("usage: termcheck DEVICE SEND RECEIVE MEGABYTES [LIMIT]");
		return 100;
	}
	sent = stream(atoi(argv[2]));
	received = stream(atoi(argv[3]));
	size = atof(argv[4]) * 1000000;
	fd = open(argv[1], O_RDWR | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || tcgetattr(fd, &raw))
		die(argv[1]);
	cfmakeraw(&raw);
	if (tcsetattr(fd, TCSANOW, &raw))
		die("tcsetattr");
	begin = now();
	limit = begin + (argc > 5 ? atof(argv[5]) : 300);
	while (received.done < size || sent.done < size || out_done < out_size) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (out_done == out_size) {
			out_size = fill(&sent, out, size,
					received.begun == strlen(received.begin));
			out_done = 0;
		}
		if (out_size)
			p.events |= POLLOUT;
		if (poll(&p, 1, 1000) < 0)
			die("poll");
		if (now() > limit) {
			printf("termcheck: sent %llu, received %llu when the time was over\n",
			       (unsigned long long)sent.done, (unsigned long long)received.done);
			return 1;
		}
		if (p.revents & POLLOUT && out_done < out_size) {
			n = write(fd, out + out_done, out_size - out_done);
			if (n < 0 && errno != EAGAIN)
				die("write");
			out_done += n > 0 ? n : 0;
		}
		if (p.revents & POLLIN) {
			n = read(fd, in, sizeof(in));
			if (n < 0 && errno != EAGAIN)
				die("read");
			check(&received, in, n > 0 ? n : 0, size);
		}
	}
	tcdrain(fd);
	printf("termcheck: ok, %s MB each way in %.2f s\n", argv[4], now() - begin);
	return 0;
}
