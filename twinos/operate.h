/* SPDX-License-Identifier: GPL-2.0 */
/* What starting has in common with running in the foreground. */
#ifndef TWINOS_OPERATE_H
#define TWINOS_OPERATE_H

#include "libtwinos/libtwinos.h"

int read_launched(const struct os *launched, struct os *now);
void show_last_lines(const char *name, uint32_t id);

#endif
