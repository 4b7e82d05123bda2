// SPDX-License-Identifier: GPL-2.0
/*
 * The console of a coexisting OS as a terminal in both kernels, driven by hvc. Between them are two
 * rings of bytes in the shared area. virtio_console would do the same, but waits for the other side
 * in a loop, which on a shared CPU is the one that has to run.
 */
#include <linux/console.h>
#include <linux/tty.h>

#include "../../../../drivers/tty/hvc/hvc_console.h"
#include "terminal.h"

#define BUFFER		4096	/* of hvc, for output */
#define KERNEL_ROOM	8192	/* not for programs: the kernel is to overwrite nothing unread */

struct twinos_terminal twinos_terminals[TWINOS_MAX_ID + 1];

struct way {
	struct twinos_pipe *pipe;
	u8 *bytes;
	u32 size;
};

/* What a coexisting OS writes, or reads. */
static struct way way_of(struct twinos_shared *shared, bool output)
{
	u8 *area = (u8 *)shared - TWINOS_SHARED_OFFSET;

	return output ?
	       (struct way) { &shared->output, area + TWINOS_RING_OFFSET, TWINOS_RING_SIZE } :
	       (struct way) { &shared->input, area + TWINOS_INPUT_OFFSET, TWINOS_INPUT_SIZE };
}

static u32 room(const struct way *w)
{
	/* What is written there now has been read. */
	u64 used = READ_ONCE(w->pipe->head) - smp_load_acquire(&w->pipe->tail);

	return used > w->size ? 0 : w->size - used;
}

static void append(const struct way *w, const u8 *text, size_t count)
{
	u64 head = w->pipe->head;

	while (count--)
		w->bytes[head++ & (w->size - 1)] = *text++;
	/* The reader must find the text that head covers. */
	smp_store_release(&w->pipe->head, head);
	smp_mb();	/* the reader finds this, or we what he wants */
}

static size_t take(const struct way *w, u8 *text, size_t count)
{
	/* Pairs with append(). */
	u64 head = smp_load_acquire(&w->pipe->head), tail = w->pipe->tail;
	size_t i;

	if (head == tail) {
		WRITE_ONCE(w->pipe->data_wanted, 1);
		smp_mb();	/* likewise */
		head = smp_load_acquire(&w->pipe->head);
	}
	if (head - tail > w->size)
		tail = head - w->size;
	count = min_t(u64, count, head - tail);
	for (i = 0; i < count; i++)
		text[i] = w->bytes[(tail + i) & (w->size - 1)];
	/* Pairs with room(). */
	smp_store_release(&w->pipe->tail, tail + count);
	smp_mb();	/* the writer finds this, or we what he wants */
	return count;
}

static bool wanted(u32 *what)
{
	return READ_ONCE(*what) && xchg(what, 0);
}

/* ---- a coexisting OS's kernel ---- */

static DEFINE_RAW_SPINLOCK(output_lock);

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

/** twinos_print() - coexisting OS: to its console at once. Any context. */
void twinos_print(const char *text, size_t count)
{
	struct way w = way_of(twinos_shared(), true);
	const char *end = text + count, *line;
	unsigned long flags;
	bool locked = lock_output(&flags);

	for (; text < end; text = line + 1) {
		line = memchr(text, '\n', end - text) ?: end;
		append(&w, text, line - text);
		if (line < end)
			append(&w, "\r\n", 2);
	}
	unlock_output(locked, flags);
}

/* ---- hvc ---- */

static ssize_t put_chars(u32 number, const u8 *buf, size_t count)
{
	struct twinos_terminal *t = &twinos_terminals[number];
	struct twinos_shared *shared = READ_ONCE(t->shared);
	unsigned long flags;
	bool locked;
	struct way w;

	/* hvc's console is only there to open /dev/console: ours has printed it. */
	if (!shared || !t->live || !t->hvc || buf != t->hvc->outbuf)
		return count;
	w = way_of(shared, twinos_coexisting());
	locked = lock_output(&flags);
	if (!twinos_coexisting() || READ_ONCE(shared->reading)) {
		size_t kept = twinos_coexisting() ? KERNEL_ROOM : 0, free = room(&w);

		if (free < count + kept) {
			WRITE_ONCE(t->waiting, true);
			WRITE_ONCE(w.pipe->room_wanted, 1);
			smp_mb();	/* pairs with take() */
			free = room(&w);
		}
		count = min(count, free - min(free, kept));
	}
	append(&w, buf, count);
	unlock_output(locked, flags);
	if (wanted(&w.pipe->data_wanted))
		t->ring(number);
	return count ?: -EAGAIN;
}

