/* SPDX-License-Identifier: MIT */
/*
 * See layout.h.  Floor 5.
 */
#include "lib/layout.h"

#include <string.h>

void ftr__layout_add(struct ftr__layout *l, size_t size)
{
	l->args[l->n].size = (uint32_t)size;
	l->args[l->n++].at = (uint32_t)l->size;
	l->size += ftr__align_up(size, 16);
}

FTR__BARE void ftr__layout_save(const struct ftr__layout *l, void *copy, void **args)
{
	for (unsigned i = 0; i < l->n; i++) {
		char *to = (char *)copy + l->args[i].at;
		if (l->args[i].size == 4)
			__builtin_memcpy(to, args[i], 4);
		else if (l->args[i].size == 8)
			__builtin_memcpy(to, args[i], 8);
		else
			memcpy(to, args[i], l->args[i].size);
	}
}

FTR__BARE bool ftr__layout_differ(const struct ftr__layout *l, const void *copy, void **args)
{
	bool differ = false;

	for (unsigned i = 0; i < l->n; i++) {
		const char *was = (const char *)copy + l->args[i].at;
		if (l->args[i].size == 4)
			differ |= __builtin_memcmp(was, args[i], 4) != 0;
		else if (l->args[i].size == 8)
			differ |= __builtin_memcmp(was, args[i], 8) != 0;
		else
			differ = differ || memcmp(was, args[i], l->args[i].size);
	}
	return differ;
}

FTR__BARE void ftr__layout_point(const struct ftr__layout *l, void *copy, void **args)
{
	for (unsigned i = 0; i < l->n; i++)
		args[i] = (char *)copy + l->args[i].at;
}
