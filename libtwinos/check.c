// SPDX-License-Identifier: GPL-2.0
/*
 * All that is wrong with configurations, not only the first: what a start would refuse, what two of
 * them cannot both have, and whether this boot and the next one withhold what they need. A load is
 * prepared as well, so that nothing is missing here that is refused there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "libtwinos.h"

/* One configuration that is looked at, or that claims something beside it. */
struct checked {
	struct conf conf;
	bool wanted;			/* its findings are asked for */
	bool installed;			/* it is in /etc/twinos */
	bool readable, valid;
};

struct check {
	const struct roots *roots;
	const struct check_request *request;
	struct findings *findings;
	unsigned int nr;
	struct checked *checked;
	bool leading;			/* of this interface */
	struct os_list oses;
	struct memory_map firmware, used;
	struct booted_windows windows;	/* what this boot has withheld */
	unsigned int nr_options;	/* what its command line says of that */
	struct boot_option options[TWINOS_MAX_ID];
	struct topology topology;
	int err;			/* no memory; all else is a finding */
};

static int out_of_memory(void)
{
	return refuse(ENOMEM, "not enough memory");
}

/* ---- findings ---- */

static bool same_finding(const struct finding *a, const struct finding *b)
{
	return a->level == b->level && a->line == b->line && !strcmp(a->text, b->text) &&
	       !strcmp(a->name, b->name) &&
	       (a->file == b->file || (a->file && b->file && !strcmp(a->file, b->file)));
}

__attribute__((format(printf, 6, 7)))
static void found(struct check *c, enum finding_level level, const char *name, const char *file,
		  unsigned int line, const char *format, ...)
{
	struct findings *all = c->findings;
	struct finding *more, *f;
	unsigned int i;
	va_list args;

	more = reallocarray(all->finding, all->nr + 1, sizeof(*more));
	if (!more) {
		c->err = out_of_memory();
		return;
	}
	all->finding = more;
	f = &more[all->nr];
	*f = (struct finding){
		.level = level, .name = strdup(name), .file = file ? strdup(file) : NULL,
		.line = line,
	};
	va_start(args, format);
	if (vasprintf(&f->text, format, args) < 0)
		f->text = NULL;
	va_end(args);
	all->nr++;
	if (!f->name || !f->text || (file && !f->file)) {
		c->err = out_of_memory();
		return;
	}
	for (i = 0; i < all->nr - 1; i++)
		if (!c->err && same_finding(&all->finding[i], f)) {
			free(f->name);
			free(f->file);
			free(f->text);
			all->nr--;
			return;
		}
}

/* About what a key of a configuration says, at its place; or the whole file, if it says nothing. */
#define about(c, level, k, key, ...) \
	found(c, level, (k)->conf.name, \
	      (k)->conf.said[key].line ? (k)->conf.said[key].file : (k)->conf.file, \
	      (k)->conf.said[key].line, __VA_ARGS__)

/* About the running system, which is the same for all. */
#define about_machine(c, level, ...) found(c, level, "", NULL, 0, __VA_ARGS__)

void free_findings(struct findings *findings)
{
	while (findings->nr) {
		struct finding *f = &findings->finding[--findings->nr];

		free(f->name);
		free(f->file);
		free(f->text);
	}
	free(findings->finding);
	*findings = (struct findings){ 0 };
}

/** can_start() - nothing that was found keeps this OS from being started */
bool can_start(const struct findings *findings, const char *name)
{
	unsigned int i;

	for (i = 0; i < findings->nr; i++)
		if (findings->finding[i].level == FINDING_ERROR &&
		    (!*findings->finding[i].name || !strcmp(findings->finding[i].name, name)))
			return false;
	return true;
}

/* ---- which configurations ---- */

struct telling {
	struct check *check;
	const char *name;
	unsigned int nr;
	bool quiet;
};

static void tell(void *user, const char *file, unsigned int line, const char *text)
{
	struct telling *t = user;

	t->nr++;
	if (!t->quiet)
		found(t->check, FINDING_ERROR, t->name, file, line, "%s", text);
}

/* How messages call it: its name, or what was given instead. */
static const char *called(const char *name_or_path, char *name)
{
	const char *slash = strrchr(name_or_path, '/');

	snprintf(name, TWINOS_NAME_SIZE, "%s", slash ? slash + 1 : name_or_path);
	if (slash && strlen(name) > 5 && !strcmp(name + strlen(name) - 5, ".conf"))
		name[strlen(name) - 5] = 0;
	return name;
}

