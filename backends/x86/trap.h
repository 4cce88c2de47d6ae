/* SPDX-License-Identifier: MIT */
/*
 * Trap emulation that x86_64 and i386 share.
 */
#ifndef FTR__X86_TRAP_H
#define FTR__X86_TRAP_H

#include "lib/backend.h"

/*
 * Do in the interrupted context what the instructions at ip would do.  How a
 * call pushes is the architecture's: `push_call` makes the context continue
 * at target with `next` pushed.
 */
void ftr__x86_emulate(void *ucontext, uintptr_t ip, const uint8_t *bytes, unsigned length,
		      void (*push_call)(void *ucontext, uintptr_t next, uintptr_t target),
		      void (*resume)(void *ucontext, uintptr_t ip));

#endif
