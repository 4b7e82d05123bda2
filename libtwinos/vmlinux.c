// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel proper, an ELF file: is it TwinOS-aware (ELF note, twinos/abi.h),
 * and what does it look like in memory. Physical addresses count from its
 * lowest one; the kernel finds out at its entry where it is.
 */
#include <errno.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include "libtwinos.h"

#define PAGE 4096ull
#define LARGE_PAGE 0x200000ull		/* the entry code maps the kernel with these */
#define PHDRS_MAX 64

static int refuse_corrupt(const char *name, const char *why)
{
	return refuse(ENOEXEC, "%s: the kernel in it is corrupt: %s", name, why);
}

static uint64_t align4(uint64_t n)
{
	return (n + 3) & ~3ull;
}

/* Look for the note in one PT_NOTE; *version is left alone if it is not there. */
static void find_note(const uint8_t *data, size_t size, uint32_t *version)
{
	static const char note_name[] = TWINOS_NOTE_NAME;
	Elf64_Nhdr n;

	while (size >= sizeof(n)) {
		uint64_t name_size, desc_size;

		memcpy(&n, data, sizeof(n));
		data += sizeof(n);
		size -= sizeof(n);
		name_size = align4(n.n_namesz);
		desc_size = align4(n.n_descsz);
		if (name_size > size || desc_size > size - name_size)
			return;
		if (n.n_type == TWINOS_NOTE_TYPE && n.n_namesz == sizeof(note_name) &&
		    !memcmp(data, note_name, sizeof(note_name)) && n.n_descsz == sizeof(*version))
			memcpy(version, data + name_size, sizeof(*version));
		data += name_size + desc_size;
		size -= name_size + desc_size;
	}
}

static int read_segments(const char *name, const struct bzimage *image, const uint8_t *elf,
			 size_t size, Elf *e, const GElf_Ehdr *header, struct vmlinux *kernel)
{
	GElf_Phdr load[PHDRS_MAX], phdr;
	uint64_t first = UINT64_MAX;
	unsigned int nr = 0, i, j;
	bool entry_found = false;
	uint32_t version = 0;
	size_t phdrs;

	if (elf_getphdrnum(e, &phdrs) || !phdrs || phdrs > PHDRS_MAX)
		return refuse_corrupt(name, "its program headers");
	for (i = 0; i < phdrs; i++) {
		if (!gelf_getphdr(e, i, &phdr))
			return refuse_corrupt(name, "its program headers");
		if (phdr.p_type != PT_LOAD && phdr.p_type != PT_NOTE)
			continue;
		if (phdr.p_offset > size || phdr.p_filesz > size - phdr.p_offset)
			return refuse_corrupt(name, "a segment lies outside the file");
		if (phdr.p_type == PT_NOTE) {
			find_note(elf + phdr.p_offset, phdr.p_filesz, &version);
			continue;
		}
		if (!phdr.p_memsz)
			continue;
		if (phdr.p_filesz > phdr.p_memsz)
			return refuse_corrupt(name, "a segment is larger in the file than in memory");
		if (phdr.p_paddr + phdr.p_memsz < phdr.p_paddr)
			return refuse_corrupt(name, "a segment wraps around");
		if (phdr.p_paddr & (PAGE - 1))
			return refuse_corrupt(name, "a segment begins within a page");
		for (j = 0; j < nr; j++)
			if (phdr.p_paddr < load[j].p_paddr + load[j].p_memsz &&
			    load[j].p_paddr < phdr.p_paddr + phdr.p_memsz)
				return refuse_corrupt(name, "its segments overlap");
		load[nr++] = phdr;
		if (phdr.p_paddr < first)
			first = phdr.p_paddr;
	}
	if (!nr)
		return refuse_corrupt(name, "it has no segments to load");
	if (!version)
		return refuse(ENOEXEC,
			      "%s is not TwinOS-aware; build it with the TwinOS patches and CONFIG_TWINOS=y",
			      name);
	if (version != TWINOS_ABI_VERSION)
		return refuse(ENOEXEC,
			      "%s speaks version %u of the TwinOS interface, this %s version %u; build both from the same source",
			      name, version, twinos_program, TWINOS_ABI_VERSION);
	if (first & (LARGE_PAGE - 1))
		return refuse_corrupt(name, "it is linked to an unaligned address");

	for (i = 0; i < nr; i++) {
		const uint64_t offset = load[i].p_paddr - first;
		const uint64_t end = offset + load[i].p_memsz;

		if (end > image->header.init_size)
			return refuse_corrupt(name, "a segment lies outside its run-time range");
		if (load[i].p_filesz && kernel->nr_parts == VMLINUX_PARTS_MAX)
			return refuse_corrupt(name, "it has too many segments to load");
		if (load[i].p_filesz)
			kernel->part[kernel->nr_parts++] = (struct vmlinux_part){
				elf + load[i].p_offset, offset, load[i].p_filesz,
			};
		if (end > kernel->memory_size)
			kernel->memory_size = end;
		if (header->e_entry >= load[i].p_paddr &&
		    header->e_entry - load[i].p_paddr < load[i].p_filesz &&
		    load[i].p_flags & PF_X)
			entry_found = true;
	}
	if (!entry_found)
		return refuse_corrupt(name, "its entry point is not in its code");
	kernel->entry = header->e_entry - first;
	kernel->memory_size = (kernel->memory_size + PAGE - 1) & ~(PAGE - 1);
	return 0;
}

/**
 * read_vmlinux() - check an unpacked payload and find what is to be loaded of it
 * @image: of which it is the payload
 * @elf: the payload
 * @kernel: filled in; its parts point into the payload
 */
int read_vmlinux(const char *name, const struct bzimage *image, const uint8_t *elf, size_t size,
		 struct vmlinux *kernel)
{
	GElf_Ehdr header;
	Elf *e = NULL;
	int err;

	memset(kernel, 0, sizeof(*kernel));
	if (size < sizeof(Elf64_Ehdr) || memcmp(elf, ELFMAG, SELFMAG))
		return refuse_corrupt(name, "the payload is not an ELF file");
	if (elf[EI_CLASS] != ELFCLASS64)
		return refuse(ENOEXEC, "%s: the kernel in it is a 32-bit one; a 64-bit one is needed",
			      name);
	if (elf_version(EV_CURRENT) != EV_NONE)
		e = elf_memory((char *)elf, size);
	if (!e || elf_kind(e) != ELF_K_ELF || !gelf_getehdr(e, &header)) {
		err = refuse_corrupt(name, "its ELF header");
	} else if (header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_machine != EM_X86_64) {
		err = refuse(ENOEXEC, "%s: the kernel in it is not for x86-64", name);
	} else if (header.e_type != ET_EXEC && header.e_type != ET_DYN) {
		err = refuse_corrupt(name, "it is not an executable ELF file");
	} else {
		err = read_segments(name, image, elf, size, e, &header, kernel);
	}
	elf_end(e);
	return err;
}
