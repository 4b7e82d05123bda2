// SPDX-License-Identifier: GPL-2.0
/*
 * PCI configuration space with other kernels beside this one. Ports 0xcf8 and 0xcfc are an address
 * and a data register for the whole machine, only used where memory-mapped access does not reach,
 * and by one kernel at a time: two that mix their accesses up would write to each other's device.
 * The lock is in the common page. A kernel that begins to boot does not know of the others yet.
 */
#include <asm/pci_x86.h>

#include "twinos.h"

static bool alone;		/* the lock is not for us any more */

static u32 my_number(void)
{
	return twinos_coexisting() ? twinos_shared()->id + 1 : 1;
}

/* Has the OS that holds the lock ended, so that it will never free it? */
static bool holder_ended(u32 holder)
{
	const struct twinos_shared *shared;

	if (twinos_coexisting() || holder < 2 || holder > TWINOS_MAX_ID + 1)
		return false;
	shared = twinos_slot(holder - 1);
	return shared && READ_ONCE(shared->state) > TWINOS_RUNNING;
}

/**
 * twinos_lock() - keep every other CPU of the machine from the ports
 *
 * Interrupts off, for a few instructions: nobody can be switched or moved away, and only a kernel
 * that is ended from outside keeps the lock, which the leading OS then frees. Not in an NMI.
 *
 * sync_cmpxchg(), because a kernel that has one CPU drops the lock prefix of the ordinary one
 * (alternatives_smp_module_add()), and the machine has more.
 */
void twinos_lock(void)
{
	u32 holder;

	while (!READ_ONCE(alone) &&
	       (holder = sync_cmpxchg(&twinos_common->lock, 0, my_number()))) {
		if (holder_ended(holder))
			twinos_break_locks(holder - 1);
		cpu_relax();
	}
}

/** twinos_unlock() - the counterpart of twinos_lock() */
void twinos_unlock(void)
{
	smp_store_release(&twinos_common->lock, 0);	/* pairs with twinos_lock() */
}

/** twinos_holds_lock() - may somebody wait for what this CPU was interrupted in? */
bool twinos_holds_lock(void)
{
	return READ_ONCE(twinos_common->lock) == my_number();
}

/** twinos_break_locks() - free what an OS holds whose CPUs have been stopped */
void twinos_break_locks(u32 id)
{
	sync_cmpxchg(&twinos_common->lock, id + 1, 0);
}

/**
 * twinos_alone() - leading OS: nobody else is to run any more, its crash kernel starts
 *
 * The lock is not waited for: whoever has it may have been stopped. No CPU comes back to this
 * kernel from another OS: the transit code halts it.
 */
void twinos_alone(void)
{
	WRITE_ONCE(alone, true);
	WRITE_ONCE(twinos_common->crashed, 1);
}

static const struct pci_raw_ops *conf_ops, *ext_ops;

DEFINE_LOCK_GUARD_0(ports, twinos_lock(), twinos_unlock())

static int shared_read(unsigned int domain, unsigned int bus, unsigned int devfn,
		       int reg, int len, u32 *val)
{
	if (ext_ops && !ext_ops->read(domain, bus, devfn, reg, len, val))
		return 0;
	if (!conf_ops || domain || reg > 255)
		return -EINVAL;
	guard(irqsave)();
	guard(ports)();
	return conf_ops->read(domain, bus, devfn, reg, len, val);
}

static int shared_write(unsigned int domain, unsigned int bus, unsigned int devfn,
			int reg, int len, u32 val)
{
	if (ext_ops && !ext_ops->write(domain, bus, devfn, reg, len, val))
		return 0;
	if (!conf_ops || domain || reg > 255)
		return -EINVAL;
	guard(irqsave)();
	guard(ports)();
	return conf_ops->write(domain, bus, devfn, reg, len, val);
}

const struct pci_raw_ops twinos_pci_ops = {
	.read	= shared_read,
	.write	= shared_write,
};

/**
 * twinos_pci_divert() - from now on this kernel reaches configuration space by @ops
 * @ops: twinos_pci_ops, or what calls these
 */
void twinos_pci_divert(const struct pci_raw_ops *ops)
{
	if (raw_pci_ops == ops)
		return;
	conf_ops = raw_pci_ops;
	ext_ops = raw_pci_ext_ops;
	smp_wmb();	/* before others come here */
	raw_pci_ops = ops;
	if (ext_ops)
		raw_pci_ext_ops = ops;
}
