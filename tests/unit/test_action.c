// SPDX-License-Identifier: GPL-2.0
/*
 * Launch, unload, stop, kill, move and state on machines with several
 * coexisting OSes: which one is meant, what is refused, and how long is waited.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <twinos/control.h>
#include "tree.h"

static struct tree t;
static int door;		/* readable, as /dev/twinos/control, when something has changed */
static struct os os;

static int setup(void **state)
{
	(void)state;
	tree__create(&t);
	tree__machine(&t, "q35-twinos");
	tree__file(&t, "sys/devices/system/cpu/present", "0-7\n");
	tree__file(&t, "sys/devices/system/cpu/online", "0-7\n");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tree__remove(&t);
	return 0;
}

static int launch(uint32_t id)
{
	return prepare_launch(&t.roots, id, &os);
}

static int unload(uint32_t id)
{
	return prepare_unload(&t.roots, id, &os);
}

static int stop(uint32_t id)
{
	return prepare_end(&t.roots, id, "stop", &os);
}

static int move(uint32_t id, uint32_t cpu)
{
	return prepare_move(&t.roots, id, cpu, &os);
}

static void listing(void **state)
{
	struct os_list list;

	(void)state;
	tree__os(&t, 2, "running", "dedicated",
		 "window 0x40000000-0x5fffffff\nlow 0x80000-0x87fff\ncpu 2\ncpu 3\n"
		 "pci 0000:00:05.0\npci 0001:02:1f.7\nirq 3\ncolour red\n");
	tree__os(&t, 64, "crashed", "time-shared", "pci 0000:00:07.0\n");
	assert_int_equal(read_oses(&t.roots, &list), 0);
	assert_int_equal(list.nr, 3);
	assert_int_equal(list.os[0].state, TWINOS_EMPTY);
	os = *find_os(&list, 2);
	assert_int_equal(os.mode, TWINOS_DEDICATED);
	assert_int_equal(os.window.size, 0x20000000);
	assert_int_equal(os.low.start, 0x80000);
	assert_int_equal(os.low.size, 0x8000);
	assert_int_equal(os.nr_cpus, 2);
	assert_int_equal(os.cpus[1], 3);
	assert_int_equal(os.nr_pci, 2);
	assert_int_equal(os.pci[1].domain, 1);
	assert_int_equal(os.pci[1].devfn, 0xff);
	assert_int_equal(os.nr_irqs, 1);
	assert_int_equal(find_os(&list, 64)->state, TWINOS_CRASHED);
	assert_null(find_os(&list, 3));
	assert_int_equal(free_id(&list), 1);
	/* One that goes while it is looked at was never there. */
	tree__file(&t, "sys/kernel/twinos/os3/state", "running\n");
	assert_int_equal(read_oses(&t.roots, &list), 0);
	assert_int_equal(list.nr, 3);
}

static void damaged_listing(void **state)
{
	static const char *const lines[] = {
		"window 0x100000", "window 0x2000-0x1000", "low", "cpu", "cpu x", "pci 00", "irq",
		"pci 0000:00:05.0,0000:00:06.0",
	};
	struct os_list list;
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		tree__os(&t, 2, "running", "dedicated", lines[i]);
		assert_refused(read_oses(&t.roots, &list), "coexisting OS 2 has \"");
	}
	tree__os(&t, 2, "dancing", "dedicated", "");
	assert_refused(read_oses(&t.roots, &list), "coexisting OS 2 is \"dancing\"");
	tree__remove(&t);
	tree__create(&t);
	assert_refused(read_oses(&t.roots, &list), "TwinOS support");
	assert_refused(launch(0), "TwinOS support");
}

