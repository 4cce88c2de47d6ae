/* SPDX-License-Identifier: MIT */
/*
 * From changes of groups to a batch of patches.  Floor 5; under the library's
 * lock and the loader's.
 *
 *   1. Walk the changes; each site that one touches gets in `pending` the
 *      number of a *state* (lib/state.h): the handler set that it has so far.
 *   2. Split the touched sites into *runs* that go the same way; find the slot
 *      of each run's state, for its length and module.
 *   3. Make the sites normal that are not yet.
 *   4. One batch for all sites whose slot changes.
 *   5. Settle: store the new slots.
 *
 * Where sites may be left out, those that 3 or 4 can't do are marked, and 4
 * and 5 pass over them.
 *
 * All that can fail comes before, or is, step 4.
 */
#include "lib/update.h"

#include <stdlib.h>
#include <string.h>

#include "lib/error.h"
#include "lib/jump.h"
#include "lib/normal.h"
#include "lib/patches.h"
#include "lib/state.h"
#include "lib/unhooked.h"

/* Touched sites in a row that go the same way, of one length and module. */
struct run {
	size_t first, n;
	struct ftr__module *module;
	uint32_t before, after; /* slots */
	uint32_t segment;
	uint8_t length;
	uint8_t all_flags;      /* flags that all of them have */
	bool jumped, jumps;     /* before; after */
};

/* An update under way. */
struct update {
	struct ftr__states states;
	struct ftr_site *const *touched;
	size_t n_touched;
	struct ftr_site **touched_room;
	/* Changes of one and the same list: that is what is touched, and no site's
	 * `pending` is used. */
	const struct ftr__change *alike;
	size_t n_alike;
	struct run *runs;
	size_t n_runs, runs_room;
	bool sorted;
	bool partly;
	struct ftr__sites left; /* those that were left out; room for all touched */
};

static struct ftr__store touched_store;

static int no_memory(void)
{
	return ftr__fail(ENOMEM, "no memory for an update");
}

/* --- 1: states ---------------------------------------------------------------- */

/* Columns: of ftr__state_step(). */
static inline int apply(struct update *u, size_t column, const struct ftr_group *group,
			struct ftr_site *site)
{
	bool fresh = site->pending == FTR__SITE_SETTLED;
	long state = fresh ? ftr__state_of_slot(&u->states, site->slot) : (long)site->pending;

	if (state >= 0)
		state = ftr__state_step(&u->states, (uint32_t)state, column, group, site);
	if (state < 0)
		return (int)state;
	if (fresh)
		u->touched_room[u->n_touched++] = site;
	site->pending = (uint32_t)state;
	return 0;
}

static int apply_all(struct update *u, size_t column, const struct ftr_group *group,
		     const struct ftr__sites *sites)
{
	int result = 0;

	for (size_t i = 0; i < sites->n && !result; i++)
		result = apply(u, column, group, sites->list[i]);
	return result;
}

/* Sites that are in one of the two sorted lists alone. */
static int apply_difference(struct update *u, size_t column, const struct ftr__change *c)
{
	const struct ftr__sites *b = c->before, *a = c->after;
	int result = 0;

	for (size_t i = 0, j = 0; !result && (i < b->n || j < a->n);) {
		if (i < b->n && j < a->n && b->list[i] == a->list[j]) {
			i++;
			j++;
		} else if (j == a->n || (i < b->n && b->list[i]->ip < a->list[j]->ip)) {
			result = apply(u, column, c->group, b->list[i++]);
		} else {
			result = apply(u, column + 1, c->group, a->list[j++]);
		}
	}
	return result;
}

static int apply_change(struct update *u, size_t number, const struct ftr__change *c)
{
	if (c->before && c->after)
		return apply_difference(u, 2 * number, c);
	if (c->before)
		return apply_all(u, 2 * number, c->group, c->before);
	return c->after ? apply_all(u, 2 * number + 1, c->group, c->after) : 0;
}

/* Each change touches sites in order; what it adds to those of the changes
 * before it need not lie behind them. */
static int walk(struct update *u, size_t number, const struct ftr__change *c)
{
	size_t first = u->n_touched;
	int result = apply_change(u, number, c);

	if (first && u->n_touched > first && u->touched[first]->ip < u->touched[first - 1]->ip)
		u->sorted = false;
	return result;
}

static int by_ip(const void *a, const void *b)
{
	const struct ftr_site *x = *(struct ftr_site *const *)a;
	const struct ftr_site *y = *(struct ftr_site *const *)b;

	return x->ip < y->ip ? -1 : x->ip > y->ip;
}

