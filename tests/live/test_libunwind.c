/* SPDX-License-Identifier: MIT */
/* H11: libunwind, from inside handlers and from a signal's context. */
#define UNW_LOCAL_ONLY
#include <libunwind.h>

#include "tests/live/unwind.h"

#if defined(__x86_64__)
static const int saved_regs[UNWIND_SAVED] = { UNW_X86_64_RBX, UNW_X86_64_RBP, UNW_X86_64_R12,
					      UNW_X86_64_R13, UNW_X86_64_R14, UNW_X86_64_R15 };
#elif defined(__i386__)
static const int saved_regs[UNWIND_SAVED] = { UNW_X86_EBX, UNW_X86_EBP, UNW_X86_ESI, UNW_X86_EDI };
#endif

static uintptr_t reg(unw_cursor_t *cursor, int number)
{
	unw_word_t value;

	return unw_get_reg(cursor, number, &value) ? 0 : value;
}

static void get_frame(unw_cursor_t *cursor, struct unwind_frame *frame)
{
	unw_proc_info_t info;
	int i;

	frame->ip = reg(cursor, UNW_REG_IP);
	frame->sp = reg(cursor, UNW_REG_SP);
	frame->function = unw_get_proc_info(cursor, &info) ? 0 : info.start_ip;
	for (i = 0; i < UNWIND_SAVED; i++)
		frame->saved[i] = reg(cursor, saved_regs[i]);
}

size_t unwind_walk(struct unwind_frame *frames, void *context)
{
	unw_cursor_t cursor;
	unw_context_t here;
	size_t n = 0;
	int result;

	if (context) {
		result = unw_init_local2(&cursor, context, UNW_INIT_SIGNAL_FRAME);
	} else {
		unw_getcontext(&here);
		result = unw_init_local(&cursor, &here);
	}
	if (result)
		return 0;
	do
		get_frame(&cursor, &frames[n++]);
	while (n < UNWIND_FRAMES && unw_step(&cursor) > 0);
	return n;
}

int main(void)
{
	int result = unwind_main("libunwind");

	LIVE_OPAQUE(result); /* no tail call: main stays on the stack */
	return result;
}
