/* SPDX-License-Identifier: MIT */
/*
 * See record.h.  Floor 4.
 *
 * The area is reserved as a whole; chunks of it come to be as threads want
 * them, and are their nodes' from then on.  That happens between a site and its
 * handlers: system calls alone, no libc, no vector register.
 *
 * Which records are pending is told by `slot`: stored last when a record is
 * bound, 0 before it is free.  Those in `records` of a node belong to its
 * present thread (`tls`), and are not nested.
 */
#include "lib/record.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "lib/callers.h"
#include "lib/error.h"
#include "lib/exec.h"
#include "lib/search.h"
#include "lib/sys.h"
#include "lib/unwind.h"

enum {
	PAGE = 4096,
	CHUNK = PAGE / FTR__CELL_SIZE, /* records */
	CODE_SIZE = FTR__CELLS_SIZE,
	RECORDS_MAX = CODE_SIZE / FTR__CELL_SIZE,
	CHUNKS_MAX = RECORDS_MAX / CHUNK,
	DEPTH = 4096,
	/* In vain: how many calls are missed before the next look for records of
	 * calls that are over. */
	LOOK_AGAIN = 1024,
	DATA_MIN = 64,
	DATA_CHUNK = 64 * 1024
};

uintptr_t ftr__record_cells; /* 0: not reserved */
#define cells ftr__record_cells
static uintptr_t callers; /* a copy of them; 0: none */
static struct ftr__cell_words *words;
static struct ftr__record *records;
static size_t n_chunks; /* given out, some perhaps not yet made */
static struct ftr__thread *owners[CHUNKS_MAX]; /* NULL: not made */
static size_t depth = DEPTH;

void ftr__record_set_depth(size_t wanted)
{
	depth = wanted ? wanted : DEPTH;
}

/* --- the area ------------------------------------------------------------------- */

/* As near as can be below the program, where branches to its text are short
 * (lib/callers.h); where they are not longer anyway, or there is no room, anywhere. */
static int reserve_near(size_t size, uintptr_t *at)
{
	uintptr_t program = getauxval(AT_PHDR), reach = ftr__backend->reach;
	uintptr_t low = program > reach ? program - reach : 1 << 16;
	int result = -ENOSPC;

	if (reach && program > low)
		result = ftr__exec_reserve(low, program, size, 0, true, at);
	if (result == -ENOSPC)
		result = ftr__exec_reserve(1 << 20, UINTPTR_MAX / 2, size, 0, true, at);
	return result;
}

static int reserve_records(void)
{
	size_t size = RECORDS_MAX * sizeof *records;
	void *p = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return ftr__fail(ENOMEM, "no address space for return hooks");
	ftr__search_ignore((uintptr_t)p, (uintptr_t)p + size);
	records = p;
	return 0;
}

static int seal_callers(uintptr_t at, size_t size)
{
	uint8_t *code = calloc(1, size);

	if (!code)
		return ftr__fail(ENOMEM, "no memory to make trampolines in");
	ftr__callers_emit(code);
	int result = ftr__exec_seal(at, code, size);
	free(code);
	return result;
}

/* The description of the cells' frames wants them aligned by the size of all. */
static int reserve_cells(size_t size, uintptr_t *at)
{
	uintptr_t got;
	int result = reserve_near(size + CODE_SIZE, &got);

	if (result)
		return result;
	*at = ftr__align_up(got, CODE_SIZE);
	if (*at > got)
		munmap((void *)got, *at - got);
	if (got + CODE_SIZE > *at)
		munmap((void *)(*at + size), got + CODE_SIZE - *at);
	return 0;
}

/* The cells, their words, a copy of the callers.  Cell 0 serves nobody:
 * unwinders know the area by its address. */
static int make_area(void)
{
	size_t copy = ftr__align_up(ftr__callers_size(), PAGE), size = 2 * (size_t)CODE_SIZE + copy;
	uintptr_t at;
	int result = reserve_cells(size, &at);

	if (result)
		return result;
	const uintptr_t copy_at = copy ? at + 2 * (size_t)CODE_SIZE : 0;
	const struct ftr__unwind_area unwind = { at, CODE_SIZE, &ftr__backend->cell_cfi, "ftr_cell",
						 copy_at };
	result = copy ? seal_callers(copy_at, copy) : 0;
	if (!result)
		result = ftr__unwind_area(&unwind);
	if (result) {
		munmap((void *)at, size);
		return result;
	}
	if (copy)
		ftr__callers_add(copy_at);
	callers = copy_at;
	words = (struct ftr__cell_words *)(at + CODE_SIZE);
	cells = at;
	return 0;
}

