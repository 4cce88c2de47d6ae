/* SPDX-License-Identifier: MIT */
/*
 * Which addresses one description of .eh_frame is about: functions of modules
 * without symbols.  Floor 1; the table lies in the module's memory: used under the
 * loader's lock alone.
 */
#ifndef FTR__EHRANGE_H
#define FTR__EHRANGE_H

#include "lib/ehframe.h"

/* What is described around an address: a function, or a part of one. */
struct ftr__ehframe_range {
	uintptr_t start, end;
	bool signal_frame; /* what a signal's handler returns to */
};

/*
 * Find it.  readable: tells whether bytes of the module's memory are there; what
 * the table says is not trusted.  false: nothing is.
 */
bool ftr__ehframe_find(const struct ftr__ehframe *eh, uintptr_t addr,
		       bool (*readable)(const void *arg, uintptr_t addr, size_t size),
		       const void *arg, struct ftr__ehframe_range *range);

#endif
