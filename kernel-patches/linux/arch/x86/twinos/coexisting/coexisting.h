/* SPDX-License-Identifier: GPL-2.0 */
/* A coexisting OS: its platform, and what the platform is made of. */
#ifndef _TWINOS_COEXISTING_H
#define _TWINOS_COEXISTING_H

#include "../both/twinos.h"

/* pins.c */
extern struct twinos_share twinos_own_share;
void twinos_pins_init(void);

/* pci.c */
int twinos_pci_arch_init(void);
int twinos_pci_scan(void);

/* remap.c */
struct irq_domain *twinos_create_msi_domain(void);

/* guarded.c, early_nmi_64.S */
void twinos_guard_early(void);
void twinos_set_nmi_gate(void (*entry)(void));
asmlinkage bool twinos_guarded(void);
asmlinkage void twinos_early_nmi(void);
asmlinkage void twinos_filter_nmi(void);

/* ring.c */
#define TWINOS_NEWS	1	/* its state has changed, or it has printed: for who polls */
#define TWINOS_WORK	2	/* for the other end of its console or network */
void twinos_ring_leading(unsigned int words);

/* terminal.c, net.c */
void twinos_terminal_early(void);
void twinos_net_answer(void);

/* moved.c */
void twinos_answer_request(void);
void twinos_boot_done(void);
void twinos_moved(void);

#endif /* _TWINOS_COEXISTING_H */
