/* SPDX-License-Identifier: GPL-2.0 */
/* kexec --twinos, as upstream's code calls it. */
#ifndef KEXEC_TWINOS_H
#define KEXEC_TWINOS_H

#include <stdbool.h>
#include <twinos/abi.h>	/* its version, for --version */

bool twinos_requested(int argc, char **argv);
int twinos_main(int argc, char **argv);
bool twinos_present(void);
int twinos_exec(void);
void twinos_usage(void);
struct kexec_info;
void twinos_leave_windows(struct kexec_info *info);

#endif /* KEXEC_TWINOS_H */
