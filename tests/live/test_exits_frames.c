/* SPDX-License-Identifier: MIT */
/*
 * R4, R5: calls under return hooks that end otherwise than by a return, that
 * return elsewhere, or twice: jumps, out of signals' handlers, too; contexts,
 * also across threads and on stacks inside stacks; threads that end; fork and
 * vfork; tail calls.  What was unwound past is found again: nothing is missed.
 *
 * A group is told of what was unwound in every second run (_i).
 */
#include "tests/live/hooks.h"

#include "lib/record.h"

#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>

#define HOOKED FTR_TRACEABLE static

static struct hook hook;

static void hook_functions(const char *pattern, int i)
{
	hook_attach(&hook, pattern, i ? FTR_GROUP_UNWOUND_EXITS : 0);
}

/** Let what was unwound be told of, and look at the books. */
HOOKED long frames_last(long n)
{
	LIVE_OPAQUE(n);
	return n + 1;
}

static void expect_books(unsigned long entries, unsigned long exits)
{
	bool told = ftr_group_attached(hook.group);

	ck_assert_int_eq(frames_last(1), 2);
	ck_assert_uint_eq(ftr_group_missed(hook.group), 0);
	ck_assert_uint_eq(hook.entries, entries + told);
	ck_assert_uint_eq(hook.exits, exits + told);
}

static void expect_unwound(int i, unsigned long unwound)
{
	ck_assert_uint_eq(hook.unwound, i ? unwound : 0);
}

/* --- jumps out of signals' handlers ---------------------------------------------------- */

static sigjmp_buf out;

HOOKED long frames_in_handler(long n)
{
	LIVE_OPAQUE(n);
	if (n)
		siglongjmp(out, (int)n);
	return 0;
}

static void on_signal(int sig)
{
	long result = frames_in_handler(sig);

	LIVE_OPAQUE(result);
}

HOOKED long frames_raises(long n)
{
	raise((int)n);
	return n;
}

static void install(int flags)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = flags };

	ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
}

static void jump_out_of_handlers(int i)
{
	unsigned long rounds = live_rounds(20000);

	hook_functions("frames_*", i);
	for (volatile unsigned long round = 0; round < rounds; round++)
		if (!sigsetjmp(out, 1))
			frames_raises(SIGUSR1);
	expect_books(2 * rounds, 0);
	/* Where the last ones lie on another stack, nothing tells of them yet. */
	ck_assert_uint_le(hook.unwound, 2 * rounds);
	ck_assert_uint_ge(hook.unwound, i ? 2 * rounds - 2 : 0);
	hook_drop(&hook);
}

START_TEST(test_siglongjmp_out_of_handlers)
{
	install(0);
	jump_out_of_handlers(_i);
}
END_TEST

/* The calls before the signal lie on another stack than those in its handler. */
START_TEST(test_siglongjmp_off_a_signal_stack)
{
	stack_t stack = { .ss_size = 256 * 1024 };

	stack.ss_sp = malloc(stack.ss_size);
	ck_assert_int_eq(sigaltstack(&stack, NULL), 0);
	install(SA_ONSTACK);
	jump_out_of_handlers(_i);
}
END_TEST

/** The alternate stack is a part of the thread's own, above what is called next. */
START_TEST(test_signal_stack_inside_the_stack)
{
	char room[64 * 1024];
	stack_t stack = { .ss_sp = room, .ss_size = sizeof(room) };

	memset(room, 0, sizeof(room));
	ck_assert_int_eq(sigaltstack(&stack, NULL), 0);
	install(SA_ONSTACK);
	jump_out_of_handlers(_i);
}
END_TEST

/* --- contexts ------------------------------------------------------------------------------- */

enum { STACK = 128 * 1024 };

/** A coroutine: what it was switched from, and itself. */
struct routine {
	ucontext_t back, here;
	unsigned long turns; /* yields in it */
	long result;
	void *stack;
};
static __thread struct routine *volatile current;

/* Not inlined: the thread may be another one behind it. */
static __attribute__((noinline, noipa)) struct routine *get_current(void)
{
	return current;
}

static void switch_to(struct routine *routine)
{
	struct routine *before = current;

	current = routine;
	swapcontext(&routine->back, &routine->here);
	current = before;
}

static void switch_back(void)
{
	struct routine *routine = get_current();

	swapcontext(&routine->here, &routine->back);
}

HOOKED long frames_yields(long n)
{
	switch_back();
	return n + 1;
}

HOOKED long frames_outer(long n)
{
	long result = frames_yields(n);

	LIVE_OPAQUE(result);
	return result + 1;
}

