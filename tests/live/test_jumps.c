/* SPDX-License-Identifier: MIT */
/*
 * H7: handlers that are left by siglongjmp(3) out of a signal handler, from all
 * depths and stacks, over and over: their thread is outside again where it
 * landed, every call is seen or counted as missed, and who waits for it does
 * not wait in vain.
 */
#include "tests/live/tally.h"
#include "tests/live/visitor.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

/* Sites: OUTER's handler is interrupted; the signal handler calls INNER. */
#define OUTER (live_sites[7])
#define INNER (live_sites[62])

static __thread sigjmp_buf landing;

static int handler_interrupted(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			       struct ftr_regs *regs)
{
	tally_handler(ip, parent_ip, group, regs);
	if (ip == live_ip(OUTER))
		raise(SIGUSR1);
	return 0;
}

static void on_jump(int sig)
{
	tally_call(INNER);
	siglongjmp(landing, 1);
}

/** Calls OUTER, from `depth` frames of about a kilobyte further down. */
static __attribute__((noinline)) void descend(unsigned depth)
{
	volatile char frame[960];

	frame[0] = 1;
	if (depth)
		descend(depth - 1);
	else
		tally_call(OUTER);
	frame[0]++;
}

/* --- the stacks from which they jump ------------------------------------------------ */

enum stack { OWN, SIGNALS, COROUTINE, STACKS };

static __thread unsigned depth_on_stack;
static __thread char *coroutine_room;

enum { ROOM = 64 * 1024, DEEPEST = 32 };

static void on_descend(int sig)
{
	descend(depth_on_stack);
}

static void coroutine_main(void)
{
	descend(depth_on_stack);
}

static void descend_in_coroutine(void)
{
	ucontext_t here, there;

	getcontext(&there);
	there.uc_stack.ss_sp = coroutine_room;
	there.uc_stack.ss_size = ROOM;
	there.uc_link = &here;
	makecontext(&there, coroutine_main, 0);
	swapcontext(&here, &there);
}

static void descend_on(enum stack stack, unsigned depth)
{
	depth_on_stack = depth;
	if (stack == OWN)
		descend(depth);
	else if (stack == SIGNALS)
		raise(SIGUSR2);
	else
		descend_in_coroutine();
}

/** OUTER's handler is left for good, from there. */
static __attribute__((noinline)) void jump_from(enum stack stack, unsigned depth)
{
	if (sigsetjmp(landing, 1))
		return;
	descend_on(stack, depth);
	abort(); /* it came back */
}

static void install(bool on_altstack)
{
	struct sigaction jump = { .sa_handler = on_jump,
				  .sa_flags = on_altstack ? SA_ONSTACK : 0 };
	struct sigaction go_down = { .sa_handler = on_descend, .sa_flags = SA_ONSTACK };

	ck_assert_int_eq(sigaction(SIGUSR1, &jump, NULL), 0);
	ck_assert_int_eq(sigaction(SIGUSR2, &go_down, NULL), 0);
}

static void stacks_start(void)
{
	stack_t stack = { .ss_size = ROOM, .ss_sp = malloc(ROOM) };

	coroutine_room = malloc(ROOM);
	ck_assert(stack.ss_sp && coroutine_room);
	ck_assert_int_eq(sigaltstack(&stack, NULL), 0);
}

/* --- thousands of jumps --------------------------------------------------------------- */

/** One jump, and the calls after it. */
static void jump_once(struct live_worker *worker)
{
	unsigned long n = worker->turns, seen = tally_here.seen;

	/* At least a frame deep, so that what follows here is above it. */
	jump_from((enum stack)(n % STACKS), 1 + n % DEEPEST);
	worker->bad += tally_here.seen != seen + 1;
	/* Landed: seen at once, and again. */
	tally_call(INNER);
	tally_call(INNER);
	worker->bad += tally_here.seen != seen + 3;
}

static void jump_turn(struct live_worker *worker)
{
	if (!worker->turns)
		stacks_start();
	jump_once(worker);
}

/** _i: the jumping signal's handler has the signals' stack, too. */
START_TEST(test_thousands_of_jumps)
{
	const unsigned long jumps = live_rounds(5000);
	struct live_worker workers[2];
	struct ftr_group *group, *other;
	unsigned long i, turns;

	ck_ok(ftr_init(NULL));
	install(_i);
	group = tally_attach(handler_interrupted, 0);
	other = live_group("other", tally_handler, NULL, FTR_GROUP_REGS);
	live_hold(other, live_sites + 20, 10);
	for (i = 0; i < 2; i++)
		live_worker_start(&workers[i], jump_turn, NULL);
	/* A thread that jumped is noticed by the next call: nobody waits long. */
	while (workers[0].turns < jumps || workers[1].turns < jumps) {
		ck_ok(ftr_group_attach(other));
		ck_ok(ftr_group_detach(other));
		live_worker_await(&workers[0], 10);
	}
	for (i = 0; i < 2; i++)
		live_worker_stop(&workers[i]);
	turns = workers[0].turns + workers[1].turns;
	ck_assert_uint_eq(workers[0].bad + workers[1].bad, 0);
	/* OUTER and two INNER seen, one INNER missed, a turn. */
	ck_assert_uint_eq(tally_sum.seen, 3 * turns);
	ck_assert_uint_eq(ftr_group_missed(group), turns);
	tally_check(group);
	ck_ok(ftr_group_free(other));
	live_drop(group);
}
END_TEST

