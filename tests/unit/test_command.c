// SPDX-License-Identifier: GPL-2.0
/*
 * The program itself (environment: KEXEC): its options, which are parsed before
 * anything of the running system is looked at. On a kernel without TwinOS a
 * correct command line gets as far as that; no test here can load anything.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tree.h"

#define ACCEPTED "TwinOS support"

static int run(const char *arguments, char *output, size_t size)
{
	const char *kexec = getenv("KEXEC");
	char command[1024];
	size_t used = 0, n;
	FILE *pipe;
	int status;

	snprintf(command, sizeof(command), "exec %s %s 2>&1 </dev/null", kexec, arguments);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	while (used < size - 1 && (n = fread(output + used, 1, size - 1 - used, pipe)) > 0)
		used += n;
	output[used] = 0;
	status = pclose(pipe);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void refused(const char *arguments, const char *text)
{
	char output[8192];
	int status = run(arguments, output, sizeof(output));
	char *newline = strchr(output, '\n');

	if (!status || strncmp(output, "kexec: ", 7) || !strstr(output, text) || !newline ||
	    newline[1])
		fail_msg("kexec %s: expected one line with \"%s\", got %d: %s", arguments, text,
			 status, output);
}

static void accepted_options(void **state)
{
	(void)state;
	refused("--twinos -l bzImage", ACCEPTED);
	refused("--twinos bzImage", ACCEPTED);
	refused("-l bzImage --twinos -d -c -i -x -y", ACCEPTED);
	refused("--twinos --mem-min=1M --mem-max=0xfffffff --twinos-low=64K@0x80000 --twinos-pci=00:04.0,00:05.0 --twinos-irq=3 --twinos-id=1 --twinos-entry=direct -l bzImage --initrd=f --append=x", ACCEPTED);
	refused("--twinos --twinos-cpus=1-3 --entry-32bit -t bzImage -l bzImage", ACCEPTED);
	refused("--twinos --twinos-pci= --twinos-irq= --twinos-cpus= --twinos-low= -l bzImage", ACCEPTED);
	refused("--twinos -e", ACCEPTED);
	refused("--twinos -u", ACCEPTED);
	refused("--twinos -S", "CONFIG_TWINOS");
	refused("--twinos-id=2 -e", ACCEPTED);
	refused("--twinos-id=64 -u", ACCEPTED);
	refused("--twinos-id=2 -S", "CONFIG_TWINOS");
	refused("--twinos-stop", ACCEPTED);
	refused("--twinos --twinos-id=3 --twinos-timeout=86400 --twinos-stop", ACCEPTED);
	refused("--twinos-kill --twinos-id=3", ACCEPTED);
	refused("--twinos-id=1 --twinos-cpus=2 --twinos-move", ACCEPTED);
	refused("--twinos-move --twinos-cpus=0", ACCEPTED);
}

static void values(void **state)
{
	(void)state;
	refused("--twinos --mem-min=1MBx -l b", "--mem-min=1MBx is not a number");
	refused("--twinos --mem-min= -l b", "--mem-min is empty");
	refused("--twinos --mem-max=abc -l b", "--mem-max=abc");
	refused("--twinos --mem-min=0x100800 -l b", "not aligned");
	refused("--twinos --twinos-low=64K -l b", "--twinos-low=64K");
	refused("--twinos --twinos-cpus=3-1 -l b", "--twinos-cpus=3-1");
	refused("--twinos --twinos-pci=rubbish -l b", "--twinos-pci=rubbish");
	refused("--twinos --twinos-irq=x -l b", "--twinos-irq=x");
	refused("--twinos --twinos-id=0 -l b", "--twinos-id=0");
	refused("--twinos --twinos-id=65 -l b", "--twinos-id=65");
	refused("--twinos --twinos-id=x -l b", "--twinos-id=x");
	refused("--twinos --twinos-id=1K -l b", "--twinos-id=1K");
	refused("--twinos --twinos-id=0x2 -l b", "--twinos-id=0x2");
	refused("--twinos-id=1 --twinos-id=2 -e", "--twinos-id is given twice");
	refused("--twinos-stop --twinos-timeout=0", "a number of seconds from 1 to 86400");
	refused("--twinos-stop --twinos-timeout=1x", "a number of seconds from 1 to 86400");
	refused("--twinos-stop --twinos-timeout=1K", "a number of seconds from 1 to 86400");
	refused("--twinos-stop --twinos-timeout=86401", "from 1 to 86400");
	refused("--twinos --twinos-cpus=1,2,1 -l b", "--twinos-cpus=1,2,1 names CPU 1 twice");
	refused("--twinos --twinos-cpus=1-3,2 -l b", "names CPU 2 twice");
	refused("--twinos --twinos-entry=fast -l b", "--twinos-entry=fast");
	refused("--twinos --mem-min=1M --mem-min=2M -l b", "--mem-min is given twice");
	refused("--twinos --twinos-pci=00:04.0 --twinos-pci=00:05.0 -l b", "given twice");
	refused("--twinos --initrd=a --initrd=b -l b", "--initrd is given twice");
}

static void exclusions(void **state)
{
	static const char *const options[] = {
		"-s", "-a", "-p", "-f", "--real-mode", "--load-preserve-context",
		"--load-jump-back-helper", "--load-live-update", "--exec-live-update",
		"--entry=0", "--type=elf-x86_64", "--reuseinitrd",
	};
	char arguments[128];
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		snprintf(arguments, sizeof(arguments), "--twinos %s -l bzImage", options[i]);
		refused(arguments, "--twinos cannot be combined with");
	}
	refused("--twinos --entry-32bit --twinos-entry=direct -l b", "--entry-32bit cannot");
	refused("--twinos --console-serial -l b", "--console-serial: --twinos has no use for");
	refused("--twinos --dtb=x -l b", "--dtb");
	refused("--twinos --serial x -l b", "--serial: --twinos has no use for");
	refused("--twinos-move --twinos-cpus=", "needs one CPU");
	refused("--twinos -l -e", "one of -l, -e, -u, -S");
	refused("--twinos -u -S", "one of -l, -e, -u, -S");
	refused("--twinos-stop --twinos-kill", "one of -l, -e, -u, -S");
	refused("--twinos-move --twinos-cpus=1 -e", "one of -l, -e, -u, -S");
	refused("--twinos --twinos-stop -l b", "one of -l, -e, -u, -S");
	refused("--twinos -e --mem-min=1M", "--mem-min describes what -l loads");
	refused("--twinos-id=2 --twinos-pci=00:04.0 -e", "--twinos-pci describes");
	refused("--twinos-cpus=2 --twinos-stop", "--twinos-cpus describes");
	refused("--twinos-stop --append=x", "--append goes only with -l");
	refused("--twinos-kill --initrd=x", "--initrd goes only with -l");
	refused("--twinos-kill --twinos-timeout=5", "only with --twinos-stop");
	refused("--twinos --twinos-timeout=5 -l b", "only with --twinos-stop");
	refused("--twinos-move", "needs one CPU");
	refused("--twinos-move --twinos-cpus=1,2", "needs one CPU");
	refused("--twinos-stop bzImage", "only with -l");
}

static void usage(void **state)
{
	char output[16384];

	(void)state;
	refused("--twinos", "no kernel is given");
	refused("--twinos -l a b", "only one kernel");
	refused("--twinos -e bzImage", "only with -l");
	refused("--twinos --rubbish -l b", "--rubbish");
	refused("--twinos -zl b", "-z is not an option");
	refused("--twinos -l b --mem-min", "--mem-min");
	refused("--twinos-pci=00:04.0 -l b", "need --twinos");
	refused("--twinos-id=2 -l b", "need --twinos");
	refused("--twinos-low=64K@0x80000 -c -l b", "need --twinos");
	assert_int_equal(run("--help", output, sizeof(output)), 0);
	assert_non_null(strstr(output, "--twinos-pci="));
	assert_non_null(strstr(output, "--load-preserve-context"));
	assert_int_equal(run("--twinos --help", output, sizeof(output)), 0);
	assert_non_null(strstr(output, "--twinos-pci="));
	assert_int_equal(run("--twinos --version", output, sizeof(output)), 0);
	/* No answer that could be taken for a state. */
	assert_int_equal(run("--twinos -S", output, sizeof(output)), 255);
	assert_int_equal(run("--twinos --twinos-id=65 -S", output, sizeof(output)), 255);
	assert_int_equal(run("--twinos -S --append=x", output, sizeof(output)), 255);
	assert_int_equal(run("--status --twinos x", output, sizeof(output)), 255);
	assert_int_equal(run("--twinos -zS", output, sizeof(output)), 255);
}

