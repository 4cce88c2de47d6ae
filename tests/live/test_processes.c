/* SPDX-License-Identifier: MIT */
/*
 * P11, P1: processes and threads that begin and end while a batch or a detach is
 * under way, met on purpose: each is held until the other has come to it.
 */
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "lib/batch.h"
#include "tests/live/visitor.h"

FTR_TRACEABLE long traced(long x);
FTR_TRACEABLE long traced(long x)
{
	LIVE_OPAQUE(x);
	return x + 1;
}

static sem_t about_to_end;

FTR_TRACEABLE long traced_leave(long x);
FTR_TRACEABLE long traced_leave(long x)
{
	LIVE_OPAQUE(x);
	sem_post(&about_to_end);
	pthread_exit((void *)x);
}

FTR_TRACEABLE long traced_wait(long x);
FTR_TRACEABLE long traced_wait(long x)
{
	LIVE_OPAQUE(x);
	sem_post(&about_to_end);
	for (;;)
		pause();
	return x;
}

/* The child of vfork runs in this memory until it is another program. */
FTR_TRACEABLE long traced_spawn(long x);
FTR_TRACEABLE long traced_spawn(long x)
{
	pid_t child = vfork();
	int status;

	if (!child) {
		execlp("true", "true", (char *)NULL);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -1;
	return status ? -2 : x + 1;
}

static _Atomic unsigned long calls;

static int count_call(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		      struct ftr_regs *regs)
{
	atomic_fetch_add(&calls, 1);
	return 0;
}

static struct ftr_group *group_on(const char *pattern, ftr_entry_fn entry)
{
	struct ftr_group *group = live_group(pattern, entry, NULL, 0);

	ck_assert_int_ge(ftr_group_filter(group, pattern, 0), 1);
	return group;
}

static unsigned long calls_of(long (*fn)(long))
{
	unsigned long before = atomic_load(&calls);

	ck_assert_int_eq(fn(1), 2);
	return atomic_load(&calls) - before;
}

static void start_with_breakpoints(unsigned detach_timeout_ms)
{
	struct ftr_options options = FTR_OPTIONS_INIT;

	options.poke = FTR_POKE_INT3;
	options.detach_timeout_ms = detach_timeout_ms;
	ck_ok(ftr_init(&options));
}

/* --- a batch that is held -------------------------------------------------------------- */

enum { PHASES = 3, ATTACHING = 0, DETACHING = PHASES, VARIANTS = 2 * PHASES };

static struct {
	enum ftr__batch_phase phase;
	void (*act)(void);
	unsigned met;
} held;

static void hold(enum ftr__batch_phase phase)
{
	if (phase == held.phase && !held.met++)
		held.act();
}

/* Let act() happen in one phase of the group's attach, or of its detach. */
static void act_in_batch(struct ftr_group *group, int variant, void (*act)(void))
{
	/* The pads are normal before: then an attach is one batch. */
	ck_ok(ftr_group_attach(group));
	if (variant < DETACHING)
		ck_ok(ftr_group_detach(group));
	held.phase = (enum ftr__batch_phase)(variant % PHASES);
	held.act = act;
	held.met = 0;
	ftr__batch_hold = hold;
	if (variant < DETACHING)
		ck_ok(ftr_group_attach(group));
	else
		ck_ok(ftr_group_detach(group));
	ftr__batch_hold = NULL;
	ck_assert_uint_ge(held.met, 1);
}

/* Whether a call in this phase is one that the handler sees (P1). */
static bool seen_in(int variant)
{
	bool committed = variant % PHASES != FTR__PHASE_BREAKPOINTS;

	return committed == (variant < DETACHING);
}

/* --- fork --------------------------------------------------------------------------------- */

static struct ftr_group *group;
static int variant;
static struct visitor visitor;
static sem_t forking;
static int status_of_child;
static bool in_child;

static void before_fork(void)
{
	sem_post(&forking);
}

/* All that a process may want of the library, whatever the parent was at. */
static void live_on(int generations)
{
	struct ftr_group *own;

	ck_assert_uint_ne(*(const unsigned char *)traced, 0xcc);
	if (ftr_group_attached(group))
		ck_ok(ftr_group_detach(group));
	ck_assert_uint_eq(calls_of(traced), 0);
	ck_ok(ftr_group_attach(group));
	ck_assert_uint_eq(calls_of(traced), 1);
	own = group_on("traced", count_call);
	ck_ok(ftr_group_attach(own));
	ck_assert_uint_eq(calls_of(traced), 2);
	live_drop(own);
	if (generations) {
		pid_t child = fork();
		int status;

		ck_assert_int_ge(child, 0);
		if (!child) {
			live_on(generations - 1);
			_exit(0);
		}
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert_int_eq(status, 0);
	}
	ck_ok(ftr_shutdown());
	ck_assert_uint_eq(calls_of(traced), 0);
}

static void fork_here(void *arg)
{
	pid_t child = fork();

	if (!child) {
		in_child = true;
		ftr__batch_hold = NULL;
		live_on(2);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status_of_child, 0) != child)
		status_of_child = -1;
}

