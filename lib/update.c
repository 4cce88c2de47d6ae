/* SPDX-License-Identifier: MIT */
/*
 * From changes of groups to a batch of patches.  Floor 5; under the library's
 * lock and the loader's.
 *
 *   1. Walk the changes; each site that one touches gets in `pending` the
 *      number of a *state* (lib/state.h): the handler set that it has so far.
 *   2. Split the touched sites into *runs* that go the same way (lib/run.h);
 *      find the slot of each run's state, for its length and module.
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
#include "lib/run.h"
#include "lib/state.h"

/* An update under way. */
struct update {
	struct ftr__states states;
	struct ftr__touched touched;
	struct ftr_site **touched_room;
	/* Changes of one and the same list: that is what is touched, and no site's
	 * `pending` is used. */
	const struct ftr__change *alike;
	size_t n_alike;
	struct ftr__run *runs;
	size_t n_runs, runs_room;
	bool sorted;
	struct ftr__module *module; /* of the site before: most often the same */
	struct ftr__sites left; /* those that were left out; room for all touched */
};

static struct ftr__store touched_store;

static int no_memory(void)
{
	return ftr__fail(ENOMEM, "no memory for an update");
}

static inline struct ftr__module *module_of(struct update *u, const struct ftr_site *site)
{
	const struct ftr__module *m = u->module;

	if (FTR__UNLIKELY(!m || site->ip - m->low >= m->high - m->low))
		u->module = ftr__module_of(site);
	return u->module;
}

static uint8_t *flags_of(struct update *u, const struct ftr_site *site)
{
	const struct ftr__module *m = module_of(u, site);

	return &m->flags[ftr__site_number(m, site)];
}

/* --- 1: states ---------------------------------------------------------------- */

static bool make_pending(struct ftr__module *m)
{
	m->pending = malloc(m->n_sites * sizeof *m->pending);
	for (size_t i = 0; m->pending && i < m->n_sites; i++)
		m->pending[i] = FTR__SITE_SETTLED;
	return m->pending;
}

/* Columns: of ftr__state_step(). */
static inline int apply(struct update *u, size_t column, const struct ftr_group *group,
			struct ftr_site *site)
{
	struct ftr__module *m = module_of(u, site);
	size_t number = ftr__site_number(m, site);

	if (FTR__UNLIKELY(!m->pending) && !make_pending(m))
		return no_memory();
	bool fresh = m->pending[number] == FTR__SITE_SETTLED;
	long state = fresh ? ftr__state_of_slot(&u->states, m->slots[number])
			   : (long)m->pending[number];
	if (state >= 0)
		state = ftr__state_step(&u->states, (uint32_t)state, column, group, site);
	if (state < 0)
		return (int)state;
	if (fresh)
		u->touched_room[u->touched.n++] = site;
	m->pending[number] = (uint32_t)state;
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
	size_t first = u->touched.n;
	int result = apply_change(u, number, c);

	if (first && u->touched.n > first && u->touched.list[first]->ip < u->touched.list[first - 1]->ip)
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

	u->touched.list = sites->list;
	u->touched.n = sites->n;
	u->touched.alike = true;
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
	u->touched_room = ftr__store_get(&touched_store, most * sizeof *u->touched_room);
	u->touched.list = u->touched_room;
	if (!u->touched_room)
		return no_memory();
	for (size_t i = 0; i < n && !result; i++)
		result = walk(u, i, &changes[i]);
	if (!u->sorted)
		qsort(u->touched_room, u->touched.n, sizeof *u->touched_room, by_ip);
	return result;
}

/* --- 2: slots ----------------------------------------------------------------- */

static struct ftr__run *run_add(struct update *u)
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

/* The state that the site which begins a run is led to; or an error. */
static long state_after(struct update *u, const struct ftr_site *site)
{
	const struct ftr__module *m = module_of(u, site);
	size_t number = ftr__site_number(m, site);

	if (!u->alike)
		return m->pending[number];
	long state = ftr__state_of_slot(&u->states, m->slots[number]);
	for (size_t i = 0; i < u->n_alike && state >= 0; i++)
		state = ftr__state_step(&u->states, (uint32_t)state, 2 * i + !u->alike[i].before,
					u->alike[i].group, site);
	return state;
}

static int resolve_all(struct update *u)
{
	for (size_t i = 0; i < u->touched.n;) {
		long state = state_after(u, u->touched.list[i]);
		if (state < 0)
			return (int)state;
		struct ftr__run *run = run_add(u);
		if (!run)
			return no_memory();
		ftr__run_measure(&u->touched, module_of(u, u->touched.list[i]), i,
				 u->states.list[state].set->n_exits, run);
		int result = ftr__state_resolve(&u->states, (uint32_t)state, run->module,
						run->length, run->jumps);
		if (result)
			return result;
		if (run->solid && !ftr__module_ips(run->module))
			return no_memory();
		run->after = u->states.list[state].slot;
		i += run->n;
	}
	return 0;
}

/* --- 3: making sites normal ----------------------------------------------------- */

