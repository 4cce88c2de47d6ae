/* SPDX-License-Identifier: MIT */
/*
 * R2, R4: a call that is under way keeps its record, though much looks as if it
 * were over: its slot holds the cell of what it jumped to; another thread returns
 * through it while its own looks for calls that are over; the kernel does not let
 * stacks be read.
 */
#include "tests/live/hooks.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>

#define HOOKED FTR_TRACEABLE static

enum { STACK = 512 * 1024, DEEP = 1000 };

long hook_jumps(long n);
long hook_jumps_twice(long n);
long hook_jumped_to(long n) __attribute__((visibility("hidden")));

/* More calls than a chunk has records, so that those that are over are looked for. */
HOOKED long chains_deep(long n)
{
	long below = n ? chains_deep(n - 1) : -1;

	LIVE_OPAQUE(below);
	return below + 1;
}

FTR_TRACEABLE long hook_jumped_to(long n)
{
	long result = chains_deep(n);

	LIVE_OPAQUE(result);
	return result;
}

static struct hook hook, other;

/* --- tail calls ---------------------------------------------------------------- */

static void jump_and_go_deep(void)
{
	ck_assert_int_eq(hook_jumps_twice(DEEP), DEEP);
	ck_assert_int_eq(hook_jumps_twice(DEEP), DEEP);
}

static ucontext_t outside, inside;

static void in_context(void (*fn)(void))
{
	void *stack = malloc(STACK);

	getcontext(&inside);
	inside.uc_stack.ss_sp = stack;
	inside.uc_stack.ss_size = STACK;
	inside.uc_link = &outside;
	makecontext(&inside, fn, 0);
	swapcontext(&outside, &inside);
	free(stack);
}

/* Three records have one slot, which holds the cell's address of the last. */
static void all_return(void (*run)(void (*fn)(void)), int told)
{
	hook_make(&hook, told ? FTR_GROUP_UNWOUND_EXITS : 0, sizeof(uintptr_t));
	ck_assert_int_eq(ftr_group_filter(hook.group, "hook_jump*", 0), 3);
	ck_assert_int_eq(ftr_group_filter(hook.group, "chains_deep", 0), 1);
	ck_ok(ftr_group_attach(hook.group));
	run(jump_and_go_deep);
	ck_assert_uint_eq(hook.entries, 2 * (DEEP + 1 + 3));
	ck_assert_uint_eq(hook.exits, hook.entries);
	ck_assert_uint_eq(hook.unwound, 0);
	hook_drop(&hook);
}

START_TEST(test_tail_calls_in_a_context)
{
	all_return(in_context, _i);
}
END_TEST

static void here(void (*fn)(void))
{
	fn();
}

START_TEST(test_tail_calls_go_deep)
{
	all_return(here, _i);
}
END_TEST

/* What jumped is told of unwinding, what it jumped to is not: the first alone is
 * looked at when more is called. */
START_TEST(test_tail_call_to_another_group)
{
	hook_make(&other, 0, 0);
	ck_assert_int_eq(ftr_group_filter(other.group, "hook_jumped_to", 0), 1);
	ck_ok(ftr_group_attach(other.group));
	hook_make(&hook, FTR_GROUP_UNWOUND_EXITS, sizeof(uintptr_t));
	ck_assert_int_eq(ftr_group_filter(hook.group, "hook_jumps*", 0), 2);
	ck_assert_int_eq(ftr_group_filter(hook.group, "chains_deep", 0), 1);
	ck_ok(ftr_group_attach(hook.group));
	ck_assert_int_eq(hook_jumps_twice(1), 1);
	ck_assert_uint_eq(hook.unwound, 0);
	ck_assert_uint_eq(hook.exits, 4);
	ck_assert_uint_eq(other.exits, 1);
	hook_drop(&hook);
	hook_drop(&other);
}
END_TEST

/* --- stacks of something else --------------------------------------------------------- */

static uintptr_t a_cell;

HOOKED long chains_gives_up(long n)
{
	a_cell = (uintptr_t)__builtin_return_address(0);
	LIVE_OPAQUE(n);
	swapcontext(&inside, &outside);
	return n + 1;
}

