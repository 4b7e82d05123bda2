// SPDX-License-Identifier: GPL-2.0
/* All that is wrong with configurations: each finding, its place, and whether a start would go. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "image.h"

static struct tree t;
static char shown[32768];		/* findings as the command prints them, without t.root/ */
static struct texts checked;
static struct findings findings;

#define WEB "etc/twinos/web.conf"
#define DB "etc/twinos/db.conf"
#define VERSION "6.12.117-twinos"

/* What a good configuration says; a test replaces one of the keys. */
enum key { KERNEL, INITRD, APPEND, MEMORY, LOW, CPUS, PCI, IRQ, KEYS };
static const char *const good[KEYS] = {
	"", "", "root=LABEL=web", "1G@0x100000000", "64K@0x80000", "1,5", "0000:00:04.0", "3",
};
static const char *const names[KEYS] = {
	"kernel", "initrd", "append", "memory", "low", "cpus", "pci", "irq",
};

/* The line of a key in what this writes. */
#define LINE(key) ((key) < MEMORY ? 2 + (key) : 3 + (key))

/* NULL for a value leaves the key out, but keeps its line. */
static void conf_with(const char *path, const char *const *values)
{
	char text[4096] = "", *p = text;
	int i;

	for (i = 0; i < KEYS; i++) {
		if (i == KERNEL || i == MEMORY)
			p += sprintf(p, "%s\n", i == KERNEL ? "[boot]" : "[share]");
		if (!values[i])
			p += sprintf(p, "\n");
		else if (i <= INITRD && !*values[i])
			p += sprintf(p, "%s = %s/boot/%s-" VERSION "\n", names[i], t.root,
				     i == KERNEL ? "vmlinuz" : "initrd.img");
		else
			p += sprintf(p, "%s = %s\n", names[i], values[i]);
	}
	tree__file(&t, path, "%s", text);
}

static void web_with(enum key key, const char *value)
{
	const char *values[KEYS];

	memcpy(values, good, sizeof(good));
	values[key] = value;
	conf_with(WEB, values);
}

static void add_pci(const char *bdf)
{
	uint8_t config[256] = { 0x34, 0x12, [6] = 0x10, [0x34] = 0x40, [0x40] = 0x11 };
	char path[200], target[100];

	snprintf(target, sizeof(target), "sys/devices/pci0000:00/%s", bdf);
	snprintf(path, sizeof(path), "%s/config", target);
	tree__bytes(&t, path, config, sizeof(config));
	snprintf(path, sizeof(path), "%s/class", target);
	tree__file(&t, path, "0x020000\n");
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s", bdf);
	tree__link(&t, path, target);
}

static uint8_t *kernel;
static size_t kernel_size;

static void make_kernel(void)
{
	kernel = image__make(GZIP, &kernel_size);
	/* What it says of itself, at an offset from the second sector. */
	*(uint16_t *)(kernel + 0x20e) = 0x200;
	strcpy((char *)kernel + 0x400, VERSION " (user@host) #1 SMP");
	tree__bytes(&t, "boot/vmlinuz-" VERSION, kernel, kernel_size);
}

/* One file of a cpio archive, and its end. */
static size_t cpio(char *to, const char *name)
{
	size_t n;

	n = sprintf(to, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08zx%08x%s", 1, 0100644, 0,
		    0, 1, 0, 4, 0, 0, 0, 0, strlen(name) + 1, 0, name) + 1;
	while (n & 3)
		to[n++] = 0;
	memcpy(to + n, "data", 4);
	n += 4;
	n += sprintf(to + n, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08xTRAILER!!!", 0, 0,
		     0, 0, 1, 0, 0, 0, 0, 0, 0, 11, 0) + 1;
	/* As cpio itself ends an archive. */
	while (n & 511)
		to[n++] = 0;
	return n;
}

/* Microcode, as Debian's have it in front, and a packed archive with a module of this version. */
static void make_initrd(const char *version, bool early, enum packing packing)
{
	char name[200], archive[2000], file[6000];
	size_t size, used = early ? cpio(file, "kernel/x86/microcode/GenuineIntel.bin") : 0;
	uint8_t *packed;

	snprintf(name, sizeof(name), "usr/lib/modules/%s/kernel/drivers/net/e1000e.ko", version);
	size = cpio(archive, name);
	size = image__pack(packing, archive, size, &packed);
	if (packing != GZIP)
		size -= 4;		/* a kernel has its size there */
	memcpy(file + used, packed, size);
	free(packed);
	tree__bytes(&t, "boot/initrd.img-" VERSION, file, used + size);
}

