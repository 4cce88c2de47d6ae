/* SPDX-License-Identifier: MIT */
/*
 * H7: a handler that reaches a traced function does not recurse, also by way
 * of a signal handler; each such call is counted as missed.  A handler that is
 * jumped over does not leave its thread "inside", from whichever instruction
 * on the way it was left.
 */
#include "tests/live/step.h"
#include "tests/live/visitor.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned ran_outer, ran_inner;

/* Sites: the outer one calls handlers that reach the inner one. */
#define OUTER (live_sites[7])
#define INNER (live_sites[62])

static int handler_inner(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			 struct ftr_regs *regs)
{
	ran_inner++;
	return 0;
}

/** Sites 7 and 62. */
static struct ftr_group *attach_to_both(ftr_entry_fn entry, uint32_t flags)
{
	struct ftr_group *group = live_group("both", entry, NULL, flags);
	live_fn fns[2] = { OUTER, INNER };

	live_hold(group, fns, 2);
	ck_ok(ftr_group_attach(group));
	return group;
}

/* --- handlers that reach traced functions ------------------------------------ */

static int handler_recurses(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			    struct ftr_regs *regs)
{
	ran_outer++;
	if (INNER(10) != 11 || INNER(11) != 12)
		ran_outer += 1000000;
	return 0;
}

START_TEST(test_inner_calls_are_missed)
{
	struct ftr_group *both, *inner;
	long i;

	ck_ok(ftr_init(NULL));
	both = attach_to_both(handler_recurses, _i ? FTR_GROUP_REGS : 0);
	for (i = 0; i < 1000; i++)
		ck_assert_int_eq(OUTER(i), i + 1);
	ck_assert_uint_eq(ran_outer, 1000);
	ck_assert_uint_eq(ftr_group_missed(both), 2000);
	ck_assert_uint_eq(live_stats().missed, 2000);

	/* Another group on the inner site misses its calls as well. */
	inner = live_attach("inner", handler_inner, NULL, 0, INNER);
	ck_assert_int_eq(OUTER(1), 2);
	ck_assert_uint_eq(ran_inner, 0);
	ck_assert_uint_eq(ftr_group_missed(inner), 2);
	ck_assert_uint_eq(ftr_group_missed(both), 2002);
	/* From outside: it runs; the other's handler reaches it twice again. */
	ck_assert_int_eq(INNER(1), 2);
	ck_assert_uint_eq(ran_inner, 1);
	ck_assert_uint_eq(ftr_group_missed(inner), 4);
	live_drop(inner);
	live_drop(both);
}
END_TEST

static int handler_uses_libc(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			     struct ftr_regs *regs)
{
	char text[64];
	char *copy = malloc(64);

	snprintf(text, sizeof(text), "%s %.3f %u", ftr_group_name(group), 2.5, ran_outer);
	if (copy) {
		memcpy(copy, text, sizeof(text));
		ran_outer += strncmp(copy, "both 2.500 ", 11) == 0;
	}
	free(copy);
	return 0;
}

START_TEST(test_handler_uses_libc)
{
	struct ftr_group *both;
	long i;

	ck_ok(ftr_init(NULL));
	both = attach_to_both(handler_uses_libc, 0);
	for (i = 0; i < 1000; i++)
		ck_assert_int_eq(OUTER(i), i + 1);
	ck_assert_uint_eq(ran_outer, 1000);
	ck_assert_uint_eq(ftr_group_missed(both), 0);
	live_drop(both);
}
END_TEST

static int handler_descends(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			    struct ftr_regs *regs)
{
	uintptr_t depth = ftr_regs_arg(regs, 0);

	ran_outer++;
	if (depth < 10 && INNER((long)depth + 1) != (long)depth + 2)
		ran_outer += 1000000;
	return 0;
}

