// SPDX-License-Identifier: GPL-2.0
/*
 * The coexisting OS's command line: what was asked for, without the words that
 * reach for a device or memory outside the share. They have to go here: the
 * kernel obeys most of them before it knows that it is a coexisting one, and its
 * decompressor reads some of them itself.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "libtwinos.h"

#define NR(table) (sizeof(table) / sizeof((table)[0]))

/* The serial ports of the share. */
struct ports {
	bool isa[2];			/* ttyS0 and ttyS1 at their usual places */
	bool pci;			/* some PCI function, which may be any ttyS */
};

/* Addresses and interrupt pins of the ports that a coexisting kernel looks for. */
static const struct {
	unsigned long address;
	uint32_t pin;
} isa_ports[2] = { { 0x3f8, 4 }, { 0x2f8, 3 } };

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

static bool has_tty(unsigned long number, const struct ports *ports)
{
	return ports->pci || (number < NR(ports->isa) && ports->isa[number]);
}

static bool has_address(unsigned long address, const struct ports *ports)
{
	unsigned int i;

	for (i = 0; i < NR(isa_ports); i++)
		if (address == isa_ports[i].address)
			return ports->isa[i];
	return false;
}

/*
 * Is a word that takes a value usable with this one? Early consoles are so only
 * if they are nothing but an ISA port of the share: they know PCI functions by
 * addresses that cannot be checked here, or use the configuration ports without
 * the lock that all OSes take for them.
 */
typedef bool usable_fn(const char *value, const struct ports *ports);

/* NAME,io,ADDRESS[,OPTIONS]. "mmio", no address at all: not known to be ours. */
static bool usable_earlycon(const char *value, const struct ports *ports)
{
	const char *comma = strchr(value, ',');
	unsigned long address;
	char *end;

	if (!comma || !begins(comma, ",io,"))
		return false;
	address = strtoul(comma + 4, &end, 0);
	return (!*end || *end == ',') && has_address(address, ports);
}

/*
 * [serial][,]ttyS0|ttyS1|ADDRESS[,BAUD][,keep], or serial alone, which is ttyS0.
 * The kernel looks for names of devices at every character, so behind the port
 * there must be none.
 */
static bool usable_earlyprintk(const char *value, const struct ports *ports)
{
	const char *rest = value;
	bool ours = false;
	char *end;

	if (begins(rest, "serial"))
		rest += strlen("serial");
	if (*rest == ',')
		rest++;
	if (begins(rest, "ttyS") && (rest[4] == '0' || rest[4] == '1')) {
		ours = ports->isa[rest[4] - '0'];
		rest += strlen("ttyS0");
	} else if (begins(rest, "0x")) {
		ours = has_address(strtoul(rest, &end, 16), ports);
		rest = end;
	} else if (!strcmp(value, "serial") || begins(value, "serial,keep")) {
		ours = ports->isa[0];
		rest = value + strlen("serial");
	}
	return ours && (!*rest || *rest == ',') && !rest[strspn(rest, "0123456789,keepnocfg")];
}

/*
 * A console that is not there would hide those of the same driver behind it. One
 * that an early console could be made of is registered as such.
 */
static bool usable_console(const char *value, const struct ports *ports)
{
	const char *options = strchr(value, ',');

	if (strchr(value, ':'))		/* a device by its name, if there is one */
		return true;
	if (begins(value, "ttyS") && (isdigit(value[4]) || value[4] == ',' || !value[4]))
		return has_tty(strtoul(value + 4, NULL, 10), ports);
	if (isdigit(*value))		/* the same in short */
		return has_tty(strtoul(value, NULL, 10), ports);
	if (begins(value, "uart") ||
	    (options && (begins(options, ",io,") || begins(options, ",mmio") ||
			 begins(options, ",0x"))))
		return usable_earlycon(value, ports);
	/* The parallel port, and braille devices at a serial one. */
	return !begins(value, "lp") && !begins(value, "brl");
}

/* The debugger's [kms,][kbd,]TTY[,BAUD]. The keyboard's controller is never ours. */
static bool usable_kgdboc(const char *value, const struct ports *ports)
{
	const char *word;

	for (word = value; word; word = strchr(word, ',')) {
		word += *word == ',';
		if (begins(word, "kbd"))
			return false;
		if (begins(word, "ttyS") && isdigit(word[4]) &&
		    !has_tty(strtoul(word + 4, NULL, 10), ports))
			return false;
	}
	return true;
}

/* Consoles and debuggers. */
static const struct {
	const char *name;
	usable_fn *usable;
} consoles[] = {
	{ "console", usable_console }, { "earlyprintk", usable_earlyprintk },
	{ "earlycon", usable_earlycon }, { "kgdboc", usable_kgdboc },
	{ "kgdboc.kgdboc", usable_kgdboc }, { "ekgdboc", usable_kgdboc },
};

