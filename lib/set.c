/* SPDX-License-Identifier: MIT */
/*
 * Interning handler sets.  Floor 4; guarded by the library's lock.
 *
 * Invariant: no two sets in the table have equal members; a set's members
 * never change.  Threads read a set after they stored their frame, so one is
 * freed only after a grace period.
 */
#include "lib/set.h"

#include <stdlib.h>
#include <string.h>

#include "lib/record.h"

enum { BUCKETS = 256 };

struct ftr__set ftr__set_empty = { .run = ftr__run_checked, .arg = &ftr__set_empty, .refs = 1 };
const struct ftr__set ftr__set_retired = { .run = ftr__run_retired, .any = FTR__SET_RETIRED };

static struct ftr__set *buckets[BUCKETS];
static struct ftr__set *let_go; /* since the latest ftr__set_age() */
static struct ftr__set *aged;
static struct ftr__set *pending; /* aged, and records hold them still */
static uint64_t tickets;
static bool cells_expected;

static uint64_t hash_members(const struct ftr__member *members, size_t n)
{
	uint64_t hash = n;

	for (size_t i = 0; i < n; i++) {
		hash = (hash ^ (uintptr_t)members[i].group) * 0x9e3779b97f4a7c15u;
		hash = (hash ^ members[i].epoch) * 0x9e3779b97f4a7c15u;
		hash ^= hash >> 29;
	}
	return hash;
}

static bool same(const struct ftr__set *set, const struct ftr__member *members, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (set->members[i].group != members[i].group ||
		    set->members[i].epoch != members[i].epoch ||
		    set->members[i].flags != members[i].flags)
			return false;
	return true;
}

enum ftr__vectors ftr__set_vectors(const struct ftr__set *set)
{
	if (set->any & FTR_GROUP_ALL_VECTORS)
		return FTR__VECTORS_ALL;
	return set->all & FTR_GROUP_NO_SIMD ? FTR__VECTORS_NONE : FTR__VECTORS_ARGS;
}

/* Threads may be calling what the set runs: its `arg` does for both. */
static void show_parents(struct ftr__set *set)
{
	FTR__PUBLISH(set->any, set->any | FTR__SET_BELOW);
	FTR__PUBLISH(set->run, ftr__run_members);
}

/* A lone group's handler is called by the callers themselves. */
static void choose_run(struct ftr__set *set)
{
	bool checked = set->any & (FTR__MEMBER_GOES | FTR__MEMBER_LIMITED);

	set->run = checked ? ftr__run_checked : ftr__run_members;
	set->arg = set;
	if (set->n_exits) {
		set->run = ftr__run_unhooked;
	} else if (set->n == 1 && !checked) {
		set->run = set->members[0].entry;
		set->arg = set->members[0].group;
	}
	if (cells_expected && !set->n_exits && !checked)
		show_parents(set);
}

static void expect_in(struct ftr__set *list)
{
	for (; list; list = list->next)
		if (list->run == ftr__run_members || list->arg != list)
			show_parents(list);
}

/* Who comes to a function by a jump of a hooked one has seen the batch that hooked
 * it, and so sees what was stored before. */
void ftr__set_expect_cells(void)
{
	if (cells_expected)
		return;
	cells_expected = true;
	for (size_t i = 0; i < BUCKETS; i++)
		expect_in(buckets[i]);
	expect_in(let_go);
	expect_in(aged);
	expect_in(pending);
}

/* Lay out the data blocks, number the exits. */
static bool prepare_exits(struct ftr__set *set)
{
	for (uint32_t i = 0; i < set->n; i++) {
		struct ftr__member *m = &set->members[i];
		if (!(m->flags & FTR__MEMBER_EXIT))
			continue;
		m->exit_bit = (uint8_t)set->n_exits++;
		m->data_at = set->data_size;
		set->data_size += (uint32_t)ftr__align_up(m->data_size, 16);
	}
	if (!set->n_exits)
		return true;
	set->hooked = malloc(sizeof *set->hooked);
	if (!set->hooked)
		return false;
	set->exit_caller = ftr__record_caller(
		ftr__backend->caller(set->any, ftr__set_vectors(set), false));
	*set->hooked = (struct ftr__set){ .run = ftr__run_hooked, .arg = set,
					  .any = set->any | FTR__SET_HOOKED };
	return true;
}

/* A lone plain group's handlers are called by the callers themselves, where the
 * backend has such. */
static void choose_exit_run(struct ftr__set *set)
{
	const uint32_t special = FTR__MEMBER_GOES | FTR_GROUP_REGS | FTR_GROUP_SP_OVERLAY |
				 FTR_GROUP_UNWOUND_EXITS | FTR__MEMBER_LIMITED;

	if (!set->n_exits || set->n != 1 || set->any & special || !ftr__backend->exit_caller)
		return;
	set->exit_run = set->members[0].exit;
	set->exit_arg = set->members[0].group;
	set->exit_caller = ftr__record_caller(ftr__backend->exit_caller(ftr__set_vectors(set)));
	set->hooked->run = set->members[0].entry;
	set->hooked->arg = set->members[0].group;
	set->hooked->hooks = set;
}