static void give_up(void)
{
	chains_gives_up(1);
}

/* The stack of calls that are given up has data now, which looks like the address of
 * a cell that was never made, or of none at all. */
START_TEST(test_data_like_cells)
{
	const uintptr_t all = sizeof(uintptr_t) == 8 ? 0x2000000 : 0x200000;
	static uintptr_t stack[STACK / sizeof(uintptr_t)];
	uintptr_t data;

	hook_attach(&hook, "chains_*", 0);
	getcontext(&inside);
	inside.uc_stack.ss_sp = stack;
	inside.uc_stack.ss_size = STACK;
	inside.uc_link = NULL;
	makecontext(&inside, give_up, 0);
	swapcontext(&outside, &inside);
	data = (a_cell | (all - 1)) - 31 + a_cell % 32;
	for (size_t i = 0; i < STACK / sizeof(uintptr_t); i++)
		stack[i] = _i ? data : data + 1;
	ck_assert_int_eq(chains_deep(DEEP), DEEP);
	ck_assert_uint_eq(hook.entries, DEEP + 2);
	ck_assert_uint_eq(hook.exits, DEEP + 1);
	hook_drop(&hook);
}
END_TEST

/* --- stacks that can't be read ----------------------------------------------------- */

#ifdef __x86_64__
#define ARCH 0xc000003e
#else
#define ARCH 0x40000003
#endif

/* As container runtimes do; false: this kernel has no filters. */
static bool refuse_process_vm_readv(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_readv, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(*code), code };

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0)
		return true;
	ck_assert_int_eq(errno, EINVAL);
	return false;
}

static void go_deep(void)
{
	ck_assert_int_eq(chains_deep(DEEP), DEEP);
	ck_assert_int_eq(chains_deep(DEEP), DEEP);
}

START_TEST(test_stacks_may_not_be_read)
{
	if (!refuse_process_vm_readv()) {
		fprintf(stderr, "left out: no seccomp(2)\n");
		return;
	}
	hook_attach(&hook, "chains_deep", _i ? FTR_GROUP_UNWOUND_EXITS : 0);
	in_context(go_deep);
	ck_assert_uint_eq(hook.entries, 2 * (DEEP + 1));
	ck_assert_uint_eq(hook.exits, hook.entries);
	hook_drop(&hook);
}
END_TEST

/* --- signals' stacks -------------------------------------------------------------- */

static volatile sig_atomic_t handled;

static void go_deep_in_handler(int sig, siginfo_t *info, void *context)
{
	go_deep();
	handled++;
}

HOOKED long chains_raises(long n)
{
	raise(SIGUSR1);
	return n + 1;
}

/* The signal's stack is a part of the thread's own, above the calls that it
 * interrupts; while its handler runs the kernel does not tell of it.  (i386's frames
 * for handlers without SA_SIGINFO do not have it either.) */
START_TEST(test_disarmed_stack_inside_the_stack)
{
	struct sigaction action = { .sa_sigaction = go_deep_in_handler,
				    .sa_flags = SA_ONSTACK | SA_SIGINFO };
	char room[STACK];
	stack_t stack = { .ss_sp = room, .ss_size = sizeof(room), .ss_flags = (int)(1u << 31) };

	memset(room, 0, sizeof(room));
	ck_assert_int_eq(sigaltstack(&stack, NULL), 0);
	ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
	hook_attach(&hook, "chains_*", _i ? FTR_GROUP_UNWOUND_EXITS : 0);
	ck_assert_int_eq(chains_raises(1), 2);
	ck_assert_int_eq(handled, 1);
	ck_assert_uint_eq(hook.entries, 2 * (DEEP + 1) + 1);
	ck_assert_uint_eq(hook.exits, hook.entries);
	ck_assert_uint_eq(hook.unwound, 0);
	hook_drop(&hook);
}
END_TEST

/* --- returns in another thread -------------------------------------------------------- */

enum { ROUTINES = 100, SMALL_STACK = 32 * 1024 };

/* A coroutine, which begins in the owner of its records and ends in another thread. */
static struct routine {
	ucontext_t out, in;
	char *stack;
	_Atomic int with_owner;
	unsigned long result;
} routines[ROUTINES];

