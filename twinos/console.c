// SPDX-License-Identifier: GPL-2.0
/*
 * twinos console: the terminal of an OS, with what it has written before. It is a terminal device
 * of this kernel, so that screen, picocom and conserver work on it as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <termios.h>
#include <unistd.h>
#include "common.h"

#define DETACH	0x1d		/* Ctrl-], as of telnet */

static struct termios before;
static volatile sig_atomic_t ended;

static void restore(void)
{
	tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
}

static void end(int signal)
{
	ended = signal;
}

static void make_raw(void)
{
	struct sigaction action = { .sa_handler = end };
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &before))
		return;
	atexit(restore);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	raw = before;
	cfmakeraw(&raw);
	tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
}

static int open_terminal(const struct os *os, const char *name)
{
	char *terminal = read_of(os, "terminal", NULL), path[300];
	struct termios raw;
	int fd;

	terminal[strcspn(terminal, "\n")] = 0;
	if (!*terminal)
		die(EXIT_REFUSED, "%s has no terminal: it has not been loaded, or eight others have one; see twinos log",
		    name);
	snprintf(path, sizeof(path), "%s/%s", roots.dev, terminal);
	free(terminal);
	fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		die(EXIT_REFUSED, "%s: %s%s", path, strerror(errno),
		    errno == EACCES ? "; be root, or in the group of that file" : "");
	if (flock(fd, LOCK_EX | LOCK_NB))
		die(EXIT_REFUSED, "another twinos console is at %s; end that one first", name);
	if (!tcgetattr(fd, &raw)) {
		cfmakeraw(&raw);
		tcsetattr(fd, TCSANOW, &raw);
	}
	return fd;
}

/* Returns false where the other end takes no more. */
static bool write_all(int fd, const char *text, size_t size)
{
	ssize_t n;

	for (; size; text += n, size -= n) {
		n = write(fd, text, size);
		if (n < 0 && errno == EINTR && !ended)
			n = 0;
		if (n < 0)
			return false;
	}
	return true;
}

static bool pass_output(int terminal)
{
	char text[4096];
	ssize_t n = read(terminal, text, sizeof(text));

	return n > 0 && write_all(STDOUT_FILENO, text, n);
}

/* Returns false at the key to detach, and at the end of what is not a terminal. */
static bool pass_input(int terminal)
{
	char text[1024], *detach = NULL;
	ssize_t n = read(STDIN_FILENO, text, sizeof(text));

	if (n <= 0)
		return n < 0 && errno == EINTR;
	if (isatty(STDIN_FILENO))
		detach = memchr(text, DETACH, n);
	if (!write_all(terminal, text, detach ? detach - text : n))
		fprintf(stderr, "\r\ntwinos: nobody takes what is typed\r\n");
	return !detach;
}

/* Says so once when the OS has ended; the terminal goes on with its next launch. */
static void tell_end(const char *name, const struct os *os, bool *running)
{
	struct os now;

	if (read_os(&roots, os->id, &now))
		now = (struct os){ .state = TWINOS_EMPTY };
	if (*running && !os_running(&now))
		fprintf(stderr, "\r\ntwinos: %s %s; what is typed goes nowhere until it is started again\r\n",
			name, end_verb(now.state));
	*running = os_running(&now);
}

int run_console(const struct options *options)
{
	const struct os os = wanted_os(os_word(options));
	const char *name = os.name[0] ? os.name : "the OS";
	const int terminal = open_terminal(&os, name), door = open_door(&roots);
	struct pollfd fds[] = {
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = terminal, .events = POLLIN },
		{ .fd = door, .events = POLLPRI },
		{ .fd = STDOUT_FILENO },
	};
	bool running = true;

	if (door < 0)
		fail(door);
	if (isatty(STDIN_FILENO))
		fprintf(stderr, "twinos: at the console of %s; Ctrl-] leaves it\n", name);
	make_raw();
	while (!ended) {
		if (poll(fds, 4, -1) < 0 && errno != EINTR)
			die(EXIT_SYSTEM, "waiting failed: %s", strerror(errno));
		if (fds[1].revents & POLLIN && !pass_output(terminal))
			break;
		if (fds[1].revents & (POLLHUP | POLLERR) || fds[3].revents & (POLLHUP | POLLERR))
			break;
		if (fds[0].revents & (POLLIN | POLLHUP) && !pass_input(terminal))
			break;
		if (fds[2].revents & POLLPRI) {
			await_news(door, 0);
			tell_end(name, &os, &running);
		}
	}
	if (isatty(STDIN_FILENO)) {
		restore();
		fprintf(stderr, "\ntwinos: left the console of %s\n", name);
	}
	close(terminal);
	close(door);
	return 0;
}
