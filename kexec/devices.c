// SPDX-License-Identifier: GPL-2.0
/*
 * The devices of the share: a PCI function must exist, signal by MSI and not
 * be in use by the running OS; an interrupt pin must have no handler; and none
 * of them may be another coexisting OS's. The kernel takes them when loading; here is said who has them.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>
#include "twinos.h"

#define IFF_UP 1
#define CONFIG_SIZE 256
#define CONFIG_STATUS 6
#define STATUS_CAPABILITIES 0x10
#define CONFIG_CAPABILITIES 0x34
#define CAPABILITY_MSI 0x05
#define CAPABILITY_MSIX 0x11

static void format_pci(const struct twinos_pci *pci, char *text, size_t size)
{
	snprintf(text, size, "%04x:%02x:%02x.%x", pci->domain, pci->bus, pci->devfn >> 3,
		 pci->devfn & 7);
}

/* MSI or MSI-X in the capability list of the configuration space? */
static bool has_msi(const char *device)
{
	uint8_t config[CONFIG_SIZE] = { 0 };
	char path[700];
	unsigned int at, hops;
	int fd;

	snprintf(path, sizeof(path), "%s/config", device);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (read(fd, config, sizeof(config)) < 64)
		config[CONFIG_STATUS] = 0;
	close(fd);
	if (!(config[CONFIG_STATUS] & STATUS_CAPABILITIES))
		return false;
	at = config[CONFIG_CAPABILITIES] & 0xfc;
	for (hops = 0; at >= 0x40 && hops < 48; hops++) {
		if (config[at] == CAPABILITY_MSI || config[at] == CAPABILITY_MSIX)
			return true;
		at = config[at + 1] & 0xfc;
	}
	return false;
}

/* Is class_path/name a device at or below the PCI function? */
static bool belongs_to(const char *class_path, const char *name, const char *device)
{
	char path[700], real[PATH_MAX];
	size_t n = strlen(device);

	snprintf(path, sizeof(path), "%s/%s", class_path, name);
	return realpath(path, real) && !strncmp(real, device, n) && real[n] == '/';
}

/* "NAME": the interface is up */
static int check_net(const struct roots *roots, const char *bdf, const char *device)
{
	char class_path[300], directory[600], text[32];
	struct dirent *entry;
	int err = 0;
	DIR *dir;

	snprintf(class_path, sizeof(class_path), "%s/class/net", roots->sys);
	dir = opendir(class_path);
	while (dir && !err && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || !belongs_to(class_path, entry->d_name, device))
			continue;
		snprintf(directory, sizeof(directory), "%s/%s", class_path, entry->d_name);
		if (!read_text(directory, "flags", text, sizeof(text)) &&
		    strtoul(text, NULL, 16) & IFF_UP)
			err = refuse(EBUSY, "PCI function %s (%s) is in use: the interface is up; ip link set %s down first",
				     bdf, entry->d_name, entry->d_name);
	}
	if (dir)
		closedir(dir);
	return err;
}

/* Where a block device is mounted; mountinfo: ID PARENT MAJOR:MINOR ROOT MOUNTPOINT ... - TYPE SOURCE */
static bool mounted(const struct roots *roots, const char *name, const char *number,
		    char *where, size_t size)
{
	char path[300], line[4096], device[300];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "%s/self/mountinfo", roots->proc);
	snprintf(device, sizeof(device), "/dev/%s", name);
	file = fopen(path, "r");
	while (file && !found && fgets(line, sizeof(line), file)) {
		char number_here[32], mount_point[1024], source[1024] = "";
		char *dash = strstr(line, " - ");

		if (sscanf(line, "%*s %*s %31s %*s %1023s", number_here, mount_point) != 2)
			continue;
		/* Some file systems have device numbers of their own. */
		if (dash)
			sscanf(dash, " - %*s %1023s", source);
		if (!strcmp(number_here, number) || !strcmp(source, device)) {
			snprintf(where, size, "%s", mount_point);
			found = true;
		}
	}
	if (file)
		fclose(file);
	return found;
}

static bool swapped_on(const struct roots *roots, const char *name)
{
	char path[300], line[1024], device[1024];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "%s/swaps", roots->proc);
	file = fopen(path, "r");
	while (file && !found && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%1023s", device) == 1 && !strncmp(device, "/dev/", 5))
			found = !strcmp(device + 5, name);
	}
	if (file)
		fclose(file);
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

