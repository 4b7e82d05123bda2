// SPDX-License-Identifier: GPL-2.0
/*
 * The OS switch: saves the CPU state of this kernel, continues in the other one, and puts
 * everything back when that returns. What has to change hands in one breath (CR0, CR3, CR4, RSP,
 * descriptor tables that work on the way) is in transit_64.S; here is what a kernel saves in its
 * own memory. Nothing here may touch per-CPU data between the two halves: the GS base is the
 * other kernel's until it is loaded again.
 *
 * It happens over the idle task or a kernel thread. The scheduler has then put away all that is
 * a task's: FPU, segment selectors and bases, breakpoints, and the MSRs that only some tasks have
 * set. So this is what remains, whoever runs next finds these registers neutral, and nothing of
 * a task reaches the other OS.
 */
#include <linux/static_call.h>
#include <asm/desc.h>
#include <asm/fpu/api.h>
#include <asm/fpu/xcr.h>
#include <asm/gsseg.h>
#include <asm/spec-ctrl.h>
#include <asm/sync_core.h>
#include <asm/trapnr.h>

#include "twinos.h"

int twinos_role __ro_after_init = TWINOS_LEADING;

/*
 * MSRs that a kernel writes while it boots and never again. Both kernels save theirs as long as the
 * coexisting one boots; then they are compared once, and not even written if they are the same.
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

static u32 boot_msrs[ARRAY_SIZE(all_boot_msrs) + 1];
static unsigned int nr_boot_msrs;
static bool has_global_ctrl;

static void choose_boot_msrs(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < ARRAY_SIZE(all_boot_msrs); i++)
		if (boot_cpu_has(all_boot_msrs[i].feature))
			boot_msrs[n++] = all_boot_msrs[i].msr;
	/* Has the CPU shadow stacks or branch tracking, whether this kernel uses them or not? */
	if (cpuid_eax(0) >= 7 && (cpuid_ecx(7) & BIT(7) || cpuid_edx(7) & BIT(20)))
		boot_msrs[n++] = MSR_IA32_S_CET;
	nr_boot_msrs = n;
	/* From version 2 on; a coexisting OS leaves the counters alone. */
	if (!twinos_coexisting() && boot_cpu_data.x86_vendor == X86_VENDOR_INTEL &&
	    cpuid_eax(0) >= 10)
		has_global_ctrl = (cpuid_eax(10) & 0xff) >= 2;
}

static struct {
	u64 xfd, spec_ctrl;
	u64 counters;		/* performance counters that were on */
	u64 dr7;
	u32 pkru;
	u16 ldt;
	/* What does not change once both OSes run: */
	bool settled;		/* it has its final values */
	struct desc_ptr gdt, idt;
	u64 gs_base;		/* of this kernel: its per-CPU data */
	u64 xcr0;		/* 0: XSAVE is not enabled yet */
	u64 boot_msr[ARRAY_SIZE(boot_msrs)];
} cpu_state;

static u64 mix(u64 hash, u64 value)	/* FNV-1a, 64 bit */
{
	return (hash ^ value) * 0x100000001b3;
}

static noinline void save_settled(struct twinos_side *me)
{
	u64 hash = 0xcbf29ce484222325;

	cpu_state.gs_base = __rdmsr(MSR_GS_BASE);
	native_store_gdt(&cpu_state.gdt);
	store_idt(&cpu_state.idt);
	cpu_state.xcr0 = native_read_cr4() & X86_CR4_OSXSAVE ?
			 xgetbv(XCR_XFEATURE_ENABLED_MASK) : 0;
	hash = mix(hash, cpu_state.xcr0);
	for (int i = 0; i < nr_boot_msrs; i++) {
		cpu_state.boot_msr[i] = __rdmsr(boot_msrs[i]);
		hash = mix(hash, cpu_state.boot_msr[i]);
	}
	if (READ_ONCE(twinos_shared()->state) == TWINOS_RUNNING) {
		me->static_hash = hash | 1;
		cpu_state.settled = true;
	}
}

/* Of that, what the other OS may have otherwise. */
static noinline void load_settled(void)
{
	for (int i = 0; i < nr_boot_msrs; i++)
		native_wrmsrl(boot_msrs[i], cpu_state.boot_msr[i]);
	if (cpu_state.xcr0)
		xsetbv(XCR_XFEATURE_ENABLED_MASK, cpu_state.xcr0);
}

static __always_inline void save_control(void)
{
	store_ldt(cpu_state.ldt);
	/* Breakpoints must not trigger in the other kernel; this one has them in memory. */
	cpu_state.dr7 = native_get_debugreg(7) & 0xff;
	if (unlikely(cpu_state.dr7))
		native_set_debugreg(7, DR7_FIXED_1);
	if (native_read_cr4() & X86_CR4_PKE)
		cpu_state.pkru = rdpkru();
	if (cpu_feature_enabled(X86_FEATURE_XFD))
		cpu_state.xfd = __rdmsr(MSR_IA32_XFD);
	if (cpu_feature_enabled(X86_FEATURE_MSR_SPEC_CTRL))
		cpu_state.spec_ctrl = __rdmsr(MSR_IA32_SPEC_CTRL);
	/* Of the last user task, which has it in memory. */
	if (cpu_feature_enabled(X86_FEATURE_USER_SHSTK) && __rdmsr(MSR_IA32_U_CET))
		native_wrmsrl(MSR_IA32_U_CET, 0);
	/* They write to memory of this kernel, and count this kernel's instructions. */
	if (has_global_ctrl) {
		cpu_state.counters = __rdmsr(MSR_CORE_PERF_GLOBAL_CTRL);
		if (cpu_state.counters)
			native_wrmsrl(MSR_CORE_PERF_GLOBAL_CTRL, 0);
	}
}