/* The one list of a change; NULL: it has two, or none. */
static const struct ftr__sites *only_list(const struct ftr__change *c)
{
	if (c->before && c->after)
		return NULL;
	return c->before ? c->before : c->after;
}

static bool are_alike(const struct ftr__change *changes, size_t n)
{
	const struct ftr__sites *first = n ? only_list(changes) : NULL;

	for (size_t i = 1; i < n && first; i++) {
		const struct ftr__sites *sites = only_list(&changes[i]);
		if (!sites || sites->n != first->n)
			return false;
		if (first->n && memcmp(sites->list, first->list, first->n * sizeof *first->list))
			return false;
	}
	return first;
}

static void collect_alike(struct update *u, const struct ftr__change *changes, size_t n)
{
	const struct ftr__sites *sites = only_list(changes);

	u->touched = sites->list;
	u->n_touched = sites->n;
	u->alike = changes;
	u->n_alike = n;
}

static int collect(struct update *u, const struct ftr__change *changes, size_t n)
{
	size_t most = 0;
	int result = 0;

	if (are_alike(changes, n)) {
		collect_alike(u, changes, n);
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		most += (changes[i].before ? changes[i].before->n : 0) +
			(changes[i].after ? changes[i].after->n : 0);
	u->sorted = true;
	u->touched = u->touched_room = ftr__store_get(&touched_store, most * sizeof *u->touched);
	if (!u->touched)
		return no_memory();
	for (size_t i = 0; i < n && !result; i++)
		result = walk(u, i, &changes[i]);
	if (!u->sorted)
		qsort(u->touched_room, u->n_touched, sizeof *u->touched, by_ip);
	return result;
}

/* --- 2: slots ----------------------------------------------------------------- */

static struct run *run_add(struct update *u)
{
	if (u->n_runs == u->runs_room) {
		u->runs_room = u->runs_room ? 2 * u->runs_room : 16;
		void *grown = realloc(u->runs, u->runs_room * sizeof *u->runs);
		if (!grown)
			return NULL;
		u->runs = grown;
	}
	return &u->runs[u->n_runs++];
}

/* How a site comes to the slot of a set with exit handlers: by a jump, but where
 * its function is to be left alone by exits (R5). */
static bool site_jumps(const struct ftr__module *module, const struct ftr_site *site)
{
	return !ftr__unhooked(module->name, ftr__site_name(module, site));
}

/*
 * The run of touched sites from i on.  `hooks`: they get exit handlers, if they
 * may.
 */
static void run_measure(const struct update *u, size_t i, struct run *run, bool hooks)
{
	const struct ftr_site *site = u->touched[i];
	struct ftr__module *module =
		run->module && site->ip < run->module->high ? run->module : ftr__module_of(site);
	bool alike = u->alike, jumps = hooks && site_jumps(module, site);
	uint32_t before = site->slot, state = site->pending;
	uint8_t length = site->length, flags = site->flags, jumped = flags & FTR__SITE_JUMPS;
	uintptr_t high;
	uint32_t segment = ftr__module_segment(module, site->ip, &high);
	size_t first = i;

	while (++i < u->n_touched) {
		site = u->touched[i];
		if (site->slot != before || (!alike && site->pending != state) ||
		    site->length != length || (site->flags & FTR__SITE_JUMPS) != jumped ||
		    site->ip >= high || (hooks && site_jumps(module, site) != jumps))
			break;
		flags &= site->flags;
	}
	*run = (struct run){ .first = first, .n = i - first, .module = module, .before = before,
			     .after = before, .segment = segment, .length = length,
			     .all_flags = flags, .jumped = jumped, .jumps = jumps };
}

/* The state that the site which begins a run is led to; or an error. */
static long state_after(struct update *u, const struct ftr_site *site)
{
	if (!u->alike)
		return site->pending;
	long state = ftr__state_of_slot(&u->states, site->slot);
	for (size_t i = 0; i < u->n_alike && state >= 0; i++)
		state = ftr__state_step(&u->states, (uint32_t)state, 2 * i + !u->alike[i].before,
					u->alike[i].group, site);
	return state;
}

static int resolve_all(struct update *u)
{
	struct ftr__module *module = NULL;

	for (size_t i = 0; i < u->n_touched;) {
		long state = state_after(u, u->touched[i]);
		if (state < 0)
			return (int)state;
		struct run *run = run_add(u);
		if (!run)
			return no_memory();
		run->module = module;
		run_measure(u, i, run, u->states.list[state].set->n_exits);
		int result = ftr__state_resolve(&u->states, (uint32_t)state, run->module,
						run->length, run->jumps);
		if (result)
			return result;
		run->after = u->states.list[state].slot;
		module = run->module;
		i += run->n;
	}
	return 0;
}

/* --- 3: making sites normal ----------------------------------------------------- */

/* From now on these are not touched. */
static void leave_out(struct update *u)
{
	for (size_t i = 0; i < u->n_touched; i++)
		if (!(u->touched[i]->flags & FTR__SITE_NORMAL))
			u->touched[i]->flags |= FTR__SITE_LEFT;
}

static int normalise_runs(struct update *u)
{
	uint8_t flags = FTR__SITE_NORMAL;

	for (size_t i = 0; i < u->n_runs; i++)
		flags &= u->runs[i].all_flags;
	if (flags & FTR__SITE_NORMAL)
		return 0;
	int result = ftr__normal_make(u->touched, u->n_touched, u->partly);
	if (!result && u->partly)
		leave_out(u);
	return result;
}

/* --- 4 and 5: the batch ----------------------------------------------------------- */

/* The addresses of a run's sites; how many.  *any: of the bits of all of them. */
static size_t list_run(struct update *u, const struct run *run, uintptr_t *ips, uintptr_t *any)
{
	struct ftr_site *const *sites = u->touched + run->first;
	bool all_touched = run->all_flags & FTR__SITE_TOUCHED;
	size_t n = 0;

	*any = 0;
	for (size_t i = 0; i < run->n; i++) {
		if (FTR__UNLIKELY(u->partly) && sites[i]->flags & FTR__SITE_LEFT)
			continue;
		*any |= ips[n++] = sites[i]->ip;
		if (!all_touched)
			sites[i]->flags |= FTR__SITE_TOUCHED;
	}
	return n;
}

/* Sites that jump, each to a stub of its own: one by one. */
static void add_jumps(struct update *u, const struct run *run, struct ftr__patches *patches)
{
	for (size_t i = run->first; i < run->first + run->n; i++) {
		struct ftr_site *site = u->touched[i];
		if (site->flags & FTR__SITE_LEFT)
			continue;
		site->flags |= FTR__SITE_TOUCHED;
		struct ftr__span *span = ftr__patches_next(patches);
		*span = (struct ftr__span){ .first = patches->n, .n = 1, .segment = run->segment,
					    .size = run->length, .length = run->length,
					    .literal = true };
		ftr__site_encode(run->module, site, run->before, run->jumped, span->before.bytes);
		ftr__site_encode(run->module, site, run->after, run->jumps, span->after.bytes);
		patches->n_spans++;
		patches->ips[patches->n++] = site->ip;
	}
}

static void add_run(struct update *u, const struct run *run, struct ftr__patches *patches)
{
	uintptr_t any;

	if (run->jumped || run->jumps) {
		add_jumps(u, run, patches);
		return;
	}
	size_t n = list_run(u, run, patches->ips + patches->n, &any);
	if (!n)
		return;
	patches->spans[patches->n_spans++] = (struct ftr__span){
		.first = patches->n, .n = n, .segment = run->segment,
		.before.target = ftr__site_target(run->before),
		.after.target = ftr__site_target(run->after),
		.size = run->length, .length = run->length,
		.alignment = any % 8 == 0 ? 8 : any % 4 == 0 ? 4 : 0 };
	patches->n += n;
}

/* From jump to jump no text changes, but where the stub leads. */
static bool changes_text(const struct run *run)
{
	return (run->before != run->after || run->jumped != run->jumps) &&
	       !(run->jumped && run->jumps);
}

static void lead_run(const struct update *u, const struct run *run, uint32_t slot)
{
	for (size_t i = run->first; i < run->first + run->n; i++)
		if (!(u->touched[i]->flags & FTR__SITE_LEFT))
			ftr__jump_lead(run->module, u->touched[i], slot);
}

/* Sites find their stubs led where they are to go. */
static void lead_before_batch(const struct update *u)
{
	for (size_t i = 0; i < u->n_runs; i++)
		if (u->runs[i].jumps && !u->runs[i].jumped)
			lead_run(u, &u->runs[i], u->runs[i].after);
}

/* And who is late in a stub finds what its site does now: no slot may serve
 * others while a stub leads there. */
static void lead_after_batch(const struct update *u, bool done)
{
	for (size_t i = 0; i < u->n_runs; i++) {
		const struct run *run = &u->runs[i];
		if (run->module->jumps)
			lead_run(u, run, done ? run->after : run->before);
	}
}

/* How many spans the runs make. */
static size_t count_spans(const struct update *u)
{
	size_t n = 0;

	for (size_t i = 0; i < u->n_runs; i++)
		n += u->runs[i].jumped || u->runs[i].jumps ? u->runs[i].n : 1;
	return n;
}

/* Mark what the batch left out: its places are the sites that went into it. */
static void mark_left(struct update *u, const struct ftr__patches *patches)
{
	size_t place = 0;

	for (size_t i = 0; i < u->n_runs; i++) {
		for (size_t j = 0; changes_text(&u->runs[i]) && j < u->runs[i].n; j++) {
			struct ftr_site *site = u->touched[u->runs[i].first + j];
			if (site->flags & FTR__SITE_LEFT)
				continue;
			if (patches->ways[place++] == FTR__WAY_LEFT)
				site->flags |= FTR__SITE_LEFT;
		}
	}
}

static int run_batch(struct update *u)
{
	struct ftr__patches patches;

	if (!ftr__patches_get(&patches, u->n_touched, count_spans(u)))
		return no_memory();
	for (size_t i = 0; i < u->n_runs; i++)
		if (changes_text(&u->runs[i]))
			add_run(u, &u->runs[i], &patches);
	lead_before_batch(u);
	int result = ftr__patches_run(&patches, u->partly ? FTR__BATCH_PARTIAL : 0);
	if (!result && patches.n && patches.n_way[FTR__WAY_LEFT])
		mark_left(u, &patches);
	return result;
}

static void settle_run(struct update *u, const struct run *run)
{
	size_t n = 0;

	for (size_t i = run->first; i < run->first + run->n; i++) {
		if (FTR__UNLIKELY(u->partly) && u->touched[i]->flags & FTR__SITE_LEFT)
			continue;
		u->touched[i]->slot = run->after;
		if (run->jumped != run->jumps)
			u->touched[i]->flags ^= FTR__SITE_JUMPS;
		n++;
	}
	if (run->before)
		ftr__slot_put(run->before, n);
	if (run->after)
		ftr__slot_add_users(run->after, n);
}

/* The list of what was left out, and its marks off. */
static void settle_left(struct update *u)
{
	for (size_t i = 0; i < u->n_touched; i++) {
		if (!(u->touched[i]->flags & FTR__SITE_LEFT))
			continue;
		u->touched[i]->flags &= (uint8_t)~FTR__SITE_LEFT & 0xf;
		if (u->left.list)
			u->left.list[u->left.n++] = u->touched[i];
	}
}

static void settle(struct update *u, bool done)
{
	lead_after_batch(u, done);
	for (size_t i = 0; i < u->n_runs && done; i++)
		settle_run(u, &u->runs[i]);
	if (u->partly)
		settle_left(u);
	for (size_t i = 0; i < u->n_touched && !u->alike; i++)
		u->touched[i]->pending = FTR__SITE_SETTLED;
	ftr__states_free(&u->states);
	free(u->runs);
}

static int update(struct update *u, const struct ftr__change *list, size_t n)
{
	int result = collect(u, list, n);

	if (!result && u->partly) {
		u->left.list = malloc((u->n_touched + 1) * sizeof *u->left.list);
		result = u->left.list ? 0 : no_memory();
	}
	if (!result)
		result = resolve_all(u);
	if (!result)
		result = normalise_runs(u);
	if (!result)
		result = run_batch(u);
	settle(u, !result);
	/* The slots that are left, or after a failure those that were new. */
	ftr__slot_retire_idle();
	return result;
}

int ftr__update(const struct ftr__change *list, size_t n)
{
	struct update u = { 0 };

	return update(&u, list, n);
}

int ftr__update_partly(const struct ftr__change *list, size_t n,
		       struct ftr__sites *left)
{
	struct update u = { .partly = true };
	int result = update(&u, list, n);

	*left = u.left;
	if (result) {
		free(left->list);
		*left = (struct ftr__sites){ 0 };
	}
	return result;
}

/* --- modules -------------------------------------------------------------------- */

void ftr__update_forget(struct ftr__module *module)
{
	for (size_t i = 0; i < module->n_sites; i++) {
		if (module->sites[i].slot)
			ftr__slot_put(module->sites[i].slot, 1);
		module->sites[i].slot = 0;
		module->sites[i].flags &= (uint8_t)~FTR__SITE_JUMPS & 0xf;
	}
	ftr__jump_forget(module);
}
