// SPDX-License-Identifier: GPL-2.0
/*
 * Does the kernel itself refuse a wrong TwinOS image, and wrong commands? Calls
 * kexec_load(2), reboot(2) and /dev/twinos/control directly, past kexec's own checks.
 * First a correct image must load (or every refusal would mean nothing); then each
 * wrong one must be refused with the correct image still there; last it is
 * unloaded. Nothing is launched, but with "race": then the share changes while it is
 * loaded, and what was found good must be what the OS finds.
 * With a PCI function: only, does the kernel find that in use? With "await": only,
 * wait until OS 1 has a state, by poll() alone.
 */
#include "guest.h"

#include <fcntl.h>
#include <linux/kexec.h>
#include <linux/reboot.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "twinos/abi.h"
#include "twinos/control.h"

#define PAGE		4096ull
#define FLAGS		(KEXEC_TWINOS | KEXEC_ARCH_X86_64)

/* Struct setup_data of the boot protocol, and the share behind it. */
struct share_node {
	uint64_t next;
	uint32_t type;
	uint32_t length;
	struct twinos_share share;
};

struct image {
	uint64_t entry;
	unsigned long count;
	unsigned long flags;
	struct kexec_segment segments[4];	/* [0]: share, [1]: code */
	struct share_node *node;
};

static uint64_t window_start, window_end;	/* end: last byte */
static unsigned char *node_page, *code_page;
static int cases, accepted, door;

static const char *state(void)
{
	static char text[32];
	FILE *file = fopen("/sys/kernel/twinos/os1/state", "r");

	if (!file)
		failed("/sys/kernel/twinos/os1/state: %s", strerror(errno));
	if (!fgets(text, sizeof(text), file))
		failed("/sys/kernel/twinos/os1/state cannot be read");
	fclose(file);
	text[strcspn(text, "\n")] = 0;
	return text;
}

/* The smallest image that is right in every field. */
static void correct(struct image *image)
{
	struct share_node *node = (struct share_node *)node_page;
	uint64_t ram = window_start + TWINOS_SHARED_SIZE;

	memset(node_page, 0, PAGE);
	memcpy(code_page, "\xf4\xeb\xfd", 4);	/* hlt, again and again */
	memset(image, 0, sizeof(*image));
	node->type = SETUP_TWINOS;
	node->length = sizeof(node->share);
	node->share.magic = TWINOS_SHARE_MAGIC;
	node->share.version = TWINOS_ABI_VERSION;
	node->share.size = sizeof(node->share);
	node->share.window_start = window_start;
	node->share.window_size = window_end + 1 - window_start;
	node->share.kernel_start = (ram + 0x1fffff) & ~0x1fffffull;
	node->share.kernel_size = 0x400000;
	node->share.id = TWINOS_ID_DEFAULT;

	image->node = node;
	image->entry = ram;
	image->flags = FLAGS;
	image->count = 2;
	image->segments[0] = (struct kexec_segment){
		node_page, PAGE, (void *)(window_start + TWINOS_SHARE_OFFSET), PAGE,
	};
	image->segments[1] = (struct kexec_segment){
		code_page, PAGE, (void *)ram, PAGE,
	};
}

static int load(const struct image *image)
{
	return syscall(SYS_kexec_load, image->entry, image->count, image->segments,
		       image->flags) < 0 ? errno : 0;
}

static int reboot_command(unsigned int command)
{
	return syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, command,
		       (void *)TWINOS_ID_DEFAULT) ? errno : 0;
}

static int control(unsigned int command, struct twinos_control c)
{
	return ioctl(door, command, &c) ? errno : 0;
}

static int unload(void)
{
	return control(TWINOS_UNLOAD, (struct twinos_control){ .id = TWINOS_ID_DEFAULT });
}

/* Has a state changed since the door was opened or read? */
static int news(void)
{
	struct pollfd pollfd = { .fd = door, .events = POLLIN | POLLPRI };

	if (poll(&pollfd, 1, 0) < 0 || (pollfd.revents & ~pollfd.events))
		failed("poll: revents %x", pollfd.revents);
	return pollfd.revents;
}

static void read_news(void)
{
	uint64_t changes;

	if (read(door, &changes, sizeof(changes)) != sizeof(changes) || news())
		failed("/dev/twinos/control cannot be read, or has news then");
}