static ssize_t get_chars(u32 number, u8 *buf, size_t count)
{
	struct twinos_terminal *t = &twinos_terminals[number];
	struct twinos_shared *shared = READ_ONCE(t->shared);
	struct way w;

	if (!shared)
		return 0;
	w = way_of(shared, !twinos_coexisting());
	count = take(&w, buf, count);
	/* Not for each piece: when half of it is free. */
	if (room(&w) > w.size / 2 && wanted(&w.pipe->room_wanted) && t->live)
		t->ring(number);
	return count;
}

/*
 * Opened. In the leading OS nothing of the output must be echoed to the OS that writes it, before
 * who has opened it says how he wants it; and the oldest output that is there comes first.
 */
static int notifier_add(struct hvc_struct *hp, int unused)
{
	struct twinos_shared *shared = READ_ONCE(twinos_terminals[hp->vtermno].shared);
	struct tty_struct *tty;
	struct ktermios raw;

	hp->irq_requested = 1;		/* it is told by twinos_terminal_answer() */
	if (twinos_coexisting())
		return 0;
	tty = tty_port_tty_get(&hp->port);
	if (tty) {
		raw = tty->termios;
		raw.c_iflag = 0;
		raw.c_oflag = 0;
		raw.c_lflag = 0;
		tty_set_termios(tty, &raw);
	}
	tty_kref_put(tty);
	if (shared) {
		u64 head = READ_ONCE(shared->output.head);

		shared->output.tail = head - min_t(u64, head, TWINOS_RING_SIZE);
		/* Who sees this sees what has been read. */
		smp_store_release(&shared->reading, 1);
	}
	return 0;
}

/* Closed: nobody waits for it any more. */
static void notifier_del(struct hvc_struct *hp, int unused)
{
	struct twinos_terminal *t = &twinos_terminals[hp->vtermno];
	struct twinos_shared *shared = READ_ONCE(t->shared);

	if (twinos_coexisting() || !shared)
		return;
	WRITE_ONCE(shared->reading, 0);
	if (wanted(&shared->output.room_wanted) && t->live)
		t->ring(hp->vtermno);
}

static const struct hv_ops ops = {
	.get_chars = get_chars,
	.put_chars = put_chars,
	.notifier_add = notifier_add,
	.notifier_del = notifier_del,
	.notifier_hangup = notifier_del,
};

/** twinos_terminal_in_use() - has somebody opened it? */
bool twinos_terminal_in_use(u32 number)
{
	struct hvc_struct *hp = READ_ONCE(twinos_terminals[number].hvc);

	return hp && tty_port_initialized(&hp->port);
}

/** twinos_terminal_answer() - there may be something to read or room to write. Hard interrupt. */
void twinos_terminal_answer(u32 number)
{
	struct twinos_terminal *t = &twinos_terminals[number];
	struct twinos_shared *shared = READ_ONCE(t->shared);
	struct twinos_pipe *in;

	if (!shared || !twinos_terminal_in_use(number))
		return;
	in = twinos_coexisting() ? &shared->input : &shared->output;
	if (READ_ONCE(in->head) == READ_ONCE(in->tail) && !xchg(&t->waiting, false))
		return;
	/* All of it in hvc's thread: what hvc_poll() has read it commits without a lock. */
	hvc_kick();
}

/** twinos_terminal_add() - a terminal, hvc and its number if that is free. Process context. */
int twinos_terminal_add(u32 number)
{
	struct hvc_struct *hp;

	if (twinos_terminals[number].hvc)
		return 0;
	/* There are no devices for more. */
	if (number < HVC_ALLOC_TTY_ADAPTERS)
		hvc_instantiate(number, number, &ops);
	hp = hvc_alloc(number, 0, &ops, BUFFER);
	if (IS_ERR(hp))
		return PTR_ERR(hp);
	WRITE_ONCE(twinos_terminals[number].hvc, hp);
	return 0;
}

/** twinos_terminal_index() - which hvc it is, negative: none */
int twinos_terminal_index(u32 number)
{
	struct hvc_struct *hp = twinos_terminals[number].hvc;

	return hp && hp->index < HVC_ALLOC_TTY_ADAPTERS ? hp->index : -ENODEV;
}

/** twinos_terminal_remove() - the counterpart. Process context. */
void twinos_terminal_remove(u32 number)
{
	struct hvc_struct *hp = twinos_terminals[number].hvc;

	WRITE_ONCE(twinos_terminals[number].hvc, NULL);
	if (!hp)
		return;
	synchronize_rcu();	/* twinos_terminal_answer() */
	hvc_remove(hp);
}
