// SPDX-License-Identifier: GPL-2.0
/*
 * twinos plan: finds a share that fits this machine and writes what the next boot and the start of
 * the OS need: its configuration, the boot line, and what keeps its functions out of the leading
 * OS's hands.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "common.h"

/* ---- what was asked for ---- */

static void take_share(const struct options *options, struct plan_request *request)
{
	struct share_options *devices = &request->devices;
	const char *const *text = options->text;
	struct network_root root;
	int err = 0;

	if (!GIVEN(options, MEMORY))
		die(EXIT_USAGE, "plan needs --memory=SIZE, as in --memory=2G; see twinos --help");
	err = parse_number("--memory", text[OPTION_MEMORY], &request->memory);
	if (!err && GIVEN(options, CPUS))
		err = parse_count("--cpus", text[OPTION_CPUS], 0, TWINOS_MAX_CPUS, " of CPUs",
				  &request->cpus);
	if (!err && GIVEN(options, PCI))
		err = share_option(devices, "--pci", "pci", text[OPTION_PCI]);
	if (!err && GIVEN(options, IRQ))
		err = share_option(devices, "--irq", "irq", text[OPTION_IRQ]);
	if (!err && GIVEN(options, ROOT)) {
		request->root = text[OPTION_ROOT];
		err = parse_root(request->root, &root);
	}
	if (err)
		die(EXIT_USAGE, "%s", refusal());
}

static void refuse_with_update(const struct options *options)
{
	static const enum option_key keys[] = {
		OPTION_MEMORY, OPTION_CPUS, OPTION_PCI, OPTION_IRQ, OPTION_ROOT, OPTION_FORCE,
	};
	unsigned int i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (options->text[keys[i]])
			break;
	if (i < sizeof(keys) / sizeof(keys[0]) || options->nr_words)
		die(EXIT_USAGE, "--update makes files from the configurations as they are, and takes nothing else; see twinos --help");
}

/* ---- what comes of it ---- */

static bool has_grub(void)
{
	char *path = twinos_path(roots.etc, "default/grub");
	bool has = path && !access(path, F_OK);

	free(path);
	return has;
}

/* What the user has to do, in its order; each is a command or a sentence. */
static int next_steps(const struct plan *plan, bool update, struct texts *steps)
{
	int err = 0;

	if (!update)
		err = add_text(steps, plan->conf.root ? "look at %s" :
			       "look at %s, and say in append where its root file system is",
			       plan->conf.file);
	if (!err && has_grub())
		err = add_text(steps, "update-grub");
	else if (!err)
		err = add_text(steps, "this system does not boot by GRUB: put on the kernel's command line: %s (systemd-boot: in /etc/kernel/cmdline, then kernel-install add VERSION IMAGE; else where your boot loader has it)",
			       plan->boot_line);
	if (!err)
		err = add_text(steps, "update-initramfs -u");
	if (!err)
		err = add_text(steps, "reboot");
	if (!err)
		err = update ? add_text(steps, "twinos check") :
			add_text(steps, "twinos check %s", plan->conf.name);
	return err;
}

static json_t *texts_json(const struct texts *texts)
{
	json_t *array = json_array();
	unsigned int i;

	for (i = 0; i < texts->nr; i++)
		json_array_append_new(array, json_string(texts->text[i]));
	return array;
}

static json_t *share_object(const struct plan *plan)
{
	const struct share_options *share = &plan->conf.share;
	const struct range window = conf_window(&plan->conf);
	json_t *cpus = json_array(), *pci = json_array(), *irqs = json_array();
	json_t *object = json_object();
	char text[64];
	uint32_t i;

	format_range(&window, text, sizeof(text));
	json_object_set_new(object, "memory", json_string(text));
	if (share->low.size) {
		format_range(&share->low, text, sizeof(text));
		json_object_set_new(object, "low", json_string(text));
	}
	for (i = 0; i < share->nr_cpus; i++)
		json_array_append_new(cpus, json_integer(share->cpus[i]));
	for (i = 0; i < share->nr_pci; i++) {
		format_function(&share->pci[i], text, sizeof(text));
		json_array_append_new(pci, json_string(text));
	}
	for (i = 0; i < share->nr_irqs; i++)
		json_array_append_new(irqs, json_integer(share->irqs[i]));
	json_object_set_new(object, "cpus", cpus);
	json_object_set_new(object, "pci", pci);
	json_object_set_new(object, "irq", irqs);
	json_object_set_new(object, "node", json_integer(plan->node));
	return object;
}

