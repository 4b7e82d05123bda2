// SPDX-License-Identifier: GPL-2.0
/*
 * Loading a coexisting OS: check everything, read and lay out the image, and
 * make the segments for kexec_load(2). Nothing is changed in the running
 * system here, so a refusal leaves an image loaded before as it was.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "libtwinos.h"
#include "parameters.h"

#define FILE_MAX (4ull << 30)
#define MIB (UINT64_C(1) << 20)
#define CPUID_7_ECX_LA57 (1u << 16)

/* @mapped: size of a mapping, 0 for what malloc() gave */
static void own(struct loaded *l, void *data, size_t mapped)
{
	l->owned[l->nr_owned].data = data;
	l->owned[l->nr_owned++].mapped = mapped;
}

void release(struct loaded *l)
{
	while (l->nr_owned) {
		l->nr_owned--;
		if (l->owned[l->nr_owned].mapped)
			munmap(l->owned[l->nr_owned].data, l->owned[l->nr_owned].mapped);
		else
			free(l->owned[l->nr_owned].data);
	}
}

/* A file as it is in the page cache, so that it takes no memory of its own. */
static int map_file(struct loaded *l, const char *name, const uint8_t **data, size_t *size)
{
	struct stat st;
	int fd, err = 0;
	void *map;

	*data = NULL;
	*size = 0;
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return refuse(errno, "%s cannot be opened: %s", name, strerror(errno));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		err = refuse(EINVAL, "%s is not a regular file", name);
	} else if ((uint64_t)st.st_size > FILE_MAX) {
		err = refuse(EFBIG, "%s is larger than 4 GiB", name);
	} else if (st.st_size) {
		map = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (map == MAP_FAILED) {
			err = refuse(errno, "%s cannot be read: %s", name, strerror(errno));
		} else {
			own(l, map, st.st_size);
			*data = map;
			*size = st.st_size;
		}
	}
	close(fd);
	return err;
}

/* Without what would have to be swapped out for it. */
static int available_memory(const struct roots *roots, uint64_t *bytes)
{
	static const char key[] = "MemAvailable:";
	char path[300], *text = NULL, *at = NULL;

	snprintf(path, sizeof(path), "%s/meminfo", roots->proc);
	if (!read_file(path, &text, NULL))
		at = strstr(text, key);
	if (at)
		*bytes = strtoull(at + strlen(key), NULL, 10) << 10;
	free(text);
	return at ? 0 : refuse(EIO, "%s does not tell how much memory is available", path);
}

/* Better refused than a process of the running OS killed for it. */
static int check_memory_for(const struct roots *roots, const char *name, uint64_t bytes)
{
	uint64_t available;
	int err = available_memory(roots, &available);

	if (err || bytes <= available)
		return err;
	return refuse(ENOMEM,
		      "%s: to load it needs %" PRIu64 " MiB of memory, and %" PRIu64 " MiB are available; free some first",
		      name, (bytes + MIB - 1) / MIB, available / MIB);
}

/* What the running kernel and the CPU say; all CPUs are taken to be alike. */
static int read_paging(const struct roots *roots, struct paging *paging)
{
	char path[300], *text = NULL, *flags = NULL;
	unsigned int a, b, c, d;

	snprintf(path, sizeof(path), "%s/cpuinfo", roots->proc);
	if (!read_file(path, &text, NULL))
		flags = strstr(text, "\nflags");
	if (!flags) {
		free(text);
		return refuse(EIO, "%s does not tell the flags of the CPU", path);
	}
	flags++;
	flags[strcspn(flags, "\n")] = 0;
	/* The kernel takes la57 out of the list if it does not use it. */
	paging->five_levels = has_word(flags, "la57");
	paging->cpu_five_levels = paging->five_levels ||
		(__get_cpuid_count(7, 0, &a, &b, &c, &d) && c & CPUID_7_ECX_LA57);
	free(text);
	return 0;
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
		return refuse(ENOEXEC, "this %s was built without its purgatory", twinos_program);
	*copy = malloc(size);
	if (!*copy)
		return refuse(ENOMEM, "not enough memory for the purgatory");
	own(l, *copy, 0);
	memcpy(*copy, code, size);
	parameters = (void *)*copy;
	if (parameters->magic != PURGATORY_MAGIC || parameters->size != size ||
	    parameters->idt > size - PURGATORY_VECTORS * sizeof(struct purgatory_gate) ||
	    parameters->vectors > size - PURGATORY_VECTORS * PURGATORY_STUB_SIZE)
		return refuse(ENOEXEC, "this %s was built with a wrong purgatory", twinos_program);
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

/* What a load has found out so far; each step below adds to it. */
struct load {
	const struct roots *roots;
	const struct request *request;
	struct share_options share;	/* options, and the defaults for the rest */
	struct memory_map firmware, used;
	struct os_list oses;
	uint32_t id;
	struct paging paging;
	struct bzimage image;
	struct vmlinux kernel;		/* what it points to is only kept for the direct entry */
	const uint8_t *initrd;		/* NULL if there is none */
	char *command_line;
	struct sizes sizes;
	uint8_t *purgatory;
	struct boot_params *params;
};

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
	return refuse(EBUSY, "coexisting OS %u is running; stop it (twinos stop %u) before loading another in its place, or choose another number",
		      id, id);
}

