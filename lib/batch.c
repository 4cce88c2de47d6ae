/* SPDX-License-Identifier: MIT */
/*
 * Changing instructions under running threads.  Floor 3.
 *
 * The protocol, for any number of patches, each of one instruction (Linux
 * arch/x86/kernel/alternative.c, text_poke_bp_batch, in user space):
 *
 *   1. verify that every patch's bytes are the expected ones; write nothing
 *      unless all are, and unless each can go some way (lib/plan.c)
 *   2. publish the patches to the trap handler, then write a breakpoint over
 *      every first byte; sync
 *        a thread now runs an old instruction whole, or traps and is resumed
 *        as the old one would have run
 *   3. write all other bytes; sync
 *        no thread fetches these: it would have to pass a first byte
 *   4. commit: from here on traps resume as the new instruction would run
 *   5. write every first byte; sync
 *   6. withdraw the patches; wait until no thread is in the handler
 *
 * A thread that trapped before 5 and comes to the handler after 6 finds no
 * patch, but a site whose byte is no breakpoint: it is resumed at the site and
 * runs the new instruction.
 *
 * Patches that go another way keep these steps' company:
 *
 *   skip    in 2, instead of the breakpoint, a jump over the tail: the place is a
 *           nop until 5, which is what it was or is to be
 *   atomic  nothing before 5, and there all of it in one store.  With nothing
 *           else in a batch it begins there: one sync
 *
 * Without a breakpoint nothing is published.
 *
 * Pads of several nops, where breakpoints can't be, are made one nop first in a
 * way that needs none (`fuse` of struct ftr__text_ops); after a sync nobody can
 * enter them in the middle, and the rendezvous tells who is there still.
 *
 * Old instructions that were met by a prefetch before the sync are done with
 * after it: membarrier's SYNC_CORE makes every core that runs the process
 * execute a serializing instruction (SDM volume 3, "Handling Self- and
 * Cross-Modifying Code").
 */
#include "lib/batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/error.h"
#include "lib/grace.h"
#include "lib/plan.h"
#include "lib/rendezvous.h"
#include "lib/stub.h"
#include "lib/trap.h"

uint64_t ftr__batch_count, ftr__batch_pokes[FTR__WAYS], ftr__batch_last_ns;
unsigned ftr__batch_patience_ms = 1000;
bool ftr__batch_stuck;
void (*ftr__batch_hold)(enum ftr__batch_phase phase);

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void hex(char *out, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out += sprintf(out, i ? " %02x" : "%02x", bytes[i]);
}

static int mismatch(const struct ftr__span *span, uintptr_t ip)
{
	char expected[3 * FTR__PATCH_MAX + 1], found[3 * FTR__PATCH_MAX + 1];
	uint8_t bytes[FTR__PATCH_MAX];

	ftr__span_bytes(&ftr__backend->text, span, ip, false, bytes);
	hex(expected, bytes, span->size);
	hex(found, (const uint8_t *)ip, span->size);
	return ftr__fail(EILSEQ, "the site at %#lx does not hold the bytes expected: expected %s,"
			 " found %s", (unsigned long)ip, expected, found);
}

static int verify(const struct ftr__patches *patches)
{
	for (size_t i = 0; i < patches->n_spans; i++) {
		const struct ftr__span *span = &patches->spans[i];
		size_t wrong;

		if (span->literal)
			wrong = memcmp((void *)*span->ips, span->before.bytes, span->size) ? 0 : 1;
		else if (span->stride[false])
			wrong = ftr__backend->text.check_jumps(span);
		else
			wrong = ftr__backend->text.check(span->ips, span->n, span->length,
							 span->before.target, span->aligned);
		if (wrong < span->n)
			return mismatch(span, span->ips[wrong]);
	}
	return 0;
}

static void hold(enum ftr__batch_phase phase)
{
	if (FTR__UNLIKELY(ftr__batch_hold != NULL))
		ftr__batch_hold(phase);
}

/* A later pass of a failing system may fail too: try again, then give up. */
static bool pass_surely(struct ftr__text_window *window, enum ftr__pass pass)
{
	for (int tries = 0; tries < 3; tries++)
		if (!ftr__text_pass(window, pass))
			return true;
	return false;
}

/*
 * A write failed: bring the old bytes back the same way.  Heads that are new
 * already become breakpoints first.  Where even that can't be written the
 * patches stay published and every breakpoint that stands is emulated as the
 * old instruction for good: wrong is nothing, but no batch can follow.
 */
static void roll_back(struct ftr__text_window *window)
{
	ftr__trap_rollback();
	bool done = pass_surely(window, FTR__PASS_BREAKPOINTS);
	ftr__sync_core();
	done = done && pass_surely(window, FTR__PASS_OLD_TAILS);
	ftr__sync_core();
	done = done && pass_surely(window, FTR__PASS_OLD_HEADS);
	ftr__sync_core();
	ftr__batch_stuck = !done;
}

/*
 * Find out which pads are occupied.  What a thread may stand in stays as it is:
 * it is "changed" to the same bytes.
 */
