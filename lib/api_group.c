/* SPDX-License-Identifier: MIT */
/*
 * Exports: groups.  Floor 6.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/core.h"
#include "lib/error.h"
#include "lib/grace.h"
#include "lib/group.h"
#include "lib/module.h"
#include "lib/options.h"
#include "lib/record.h"
#include "lib/thread.h"

/* --- making and freeing ------------------------------------------------------------ */

static int check_options(const struct ftr_group_options *o)
{
	const uint32_t known = FTR_GROUP_REGS | FTR_GROUP_IPMODIFY | FTR_GROUP_REENTRANT |
			       FTR_GROUP_NO_SIMD | FTR_GROUP_ALL_VECTORS | FTR_GROUP_SP_OVERLAY |
			       FTR_GROUP_UNWOUND_EXITS | FTR_GROUP_UNINSTRUMENTED;

	if (o->flags & ~known)
		return ftr__fail(EINVAL, "ftr_group_options: unknown flags %#x", o->flags & ~known);
	/* Without either, typed handlers are to come. */
	if (!o->exit && (o->entry_data_size || (o->entry && o->flags & FTR_GROUP_UNWOUND_EXITS)))
		return ftr__fail(EINVAL, "ftr_group_options: entry data, or exits of unwound frames,"
				 " without an exit handler");
	if (o->entry_data_size > FTR_ENTRY_DATA_MAX)
		return ftr__fail(EINVAL, "ftr_group_options: %u bytes of entry data, at most %u",
				 o->entry_data_size, FTR_ENTRY_DATA_MAX);
	if ((o->exit || o->flags & FTR_GROUP_IPMODIFY) && ftr__backend->shadow_stack())
		return ftr__fail(EOPNOTSUPP, "exit handlers and changes of ip are not available to"
				 " a thread with a hardware shadow stack");
	if (o->flags & FTR_GROUP_NO_SIMD && o->flags & FTR_GROUP_ALL_VECTORS)
		return ftr__fail(EINVAL, "ftr_group_options: FTR_GROUP_NO_SIMD and"
				 " FTR_GROUP_ALL_VECTORS contradict each other");
	if (o->flags & ~ftr__backend->group_flags)
		return ftr__fail(EOPNOTSUPP, "group flags %#x are not available in this version on"
				 " %s", o->flags & ~ftr__backend->group_flags, ftr__backend->name);
	return 0;
}

struct new_args {
	struct ftr_group **group;
	const struct ftr_group_options *options;
};

static int new_locked(void *arg)
{
	struct new_args *args = arg;

	int result = args->options->exit ? ftr__record_init() : 0;

	if (result)
		return result;
	*args->group = ftr__group_new(args->options);
	return *args->group ? 0 : ftr__fail(ENOMEM, "no memory for a group");
}

FTR_API int ftr_group_new(struct ftr_group **group, const struct ftr_group_options *options)
{
	struct ftr_group_options copy;

	if (!group || !options)
		return ftr__fail(EINVAL, "ftr_group_new: a NULL argument");
	if (!ftr__options_take(&copy, sizeof copy, options, options->size,
			       offsetof(struct ftr_group_options, exit)))
		return ftr__fail(EINVAL, "ftr_group_options: a size of %zu bytes (%zu known) or a"
				 " non-zero tail", options->size, sizeof copy);
	/* It is a layout of the pt_regs that REGS gives. */
	if (copy.flags & FTR_GROUP_SP_OVERLAY)
		copy.flags |= FTR_GROUP_REGS;
	int result = check_options(&copy);
	struct new_args args = { group, &copy };
	return result ? result : ftr__core_run(new_locked, &args);
}

static int check_group(const struct ftr_group *group)
{
	return ftr__group_known(group) ? 0 : ftr__fail(EINVAL, "%p is not a group",
						       (const void *)group);
}

static int free_locked(void *arg)
{
	struct ftr_group *group = arg;
	int result = check_group(group);

	if (result)
		return result;
	if (group->state == FTR__GROUP_ATTACHED)
		return ftr__fail(EBUSY, "the group \"%s\" is attached", group->name);
	if (group->state != FTR__GROUP_DETACHED)
		return ftr__fail(EBUSY, "a thread may still be in a handler of the group \"%s\": detach"
				 " it again", group->name);
	ftr__group_free(group);
	return 0;
}

FTR_API int ftr_group_free(struct ftr_group *group)
{
	return ftr__core_run(free_locked, group);
}

FTR_API void *ftr_group_data(const struct ftr_group *group)
{
	return group ? group->data : NULL;
}

