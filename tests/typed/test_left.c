/* SPDX-License-Identifier: MIT */
/*
 * H7, H8 for handlers around functions (T2): one that is left by a jump does not
 * leave its thread inside for ever; one that goes on is waited for, wherever its
 * stack is.  And how many closures there are.
 */
#include "tests/live/live.h"

#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>

FTR_TRACEABLE long plain(long x);
FTR_TRACEABLE long plain(long x)
{
	LIVE_OPAQUE(x);
	return x + 1;
}

FTR_TRACEABLE long other(long x);
FTR_TRACEABLE long other(long x)
{
	LIVE_OPAQUE(x);
	return x + 2;
}

static struct ftr_signature *signature;

/** Waits last no longer than this. */
enum { SHORT_MS = 50 };

static void set_up(void)
{
	struct ftr_options options = FTR_OPTIONS_INIT;

	options.detach_timeout_ms = SHORT_MS;
	ck_ok(ftr_init(&options));
	ck_ok(ftr_signature_parse(&signature, "long (long)"));
}

static void around(live_fn fn, ftr_typed_fn handler, void *data)
{
	ck_ok(ftr_replace_typed((void *)fn, signature, handler, data));
}

/* --- jumps --------------------------------------------------------------------------- */

static __thread sigjmp_buf out;
static sem_t arrived, go_on;

static void jumping(struct ftr_call *call, void **args, void *ret, void *data)
{
	siglongjmp(out, 1);
}

/** Call plain() and be thrown out of what is around it. */
static void jump_out(void)
{
	if (!sigsetjmp(out, 1)) {
		plain(1);
		ck_abort_msg("came back");
	}
}

START_TEST(test_by_the_caller)
{
	set_up();
	around(plain, jumping, NULL);
	jump_out();
	ck_ok(ftr_restore((void *)plain));
	ck_assert_int_eq(plain(1), 2);
}
END_TEST

static void *jump_and_wait(void *arg)
{
	*(pid_t *)arg = live_tid();
	jump_out();
	sem_post(&arrived);
	while (sem_wait(&go_on))
		;
	return NULL;
}

/** It jumped, and calls nothing any more. */
START_TEST(test_by_another_thread)
{
	pthread_t thread;
	pid_t tid = 0;

	set_up();
	sem_init(&arrived, 0, 0);
	sem_init(&go_on, 0, 0);
	around(plain, jumping, NULL);
	ck_assert_int_eq(pthread_create(&thread, NULL, jump_and_wait, &tid), 0);
	sem_wait(&arrived);
	while (!live_waits_in(tid, SYS_futex)
#ifdef SYS_futex_time64
	       && !live_waits_in(tid, SYS_futex_time64)
#endif
	)
		sched_yield();
	ck_ok(ftr_restore((void *)plain));
	sem_post(&go_on);
	pthread_join(thread, NULL);
}
END_TEST

static void waiting(struct ftr_call *call, void **args, void *ret, void *data)
{
	sem_post(&arrived);
	while (sem_wait(&go_on))
		;
	ck_ok(ftr_call_original(call, args, ret));
}

static void jump_or_wait(struct ftr_call *call, void **args, void *ret, void *data)
{
	if (*(long *)args[0] == 1)
		siglongjmp(out, 1);
	waiting(call, args, ret, data);
}

static void *jump_and_call(void *arg)
{
	jump_out();
	return (void *)plain(2);
}

static void *call_other(void *arg)
{
	return (void *)other(1);
}

/** A restore waits for the call that is there, not for the one that was left. */
static void expect_a_wait(void *(*run)(void *), live_fn fn, long result)
{
	pthread_t thread;
	void *got;

	ck_assert_int_eq(pthread_create(&thread, NULL, run, NULL), 0);
	sem_wait(&arrived);
	ck_fails(ftr_restore((void *)fn), -ETIMEDOUT);
	sem_post(&go_on);
	pthread_join(thread, &got);
	ck_assert_int_eq((long)got, result);
	ck_ok(ftr_restore((void *)fn));
	ck_fails(ftr_restore((void *)fn), -ENOENT);
}

START_TEST(test_jump_then_call)
{
	set_up();
	sem_init(&arrived, 0, 0);
	sem_init(&go_on, 0, 0);
	around(plain, jump_or_wait, NULL);
	expect_a_wait(jump_and_call, plain, 3);
}
END_TEST

