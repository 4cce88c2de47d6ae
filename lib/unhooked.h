/* SPDX-License-Identifier: MIT */
/*
 * Functions that exits leave alone (R5): a list of patterns.  Floor 5; under
 * the library's lock.
 */
#ifndef FTR__UNHOOKED_H
#define FTR__UNHOOKED_H

#include "lib/filter.h"
#include "lib/module.h"

/* Whether the function of the module's site of that number is among them.  Without
 * memory for a list all are. */
bool ftr__unhooked(struct ftr__module *module, size_t number);

/* How many of the module's n sites from one on are so, or are not, as that one. */
size_t ftr__unhooked_alike(struct ftr__module *module, size_t number, size_t n);

/* The list as rules, the default one at first; NULL: no memory. */
const struct ftr__filter *ftr__unhooked_list(void);
/* Take a rule over, with those before it dropped if `reset`; -ENOMEM. */
int ftr__unhooked_add(const struct ftr__rule *rule, bool reset);

#endif