/* Memory, number and CPUs. */
static int choose_share(struct load *load, struct loaded *l)
{
	const struct roots *roots = load->roots;
	struct placement *p = &l->placement;
	int err;

	load->share = load->request->share;
	load->id = load->request->id;
	err = roots->conf ? share_defaults(&load->share, roots->conf) : 0;
	if (!err)
		err = read_oses(roots, &load->oses);
	if (!err)
		err = check_id(&load->oses, load->id);
	if (!err)
		err = read_firmware_map(roots->sys, &load->firmware);
	if (!err)
		err = read_used_map(roots->proc, &load->used);
	if (!err)
		err = find_window(roots, &load->share, &load->oses, &load->id, &load->firmware,
				  &load->used, &p->window, &p->low);
	if (!err)
		err = read_paging(roots, &load->paging);
	if (!err)
		err = check_cpus(roots, load->share.cpus, load->share.nr_cpus, &load->oses,
				 load->id);
	return err;
}

/* Is the class of one of the functions this one, or does it begin so? */
static bool has_pci_class(const struct roots *roots, const struct share_options *share,
			  const char *class)
{
	char path[400], text[16];
	unsigned int i;

	for (i = 0; i < share->nr_pci; i++) {
		const struct twinos_pci *pci = &share->pci[i];

		snprintf(path, sizeof(path), "%s/bus/pci/devices/%04x:%02x:%02x.%x", roots->sys,
			 pci->domain, pci->bus, pci->devfn >> 3, pci->devfn & 7);
		if (!read_text(path, "class", text, sizeof(text)) &&
		    !strncmp(text, class, strlen(class)))
			return true;
	}
	return false;
}

/** has_pci_serial() - a serial port among the functions? By their class: serial or multiport. */
bool has_pci_serial(const struct roots *roots, const struct share_options *share)
{
	return has_pci_class(roots, share, "0x0700") || has_pci_class(roots, share, "0x0702");
}

/* A network card among them? */
static bool has_pci_network(const struct roots *roots, const struct share_options *share)
{
	return has_pci_class(roots, share, "0x02");
}

/* Nothing but the terminal between the OSes could be its console. */
static bool has_no_port(const struct roots *roots, const struct share_options *share)
{
	unsigned int i;

	for (i = 0; i < share->nr_irqs; i++)
		if (share->irqs[i] == 3 || share->irqs[i] == 4)
			return false;
	return !has_pci_serial(roots, share);
}

/**
 * make_line() - the command line of an OS: what it needs besides, then what was asked for and fits
 * @share: what it is given
 * @id: its number; may be 0 without a root file system from the network
 * @line, @left_out: to be freed in any case
 *
 * In this order whatever was asked for is the last word. With network cards of its own an initrd
 * could try the address on those, so that the interface is named; that name is given by udev's
 * rule in the initrd.
 */
