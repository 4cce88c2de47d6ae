/* SPDX-License-Identifier: MIT */
/*
 * Functions that exits leave alone (R5): a list of patterns.  Floor 5; under
 * the library's lock.
 */
#ifndef FTR__UNHOOKED_H
#define FTR__UNHOOKED_H

#include "lib/filter.h"

/* Whether a function is among them. */
bool ftr__unhooked(const char *module, const char *name);

/* The list as rules, the default one at first; NULL: no memory. */
const struct ftr__filter *ftr__unhooked_list(void);
/* Take a rule over, with those before it dropped if `reset`; -ENOMEM. */
int ftr__unhooked_add(const struct ftr__rule *rule, bool reset);

#endif
