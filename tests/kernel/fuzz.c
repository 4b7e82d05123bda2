// SPDX-License-Identifier: GPL-2.0
/*
 * Rubbish in all that one of two OSes tells the other for console and network, written by the one
 * while it is in use: N written to /sys/module/twinos_fuzz/parameters/writes makes so many changes,
 * most of which are undone a moment later, so that what is behind the next check is reached, too.
 * In a coexisting OS of what a driver writes, in the leading OS of what the device of OS 1 writes.
 * "what" selects: 1 the registers (always undone), 2 the console's positions and wishes, 4 the
 * rings; seed makes a run another one.
 *
 * In a coexisting OS it ends early, with fewer in "done", once the network is broken: what is written
 * after that nobody looks at until the device is reset.
 *
 * In the ring to receive all changes are such that can be told from what a driver or device says
 * rightly: by others frames come to lie where the coexisting OS has something else, and what a
 * kernel does then says nothing.
 */
#include <linux/delay.h>
#include <linux/io.h>
#include <linux/moduleparam.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/virtio_net.h>
#include <uapi/linux/virtio_ring.h>

#include "../both/twinos.h"

#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "twinos_fuzz."

static unsigned int seed = 1;
module_param(seed, uint, 0644);

static unsigned int pause_us = 20;	/* at most, until a change is undone */
module_param(pause_us, uint, 0644);

static u64 done;
module_param(done, ullong, 0444);

enum part { ANYTHING, UNDONE, TRANSMITTED, DESCRIPTORS, AVAILABLE, USED };

struct target {
	u8 *at;
	size_t size;
	enum part part;		/* ANYTHING, always undone, descriptors, of a ring to receive */
	u32 num;		/* of that ring */
	const struct vring_used *used;	/* likewise, for DESCRIPTORS */
	bool mapped;
};

#define ALL	7
#define TARGETS (2 + 2 * TWINOS_QUEUES)

static unsigned int what = ALL;
module_param(what, uint, 0644);

static void find_ring_part(struct target *t, u64 pa, size_t size, enum part part, u32 num)
{
	t->at = memremap(pa, size, MEMREMAP_WB);
	t->mapped = t->at;
	t->size = t->at ? size : 0;
	t->part = part;
	t->num = num;
}

/* A part that is not to be changed stays empty. */
static bool find_targets(struct target *t)
{
	struct twinos_shared *shared = twinos_coexisting() ? twinos_shared() : twinos_slot(1);
	struct twinos_virtio *regs;
	unsigned int i;

	if (!shared || shared->magic != TWINOS_SHARED_MAGIC)
		return false;
	regs = (void *)shared - TWINOS_SHARED_OFFSET + TWINOS_NET_OFFSET;
	if (what & 1 && twinos_coexisting())
		t[0] = (struct target) { (u8 *)&regs->driver_features,
					 offsetof(struct twinos_virtio, interrupts) - 8, UNDONE };
	else if (what & 1)
		t[0] = (struct target) { (u8 *)&regs->interrupts,
					 sizeof(*regs) - offsetof(struct twinos_virtio, interrupts),
					 UNDONE };
	if (what & 2)
		t[1] = (struct target) { (u8 *)&shared->output, 2 * sizeof(shared->output) };
	for (i = 0; i < TWINOS_QUEUES && what & 4; i++) {
		u32 n = regs->queues[i].size;

		if (!n || n > TWINOS_QUEUE_SIZE)
			return false;
		if (!twinos_coexisting()) {
			find_ring_part(&t[3 + 2 * i], regs->queues[i].used, 6 + 8 * n,
				       i ? ANYTHING : USED, n);
			continue;
		}
		find_ring_part(&t[2 + 2 * i], regs->queues[i].descriptors,
			       n * sizeof(struct vring_desc), i ? TRANSMITTED : DESCRIPTORS, n);
		find_ring_part(&t[3 + 2 * i], regs->queues[i].available, 6 + 2 * n,
			       i ? ANYTHING : AVAILABLE, n);
		t[2 + 2 * i].used = __va(regs->queues[i].used);
	}
	return true;
}

static u64 rubbish(struct rnd_state *rnd, u64 old)
{
	u64 value = (u64)prandom_u32_state(rnd) << 32 | prandom_u32_state(rnd);

	switch (prandom_u32_state(rnd) % 8) {
	case 0:
		return 0;
	case 1:
		return ~0ULL;
	case 2:
		return old + 1;
	case 3:
		return old - 1;
	case 4:
		return old ^ BIT_ULL(value % 64);
	case 5:
		return value % 1024;
	case 6:
		return value % SZ_1G;
	default:
		return value;
	}
}

