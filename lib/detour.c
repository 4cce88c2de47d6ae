/* SPDX-License-Identifier: MIT */
/*
 * See detour.h.  Floor 4.
 *
 * An area's pages are made one after the other.  The last of them is replaced by
 * a page with the same detours and more: where code comes by memory files that is
 * one step, in which threads may stand; elsewhere each sealing begins a page.
 */
#include "lib/detour.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/exec.h"
#include "lib/search.h"
#include "lib/unwind.h"

enum {
	AREA_DETOURS = FTR__DETOURS_SIZE / FTR__DETOUR_SIZE,
	AREAS_MAX = 4096,
	NEAR = 1 << 30 /* how far from the module an area is looked for first */
};

/* One for each detour. */
union words {
	uintptr_t word[FTR__DETOUR_WORDS];
	uint8_t size[FTR__DETOUR_SIZE];
};

struct area {
	uintptr_t code;
	union words *words;
	uint8_t *copy;         /* of the code; NULL once it is full */
	unsigned used, sealed; /* detours */
};

static struct area areas[AREAS_MAX];
static size_t n_areas; /* published after the area is complete */
static size_t n_detours;

static uintptr_t detour_at(const struct area *area, unsigned i)
{
	return area->code + (uintptr_t)i * FTR__DETOUR_SIZE;
}

/* --- areas ------------------------------------------------------------------ */

/* All of the area and all of [low, high) within reach of each other. */
static bool within(const struct area *area, uintptr_t low, uintptr_t high)
{
	uintptr_t end = area->code + 3 * FTR__DETOURS_SIZE;
	uintptr_t reach = ftr__backend->reach;

	if (area->code < low)
		low = area->code;
	if (end > high)
		high = end;
	return !reach || high - low < reach;
}

/* One with room: near, or any. */
static struct area *area_find(uintptr_t low, uintptr_t high, bool near)
{
	for (size_t i = 0; i < n_areas; i++)
		if (areas[i].used < AREA_DETOURS && (!near || within(&areas[i], low, high)))
			return &areas[i];
	return NULL;
}

/* Or give it back. */
static int tell_unwinders(uintptr_t at, size_t data_size)
{
	int result = ftr__unwind_area(&(struct ftr__unwind_area){
		.code = at, .size = FTR__DETOURS_SIZE, .cfi = &ftr__backend->detour_cfi,
		.name = "ftr_dtr" });

	if (result)
		munmap((void *)at, FTR__DETOURS_SIZE + data_size);
	return result;
}

static int area_make(uintptr_t low, uintptr_t high, bool highest)
{
	size_t data_size = 2 * FTR__DETOURS_SIZE;
	uintptr_t at;

	if (n_areas == AREAS_MAX)
		return ftr__fail(ENOSPC, "there are too many probes: %d", AREAS_MAX * AREA_DETOURS);
	uint8_t *copy = malloc(FTR__DETOURS_SIZE);
	if (!copy)
		return ftr__fail(ENOMEM, "no memory to make the code of probes in");
	int result = ftr__exec_reserve(low, high, FTR__DETOURS_SIZE, data_size, highest, &at);
	if (!result)
		result = tell_unwinders(at, data_size);
	if (result) {
		free(copy);
		return result;
	}
	uintptr_t words = at + FTR__DETOURS_SIZE;
	ftr__search_ignore(words, words + data_size);
	areas[n_areas] = (struct area){ .code = at, .copy = copy, .words = (void *)words };
	FTR__PUBLISH(n_areas, n_areas + 1);
	return 0;
}

/* Above the module, or below it; *made stays false where there is no room, also
 * where the kernel keeps it to itself. */
static int make_near(uintptr_t low, uintptr_t high, bool *made)
{
	uintptr_t reach = ftr__backend->reach;
	uintptr_t top = high > UINTPTR_MAX - NEAR ? UINTPTR_MAX : high + NEAR;
	uintptr_t bottom = high > reach ? high - reach : 0x10000;
	int result;

	*made = false;
	if (high - low >= reach)
		return 0;
	result = area_make(high, low + reach < top ? low + reach : top, true);
	if (result == -ENOSPC || result == -ENOMEM)
		result = area_make(bottom, low, true);
	*made = !result;
	return result == -ENOSPC || result == -ENOMEM ? 0 : result;
}

