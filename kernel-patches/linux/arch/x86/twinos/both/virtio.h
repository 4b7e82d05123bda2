/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The end of the network between two OSes that a kernel's own virtio driver sees: a virtio device
 * whose registers are in plain memory (struct twinos_virtio).
 */
#ifndef _TWINOS_VIRTIO_H
#define _TWINOS_VIRTIO_H

#include <linux/completion.h>
#include <linux/virtio.h>
#include "twinos.h"

/* Bit of twinos_virtio.interrupts, behind those of the queues. */
#define TWINOS_CONFIG_CHANGED	TWINOS_QUEUES

struct twinos_virtio_device {
	struct virtio_device vdev;
	struct twinos_virtio *regs;
	struct virtqueue *queues[TWINOS_QUEUES];
	struct completion released;
	/* The driver has made buffers available, or changed its state. Any context but NMI. */
	void (*notify)(struct twinos_virtio_device *device);
};

/* virtio.c */
int twinos_virtio_register(struct twinos_virtio_device *device, const char *name);
void twinos_virtio_unregister(struct twinos_virtio_device *device);
void twinos_virtio_interrupt(struct twinos_virtio_device *device);

#endif /* _TWINOS_VIRTIO_H */
