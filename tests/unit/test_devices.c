// SPDX-License-Identifier: GPL-2.0
/* PCI functions and interrupt pins: what the running OS has in use. */
#include <errno.h>
#include <string.h>
#include "tree.h"

static struct tree t;
static struct os_list oses;
static uint32_t id;			/* whom it is for */

#define VDB "sys/devices/pci0000:00/0000:00:04.0/virtio2/block/vdb"
#define NVME "sys/devices/pci0000:00/0000:00:09.0/nvme/nvme0"
#define NVME_SUBSYSTEM "sys/devices/virtual/nvme-subsystem/nvme-subsys0"
#define ETH1 "sys/devices/pci0000:00/0000:00:05.0/virtio3/net/eth1"

static int setup(void **state)
{
	(void)state;
	tree__create(&t);
	tree__os(&t, 1, "empty", "time-shared", "");
	id = 1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tree__remove(&t);
	return 0;
}

/* A function with the given class and a list of capabilities. */
static void add_pci(const char *bdf, unsigned int class, const uint8_t *capabilities)
{
	uint8_t config[256] = { 0x34, 0x12 }, at = 0x40;
	char path[128], target[128];

	if (*capabilities) {
		config[6] = 0x10;
		config[0x34] = at;
	}
	for (; *capabilities; capabilities++, at += 16) {
		config[at] = *capabilities;
		config[at + 1] = capabilities[1] ? at + 16 : 0;
	}
	snprintf(path, sizeof(path), "sys/devices/pci0000:00/%s/config", bdf);
	tree__bytes(&t, path, config, sizeof(config));
	snprintf(path, sizeof(path), "sys/devices/pci0000:00/%s/class", bdf);
	tree__file(&t, path, "0x%06x\n", class);
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s", bdf);
	snprintf(target, sizeof(target), "sys/devices/pci0000:00/%s", bdf);
	tree__link(&t, path, target);
}

static const uint8_t msix[] = { 0x09, 0x11, 0 }, msi[] = { 0x05, 0 }, intx[] = { 0x09, 0x01, 0 };

static int check(const char *bdf)
{
	struct twinos_pci pci;
	uint32_t nr;

	assert_int_equal(parse_pci("--twinos-pci", bdf, &pci, &nr), 0);
	assert_int_equal(read_oses(&t.roots, &oses), 0);
	tree__claims();
	return check_pci(&t.roots, &pci, &oses, id);
}

static void add_device(const char *path, const char *class, const char *file, const char *text)
{
	char name[256], target[64];

	snprintf(name, sizeof(name), "%s/%s", path, file);
	tree__file(&t, name, "%s\n", text);
	snprintf(name, sizeof(name), "%s/subsystem", path);
	snprintf(target, sizeof(target), "sys/class/%s", class);
	tree__link(&t, name, target);
}

static void add_disk(void)
{
	add_pci("0000:00:04.0", 0x010000, msix);
	add_device(VDB, "block", "dev", "254:16");
	add_device(VDB "/vdb1", "block", "dev", "254:17");
	tree__file(&t, VDB "/vdb1/partition", "1\n");
	tree__folder(&t, VDB "/holders");
	tree__folder(&t, VDB "/vdb1/holders");
	tree__file(&t, "proc/self/mountinfo", "22 1 0:21 / /proc rw - proc proc rw\n");
	tree__file(&t, "proc/swaps", "Filename Type Size Used Priority\n");
}

static void kinds(void **state)
{
	(void)state;
	add_pci("0000:00:04.0", 0x010000, msix);
	add_pci("0000:00:05.0", 0x020000, msi);
	add_pci("0000:00:06.0", 0x020000, intx);
	add_pci("0000:00:07.0", 0x020000, (const uint8_t *)"");
	add_pci("0000:00:08.0", 0x060400, msi);
	add_pci("0000:00:1f.0", 0x060100, msi);
	assert_int_equal(check("00:04.0"), 0);
	assert_int_equal(check("00:05.0"), 0);
	assert_refused(check("00:06.0"), "PCI function 0000:00:06.0 has neither MSI nor MSI-X");
	assert_refused(check("00:07.0"), "neither MSI nor MSI-X");
	assert_refused(check("00:08.0"), "is a bridge");
	assert_refused(check("00:1f.0"), "is a bridge");
	assert_refused(check("07:00.0"), "PCI function 0000:07:00.0 does not exist");
	add_pci("0001:00:04.0", 0x010000, msix);
	assert_refused(check("0001:00:04.0"),
		       "PCI function 0001:00:04.0 is in PCI segment 1, and a coexisting OS finds those of segment 0 only");
}

