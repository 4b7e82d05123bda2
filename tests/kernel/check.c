// SPDX-License-Identifier: GPL-2.0
/*
 * Boot option twinos_check: after every OS switch compare the CPU state with what
 * it was before. Costs more than a switch. The numbers of comparisons and of those
 * that found a difference are in /sys/module/twinos_check/parameters.
 */
#include <linux/moduleparam.h>
#include <linux/static_call.h>
#include <asm/debugreg.h>
#include <asm/desc.h>
#include <asm/fpu/xcr.h>
#include <asm/msr.h>
#include <asm/segment.h>
#include <asm/special_insns.h>

#include "../both/twinos.h"

#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "twinos_check."

static u64 checks, mismatches;
module_param(checks, ullong, 0444);
module_param(mismatches, ullong, 0444);

/* What no switch may change, whether it looks at it or not. One that is not there reads as 0. */
static const u32 msrs[] = {
	MSR_EFER, MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SYSCALL_MASK, MSR_IA32_CR_PAT,
	MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP, MSR_TSC_AUX,
	MSR_IA32_XSS, MSR_IA32_XFD, MSR_IA32_S_CET, MSR_IA32_SPEC_CTRL, MSR_AMD64_LS_CFG,
	MSR_MISC_FEATURES_ENABLES, MSR_IA32_DEBUGCTLMSR,
};

struct registers {
	u64 cr[3];
	u64 gs_base, user_gs_base, fs_base;
	u64 dr7, xcr0;
	u64 gdt, idt;
	u64 limits;
	u64 selectors[2];
	u64 msr[ARRAY_SIZE(msrs)];
};

static void read_registers(struct registers *r)
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
	for (i = 0; i < ARRAY_SIZE(msrs); i++)
		rdmsrl_safe(msrs[i], &r->msr[i]);
}

static void compare(bool back)
{
	static struct registers before, after;
	static bool noted;	/* the first call may be that of the way back */

	if (!back) {
		read_registers(&before);
		noted = true;
	} else if (noted) {
		read_registers(&after);
		checks++;
		mismatches += !!memcmp(&before, &after, sizeof(after));
	}
}

static bool wanted __initdata;

static int __init parse_check(char *p)
{
	wanted = true;
	return 0;
}
early_param("twinos_check", parse_check);

static int __init enable_check(void)
{
	if (wanted)
		static_call_update(twinos_watch_switch, compare);
	return 0;
}
late_initcall(enable_check);