static void update_boot_files(void)
{
	struct plan plan;

	assert_int_equal(make_update(&t.roots, &plan), 0);
	assert_int_equal(write_files(plan.files, plan.nr_files), 0);
	free_plan(&plan);
}

/* A laptop that was booted for it. */
static int setup(void **state)
{
	(void)state;
	tree__create(&t);
	tree__machine(&t, "laptop");
	tree__hardware(&t, "laptop");
	tree__file(&t, "proc/iomem",
		   "00001000-00057fff : System RAM\n00059000-0007ffff : System RAM\n"
		   "00080000-0008ffff : TwinOS window\n  00080000-0008ffff : Reserved\n"
		   "00090000-0009efff : System RAM\n00100000-3fffffff : System RAM\n"
		   "100000000-13fffffff : TwinOS window\n  100000000-13fffffff : Reserved\n"
		   "140000000-47fffffff : System RAM\n"
		   "  1c2a00000-1c3a00f2a : Kernel code\n  1c50f6000-1c55fffff : Kernel bss\n");
	tree__file(&t, "proc/cmdline", "root=/dev/sda1 twinos=1G@0x100000000,low=64K@0x80000\n");
	tree__file(&t, "sys/kernel/twinos/windows", "0x100000000-0x13fffffff low 0x80000-0x8ffff\n");
	make_kernel();
	make_initrd(VERSION, true, GZIP);
	add_pci("0000:00:04.0");
	conf_with(WEB, good);
	update_boot_files();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(kernel);
	free_findings(&findings);
	free_texts(&checked);
	tree__remove(&t);
	return 0;
}

static int look(const char *const *which, unsigned int nr)
{
	static const char *const levels[] = { "note", "warning", "error" };
	const struct check_request request = {
		.names = which, .nr = nr, .purgatory = twinos_purgatory,
		.purgatory_size = twinos_purgatory_end - twinos_purgatory,
	};
	char *p = shown, text[4096], *from, *at;
	unsigned int i;
	int err;

	free_findings(&findings);
	free_texts(&checked);
	err = check_configurations(&t.roots, &request, &checked, &findings);
	for (i = 0; i < findings.nr; i++) {
		const struct finding *f = &findings.finding[i];

		snprintf(text, sizeof(text), "%s:%u: %s: %s", f->file ?: "", f->line,
			 levels[f->level], f->text);
		/* Without the folder that the test made. */
		for (from = text; (at = strstr(from, t.root)); from = at)
			memmove(at, at + strlen(t.root) + 1, strlen(at + strlen(t.root) + 1) + 1);
		p += sprintf(p, "%s\n", text);
		assert_in_range(p - shown, 0, sizeof(shown) - sizeof(text));
	}
	*p = 0;
	return err;
}

static void look_at_all(void)
{
	if (look(NULL, 0))
		fail_msg("refused: %s", refusal());
}

/* These findings and no others; and whether web can be started. */
static void finds(bool starts, const char *expected)
{
	look_at_all();
	if (strcmp(shown, expected))
		fail_msg("expected:\n%sfound:\n%s", expected, shown);
	assert_int_equal(can_start(&findings, "web"), starts);
}

/* This among others, as an error if it must not start. */
static void finds_among(bool starts, const char *place, unsigned int line, const char *expected)
{
	char text[1000];

	look_at_all();
	snprintf(text, sizeof(text), "%s:%u: %s", place, line, expected);
	if (!strstr(shown, text))
		fail_msg("expected: %s\nfound:\n%s", text, shown);
	assert_int_equal(can_start(&findings, "web"), starts);
}

static void nothing(void **state)
{
	(void)state;
	finds(true, "");
	assert_int_equal(checked.nr, 1);
	assert_string_equal(checked.text[0], "web");
	/* What is kexec's is not read. */
	tree__file(&t, "twinos.conf", "rubbish\n");
	finds(true, "");
}

static void none(void **state)
{
	(void)state;
	assert_return_code(unlink(strcat(strcpy((char[200]){ 0 }, t.root), "/" WEB)), 0);
	assert_refused(look(NULL, 0), "there is no configuration in ");
	assert_int_equal(look((const char *[]){ "web" }, 1), 0);
	assert_non_null(strstr(shown, ":0: error: there is no etc/twinos/web.conf; write it"));
	assert_false(can_start(&findings, "web"));
}

