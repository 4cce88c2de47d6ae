/* SPDX-License-Identifier: MIT */
/*
 * Whether anything leads behind the first of some instructions (T1, B2).  Floor 4;
 * under the library's lock.
 *
 * What a function's own instructions say is seen by who follows them.  Here is the
 * rest: branches of other functions and of parts that compilers put elsewhere (the C
 * library's mempcpy jumps behind the first instruction of its memmove), and tables
 * that an indirect jump goes by.
 */
#ifndef FTR__INWARD_H
#define FTR__INWARD_H

#include "lib/module.h"

enum { FTR__INWARD_BASES = 32, FTR__INWARD_MOST = 31 };

struct ftr__inward {
	const struct ftr__module *module;
	uintptr_t at;
	uint32_t begins;      /* bit i: an instruction begins at `at` + i, not to be led to */
	uintptr_t end;        /* of the function, which was followed from `at` on */
	bool indirect;        /* it has a jump that goes by a table, or may */
	/* Memory that its instructions name: a table of distances from itself may be
	 * there.  n_bases beyond the room: not all of it. */
	uintptr_t bases[FTR__INWARD_BASES];
	size_t n_bases;
};

bool ftr__inward_is_begin(const struct ftr__inward *inward, uintptr_t target);

/* From where something leads there; 0: nothing does. */
uintptr_t ftr__inward_find(const struct ftr__inward *inward);

#endif
