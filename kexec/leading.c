// SPDX-License-Identifier: GPL-2.0
/*
 * The running kernel: is it one that can have a coexisting OS beside it, in
 * which state is that one, and the system calls that change it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/capability.h>
#include <linux/reboot.h>
#include "twinos.h"

#define KEXEC_ARCH_X86_64 (62u << 16)

/** read_text() - a small file of sysfs or procfs, without its last newline */
int read_text(const char *directory, const char *file, char *buf, size_t size)
{
	char path[700];
	ssize_t n;
	size_t used = 0;
	int fd;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", directory, file) >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (used < size - 1 && (n = read(fd, buf + used, size - 1 - used)) > 0)
		used += n;
	close(fd);
	buf[used] = 0;
	if (used && buf[used - 1] == '\n')
		buf[used - 1] = 0;
	return 0;
}

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
			      "the running kernel has no TwinOS support; boot one built with CONFIG_TWINOS=y as the leading OS");
	if (strcmp(text, "leading"))
		return refuse(EOPNOTSUPP, "this is a %s OS; only the leading OS can load another",
			      text);
	snprintf(wanted, sizeof(wanted), "%d", TWINOS_ABI_VERSION);
	if (read_twinos(roots, "abi", text, sizeof(text)) || strcmp(text, wanted))
		return refuse(EOPNOTSUPP,
			      "the running kernel speaks version %s of the TwinOS interface, this kexec version %s; build both from the same source",
			      text, wanted);
	if (syscall(SYS_capget, &header, cap) ||
	    !(cap[CAP_SYS_BOOT / 32].effective & 1u << CAP_SYS_BOOT % 32))
		return refuse(EPERM, "this needs the capability CAP_SYS_BOOT; run kexec as root");
	return 0;
}

/** twinos_state() - of the coexisting OS; refuses what it does not know */
int twinos_state(const struct roots *roots, enum twinos_state *state)
{
	static const char *const names[] = TWINOS_STATE_NAMES;
	char text[32];
	unsigned int i;

	if (read_twinos(roots, "os1/state", text, sizeof(text)))
		return refuse(EOPNOTSUPP, "the running kernel does not tell the coexisting OS's state; boot it with TwinOS support");
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(text, names[i])) {
			*state = i;
			return 0;
		}
	return refuse(EPROTO, "the running kernel says that the coexisting OS is \"%s\", which this kexec does not know",
		      text);
}

/* How many CPUs a list such as 0-3,8 names; 0 if it is not understood. */
static unsigned long count_cpus(const char *list)
{
	unsigned long n = 0, first, last;
	char *end;

	do {
		first = strtoul(list, &end, 10);
		if (end == list)
			return 0;
		last = first;
		if (*end == '-') {
			list = end + 1;
			last = strtoul(list, &end, 10);
			if (end == list || last < first)
				return 0;
		}
		n += last - first + 1;
		list = end + 1;
	} while (*end == ',');
	return *end ? 0 : n;
}

/* Is word among the words of text, separated by blanks or newlines? */
static bool has_word(const char *text, const char *word)
{
	const size_t length = strlen(word);
	size_t n;

	for (text += strspn(text, " \n"); *text; text += n + strspn(text + n, " \n")) {
		n = strcspn(text, " \n");
		if (n == length && !memcmp(text, word, n))
			return true;
	}
	return false;
}

/** check_cpus() - time-shared mode takes exactly one CPU, the other mode a kernel that has it */
int check_cpus(const struct roots *roots, const struct share_options *options)
{
	char directory[300], text[4096];
	bool dedicated;
	unsigned long online;

	/* The modes that the kernel has are the words of this file. */
	dedicated = !read_twinos(roots, "modes", text, sizeof(text)) &&
		    has_word(text, "dedicated");
	if (options->nr_cpus) {
		if (!dedicated)
			return refuse(EOPNOTSUPP,
				      "the running kernel has no dedicated mode; leave --twinos-cpus (or cpus in %s) out and boot with one CPU (maxcpus=1)",
				      roots->conf);
		return 0;
	}
	snprintf(directory, sizeof(directory), "%s/devices/system/cpu", roots->sys);
	/* A kernel without SMP has no such file. */
	if (read_text(directory, "online", text, sizeof(text)))
		return 0;
	online = count_cpus(text);
	if (online == 1)
		return 0;
	if (dedicated)
		return refuse(ENODEV,
			      "CPUs %s are online, and time-shared mode works with one; give the coexisting OS CPUs of its own with --twinos-cpus, or boot with maxcpus=1",
			      text);
	return refuse(ENODEV,
		      "CPUs %s are online, and time-shared mode works with one; take the others offline or boot with maxcpus=1 (the running kernel has no dedicated mode, --twinos-cpus)",
		      text);
}

/** twinos_kexec_load() - kexec_load(2) into the TwinOS slot; explains an errno */
int twinos_kexec_load(uint64_t entry, unsigned long nr, const void *segments)
{
	if (!syscall(SYS_kexec_load, entry, nr, segments, KEXEC_ARCH_X86_64 | KEXEC_TWINOS))
		return 0;
	switch (errno) {
	case EPERM:
		return refuse(EPERM, "the running kernel does not permit loading; it needs CAP_SYS_BOOT, kernel.kexec_load_disabled=0 and no lockdown");
	case EBUSY:
		return refuse(EBUSY, "the running kernel reports that a coexisting OS runs or a device of the share is in use; see dmesg");
	case EADDRNOTAVAIL:
		return refuse(EADDRNOTAVAIL, "the running kernel reports that the window is not free; see dmesg, boot it with twinos=SIZE@ADDRESS");
	case ENODEV:
		return refuse(ENODEV, "the running kernel could not take a device of the share; see dmesg");
	case EOPNOTSUPP:
		return refuse(EOPNOTSUPP, "the running kernel cannot have a coexisting OS of this kind; see dmesg");
	case EINVAL:
		return refuse(EINVAL, "the running kernel rejects the share or the image; see dmesg");
	default:
		return refuse(errno, "loading failed: %s; see dmesg", strerror(errno));
	}
}

/** twinos_reboot() - TWINOS_REBOOT_LAUNCH or _UNLOAD; explains an errno */
int twinos_reboot(unsigned int command, uint32_t id)
{
	const bool launch = command == TWINOS_REBOOT_LAUNCH;

	if (!syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, command,
		     (unsigned long)id))
		return 0;
	switch (errno) {
	case ENOENT:
		return refuse(ENOENT, "nothing is loaded as coexisting OS %u; load it with kexec --twinos -l first",
			      id);
	case EBUSY:
		return launch ?
			refuse(EBUSY, "coexisting OS %u is running already; wait until it has stopped", id) :
			refuse(EBUSY, "coexisting OS %u is running; stop it first (halt in it)", id);
	case EPERM:
		return refuse(EPERM, "this needs the capability CAP_SYS_BOOT; run kexec as root");
	case ENODEV:
		return refuse(ENODEV, "more than one CPU is online, or the timer cannot be shared; see dmesg, take the other CPUs offline or boot with maxcpus=1");
	case EINVAL:
	case EOPNOTSUPP:
		return refuse(EOPNOTSUPP, "the running kernel cannot do this; boot one with TwinOS support as the leading OS and see dmesg");
	default:
		return refuse(errno, "%s failed: %s; see dmesg", launch ? "the launch" : "unloading",
			      strerror(errno));
	}
}
