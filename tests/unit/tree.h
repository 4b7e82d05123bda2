/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A temporary folder with the files of /proc and /sys that a test needs, either
 * written by the test or those of a recorded machine (machines/NAME: iomem,
 * interrupts, windows, and memmap as lines "START END TYPE").
 */
#ifndef TESTS_UNIT_TREE_H
#define TESTS_UNIT_TREE_H

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "libtwinos/libtwinos.h"

struct tree {
	char root[64], proc[80], sys[80], etc[80], conf[80];
	struct roots roots;
};

void tree__create(struct tree *t);
void tree__remove(struct tree *t);
/* Content is printf's; folders are made. */
void tree__file(struct tree *t, const char *path, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void tree__bytes(struct tree *t, const char *path, const void *data, size_t size);
void tree__link(struct tree *t, const char *path, const char *target);
void tree__folder(struct tree *t, const char *path);
/* A range of the firmware's memory map; nr is its folder's name. */
void tree__range(struct tree *t, unsigned int nr, uint64_t first, uint64_t last,
		 const char *type);
void tree__machine(struct tree *t, const char *name);
/*
 * What else is recorded of some machines: cmdline; topology, lines "CPU SIBLINGS NODE"; blocks,
 * lines "NODE SIZE FIRST-LAST ...", memory blocks by number; boot, lines "initrd START SIZE" and
 * "kaslr", what the boot loader and the decompressor have told.
 */
void tree__hardware(struct tree *t, const char *name);
void tree__boot_params(struct tree *t, uint64_t initrd, uint64_t size, bool kaslr);
/* A coexisting OS as /sys/kernel/twinos shows it. */
void tree__os(struct tree *t, unsigned int id, const char *state, const char *mode,
	      const char *share);

/* Its statistics, as they are in stats/NAME. */
void tree__stats(struct tree *t, unsigned int id, const char *name);

/*
 * Its statistics, with a last sign of life so many seconds ago: by a TSC so fast that what a test
 * takes does not count.
 */
void tree__life(struct tree *t, unsigned int id, unsigned int seconds, unsigned int moves);

/* Claiming this disk fails with err, and any other one works. */
void tree__claim(unsigned int major, unsigned int minor, int err);
/* How many disks have been claimed since the last time. */
unsigned int tree__claims(void);
int __wrap_try_claim(unsigned int major, unsigned int minor);

/* Run a shell text: its exit status, 128 and the signal that ended it; output is what it printed. */
int tree__shell(const char *command, char *output, size_t size);
/* The same of the twinos command, errors too; the tree's own folder is left out of what it said. */
int tree__twinos(const struct tree *t, const char *arguments, char *output, size_t size);
/* Set-up of a group whose tests run the twinos command; fails where there is none. */
int tree__has_twinos(void **state);

/* The last refusal must contain text and be one line without a newline. */
#define assert_refused(err, text) \
	_assert_refused(err, text, __FILE__, __LINE__)
void _assert_refused(int err, const char *text, const char *file, int line);

#endif