/* What ends an OS, or moves it, is not done for half a word. */
static void abbreviations(void **state)
{
	static const char *const words[] = {
		"--twinos-s", "--twinos-st --twinos-id=2", "--twinos-k", "--twinos-kil",
		"--twinos-m --twinos-cpus=1", "-d --twinos-s", "--twinos-c=1 --twinos -l b",
		"--twinos --twinos-en direct -l b",
	};
	char output[16384];
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		refused(words[i], "is not written in full");
	assert_int_equal(run("--twinos-i=2 -e", output, sizeof(output)), 1);
	assert_non_null(strstr(output, "ambiguous"));
}

/* What upstream says is not ours. */
static void without_twinos(void **state)
{
	char output[16384], line[64];

	(void)state;
	assert_int_equal(run("--version", output, sizeof(output)), 0);
	assert_int_equal(strncmp(output, "kexec-tools ", 12), 0);
	snprintf(line, sizeof(line), " with TwinOS, ABI version %d\n", TWINOS_ABI_VERSION);
	assert_non_null(strstr(output, line));
	assert_int_not_equal(run("-c -l /nonexistent-kernel", output, sizeof(output)), 0);
	assert_null(strstr(output, "TwinOS"));
	assert_int_not_equal(run("--mem-min=rubbish -c -l b", output, sizeof(output)), 0);
	assert_non_null(strstr(output, "Bad option value in --mem-min=rubbish"));
}

static int there(void **state)
{
	const char *kexec = getenv("KEXEC");

	(void)state;
	if (!kexec || access(kexec, X_OK)) {
		print_error("there is no program %s; build it, or name one in KEXEC\n",
			    kexec ? kexec : "kexec");
		return -1;
	}
	if (!access("/sys/kernel/twinos", F_OK)) {
		print_error("these tests are for a kernel without TwinOS\n");
		return -1;
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepted_options), cmocka_unit_test(values),
		cmocka_unit_test(exclusions), cmocka_unit_test(usage),
		cmocka_unit_test(abbreviations), cmocka_unit_test(without_twinos),
	};

	return cmocka_run_group_tests_name("command", tests, there, NULL);
}
