// SPDX-License-Identifier: GPL-2.0
/*
 * The OS switch: saves the CPU state of this kernel, continues in the other
 * one, and puts everything back when the other one returns. What has to
 * change hands in one breath (CR0, CR3, CR4, RSP, descriptor tables that work
 * on the way) is in transit_64.S; here is what a kernel saves in its own memory.
 *
 * It happens over the idle task or a kernel thread. The scheduler has then put
 * away all that is a task's: FPU, segment selectors and bases, breakpoints, and
 * the MSRs that only some tasks have set. So this is what remains, whoever runs
 * next finds these registers neutral, and nothing of a task reaches the other OS.
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
#include <asm/spec-ctrl.h>
#include <asm/special_insns.h>
#include <asm/sync_core.h>
#include <asm/trapnr.h>

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
};

static u32 boot_msrs[ARRAY_SIZE(all_boot_msrs)];
static unsigned int nr_boot_msrs;

/* What the CPU has, whether this kernel uses it or not. */
static bool has_s_cet, has_global_ctrl;

static void choose_boot_msrs(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < ARRAY_SIZE(all_boot_msrs); i++)
		if (boot_cpu_has(all_boot_msrs[i].feature))
			boot_msrs[n++] = all_boot_msrs[i].msr;
	nr_boot_msrs = n;
	if (cpuid_eax(0) >= 7)		/* shadow stacks, or indirect branch tracking */
		has_s_cet = cpuid_ecx(7) & BIT(7) || cpuid_edx(7) & BIT(20);
	/* From version 2 on; a coexisting OS leaves the counters alone. */
	if (!twinos_coexisting() && boot_cpu_data.x86_vendor == X86_VENDOR_INTEL &&
	    cpuid_eax(0) >= 10)
		has_global_ctrl = (cpuid_eax(10) & 0xff) >= 2;
}

static struct {
	u64 gs_base;		/* of this kernel: its per-CPU data */
	u64 xcr0;		/* 0: XSAVE is not enabled yet */
	u64 xfd;
	u64 spec_ctrl;
	u64 s_cet;
	u64 counters;		/* performance counters that were on */
	u64 dr7;
	u64 dr[4];
	u64 dr6;
	u32 pkru;
	u64 boot_msr[ARRAY_SIZE(boot_msrs)];
	struct desc_ptr gdt;
	struct desc_ptr idt;
	u16 tr, ldt;
	bool settled;		/* boot_msr holds the final values */
} cpu_state;

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

static __always_inline void write_msr(u32 msr, u64 value)
{
	native_wrmsr(msr, (u32)value, (u32)(value >> 32));
}

