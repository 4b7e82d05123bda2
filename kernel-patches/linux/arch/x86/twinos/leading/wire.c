// SPDX-License-Identifier: GPL-2.0
/*
 * The network between this OS and each coexisting one: a virtio network device in either kernel,
 * driven by virtio_net, and the wire between the two here. What one end transmits is copied, once,
 * into buffers that the other end has made available to receive. All that the coexisting OS has
 * written is checked before it is used; what is wrong breaks its ring, until its driver resets the
 * device or the OS is launched anew.
 *
 * The wire runs where there is something to do: in this kernel's transmit path, and in a softirq
 * after a doorbell. An end is only told when it has asked to be (VIRTIO_F_EVENT_IDX). In a bulk
 * transfer between CPUs neither side rings for each frame: the wire runs by a timer then.
 */
#include <linux/crc32c.h>
#include <linux/dmi.h>
#include <linux/etherdevice.h>
#include <linux/hrtimer.h>
#include <linux/if_vlan.h>
#include <linux/io.h>
#include <linux/uio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <uapi/linux/virtio_ring.h>
#include <asm/sync_bitops.h>

#include "leading.h"
#include "../both/virtio.h"

enum { RECEIVE, TRANSMIT };

/* Both drivers have to accept all of it, so that each can receive what the other transmits. */
#define NET_FEATURES \
	(BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VIRTIO_RING_F_EVENT_IDX) | \
	 BIT_ULL(VIRTIO_NET_F_MAC) | BIT_ULL(VIRTIO_NET_F_STATUS) | \
	 BIT_ULL(VIRTIO_NET_F_MRG_RXBUF) | \
	 BIT_ULL(VIRTIO_NET_F_CSUM) | BIT_ULL(VIRTIO_NET_F_GUEST_CSUM) | \
	 BIT_ULL(VIRTIO_NET_F_HOST_TSO4) | BIT_ULL(VIRTIO_NET_F_GUEST_TSO4) | \
	 BIT_ULL(VIRTIO_NET_F_HOST_TSO6) | BIT_ULL(VIRTIO_NET_F_GUEST_TSO6) | \
	 BIT_ULL(VIRTIO_NET_F_HOST_ECN) | BIT_ULL(VIRTIO_NET_F_GUEST_ECN))

#define HEADER_SIZE	sizeof(struct virtio_net_hdr_v1)
#define MAX_FRAME	(HEADER_SIZE + VLAN_ETH_HLEN + 65536)
#define MAX_PIECES	64		/* of a frame that is transmitted */
#define MAX_BUFFERS	64		/* for a frame that is received */
#define TELL_FRAMES	16		/* transmitted, */
#define TELL_BYTES	(96 << 10)	/* or so much: fewer than TCP lets wait for that */
#define BUDGET		64		/* frames in one direction before others have a turn */
#define GATHER_NS	200000		/* between doorbells in a bulk transfer, as cards moderate theirs, */
#define GATHER_BYTES	(512 << 10)	/* or so much, which leaves room in a ring of 1.5 KB buffers */
#define BULK_BYTES	(32 << 10)	/* passed in GATHER_NS make it a bulk transfer */

struct ring {
	struct vring vring;
	u16 used;		/* buffers so far; the next ones are those available */
	u16 told;		/* used when its driver was told last, or did not want to be */
	u32 bytes;		/* used since then */
};

/* A driver's end of the wire. */
struct end {
	struct twinos_virtio *regs;	/* those of nobody: the OS does not run */
	u8 *window;			/* of the coexisting OS, mapped here; NULL: our own end */
	u64 start, size;		/* physical, in bytes */
	struct ring rings[TWINOS_QUEUES];
	u32 resets;			/* of its registers, when the rings were found */
	bool ready;			/* they can be used */
	bool broken;
	unsigned long starved;		/* of buffers to receive since then; jiffies, 0: it is not */
	u16 starved_at;			/* buffers so far, then */
};