/* All at once, in the file's order. */
static void several(void **state)
{
	(void)state;
	tree__file(&t, WEB,
		   "[boot]\nkernel = /none\ninitrd = /none\nroots = x\n[share]\nmemory = 1G@0x140000000\n"
		   "cpus = 0,9\npci = 0000:00:05.0\nirq = 12\n[run]\nslice = 5\n");
	finds(false,
	      WEB ":4: error: there is no key roots in [boot]; known are kernel, initrd, root, append\n"
	      WEB ":11: error: slice=5: give a number of microseconds from 100 to 1000000\n"
	      WEB ":3: error: /none cannot be read: No such file or directory\n"
	      WEB ":2: error: /none cannot be read: No such file or directory\n"
	      WEB ":6: error: the running kernel was booted without twinos=1G@0x140000000 (the window 0x140000000-0x17fffffff (System RAM at 0x140000000) is in use by the running OS; boot it with twinos=1024M@0x140000000); run twinos plan --update and update-grub, and reboot\n"
	      WEB ":7: error: CPU 0 stays with the running OS: it is the machine's boot processor, which an INIT would restart in its firmware; choose others\n"
	      WEB ":7: error: CPU 9 does not exist (there are 0-7); choose others\n"
	      WEB ":7: error: 2 CPUs need a low slice to start from; say low = 64K@ADDRESS, or give one CPU\n"
	      WEB ":8: error: PCI function 0000:00:05.0 does not exist; see /sys/bus/pci/devices\n"
	      WEB ":9: error: interrupt pin 12 is in use by the running OS (i8042); release it there or choose another\n");
}

/* ---- kernel and initrd ---- */

static void kernels(void **state)
{
	static struct elf_image elf;
	uint8_t *payload, *file;
	size_t size;

	(void)state;
	tree__file(&t, "boot/vmlinuz-" VERSION, "no kernel");
	finds_among(false, WEB, LINE(KERNEL), "error: boot/vmlinuz-" VERSION ": too short for a bzImage");
	tree__bytes(&t, "boot/vmlinuz-" VERSION, kernel, kernel_size);
	/* Damaged where it is packed. */
	memset(kernel + kernel_size - 700, 0xff, 100);
	tree__bytes(&t, "boot/vmlinuz-" VERSION, kernel, kernel_size);
	finds_among(false, WEB, LINE(KERNEL), "error: boot/vmlinuz-" VERSION ": corrupt or truncated");
	/* Of another interface. */
	image__elf(&elf);
	elf.note.version++;
	size = image__pack(GZIP, &elf, sizeof(elf), &payload);
	file = image__bzimage(payload, size, &size);
	tree__bytes(&t, "boot/vmlinuz-" VERSION, file, size);
	free(payload);
	free(file);
	finds_among(false, WEB, LINE(KERNEL), "error: boot/vmlinuz-" VERSION);
	assert_non_null(strstr(shown, "of the TwinOS interface"));
	web_with(KERNEL, NULL);
	finds_among(false, WEB, 0, "error: the key kernel is missing");
	web_with(KERNEL, "/tmp");
	finds_among(false, WEB, LINE(KERNEL), "error: /tmp cannot be read: Is a directory");
}

static void initrds(void **state)
{
	(void)state;
	tree__file(&t, "boot/initrd.img-" VERSION, "%s", "");
	finds_among(false, WEB, LINE(INITRD), "error: the initrd boot/initrd.img-" VERSION " is empty");
	web_with(INITRD, NULL);
	finds(true, "");
	web_with(INITRD, "/none");
	finds_among(false, WEB, LINE(INITRD), "error: /none cannot be read");
	web_with(INITRD, "");
	/* More than the window has. */
	truncate(strcat(strcpy((char[200]){ 0 }, t.root), "/boot/initrd.img-" VERSION), 70 << 20);
	web_with(MEMORY, "64M@0x100000000");
	finds_among(false, WEB, LINE(MEMORY), "error: the initrd of 71680 KiB does not fit");
}

static void modules(void **state)
{
	static const char wrong[] = "warning: the initrd has modules of 6.1.0-37, and none of the kernel, which is " VERSION;
	static const enum packing packings[] = { GZIP, XZ, BZIP2 };
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(packings) / sizeof(packings[0]); i++) {
		make_initrd(VERSION, i, packings[i]);
		finds(true, "");
		make_initrd("6.1.0-37", i, packings[i]);
		finds_among(true, WEB, LINE(INITRD), wrong);
	}
	/* Without any, those of the machine say whether some were forgotten. */
	tree__file(&t, "boot/initrd.img-" VERSION, "no archive");
	finds(true, "");
	web_with(INITRD, NULL);
	finds(true, "");
	tree__folder(&t, "lib/modules/6.1.0-37");
	tree__file(&t, "lib/modules/6.1.0-37/modules.dep", "x");
	finds(true, WEB ":2: warning: there are no modules of this kernel (" VERSION ") in lib/modules, nor in an initrd; it has only drivers that are built in\n");
	web_with(INITRD, "");
	make_initrd(VERSION, true, GZIP);
	finds(true, "");
	web_with(INITRD, NULL);
	tree__file(&t, "lib/modules/" VERSION "/modules.dep", "x");
	finds(true, "");
}

