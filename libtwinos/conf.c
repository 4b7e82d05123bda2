// SPDX-License-Identifier: GPL-2.0
/*
 * What /etc/twinos/NAME.conf says of one coexisting OS: its kernel, its share, how it
 * is run. Files in NAME.conf.d/ come after it, in the order of their names; each key there
 * replaces what was said before. The page is twinos.conf(5).
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "libtwinos.h"

static const char suffix[] = ".conf";

static const struct {
	const char *section, *name;
} keys[CONF_KEYS] = {
	[CONF_KERNEL] = { "boot", "kernel" },
	[CONF_INITRD] = { "boot", "initrd" },
	[CONF_ROOT] = { "boot", "root" },
	[CONF_APPEND] = { "boot", "append" },
	[CONF_MEMORY] = { "share", "memory" },
	[CONF_LOW] = { "share", "low" },
	[CONF_CPUS] = { "share", "cpus" },
	[CONF_PCI] = { "share", "pci" },
	[CONF_IRQ] = { "share", "irq" },
	[CONF_MODE] = { "share", "mode" },
	[CONF_SLICE] = { "run", "slice" },
	[CONF_WEIGHT] = { "run", "weight" },
	[CONF_STOP_LIMIT] = { "run", "stop-limit" },
	[CONF_AUTOSTART] = { "run", "autostart" },
};

struct reading {
	struct ini ini;
	struct conf *conf;
	unsigned int line[CONF_KEYS];	/* where in this file */
};

static int out_of_memory(void)
{
	return refuse(ENOMEM, "not enough memory");
}

static int take_string(char **where, const char *value)
{
	free(*where);
	*where = strdup(value);
	return *where ? 0 : out_of_memory();
}

/* The kernel and the initrd, which a unit looks for from elsewhere than a person. */
static int take_path(char **where, const char *key, const char *value)
{
	free(*where);
	*where = NULL;
	if (!*value)
		return 0;
	if (*value != '/')
		return refuse(EINVAL, "%s=%s does not begin with /; give the whole path", key, value);
	return take_string(where, value);
}

static int take_root(char **where, const char *value)
{
	struct network_root root;
	int err = *value ? parse_root(value, &root) : 0;

	free(*where);
	*where = NULL;
	return err || !*value ? err : take_string(where, value);
}

/* As in the boot option twinos=. */
static int take_memory(struct share_options *share, const char *value)
{
	struct range r;
	int err;

	share->has_mem_min = share->has_mem_max = false;
	share->mem_min = share->mem_max = 0;
	if (!*value)
		return 0;
	err = parse_range("memory", value, &r);
	if (!err && (r.start | r.size) & 4095)
		err = refuse(EINVAL, "memory=%s is not aligned; give multiples of 4K", value);
	if (err)
		return err;
	share->has_mem_min = share->has_mem_max = true;
	share->mem_min = r.start;
	share->mem_max = range_end(&r) - 1;
	return 0;
}

/* A list may have blanks behind its commas, as it has where it goes on in the next line. */
static int take_list(struct share_options *share, bool *has, uint32_t *nr, const char *key,
		     const char *value)
{
	char *text = strdup(value), *to = text;
	const char *from;
	int err;

	if (!text)
		return out_of_memory();
	for (from = value; *from; from++) {
		const char *next = from + strspn(from, " \t");

		if (next != from && (to == text || to[-1] == ',' || *next == ','))
			from = next;
		*to++ = *from;
	}
	*to = 0;
	*has = false;
	*nr = 0;
	err = share_option(share, key, key, text);
	if (err)
		*nr = 0;
	free(text);
	return err;
}

static int take_low(struct share_options *share, const char *value)
{
	int err;

	share->has_low = false;
	share->low = (struct range){ 0 };
	err = share_option(share, "low", "low", value);
	if (err)
		share->low = (struct range){ 0 };
	return err;
}

static int take_mode(struct conf *conf, const char *value)
{
	enum twinos_mode mode;

	for (mode = TWINOS_TIME_SHARED; mode <= TWINOS_DEDICATED; mode++)
		if (!strcmp(value, mode_name(mode))) {
			conf->mode = mode;
			conf->has_mode = true;
			return 0;
		}
	return refuse(EINVAL, "mode=%s is neither %s nor %s", value,
		      mode_name(TWINOS_DEDICATED), mode_name(TWINOS_TIME_SHARED));
}

static int take_autostart(struct conf *conf, const char *value)
{
	if (strcmp(value, "yes") && strcmp(value, "no"))
		return refuse(EINVAL, "autostart=%s is neither yes nor no", value);
	conf->autostart = *value == 'y';
	return 0;
}

