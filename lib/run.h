/* SPDX-License-Identifier: MIT */
/*
 * Runs of an update: touched sites in a row that go the same way.  Floor 5;
 * under the library's lock.
 *
 * Where a run's sites lie side by side in their module too it is *solid*: its
 * addresses, slots and flags are stretches of the module's columns, which are
 * gone through as such; no site by itself is looked at.
 */
#ifndef FTR__RUN_H
#define FTR__RUN_H

#include "lib/module.h"

/* The sites that an update touches, sorted by address. */
struct ftr__touched {
	struct ftr_site *const *list;
	size_t n;
	bool alike;  /* where two come from the same set they go to the same set */
	bool partly; /* some may be left out (FTR__SITE_LEFT) */
};

/* Of one length and module. */
struct ftr__run {
	size_t first, n;
	struct ftr__module *module;
	uint32_t before, after; /* slots */
	uint32_t segment;
	uint8_t length;
	uint8_t all_flags;      /* flags that all of them have */
	bool jumped, jumps;     /* before; after */
	bool solid;
	size_t number;          /* of the first of them in the module */
};

/*
 * The run of touched sites from `first` on; module: of that one.  `hooks`: they
 * get exit handlers, where they may.  Its `after` is not known yet.
 */
void ftr__run_measure(const struct ftr__touched *touched, struct ftr__module *module,
		      size_t first, bool hooks, struct ftr__run *run);

#endif