/* Wait for a state by nothing but the news of it. */
static void await(const char *wanted)
{
	struct pollfd pollfd = { .fd = door, .events = POLLIN };
	uint64_t changes;
	int count;

	for (count = 0; strcmp(state(), wanted); count++) {
		if (poll(&pollfd, 1, 60000) != 1)
			failed("no news, state '%s'", state());
		if (read(door, &changes, sizeof(changes)) != sizeof(changes))
			failed("/dev/twinos/control cannot be read");
	}
	ok("%s after %d changes", wanted, count);
}

/* What the last change made wrong must be refused, and nothing else happen. */
static void refused(const struct image *image, const char *what)
{
	int error = load(image);

	cases++;
	if (!error) {
		printf("rawload: accepted %s\n", what);
		accepted++;
		return;
	}
	if (strcmp(state(), "loaded"))
		failed("%s: state is now '%s'", what, state());
	printf("rawload: refused %s: %s\n", what, strerror(error));
}

static void wrong_share_fields(void)
{
	struct image image;

#define WRONG(field, value) do {				\
		correct(&image);				\
		image.node->field = (value);			\
		refused(&image, #field " = " #value);		\
	} while (0)

	WRONG(type, 0);
	WRONG(length, 8);
	WRONG(length, 0xffffffff);
	WRONG(share.magic, 0);
	WRONG(share.version, TWINOS_ABI_VERSION + 1);
	WRONG(share.size, sizeof(struct twinos_share) - 8);
	WRONG(share.size, 0xffffffff);
	WRONG(share.window_start, window_start + PAGE);
	WRONG(share.window_start, window_start + 8);
	WRONG(share.window_start, 0);
	WRONG(share.window_size, 0);
	WRONG(share.window_size, window_end + 1 - window_start + PAGE);
	WRONG(share.window_size, ~0ull);
	WRONG(share.window_size, ~0ull - window_start + 1);
	WRONG(share.window_size, TWINOS_SHARED_SIZE);
	WRONG(share.low_size, 0x10000);
	WRONG(share.low_size, ~0ull);
	WRONG(share.kernel_start, 0);
	WRONG(share.kernel_size, ~0ull);
	WRONG(share.initrd_size, ~0ull);
	WRONG(share.id, 1000000);
	WRONG(share.flags, 0x80000000);
	WRONG(share.nr_cpus, TWINOS_MAX_CPUS + 1);
	WRONG(share.nr_pci, TWINOS_MAX_PCI + 1);
	WRONG(share.nr_irqs, TWINOS_MAX_IRQS + 1);
	WRONG(share.nr_pci, 0xffffffff);
#undef WRONG

	correct(&image);
	image.node->share.nr_pci = 1;
	image.node->share.pci[0] = (struct twinos_pci){ 0, 0xfe, 0xf8 };
	refused(&image, "a PCI function that does not exist");
	correct(&image);
	image.node->share.nr_pci = 1;
	image.node->share.pci[0] = (struct twinos_pci){ 0, 0, 0 };
	refused(&image, "the host bridge as a PCI function");
	correct(&image);
	image.node->share.nr_irqs = 1;
	image.node->share.irqs[0] = 4;
	refused(&image, "the pin of the leading OS's console");
	correct(&image);
	image.node->share.nr_irqs = 1;
	image.node->share.irqs[0] = 5000;
	refused(&image, "a pin that does not exist");
}

