/* SPDX-License-Identifier: MIT */
/*
 * Calling handlers: the hot path.  Floor 5.
 */
#ifndef FTR__DISPATCH_H
#define FTR__DISPATCH_H

#include "lib/compiler.h"
#include "lib/hot.h"

/* Calls that a recursion guard left untraced. */
extern ftr__counter ftr__dispatch_missed;

#endif
