/* SPDX-License-Identifier: MIT */
#ifndef FTR__I386_TYPED_H
#define FTR__I386_TYPED_H

#include "lib/values.h"

extern const struct ftr__typed_ops ftr__i386_typed __attribute__((visibility("hidden")));

#endif