static int check_block(const struct roots *roots, const char *bdf, const char *device)
{
	char class_path[300], directory[600], holders[700], number[32], where[256];
	struct dirent *entry;
	int err = 0;
	DIR *dir;

	snprintf(class_path, sizeof(class_path), "%s/class/block", roots->sys);
	dir = opendir(class_path);
	while (dir && !err && (entry = readdir(dir))) {
		const char *name = entry->d_name;

		if (name[0] == '.' || !belongs_to(class_path, name, device))
			continue;
		snprintf(directory, sizeof(directory), "%s/%s", class_path, name);
		if (read_text(directory, "dev", number, sizeof(number)))
			number[0] = 0;
		if (mounted(roots, name, number, where, sizeof(where)))
			err = refuse(EBUSY, "PCI function %s (%s) is in use: it is mounted on %s; umount it first",
				     bdf, name, where);
		else if (swapped_on(roots, name))
			err = refuse(EBUSY, "PCI function %s (%s) is in use: it is swap space; swapoff /dev/%s first",
				     bdf, name, name);
		if (err)
			break;
		snprintf(holders, sizeof(holders), "%s/holders", directory);
		first_entry(holders, where, sizeof(where));
		if (where[0])
			err = refuse(EBUSY, "PCI function %s (%s) is in use: %s is built on it; stop that first",
				     bdf, name, where);
	}
	if (dir)
		closedir(dir);
	return err;
}

static int refuse_owned(const char *what, const struct os *owner)
{
	return refuse(EBUSY, "%s belongs to coexisting OS %u (%s); choose another, or %s first",
		      what, owner->id, state_name(owner->state), os_release(owner));
}

/**
 * check_pci() - may a PCI function be taken from the running OS?
 * @id: of the OS that it is for
 */
int check_pci(const struct roots *roots, const struct twinos_pci *pci,
	      const struct os_list *oses, uint32_t id)
{
	const struct os *owner = pci_owner(oses, pci, id);
	char bdf[24], path[300], device[PATH_MAX], text[32];
	int err;

	format_pci(pci, bdf, sizeof(bdf));
	if (owner) {
		snprintf(path, sizeof(path), "PCI function %s", bdf);
		return refuse_owned(path, owner);
	}
	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s", roots->sys, bdf);
	if (!realpath(path, device)) {
		/* An OS that has ended may still have it; the load takes it over. */
		if (pci_held(oses, pci))
			return 0;
		return refuse(ENODEV, "PCI function %s does not exist; see /sys/bus/pci/devices", bdf);
	}
	if (!read_text(device, "class", text, sizeof(text)) && !strncmp(text, "0x06", 4))
		return refuse(EINVAL, "PCI function %s is a bridge; give the functions behind it instead",
			      bdf);
	if (!has_msi(device))
		return refuse(EINVAL,
			      "PCI function %s has neither MSI nor MSI-X, and INTx cannot be divided; choose another device",
			      bdf);
	err = check_net(roots, bdf, device);
	return err ? err : check_block(roots, bdf, device);
}

/*
 * /proc/interrupts: "  4:  17  0  IO-APIC   4-edge      ttyS0". The pin is the
 * number before the trigger; the handlers' names are behind it.
 */
int check_irq(const struct roots *roots, uint32_t irq, const struct os_list *oses, uint32_t id)
{
	const struct os *owner = irq_owner(oses, irq, id);
	char path[300], *text, *rest, *line;
	int err;

	if (owner) {
		snprintf(path, sizeof(path), "interrupt pin %u", irq);
		return refuse_owned(path, owner);
	}
	snprintf(path, sizeof(path), "%s/interrupts", roots->proc);
	err = read_file(path, &text, NULL);
	if (err)
		return refuse(-err, "%s cannot be read: %s; is /proc mounted?", path, strerror(-err));
	for (rest = text; !err && (line = next_line(&rest)); ) {
		char *chip = strstr(line, "IO-APIC"), *handler;
		unsigned long pin;
		char *end;

		if (!chip)
			continue;
		chip += strcspn(chip, " ");
		pin = strtoul(chip, &end, 10);
		if (end == chip || *end != '-' || pin != irq)
			continue;
		handler = end + strcspn(end, " ");
		handler += strspn(handler, " ");
		if (*handler && strncmp(handler, "twinos", 6))
			err = refuse(EBUSY, "interrupt pin %u is in use by the running OS (%s); release it there or choose another",
				     irq, handler);
	}
	free(text);
	return err;
}
