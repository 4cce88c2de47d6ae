/* SPDX-License-Identifier: MIT */
/*
 * Replacement (T1, T2).  Floor 5; under the library's lock and the loader's.
 *
 * A function without a site makes room for a jump (lib/prologue.h).
 *
 * A replaced function's site is held by a group of the library's own, of which the
 * handler lets execution go on elsewhere: so it is exclusive as FTR_GROUP_IPMODIFY
 * is, other groups' handlers come first, and a batch changes many.  Where nothing
 * else is on the site, that jumps there itself (lib/site.c).
 */
#ifndef FTR__REPLACE_H
#define FTR__REPLACE_H

#include "lib/around.h"
#include "lib/group.h"

struct ftr__replacement {
	uintptr_t fn;
	uintptr_t with;
	uintptr_t original;
	struct ftr_group *group;        /* that holds the site; or NULL, and */
	struct ftr__prologue *prologue; /* its first instructions */
	struct ftr__around *around; /* of a typed one: what made `with` */
	uint64_t number; /* of its restoring, after which a thread may be on its way */
	struct ftr__replacement *next;
};

/* Of a function; NULL: it is not replaced. */
struct ftr__replacement *ftr__replacement_find(uintptr_t fn);

/* What is to take the function's place: another, or a handler around it. */
struct ftr__place {
	uintptr_t fn, with;
	const struct ftr_signature *signature;
	ftr_typed_fn around;
	void *data;
};

/* Make one; not in force yet.  -EINVAL, -EBUSY, or an error of
 * ftr__prologue_get(). */
int ftr__replacement_new(struct ftr__replacement **replacement, const struct ftr__place *place);
/* Never was in force. */
void ftr__replacement_drop(struct ftr__replacement *replacement);

/* All, or none, in one batch.  Those that are put out of force are kept until
 * ftr__replacements_left(). */
int ftr__replacements_begin(struct ftr__replacement *const *list, size_t n);
int ftr__replacements_end(struct ftr__replacement *const *list, size_t n);

/* All there are. */
int ftr__replacements_end_all(void);

/* Whether one of the function was ended, and a wait for it did not end well so far;
 * what to wait for ftr__replacements_ended() has then. */
bool ftr__replacement_leaves(uintptr_t fn);

/* All that were ended so far; and handlers to wait for of those since the last
 * call (lib/around.h: their buckets). */
struct ftr__restored {
	uint64_t leavings, number;
	unsigned buckets;
};
struct ftr__restored ftr__replacements_ended(void);

/* After a wait for all handlers, and those around functions. */
void ftr__replacements_left(const struct ftr__restored *waited);

#endif