static void read_one(struct check *c, const char *name_or_path, bool wanted, bool installed)
{
	struct checked *k = &c->checked[c->nr++];
	char name[TWINOS_NAME_SIZE];
	struct telling t = { .check = c, .name = called(name_or_path, name), .quiet = !wanted };

	k->wanted = wanted;
	k->installed = installed;
	k->readable = !read_conf(c->roots, name_or_path, &k->conf, tell, &t);
	k->valid = k->readable && !t.nr;
	if (wanted && !k->readable)
		found(c, FINDING_ERROR, name, NULL, 0, "%s", refusal());
	if (wanted && k->readable && !*k->conf.name)
		found(c, FINDING_ERROR, name, k->conf.file, 0, "%s cannot be the name of an OS; it is lower-case letters, digits, - and _, at most %d, and not a number",
		      name, TWINOS_NAME_SIZE - 1);
	/* It is called something in what follows. */
	if (!*k->conf.name)
		snprintf(k->conf.name, sizeof(k->conf.name), "%s", name);
	if (!wanted && !k->valid)
		found(c, FINDING_WARNING, "", k->conf.file, 0, "this is wrong, so that it is not known what it claims; see twinos check %s",
		      name);
}

static bool is_wanted(const struct check *c, const char *name)
{
	unsigned int i;

	for (i = 0; i < c->request->nr; i++)
		if (!strcmp(c->request->names[i], name))
			return true;
	return !c->request->nr;
}

/* Does a file that was named stand for this one of /etc/twinos? */
static bool is_replaced(const struct check *c, const char *name)
{
	char other[TWINOS_NAME_SIZE];
	unsigned int i;

	for (i = 0; i < c->request->nr; i++)
		if (strchr(c->request->names[i], '/') &&
		    !strcmp(called(c->request->names[i], other), name))
			return true;
	return false;
}

static bool is_installed_file(const struct check *c, const char *file, const char *name)
{
	char *path = twinos_path(c->roots->etc, "twinos/%s.conf", name), *a, *b;
	bool same;

	a = realpath(file, NULL);
	b = path ? realpath(path, NULL) : NULL;
	same = a && b && !strcmp(a, b);
	free(a);
	free(b);
	free(path);
	return same;
}

static void read_all(struct check *c)
{
	const struct check_request *r = c->request;
	char name[TWINOS_NAME_SIZE], *path;
	struct conf_names names;
	unsigned int i, j;

	c->err = list_confs(c->roots, &names);
	if (c->err)
		return;
	c->checked = calloc(names.nr + r->nr + 1, sizeof(*c->checked));
	if (!c->checked)
		c->err = out_of_memory();
	for (i = 0; i < names.nr && !c->err; i++) {
		if (is_replaced(c, names.name[i]))
			continue;
		path = is_name(names.name[i]) ? strdup(names.name[i]) :
			twinos_path(c->roots->etc, "twinos/%s.conf", names.name[i]);
		if (path)
			read_one(c, path, is_wanted(c, names.name[i]), true);
		else
			c->err = out_of_memory();
		free(path);
	}
	/* Files, and names that there are none of. */
	for (i = 0; i < r->nr && !c->err; i++) {
		bool known = false;

		for (j = 0; j < names.nr; j++)
			known |= !strcmp(names.name[j], r->names[i]) &&
				 !is_replaced(c, names.name[j]);
		called(r->names[i], name);
		if (!known)
			read_one(c, r->names[i], true, strchr(r->names[i], '/') &&
				 is_installed_file(c, r->names[i], name));
	}
	free_conf_names(&names);
}

/* ---- the machine ---- */

/* One word in brackets, as in "[none] integrity confidentiality". */
static void check_lockdown(struct check *c)
{
	char directory[300], text[100];

	snprintf(directory, sizeof(directory), "%s/kernel/security", c->roots->sys);
	if (!read_text(directory, "lockdown", text, sizeof(text)) && strchr(text, '[') &&
	    !strstr(text, "[none]"))
		about_machine(c, FINDING_ERROR, "the running kernel is locked down and loads no other one (%s); switch Secure Boot off, or lockdown",
			      text);
	snprintf(directory, sizeof(directory), "%s/sys/kernel", c->roots->proc);
	if (!read_text(directory, "kexec_load_disabled", text, sizeof(text)) && !strcmp(text, "1"))
		about_machine(c, FINDING_ERROR, "kernel.kexec_load_disabled is 1, so that nothing can be loaded until the next boot");
}

