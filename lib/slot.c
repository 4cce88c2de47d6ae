/* SPDX-License-Identifier: MIT */
/*
 * See slot.h.  Floor 4.
 *
 * Lock: the library's.  ftr__slot_table is read by the hot path without it:
 * a set is stored before any text calls the slot, and a set that is taken out
 * is freed a grace period later.
 */
#include "lib/slot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/callers.h"
#include "lib/error.h"
#include "lib/exec.h"
#include "lib/grace.h"
#include "lib/rendezvous.h"
#include "lib/unwind.h"
#include "lib/stub.h"
#include "lib/thread.h"

enum {
	CHUNK_SLOTS = 256, /* a page of code at most */
	CHUNK_ROOM = CHUNK_SLOTS - 2, /* that serve: see chunk_make() */
	AREA_CHUNKS = 16,
	SLOTS_MAX = sizeof(void *) == 8 ? 1 << 20 : 1 << 16,
	CHUNKS_MAX = SLOTS_MAX / CHUNK_SLOTS,
	/* How many waiting slots are worth a rendezvous; after one in vain, how many
	 * more at most; how long it lasts, ms, for each so many that wait, and at
	 * most: also where there is no other left. */
	RECLAIM_MIN = 1024,
	RECLAIM_MORE = 8192,
	RECLAIM_MS = 250,
	RECLAIM_LAST_MS = 2000
};

/* Room for chunks, and a copy of the callers for them. */
struct area {
	uintptr_t code;
	uintptr_t callers; /* lib/callers.h; or 0 */
	size_t n_chunks;
};

/* Slots i * CHUNK_SLOTS + 1 to + used of chunk i, all of one caller. */
struct chunk {
	uintptr_t code;
	/* The complement of what slots_are_for() is asked for: the library's own memory
	 * must not look as if a thread were late there (lib/rendezvous.h). */
	uintptr_t not_caller;
	uint32_t used;
};

enum state { FREE, OWNED, WAITING };

struct slot {
	struct ftr__set *owner; /* referenced; NULL unless OWNED */
	size_t users;
	uint8_t site_length;
	bool jumped;
	uint8_t state;
};

struct ftr__slot_hot *ftr__slot_table;
static struct slot *slots;
static size_t n_waiting, n_free, reclaim_at = RECLAIM_MIN;

static struct chunk chunks[CHUNKS_MAX];
static size_t n_chunks;
static struct area areas[CHUNKS_MAX];
static size_t n_areas;

/* caller: the library's own, whose copy may serve. */
static bool slots_are_for(const struct chunk *chunk, uintptr_t caller)
{
	return chunk->not_caller == ~caller;
}

/* Every slot that was ever made, FREE ones too.  Number 0 is none. */
#define FOR_EACH_SLOT(i)                                                       \
	for (uint32_t c_ = 0; c_ < n_chunks; c_++)                              \
		for (uint32_t i = c_ * CHUNK_SLOTS + 1; i <= c_ * CHUNK_SLOTS + chunks[c_].used; i++)

