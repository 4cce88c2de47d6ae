/* SPDX-License-Identifier: MIT */
/*
 * The rendezvous (P9): making sure that no thread stands between the
 * instructions of a pad that is about to become one instruction.  Floor 3.
 */
#ifndef FTR__RENDEZVOUS_H
#define FTR__RENDEZVOUS_H

#include "lib/backend.h"
#include "lib/search.h"

/* Whether the process has one thread. */
bool ftr__rendezvous_alone(void);

/*
 * Wait until no thread can stand inside one of the ranges, sorted: until its pc,
 * and every pc saved on its stack, was outside; for timeout_ms at most.  Nobody
 * may enter a range meanwhile, but those that say so.  Sets `occupied` of those that a
 * thread may stand in; returns how many.  -ENOMEM, -EACCES.
 */
long ftr__rendezvous(struct ftr__inside *ranges, size_t n, unsigned timeout_ms);

/* Where the stack pointer is of a thread that waits in the kernel; false: it runs,
 * or that is not known. */
bool ftr__rendezvous_sp(pid_t tid, uintptr_t *sp);

#endif
