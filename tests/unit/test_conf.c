// SPDX-License-Identifier: GPL-2.0
/* /etc/twinos/NAME.conf and its drop-ins: what they say, and what is wrong with them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tree.h"

static struct tree t;
static struct conf conf;
static char findings[8192];
static unsigned int nr_findings;

#define WEB "etc/twinos/web.conf"
#define KERNEL "[boot]\nkernel = /boot/k\n"

static int setup(void **state)
{
	(void)state;
	tree__create(&t);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free_conf(&conf);
	tree__remove(&t);
	return 0;
}

/* Findings without the folder that the test made, a line each. */
static void tell(void *user, const char *file, unsigned int line, const char *text)
{
	const size_t used = strlen(findings);

	assert_ptr_equal(user, &t);
	assert_int_equal(strncmp(file, t.root, strlen(t.root)), 0);
	snprintf(findings + used, sizeof(findings) - used, "%s:%u: %s\n",
		 file + strlen(t.root) + 1, line, text);
	nr_findings++;
}

static int load(const char *name)
{
	free_conf(&conf);
	return read_conf(&t.roots, name, &conf, NULL, NULL);
}

static int look(const char *name)
{
	free_conf(&conf);
	*findings = 0;
	nr_findings = 0;
	return read_conf(&t.roots, name, &conf, tell, &t);
}

static void whole(void **state)
{
	char path[200];

	(void)state;
	tree__file(&t, WEB,
		   "# comment\n\n[boot]\nkernel = /boot/vmlinuz\ninitrd=/boot/initrd\n"
		   "append = root=UUID=12-34 console=ttyS1\n"
		   "[share]\nmemory = 2G@0x80000000\nlow = 64K@0x10000\ncpus = 2-3\n"
		   "pci = 0000:03:00.0, 0000:04:00.0\nirq = 3\nmode = dedicated\n"
		   "[run]\nslice = 5000\nweight = 30\nstop-limit = 90\nautostart = yes\n");
	assert_int_equal(load("web"), 0);
	assert_string_equal(conf.name, "web");
	snprintf(path, sizeof(path), "%s/%s", t.root, WEB);
	assert_string_equal(conf.file, path);
	assert_string_equal(conf.kernel, "/boot/vmlinuz");
	assert_string_equal(conf.initrd, "/boot/initrd");
	assert_string_equal(conf.append, "root=UUID=12-34 console=ttyS1");
	assert_true(conf.share.has_mem_min && conf.share.has_mem_max);
	assert_int_equal(conf.share.mem_min, 0x80000000);
	assert_int_equal(conf.share.mem_max, 0xffffffff);
	assert_int_equal(conf.share.low.start, 0x10000);
	assert_int_equal(conf.share.nr_cpus, 2);
	assert_int_equal(conf.share.nr_pci, 2);
	assert_int_equal(conf.share.pci[1].bus, 4);
	assert_int_equal(conf.share.irqs[0], 3);
	assert_true(conf.has_mode);
	assert_int_equal(conf.mode, TWINOS_DEDICATED);
	assert_int_equal(conf.slice_us, 5000);
	assert_int_equal(conf.weight, 30);
	assert_int_equal(conf.stop_limit, 90);
	assert_true(conf.autostart);
	assert_int_equal(conf.said[CONF_KERNEL].line, 4);
	assert_int_equal(conf.said[CONF_AUTOSTART].line, 18);
	assert_string_equal(conf.said[CONF_PCI].file, path);
	assert_int_equal(look("web"), 0);
	assert_string_equal(findings, "");
}

static void least(void **state)
{
	(void)state;
	tree__file(&t, WEB, KERNEL);
	assert_int_equal(load("web"), 0);
	assert_null(conf.initrd);
	assert_null(conf.append);
	assert_null(conf.root);
	assert_false(conf.share.has_mem_min || conf.share.has_low || conf.share.has_cpus ||
		     conf.share.has_pci || conf.share.has_irq || conf.has_mode || conf.autostart);
	assert_int_equal(conf.slice_us, 0);
	assert_int_equal(conf.weight, 0);
	assert_int_equal(conf.stop_limit, 60);
	assert_int_equal(conf.said[CONF_INITRD].line, 0);
	/* Keys without a value: none of that. */
	tree__file(&t, WEB, KERNEL "initrd =\nappend=\n[share]\nmemory =\nlow =\ncpus =\npci =\nirq =\n");
	assert_int_equal(load("web"), 0);
	assert_null(conf.initrd);
	assert_string_equal(conf.append, "");
	assert_false(conf.share.has_mem_min);
	assert_int_equal(conf.share.nr_cpus, 0);
}