/* What the boot line says, and what came of it. */
static void read_boot(struct check *c)
{
	char path[300], *text;

	snprintf(path, sizeof(path), "%s/cmdline", c->roots->proc);
	if (read_file(path, &text, NULL)) {
		about_machine(c, FINDING_WARNING, "%s cannot be read, so that the boot line is not known",
			      path);
	} else {
		c->nr_options = parse_boot_options(text, c->options, TWINOS_MAX_ID);
		text[strcspn(text, "\n")] = 0;
		if (has_word(text, "twinos=off"))
			about_machine(c, FINDING_ERROR, "the running kernel was booted with twinos=off; boot it without");
		free(text);
	}
	if (c->leading && read_windows(c->roots, &c->windows))
		about_machine(c, FINDING_ERROR, "%s", refusal());
}

static void read_machine(struct check *c)
{
	c->leading = !check_leading(c->roots);
	if (!c->leading)
		about_machine(c, FINDING_ERROR, "%s", refusal());
	if (c->leading && read_oses(c->roots, &c->oses)) {
		about_machine(c, FINDING_ERROR, "%s", refusal());
		c->leading = false;
	}
	if (read_firmware_map(c->roots->sys, &c->firmware) ||
	    read_used_map(c->roots->proc, &c->used) ||
	    read_topology(c->roots, &c->topology)) {
		about_machine(c, FINDING_ERROR, "%s", refusal());
		c->leading = false;
	}
	read_boot(c);
	check_lockdown(c);
}

/* ---- kernel, initrd, command line ---- */

/* "6.12.117-twinos" of what the set-up code says of itself; "" if it says nothing. */
static void kernel_version(const struct bzimage *image, char *version, size_t size)
{
	const size_t at = image->header.kernel_version + 0x200u;
	size_t n = 0;

	*version = 0;
	if (!image->header.kernel_version || at >= image->setup_size)
		return;
	while (at + n < image->setup_size && n + 1 < size && image->file[at + n] > ' ')
		n++;
	snprintf(version, size, "%.*s", (int)n, (const char *)image->file + at);
}

static void check_modules(struct check *c, const struct checked *k, const char *version,
			  const char *initrd, size_t initrd_size)
{
	char *folder, *own, other[128] = "";
	int has = initrd ? find_modules((const uint8_t *)initrd, initrd_size, version, other,
					sizeof(other)) : 0;

	if (has == 1)
		return;
	if (*other) {
		about(c, FINDING_WARNING, k, CONF_INITRD, "the initrd has modules of %s, and none of the kernel, which is %s; make one for it (update-initramfs -c -k %s)",
		      other, version, version);
		return;
	}
	folder = twinos_path(c->roots->root ?: "", "lib/modules");
	own = twinos_path(c->roots->root ?: "", "lib/modules/%s", version);
	if (folder && own && has >= 0 && !access(folder, F_OK) && access(own, F_OK))
		about(c, FINDING_WARNING, k, CONF_KERNEL, "there are no modules of this kernel (%s) in %s, nor in an initrd; it has only drivers that are built in",
		      version, folder);
	free(folder);
	free(own);
}

/* That of the last load, or the one that a start would choose, if it has to; else 0. */
static uint32_t number_for(const struct check *c, const struct checked *k)
{
	const struct os *own = find_named(&c->oses, k->conf.name);

	return own ? own->id : k->conf.root ? free_id(&c->oses) : 0;
}

static void check_command_line(struct check *c, const struct checked *k,
			       const struct bzimage *image, struct sizes *sizes)
{
	const struct request r = {
		.command_line = k->conf.append ?: "", .root = k->conf.root, .name = k->conf.name,
	};
	char *line, *left_out;
	int err = make_line(c->roots, &r, &k->conf.share, number_for(c, k) ?: 1, &line, &left_out);

	if (err) {
		if (err == -ENOMEM)
			c->err = err;
		else
			about(c, FINDING_ERROR, k, CONF_ROOT, "%s", refusal());
		free(line);
		free(left_out);
		return;
	}
	sizes->command_line = strlen(line) + 1;
	if (*left_out)
		about(c, FINDING_NOTE, k, CONF_APPEND, "left out of the command line, as it reaches for what is not in the share: %s",
		      left_out);
	if (sizes->command_line - 1 > image->header.cmdline_size)
		about(c, FINDING_ERROR, k, CONF_APPEND, "the command line has %zu characters; this kernel takes at most %u",
		      (size_t)sizes->command_line - 1, image->header.cmdline_size);
	free(line);
	free(left_out);
}

