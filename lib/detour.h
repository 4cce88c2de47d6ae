/* SPDX-License-Identifier: MIT */
/*
 * Room for detours (lib/backend.h): the code that a breakpoint's thread goes on
 * in.  Floor 4; guarded by the library's lock, but for ftr__detour_find().
 *
 * Areas lie within reach of the modules whose instructions their detours do, where
 * such room is to be had.  Detours are made in memory of ours first, any number of
 * them, and come to their place together (lib/exec.h); from then on they stay as
 * they are, for ever: a thread may sleep in the system call of one.  What else
 * they need lies in words behind the area.
 */
#ifndef FTR__DETOUR_H
#define FTR__DETOUR_H

#include "lib/backend.h"

struct ftr__detour_request {
	const uint8_t *bytes; /* the instruction as found, and room behind it */
	size_t room;
	uintptr_t ip;
	uintptr_t low, high;  /* the memory that should be within reach */
	struct ftr__point *point;
	bool post;
};

/* Make a detour.  0 with where it will be; -EILSEQ, -EOPNOTSUPP, -ENOSPC, -ENOMEM,
 * -EACCES with a sentence. */
int ftr__detour_make(const struct ftr__detour_request *request, uintptr_t *at,
		   struct ftr__detour_map *map);

/* Let all detours that were made come to their place; or forget them. */
int ftr__detours_seal(void);
void ftr__detours_drop(void);

/* Whether a detour has come to its place. */
bool ftr__detour_is_sealed(uintptr_t at);

/* The point of the detour at an address of code, and where the detour begins; NULL:
 * there is none.  In the trap handler, too. */
struct ftr__point *ftr__detour_find(uintptr_t ip, uintptr_t *start);

size_t ftr__detour_count(void);

#endif
