// SPDX-License-Identifier: GPL-2.0
/*
 * Holds known values in every register that user space can hold them in, for
 * as long as it takes the OSes to be switched many times, and compares: the
 * general registers and flags, the stack pointer, FS and GS bases (set as
 * 64-bit bases, and in every other round as segments of an LDT, with DS and ES
 * in the LDT too), x87, SSE, AVX and whatever else XCR0 offers.
 *
 * A round loads the values, spins without touching one of them, and stores
 * them again. Values change from round to round.
 */
#include "guest.h"

#include <asm/ldt.h>
#include <asm/prctl.h>
#include <cpuid.h>
#include <stddef.h>

#define GPRS		15		/* all but RSP: that one is held apart */
#define FLAGS_HELD	0x40401		/* AC, DF, CF: not touched by the spin */
#define XSAVE_ROOM	16384

#define XCOMP_BNDCSR	4
#define XCOMP_PKRU	9

/*
 * What one round holds. The assembly knows the offsets; they are asserted
 * below. Lives below 4 GB, where an LDT segment can reach it.
 */
struct held {
	uint64_t gpr[GPRS];	/* 0x00 rax rbx rcx rdx rsi rdi rbp r8..r15 */
	uint64_t rsp;		/* 0x78 */
	uint64_t flags;		/* 0x80 */
	uint64_t after[GPRS];	/* 0x88 the same, stored after the spin */
	uint64_t rsp_after;	/* 0x100 */
	uint64_t flags_after;	/* 0x108 */
	uint64_t spin;		/* 0x110 turns of the loop, counted down */
	uint64_t rsp_saved;	/* 0x118 */
	uint64_t mask_low;	/* 0x120 XSAVE components, EDX:EAX */
	uint64_t mask_high;	/* 0x128 */
	uint64_t stack[64];	/* 0x130 */
	unsigned char xsave[XSAVE_ROOM] __attribute__((aligned(64)));
	unsigned char xsave_after[XSAVE_ROOM] __attribute__((aligned(64)));
};

_Static_assert(offsetof(struct held, rsp) == 0x78, "offset known to the assembly");
_Static_assert(offsetof(struct held, after) == 0x88, "offset known to the assembly");
_Static_assert(offsetof(struct held, spin) == 0x110, "offset known to the assembly");
_Static_assert(offsetof(struct held, xsave) == 0x340, "offset known to the assembly");
_Static_assert(offsetof(struct held, xsave_after) == 0x4340, "offset known to the assembly");

/*
 * hold(%rdi = struct held *, %rsi = selector for DS and ES or 0, %rdx = use
 * XSAVE): loads everything, spins, stores everything. Called with the C ABI.
 * The structure is reached RIP-relative in the spin, by the pointer `held`,
 * so that no register is needed for it: its pages are at a fixed address.
 */
#define HELD	"0x10000000"

