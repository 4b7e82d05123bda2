/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What kexec --twinos and the twinos command have in common: how a refusal is
 * said, how numbers and lists are understood, and what /sys/kernel/twinos tells
 * of the coexisting OSes. It changes nothing on the machine.
 *
 * Functions return 0 or a negative errno. Where the cause of a refusal is known,
 * refuse() notes one line for people; the program prints it when it ends.
 */
#ifndef LIBTWINOS_H
#define LIBTWINOS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <twinos/abi.h>

/* ---- refuse.c: the one line that says what was wrong and what to do ---- */

#define TWINOS_REFUSAL_MAX 1024

/* Note the line (without the program's name and newline); returns -err. */
int refuse(int err, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The line noted last, "" if none. */
const char *refusal(void);

/* ---- number.c: strict numbers and lists; name is what the option is called ---- */

/* A range of physical addresses, [start, start + size). */
struct range {
	uint64_t start;
	uint64_t size;
};

static inline uint64_t range_end(const struct range *r)
{
	return r->start + r->size;
}

int parse_number(const char *name, const char *text, uint64_t *value);
int parse_range(const char *name, const char *text, struct range *range);
int parse_count(const char *name, const char *text, unsigned int min, unsigned int max,
		const char *what, unsigned int *count);
int next_numbers(const char **list, uint32_t *first, uint32_t *last);
int parse_cpus(const char *name, const char *text, uint32_t *cpus, uint32_t *nr);
int parse_irqs(const char *name, const char *text, uint32_t *irqs, uint32_t *nr);
int parse_pci(const char *name, const char *text, struct twinos_pci *pci, uint32_t *nr);

/* ---- file.c: files of procfs and sysfs ---- */

/* Where the files of the running system are; "/proc" and so on. */
struct roots {
	const char *proc;
	const char *sys;
	const char *conf;		/* /etc/twinos.conf */
};

int read_file(const char *path, char **data, size_t *size);
int read_text(const char *directory, const char *file, char *buf, size_t size);
char *next_line(char **text);

/* ---- oses.c: the coexisting OSes that there are ---- */

struct os {
	uint32_t id;
	enum twinos_state state;
	enum twinos_mode mode;
	struct range window, low;	/* size 0: none */
	uint32_t nr_cpus, nr_pci, nr_irqs;
	uint32_t cpus[TWINOS_MAX_CPUS];
	struct twinos_pci pci[TWINOS_MAX_PCI];
	uint32_t irqs[TWINOS_MAX_IRQS];
};

struct os_list {
	unsigned int nr;
	struct os os[TWINOS_MAX_ID];	/* by number */
};

#define STATE(state) (1u << (state))

const char *state_name(enum twinos_state state);
const char *mode_name(enum twinos_mode mode);
int read_os_file(const struct roots *roots, uint32_t id, const char *name, char **text,
		 size_t *size);
int read_os(const struct roots *roots, uint32_t id, struct os *os);
int read_oses(const struct roots *roots, struct os_list *list);
const struct os *find_os(const struct os_list *list, uint32_t id);
bool os_running(const struct os *os);
bool os_claims(const struct os *os);
unsigned int os_numbers(const struct os_list *list, unsigned int states, char *text, size_t size);

#endif /* LIBTWINOS_H */
