/* SPDX-License-Identifier: GPL-2.0 */
/* The built purgatory as data of kexec and of its tests. */
	.section .rodata
	.globl	twinos_purgatory, twinos_purgatory_end
	.balign	16
twinos_purgatory:
	.incbin	"twinos-purgatory.bin"
twinos_purgatory_end:
	.section .note.GNU-stack, "", @progbits