asm("	.pushsection .text\n"
    "hold:\n"
    "	push	%rbx\n"
    "	push	%rbp\n"
    "	push	%r12\n"
    "	push	%r13\n"
    "	push	%r14\n"
    "	push	%r15\n"
    "	push	%rdx\n"
    "	mov	%ds, %eax\n"
    "	push	%rax\n"
    "	mov	%es, %eax\n"
    "	push	%rax\n"
    "	test	%esi, %esi\n"
    "	jz	1f\n"
    "	mov	%esi, %ds\n"
    "	mov	%esi, %es\n"
    "1:	mov	%rsp, " HELD "+0x118\n"
    "	test	%edx, %edx\n"
    "	mov	" HELD "+0x120, %eax\n"
    "	mov	" HELD "+0x128, %edx\n"
    "	jz	2f\n"
    "	xrstor	" HELD "+0x340\n"
    "	jmp	3f\n"
    "2:	fxrstor	" HELD "+0x340\n"
    "3:	lea	" HELD "+0x330, %rsp\n"	/* top of its stack */
    "	push	" HELD "+0x80\n"
    "	popf\n"
    "	mov	" HELD "+0x00, %rax\n"
    "	mov	" HELD "+0x08, %rbx\n"
    "	mov	" HELD "+0x10, %rcx\n"
    "	mov	" HELD "+0x18, %rdx\n"
    "	mov	" HELD "+0x20, %rsi\n"
    "	mov	" HELD "+0x28, %rdi\n"
    "	mov	" HELD "+0x30, %rbp\n"
    "	mov	" HELD "+0x38, %r8\n"
    "	mov	" HELD "+0x40, %r9\n"
    "	mov	" HELD "+0x48, %r10\n"
    "	mov	" HELD "+0x50, %r11\n"
    "	mov	" HELD "+0x58, %r12\n"
    "	mov	" HELD "+0x60, %r13\n"
    "	mov	" HELD "+0x68, %r14\n"
    "	mov	" HELD "+0x70, %r15\n"
    "	mov	" HELD "+0x78, %rsp\n"
    "4:	decq	" HELD "+0x110\n"		/* leaves CF as it is */
    "	jnz	4b\n"
    "	mov	%rsp, " HELD "+0x100\n"
    "	mov	%rax, " HELD "+0x88\n"
    "	mov	%rbx, " HELD "+0x90\n"
    "	mov	%rcx, " HELD "+0x98\n"
    "	mov	%rdx, " HELD "+0xa0\n"
    "	mov	%rsi, " HELD "+0xa8\n"
    "	mov	%rdi, " HELD "+0xb0\n"
    "	mov	%rbp, " HELD "+0xb8\n"
    "	mov	%r8, " HELD "+0xc0\n"
    "	mov	%r9, " HELD "+0xc8\n"
    "	mov	%r10, " HELD "+0xd0\n"
    "	mov	%r11, " HELD "+0xd8\n"
    "	mov	%r12, " HELD "+0xe0\n"
    "	mov	%r13, " HELD "+0xe8\n"
    "	mov	%r14, " HELD "+0xf0\n"
    "	mov	%r15, " HELD "+0xf8\n"
    "	lea	" HELD "+0x330, %rsp\n"
    "	pushf\n"
    "	pop	" HELD "+0x108\n"
    "	push	$2\n"				/* AC and DF off again */
    "	popf\n"
    "	mov	" HELD "+0x118, %rsp\n"
    "	mov	16(%rsp), %rdx\n"
    "	test	%edx, %edx\n"
    "	mov	" HELD "+0x120, %eax\n"
    "	mov	" HELD "+0x128, %edx\n"
    "	jz	5f\n"
    "	xsave	" HELD "+0x4340\n"
    "	jmp	6f\n"
    "5:	fxsave	" HELD "+0x4340\n"
    "6:	mov	%ds, %esi\n"
    "	mov	%es, %edi\n"
    "	pop	%rax\n"
    "	mov	%eax, %es\n"
    "	pop	%rax\n"
    "	mov	%eax, %ds\n"
    "	fninit\n"				/* C expects its own modes */
    "	push	$0x1f80\n"
    "	ldmxcsr	(%rsp)\n"
    "	add	$16, %rsp\n"
    "	mov	%edi, %eax\n"
    "	shl	$16, %eax\n"
    "	mov	%si, %ax\n"
    "	pop	%r15\n"
    "	pop	%r14\n"
    "	pop	%r13\n"
    "	pop	%r12\n"
    "	pop	%rbp\n"
    "	pop	%rbx\n"
    "	ret\n"
    "	.popsection\n");

/* Returns ES << 16 | DS as they were after the spin. */
uint32_t hold(struct held *held, uint32_t selector, uint64_t use_xsave);

static struct held *const held = (struct held *)0x10000000;

struct component {
	uint32_t offset;
	uint32_t size;
};

static struct component components[64];
static uint64_t xcr0;

static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdull;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ull;
	return x ^ x >> 33;
}

/* Which extended state there is and where XSAVE puts it; XCR0 0 without XSAVE. */
static void find_components(void)
{
	uint32_t a, b, c, d, i;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) {
		xcr0 = 0;
		return;
	}
	asm volatile("xgetbv" : "=a" (a), "=d" (d) : "c" (0));
	xcr0 = (uint64_t)d << 32 | a;
	for (i = 2; i < 63; i++) {
		if (!(xcr0 >> i & 1))
			continue;
		__cpuid_count(0xd, i, a, b, c, d);
		if (b + a > XSAVE_ROOM) {
			xcr0 &= ~(1ull << i);	/* tile registers: no room, not held */
			continue;
		}
		components[i].offset = b;
		components[i].size = a;
	}
}

