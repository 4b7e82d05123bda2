// SPDX-License-Identifier: GPL-2.0
/*
 * Numbers, sizes and lists as options have them, parsed strictly: digits and
 * nothing else, no sign, no blank, no overflow, no octal by accident.
 */
#include <errno.h>
#include <string.h>
#include "libtwinos.h"

static int digit(char c, unsigned int base)
{
	unsigned int d;

	if (c >= '0' && c <= '9')
		d = c - '0';
	else if (c >= 'a' && c <= 'f')
		d = c - 'a' + 10;
	else if (c >= 'A' && c <= 'F')
		d = c - 'A' + 10;
	else
		return -1;
	return d < base ? (int)d : -1;
}

/* Digits of base at *text; moves *text behind them. */
static int scan(const char **text, unsigned int base, uint64_t *value)
{
	const char *s = *text;
	uint64_t v = 0;
	int d;

	if (digit(*s, base) < 0)
		return -EINVAL;
	while ((d = digit(*s, base)) >= 0) {
		if (__builtin_mul_overflow(v, (uint64_t)base, &v) ||
		    __builtin_add_overflow(v, (uint64_t)d, &v))
			return -ERANGE;
		s++;
	}
	*text = s;
	*value = v;
	return 0;
}

/* Decimal or 0x number with an optional K, M or G behind it. */
static int scan_size(const char **text, uint64_t *value)
{
	const char *s = *text;
	unsigned int shift = 0;
	int err;

	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		s += 2;
		err = scan(&s, 16, value);
	} else if (s[0] == '0' && digit(s[1], 10) >= 0) {
		err = -EINVAL;	/* is 010 eight or ten? */
	} else {
		err = scan(&s, 10, value);
	}
	if (err)
		return err;
	switch (*s) {
	case 'k':
	case 'K':
		shift = 10;
		break;
	case 'm':
	case 'M':
		shift = 20;
		break;
	case 'g':
	case 'G':
		shift = 30;
		break;
	}
	if (shift) {
		if (*value >> (64 - shift))
			return -ERANGE;
		*value <<= shift;
		s++;
	}
	*text = s;
	return 0;
}

static int refuse_number(const char *name, const char *text, int err)
{
	if (err == -ERANGE)
		return refuse(ERANGE, "%s=%s: the number is too large", name, text);
	return refuse(EINVAL,
		      "%s=%s is not a number; give decimal or 0x digits, with K, M or G if you like",
		      name, text);
}

/**
 * parse_number() - an address or size
 * @name: what the option is called, for the refusal
 * @text: the whole text
 * @value: bytes
 */
int parse_number(const char *name, const char *text, uint64_t *value)
{
	const char *s = text;
	int err = scan_size(&s, value);

	if (!err && *s)
		err = -EINVAL;
	return err ? refuse_number(name, text, err) : 0;
}

/**
 * parse_count() - how many, or the how-manieth: decimal digits alone, no address
 * @what: what is counted, " of seconds", "" for nothing
 */
int parse_count(const char *name, const char *text, unsigned int min, unsigned int max,
		const char *what, unsigned int *count)
{
	const char *s = text;
	uint64_t value;

	if (scan(&s, 10, &value) || *s || value < min || value > max)
		return refuse(EINVAL, "%s=%s: give a number%s from %u to %u", name, text, what,
			      min, max);
	*count = value;
	return 0;
}

/** parse_range() - SIZE@ADDRESS; not empty, not wrapping */
int parse_range(const char *name, const char *text, struct range *range)
{
	const char *s = text;
	int err = scan_size(&s, &range->size);

	if (!err && *s++ != '@')
		err = -EINVAL;
	if (!err)
		err = scan_size(&s, &range->start);
	if (!err && *s)
		err = -EINVAL;
	if (err == -EINVAL)
		return refuse(EINVAL, "%s=%s is not SIZE@ADDRESS, as in 64K@0x80000", name, text);
	if (err)
		return refuse_number(name, text, err);
	if (!range->size)
		return refuse(EINVAL, "%s=%s is empty; give a size of at least 4K", name, text);
	if (range->start + range->size < range->start)
		return refuse(ERANGE, "%s=%s reaches beyond the end of the address space",
			      name, text);
	return 0;
}

static int refuse_list(const char *name, const char *text, const char *form)
{
	return refuse(EINVAL, "%s=%s is not a list of %s", name, text, form);
}

/**
 * next_numbers() - walk over a list like 1,3-5, as the kernel writes them, too
 * @list: moves behind what has been read; without the newline
 *
 * Returns 1 with the next numbers, 0 at the end, or -EINVAL without a refusal.
 */