/* Calls itself through the site, ten deep; the plain group sees the first alone. */
START_TEST(test_reentrant)
{
	struct ftr_group *reentrant, *plain;

	ck_ok(ftr_init(NULL));
	reentrant = attach_to_both(handler_descends, FTR_GROUP_REENTRANT);
	plain = live_attach("plain", handler_inner, NULL, 0, INNER);
	ck_assert_int_eq(OUTER(0), 1);
	ck_assert_uint_eq(ran_outer, 11);
	ck_assert_uint_eq(ftr_group_missed(reentrant), 0);
	ck_assert_uint_eq(ran_inner, 0);
	ck_assert_uint_eq(ftr_group_missed(plain), 10);
	ck_assert_int_eq(INNER(10), 11);
	ck_assert_uint_eq(ran_outer, 12);
	ck_assert_uint_eq(ran_inner, 1);
	live_drop(plain);
	live_drop(reentrant);
}
END_TEST

/* --- signals ------------------------------------------------------------------ */

static unsigned signals;
static sigjmp_buf out;
static bool jump;

static void on_signal(int sig)
{
	signals += INNER(3) == 4;
	if (jump)
		siglongjmp(out, 1);
}

static int handler_raises(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			  struct ftr_regs *regs)
{
	ran_outer++;
	if (ip == live_ip(OUTER))
		raise(SIGUSR1);
	return 0;
}

static char altstack[1 << 16];

static void catch_signal(bool on_altstack)
{
	struct sigaction action = { .sa_handler = on_signal,
				    .sa_flags = on_altstack ? SA_ONSTACK : 0 };
	stack_t stack = { .ss_sp = altstack, .ss_size = sizeof(altstack) };

	if (on_altstack)
		ck_assert_int_eq(sigaltstack(&stack, NULL), 0);
	ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
}

/* _i: the signal handler runs on a stack of its own. */
START_TEST(test_signal_in_a_handler)
{
	struct ftr_group *both;
	unsigned i;

	ck_ok(ftr_init(NULL));
	catch_signal(_i);
	both = attach_to_both(handler_raises, 0);
	for (i = 1; i <= 100; i++) {
		ck_assert_int_eq(OUTER(1), 2);
		ck_assert_uint_eq(signals, i);
		ck_assert_uint_eq(ran_outer, i);
		ck_assert_uint_eq(ftr_group_missed(both), i);
	}
	/* Not inside a handler: a signal handler's calls are traced as any. */
	raise(SIGUSR1);
	ck_assert_uint_eq(ran_outer, 101);
	ck_assert_uint_eq(ftr_group_missed(both), 100);
	live_drop(both);
}
END_TEST

/** OUTER's handler is left by siglongjmp. */
static void jump_out_of_outer(void)
{
	jump = true;
	if (!sigsetjmp(out, 1)) {
		OUTER(1);
		ck_abort_msg("came back");
	}
	jump = false;
}

/* The next call comes from the same frame, so at the very same sp. */
START_TEST(test_jump_out_of_a_handler)
{
	struct ftr_group *both;
	unsigned i;

	ck_ok(ftr_init(NULL));
	catch_signal(_i);
	both = attach_to_both(handler_raises, 0);
	for (i = 0; i < 1000; i++)
		jump_out_of_outer();
	ck_assert_uint_eq(ran_outer, 1000);
	ck_assert_uint_eq(ftr_group_missed(both), 1000);
	ck_assert_int_eq(INNER(1), 2);
	ck_assert_uint_eq(ran_outer, 1001);
	ck_assert_uint_eq(ftr_group_missed(both), 1000);
	live_drop(both);
}
END_TEST

/* Nothing traced is called between the jump and the detach. */
START_TEST(test_detach_after_a_jump)
{
	struct ftr_group *both;

	ck_ok(ftr_init(NULL));
	catch_signal(_i);
	both = attach_to_both(handler_raises, 0);
	jump_out_of_outer();
	live_drop(both);
}
END_TEST

static void jump_and_return(void *arg)
{
	jump_out_of_outer();
}

static void call_another(void *arg)
{
	live_sites[20](1);
}

/*
 * The thread that jumped sleeps, far from any site: from outside it can't be
 * told from one that sleeps in its handler, and the detach may give up on it.
 * Any site that it comes by puts that right.
 */