/* Not inlined: the thread may be another one behind it. */
static __attribute__((noinline, noipa)) void leave(struct routine *routine)
{
	swapcontext(&routine->in, &routine->out);
}

HOOKED long chains_wanders(struct routine *routine)
{
	leave(routine);
	return 1;
}

HOOKED long chains_wanders_deeper(struct routine *routine)
{
	long result = chains_wanders(routine);

	LIVE_OPAQUE(result);
	return result + 1;
}

static void routine_main(unsigned low, unsigned high)
{
	struct routine *routine = (struct routine *)((uintptr_t)low |
						     (uintptr_t)high << 16 << 16);

	for (;;) {
		routine->result += (unsigned long)chains_wanders_deeper(routine);
		leave(routine);
	}
}

static void routine_make(struct routine *routine)
{
	uintptr_t at = (uintptr_t)routine;

	routine->stack = malloc(SMALL_STACK);
	getcontext(&routine->in);
	routine->in.uc_stack.ss_sp = routine->stack;
	routine->in.uc_stack.ss_size = SMALL_STACK;
	routine->in.uc_link = NULL;
	makecontext(&routine->in, (void (*)(void))routine_main, 2, (unsigned)at,
		    (unsigned)(at >> 16 >> 16));
	routine->with_owner = 1;
}

HOOKED long chains_none_left(long n)
{
	LIVE_OPAQUE(n);
	return n + 1;
}

static atomic_bool finished;

/* Returns through the records of the other thread. */
static void *return_elsewhere(void *arg)
{
	while (!finished) {
		for (int i = 0; i < ROUTINES; i++) {
			if (routines[i].with_owner)
				continue;
			swapcontext(&routines[i].out, &routines[i].in);
			routines[i].with_owner = 1;
		}
	}
	return NULL;
}

/* All records are pending most of the time, so that their owner looks for some of
 * which the call is over, while these return. */
START_TEST(test_returns_while_their_owner_looks)
{
	unsigned long begun = 0, rounds = live_rounds(12000), returned = 0;
	struct ftr_options options = FTR_OPTIONS_INIT;
	pthread_t thread;

	options.exit_depth = ROUTINES / 2;
	ck_ok(ftr_init(&options));
	hook_attach(&hook, "chains_*", _i ? FTR_GROUP_UNWOUND_EXITS : 0);
	for (int i = 0; i < ROUTINES; i++)
		routine_make(&routines[i]);
	ck_assert_int_eq(pthread_create(&thread, NULL, return_elsewhere, NULL), 0);
	while (begun < rounds) {
		for (int i = 0; i < ROUTINES; i++) {
			if (!routines[i].with_owner)
				continue;
			swapcontext(&routines[i].out, &routines[i].in);
			begun++;
			routines[i].with_owner = 0;
		}
		for (long n = 0; n < 1024; n++)
			ck_assert_int_eq(chains_none_left(n), n + 1);
	}
	for (int i = 0; i < ROUTINES; i++)
		while (!routines[i].with_owner)
			chains_none_left(i);
	finished = true;
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	for (int i = 0; i < ROUTINES; i++)
		returned += routines[i].result / 2;
	ck_assert_uint_eq(returned, begun);
	ck_assert_uint_eq(hook.entries, hook.exits);
	ck_assert_uint_eq(hook.unwound, 0);
	hook_drop(&hook);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("exits_chains");

	LIVE_LOOP(suite, test_tail_calls_in_a_context, 0, 2, 30);
	LIVE_LOOP(suite, test_tail_calls_go_deep, 0, 2, 30);
	LIVE_CASE(suite, test_tail_call_to_another_group, 30);
	LIVE_LOOP(suite, test_stacks_may_not_be_read, 0, 2, 30);
	LIVE_LOOP(suite, test_disarmed_stack_inside_the_stack, 0, 2, 30);
	LIVE_LOOP(suite, test_data_like_cells, 0, 2, 30);
	LIVE_LOOP(suite, test_returns_while_their_owner_looks, 0, 2, 60);
	return live_main(suite);
}
