/* SPDX-License-Identifier: MIT */
/*
 * Groups.  Floor 5; under the library's lock and the loader's.
 *
 * Invariant: an attached group holds exactly group->sites without group->left
 * (to take it from one of these once more changes nothing); `epoch` stands for
 * that list in the sets, and a new one is drawn when the group is attached to
 * a list that changed since.
 */
#include "lib/group.h"

#include <stdlib.h>
#include <string.h>

#include "lib/error.h"
#include "lib/module.h"
#include "lib/typed.h"
#include "lib/update.h"

static struct ftr_group *groups;

/* Of a group that has an exit handler alone, or none yet. */
FTR__BARE static int no_entry(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			      struct ftr_regs *regs)
{
	return 0;
}

struct ftr_group *ftr__group_new(const struct ftr_group_options *options)
{
	struct ftr_group *group = calloc(1, sizeof *group);

	if (!group)
		return NULL;
	group->member = (struct ftr__member){
		.entry = options->entry ? options->entry : no_entry,
		.group = group,
		.flags = options->flags | (options->exit ? FTR__MEMBER_EXIT : 0),
		.exit = options->exit,
		.data_size = options->entry_data_size,
	};
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

bool ftr__group_has_handler(const struct ftr_group *group)
{
	return group->member.entry != no_entry || group->member.exit;
}

void ftr__group_free(struct ftr_group *group)
{
	struct ftr_group **at = &groups;

	while (*at != group)
		at = &(*at)->next;
	*at = group->next;
	ftr__slot_disown(group);
	ftr__filter_free(&group->filter);
	ftr__typing_free(group->typing);
	free((void *)group->threads);
	free(group->sites.list);
	free(group->left.list);
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

static int no_memory(void)
{
	return ftr__fail(ENOMEM, "no memory for a group's list of sites");
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
	return no_memory();
}

static bool equal(const struct ftr__sites *a, const struct ftr__sites *b)
{
	return a->n == b->n && (!a->n || !memcmp(a->list, b->list, a->n * sizeof *a->list));
}

/* Keep of a sorted list what is, or is not, in another. */
static void filter_list(struct ftr__sites *list, const struct ftr__sites *other, bool in)
{
	size_t kept = 0;

	for (size_t i = 0, j = 0; i < list->n; i++) {
		while (j < other->n && other->list[j]->ip < list->list[i]->ip)
			j++;
		if ((j < other->n && other->list[j] == list->list[i]) == in)
			list->list[kept++] = list->list[i];
	}
	list->n = kept;
}

static bool copy_list(struct ftr__sites *copy, const struct ftr__sites *sites)
{
	*copy = (struct ftr__sites){ malloc((sites->n + 1) * sizeof *copy->list), sites->n };
	if (copy->list && sites->n)
		memcpy(copy->list, sites->list, sites->n * sizeof *copy->list);
	return copy->list;
}

/* A copy of a list without what was left out. */
static bool copy_held(struct ftr__sites *held, const struct ftr_group *group,
		      const struct ftr__sites *sites)
{
	if (!copy_list(held, sites))
		return false;
	filter_list(held, &group->left, false);
	return true;
}

/* Sites that were left out stay so. */
static int move_held(struct ftr_group *group, const struct ftr__sites *sites)
{
	struct ftr__sites before = { 0 }, after = { 0 };
	struct ftr__change change = { group, &before, &after };
	int result = copy_held(&before, group, &group->sites) && copy_held(&after, group, sites)
			     ? ftr__update(&change, 1) : no_memory();

	free(before.list);
	free(after.list);
	return result;
}

int ftr__group_move(struct ftr_group *group, const struct ftr__sites *sites)
{
	struct ftr__change change = { group, &group->sites, sites };

	if (group->state != FTR__GROUP_ATTACHED)
		return 0;
	return group->left.n ? move_held(group, sites) : ftr__update(&change, 1);
}

static void store(struct ftr_group *group, struct ftr__sites *sites)
{
	filter_list(&group->left, sites, true);
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
	result = ftr__group_move(group, &sites);
	if (result)
		free(sites.list);
	else
		store(group, &sites);
	return result;
}

/* How many were forgotten. */
static size_t forget(struct ftr__sites *sites, const struct ftr__module *module)
{
	size_t n = sites->n;

	sites->n = 0;
	for (size_t i = 0; i < n; i++) {
		struct ftr_site *site = sites->list[i];
		if (site < module->sites || site >= module->sites + module->n_sites)
			sites->list[sites->n++] = site;
	}
	return n - sites->n;
}

void ftr__group_forget(struct ftr_group *group, const struct ftr__module *module)
{
	if (forget(&group->sites, module))
		group->list_changed = true;
	forget(&group->left, module);
	ftr__filter_forget(&group->filter, module->low, module->high);
}

int ftr__group_set_filter(struct ftr_group *group, struct ftr__filter *filter,
			  struct ftr__sites *sites)
{
	int result = ftr__group_move(group, sites);

	if (result)
		return result;
	store(group, sites);
	ftr__filter_free(&group->filter);
	group->filter = *filter;
	return 0;
}

/* Take an attached group from its sites and put it there anew. */
static int reattach(struct ftr_group *group)
{
	struct ftr__sites held;

	if (!copy_held(&held, group, &group->sites))
		return no_memory();
	struct ftr__change changes[] = { { group, &held, NULL }, { group, NULL, &held } };
	int result = ftr__update(changes, 2);
	free(held.list);
	return result;
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
		int result = reattach(group);
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

/* One group of an update.  `list` is what it is to get or to lose, where that
 * is not group->sites; `left` room for what it will not hold. */
struct part {
	struct ftr_group *group;
	struct ftr__sites list, left;
};

/* What was left out of an attached group is tried again. */
static bool part_attach(struct part *part, bool partly)
{
	struct ftr_group *group = part->group;

	if (group->state == FTR__GROUP_ATTACHED)
		return copy_list(&part->list, &group->left);
	draw_epoch(group);
	group->member.order = ++attachments;
	return !partly || copy_list(&part->list, &group->sites);
}

static bool part_detach(struct part *part, bool partly)
{
	struct ftr_group *group = part->group;

	if (!partly && !group->left.n)
		return true;
	return copy_held(&part->list, group, &group->sites) &&
	       (!partly || copy_list(&part->left, &group->sites));
}

static void free_parts(struct part *parts, size_t n)
{
	for (size_t i = 0; parts && i < n; i++) {
		free(parts[i].list.list);
		free(parts[i].left.list);
	}
	free(parts);
}

/* The groups to detach come first. */
static struct part *plan(struct ftr_group *const *attach, size_t n_attach,
			 struct ftr_group *const *detach, size_t n_detach, bool partly)
{
	struct part *parts = calloc(n_attach + n_detach + 1, sizeof *parts);
	bool complete = parts;

	for (size_t i = 0; i < n_detach && complete; i++) {
		parts[i].group = detach[i];
		complete = part_detach(&parts[i], partly);
	}
	for (size_t i = 0; i < n_attach && complete; i++) {
		parts[n_detach + i].group = attach[i];
		complete = part_attach(&parts[n_detach + i], partly);
	}
	if (complete)
		return parts;
	free_parts(parts, n_attach + n_detach);
	return NULL;
}

static int run_plan(const struct part *parts, size_t n_attach, size_t n_detach,
		    struct ftr__sites *left)
{
	size_t n = n_attach + n_detach;
	struct ftr__change *changes = calloc(n + 1, sizeof *changes);

	if (!changes)
		return ftr__fail(ENOMEM, "no memory for an update");
	for (size_t i = 0; i < n; i++) {
		const struct part *part = &parts[i];
		const struct ftr__sites *sites =
			part->list.list ? &part->list : &part->group->sites;
		changes[i] = i < n_detach ? (struct ftr__change){ part->group, sites, NULL }
					  : (struct ftr__change){ part->group, NULL, sites };
	}
	int result = left ? ftr__update_partly(changes, n, left) : ftr__update(changes, n);
	free(changes);
	return result;
}

static uint64_t leavings;

static void leave(struct ftr_group *group)
{
	if (group->member.flags & FTR__MEMBER_EXIT) {
		/* Pending ones are cancelled (H8): for good, so the sets so far
		 * are not to be used again. */
		ftr__set_cancel_exits(group);
		group->list_changed = true;
	}
	group->state = FTR__GROUP_LEAVING;
	group->left_at = leavings;
	free(group->left.list);
	group->left = (struct ftr__sites){ 0 };
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

/* Takes the list over.  Other sets are due from now on: of those so far other
 * sites have slots. */
static void set_left(struct ftr_group *group, struct ftr__sites *left)
{
	if (group->left.n || left->n)
		group->list_changed = true;
	free(group->left.list);
	group->left = *left;
	*left = (struct ftr__sites){ 0 };
}

static void attached(struct part *part, const struct ftr__sites *left)
{
	static const struct ftr__sites none;

	part->group->state = FTR__GROUP_ATTACHED;
	filter_list(&part->list, left ? left : &none, true);
	set_left(part->group, &part->list);
}

/* It stays where it was left out. */
static void detached(struct part *part, const struct ftr__sites *left)
{
	if (!left) {
		leave(part->group);
		return;
	}
	filter_list(&part->list, left, true);
	if (!part->list.n) {
		leave(part->group);
		return;
	}
	filter_list(&part->left, &part->list, false);
	set_left(part->group, &part->left);
}

int ftr__group_update(struct ftr_group *const *attach, size_t n_attach,
		      struct ftr_group *const *detach, size_t n_detach,
		      struct ftr__sites *left)
{
	struct part *parts = plan(attach, n_attach, detach, n_detach, left);

	if (!parts)
		return ftr__fail(ENOMEM, "no memory for an update");
	int result = run_plan(parts, n_attach, n_detach, left);
	leavings++;
	for (size_t i = 0; i < n_attach; i++) {
		if (!result)
			attached(&parts[n_detach + i], left);
		else if (attach[i]->state != FTR__GROUP_ATTACHED)
			leave(attach[i]);
	}
	for (size_t i = 0; i < n_detach && !result; i++)
		detached(&parts[i], left);
	free_parts(parts, n_attach + n_detach);
	return result;
}