START_TEST(test_detach_after_a_jump_elsewhere)
{
	struct ftr_options options = FTR_OPTIONS_INIT;
	struct ftr_group *both, *other;
	struct visitor visitor;
	int result;

	options.detach_timeout_ms = 50;
	ck_ok(ftr_init(&options));
	catch_signal(false);
	visitor_start(&visitor);
	both = attach_to_both(handler_raises, 0);
	other = live_attach("other", handler_inner, NULL, 0, live_sites[20]);
	visitor_call(&visitor, jump_and_return, NULL);
	result = ftr_group_detach(both);
	ck_assert(result == 0 || result == -ETIMEDOUT);
	visitor_call(&visitor, call_another, NULL);
	ck_assert_uint_eq(ran_inner, 1);
	if (result)
		ck_ok(ftr_group_detach(both));
	ck_ok(ftr_group_free(both));
	live_drop(other);
	visitor_stop(&visitor);
}
END_TEST

/* A handler on the signal's own stack is jumped over, to the thread's stack. */
static void on_signal_calls_outer(int sig)
{
	OUTER(1);
}

static void on_jump_signal(int sig)
{
	siglongjmp(out, 1);
}

static int handler_raises_jump(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			       struct ftr_regs *regs)
{
	ran_outer++;
	if (ip == live_ip(OUTER))
		raise(SIGUSR2);
	return 0;
}

START_TEST(test_jump_from_altstack_handler)
{
	struct sigaction first = { .sa_handler = on_signal_calls_outer, .sa_flags = SA_ONSTACK };
	struct sigaction second = { .sa_handler = on_jump_signal };
	struct ftr_group *both;
	unsigned i;

	ck_ok(ftr_init(NULL));
	catch_signal(true);
	sigaction(SIGUSR1, &first, NULL);
	sigaction(SIGUSR2, &second, NULL);
	both = attach_to_both(handler_raises_jump, 0);
	for (i = 1; i <= 100; i++) {
		if (!sigsetjmp(out, 1)) {
			raise(SIGUSR1);
			ck_abort_msg("came back");
		}
		ck_assert_uint_eq(ran_outer, 2 * i - 1);
		ck_assert_int_eq(INNER(1), 2);
		ck_assert_uint_eq(ran_outer, 2 * i);
	}
	ck_assert_uint_eq(ftr_group_missed(both), 0);
	live_drop(both);
}
END_TEST

/* --- left at each instruction --------------------------------------------------- */

static void jump_at_nth(struct step *step, uintptr_t ip)
{
	if (step->count == step->nth)
		siglongjmp(out, 1);
}

/** Whether there was an nth instruction to jump from. */
static bool jump_from_nth(struct step *step, unsigned long nth)
{
	memset(step, 0, sizeof(*step));
	step->at = jump_at_nth;
	step->nth = nth;
	if (sigsetjmp(out, 1))
		return true;
	ck_assert_int_eq(step_call(step, INNER, 1), 2);
	return false;
}

START_TEST(test_jump_out_at_each_instruction)
{
	struct ftr_group *both;
	volatile unsigned long nth;
	struct step step;

	step_install(0);
	ck_ok(ftr_init(NULL));
	both = attach_to_both(handler_inner, _i ? FTR_GROUP_REGS : 0);
	for (nth = 0; jump_from_nth(&step, nth); nth++) {
		ck_assert_uint_lt(nth, 5000);
		ran_inner = 0;
		ck_assert_int_eq(OUTER(1), 2);
		ck_assert_msg(ran_inner == 1, "after a jump from instruction %lu: ran %u times",
			      nth, ran_inner);
		ck_assert_uint_eq(ftr_group_missed(both), 0);
		if (nth % 8 == 0) {
			ck_ok(ftr_group_detach(both));
			ck_ok(ftr_group_attach(both));
		}
	}
	ck_assert_uint_gt(nth, 20);
	live_drop(both);
}
END_TEST

/* --- interrupted at each instruction ----------------------------------------------- */

