// SPDX-License-Identifier: GPL-2.0
/*
 * Where everything goes in the window:
 *
 *   window start                shared area (twinos/abi.h), nobody's RAM
 *   + TWINOS_SHARED_SIZE        purgatory, boot_params, command line, if they
 *                               fit below the kernel; else above it
 *   next multiple of the        kernel, with room for all that it needs before
 *   kernel's alignment          it knows its memory (init_size)
 *   ...
 *   top, downwards              initrd
 *
 * Nothing of it is tied to low memory.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "libtwinos.h"

#define PAGE 4096ull
#define FOUR_GIB (1ull << 32)
#define LARGE_PAGE 0x200000ull

static uint64_t align_up(uint64_t n, uint64_t align)
{
	return (n + align - 1) & ~(align - 1);
}

/* Put the small parts, one behind the other, at and below *from. */
static uint64_t place_small(struct placement *p, const struct sizes *sizes, uint64_t at)
{
	p->purgatory = (struct range){ at, align_up(sizes->purgatory, PAGE) };
	at = range_end(&p->purgatory);
	p->boot_params = (struct range){ at, PAGE };
	at = range_end(&p->boot_params);
	p->command_line = (struct range){ at, align_up(sizes->command_line, PAGE) };
	return range_end(&p->command_line);
}

/**
 * check_paging() - will the kernel run with as many levels as the running one?
 * @name: of the kernel's file, for the refusal
 * @p: direct and entry_32bit are set
 *
 * A CPU can only change the number with paging off, so kernels that switch by
 * loading CR3 must agree; the kernel itself goes by what it finds. A decompressor goes
 * by CPU and command line, and changes it in a trampoline that it puts below 640 KiB:
 * where the BIOS data area says that memory ends, or in the last RAM of its memory map
 * below that. Neither need be the coexisting OS's, nor mapped at the launch, and an NMI
 * there has no handler. So nothing that needs it is loaded; with the 32-bit
 * entry, that is any 5-level paging.
 */
int check_paging(const char *name, const struct bzimage *image, const struct placement *p,
		 const char *command_line, const struct paging *paging)
{
	const bool can = image->header.xloadflags & XLF_5LEVEL_ENABLED;
	const bool refrains = has_word(command_line, "no5lvl");

	if (paging->five_levels && !can)
		return refuse(ENOEXEC,
			      "%s cannot run with 5-level paging, which the running kernel uses; build it with CONFIG_X86_5LEVEL=y, or boot the running kernel with no5lvl",
			      name);
	if (p->direct)
		return 0;
	if (paging->five_levels && p->entry_32bit)
		return refuse(EINVAL,
			      "--entry-32bit does not go with 5-level paging, which the running kernel uses; leave it out, or boot the running kernel with no5lvl");
	if (paging->five_levels && refrains)
		return refuse(EINVAL,
			      "no5lvl would end 5-level paging, which the running kernel uses; leave it out of --append, or boot the running kernel with it, too");
	if (!paging->five_levels && paging->cpu_five_levels && can && !refrains)
		return refuse(EINVAL,
			      "%s: its decompressor would begin 5-level paging, which the running kernel does not use; add no5lvl to --append, or use --twinos-entry=direct",
			      name);
	return 0;
}

/**
 * place() - find room for all parts in p->window
 * @name: of the kernel's file, for the refusal
 * @kernel: used for the direct entry
 * @sizes: of the other parts
 * @p: window, low, direct and entry_32bit are set; the rest is filled in
 */
int place(const char *name, const struct bzimage *image, const struct vmlinux *kernel,
	  const struct sizes *sizes, struct placement *p)
{
	const struct setup_header *h = &image->header;
	const uint64_t usable = p->window.start + TWINOS_SHARED_SIZE;
	const uint64_t end = range_end(&p->window);
	const uint64_t init_size = align_up(h->init_size, PAGE);
	const uint64_t initrd = align_up(sizes->initrd, PAGE);
	uint64_t base, small, small_end, top, used;

	if (usable < p->window.start || end < p->window.start)
		return refuse(ERANGE, "the window wraps around the end of the address space; choose another range");

	/*
	 * The entry code maps the kernel with large pages and accepts nothing
	 * else; the decompressor goes by the header's alignment and never
	 * below the address that the kernel prefers.
	 */
	base = align_up(usable, p->direct ? LARGE_PAGE : h->kernel_alignment);
	if (!p->direct && base < h->pref_address)
		base = h->pref_address;

	small = base + init_size;
	if (place_small(p, sizes, usable) > base)
		small_end = place_small(p, sizes, small);
	else
		small_end = small;
	used = small_end - p->window.start + initrd;
	p->need = used;

	if (!p->direct && base == h->pref_address && (base < usable || base + init_size > end))
		return refuse(EADDRNOTAVAIL,
			      "%s: its decompressor runs it at %#" PRIx64 " or above, outside the window %#" PRIx64 "-%#" PRIx64 "; use --twinos-entry=direct or another window",
			      name, (uint64_t)h->pref_address, p->window.start, end - 1);
	if (used > p->window.size) {
		const uint64_t kib = used >> 10;

		if (sizes->initrd && used - initrd <= p->window.size)
			return refuse(ENOSPC,
				      "the initrd of %" PRIu64 " KiB does not fit: the window %#" PRIx64 "-%#" PRIx64 " has %" PRIu64 " KiB, at least %" PRIu64 " KiB are needed",
				      initrd >> 10, p->window.start, end - 1,
				      p->window.size >> 10, kib);
		return refuse(ENOSPC,
			      "the window %#" PRIx64 "-%#" PRIx64 " of %" PRIu64 " KiB is too small: at least %" PRIu64 " KiB are needed",
			      p->window.start, end - 1, p->window.size >> 10, kib);
	}

	top = end & ~(PAGE - 1);
	p->initrd = (struct range){ sizes->initrd ? top - initrd : 0, sizes->initrd };
	p->kernel = (struct range){ base, init_size };
	if (p->direct) {
		p->load = (struct range){ base, kernel->memory_size };
		p->entry = base + kernel->entry;
	} else {
		p->load = (struct range){ base, init_size };
		p->entry = p->entry_32bit ? base : base + 0x200;
	}

	if (p->entry_32bit && end > FOUR_GIB)
		return refuse(EADDRNOTAVAIL,
			      "--entry-32bit cannot reach a window above 4 GiB; leave it out or use a lower window");
	if (end > FOUR_GIB && !(h->xloadflags & XLF_CAN_BE_LOADED_ABOVE_4G))
		return refuse(EADDRNOTAVAIL, "%s cannot run above 4 GiB; use a lower window", name);
	return 0;
}
