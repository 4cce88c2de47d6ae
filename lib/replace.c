/* SPDX-License-Identifier: MIT */
/*
 * See replace.h.  Floor 5.
 */
#include "lib/replace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/error.h"
#include "lib/module.h"
#include "lib/near.h"
#include "lib/prologue.h"
#include "lib/thread.h"

/* In force; and those that are not any more, but a thread may be on its way. */
static struct ftr__replacement *in_force, *left;
static struct ftr__restored restored;

struct ftr__replacement *ftr__replacement_find(uintptr_t fn)
{
	struct ftr__replacement *r = in_force;

	while (r && r->fn != fn)
		r = r->next;
	return r;
}

static void note_bucket(const struct ftr__replacement *r)
{
	if (r->around)
		restored.buckets |= 1u << r->around->bucket;
}

bool ftr__replacement_leaves(uintptr_t fn)
{
	bool leaves = false;

	for (const struct ftr__replacement *r = left; r; r = r->next) {
		if (r->fn != fn)
			continue;
		leaves = true;
		note_bucket(r);
	}
	return leaves;
}

FTR__BARE static int go_elsewhere(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
				  struct ftr_regs *regs)
{
	const struct ftr__replacement *r = group->data;

	ftr__backend->regs_set_ip(regs, r->with);
	return 0;
}

/* --- one of them ------------------------------------------------------------------ */

static int no_memory(void)
{
	return ftr__fail(ENOMEM, "no memory for a replacement");
}

/* Let the group hold exactly this site. */
static int hold(struct ftr_group *group, uintptr_t ip)
{
	struct ftr__filter filter;
	struct ftr__sites sites;
	struct ftr__rule rule;
	int result = ftr__rule_ips(&rule, &ip, 1);

	if (result)
		return result;
	result = ftr__filter_extend(&filter, &group->filter, &rule, true);
	if (result) {
		ftr__rule_free(&rule);
		return result;
	}
	result = ftr__group_match(&filter, &sites);
	if (!result)
		result = ftr__group_set_filter(group, &filter, &sites);
	if (result)
		ftr__filter_free(&filter);
	return result;
}

static struct ftr_group *group_for(struct ftr__replacement *r, const char *name)
{
	struct ftr_group_options options = {
		.name = name, .entry = go_elsewhere, .data = r,
		.flags = FTR_GROUP_IPMODIFY | FTR_GROUP_NO_SIMD | FTR_GROUP_REENTRANT,
	};

	return ftr__group_new(&options);
}

/* Let r->with be what the place is to be taken by. */
static int choose_with(struct ftr__replacement *r, const struct ftr__place *place)
{
	r->with = place->with;
	if (!place->around)
		return 0;
	int result = ftr__around_get(&r->around, r->fn, place->signature, place->around,
				     place->data);
	if (!result)
		r->with = (uintptr_t)r->around->code;
	return result;
}

static int make_on_site(struct ftr__replacement *r, const struct ftr__module *module,
			const struct ftr_site *site)
{
	uintptr_t jump;
	char name[64];
	int result = ftr__near(module, r->with, &jump);

	if (result)
		return result;
	snprintf(name, sizeof name, "replaced by %#lx", (unsigned long)r->with);
	r->group = group_for(r, name);
	if (!r->group)
		return no_memory();
	r->group->member.flags |= FTR__MEMBER_REPLACES;
	r->group->member.jump = jump;
	r->original = site->ip + site->length;
	return hold(r->group, site->ip);
}

/* The function's module is gone. */
static bool is_over(const struct ftr__replacement *r)
{
	return r->group ? !r->group->sites.n : !ftr__prologue_module(r->prologue);
}

static int check_free(uintptr_t fn, const char *name)
{
	struct ftr__replacement *r = ftr__replacement_find(fn);

	if (!r)
		return 0;
	if (is_over(r))
		return ftr__replacements_end(&r, 1);
	return ftr__fail(EBUSY, "the function %s (%#lx) is replaced already", name,
			 (unsigned long)fn);
}

static int make_elsewhere(struct ftr__replacement *r)
{
	int result = ftr__prologue_get(&r->prologue, r->fn);

	if (result)
		return result;
	r->original = r->prologue->copy;
	return ftr__near(ftr__prologue_module(r->prologue), r->with, &r->prologue->next_target);
}

/* The function that is meant, by its own address or its site's. */
static uintptr_t function_of(uintptr_t fn, struct ftr__module **module,
			     const struct ftr_site **site)
{
	*site = ftr__site_find(fn, module);
	if (*site && (*site)->ip != fn && ftr__site_function(*site) != fn)
		*site = NULL;
	return *site ? ftr__site_function(*site) : fn;
}

static int check_place(const struct ftr__place *place, uintptr_t fn,
		       const struct ftr__module *module, const struct ftr_site *site)
{
	if (place->with == fn || (site && place->with == site->ip))
		return ftr__fail(EINVAL, "a function can't take its own place");
	return check_free(fn, site ? ftr__site_name(module, site) : "");
}

int ftr__replacement_new(struct ftr__replacement **replacement, const struct ftr__place *place)
{
	struct ftr__module *module = NULL;
	const struct ftr_site *site;
	uintptr_t fn = function_of(place->fn, &module, &site);
	int result = check_place(place, fn, module, site);

	*replacement = NULL;
	if (result)
		return result;
	struct ftr__replacement *r = calloc(1, sizeof *r);
	if (!r)
		return no_memory();
	r->fn = fn;
	result = choose_with(r, place);
	if (!result)
		result = site ? make_on_site(r, module, site) : make_elsewhere(r);
	if (result)
		ftr__replacement_drop(r);
	else
		*replacement = r;
	return result;
}

