// SPDX-License-Identifier: GPL-2.0
/*
 * Paths, and files of procfs and sysfs. They are read as a whole, however long they or
 * their lines are, and what cannot be read is an error, never an empty file.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "libtwinos.h"

/**
 * read_file() - the whole of a file
 * @data: to be freed; a NUL follows the last byte
 * @size: may be NULL
 *
 * The size of such a file is known only when its end has been read. Returns
 * -errno without a refusal.
 */
int read_file(const char *path, char **data, size_t *size)
{
	size_t used = 0, room = 4096;
	char *buf = NULL, *larger;
	ssize_t n = 0;
	int err = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	do {
		used += n;
		if (!buf || used == room - 1) {
			room *= 2;
			larger = realloc(buf, room);
			if (!larger) {
				err = -ENOMEM;
				break;
			}
			buf = larger;
		}
		n = read(fd, buf + used, room - 1 - used);
	} while (n > 0);
	if (n < 0)
		err = -errno;
	close(fd);
	if (err) {
		free(buf);
		return err;
	}
	buf[used] = 0;
	*data = buf;
	if (size)
		*size = used;
	return 0;
}

/**
 * read_text() - a short file, without its last newline
 *
 * Returns -errno without a refusal, -EOVERFLOW if it does not fit.
 */
int read_text(const char *directory, const char *file, char *buf, size_t size)
{
	char path[700], *data;
	size_t n;
	int err;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", directory, file) >= sizeof(path))
		return -ENAMETOOLONG;
	err = read_file(path, &data, &n);
	if (err)
		return err;
	if (n && data[n - 1] == '\n')
		n--;
	if (n < size) {
		memcpy(buf, data, n);
		buf[n] = 0;
	} else {
		err = -EOVERFLOW;
	}
	free(data);
	return err;
}

/** next_line() - cut off the line at *@text and move it on; NULL at the end */
char *next_line(char **text)
{
	char *line = *text, *end = line + strcspn(line, "\n");

	if (!*line)
		return NULL;
	*text = *end ? end + 1 : end;
	*end = 0;
	return line;
}

/** twinos_path() - a file below a root; the path is to be freed, NULL without memory */
char *twinos_path(const char *root, const char *format, ...)
{
	char *name, *path;
	va_list args;

	va_start(args, format);
	if (vasprintf(&name, format, args) < 0)
		name = NULL;
	va_end(args);
	if (!name || asprintf(&path, "%s/%s", root, name) < 0)
		path = NULL;
	free(name);
	if (!path)
		refuse(ENOMEM, "not enough memory");
	return path;
}
