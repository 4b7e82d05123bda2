// SPDX-License-Identifier: GPL-2.0
/*
 * twinos map and twinos timeline (environment: TWINOS, as in test_twinos.c): what they say of a
 * recorded machine and of recorded trace events (traces/), and whether their pictures can be read
 * (check-svg).
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tree.h"

static struct tree t;
static char output[65536];

static void function(const char *bdf, const char *class, const char *driver)
{
	char path[200], target[200];

	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/class", bdf);
	tree__file(&t, path, "%s\n", class);
	if (!driver)
		return;
	snprintf(target, sizeof(target), "sys/bus/pci/drivers/%s", driver);
	snprintf(path, sizeof(path), "%s/x", target);
	tree__file(&t, path, "\n");
	snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/driver", bdf);
	tree__link(&t, path, target);
}

static void cpus(const char *possible, const char *present, const char *online)
{
	tree__file(&t, "sys/devices/system/cpu/possible", "%s\n", possible);
	tree__file(&t, "sys/devices/system/cpu/present", "%s\n", present);
	tree__file(&t, "sys/devices/system/cpu/online", "%s\n", online);
}

static int setup(void **state)
{
	(void)state;
	tree__create(&t);
	tree__machine(&t, "q35-6g-above");
	cpus("0-7", "0-7", "0-7");
	setenv("TWINOS_ROOT", t.root, 1);
	setenv("LC_ALL", "C", 1);
	setenv("COLUMNS", "50", 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tree__remove(&t);
	return 0;
}

/* Exit status; what it printed, errors too, is in output. */
static int run(const char *arguments)
{
	char command[2048];

	snprintf(command, sizeof(command), "cd %s && exec %s </dev/null %s 2>&1", t.root,
		 getenv("TWINOS"), arguments);
	return tree__shell(command, output, sizeof(output));
}

static void says(const char *arguments, const char *text)
{
	if (run(arguments) || strcmp(output, text))
		fail_msg("twinos %s: %s", arguments, output);
}

static void mentions(const char *arguments, const char *text)
{
	if (run(arguments) || !strstr(output, text))
		fail_msg("twinos %s: no %s in %s", arguments, text, output);
}

/* One line, and no more. */
static void refuses(const char *arguments, int status, const char *text)
{
	if (run(arguments) != status || !strstr(output, text) ||
	    strchr(output, '\n') != output + strlen(output) - 1)
		fail_msg("twinos %s: %s", arguments, output);
}

/* The picture of a command: can it be read, and has it these texts? */
static void draws(const char *arguments, const char *texts)
{
	char command[2048];

	snprintf(command, sizeof(command), "%s --svg=picture.svg", arguments);
	says(command, "");
	snprintf(command, sizeof(command), "%s/check-svg %s/picture.svg %s 2>&1", UNIT, t.root, texts);
	if (tree__shell(command, output, sizeof(output)))
		fail_msg("twinos %s: %s", arguments, output);
}

static long picture_size(void)
{
	char path[100];
	struct stat st;

	snprintf(path, sizeof(path), "%s/picture.svg", t.root);
	assert_return_code(stat(path, &st), 0);
	return st.st_size;
}

/* ---- map ---- */

static void several(void)
{
	tree__os(&t, 1, "running", "time-shared",
		 "name web\nwindow 0x140000000-0x15fffffff\npci 0000:00:03.0\nirq 3\n");
	tree__os(&t, 2, "running", "dedicated",
		 "window 0x160000000-0x17fffffff\nlow 0x70000-0x7ffff\ncpu 2\ncpu 3\npci 0000:00:04.0\n");
	tree__os(&t, 3, "loaded", "dedicated", "name next\nwindow 0x180000000-0x18fffffff\ncpu 1\n");
	tree__os(&t, 4, "crashed", "dedicated",
		 "name old\nwindow 0x40000000-0x43ffffff\ncpu 5\npci 0000:00:05.0\npci 0000:00:02.0\n");
	function("0000:00:03.0", "0x020000", "twinos");
	function("0000:00:04.0", "0x010802", "twinos");
	function("0000:00:05.0", "0x0c0330", "twinos");
	function("0000:00:02.0", "0x030000", "bochs-drm");
	cpus("0-63", "0-1,4-7", "0-1,4-5,7");
}

