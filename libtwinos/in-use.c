// SPDX-License-Identifier: GPL-2.0
/*
 * Does the running OS use a PCI function? The kernel is asked: a disk is claimed
 * for a moment, as a mount, swap, md or dm claims what it is on, and if one of
 * them was first, the kernel refuses, in whatever namespace and under whatever
 * name the disk is in use. What /proc and /sys say serves for explaining only.
 * What the kernel does not tell is refused.
 */
#include <dirent.h>
#include <errno.h>
#include <fts.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "libtwinos.h"

#define IFF_UP 1

struct function {
	const struct roots *roots;
	const char *bdf;
	const char *device;		/* its folder below /sys/devices */
	bool hidden_disk;		/* it has one that cannot be opened, … */
	bool heads;			/* … and others that stand for it */
};

static int refuse_unknown(const struct function *f, const char *path, int err)
{
	return refuse(err, "whether PCI function %s is in use cannot be known: %s cannot be read: %s; choose another",
		      f->bdf, path, strerror(err));
}

static const char *last_part(const char *path)
{
	return strrchr(path, '/') + 1;
}

/* Where a disk or partition is mounted, according to the mountinfo of a process. */
static bool mounted(const struct roots *roots, const char *process, const char *name,
		    const char *number, char *where, size_t size)
{
	char path[600], *text, *rest, *line;
	bool found = false;

	snprintf(path, sizeof(path), "%s/%s/mountinfo", roots->proc, process);
	if (read_file(path, &text, NULL))
		return false;
	/* ID PARENT MAJOR:MINOR ROOT MOUNTPOINT … - TYPE SOURCE … */
	for (rest = text; !found && (line = next_line(&rest)); ) {
		char here[32], point[256], source[256] = "";
		const char *dash = strstr(line, " - ");

		if (sscanf(line, "%*s %*s %31s %*s %255s", here, point) != 2)
			continue;
		/* Some file systems have device numbers of their own. */
		if (dash)
			sscanf(dash, " - %*s /dev/%255s", source);
		found = !strcmp(here, number) || !strcmp(source, name);
		if (found)
			snprintf(where, size, "%s", point);
	}
	free(text);
	return found;
}

/* The same in the namespaces of all processes; process becomes "123 (name)". */
static bool mounted_elsewhere(const struct roots *roots, const char *name, const char *number,
			      char *where, size_t size, char *process, size_t process_size)
{
	DIR *dir = opendir(roots->proc);
	char path[600], command[64];
	struct dirent *entry;
	bool found = false;

	while (dir && !found && (entry = readdir(dir))) {
		if (entry->d_name[strspn(entry->d_name, "0123456789")] ||
		    !mounted(roots, entry->d_name, name, number, where, size))
			continue;
		found = true;
		snprintf(path, sizeof(path), "%s/%s", roots->proc, entry->d_name);
		if (read_text(path, "comm", command, sizeof(command)))
			command[0] = 0;
		snprintf(process, process_size, "%s (%s)", entry->d_name, command);
	}
	if (dir)
		closedir(dir);
	return found;
}

/* Swap space, under any name that its node has; path is what swapoff needs. */
static bool swapped_on(const struct roots *roots, const char *name, dev_t number, char *path,
		       size_t size)
{
	char file[300], *text, *rest, *line;
	bool found = false;
	struct stat st;

	snprintf(file, sizeof(file), "%s/swaps", roots->proc);
	if (read_file(file, &text, NULL))
		return false;
	for (rest = text; !found && (line = next_line(&rest)); ) {
		line[strcspn(line, " \t")] = 0;
		found = (!strncmp(line, "/dev/", 5) && !strcmp(line + 5, name)) ||
			(!stat(line, &st) && S_ISBLK(st.st_mode) && st.st_rdev == number);
		if (found)
			snprintf(path, size, "%s", line);
	}
	free(text);
	return found;
}

/* The first entry of a folder, "" if there is none. */
static void first_entry(const char *path, char *name, size_t size)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	name[0] = 0;
	while (dir && !name[0] && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			snprintf(name, size, "%s", entry->d_name);
	if (dir)
		closedir(dir);
}

