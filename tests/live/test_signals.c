/* SPDX-License-Identifier: MIT */
/*
 * H9, H7: signals at any moment, whose handlers call traced functions: no call
 * is lost and none counted twice, while groups come and go.  And what the
 * library must leave alone on its way: errno.
 */
#include "lib/batch.h"
#include "lib/grace.h"
#include "tests/live/tally.h"
#include "tests/live/visitor.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>

static int handler_nothing(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			   struct ftr_regs *regs)
{
	return 0;
}

/* --- a timer -------------------------------------------------------------------- */

static __thread unsigned long ticks;
static _Atomic unsigned long process_ticks;

static void on_tick(int sig)
{
	ticks++;
	if (sig == SIGALRM)
		process_ticks++;
	tally_call(live_sites[20]);
	tally_call(live_sites[21]);
}

static void catch_ticks(int flags)
{
	struct sigaction action = { .sa_handler = on_tick, .sa_flags = SA_RESTART | flags };

	ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
	ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
}

/** 1 kHz: for the process, whichever thread it hits, and for this thread. */
static timer_t start_timers(void)
{
	struct itimerval every = { { 0, 1000 }, { 0, 1000 } };
	struct itimerspec here = { { 0, 1000000 }, { 0, 1000000 } };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1 };
	timer_t timer;

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif
	event.sigev_notify_thread_id = live_tid();
	ck_assert_int_eq(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	ck_assert_int_eq(timer_settime(timer, 0, &here, NULL), 0);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &every, NULL), 0);
	return timer;
}

static void stop_process_timer(void)
{
	struct itimerval never = { { 0, 0 }, { 0, 0 } };

	ck_assert_int_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
}

enum { ON_ALTSTACK = 1, WITH_REGS = 2, REENTRANT = 4, TIMER_VARIANTS = 8 };

/** A stack for signals, where the variant asks for it. */
static void *altstack_start(int variant)
{
	stack_t stack = { .ss_size = 1 << 16 };

	if (!(variant & ON_ALTSTACK))
		return NULL;
	stack.ss_sp = malloc(stack.ss_size);
	ck_assert_ptr_nonnull(stack.ss_sp);
	ck_assert_int_eq(sigaltstack(&stack, NULL), 0);
	return stack.ss_sp;
}

static void altstack_stop(void *room)
{
	stack_t none = { .ss_flags = SS_DISABLE };

	if (room)
		ck_assert_int_eq(sigaltstack(&none, NULL), 0);
	free(room);
}

/* What a thread's own turns saw: each call is seen exactly once, unless missed. */
struct ticking {
	int variant;
	unsigned long wanted; /* ticks */
	unsigned long made, seen;
	bool lost;
};

static void tick_until(struct ticking *t)
{
	unsigned long i;

	for (i = 0; ticks < t->wanted; i++) {
		unsigned long seen = tally_here.seen;

		/* Of this thread's own calls none is missed: it is never in a
		 * handler when it makes them. */
		tally_call(live_sites[i % LIVE_SITES]);
		t->lost |= tally_here.seen == seen;
		if (i % 64 == 0)
			sched_yield();
	}
	t->made = tally_here.made;
	t->seen = tally_here.seen;
}

static void *ticking_main(void *arg)
{
	struct ticking *t = arg;
	void *room = altstack_start(t->variant);
	timer_t timer = start_timers();

	tick_until(t);
	timer_delete(timer);
	altstack_stop(room);
	return NULL;
}

static void *short_thread(void *arg)
{
	tally_call(live_sites[30]);
	return NULL;
}

static uint32_t flags_of(int variant)
{
	return (variant & WITH_REGS ? FTR_GROUP_REGS : 0) |
	       (variant & REENTRANT ? FTR_GROUP_REENTRANT : 0);
}

/*
 * Two threads under timers, short ones beside them, and another two groups that
 * come and go on all sites: for the one that stays the account is exact.
 */
START_TEST(test_calls_from_a_timer)
{
	struct ftr_group *group, *others[2];
	struct ticking ticking[2] = { { .variant = _i, .wanted = live_rounds(100) },
				      { .variant = _i, .wanted = live_rounds(100) } };
	pthread_t threads[2], extra;
	unsigned i;

	ck_ok(ftr_init(NULL));
	catch_ticks(_i & ON_ALTSTACK ? SA_ONSTACK : 0);
	group = tally_attach(tally_handler, flags_of(_i));
	for (i = 0; i < 2; i++) {
		others[i] = live_group("other", handler_nothing, NULL,
					      i ? FTR_GROUP_REGS : FTR_GROUP_REENTRANT);
		live_hold(others[i], live_sites + 8 * i, LIVE_SITES - 8);
		ck_assert_int_eq(
			pthread_create(&threads[i], NULL, ticking_main, &ticking[i]), 0);
	}
	while (process_ticks < ticking[0].wanted) {
		ck_ok(ftr_group_attach(others[0]));
		ck_assert_int_eq(pthread_create(&extra, NULL, short_thread, NULL), 0);
		ck_ok(ftr_group_update(&others[1], 1, &others[0], 1));
		ck_ok(ftr_group_detach(others[1]));
		ck_assert_int_eq(pthread_join(extra, NULL), 0);
		tally_call(live_sites[31]);
	}
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	stop_process_timer();
	for (i = 0; i < 2; i++) {
		ck_assert(!ticking[i].lost);
		ck_assert_uint_le(ticking[i].seen, ticking[i].made);
		ck_ok(ftr_group_free(others[i]));
	}
	tally_check(group);
	if (_i & REENTRANT)
		ck_assert_uint_eq(ftr_group_missed(group), 0);
	live_drop(group);
}
END_TEST