int next_numbers(const char **list, uint32_t *first, uint32_t *last)
{
	const char *s = *list;
	uint64_t from, to;

	if (!*s)
		return 0;
	if (scan(&s, 10, &from))
		return -EINVAL;
	to = from;
	if (*s == '-') {
		s++;
		if (scan(&s, 10, &to))
			return -EINVAL;
	}
	if (to < from || to > INT32_MAX || (*s && (*s++ != ',' || !*s)))
		return -EINVAL;
	*first = from;
	*last = to;
	*list = s;
	return 1;
}

/** parse_cpus() - 1,3-5; at most TWINOS_MAX_CPUS, none twice */
int parse_cpus(const char *name, const char *text, uint32_t *cpus, uint32_t *nr)
{
	const char *s = text;
	uint32_t first, last, i;
	int more;

	*nr = 0;
	while ((more = next_numbers(&s, &first, &last)) > 0)
		for (; first <= last; first++) {
			if (*nr == TWINOS_MAX_CPUS)
				return refuse(E2BIG, "%s=%s names more than %d CPUs, the most that one OS can have",
					      name, text, TWINOS_MAX_CPUS);
			for (i = 0; i < *nr; i++)
				if (cpus[i] == first)
					return refuse(EINVAL, "%s=%s names CPU %u twice; name it once",
						      name, text, first);
			cpus[(*nr)++] = first;
		}
	return more || !*nr ? refuse_list(name, text, "CPU numbers, as in 1,3-5") : 0;
}

/** parse_irqs() - 3,11: interrupt pins of the ISA bus, none twice, hence at most 14 */
int parse_irqs(const char *name, const char *text, uint32_t *irqs, uint32_t *nr)
{
	static const char form[] = "interrupt pins, as in 3,11";
	const char *s = text;
	uint64_t pin;
	uint32_t i;

	*nr = 0;
	do {
		if (scan(&s, 10, &pin) || (*s && *s != ','))
			return refuse_list(name, text, form);
		/* Those above are PCI's INTx, of several devices at once. */
		if (pin >= 16)
			return refuse(EINVAL,
				      "%s=%s: only the ISA interrupt pins, 1 and 3 to 15, can be given away; PCI functions use MSI",
				      name, text);
		if (pin == 0 || pin == 2)
			return refuse(EINVAL,
				      "%s=%s: pin %u is the running OS's timer; leave it out",
				      name, text, (unsigned int)pin);
		for (i = 0; i < *nr; i++)
			if (irqs[i] == pin)
				return refuse(EINVAL, "%s=%s names pin %u twice; name it once",
					      name, text, irqs[i]);
		irqs[(*nr)++] = pin;
	} while (*s == ',' && *++s);
	return *s || s[-1] == ',' ? refuse_list(name, text, form) : 0;
}

/* Exactly n hexadecimal digits; moves *text behind them. */
static int scan_hex(const char **text, unsigned int n, unsigned int *value)
{
	const char *s = *text;

	for (*value = 0; n--; s++) {
		int d = digit(*s, 16);

		if (d < 0)
			return -EINVAL;
		*value = *value << 4 | d;
	}
	*text = s;
	return 0;
}

/** parse_pci() - [DDDD:]BB:DD.F,...; at most TWINOS_MAX_PCI, none twice */
int parse_pci(const char *name, const char *text, struct twinos_pci *pci, uint32_t *nr)
{
	static const char form[] = "PCI functions, as in 00:04.0,0000:00:05.0";
	const char *s = text;
	uint32_t i;

	*nr = 0;
	do {
		unsigned int domain = 0, bus, device, function;
		struct twinos_pci *p;

		if (strnlen(s, 5) == 5 && s[4] == ':') {
			if (scan_hex(&s, 4, &domain))
				return refuse_list(name, text, form);
			s++;
		}
		if (scan_hex(&s, 2, &bus) || *s++ != ':' || scan_hex(&s, 2, &device) ||
		    *s++ != '.' || scan_hex(&s, 1, &function) || device > 31 || function > 7)
			return refuse_list(name, text, form);
		if (*nr == TWINOS_MAX_PCI)
			return refuse(E2BIG, "%s=%s names more than %d PCI functions, the most that one OS can have",
				      name, text, TWINOS_MAX_PCI);
		p = &pci[*nr];
		p->domain = domain;
		p->bus = bus;
		p->devfn = device << 3 | function;
		for (i = 0; i < *nr; i++)
			if (!memcmp(&pci[i], p, sizeof(*p)))
				return refuse(EINVAL, "%s=%s names %04x:%02x:%02x.%x twice; name it once",
					      name, text, domain, bus, device, function);
		(*nr)++;
	} while (*s == ',' && *++s);
	return *s || s[-1] == ',' ? refuse_list(name, text, form) : 0;
}
