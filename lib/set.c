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

enum { BUCKETS = 256 };

struct ftr__set ftr__set_empty = { .run = ftr__run_checked, .arg = &ftr__set_empty, .refs = 1 };
const struct ftr__set ftr__set_retired = { .run = ftr__run_retired, .any = FTR__SET_RETIRED };

static struct ftr__set *buckets[BUCKETS];
static struct ftr__set *let_go; /* since the latest ftr__set_age() */
static struct ftr__set *aged;
static uint64_t tickets;

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

/* A lone group's handler is called by the callers themselves. */
static void choose_run(struct ftr__set *set)
{
	bool checked = set->any & (FTR_GROUP_IPMODIFY | FTR__MEMBER_LIMITED);

	set->run = checked ? ftr__run_checked : ftr__run_members;
	set->arg = set;
	if (set->n == 1 && !checked) {
		set->run = set->members[0].entry;
		set->arg = set->members[0].group;
	}
}

static struct ftr__set *make(const struct ftr__member *members, size_t n, uint64_t hash)
{
	struct ftr__set *set = malloc(sizeof *set + n * sizeof *members);

	if (!set)
		return NULL;
	*set = (struct ftr__set){ .n = (uint32_t)n, .all = ~0u, .refs = 1, .hash = hash };
	memcpy(set->members, members, n * sizeof *members);
	for (size_t i = 0; i < n; i++) {
		set->any |= members[i].flags;
		set->all &= members[i].flags;
	}
	choose_run(set);
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

void ftr__set_reap(uint64_t ticket)
{
	if (!ticket || ticket != tickets)
		return;
	while (aged) {
		struct ftr__set *set = aged;
		aged = set->next;
		free(set);
	}
}
