/* SPDX-License-Identifier: MIT */
/*
 * Reading /proc/self/maps.  Floor 1; no state.
 */
#include "lib/maps.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/error.h"

static bool parse(const char *line, struct ftr__mapping *m)
{
	char prot[5];

	if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &m->start, &m->end, prot) != 3)
		return false;
	m->readable = prot[0] == 'r';
	m->writable = prot[1] == 'w';
	m->executable = prot[2] == 'x';
	m->shared = prot[3] == 's';
	return true;
}

static bool append(struct ftr__maps *maps, size_t *room, const struct ftr__mapping *m)
{
	if (maps->n == *room) {
		size_t more = *room ? *room * 2 : 128;
		void *list = realloc(maps->list, more * sizeof *maps->list);
		if (!list)
			return false;
		maps->list = list;
		*room = more;
	}
	maps->list[maps->n++] = *m;
	return true;
}

int ftr__maps_read(struct ftr__maps *maps)
{
	FILE *f = fopen("/proc/self/maps", "re");
	struct ftr__mapping m;
	char line[512];
	size_t room = 0;
	bool fresh = true, ok = true;

	maps->list = NULL;
	maps->n = 0;
	if (!f)
		return ftr__fail(EACCES, "/proc/self/maps can't be read (errno %d)", errno);
	/* A long path continues over several reads: look at line starts alone. */
	while (ok && fgets(line, sizeof line, f)) {
		if (fresh && parse(line, &m))
			ok = append(maps, &room, &m);
		fresh = strchr(line, '\n') != NULL;
	}
	fclose(f);
	if (ok)
		return 0;
	ftr__maps_free(maps);
	return ftr__fail(ENOMEM, "no memory for the list of mappings");
}

void ftr__maps_free(struct ftr__maps *maps)
{
	free(maps->list);
	maps->list = NULL;
	maps->n = 0;
}

uintptr_t ftr__maps_initial_sp(void)
{
	enum { FIRST_FIELD = 3, FIELD = 28 };
	FILE *f = fopen("/proc/self/stat", "re");
	char line[1024];

	if (!f)
		return 0;
	/* The second field, in parentheses, may have any characters. */
	char *at = fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL;
	fclose(f);
	for (int field = FIRST_FIELD; at && field <= FIELD; field++)
		at = strchr(at + 1, ' ');
	return at ? (uintptr_t)strtoull(at, NULL, 10) : 0;
}

uintptr_t ftr__maps_gap(const struct ftr__maps *maps, uintptr_t low, uintptr_t high, size_t size,
			size_t margin, bool highest)
{
	uintptr_t best = 0, from = low;

	/* Gap i ends where mapping i starts; the last one ends at high. */
	for (size_t i = 0; i <= maps->n && from < high; i++) {
		uintptr_t to = high;
		if (i < maps->n && maps->list[i].start < high + margin)
			to = maps->list[i].start > margin ? maps->list[i].start - margin : 0;
		if (to > from && to - from >= size) {
			best = highest ? to - size : from;
			if (!highest)
				break;
		}
		if (i < maps->n && maps->list[i].end + margin > from)
			from = maps->list[i].end + margin;
	}
	return best;
}