/** Jumps out of handlers that it calls, 100 times, and goes on itself. */
static void catching(struct ftr_call *call, void **args, void *ret, void *data)
{
	if (data) {
		siglongjmp(out, 1);
	}
	for (int i = 0; i < 100; i++)
		jump_out();
	waiting(call, args, ret, data);
}

START_TEST(test_jumps_inside)
{
	set_up();
	sem_init(&arrived, 0, 0);
	sem_init(&go_on, 0, 0);
	around(plain, catching, &out);
	around(other, catching, NULL);
	expect_a_wait(call_other, other, 3);
	ck_ok(ftr_restore((void *)plain));
}
END_TEST

/* --- other stacks -------------------------------------------------------------------- */

static ucontext_t main_context, coroutine;
static char stack[64 * 1024];

static void yielding(struct ftr_call *call, void **args, void *ret, void *data)
{
	if (*(long *)args[0] == 1)
		swapcontext(&coroutine, &main_context);
	ck_ok(ftr_call_original(call, args, ret));
	*(long *)ret *= 10;
}

static long result_of_coroutine;

static void run_coroutine(void)
{
	result_of_coroutine = plain(1);
}

static void resume(void)
{
	ck_assert_int_eq(swapcontext(&main_context, &coroutine), 0);
}

static int result_elsewhere;

static void *restore_plain(void *arg)
{
	result_elsewhere = ftr_restore((void *)plain);
	return NULL;
}

/** A handler that waits on a coroutine's stack goes on later. */
START_TEST(test_coroutine)
{
	pthread_t thread;

	set_up();
	around(plain, yielding, NULL);
	ck_assert_int_eq(getcontext(&coroutine), 0);
	coroutine.uc_stack.ss_sp = stack;
	coroutine.uc_stack.ss_size = sizeof stack;
	coroutine.uc_link = &main_context;
	makecontext(&coroutine, run_coroutine, 0);
	resume();
	/* Inside there, and here once more. */
	ck_assert_int_eq(plain(2), 30);
	ck_assert_int_eq(pthread_create(&thread, NULL, restore_plain, NULL), 0);
	pthread_join(thread, NULL);
	ck_assert_int_eq(result_elsewhere, -ETIMEDOUT);
	ck_fails(ftr_restore((void *)plain), -EDEADLK);
	resume();
	ck_assert_int_eq(result_of_coroutine, 20);
	ck_ok(ftr_restore((void *)plain));
}
END_TEST

static volatile sig_atomic_t seen_by_signal;

static void on_signal(int sig)
{
	seen_by_signal = (sig_atomic_t)plain(2);
	if (sig == SIGUSR2)
		siglongjmp(out, 1);
}

static void raising(struct ftr_call *call, void **args, void *ret, void *data)
{
	if (*(long *)args[0] != 2)
		raise(*(long *)args[0] == 1 ? SIGUSR2 : SIGUSR1);
	ck_ok(ftr_call_original(call, args, ret));
	*(long *)ret *= 10;
	if (*(long *)args[0] == 3) {
		/* Still inside, whatever ran on the signal's stack. */
		ck_fails(ftr_restore((void *)plain), -EDEADLK);
	}
}

/** One on a signal's stack, which may be a part of the thread's own. */
START_TEST(test_signal_stack)
{
	char own[64 * 1024];
	stack_t alternate = { .ss_sp = _i ? own : stack, .ss_size = sizeof own };
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };

	set_up();
	ck_assert_int_eq(sigaltstack(&alternate, NULL), 0);
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGUSR2, &action, NULL);
	around(plain, raising, NULL);
	ck_assert_int_eq(plain(3), 40);
	ck_assert_int_eq(seen_by_signal, 30);
	ck_ok(ftr_restore((void *)plain));

	/* Out of a handler by way of a signal's. */
	around(plain, raising, NULL);
	jump_out();
	ck_assert_int_eq(seen_by_signal, 30);
	ck_ok(ftr_restore((void *)plain));
	alternate.ss_flags = SS_DISABLE;
	ck_assert_int_eq(sigaltstack(&alternate, NULL), 0);
}
END_TEST

