// SPDX-License-Identifier: GPL-2.0
/*
 * The coexisting OSes that the leading one knows, each a folder in /sys/kernel/twinos: its state,
 * share, statistics and console ring, and how a CPU is shared. All times are TSC ticks. Number 1
 * is always there; the others exist from their first load until they are unloaded.
 */
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/sysfs.h>

#include "leading.h"
#include "../both/terminal.h"
#include "../both/trace.h"

LIST_HEAD(twinos_oses);
DEFINE_MUTEX(twinos_mutex);	/* the list, and all of each OS in it */

/* Of states so far, and who waits for the next, see control.c. */
atomic_long_t twinos_changes;
DECLARE_WAIT_QUEUE_HEAD(twinos_watchers);

static struct kobject *twinos_kobj;

static ssize_t abi_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", TWINOS_ABI_VERSION);
}

static ssize_t role_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", twinos_coexisting() ? "coexisting" : "leading");
}

static ssize_t windows_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	unsigned int i, j;
	int n = 0;

	for (i = 0; i < twinos_nr_windows; i++) {
		const struct twinos_window *w = &twinos_windows[i];

		for (j = 0; j < w->nr_ranges; j++)
			n += sysfs_emit_at(buf, n, "%s%#llx-%#llx", j ? " low " : "",
					   w->ranges[j].start, w->ranges[j].end);
		n += sysfs_emit_at(buf, n, "\n");
	}
	return n;
}

static int emit_side(char *buf, int n, const char *name, const struct twinos_side *side)
{
	return sysfs_emit_at(buf, n,
			     "%s_run_tsc %llu\n%s_switches %llu\n%s_foreign %llu\n"
			     "%s_donated %llu\n%s_switch_min %llu\n%s_switch_max %llu\n"
			     "%s_switch_avg %llu\n%s_away_max %llu\n%s_doorbells %llu\n",
			     name, side->run_tsc, name, side->switches,
			     name, side->foreign, name, side->donated,
			     name, side->switch_min == U64_MAX ? 0 : side->switch_min,
			     name, side->switch_max,
			     name, side->resumed ? side->switch_sum / side->resumed : 0,
			     name, side->away_max, name, side->doorbells);
}

static ssize_t emit_stats(const struct twinos_shared *s, char *buf)
{
	const struct twinos_side *me = &s->side[twinos_role];
	int n;

	n = sysfs_emit(buf,
		       "tsc_khz %u\nlaunch_tsc %llu\nenter_tsc %llu\n"
		       "first_return_tsc %llu\ninit_tsc %llu\nslice_tsc %llu\nmoves %u\n"
		       "alive_tsc %llu\nlog_bytes %llu\nconsole_in_bytes %llu\n",
		       s->tsc_khz, s->launch_tsc, s->enter_tsc,
		       s->first_return_tsc, s->init_tsc, s->slice_tsc, s->moves,
		       s->alive_tsc, s->output.head, s->input.tail);
	if (!twinos_coexisting() && s->mode == TWINOS_TIME_SHARED)
		n += sysfs_emit_at(buf, n, "launch_away_max %llu\n", me->launch_away_max);
	n += sysfs_emit_at(buf, n, "put_off_max %llu\nover_task %llu\n", me->put_off_max,
			   me->over_task);
	n += emit_side(buf, n, "leading", &s->side[TWINOS_LEADING]);
	return n + emit_side(buf, n, "coexisting", &s->side[TWINOS_COEXISTING]);
}

/* Of a coexisting OS, in itself. */
static ssize_t stats_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return emit_stats(twinos_shared(), buf);
}

static struct kobj_attribute abi = __ATTR_RO(abi);
static struct kobj_attribute role = __ATTR_RO(role);
static struct kobj_attribute windows = __ATTR_RO_MODE(windows, 0400);
static struct kobj_attribute stats = __ATTR_RO_MODE(stats, 0400);

static const struct attribute *leading_attrs[] = { &abi.attr, &role.attr, &windows.attr, NULL };
static const struct attribute *coexisting_attrs[] = { &abi.attr, &role.attr, &stats.attr, NULL };

/** twinos_sysfs_init() - what an OS shows of itself. Boot time. Returns 0 or an errno. */
int __init twinos_sysfs_init(void)
{
	twinos_kobj = kobject_create_and_add("twinos", kernel_kobj);
	if (!twinos_kobj)
		return -ENOMEM;
	return sysfs_create_files(twinos_kobj,
				  twinos_coexisting() ? coexisting_attrs : leading_attrs);
}

/* ---- a folder for each OS ---- */