int ftr__record_init(void)
{
	int result = records ? 0 : reserve_records();

	if (!result && !cells)
		result = make_area();
	if (!result)
		ftr__set_expect_cells();
	return result;
}

uintptr_t ftr__record_caller(uintptr_t original)
{
	return ftr__callers_near(callers, original);
}

static size_t number(const struct ftr__record *record)
{
	return (size_t)(record - records);
}

FTR__BARE static bool protect(const void *at, size_t size)
{
	uintptr_t start = ftr__align_down((uintptr_t)at, PAGE);
	uintptr_t end = ftr__align_up((uintptr_t)at + size, PAGE);

	return ftr__syscall(SYS_mprotect, (long)start, (long)(end - start),
			    PROT_READ | PROT_WRITE, 0, 0, 0) == 0;
}

/* The page of words is where the page of code is written first. */
FTR__BARE static bool make_chunk(size_t chunk)
{
	size_t first = chunk * CHUNK;
	uintptr_t at = cells + first * FTR__CELL_SIZE;

	if (!protect(&words[first], PAGE) ||
	    !protect(&records[first], CHUNK * sizeof *records))
		return false;
	ftr__backend->cells_emit((uint8_t *)&words[first], at, CHUNK, CODE_SIZE);
	return ftr__exec_seal_quietly(at, &words[first], PAGE);
}

/* The first record of a new chunk; NULL: there is none to be had.  *n: how many
 * may serve. */