static void *reserve_table(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int ftr__slot_init(void)
{
	if (!ftr__slot_table)
		ftr__slot_table = reserve_table(SLOTS_MAX * sizeof *ftr__slot_table);
	if (!slots)
		slots = reserve_table(SLOTS_MAX * sizeof *slots);
	if (!ftr__slot_table || !slots)
		return ftr__fail(ENOMEM, "no address space for the table of slots");
	return 0;
}

/* --- areas ------------------------------------------------------------------ */

static size_t chunk_size(void)
{
	return (size_t)CHUNK_SLOTS * ftr__backend->slot_size;
}

static uintptr_t area_end(const struct area *area)
{
	return area->code + AREA_CHUNKS * chunk_size();
}

/* All code at [start, end) reached from everywhere in [low, high)? */
static bool within(uintptr_t start, uintptr_t end, uintptr_t low, uintptr_t high, uintptr_t reach)
{
	if (low < start)
		start = low;
	if (high > end)
		end = high;
	return !reach || end - start < reach;
}

/* A chunk of the area that has room for a slot of this caller. */
static struct chunk *chunk_find(const struct area *area, uintptr_t caller)
{
	for (size_t i = 0; i < n_chunks; i++)
		if (slots_are_for(&chunks[i], caller) && chunks[i].used < CHUNK_ROOM &&
		    chunks[i].code - area->code < AREA_CHUNKS * chunk_size())
			return &chunks[i];
	return NULL;
}

static struct area *area_find(uintptr_t caller, const struct ftr__slot_for *sites, uintptr_t reach,
			      bool above)
{
	for (size_t i = 0; i < n_areas; i++)
		if ((!above || areas[i].code >= sites->high) &&
		    within(areas[i].code, area_end(&areas[i]), sites->low, sites->high, reach) &&
		    (areas[i].n_chunks < AREA_CHUNKS || chunk_find(&areas[i], caller)))
			return &areas[i];
	return NULL;
}

/* The callers' copy is there from the start; chunks come to be as they are
 * needed. */
static int callers_fill(uintptr_t at, size_t size)
{
	uint8_t *code = size ? calloc(1, size) : NULL;

	if (!size)
		return 0;
	if (!code)
		return ftr__fail(ENOMEM, "no memory to make trampolines in");
	ftr__callers_emit(code);
	int result = ftr__exec_seal(at, code, size);
	free(code);
	return result;
}

static int area_make(uintptr_t low, uintptr_t high, bool highest)
{
	size_t slots_size = AREA_CHUNKS * chunk_size();
	size_t callers_size = ftr__align_up(ftr__callers_size(), (uintptr_t)sysconf(_SC_PAGESIZE));
	uintptr_t at;

	if (n_chunks == CHUNKS_MAX)
		return ftr__fail(ENOSPC, "all %d trampoline slots are taken", SLOTS_MAX);
	int result = ftr__exec_reserve(low, high, slots_size + callers_size, 0, highest, &at);
	if (result)
		return result;
	uintptr_t callers = callers_size ? at + slots_size : 0;
	const struct ftr__unwind_area unwind = { at, slots_size, &ftr__backend->slot_cfi,
						 "ftr_slot", callers };
	result = callers_fill(callers, callers_size);
	if (!result)
		result = ftr__unwind_area(&unwind);
	if (result) {
		munmap((void *)at, slots_size + callers_size);
		return result;
	}
	if (callers)
		ftr__callers_add(callers);
	areas[n_areas++] = (struct area){ .code = at, .callers = callers };
	return 0;
}

/*
 * An area with a free slot for these sites: near above their text if that can
 * be had, else wherever a call reaches.  Near, the highest place is taken: the
 * program's heap may grow from below.
 */
static int area_get(uintptr_t caller, const struct ftr__slot_for *sites, struct area **area)
{
	uintptr_t low = sites->low, high = sites->high;
	uintptr_t reach = ftr__backend->reach ? ftr__backend->reach : UINTPTR_MAX / 2;
	uintptr_t top = high > UINTPTR_MAX - reach ? UINTPTR_MAX : low + reach;
	uintptr_t bottom = high > reach ? high - reach : 0x10000;

	*area = area_find(caller, sites, FTR__SLOT_NEAR, true);
	if (*area)
		return 0;
	int result = high - low < FTR__SLOT_NEAR ? area_make(high, low + FTR__SLOT_NEAR, true)
						 : -ENOSPC;
	if (result == -ENOSPC) {
		*area = area_find(caller, sites, ftr__backend->reach, false);
		if (*area)
			return 0;
		result = area_make(high, top, false);
	}
	if (result == -ENOSPC)
		result = area_make(bottom, low, true);
	if (!result)
		*area = &areas[n_areas - 1];
	return result;
}

/*
 * A chunk's first slot is left out: unwinders know the area by its address, and
 * the first of all would have number 0.  The last one's place is the backend's.
 */
static int chunk_make(struct area *area, uintptr_t caller)
{
	uintptr_t at = area->code + area->n_chunks * chunk_size();
	uintptr_t pushed = n_chunks * CHUNK_SLOTS * sizeof *ftr__slot_table;
	static uint8_t code[4096];

	if (n_chunks == CHUNKS_MAX)
		return ftr__fail(ENOSPC, "all %d trampoline slots are taken", SLOTS_MAX);
	if (ftr__backend->slots_push_addresses)
		pushed += (uintptr_t)ftr__slot_table;
	ftr__backend->slots_emit(code, at, CHUNK_SLOTS, pushed,
				 ftr__callers_near(area->callers, caller));
	int result = ftr__exec_seal(at, code, chunk_size());
	memset(code, 0, sizeof code); /* it may have had the caller's address */
	if (result)
		return result;
	area->n_chunks++;
	chunks[n_chunks++] = (struct chunk){ .code = at, .not_caller = ~caller };
	return 0;
}

/* --- slots ------------------------------------------------------------------ */

static const struct chunk *chunk_of(uint32_t number)
{
	return &chunks[number / CHUNK_SLOTS];
}

uintptr_t ftr__slot_address(uint32_t number)
{
	return chunk_of(number)->code +
	       (uintptr_t)(number % CHUNK_SLOTS) * ftr__backend->slot_size;
}

struct ftr__set *ftr__slot_owner(uint32_t number)
{
	return slots[number].owner;
}

/* Whether a slot can be called from the sites. */
static bool reaches(uint32_t number, const struct ftr__slot_for *sites)
{
	uintptr_t code = chunk_of(number)->code;

	return within(code, code + chunk_size(), sites->low, sites->high, ftr__backend->reach);
}

static uint32_t find_owned(const struct ftr__set *set, const struct ftr__slot_for *sites)
{
	FOR_EACH_SLOT(i)
		if (slots[i].owner == set && slots[i].site_length == sites->site_length &&
		    slots[i].jumped == sites->jumped && reaches(i, sites))
			return i;
	return 0;
}

/* A slot that was reclaimed. */
static uint32_t find_free(uintptr_t caller, const struct ftr__slot_for *sites)
{
	FOR_EACH_SLOT(i)
		if (n_free && slots[i].state == FREE && slots_are_for(chunk_of(i), caller) &&
		    reaches(i, sites))
			return i;
	return 0;
}

/* Where a thread has not yet loaded its slot's set: in stubs that lead to slots,
 * in the waiting slots, in the callers. */
static size_t late_ranges(struct ftr__inside *ranges)
{
	size_t n = ftr__stub_ranges(ranges);

	for (size_t i = 0; i < n; i++)
		ranges[i].enterable = true;
	n += ftr__callers_late(ranges + n);
	/* A slot's last bytes are never run: so the end of one range is not
	 * inside the next, nor is what this very list holds in memory. */
	FOR_EACH_SLOT(i)
		if (slots[i].state == WAITING)
			ranges[n++] = (struct ftr__inside){
				ftr__slot_address(i) - 1,
				ftr__slot_address(i) + ftr__backend->slot_size - 2, false, false };
	return n;
}

static int by_start(const void *a, const void *b)
{
	const struct ftr__inside *x = a, *y = b;

	return x->after < y->after ? -1 : x->after > y->after;
}

static bool is_occupied(const struct ftr__inside *ranges, size_t n, uint32_t number)
{
	struct ftr__inside key = { .after = ftr__slot_address(number) - 1 };
	const struct ftr__inside *range = bsearch(&key, ranges, n, sizeof key, by_start);

	return !range || range->occupied;
}

/* Free the waiting slots that no thread is late in; if `left` ranges are
 * occupied and that is more than slots are, one is late in some slot. */
static void free_waiting(const struct ftr__inside *ranges, size_t n, size_t left)
{
	size_t occupied = 0;

	FOR_EACH_SLOT(i)
		if (slots[i].state == WAITING)
			occupied += is_occupied(ranges, n, i);
	if (left > occupied)
		return;
	FOR_EACH_SLOT(i) {
		if (slots[i].state != WAITING || is_occupied(ranges, n, i))
			continue;
		slots[i].state = FREE;
		n_free++;
		n_waiting--;
	}
}

/*
 * Let waiting slots serve again, where no thread can be late in one, and none
 * runs a handler by one: the accessors look at the slot's flags.  Not from
 * inside a handler, which may run by such a slot itself.
 */
static void reclaim(unsigned patience_ms)
{
	struct ftr__inside *ranges = malloc((n_waiting + ftr__callers_late_count() +
					     FTR__STUB_AREAS) * sizeof *ranges);
	pid_t late;

	if (!ranges || ftr__thread_inside()) {
		free(ranges);
		return;
	}
	size_t n = late_ranges(ranges);
	qsort(ranges, n, sizeof *ranges, by_start);
	long left = ftr__rendezvous(ranges, n, patience_ms);
	if (left >= 0 && ftr__grace_wait(patience_ms, &late) == 0)
		free_waiting(ranges, n, (size_t)left);
	free(ranges);
	/* Not at once again where that was in vain. */
	size_t more = n_waiting / 4 < RECLAIM_MORE ? n_waiting / 4 : RECLAIM_MORE;
	reclaim_at = n_waiting + (more > RECLAIM_MIN ? more : RECLAIM_MIN);
}

/* Threads of a busy machine are late for long, and what waits for them is to be
 * bounded. */
static unsigned patience(void)
{
	size_t ms = RECLAIM_MS * (n_waiting / RECLAIM_MIN);

	return ms < RECLAIM_LAST_MS ? (unsigned)ms : RECLAIM_LAST_MS;
}

static bool take_free(uintptr_t caller, const struct ftr__slot_for *sites, uint32_t *number)
{
	*number = find_free(caller, sites);
	n_free -= *number != 0;
	return *number;
}

static int add_slot(uintptr_t caller, const struct ftr__slot_for *sites, uint32_t *number)
{
	struct area *area;
	int result = area_get(caller, sites, &area);
	struct chunk *chunk = result ? NULL : chunk_find(area, caller);
	if (!result && !chunk) {
		result = chunk_make(area, caller);
		chunk = &chunks[n_chunks - 1];
	}
	if (!result)
		*number = (uint32_t)(chunk - chunks) * CHUNK_SLOTS + ++chunk->used;
	return result;
}

static int make_slot(uintptr_t caller, const struct ftr__slot_for *sites, uint32_t *number)
{
	if (n_waiting >= reclaim_at)
		reclaim(patience());
	if (take_free(caller, sites, number))
		return 0;
	int result = add_slot(caller, sites, number);
	if (result != -ENOSPC || !n_waiting)
		return result;
	reclaim(RECLAIM_LAST_MS);
	return take_free(caller, sites, number) ? 0 : result;
}

static const struct ftr__set *served(uint32_t number, const struct ftr__set *set)
{
	return slots[number].jumped ? set->hooked : set;
}

/* Store what the set needs; text calls the slot only after this. */
static void serve(uint32_t number, struct ftr__set *set)
{
	ftr__slot_table[number].site_length = slots[number].site_length;
	ftr__slot_table[number].self = (uintptr_t)&ftr__self - ftr__backend->thread_pointer();
	FTR__PUBLISH(ftr__slot_table[number].set, served(number, set));
}

long ftr__slot_get(struct ftr__set *set, const struct ftr__slot_for *sites)
{
	uint32_t number = find_owned(set, sites);

	if (!number) {
		uintptr_t caller = ftr__backend->caller(set->any, ftr__set_vectors(set),
							sites->jumped);
		int result = make_slot(caller, sites, &number);
		if (result)
			return result;
		ftr__set_ref(set); /* as owner */
		ftr__set_ref(set); /* as what runs */
		slots[number] = (struct slot){ .owner = set,
					       .site_length = (uint8_t)sites->site_length,
					       .jumped = sites->jumped, .state = OWNED };
		serve(number, set);
	} else if (ftr__slot_table[number].set == &ftr__set_retired) {
		ftr__set_ref(set); /* it was idle */
		serve(number, set);
	}
	slots[number].users++;
	return number;
}

void ftr__slot_add_users(uint32_t number, size_t users)
{
	slots[number].users += users;
}

void ftr__slot_put(uint32_t number, size_t users)
{
	slots[number].users -= users;
}

void ftr__slot_retire_idle(void)
{
	FOR_EACH_SLOT(i) {
		const struct ftr__set *set = ftr__slot_table[i].set;
		if (slots[i].users || set == &ftr__set_retired)
			continue;
		FTR__PUBLISH(ftr__slot_table[i].set, &ftr__set_retired);
		ftr__set_unref(ftr__set_of(set));
	}
}

void ftr__slot_disown(const struct ftr_group *group)
{
	FOR_EACH_SLOT(i) {
		if (slots[i].state != OWNED || !ftr__set_has(slots[i].owner, group))
			continue;
		ftr__set_unref(slots[i].owner);
		slots[i].owner = NULL;
		slots[i].state = WAITING;
		n_waiting++;
	}
}

size_t ftr__slot_waiting(void)
{
	return n_waiting;
}

size_t ftr__slot_count(void)
{
	size_t n = 0;

	for (size_t i = 0; i < n_chunks; i++)
		n += chunks[i].used;
	return n;
}

size_t ftr__slot_pages(void)
{
	return n_chunks;
}

size_t ftr__slot_areas(void)
{
	return n_areas;
}

size_t ftr__slot_sets(void)
{
	size_t n = 0;

	FOR_EACH_SLOT(i)
		n += slots[i].users != 0;
	return n;
}
