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
void twinos_parse_setup_data(u64 pa_data, u32 len);
void twinos_reserve_vectors(struct irq_matrix *matrix);
bool twinos_idle(void);
#else
static inline void twinos_parse_setup_data(u64 pa_data, u32 len) { }
static inline void twinos_reserve_vectors(struct irq_matrix *matrix) { }
static inline bool twinos_idle(void) { return false; }
#endif

#endif /* _ASM_X86_TWINOS_H */
