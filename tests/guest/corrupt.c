// SPDX-License-Identifier: GPL-2.0
/*
 * Makes a damaged copy of a file, for the tests of what kexec refuses: cut to
 * a length, or with a field of 1 to 8 bytes at an offset set to a value
 * (little-endian).
 */
#include "guest.h"

int main(int argc, char **argv)
{
	static const char grammar[] = "IN OUT cut LENGTH | IN OUT set OFFSET BYTES VALUE";
	uint64_t length, offset, bytes, value, i;
	unsigned char *data;
	FILE *file;

	if (argc < 5)
		usage(grammar);
	file = fopen(argv[1], "r");
	if (!file)
		failed("%s: %s", argv[1], strerror(errno));
	fseek(file, 0, SEEK_END);
	length = ftell(file);
	rewind(file);
	data = malloc(length + 1);
	if (!data || fread(data, 1, length, file) != length)
		failed("%s: cannot be read", argv[1]);
	fclose(file);

	if (argc == 5 && !strcmp(argv[3], "cut")) {
		if (number(argv[4]) > length)
			failed("%s has only %llu bytes", argv[1], (unsigned long long)length);
		length = number(argv[4]);
	} else if (argc == 7 && !strcmp(argv[3], "set")) {
		offset = number(argv[4]);
		bytes = number(argv[5]);
		value = number(argv[6]);
		if (!bytes || bytes > 8)
			usage(grammar);
		if (offset > length || bytes > length - offset)
			failed("%s has only %llu bytes", argv[1], (unsigned long long)length);
		for (i = 0; i < bytes; i++)
			data[offset + i] = value >> 8 * i;
	} else {
		usage(grammar);
	}

	file = fopen(argv[2], "w");
	if (!file || fwrite(data, 1, length, file) != length || fclose(file))
		failed("%s: %s", argv[2], strerror(errno));
	ok("%s bytes %llu", argv[2], (unsigned long long)length);
}
