// SPDX-License-Identifier: GPL-2.0
/*
 * What a coexisting OS finds when it begins: the shared area of its window, with
 * its first page table, stack and registers, the transit code, and all that it is
 * told about the machine.
 */
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/pgtable.h>
#include <linux/smp.h>
#include <linux/timekeeping.h>
#include <asm/apic.h>
#include <asm/cpufeature.h>
#include <asm/desc.h>
#include <asm/pci_x86.h>
#include <asm/processor.h>
#include <asm/setup_data.h>
#include <asm/trapnr.h>
#include <asm/tsc.h>

#include "leading.h"

/*
 * The address space in which the coexisting OS begins: its window mapped to
 * itself, and the shared area at the addresses that both kernels know. With
 * pages of 1 GiB if the CPU has them, else of 2 MiB and at most 3 GiB of it.
 */
static int build_page_table(const struct twinos_share *share, u64 *tables, u64 pa)
{
	bool gbpages = boot_cpu_has(X86_FEATURE_GBPAGES);
	u64 first = share->window_start >> PUD_SHIFT;
	u64 last = (share->window_start + share->window_size - 1) >> PUD_SHIFT;
	u64 *top, *pud, *high, *pmd, *pte;
	unsigned int used = 0, i, j;
	u64 gb;

#define PAGE_PA(p)	(pa + ((u8 *)(p) - (u8 *)tables))
#define NEW_PAGE()	(tables + PTRS_PER_PTE * used++)
	if (first >> 9 != last >> 9 || (!gbpages && last - first >= 3)) {
		pr_err("window %#llx-%#llx is too large for one page table: it must not cross a multiple of 512 GiB, nor touch more than 3 GiB on this CPU\n",
		       share->window_start, share->window_start + share->window_size - 1);
		return -EOPNOTSUPP;
	}

	memset(tables, 0, TWINOS_PGTABLE_PAGES * PAGE_SIZE);
	top = NEW_PAGE();
	if (pgtable_l5_enabled()) {
		u64 *p4d = NEW_PAGE();

		/* One table serves both halves: index 511 and the window's differ. */
		top[share->window_start >> 48] = PAGE_PA(p4d) | _KERNPG_TABLE_NOENC;
		top[511] = PAGE_PA(p4d) | _KERNPG_TABLE_NOENC;
		top = p4d;
	}
	pud = NEW_PAGE();
	top[(first >> 9) & 511] = PAGE_PA(pud) | _KERNPG_TABLE_NOENC;
	for (gb = first; gb <= last; gb++) {
		if (gbpages) {
			pud[gb & 511] = gb << PUD_SHIFT | __PAGE_KERNEL_LARGE_EXEC;
			continue;
		}
		pmd = NEW_PAGE();
		pud[gb & 511] = PAGE_PA(pmd) | _KERNPG_TABLE_NOENC;
		for (j = 0; j < PTRS_PER_PMD; j++)
			pmd[j] = (gb << PUD_SHIFT | (u64)j << PMD_SHIFT) |
				 __PAGE_KERNEL_LARGE_EXEC;
	}

	high = NEW_PAGE();
	pmd = NEW_PAGE();
	pte = NEW_PAGE();
	top[511] = PAGE_PA(high) | _KERNPG_TABLE_NOENC;
	high[pud_index(TWINOS_SHARED_VA)] = PAGE_PA(pmd) | _KERNPG_TABLE_NOENC;
	pmd[pmd_index(TWINOS_SHARED_VA)] = PAGE_PA(pte) | _KERNPG_TABLE_NOENC;
	pmd[pmd_index(TWINOS_SHARED_VA) + share->id] = PAGE_PA(pte) | _KERNPG_TABLE_NOENC;
	for (i = 0; i < TWINOS_SHARED_SIZE / PAGE_SIZE; i++)
		pte[i] = (share->window_start + i * PAGE_SIZE) | __PAGE_KERNEL_EXEC;
	pte[TWINOS_LAPIC_OFFSET / PAGE_SIZE] = APIC_DEFAULT_PHYS_BASE | __PAGE_KERNEL_NOCACHE;
	pte[TWINOS_COMMON_OFFSET / PAGE_SIZE] = twinos_common_pa() | __PAGE_KERNEL;
	return 0;
}

