// SPDX-License-Identifier: GPL-2.0
/*
 * The platform of a coexisting OS: a PC without firmware, without timers but the TSC and the local
 * APIC, and with only the memory, interrupt pins and PCI functions of its share. It may end itself,
 * never the machine. The local APIC of a shared CPU is set up by the leading OS; this kernel sends
 * and ends interrupts with it and leaves all else as it is.
 */
#include <linux/acpi.h>
#include <linux/cc_platform.h>
#include <linux/console.h>
#include <linux/cpuidle.h>
#include <linux/kexec.h>
#include <linux/nmi.h>
#include <linux/panic_notifier.h>
#include <linux/pm.h>
#include <linux/reboot.h>
#include <linux/serial_8250.h>
#include <linux/suspend.h>
#include <asm/i8259.h>
#include <asm/io_apic.h>
#include <asm/pci_x86.h>
#include <asm/reboot.h>
#include <asm/setup.h>
#include <asm/x86_init.h>

#include "coexisting.h"

static const struct twinos_share *share = &twinos_own_share;

/* Ending: whatever would reset, stop or halt the machine ends this OS. */

#define DEFINE_END(name, state, why, argument)	\
static void __noreturn end_##name(argument) { twinos_leave_for_good(state, why); }

DEFINE_END(restart, TWINOS_STOPPED, "reboot", char *cmd)
DEFINE_END(emergency_restart, TWINOS_CRASHED, "emergency restart", void)
DEFINE_END(halt, TWINOS_STOPPED, "halt", void)
DEFINE_END(power_off, TWINOS_STOPPED, "power-off", void)
/* For kexec; as x86_apic_ops.restore, too, if it is to come back: the next knows of no share. */
DEFINE_END(shutdown, TWINOS_STOPPED, "kexec", void)
#ifdef CONFIG_CRASH_DUMP
DEFINE_END(crash, TWINOS_CRASHED, "crash", struct pt_regs *regs)
#endif

static int end_panic(struct notifier_block *nb, unsigned long event, void *message)
{
	/* In an NMI or a machine check nothing has been printed yet. */
	console_flush_on_panic(CONSOLE_FLUSH_PENDING);
	twinos_leave_for_good(TWINOS_CRASHED, message);
}

static struct notifier_block panic_block = {
	.notifier_call	= end_panic,
	.priority	= INT_MIN,	/* after everybody else has had a say */
};

/* Who sleeps alone would wake up with pins and CPUs as nobody knows them. */
static int refuse_sleep(struct notifier_block *nb, unsigned long event, void *unused)
{
	if (event != PM_SUSPEND_PREPARE && event != PM_HIBERNATION_PREPARE)
		return NOTIFY_DONE;
	pr_err("a coexisting OS cannot sleep\n");
	return NOTIFY_BAD;
}

static struct notifier_block refuse_sleep_block = { .notifier_call = refuse_sleep };

/* An NMI is never about port 0x61, which is the leading OS's. */
static unsigned char no_nmi_reason(void)
{
	return 0;
}

/* Time: what the leading OS has measured. */

static unsigned long get_tsc_khz(void)
{
	return twinos_shared()->tsc_khz;
}

static void get_wallclock(struct timespec64 *now)
{
	const struct twinos_shared *shared = twinos_shared();
	u64 ns = mul_u64_u64_div_u64(rdtsc() - shared->wall_tsc, NSEC_PER_MSEC,
				     shared->tsc_khz);

	now->tv_sec = shared->wall_sec;
	now->tv_nsec = 0;
	timespec64_add_ns(now, shared->wall_nsec + ns);
}

static void __init take_timer(void)
{
	if (twinos_timer_init(twinos_shared()))
		panic("no timer");
}

static void __init timer_init(void)
{
	lapic_timer_period = div_u64(twinos_shared()->lapic_hz, HZ);
	if (!twinos_dedicated())
		take_timer();
}

/* A local APIC of our own can only be used once it has been set up. */
static void __init setup_percpu_clockev(void)
{
	if (!twinos_dedicated())
		return;
	setup_boot_APIC_clock();
	take_timer();
}

/* Interrupts. */

/* No shorthand: "all" means all CPUs of the machine. */
static void send_ipi_allbutself(int vector)
{
	apic->send_IPI_mask_allbutself(cpu_online_mask, vector);
}

static void send_ipi_all(int vector)
{
	apic->send_IPI_mask(cpu_online_mask, vector);
}

static void (*lapic_write)(u32 reg, u32 value) __ro_after_init;
static u32 (*lapic_read)(u32 reg) __ro_after_init;

static void shared_lapic_write(u32 reg, u32 value)
{
	if (twinos_dedicated())		/* the machine's NMI line is the leading OS's */
		lapic_write(reg, reg == APIC_LVT1 ? value | APIC_LVT_MASKED : value);
	else if (reg == APIC_EOI || reg == APIC_ICR || reg == APIC_ICR2 || reg == APIC_SELF_IPI)
		lapic_write(reg, value);
}

