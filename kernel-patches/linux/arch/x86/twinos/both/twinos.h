/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What both roles run: the shared area, the OS switch and time sharing. "me" is
 * always the OS that executes the code, "other" the one it shares a CPU with.
 * Nothing here calls what only one role has, but through struct twinos_role.
 */
#ifndef _TWINOS_H
#define _TWINOS_H

#include <linux/init.h>
#include <linux/irqflags.h>
#include <linux/kernel.h>
#include <linux/sizes.h>
#include <linux/smp.h>
#include <linux/static_call_types.h>
#include <linux/string.h>
#include <linux/types.h>
#include <twinos/abi.h>
#include <asm/apic.h>
#include <asm/debugreg.h>
#include <asm/hw_irq.h>
#include <asm/irq_vectors.h>
#include <asm/msr.h>
#include <asm/nospec-branch.h>
#include <asm/processor.h>
#include <asm/smp.h>
#include <asm/tlbflush.h>
#include <asm/tsc.h>

#undef pr_fmt
#define pr_fmt(fmt) "twinos: " fmt

extern int twinos_role;		/* index of this OS in twinos_shared.side */
extern bool twinos_off;		/* boot option twinos=off */
extern unsigned int twinos_nr_pins;	/* coexisting OS: pins of its share */

static inline bool twinos_coexisting(void)
{
	return twinos_role == TWINOS_COEXISTING;
}

/* Virtual address, in both kernels, of an offset in the shared area. */
#define twinos_va(offset)	((void *)(TWINOS_SHARED_VA + (offset)))

/*
 * The shared page: in a coexisting OS its own, in the leading OS that of the
 * OS that it shares, or shared last, its boot CPU with.
 */
static inline struct twinos_shared *twinos_shared(void)
{
	return twinos_va(TWINOS_SHARED_OFFSET);
}

/* The address is computed once, not anew at each use. */
static inline struct twinos_side *twinos_side(int role)
{
	struct twinos_side *side = &twinos_shared()->side[role];

	OPTIMIZER_HIDE_VAR(side);
	return side;
}

static inline struct twinos_side *twinos_me(void)
{
	return twinos_side(twinos_role);
}

static inline struct twinos_side *twinos_other(void)
{
	return twinos_side(!twinos_role);
}

/* Does this coexisting OS have its CPUs for itself? */
static inline bool twinos_dedicated(void)
{
	return twinos_coexisting() && READ_ONCE(twinos_shared()->mode) == TWINOS_DEDICATED;
}

/* The CPU of the leading OS that can be shared, and that takes doorbells. */
#define TWINOS_SHARED_CPU	0

/*
 * What an OS does of its own where both run the same. In hard interrupt context, but for the last:
 * at the end of an OS switch, interrupts off, where RCU does not watch.
 */
struct twinos_role {
	void (*doorbell)(void);			/* somebody may have a word for it */
	void (*stray_vector)(unsigned int vector);	/* of no OS that shares the CPU */
	void (*moved)(void);			/* it finds itself on another CPU */
};

/* area.c */
extern struct twinos_common *twinos_common;
extern unsigned long twinos_transit_va;
phys_addr_t twinos_common_pa(void);
struct twinos_shared *twinos_map_slot(unsigned int slot, phys_addr_t window);
struct twinos_shared *twinos_slot(unsigned int id);
void twinos_share_cpu_with(unsigned int id);
bool twinos_map_own(phys_addr_t window, unsigned int id);
void twinos_lapic_init(void);
void twinos_find_lapic(void);
u32 twinos_lapic_read(u32 reg);
void twinos_lapic_write(u32 reg, u32 value);
void twinos_lapic_send(u32 command, u32 apic_id);
void twinos_lapic_drain(void);

/* What the transit code or an NMI has met, in one instruction: an NMI may come between two. */
static __always_inline void twinos_note_exception(u32 which)
{
	asm volatile("orl %1, %0" : "+m" (twinos_shared()->noted) : "r" (which));
}

static __always_inline void twinos_forget_exception(u32 which)
{
	asm volatile("andl %1, %0" : "+m" (twinos_shared()->noted) : "r" (~which));
}

