// SPDX-License-Identifier: GPL-2.0
/*
 * Command lines of coexisting OSes: what reaches for a device or memory that is
 * not in the share is left out and named, everything else stays byte for byte.
 */
#include <stdlib.h>
#include <string.h>
#include "tree.h"

#define TTYS0 1				/* pin 4 */
#define TTYS1 2				/* pin 3 */
#define PCI 4				/* a serial port among the PCI functions */

static void expect(unsigned int ports, const char *text, const char *wanted, const char *left_out)
{
	struct share_options share = { 0 };
	char *fitted, *out;

	share.irqs[share.nr_irqs++] = 11;
	if (ports & TTYS0)
		share.irqs[share.nr_irqs++] = 4;
	if (ports & TTYS1)
		share.irqs[share.nr_irqs++] = 3;
	assert_int_equal(fit_command_line(text, &share, ports & PCI, &fitted, &out), 0);
	if (strcmp(fitted, wanted) || strcmp(out, left_out))
		fail_msg("\"%s\" with ports %x: \"%s\" without \"%s\"", text, ports, fitted, out);
	free(fitted);
	free(out);
}

static void keep(unsigned int ports, const char *text)
{
	expect(ports, text, text, "");
}

static void drop(unsigned int ports, const char *word)
{
	char text[200], with_rest[100];

	expect(ports, word, "", word);
	/* Between others it takes the space behind it along. */
	snprintf(text, sizeof(text), "quiet %s  rw", word);
	snprintf(with_rest, sizeof(with_rest), "quiet rw");
	expect(ports, text, with_rest, word);
}

static void ordinary(void **state)
{
	(void)state;
	keep(0, "");
	keep(0, "  ");
	keep(0, " root=/dev/vda1  rw quiet\tloglevel=7 ");
	keep(0, "hugepages=4 hugepagesz=2M movablecore=1G swiotlb=512 memtest=1");
	keep(0, "init=/bin/sh rdinit=/init rootflags=a,b=c noresume nr_cpus=2 dis_ucode_ldr");
	keep(0, "memory=x membrane mempolicy=1 resumes=2 acpid=1 pcix=2 twinos_check twinos_fault=null@late");
	keep(0, "console console= console=null console=tty0 console=hvc0 console=ttyUSB0,9600");
	keep(0, "console=ttySAC0 console=00:00:0.0 ignore_loglevel kgdbwait");
}

static void consoles(void **state)
{
	(void)state;
	drop(0, "console=ttyS0");
	drop(TTYS1, "console=ttyS0,115200n8");
	drop(TTYS0, "console=ttyS1");
	drop(TTYS0 | TTYS1, "console=ttyS2");
	drop(TTYS1, "console=ttyS");
	drop(TTYS1, "console=0");
	drop(TTYS0, "console=lp0");
	drop(TTYS0, "console=brl,ttyS0");
	keep(TTYS0, "console=ttyS0");
	keep(TTYS1, "console=ttyS1,115200n8 console=tty0");
	keep(TTYS1, "console=1,9600");
	keep(PCI, "console=ttyS0 console=ttyS4");
	/* Whichever is there. */
	expect(TTYS1, "console=ttyS0 console=ttyS1", "console=ttyS1", "console=ttyS0");
	expect(TTYS1, "console=ttyS1 console=ttyS0,9600 quiet", "console=ttyS1 quiet",
	       "console=ttyS0,9600");
	expect(TTYS0, "console=ttyS0 console=ttyS1", "console=ttyS0 ", "console=ttyS1");
}