/** twinos_get_state() - of an OS, for people */
enum twinos_state twinos_get_state(const struct twinos_os *os)
{
	if (os->running)
		return READ_ONCE(os->shared->state);
	if (os->loaded)
		return TWINOS_LOADED;
	return os->launched ? os->ended : TWINOS_EMPTY;
}

/** twinos_ring_read() - what an OS printed, from @pos after the oldest; returns how much */
size_t twinos_ring_read(const struct twinos_shared *shared, char *buf, loff_t pos, size_t count)
{
	const char *ring = (const char *)shared - TWINOS_SHARED_OFFSET + TWINOS_RING_OFFSET;
	/* Pairs with the release in ring_write(). */
	u64 head = smp_load_acquire(&shared->output.head);
	u64 size = min_t(u64, head, TWINOS_RING_SIZE);
	size_t i;

	if (pos < 0 || pos >= size)
		return 0;
	count = min_t(u64, count, size - pos);
	for (i = 0; i < count; i++)
		buf[i] = ring[(head - size + pos + i) & (TWINOS_RING_SIZE - 1)];
	return count;
}

/* A file of a folder: what show() prints, or a number that can be changed. */
struct os_attribute {
	struct attribute attr;
	ssize_t (*show)(const struct twinos_os *os, char *buf);
	bool at_once;			/* needs no mutex, and so shows what a launch does */
	size_t number;			/* offset of an unsigned int, */
	unsigned int min, max;		/* and what it can be; max 0: none */
};

static struct twinos_os *to_os(struct kobject *kobj)
{
	return container_of(kobj, struct twinos_os, kobj);
}

/*
 * Removing a folder waits, with the mutex held, for those who read or write in it; so they do not
 * wait for the mutex, but come again a little later, as with lock_device_hotplug_sysfs().
 */
static int come_again(void)
{
	usleep_range(5000, 10000);
	return restart_syscall();
}

static const char *state_name(const struct twinos_os *os)
{
	static const char * const names[] = TWINOS_STATE_NAMES;
	enum twinos_state state = twinos_get_state(os);

	return state < ARRAY_SIZE(names) ? names[state] : "unknown";
}

static ssize_t state_show(const struct twinos_os *os, char *buf)
{
	return sysfs_emit(buf, "%s\n", state_name(os));
}

static ssize_t reason_show(const struct twinos_os *os, char *buf)
{
	return sysfs_emit(buf, "%s\n", twinos_claims(os) ? "" : os->reason);
}

static ssize_t mode_show(const struct twinos_os *os, char *buf)
{
	static const char * const names[] = TWINOS_MODE_NAMES;

	return sysfs_emit(buf, "%s\n", names[os->mode]);
}

static ssize_t terminal_show(const struct twinos_os *os, char *buf)
{
	int index = twinos_terminal_index(os->id);

	return index < 0 ? 0 : sysfs_emit(buf, "hvc%d\n", index);
}

static ssize_t share_show(const struct twinos_os *os, char *buf)
{
	const char *fence = twinos_pci_fence(os->id);
	const struct twinos_share *s = &os->share;
	unsigned int i;
	int n = 0;

	if (!s->magic)
		return 0;
	if (s->name[0])
		n += sysfs_emit_at(buf, n, "name %s\n", s->name);
	n += sysfs_emit_at(buf, n, "window %#llx-%#llx\n", s->window_start,
			   s->window_start + s->window_size - 1);
	if (s->low_size)
		n += sysfs_emit_at(buf, n, "low %#llx-%#llx\n", s->low_start,
				   s->low_start + s->low_size - 1);
	for (i = 0; i < s->nr_cpus; i++)
		n += sysfs_emit_at(buf, n, "cpu %u\n", s->cpus[i]);
	for (i = 0; i < s->nr_pci; i++)
		n += sysfs_emit_at(buf, n, "pci %04x:%02x:%02x.%d\n", s->pci[i].domain,
				   s->pci[i].bus, s->pci[i].devfn >> 3, s->pci[i].devfn & 7);
	for (i = 0; i < s->nr_irqs; i++)
		n += sysfs_emit_at(buf, n, "irq %u\n", s->irqs[i]);
	if (fence)
		n += sysfs_emit_at(buf, n, "iommu %s\n", fence);
	if (twinos_remap_on(os->id))
		n += sysfs_emit_at(buf, n, "interrupts remapped\n");
	return n;
}

/* Does its shared area hold what its last launch left? */
static bool has_area(const struct twinos_os *os)
{
	return os->launched && os->shared && !os->loaded;
}

static ssize_t os_stats_show(const struct twinos_os *os, char *buf)
{
	return has_area(os) ? emit_stats(os->shared, buf) : 0;
}

