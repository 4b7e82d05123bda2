/* SPDX-License-Identifier: GPL-2.0 */
/*
 * /dev/twinos/control: what can be done with a coexisting OS after kexec_load(2) and
 * reboot(2), which load and launch it (twinos/abi.h). A leading OS has this
 * device, for root alone; a coexisting one has not.
 *
 * The commands are ioctl(2) with a struct twinos_control. Each needs
 * CAP_SYS_BOOT, returns when it is done (TWINOS_STOP when the OS has been asked),
 * and fails with nothing changed where not said otherwise:
 *
 *   EPERM      no CAP_SYS_BOOT, or lockdown
 *   EINVAL     a field that the command does not use is not 0
 *   ENOTTY     no command of this device
 *   ENOENT     TWINOS_UNLOAD: there is no such OS
 *   ESRCH      the others: it is not running
 *   EBUSY      TWINOS_UNLOAD: it runs; TWINOS_MOVE: another OS shares CPU 0
 *   EINTR      a signal came while other commands were waited for
 *
 * and TWINOS_MOVE also with
 *
 *   EOPNOTSUPP the OS has several CPUs, or CPU 0 cannot be shared
 *   ENODEV     there is no such CPU, or it is not the leading OS's
 *   ECANCELED  the CPU cannot be taken offline
 *   ETIMEDOUT  the OS does not answer
 *   EIO        the OS hung on the way, and has ended
 *
 * poll(2) says that it can be read (POLLIN, POLLPRI) when the state of any OS in
 * /sys/kernel/twinos has changed since this file was opened or read: by load,
 * unload, launch, its first process, move or end; or when one has printed something
 * (osN/log; log_bytes in osN/stats counts). A coexisting OS interrupts the leading
 * one for that only while somebody polls. read(2) never waits; it gives a __u64, the
 * number of changes so far. So nothing is missed by who reads here, then looks at the
 * states and logs, then polls.
 */
#ifndef TWINOS_CONTROL_H
#define TWINOS_CONTROL_H

#include <linux/ioctl.h>
#include <linux/types.h>

struct twinos_control {
	__u32 id;		/* number of the coexisting OS */
	__u32 cpu;		/* TWINOS_MOVE: where it goes on, 0: it shares that one */
	__u64 reserved;		/* 0 */
};

#define TWINOS_STOP	_IOW(0xb9, 0, struct twinos_control)	/* ask it to shut down */
#define TWINOS_KILL	_IOW(0xb9, 1, struct twinos_control)	/* end it without asking */
#define TWINOS_MOVE	_IOW(0xb9, 2, struct twinos_control)	/* to another CPU */
#define TWINOS_UNLOAD	_IOW(0xb9, 3, struct twinos_control)	/* its devices return */

#endif /* TWINOS_CONTROL_H */
