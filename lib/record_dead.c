/* SPDX-License-Identifier: MIT */
/*
 * See record.h: whether the call that a record stands for is over, without having
 * returned; the list of those whose groups want to hear of that.  Floor 4.
 */
#include "lib/record.h"

#include "lib/stack.h"
#include "lib/sys.h"

enum { PAGE = 4096 };

/* A word; false: its memory is gone, or a filter of system calls does not let it be read. */
FTR__BARE static bool read_word(uintptr_t at, uintptr_t *word, bool *gone)
{
	enum { NO_MEMORY_THERE = -14 }; /* -EFAULT */
	long result = ftr__sys_read_memory(at, word, sizeof *word);
	*gone = result == NO_MEMORY_THERE;
	return result == (long)sizeof *word;
}

enum {
	FRAME_MAX = 16384,   /* from an interrupted stack pointer to its place in the frame */
	ARGUMENTS_MAX = 1024 /* that a function takes away */
};

FTR__BARE static bool shows_signal(const struct ftr__record *r, const uintptr_t *text, size_t n)
{
	return ftr__backend->interrupted(text, n, r->slot - PAGE, r->slot + ARGUMENTS_MAX);
}

/* On a stack that perhaps is none any more. */
FTR__BARE static bool shows_signal_somewhere(const struct ftr__record *r)
{
	enum { PART = 512, OVERLAP = 64 };
	uintptr_t text[PART / sizeof(uintptr_t)];

	for (uintptr_t at = r->slot - PART; r->slot - at < FRAME_MAX; at -= PART - OVERLAP) {
		if (ftr__sys_read_memory(at, text, sizeof text) != (long)sizeof text)
			return false;
		if (shows_signal(r, text, FTR__ARRAY_SIZE(text)))
			return true;
	}
	return false;
}

/*
 * Without a red zone a signal's frame overwrites the slot while the thread is in
 * the cell and its stack pointer above the slot: before the cell's call and
 * behind it; and what a function took away of its arguments, and a caller's layout,
 * may be where it was until the exit handlers run.  Then that frame, somewhere
 * below, tells that nothing is known yet.  own: sp and the slot are on the thread's
 * own stack.
 */
FTR__BARE static bool is_interrupted(const struct ftr__record *r, uintptr_t sp, bool own)
{
	if (!ftr__backend->interrupted || r->slot == sp)
		return false;
	if (!own)
		return shows_signal_somewhere(r);
	uintptr_t from = r->slot - sp < FRAME_MAX ? sp : r->slot - FRAME_MAX;
	return shows_signal(r, (const uintptr_t *)from, (r->slot - from) / sizeof(uintptr_t));
}

/* Whether a return to this address leads to the record's cell, perhaps by way of
 * those of functions that were jumped to. */
FTR__BARE static bool leads_to(uintptr_t address, const struct ftr__record *r)
{
	const uintptr_t mine = ftr__record_cell_return(r);

	const struct ftr__cell_words *cell;

	while (address != mine && (cell = ftr__record_cell_of(address)))
		address = cell->parent;
	return address == mine;
}

/* What a pending call's slot holds is its cell's address, or the cell's of what it
 * jumped to; or the parent's, where a signal came before the cell called, or after it
 * was returned to: below the slot. */
FTR__BARE static bool is_held(const struct ftr__record *r, uintptr_t word, uintptr_t sp, bool own)
{
	return leads_to(word, r) ||
	       (word == ftr__record_words(r)->parent && r->slot != sp) ||
	       is_interrupted(r, sp, own);
}

FTR__BARE static bool slot_is_changed(const struct ftr__record *r, uintptr_t sp)
{
	uintptr_t word;
	bool gone;

	return read_word(r->slot, &word, &gone) ? !is_held(r, word, sp, false) : gone;
}

/* Once for all records that are looked at. */
FTR__BARE static bool is_on_signal_stack(struct ftr__record_look *look)
{
	if (!look->known) {
		look->on_signal_stack = ftr__stack_is_for_signals(look->sp);
		look->known = true;
	}
	return look->on_signal_stack;
}

FTR__BARE bool ftr__record_is_dead(const struct ftr__record *r, struct ftr__record_look *look)
{
	struct ftr__thread *self = ftr__self;
	uintptr_t sp = look->sp;

	if (r->tls != self->tls)
		return slot_is_changed(r, sp) || ftr__stack_was_own(r->tls, r->slot);
	if (!ftr__stack_is_own(self, r->slot) || !ftr__stack_is_own(self, sp))
		return slot_is_changed(r, sp);
	if (r->slot >= sp)
		return !is_held(r, *(const uintptr_t *)r->slot, sp, true);
	return !is_on_signal_stack(look) || slot_is_changed(r, sp);
}

/*
 * What lies below the stack pointer is over, but for a stack inside the thread's
 * own, of a context or for signals, from where it only looks so.  So it is made
 * to be right either way: the return address becomes the parent's again, or that
 * of a cell on the same slot.
 */
FTR__BARE static void unhook(const struct ftr__record *r)
{
	struct ftr__thread *self = ftr__self;
	uintptr_t mine = ftr__record_cell_return(r), word;
	struct ftr__cell_words *cell;
	bool gone;

	if (r->tls != self->tls || !ftr__stack_is_own(self, r->slot) ||
	    !read_word(r->slot, &word, &gone))
		return;
	if (word == mine)
		__atomic_compare_exchange_n((uintptr_t *)r->slot, &word,
					    ftr__record_words(r)->parent, false, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED);
	for (; word != mine && (cell = ftr__record_cell_of(word)); word = cell->parent)
		if (cell->parent == mine)
			cell->parent = ftr__record_words(r)->parent;
}

FTR__BARE void ftr__record_drop(struct ftr__record *r)
{
	unhook(r);
	ftr__record_return(r);
}

/* --- records whose unwinding is of interest ------------------------------------------- */

FTR__BARE void ftr__record_watch(struct ftr__record *r, bool nested)
{
	struct ftr__thread *owner = r->owner;

	r->watched = owner->life;
	if (FTR__LIKELY(!nested)) {
		r->older = owner->watched;
		FTR__PUBLISH(owner->watched, r);
		return;
	}
	r->older = FTR__READ_ONCE(owner->watched_nested);
	while (!__atomic_compare_exchange_n(&owner->watched_nested, &r->older, r, false,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

FTR__BARE struct ftr__record **ftr__record_watched(struct ftr__thread *self)
{
	struct ftr__record *newest = NULL, *oldest;

	if (FTR__UNLIKELY(FTR__READ_ONCE(self->watched_nested) != NULL))
		newest = __atomic_exchange_n(&self->watched_nested, NULL, __ATOMIC_RELAXED);
	if (FTR__UNLIKELY(newest != NULL)) {
		for (oldest = newest; oldest->older; oldest = oldest->older)
			;
		oldest->older = self->watched;
		FTR__PUBLISH(self->watched, newest);
	}
	return &self->watched;
}

FTR__BARE bool ftr__record_is_watched(const struct ftr__record *r)
{
	return r->watched && r->watched == FTR__READ_ONCE(r->owner->life);
}