static __always_inline void load_control(void)
{
	if (cpu_feature_enabled(X86_FEATURE_MSR_SPEC_CTRL))
		native_wrmsrl(MSR_IA32_SPEC_CTRL, cpu_state.spec_ctrl);
	if (has_global_ctrl && cpu_state.counters)
		native_wrmsrl(MSR_CORE_PERF_GLOBAL_CTRL, cpu_state.counters);
	if (cpu_feature_enabled(X86_FEATURE_XFD))
		native_wrmsrl(MSR_IA32_XFD, cpu_state.xfd);
	if (native_read_cr4() & X86_CR4_PKE)
		wrpkru(cpu_state.pkru);
	/* The other OS has used the registers: nobody's state is in them any more. */
	this_cpu_write(fpu_fpregs_owner_ctx, NULL);
	/* As between two processes of different users, who trust each other as little. */
	if (static_branch_likely(&switch_mm_cond_ibpb) ||
	    static_branch_unlikely(&switch_mm_always_ibpb))
		indirect_branch_prediction_barrier();
	if (unlikely(cpu_state.dr7))
		hw_breakpoint_restore();
}

/* Of the type of a descriptor (Intel SDM 3A, 8.2.2). */
#define TSS_BUSY	2

/* The IDT comes last: its handlers need all the rest, the transit code's until then nothing. */
static __always_inline void load_tables(void)
{
	struct desc_struct *gdt;

	native_wrmsrl(MSR_GS_BASE, cpu_state.gs_base);

	/*
	 * From here on per-CPU data is ours. LTR marks the TSS descriptor busy, which faults if
	 * it is already, and is a write to the GDT, which the kernel keeps read-only but for this
	 * alias. A kernel that has just begun to boot has loaded no TSS and no LDT yet: what it
	 * saved was the selector of the leading OS.
	 */
	gdt = get_current_gdt_rw();
	if (likely(((tss_desc *)&gdt[GDT_ENTRY_TSS])->type == (DESC_TSS | TSS_BUSY))) {
		native_load_gdt(&(struct desc_ptr){ GDT_SIZE - 1, (unsigned long)gdt });
		((tss_desc *)&gdt[GDT_ENTRY_TSS])->type = DESC_TSS;
		asm volatile("ltr %w0" : : "r" (GDT_ENTRY_TSS * 8));
	}
	native_load_gdt(&cpu_state.gdt);
	asm volatile("lldt %w0" : : "r" (gdt[GDT_ENTRY_LDT].p ? cpu_state.ldt : 0));
	asm volatile("mov %0, %%ss" : : "r" (__KERNEL_DS));
	native_load_idt(&cpu_state.idt);
}

static struct {
	u64 user_gs_base, fs_base;
	u16 ds, es, fs, gs;
	u64 task_msr[3];
} task_state;

/* Per-task MSRs: which bits of them, and with which feature. */
static const struct {
	u32 msr;
	u16 feature;
	u64 bits;
} task_msrs[] = {
	{ MSR_AMD64_LS_CFG, X86_FEATURE_LS_CFG_SSBD, ~0ULL },
	{ MSR_MISC_FEATURES_ENABLES, X86_FEATURE_CPUID_FAULT,
	  MSR_MISC_FEATURES_ENABLES_CPUID_FAULT },
	{ MSR_IA32_DEBUGCTLMSR, X86_FEATURE_MSR, DEBUGCTLMSR_BTF },
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
	native_wrmsrl(MSR_FS_BASE, 0);
	native_wrmsrl(MSR_KERNEL_GS_BASE, 0);
	for (i = 0; i < ARRAY_SIZE(task_msrs); i++) {
		u64 value;

		if (!boot_cpu_has(task_msrs[i].feature))
			continue;
		value = __rdmsr(task_msrs[i].msr);
		task_state.task_msr[i] = value;
		if (value != neutral(i, value))
			native_wrmsrl(task_msrs[i].msr, neutral(i, value));
	}
}

/*
 * An OS that has ended may have done so out of a task, or with its MSRs changed. What the transit
 * code or the other OS has met is raised here. NMIs may be blocked: an IRET in the transit code
 * would have let in the next one, and an OS can end in a handler of one. An NMI is sent anew, to
 * come when the CPU lets it in.
 */
