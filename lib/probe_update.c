/* SPDX-License-Identifier: MIT */
/*
 * Enabling and disabling probes.  Floor 5; under the library's lock and the
 * loader's.
 *
 * Those on sites are groups, attached in a batch of theirs; the breakpoints are
 * one batch:
 *
 *   1. make the points, and what each is to run (`next_runs`)
 *   2. see that the text is as expected, and that nobody blocks SIGTRAP
 *   3. to enable: let the points run it, then write breakpoints; to disable: take
 *      the breakpoints of those that are to run nothing, then let them
 *
 * A breakpoint is one byte: one store each, and one sync for all.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/batch.h"
#include "lib/boundary.h"
#include "lib/error.h"
#include "lib/fault.h"
#include "lib/hazard.h"
#include "lib/patches.h"
#include "lib/probe.h"
#include "lib/trap.h"

uint64_t ftr__probes_forced;

static struct ftr__runs *retired;
static uint64_t leavings;

static int no_memory(void)
{
	return ftr__fail(ENOMEM, "no memory to change probes");
}

/* --- what points run ------------------------------------------------------------- */

static struct ftr__runs *runs_new(uint32_t n)
{
	struct ftr__runs *runs = calloc(1, sizeof *runs + n * sizeof *runs->probes);

	if (runs)
		runs->n = n;
	return runs;
}

static void look_for_posts(struct ftr__runs *runs)
{
	for (uint32_t i = 0; i < runs->n; i++)
		runs->posts |= runs->probes[i]->post != NULL;
}

static struct ftr__runs *with(const struct ftr__runs *runs, struct ftr_probe *probe)
{
	uint32_t n = runs ? runs->n : 0;
	struct ftr__runs *more = runs_new(n + 1);

	if (!more)
		return NULL;
	more->probes[0] = probe;
	for (uint32_t i = 0; i < n; i++)
		more->probes[i + 1] = runs->probes[i];
	look_for_posts(more);
	return more;
}

static struct ftr__runs *without(const struct ftr__runs *runs, const struct ftr_probe *probe)
{
	struct ftr__runs *less = runs_new(runs->n - 1);

	for (uint32_t i = 0, j = 0; less && i < runs->n; i++)
		if (runs->probes[i] != probe)
			less->probes[j++] = runs->probes[i];
	if (less)
		look_for_posts(less);
	return less;
}

/* Handlers may have it. */
static void retire(const struct ftr__runs *runs)
{
	struct ftr__runs *r = (struct ftr__runs *)runs;

	if (!r)
		return;
	r->next = retired;
	retired = r;
}

/* --- an update ---------------------------------------------------------------------- */

struct update {
	struct ftr__point **points; /* touched, sorted before the batch */
	size_t n;
};

/* What a point is to run comes to be `next`. */
static int touch(struct update *u, struct ftr__point *point, struct ftr__runs *next)
{
	if (!next)
		return no_memory();
	if (!point->touched) {
		point->touched = true;
		u->points[u->n++] = point;
	} else {
		free(point->next_runs);
	}
	point->next_runs = next;
	return 0;
}

static const struct ftr__runs *latest(const struct ftr__point *point)
{
	return point->touched ? point->next_runs : point->runs;
}

static int add(struct update *u, struct ftr_probe *probe)
{
	struct ftr__module *module = ftr__boundary_module(probe->addr);
	int result = ftr__boundary_check_replaced(probe->addr);

	/* A jump's last byte may be the very one that is expected. */
	if (!result)
		result = ftr__point_get(module, probe->addr, probe->length, &probe->point);
	if (!result && probe->post)
		result = ftr__point_want_post(probe->point);
	return result ? result : touch(u, probe->point, with(latest(probe->point), probe));
}

static int take(struct update *u, struct ftr_probe *probe)
{
	return touch(u, probe->point, without(latest(probe->point), probe));
}

/* Nothing of it came to be. */
static void forget_update(struct update *u)
{
	for (size_t i = 0; i < u->n; i++) {
		free(u->points[i]->next_runs);
		u->points[i]->next_runs = NULL;
		u->points[i]->touched = false;
	}
	free(u->points);
}

