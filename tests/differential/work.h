/* SPDX-License-Identifier: MIT */
/*
 * What the differential test runs: deterministic, in the same memory each time.
 */
#ifndef TESTS_WORK_H
#define TESTS_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct work {
	const char *name;
	/** Why it can't be run; NULL: ready. */
	const char *(*prepare)(void);
	/** What it computed, as a digest. */
	uint64_t (*run)(void);
	/** Beginnings of functions to probe, whole; NULL: all that run in `library`. */
	size_t (*functions)(uintptr_t *starts, size_t room);
	const char *library; /**< by a part of its file's name */
};

/** Do less. */
extern bool work_quick;

extern const struct work works[];
extern const size_t n_works;

/** The top of a stack for runs, which has this byte wherever nothing was written. */
void *work_stack(int byte);
/** Call fn on that stack with all other registers zero; these bits of the flags are
 *  flipped before and behind it. */
uint64_t work_run_same(uint64_t (*fn)(void), unsigned long flip, void *top);

/** A function of odd.S or moved.S. */
struct odd {
	const char *start, *end, *name;
	unsigned long level; /* 1: AVX2 and BMI; 2: AVX-512 */
};

uint64_t work_digest(uint64_t digest, const void *bytes, size_t n);

#endif /* TESTS_WORK_H */
