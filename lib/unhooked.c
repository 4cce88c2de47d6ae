/* SPDX-License-Identifier: MIT */
/*
 * See unhooked.h.  Floor 5.
 */
#include "lib/unhooked.h"

#include <string.h>

#include "lib/error.h"

/*
 * Functions that return twice, and functions that look at their own return
 * address: to keep it beyond their return, or to learn who called.
 */
static const char *const defaults[] = {
	"setjmp", "_setjmp", "__setjmp", "sigsetjmp", "__sigsetjmp", "savectx",
	"getcontext", "__getcontext", "vfork", "__vfork", "clone", "__clone", "clone3",
	"dlopen", "dlmopen", "dlsym", "dlvsym", "dl_iterate_phdr",
};

static struct ftr__filter list;
static bool filled;

static bool fill(void)
{
	for (size_t i = 0; i < FTR__ARRAY_SIZE(defaults); i++) {
		struct ftr__filter longer;
		struct ftr__rule rule;
		if (ftr__rule_parse(&rule, defaults[i]))
			return false;
		if (ftr__filter_extend(&longer, &list, &rule, false)) {
			ftr__rule_free(&rule);
			return false;
		}
		ftr__filter_free(&list);
		list = longer;
	}
	return true;
}

const struct ftr__filter *ftr__unhooked_list(void)
{
	if (!filled) {
		filled = fill();
		if (!filled)
			ftr__filter_free(&list);
	}
	return filled ? &list : NULL;
}

int ftr__unhooked_add(const struct ftr__rule *rule, bool reset)
{
	struct ftr__filter longer;

	if (!ftr__unhooked_list())
		return ftr__fail(ENOMEM, "no memory for a list of patterns");
	int result = ftr__filter_extend(&longer, &list, rule, reset);
	if (result)
		return result;
	ftr__filter_free(&list);
	list = longer;
	return 0;
}

/* Most names differ from most patterns in the first character. */
static bool differs(const char *glob, char first)
{
	return !strchr("*?[\\", *glob) && *glob != first;
}

/* Without memory for the list nothing is hooked. */
bool ftr__unhooked(const char *module, const char *name)
{
	const struct ftr__filter *filter = ftr__unhooked_list();
	bool in = !filter;

	for (size_t i = 0; filter && i < filter->n; i++) {
		const struct ftr__rule *rule = &filter->rules[i];
		if (in == rule->remove && !differs(rule->name, *name) &&
		    ftr__rule_site(rule, name, 0) && ftr__rule_module(rule, module))
			in = !rule->remove;
	}
	return in;
}