void ftr__replacement_drop(struct ftr__replacement *r)
{
	if (r && r->group)
		ftr__group_free(r->group);
	if (r && r->around)
		ftr__around_put(r->around);
	free(r);
}

/* --- batches of them ------------------------------------------------------------------ */

/* Some of a list: those on sites, as their groups, and those elsewhere. */
struct split {
	struct ftr_group **groups;
	size_t n_groups;
	struct ftr__prologue **prologues;
	size_t n_prologues;
};

static bool split(struct split *s, struct ftr__replacement *const *list, size_t n)
{
	*s = (struct split){ .groups = calloc(n + 1, sizeof(void *)),
			     .prologues = calloc(n + 1, sizeof(void *)) };
	for (size_t i = 0; s->groups && s->prologues && i < n; i++) {
		if (list[i]->group)
			s->groups[s->n_groups++] = list[i]->group;
		else
			s->prologues[s->n_prologues++] = list[i]->prologue;
	}
	return s->groups && s->prologues;
}

static void split_free(struct split *s)
{
	free(s->groups);
	free(s->prologues);
}

static void clear_targets(struct split *s)
{
	for (size_t i = 0; i < s->n_prologues; i++)
		s->prologues[i]->next_target = 0;
}

/* Undo the first one of two batches, and say what was said. */
static int undo(struct split *s, int result, bool begun)
{
	char said[FTR__ERROR_ROOM];

	snprintf(said, sizeof said, "%s", ftr__error_last());
	if (begun) {
		clear_targets(s);
		ftr__prologues_update(s->prologues, s->n_prologues);
	} else if (s->n_groups) {
		ftr__group_update(s->groups, s->n_groups, NULL, 0, NULL);
	}
	return ftr__fail(-result, "%s", said);
}

/* Two batches: if the second one fails the first one is undone. */
static int begin(struct split *s)
{
	int result = ftr__prologues_update(s->prologues, s->n_prologues);

	if (result || !s->n_groups)
		return result;
	result = ftr__group_update(s->groups, s->n_groups, NULL, 0, NULL);
	return result ? undo(s, result, true) : 0;
}

int ftr__replacements_begin(struct ftr__replacement *const *list, size_t n)
{
	struct split s;
	int result = split(&s, list, n) ? 0 : no_memory();

	for (size_t i = 0; i < n && !result; i++)
		if (list[i]->around)
			ftr__around_prepare(list[i]->around, list[i]->original);
	if (!result)
		result = begin(&s);
	split_free(&s);
	for (size_t i = 0; i < n && !result; i++) {
		list[i]->next = in_force;
		in_force = list[i];
		if (list[i]->around)
			ftr__around_begin(list[i]->around);
	}
	return result;
}

static void unlink_one(struct ftr__replacement *r)
{
	struct ftr__replacement **at = &in_force;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
}

/* Nothing is written where a module was. */
static void leave_gone(struct split *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n_prologues; i++)
		if (s->prologues[i]->target && ftr__prologue_module(s->prologues[i]))
			s->prologues[kept++] = s->prologues[i];
	s->n_prologues = kept;
}

static int end(struct split *s)
{
	int result = s->n_groups ? ftr__group_update(NULL, 0, s->groups, s->n_groups, NULL) : 0;

	if (result)
		return result;
	leave_gone(s);
	clear_targets(s);
	result = ftr__prologues_update(s->prologues, s->n_prologues);
	return result ? undo(s, result, false) : 0;
}

/* It is not in force any more, or, where a batch failed, still is. */
static bool is_off(const struct ftr__replacement *r)
{
	if (r->group)
		return r->group->state != FTR__GROUP_ATTACHED;
	return !r->prologue->target || is_over(r);
}

static void retire(struct ftr__replacement *r)
{
	unlink_one(r);
	r->number = ++restored.number;
	r->next = left;
	left = r;
	if (r->around)
		ftr__around_end(r->around);
	note_bucket(r);
}

int ftr__replacements_end(struct ftr__replacement *const *list, size_t n)
{
	struct split s;
	int result = split(&s, list, n) ? end(&s) : no_memory();

	split_free(&s);
	for (size_t i = 0; i < n; i++)
		if (is_off(list[i]))
			retire(list[i]);
	return result;
}

int ftr__replacements_end_all(void)
{
	size_t n = 0;

	for (struct ftr__replacement *r = in_force; r; r = r->next)
		n++;
	struct ftr__replacement **list = calloc(n + 1, sizeof *list);
	if (!list)
		return no_memory();
	n = 0;
	for (struct ftr__replacement *r = in_force; r; r = r->next)
		list[n++] = r;
	int result = ftr__replacements_end(list, n);
	free(list);
	return result;
}

struct ftr__restored ftr__replacements_ended(void)
{
	struct ftr__restored now = restored;

	now.leavings = ftr__group_leavings();
	restored.buckets = 0;
	return now;
}

/* Whether no thread is on its way to it, or in its handler. */
static bool was_left(const struct ftr__replacement *r, const struct ftr__restored *waited)
{
	return r->number <= waited->number &&
	       (!r->group || r->group->state == FTR__GROUP_DETACHED) &&
	       (!r->around || waited->buckets >> r->around->bucket & 1);
}

void ftr__replacements_left(const struct ftr__restored *waited)
{
	struct ftr__replacement **at = &left;

	while (*at) {
		struct ftr__replacement *r = *at;
		if (r->group)
			ftr__group_left(r->group, waited->leavings);
		if (!was_left(r, waited)) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		ftr__replacement_drop(r);
	}
}
