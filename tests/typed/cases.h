/* SPDX-License-Identifier: MIT */
/*
 * The table of typed calls that generate.sh makes: for each signature a function
 * of that prototype, and a caller of it, both as the C compiler sees them.
 */
#ifndef TESTS_TYPED_CASES_H
#define TESTS_TYPED_CASES_H

#include <stddef.h>

enum { TYPED_ARGS_MAX = 12 };

struct typed_value {
	void *in;    /* what the caller passes, or the function returns */
	void *other; /* a second value of the type */
	void *seen;  /* what the function got, or its caller */
	size_t size;
	int (*equal)(const void *a, const void *b);
};

struct typed_case {
	const char *prototype;
	void *function; /* notes what it gets, and returns `in` of the result */
	void (*call)(void *function); /* calls it with all `in`, and notes the result */
	unsigned n;
	struct typed_value args[TYPED_ARGS_MAX];
	struct typed_value result; /* size 0: void */
};

/** clang before 18 passes __int128 on the stack otherwise than the psABI, and so
 *  libffi, says. */
#ifdef __clang__
#define TYPED_SKIPPED(c) (__clang_major__ < 18 && strstr((c)->prototype, "__int128"))
#else
#define TYPED_SKIPPED(c) false
#endif

extern const struct typed_case typed_cases[];
extern const unsigned typed_n_cases;

#endif