static int leave_occupied(struct ftr__patches *patches)
{
	struct ftr__inside *ranges = malloc(patches->n * sizeof *ranges);

	if (!ranges)
		return ftr__fail(ENOMEM, "no memory for a rendezvous");
	for (size_t i = 0; i < patches->n; i++)
		ranges[i] = (struct ftr__inside){
			.after = *patches->spans[i].ips,
			.end = *patches->spans[i].ips + patches->spans[i].length };
	long left = ftr__rendezvous(ranges, patches->n, ftr__batch_patience_ms);
	for (size_t i = 0; i < patches->n && left > 0; i++) {
		patches->spans[i].occupied |= ranges[i].occupied;
		if (!ranges[i].occupied)
			continue;
		patches->spans[i].after = patches->spans[i].before;
		patches->spans[i].moved[1] = patches->spans[i].moved[0];
	}
	free(ranges);
	return left < 0 ? (int)left : 0;
}

/* Steps 2 to 4. */
static int poke_tails(struct ftr__text_window *window, struct ftr__patches *patches,
		      unsigned flags)
{
	int result = ftr__text_pass(window, FTR__PASS_BREAKPOINTS);

	if (result)
		return result;
	ftr__sync_core();
	hold(FTR__PHASE_BREAKPOINTS);
	if (flags & FTR__BATCH_PADS)
		result = leave_occupied(patches);
	if (!result)
		result = ftr__text_pass(window, FTR__PASS_TAILS);
	if (result)
		return result;
	ftr__sync_core();
	ftr__trap_commit();
	hold(FTR__PHASE_TAILS);
	return 0;
}

/* Step 5. */
static int poke_heads(struct ftr__text_window *window)
{
	int result = ftr__text_pass(window, FTR__PASS_HEADS);

	if (result)
		return result;
	ftr__sync_core();
	hold(FTR__PHASE_HEADS);
	return 0;
}

/* Steps 2 to 6. */
static int poke(struct ftr__text_window *window, struct ftr__patches *patches, unsigned flags)
{
	const size_t *n = patches->n_way;
	int result = 0;

	if (n[FTR__WAY_LEFT] == patches->n)
		return 0;
	if (n[FTR__WAY_INT3])
		ftr__trap_publish(patches);
	if (n[FTR__WAY_INT3] || n[FTR__WAY_SKIP])
		result = poke_tails(window, patches, flags);
	if (!result)
		result = poke_heads(window);
	if (result)
		roll_back(window);
	if (n[FTR__WAY_INT3] && !ftr__batch_stuck)
		ftr__trap_unpublish();
	return result;
}

/* --- pads that are fused ------------------------------------------------------ */

static void leave(struct ftr__patches *patches, size_t i)
{
	struct ftr__span *span = &patches->spans[i];

	for (unsigned w = 0; w < FTR__WAYS; w++)
		span->n_way[w] = w == FTR__WAY_LEFT;
	patches->n_way[patches->ways[i]]--;
	patches->n_way[FTR__WAY_LEFT]++;
	patches->ways[i] = FTR__WAY_LEFT;
}

static void unfuse(struct ftr__text_window *window)
{
	ftr__batch_stuck |= !pass_surely(window, FTR__PASS_UNFUSE);
	ftr__sync_core();
}

static int poke_fused(struct ftr__text_window *window, struct ftr__patches *patches)
{
	int result = ftr__text_pass(window, FTR__PASS_FUSE);

	ftr__sync_core();
	hold(FTR__PHASE_FUSED);
	if (!result)
		result = leave_occupied(patches);
	for (size_t i = 0; i < patches->n && !result; i++)
		if (patches->spans[i].occupied)
			leave(patches, i);
	if (!result)
		result = poke(window, patches, 0);
	for (size_t i = 0; i < patches->n && result; i++)
		leave(patches, i);
	if (patches->n_way[FTR__WAY_LEFT])
		unfuse(window);
	return result;
}

/* --- a batch ------------------------------------------------------------------ */

static int prepare(struct ftr__text_window *window, struct ftr__patches *patches, unsigned flags,
		   bool *fused)
{
	if (ftr__batch_stuck)
		return ftr__fail(EACCES, "an earlier batch could not be undone: text can no longer be"
				 " written");
	int result = ftr__sync_check();
	if (!result)
		result = ftr__text_open(window, patches, &ftr__backend->text);
	if (result)
		return result;
	/* In the window: translations of the text's addresses that a look at it
	 * brings in would be lost as it opens. */
	result = verify(patches);
	if (!result)
		result = ftr__plan(patches, window->mem < 0, flags, fused);
	if (!result && patches->n_way[FTR__WAY_INT3])
		result = ftr__trap_install();
	if (!result && patches->n_way[FTR__WAY_INT3])
		result = ftr__stub_prepare(patches->n_way[FTR__WAY_INT3]);
	if (result)
		ftr__text_close(window);
	return result;
}

static void count(const struct ftr__patches *patches, uint64_t start)
{
	ftr__batch_count++;
	for (unsigned w = 0; w < FTR__WAYS; w++)
		ftr__batch_pokes[w] += patches->n_way[w];
	ftr__batch_last_ns = now_ns() - start;
}

int ftr__batch_run(struct ftr__patches *patches, unsigned flags)
{
	uint64_t start = now_ns();
	struct ftr__text_window window;
	bool fused;

	if (!patches->n)
		return 0;
	int result = prepare(&window, patches, flags, &fused);
	if (result)
		return result;
	result = fused ? poke_fused(&window, patches) : poke(&window, patches, flags);
	ftr__text_close(&window);
	if (!result)
		count(patches, start);
	return result;
}
