// SPDX-License-Identifier: GPL-2.0
/*
 * The consoles of coexisting OSes as terminals of this one. They stay when an OS ends, with what it
 * has written, and go on with its next launch.
 */
#include "leading.h"
#include "../both/terminal.h"

static struct twinos_os *oses[TWINOS_MAX_ID + 1];

static void ring(u32 id)
{
	twinos_ring_os(oses[id]);
}

/** twinos_terminal_create() - of an OS that is loaded. Process context, twinos_mutex held. */
void twinos_terminal_create(struct twinos_os *os)
{
	int err = twinos_terminal_add(os->id);

	if (err)
		pr_warn("no terminal for coexisting OS %u: error %d\n", os->id, err);
}

/** twinos_terminal_open() - it is about to be launched, its shared area empty. Likewise. */
void twinos_terminal_open(struct twinos_os *os)
{
	struct twinos_terminal *t = &twinos_terminals[os->id];

	oses[os->id] = os;
	t->ring = ring;
	if (twinos_terminal_in_use(os->id)) {
		os->shared->reading = 1;
		os->shared->output.data_wanted = 1;
	}
	/* Pairs with twinos_terminal_answer(). */
	smp_store_release(&t->shared, os->shared);
	WRITE_ONCE(t->live, true);
}

/** twinos_terminal_close() - it has ended. Likewise. */
void twinos_terminal_close(struct twinos_os *os)
{
	WRITE_ONCE(twinos_terminals[os->id].live, false);
}

/** twinos_terminal_delete() - it is forgotten. Likewise. */
void twinos_terminal_delete(struct twinos_os *os)
{
	twinos_terminal_remove(os->id);
	WRITE_ONCE(twinos_terminals[os->id].shared, NULL);
}
