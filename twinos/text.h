/* SPDX-License-Identifier: GPL-2.0 */
/* Another kernel's text, which may hold anything, for a terminal and for JSON. */
#ifndef TWINOS_TEXT_H
#define TWINOS_TEXT_H

#include <stddef.h>
#include <jansson.h>

char *visible_text(const char *text, size_t size);
json_t *json_text(const char *text, size_t size);

#endif
