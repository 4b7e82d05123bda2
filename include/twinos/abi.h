/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What kernel, purgatory, kexec and the twinos command agree on.
 *
 * A coexisting OS is described by one setup_data node (struct twinos_share,
 * written by kexec, checked by the leading kernel) and lives beside the leading OS
 * by means of one shared page (struct twinos_shared, written by the leading
 * kernel at launch and by both kernels from then on). Both are in the shared
 * area, the first TWINOS_SHARED_SIZE bytes of the memory window, which is
 * nobody's RAM:
 *
 *   window + 0x00000  setup_data node: struct setup_data header + twinos_share
 *          + 0x01000  struct twinos_shared
 *          + 0x02000  transit code and its descriptor tables (copied by the
 *                     leading kernel, executed by both)
 *          + 0x03000  launch stack (grows down from + 0x04000)
 *          + 0x04000  stack of the transit code (from + 0x05000)
 *          + 0x06000  struct twinos_virtio: registers of the network device
 *          + 0x08000  console input ring, 32 KiB
 *          + 0x10000  console output ring, 64 KiB
 *          + 0x20000  first byte that is RAM of the coexisting OS
 *
 * All fields are little-endian and of fixed size; nothing may follow a field
 * whose size depends on a configuration. A reader checks magic, version and
 * size, and every length and range, before it uses anything.
 */
#ifndef TWINOS_ABI_H
#define TWINOS_ABI_H

#define TWINOS_ABI_VERSION	7

/* setup_data type of the node (Documentation/arch/x86/boot.rst, setup_data). */
#define SETUP_TWINOS		0x54574e53	/* "TWNS"; bit 31 must be clear */

/*
 * kexec_load(2) flag: load a coexisting OS, whose share is one of the segments. The
 * call returns its number, the lowest free one if the share has none (id 0).
 */
#define KEXEC_TWINOS		0x00008000

/*
 * reboot(2) command: launch what is loaded as the coexisting OS whose number is
 * the fourth argument. Kernels without TwinOS answer EINVAL and do nothing. All
 * else is done by /dev/twinos/control, see twinos/control.h.
 */
#define TWINOS_REBOOT_LAUNCH	0x5457004c

/* ELF note of an aware kernel: name "TwinOS", type 1, a __u32 ABI version. */
#define TWINOS_NOTE_NAME	"TwinOS"
#define TWINOS_NOTE_TYPE	1

/* Layout of the shared area, offsets from the window's first byte. */
#define TWINOS_SHARE_OFFSET	0x00000
#define TWINOS_SHARED_OFFSET	0x01000
#define TWINOS_TRANSIT_OFFSET	0x02000
#define TWINOS_STACK_TOP	0x04000
#define TWINOS_TRANSIT_STACK_TOP 0x05000
#define TWINOS_NET_OFFSET	0x06000
#define TWINOS_INPUT_OFFSET	0x08000
#define TWINOS_INPUT_SIZE	0x08000		/* a power of two */
#define TWINOS_RING_OFFSET	0x10000
#define TWINOS_RING_SIZE	0x10000		/* a power of two */
#define TWINOS_SHARED_SIZE	0x20000

/*
 * Where both kernels map the shared area, in the hole below the EFI region of
 * the kernel's top page-table entry (Documentation/arch/x86/x86_64/mm.rst).
 * The same virtual address in both is what makes an OS switch one CR3 load.
 * The leading OS maps there the area of the OS that it shares its CPU with, and
 * the areas of all, by number, at multiples of TWINOS_SLOT_SIZE behind it; the
 * transit code runs there, in the slot of its OS.
 * Behind the area: the registers of the local APIC, and the page of the
 * leading OS that all kernels have in common (struct twinos_common).
 */
#define TWINOS_SHARED_VA	0xffffff8000000000
#define TWINOS_SLOT_SIZE	0x200000
#define TWINOS_LAPIC_OFFSET	(TWINOS_SHARED_SIZE)
#define TWINOS_COMMON_OFFSET	(TWINOS_SHARED_SIZE + 0x1000)