/* What twinos_transit finds on the stack of an OS that never ran. */
struct first_frame {
	u64 flags, r15, r14, r13, r12;
	u64 entry;		/* %rbx */
	u64 shared;		/* %rbp */
	u64 start;		/* return address */
};

/* Virtual address of what is at @symbol in the transit code, in the slot of an OS. */
static u64 in_transit(u32 id, const char *symbol)
{
	return TWINOS_SHARED_VA + id * TWINOS_SLOT_SIZE + TWINOS_TRANSIT_OFFSET +
	       (symbol - twinos_transit_start);
}

/* The page is mapped read-only where it is executed. */
static int write_transit(const struct twinos_share *share)
{
	u8 *page = memremap(share->window_start + TWINOS_TRANSIT_OFFSET, PAGE_SIZE, MEMREMAP_WB);
	struct desc_ptr *gdtr, *idtr;
	gate_desc *idt;

	if (!page)
		return -ENOMEM;
	memcpy(page, twinos_transit_start, twinos_transit_end - twinos_transit_start);
	idt = (gate_desc *)(page + (twinos_transit_idt - twinos_transit_start));
	pack_gate(&idt[X86_TRAP_NMI], GATE_INTERRUPT, in_transit(share->id, twinos_transit_nmi),
		  0, 0, __KERNEL_CS);
	pack_gate(&idt[X86_TRAP_MC], GATE_INTERRUPT, in_transit(share->id, twinos_transit_mce),
		  0, 0, __KERNEL_CS);
	gdtr = (struct desc_ptr *)(page + (twinos_transit_gdtr - twinos_transit_start));
	gdtr->size = twinos_transit_idt - twinos_transit_gdt - 1;
	gdtr->address = in_transit(share->id, twinos_transit_gdt);
	idtr = (struct desc_ptr *)(page + (twinos_transit_idtr - twinos_transit_start));
	idtr->size = (X86_TRAP_MC + 1) * sizeof(gate_desc) - 1;
	idtr->address = in_transit(share->id, twinos_transit_idt);
	memunmap(page);
	return 0;
}

/** twinos_set_mode() - what depends on how an OS has its CPU */
void twinos_set_mode(struct twinos_os *os, enum twinos_mode mode)
{
	struct twinos_shared *shared = os->shared;

	os->mode = mode;
	shared->mode = mode;
	shared->abandon_va = in_transit(os->id, mode == TWINOS_DEDICATED ?
					twinos_leave_start : twinos_abandon_start);
	/* The guard's NMI is for a shared CPU alone. */
	shared->guard_tsc = mode == TWINOS_DEDICATED ? U64_MAX :
						       (u64)tsc_khz * MSEC_PER_SEC;
}

/**
 * twinos_write_shared_area() - all that a coexisting OS finds when it begins
 * @os: loaded, its shared area mapped
 * @launch_tsc: when the launch was asked for
 *
 * Returns 0, ENOMEM, or EOPNOTSUPP for a window that one page table cannot
 * hold.
 */
