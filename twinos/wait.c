// SPDX-License-Identifier: GPL-2.0
/*
 * twinos wait: until an OS is in one of some states. It need not be there yet, since a
 * unit may be about to start it; but a name that nothing is called is a slip of the pen.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common.h"

/* Seconds between two looks at one that can hang or come back, of which there is no news. */
#define LOOK_AGAIN 5

static unsigned int parse_states(const char *text)
{
	static const char *const names[] = TWINOS_STATE_NAMES;
	unsigned int states = 0, i;
	size_t length;

	for (;; text += length + 1) {
		length = strcspn(text, ",");
		for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (strlen(names[i]) == length && !strncmp(text, names[i], length))
				break;
		if (i == sizeof(names) / sizeof(names[0]))
			die(EXIT_USAGE, "--state: '%.*s' is no state; they are empty, loaded, starting, running, stopped, crashed, hung",
			    (int)length, text);
		states |= STATE(i);
		if (!text[length])
			return states;
	}
}

/* TWINOS_EMPTY if there is no such OS. */
static struct os look_at(const char *text)
{
	struct os os;
	int err = find_os_by(text, &os);

	if (err && err != -ENOENT)
		fail(err);
	return err ? (struct os){ .state = TWINOS_EMPTY } : os;
}

/* How long the next look can wait for news; negative: for any time. */
static double patience(const struct os *os, unsigned int states, double left)
{
	if (os->state != TWINOS_RUNNING || os->mode != TWINOS_DEDICATED ||
	    !(states & (STATE(TWINOS_RUNNING) | STATE(TWINOS_HUNG))))
		return left;
	return left < 0 || left > LOOK_AGAIN ? LOOK_AGAIN : left;
}

static void need_known(const char *text)
{
	struct conf conf;
	struct os os;
	int err;

	if (!is_name(text) || !find_os_by(text, &os))
		return;
	err = read_conf(&roots, text, &conf, NULL, NULL);
	free_conf(&conf);
	if (err == -ENOENT)
		die(EXIT_REFUSED, "there is no coexisting OS %s, and no %s/twinos/%s.conf", text,
		    roots.etc, text);
}

int run_wait(const struct options *options)
{
	const char *text = os_word(options);
	const unsigned int limit = options->timeout;
	unsigned int states;
	enum twinos_state state;
	struct os os;
	double start = seconds_now(), left = -1;
	int door, err;

	if (!GIVEN(options, STATE))
		die(EXIT_USAGE, "wait needs --state=STATE; see twinos --help");
	states = parse_states(options->text[OPTION_STATE]);
	need_leading();
	need_known(text);
	door = open_door(&roots);
	if (door < 0)
		fail(door);
	for (;;) {
		os = look_at(text);
		state = shown_state(&os);
		if (states & STATE(state))
			break;
		if (limit)
			left = limit - (seconds_now() - start);
		if (limit && left <= 0)
			die(EXIT_REFUSED, "%s is %s after %u s, not %s", text, state_name(state),
			    limit, options->text[OPTION_STATE]);
		err = await_news(door, patience(&os, states, left));
		if (err)
			fail(err);
	}
	close(door);
	if (GIVEN(options, JSON))
		print_json(json_pack("{s:s}", "state", state_name(state)));
	else
		puts(state_name(state));
	return 0;
}
