/* SPDX-License-Identifier: MIT */
/*
 * H7, R4: handlers of return hooks that are left by siglongjmp(3) out of a signal
 * handler, and then their stack goes: nothing of them is looked at again.
 */
#include "tests/live/hooks.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <ucontext.h>

#define HOOKED FTR_TRACEABLE static

enum { STACK = 256 * 1024 };

HOOKED long jumped_left(long n)
{
	LIVE_OPAQUE(n);
	return n + 1;
}

HOOKED long jumped_plain(long n)
{
	LIVE_OPAQUE(n);
	return n + 2;
}

static sigjmp_buf landing;

static void on_jump(int sig)
{
	siglongjmp(landing, sig);
}

static void leave(struct hook *hook, struct ftr_regs *regs)
{
	raise(SIGUSR1);
}

static void routine(void)
{
	jumped_left(1);
}

/** An exit handler that runs there is left for good. */
static __attribute__((noinline)) void jump_from_stack(void *stack)
{
	static ucontext_t here, there;

	if (sigsetjmp(landing, 1))
		return;
	getcontext(&there);
	there.uc_stack.ss_sp = stack;
	there.uc_stack.ss_size = STACK;
	there.uc_link = &here;
	makecontext(&there, routine, 0);
	swapcontext(&here, &there);
	ck_abort_msg("it came back");
}

/* What looks for a handler's data: a lone plain group's, several groups', REGS. */
static const uint32_t flags[] = { 0, FTR_GROUP_NO_SIMD, FTR_GROUP_REGS };
enum { N_FLAGS = sizeof(flags) / sizeof(flags[0]) };

START_TEST(test_handlers_stack_is_gone)
{
	struct hook left = { .at_exit = leave }, plain = { 0 }, other = { 0 };
	struct sigaction jump = { .sa_handler = on_jump };
	void *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);

	ck_assert_ptr_ne(stack, MAP_FAILED);
	ck_assert_int_eq(sigaction(SIGUSR1, &jump, NULL), 0);
	hook_attach(&left, "jumped_left", FTR_GROUP_REGS);
	hook_attach(&plain, "jumped_plain", flags[_i % N_FLAGS]);
	if (_i / N_FLAGS % 2)
		hook_attach(&other, "jumped_plain", 0);
	jump_from_stack(stack);
	ck_assert_int_eq(munmap(stack, STACK), 0);
	/* It is the library that notices first, or a call. */
	if (_i / N_FLAGS / 2)
		ck_ok(ftr_group_detach(left.group));
	for (long n = 0; n < 4; n++)
		ck_assert_int_eq(jumped_plain(n), n + 2);
	ck_assert_uint_eq(plain.entries, 4);
	ck_assert_uint_eq(plain.exits, 4);
	if (_i / N_FLAGS % 2)
		hook_drop(&other);
	hook_drop(&plain);
	if (_i / N_FLAGS / 2)
		ck_ok(ftr_group_free(left.group));
	else
		hook_drop(&left);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("exits_jumped");

	LIVE_LOOP(suite, test_handlers_stack_is_gone, 0, 4 * N_FLAGS, 30);
	return live_main(suite);
}
