/* SPDX-License-Identifier: MIT */
/*
 * The names that the C library's headers give to types, for prototypes.  Floor 1.
 */
#ifndef FTR__CTYPES_H
#define FTR__CTYPES_H

#include "lib/compiler.h"

struct ftr__ctype {
	const char *name;
	uint8_t size;
	bool is_signed, pointer, real;
};

/* NULL: it is none of them. */
const struct ftr__ctype *ftr__ctype_find(const char *name, size_t length);

#endif
