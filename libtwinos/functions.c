// SPDX-License-Identifier: GPL-2.0
/*
 * PCI functions that could be given to a coexisting OS, and what goes with one that is: others that
 * depend on it and stay behind, its NUMA node, and how far its DMA reaches.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "libtwinos.h"

static void function_folder(const struct roots *roots, const struct twinos_pci *pci, char *path,
			    size_t size)
{
	char bdf[24];

	format_function(pci, bdf, sizeof(bdf));
	snprintf(path, size, "%s/bus/pci/devices/%s", roots->sys, bdf);
}

static bool is_function(const char *name, struct twinos_pci *pci)
{
	uint32_t nr;

	return strlen(name) == 12 && name[4] == ':' && name[7] == ':' && name[10] == '.' &&
	       !parse_pci("", name, pci, &nr);
}

/** function_node() - the NUMA node of a function; -1 if it is not told */
int function_node(const struct roots *roots, const struct twinos_pci *pci)
{
	char path[300], text[32];

	function_folder(roots, pci, path, sizeof(path));
	return read_text(path, "numa_node", text, sizeof(text)) ? -1 : atoi(text);
}

static unsigned int mask_bits(const char *device, const char *file, unsigned int unknown)
{
	char text[32];

	return read_text(device, file, text, sizeof(text)) ? unknown : strtoul(text, NULL, 10);
}

/**
 * function_reach() - how many bits of an address its DMA has, as its driver has said
 *
 * Buffers and descriptors may have different limits. Without a driver it is 32, which every
 * function has; NVMe by its definition has 64.
 */
unsigned int function_reach(const struct roots *roots, const struct twinos_pci *pci)
{
	unsigned int streaming, coherent;
	char path[300], text[32];

	function_folder(roots, pci, path, sizeof(path));
	if (!read_text(path, "class", text, sizeof(text)) && !strcmp(text, "0x010802"))
		return 64;
	streaming = mask_bits(path, "dma_mask_bits", 32);
	coherent = mask_bits(path, "consistent_dma_mask_bits", streaming);
	return coherent < streaming ? coherent : streaming;
}

/** function_virtual() - is it a virtual function (SR-IOV), which a coexisting OS does not find? */
bool function_virtual(const struct roots *roots, const struct twinos_pci *pci)
{
	char path[300], link[330];

	function_folder(roots, pci, path, sizeof(path));
	snprintf(link, sizeof(link), "%s/physfn", path);
	return !access(link, F_OK);
}

/**
 * function_driver() - the name of its driver, "" if it has none
 * @built_in: it is in the kernel itself, and so has the function before udev comes
 */
void function_driver(const struct roots *roots, const struct twinos_pci *pci, char *name,
		     size_t size, bool *built_in)
{
	char path[300], link[330], target[PATH_MAX], mark[PATH_MAX + 30];
	ssize_t n;

	*name = 0;
	*built_in = false;
	function_folder(roots, pci, path, sizeof(path));
	snprintf(link, sizeof(link), "%s/driver", path);
	n = readlink(link, target, sizeof(target) - 1);
	if (n < 0)
		return;
	target[n] = 0;
	snprintf(name, size, "%s", strrchr(target, '/') ? strrchr(target, '/') + 1 : target);
	snprintf(mark, sizeof(mark), "%s/module/initstate", link);
	*built_in = access(mark, F_OK);
}

static bool in_share(const struct share_options *share, const struct twinos_pci *pci)
{
	uint32_t i;

	for (i = 0; i < share->nr_pci; i++)
		if (!memcmp(&share->pci[i], pci, sizeof(*pci)))
			return true;
	return false;
}

static bool is_bridge(const struct roots *roots, const struct twinos_pci *pci)
{
	char path[300], text[32];

	function_folder(roots, pci, path, sizeof(path));
	return !read_text(path, "class", text, sizeof(text)) && !strncmp(text, "0x06", 4);
}

/* The functions in a folder that are not in the share, "0000:03:00.1, …"; "" for none. */
static void others_in(const struct roots *roots, const char *folder,
		      const struct share_options *share, const struct twinos_pci *same_device,
		      char *text, size_t size)
{
	struct dirent **entries;
	int i, nr = scandir(folder, &entries, NULL, alphasort);
	struct twinos_pci pci;
	size_t used = 0;

	*text = 0;
	for (i = 0; i < nr; i++) {
		if (is_function(entries[i]->d_name, &pci) && !in_share(share, &pci) &&
		    !is_bridge(roots, &pci) && used < size &&
		    (!same_device || (pci.domain == same_device->domain &&
				      pci.bus == same_device->bus &&
				      pci.devfn >> 3 == same_device->devfn >> 3)))
			used += snprintf(text + used, size - used, "%s%s", used ? ", " : "",
					 entries[i]->d_name);
		free(entries[i]);
	}
	if (nr >= 0)
		free(entries);
}

