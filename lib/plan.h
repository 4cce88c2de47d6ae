/* SPDX-License-Identifier: MIT */
/*
 * Which way each place of a batch goes (P5, P6).  Floor 3.
 */
#ifndef FTR__PLAN_H
#define FTR__PLAN_H

#include "lib/batch.h"

/*
 * Choose; sets patches' `n_way`, `order` and `ways` where they have room, and
 * those of the spans.  direct: the text can be stored to.  *fused: pads become
 * one nop each first (FTR__PASS_FUSE).  0; or, with nothing changed:
 * -EOPNOTSUPP, -EAGAIN, -EACCES.  May wait.
 */
int ftr__plan(struct ftr__patches *patches, bool direct, unsigned flags, bool *fused);

#endif
