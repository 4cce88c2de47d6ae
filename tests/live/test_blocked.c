/* SPDX-License-Identifier: MIT */
/*
 * P6: threads and handlers that block SIGTRAP.  A breakpoint that such a thread
 * meets kills the process; so these tests fail by dying, or by finding that a
 * site was changed, or not changed, that should not, or should, have been.
 */
#include "lib/batch.h"
#include "lib/hazard.h"
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

enum { PADS = 64 };
extern const live_fn live_pads[PADS];

static __thread unsigned ran;

static int handler(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		   struct ftr_regs *regs)
{
	ran++;
	return 0;
}

static void start(const char *poke)
{
	live_poke(poke);
	ck_ok(ftr_init(NULL));
	ftr__batch_trust_stores = 0; /* int3 first, as on most makers' CPUs */
	ftr__batch_hazard_ms = 1;
}

/* --- threads that block ---------------------------------------------------------- */

static sem_t blocks, may_go;

static void block_all(void)
{
	sigset_t all;

	sigfillset(&all);
	ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, &all, NULL), 0);
}

static void sleep_blocked(void *arg)
{
	*(pid_t *)arg = live_tid();
	block_all();
	sem_post(&blocks);
	while (sem_wait(&may_go))
		;
}

static pthread_t blocker;
static pid_t blocker_tid;

static void *blocker_main(void *arg)
{
	sleep_blocked(arg);
	return NULL;
}

static void start_blocker(void)
{
	ck_assert_int_eq(sem_init(&blocks, 0, 0), 0);
	ck_assert_int_eq(sem_init(&may_go, 0, 0), 0);
	ck_assert_int_eq(pthread_create(&blocker, NULL, blocker_main, &blocker_tid), 0);
	while (sem_wait(&blocks))
		;
}

static void stop_blocker(void)
{
	sem_post(&may_go);
	ck_assert_int_eq(pthread_join(blocker, NULL), 0);
}

static void check_refused(int result, live_fn fn, int who)
{
	char address[32], name[32];

	ck_assert_msg(result == -EAGAIN, "%d: %s", result, ftr_last_error());
	snprintf(address, sizeof(address), "%#lx", (unsigned long)live_ip(fn));
	snprintf(name, sizeof(name), " %d,", who);
	ck_assert_msg(strstr(ftr_last_error(), address) != NULL, "%s", ftr_last_error());
	ck_assert_msg(strstr(ftr_last_error(), name) != NULL, "%d: %s", who, ftr_last_error());
}

static void check_traced(live_fn fn, unsigned times)
{
	ran = 0;
	ck_assert_int_eq(fn(1), 2);
	ck_assert_uint_eq(ran, times);
}

/** Bytes 63 and 64 of a cache line: no store serves. */
static live_fn astride(void)
{
	return live_sites[63];
}

static void refuse_and_attach(live_fn fn)
{
	struct ftr_group *group = live_group("a", handler, NULL, 0);
	uint64_t batches = live_stats().batches;

	live_hold(group, &fn, 1);
	start_blocker();
	check_refused(ftr_group_attach(group), fn, blocker_tid);
	ck_assert(live_idle(fn));
	ck_assert_int_eq(ftr_group_attached(group), 0);
	ck_assert_uint_eq(live_stats().batches, batches);
	check_traced(fn, 0);
	stop_blocker();
	ck_ok(ftr_group_attach(group));
	check_traced(fn, 1);
	start_blocker();
	check_refused(ftr_group_detach(group), fn, blocker_tid);
	ck_assert_int_eq(ftr_group_attached(group), 1);
	check_traced(fn, 1);
	stop_blocker();
	live_drop(group);
	ck_assert(live_idle(fn));
}

START_TEST(test_site_that_needs_a_breakpoint)
{
	start("auto");
	refuse_and_attach(astride());
}
END_TEST

START_TEST(test_forced_breakpoint)
{
	start("int3");
	refuse_and_attach(live_sites[0]);
}
END_TEST