static noinline void clean_up(struct twinos_shared *shared)
{
	u32 noted = shared->noted & (twinos_coexisting() ? TWINOS_NOTED_MCE : ~0U);

	if (READ_ONCE(shared->state) > TWINOS_RUNNING) {
		load_settled();
		neutralize();
	}
	twinos_forget_exception(noted);
	if (noted & TWINOS_NOTED_MCE)
		asm volatile("int %0" : : "i" (X86_TRAP_MC));
	if (noted & TWINOS_NOTED_NMI)
		twinos_lapic_send(APIC_DM_NMI, shared->leading_apic_id);
	iret_to_self();
}

/* Called at both ends of a switch, where everything is this kernel's; back: at the second. */
DEFINE_STATIC_CALL_NULL(twinos_watch_switch, void(bool back));

/* Save everything, leave through code of the shared area, load everything. */
static __always_inline void leave(bool park)
{
	unsigned long slot = twinos_transit_va - TWINOS_TRANSIT_OFFSET - TWINOS_SHARED_VA;
	struct twinos_side *me = twinos_me(), *other = twinos_other();
	struct twinos_shared *shared = twinos_shared();
	void *from = (void *)&me->transit + slot, *to = (void *)&other->transit + slot;
	static u32 seen_moves;

	static_call_cond(twinos_watch_switch)(false);
	save_control();
	if (unlikely(!cpu_state.settled))
		save_settled(me);

	asm volatile(CALL_NOSPEC
		     : "+D" (from), "+S" (to), ASM_CALL_CONSTRAINT
		     : THUNK_TARGET(park ? shared->park_va : twinos_transit_va)
		     : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "memory", "cc");
	load_tables();
	twinos_refill_rsb();
	if (unlikely(!me->static_hash || me->static_hash != other->static_hash ||
		     shared->moves != seen_moves)) {
		seen_moves = shared->moves;
		load_settled();
	}
	load_control();
	if (unlikely(READ_ONCE(shared->noted) || READ_ONCE(shared->state) > TWINOS_RUNNING))
		clean_up(shared);
	static_call_cond(twinos_watch_switch)(true);
}

/**
 * twinos_switch_cpu_state() - give the CPU to the other OS
 *
 * Over the idle task or a kernel thread, interrupts off, nothing in service in the local APIC.
 * Returns with the CPU in the same state when the other OS has given it back, which may be never;
 * in a coexisting OS that the leading one has moved, on another CPU.
 */
void twinos_switch_cpu_state(void)
{
	leave(false);
}

/** twinos_park_cpu_state() - the same in a coexisting OS to be moved; this CPU awaits an INIT */
void twinos_park_cpu_state(void)
{
	leave(true);
}

/* Covers AMX tiles (Intel SDM 1, 13.5); checked against CPUID before use. */
static u8 xsave_area[SZ_16K] __aligned(64);

/* By the instruction that there is; %eax and %edx select every component that is enabled. */
#define EXTENDED_STATE(best, enabled, oldest)							\
do {												\
	unsigned long cr4 = native_read_cr4();							\
												\
	if (likely(cr4 & X86_CR4_OSXSAVE) && cpu_feature_enabled(X86_FEATURE_XSAVES))		\
		asm volatile(best " %0" : "+m" (xsave_area) : "a" (-1), "d" (-1));		\
	else if (cr4 & X86_CR4_OSXSAVE)								\
		asm volatile(enabled " %0" : "+m" (xsave_area) : "a" (-1), "d" (-1));		\
	else if (cr4 & X86_CR4_OSFXSR)								\
		asm volatile(oldest " %0" : "+m" (xsave_area));					\
} while (0)

/**
 * twinos_over_task() - the same over whatever runs
 * @switch_state: one of the two above
 *
 * Interrupts off, any context, nothing in service: where the scheduler cannot clear the CPU first,
 * because it does not exist yet or is kept from it for too long. Puts away what it would have.
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
	EXTENDED_STATE("xsaves64", "xsave64", "fxsaveq");

	switch_state();

	EXTENDED_STATE("xrstors64", "xrstor64", "fxrstorq");
	this_cpu_write(fpu_fpregs_owner_ctx, owner);
	for (i = 0; i < ARRAY_SIZE(task_msrs); i++)
		if (boot_cpu_has(task_msrs[i].feature) &&
		    task_state.task_msr[i] != neutral(i, task_state.task_msr[i]))
			native_wrmsrl(task_msrs[i].msr, task_state.task_msr[i]);
	loadsegment(ds, task_state.ds);
	loadsegment(es, task_state.es);
	loadsegment(fs, task_state.fs);
	asm_load_gs_index(task_state.gs);
	native_wrmsrl(MSR_FS_BASE, task_state.fs_base);
	native_wrmsrl(MSR_KERNEL_GS_BASE, task_state.user_gs_base);
}

/** twinos_state_valid() - can this CPU's state be switched at all? Says why not. */
bool twinos_state_valid(void)
{
	u32 size = 0, eax, ecx, edx;

	if (boot_cpu_has(X86_FEATURE_XSAVE))
		cpuid_count(0xd, 0, &eax, &size, &ecx, &edx);
	if (size > sizeof(xsave_area)) {
		pr_err("extended CPU state of %u bytes is larger than %zu\n",
		       size, sizeof(xsave_area));
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
