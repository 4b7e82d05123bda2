// SPDX-License-Identifier: GPL-2.0
/*
 * twinos top and twinos metrics as programs (environment: TWINOS, built to read the files below
 * the folder in TWINOS_ROOT): what they print and write, how they end, and, on a terminal of the
 * test, that the live view fits it and leaves it as it was.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <utmp.h>
#include <x86intrin.h>
#include "tree.h"

#define KHZ 1000000ull

static struct tree t;
static char output[65536];

static void interface(unsigned int id)
{
	static const char *const files[] = {
		"rx_bytes", "tx_bytes", "rx_packets", "tx_packets", "rx_dropped", "tx_dropped",
		"rx_errors", "tx_errors",
	};
	char path[200];
	unsigned int i;

	for (i = 0; i < 8; i++) {
		snprintf(path, sizeof(path),
			 "sys/devices/platform/twinos%u/virtio0/net/twin%u/statistics/%s", id, id,
			 files[i]);
		tree__file(&t, path, "%u\n", 8 - i);
	}
}

/* One on the shared CPU, one on CPUs of its own under an older kernel's figures, one that fell. */
static int setup(void **state)
{
	(void)state;
	tree__create(&t);
	tree__machine(&t, "q35-twinos");
	tree__file(&t, "sys/devices/system/cpu/online", "0,4-5\n");
	tree__file(&t, "proc/uptime", "3723.45 7000.00\n");
	tree__os(&t, 1, "running", "time-shared", "name web\nwindow 0x100000-0xfffffff\nlow 0x80000-0x8ffff\n");
	tree__stats(&t, 1, "shared-1");
	interface(1);
	tree__os(&t, 2, "running", "dedicated", "window 0x40000000-0x5fffffff\ncpu 2\ncpu 3\n");
	tree__stats(&t, 2, "older-1");
	tree__os(&t, 10, "crashed", "dedicated", "name db\n");
	tree__stats(&t, 10, "dedicated-1");
	tree__os(&t, 11, "loaded", "dedicated", "name db\nwindow 0x60000000-0x6fffffff\ncpu 1\n");
	tree__file(&t, "sys/kernel/twinos/os11/stats", "%s", "");
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

static void ends(const char *arguments, int status, const char *text)
{
	const int got = run(arguments);

	if (got != status || !strstr(output, text))
		fail_msg("twinos %s ended with %d and said: %s", arguments, got, output);
}

static void has(const char *text)
{
	if (!strstr(output, text))
		fail_msg("not there: %s\nin: %s", text, output);
}

static void lacks(const char *text)
{
	if (strstr(output, text))
		fail_msg("there: %s\nin: %s", text, output);
}

static void usage(void **state)
{
	static const char *const wrong[] = {
		"top --delay=0", "top --delay=", "top --delay=1s", "top --delay=-1", "top --delay=1e1",
		"top --delay=0.05", "top --delay=3601", "top --delay=nan", "top --delay=1..2",
		"top --once --raw", "top Web", "top 0", "top 65", "top --output=x", "metrics web",
		"metrics --json", "metrics --output=", "metrics --output", "metrics --once",
		"list --once", "status --delay=1",
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (run(wrong[i]) != 100)
			fail_msg("twinos %s: %s", wrong[i], output);
	ends("top --once nobody", 1, "there is no coexisting OS nobody on this machine");
	ends("top", 1, "twinos: top needs a terminal; say twinos top --once, or --json, for one table\n");
	assert_ptr_equal(strchr(output, '\n'), output + strlen(output) - 1);
	tree__file(&t, "sys/kernel/twinos/role", "coexisting\n");
	ends("top --once", 1, "ask the leading OS");
	ends("metrics", 1, "ask the leading OS");
}

/* ---- top ---- */

static void table(void **state)
{
	static const char stats[] =
		"tsc_khz %llu\nlaunch_tsc %llu\nalive_tsc %llu\nlog_bytes 1\nleading_run_tsc 5\n"
		"coexisting_run_tsc 5\nleading_switches 7\ncoexisting_switches 7\n"
		"leading_foreign 1\ncoexisting_foreign 1\n";
	const unsigned long long now = __rdtsc();

	(void)state;
	tree__file(&t, "sys/kernel/twinos/os1/stats", stats, KHZ, now - 3600000 * KHZ, now);
	/* However long this machine has been up. */
	tree__file(&t, "sys/kernel/twinos/os2/stats", "tsc_khz %llu\nlaunch_tsc %llu\nalive_tsc %llu\n",
		   KHZ, now - 7200000 * KHZ, now);
	assert_int_equal(run("top --once --delay=0.1"), 0);
	/* Nothing has changed; what is not counted, or cannot be, is not 0. */
	has("NAME     OS  STATE    MODE         CPUS   CPU%  ALIVE        UP  SWITCH/s  FOREIGN/s  "
	    "BELL-IN/s  BELL-OUT/s  CON-IN/s  CON-OUT/s  NET-IN/s  NET-OUT/s\n"
	    "leading   -  running  -            0,4-5   0.0      -  01:02:03         0          0  "
	    "        -           -         -          -         0          0\n"
	    "web       1  running  time-shared  0       0.0");
	has("01:00:0");
	has("        -           -         -          0         0          0\n");
	has("\n-         2  running  dedicated    2-3       -");
	has("\ndb       10  crashed  -            -         -      -         -         -          -  "
	    "        -           -         -          -         -          -\n");
	has("\ndb       11  loaded   dedicated    1         -      -         -");
	/* Of two with one name, the one that is loaded. */
	assert_int_equal(run("top --once --delay=0.1 db 1"), 0);
	has("\nleading");
	has("\nweb");
	has("\ndb       11  loaded");
	lacks("crashed");
	assert_int_equal(run("top --once --delay=.1 --os=web"), 0);
	lacks("loaded");
}

static void hung(void **state)
{
	(void)state;
	tree__life(&t, 1, 34, 0);
	tree__life(&t, 2, 34, 0);
	assert_int_equal(run("top --once --delay=0.1"), 0);
	has("\nweb       1  running  time-shared  0 ");
	has("\n-         2  hung     dedicated    2-3       -    34s  01:00:00 ");
	assert_int_equal(run("top --json --delay=0.1"), 0);
	has("{\"name\":\"web\",\"os\":1,\"state\":\"running\",");
	has("{\"name\":null,\"os\":2,\"state\":\"hung\",\"mode\":\"dedicated\",\"cpu\":[2,3],\"alive\":34.");
	assert_int_equal(run("metrics"), 0);
	has("twinos_state{os=\"1\",name=\"web\",state=\"running\"} 1\n");
	has("twinos_state{os=\"2\",name=\"\",state=\"running\"} 0\n");
	has("twinos_state{os=\"2\",name=\"\",state=\"hung\"} 1\n");
	has("twinos_sign_of_life_age_seconds{os=\"2\",name=\"\"} 34.");
	tree__life(&t, 2, 1, 0);
	assert_int_equal(run("metrics"), 0);
	has("twinos_state{os=\"2\",name=\"\",state=\"running\"} 1\n");
	has("twinos_state{os=\"2\",name=\"\",state=\"hung\"} 0\n");
}

static void grows(void **state)
{
	const unsigned long long now = __rdtsc();
	char *at;
	int status;
	pid_t child;

	(void)state;
	tree__os(&t, 2, "empty", "time-shared", "");
	tree__os(&t, 10, "empty", "time-shared", "");
	tree__os(&t, 11, "empty", "time-shared", "");
	tree__file(&t, "sys/kernel/twinos/os1/stats",
		   "tsc_khz %llu\nlaunch_tsc %llu\nlog_bytes 0\ncoexisting_switches 0\n", KHZ,
		   now - 1000 * KHZ);
	child = fork();
	assert_return_code(child, errno);
	if (!child) {
		usleep(700000);
		tree__file(&t, "new", "tsc_khz %llu\nlaunch_tsc %llu\nlog_bytes 5000000\n"
			   "coexisting_switches 60\n", KHZ, now - 1000 * KHZ);
		chdir(t.root);
		_exit(rename("new", "sys/kernel/twinos/os1/stats"));
	}
	assert_int_equal(run("top --json --delay=2"), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	has("{\"delay\":2.0,\"leading\":{\"up\":3723.45,\"cpu_percent\":null,\"switches\":null,");
	has("\"os\":[{\"name\":\"web\",\"os\":1,\"state\":\"running\",\"mode\":\"time-shared\","
	    "\"cpu\":[],\"alive\":null,\"up\":");
	has("\"cpu_percent\":null,\"switches\":");
	has("\"doorbells_in\":null,\"doorbells_out\":null,\"console_in\":null,\"console_out\":");
	has("\"network_in\":0.0,\"network_out\":0.0}]}\n");
	/* By this machine's TSC, which is not of 1 GHz: 5000000 bytes with 60 switches. */
	at = strstr(output, "\"os\":[");
	assert_true(strtod(strstr(at, "\"switches\":") + 11, NULL) > 0);
	assert_true(strtod(strstr(at, "\"console_out\":") + 14, NULL) >
		    80000 * strtod(strstr(at, "\"switches\":") + 11, NULL));
}

/* ---- the live view, on a terminal of the test ---- */

/* Both sides of it; that of the program stays open here, and so keeps how it was set. */
static int terminal, slave;

static pid_t watch(unsigned short lines, unsigned short columns, struct termios *before)
{
	struct winsize size = { .ws_row = lines, .ws_col = columns };
	pid_t child;

	assert_return_code(openpty(&terminal, &slave, NULL, NULL, &size), errno);
	assert_return_code(tcgetattr(slave, before), errno);
	child = fork();
	assert_return_code(child, errno);
	if (!child) {
		login_tty(slave);
		setenv("TERM", "xterm", 1);
		unsetenv("LINES");
		unsetenv("COLUMNS");
		execl(getenv("TWINOS"), "twinos", "top", "--delay=0.3", NULL);
		_exit(111);
	}
	return child;
}

/* What it draws until it has drawn this. */
static void draws(const char *text)
{
	struct pollfd fd = { .fd = terminal, .events = POLLIN };
	size_t used = 0;
	ssize_t n;

	*output = 0;
	while (!strstr(output, text)) {
		if (poll(&fd, 1, 20000) != 1 || used == sizeof(output) - 1)
			fail_msg("not drawn: %s\nbut: %s", text, output);
		n = read(terminal, output + used, sizeof(output) - 1 - used);
		assert_true(n > 0);
		used += n;
		output[used] = 0;
	}
}

static void as_before(const struct termios *before)
{
	struct termios now;

	assert_return_code(tcgetattr(slave, &now), errno);
	assert_int_equal(now.c_lflag, before->c_lflag);
	assert_int_equal(now.c_iflag, before->c_iflag);
	assert_int_equal(now.c_oflag, before->c_oflag);
	close(slave);
	close(terminal);
}

static void live(void **state)
{
	struct winsize narrow = { .ws_row = 5, .ws_col = 40 };
	struct termios before, now;
	int status;
	pid_t child;

	(void)state;
	tree__life(&t, 2, 34, 0);
	child = watch(24, 170, &before);
	draws("q quit");
	has("\033[?1049h");
	/* Nobody would say that of one that has hung. */
	has("1 of 4 coexisting OSes run; by OS, every 0.3 s");
	has("hung");
	has("NET-OUT/s");
	has("loaded");
	assert_return_code(tcgetattr(slave, &now), errno);
	assert_false(now.c_lflag & ECHO);
	assert_int_equal(write(terminal, "t", 1), 1);
	draws("network, every 0.3 s");
	/* Columns that do not fit are not there, and rows neither. */
	assert_return_code(ioctl(terminal, TIOCSWINSZ, &narrow), errno);
	draws("q quit");
	has("STATE");
	has("MODE");
	has("CPUS");
	lacks("CPU%");
	lacks("loaded");
	assert_int_equal(write(terminal, "q", 1), 1);
	draws("\033[?1049l");
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	as_before(&before);
}

static void by_signal(void **state)
{
	static const int signals[] = { SIGTERM, SIGHUP, SIGUSR1, SIGSEGV };
	struct termios before;
	unsigned int i;
	int status;
	pid_t child;

	(void)state;
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		child = watch(24, 80, &before);
		draws("q quit");
		assert_return_code(kill(child, signals[i]), errno);
		draws("\033[?1049l");
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), signals[i]);
		as_before(&before);
	}
	/* An error ends it, too, and is said where it can be read. */
	child = watch(24, 80, &before);
	draws("q quit");
	tree__file(&t, "sys/kernel/twinos/os1/state", "strange\n");
	draws("which is not known here");
	assert_true(strstr(output, "\033[?1049l") < strstr(output, "twinos: the running kernel"));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(WEXITSTATUS(status), 1);
	as_before(&before);
}