/* From now on these are not touched. */
static void leave_out(struct update *u)
{
	for (size_t i = 0; i < u->touched.n; i++)
		if (!(*flags_of(u, u->touched.list[i]) & FTR__SITE_NORMAL))
			*flags_of(u, u->touched.list[i]) |= FTR__SITE_LEFT;
}

static int normalise_runs(struct update *u)
{
	uint8_t flags = FTR__SITE_NORMAL;

	for (size_t i = 0; i < u->n_runs; i++)
		flags &= u->runs[i].all_flags;
	if (flags & FTR__SITE_NORMAL)
		return 0;
	int result = ftr__normal_make(u->touched.list, u->touched.n, u->touched.partly);
	if (!result && u->touched.partly)
		leave_out(u);
	return result;
}

/* --- 4 and 5: the batch ----------------------------------------------------------- */

static void touch_solid(const struct ftr__run *run)
{
	uint8_t *flags = run->module->flags + run->number;

	for (size_t i = 0; i < run->n && !(run->all_flags & FTR__SITE_TOUCHED); i++)
		flags[i] |= FTR__SITE_TOUCHED;
}

/* The addresses of a run's sites; how many. */
static size_t list_run(struct update *u, const struct ftr__run *run, uintptr_t *ips)
{
	struct ftr_site *const *sites = u->touched.list + run->first;
	const struct ftr__module *m = run->module;
	size_t n = 0;

	for (size_t i = 0; i < run->n; i++) {
		uint8_t *flags = &m->flags[ftr__site_number(m, sites[i])];
		if (*flags & FTR__SITE_LEFT)
			continue;
		ips[n++] = sites[i]->ip;
		*flags |= FTR__SITE_TOUCHED;
	}
	return n;
}

/* Sites whose bytes are told one by one: they jump to what takes their functions' place,
 * or to stubs that don't lie side by side. */
static bool is_literal(const struct ftr__run *run)
{
	return ((run->jumped || run->jumps) && !run->solid) || ftr__site_jump(run->before) ||
	       ftr__site_jump(run->after);
}

static void add_literals(struct update *u, const struct ftr__run *run, struct ftr__patches *patches)
{
	for (size_t i = run->first; i < run->first + run->n; i++) {
		const struct ftr_site *site = u->touched.list[i];
		uint8_t *flags = flags_of(u, site);
		if (*flags & FTR__SITE_LEFT)
			continue;
		*flags |= FTR__SITE_TOUCHED;
		struct ftr__span *span = ftr__patches_next(patches);
		*span = (struct ftr__span){ .ips = &patches->ips[patches->n],
					    .first = patches->n, .n = 1, .segment = run->segment,
					    .size = run->length, .length = run->length,
					    .literal = true };
		ftr__site_encode(run->module, site, run->before, run->jumped, span->before.bytes);
		ftr__site_encode(run->module, site, run->after, run->jumps, span->after.bytes);
		patches->n_spans++;
		patches->ips[patches->n++] = site->ip;
	}
}

/* Where a run's sites lead, and how far apart that is: to one slot, or to stubs. */
static uintptr_t target_of(const struct ftr__run *run, uint32_t slot, bool jumps, uint32_t *stride)
{
	*stride = slot && jumps ? ftr__backend->jump_size : 0;
	if (*stride)
		return ftr__jump_stub(run->module, &run->module->sites[run->number]);
	return ftr__site_target(slot);
}

static void add_run(struct update *u, const struct ftr__run *run, struct ftr__patches *patches)
{
	uintptr_t *ips = patches->ips + patches->n;

	if (is_literal(run)) {
		add_literals(u, run, patches);
		return;
	}
	if (run->solid)
		touch_solid(run);
	size_t n = run->solid ? run->n : list_run(u, run, ips);
	if (!n)
		return;
	struct ftr__span *span = ftr__patches_next(patches);
	*span = (struct ftr__span){
		.ips = run->solid ? run->module->ips + run->number : ips,
		.first = patches->n, .n = n, .segment = run->segment,
		.size = run->length, .length = run->length,
		.aligned = run->all_flags & FTR__SITE_ALIGNED };
	span->before.target = target_of(run, run->before, run->jumped, &span->stride[false]);
	span->after.target = target_of(run, run->after, run->jumps, &span->stride[true]);
	patches->n_spans++;
	patches->n += n;
}

/* From jump to jump no text changes, but where the stub leads. */
static bool changes_text(const struct ftr__run *run)
{
	return (run->before != run->after || run->jumped != run->jumps) &&
	       !(run->jumped && run->jumps);
}

static void lead_run(struct update *u, const struct ftr__run *run, uint32_t slot)
{
	if (run->solid) {
		ftr__jump_lead(run->module, run->number, run->n, slot);
		return;
	}
	for (size_t i = run->first; i < run->first + run->n; i++)
		if (!(*flags_of(u, u->touched.list[i]) & FTR__SITE_LEFT))
			ftr__jump_lead(run->module, ftr__site_number(run->module, u->touched.list[i]),
				       1, slot);
}

/* Sites find their stubs led where they are to go. */
static void lead_before_batch(struct update *u)
{
	for (size_t i = 0; i < u->n_runs; i++)
		if (u->runs[i].jumps && !u->runs[i].jumped)
			lead_run(u, &u->runs[i], u->runs[i].after);
}

