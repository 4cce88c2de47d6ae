/* SPDX-License-Identifier: MIT */
/*
 * H11: stacks can be walked from inside probes' handlers, and by a signal before
 * each instruction on the way from a breakpoint to the handlers and back; a thread
 * that sleeps in a displaced system call can be cancelled.
 */
#include <stdio.h>
#include <sys/syscall.h>
#include <unwind.h>

#include "tests/live/probed.h"
#include "tests/live/step.h"

enum { FRAMES = 64 };

static uintptr_t frames[FRAMES];
static int n_frames;

static _Unwind_Reason_Code add_frame(struct _Unwind_Context *context, void *arg)
{
	if (n_frames == FRAMES)
		return _URC_END_OF_STACK;
	frames[n_frames++] = _Unwind_GetIP(context);
	return _URC_NO_REASON;
}

static int find(uintptr_t ip)
{
	for (int i = 0; i < n_frames; i++)
		if (frames[i] == ip)
			return i;
	return -1;
}

static void walk(void)
{
	n_frames = 0;
	_Unwind_Backtrace(add_frame, NULL);
}

/* --- in handlers ------------------------------------------------------------------- */

static unsigned pres, posts;

/* The program at ip, and below it who called the function. */
static void expect_frames(uintptr_t ip, uintptr_t sp)
{
	int at;

	walk();
	at = find(ip);
	ck_assert_msg(at > 0, "the program is not among %d frames", n_frames);
	ck_assert_uint_eq(frames[at + 1], *(uintptr_t *)sp);
	ck_assert_int_gt(n_frames, at + 2);
}

static int pre(struct ftr_probe *probe, struct ftr_regs *regs)
{
	pres++;
	expect_frames((uintptr_t)probed_add_middle, ftr_regs_sp(regs));
	return 0;
}

static void post(struct ftr_probe *probe, struct ftr_regs *regs)
{
	posts++;
	expect_frames((uintptr_t)probed_add_next, ftr_regs_sp(regs));
}

START_TEST(test_inside_handlers)
{
	struct ftr_probe *probe = probe_on(probed_add_middle, pre, post, NULL);

	ck_assert_int_eq(probed_add(1), 4);
	ck_assert_uint_eq(pres, 1);
	ck_assert_uint_eq(posts, 1);
	probe_off(probe);
}
END_TEST

/* --- at each instruction ------------------------------------------------------------ */

static uintptr_t caller;
static unsigned long steps, lost;

/* Plain, both ways of a branch, a call, a return. */
static const struct {
	live_fn fn;
	const char *insn;
	long argument, result;
} ways[] = {
	{ probed_add, probed_add_middle, 1, 4 },
	{ probed_branch, probed_branch_insn, 0, 1 },
	{ probed_branch, probed_branch_insn, 1, 2 },
	{ probed_nested, probed_nested_insn, 1, 4 },
	{ probed_nested, probed_nested_ret, 1, 4 },
};
enum { WAYS = sizeof(ways) / sizeof(ways[0]) };
static live_fn stepped;

static int pre_nothing(struct ftr_probe *probe, struct ftr_regs *regs)
{
	pres++;
	return 0;
}

static void post_nothing(struct ftr_probe *probe, struct ftr_regs *regs)
{
	posts++;
}

static uintptr_t register_of(const struct step *step, int number)
{
	return (uintptr_t)((ucontext_t *)step->context)->uc_mcontext.gregs[number];
}

/* Until the function has returned, who called it is on the stack. */
static void at_step(struct step *step, uintptr_t ip)
{
	uintptr_t sp = register_of(step, ARCH_SP);

	if (ip == (uintptr_t)stepped && !caller)
		caller = *(uintptr_t *)sp;
	if (ip == caller)
		caller = 0;
	if (!caller || arch_without_cfi(ip))
		return;
	steps++;
	walk();
	if (find(caller) >= 0)
		return;
	lost++;
	printf("lost before %#lx, %d frames\n", (unsigned long)ip, n_frames);
	fflush(stdout);
}

/* _i: with handlers before, behind or both. */
START_TEST(test_before_each_instruction)
{
	int when = _i / WAYS, way = _i % WAYS;
	struct step step = { .at = at_step };
	struct ftr_probe *probe;

	step_install(0);
	stepped = ways[way].fn;
	probe = probe_on(ways[way].insn, when != 1 ? pre_nothing : NULL,
			 when != 0 ? post_nothing : NULL, NULL);
	ck_assert_int_eq(step_call(&step, stepped, ways[way].argument), ways[way].result);
	ck_assert_uint_eq(pres, when != 1);
	ck_assert_uint_eq(posts, when != 0);
	ck_assert_uint_gt(steps, 100);
	ck_assert_msg(!lost, "lost %lu times in %lu steps", lost, steps);
	probe_off(probe);
}
END_TEST

/* --- cancelled ------------------------------------------------------------------------ */

static int fds[2];
static _Atomic pid_t reader;
static unsigned cleaned;

static void clean(void *arg)
{
	cleaned++;
}

static void *read_for_ever(void *arg)
{
	char byte;

	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	pthread_cleanup_push(clean, NULL);
	reader = live_tid();
	probed_read(fds[0], &byte, 1);
	pthread_cleanup_pop(0);
	return NULL;
}

START_TEST(test_cancelled_in_a_displaced_system_call)
{
	struct ftr_probe *probe =
		probe_on(probed_read_insn, pre_nothing, _i ? post_nothing : NULL, NULL);
	pthread_t thread;
	void *result;

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, read_for_ever, NULL), 0);
	while (!reader || !live_waits_in(reader, SYS_read))
		sched_yield();
	ck_assert_uint_eq(pres, 1);
	ck_assert_int_eq(pthread_cancel(thread), 0);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	ck_assert_ptr_eq(result, PTHREAD_CANCELED);
	ck_assert_uint_eq(cleaned, 1);
	probe_off(probe);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("probe unwind");
	TCase *tcase = tcase_create("each");

	LIVE_CASE(suite, test_inside_handlers, 10);
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, test_before_each_instruction, 0, 3 * WAYS);
	tcase_add_loop_test(tcase, test_cancelled_in_a_displaced_system_call, 0, 2);
	suite_add_tcase(suite, tcase);
	return live_main(suite);
}