/* A list that goes round and round, and one that points nowhere. */
static void damaged_capabilities(void **state)
{
	uint8_t config[256] = { 0 };

	(void)state;
	add_pci("0000:00:04.0", 0x010000, intx);
	config[6] = 0x10;
	config[0x34] = 0x40;
	config[0x40] = 1;
	config[0x41] = 0x40;
	tree__bytes(&t, "sys/devices/pci0000:00/0000:00:04.0/config", config, 256);
	assert_refused(check("00:04.0"), "neither MSI nor MSI-X");
	config[0x41] = 0xfc;
	config[0xfd] = 0xff;
	tree__bytes(&t, "sys/devices/pci0000:00/0000:00:04.0/config", config, 256);
	assert_refused(check("00:04.0"), "neither MSI nor MSI-X");
	tree__bytes(&t, "sys/devices/pci0000:00/0000:00:04.0/config", config, 20);
	assert_refused(check("00:04.0"), "neither MSI nor MSI-X");
	tree__bytes(&t, "sys/devices/pci0000:00/0000:00:04.0/config", config, 0);
	assert_refused(check("00:04.0"), "neither MSI nor MSI-X");
}

/* What one OS was given another may take over when it has ended. */
static void held_already(void **state)
{
	(void)state;
	add_pci("0000:00:04.0", 0x010000, msix);
	add_pci("0000:00:05.0", 0x020000, msix);
	tree__os(&t, 1, "loaded", "time-shared",
		 "window 0x100000-0xfffffff\npci 0000:00:04.0\npci 0000:00:05.0\nirq 3\n");
	assert_int_equal(check("00:04.0"), 0);
	assert_int_equal(check("00:05.0"), 0);
	assert_refused(check("00:06.0"), "does not exist");
	id = 2;
	assert_refused(check("00:04.0"),
		       "PCI function 0000:00:04.0 belongs to coexisting OS 1 (loaded); choose another, or unload it (twinos unload 1) first");
	tree__os(&t, 1, "running", "dedicated", "pci 0000:00:04.0\n");
	assert_refused(check("00:04.0"),
		       "belongs to coexisting OS 1 (running); choose another, or stop it (twinos stop 1) first");
	tree__os(&t, 1, "crashed", "dedicated", "pci 0000:00:04.0\n");
	assert_int_equal(check("00:04.0"), 0);
}

/* The kernel says whether; who is found where it can be. */
static void disks(void **state)
{
	(void)state;
	add_disk();
	assert_int_equal(check("00:04.0"), 0);
	assert_int_equal(tree__claims(), 1);		/* of the disk, with all its partitions */
	tree__claim(254, 16, -EBUSY);
	assert_refused(check("00:04.0"),
		       "PCI function 0000:00:04.0 (vdb) is in use: the kernel has claimed it, for swap or for a file system that is detached or spans several devices; release it first");
	tree__file(&t, "proc/self/mountinfo",
		   "22 1 0:21 / /proc rw - proc proc rw\n"
		   "30 1 254:16 / /mnt/disk rw,relatime shared:1 - ext4 /dev/vdb rw\n");
	assert_refused(check("00:04.0"),
		       "0000:00:04.0 (vdb) is in use: it is mounted on /mnt/disk; umount it first");
	tree__file(&t, "proc/self/mountinfo",
		   "30 1 254:17 / /mnt rw - ext4 /dev/root rw\n");
	assert_refused(check("00:04.0"), "(vdb1) is in use: it is mounted on /mnt");
	/* btrfs has a device number of its own. */
	tree__file(&t, "proc/self/mountinfo", "30 1 0:33 / /data rw - btrfs /dev/vdb1 rw\n");
	assert_refused(check("00:04.0"), "(vdb1) is in use: it is mounted on /data");
	/* Somebody else's, and one that is not claimed whatever the files say. */
	tree__file(&t, "proc/self/mountinfo", "30 1 254:160 / /data rw - ext4 /dev/vdb10 rw\n");
	assert_refused(check("00:04.0"), "(vdb) is in use: the kernel has claimed it");
	tree__claim(254, 16, 0);
	assert_int_equal(check("00:04.0"), 0);
}

static void other_namespaces(void **state)
{
	(void)state;
	add_disk();
	tree__claim(254, 16, -EBUSY);
	tree__file(&t, "proc/17/mountinfo", "22 1 0:21 / /proc rw - proc proc rw\n");
	tree__file(&t, "proc/234/mountinfo", "30 1 254:17 / /srv rw - ext4 /dev/vdb1 rw\n");
	tree__file(&t, "proc/234/comm", "containerd\n");
	assert_refused(check("00:04.0"),
		       "0000:00:04.0 (vdb1) is in use: it is mounted on /srv in another mount namespace, that of process 234 (containerd); umount it there first");
}

