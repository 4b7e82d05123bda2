// SPDX-License-Identifier: GPL-2.0
/*
 * The OS switch: saves the CPU state of this kernel, continues in the other
 * one, and puts everything back when the other one returns. What has to
 * change hands in one breath (CR0, CR3, CR4, RSP) is in transit_64.S; here is
 * all that a kernel can save and restore in its own memory.
 *
 * Nothing in this file may touch per-CPU data between the two halves: the GS
 * base is the other kernel's until it is loaded again.
 */
#include <linux/jump_label.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <asm/apic.h>
#include <asm/debugreg.h>
#include <asm/desc.h>
#include <asm/fpu/api.h>
#include <asm/fpu/xcr.h>
#include <asm/gsseg.h>
#include <asm/msr.h>
#include <asm/nospec-branch.h>
#include <asm/pgtable.h>
#include <asm/special_insns.h>
#include <asm/tlbflush.h>

#include "twinos.h"

int twinos_role __ro_after_init = TWINOS_LEADING;

/*
 * MSRs that a kernel writes while it boots and never again. Both kernels save
 * theirs as long as the coexisting one boots; afterwards they are compared
 * once, and not even written on a switch where they are the same.
 */
static const struct {
	u32 msr;
	u16 feature;		/* that has to be there; the first ones always are */
} all_boot_msrs[] = {
	{ MSR_EFER, X86_FEATURE_MSR },
	{ MSR_STAR, X86_FEATURE_MSR },
	{ MSR_LSTAR, X86_FEATURE_MSR },
	{ MSR_CSTAR, X86_FEATURE_MSR },
	{ MSR_SYSCALL_MASK, X86_FEATURE_MSR },
	{ MSR_IA32_CR_PAT, X86_FEATURE_PAT },
	{ MSR_IA32_SYSENTER_CS, X86_FEATURE_SEP },
	{ MSR_IA32_SYSENTER_ESP, X86_FEATURE_SEP },
	{ MSR_IA32_SYSENTER_EIP, X86_FEATURE_SEP },
	{ MSR_TSC_AUX, X86_FEATURE_RDTSCP },
	{ MSR_TSC_AUX, X86_FEATURE_RDPID },
	{ MSR_IA32_XSS, X86_FEATURE_XSAVES },
	{ MSR_IA32_S_CET, X86_FEATURE_IBT },
};

static u32 boot_msrs[ARRAY_SIZE(all_boot_msrs)];
static unsigned int nr_boot_msrs;

static void choose_boot_msrs(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < ARRAY_SIZE(all_boot_msrs); i++)
		if (boot_cpu_has(all_boot_msrs[i].feature))
			boot_msrs[n++] = all_boot_msrs[i].msr;
	nr_boot_msrs = n;
}

/* Covers AMX tiles (Intel SDM 1, 13.5); checked against CPUID before use. */
#define XSAVE_AREA_SIZE		SZ_16K

static struct {
	u64 gs_base;		/* of this kernel: its per-CPU data */
	u64 user_gs_base;
	u64 fs_base;
	u64 cr2;
	u64 dr7;
	u64 dr[4];
	u64 dr6;
	u64 xcr0;
	u64 xfd;
	u64 spec_ctrl;
	u64 boot_msr[ARRAY_SIZE(boot_msrs)];
	struct desc_ptr gdt;
	struct desc_ptr idt;
	u16 ds, es, fs, gs;
	u16 tr, ldt;
	bool xsaved;
	bool settled;		/* boot_msr holds the final values */
} cpu_state;

static u8 xsave_area[XSAVE_AREA_SIZE] __aligned(64);

/* Page tables for TWINOS_SHARED_VA and the slots behind it. */
static pmd_t slot_pmd[PTRS_PER_PMD] __page_aligned_bss;
static pte_t first_slot_pte[PTRS_PER_PTE] __page_aligned_bss;

static void map_lapic(pte_t *table)
{
	pgprotval_t mmio = __PAGE_KERNEL_NOCACHE & ~_PAGE_GLOBAL & __supported_pte_mask;

	table[TWINOS_LAPIC_OFFSET / PAGE_SIZE] =
		native_make_pte(APIC_DEFAULT_PHYS_BASE | mmio);
}

