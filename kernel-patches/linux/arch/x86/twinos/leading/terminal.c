// SPDX-License-Identifier: GPL-2.0
/*
 * The consoles of coexisting OSes as terminals of this one: /dev/twinos/osN. Who opens one reads
 * what is left of the output so far, then what follows; while it is open, programs of that OS wait
 * when it is not read. The device stays when the OS ends, and goes on with the next launch.
 */
#include <linux/tty.h>
#include <linux/tty_driver.h>
#include <linux/tty_flip.h>

#include "leading.h"

struct terminal {
	struct tty_port port;
	struct mutex mutex;		/* area, and who reads it */
	struct twinos_os *os;		/* NULL: there is none of that number */
	struct twinos_terminal *area;	/* NULL: it has not been launched */
	bool live;			/* it runs */
	bool waiting;			/* somebody has more to write than there is room for */
	spinlock_t write_lock;
	struct delayed_work work;
};

static struct terminal *terminals;	/* by number */
static struct tty_driver *driver;

static struct terminal *to_terminal(const struct tty_struct *tty)
{
	return &terminals[tty->index];
}

static const struct twinos_shared *shared_page(const struct twinos_terminal *area)
{
	return (const void *)area - TWINOS_TERMINAL_OFFSET + TWINOS_SHARED_OFFSET;
}

/* ---- from the coexisting OS ---- */

/* The part of the ring that is to be read next, in one piece. */
static size_t next_output(const struct terminal *t, const u8 **text)
{
	u64 head = smp_load_acquire(&shared_page(t->area)->ring_head), tail = t->area->output_tail;

	if (head - tail > TWINOS_RING_SIZE)	/* overwritten by messages of the kernel */
		tail = head - min_t(u64, head, TWINOS_RING_SIZE);
	t->area->output_tail = tail;
	*text = (const u8 *)t->area - TWINOS_TERMINAL_OFFSET + TWINOS_RING_OFFSET +
		tail % TWINOS_RING_SIZE;
	return min_t(u64, head - tail, TWINOS_RING_SIZE - tail % TWINOS_RING_SIZE);
}

static bool throttled(struct terminal *t)
{
	struct tty_struct *tty = tty_port_tty_get(&t->port);
	bool yes = !tty || tty_throttled(tty);

	tty_kref_put(tty);
	return yes;
}

/* Read as much as the terminal takes. Returns false if it has to be tried again. */
static bool read_output(struct terminal *t)
{
	const u8 *text;
	size_t size, taken;

	while (!throttled(t)) {
		size = next_output(t, &text);
		if (!size)
			return true;
		taken = tty_insert_flip_string(&t->port, text, size);
		tty_flip_buffer_push(&t->port);
		/* Its writer may overwrite what has been read. */
		smp_store_release(&t->area->output_tail, t->area->output_tail + taken);
		if (xchg(&t->area->room_wanted, 0) && t->live)
			twinos_ring_os(t->os);
		if (taken < size)
			return false;
	}
	return true;
}

static void terminal_work(struct work_struct *work)
{
	struct terminal *t = container_of(to_delayed_work(work), struct terminal, work);

	guard(mutex)(&t->mutex);
	if (!t->area || !t->area->reading)
		return;
	xchg(&((struct twinos_shared *)shared_page(t->area))->log_wanted, 1);
	if (!read_output(t))
		schedule_delayed_work(&t->work, 1);
	if (xchg(&t->waiting, false))
		tty_port_tty_wakeup(&t->port);
}

/** twinos_terminal_rung() - an OS may have printed, or read. Hard interrupt context. */
void twinos_terminal_rung(u32 id)
{
	struct terminal *t = &terminals[id];
	struct twinos_terminal *area = READ_ONCE(t->area);

	if (area && READ_ONCE(area->reading) &&
	    (READ_ONCE(t->waiting) ||
	     READ_ONCE(shared_page(area)->ring_head) != READ_ONCE(area->output_tail)))
		mod_delayed_work(system_wq, &t->work, 0);
}

/* ---- to the coexisting OS ---- */

