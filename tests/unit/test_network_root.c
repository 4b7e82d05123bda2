// SPDX-License-Identifier: GPL-2.0
/* A root file system from the network: what the key root may say, and what becomes of it. */
#include <stdlib.h>
#include <string.h>
#include "tree.h"

static struct tree t;

static int setup(void **state)
{
	(void)state;
	tree__create(&t);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tree__remove(&t);
	return 0;
}

static void good(const char *text, enum root_kind kind, const char *server, const char *place)
{
	struct network_root root;

	if (parse_root(text, &root))
		fail_msg("%s: %s", text, refusal());
	assert_int_equal(root.kind, kind);
	assert_string_equal(root.server, server);
	assert_string_equal(root.place, place);
}

static void kinds(void **state)
{
	(void)state;
	good("nfs:/srv/web", ROOT_NFS, "", "/srv/web");
	good("nfs:/", ROOT_NFS, "", "/");
	good("nfs:/srv/web,vers=3,rsize=4096", ROOT_NFS, "", "/srv/web,vers=3,rsize=4096");
	good("nfs://192.0.2.1/srv/web", ROOT_NFS, "192.0.2.1", "/srv/web");
	good("nbd:web", ROOT_NBD, "", "web");
	good("nbd://192.0.2.1/web", ROOT_NBD, "192.0.2.1", "web");
	good("9p:/srv/web", ROOT_9P, "", "/srv/web");
	good("9p://192.0.2.100/srv/web", ROOT_9P, "192.0.2.100", "/srv/web");
}

static void wrong(void **state)
{
	static const struct {
		const char *text, *refusal;
	} texts[] = {
		{ "", "root= is none of nfs:PATH, nbd:EXPORT and 9p:PATH; what is on a disk of the share belongs into append" },
		{ "/srv/web", "is none of nfs:PATH" },
		{ "iscsi:web", "root=iscsi:web is none of" },
		{ "NFS:/srv", "is none of" },
		{ "nfs", "is none of" },
		{ "LABEL=web", "is none of" },
		{ "nfs:", "root=nfs: is no whole path; it begins with /, as in nfs:/srv/web" },
		{ "nfs:srv/web", "is no whole path" },
		{ "9p:web", "is no whole path; it begins with /, as in 9p:/srv/web" },
		{ "nfs:/srv/my web", "has a blank or another character that a command line cannot carry" },
		{ "nfs:/srv/\tweb", "has a blank" },
		{ "nfs:/srv/\"web\"", "has a blank or another character" },
		{ "nfs:/srv/\xc3\xa9", "has a blank or another character" },
		{ "nbd:", "is not the name of an export" },
		{ "nbd:a/b", "root=nbd:a/b is not the name of an export, which has neither commas nor slashes" },
		{ "nbd:a,b", "is not the name of an export" },
		{ "nbd://192.0.2.1", "does not name its server by an IPv4 address, as in nbd://192.0.2.1/web" },
		{ "nbd://192.0.2.1/", "is not the name of an export" },
		{ "9p:/srv,x", "has a comma" },
		{ "nfs://server/srv", "root=nfs://server/srv does not name its server by an IPv4 address" },
		{ "nfs:///srv", "does not name its server" },
		{ "nfs://1.2.3/srv", "does not name its server" },
		{ "nfs://192.168.100.1000/srv", "does not name its server" },
		{ "nfs://[fd00::1]/srv", "does not name its server" },
	};
	struct network_root root;
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_refused(parse_root(texts[i].text, &root), texts[i].refusal);
}

static void says(const char *text, uint32_t id, const char *interface, bool address,
		 const char *expected)
{
	char *words;

	if (root_words(&t.roots, text, id, "web", interface, address, &words))
		fail_msg("%s: %s", text, refusal());
	assert_string_equal(words, expected);
	free(words);
}

static void words(void **state)
{
	char *none;

	(void)state;
	says("nfs:/srv/web", 1, "", true,
	     "root=/dev/nfs nfsroot=10.87.1.1:/srv/web rw ip=10.87.1.2::10.87.1.1:255.255.255.0:web::off");
	says("nfs://192.0.2.1/srv/web,vers=3", 64, "twinos0", true,
	     "root=/dev/nfs nfsroot=192.0.2.1:/srv/web,vers=3 rw ip=10.87.64.2::10.87.64.1:255.255.255.0:web:twinos0:off");
	says("nbd:data", 2, "", false, "root=/dev/nbd0 nbdroot=10.87.2.1,data,nbd0");
	says("9p:/srv/web", 3, "", false,
	     "root=10.87.3.1 rootfstype=9p rootflags=trans=tcp,version=9p2000.L,uname=root,cache=mmap,aname=/srv/web rw");
	tree__file(&t, "etc/default/twinos", "# NET4=1.2\n NET4=\"172.20\" # ours\nNET6=x\n");
	says("9p://192.0.2.1/", 3, "", true,
	     "root=192.0.2.1 rootfstype=9p rootflags=trans=tcp,version=9p2000.L,uname=root,cache=mmap,aname=/ rw ip=172.20.3.2::172.20.3.1:255.255.255.0:web::off");
	assert_refused(root_words(&t.roots, "nfs:/srv", 0, "web", "", true, &none),
		       "needs the number of the OS");
	assert_null(none);
}