/*
 * Device vectors: the leading OS allocates below TWINOS_VECTOR_SPLIT, the
 * coexisting OS at and above it, both below FIRST_SYSTEM_VECTOR. An OS on CPUs
 * of its own keeps to it as well, since it can be moved to a shared one. The
 * first vectors are those of the pins of its share, in their order: the leading
 * OS, which alone programs the IO-APIC, has routed them to its first CPU.
 */
#define TWINOS_VECTOR_SPLIT	0xb0

#define TWINOS_MAX_CPUS		64
#define TWINOS_MAX_PCI		32
#define TWINOS_MAX_IRQS		24
#define TWINOS_NAME_SIZE	32		/* of an OS's name, with its NUL */

#define TWINOS_SHARE_MAGIC	0x6572616873776f74	/* "twoshare" */
#define TWINOS_SHARED_MAGIC	0x64657261687377f4
#define TWINOS_COMMON_MAGIC	0x6e6f6d6d6f637477	/* "wtcommon" */
#define TWINOS_ID_DEFAULT	1
#define TWINOS_MAX_ID		64

/* struct twinos_shared.noted: to be raised again; NMIs in the leading OS. */
#define TWINOS_NOTED_NMI	1
#define TWINOS_NOTED_MCE	2

#ifndef __ASSEMBLY__

#include <linux/types.h>

/* A PCI function: domain, bus, and device << 3 | function. */
struct twinos_pci {
	__u16 domain;
	__u8 bus;
	__u8 devfn;
};

/*
 * The share: what one coexisting OS is given. Addresses are physical, sizes
 * in bytes. Written by kexec behind a struct setup_data header of type
 * SETUP_TWINOS, as a segment of its own; the leading kernel puts what it has found
 * good at window + TWINOS_SHARE_OFFSET when it launches the OS.
 */
struct twinos_share {
	__u64 magic;		/* TWINOS_SHARE_MAGIC */
	__u32 version;		/* TWINOS_ABI_VERSION */
	__u32 size;		/* sizeof(struct twinos_share) */
	__u64 window_start;	/* page-aligned; shared area included */
	__u64 window_size;
	__u64 low_start;	/* low-memory slice below 1 MiB, or 0 */
	__u64 low_size;
	__u64 kernel_start;	/* run-time range of the kernel */
	__u64 kernel_size;
	__u64 initrd_start;	/* or 0 */
	__u64 initrd_size;
	__u32 id;		/* number of the coexisting OS, from 1; 0: to be chosen */
	__u32 flags;		/* TWINOS_SHARE_* */
	__u32 nr_cpus;		/* 0: time-shared mode on the leading OS's boot CPU */
	__u32 nr_pci;
	__u32 nr_irqs;
	__u32 reserved;
	__u32 cpus[TWINOS_MAX_CPUS];		/* CPU numbers of the leading OS */
	struct twinos_pci pci[TWINOS_MAX_PCI];
	__u32 irqs[TWINOS_MAX_IRQS];		/* global system interrupts (pins) */
	char name[TWINOS_NAME_SIZE];		/* letters, digits, - and _; may be empty */
};

#define TWINOS_SHARE_DIRECT	0x1	/* kernel entered at its ELF entry */
#define TWINOS_SHARE_ENTRY32	0x2	/* entered in 32-bit protected mode */
#define TWINOS_SHARE_NO_FENCE	0x4	/* its functions can reach all memory */

/*
 * What all kernels of the machine use. The lock is for PCI ports 0xcf8 and 0xcfc, an
 * index and a data register, which no two CPUs may mix up. It holds the number of the
 * OS that has it plus one, 0 if it is free; it is held with interrupts off for a few
 * instructions, and the leading OS frees that of an OS that has ended.
 */
struct twinos_common {
	__u64 magic;		/* TWINOS_COMMON_MAGIC */
	__u32 lock;
	__u32 doorbell;		/* an OS has news; the leading OS clears it */
	__u32 crashed;		/* the leading OS has: no CPU may go back to it */
	__u32 reserved;
	__u64 rung;		/* OSes with work for the leading one, bit 0: OS 1; it clears them */
};

/* How a coexisting OS has its CPU. */
enum twinos_mode {
	TWINOS_TIME_SHARED,
	TWINOS_DEDICATED,
};

