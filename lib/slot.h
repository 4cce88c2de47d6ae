/* SPDX-License-Identifier: MIT */
/*
 * Trampoline slots: what a site's call goes to.  Floor 4; guarded by the
 * library's lock.
 *
 * Slots lie in areas near the modules that call them, in chunks of one page and
 * one caller (entry routine).  A chunk's code is written once, when it is first
 * needed: slot i hands its number to the caller.  The handler set of a slot
 * stands in a table by number.  So what changes is data alone.
 *
 * A slot belongs to one set (its owner), one length of site, one way to come
 * there and one chunk.
 * When no site calls it any more it is *idle*: a thread that is late in it goes
 * back to its site, and runs what stands there now.  It serves again for the same set
 * at once; for another set only when no thread can be in it (P9's rendezvous).
 */
#ifndef FTR__SLOT_H
#define FTR__SLOT_H

#include "lib/set.h"

/* How near above the text an area is best (DESIGN, poke strategies). */
enum { FTR__SLOT_NEAR = 16 << 20 };

/* What the hot path loads. */
struct ftr__slot_hot {
	const struct ftr__set *set;
	uintptr_t site_length;
	/* From the thread pointer to ftr__self: for callers that can't say it in
	 * an instruction. */
	uintptr_t self;
	uintptr_t unused;
};
_Static_assert(offsetof(struct ftr__slot_hot, set) == FTR__SLOT_SET, "set");
_Static_assert(offsetof(struct ftr__slot_hot, site_length) == FTR__SLOT_SITE_LENGTH, "site_length");
_Static_assert(offsetof(struct ftr__slot_hot, self) == FTR__SLOT_SELF, "self");
_Static_assert(sizeof(struct ftr__slot_hot) == FTR__SLOT_HOT_SIZE, "size");

extern struct ftr__slot_hot *ftr__slot_table
	__attribute__((visibility("hidden")));

/* By what a slot pushes: its address, or its number times the size. */
static inline const struct ftr__slot_hot *ftr__slot_hot(uintptr_t pushed)
{
	if (ftr__backend->slots_push_addresses)
		return (const struct ftr__slot_hot *)pushed;
	return (const struct ftr__slot_hot *)((const char *)ftr__slot_table + pushed);
}

/* Reserve the tables.  0, or -ENOMEM. */
int ftr__slot_init(void);

/* Who a slot is for. */
struct ftr__slot_for {
	unsigned site_length;
	bool jumped;         /* sites jump there, by stubs (lib/jump.h) */
	uintptr_t low, high; /* where the text is */
};

/*
 * The slot of a set for such sites: its number, above 0, with one user more; or
 * -ENOSPC, -ENOMEM, -EACCES.  It runs the set's handlers from now on.
 */
long ftr__slot_get(struct ftr__set *set, const struct ftr__slot_for *sites);
void ftr__slot_put(uint32_t number, size_t users);
void ftr__slot_add_users(uint32_t number, size_t users);

uintptr_t ftr__slot_address(uint32_t number);
struct ftr__set *ftr__slot_owner(uint32_t number);

/* Slots that no site calls any more send who is late in them back to its site.
 * After the batch. */
void ftr__slot_retire_idle(void);

/* The group is off its sites and about to be freed, or to hold others: no slot may
 * serve for its sets of old again. */
void ftr__slot_disown(const struct ftr_group *group);

/* Slots that can't serve again before a rendezvous; all slots ever made. */
size_t ftr__slot_waiting(void);
size_t ftr__slot_count(void);
/* What they lie in: pages of code, each a mapping of its own, and areas. */
size_t ftr__slot_pages(void);
size_t ftr__slot_areas(void);
/* Sets that own a slot with users. */
size_t ftr__slot_sets(void);

#endif