/* Never usable; a '*' stands for any end of the name. */
static const char *const foreign[] = {
	/* The debug port of a USB controller. */
	"kgdbdbgp",
	/* Memory by its address: the share's map has what there is. */
	"mem", "memmap", "crashkernel", "reserve", "initrdmem", "elfcorehdr", "efi_fake_mem",
	"twinos",
	/* Encrypted memory, which the other kernels could not read. */
	"mem_encrypt",
	/* A hibernated system, which a coexisting OS never was. */
	"resume", "resume_offset", "resumedelay", "resumewait",
	/*
	 * The machine's interrupt controllers, IOMMUs, buses and firmware. Some would cut
	 * this OS off from its own devices, or switch a local APIC that it shares.
	 */
	"noapic", "nolapic", "disableapic", "nox2apic", "nosmp", "intremap", "nointremap",
	"iommu", "iommu.*", "intel_iommu", "amd_iommu*", "ivrs_*", "pci", "pcie_*", "acpi",
	"acpi_*", "pnpacpi",
};

/* A boot loader's own words, which nobody expects to be there. */
static const char *const silent[] = { "BOOT_IMAGE", "initrd" };

/* What the kernel takes for a space; one is beyond ASCII. */
static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || c == '\xa0';
}

static char *skip_spaces(char *at)
{
	while (is_space(*at))
		at++;
	return at;
}

/*
 * Split off one word as the kernel does (Documentation/admin-guide/kernel-parameters.rst):
 * a quote anywhere in it protects spaces, those around the word or its value
 * belong to neither. Returns where the next one begins; *value is NULL without "=".
 */
static char *next_word(char *at, char **name, char **value)
{
	bool quoted = *at == '"', inside = quoted;
	char *end, *equals = NULL;

	at += quoted;
	for (end = at; *end && (inside || !is_space(*end)); end++) {
		if (*end == '=' && !equals && end > at)
			equals = end;
		if (*end == '"')
			inside = !inside;
	}
	*name = at;
	*value = equals ? equals + 1 : NULL;
	at = *end ? skip_spaces(end + 1) : end;
	if (end > *name && end[-1] == '"' && (quoted || (equals && **value == '"')))
		end[-1] = 0;
	*end = 0;
	if (equals) {
		*equals = 0;
		*value += **value == '"';
	}
	return at;
}

/* Dashes and underscores are the same in a name. */
static bool same_name(const char *name, const char *wanted)
{
	for (; *wanted && *wanted != '*'; name++, wanted++)
		if ((*name == '-' ? '_' : *name) != *wanted)
			return false;
	return *wanted == '*' || !*name;
}

static bool listed(const char *name, const char *const *list, unsigned int nr)
{
	for (; nr; list++, nr--)
		if (same_name(name, *list))
			return true;
	return false;
}

static bool usable(const char *name, const char *value, const struct ports *ports)
{
	unsigned int i;

	for (i = 0; i < NR(consoles); i++)
		if (same_name(name, consoles[i].name))
			return consoles[i].usable(value ? value : "", ports);
	return !listed(name, foreign, NR(foreign)) && !listed(name, silent, NR(silent));
}

/**
 * fit_command_line() - what of a command line a coexisting OS can do with
 * @text: as the user or the leading OS has it
 * @pci_serial: a PCI function of the share is a serial port
 * @fitted: the rest, to be freed; what is behind "--" is init's and stays
 * @left_out: what is missing in it and worth a line, to be freed; "" if nothing
 */
int fit_command_line(const char *text, const struct share_options *share, bool pci_serial,
		     char **fitted, char **left_out)
{
	struct ports ports = { .pci = pci_serial };
	char *copy = strdup(text), *at, *next, *name, *value;
	unsigned int i, j;
	size_t n;

	for (i = 0; i < NR(isa_ports); i++)
		for (j = 0; j < share->nr_irqs; j++)
			ports.isa[i] |= share->irqs[j] == isa_ports[i].pin;
	*fitted = calloc(1, strlen(text) + 1);
	*left_out = calloc(1, strlen(text) + 2);
	if (!copy || !*fitted || !*left_out) {
		free(copy);
		return refuse(ENOMEM, "not enough memory for the command line");
	}
	/* The copy is cut into words; its bytes keep their places. */
	at = skip_spaces(copy);
	strncat(*fitted, text, at - copy);
	for (; *at; at = next) {
		next = next_word(at, &name, &value);
		if (!value && !strcmp(name, "--")) {
			strcat(*fitted, text + (at - copy));
			break;
		}
		n = next - at;
		if (usable(name, value, &ports)) {
			strncat(*fitted, text + (at - copy), n);
		} else if (!listed(name, silent, NR(silent))) {
			while (n && is_space(text[at - copy + n - 1]))
				n--;
			strcat(*left_out, **left_out ? " " : "");
			strncat(*left_out, text + (at - copy), n);
		}
	}
	free(copy);
	/* It is for people's eyes, in one line. */
	for (at = *left_out; *at; at++)
		if (iscntrl((unsigned char)*at))
			*at = '?';
	return 0;
}

/** has_parameter() - is it given one of this name, for itself and not for init? */
bool has_parameter(const char *text, const char *name)
{
	char *copy = strdup(text), *at, *word, *value;
	bool has = false;

	for (at = copy ? skip_spaces(copy) : NULL; at && *at && !has;) {
		at = next_word(at, &word, &value);
		if (!value && !strcmp(word, "--"))
			break;
		has = same_name(word, name);
	}
	free(copy);
	return has;
}
