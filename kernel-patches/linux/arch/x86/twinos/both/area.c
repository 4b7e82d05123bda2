// SPDX-License-Identifier: GPL-2.0
/*
 * The shared areas in this kernel's address space, at the addresses that all kernels have agreed
 * on, and the local APIC, which is reached through a page beside them: before a kernel has set up
 * its own access, and past what a coexisting OS's may do with it.
 */
#include <linux/io.h>
#include <linux/mm.h>
#include <asm/barrier.h>
#include <asm/pgtable.h>

#include "twinos.h"

/* One page of the leading OS, which every coexisting OS maps. */
static union {
	struct twinos_common common;
	u8 bytes[PAGE_SIZE];
} page __page_aligned_bss;

/* The leading OS's own page, in a coexisting OS its mapping of that. */
struct twinos_common *twinos_common __ro_after_init = &page.common;

/** twinos_common_pa() - leading OS: physical address of the page in common */
phys_addr_t twinos_common_pa(void)
{
	page.common.magic = TWINOS_COMMON_MAGIC;
	return __pa_symbol(&page);
}

/*
 * Where the transit code of the OS that shares a CPU is: virtual, in the slot of its number, which
 * both kernels map. Kept here, since the other OS can write to everything that is shared.
 */
unsigned long twinos_transit_va;

/* Page tables for TWINOS_SHARED_VA and the slots behind it. */
static pmd_t slot_pmd[PTRS_PER_PMD] __page_aligned_bss;
static pte_t first_slot_pte[PTRS_PER_PTE] __page_aligned_bss;

/* Of the leading OS, by slot; NULL as long as it was never used. */
static pte_t *slot_tables[TWINOS_MAX_ID + 1] = { first_slot_pte };

/* Not global, so that a load of CR3 is enough to make a change of it known. */
static void set_page(pte_t *table, u32 offset, phys_addr_t pa, pgprotval_t prot)
{
	table[offset / PAGE_SIZE] =
		native_make_pte(pa | (prot & ~_PAGE_GLOBAL & __supported_pte_mask));
}

static void set_slot(unsigned int slot, pte_t *table)
{
	BUILD_BUG_ON(TWINOS_SLOT_SIZE != PMD_SIZE || TWINOS_MAX_ID >= PTRS_PER_PMD);

	set_page(table, TWINOS_LAPIC_OFFSET, APIC_DEFAULT_PHYS_BASE, __PAGE_KERNEL_NOCACHE);
	slot_pmd[pmd_index(TWINOS_SHARED_VA) + slot] =
		native_make_pmd(__pa(table) | _KERNPG_TABLE_NOENC);
	level3_kernel_pgt[pud_index(TWINOS_SHARED_VA)] =
		native_make_pud(__pa_symbol(slot_pmd) | _KERNPG_TABLE_NOENC);
}

static void fill_slot(pte_t *table, phys_addr_t window)
{
	u32 offset;

	for (offset = 0; offset < TWINOS_SHARED_SIZE; offset += PAGE_SIZE)
		set_page(table, offset, window + offset,
			 offset == TWINOS_TRANSIT_OFFSET ? __PAGE_KERNEL_ROX : __PAGE_KERNEL);
}

/**
 * twinos_map_slot() - leading OS: map the shared area of a window
 * @slot: number of the OS, or 0 for the one that shares the boot CPU
 * @window: physical address of its window, page-aligned
 *
 * The entry of the top-level table that covers the address is shared by all processes, so it is
 * visible in every address space at once. Process context, twinos_mutex held. Returns the shared
 * page, or NULL without memory.
 */
struct twinos_shared *twinos_map_slot(unsigned int slot, phys_addr_t window)
{
	unsigned long va = TWINOS_SHARED_VA + slot * TWINOS_SLOT_SIZE;
	pte_t *table = slot_tables[slot] ?: (pte_t *)get_zeroed_page(GFP_KERNEL), old;

	if (!table)
		return NULL;
	slot_tables[slot] = table;
	old = table[0];
	fill_slot(table, window);
	set_page(table, TWINOS_COMMON_OFFSET, twinos_common_pa(), __PAGE_KERNEL);
	set_slot(slot, table);
	if (pte_present(old) && pte_pfn(old) != PFN_DOWN(window))
		flush_tlb_kernel_range(va, va + TWINOS_SHARED_SIZE);
	return (void *)(va + TWINOS_SHARED_OFFSET);
}

