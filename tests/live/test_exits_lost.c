/* SPDX-License-Identifier: MIT */
/*
 * R2, H7: a signal's handler jumps away before each instruction of a call that takes
 * back what another thread handed back, and of a return that hands it back: no record
 * is lost for ever.
 */
#include "tests/live/step.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

#define HOOKED FTR_TRACEABLE static

enum {
	DEPTH = 3, /* all the records that a thread has */
	STACK = 64 * 1024,
	MISSED = 1200 /* more than the library misses before it looks what is lost */
};

static struct routine {
	ucontext_t back, here;
	char stack[STACK] __attribute__((aligned(64)));
} routine;

static void leave_routine(void)
{
	swapcontext(&routine.here, &routine.back);
}

static void enter_routine(void)
{
	swapcontext(&routine.back, &routine.here);
}

HOOKED long lost_deep(long n, void (*at_bottom)(void))
{
	long below = 0;

	if (n)
		below = lost_deep(n - 1, at_bottom);
	else if (at_bottom)
		at_bottom();
	LIVE_OPAQUE(below);
	return below + 1;
}

static void routine_main(void)
{
	lost_deep(DEPTH - 1, leave_routine);
}

/** All records are pending in the routine. */
static void fill_routine(void)
{
	memset(routine.stack, 0, sizeof(routine.stack));
	getcontext(&routine.here);
	routine.here.uc_stack.ss_sp = routine.stack;
	routine.here.uc_stack.ss_size = STACK;
	routine.here.uc_link = &routine.back;
	makecontext(&routine.here, routine_main, 0);
	enter_routine();
}

/* --- jumps ------------------------------------------------------------------------------ */

static __thread sigjmp_buf landing;
static unsigned long jump_at; /* step */

static void jump_away(struct step *step, uintptr_t ip)
{
	const ucontext_t *uc = step->context;

	/* Where the signals of which handlers jump are not blocked. */
	if (step->count >= jump_at && !sigismember(&uc->uc_sigmask, SIGUSR1))
		siglongjmp(landing, 1);
}

/** fn, up to that step; false: it came through. */
static __attribute__((noinline)) bool jumps_out_of(live_fn fn)
{
	struct step step = { .at = jump_away };

	if (sigsetjmp(landing, 1))
		return true;
	step_call(&step, fn, 0);
	return false;
}

static long takes(long n)
{
	return lost_deep(n, NULL);
}

static long hands_back(long n)
{
	enter_routine();
	return n;
}

static void *return_routine(void *arg)
{
	enter_routine();
	return NULL;
}

static void *jump_out_of_return(void *jumped)
{
	ftr_site_count(); /* the library knows the thread */
	*(bool *)jumped = jumps_out_of(hands_back);
	return NULL;
}

static void run_elsewhere(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, fn, arg), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

/** The other thread returns through all, this one takes them. */
static bool jump_out_of_taking(void)
{
	fill_routine();
	run_elsewhere(return_routine, NULL);
	return jumps_out_of(takes);
}

static bool jump_out_of_handing_back(void)
{
	bool jumped;

	fill_routine();
	run_elsewhere(jump_out_of_return, &jumped);
	/* What is pending there is over. */
	memset(routine.stack, 0, sizeof(routine.stack));
	return jumped;
}

/** These call nothing: they are jumped out of, too. */
static int on_entry(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		    struct ftr_regs *regs)
{
	return 0;
}

static void on_exit_(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		     struct ftr_regs *regs)
{
}

static struct ftr_group *attach(void)
{
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;
	struct ftr_group *group;

	options.entry = on_entry;
	options.exit = on_exit_;
	ck_ok(ftr_group_new(&group, &options));
	ck_assert_int_eq(ftr_group_filter(group, "lost_deep", 0), 1);
	ck_ok(ftr_group_attach(group));
	return group;
}

static bool has_all(struct ftr_group *group)
{
	uint64_t missed = ftr_group_missed(group);

	ck_assert_int_eq(lost_deep(DEPTH - 1, NULL), DEPTH);
	return ftr_group_missed(group) == missed;
}

/** Whether so many calls have records, at least after a look for what is lost. */
static bool are_there_all(struct ftr_group *group)
{
	if (has_all(group))
		return true;
	ck_assert_int_eq(lost_deep(DEPTH + MISSED, NULL), DEPTH + MISSED + 1);
	return has_all(group);
}

static bool (*const jumps[])(void) = { jump_out_of_taking, jump_out_of_handing_back };
enum { N_JUMPS = sizeof(jumps) / sizeof(jumps[0]) };

START_TEST(test_no_record_is_lost)
{
	struct ftr_options options = FTR_OPTIONS_INIT;

	options.exit_depth = DEPTH;
	step_install(0);
	ck_ok(ftr_init(&options));
	struct ftr_group *group = attach();
	for (jump_at = 0; jumps[_i](); jump_at++)
		ck_assert_msg(are_there_all(group), "jump before step %lu", jump_at);
	ck_assert_uint_gt(jump_at, 100);
	ck_assert(are_there_all(group));
	live_drop(group);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("exits_lost");

	LIVE_LOOP(suite, test_no_record_is_lost, 0, N_JUMPS, 240);
	return live_main(suite);
}