static void swap_space(void **state)
{
	(void)state;
	add_disk();
	tree__claim(254, 16, -EBUSY);
	tree__file(&t, "proc/swaps",
		   "Filename Type Size Used Priority\n/dev/vdb1 partition 1 0 -2\n");
	assert_refused(check("00:04.0"), "(vdb1) is in use: it is swap space; swapoff /dev/vdb1");
}

static void holders(void **state)
{
	(void)state;
	add_disk();
	tree__claim(254, 16, -EBUSY);
	tree__folder(&t, VDB "/vdb1/holders/dm-0");
	assert_refused(check("00:04.0"), "(vdb1) is in use: dm-0 is built on it");
}

/* What cannot be known is refused. */
static void unknown(void **state)
{
	char path[256];

	(void)state;
	add_disk();
	tree__claim(254, 16, -EPERM);
	assert_refused(check("00:04.0"),
		       "whether PCI function 0000:00:04.0 (vdb) is in use cannot be known: it cannot be claimed: Operation not permitted");
	tree__claim(254, 16, 0);
	tree__file(&t, VDB "/dev", "rubbish\n");
	assert_refused(check("00:04.0"), "cannot be known");
	snprintf(path, sizeof(path), "%s/" VDB "/dev", t.root);
	assert_int_equal(remove(path), 0);
	tree__folder(&t, VDB "/dev");
	assert_refused(check("00:04.0"), "block/vdb cannot be read: Is a directory");
	assert_int_equal(remove(path), 0);
	tree__file(&t, VDB "/dev", "254:16\n");
	assert_int_equal(check("00:04.0"), 0);
	tree__file(&t, "sys/class/nvme-subsystem", "\n");
	assert_refused(check("00:04.0"), "class/nvme-subsystem cannot be read: Not a directory");
	snprintf(path, sizeof(path), "%s/sys/devices/pci0000:00/0000:00:04.0/config", t.root);
	assert_int_equal(remove(path), 0);
	assert_refused(check("00:04.0"), "the configuration space of PCI function 0000:00:04.0 cannot be read");
}

/* The function has the ways to a disk; the disk itself is elsewhere. */
static void multipath(void **state)
{
	(void)state;
	add_pci("0000:00:09.0", 0x010802, msix);
	add_pci("0000:00:0a.0", 0x010802, msix);
	add_device(NVME, "nvme", "dev", "240:0");
	add_device(NVME "/nvme0c0n1", "block", "hidden", "1");
	assert_refused(check("00:09.0"), "whether PCI function 0000:00:09.0 is in use cannot be known");
	add_device(NVME_SUBSYSTEM "/nvme0n1", "block", "dev", "259:0");
	tree__link(&t, NVME_SUBSYSTEM "/nvme0", NVME);
	tree__link(&t, "sys/class/nvme-subsystem/nvme-subsys0", NVME_SUBSYSTEM);
	assert_int_equal(check("00:09.0"), 0);
	assert_int_equal(tree__claims(), 1);
	tree__claim(259, 0, -EBUSY);
	tree__file(&t, "proc/self/mountinfo", "30 1 259:0 / / rw - ext4 /dev/root rw\n");
	assert_refused(check("00:09.0"), "0000:00:09.0 (nvme0n1) is in use: it is mounted on /");
	assert_int_equal(check("00:0a.0"), 0);
	assert_int_equal(tree__claims(), 0);
}

static void interfaces(void **state)
{
	(void)state;
	add_pci("0000:00:05.0", 0x020000, msix);
	add_device(ETH1, "net", "flags", "0x1002");
	assert_int_equal(check("00:05.0"), 0);
	tree__file(&t, ETH1 "/flags", "0x1003\n");
	assert_refused(check("00:05.0"),
		       "0000:00:05.0 (eth1) is in use: the interface is up; ip link set eth1 down first");
	/* Somebody else's interface: 00:05.0 is no prefix of it. */
	add_pci("0000:00:05.1", 0x020000, msix);
	assert_int_equal(check("00:05.1"), 0);
}

/* The folder counts interfaces that it does not show. */
static void interfaces_elsewhere(void **state)
{
	static const char text[] =
		"PCI function 0000:00:05.0 is in use: an interface of it is in another network namespace";

	(void)state;
	add_pci("0000:00:05.0", 0x020000, msix);
	tree__folder(&t, "sys/devices/pci0000:00/0000:00:05.0/virtio3");
	assert_int_equal(check("00:05.0"), 0);	/* no driver, or one of another kind */
	tree__folder(&t, "sys/devices/pci0000:00/0000:00:05.0/virtio3/net");
	assert_refused(check("00:05.0"), text);
	add_device(ETH1, "net", "flags", "0x1002");
	assert_int_equal(check("00:05.0"), 0);
	tree__folder(&t, "sys/devices/pci0000:00/0000:00:05.0/virtio3/net/.hidden");
	assert_refused(check("00:05.0"), text);
}

