/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is counted of each coexisting OS since its launch, as it is at one moment, and what
 * becomes of that per second between two moments. For twinos top and twinos metrics.
 */
#ifndef TWINOS_RATES_H
#define TWINOS_RATES_H

#include "libtwinos/libtwinos.h"

/* Each of them is counted of two sides. */
enum side {
	SIDE_LEADING,			/* by the leading OS: what the other one gets */
	SIDE_COEXISTING,		/* by the coexisting OS: what comes out of it */
	SIDES
};

enum measure {
	MEASURE_CPU,			/* time on a shared CPU, TSC ticks */
	MEASURE_SWITCHES,		/* gave the shared CPU away */
	MEASURE_DONATED,		/* of these, because it was idle */
	MEASURE_FOREIGN,		/* interrupts passed on to the other one */
	MEASURE_DOORBELLS,		/* interrupts sent to the other one */
	MEASURE_CONSOLE,		/* bytes */
	MEASURE_NETWORK_BYTES,
	MEASURE_NETWORK_PACKETS,
	MEASURE_NETWORK_DROPPED,
	MEASURE_NETWORK_ERRORS,
	COUNTERS,			/* those above only grow while an OS runs */
	MEASURE_AWAY_MAX = COUNTERS,	/* longest time without the shared CPU, TSC ticks */
	MEASURES
};

/* Not every kernel has every counter, and not every OS a network. */
#define UNKNOWN UINT64_MAX

struct observed {
	struct os os;
	uint64_t now;			/* when it was read, TSC ticks as all below */
	uint64_t khz;			/* TSC ticks in a millisecond; 0: not launched */
	uint64_t launch, alive;
	uint64_t moves;
	uint64_t count[MEASURES][SIDES];
};

/* All that there are, by number; os1 is there also while it is empty. */
struct reading {
	unsigned int nr;
	struct observed *os;
};

/* Per second; of MEASURE_CPU a part of the CPU, 0 to 1. Negative: not known. */
struct rates {
	double rate[COUNTERS][SIDES];
};

int read_all(const struct roots *roots, struct reading *reading);
void free_reading(struct reading *reading);
void os_rates(const struct reading *before, const struct observed *now, struct rates *rates);
void leading_rates(const struct reading *before, const struct reading *now,
		   struct rates *rates);

#endif