struct twinos_link {
	struct twinos_virtio_device device;	/* of this kernel */
	struct twinos_virtio registers;
	struct twinos_os *os;
	spinlock_t lock;			/* all that follows; softirqs off */
	struct end ends[2];			/* by role */
	bool complained;			/* since the launch */
	bool told;				/* the coexisting OS has an interrupt that is new */
	struct kvec from[MAX_PIECES], to[MAX_BUFFERS];
	u16 heads[MAX_BUFFERS];			/* the numbers of the latter */
	struct net_device *dummy;		/* for NAPI, which runs this after a doorbell */
	struct napi_struct napi;
	struct hrtimer timer;
	bool timer_is_over;
	u64 now;				/* ns */
	u64 since;				/* when the following began to be counted */
	u64 passed;				/* bytes */
};

static struct twinos_virtio nobody;

/* By the number of the OS; changed with twinos_mutex held, read under RCU. */
static struct twinos_link *links[TWINOS_MAX_ID + 1];

/* ---- what a driver has put into its rings ---- */

static void *reach(const struct end *end, u64 address, u64 size)
{
	if (!end->window)
		return phys_to_virt(address);
	return twinos_inside(address, size, end->start, end->size) ?
	       end->window + (address - end->start) : NULL;
}

static bool find_ring(struct end *end, unsigned int i)
{
	u64 descriptors = READ_ONCE(end->regs->queues[i].descriptors);
	u64 available = READ_ONCE(end->regs->queues[i].available);
	u64 used = READ_ONCE(end->regs->queues[i].used);
	u32 size = READ_ONCE(end->regs->queues[i].size);
	struct ring *ring = &end->rings[i];

	if (!is_power_of_2(size) || size > TWINOS_QUEUE_SIZE ||
	    descriptors % VRING_DESC_ALIGN_SIZE || available % VRING_AVAIL_ALIGN_SIZE ||
	    used % VRING_USED_ALIGN_SIZE)
		return false;
	*ring = (struct ring) { .vring = {
		.num = size,
		.desc = reach(end, descriptors, size * sizeof(struct vring_desc)),
		.avail = reach(end, available, sizeof(struct vring_avail) + (size + 1) * 2),
		.used = reach(end, used, sizeof(struct vring_used) +
					 size * sizeof(struct vring_used_elem) + 2),
	} };
	return ring->vring.desc && ring->vring.avail && ring->vring.used;
}

static u16 nr_available(const struct ring *ring)
{
	/* The descriptors that it covers are there. */
	return smp_load_acquire(&ring->vring.avail->idx) - ring->used;
}

/* Its driver shall notify when there are more than have been used. */
static void want_more(struct ring *ring)
{
	WRITE_ONCE(vring_avail_event(&ring->vring), ring->used);
	smp_mb();	/* before the caller looks again; pairs with virtqueue_kick_prepare() */
}

/*
 * The pieces of the buffer that comes @ahead after those used, at most @max. Returns its size in
 * bytes, or 0 if there is something wrong with it; @head: its number.
 */
static size_t take_buffer(const struct end *end, const struct ring *ring, u16 ahead, u16 flags,
			  struct kvec *pieces, unsigned int max, u16 *head)
{
	u16 i = READ_ONCE(ring->vring.avail->ring[(u16)(ring->used + ahead) % ring->vring.num]);
	const struct kvec *last = pieces + max;
	size_t size = 0;

	for (*head = i; i < ring->vring.num && pieces < last; pieces++) {
		const struct vring_desc *d = &ring->vring.desc[i];
		u16 f = READ_ONCE(d->flags);
		u32 length = READ_ONCE(d->len);

		if ((f & ~VRING_DESC_F_NEXT) != flags || !length || length > MAX_FRAME)
			return 0;
		*pieces = (struct kvec) { reach(end, READ_ONCE(d->addr), length), length };
		if (!pieces->iov_base)
			return 0;
		size += length;
		if (!(f & VRING_DESC_F_NEXT))
			return size;
		i = READ_ONCE(d->next);
	}
	return 0;
}

/* One more buffer is used; publish() tells. */
static void give_back(struct ring *ring, u16 head, u32 length)
{
	struct vring_used_elem *e = &ring->vring.used->ring[ring->used % ring->vring.num];

	WRITE_ONCE(e->id, head);
	WRITE_ONCE(e->len, length);
	ring->bytes += length;
	ring->used++;
}

