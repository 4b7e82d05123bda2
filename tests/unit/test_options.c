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
		   "# comment\n[other]\npci = rubbish\n[share]\nmem-min = 0x100000\n"
		   "mem-max = 0xfffffff\nlow = 64K@0x80000\npci = 00:04.0,00:05.0\nirq = 3\n");
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
	struct share_options o = { 0 };
	struct tree t;

	(void)state;
	tree__create(&t);
	tree__file(&t, "twinos.conf", "[share]\npci = rubbish\n");
	assert_refused(share_defaults(&o, t.conf), "pci in /tmp/");
	tree__file(&t, "twinos.conf", "[share]\ncolour = red\n");
	assert_refused(share_defaults(&o, t.conf), "no key colour");
	tree__file(&t, "twinos.conf", "[share]\nno equals sign\n");
	assert_refused(share_defaults(&o, t.conf), "line 2");
	tree__file(&t, "twinos.conf", "[share\npci = 00:04.0\n");
	assert_refused(share_defaults(&o, t.conf), "line 1");
	tree__file(&t, "twinos.conf", "[share]\nirq = 3\nirq = 4x\n");
	assert_int_equal(share_defaults(&o, t.conf), 0);	/* the first one counts */
	tree__remove(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys), cmocka_unit_test(unaligned),
		cmocka_unit_test(defaults), cmocka_unit_test(wrong_files),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
