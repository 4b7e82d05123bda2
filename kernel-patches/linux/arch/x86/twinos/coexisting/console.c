// SPDX-License-Identifier: GPL-2.0
/*
 * The console ring: everything that the coexisting kernel prints, kept in the shared area, so that
 * the leading OS can show the last lines of one that has crashed.
 */
#include <linux/console.h>

#include "coexisting.h"

static void ring_write(struct console *con, const char *text, unsigned int count)
{
	struct twinos_shared *shared = twinos_shared();
	char *ring = twinos_va(TWINOS_RING_OFFSET);
	u64 head = shared->ring_head;

	for (; count; count--, head++)
		ring[head & (TWINOS_RING_SIZE - 1)] = *text++;
	/* The reader in the other OS must find the text that head covers. */
	smp_store_release(&shared->ring_head, head);
}

static struct console ring_console = {
	.name	= "twinos",
	.write	= ring_write,
	.flags	= CON_ENABLED | CON_PRINTBUFFER | CON_ANYTIME,
	.index	= -1,
};

/** twinos_console_init() - coexisting OS: start to fill the console ring */
void __init twinos_console_init(void)
{
	register_console(&ring_console);
}
