// SPDX-License-Identifier: GPL-2.0
/*
 * A root file system that a coexisting OS has from the network, as the key root says, and the words
 * of the command line by which an initrd of Debian's initramfs-tools finds it there. The addresses
 * are those that packaging/libexec/net gives to the interfaces between the OSes.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "libtwinos.h"

#define NET4_DEFAULT "10.87"

static const struct {
	const char *name;		/* with its colon */
	enum root_kind kind;
	bool is_path;			/* what stands behind it */
} kinds[] = {
	{ "nfs:", ROOT_NFS, true }, { "nbd:", ROOT_NBD, false }, { "9p:", ROOT_9P, true },
};

/* SERVER/ behind the two slashes; returns what follows, with the slash, or NULL. */
static const char *take_server(const char *text, struct network_root *root)
{
	const size_t length = strcspn(text, "/");
	struct in_addr address;

	if (!text[length] || length >= sizeof(root->server))
		return NULL;
	memcpy(root->server, text, length);
	root->server[length] = 0;
	return inet_pton(AF_INET, root->server, &address) == 1 ? text + length : NULL;
}

/**
 * parse_root() - nfs:PATH, nbd:EXPORT, 9p:PATH, each also as KIND://SERVER/...
 * @root: its place points into @text
 *
 * What it says goes on a command line, so that it has neither blanks nor quotes.
 */
int parse_root(const char *text, struct network_root *root)
{
	const char *at, *rest;
	unsigned int i;

	*root = (struct network_root){ .kind = ROOT_NONE };
	for (at = text; *at; at++)
		if ((unsigned char)*at <= ' ' || (unsigned char)*at >= 0x7f || *at == '"')
			return refuse(EINVAL, "root=%s has a blank or another character that a command line cannot carry; choose another path or name",
				      text);
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strncmp(text, kinds[i].name, strlen(kinds[i].name)))
			break;
	if (i == sizeof(kinds) / sizeof(kinds[0]))
		return refuse(EINVAL, "root=%s is none of nfs:PATH, nbd:EXPORT and 9p:PATH; what is on a disk of the share belongs into append",
			      text);
	rest = text + strlen(kinds[i].name);
	if (!strncmp(rest, "//", 2)) {
		rest = take_server(rest + 2, root);
		if (!rest)
			return refuse(EINVAL, "root=%s does not name its server by an IPv4 address, as in %s//192.0.2.1/web",
				      text, kinds[i].name);
		rest += !kinds[i].is_path;
	}
	if (kinds[i].is_path && *rest != '/')
		return refuse(EINVAL, "root=%s is no whole path; it begins with /, as in %s/srv/web",
			      text, kinds[i].name);
	if (!kinds[i].is_path && (!*rest || strpbrk(rest, ",/")))
		return refuse(EINVAL, "root=%s is not the name of an export, which has neither commas nor slashes",
			      text);
	if (kinds[i].kind == ROOT_9P && strchr(rest, ','))
		return refuse(EINVAL, "root=%s has a comma, which would end the path; choose another one",
			      text);
	root->kind = kinds[i].kind;
	root->place = rest;
	return 0;
}

/* Two numbers of an IPv4 address, not those of networks that are something else. */
static bool is_net4(const char *text)
{
	char address[32];
	struct in_addr in;
	unsigned int first;

	snprintf(address, sizeof(address), "%.8s.0.1", text);
	if (strlen(text) > 7 || inet_pton(AF_INET, address, &in) != 1)
		return false;
	first = ntohl(in.s_addr) >> 24;
	return first && first != 127 && first < 224;
}

/**
 * read_net4() - the first two numbers of the addresses of the networks between the OSes
 * @net4: room for 8 characters
 *
 * NET4 of /etc/default/twinos, which is shell; what stands there is a plain assignment.
 */
int read_net4(const struct roots *roots, char *net4)
{
	char path[300], *text = NULL, *rest, *line, *value;
	int err;

	snprintf(net4, 8, "%s", NET4_DEFAULT);
	snprintf(path, sizeof(path), "%s/default/twinos", roots->etc);
	err = read_file(path, &text, NULL);
	if (err)
		return err == -ENOENT ? 0 : refuse(-err, "%s cannot be read: %s", path, strerror(-err));
	for (rest = text, err = 0; (line = next_line(&rest));) {
		line += strspn(line, " \t");
		if (strncmp(line, "NET4=", 5))
			continue;
		value = line + 5;
		if (*value == '"' || *value == '\'') {
			value++;
			value[strcspn(value, "\"'")] = 0;
		} else {
			value[strcspn(value, " \t;#")] = 0;
		}
		err = !*value || is_net4(value) ? 0 :
			refuse(EINVAL, "%s: NET4=%s is not the first half of an IPv4 address, as in NET4=10.87",
			       path, value);
		if (!err)
			snprintf(net4, 8, "%s", *value ? value : NET4_DEFAULT);
	}
	free(text);
	return err;
}

/**
 * root_words() - what the command line of an OS says of its root file system
 * @text: the key root
 * @id: its number, by which its addresses go
 * @name: what it calls itself until its own system does
 * @interface: which it has the root file system by; "": the only one that it has
 * @address: say which address it has, too
 * @words: to be freed
 */