/* What is pending or in service may be the leading OS's: not ours to clear. */
static u32 shared_lapic_read(u32 reg)
{
	if (reg >= APIC_ISR && reg < APIC_ESR && !twinos_dedicated())
		return 0;
	return lapic_read(reg);
}

/* Without interrupt remapping the CPU's mode stays as it is, whichever that is. */
static bool x2apic_available(void)
{
	return x2apic_enabled();
}

static void __init parse_smp_config(void)
{
	const struct twinos_shared *shared = twinos_shared();
	unsigned int i;

#ifdef CONFIG_X86_X2APIC
	if (x2apic_enabled()) {
		x2apic_phys = 1;
		default_acpi_madt_oem_check("", "");
	}
#endif
	register_lapic_address(APIC_DEFAULT_PHYS_BASE);
	/* The boot processor, as firmware would name it first: not ours, unless we share it. */
	topology_register_apic(shared->leading_apic_id, CPU_ACPIID_INVALID, true);
	for (i = 0; i < shared->nr_apics && i < TWINOS_MAX_CPUS; i++)
		topology_register_apic(shared->apic_ids[i], CPU_ACPIID_INVALID, true);
	smp_found_config = 1;
	lapic_write = apic->write;
	lapic_read = apic->read;
	apic_update_callback(write, shared_lapic_write);
	apic_update_callback(read, shared_lapic_read);
	apic_update_callback(send_IPI_allbutself, send_ipi_allbutself);
	apic_update_callback(send_IPI_all, send_ipi_all);
}

static const struct twinos_role coexisting = {
	.doorbell	= twinos_answer_request,
	.moved		= twinos_moved,
};

static void __init init_irq(void)
{
	twinos_set_nmi_gate(twinos_filter_nmi);
	native_init_IRQ();
	twinos_set_role(&coexisting);
	twinos_pins_init();
	if (twinos_vectors_init())
		panic("no interrupt descriptor for foreign vectors");
}

/* Only ports whose pins are in the share, and not the third and fourth, which use the same pins. */
static void serial_fixup(int port, struct uart_port *up, u32 *capabilities)
{
	unsigned int i;

	for (i = 0; port <= 1 && i < share->nr_irqs; i++)
		if (share->irqs[i] == up->irq)
			return;
	up->iobase = 0;
}

static void __init banner(void)
{
	pr_info("coexisting OS %u: window %#llx-%#llx\n", share->id, share->window_start,
		share->window_start + share->window_size - 1);
}

static int __init enter_running(void)
{
	if (twinos_role != TWINOS_COEXISTING)
		return 0;
	register_pm_notifier(&refuse_sleep_block);
	twinos_shared()->init_tsc = rdtsc();
	twinos_boot_done();
	return twinos_start_giver();
}
late_initcall_sync(enter_running);

/* Instead of reading firmware tables; earlier, setup_arch() would see a PC without interrupts. */
static void __init no_firmware_tables(void)
{
	disable_acpi();
}

/* What the CPU has and this kernel must not use. */
static const u16 hidden[] __initconst = {
	X86_FEATURE_HYPERVISOR,		/* knows one guest: what it offers is the leading OS's */
	X86_FEATURE_TSC_ADJUST,		/* to set it "right" moves the TSC of all OSes */
	X86_FEATURE_MTRR,		/* types are as the leading OS has set them, everywhere */
	X86_FEATURE_VMX,		/* in VMX operation a CPU does not take an INIT, */
	X86_FEATURE_SVM,		/* nor with SVM's GIF clear */
	X86_FEATURE_RDT_A,		/* cache and bandwidth allocation is the whole package's, */
	X86_FEATURE_CQM_LLC,
	X86_FEATURE_SGX,		/* as the enclaves' memory, which a kernel empties */
	X86_FEATURE_HFI,		/* writes to the window when this OS has ended, */
	X86_FEATURE_INTEL_PT,		/* too */
	X86_FEATURE_ARCH_PERFMON,	/* counters and their NMI stay with the leading OS */
	X86_FEATURE_PERFCTR_CORE,
};

