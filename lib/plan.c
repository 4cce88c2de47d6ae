/* SPDX-License-Identifier: MIT */
/*
 * See plan.h.  Floor 3; under the library's lock.
 *
 *                  int3     atomic       skip         auto
 *   a site         int3     atomic       skip         atomic, skip, int3; in
 *                                                     hazard the first two as
 *                                                     far as a cache line goes
 *   to and from    int3     atomic or    atomic or    the same
 *   normal                  skip         skip
 *   pads of        int3     fused, then  fused, then  int3; in hazard fused,
 *   several nops            as above     as above     then as above
 *
 * What is not in the table can't be done: -EOPNOTSUPP where that is so for
 * good, -EAGAIN where it is a hazard that speaks against a breakpoint, or it is
 * left out of the batch (FTR__BATCH_PARTIAL).
 *
 * On CPUs of which no maker's manual allows storing to code that runs, auto is
 * int3 as long as there is no hazard.  Threads with shadow stacks (R6) take no
 * breakpoint in the place of a call: there auto is atomic, skip.
 */
#include "lib/plan.h"

#include <string.h>

#include "lib/error.h"
#include "lib/hazard.h"

unsigned ftr__batch_hazard_ms = 50;
int ftr__batch_trust_stores = -1;

static unsigned forced = FTR_POKE_AUTO;

enum {
	INT3 = 1 << FTR__WAY_INT3,
	STORES = 1 << FTR__WAY_ATOMIC | 1 << FTR__WAY_SKIP
};

enum {
	/* A running thread may be in the library's own handler: how long to
	 * wait before stores take the place of breakpoints, ms. */
	GLANCE_MS = 2,
	/* Before a batch is refused. */
	WAIT_MS = 1000
};

void ftr__batch_set_poke(unsigned poke)
{
	forced = poke;
}

/* Asking the CPU may trap into a hypervisor: once is enough. */
static bool stores_documented(void)
{
	static int documented = -1;

	if (ftr__batch_trust_stores >= 0)
		return ftr__batch_trust_stores;
	if (documented < 0)
		documented = ftr__backend->text.stores_documented();
	return documented;
}

/* --- choosing ------------------------------------------------------------------ */

/* Sort a span's places by their ways; they stay sorted by address in each. */
static void sort_span(struct ftr__patches *patches, struct ftr__span *span)
{
	const uint8_t *ways = patches->ways + span->first;
	uintptr_t *at[FTR__WAYS] = { patches->order + span->first };
	size_t n_int3 = span->n;

	for (unsigned w = 1; w < FTR__WAYS; w++)
		n_int3 -= span->n_way[w];
	at[1] = at[0] + n_int3;
	for (unsigned w = 1; w + 1 < FTR__WAYS; w++)
		at[w + 1] = at[w] + span->n_way[w];
	for (size_t i = 0; i < span->n; i++)
		*at[ways[i]]++ = span->ips[i];
}

static void choose_span(struct ftr__patches *patches, struct ftr__span *span,
			const struct ftr__poke_rules *rules)
{
	uint8_t *ways = patches->ways + span->first;
	size_t n[FTR__WAYS] = { 0 };
	bool alike = false;

	if (span->occupied)
		ways[0] = FTR__WAY_LEFT;
	else
		alike = ftr__backend->text.choose(span, span->ips, rules, ways);
	if (alike)
		n[ways[0]] = span->n;
	for (size_t i = 0; i < span->n && !alike; i++)
		n[ways[i]]++;
	span->mixed = n[ways[0]] != span->n;
	for (unsigned w = 0; w < FTR__WAYS; w++) {
		span->n_way[w] = w ? (uint32_t)n[w] : 0;
		patches->n_way[w] += n[w];
	}
	if (span->mixed)
		sort_span(patches, span);
}

static void choose(struct ftr__patches *patches, struct ftr__poke_rules rules)
{
	memset(patches->n_way, 0, sizeof patches->n_way);
	for (size_t i = 0; i < patches->n_spans; i++)
		choose_span(patches, &patches->spans[i], &rules);
}

/* Bytes: no way but this, and none needed. */
static int choose_bytes(struct ftr__patches *patches)
{
	memset(patches->n_way, 0, sizeof patches->n_way);
	memset(patches->ways, FTR__WAY_ATOMIC, patches->n);
	patches->n_way[FTR__WAY_ATOMIC] = patches->n;
	for (size_t i = 0; i < patches->n_spans; i++) {
		patches->spans[i].mixed = false;
		memset(patches->spans[i].n_way, 0, sizeof patches->spans[i].n_way);
		patches->spans[i].n_way[FTR__WAY_ATOMIC] = 1;
	}
	return 0;
}

