/* SPDX-License-Identifier: MIT */
/*
 * Finding the sites of one module.  Floor 4.
 */
#ifndef FTR__DISCOVER_H
#define FTR__DISCOVER_H

#include "lib/module.h"

/* Turn the tables' entries into module->sites; under the loader's lock. */
int ftr__discover(struct ftr__module *module, const struct ftr__elf *elf,
		  const struct ftr__table *tables, size_t n_tables);

#endif
