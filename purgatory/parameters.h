/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The first bytes of the TwinOS purgatory, which is a flat, position-independent
 * binary: what kexec tells it, and where kexec finds its parts. Used by C and
 * assembly; the offsets are checked against the struct in fault.c.
 */
#ifndef TWINOS_PURGATORY_PARAMETERS_H
#define TWINOS_PURGATORY_PARAMETERS_H

#define PURGATORY_MAGIC		0x79726f7461677275	/* "urgatory" */

/* Offsets in struct purgatory_parameters. */
#define PARAMETER_KERNEL_ENTRY	0x20
#define PARAMETER_BOOT_PARAMS	0x28
#define PARAMETER_ENTRY_32BIT	0x30
#define PARAMETER_SHARED	0x38

#define PURGATORY_ENTRY		0x40	/* where the kernel enters */
#define PURGATORY_VECTORS	32	/* exceptions and NMI */
#define PURGATORY_STUB_SIZE	16	/* bytes from one vector's stub to the next */

/* Selectors of the boot protocol, __BOOT_CS and __BOOT_DS, and one more. */
#define PURGATORY_CS32		0x08
#define PURGATORY_CS		0x10
#define PURGATORY_DS		0x18
#define PURGATORY_INTERRUPT_GATE 0x8e

#ifndef __ASSEMBLY__
#include <stdint.h>

struct purgatory_parameters {
	uint64_t magic;		/* filled in by the build, down to idt */
	uint64_t size;		/* of the binary */
	uint64_t vectors;	/* offset of the first stub */
	uint64_t idt;		/* offset of the gates, filled in by kexec */
	uint64_t kernel_entry;	/* physical; filled in by kexec, down to entry_32bit */
	uint64_t boot_params;	/* physical */
	uint64_t entry_32bit;	/* 0 or 1 */
	uint64_t shared;	/* struct twinos_shared, virtual; at run time */
};

struct purgatory_gate {
	uint16_t offset_0;
	uint16_t selector;
	uint8_t ist;
	uint8_t type;
	uint16_t offset_16;
	uint32_t offset_32;
	uint32_t reserved;
};
#endif

#endif /* TWINOS_PURGATORY_PARAMETERS_H */
