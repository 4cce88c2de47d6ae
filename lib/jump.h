/* SPDX-License-Identifier: MIT */
/*
 * Stubs that sites jump to (R3).  Floor 4; guarded by the library's lock.
 *
 * A site that is entered by `jmp` leaves no return address that would tell which
 * it was.  So each site of a module has a stub of its own, which pushes what
 * the site's call would have pushed and goes to a slot: from there on all is
 * as behind a call, but that the processor expects no return to the site.
 *
 * A module's stubs are made when the first of its sites is to jump, in one
 * area near its text.  Their code is written once; where a stub leads is data.
 * When the module goes its area serves another.
 */
#ifndef FTR__JUMP_H
#define FTR__JUMP_H

#include "lib/module.h"

/* Have stubs for the module's sites: 0, or -ENOSPC, -ENOMEM, -EACCES. */
int ftr__jump_prepare(struct ftr__module *module);

/* The stub of a site; the module has stubs. */
uintptr_t ftr__jump_stub(const struct ftr__module *module, const struct ftr_site *site);

/* Let the stubs of n sites, from that of a number on, lead to a slot from now on, or,
 * 0, on to the function. */
void ftr__jump_lead(const struct ftr__module *module, size_t number, size_t n, uint32_t slot);

/*
 * Reserve room that the module's text reaches (lib/exec.h): near above it, where
 * slots lie too (lib/slot.c tells why), else above or below it.
 */
int ftr__jump_reserve(const struct ftr__module *module, size_t code_size, size_t data_size,
		      uintptr_t *at);

/* How many areas there are, spare ones too. */
size_t ftr__jump_areas(void);

/* The module went. */
void ftr__jump_forget(struct ftr__module *module);

#endif