/* An archive may say anything of its sizes. */
static void damaged_archives(void **state)
{
	char file[2000], other[64];
	size_t size = cpio(file, "lib/modules/1/x"), n;

	(void)state;
	assert_int_equal(find_modules((uint8_t *)file, size, "1", other, sizeof(other)), 1);
	assert_int_equal(find_modules((uint8_t *)file, size, "2", other, sizeof(other)), 0);
	assert_string_equal(other, "1");
	for (n = 0; n < size; n++) {
		char *copy = malloc(n ?: 1);

		memcpy(copy, file, n);
		find_modules((uint8_t *)copy, n, "1", other, sizeof(other));
		free(copy);
	}
	/* A name that does not end where it says. */
	{
		char *copy = malloc(116);

		memcpy(copy, file, 110);
		memcpy(copy + 94, "00000002", 8);
		memcpy(copy + 110, "xxdddd", 6);
		assert_int_equal(find_modules((uint8_t *)copy, 116, "1", other, sizeof(other)), 0);
		free(copy);
	}
	for (n = 6; n < 110; n++) {
		char *copy = malloc(size);

		memcpy(copy, file, size);
		copy[n] = 'f';
		find_modules((uint8_t *)copy, size, "1", other, sizeof(other));
		free(copy);
	}
}

static void command_lines(void **state)
{
	char text[3000] = "root=/dev/sda1 ";

	(void)state;
	web_with(APPEND, "root=LABEL=web console=ttyS0 iommu=pt");
	finds(true, WEB ":4: note: left out of the command line, as it reaches for what is not in the share: console=ttyS0 iommu=pt\n");
	memset(text + strlen(text), 'x', 2100);
	web_with(APPEND, text);
	finds(false, WEB ":4: error: the command line has 2115 characters; this kernel takes at most 2047\n");
	web_with(APPEND, NULL);
	finds(true, "");
}

/* All from the leading OS: no function, no pin, and a number that the start chooses. */
static void network_roots(void **state)
{
	static const char conf[] = "[boot]\nkernel = %s/boot/vmlinuz-" VERSION "\ninitrd = %s/boot/initrd.img-" VERSION
		"\nroot = %s\n[share]\nmemory = 1G@0x100000000\nlow = 64K@0x80000\ncpus = 1,5\n%s";
	char text[3000] = "nfs:/";

	(void)state;
	tree__file(&t, WEB, conf, t.root, t.root, "nfs:/srv/web", "");
	update_boot_files();
	finds(true, WEB ":4: warning: no line of etc/exports exports /srv/web, or a folder above it, by NFS\n");
	tree__file(&t, "etc/exports", "/srv *(rw)\n");
	finds(true, "");
	tree__os(&t, 1, "running", "dedicated", "name db\nwindow 0x300000000-0x30fffffff\ncpu 3\n");
	finds(true, "");
	tree__file(&t, "etc/default/twinos", "NET4=10\n");
	finds(false, WEB ":4: error: etc/default/twinos: NET4=10 is not the first half of an IPv4 address, as in NET4=10.87\n");
	tree__file(&t, "etc/default/twinos", "NET4=10.1\n");
	tree__file(&t, WEB, conf, t.root, t.root, "nbd:web", "");
	finds(true, "");
	tree__file(&t, "etc/nbd-server/config", "[generic]\n");
	finds(true, WEB ":4: warning: there is no section [web] in etc/nbd-server/config, and so no such export\n");
	tree__file(&t, "proc/net/tcp", "\n");
	tree__file(&t, WEB, conf, t.root, t.root, "9p:/srv/web", "");
	finds(true, WEB ":4: warning: no 9P server listens on TCP port 564 of this machine\n");
	tree__file(&t, WEB, conf, t.root, t.root, "9p://192.0.2.1/srv/web", "");
	finds(true, "");
	tree__file(&t, WEB, conf, t.root, t.root, "tape:web", "");
	finds(false, WEB ":4: error: root=tape:web is none of nfs:PATH, nbd:EXPORT and 9p:PATH; what is on a disk of the share belongs into append\n");
	/* Its words count. */
	memset(text + strlen(text), 'x', 2000);
	tree__file(&t, "etc/exports", "/ *(rw)\n");
	tree__file(&t, WEB, conf, t.root, t.root, text, "");
	finds_among(false, WEB, 0, "error: the command line has ");
}

