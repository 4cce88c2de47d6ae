/* SPDX-License-Identifier: MIT */
/*
 * H5: registers that compilers, not assembly, keep live across a traced call:
 * al of variadic calls, r10 of nested functions, xmm6-15 across functions of
 * Microsoft's convention, and whatever gcc's -fipa-ra knows a callee to spare.
 */
#include "tests/live/regs.h"

#include <stdarg.h>

static struct regs_cell cell;
static struct role role;

static struct ftr_group *attach_to(const char *pattern)
{
	struct ftr_group *group = live_group("compiled", regs_handler(&cell), &role, cell.flags);

	ck_assert_int_eq(ftr_group_filter(group, pattern, 0), 1);
	ck_ok(ftr_group_attach(group));
	return group;
}

static void drop(struct ftr_group *group, unsigned calls)
{
	ck_assert_uint_eq(role.view.count, calls);
	live_drop(group);
}

/* --- al ------------------------------------------------------------------------------ */

FTR_TRACEABLE static double sum_of_all(int n, ...)
{
	double sum = 0;
	va_list list;
	int i;

	va_start(list, n);
	for (i = 0; i < n; i++) {
		sum += va_arg(list, double);
		sum += (double)va_arg(list, long);
		if (i % 4 == 3)
			sum += (double)va_arg(list, long double);
	}
	va_end(list);
	return sum;
}

FTR_TRACEABLE static long sum_of_longs(int n, ...)
{
	long sum = 0;
	va_list list;

	va_start(list, n);
	while (n--)
		sum += va_arg(list, long);
	va_end(list);
	return sum;
}

START_TEST(test_variadic_arguments)
{
	struct ftr_group *group;

	cell = regs_start(_i);
	group = attach_to("sum_of_all");
	ck_assert_double_eq(sum_of_all(1, 0.5, 1L), 1.5);
	ck_assert_uint_eq(role.view.return_value & 0xff, 1);
	ck_assert_double_eq(sum_of_all(9, 1., 2L, 3., 4L, 5., 6L, 7., 8L, .5L, 10., 20L, 30., 40L,
				       50., 60L, 70., 80L, .25L, 100., 200L),
			    696.75);
	ck_assert_uint_eq(role.view.return_value & 0xff, 8);
	drop(group, 2);
	role.view.count = 0;
	group = attach_to("sum_of_longs");
	ck_assert_int_eq(sum_of_longs(7, 1L, 20L, 300L, 4000L, 50000L, 600000L, 7000000L), 7654321);
	ck_assert_uint_eq(role.view.return_value & 0xff, 0);
	drop(group, 1);
}
END_TEST

/* --- r10 ----------------------------------------------------------------------------- */

#ifndef __clang__
START_TEST(test_static_chain_of_nested_functions)
{
	volatile long total = 0;
	struct ftr_group *group;
	long i;

	FTR_TRACEABLE void add_to_total(long n)
	{
		total += n;
	}

	cell = regs_start(_i);
	group = attach_to("add_to_total*");
	for (i = 1; i <= 10; i++)
		add_to_total(i);
	ck_assert_int_eq(total, 55);
	drop(group, 10);
}
END_TEST
#endif

/* --- doubles that are live across a call ---------------------------------------------------- */

enum { LIVE = 12 };
static volatile double source[LIVE] = { 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048 };
static const double sum_of_source = 4095;

/**
 * More doubles than there are argument registers, in registers before the call
 * and after it; what the compiler keeps there meanwhile is its business.
 */
#define ACROSS(call)                                                                          \
	do {                                                                                  \
		double a = source[0], b = source[1], c = source[2], d = source[3],            \
		       e = source[4], f = source[5], g = source[6], h = source[7],            \
		       i = source[8], j = source[9], k = source[10], l = source[11];          \
		__asm__ volatile("" : "+x"(a), "+x"(b), "+x"(c), "+x"(d), "+x"(e), "+x"(f));  \
		__asm__ volatile("" : "+x"(g), "+x"(h), "+x"(i), "+x"(j), "+x"(k), "+x"(l));  \
		call;                                                                         \
		__asm__ volatile("" : "+x"(a), "+x"(b), "+x"(c), "+x"(d), "+x"(e), "+x"(f));  \
		__asm__ volatile("" : "+x"(g), "+x"(h), "+x"(i), "+x"(j), "+x"(k), "+x"(l));  \
		return a + b + c + d + e + f + g + h + i + j + k + l;                         \
	} while (0)

