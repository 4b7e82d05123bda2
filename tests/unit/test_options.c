// SPDX-License-Identifier: GPL-2.0
/* The share's options, and the defaults of twinos.conf below them. */
#include <errno.h>
#include <string.h>
#include "tree.h"

static int set(struct share_options *o, const char *key, const char *text)
{
	char name[64];

	snprintf(name, sizeof(name), "--%s", key);
	return share_option(o, name, key, text);
}

static void keys(void **state)
{
	struct share_options o = { 0 };

	(void)state;
	assert_int_equal(set(&o, "mem-min", "1M"), 0);
	assert_int_equal(set(&o, "mem-max", "0xfffffff"), 0);
	assert_int_equal(set(&o, "low", "64K@0x80000"), 0);
	assert_int_equal(set(&o, "pci", "00:04.0"), 0);
	assert_int_equal(set(&o, "irq", "3"), 0);
	assert_int_equal(set(&o, "cpus", "1"), 0);
	assert_true(o.has_mem_min && o.has_mem_max && o.has_low && o.has_pci && o.has_irq &&
		    o.has_cpus);
	assert_int_equal(o.mem_min, 1 << 20);
	assert_int_equal(set(&o, "colour", "red"), -ENOENT);
}

static void unaligned(void **state)
{
	struct share_options o = { 0 };

	(void)state;
	assert_refused(set(&o, "mem-min", "0x100800"), "not aligned");
	assert_refused(set(&o, "mem-max", "0x8000800"), "not aligned");
	assert_refused(set(&o, "low", "100@0x80000"), "not aligned");
	assert_refused(set(&o, "low", "64K@0x80800"), "not aligned");
	assert_refused(set(&o, "low", "64K@0x100000"), "not low memory");
	assert_refused(set(&o, "low", "64K@0xf8000"), "not low memory");
	assert_refused(set(&o, "low", "64K@0"), "not low memory");
	assert_false(o.has_mem_min || o.has_mem_max || o.has_low);
	/* The last byte of the window and the first behind it mean the same. */
	assert_int_equal(set(&o, "mem-max", "0x10000000"), 0);
	o.has_mem_max = false;
	assert_int_equal(set(&o, "mem-max", "0xfffffff"), 0);
	o.has_mem_max = false;
	assert_int_equal(set(&o, "mem-max", "0xffffffffffffffff"), 0);
}

static void defaults(void **state)
{
	struct share_options o = { 0 };
	struct tree t;

	(void)state;
	tree__create(&t);
	assert_int_equal(share_defaults(&o, t.conf), 0);	/* no file */
	assert_false(o.has_low || o.has_pci);

	tree__file(&t, "twinos.conf",
		   "# comment\n; another\n\n[share]\nmem-min = 0x100000\n"
		   "mem-max= 0xfffffff\r\nlow =64K@0x80000\npci = 00:04.0,00:05.0 \nirq = 3\n");
	assert_int_equal(share_defaults(&o, t.conf), 0);
	assert_int_equal(o.mem_min, 0x100000);
	assert_int_equal(o.nr_pci, 2);
	assert_int_equal(o.irqs[0], 3);

	/* Options override key by key, and a window is one thing. */
	memset(&o, 0, sizeof(o));
	assert_int_equal(set(&o, "pci", "00:06.0"), 0);
	assert_int_equal(set(&o, "irq", ""), 0);
	assert_int_equal(set(&o, "mem-min", "0x8000000"), 0);
	assert_int_equal(share_defaults(&o, t.conf), 0);
	assert_int_equal(o.nr_pci, 1);
	assert_int_equal(o.pci[0].devfn, 6 << 3);
	assert_int_equal(o.nr_irqs, 0);
	assert_int_equal(o.mem_min, 0x8000000);
	assert_false(o.has_mem_max);
	assert_int_equal(o.low.start, 0x80000);

	/* An empty value is one, too. */
	tree__file(&t, "twinos.conf", "[share]\nlow = 64K@0x80000\ncpus = 2-3\nirq =\n");
	memset(&o, 0, sizeof(o));
	assert_int_equal(set(&o, "low", ""), 0);
	assert_int_equal(set(&o, "cpus", ""), 0);
	assert_int_equal(share_defaults(&o, t.conf), 0);
	assert_true(o.has_low && o.has_cpus && o.has_irq);
	assert_int_equal(o.low.size, 0);
	assert_int_equal(o.nr_cpus, 0);

	memset(&o, 0, sizeof(o));
	assert_int_equal(set(&o, "mem-min", "0x8000000"), 0);
	assert_int_equal(set(&o, "mem-max", "0"), 0);
	assert_int_equal(share_defaults(&o, t.conf), 0);
	assert_true(o.has_mem_max);
	tree__remove(&t);
}