#define TWINOS_MODE_NAMES { "time-shared", "dedicated" }

/* What the leading OS asks a coexisting one to do; it clears the field. */
enum twinos_request {
	TWINOS_REQUEST_NONE,
	TWINOS_REQUEST_STOP,	/* shut down */
	TWINOS_REQUEST_PARK,	/* save the CPU's state and leave it, for a move */
};

enum twinos_state {
	TWINOS_EMPTY,		/* nothing loaded */
	TWINOS_LOADED,
	TWINOS_STARTING,	/* launched, its init has not been reached */
	TWINOS_RUNNING,
	TWINOS_STOPPED,		/* ended by itself: reboot, halt, power-off */
	TWINOS_CRASHED,		/* panic, or a fault before it could panic */
	TWINOS_HUNG,		/* taken from it by the launch guard */
};

#define TWINOS_STATE_NAMES \
	{ "empty", "loaded", "starting", "running", "stopped", "crashed", "hung" }

/*
 * The part of a kernel's CPU state that must be loaded while neither kernel's
 * memory can be relied on; everything else each kernel saves for itself.
 * Offsets are known to the transit code.
 */
struct twinos_transit {
	__u64 cr0;
	__u64 cr3;
	__u64 cr4;
	__u64 rsp;		/* virtual, in the address space of cr3 */
};

/* What one OS tells the other; written by its owner alone except as noted. */
struct twinos_side {
	struct twinos_transit transit;
	__u64 run_tsc;		/* CPU time used since launch, TSC ticks */
	__u64 resumed_tsc;	/* when it last got the CPU */
	__u64 wake_tsc;		/* idle: next timer deadline, ~0 for none */
	__u32 idle;		/* has nothing to run */
	__u32 held;		/* of its level-triggered interrupts that await its EOI */
	__u64 switches;		/* times it gave the CPU away */
	__u64 switch_tsc;	/* when the last switch away began */
	__u64 pending[4];	/* foreign vectors; set by the other OS */
	__u64 foreign;		/* foreign interrupts it has bounced */
	__u64 donated;		/* switches away because it was idle */
	__u64 switch_min;	/* one-way cost of switches to it, TSC ticks */
	__u64 switch_max;
	__u64 switch_sum;
	__u64 away_max;		/* longest time without the CPU */
	__u64 static_hash;	/* of the MSRs that never change, 0 = unknown */
	__u64 vrun;		/* run_tsc by weight; what shares the CPU */
	__u64 resumed;		/* times it got the CPU back */
	__u64 put_off_max;	/* longest that it kept the CPU when the other one was due */
	__u64 over_task;	/* times that it was switched away from over a task */
	__u64 launch_away_max;	/* longest time without the CPU while the coexisting OS booted */
	__u64 doorbells;	/* sent to the other side */
	__u64 reserved[2];
};

#define TWINOS_LEADING		0
#define TWINOS_COEXISTING	1

/*
 * A ring of bytes with one writer and one reader, for the console. Positions count bytes since the
 * launch. Whoever wants to hear of more says so, and is told once.
 */
struct twinos_pipe {
	__u64 head;		/* written so far; by the writer */
	__u64 tail;		/* read so far; by the reader */
	__u32 data_wanted;	/* set by who reads, cleared by the writer */
	__u32 room_wanted;	/* set by the writer, cleared by the reader */
};

#define TWINOS_QUEUES		2	/* as virtio has them: to receive, to transmit */
#define TWINOS_QUEUE_SIZE	512	/* at most */

/*
 * The registers of a virtio device (Virtio 1.2, 4.2.2 names them for MMIO), in plain memory. The
 * network between two OSes is two of them, one in each: what one transmits the other receives. The
 * leading OS is the device of both; its own registers are in its own memory. Only split rings, with
 * VIRTIO_F_VERSION_1 and VIRTIO_F_EVENT_IDX.
 */
