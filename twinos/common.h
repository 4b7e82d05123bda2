/* SPDX-License-Identifier: GPL-2.0 */
/* What the commands of twinos have in common. */
#ifndef TWINOS_COMMON_H
#define TWINOS_COMMON_H

#include <jansson.h>
#include "libtwinos/libtwinos.h"

#define EXIT_REFUSED	1	/* no TwinOS, no such OS, value refused */
#define EXIT_USAGE	100
#define EXIT_SYSTEM	111	/* a file could not be read or written */

enum option_key {
	OPTION_OS, OPTION_JSON, OPTION_RAW, OPTION_ALL, OPTION_FOLLOW, OPTION_LIMIT,
	OPTION_QUIET, OPTION_STATE, OPTION_TIMEOUT, OPTION_MEMORY, OPTION_CPUS, OPTION_PCI,
	OPTION_IRQ, OPTION_ROOT, OPTION_FORCE, OPTION_UPDATE, OPTION_DRY_RUN, OPTION_ONCE,
	OPTION_DELAY, OPTION_OUTPUT, OPTION_SVG, OPTION_FOR, OPTION_INPUT, OPTIONS
};

#define TAKES(option) (1u << OPTION_##option)

struct options {
	const char *text[OPTIONS];	/* NULL: not given; "" for one without a value */
	const char *const *words;	/* behind the command */
	unsigned int nr_words;
	unsigned int limit, timeout;	/* seconds; 0: not given */
};

#define GIVEN(options, option) (!!(options)->text[OPTION_##option])

struct command {
	const char *name;
	int (*run)(const struct options *options);	/* returns the exit status */
	unsigned int takes;				/* options */
	unsigned int min_words, max_words;
	bool os_is_word;				/* the first one; then --os can be it */
};

extern struct roots roots;

/* One line on standard error, and the end. */
void die(int status, const char *format, ...) __attribute__((noreturn, format(printf, 2, 3)));
/* With the refusal that libtwinos has noted. */
void fail(int err) __attribute__((noreturn));
void die_gone(const char *os) __attribute__((noreturn));

void print_json(json_t *value);
char *read_own(const char *name);
bool is_leading(void);
void need_leading(void);
char *read_of(const struct os *os, const char *name, size_t *size);
struct os wanted_os(const char *text);
int find_os_by(const char *text, struct os *os);
void check_os_text(const char *name, const char *text);
const char *os_word(const struct options *options);
const char *end_verb(enum twinos_state state);
void format_cpus(const struct os *os, char *text, size_t size);
void format_pci(const struct twinos_pci *pci, char *text, size_t size);
json_t *share_json(const struct os *os);

/* status.c */
int run_status(const struct options *options);
int run_share(const struct options *options);
int run_windows(const struct options *options);

/* log.c */
int run_log(const struct options *options);

/* console.c */
int run_console(const struct options *options);

/* adjust.c */
int run_slice(const struct options *options);
int run_weight(const struct options *options);
int run_set(const struct options *options);

/* list.c */
int run_list(const struct options *options);
char *format(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *format_time(double seconds);
json_t *number_json(double number);

/* top.c */
int run_top(const struct options *options);

/* metrics.c */
int run_metrics(const struct options *options);

/* map.c */
int run_map(const struct options *options);

/* timeline.c */
int run_timeline(const struct options *options);

/* operate.c */
int run_start(const struct options *options);
int run_stop(const struct options *options);
int run_kill(const struct options *options);
int run_restart(const struct options *options);
int run_unload(const struct options *options);
int run_move(const struct options *options);

/* run.c */
int run_run(const struct options *options);

/* wait.c */
int run_wait(const struct options *options);

/* plan.c */
int run_plan(const struct options *options);

/* check.c */
int run_check(const struct options *options);

#endif
