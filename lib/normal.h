/* SPDX-License-Identifier: MIT */
/*
 * Sites as they were found, and as the library wants them: one nop or call of
 * the site's length.  Floor 4; under the library's lock and the loader's.
 */
#ifndef FTR__NORMAL_H
#define FTR__NORMAL_H

#include "lib/site.h"

/*
 * Make the sites normal that are not; sorted.  Errors as of a batch, -EAGAIN
 * also where a thread may stand inside a pad; partial: these stay as they are.
 */
int ftr__normal_make(struct ftr_site *const *sites, size_t n, bool partial);

/* Turn the calls to __fentry__ of an adopted module into nops. */
int ftr__normal_adopt(struct ftr__module *module);

/* Put back all that was found, in every module; every group is off. */
int ftr__normal_restore(void);

/* Make the pages of all sites private to the process. */
int ftr__normal_populate(void);

#endif