static void pins(void **state)
{
	(void)state;
	tree__machine(&t, "q35-twinos");
	assert_int_equal(read_oses(&t.roots, &oses), 0);
	assert_int_equal(check_irq(&t.roots, 3, &oses, id), 0);
	assert_int_equal(check_irq(&t.roots, 11, &oses, id), 0);
	assert_refused(check_irq(&t.roots, 4, &oses, id), "interrupt pin 4 is in use by the running OS (ttyS0)");
	assert_refused(check_irq(&t.roots, 9, &oses, id), "(acpi)");
	/* The timer is interrupt 0 on pin 2. */
	assert_refused(check_irq(&t.roots, 2, &oses, id), "(timer)");
	tree__file(&t, "proc/interrupts",
		   "           CPU0       CPU1\n"
		   "  3:          0          7   IO-APIC   3-edge      twinos\n"
		   "  5:          0          7   IO-APIC   5-fasteoi\n"
		   " 16:          0          7   IO-APIC  16-fasteoi   ehci_hcd:usb1, i801_smbus\n");
	assert_int_equal(check_irq(&t.roots, 3, &oses, id), 0);
	assert_int_equal(check_irq(&t.roots, 5, &oses, id), 0);
	assert_int_equal(check_irq(&t.roots, 6, &oses, id), 0);
	assert_refused(check_irq(&t.roots, 16, &oses, id), "(ehci_hcd:usb1, i801_smbus)");
	/* Another OS's is named, whatever handler it has. */
	tree__os(&t, 4, "starting", "dedicated", "irq 3\nirq 7\n");
	assert_int_equal(read_oses(&t.roots, &oses), 0);
	assert_refused(check_irq(&t.roots, 3, &oses, id),
		       "interrupt pin 3 belongs to coexisting OS 4 (starting)");
	assert_refused(check_irq(&t.roots, 7, &oses, id), "interrupt pin 7 belongs to");
	assert_int_equal(check_irq(&t.roots, 5, &oses, id), 0);
	assert_int_equal(check_irq(&t.roots, 3, &oses, 4), 0);
}

/* A line per interrupt, with a number for each CPU, wherever it is cut into pieces. */
static void many_cpus(void **state)
{
	char text[8192], *p;
	unsigned int i, nr;

	(void)state;
	assert_int_equal(read_oses(&t.roots, &oses), 0);
	for (nr = 360; nr < 380; nr++) {
		p = text + sprintf(text, "  3:");
		for (i = 0; i < nr; i++)
			p += sprintf(p, " %10u", i);
		sprintf(p, "   IO-APIC   3-edge      ttyS1\n  5: 0   IO-APIC   5-edge\n");
		tree__file(&t, "proc/interrupts", "%s", text);
		assert_refused(check_irq(&t.roots, 3, &oses, id), "in use by the running OS (ttyS1)");
		assert_int_equal(check_irq(&t.roots, 5, &oses, id), 0);
	}
}

/* What another OS has is not nothing because it cannot be read. */
static void unreadable_share(void **state)
{
	(void)state;
	tree__file(&t, "sys/kernel/twinos/os2/state", "running\n");
	tree__file(&t, "sys/kernel/twinos/os2/mode", "dedicated\n");
	tree__folder(&t, "sys/kernel/twinos/os3/state");
	assert_refused(read_oses(&t.roots, &oses), "os3/state cannot be read: Is a directory");
	tree__folder(&t, "sys/kernel/twinos/os2/share");
	assert_refused(read_oses(&t.roots, &oses), "os2/share cannot be read: Is a directory");
}

static void unreadable_interrupts(void **state)
{
	(void)state;
	assert_int_equal(read_oses(&t.roots, &oses), 0);
	assert_refused(check_irq(&t.roots, 3, &oses, id), "/proc/interrupts cannot be read: No such file or directory; is /proc mounted?");
	/* It can be opened, and reading it fails. */
	tree__folder(&t, "proc/interrupts");
	assert_refused(check_irq(&t.roots, 3, &oses, id), "/proc/interrupts cannot be read: Is a dir");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(kinds), TEST(damaged_capabilities), TEST(held_already), TEST(disks),
		TEST(other_namespaces), TEST(swap_space), TEST(holders), TEST(unknown),
		TEST(multipath), TEST(interfaces), TEST(interfaces_elsewhere), TEST(pins),
		TEST(many_cpus), TEST(unreadable_share), TEST(unreadable_interrupts),
	};

	return cmocka_run_group_tests_name("devices", tests, NULL, NULL);
}
