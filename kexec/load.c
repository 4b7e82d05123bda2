// SPDX-License-Identifier: GPL-2.0
/*
 * Loading a coexisting OS: check everything, read and lay out the image, and
 * make the segments for kexec_load(2). Nothing is changed in the running
 * system here, so a refusal leaves an image loaded before as it was.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "twinos.h"
#include "parameters.h"

#define FILE_MAX (4ull << 30)

/** read_whole_file() - @data is to be freed; an empty file gives size 0 */
int read_whole_file(const char *name, uint8_t **data, size_t *size)
{
	struct stat st;
	uint8_t *buf;
	size_t used = 0;
	ssize_t n = 0;
	int fd, err;

	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return refuse(errno, "%s cannot be opened: %s", name, strerror(errno));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return refuse(EINVAL, "%s is not a regular file", name);
	}
	if ((uint64_t)st.st_size > FILE_MAX) {
		close(fd);
		return refuse(EFBIG, "%s is larger than 4 GiB", name);
	}
	buf = malloc(st.st_size + 1);
	if (!buf) {
		close(fd);
		return refuse(ENOMEM, "not enough memory to read %s", name);
	}
	while (used < (size_t)st.st_size && (n = read(fd, buf + used, st.st_size - used)) > 0)
		used += n;
	err = n < 0 ? errno : 0;
	close(fd);
	if (err) {
		free(buf);
		return refuse(err, "%s cannot be read: %s", name, strerror(err));
	}
	*data = buf;
	*size = used;
	return 0;
}

static void own(struct loaded *l, void *data)
{
	l->owned[l->nr_owned++] = data;
}

void release(struct loaded *l)
{
	while (l->nr_owned)
		free(l->owned[--l->nr_owned]);
}

static void add_segment(struct loaded *l, const char *what, const void *buf, uint64_t bufsz,
			uint64_t mem, uint64_t memsz)
{
	memsz = (memsz + 4095) & ~4095ull;
	debug("twinos: %-12s %#14" PRIx64 "-%#" PRIx64 "\n", what, mem, mem + memsz - 1);
	l->segment[l->nr_segments++] = (struct segment){ buf, bufsz, mem, memsz };
}

/* A copy of the purgatory with its parameters and its gates filled in. */
static int make_purgatory(struct loaded *l, const uint8_t *code, size_t size, uint8_t **copy)
{
	const struct placement *p = &l->placement;
	struct purgatory_parameters *parameters;
	unsigned int i;

	if (size < sizeof(*parameters))
		return refuse(ENOEXEC, "this kexec was built without its purgatory");
	*copy = malloc(size);
	if (!*copy)
		return refuse(ENOMEM, "not enough memory for the purgatory");
	own(l, *copy);
	memcpy(*copy, code, size);
	parameters = (void *)*copy;
	if (parameters->magic != PURGATORY_MAGIC || parameters->size != size ||
	    parameters->idt > size - PURGATORY_VECTORS * sizeof(struct purgatory_gate) ||
	    parameters->vectors > size - PURGATORY_VECTORS * PURGATORY_STUB_SIZE)
		return refuse(ENOEXEC, "this kexec was built with a wrong purgatory");
	parameters->kernel_entry = p->entry;
	parameters->boot_params = p->boot_params.start;
	parameters->entry_32bit = p->entry_32bit;
	for (i = 0; i < PURGATORY_VECTORS; i++) {
		const uint64_t stub = p->purgatory.start + parameters->vectors +
				      i * PURGATORY_STUB_SIZE;
		const struct purgatory_gate gate = {
			.offset_0 = stub,
			.selector = PURGATORY_CS,
			.type = PURGATORY_INTERRUPT_GATE,
			.offset_16 = stub >> 16,
			.offset_32 = stub >> 32,
		};

		memcpy(*copy + parameters->idt + i * sizeof(gate), &gate, sizeof(gate));
	}
	return 0;
}

static int read_parts(const struct request *r, struct loaded *l, struct bzimage *image,
		      struct vmlinux *kernel, const uint8_t **initrd, size_t *initrd_size)
{
	uint8_t *file, *elf;
	size_t size;
	int err;

	err = read_whole_file(r->kernel, &file, &size);
	if (err)
		return err;
	own(l, file);
	err = check_bzimage(r->kernel, file, size, image);
	if (err)
		return err;
	if (strlen(r->command_line) > image->header.cmdline_size)
		return refuse(E2BIG, "the command line has %zu characters; this kernel takes at most %u",
			      strlen(r->command_line), image->header.cmdline_size);
	err = unpack_payload(r->kernel, image, &elf, &size);
	if (err)
		return err;
	err = read_vmlinux(r->kernel, image, elf, size, kernel);
	free(elf);
	if (err)
		return err;
	own(l, kernel->image);

	*initrd = NULL;
	*initrd_size = 0;
	if (r->initrd) {
		err = read_whole_file(r->initrd, &file, initrd_size);
		if (err)
			return err;
		own(l, file);
		if (!*initrd_size)
			return refuse(ENOEXEC, "the initrd %s is empty", r->initrd);
		*initrd = file;
	}
	return 0;
}

/*
 * Unpack the initrd if the window has room, and place everything again. The
 * coexisting OS needs as much again for the files and wants to run, too: hence
 * a quarter of what is left of the window.
 */
static int unpack_and_place(const struct request *r, struct loaded *l,
			    const struct bzimage *image, const struct vmlinux *kernel,
			    struct sizes *sizes, const uint8_t **initrd)
{
	struct placement *p = &l->placement;
	uint8_t *data;
	size_t size;