static void wrong_segments(void)
{
	struct image image;

#define WRONG(change, what) do {				\
		correct(&image);				\
		change;						\
		refused(&image, what);				\
	} while (0)

	WRONG(image.count = 1; image.segments[0] = image.segments[1], "no share segment");
	WRONG(image.segments[1].mem = (void *)window_start, "a segment over the shared area");
	WRONG(image.segments[1].mem = (void *)(window_start + TWINOS_TRANSIT_OFFSET),
	      "a segment over the transit code");
	WRONG(image.segments[1].mem = (void *)(window_end + 1), "a segment behind the window");
	WRONG(image.segments[1].mem = (void *)(window_end + 1 - PAGE);
	      image.segments[1].memsz = 2 * PAGE, "a segment over the window's end");
	WRONG(image.segments[1].mem = (void *)0x10000000, "a segment in the leading kernel");
	WRONG(image.segments[1].mem = (void *)0x1000, "a segment in the first megabyte");
	WRONG(image.segments[1].mem = (void *)(window_start + TWINOS_SHARED_SIZE + 8),
	      "an unaligned segment");
	WRONG(image.segments[1].memsz = 100, "an unaligned segment size");
	WRONG(image.segments[1].bufsz = 2 * PAGE, "a buffer larger than its segment");
	WRONG(image.segments[1].memsz = ~0ull & ~(PAGE - 1), "a segment that wraps");
	WRONG(image.count = 3; image.segments[2] = image.segments[1], "overlapping segments");
	WRONG(image.segments[1].buf = (void *)0xffff888000000000, "a buffer in kernel memory");
	WRONG(image.count = 1000, "too many segments");
	WRONG(image.entry = 0x10000000, "an entry outside of the window");
	WRONG(image.entry = window_start, "an entry in the shared area");
	WRONG(image.flags = FLAGS | KEXEC_ON_CRASH, "a crash image too");
	WRONG(image.flags = FLAGS | KEXEC_PRESERVE_CONTEXT, "preserved context too");
	WRONG(image.flags = KEXEC_TWINOS | KEXEC_ARCH_ARM, "another architecture");
#undef WRONG
}

/* Commands that must fail with this errno, and change nothing. */
static void wrong_commands(void)
{
	static const struct {
		unsigned int command;
		struct twinos_control control;
		int error;
	} wrong[] = {
		{ TWINOS_UNLOAD, { .id = 0 }, ENOENT },
		{ TWINOS_UNLOAD, { .id = TWINOS_MAX_ID + 1 }, ENOENT },
		{ TWINOS_UNLOAD, { .id = TWINOS_ID_DEFAULT, .cpu = 1 }, EINVAL },
		{ TWINOS_UNLOAD, { .id = TWINOS_ID_DEFAULT, .reserved = 1 }, EINVAL },
		{ TWINOS_STOP, { .id = TWINOS_ID_DEFAULT }, ESRCH },
		{ TWINOS_KILL, { .id = TWINOS_ID_DEFAULT }, ESRCH },
		{ TWINOS_MOVE, { .id = TWINOS_ID_DEFAULT, .cpu = 1 }, ESRCH },
		{ TWINOS_MOVE, { .id = TWINOS_ID_DEFAULT, .reserved = 1ull << 63 }, EINVAL },
		{ _IO(0xb9, 0), { .id = TWINOS_ID_DEFAULT }, ENOTTY },
		{ _IOW(0xb9, 100, struct twinos_control), { .id = TWINOS_ID_DEFAULT }, ENOTTY },
	};
	int error;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		error = control(wrong[i].command, wrong[i].control);
		if (error != wrong[i].error)
			failed("command %zu: %s", i, strerror(error));
	}
	if (ioctl(door, TWINOS_UNLOAD, NULL) != -1 || errno != EFAULT)
		failed("a command without its struct: %s", strerror(errno));
	cases += i + 1;
	if (strcmp(state(), "loaded") || news())
		failed("a refused command made the state '%s'", state());
}

/* A child without privilege: exit status 0 when all it tries is refused. */
static void without_privilege(void)
{
	struct image image;
	int status;
	pid_t pid;

	correct(&image);
	pid = fork();
	if (pid < 0)
		failed("fork: %s", strerror(errno));
	if (!pid) {
		if (setgid(1000) || setuid(1000))
			_exit(2);
		/* A door that somebody else has opened lets nobody in. */
		_exit(load(&image) != EPERM || reboot_command(TWINOS_REBOOT_LAUNCH) != EPERM ||
		      unload() != EPERM || open("/dev/twinos/control", O_RDONLY) >= 0);
	}
	waitpid(pid, &status, 0);
	cases += 4;
	if (status)
		failed("an unprivileged process is not refused with EPERM (status %x)", status);
	if (strcmp(state(), "loaded"))
		failed("an unprivileged process made the state '%s'", state());
}

