/* SPDX-License-Identifier: MIT */
/*
 * P6: threads and handlers that block SIGTRAP.  A breakpoint that such a thread
 * meets kills the process; so these tests fail by dying, or by finding that a
 * site was changed, or not changed, that should not, or should, have been.
 */
#include "lib/hazard.h"
#include "tests/live/blocked.h"
#include "tests/live/visitor.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/wait.h>

/* --- threads that block ---------------------------------------------------------- */

static void check_refused(int result, live_fn fn, int who)
{
	char address[32], name[32];

	ck_assert_msg(result == -EAGAIN, "%d: %s", result, ftr_last_error());
	snprintf(address, sizeof(address), "%#lx", (unsigned long)live_ip(fn));
	snprintf(name, sizeof(name), " %d,", who);
	ck_assert_msg(strstr(ftr_last_error(), address) != NULL, "%s", ftr_last_error());
	ck_assert_msg(strstr(ftr_last_error(), name) != NULL, "%d: %s", who, ftr_last_error());
}

static void refuse_and_attach(live_fn fn)
{
	struct ftr_group *group = live_group("a", blocked_handler, NULL, 0);
	uint64_t batches = live_stats().batches;

	live_hold(group, &fn, 1);
	blocker_start();
	check_refused(ftr_group_attach(group), fn, blocker_tid);
	ck_assert(live_idle(fn));
	ck_assert_int_eq(ftr_group_attached(group), 0);
	ck_assert_uint_eq(live_stats().batches, batches);
	check_traced(fn, 0);
	blocker_stop();
	ck_ok(ftr_group_attach(group));
	check_traced(fn, 1);
	blocker_start();
	check_refused(ftr_group_detach(group), fn, blocker_tid);
	ck_assert_int_eq(ftr_group_attached(group), 1);
	check_traced(fn, 1);
	blocker_stop();
	live_drop(group);
	ck_assert(live_idle(fn));
}

START_TEST(test_site_that_needs_a_breakpoint)
{
	blocked_begin("auto");
	refuse_and_attach(astride());
}
END_TEST

START_TEST(test_forced_breakpoint)
{
	blocked_begin("int3");
	refuse_and_attach(live_sites[0]);
}
END_TEST

/** The calling thread counts too. */
START_TEST(test_caller_that_blocks)
{
	struct ftr_group *group;
	live_fn fn = live_sites[0];
	sigset_t trap;

	blocked_begin("int3");
	group = live_group("a", blocked_handler, NULL, 0);
	live_hold(group, &fn, 1);
	sigemptyset(&trap);
	sigaddset(&trap, SIGTRAP);
	pthread_sigmask(SIG_BLOCK, &trap, NULL);
	check_refused(ftr_group_attach(group), fn, live_tid());
	ck_assert(live_idle(fn));
	pthread_sigmask(SIG_UNBLOCK, &trap, NULL);
	ck_ok(ftr_group_attach(group));
	live_drop(group);
}
END_TEST

/** What the hazard is: with the look switched off the process dies. */
static struct visitor visitor;

static void block_and_call(void *arg)
{
	block_all();
	live_sites[0](1);
}

static void visit_blocked(enum ftr__batch_phase phase)
{
	visitor_call(&visitor, block_and_call, NULL);
}

