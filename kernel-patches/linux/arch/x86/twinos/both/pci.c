// SPDX-License-Identifier: GPL-2.0
/*
 * PCI configuration space with other kernels beside this one. Ports 0xcf8 and 0xcfc are an address
 * and a data register for the whole machine: locked, and only used where memory-mapped access does
 * not reach. A kernel that begins to boot uses them before it knows that it is not alone.
 */
#include <asm/pci_x86.h>

#include "twinos.h"

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
