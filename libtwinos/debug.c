// SPDX-License-Identifier: GPL-2.0
/* kexec -d: where everything goes. */
#include <stdarg.h>
#include "libtwinos.h"

bool twinos_debug;

void debug(const char *format, ...)
{
	va_list args;

	if (!twinos_debug)
		return;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
}