static ssize_t log_read(struct file *file, struct kobject *kobj, struct bin_attribute *attr,
			char *buf, loff_t pos, size_t count)
{
	const struct twinos_os *os = to_os(kobj);

	CLASS(mutex_try, locked)(&twinos_mutex);
	if (!locked)
		return come_again();
	return has_area(os) ? twinos_ring_read(os->shared, buf, pos, count) : 0;
}

static ssize_t os_show(struct kobject *kobj, struct attribute *attr, char *buf)
{
	const struct os_attribute *a = container_of(attr, struct os_attribute, attr);
	const struct twinos_os *os = to_os(kobj);

	if (a->max)
		return sysfs_emit(buf, "%u\n", *(unsigned int *)((void *)os + a->number));
	if (a->at_once)
		return a->show(os, buf);

	CLASS(mutex_try, locked)(&twinos_mutex);
	return locked ? a->show(os, buf) : come_again();
}

static ssize_t os_store(struct kobject *kobj, struct attribute *attr, const char *buf, size_t count)
{
	const struct os_attribute *a = container_of(attr, struct os_attribute, attr);
	struct twinos_os *os = to_os(kobj);
	unsigned int value;
	int err = kstrtouint(buf, 0, &value);

	if (err)
		return err;
	if (value < a->min || value > a->max)
		return -ERANGE;

	CLASS(mutex_try, locked)(&twinos_mutex);
	if (!locked)
		return come_again();
	*(unsigned int *)((void *)os + a->number) = value;
	if (os->running)
		twinos_apply_weight(os);
	return count;
}

#define OS_FILE(name, mode, ...) \
	(&((struct os_attribute) { .attr = { name, mode }, __VA_ARGS__ }).attr)
#define OS_NUMBER(name, field, _min, _max) \
	OS_FILE(name, 0644, .number = offsetof(struct twinos_os, field), .min = _min, .max = _max)

static struct attribute *os_attrs[] = {
	OS_FILE("state", 0444, state_show, .at_once = true),
	OS_FILE("mode", 0444, mode_show, .at_once = true),
	OS_FILE("reason", 0400, reason_show),
	OS_FILE("share", 0400, share_show),
	OS_FILE("stats", 0400, os_stats_show),
	OS_FILE("terminal", 0444, terminal_show),
	OS_NUMBER("slice_us", slice_us, 100, 1000000),
	OS_NUMBER("weight", weight, 1, 99),
	NULL
};

static struct bin_attribute log = __BIN_ATTR(log, 0400, log_read, NULL, 0);
static struct bin_attribute *os_bin_attrs[] = { &log, NULL };

static const struct attribute_group os_group = { .attrs = os_attrs, .bin_attrs = os_bin_attrs };
__ATTRIBUTE_GROUPS(os);

static void release_os(struct kobject *kobj)
{
	kfree(to_os(kobj));
}

static const struct kobj_type os_type = {
	.release = release_os,
	.sysfs_ops = &(const struct sysfs_ops){ .show = os_show, .store = os_store },
	.default_groups = os_groups,
};

/* ---- which there are ---- */

/** twinos_notify() - the state of an OS has changed: wake who polls */
void twinos_notify(struct twinos_os *os)
{
	if (os->told != twinos_get_state(os))
		trace_twinos_state(os->id, state_name(os));
	os->told = twinos_get_state(os);
	if (os->running)
		os->told_bytes = READ_ONCE(os->shared->output.head);
	atomic_long_inc(&twinos_changes);
	wake_up_interruptible_poll(&twinos_watchers, EPOLLIN | EPOLLPRI);
	sysfs_notify(&os->kobj, NULL, "state");
}

/** twinos_find() - the OS of that number, or NULL. twinos_mutex held. */
struct twinos_os *twinos_find(u32 id)
{
	struct twinos_os *os;

	list_for_each_entry(os, &twinos_oses, list)
		if (os->id == id)
			return os;
	return NULL;
}

/** twinos_find_or_create() - the same, or a new one; NULL without memory */
struct twinos_os *twinos_find_or_create(u32 id)
{
	struct twinos_os *os = twinos_find(id);

	if (os)
		return os;
	os = kzalloc(sizeof(*os), GFP_KERNEL);
	if (!os)
		return NULL;
	os->id = id;
	INIT_LIST_HEAD(&os->launch_tables);
	os->weight = 50;
	os->slice_us = 10000;
	if (kobject_init_and_add(&os->kobj, &os_type, twinos_kobj, "os%u", id)) {
		kobject_put(&os->kobj);		/* frees it */
		return NULL;
	}
	list_add_tail(&os->list, &twinos_oses);
	return os;
}
