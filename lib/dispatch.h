/* SPDX-License-Identifier: MIT */
/*
 * Calling handlers: the hot path.  Floor 5.
 */
#ifndef FTR__DISPATCH_H
#define FTR__DISPATCH_H

#include "lib/compiler.h"
#include "lib/hot.h"
#include <sys/types.h>

/* Calls that a recursion guard left untraced. */
extern ftr__counter ftr__dispatch_missed;

/* Whether a group's handlers are not for this thread. */
bool ftr__dispatch_excluded(const struct ftr_group *group, pid_t tid);

#endif
