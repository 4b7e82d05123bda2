/* SPDX-License-Identifier: GPL-2.0 */
/*
 * TwinOS as the rest of the kernel sees it: what the hooks in existing files
 * call. Included everywhere by arch/x86/Makefile, so that no existing file has to;
 * hence it includes nothing itself. See arch/x86/twinos. Where the build tries what a
 * compiler knows, without the configuration and with all warnings, this is empty.
 */
#if !defined(_LINUX_TWINOS_H) && defined(__LINUX_KCONFIG_H)
#define _LINUX_TWINOS_H

struct irq_matrix;
struct kexec_segment;

#ifdef CONFIG_TWINOS
void twinos_setup(void);
void twinos_reserve_vectors(struct irq_matrix *matrix);
_Bool twinos_idle(void);
#define KEXEC_TWINOS		0x00008000	/* as in twinos/abi.h */
int twinos_load(unsigned long entry, unsigned long nr_segments, struct kexec_segment *segments,
		unsigned long flags);
int twinos_reboot(unsigned int cmd, unsigned long arg);
#else
static inline void twinos_setup(void) { }
static inline void twinos_reserve_vectors(struct irq_matrix *matrix) { }
static inline _Bool twinos_idle(void) { return 0; }
#define KEXEC_TWINOS		0
static inline int twinos_load(unsigned long entry, unsigned long nr_segments,
			      struct kexec_segment *segments, unsigned long flags)
{
	return -22;	/* EINVAL */
}

static inline int twinos_reboot(unsigned int cmd, unsigned long arg)
{
	return -22;	/* EINVAL */
}
#endif

#endif /* _LINUX_TWINOS_H */