/* Who uses a disk or partition; 0 if nobody is found. */
static int explain(const struct function *f, const char *path)
{
	char holders[PATH_MAX], number[32], who[256], process[128];
	const char *name = last_part(path);
	unsigned int major, minor;

	if (read_text(path, "dev", number, sizeof(number)) ||
	    sscanf(number, "%u:%u", &major, &minor) != 2)
		return 0;
	if (mounted(f->roots, "self", name, number, who, sizeof(who)))
		return refuse(EBUSY, "PCI function %s (%s) is in use: it is mounted on %s; umount it first",
			      f->bdf, name, who);
	if (mounted_elsewhere(f->roots, name, number, who, sizeof(who), process, sizeof(process)))
		return refuse(EBUSY, "PCI function %s (%s) is in use: it is mounted on %s in another mount namespace, that of process %s; umount it there first",
			      f->bdf, name, who, process);
	if (swapped_on(f->roots, name, makedev(major, minor), who, sizeof(who)))
		return refuse(EBUSY, "PCI function %s (%s) is in use: it is swap space; swapoff %s first",
			      f->bdf, name, who);
	snprintf(holders, sizeof(holders), "%s/holders", path);
	first_entry(holders, who, sizeof(who));
	if (who[0])
		return refuse(EBUSY, "PCI function %s (%s) is in use: %s is built on it; stop that first",
			      f->bdf, name, who);
	return 0;
}

/* The kernel has refused the claim: by whom is the disk or a partition in use? */
static int refuse_disk(const struct function *f, const char *path)
{
	char part[PATH_MAX + 256], mark[PATH_MAX + 300];
	int err = explain(f, path);
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && !err && (entry = readdir(dir))) {
		snprintf(part, sizeof(part), "%s/%s", path, entry->d_name);
		snprintf(mark, sizeof(mark), "%s/partition", part);
		if (!access(mark, F_OK))
			err = explain(f, part);
	}
	if (dir)
		closedir(dir);
	return err ? err :
		refuse(EBUSY, "PCI function %s (%s) is in use: the kernel has claimed it, for swap or for a file system that is detached or spans several devices; release it first",
		       f->bdf, last_part(path));
}

/* Can a disk be claimed? Not as long as one of its partitions is in use, either. */
static int check_disk(struct function *f, const char *path)
{
	unsigned int major, minor;
	char number[32];
	int err;

	err = read_text(path, "dev", number, sizeof(number));
	/* One of the ways to an NVMe namespace: only its head can be opened. */
	if (err == -ENOENT) {
		f->hidden_disk = true;
		return 0;
	}
	if (!err && sscanf(number, "%u:%u", &major, &minor) != 2)
		err = -EINVAL;
	if (err)
		return refuse_unknown(f, path, -err);
	err = try_claim(major, minor);
	if (err == -EBUSY)
		return refuse_disk(f, path);
	if (err)
		return refuse(-err, "whether PCI function %s (%s) is in use cannot be known: it cannot be claimed: %s; choose another",
			      f->bdf, last_part(path), strerror(-err));
	return 0;
}

static int check_interface(const struct function *f, const char *path)
{
	const char *name = last_part(path);
	char text[32];
	int err = read_text(path, "flags", text, sizeof(text));

	if (err)
		return refuse_unknown(f, path, -err);
	if (strtoul(text, NULL, 16) & IFF_UP)
		return refuse(EBUSY, "PCI function %s (%s) is in use: the interface is up; ip link set %s down first",
			      f->bdf, name, name);
	return 0;
}

/*
 * The folder "net" of a device is there as long as it has interfaces in any
 * network namespace, and shows those of ours; its links count all.
 */
static int check_hidden(const struct function *f, const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	nlink_t shown = 0;
	struct stat st;

	if (!dir || fstat(dirfd(dir), &st)) {
		const int err = errno;

		if (dir)
			closedir(dir);
		return refuse_unknown(f, path, err);
	}
	while ((entry = readdir(dir)))
		shown += entry->d_name[0] != '.';
	closedir(dir);
	if (shown && st.st_nlink <= shown + 2)
		return 0;
	return refuse(EBUSY, "PCI function %s is in use: an interface of it is in another network namespace; bring it back and set it down first",
		      f->bdf);
}