/* The same for breakpoints alone: nothing has to be looked at. */
static void choose_int3(struct ftr__patches *patches)
{
	memset(patches->n_way, 0, sizeof patches->n_way);
	memset(patches->ways, FTR__WAY_INT3, patches->n);
	patches->n_way[FTR__WAY_INT3] = patches->n;
	for (size_t i = 0; i < patches->n_spans; i++) {
		patches->spans[i].mixed = false;
		memset(patches->spans[i].n_way, 0, sizeof patches->spans[i].n_way);
	}
}

static struct ftr__poke_rules rules_of_poke(bool direct, unsigned flags)
{
	bool both = flags & (FTR__BATCH_NORMAL | FTR__BATCH_PADS);

	switch (forced) {
	case FTR_POKE_INT3:
		return (struct ftr__poke_rules){ .ways = INT3 };
	case FTR_POKE_ATOMIC:
	case FTR_POKE_SKIP:
		if (!direct)
			return (struct ftr__poke_rules){ 0 };
		if (both)
			return (struct ftr__poke_rules){ .ways = STORES };
		return (struct ftr__poke_rules){
			.ways = forced == FTR_POKE_ATOMIC ? 1 << FTR__WAY_ATOMIC
							  : 1 << FTR__WAY_SKIP };
	default:
		return (struct ftr__poke_rules){
			.ways = direct && stores_documented() ? STORES | INT3 : INT3 };
	}
}

/* A call that a trap's handler does is not on the thread's shadow stack (R6): its
 * return would raise an exception.  Of pads nops alone are left to be done. */
static struct ftr__poke_rules rules_of(bool direct, unsigned flags)
{
	struct ftr__poke_rules rules = rules_of_poke(direct, flags);

	if (flags & FTR__BATCH_PADS || !(rules.ways & INT3) || !ftr__backend->shadow_stack())
		return rules;
	if (forced == FTR_POKE_AUTO && direct)
		return (struct ftr__poke_rules){ .ways = STORES };
	return (struct ftr__poke_rules){ 0 };
}

static struct ftr__hazard look(void)
{
	return ftr__hazard_wait(ftr__hazard_look(), 0, GLANCE_MS);
}

static uintptr_t first_that_goes(const struct ftr__patches *patches, enum ftr__way way)
{
	const struct ftr__span *span = patches->spans;
	size_t i = 0;

	while (i + 1 < patches->n && patches->ways[i] != way)
		i++;
	while (i - span->first >= span->n)
		span++;
	return span->ips[i - span->first];
}

/* --- refusing ------------------------------------------------------------------ */

static int refuse_forced(const struct ftr__patches *patches, bool direct)
{
	const char *name = forced == FTR_POKE_ATOMIC ? "atomic" : "skip";
	unsigned long ip = first_that_goes(patches, FTR__WAY_LEFT);

	if (forced == FTR_POKE_INT3 || forced == FTR_POKE_AUTO)
		return ftr__fail(EOPNOTSUPP, "the site at %#lx takes a breakpoint, and the thread"
				 " has a hardware shadow stack", ip);
	if (!direct)
		return ftr__fail(EACCES, "the poke strategy %s stores to text, and text can't be made"
				 " writable now", name);
	if (forced == FTR_POKE_ATOMIC)
		return ftr__fail(EOPNOTSUPP, "the site at %#lx can't be changed by the poke strategy"
				 " atomic: the bytes to change lie in two quadwords", ip);
	return ftr__fail(EOPNOTSUPP, "the site at %#lx can't be changed by the poke strategy skip:"
			 " it goes from call to call, or its first two bytes lie in two quadwords",
			 ip);
}

static int refuse_hazard(const struct ftr__patches *patches, enum ftr__way way,
			 const struct ftr__hazard *hazard)
{
	unsigned long ip = first_that_goes(patches, way);

	switch (hazard->kind) {
	case FTR__HAZARD_THREAD:
		return ftr__fail(EAGAIN, "the site at %#lx takes a breakpoint, and thread %d, which"
				 " blocks SIGTRAP (or may when it wakes), would die of it", ip,
				 hazard->which);
	case FTR__HAZARD_HANDLER:
		return ftr__fail(EAGAIN, "the site at %#lx takes a breakpoint, and the handler of"
				 " signal %d, which runs with SIGTRAP blocked, would die of it", ip,
				 hazard->which);
	default:
		return ftr__fail(EACCES, "the site at %#lx takes a breakpoint, and who blocks SIGTRAP"
				 " can't be read from /proc (errno %d)", ip, hazard->which);
	}
}

