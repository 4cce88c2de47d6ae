/* SPDX-License-Identifier: MIT */
/*
 * H9: traced functions are reached while a thread starts and while it ends: by
 * its very first call, by a signal before that, by destructors of all kinds;
 * and what the library keeps of a thread is used again when it has ended.
 */
#include "tests/live/tally.h"

#include "lib/thread.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>

typedef void *(*start_fn)(void *);

/** A fixture as a thread's own start routine. */
static start_fn as_start(live_fn fn)
{
	return (start_fn)(void (*)(void))fn;
}

static void run_thread(start_fn start, void *arg)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, start, arg), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

/* --- thread start --------------------------------------------------------------- */

/* The routine that pthread_create(3) is given is a traced function itself. */
START_TEST(test_first_thing_a_thread_does)
{
	const unsigned long threads = live_rounds(500);
	struct ftr_group *group;
	unsigned long i;

	ck_ok(ftr_init(NULL));
	group = tally_attach(tally_handler, _i ? FTR_GROUP_REGS : 0);
	for (i = 0; i < threads; i++) {
		pthread_t thread;
		void *result;

		ck_assert_int_eq(pthread_create(&thread, NULL, as_start(live_sites[i % LIVE_SITES]),
						(void *)i),
				 0);
		ck_assert_int_eq(pthread_join(thread, &result), 0);
		ck_assert_uint_eq((unsigned long)result, i + 1);
	}
	ck_assert_uint_eq(tally_sum.seen, threads);
	ck_assert_uint_eq(ftr_group_missed(group), 0);
	live_drop(group);
}
END_TEST

static __thread bool started;
static _Atomic unsigned signals_before_start, signals;

static void on_signal(int sig)
{
	signals_before_start += !started;
	signals++;
	tally_call(live_sites[3]);
	tally_call(live_sites[40]);
}

static void catch_signal(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
}

static void *start_and_call(void *arg)
{
	started = true;
	tally_call(live_sites[4]);
	return NULL;
}

/*
 * The signal is pending for the process, blocked in all of its threads but the
 * new one: so it is taken where pthread_create(3) lets the new thread have
 * signals, before its start routine.
 */
START_TEST(test_signal_before_a_thread_runs)
{
	const unsigned threads = (unsigned)live_rounds(500);
	struct ftr_group *group;
	sigset_t blocked, none;
	pthread_attr_t attr;
	pthread_t thread;
	unsigned i;

	ck_ok(ftr_init(NULL));
	group = tally_attach(tally_handler, _i ? FTR_GROUP_REGS : 0);
	catch_signal();
	sigemptyset(&none);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &blocked, NULL), 0);
	pthread_attr_init(&attr);
	ck_assert_int_eq(pthread_attr_setsigmask_np(&attr, &none), 0);
	for (i = 0; i < threads; i++) {
		kill(getpid(), SIGUSR1);
		ck_assert_int_eq(pthread_create(&thread, &attr, start_and_call, NULL), 0);
		ck_assert_int_eq(pthread_join(thread, NULL), 0);
	}
	pthread_attr_destroy(&attr);
	ck_assert_uint_eq(signals, threads);
	ck_assert_uint_eq(signals_before_start, threads);
	ck_assert_uint_eq(tally_sum.seen, 3 * threads);
	ck_assert_uint_eq(ftr_group_missed(group), 0);
	live_drop(group);
}
END_TEST

/* --- thread exit ---------------------------------------------------------------- */

/* The C++ runtime registers destructors of thread_local objects by it. */
int __cxa_thread_atexit_impl(void (*destroy)(void *), void *object, void *dso);
extern void *__dso_handle;

enum { CALLS_BEFORE = 1, RAISES = 2, VARIANTS = 4 };

static pthread_key_t key;
static int variant;
static _Atomic unsigned destructions;

static void destroyed(void)
{
	destructions++;
	tally_call(live_sites[10]);
	if (variant & RAISES)
		raise(SIGUSR1);
	tally_call(live_sites[11]);
}

static void destroy_key(void *rounds)
{
	destroyed();
	if ((uintptr_t)rounds > 1)
		pthread_setspecific(key, (void *)((uintptr_t)rounds - 1));
}

