// SPDX-License-Identifier: GPL-2.0
/*
 * Files of sections and KEY = VALUE, read strictly: what is not understood is
 * refused with its file and line, and nothing is guessed.
 *
 * No library does that. Those that are in distributions (inih, as Debian builds it)
 * cut lines into pieces of 200 characters and names at 50, take ":" for "=", end a
 * line at a NUL byte without a word, and do not tell of a section that has no keys;
 * libini_config has a licence that does not go with this one (LGPL 3).
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "libtwinos.h"

#define INI_FILE_MAX (1 << 20)

/**
 * ini_found() - something is wrong with a line; the refusal says what
 * @line: 0 for the whole file
 * @err: returned, if nobody wants to hear of more
 */
int ini_found(const struct ini *ini, unsigned int line, int err)
{
	char why[TWINOS_REFUSAL_MAX];

	snprintf(why, sizeof(why), "%s", refusal());
	if (line)
		refuse(-err, "%s:%u: %s", ini->path, line, why);
	else
		refuse(-err, "%s: %s", ini->path, why);
	if (!ini->tell)
		return err;
	ini->tell(ini->user, ini->path, line, why);
	return 0;
}

/* A value may go on in further lines, so it is taken when it is known to be complete. */
struct pending {
	char *section, *key, *value;
	unsigned int line;
};

static void drop(struct pending *p)
{
	free(p->key);
	free(p->value);
	p->key = p->value = NULL;
}

static int take_pending(struct ini *ini, struct pending *p)
{
	int err;

	if (!p->key)
		return 0;
	ini->line = p->line;
	err = ini->take(ini, p->section, p->key, p->value);
	drop(p);
	return err ? ini_found(ini, p->line, err) : 0;
}

static int out_of_memory(void)
{
	return refuse(ENOMEM, "not enough memory");
}

static int continue_value(const struct ini *ini, struct pending *p, const char *line)
{
	char *longer;

	if (!ini->continued)
		return refuse(EINVAL, "the line begins with a blank; KEY = VALUE stands on one line, from its start");
	while (isspace((unsigned char)*line))
		line++;
	if (strchr("#;", *line))
		return refuse(EINVAL, "a comment begins at the start of its line; what follows a blank is part of the value before");
	if (!p->key)
		return refuse(EINVAL, "the line begins with a blank, but there is no value before that it could continue");
	if (asprintf(&longer, "%s%s%s", p->value, *p->value ? " " : "", line) < 0)
		return out_of_memory();
	free(p->value);
	p->value = longer;
	return 0;
}

static int begin_section(struct ini *ini, struct pending *p, char *line)
{
	const size_t length = strlen(line);

	const bool whole = line[length - 1] == ']';

	/* One that is none is told once, not again for each of its keys. */
	line[whole ? length - 1 : 1] = 0;
	free(p->section);
	p->section = strdup(line + 1);
	if (!p->section)
		return out_of_memory();
	return whole ? ini->take(ini, p->section, NULL, NULL) :
		refuse(EINVAL, "this is not understood; a section is [%s]", ini->example);
}

static int begin_value(const struct ini *ini, struct pending *p, char *line)
{
	char *value = strchr(line, '='), *end;

	if (!value || value == line)
		return refuse(EINVAL, "this is not understood; it is KEY = VALUE in [%s]",
			      ini->example);
	if (!p->section)
		return refuse(EINVAL, "this is in no section; put [%s] on a line before it",
			      ini->example);
	for (end = value++; isspace((unsigned char)end[-1]); end--)
		;
	*end = 0;
	while (isspace((unsigned char)*value))
		value++;
	p->line = ini->line;
	p->key = strdup(line);
	p->value = strdup(value);
	if (p->key && p->value)
		return 0;
	drop(p);
	return out_of_memory();
}

/* @line: its end is cut off behind the last character that is not blank */
static int take_line(struct ini *ini, struct pending *p, char *line)
{
	const unsigned int number = ini->line;
	int err;

	if (strchr("#;", *line) && *line)
		return 0;
	if (isspace((unsigned char)*line)) {
		err = continue_value(ini, p, line);
		return err ? ini_found(ini, number, err) : 0;
	}
	err = take_pending(ini, p);
	ini->line = number;
	if (err || !*line)
		return err;
	err = *line == '[' ? begin_section(ini, p, line) : begin_value(ini, p, line);
	if (err)
		return ini_found(ini, number, err);
	return ini->continued ? 0 : take_pending(ini, p);
}

static bool is_text(const char *line, size_t length)
{
	const char *c;

	for (c = line; c < line + length; c++)
		if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7f)
			return false;
	return true;
}

/* Whatever follows is no better; what came before was good so far. */
static int take_rubbish(struct ini *ini, struct pending *p)
{
	const unsigned int line = ini->line;
	int err = take_pending(ini, p);

	return err ? err : ini_found(ini, line, refuse(EINVAL, "this is not understood; it is not text"));
}

static int read_lines(struct ini *ini, FILE *file)
{
	struct pending pending = { 0 };
	char *line = NULL;
	size_t size = 0;
	ssize_t length;
	int err = 0;

	while (!err && (length = getline(&line, &size, file)) >= 0) {
		ini->line++;
		while (length && isspace((unsigned char)line[length - 1]))
			line[--length] = 0;
		if (!is_text(line, length)) {
			err = take_rubbish(ini, &pending);
			break;
		}
		err = take_line(ini, &pending, line);
	}
	if (!err)
		err = take_pending(ini, &pending);
	if (!err && ferror(file)) {
		err = refuse(errno, "cannot be read: %s", strerror(errno));
		err = ini_found(ini, 0, err);
	}
	drop(&pending);
	free(pending.section);
	free(line);
	return err;
}

static int refuse_file(const struct ini *ini, int error)
{
	return refuse(error, "%s cannot be read: %s; correct or remove it", ini->path,
		      strerror(error));
}

/**
 * read_ini() - read a file
 *
 * Returns 0, also if something was found and ini->tell has heard of it; -ENOENT, with a
 * refusal, if there is no such file, and other errors if it cannot be read at all.
 */
int read_ini(struct ini *ini)
{
	int fd = open(ini->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	FILE *file;
	int err;

	ini->line = 0;
	if (fd < 0 && errno == EACCES)
		return refuse(EACCES, "%s cannot be read: %s; be root", ini->path,
			      strerror(errno));
	if (fd < 0)
		return refuse_file(ini, errno);
	if (fstat(fd, &st))
		err = refuse_file(ini, errno);
	else if (S_ISDIR(st.st_mode))
		err = refuse_file(ini, EISDIR);
	else if (!S_ISREG(st.st_mode))
		err = refuse(EINVAL, "%s is not a regular file; correct or remove it", ini->path);
	else if (st.st_size > INI_FILE_MAX)
		err = refuse(EFBIG, "%s is larger than 1 MiB, which no configuration is; correct or remove it",
			     ini->path);
	else
		err = 0;
	if (err) {
		close(fd);
		return err;
	}
	file = fdopen(fd, "r");
	if (!file) {
		close(fd);
		return out_of_memory();
	}
	err = read_lines(ini, file);
	fclose(file);
	return err;
}
