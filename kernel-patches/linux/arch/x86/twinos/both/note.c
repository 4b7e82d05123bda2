// SPDX-License-Identifier: GPL-2.0
/*
 * The mark by which kexec --twinos recognises a kernel that knows how to be a
 * coexisting OS: an ELF note, kept in vmlinux and so in every bzImage.
 */
#include <linux/elfnote.h>
#include <linux/elf.h>
#include <twinos/abi.h>

ELFNOTE32(TWINOS_NOTE_NAME, TWINOS_NOTE_TYPE, TWINOS_ABI_VERSION);