/* Returns whether an entry that was in use has changed. */
static bool fill_slot(pte_t *table, phys_addr_t window)
{
	pgprotval_t data = __PAGE_KERNEL & ~_PAGE_GLOBAL & __supported_pte_mask;
	pgprotval_t code = __PAGE_KERNEL_ROX & ~_PAGE_GLOBAL;
	bool changed = false;
	int i;

	for (i = 0; i < TWINOS_SHARED_SIZE / PAGE_SIZE; i++) {
		pte_t old = table[i];

		table[i] = native_make_pte((window + i * PAGE_SIZE) |
			(i == TWINOS_TRANSIT_OFFSET / PAGE_SIZE ? code : data));
		changed |= pte_present(old) && pte_pfn(old) != pte_pfn(table[i]);
	}
	map_lapic(table);
	return changed;
}

static void set_slot(unsigned int slot, pte_t *table, phys_addr_t table_pa)
{
	BUILD_BUG_ON(TWINOS_SLOT_SIZE != PMD_SIZE || TWINOS_MAX_ID >= PTRS_PER_PMD);

	slot_pmd[pmd_index(TWINOS_SHARED_VA) + slot] =
		native_make_pmd(table_pa | _KERNPG_TABLE_NOENC);
	level3_kernel_pgt[pud_index(TWINOS_SHARED_VA)] =
		native_make_pud(__pa_symbol(slot_pmd) | _KERNPG_TABLE_NOENC);
}

/* Of the leading OS, by slot; NULL as long as it was never used. */
static pte_t *slot_tables[TWINOS_MAX_ID + 1] = { first_slot_pte };

/**
 * twinos_map_slot() - leading OS: map the shared area of a window
 * @slot: number of the OS, or 0 for the one that shares the boot CPU
 * @window: physical address of its window, page-aligned
 *
 * The entry of the top-level table that covers the address is shared by all
 * processes, so it is visible in every address space at once. Process
 * context, twinos_mutex held. Returns the shared page, or NULL without memory.
 */
struct twinos_shared *twinos_map_slot(unsigned int slot, phys_addr_t window)
{
	unsigned long va = TWINOS_SHARED_VA + slot * TWINOS_SLOT_SIZE;
	pte_t *table = slot_tables[slot];

	if (!table) {
		table = (pte_t *)get_zeroed_page(GFP_KERNEL);
		if (!table)
			return NULL;
		slot_tables[slot] = table;
	}
	if (fill_slot(table, window))
		flush_tlb_kernel_range(va, va + TWINOS_SHARED_SIZE);
	table[TWINOS_COMMON_OFFSET / PAGE_SIZE] =
		native_make_pte(twinos_common_pa() | (__PAGE_KERNEL & ~_PAGE_GLOBAL &
						      __supported_pte_mask));
	set_slot(slot, table, slot ? __pa(table) : __pa_symbol(table));
	return (void *)(va + TWINOS_SHARED_OFFSET);
}

/** twinos_slot() - leading OS: the shared page in a slot from 1 on, NULL if it was never used */
struct twinos_shared *twinos_slot(unsigned int id)
{
	if (!slot_tables[id])
		return NULL;
	return twinos_va(id * TWINOS_SLOT_SIZE + TWINOS_SHARED_OFFSET);
}

/**
 * twinos_map_own() - coexisting OS: map its shared area and the common page
 * @window: physical address of its window, page-aligned
 * @id: its number
 *
 * Uses no allocator, so that it works from setup_arch() on. Mapped twice, as
 * the leading OS does: a CPU enters this kernel at either address.
 */
void __init twinos_map_own(phys_addr_t window, unsigned int id)
{
	fill_slot(first_slot_pte, window);
	set_slot(0, first_slot_pte, __pa_symbol(first_slot_pte));
	set_slot(id, first_slot_pte, __pa_symbol(first_slot_pte));
	/* CR3 is enough: none of these entries is global. */
	native_write_cr3(__native_read_cr3());
	first_slot_pte[TWINOS_COMMON_OFFSET / PAGE_SIZE] =
		native_make_pte(twinos_shared()->common |
				(__PAGE_KERNEL & ~_PAGE_GLOBAL & __supported_pte_mask));
}

static bool x2apic_on;

static void find_lapic(void)
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
	map_lapic(first_slot_pte);
	set_slot(0, first_slot_pte, __pa_symbol(first_slot_pte));
	find_lapic();
}

/**
 * twinos_lapic_read() - read a register of this CPU's local APIC
 * @reg: offset in the xAPIC register page
 *
 * Works before the kernel has set up its own access, and does not go through
 * apic->read, which the coexisting OS restricts.
 */
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

