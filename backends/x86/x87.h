/* SPDX-License-Identifier: MIT */
/*
 * The x87 stack, by instructions alone: this is compiled for general
 * registers.  Floor 2.
 */
#ifndef FTR__X86_X87_H
#define FTR__X86_X87_H

#include "lib/compiler.h"

/* Of struct ftr_backend. */
bool ftr__x86_x87_is_empty(void);
void ftr__x86_x87_pop(long double *value);
void ftr__x86_x87_push(const long double *value);
void ftr__x86_x87_peek(unsigned n, long double *value);

#endif
