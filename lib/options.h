/* SPDX-License-Identifier: MIT */
/*
 * Public structs that can grow: each carries its size.  Floor 1.
 */
#ifndef FTR__OPTIONS_H
#define FTR__OPTIONS_H

#include <string.h>

#include "lib/compiler.h"

/*
 * Copy a caller's struct of `size` bytes to ours of `ours`: what it lacks is
 * zero, what it has more must be zero.  At least `least` bytes are needed.
 */
static inline bool ftr__options_take(void *to, size_t ours, const void *from, size_t size,
				     size_t least)
{
	const uint8_t *bytes = from;

	if (size < least || size > 4096)
		return false;
	for (size_t i = ours; i < size; i++)
		if (bytes[i])
			return false;
	memset(to, 0, ours);
	memcpy(to, from, size < ours ? size : ours);
	return true;
}

#endif
