/* SPDX-License-Identifier: MIT */
/*
 * Where a thread's own stack is.  Floor 1; async-signal-safe, system calls
 * alone.
 */
#ifndef FTR__STACK_H
#define FTR__STACK_H

#include "lib/thread.h"

/*
 * Whether an address lies on the calling thread's own stack: not a signal's,
 * not a coroutine's.  Found once for each thread; false where it can't be.
 */
bool ftr__stack_is_own(struct ftr__thread *self, uintptr_t addr);

/* The same for the stack of a thread, perhaps ended, by where its TLS is;
 * reads /proc/self/maps each time. */
bool ftr__stack_was_own(uintptr_t tls, uintptr_t addr);

/* Whether sp is on the calling thread's alternate signal stack. */
bool ftr__stack_is_for_signals(uintptr_t sp);

#endif