/* ---- metrics ---- */

static const char exposition[] =
"# HELP twinos_shared_cpu_seconds_total CPU time of each side on a CPU that both share, since the launch.\n"
"# TYPE twinos_shared_cpu_seconds_total counter\n"
"twinos_shared_cpu_seconds_total{os=\"1\",name=\"web\",side=\"leading\"} 30.500000000\n"
"twinos_shared_cpu_seconds_total{os=\"1\",name=\"web\",side=\"coexisting\"} 15.000000000\n"
"twinos_shared_cpu_seconds_total{os=\"2\",name=\"\",side=\"leading\"} 30.500000000\n"
"twinos_shared_cpu_seconds_total{os=\"2\",name=\"\",side=\"coexisting\"} 15.000000000\n"
"twinos_shared_cpu_seconds_total{os=\"10\",name=\"db\",side=\"leading\"} 0.000000000\n"
"twinos_shared_cpu_seconds_total{os=\"10\",name=\"db\",side=\"coexisting\"} 0.000000000\n"
"# HELP twinos_switches_total ";

static const char rest[] =
"# TYPE twinos_doorbells_total counter\n"
"twinos_doorbells_total{os=\"1\",name=\"web\",side=\"leading\"} 7000\n"
"twinos_doorbells_total{os=\"1\",name=\"web\",side=\"coexisting\"} 6400\n"
"twinos_doorbells_total{os=\"10\",name=\"db\",side=\"leading\"} 100\n"
"twinos_doorbells_total{os=\"10\",name=\"db\",side=\"coexisting\"} 40\n"
"# HELP twinos_console_bytes_total Bytes of its console: printed by it (out), typed for it (in).\n"
"# TYPE twinos_console_bytes_total counter\n"
"twinos_console_bytes_total{os=\"1\",name=\"web\",direction=\"in\"} 12\n"
"twinos_console_bytes_total{os=\"1\",name=\"web\",direction=\"out\"} 20480\n"
"twinos_console_bytes_total{os=\"2\",name=\"\",direction=\"out\"} 20480\n"
"twinos_console_bytes_total{os=\"10\",name=\"db\",direction=\"in\"} 0\n"
"twinos_console_bytes_total{os=\"10\",name=\"db\",direction=\"out\"} 5000\n"
"# HELP twinos_network_bytes_total Bytes between it and the leading OS: sent by it (out), sent to it (in).\n"
"# TYPE twinos_network_bytes_total counter\n"
"twinos_network_bytes_total{os=\"1\",name=\"web\",direction=\"in\"} 7\n"
"twinos_network_bytes_total{os=\"1\",name=\"web\",direction=\"out\"} 8\n"
"# HELP twinos_network_packets_total Packets between it and the leading OS: sent by it (out), sent to it (in).\n"
"# TYPE twinos_network_packets_total counter\n"
"twinos_network_packets_total{os=\"1\",name=\"web\",direction=\"in\"} 5\n"
"twinos_network_packets_total{os=\"1\",name=\"web\",direction=\"out\"} 6\n"
"# HELP twinos_network_dropped_total Of these packets, those that the leading OS dropped.\n"
"# TYPE twinos_network_dropped_total counter\n"
"twinos_network_dropped_total{os=\"1\",name=\"web\",direction=\"in\"} 3\n"
"twinos_network_dropped_total{os=\"1\",name=\"web\",direction=\"out\"} 4\n"
"# HELP twinos_network_errors_total Errors of the leading OS's interface with these packets.\n"
"# TYPE twinos_network_errors_total counter\n"
"twinos_network_errors_total{os=\"1\",name=\"web\",direction=\"in\"} 1\n"
"twinos_network_errors_total{os=\"1\",name=\"web\",direction=\"out\"} 2\n";

