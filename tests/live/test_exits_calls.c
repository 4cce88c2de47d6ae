/* SPDX-License-Identifier: MIT */
/*
 * R5: conventions of calls under return hooks: nested functions, structs returned
 * through memory, functions that take their arguments away or get them in
 * registers, sites behind landing pads, vector values; what C makes of them.
 */
#include "tests/live/hooks.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#define HOOKED FTR_TRACEABLE static

struct big {
	long words[7];
};

static const uint32_t kinds[] = {
	0,
	FTR_GROUP_NO_SIMD,
	FTR_GROUP_REGS,
	FTR_GROUP_REGS | FTR_GROUP_ALL_VECTORS,
#if defined(__i386__)
	FTR_GROUP_SP_OVERLAY,
	FTR_GROUP_SP_OVERLAY | FTR_GROUP_NO_SIMD,
#endif
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/** All that the pattern names ran and returned. */
static void expect_all(struct hook *hook, unsigned calls)
{
	ck_assert_uint_eq(hook->entries, calls);
	ck_assert_uint_eq(hook->exits, calls);
	ck_assert_uint_eq(ftr_group_missed(hook->group), 0);
	hook_drop(hook);
}

/* --- structs through memory: i386 takes the pointer away ------------------------------------- */

HOOKED struct big calls_big(long a, long b)
{
	struct big big;

	for (int i = 0; i < 7; i++)
		big.words[i] = a * i + b;
	return big;
}

HOOKED long calls_many(struct big big, long a, double x, struct big other)
{
	LIVE_OPAQUE(a);
	return big.words[6] + a + (long)x + other.words[1];
}

START_TEST(test_structs)
{
	struct hook hook = { 0 };

	hook_attach(&hook, "calls_*", kinds[_i]);
	for (int i = 0; i < 3; i++) {
		struct big big = calls_big(i, 5);
		for (int j = 0; j < 7; j++)
			ck_assert_int_eq(big.words[j], i * j + 5);
		ck_assert_int_eq(calls_many(big, 100, 1000.5, calls_big(1, 1)), 6 * i + 5 + 1102);
	}
	expect_all(&hook, 9);
}
END_TEST

/* --- nested functions: their chain comes in r10, or ecx ----------------------------------------- */

#if defined(__GNUC__) && !defined(__clang__)
static __attribute__((noinline)) long with_nested(long n)
{
	long sum = 0;

	__attribute__((noipa, patchable_function_entry(5))) void calls_add(long more)
	{
		LIVE_OPAQUE(more);
		sum += more * n;
	}
	for (long i = 0; i < 4; i++)
		calls_add(i);
	return sum;
}

START_TEST(test_nested_functions)
{
	struct hook hook = { 0 };

	hook_attach(&hook, "calls_add*", kinds[_i]);
	ck_assert_int_eq(with_nested(7), 42);
	expect_all(&hook, 4);
}
END_TEST
#endif

/* --- i386's own ------------------------------------------------------------------------------------ */

#if defined(__i386__)
HOOKED __attribute__((stdcall)) long std_three(long a, long b, long c)
{
	LIVE_OPAQUE(a);
	return a + 2 * b + 3 * c;
}

HOOKED __attribute__((fastcall)) long fast_four(long a, long b, long c, long d)
{
	LIVE_OPAQUE(a);
	return a + 2 * b + 3 * c + 4 * d;
}

HOOKED __attribute__((thiscall)) long this_three(long a, long b, long c)
{
	LIVE_OPAQUE(a);
	return a + 2 * b + 3 * c;
}

HOOKED __attribute__((regparm(3))) long reg_four(long a, long b, long c, long d)
{
	LIVE_OPAQUE(a);
	return a + 2 * b + 3 * c + 4 * d;
}

HOOKED __attribute__((stdcall)) struct big std_big(long a)
{
	struct big big = { { a, a + 1, a + 2 } };

	return big;
}

/* A caller in a loop shows each byte that the stack pointer is off by. */
static __attribute__((noinline)) long call_each(long rounds)
{
	long sum = 0;

	for (long i = 0; i < rounds; i++) {
		sum += std_three(i, 1, 2) - i - 8;
		sum += fast_four(i, 1, 2, 3) - i - 20;
		sum += this_three(i, 1, 2) - i - 8;
		sum += reg_four(i, 1, 2, 3) - i - 20;
		sum += std_big(i).words[2] - i - 2;
	}
	return sum;
}

START_TEST(test_conventions_of_i386)
{
	struct hook hook = { 0 };

	hook_attach(&hook, "std_*", kinds[_i]);
	ck_assert_int_eq(ftr_group_filter(hook.group, "fast_*", 0), 1);
	ck_assert_int_eq(ftr_group_filter(hook.group, "this_*", 0), 1);
	ck_assert_int_eq(ftr_group_filter(hook.group, "reg_*", 0), 1);
	ck_assert_int_eq(call_each(1000), 0);
	expect_all(&hook, 5000);
}
END_TEST
#endif

/* --- behind landing pads ----------------------------------------------------------------------------- */

long hook_jumps(long n);
long hook_jumps_twice(long n);
long hook_jumped_to(long n) __attribute__((visibility("hidden")));

FTR_TRACEABLE long hook_jumped_to(long n)
{
	LIVE_OPAQUE(n);
	return n + 1;
}

START_TEST(test_site_behind_a_landing_pad)
{
	struct hook hook = { 0 };

	hook_attach(&hook, "hook_jumps", kinds[_i]);
	ck_assert_uint_eq(ftr_site_ip(ftr_site_find((uintptr_t)hook_jumps)),
			  (uintptr_t)hook_jumps + 4);
	for (long i = 0; i < 10; i++)
		ck_assert_int_eq(hook_jumps(i), i + 1);
	expect_all(&hook, 10);
}
END_TEST

/* --- the default list ---------------------------------------------------------------------------------- */

__attribute__((returns_twice)) long savectx(void **buffer);
__attribute__((noreturn)) void restore_context(void **buffer);
__attribute__((returns_twice)) pid_t __vfork(void);
uintptr_t dlvsym(long n);

HOOKED long calls_restore(void **buffer)
{
	restore_context(buffer);
}

/** H1: what hooked functions jump to is given the parent, not a cell. */
static const struct jumped_to {
	uint32_t flags;
	bool hooked;  /* the group has an exit handler */
	bool twice;   /* two groups hold the site */
	bool limited;
	bool late;    /* attached after the jumping functions were hooked */
} jumped_to[] = {
	{ .flags = 0 },
	{ .flags = 0, .late = true },
	{ .flags = FTR_GROUP_NO_SIMD },
	{ .flags = FTR_GROUP_NO_SIMD, .late = true },
	{ .flags = FTR_GROUP_ALL_VECTORS },
	{ .flags = FTR_GROUP_REGS },
	{ .flags = FTR_GROUP_REGS | FTR_GROUP_NO_SIMD },
	{ .flags = FTR_GROUP_REGS | FTR_GROUP_IPMODIFY },
	{ .flags = 0, .twice = true },
	{ .flags = FTR_GROUP_NO_SIMD, .twice = true, .late = true },
	{ .flags = FTR_GROUP_REGS, .twice = true },
	{ .flags = 0, .limited = true },
	{ .flags = 0, .hooked = true },
	{ .flags = FTR_GROUP_NO_SIMD, .hooked = true },
	{ .flags = FTR_GROUP_REGS, .hooked = true },
	{ .flags = 0, .hooked = true, .twice = true },
	{ .flags = FTR_GROUP_UNWOUND_EXITS, .hooked = true },
};
enum { JUMPED_TO = sizeof(jumped_to) / sizeof(jumped_to[0]) };

static void make_below(struct hook *hook, const struct jumped_to *c)
{
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;
	pid_t tid = gettid();

	options.entry = hook_entry;
	options.exit = c->hooked ? hook_exit : NULL;
	options.data = hook;
	options.flags = c->flags;
	ck_ok(ftr_group_new(&hook->group, &options));
	ck_assert_int_eq(ftr_group_filter(hook->group, "hook_jumped_to", 0), 1);
	if (c->limited)
		ck_ok(ftr_group_limit_threads(hook->group, &tid, 1));
	ck_ok(ftr_group_attach(hook->group));
}

static __attribute__((noinline)) long calls_jumps(long n)
{
	return hook_jumps_twice(n) + n;
}

START_TEST(test_parents_of_functions_that_are_jumped_to)
{
	const struct jumped_to *c = &jumped_to[_i];
	struct hook above = { 0 }, below[2] = { 0 };

	for (int i = 0; i <= c->twice && !c->late; i++)
		make_below(&below[i], c);
	/* Twice: the return address of the second is the cell of the first. */
	hook_attach(&above, "hook_jumps*", 0);
	for (int i = 0; i <= c->twice && c->late; i++)
		make_below(&below[i], c);
	for (int round = 0; round < 3; round++)
		ck_assert_int_eq(calls_jumps(5), 11);
	ck_assert_uint_eq(above.exits, 6);
	ck_assert_uint_eq(above.exit_parent_ip, above.parent_ip);
	ck_assert_uint_lt(above.parent_ip - (uintptr_t)calls_jumps, 64);
	for (int i = 0; i <= c->twice; i++) {
		ck_assert_uint_eq(below[i].entries, 3);
		ck_assert_uint_eq(below[i].parent_ip, above.parent_ip);
		ck_assert_uint_eq(below[i].exits, c->hooked ? 3 : 0);
		ck_assert_uint_eq(below[i].exit_parent_ip, c->hooked ? above.parent_ip : 0);
		hook_drop(&below[i]);
	}
	hook_drop(&above);
}
END_TEST

/* R5: all functions are hooked, those of the list among them, which then are left
 * without exits. */
START_TEST(test_functions_of_the_default_list)
{
	struct hook hook = { 0 };
	void *buffer[8];
	volatile int returned = 0;
	uintptr_t parent;
	pid_t child;
	int status;

	hook_attach(&hook, "*", kinds[_i]);
	if (savectx(buffer) == 0) {
		returned++;
		calls_restore(buffer);
	}
	ck_assert_int_eq(returned, 1);
	ck_assert_uint_eq(hook.entries, 2);
	child = __vfork();
	if (child == 0) {
		returned++;
		_exit(7);
	}
	ck_assert_int_gt(child, 0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(WEXITSTATUS(status), 7);
	ck_assert_int_eq(returned, 2);
	parent = dlvsym(1);
	ck_assert_uint_eq(parent, hook.parent_ip);
	ck_assert_uint_eq(hook.entries, 4);
	ck_assert_uint_eq(hook.exits, 0);
	hook_drop(&hook);
}
END_TEST

/* --- vector values -------------------------------------------------------------------------------------- */

typedef long long wide4 __attribute__((vector_size(32)));
typedef long long wide8 __attribute__((vector_size(64)));

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpsabi"
FTR_TRACEABLE __attribute__((target("avx2"))) static wide4 vector_four(wide4 a, wide4 b)
{
	return a + b;
}

FTR_TRACEABLE __attribute__((target("avx512f"))) static wide8 vector_eight(wide8 a, wide8 b)
{
	return a + b;
}

__attribute__((target("avx2"))) static void clear_vectors(struct hook *hook,
							  struct ftr_regs *regs)
{
	__asm__ volatile("vzeroall" : : : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
			 "xmm7");
}

__attribute__((target("avx2"))) static bool four_is_right(void)
{
	wide4 sum = vector_four((wide4){ 1, 2, 3, 4 }, (wide4){ 10, 20, 30, 40 });

	return sum[0] == 11 && sum[1] == 22 && sum[2] == 33 && sum[3] == 44;
}

__attribute__((target("avx512f"))) static bool eight_is_right(void)
{
	wide8 sum = vector_eight((wide8){ 1, 2, 3, 4, 5, 6, 7, 8 },
				 (wide8){ 10, 20, 30, 40, 50, 60, 70, 80 });

	for (int i = 0; i < 8; i++)
		if (sum[i] != 11 * (i + 1))
			return false;
	return true;
}
#pragma GCC diagnostic pop

/* H5 for what is returned: in its full width. */
START_TEST(test_vector_values)
{
	struct hook hook = { .at_exit = clear_vectors };
	unsigned calls = 0;

	if (!__builtin_cpu_supports("avx2")) {
		puts("SKIP: no AVX2");
		return;
	}
	if (kinds[_i] & FTR_GROUP_NO_SIMD) /* these handlers are not compiled so */
		return;
	hook_attach(&hook, "vector_*", kinds[_i]);
	ck_assert(four_is_right());
	calls++;
	if (__builtin_cpu_supports("avx512f")) {
		ck_assert(eight_is_right());
		calls++;
	} else {
		puts("SKIP: no AVX-512");
	}
	expect_all(&hook, calls);
}
END_TEST

static void change_vector(struct hook *hook, struct ftr_regs *regs)
{
	size_t width;
	long long *ymm0 = ftr_regs_vector(regs, 0, &width);

	ck_assert_ptr_nonnull(ymm0);
	ck_assert_uint_ge(width, 32);
	ck_assert_int_eq(ymm0[3], 44);
	ymm0[3] = 4444;
}

__attribute__((target("avx2"))) static long long fourth_of_sum(void)
{
	return vector_four((wide4){ 1, 2, 3, 4 }, (wide4){ 10, 20, 30, 40 })[3];
}

START_TEST(test_vector_values_are_changed)
{
	struct hook hook = { .at_exit = change_vector };

	if (!__builtin_cpu_supports("avx2") || kinds[_i] & FTR_GROUP_NO_SIMD)
		return;
	hook_attach(&hook, "vector_four", kinds[_i]);
	ck_assert_int_eq(fourth_of_sum(), 4444);
	expect_all(&hook, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("exits_calls");

	LIVE_LOOP(suite, test_structs, 0, KINDS, 10);
#if defined(__GNUC__) && !defined(__clang__)
	LIVE_LOOP(suite, test_nested_functions, 0, KINDS, 10);
#endif
#if defined(__i386__)
	LIVE_LOOP(suite, test_conventions_of_i386, 0, KINDS, 10);
#endif
	LIVE_LOOP(suite, test_site_behind_a_landing_pad, 0, KINDS, 10);
	LIVE_LOOP(suite, test_parents_of_functions_that_are_jumped_to, 0, JUMPED_TO, 10);
	LIVE_LOOP(suite, test_functions_of_the_default_list, 0, KINDS, 10);
	LIVE_LOOP(suite, test_vector_values, 0, KINDS, 10);
	LIVE_LOOP(suite, test_vector_values_are_changed, 0, KINDS, 10);
	return live_main(suite);
}