/* Some places want a breakpoint, and a hazard speaks against it. */
static int plan_hazard(struct ftr__patches *patches, struct ftr__poke_rules rules,
		       unsigned flags, struct ftr__hazard hazard)
{
	rules.one_line = true;
	choose(patches, rules);
	if (!patches->n_way[FTR__WAY_INT3])
		return 0;
	hazard = ftr__hazard_wait(hazard, ftr__batch_hazard_ms, WAIT_MS);
	if (hazard.kind == FTR__HAZARD_NONE)
		return 0;
	if (!(flags & FTR__BATCH_PARTIAL))
		return refuse_hazard(patches, FTR__WAY_INT3, &hazard);
	rules.ways &= (uint8_t)~INT3;
	choose(patches, rules);
	return 0;
}

/* --- pads ---------------------------------------------------------------------- */

/* What can't be one nop without a breakpoint counts as occupied for good. */
static void fuse(struct ftr__patches *patches)
{
	for (size_t i = 0; i < patches->n_spans; i++) {
		struct ftr__span *span = &patches->spans[i];
		span->found = span->before;
		if (!ftr__backend->text.fuse(span->found.bytes, span->size, span->before.bytes))
			span->occupied = true;
	}
}

static int plan_pads(struct ftr__patches *patches, bool direct, unsigned flags, bool *fused)
{
	struct ftr__poke_rules rules = rules_of(direct, flags);
	struct ftr__hazard hazard = { FTR__HAZARD_NONE, 0, false };

	if (rules.ways & INT3) {
		choose_int3(patches);
		hazard = look();
		if (hazard.kind == FTR__HAZARD_NONE)
			return 0;
		if (forced != FTR_POKE_AUTO || !direct)
			return plan_hazard(patches, rules, flags, hazard);
		rules = (struct ftr__poke_rules){ .ways = STORES, .one_line = true };
	}
	*fused = true;
	fuse(patches);
	choose(patches, rules);
	if (!patches->n_way[FTR__WAY_LEFT] || (flags & FTR__BATCH_PARTIAL))
		return 0;
	return hazard.kind == FTR__HAZARD_NONE ? refuse_forced(patches, direct)
					       : refuse_hazard(patches, FTR__WAY_LEFT, &hazard);
}

/* Whoever meets the breakpoint goes elsewhere: stores can't do that. */
static int plan_moved(struct ftr__patches *patches)
{
	if (forced == FTR_POKE_ATOMIC || forced == FTR_POKE_SKIP)
		return ftr__fail(EOPNOTSUPP, "a function without a site can't be changed by the"
				 " poke strategy %s", forced == FTR_POKE_ATOMIC ? "atomic" : "skip");
	choose_int3(patches);
	struct ftr__hazard hazard = look();
	if (hazard.kind != FTR__HAZARD_NONE)
		hazard = ftr__hazard_wait(hazard, ftr__batch_hazard_ms, WAIT_MS);
	return hazard.kind == FTR__HAZARD_NONE
		       ? 0 : refuse_hazard(patches, FTR__WAY_INT3, &hazard);
}

int ftr__plan(struct ftr__patches *patches, bool direct, unsigned flags, bool *fused)
{
	struct ftr__poke_rules rules = rules_of(direct, flags);

	*fused = false;
	if (flags & FTR__BATCH_BREAKPOINTS)
		return choose_bytes(patches);
	if (flags & FTR__BATCH_MOVED)
		return plan_moved(patches);
	if (flags & FTR__BATCH_PADS)
		return plan_pads(patches, direct, flags, fused);
	if (rules.ways == INT3)
		choose_int3(patches);
	else
		choose(patches, rules);
	if (patches->n_way[FTR__WAY_LEFT])
		return flags & FTR__BATCH_PARTIAL ? 0 : refuse_forced(patches, direct);
	if (!patches->n_way[FTR__WAY_INT3])
		return 0;
	struct ftr__hazard hazard = look();
	if (hazard.kind == FTR__HAZARD_NONE)
		return 0;
	if (forced == FTR_POKE_AUTO && direct)
		rules.ways |= STORES;
	return plan_hazard(patches, rules, flags, hazard);
}