static struct ftr__set *make(const struct ftr__member *members, size_t n, uint64_t hash)
{
	struct ftr__set *set = malloc(sizeof *set + (n + 1) * sizeof *members);

	if (!set)
		return NULL;
	*set = (struct ftr__set){ .n = (uint32_t)n, .all = ~0u, .refs = 1, .hash = hash };
	memcpy(set->members, members, n * sizeof *members);
	set->members[n].entry = NULL;
	for (size_t i = 0; i < n; i++) {
		set->any |= members[i].flags;
		set->all &= members[i].flags;
	}
	if (!prepare_exits(set)) {
		free(set);
		return NULL;
	}
	choose_run(set);
	choose_exit_run(set);
	set->next = buckets[hash % BUCKETS];
	buckets[hash % BUCKETS] = set;
	return set;
}

struct ftr__set *ftr__set_get(const struct ftr__member *members, size_t n)
{
	uint64_t hash = hash_members(members, n);

	if (!n) {
		ftr__set_empty.refs++;
		return &ftr__set_empty;
	}
	for (struct ftr__set *s = buckets[hash % BUCKETS]; s; s = s->next) {
		if (s->hash == hash && s->n == n && same(s, members, n)) {
			/* Attached again since, in the same order: no thread
			 * looks at these, and later members are placed by them. */
			for (size_t i = 0; i < n; i++)
				s->members[i].order = members[i].order;
			s->refs++;
			return s;
		}
	}
	return make(members, n, hash);
}

struct ftr__set *ftr__set_with(const struct ftr__set *set, const struct ftr__member *member)
{
	struct ftr__member *members = malloc((set->n + 1) * sizeof *members);

	if (!members)
		return NULL;
	uint32_t at = 0;
	while (at < set->n && set->members[at].order > member->order)
		at++;
	memcpy(members, set->members, at * sizeof *members);
	members[at] = *member;
	memcpy(members + at + 1, set->members + at, (set->n - at) * sizeof *members);
	struct ftr__set *result = ftr__set_get(members, set->n + 1);
	free(members);
	return result;
}

struct ftr__set *ftr__set_without(const struct ftr__set *set, const struct ftr_group *group)
{
	struct ftr__member *members = malloc((set->n + 1) * sizeof *members);
	size_t n = 0;

	if (!members)
		return NULL;
	for (size_t i = 0; i < set->n; i++)
		if (set->members[i].group != group)
			members[n++] = set->members[i];
	struct ftr__set *result = ftr__set_get(members, n);
	free(members);
	return result;
}

bool ftr__set_has(const struct ftr__set *set, const struct ftr_group *group)
{
	for (size_t i = 0; i < set->n; i++)
		if (set->members[i].group == group)
			return true;
	return false;
}

void ftr__set_ref(struct ftr__set *set)
{
	set->refs++;
}

void ftr__set_unref(struct ftr__set *set)
{
	struct ftr__set **at = &buckets[set->hash % BUCKETS];

	if (--set->refs || set == &ftr__set_empty)
		return;
	while (*at != set)
		at = &(*at)->next;
	*at = set->next;
	set->next = let_go;
	let_go = set;
}

uint64_t ftr__set_age(void)
{
	/* Somebody waits for these: who waits from now on, does so for them too. */
	if (aged)
		return tickets;
	if (!let_go)
		return 0;
	aged = let_go;
	let_go = NULL;
	return ++tickets;
}

/* Free those of a list that no record holds. */
static void free_unheld(struct ftr__set **list)
{
	while (*list) {
		struct ftr__set *set = *list;
		if (set->n_exits && ftr__record_holds(set)) {
			list = &set->next;
			continue;
		}
		*list = set->next;
		if (set->n_exits)
			ftr__record_forget(set);
		free(set->hooked);
		free(set);
	}
}

void ftr__set_reap(uint64_t ticket)
{
	free_unheld(&pending);
	if (!ticket || ticket != tickets)
		return;
	free_unheld(&aged);
	while (aged) {
		struct ftr__set *set = aged;
		aged = set->next;
		set->next = pending;
		pending = set;
	}
}

/* The exit of a group that was detached. */
FTR__BARE static void no_exit(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			      struct ftr_regs *regs)
{
}

static void cancel_in(struct ftr__set *set, const struct ftr_group *group)
{
	for (uint32_t i = 0; i < set->n; i++) {
		if (set->members[i].group != group)
			continue;
		FTR__PUBLISH(set->members[i].exit, NULL);
		FTR__PUBLISH(set->exit_run, no_exit);
	}
}

static void cancel_list(struct ftr__set *list, const struct ftr_group *group)
{
	for (; list; list = list->next)
		cancel_in(list, group);
}

void ftr__set_cancel_exits(const struct ftr_group *group)
{
	for (size_t i = 0; i < BUCKETS; i++)
		cancel_list(buckets[i], group);
	cancel_list(let_go, group);
	cancel_list(aged, group);
	cancel_list(pending, group);
}
