// SPDX-License-Identifier: GPL-2.0
/*
 * The launch of a coexisting OS by the leading one, and what is to be done
 * when it has ended. Nothing is shut down for it: no device, no process, no
 * timer notices more than that the CPU was away for a moment.
 */
#include <linux/cpu.h>
#include <linux/cpuidle.h>
#include <linux/io.h>
#include <linux/irq_work.h>
#include <linux/kernel.h>
#include <linux/mutex.h>
#include <linux/pgtable.h>
#include <linux/reboot.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/workqueue.h>
#include <asm/apic.h>
#include <asm/io_apic.h>
#include <asm/pci_x86.h>
#include <asm/tsc.h>

#include "twinos.h"

static bool launched;		/* the shared page is in use or was last used */
static bool running;		/* from the launch until ended_work is done */

/* Shares of the CPU and slice, set in sysfs; taken over at each launch. */
unsigned int twinos_weight = 50;
unsigned int twinos_slice_us = 10000;

bool twinos_running(void)
{
	return running;
}

/** twinos_get_state() - state of the coexisting OS for people */
enum twinos_state twinos_get_state(void)
{
	if (twinos_image.loaded && !running)
		return TWINOS_LOADED;
	return launched ? READ_ONCE(twinos_shared()->state) : TWINOS_EMPTY;
}

/** twinos_reason() - why the coexisting OS ended, "" if it has not */
void twinos_reason(char *buf, size_t size)
{
	buf[0] = 0;
	if (launched && !running)
		strscpy(buf, twinos_shared()->reason, min(size, sizeof(twinos_shared()->reason)));
}

static void log_last_lines(void)
{
	char *text = kmalloc(1024, GFP_KERNEL), *line, *next;
	u64 size = min_t(u64, twinos_shared()->ring_head, TWINOS_RING_SIZE);
	size_t n;

	if (!text)
		return;
	n = twinos_ring_read(text, size > 1023 ? size - 1023 : 0, 1023);
	text[n] = 0;
	line = text;
	if (n == 1023) {	/* begin with a whole line */
		line = strchr(text, '\n');
		line = line ? line + 1 : text;
	}
	while ((next = strsep(&line, "\n")))
		if (*next)
			pr_info("  %s\n", next);
	kfree(text);
}

static void ended(struct work_struct *work)
{
	struct twinos_shared *shared = twinos_shared();
	struct twinos_share *share = &twinos_image.share;

	mutex_lock(&twinos_mutex);
	shared->reason[sizeof(shared->reason) - 1] = 0;
	if (shared->state == TWINOS_STOPPED) {
		pr_info("coexisting OS %u has stopped: %s\n", share->id, shared->reason);
	} else {
		if (!shared->reason[0])
			strscpy(shared->reason, "gave no answer before it had exception handlers",
				sizeof(shared->reason));
		pr_err("coexisting OS %u %s: %s; its last lines:\n", share->id,
		       shared->state == TWINOS_HUNG ? "hung" : "has crashed",
		       shared->reason);
		log_last_lines();
	}
	twinos_pci_quiesce();
	if (twinos_take_resources(share))	/* pins: routed here again */
		pr_warn("the pins of coexisting OS %u are free\n", share->id);
	twinos_guard_disarm();
	cpuidle_resume();
	cpu_hotplug_enable();
	running = false;
	mutex_unlock(&twinos_mutex);
	twinos_sysfs_notify();
}

static DECLARE_WORK(ended_work, ended);

static void schedule_ended(struct irq_work *work)
{
	schedule_work(&ended_work);
}

static DEFINE_IRQ_WORK(ended_irq_work, schedule_ended);

/**
 * twinos_coexisting_ended() - the CPU is ours alone again
 *
 * Called at the end of an OS switch: interrupts off, even in the idle loop,
 * where RCU does not watch.
 */
void twinos_coexisting_ended(void)
{
	irq_work_queue(&ended_irq_work);
}

/*
 * This OS restarts, halts or kexecs: what the coexisting one is using would
 * live on in the next kernel, and the guard's NMI would find it without a
 * handler.
 */
static int leading_ends(struct notifier_block *nb, unsigned long event, void *cmd)
{
	if (running) {
		pr_notice("coexisting OS %u ends with this one\n", twinos_image.share.id);
		twinos_timeshare_end();
		twinos_guard_disarm();
		twinos_pci_quiesce();
	}
	return NOTIFY_DONE;
}

static struct notifier_block leading_ends_block = { .notifier_call = leading_ends };

