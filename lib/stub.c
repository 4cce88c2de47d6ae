/* SPDX-License-Identifier: MIT */
/*
 * See stub.h.  Floor 3.
 *
 * An area's code is written once; stub i goes by entry i of the data behind
 * it, so filling in a stub is two stores.  The entries are a hash table with
 * linear probing, from which nothing is taken out but everything at once.  The
 * first stub is none: our own words that hold an area's address tell of no
 * thread in it.
 */
#include "lib/stub.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/error.h"
#include "lib/exec.h"
#include "lib/unwind.h"

enum {
	AREA_STUBS = 4096, /* a power of two */
	ROOM = 256,        /* what a large batch gets at least */
	RECLAIM_MS = 250
};

struct entry {
	uintptr_t next;   /* 0: free; claimed by a compare-and-swap */
	uintptr_t target; /* 0: claimed, not yet filled in */
};

struct area {
	uintptr_t code;
	struct entry *entries;
	size_t used;
};

static struct area areas[FTR__STUB_AREAS];
static size_t n_areas; /* published after the area is complete */
size_t ftr__stub_limit = AREA_STUBS / 4 * 3;

/* Batches to let pass before the next try to empty the areas. */
static unsigned tries_off, patience = 1;

/* --- in the trap handler ------------------------------------------------------ */

FTR__BARE static size_t hash(uintptr_t next, uintptr_t target)
{
	uint32_t h = (uint32_t)next * 0x9e3779b1u ^ (uint32_t)target * 0x85ebca6bu;

	return h >> 12;
}

FTR__BARE static uintptr_t stub_of(const struct area *area, size_t i)
{
	return area->code + i * ftr__backend->stub_size;
}

FTR__BARE static bool claim(struct area *area, struct entry *e, uintptr_t next, uintptr_t target)
{
	uintptr_t none = 0;

	if (!__atomic_compare_exchange_n(&e->next, &none, next, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_RELAXED))
		return false;
	__atomic_fetch_add(&area->used, 1, __ATOMIC_RELAXED);
	FTR__PUBLISH(e->target, target);
	return true;
}

/*
 * An entry that another thread claims meanwhile is passed over, even if it
 * becomes that of the same pair: two stubs of one kind do no harm.
 */
FTR__BARE static uintptr_t look_up(struct area *area, uintptr_t next, uintptr_t target,
				   bool may_claim)
{
	size_t start = hash(next, target);

	for (size_t k = 0; k < AREA_STUBS - 1; k++) {
		size_t i = 1 + (start + k) % (AREA_STUBS - 1);
		struct entry *e = &area->entries[i];
		uintptr_t seen = FTR__FETCH(e->next);
		if (seen == next && FTR__FETCH(e->target) == target)
			return stub_of(area, i);
		if (seen)
			continue;
		if (!may_claim || FTR__READ_ONCE(area->used) >= ftr__stub_limit)
			return 0;
		if (claim(area, e, next, target))
			return stub_of(area, i);
	}
	return 0;
}

FTR__BARE uintptr_t ftr__stub_get(uintptr_t next, uintptr_t target)
{
	size_t n = FTR__FETCH(n_areas);
	uintptr_t stub = 0;

	for (size_t i = 0; i < n && !stub; i++)
		stub = look_up(&areas[i], next, target, i == n - 1);
	return stub;
}

/* --- room ------------------------------------------------------------------------- */

static int fill(uintptr_t at, size_t code_size)
{
	uint8_t *code = malloc(code_size);

	if (!code)
		return ftr__fail(ENOMEM, "no memory to make stubs in");
	for (size_t i = 0; i < AREA_STUBS; i++)
		ftr__backend->stub_emit(code + i * ftr__backend->stub_size,
					at + code_size + i * sizeof(struct entry));
	int result = ftr__exec_seal(at, code, code_size);
	free(code);
	return result;
}

/* Anywhere: a stub is entered by a signal's return and left by a jump through
 * memory. */
static int area_make(void)
{
	size_t code_size = (size_t)AREA_STUBS * ftr__backend->stub_size;
	size_t data_size = AREA_STUBS * sizeof(struct entry);
	uintptr_t at;
	int result = ftr__exec_reserve(1 << 20, UINTPTR_MAX / 2, code_size, data_size, true, &at);

	if (result)
		return result;
	const struct ftr__unwind_area unwind = { at, code_size, &ftr__backend->stub_cfi,
						 "ftr_stub", 0 };
	result = fill(at, code_size);
	if (!result)
		result = ftr__unwind_area(&unwind);
	if (result) {
		munmap((void *)at, code_size + data_size);
		return result;
	}
	areas[n_areas] = (struct area){ .code = at,
					.entries = (struct entry *)(at + code_size) };
	FTR__PUBLISH(n_areas, n_areas + 1);
	return 0;
}

static int by_start(const void *a, const void *b)
{
	const struct ftr__inside *x = a, *y = b;

	return x->after < y->after ? -1 : x->after > y->after;
}

size_t ftr__stub_ranges(struct ftr__inside *ranges)
{
	for (size_t i = 0; i < n_areas; i++)
		ranges[i] = (struct ftr__inside){ .after = areas[i].code,
						  .end = stub_of(&areas[i], AREA_STUBS) };
	return n_areas;
}

/* No batch is published: nobody enters a stub meanwhile. */
static bool empty(void)
{
	struct ftr__inside ranges[FTR__STUB_AREAS];
	size_t n = ftr__stub_ranges(ranges);

	qsort(ranges, n, sizeof *ranges, by_start);
	if (ftr__rendezvous(ranges, n, RECLAIM_MS) != 0)
		return false;
	for (size_t i = 0; i < n_areas; i++) {
		memset(areas[i].entries, 0, AREA_STUBS * sizeof *areas[i].entries);
		areas[i].used = 0;
	}
	return true;
}

/* Where it can't be had the batch goes on with what there is: a trap that finds
 * no stub waits for the batch's end. */
static void try_to_empty(void)
{
	if (tries_off) {
		tries_off--;
		return;
	}
	patience = empty() ? 1 : 2 * patience;
	tries_off = patience - 1;
}

int ftr__stub_prepare(size_t n)
{
	size_t want = n < ROOM / 2 ? 2 * n : ROOM; /* for the calls before and after */

	if (!ftr__backend->stub_size)
		return 0;
	if (want > ftr__stub_limit)
		want = ftr__stub_limit;
	if (n_areas && areas[n_areas - 1].used + want <= ftr__stub_limit)
		return 0;
	if (n_areas < FTR__STUB_AREAS)
		return area_make();
	try_to_empty();
	return 0;
}

size_t ftr__stub_count(void)
{
	size_t n = 0;

	for (size_t i = 0; i < n_areas; i++)
		n += FTR__READ_ONCE(areas[i].used);
	return n;
}

size_t ftr__stub_areas(void)
{
	return n_areas;
}
