/* SPDX-License-Identifier: MIT */
/*
 * Unwind information for trampoline slots and stubs (H11).  Floor 3; guarded by
 * the library's lock.
 *
 * The callers are assembly with CFI and lie in a module, so that unwinders find
 * them by themselves.  Slots and stubs lie in no module: whoever is interrupted in one,
 * by a signal or a debugger, can only be unwound by what is told here to
 *
 *     libgcc      __register_frame_info: C++, backtrace(), pthread_cancel
 *     LLVM's      __unw_add_dynamic_fde: where a program has it in libgcc's place
 *     libunwind   _U_dyn_register
 *     gdb, lldb   the JIT interface: an object file in memory
 */
#ifndef FTR__UNWIND_H
#define FTR__UNWIND_H

#include "lib/backend.h"

/*
 * Slots or stubs fill `size` bytes at `code`, for ever, and are unwound by cfi.
 * name: for a debugger, FTR__UNWIND_NAME bytes.  0, or -ENOMEM and nobody was
 * told.  Unwinders that the process lacks are left out.
 */
enum { FTR__UNWIND_NAME = 8 };
int ftr__unwind_area(uintptr_t code, size_t size, const struct ftr__slot_cfi *cfi,
		     const char *name);

#endif
