// SPDX-License-Identifier: GPL-2.0
/*
 * Changes one register of a running program from outside, as a bad OS switch
 * would. With it the tests' own eyes are tested: what looks for lost registers
 * must see this.
 */
#include "guest.h"

#include <dirent.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

/* Process whose name is this; 0 when there is none. */
static pid_t find(const char *name)
{
	char path[300], text[64];
	struct dirent *entry;
	pid_t pid = 0;
	FILE *file;
	DIR *proc;

	proc = opendir("/proc");
	while (proc && !pid && (entry = readdir(proc))) {
		if (!isdigit((unsigned char)*entry->d_name))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (fgets(text, sizeof(text), file)) {
			text[strcspn(text, "\n")] = 0;
			if (!strcmp(text, name))
				pid = atoi(entry->d_name);
		}
		fclose(file);
	}
	if (proc)
		closedir(proc);
	return pid;
}

int main(int argc, char **argv)
{
	struct user_fpregs_struct fp;
	struct user_regs_struct regs;
	pid_t pid;

	if (argc != 3)
		usage("NAME r13|fs|xmm");
	pid = find(argv[1]);
	if (!pid)
		failed("no process %s", argv[1]);
	if (ptrace(PTRACE_ATTACH, pid, NULL, NULL))
		failed("attach: %s", strerror(errno));
	waitpid(pid, NULL, 0);
	if (!strcmp(argv[2], "xmm")) {
		ptrace(PTRACE_GETFPREGS, pid, NULL, &fp);
		fp.xmm_space[20] ^= 1;
		ptrace(PTRACE_SETFPREGS, pid, NULL, &fp);
	} else {
		ptrace(PTRACE_GETREGS, pid, NULL, &regs);
		if (!strcmp(argv[2], "r13"))
			regs.r13 ^= 1;
		else if (!strcmp(argv[2], "fs"))
			regs.fs_base += 8;
		else
			usage("NAME r13|fs|xmm");
		ptrace(PTRACE_SETREGS, pid, NULL, &regs);
	}
	if (ptrace(PTRACE_DETACH, pid, NULL, NULL))
		failed("detach: %s", strerror(errno));
	ok("%s of %s", argv[2], argv[1]);
}
