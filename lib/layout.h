/* SPDX-License-Identifier: MIT */
/*
 * Copies of a call's arguments, for exit handlers and to find out what was changed.
 * Floor 5; no state.  Async-signal-safe.
 */
#ifndef FTR__LAYOUT_H
#define FTR__LAYOUT_H

#include "lib/prototype.h"

struct ftr__layout {
	unsigned n;
	size_t size; /* of all; a multiple of 16 */
	struct {
		uint32_t size, at;
	} args[FTR__PARAMETERS_MAX];
};

/* One argument more. */
void ftr__layout_add(struct ftr__layout *layout, size_t size);

/* Make a copy; whether the arguments are others by now; pointers to those in it. */
void ftr__layout_save(const struct ftr__layout *layout, void *copy, void **args);
bool ftr__layout_differ(const struct ftr__layout *layout, const void *copy, void **args);
void ftr__layout_point(const struct ftr__layout *layout, void *copy, void **args);

#endif