static void publish(struct ring *ring)
{
	/* The driver must find the elements, and the frame. */
	smp_store_release(&ring->vring.used->idx, ring->used);
}

static bool wants_to_know(const struct ring *ring)
{
	if (ring->told == ring->used)
		return false;
	smp_mb();	/* pairs with virtqueue_enable_cb_prepare() */
	return vring_need_event(READ_ONCE(vring_used_event(&ring->vring)), ring->used, ring->told);
}

/* ---- the state of the wire ---- */

static void break_end(struct twinos_link *link, struct end *end, const char *what)
{
	end->broken = true;
	end->ready = false;
	if (!link->complained)
		pr_err("the network of coexisting OS %u is broken: %s; its device has to be reset\n",
		       link->os->id, what);
	link->complained = true;
}

/* Has its driver made it ready, or reset it? */
static void look_at(struct twinos_link *link, struct end *end)
{
	u32 resets = READ_ONCE(end->regs->resets);
	/* Pairs with set_status() in both/virtio.c. */
	bool driven = smp_load_acquire(&end->regs->status) & VIRTIO_CONFIG_S_DRIVER_OK;

	if (resets != end->resets || !driven) {
		end->resets = resets;
		end->ready = false;
		end->broken = false;
		end->starved = 0;
	}
	if (!driven || end->ready || end->broken)
		return;
	if (READ_ONCE(end->regs->driver_features) != NET_FEATURES || !find_ring(end, RECEIVE) ||
	    !find_ring(end, TRANSMIT)) {
		break_end(link, end, "features or addresses of rings are wrong");
		return;
	}
	end->ready = true;
	want_more(&end->rings[TRANSMIT]);
}

static struct virtio_net_config *config_of(const struct end *end)
{
	return (void *)end->regs->config;
}

/* Whoever has not seen the last one yet will see this, too. */
static void interrupt(struct twinos_link *link, struct end *end, unsigned int which)
{
	if (!sync_test_and_set_bit(which, (unsigned long *)&end->regs->interrupts) &&
	    end == &link->ends[TWINOS_COEXISTING])
		link->told = true;
}

/* An end has a carrier as long as somebody receives what it sends. */
static void set_carrier(struct twinos_link *link, struct end *end, bool up)
{
	u16 status = up ? VIRTIO_NET_S_LINK_UP : 0;

	if (end->regs == &nobody || config_of(end)->status == status)
		return;
	WRITE_ONCE(config_of(end)->status, status);
	interrupt(link, end, TWINOS_CONFIG_CHANGED);
}

static void run_within(struct twinos_link *link, u64 ns)
{
	if (!hrtimer_is_queued(&link->timer) ||
	    hrtimer_get_expires_ns(&link->timer) > link->now + ns)
		hrtimer_start(&link->timer, ns_to_ktime(ns), HRTIMER_MODE_REL_SOFT);
}

/*
 * Is this a bulk transfer? The timer is on then. Between CPUs alone: on a shared one the other OS
 * has to run before there is more.
 */
static bool gathering(struct twinos_link *link)
{
	if (link->passed < BULK_BYTES || READ_ONCE(link->os->mode) != TWINOS_DEDICATED)
		return false;
	run_within(link, GATHER_NS);
	return true;
}

/* ---- frames ---- */

enum result { PASSED, NOTHING, STARVED, BROKEN };

/*
 * Buffers for a frame of @size bytes, of one piece each, the first of which has room for the
 * header. Returns how many, 0 if there are too few, negative if one is malformed.
 */
static int find_buffers(struct twinos_link *link, const struct end *to, size_t size)
{
	const struct ring *ring = &to->rings[RECEIVE];
	u16 available = nr_available(ring), n;
	size_t room = 0, more;

	if (available > ring->vring.num)
		return -EINVAL;
	for (n = 0; n < available; n++) {
		more = n == MAX_BUFFERS ? 0 : take_buffer(to, ring, n, VRING_DESC_F_WRITE,
							  &link->to[n], 1, &link->heads[n]);
		if (!more || (!n && more < HEADER_SIZE))
			return -EINVAL;
		room += more;
		if (room >= size)
			return n + 1;
	}
	return 0;
}