static void leaving_the_child(struct ftr_call *call, void **args, void *ret, void *data)
{
	_exit(7);
}

/** A child that runs in our memory ends in the handler: we are not inside. */
START_TEST(test_vfork)
{
	int status;

	set_up();
	around(plain, leaving_the_child, NULL);
	pid_t child = vfork();
	if (!child)
		plain(1);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(WEXITSTATUS(status), 7);
	ck_ok(ftr_restore((void *)plain));
}
END_TEST

/* --- closures -------------------------------------------------------------------------- */

/** Where the site's jump leads. */
static uintptr_t target_of(live_fn fn)
{
	uintptr_t ip = ftr_site_ip(ftr_site_find((uintptr_t)fn));
	int32_t distance;

	ck_assert_uint_eq(*(const uint8_t *)ip, 0xe9);
	memcpy(&distance, (const void *)(ip + 1), sizeof distance);
	return ip + 5 + (uintptr_t)(intptr_t)distance;
}

static void adding(struct ftr_call *call, void **args, void *ret, void *data)
{
	ck_ok(ftr_call_original(call, args, ret));
	*(long *)ret += *(long *)data;
}

/** One for a function, however many handlers come and go with data of their own. */
START_TEST(test_one_closure)
{
	uintptr_t first = 0;

	set_up();
	for (long i = 0; i < 100; i++) {
		long *data = malloc(sizeof *data);
		*data = i;
		around(plain, adding, data);
		first = first ? first : target_of(plain);
		ck_assert_uint_eq(target_of(plain), first);
		ck_assert_int_eq(plain(1), 2 + i);
		ck_ok(ftr_restore((void *)plain));
		free(data);
		/* Who comes late. */
		ck_assert_int_eq(((live_fn)first)(1), 2);
	}
}
END_TEST

static void *call_plain(void *arg)
{
	return (void *)plain(1);
}

/** Not where a thread is still inside. */
START_TEST(test_not_while_inside)
{
	pthread_t thread;
	void *result;
	long data = 100;

	set_up();
	sem_init(&arrived, 0, 0);
	sem_init(&go_on, 0, 0);
	around(plain, waiting, NULL);
	uintptr_t first = target_of(plain);
	ck_assert_int_eq(pthread_create(&thread, NULL, call_plain, NULL), 0);
	sem_wait(&arrived);
	ck_fails(ftr_restore((void *)plain), -ETIMEDOUT);
	around(plain, adding, &data);
	ck_assert_uint_ne(target_of(plain), first);
	ck_assert_int_eq(plain(1), 102);
	/* Of the same function: the former handler is waited for, too. */
	ck_fails(ftr_restore((void *)plain), -ETIMEDOUT);
	sem_post(&go_on);
	pthread_join(thread, &result);
	ck_assert_int_eq((long)result, 2);
	ck_ok(ftr_restore((void *)plain));
	ck_fails(ftr_restore((void *)plain), -ENOENT);
	around(plain, adding, &data);
	ck_assert_int_eq(plain(1), 102);
	ck_ok(ftr_shutdown());
}
END_TEST

static void shutting_down(struct ftr_call *call, void **args, void *ret, void *data)
{
	ck_fails(ftr_shutdown(), -EDEADLK);
	ck_ok(ftr_call_original(call, args, ret));
}

START_TEST(test_shutdown_inside)
{
	set_up();
	around(plain, shutting_down, NULL);
	ck_assert_int_eq(plain(1), 2);
	ck_ok(ftr_shutdown());
	ck_assert_int_eq(plain(1), 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("left");

	LIVE_CASE(suite, test_by_the_caller, 30);
	LIVE_CASE(suite, test_by_another_thread, 30);
	LIVE_CASE(suite, test_jump_then_call, 30);
	LIVE_CASE(suite, test_jumps_inside, 30);
	LIVE_CASE(suite, test_coroutine, 30);
	LIVE_LOOP(suite, test_signal_stack, 0, 2, 30);
	LIVE_CASE(suite, test_vfork, 30);
	LIVE_CASE(suite, test_one_closure, 30);
	LIVE_CASE(suite, test_not_while_inside, 30);
	LIVE_CASE(suite, test_shutdown_inside, 30);
	return live_main(suite);
}
