/* SPDX-License-Identifier: MIT */
/*
 * Unwind information for trampoline slots and stubs (H11).  Floor 3; guarded by
 * the library's lock.
 *
 * The callers are assembly with CFI and lie in a module, so that unwinders find
 * them by themselves.  Slots, stubs and copies of the callers lie in no module: whoever
 * is interrupted in one, by a signal or a debugger, and whoever asks inside a
 * handler, can only be unwound by what is told here to
 *
 *     libgcc      __register_frame_info: C++, backtrace(), pthread_cancel
 *     LLVM's      __unw_add_dynamic_fde: where a program has it in libgcc's place
 *     libunwind   _U_dyn_register
 *     gdb, lldb   the JIT interface: an object file in memory
 */
#ifndef FTR__UNWIND_H
#define FTR__UNWIND_H

#include "lib/backend.h"

enum { FTR__UNWIND_NAME = 8 };

struct ftr__unwind_area {
	/* Slots or stubs fill `size` bytes at `code`, for ever, and are unwound
	 * by cfi. */
	uintptr_t code;
	size_t size;
	const struct ftr__slot_cfi *cfi;
	const char *name; /* for a debugger, FTR__UNWIND_NAME bytes */
	uintptr_t callers; /* a copy behind them; 0: none */
};

/* Unwinders that the process lacks are left out.  0, or -ENOMEM and nobody was
 * told. */
int ftr__unwind_area(const struct ftr__unwind_area *area);

/* Whether copies of the callers can be described: the descriptions of the callers
 * themselves are found through libgcc's unwinder. */
bool ftr__unwind_callers(void);

#endif
