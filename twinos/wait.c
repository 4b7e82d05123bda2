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
static enum twinos_state state_of(const char *text)
{
	struct os os;
	int err = find_os_by(text, &os);

	if (err && err != -ENOENT)
		fail(err);
	return err ? TWINOS_EMPTY : os.state;
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
	unsigned int states, limit = 0;
	enum twinos_state state;
	double start = seconds_now(), left = -1;
	int door, err;

	if (!GIVEN(options, STATE))
		die(EXIT_USAGE, "wait needs --state=STATE; see twinos --help");
	states = parse_states(options->text[OPTION_STATE]);
	if (GIVEN(options, TIMEOUT) &&
	    parse_count("--timeout", options->text[OPTION_TIMEOUT], 1, CONF_STOP_LIMIT_MAX,
			" of seconds", &limit))
		die(EXIT_USAGE, "%s", refusal());
	need_leading();
	need_known(text);
	door = open_door(&roots);
	if (door < 0)
		fail(door);
	for (;;) {
		state = state_of(text);
		if (states & STATE(state))
			break;
		if (limit)
			left = limit - (seconds_now() - start);
		if (limit && left <= 0)
			die(EXIT_REFUSED, "%s is %s after %u s, not %s", text, state_name(state),
			    limit, options->text[OPTION_STATE]);
		err = await_news(door, left);
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