static void show_json(const struct plan *plan, const struct texts *steps, bool update, bool written)
{
	json_t *object = json_object(), *files = json_array();
	unsigned int i;

	if (!update) {
		json_object_set_new(object, "name", json_string(plan->conf.name));
		json_object_set_new(object, "share", share_object(plan));
		if (plan->conf.root)
			json_object_set_new(object, "root", json_string(plan->conf.root));
		json_object_set_new(object, "functions", texts_json(&plan->functions));
	}
	for (i = 0; i < plan->nr_files; i++)
		json_array_append_new(files, json_pack("{s:s, s:s}", "path", plan->files[i].path,
						       "text", plan->files[i].text));
	json_object_set_new(object, "boot_line", json_string(plan->boot_line));
	json_object_set_new(object, "files", files);
	json_object_set_new(object, "written", json_boolean(written));
	json_object_set_new(object, "warnings", texts_json(&plan->warnings));
	json_object_set_new(object, "next", texts_json(steps));
	print_json(object);
}

static void show(const struct plan *plan, const struct texts *steps, bool written)
{
	unsigned int i;

	for (i = 0; i < plan->nr_files; i++) {
		if (written && plan->files[i].unchanged)
			printf("kept %s, which says so already\n", plan->files[i].path);
		else if (written)
			printf("wrote %s\n", plan->files[i].path);
		else
			printf("==> %s <==\n%s\n", plan->files[i].path, plan->files[i].text);
	}
	if (plan->functions.nr)
		puts("\nPCI functions that could be given to it (--pci=...):");
	for (i = 0; i < plan->functions.nr; i++)
		printf("  %s\n", plan->functions.text[i]);
	if (!written)
		return;
	puts("\nNext:");
	for (i = 0; i < steps->nr; i++)
		printf("  %u. %s\n", i + 1, steps->text[i]);
}

/*
 * One plan at a time, until this process ends: each has to see what the one before has written.
 * Who may not lock may not write either, and is told so then.
 */
static void wait_for_other_plans(void)
{
	char *path = twinos_path(roots.root ?: "", "run/twinos-plan.lock");
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;

	free(path);
	if (fd >= 0)
		while (flock(fd, LOCK_EX) && errno == EINTR)
			;
}

int run_plan(const struct options *options)
{
	const bool update = GIVEN(options, UPDATE), dry_run = GIVEN(options, DRY_RUN);
	struct plan_request request = { .force = GIVEN(options, FORCE) };
	struct texts steps = { 0 };
	struct utsname uts;
	struct plan plan;
	unsigned int i;
	int err;

	if (!dry_run)
		wait_for_other_plans();
	if (update) {
		refuse_with_update(options);
		err = make_update(&roots, &plan);
	} else {
		if (!options->nr_words)
			die(EXIT_USAGE, "plan lacks the name of the OS behind it; see twinos --help");
		request.name = options->words[0];
		take_share(options, &request);
		uname(&uts);
		request.release = uts.release;
		err = make_plan(&roots, &request, &plan);
	}
	if (!err && !dry_run)
		err = write_files(plan.files, plan.nr_files);
	if (!err)
		err = next_steps(&plan, update, &steps);
	if (err)
		fail(err);
	for (i = 0; i < plan.warnings.nr; i++)
		fprintf(stderr, "twinos: warning: %s\n", plan.warnings.text[i]);
	if (GIVEN(options, JSON))
		show_json(&plan, &steps, update, !dry_run);
	else
		show(&plan, &steps, !dry_run);
	free_texts(&steps);
	free_plan(&plan);
	return 0;
}
