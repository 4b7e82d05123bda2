// SPDX-License-Identifier: GPL-2.0
/*
 * Offsets of the fields that transit_64.S uses, so that no number is typed
 * twice.
 */
#define COMPILE_OFFSETS

#include <linux/kbuild.h>
#include <asm/apicdef.h>
#include <asm/fixmap.h>
#include <twinos/abi.h>

static void __used common(void)
{
	OFFSET(TRANSIT_cr0, twinos_transit, cr0);
	OFFSET(TRANSIT_cr3, twinos_transit, cr3);
	OFFSET(TRANSIT_cr4, twinos_transit, cr4);
	OFFSET(TRANSIT_rsp, twinos_transit, rsp);
	BLANK();
	OFFSET(SHARED_state, twinos_shared, state);
	OFFSET(SHARED_leading, twinos_shared, side[TWINOS_LEADING].transit);
	OFFSET(SHARED_leading_apic, twinos_shared, leading_apic_id);
	OFFSET(SHARED_parked, twinos_shared, parked);
	OFFSET(SHARED_noted, twinos_shared, noted);
	OFFSET(COMMON_doorbell, twinos_common, doorbell);
	OFFSET(COMMON_crashed, twinos_common, crashed);
	BLANK();
	DEFINE(LAPIC_ICR, TWINOS_LAPIC_OFFSET + APIC_ICR);
	DEFINE(LAPIC_ICR2, TWINOS_LAPIC_OFFSET + APIC_ICR2);
	DEFINE(APIC_ICR_BUSY_BIT, APIC_ICR_BUSY);
	DEFINE(LAPIC_EOI_VA, __fix_to_virt(FIX_APIC_BASE) + APIC_EOI);
	DEFINE(MSR_X2APIC_ICR, APIC_BASE_MSR + (APIC_ICR >> 4));
	DEFINE(MSR_X2APIC_EOI, APIC_BASE_MSR + (APIC_EOI >> 4));
	DEFINE(APICBASE_X2APIC, X2APIC_ENABLE);
}
