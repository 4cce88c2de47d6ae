/* SPDX-License-Identifier: MIT */
/*
 * Exports: sites.  Floor 6.
 */
#include "lib/core.h"
#include "lib/error.h"
#include "lib/group.h"
#include "lib/module.h"
#include "lib/thread.h"

static int count_locked(void *arg)
{
	const struct ftr__modules *modules = ftr__modules();
	size_t *n = arg;

	for (size_t i = 0; i < modules->n; i++)
		*n += modules->list[i]->n_sites;
	return 0;
}

FTR_API size_t ftr_site_count(void)
{
	size_t n = 0;

	ftr__core_run(count_locked, &n);
	return n;
}

struct walk {
	int (*fn)(const struct ftr_site *site, void *arg);
	void *arg;
};

static int walk_locked(void *arg)
{
	const struct ftr__modules *modules = ftr__modules();
	struct walk *walk = arg;
	int result = 0;

	struct ftr__core_out out = ftr__core_call_out();
	for (size_t i = 0; i < modules->n && !result; i++)
		for (size_t j = 0; j < modules->list[i]->n_sites && !result; j++)
			result = walk->fn(&modules->list[i]->sites[j], walk->arg);
	ftr__core_call_in(out);
	return result;
}

FTR_API int ftr_site_for_each(int (*fn)(const struct ftr_site *site, void *arg), void *arg)
{
	struct walk walk = { fn, arg };

	if (!fn)
		return ftr__fail(EINVAL, "ftr_site_for_each: no function");
	return ftr__core_run(walk_locked, &walk);
}

FTR_API const struct ftr_site *ftr_site_find(uintptr_t addr)
{
	struct ftr__module *module;

	if (!ftr__core_started())
		ftr__core_run(NULL, NULL);
	uintptr_t before = ftr__thread_look();
	const struct ftr_site *site = ftr__site_find(addr, &module);
	ftr__thread_looked(before);
	return site;
}

FTR_API uintptr_t ftr_site_ip(const struct ftr_site *site)
{
	return site ? site->ip : 0;
}

FTR_API uintptr_t ftr_site_function(const struct ftr_site *site)
{
	return site ? ftr__site_function(site) : 0;
}

FTR_API const char *ftr_site_name(const struct ftr_site *site)
{
	if (!site)
		return "";
	uintptr_t before = ftr__thread_look();
	const struct ftr__module *m = ftr__module_of(site);
	const char *name = m ? ftr__site_name(m, site) : "";
	ftr__thread_looked(before);
	return name;
}

FTR_API const char *ftr_site_module(const struct ftr_site *site)
{
	if (!site)
		return "";
	uintptr_t before = ftr__thread_look();
	const struct ftr__module *m = ftr__module_of(site);
	const char *name = m ? m->name : "";
	ftr__thread_looked(before);
	return name;
}

FTR_API enum ftr_site_kind ftr_site_kind(const struct ftr_site *site)
{
	return site ? (enum ftr_site_kind)site->kind : FTR_SITE_PATCHABLE;
}

struct holders {
	const struct ftr_site *site;
	struct ftr_group **groups;
	size_t n;
};

static int holders_locked(void *arg)
{
	struct holders *h = arg;

	const struct ftr__module *m = ftr__module_of(h->site);
	uint32_t slot = m ? m->slots[ftr__site_number(m, h->site)] : 0;

	if (!slot)
		return 0;
	const struct ftr__set *set = ftr__slot_owner(slot);
	size_t n = 0;
	for (size_t i = 0; i < set->n; i++) {
		/* What takes the function's place, or a probe, is no group of the
		 * program's. */
		if (set->members[i].flags & (FTR__MEMBER_REPLACES | FTR__MEMBER_PROBE))
			continue;
		if (n < h->n)
			h->groups[n] = set->members[i].group;
		n++;
	}
	return (int)n;
}

FTR_API int ftr_site_groups(const struct ftr_site *site, struct ftr_group **groups, size_t n)
{
	struct holders h = { site, groups, n };

	if (!site || (!groups && n))
		return ftr__fail(EINVAL, "ftr_site_groups: %s", site ? "no room" : "no site");
	return ftr__core_run(holders_locked, &h);
}

FTR_API int ftr_sites_refresh(void)
{
	return ftr__core_run_strictly(NULL, NULL);
}

FTR_API int ftr_module_register(struct ftr_module_record *record)
{
	return ftr__module_register(record);
}

FTR_API int ftr_module_unregister(struct ftr_module_record *record)
{
	int result = ftr__module_unregister(record);

	/* While its pages are there: take handlers' calls out of them. */
	if (!result && ftr__core_started())
		return ftr__core_run(NULL, NULL);
	return result;
}
