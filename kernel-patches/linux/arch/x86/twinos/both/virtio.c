// SPDX-License-Identifier: GPL-2.0
/*
 * A virtio transport whose registers are plain memory, the same in both roles, for a network device:
 * the kernel's own driver does the rest. The device is the leading OS (leading/wire.c); to reach it
 * is the role's business. Nothing of the configuration is a driver's to change.
 */
#include <linux/delay.h>
#include <linux/platform_device.h>
#include <linux/rcupdate.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include "virtio.h"

static struct twinos_virtio_device *to_device(struct virtio_device *vdev)
{
	return container_of(vdev, struct twinos_virtio_device, vdev);
}

static void get(struct virtio_device *vdev, unsigned int offset, void *buf, unsigned int len)
{
	const struct twinos_virtio *regs = to_device(vdev)->regs;

	memset(buf, 0, len);
	if (twinos_inside(offset, len, 0, sizeof(regs->config)))
		memcpy(buf, regs->config + offset, len);
	/* To a request for an announcement the driver would answer by a queue that is not there. */
	if (offset == offsetof(struct virtio_net_config, status) && len == sizeof(u16))
		*(u16 *)buf &= VIRTIO_NET_S_LINK_UP;
}

static u8 get_status(struct virtio_device *vdev)
{
	return READ_ONCE(to_device(vdev)->regs->status);
}

static void set_status(struct virtio_device *vdev, u8 status)
{
	struct twinos_virtio_device *device = to_device(vdev);

	/* The device must find the rings that it covers. */
	smp_store_release(&device->regs->status, status);
	if (status & VIRTIO_CONFIG_S_DRIVER_OK)
		device->notify(device);
}

/* When it returns the device has left the rings alone, and will. */
static void reset(struct virtio_device *vdev)
{
	struct twinos_virtio_device *device = to_device(vdev);
	bool used = get_status(vdev) & VIRTIO_CONFIG_S_DRIVER_OK;

	WRITE_ONCE(device->regs->resets, device->regs->resets + 1);
	WRITE_ONCE(device->regs->status, 0);
	smp_mb();	/* pairs with run_locked() in leading/wire.c: either sees the other's store */
	while (READ_ONCE(device->regs->busy))
		fsleep(1000);
	if (used)
		device->notify(device);
}

static u64 get_features(struct virtio_device *vdev)
{
	return READ_ONCE(to_device(vdev)->regs->device_features);
}

static int finalize_features(struct virtio_device *vdev)
{
	vring_transport_features(vdev);
	if (!__virtio_test_bit(vdev, VIRTIO_F_VERSION_1) ||
	    !__virtio_test_bit(vdev, VIRTIO_RING_F_EVENT_IDX)) {
		dev_err(&vdev->dev, "its driver is too old\n");
		return -EINVAL;
	}
	WRITE_ONCE(to_device(vdev)->regs->driver_features, vdev->features);
	return 0;
}

static bool notify(struct virtqueue *queue)
{
	struct twinos_virtio_device *device = to_device(queue->vdev);

	device->notify(device);
	return true;
}

static void del_vqs(struct virtio_device *vdev)
{
	struct twinos_virtio_device *device = to_device(vdev);
	struct virtqueue *queue, *next;
	unsigned int i;

	for (i = 0; i < TWINOS_QUEUES; i++)
		WRITE_ONCE(device->queues[i], NULL);
	synchronize_rcu();	/* twinos_virtio_interrupt() */
	list_for_each_entry_safe(queue, next, &vdev->vqs, list) {
		device->regs->queues[queue->index].size = 0;
		vring_del_virtqueue(queue);
	}
}

static int find_vqs(struct virtio_device *vdev, unsigned int nr, struct virtqueue *queues[],
		    struct virtqueue_info info[], struct irq_affinity *unused)
{
	struct twinos_virtio_device *device = to_device(vdev);
	unsigned int i;

	for (i = 0; i < nr; i++) {
		struct virtqueue *queue = NULL;

		if (i < TWINOS_QUEUES && info[i].name)
			queue = vring_create_virtqueue(i, TWINOS_QUEUE_SIZE, PAGE_SIZE, vdev, true,
						       true, info[i].ctx, notify, info[i].callback,
						       info[i].name);
		if (!queue) {
			del_vqs(vdev);
			return i < TWINOS_QUEUES ? -ENOMEM : -ENOENT;
		}
		queue->num_max = TWINOS_QUEUE_SIZE;
		device->regs->queues[i].descriptors = virtqueue_get_desc_addr(queue);
		device->regs->queues[i].available = virtqueue_get_avail_addr(queue);
		device->regs->queues[i].used = virtqueue_get_used_addr(queue);
		device->regs->queues[i].size = virtqueue_get_vring_size(queue);
		queues[i] = queue;
		/* Whole before an interrupt can find it. */
		smp_store_release(&device->queues[i], queue);
	}
	return 0;
}

static const struct virtio_config_ops ops = {
	.get = get,
	.get_status = get_status,
	.set_status = set_status,
	.reset = reset,
	.find_vqs = find_vqs,
	.del_vqs = del_vqs,
	.get_features = get_features,
	.finalize_features = finalize_features,
};

/** twinos_virtio_interrupt() - the device may have news. Any context but NMI. */
void twinos_virtio_interrupt(struct twinos_virtio_device *device)
{
	unsigned long pending = 0;
	unsigned int i;

	guard(rcu)();
	if (READ_ONCE(device->regs->interrupts))
		pending = xchg(&device->regs->interrupts, 0);
	for (i = 0; i < TWINOS_QUEUES; i++) {
		struct virtqueue *queue = READ_ONCE(device->queues[i]);

		if (queue && pending & BIT(i))
			vring_interrupt(0, queue);
	}
	if (pending & BIT(TWINOS_CONFIG_CHANGED))
		virtio_config_changed(&device->vdev);
}

static void release(struct device *dev)
{
	complete(&to_device(dev_to_virtio(dev))->released);
}

/**
 * twinos_virtio_register() - let a driver have it
 * @device: its registers and notify() are set; the registers say what the device offers
 * @name: of the platform device above it
 *
 * Process context. Returns 0 or an errno.
 */
int twinos_virtio_register(struct twinos_virtio_device *device, const char *name)
{
	struct platform_device *parent;
	int err;

	parent = platform_device_register_simple(name, PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(parent))
		return PTR_ERR(parent);
	device->vdev = (struct virtio_device) {
		.id = { .device = VIRTIO_ID_NET, .vendor = VIRTIO_DEV_ANY_ID },
		.config = &ops,
		.dev = { .parent = &parent->dev, .release = release },
	};
	init_completion(&device->released);
	err = register_virtio_device(&device->vdev);
	if (err) {
		put_device(&device->vdev.dev);
		platform_device_unregister(parent);
	}
	return err;
}

/** twinos_virtio_unregister() - the counterpart: nobody refers to it any more. Process context. */
void twinos_virtio_unregister(struct twinos_virtio_device *device)
{
	struct platform_device *parent = to_platform_device(device->vdev.dev.parent);

	unregister_virtio_device(&device->vdev);
	wait_for_completion(&device->released);
	platform_device_unregister(parent);
}