static void by_path(void **state)
{
	char path[200];

	(void)state;
	tree__file(&t, "elsewhere/db.conf", KERNEL);
	snprintf(path, sizeof(path), "%s/elsewhere/db.conf", t.root);
	assert_int_equal(load(path), 0);
	assert_string_equal(conf.name, "db");
	assert_string_equal(conf.file, path);
	tree__file(&t, "elsewhere/Draft 1.conf", KERNEL);
	snprintf(path, sizeof(path), "%s/elsewhere/Draft 1.conf", t.root);
	assert_int_equal(load(path), 0);
	assert_string_equal(conf.name, "");
}

static void continued(void **state)
{
	char list[700] = "";
	unsigned int i;

	(void)state;
	tree__file(&t, WEB,
		   "[boot]\nkernel = /boot/k\nappend =\n\troot=/dev/vda1\n# why this one\n  console=ttyS1\n"
		   "[share]\npci =\n  00:04.0,\n  00:05.0 ,00:06.0\ncpus = 1,\n 2 , 3-4\n\n[run]\nweight = 30\n");
	assert_int_equal(load("web"), 0);
	assert_string_equal(conf.append, "root=/dev/vda1 console=ttyS1");
	assert_int_equal(conf.share.nr_pci, 3);
	assert_int_equal(conf.share.nr_cpus, 4);
	assert_int_equal(conf.said[CONF_PCI].line, 8);
	assert_int_equal(conf.said[CONF_WEIGHT].line, 15);
	/* As many as there can be, on one long line. */
	for (i = 0; i < TWINOS_MAX_PCI; i++)
		sprintf(list + strlen(list), "%s0000:%02x:1f.7", i ? ", " : "", i);
	tree__file(&t, WEB, KERNEL "append = %3000s\n[share]\npci = %s\n", "x", list);
	assert_int_equal(load("web"), 0);
	assert_int_equal(conf.share.nr_pci, TWINOS_MAX_PCI);
	/* Blanks do not separate, and an empty line ends the value. */
	tree__file(&t, WEB, KERNEL "[share]\npci = 00:04.0 00:05.0\n");
	assert_refused(load("web"), "web.conf:4: pci=00:04.0 00:05.0 is not a list of PCI functions");
	tree__file(&t, WEB, KERNEL "append = a\n\n  b\n");
	assert_refused(load("web"), "web.conf:5: the line begins with a blank, but there is no value before");
	tree__file(&t, WEB, KERNEL "append = a\n  # why\n");
	assert_refused(load("web"), "web.conf:4: a comment begins at the start of its line");
	tree__file(&t, WEB, " kernel = /boot/k\n");
	assert_refused(load("web"), "web.conf:1: the line begins with a blank");
}

