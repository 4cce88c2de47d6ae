/* SPDX-License-Identifier: MIT */
/*
 * Stubs: where an emulated call goes on when the trap handler can't push (P8).
 * Floor 3; guarded by the library's lock, but for ftr__stub_get().
 *
 * Where the signal frame lies directly below the interrupted stack pointer, a
 * word pushed by the handler falls into the frame, and the kernel loads it back
 * as part of some register.  So the context is sent to a stub instead, which
 * pushes and jumps when the frame is gone:
 *
 *     push next        (the site's next address)
 *     jmp  *target     (that of the call being written, or of the one before)
 *
 * The protocol
 *
 *   1. before a batch is published there is room for stubs (ftr__stub_prepare)
 *   2. a trap that has a call to do finds the stub of this next and target, or
 *      claims a free one and fills it in (ftr__stub_get)
 *   3. a stub that was filled in stays as it is: it serves every thread, every
 *      later trap and, in a signal handler that comes before its first
 *      instruction has run, the same thread once more
 *   4. only when all areas are full are they emptied: between batches, and if a
 *      rendezvous (P9) shows that no thread's pc, in a frame or not, is in one
 *   5. where that can't be shown, a trap that finds no stub waits for the end of
 *      its batch; so it is beside a thread that neither blocks nor calls traced
 *      functions, in a process with signal handlers, for stacks keep dead frames
 *      that lead into stubs
 *
 * Stubs are few, since the pairs of next and target that meet a batch are:
 * toggling a site again finds its stubs of before.
 *
 * A stub leads into a slot, so a thread in a stub is late in that slot too:
 * slots are reused only if no thread is in any stub (lib/slot.c).
 */
#ifndef FTR__STUB_H
#define FTR__STUB_H

#include "lib/rendezvous.h"

enum { FTR__STUB_AREAS = 8 };

/* Room for what a batch of n places may want, within reason.  0; -ENOMEM, -EACCES. */
int ftr__stub_prepare(size_t n);

/* The stub; 0: all are taken.  Async-signal-safe, takes no lock. */
uintptr_t ftr__stub_get(uintptr_t next, uintptr_t target);

/* Where a thread may stand in stubs: up to FTR__STUB_AREAS ranges; how many. */
size_t ftr__stub_ranges(struct ftr__inside *ranges);

/* How many are filled in. */
size_t ftr__stub_count(void);
size_t ftr__stub_areas(void);

/* For tests: how many of an area may be filled in. */
extern size_t ftr__stub_limit;

#endif
