// SPDX-License-Identifier: GPL-2.0
/*
 * A rain of NMIs on CPU 0, from another CPU: nmirain CPU COUNT MICROSECONDS. Each is
 * sent by a write to the local APIC of the CPU that this runs on (Intel SDM 3A, 11.6.1),
 * the given time after the one before. So it meets CPU 0 anywhere, even between two
 * kernels.
 */
#include "guest.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>

#define APIC_BASE	0xfee00000
#define APIC_ICR	0x300
#define APIC_ICR2	0x310
#define ICR_BUSY	(1u << 12)
#define ICR_NMI		0x400

int main(int argc, char **argv)
{
	volatile uint32_t *apic;
	uint64_t count, n, pause, next;
	cpu_set_t cpus;
	int fd;

	if (argc != 4)
		usage("CPU COUNT MICROSECONDS");
	CPU_ZERO(&cpus);
	CPU_SET(number(argv[1]), &cpus);
	count = number(argv[2]);
	pause = number(argv[3]) * tsc_khz() / 1000;
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		failed("CPU %s: %s", argv[1], strerror(errno));
	fd = open("/dev/mem", O_RDWR | O_SYNC);
	if (fd < 0)
		failed("/dev/mem: %s", strerror(errno));
	apic = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, APIC_BASE);
	if (apic == MAP_FAILED)
		failed("local APIC: %s", strerror(errno));

	next = tsc();
	for (n = 0; n < count; n++) {
		while ((int64_t)(tsc() - next) < 0)
			;
		next += pause;
		while (apic[APIC_ICR / 4] & ICR_BUSY)
			;
		apic[APIC_ICR2 / 4] = 0;
		apic[APIC_ICR / 4] = ICR_NMI;
	}
	ok("sent %llu", (unsigned long long)n);
}