static bool is_class(const char *link, const char *class)
{
	const char *slash = strrchr(link, '/');

	return slash && !strcmp(slash + 1, class);
}

/* All disks and interfaces in a folder of sysfs, at any depth. */
static int check_below(struct function *f, const char *folder)
{
	char *const folders[] = { (char *)folder, NULL };
	char link[PATH_MAX], class[PATH_MAX];
	FTS *tree = fts_open(folders, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	FTSENT *entry;
	ssize_t n;
	int err = 0;

	if (!tree)
		return refuse_unknown(f, folder, errno);
	while (!err && (errno = 0, entry = fts_read(tree))) {
		if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR ||
		    entry->fts_info == FTS_NS)
			err = refuse_unknown(f, entry->fts_path, entry->fts_errno);
		if (entry->fts_info != FTS_D)
			continue;
		snprintf(link, sizeof(link), "%s/subsystem", entry->fts_path);
		n = readlink(link, class, sizeof(class) - 1);
		class[n < 0 ? 0 : n] = 0;
		if (n < 0 && errno != ENOENT) {
			err = refuse_unknown(f, link, errno);
		} else if (is_class(class, "block")) {
			err = check_disk(f, entry->fts_path);
			fts_set(tree, entry, FTS_SKIP);
		} else if (is_class(class, "net")) {
			err = check_interface(f, entry->fts_path);
			fts_set(tree, entry, FTS_SKIP);
		} else if (!strcmp(entry->fts_name, "net")) {
			err = check_hidden(f, entry->fts_path);
		}
	}
	if (!err && errno)
		err = refuse_unknown(f, folder, errno);
	fts_close(tree);
	return err;
}

/* 1 if there is a link in the folder to something of the function, 0 if not, or -errno */
static int leads_to(const char *folder, const char *device)
{
	char path[PATH_MAX + 256], real[PATH_MAX];
	const size_t length = strlen(device);
	DIR *dir = opendir(folder);
	struct dirent *entry;
	int found = 0;

	if (!dir)
		return -errno;
	while (!found && (errno = 0, entry = readdir(dir))) {
		if (entry->d_type != DT_LNK)
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (realpath(path, real))
			found = !strncmp(real, device, length) && real[length] == '/';
		else
			found = -errno;
	}
	if (!found)
		found = -errno;
	closedir(dir);
	return found;
}

/*
 * With NVMe multipath the disk is not below the function but below a subsystem,
 * which has a link to each controller that leads to it.
 */
static int check_subsystems(struct function *f)
{
	char class[300], path[PATH_MAX], folder[PATH_MAX];
	struct dirent *entry;
	int found, err = 0;
	DIR *dir;

	snprintf(class, sizeof(class), "%s/class/nvme-subsystem", f->roots->sys);
	dir = opendir(class);
	if (!dir)
		return errno == ENOENT ? 0 : refuse_unknown(f, class, errno);
	while (!err && (errno = 0, entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", class, entry->d_name);
		found = realpath(path, folder) ? leads_to(folder, f->device) : -errno;
		if (found < 0)
			err = refuse_unknown(f, path, -found);
		if (found <= 0)
			continue;
		f->heads = true;
		err = check_below(f, folder);
	}
	if (!err && errno)
		err = refuse_unknown(f, class, errno);
	closedir(dir);
	return err;
}

/**
 * check_in_use() - refuses a PCI function that the running OS uses
 * @bdf: its name
 * @device: its folder below /sys/devices
 */
int check_in_use(const struct roots *roots, const char *bdf, const char *device)
{
	struct function f = { .roots = roots, .bdf = bdf, .device = device };
	int err = check_below(&f, device);

	if (!err)
		err = check_subsystems(&f);
	if (!err && f.hidden_disk && !f.heads)
		err = refuse_unknown(&f, "the disk of its namespace", ENODEV);
	return err;
}
