/* SPDX-License-Identifier: MIT */
/*
 * The traced code of the form tests: every function of this file is in the
 * table at its end, so that the sites of the module can be counted exactly.
 */
#include <stdarg.h>

#include "fixture.h"

#ifdef FORMS_REGISTERED
#include <ftr/ftr.h>
FTR_MODULE;
#endif

/* A function must stay one function, under its own name. */
#if defined(__clang__)
#define KEPT __attribute__((noinline, used))
#else
#define KEPT __attribute__((noipa, used))
#endif

#define ENTER(books, i)                                                             \
	((books)->runs[i]++,                                                        \
	 (books)->parent[i] = (uintptr_t)__builtin_return_address(0))

KEPT long fixture_plain(struct fixture_books *books, long x)
{
	ENTER(books, FIXTURE_PLAIN);
	return x + 1;
}

/* Nothing but a return where the optimiser runs: the site is all there is. */
KEPT long fixture_leaf(struct fixture_books *books, long x)
{
	ENTER(books, FIXTURE_LEAF);
	return x;
}

KEPT static long fixture_static(struct fixture_books *books, long x)
{
	ENTER(books, FIXTURE_STATIC);
	return x * 3;
}

/* Calls through a static function: two sites in one call. */
KEPT long fixture_outer(struct fixture_books *books, long x)
{
	ENTER(books, FIXTURE_OUTER);
	return fixture_static(books, x + 1) + 2;
}

/* A tail call where the optimiser runs: two sites with one return address. */
KEPT long fixture_tail(struct fixture_books *books, long x)
{
	ENTER(books, FIXTURE_TAIL);
	return fixture_static(books, x - 1);
}

/* Really recursive: what the inner call gives is looked at, so no optimiser
 * makes a loop of it. */
KEPT static long fixture_recurse(struct fixture_books *books, long x)
{
	volatile long deeper;

	ENTER(books, FIXTURE_RECURSE);
	if (x <= 0)
		return 1;
	deeper = fixture_recurse(books, x - 1);
	return x + deeper;
}

/* Its first instructions are a loop's: a jump goes right behind the site. */
KEPT long fixture_loop(struct fixture_books *books, long x)
{
	for (;;) {
		x = x * 2 + 1;
		if (x > 1000)
			break;
	}
	ENTER(books, FIXTURE_LOOP);
	return x;
}

__attribute__((cold)) KEPT static long fixture_cold(struct fixture_books *books, long x)
{
	ENTER(books, FIXTURE_COLD);
	return -x;
}

/* gcc puts its unlikely half elsewhere, under the name fixture_split.cold. */
KEPT long fixture_split(struct fixture_books *books, long x)
{
	ENTER(books, FIXTURE_SPLIT);
	if (__builtin_expect(x < 100, 0))
		return fixture_cold(books, x) + fixture_cold(books, x + 1);
	return x;
}

__attribute__((aligned(64))) KEPT static long fixture_aligned(struct fixture_books *books, long x)
{
	ENTER(books, FIXTURE_ALIGNED);
	return x ^ 0x55;
}

__attribute__((weak)) KEPT long fixture_weak(struct fixture_books *books, long x);
long fixture_weak(struct fixture_books *books, long x)
{
	ENTER(books, FIXTURE_WEAK);
	return x - 7;
}

__attribute__((visibility("hidden"))) KEPT long fixture_hidden(struct fixture_books *books, long x);
long fixture_hidden(struct fixture_books *books, long x)
{
	ENTER(books, FIXTURE_HIDDEN);
	return x << 4;
}

/* rax tells a variadic function how many vector registers hold arguments. */
KEPT static double fixture_variadic(struct fixture_books *books, int n, ...)
{
	double sum = 0;
	va_list list;

	ENTER(books, FIXTURE_VARIADIC);
	va_start(list, n);
	while (n-- > 0)
		sum += va_arg(list, double);
	va_end(list);
	return sum;
}

KEPT long fixture_sum(struct fixture_books *books, long x)
{
	ENTER(books, FIXTURE_SUM);
	return (long)fixture_variadic(books, 3, (double)x, 0.5, 1.5);
}

#define FUNCTION(name, result, exported) { #name, (uintptr_t)name, name, result, exported }
#define INNER(name) { #name, (uintptr_t)name, NULL, 0, 0 }

/* In the order of the FIXTURE_ numbers. */
static const struct fixture_function functions[] = {
	FUNCTION(fixture_plain, 6, 1),
	FUNCTION(fixture_leaf, 5, 1),
	FUNCTION(fixture_static, 15, 0),
	FUNCTION(fixture_outer, 20, 1),
	FUNCTION(fixture_tail, 12, 1),
	FUNCTION(fixture_recurse, 16, 0),
	FUNCTION(fixture_loop, 1535, 1),
	FUNCTION(fixture_split, -11, 1),
	FUNCTION(fixture_cold, -5, 0),
	FUNCTION(fixture_aligned, 80, 0),
	FUNCTION(fixture_weak, -2, 1),
	FUNCTION(fixture_hidden, 80, 0),
	INNER(fixture_variadic),
	FUNCTION(fixture_sum, 7, 1),
};

const struct fixture_table fixture_table = {
	sizeof(functions) / sizeof(functions[0]), functions
};