static void fill(uint64_t round)
{
	uint64_t *word, i, component;

	memset(held->xsave, 0, XSAVE_ROOM);
	for (i = 0; i < GPRS; i++)
		held->gpr[i] = mix(round * 64 + i);
	held->rsp = mix(round * 64 + 20);
	held->flags = FLAGS_HELD | 0x202;

	/* x87: eight numbers with the integer bit set, rounding up, 53 bits. */
	*(uint16_t *)(held->xsave + 0) = 0x0a7f;
	*(uint8_t *)(held->xsave + 4) = 0xff;
	for (i = 0; i < 8; i++) {
		*(uint64_t *)(held->xsave + 32 + i * 16) = mix(round * 64 + 21 + i) | 1ull << 63;
		*(uint16_t *)(held->xsave + 40 + i * 16) = 0x3fff + i;
	}
	/* SSE: rounding down, flush to zero. */
	*(uint32_t *)(held->xsave + 24) = 0xbf80;
	*(uint32_t *)(held->xsave + 28) = 0xffff;
	word = (uint64_t *)(held->xsave + 160);
	for (i = 0; i < 32; i++)
		word[i] = mix(round * 64 + 30 + i);

	held->mask_low = 3;
	held->mask_high = 0;
	if (!xcr0)
		return;
	held->mask_low = xcr0 & 0xffffffff;
	held->mask_high = xcr0 >> 32;
	*(uint64_t *)(held->xsave + 512) = xcr0;	/* XSTATE_BV */
	for (component = 2; component < 63; component++) {
		if (!(xcr0 >> component & 1))
			continue;
		word = (uint64_t *)(held->xsave + components[component].offset);
		if (component == XCOMP_PKRU) {
			/* Key 0 stays usable: it is the key of all our pages. */
			*(uint32_t *)word = (uint32_t)mix(round) & ~3u;
			continue;
		}
		if (component == XCOMP_BNDCSR) {
			/* Off: when on, branches of the compiler would change the bounds. */
			word[0] = mix(round) & 0x7ffffffff000;
			continue;
		}
		for (i = 0; i < components[component].size / 8; i++)
			word[i] = mix(round * 4096 + component * 64 + i);
	}
}

static void compare(uint64_t round)
{
	static const char * const names[] = {
		"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8",
		"r9", "r10", "r11", "r12", "r13", "r14", "r15",
	};
	uint64_t i;

	for (i = 0; i < GPRS; i++) {
		if (held->after[i] != held->gpr[i])
			failed("round %llu: %s is %016llx, was %016llx",
			       (unsigned long long)round, names[i],
			       (unsigned long long)held->after[i],
			       (unsigned long long)held->gpr[i]);
	}
	if (held->rsp_after != held->rsp)
		failed("round %llu: rsp changed", (unsigned long long)round);
	if ((held->flags_after & FLAGS_HELD) != FLAGS_HELD)
		failed("round %llu: flags are %llx, %x were set", (unsigned long long)round,
		       (unsigned long long)held->flags_after, FLAGS_HELD);
	if (memcmp(held->xsave_after, held->xsave, 2) || held->xsave_after[4] != 0xff)
		failed("round %llu: x87 control or tag word changed", (unsigned long long)round);
	for (i = 0; i < 8; i++) {
		if (memcmp(held->xsave_after + 32 + i * 16, held->xsave + 32 + i * 16, 10))
			failed("round %llu: st%llu changed", (unsigned long long)round,
			       (unsigned long long)i);
	}
	if (memcmp(held->xsave_after + 24, held->xsave + 24, 4))
		failed("round %llu: mxcsr changed", (unsigned long long)round);
	if (memcmp(held->xsave_after + 160, held->xsave + 160, 256))
		failed("round %llu: an xmm register changed", (unsigned long long)round);
	for (i = 2; i < 63; i++) {
		if (xcr0 >> i & 1 &&
		    memcmp(held->xsave_after + components[i].offset,
			   held->xsave + components[i].offset,
			   i == XCOMP_PKRU ? 4 : components[i].size))
			failed("round %llu: extended state component %llu changed",
			       (unsigned long long)round, (unsigned long long)i);
	}
}

/* A data segment over the held page in the LDT; returns its selector. */
static uint32_t make_segment(unsigned int entry, uint32_t base)
{
	struct user_desc segment = {
		.entry_number = entry,
		.base_addr = base,
		.limit = 0xffff,
		.seg_32bit = 1,
		.useable = 1,
	};

	if (syscall(SYS_modify_ldt, 0x11, &segment, sizeof(segment)))
		failed("modify_ldt: %s", strerror(errno));
	return entry << 3 | 7;
}

static uint64_t gs_word(void)
{
	uint64_t word;

	asm volatile("mov %%gs:0, %0" : "=r" (word));
	return word;
}

