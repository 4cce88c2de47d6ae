/* SPDX-License-Identifier: MIT */
/*
 * Exit handlers: what they see and change (R1), cancelling and bounds (R2),
 * order (H10), detaching under pending exits (H8), functions of every shape
 * (R5).
 *
 * This program is linked to the shared library, as its users' are.
 */
#include "tests/live/hooks.h"

#include <complex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* clang has no noipa, and would compute results beforehand. */
#ifdef __clang__
#define HOOKED FTR_TRACEABLE __attribute__((optnone)) static
#else
#define HOOKED FTR_TRACEABLE static
#endif

/* --- functions of every shape -------------------------------------------------------- */

HOOKED long plain(long n)
{
	LIVE_OPAQUE(n);
	return n + 1;
}

HOOKED unsigned long long wide(unsigned n)
{
	LIVE_OPAQUE(n);
	return 0x100000002ull * n;
}

HOOKED double floating(double x)
{
	return x * 0.5;
}

HOOKED long double extended(long double x)
{
	return x / 3;
}

HOOKED long double _Complex extended_pair(long double x)
{
	return x + 2 * x * I;
}

struct pair {
	long a, b;
};

struct large {
	long words[9];
};

HOOKED struct pair two_words(long n)
{
	LIVE_OPAQUE(n);
	return (struct pair){ n, -n };
}

HOOKED struct large through_memory(long n)
{
	struct large result;

	for (int i = 0; i < 9; i++)
		result.words[i] = n * i;
	return result;
}

HOOKED long variadic(int n, ...)
{
	va_list list;
	long sum = 0;

	va_start(list, n);
	while (n--)
		sum += (long)(va_arg(list, double) * va_arg(list, int));
	va_end(list);
	return sum;
}

HOOKED long many(long a, long b, long c, long d, long e, long f, long g, long h, double x)
{
	return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + (long)(9 * x);
}

HOOKED long deep(long n)
{
	LIVE_OPAQUE(n);
	if (n == 0)
		return 0;
	long below = deep(n - 1);
	LIVE_OPAQUE(below);
	return below + 1;
}

HOOKED long stack_eater(long n)
{
	volatile char *space = __builtin_alloca((size_t)n);

	space[0] = 1;
	space[n - 1] = 2;
	return space[0] + space[n - 1] + n;
}

/* --- values ---------------------------------------------------------------------------- */

START_TEST(test_integer_is_seen_and_changed)
{
	struct hook hook = { .change = 40 };

	hook_attach(&hook, "plain", 0);
	ck_assert_int_eq(plain(1), 42);
	ck_assert_uint_eq(hook.value, 2);
	ck_assert_uint_eq(hook.entries, 1);
	ck_assert_uint_eq(hook.exits, 1);
	ck_assert_uint_eq(hook.ip, hook.exit_ip);
	ck_assert_uint_eq(hook.parent_ip, hook.exit_parent_ip);
	hook_drop(&hook);
	ck_assert_int_eq(plain(1), 2);
	ck_assert_uint_eq(hook.exits, 1);
}
END_TEST

static void change_both(struct hook *hook, struct ftr_regs *regs)
{
	ck_ok(ftr_regs_set_return_value(regs, 7));
	ck_ok(ftr_regs_set_return_value2(regs, 8));
}

START_TEST(test_second_register)
{
	struct hook hook = { .at_exit = change_both };

	if (sizeof(long) == 8) {
		hook_attach(&hook, "two_words", 0);
		struct pair pair = two_words(5);
		ck_assert_uint_eq(hook.value, 5);
		ck_assert_int_eq((long)hook.value2, -5);
		ck_assert_int_eq(pair.a, 7);
		ck_assert_int_eq(pair.b, 8);
	} else {
		hook_attach(&hook, "wide", 0);
		ck_assert_uint_eq(wide(3), 0x800000007ull);
		ck_assert_uint_eq(hook.value, 6);
		ck_assert_uint_eq(hook.value2, 3);
	}
	hook_drop(&hook);
}
END_TEST

/* On i386 a double comes on the x87 stack. */
static void change_double(struct hook *hook, struct ftr_regs *regs)
{
	double *seen = hook->arg, changed = 1234.5;

	if (sizeof(long) == 8) {
		size_t width;
		double *xmm0 = ftr_regs_vector(regs, 0, &width);
		ck_assert_uint_ge(width, 16);
		*seen = *xmm0;
		*xmm0 = changed;
	} else {
		long double value = changed;
		*seen = (double)ftr_regs_return_x87(regs, 0);
		ck_ok(ftr_regs_set_return_x87(regs, 0, &value));
	}
}