static void who_has_what(void **state)
{
	(void)state;
	several();
	says("map",
	     "MEMORY                           SIZE  WHOSE\n"
	     "0x1000-0x6ffff                444 KiB  leading OS\n"
	     "0x70000-0x7ffff                64 KiB  OS 2, low slice\n"
	     "0x80000-0x9fbff               127 KiB  leading OS\n"
	     "0x100000-0x3fffffff          1023 MiB  leading OS\n"
	     "0x40000000-0x43ffffff          64 MiB  not in use, was OS 4 (old)\n"
	     "0x44000000-0x7ffd9fff       959.9 MiB  leading OS\n"
	     "0x100000000-0x13fffffff         1 GiB  leading OS\n"
	     "0x140000000-0x15fffffff       512 MiB  OS 1 (web)\n"
	     "0x160000000-0x17fffffff       512 MiB  OS 2\n"
	     "0x180000000-0x18fffffff       256 MiB  OS 3 (next)\n"
	     "0x190000000-0x1ffffffff       1.8 GiB  leading OS\n"
	     "\n"
	     "CPU                                    WHOSE\n"
	     "0                                      leading OS and OS 1 (web), by turns\n"
	     "1                                      leading OS; OS 3 (next) is loaded for it\n"
	     "2-3                                    OS 2\n"
	     "4-5                                    leading OS\n"
	     "6                                      offline\n"
	     "7                                      leading OS\n"
	     "\n"
	     "OS                              STATE  DEVICES\n"
	     "leading OS                             all others\n"
	     "OS 1 (web)                    running  0000:00:03.0 Ethernet card\n"
	     "                                       pin 3\n"
	     "OS 2                          running  0000:00:04.0 NVMe disk\n"
	     "OS 3 (next)                    loaded  -\n"
	     "OS 4 (old)                    crashed  0000:00:05.0 USB controller\n");
}

/* What is withheld by other means is not the leading OS's, and bits of firmware's divide nothing. */
static void odd_memory(void **state)
{
	(void)state;
	tree__machine(&t, "laptop");
	tree__file(&t, "proc/iomem",
		   "00001000-00057fff : System RAM\n00059000-0009efff : System RAM\n"
		   "00100000-3fffffff : System RAM\n40400000-6f9fdfff : System RAM\n"
		   "  5d8f7018-5d907457 : System RAM\n100000000-3ffffffff : System RAM\n");
	tree__file(&t, "sys/kernel/twinos/windows", "%s", "");
	assert_int_equal(run("map"), 0);
	assert_non_null(strstr(output,
	     "0x1000-0x9efff                628 KiB  leading OS\n"
	     "0x100000-0x6f9fdfff           1.7 GiB  leading OS\n"
	     "0x100000000-0x3ffffffff        12 GiB  leading OS\n"
	     "0x400000000-0x47fffffff         2 GiB  withheld, not by twinos=\n\n"));
	draws("map", "'withheld, not by twinos='");
}

