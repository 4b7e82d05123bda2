// SPDX-License-Identifier: GPL-2.0
/*
 * Requests for interrupts that no kernel of ours makes: twinos_ask=NUMBER on the command line of a
 * coexisting OS asks for what is another's, which must be refused, and then so many times for
 * anything at all. Before its own drivers ask.
 */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/prandom.h>
#include <asm/apic.h>
#include <asm/irq_vectors.h>

#include "../both/twinos.h"
#include "../coexisting/coexisting.h"

static int ask(struct twinos_remapping question)
{
	struct twinos_remapping *box = &twinos_shared()->remapping;
	u64 end = rdtsc() + 5ULL * tsc_khz * MSEC_PER_SEC;

	guard(irqsave)();
	question.on = box->on;
	*box = question;
	smp_store_release(&box->state, question.state);	/* pairs with twinos_remap_answer() */
	twinos_ring_leading(TWINOS_WORK);
	/* Before the answer; likewise. */
	while (smp_load_acquire(&box->state) == TWINOS_ASKED) {
		if (rdtsc() > end)
			return -ETIMEDOUT;
		if (!twinos_yield_for_answer())
			cpu_relax();
	}
	return box->error;
}

static bool __init check(const char *what, int wanted, struct twinos_remapping question)
{
	int err;

	question.state = TWINOS_ASKED;
	err = ask(question);
	if (err != wanted)
		pr_err("twinos_ask: FAILED %s: %d, not %d\n", what, err, wanted);
	return err == wanted;
}

static unsigned int times __initdata;

static int __init parse_ask(char *p)
{
	return kstrtouint(p ?: "", 0, &times);
}
early_param("twinos_ask", parse_ask);

static int __init ask_all(void)
{
	struct twinos_remapping good = { .vector = 0xc0 }, q;
	struct rnd_state state;
	bool fine = true;
	unsigned int i;

	if (!twinos_coexisting() || !times)
		return 0;
	good.apic_id = twinos_shared()->apic_ids[0];

#define CHECK(what, wanted, field, value) do {	\
	q = good;				\
	q.field = value;			\
	fine &= check(what, wanted, q);		\
} while (0)
	CHECK("its own", 0, vector, 0xc1);
	CHECK("none", 0, vector, 0);
	CHECK("no such function", -ENOENT, function, twinos_own_share.nr_pci);
	CHECK("a function far away", -ENOENT, function, U32_MAX);
	CHECK("no such entry", -ENOENT, entry, 2048);
	CHECK("an entry far away", -ENOENT, entry, U32_MAX);
	CHECK("a vector of the leading OS", -EPERM, vector, TWINOS_VECTOR_SPLIT - 1);
	CHECK("an exception", -EPERM, vector, 2);
	CHECK("an IPI's vector", -EPERM, vector, RESCHEDULE_VECTOR);
	CHECK("a vector that is none", -EPERM, vector, 0x1c0);
	CHECK("a CPU that is nobody's", -EPERM, apic_id, U32_MAX);
	if (twinos_dedicated())
		CHECK("a CPU of the leading OS", -EPERM, apic_id, twinos_shared()->leading_apic_id);

	prandom_seed_state(&state, 1);
	for (i = 0; i < times; i++) {
		prandom_bytes_state(&state, &q, sizeof(q));
		q.state = prandom_u32_state(&state) % 4 ? TWINOS_ASKED : q.state;
		q.function %= 4;	/* where something could be */
		q.entry %= 8;
		q.vector %= 512;
		if (ask(q) == -ETIMEDOUT)
			break;
	}
	fine &= i == times;
	CHECK("none", 0, vector, 0);
	pr_info("twinos_ask: %s\n", fine ? "ok" : "FAILED");
	return 0;
}
arch_initcall(ask_all);
