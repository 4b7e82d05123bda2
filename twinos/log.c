// SPDX-License-Identifier: GPL-2.0
/*
 * twinos log: what another kernel has printed, and with -f, what it prints. That goes on
 * like tail -F: an OS that ends, is unloaded and started again, under another number if
 * it is meant by its name, is followed further.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common.h"
#include "lines.h"
#include "text.h"

static enum form form_of(const struct options *options)
{
	return GIVEN(options, JSON) ? FORM_JSON : GIVEN(options, RAW) ? FORM_RAW : FORM_VISIBLE;
}

static void show_log(const struct options *options)
{
	struct os os = wanted_os(os_word(options));
	char *text, *shown;
	size_t size;

	text = read_of(&os, "log", &size);
	switch (form_of(options)) {
	case FORM_JSON:
		print_json(json_pack("{s:o}", "log", json_text(text, size)));
		break;
	case FORM_RAW:
		fwrite(text, 1, size, stdout);
		break;
	default:
		shown = visible_text(text, size);
		fputs(shown, stdout);
		if (*shown && shown[strlen(shown) - 1] != '\n')
			putchar('\n');
		free(shown);
	}
	free(text);
}

struct following {
	const char *name;		/* or number, as it was said */
	bool by_name;
	struct console console;
	enum twinos_state state;	/* TWINOS_EMPTY if there is none */
};

static void change_to(struct following *f, uint32_t id)
{
	if (id != f->console.id)
		f->console = (struct console){ .id = id, .launch = UINT64_MAX };
}

/* Which one it is now. */
static void look(struct following *f)
{
	const struct os *found = NULL;
	struct os_list list;
	struct os os;
	int err = read_os(&roots, f->console.id, &os);

	if (err && err != -ENOENT)
		fail(err);
	if (!err && (!f->by_name || (!strcmp(os.name, f->name) && os_claims(&os)))) {
		f->state = os.state;
		return;
	}
	if (f->by_name) {
		err = read_oses(&roots, &list);
		if (err)
			fail(err);
		found = find_named(&list, f->name);
	}
	f->state = found ? found->state : TWINOS_EMPTY;
	if (found)
		change_to(f, found->id);
}

static void tell_state(const struct following *f, enum twinos_state before)
{
	const bool ran = before == TWINOS_STARTING || before == TWINOS_RUNNING;
	char *reason = NULL, *shown;

	if (!ran || f->state == TWINOS_STARTING || f->state == TWINOS_RUNNING)
		return;
	if (f->state == TWINOS_EMPTY || f->state == TWINOS_LOADED ||
	    read_os_file(&roots, f->console.id, "reason", &reason, NULL)) {
		fprintf(stderr, "twinos: %s: no longer there\n", f->name);
		return;
	}
	reason[strcspn(reason, "\n")] = 0;
	shown = visible_text(reason, strlen(reason));
	fprintf(stderr, "twinos: %s: %s: %s\n", f->name, end_verb(f->state), shown);
	free(shown);
	free(reason);
}

/* Until there is news; returns false if nobody reads what we write any more. */
static bool await_output(int door, const struct lines *lines)
{
	struct pollfd fds[] = {
		{ .fd = door, .events = POLLIN },
		{ .fd = STDOUT_FILENO },
	};
	const double left = lines->since + LINES_PATIENCE - seconds_now();

	if (poll(fds, 2, !lines->size ? -1 : left > 0 ? (int)(left * 1000 + 1) : 0) < 0 &&
	    errno != EINTR)
		die(EXIT_SYSTEM, "waiting failed: %s", strerror(errno));
	if (fds[1].revents & (POLLERR | POLLHUP | POLLNVAL))
		return false;
	if (fds[0].revents & POLLIN && await_news(door, 0))
		fail(-EIO);
	return true;
}

static void follow(const struct options *options)
{
	struct os os = wanted_os(os_word(options));
	char number[12];
	struct following f = { .name = os_word(options), .console.id = os.id, .state = os.state };
	struct lines lines = { .form = form_of(options) };
	enum twinos_state before;
	int door = open_door(&roots), err;

	if (door < 0)
		fail(door);
	f.by_name = f.name && is_name(f.name);
	snprintf(number, sizeof(number), "%u", os.id);
	if (!f.name)
		f.name = number;
	do {
		before = f.state;
		look(&f);
		err = f.state != TWINOS_EMPTY ? pass_console(&f.console, &lines, f.name) : 0;
		if (err)
			fail(err);
		if (lines.size && seconds_now() >= lines.since + LINES_PATIENCE)
			flush_lines(&lines);
		if (f.state != before && !os_running(&(struct os){ .state = f.state }))
			flush_lines(&lines);
		tell_state(&f, before);
	} while (await_output(door, &lines));
	free(lines.text);
	close(door);
}

int run_log(const struct options *options)
{
	if (GIVEN(options, FOLLOW))
		follow(options);
	else
		show_log(options);
	return 0;
}
