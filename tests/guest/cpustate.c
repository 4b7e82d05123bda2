// SPDX-License-Identifier: GPL-2.0
/*
 * What user space can see of the CPU's system state: the MSRs that a kernel
 * sets once, and GDTR, IDTR, TR, LDTR and CR0 where UMIP lets them be read.
 * "save" writes them to a file, "compare" says whether one of them changed.
 */
#include "guest.h"

#include <cpuid.h>
#include <fcntl.h>
#include <signal.h>
#include <setjmp.h>

struct entry {
	const char *name;
	uint32_t msr;
};

static const struct entry msrs[] = {
	{ "APIC_BASE", 0x1b },		{ "TSC_ADJUST", 0x3b },
	{ "SPEC_CTRL", 0x48 },		{ "MTRR_CAP", 0xfe },
	{ "SYSENTER_CS", 0x174 },	{ "SYSENTER_ESP", 0x175 },
	{ "SYSENTER_EIP", 0x176 },	{ "MISC_ENABLE", 0x1a0 },
	{ "MTRR_PHYSBASE0", 0x200 },	{ "MTRR_PHYSMASK0", 0x201 },
	{ "PAT", 0x277 },		{ "MTRR_DEF_TYPE", 0x2ff },
	{ "XSS", 0xda0 },		{ "EFER", 0xc0000080 },
	{ "STAR", 0xc0000081 },		{ "LSTAR", 0xc0000082 },
	{ "CSTAR", 0xc0000083 },	{ "SYSCALL_MASK", 0xc0000084 },
	{ "TSC_AUX", 0xc0000103 },
};

struct state {
	uint64_t msr[ARRAY_SIZE(msrs)];
	uint64_t has_msr[ARRAY_SIZE(msrs)];
	uint64_t xcr0;
	uint64_t tables_readable;	/* UMIP is off */
	uint64_t gdt[2], idt[2];	/* base, limit */
	uint64_t tr, ldtr, cr0;
};

static sigjmp_buf refused;

static void on_fault(int number UNUSED)
{
	siglongjmp(refused, 1);
}

/* The LDTR belongs to the process, so it is 0 here, whoever ran before. */
static void read_tables(struct state *state)
{
	struct { uint16_t limit; uint64_t base; } __attribute__((packed)) gdt, idt;
	uint16_t tr, ldtr;
	uint64_t cr0;

	signal(SIGSEGV, on_fault);
	if (!sigsetjmp(refused, 1)) {
		asm volatile("str %0" : "=r" (tr));
		asm volatile("sldt %0" : "=r" (ldtr));
		asm volatile("sgdt %0" : "=m" (gdt));
		asm volatile("sidt %0" : "=m" (idt));
		asm volatile("smsw %0" : "=r" (cr0));
		state->tables_readable = 1;
		state->gdt[0] = gdt.base;
		state->gdt[1] = gdt.limit;
		state->idt[0] = idt.base;
		state->idt[1] = idt.limit;
		state->tr = tr;
		state->ldtr = ldtr;
		state->cr0 = cr0 & ~8ull;	/* TS comes and goes */
	}
	signal(SIGSEGV, SIG_DFL);
}

static void read_state(struct state *state)
{
	uint32_t a, b, c, d;
	size_t i;
	int fd;

	memset(state, 0, sizeof(*state));
	fd = open("/dev/cpu/0/msr", O_RDONLY);
	if (fd < 0)
		failed("/dev/cpu/0/msr: %s", strerror(errno));
	for (i = 0; i < ARRAY_SIZE(msrs); i++)
		state->has_msr[i] = pread(fd, &state->msr[i], 8, msrs[i].msr) == 8;
	close(fd);
	if (__get_cpuid(1, &a, &b, &c, &d) && c & bit_OSXSAVE) {
		asm volatile("xgetbv" : "=a" (a), "=d" (d) : "c" (0));
		state->xcr0 = (uint64_t)d << 32 | a;
	}
	read_tables(state);
}

static void same(const char *name, uint64_t before, uint64_t now)
{
	if (before != now)
		failed("%s is %llx, was %llx", name, (unsigned long long)now,
		       (unsigned long long)before);
}

static void compare(const struct state *before, const struct state *now)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(msrs); i++) {
		same(msrs[i].name, before->has_msr[i], now->has_msr[i]);
		same(msrs[i].name, before->msr[i], now->msr[i]);
	}
	same("XCR0", before->xcr0, now->xcr0);
	same("UMIP", before->tables_readable, now->tables_readable);
	same("GDT base", before->gdt[0], now->gdt[0]);
	same("GDT limit", before->gdt[1], now->gdt[1]);
	same("IDT base", before->idt[0], now->idt[0]);
	same("IDT limit", before->idt[1], now->idt[1]);
	same("TR", before->tr, now->tr);
	same("LDTR", before->ldtr, now->ldtr);
	same("CR0", before->cr0, now->cr0);
}

int main(int argc, char **argv)
{
	struct state before, now;
	size_t i, readable = 0;
	FILE *file;
	int saving;

	if (argc != 3 || (strcmp(argv[1], "save") && strcmp(argv[1], "compare")))
		usage("save FILE | compare FILE");
	saving = !strcmp(argv[1], "save");
	read_state(&now);
	file = fopen(argv[2], saving ? "w" : "r");
	if (!file)
		failed("%s: %s", argv[2], strerror(errno));
	if (saving) {
		if (fwrite(&now, sizeof(now), 1, file) != 1 || fclose(file))
			failed("%s: %s", argv[2], strerror(errno));
	} else {
		if (fread(&before, sizeof(before), 1, file) != 1)
			failed("%s: not written by 'save'", argv[2]);
		compare(&before, &now);
	}
	for (i = 0; i < ARRAY_SIZE(msrs); i++)
		readable += now.has_msr[i];
	ok("%s msrs %zu tables %s switches %llu", argv[1], readable,
	   now.tables_readable ? "readable" : "hidden", (unsigned long long)switches());
}