static void check_root(struct check *c, const struct checked *k)
{
	struct network_root root;

	if (k->conf.root && !parse_root(k->conf.root, &root) && check_export(c->roots, &root))
		about(c, FINDING_WARNING, k, CONF_ROOT, "%s", refusal());
}

/* The kernel proper, which alone says whether it can be a coexisting one. */
static void check_payload(struct check *c, const struct checked *k, const struct bzimage *image,
			  const struct sizes *sizes)
{
	struct placement p = { .window = conf_window(&k->conf), .direct = true };
	struct vmlinux kernel;
	uint8_t *elf;
	size_t size;
	int err;

	err = unpack_payload(k->conf.kernel, image, &elf, &size);
	if (!err) {
		err = read_vmlinux(k->conf.kernel, image, elf, size, &kernel);
		free(elf);
	}
	if (err)
		about(c, FINDING_ERROR, k, CONF_KERNEL, "%s", refusal());
	else if (p.window.size && place(k->conf.kernel, image, &kernel, sizes, &p))
		about(c, FINDING_ERROR, k, CONF_MEMORY, "%s", refusal());
}

static char *read_initrd(struct check *c, const struct checked *k, size_t *size)
{
	char *initrd;
	int err;

	*size = 0;
	if (!k->conf.initrd)
		return NULL;
	err = read_file(k->conf.initrd, &initrd, size);
	if (err) {
		about(c, FINDING_ERROR, k, CONF_INITRD, "%s cannot be read: %s", k->conf.initrd,
		      strerror(-err));
		return NULL;
	}
	if (*size)
		return initrd;
	about(c, FINDING_ERROR, k, CONF_INITRD, "the initrd %s is empty", k->conf.initrd);
	free(initrd);
	return NULL;
}

static void check_image(struct check *c, const struct checked *k)
{
	struct sizes sizes = { .purgatory = c->request->purgatory_size };
	char *kernel, *initrd, version[128];
	struct bzimage image;
	size_t size;
	int err;

	initrd = read_initrd(c, k, &sizes.initrd);
	if (!k->conf.kernel) {		/* which was found already */
		free(initrd);
		return;
	}
	err = read_file(k->conf.kernel, &kernel, &size);
	if (err) {
		about(c, FINDING_ERROR, k, CONF_KERNEL, "%s cannot be read: %s", k->conf.kernel,
		      strerror(-err));
		free(initrd);
		return;
	}
	if (check_bzimage(k->conf.kernel, (uint8_t *)kernel, size, &image)) {
		about(c, FINDING_ERROR, k, CONF_KERNEL, "%s", refusal());
	} else {
		check_command_line(c, k, &image, &sizes);
		check_payload(c, k, &image, &sizes);
		kernel_version(&image, version, sizeof(version));
		if (*version)
			check_modules(c, k, version, initrd, sizes.initrd);
	}
	free(kernel);
	free(initrd);
}

/* ---- memory and boot line ---- */

static bool inside(const struct range *r, const struct range *of)
{
	return of->size && r->start >= of->start && range_end(r) <= range_end(of);
}

/* The one of the two ranges that belong together that a window is compared with. */
static const struct range *part(const struct range *window, const struct range *low, bool is_low)
{
	return is_low ? low : window;
}

static bool is_withheld(const struct check *c, const struct range *r, bool is_low)
{
	unsigned int i;

	for (i = 0; i < c->windows.nr; i++)
		if (inside(r, part(&c->windows.booted[i].window, &c->windows.booted[i].low,
				   is_low)))
			return true;
	return false;
}

/* It is not withheld, and not free: what does the boot line say of it? */
static void check_missing(struct check *c, const struct checked *k, const struct range *r,
			  bool is_low)
{
	const enum conf_key key = is_low ? CONF_LOW : CONF_MEMORY;
	char wanted[160], there[64], *why = strdup(refusal());
	unsigned int i;

	format_boot_option(&k->conf, wanted, sizeof(wanted));
	for (i = 0; i < c->nr_options; i++) {
		const struct boot_option *o = &c->options[i];
		const struct range *option = part(&o->window, &o->low, is_low);

		if (!ranges_overlap(option, r))
			continue;
		format_range(option, there, sizeof(there));
		if (inside(r, option))
			about(c, FINDING_ERROR, k, key, "the running kernel has not withheld this, though its boot line says %s: dmesg | grep twinos says why; choose another range",
			      there);
		else
			about(c, FINDING_ERROR, k, key, "the running kernel was booted with %s%s, and this needs %s; run twinos plan --update and update-grub, and reboot",
			      is_low ? "low=" : "twinos=", there, wanted);
		free(why);
		return;
	}
	about(c, FINDING_ERROR, k, key, "the running kernel was booted without %s (%s); run twinos plan --update and update-grub, and reboot",
	      wanted, why ?: "");
	free(why);
}