static void map_json(void **state)
{
	(void)state;
	several();
	assert_int_equal(run("map --json"), 0);
	assert_non_null(strstr(output, "{\"start\":\"0x70000\",\"end\":\"0x7ffff\",\"size\":65536,\"part\":\"low\",\"os\":2}"));
	assert_non_null(strstr(output, "\"part\":\"unused\",\"os\":4}"));
	assert_non_null(strstr(output, "\"part\":\"leading\",\"os\":null}"));
	assert_non_null(strstr(output, "{\"cpu\":0,\"use\":\"shared\",\"os\":1},{\"cpu\":1,\"use\":\"leading\",\"os\":3},{\"cpu\":2,\"use\":\"own\",\"os\":2}"));
	assert_non_null(strstr(output, "{\"cpu\":6,\"use\":\"offline\",\"os\":null}"));
	assert_non_null(strstr(output,
	     "{\"os\":1,\"name\":\"web\",\"state\":\"running\",\"mode\":\"time-shared\","
	     "\"pci\":[{\"function\":\"0000:00:03.0\",\"kind\":\"Ethernet card\"}],\"irq\":[3]}"));
	assert_non_null(strstr(output, "\"name\":null"));
}

static void map_picture(void **state)
{
	(void)state;
	draws("map", "'leading OS' 'The leading OS and 0 coexisting OSes, 6.0 GiB of memory, 8 CPUs'");
	several();
	draws("map",
	      "'OS 1 (web)' 'window, running' 'OS 2, low slice' 'not in use, was OS 4 (old)' 0x140000000 "
	      "'running, shares CPU 0' 'loaded, CPU 1' '+ OS 1' 'OS 2' offline 'pin 3' "
	      "'Memory is not to scale: small pieces are drawn larger than they are.'");
	says("map --svg=- >other.svg", "");
	assert_int_equal(run("map --svg=picture.svg; cmp picture.svg other.svg"), 0);
}

/* It has what it had, until it is killed. */
static void map_hung(void **state)
{
	(void)state;
	several();
	tree__life(&t, 1, 34, 0);
	tree__life(&t, 2, 34, 0);
	assert_int_equal(run("map"), 0);
	assert_non_null(strstr(output, "\nOS 1 (web)                    running  0000:00:03.0 Ethernet card\n"));
	assert_non_null(strstr(output, "\nOS 2                             hung  0000:00:04.0 NVMe disk\n"));
	assert_non_null(strstr(output, "\n2-3                                    OS 2\n"));
	assert_int_equal(run("map --json"), 0);
	assert_non_null(strstr(output, "{\"os\":2,\"name\":null,\"state\":\"hung\",\"mode\":\"dedicated\""));
	draws("map", "'window, running' 'window, hung' 'running, shares CPU 0' 'hung, CPU 2-3'");
}

static void many_of_all(void **state)
{
	char share[4000];
	size_t used;
	unsigned int id, i;

	(void)state;
	for (id = 1; id <= TWINOS_MAX_ID; id++) {
		used = snprintf(share, sizeof(share),
				"name %0*u-%c\nwindow %#x-%#x\nlow %#x-%#x\ncpu %u\n", 29, id,
				'a', 0x44000000 + id * 0x100000, 0x440fffff + id * 0x100000,
				0x1000 * id, 0x1000 * id + 0xfff, id);
		for (i = 0; i < TWINOS_MAX_PCI; i++)
			used += snprintf(share + used, sizeof(share) - used, "pci 0000:%02x:%02x.0\n",
					 id, i);
		for (i = 1; i < 16; i++)
			used += snprintf(share + used, sizeof(share) - used, "irq %u\n", i);
		tree__os(&t, id, "running", "dedicated", share);
	}
	cpus("0-100", "0,65-100", "0,65-99");
	draws("map", "17 'L: leading OS; L+N: shared with OS N; N: OS N'\\''s own'");
	cpus("0-8191", "0,65-8191", "0,65-8000");
	draws("map", "8160");
	assert_true(picture_size() < 1500000);
}

