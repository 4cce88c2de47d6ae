/* SPDX-License-Identifier: MIT */
/*
 * Traced functions that count their own calls by thread, and a group that is on
 * them all the time: what a thread made is what its handler saw, not one call
 * more or less, whatever other groups do to the same sites meanwhile (P2, H7).
 */
#ifndef SOAK_ACCOUNT_H
#define SOAK_ACCOUNT_H

#include <ftr/ftr.h>

FTR_TRACEABLE long soak_step(long x);  /* x + 1 */
FTR_TRACEABLE long soak_twice(long x); /* 2 * x, by way of soak_step */

void account_start(void);
/* Detach, and fail if a call was missed. */
void account_stop(void);

/* A burst of calls with their results checked. */
void account_work(long n);

/* At a thread's end, or anywhere outside the functions above: the books agree. */
void account_check(const char *who);

uint64_t account_calls(void);

#endif
