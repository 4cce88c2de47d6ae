/* SPDX-License-Identifier: MIT */
/*
 * A program that attaches and detaches for ever must not use up the trampoline
 * slots, nor get slower, nor run a stranger's handler in a slot that serves
 * again.
 */
#include <signal.h>

#include "lib/slot.h"
#include "tests/live/visitor.h"

static __thread unsigned ran_a, ran_b;

static int handler_a(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		     struct ftr_regs *regs)
{
	ran_a++;
	return 0;
}

static int handler_b(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		     struct ftr_regs *regs)
{
	ran_b++;
	return 0;
}

/** Site 0 is B's alone, site 1 is A's, on and off. */
static void call_turn(struct live_worker *worker)
{
	ran_a = ran_b = 0;
	if (live_sites[0](1) != 2 || ran_b != 1 || ran_a)
		worker->bad++;
	if (live_sites[1](1) != 2 || ran_b != 1 || ran_a > 1)
		worker->bad++;
	worker->counts[ran_a]++;
}

static struct live_worker caller;

static struct ftr_group *start(void)
{
	struct ftr_group *b;

	ck_ok(ftr_init(NULL));
	b = live_attach("b", handler_b, NULL, 0, live_sites[0]);
	live_worker_start(&caller, call_turn, NULL);
	return b;
}

static void finish(struct ftr_group *b)
{
	live_worker_stop(&caller);
	ck_assert_uint_eq(caller.bad, 0);
	live_drop(b);
}

START_TEST(test_one_group_on_and_off)
{
	const unsigned long rounds = live_rounds(20000);
	struct ftr_group *a, *b = start();
	unsigned long i;

	a = live_group("a", handler_a, NULL, 0);
	live_hold(a, &live_sites[1], 1);
	for (i = 0; i < rounds; i++) {
		ck_ok(ftr_group_attach(a));
		ck_ok(ftr_group_detach(a));
	}
	/* Its set is the same each time, and so is its slot. */
	ck_assert_uint_le(ftr__slot_count(), 8);
	ck_ok(ftr_group_free(a));
	finish(b);
}
END_TEST

static void call_visit(void *arg)
{
	call_turn(arg);
}

/* Slots of groups that were freed serve again when no thread can be late in
 * one; a thread that runs without end may never show that, one that sleeps does. */
START_TEST(test_a_new_group_each_time)
{
	const unsigned long rounds = live_rounds(20000);
	struct visitor visitor;
	struct ftr_group *b;
	unsigned long i;

	ck_ok(ftr_init(NULL));
	b = live_attach("b", handler_b, NULL, 0, live_sites[0]);
	visitor_start(&visitor);
	for (i = 0; i < rounds; i++) {
		struct ftr_group *a = live_attach("a", handler_a, NULL, 0, live_sites[1]);

		if (i % 64 == 0)
			visitor_call(&visitor, call_visit, &caller);
		live_drop(a);
	}
	ck_assert_uint_lt(ftr__slot_count(), rounds / 2);
	ck_assert_uint_eq(caller.counts[1], (rounds + 63) / 64);
	ck_assert_uint_eq(caller.bad, 0);
	visitor_stop(&visitor);
	live_drop(b);
}
END_TEST

/** All the sites, each time another selection: sets come and go in numbers. */
START_TEST(test_ever_new_selections)
{
	const unsigned long rounds = live_rounds(3000);
	struct ftr_group *a, *b = start();
	unsigned long i;

	a = live_group("a", handler_a, NULL, 0);
	live_hold(a, &live_sites[1], 1);
	ck_ok(ftr_group_attach(a));
	for (i = 0; i < rounds; i++)
		live_hold(a, live_sites + 1, 1 + i % (LIVE_SITES - 1));
	ck_assert_uint_lt(ftr__slot_count(), rounds / 2);
	live_drop(a);
	finish(b);
}
END_TEST

static void on_signal(int sig)
{
}

/* Where signals have handlers a saved pc may be anywhere.  A thread that never blocks
 * looks at its own stack when it leaves a handler: so slots serve again. */
START_TEST(test_a_new_group_beside_a_busy_thread)
{
	const unsigned long rounds = live_rounds(5000);
	struct ftr_group *b;

	signal(SIGUSR1, on_signal);
	b = start();
	for (unsigned long i = 0; i < rounds; i++)
		live_drop(live_attach("a", handler_a, NULL, 0, live_sites[1]));
	ck_assert_uint_lt(ftr__slot_count(), rounds / 2);
	finish(b);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("slots");

	LIVE_CASE(suite, test_one_group_on_and_off, 120);
	LIVE_CASE(suite, test_a_new_group_each_time, 120);
	LIVE_CASE(suite, test_ever_new_selections, 120);
	LIVE_CASE(suite, test_a_new_group_beside_a_busy_thread, 120);
	return live_main(suite);
}
