// SPDX-License-Identifier: GPL-2.0
/*
 * IPIs of the leading OS: to its own CPU while that is shared, where the other kernel may take
 * them, and to CPUs that are other OSes'.
 */
#include <linux/rcupdate.h>

#include "leading.h"
#include "../both/trace.h"

/** twinos_ring() - let whoever runs on a CPU look what there is */
void twinos_ring(u32 apic_id)
{
	guard(irqsave)();
	twinos_lapic_send(X86_PLATFORM_IPI_VECTOR, apic_id);
}

/**
 * twinos_ring_os() - let a running coexisting OS look what there is. Any context but NMI.
 *
 * One that shares its CPU gets it for that when this OS is idle, or has used it a little longer.
 */
void twinos_ring_os(const struct twinos_os *os)
{
	guard(irqsave)();
	os->shared->side[TWINOS_LEADING].doorbells++;
	trace_twinos_ring(os->id, true);
	if (READ_ONCE(os->mode) == TWINOS_DEDICATED) {
		twinos_ring(cpu_physical_id(os->share.cpus[0]));
	} else if (smp_processor_id() == TWINOS_SHARED_CPU) {
		twinos_note_for_other(X86_PLATFORM_IPI_VECTOR);
	} else {
		twinos_note(&os->shared->side[TWINOS_COEXISTING], X86_PLATFORM_IPI_VECTOR);
		twinos_ring(cpu_physical_id(TWINOS_SHARED_CPU));
	}
}

/** twinos_init_cpu() - by an INIT a CPU waits for a SIPI, in no kernel's memory */
void twinos_init_cpu(unsigned int cpu)
{
	scoped_guard(irqsave) {
		twinos_lapic_send(APIC_INT_LEVELTRIG | APIC_INT_ASSERT | APIC_DM_INIT,
				  cpu_physical_id(cpu));
		twinos_lapic_send(APIC_INT_LEVELTRIG | APIC_DM_INIT, cpu_physical_id(cpu));
	}
	udelay(10);	/* x2APIC does not tell when it has arrived; it takes less */
}

/*
 * An IPI to the shared CPU is noted like any interrupt of this OS that meets the other one, and a
 * doorbell sent in its place: both kernels' vectors have the same numbers, and the other one could
 * not tell whose it is.
 */
static bool noting;

static bool note_ipi(int cpu, unsigned int vector)
{
	if (cpu != TWINOS_SHARED_CPU || !READ_ONCE(noting))
		return false;
	twinos_note(twinos_me(), vector);
	twinos_ring(cpu_physical_id(cpu));
	return true;
}

static void send_reschedule(int cpu)
{
	if (!note_ipi(cpu, RESCHEDULE_VECTOR))
		native_smp_send_reschedule(cpu);
}

static void send_call_func_single(int cpu)
{
	if (!note_ipi(cpu, CALL_FUNCTION_SINGLE_VECTOR))
		native_send_call_func_single_ipi(cpu);
}

static void send_call_func(const struct cpumask *mask)
{
	int cpu;

	if (!READ_ONCE(noting) || !cpumask_test_cpu(TWINOS_SHARED_CPU, mask)) {
		native_send_call_func_ipi(mask);
		return;
	}
	note_ipi(TWINOS_SHARED_CPU, CALL_FUNCTION_VECTOR);
	for_each_cpu(cpu, mask)
		if (cpu != TWINOS_SHARED_CPU)
			__apic_send_IPI(cpu, CALL_FUNCTION_VECTOR);
}

/**
 * twinos_note_ipis() - before the CPU is shared, and when it is not any more
 *
 * Process context. Nobody is about to send one as before when this returns.
 */
void twinos_note_ipis(bool on)
{
	WRITE_ONCE(noting, on);
	/* Whoever sends one has preemption off. */
	if (on && num_online_cpus() > 1)
		synchronize_rcu_expedited();
}

/** twinos_ipi_init() - take the kernel's own hooks. Boot time. */
void __init twinos_ipi_init(void)
{
	smp_ops.smp_send_reschedule = send_reschedule;
	smp_ops.send_call_func_single_ipi = send_call_func_single;
	smp_ops.send_call_func_ipi = send_call_func;
}