/* --- the batch ------------------------------------------------------------------------ */

static int by_address(const void *a, const void *b)
{
	const struct ftr__point *x = *(struct ftr__point *const *)a;
	const struct ftr__point *y = *(struct ftr__point *const *)b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* Its breakpoint comes, or goes. */
static bool changes(const struct ftr__point *point)
{
	return !point->enabled == (point->next_runs->n != 0);
}

static void add_patch(struct ftr__patches *patches, const struct ftr__point *point)
{
	struct ftr__span *span = ftr__patches_next(patches);
	uint8_t instruction = point->found[0], breakpoint = ftr__backend->text.breakpoint;

	*span = (struct ftr__span){ .n = 1, .literal = true, .size = 1, .length = 1 };
	span->before.bytes[0] = point->enabled ? breakpoint : instruction;
	span->after.bytes[0] = point->enabled ? instruction : breakpoint;
	ftr__patches_add(patches, point->addr, point->module);
}

/* 2, as far as text goes. */
static int list_patches(const struct update *u, struct ftr__patches *patches)
{
	int result = 0;

	if (!ftr__patches_get(patches, u->n, u->n))
		return no_memory();
	qsort(u->points, u->n, sizeof *u->points, by_address);
	for (size_t i = 0; i < u->n && !result; i++) {
		u->points[i]->changes = changes(u->points[i]);
		if (!u->points[i]->changes)
			continue;
		result = ftr__point_verify(u->points[i]);
		if (!result)
			add_patch(patches, u->points[i]);
	}
	return result;
}

/* next_runs comes to be what ran before. */
static void exchange_runs(const struct update *u)
{
	for (size_t i = 0; i < u->n; i++) {
		struct ftr__point *p = u->points[i];
		struct ftr__runs *before = (struct ftr__runs *)p->runs;
		struct ftr__runs *next = p->next_runs;
		FTR__PUBLISH(p->runs, next);
		p->next_runs = before;
	}
}

/* A breakpoint that could not be taken back is dealt with for good: its detour
 * runs nothing but the instruction. */
static void mark(const struct update *u, bool enabled)
{
	for (size_t i = 0; i < u->n; i++)
		if (u->points[i]->changes && (enabled || !ftr__batch_stuck))
			FTR__PUBLISH(u->points[i]->enabled, enabled);
}

static void settle(struct update *u)
{
	for (size_t i = 0; i < u->n; i++) {
		retire(u->points[i]->next_runs);
		u->points[i]->next_runs = NULL;
		u->points[i]->touched = false;
	}
	free(u->points);
}

/* --- enabling ------------------------------------------------------------------------- */

static int refuse(const struct ftr__hazard *hazard)
{
	switch (hazard->kind) {
	case FTR__HAZARD_THREAD:
		return ftr__fail(EAGAIN, "thread %d blocks SIGTRAP (or may when it wakes) and would die"
				 " of a breakpoint; FTR_PROBE_FORCE sets it all the same",
				 hazard->which);
	case FTR__HAZARD_HANDLER:
		return ftr__fail(EAGAIN, "the handler of signal %d runs with SIGTRAP blocked and would"
				 " die of a breakpoint; FTR_PROBE_FORCE sets it all the same",
				 hazard->which);
	default:
		return ftr__fail(EACCES, "who blocks SIGTRAP can't be read from /proc (errno %d);"
				 " FTR_PROBE_FORCE sets a breakpoint all the same", hazard->which);
	}
}

/* A breakpoint that stays is a hazard for whoever blocks SIGTRAP (P6). */
static int check_hazard(bool forced)
{
	enum { WAIT_MS = 1000 };
	struct ftr__hazard hazard = ftr__hazard_look();

	if (!forced)
		hazard = ftr__hazard_wait(hazard, ftr__batch_hazard_ms, WAIT_MS);
	if (hazard.kind == FTR__HAZARD_NONE)
		return 0;
	if (!forced)
		return refuse(&hazard);
	ftr__probes_forced++;
	return 0;
}

static int begin(struct update *u, size_t n)
{
	*u = (struct update){ .points = malloc((n + 1) * sizeof *u->points) };
	return u->points ? 0 : no_memory();
}

/* A probe, and its place in the caller's list. */
struct listed {
	struct ftr_probe *probe;
	size_t i;
};

static int by_place(const void *a, const void *b)
{
	const struct listed *x = a, *y = b;

	if (x->probe->addr != y->probe->addr)
		return x->probe->addr < y->probe->addr ? -1 : 1;
	return x->i < y->i ? -1 : 1;
}

/* 1, in the order of addresses.  *forced: all of them are. */
static int add_all(struct update *u, struct ftr_probe *const *list, size_t n, bool *forced)
{
	struct listed *sorted = malloc((n + 1) * sizeof *sorted);
	size_t n_sorted = 0;
	int result = sorted ? begin(u, n) : no_memory();

	for (size_t i = 0; i < n && !result; i++)
		if (list[i]->kind != FTR_PROBE_SITE)
			sorted[n_sorted++] = (struct listed){ list[i], i };
	qsort(sorted, n_sorted, sizeof *sorted, by_place);
	*forced = true;
	for (size_t i = 0; i < n_sorted && !result; i++) {
		*forced = *forced && (sorted[i].probe->flags & FTR_PROBE_FORCE);
		result = add(u, sorted[i].probe);
	}
	free(sorted);
	return result;
}

/* 1 and 2. */
static int prepare(struct update *u, struct ftr_probe *const *list, size_t n)
{
	bool forced;
	int result = add_all(u, list, n, &forced);

	if (result || !u->n)
		return result;
	/* Calls are made by a push and a jump there, and left by a return. */
	if (ftr__backend->shadow_stack())
		return ftr__fail(EOPNOTSUPP, "the thread has a shadow stack, which breakpoints of probes"
				 " don't serve");
	result = check_hazard(forced);
	if (!result)
		result = ftr__trap_install();
	if (!result)
		result = ftr__fault_install();
	return result ? result : ftr__points_publish();
}

/* 3; what was new and did not come to stay may have run. */
static int write_breakpoints(struct update *u)
{
	struct ftr__patches patches;
	int result = list_patches(u, &patches);

	if (result)
		return result;
	exchange_runs(u);
	mark(u, true);
	result = ftr__patches_run(&patches, FTR__BATCH_BREAKPOINTS);
	if (result) {
		exchange_runs(u);
		mark(u, false);
	}
	settle(u);
	*u = (struct update){ 0 };
	return result;
}

static int enable_breakpoints(struct ftr_probe *const *list, size_t n)
{
	struct update u = { 0 };
	int result = prepare(&u, list, n);

	if (!result && u.n)
		result = write_breakpoints(&u);
	forget_update(&u); /* it looks into points that are dropped next */
	if (result)
		ftr__points_drop();
	return result;
}

/* --- disabling ------------------------------------------------------------------------- */

static int disable_breakpoints(struct ftr_probe *const *list, size_t n)
{
	struct ftr__patches patches;
	struct update u = { 0 };
	int result = begin(&u, n);

	for (size_t i = 0; i < n && !result; i++)
		if (list[i]->kind != FTR_PROBE_SITE && list[i]->point)
			result = take(&u, list[i]);
	if (!result)
		result = list_patches(&u, &patches);
	if (!result)
		result = ftr__patches_run(&patches, FTR__BATCH_BREAKPOINTS);
	if (result) {
		forget_update(&u);
		return result;
	}
	mark(&u, false);
	exchange_runs(&u);
	settle(&u);
	return 0;
}

/* --- sites --------------------------------------------------------------------------------- */

/* The groups of those that ride, attached or not. */
static int move_riders(struct ftr_probe *const *list, size_t n, bool attach)
{
	struct ftr_group **riders = malloc((n + 1) * sizeof *riders);
	size_t n_riders = 0;

	if (!riders)
		return no_memory();
	for (size_t i = 0; i < n; i++) {
		struct ftr_group *rider = list[i]->kind == FTR_PROBE_SITE ? list[i]->rider : NULL;
		if (rider && (rider->state == FTR__GROUP_ATTACHED) != attach)
			riders[n_riders++] = rider;
	}
	int result = 0;
	if (n_riders)
		result = ftr__group_update(attach ? riders : NULL, attach ? n_riders : 0,
					   attach ? NULL : riders, attach ? 0 : n_riders, NULL);
	free(riders);
	return result;
}

/* --- both -------------------------------------------------------------------------------- */

static void leave(struct ftr_probe *probe)
{
	probe->state = FTR__PROBE_LEAVING;
	probe->left_at = leavings;
	probe->point = NULL;
}

int ftr__probes_enable(struct ftr_probe *const *list, size_t n)
{
	int result = move_riders(list, n, true);

	if (!result) {
		result = enable_breakpoints(list, n);
		if (result)
			move_riders(list, n, false);
	}
	leavings++;
	for (size_t i = 0; i < n; i++) {
		if (result)
			leave(list[i]);
		else
			list[i]->state = FTR__PROBE_ENABLED;
	}
	return result;
}

int ftr__probes_disable(struct ftr_probe *const *list, size_t n)
{
	int result = move_riders(list, n, false);

	if (!result) {
		result = disable_breakpoints(list, n);
		if (result)
			move_riders(list, n, true);
	}
	leavings++;
	for (size_t i = 0; i < n && !result; i++)
		leave(list[i]);
	return result;
}

int ftr__probes_disable_all(void)
{
	struct ftr_probe **list;
	size_t n = 0;

	for (struct ftr_probe *p = ftr__probe_first(); p; p = p->next)
		n += p->state == FTR__PROBE_ENABLED;
	if (!n)
		return 0;
	list = malloc(n * sizeof *list);
	if (!list)
		return no_memory();
	n = 0;
	for (struct ftr_probe *p = ftr__probe_first(); p; p = p->next)
		if (p->state == FTR__PROBE_ENABLED)
			list[n++] = p;
	int result = ftr__probes_disable(list, n);
	free(list);
	return result;
}

/* --- after it --------------------------------------------------------------------------------- */

struct ftr__leaving ftr__probes_leaving(void)
{
	struct ftr__leaving leaving = { .runs = retired, .until = leavings,
					.sets = ftr__set_age(),
					.riders = ftr__group_leavings() };

	retired = NULL;
	return leaving;
}

static void keep_retired(struct ftr__runs *runs)
{
	struct ftr__runs **at = &runs;

	while (*at)
		at = &(*at)->next;
	*at = retired;
	retired = runs;
}

static void left(struct ftr_probe *probe, const struct ftr__leaving *leaving)
{
	if (probe->state == FTR__PROBE_LEAVING && probe->left_at <= leaving->until)
		probe->state = FTR__PROBE_DISABLED;
	if (probe->rider)
		ftr__group_left(probe->rider, leaving->riders);
}

void ftr__probes_left(struct ftr__leaving leaving, bool waited)
{
	if (!waited) {
		keep_retired(leaving.runs);
		return;
	}
	ftr__set_reap(leaving.sets);
	while (leaving.runs) {
		struct ftr__runs *runs = leaving.runs;
		leaving.runs = runs->next;
		free(runs);
	}
	for (struct ftr_probe *p = ftr__probe_first(); p; p = p->next)
		left(p, &leaving);
}

/* --- modules -------------------------------------------------------------------------------- */

void ftr__probes_forget(const struct ftr__module *module)
{
	for (size_t i = 0; i < ftr__point_count(); i++)
		if (ftr__point_at(i)->module == module)
			retire(ftr__point_at(i)->runs);
	ftr__points_forget(module);
	for (struct ftr_probe *p = ftr__probe_first(); p; p = p->next) {
		if (p->module_number != module->number)
			continue;
		p->module_number = 0;
		p->point = NULL;
	}
}

void ftr__probes_rehome(const struct ftr__module *from, const struct ftr__module *to)
{
	for (size_t i = 0; i < ftr__point_count(); i++)
		if (ftr__point_at(i)->module == from)
			ftr__point_at(i)->module = to;
	for (struct ftr_probe *p = ftr__probe_first(); p; p = p->next)
		if (p->module_number == from->number)
			p->module_number = to->number;
}
