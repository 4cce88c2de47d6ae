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
	FTR__BATCH_PADS = 1,
	/* Literal spans, to or from a site's normal form: what a forced
	 * strategy can't do another one that does not trap may. */
	FTR__BATCH_NORMAL = 2,
	/* Places that can't be changed are left as they are: `n_way` and `ways`
	 * of the patches say which. */
	FTR__BATCH_PARTIAL = 4,
	/* Literal spans of one byte each, to a breakpoint that stays or from one: stores
	 * of one byte, which every writer does whole. */
	FTR__BATCH_BREAKPOINTS = 8,
	/* Literal spans from, or to, other instructions than calls, jumps and nops
	 * (`moved`): by breakpoints alone.  With FTR__BATCH_PADS: the instructions
	 * of `length` are several. */
	FTR__BATCH_MOVED = 16
};

/*
 * Change the text of all places from what their span says is `before` to `after`
 * (P1-P4).  0; or with nothing changed: -EILSEQ, -EACCES, -ENOMEM, -EAGAIN (P6),
 * -EOPNOTSUPP (the forced strategy can't), with a sentence.  May change the
 * spans.  Under the library's lock and the loader's.
 */
int ftr__batch_run(struct ftr__patches *patches, unsigned flags);

/* FTR_POKE_*: the strategy of batches to come. */
void ftr__batch_set_poke(unsigned poke);

extern uint64_t ftr__batch_count, ftr__batch_pokes[FTR__WAYS], ftr__batch_last_ns;

/* A batch could not be undone: its patches must stay where they are, and every
 * later batch is refused. */
extern bool ftr__batch_stuck;

/* How long a rendezvous may take, ms. */
extern unsigned ftr__batch_patience_ms;

/* How long a batch waits for threads that block SIGTRAP, ms. */
extern unsigned ftr__batch_hazard_ms;

/* For tests: what to believe of the CPU, 0 or 1; -1: ask it. */
extern int ftr__batch_trust_stores;

/* For tests: called after each phase's sync.  A batch of
 * atomic stores has the last phase alone. */
enum ftr__batch_phase {
	FTR__PHASE_BREAKPOINTS,
	FTR__PHASE_TAILS,
	FTR__PHASE_HEADS,
	FTR__PHASE_FUSED
};
extern void (*ftr__batch_hold)(enum ftr__batch_phase phase);

#endif
