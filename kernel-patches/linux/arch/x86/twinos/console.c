// SPDX-License-Identifier: GPL-2.0
/*
 * The console ring: everything that the coexisting kernel prints, kept in the
 * shared area, so that the leading OS can show the last lines of one that has
 * crashed. Each line printed is also a chance for the leading OS to run while
 * the coexisting kernel cannot be interrupted yet.
 */
#include <linux/console.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/string.h>

#include "twinos.h"

static char *ring(const struct twinos_shared *shared, u64 pos)
{
	return (char *)shared - TWINOS_SHARED_OFFSET + TWINOS_RING_OFFSET +
	       (pos & (TWINOS_RING_SIZE - 1));
}

static void ring_write(struct console *con, const char *text, unsigned int count)
{
	struct twinos_shared *shared = twinos_shared();
	u64 head = shared->ring_head;

	for (; count; count--, head++)
		*ring(shared, head) = *text++;
	/* The reader in the other OS must find the text that head covers. */
	smp_store_release(&shared->ring_head, head);
	twinos_yield_early();
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

/**
 * twinos_ring_read() - leading OS: read what the coexisting kernel printed
 * @shared: its shared page
 * @buf: where to
 * @pos: offset from the oldest byte that is still there
 * @count: bytes wanted
 *
 * Returns the number of bytes copied, 0 at the end. Process context.
 */
size_t twinos_ring_read(const struct twinos_shared *shared, char *buf, loff_t pos, size_t count)
{
	/* Pairs with the release in ring_write(). */
	u64 head = smp_load_acquire(&shared->ring_head);
	u64 size = min_t(u64, head, TWINOS_RING_SIZE);
	size_t i;

	if (pos < 0 || pos >= size)
		return 0;
	count = min_t(u64, count, size - pos);
	for (i = 0; i < count; i++)
		buf[i] = *ring(shared, head - size + pos + i);
	return count;
}
