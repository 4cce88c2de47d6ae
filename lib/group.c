/* SPDX-License-Identifier: MIT */
/*
 * Groups.  Floor 5; under the library's lock and the loader's.
 *
 * Invariant: an attached group holds exactly group->sites; `epoch` stands for
 * that list in the sets, and a new one is drawn when the group is attached to
 * a list that changed since.
 */
#include "lib/group.h"

#include <stdlib.h>
#include <string.h>

#include "lib/error.h"
#include "lib/module.h"
#include "lib/update.h"

static struct ftr_group *groups;

struct ftr_group *ftr__group_new(const struct ftr_group_options *options)
{
	struct ftr_group *group = calloc(1, sizeof *group);

	if (!group)
		return NULL;
	group->member = (struct ftr__member){ .entry = options->entry, .group = group,
					      .flags = options->flags };
	group->data = options->data;
	group->name = strdup(options->name ? options->name : "");
	group->list_changed = true;
	if (!group->name) {
		free(group);
		return NULL;
	}
	group->next = groups;
	groups = group;
	return group;
}

void ftr__group_free(struct ftr_group *group)
{
	struct ftr_group **at = &groups;

	while (*at != group)
		at = &(*at)->next;
	*at = group->next;
	ftr__slot_disown(group);
	ftr__filter_free(&group->filter);
	free((void *)group->threads);
	free(group->sites.list);
	free(group->name);
	free(group);
}

bool ftr__group_known(const struct ftr_group *group)
{
	const struct ftr_group *g = groups;

	while (g && g != group)
		g = g->next;
	return g != NULL;
}

struct ftr_group *ftr__group_first(void)
{
	return groups;
}

/* --- matching ------------------------------------------------------------------ */

/* Rules apply in their order; the later wins. */
static bool holds(const struct ftr__filter *filter, const bool *speaks,
		  const struct ftr__module *module, const struct ftr_site *site)
{
	const char *name = ftr__site_name(module, site);
	bool in[2] = { false, false };

	for (size_t i = 0; i < filter->n; i++) {
		const struct ftr__rule *rule = &filter->rules[i];
		/* A rule that would not change anything need not be asked. */
		if (speaks[i] && in[rule->exclude] == rule->remove &&
		    ftr__rule_site(rule, name, site->ip))
			in[rule->exclude] = !rule->remove;
	}
	return in[0] && !in[1];
}

static int match_module(const struct ftr__filter *filter, bool *speaks,
			struct ftr__module *module, struct ftr__sites *sites, size_t *room)
{
	bool any = false;

	for (size_t i = 0; i < filter->n; i++) {
		speaks[i] = ftr__rule_module(&filter->rules[i], module->name);
		any |= speaks[i] && !filter->rules[i].exclude && !filter->rules[i].remove;
	}
	if (!any || !module->n_sites)
		return 0;
	if (sites->n + module->n_sites > *room) {
		*room = sites->n + module->n_sites;
		void *grown = realloc(sites->list, *room * sizeof *sites->list);
		if (!grown)
			return -ENOMEM;
		sites->list = grown;
	}
	for (size_t i = 0; i < module->n_sites; i++)
		if (holds(filter, speaks, module, &module->sites[i]))
			sites->list[sites->n++] = &module->sites[i];
	return 0;
}

int ftr__group_match(const struct ftr__filter *filter, struct ftr__sites *sites)
{
	const struct ftr__modules *modules = ftr__modules();
	bool *speaks = calloc(filter->n + 1, sizeof *speaks);
	size_t room = 0;
	int result = speaks ? 0 : -ENOMEM;

	*sites = (struct ftr__sites){ 0 };
	for (size_t i = 0; i < modules->n && !result; i++)
		result = match_module(filter, speaks, modules->list[i], sites, &room);
	free(speaks);
	if (!result)
		return 0;
	free(sites->list);
	*sites = (struct ftr__sites){ 0 };
	return ftr__fail(ENOMEM, "no memory for a group's list of sites");
}

static bool equal(const struct ftr__sites *a, const struct ftr__sites *b)
{
	return a->n == b->n && (!a->n || !memcmp(a->list, b->list, a->n * sizeof *a->list));
}

/* Let an attached group hold `sites`; the list is not stored. */
static int move(struct ftr_group *group, const struct ftr__sites *sites)
{
	struct ftr__change change = { group, &group->sites, sites };

	if (group->state != FTR__GROUP_ATTACHED)
		return 0;
	return ftr__update(&change, 1);
}

