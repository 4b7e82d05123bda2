// SPDX-License-Identifier: GPL-2.0
/*
 * packaging/libexec/net, which gives addresses and names to the interfaces between OSes. It reads
 * the files below TWINOS_ROOT; the programs that it calls are ours: they write down what they are
 * called with, and say what the test has put into a file.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tree.h"

#define NET UNIT "/../../packaging/libexec/net"

static struct tree t;
static char output[4096];

static void program(const char *name, const char *script)
{
	char path[100], full[200];

	snprintf(path, sizeof(path), "bin/%s", name);
	tree__file(&t, path, "#!/bin/sh\n%s\n", script);
	snprintf(full, sizeof(full), "%s/%s", t.root, path);
	assert_return_code(chmod(full, 0755), 0);
}

/* An interface that leads to another OS; @parent is the device above it. */
static void add_interface(const char *name, const char *parent, const char *address)
{
	char path[200], target[200];

	snprintf(path, sizeof(path), "sys/devices/platform/%s/virtio0/net/%s/address", parent, name);
	tree__file(&t, path, "%s\n", address);
	snprintf(path, sizeof(path), "sys/devices/platform/%s/virtio0/net/%s/device", parent, name);
	snprintf(target, sizeof(target), "sys/devices/platform/%s/virtio0", parent);
	tree__link(&t, path, target);
	snprintf(path, sizeof(path), "sys/class/net/%s", name);
	snprintf(target, sizeof(target), "sys/devices/platform/%s/virtio0/net/%s", parent, name);
	tree__link(&t, path, target);
	snprintf(path, sizeof(path), "proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	tree__file(&t, path, "0\n");
}

static int setup(void **state)
{
	char path[400];

	(void)state;
	tree__create(&t);
	/* What is in the file "addresses" is there already. */
	program("ip", "case $* in *' show '*) for a; do :; done; grep -sxF \"$a\" \"$TWINOS_ROOT/addresses\" || :;; "
		"*) echo \"$*\" >>\"$TWINOS_ROOT/calls\"; [ ! -e \"$TWINOS_ROOT/broken\" ];; esac");
	program("systemctl", "cat \"$TWINOS_ROOT/networkd\" 2>/dev/null || { echo inactive; exit 3; }");
	program("networkctl", "echo \"  5 twinos1 ether routable $(cat \"$TWINOS_ROOT/setup\")\"");
	program("nmcli", "cat \"$TWINOS_ROOT/manager\" 2>/dev/null || exit 8");
	program("sleep", "echo configured >\"$TWINOS_ROOT/setup\"");
	snprintf(path, sizeof(path), "%s/bin:/usr/sbin:/usr/bin:/sbin:/bin", t.root);
	setenv("PATH", path, 1);
	setenv("TWINOS_ROOT", t.root, 1);
	tree__file(&t, "etc/hosts", "127.0.0.1 localhost\n");
	add_interface("twinos1", "twinos1", "02:11:22:33:00:01");
	tree__os(&t, 1, "loaded", "dedicated", "window 0x100000000-0x13fffffff\nname web\n");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tree__remove(&t);
	return 0;
}

/* Exit status; what it printed, errors too, is in output. */
static int run(const char *arguments)
{
	char command[400];

	snprintf(command, sizeof(command), "exec /bin/sh " NET " %s 2>&1 </dev/null", arguments);
	return tree__shell(command, output, sizeof(output));
}

static void says(const char *arguments, int status, const char *text)
{
	if (run(arguments) != status || strcmp(output, text))
		fail_msg("net %s: %s", arguments, output);
}

static void has(const char *path, const char *content)
{
	char full[300], *text;

	snprintf(full, sizeof(full), "%s/%s", t.root, path);
	if (read_file(full, &text, NULL))
		text = strdup("");
	if (strcmp(text, content))
		fail_msg("%s: expected:\n%sfound:\n%s", path, content, text);
	free(text);
}

static void forget(const char *path)
{
	char full[300];

	snprintf(full, sizeof(full), "%s/%s", t.root, path);
	assert_return_code(unlink(full), 0);
}

static ino_t inode(const char *path)
{
	char full[300];
	struct stat st;

	snprintf(full, sizeof(full), "%s/%s", t.root, path);
	assert_return_code(lstat(full, &st), 0);
	return st.st_ino;
}

#define WEB "10.87.1.2 web.twinos # twinos twinos1\nfd54:5749:4e4f:1::2 web.twinos # twinos twinos1\n"

static void leading(void **state)
{
	ino_t before;

	(void)state;
	says("up twinos1", 0, "");
	has("calls", "link set dev twinos1 up\n-4 address add 10.87.1.1/24 dev twinos1\n"
	    "-6 address add fd54:5749:4e4f:1::1/64 dev twinos1 nodad\n");
	has("etc/hosts", "127.0.0.1 localhost\n" WEB);
	/* Once more: nothing to do, and nothing is written. */
	tree__file(&t, "addresses", "10.87.1.1\nfd54:5749:4e4f:1::1\n");
	before = inode("etc/hosts");
	forget("calls");
	says("up twinos1", 0, "");
	has("calls", "link set dev twinos1 up\n");
	assert_int_equal(inode("etc/hosts"), before);
	forget("calls");
	/* Without what was added, and nothing else. */
	says("down twinos1", 0, "");
	has("calls", "address del 10.87.1.1/24 dev twinos1\naddress del fd54:5749:4e4f:1::1/64 dev twinos1\n");
	has("etc/hosts", "127.0.0.1 localhost\n");
	forget("calls");
	says("down twinos1", 0, "");
	has("calls", "");
}

/* Whose interface it is, is told after the interface is there. */
static void names(void **state)
{
	(void)state;
	tree__os(&t, 1, "empty", "time-shared", "");
	says("names twinos1", 0, "");
	says("up twinos1", 0, "");
	has("etc/hosts", "127.0.0.1 localhost\n");
	tree__os(&t, 1, "loaded", "dedicated", "name web\n");
	says("names twinos1", 0, "");
	has("etc/hosts", "127.0.0.1 localhost\n" WEB);
	tree__os(&t, 1, "loaded", "dedicated", "cpu 1\n");
	says("names twinos1", 0, "");
	has("etc/hosts", "127.0.0.1 localhost\n10.87.1.2 os1.twinos # twinos twinos1\n"
	    "fd54:5749:4e4f:1::2 os1.twinos # twinos twinos1\n");
	says("down twinos1", 0, "");
	says("names twinos1", 0, "");
	has("etc/hosts", "127.0.0.1 localhost\n");
}

static void coexisting(void **state)
{
	(void)state;
	add_interface("twinos0", "twinos0", "02:11:22:33:01:0c");
	/* As an initrd has left it, whose root file system it is: it stays. */
	tree__file(&t, "addresses", "10.87.12.2\n");
	says("up twinos0", 0, "");
	has("calls", "link set dev twinos0 up\n-6 address add fd54:5749:4e4f:12::2/64 dev twinos0 nodad\n");
	has("etc/hosts", "127.0.0.1 localhost\n10.87.12.1 leading.twinos # twinos twinos0\n"
	    "fd54:5749:4e4f:12::1 leading.twinos # twinos twinos0\n");
	forget("calls");
	says("down twinos0", 0, "");
	has("calls", "address del fd54:5749:4e4f:12::2/64 dev twinos0\n");
	/* Without IPv6. */
	tree__file(&t, "proc/sys/net/ipv6/conf/twinos0/disable_ipv6", "1\n");
	says("up twinos0", 0, "");
	has("etc/hosts", "127.0.0.1 localhost\n10.87.12.1 leading.twinos # twinos twinos0\n");
	add_interface("twinos2", "twinos0", "02:11:22:33:01:41");
	says("up twinos2", 1, "twinos-net: twinos2 has the address 02:11:22:33:01:41, which does not end in the number of an OS\n");
}

static void prefixes(void **state)
{
	static const char *const wrong4[] = {
		"10", "10.", ".87", "10.256", "127.1", "224.1", "0.1", "10.8.7", "a.b", "010.1", "10.-1",
	};
	static const char *const wrong6[] = {
		"fd54", "fd54:1", "fd54:1:2:3", "fd54::1", "fd54:1:", "fd54:1:12345", "fd54:1:g", ":1:2",
	};
	char expected[200];
	unsigned int i;

	(void)state;
	tree__file(&t, "etc/default/twinos", "NET4=172.20\nNET6=fd00:1:2\n");
	says("up twinos1", 0, "");
	has("calls", "link set dev twinos1 up\n-4 address add 172.20.1.1/24 dev twinos1\n"
	    "-6 address add fd00:1:2:1::1/64 dev twinos1 nodad\n");
	/* What was added is removed, whatever is said now. */
	tree__file(&t, "etc/default/twinos", "NET4=\nNET6=\n");
	forget("calls");
	says("down twinos1", 0, "");
	has("calls", "address del 172.20.1.1/24 dev twinos1\naddress del fd00:1:2:1::1/64 dev twinos1\n");
	forget("calls");
	for (i = 0; i < sizeof(wrong4) / sizeof(wrong4[0]); i++) {
		tree__file(&t, "etc/default/twinos", "NET4=%s\n", wrong4[i]);
		snprintf(expected, sizeof(expected), "twinos-net: /etc/default/twinos: NET4=%s is not the first half of an IPv4 address, as in NET4=10.87\n",
			 wrong4[i]);
		says("up twinos1", 1, expected);
	}
	for (i = 0; i < sizeof(wrong6) / sizeof(wrong6[0]); i++) {
		tree__file(&t, "etc/default/twinos", "NET6=%s\n", wrong6[i]);
		snprintf(expected, sizeof(expected), "twinos-net: /etc/default/twinos: NET6=%s is not three groups of an IPv6 address, as in NET6=fd54:5749:4e4f\n",
			 wrong6[i]);
		says("up twinos1", 1, expected);
	}
	has("calls", "");
	has("etc/hosts", "127.0.0.1 localhost\n");
}

/* Somebody else's business. */
static void configured(void **state)
{
	(void)state;
	tree__file(&t, "networkd", "active\n");
	tree__file(&t, "setup", "configured\n");
	says("up twinos1", 0, "twinos-net: twinos1 is configured by a file of systemd-networkd, and is left alone\n");
	/* It takes a moment. */
	tree__file(&t, "setup", "pending\n");
	says("up twinos1", 0, "twinos-net: twinos1 is configured by a file of systemd-networkd, and is left alone\n");
	tree__file(&t, "setup", "unmanaged\n");
	tree__file(&t, "manager", "100 (connected)\n");
	says("up twinos1", 0, "twinos-net: twinos1 is configured by NetworkManager, and is left alone\n");
	tree__file(&t, "manager", "10 (unmanaged)\n");
	tree__file(&t, "etc/network/interfaces", "auto lo\niface lo inet loopback\n");
	tree__file(&t, "etc/network/interfaces.d/os", "allow-hotplug twinos1\n  iface\ttwinos1 inet static\n");
	says("up twinos1", 0, "twinos-net: twinos1 is configured by /etc/network/interfaces.d/os, and is left alone\n");
	has("calls", "");
	has("etc/hosts", "127.0.0.1 localhost\n");
	says("names twinos1", 0, "");
	says("down twinos1", 0, "");
	has("calls", "");
	has("etc/hosts", "127.0.0.1 localhost\n");
	/* Of another one. */
	tree__file(&t, "etc/network/interfaces.d/os", "iface twinos10 inet dhcp\n# iface twinos1 inet dhcp\n");
	says("up twinos1", 0, "");
	has("etc/hosts", "127.0.0.1 localhost\n" WEB);
}

/* However /etc/hosts is: other lines, owner and mode stay. */
static void hosts_file(void **state)
{
	char path[200], link[200];
	struct stat st;

	(void)state;
	tree__file(&t, "etc/hosts", "::1 localhost\n10.87.1.2 old.twinos # twinos twinos1\n1.2.3.4 x # twinos twinos10\n5.6.7.8 y");
	snprintf(path, sizeof(path), "%s/etc/hosts", t.root);
	assert_return_code(chmod(path, 0640), 0);
	if (!geteuid())
		assert_return_code(chown(path, 12, 34), 0);
	says("up twinos1", 0, "");
	has("etc/hosts", "::1 localhost\n1.2.3.4 x # twinos twinos10\n5.6.7.8 y\n" WEB);
	assert_return_code(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	if (!geteuid()) {
		assert_int_equal(st.st_uid, 12);
		assert_int_equal(st.st_gid, 34);
	}
	/* A link stays one. */
	snprintf(link, sizeof(link), "%s/elsewhere", t.root);
	assert_return_code(rename(path, link), 0);
	assert_return_code(symlink("../elsewhere", path), 0);
	says("down twinos1", 0, "");
	has("elsewhere", "::1 localhost\n1.2.3.4 x # twinos twinos10\n5.6.7.8 y\n");
	assert_return_code(lstat(path, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	/* None at all, and nothing but our lines. */
	forget("etc/hosts");
	says("up twinos1", 0, "");
	has("etc/hosts", WEB);
	assert_return_code(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	says("down twinos1", 0, "");
	has("etc/hosts", "");
	/* What cannot be replaced stays. */
	tree__file(&t, "etc/hosts", "::1 localhost\n");
	program("mv", "exit 1");
	says("up twinos1", 1, "twinos-net: /etc/hosts cannot be written, and is as it was\n");
	has("etc/hosts", "::1 localhost\n");
	snprintf(path, sizeof(path), "%s/etc/hosts.twinos-new", t.root);
	assert_int_equal(access(path, F_OK), -1);
}

static void gone(void **state)
{
	char command[300];

	(void)state;
	says("up twinos1", 0, "");
	forget("calls");
	snprintf(command, sizeof(command), "rm -r %s/class/net/twinos1 %s/devices/platform/twinos1",
		 t.sys, t.sys);
	assert_int_equal(system(command), 0);
	says("down twinos1", 0, "");
	has("calls", "");
	has("etc/hosts", "127.0.0.1 localhost\n");
	says("up twinos1", 1, "twinos-net: there is no interface twinos1\n");
}

static void words(void **state)
{
	static const char *const wrong[] = { "", "up", "left twinos1", "up twinos1 x", "twinos1" };
	static const char *const names[] = { "eth0", "twinos", "twinos1x", "twinos65", "twinos01", "../twinos1" };
	char arguments[100], expected[200];
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		says(wrong[i], 100, "usage: net up|names|down INTERFACE\n");
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(arguments, sizeof(arguments), "up %s", names[i]);
		snprintf(expected, sizeof(expected), "twinos-net: %s is not called twinosN, as the interfaces to other OSes are\n",
			 names[i]);
		says(arguments, 1, expected);
	}
	/* Called so by somebody, but another device's. */
	add_interface("twinos3", "serial8250", "02:11:22:33:00:03");
	says("up twinos3", 1, "twinos-net: twinos3 does not lead to another OS of this machine\n");
	tree__file(&t, "broken", "\n");
	says("up twinos1", 1, "twinos-net: twinos1 cannot be set up\n");
	has("etc/hosts", "127.0.0.1 localhost\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(leading), TEST(names), TEST(coexisting), TEST(prefixes), TEST(configured),
		TEST(hosts_file), TEST(gone), TEST(words),
	};

	return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}