/* Breakpoints must not trigger in the other kernel, so DR7 is left clear. */
static __always_inline void save_debug_registers(void)
{
	cpu_state.dr7 = native_get_debugreg(7);
	if (likely(!(cpu_state.dr7 & 0xff)))
		return;
	native_set_debugreg(7, 0x400);
	cpu_state.dr[0] = native_get_debugreg(0);
	cpu_state.dr[1] = native_get_debugreg(1);
	cpu_state.dr[2] = native_get_debugreg(2);
	cpu_state.dr[3] = native_get_debugreg(3);
	cpu_state.dr6 = native_get_debugreg(6);
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

static __always_inline void save_control(void)
{
	unsigned long cr4 = native_read_cr4();

	cpu_state.xcr0 = cr4 & X86_CR4_OSXSAVE ? xgetbv(XCR_XFEATURE_ENABLED_MASK) : 0;
	if (cr4 & X86_CR4_PKE)
		cpu_state.pkru = rdpkru();
	if (cpu_feature_enabled(X86_FEATURE_XFD))
		cpu_state.xfd = __rdmsr(MSR_IA32_XFD);
	if (cpu_feature_enabled(X86_FEATURE_MSR_SPEC_CTRL))
		cpu_state.spec_ctrl = __rdmsr(MSR_IA32_SPEC_CTRL);
	if (has_s_cet)
		cpu_state.s_cet = __rdmsr(MSR_IA32_S_CET);
	/* Of the last user task, which has it in memory. */
	if (cpu_feature_enabled(X86_FEATURE_USER_SHSTK) && __rdmsr(MSR_IA32_U_CET))
		write_msr(MSR_IA32_U_CET, 0);
	/* They write to memory of this kernel, and count this kernel's instructions. */
	if (has_global_ctrl) {
		cpu_state.counters = __rdmsr(MSR_CORE_PERF_GLOBAL_CTRL);
		if (cpu_state.counters)
			write_msr(MSR_CORE_PERF_GLOBAL_CTRL, 0);
	}
}

static __always_inline void load_control(void)
{
	if (cpu_feature_enabled(X86_FEATURE_MSR_SPEC_CTRL))
		write_msr(MSR_IA32_SPEC_CTRL, cpu_state.spec_ctrl);
	if (has_s_cet)
		write_msr(MSR_IA32_S_CET, cpu_state.s_cet);
	if (has_global_ctrl && cpu_state.counters)
		write_msr(MSR_CORE_PERF_GLOBAL_CTRL, cpu_state.counters);
	if (cpu_state.xcr0 && unlikely(xgetbv(XCR_XFEATURE_ENABLED_MASK) != cpu_state.xcr0))
		xsetbv(XCR_XFEATURE_ENABLED_MASK, cpu_state.xcr0);
	if (cpu_feature_enabled(X86_FEATURE_XFD))
		write_msr(MSR_IA32_XFD, cpu_state.xfd);
	if (native_read_cr4() & X86_CR4_PKE)
		wrpkru(cpu_state.pkru);
	/* The other OS has used the registers: nobody's state is in them any more. */
	this_cpu_write(fpu_fpregs_owner_ctx, NULL);
	/* As between two processes of different users, who trust each other as little. */
	if (static_branch_likely(&switch_mm_cond_ibpb) ||
	    static_branch_unlikely(&switch_mm_always_ibpb))
		indirect_branch_prediction_barrier();
}

/* Of the type of a descriptor (Intel SDM 3A, 8.2.2). */
#define TSS_BUSY	2

static __always_inline void save_tables(void)
{
	cpu_state.gs_base = __rdmsr(MSR_GS_BASE);
	native_store_gdt(&cpu_state.gdt);
	store_idt(&cpu_state.idt);
	cpu_state.tr = native_store_tr();
	asm volatile("sldt %0" : "=m" (cpu_state.ldt));
}

/*
 * The IDT comes last: its handlers need all the rest, the transit code's, which
 * are in force until then, need nothing.
 */
static __always_inline void load_tables(void)
{
	struct desc_ptr direct;
	struct desc_struct *gdt;

	write_msr(MSR_GS_BASE, cpu_state.gs_base);

	/*
	 * From here on per-CPU data is ours. LTR marks the TSS descriptor
	 * busy, which faults if it is already, and is a write to the GDT,
	 * which the kernel keeps read-only but for this alias. A kernel
	 * that has just begun to boot has loaded no TSS and no LDT yet: what
	 * it saved were the selectors of the leading OS.
	 */
	gdt = get_current_gdt_rw();
	if (likely(((tss_desc *)&gdt[GDT_ENTRY_TSS])->type == (DESC_TSS | TSS_BUSY))) {
		direct.size = GDT_SIZE - 1;
		direct.address = (unsigned long)gdt;
		native_load_gdt(&direct);
		((tss_desc *)&gdt[GDT_ENTRY_TSS])->type = DESC_TSS;
		asm volatile("ltr %w0" : : "r" (cpu_state.tr));
	}
	native_load_gdt(&cpu_state.gdt);
	asm volatile("lldt %w0" : : "r" (gdt[GDT_ENTRY_LDT].p ? cpu_state.ldt : 0));
	asm volatile("mov %0, %%ss" : : "r" (__KERNEL_DS));
	native_load_idt(&cpu_state.idt);
}

/*
 * What the transit code, or the other OS, has met. NMIs may be blocked: an IRET in the
 * transit code would have let in the next one, and an OS can end in a handler of
 * one. An NMI is sent anew, so that it comes as the CPU lets NMIs in.
 */
static noinline void raise_noted(struct twinos_shared *shared)
{
	u32 noted = shared->noted & (twinos_coexisting() ? TWINOS_NOTED_MCE : ~0U);

	twinos_forget_exception(noted);
	if (noted & TWINOS_NOTED_MCE)
		asm volatile("int %0" : : "i" (X86_TRAP_MC));
	if (noted & TWINOS_NOTED_NMI)
		twinos_lapic_send(APIC_DM_NMI, shared->leading_apic_id);
	iret_to_self();
}

/*
 * Boot option twinos_check: after every switch read back what has been loaded
 * and compare it with what was there before. For tests; costs more than a switch.
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

struct registers {
	u64 cr[3];
	u64 gs_base, user_gs_base, fs_base;
	u64 dr7, xcr0;
	u64 gdt, idt;
	u64 limits;
	u64 selectors[2];
	u64 boot_msr[ARRAY_SIZE(boot_msrs)];
};

static noinline void read_registers(struct registers *r)
{
	struct desc_ptr gdt, idt;
	u16 ds, es, fs, gs, ldt;
	int i;

	native_store_gdt(&gdt);
	store_idt(&idt);
	savesegment(ds, ds);
	savesegment(es, es);
	savesegment(fs, fs);
	savesegment(gs, gs);
	asm volatile("sldt %0" : "=m" (ldt));
	*r = (struct registers) {
		.cr		= { native_read_cr0(), __native_read_cr3(), native_read_cr4() },
		.gs_base	= __rdmsr(MSR_GS_BASE),
		.user_gs_base	= __rdmsr(MSR_KERNEL_GS_BASE),
		.fs_base	= __rdmsr(MSR_FS_BASE),
		.dr7		= native_get_debugreg(7),
		.gdt		= gdt.address,
		.idt		= idt.address,
		.limits		= gdt.size | (u64)idt.size << 16,
		.selectors	= { ds | (u64)es << 16 | (u64)fs << 32 | (u64)gs << 48,
				    ldt | (u64)native_store_tr() << 16 },
	};
	if (r->cr[2] & X86_CR4_OSXSAVE)
		r->xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK);
	for (i = 0; i < nr_boot_msrs; i++)
		r->boot_msr[i] = __rdmsr(boot_msrs[i]);
}

static noinline void compare_registers(const struct registers *before)
{
	struct registers after;

	read_registers(&after);
	checks++;
	mismatches += !!memcmp(before, &after, sizeof(after));
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

static struct {
	u64 user_gs_base;
	u64 fs_base;
	u16 ds, es, fs, gs;
	u64 task_msr[3];
} task_state;

/* Per-task MSRs: which bits of them, and with which feature. */
static const struct {
	u32 msr;
	u64 bits;
	u16 feature;
} task_msrs[] = {
	{ MSR_AMD64_LS_CFG, ~0ULL, X86_FEATURE_LS_CFG_SSBD },
	{ MSR_MISC_FEATURES_ENABLES, MSR_MISC_FEATURES_ENABLES_CPUID_FAULT,
	  X86_FEATURE_CPUID_FAULT },
	{ MSR_IA32_DEBUGCTLMSR, DEBUGCTLMSR_BTF, X86_FEATURE_MSR },
};

static u64 neutral(unsigned int n, u64 value)
{
	return task_msrs[n].msr == MSR_AMD64_LS_CFG ? x86_amd_ls_cfg_base :
						       value & ~task_msrs[n].bits;
}

/* Nothing of a task is in these registers afterwards. */
static void neutralize(void)
{
	int i;

	loadsegment(ds, 0);
	loadsegment(es, 0);
	loadsegment(fs, 0);
	asm_load_gs_index(0);
	write_msr(MSR_FS_BASE, 0);
	write_msr(MSR_KERNEL_GS_BASE, 0);
	for (i = 0; i < ARRAY_SIZE(task_msrs); i++) {
		u64 value;

		if (!boot_cpu_has(task_msrs[i].feature))
			continue;
		value = __rdmsr(task_msrs[i].msr);
		task_state.task_msr[i] = value;
		if (value != neutral(i, value))
			write_msr(task_msrs[i].msr, neutral(i, value));
	}
}

/* Save everything, leave through @code of the shared area, load everything. */
static __always_inline void leave(unsigned long code)
{
	struct twinos_shared *shared = twinos_shared();
	struct twinos_side *me = twinos_me();
	unsigned long slot = twinos_transit_va - TWINOS_TRANSIT_OFFSET + TWINOS_SHARED_OFFSET;
	void *from = (void *)slot + offsetof(struct twinos_shared, side[twinos_role].transit);
	void *to = (void *)slot + offsetof(struct twinos_shared, side[!twinos_role].transit);
	static struct registers before;
	static u32 seen_moves;
	u64 hash;

	if (static_branch_unlikely(&check_state))
		read_registers(&before);
	save_tables();
	save_debug_registers();
	save_control();
	if (unlikely(!cpu_state.settled))
		save_boot_msrs(me);

	asm volatile(CALL_NOSPEC
		     : "+D" (from), "+S" (to), ASM_CALL_CONSTRAINT
		     : THUNK_TARGET(code)
		     : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11",
		       "memory", "cc");
	load_tables();
	twinos_refill_rsb();
	hash = twinos_me()->static_hash;
	if (unlikely(!hash || hash != twinos_other()->static_hash ||
		     shared->moves != seen_moves)) {
		seen_moves = shared->moves;
		load_boot_msrs();
	}
	load_control();
	load_debug_registers();
	/* An OS that has ended may have done so out of a task, or in an NMI. */
	if (unlikely(READ_ONCE(shared->state) > TWINOS_RUNNING))
		neutralize();
	if (unlikely(READ_ONCE(shared->noted) || READ_ONCE(shared->state) > TWINOS_RUNNING))
		raise_noted(shared);
	if (static_branch_unlikely(&check_state))
		compare_registers(&before);
}

/**
 * twinos_switch_cpu_state() - give the CPU to the other OS
 *
 * Over the idle task or a kernel thread, interrupts off, nothing in service in
 * the local APIC. Returns with the CPU in the same state when the other OS has
 * given it back, which may be never; in a coexisting OS that the leading one has
 * moved, on another CPU.
 */
void twinos_switch_cpu_state(void)
{
	leave(twinos_transit_va);
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

/* Covers AMX tiles (Intel SDM 1, 13.5); checked against CPUID before use. */
#define XSAVE_AREA_SIZE		SZ_16K

static u8 xsave_area[XSAVE_AREA_SIZE] __aligned(64);

/* The extended state; %eax and %edx select every component that is enabled. */
static void save_extended_state(void)
{
	if (unlikely(!(native_read_cr4() & X86_CR4_OSXSAVE))) {
		if (native_read_cr4() & X86_CR4_OSFXSR)
			asm volatile("fxsaveq %0" : "=m" (xsave_area));
	} else if (cpu_feature_enabled(X86_FEATURE_XSAVES)) {
		asm volatile("xsaves64 %0" : "+m" (xsave_area) : "a" (-1), "d" (-1));
	} else {
		asm volatile("xsave64 %0" : "+m" (xsave_area) : "a" (-1), "d" (-1));
	}
}

static void load_extended_state(void)
{
	if (unlikely(!(native_read_cr4() & X86_CR4_OSXSAVE))) {
		if (native_read_cr4() & X86_CR4_OSFXSR)
			asm volatile("fxrstorq %0" : : "m" (xsave_area));
	} else if (cpu_feature_enabled(X86_FEATURE_XSAVES)) {
		asm volatile("xrstors64 %0" : : "m" (xsave_area), "a" (-1), "d" (-1));
	} else {
		asm volatile("xrstor64 %0" : : "m" (xsave_area), "a" (-1), "d" (-1));
	}
}

/**
 * twinos_over_task() - the same over whatever runs
 * @switch_state: one of the two above
 *
 * Interrupts off, any context, nothing in service: where the scheduler cannot clear
 * the CPU first, because it does not exist yet or something has kept it from that for
 * too long. Puts away what it would have.
 */
void twinos_over_task(void (*switch_state)(void))
{
	struct fpu *owner = this_cpu_read(fpu_fpregs_owner_ctx);
	int i;

	savesegment(ds, task_state.ds);
	savesegment(es, task_state.es);
	savesegment(fs, task_state.fs);
	savesegment(gs, task_state.gs);
	task_state.fs_base = __rdmsr(MSR_FS_BASE);
	task_state.user_gs_base = __rdmsr(MSR_KERNEL_GS_BASE);
	neutralize();
	save_extended_state();

	switch_state();

	load_extended_state();
	this_cpu_write(fpu_fpregs_owner_ctx, owner);
	for (i = 0; i < ARRAY_SIZE(task_msrs); i++)
		if (boot_cpu_has(task_msrs[i].feature) &&
		    task_state.task_msr[i] != neutral(i, task_state.task_msr[i]))
			write_msr(task_msrs[i].msr, task_state.task_msr[i]);
	loadsegment(ds, task_state.ds);
	loadsegment(es, task_state.es);
	loadsegment(fs, task_state.fs);
	asm_load_gs_index(task_state.gs);
	write_msr(MSR_FS_BASE, task_state.fs_base);
	write_msr(MSR_KERNEL_GS_BASE, task_state.user_gs_base);
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
	if (twinos_hypervisor_active() || native_read_cr4() & X86_CR4_FRED) {
		pr_err("KVM uses the CPU, or FRED is on; stop KVM, boot with fred=off\n");
		return false;
	}
	twinos_find_lapic();
	choose_boot_msrs();
	cpu_state.settled = false;
	return true;
}