static void launches(void **state)
{
	(void)state;
	assert_refused(launch(0), "nothing is loaded; load a kernel with kexec --twinos -l (or kexec -l) first");
	assert_refused(launch(5), "nothing is loaded as coexisting OS 5 (loaded: none)");
	tree__os(&t, 1, "running", "dedicated", "cpu 1\n");
	assert_refused(launch(0), "nothing is loaded (running already: 1)");
	assert_refused(launch(1), "coexisting OS 1 is running already; wait until it has stopped");
	tree__os(&t, 2, "loaded", "dedicated", "cpu 2\ncpu 3\n");
	assert_int_equal(launch(0), 0);
	assert_int_equal(os.id, 2);
	tree__os(&t, 10, "loaded", "dedicated", "cpu 4\n");
	assert_refused(launch(0), "several coexisting OSes to launch (2, 10); say which one with --twinos-id=N");
	assert_int_equal(launch(10), 0);
	assert_int_equal(os.id, 10);
	assert_refused(launch(5), "nothing is loaded as coexisting OS 5 (loaded: 2, 10)");
	tree__os(&t, 10, "stopped", "dedicated", "");
	assert_refused(launch(10), "nothing is loaded as coexisting OS 10");
	/* What has changed since the load. */
	tree__file(&t, "sys/devices/system/cpu/online", "0,2,4-7\n");
	assert_refused(launch(0), "CPU 3 is offline");
}

static void one_shares(void **state)
{
	(void)state;
	tree__os(&t, 1, "starting", "time-shared", "window 0x100000-0x7ffffff\n");
	tree__os(&t, 2, "loaded", "time-shared", "window 0x8000000-0xfffffff\n");
	tree__os(&t, 3, "loaded", "dedicated", "cpu 1\n");
	assert_refused(launch(2), "coexisting OS 1 shares CPU 0 already, and only one can; stop it (twinos stop 1), or move it to a CPU of its own (twinos move 1 CPU)");
	assert_int_equal(launch(3), 0);
	tree__os(&t, 1, "hung", "time-shared", "");
	assert_int_equal(launch(2), 0);
}

static void unloads(void **state)
{
	(void)state;
	assert_refused(unload(0), "nothing is loaded; there is nothing to unload");
	assert_refused(unload(1), "nothing is loaded as coexisting OS 1");
	tree__os(&t, 1, "running", "dedicated", "cpu 1\n");
	assert_refused(unload(0), "nothing is loaded (running: 1)");
	assert_refused(unload(1), "coexisting OS 1 is running; stop it first (twinos stop 1)");
	/* What has ended may still have devices; what is loaded goes first. */
	tree__os(&t, 2, "crashed", "dedicated", "pci 0000:00:04.0\n");
	assert_int_equal(unload(0), 0);
	assert_int_equal(os.id, 2);
	tree__os(&t, 3, "loaded", "dedicated", "");
	assert_int_equal(unload(0), 0);
	assert_int_equal(os.id, 3);
	assert_int_equal(unload(2), 0);
	tree__os(&t, 4, "loaded", "dedicated", "");
	assert_refused(unload(0), "several coexisting OSes to unload (3, 4)");
}

static void stops(void **state)
{
	(void)state;
	assert_refused(stop(0), "no coexisting OS is running; there is nothing to stop");
	assert_refused(prepare_end(&t.roots, 0, "kill", &os), "there is nothing to kill");
	tree__os(&t, 1, "loaded", "dedicated", "cpu 1\n");
	assert_refused(stop(0), "no coexisting OS is running");
	assert_refused(stop(1), "coexisting OS 1 is not running but loaded (running: none); there is nothing to stop");
	tree__os(&t, 2, "starting", "dedicated", "cpu 2\n");
	assert_int_equal(stop(0), 0);
	assert_int_equal(os.id, 2);
	assert_int_equal(os.cpus[0], 2);
	tree__os(&t, 3, "running", "time-shared", "");
	assert_refused(stop(0), "several coexisting OSes to stop (2, 3)");
	assert_int_equal(stop(3), 0);
	assert_refused(stop(64), "coexisting OS 64 is not running but empty (running: 2, 3)");
	tree__os(&t, 3, "stopped", "time-shared", "");
	assert_refused(stop(3), "is not running but stopped (running: 2)");
}

