/* SPDX-License-Identifier: MIT */
#ifndef FTR__X86_64_TYPED_H
#define FTR__X86_64_TYPED_H

#include "lib/values.h"

/* How many vector registers a frame has. */
unsigned ftr__x86_64_vectors(const struct ftr_regs *regs);

extern const struct ftr__typed_ops ftr__x86_64_typed __attribute__((visibility("hidden")));

#endif