static void early_consoles(void **state)
{
	static const char *const never[] = {
		"earlyprintk=vga", "earlyprintk=vga,keep", "earlyprintk=dbgp", "earlyprintk=dbgp1",
		"earlyprintk=xdbc", "earlyprintk=pciserial,0:16.3,115200",
		"earlyprintk=serial,ttyS2", "earlyprintk=serial,0x3e8", "earlyprintk=serial,0x",
		"earlyprintk=ttyS1,ttyS0,vga", "earlyprintk=serial,ttyS1,115200,pciserial,0:16.3",
		"earlyprintk=efi", "earlyprintk=", "earlyprintk", "earlyprintk=serial,1",
		"earlycon", "earlycon=", "earlycon=uart8250", "earlycon=uart8250,0x3f8",
		"earlycon=uart8250,mmio,0x3f8", "earlycon=uart8250,mmio32,0xfe000000,115200",
		"earlycon=uart8250,io,0x3e8", "earlycon=uart8250,io,", "earlycon=uart8250,io,0x3f8x",
		"earlycon=efifb", "console=uart8250,mmio,0xfe000000", "console=uart8250",
		"console=uart,0x3f8", "console=ns16550,mmio32,0xfe000000",
		"kgdboc=kbd", "kgdboc=kms,kbd", "kgdboc=kbd,ttyS0,115200", "kgdboc=ttyS2",
		"ekgdboc=kbd", "kgdbdbgp=0", "kgdbdbgp",
	};
	static const char *const first[] = {
		"earlyprintk=serial", "earlyprintk=serial,keep", "earlyprintk=serial,ttyS0",
		"earlyprintk=ttyS0", "earlyprintk=ttyS0,115200,keep", "earlyprintk=serial,0x3f8",
		"earlyprintk=serial,0x3f8,115200", "earlyprintk=serial,ttyS0,115200,nocfg",
		"earlycon=uart8250,io,0x3f8", "earlycon=uart,io,0x3f8,115200n8",
		"earlycon=ns16550a,io,1016", "console=uart8250,io,0x3f8,115200n8",
		"console=uart,io,0x3f8", "kgdboc=ttyS0", "kgdboc=kms,ttyS0,115200",
		"kgdboc.kgdboc=ttyS0", "ekgdboc=ttyS0", "\"earlycon=uart8250,io,0x3f8\"",
		"earlycon=\"uart8250,io,0x3f8\"",
	};
	static const char *const second[] = {
		"earlyprintk=serial,ttyS1", "earlyprintk=ttyS1,keep", "earlyprintk=serial,0x2f8,9600",
		"earlycon=uart8250,io,0x2f8", "console=uart8250,io,0x2f8", "kgdboc=ttyS1,115200",
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		drop(TTYS0 | TTYS1, never[i]);
	for (i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
		keep(TTYS0, first[i]);
		drop(TTYS1, first[i]);
	}
	for (i = 0; i < sizeof(second) / sizeof(second[0]); i++) {
		keep(TTYS1, second[i]);
		drop(TTYS0, second[i]);
	}
	/* A PCI function is not there so early, nor by an address that is known here. */
	drop(PCI, "earlyprintk=serial,ttyS0");
	drop(PCI, "earlycon=uart8250,mmio,0xfe000000");
}

static void memory_and_machine(void **state)
{
	static const char *const words[] = {
		"mem=512M", "memmap=64M$0x10000000", "memmap=exactmap", "crashkernel=256M",
		"crashkernel=64M,high", "twinos=255M@1M,low=64K@0x80000", "reserve=0x3f8,8",
		"resume=UUID=1234", "resume_offset=4096", "resume-offset=4096", "elfcorehdr=0x1000",
		"intel_iommu=on", "intel-iommu=on", "amd_iommu=off", "amd_iommu_intr=vapic",
		"iommu=pt", "iommu.passthrough=1", "intremap=off", "nox2apic", "noapic", "nolapic",
		"nosmp", "acpi=off", "acpi_osi=Linux", "acpi_osi=\"Windows 2015\"", "acpi-sci=low",
		"pci=nomsi,noaer", "pcie_aspm=off", "pnpacpi=off",
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		drop(TTYS0 | TTYS1, words[i]);
	/* A boot loader's words, which nobody misses. */
	expect(0, "BOOT_IMAGE=/vmlinuz root=/dev/vda initrd=\\initrd.img rw", "root=/dev/vda rw",
	       "");
	expect(TTYS1, "BOOT_IMAGE=/b console=ttyS0 console=ttyS1 mem=1G crashkernel=64M quiet",
	       "console=ttyS1 quiet", "console=ttyS0 mem=1G crashkernel=64M");
}

/* As the kernel takes words apart (next_arg() of lib/cmdline.c, parse_args()). */
static void words(void **state)
{
	(void)state;
	/* What init gets is its own business. */
	keep(0, "quiet -- mem=1G earlycon console=ttyS0");
	expect(0, "mem=1G -- mem=2G", "-- mem=2G", "mem=1G");
	expect(0, "\"--\" mem=2G", "\"--\" mem=2G", "");
	expect(0, "--=x mem=2G --quiet mem=1G", "--=x --quiet ", "mem=2G mem=1G");
	/* Quotes protect spaces, also in the middle of a word. */
	keep(0, "dyndbg=\"file a.c +p; mem=1G\" foo=\"mem=1\" \"bar mem=1G\"");
	keep(0, "a\" mem=1G \"b");
	keep(0, "unfinished=\"mem=1G earlycon");
	expect(0, "\"mem=1G\" \"mem\"=1G mem=\"1G\" x", "\"mem\"=1G x", "\"mem=1G\" mem=\"1G\"");
	expect(0, "mem=1G\tquiet\nmem=2G\xa0rw", "quiet\nrw", "mem=1G mem=2G");
	expect(0, "x \"mem=1\n\0332\" y", "x y", "\"mem=1??2\"");
	expect(0, "=mem mem= =", "=mem =", "mem=");
	expect(0, "\" mem=1G", "\" mem=1G", "");
	expect(0, "mem=\"", "", "mem=\"");
	keep(0, "\"");
	keep(0, "\"\"");
	keep(0, "x=\"\" y=\"");
}

static void parameters(void **state)
{
	(void)state;
	assert_true(has_parameter("root=/dev/vda", "root"));
	assert_true(has_parameter(" quiet \"root=LABEL=a b\" rw", "root"));
	assert_true(has_parameter("quiet root", "root"));
	assert_false(has_parameter("", "root"));
	assert_false(has_parameter("rootwait xroot=1 a=\"root=1 root=2\"", "root"));
	assert_false(has_parameter("quiet -- root=/dev/vda", "root"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ordinary), cmocka_unit_test(consoles),
		cmocka_unit_test(early_consoles), cmocka_unit_test(memory_and_machine),
		cmocka_unit_test(words), cmocka_unit_test(parameters),
	};

	return cmocka_run_group_tests_name("cmdline", tests, NULL, NULL);
}