int twinos_write_shared_area(struct twinos_os *os, u64 launch_tsc)
{
	const struct twinos_share *share = &os->share;
	u8 *area = (u8 *)os->shared - TWINOS_SHARED_OFFSET;
	struct setup_data *node = (void *)(area + TWINOS_SHARE_OFFSET);
	struct twinos_shared *shared = os->shared;
	struct twinos_transit *transit;
	struct first_frame *frame;
	struct timespec64 wall;
	unsigned int i;
	int err;

	/* All but the transit page. */
	memset(area, 0, TWINOS_TRANSIT_OFFSET);
	memset(area + TWINOS_PGTABLE_OFFSET, 0, TWINOS_SHARED_SIZE - TWINOS_PGTABLE_OFFSET);
	err = build_page_table(share, (u64 *)(area + TWINOS_PGTABLE_OFFSET),
			       share->window_start + TWINOS_PGTABLE_OFFSET);
	if (!err)
		err = write_transit(share);
	if (err)
		return err;

	node->type = SETUP_TWINOS;
	node->len = sizeof(*share);
	memcpy(node->data, share, sizeof(*share));

	frame = (void *)(area + TWINOS_STACK_TOP - sizeof(*frame));
	frame->flags = X86_EFLAGS_FIXED;
	frame->entry = os->entry;
	frame->shared = TWINOS_SHARED_VA + TWINOS_SHARED_OFFSET;
	frame->start = in_transit(share->id, twinos_start_start);

	shared->magic = TWINOS_SHARED_MAGIC;
	shared->version = TWINOS_ABI_VERSION;
	shared->size = sizeof(*shared);
	shared->self = share->window_start + TWINOS_SHARED_OFFSET;
	shared->park_va = in_transit(share->id, twinos_park_start);
	shared->id = share->id;
	shared->common = twinos_common_pa();
	shared->tsc_khz = tsc_khz;
	shared->lapic_hz = (u64)lapic_timer_period * HZ;
	/* Not with an erratum of it, nor with lapic=notscdeadline. */
	shared->tsc_deadline = boot_cpu_has(X86_FEATURE_TSC_DEADLINE_TIMER);
	shared->leading_apic_id = cpu_physical_id(TWINOS_SHARED_CPU);
	shared->nr_apics = max(share->nr_cpus, 1U);
	shared->apic_ids[0] = shared->leading_apic_id;
	for (i = 0; i < share->nr_cpus; i++)
		shared->apic_ids[i] = cpu_physical_id(share->cpus[i]);
#ifdef CONFIG_PCI_MMCONFIG
	if (!list_empty(&pci_mmcfg_list)) {
		struct pci_mmcfg_region *cfg;

		cfg = list_first_entry(&pci_mmcfg_list, struct pci_mmcfg_region, list);
		shared->mmconfig_addr = cfg->address;
		shared->mmconfig_segment = cfg->segment;
		shared->mmconfig_buses = cfg->start_bus | cfg->end_bus << 8;
	}
#endif
	shared->wall_tsc = rdtsc();
	ktime_get_real_ts64(&wall);
	shared->wall_sec = wall.tv_sec;
	shared->wall_nsec = wall.tv_nsec;
	shared->launch_tsc = launch_tsc;
	twinos_set_mode(os, share->nr_cpus ? TWINOS_DEDICATED : TWINOS_TIME_SHARED);
	twinos_apply_weight(os);
	shared->state = TWINOS_STARTING;
	for (i = 0; i < ARRAY_SIZE(shared->side); i++) {
		shared->side[i].switch_min = U64_MAX;
		shared->side[i].wake_tsc = U64_MAX;
	}

	transit = &shared->side[TWINOS_COEXISTING].transit;
	transit->cr0 = native_read_cr0();
	transit->cr3 = share->window_start + TWINOS_PGTABLE_OFFSET;
	transit->cr4 = native_read_cr4() & (X86_CR4_PAE | X86_CR4_LA57 | X86_CR4_MCE |
					    X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT);
	transit->rsp = TWINOS_SHARED_VA + TWINOS_STACK_TOP - sizeof(*frame);
	return 0;
}

static void account_here(void *unused)
{
	twinos_account();
}

/** twinos_apply_weight() - let a change of weight or slice take effect. Process context. */
void twinos_apply_weight(struct twinos_os *os)
{
	struct twinos_shared *shared = os->shared;

	/* What has been used was used at the old weight. */
	if (os->running && os->mode == TWINOS_TIME_SHARED)
		smp_call_function_single(TWINOS_SHARED_CPU, account_here, NULL, true);
	WRITE_ONCE(shared->slice_tsc, (u64)os->slice_us * tsc_khz / 1000);
	WRITE_ONCE(shared->weight[TWINOS_LEADING], 100 - os->weight);
	WRITE_ONCE(shared->weight[TWINOS_COEXISTING], os->weight);
}