static void check_range(struct check *c, const struct checked *k, const struct range *r,
			bool is_low, uint32_t id)
{
	const enum conf_key key = is_low ? CONF_LOW : CONF_MEMORY;
	const char *what = is_low ? "the low slice" : "the window";
	const bool withheld = is_withheld(c, r, is_low);

	if (!r->size)
		return;
	if (check_free(what, r, &c->firmware, &c->used)) {
		/* Where there is no memory, no boot line helps. */
		if (withheld || strstr(refusal(), "is not RAM") || strstr(refusal(), "wraps"))
			about(c, FINDING_ERROR, k, key, "%s", refusal());
		else
			check_missing(c, k, r, is_low);
	} else if (!withheld) {
		about(c, FINDING_WARNING, k, key, "%s is free, but not by twinos= on the boot line; whatever keeps it free (memmap=?) must stay",
		      what);
	}
	if (check_memory(&c->oses, what, r, id))
		about(c, FINDING_ERROR, k, key, "%s", refusal());
}

static void check_window(struct check *c, const struct checked *k, uint32_t id)
{
	const struct range window = conf_window(&k->conf);

	if (!window.size && !c->windows.nr)
		about(c, FINDING_ERROR, k, CONF_MEMORY, "it names no memory, and the boot line withholds none; say memory = SIZE@ADDRESS (twinos plan finds one)");
	check_range(c, k, &window, false, id);
	check_range(c, k, &k->conf.share.low, true, id);
	if (ranges_overlap(&window, &k->conf.share.low))
		about(c, FINDING_ERROR, k, CONF_LOW, "the low slice overlaps the window; choose another range");
}

/* ---- CPUs and devices ---- */

static bool has_cpu(const struct share_options *share, uint32_t cpu)
{
	uint32_t i;

	for (i = 0; i < share->nr_cpus; i++)
		if (share->cpus[i] == cpu)
			return true;
	return false;
}

/* Somebody else's threads on a core of this share. */
static void check_core(struct check *c, const struct checked *k, uint32_t cpu)
{
	const struct core *core = cpu_core(&c->topology, cpu);
	unsigned int i;

	for (i = 0; core && i < core->nr; i++)
		if (!has_cpu(&k->conf.share, core->cpus[i])) {
			about(c, FINDING_WARNING, k, CONF_CPUS, "CPU %u is one core with CPU %u, which is not in the share; two kernels on a core slow each other down, and can learn from each other",
			      cpu, core->cpus[i]);
			return;
		}
}

static void check_share_cpus(struct check *c, const struct checked *k, uint32_t id)
{
	const struct share_options *share = &k->conf.share;
	bool good = true;
	uint32_t i;

	for (i = 0; i < share->nr_cpus; i++) {
		if (check_cpus(c->roots, &share->cpus[i], 1, &c->oses, id)) {
			about(c, FINDING_ERROR, k, CONF_CPUS, "%s", refusal());
			good = false;
		} else {
			check_core(c, k, share->cpus[i]);
		}
	}
	if (good && check_cpus(c->roots, share->cpus, share->nr_cpus, &c->oses, id))
		about(c, FINDING_ERROR, k, CONF_CPUS, "%s", refusal());
}

static bool boot_gives_low(const struct check *c, const struct range *window)
{
	unsigned int i;

	for (i = 0; i < c->windows.nr; i++)
		if ((!window->size || inside(window, &c->windows.booted[i].window)) &&
		    c->windows.booted[i].low.size)
			return true;
	return false;
}

static void check_low_needed(struct check *c, const struct checked *k)
{
	const struct range window = conf_window(&k->conf);

	if (k->conf.share.nr_cpus > 1 && !k->conf.share.low.size &&
	    (k->conf.share.has_low || !boot_gives_low(c, &window)))
		about(c, FINDING_ERROR, k, CONF_CPUS, "%u CPUs need a low slice to start from; say low = 64K@ADDRESS, or give one CPU",
		      k->conf.share.nr_cpus);
}