static void moves(void **state)
{
	(void)state;
	assert_refused(move(0, 1), "no coexisting OS is running; there is nothing to move");
	tree__os(&t, 1, "starting", "time-shared", "window 0x100000-0x7ffffff\n");
	assert_refused(move(1, 1), "coexisting OS 1 is not running but starting (running: none)");
	tree__os(&t, 1, "running", "time-shared", "window 0x100000-0x7ffffff\n");
	assert_int_equal(move(0, 1), 0);
	assert_int_equal(os.id, 1);
	assert_refused(move(1, 0), "coexisting OS 1 is on CPU 0 already");
	assert_refused(move(1, 8), "CPU 8 does not exist");
	tree__file(&t, "sys/devices/system/cpu/online", "0-1,4-6\n");
	assert_refused(move(1, 7), "CPU 7 is offline");
	tree__os(&t, 2, "running", "dedicated", "cpu 2\n");
	assert_refused(move(1, 2), "CPU 2 belongs to coexisting OS 2 (running)");
	assert_refused(move(2, 2), "coexisting OS 2 is on CPU 2 already");
	assert_refused(move(2, 0), "coexisting OS 1 shares CPU 0 already");
	assert_int_equal(move(2, 4), 0);
	assert_refused(move(0, 4), "several coexisting OSes to move (1, 2)");
	tree__os(&t, 1, "stopped", "time-shared", "");
	assert_int_equal(move(0, 0), 0);
	tree__os(&t, 2, "running", "dedicated", "cpu 2\ncpu 3\n");
	assert_refused(move(2, 0), "coexisting OS 2 has 2 CPUs; only one with a single CPU can be moved");
	assert_refused(move(1, 4), "coexisting OS 1 is not running but stopped");
}