/* The visitor comes as far as the library lets it. */
static void send_forker(void)
{
	visitor_send(&visitor, fork_here, NULL);
	while (sem_wait(&forking))
		;
}

static void expect_attached(bool attached)
{
	ck_assert_int_eq(ftr_group_attached(group), attached);
	ck_assert_uint_eq(calls_of(traced), attached);
	ck_ok(ftr_shutdown());
	ck_ok(ftr_group_free(group));
}

/* Its prepare handler runs before the library's: later ones run first. */
START_TEST(test_fork_by_another_thread_in_a_batch)
{
	start_with_breakpoints(0);
	sem_init(&forking, 0, 0);
	ck_assert_int_eq(pthread_atfork(before_fork, NULL, NULL), 0);
	visitor_start(&visitor);
	group = group_on("traced", count_call);
	act_in_batch(group, _i, send_forker);
	visitor_await(&visitor);
	ck_assert_int_eq(status_of_child, 0);
	visitor_stop(&visitor);
	expect_attached(_i < DETACHING);
}
END_TEST

/* A handler that stays until it may go. */
static sem_t entered, may_leave;

static int stay(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *own, struct ftr_regs *regs)
{
	atomic_fetch_add(&calls, 1);
	if (ftr_group_data(own) || in_child)
		return 0;
	sem_post(&entered);
	while (sem_wait(&may_leave))
		;
	return 0;
}

static void enter_traced(void *arg)
{
	traced(1);
}

static int detached;

static void detach_group(void *arg)
{
	detached = ftr_group_detach(group);
}

/* The handler that the parent waits for runs in no thread of the child. */
START_TEST(test_fork_while_another_thread_waits_to_detach)
{
	struct visitor inside, detaching;

	start_with_breakpoints(600000);
	sem_init(&entered, 0, 0);
	sem_init(&may_leave, 0, 0);
	group = group_on("traced", stay);
	ck_ok(ftr_group_attach(group));
	visitor_start(&inside);
	visitor_start(&detaching);
	visitor_send(&inside, enter_traced, NULL);
	while (sem_wait(&entered))
		;
	visitor_send(&detaching, detach_group, NULL);
	while (ftr_group_attached(group))
		sched_yield();
	fork_here(NULL);
	ck_assert_int_eq(status_of_child, 0);
	sem_post(&may_leave);
	visitor_await(&inside);
	visitor_await(&detaching);
	ck_assert_int_eq(detached, 0);
	visitor_stop(&inside);
	visitor_stop(&detaching);
	ck_ok(ftr_group_free(group));
}
END_TEST

/* --- other programs ---------------------------------------------------------------------------- */

static long result_of_spawn;

static void call_spawn(void *arg)
{
	result_of_spawn = traced_spawn(1);
}

static void send_spawner(void)
{
	visitor_call(&visitor, call_spawn, NULL);
}

START_TEST(test_vfork_in_a_batch)
{
	start_with_breakpoints(0);
	visitor_start(&visitor);
	group = group_on("traced_spawn", count_call);
	act_in_batch(group, _i, send_spawner);
	ck_assert_int_eq(result_of_spawn, 2);
	ck_assert_uint_eq(atomic_load(&calls), seen_in(_i));
	visitor_stop(&visitor);
	ck_ok(ftr_shutdown());
}
END_TEST

