/* SPDX-License-Identifier: GPL-2.0 */
/* Configuration space with other kernels beside this one; see pci.c. */
#ifndef _TWINOS_PCI_H
#define _TWINOS_PCI_H

#include <asm/pci_x86.h>	/* which nobody may include twice */

extern const struct pci_raw_ops twinos_pci_ops;
void twinos_pci_divert(const struct pci_raw_ops *ops);

#endif /* _TWINOS_PCI_H */