static void routine_main(void)
{
	struct routine *routine = get_current();
	unsigned long i, turns = routine->turns;

	routine->result = 0;
	for (i = 0; i < turns; i++)
		routine->result += frames_outer(0);
	switch_back();
	abort();
}

static void routine_make(struct routine *routine, void *stack, unsigned long turns)
{
	getcontext(&routine->here);
	routine->here.uc_stack.ss_sp = stack;
	routine->here.uc_stack.ss_size = STACK;
	routine->here.uc_link = NULL;
	routine->stack = stack;
	routine->turns = turns;
	makecontext(&routine->here, routine_main, 0);
}

/** Between its turns the thread that switches has calls of its own under way. */
HOOKED long frames_switches(long n)
{
	struct routine *routine = get_current();

	current = NULL;
	switch_to(routine);
	current = routine;
	return n + 1;
}

static void run_routine(void *stack, unsigned long turns)
{
	struct routine routine;
	unsigned long i;

	routine_make(&routine, stack, turns);
	current = &routine;
	for (i = 0; i <= turns; i++)
		ck_assert_int_eq(frames_switches((long)i), (long)i + 1);
	ck_assert_int_eq(routine.result, 2 * (long)turns);
}

/** Many calls at once. */
HOOKED long frames_deep(long n)
{
	long below = n ? frames_deep(n - 1) : -1;

	LIVE_OPAQUE(below);
	return below + 1;
}

START_TEST(test_contexts_take_turns)
{
	unsigned long turns = live_rounds(20000);
	void *stack = malloc(STACK);

	hook_functions("frames_*", _i);
	run_routine(stack, turns);
	/* They returned in any order: no record was lost, nor is in a list twice. */
	ck_assert_int_eq(frames_deep(110), 110);
	expect_books(3 * turns + 112, 3 * turns + 112);
	expect_unwound(_i, 0);
	hook_drop(&hook);
	free(stack);
}
END_TEST

/* Its own stack pointer is above those of calls that are under way. */
START_TEST(test_context_inside_the_stack)
{
	char stack[STACK];

	memset(stack, 0, sizeof(stack));
	hook_functions("frames_*", _i);
	run_routine(stack, 1000);
	/* It looks from there as if the thread's calls had been jumped over. */
	if (!_i)
		expect_books(3001, 3001);
	ck_assert_int_eq(frames_last(1), 2);
	ck_assert_uint_eq(ftr_group_missed(hook.group), 0);
	ck_assert_uint_eq(hook.entries, hook.exits + hook.unwound);
	hook_drop(&hook);
}
END_TEST

static void deep_main(void)
{
	struct routine *routine = get_current();

	routine->result = frames_deep((long)routine->turns);
	switch_back();
	abort();
}

/* Where a context's stack lies inside the thread's, calls under way look like ones
 * that were jumped over: their records are nobody else's all the same. */
START_TEST(test_deep_in_a_context_inside_the_stack)
{
	char stack[STACK];
	struct routine routine;
	int i;

	memset(stack, 0, sizeof(stack));
	hook_functions("frames_*", _i);
	for (i = 0; i < 20; i++) {
		routine_make(&routine, stack, 700);
		makecontext(&routine.here, deep_main, 0);
		current = &routine;
		ck_assert_int_eq(frames_switches(1), 2);
		ck_assert_int_eq(routine.result, 700);
	}
	ck_assert_uint_eq(ftr_group_missed(hook.group), 0);
	ck_assert_uint_eq(hook.entries, 20 * 702);
	hook_drop(&hook);
}
END_TEST

/* What a context that is given up had under way is found again, once its stack is
 * another's or gone. */
START_TEST(test_contexts_given_up)
{
	unsigned long rounds = live_rounds(20000), i;

	hook_functions("frames_*", _i);
	for (i = 0; i < rounds; i++) {
		struct routine routine;
		void *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		routine_make(&routine, stack, 1);
		current = &routine;
		ck_assert_int_eq(frames_switches(1), 2);
		munmap(stack, STACK);
	}
	expect_books(3 * rounds, rounds);
	expect_unwound(_i, 2 * rounds);
	hook_drop(&hook);
}
END_TEST

/* --- contexts that change threads ------------------------------------------------------------- */

static struct routine wanderer;
static sem_t turn[2];
static unsigned long wanderer_turns;

/** Each thread takes every second turn. */
static void *take_turns(void *arg)
{
	size_t me = (size_t)(sem_t *)arg;
	unsigned long i;

	for (i = me; i <= wanderer_turns; i += 2) {
		while (sem_wait(&turn[me]))
			;
		switch_to(&wanderer);
		frames_last(1);
		sem_post(&turn[!me]);
	}
	return NULL;
}