/** twinos_lapic_self_ipi() - make @vector pending on this CPU */
void twinos_lapic_self_ipi(int vector)
{
	if (x2apic_on)
		native_wrmsr(APIC_BASE_MSR + (APIC_SELF_IPI >> 4), vector, 0);
	else
		twinos_lapic_write(APIC_ICR, APIC_DEST_SELF | APIC_DM_FIXED | vector);
}

static __always_inline void save_boot_msrs(struct twinos_side *me)
{
	u64 hash = 0xcbf29ce484222325;	/* FNV-1a, 64 bit */
	int i;

	for (i = 0; i < nr_boot_msrs; i++) {
		cpu_state.boot_msr[i] = __rdmsr(boot_msrs[i]);
		hash = (hash ^ cpu_state.boot_msr[i]) * 0x100000001b3;
	}
	if (READ_ONCE(twinos_shared()->state) == TWINOS_RUNNING) {
		me->static_hash = hash | 1;
		cpu_state.settled = true;
	}
}

static __always_inline void load_boot_msrs(void)
{
	int i;

	for (i = 0; i < nr_boot_msrs; i++)
		native_wrmsr(boot_msrs[i], (u32)cpu_state.boot_msr[i],
			     (u32)(cpu_state.boot_msr[i] >> 32));
}

/* The extended state; %eax and %edx select every component that is enabled. */
static __always_inline void save_extended_state(void)
{
	cpu_state.xsaved = native_read_cr4() & X86_CR4_OSXSAVE;
	if (unlikely(!cpu_state.xsaved)) {
		if (native_read_cr4() & X86_CR4_OSFXSR)
			asm volatile("fxsaveq %0" : "=m" (xsave_area));
		return;
	}
	cpu_state.xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK);
	if (cpu_feature_enabled(X86_FEATURE_XFD))
		cpu_state.xfd = __rdmsr(MSR_IA32_XFD);
	if (cpu_feature_enabled(X86_FEATURE_XSAVES))
		asm volatile("xsaves64 %0" : "+m" (xsave_area) : "a" (-1), "d" (-1));
	else
		asm volatile("xsave64 %0" : "+m" (xsave_area) : "a" (-1), "d" (-1));
}

static __always_inline void load_extended_state(void)
{
	if (unlikely(!cpu_state.xsaved)) {
		if (native_read_cr4() & X86_CR4_OSFXSR)
			asm volatile("fxrstorq %0" : : "m" (xsave_area));
		return;
	}
	if (unlikely(xgetbv(XCR_XFEATURE_ENABLED_MASK) != cpu_state.xcr0))
		xsetbv(XCR_XFEATURE_ENABLED_MASK, cpu_state.xcr0);
	/* Before the state, which it decides how to load (Intel SDM 1, 13.14). */
	if (cpu_feature_enabled(X86_FEATURE_XFD))
		native_wrmsr(MSR_IA32_XFD, (u32)cpu_state.xfd, (u32)(cpu_state.xfd >> 32));
	if (cpu_feature_enabled(X86_FEATURE_XSAVES))
		asm volatile("xrstors64 %0" : : "m" (xsave_area), "a" (-1), "d" (-1));
	else
		asm volatile("xrstor64 %0" : : "m" (xsave_area), "a" (-1), "d" (-1));
}

static __always_inline u64 read_dr(int n)
{
	return native_get_debugreg(n);
}

/* Breakpoints must not trigger in the other kernel, so DR7 is left clear. */
static __always_inline void save_debug_registers(void)
{
	cpu_state.dr7 = read_dr(7);
	if (likely(!(cpu_state.dr7 & 0xff)))
		return;
	native_set_debugreg(7, 0x400);
	cpu_state.dr[0] = read_dr(0);
	cpu_state.dr[1] = read_dr(1);
	cpu_state.dr[2] = read_dr(2);
	cpu_state.dr[3] = read_dr(3);
	cpu_state.dr6 = read_dr(6);
}

static __always_inline void load_debug_registers(void)
{
	if (likely(!(cpu_state.dr7 & 0xff)))
		return;
	native_set_debugreg(0, cpu_state.dr[0]);
	native_set_debugreg(1, cpu_state.dr[1]);
	native_set_debugreg(2, cpu_state.dr[2]);
	native_set_debugreg(3, cpu_state.dr[3]);
	native_set_debugreg(6, cpu_state.dr6);
	native_set_debugreg(7, cpu_state.dr7);
}

