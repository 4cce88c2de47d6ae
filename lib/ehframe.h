/* SPDX-License-Identifier: MIT */
/*
 * Where functions begin, by the unwinder's table (.eh_frame_hdr): the word of
 * modules without symbols.  Floor 1.
 */
#ifndef FTR__EHFRAME_H
#define FTR__EHFRAME_H

#include "lib/compiler.h"

struct ftr__ehframe {
	uintptr_t base;       /* what the table's offsets count from */
	const int32_t *table; /* pairs: function, its description; sorted */
	size_t n;
};

/*
 * Look at the segment PT_GNU_EH_FRAME of a module, `size` bytes at `header`;
 * n = 0 if it has no table of the usual encoding (Linux Standard Base Core,
 * "The .eh_frame_hdr section").
 */
struct ftr__ehframe ftr__ehframe_open(uintptr_t header, size_t size);

/* Whether a function begins at addr. */
bool ftr__ehframe_starts(const struct ftr__ehframe *eh, uintptr_t addr);

/* How one function is unwound: DWARF's instructions of its CIE and of its own. */
struct ftr__fde {
	uintptr_t start, size; /* of the function */
	const uint8_t *common, *own;
	size_t common_size, own_size;
	uint8_t return_column;
};

/*
 * Read the description of the function that begins at `start`.  false: it is
 * not of the form that assemblers write for code without a personality routine,
 * in units of 1 byte of code and -sizeof(void *) of data.
 */
bool ftr__ehframe_read(const uint8_t *bytes, uintptr_t start, struct ftr__fde *fde);

#endif