/**
 * function_company() - who depends on a function and stays with the leading OS
 * @share: what is given away together
 * @text: a line about it, "" if there is nobody
 */
void function_company(const struct roots *roots, const struct twinos_pci *pci,
		      const struct share_options *share, char *text, size_t size)
{
	char path[300], folder[PATH_MAX], group[340], others[400], bdf[24];
	struct twinos_pci parent;

	*text = 0;
	format_function(pci, bdf, sizeof(bdf));
	function_folder(roots, pci, path, sizeof(path));
	if (!realpath(path, folder))
		return;
	*strrchr(folder, '/') = 0;
	others_in(roots, folder, share, pci, others, sizeof(others));
	if (*others) {
		snprintf(text, size, "PCI function %s: %s of the same device stay with the leading OS; give them to one OS if they depend on each other",
			 bdf, others);
		return;
	}
	snprintf(group, sizeof(group), "%s/iommu_group/devices", path);
	others_in(roots, group, share, NULL, others, sizeof(others));
	if (*others) {
		snprintf(text, size, "PCI function %s: %s of the same IOMMU group must be given, too: with an IOMMU in use a group is given whole",
			 bdf, others);
		return;
	}
	if (!is_function(strrchr(folder, '/') + 1, &parent))
		return;
	others_in(roots, folder, share, NULL, others, sizeof(others));
	if (*others)
		snprintf(text, size, "PCI function %s: %s behind the same bridge %s stay with the leading OS; a reset of that bus would hit them, too, and is not done then",
			 bdf, others, strrchr(folder, '/') + 1);
}

static const struct {
	const char *class;		/* how it begins */
	const char *what;
} kinds[] = {
	{ "0x0106", "SATA controller" }, { "0x0107", "SAS controller" },
	{ "0x0108", "NVMe disk" }, { "0x01", "disk controller" },
	{ "0x0200", "Ethernet card" }, { "0x0280", "network card" }, { "0x02", "network card" },
	{ "0x0700", "serial port" }, { "0x07", "communication device" },
	{ "0x0c03", "USB controller" },
};

/** function_kind() - what it is, "Ethernet card"; "" if it is none that systems are built of */
const char *function_kind(const struct roots *roots, const struct twinos_pci *pci)
{
	char path[300], class[32];
	unsigned int i;

	function_folder(roots, pci, path, sizeof(path));
	if (read_text(path, "class", class, sizeof(class)))
		return "";
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strncmp(class, kinds[i].class, strlen(kinds[i].class)))
			return kinds[i].what;
	return "";
}

/* The first of a class below the function, " eth1"; "" if there is none or it cannot be read. */
static void first_below(const char *folder, const char *what, char *name, size_t size)
{
	char path[400];
	DIR *dir;
	struct dirent *entry;

	*name = 0;
	snprintf(path, sizeof(path), "%s/%s", folder, what);
	dir = opendir(path);
	while (dir && !*name && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			snprintf(name, size, " %s", entry->d_name);
	if (dir)
		closedir(dir);
}

/**
 * list_functions() - those that could be given to a coexisting OS
 * @taken: by other configurations
 * @list: a line for each is added, which begins with its name
 *
 * Disks, networks, serial ports, USB: devices that a system is built of. Not what the
 * machine itself needs, nor a screen, of which nobody knows whether somebody looks at it.
 */
int list_functions(const struct roots *roots, const struct confs *taken,
		   const struct os_list *oses, struct texts *list)
{
	char folder[300], device[330], driver[64], name[64];
	struct dirent **entries;
	struct twinos_pci pci;
	const char *kind;
	bool built_in;
	unsigned int j;
	int i, nr, err = 0;

	snprintf(folder, sizeof(folder), "%s/bus/pci/devices", roots->sys);
	nr = scandir(folder, &entries, NULL, alphasort);
	for (i = 0; i < nr; i++) {
		bool given = !is_function(entries[i]->d_name, &pci);

		snprintf(device, sizeof(device), "%s/%s", folder, entries[i]->d_name);
		free(entries[i]);
		for (j = 0; j < taken->nr && !given; j++)
			given = in_share(&taken->conf[j].share, &pci);
		if (err || given)
			continue;
		kind = function_kind(roots, &pci);
		if (!*kind || function_virtual(roots, &pci) || check_pci(roots, &pci, oses, 0))
			continue;
		function_driver(roots, &pci, driver, sizeof(driver), &built_in);
		first_below(device, "net", name, sizeof(name));
		err = add_text(list, "%s  %s%s%s%s", strrchr(device, '/') + 1, kind,
			       *driver ? ", " : "", driver, name);
	}
	if (nr >= 0)
		free(entries);
	return err;
}
