// SPDX-License-Identifier: GPL-2.0
/*
 * The running kernel: is it one that can have coexisting OSes beside it, and the
 * system calls that change them.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <linux/capability.h>
#include <linux/reboot.h>
#include <twinos/control.h>
#include "libtwinos.h"

#define KEXEC_ARCH_X86_64 (62u << 16)

static int read_twinos(const struct roots *roots, const char *file, char *buf, size_t size)
{
	char directory[300];

	snprintf(directory, sizeof(directory), "%s/kernel/twinos", roots->sys);
	return read_text(directory, file, buf, size);
}

/** twinos_leading() - is the running OS a leading OS? */
bool twinos_leading(const struct roots *roots)
{
	char text[32];

	return !read_twinos(roots, "role", text, sizeof(text)) && !strcmp(text, "leading");
}

/** check_leading() - the same, with a reason; privilege and interface too */
int check_leading(const struct roots *roots)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct cap[2] = { { 0 } };
	char text[32], wanted[16];

	if (read_twinos(roots, "role", text, sizeof(text)))
		return refuse(EOPNOTSUPP,
			      "the running kernel has no TwinOS support, or it is off there (dmesg says why); boot one built with CONFIG_TWINOS=y as the leading OS");
	if (strcmp(text, "leading"))
		return refuse(EOPNOTSUPP, "this is a %s OS; only the leading OS can load another",
			      text);
	snprintf(wanted, sizeof(wanted), "%d", TWINOS_ABI_VERSION);
	if (read_twinos(roots, "abi", text, sizeof(text)) || strcmp(text, wanted))
		return refuse(EOPNOTSUPP,
			      "the running kernel speaks version %s of the TwinOS interface, this %s version %s; build both from the same source",
			      text, twinos_program, wanted);
	if (syscall(SYS_capget, &header, cap) ||
	    !(cap[CAP_SYS_BOOT / 32].effective & 1u << CAP_SYS_BOOT % 32))
		return refuse(EPERM, "this needs the capability CAP_SYS_BOOT; run %s as root",
			      twinos_program);
	return 0;
}

/**
 * try_claim() - open a disk for us alone, as mount and swapon do, and close it
 *
 * Under a node of our own: what is in /dev may be missing or another device's.
 * Without waiting for a medium, which it need not have. Not held on, as the
 * kernel would find it in use when it takes the disk. Returns 0 or -errno
 * without a refusal, -EBUSY if it is claimed.
 */
