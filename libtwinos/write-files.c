// SPDX-License-Identifier: GPL-2.0
/*
 * Several files written as one: all of them are as they are to be, or as they were. Everything that
 * takes room on the disk is done before the first of them changes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "libtwinos.h"

/* What was done for one file so far. */
struct step {
	char *temporary;		/* NULL: not there */
	char *old;			/* another name of what the file was */
	char *made;			/* the first of its folders that was not there */
	bool replaced;
};

static int out_of_memory(void)
{
	return refuse(ENOMEM, "not enough memory");
}

static int refuse_write(const char *path, int err)
{
	return refuse(err, "%s cannot be written: %s; nothing was changed", path, strerror(err));
}

/* Makes the folders of a file. Notes the first that was not there. */
static int make_folders(const char *path, char **made)
{
	char *copy = strdup(path), *slash;
	int err = 0;

	if (!copy)
		return out_of_memory();
	for (slash = copy + 1; !err && (slash = strchr(slash, '/')); slash++) {
		*slash = 0;
		if (!mkdir(copy, 0755)) {
			if (!*made)
				*made = strdup(copy);
		} else if (errno != EEXIST) {
			err = refuse_write(copy, errno);
		}
		*slash = '/';
	}
	free(copy);
	return err;
}

/* Removes the folders that were made for a file; @path is cut. */
static void remove_folders(char *path, const char *made)
{
	const size_t length = strlen(made);
	char *slash;

	while ((slash = strrchr(path, '/')) && (size_t)(slash - path) >= length) {
		*slash = 0;
		rmdir(path);
	}
}

static int write_all(int fd, const char *text)
{
	size_t left = strlen(text);
	ssize_t n;

	for (; left; left -= n, text += n) {
		n = write(fd, text, left);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n < 0)
			n = 0;
	}
	return 0;
}

/* So that its time tells when it has changed. */
static bool says_so(const struct new_file *file)
{
	char *text;
	bool same;

	if (read_file(file->path, &text, NULL))
		return false;
	same = !strcmp(text, file->text);
	free(text);
	return same;
}

/* The new content beside the file, under a name that nobody reads. */
static int prepare(struct new_file *file, struct step *step)
{
	char *temporary;
	int fd, err;

	file->unchanged = says_so(file);
	if (file->unchanged)
		return 0;
	err = make_folders(file->path, &step->made);
	if (err)
		return err;
	if (asprintf(&temporary, "%s.XXXXXX", file->path) < 0)
		return out_of_memory();
	fd = mkstemp(temporary);
	if (fd < 0) {
		err = refuse_write(file->path, errno);
		free(temporary);
		return err;
	}
	step->temporary = temporary;
	err = write_all(fd, file->text);
	if (!err && (fchmod(fd, 0644) || fsync(fd)))
		err = -errno;
	if (close(fd) && !err)
		err = -errno;
	if (err)
		return refuse_write(file->path, -err);
	if (access(file->path, F_OK))
		return 0;
	if (asprintf(&step->old, "%s.old", temporary) < 0) {
		step->old = NULL;
		return out_of_memory();
	}
	if (link(file->path, step->old)) {
		err = refuse_write(file->path, errno);
		free(step->old);
		step->old = NULL;
	}
	return err;
}

static void sync_folder(const char *path)
{
	char *folder = strdup(path), *slash = folder ? strrchr(folder, '/') : NULL;
	int fd;

	if (slash) {
		*slash = 0;
		fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0) {
			fsync(fd);
			close(fd);
		}
	}
	free(folder);
}

static void undo(const struct new_file *file, const struct step *step)
{
	char *path;

	if (step->replaced && step->old)
		rename(step->old, file->path);
	else if (step->replaced)
		unlink(file->path);
	if (step->temporary)
		unlink(step->temporary);
	if (step->old)
		unlink(step->old);
	path = step->made ? strdup(file->path) : NULL;
	if (path)
		remove_folders(path, step->made);
	free(path);
}

/**
 * write_files() - write them all, or leave all as they were
 *
 * Folders are made as needed, and a file that says so already is left alone. Whoever reads one
 * of them meanwhile finds the old or the new content as a whole.
 */
int write_files(struct new_file *files, unsigned int nr)
{
	struct step *steps = calloc(nr, sizeof(*steps));
	sigset_t all, before;
	unsigned int i;
	int err = 0;

	if (!steps)
		return out_of_memory();
	/* Not to be stopped half-way. */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	for (i = 0; i < nr && !err; i++)
		err = prepare(&files[i], &steps[i]);
	for (i = 0; i < nr && !err; i++) {
		if (files[i].unchanged)
			continue;
		steps[i].replaced = !rename(steps[i].temporary, files[i].path);
		if (!steps[i].replaced)
			err = refuse_write(files[i].path, errno);
	}
	/* From behind, so that a folder is empty when it is its turn. */
	for (i = nr; err && i--; )
		undo(&files[i], &steps[i]);
	for (i = 0; i < nr; i++) {
		if (!err && steps[i].old)
			unlink(steps[i].old);
		if (!err)
			sync_folder(files[i].path);
		free(steps[i].temporary);
		free(steps[i].old);
		free(steps[i].made);
	}
	free(steps);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return err;
}
