// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/kernel/twinos: the state of each coexisting OS, its share,
 * statistics and console ring, and how a CPU is shared. All times are TSC ticks.
 */
#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/kobject.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <asm/tsc.h>

#include "leading.h"

static struct kobject *twinos_kobj;

static struct twinos_os *to_os(struct kobject *kobj)
{
	return container_of(kobj, struct twinos_os, kobj);
}

static ssize_t abi_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", TWINOS_ABI_VERSION);
}

static ssize_t role_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", twinos_role ? "coexisting" : "leading");
}

/* How a coexisting OS may be given CPUs; kexec asks before it loads. */
static ssize_t modes_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "time-shared dedicated\n");
}

static ssize_t windows_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	unsigned int i;
	int n = 0;

	for (i = 0; i < twinos_nr_windows; i++) {
		const struct twinos_window *w = &twinos_windows[i];

		n += sysfs_emit_at(buf, n, "%#llx-%#llx", w->start, w->start + w->size - 1);
		if (w->low_size)
			n += sysfs_emit_at(buf, n, " low %#llx-%#llx", w->low_start,
					   w->low_start + w->low_size - 1);
		n += sysfs_emit_at(buf, n, "\n");
	}
	return n;
}

/*
 * Removing a folder waits for those who read or write in it, with the mutex
 * held; so they must not wait for the mutex, but come again a little later, as
 * with lock_device_hotplug_sysfs().
 */
static int come_again(void)
{
	usleep_range(5000, 10000);
	return restart_syscall();
}

typedef ssize_t (*show_fn)(const struct twinos_os *os, char *buf);

static ssize_t show_locked(struct kobject *kobj, char *buf, show_fn show)
{
	ssize_t n;

	if (!mutex_trylock(&twinos_mutex))
		return come_again();
	n = show(to_os(kobj), buf);
	mutex_unlock(&twinos_mutex);
	return n;
}

static ssize_t store_number(struct kobject *kobj, const char *buf, size_t count,
			     unsigned int min, unsigned int max, size_t field)
{
	struct twinos_os *os = to_os(kobj);
	unsigned int value;
	int err = kstrtouint(buf, 0, &value);

	if (err)
		return err;
	if (value < min || value > max)
		return -ERANGE;
	if (!mutex_trylock(&twinos_mutex))
		return come_again();
	*(unsigned int *)((char *)os + field) = value;
	if (os->running)
		twinos_apply_weight(os);
	mutex_unlock(&twinos_mutex);
	return count;
}

static ssize_t state_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	static const char * const names[] = TWINOS_STATE_NAMES;
	enum twinos_state state = twinos_get_state(to_os(kobj));

	if (state >= ARRAY_SIZE(names))
		return sysfs_emit(buf, "unknown\n");
	return sysfs_emit(buf, "%s\n", names[state]);
}

static ssize_t show_reason(const struct twinos_os *os, char *buf)
{
	return sysfs_emit(buf, "%s\n", os->running || os->loaded ? "" : os->reason);
}

static ssize_t reason_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return show_locked(kobj, buf, show_reason);
}

static ssize_t mode_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	static const char * const names[] = TWINOS_MODE_NAMES;

	return sysfs_emit(buf, "%s\n", names[to_os(kobj)->mode]);
}

static ssize_t slice_us_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", to_os(kobj)->slice_us);
}

static ssize_t slice_us_store(struct kobject *kobj, struct kobj_attribute *attr,
			      const char *buf, size_t count)
{
	return store_number(kobj, buf, count, 100, 1000000,
			     offsetof(struct twinos_os, slice_us));
}

static ssize_t weight_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", to_os(kobj)->weight);
}

static ssize_t weight_store(struct kobject *kobj, struct kobj_attribute *attr,
			    const char *buf, size_t count)
{
	return store_number(kobj, buf, count, 1, 99, offsetof(struct twinos_os, weight));
}

static ssize_t show_share(const struct twinos_os *os, char *buf)
{
	const struct twinos_share *s = &os->share;
	unsigned int i;
	int n = 0;

	if (!s->magic)
		return 0;
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
	return n;
}

static ssize_t share_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return show_locked(kobj, buf, show_share);
}

static int emit_side(char *buf, int n, const char *name, const struct twinos_side *side)
{
	u64 min = side->switch_min == U64_MAX ? 0 : side->switch_min;

	return sysfs_emit_at(buf, n,
			     "%s_run_tsc %llu\n%s_switches %llu\n%s_foreign %llu\n"
			     "%s_donated %llu\n%s_switch_min %llu\n%s_switch_max %llu\n"
			     "%s_switch_avg %llu\n%s_away_max %llu\n",
			     name, side->run_tsc, name, side->switches,
			     name, side->foreign, name, side->donated,
			     name, min, name, side->switch_max,
			     name, side->resumed ? side->switch_sum / side->resumed : 0,
			     name, side->away_max);
}