/* ---- memory and boot line ---- */

static void boot_line_changed(void **state)
{
	(void)state;
	web_with(MEMORY, "1G@0x120000000");
	update_boot_files();
	finds(false, WEB ":6: error: the running kernel was booted with twinos=1G@0x100000000, and this needs twinos=1G@0x120000000,low=64K@0x80000; run twinos plan --update and update-grub, and reboot\n");
	web_with(LOW, "64K@0x88000");
	update_boot_files();
	finds(false, WEB ":7: error: the running kernel was booted with low=64K@0x80000, and this needs twinos=1G@0x100000000,low=64K@0x88000; run twinos plan --update and update-grub, and reboot\n");
	web_with(LOW, "64K@0x60000");
	update_boot_files();
	finds_among(false, WEB, 7, "error: the running kernel was booted without twinos=1G@0x100000000,low=64K@0x60000 (the low slice");
	/* Less than was withheld will do. */
	web_with(MEMORY, "512M@0x120000000");
	update_boot_files();
	finds(true, "");
}

static void boot_line_missing(void **state)
{
	(void)state;
	tree__file(&t, "proc/cmdline", "root=/dev/sda1\n");
	tree__file(&t, "sys/kernel/twinos/windows", "%s", "");
	/* Somebody withholds it, who is not known here. */
	finds(true,
	      WEB ":6: warning: the window is free, but not by twinos= on the boot line; whatever keeps it free (memmap=?) must stay\n"
	      WEB ":7: warning: the low slice is free, but not by twinos= on the boot line; whatever keeps it free (memmap=?) must stay\n");
	tree__file(&t, "proc/iomem", "00001000-0009efff : System RAM\n100000000-47fffffff : System RAM\n");
	finds_among(false, WEB, 6, "error: the running kernel was booted without twinos=1G@0x100000000,low=64K@0x80000 (");
	finds_among(false, WEB, 7, "error: the running kernel was booted without ");
	/* It was told, and did not. */
	tree__file(&t, "proc/cmdline", "root=/dev/sda1 twinos=1G@0x100000000,low=64K@0x80000\n");
	finds_among(false, WEB, 6, "error: the running kernel has not withheld this, though its boot line says 1G@0x100000000: dmesg");
	web_with(MEMORY, NULL);
	finds_among(false, WEB, 0, "error: it names no memory, and the boot line withholds none");
}

static void no_memory_there(void **state)
{
	(void)state;
	web_with(MEMORY, "1G@0x480000000");
	finds_among(false, WEB, 6, "error: the window 0x480000000-0x4bfffffff is not RAM from 0x480000000 on");
	web_with(LOW, "64K@0x90000");
	finds_among(false, WEB, 7, "error: the low slice 0x90000-0x9ffff is not RAM from 0x9f000 on");
	web_with(LOW, NULL);
	update_boot_files();
	/* That of the window on the boot line is taken. */
	finds(true, "");
	tree__file(&t, "sys/kernel/twinos/windows", "0x100000000-0x13fffffff\n");
	finds_among(false, WEB, LINE(CPUS), "error: 2 CPUs need a low slice to start from");
	web_with(LOW, "");
	finds_among(false, WEB, LINE(CPUS), "error: 2 CPUs need a low slice to start from");
}

/* ---- the machine ---- */