static int take_value(struct conf *conf, enum conf_key key, const char *value)
{
	struct share_options *share = &conf->share;
	const char *name = keys[key].name;

	switch (key) {
	case CONF_KERNEL:
		if (!*value)
			return refuse(EINVAL, "kernel is empty; say which one to boot");
		return take_path(&conf->kernel, name, value);
	case CONF_INITRD:
		return take_path(&conf->initrd, name, value);
	case CONF_ROOT:
		return take_root(&conf->root, value);
	case CONF_APPEND:
		return take_string(&conf->append, value);
	case CONF_MEMORY:
		return take_memory(share, value);
	case CONF_LOW:
		return take_low(share, value);
	case CONF_CPUS:
		return take_list(share, &share->has_cpus, &share->nr_cpus, name, value);
	case CONF_PCI:
		return take_list(share, &share->has_pci, &share->nr_pci, name, value);
	case CONF_IRQ:
		return take_list(share, &share->has_irq, &share->nr_irqs, name, value);
	case CONF_MODE:
		return take_mode(conf, value);
	case CONF_SLICE:
		return parse_count(name, value, 100, 1000000, " of microseconds", &conf->slice_us);
	case CONF_WEIGHT:
		return parse_count(name, value, 1, 99, " of percent", &conf->weight);
	case CONF_STOP_LIMIT:
		return parse_count(name, value, 1, CONF_STOP_LIMIT_MAX, " of seconds",
				   &conf->stop_limit);
	default:
		return take_autostart(conf, value);
	}
}

static int refuse_key(const char *section, const char *key)
{
	char known[200] = "";
	size_t used = 0;
	unsigned int i;

	for (i = 0; i < CONF_KEYS; i++)
		if (!strcmp(key, keys[i].name))
			return refuse(EINVAL, "%s belongs to [%s], not to [%s]", key,
				      keys[i].section, section);
	for (i = 0; i < CONF_KEYS; i++)
		if (!strcmp(section, keys[i].section))
			used += snprintf(known + used, sizeof(known) - used, "%s%s",
					 used ? ", " : "", keys[i].name);
	return refuse(EINVAL, "there is no key %s in [%s]; known are %s", key, section, known);
}

/* A section, or a value in one. */
static int take(struct ini *ini, const char *section, const char *key, const char *value)
{
	struct reading *r = (struct reading *)ini;
	bool known = false;
	unsigned int i;

	for (i = 0; i < CONF_KEYS; i++) {
		if (strcmp(section, keys[i].section))
			continue;
		known = true;
		if (key && !strcmp(key, keys[i].name))
			break;
	}
	if (!known)		/* which is said once, not for each key */
		return key ? 0 : refuse(EINVAL, "there is no section %s; known are boot, share, run",
					section);
	if (!key)
		return 0;
	if (i == CONF_KEYS)
		return refuse_key(section, key);
	if (r->line[i])
		return refuse(EINVAL, "%s is given twice, first on line %u; give it once", key,
			      r->line[i]);
	r->line[i] = ini->line;
	r->conf->said[i].file = ini->path;
	r->conf->said[i].line = ini->line;
	return take_value(r->conf, i, value);
}

/* Once all is read: does it go together? */
static int check_whole(struct conf *conf, finding_fn *tell, void *user)
{
	struct ini ini = { .path = conf->file, .tell = tell, .user = user };
	const bool dedicated = conf->mode == TWINOS_DEDICATED;
	int err = 0;

	if (!conf->said[CONF_KERNEL].line)
		err = ini_found(&ini, 0, refuse(EINVAL, "the key kernel is missing; say which one to boot: kernel = FILE in [boot]"));
	if (!err && conf->has_mode && dedicated != !!conf->share.nr_cpus) {
		ini.path = conf->said[CONF_MODE].file;
		err = dedicated ?
			refuse(EINVAL, "mode=dedicated needs CPUs; give them: cpus = LIST") :
			refuse(EINVAL, "mode=time-shared has no CPUs of its own; leave out cpus, or the mode");
		err = ini_found(&ini, conf->said[CONF_MODE].line, err);
	}
	if (!err && conf->root && conf->append && has_parameter(conf->append, "root")) {
		ini.path = conf->said[CONF_ROOT].file;
		err = refuse(EINVAL, "root=%s and a root= in append name two root file systems; leave one of them out",
			     conf->root);
		err = ini_found(&ini, conf->said[CONF_ROOT].line, err);
	}
	return err;
}

/* Remembers a file's name as long as the conf lives. */
static const char *remember(struct conf *conf, char *path)
{
	unsigned int nr = 0;
	char **files;

	while (conf->files && conf->files[nr])
		nr++;
	files = path ? reallocarray(conf->files, nr + 2, sizeof(*files)) : NULL;
	if (!files) {
		free(path);
		out_of_memory();
		return NULL;
	}
	files[nr] = path;
	files[nr + 1] = NULL;
	conf->files = files;
	return path;
}

static int read_one(struct conf *conf, char *path, finding_fn *tell, void *user)
{
	struct reading r = {
		.ini = {
			.path = remember(conf, path), .example = "boot", .continued = true,
			.take = take, .tell = tell, .user = user,
		},
		.conf = conf,
	};

	return r.ini.path ? read_ini(&r.ini) : -ENOMEM;
}

