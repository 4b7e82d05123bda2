// SPDX-License-Identifier: GPL-2.0
/*
 * What the purgatory does about an exception or NMI before the coexisting
 * kernel has an IDT: note the reason in the shared page and the console ring,
 * and give the CPU back to the leading OS. No library, no global data.
 */
#include <stddef.h>
#include <stdint.h>
#include <twinos/abi.h>
#include "parameters.h"

_Static_assert(offsetof(struct purgatory_parameters, kernel_entry) == PARAMETER_KERNEL_ENTRY, "");
_Static_assert(offsetof(struct purgatory_parameters, boot_params) == PARAMETER_BOOT_PARAMS, "");
_Static_assert(offsetof(struct purgatory_parameters, entry_32bit) == PARAMETER_ENTRY_32BIT, "");
_Static_assert(offsetof(struct purgatory_parameters, shared) == PARAMETER_SHARED, "");
_Static_assert(sizeof(struct purgatory_parameters) == PURGATORY_ENTRY, "");
_Static_assert(sizeof(struct purgatory_gate) == 16, "");

struct frame {			/* as pushed by the CPU and by entry.S */
	uint64_t vector;
	uint64_t error_code;
	uint64_t rip;
	uint64_t cs;
	uint64_t rflags;
	uint64_t rsp;
	uint64_t ss;
};

struct text {
	char *next;
	char *last;
};

static void put_string(struct text *t, const char *s)
{
	while (*s && t->next < t->last)
		*t->next++ = *s++;
}

static void put_hex(struct text *t, uint64_t value)
{
	int shift = 60;

	while (shift && !(value >> shift))
		shift -= 4;
	put_string(t, "0x");
	for (; shift >= 0 && t->next < t->last; shift -= 4) {
		unsigned int digit = value >> shift & 15;

		*t->next++ = digit < 10 ? '0' + digit : 'a' + digit - 10;
	}
}

static const char *exception_name(uint64_t vector)
{
	if (vector == 0)
		return "division error";
	if (vector == 2)
		return "NMI";
	if (vector == 6)
		return "invalid instruction";
	if (vector == 8)
		return "double fault";
	if (vector == 13)
		return "general protection fault";
	if (vector == 14)
		return "page fault";
	if (vector == 18)
		return "machine check";
	return "exception";
}

static void print_to_ring(struct twinos_shared *shared, const char *s)
{
	char *ring = (char *)shared + (TWINOS_RING_OFFSET - TWINOS_SHARED_OFFSET);
	uint64_t head = shared->output.head;

	for (; *s; s++)
		ring[head++ % TWINOS_RING_SIZE] = *s;
	ring[head++ % TWINOS_RING_SIZE] = '\n';
	shared->output.head = head;
}

/*
 * Called by entry.S on a stack of our own; never returns.
 * shared is virtual, as it was at the purgatory's entry.
 */
void purgatory_fault(struct twinos_shared *shared, const struct frame *frame, uint64_t cr2);
void purgatory_fault(struct twinos_shared *shared, const struct frame *frame, uint64_t cr2)
{
	void (*abandon)(struct twinos_shared *, uint32_t) = (void *)shared->abandon_va;
	struct text t = { shared->reason, shared->reason + sizeof(shared->reason) - 1 };

	put_string(&t, "purgatory: ");
	put_string(&t, exception_name(frame->vector));
	put_string(&t, " (vector ");
	put_hex(&t, frame->vector);
	put_string(&t, ", error code ");
	put_hex(&t, frame->error_code);
	put_string(&t, ") at ");
	put_hex(&t, frame->rip);
	if (frame->vector == 14) {
		put_string(&t, ", address ");
		put_hex(&t, cr2);
	}
	*t.next = 0;
	print_to_ring(shared, shared->reason);
	abandon(shared, TWINOS_CRASHED);
}