static void check_function(struct check *c, const struct checked *k, const struct twinos_pci *pci,
			   uint32_t id)
{
	char bdf[24], driver[64], company[900];
	bool built_in;

	if (check_pci(c->roots, pci, &c->oses, id)) {
		about(c, FINDING_ERROR, k, CONF_PCI, "%s", refusal());
		return;
	}
	format_function(pci, bdf, sizeof(bdf));
	if (function_virtual(c->roots, pci))
		about(c, FINDING_WARNING, k, CONF_PCI, "PCI function %s is a virtual function (SR-IOV), which a coexisting OS does not find",
		      bdf);
	function_driver(c->roots, pci, driver, sizeof(driver), &built_in);
	if (*driver && strcmp(driver, "twinos"))
		about(c, FINDING_NOTE, k, CONF_PCI, "PCI function %s has the driver %s in the leading OS now, and so may come into use there; the rules for udev keep it away from the next boot on (update-initramfs -u)",
		      bdf, driver);
	function_company(c->roots, pci, &k->conf.share, company, sizeof(company));
	if (*company)
		about(c, FINDING_WARNING, k, CONF_PCI, "%s", company);
}

/* On Intel's CPUs KVM puts all of them into a state in which none can be shared. */
static void check_kvm(struct check *c, const struct checked *k)
{
	char directory[300], text[16];

	snprintf(directory, sizeof(directory), "%s/module/kvm_intel", c->roots->sys);
	if (k->conf.share.nr_cpus || access(directory, F_OK))
		return;
	snprintf(directory, sizeof(directory), "%s/module/kvm/parameters", c->roots->sys);
	if (!read_text(directory, "enable_virt_at_load", text, sizeof(text)) && *text == 'N')
		return;
	about(c, FINDING_ERROR, k, CONF_CPUS, "an OS cannot share CPU 0 while KVM is loaded on an Intel CPU; modprobe -r kvm_intel, or give it CPUs");
}

static void check_share(struct check *c, const struct checked *k)
{
	const struct share_options *share = &k->conf.share;
	const struct os *own = find_named(&c->oses, k->conf.name);
	const uint32_t id = own ? own->id : 0;
	uint32_t i;

	if (own && os_running(own)) {
		/* What it has is its own, so there is nothing else to say about that. */
		found(c, FINDING_ERROR, k->conf.name, k->conf.file, 0, "coexisting OS %u (%s) is running already; to start it anew: twinos restart %s",
		      own->id, own->name, own->name);
		return;
	}
	check_window(c, k, id);
	check_share_cpus(c, k, id);
	check_low_needed(c, k);
	check_kvm(c, k);
	for (i = 0; i < share->nr_pci; i++)
		check_function(c, k, &share->pci[i], id);
	for (i = 0; i < share->nr_irqs; i++)
		if (check_irq(c->roots, share->irqs[i], &c->oses, id))
			about(c, FINDING_ERROR, k, CONF_IRQ, "%s", refusal());
}

/* ---- whatever else a start would refuse ---- */

static void check_load(struct check *c, const struct checked *k)
{
	struct roots roots = *c->roots;
	struct loaded loaded;
	struct request r = {
		.kernel = k->conf.kernel, .initrd = k->conf.initrd,
		.command_line = k->conf.append ?: "", .root = k->conf.root, .name = k->conf.name,
		.id = number_for(c, k), .share = k->conf.share,
	};

	/* The defaults of twinos.conf are for kexec, not for a configuration. */
	roots.conf = NULL;
	if (prepare_load(&roots, &r, c->request->purgatory, c->request->purgatory_size, &loaded))
		found(c, FINDING_ERROR, k->conf.name, k->conf.file, 0, "%s", refusal());
	else if (!r.id && loaded.share.share.id)
		found(c, FINDING_ERROR, k->conf.name, k->conf.file, 0, "the window that it would get belongs to coexisting OS %u (loaded); say which memory, or unload that one (twinos unload %u) first",
		      loaded.share.share.id, loaded.share.share.id);
	release(&loaded);
}

/* ---- two of them ---- */

/* FILE:LINE of a key, or FILE alone where it says nothing. */
static void place_of(const struct checked *k, enum conf_key key, char *text, size_t size)
{
	if (k->conf.said[key].line)
		snprintf(text, size, "%s:%u", k->conf.said[key].file, k->conf.said[key].line);
	else
		snprintf(text, size, "%s", k->conf.file);
}