START_TEST(test_floating)
{
	double seen = 0;
	struct hook hook = { .at_exit = change_double, .arg = &seen };

	hook_attach(&hook, "floating", 0);
	ck_assert(floating(3) == 1234.5);
	ck_assert(seen == 1.5);
	hook_drop(&hook);
	ck_assert(floating(3) == 1.5);
}
END_TEST

/* Handlers use the x87 stack to its full depth: printf of eight long doubles. */
static void print_much(struct hook *hook, struct ftr_regs *regs)
{
	long double seen[2] = { ftr_regs_return_x87(regs, 0), ftr_regs_return_x87(regs, 1) };
	char text[256];

	memcpy(hook->arg, seen, sizeof(seen));
	snprintf(text, sizeof(text), "%Lg %Lg %Lg %Lg %Lg %Lg %Lg %Lg", seen[0], seen[1],
		 seen[0] * seen[1], seen[0] + seen[1], seen[0] - seen[1], seen[0] * 3, seen[0] * 5,
		 seen[1] * 7);
	ck_assert(ftr_regs_return_x87(regs, 2) == 0);
}

START_TEST(test_x87_values_survive)
{
	long double seen[2];
	struct hook hook = { .at_exit = print_much, .arg = seen };

	hook_attach(&hook, "extended*", 0);
	ck_assert(extended(1.5L) == 0.5L);
	ck_assert(seen[0] == 0.5L && seen[1] == 0);
	long double _Complex pair = extended_pair(0.25L);
	ck_assert(creall(pair) == 0.25L && cimagl(pair) == 0.5L);
	if (sizeof(long) == 8)
		ck_assert(seen[0] == 0.25L && seen[1] == 0.5L);
	hook_drop(&hook);
}
END_TEST

static void change_x87(struct hook *hook, struct ftr_regs *regs)
{
	const long double value = -1.25L;

	ck_ok(ftr_regs_set_return_x87(regs, 0, &value));
	ck_fails(ftr_regs_set_return_x87(regs, 1, &value), -EINVAL);
	ck_fails(ftr_regs_set_return_x87(regs, 0, NULL), -EINVAL);
}

START_TEST(test_x87_value_is_changed)
{
	struct hook hook = { .at_exit = change_x87 };

	hook_attach(&hook, "extended", 0);
	ck_assert(extended(1.5L) == -1.25L);
	hook_drop(&hook);
}
END_TEST

START_TEST(test_struct_through_memory)
{
	struct hook hook = { 0 };

	hook_attach(&hook, "through_memory", 0);
	struct large large = through_memory(3);
	for (int i = 0; i < 9; i++)
		ck_assert_int_eq(large.words[i], 3 * i);
	ck_assert_uint_eq(hook.exits, 1);
	hook_drop(&hook);
}
END_TEST

START_TEST(test_arguments_stay_where_they_were)
{
	struct hook hook = { 0 };

	hook_attach(&hook, "variadic", 0);
	ck_ok(ftr_group_detach(hook.group));
	ck_assert_int_gt(ftr_group_filter(hook.group, "many", 0), 0);
	ck_assert_int_gt(ftr_group_filter(hook.group, "stack_eater", 0), 0);
	ck_ok(ftr_group_attach(hook.group));
	ck_assert_int_eq(variadic(3, 1.5, 2, 2.5, 4, 3.0, 5), 28);
	ck_assert_int_eq(many(1, 2, 3, 4, 5, 6, 7, 8, 9.0), 285);
	ck_assert_int_eq(stack_eater(3000), 3003);
	ck_assert_uint_eq(hook.exits, 3);
	hook_drop(&hook);
}
END_TEST

/* --- cancelling, bounds, order ------------------------------------------------------------ */

START_TEST(test_entry_cancels)
{
	struct hook hook = { .cancel = true };

	hook_attach(&hook, "plain", 0);
	ck_assert_int_eq(plain(1), 2);
	ck_assert_uint_eq(hook.entries, 1);
	ck_assert_uint_eq(hook.exits, 0);
	hook.cancel = false;
	ck_assert_int_eq(plain(1), 2);
	ck_assert_uint_eq(hook.exits, 1);
	hook_drop(&hook);
}
END_TEST

START_TEST(test_recursion_of_ten_thousand)
{
	struct ftr_options options = FTR_OPTIONS_INIT;
	struct hook hook = { 0 };

	options.exit_depth = 12000;
	ck_ok(ftr_init(&options));
	hook_attach(&hook, "deep", 0);
	ck_assert_int_eq(deep(10000), 10000);
	ck_assert_uint_eq(hook.entries, 10001);
	ck_assert_uint_eq(hook.exits, 10001);
	ck_assert_uint_eq(ftr_group_missed(hook.group), 0);
	hook_drop(&hook);
}
END_TEST