static void destroy_object(void *rounds)
{
	destroyed();
	/* A destructor that uses another thread_local object for the first time. */
	if ((uintptr_t)rounds > 1)
		__cxa_thread_atexit_impl(destroy_object, (void *)((uintptr_t)rounds - 1),
					 &__dso_handle);
}

static void *start_and_leave_behind(void *key_rounds)
{
	if (variant & CALLS_BEFORE)
		tally_call(live_sites[5]);
	pthread_setspecific(key, key_rounds);
	__cxa_thread_atexit_impl(destroy_object, (void *)3, &__dso_handle);
	return NULL;
}

/* _i: bits of VARIANTS: the thread met the library before; signals. */
START_TEST(test_destructors_of_a_thread)
{
	const unsigned long rounds = (unsigned long)sysconf(_SC_THREAD_DESTRUCTOR_ITERATIONS);
	const unsigned long threads = live_rounds(200);
	struct ftr_group *group;
	unsigned long i, calls;

	ck_ok(ftr_init(NULL));
	ck_assert_int_eq(pthread_key_create(&key, destroy_key), 0);
	catch_signal();
	variant = _i;
	group = tally_attach(tally_handler, 0);
	for (i = 0; i < threads; i++)
		run_thread(start_and_leave_behind, (void *)rounds);
	ck_assert_uint_eq(destructions, threads * (rounds + 3));
	calls = 2 + (variant & RAISES ? 2 : 0);
	ck_assert_uint_eq(tally_sum.seen,
			  destructions * calls + (variant & CALLS_BEFORE ? threads : 0));
	ck_assert_uint_eq(ftr_group_missed(group), 0);
	live_drop(group);
}
END_TEST

/* The process ends: destructors of the main thread, functions of atexit(3). */
static void leave_as_counted(void)
{
	tally_call(live_sites[10]);
	_exit(destructions == 3 && tally_sum.seen == 3 * 2 + 1 ? 0 : 1);
}

