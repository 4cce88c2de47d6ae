/* SPDX-License-Identifier: MIT */
/*
 * Changing which groups hold which sites, as one batch.  Floor 5.
 */
#ifndef FTR__UPDATE_H
#define FTR__UPDATE_H

#include "lib/group.h"

/* The group comes to hold `after` instead of `before`; NULL: no sites. */
struct ftr__change {
	struct ftr_group *group;
	const struct ftr__sites *before, *after;
};

/*
 * Carry out all changes, in their order, or none.  Changes site->slot alone,
 * no group.  Errors as of ftr_group_attach(); after one, handlers of
 * groups that a change brings in may have run: a grace period is due.
 */
int ftr__update(const struct ftr__change *changes, size_t n);

/*
 * The same, but sites that can't be changed now are left out, as all changes
 * leave them: *left are these, sorted, its list to be freed.
 */
int ftr__update_partly(const struct ftr__change *changes, size_t n, struct ftr__sites *left);

/* Sites of which the module went: they call nothing any more. */
void ftr__update_forget(struct ftr__module *module);

#endif
