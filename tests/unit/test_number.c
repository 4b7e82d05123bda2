// SPDX-License-Identifier: GPL-2.0
/* Strict parsing of numbers, ranges and lists. */
#include <stdlib.h>
#include <string.h>
#include "tree.h"

static void numbers(void **state)
{
	static const struct {
		const char *text;
		uint64_t value;
	} good[] = {
		{ "0", 0 }, { "1", 1 }, { "0x100000", 0x100000 }, { "0XfF", 255 },
		{ "4K", 4096 }, { "4k", 4096 }, { "255M", 255 << 20 }, { "3G", 3ull << 30 },
		{ "0x10M", 16 << 20 }, { "18446744073709551615", UINT64_MAX },
		{ "0xffffffffffffffff", UINT64_MAX }, { "17179869183G", 17179869183ull << 30 },
	};
	static const char *const bad[] = {
		"", " ", " 1", "1 ", "-1", "+1", "1MB", "1MBx", "0x", "0xg", "x10", "1.5M",
		"010", "00", "1e6", "M", "0x-1", "1M1", "1KK", "\t1", "1\n", "0b1", "１",
	};
	static const char *const large[] = {
		"18446744073709551616", "99999999999999999999999", "0x10000000000000000",
		"17179869184G", "0xffffffffffffffffK",
	};
	uint64_t value;
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(parse_number("--n", good[i].text, &value), 0);
		assert_int_equal(value, good[i].value);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_refused(parse_number("--n", bad[i], &value), "is not a number");
	for (i = 0; i < sizeof(large) / sizeof(large[0]); i++)
		assert_refused(parse_number("--n", large[i], &value), "too large");
}

static void counts(void **state)
{
	static const char *const bad[] = {
		"", "0", "65", "x", "1x", " 1", "+1", "-1", "1K", "0x2", "4294967297",
		"18446744073709551617",
	};
	unsigned int count, i;

	(void)state;
	assert_int_equal(parse_count("--n", "1", 1, 64, "", &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(parse_count("--n", "064", 1, 64, "", &count), 0);
	assert_int_equal(count, 64);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_refused(parse_count("--n", bad[i], 1, 64, " of OSes", &count),
			       "give a number of OSes from 1 to 64");
}

static void ranges(void **state)
{
	static const char *const bad[] = {
		"", "64K", "64K@", "@0x80000", "64K@0x80000x", "64K @0x80000", "x@0x80000",
		"64K@@0x80000", "64K@-1", "64K@0x80000,",
	};
	struct range r;
	unsigned int i;

	(void)state;
	assert_int_equal(parse_range("--r", "64K@0x80000", &r), 0);
	assert_int_equal(r.start, 0x80000);
	assert_int_equal(r.size, 0x10000);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_refused(parse_range("--r", bad[i], &r), "--r=");
	assert_refused(parse_range("--r", "0@0x80000", &r), "empty");
	assert_refused(parse_range("--r", "4K@0xfffffffffffff001", &r), "beyond the end");
	assert_refused(parse_range("--r", "4K@0x1ffffffffffffffff", &r), "too large");
}

static void cpu_lists(void **state)
{
	static const char *const bad[] = {
		"", ",", "a", "1,", ",1", "1,,2", "3-1", "1-", "-1", "1-2-3", "1;2", " 1", "1 ",
		"4294967296",
	};
	uint32_t cpus[TWINOS_MAX_CPUS], nr;
	unsigned int i;

	(void)state;
	assert_int_equal(parse_cpus("--c", "1,3-5,63", cpus, &nr), 0);
	assert_int_equal(nr, 5);
	assert_int_equal(cpus[2], 4);
	assert_int_equal(cpus[4], 63);
	assert_int_equal(parse_cpus("--c", "0-63", cpus, &nr), 0);
	assert_int_equal(nr, 64);
	assert_refused(parse_cpus("--c", "0-64", cpus, &nr), "more than 64");
	assert_refused(parse_cpus("--c", "0-2147483647", cpus, &nr), "more than 64");
	assert_refused(parse_cpus("--c", "1,0-2", cpus, &nr), "CPU 1 twice");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_refused(parse_cpus("--c", bad[i], cpus, &nr), "is not a list");
}

static void irq_lists(void **state)
{
	uint32_t irqs[TWINOS_MAX_IRQS], nr;
	static const char *const bad[] = { "", ",", "x", "3,", "3-5", "0x3", " 3", "3 4" };
	unsigned int i;

	(void)state;
	assert_int_equal(parse_irqs("--i", "3,11", irqs, &nr), 0);
	assert_int_equal(nr, 2);
	assert_int_equal(irqs[1], 11);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_refused(parse_irqs("--i", bad[i], irqs, &nr), "is not a list");
	assert_refused(parse_irqs("--i", "3,0", irqs, &nr), "timer");
	assert_refused(parse_irqs("--i", "2", irqs, &nr), "timer");
	assert_refused(parse_irqs("--i", "1024", irqs, &nr), "only the ISA interrupt pins");
	assert_refused(parse_irqs("--i", "3,16", irqs, &nr), "only the ISA interrupt pins");
	assert_refused(parse_irqs("--i", "3,4,3", irqs, &nr), "pin 3 twice");
	assert_int_equal(parse_irqs("--i", "1,3,4,5,6,7,8,9,10,11,12,13,14,15", irqs, &nr), 0);
	assert_int_equal(nr, 14);
}

static void pci_lists(void **state)
{
	static const char *const bad[] = {
		"", "rubbish", "00:04", "00:04.", "00:04.8", "00:20.0", "0:4.0", "00:04.0,",
		"00-04.0", "000:00:04.0", "10000:00:04.0", "00:04.0 ", "00:04.00", "gg:04.0",
		":00:04.0", "0000:00:04", "0000:", "00", "0",
	};
	struct twinos_pci pci[TWINOS_MAX_PCI];
	char text[600] = "";
	unsigned int i;
	uint32_t nr;

	(void)state;
	assert_int_equal(parse_pci("--p", "00:04.0,0001:0a:1f.7", pci, &nr), 0);
	assert_int_equal(nr, 2);
	assert_int_equal(pci[0].domain, 0);
	assert_int_equal(pci[0].devfn, 4 << 3);
	assert_int_equal(pci[1].domain, 1);
	assert_int_equal(pci[1].bus, 10);
	assert_int_equal(pci[1].devfn, 0x1f << 3 | 7);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_refused(parse_pci("--p", bad[i], pci, &nr), "is not a list");
	assert_refused(parse_pci("--p", "00:04.0,0000:00:04.0", pci, &nr), "0000:00:04.0 twice");
	for (i = 0; i < 33; i++)
		sprintf(text + strlen(text), "%s%02x:00.0", i ? "," : "", i);
	assert_refused(parse_pci("--p", text, pci, &nr), "more than 32");
	text[strlen(text) - 8] = 0;
	assert_int_equal(parse_pci("--p", text, pci, &nr), 0);
	assert_int_equal(nr, 32);
}

/* A refusal stays one printable line whatever an option says. */
static void one_line(void **state)
{
	uint64_t value;

	(void)state;
	assert_refused(parse_number("--n", "1\n2\x1b[31m", &value), "--n=1?2?[31m");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers), cmocka_unit_test(counts), cmocka_unit_test(ranges),
		cmocka_unit_test(cpu_lists), cmocka_unit_test(irq_lists),
		cmocka_unit_test(pci_lists), cmocka_unit_test(one_line),
	};

	return cmocka_run_group_tests_name("number", tests, NULL, NULL);
}
