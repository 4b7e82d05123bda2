// SPDX-License-Identifier: GPL-2.0
/* How a coexisting OS tells the leading one that there is something for it. */
#include <linux/bitops.h>
#include <asm/sync_bitops.h>

#include "coexisting.h"

/**
 * twinos_ring_leading() - let the leading OS look. Any context but NMI.
 *
 * On a shared CPU it gets that for it when this OS is idle, or has used it a little longer.
 */
void twinos_ring_leading(unsigned int words)
{
	if (words & TWINOS_NEWS)
		WRITE_ONCE(twinos_common->doorbell, 1);
	/* Has it not looked since the last time? */
	if (words & TWINOS_WORK && sync_test_and_set_bit(twinos_shared()->id - 1,
							 (unsigned long *)&twinos_common->rung) &&
	    !(words & TWINOS_NEWS))
		return;
	guard(irqsave)();
	twinos_me()->doorbells++;
	if (twinos_dedicated())
		twinos_lapic_send(X86_PLATFORM_IPI_VECTOR, twinos_shared()->leading_apic_id);
	else
		twinos_note_for_other(X86_PLATFORM_IPI_VECTOR);
}
