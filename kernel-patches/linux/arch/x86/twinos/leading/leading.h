/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The leading OS: what it knows of each coexisting one, and what its files offer
 * each other. Calls go up this list only.
 */
#ifndef _TWINOS_LEADING_H
#define _TWINOS_LEADING_H

#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdesc.h>
#include <linux/kexec.h>
#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include "../both/twinos.h"

/* A coexisting OS as the leading one knows it. All fields are protected by twinos_mutex. */
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
	struct kexec_segment segments[KEXEC_SEGMENT_MAX];	/* of the image */
	unsigned int nr_segments;
	u32 checksum;			/* of what they were filled with */
	unsigned long entry;		/* physical address of the purgatory */
	struct twinos_shared *shared;	/* the shared page, in this OS's slot */
	struct list_head launch_tables;	/* pages of the page table that it began with */
	enum twinos_state ended;	/* how it ended, once it is not running */
	enum twinos_state told;		/* what those who poll have been told */
	u64 told_bytes;			/* of its console, likewise */
	char reason[160];
	unsigned int weight;		/* percent of a shared CPU */
	unsigned int slice_us;
	int pin_irqs[TWINOS_MAX_IRQS];
	unsigned int nr_pins;
};

/* Is this a leading OS, and TwinOS on? */
static inline bool twinos_leading(void)
{
	return !twinos_off && !twinos_coexisting();
}

/* May nobody else have what is in its share? */
static inline bool twinos_claims(const struct twinos_os *os)
{
	return os->loaded || os->running;
}

/* windows.c */
#define TWINOS_MAX_WINDOWS	16

struct twinos_window {
	struct resource ranges[2];	/* the window, and a low slice */
	unsigned int nr_ranges;
};

extern struct twinos_window twinos_windows[];
extern unsigned int twinos_nr_windows;
void twinos_name_windows(void);
bool twinos_window_free(u64 start, u64 size);
/* sysfs.c */
int twinos_sysfs_init(void);
extern struct list_head twinos_oses;
extern struct mutex twinos_mutex;
struct twinos_os *twinos_find(u32 id);
struct twinos_os *twinos_find_or_create(u32 id);
extern atomic_long_t twinos_changes;
extern wait_queue_head_t twinos_watchers;
void twinos_notify(struct twinos_os *os);
enum twinos_state twinos_get_state(const struct twinos_os *os);
size_t twinos_ring_read(const struct twinos_shared *shared, char *buf, loff_t pos, size_t count);
/* fence.c */
int twinos_fence_check(struct pci_dev *pdev, const struct twinos_share *share);
int twinos_fence_claim(struct pci_dev *pdev, u32 owner);
void twinos_fence_release(struct pci_dev *pdev);
int twinos_fence_open(struct pci_dev *pdev, const struct twinos_share *share);
void twinos_fence_block(struct pci_dev *pdev);
void twinos_fence_free(u32 owner);
/* remap.c */
int twinos_remap_take(const struct twinos_share *share, struct pci_dev **pdevs);
void twinos_remap_free(u32 id);
bool twinos_remap_on(u32 id);
bool twinos_remap_open(struct twinos_os *os, bool moves);
void twinos_remap_close(u32 id);
void twinos_remap_answer(u32 id);
struct irq_data *twinos_remap_entry(struct irq_data *data);
void twinos_remap(struct irq_data *data, u32 apic_id, unsigned int vector);
/* pci.c */
extern struct pci_driver twinos_pci_driver;
extern unsigned long twinos_losers[];
int twinos_pci_take(const struct twinos_share *share);
unsigned int twinos_pci_count(u32 owner);
const char *twinos_pci_fence(u32 owner);
void twinos_pci_give_back(u32 owner);
void twinos_pci_quiesce(u32 owner);
/* resources.c */
int twinos_take_resources(struct twinos_os *os, const struct twinos_share *share);
void twinos_give_resources(struct twinos_os *os);
void twinos_route_pins(struct twinos_os *os, u32 apic_id);
/* guard.c */
void twinos_guard_arm(void);
void twinos_guard_start(void);
void twinos_guard_disarm(void);
/* ipi.c */
void twinos_ipi_init(void);
void twinos_note_ipis(bool on);
void twinos_ring(u32 apic_id);
void twinos_ring_os(const struct twinos_os *os);
void twinos_init_cpu(unsigned int cpu);
/* wire.c */
void twinos_link_create(struct twinos_os *os, const struct twinos_share *share);
void twinos_link_delete(struct twinos_os *os);
void twinos_link_open(struct twinos_os *os);
void twinos_link_close(struct twinos_os *os);
void twinos_link_rung(u32 id);
/* terminal.c */
void twinos_terminal_create(struct twinos_os *os);
void twinos_terminal_delete(struct twinos_os *os);
void twinos_terminal_open(struct twinos_os *os);
void twinos_terminal_close(struct twinos_os *os);
/* handover.c */
void twinos_set_mode(struct twinos_os *os, enum twinos_mode mode);
int twinos_write_shared_area(struct twinos_os *os, u64 launch_tsc);
void twinos_apply_weight(struct twinos_os *os);
/* cpus.c */
void twinos_cpus_init(void);
int twinos_check_cpus(const struct twinos_os *os, const struct twinos_share *share);
int twinos_lend_cpu(struct twinos_os *os, unsigned int cpu);
void twinos_reclaim_cpu(unsigned int cpu);
void twinos_stop_cpus(const struct twinos_os *os);
void twinos_take_cpus_back(struct twinos_os *os);

/* kernel/rcu/update.c; exported, but declared in kernel/rcu/rcu.h alone. */
void rcu_expedite_gp(void);
void rcu_unexpedite_gp(void);
/* launch.c */
extern struct twinos_os *twinos_timeshared;
int twinos_launch(struct twinos_os *os, u64 now);
int twinos_prepare_sharing(struct twinos_os *os);
void twinos_finish_sharing(void);
/* end.c */
extern struct twinos_shared *twinos_in_motion;
void twinos_end_init(void);
void twinos_answer_doorbell(void);
void twinos_end(struct twinos_os *os);
int twinos_unload(struct twinos_os *os);
void twinos_request(const struct twinos_os *os, enum twinos_request request);
void twinos_kill(struct twinos_os *os, const char *reason);
/* move.c */
void twinos_stray_vector(unsigned int vector);
int twinos_move(struct twinos_os *os, unsigned int cpu);
/* control.c */
extern struct miscdevice twinos_control_device;

#endif /* _TWINOS_LEADING_H */