static void drop_ins(void **state)
{
	char path[200];

	(void)state;
	tree__file(&t, WEB, KERNEL "append = a\n[share]\ncpus = 2-3\nlow = 64K@0x10000\n"
		   "memory = 512M@0x20000000\n[run]\nweight = 30\n");
	tree__file(&t, WEB ".d/20-b.conf", "[share]\ncpus = 5\nmemory = 256M@0x20000000\nlow =\n");
	tree__file(&t, WEB ".d/10-a.conf", "[share]\ncpus = 4\n[run]\nweight = 40\n[boot]\nappend = b\n");
	tree__file(&t, WEB ".d/30-c", "rubbish\n");
	tree__file(&t, WEB ".d/.40.conf", "rubbish\n");
	assert_int_equal(load("web"), 0);
	assert_int_equal(conf.share.nr_cpus, 1);
	assert_int_equal(conf.share.cpus[0], 5);
	assert_int_equal(conf.share.low.size, 0);
	assert_int_equal(conf.share.mem_max, 0x2fffffff);
	assert_int_equal(conf.weight, 40);
	assert_string_equal(conf.append, "b");
	snprintf(path, sizeof(path), "%s/" WEB ".d/20-b.conf", t.root);
	assert_string_equal(conf.said[CONF_CPUS].file, path);
	assert_int_equal(conf.said[CONF_CPUS].line, 2);
	assert_string_equal(conf.files[2], path);
	assert_null(conf.files[3]);
	/* Each is as strict, and what is wrong does not go away by what comes after. */
	tree__file(&t, WEB ".d/10-a.conf", "[share]\ncpus = x\n");
	assert_refused(load("web"), "web.conf.d/10-a.conf:2: cpus=x is not a list");
	tree__file(&t, WEB ".d/10-a.conf", "[share]\ncpus = 4\ncpus = 5\n");
	assert_refused(load("web"), "10-a.conf:3: cpus is given twice, first on line 2");
	snprintf(path, sizeof(path), "%s/" WEB ".d/10-a.conf", t.root);
	unlink(path);
	mkdir(path, 0700);
	assert_refused(load("web"), "10-a.conf cannot be read: Is a directory");
}

