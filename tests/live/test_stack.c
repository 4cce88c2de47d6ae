/* SPDX-License-Identifier: MIT */
/*
 * H9: the stack that the way from a site to its handlers and back needs is what
 * ftr(7) says, measured on a painted stack; and that much does, on signals'
 * stacks and coroutines' with nothing behind them.
 */
#include "tests/live/visitor.h"

#include "lib/batch.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

/*
 * What ftr(7) says ("Stack"), bytes below the traced function's stack pointer:
 * by argument or full registers, and what of the vector registers is saved.
 */
enum {
	SAID_ARGS = 1024,
	SAID_REGS = 1280,
	SAID_LESS_NO_SIMD = 512,
	SAID_MORE_ALL_VECTORS = 1792,
	SAID_FIRST_CALL = 1024,
	SAID_TRAP = 1024 /* besides what the kernel wants, sysconf(_SC_MINSIGSTKSZ) */
};

enum { ROOM = 64 * 1024, PAINT = 0x5a };

/* Between two pages that can't be touched. */
static unsigned char *room;

static void room_map(void)
{
	long page = sysconf(_SC_PAGESIZE);

	room = mmap(NULL, (size_t)(ROOM + 2 * page), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	ck_assert_ptr_ne(room, MAP_FAILED);
	room += page;
	ck_assert_int_eq(mprotect(room, ROOM, PROT_READ | PROT_WRITE), 0);
}

/* --- what is traced, and tells where it was called ---------------------------------------- */

static __thread volatile uintptr_t entry_sp, handler_sp;

static FTR_TRACEABLE long traced_here(long n)
{
	/* A frame pointer stands in the word below the return address. */
	entry_sp = (uintptr_t)__builtin_frame_address(0) + sizeof(void *);
	LIVE_OPAQUE(n);
	return n + 1;
}

/** Uses nothing but general registers, and hardly any stack. */
static __attribute__((target("general-regs-only"))) int handler_plain(uintptr_t ip,
								       uintptr_t parent_ip,
								       struct ftr_group *group,
								       struct ftr_regs *regs)
{
	handler_sp = (uintptr_t)__builtin_frame_address(0);
	return 0;
}

/* --- painted stacks ------------------------------------------------------------------------ */

static void body_traced(void)
{
	if (traced_here(1) != 2)
		abort();
}

static void run_on_room(void (*body)(void), size_t size)
{
	ucontext_t here, there;

	getcontext(&there);
	there.uc_stack.ss_sp = room + ROOM - size;
	there.uc_stack.ss_size = size;
	there.uc_link = &here;
	makecontext(&there, body, 0);
	swapcontext(&here, &there);
}

/** The lowest byte that a call changed. */
static uintptr_t lowest_touched(void (*body)(void))
{
	size_t i = 0;

	memset(room, PAINT, ROOM);
	run_on_room(body, ROOM);
	while (room[i] == PAINT)
		i++;
	return (uintptr_t)(room + i);
}

/** Stack below traced_here()'s stack pointer that a call took; the handler's own,
 *  some words, included. */
static size_t measure(void)
{
	uintptr_t lowest = lowest_touched(body_traced);

	ck_assert_uint_gt(handler_sp, (uintptr_t)room);
	if (handler_sp < lowest)
		lowest = handler_sp;
	ck_assert_uint_gt(entry_sp, lowest);
	return entry_sp - lowest;
}

static const uint32_t variants[] = {
	0,
	FTR_GROUP_REGS,
	FTR_GROUP_NO_SIMD,
	FTR_GROUP_REGS | FTR_GROUP_NO_SIMD,
	FTR_GROUP_ALL_VECTORS,
	FTR_GROUP_REGS | FTR_GROUP_ALL_VECTORS,
#ifdef __i386__
	FTR_GROUP_REGS | FTR_GROUP_SP_OVERLAY,
#endif
};

static size_t said(uint32_t flags)
{
	size_t bytes = flags & FTR_GROUP_REGS ? SAID_REGS : SAID_ARGS;

#ifndef __OPTIMIZE__
	/* The library is built as this is, with frames of twice the size. */
	bytes += 512;
#endif
	if (flags & FTR_GROUP_NO_SIMD)
		bytes -= SAID_LESS_NO_SIMD;
	if (flags & FTR_GROUP_ALL_VECTORS)
		bytes += SAID_MORE_ALL_VECTORS;
	return bytes;
}

/** Let the group hold traced_here() alone, and attach it. */
static void hold_here(struct ftr_group *group)
{
	uintptr_t ip = (uintptr_t)traced_here;

	ck_assert_int_eq(ftr_group_filter_ips(group, &ip, 1, FTR_FILTER_RESET), 1);
	ck_ok(ftr_group_attach(group));
}

static struct ftr_group *attach_here(ftr_entry_fn entry, uint32_t flags)
{
	struct ftr_group *group = live_group("stack", entry, NULL, flags);

	hold_here(group);
	return group;
}

static void *first_call(void *arg)
{
	*(size_t *)arg = measure();
	return NULL;
}

/** _i: which variant. */
START_TEST(test_need_is_as_said)
{
	uint32_t flags = variants[_i];
	struct ftr_group *group, *limited;
	pid_t here = live_tid();
	pthread_t thread;
	size_t again, first = 0, both;

	ck_ok(ftr_init(NULL));
	room_map();
	group = attach_here(handler_plain, flags);
	traced_here(1);
	again = measure();
	ck_assert_int_eq(pthread_create(&thread, NULL, first_call, &first), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	printf("flags %u: %zu bytes, at a first call %zu\n", flags, again, first);
	ck_assert_uint_le(again, said(flags));
	ck_assert_uint_le(first, said(flags) + SAID_FIRST_CALL);
	/* Else it was not measured. */
	ck_assert_uint_gt(again, 12 * sizeof(void *));
	/* Another group, and one that is not as simple. */
	limited = live_group("limited", handler_plain, NULL, flags);
	ck_ok(ftr_group_limit_threads(limited, &here, 1));
	hold_here(limited);
	both = measure();
	printf("flags %u: %zu bytes for two\n", flags, both);
	ck_assert_uint_le(both, said(flags));
	live_drop(limited);
	live_drop(group);
}
END_TEST

/* --- the last one out --------------------------------------------------------------------------- */

static sem_t entered, leave[2];

/** The traced function's argument says which of the two it is. */
static int handler_waits(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			 struct ftr_regs *regs)
{
	handler_sp = (uintptr_t)__builtin_frame_address(0);
	sem_post(&entered);
	while (sem_wait(&leave[ftr_regs_arg(regs, 0)]))
		;
	return 0;
}

static void await_entered(void)
{
	while (sem_wait(&entered))
		;
}

static void call_here(void *arg)
{
	traced_here(0);
}

static void measure_visit(void *arg)
{
	*(size_t *)arg = measure();
}

static void nothing(void *arg)
{
}

/* It looks whether others, who are still inside, live. */
START_TEST(test_need_of_leaving)
{
	struct visitor first, second;
	struct ftr_group *group;
	size_t bytes = 0;

	ck_ok(ftr_init(NULL));
	room_map();
	sem_init(&entered, 0, 0);
	sem_init(&leave[0], 0, 0);
	sem_init(&leave[1], 0, 0);
	visitor_start(&first);
	visitor_start(&second);
	group = attach_here(handler_waits, variants[_i]);
	visitor_send(&first, call_here, NULL);
	await_entered();
	visitor_send(&second, measure_visit, &bytes);
	await_entered();
	ck_ok(ftr_group_detach_async(group, nothing, NULL));
	sem_post(&leave[1]);
	visitor_await(&second);
	sem_post(&leave[0]);
	visitor_await(&first);
	printf("flags %u: %zu bytes when leaving\n", variants[_i], bytes);
	ck_assert_uint_le(bytes, said(variants[_i]) + SAID_FIRST_CALL);
	/* Without vector registers saved it is left to a call of the library. */
	ftr_site_count();
	ck_ok(ftr_group_free(group));
	visitor_stop(&first);
	visitor_stop(&second);
}
END_TEST

/* --- a trap --------------------------------------------------------------------------------------- */

static struct visitor trapped;

static void use_room_for_signals(void *arg)
{
	stack_t stack = { .ss_sp = room, .ss_size = ROOM };

	memset(room, PAINT, ROOM);
	ck_assert_int_eq(sigaltstack(&stack, NULL), 0);
}

static void visit_in_phase(enum ftr__batch_phase phase)
{
	visitor_call(&trapped, call_here, NULL);
}

/* A thread that meets a batch, on its signals' stack: which need not be for that
 * alone. */
START_TEST(test_need_of_a_trap)
{
	struct ftr_options options = FTR_OPTIONS_INIT;
	struct ftr_group *group;
	size_t bytes = ROOM;

	options.poke = FTR_POKE_INT3;
	ck_ok(ftr_init(&options));
	room_map();
	group = attach_here(handler_plain, 0);
	visitor_start(&trapped);
	visitor_call(&trapped, use_room_for_signals, NULL);
	ftr__batch_hold = visit_in_phase;
	ck_ok(ftr_group_detach(group));
	ck_ok(ftr_group_attach(group));
	ftr__batch_hold = NULL;
	ck_assert_uint_ge(live_stats().traps, 4);
	while (room[ROOM - bytes] == PAINT)
		bytes--;
	printf("a trap: %zu bytes on the signals' stack\n", bytes);
	ck_assert_uint_gt(bytes, 0);
	ck_assert_uint_le(bytes, (size_t)sysconf(_SC_MINSIGSTKSZ) + SAID_TRAP);
	visitor_stop(&trapped);
	live_drop(group);
}
END_TEST

/* --- no more than that ------------------------------------------------------------------------ */

static _Atomic unsigned handled;

static void on_signal(int sig)
{
	handled += traced_here(1) == 2;
}

/* A signal's stack: what the kernel wants, what is said, and some words for the
 * two handlers themselves; a page behind it that must not be touched. */
START_TEST(test_on_a_small_signal_stack)
{
	enum { HANDLERS_OWN = 512 };
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };
	uint32_t flags = variants[_i];
	stack_t stack = { .ss_sp = NULL };
	struct ftr_group *group;
	unsigned i;

	ck_ok(ftr_init(NULL));
	room_map();
	stack.ss_size = (size_t)sysconf(_SC_MINSIGSTKSZ) + said(flags) + SAID_FIRST_CALL +
			HANDLERS_OWN;
	stack.ss_sp = room;
	group = attach_here(handler_plain, flags);
	ck_assert_int_eq(sigaltstack(&stack, NULL), 0);
	ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
	for (i = 0; i < 100; i++) {
		handler_sp = 0;
		raise(SIGUSR1);
		ck_assert_uint_ge(handler_sp, (uintptr_t)room);
		ck_assert_uint_lt(handler_sp, (uintptr_t)room + stack.ss_size);
	}
	ck_assert_uint_eq(handled, 100);
	ck_assert_uint_eq(ftr_group_missed(group), 0);
	live_drop(group);
}
END_TEST

static int handler_prints(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			  struct ftr_regs *regs)
{
	char text[64], expected[64] = "stack 1";

	snprintf(text, sizeof(text), "%s %d", ftr_group_name(group),
		 (int)ftr_regs_arg(regs, 0));
	handled += !strcmp(text, expected);
	return 0;
}

START_TEST(test_on_a_small_coroutine)
{
	enum { COROUTINE = 16 * 1024 };
	struct ftr_group *group;
	unsigned i;

	ck_ok(ftr_init(NULL));
	room_map();
	/* The upper part of the room is used: make what is below it untouchable. */
	ck_assert_int_eq(mprotect(room, ROOM - COROUTINE, PROT_NONE), 0);
	group = attach_here(handler_prints, variants[_i] & ~(uint32_t)FTR_GROUP_NO_SIMD);
	for (i = 1; i <= 100; i++) {
		run_on_room(body_traced, COROUTINE);
		ck_assert_uint_eq(handled, i);
	}
	ck_assert_uint_eq(ftr_group_missed(group), 0);
	live_drop(group);
}
END_TEST

int main(void)
{
	Suite *suite;

	if (LIVE_SANITIZED) {
		printf("SKIP: a sanitizer's own frames would be measured\n");
		return 77;
	}
	suite = suite_create("stack");
	LIVE_LOOP(suite, test_need_is_as_said, 0, sizeof(variants) / sizeof(*variants), 30);
	LIVE_LOOP(suite, test_need_of_leaving, 0, sizeof(variants) / sizeof(*variants), 30);
	LIVE_CASE(suite, test_need_of_a_trap, 30);
	LIVE_LOOP(suite, test_on_a_small_signal_stack, 0, sizeof(variants) / sizeof(*variants), 30);
	LIVE_LOOP(suite, test_on_a_small_coroutine, 0, sizeof(variants) / sizeof(*variants), 30);
	return live_main(suite);
}