/*
 * The address space in which the coexisting OS begins: its window mapped to
 * itself, and the shared area at the address that both kernels know. With
 * pages of 1 GiB if the CPU has them, else of 2 MiB and at most 3 GiB of it.
 */
static int build_page_table(const struct twinos_share *share, u64 *tables, u64 pa)
{
	bool gbpages = boot_cpu_has(X86_FEATURE_GBPAGES);
	u64 first = share->window_start >> PUD_SHIFT;
	u64 last = (share->window_start + share->window_size - 1) >> PUD_SHIFT;
	u64 *top, *pud, *high, *pmd, *pte;
	unsigned int used = 0, i, j;
	u64 gb;

#define PAGE_PA(p)	(pa + ((u8 *)(p) - (u8 *)tables))
#define NEW_PAGE()	(tables + PTRS_PER_PTE * used++)
	if (first >> 9 != last >> 9 || (!gbpages && last - first >= 3))
		return -EOPNOTSUPP;

	memset(tables, 0, TWINOS_PGTABLE_PAGES * PAGE_SIZE);
	top = NEW_PAGE();
	if (pgtable_l5_enabled()) {
		u64 *p4d = NEW_PAGE();

		/* One table serves both halves: index 511 and the window's differ. */
		top[share->window_start >> 48] = PAGE_PA(p4d) | _KERNPG_TABLE_NOENC;
		top[511] = PAGE_PA(p4d) | _KERNPG_TABLE_NOENC;
		top = p4d;
	}
	pud = NEW_PAGE();
	top[(first >> 9) & 511] = PAGE_PA(pud) | _KERNPG_TABLE_NOENC;
	for (gb = first; gb <= last; gb++) {
		if (gbpages) {
			pud[gb & 511] = gb << PUD_SHIFT | __PAGE_KERNEL_LARGE_EXEC;
			continue;
		}
		pmd = NEW_PAGE();
		pud[gb & 511] = PAGE_PA(pmd) | _KERNPG_TABLE_NOENC;
		for (j = 0; j < PTRS_PER_PMD; j++)
			pmd[j] = (gb << PUD_SHIFT | (u64)j << PMD_SHIFT) |
				 __PAGE_KERNEL_LARGE_EXEC;
	}

	high = NEW_PAGE();
	pmd = NEW_PAGE();
	pte = NEW_PAGE();
	top[511] = PAGE_PA(high) | _KERNPG_TABLE_NOENC;
	high[pud_index(TWINOS_SHARED_VA)] = PAGE_PA(pmd) | _KERNPG_TABLE_NOENC;
	pmd[pmd_index(TWINOS_SHARED_VA)] = PAGE_PA(pte) | _KERNPG_TABLE_NOENC;
	for (i = 0; i < TWINOS_SHARED_SIZE / PAGE_SIZE; i++)
		pte[i] = (share->window_start + i * PAGE_SIZE) | __PAGE_KERNEL_EXEC;
	return 0;
}

/* What twinos_transit finds on the stack of an OS that never ran. */
struct first_frame {
	u64 flags, r15, r14, r13, r12;
	u64 entry;		/* %rbx */
	u64 shared;		/* %rbp */
	u64 start;		/* return address */
};