static uint64_t fs_word(void)
{
	uint64_t word;

	asm volatile("mov %%fs:0, %0" : "=r" (word));
	return word;
}

/* system call without errno: FS may not be the thread's while it is made */
static long set_base(int what, uint64_t base)
{
	long result;

	asm volatile("syscall" : "=a" (result)
		     : "a" (SYS_arch_prctl), "D" ((long)what), "S" (base)
		     : "rcx", "r11", "memory");
	return result;
}

/*
 * One round. FS is the thread's own pointer outside of the spin, so it is
 * changed just around it, and what it reads is compared after it is back.
 */
static void round_of(uint64_t round, uint64_t turns, uint64_t thread, const uint32_t *ldt,
		     uint64_t *bases)
{
	uint32_t selectors, fs = 0, gs = 0;
	uint64_t fs_read, gs_read;
	int in_ldt = round & 1;

	fill(round);
	held->spin = turns;
	bases[0] = mix(round) | 1;
	bases[512] = ~bases[0];
	if (in_ldt) {
		asm volatile("mov %0, %%fs; mov %1, %%gs" :: "r" (ldt[0]), "r" (ldt[1]));
	} else {
		set_base(ARCH_SET_FS, (uint64_t)&bases[0]);
		set_base(ARCH_SET_GS, (uint64_t)&bases[512]);
	}
	selectors = hold(held, in_ldt ? ldt[2] : 0, !!xcr0);
	fs_read = fs_word();
	gs_read = gs_word();
	asm volatile("mov %%fs, %0; mov %%gs, %1" : "=r" (fs), "=r" (gs));
	set_base(ARCH_SET_FS, thread);

	compare(round);
	if (fs_read != bases[0] || gs_read != bases[512])
		failed("round %llu: %s base of %s changed", (unsigned long long)round,
		       in_ldt ? "LDT" : "64-bit", fs_read != bases[0] ? "fs" : "gs");
	if (in_ldt && ((selectors & 0xffff) != ldt[2] || selectors >> 16 != ldt[2] ||
		       (fs & 0xffff) != ldt[0] || (gs & 0xffff) != ldt[1]))
		failed("round %llu: ds/es/fs/gs are %x/%x/%x/%x, were %x/%x/%x/%x",
		       (unsigned long long)round, selectors & 0xffff, selectors >> 16,
		       fs & 0xffff, gs & 0xffff, ldt[2], ldt[2], ldt[0], ldt[1]);
}

int main(int argc, char **argv)
{
	uint64_t wanted, end, first, round, turns = 1000, begin, khz, thread, *bases;
	uint32_t ldt[3];

	if (argc != 3)
		usage("SECONDS SWITCHES (ends when both are reached)");
	khz = tsc_khz();
	end = tsc() + number(argv[1]) * khz * 1000;
	wanted = number(argv[2]);
	first = switches();

	if (mmap((void *)held, sizeof(*held) + 8192, PROT_READ | PROT_WRITE,
		 MAP_FIXED_NOREPLACE | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != (void *)held)
		failed("no memory at %p: %s", (void *)held, strerror(errno));
	bases = (uint64_t *)((char *)held + (sizeof(*held) + 63) / 64 * 64);
	find_components();
	ldt[0] = make_segment(0, (uint64_t)&bases[0]);
	ldt[1] = make_segment(1, (uint64_t)&bases[512]);
	ldt[2] = make_segment(2, 0);	/* QEMU 7.2 adds a base of DS in 64-bit mode too */
	if (syscall(SYS_arch_prctl, ARCH_GET_FS, &thread))
		failed("arch_prctl: %s", strerror(errno));

	/* A spin of some 15 ms spans a switch or more at the usual slice. */
	for (round = 0; ; round++) {
		begin = tsc();
		round_of(round, turns, thread, ldt, bases);
		if (tsc() - begin < 15 * khz && turns < 1ull << 32)
			turns *= 2;
		if (tsc() < end)
			continue;
		if (switches() - first >= wanted)
			break;
		if (tsc() > end + 600 * khz * 1000)
			failed("%llu switches in ten minutes more than given, %llu wanted",
			       (unsigned long long)(switches() - first),
			       (unsigned long long)wanted);
	}
	ok("rounds %llu xcr0 %llx switches %llu", (unsigned long long)round + 1,
	   (unsigned long long)xcr0, (unsigned long long)(switches() - first));
}