int make_line(const struct roots *roots, const struct request *request,
	      const struct share_options *share, uint32_t id, char **line, char **left_out)
{
	char *fitted, *words = NULL;
	const char *console = "";
	int err;

	*line = NULL;
	err = fit_command_line(request->command_line, share, has_pci_serial(roots, share), &fitted,
			       left_out);
	if (!err && request->root)
		err = root_words(roots, request->root, id,
				 request->name && *request->name ? request->name : "coexisting",
				 has_pci_network(roots, share) ? "twinos0" : "",
				 !has_parameter(fitted, "ip"), &words);
	if (!err && !has_parameter(fitted, "console") && has_no_port(roots, share))
		console = "console=hvc0";
	if (!err && asprintf(line, "%s%s%s%s%s", words ?: "", words && (*console || *fitted) ? " " : "",
			     console, *console && *fitted ? " " : "", fitted) < 0) {
		*line = NULL;
		err = refuse(ENOMEM, "not enough memory for the command line");
	}
	free(words);
	free(fitted);
	return err;
}

static int make_command_line(struct load *load, struct loaded *l)
{
	const uint32_t max = load->image.header.cmdline_size;
	size_t length;
	int err;

	err = make_line(load->roots, load->request, &load->share, load->id, &load->command_line,
			&l->left_out);
	own(l, load->command_line, 0);
	own(l, l->left_out, 0);
	if (err)
		return err;
	length = strlen(load->command_line);
	if (length > max)
		return refuse(E2BIG, "the command line has %zu characters; this kernel takes at most %u",
			      length, max);
	load->sizes.command_line = length + 1;
	return 0;
}

/* The kernel unpacked, whichever its entry: only that tells whether it is TwinOS-aware. */
static int unpack_kernel(struct load *load, struct loaded *l)
{
	const char *name = load->request->kernel;
	uint8_t *elf;
	size_t size;
	int err;

	err = check_memory_for(load->roots, name, unpacked_size(&load->image));
	if (!err)
		err = unpack_payload(name, &load->image, &elf, &size);
	if (err)
		return err;
	err = read_vmlinux(name, &load->image, elf, size, &load->kernel);
	if (!err && l->placement.direct)
		own(l, elf, 0);
	else
		free(elf);
	return err;
}

static int read_kernel(struct load *load, struct loaded *l)
{
	const struct request *r = load->request;
	struct placement *p = &l->placement;
	const uint8_t *file;
	size_t size;
	int err;

	/* The kernel itself has no 32-bit entry; its decompressor has. */
	p->entry_32bit = r->entry_32bit;
	p->direct = r->entry == TWINOS_ENTRY_DIRECT ||
		    (r->entry == TWINOS_ENTRY_DEFAULT && !r->entry_32bit);
	err = map_file(l, r->kernel, &file, &size);
	if (!err)
		err = check_bzimage(r->kernel, file, size, &load->image);
	if (!err)
		err = make_command_line(load, l);
	if (!err)
		err = check_paging(r->kernel, &load->image, p, load->command_line, &load->paging);
	if (!err)
		err = unpack_kernel(load, l);
	return err;
}

static int read_initrd(struct load *load, struct loaded *l)
{
	const char *name = load->request->initrd;
	size_t size;
	int err;

	if (!name)
		return 0;
	err = map_file(l, name, &load->initrd, &size);
	if (!err && !size)
		err = refuse(ENOEXEC, "the initrd %s is empty", name);
	load->sizes.initrd = size;
	return err;
}

/*
 * Place all parts, then unpack the initrd if the window has room, and place them
 * again. The coexisting OS needs as much again for the files and wants to run, too:
 * hence a quarter of what is left of the window; and the running one goes on:
 * half of its memory.
 */
static int place_parts(struct load *load, struct loaded *l)
{
	const char *name = load->request->kernel;
	struct placement *p = &l->placement;
	uint64_t room, available;
	uint8_t *data;
	size_t size;
	int err;

	err = place(name, &load->image, &load->kernel, &load->sizes, p);
	if (err || !load->initrd)
		return err;
	err = available_memory(load->roots, &available);
	if (err)
		return err;
	room = (p->window.size - p->need) / 4;
	if (room > available / 2)
		room = available / 2;
	if (unpack_initrd(load->initrd, load->sizes.initrd, room, &data, &size))
		return 0;
	own(l, data, 0);
	load->initrd = data;
	load->sizes.initrd = size;
	return place(name, &load->image, &load->kernel, &load->sizes, p);
}

