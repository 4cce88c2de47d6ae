/* SPDX-License-Identifier: MIT */
/*
 * H7, R4: handlers of return hooks that are left by siglongjmp(3).  Their stack may
 * go, then: nothing of them is looked at again; and a handler that they interrupted,
 * and to which the jump leads, goes on as it was.
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

HOOKED long jumped_inner(long n)
{
	LIVE_OPAQUE(n);
	return n + 3;
}

static void *data_before, *data_after;
static sigjmp_buf inner;
static int inner_left;

static void leave_inner(struct hook *hook, struct ftr_regs *regs)
{
	inner_left++;
	siglongjmp(inner, 1);
}

static void call_inner(struct hook *hook, struct ftr_regs *regs)
{
	data_before = ftr_entry_data(regs);
	if (!sigsetjmp(inner, 1))
		jumped_inner(1);
	data_after = ftr_entry_data(regs);
}

START_TEST(test_jump_to_the_handler_that_was_interrupted)
{
	struct hook outer = { .at_exit = call_inner }, in = { .at_exit = leave_inner };
	int before;

	hook_attach(&outer, "jumped_plain", _i % 2 ? FTR_GROUP_REGS : 0);
	hook_attach(&in, "jumped_inner",
		    FTR_GROUP_REENTRANT | (_i / 2 ? FTR_GROUP_UNWOUND_EXITS : 0));
	for (long n = 0; n < 3; n++) {
		before = inner_left;
		ck_assert_int_eq(jumped_plain(n), n + 2);
		ck_assert_int_eq(inner_left, before + 1);
		ck_assert_ptr_nonnull(data_before);
		ck_assert_ptr_eq(data_after, data_before);
	}
	hook_drop(&in);
	hook_drop(&outer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("exits_jumped");

	LIVE_LOOP(suite, test_handlers_stack_is_gone, 0, 4 * N_FLAGS, 30);
	LIVE_LOOP(suite, test_jump_to_the_handler_that_was_interrupted, 0, 4, 30);
	return live_main(suite);
}
