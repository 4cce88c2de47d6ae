/* SPDX-License-Identifier: MIT */
/*
 * Trap emulation that x86_64 and i386 share.
 */
#ifndef FTR__X86_TRAP_H
#define FTR__X86_TRAP_H

#include "lib/backend.h"

/* Make the context continue at target with `next` pushed; false: it can't. */
typedef bool ftr__x86_call_fn(void *ucontext, uintptr_t next, uintptr_t target,
			      ftr__stub_fn *stub);

/*
 * Do in the interrupted context what the instructions at ip would do.  How a
 * call pushes is the architecture's.
 */
bool ftr__x86_emulate(void *ucontext, uintptr_t ip, const uint8_t *bytes, unsigned length,
		      ftr__x86_call_fn *call, void (*resume)(void *ucontext, uintptr_t ip),
		      ftr__stub_fn *stub);

#endif