/* What the coexisting kernel and the way to it are told, now that all has its place. */
static int fill_parts(struct load *load, struct loaded *l, const uint8_t *purgatory)
{
	int err = make_purgatory(l, purgatory, load->sizes.purgatory, &load->purgatory);

	if (err)
		return err;
	load->params = calloc(1, sizeof(*load->params));
	if (!load->params)
		return refuse(ENOMEM, "not enough memory for boot_params");
	own(l, load->params, 0);
	fill_share(&l->share, &l->placement, &load->share, load->id,
		   load->request->name ? load->request->name : "");
	return fill_boot_params(load->params, &load->image, &l->placement, &load->firmware);
}

static void add_segments(const struct load *load, struct loaded *l)
{
	const struct placement *p = &l->placement;
	const struct vmlinux_part *part;

	add_segment(l, "share", &l->share, sizeof(l->share),
		    p->window.start + TWINOS_SHARE_OFFSET, sizeof(l->share));
	add_segment(l, "purgatory", load->purgatory, load->sizes.purgatory, p->purgatory.start,
		    load->sizes.purgatory);
	add_segment(l, "boot_params", load->params, sizeof(*load->params), p->boot_params.start,
		    sizeof(*load->params));
	add_segment(l, "command line", load->command_line, load->sizes.command_line,
		    p->command_line.start, load->sizes.command_line);
	if (p->direct)
		for (part = load->kernel.part; part < load->kernel.part + load->kernel.nr_parts;
		     part++)
			add_segment(l, "kernel", part->data, part->size,
				    p->load.start + part->offset, part->size);
	else
		add_segment(l, "bzImage", load->image.file + load->image.setup_size,
			    load->image.kernel_size, p->load.start, p->load.size);
	if (load->initrd)
		add_segment(l, "initrd", load->initrd, load->sizes.initrd, p->initrd.start,
			    load->sizes.initrd);
}

static void debug_range(const char *what, const struct range *r)
{
	if (r->size)
		debug("twinos: %-12s %#14" PRIx64 "-%#" PRIx64 "\n", what, r->start,
		      range_end(r) - 1);
}

/* Everything that can be refused. */
static int run_steps(struct load *load, struct loaded *l, const uint8_t *purgatory)
{
	int err = choose_share(load, l);

	if (!err)
		err = read_kernel(load, l);
	if (!err)
		err = read_initrd(load, l);
	if (!err)
		err = check_devices(load->roots, &load->share, &load->oses, load->id);
	if (!err)
		err = place_parts(load, l);
	if (!err)
		err = fill_parts(load, l, purgatory);
	free(load->firmware.range);
	free(load->used.range);
	return err;
}

/**
 * prepare_load() - everything up to the system call
 * @purgatory: as it was built
 * @l: filled in; release() it in any case
 */
int prepare_load(const struct roots *roots, const struct request *r, const uint8_t *purgatory,
		 size_t purgatory_size, struct loaded *l)
{
	static struct load load;
	const struct placement *p = &l->placement;
	unsigned int i;
	int err;

	memset(l, 0, sizeof(*l));
	memset(&load, 0, sizeof(load));
	load.roots = roots;
	load.request = r;
	load.sizes.purgatory = purgatory_size;
	err = run_steps(&load, l, purgatory);
	if (err)
		return err;

	debug_range("window", &p->window);
	debug_range("low slice", &p->low);
	debug_range("run-time", &p->kernel);
	add_segments(&load, l);
	debug("twinos: entry at %#" PRIx64 " (%s), through the purgatory at %#" PRIx64 "\n",
	      p->entry, p->direct ? "direct" : p->entry_32bit ? "bzImage, 32-bit" : "bzImage",
	      p->purgatory.start + PURGATORY_ENTRY);
	for (i = 0; i < load.params->e820_entries; i++)
		debug("twinos: e820 %#14" PRIx64 "-%#" PRIx64 " %s\n",
		      (uint64_t)load.params->e820_table[i].addr,
		      (uint64_t)(load.params->e820_table[i].addr +
				 load.params->e820_table[i].size - 1),
		      load.params->e820_table[i].type == 1 ? "RAM" : "reserved");
	return 0;
}