/* Says whether it is in use; an image with it does not stay loaded. */
static void one_function(const char *name)
{
	unsigned int bus, device, function;
	struct image image;
	int error;

	if (sscanf(name, "%x:%x.%u", &bus, &device, &function) != 3)
		usage("WINDOW_START WINDOW_LAST_BYTE [race | BUS:DEVICE.FUNCTION]");
	correct(&image);
	image.node->share.nr_pci = 1;
	image.node->share.pci[0] = (struct twinos_pci){ 0, bus, device << 3 | function };
	error = load(&image);
	if (error == EBUSY)
		ok("PCI function %s is in use", name);
	error = error ? error : unload();
	if (error)
		failed("PCI function %s: %s", name, strerror(error));
	ok("PCI function %s is free", name);
}

#define WRONG_FLAGS	0x80000000u

static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		failed("CPU %d: %s", cpu, strerror(errno));
}

/* Right and wrong by turns, as fast as it goes. */
static void *flip(void *flags)
{
	run_on(2);
	for (;;)
		__atomic_xor_fetch((uint32_t *)flags, WRONG_FLAGS, __ATOMIC_RELAXED);
	return NULL;
}

static void race(void)
{
	struct share_node found;
	struct image image;
	pthread_t flipper;
	int good = 0, bad = 0, error;
	int memory = open("/dev/mem", O_RDONLY);

	if (memory < 0)
		failed("/dev/mem: %s", strerror(errno));
	correct(&image);
	image.node->share.nr_cpus = 1;
	image.node->share.cpus[0] = 1;
	/* A large segment before it gives the share time to change. */
	image.segments[2] = image.segments[0];
	image.segments[0] = image.segments[1];
	image.segments[0].memsz = window_end + 1 - image.entry;
	image.segments[1] = image.segments[2];
	run_on(0);
	if (pthread_create(&flipper, NULL, flip, &image.node->share.flags))
		failed("no thread");
	while (good < 10 || !bad) {
		usleep(1000);
		if (load(&image)) {
			bad++;
			continue;
		}
		good++;
		error = reboot_command(TWINOS_REBOOT_LAUNCH);
		if (error)
			failed("launch: %s", strerror(error));
		if (pread(memory, &found, sizeof(found), window_start) != sizeof(found))
			failed("the window cannot be read");
		if (found.share.flags || found.share.magic != TWINOS_SHARE_MAGIC)
			failed("the OS finds a share with flags %#x", found.share.flags);
		error = control(TWINOS_KILL, (struct twinos_control){ .id = TWINOS_ID_DEFAULT });
		if (error)
			failed("kill: %s", strerror(error));
	}
	ok("of %d shares %d were good, and what the OS found", good + bad, good);
}

int main(int argc, char **argv)
{
	struct image image;
	int error;

	if (argc != 3 && argc != 4)
		usage("WINDOW_START WINDOW_LAST_BYTE [race | BUS:DEVICE.FUNCTION] | await STATE");
	door = open("/dev/twinos/control", O_RDWR);
	if (door < 0)
		failed("/dev/twinos/control: %s", strerror(errno));
	if (!strcmp(argv[1], "await"))
		await(argv[2]);
	window_start = number(argv[1]);
	window_end = number(argv[2]);
	if (window_end < window_start + TWINOS_SHARED_SIZE + 0x1000000)
		usage("WINDOW_START WINDOW_LAST_BYTE (16 MB at least)");
	node_page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	code_page = node_page + PAGE;
	if (node_page == MAP_FAILED)
		failed("no memory");

	if (argc == 4 && !strcmp(argv[3], "race"))
		race();
	if (strcmp(state(), "empty"))
		failed("state is '%s' at the start, not empty", state());
	if (news())
		failed("news before anything has happened");
	if (argc == 4)
		one_function(argv[3]);
	error = reboot_command(TWINOS_REBOOT_LAUNCH);
	if (error != ENOENT)
		failed("a launch with nothing loaded: %s", strerror(error));
	correct(&image);
	error = load(&image);
	if (error)
		failed("a correct image is refused: %s", strerror(error));
	if (strcmp(state(), "loaded"))
		failed("state is '%s' after a correct load", state());
	if (news() != (POLLIN | POLLPRI))
		failed("a load is no news");
	read_news();

	wrong_share_fields();
	wrong_segments();
	wrong_commands();
	without_privilege();

	error = unload();
	if (error || strcmp(state(), "empty"))
		failed("unload: %s, state '%s'", strerror(error), state());
	if (accepted)
		failed("%d of %d wrong images accepted", accepted, cases);
	ok("%d wrong images refused", cases);
}