static void map_refuses(void **state)
{
	(void)state;
	refuses("map --svg=/dev/full", 111, "/dev/full: No space left on device");
	refuses("map --svg=no/folder", 111, "no/folder: No such file or directory");
	refuses("map --svg=", 100, "--svg lacks its file");
	refuses("map --svg=x --json", 100, "exclude each other");
	refuses("map web", 100, "does not belong there");
	refuses("map --for=1", 100, "does not go with map");
	tree__file(&t, "sys/devices/system/cpu/online", "rubbish\n");
	refuses("map", 111, "cpu/online does not tell which CPUs there are: rubbish");
	tree__file(&t, "proc/iomem", "00000000-00000000 : System RAM\n");
	refuses("map", 1, "iomem does not show addresses");
	tree__file(&t, "sys/kernel/twinos/role", "coexisting\n");
	refuses("map", 1, "ask the leading OS");
}

/* ---- timeline: recorded before ---- */

static void recorded(void **state)
{
	(void)state;
	says("timeline 1 --input=" UNIT "/traces/tracefs",
	     "CPU 0, 100.000 ms, leading OS and OS 1\n"
	     "  leading OS     62.0 %, longest away 10.000 ms\n"
	     "  OS 1           38.0 %, longest away 25.000 ms\n"
	     "  given away    5 times: idle 1, turn 1, interrupt 1, event 1, other 1; 1 of them over a task\n"
	     "  came back     4 times: idle 2, turn 2\n"
	     "  doorbells     1 from the leading OS, 1 from OS 1\n"
	     "  state         running at 0.050000 s\n"
	     "  state         stopped at 0.100000 s\n"
	     "The part of CPU 0 that OS 1 had, 2.000 ms a column:\n"
	     "#####..........#####.#5.......#####............5##\n"
	     "0                                       100.000 ms\n");
	says("timeline --json --input=" UNIT "/traces/tracefs",
	     "{\"os\":1,\"name\":null,\"seconds\":0.1,"
	     "\"leading\":{\"seconds\":0.062,\"part\":0.62,\"away_max\":0.01},"
	     "\"coexisting\":{\"seconds\":0.038,\"part\":0.38,\"away_max\":0.025},"
	     "\"others_seconds\":0.0,\"unknown_seconds\":0.0,"
	     "\"given_away\":{\"idle\":1,\"turn\":1,\"interrupt\":1,\"event\":1,\"urgent\":0,\"other\":1},"
	     "\"over_task\":1,"
	     "\"came_back\":{\"idle\":2,\"turn\":2,\"interrupt\":0,\"event\":0,\"urgent\":0,\"other\":0},"
	     "\"doorbells\":{\"leading\":1,\"coexisting\":1},"
	     "\"states\":[{\"at\":0.05,\"state\":\"running\"},{\"at\":0.1,\"state\":\"stopped\"}],"
	     "\"lost\":0,\"unpaired\":0}\n");
	draws("timeline --input=" UNIT "/traces/tracefs",
	      "'CPU 0: leading OS and OS 1' '62.0 %' '38.0 %' '25.000 ms' interrupt 'over a task' "
	      "running stopped '1 \u2193' '100 ms'");
	setenv("LC_ALL", "C.UTF-8", 1);
	mentions("timeline --input=" UNIT "/traces/tracefs", "\n█████··········█████·█▄·");
}

/* What trace-cmd says; the beginning is known by the first return, gaps and a return missed are not. */
static void lost(void **state)
{
	(void)state;
	says("timeline --input=" UNIT "/traces/trace-cmd",
	     "CPU 0, 100.000 ms, leading OS and OS 2\n"
	     "  leading OS     20.0 %, longest away 20.000 ms\n"
	     "  OS 2           30.0 %, longest away 20.000 ms\n"
	     "  unknown        50.0 %\n"
	     "  given away    3 times: turn 3\n"
	     "  came back     2 times: idle 1, turn 1\n"
	     "  missing       Lost: at least 12 events; who had CPU 0 then is unknown. 1 switch is told on one side alone.\n"
	     "The part of CPU 0 that OS 2 had, 2.000 ms a column (?: unknown):\n"
	     "#####..........?????????????????????????##########\n"
	     "0                                       100.000 ms\n");
	draws("timeline --input=" UNIT "/traces/trace-cmd",
	      "unknown 'Lost: at least 12 events; who had CPU 0 then is unknown. 1 switch is told on one side alone.'");
}