int root_words(const struct roots *roots, const char *text, uint32_t id, const char *name,
	       const char *interface, bool address, char **words)
{
	struct network_root root;
	char net4[8], leading[16], ip[120] = "";
	const char *server;
	int err, n;

	*words = NULL;
	if (!id)
		return refuse(EINVAL, "root=%s needs the number of the OS, for its address; give one",
			      text);
	err = parse_root(text, &root);
	if (!err)
		err = read_net4(roots, net4);
	if (err)
		return err;
	snprintf(leading, sizeof(leading), "%.7s.%u.1", net4, id);
	server = *root.server ? root.server : leading;
	if (address)
		/*
		 * No server in the second field: the other words name it, and systemd, which reads this
		 * as well, would take it for a peer at the other end of a line.
		 */
		snprintf(ip, sizeof(ip), " ip=%.7s.%u.2::%s:255.255.255.0:%s:%s:off", net4, id, leading,
			 name, interface);
	if (root.kind == ROOT_NFS)
		n = asprintf(words, "root=/dev/nfs nfsroot=%s:%s rw%s", server, root.place, ip);
	else if (root.kind == ROOT_NBD)
		n = asprintf(words, "root=/dev/nbd0 nbdroot=%s,%s,nbd0%s", server, root.place, ip);
	else
		/* Root attaches, not "nobody"; with a page cache that programs can map and write to. */
		n = asprintf(words, "root=%s rootfstype=9p rootflags=trans=tcp,version=9p2000.L,uname=root,cache=mmap,aname=%s rw%s",
			     server, root.place, ip);
	if (n >= 0)
		return 0;
	*words = NULL;
	return refuse(ENOMEM, "not enough memory");
}

/* ---- does anything here export it? ---- */

/* Is it the path, or a folder above it? */
static bool covers(const char *folder, size_t length, const char *path)
{
	while (length > 1 && folder[length - 1] == '/')
		length--;
	if (length == 1 && *folder == '/')
		return true;
	return !strncmp(folder, path, length) && (!path[length] || strchr("/,", path[length]));
}

/* Of nfs-kernel-server. A line with quotes or octal numbers may be anything. */
static bool exports_path(const char *file, const char *path)
{
	char *text, *rest, *line;
	bool does = false;

	if (!file || read_file(file, &text, NULL))
		return false;
	for (rest = text; !does && (line = next_line(&rest));) {
		const size_t length = strcspn(line, " \t");

		does = *line == '"' || (*line == '/' && (memchr(line, '\\', length) ||
							 covers(line, length, path)));
	}
	free(text);
	return does;
}

/* Of nbd-server: a section of this name. */
static bool has_section(const char *file, const char *name)
{
	const size_t length = strlen(name);
	char *text, *rest, *line;
	bool has = false;

	if (!file || read_file(file, &text, NULL))
		return false;
	for (rest = text; !has && (line = next_line(&rest));) {
		line += strspn(line, " \t");
		has = *line == '[' && !strncmp(line + 1, name, length) && line[1 + length] == ']';
	}
	free(text);
	return has;
}

/* In one of the files of a folder that end so. */
static bool in_folder(const char *etc, const char *folder, const char *suffix, const char *what,
		      bool (*has)(const char *file, const char *what))
{
	char *path = twinos_path(etc, "%s", folder), *file;
	struct dirent **entries;
	int i, nr = path ? scandir(path, &entries, NULL, alphasort) : -1;
	bool found = false;

	for (i = 0; i < nr; i++) {
		const char *name = entries[i]->d_name;
		const size_t length = strlen(name);

		if (*name != '.' && length >= strlen(suffix) &&
		    !strcmp(name + length - strlen(suffix), suffix) && !found) {
			file = twinos_path(path, "%s", name);
			found = has(file, what);
			free(file);
		}
		free(entries[i]);
	}
	if (nr >= 0)
		free(entries);
	free(path);
	return found;
}

/* Does a TCP socket listen on a port? True as well if that is not known. */
static bool listens(const struct roots *roots, unsigned int port)
{
	static const char *const files[] = { "tcp", "tcp6" };
	bool known = false, found = false;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		char path[300], *text, *rest, *line;
		unsigned int local, state;

		snprintf(path, sizeof(path), "%s/net/%s", roots->proc, files[i]);
		if (read_file(path, &text, NULL))
			continue;
		known = true;
		for (rest = text; (line = next_line(&rest));)
			found |= sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x", &local,
					&state) == 2 && local == port && state == 0x0a;
		free(text);
	}
	return found || !known;
}

/**
 * check_export() - does the leading OS serve what the key root names?
 *
 * Returns 0 as well if that is another server's business or cannot be known, else -ENOENT with a
 * refusal, which is a warning: it may be served by the time that it is needed.
 */
int check_export(const struct roots *roots, const struct network_root *root)
{
	char *file;
	bool good;

	if (*root->server)
		return 0;
	if (root->kind == ROOT_NFS) {
		file = twinos_path(roots->etc, "exports");
		good = exports_path(file, root->place) ||
		       in_folder(roots->etc, "exports.d", ".exports", root->place, exports_path);
		free(file);
		file = twinos_path(roots->root ?: "", "var/lib/nfs/etab");
		good |= exports_path(file, root->place);
		free(file);
		return good ? 0 : refuse(ENOENT, "no line of %s/exports exports %.*s, or a folder above it, by NFS",
					 roots->etc, (int)strcspn(root->place, ","), root->place);
	}
	if (root->kind == ROOT_9P)
		return listens(roots, 564) ? 0 :
			refuse(ENOENT, "no 9P server listens on TCP port 564 of this machine");
	file = twinos_path(roots->etc, "nbd-server/config");
	if (!file || access(file, F_OK))
		good = listens(roots, 10809);
	else
		good = has_section(file, root->place) ||
		       in_folder(roots->etc, "nbd-server/conf.d", ".conf", root->place, has_section);
	free(file);
	return good ? 0 : refuse(ENOENT, "there is no section [%s] in %s/nbd-server/config, and so no such export",
				 root->place, roots->etc);
}