static void metrics(void **state)
{
	char *at;

	(void)state;
	assert_int_equal(run("metrics"), 0);
	has("twinos_state{os=\"1\",name=\"web\",state=\"starting\"} 0\n"
	    "twinos_state{os=\"1\",name=\"web\",state=\"running\"} 1\n"
	    "twinos_state{os=\"1\",name=\"web\",state=\"stopped\"} 0\n");
	has("twinos_state{os=\"10\",name=\"db\",state=\"crashed\"} 1\n");
	has("# TYPE twinos_memory_bytes gauge\n"
	    "twinos_memory_bytes{os=\"1\",name=\"web\"} 267452416\n"
	    "twinos_memory_bytes{os=\"2\",name=\"\"} 536870912\n"
	    "twinos_memory_bytes{os=\"11\",name=\"db\"} 268435456\n"
	    "# HELP twinos_cpus CPUs of its own; 0: it shares CPU 0 of the leading OS.\n"
	    "# TYPE twinos_cpus gauge\n"
	    "twinos_cpus{os=\"1\",name=\"web\"} 0\n"
	    "twinos_cpus{os=\"2\",name=\"\"} 2\n"
	    "twinos_cpus{os=\"11\",name=\"db\"} 1\n");
	has("twinos_moves_total{os=\"1\",name=\"web\"} 0\n");
	has("twinos_away_max_seconds{os=\"1\",name=\"web\",side=\"leading\"} 0.011052256\n");
	has("twinos_donated_switches_total{os=\"1\",name=\"web\",side=\"coexisting\"} 1500\n");
	has("twinos_foreign_interrupts_total{os=\"1\",name=\"web\",side=\"coexisting\"} 900\n");
	has(exposition);
	at = strstr(output, "# TYPE twinos_doorbells_total counter\n");
	assert_non_null(at);
	assert_string_equal(at, rest);
	/* A sign of life is of one that lives, and a launch was once. */
	has("\ntwinos_sign_of_life_age_seconds{os=\"2\",name=\"\"} ");
	lacks("sign_of_life_age_seconds{os=\"10\"");
	has("\ntwinos_launch_time_seconds{os=\"10\",name=\"db\"} ");
	lacks("launch_time_seconds{os=\"11\"");
	lacks("nan");
	lacks("} -");
	/* What there is nothing of has no head. */
	tree__os(&t, 1, "empty", "time-shared", "");
	tree__file(&t, "sys/kernel/twinos/os1/stats", "%s", "");
	assert_int_equal(run("metrics"), 0);
	has("twinos_state{os=\"1\",name=\"\",state=\"empty\"} 1\n");
	lacks("twinos_network");
}