static void jump_visit(void *arg)
{
	if (!coroutine_room)
		stacks_start();
	jump_from((enum stack)(uintptr_t)arg, 8);
	tally_call(INNER);
}

/* The thread sleeps after its jump and one more call; detach asks nothing of it. */
START_TEST(test_detach_after_jumps)
{
	struct visitor visitor;
	unsigned i;

	ck_ok(ftr_init(NULL));
	install(_i);
	visitor_start(&visitor);
	for (i = 0; i < 60; i++) {
		struct ftr_group *group = tally_attach(handler_interrupted, 0);

		visitor_call(&visitor, jump_visit, (void *)(uintptr_t)(i % STACKS));
		ck_assert_uint_eq(ftr_group_missed(group), 1);
		live_drop(group);
	}
	ck_assert_uint_eq(tally_sum.seen, 60 * 2);
	visitor_stop(&visitor);
}
END_TEST

/*
 * From where it landed the thread goes down further than it was: there its calls
 * may be missed, but are counted; up again, they are seen.
 */
START_TEST(test_deeper_after_a_jump)
{
	const unsigned rounds = (unsigned)live_rounds(500);
	struct ftr_group *group;
	unsigned long seen;
	volatile unsigned jumps;
	unsigned i;

	ck_ok(ftr_init(NULL));
	install(_i);
	stacks_start();
	group = tally_attach(handler_interrupted, 0);
	for (i = 0; i < rounds; i++) {
		jump_from(OWN, 2);
		/* Where it is seen it jumps once more, to here. */
		for (jumps = 0; jumps < 3; jumps++)
			if (!sigsetjmp(landing, 1))
				descend(2 + i % DEEPEST);
		seen = tally_here.seen;
		tally_call(INNER);
		ck_assert_uint_eq(tally_here.seen, seen + 1);
		tally_check(group);
	}
	live_drop(group);
}
END_TEST

/* --- stacks in an unusual order ---------------------------------------------------------- */

/* The stack of a thread, and above it, behind a gap, another one. */
enum { THREAD_ROOM = 256 * 1024, GAP = 64 * 1024 };
static char *low_stack, *high_stack;

static void map_stacks(void)
{
	low_stack = mmap(NULL, THREAD_ROOM + GAP + ROOM, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(low_stack, MAP_FAILED);
	high_stack = low_stack + THREAD_ROOM + GAP;
	ck_assert_int_eq(mprotect(low_stack + THREAD_ROOM, GAP, PROT_NONE), 0);
}

static void run_on_low_stack(void *(*start)(void *), void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	ck_assert_int_eq(pthread_attr_setstack(&attr, low_stack, THREAD_ROOM), 0);
	ck_assert_int_eq(pthread_create(&thread, &attr, start, arg), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	pthread_attr_destroy(&attr);
}

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1u << 31)
#endif

static void on_signal_above(int sig, siginfo_t *info, void *context)
{
	tally_call(INNER);
}

static void *call_with_signals_above(void *arg)
{
	stack_t stack = { .ss_sp = high_stack, .ss_size = ROOM, .ss_flags = (int)SS_AUTODISARM };
	unsigned i;

	if (sigaltstack(&stack, NULL))
		return NULL;
	for (i = 0; i < 200; i++)
		tally_call(OUTER);
	*(bool *)arg = true;
	return NULL;
}

/*
 * A signal's stack that the kernel disarms while its handler runs (sigaltstack(2))
 * can't be told by asking; and it lies above.  The interrupted handler still runs.
 * (With SA_SIGINFO: i386 has a frame without a place for the stack for others,
 * and arms it no more.)
 */
START_TEST(test_disarmed_stack_above)
{
	struct sigaction action = { .sa_sigaction = on_signal_above,
				    .sa_flags = SA_ONSTACK | SA_SIGINFO };
	struct ftr_group *group;
	bool ran = false;

	ck_ok(ftr_init(NULL));
	ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
	map_stacks();
	group = tally_attach(handler_interrupted, 0);
	run_on_low_stack(call_with_signals_above, &ran);
	if (ran) {
		ck_assert_uint_eq(tally_sum.seen, 200);
		ck_assert_uint_eq(ftr_group_missed(group), 200);
	}
	live_drop(group);
}
END_TEST

int main(void)
{
	Suite *suite;

	if (LIVE_SANITIZED) {
		printf("SKIP: a sanitizer knows of no stacks but its own\n");
		return 77;
	}
	suite = suite_create("jumps");
	LIVE_LOOP(suite, test_thousands_of_jumps, 0, 2, 60);
	LIVE_LOOP(suite, test_detach_after_jumps, 0, 2, 60);
	LIVE_LOOP(suite, test_deeper_after_a_jump, 0, 2, 60);
	LIVE_CASE(suite, test_disarmed_stack_above, 30);
	return live_main(suite);
}