static void wrong(void **state)
{
	static const struct {
		const char *text;
		unsigned int line;
		const char *says;
	} wrong[] = {
		{ "", 0, "the key kernel is missing; say which one to boot: kernel = FILE in [boot]" },
		{ "\n# nothing\n", 0, "the key kernel is missing" },
		{ "[share]\ncpus = 2\n", 0, "the key kernel is missing" },
		{ "[boot]\nkernel =\n", 2, "kernel is empty" },
		{ "[boot]\nkernel = vmlinuz\n", 2, "kernel=vmlinuz does not begin with /" },
		{ KERNEL "initrd = initrd\n", 3, "initrd=initrd does not begin with /" },
		{ KERNEL "colour = red\n", 3, "there is no key colour in [boot]; known are kernel, initrd, root, append" },
		{ KERNEL "cpus = 2\n", 3, "cpus belongs to [share], not to [boot]" },
		{ KERNEL "[share]\nmem-min = 1M\n", 4, "there is no key mem-min in [share]; known are memory, low, cpus, pci, irq, mode" },
		{ KERNEL "[other]\ncpus = 2\n", 3, "there is no section other; known are boot, share, run" },
		{ KERNEL "[other]\n", 3, "there is no section other" },
		{ KERNEL "[Share]\n", 3, "there is no section Share" },
		{ KERNEL "[]\n", 3, "there is no section " },
		{ KERNEL "[share\ncpus = x\n", 3, "this is not understood; a section is [boot]" },
		{ KERNEL "[share] cpus = 2\n", 3, "a section is [boot]" },
		{ "kernel = /boot/k\n[boot]\n", 1, "this is in no section; put [boot] on a line before it" },
		{ KERNEL "rubbish\n", 3, "this is not understood; it is KEY = VALUE" },
		{ KERNEL "append: quiet\n", 3, "this is not understood" },
		{ KERNEL "= 3\n", 3, "this is not understood" },
		{ KERNEL "kernel = /boot/other\n", 3, "kernel is given twice, first on line 2" },
		{ KERNEL "[share]\nmemory = 2G\n", 4, "memory=2G is not SIZE@ADDRESS" },
		{ KERNEL "[share]\nmemory = 1000@0x20000000\n", 4, "memory=1000@0x20000000 is not aligned" },
		{ KERNEL "[share]\nmemory = 2G@0xffffffffffff0000\n", 4, "reaches beyond the end" },
		{ KERNEL "[share]\nlow = 64K@1M\n", 4, "low=64K@1M is not low memory" },
		{ KERNEL "[share]\ncpus = 2,2\n", 4, "names CPU 2 twice" },
		{ KERNEL "[share]\npci = 00:04\n", 4, "pci=00:04 is not a list" },
		{ KERNEL "[share]\npci = 00:04.0,\n", 4, "is not a list" },
		{ KERNEL "[share]\nirq = 17\n", 4, "irq=17: only the ISA interrupt pins" },
		{ KERNEL "[share]\nmode = shared\n", 4, "mode=shared is neither dedicated nor time-shared" },
		{ KERNEL "[share]\nmode = dedicated\n", 4, "mode=dedicated needs CPUs" },
		{ KERNEL "[share]\ncpus = 2\nmode = time-shared\n", 5, "mode=time-shared has no CPUs of its own" },
		{ KERNEL "[run]\nslice = 99\n", 4, "slice=99: give a number of microseconds from 100 to 1000000" },
		{ KERNEL "[run]\nslice =\n", 4, "slice=: give a number" },
		{ KERNEL "[run]\nweight = 100\n", 4, "weight=100: give a number of percent from 1 to 99" },
		{ KERNEL "[run]\nweight = 30%\n", 4, "weight=30%: give a number" },
		{ KERNEL "[run]\nstop-limit = 0\n", 4, "stop-limit=0: give a number of seconds from 1 to 86400" },
		{ KERNEL "[run]\nstop-limit = 86401\n", 4, "from 1 to 86400" },
		{ KERNEL "[run]\nautostart = true\n", 4, "autostart=true is neither yes nor no" },
		{ KERNEL "append = a\x01" "b\n", 3, "it is not text" },
		{ "\x7f" "ELF\x02\x01\n", 1, "it is not text" },
	};
	char where[200];
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		tree__file(&t, WEB, "%s", wrong[i].text);
		snprintf(where, sizeof(where), "%s/" WEB ":%u: ", t.root, wrong[i].line);
		if (!wrong[i].line)
			snprintf(where, sizeof(where), "%s/" WEB ": ", t.root);
		assert_refused(load("web"), where);
		assert_refused(load("web"), wrong[i].says);
		/* The same one, and in all but rubbish nothing else. */
		assert_int_equal(look("web"), 0);
		snprintf(where, sizeof(where), WEB ":%u: ", wrong[i].line);
		if (!strstr(findings, where) || !strstr(findings, wrong[i].says) ||
		    (nr_findings != 1 && *wrong[i].text != 0x7f && strncmp(wrong[i].text, "kernel", 6)))
			fail_msg("%s: %s", wrong[i].text, findings);
	}
	/* Carriage returns at the end of lines are no harm. */
	tree__file(&t, WEB, "[boot]\r\nkernel = /boot/k\r\n\r\n[run]\r\nweight = 30");
	assert_int_equal(load("web"), 0);
	assert_string_equal(conf.kernel, "/boot/k");
	tree__bytes(&t, WEB, KERNEL "append = a\0b\n", sizeof(KERNEL "append = a\0b\n") - 1);
	assert_refused(load("web"), "web.conf:3: this is not understood; it is not text");
}

/* All at once, and reading goes on; in rubbish it ends. */
static void all_findings(void **state)
{
	(void)state;
	tree__file(&t, WEB,
		   "[boot]\ncolour = red\nkernel = k\n[share]\ncpus = x,\n  y\nmode = dedicated\n[run]\nweight = 0\n");
	tree__file(&t, WEB ".d/1.conf", "[what]\n[run]\nslice = fast\nweight = 20\n");
	assert_int_equal(look("web"), 0);
	assert_string_equal(findings,
		WEB ":2: there is no key colour in [boot]; known are kernel, initrd, root, append\n"
		WEB ":3: kernel=k does not begin with /; give the whole path\n"
		WEB ":5: cpus=x,y is not a list of CPU numbers, as in 1,3-5\n"
		WEB ":9: weight=0: give a number of percent from 1 to 99\n"
		WEB ".d/1.conf:1: there is no section what; known are boot, share, run\n"
		WEB ".d/1.conf:3: slice=fast: give a number of microseconds from 100 to 1000000\n"
		WEB ":7: mode=dedicated needs CPUs; give them: cpus = LIST\n");
	assert_int_equal(conf.weight, 20);
	tree__file(&t, WEB, "\x01\nx\ny\nz\n");
	assert_int_equal(look("web"), 0);
	assert_int_equal(nr_findings, 4);
}