/* Does KVM use this CPU, whose state could not be switched then? Never in a coexisting OS. */
static __always_inline bool twinos_hypervisor_active(void)
{
	return cr4_read_shadow() & X86_CR4_VMXE ||
	       (boot_cpu_has(X86_FEATURE_SVM) && __rdmsr(MSR_EFER) & EFER_SVME);
}

/* switch.c, transit_64.S */
void twinos_switch_cpu_state(void);
void twinos_park_cpu_state(void);
void twinos_over_task(void (*switch_state)(void));
bool twinos_state_valid(void);
DECLARE_STATIC_CALL(twinos_watch_switch, void(bool back));
asmlinkage void twinos_refill_rsb(void);
extern const char twinos_transit_start[], twinos_transit_end[];
extern const char twinos_transit_gdt[], twinos_transit_gdtr[];
extern const char twinos_transit_idt[], twinos_transit_idtr[];
extern const char twinos_transit_nmi[], twinos_transit_mce[];
extern const char twinos_abandon_start[], twinos_leave_start[];
extern const char twinos_enter_start[], twinos_park_start[];

/**
 * twinos_leave_for_good() - end this coexisting OS
 * @state: how it ended
 * @why: for those who look
 *
 * Any context, even NMI. Nothing of this OS runs on this CPU afterwards: a shared one goes on in
 * the leading OS, one of its own waits to be taken back. Inline, so that objtool sees no return.
 */
static __always_inline void __noreturn twinos_leave_for_good(enum twinos_state state,
							     const char *why)
{
	native_irq_disable();
	strscpy(twinos_shared()->reason, why, sizeof(twinos_shared()->reason));
	native_set_debugreg(7, 0x400);
	asm volatile(CALL_NOSPEC
		     : ASM_CALL_CONSTRAINT
		     : "D" (twinos_shared()), "S" (state),
		       THUNK_TARGET(twinos_shared()->abandon_va)
		     : "memory");
	for (;;)
		native_halt();
}

/* timer.c; U64_MAX: none */
extern u64 twinos_timer_next, twinos_timer_turn;
int twinos_timer_init(const struct twinos_shared *shared);
bool twinos_timer_owned(void);
void twinos_timer_handle(void);
void twinos_timer_set_turn(u64 end);
void twinos_timer_restart(void);

/*
 * System vectors have the same number in both kernels. One that is pending when
 * an OS leaves will be taken by the other kernel, which finds nothing to do. Not
 * that of the timer and of doorbells, at which either looks at everything.
 */
#define KEPT_VECTORS	(GENMASK(31, FIRST_SYSTEM_VECTOR - 224) & \
			 ~(BIT(X86_PLATFORM_IPI_VECTOR - 224) | BIT(LOCAL_TIMER_VECTOR - 224)))

/** twinos_pending_system() - system vectors of this OS in the local APIC, from 224 on */
static inline u32 twinos_pending_system(void)
{
	return twinos_lapic_read(APIC_IRR + 0x70) & KEPT_VECTORS;
}

/* pending.c */
void twinos_note(struct twinos_side *side, unsigned int vector);
void twinos_raise_pending(void);
void twinos_raise_system(u32 vectors);
void twinos_keep_pending(void);

/* timeshare.c */
void twinos_set_role(const struct twinos_role *role);
int twinos_start_giver(void);
int twinos_vectors_init(void);
void twinos_timeshare_early(void);
void twinos_first_switch(void);
void twinos_timeshare_end(void *unused);
void twinos_timeshare_resume(void *unused);
void twinos_continue_alone(void);
void twinos_account(void *unused);
bool twinos_yield_early(void);
bool twinos_yield_for_answer(void);
void twinos_note_for_other(unsigned int vector);
bool twinos_hung(void);
extern bool twinos_timesharing;

/* pci.c */
void twinos_lock(void);
void twinos_unlock(void);
bool twinos_holds_lock(void);
void twinos_break_locks(u32 id);
void twinos_alone(void);
extern const struct pci_raw_ops twinos_pci_ops;
void twinos_pci_divert(const struct pci_raw_ops *ops);

/* share.c */
bool twinos_inside(u64 start, u64 size, u64 outer_start, u64 outer_size);
int twinos_share_check(const struct twinos_share *share);

#endif /* _TWINOS_H */
