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

phys_addr_t twinos_common_pa(void)
{
	page.common.magic = TWINOS_COMMON_MAGIC;
	return __pa_symbol(&page);
}

/**
 * twinos_lock() - keep every other CPU of the machine from some registers
 * @lock: which ones
 *
 * Interrupts off, for a few instructions: nobody can be switched or moved
 * away, and only a kernel that is ended from outside keeps the lock, which
 * the leading OS then frees. Any context but NMI.
 */
void twinos_lock(enum twinos_lock lock)
{
	u32 *word = &twinos_common->lock[lock];

	while (cmpxchg_acquire(word, 0, my_number))
		cpu_relax();
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
		cmpxchg(&twinos_common->lock[i], id + 1, 0);
}

/** twinos_read_ioapic() - x86_apic_ops.io_apic_read of both roles, under the lock */
unsigned int twinos_read_ioapic(unsigned int apic, unsigned int reg)
{
	unsigned int value;

	twinos_lock(TWINOS_LOCK_IOAPIC);
	value = native_io_apic_read(apic, reg);
	twinos_unlock(TWINOS_LOCK_IOAPIC);
	return value;
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