static const char line_form[] = "<idle>-0 [000] d..1. %s: twinos_%s\n";

static void trace(const char *lines)
{
	tree__file(&t, "trace", "%s", lines);
}

/* A recording of this one event. */
static void one(const char *time, const char *event)
{
	char line[300];

	snprintf(line, sizeof(line), line_form, time, event);
	trace(line);
}

static void beginnings_and_ends(void **state)
{
	(void)state;
	one("5.000000", "leave: os=1 why=idle");
	mentions("timeline --input=trace", "OS 1          100.0 %, longest away -\n");
	draws("timeline --input=trace", "'100.0 %'");
	one("5.000000", "back: os=1 why=idle");
	mentions("timeline --input=trace", "leading OS    100.0 %, longest away -\n");
	one("5.000000", "back: os=1 why=idle away_ns=2500000");
	mentions("timeline --input=trace", "CPU 0, 2.500 ms, leading OS and OS 1\n  leading OS      0.0 %, longest away 2.500 ms\n");
	one("5.000000", "ring: os=1 from=leading");
	mentions("timeline --input=trace", "unknown       100.0 %");
	draws("timeline --input=trace", "unknown doorbells");
	/* It began in the middle, before anybody told for how long. */
	trace("x-1 [000] d..1. 1.000000: twinos_ring: os=1 from=leading\n"
	      "x-1 [000] d..1. 1.004000: twinos_back: os=1 why=turn\n"
	      "x-1 [000] d..1. 1.010000: twinos_leave: os=1 why=turn\n");
	mentions("timeline --input=trace", "leading OS     60.0 %, longest away at least 4.000 ms\n  OS 1           40.0 %");
	trace("x-1 [000] d..1. 1.000000: twinos_ring: os=1 from=leading\n"
	      "x-1 [000] d..1. 1.004000: twinos_leave: os=1 why=turn\n"
	      "CPU:1 [LOST 5 EVENTS]\n"
	      "x-1 [001] d..1. 1.006000: twinos_ring: os=1 from=leading\n"
	      "x-1 [000] d..1. 1.010000: twinos_back: os=1 why=turn\n");
	/* Only the leading OS can give it away; and what CPU 1 has lost was no switch. */
	mentions("timeline --input=trace", "leading OS     40.0 %, longest away 6.000 ms\n  OS 1           60.0 %, longest away at least 4.000 ms\n");
	mentions("timeline --input=trace", "  missing       Lost: 5 events.\n");
	/* Another OS had it for a time. */
	trace("x-1 [000] d..1. 1.000000: twinos_leave: os=1 why=idle\n"
	      "x-1 [000] d..1. 1.001000: twinos_state: os=1 state=crashed\n"
	      "x-1 [000] d..1. 1.006000: twinos_leave: os=7 why=idle\n"
	      "x-1 [000] d..1. 1.010000: twinos_back: os=7 why=idle away_ns=4000000\n");
	refuses("timeline --input=trace", 1, "trace tells of several coexisting OSes (1, 7); say which one");
	mentions("timeline 1 --input=trace", "OS 1           10.0 %, longest away 5.000 ms\n  other OSes     40.0 %");
	draws("timeline 1 --input=trace", "others '40.0 %' crashed");
	mentions("timeline --os=7 --input=trace", "OS 7           40.0 %");
	refuses("timeline 3 --input=trace", 1, "trace tells nothing of OS 3, but of 1, 7");
	/* What the buffer had no room for. */
	trace("# entries-in-buffer/entries-written: 1/31   #P:2\n"
	      "x-1 [000] d..1. 1.004000: twinos_leave: os=1 why=turn\n");
	mentions("timeline --input=trace", "Lost: 30 events, before the first one.");
}

