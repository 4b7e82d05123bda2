// SPDX-License-Identifier: GPL-2.0
/*
 * Locks between all kernels of the machine, in the page that they have in
 * common, for registers that are reached by an index and a data register. Two
 * kernels that mix their accesses up would write to each other's device.
 */
#include <linux/atomic.h>
#include <linux/irqflags.h>
#include <linux/kernel.h>
#include <asm/processor.h>

#include "twinos.h"

static bool alone;		/* locks are not for us any more */

static u32 my_number(void)
{
	return twinos_coexisting() ? twinos_shared()->id + 1 : 1;
}

/* Has the OS that holds a lock ended, so that it will never free it? */
static bool holder_ended(u32 holder)
{
	const struct twinos_shared *shared;

	if (twinos_coexisting() || holder < 2 || holder > TWINOS_MAX_ID + 1)
		return false;
	shared = twinos_slot(holder - 1);
	return shared && READ_ONCE(shared->state) > TWINOS_RUNNING;
}

/**
 * twinos_lock() - keep every other CPU of the machine from some registers
 * @lock: which ones
 *
 * Interrupts off, for a few instructions: nobody can be switched or moved
 * away, and only a kernel that is ended from outside keeps the lock, which
 * the leading OS then frees. Any context but NMI.
 *
 * sync_cmpxchg(), because a kernel that has one CPU drops the lock prefix of
 * the ordinary one (alternatives_smp_module_add()), and the machine has more.
 */
void twinos_lock(enum twinos_lock lock)
{
	u32 *word = &twinos_common->lock[lock];
	u32 holder;

	while (!READ_ONCE(alone) && (holder = sync_cmpxchg(word, 0, my_number()))) {
		if (holder_ended(holder))
			sync_cmpxchg(word, holder, 0);
		cpu_relax();
	}
}

/** twinos_unlock() - the counterpart of twinos_lock() */
void twinos_unlock(enum twinos_lock lock)
{
	/* Pairs with the acquire in twinos_lock(). */
	smp_store_release(&twinos_common->lock[lock], 0);
}

/** twinos_holds_lock() - may somebody wait for what this CPU was interrupted in? */
bool twinos_holds_lock(void)
{
	int i;

	for (i = 0; i < TWINOS_NR_LOCKS; i++)
		if (READ_ONCE(twinos_common->lock[i]) == my_number())
			return true;
	return false;
}

/** twinos_break_locks() - free what an OS holds whose CPUs have been stopped */
void twinos_break_locks(u32 id)
{
	int i;

	for (i = 0; i < TWINOS_NR_LOCKS; i++)
		sync_cmpxchg(&twinos_common->lock[i], id + 1, 0);
}

/**
 * twinos_alone() - leading OS: nobody else is to run any more
 *
 * Before its crash kernel starts. Locks are not waited for: whoever has one may have
 * been stopped. No CPU comes back to this kernel from another OS: the transit code
 * halts it.
 */
void twinos_alone(void)
{
	WRITE_ONCE(alone, true);
	WRITE_ONCE(twinos_common->crashed, 1);
}