/** The calling thread counts too. */
START_TEST(test_caller_that_blocks)
{
	struct ftr_group *group;
	live_fn fn = live_sites[0];
	sigset_t trap;

	start("int3");
	group = live_group("a", handler, NULL, 0);
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
		start("auto");
		ftr__hazard_ignored = ignore;
		visitor_start(&visitor);
		visitor_call(&visitor, block_and_call, NULL);
		ftr__batch_hold = visit_blocked;
		live_attach("a", handler, NULL, 0, live_sites[0]);
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
	blocker_tid = live_tid();
	block_all();
	sem_post(&blocks);
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

	start("int3");
	group = live_group("a", handler, NULL, 0);
	live_hold(group, &fn, 1);
	ck_assert_int_eq(sem_init(&blocks, 0, 0), 0);
	ck_assert_int_eq(pthread_create(&blocker, NULL, sleep_in, (void *)&sleeps[_i]), 0);
	while (sem_wait(&blocks))
		;
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
	blocker_tid = live_tid();
	sem_post(&blocks);
	for (;;)
		(*(void (*const *)(void))arg)();
	return NULL;
}

START_TEST(test_sleepers_that_block_others)
{
	struct ftr_group *group;

	start("int3");
	ck_assert_int_eq(sem_init(&blocks, 0, 0), 0);
	ck_assert_int_eq(pthread_create(&blocker, NULL, sleep_open, (void *)&harmless[_i]), 0);
	while (sem_wait(&blocks))
		;
	await_sleep(blocker_tid);
	group = live_attach("a", handler, NULL, 0, live_sites[0]);
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
	sem_post(&blocks);
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

	start("int3");
	ftr__batch_hazard_ms = 20000;
	ck_assert_int_eq(sem_init(&blocks, 0, 0), 0);
	ck_assert_int_eq(pthread_create(&blocker, NULL, block_for_some_looks, NULL), 0);
	while (sem_wait(&blocks))
		;
	group = live_attach("a", handler, NULL, 0, live_sites[0]);
	ck_assert_uint_ge(ftr__hazard_looks, 4);
	check_traced(live_sites[0], 1);
	live_drop(group);
}
END_TEST

/* --- the cost ----------------------------------------------------------------------- */

START_TEST(test_no_look_without_a_breakpoint)
{
	struct ftr_group *group;

	start("auto");
	ftr__batch_trust_stores = 1;
	group = live_attach("a", handler, NULL, 0, live_sites[0]);
	live_drop(group);
	ck_assert_uint_eq(ftr__hazard_looks, 0);
	group = live_attach("a", handler, NULL, 0, astride());
	ck_assert_uint_eq(ftr__hazard_looks, 1);
	live_drop(group);
	ck_assert_uint_eq(ftr__hazard_looks, 2);
}
END_TEST

/* --- handlers with a full mask ------------------------------------------------------ */

static volatile sig_atomic_t signals_met, signals_wrong;

static void on_signal(int sig)
{
	unsigned before = ran;

	if (live_sites[0](5) != 6 || ran - before > 1)
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

	start("auto");
	own_signal(SIGUSR2, true);
	group = live_group("a", handler, NULL, 0);
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

	start("auto");
	own_signal(SIGALRM, true);
	group = live_group("a", handler, NULL, 0);
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
	start("int3");
	group = live_attach("a", handler, NULL, 0, live_sites[0]);
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
	ran = 0;
	if (fns[worker->turns % 63](7) != 8 || ran > 1)
		worker->bad++;
	worker->counts[ran & 1]++;
}