static int exec_true(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *own,
		     struct ftr_regs *regs)
{
	execlp("true", "true", (char *)NULL);
	return 0;
}

static void become_true(void)
{
	execlp("true", "true", (char *)NULL);
}

static void exec_in_handler(void)
{
	group = group_on("traced", exec_true);
	ck_ok(ftr_group_attach(group));
	traced(1);
}

static void exec_in_batch(void)
{
	start_with_breakpoints(0);
	group = group_on("traced", count_call);
	act_in_batch(group, variant, become_true);
}

static sem_t in_batch;

static void stop_there(void)
{
	sem_post(&in_batch);
	for (;;)
		pause();
}

static void batch_and_stop(void *arg)
{
	act_in_batch(group, variant, stop_there);
}

/* Breakpoints in the text, threads in the library: exec takes all of it away. */
static void exec_beside_batch(void)
{
	start_with_breakpoints(0);
	sem_init(&in_batch, 0, 0);
	group = group_on("traced", count_call);
	visitor_start(&visitor);
	visitor_send(&visitor, batch_and_stop, NULL);
	while (sem_wait(&in_batch))
		;
	become_true();
}

static void (*const exec_ways[])(void) = { exec_in_handler, exec_in_batch, exec_beside_batch };
enum { EXEC_WAYS = sizeof(exec_ways) / sizeof(exec_ways[0]) };

START_TEST(test_exec)
{
	for (variant = 0; variant < VARIANTS; variant++) {
		pid_t child = fork();
		int status;

		ck_assert_int_ge(child, 0);
		if (!child) {
			exec_ways[_i]();
			_exit(126);
		}
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert_int_eq(status, 0);
	}
}
END_TEST

/* --- threads ------------------------------------------------------------------------------------- */

enum { SHORT_THREADS = 20, WAYS = 3 };

static void *short_thread(void *arg)
{
	long way = (long)arg % WAYS;

	if (traced(way) != way + 1)
		return (void *)-1;
	if (way == 1)
		traced_leave(42);
	if (way == 2)
		traced_wait(0);
	return (void *)42;
}

static pthread_t short_threads[SHORT_THREADS * WAYS];

/* To exit and to be cancelled is to unwind the stack, which takes the loader's
 * lock: these threads end when the batch has ended. */
static void start_and_end_threads(void)
{
	for (long i = 0; i < SHORT_THREADS * WAYS; i++) {
		void *result = NULL;

		ck_assert_int_eq(pthread_create(&short_threads[i], NULL, short_thread, (void *)i),
				 0);
		if (i % WAYS == 0) {
			ck_assert_int_eq(pthread_join(short_threads[i], &result), 0);
			ck_assert_ptr_eq(result, (void *)42);
			continue;
		}
		while (sem_wait(&about_to_end))
			;
		if (i % WAYS == 2)
			pthread_cancel(short_threads[i]);
	}
}

static void join_the_rest(void)
{
	for (long i = 0; i < SHORT_THREADS * WAYS; i++) {
		void *result, *expected = i % WAYS == 2 ? PTHREAD_CANCELED : (void *)42;

		if (i % WAYS == 0)
			continue;
		ck_assert_int_eq(pthread_join(short_threads[i], &result), 0);
		ck_assert_ptr_eq(result, expected);
	}
}

/*
 * Threads whose first and last calls all meet breakpoints, and that return,
 * exit or are cancelled inside a traced function.
 */
START_TEST(test_threads_that_start_and_end_in_a_batch)
{
	unsigned long made = SHORT_THREADS * (WAYS + 2);

	start_with_breakpoints(0);
	sem_init(&about_to_end, 0, 0);
	group = group_on("traced", count_call);
	ck_assert_int_ge(ftr_group_filter(group, "traced_*", 0), 3);
	/* The first of all loads the unwinder. */
	ck_assert_int_eq(pthread_create(&short_threads[0], NULL, short_thread, (void *)1), 0);
	ck_assert_int_eq(pthread_join(short_threads[0], NULL), 0);
	while (sem_wait(&about_to_end))
		;
	act_in_batch(group, _i, start_and_end_threads);
	join_the_rest();
	ck_assert_uint_eq(atomic_load(&calls), seen_in(_i) ? made : 0);
	ck_assert_uint_eq(ftr_group_missed(group), 0);
	/* And the dead hold up no detach. */
	ck_ok(ftr_shutdown());
	ck_ok(ftr_group_free(group));
}
END_TEST