START_TEST(test_context_that_changes_threads)
{
	pthread_t threads[2];
	void *stack = malloc(STACK);
	size_t i;

	wanderer_turns = live_rounds(8000);
	hook_functions("frames_*", _i);
	routine_make(&wanderer, stack, wanderer_turns);
	sem_init(&turn[0], 0, 1);
	sem_init(&turn[1], 0, 0);
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, take_turns, (void *)i), 0);
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	ck_assert_int_eq(wanderer.result, 2 * (long)wanderer_turns);
	expect_books(3 * wanderer_turns + 1, 3 * wanderer_turns + 1);
	expect_unwound(_i, 0);
	hook_drop(&hook);
	free(stack);
}
END_TEST

/** Both threads run at once: one has the context, the other calls of its own. */
static void *keep_busy(void *arg)
{
	for (unsigned long n = *(const unsigned long *)arg; n > 0; n -= 2) {
		while (sem_wait(&turn[1]))
			;
		switch_to(&wanderer); /* returns through records of the other thread */
		sem_post(&turn[0]);
		for (int i = 0; i < 50; i++)
			frames_deep(3);
	}
	return NULL;
}

START_TEST(test_records_given_back_while_their_owner_runs)
{
	unsigned long i, turns = live_rounds(4000) / 2 * 2;
	void *stack = malloc(STACK);
	pthread_t thread;

	hook_functions("frames_*", _i);
	sem_init(&turn[0], 0, 0);
	sem_init(&turn[1], 0, 0);
	routine_make(&wanderer, stack, turns);
	ck_assert_int_eq(pthread_create(&thread, NULL, keep_busy, &turns), 0);
	for (i = 0; i < turns; i += 2) {
		switch_to(&wanderer);
		sem_post(&turn[1]);
		for (int n = 0; n < 50; n++)
			frames_deep(3);
		while (sem_wait(&turn[0]))
			;
	}
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	switch_to(&wanderer);
	ck_assert_int_eq(wanderer.result, 2 * (long)turns);
	ck_assert_uint_eq(ftr_group_missed(hook.group), 0);
	ck_assert_uint_eq(hook.entries, hook.exits);
	expect_unwound(_i, 0);
	hook_drop(&hook);
	free(stack);
}
END_TEST

static void *begin_wanderer(void *arg)
{
	switch_to(&wanderer);
	return NULL;
}

/* R4: the end of a thread frees records of frames on its own stack alone. */
START_TEST(test_context_outlives_its_thread)
{
	void *stack = malloc(STACK);
	unsigned long i, turns = live_rounds(500);

	hook_functions("frames_*", _i);
	routine_make(&wanderer, stack, turns);
	for (i = 0; i <= turns; i++) {
		pthread_t thread;
		ck_assert_int_eq(pthread_create(&thread, NULL, begin_wanderer, NULL), 0);
		ck_assert_int_eq(pthread_join(thread, NULL), 0);
	}
	ck_assert_int_eq(wanderer.result, 2 * (long)turns);
	expect_books(2 * turns, 2 * turns);
	hook_drop(&hook);
	free(stack);
}
END_TEST

static struct routine pair[2];
static struct ftr__thread *pair_node;
static struct hook other;

HOOKED long other_last(long n)
{
	LIVE_OPAQUE(n);
	return n + 1;
}

HOOKED long frames_to_other(long n)
{
	long below = n ? frames_to_other(n - 1) : other_last(-1);

	LIVE_OPAQUE(below);
	return below + 1;
}

static void *begin_pair(void *arg)
{
	pair_node = ftr__thread_self();
	switch_to(&pair[0]);
	switch_to(&pair[1]);
	return NULL;
}

/** In the thread that gets the node: the first that it does is to return. */
static void *end_pair(void *arg)
{
	if (ftr__thread_self() != pair_node)
		return NULL;
	switch_to(&pair[0]);
	switch_to(&pair[1]);
	return (void *)frames_to_other(3);
}

static long in_thread(void *(*fn)(void *))
{
	pthread_t thread;
	void *result;

	ck_assert_int_eq(pthread_create(&thread, NULL, fn, NULL), 0);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	return (long)result;
}

/* The calls that an ended thread left pending return in the one that has its node
 * then: their records are in no list twice. */