FTR_API const char *ftr_group_name(const struct ftr_group *group)
{
	return group ? group->name : "";
}

FTR_API uint64_t ftr_group_missed(const struct ftr_group *group)
{
	return group ? ftr__counted(&group->missed) : 0;
}

static int attached_locked(void *arg)
{
	const struct ftr_group *group = arg;
	int result = check_group(group);

	return result ? result : group->state == FTR__GROUP_ATTACHED;
}

FTR_API int ftr_group_attached(const struct ftr_group *group)
{
	return ftr__core_run(attached_locked, (void *)group);
}

/* --- filters -------------------------------------------------------------------------- */

struct filter_args {
	struct ftr_group *group;
	const char *pattern;
	const uintptr_t *ips;
	size_t n_ips;
	unsigned flags;
	bool exclude;
};

/* How many sites a rule speaks of. */
static size_t count_matches(const struct ftr__rule *rule)
{
	const struct ftr__modules *modules = ftr__modules();
	size_t n = 0;

	for (size_t i = 0; i < modules->n; i++) {
		const struct ftr__module *m = modules->list[i];
		if (!ftr__rule_module(rule, m->name))
			continue;
		for (size_t j = 0; j < m->n_sites; j++)
			n += ftr__rule_site(rule, ftr__site_name(m, &m->sites[j]), m->sites[j].ip);
	}
	return n;
}

/* Every address a site's, or its function's; as sites' addresses. */
static int sites_of(const struct filter_args *args, uintptr_t *ips)
{
	for (size_t i = 0; i < args->n_ips; i++) {
		struct ftr__module *module;
		const struct ftr_site *site = ftr__site_find(args->ips[i], &module);
		if (!site || (site->ip != args->ips[i] && ftr__site_function(site) != args->ips[i]))
			return ftr__fail(ENOENT, "there is no site at %#lx",
					 (unsigned long)args->ips[i]);
		ips[i] = site->ip;
	}
	return 0;
}

static int make_ips_rule(const struct filter_args *args, struct ftr__rule *rule)
{
	uintptr_t *ips = malloc((args->n_ips + 1) * sizeof *ips);

	if (!ips)
		return ftr__fail(ENOMEM, "no memory for %zu addresses", args->n_ips);
	int result = sites_of(args, ips);
	if (!result)
		result = ftr__rule_ips(rule, ips, args->n_ips);
	free(ips);
	return result;
}

/* The rule, and how many sites it matches. */
static int make_rule(const struct filter_args *args, struct ftr__rule *rule)
{
	int result = args->pattern ? ftr__rule_parse(rule, args->pattern)
				   : make_ips_rule(args, rule);

	if (result)
		return result;
	rule->exclude = args->exclude;
	rule->pending = args->flags & FTR_FILTER_PENDING;
	if (args->flags & FTR_FILTER_REMOVE)
		rule->remove = true;
	size_t n = args->pattern ? count_matches(rule) : args->n_ips;
	if (!n && args->pattern && !(args->flags & FTR_FILTER_PENDING)) {
		ftr__rule_free(rule);
		return ftr__fail(ENOENT, "the pattern \"%.200s\" matches none of the sites",
				 args->pattern);
	}
	return (int)n;
}

static int filter_locked(void *arg)
{
	struct filter_args *args = arg;
	struct ftr__filter filter;
	struct ftr__sites sites;
	struct ftr__rule rule;
	int result = check_group(args->group);

	if (result)
		return result;
	int matched = make_rule(args, &rule);
	if (matched < 0)
		return matched;
	result = ftr__filter_extend(&filter, &args->group->filter, &rule,
				    args->flags & FTR_FILTER_RESET);
	if (result) {
		ftr__rule_free(&rule);
		return result;
	}
	result = ftr__group_match(&filter, &sites);
	if (!result) {
		result = ftr__group_set_filter(args->group, &filter, &sites);
		if (result)
			free(sites.list);
	}
	if (!result)
		return matched;
	ftr__filter_free(&filter);
	return result;
}

static int check_flags(unsigned flags)
{
	const unsigned known = FTR_FILTER_REMOVE | FTR_FILTER_RESET | FTR_FILTER_PENDING;

	return flags & ~known ? ftr__fail(EINVAL, "unknown filter flags %#x", flags & ~known) : 0;
}

static int filter_pattern(struct ftr_group *group, const char *pattern, unsigned flags,
			  bool exclude)
{
	struct filter_args args = { .group = group, .pattern = pattern, .flags = flags,
				    .exclude = exclude };

	if (!pattern)
		return ftr__fail(EINVAL, "no pattern");
	int result = check_flags(flags);
	return result ? result : ftr__core_run(filter_locked, &args);
}