/* --- a handler that is interrupted --------------------------------------------------- */

static __thread unsigned depth, deepest;

/** Raises a signal, whose handler makes two calls. */
static int handler_interrupted(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			       struct ftr_regs *regs)
{
	tally_handler(ip, parent_ip, group, regs);
	depth++;
	if (depth > deepest)
		deepest = depth;
	if (depth < (uintptr_t)ftr_group_data(group))
		raise(SIGUSR1);
	depth--;
	return 0;
}

static void on_user_signal(int sig)
{
	tally_call(live_sites[1]);
	tally_call(live_sites[2]);
}

static void catch_user_signal(int flags)
{
	struct sigaction action = { .sa_handler = on_user_signal,
				    .sa_flags = SA_NODEFER | flags };

	ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
}

/*
 * A handler that a signal interrupts is entered again, as deep as the handler
 * itself lets it: two calls on each level.  A group beside it, which is not
 * reentrant, sees the outermost call alone.
 */
START_TEST(test_reentrant_in_a_signal)
{
	enum { LEVELS = 8, CALLS = (1 << LEVELS) - 1 };
	const unsigned long rounds = live_rounds(100);
	struct ftr_group *reentrant, *plain;
	unsigned long i;
	void *room = altstack_start(_i);

	ck_ok(ftr_init(NULL));
	catch_user_signal(_i & ON_ALTSTACK ? SA_ONSTACK : 0);
	plain = live_group("plain", handler_nothing, NULL, 0);
	live_hold(plain, live_sites, 3);
	ck_ok(ftr_group_attach(plain));
	reentrant = live_group("reentrant", handler_interrupted, (void *)(uintptr_t)LEVELS,
			       FTR_GROUP_REENTRANT | flags_of(_i));
	live_hold(reentrant, live_sites, 3);
	ck_ok(ftr_group_attach(reentrant));
	for (i = 0; i < rounds; i++)
		tally_call(live_sites[0]);
	ck_assert_uint_eq(deepest, LEVELS);
	ck_assert_uint_eq(tally_sum.made, rounds * CALLS);
	ck_assert_uint_eq(tally_sum.seen, rounds * CALLS);
	ck_assert_uint_eq(ftr_group_missed(reentrant), 0);
	ck_assert_uint_eq(ftr_group_missed(plain), rounds * (CALLS - 1));
	live_drop(reentrant);
	live_drop(plain);
	altstack_stop(room);
}
END_TEST

/* A signal that comes where the library lets no handler run is kept until one may:
 * what its handler calls is not missed. */
static unsigned long seen_quietly;

static void raise_quietly(void *arg)
{
	raise(SIGUSR1);
	seen_quietly = tally_sum.seen;
}

START_TEST(test_signal_while_no_handler_may_run)
{
	struct ftr_group *group;

	ck_ok(ftr_init(NULL));
	catch_user_signal(0);
	group = live_group("reentrant", tally_handler, NULL, FTR_GROUP_REENTRANT);
	live_hold(group, live_sites, 3);
	ck_ok(ftr_group_attach(group));
	tally_call(live_sites[0]);
	ftr__grace_quietly(raise_quietly, NULL);
	ck_assert_uint_eq(seen_quietly, 1);
	ck_assert_uint_eq(tally_sum.made, 3);
	ck_assert_uint_eq(tally_sum.seen, 3);
	ck_assert_uint_eq(ftr_group_missed(group), 0);
	live_drop(group);
}
END_TEST

/* --- errno ---------------------------------------------------------------------- */

enum { ODD_ERRNO = 4711, CROWD = 300 };

static sem_t arrived, go, gone, leave;
static _Atomic unsigned changed;

static void call_with_errno(void *arg)
{
	errno = ODD_ERRNO;
	tally_call(arg ? *(live_fn *)arg : live_sites[0]);
	changed += errno != ODD_ERRNO;
}

static void *start_in_crowd(void *arg)
{
	sem_post(&arrived);
	while (sem_wait(&go))
		;
	call_with_errno(NULL);
	sem_post(&gone);
	while (sem_wait(&leave))
		;
	return NULL;
}

static void await_crowd(sem_t *sem)
{
	unsigned i;

	for (i = 0; i < CROWD; i++)
		while (sem_wait(sem))
			;
}

static void post_crowd(sem_t *sem)
{
	unsigned i;

	for (i = 0; i < CROWD; i++)
		sem_post(sem);
}