static void states(void **state)
{
	enum twinos_state s;

	(void)state;
	assert_int_equal(os_status(&t.roots, 0, &s), 0);
	assert_int_equal(s, TWINOS_EMPTY);
	assert_int_equal(os_status(&t.roots, 7, &s), 0);
	assert_int_equal(s, TWINOS_EMPTY);
	tree__os(&t, 7, "hung", "dedicated", "");
	assert_int_equal(os_status(&t.roots, 0, &s), 0);
	assert_int_equal(s, TWINOS_HUNG);
	tree__os(&t, 2, "loaded", "dedicated", "");
	assert_refused(os_status(&t.roots, 0, &s), "several coexisting OSes to ask for (2, 7)");
	assert_int_equal(os_status(&t.roots, 2, &s), 0);
	assert_int_equal(s, TWINOS_LOADED);
	assert_int_equal(os_status(&t.roots, 1, &s), 0);
	assert_int_equal(s, TWINOS_EMPTY);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/* Wait for OS 2 while a child changes the files; what was said is in text. */
static int wait_while(void (*change)(void), unsigned int limit, unsigned int patience,
		      char *text, size_t size)
{
	FILE *progress = tmpfile();
	pid_t child;
	int err, status;
	size_t n;

	assert_non_null(progress);
	tree__os(&t, 2, "running", "dedicated", "cpu 2\ncpu 3\n");
	tree__file(&t, "sys/kernel/twinos/os2/reason", "\n");
	tree__file(&t, "sys/devices/system/cpu/online", "0-1,4-7\n");
	assert_int_equal(stop(2), 0);
	door = eventfd(0, EFD_NONBLOCK);
	child = fork();
	assert_return_code(child, 0);
	if (!child) {
		usleep(300000);
		change();
		_exit(0);
	}
	err = wait_for_end(&t.roots, &os, limit, door, progress, patience);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(door);
	rewind(progress);
	n = fread(text, 1, size - 1, progress);
	text[n] = 0;
	fclose(progress);
	return err;
}

/* A file as the kernel changes it: whole, and with a word to who polls. */
static void replace(const char *path, const char *content)
{
	char from[200], to[200], aside[100];

	snprintf(aside, sizeof(aside), "%s.new", path);
	tree__file(&t, aside, "%s\n", content);
	snprintf(from, sizeof(from), "%s/%s", t.root, aside);
	snprintf(to, sizeof(to), "%s/%s", t.root, path);
	if (rename(from, to) || eventfd_write(door, 1))
		_exit(1);
}

/* The kernel tells the reason when all is done. */
static void shuts_down(void)
{
	replace("sys/kernel/twinos/os2/state", "stopped");
	usleep(100000);
	replace("sys/devices/system/cpu/online", "0-7");
	usleep(100000);
	replace("sys/kernel/twinos/os2/reason", "power-off");
}

static void crashes(void)
{
	replace("sys/kernel/twinos/os2/state", "crashed");
	replace("sys/devices/system/cpu/online", "0-7");
	replace("sys/kernel/twinos/os2/reason", "panic: no");
}

static void loses_a_cpu(void)
{
	replace("sys/devices/system/cpu/online", "0-2,4-7");
	replace("sys/kernel/twinos/os2/state", "stopped");
	replace("sys/kernel/twinos/os2/reason", "halt");
}

static void is_not_dealt_with(void)
{
	replace("sys/kernel/twinos/os2/state", "stopped");
	replace("sys/devices/system/cpu/online", "0-7");
}

static void is_loaded_again(void)
{
	replace("sys/devices/system/cpu/online", "0-7");
	replace("sys/kernel/twinos/os2/state", "loaded");
}

static void goes_on(void)
{
}

static void waits(void **state)
{
	char text[1000];
	double start = seconds();

	(void)state;
	/* Not before everything is back. */
	assert_int_equal(wait_while(shuts_down, 20, 5, text, sizeof(text)), 0);
	assert_true(seconds() - start >= 0.5);
	assert_string_equal(text, "");
	assert_int_equal(wait_while(shuts_down, 20, 0, text, sizeof(text)), 0);
	assert_string_equal(text, "kexec: waiting for coexisting OS 2 to shut down, 20 s at most\n");
	assert_int_equal(wait_while(is_loaded_again, 20, 5, text, sizeof(text)), 0);
	assert_string_equal(text, "");
	assert_int_equal(wait_while(crashes, 20, 5, text, sizeof(text)), 0);
	assert_non_null(strstr(text, "coexisting OS 2 has ended, but crashed while it shut down"));
}

static void waits_in_vain(void **state)
{
	char text[1000];
	double start = seconds();

	(void)state;
	assert_refused(wait_while(goes_on, 1, 5, text, sizeof(text)),
		       "coexisting OS 2 has not shut down within 1 s and goes on; end it with twinos kill 2");
	assert_true(seconds() - start >= 1);
	assert_true(seconds() - start < 10);
	assert_refused(wait_while(is_not_dealt_with, 1, 5, text, sizeof(text)),
		       "coexisting OS 2 has not shut down within 1 s");
	assert_refused(wait_while(loses_a_cpu, 20, 5, text, sizeof(text)),
		       "coexisting OS 2 has ended, but its CPU 3 is not back online");
}

/* What the kernel answers, in case that something has changed in between. */
static void answers(void **state)
{
	static const unsigned int commands[] = {
		TWINOS_REBOOT_LAUNCH, TWINOS_UNLOAD, TWINOS_STOP, TWINOS_KILL, TWINOS_MOVE,
	};
	static const char *const verbs[] = { "launch", "unload", "stop", "kill", "move" };
	static const int errors[] = {
		ENOENT, ESRCH, EBUSY, EPERM, ENODEV, ENXIO, ECANCELED, ETIMEDOUT, EOPNOTSUPP, EINVAL,
		EIO, ENOMEM,
	};
	unsigned int i, j;

	(void)state;
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		for (j = 0; j < sizeof(errors) / sizeof(errors[0]); j++)
			assert_int_equal(refuse_command(commands[i], 7, errors[j]), -errors[j]);
		assert_refused(refuse_command(commands[i], 7, ENOMEM), verbs[i]);
	}
	assert_refused(refuse_command(TWINOS_MOVE, 7, EIO),
		       "coexisting OS 7 hung in the move and has ended");
	assert_refused(refuse_command(TWINOS_REBOOT_LAUNCH, 7, ECANCELED),
		       "a CPU could not be taken offline, and all that was taken is given back; see dmesg");
	assert_refused(refuse_command(TWINOS_MOVE, 7, ETIMEDOUT),
		       "coexisting OS 7 did not answer and stays as it is; if it hangs, end it with twinos kill 7");
	assert_refused(refuse_command(TWINOS_UNLOAD, 7, EBUSY), "stop it first");
	assert_refused(refuse_command(TWINOS_STOP, 7, ESRCH), "nothing to stop");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(listing), TEST(damaged_listing), TEST(launches), TEST(one_shares),
		TEST(unloads), TEST(stops), TEST(moves), TEST(states), TEST(waits),
		TEST(waits_in_vain), TEST(answers),
	};

	return cmocka_run_group_tests_name("action", tests, NULL, NULL);
}