START_TEST(test_contexts_return_where_their_records_were_inherited)
{
	enum { THREADS_MAX = 1000 };
	long deep = 0;
	int i;

	hook_functions("frames_*", _i);
	hook_attach(&other, "other_*", _i ? 0 : FTR_GROUP_UNWOUND_EXITS);
	for (i = 0; i < 2; i++)
		routine_make(&pair[i], malloc(STACK), 1);
	in_thread(begin_pair);
	for (i = 0; i < THREADS_MAX && !deep; i++)
		deep = in_thread(end_pair);
	ck_assert_int_eq(deep, 4);
	expect_books(4 + 4, 4 + 4);
	expect_unwound(_i, 0);
	ck_assert_uint_eq(other.exits, 1);
	hook_drop(&other);
	hook_drop(&hook);
	for (i = 0; i < 2; i++)
		free(pair[i].stack);
}
END_TEST

/* --- threads that end -------------------------------------------------------------------------- */

static sem_t inside;

HOOKED long frames_ends(long n)
{
	if (n == 0)
		pthread_exit((void *)7);
	sem_post(&inside);
	for (;;)
		pause();
	return n;
}

HOOKED long frames_calls_ends(long n)
{
	long result = frames_ends(n);

	LIVE_OPAQUE(result);
	return result;
}

static void *thread_ends(void *arg)
{
	return (void *)frames_calls_ends((long)arg);
}

static size_t count_mappings(void)
{
	FILE *file = fopen("/proc/self/maps", "r");
	size_t n = 0;
	int c;

	while ((c = getc(file)) != EOF)
		n += c == '\n';
	fclose(file);
	return n;
}

static void end_threads(unsigned long n)
{
	for (unsigned long i = 0; i < n; i++) {
		bool cancelled = i % 4 == 3;
		pthread_t thread;
		void *result;
		ck_assert_int_eq(pthread_create(&thread, NULL, thread_ends, (void *)(long)cancelled),
				 0);
		if (cancelled) {
			while (sem_wait(&inside))
				;
			ck_assert_int_eq(pthread_cancel(thread), 0);
		}
		ck_assert_int_eq(pthread_join(thread, &result), 0);
		ck_assert_ptr_eq(result, cancelled ? PTHREAD_CANCELED : (void *)7);
	}
}

START_TEST(test_threads_that_end_inside)
{
	unsigned long first = 300, more = live_rounds(9700);
	size_t mappings, records;

	sem_init(&inside, 0, 0);
	hook_functions("frames_*", _i);
	end_threads(first);
	mappings = count_mappings();
	records = ftr__record_count();
	end_threads(more);
	ck_assert_uint_eq(ftr__record_count(), records);
	ck_assert_uint_le(count_mappings(), mappings + 64); /* malloc's own come and go */
	expect_books(2 * (first + more), 0);
	expect_unwound(_i, 0); /* a thread that ends tells of none */
	hook_drop(&hook);
}
END_TEST

/* --- processes ---------------------------------------------------------------------------------- */

HOOKED long frames_forks(long n)
{
	pid_t child = fork();

	LIVE_OPAQUE(n);
	return child ? child : -n;
}

HOOKED long frames_calls_forks(long n)
{
	long result = n ? frames_calls_forks(n - 1) : frames_forks(3);

	LIVE_OPAQUE(result);
	return result;
}

/** What a child returned through; its status tells. */
static int in_child(unsigned entries)
{
	unsigned long i;

	if (hook.entries != entries || hook.exits != entries || hook.unwound)
		return 1;
	for (i = 0; i < 500; i++)
		if (frames_deep(20) != 20)
			return 2;
	if (hook.entries != entries + 21 * 500 || hook.exits != hook.entries || hook.unwound)
		return 3;
	if (ftr_group_missed(hook.group))
		return 4;
	return ftr_group_detach(hook.group) ? 5 : 0;
}

START_TEST(test_fork_in_a_hooked_function)
{
	long result;
	int status;

	hook_functions("frames_*", _i);
	result = frames_calls_forks(10);
	if (result == -3)
		_exit(in_child(12));
	ck_assert_int_gt(result, 0);
	ck_assert_int_eq(waitpid((pid_t)result, &status, 0), (pid_t)result);
	ck_assert_int_eq(status, 0);
	ck_assert_uint_eq(hook.entries, 12);
	ck_assert_uint_eq(hook.exits, 12);
	ck_assert_int_eq(frames_deep(20), 20);
	hook_drop(&hook);
}
END_TEST