/* Pass one frame on; without buffers to receive, as on a cable that is not plugged in, it is lost. */
static enum result pass_frame(struct twinos_link *link, struct end *from, struct end *to,
			      bool plugged)
{
	struct ring *transmit = &from->rings[TRANSMIT], *receive = &to->rings[RECEIVE];
	u16 available = nr_available(transmit), head;
	size_t size = 0, done, part;
	struct iov_iter iter;
	int buffers, i;

	if (!available)
		return NOTHING;
	if (available <= transmit->vring.num)
		size = take_buffer(from, transmit, 0, 0, link->from, MAX_PIECES, &head);
	if (size < HEADER_SIZE + ETH_HLEN || size > MAX_FRAME) {
		break_end(link, from, "a frame to transmit is malformed");
		return BROKEN;
	}
	if (plugged) {
		buffers = find_buffers(link, to, size);
		if (buffers < 0)
			break_end(link, to, "a buffer to receive is malformed");
		if (buffers <= 0)
			return buffers ? BROKEN : STARVED;
		iov_iter_kvec(&iter, ITER_DEST, link->to, buffers, size);
		for (i = 0, done = 0; done < size; i++)
			done += copy_to_iter(link->from[i].iov_base, link->from[i].iov_len, &iter);
		((struct virtio_net_hdr_v1 *)link->to[0].iov_base)->num_buffers = buffers;
		for (i = 0; i < buffers; i++, done -= part) {
			part = min(done, link->to[i].iov_len);
			give_back(receive, link->heads[i], part);
		}
		publish(receive);
		to->starved = 0;
		link->passed += size;
	}
	give_back(transmit, head, 0);
	transmit->bytes += size;
	publish(transmit);
	return PASSED;
}

/* Who does not receive for a second is not there: his interface may be down. */
static bool deaf(const struct end *end)
{
	const struct ring *receive = &end->rings[RECEIVE];

	return end->starved && time_after(jiffies, end->starved + HZ) &&
	       (u16)(receive->used + nr_available(receive)) == end->starved_at;
}

/*
 * There are too few buffers to receive the next frame: until there are more it waits where it is,
 * and so stops the queue that it is in. Returns whether it does not have to wait.
 */
static bool wait_for_buffers(struct twinos_link *link, struct end *to)
{
	struct ring *receive = &to->rings[RECEIVE];
	u16 available = receive->used + nr_available(receive);

	WRITE_ONCE(vring_avail_event(&receive->vring), available);
	smp_mb();	/* as in want_more() */
	if ((u16)(receive->used + nr_available(receive)) != available)
		return true;
	to->starved = to->starved ?: jiffies | 1;
	to->starved_at = available;
	run_within(link, NSEC_PER_SEC + 2 * TICK_NSEC);
	return deaf(to);
}

/* All frames of one direction, or a part of them. Returns whether there are more. */
static bool pass_frames(struct twinos_link *link, struct end *from, struct end *to, bool up)
{
	struct ring *transmit = &from->rings[TRANSMIT];
	unsigned int n;

	for (n = 0; n < BUDGET && from->ready; n++) {
		enum result result = pass_frame(link, from, to, up && !deaf(to));

		if (result == BROKEN || (result == STARVED && !wait_for_buffers(link, to)))
			return false;
		if (result == NOTHING && from->ready) {
			if (from->window && gathering(link))
				return false;
			want_more(transmit);
			if (!nr_available(transmit))
				return false;
		}
	}
	return from->ready;
}

/* ---- when it runs ---- */

/*
 * That a frame has been transmitted is no news for a driver that receives something soon: it then
 * looks by itself. So it is told of some at once, or by a timer. Likewise what it receives in a
 * bulk transfer, unless it has to make room.
 */
