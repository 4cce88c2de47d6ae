/* SPDX-License-Identifier: MIT */
/*
 * The batch protocol.  Floor 3.
 */
#ifndef FTR__BATCH_H
#define FTR__BATCH_H

#include "lib/backend.h"

enum {
	/* Pads of several instructions, a literal span each: rendezvous first.
	 * Those that a thread may stand in are left as they were; see
	 * `occupied` of each. */
	FTR__BATCH_PADS = 1
};

/*
 * Change the text of all places from what their span says is `before` to `after`
 * (P1-P4).  0; or with nothing changed: -EILSEQ, -EACCES, -ENOMEM, with a
 * sentence.  Under the library's lock and the loader's.
 */
int ftr__batch_run(struct ftr__patches *patches, unsigned flags);

extern uint64_t ftr__batch_count, ftr__batch_pokes, ftr__batch_last_ns;

/* A batch could not be undone: its patches must stay where they are, and every
 * later batch is refused. */
extern bool ftr__batch_stuck;

/* How long a rendezvous may take, ms. */
extern unsigned ftr__batch_patience_ms;

/* For tests: called after each phase's sync. */
enum ftr__batch_phase { FTR__PHASE_BREAKPOINTS, FTR__PHASE_TAILS, FTR__PHASE_HEADS };
extern void (*ftr__batch_hold)(enum ftr__batch_phase phase);

#endif
