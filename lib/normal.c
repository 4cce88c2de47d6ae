/* SPDX-License-Identifier: MIT */
/*
 * See normal.h.  Floor 4; under the library's lock and the loader's.
 */
#include "lib/normal.h"

#include "lib/error.h"
#include "lib/patches.h"

static int no_memory(void)
{
	return ftr__fail(ENOMEM, "no memory for a batch");
}

static int still_occupied(const struct ftr__patches *patches)
{
	for (size_t i = 0; i < patches->n_spans; i++)
		if (patches->spans[i].occupied)
			return ftr__fail(EAGAIN, "a thread may stand inside the pad of nops at %#lx",
					 (unsigned long)patches->ips[i]);
	return 0;
}

/* *module: of an earlier site of a sorted list, or NULL. */
static uint8_t *flags_of(const struct ftr_site *site, const struct ftr__module **module)
{
	if (!*module || site->ip - (*module)->low >= (*module)->high - (*module)->low)
		*module = ftr__module_of(site);
	return &(*module)->flags[ftr__site_number(*module, site)];
}

/* A batch for those sites of which the pads have several instructions, or for
 * those with one. */
static int normalise_some(struct ftr_site *const *sites, size_t n, bool several,
			  unsigned flags)
{
	const struct ftr__module *module = NULL;
	struct ftr__patches patches;

	if (!ftr__patches_get(&patches, n, n))
		return no_memory();
	for (size_t i = 0; i < n; i++) {
		unsigned instructions;
		uint8_t *has = flags_of(sites[i], &module);
		if (*has & FTR__SITE_NORMAL)
			continue;
		if (!ftr__site_normalise(sites[i], ftr__patches_next(&patches), &instructions) ||
		    (instructions > 1) != several)
			continue;
		*has |= FTR__SITE_TOUCHED;
		ftr__patches_add(&patches, sites[i]->ip, module);
	}
	/* With one thread too: it may have been interrupted by a signal there. */
	flags |= several ? FTR__BATCH_PADS : FTR__BATCH_NORMAL;
	int result = ftr__patches_run(&patches, flags);
	if (result)
		return result;
	for (size_t i = 0, j = 0; i < n && j < patches.n; i++) {
		if (sites[i]->ip != patches.ips[j])
			continue;
		if (!patches.spans[j].occupied && patches.ways[j] != FTR__WAY_LEFT)
			*flags_of(sites[i], &module) |= FTR__SITE_NORMAL;
		j++;
	}
	return flags & FTR__BATCH_PARTIAL ? 0 : still_occupied(&patches);
}

int ftr__normal_make(struct ftr_site *const *sites, size_t n, bool partial)
{
	unsigned flags = partial ? FTR__BATCH_PARTIAL : 0;
	int result = normalise_some(sites, n, false, flags);

	return result ? result : normalise_some(sites, n, true, flags);
}

/* --- modules -------------------------------------------------------------------- */

int ftr__normal_adopt(struct ftr__module *module)
{
	static struct ftr__store list_store;
	struct ftr_site **list = ftr__store_get(&list_store, (module->n_sites + 1) * sizeof *list);
	size_t n = 0;

	if (!list)
		return no_memory();
	for (size_t i = 0; i < module->n_sites; i++)
		if (module->sites[i].kind == FTR_SITE_FENTRY_CALL)
			list[n++] = &module->sites[i];
	return ftr__normal_make(list, n, false);
}

static size_t count_sites(const struct ftr__modules *modules)
{
	size_t n = 0;

	for (size_t i = 0; i < modules->n; i++)
		n += modules->list[i]->n_sites;
	return n;
}

int ftr__normal_restore(void)
{
	const struct ftr__modules *modules = ftr__modules();
	struct ftr__patches patches;
	size_t most = count_sites(modules);

	if (!ftr__patches_get(&patches, most, most))
		return no_memory();
	for (size_t i = 0; i < modules->n; i++)
		for (size_t j = 0; j < modules->list[i]->n_sites; j++)
			if (ftr__site_restore(modules->list[i], &modules->list[i]->sites[j],
					      ftr__patches_next(&patches)))
				ftr__patches_add(&patches, modules->list[i]->sites[j].ip,
					    modules->list[i]);
	int result = ftr__patches_run(&patches, FTR__BATCH_NORMAL);
	for (size_t i = 0; i < patches.n && !result; i++) {
		struct ftr__module *module;
		const struct ftr_site *site = ftr__site_find(patches.ips[i], &module);
		module->flags[ftr__site_number(module, site)] &= (uint8_t)~FTR__SITE_NORMAL;
	}
	return result;
}

int ftr__normal_populate(void)
{
	const struct ftr__modules *modules = ftr__modules();
	struct ftr__patches patches;
	struct ftr__text_window window;

	if (!ftr__patches_get(&patches, count_sites(modules), count_sites(modules)))
		return no_memory();
	for (size_t i = 0; i < modules->n; i++) {
		const struct ftr__module *m = modules->list[i];
		for (size_t j = 0; j < m->n_sites; j++) {
			*ftr__patches_next(&patches) = (struct ftr__span){ .n = 1, .size = 1 };
			ftr__patches_add(&patches, m->sites[j].ip, m);
		}
	}
	int result = ftr__text_open(&window, &patches, &ftr__backend->text);
	if (result)
		return result;
	ftr__text_populate(&window);
	ftr__text_close(&window);
	return 0;
}
