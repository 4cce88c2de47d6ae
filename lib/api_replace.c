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
	const struct ftr__place *places;
	uintptr_t *originals;
	size_t n;
};

static int make_all(const struct replace_args *args, struct ftr__replacement **made)
{
	int result = 0;

	for (size_t i = 0; i < args->n && !result; i++) {
		for (size_t j = 0; j < i; j++)
			if (args->places[i].fn == args->places[j].fn)
				return ftr__fail(EBUSY, "the function %#lx is listed twice",
						 (unsigned long)args->places[i].fn);
		result = ftr__replacement_new(&made[i], &args->places[i]);
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
			args->originals[i] = made[i]->original;
	}
	free(made);
	return result;
}

FTR_API int ftr_replace_many(struct ftr_replacement *list, size_t n)
{
	if (!list && n)
		return ftr__fail(EINVAL, "ftr_replace_many: NULL");
	for (size_t i = 0; i < n; i++)
		if (!list[i].fn || !list[i].with)
			return ftr__fail(EINVAL, "ftr_replace: NULL");
	if (!n)
		return 0;
	struct ftr__place *places = calloc(n, sizeof *places);
	uintptr_t *originals = calloc(n, sizeof *originals);
	struct replace_args args = { places, originals, n };
	for (size_t i = 0; places && i < n; i++)
		places[i] = (struct ftr__place){ .fn = (uintptr_t)list[i].fn,
						 .with = (uintptr_t)list[i].with };
	int result = places && originals ? ftr__core_run(replace_locked, &args)
					 : ftr__fail(ENOMEM, "no memory for %zu replacements", n);
	for (size_t i = 0; i < n && !result; i++)
		list[i].original = (void *)originals[i];
	free(places);
	free(originals);
	return result;
}

FTR_API int ftr_replace(void *fn, void *with, void **original)
{
	struct ftr_replacement one = { fn, with, NULL };
	int result = ftr_replace_many(&one, 1);

	if (!result && original)
		*original = one.original;
	return result;
}

FTR_API int ftr_replace_typed(void *fn, const struct ftr_signature *signature,
			      ftr_typed_fn around, void *data)
{
	struct ftr__place place = { .fn = (uintptr_t)fn, .signature = signature,
				    .around = around, .data = data };
	uintptr_t original;
	struct replace_args args = { &place, &original, 1 };

	if (!fn || !signature || !around)
		return ftr__fail(EINVAL, "ftr_replace_typed: NULL");
	return ftr__core_run(replace_locked, &args);
}

/* --- restoring ------------------------------------------------------------------------ */

struct restore_args {
	void *const *fns;
	size_t n;
	uint64_t ticket;
	struct ftr__restored restored;
};

/* By its address, or its site's. */
static uintptr_t function_of(uintptr_t addr)
{
	struct ftr__module *module;
	const struct ftr_site *site = ftr__site_find(addr, &module);

	return site && site->ip == addr ? ftr__site_function(site) : addr;
}

/* Those in force; how many.  Others may be due to be waited for. */
static long find_all(const struct restore_args *args, struct ftr__replacement **found)
{
	long n = 0;

	for (size_t i = 0; i < args->n; i++) {
		uintptr_t fn = function_of((uintptr_t)args->fns[i]);
		bool leaves = ftr__replacement_leaves(fn);
		found[n] = ftr__replacement_find(fn);
		if (!found[n] && !leaves)
			return ftr__fail(ENOENT, "the function %p is not replaced", args->fns[i]);
		for (long j = 0; j < n; j++)
			if (found[j] == found[n])
				return ftr__fail(EINVAL, "the function %p is listed twice",
						 args->fns[i]);
		n += found[n] != NULL;
	}
	return n;
}

static int restore_locked(void *arg)
{
	struct restore_args *args = arg;
	struct ftr__replacement **found = calloc(args->n + 1, sizeof *found);

	if (!found)
		return ftr__fail(ENOMEM, "no memory to restore %zu functions", args->n);
	long n = find_all(args, found);
	int result = n < 0 ? (int)n : ftr__replacements_end(found, (size_t)n);
	free(found);
	args->ticket = ftr__set_age();
	args->restored = ftr__replacements_ended();
	return result;
}

static int left_locked(void *arg)
{
	const struct restore_args *args = arg;

	ftr__set_reap(args->ticket);
	ftr__replacements_left(&args->restored);
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
	int result = ftr__around_wait(args->restored.buckets, ftr__core_detach_timeout(), &late);
	if (result == -EDEADLK)
		return ftr__fail(EDEADLK, "called from inside a handler around a function: the"
				 " functions are restored, but that handler still runs");
	if (result)
		return ftr__fail(ETIMEDOUT, "thread %d stayed inside a handler around a function for"
				 " more than %u ms; the functions are restored", (int)late,
				 ftr__core_detach_timeout());
	return ftr__core_run(left_locked, args);
}

FTR_API int ftr_restore_many(void *const *fns, size_t n)
{
	struct restore_args args = { .fns = fns, .n = n };

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