static ssize_t emit_stats(const struct twinos_shared *s, char *buf)
{
	int n;

	n = sysfs_emit(buf,
		       "tsc_khz %u\nlaunch_tsc %llu\nenter_tsc %llu\n"
		       "first_return_tsc %llu\ninit_tsc %llu\nslice_tsc %llu\nmoves %u\n",
		       s->tsc_khz, s->launch_tsc, s->enter_tsc,
		       s->first_return_tsc, s->init_tsc, s->slice_tsc, s->moves);
	if (twinos_role == TWINOS_LEADING && s->mode == TWINOS_TIME_SHARED)
		n += sysfs_emit_at(buf, n, "launch_away_max %llu\n",
				   s->side[TWINOS_LEADING].launch_away_max);
	n += sysfs_emit_at(buf, n, "put_off_max %llu\nover_task %llu\n",
			   s->side[twinos_role].put_off_max, s->side[twinos_role].over_task);
	n += emit_side(buf, n, "leading", &s->side[TWINOS_LEADING]);
	n += emit_side(buf, n, "coexisting", &s->side[TWINOS_COEXISTING]);
	return n;
}

static ssize_t show_stats(const struct twinos_os *os, char *buf)
{
	return os->launched && os->shared && !os->loaded ? emit_stats(os->shared, buf) : 0;
}

static ssize_t stats_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return show_locked(kobj, buf, show_stats);
}

static ssize_t own_stats_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return emit_stats(twinos_shared(), buf);
}

static ssize_t log_read(struct file *file, struct kobject *kobj, struct bin_attribute *attr,
			char *buf, loff_t pos, size_t count)
{
	struct twinos_os *os = to_os(kobj);
	ssize_t n = 0;

	if (!mutex_trylock(&twinos_mutex))
		return come_again();
	if (os->launched && os->shared && !os->loaded)
		n = twinos_ring_read(os->shared, buf, pos, count);
	mutex_unlock(&twinos_mutex);
	return n;
}

static struct kobj_attribute abi_attr = __ATTR_RO(abi);
static struct kobj_attribute role_attr = __ATTR_RO(role);
static struct kobj_attribute modes_attr = __ATTR_RO(modes);
static struct kobj_attribute windows_attr = __ATTR_RO_MODE(windows, 0400);
static struct kobj_attribute state_attr = __ATTR_RO(state);
static struct kobj_attribute reason_attr = __ATTR_RO_MODE(reason, 0400);
static struct kobj_attribute slice_us_attr = __ATTR_RW(slice_us);
static struct kobj_attribute weight_attr = __ATTR_RW(weight);
static struct kobj_attribute share_attr = __ATTR_RO_MODE(share, 0400);
static struct kobj_attribute mode_attr = __ATTR_RO(mode);
static struct kobj_attribute stats_attr = __ATTR_RO_MODE(stats, 0400);
static struct kobj_attribute own_stats_attr = __ATTR(stats, 0400, own_stats_show, NULL);
static struct bin_attribute log_attr = __BIN_ATTR(log, 0400, log_read, NULL, 0);

static struct attribute *leading_attrs[] = {
	&abi_attr.attr, &role_attr.attr, &modes_attr.attr, &windows_attr.attr, NULL
};
ATTRIBUTE_GROUPS(leading);

static struct attribute *coexisting_attrs[] = {
	&abi_attr.attr, &role_attr.attr, &own_stats_attr.attr, NULL
};
ATTRIBUTE_GROUPS(coexisting);

static struct attribute *os_attrs[] = {
	&state_attr.attr, &reason_attr.attr, &mode_attr.attr, &slice_us_attr.attr,
	&weight_attr.attr, &share_attr.attr, &stats_attr.attr, NULL
};

static struct bin_attribute *os_bin_attrs[] = { &log_attr, NULL };

static const struct attribute_group os_group = {
	.attrs = os_attrs,
	.bin_attrs = os_bin_attrs,
};

static const struct attribute_group *os_groups[] = { &os_group, NULL };

static void release_os(struct kobject *kobj)
{
	kfree(to_os(kobj));
}

static const struct kobj_type os_type = {
	.release = release_os,
	.sysfs_ops = &kobj_sysfs_ops,
	.default_groups = os_groups,
};

static int publish(struct twinos_os *os)
{
	return kobject_init_and_add(&os->kobj, &os_type, twinos_kobj, "os%u", os->id);
}

static int __init twinos_sysfs_init(void)
{
	int err;

	if (twinos_off)
		return 0;
	twinos_kobj = kobject_create_and_add("twinos", kernel_kobj);
	if (!twinos_kobj)
		return -ENOMEM;
	if (twinos_role == TWINOS_COEXISTING)
		return sysfs_create_groups(twinos_kobj, coexisting_groups);
	err = sysfs_create_groups(twinos_kobj, leading_groups);
	if (err)
		return err;
	twinos_publish = publish;
	mutex_lock(&twinos_mutex);
	if (!twinos_find_or_create(TWINOS_ID_DEFAULT))
		err = -ENOMEM;
	mutex_unlock(&twinos_mutex);
	return err;
}
late_initcall(twinos_sysfs_init);
