// SPDX-License-Identifier: GPL-2.0
/*
 * What all kernels of the machine have in common: one page of the leading OS,
 * which every coexisting OS maps, with the locks for registers that are reached
 * by an index and a data register. Two kernels that mix their accesses up
 * would write to each other's device.
 */
#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/cache.h>
#include <linux/irqflags.h>
#include <linux/kernel.h>
#include <asm/io_apic.h>
#include <asm/page.h>
#include <asm/processor.h>
#include <asm/x86_init.h>

#include "twinos.h"

static union {
	struct twinos_common common;
	u8 bytes[PAGE_SIZE];
} page __page_aligned_bss;

/* The leading OS's own page, in a coexisting OS its mapping of that. */
struct twinos_common *twinos_common __ro_after_init = &page.common;
static u32 my_number __ro_after_init = 1;
static bool alone;		/* locks are not for us any more */

phys_addr_t twinos_common_pa(void)
{
	page.common.magic = TWINOS_COMMON_MAGIC;
	return __pa_symbol(&page);
}

/* Has the OS that holds a lock ended, so that it will never free it? */
static bool holder_ended(u32 holder)
{
	const struct twinos_shared *shared;

	if (twinos_role != TWINOS_LEADING || holder < 2 || holder > TWINOS_MAX_ID + 1)
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

	while (!READ_ONCE(alone) && (holder = sync_cmpxchg(word, 0, my_number))) {
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
 * been stopped. An OS that shares a CPU halts it in its next NMI.
 */
void twinos_alone(void)
{
	WRITE_ONCE(alone, true);
	WRITE_ONCE(page.common.crashed, 1);
}

/** twinos_read_ioapic() - x86_apic_ops.io_apic_read of both roles, under the lock */
unsigned int twinos_read_ioapic(unsigned int apic, unsigned int reg)
{
	unsigned int value;
	unsigned long flags;

	local_irq_save(flags);
	twinos_lock(TWINOS_LOCK_IOAPIC);
	value = native_io_apic_read(apic, reg);
	twinos_unlock(TWINOS_LOCK_IOAPIC);
	local_irq_restore(flags);
	return value;
}

/**
 * twinos_lock_ioapic() - before a register of an IO-APIC is written
 * @reg: which one
 *
 * Interrupts off. Returns false, without the lock, if a coexisting OS has no
 * right to write it: what it does not own reads as masked there, and some
 * paths of the kernel write everything back as it was read.
 */
bool twinos_lock_ioapic(unsigned int reg)
{
	if (twinos_coexisting() && !twinos_owns_register(reg))
		return false;
	twinos_lock(TWINOS_LOCK_IOAPIC);
	return true;
}

/**
 * twinos_common_attach() - coexisting OS: use the leading one's page
 * @id: number of this OS
 *
 * Returns false if what is mapped there is no such page.
 */
bool __init twinos_common_attach(u32 id)
{
	struct twinos_common *common = twinos_va(TWINOS_COMMON_OFFSET);

	if (common->magic != TWINOS_COMMON_MAGIC)
		return false;
	my_number = id + 1;
	twinos_common = common;
	return true;
}

static int __init lock_ioapic_reads(void)
{
	if (!twinos_off && twinos_role == TWINOS_LEADING)
		x86_apic_ops.io_apic_read = twinos_read_ioapic;
	return 0;
}
early_initcall(lock_ioapic_reads);
