/* SPDX-License-Identifier: MIT */
/*
 * Exports: replacement.  Floor 6.
 */
#include <stdlib.h>

#include "ftr/ftr.h"
#include "lib/core.h"
#include "lib/error.h"
#include "lib/module.h"
#include "lib/replace.h"
#include "lib/thread.h"

struct replace_args {
	struct ftr_replacement *list;
	size_t n;
};

static int make_all(struct replace_args *args, struct ftr__replacement **made)
{
	int result = 0;

	for (size_t i = 0; i < args->n && !result; i++) {
		for (size_t j = 0; j < i; j++)
			if (args->list[i].fn == args->list[j].fn)
				return ftr__fail(EBUSY, "the function %p is listed twice",
						 args->list[i].fn);
		result = ftr__replacement_new(&made[i], (uintptr_t)args->list[i].fn,
					      (uintptr_t)args->list[i].with);
	}
	return result;
}

static int replace_locked(void *arg)
{
	struct replace_args *args = arg;
	struct ftr__replacement **made = calloc(args->n + 1, sizeof *made);

	if (!made)
		return ftr__fail(ENOMEM, "no memory for %zu replacements", args->n);
	int result = make_all(args, made);
	if (!result)
		result = ftr__replacements_begin(made, args->n);
	for (size_t i = 0; i < args->n; i++) {
		if (result)
			ftr__replacement_drop(made[i]);
		else
			args->list[i].original = (void *)made[i]->original;
	}
	free(made);
	return result;
}

FTR_API int ftr_replace_many(struct ftr_replacement *list, size_t n)
{
	struct replace_args args = { list, n };

	if (!list && n)
		return ftr__fail(EINVAL, "ftr_replace_many: NULL");
	for (size_t i = 0; i < n; i++)
		if (!list[i].fn || !list[i].with)
			return ftr__fail(EINVAL, "ftr_replace: NULL");
	return n ? ftr__core_run(replace_locked, &args) : 0;
}

FTR_API int ftr_replace(void *fn, void *with, void **original)
{
	struct ftr_replacement one = { fn, with, NULL };
	int result = ftr_replace_many(&one, 1);

	if (!result && original)
		*original = one.original;
	return result;
}

/* --- restoring ------------------------------------------------------------------------ */

struct restore_args {
	void *const *fns;
	size_t n;
	uint64_t ticket, leavings;
};

/* By the function's address, or its site's. */
static struct ftr__replacement *find(uintptr_t fn)
{
	struct ftr__module *module;
	struct ftr__replacement *r = ftr__replacement_find(fn);
	const struct ftr_site *site = r ? NULL : ftr__site_find(fn, &module);

	return site && site->ip == fn ? ftr__replacement_find(ftr__site_function(site)) : r;
}

static int find_all(const struct restore_args *args, struct ftr__replacement **found)
{
	for (size_t i = 0; i < args->n; i++) {
		found[i] = find((uintptr_t)args->fns[i]);
		if (!found[i])
			return ftr__fail(ENOENT, "the function %p is not replaced", args->fns[i]);
		for (size_t j = 0; j < i; j++)
			if (found[j] == found[i])
				return ftr__fail(EINVAL, "the function %p is listed twice",
						 args->fns[i]);
	}
	return 0;
}

static int restore_locked(void *arg)
{
	struct restore_args *args = arg;
	struct ftr__replacement **found = calloc(args->n + 1, sizeof *found);

	if (!found)
		return ftr__fail(ENOMEM, "no memory to restore %zu functions", args->n);
	int result = find_all(args, found);
	if (!result)
		result = ftr__replacements_end(found, args->n);
	free(found);
	args->ticket = ftr__set_age();
	args->leavings = ftr__group_leavings();
	return result;
}

static int left_locked(void *arg)
{
	const struct restore_args *args = arg;

	ftr__set_reap(args->ticket);
	ftr__replacements_left(args->leavings);
	return 0;
}

static int wait_for_calls(struct restore_args *args)
{
	pid_t late = 0;

	if (ftr__thread_inside())
		return ftr__fail(EDEADLK, "called from inside a handler: the functions are restored,"
				 " but that call may still go to what took their place");
	if (ftr__grace_wait(ftr__core_detach_timeout(), &late))
		return ftr__fail(ETIMEDOUT, "thread %d stayed inside a handler for more than %u ms;"
				 " the functions are restored", (int)late,
				 ftr__core_detach_timeout());
	return ftr__core_run(left_locked, args);
}

FTR_API int ftr_restore_many(void *const *fns, size_t n)
{
	struct restore_args args = { fns, n, 0, 0 };

	if (!fns && n)
		return ftr__fail(EINVAL, "ftr_restore_many: NULL");
	if (!n)
		return 0;
	int result = ftr__core_run(restore_locked, &args);
	return result ? result : wait_for_calls(&args);
}

FTR_API int ftr_restore(void *fn)
{
	return ftr_restore_many(&fn, 1);
}