static __always_inline void save_segments(void)
{
	savesegment(ds, cpu_state.ds);
	savesegment(es, cpu_state.es);
	savesegment(fs, cpu_state.fs);
	savesegment(gs, cpu_state.gs);
	cpu_state.fs_base = __rdmsr(MSR_FS_BASE);
	cpu_state.gs_base = __rdmsr(MSR_GS_BASE);
	cpu_state.user_gs_base = __rdmsr(MSR_KERNEL_GS_BASE);
	native_store_gdt(&cpu_state.gdt);
	store_idt(&cpu_state.idt);
	cpu_state.tr = native_store_tr();
	asm volatile("sldt %0" : "=m" (cpu_state.ldt));
}

static __always_inline void load_segments(void)
{
	struct desc_ptr direct;
	struct desc_struct *gdt;
	u16 ds, es, fs, gs;

	native_load_idt(&cpu_state.idt);
	native_wrmsr(MSR_GS_BASE, (u32)cpu_state.gs_base,
		     (u32)(cpu_state.gs_base >> 32));

	/*
	 * From here on per-CPU data is ours. LTR marks the TSS descriptor
	 * busy, which faults if it is already, and is a write to the GDT,
	 * which the kernel keeps read-only but for this alias. A kernel
	 * that has just begun to boot has no TSS and no LDT yet: what it
	 * saved were the selectors of the leading OS.
	 */
	gdt = get_current_gdt_rw();
	if (likely(((tss_desc *)&gdt[GDT_ENTRY_TSS])->p)) {
		direct.size = GDT_SIZE - 1;
		direct.address = (unsigned long)gdt;
		native_load_gdt(&direct);
		((tss_desc *)&gdt[GDT_ENTRY_TSS])->type = DESC_TSS;
		asm volatile("ltr %w0" : : "r" (cpu_state.tr));
	}
	native_load_gdt(&cpu_state.gdt);
	asm volatile("lldt %w0" : : "r" (gdt[GDT_ENTRY_LDT].p ? cpu_state.ldt : 0));

	asm volatile("mov %0, %%ss" : : "r" (__KERNEL_DS));
	savesegment(ds, ds);
	savesegment(es, es);
	savesegment(fs, fs);
	savesegment(gs, gs);
	if (unlikely(ds | es | fs | gs | cpu_state.ds | cpu_state.es |
		     cpu_state.fs | cpu_state.gs)) {
		loadsegment(ds, cpu_state.ds);
		loadsegment(es, cpu_state.es);
		loadsegment(fs, cpu_state.fs);
		asm_load_gs_index(cpu_state.gs);
	}
	native_wrmsr(MSR_FS_BASE, (u32)cpu_state.fs_base,
		     (u32)(cpu_state.fs_base >> 32));
	native_wrmsr(MSR_KERNEL_GS_BASE, (u32)cpu_state.user_gs_base,
		     (u32)(cpu_state.user_gs_base >> 32));
}

static __always_inline void save_speculation_control(void)
{
	if (cpu_feature_enabled(X86_FEATURE_MSR_SPEC_CTRL))
		cpu_state.spec_ctrl = __rdmsr(MSR_IA32_SPEC_CTRL);
}

static __always_inline void load_speculation_control(void)
{
	if (cpu_feature_enabled(X86_FEATURE_MSR_SPEC_CTRL))
		native_wrmsr(MSR_IA32_SPEC_CTRL, (u32)cpu_state.spec_ctrl,
			     (u32)(cpu_state.spec_ctrl >> 32));
}

/*
 * Boot option twinos_check: after every switch read back what has been loaded
 * and compare it with what was saved. For tests; costs as much as a switch.
 */
static DEFINE_STATIC_KEY_FALSE(check_state);
static bool check_wanted __initdata;
static u64 checks, mismatches;

static int __init parse_check(char *p)
{
	check_wanted = true;
	return 0;
}
early_param("twinos_check", parse_check);

static int __init enable_check(void)
{
	if (check_wanted)
		static_branch_enable(&check_state);
	return 0;
}
late_initcall(enable_check);

