// SPDX-License-Identifier: GPL-2.0
/*
 * twinos plan and twinos check as programs (environment: TWINOS, built to read the files below the
 * folder in TWINOS_ROOT): what they print, what they write, and how they end.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tree.h"

static struct tree t;
static char output[65536];

static int setup(void **state)
{
	(void)state;
	tree__create(&t);
	tree__machine(&t, "laptop");
	tree__hardware(&t, "laptop");
	tree__file(&t, "etc/default/grub", "GRUB_CMDLINE_LINUX=\"\"\n");
	setenv("TWINOS_ROOT", t.root, 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tree__remove(&t);
	return 0;
}

/* Exit status; what it printed, errors too, is in output, without the test's folder. */
static int run(const char *arguments)
{
	return tree__twinos(&t, arguments, output, sizeof(output));
}

static void says(const char *arguments, int status, const char *text)
{
	const int got = run(arguments);

	if (got != status || !strstr(output, text))
		fail_msg("twinos %s ended with %d and said: %s", arguments, got, output);
}

static bool is_there(const char *path)
{
	char full[300];

	snprintf(full, sizeof(full), "%s/%s", t.root, path);
	return !access(full, F_OK);
}

static void usage(void **state)
{
	(void)state;
	says("plan", 100, "plan lacks the name of the OS behind it");
	says("plan web", 100, "plan needs --memory=SIZE");
	says("plan web --memory=lots", 100, "--memory=lots is not a number");
	says("plan web --memory=1G --cpus=65", 100, "--cpus=65: give a number of CPUs from 0 to 64");
	says("plan web --memory=1G --pci=x", 100, "--pci=x is not a list");
	says("plan web --memory=1G --irq=99", 100, "--irq=99: only the ISA interrupt pins");
	says("plan web --memory=1G --root=web", 100, "root=web is none of nfs:PATH, nbd:EXPORT and 9p:PATH");
	says("plan --update --root=nfs:/srv", 100, "--update makes files from");
	says("plan web db --memory=1G", 100, "'db' does not belong there");
	says("plan --update --memory=1G", 100, "--update makes files from the configurations as they are");
	says("plan --update web", 100, "--update makes files");
	says("plan Web --memory=1G", 1, "Web cannot be the name");
	says("check --dry-run", 100, "--dry-run does not go with check");
	assert_false(is_there("etc/twinos"));
}

static void dry_run(void **state)
{
	(void)state;
	says("plan web --memory=1G --cpus=2 --dry-run", 0, "==> /etc/twinos/web.conf <==\n");
	assert_non_null(strstr(output, "\nmemory = 1G@0x100000000\n"));
	assert_non_null(strstr(output, "==> /etc/default/grub.d/twinos.cfg <==\n"));
	assert_non_null(strstr(output, "==> /etc/udev/rules.d/60-twinos.rules <==\n"));
	assert_false(is_there("etc/twinos"));
	assert_false(is_there("etc/default/grub.d"));
	says("plan web --memory=1G --root=nfs:/srv/web --dry-run", 0, "\nroot = nfs:/srv/web\n");
	says("plan web --memory=1G --root=nfs:/srv/web --dry-run --json", 0, "\"root\":\"nfs:/srv/web\"");
	says("plan web --memory=1G --cpus=2 --dry-run --json", 0, "\"written\":false");
	assert_non_null(strstr(output, "\"share\":{\"memory\":\"1G@0x100000000\",\"low\":\"64K@0x80000\",\"cpus\":[1,5],\"pci\":[],\"irq\":[],\"node\":0}"));
	assert_non_null(strstr(output, "\"warnings\":[\"there is no "));
	assert_false(is_there("etc/twinos"));
}

static void written(void **state)
{
	(void)state;
	says("plan web --memory=1G --cpus=2", 0,
	     "wrote /etc/default/grub.d/twinos.cfg\nwrote /etc/udev/rules.d/60-twinos.rules\nwrote /etc/twinos/web.conf\n");
	assert_non_null(strstr(output, "  2. update-grub\n  3. update-initramfs -u\n  4. reboot\n  5. twinos check web\n"));
	says("plan web --memory=1G", 1, "/etc/twinos/web.conf is there already");
	/* A second one finds other memory and CPUs, and both are on the boot line. */
	says("plan db --memory=1G --cpus=2", 0, "wrote");
	says("plan --update --dry-run", 0,
	     "twinos=1G@0x140000000,low=64K@0x70000\"\n\n# Memory withheld for web.\nGRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX twinos=1G@0x100000000,low=64K@0x80000\"");
	assert_null(strstr(output, "web.conf <=="));
	says("plan web --memory=512M --cpus=0 --force", 0, "wrote");
	says("check", 1, "web: cannot be started\n");
	says("check web --json", 1, "\"can_start\":false");
	assert_non_null(strstr(output, "\"file\":\"/etc/twinos/web.conf\",\"line\":7,\"text\":"));
	says("check none", 1, "there is no /etc/twinos/none.conf");
	/* No boot loader that is known. */
	unlink(strcat(strcpy((char[200]){ 0 }, t.etc), "/default/grub"));
	says("plan --update", 0, "put on the kernel's command line: twinos=1G@0x140000000,low=64K@0x70000 twinos=512M@");
}

/* Those that are made at the same time find memory and CPUs of their own, too. */
static void at_once(void **state)
{
	char command[1024];

	(void)state;
	tree__file(&t, "run/utmp", "x");
	snprintf(command, sizeof(command),
		 "for name in a b c d e f; do %s plan $name --memory=64M --cpus=0 & done >/dev/null 2>&1; wait",
		 getenv("TWINOS"));
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof(command),
		 "test \"$(sed -n 's/^memory = //p' %s/twinos/*.conf | sort -u | wc -l)\" = 6", t.etc);
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof(command),
		 "test \"$(grep -c twinos=64M@ %s/default/grub.d/twinos.cfg)\" = 6", t.etc);
	assert_int_equal(system(command), 0);
}

/* A command that finds no room for its files leaves those that there are. */
static void no_room(void **state)
{
	struct rlimit limit, before;

	(void)state;
	says("plan db --memory=1G --cpus=2", 0, "wrote");
	signal(SIGXFSZ, SIG_IGN);
	assert_return_code(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = (struct rlimit){ 500, before.rlim_max };
	assert_return_code(setrlimit(RLIMIT_FSIZE, &limit), 0);
	says("plan web --memory=1G --cpus=2", 1, "cannot be written: File too large; nothing was changed");
	assert_return_code(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_false(is_there("etc/twinos/web.conf"));
	says("plan --update --dry-run", 0, "withheld for db");
	assert_null(strstr(output, "web"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(usage), TEST(dry_run), TEST(written), TEST(at_once), TEST(no_room),
	};

	return cmocka_run_group_tests_name("plan_command", tests, tree__has_twinos, NULL);
}