static void __init set_platform(void)
{
	unsigned int i;

	x86_init.resources.probe_roms		= x86_init_noop;
	x86_init.resources.dmi_setup		= no_firmware_tables;
	x86_init.mpparse.setup_ioapic_ids	= x86_init_noop;
	x86_init.mpparse.find_mptable		= x86_init_noop;
	x86_init.mpparse.early_parse_smp_cfg	= x86_init_noop;
	x86_init.mpparse.parse_smp_cfg		= parse_smp_config;
	x86_init.irqs.pre_vector_init		= x86_init_noop;
	x86_init.irqs.intr_init			= init_irq;
	x86_init.irqs.create_pci_msi_domain	= twinos_create_msi_domain;
	x86_init.oem.banner			= banner;
	x86_init.timers.setup_percpu_clockev	= setup_percpu_clockev;
	x86_init.timers.timer_init		= timer_init;
	x86_init.hyper.x2apic_available		= x2apic_available;
	x86_init.pci.arch_init			= twinos_pci_arch_init;
	x86_init.pci.init			= twinos_pci_scan;
	x86_init.pci.init_irq			= x86_init_noop;
	x86_init.pci.fixup_irqs			= x86_init_noop;

	x86_platform.calibrate_cpu		= get_tsc_khz;
	x86_platform.calibrate_tsc		= get_tsc_khz;
	x86_platform.get_wallclock		= get_wallclock;
	x86_platform.set_wallclock		= set_rtc_noop;
	x86_platform.get_nmi_reason		= no_nmi_reason;
	/* Real-mode code is only for starting further CPUs. */
	if (twinos_shared()->nr_apics < 2)
		x86_platform.realmode_init	= x86_init_noop;
	x86_platform.legacy.rtc			= 0;
	x86_platform.legacy.warm_reset		= 0;
	x86_platform.legacy.no_vga		= 1;
	x86_platform.legacy.reserve_bios_regions = 0;
	x86_platform.legacy.devices.pnpbios	= 0;
	x86_platform.legacy.i8042		= X86_LEGACY_I8042_PLATFORM_ABSENT;
	x86_apic_ops.restore			= end_shutdown;
	legacy_pic				= &null_legacy_pic;

	machine_ops.restart			= end_restart;
	machine_ops.emergency_restart		= end_emergency_restart;
	machine_ops.halt			= end_halt;
	machine_ops.power_off			= end_power_off;
	machine_ops.shutdown			= end_shutdown;
	pm_power_off				= end_power_off;
#ifdef CONFIG_CRASH_DUMP
	machine_ops.crash_shutdown		= end_crash;
#endif

	setup_force_cpu_cap(X86_FEATURE_TSC_KNOWN_FREQ);
	setup_force_cpu_cap(X86_FEATURE_TSC_RELIABLE);
	for (i = 0; i < ARRAY_SIZE(hidden); i++)
		setup_clear_cpu_cap(hidden[i]);
	if (!twinos_shared()->tsc_deadline)
		setup_clear_cpu_cap(X86_FEATURE_TSC_DEADLINE_TIMER);
	/* twinos_idle() must see every idle moment. */
	disable_cpuidle();
	hardlockup_detector_disable();
	gsi_top = NR_IRQS_LEGACY;	/* what is above is for MSI */
	pci_probe = PCI_PROBE_NOEARLY | PCI_NOASSIGN_ROMS | PCI_NOASSIGN_BARS;
#ifdef CONFIG_SERIAL_8250
	serial8250_set_isa_configurator(serial_fixup);
#endif
}

/*
 * Memory is reached through the page faults of early boot, as by whoever copies boot_params. Where
 * it is encrypted that would not show what a boot loader has written, and nobody coexists.
 */
static struct setup_data *find_share(void)
{
	u64 pa = boot_params.hdr.setup_data;
	struct setup_data *data;

	if (cc_platform_has(CC_ATTR_MEM_ENCRYPT))
		return NULL;
	for (; pa; pa = data->next) {
		data = __va(pa);
		if (data->type == SETUP_TWINOS)
			return data;
	}
	return NULL;
}

/**
 * twinos_setup() - find out whether this is a coexisting OS
 *
 * From setup_arch(), as soon as the CPU is known: what follows can take long, and from here on the
 * CPU can be given back meanwhile. A share that does not fit this kernel ends it: it has no right
 * to run on.
 */
void __init twinos_setup(void)
{
	const struct twinos_shared *shared = twinos_shared();
	struct setup_data *data = find_share();

	if (!data)
		return;
	if (data->len < sizeof(*share))
		panic("twinos: a share of %u bytes is too short", data->len);
	memcpy(&twinos_own_share, data->data, sizeof(*share));
	if (twinos_share_check(share) || __pa(data) != share->window_start + TWINOS_SHARE_OFFSET)
		panic("twinos: malformed share");
	if (!twinos_map_own(share->window_start, share->id) ||
	    shared->magic != TWINOS_SHARED_MAGIC ||
	    shared->version != TWINOS_ABI_VERSION || shared->size != sizeof(*shared) ||
	    shared->self != share->window_start + TWINOS_SHARED_OFFSET ||
	    shared->id != share->id)
		panic("twinos: malformed shared page");

	twinos_role = TWINOS_COEXISTING;
	twinos_nr_pins = share->nr_irqs;
	atomic_notifier_chain_register(&panic_notifier_list, &panic_block);
	if (!twinos_state_valid())
		panic("twinos: this CPU cannot be shared");
	set_platform();
	twinos_guard_early();
	twinos_set_nmi_gate(twinos_early_nmi);
	twinos_timeshare_early();
	twinos_terminal_early();
}
