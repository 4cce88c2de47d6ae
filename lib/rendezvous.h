/* SPDX-License-Identifier: MIT */
/*
 * The rendezvous (P9): making sure that no thread stands between the
 * instructions of a pad that is about to become one instruction.  Floor 3.
 */
#ifndef FTR__RENDEZVOUS_H
#define FTR__RENDEZVOUS_H

#include "lib/backend.h"

/* Whether the process has one thread. */
bool ftr__rendezvous_alone(void);

/*
 * With breakpoints on the first byte of each patch and all cores synced: wait
 * until no thread can stand inside a patch (ip < its pc or a saved pc < ip +
 * length), for timeout_ms at most.  Sets `occupied` of those that one may
 * stand in; returns how many.  -ENOMEM.
 */
long ftr__rendezvous(struct ftr__patch *patches, size_t n, unsigned timeout_ms);

#endif
