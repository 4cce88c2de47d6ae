/* SPDX-License-Identifier: MIT */
/*
 * See loader.h.  Floor 4; no state.
 */
#include "lib/loader.h"

#include <stdlib.h>
#include <string.h>

#include "lib/error.h"

static bool copy(struct ftr__loaded *to, const struct dl_phdr_info *info, bool program)
{
	size_t size = info->dlpi_phnum * sizeof *info->dlpi_phdr;

	*to = (struct ftr__loaded){ .base = info->dlpi_addr, .where = info->dlpi_phdr,
				    .phnum = info->dlpi_phnum, .program = program };
	to->path = strdup(program ? "/proc/self/exe" : info->dlpi_name ? info->dlpi_name : "");
	to->phdr = malloc(size + 1);
	if (!to->path || !to->phdr) {
		free(to->path);
		free(to->phdr);
		return false;
	}
	memcpy(to->phdr, info->dlpi_phdr, size);
	return true;
}

static int collect(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct ftr__loaded_list *list = arg;
	void *grown = realloc(list->list, (list->n + 1) * sizeof *list->list);

	if (!grown)
		return -ENOMEM;
	list->list = grown;
	/* The program comes first (dl_iterate_phdr(3)). */
	if (!copy(&list->list[list->n], info, list->n == 0))
		return -ENOMEM;
	list->n++;
	list->state.adds = info->dlpi_adds;
	list->state.subs = info->dlpi_subs;
	return 0;
}

int ftr__loader_list(struct ftr__loaded_list *list)
{
	memset(list, 0, sizeof *list);
	if (dl_iterate_phdr(collect, list) == 0)
		return 0;
	ftr__loader_free(list);
	return ftr__fail(ENOMEM, "no memory for the list of modules");
}

void ftr__loader_free(struct ftr__loaded_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		free(list->list[i].path);
		free(list->list[i].phdr);
	}
	free(list->list);
	list->list = NULL;
	list->n = 0;
}

struct locked {
	int (*fn)(const struct ftr__loader_state *state, void *arg);
	void *arg;
	int result;
};

/* In the first call the lock is held; one call is enough. */
static int run(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct locked *locked = arg;
	struct ftr__loader_state state = { info->dlpi_adds, info->dlpi_subs };

	locked->result = locked->fn(&state, locked->arg);
	return 1;
}

int ftr__loader_locked(int (*fn)(const struct ftr__loader_state *state, void *arg), void *arg)
{
	struct locked locked = { .fn = fn, .arg = arg };

	dl_iterate_phdr(run, &locked);
	return locked.result;
}
