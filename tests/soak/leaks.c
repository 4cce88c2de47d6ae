/* SPDX-License-Identifier: MIT */
/*
 * What the process has of mappings, descriptors, allocated bytes, and what the
 * library keeps for threads that may be late (P9): trampoline slots.
 */
#include <dirent.h>
#include <ftr/ftr.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/soak/soak.h"

static long count_mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	long n = 0;
	int c;

	if (!f)
		soak_fail("/proc/self/maps can't be read");
	while ((c = getc(f)) != EOF)
		n += c == '\n';
	fclose(f);
	return n;
}

static long count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	long n = -1; /* but for dir itself */

	if (!dir)
		soak_fail("/proc/self/fd can't be read");
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static long count_slots(void)
{
	FILE *f = tmpfile();
	char line[256];
	long n = -1;

	if (!f)
		soak_fail("no temporary file");
	soak_ok("ftr_dump", ftr_dump(fileno(f)));
	rewind(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "# slots %ld", &n) == 1)
			break;
	fclose(f);
	if (n < 0)
		soak_fail("ftr_dump() tells of no slots");
	return n;
}

struct soak_usage usage_now(void)
{
	struct soak_usage usage;

	usage.slots = count_slots();
	usage.descriptors = count_descriptors();
	usage.bytes = (long)mallinfo2().uordblks;
	usage.mappings = count_mappings();
	return usage;
}
