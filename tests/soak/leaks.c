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

/*
 * Of the trampolines that the library tells of: a page of slots is a mapping, an
 * area of them has two more (the callers, and what is reserved for more pages),
 * one of stubs, or of jumps, is two (code and data); a page of cells is one, and
 * its records' data blocks may be one; all of them have three more.
 */
static void count_trampolines(struct soak_usage *usage)
{
	FILE *f = tmpfile();
	char line[256];
	long pages, areas, stub_areas, cells, jump_areas;
	int found = 0, found_hooks = 0;

	if (!f)
		soak_fail("no temporary file");
	soak_ok("ftr_dump", ftr_dump(fileno(f)));
	rewind(f);
	while (found != 4 && fgets(line, sizeof(line), f))
		found = sscanf(line, "# slots %ld in %ld pages of %ld areas, waiting to serve again"
			       " %*d; stubs %*d in %ld areas", &usage->slots, &pages, &areas,
			       &stub_areas);
	if (fgets(line, sizeof(line), f))
		found_hooks = sscanf(line, "# return hooks: records %*d in %ld pages, pending %*d;"
				     " jumps in %ld areas", &cells, &jump_areas);
	fclose(f);
	if (found != 4 || found_hooks != 2)
		soak_fail("ftr_dump() tells of no slots, or of no return hooks");
	usage->trampolines = pages + 2 * (areas + stub_areas + jump_areas) + 2 * cells + 3 * !!cells;
}

struct soak_usage usage_now(void)
{
	struct soak_usage usage;

	count_trampolines(&usage);
	usage.descriptors = count_descriptors();
	usage.bytes = (long)mallinfo2().uordblks;
	usage.mappings = count_mappings();
	return usage;
}