static void networks(void **state)
{
	static const char *const bad[] = {
		"10", "10.", ".87", "10.256", "127.1", "224.1", "0.1", "10.8.7", "a.b", "1000.1", "'10 .1'",
	};
	char net4[8];
	unsigned int i;

	(void)state;
	assert_int_equal(read_net4(&t.roots, net4), 0);
	assert_string_equal(net4, "10.87");
	tree__file(&t, "etc/default/twinos", "STOP_LIMIT=\nNET4=10.1\nNET4='192.168'\n");
	assert_int_equal(read_net4(&t.roots, net4), 0);
	assert_string_equal(net4, "192.168");
	tree__file(&t, "etc/default/twinos", "NET4=10.1\nNET4=\n");
	assert_int_equal(read_net4(&t.roots, net4), 0);
	assert_string_equal(net4, "10.87");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		tree__file(&t, "etc/default/twinos", "NET4=%s", bad[i]);
		assert_refused(read_net4(&t.roots, net4), "is not the first half of an IPv4 address, as in NET4=10.87");
	}
}

static void exported(const char *text, const char *missing)
{
	struct network_root root;
	int err;

	assert_int_equal(parse_root(text, &root), 0);
	err = check_export(&t.roots, &root);
	if (missing)
		assert_refused(err, missing);
	else if (err)
		fail_msg("%s: %s", text, refusal());
}

static void nfs_exports(void **state)
{
	(void)state;
	exported("nfs:/srv/web,vers=3", "/exports exports /srv/web, or a folder above it, by NFS");
	exported("nfs://192.0.2.1/srv/web", NULL);
	tree__file(&t, "etc/exports", "# /srv/web\n/srv/web2 *(rw)\n/srv/w 10.0.0.0/8(rw)\n");
	exported("nfs:/srv/web", "by NFS");
	exported("nfs:/srv/web2", NULL);
	exported("nfs:/srv/web2/deep,vers=3", NULL);
	tree__file(&t, "etc/exports.d/web", "/srv/web *(rw)\n");
	exported("nfs:/srv/web", "by NFS");
	tree__file(&t, "etc/exports.d/web.exports", "/srv/web/\t*(rw)\n");
	exported("nfs:/srv/web", NULL);
	exported("nfs:/home/web", "by NFS");
	tree__file(&t, "var/lib/nfs/etab", "/home\t*(rw,sync)\n");
	exported("nfs:/home/web", NULL);
	/* Written in a way that is not looked into. */
	exported("nfs:/my", "by NFS");
	tree__file(&t, "etc/exports", "\"/my\" *(rw)\n");
	exported("nfs:/my", NULL);
	tree__file(&t, "etc/exports", "/ *(rw)\n");
	exported("nfs:/any/where", NULL);
}

static void other_exports(void **state)
{
	static const char header[] =
		"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

	(void)state;
	/* What listens is not known. */
	exported("9p:/srv/web", NULL);
	exported("nbd:web", NULL);
	tree__file(&t, "proc/net/tcp", "%s   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0\n"
		   "   1: 0100007F:0234 0100007F:9000 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0\n", header);
	exported("9p:/srv/web", "no 9P server listens on TCP port 564");
	exported("nbd:web", "there is no section [web] in ");
	tree__file(&t, "proc/net/tcp6", "%s   0: 00000000000000000000000000000000:0234 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0\n"
		   "   1: 00000000000000000000000000000000:2A39 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0\n", header);
	exported("9p:/srv/web", NULL);
	exported("nbd:web", NULL);
	tree__file(&t, "etc/nbd-server/config", "[generic]\n[web2]\nexportname = /srv/web\n");
	exported("nbd:web", "there is no section [web]");
	exported("nbd:web2", NULL);
	tree__file(&t, "etc/nbd-server/conf.d/web.conf", " [web]\n");
	exported("nbd:web", NULL);
	exported("nbd://192.0.2.1/none", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(kinds), TEST(wrong), TEST(words), TEST(networks), TEST(nfs_exports),
		TEST(other_exports),
	};

	return cmocka_run_group_tests_name("network-root", tests, NULL, NULL);
}
