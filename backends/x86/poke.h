/* SPDX-License-Identifier: MIT */
/*
 * Changing an instruction without a breakpoint: the ways skip and atomic of
 * struct ftr__text_ops, which has the words for each.
 */
#ifndef FTR__X86_POKE_H
#define FTR__X86_POKE_H

#include "lib/backend.h"

bool ftr__x86_choose(const struct ftr__span *span, const uintptr_t *ips,
		     const struct ftr__poke_rules *rules, uint8_t *ways);
void ftr__x86_write_atomic(const struct ftr__span *span, const uintptr_t *ips, size_t n,
			   bool after);
void ftr__x86_write_skips(const struct ftr__span *span, const uintptr_t *ips, size_t n);
void ftr__x86_write_skipped(const struct ftr__span *span, const uintptr_t *ips, size_t n,
			    bool after);
void ftr__x86_write_unskipped(const struct ftr__span *span, const uintptr_t *ips, size_t n,
			      bool after);
bool ftr__x86_fuse(const uint8_t *pad, unsigned length, uint8_t *fused);
bool ftr__x86_stores_documented(void);

#endif