static unsigned int free_input(const struct terminal *t)
{
	u64 used = t->area->input_head - smp_load_acquire(&t->area->input_tail);

	return used > TWINOS_INPUT_SIZE ? 0 : TWINOS_INPUT_SIZE - used;
}

/* If there is no room we are told when there is. With the lock held. */
static unsigned int room(struct terminal *t, size_t wanted)
{
	unsigned int room;

	if (!t->area || !t->live)
		return 0;
	room = free_input(t);
	if (room >= wanted)
		return room;
	WRITE_ONCE(t->waiting, true);
	WRITE_ONCE(t->area->input_room_wanted, 1);
	smp_mb();	/* pairs with get_chars() of the coexisting OS */
	return free_input(t);
}

static ssize_t terminal_write(struct tty_struct *tty, const u8 *buf, size_t count)
{
	struct terminal *t = to_terminal(tty);
	u8 *ring;
	size_t i;

	guard(spinlock_irqsave)(&t->write_lock);
	if (!t->area || !t->live)
		return -EIO;
	ring = (u8 *)t->area - TWINOS_TERMINAL_OFFSET + TWINOS_INPUT_OFFSET;
	count = min_t(size_t, count, room(t, count));
	for (i = 0; i < count; i++)
		ring[(t->area->input_head + i) % TWINOS_INPUT_SIZE] = buf[i];
	smp_store_release(&t->area->input_head, t->area->input_head + count);
	smp_mb();	/* likewise */
	if (count && xchg(&t->area->input_wanted, 0))
		twinos_ring_os(t->os);
	return count;
}

static unsigned int write_room(struct tty_struct *tty)
{
	struct terminal *t = to_terminal(tty);

	guard(spinlock_irqsave)(&t->write_lock);
	return room(t, 1);
}

/* ---- the terminal ---- */

static void unthrottle(struct tty_struct *tty)
{
	mod_delayed_work(system_wq, &to_terminal(tty)->work, 0);
}

/* From the oldest output that there is. */
static void begin_to_read(struct terminal *t)
{
	u64 head = READ_ONCE(shared_page(t->area)->ring_head);

	t->area->output_tail = head - min_t(u64, head, TWINOS_RING_SIZE);
	smp_store_release(&t->area->reading, 1);
	mod_delayed_work(system_wq, &t->work, 0);
}

static int activate(struct tty_port *port, struct tty_struct *tty)
{
	struct terminal *t = container_of(port, struct terminal, port);

	guard(mutex)(&t->mutex);
	if (t->area)
		begin_to_read(t);
	return 0;
}

static void shut(struct tty_port *port)
{
	struct terminal *t = container_of(port, struct terminal, port);

	guard(mutex)(&t->mutex);
	if (!t->area)
		return;
	WRITE_ONCE(t->area->reading, 0);
	if (xchg(&t->area->room_wanted, 0) && t->live)
		twinos_ring_os(t->os);
}

static const struct tty_port_operations port_ops = { .activate = activate, .shutdown = shut };

static int terminal_open(struct tty_struct *tty, struct file *file)
{
	return tty_port_open(&to_terminal(tty)->port, tty, file);
}

static void terminal_release(struct tty_struct *tty, struct file *file)
{
	tty_port_close(&to_terminal(tty)->port, tty, file);
}

static void hangup(struct tty_struct *tty)
{
	tty_port_hangup(&to_terminal(tty)->port);
}

static const struct tty_operations terminal_ops = {
	.open = terminal_open,
	.close = terminal_release,
	.hangup = hangup,
	.write = terminal_write,
	.write_room = write_room,
	.unthrottle = unthrottle,
};

/* For a rule of udev that makes the link /dev/twinos/NAME. */
static ssize_t os_name_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	const struct terminal *t = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%s\n", t->os->share.name);
}

static DEVICE_ATTR_RO(os_name);

static struct attribute *terminal_attrs[] = { &dev_attr_os_name.attr, NULL };
ATTRIBUTE_GROUPS(terminal);