int try_claim(unsigned int major, unsigned int minor)
{
	char folder[] = "/dev/.twinos-XXXXXX", node[sizeof(folder) + 8];
	int fd = -1, err = 0;

	if (!mkdtemp(folder))
		return -errno;
	snprintf(node, sizeof(node), "%s/disk", folder);
	if (!mknod(node, S_IFBLK | 0600, makedev(major, minor)))
		fd = open(node, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		err = -errno;
	else
		close(fd);
	unlink(node);
	rmdir(folder);
	return err;
}

/**
 * twinos_kexec_load() - kexec_load(2) into the TwinOS slot; explains an errno
 *
 * Returns the number of the OS, which the kernel chooses if the share has none.
 */
int twinos_kexec_load(uint64_t entry, unsigned long nr, const void *segments)
{
	int id = syscall(SYS_kexec_load, entry, nr, segments, KEXEC_ARCH_X86_64 | KEXEC_TWINOS);

	if (id >= 0)
		return id;
	switch (errno) {
	case EPERM:
		return refuse(EPERM, "the running kernel does not permit loading; it needs CAP_SYS_BOOT, kernel.kexec_load_disabled=0 and no lockdown");
	case EBUSY:
		return refuse(EBUSY, "the running kernel reports that this coexisting OS runs or a device of the share is in use; see dmesg");
	case EADDRNOTAVAIL:
		return refuse(EADDRNOTAVAIL, "the running kernel reports that the window or the low slice is not free; see dmesg, boot it with twinos=SIZE@ADDRESS");
	case ENODEV:
		return refuse(ENODEV, "the running kernel could not take a CPU or a device of the share; see dmesg");
	case EOPNOTSUPP:
		return refuse(EOPNOTSUPP, "the running kernel cannot have a coexisting OS of this kind; see dmesg");
	case EINVAL:
		return refuse(EINVAL, "the running kernel rejects the share or the image; see dmesg");
	default:
		return refuse(errno, "loading failed: %s; see dmesg", strerror(errno));
	}
}

static const char *verb(unsigned int command)
{
	switch (command) {
	case TWINOS_REBOOT_LAUNCH:
		return "launch";
	case TWINOS_UNLOAD:
		return "unload";
	case TWINOS_STOP:
		return "stop";
	case TWINOS_KILL:
		return "kill";
	default:
		return "move";
	}
}

/**
 * refuse_command() - what an errno of twinos_command() means
 *
 * Most of them have been ruled out before; then the state has changed since.
 */
int refuse_command(unsigned int command, uint32_t id, int error)
{
	switch (error) {
	case ENOENT:
		return refuse(ENOENT, "nothing is loaded as coexisting OS %u; load it with kexec --twinos --twinos-id=%u -l first",
			      id, id);
	case ESRCH:
		return refuse(ESRCH, "coexisting OS %u is not running; there is nothing to %s",
			      id, verb(command));
	case EALREADY:
		return refuse(EALREADY, "coexisting OS %u has been launched already; see twinos status",
			      id);
	case EBUSY:
		if (command == TWINOS_UNLOAD)
			return refuse(EBUSY, "coexisting OS %u is running; stop it first (twinos stop %u)",
				      id, id);
		if (command == TWINOS_REBOOT_LAUNCH)
			return refuse(EBUSY, "another coexisting OS shares CPU 0; see twinos status, and move or stop that one before launching %u",
				      id);
		return refuse(EBUSY, "the running kernel cannot %s coexisting OS %u now: another one shares CPU 0; move or stop that one first, see twinos status",
			      verb(command), id);
	case EPERM:
		return refuse(EPERM, "this needs the capability CAP_SYS_BOOT and no lockdown; run %s as root",
			      twinos_program);
	case ENODEV:
		return refuse(ENODEV, "the running kernel cannot give away or share a CPU that coexisting OS %u needs; see dmesg and /sys/devices/system/cpu/online",
			      id);
	case ENXIO:
		return refuse(ENXIO, "a PCI function of coexisting OS %u was unplugged or removed since it was loaded; put it back (echo 1 >/sys/bus/pci/rescan), then load it again",
			      id);
	case ECANCELED:
		return refuse(ECANCELED, "a CPU could not be taken offline, and all that was taken is given back; see dmesg for which one, and free it or choose another");
	case ETIMEDOUT:
		return refuse(ETIMEDOUT, "coexisting OS %u did not answer and stays as it is; if it hangs, end it with twinos kill %u",
			      id, id);
	case EIO:
		if (command == TWINOS_MOVE)
			return refuse(EIO, "coexisting OS %u hung in the move and has ended; load it again",
				      id);
		if (command == TWINOS_REBOOT_LAUNCH)
			return refuse(EIO, "the image of coexisting OS %u has changed since it was loaded; load it again",
				      id);
		return refuse(EIO, "the running kernel could not %s coexisting OS %u; see dmesg",
			      verb(command), id);
	case EOPNOTSUPP:
		if (command == TWINOS_MOVE)
			return refuse(EOPNOTSUPP, "coexisting OS %u cannot be moved there: it has several CPUs, or the running kernel cannot share one; see dmesg",
				      id);
		/* fall through */
	case EINVAL:
		return refuse(error, "the running kernel cannot %s a coexisting OS like this; see dmesg, and boot one with TwinOS support as the leading OS",
			      verb(command));
	default:
		return refuse(error, "the running kernel could not %s coexisting OS %u: %s; see dmesg",
			      verb(command), id, strerror(error));
	}
}

/** open_door() - the device for commands and for news of the states, see twinos/control.h */
int open_door(const struct roots *roots)
{
	char path[300];
	int door;

	snprintf(path, sizeof(path), "%s/twinos/control", roots->dev ?: "/dev");
	door = open(path, O_RDWR | O_CLOEXEC);
	if (door >= 0)
		return door;
	if (errno == ENOENT)
		return refuse(ENOENT, "/dev/twinos/control is not there; mount devtmpfs on /dev, or make the node: mkdir -p /dev/twinos; mknod /dev/twinos/control c 10 $(sed -n 's/ twinos$//p' /proc/misc)");
	return refuse(errno, "/dev/twinos/control cannot be opened: %s; run %s as root", strerror(errno),
		      twinos_program);
}

/**
 * await_news() - until the state of an OS may have changed, or one has printed something
 * @seconds: how long at most; negative for any time
 *
 * Returns 0 also if it took too long or a signal came. Look at the states afterwards
 * in any case.
 */
int await_news(int door, double seconds)
{
	struct pollfd news = { .fd = door, .events = POLLIN };
	uint64_t changes;

	/* A little late, so that the time is over when it is. */
	if (poll(&news, 1, seconds < 0 ? -1 : (int)(seconds * 1000 + 1)) <= 0 ||
	    !(news.revents & POLLIN))
		return 0;
	return read(door, &changes, sizeof(changes)) < 0 ?
		refuse(errno, "/dev/twinos/control cannot be read: %s", strerror(errno)) : 0;
}

/**
 * twinos_command() - TWINOS_REBOOT_LAUNCH, or a command of the door
 * @cpu: where to move, else 0
 */
int twinos_command(const struct roots *roots, unsigned int command, uint32_t id, uint32_t cpu)
{
	const struct twinos_control control = { .id = id, .cpu = cpu };
	int door, err;

	if (command == TWINOS_REBOOT_LAUNCH) {
		err = syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, command, id) ?
		      errno : 0;
	} else {
		door = open_door(roots);
		if (door < 0)
			return door;
		err = ioctl(door, command, &control) ? errno : 0;
		close(door);
	}
	return err ? refuse_command(command, id, err) : 0;
}