/** How many of them the handler found in the registers from `first` on. */
static unsigned live_from(unsigned first)
{
	unsigned n, i, count = 0;

	for (n = first; n < 16; n++)
		for (i = 0; i < LIVE; i++) {
			double value = source[i];

			count += role.view.has_vector[n] &&
				 !memcmp(role.view.vectors[n], &value, sizeof(value));
		}
	return count;
}

/** With -O0, or by another compiler, nothing need be live: then the test says little. */
#if defined(__OPTIMIZE__) && !defined(__clang__) && !LIVE_SANITIZED
enum { KNOWN_COMPILER = 1 };
#else
enum { KNOWN_COMPILER = 0 };
#endif

/* Not the macro, which has noipa: gcc may look what the callee spares. */
__attribute__((noinline, patchable_function_entry(5))) static void marked_alone(void)
{
	__asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) static double across_marked(void)
{
	ACROSS(marked_alone());
}

FTR_TRACEABLE __attribute__((ms_abi)) static long ms_traced(long a, long b, long c, long d, long e)
{
	LIVE_OPAQUE(a);
	return a + 10 * b + 100 * c + 1000 * d + 10000 * e;
}

static volatile long ms_result;

__attribute__((noinline)) static double across_ms_traced(void)
{
	ACROSS(ms_result = ms_traced(1, 2, 3, 4, 5));
}

FTR_TRACEABLE static void sysv_traced(void)
{
	__asm__ volatile("" ::: "memory");
}

__attribute__((noinline, ms_abi)) static double ms_across_sysv(void)
{
	ACROSS(sysv_traced());
}

__attribute__((noinline, ms_abi)) static double ms_across_marked(void)
{
	ACROSS(marked_alone());
}

/* The ms_abi callers, from where xmm6-15 are live across them. */
__attribute__((noinline)) static double across_ms_caller(double (*fn)(void) __attribute__((ms_abi)))
{
	double more = 0;

	ACROSS(more = fn(); if (more != sum_of_source) return more);
}

static void expect_kept(const char *what, double sum, unsigned first, bool known)
{
	ck_assert_msg(sum == sum_of_source, "%s: %s: the sum is %g, not %g", cell.name, what, sum,
		      sum_of_source);
	ck_assert_msg(!known || live_from(first) > 0, "%s: nothing was live", what);
}

/** Only FTR_GROUP_ALL_VECTORS promises these. */
static bool start_all(int i)
{
	cell = regs_start(i);
	return cell.mode == REGS_ALL;
}

START_TEST(test_spared_by_a_marked_function)
{
	struct ftr_group *group;

	if (!start_all(_i))
		return;
	group = attach_to("marked_alone");
	expect_kept("gcc's -fipa-ra", across_marked(), 8, KNOWN_COMPILER);
	expect_kept("and an ms_abi caller", across_ms_caller(ms_across_marked), 8, KNOWN_COMPILER);
	drop(group, 2);
}
END_TEST

START_TEST(test_live_across_ms_abi)
{
	struct ftr_group *group;

	if (!start_all(_i))
		return;
	group = attach_to("ms_traced");
	expect_kept("a traced ms_abi function", across_ms_traced(), 8, KNOWN_COMPILER);
	ck_assert_int_eq(ms_result, 54321);
	drop(group, 1);
	role.view.count = 0;
	group = attach_to("sysv_traced");
	expect_kept("an ms_abi caller", across_ms_caller(ms_across_sysv), 8, false);
	drop(group, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("regs_compiled");

	regs_case(suite, "variadic arguments", test_variadic_arguments);
#ifndef __clang__
	regs_case(suite, "static chain", test_static_chain_of_nested_functions);
#endif
	regs_case(suite, "spared by a marked function", test_spared_by_a_marked_function);
	regs_case(suite, "live across ms_abi", test_live_across_ms_abi);
	return live_main(suite);
}