static void a_name(void **state)
{
	(void)state;
	several();
	draws("timeline web --input=" UNIT "/traces/session", "'CPU 0: leading OS and OS 1 (web)' 'OS 1 web'");
	mentions("timeline web --input=- <" UNIT "/traces/session", "leading OS and OS 1 (web)\n");
	refuses("timeline nobody --input=" UNIT "/traces/session", 1, "give that");
}

/* However many, it stays a picture. */
static void many_switches(void **state)
{
	char path[100];
	FILE *file;
	unsigned int i;

	(void)state;
	snprintf(path, sizeof(path), "%s/trace", t.root);
	file = fopen(path, "w");
	assert_non_null(file);
	for (i = 0; i < 20000; i++) {
		const unsigned int us = 100 * i;

		fprintf(file, "x-1 [000] d..1. %u.%06u: twinos_leave: os=1 why=%s\n", us / 1000000,
			us % 1000000, i % 3 ? "idle" : "turn");
		fprintf(file, "x-1 [001] ..... %u.%06u: twinos_ring: os=1 from=leading\n",
			us / 1000000, us % 1000000 + 1);
		fprintf(file, "x-1 [001] ..... %u.%06u: twinos_state: os=1 state=running\n",
			us / 1000000, us % 1000000 + 1);
		fprintf(file, "x-1 [000] d..1. %u.%06u: twinos_back: os=1 why=turn away_ns=%u\n",
			us / 1000000, us % 1000000 + 10 + i % 50, (10 + i % 50) * 1000);
		if (i % 100 == 50)
			fputs("CPU:0 [LOST 3 EVENTS]\n", file);
	}
	fclose(file);
	draws("timeline --input=trace", "20000 '20000 \u2193' 6667 13333");
	assert_true(picture_size() < 500000);
	mentions("timeline --input=trace", "... and 19988 more");
}

static void rubbish(void **state)
{
	static const struct {
		const char *event, *what;
	} wrong[] = {
		{ "leave: why=idle", "not understood" }, { "leave: os=0 why=idle", "not understood" },
		{ "leave: os=65 why=idle", "not understood" }, { "leave: os=1", "not understood" },
		{ "leave: os=1x why=idle", "not understood" }, { "leave: os= why=idle", "not understood" },
		{ "leave: os=18446744073709551617 why=idle", "not understood" },
		{ "back: os=1 why=idle away_ns=-5", "not understood" },
		{ "back: os=1 why=idle away_ns=x", "not understood" },
		{ "ring: os=1 from=somewhere", "not understood" },
		{ "ring: os=1", "not understood" }, { "state: os=1 state=sleepy", "not understood" },
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		one("5.000000", wrong[i].event);
		refuses("timeline --input=trace", 1, wrong[i].what);
		assert_non_null(strstr(output, "trace:1: "));
	}
	one("5000000", "leave: os=1 why=idle");
	refuses("timeline --input=trace", 1, "trace:1: the event has no time in seconds");
	one("99999999999999999999.000000", "leave: os=1 why=idle");
	refuses("timeline --input=trace", 1, "no time in seconds");
	one("5.000000", "leave: os=1 why=a_reason_that_is_longer_than_any_that_there_is");
	refuses("timeline --input=trace", 1, "not understood");
	trace("x-1 [000] d..1. 9.000000: twinos_leave: os=1 why=turn\n"
	      "x-1 [000] d..1. 3.000000: twinos_leave: os=1 why=turn\n");
	refuses("timeline --input=trace", 1, "trace:2: the time goes back; give one recording");
	trace("");
	refuses("timeline --input=trace", 1, "trace is no recording of trace events");
	trace("hello: twinos_leave: os=1\n\xff\xfe[]:\n");
	refuses("timeline --input=trace", 1, "trace is no recording of trace events");
	trace("bash-1 [000] d..2. 5.000000: sched_switch: prev_comm=x\n");
	refuses("timeline --input=trace", 1, "trace has no events of TwinOS");
	trace("# tracer: nop\n");
	refuses("timeline --input=trace", 1, "trace has no events of TwinOS");
	tree__bytes(&t, "trace", "\x17\x08\x44tracing6\0x", 13);
	refuses("timeline --input=trace", 1, "give what trace-cmd report -i trace prints");
	tree__bytes(&t, "trace", "a\0b", 3);
	refuses("timeline --input=trace", 1, "trace is no text");
	refuses("timeline --input=nothing", 111, "nothing: No such file or directory");
	refuses("timeline --input=.", 111, ".: Is a directory");
}

