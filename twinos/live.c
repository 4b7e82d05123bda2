// SPDX-License-Identifier: GPL-2.0
/*
 * The live view of twinos top. Whatever ends it, the terminal is as it was before. Without
 * ncurses (HAVE_NCURSES) there is none, as in the small system of the tests.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <unistd.h>
#include "common.h"
#include "top.h"

#ifdef HAVE_NCURSES
#include <curses.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <term.h>
#include <termios.h>
#include <time.h>

static struct termios before;		/* of the terminal */
static char restore[128];		/* what brings its screen and cursor back */
static size_t restore_size;

enum kind {
	HARMLESS,
	ENDING,				/* it ends a process and can wait while that draws */
	FAULT				/* it ends a process and cannot wait */
};

static enum kind kind_of(int signal)
{
	switch (signal) {
	case SIGCHLD:
	case SIGCONT:
	case SIGSTOP:
	case SIGTSTP:
	case SIGTTIN:
	case SIGTTOU:
	case SIGURG:
	case SIGWINCH:
		return HARMLESS;
	case SIGSEGV:
	case SIGBUS:
	case SIGILL:
	case SIGFPE:
	case SIGABRT:
	case SIGSYS:
	case SIGTRAP:
		return FAULT;
	default:
		return ENDING;
	}
}

/* Only what may be done in a handler; endwin() may not. Then what the signal does by itself. */
static void end_by_signal(int signal)
{
	sigset_t open;

	if (restore_size && write(STDOUT_FILENO, restore, restore_size) < 0)
		restore_size = 0;	/* then there is no terminal any more */
	tcsetattr(STDIN_FILENO, TCSANOW, &before);
	sigemptyset(&open);
	sigaddset(&open, signal);
	sigprocmask(SIG_UNBLOCK, &open, NULL);
	raise(signal);
}

/* By exit(), when something cannot go on. */
static void end_by_exit(void)
{
	if (!isendwin())
		endwin();
}

static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = end_by_signal, .sa_flags = SA_RESETHAND }, old;
	int i;

	for (i = 1; i <= SIGRTMAX; i++)
		/* What was ignored (nohup) is so further. */
		if (kind_of(i) != HARMLESS && !sigaction(i, NULL, &old) &&
		    old.sa_handler != SIG_IGN)
			sigaction(i, &action, NULL);
}

static int add_character(int character)
{
	if (restore_size < sizeof(restore))
		restore[restore_size++] = character;
	return character;
}

/* NULL if the terminal cannot do that. */
static const char *capability(const char *name)
{
	const char *text = tigetstr(name);

	return text == (char *)-1 ? NULL : text;
}

static void add_string(const char *name)
{
	const char *text = capability(name);

	if (text)
		tputs(text, 1, add_character);
}

/* NULL, with a refusal, if there is no terminal that can do it. */
static SCREEN *begin(void)
{
	const char *type = getenv("TERM");
	SCREEN *screen;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) ||
	    tcgetattr(STDIN_FILENO, &before)) {
		refuse(ENOTTY, "top needs a terminal; say twinos top --once, or --json, for one table");
		return NULL;
	}
	screen = newterm(NULL, stdout, stdin);
	/* Without a cursor that goes where it is to, lines would only be put below each other. */
	if (screen && !capability("cup")) {
		endwin();
		delscreen(screen);
		screen = NULL;
	}
	if (!screen) {
		refuse(ENOTTY, "top cannot draw on a terminal of the type TERM=%s; say twinos top --once for one table",
		       type ? type : "");
		return NULL;
	}
	add_string("sgr0");
	add_string("rmkx");
	add_string("cnorm");
	add_string("rmcup");
	/* Where the screen stays as it is, what comes next is below it. */
	if (!capability("rmcup")) {
		add_character('\r');
		add_character('\n');
	}
	atexit(end_by_exit);
	catch_signals();
	cbreak();
	noecho();
	nonl();
	intrflush(stdscr, FALSE);
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	curs_set(0);
	return screen;
}

/* A line of words over the whole width, cut at its end. */
static void draw_line(int y, int attributes, const char *text)
{
	attrset(attributes);
	mvprintw(y, 0, "%-*.*s", COLS, COLS, text);
	attrset(A_NORMAL);
}

/* Columns as far as they fit as a whole: half a number is another number. */
static void draw_row(const struct top *top, int y, int attributes, const char *const *text)
{
	int x = 0, width;
	unsigned int i;

	draw_line(y, attributes, "");
	attrset(attributes);
	for (i = 0; i < TOP_COLUMNS; i++) {
		width = top->width[i];
		if (i && x + width > COLS)
			break;
		if (width > COLS)
			width = COLS;
		mvprintw(y, x, "%*.*s", to_the_left(i) ? -width : width, width, text[i]);
		x += width + 2;
	}
	attrset(A_NORMAL);
}

static int row_attributes(const struct row *row)
{
	if (!row->os)
		return A_NORMAL;
	switch (shown_state(&row->os->os)) {
	case TWINOS_CRASHED:
	case TWINOS_HUNG:
		return A_BOLD;
	case TWINOS_STARTING:
	case TWINOS_RUNNING:
		return A_NORMAL;
	default:
		return A_DIM;
	}
}

