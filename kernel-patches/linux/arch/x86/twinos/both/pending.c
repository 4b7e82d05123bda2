// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupts that have met the other OS on a shared CPU: noted in the shared page as the vectors of
 * their owner, and raised again by that one when it has the CPU. A vector that is noted twice is
 * one interrupt, as in a local APIC.
 */
#include <linux/bitops.h>
#include <asm/sync_bitops.h>

#include "twinos.h"

/** twinos_note() - note a vector for an OS. Any context, any CPU: locked as twinos_lock(). */
void twinos_note(struct twinos_side *side, unsigned int vector)
{
	sync_set_bit(vector % 64, (unsigned long *)&side->pending[vector / 64]);
}

/** twinos_raise_pending() - raise what has been noted for this OS. Interrupts off. */
void twinos_raise_pending(void)
{
	struct twinos_side *me = twinos_me();
	unsigned int word, bit;

	for (word = 0; word < ARRAY_SIZE(me->pending); word++) {
		unsigned long pending = 0;

		if (unlikely(READ_ONCE(me->pending[word])))
			pending = xchg(&me->pending[word], 0);
		for_each_set_bit(bit, &pending, 64)
			twinos_lapic_send(APIC_DEST_SELF | (word * 64 + bit), 0);
	}
}

/** twinos_raise_system() - raise them again */
void twinos_raise_system(u32 vectors)
{
	unsigned long pending = vectors;
	unsigned int bit;

	for_each_set_bit(bit, &pending, 32)
		twinos_lapic_send(APIC_DEST_SELF | (224 + bit), 0);
}

/** twinos_keep_pending() - note what is pending here before a coexisting OS leaves the CPU */
void twinos_keep_pending(void)
{
	unsigned int i, bit;

	for (i = 1; i < 8; i++) {
		unsigned long irr = i < 7 ? twinos_lapic_read(APIC_IRR + i * 0x10) :
					    twinos_pending_system();

		for_each_set_bit(bit, &irr, 32)
			twinos_note(twinos_me(), 32 * i + bit);
	}
}
