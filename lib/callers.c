/* SPDX-License-Identifier: MIT */
/* See callers.h.  Floor 4.  Lock: the library's. */
#include "lib/callers.h"

#include "lib/slot.h"
#include "lib/unwind.h"

/* The windows, made by the callers' assembly (lib/hot.h). */
extern const struct ftr__inside ftr__late[], ftr__late_end[];

enum { COPIES_MAX = 1024 };
static uintptr_t copies[COPIES_MAX];
static size_t n_copies;

size_t ftr__callers_size(void)
{
	if (!ftr__backend->callers || n_copies == COPIES_MAX || !ftr__unwind_callers())
		return 0;
	return ftr__backend->callers_copy_size();
}

void ftr__callers_emit(uint8_t *code)
{
	ftr__backend->callers_emit(code, (uintptr_t)ftr__slot_table);
}

void ftr__callers_add(uintptr_t copy)
{
	copies[n_copies++] = copy;
}

uintptr_t ftr__callers_near(uintptr_t copy, uintptr_t original)
{
	return copy ? copy + (original - (uintptr_t)ftr__backend->callers) : original;
}

size_t ftr__callers_late_count(void)
{
	return (1 + n_copies) * (size_t)(ftr__late_end - ftr__late);
}

static size_t windows_of(uintptr_t copy, struct ftr__inside *ranges)
{
	size_t n = 0;

	for (const struct ftr__inside *window = ftr__late; window < ftr__late_end; window++)
		ranges[n++] = (struct ftr__inside){
			.after = ftr__callers_near(copy, window->after),
			.end = ftr__callers_near(copy, window->end), .enterable = true };
	return n;
}

size_t ftr__callers_late(struct ftr__inside *ranges)
{
	size_t n = windows_of(0, ranges);

	for (size_t i = 0; i < n_copies; i++)
		n += windows_of(copies[i], ranges + n);
	return n;
}
