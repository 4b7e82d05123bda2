/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the files of arch/x86/twinos. "me" is always the OS that executes
 * the code, "other" the one it shares a CPU with.
 */
#ifndef _TWINOS_H
#define _TWINOS_H

#include <linux/init.h>
#include <linux/compiler.h>
#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <asm/debugreg.h>
#include <asm/irqflags.h>
#include <asm/nospec-branch.h>
#include <asm/twinos.h>

#undef pr_fmt
#define pr_fmt(fmt) "twinos: " fmt

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

static inline struct twinos_side *twinos_me(void)
{
	return &twinos_shared()->side[twinos_role];
}

static inline struct twinos_side *twinos_other(void)
{
	return &twinos_shared()->side[!twinos_role];
}

/* The CPU of the leading OS that can be shared, and that takes doorbells. */
#define TWINOS_SHARED_CPU	0

/*
 * A coexisting OS as the leading one knows it. All fields are protected by
 * twinos_mutex.
 */
struct twinos_os {
	struct kobject kobj;		/* /sys/kernel/twinos/osN */
	struct list_head list;
	u32 id;
	enum twinos_mode mode;
	bool loaded;			/* an image waits in the window */
	bool launched;			/* the shared page is or was in use */
	bool running;			/* from the launch until its end is dealt with */
	bool give_back;			/* at its end its devices return to this OS */
	struct twinos_share share;	/* magic 0: it has none */
	unsigned long entry;		/* physical address of the purgatory */
	struct twinos_shared *shared;	/* the shared page, in this OS's slot */
	enum twinos_state ended;	/* how it ended, once it is not running */
	char reason[160];
	unsigned int weight;		/* percent of a shared CPU */
	unsigned int slice_us;
	int pin_irqs[TWINOS_MAX_IRQS];
	unsigned int nr_pins;
};

/* registry.c */
extern struct list_head twinos_oses;
extern struct mutex twinos_mutex;
struct twinos_os *twinos_find(u32 id);
struct twinos_os *twinos_find_or_create(u32 id);
void twinos_forget(struct twinos_os *os);
enum twinos_state twinos_get_state(const struct twinos_os *os);
bool twinos_claims(const struct twinos_os *os);

/* switch.c */
struct twinos_shared *twinos_map_slot(unsigned int slot, phys_addr_t window);
struct twinos_shared *twinos_slot(unsigned int id);
void twinos_lapic_init(void);
void twinos_map_own(phys_addr_t window, unsigned int id);
void twinos_switch_cpu_state(void);
void twinos_park_cpu_state(void);
u32 twinos_lapic_read(u32 reg);
void twinos_lapic_write(u32 reg, u32 value);
void twinos_lapic_self_ipi(int vector);
bool twinos_state_valid(void);
void twinos_check_result(u64 *compared, u64 *different);
extern const char twinos_transit_start[], twinos_transit_end[];
extern const char twinos_abandon_start[], twinos_start_start[];
extern const char twinos_enter_start[], twinos_park_start[], twinos_leave_start[];

/**
 * twinos_leave_for_good() - end this coexisting OS
 * @state: how it ended
 *
 * Any context, even NMI. Nothing of this OS runs on this CPU afterwards: a
 * shared one goes on in the leading OS, one of its own waits to be taken back.
 * Inline, so that objtool sees that it does not return.
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
void twinos_interrupt(void);
void twinos_timeshare_early(void);
void twinos_first_switch(void);
void twinos_timeshare_end(void);
void twinos_timeshare_resume(void);
void twinos_account(void);
void twinos_timer_restart(void);
void twinos_yield_early(void);
void twinos_ask(unsigned int vector);
void twinos_keep_pending(void);
void twinos_raise_pending(void);
extern struct twinos_shared *twinos_in_motion;
bool twinos_overdue(void);
bool twinos_timesharing(void);
u64 twinos_launch_away_max(void);

/* common.c */
extern struct twinos_common *twinos_common;
phys_addr_t twinos_common_pa(void);
void twinos_lock(enum twinos_lock lock);
void twinos_break_locks(u32 id);
void twinos_alone(void);
unsigned int twinos_read_ioapic(unsigned int apic, unsigned int reg);
bool twinos_common_attach(u32 id);

/* launch.c */
extern struct twinos_os *twinos_timeshared;
void twinos_set_mode(struct twinos_os *os, enum twinos_mode mode);
int twinos_write_shared_area(struct twinos_os *os, u64 launch_tsc);
int twinos_launch(struct twinos_os *os, u64 now);
int twinos_prepare_sharing(struct twinos_os *os);
void twinos_finish_sharing(void);
void twinos_coexisting_ended(void);
void twinos_end(struct twinos_os *os);
void twinos_apply_weight(struct twinos_os *os);

/* dedicated.c */
int twinos_check_cpus(const struct twinos_os *os, const struct twinos_share *share);
int twinos_launch_dedicated(struct twinos_os *os, u64 now);
void twinos_stop_cpus(const struct twinos_os *os);
void twinos_stop_running(struct twinos_os *os, const char *reason);
void twinos_take_cpus_back(struct twinos_os *os);
void twinos_leading_interrupt(void);
int twinos_lend_cpu(struct twinos_os *os, unsigned int cpu);
void twinos_reclaim_cpu(unsigned int cpu);
void twinos_ring(u32 apic_id);
void twinos_request(const struct twinos_os *os, enum twinos_request request);
int twinos_stop(struct twinos_os *os);
int twinos_kill(struct twinos_os *os);

/* kernel/rcu/update.c; exported, but declared in kernel/rcu/rcu.h alone. */
void rcu_expedite_gp(void);
void rcu_unexpedite_gp(void);

/* move.c */
int twinos_move(struct twinos_os *os, unsigned int cpu);
void twinos_coexisting_interrupt(void);
void twinos_boot_done(void);
void twinos_moved(void);

/* coexisting.c */
bool twinos_dedicated(void);
bool twinos_owns_register(unsigned int reg);

/* console.c */
void twinos_console_init(void);
size_t twinos_ring_read(const struct twinos_shared *shared, char *buf, loff_t pos, size_t count);

/* pci.c */
int twinos_pci_take(const struct twinos_share *share);
bool twinos_pci_has(u32 owner);
void twinos_pci_give_back(u32 owner);
void twinos_pci_quiesce(u32 owner);
int twinos_pci_arch_init(void);
int twinos_pci_scan(void);
void twinos_pci_set_share(const struct twinos_share *share);

/* guard.c */
void twinos_guard_arm(void);
void twinos_guard_disarm(void);
void twinos_guard_early(void);

/* fault.c */
#ifdef CONFIG_TWINOS_FAULTS
void twinos_fault_at(const char *stage);
void twinos_fault_late_irqs(const int *irqs);
#else
static inline void twinos_fault_at(const char *stage) { }
static inline void twinos_fault_late_irqs(const int *irqs) { }
#endif

/* leading.c */
struct twinos_window {
	u64 start, size;
	u64 low_start, low_size;
};

bool twinos_window_free(u64 start, u64 size);
extern struct twinos_window twinos_windows[];
extern unsigned int twinos_nr_windows;
extern bool twinos_off;

/* load.c */
int twinos_share_check(const struct twinos_share *share);
int twinos_take_resources(struct twinos_os *os, const struct twinos_share *share);
void twinos_give_resources(struct twinos_os *os);

/* sysfs.c */
int twinos_sysfs_add(struct twinos_os *os);
void twinos_sysfs_notify(struct twinos_os *os);

#endif /* _TWINOS_H */
