// SPDX-License-Identifier: GPL-2.0
/*
 * The devices of the share: a PCI function must exist, signal by MSI and not
 * be in use by the running OS (in-use.c); an interrupt pin must have no handler;
 * and none of them may be another coexisting OS's. The kernel takes them when
 * loading; here is said who has them.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "libtwinos.h"

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
static bool has_msi(const char *config, size_t size)
{
	uint8_t c[CONFIG_SIZE] = { 0 };
	unsigned int at, hops;

	if (size < 64)
		return false;
	memcpy(c, config, size < sizeof(c) ? size : sizeof(c));
	if (!(c[CONFIG_STATUS] & STATUS_CAPABILITIES))
		return false;
	at = c[CONFIG_CAPABILITIES] & 0xfc;
	for (hops = 0; at >= 0x40 && hops < 48; hops++) {
		if (c[at] == CAPABILITY_MSI || c[at] == CAPABILITY_MSIX)
			return true;
		at = c[at + 1] & 0xfc;
	}
	return false;
}

/* Is it something that one OS can have for itself? */
static int check_kind(const char *bdf, const char *device)
{
	char path[PATH_MAX + 10], text[32], *config;
	size_t size;
	bool msi;
	int err;

	err = read_text(device, "class", text, sizeof(text));
	if (err)
		return refuse(-err, "the class of PCI function %s cannot be read: %s", bdf,
			      strerror(-err));
	if (!strncmp(text, "0x06", 4))
		return refuse(EINVAL, "PCI function %s is a bridge; give the functions behind it instead",
			      bdf);
	snprintf(path, sizeof(path), "%s/config", device);
	err = read_file(path, &config, &size);
	if (err)
		return refuse(-err, "the configuration space of PCI function %s cannot be read: %s",
			      bdf, strerror(-err));
	msi = has_msi(config, size);
	free(config);
	return msi ? 0 : refuse(EINVAL,
				"PCI function %s has neither MSI nor MSI-X, and INTx cannot be divided; choose another device",
				bdf);
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
	char bdf[24], path[300], device[PATH_MAX];
	int err;

	format_pci(pci, bdf, sizeof(bdf));
	if (pci->domain)
		return refuse(EOPNOTSUPP, "PCI function %s is in PCI segment %u, and a coexisting OS finds those of segment 0 only; choose another",
			      bdf, pci->domain);
	if (owner) {
		snprintf(path, sizeof(path), "PCI function %s", bdf);
		return refuse_owned(path, owner);
	}
	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s", roots->sys, bdf);
	if (!realpath(path, device))
		return refuse(ENODEV, "PCI function %s does not exist; see /sys/bus/pci/devices", bdf);
	err = check_kind(bdf, device);
	return err ? err : check_in_use(roots, bdf, device);
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