struct twinos_virtio {
	__u64 device_features;	/* written by the device */
	__u64 driver_features;	/* written by the driver, as what follows */
	__u32 status;
	__u32 resets;		/* how many there were: tells the device when the rings are new */
	struct {
		__u64 descriptors;	/* physical addresses of the three parts */
		__u64 available;
		__u64 used;
		__u32 size;		/* 0: there is no such queue */
		__u32 reserved;
	} queues[TWINOS_QUEUES];
	__u64 interrupts;	/* bit: queue, TWINOS_QUEUES: the configuration; the driver clears it */
	__u32 busy;		/* the device may be using the rings */
	__u32 reserved;
	__u8 config[32];	/* struct virtio_net_config; written by the device */
};

#define TWINOS_MAX_ENTRIES	128	/* interrupts of a function that are remapped */

enum twinos_mailbox { TWINOS_IDLE, TWINOS_ASKED, TWINOS_ANSWERED };

/*
 * A mailbox: the coexisting OS asks that an interrupt of one of its functions raise a vector, and
 * is told what the function is to write for that. It fills in the question and sets the state; the
 * leading OS the answer, and the state. The vector is one from TWINOS_VECTOR_SPLIT on.
 */
struct twinos_remapping {
	__u32 on;		/* interrupts are remapped; written before the launch */
	__u32 state;		/* enum twinos_mailbox */
	__u32 function;		/* its number in the share */
	__u32 entry;		/* of its MSI-X table; 0 for MSI */
	__u32 apic_id;		/* a CPU of this OS; physical */
	__u32 vector;		/* 0: none is to come */
	__s32 error;		/* a negative errno, or 0 */
	__u32 data;		/* of the message */
	__u64 address;		/* likewise */
};

/*
 * The shared page. The leading kernel writes everything up to "state" before
 * the launch. Times are TSC ticks.
 */
struct twinos_shared {
	__u64 magic;		/* TWINOS_SHARED_MAGIC */
	__u32 version;
	__u32 size;		/* sizeof(struct twinos_shared) */
	__u64 self;		/* physical address of this page */
	__u64 abandon_va;	/* leave for good, from any 64-bit state */
	__u64 park_va;		/* save the state for a move, and wait */
	__u32 tsc_khz;
	__u32 leading_apic_id;	/* CPU of the leading OS that takes doorbells */
	__u64 lapic_hz;		/* undivided */
	__u32 tsc_deadline;	/* the timer compares with the TSC, lapic_hz means nothing */
	__u32 noted;		/* TWINOS_NOTED_*: exceptions that the transit code met */
	__u64 mmconfig_addr;	/* physical, 0: use ports 0xcf8/0xcfc */
	__u32 mmconfig_segment;
	__u32 mmconfig_buses;	/* start bus | end bus << 8 */
	__s64 wall_sec;		/* wall clock (UTC) at wall_tsc */
	__u64 wall_nsec;
	__u64 wall_tsc;
	__u32 id;		/* number of this OS */
	__u32 nr_apics;		/* CPUs of this OS, the one it boots on first */
	__u64 common;		/* physical address of struct twinos_common */
	__u32 apic_ids[TWINOS_MAX_CPUS];

	__u32 mode;		/* enum twinos_mode */
	__u32 moves;		/* times that it went from one CPU to another */
	__u32 request;		/* enum twinos_request; set by the leading OS */
	__u32 parked;		/* its CPU state is saved; set by the coexisting OS */
	__u32 state;		/* enum twinos_state */
	__u32 reading;		/* somebody in the leading OS reads the terminal */
	__u64 launch_tsc;	/* reboot(2) entered */
	__u64 enter_tsc;	/* purgatory entered */
	__u64 first_return_tsc;	/* leading OS had control again */
	__u64 init_tsc;		/* coexisting kernel starts its init */
	__u64 slice_tsc;	/* length of a slice */
	__u64 guard_tsc;	/* longest time without an answer */
	__u32 weight[2];	/* of leading and coexisting OS */
	/*
	 * Of the console. The oldest output is overwritten, unless somebody reads: then programs
	 * wait, and only the kernel's own messages never do.
	 */
	struct twinos_pipe output, input;
	__u64 alive_tsc;	/* when timers of the coexisting OS ran last, once it is running */
	char reason[160];	/* why it ended; NUL-terminated */
	struct twinos_remapping remapping;

	struct twinos_side side[2];
};

#endif /* !__ASSEMBLY__ */

#endif /* TWINOS_ABI_H */