/** twinos_terminal_create() - of an OS that has been loaded. Process context, twinos_mutex held. */
void twinos_terminal_create(struct twinos_os *os)
{
	struct terminal *t = &terminals[os->id];
	struct device *dev;

	if (!driver)
		return;
	if (!t->os) {
		t->os = os;
		dev = tty_port_register_device_attr(&t->port, driver, os->id, NULL, t,
						    terminal_groups);
		if (!IS_ERR(dev))
			return;
		t->os = NULL;
		pr_warn("no terminal for coexisting OS %u: error %ld\n", os->id, PTR_ERR(dev));
		return;
	}
	/* It may have another name now. */
	dev = class_find_device_by_devt(&tty_class, MKDEV(driver->major,
							  driver->minor_start + os->id));
	if (dev)
		kobject_uevent(&dev->kobj, KOBJ_CHANGE);
	put_device(dev);
}

/* What the coexisting OS has written, if it has an area: NULL when there is none any more. */
static void set_area(struct twinos_os *os, struct twinos_terminal *area, bool live)
{
	struct terminal *t = &terminals[os->id];

	guard(mutex)(&t->mutex);
	scoped_guard(spinlock_irqsave, &t->write_lock) {
		t->area = area;
		t->live = live;
	}
	if (!t->os)
		return;
	if (live && tty_port_initialized(&t->port))
		begin_to_read(t);
	tty_port_tty_wakeup(&t->port);
}

/** twinos_terminal_open() - an OS is about to be launched, its shared area empty */
void twinos_terminal_open(struct twinos_os *os)
{
	set_area(os, (void *)os->shared - TWINOS_SHARED_OFFSET + TWINOS_TERMINAL_OFFSET, true);
}

/** twinos_terminal_close() - it has ended; what it has written can still be read */
void twinos_terminal_close(struct twinos_os *os)
{
	if (terminals[os->id].area)
		set_area(os, terminals[os->id].area, false);
	mod_delayed_work(system_wq, &terminals[os->id].work, 0);
}

/** twinos_terminal_delete() - it is forgotten, or its window is written to */
void twinos_terminal_delete(struct twinos_os *os)
{
	struct terminal *t = &terminals[os->id];

	set_area(os, NULL, false);
	if (!t->os)
		return;
	tty_port_tty_hangup(&t->port, false);
	tty_port_unregister_device(&t->port, driver, os->id);
	t->os = NULL;
}

/** twinos_terminal_init() - boot time. Returns 0 or an errno. */
int __init twinos_terminal_init(void)
{
	struct tty_driver *d;
	unsigned int i;
	int err;

	terminals = kcalloc(TWINOS_MAX_ID + 1, sizeof(*terminals), GFP_KERNEL);
	if (!terminals)
		return -ENOMEM;
	for (i = 0; i <= TWINOS_MAX_ID; i++) {
		struct terminal *t = &terminals[i];

		tty_port_init(&t->port);
		t->port.ops = &port_ops;
		mutex_init(&t->mutex);
		spin_lock_init(&t->write_lock);
		INIT_DELAYED_WORK(&t->work, terminal_work);
	}
	d = tty_alloc_driver(TWINOS_MAX_ID + 1, TTY_DRIVER_REAL_RAW | TTY_DRIVER_DYNAMIC_DEV |
			     TTY_DRIVER_RESET_TERMIOS);
	if (IS_ERR(d))
		return PTR_ERR(d);
	d->driver_name = "twinos";
	d->name = "twinos/os";		/* below /dev */
	d->type = TTY_DRIVER_TYPE_SERIAL;
	d->subtype = SERIAL_TYPE_NORMAL;
	/* Raw: nothing is echoed to the OS before who has opened it says how he wants it. */
	d->init_termios = tty_std_termios;
	d->init_termios.c_iflag = 0;
	d->init_termios.c_oflag = 0;
	d->init_termios.c_lflag = 0;
	d->init_termios.c_cflag = B38400 | CS8 | CREAD | CLOCAL;
	tty_set_operations(d, &terminal_ops);
	err = tty_register_driver(d);
	if (err) {
		tty_driver_kref_put(d);
		return err;
	}
	driver = d;
	return 0;
}
