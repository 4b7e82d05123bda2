// SPDX-License-Identifier: GPL-2.0
/* /dev/twinos/NAME, and the news for udev. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tree.h"

static struct tree t;
static char dev[80];

static int setup(void **state)
{
	(void)state;
	tree__create(&t);
	snprintf(dev, sizeof(dev), "%s/dev", t.root);
	t.roots.dev = dev;
	tree__file(&t, "dev/twinos/control", "\n");
	tree__file(&t, "dev/hvc0", "\n");
	tree__file(&t, "dev/hvc1", "\n");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tree__remove(&t);
	return 0;
}

static struct os os_with(unsigned int id, const char *name, const char *terminal)
{
	struct os os = { .id = id };
	char path[100];

	snprintf(os.name, sizeof(os.name), "%s", name);
	snprintf(path, sizeof(path), "sys/kernel/twinos/os%u/terminal", id);
	tree__file(&t, path, "%s\n", terminal);
	return os;
}

/* Where a name leads; "" if it is not there. */
static void leads(const char *name, const char *expected)
{
	char path[200], target[100];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/twinos/%s", dev, name);
	n = readlink(path, target, sizeof(target) - 1);
	target[n < 0 ? 0 : n] = 0;
	if (strcmp(target, expected))
		fail_msg("%s leads to \"%s\"", name, target);
}

static void made(const char *name, unsigned int id, const char *terminal)
{
	const struct os os = os_with(id, name, terminal);

	if (link_terminal(&t.roots, &os))
		fail_msg("%s: %s", name, refusal());
}

static void links(void **state)
{
	char path[200];

	(void)state;
	made("web", 1, "hvc0");
	leads("web", "../hvc0");
	made("db", 2, "hvc1");
	leads("web", "../hvc0");
	leads("db", "../hvc1");
	/* Again, and at another one. */
	made("db", 2, "hvc1");
	leads("db", "../hvc1");
	made("db", 2, "hvc0");
	leads("db", "../hvc0");
	leads("web", "");
	/* An OS without a name takes the terminal. */
	made("", 1, "hvc0");
	leads("db", "");
	/* None for it: what led there before is gone. */
	made("web", 1, "hvc1");
	snprintf(path, sizeof(path), "%s/hvc1", dev);
	assert_return_code(unlink(path), 0);
	made("web", 3, "");
	leads("web", "");
	snprintf(path, sizeof(path), "%s/twinos/control", dev);
	assert_return_code(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "%s/twinos/.web.new", dev);
	assert_int_equal(access(path, F_OK), -1);
}

static void removed(void **state)
{
	char target[32];
	struct os os = os_with(1, "web", "hvc0");

	(void)state;
	made("web", 1, "hvc0");
	made("db", 2, "hvc1");
	os_terminal(&t.roots, 1, target);
	assert_string_equal(target, "../hvc0");
	unlink_terminal(&t.roots, target, NULL);
	leads("web", "");
	leads("db", "../hvc1");
	os_terminal(&t.roots, 5, target);
	assert_string_equal(target, "");
	unlink_terminal(&t.roots, target, NULL);
	leads("db", "../hvc1");
	/* Nothing that a kernel would not say leads anywhere. */
	os = os_with(1, "web", "hvc/../sda");
	assert_int_equal(link_terminal(&t.roots, &os), 0);
	leads("web", "");
}

/* Nothing else is replaced. */
static void others(void **state)
{
	struct os os = os_with(1, "control", "hvc0");
	char path[200];

	(void)state;
	assert_refused(link_terminal(&t.roots, &os), "dev/twinos/control is something else, so that it does not lead to the terminal hvc0");
	snprintf(path, sizeof(path), "%s/twinos/control", dev);
	assert_return_code(access(path, F_OK), 0);
	leads("control", "");
	tree__link(&t, "dev/twinos/mine", "dev/hvc1");
	made("web", 1, "hvc0");
	snprintf(path, sizeof(path), "%s/twinos/mine", dev);
	assert_return_code(access(path, F_OK), 0);
	/* No folder to make it in. */
	snprintf(dev, sizeof(dev), "%s/none", t.root);
	os = os_with(1, "web", "hvc0");
	assert_refused(link_terminal(&t.roots, &os), "none/twinos/web cannot be made: No such file");
}

static void news(void **state)
{
	static const char interface[] = "sys/devices/platform/twinos2/virtio3/net/twinos2/uevent";
	static const char other[] = "sys/devices/platform/twinos21/virtio4/net/twinos21/uevent";
	char path[200], *text;

	(void)state;
	announce_os(&t.roots, 2);
	tree__file(&t, interface, "INTERFACE=twinos2\n");
	tree__file(&t, other, "INTERFACE=twinos21\n");
	announce_os(&t.roots, 2);
	snprintf(path, sizeof(path), "%s/%s", t.root, interface);
	assert_int_equal(read_file(path, &text, NULL), 0);
	assert_string_equal(text, "change\n");
	free(text);
	snprintf(path, sizeof(path), "%s/%s", t.root, other);
	assert_int_equal(read_file(path, &text, NULL), 0);
	assert_string_equal(text, "INTERFACE=twinos21\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(links), TEST(removed), TEST(others), TEST(news),
	};

	return cmocka_run_group_tests_name("terminal-link", tests, NULL, NULL);
}