FTR__BARE static struct ftr__record *get_chunk(struct ftr__thread *self, size_t *n)
{
	size_t chunk = __atomic_load_n(&n_chunks, __ATOMIC_RELAXED);
	size_t had = __atomic_load_n(&self->n_records, __ATOMIC_RELAXED);

	if (had >= depth)
		return NULL;
	do
		if (chunk == CHUNKS_MAX)
			return NULL;
	while (!__atomic_compare_exchange_n(&n_chunks, &chunk, chunk + 1, false,
					    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	if (!make_chunk(chunk))
		return NULL;
	FTR__PUBLISH(owners[chunk], self);
	size_t first = chunk * CHUNK + !chunk;
	*n = (chunk + 1) * CHUNK - first;
	if (*n > depth - had)
		*n = depth - had;
	__atomic_fetch_add(&self->n_records, *n, __ATOMIC_RELAXED);
	return &records[first];
}

/* --- records ---------------------------------------------------------------------- */

FTR__BARE static struct ftr__record *make(struct ftr__thread *self, struct ftr__record *r)
{
	r->hot.set = &r->own;
	r->hot.site_length = 0;
	r->hot.self = (uintptr_t)&ftr__self - ftr__backend->thread_pointer();
	r->own.run = ftr__run_exits;
	r->own.arg = r;
	r->own.any = FTR__SET_RECORD;
	r->owner = self;
	r->cell = cells + number(r) * FTR__CELL_SIZE + ftr__backend->cell_enter;
	r->tls = self->tls;
	return r;
}

FTR__BARE static void push(struct ftr__record **list, struct ftr__record *first,
			   struct ftr__record *last)
{
	last->also = FTR__READ_ONCE(*list);
	while (!__atomic_compare_exchange_n(list, &last->also, first, false, __ATOMIC_ACQ_REL,
					    __ATOMIC_RELAXED))
		;
}

/* The first of the thread's list that is free.  The one before, if there is one,
 * comes back by its return. */
FTR__BARE static struct ftr__record *first_free(struct ftr__thread *self)
{
	struct ftr__record *r = self->records;

	if (r && (FTR__FETCH(r->slot) || FTR__READ_ONCE(r->handed))) {
		r = r->next;
		self->records = r;
	}
	return r;
}

/* Data blocks grow by doubling; what a record had before is left behind. */
FTR__BARE static bool give_data(struct ftr__thread *self, struct ftr__record *r, size_t size)
{
	size_t room = DATA_MIN;

	while (room < size)
		room *= 2;
	size_t want = room > DATA_CHUNK / 8 ? room : DATA_CHUNK;
	uintptr_t at = self->data;
	if (self->data_end - at < room) {
		long got = ftr__sys_map(want);
		if (got > -PAGE && got < 0)
			return false;
		at = (uintptr_t)got;
		if (want == DATA_CHUNK)
			self->data_end = at + want;
	}
	if (want == DATA_CHUNK)
		self->data = at + room;
	r->data = (void *)at;
	r->data_room = (uint32_t)room;
	return true;
}

/* It is the present thread's from now on. */
FTR__BARE static void adopt(struct ftr__thread *self, struct ftr__record *r)
{
	r->tls = self->tls;
	r->nested = false;
	r->foreign = false;
	r->handed = false;
}

FTR__BARE static struct ftr__record *adopt_all(struct ftr__thread *self, struct ftr__record *list)
{
	for (struct ftr__record *r = list; r; r = r->next)
		adopt(self, r);
	return list;
}

FTR__BARE static struct ftr__record *empty(struct ftr__record **list)
{
	return FTR__READ_ONCE(*list) ? __atomic_exchange_n(list, NULL, __ATOMIC_ACQ_REL) : NULL;
}

FTR__BARE static struct ftr__record *last_of(struct ftr__record *r)
{
	while (r->also)
		r = r->also;
	return r;
}

/* All that was handed back, where the list of free ones is empty: so none is in
 * both. */
FTR__BARE static struct ftr__record *take_handed(struct ftr__thread *self, struct ftr__record *all)
{
	for (struct ftr__record *r = all; r; r = r->also)
		r->next = r->also;
	return adopt_all(self, all);
}

/* No signal's handler may jump away before they are adopted: see hand_back(). */
FTR__BARE static struct ftr__record *take_returned(struct ftr__thread *self)
{
	if (!FTR__READ_ONCE(self->returned))
		return NULL;
	uint64_t signals = ftr__sys_block_signals();
	struct ftr__record *all = take_handed(self, empty(&self->returned));
	ftr__sys_restore_signals(signals);
	return all;
}

/* The thread that left them may have left the first pending. */
FTR__BARE static struct ftr__record *take_inherited(struct ftr__thread *self)
{
	struct ftr__record *all = self->inherited;

	self->inherited = NULL;
	if (all && (FTR__FETCH(all->slot) || FTR__READ_ONCE(all->handed)))
		all = all->next;
	return adopt_all(self, all);
}

FTR__BARE static struct ftr__record *make_chunk_handed(struct ftr__thread *self)
{
	size_t n;
	struct ftr__record *r = get_chunk(self, &n);

	for (size_t i = 0; r && i < n; i++) {
		make(self, &r[i]);
		r[i].handed = true;
		r[i].also = i + 1 < n ? &r[i + 1] : NULL;
	}
	return r;
}

/*
 * A handler in a handler: the thread may have been interrupted in the middle of
 * what take() does; and the record, handed back, may still be the first of the free
 * ones: so its `next` is not touched, and it stays `handed`.  What is left over is
 * for others like it: to let take() have it would cost a chunk each time.
 * Signals are blocked.
 */
FTR__BARE static struct ftr__record *take_nested(struct ftr__thread *self)
{
	struct ftr__record *r = empty(&self->spare);

	if (!r)
		r = empty(&self->returned);
	if (!r)
		r = make_chunk_handed(self);
	if (!r)
		return NULL;
	if (r->also)
		push(&self->spare, r->also, last_of(r));
	r->tls = self->tls;
	r->foreign = false;
	return r;
}

static void drop_dead(struct ftr__thread *self, uintptr_t sp);

FTR__BARE static struct ftr__record *take_fresh(struct ftr__thread *self)
{
	if (self->fresh == self->fresh_end) {
		/* Nobody would find a chunk again that a signal's handler jumped
		 * away from. */
		uint64_t signals = ftr__sys_block_signals();
		size_t n;
		struct ftr__record *r = get_chunk(self, &n);
		if (r) {
			self->fresh = r;
			self->fresh_end = r + n;
		}
		ftr__sys_restore_signals(signals);
		if (!r)
			return NULL;
	}
	/* A signal's handler may jump away before it is whole: then it is made again. */
	struct ftr__record *made = make(self, self->fresh);
	FTR__PUBLISH(self->fresh, made + 1);
	return made;
}

FTR__BARE static void set_foreign(struct ftr__record *spare, bool foreign)
{
	for (struct ftr__record *r = spare; r; r = r->also)
		__atomic_store_n(&r->foreign, foreign, __ATOMIC_RELEASE);
}

/* What is spare is not taken for lost meanwhile. */
FTR__BARE static struct ftr__record *look_through(struct ftr__thread *self, uintptr_t sp)
{
	struct ftr__record *spare = empty(&self->spare);

	set_foreign(spare, true);
	drop_dead(self, sp);
	set_foreign(spare, false);
	if (spare)
		push(&self->spare, spare, last_of(spare));
	struct ftr__record *r = first_free(self);
	self->records = NULL;
	return r;
}

FTR__BARE static struct ftr__record *look_for_dead(struct ftr__thread *self, uintptr_t sp)
{
	uint64_t signals = ftr__sys_block_signals();
	struct ftr__record *r = take_returned(self);

	if (!r)
		r = look_through(self, sp);
	ftr__sys_restore_signals(signals);
	return r;
}

/* Half of what is spare: calls that began outside and return inside handlers leave
 * their records there. */
FTR__BARE static struct ftr__record *take_spare(struct ftr__thread *self)
{
	if (!FTR__READ_ONCE(self->spare))
		return NULL;
	uint64_t signals = ftr__sys_block_signals();
	struct ftr__record *all = empty(&self->spare), *middle = all, *r = all;
	while (r && (r = r->also) && (r = r->also))
		middle = middle->also;
	if (all && middle->also)
		push(&self->spare, middle->also, last_of(middle->also));
	if (all)
		middle->also = NULL;
	take_handed(self, all);
	ftr__sys_restore_signals(signals);
	return all;
}

/* Before a new chunk, and now and then where there is none, a look whether
 * records are pending of which the calls are over. */
FTR__BARE static struct ftr__record *take_more(struct ftr__thread *self, uintptr_t sp)
{
	struct ftr__record *r = take_inherited(self);

	if (!r)
		r = take_returned(self);
	if (r || self->fresh != self->fresh_end)
		return r ? r : take_fresh(self);
	if (self->n_records && self->look_after-- == 0) {
		self->look_after = self->n_records < depth ? 0 : LOOK_AGAIN;
		r = look_for_dead(self, sp);
	}
	if (!r)
		r = take_spare(self);
	return r ? r : take_fresh(self);
}

FTR__BARE static struct ftr__record *take(struct ftr__thread *self, uintptr_t sp)
{
	struct ftr__record *r = first_free(self);

	if (!r)
		r = take_more(self, sp);
	self->records = r ? r->next : NULL; /* also of those handed back */
	return r;
}

FTR__BARE struct ftr__record *ftr__record_take(struct ftr__thread *self, size_t data, bool nested,
					       uintptr_t sp)
{
	struct ftr__record *r;

	if (FTR__LIKELY(!nested)) {
		r = take(self, sp);
	} else {
		uint64_t signals = ftr__sys_block_signals();
		r = take_nested(self);
		ftr__sys_restore_signals(signals);
	}
	if (!r)
		return NULL;
	/* A signal's handler may jump away before it serves another. */
	FTR__PUBLISH(r->set, NULL);
	r->nested = nested;
	if (FTR__LIKELY(data <= r->data_room))
		return r;
	uint64_t signals = ftr__sys_block_signals();
	bool given = give_data(self, r, data);
	ftr__sys_restore_signals(signals);
	if (given)
		return r;
	ftr__record_return(r);
	return NULL;
}

/* Of all but lone plain groups an entry's caller runs the exits, which takes the record
 * for a slot. */
FTR__BARE void ftr__record_lead(struct ftr__record *r, const struct ftr__set *set)
{
	struct ftr__cell_words *w = ftr__record_words(r);
	bool as_slot = !set->hooked->hooks && !ftr__backend->slots_push_addresses;

	w->caller = set->exit_caller;
	w->pushed = (uintptr_t)&r->hot - (as_slot ? (uintptr_t)ftr__slot_table : 0);
}

FTR__BARE bool ftr__record_make_ready(struct ftr__thread *self, const struct ftr__set *set,
				      uintptr_t sp)
{
	struct ftr__record *r = ftr__record_take(self, set->data_size, false, sp);

	if (!r)
		return false;
	r->pending = 1;
	ftr__record_lead(r, set);
	FTR__PUBLISH(r->set, set); /* callers take it for ready */
	r->next = self->records;
	self->records = r;
	return true;
}

/* A signal's handler may not jump away meanwhile: what another thread is about to hand
 * back its owner never takes for lost. */
FTR__BARE static void hand_back(struct ftr__record *r)
{
	uint64_t signals = ftr__sys_block_signals();

	r->foreign = r->owner != ftr__self;
	/* All are read behind slot, also of the first of the free ones. */
	FTR__WRITE_ONCE(r->handed, true);
	FTR__WRITE_ONCE(r->set, NULL);
	FTR__PUBLISH(r->slot, 0);
	push(r->foreign ? &r->owner->returned : &r->owner->spare, r, r);
	ftr__sys_restore_signals(signals);
}

FTR__BARE void ftr__record_return(struct ftr__record *r)
{
	struct ftr__thread *self = ftr__self;

	if (FTR__UNLIKELY(r->owner != self || r->nested)) {
		hand_back(r);
		return;
	}
	r->foreign = false;
	/* A thread that ended may have taken it: callers that bind do not say who. */
	r->tls = self->tls;
	/* While it is pending: it may be the first of those. */
	if (FTR__UNLIKELY(!self->records))
		self->records = take_inherited(self);
	FTR__PUBLISH(r->slot, 0);
	if (r == self->records)
		return;
	r->next = first_free(self);
	self->records = r;
}

FTR__BARE bool ftr__record_is_one(const struct ftr__slot_hot *hot)
{
	return (uintptr_t)hot - (uintptr_t)records < RECORDS_MAX * sizeof *records;
}

/* --- cells ------------------------------------------------------------------------------ */

/* The words of cells that were not made can't be read. */
FTR__BARE struct ftr__cell_words *ftr__record_cell_of(uintptr_t address)
{
	size_t offset = address - cells;

	if (!cells || offset >= CODE_SIZE ||
	    offset % FTR__CELL_SIZE != ftr__backend->cell_return ||
	    !FTR__FETCH(owners[offset / FTR__CELL_SIZE / CHUNK]))
		return NULL;
	return &words[offset / FTR__CELL_SIZE];
}

FTR__BARE uintptr_t ftr__record_parent(uintptr_t address)
{
	const struct ftr__cell_words *cell;

	while (FTR__UNLIKELY((cell = ftr__record_cell_of(address)) != NULL))
		address = cell->parent;
	return address;
}

/* --- records that serve nobody ------------------------------------------------------------ */

/* Neither pending nor in a list: a handler, or what takes and gives back, was
 * jumped out of. */
FTR__BARE static bool is_lost(const struct ftr__thread *self, const struct ftr__record *r)
{
	return !FTR__FETCH(r->slot) && r->owner == self && !r->foreign;
}

/* Who was jumped out of while it put a record into the list, or took one out, left one
 * that only says that it is there. */
FTR__BARE static bool is_listed(struct ftr__record *r)
{
	bool listed = r->listed;

	r->listed = false;
	if (!listed)
		r->watched = 0;
	return listed;
}

FTR__BARE static void drop_if_dead(struct ftr__thread *self, struct ftr__record *r,
				   struct ftr__record_look *look)
{
	if (!r->owner || is_listed(r))
		return;
	if (is_lost(self, r)) {
		adopt(self, r);
		ftr__record_return(r);
	} else if (r->slot && ftr__record_is_dead(r, look) && !FTR__FETCH(r->foreign)) {
		ftr__record_drop(r);
	}
}

/* Free what is pending for nothing.  In the thread's own handler, signals blocked:
 * all its lists are empty. */
FTR__BARE static void drop_dead(struct ftr__thread *self, uintptr_t sp)
{
	struct ftr__record_look look = { .sp = sp };
	size_t n = FTR__FETCH(n_chunks);

	for (struct ftr__record *r = *ftr__record_watched(self); r; r = r->older)
		r->listed = true;
	for (size_t c = 0; c < n; c++)
		for (size_t i = 0; FTR__FETCH(owners[c]) == self && i < CHUNK; i++)
			drop_if_dead(self, &records[c * CHUNK + i], &look);
	adopt_all(self, self->records);
}

bool ftr__record_holds(const struct ftr__set *set)
{
	for (size_t c = 0; c < n_chunks; c++)
		for (size_t i = 0; FTR__FETCH(owners[c]) && i < CHUNK; i++)
			if (FTR__FETCH(records[c * CHUNK + i].slot) &&
			    FTR__READ_ONCE(records[c * CHUNK + i].set) == set)
				return true;
	return false;
}

/* Its thread may be about to let it name another. */
void ftr__record_forget(const struct ftr__set *set)
{
	for (size_t c = 0; c < n_chunks; c++) {
		for (size_t i = 0; FTR__FETCH(owners[c]) && i < CHUNK; i++) {
			const struct ftr__set *named = set;
			__atomic_compare_exchange_n(&records[c * CHUNK + i].set, &named, NULL, false,
						    __ATOMIC_RELAXED, __ATOMIC_RELAXED);
		}
	}
}

size_t ftr__record_pending(void)
{
	size_t n = 0;

	for (size_t c = 0; c < n_chunks; c++)
		for (size_t i = 0; FTR__FETCH(owners[c]) && i < CHUNK; i++)
			n += FTR__FETCH(records[c * CHUNK + i].slot) != 0;
	return n;
}

size_t ftr__record_count(void)
{
	return n_chunks * CHUNK;
}

size_t ftr__record_pages(void)
{
	return n_chunks;
}