START_TEST(test_depth_is_bounded)
{
	struct ftr_options options = FTR_OPTIONS_INIT;
	struct hook hook = { 0 };

	options.exit_depth = 300;
	ck_ok(ftr_init(&options));
	hook_attach(&hook, "deep", 0);
	for (unsigned i = 1; i <= 3; i++) {
		ck_assert_int_eq(deep(999), 999);
		ck_assert_uint_eq(hook.entries, 300 * i);
		ck_assert_uint_eq(hook.exits, 300 * i);
		ck_assert_uint_eq(ftr_group_missed(hook.group), 700 * i);
	}
	hook_drop(&hook);
}
END_TEST

static char order[32];

static void note_exit(struct hook *hook, struct ftr_regs *regs)
{
	strncat(order, hook->arg, 1);
}

static int note_entry(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		      struct ftr_regs *regs)
{
	strncat(order, ftr_group_name(group), 1);
	return 0;
}

START_TEST(test_exits_in_reverse_order)
{
	struct hook a = { .at_exit = note_exit, .arg = "a" }, b = { .at_exit = note_exit,
								    .arg = "b" };
	struct hook c = { .at_exit = note_exit, .arg = "c", .cancel = true };
	live_fn fn = plain;

	hook_attach(&a, "plain", 0);
	struct ftr_group *entry = live_attach("E", note_entry, NULL, 0, fn);
	hook_attach(&b, "plain", 0);
	hook_attach(&c, "plain", 0);
	ck_assert_int_eq(plain(1), 2);
	ck_assert_str_eq(order, "Eab");
	live_drop(entry);
	hook_drop(&c);
	hook_drop(&b);
	order[0] = 0;
	ck_assert_int_eq(plain(1), 2);
	ck_assert_str_eq(order, "a");
	hook_drop(&a);
}
END_TEST

START_TEST(test_large_data_of_several_groups)
{
	struct hook hooks[5] = { 0 };

	for (unsigned i = 0; i < 5; i++) {
		hook_make(&hooks[i], 0, i == 4 ? FTR_ENTRY_DATA_MAX : 16 + 40 * i);
		ck_assert_int_gt(ftr_group_filter(hooks[i].group, "deep", 0), 0);
		ck_ok(ftr_group_attach(hooks[i].group));
	}
	ck_assert_int_eq(deep(200), 200);
	for (unsigned i = 0; i < 5; i++) {
		ck_assert_uint_eq(hooks[i].exits, 201);
		hook_drop(&hooks[i]);
	}
}
END_TEST

/* --- functions left alone --------------------------------------------------------------------- */

HOOKED __attribute__((returns_twice)) int setjmp_like(void)
{
	int n = 3;

	LIVE_OPAQUE(n);
	return n;
}

static int count_patterns(const char *pattern, void *arg)
{
	int *n = arg;

	n[0]++;
	n[1] += !strcmp(pattern, "setjmp");
	return 0;
}

START_TEST(test_list_of_functions_left_alone)
{
	struct hook hook = { 0 };
	int n[2] = { 0, 0 };

	ck_ok(ftr_exits_excluded(count_patterns, n));
	ck_assert_int_gt(n[0], 10);
	ck_assert_int_eq(n[1], 1);
	ck_fails(ftr_exits_exclude(NULL, 0), -EINVAL);
	ck_fails(ftr_exits_exclude("", 0), -EINVAL);
	ck_fails(ftr_exits_exclude("x", FTR_FILTER_PENDING), -EINVAL);
	ck_fails(ftr_exits_excluded(NULL, NULL), -EINVAL);
	ck_ok(ftr_exits_exclude("set*_like", 0));
	hook_attach(&hook, "setjmp_like", 0);
	ck_assert_int_eq(setjmp_like(), 3);
	ck_assert_uint_eq(hook.entries, 1);
	ck_assert_uint_eq(hook.exits, 0);
	ck_ok(ftr_group_detach(hook.group));
	ck_ok(ftr_exits_exclude("set*_like", FTR_FILTER_REMOVE));
	ck_ok(ftr_group_attach(hook.group));
	ck_assert_int_eq(setjmp_like(), 3);
	ck_assert_uint_eq(hook.exits, 1);
	hook_drop(&hook);
}
END_TEST

/* --- jumps, and exits of what was jumped over ------------------------------------------------- */

static jmp_buf out;

HOOKED long jumper(long n)
{
	LIVE_OPAQUE(n);
	if (n)
		longjmp(out, (int)n);
	return 0;
}

HOOKED long between(long n)
{
	long result = jumper(n);

	LIVE_OPAQUE(result);
	return result;
}

