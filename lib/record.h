/* SPDX-License-Identifier: MIT */
/*
 * Records of calls whose exits are pending, and the cells that they return
 * to (R2, R4).  Floor 4.
 *
 * A hooked function is called by a *cell*, 32 bytes of code of its own, so that
 * the return address says which record the call has.  All cells lie in one
 * reserved area, each one's words (struct ftr__cell_words) a fixed distance
 * behind it: one description of frames serves all.
 *
 * Records belong to a thread's node.  Its thread alone takes and returns them,
 * without a lock, while its frame says that it is inside: what a signal's
 * handler does then is nested, and has a list of its own.  Who returns through
 * another thread's record, as coroutines that move do, hands it back.
 *
 * A caller that binds a record leaves it in front of the list of free ones, and
 * mostly finds it there again at the return: so the first, and no other, of that
 * list may be pending, or handed back.  Who wants one then takes that out.
 */
#ifndef FTR__RECORD_H
#define FTR__RECORD_H

#include "lib/set.h"
#include "lib/slot.h"
#include "lib/thread.h"

struct ftr__record {
	/* What the caller of the cell finds as its slot: its set is `own`. */
	struct ftr__slot_hot hot;
	/* Whose exits are pending, or were last: there is room for its data.  It
	 * stays as long as a pending record names it (ftr__set_reap()), and the
	 * cell's caller is that of it.  NULL: none, or the record was handed back. */
	const struct ftr__set *set;
	uintptr_t ip;   /* the site's */
	uintptr_t slot; /* where the return address lies, which is the cell's; 0: the
			 * record is free */
	uintptr_t cell; /* where a return enters it */
	struct ftr__thread *owner;
	struct ftr__record *next; /* in its owner's list of free ones */
	uint64_t pending; /* of these members, by exit_bit */
	uint32_t data_room;
	bool handed;  /* in its owner's `returned`, or about to be */
	bool nested;  /* taken, or given back, by a handler in a handler */
	bool foreign; /* another thread gave it back, or is about to */
	bool listed;  /* in a look: found in its owner's `watched` */
	void *data;
	uintptr_t tls; /* of the thread that took it; free ones: whose they are */
	struct ftr__record *also;  /* in `returned`, behind this one */
	struct ftr__record *older; /* among its owner's that are watched */
	uint32_t watched; /* the owner's `life`, if it is among these */
	long double x87[2]; /* room for copies of what the x87 stack has */
	struct ftr__set own; /* arg: this record */
};
#define FTR__AT(field, offset) \
	_Static_assert(offsetof(struct ftr__record, field) == (offset), #field)
FTR__AT(set, FTR__RECORD_SET);
FTR__AT(ip, FTR__RECORD_IP);
FTR__AT(slot, FTR__RECORD_SLOT);
FTR__AT(cell, FTR__RECORD_CELL);
FTR__AT(owner, FTR__RECORD_OWNER);
FTR__AT(next, FTR__RECORD_NEXT);
FTR__AT(pending, FTR__RECORD_PENDING);
FTR__AT(data_room, FTR__RECORD_DATA_ROOM);
FTR__AT(handed, FTR__RECORD_HANDED);
FTR__AT(tls, FTR__RECORD_TLS);
#undef FTR__AT

/* Reserve the area; 0, -ENOMEM or -EACCES.  Under the library's lock. */
int ftr__record_init(void);

/* What a cell should go to in a caller's place: one near it. */
uintptr_t ftr__record_caller(uintptr_t original);

/* How many records a thread may have, from now on. */
void ftr__record_set_depth(size_t depth);

/*
 * A free record of the calling thread's, with room for data; NULL: as many as
 * may be are pending, or there is no memory.  sp: the stack pointer of the call that
 * wants it.  nested: the thread was inside a handler already.
 */
struct ftr__record *ftr__record_take(struct ftr__thread *self, size_t data, bool nested,
				     uintptr_t sp);
/* ftr__record_return() gives it back.  The set is not looked into any more. */
/* The same for one whose call is over, or is taken for it: should it return all
 * the same, it goes to its parent. */
void ftr__record_drop(struct ftr__record *record);

/*
 * Records whose groups are to be told of unwinding are in a list of the thread
 * that took them, `watched`, newest first.  Only that thread changes it, and no
 * handler in a handler, by single stores: a signal's handler may jump away
 * behind any.  One that says that it is watched, and is in no list, was left so: a
 * look for dead ones gives it back.  Who returns through another than the newest
 * leaves it there, with a slot of 0.
 */
void ftr__record_watch(struct ftr__record *record, bool nested);
bool ftr__record_is_watched(const struct ftr__record *record);
/* The list, with what handlers in handlers took since. */
struct ftr__record **ftr__record_watched(struct ftr__thread *self);

/* The words of the cell whose call pushed an address; NULL: none, or not one that
 * was made.  A stack may hold any data. */
struct ftr__cell_words *ftr__record_cell_of(uintptr_t address);
/* What a return address stands for: where it is a cell's, the parent's. */
uintptr_t ftr__record_parent(uintptr_t address);

static inline struct ftr__cell_words *ftr__record_words(const struct ftr__record *record)
{
	return (struct ftr__cell_words *)(record->cell - ftr__backend->cell_enter +
					  FTR__CELLS_SIZE);
}

/* What its cell's call pushes. */
static inline uintptr_t ftr__record_cell_return(const struct ftr__record *record)
{
	return record->cell - ftr__backend->cell_enter + ftr__backend->cell_return;
}

/* The record's cell goes to what serves exits of the set. */
void ftr__record_lead(struct ftr__record *record, const struct ftr__set *set);

/* For callers that bind records themselves: see to it that the first of the
 * thread's free records serves the set; false: it can't be had. */
bool ftr__record_make_ready(struct ftr__thread *self, const struct ftr__set *set, uintptr_t sp);

/* Whether what a caller found as its slot is a record. */
bool ftr__record_is_one(const struct ftr__slot_hot *hot);

/* From where records are looked at, and what is known of that. */
struct ftr__record_look {
	uintptr_t sp; /* of a call that is under way on the calling thread's stack */
	bool known, on_signal_stack;
};

/* Whether the call that a pending record stands for is over, by unwinding or a
 * jump.  Where another thread returns through the record meanwhile, the answer may be
 * true: then `foreign`, or a slot of 0, is seen behind it. */
bool ftr__record_is_dead(const struct ftr__record *record, struct ftr__record_look *look);

/* Whether some pending record names a set.  Under the library's lock. */
bool ftr__record_holds(const struct ftr__set *set);
/* The set is about to be freed: free records name it no more. */
void ftr__record_forget(const struct ftr__set *set);

/* For reports: how many are pending, how many cells were ever made. */
size_t ftr__record_pending(void);
size_t ftr__record_count(void);
size_t ftr__record_pages(void); /* of cells, each a mapping of its own */

#endif