/* Somewhere in what may be anything. Returns where, its width in bytes and what to write there. */
static u8 *anything(const struct target *t, struct rnd_state *rnd, u8 *width, u64 *new)
{
	static const u8 widths[] = { 2, 4, 8 };
	u64 old = 0;
	u8 *at;

	*width = widths[prandom_u32_state(rnd) % ARRAY_SIZE(widths)];
	if (t->size < *width)
		return NULL;
	/* A position at the beginning is one of the indexes, more often than the rest. */
	at = t->at + (prandom_u32_state(rnd) % 4 ? prandom_u32_state(rnd) % (t->size / *width) *
						     *width : 0);
	memcpy(&old, at, *width);
	*new = rubbish(rnd, old);
	return at;
}

/*
 * Likewise in a table of descriptors, or in a ring to receive. Whether a descriptor is the last one
 * stays: its driver, too, reads that there.
 */
static u8 *wrong(const struct target *t, struct rnd_state *rnd, u8 *width, u64 *new)
{
	u32 value = prandom_u32_state(rnd), n = prandom_u32_state(rnd) % t->num;
	struct vring_desc *d;
	struct vring_avail *avail = (struct vring_avail *)t->at;
	struct vring_used *used = (struct vring_used *)t->at;

	if (t->part == USED) {
		*width = sizeof(u32);
		*new = t->num + value % SZ_1G;
		return (u8 *)&used->ring[n].id;
	}
	*width = sizeof(u16);
	if (t->part == AVAILABLE && value % 2) {
		*new = t->num + (value >> 1) % (SZ_64K - t->num);
		return (u8 *)&avail->ring[n];
	}
	if (t->part == AVAILABLE) {
		*new = READ_ONCE(avail->idx) + t->num + 1 + (value >> 1) % (SZ_64K - 2 * t->num - 1);
		return (u8 *)&avail->idx;
	}
	/* One of those that are used next. The ring's available part is the target behind this one. */
	if (t->part == DESCRIPTORS && t[1].size)
		n = ((struct vring_avail *)t[1].at)->ring[(READ_ONCE(t->used->idx) + n % 4) % t->num] %
		    t->num;
	d = (struct vring_desc *)t->at + n;
	switch (value % 4) {
	case 0:
		*width = sizeof(u64);
		*new = t->part == TRANSMITTED ? rubbish(rnd, d->addr) : BIT_ULL(52) + value;
		return (u8 *)&d->addr;
	case 1:
		*width = sizeof(u32);
		*new = t->part == TRANSMITTED ? rubbish(rnd, d->len) :
		       value & 8 ? 0 : value | BIT(30);
		return (u8 *)&d->len;
	case 2:
		*new = d->flags ^ BIT(1 + (value >> 8) % 15);
		return (u8 *)&d->flags;
	default:
		*new = rubbish(rnd, d->next);
		return (u8 *)&d->next;
	}
}

static void change(const struct target *t, struct rnd_state *rnd)
{
	u64 old = 0, new;
	u8 width, *at;

	if (!t->size)
		return;
	at = t->part > UNDONE ? wrong(t, rnd, &width, &new) : anything(t, rnd, &width, &new);
	if (!at)
		return;
	memcpy(&old, at, width);
	memcpy(at, &new, width);
	done++;
	if (pause_us)
		udelay(prandom_u32_state(rnd) % pause_us);
	if (t->part == UNDONE || prandom_u32_state(rnd) % 64)
		memcpy(at, &old, width);
}

static bool broken(void)
{
	const struct twinos_virtio *regs = twinos_coexisting() ? twinos_va(TWINOS_NET_OFFSET) : NULL;

	return regs && !(READ_ONCE(regs->config[offsetof(struct virtio_net_config, status)]) &
			 VIRTIO_NET_S_LINK_UP);
}

static int fuzz(const char *text, const struct kernel_param *unused)
{
	struct target targets[TARGETS] = {};
	struct rnd_state rnd;
	unsigned int i;
	u64 n;
	int err = kstrtou64(text, 0, &n);

	if (err)
		return err;
	prandom_seed_state(&rnd, seed);
	if (!find_targets(targets))
		return -ENODEV;
	for (done = 0; done < n && what & ALL && !broken(); cond_resched())
		change(&targets[prandom_u32_state(&rnd) % TARGETS], &rnd);
	for (i = 0; i < TARGETS; i++)
		if (targets[i].mapped)
			memunmap(targets[i].at);
	return 0;
}

module_param_call(writes, fuzz, NULL, NULL, 0200);