static int attach_under_a_visit(bool ignore)
{
	int status;
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (!child) {
		blocked_begin("auto");
		ftr__hazard_ignored = ignore;
		visitor_start(&visitor);
		visitor_call(&visitor, block_and_call, NULL);
		ftr__batch_hold = visit_blocked;
		live_attach("a", blocked_handler, NULL, 0, live_sites[0]);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

START_TEST(test_the_hazard_is_one)
{
	ck_assert_int_eq(attach_under_a_visit(true), SIGTRAP);
	ck_assert_int_eq(attach_under_a_visit(false), 0);
}
END_TEST

/* --- ways to block ---------------------------------------------------------------- */

static void in_sigwait(void)
{
	sigset_t all;
	int sig;

	sigfillset(&all);
	sigwait(&all, &sig);
}

static void in_sigsuspend(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigsuspend(&none);
}

static void in_ppoll(void)
{
	sigset_t none;

	sigemptyset(&none);
	ppoll(NULL, 0, NULL, &none);
}

static void in_pselect(void)
{
	sigset_t none;

	sigemptyset(&none);
	pselect(0, NULL, NULL, NULL, NULL, &none);
}

static void in_epoll_pwait(void)
{
	struct epoll_event event;
	sigset_t none;

	sigemptyset(&none);
	epoll_pwait(epoll_create1(0), &event, 1, -1, &none);
}

/* These put another mask in the kernel's file while they sleep. */
static void (*const sleeps[])(void) = { in_sigwait, in_sigsuspend, in_ppoll, in_pselect,
					in_epoll_pwait };
enum { SLEEPS = sizeof(sleeps) / sizeof(sleeps[0]) };

static void *sleep_in(void *arg)
{
	block_all();
	blocker_ready();
	for (;;)
		(*(void (*const *)(void))arg)();
	return NULL;
}

/** Until the thread sleeps: its state in /proc is S. */
static void await_sleep(pid_t tid)
{
	char path[64], state = 0;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
	while (state != 'S') {
		FILE *file = fopen(path, "r");

		ck_assert_ptr_nonnull(file);
		ck_assert_int_eq(fscanf(file, "%*d (%*[^)]) %c", &state), 1);
		fclose(file);
		sched_yield();
	}
}

START_TEST(test_mask_hidden_by_a_system_call)
{
	struct ftr_group *group;
	live_fn fn = live_sites[0];

	blocked_begin("int3");
	group = live_group("a", blocked_handler, NULL, 0);
	live_hold(group, &fn, 1);
	blocker_run(sleep_in, (void *)&sleeps[_i]);
	await_sleep(blocker_tid);
	check_refused(ftr_group_attach(group), fn, blocker_tid);
	ck_assert(live_idle(fn));
}
END_TEST

/* Sleepers that block nothing that matters. */
static void in_pause(void)
{
	pause();
}

static void in_poll(void)
{
	poll(NULL, 0, -1);
}

static void in_select(void)
{
	select(0, NULL, NULL, NULL, NULL);
}

static void in_sigwait_for_one(void)
{
	sigset_t one;
	int sig;

	sigemptyset(&one);
	sigaddset(&one, SIGUSR1);
	sigwait(&one, &sig);
}

static void (*const harmless[])(void) = { in_pause, in_poll, in_select, in_sigwait_for_one };
enum { HARMLESS = sizeof(harmless) / sizeof(harmless[0]) };

static void *sleep_open(void *arg)
{
	sigset_t others;

	sigfillset(&others);
	sigdelset(&others, SIGTRAP);
	pthread_sigmask(SIG_SETMASK, &others, NULL);
	blocker_ready();
	for (;;)
		(*(void (*const *)(void))arg)();
	return NULL;
}

START_TEST(test_sleepers_that_block_others)
{
	struct ftr_group *group;

	blocked_begin("int3");
	blocker_run(sleep_open, (void *)&harmless[_i]);
	await_sleep(blocker_tid);
	group = live_attach("a", blocked_handler, NULL, 0, live_sites[0]);
	check_traced(live_sites[0], 1);
	ck_assert_uint_gt(live_stats().pokes_int3, 0);
	live_drop(group);
}
END_TEST

/* --- a thread that blocks for a moment ---------------------------------------------- */

/** It goes on blocking until the library has looked several times. */
static void *block_for_some_looks(void *arg)
{
	sigset_t none;

	block_all();
	blocker_ready();
	while (__atomic_load_n(&ftr__hazard_looks, __ATOMIC_SEQ_CST) < 4)
		sched_yield();
	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
	pause();
	return NULL;
}

START_TEST(test_batch_waits_for_a_moment)
{
	struct ftr_group *group;

	blocked_begin("int3");
	ftr__batch_hazard_ms = 20000;
	blocker_run(block_for_some_looks, NULL);
	group = live_attach("a", blocked_handler, NULL, 0, live_sites[0]);
	ck_assert_uint_ge(ftr__hazard_looks, 4);
	check_traced(live_sites[0], 1);
	live_drop(group);
}
END_TEST

/* --- the cost ----------------------------------------------------------------------- */

START_TEST(test_no_look_without_a_breakpoint)
{
	struct ftr_group *group;

	blocked_begin("auto");
	ftr__batch_trust_stores = 1;
	group = live_attach("a", blocked_handler, NULL, 0, live_sites[0]);
	live_drop(group);
	ck_assert_uint_eq(ftr__hazard_looks, 0);
	group = live_attach("a", blocked_handler, NULL, 0, astride());
	ck_assert_uint_eq(ftr__hazard_looks, 1);
	live_drop(group);
	ck_assert_uint_eq(ftr__hazard_looks, 2);
}
END_TEST

/* --- handlers with a full mask ------------------------------------------------------ */

static volatile sig_atomic_t signals_met, signals_wrong;

static void on_signal(int sig)
{
	unsigned before = blocked_ran;

	if (live_sites[0](5) != 6 || blocked_ran - before > 1)
		signals_wrong++;
	signals_met++;
}

static void own_signal(int sig, bool full)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	if (full)
		sigfillset(&action.sa_mask);
	ck_assert_int_eq(sigaction(sig, &action, NULL), 0);
}

START_TEST(test_handler_with_a_full_mask)
{
	struct ftr_group *group;
	live_fn fn = astride();

	blocked_begin("auto");
	own_signal(SIGUSR2, true);
	group = live_group("a", blocked_handler, NULL, 0);
	live_hold(group, &fn, 1);
	check_refused(ftr_group_attach(group), fn, SIGUSR2);
	ck_assert(live_idle(fn));
	own_signal(SIGUSR2, false);
	ck_ok(ftr_group_attach(group));
	check_traced(fn, 1);
	live_drop(group);
}
END_TEST

/** In every phase of the batch; and whenever the timer likes. */
static void raise_in_phase(enum ftr__batch_phase phase)
{
	raise(SIGALRM);
}

START_TEST(test_full_mask_handler_in_each_phase)
{
	const struct itimerval often = { { 0, 1000 }, { 0, 1000 } };
	unsigned long rounds = live_rounds(500), i;
	struct ftr_group *group;

	blocked_begin("auto");
	own_signal(SIGALRM, true);
	group = live_group("a", blocked_handler, NULL, 0);
	live_hold(group, live_sites, 63);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
	for (i = 0; i < rounds; i++) {
		int result;

		ftr__batch_hold = raise_in_phase;
		ck_ok(ftr_group_attach(group));
		result = ftr_group_detach(group);
		ck_assert_msg(result == 0, "%d: %s", result, ftr_last_error());
		ftr__batch_hold = NULL;
	}
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
	ck_assert_int_ge(signals_met, (int)(2 * rounds));
	ck_assert_int_eq(signals_wrong, 0);
	ck_assert_uint_eq(live_stats().pokes_int3 + live_stats().traps, 0);
	ck_ok(ftr_group_free(group));
}
END_TEST

/** SIGTRAP's own handlers are no hazard: the library's is the one that runs. */
static void on_trap(int sig)
{
}

START_TEST(test_predecessor_with_a_full_mask)
{
	struct sigaction action = { .sa_handler = on_trap };
	struct ftr_group *group;

	sigfillset(&action.sa_mask);
	ck_assert_int_eq(sigaction(SIGTRAP, &action, NULL), 0);
	blocked_begin("int3");
	group = live_attach("a", blocked_handler, NULL, 0, live_sites[0]);
	check_traced(live_sites[0], 1);
	live_drop(group);
}
END_TEST

/* --- blocked threads that run what is changed --------------------------------------- */

static void run_blocked(struct live_worker *worker)
{
	const live_fn *fns = worker->arg;

	if (!worker->counts[2]) {
		block_all();
		worker->counts[2] = 1;
	}
	blocked_ran = 0;
	if (fns[worker->turns % 63](7) != 8 || blocked_ran > 1)
		worker->bad++;
	worker->counts[blocked_ran & 1]++;
}

static void toggle_under_blocked(const live_fn *fns, bool trust)
{
	unsigned long rounds = live_rounds(100), i;
	struct live_worker worker;
	struct ftr_group *group;

	blocked_begin("auto");
	ftr__batch_trust_stores = trust;
	live_worker_start(&worker, run_blocked, (void *)fns);
	group = live_group("a", blocked_handler, NULL, 0);
	live_hold(group, fns, 63);
	for (i = 0; i < rounds; i++) {
		int result;

		while ((result = ftr_group_attach(group)) == -EAGAIN)
			; /* a pad may seem occupied */
		ck_assert_msg(result == 0, "%d: %s", result, ftr_last_error());
		live_worker_await(&worker, i % 16 ? 1 : 200);
		ck_ok(ftr_group_detach(group));
		live_worker_await(&worker, i % 16 ? 1 : 200);
	}
	live_worker_stop(&worker);
	ck_assert_uint_eq(worker.bad, 0);
	ck_assert_uint_gt(worker.counts[0], 0);
	ck_assert_uint_gt(worker.counts[1], 0);
	ck_assert_uint_eq(live_stats().pokes_int3, 0);
	ck_ok(ftr_group_free(group));
}

START_TEST(test_blocked_thread_runs_sites)
{
	toggle_under_blocked(live_sites, _i);
}
END_TEST

/** Pads of five nops, which are made one without a breakpoint. */
START_TEST(test_blocked_thread_runs_pads)
{
	toggle_under_blocked(live_pads, _i);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("blocked");

	LIVE_CASE(suite, test_site_that_needs_a_breakpoint, 30);
	LIVE_CASE(suite, test_forced_breakpoint, 30);
	LIVE_CASE(suite, test_caller_that_blocks, 30);
	LIVE_CASE(suite, test_the_hazard_is_one, 30);
	LIVE_LOOP(suite, test_mask_hidden_by_a_system_call, 0, SLEEPS, 60);
	LIVE_LOOP(suite, test_sleepers_that_block_others, 0, HARMLESS, 60);
	LIVE_LOOP(suite, test_blocked_thread_runs_sites, 0, 2, 60);
	LIVE_LOOP(suite, test_blocked_thread_runs_pads, 0, 2, 60);
	LIVE_CASE(suite, test_batch_waits_for_a_moment, 60);
	LIVE_CASE(suite, test_no_look_without_a_breakpoint, 30);
	LIVE_CASE(suite, test_handler_with_a_full_mask, 30);
	LIVE_CASE(suite, test_full_mask_handler_in_each_phase, 60);
	LIVE_CASE(suite, test_predecessor_with_a_full_mask, 30);
	return live_main(suite);
}