/* Near the module, or anywhere: then what it refers to is out of reach. */
static int area_get(uintptr_t low, uintptr_t high, struct area **area)
{
	bool made = false;
	int result = 0;

	*area = area_find(low, high, true);
	if (*area)
		return 0;
	if (ftr__backend->reach)
		result = make_near(low, high, &made);
	if (!result && !made)
		*area = area_find(low, high, false);
	if (*area)
		return 0;
	if (!result && !made)
		result = area_make(1 << 20, UINTPTR_MAX / 2, true);
	if (!result)
		*area = &areas[n_areas - 1];
	return result;
}

/* --- detours ------------------------------------------------------------------ */

/* For unwinders, at each byte of the detour. */
static void tell_stack(uintptr_t at, const struct ftr__detour_map *map)
{
	uint8_t *told = (uint8_t *)at + 2 * FTR__DETOURS_SIZE;

	for (unsigned i = 0; i < map->n_steps; i++) {
		const struct ftr__moved_step *step = &map->steps[i];
		memset(told + step->at,
		       step->sp / (int)sizeof(void *) | step->where << FTR__DETOUR_WHERE,
		       FTR__DETOUR_SIZE - step->at);
	}
}

int ftr__detour_make(const struct ftr__detour_request *request, uintptr_t *at,
		   struct ftr__detour_map *map)
{
	struct area *area;
	int result = area_get(request->low, request->high, &area);

	if (result)
		return result;
	uintptr_t *words = area->words[area->used].word;
	struct ftr__detour detour = { .bytes = request->bytes, .room = request->room,
				  .ip = request->ip, .at = detour_at(area, area->used),
				  .words = (uintptr_t)words, .post = request->post };
	result = ftr__backend->detour_emit(
		&detour, area->copy + (size_t)area->used * FTR__DETOUR_SIZE, map);
	if (result)
		return result;
	words[FTR__DETOUR_POINT] = (uintptr_t)request->point;
	words[FTR__DETOUR_IP] = request->ip;
	words[FTR__DETOUR_NEXT] = request->ip + map->length;
	words[FTR__DETOUR_TARGET] = map->target;
	words[FTR__DETOUR_CALLER] = ftr__backend->detour_caller(request->post);
	tell_stack(detour.at, map);
	*at = detour.at;
	area->used++;
	n_detours++;
	return 0;
}

/* Whole pages, from that of the first new detour on. */
static int seal(struct area *area)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), size = FTR__DETOUR_SIZE;
	size_t start = ftr__align_down(area->sealed * size, page);
	size_t end = ftr__align_up(area->used * size, page);

	bool in_use = start != area->sealed * size;
	int result = (in_use ? ftr__exec_replace : ftr__exec_seal)(
		area->code + start, area->copy + start, end - start);
	if (result)
		return result;
	if (!ftr__exec_replaces())
		area->used = (unsigned)(end / size);
	area->sealed = area->used;
	if (area->used == AREA_DETOURS) {
		free(area->copy);
		area->copy = NULL;
	}
	return 0;
}

int ftr__detours_seal(void)
{
	int result = 0;

	for (size_t i = 0; i < n_areas && !result; i++)
		if (areas[i].used > areas[i].sealed)
			result = seal(&areas[i]);
	return result;
}

void ftr__detours_drop(void)
{
	for (size_t i = 0; i < n_areas; i++) {
		n_detours -= areas[i].used - areas[i].sealed;
		areas[i].used = areas[i].sealed;
	}
}

bool ftr__detour_is_sealed(uintptr_t at)
{
	for (size_t i = 0; i < n_areas; i++)
		if (at - areas[i].code < FTR__DETOURS_SIZE)
			return at < detour_at(&areas[i], areas[i].sealed);
	return false;
}

FTR__BARE struct ftr__point *ftr__detour_find(uintptr_t ip, uintptr_t *start)
{
	size_t n = FTR__FETCH(n_areas), size = (size_t)AREA_DETOURS * FTR__DETOUR_SIZE;

	for (size_t i = 0; i < n; i++) {
		if (ip - areas[i].code >= size)
			continue;
		unsigned detour = (unsigned)((ip - areas[i].code) / FTR__DETOUR_SIZE);
		*start = areas[i].code + (uintptr_t)detour * FTR__DETOUR_SIZE;
		return (struct ftr__point *)areas[i].words[detour].word[FTR__DETOUR_POINT];
	}
	return NULL;
}

size_t ftr__detour_count(void)
{
	return n_detours;
}