static void no_files(void **state)
{
	char path[200];

	(void)state;
	assert_refused(load("web"), "there is no ");
	assert_refused(load("web"), "/etc/twinos/web.conf; write it, see twinos.conf(5)");
	assert_int_equal(load("web"), -ENOENT);
	assert_refused(load("Web"), "Web cannot be the name of an OS");
	assert_refused(load("12"), "12 cannot be the name of an OS");
	assert_refused(load(""), " cannot be the name of an OS");
	assert_refused(load("abcdefghijklmnopqrstuvwxyz-123456"), "at most 31");
	tree__folder(&t, WEB "/");
	snprintf(path, sizeof(path), "%s/" WEB, t.root);
	mkdir(path, 0700);
	assert_refused(load("web"), "web.conf cannot be read: Is a directory");
	assert_int_not_equal(look("web"), 0);
	rmdir(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_refused(load("web"), "web.conf is not a regular file");
	unlink(path);
	tree__file(&t, WEB, "[boot]\nappend = %2000000s\n", "x");
	assert_refused(load("web"), "web.conf is larger than 1 MiB");
	if (geteuid()) {
		chmod(path, 0);
		assert_refused(load("web"), "web.conf cannot be read: Permission denied; be root");
	}
}

static void roots(void **state)
{
	(void)state;
	tree__file(&t, WEB, KERNEL "root = nfs:/srv/web\nappend = quiet -- root=x\n");
	assert_int_equal(load("web"), 0);
	assert_string_equal(conf.root, "nfs:/srv/web");
	assert_int_equal(conf.said[CONF_ROOT].line, 3);
	/* A drop-in takes it away, and has another. */
	tree__file(&t, WEB ".d/a.conf", "[boot]\nroot =\nappend = root=/dev/vda\n");
	assert_int_equal(load("web"), 0);
	assert_null(conf.root);
	tree__file(&t, WEB ".d/b.conf", "[boot]\nroot = nbd:web\n");
	assert_refused(load("web"), "web.conf.d/b.conf:2: root=nbd:web and a root= in append name two root file systems; leave one of them out");
	assert_int_equal(look("web"), 0);
	assert_string_equal(findings, WEB ".d/b.conf:2: root=nbd:web and a root= in append name two root file systems; leave one of them out\n");
	tree__file(&t, WEB ".d/b.conf", "[boot]\nroot = nfs:/srv/my web\n");
	assert_refused(load("web"), "web.conf.d/b.conf:2: root=nfs:/srv/my web has a blank");
	tree__file(&t, WEB ".d/b.conf", "[boot]\nroot = LABEL=web\n");
	assert_refused(load("web"), "b.conf:2: root=LABEL=web is none of nfs:PATH, nbd:EXPORT and 9p:PATH");
}

static void lists(void **state)
{
	struct conf_names names;

	(void)state;
	assert_int_equal(list_confs(&t.roots, &names), 0);
	assert_int_equal(names.nr, 0);
	free_conf_names(&names);
	tree__file(&t, WEB, KERNEL);
	tree__file(&t, "etc/twinos/db.conf", KERNEL);
	tree__file(&t, "etc/twinos/Odd.conf", KERNEL);
	tree__file(&t, "etc/twinos/db.conf.d/1.conf", KERNEL);
	tree__file(&t, "etc/twinos/web.conf~", KERNEL);
	tree__file(&t, "etc/twinos/.conf", KERNEL);
	tree__file(&t, "etc/twinos/.web.conf", KERNEL);
	assert_int_equal(list_confs(&t.roots, &names), 0);
	assert_int_equal(names.nr, 3);
	assert_string_equal(names.name[0], "Odd");
	assert_string_equal(names.name[1], "db");
	assert_string_equal(names.name[2], "web");
	free_conf_names(&names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(whole), TEST(least), TEST(by_path), TEST(continued), TEST(drop_ins),
		TEST(wrong), TEST(all_findings), TEST(no_files), TEST(roots), TEST(lists),
	};

	return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
