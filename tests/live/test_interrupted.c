/* SPDX-License-Identifier: MIT */
/*
 * H9, H7: a signal before each single instruction on the way from a site to the
 * handlers and back, whose handler does the worst: it calls traced functions
 * and jumps out of their handlers, or it never returns; also on the way of a
 * thread that the library does not know yet, and of one that has to tell others
 * that it left.
 */
#include "tests/live/step.h"
#include "tests/live/tally.h"

#include "lib/grace.h"
#include "lib/thread.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* Sites: the outer one is stepped; its handler, and signals, reach the inner. */
#define OUTER (live_sites[7])
#define INNER (live_sites[62])

static __thread sigjmp_buf landing;

static void catch_user_signal(void (*handler)(int sig))
{
	struct sigaction action = { .sa_handler = handler };

	ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
}

static void on_jump(int sig)
{
	siglongjmp(landing, 1);
}

/* --- a handler on top that is jumped over -------------------------------------------------- */

static bool in_signal;
static unsigned ran_outer, ran_inner;

/** OUTER's reaches INNER; INNER's is left for good, where a signal called it. */
static int handler_either(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			  struct ftr_regs *regs)
{
	tally_handler(ip, parent_ip, group, regs);
	if (ip == live_ip(OUTER)) {
		ran_outer++;
		tally_call(INNER);
		return 0;
	}
	ran_inner++;
	if (in_signal)
		raise(SIGUSR1);
	return 0;
}

/* The jump ends in the signal's handler itself, and what it interrupted goes on. */
static void call_and_jump_at_nth(struct step *step, uintptr_t ip)
{
	if (step->count != step->nth)
		return;
	atomic_store(&step->reached, true);
	in_signal = true;
	if (!sigsetjmp(landing, 1))
		tally_call(INNER);
	in_signal = false;
}

/** _i: with the regs caller. */
START_TEST(test_jump_over_what_came_on_top)
{
	struct ftr_group *group;
	struct step step = { .at = call_and_jump_at_nth };
	unsigned long nth, jumps = 0;

	step_install(0);
	ck_ok(ftr_init(NULL));
	catch_user_signal(on_jump);
	group = tally_attach(handler_either, _i ? FTR_GROUP_REGS : 0);
	for (nth = 0;; nth++) {
		ck_assert_uint_lt(nth, 5000);
		ran_outer = ran_inner = 0;
		step.nth = nth;
		atomic_store(&step.reached, false);
		tally_sum.made++;
		ck_assert_int_eq(step_call(&step, OUTER, 1), 2);
		if (!step.reached)
			break;
		jumps += ran_inner;
		/* Its own handler ran, and what that called was none's. */
		ck_assert_msg(ran_outer == 1 && ran_inner <= 1,
			      "at %lu: outer ran %u times, inner %u", nth, ran_outer, ran_inner);
		tally_check(group);
		ran_inner = 0;
		tally_call(INNER);
		ck_assert_msg(ran_inner == 1, "after a jump at %lu: inside for ever", nth);
		tally_check(group);
	}
	ck_assert_uint_gt(jumps, 20);
	ck_assert_uint_gt(nth, jumps + 20);
	live_drop(group);
}
END_TEST

/* --- a quiet stretch after a jump ------------------------------------------------------------- */

static void call_inner_quietly(void *arg)
{
	tally_call(INNER);
}

/** INNER's handler is left, far below what comes next. */
static __attribute__((noinline)) void jump_far_below(void)
{
	volatile char room[4096];

	room[0] = 0;
	in_signal = true;
	if (!sigsetjmp(landing, 1))
		tally_call(INNER);
	in_signal = false;
	room[0]++;
}

/* Where the library lets no handler run, the frame of one that was jumped over
 * must not count as a handler that runs. */
START_TEST(test_quiet_after_a_jump)
{
	struct ftr_group *group;

	ck_ok(ftr_init(NULL));
	catch_user_signal(on_jump);
	group = tally_attach(handler_either, _i ? FTR_GROUP_REENTRANT : 0);
	jump_far_below();
	ck_assert_uint_eq(tally_sum.seen, 1);
	ftr__grace_quietly(call_inner_quietly, NULL);
	ck_assert_uint_eq(tally_sum.seen, 1);
	ck_assert_uint_eq(ftr_group_missed(group), 1);
	tally_call(INNER);
	ck_assert_uint_eq(tally_sum.seen, 2);
	live_drop(group);
}
END_TEST

