// SPDX-License-Identifier: GPL-2.0
/*
 * Which kernel's modules an initrd has: it is made for one version, and a kernel of another finds
 * no driver in it. Archives of any kind may follow each other, as where microcode comes first.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "libtwinos.h"

#define CPIO_HEADER 110			/* "070701" and 13 numbers of 8 hexadecimal digits */
#define CPIO_SIZE 6
#define CPIO_NAMESIZE 11
#define UNPACKED_MAX ((size_t)1 << 30)

struct search {
	const char *version;
	bool found;
	char *other;			/* a version that is there instead */
	size_t other_size;
};

static bool is_cpio(const uint8_t *at, size_t size)
{
	return size >= CPIO_HEADER && (!memcmp(at, "070701", 6) || !memcmp(at, "070702", 6));
}

static size_t cpio_number(const uint8_t *header, unsigned int field)
{
	char digits[9] = "";

	memcpy(digits, header + 6 + field * 8, 8);
	return strtoul(digits, NULL, 16);
}

/* lib/modules/VERSION/…, in whatever folder lib is */
static void look_at_name(struct search *s, const char *name)
{
	static const char folder[] = "lib/modules/";
	const char *version = strstr(name, folder);
	size_t length;

	if (!version)
		return;
	version += strlen(folder);
	length = strcspn(version, "/");
	if (!length)
		return;
	if (length == strlen(s->version) && !memcmp(version, s->version, length))
		s->found = true;
	else if (length < s->other_size)
		snprintf(s->other, s->other_size, "%.*s", (int)length, version);
}

static size_t align_4(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

/* Plain archives and the zeroes between them; returns how far they reach. */
static size_t walk_plain(struct search *s, const uint8_t *file, size_t size)
{
	size_t at = 0;

	while (at < size) {
		size_t name_size, data, next;

		if (!file[at]) {
			at++;
			continue;
		}
		if (!is_cpio(file + at, size - at))
			break;
		name_size = cpio_number(file + at, CPIO_NAMESIZE);
		data = at + align_4(CPIO_HEADER + name_size);
		next = data + align_4(cpio_number(file + at, CPIO_SIZE));
		if (!name_size || data > size || next > size || next <= at ||
		    file[at + CPIO_HEADER + name_size - 1])
			return size;		/* damaged; the kernel will say so */
		look_at_name(s, (const char *)file + at + CPIO_HEADER);
		at = next;
	}
	return at;
}

/**
 * find_modules() - has an initrd modules of this version?
 * @other: a version of which it has some, "" if there is none
 *
 * Returns 1 if it has, 0 if not, or -errno without a refusal if it cannot be read here.
 */
int find_modules(const uint8_t *file, size_t size, const char *version, char *other,
		 size_t other_size)
{
	struct search s = { .version = version, .other = other, .other_size = other_size };
	size_t at, unpacked_size, max;
	uint8_t *unpacked;
	int err;

	*other = 0;
	at = walk_plain(&s, file, size);
	if (at < size) {
		max = (size - at) < UNPACKED_MAX / 16 ? (size - at) * 16 : UNPACKED_MAX;
		err = unpack_initrd(file + at, size - at, max, &unpacked, &unpacked_size);
		if (err)
			return s.found ? 1 : err;
		walk_plain(&s, unpacked, unpacked_size);
		free(unpacked);
	}
	return s.found;
}