static void collected(void **state)
{
	const unsigned long long now = __rdtsc();
	char arguments[200], path[160], content[65536];
	struct stat st;
	size_t n;
	FILE *file;

	(void)state;
	umask(077);
	tree__folder(&t, "out");
	snprintf(path, sizeof(path), "%s/out/twinos.prom", t.root);
	snprintf(arguments, sizeof(arguments), "metrics --output=%s", path);
	tree__file(&t, "out/twinos.prom", "of before\n");
	ends(arguments, 0, "");
	assert_string_equal(output, "");
	assert_return_code(stat(path, &st), errno);
	assert_int_equal(st.st_mode & 07777, 0644);
	file = fopen(path, "r");
	assert_non_null(file);
	n = fread(content, 1, sizeof(content) - 1, file);
	fclose(file);
	content[n] = 0;
	assert_int_equal(strncmp(content, "# HELP twinos_state ", 20), 0);
	assert_non_null(strstr(content, rest));
	/* Nothing else stays there: the folder is removed with that one file. */
	assert_return_code(unlink(path), errno);
	*strrchr(path, '/') = 0;
	assert_return_code(rmdir(path), errno);
	ends(arguments, 111, "/out/twinos.prom cannot be written: No such file or directory");
	ends("metrics --output=/dev/null", 1, "--output=/dev/null is there and is not a file");
	/* On this machine's TSC, of which 1 GHz is assumed: launched 100 s ago, alive 2 s ago. */
	tree__file(&t, "sys/kernel/twinos/os1/stats",
		   "tsc_khz %llu\nlaunch_tsc %llu\nalive_tsc %llu\nmoves 4\n", KHZ,
		   now - 100000 * KHZ, now - 2000 * KHZ);
	n = time(NULL) - 100;
	assert_int_equal(run("metrics"), 0);
	has("twinos_moves_total{os=\"1\",name=\"web\"} 4\n");
	file = fmemopen(output, strlen(output), "r");
	while (fgets(content, sizeof(content), file)) {
		static const char launch[] = "twinos_launch_time_seconds{os=\"1\",name=\"web\"} ";
		static const char alive[] = "twinos_sign_of_life_age_seconds{os=\"1\",name=\"web\"} ";

		/* A TSC of up to 6 GHz goes that much ahead while the test takes a while. */
		if (!strncmp(content, launch, strlen(launch)))
			assert_in_range(strtod(content + strlen(launch), NULL), n - 60, n + 10);
		if (!strncmp(content, alive, strlen(alive)))
			assert_in_range(strtod(content + strlen(alive), NULL), 2, 62);
	}
	fclose(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(usage), TEST(table), TEST(hung), TEST(grows), TEST(live), TEST(by_signal), TEST(metrics),
		TEST(collected),
	};

	return cmocka_run_group_tests_name("top", tests, tree__has_twinos, NULL);
}