static int write_shared_area(const struct twinos_share *share, u64 entry, u64 launch_tsc)
{
	u8 *area = memremap(share->window_start, TWINOS_SHARED_SIZE, MEMREMAP_WB);
	struct twinos_shared *shared;
	struct twinos_transit *transit;
	struct first_frame *frame;
	struct timespec64 wall;
	unsigned int i;
	int ioapic, err;

	if (!area)
		return -ENOMEM;
	memset(area + TWINOS_SHARED_OFFSET, 0, TWINOS_SHARED_SIZE - TWINOS_SHARED_OFFSET);
	err = build_page_table(share, (u64 *)(area + TWINOS_PGTABLE_OFFSET),
			       share->window_start + TWINOS_PGTABLE_OFFSET);
	if (err)
		goto out;
	memcpy(area + TWINOS_TRANSIT_OFFSET, twinos_transit_start,
	       twinos_transit_end - twinos_transit_start);

	frame = (void *)(area + TWINOS_STACK_TOP - sizeof(*frame));
	frame->flags = X86_EFLAGS_FIXED;
	frame->entry = entry;
	frame->shared = TWINOS_SHARED_VA + TWINOS_SHARED_OFFSET;
	frame->start = TWINOS_SHARED_VA + TWINOS_TRANSIT_OFFSET +
		       (twinos_start_start - twinos_transit_start);

	shared = (void *)(area + TWINOS_SHARED_OFFSET);
	shared->magic = TWINOS_SHARED_MAGIC;
	shared->version = TWINOS_ABI_VERSION;
	shared->size = sizeof(*shared);
	shared->self = share->window_start + TWINOS_SHARED_OFFSET;
	shared->transit_va = TWINOS_SHARED_VA + TWINOS_TRANSIT_OFFSET;
	shared->abandon_va = shared->transit_va +
			     (twinos_abandon_start - twinos_transit_start);
	shared->tsc_khz = tsc_khz;
	shared->lapic_hz = (u64)lapic_timer_period * HZ;
	shared->boot_apic_id = read_apic_id();
	ioapic = mp_find_ioapic(0);	/* the one with the ISA pins */
	if (ioapic >= 0) {
		shared->ioapic_addr = mpc_ioapic_addr(ioapic);
		shared->ioapic_id = mpc_ioapic_id(ioapic);
	}
#ifdef CONFIG_PCI_MMCONFIG
	if (!list_empty(&pci_mmcfg_list)) {
		struct pci_mmcfg_region *cfg;

		cfg = list_first_entry(&pci_mmcfg_list, struct pci_mmcfg_region, list);
		shared->mmconfig_addr = cfg->address;
		shared->mmconfig_segment = cfg->segment;
		shared->mmconfig_buses = cfg->start_bus | cfg->end_bus << 8;
	}
#endif
	shared->wall_tsc = rdtsc();
	ktime_get_real_ts64(&wall);
	shared->wall_sec = wall.tv_sec;
	shared->wall_nsec = wall.tv_nsec;
	shared->launch_tsc = launch_tsc;
	shared->guard_tsc = (u64)tsc_khz * MSEC_PER_SEC;
	shared->slice_tsc = (u64)twinos_slice_us * tsc_khz / 1000;
	shared->weight[TWINOS_LEADING] = 100 - twinos_weight;
	shared->weight[TWINOS_COEXISTING] = twinos_weight;
	shared->state = TWINOS_STARTING;
	for (i = 0; i < ARRAY_SIZE(shared->side); i++) {
		shared->side[i].switch_min = U64_MAX;
		shared->side[i].wake_tsc = U64_MAX;
	}

	transit = &shared->side[TWINOS_COEXISTING].transit;
	transit->cr0 = native_read_cr0();
	transit->cr3 = share->window_start + TWINOS_PGTABLE_OFFSET;
	transit->cr4 = native_read_cr4() & (X86_CR4_PAE | X86_CR4_LA57 | X86_CR4_MCE |
					    X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT);
	transit->rsp = TWINOS_SHARED_VA + TWINOS_STACK_TOP - sizeof(*frame);
out:
	memunmap(area);
	return err;
}

/**
 * twinos_launch() - start the loaded image
 * @now: TSC when it was asked for
 *
 * Process context, twinos_mutex held, an image loaded and none running.
 * Returns 0 when this OS has control again and the coexisting one boots, or
 * an errno before anything has happened: ENODEV if another CPU is online or
 * the timer cannot be shared, EOPNOTSUPP if the CPU state cannot.
 */
int twinos_launch(u64 now)
{
	const struct twinos_share *share = &twinos_image.share;
	int err;

	cpu_hotplug_disable();
	err = -ENODEV;
	if (num_online_cpus() != 1) {
		pr_err("more than one CPU is online; take them offline or give the coexisting OS its own (--twinos-cpus)\n");
		goto fail;
	}
	err = -EOPNOTSUPP;
	if (!twinos_state_valid())
		goto fail;
	local_irq_disable();
	twinos_map_shared(share->window_start);
	local_irq_enable();
	err = twinos_timer_init(tsc_khz, (u64)lapic_timer_period * HZ);
	if (!err)
		err = twinos_vectors_init();
	if (!err)
		err = write_shared_area(share, twinos_image.entry, now);
	if (err)
		goto fail;

	if (!launched)
		register_reboot_notifier(&leading_ends_block);
	twinos_guard_arm();
	cpuidle_pause();
	running = true;
	twinos_image.loaded = false;
	launched = true;
	local_irq_disable();
	twinos_shared()->enter_tsc = rdtsc();
	twinos_first_switch();
	twinos_shared()->first_return_tsc = rdtsc();
	local_irq_enable();
	twinos_sysfs_notify();
	return 0;
fail:
	cpu_hotplug_enable();
	return err;
}
