// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/twinos/NAME, a link to the terminal ../hvcN of the OS of that name, so that nobody has to
 * know N. And the news for udev that an interface leads to another OS now.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "libtwinos.h"

/* Where a link leads to, ../hvcN; false if it is none of ours. */
static bool read_link(const char *path, char *target, size_t size)
{
	const ssize_t n = readlink(path, target, size - 1);

	target[n < 0 ? 0 : n] = 0;
	return !strncmp(target, "../hvc", 6);
}

/**
 * os_terminal() - ../hvcN as a link in /dev/twinos has it, "" if the OS has no terminal
 * @target: room for 32 characters
 */
void os_terminal(const struct roots *roots, uint32_t id, char *target)
{
	char *text;

	*target = 0;
	if (read_os_file(roots, id, "terminal", &text, NULL))
		return;
	text[strcspn(text, "\n")] = 0;
	if (!strncmp(text, "hvc", 3) && text[3] && !text[3 + strspn(text + 3, "0123456789")] &&
	    strlen(text) < 16)
		snprintf(target, 32, "../%s", text);
	free(text);
}

/**
 * unlink_terminal() - no name leads to this terminal any more, nor to one that is gone
 * @target: as os_terminal() had it; "": only the latter
 * @keep: but for this one; or NULL
 */
void unlink_terminal(const struct roots *roots, const char *target, const char *keep)
{
	char *folder = twinos_path(roots->dev ?: "/dev", "twinos"), *path, leads[32];
	DIR *dir = folder ? opendir(folder) : NULL;
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (*entry->d_name == '.' || (keep && !strcmp(entry->d_name, keep)))
			continue;
		path = twinos_path(folder, "%s", entry->d_name);
		if (path && read_link(path, leads, sizeof(leads)) &&
		    (!strcmp(leads, target) || access(path, F_OK)))
			unlink(path);
		free(path);
	}
	if (dir)
		closedir(dir);
	free(folder);
}

/**
 * link_terminal() - /dev/twinos/NAME leads to the terminal of this OS, and no other name
 *
 * Nothing to do for one without a name or a terminal. Returns an error with a refusal if the link
 * cannot be made, without which all else works.
 */
int link_terminal(const struct roots *roots, const struct os *os)
{
	char target[32], leads[32], *path, *new;
	int err = 0;

	os_terminal(roots, os->id, target);
	unlink_terminal(roots, target, *target ? os->name : NULL);
	if (!*os->name || !*target)
		return 0;
	path = twinos_path(roots->dev ?: "/dev", "twinos/%s", os->name);
	new = twinos_path(roots->dev ?: "/dev", "twinos/.%s.new", os->name);
	if (!path || !new)
		err = -ENOMEM;
	else if (!read_link(path, leads, sizeof(leads)) && !access(path, F_OK))
		err = refuse(EEXIST, "%s is something else, so that it does not lead to the terminal %s",
			     path, target + 3);
	else if (strcmp(leads, target)) {
		unlink(new);
		if (symlink(target, new) || rename(new, path)) {
			err = refuse(errno, "%s cannot be made: %s", path, strerror(errno));
			unlink(new);
		}
	}
	free(path);
	free(new);
	return err;
}

/**
 * announce_os() - have udev look at the interface that leads to an OS once more
 *
 * It is there before the kernel tells whose it is, and stays for another OS of that number in the
 * same window. packaging/udev has the rule.
 */
void announce_os(const struct roots *roots, uint32_t id)
{
	char *pattern = twinos_path(roots->sys, "devices/platform/twinos%u/virtio*/net/*/uevent", id);
	glob_t found;
	size_t i;
	FILE *f;

	if (!pattern || glob(pattern, 0, NULL, &found)) {
		free(pattern);
		return;
	}
	for (i = 0; i < found.gl_pathc; i++) {
		f = fopen(found.gl_pathv[i], "we");
		if (f) {
			fputs("change\n", f);
			fclose(f);
		}
	}
	globfree(&found);
	free(pattern);
}