static void machine(void **state)
{
	(void)state;
	tree__file(&t, "sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
	finds(false, ":0: error: the running kernel is locked down and loads no other one (none [integrity] confidentiality); switch Secure Boot off, or lockdown\n");
	tree__file(&t, "sys/kernel/security/lockdown", "[none] integrity confidentiality\n");
	finds(true, "");
	tree__file(&t, "proc/sys/kernel/kexec_load_disabled", "1\n");
	finds_among(false, "", 0, "error: kernel.kexec_load_disabled is 1");
	tree__file(&t, "proc/sys/kernel/kexec_load_disabled", "0\n");
	tree__file(&t, "proc/interrupts", "  4: 0  IR-IO-APIC   4-edge      ttyS0\n");
	finds(true, "");
	tree__file(&t, "proc/cmdline", "twinos=off twinos=1G@0x100000000,low=64K@0x80000\n");
	finds_among(false, "", 0, "error: the running kernel was booted with twinos=off");
	tree__file(&t, "sys/kernel/twinos/abi", "1\n");
	finds_among(false, "", 0, "error: the running kernel speaks version 1 of the TwinOS interface");
	assert_return_code(unlink(strcat(strcpy((char[200]){ 0 }, t.sys), "/kernel/twinos/role")), 0);
	finds_among(false, "", 0, "error: the running kernel has no TwinOS support");
	/* The rest is looked at all the same. */
	web_with(KERNEL, "/none");
	finds_among(false, WEB, 2, "error: /none cannot be read");
}

static void cpus(void **state)
{
	(void)state;
	web_with(CPUS, "1,2");
	finds(true,
	      WEB ":8: warning: CPU 1 is one core with CPU 5, which is not in the share; two kernels on a core slow each other down, and can learn from each other\n"
	      WEB ":8: warning: CPU 2 is one core with CPU 6, which is not in the share; two kernels on a core slow each other down, and can learn from each other\n");
	tree__file(&t, "sys/devices/system/cpu/online", "0-4,6-7\n");
	web_with(CPUS, "1,5");
	finds_among(false, WEB, LINE(CPUS), "error: CPU 5 is offline");
	tree__file(&t, "sys/devices/system/cpu/online", "1,5\n");
	finds_among(false, WEB, LINE(CPUS), "error: these are all CPUs that are online");
	tree__file(&t, "sys/devices/system/cpu/online", "0-7\n");
	/* A CPU that it shares, it cannot with KVM. */
	tree__folder(&t, "sys/module/kvm_intel");
	tree__file(&t, "sys/module/kvm_intel/initstate", "live\n");
	finds(true, "");
	web_with(CPUS, NULL);
	update_boot_files();
	finds(false, WEB ":0: error: an OS cannot share CPU 0 while KVM is loaded on an Intel CPU; modprobe -r kvm_intel, or give it CPUs\n");
	tree__file(&t, "sys/module/kvm/parameters/enable_virt_at_load", "N\n");
	finds(true, "");
}

static void devices(void **state)
{
	static const char device[] = "sys/devices/pci0000:00/0000:00:04.0";
	char path[200];

	(void)state;
	/* An IOMMU fences a function, and no more. */
	snprintf(path, sizeof(path), "%s/iommu_group", device);
	tree__folder(&t, path);
	finds(true, "");
	assert_return_code(rmdir(strcat(strcat(strcpy((char[300]){ 0 }, t.root), "/"), path)), 0);
	tree__link(&t, "sys/bus/pci/devices/0000:00:04.0/driver", "sys/bus/pci/drivers/e1000e");
	tree__folder(&t, "sys/bus/pci/drivers/e1000e");
	finds(true, WEB ":9: note: PCI function 0000:00:04.0 has the driver e1000e in the leading OS now, and so may come into use there; the rules for udev keep it away from the next boot on (update-initramfs -u)\n");
	unlink(strcat(strcpy((char[200]){ 0 }, t.root), "/sys/devices/pci0000:00/0000:00:04.0/driver"));
	tree__link(&t, "sys/bus/pci/devices/0000:00:04.0/driver", "sys/bus/pci/drivers/twinos");
	finds(true, "");
	add_pci("0000:00:04.1");
	finds_among(true, WEB, LINE(PCI), "warning: PCI function 0000:00:04.0: 0000:00:04.1 of the same device stay with the leading OS");
	snprintf(path, sizeof(path), "%s/net/eth1/flags", device);
	tree__file(&t, path, "0x1003\n");
	snprintf(path, sizeof(path), "%s/net/eth1/subsystem", device);
	tree__link(&t, path, "sys/class/net");
	finds_among(false, WEB, LINE(PCI), "error: PCI function 0000:00:04.0 (eth1) is in use: the interface is up");
}

/* One that runs has its share, and the machine has it no more. */
static void running(void **state)
{
	(void)state;
	tree__os(&t, 3, "running", "dedicated",
		 "name web\nwindow 0x100000000-0x13fffffff\nlow 0x80000-0x8ffff\ncpu 1\ncpu 5\npci 0000:00:04.0\nirq 3\n");
	tree__file(&t, "sys/devices/system/cpu/online", "0,2-4,6-7\n");
	tree__file(&t, "sys/devices/system/cpu/present", "0,2-4,6-7\n");
	finds(false, WEB ":0: error: coexisting OS 3 (web) is running already; to start it anew: twinos restart web\n");
	/* One that was loaded by hand. */
	tree__os(&t, 3, "loaded", "dedicated", "window 0x100000000-0x13fffffff\npci 0000:00:04.0\nirq 3\n");
	tree__file(&t, "sys/devices/system/cpu/online", "0-7\n");
	tree__file(&t, "sys/devices/system/cpu/present", "0-7\n");
	finds_among(false, WEB, LINE(MEMORY), "error: the window 0x100000000-0x13fffffff overlaps the window 0x100000000-0x13fffffff of coexisting OS 3 (loaded)");
	finds_among(false, WEB, LINE(PCI), "error: PCI function 0000:00:04.0 belongs to coexisting OS 3 (loaded)");
	finds_among(false, WEB, LINE(IRQ), "error: interrupt pin 3 belongs to coexisting OS 3");
	/* Its own, before. */
	tree__os(&t, 3, "loaded", "dedicated",
		 "name web\nwindow 0x100000000-0x13fffffff\nlow 0x80000-0x8ffff\ncpu 1\ncpu 5\npci 0000:00:04.0\nirq 3\n");
	finds(true, "");
}

/* ---- two of them ---- */

static void conflicts(void **state)
{
	static const char *const other[KEYS] = {
		"", "", "x", "1G@0x120000000", "32K@0x88000", "5-6", "0000:00:05.0,0000:00:04.0", "3",
	};

	(void)state;
	conf_with(DB, other);
	assert_int_equal(look((const char *[]){ "web" }, 1), 0);
	assert_non_null(strstr(shown, WEB ":6: error: memory of this window is claimed by db as well (" DB ":6)\n"));
	assert_non_null(strstr(shown, WEB ":7: error: memory of this low slice is claimed by db as well (" DB ":7)\n"));
	assert_non_null(strstr(shown, WEB ":8: error: CPU 5 is claimed by db as well (" DB ":8)\n"));
	assert_non_null(strstr(shown, WEB ":9: error: PCI function 0000:00:04.0 is claimed by db as well (" DB ":9)\n"));
	assert_non_null(strstr(shown, WEB ":10: error: interrupt pin 3 is claimed by db as well (" DB ":10)\n"));
	assert_null(strstr(shown, DB ":6: "));
	assert_false(can_start(&findings, "web"));
	/* Both are asked for: said of both. */
	look_at_all();
	assert_int_equal(checked.nr, 2);
	assert_non_null(strstr(shown, WEB ":8: error: CPU 5 is claimed by db as well (" DB ":8)\n"));
	assert_non_null(strstr(shown, DB ":8: error: CPU 5 is claimed by web as well (" WEB ":8)\n"));
	/* One after the other is no conflict, and touching windows are none. */
	{
		static const char *const third[KEYS] = {
			"", "", "x", "512M@0x140000000", NULL, "3", NULL, NULL,
		};

		conf_with(DB, third);
	}
	update_boot_files();
	assert_int_equal(look((const char *[]){ "web" }, 1), 0);
	assert_string_equal(shown, "");
}

static void both_time_shared(void **state)
{
	static const char *const other[KEYS] = {
		"", "", "x", "512M@0x140000000", NULL, NULL, NULL, NULL,
	};

	(void)state;
	conf_with(DB, other);
	web_with(CPUS, NULL);
	update_boot_files();
	assert_int_equal(look((const char *[]){ "web" }, 1), 0);
	assert_string_equal(shown, WEB ":0: warning: CPU 0, which one OS at a time can share, is claimed by db as well (" DB ")\n");
	assert_true(can_start(&findings, "web"));
	/* What is wrong with the other one is not known, and said. */
	tree__file(&t, DB, "[share]\nmemory = x\n");
	assert_int_equal(look((const char *[]){ "web" }, 1), 0);
	assert_non_null(strstr(shown, DB ":0: warning: this is wrong, so that it is not known what it claims; see twinos check db\n"));
	assert_true(can_start(&findings, "web"));
}

/* A file that is not where it belongs yet stands for the one of its name. */
static void files(void **state)
{
	char path[200];
	const char *which[] = { path };
	const char *values[KEYS];

	(void)state;
	memcpy(values, good, sizeof(good));
	values[CPUS] = "2,6";
	conf_with("new/web.conf", values);
	snprintf(path, sizeof(path), "%s/new/web.conf", t.root);
	assert_int_equal(look(which, 1), 0);
	assert_string_equal(shown, "");
	values[IRQ] = "12";
	conf_with("new/web.conf", values);
	assert_int_equal(look(which, 1), 0);
	assert_non_null(strstr(shown, "new/web.conf:10: error: interrupt pin 12"));
	conf_with("new/other.conf", values);
	snprintf(path, sizeof(path), "%s/new/other.conf", t.root);
	assert_int_equal(look(which, 1), 0);
	assert_non_null(strstr(shown, "new/other.conf:6: error: memory of this window is claimed by web as well (" WEB ":6)"));
	/* It is not in the files for the next boot, and need not be. */
	assert_null(strstr(shown, "grub"));
	assert_null(strstr(shown, "udev"));
	conf_with("new/Other.conf", values);
	snprintf(path, sizeof(path), "%s/new/Other.conf", t.root);
	assert_int_equal(look(which, 1), 0);
	assert_non_null(strstr(shown, "new/Other.conf:0: error: Other cannot be the name of an OS"));
	/* The installed one by its path. */
	snprintf(path, sizeof(path), "%s/" WEB, t.root);
	assert_int_equal(look(which, 1), 0);
	assert_string_equal(shown, "");
	conf_with("etc/twinos/Not-A-Name.conf", values);
	finds_among(false, "etc/twinos/Not-A-Name.conf", 0, "error: Not-A-Name cannot be the name of an OS");
}

/* ---- the files for the next boot ---- */

static void next_boot(void **state)
{
	(void)state;
	tree__file(&t, "etc/default/grub.d/twinos.cfg", "# nothing\n");
	finds(true, "etc/default/grub.d/twinos.cfg:0: warning: it is not what the configurations need now; run twinos plan --update and update-grub\n");
	assert_return_code(unlink(strcat(strcpy((char[200]){ 0 }, t.etc), "/default/grub.d/twinos.cfg")), 0);
	finds(true, "etc/default/grub.d/twinos.cfg:0: warning: the file is missing; run twinos plan --update and update-grub\n");
	tree__file(&t, "etc/default/grub", "GRUB_CMDLINE_LINUX=\"twinos=1G@4G,low=64K@0x80000\"\n");
	finds(true, "");
	web_with(PCI, NULL);
	finds(true, "etc/udev/rules.d/60-twinos.rules:0: warning: it is not what the configurations need now; run twinos plan --update and update-initramfs -u\n");
	assert_return_code(unlink(strcat(strcpy((char[200]){ 0 }, t.etc), "/udev/rules.d/60-twinos.rules")), 0);
	finds(true, "");
	conf_with(WEB, good);
	finds(true, "etc/udev/rules.d/60-twinos.rules:0: warning: the file is missing; run twinos plan --update and update-initramfs -u\n");
	update_boot_files();
	finds(true, "");
}

/* What was written has to get into what the next boot reads. */
static void not_run_yet(void **state)
{
	static const char grub[] = "boot/grub/grub.cfg";
	const struct timespec old[2] = { { 1000000000, 0 }, { 1000000000, 0 } };
	char path[200], expected[600];
	struct utsname uts;

	(void)state;
	tree__file(&t, grub, "menuentry {\n linux /vmlinuz root=/dev/sda1 twinos=1G@0x100000000,low=64K@0x80000 quiet\n}\n");
	finds(true, "");
	tree__file(&t, grub, "menuentry {\n linux /vmlinuz root=/dev/sda1 twinos=1G@0x100000000\n}\n");
	finds(true, "boot/grub/grub.cfg:0: warning: the next boot will be without twinos=1G@0x100000000,low=64K@0x80000 for web; run update-grub\n");
	tree__file(&t, grub, "twinos=1G@0x100000000,low=64K@0x80000");
	uname(&uts);
	snprintf(path, sizeof(path), "boot/initrd.img-%s", uts.release);
	tree__file(&t, path, "initrd");
	finds(true, "");
	snprintf(path, sizeof(path), "%s/boot/initrd.img-%s", t.root, uts.release);
	assert_return_code(utimensat(AT_FDCWD, path, old, 0), 0);
	snprintf(expected, sizeof(expected), "boot/initrd.img-%s:0: warning: it is older than etc/udev/rules.d/60-twinos.rules, and so may not have it; run update-initramfs -u\n",
		 uts.release);
	finds(true, expected);
	/* Without functions there is nothing to keep away. */
	web_with(PCI, NULL);
	update_boot_files();
	finds(true, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(nothing), TEST(none), TEST(several), TEST(kernels), TEST(initrds),
		TEST(modules), TEST(damaged_archives), TEST(command_lines), TEST(network_roots),
		TEST(boot_line_changed), TEST(boot_line_missing), TEST(no_memory_there),
		TEST(machine), TEST(cpus), TEST(devices), TEST(running), TEST(conflicts),
		TEST(both_time_shared), TEST(files), TEST(next_boot), TEST(not_run_yet),
	};

	return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
