// SPDX-License-Identifier: GPL-2.0
/*
 * The console of a coexisting OS: two rings of bytes in its shared area, of which the other ends
 * are the leading OS's. What the kernel prints is there from its first line on and never waits. As
 * a terminal it is hvc0, for programs: they wait if somebody reads and the ring is full.
 */
#include <linux/console.h>
#include <linux/irq_work.h>
#include <linux/virtio_ids.h>

#include "../../../../drivers/tty/hvc/hvc_console.h"
#include "../both/virtio.h"
#include "coexisting.h"

#define OUTPUT_BUFFER	4096

static struct hvc_struct *hvc;
static DEFINE_RAW_SPINLOCK(output_lock);
static bool waiting;		/* for room for output */

static struct twinos_terminal *terminal(void)
{
	return twinos_va(TWINOS_TERMINAL_OFFSET);
}

/* Somebody there waits for output. */
static void ring_here(struct irq_work *work)
{
	twinos_ring_leading(TWINOS_WORK | TWINOS_NEWS);
}

static DEFINE_IRQ_WORK(ring_work, ring_here);

static void append(const u8 *text, size_t count)
{
	struct twinos_shared *shared = twinos_shared();
	char *ring = twinos_va(TWINOS_RING_OFFSET);
	u64 head = shared->ring_head;

	while (count--)
		ring[head++ & (TWINOS_RING_SIZE - 1)] = *text++;
	/* The reader in the other OS must find the text that head covers. */
	smp_store_release(&shared->ring_head, head);
	smp_mb();	/* and this what it wants */
	if (system_state >= SYSTEM_SCHEDULING && READ_ONCE(shared->log_wanted) &&
	    xchg(&shared->log_wanted, 0))
		irq_work_queue(&ring_work);
}

/* Whoever dies must not wait for a lock that he may hold. */
static bool lock_output(unsigned long *flags)
{
	local_irq_save(*flags);
	if (oops_in_progress)
		return raw_spin_trylock(&output_lock);
	raw_spin_lock(&output_lock);
	return true;
}

static void unlock_output(bool locked, unsigned long flags)
{
	if (locked)
		raw_spin_unlock(&output_lock);
	local_irq_restore(flags);
}

/* ---- what the kernel prints ---- */

static void console_write(struct console *con, const char *text, unsigned int count)
{
	unsigned long flags;
	bool locked = lock_output(&flags);
	const char *end = text + count, *line;

	while (text < end) {
		line = memchr(text, '\n', end - text) ?: end;
		append(text, line - text);
		if (line < end)
			append("\r\n", 2);
		text = line + 1;
	}
	unlock_output(locked, flags);
}

static struct console ring_console = {
	.name	= "twinos",
	.write	= console_write,
	.flags	= CON_ENABLED | CON_PRINTBUFFER | CON_ANYTIME,
	.index	= -1,
};

/* ---- the terminal ---- */

static size_t output_room(void)
{
	u64 used;

	if (!smp_load_acquire(&terminal()->reading))
		return TWINOS_RING_SIZE;
	used = twinos_shared()->ring_head - READ_ONCE(terminal()->output_tail);
	/* More than there can be has been overwritten, and is lost already. */
	return used > TWINOS_RING_SIZE ? TWINOS_RING_SIZE : TWINOS_RING_SIZE - used;
}

/* hvc has a console of its own, which only serves to open /dev/console: ours has printed it. */
static ssize_t put_chars(u32 number, const u8 *buf, size_t count)
{
	unsigned long flags;
	size_t written;
	bool locked;

	if (!hvc || buf != hvc->outbuf)
		return count;
	locked = lock_output(&flags);
	written = min(count, output_room());
	if (written < count) {
		WRITE_ONCE(waiting, true);
		WRITE_ONCE(terminal()->room_wanted, 1);
		smp_mb();	/* pairs with read_output() in leading/terminal.c */
		written = min(count, output_room());
	}
	append(buf, written);
	unlock_output(locked, flags);
	return written ?: -EAGAIN;
}

static ssize_t get_chars(u32 number, u8 *buf, size_t count)
{
	struct twinos_terminal *t = terminal();
	const u8 *ring = twinos_va(TWINOS_INPUT_OFFSET);
	u64 head = smp_load_acquire(&t->input_head), tail = t->input_tail;
	size_t i;

	if (head == tail) {
		WRITE_ONCE(t->input_wanted, 1);
		smp_mb();	/* pairs with terminal_write() in leading/terminal.c */
		head = smp_load_acquire(&t->input_head);
	}
	count = min_t(u64, count, head - tail);
	for (i = 0; i < count; i++)
		buf[i] = ring[(tail + i) & (TWINOS_INPUT_SIZE - 1)];
	smp_store_release(&t->input_tail, tail + count);
	smp_mb();	/* likewise */
	/* Not for each piece: when half of it is free. */
	if (head - tail - count < TWINOS_INPUT_SIZE / 2 && READ_ONCE(t->input_room_wanted) &&
	    xchg(&t->input_room_wanted, 0))
		twinos_ring_leading(TWINOS_WORK);
	return count;
}

/* There is no interrupt of its own to request: see twinos_terminal_rung(). */
static int notifier_add(struct hvc_struct *hp, int unused)
{
	hp->irq_requested = 1;
	return 0;
}

static const struct hv_ops ops = {
	.get_chars = get_chars,
	.put_chars = put_chars,
	.notifier_add = notifier_add,
};

/** twinos_terminal_answer() - there may be input, or room for output. Hard interrupt context. */
void twinos_terminal_answer(void)
{
	struct hvc_struct *hp = READ_ONCE(hvc);
	struct twinos_terminal *t = terminal();

	if (!hp || (READ_ONCE(t->input_head) == READ_ONCE(t->input_tail) && !READ_ONCE(waiting)))
		return;
	WRITE_ONCE(waiting, false);
	if (hvc_poll(hp))
		hvc_kick();
}

/** twinos_terminal_early() - from now on what the kernel prints is kept. Boot time. */
void __init twinos_terminal_early(void)
{
	register_console(&ring_console);
}

/* Like console_init() for other consoles. */
static int __init terminal_console_init(void)
{
	return twinos_coexisting() ? hvc_instantiate(0, 0, &ops) : 0;
}
console_initcall(terminal_console_init);

static int __init terminal_init(void)
{
	struct hvc_struct *hp;

	if (!twinos_coexisting())
		return 0;
	hp = hvc_alloc(0, 0, &ops, OUTPUT_BUFFER);
	if (IS_ERR(hp))
		return PTR_ERR(hp);
	WRITE_ONCE(hvc, hp);
	return 0;
}
device_initcall(terminal_init);
