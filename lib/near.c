/* SPDX-License-Identifier: MIT */
/*
 * See near.h.  Floor 4.
 */
#include "lib/near.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "lib/error.h"
#include "lib/exec.h"
#include "lib/jump.h"
#include "lib/search.h"
#include "lib/unwind.h"

enum { PAGE = 4096 };

struct area {
	struct area *next;
	uintptr_t code;   /* of the first jump that serves */
	uintptr_t *words; /* where they lead */
	size_t used, room;
};

static struct area *areas;

static uintptr_t jump_at(const struct area *a, size_t i)
{
	return a->code + i * ftr__backend->near_size;
}

static bool reaches(uintptr_t from, const struct ftr__module *m)
{
	uintptr_t low = from < m->low ? from : m->low;
	uintptr_t high = from > m->high ? from : m->high;

	return !ftr__backend->reach || high - low < ftr__backend->reach;
}

static uintptr_t find(const struct ftr__module *m, uintptr_t target)
{
	for (const struct area *a = areas; a; a = a->next)
		for (size_t i = 0; i < a->used; i++)
			if (a->words[i] == target && reaches(jump_at(a, i), m))
				return jump_at(a, i);
	return 0;
}

static struct area *find_room(const struct ftr__module *m)
{
	struct area *a = areas;

	while (a && (a->used == a->room || !reaches(jump_at(a, 0), m) ||
		     !reaches(jump_at(a, a->room), m)))
		a = a->next;
	return a;
}

static int fill(uintptr_t at)
{
	uint8_t code[PAGE];

	ftr__backend->near_emit(code, PAGE / ftr__backend->near_size, PAGE);
	return ftr__exec_seal(at, code, PAGE);
}

/* Unwinders know the area by the address of what would be its first jump: that
 * one is left out. */
static int make(const struct ftr__module *m, struct area *area)
{
	size_t n = PAGE / ftr__backend->near_size;
	uintptr_t at;
	int result = ftr__jump_reserve(m, PAGE, PAGE, &at);

	if (result)
		return result;
	const struct ftr__unwind_area unwind = { at, PAGE, &ftr__backend->near_cfi, "ftr_near", 0 };
	result = fill(at);
	if (!result)
		result = ftr__unwind_area(&unwind);
	if (result) {
		munmap((void *)at, 2 * PAGE);
		return result;
	}
	ftr__search_ignore(at + PAGE, at + 2 * PAGE);
	*area = (struct area){ .next = areas, .code = at + ftr__backend->near_size,
			       .words = (uintptr_t *)(at + PAGE) + 1, .room = n - 1 };
	areas = area;
	return 0;
}

int ftr__near(const struct ftr__module *m, uintptr_t target, uintptr_t *at)
{
	*at = reaches(target, m) ? target : find(m, target);
	if (*at)
		return 0;
	struct area *area = find_room(m);
	if (!area) {
		area = malloc(sizeof *area);
		int result = area ? make(m, area) : ftr__fail(ENOMEM, "no memory for a jump");
		if (result) {
			free(area);
			return result;
		}
	}
	*at = jump_at(area, area->used);
	area->words[area->used++] = target;
	return 0;
}
