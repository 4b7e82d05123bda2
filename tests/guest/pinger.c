// SPDX-License-Identifier: GPL-2.0
/*
 * Round-trip times of ICMP echo requests, measured with the TSC. Runs with
 * real-time priority: beside a computing process it shall measure the other
 * OS's reply, not its own wait for the CPU.
 */
#include "guest.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <sys/socket.h>
#include <sys/time.h>

#define MAX_COUNT	10000

static uint16_t checksum(const void *data, size_t size)
{
	const uint16_t *word = data;
	uint32_t sum = 0;

	for (; size; size -= 2)
		sum += *word++;
	sum = (sum >> 16) + (sum & 0xffff);
	sum += sum >> 16;
	return ~sum;
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Waits for the reply with this sequence number; 0 when none comes in time. */
static int reply(int fd, uint16_t id, uint16_t sequence)
{
	unsigned char packet[1500];
	const struct icmphdr *icmp;
	ssize_t got;

	for (;;) {
		got = recv(fd, packet, sizeof(packet), 0);
		if (got < 0)
			return 0;
		icmp = (const struct icmphdr *)(packet + (packet[0] & 15) * 4);
		if (got >= (packet[0] & 15) * 4 + (ssize_t)sizeof(*icmp) &&
		    icmp->type == ICMP_ECHOREPLY && icmp->un.echo.id == id &&
		    icmp->un.echo.sequence == sequence)
			return 1;
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct timeval patience = { .tv_sec = 2 };
	struct { struct icmphdr header; char data[56]; } request = { 0 };
	static uint64_t ticks[MAX_COUNT];
	uint64_t count, replies = 0, i, begin, interval;
	double per_us;
	int fd;

	if (argc != 4 || inet_pton(AF_INET, argv[1], &address.sin_addr) != 1)
		usage("ADDRESS COUNT INTERVAL_MS");
	count = number(argv[2]);
	interval = number(argv[3]) * 1000;
	if (!count || count > MAX_COUNT)
		usage("ADDRESS COUNT INTERVAL_MS (COUNT: 1 to 10000)");
	per_us = tsc_khz() / 1e3;
	fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	if (fd < 0)
		failed("socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	run_first(20);

	for (i = 0; i < count; i++) {
		request.header.type = ICMP_ECHO;
		request.header.un.echo.id = htons(getpid() & 0xffff);
		request.header.un.echo.sequence = htons(i);
		request.header.checksum = 0;
		request.header.checksum = checksum(&request, sizeof(request));
		begin = tsc();
		if (sendto(fd, &request, sizeof(request), 0, (struct sockaddr *)&address,
			   sizeof(address)) < 0)
			failed("send: %s", strerror(errno));
		if (reply(fd, request.header.un.echo.id, request.header.un.echo.sequence))
			ticks[replies++] = tsc() - begin;
		usleep(interval);
	}
	/* One lost packet in twenty would hide what the median says. */
	if (replies < count - count / 20)
		failed("%llu of %llu unanswered", (unsigned long long)(count - replies),
		       (unsigned long long)count);
	qsort(ticks, replies, sizeof(ticks[0]), ascending);
	ok("replies %llu of %llu min_us %.1f median_us %.1f p95_us %.1f max_us %.1f",
	   (unsigned long long)replies, (unsigned long long)count, ticks[0] / per_us,
	   ticks[replies / 2] / per_us, ticks[replies * 95 / 100] / per_us,
	   ticks[replies - 1] / per_us);
}