static bool can_wait(struct twinos_link *link, const struct end *end, unsigned int i)
{
	const struct ring *ring = &end->rings[i];

	if (link->timer_is_over)
		return false;
	if (i == RECEIVE)
		return end->window && !end->starved && ring->bytes < GATHER_BYTES &&
		       gathering(link);
	if ((u16)(ring->used - ring->told) >= TELL_FRAMES || ring->bytes >= TELL_BYTES)
		return false;
	run_within(link, TICK_NSEC);
	return true;
}

static void tell(struct twinos_link *link, struct end *end)
{
	unsigned int i;

	for (i = 0; i < TWINOS_QUEUES && end->ready; i++) {
		struct ring *ring = &end->rings[i];

		if (wants_to_know(ring)) {
			if (can_wait(link, end, i))
				continue;
			interrupt(link, end, i);
		}
		ring->told = ring->used;
		ring->bytes = 0;
	}
}

/* Do what there is to do. Returns whether more is left. Softirqs off, the lock held. */
static bool run_locked(struct twinos_link *link)
{
	struct end *ours = &link->ends[TWINOS_LEADING], *other = &link->ends[TWINOS_COEXISTING];
	bool up, more;

	link->now = ktime_get_mono_fast_ns();
	if (link->now - link->since > GATHER_NS) {
		link->since = link->now;
		link->passed = 0;
	}
	/* Either the drivers have reset the device before this, or they wait until it is over. */
	WRITE_ONCE(ours->regs->busy, 1);
	WRITE_ONCE(other->regs->busy, 1);
	smp_mb();	/* pairs with reset() in both/virtio.c */
	look_at(link, ours);
	look_at(link, other);
	up = ours->ready && other->ready;
	more = pass_frames(link, ours, other, up) | pass_frames(link, other, ours, up);
	/* It may have turned out to be broken. */
	up &= ours->ready && other->ready;
	set_carrier(link, ours, up && !deaf(other));
	set_carrier(link, other, up && !deaf(ours));
	tell(link, ours);
	tell(link, other);
	link->timer_is_over = false;
	/* All that was done in the rings is done. */
	smp_store_release(&ours->regs->busy, 0);
	smp_store_release(&other->regs->busy, 0);	/* likewise */
	return more;
}

static bool run(struct twinos_link *link)
{
	bool more;

	spin_lock_bh(&link->lock);
	more = run_locked(link);
	if (link->told) {
		link->told = false;
		twinos_ring_os(link->os);
	}
	spin_unlock_bh(&link->lock);
	twinos_virtio_interrupt(&link->device);
	return more;
}

static int poll(struct napi_struct *napi, int budget)
{
	struct twinos_link *link = container_of(napi, struct twinos_link, napi);

	if (run(link))
		return budget;
	napi_complete(napi);
	return 0;
}

/* In any other context. */
static void run_here(struct twinos_link *link)
{
	if (run(link))
		napi_schedule(&link->napi);
}

static enum hrtimer_restart timer_over(struct hrtimer *timer)
{
	struct twinos_link *link = container_of(timer, struct twinos_link, timer);

	WRITE_ONCE(link->timer_is_over, true);
	run_here(link);
	return HRTIMER_NORESTART;
}

/* Of this kernel's own driver. */
static void notify(struct twinos_virtio_device *device)
{
	struct twinos_link *link = container_of(device, struct twinos_link, device);

	if (irqs_disabled())	/* netconsole */
		napi_schedule(&link->napi);
	else
		run_here(link);
}

/** twinos_link_rung() - the coexisting OS has rung. Hard interrupt context. */
void twinos_link_rung(u32 id)
{
	struct twinos_link *link;

	guard(rcu)();
	link = READ_ONCE(links[id]);
	if (link)
		napi_schedule(&link->napi);
}

/* ---- begin and end ---- */

/* An address that is this machine's alone, also where interfaces are bridged, and stays. */
static void set_address(struct twinos_virtio *regs, u32 id, int role)
{
	const char *uuid = dmi_get_system_info(DMI_PRODUCT_UUID) ?: "";
	u32 machine = crc32c(~0, uuid, strlen(uuid));
	u8 mac[ETH_ALEN] = { 0x02, machine >> 16, machine >> 8, machine, role, id };

	memcpy(regs->config, mac, sizeof(mac));
}