/* --- a thread that is not known yet --------------------------------------------------------- */

enum how { BY_SIGNAL, BY_TRAP };

static enum how how;

static void on_call(int sig)
{
	tally_call(INNER);
}

/* SIGTRAP can't be blocked by the library, other signals can: these come late then. */
static void call_at_nth(struct step *step, uintptr_t ip)
{
	if (step->count != step->nth)
		return;
	atomic_store(&step->reached, true);
	if (how == BY_SIGNAL)
		raise(SIGUSR1);
	else
		tally_call(INNER);
}

static bool is_own(struct ftr__thread *thread, void *n)
{
	*(unsigned *)n += thread->tid == live_tid();
	return false;
}

struct newcomer {
	unsigned long nth;
	bool reached;
	unsigned nodes; /* that it has in the end */
	bool lost;
};

static void *newcomer_main(void *arg)
{
	struct newcomer *newcomer = arg;
	struct step step = { .at = call_at_nth, .nth = newcomer->nth };
	unsigned long seen;

	tally_sum.made++;
	if (step_call(&step, OUTER, 1) != 2)
		abort();
	newcomer->reached = step.reached;
	seen = tally_here.seen;
	tally_call(INNER);
	newcomer->lost = tally_here.seen != seen + 1;
	ftr__thread_for_each(is_own, &newcomer->nodes);
	return NULL;
}

/** _i: how. */
START_TEST(test_signal_while_a_thread_is_registered)
{
	struct newcomer newcomer = { .reached = true };
	struct ftr_group *group;
	pthread_t thread;

	step_install(0);
	ck_ok(ftr_init(NULL));
	how = (enum how)_i;
	catch_user_signal(on_call);
	group = tally_attach(tally_handler, 0);
	for (; newcomer.reached; newcomer.nth += 1 + newcomer.nth / 12) {
		newcomer.nodes = 0;
		ck_assert_int_eq(pthread_create(&thread, NULL, newcomer_main, &newcomer), 0);
		ck_assert_int_eq(pthread_join(thread, NULL), 0);
		ck_assert_msg(!newcomer.lost, "at %lu: inside for ever", newcomer.nth);
		ck_assert_uint_ge(newcomer.nodes, 1);
		ck_assert_uint_le(newcomer.nodes, how == BY_SIGNAL ? 1 : 2);
		tally_check(group);
	}
	ck_assert_uint_gt(newcomer.nth, 100);
	ck_ok(ftr_group_detach(group));
	ck_ok(ftr_group_free(group));
}
END_TEST

/* --- nodes of ended threads --------------------------------------------------------------------- */

static bool count_owned(struct ftr__thread *thread, void *n)
{
	++*(unsigned *)n;
	return false;
}

static unsigned owned(void)
{
	unsigned n = 0;

	ftr__thread_for_each(count_owned, &n);
	return n;
}

static void *call_once(void *arg)
{
	tally_call(INNER);
	return NULL;
}

static void run_thread(void)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, call_once, NULL), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

/** How many nodes there are: so many have an owner before some are taken back. */
static unsigned nodes_room(void)
{
	unsigned before;

	do {
		before = owned();
		run_thread();
	} while (owned() >= before);
	return before;
}

/* The first two of ended threads. */
static struct ftr__thread *ended[2];

static bool find_ended(struct ftr__thread *thread, void *n)
{
	if (thread != ftr__self)
		ended[(*(unsigned *)n)++] = thread;
	return *(unsigned *)n == 2;
}

static struct step taker;
static bool first_taken;
static unsigned long behind;

/* When the first node was taken back, and some instructions later. */
static void park_behind_first(struct step *step, uintptr_t ip)
{
	if (!first_taken && !ended[0]->tid) {
		first_taken = true;
		step->nth = step->count + behind;
	}
	if (first_taken)
		step_park_nth(step, ip);
}

static pid_t wanted;
static bool kept;

static void *succeed(void *got)
{
	*(pid_t *)got = live_tid();
	if (live_tid() != wanted)
		return NULL;
	tally_call(INNER);
	step_finish(&taker);
	kept = ftr__self->tid == wanted;
	return NULL;
}