static void store(struct ftr_group *group, struct ftr__sites *sites)
{
	if (!equal(&group->sites, sites))
		group->list_changed = true;
	free(group->sites.list);
	group->sites = *sites;
}

int ftr__group_rematch(struct ftr_group *group)
{
	struct ftr__sites sites;
	int result = ftr__group_match(&group->filter, &sites);

	if (result)
		return result;
	result = move(group, &sites);
	if (result)
		free(sites.list);
	else
		store(group, &sites);
	return result;
}

void ftr__group_forget(struct ftr_group *group, const struct ftr__module *module)
{
	size_t kept = 0;

	for (size_t i = 0; i < group->sites.n; i++) {
		const struct ftr_site *site = group->sites.list[i];
		if (site < module->sites || site >= module->sites + module->n_sites)
			group->sites.list[kept++] = group->sites.list[i];
	}
	group->list_changed |= kept != group->sites.n;
	group->sites.n = kept;
	ftr__filter_forget(&group->filter, module->low, module->high);
}

int ftr__group_set_filter(struct ftr_group *group, struct ftr__filter *filter,
			  struct ftr__sites *sites)
{
	int result = move(group, sites);

	if (result)
		return result;
	store(group, sites);
	ftr__filter_free(&group->filter);
	group->filter = *filter;
	return 0;
}

int ftr__group_set_threads(struct ftr_group *group, const struct ftr__threads *threads,
			   const struct ftr__threads **old)
{
	uint32_t flags = group->member.flags;
	const struct ftr__threads *before = group->threads;

	/* The list is there before a set says that there is one, and stays
	 * as long as one says so. */
	FTR__PUBLISH(group->threads, threads);
	group->member.flags = threads ? flags | FTR__MEMBER_LIMITED : flags & ~FTR__MEMBER_LIMITED;
	if (group->state == FTR__GROUP_ATTACHED && group->member.flags != flags) {
		struct ftr__change changes[] = { { group, &group->sites, NULL },
						 { group, NULL, &group->sites } };
		int result = ftr__update(changes, 2);
		if (result) {
			group->member.flags = flags;
			FTR__PUBLISH(group->threads, before);
			*old = threads;
			return result;
		}
	}
	*old = before;
	return 0;
}

/* --- attaching and detaching ------------------------------------------------------ */

static void draw_epoch(struct ftr_group *group)
{
	static uint64_t epochs;

	if (!group->list_changed)
		return;
	/* Its idle slots stand for another list: they serve nobody again. */
	if (group->member.epoch)
		ftr__slot_disown(group);
	group->member.epoch = ++epochs;
	group->list_changed = false;
}

static uint64_t attachments;

static struct ftr__change *plan(struct ftr_group *const *attach, size_t n_attach,
				struct ftr_group *const *detach, size_t n_detach)
{
	struct ftr__change *changes = calloc(n_attach + n_detach + 1, sizeof *changes);

	if (!changes)
		return NULL;
	for (size_t i = 0; i < n_detach; i++)
		changes[i] = (struct ftr__change){ detach[i], &detach[i]->sites, NULL };
	for (size_t i = 0; i < n_attach; i++) {
		draw_epoch(attach[i]);
		attach[i]->member.order = ++attachments;
		changes[n_detach + i] =
			(struct ftr__change){ attach[i], NULL, &attach[i]->sites };
	}
	return changes;
}

static uint64_t leavings;

static void leave(struct ftr_group *group)
{
	group->state = FTR__GROUP_LEAVING;
	group->left_at = leavings;
}

uint64_t ftr__group_leavings(void)
{
	return leavings;
}

void ftr__group_left(struct ftr_group *group, uint64_t until)
{
	if (group->state == FTR__GROUP_LEAVING && group->left_at <= until)
		group->state = FTR__GROUP_DETACHED;
}

int ftr__group_update(struct ftr_group *const *attach, size_t n_attach,
		      struct ftr_group *const *detach, size_t n_detach)
{
	struct ftr__change *changes = plan(attach, n_attach, detach, n_detach);

	if (!changes)
		return ftr__fail(ENOMEM, "no memory for an update");
	int result = ftr__update(changes, n_attach + n_detach);
	free(changes);
	leavings++;
	for (size_t i = 0; i < n_attach; i++) {
		if (result)
			leave(attach[i]);
		else
			attach[i]->state = FTR__GROUP_ATTACHED;
	}
	for (size_t i = 0; i < n_detach && !result; i++)
		leave(detach[i]);
	return result;
}