START_TEST(test_longjmp_over_hooked_functions)
{
	struct hook hook = { 0 };
	unsigned long rounds = live_rounds(50000);

	hook_attach(&hook, "jumper", 0);
	ck_assert_int_gt(ftr_group_filter(hook.group, "between", 0), 0);
	for (volatile unsigned long i = 0; i < rounds; i++) {
		if (!setjmp(out))
			between(1);
	}
	/* The records of all those calls were found again. */
	ck_assert_uint_eq(ftr_group_missed(hook.group), 0);
	ck_assert_uint_eq(hook.entries, 2 * rounds);
	ck_assert_uint_eq(hook.exits, 0);
	ck_assert_int_eq(between(0), 0);
	ck_assert_uint_eq(hook.exits, 2);
	hook_drop(&hook);
}
END_TEST

START_TEST(test_unwound_frames_are_told_of)
{
	struct hook hook = { 0 };

	hook_attach(&hook, "jumper", FTR_GROUP_UNWOUND_EXITS);
	ck_assert_int_gt(ftr_group_filter(hook.group, "between", 0), 0);
	ck_assert_int_gt(ftr_group_filter(hook.group, "plain", 0), 0);
	for (volatile int i = 0; i < 10; i++) {
		if (!setjmp(out))
			between(1);
	}
	ck_assert_int_eq(plain(1), 2);
	ck_assert_uint_eq(hook.unwound, 20);
	ck_assert_uint_eq(hook.exits, 1);
	ck_assert_int_eq(between(0), 0);
	ck_assert_uint_eq(hook.unwound, 20);
	ck_assert_uint_eq(hook.exits, 3);
	hook_drop(&hook);
}
END_TEST

/* --- detaching while exits are pending ---------------------------------------------------------- */

static sem_t inside, go_on;

HOOKED long waits(long n)
{
	sem_post(&inside);
	while (sem_wait(&go_on))
		;
	return n;
}

HOOKED long waits_deep(long n)
{
	long result = n ? waits_deep(n - 1) : waits(5);

	LIVE_OPAQUE(result);
	return result + 1;
}

static void *call_waits(void *arg)
{
	return (void *)waits_deep(20);
}

/* _i: the group is freed and made anew before the functions return. */
START_TEST(test_detach_cancels_pending_exits)
{
	struct hook hook = { 0 }, other = { 0 };
	pthread_t thread;
	void *result;

	sem_init(&inside, 0, 0);
	sem_init(&go_on, 0, 0);
	hook_attach(&hook, "waits*", 0);
	hook_attach(&other, "waits_deep", 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, call_waits, NULL), 0);
	while (sem_wait(&inside))
		;
	ck_ok(ftr_group_detach(hook.group));
	if (_i) {
		ck_ok(ftr_group_free(hook.group));
		hook_make(&hook, 0, sizeof(uintptr_t));
		ck_assert_int_gt(ftr_group_filter(hook.group, "waits*", 0), 0);
	}
	ck_ok(ftr_group_attach(hook.group)); /* not for what is pending */
	sem_post(&go_on);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	ck_assert_int_eq((long)result, 26);
	ck_assert_uint_eq(hook.entries, 22);
	ck_assert_uint_eq(hook.exits, 0);
	ck_assert_uint_eq(other.exits, 21);
	sem_post(&go_on);
	ck_assert_int_eq(waits(3), 3);
	ck_assert_uint_eq(hook.exits, 1);
	hook_drop(&hook);
	hook_drop(&other);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("exits");
	TCase *detach = tcase_create("detach");

	LIVE_CASE(suite, test_integer_is_seen_and_changed, 10);
	LIVE_CASE(suite, test_second_register, 10);
	LIVE_CASE(suite, test_floating, 10);
	LIVE_CASE(suite, test_x87_values_survive, 10);
	LIVE_CASE(suite, test_x87_value_is_changed, 10);
	LIVE_CASE(suite, test_struct_through_memory, 10);
	LIVE_CASE(suite, test_arguments_stay_where_they_were, 10);
	LIVE_CASE(suite, test_entry_cancels, 10);
	LIVE_CASE(suite, test_recursion_of_ten_thousand, 20);
	LIVE_CASE(suite, test_depth_is_bounded, 20);
	LIVE_CASE(suite, test_exits_in_reverse_order, 10);
	LIVE_CASE(suite, test_large_data_of_several_groups, 10);
	LIVE_CASE(suite, test_list_of_functions_left_alone, 10);
	LIVE_CASE(suite, test_longjmp_over_hooked_functions, 30);
	LIVE_CASE(suite, test_unwound_frames_are_told_of, 10);
	tcase_set_timeout(detach, 20);
	tcase_add_loop_test(detach, test_detach_cancels_pending_exits, 0, 2);
	suite_add_tcase(suite, detach);
	return live_main(suite);
}