static int await_exit(pid_t pid)
{
	int status = -1;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

START_TEST(test_destructors_of_the_process)
{
	pid_t pid = fork();

	if (!pid) {
		atexit(leave_as_counted);
		tally_attach(tally_handler, _i ? FTR_GROUP_REGS : 0);
		__cxa_thread_atexit_impl(destroy_object, (void *)3, &__dso_handle);
		exit(2);
	}
	ck_assert_int_eq(await_exit(pid), 0);
}
END_TEST

/* --- threads that are ended inside a handler --------------------------------------- */

static sem_t inside;
static pid_t ended_tid;

static int handler_exits(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			 struct ftr_regs *regs)
{
	tally_handler(ip, parent_ip, group, regs);
	if (ip != live_ip(live_sites[0]))
		return 0;
	sem_post(&inside);
	pthread_exit((void *)42);
}

static int handler_awaits_cancel(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
				 struct ftr_regs *regs)
{
	volatile bool forever = true;

	tally_handler(ip, parent_ip, group, regs);
	if (ip != live_ip(live_sites[0]))
		return 0;
	sem_post(&inside);
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	while (forever)
		;
	return 0;
}

static void clean_up(void *arg)
{
	destroyed();
}

/*
 * Far down, so that what is called at the end of the thread lies above: so near
 * to the frame that was left a call might be taken for one of the handler's.
 */
static __attribute__((noinline)) void enter_far_down(void)
{
	volatile char room[16 * 1024];

	room[0] = 0;
	tally_call(live_sites[0]);
	abort();
	room[0]++;
}

/** Ended in the handler of the first site; `arg`: with something left to do then. */
static void *start_and_enter(void *arg)
{
	ended_tid = live_tid();
	if (!arg)
		enter_far_down();
	pthread_setspecific(key, (void *)1);
	pthread_cleanup_push(clean_up, NULL);
	enter_far_down();
	pthread_cleanup_pop(0);
	return NULL;
}

/** End one thread, check what join says of it, and wait until the kernel forgot it. */
static void end_thread(void *arg, bool cancel, void *expected)
{
	pthread_t thread;
	void *result;

	ck_assert_int_eq(pthread_create(&thread, NULL, start_and_enter, arg), 0);
	while (sem_wait(&inside))
		;
	if (cancel)
		pthread_cancel(thread);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	ck_assert_ptr_eq(result, expected);
	while (syscall(SYS_tgkill, getpid(), ended_tid, 0) == 0)
		sched_yield();
}

/* Hundreds of them: a detach that gives the dead any time has none left at once. */
static void end_threads(ftr_entry_fn entry, bool cancel, void *expected)
{
	const unsigned long threads = live_rounds(300);
	struct ftr_options options = FTR_OPTIONS_INIT;
	struct ftr_group *group;
	unsigned long i;

	options.detach_timeout_ms = 1;
	ck_ok(ftr_init(&options));
	ck_assert_int_eq(pthread_key_create(&key, destroy_key), 0);
	sem_init(&inside, 0, 0);
	group = tally_attach(entry, 0);
	for (i = 0; i < threads; i++)
		end_thread((void *)(i % 2), cancel, expected);
	ck_ok(ftr_group_detach(group));
	ck_ok(ftr_group_attach(group));
	/* Cleanup function and destructor are outside of handlers. */
	ck_assert_uint_eq(destructions, threads / 2 * 2);
	ck_assert_uint_eq(tally_sum.seen, threads + destructions * 2);
	ck_assert_uint_eq(ftr_group_missed(group), 0);
	live_drop(group);
}

START_TEST(test_exit_in_a_handler)
{
	end_threads(handler_exits, false, (void *)42);
}
END_TEST

START_TEST(test_cancel_in_a_handler)
{
	end_threads(handler_awaits_cancel, true, PTHREAD_CANCELED);
}
END_TEST

static sem_t cancelled;
static struct ftr_group *its_group;

/* It starts the library, attaches and detaches, with a cancellation pending. */
static void *use_library_cancelled(void *through)
{
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;
	uintptr_t ip = live_ip(live_sites[0]);

	options.entry = tally_handler;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	sem_post(&inside);
	while (sem_wait(&cancelled))
		;
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	if (ftr_group_new(&its_group, &options) ||
	    ftr_group_filter_ips(its_group, &ip, 1, 0) != 1 || ftr_group_attach(its_group))
		return NULL;
	tally_call(live_sites[0]);
	if (ftr_group_detach(its_group))
		return NULL;
	*(bool *)through = true;
	return through;
}

/* No call of the library is a cancellation point: it has locks in hand. */
START_TEST(test_cancel_is_kept_for_later)
{
	bool through = false;
	pthread_t thread;
	void *result;

	sem_init(&inside, 0, 0);
	sem_init(&cancelled, 0, 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, use_library_cancelled, &through), 0);
	while (sem_wait(&inside))
		;
	pthread_cancel(thread);
	sem_post(&cancelled);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	ck_assert_ptr_eq(result, &through);
	ck_assert(through);
	ck_assert_uint_eq(tally_sum.seen, 1);
	ck_ok(ftr_group_free(its_group));
}
END_TEST

/* --- many threads ---------------------------------------------------------------- */

/** Address space of the process, KiB. */
static unsigned long memory(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	unsigned long size = 0;
	char line[256];

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "VmSize: %lu", &size) == 1)
			break;
	fclose(file);
	return size;
}

static bool count_owned(struct ftr__thread *thread, void *arg)
{
	++*(unsigned long *)arg;
	return false;
}

/** Nodes that have an owner, living or not. */
static unsigned long nodes(void)
{
	unsigned long n = 0;

	ftr__thread_for_each(count_owned, &n);
	return n;
}

/* Ten thousand nodes would be four megabytes. */
START_TEST(test_ten_thousand_in_sequence)
{
	const unsigned long threads = live_rounds(10000);
	unsigned long i, warm = 0, before = 0;
	struct ftr_group *group;

	ck_ok(ftr_init(NULL));
	group = tally_attach(tally_handler, 0);
	for (i = 0; i < threads; i++) {
		if (i == threads / 4) {
			warm = memory();
			before = nodes();
		}
		run_thread(start_and_call, NULL);
	}
	ck_assert_uint_eq(tally_sum.seen, threads);
	ck_assert_uint_eq(ftr_group_missed(group), 0);
	if (!LIVE_SANITIZED)
		ck_assert_uint_le(memory(), warm + 64);
	ck_assert_uint_le(nodes(), before + 400);
	ck_assert_uint_lt(nodes(), 800);
	live_drop(group);
}
END_TEST

enum { CROWD = 200, CROWDS = 10 };

static sem_t leave;