static int handler_recurses_once(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
				 struct ftr_regs *regs)
{
	if (ip == live_ip(INNER)) {
		ran_inner++;
		return 0;
	}
	ran_outer++;
	if (INNER(10) != 11)
		ran_outer += 1000;
	return 0;
}

static void call_at_nth(struct step *step, uintptr_t ip)
{
	if (step->count != step->nth)
		return;
	atomic_store(&step->reached, true);
	if (INNER(5) != 6)
		abort();
}

/* A signal handler calls a traced function at any place on the way: it is traced
 * or missed there, and the interrupted handler's own call is missed always. */
START_TEST(test_signal_at_each_instruction)
{
	struct ftr_group *both;
	struct step step;
	unsigned long nth;

	step_install(0);
	ck_ok(ftr_init(NULL));
	both = attach_to_both(handler_recurses_once, _i ? FTR_GROUP_REGS : 0);
	memset(&step, 0, sizeof(step));
	step.at = call_at_nth;
	for (nth = 0;; nth++) {
		uint64_t missed = ftr_group_missed(both);

		ck_assert_uint_lt(nth, 5000);
		ran_outer = ran_inner = 0;
		step.nth = nth;
		atomic_store(&step.reached, false);
		ck_assert_int_eq(step_call(&step, OUTER, 1), 2);
		if (!step.reached)
			break;
		missed = ftr_group_missed(both) - missed;
		ck_assert_msg(ran_outer == 1 && ran_inner + missed == 2 && missed >= 1,
			      "at instruction %lu: outer ran %u times, inner %u, missed %lu", nth,
			      ran_outer, ran_inner, (unsigned long)missed);
		if (nth % 8 == 0) {
			ck_ok(ftr_group_detach(both));
			ck_ok(ftr_group_attach(both));
		}
	}
	ck_assert_uint_gt(nth, 20);
	live_drop(both);
}
END_TEST

/* --- several threads -------------------------------------------------------------- */

static __thread unsigned long ran_here;

static int handler_recurses_here(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
				 struct ftr_regs *regs)
{
	ran_here++;
	INNER(1);
	return 0;
}

static void outer_turn(struct live_worker *worker)
{
	ran_here = 0;
	if (OUTER(1) != 2 || ran_here != 1)
		worker->bad++;
}

START_TEST(test_missed_is_exact_with_threads)
{
	struct live_worker callers[2];
	struct ftr_group *both;

	ck_ok(ftr_init(NULL));
	both = attach_to_both(handler_recurses_here, 0);
	live_worker_start(&callers[0], outer_turn, NULL);
	live_worker_start(&callers[1], outer_turn, NULL);
	live_worker_await(&callers[0], live_rounds(50000));
	live_worker_await(&callers[1], live_rounds(50000));
	live_worker_stop(&callers[0]);
	live_worker_stop(&callers[1]);
	ck_assert_uint_eq(callers[0].bad + callers[1].bad, 0);
	ck_assert_uint_eq(ftr_group_missed(both), callers[0].turns + callers[1].turns);
	ck_assert_uint_eq(live_stats().missed, callers[0].turns + callers[1].turns);
	live_drop(both);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("recursion");

	LIVE_LOOP(suite, test_inner_calls_are_missed, 0, 2, 60);
	LIVE_LOOP(suite, test_signal_in_a_handler, 0, 2, 60);
	LIVE_LOOP(suite, test_jump_out_of_a_handler, 0, 2, 60);
	LIVE_LOOP(suite, test_detach_after_a_jump, 0, 2, 60);
	LIVE_LOOP(suite, test_jump_out_at_each_instruction, 0, 2, 60);
	LIVE_LOOP(suite, test_signal_at_each_instruction, 0, 2, 60);
	LIVE_CASE(suite, test_detach_after_a_jump_elsewhere, 30);
	LIVE_CASE(suite, test_jump_from_altstack_handler, 30);
	LIVE_CASE(suite, test_handler_uses_libc, 30);
	LIVE_CASE(suite, test_reentrant, 30);
	LIVE_CASE(suite, test_missed_is_exact_with_threads, 60);
	return live_main(suite);
}
