/* SPDX-License-Identifier: MIT */
/*
 * R2, R4, H7: handlers in handlers take and give back records of return hooks.
 * Coroutines are resumed at random, from handlers and outside, so that calls that
 * began in a handler return outside and the other way round, in any order: all of
 * them return to where they were called from, each exit is seen once, and what
 * handlers in handlers gave back serves again.
 */
#include "tests/live/hooks.h"

#include "lib/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

#define HOOKED FTR_TRACEABLE static

enum {
	ROUTINES = 24,
	STACK = 64 * 1024,
	DEEP = 150 /* more than what a chunk has */
};

static struct routine {
	ucontext_t back, here;
	char *stack;
	bool running, idle;
	unsigned long rounds;
} routines[ROUTINES];
static struct routine *current;
static bool stop;
static uint64_t random_state;

static unsigned random_below(unsigned n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(random_state >> 33) % n;
}

static void resume(struct routine *routine)
{
	struct routine *before = current;

	current = routine;
	routine->running = true;
	swapcontext(&routine->back, &routine->here);
	routine->running = false;
	current = before;
}

static void yield(void)
{
	struct routine *routine = current;

	swapcontext(&routine->here, &routine->back);
}

HOOKED long nested_deep(long n)
{
	long below = n ? nested_deep(n - 1) : -1;

	LIVE_OPAQUE(below);
	return below + 1;
}

static void yield_perhaps(void)
{
	if (!stop && random_below(2))
		yield();
}

static long go_on(long n);

/* Two alike, but that one may have two groups. */
HOOKED long nested_yields(long n)
{
	yield_perhaps();
	long result = n ? go_on(n - 1) : 0;
	yield_perhaps();
	return result + 1;
}

HOOKED long nested_waits(long n)
{
	yield_perhaps();
	long result = n ? go_on(n - 1) : 0;
	yield_perhaps();
	return result + 1;
}

static __attribute__((noinline)) long go_on(long n)
{
	return random_below(2) ? nested_yields(n) : nested_waits(n);
}

static void routine_main(void)
{
	for (;;) {
		long depth = random_below(5);

		if (go_on(depth) != depth + 1)
			abort();
		current->rounds++;
		current->idle = stop;
		yield();
	}
}

static void resume_any(void)
{
	struct routine *routine = &routines[random_below(ROUTINES)];

	if (!routine->running)
		resume(routine);
}

FTR_TRACEABLE static long host(long n)
{
	LIVE_OPAQUE(n);
	return n;
}

/** Handlers in handlers of two levels, and now and then many calls in them. */
static int host_entry(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		      struct ftr_regs *regs)
{
	static unsigned depth;

	depth++;
	for (unsigned i = random_below(3); i; i--)
		resume_any();
	if (depth < 2 && !random_below(4))
		host(1);
	if (!random_below(64) && nested_deep(DEEP) != DEEP)
		abort();
	depth--;
	return 0;
}

static struct ftr_group *attach_host(void)
{
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;
	struct ftr_group *group;

	options.entry = host_entry;
	options.flags = FTR_GROUP_REENTRANT;
	ck_ok(ftr_group_new(&group, &options));
	ck_assert_int_eq(ftr_group_filter(group, "host", 0), 1);
	ck_ok(ftr_group_attach(group));
	return group;
}

static void run(unsigned long rounds)
{
	for (unsigned long i = 0; i < rounds; i++) {
		switch (random_below(16)) {
		case 0:
			ck_assert_int_eq(nested_deep(DEEP), DEEP);
			break;
		case 1:
			ck_assert_int_eq(nested_deep(random_below(4)) >= 0, true);
			break;
		case 2:
		case 3:
		case 4:
		case 5:
		case 6:
			resume_any();
			break;
		default:
			ck_assert_int_eq(host((long)i), (long)i);
		}
	}
}

static void make_routines(void)
{
	for (int i = 0; i < ROUTINES; i++) {
		struct routine *routine = &routines[i];

		routine->stack = malloc(STACK);
		getcontext(&routine->here);
		routine->here.uc_stack.ss_sp = routine->stack;
		routine->here.uc_stack.ss_size = STACK;
		routine->here.uc_link = NULL;
		makecontext(&routine->here, routine_main, 0);
	}
}

static void end_routines(void)
{
	stop = true;
	for (int i = 0; i < ROUTINES; i++) {
		while (!routines[i].idle)
			resume(&routines[i]);
		ck_assert_uint_gt(routines[i].rounds, 1);
	}
}

static const uint32_t flags[] = {
	0, FTR_GROUP_NO_SIMD, FTR_GROUP_REGS, FTR_GROUP_UNWOUND_EXITS,
};
enum { N_FLAGS = sizeof(flags) / sizeof(flags[0]) };

/* Of one group, and of two: the first of the thread's records, which a caller binds
 * without looking at others, and those that C takes. */
START_TEST(test_coroutines_in_handlers_and_outside)
{
	unsigned long rounds = live_rounds(20000);
	struct hook hook = { 0 }, other = { 0 };
	size_t records;

	random_state = (uint64_t)_i + 1;
	make_routines();
	hook_attach(&hook, "nested_*", flags[_i % N_FLAGS] | FTR_GROUP_REENTRANT);
	if (_i >= N_FLAGS)
		hook_attach(&other, "nested_yields", FTR_GROUP_REENTRANT);
	struct ftr_group *group = attach_host();
	run(rounds / 4);
	records = ftr__record_count();
	run(rounds);
	/* What is pending at once may be more by chance. */
	ck_assert_uint_le(ftr__record_count(), records + 256);
	end_routines();
	ck_assert_uint_eq(hook.exits, hook.entries);
	ck_assert_uint_eq(hook.unwound, 0);
	ck_assert_uint_gt(hook.entries, rounds);
	ck_assert_uint_eq(ftr_group_missed(hook.group), 0);
	ck_assert_uint_eq(ftr__record_pending(), 0);
	if (_i >= N_FLAGS) {
		ck_assert_uint_eq(other.exits, other.entries);
		hook_drop(&other);
	}
	ck_ok(ftr_group_detach(group));
	ck_ok(ftr_group_free(group));
	hook_drop(&hook);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("exits_nested");

	LIVE_LOOP(suite, test_coroutines_in_handlers_and_outside, 0, 2 * N_FLAGS, 60);
	return live_main(suite);
}
