// SPDX-License-Identifier: GPL-2.0
/*
 * The coexisting OSes that the leading one knows. Number 1 is always there;
 * the others exist, and have a folder in sysfs, from their first load until
 * they are unloaded.
 */
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "leading.h"

LIST_HEAD(twinos_oses);
DEFINE_MUTEX(twinos_mutex);	/* the list, and all of each OS in it */

/* Makes the folder of an OS in sysfs; kobject_put() removes it. Set at boot. */
int (*twinos_publish)(struct twinos_os *os);

/* Of states so far, and who waits for the next, see control.c. */
atomic_long_t twinos_changes;
DECLARE_WAIT_QUEUE_HEAD(twinos_watchers);

/** twinos_notify() - the state of an OS has changed: wake who polls */
void twinos_notify(struct twinos_os *os)
{
	atomic_long_inc(&twinos_changes);
	wake_up_interruptible_poll(&twinos_watchers, EPOLLIN | EPOLLPRI);
	sysfs_notify(&os->kobj, NULL, "state");
}

/** twinos_find() - the OS of that number, or NULL. twinos_mutex held. */
struct twinos_os *twinos_find(u32 id)
{
	struct twinos_os *os;

	list_for_each_entry(os, &twinos_oses, list)
		if (os->id == id)
			return os;
	return NULL;
}

/** twinos_find_or_create() - the same, or a new one; NULL without memory */
struct twinos_os *twinos_find_or_create(u32 id)
{
	struct twinos_os *os = twinos_find(id);

	if (os)
		return os;
	os = kzalloc(sizeof(*os), GFP_KERNEL);
	if (!os)
		return NULL;
	os->id = id;
	INIT_LIST_HEAD(&os->launch_tables);
	os->weight = 50;
	os->slice_us = 10000;
	if (twinos_publish(os)) {
		kobject_put(&os->kobj);		/* frees it */
		return NULL;
	}
	list_add_tail(&os->list, &twinos_oses);
	return os;
}

/**
 * twinos_forget() - nothing is left of an OS that does not run
 *
 * twinos_mutex held; its resources have been given back.
 */
void twinos_forget(struct twinos_os *os)
{
	if (os->id == TWINOS_ID_DEFAULT) {
		os->loaded = false;
		os->launched = false;
		os->reason[0] = 0;
		memset(&os->share, 0, sizeof(os->share));
		twinos_notify(os);
		return;
	}
	list_del(&os->list);
	kobject_put(&os->kobj);
}

/** twinos_get_state() - of an OS, for people */
enum twinos_state twinos_get_state(const struct twinos_os *os)
{
	if (os->running)
		return READ_ONCE(os->shared->state);
	if (os->loaded)
		return os->launching ? TWINOS_STARTING : TWINOS_LOADED;
	return os->launched ? os->ended : TWINOS_EMPTY;
}

/** twinos_claims() - may nobody else have what is in its share? */
bool twinos_claims(const struct twinos_os *os)
{
	return os->loaded || os->running;
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
	const char *ring = (const char *)shared - TWINOS_SHARED_OFFSET + TWINOS_RING_OFFSET;
	/* Pairs with the release in ring_write(). */
	u64 head = smp_load_acquire(&shared->ring_head);
	u64 size = min_t(u64, head, TWINOS_RING_SIZE);
	size_t i;

	if (pos < 0 || pos >= size)
		return 0;
	count = min_t(u64, count, size - pos);
	for (i = 0; i < count; i++)
		buf[i] = ring[(head - size + pos + i) & (TWINOS_RING_SIZE - 1)];
	return count;
}
