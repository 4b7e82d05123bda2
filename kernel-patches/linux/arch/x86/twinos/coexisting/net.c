// SPDX-License-Identifier: GPL-2.0
/*
 * The network device of a coexisting OS: virtio_net finds it here, its other end is the leading
 * OS (leading/wire.c).
 */
#include "../both/virtio.h"
#include "coexisting.h"

static void notify(struct twinos_virtio_device *unused)
{
	twinos_ring_leading(TWINOS_WORK);
}

static struct twinos_virtio_device net = { .notify = notify };

/** twinos_net_answer() - it may have news. Hard interrupt context. */
void twinos_net_answer(void)
{
	if (READ_ONCE(net.regs))
		twinos_virtio_interrupt(&net);
}

/* Behind the devices of the share, which keep the numbers that they have without this one. */
static int __init net_init(void)
{
	struct twinos_virtio *regs = twinos_va(TWINOS_NET_OFFSET);

	if (!twinos_coexisting() || !regs->device_features)
		return 0;
	WRITE_ONCE(net.regs, regs);
	return twinos_virtio_register(&net, "twinos0");
}
device_initcall_sync(net_init);