static void wrong_words(void **state)
{
	static const char *const wrong[] = {
		"--for=0", "--for=0.009", "--for=60.1", "--for=", "--for=1s", "--for=-1", "--for=0x1",
		"--for=nan", "--for=1e1", "--for=1.2.3", "--for=' 1'", "--for=1 --input=x", "1 2", "65",
		"Web", "--json --svg=x", "--raw",
	};
	char arguments[100];
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(arguments, sizeof(arguments), "timeline %s", wrong[i]);
		refuses(arguments, 100, "");
	}
}

/* The pictures in doc/ are what these commands draw; make them anew if that has changed. */
static void examples(void **state)
{
	(void)state;
	tree__os(&t, 1, "running", "time-shared",
		 "name web\nwindow 0x140000000-0x15fffffff\npci 0000:00:03.0\nirq 3\n");
	tree__os(&t, 2, "running", "dedicated",
		 "name database\nwindow 0x160000000-0x19fffffff\nlow 0x70000-0x7ffff\ncpu 2\ncpu 3\n"
		 "pci 0000:00:04.0\npci 0000:00:05.0\n");
	function("0000:00:03.0", "0x020000", "twinos");
	function("0000:00:04.0", "0x010802", "twinos");
	function("0000:00:05.0", "0x020000", "twinos");
	cpus("0-7", "0-1,4-7", "0-1,4-6");
	draws("map", "'OS 2 (database)'");
	says("map --svg=- | cmp - " UNIT "/../../doc/map.svg", "");
	draws("timeline web --input=" UNIT "/traces/session", "'CPU 0: leading OS and OS 1 (web)'");
	says("timeline web --svg=- --input=" UNIT "/traces/session | cmp - " UNIT "/../../doc/timeline.svg",
	     "");
}

/* ---- timeline: recorded now ---- */

#define INSTANCES	"sys/kernel/tracing/instances"

static void no_tracefs(void **state)
{
	char path[200];

	(void)state;
	refuses("timeline 1", 1, "coexisting OS 1 does not run (empty)");
	several();
	refuses("timeline 2", 1, "coexisting OS 2 has CPUs of its own");
	refuses("timeline web", 1, "mount -t tracefs tracefs /sys/kernel/tracing");
	/* The instance is removed whatever fails: this folder has no such files. */
	tree__file(&t, INSTANCES "/x", "%s", "");
	refuses("timeline web", 111, "/trace_clock: No such file or directory");
	snprintf(path, sizeof(path), "ls %s/" INSTANCES, t.root);
	assert_int_equal(tree__shell(path, output, sizeof(output)), 0);
	assert_string_equal(output, "x\n");
}

/*
 * The command with the files of an instance in place, as a process that was killed leaves them: it
 * takes them, and fails to remove them, since here they are files like any other.
 */
static int record(const char *set_up, const char *arguments)
{
	char command[2048];

	snprintf(command, sizeof(command),
		 "exec 2>&1; cd %s && i=" INSTANCES "/twinos-$$ && mkdir -p $i/per_cpu/cpu0 $i/events/twinos && "
		 "cp trace $i/ && touch $i/per_cpu/cpu0/buffer_size_kb $i/trace_clock $i/tracing_on && %s; exec %s %s",
		 t.root, set_up, getenv("TWINOS"), arguments);
	return tree__shell(command, output, sizeof(output));
}

