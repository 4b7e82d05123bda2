/* SPDX-License-Identifier: GPL-2.0 */
/*
 * TwinOS as the architecture-independent part of the kernel sees it:
 * kexec_load() into its own slot, and the commands that start, stop, move and
 * forget what is loaded. See arch/x86/twinos/load.c.
 */
#ifndef _LINUX_TWINOS_H
#define _LINUX_TWINOS_H

#include <linux/errno.h>
#include <twinos/abi.h>

struct kexec_segment;

#ifdef CONFIG_TWINOS
int twinos_kexec_load(unsigned long entry, unsigned long nr_segments,
		      struct kexec_segment __user *segments, unsigned long flags);
int twinos_reboot(unsigned int cmd, unsigned long arg);
#else
static inline int twinos_kexec_load(unsigned long entry, unsigned long nr_segments,
				    struct kexec_segment __user *segments,
				    unsigned long flags)
{
	return -EINVAL;
}

static inline int twinos_reboot(unsigned int cmd, unsigned long arg)
{
	return -EINVAL;
}
#endif

#endif /* _LINUX_TWINOS_H */
