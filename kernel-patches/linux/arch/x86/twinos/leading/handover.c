// SPDX-License-Identifier: GPL-2.0
/*
 * What a coexisting OS finds when it begins: the shared area of its window, with its first page
 * table, stack and registers, the transit code, and all that it is told about the machine.
 */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/timekeeping.h>
#include <asm/cpufeature.h>
#include <asm/desc.h>
#include <asm/init.h>
#include <asm/pci_x86.h>
#include <asm/setup_data.h>
#include <asm/trapnr.h>

#include "leading.h"

static void *new_table(void *tables)
{
	struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);

	if (!page)
		return NULL;
	list_add_tail(&page->lru, tables);
	return page_address(page);
}

/*
 * The address space in which the coexisting OS begins: this kernel's mapping of its slot, and
 * mapped to itself its window, and these tables, which a 5-level decompressor looks at.
 */
static int make_launch_table(struct twinos_os *os, u64 *cr3)
{
	u64 start = os->share.window_start;
	struct x86_mapping_info mapping = {
		.alloc_pgt_page	= new_table,
		.context	= &os->launch_tables,
		.page_flag	= __PAGE_KERNEL_LARGE_EXEC,
		.kernpg_flag	= _KERNPG_TABLE_NOENC,
		.direct_gbpages	= boot_cpu_has(X86_FEATURE_GBPAGES),
	};
	pgd_t *top = new_table(&os->launch_tables);
	struct page *page;

	if (!top || kernel_ident_mapping_init(&mapping, top, start, start + os->share.window_size))
		return -ENOMEM;
	list_for_each_entry(page, &os->launch_tables, lru)	/* which may grow */
		if (kernel_ident_mapping_init(&mapping, top, page_to_phys(page),
					      page_to_phys(page) + PAGE_SIZE))
			return -ENOMEM;
	top[pgd_index(TWINOS_SHARED_VA)] = *pgd_offset_k(TWINOS_SHARED_VA);
	*cr3 = __pa(top);
	return 0;
}

/* What twinos_transit finds on the stack of an OS that never ran. */
struct first_frame {
	u64 flags, r15, r14, r13, r12, rbx;
	u64 shared;		/* %rbp, for the purgatory */
	u64 entry;		/* return address */
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
	gate_desc *idt = (gate_desc *)(page + (twinos_transit_idt - twinos_transit_start));

	if (!page)
		return -ENOMEM;
	memcpy(page, twinos_transit_start, twinos_transit_end - twinos_transit_start);
	pack_gate(&idt[X86_TRAP_NMI], GATE_INTERRUPT, in_transit(share->id, twinos_transit_nmi),
		  0, 0, __KERNEL_CS);
	pack_gate(&idt[X86_TRAP_MC], GATE_INTERRUPT, in_transit(share->id, twinos_transit_mce),
		  0, 0, __KERNEL_CS);
	*(struct desc_ptr *)(page + (twinos_transit_gdtr - twinos_transit_start)) =
		(struct desc_ptr){ twinos_transit_idt - twinos_transit_gdt - 1,
				   in_transit(share->id, twinos_transit_gdt) };
	*(struct desc_ptr *)(page + (twinos_transit_idtr - twinos_transit_start)) =
		(struct desc_ptr){ (X86_TRAP_MC + 1) * sizeof(gate_desc) - 1,
				   in_transit(share->id, twinos_transit_idt) };
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

/** twinos_write_shared_area() - all that an OS finds when it begins. Returns 0 or ENOMEM. */
int twinos_write_shared_area(struct twinos_os *os, u64 launch_tsc)
{
	const struct twinos_share *share = &os->share;
	u8 *area = (u8 *)os->shared - TWINOS_SHARED_OFFSET;
	struct setup_data *node = (void *)(area + TWINOS_SHARE_OFFSET);
	struct twinos_shared *shared = os->shared;
	const struct pci_mmcfg_region *cfg;
	struct twinos_transit *transit;
	struct first_frame *frame;
	struct timespec64 wall;
	unsigned int i;
	int err;

	/* All but the transit page. */
	memset(area, 0, TWINOS_TRANSIT_OFFSET);
	memset(area + TWINOS_TRANSIT_OFFSET + PAGE_SIZE, 0,
	       TWINOS_SHARED_SIZE - TWINOS_TRANSIT_OFFSET - PAGE_SIZE);
	transit = &shared->side[TWINOS_COEXISTING].transit;
	err = make_launch_table(os, &transit->cr3) ?: write_transit(share);
	if (err)
		return err;

	node->type = SETUP_TWINOS;
	node->len = sizeof(*share);
	memcpy(node->data, share, sizeof(*share));

	frame = (void *)(area + TWINOS_STACK_TOP - sizeof(*frame));
	frame->flags = X86_EFLAGS_FIXED;
	frame->shared = (u64)shared;
	frame->entry = os->entry;

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
	cfg = list_first_entry_or_null(&pci_mmcfg_list, struct pci_mmcfg_region, list);
	if (cfg) {
		shared->mmconfig_addr = cfg->address;
		shared->mmconfig_segment = cfg->segment;
		shared->mmconfig_buses = cfg->start_bus | cfg->end_bus << 8;
	}
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

	transit->cr0 = native_read_cr0();
	transit->cr4 = native_read_cr4() & (X86_CR4_PAE | X86_CR4_LA57 | X86_CR4_MCE |
					    X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT);
	transit->rsp = (u64)frame;
	return 0;
}

/** twinos_apply_weight() - let a change of weight or slice take effect. Process context. */
void twinos_apply_weight(struct twinos_os *os)
{
	struct twinos_shared *shared = os->shared;

	/* What has been used was used at the old weight. */
	if (os->running && os->mode == TWINOS_TIME_SHARED)
		smp_call_function_single(TWINOS_SHARED_CPU, twinos_account, NULL, true);
	WRITE_ONCE(shared->slice_tsc, (u64)os->slice_us * tsc_khz / 1000);
	WRITE_ONCE(shared->weight[TWINOS_LEADING], 100 - os->weight);
	WRITE_ONCE(shared->weight[TWINOS_COEXISTING], os->weight);
}

