/* SPDX-License-Identifier: MIT */
/*
 * The calling thread's sentence about its latest failure (E1).  Floor 1.
 */
#ifndef FTR__ERROR_H
#define FTR__ERROR_H

#include <errno.h>

/* Note a sentence; returns -error, so that a function can end with it. */
int ftr__fail(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same for functions that handlers call, where no vector register may be
 * used: a constant sentence, no printf. */
int ftr__fail_plain(int error, const char *sentence);

const char *ftr__error_last(void);

#endif