/* Both are named, each with its place. Said of each that was asked for. */
static void conflict(struct check *c, enum finding_level level, const struct checked *a,
		     const struct checked *b, enum conf_key key, const char *what)
{
	char place[400];

	place_of(b, key, place, sizeof(place));
	if (a->wanted)
		about(c, level, a, key, "%s is claimed by %s as well (%s)", what, b->conf.name, place);
	place_of(a, key, place, sizeof(place));
	if (b->wanted)
		about(c, level, b, key, "%s is claimed by %s as well (%s)", what, a->conf.name, place);
}

static void check_pair(struct check *c, const struct checked *a, const struct checked *b)
{
	const struct share_options *x = &a->conf.share, *y = &b->conf.share;
	const struct range window = conf_window(&a->conf), other = conf_window(&b->conf);
	char what[80], bdf[24];
	uint32_t i, j;

	if (ranges_overlap(&window, &other))
		conflict(c, FINDING_ERROR, a, b, CONF_MEMORY, "memory of this window");
	if (ranges_overlap(&x->low, &y->low))
		conflict(c, FINDING_ERROR, a, b, CONF_LOW, "memory of this low slice");
	for (i = 0; i < x->nr_cpus; i++)
		if (has_cpu(y, x->cpus[i])) {
			snprintf(what, sizeof(what), "CPU %u", x->cpus[i]);
			conflict(c, FINDING_ERROR, a, b, CONF_CPUS, what);
		}
	for (i = 0; i < x->nr_pci; i++)
		for (j = 0; j < y->nr_pci; j++)
			if (!memcmp(&x->pci[i], &y->pci[j], sizeof(x->pci[i]))) {
				format_function(&x->pci[i], bdf, sizeof(bdf));
				snprintf(what, sizeof(what), "PCI function %s", bdf);
				conflict(c, FINDING_ERROR, a, b, CONF_PCI, what);
			}
	for (i = 0; i < x->nr_irqs; i++)
		for (j = 0; j < y->nr_irqs; j++)
			if (x->irqs[i] == y->irqs[j]) {
				snprintf(what, sizeof(what), "interrupt pin %u", x->irqs[i]);
				conflict(c, FINDING_ERROR, a, b, CONF_IRQ, what);
			}
	if (!x->nr_cpus && !y->nr_cpus)
		conflict(c, FINDING_WARNING, a, b, CONF_CPUS,
			 "CPU 0, which one OS at a time can share,");
}

/* ---- the files for the next boot ---- */

/* The boot line written by hand has all that the configurations need. */
static bool boot_by_hand(const struct check *c, const struct confs *confs)
{
	struct boot_option options[TWINOS_MAX_ID];
	char *path = twinos_path(c->roots->etc, "default/grub"), *text = NULL;
	unsigned int i, j, nr = 0;

	if (path && !read_file(path, &text, NULL))
		nr = parse_boot_options(text, options, TWINOS_MAX_ID);
	free(path);
	free(text);
	for (i = 0; i < confs->nr; i++) {
		const struct range window = conf_window(&confs->conf[i]);
		const struct range *low = &confs->conf[i].share.low;

		for (j = 0; j < nr && window.size; j++)
			if (inside(&window, &options[j].window) &&
			    (!low->size || inside(low, &options[j].low)))
				break;
		if (j == nr && window.size)
			return false;
	}
	return true;
}

static bool any_function(const struct confs *confs)
{
	unsigned int i;

	for (i = 0; i < confs->nr; i++)
		if (confs->conf[i].share.nr_pci)
			return true;
	return false;
}

static void check_file(struct check *c, const struct new_file *file, bool needed, const char *then)
{
	char *text;
	int err = read_file(file->path, &text, NULL);

	if (err == -ENOENT) {
		if (needed)
			found(c, FINDING_WARNING, "", file->path, 0, "the file is missing; run twinos plan --update and %s",
			      then);
		return;
	}
	if (err) {
		found(c, FINDING_WARNING, "", file->path, 0, "it cannot be read: %s", strerror(-err));
		return;
	}
	if (!same_content(text, file->text))
		found(c, FINDING_WARNING, "", file->path, 0, "it is not what the configurations need now; run twinos plan --update and %s",
		      then);
	free(text);
}