FTR_API int ftr_group_filter(struct ftr_group *group, const char *pattern, unsigned flags)
{
	return filter_pattern(group, pattern, flags, false);
}

FTR_API int ftr_group_exclude(struct ftr_group *group, const char *pattern, unsigned flags)
{
	return filter_pattern(group, pattern, flags, true);
}

FTR_API int ftr_group_filter_ips(struct ftr_group *group, const uintptr_t *ips, size_t n,
				 unsigned flags)
{
	struct filter_args args = { .group = group, .ips = ips, .n_ips = n, .flags = flags };
	int result = check_flags(flags);

	if (result)
		return result;
	if ((!ips && n) || n > INT32_MAX)
		return ftr__fail(EINVAL, "ftr_group_filter_ips: NULL, or too many");
	return ftr__core_run(filter_locked, &args);
}

struct walk {
	const struct ftr_group *group;
	int (*fn)(const struct ftr_site *site, void *arg);
	void *arg;
};

/* Over a copy: fn may change the filter. */
static int walk_locked(void *arg)
{
	struct walk *walk = arg;
	int result = check_group(walk->group);

	if (result || !walk->group->sites.n)
		return result;
	size_t n = walk->group->sites.n;
	struct ftr_site **list = malloc(n * sizeof *list);
	if (!list)
		return ftr__fail(ENOMEM, "no memory for a list of sites");
	memcpy(list, walk->group->sites.list, n * sizeof *list);
	struct ftr__core_out out = ftr__core_call_out();
	for (size_t i = 0; i < n && !result; i++)
		result = walk->fn(list[i], walk->arg);
	ftr__core_call_in(out);
	free(list);
	return result;
}

FTR_API int ftr_group_for_each(const struct ftr_group *group,
			       int (*fn)(const struct ftr_site *site, void *arg), void *arg)
{
	struct walk walk = { group, fn, arg };

	if (!fn)
		return ftr__fail(EINVAL, "ftr_group_for_each: no function");
	return ftr__core_run(walk_locked, &walk);
}

/* --- threads ----------------------------------------------------------------------------- */