static bool has_suffix(const char *name)
{
	const size_t length = strlen(name);

	return *name != '.' && length > strlen(suffix) &&
	       !strcmp(name + length - strlen(suffix), suffix);
}

static int is_conf(const struct dirent *entry)
{
	return has_suffix(entry->d_name);
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* The *.conf of a folder, sorted; none if there is no such folder. */
static int scan_folder(const char *path, struct dirent ***entries)
{
	int nr = scandir(path, entries, is_conf, by_bytes);

	if (nr >= 0)
		return nr;
	*entries = NULL;
	return errno == ENOENT ? 0 :
		refuse(errno, "%s cannot be read: %s; correct or remove it", path, strerror(errno));
}

static int read_drop_ins(struct conf *conf, finding_fn *tell, void *user)
{
	struct dirent **entries;
	char *folder, *path;
	int i, nr, err = 0;

	if (asprintf(&folder, "%s.d", conf->file) < 0)
		return out_of_memory();
	nr = scan_folder(folder, &entries);
	for (i = 0; i < nr; i++) {
		if (!err && asprintf(&path, "%s/%s", folder, entries[i]->d_name) < 0)
			err = out_of_memory();
		else if (!err)
			err = read_one(conf, path, tell, user);
		free(entries[i]);
	}
	free(entries);
	free(folder);
	return nr < 0 ? nr : err;
}

static int set_name(const struct roots *roots, const char *name_or_path, struct conf *conf)
{
	const char *slash = strrchr(name_or_path, '/'), *base;
	size_t length;

	if (slash) {
		base = slash + 1;
		conf->file = strdup(name_or_path);
	} else {
		base = name_or_path;
		if (!is_name(base))
			return refuse(EINVAL, "%s cannot be the name of an OS; it is lower-case letters, digits, - and _, at most %d, and not a number",
				      base, TWINOS_NAME_SIZE - 1);
		if (asprintf(&conf->file, "%s/twinos/%s%s", roots->etc, base, suffix) < 0)
			conf->file = NULL;
	}
	if (!conf->file)
		return out_of_memory();
	length = strlen(base) - (has_suffix(base) ? strlen(suffix) : 0);
	if (length < sizeof(conf->name)) {
		snprintf(conf->name, sizeof(conf->name), "%.*s", (int)length, base);
		if (!is_name(conf->name))
			*conf->name = 0;
	}
	return 0;
}

/**
 * read_conf() - what a file and its drop-ins say
 * @name_or_path: with a slash, a file; else NAME of /etc/twinos/NAME.conf
 * @conf: to be freed with free_conf() in any case
 * @tell: is told of everything that is wrong; NULL: the first is refused
 *
 * With @tell it returns an error only if there is no such file, or one cannot be read.
 */
int read_conf(const struct roots *roots, const char *name_or_path, struct conf *conf,
	      finding_fn *tell, void *user)
{
	char *path;
	int err;

	*conf = (struct conf){ .stop_limit = CONF_STOP_LIMIT_DEFAULT };
	err = set_name(roots, name_or_path, conf);
	if (err)
		return err;
	path = strdup(conf->file);
	err = read_one(conf, path, tell, user);
	if (err == -ENOENT)
		return refuse(ENOENT, "there is no %s; write it, see twinos.conf(5), or let twinos plan do it",
			      conf->file);
	if (!err)
		err = read_drop_ins(conf, tell, user);
	return err ? err : check_whole(conf, tell, user);
}

void free_conf(struct conf *conf)
{
	char **file;

	for (file = conf->files; file && *file; file++)
		free(*file);
	free(conf->files);
	free(conf->file);
	free(conf->kernel);
	free(conf->initrd);
	free(conf->root);
	free(conf->append);
	*conf = (struct conf){ 0 };
}

/** list_confs() - those of /etc/twinos; none if there is no such folder */
int list_confs(const struct roots *roots, struct conf_names *names)
{
	struct dirent **entries;
	char path[300];
	int i, nr;

	*names = (struct conf_names){ 0 };
	snprintf(path, sizeof(path), "%s/twinos", roots->etc);
	nr = scan_folder(path, &entries);
	if (nr < 0)
		return nr;
	names->name = calloc(nr + 1, sizeof(*names->name));
	for (i = 0; i < nr; i++) {
		const char *name = entries[i]->d_name;

		if (names->name)
			names->name[names->nr++] = strndup(name, strlen(name) - strlen(suffix));
		free(entries[i]);
	}
	free(entries);
	for (i = 0; names->name && i < nr; i++)
		if (!names->name[i])
			nr = -1;
	if (names->name && nr >= 0)
		return 0;
	free_conf_names(names);
	return out_of_memory();
}

void free_conf_names(struct conf_names *names)
{
	unsigned int i;

	for (i = 0; names->name && i < names->nr; i++)
		free(names->name[i]);
	free(names->name);
	*names = (struct conf_names){ 0 };
}
