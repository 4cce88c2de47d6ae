/* SPDX-License-Identifier: MIT */
/*
 * The time that bounds of waiting are in.  Floor 1.
 */
#ifndef FTR__CLOCK_H
#define FTR__CLOCK_H

#include <stdint.h>
#include <time.h>

/* Milliseconds since some moment; never set back. */
static inline uint64_t ftr__clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

#endif
