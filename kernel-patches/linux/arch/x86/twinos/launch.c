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
#include <linux/smp.h>
#include <linux/suspend.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/workqueue.h>
#include <asm/apic.h>
#include <asm/io_apic.h>
#include <asm/pci_x86.h>
#include <asm/tsc.h>

#include "twinos.h"

/* The OS that shares the boot CPU, or NULL. Protected by twinos_mutex. */
struct twinos_os *twinos_timeshared;

static void log_last_lines(const struct twinos_shared *shared)
{
	char *text = kmalloc(1024, GFP_KERNEL), *line, *next;
	u64 size = min_t(u64, shared->ring_head, TWINOS_RING_SIZE);
	size_t n;

	if (!text)
		return;
	n = twinos_ring_read(shared, text, size > 1023 ? size - 1023 : 0, 1023);
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

/* What it has written last is kept: its window may be another's soon. */
static void note_end(struct twinos_os *os)
{
	const struct twinos_shared *shared = os->shared;

	os->ended = READ_ONCE(shared->state);
	strscpy(os->reason, shared->reason, sizeof(os->reason));
	if (os->ended == TWINOS_STOPPED) {
		pr_info("coexisting OS %u has stopped: %s\n", os->id, os->reason);
		return;
	}
	if (os->ended != TWINOS_CRASHED)
		os->ended = TWINOS_HUNG;
	if (!os->reason[0])
		strscpy(os->reason, "hung before it had exception handlers of its own",
			sizeof(os->reason));
	pr_err("coexisting OS %u %s: %s; its last lines:\n", os->id,
	       os->ended == TWINOS_HUNG ? "hung" : "has crashed", os->reason);
	log_last_lines(shared);
}

/**
 * twinos_end() - deal with the end of a coexisting OS
 * @os: its state says how it has ended, and nothing of it will run again
 *
 * Process context, twinos_mutex held. CPUs come back, devices are made quiet
 * and stay reserved for the next launch, or return to this OS if that is
 * wanted.
 */
void twinos_end(struct twinos_os *os)
{
	if (!os->running)
		return;
	twinos_stop_cpus(os);
	twinos_break_locks(os->id);
	if (twinos_in_motion == os->shared)
		WRITE_ONCE(twinos_in_motion, NULL);
	note_end(os);
	twinos_pci_quiesce(os->id);
	if (os->mode == TWINOS_DEDICATED)
		twinos_take_cpus_back(os);
	else
		twinos_finish_sharing();
	os->running = false;
	if (os->give_back)
		twinos_give_resources(os);
	else if (twinos_take_resources(os, &os->share))	/* pins: routed here again */
		pr_warn("the pins of coexisting OS %u are free\n", os->id);
	twinos_sysfs_notify(os);
}

static void timeshared_ended(struct work_struct *work)
{
	mutex_lock(&twinos_mutex);
	if (twinos_timeshared && twinos_get_state(twinos_timeshared) > TWINOS_RUNNING)
		twinos_end(twinos_timeshared);
	mutex_unlock(&twinos_mutex);
}

static DECLARE_WORK(ended_work, timeshared_ended);

static void schedule_ended(struct irq_work *work)
{
	queue_work(system_unbound_wq, &ended_work);
}

static DEFINE_IRQ_WORK(ended_irq_work, schedule_ended);

/**
 * twinos_coexisting_ended() - the shared CPU is ours alone again
 *
 * Called at the end of an OS switch: interrupts off, even in the idle loop,
 * where RCU does not watch.
 */
void twinos_coexisting_ended(void)
{
	/* This kernel may need them before the work runs. */
	twinos_break_locks(twinos_shared()->id);
	irq_work_queue(&ended_irq_work);
}

/*
 * This OS restarts, halts or kexecs: what the coexisting ones are using would
 * live on in the next kernel, and the guard's NMI would find it without a
 * handler. Their memory may be the next kernel's.
 */
static int leading_ends(struct notifier_block *nb, unsigned long event, void *cmd)
{
	struct twinos_os *os;

	mutex_lock(&twinos_mutex);
	list_for_each_entry(os, &twinos_oses, list) {
		if (!os->running)
			continue;
		pr_notice("coexisting OS %u ends with this one\n", os->id);
		twinos_stop_running(os, "the leading OS has ended");
		twinos_break_locks(os->id);
		if (os->mode == TWINOS_TIME_SHARED)
			twinos_guard_disarm();
		twinos_pci_quiesce(os->id);
	}
	mutex_unlock(&twinos_mutex);
	return NOTIFY_DONE;
}

static struct notifier_block leading_ends_block = { .notifier_call = leading_ends };

/* Nobody could put the devices and CPUs of another kernel to sleep. */
static int leading_sleeps(struct notifier_block *nb, unsigned long event, void *unused)
{
	struct twinos_os *os;
	int ret = NOTIFY_DONE;

	if (event != PM_SUSPEND_PREPARE && event != PM_HIBERNATION_PREPARE)
		return NOTIFY_DONE;
	mutex_lock(&twinos_mutex);
	list_for_each_entry(os, &twinos_oses, list)
		if (os->running || os->nr_pins || twinos_pci_has(os->id)) {
			pr_err("coexisting OS %u %s; %s it before this one sleeps\n", os->id,
			       os->running ? "is running" : "has devices",
			       os->running ? "stop" : "unload");
			ret = NOTIFY_BAD;
		}
	mutex_unlock(&twinos_mutex);
	return ret;
}

static struct notifier_block leading_sleeps_block = { .notifier_call = leading_sleeps };

static int __init watch_our_end(void)
{
	if (!twinos_off && twinos_role == TWINOS_LEADING) {
		register_reboot_notifier(&leading_ends_block);
		register_pm_notifier(&leading_sleeps_block);
	}
	return 0;
}
late_initcall(watch_our_end);

/*
 * The address space in which the coexisting OS begins: its window mapped to
 * itself, and the shared area at the addresses that both kernels know. With
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
	if (first >> 9 != last >> 9 || (!gbpages && last - first >= 3)) {
		pr_err("window %#llx-%#llx is too large for one page table: it must not cross a multiple of 512 GiB, nor touch more than 3 GiB on this CPU\n",
		       share->window_start, share->window_start + share->window_size - 1);
		return -EOPNOTSUPP;
	}

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
	pmd[pmd_index(TWINOS_SHARED_VA) + share->id] = PAGE_PA(pte) | _KERNPG_TABLE_NOENC;
	for (i = 0; i < TWINOS_SHARED_SIZE / PAGE_SIZE; i++)
		pte[i] = (share->window_start + i * PAGE_SIZE) | __PAGE_KERNEL_EXEC;
	pte[TWINOS_LAPIC_OFFSET / PAGE_SIZE] = APIC_DEFAULT_PHYS_BASE | __PAGE_KERNEL_NOCACHE;
	pte[TWINOS_COMMON_OFFSET / PAGE_SIZE] = twinos_common_pa() | __PAGE_KERNEL;
	return 0;
}

/* What twinos_transit finds on the stack of an OS that never ran. */
struct first_frame {
	u64 flags, r15, r14, r13, r12;
	u64 entry;		/* %rbx */
	u64 shared;		/* %rbp */
	u64 start;		/* return address */
};

/* The page is mapped read-only where it is executed. */
static int write_transit(u64 window)
{
	void *page = memremap(window + TWINOS_TRANSIT_OFFSET, PAGE_SIZE, MEMREMAP_WB);

	if (!page)
		return -ENOMEM;
	memcpy(page, twinos_transit_start, twinos_transit_end - twinos_transit_start);
	memunmap(page);
	return 0;
}

static u64 in_transit(const char *start)
{
	return TWINOS_SHARED_VA + TWINOS_TRANSIT_OFFSET + (start - twinos_transit_start);
}

/** twinos_set_mode() - what depends on how an OS has its CPU */
void twinos_set_mode(struct twinos_os *os, enum twinos_mode mode)
{
	struct twinos_shared *shared = os->shared;

	os->mode = mode;
	shared->mode = mode;
	shared->abandon_va = in_transit(mode == TWINOS_DEDICATED ? twinos_leave_start :
								   twinos_abandon_start);
	/* The guard's NMI is for a shared CPU alone. */
	shared->guard_tsc = mode == TWINOS_DEDICATED ? U64_MAX :
						       (u64)tsc_khz * MSEC_PER_SEC;
}

/**
 * twinos_write_shared_area() - all that a coexisting OS finds when it begins
 * @os: loaded, its shared area mapped
 * @launch_tsc: when the launch was asked for
 *
 * Returns 0, ENOMEM, or EOPNOTSUPP for a window that one page table cannot
 * hold.
 */
int twinos_write_shared_area(struct twinos_os *os, u64 launch_tsc)
{
	const struct twinos_share *share = &os->share;
	u8 *area = (u8 *)os->shared - TWINOS_SHARED_OFFSET;
	struct twinos_shared *shared = os->shared;
	struct twinos_transit *transit;
	struct first_frame *frame;
	struct timespec64 wall;
	unsigned int i;
	int ioapic, err;

	/* All but the transit page. */
	memset(area + TWINOS_SHARED_OFFSET, 0, TWINOS_TRANSIT_OFFSET - TWINOS_SHARED_OFFSET);
	memset(area + TWINOS_PGTABLE_OFFSET, 0, TWINOS_SHARED_SIZE - TWINOS_PGTABLE_OFFSET);
	err = build_page_table(share, (u64 *)(area + TWINOS_PGTABLE_OFFSET),
			       share->window_start + TWINOS_PGTABLE_OFFSET);
	if (!err)
		err = write_transit(share->window_start);
	if (err)
		return err;

	frame = (void *)(area + TWINOS_STACK_TOP - sizeof(*frame));
	frame->flags = X86_EFLAGS_FIXED;
	frame->entry = os->entry;
	frame->shared = TWINOS_SHARED_VA + TWINOS_SHARED_OFFSET;
	frame->start = in_transit(twinos_start_start);

	shared->magic = TWINOS_SHARED_MAGIC;
	shared->version = TWINOS_ABI_VERSION;
	shared->size = sizeof(*shared);
	shared->self = share->window_start + TWINOS_SHARED_OFFSET;
	shared->transit_va = in_transit(twinos_transit_start);
	shared->park_va = in_transit(twinos_park_start);
	shared->id = share->id;
	shared->common = twinos_common_pa();
	shared->tsc_khz = tsc_khz;
	shared->lapic_hz = (u64)lapic_timer_period * HZ;
	shared->leading_apic_id = cpu_physical_id(TWINOS_SHARED_CPU);
	shared->nr_apics = max(share->nr_cpus, 1U);
	shared->apic_ids[0] = shared->leading_apic_id;
	for (i = 0; i < share->nr_cpus; i++)
		shared->apic_ids[i] = cpu_physical_id(share->cpus[i]);
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
	twinos_set_mode(os, share->nr_cpus ? TWINOS_DEDICATED : TWINOS_TIME_SHARED);
	twinos_apply_weight(os);
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
	return 0;
}

static void account_here(void *unused)
{
	twinos_account();
}

/** twinos_apply_weight() - let a change of weight or slice take effect. Process context. */
void twinos_apply_weight(struct twinos_os *os)
{
	struct twinos_shared *shared = os->shared;

	/* What has been used was used at the old weight. */
	if (os == twinos_timeshared)
		smp_call_function_single(TWINOS_SHARED_CPU, account_here, NULL, true);
	WRITE_ONCE(shared->slice_tsc, (u64)os->slice_us * tsc_khz / 1000);
	WRITE_ONCE(shared->weight[TWINOS_LEADING], 100 - os->weight);
	WRITE_ONCE(shared->weight[TWINOS_COEXISTING], os->weight);
}

/**
 * twinos_prepare_sharing() - make this CPU one that @os can share
 *
 * On the shared CPU, process context, twinos_mutex held, the shared page
 * mapped. Returns 0, ENODEV if the timer cannot be shared, EOPNOTSUPP if the
 * CPU's state cannot, ENOMEM.
 */
int twinos_prepare_sharing(struct twinos_os *os)
{
	int err;

	if (!twinos_state_valid())
		return -EOPNOTSUPP;
	if (!twinos_map_slot(0, os->share.window_start))
		return -ENOMEM;
	err = twinos_timer_init(tsc_khz, (u64)lapic_timer_period * HZ);
	if (!err)
		err = twinos_vectors_init();
	if (err)
		return err;
	twinos_timeshared = os;
	twinos_guard_arm();
	cpuidle_pause();
	return 0;
}

/** twinos_finish_sharing() - the counterpart: no OS shares the CPU any more */
void twinos_finish_sharing(void)
{
	twinos_guard_disarm();
	cpuidle_resume();
	twinos_timeshared = NULL;
}

static long launch_here(void *data)
{
	struct twinos_os *os = data;
	int err = twinos_prepare_sharing(os);

	if (err)
		return err;
	os->running = true;
	os->loaded = false;
	os->launched = true;
	local_irq_disable();
	os->shared->enter_tsc = rdtsc();
	twinos_first_switch();
	os->shared->first_return_tsc = rdtsc();
	local_irq_enable();
	return 0;
}

/**
 * twinos_launch() - start the loaded image on the shared CPU
 * @os: loaded, not running, its share without CPUs
 * @now: TSC when it was asked for
 *
 * Process context, twinos_mutex held. Returns 0 when this OS has control again
 * and the coexisting one boots, or an errno before anything has happened:
 * EBUSY if another OS shares the CPU, or what twinos_prepare_sharing() returns.
 */
int twinos_launch(struct twinos_os *os, u64 now)
{
	int err;

	if (twinos_timeshared) {
		pr_err("coexisting OS %u shares the CPU already; give this one its own (--twinos-cpus)\n",
		       twinos_timeshared->id);
		return -EBUSY;
	}
	os->shared = twinos_map_slot(os->id, os->share.window_start);
	if (!os->shared)
		return -ENOMEM;
	err = twinos_write_shared_area(os, now);
	if (err)
		return err;
	os->give_back = false;
	err = work_on_cpu(TWINOS_SHARED_CPU, launch_here, os);
	twinos_sysfs_notify(os);
	return err;
}
