/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All that kexec --twinos and the twinos command do: what a share may be, how a kernel
 * becomes the image in its window, what is done with an OS that is loaded or runs. Both
 * commands only read options and print. It works on buffers and on the roots of /proc,
 * /sys and /etc that it is given, so that it can be tested anywhere; only leading.c
 * makes system calls that change something.
 *
 * Functions return 0 or a negative errno. Where the cause of a refusal is known,
 * refuse() notes one line for people; the program prints it when it ends.
 */
#ifndef LIBTWINOS_H
#define LIBTWINOS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <asm/bootparam.h>
#include <twinos/abi.h>

/* ---- refuse.c: the one line that says what was wrong and what to do ---- */

#define TWINOS_REFUSAL_MAX 1024

/* Whose messages they are: "kexec", or "twinos", which has shares from files. */
extern const char *twinos_program;
/* What a part of the share is called where the user has said it. */
const char *said_as(const char *option, const char *key);

/* Note the line (without the program's name and newline); returns -err. */
int refuse(int err, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The line noted last, "" if none. */
const char *refusal(void);

/* ---- number.c: strict numbers and lists; name is what the option is called ---- */

/* A range of physical addresses, [start, start + size). */
struct range {
	uint64_t start;
	uint64_t size;
};

static inline uint64_t range_end(const struct range *r)
{
	return r->start + r->size;
}

static inline bool ranges_overlap(const struct range *a, const struct range *b)
{
	return a->size && b->size && a->start <= b->start + (b->size - 1) &&
	       b->start <= a->start + (a->size - 1);
}

int parse_number(const char *name, const char *text, uint64_t *value);
int parse_range(const char *name, const char *text, struct range *range);
int parse_count(const char *name, const char *text, unsigned int min, unsigned int max,
		const char *what, unsigned int *count);
int next_numbers(const char **list, uint32_t *first, uint32_t *last);
int parse_cpus(const char *name, const char *text, uint32_t *cpus, uint32_t *nr);
int parse_irqs(const char *name, const char *text, uint32_t *irqs, uint32_t *nr);
int parse_pci(const char *name, const char *text, struct twinos_pci *pci, uint32_t *nr);

/* ---- file.c: files of procfs and sysfs ---- */

/* Where the files of the running system are; "/proc" and so on. */
struct roots {
	const char *proc;
	const char *sys;
	const char *etc;
	const char *conf;		/* /etc/twinos.conf; NULL: it does not count */
	const char *dev;		/* NULL: /dev */
	const char *root;		/* what comes before /boot and /lib; NULL: nothing */
};

int read_file(const char *path, char **data, size_t *size);
int read_text(const char *directory, const char *file, char *buf, size_t size);
char *next_line(char **text);

/* ---- oses.c: the coexisting OSes that there are ---- */

struct os {
	uint32_t id;
	char name[TWINOS_NAME_SIZE];	/* "" if it was loaded without one */
	enum twinos_state state;
	enum twinos_mode mode;
	double hung_for;		/* seconds without a sign of life; 0: it has not hung */
	struct range window, low;	/* size 0: none */
	uint32_t nr_cpus, nr_pci, nr_irqs;
	uint32_t cpus[TWINOS_MAX_CPUS];
	struct twinos_pci pci[TWINOS_MAX_PCI];
	uint32_t irqs[TWINOS_MAX_IRQS];
};

struct os_list {
	unsigned int nr;
	struct os os[TWINOS_MAX_ID];	/* by number */
};

#define STATE(state) (1u << (state))

const char *state_name(enum twinos_state state);
const char *mode_name(enum twinos_mode mode);
int read_os_file(const struct roots *roots, uint32_t id, const char *name, char **text,
		 size_t *size);
int read_os(const struct roots *roots, uint32_t id, struct os *os);
int read_oses(const struct roots *roots, struct os_list *list);
const struct os *find_os(const struct os_list *list, uint32_t id);
bool is_name(const char *text);
const struct os *find_named(const struct os_list *list, const char *name);
bool os_running(const struct os *os);
bool os_claims(const struct os *os);
enum twinos_state shown_state(const struct os *os);
bool next_statistic(const char **stats, char *key, size_t size, uint64_t *value);
uint64_t statistic(const char *stats, const char *wanted);
double seconds_between(uint64_t from, uint64_t to, uint64_t khz);
unsigned int os_numbers(const struct os_list *list, unsigned int states, char *text, size_t size);

/* ---- debug.c ---- */

/* True after kexec -d: print where everything goes. */
extern bool twinos_debug;
void debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- ini.c: files of sections and KEY = VALUE ---- */

/* Is told everything that is wrong with a file; line 0 is the whole of it. */
typedef void finding_fn(void *user, const char *file, unsigned int line, const char *text);

/* How a file is read, and where in it the reader is. */
struct ini {
	const char *path;
	const char *example;		/* a section, for messages */
	bool continued;			/* a line that begins with a blank continues a value */
	/* A value, or with key NULL a section; 0, or an error with a refusal that names no place. */
	int (*take)(struct ini *ini, const char *section, const char *key, const char *value);
	finding_fn *tell;		/* or NULL: the first finding is refused */
	void *user;			/* of tell */
	unsigned int line;
};

int read_ini(struct ini *ini);
int ini_found(const struct ini *ini, unsigned int line, int err);

/* ---- options.c: what the user asked for ---- */

enum twinos_entry {
	TWINOS_ENTRY_DEFAULT,
	TWINOS_ENTRY_DIRECT,		/* unpacked here, entered at its ELF entry */
	TWINOS_ENTRY_BZIMAGE,		/* entered at its decompressor */
};

struct share_options {
	bool has_mem_min, has_mem_max, has_low, has_cpus, has_pci, has_irq;
	uint64_t mem_min;
	uint64_t mem_max;		/* as given: last byte, or one past it */
	struct range low;
	uint32_t nr_cpus, nr_pci, nr_irqs;
	uint32_t cpus[TWINOS_MAX_CPUS];
	struct twinos_pci pci[TWINOS_MAX_PCI];
	uint32_t irqs[TWINOS_MAX_IRQS];
};

int share_option(struct share_options *share, const char *name, const char *key,
		 const char *text);
int share_defaults(struct share_options *share, const char *path);

/* ---- conf.c: what /etc/twinos/NAME.conf says ---- */

enum conf_key {
	CONF_KERNEL, CONF_INITRD, CONF_ROOT, CONF_APPEND, CONF_MEMORY, CONF_LOW, CONF_CPUS, CONF_PCI,
	CONF_IRQ, CONF_MODE, CONF_SLICE, CONF_WEIGHT, CONF_STOP_LIMIT, CONF_AUTOSTART, CONF_KEYS
};

#define CONF_STOP_LIMIT_DEFAULT 60	/* seconds that an OS has for shutting down */
#define CONF_STOP_LIMIT_MAX 86400

struct conf {
	char name[TWINOS_NAME_SIZE];	/* of the file without .conf; "" if it is no name */
	char *file;
	char *kernel, *initrd, *append;	/* NULL: not said */
	char *root;			/* parse_root() takes it; NULL: not said */
	struct share_options share;	/* memory is mem_min and mem_max, its last byte */
	bool has_mode;
	enum twinos_mode mode;
	unsigned int slice_us, weight;	/* 0: not said */
	unsigned int stop_limit;	/* seconds */
	bool autostart;
	struct {
		const char *file;	/* belongs to the conf */
		unsigned int line;	/* 0: not said */
	} said[CONF_KEYS];		/* last, so what counts */
	char **files;			/* all that were read, in their order; the last is NULL */
};

/* Of /etc/twinos, sorted; what stands before ".conf", which need not be is_name(). */
struct conf_names {
	unsigned int nr;
	char **name;
};

int read_conf(const struct roots *roots, const char *name_or_path, struct conf *conf,
	      finding_fn *tell, void *user);
void free_conf(struct conf *conf);
int list_confs(const struct roots *roots, struct conf_names *names);
void free_conf_names(struct conf_names *names);

/* ---- owners.c: whose everything is, and which OS is meant ---- */

const char *os_release(const struct os *os);
int choose_os(const struct os_list *list, uint32_t id, unsigned int states, const char *verb,
	      struct os *os);
uint32_t free_id(const struct os_list *list);
const struct os *next_claim(const struct os_list *list, const struct os *os, uint32_t id);
const struct os *cpu_owner(const struct os_list *list, uint32_t cpu, uint32_t id);
const struct os *pci_owner(const struct os_list *list, const struct twinos_pci *pci, uint32_t id);
const struct os *irq_owner(const struct os_list *list, uint32_t irq, uint32_t id);
const struct os *memory_owner(const struct os_list *list, const struct range *r, uint32_t id,
			      const struct range **which);
int check_memory(const struct os_list *list, const char *what, const struct range *r, uint32_t id);

/* ---- cpus.c: which CPUs may leave the leading OS ---- */

bool has_word(const char *text, const char *word);
int check_cpus(const struct roots *roots, const uint32_t *cpus, uint32_t nr,
	       const struct os_list *oses, uint32_t id);
int missing_cpu(const struct roots *roots, const struct os *ended, const struct os_list *oses);

/* ---- memory-map.c: what memory there is, and what of it is free ---- */

struct memory {
	uint64_t start;
	uint64_t end;			/* last byte + 1; 0 for 2^64 */
	char name[48];			/* "System RAM", "Kernel code", ... */
};

struct memory_map {
	unsigned int nr;
	struct memory *range;		/* by start; there is no limit */
};

int read_firmware_map(const char *sys, struct memory_map *map);
int read_used_map(const char *proc, struct memory_map *map);
int check_free(const char *what, const struct range *r, const struct memory_map *firmware,
	       const struct memory_map *used);
int free_run(uint64_t start, const struct memory_map *firmware,
	     const struct memory_map *used, uint64_t *end);

/* ---- window.c: which memory a share gets ---- */

struct booted_windows {
	unsigned int nr;
	struct {
		struct range window, low;	/* low.size 0: none */
	} booted[TWINOS_MAX_ID];
};

int read_windows(const struct roots *roots, struct booted_windows *w);

int find_window(const struct roots *roots, const struct share_options *options,
		const struct os_list *oses, uint32_t *id,
		const struct memory_map *firmware, const struct memory_map *used,
		struct range *window, struct range *low);

/* ---- bzimage.c, payload.c, vmlinux.c: the image ---- */

struct bzimage {
	const uint8_t *file;
	size_t size;
	struct setup_header header;
	size_t header_size;		/* bytes of it that the file has */
	size_t setup_size;		/* boot sector and set-up sectors */
	size_t kernel_size;		/* what is loaded of the rest */
	const uint8_t *payload;
	size_t payload_size;
};

/* What is loaded of a kernel, piece by piece; it clears the rest of its memory itself. */
#define VMLINUX_PARTS_MAX 8
struct vmlinux_part {
	const uint8_t *data;		/* in the ELF file */
	uint64_t offset;		/* in memory, from the lowest address of all; of a page */
	uint64_t size;			/* bytes of data */
};

/* The kernel proper. */
struct vmlinux {
	struct vmlinux_part part[VMLINUX_PARTS_MAX];
	unsigned int nr_parts;
	uint64_t memory_size;
	uint64_t entry;			/* offset of the entry point */
};

int check_bzimage(const char *name, const uint8_t *file, size_t size, struct bzimage *image);
uint64_t unpacked_size(const struct bzimage *image);
int unpack_payload(const char *name, const struct bzimage *image, uint8_t **data, size_t *size);
int unpack_initrd(const uint8_t *file, size_t file_size, size_t max, uint8_t **data,
		  size_t *size);
int read_vmlinux(const char *name, const struct bzimage *image, const uint8_t *elf, size_t size,
		 struct vmlinux *kernel);

/* ---- placement.c: where everything goes ---- */

struct placement {
	struct range window;
	struct range low;		/* size 0: none */
	struct range kernel;		/* run-time range */
	struct range load;		/* what is copied: image or bzImage's 32-bit part */
	struct range initrd;
	struct range boot_params;
	struct range command_line;
	struct range purgatory;
	uint64_t entry;			/* where the purgatory jumps to */
	uint64_t need;			/* smallest window that would do */
	bool direct;
	bool entry_32bit;
};

struct sizes {
	uint64_t initrd;
	uint64_t command_line;		/* with its NUL */
	uint64_t purgatory;
};

/* How the running kernel uses the CPU's page tables, and what the CPU could do. */
struct paging {
	bool five_levels;		/* in use */
	bool cpu_five_levels;
};

int check_paging(const char *name, const struct bzimage *image, const struct placement *p,
		 const char *command_line, const struct paging *paging);
int place(const char *name, const struct bzimage *image, const struct vmlinux *kernel,
	  const struct sizes *sizes, struct placement *p);

/* ---- cmdline.c: the command line without what is somebody else's ---- */

int fit_command_line(const char *text, const struct share_options *share, bool pci_serial,
		     char **fitted, char **left_out);
bool has_parameter(const char *text, const char *name);

/* ---- network-root.c: a root file system that an OS has from the network ---- */

enum root_kind { ROOT_NONE, ROOT_NFS, ROOT_NBD, ROOT_9P };

struct network_root {
	enum root_kind kind;
	char server[16];		/* its IPv4 address; "": the leading OS */
	const char *place;		/* path, or name of the export */
};

int parse_root(const char *text, struct network_root *root);
int read_net4(const struct roots *roots, char *net4);
int root_words(const struct roots *roots, const char *text, uint32_t id, const char *name,
	       const char *interface, bool address, char **words);
int check_export(const struct roots *roots, const struct network_root *root);

/* ---- handover.c: what the coexisting kernel is told ---- */

/* The share segment: a setup_data node whose data is a struct twinos_share. */
struct share_node {
	uint64_t next;
	uint32_t type;
	uint32_t len;
	struct twinos_share share;
};

void fill_share(struct share_node *node, const struct placement *p,
		const struct share_options *options, uint32_t id, const char *name);
int fill_boot_params(struct boot_params *params, const struct bzimage *image,
		     const struct placement *p, const struct memory_map *firmware);
int build_e820(struct boot_e820_entry *table, unsigned int max,
	       const struct range *window, const struct range *low,
	       const struct memory_map *firmware);

/* ---- devices.c, in-use.c: what of the share the running OS uses ---- */

int check_in_use(const struct roots *roots, const char *bdf, const char *device);
int check_pci(const struct roots *roots, const struct twinos_pci *pci,
	      const struct os_list *oses, uint32_t id);
int check_irq(const struct roots *roots, uint32_t irq, const struct os_list *oses, uint32_t id);

/* ---- leading.c: the running kernel ---- */

bool twinos_leading(const struct roots *roots);
int check_leading(const struct roots *roots);
int try_claim(unsigned int major, unsigned int minor);
int twinos_kexec_load(uint64_t entry, unsigned long nr, const void *segments);
int open_door(const struct roots *roots);
int await_news(int door, double seconds);
int twinos_command(const struct roots *roots, unsigned int command, uint32_t id, uint32_t cpu);
int refuse_command(unsigned int command, uint32_t id, int error);

/* ---- load.c ---- */

struct segment {			/* as kexec_load(2) has it */
	const void *buf;
	size_t bufsz;
	uint64_t mem;
	size_t memsz;
};

#define TWINOS_SEGMENTS_MAX (5 + VMLINUX_PARTS_MAX)

struct request {
	const char *kernel;		/* file names */
	const char *initrd;		/* or NULL */
	const char *command_line;
	const char *root;		/* as the key root has it; NULL: none, or in the line */
	enum twinos_entry entry;
	bool entry_32bit;
	uint32_t id;			/* 0: to be chosen */
	const char *name;		/* "" for none; is_name() */
	struct share_options share;
};

struct loaded {
	struct placement placement;
	unsigned int nr_segments;
	struct segment segment[TWINOS_SEGMENTS_MAX];
	struct {
		void *data;
		size_t mapped;		/* 0: of malloc() */
	} owned[8];			/* to be released */
	unsigned int nr_owned;
	char *left_out;			/* words of the command line, "" if none */
	struct share_node share;
};

bool has_pci_serial(const struct roots *roots, const struct share_options *share);
int make_line(const struct roots *roots, const struct request *request,
	      const struct share_options *share, uint32_t id, char **line, char **left_out);
/* Everything but the system call; release() afterwards whatever it returns. */
int prepare_load(const struct roots *roots, const struct request *request,
		 const uint8_t *purgatory, size_t purgatory_size, struct loaded *loaded);
void release(struct loaded *loaded);

/* ---- action.c: what is done with an OS that is loaded or runs ---- */

int prepare_launch(const struct roots *roots, uint32_t id, struct os *os);
int prepare_unload(const struct roots *roots, uint32_t id, struct os *os);
int prepare_end(const struct roots *roots, uint32_t id, const char *verb, struct os *os);
int prepare_move(const struct roots *roots, uint32_t id, uint32_t cpu, struct os *os);
int os_status(const struct roots *roots, uint32_t id, enum twinos_state *state);
int check_back(const struct roots *roots, const struct os *os);
bool settled(const struct roots *roots, const struct os *os);
double seconds_now(void);
int wait_for_end(const struct roots *roots, const struct os *os, unsigned int limit,
		 int door, FILE *progress, unsigned int patience);

/* ---- operate.c: and what both commands do with it ---- */

extern const uint8_t twinos_purgatory[], twinos_purgatory_end[];

int load_os(const struct roots *roots, const struct request *request, bool may_replace,
	    uint32_t *id, FILE *notes);
int launch_os(const struct roots *roots, uint32_t id);
int unload_os(const struct roots *roots, uint32_t id);
int stop_os(const struct roots *roots, uint32_t id, unsigned int limit, FILE *progress);
int kill_os(const struct roots *roots, uint32_t id);
int move_os(const struct roots *roots, uint32_t id, uint32_t cpu);
int set_number(const struct roots *roots, uint32_t id, const char *file, unsigned int value);
int start_os(const struct roots *roots, const struct conf *conf, struct os *os, FILE *notes);

/* ---- terminal-link.c: /dev/twinos/NAME, and news for udev ---- */

void os_terminal(const struct roots *roots, uint32_t id, char *target);
void unlink_terminal(const struct roots *roots, const char *target, const char *keep);
int link_terminal(const struct roots *roots, const struct os *os);
void announce_os(const struct roots *roots, uint32_t id);

/* ---- console.c: what an OS prints, as it prints it ---- */

struct console {
	uint32_t id;
	uint64_t launch;		/* launch_tsc of what is read, 0: not launched yet */
	uint64_t bytes;			/* of it, so far */
};

struct printed {
	char *text;			/* to be freed */
	size_t size;
	uint64_t lost;			/* bytes before it that are no longer there */
	bool again;			/* the OS has been launched anew; this is the beginning */
};

int read_console(const struct roots *roots, struct console *console, struct printed *printed);

/* ---- texts.c: several lines for people ---- */

struct texts {
	unsigned int nr;
	char **text;
};

int add_text(struct texts *texts, const char *format, ...) __attribute__((format(printf, 2, 3)));
void free_texts(struct texts *texts);

/* ---- boot-files.c: what boot loader and udev are told about all configurations ---- */

struct confs {
	unsigned int nr;
	struct conf *conf;		/* by name */
};

/* A file to be written. */
struct new_file {
	char *path, *text;
	bool unchanged;			/* write_files() found that it says so already */
};

/* twinos=SIZE@ADDRESS[,low=SIZE@ADDRESS] */
struct boot_option {
	struct range window, low;	/* low.size 0: none */
};

int read_confs(const struct roots *roots, const char *except, struct confs *confs);
void free_confs(struct confs *confs);
struct range conf_window(const struct conf *conf);
void format_range(const struct range *r, char *text, size_t size);
void format_function(const struct twinos_pci *pci, char *text, size_t size);
void format_boot_option(const struct conf *conf, char *text, size_t size);
unsigned int parse_boot_options(const char *text, struct boot_option *options, unsigned int max);
char *boot_line(const struct confs *confs);
int boot_files(const struct roots *roots, const struct confs *confs, struct new_file files[2]);
bool same_content(const char *a, const char *b);
char *twinos_path(const char *root, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- write-files.c: several files as one ---- */

int write_files(struct new_file *files, unsigned int nr);

/* ---- ranges.c: sets of ranges, in order and without overlaps ---- */

struct ranges {
	unsigned int nr;
	struct range *range;
};

int add_range(struct ranges *set, uint64_t start, uint64_t end);
int subtract_range(struct ranges *set, uint64_t start, uint64_t end);
int intersect_ranges(struct ranges *set, const struct ranges *other);
bool fit_range(const struct ranges *set, uint64_t size, uint64_t align, uint64_t min,
	       uint64_t max, uint64_t *start);
uint64_t largest_fit(const struct ranges *set, uint64_t align, uint64_t min, uint64_t max);
uint64_t ranges_size(const struct ranges *set, uint64_t min, uint64_t max);
void free_ranges(struct ranges *set);

/* ---- spare.c: which memory a boot can withhold ---- */

struct spare {
	struct ranges ram;		/* all that firmware says is RAM */
	struct ranges free;		/* of it, but for the kernel's image */
	struct range kernel;		/* where that is now; size 0: not known */
	bool kernel_moves;		/* by KASLR, which keeps out of windows */
	bool knows_boot;		/* what the boot loader did */
};

int read_spare(const struct roots *roots, struct spare *spare);
void free_spare(struct spare *spare);
int read_nodes_memory(const struct roots *roots, const unsigned int *nodes, unsigned int nr,
		      struct ranges *memory);

/* ---- topology.c: cores and NUMA nodes ---- */

#define CORE_THREADS_MAX 16
#define NODES_MAX 64

struct core {
	unsigned int node, nr;
	uint32_t cpus[CORE_THREADS_MAX];	/* in order */
	bool fixed;			/* one of them cannot leave the leading OS */
};

struct topology {
	unsigned int nr_cores, nr_nodes;
	struct core *core;
	unsigned int node[NODES_MAX];
};

int read_topology(const struct roots *roots, struct topology *topology);
void free_topology(struct topology *topology);
const struct core *cpu_core(const struct topology *topology, uint32_t cpu);

/* ---- functions.c: PCI functions that could be given away ---- */

int function_node(const struct roots *roots, const struct twinos_pci *pci);
unsigned int function_reach(const struct roots *roots, const struct twinos_pci *pci);
bool function_virtual(const struct roots *roots, const struct twinos_pci *pci);
void function_driver(const struct roots *roots, const struct twinos_pci *pci, char *name,
		     size_t size, bool *built_in);
const char *function_kind(const struct roots *roots, const struct twinos_pci *pci);
void function_company(const struct roots *roots, const struct twinos_pci *pci,
		      const struct share_options *share, char *text, size_t size);
int list_functions(const struct roots *roots, const struct confs *taken,
		   const struct os_list *oses, struct texts *list);

/* ---- plan.c: a share that fits this machine ---- */

struct plan_request {
	const char *name;
	uint64_t memory;		/* bytes */
	unsigned int cpus;		/* how many; 0: time-shared mode */
	const char *root;		/* as the key root has it; NULL: on a disk of the share */
	struct share_options devices;	/* PCI functions and pins */
	const char *release;		/* of the running kernel */
	bool force;			/* replace a configuration that is there */
};

struct plan {
	struct conf conf;		/* what its file says */
	unsigned int node;
	unsigned int nr_files;
	struct new_file files[3];	/* boot loader, udev, the configuration */
	char *boot_line;
	struct texts warnings;
	struct texts functions;		/* that could be given, if none was asked for */
};

int make_plan(const struct roots *roots, const struct plan_request *request, struct plan *plan);
int make_update(const struct roots *roots, struct plan *plan);
void free_plan(struct plan *plan);

/* ---- modules.c: which kernel's modules an initrd has ---- */

int find_modules(const uint8_t *file, size_t size, const char *version, char *other,
		 size_t other_size);

/* ---- check.c: all that is wrong with configurations ---- */

enum finding_level {
	FINDING_NOTE,
	FINDING_WARNING,
	FINDING_ERROR,			/* it cannot be started like this */
};

struct finding {
	enum finding_level level;
	char *name;			/* of the OS that it is about, "" for the whole machine */
	char *file;			/* NULL: it is not about a file */
	unsigned int line;		/* 0: about all of it */
	char *text;
};

struct findings {
	unsigned int nr;
	struct finding *finding;
};

struct check_request {
	const char *const *names;		/* or files; none: all of /etc/twinos */
	unsigned int nr;
	const uint8_t *purgatory;
	size_t purgatory_size;
};

int check_configurations(const struct roots *roots, const struct check_request *request,
			 struct texts *checked, struct findings *findings);
bool can_start(const struct findings *findings, const char *name);
void free_findings(struct findings *findings);

#endif /* LIBTWINOS_H */
