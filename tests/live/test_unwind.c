/* SPDX-License-Identifier: MIT */
/*
 * H11: libgcc's unwinder, which is C++'s and backtrace()'s, and pthread_cancel()'s.
 */
#include "tests/live/unwind.h"

#include <unwind.h>

/* DWARF's numbers of the registers (System V ABI, "DWARF Register Number
 * Mapping"). */
#if defined(__x86_64__)
static const int saved_columns[UNWIND_SAVED] = { 3, 6, 12, 13, 14, 15 };
#elif defined(__i386__)
static const int saved_columns[UNWIND_SAVED] = { 3, 5, 6, 7 };
#endif

struct walk {
	struct unwind_frame *frames;
	size_t n;
};

static _Unwind_Reason_Code add_frame(struct _Unwind_Context *context, void *arg)
{
	struct walk *walk = arg;
	struct unwind_frame *frame;
	int i;

	if (walk->n == UNWIND_FRAMES)
		return _URC_END_OF_STACK;
	frame = &walk->frames[walk->n++];
	frame->ip = _Unwind_GetIP(context);
	frame->function = _Unwind_GetRegionStart(context);
	frame->sp = _Unwind_GetCFA(context);
	for (i = 0; i < UNWIND_SAVED; i++)
		frame->saved[i] = _Unwind_GetGR(context, saved_columns[i]);
	return _URC_NO_REASON;
}

size_t unwind_walk(struct unwind_frame *frames, void *context)
{
	struct walk walk = { frames, 0 };

	_Unwind_Backtrace(add_frame, &walk);
	return walk.n;
}

int main(void)
{
	int result = unwind_main("unwind");

	LIVE_OPAQUE(result); /* no tail call: main stays on the stack */
	return result;
}
