/* SPDX-License-Identifier: MIT */
/*
 * The process's mappings, /proc/self/maps.  Floor 1.
 */
#ifndef FTR__MAPS_H
#define FTR__MAPS_H

#include "lib/compiler.h"

struct ftr__mapping {
	uintptr_t start, end;
	bool readable, writable, executable, shared;
};

struct ftr__maps {
	struct ftr__mapping *list; /* in the order of addresses */
	size_t n;
};

/* 0, or -ENOMEM, -EACCES with a sentence.  Free with ftr__maps_free(). */
int ftr__maps_read(struct ftr__maps *maps);
void ftr__maps_free(struct ftr__maps *maps);

/* Where the stack pointer was when the program began (field 28 of /proc/self/stat,
 * proc(5)); 0: not known. */
uintptr_t ftr__maps_initial_sp(void);

/*
 * A free range of `size` bytes (a multiple of pages) within [low, high), at
 * least `margin` bytes away from every mapping: the highest, or the lowest.
 * 0: there is none.
 */
uintptr_t ftr__maps_gap(const struct ftr__maps *maps, uintptr_t low, uintptr_t high, size_t size,
			size_t margin, bool highest);

#endif