/*
 * Hundreds of threads make their first call at once, and with _i there is no
 * memory for all of their nodes: the calls of some are missed then, and counted.
 */
START_TEST(test_errno_at_first_calls)
{
	struct rlimit before, tight;
	pthread_t crowd[CROWD];
	struct ftr_group *group;
	pthread_attr_t attr;
	unsigned i;

	if (LIVE_SANITIZED && _i)
		return; /* its own memory would be limited as well */
	ck_ok(ftr_init(NULL));
	sem_init(&arrived, 0, 0);
	sem_init(&go, 0, 0);
	sem_init(&gone, 0, 0);
	sem_init(&leave, 0, 0);
	group = tally_attach(tally_handler, 0);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 128 * 1024);
	for (i = 0; i < CROWD; i++)
		ck_assert_int_eq(pthread_create(&crowd[i], &attr, start_in_crowd, NULL), 0);
	pthread_attr_destroy(&attr);
	await_crowd(&arrived);
	ck_assert_int_eq(getrlimit(RLIMIT_AS, &before), 0);
	tight = before;
	tight.rlim_cur = 1;
	if (_i)
		ck_assert_int_eq(setrlimit(RLIMIT_AS, &tight), 0);
	post_crowd(&go);
	await_crowd(&gone);
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &before), 0);
	post_crowd(&leave);
	for (i = 0; i < CROWD; i++)
		ck_assert_int_eq(pthread_join(crowd[i], NULL), 0);
	ck_assert_uint_eq(changed, 0);
	ck_assert_uint_eq(tally_sum.seen + live_stats().missed, CROWD);
	ck_assert_uint_gt(tally_sum.seen, 0);
	if (_i)
		ck_assert_uint_gt(live_stats().missed, 0);
	else
		ck_assert_uint_eq(live_stats().missed, 0);
	live_drop(group);
}
END_TEST

static int handler_waits(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			 struct ftr_regs *regs)
{
	tally_handler(ip, parent_ip, group, regs);
	sem_post(&arrived);
	while (sem_wait(&leave))
		;
	errno = ODD_ERRNO;
	return 0;
}

static void count_done(void *done)
{
	++*(unsigned *)done;
}

/* The last one out of a handler runs what waited for it, after its handler. */
START_TEST(test_errno_when_the_last_leaves)
{
	struct visitor visitor;
	unsigned i, done = 0;

	ck_ok(ftr_init(NULL));
	sem_init(&arrived, 0, 0);
	sem_init(&leave, 0, 0);
	visitor_start(&visitor);
	for (i = 1; i <= 20; i++) {
		struct ftr_group *group =
			live_attach("waits", handler_waits, NULL, flags_of(_i), live_sites[0]);

		visitor_send(&visitor, call_with_errno, NULL);
		while (sem_wait(&arrived))
			;
		ck_ok(ftr_group_detach_async(group, count_done, &done));
		ck_assert_uint_eq(done, i - 1);
		sem_post(&leave);
		visitor_await(&visitor);
		ck_assert_uint_eq(done, i);
		ck_ok(ftr_group_free(group));
	}
	ck_assert_uint_eq(changed, 0);
	visitor_stop(&visitor);
}
END_TEST

static struct visitor trapped;
static live_fn trapped_site;

static void visit_in_phase(enum ftr__batch_phase phase)
{
	visitor_call(&trapped, call_with_errno, &trapped_site);
}

/* By way of the trap: the batch is held in each phase while a thread calls. */
START_TEST(test_errno_in_a_batch)
{
	struct ftr_options options = FTR_OPTIONS_INIT;
	struct ftr_group *group;
	uint64_t traps;

	options.poke = FTR_POKE_INT3;
	ck_ok(ftr_init(&options));
	visitor_start(&trapped);
	group = live_group("batch", tally_handler, NULL, flags_of(_i));
	trapped_site = live_sites[62];
	live_hold(group, &trapped_site, 1);
	traps = live_stats().traps;
	ftr__batch_hold = visit_in_phase;
	ck_ok(ftr_group_attach(group));
	ck_ok(ftr_group_detach(group));
	ftr__batch_hold = NULL;
	ck_assert_uint_ge(live_stats().traps, traps + 4);
	ck_assert_uint_gt(tally_sum.seen, 0);
	ck_assert_uint_eq(changed, 0);
	ck_ok(ftr_group_free(group));
	visitor_stop(&trapped);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("signals");

	LIVE_LOOP(suite, test_calls_from_a_timer, 0, TIMER_VARIANTS, 60);
	LIVE_LOOP(suite, test_reentrant_in_a_signal, 0, 4, 60);
	LIVE_CASE(suite, test_signal_while_no_handler_may_run, 20);
	LIVE_LOOP(suite, test_errno_at_first_calls, 0, 2, 60);
	LIVE_LOOP(suite, test_errno_when_the_last_leaves, 0, 4, 60);
	LIVE_LOOP(suite, test_errno_in_a_batch, 0, 4, 60);
	return live_main(suite);
}