static unsigned int removals(void)
{
	unsigned int nr = 0;
	const char *s = output;

	while ((s = strstr(s, "cannot be removed: Directory not empty")))
		nr++, s++;
	return nr;
}

static const char has_events[] = "touch $i/events/twinos/enable";

static void setting(const char *file, const char *value)
{
	char command[300];

	snprintf(command, sizeof(command), "cat %s/" INSTANCES "/twinos-*/%s", t.root, file);
	assert_int_equal(tree__shell(command, output, sizeof(output)), 0);
	assert_string_equal(output, value);
}

static void live(void **state)
{
	(void)state;
	several();
	/* Before the recording, whenever that is: all of it is the OS's. */
	one("1.000000", "leave: os=1 why=idle");
	assert_int_equal(record(has_events, "timeline web --for=0.05 --json"), 0);
	assert_non_null(strstr(output, "\"name\":\"web\",\"seconds\":0.05"));
	assert_non_null(strstr(output, "\"coexisting\":{\"seconds\":0.05"));
	assert_non_null(strstr(output, "\"part\":1.0"));
	assert_int_equal(removals(), 1);
	setting("trace_clock", "mono\n");
	setting("events/twinos/enable", "1\n");
	setting("tracing_on", "0\n");
	setting("per_cpu/cpu0/buffer_size_kb", "1024\n");
}

/* Nothing was switched: nobody knows who had it, and that is said. */
static void live_nothing(void **state)
{
	(void)state;
	several();
	trace("# tracer: nop\n");
	assert_int_equal(record(has_events, "timeline web --for=0.01"), 0);
	assert_non_null(strstr(output, "unknown       100.0 %\n  given away    0 times\n"));
	assert_int_equal(record(has_events, "timeline web --for=0.01 --svg=picture.svg"), 0);
	assert_int_equal(removals(), 1);
}

static void live_fails(void **state)
{
	(void)state;
	several();
	trace("");
	assert_int_equal(record("true", "timeline web --for=0.01"), 1);
	assert_non_null(strstr(output, "the running kernel has no trace events of TwinOS"));
	assert_int_equal(removals(), 1);
	assert_int_equal(record(has_events, "timeline web --for=0.01"), 1);
	assert_non_null(strstr(output, "is no recording of trace events"));
	assert_int_equal(removals(), 1);
}

/* Whatever signal ends it, the instance goes first; one that is ignored does not end it. */
static void live_signals(void **state)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	char set_up[200];
	unsigned int i;

	(void)state;
	several();
	trace("# tracer: nop\n");
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		/* When it records. */
		snprintf(set_up, sizeof(set_up),
			 "%s; (until grep -q 1 $i/events/twinos/enable; do sleep 0.02; done; kill -%d $$) &",
			 has_events, signals[i]);
		strcat(set_up, " true");
		assert_int_equal(record(set_up, "timeline web --for=20"), 128 + signals[i]);
		assert_int_equal(removals(), 1);
	}
	snprintf(set_up, sizeof(set_up), "%s; trap '' HUP; (sleep 0.1; kill -HUP $$) & true", has_events);
	assert_int_equal(record(set_up, "timeline web --for=0.3"), 0);
	assert_non_null(strstr(output, "given away    0 times"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(who_has_what), TEST(odd_memory), TEST(map_json), TEST(map_picture),
		TEST(map_hung), TEST(many_of_all), TEST(map_refuses), TEST(recorded), TEST(lost),
		TEST(beginnings_and_ends), TEST(a_name), TEST(examples), TEST(many_switches), TEST(rubbish),
		TEST(wrong_words), TEST(no_tracefs), TEST(live), TEST(live_nothing), TEST(live_fails),
		TEST(live_signals),
	};

	return cmocka_run_group_tests_name("pictures", tests, tree__has_twinos, NULL);
}
