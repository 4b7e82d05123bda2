/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the files of arch/x86/twinos. "me" is always the OS that executes
 * the code, "other" the one beside it.
 */
#ifndef _TWINOS_H
#define _TWINOS_H

#include <linux/init.h>
#include <linux/compiler.h>
#include <linux/types.h>
#include <asm/debugreg.h>
#include <asm/irqflags.h>
#include <asm/nospec-branch.h>
#include <asm/twinos.h>

#undef pr_fmt
#define pr_fmt(fmt) "twinos: " fmt

/* Virtual address, in both kernels, of an offset in the shared area. */
#define twinos_va(offset)	((void *)(TWINOS_SHARED_VA + (offset)))

/* Both kernels map the registers of the local APIC behind the shared area. */
#define TWINOS_LAPIC_OFFSET	TWINOS_SHARED_SIZE

static inline struct twinos_shared *twinos_shared(void)
{
	return twinos_va(TWINOS_SHARED_OFFSET);
}

extern int twinos_role;		/* index of this OS in twinos_shared.side */

static inline struct twinos_side *twinos_me(void)
{
	return &twinos_shared()->side[twinos_role];
}

static inline struct twinos_side *twinos_other(void)
{
	return &twinos_shared()->side[!twinos_role];
}

/* switch.c */
void twinos_map_shared(phys_addr_t window);
void twinos_switch_cpu_state(void);
u32 twinos_lapic_read(u32 reg);
void twinos_lapic_write(u32 reg, u32 value);
void twinos_lapic_self_ipi(int vector);
bool twinos_state_valid(void);
void twinos_check_result(u64 *compared, u64 *different);
extern const char twinos_transit_start[], twinos_transit_end[];
extern const char twinos_abandon_start[], twinos_start_start[];

/**
 * twinos_leave_for_good() - end this coexisting OS, resume the leading one
 * @state: how it ended
 *
 * Any context, even NMI. Nothing of this OS runs afterwards. Inline, so that
 * objtool sees that it does not return.
 */
static __always_inline void __noreturn twinos_leave_for_good(enum twinos_state state)
{
	native_irq_disable();
	native_set_debugreg(7, 0x400);
	asm volatile(ANNOTATE_RETPOLINE_SAFE
		     "call *%[abandon]"
		     : ASM_CALL_CONSTRAINT
		     : "D" (twinos_shared()), "S" (state),
		       [abandon] "r" (twinos_shared()->abandon_va)
		     : "memory");
	for (;;)
		native_halt();
}

/* timeshare.c */
int twinos_timer_init(unsigned int tsc_khz, u64 lapic_hz);
int twinos_vectors_init(void);
void twinos_timeshare_begin(void);
void twinos_first_switch(void);
void twinos_timeshare_end(void);
void twinos_yield_early(void);
bool twinos_overdue(void);
u64 twinos_launch_away_max(void);

/* launch.c, called when the coexisting OS has given its CPU back for good */
void twinos_coexisting_ended(void);

/* console.c */
void twinos_console_init(void);
size_t twinos_ring_read(char *buf, loff_t pos, size_t count);

/* pci.c */
int twinos_pci_take(const struct twinos_share *share);
void twinos_pci_give_back(void);
void twinos_pci_quiesce(void);
int twinos_pci_arch_init(void);
int twinos_pci_scan(void);
void twinos_pci_set_share(const struct twinos_share *share);

/* guard.c */
void twinos_guard_arm(void);
void twinos_guard_disarm(void);
void twinos_guard_early(void);
void twinos_guard_nmi_init(void);

/* fault.c */
#ifdef CONFIG_TWINOS_FAULTS
void twinos_fault_at(const char *stage);
#else
static inline void twinos_fault_at(const char *stage) { }
#endif

/* leading.c */
bool twinos_window_free(u64 start, u64 size);
struct twinos_window {
	u64 start, size;
	u64 low_start, low_size;
};
extern struct twinos_window twinos_windows[];
extern unsigned int twinos_nr_windows;
extern bool twinos_off;

/* load.c */
struct twinos_image {
	struct twinos_share share;
	unsigned long entry;
	bool loaded;
};
extern struct twinos_image twinos_image;
extern struct mutex twinos_mutex;
int twinos_share_check(const struct twinos_share *share);
int twinos_take_resources(const struct twinos_share *share);
void twinos_give_resources(void);

/* launch.c */
extern unsigned int twinos_weight, twinos_slice_us;
int twinos_launch(u64 now);
bool twinos_running(void);
enum twinos_state twinos_get_state(void);
void twinos_reason(char *buf, size_t size);

/* sysfs.c */
void twinos_sysfs_notify(void);

#endif /* _TWINOS_H */