static int by_tid(const void *a, const void *b)
{
	const pid_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* A list that handlers may still read, until a grace period is over. */
struct old_threads {
	struct ftr__grace_item item;
	const struct ftr__threads *threads;
};

static void free_threads(void *arg)
{
	struct old_threads *old = arg;

	free((void *)old->threads);
	free(old);
}

struct limit_args {
	struct ftr_group *group;
	const struct ftr__threads *threads, *old;
};

static int limit_locked(void *arg)
{
	struct limit_args *args = arg;
	int result = check_group(args->group);

	if (result) {
		args->old = args->threads;
		return result;
	}
	return ftr__group_set_threads(args->group, args->threads, &args->old);
}

static int make_threads(const pid_t *tids, size_t n, struct ftr__threads **threads)
{
	*threads = NULL;
	for (size_t i = 0; i < n; i++)
		if (tids[i] < 1)
			return ftr__fail(EINVAL, "%d is no thread id", (int)tids[i]);
	if (!n)
		return 0;
	*threads = malloc(sizeof **threads + n * sizeof *tids);
	if (!*threads)
		return ftr__fail(ENOMEM, "no memory for %zu thread ids", n);
	(*threads)->n = n;
	memcpy((*threads)->tids, tids, n * sizeof *tids);
	qsort((*threads)->tids, n, sizeof *tids, by_tid);
	return 0;
}

FTR_API int ftr_group_limit_threads(struct ftr_group *group, const pid_t *tids, size_t n)
{
	struct limit_args args = { .group = group };
	struct ftr__threads *threads;

	if ((!tids && n) || n > 1 << 20)
		return ftr__fail(EINVAL, "ftr_group_limit_threads: NULL, or too many");
	struct old_threads *old = malloc(sizeof *old);
	int result = old ? make_threads(tids, n, &threads)
			 : ftr__fail(ENOMEM, "no memory to limit a group");
	if (result) {
		free(old);
		return result;
	}
	args.threads = threads;
	args.old = threads;
	result = ftr__core_run(limit_locked, &args);
	*old = (struct old_threads){ .item = { .done = free_threads, .arg = old,
						  .from_poll = true },
				     .threads = args.old };
	if (old->threads)
		ftr__grace_async(&old->item);
	else
		free(old);
	return result;
}

/* --- attaching and detaching ----------------------------------------------------------------- */

struct update_args {
	struct ftr_group *const *attach;
	size_t n_attach;
	struct ftr_group *const *detach;
	size_t n_detach;
	void (*done)(void *arg); /* of an asynchronous detach */
	void *done_arg;
	bool async;
	bool begun;      /* the batch was tried: a wait is due */
	uint64_t ticket; /* of the sets let go */
	uint64_t leavings; /* up to this update */
	struct ftr_update_options *partial; /* sites may be left out, to be listed there */
};

/* Nothing now, and nothing asked for that may still come. */
static bool holds_nothing(const struct ftr_group *group)
{
	bool nothing = !group->sites.n;

	for (size_t i = 0; i < group->filter.n; i++)
		nothing = nothing && !group->filter.rules[i].pending;
	return nothing;
}

static int check_attach(const struct update_args *args, size_t i)
{
	struct ftr_group *group = args->attach[i];
	int result = check_group(group);

	if (result)
		return result;
	for (size_t j = 0; j < i; j++)
		if (args->attach[j] == group)
			return ftr__fail(EBUSY, "the group \"%s\" is listed twice", group->name);
	/* What was left out of a group may be tried again. */
	if ((group->state == FTR__GROUP_ATTACHED && !group->left.n) ||
	    group->state == FTR__GROUP_LEAVING_ASYNC)
		return ftr__fail(EBUSY, "the group \"%s\" is attached already", group->name);
	for (size_t j = 0; j < args->n_detach && group->left.n; j++)
		if (args->detach[j] == group)
			return ftr__fail(EBUSY, "the group \"%s\" is listed twice", group->name);
	if (!ftr__group_has_handler(group))
		return ftr__fail(EINVAL, "the group \"%s\" has no handler", group->name);
	if (holds_nothing(group))
		return ftr__fail(EINVAL, "the filter of the group \"%s\" is empty", group->name);
	return 0;
}

static int check_detach(const struct update_args *args, size_t i)
{
	struct ftr_group *group = args->detach[i];
	int result = check_group(group);

	if (result)
		return result;
	for (size_t j = 0; j < i; j++)
		if (args->detach[j] == group)
			return ftr__fail(EINVAL, "the group \"%s\" is listed twice", group->name);
	if (group->state == FTR__GROUP_DETACHED || (args->async &&
	    group->state != FTR__GROUP_ATTACHED))
		return ftr__fail(EINVAL, "the group \"%s\" is not attached", group->name);
	return 0;
}

static int check_update(const struct update_args *args)
{
	int result = 0;

	for (size_t i = 0; i < args->n_attach && !result; i++)
		result = check_attach(args, i);
	for (size_t i = 0; i < args->n_detach && !result; i++)
		result = check_detach(args, i);
	return result;
}

/* Of the groups to detach those that are still on their sites. */
static size_t still_attached(const struct update_args *args, struct ftr_group **list)
{
	size_t n = 0;

	for (size_t i = 0; i < args->n_detach; i++)
		if (args->detach[i]->state == FTR__GROUP_ATTACHED)
			list[n++] = args->detach[i];
	return n;
}

static void list_left(struct ftr_update_options *options, const struct ftr__sites *left)
{
	options->left_out_count = left->n;
	for (size_t i = 0; i < left->n && i < options->left_out_room; i++)
		options->left_out[i] = left->list[i]->ip;
}

static int update_groups(const struct update_args *args, struct ftr_group *const *detach,
			 size_t n_detach)
{
	struct ftr__sites left = { 0 };

	if (!args->partial)
		return ftr__group_update(args->attach, args->n_attach, detach, n_detach, NULL);
	int result = ftr__group_update(args->attach, args->n_attach, detach, n_detach, &left);
	if (!result)
		list_left(args->partial, &left);
	free(left.list);
	return result;
}

static int update_locked(void *arg)
{
	struct update_args *args = arg;
	int result = check_update(args);

	if (result)
		return result;
	struct ftr_group **detach = malloc((args->n_detach + 1) * sizeof *detach);
	if (!detach)
		return ftr__fail(ENOMEM, "no memory for an update");
	size_t n = still_attached(args, detach);
	args->begun = true;
	result = update_groups(args, detach, n);
	free(detach);
	args->leavings = ftr__group_leavings();
	if (!args->async)
		args->ticket = ftr__set_age();
	else if (!result)
		args->detach[0]->state = FTR__GROUP_LEAVING_ASYNC;
	return result;
}

/* No handler runs any more: LEAVING groups are DETACHED. */
static int left_locked(void *arg)
{
	const struct update_args *args = arg;

	ftr__set_reap(args->ticket);
	for (size_t i = 0; i < args->n_attach; i++)
		if (ftr__group_known(args->attach[i]))
			ftr__group_left(args->attach[i], args->leavings);
	for (size_t i = 0; i < args->n_detach; i++)
		if (ftr__group_known(args->detach[i]))
			ftr__group_left(args->detach[i], args->leavings);
	return 0;
}

static int wait_left(struct update_args *args)
{
	pid_t late = 0;

	if (ftr__thread_inside())
		return ftr__fail(EDEADLK, "called from inside a handler: the sites are off, but the"
				 " handler that called still runs; detach again from elsewhere");
	if (ftr__grace_wait(ftr__core_detach_timeout(), &late))
		return ftr__fail(ETIMEDOUT, "thread %d stayed inside a handler for more than %u ms;"
				 " the sites are off, detach again", (int)late,
				 ftr__core_detach_timeout());
	return ftr__core_run(left_locked, args);
}

static int update(struct update_args *args)
{
	int result = ftr__core_run(update_locked, args);

	if (!args->begun || (!result && !args->n_detach))
		return result;
	if (!result)
		return wait_left(args);
	/* A failed attach may have let its handlers run; its error is the one
	 * to tell. */
	if (args->n_attach && !ftr__thread_inside()) {
		pid_t late;
		if (!ftr__grace_wait(ftr__core_detach_timeout(), &late))
			ftr__core_run(left_locked, args);
	}
	return result;
}

static int check_update_options(const struct ftr_update_options *o)
{
	if (o->flags & ~(uint32_t)FTR_UPDATE_PARTIAL)
		return ftr__fail(EINVAL, "ftr_update_options: unknown flags %#x", o->flags);
	if ((!o->attach && o->n_attach) || (!o->detach && o->n_detach) ||
	    (!o->left_out && o->left_out_room))
		return ftr__fail(EINVAL, "ftr_update_options: a list is NULL");
	if (o->n_attach + o->n_detach == 0)
		return ftr__fail(EINVAL, "ftr_update_options: no groups");
	return 0;
}

FTR_API int ftr_update(struct ftr_update_options *options)
{
	struct ftr_update_options copy;

	if (!options || !ftr__options_take(&copy, sizeof copy, options, options->size, sizeof copy))
		return ftr__fail(EINVAL, "ftr_update_options: NULL, a wrong size or a non-zero"
				 " tail");
	int result = check_update_options(&copy);
	if (result)
		return result;
	options->left_out_count = 0;
	struct update_args args = { .attach = copy.attach, .n_attach = copy.n_attach,
				    .detach = copy.detach, .n_detach = copy.n_detach };
	if (copy.flags & FTR_UPDATE_PARTIAL)
		args.partial = options;
	return update(&args);
}

FTR_API int ftr_group_update(struct ftr_group *const *attach, size_t n_attach,
			     struct ftr_group *const *detach, size_t n_detach)
{
	struct update_args args = { .attach = attach, .n_attach = n_attach, .detach = detach,
				    .n_detach = n_detach };

	if ((!attach && n_attach) || (!detach && n_detach) || n_attach + n_detach == 0)
		return ftr__fail(EINVAL, "ftr_group_update: no groups");
	return update(&args);
}

FTR_API int ftr_group_attach(struct ftr_group *group)
{
	struct update_args args = { .attach = &group, .n_attach = 1 };

	return update(&args);
}

FTR_API int ftr_group_detach(struct ftr_group *group)
{
	struct update_args args = { .detach = &group, .n_detach = 1 };

	return update(&args);
}

/* Runs where the last handler ended: no lock may be taken here. */
static void left_async(void *arg)
{
	struct ftr_group *group = arg;
	void (*done)(void *) = group->done;
	void *done_arg = group->done_arg;

	__atomic_store_n(&group->state, FTR__GROUP_DETACHED, __ATOMIC_RELEASE);
	if (done)
		done(done_arg); /* may free the group */
}

FTR_API int ftr_group_detach_async(struct ftr_group *group, void (*done)(void *arg), void *arg)
{
	struct update_args args = { .detach = &group, .n_detach = 1, .async = true };
	int result = ftr__core_run(update_locked, &args);

	if (result)
		return result;
	group->done = done;
	group->done_arg = arg;
	group->leaving.done = left_async;
	group->leaving.arg = group;
	ftr__grace_async(&group->leaving);
	return 0;
}
