/* SPDX-License-Identifier: MIT */
/*
 * Jumps near a module's text to what its own jumps do not reach.  Floor 4;
 * guarded by the library's lock.
 *
 * Such a jump stays for its target for ever: a thread may stand before it.
 */
#ifndef FTR__NEAR_H
#define FTR__NEAR_H

#include "lib/module.h"

/* What a jump in the module's text is to lead to so that it gets to target: that
 * itself, or a jump to it.  0 with *at, or -ENOSPC, -ENOMEM, -EACCES. */
int ftr__near(const struct ftr__module *module, uintptr_t target, uintptr_t *at);

#endif
