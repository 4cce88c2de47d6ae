/* SPDX-License-Identifier: MIT */
/*
 * Exports: the list of functions that exits leave alone.  Floor 6.
 */
#include <stdio.h>
#include <stdlib.h>

#include "ftr/ftr.h"
#include "lib/core.h"
#include "lib/error.h"
#include "lib/unhooked.h"

struct exclude_args {
	const char *pattern;
	unsigned flags;
};

static int exclude_locked(void *arg)
{
	const struct exclude_args *args = arg;
	struct ftr__rule rule;
	int result = ftr__rule_parse(&rule, args->pattern);

	if (result)
		return result;
	if (args->flags & FTR_FILTER_REMOVE)
		rule.remove = true;
	result = ftr__unhooked_add(&rule, args->flags & FTR_FILTER_RESET);
	if (result)
		ftr__rule_free(&rule);
	return result;
}

FTR_API int ftr_exits_exclude(const char *pattern, unsigned flags)
{
	struct exclude_args args = { pattern, flags };

	if (!pattern || flags & ~(unsigned)(FTR_FILTER_REMOVE | FTR_FILTER_RESET))
		return ftr__fail(EINVAL, "ftr_exits_exclude: no pattern, or unknown flags %#x",
				 flags);
	return ftr__core_run(exclude_locked, &args);
}

struct walk {
	int (*fn)(const char *pattern, void *arg);
	void *arg;
};

/* fn gets a copy: it may change the list. */
static int call(const struct walk *walk, const struct ftr__rule *rule)
{
	char *text;

	if (asprintf(&text, "%s%s", rule->remove ? "!" : "", rule->text) < 0)
		return ftr__fail(ENOMEM, "no memory for a pattern");
	struct ftr__core_out out = ftr__core_call_out();
	int result = walk->fn(text, walk->arg);
	ftr__core_call_in(out);
	free(text);
	return result;
}

static int walk_locked(void *arg)
{
	const struct walk *walk = arg;
	const struct ftr__filter *list = ftr__unhooked_list();
	int result = list ? 0 : ftr__fail(ENOMEM, "no memory for a list of patterns");

	for (size_t i = 0; !result && i < list->n; i++)
		result = call(walk, &list->rules[i]);
	return result;
}

FTR_API int ftr_exits_excluded(int (*fn)(const char *pattern, void *arg), void *arg)
{
	struct walk walk = { fn, arg };

	if (!fn)
		return ftr__fail(EINVAL, "ftr_exits_excluded: no function");
	return ftr__core_run(walk_locked, &walk);
}
