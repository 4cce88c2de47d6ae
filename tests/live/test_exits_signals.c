/* SPDX-License-Identifier: MIT */
/*
 * H9, R4: a signal before each instruction of hooked calls, from their sites on
 * until they have returned, and its handler calls hooked functions: all of them
 * return, nobody is taken for unwound, nothing is lost.
 */
#include "tests/live/hooks.h"
#include "tests/live/step.h"

#include <stdio.h>

#define HOOKED FTR_TRACEABLE static

#if defined(__i386__)
#define CALLEE_POPS __attribute__((stdcall))
#else
#define CALLEE_POPS
#endif

HOOKED long signals_leaf(long n)
{
	LIVE_OPAQUE(n);
	return n + 1;
}

HOOKED long signals_chain(long n)
{
	long result = n ? signals_chain(n - 1) : signals_leaf(n);

	LIVE_OPAQUE(result);
	return result;
}

/* Drops its arguments: above its return address nothing is its own any more. */
HOOKED CALLEE_POPS long signals_pops(long a, long b, long c)
{
	LIVE_OPAQUE(a);
	return a + b + c;
}

long hook_jumps(long n);
long hook_jumps_twice(long n);
long hook_jumped_to(long n) __attribute__((visibility("hidden")));

FTR_TRACEABLE long hook_jumped_to(long n)
{
	LIVE_OPAQUE(n);
	return n + 1;
}

static __attribute__((noinline)) long calls_leaf(long n)
{
	return signals_leaf(n) + signals_leaf(n) - n - 1;
}

static __attribute__((noinline)) long calls_chain(long n)
{
	return signals_chain(3) + n;
}

static __attribute__((noinline)) long calls_pops(long n)
{
	return signals_pops(n, 1, 2) + signals_pops(n, 3, 4) - n - 9;
}

static __attribute__((noinline)) long calls_jumps(long n)
{
	return hook_jumps_twice(n);
}

static const struct signals_case {
	const char *name;
	live_fn fn;
	unsigned calls; /* hooked ones */
} cases[] = {
	{ "leaf", calls_leaf, 2 },
	{ "chain", calls_chain, 5 },
	{ "pops", calls_pops, 2 },
	{ "jumps", calls_jumps, 3 },
};

static const uint32_t flags[] = {
	0,
	FTR_GROUP_NO_SIMD,
	FTR_GROUP_REGS,
	FTR_GROUP_UNWOUND_EXITS,
	FTR_GROUP_UNWOUND_EXITS | FTR_GROUP_NO_SIMD,
	FTR_GROUP_UNWOUND_EXITS | FTR_GROUP_REGS,
#if defined(__i386__)
	FTR_GROUP_UNWOUND_EXITS | FTR_GROUP_SP_OVERLAY,
#endif
};
enum {
	N_CASES = sizeof(cases) / sizeof(cases[0]),
	N_FLAGS = sizeof(flags) / sizeof(flags[0])
};

/** What a signal's handler calls, and how it went. */
static unsigned long called, wrong, first_wrong;

static void call_hooked(struct step *step, uintptr_t ip)
{
	called++;
	if ((signals_leaf(4) != 5 || signals_chain(2) != 1) && !wrong++)
		first_wrong = step->count;
}

START_TEST(test_signal_before_each_instruction)
{
	const struct signals_case *c = &cases[_i / N_FLAGS];
	uint32_t flag = flags[_i % N_FLAGS];
	struct step step = { .at = call_hooked };
	struct hook hook = { 0 };
	unsigned before;
	uint64_t missed;

	step_install(0);
	hook_attach(&hook, "signals_*", flag);
	ck_assert_int_eq(ftr_group_filter(hook.group, "hook_jump*", 0), 3);
	ck_assert_int_eq(c->fn(5), 6);
	before = hook.entries;
	missed = ftr_group_missed(hook.group);
	ck_assert_int_eq(step_call(&step, c->fn, 5), 6);
	ck_assert_msg(!wrong, "%s, flags %#x: wrong from step %lu on", c->name, flag, first_wrong);
	ck_assert_uint_eq(hook.exits, hook.entries);
	ck_assert_uint_eq(hook.unwound, 0);
	/* The signals' five calls each: seen, or missed inside handlers. */
	ck_assert_uint_eq(hook.entries - before + (ftr_group_missed(hook.group) - missed),
			  c->calls + 5 * called);
	ck_assert_uint_gt(called, 30 * c->calls);
	hook_drop(&hook);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("exits_signals");

	LIVE_LOOP(suite, test_signal_before_each_instruction, 0, N_CASES * N_FLAGS, 30);
	return live_main(suite);
}
