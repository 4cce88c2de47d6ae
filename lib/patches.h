/* SPDX-License-Identifier: MIT */
/*
 * Memory for the patches of a batch, one batch at a time.  Floor 4; under the
 * library's lock.
 */
#ifndef FTR__PATCHES_H
#define FTR__PATCHES_H

#include "lib/batch.h"
#include "lib/module.h"

struct ftr__store {
	void *memory;
	size_t size;
};

/* Memory that is kept for the next time, its contents not; NULL: none. */
void *ftr__store_get(struct ftr__store *store, size_t size);

/* Room for n places in as many spans as may be. */
bool ftr__patches_get(struct ftr__patches *patches, size_t n, size_t n_spans);

/* One place of its own: its span comes last in the list. */
static inline struct ftr__span *ftr__patches_next(struct ftr__patches *patches)
{
	return &patches->spans[patches->n_spans];
}
void ftr__patches_add(struct ftr__patches *patches, uintptr_t ip,
		      const struct ftr__module *module);

/* As ftr__batch_run(). */
int ftr__patches_run(struct ftr__patches *patches, unsigned flags);

#endif
