/* SPDX-License-Identifier: GPL-2.0 */
/* The ends of a coexisting OS's console: hvc terminals in both kernels. */
#ifndef _TWINOS_TERMINAL_H
#define _TWINOS_TERMINAL_H

#include "twinos.h"

/* By the number of the OS in the leading one; a coexisting OS's own is number 0. */
struct twinos_terminal {
	struct hvc_struct *hvc;		/* NULL: there is none yet */
	struct twinos_shared *shared;	/* NULL: the OS has not been launched */
	void (*ring)(u32 number);	/* the other end may have something to do */
	bool live;			/* the OS runs */
	bool waiting;			/* for room to write */
};

extern struct twinos_terminal twinos_terminals[];

/* terminal.c */
void twinos_print(const char *text, size_t count);
int twinos_terminal_add(u32 number);
void twinos_terminal_remove(u32 number);
bool twinos_terminal_in_use(u32 number);
int twinos_terminal_index(u32 number);
void twinos_terminal_answer(u32 number);

#endif /* _TWINOS_TERMINAL_H */