/* The file is right, but has update-grub been run since? */
static void check_grub(struct check *c, const struct confs *confs)
{
	char *path = twinos_path(c->roots->root ?: "", "boot/grub/grub.cfg"), *text, option[160];
	unsigned int i;

	if (path && !read_file(path, &text, NULL)) {
		for (i = 0; i < confs->nr; i++) {
			format_boot_option(&confs->conf[i], option, sizeof(option));
			if (*option && !strstr(text, option))
				found(c, FINDING_WARNING, "", path, 0, "the next boot will be without %s for %s; run update-grub",
				      option, confs->conf[i].name);
		}
		free(text);
	}
	free(path);
}

/* The same of the initrd of the running kernel, which is most likely the next one, too. */
static void check_initrd_age(struct check *c, const char *rules)
{
	struct stat initrd, file;
	struct utsname uts;
	char *path;

	uname(&uts);
	path = twinos_path(c->roots->root ?: "", "boot/initrd.img-%s", uts.release);
	if (path && !stat(path, &initrd) && !stat(rules, &file) && initrd.st_mtime < file.st_mtime)
		found(c, FINDING_WARNING, "", path, 0, "it is older than %s, and so may not have it; run update-initramfs -u",
		      rules);
	free(path);
}

static void check_next_boot(struct check *c)
{
	struct new_file files[2] = { { 0 } };
	struct confs confs = { 0 };
	unsigned int i;
	bool known = true;

	confs.conf = calloc(c->nr + 1, sizeof(*confs.conf));
	if (!confs.conf) {
		c->err = out_of_memory();
		return;
	}
	for (i = 0; i < c->nr; i++) {
		known &= c->checked[i].valid;
		if (c->checked[i].installed && is_name(c->checked[i].conf.name))
			confs.conf[confs.nr++] = c->checked[i].conf;
	}
	/* What is wrong has been told; what is to be in the files is not known then. */
	if (known && confs.nr && !c->err) {
		c->err = boot_files(c->roots, &confs, files);
		if (!c->err) {
			check_file(c, &files[0], !boot_by_hand(c, &confs), "update-grub");
			check_file(c, &files[1], any_function(&confs), "update-initramfs -u");
			check_grub(c, &confs);
			if (any_function(&confs))
				check_initrd_age(c, files[1].path);
		}
	}
	for (i = 0; i < 2; i++) {
		free(files[i].path);
		free(files[i].text);
	}
	free(confs.conf);		/* but not what is in it */
}

static void check_one(struct check *c, const struct checked *k)
{
	if (!k->readable)
		return;
	check_image(c, k);
	check_root(c, k);
	if (!c->leading)
		return;
	check_share(c, k);
	if (k->valid && can_start(c->findings, k->conf.name))
		check_load(c, k);
}

static int by_name(const void *a, const void *b)
{
	const struct checked *x = a, *y = b;

	return strcmp(x->conf.name, y->conf.name);
}

static void run_steps(struct check *c, struct texts *checked)
{
	unsigned int i, j;

	read_all(c);
	if (c->err)
		return;
	qsort(c->checked, c->nr, sizeof(*c->checked), by_name);
	for (i = 0; i < c->nr && !c->err; i++)
		if (c->checked[i].wanted)
			c->err = add_text(checked, "%s", c->checked[i].conf.name);
	if (!checked->nr && !c->err)
		c->err = refuse(ENOENT, "there is no configuration in %s/twinos; write one, or let twinos plan do it",
				c->roots->etc);
	if (c->err)
		return;
	read_machine(c);
	for (i = 0; i < c->nr; i++)
		for (j = 0; j < i; j++)
			if (c->checked[i].readable && c->checked[j].readable &&
			    (c->checked[i].wanted || c->checked[j].wanted))
				check_pair(c, &c->checked[j], &c->checked[i]);
	for (i = 0; i < c->nr && !c->err; i++)
		if (c->checked[i].wanted)
			check_one(c, &c->checked[i]);
	check_next_boot(c);
}

/**
 * check_configurations() - all findings about some configurations, or all
 * @checked: the names of those that were looked at are added
 * @findings: added in the order in which a person would look: the machine, then each of them
 *
 * Returns an error with a refusal only if nothing could be looked at.
 */
int check_configurations(const struct roots *roots, const struct check_request *request,
			 struct texts *checked, struct findings *findings)
{
	static struct check c;		/* large */
	unsigned int i;
	int err;

	c = (struct check){ .roots = roots, .request = request, .findings = findings };
	run_steps(&c, checked);
	for (i = 0; i < c.nr; i++)
		free_conf(&c.checked[i].conf);
	free(c.checked);
	free(c.firmware.range);
	free(c.used.range);
	free_topology(&c.topology);
	err = c.err;
	return err;
}
