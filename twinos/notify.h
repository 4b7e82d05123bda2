/* SPDX-License-Identifier: GPL-2.0 */
/* What a supervisor is told, by the protocol of sd_notify(3). */
#ifndef TWINOS_NOTIFY_H
#define TWINOS_NOTIFY_H

/* Lines of assignments; nothing happens without a supervisor. */
void notify(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* How often it wants a sign of life, in seconds; 0: not at all. */
double watchdog_seconds(void);

#endif