/** All of the crowd stand in it at the same time. */
static int handler_meets(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			 struct ftr_regs *regs)
{
	tally_handler(ip, parent_ip, group, regs);
	if (ip != live_ip(live_sites[0]))
		return 0;
	sem_post(&inside);
	while (sem_wait(&leave))
		;
	return 0;
}

static void *start_in_crowd(void *arg)
{
	tally_call(live_sites[0]);
	tally_call(live_sites[1]);
	return NULL;
}

static void crowd_start(pthread_t *crowd)
{
	pthread_attr_t attr;
	unsigned i;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 128 * 1024);
	for (i = 0; i < CROWD; i++)
		ck_assert_int_eq(pthread_create(&crowd[i], &attr, start_in_crowd, NULL), 0);
	pthread_attr_destroy(&attr);
	for (i = 0; i < CROWD; i++)
		while (sem_wait(&inside))
			;
}

static void crowd_finish(pthread_t *crowd)
{
	unsigned i;

	for (i = 0; i < CROWD; i++)
		sem_post(&leave);
	for (i = 0; i < CROWD; i++)
		ck_assert_int_eq(pthread_join(crowd[i], NULL), 0);
}

/* Each time the former crowd's nodes are used again. */
START_TEST(test_two_hundred_at_once)
{
	unsigned long first = 0;
	pthread_t crowd[CROWD];
	struct ftr_group *group;
	unsigned i;

	ck_ok(ftr_init(NULL));
	sem_init(&inside, 0, 0);
	sem_init(&leave, 0, 0);
	group = tally_attach(handler_meets, 0);
	for (i = 0; i < CROWDS; i++) {
		crowd_start(crowd);
		ck_assert_uint_ge(nodes(), CROWD);
		crowd_finish(crowd);
		if (!i)
			first = nodes();
	}
	ck_assert_uint_eq(tally_sum.seen, 2 * CROWD * CROWDS);
	ck_assert_uint_eq(ftr_group_missed(group), 0);
	ck_assert_uint_le(nodes(), first + 2 * CROWD);
	live_drop(group);
}
END_TEST

/* --- thread ids that are used again ------------------------------------------------- */

static void *note_id(void *tid)
{
	*(pid_t *)tid = live_tid();
	tally_call(live_sites[1]);
	return NULL;
}

static void *exit_inside(void *tid)
{
	*(pid_t *)tid = live_tid();
	tally_call(live_sites[0]);
	return NULL;
}

/* A thread ended inside a handler; a later one of its id is no more "inside". */
START_TEST(test_id_of_one_that_ended_inside)
{
	struct ftr_group *group;
	pid_t ended, got = 0;
	unsigned long seen;
	unsigned i;

	ck_ok(ftr_init(NULL));
	sem_init(&inside, 0, 0);
	group = tally_attach(handler_exits, 0);
	for (i = 0; i < 20; i++) {
		run_thread(exit_inside, &ended);
		seen = tally_sum.seen;
		if (!tally_thread_as(ended, note_id, &got)) {
			printf("SKIP: thread ids can't be chosen here (ns_last_pid)\n");
			break;
		}
		ck_assert_uint_gt(tally_sum.seen, seen);
		ck_ok(ftr_group_detach(group));
		ck_ok(ftr_group_attach(group));
	}
	ck_assert_uint_eq(ftr_group_missed(group), 0);
	tally_check(group);
	live_drop(group);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("threads");

	LIVE_LOOP(suite, test_first_thing_a_thread_does, 0, 2, 60);
	LIVE_LOOP(suite, test_signal_before_a_thread_runs, 0, 2, 60);
	LIVE_LOOP(suite, test_destructors_of_a_thread, 0, VARIANTS, 60);
	LIVE_LOOP(suite, test_destructors_of_the_process, 0, 2, 60);
	/* A sanitizer takes the frames that were left for some still in use. */
	if (!LIVE_SANITIZED) {
		LIVE_CASE(suite, test_exit_in_a_handler, 60);
		LIVE_CASE(suite, test_cancel_in_a_handler, 60);
		LIVE_CASE(suite, test_id_of_one_that_ended_inside, 60);
	}
	LIVE_CASE(suite, test_cancel_is_kept_for_later, 10);
	LIVE_CASE(suite, test_ten_thousand_in_sequence, 60);
	LIVE_CASE(suite, test_two_hundred_at_once, 60);
	return live_main(suite);
}