/** twinos_share_cpu_with() - this kernel's shared CPU goes to that OS, in whose slot */
void twinos_share_cpu_with(unsigned int id)
{
	twinos_transit_va = TWINOS_SHARED_VA + id * TWINOS_SLOT_SIZE + TWINOS_TRANSIT_OFFSET;
}

/** twinos_slot() - leading OS: the shared page in a slot from 1 on, NULL if it was never used */
struct twinos_shared *twinos_slot(unsigned int id)
{
	return slot_tables[id] ? twinos_va(id * TWINOS_SLOT_SIZE + TWINOS_SHARED_OFFSET) : NULL;
}

/**
 * twinos_map_own() - coexisting OS: map its shared area and the common page
 * @window: physical address of its window, page-aligned
 * @id: its number
 *
 * Uses no allocator, so that it works from setup_arch() on. Mapped twice, as the leading OS does: a
 * CPU enters this kernel at the address of its slot. Returns false if what the shared page calls
 * the common one is none.
 */
bool __init twinos_map_own(phys_addr_t window, unsigned int id)
{
	fill_slot(first_slot_pte, window);
	set_slot(0, first_slot_pte);
	set_slot(id, first_slot_pte);
	native_write_cr3(__native_read_cr3());
	twinos_share_cpu_with(id);
	set_page(first_slot_pte, TWINOS_COMMON_OFFSET, twinos_shared()->common, __PAGE_KERNEL);
	twinos_common = twinos_va(TWINOS_COMMON_OFFSET);
	return twinos_common->magic == TWINOS_COMMON_MAGIC;
}

static bool x2apic_on;

/** twinos_find_lapic() - look how the local APIC is reached on this CPU */
void twinos_find_lapic(void)
{
	x2apic_on = __rdmsr(MSR_IA32_APICBASE) & X2APIC_ENABLE;
}

/**
 * twinos_lapic_init() - leading OS: reach the local APIC, with or without a slot in use
 *
 * Boot time, before any vector is taken over.
 */
void __init twinos_lapic_init(void)
{
	set_slot(0, first_slot_pte);
	twinos_find_lapic();
}

/** twinos_lapic_read() - read a register of this CPU's local APIC; @reg as in an xAPIC's page */
u32 twinos_lapic_read(u32 reg)
{
	if (x2apic_on)
		return __rdmsr(APIC_BASE_MSR + (reg >> 4));
	return READ_ONCE(*(u32 *)twinos_va(TWINOS_LAPIC_OFFSET + reg));
}

/** twinos_lapic_write() - the counterpart of twinos_lapic_read() */
void twinos_lapic_write(u32 reg, u32 value)
{
	if (x2apic_on)
		native_wrmsr(APIC_BASE_MSR + (reg >> 4), value, 0);
	else
		WRITE_ONCE(*(u32 *)twinos_va(TWINOS_LAPIC_OFFSET + reg), value);
}

/**
 * twinos_lapic_send() - send an IPI. Interrupts off.
 * @command: low half of the interrupt command register
 * @apic_id: physical; means nothing with a shorthand
 */
void twinos_lapic_send(u32 command, u32 apic_id)
{
	if (x2apic_on) {
		weak_wrmsr_fence();
		native_wrmsr(APIC_BASE_MSR + (APIC_ICR >> 4), command, apic_id);
		return;
	}
	while (twinos_lapic_read(APIC_ICR) & APIC_ICR_BUSY)
		cpu_relax();
	twinos_lapic_write(APIC_ICR2, SET_XAPIC_DEST_FIELD(apic_id));
	twinos_lapic_write(APIC_ICR, command);
}

/**
 * twinos_lapic_drain() - end what is in service on this CPU
 *
 * Interrupts off, and nothing of this kernel is in service: what is there was accepted by the other
 * OS, which has died before its EOI, or has left it to this one (see foreign_interrupt()).
 */
void twinos_lapic_drain(void)
{
	int i;

	for (i = 7; i >= 0; i--)
		while (twinos_lapic_read(APIC_ISR + i * 0x10))
			twinos_lapic_write(APIC_EOI, APIC_EOI_ACK);
}