static void free_link(struct twinos_link *link)
{
	if (link->ends[TWINOS_COEXISTING].window)
		memunmap(link->ends[TWINOS_COEXISTING].window);
	if (link->dummy)
		free_netdev(link->dummy);	/* and its NAPI */
	kfree(link);
}

static struct twinos_link *new_link(struct twinos_os *os, u64 start, u64 size)
{
	struct twinos_link *link = kzalloc(sizeof(*link), GFP_KERNEL);
	u8 *window;

	if (!link)
		return NULL;
	window = memremap(start, size, MEMREMAP_WB);
	link->ends[TWINOS_LEADING] = (struct end) { .regs = &link->registers };
	link->ends[TWINOS_COEXISTING] = (struct end) { &nobody, window, start, size };
	link->dummy = alloc_netdev_dummy(0);
	if (!window || !link->dummy) {
		free_link(link);
		return NULL;
	}
	link->os = os;
	link->device.regs = &link->registers;
	link->device.notify = notify;
	link->registers.device_features = NET_FEATURES;
	set_address(&link->registers, os->id, TWINOS_LEADING);
	spin_lock_init(&link->lock);
	hrtimer_init(&link->timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_SOFT);
	link->timer.function = timer_over;
	netif_napi_add(link->dummy, &link->napi, poll);
	napi_enable(&link->napi);
	return link;
}

static void delete_link(struct twinos_link *link)
{
	WRITE_ONCE(links[link->os->id], NULL);
	synchronize_rcu();	/* twinos_link_rung() */
	napi_disable(&link->napi);
	hrtimer_cancel(&link->timer);
	free_link(link);
}

/** twinos_link_delete() - an OS is forgotten. Process context, twinos_mutex held. */
void twinos_link_delete(struct twinos_os *os)
{
	struct twinos_link *link = links[os->id];

	if (!link)
		return;
	twinos_virtio_unregister(&link->device);
	delete_link(link);
}

/**
 * twinos_link_create() - the interface to an OS that is loaded
 * @share: what it is given
 *
 * It is there before the OS runs and after, without a carrier. One that fails is only missed.
 * Process context, twinos_mutex held.
 */
void twinos_link_create(struct twinos_os *os, const struct twinos_share *share)
{
	u64 start = share->window_start + TWINOS_SHARED_SIZE;
	u64 size = share->window_size - TWINOS_SHARED_SIZE;
	struct twinos_link *link = links[os->id];
	char name[sizeof("twinos") + 10];
	int err = -ENOMEM;

	if (link && link->ends[TWINOS_COEXISTING].start == start &&
	    link->ends[TWINOS_COEXISTING].size == size)
		return;
	twinos_link_delete(os);
	link = new_link(os, start, size);
	if (link) {
		snprintf(name, sizeof(name), "twinos%u", os->id);
		WRITE_ONCE(links[os->id], link);
		err = twinos_virtio_register(&link->device, name);
		if (err)
			delete_link(link);
	}
	if (err)
		pr_warn("no network to coexisting OS %u: error %d\n", os->id, err);
}

static void set_registers(struct twinos_link *link, struct twinos_virtio *regs)
{
	const struct end *end = &link->ends[TWINOS_COEXISTING];

	scoped_guard(spinlock_bh, &link->lock) {
		link->ends[TWINOS_COEXISTING] = (struct end) { regs, end->window, end->start,
							       end->size };
		link->complained = false;
	}
	run_here(link);
}

/** twinos_link_open() - an OS is about to be launched, its shared area empty. Process context. */
void twinos_link_open(struct twinos_os *os)
{
	struct twinos_virtio *regs = (void *)os->shared - TWINOS_SHARED_OFFSET + TWINOS_NET_OFFSET;

	if (!links[os->id])
		return;
	regs->device_features = NET_FEATURES;
	set_address(regs, os->id, TWINOS_COEXISTING);
	set_registers(links[os->id], regs);
}

/** twinos_link_close() - it has ended. Process context. */
void twinos_link_close(struct twinos_os *os)
{
	if (links[os->id])
		set_registers(links[os->id], &nobody);
}