static void draw_title(const struct top *top, unsigned int hidden)
{
	char text[200], more[40] = "", clock[16];
	const time_t now = time(NULL);
	struct tm tm;

	strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&now, &tm));
	if (hidden)
		snprintf(more, sizeof(more), ", %u below not shown", hidden);
	snprintf(text, sizeof(text), "%s  %u of %u coexisting OSes run%s; by %s, every %g s", clock,
		 top->running, top->nr_rows - 1, more, top->order->name, top->delay);
	draw_line(0, A_NORMAL, text);
}

static void draw_help(void)
{
	const struct order *order;
	char text[200] = "q quit  sort:";
	size_t used = strlen(text);

	for (order = orders; order->key; order++)
		used += snprintf(text + used, sizeof(text) - used, " %c %s ", order->key,
				 order->name);
	draw_line(LINES - 1, A_REVERSE, text);
}

/* On few lines the rows go before everything else. */
static void draw(const struct top *top)
{
	const int title = LINES > 3, header = LINES > 1, help = LINES > 3;
	const int room = LINES - title - header - help;
	const int shown = (int)top->nr_rows < room ? (int)top->nr_rows : room;
	int i;

	erase();
	if (title)
		draw_title(top, top->nr_rows - shown);
	if (header)
		draw_row(top, title, A_REVERSE, top_titles);
	for (i = 0; i < shown; i++)
		draw_row(top, title + header + i, row_attributes(&top->rows[i]),
			 (const char *const *)top->rows[i].text);
	if (help)
		draw_help();
	refresh();
}

enum wish { WISH_NOTHING, WISH_DRAW, WISH_SORT, WISH_QUIT };

static enum wish take_keys(struct top *top)
{
	enum wish wish = WISH_NOTHING;
	const struct order *order;
	int key;

	while ((key = getch()) != ERR) {
		if (key == 'q' || key == 'Q')
			return WISH_QUIT;
		if (key == KEY_RESIZE && wish == WISH_NOTHING)
			wish = WISH_DRAW;
		for (order = orders; order->key; order++) {
			if (key != order->key)
				continue;
			top->order = order;
			wish = WISH_SORT;
		}
	}
	return wish;
}

/* What is blocked when. */
struct masks {
	sigset_t waiting;		/* for a key: nothing of ours */
	sigset_t reading;		/* what changes the screen, so that it is not missed */
	sigset_t drawing;		/* and what ends it, so that no screen is half drawn */
};

/* Waits for a key until the next reading is due. */
static enum wish await_keys(struct top *top, double due, const struct masks *masks)
{
	struct pollfd fd = { .fd = STDIN_FILENO, .events = POLLIN };
	double left = due - seconds_now();
	struct timespec time;
	int n;

	if (left < 0)
		left = 0;
	time.tv_sec = left;
	time.tv_nsec = (left - time.tv_sec) * 1e9;
	n = ppoll(&fd, 1, &time, &masks->waiting);
	if (n < 0 && errno != EINTR)
		return WISH_QUIT;
	/* Somebody has taken the terminal away. */
	if (n > 0 && fd.revents & (POLLHUP | POLLERR | POLLNVAL))
		return WISH_QUIT;
	return take_keys(top);
}

static int show(struct top *top, const struct masks *masks)
{
	enum wish wish = WISH_NOTHING;
	double due;
	int err;

	do {
		/* The kernel lets a reader wait while an OS is being launched. */
		sigprocmask(SIG_SETMASK, &masks->reading, NULL);
		err = next_reading(top);
		sigprocmask(SIG_SETMASK, &masks->drawing, NULL);
		if (err)
			return err;
		due = seconds_now() + top->delay;
		make_rows(top);
		draw(top);
		do {
			wish = await_keys(top, due, masks);
			if (wish == WISH_SORT)
				make_rows(top);
			if (wish == WISH_SORT || wish == WISH_DRAW)
				draw(top);
		} while (wish != WISH_QUIT && seconds_now() < due);
	} while (wish != WISH_QUIT);
	return 0;
}

int run_live(struct top *top)
{
	struct masks masks;
	SCREEN *screen;
	int i, err;

	sigprocmask(SIG_BLOCK, NULL, &masks.waiting);
	masks.reading = masks.waiting;
	sigaddset(&masks.reading, SIGWINCH);
	sigaddset(&masks.reading, SIGTSTP);
	masks.drawing = masks.reading;
	for (i = 1; i <= SIGRTMAX; i++)
		if (kind_of(i) == ENDING)
			sigaddset(&masks.drawing, i);
	sigprocmask(SIG_SETMASK, &masks.drawing, NULL);
	screen = begin();
	err = screen ? show(top, &masks) : -ENOTTY;
	if (screen) {
		endwin();
		delscreen(screen);
	}
	sigprocmask(SIG_SETMASK, &masks.waiting, NULL);
	return err;
}

#else

int run_live(struct top *top)
{
	(void)top;
	return refuse(EOPNOTSUPP, "this twinos was built without the live view; say twinos top --once");
}

#endif