static void toggle_under_blocked(const live_fn *fns, bool trust)
{
	unsigned long rounds = live_rounds(100), i;
	struct live_worker worker;
	struct ftr_group *group;

	start("auto");
	ftr__batch_trust_stores = trust;
	live_worker_start(&worker, run_blocked, (void *)fns);
	group = live_group("a", handler, NULL, 0);
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

/* --- FTR_UPDATE_PARTIAL -------------------------------------------------------------- */

static struct ftr_group *group_a, *group_b;
static uintptr_t left[LIVE_SITES];

static struct ftr_update_options partial(struct ftr_group *const *attach,
					 struct ftr_group *const *detach)
{
	struct ftr_update_options options = FTR_UPDATE_OPTIONS_INIT;

	options.attach = attach;
	options.n_attach = attach != NULL;
	options.detach = detach;
	options.n_detach = detach != NULL;
	options.flags = FTR_UPDATE_PARTIAL;
	options.left_out = left;
	options.left_out_room = LIVE_SITES;
	memset(left, 0, sizeof(left));
	return options;
}

static bool needs_breakpoint(live_fn fn)
{
	return live_ip(fn) % 64 == 63;
}

/** Exactly those that need a breakpoint are listed, in order. */
static void check_left(const struct ftr_update_options *options)
{
	size_t n = 0, i, j;

	for (i = 0; i < LIVE_SITES; i++) {
		if (!needs_breakpoint(live_sites[i]))
			continue;
		for (j = 0; j < options->left_out_count; j++)
			n += left[j] == live_ip(live_sites[i]);
	}
	ck_assert_uint_eq(n, 2); /* offset 63 of a line, and the last byte of a page */
	ck_assert_uint_eq(options->left_out_count, n);
	ck_assert_uint_lt(left[0], left[1]);
	ck_assert_uint_eq(left[2], 0);
}

/** How often each site's call is seen: where a breakpoint is needed, elsewhere. */
static void check_all_traced(unsigned needing, unsigned others)
{
	for (size_t i = 0; i < LIVE_SITES; i++)
		check_traced(live_sites[i], needs_breakpoint(live_sites[i]) ? needing : others);
}

static void start_partial(void)
{
	start("auto");
	group_a = live_group("a", handler, NULL, 0);
	group_b = live_group("b", handler, NULL, 0);
	live_hold(group_a, live_sites, LIVE_SITES);
	live_hold(group_b, live_sites, LIVE_SITES);
	start_blocker();
}

START_TEST(test_left_out_exactly)
{
	struct ftr_update_options options;

	start_partial();
	options = partial(&group_a, NULL);
	ck_ok(ftr_update(&options));
	check_left(&options);
	ck_assert_int_eq(ftr_group_attached(group_a), 1);
	check_all_traced(0, 1);
	ck_assert(live_idle(astride()));
	ck_assert_uint_eq(live_stats().attached, LIVE_SITES - 2);
	/* All or nothing, of what is left. */
	ck_fails(ftr_group_attach(group_a), -EAGAIN);
	options = partial(&group_a, NULL);
	ck_ok(ftr_update(&options));
	check_left(&options);
	check_all_traced(0, 1);
	stop_blocker();
	options = partial(&group_a, NULL);
	ck_ok(ftr_update(&options));
	ck_assert_uint_eq(options.left_out_count, 0);
	check_all_traced(1, 1);
	ck_fails(ftr_update(&options), -EBUSY);
	ck_ok(ftr_group_detach(group_a));
	check_all_traced(0, 0);
	ck_ok(ftr_group_free(group_a));
}
END_TEST

/** A full detach of a group that was attached with sites left out, in hazard:
 *  those are off already. */
START_TEST(test_detach_of_what_is_held)
{
	struct ftr_update_options options;

	start_partial();
	options = partial(&group_a, NULL);
	ck_ok(ftr_update(&options));
	ck_ok(ftr_group_detach(group_a));
	check_all_traced(0, 0);
	/* The next time the whole filter counts again. */
	stop_blocker();
	ck_ok(ftr_group_attach(group_a));
	check_all_traced(1, 1);
	live_drop(group_a);
}
END_TEST

START_TEST(test_detach_that_stays_incomplete)
{
	struct ftr_update_options options;

	start_partial();
	stop_blocker();
	ck_ok(ftr_group_attach(group_a));
	start_blocker();
	ck_fails(ftr_group_detach(group_a), -EAGAIN);
	options = partial(NULL, &group_a);
	ck_ok(ftr_update(&options));
	check_left(&options);
	check_all_traced(1, 0);
	ck_assert_int_eq(ftr_group_attached(group_a), 1);
	ck_fails(ftr_group_free(group_a), -EBUSY);
	options = partial(NULL, &group_a);
	ck_ok(ftr_update(&options));
	check_left(&options);
	check_all_traced(1, 0);
	stop_blocker();
	ck_ok(ftr_group_detach(group_a));
	ck_assert_int_eq(ftr_group_attached(group_a), 0);
	check_all_traced(0, 0);
	ck_ok(ftr_group_free(group_a));
}
END_TEST

/*
 * So many slots between that of one group and the next one's that calls to them
 * differ in two bytes, which lie astride a cache line in some site.
 */
static void take_slots(void)
{
	enum { SLOTS = 32 };

	for (int i = 0; i < SLOTS; i++)
		live_drop(live_attach("between", handler, NULL, 0, live_sites[0]));
}

/** A site that is left out is so for both groups of an exchange. */
START_TEST(test_exchange_that_stays_incomplete)
{
	struct ftr_update_options options;
	struct ftr_group *at;

	start_partial();
	stop_blocker();
	ck_ok(ftr_group_attach(group_a));
	take_slots();
	start_blocker();
	options = partial(&group_b, &group_a);
	ck_ok(ftr_update(&options));
	ck_assert_uint_ge(options.left_out_count, 1);
	check_all_traced(1, 1);
	ck_assert_int_eq(ftr_site_groups(ftr_site_find(left[0]), &at, 1), 1);
	ck_assert_ptr_eq(at, group_a);
	ck_assert_int_eq(ftr_site_groups(ftr_site_find(live_ip(live_sites[0])), &at, 1), 1);
	ck_assert_ptr_eq(at, group_b);
	stop_blocker();
	options = partial(&group_b, &group_a);
	ck_ok(ftr_update(&options));
	ck_assert_uint_eq(options.left_out_count, 0);
	ck_assert_int_eq(ftr_group_attached(group_a), 0);
	check_all_traced(1, 1);
	live_drop(group_b);
	ck_ok(ftr_group_free(group_a));
}
END_TEST

/** Changes of the filter, and of the threads, leave what is left out alone. */
START_TEST(test_changes_of_an_incomplete_group)
{
	struct ftr_update_options options;
	const live_fn some[] = { live_sites[4], live_sites[5], live_sites[6], astride(),
				 live_sites[64] };
	uintptr_t ip = live_ip(live_sites[5]), needing = live_ip(astride());
	pid_t self = live_tid();

	start_partial();
	live_hold(group_a, some, 5);
	options = partial(&group_a, NULL);
	ck_ok(ftr_update(&options));
	ck_assert_int_eq(ftr_group_filter_ips(group_a, &ip, 1, FTR_FILTER_REMOVE), 1);
	check_traced(live_sites[5], 0);
	check_traced(live_sites[6], 1);
	ck_ok(ftr_group_limit_threads(group_a, &self, 1));
	check_traced(live_sites[6], 1);
	check_traced(astride(), 0);
	ck_assert_int_eq(ftr_group_filter_ips(group_a, &needing, 1, FTR_FILTER_REMOVE), 1);
	stop_blocker();
	ck_ok(ftr_group_attach(group_a)); /* the other one */
	check_traced(astride(), 0);
	check_traced(live_sites[64], 1);
	ck_fails(ftr_group_attach(group_a), -EBUSY);
	live_drop(group_a);
}
END_TEST

START_TEST(test_list_is_too_short)
{
	struct ftr_update_options options;

	start_partial();
	options = partial(&group_a, NULL);
	options.left_out_room = 1;
	ck_ok(ftr_update(&options));
	ck_assert_uint_eq(options.left_out_count, 2);
	ck_assert_uint_ne(left[0], 0);
	ck_assert_uint_eq(left[1], 0);
	stop_blocker();
	live_drop(group_a);
}
END_TEST

START_TEST(test_wrong_options)
{
	struct ftr_update_options options;

	start_partial();
	stop_blocker();
	ck_fails(ftr_update(NULL), -EINVAL);
	options = partial(NULL, NULL);
	ck_fails(ftr_update(&options), -EINVAL);
	options = partial(&group_a, NULL);
	options.size--;
	ck_fails(ftr_update(&options), -EINVAL);
	options = partial(&group_a, NULL);
	options.flags = 2;
	ck_fails(ftr_update(&options), -EINVAL);
	options = partial(&group_a, NULL);
	options.left_out = NULL;
	ck_fails(ftr_update(&options), -EINVAL);
	options.left_out_room = 0;
	ck_ok(ftr_update(&options));
	ck_assert_uint_eq(options.left_out_count, 0);
	options.flags = 0;
	options.attach = NULL;
	ck_fails(ftr_update(&options), -EINVAL);
	live_drop(group_a);
}
END_TEST

/** Pads: what lies astride stays a pad, byte for byte. */
START_TEST(test_pad_left_out)
{
	static const unsigned char pad[5] = { 0x90, 0x90, 0x90, 0x90, 0x90 };
	struct ftr_update_options options;

	start("auto");
	group_a = live_group("a", handler, NULL, 0);
	live_hold(group_a, live_pads, PADS);
	start_blocker();
	ck_fails(ftr_group_attach(group_a), -EAGAIN);
	for (int i = 0; i < PADS; i++)
		ck_assert(!memcmp((const void *)live_pads[i], pad, sizeof(pad)));
	options = partial(&group_a, NULL);
	ck_ok(ftr_update(&options));
	ck_assert_uint_eq(options.left_out_count, 1);
	ck_assert_uint_eq(left[0], live_ip(live_pads[63]));
	ck_assert(!memcmp((const void *)live_pads[63], pad, sizeof(pad)));
	for (int i = 0; i < PADS; i++)
		check_traced(live_pads[i], i < 63);
	/* Taken off again while nothing can be done there. */
	ck_ok(ftr_group_detach(group_a));
	stop_blocker();
	ck_ok(ftr_group_attach(group_a));
	check_traced(live_pads[63], 1);
	live_drop(group_a);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("blocked");
	TCase *loops = tcase_create("loops");

	LIVE_CASE(suite, test_site_that_needs_a_breakpoint, 30);
	LIVE_CASE(suite, test_forced_breakpoint, 30);
	LIVE_CASE(suite, test_caller_that_blocks, 30);
	LIVE_CASE(suite, test_the_hazard_is_one, 30);
	tcase_set_timeout(loops, 60);
	tcase_add_loop_test(loops, test_mask_hidden_by_a_system_call, 0, SLEEPS);
	tcase_add_loop_test(loops, test_sleepers_that_block_others, 0, HARMLESS);
	tcase_add_loop_test(loops, test_blocked_thread_runs_sites, 0, 2);
	tcase_add_loop_test(loops, test_blocked_thread_runs_pads, 0, 2);
	suite_add_tcase(suite, loops);
	LIVE_CASE(suite, test_batch_waits_for_a_moment, 60);
	LIVE_CASE(suite, test_no_look_without_a_breakpoint, 30);
	LIVE_CASE(suite, test_handler_with_a_full_mask, 30);
	LIVE_CASE(suite, test_full_mask_handler_in_each_phase, 60);
	LIVE_CASE(suite, test_predecessor_with_a_full_mask, 30);
	LIVE_CASE(suite, test_left_out_exactly, 30);
	LIVE_CASE(suite, test_detach_of_what_is_held, 30);
	LIVE_CASE(suite, test_detach_that_stays_incomplete, 30);
	LIVE_CASE(suite, test_exchange_that_stays_incomplete, 30);
	LIVE_CASE(suite, test_changes_of_an_incomplete_group, 30);
	LIVE_CASE(suite, test_list_is_too_short, 30);
	LIVE_CASE(suite, test_wrong_options, 30);
	LIVE_CASE(suite, test_pad_left_out, 30);
	return live_main(suite);
}