static void wrong_files(void **state)
{
	static const struct {
		const char *text;
		unsigned int line;
		const char *says;
	} wrong[] = {
		{ "[share]\npci = rubbish\n", 2, "pci=rubbish is not a list" },
		{ "[share]\n\ncolour = red\n", 3, "there is no key colour; known are mem-min, " },
		{ "[share]\nno equals sign\n", 2, "is not understood" },
		{ "[share]\n= 3\n", 2, "is not understood" },
		{ "[share]\npci: 00:04.0\n", 2, "is not understood" },
		{ "[share\npci = 00:04.0\n", 1, "is not understood" },
		{ "[share] irq = 3\n", 1, "is not understood" },
		{ "# comment\nirq = 3\n[share]\n", 2, "is in no section" },
		{ "[share]\nirq = 3\n[other]\npci = 00:04.0\n", 3, "there is no section other" },
		{ "[]\n", 1, "there is no section" },
		{ "[share]\nirq = 3\nirq = 4\n", 3, "irq is given twice" },
		{ "[share]\nirq =\nirq = 4\n", 3, "irq is given twice" },
		{ "[share]\nirq = 3\n[share]\nirq = 3\n", 4, "irq is given twice" },
		{ "[share]\npci = 00:04.0,\n\t00:05.0\n", 2, "is not a list" },
		{ "[share]\npci = 00:04.0\n  00:05.0\n", 3, "begins with a blank" },
		{ "[share]\n low = 64K@0x80000\n", 2, "begins with a blank" },
		{ "[share]\nirq = 3 ; the serial port\n", 2, "irq=3 ; the serial port is not a list" },
	};
	struct share_options o = { 0 };
	char where[120], folder[100];
	struct tree t;
	unsigned int i;

	(void)state;
	tree__create(&t);
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		tree__file(&t, "twinos.conf", "%s", wrong[i].text);
		snprintf(where, sizeof(where), "%s:%u: ", t.conf, wrong[i].line);
		assert_refused(share_defaults(&o, t.conf), where);
		assert_refused(share_defaults(&o, t.conf), wrong[i].says);
		memset(&o, 0, sizeof(o));
	}
	tree__bytes(&t, "twinos.conf", "[share]\nirq = 3\0\n", 17);
	assert_refused(share_defaults(&o, t.conf), "twinos.conf:2: ");
	/* An option does not hide it. */
	assert_int_equal(set(&o, "irq", "3"), 0);
	tree__file(&t, "twinos.conf", "[share]\nirq = x\n");
	assert_refused(share_defaults(&o, t.conf), "twinos.conf:2: irq=x is not a list");
	snprintf(folder, sizeof(folder), "%s/folder", t.root);
	tree__folder(&t, "folder");
	assert_refused(share_defaults(&o, folder), "cannot be read: Is a directory");
	tree__remove(&t);
}

/* As many functions as an OS can have fit on the line, whatever else is there. */
static void long_lines(void **state)
{
	struct share_options o = { 0 };
	char text[600] = "";
	struct tree t;
	unsigned int i;

	(void)state;
	tree__create(&t);
	for (i = 0; i < TWINOS_MAX_PCI; i++)
		sprintf(text + strlen(text), "%s0000:%02x:1f.7", i ? "," : "", i);
	tree__file(&t, "twinos.conf", "# %4000s\n[share]\npci = %s%300s\nirq=3", "", text, "");
	assert_int_equal(share_defaults(&o, t.conf), 0);
	assert_int_equal(o.nr_pci, TWINOS_MAX_PCI);
	assert_int_equal(o.pci[31].bus, 31);
	assert_int_equal(o.irqs[0], 3);
	/* One too many, and the advice is still there. */
	tree__file(&t, "twinos.conf", "[share]\npci = %s,00:20.0\n", text);
	assert_refused(share_defaults(&o, t.conf), "is not a list of PCI functions");
	tree__file(&t, "twinos.conf", "[share]\npci = %s,00:04.0\n", text);
	assert_refused(share_defaults(&o, t.conf), "more than 32 PCI functions, the most that one OS can have");
	tree__remove(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys), cmocka_unit_test(unaligned),
		cmocka_unit_test(defaults), cmocka_unit_test(wrong_files),
		cmocka_unit_test(long_lines),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
