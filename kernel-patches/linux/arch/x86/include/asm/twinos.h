/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the rest of the kernel calls in arch/x86/twinos. Every hook costs a
 * test of a variable, or nothing when CONFIG_TWINOS is off.
 */
#ifndef _ASM_X86_TWINOS_H
#define _ASM_X86_TWINOS_H

#include <linux/types.h>
#include <linux/twinos.h>

struct irq_matrix;

#ifdef CONFIG_TWINOS
extern int twinos_role;		/* index of this OS in twinos_shared.side */

void twinos_parse_setup_data(u64 pa_data, u32 len);
void twinos_reserve_vectors(struct irq_matrix *matrix);
bool twinos_idle(void);
bool twinos_bounce_ipi(unsigned int vector);
bool twinos_wait_later(void);
bool twinos_lock_ioapic(unsigned int reg);
void twinos_unlock(enum twinos_lock lock);

static inline bool twinos_coexisting(void)
{
	return twinos_role == TWINOS_COEXISTING;
}

/* An IPI between CPUs of the leading OS that has met the coexisting one? */
static inline bool twinos_foreign_ipi(unsigned int vector)
{
	return twinos_coexisting() && twinos_bounce_ipi(vector);
}
#else
static inline void twinos_parse_setup_data(u64 pa_data, u32 len) { }
static inline void twinos_reserve_vectors(struct irq_matrix *matrix) { }
static inline bool twinos_idle(void) { return false; }
static inline bool twinos_lock_ioapic(unsigned int reg) { return true; }
static inline void twinos_unlock(enum twinos_lock lock) { }
static inline bool twinos_wait_later(void) { return false; }
static inline bool twinos_coexisting(void) { return false; }
static inline bool twinos_foreign_ipi(unsigned int vector) { return false; }
#endif

#endif /* _ASM_X86_TWINOS_H */