/* And who is late in a stub finds what its site does now: no slot may serve
 * others while a stub leads there. */
static void lead_after_batch(struct update *u, bool done)
{
	for (size_t i = 0; i < u->n_runs; i++) {
		const struct ftr__run *run = &u->runs[i];
		if (run->module->jumps)
			lead_run(u, run, done ? run->after : run->before);
	}
}

/* How many spans the runs make. */
static size_t count_spans(const struct update *u)
{
	size_t n = 0;

	for (size_t i = 0; i < u->n_runs; i++)
		n += is_literal(&u->runs[i]) ? u->runs[i].n : 1;
	return n;
}

/* Mark what the batch left out: its places are the sites that went into it. */
static void mark_left(struct update *u, const struct ftr__patches *patches)
{
	size_t place = 0;

	for (size_t i = 0; i < u->n_runs; i++) {
		for (size_t j = 0; changes_text(&u->runs[i]) && j < u->runs[i].n; j++) {
			uint8_t *flags = flags_of(u, u->touched.list[u->runs[i].first + j]);
			if (*flags & FTR__SITE_LEFT)
				continue;
			if (patches->ways[place++] == FTR__WAY_LEFT)
				*flags |= FTR__SITE_LEFT;
		}
	}
}

static int run_batch(struct update *u)
{
	struct ftr__patches patches;

	if (!ftr__patches_get(&patches, u->touched.n, count_spans(u)))
		return no_memory();
	for (size_t i = 0; i < u->n_runs; i++)
		if (changes_text(&u->runs[i]))
			add_run(u, &u->runs[i], &patches);
	lead_before_batch(u);
	int result = ftr__patches_run(&patches, u->touched.partly ? FTR__BATCH_PARTIAL : 0);
	if (!result && patches.n && patches.n_way[FTR__WAY_LEFT])
		mark_left(u, &patches);
	return result;
}

/* Some by hand, the others as copies of these, which stay in the first cache. */
static void fill(uint32_t *slots, size_t n, uint32_t slot)
{
	const size_t some = 256;

	for (size_t i = 0; i < n && i < some; i++)
		slots[i] = slot;
	for (size_t i = some; i < n; i += some)
		memcpy(slots + i, slots, (n - i < some ? n - i : some) * sizeof *slots);
}

static size_t settle_each(struct update *u, const struct ftr__run *run)
{
	const struct ftr__module *m = run->module;
	uint8_t flips = run->jumped != run->jumps ? FTR__SITE_JUMPS : 0;
	size_t n = 0;

	for (size_t i = run->first; i < run->first + run->n; i++) {
		size_t number = ftr__site_number(m, u->touched.list[i]);
		if (m->flags[number] & FTR__SITE_LEFT)
			continue;
		m->slots[number] = run->after;
		m->flags[number] ^= flips;
		n++;
	}
	return n;
}

static void settle_solid(const struct ftr__run *run)
{
	uint8_t *flags = run->module->flags + run->number;

	fill(run->module->slots + run->number, run->n, run->after);
	for (size_t i = 0; i < run->n && run->jumped != run->jumps; i++)
		flags[i] ^= FTR__SITE_JUMPS;
}

static void settle_run(struct update *u, const struct ftr__run *run)
{
	size_t n = run->n;

	if (run->solid)
		settle_solid(run);
	else
		n = settle_each(u, run);
	if (run->before)
		ftr__slot_put(run->before, n);
	if (run->after)
		ftr__slot_add_users(run->after, n);
}

/* The list of what was left out, and its marks off. */
static void settle_left(struct update *u)
{
	for (size_t i = 0; i < u->touched.n; i++) {
		uint8_t *flags = flags_of(u, u->touched.list[i]);
		if (!(*flags & FTR__SITE_LEFT))
			continue;
		*flags &= (uint8_t)~FTR__SITE_LEFT;
		if (u->left.list)
			u->left.list[u->left.n++] = u->touched.list[i];
	}
}

static void settle(struct update *u, bool done)
{
	lead_after_batch(u, done);
	for (size_t i = 0; i < u->n_runs && done; i++)
		settle_run(u, &u->runs[i]);
	if (u->touched.partly)
		settle_left(u);
	for (size_t i = 0; i < u->touched.n && !u->alike; i++) {
		const struct ftr__module *m = module_of(u, u->touched.list[i]);
		m->pending[ftr__site_number(m, u->touched.list[i])] = FTR__SITE_SETTLED;
	}
	ftr__states_free(&u->states);
	free(u->runs);
}

static int update(struct update *u, const struct ftr__change *list, size_t n)
{
	int result = collect(u, list, n);

	if (!result && u->touched.partly) {
		u->left.list = malloc((u->touched.n + 1) * sizeof *u->left.list);
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
	struct update u = { .touched.partly = true };
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
		if (module->slots[i])
			ftr__slot_put(module->slots[i], 1);
		module->slots[i] = 0;
		module->flags[i] &= (uint8_t)~FTR__SITE_JUMPS;
	}
	ftr__jump_forget(module);
}