/* --- signals in the thread that writes ------------------------------------------------------------- */

static volatile sig_atomic_t wrong_results;
static _Atomic unsigned long made_in_handler;

static void call_from_signal(int sig)
{
	atomic_fetch_add(&made_in_handler, 1);
	if (traced(sig) != sig + 1)
		wrong_results = 1;
}

static void catch_signal(int sig)
{
	struct sigaction action = { .sa_handler = call_from_signal, .sa_flags = SA_RESTART };

	ck_assert_int_eq(sigaction(sig, &action, NULL), 0);
}

static void raise_alarm(void)
{
	raise(SIGALRM);
}

/* It holds the library's locks, and meets its own breakpoints. */
START_TEST(test_signal_in_the_thread_that_writes)
{
	start_with_breakpoints(0);
	catch_signal(SIGALRM);
	group = group_on("traced", count_call);
	act_in_batch(group, _i, raise_alarm);
	ck_assert_uint_eq(made_in_handler, 1);
	ck_assert_int_eq(wrong_results, 0);
	ck_assert_uint_eq(atomic_load(&calls), seen_in(_i));
	ck_ok(ftr_shutdown());
}
END_TEST

static void call_traced(struct live_worker *worker)
{
	worker->bad += traced(7) != 8;
}

static _Atomic unsigned long calls_of_third;

static int count_third(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *own,
		       struct ftr_regs *regs)
{
	atomic_fetch_add(&calls_of_third, 1);
	return 0;
}

/* As many signals as the kernel can send, to whichever thread: the group that
 * stays sees every call, or counts it as missed, while the site goes from one
 * set to another and back. */
START_TEST(test_storm_of_timers_in_batches)
{
	struct itimerval storm = { { 0, 50 }, { 0, 50 } }, never = { { 0, 0 }, { 0, 0 } };
	unsigned long rounds = live_rounds(500), made;
	struct live_worker worker;
	struct ftr_group *third;

	start_with_breakpoints(0);
	catch_signal(SIGALRM);
	catch_signal(SIGPROF);
	group = group_on("traced", count_call);
	third = group_on("traced*", count_third);
	ck_ok(ftr_group_attach(group));
	live_worker_start(&worker, call_traced, NULL);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &storm, NULL), 0);
	ck_assert_int_eq(setitimer(ITIMER_PROF, &storm, NULL), 0);
	for (unsigned long i = 0; i < rounds || !made_in_handler; i++) {
		ck_ok(ftr_group_attach(third));
		ck_ok(ftr_group_detach(third));
	}
	ck_assert_int_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
	ck_assert_int_eq(setitimer(ITIMER_PROF, &never, NULL), 0);
	live_worker_stop(&worker);
	made = atomic_load(&worker.turns) + atomic_load(&made_in_handler);
	ck_assert_uint_eq(worker.bad, 0);
	ck_assert_int_eq(wrong_results, 0);
	ck_assert_uint_eq(atomic_load(&calls) + ftr_group_missed(group), made);
	ck_assert_uint_gt(atomic_load(&calls_of_third), 0);
	ck_ok(ftr_shutdown());
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("processes");
	TCase *loops = tcase_create("phases");

	tcase_set_timeout(loops, 30);
	tcase_add_loop_test(loops, test_fork_by_another_thread_in_a_batch, 0, VARIANTS);
	tcase_add_loop_test(loops, test_vfork_in_a_batch, 0, VARIANTS);
	tcase_add_loop_test(loops, test_exec, 0, EXEC_WAYS);
	tcase_add_loop_test(loops, test_threads_that_start_and_end_in_a_batch, 0, VARIANTS);
	tcase_add_loop_test(loops, test_signal_in_the_thread_that_writes, 0, VARIANTS);
	suite_add_tcase(suite, loops);
	LIVE_CASE(suite, test_fork_while_another_thread_waits_to_detach, 30);
	LIVE_CASE(suite, test_storm_of_timers_in_batches, 60);
	return live_main(suite);
}
