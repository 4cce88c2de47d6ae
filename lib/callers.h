/* SPDX-License-Identifier: MIT */
/*
 * Copies of the callers beside the trampolines that jump to them.  Floor 4;
 * guarded by the library's lock.
 *
 * A program and a shared library lie terabytes apart, and a CPU predicts a jump
 * over such a distance later than a near one: two such jumps a call cost more
 * than saving all the registers.  So an area of trampolines holds a copy of the
 * callers, made with it once and for all (P10).  Where unwinders can't be told
 * of copies, and where the backend gains nothing, the library's own serve.
 */
#ifndef FTR__CALLERS_H
#define FTR__CALLERS_H

#include "lib/backend.h"
#include "lib/rendezvous.h"

/* Bytes of code that a copy takes, to be aligned to FTR__CALLERS_ALIGN; 0: none
 * is to be made. */
enum { FTR__CALLERS_ALIGN = 64 };
size_t ftr__callers_size(void);

/* Write a copy, which may then be moved to its place. */
void ftr__callers_emit(uint8_t *code);

/* The copy is in its place and described (lib/unwind.h); threads may come. */
void ftr__callers_add(uintptr_t copy);

/* In the copy at `copy`, or itself where that is 0: what an address in the
 * library's own callers stands for. */
uintptr_t ftr__callers_near(uintptr_t copy, uintptr_t original);

/* Where a thread in a caller has not yet loaded its set (lib/hot.h), in the
 * library's own and in all copies: `ranges` has room for
 * ftr__callers_late_count(); how many. */
size_t ftr__callers_late_count(void);
size_t ftr__callers_late(struct ftr__inside *ranges);

#endif
