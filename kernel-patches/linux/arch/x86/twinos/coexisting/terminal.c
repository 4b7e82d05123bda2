// SPDX-License-Identifier: GPL-2.0
/*
 * The console of a coexisting OS. What the kernel prints is in the ring from its first line on and
 * never waits; for programs there is hvc0.
 */
#include <linux/console.h>
#include <linux/irq_work.h>

#include "../both/terminal.h"
#include "coexisting.h"

static void ring(u32 number)
{
	twinos_ring_leading(TWINOS_WORK | TWINOS_NEWS);
}

/* Somebody there waits for output. */
static void ring_here(struct irq_work *work)
{
	ring(0);
}

static DEFINE_IRQ_WORK(ring_work, ring_here);

static void console_write(struct console *con, const char *text, unsigned int count)
{
	u32 *wanted = &twinos_shared()->output.data_wanted;

	twinos_print(text, count);
	if (system_state >= SYSTEM_SCHEDULING && READ_ONCE(*wanted) && xchg(wanted, 0))
		irq_work_queue(&ring_work);
}

static struct console ring_console = {
	.name	= "twinos",
	.write	= console_write,
	.flags	= CON_ENABLED | CON_PRINTBUFFER | CON_ANYTIME,
	.index	= -1,
};

/** twinos_terminal_early() - from now on what the kernel prints is kept. Boot time. */
void __init twinos_terminal_early(void)
{
	register_console(&ring_console);
}

static int __init terminal_init(void)
{
	if (!twinos_coexisting())
		return 0;
	twinos_terminals[0].shared = twinos_shared();
	twinos_terminals[0].ring = ring;
	twinos_terminals[0].live = true;
	return twinos_terminal_add(0);
}
device_initcall(terminal_init);
