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

static const struct {
	u32 msr;
	u16 feature;		/* that has to be there; the first ones always are */
} msrs[] = {
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
		if (boot_cpu_has(msrs[i].feature))
			r->msr[i] = __rdmsr(msrs[i].msr);
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