static noinline void compare_state(void)
{
	const struct twinos_transit *saved = &twinos_me()->transit;
	struct desc_ptr gdt, idt;
	u16 ds, es, fs, gs, ldt;
	bool same;
	int i;

	native_store_gdt(&gdt);
	store_idt(&idt);
	savesegment(ds, ds);
	savesegment(es, es);
	savesegment(fs, fs);
	savesegment(gs, gs);
	asm volatile("sldt %0" : "=m" (ldt));
	same = native_read_cr0() == saved->cr0 && native_read_cr4() == saved->cr4 &&
	       __native_read_cr3() == saved->cr3 && native_read_cr2() == cpu_state.cr2 &&
	       gdt.address == cpu_state.gdt.address && gdt.size == cpu_state.gdt.size &&
	       idt.address == cpu_state.idt.address && idt.size == cpu_state.idt.size &&
	       native_store_tr() == cpu_state.tr && ldt == cpu_state.ldt &&
	       ds == cpu_state.ds && es == cpu_state.es &&
	       fs == cpu_state.fs && gs == cpu_state.gs &&
	       __rdmsr(MSR_FS_BASE) == cpu_state.fs_base &&
	       __rdmsr(MSR_GS_BASE) == cpu_state.gs_base &&
	       __rdmsr(MSR_KERNEL_GS_BASE) == cpu_state.user_gs_base &&
	       read_dr(7) == cpu_state.dr7 &&
	       (!cpu_state.xsaved ||
		xgetbv(XCR_XFEATURE_ENABLED_MASK) == cpu_state.xcr0);
	for (i = 0; i < nr_boot_msrs; i++)
		same &= __rdmsr(boot_msrs[i]) == cpu_state.boot_msr[i];
	checks++;
	mismatches += !same;
}

/**
 * twinos_check_result() - what twinos_check has found in this OS
 * @compared: number of switches whose state was compared, 0 without the option
 * @different: number of those after which something was not as before
 */
void twinos_check_result(u64 *compared, u64 *different)
{
	*compared = checks;
	*different = mismatches;
}

/* Save everything, leave through @code of the shared area, load everything. */
static __always_inline void leave(unsigned long code)
{
	struct twinos_shared *shared = twinos_shared();
	struct twinos_side *me = twinos_me();
	struct twinos_transit *from = &me->transit;
	struct twinos_transit *to = &twinos_other()->transit;
	static u32 seen_moves;
	u64 hash;

	save_segments();
	save_debug_registers();
	save_extended_state();
	save_speculation_control();
	cpu_state.cr2 = native_read_cr2();
	if (unlikely(!cpu_state.settled))
		save_boot_msrs(me);

	asm volatile(ANNOTATE_RETPOLINE_SAFE
		     "call *%[code]"
		     : "+D" (from), "+S" (to), ASM_CALL_CONSTRAINT
		     : [code] "r" (code)
		     : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11",
		       "memory", "cc");

	load_segments();
	hash = twinos_me()->static_hash;
	if (unlikely(!hash || hash != twinos_other()->static_hash ||
		     shared->moves != seen_moves)) {
		seen_moves = shared->moves;
		load_boot_msrs();
	}
	load_speculation_control();
	load_extended_state();
	load_debug_registers();
	native_write_cr2(cpu_state.cr2);
	if (static_branch_unlikely(&check_state))
		compare_state();
}

/**
 * twinos_switch_cpu_state() - give the CPU to the other OS
 *
 * Interrupts must be off, in any context but NMI, and nothing may be in
 * service in the local APIC. Returns with the CPU in the same state when the
 * other OS has given it back, which may be never; in a coexisting OS that the
 * leading one has moved, on another CPU.
 */
void twinos_switch_cpu_state(void)
{
	leave(TWINOS_SHARED_VA + TWINOS_TRANSIT_OFFSET);
}

/**
 * twinos_park_cpu_state() - coexisting OS: leave this CPU, to be moved
 *
 * As twinos_switch_cpu_state(), but this CPU then waits for an INIT.
 */
void twinos_park_cpu_state(void)
{
	leave(twinos_shared()->park_va);
}

/**
 * twinos_state_valid() - can this CPU's state be switched at all?
 *
 * Checked before a launch. Says why not in the kernel log.
 */
bool twinos_state_valid(void)
{
	u32 size = 0, eax, ecx, edx;

	if (boot_cpu_has(X86_FEATURE_XSAVE))
		cpuid_count(0xd, 0, &eax, &size, &ecx, &edx);
	if (size > XSAVE_AREA_SIZE) {
		pr_err("extended CPU state of %u bytes is larger than %u\n",
		       size, XSAVE_AREA_SIZE);
		return false;
	}
	if (native_read_cr4() & (X86_CR4_VMXE | X86_CR4_FRED)) {
		pr_err("the CPU is in VMX operation or uses FRED; stop KVM, boot with fred=off\n");
		return false;
	}
	find_lapic();
	choose_boot_msrs();
	cpu_state.settled = false;
	return true;
}