	if (unpack_initrd(*initrd, sizes->initrd, (p->window.size - p->need) / 4, &data, &size))
		return 0;
	own(l, data);
	*initrd = data;
	sizes->initrd = size;
	return place(r->kernel, image, kernel, sizes, p);
}

static int check_devices(const struct roots *roots, const struct share_options *share,
			 const struct os_list *oses, uint32_t id)
{
	unsigned int i;
	int err;

	for (i = 0; i < share->nr_pci; i++) {
		err = check_pci(roots, &share->pci[i], oses, id);
		if (err)
			return err;
	}
	for (i = 0; i < share->nr_irqs; i++) {
		err = check_irq(roots, share->irqs[i], oses, id);
		if (err)
			return err;
	}
	return 0;
}

/* An OS that runs keeps its number. */
static int check_id(const struct os_list *oses, uint32_t id)
{
	const struct os *os = find_os(oses, id);

	if (!os || !os_running(os))
		return 0;
	return refuse(EBUSY, "coexisting OS %u is running; stop it (kexec --twinos-id=%u --twinos-stop) before loading another in its place, or choose another number",
		      id, id);
}

/**
 * prepare_load() - everything up to the system call
 * @purgatory: as it was built
 * @l: filled in; release() it in any case
 */
int prepare_load(const struct roots *roots, const struct request *r, const uint8_t *purgatory,
		 size_t purgatory_size, struct loaded *l)
{
	static struct memory_map firmware, used;
	static struct os_list oses;
	struct share_options share = r->share;
	struct placement *p = &l->placement;
	struct boot_params *params;
	struct vmlinux kernel;
	struct bzimage image;
	const uint8_t *initrd;
	struct sizes sizes;
	size_t initrd_size;
	uint8_t *code = NULL;
	uint32_t id = r->id;
	int err;

	memset(l, 0, sizeof(*l));
	err = share_defaults(&share, roots->conf);
	if (!err)
		err = read_oses(roots, &oses);
	if (!err)
		err = check_id(&oses, id);
	if (!err)
		err = read_firmware_map(roots->sys, &firmware);
	if (!err)
		err = read_used_map(roots->proc, &used);
	if (!err)
		err = find_window(roots, &share, &oses, &id, &firmware, &used, &p->window,
				  &p->low);
	if (!err)
		err = check_cpus(roots, share.cpus, share.nr_cpus, &oses, id);
	if (!err)
		err = read_parts(r, l, &image, &kernel, &initrd, &initrd_size);
	if (!err)
		err = check_devices(roots, &share, &oses, id);
	if (err)
		return err;

	/* The kernel itself has no 32-bit entry; its decompressor has. */
	p->entry_32bit = r->entry_32bit;
	p->direct = r->entry == TWINOS_ENTRY_DIRECT ||
		    (r->entry == TWINOS_ENTRY_DEFAULT && !r->entry_32bit);
	sizes = (struct sizes){
		.initrd = initrd_size,
		.command_line = strlen(r->command_line) + 1,
		.purgatory = purgatory_size,
	};
	err = place(r->kernel, &image, &kernel, &sizes, p);
	if (!err && initrd)
		err = unpack_and_place(r, l, &image, &kernel, &sizes, &initrd);
	if (!err)
		err = make_purgatory(l, purgatory, purgatory_size, &code);
	if (err)
		return err;
	params = calloc(1, sizeof(*params));
	if (!params)
		return refuse(ENOMEM, "not enough memory for boot_params");
	own(l, params);
	err = fill_boot_params(params, &image, p, &firmware);
	if (err)
		return err;
	fill_share(&l->share, p, &share, id);

	debug("twinos: %-12s %#14" PRIx64 "-%#" PRIx64 "\n", "window", p->window.start,
	      range_end(&p->window) - 1);
	if (p->low.size)
		debug("twinos: %-12s %#14" PRIx64 "-%#" PRIx64 "\n", "low slice", p->low.start,
		      range_end(&p->low) - 1);
	debug("twinos: %-12s %#14" PRIx64 "-%#" PRIx64 "\n", "run-time", p->kernel.start,
	      range_end(&p->kernel) - 1);
	add_segment(l, "share", &l->share, sizeof(l->share),
		    p->window.start + TWINOS_SHARE_OFFSET, sizeof(l->share));
	add_segment(l, "purgatory", code, purgatory_size, p->purgatory.start, purgatory_size);
	add_segment(l, "boot_params", params, sizeof(*params), p->boot_params.start,
		    sizeof(*params));
	add_segment(l, "command line", r->command_line, sizes.command_line,
		    p->command_line.start, sizes.command_line);
	if (p->direct)
		add_segment(l, "kernel", kernel.image, kernel.file_size, p->load.start,
			    p->load.size);
	else
		add_segment(l, "bzImage", image.file + image.setup_size,
			    image.size - image.setup_size, p->load.start, p->load.size);
	if (initrd)
		add_segment(l, "initrd", initrd, sizes.initrd, p->initrd.start, sizes.initrd);
	debug("twinos: entry at %#" PRIx64 " (%s), through the purgatory at %#" PRIx64 "\n",
	      p->entry, p->direct ? "direct" : p->entry_32bit ? "bzImage, 32-bit" : "bzImage",
	      p->purgatory.start + PURGATORY_ENTRY);
	for (unsigned int i = 0; i < params->e820_entries; i++)
		debug("twinos: e820 %#14" PRIx64 "-%#" PRIx64 " %s\n",
		      (uint64_t)params->e820_table[i].addr,
		      (uint64_t)(params->e820_table[i].addr + params->e820_table[i].size - 1),
		      params->e820_table[i].type == 1 ? "RAM" : "reserved");
	return 0;
}
