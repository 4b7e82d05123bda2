// SPDX-License-Identifier: GPL-2.0
/*
 * Rubbish in all that one of two OSes tells the other for console and network, written by the one
 * while it is in use: N written to /sys/module/twinos_fuzz/parameters/writes makes so many changes,
 * most of which are undone a moment later, so that what is behind the next check is reached, too.
 * In a coexisting OS of what a driver writes, in the leading OS of what the device of OS 1 writes.
 * "what" selects: 1 the registers (always undone), 2 the console's positions and wishes, 4 the
 * descriptors, 8 indexes and events of the rings; seed makes a run another one.
 */
#include <linux/delay.h>
#include <linux/io.h>
#include <linux/moduleparam.h>
#include <linux/random.h>
#include <linux/sched.h>
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

struct target {
	u8 *at;
	size_t size;
	bool mapped;
	bool undo;		/* always */
};

static unsigned int what = 15;
module_param(what, uint, 0644);

#define TARGETS (2 + 2 * TWINOS_QUEUES)

static void find_ring_part(struct target *t, u64 pa, size_t size)
{
	t->at = memremap(pa, size, MEMREMAP_WB);
	t->mapped = t->at;
	t->size = t->at ? size : 0;
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
					 offsetof(struct twinos_virtio, interrupts) - 8, false, true };
	else if (what & 1)
		t[0] = (struct target) { (u8 *)&regs->interrupts,
					 sizeof(*regs) - offsetof(struct twinos_virtio, interrupts),
					 false, true };
	if (what & 2)
		t[1] = (struct target) { (u8 *)&shared->output, 2 * sizeof(shared->output) };
	for (i = 0; i < TWINOS_QUEUES; i++) {
		u32 n = regs->queues[i].size;

		if (!n || n > TWINOS_QUEUE_SIZE)
			return false;
		if (what & 4 && twinos_coexisting())
			find_ring_part(&t[2 + 2 * i], regs->queues[i].descriptors,
				       n * sizeof(struct vring_desc));
		if (what & 8 && twinos_coexisting())
			find_ring_part(&t[3 + 2 * i], regs->queues[i].available, 6 + 2 * n);
		else if (what & 8)
			find_ring_part(&t[3 + 2 * i], regs->queues[i].used, 6 + 8 * n);
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

static void change(const struct target *t, struct rnd_state *rnd)
{
	static const u8 widths[] = { 2, 4, 8 };
	u8 width = widths[prandom_u32_state(rnd) % ARRAY_SIZE(widths)];
	u64 old = 0, new;
	u8 *at;

	if (t->size < width)
		return;
	/* A position at the beginning is one of the indexes, more often than the rest. */
	at = t->at + (prandom_u32_state(rnd) % 4 ? prandom_u32_state(rnd) % (t->size / width) *
						     width : 0);
	memcpy(&old, at, width);
	new = rubbish(rnd, old);
	memcpy(at, &new, width);
	done++;
	if (pause_us)
		udelay(prandom_u32_state(rnd) % pause_us);
	if (t->undo || prandom_u32_state(rnd) % 64)
		memcpy(at, &old, width);
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
	for (done = 0; done < n && what & 15; cond_resched())
		change(&targets[prandom_u32_state(&rnd) % TARGETS], &rnd);
	for (i = 0; i < TARGETS; i++)
		if (targets[i].mapped)
			memunmap(targets[i].at);
	return 0;
}

module_param_call(writes, fuzz, NULL, NULL, 0200);