/* The child runs in this memory and on this stack until it is another program. */
HOOKED long frames_vforks(long n)
{
	pid_t child = vfork();
	int status;

	if (!child) {
		frames_deep(n);
		execlp("true", "true", (char *)NULL);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -1;
	return status ? -2 : n;
}

HOOKED long frames_spawns(long n)
{
	char name[] = "true", *const arguments[] = { name, NULL };
	pid_t child;
	int status;

	if (posix_spawnp(&child, name, NULL, NULL, arguments, NULL))
		return -1;
	return waitpid(child, &status, 0) == child && !status ? n : -2;
}

START_TEST(test_vfork_and_spawn_in_hooked_functions)
{
	hook_functions("frames_*", _i);
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(frames_vforks(10), 10);
		ck_assert_int_eq(frames_spawns(10), 10);
	}
	expect_books(20 * 13, 20 * 13);
	expect_unwound(_i, 0);
	hook_drop(&hook);
}
END_TEST

/* --- tail calls --------------------------------------------------------------------------------- */

long hook_jumps(long n);
long hook_jumps_twice(long n);
long hook_jumped_to(long n) __attribute__((visibility("hidden")));

FTR_TRACEABLE long hook_jumped_to(long n)
{
	LIVE_OPAQUE(n);
	return n + 1;
}

/** What handlers saw, in their order. */
static struct seen {
	uintptr_t function, parent_ip;
	bool exit;
} seen[16];
static unsigned n_seen;

static void note(uintptr_t ip, uintptr_t parent_ip, bool exit)
{
	const struct ftr_site *site = ftr_site_find(ip);

	ck_assert_uint_lt(n_seen, 16);
	seen[n_seen++] = (struct seen){ ftr_site_function(site), parent_ip, exit };
}

static int note_entry(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		      struct ftr_regs *regs)
{
	note(ip, parent_ip, false);
	return 0;
}

static void note_exit(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		      struct ftr_regs *regs)
{
	ck_assert_uint_eq(ftr_regs_return_value(regs), 42);
	note(ip, parent_ip, true);
}

/* A function that is jumped to has the same parent as what jumped. */
START_TEST(test_tail_calls_return_in_reverse_order)
{
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;
	static const live_fn order[] = { hook_jumps_twice, hook_jumps, hook_jumped_to };
	struct ftr_group *group;
	unsigned i;

	options.entry = note_entry;
	options.exit = note_exit;
	options.flags = _i ? FTR_GROUP_REGS : FTR_GROUP_UNWOUND_EXITS;
	ck_ok(ftr_group_new(&group, &options));
	ck_assert_int_eq(ftr_group_filter(group, "hook_jump*", 0), 3);
	ck_ok(ftr_group_attach(group));
	ck_assert_int_eq(hook_jumps_twice(41), 42);
	ck_assert_uint_eq(n_seen, 6);
	for (i = 0; i < 6; i++) {
		ck_assert_uint_eq(seen[i].function, (uintptr_t)order[i < 3 ? i : 5 - i]);
		ck_assert_int_eq(seen[i].exit, i >= 3);
		ck_assert_uint_eq(seen[i].parent_ip, seen[0].parent_ip);
	}
	live_drop(group);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("exits_frames");

	LIVE_LOOP(suite, test_siglongjmp_out_of_handlers, 0, 2, 30);
	LIVE_LOOP(suite, test_siglongjmp_off_a_signal_stack, 0, 2, 30);
	LIVE_LOOP(suite, test_signal_stack_inside_the_stack, 0, 2, 30);
	LIVE_LOOP(suite, test_contexts_take_turns, 0, 2, 30);
	LIVE_LOOP(suite, test_context_inside_the_stack, 0, 2, 30);
	LIVE_LOOP(suite, test_deep_in_a_context_inside_the_stack, 0, 2, 30);
	LIVE_LOOP(suite, test_contexts_given_up, 0, 2, 30);
	LIVE_LOOP(suite, test_context_that_changes_threads, 0, 2, 30);
	LIVE_LOOP(suite, test_records_given_back_while_their_owner_runs, 0, 2, 30);
	LIVE_LOOP(suite, test_context_outlives_its_thread, 0, 2, 30);
	LIVE_LOOP(suite, test_contexts_return_where_their_records_were_inherited, 0, 2, 30);
	LIVE_LOOP(suite, test_threads_that_end_inside, 0, 2, 60);
	LIVE_LOOP(suite, test_fork_in_a_hooked_function, 0, 2, 20);
	LIVE_LOOP(suite, test_vfork_and_spawn_in_hooked_functions, 0, 2, 20);
	LIVE_LOOP(suite, test_tail_calls_return_in_reverse_order, 0, 2, 20);
	return live_main(suite);
}
