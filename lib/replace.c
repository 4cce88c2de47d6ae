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

/* In force; and those that are not any more, but a thread may be on its way. */
static struct ftr__replacement *in_force, *left;
static unsigned ended; /* buckets of handlers */

struct ftr__replacement *ftr__replacement_find(uintptr_t fn)
{
	struct ftr__replacement *r = in_force;

	while (r && r->fn != fn)
		r = r->next;
	return r;
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

/* A shutdown took it off, or the function's module is gone. */
static bool is_over(const struct ftr__replacement *r)
{
	return r->group->state == FTR__GROUP_DETACHED || !r->group->sites.n;
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

static int check_place(const struct ftr__place *place, const struct ftr__module *module,
		       const struct ftr_site *site)
{
	if (!site || (site->ip != place->fn && ftr__site_function(site) != place->fn))
		return ftr__fail(EOPNOTSUPP, "there is no site at %#lx",
				 (unsigned long)place->fn);
	if (place->with == site->ip || place->with == ftr__site_function(site))
		return ftr__fail(EINVAL, "a function can't take its own place");
	return check_free(ftr__site_function(site), ftr__site_name(module, site));
}

int ftr__replacement_new(struct ftr__replacement **replacement, const struct ftr__place *place)
{
	struct ftr__module *module = NULL;
	const struct ftr_site *site = ftr__site_find(place->fn, &module);
	int result = check_place(place, module, site);

	*replacement = NULL;
	if (result)
		return result;
	struct ftr__replacement *r = calloc(1, sizeof *r);
	if (!r)
		return no_memory();
	r->fn = ftr__site_function(site);
	result = choose_with(r, place);
	if (!result)
		result = make_on_site(r, module, site);
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
	free(r);
}

/* --- batches of them ------------------------------------------------------------------ */

static struct ftr_group **groups_of(struct ftr__replacement *const *list, size_t n)
{
	struct ftr_group **groups = calloc(n + 1, sizeof(struct ftr_group *));

	for (size_t i = 0; groups && i < n; i++)
		groups[i] = list[i]->group;
	return groups;
}

int ftr__replacements_begin(struct ftr__replacement *const *list, size_t n)
{
	struct ftr_group **groups = groups_of(list, n);

	if (!groups)
		return no_memory();
	for (size_t i = 0; i < n; i++)
		if (list[i]->around)
			ftr__around_begin(list[i]->around, list[i]->original);
	int result = ftr__group_update(groups, n, NULL, 0, NULL);
	free(groups);
	for (size_t i = 0; i < n; i++) {
		if (!result) {
			list[i]->next = in_force;
			in_force = list[i];
		} else if (list[i]->around) {
			ftr__around_end(list[i]->around);
		}
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

/* A shutdown has taken some of them off already. */
static size_t still_attached(struct ftr_group **groups, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (groups[i]->state == FTR__GROUP_ATTACHED)
			groups[kept++] = groups[i];
	return kept;
}

int ftr__replacements_end(struct ftr__replacement *const *list, size_t n)
{
	struct ftr_group **groups = groups_of(list, n);

	if (!groups)
		return no_memory();
	size_t attached = still_attached(groups, n);
	int result = attached ? ftr__group_update(NULL, 0, groups, attached, NULL) : 0;
	free(groups);
	for (size_t i = 0; i < n && !result; i++) {
		unlink_one(list[i]);
		list[i]->left_at = ftr__group_leavings();
		list[i]->next = left;
		left = list[i];
		if (!list[i]->around)
			continue;
		ftr__around_end(list[i]->around);
		ended |= 1u << list[i]->around->bucket;
	}
	return result;
}

int ftr__replacements_end_idle(void)
{
	int result = 0;

	for (struct ftr__replacement *r = in_force, *next; r && !result; r = next) {
		next = r->next;
		if (is_over(r))
			result = ftr__replacements_end(&r, 1);
	}
	return result;
}

unsigned ftr__replacements_ended(void)
{
	unsigned buckets = ended;

	ended = 0;
	return buckets;
}

void ftr__replacements_left(uint64_t leavings)
{
	struct ftr__replacement **at = &left;

	while (*at) {
		struct ftr__replacement *r = *at;
		ftr__group_left(r->group, leavings);
		if (r->left_at > leavings || r->group->state != FTR__GROUP_DETACHED) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		ftr__replacement_drop(r);
	}
}