/* False: it was given its own id's former node, and looked for no other. */
static bool start_taker(void)
{
	unsigned n = 0;

	ftr__thread_for_each(find_ended, &n);
	wanted = ended[1]->tid;
	first_taken = false;
	taker = (struct step){ .at = park_behind_first, .fresh = true };
	taker.nth = (unsigned long)-1;
	tally_sum.made++;
	if (step_start(&taker, INNER, 1))
		return true;
	step_finish(&taker);
	return false;
}

/*
 * One that takes nodes back is held at places about the second of them, and a
 * thread begins that has the id of the node's former owner: it must have a node
 * of its own in the end.
 */
START_TEST(test_successor_keeps_its_node)
{
	struct ftr_group *group;
	unsigned room, tried = 0;
	pid_t got = 0;

	step_install(0);
	ck_ok(ftr_init(NULL));
	group = tally_attach(tally_handler, 0);
	ftr_site_count();
	room = nodes_room();
	for (behind = 0; behind < 60; behind += 3) {
		do {
			while (owned() < room)
				run_thread();
		} while (!start_taker());
		if (!tally_thread_as(wanted, succeed, &got)) {
			step_finish(&taker);
			continue;
		}
		tried++;
		ck_assert_msg(kept, "%lu instructions behind: its node was taken", behind);
	}
	printf("%u of 20 successors had the id\n", tried);
	tally_check(group);
	live_drop(group);
}
END_TEST

/* --- on the way out, when somebody waits -------------------------------------------------- */

static unsigned done_count;

static void count_done(void *arg)
{
	done_count++;
}

static int handler_leaving(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			   struct ftr_regs *regs)
{
	return 0;
}

static struct ftr_group *leaving;
static unsigned long left_at; /* the instruction where the detach was asked for */

/* The group is detached while its handler runs: what waits for that is due when
 * the thread leaves.  A number of instructions later a signal comes. */
static void detach_then_signal(struct step *step, uintptr_t ip)
{
	if (!left_at && ip == (uintptr_t)handler_leaving) {
		left_at = step->count;
		if (ftr_group_detach_async(leaving, count_done, NULL))
			abort();
	}
	if (left_at && step->count == left_at + step->nth) {
		atomic_store(&step->reached, true);
		raise(SIGUSR1);
	}
}

/** Whether there was an nth instruction to jump from. */
static bool jump_from_nth(struct step *step, unsigned long nth)
{
	memset(step, 0, sizeof(*step));
	step->at = detach_then_signal;
	step->nth = nth;
	left_at = 0;
	if (!sigsetjmp(landing, 1))
		ck_assert_int_eq(step_call(step, INNER, 1), 2);
	return atomic_load(&step->reached);
}

/*
 * A signal's handler jumps away from the very instruction where the thread was to
 * tell who waits: they are told all the same, if not from there then by the next
 * call of the library.
 */
START_TEST(test_jump_while_somebody_waits)
{
	struct ftr_group *group;
	volatile unsigned long nth;
	volatile unsigned detached = 0;
	struct step step;
	bool more = true;

	step_install(0);
	ck_ok(ftr_init(NULL));
	catch_user_signal(on_jump);
	group = tally_attach(tally_handler, 0);
	leaving = live_group("leaving", handler_leaving, NULL, _i ? FTR_GROUP_REGS : 0);
	live_hold(leaving, &INNER, 1);
	for (nth = 0; more; nth += 1 + nth / 12) {
		unsigned long seen;

		ck_ok(ftr_group_attach(leaving));
		more = jump_from_nth(&step, nth);
		detached++;
		seen = tally_here.seen;
		tally_call(OUTER);
		ck_assert_uint_eq(tally_here.seen, seen + 1);
		ftr_site_count();
		ck_assert_msg(done_count == detached, "at %lu: told %u times, not %u", nth,
			      done_count, detached);
	}
	ck_assert_uint_gt(nth, 100);
	ck_ok(ftr_group_free(leaving));
	live_drop(group);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("interrupted");

	LIVE_LOOP(suite, test_jump_over_what_came_on_top, 0, 2, 60);
	LIVE_LOOP(suite, test_quiet_after_a_jump, 0, 2, 60);
	LIVE_LOOP(suite, test_signal_while_a_thread_is_registered, 0, 2, 60);
	LIVE_CASE(suite, test_successor_keeps_its_node, 60);
	LIVE_LOOP(suite, test_jump_while_somebody_waits, 0, 2, 60);
	return live_main(suite);
}
