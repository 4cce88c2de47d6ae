/* SPDX-License-Identifier: MIT */
/*
 * P7: the application takes SIGTRAP after the library did: before, between and
 * during batches, with and without a call of the handler that it replaced.  The
 * next batch has it again, and every signal is handled as often as it was sent.
 */
#include "lib/batch.h"
#include "tests/live/visitor.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static __thread unsigned ran;

static int handler_counts(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			  struct ftr_regs *regs)
{
	ran++;
	return 0;
}

static void start(void)
{
	struct ftr_options options = FTR_OPTIONS_INIT;

	options.poke = FTR_POKE_INT3;
	ck_ok(ftr_init(&options));
}

/* --- owners of SIGTRAP ---------------------------------------------------------------- */

enum { OWNERS = 3 };

/** The application's handlers, first to last; each may know whom it replaced. */
static struct owner {
	struct sigaction before;
	bool hands_on;
	_Atomic unsigned long calls;
	int code;
} owners[OWNERS];

static void be_called(struct owner *owner, int sig, siginfo_t *info, void *context)
{
	atomic_fetch_add(&owner->calls, 1);
	owner->code = info->si_code;
	if (owner->hands_on && owner->before.sa_flags & SA_SIGINFO)
		owner->before.sa_sigaction(sig, info, context);
}

static void on_trap_0(int sig, siginfo_t *info, void *context)
{
	be_called(&owners[0], sig, info, context);
}

static void on_trap_1(int sig, siginfo_t *info, void *context)
{
	be_called(&owners[1], sig, info, context);
}

static void on_trap_2(int sig, siginfo_t *info, void *context)
{
	be_called(&owners[2], sig, info, context);
}

static void (*const handlers[OWNERS])(int, siginfo_t *, void *) = { on_trap_0, on_trap_1,
								     on_trap_2 };

static void take(int i, bool hands_on)
{
	struct sigaction action = { .sa_sigaction = handlers[i],
				    .sa_flags = SA_SIGINFO | SA_ONSTACK };

	sigfillset(&action.sa_mask);
	owners[i].hands_on = hands_on;
	ck_assert_int_eq(sigaction(SIGTRAP, &action, &owners[i].before), 0);
}

static void expect_owners(unsigned long a, unsigned long b, unsigned long c)
{
	ck_assert_uint_eq(owners[0].calls, a);
	ck_assert_uint_eq(owners[1].calls, b);
	ck_assert_uint_eq(owners[2].calls, c);
}

/* --- a thread that meets a phase ---------------------------------------------------------- */

static struct visitor visitor;
static unsigned visit_ran, visits;
static long visit_result;

static void call_site(void *arg)
{
	ran = 0;
	visit_result = live_sites[9](1);
	visit_ran = ran;
}

static void visit(void)
{
	visitor_call(&visitor, call_site, NULL);
	ck_assert_int_eq(visit_result, 2);
	visits++;
}

/* In TAILS a trap of an attach is resumed as the new call. */
static void visit_in_tails(enum ftr__batch_phase phase)
{
	if (phase != FTR__PHASE_TAILS)
		return;
	visit();
	ck_assert_uint_eq(visit_ran, 1);
}

static struct ftr_group *begin(void)
{
	struct ftr_group *group;

	start();
	visitor_start(&visitor);
	group = live_attach("owners", handler_counts, NULL, 0, live_sites[9]);
	ck_ok(ftr_group_detach(group));
	return group;
}

static void batch_with_visit(struct ftr_group *group)
{
	uint64_t traps = live_stats().traps;

	ftr__batch_hold = visit_in_tails;
	ck_ok(ftr_group_attach(group));
	ftr__batch_hold = NULL;
	ck_assert_uint_eq(live_stats().traps, traps + 1);
	ck_ok(ftr_group_detach(group));
}

static void end(struct ftr_group *group)
{
	visitor_stop(&visitor);
	ck_ok(ftr_shutdown());
	ck_ok(ftr_group_free(group));
}

/* --- one after the other --------------------------------------------------------------------- */

/* _i: whether the new owner calls the handler that it replaced.  A ring of who
 * calls whom is gone round once for each signal. */
START_TEST(test_owners_between_batches)
{
	struct ftr_group *group;

	take(0, false);
	group = begin();
	take(1, _i);
	batch_with_visit(group);
	expect_owners(0, 0, 0);
	raise(SIGTRAP);
	expect_owners(_i, 1, 0);
	take(2, _i);
	raise(SIGTRAP);
	expect_owners(2 * _i, 1 + _i, 1);
	batch_with_visit(group);
	raise(SIGTRAP);
	expect_owners(3 * _i, 1 + 2 * _i, 2);
	batch_with_visit(group);
	end(group);
}
END_TEST

/* The same handler over and over: taken once for each time that it came. */
START_TEST(test_owner_that_comes_again)
{
	struct ftr_group *group = begin();

	for (unsigned long i = 1; i <= 5; i++) {
		take(0, false);
		batch_with_visit(group);
		raise(SIGTRAP);
		expect_owners(i, 0, 0);
	}
	end(group);
}
END_TEST

/* It gives SIGTRAP back to whom it had it from: us. */
START_TEST(test_owner_that_goes_again)
{
	struct ftr_group *group;

	take(0, false);
	group = begin();
	take(1, false);
	raise(SIGTRAP);
	ck_assert_int_eq(sigaction(SIGTRAP, &owners[1].before, NULL), 0);
	raise(SIGTRAP);
	expect_owners(1, 1, 0);
	batch_with_visit(group);
	raise(SIGTRAP);
	expect_owners(2, 1, 0);
	end(group);
}
END_TEST

/* Later SIG_IGN, or SIG_DFL: what is not ours is treated so, once more by us. */
START_TEST(test_no_owner_between_batches)
{
	struct ftr_group *group = begin();
	pid_t child;
	int status;

	take(0, false);
	batch_with_visit(group);
	signal(SIGTRAP, SIG_IGN);
	batch_with_visit(group);
	raise(SIGTRAP);
	expect_owners(0, 0, 0);
	signal(SIGTRAP, SIG_DFL);
	batch_with_visit(group);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (!child) {
		raise(SIGTRAP);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), SIGTRAP);
	end(group);
}
END_TEST

/* --- in the middle ------------------------------------------------------------------------------ */

enum { PHASES = 3 };
static int taking_phase;

/* From the phase on the owner gets all traps first, and hands them on. */
static void take_and_visit(enum ftr__batch_phase phase)
{
	if ((int)phase == taking_phase)
		take(1, true);
	if ((int)phase >= taking_phase)
		visit();
}

START_TEST(test_owner_in_each_phase_hands_on)
{
	/* In HEADS there is no breakpoint any more. */
	unsigned long traps = FTR__PHASE_HEADS - (unsigned)_i;
	struct ftr_group *group = begin();

	taking_phase = _i;
	ftr__batch_hold = take_and_visit;
	ck_ok(ftr_group_attach(group));
	ftr__batch_hold = NULL;
	expect_owners(0, traps, 0);
	ck_assert_uint_eq(visits, PHASES - _i);
	ck_assert_uint_eq(visit_ran, 1);
	ck_ok(ftr_group_detach(group));
	batch_with_visit(group);
	end(group);
}
END_TEST

static void take_alone(enum ftr__batch_phase phase)
{
	if ((int)phase == taking_phase)
		take(1, false);
}

/* Nobody comes by meanwhile: the next batch is none the worse. */
START_TEST(test_owner_in_each_phase)
{
	struct ftr_group *group = begin();

	taking_phase = _i;
	ftr__batch_hold = take_alone;
	ck_ok(ftr_group_attach(group));
	ck_ok(ftr_group_detach(group));
	ftr__batch_hold = NULL;
	batch_with_visit(group);
	raise(SIGTRAP);
	expect_owners(0, 1, 0);
	end(group);
}
END_TEST

/* --- traps that merged with sent signals ---------------------------------------------------------- */

static struct sigaction library;

/* As the kernel has it where both were pending (FACTS.md): one signal, by its
 * code a sent one, at the address of a breakpoint. */
static void merge(int sig, siginfo_t *info, void *context)
{
	info->si_code = SI_TKILL;
	library.sa_sigaction(sig, info, context);
}

static void visit_merged(enum ftr__batch_phase phase)
{
	struct sigaction action = { .sa_sigaction = merge,
				    .sa_flags = SA_SIGINFO | SA_ONSTACK };

	if ((int)phase != taking_phase)
		return;
	sigfillset(&action.sa_mask);
	ck_assert_int_eq(sigaction(SIGTRAP, &action, &library), 0);
	visit();
	ck_assert_int_eq(sigaction(SIGTRAP, &library, NULL), 0);
}

/* The trap is emulated, and the sent signal is handed on as well. */
START_TEST(test_merged_trap_is_both)
{
	struct ftr_group *group;
	uint64_t traps;

	take(0, false);
	group = begin();
	traps = live_stats().traps;
	taking_phase = _i;
	ftr__batch_hold = visit_merged;
	ck_ok(ftr_group_attach(group));
	ftr__batch_hold = NULL;
	ck_assert_uint_eq(visit_ran, _i == FTR__PHASE_TAILS);
	ck_assert_uint_eq(live_stats().traps, traps + 1);
	expect_owners(1, 0, 0);
	ck_assert_int_eq(owners[0].code, SI_TKILL);
	end(group);
}
END_TEST

/* --- a flood, with an exact account ------------------------------------------------------------------ */

static struct live_worker target;

static void target_turn(struct live_worker *worker)
{
	worker->counts[7] = (unsigned long)live_tid();
	ran = 0;
	worker->bad += live_sites[9](5) != 6 || ran > 1;
	worker->counts[ran & 1]++;
}

/* Each signal is waited for, by so many turns that the thread has left a system
 * call since: it was handled, or merged by the kernel with a trap of the same
 * thread, which stands for both; and then a trap there was. */
static void send_turn(struct live_worker *worker)
{
	unsigned long before = atomic_load(&owners[0].calls);
	uint64_t traps = live_stats().traps;

	syscall(SYS_tgkill, getpid(), target.counts[7], SIGTRAP);
	live_worker_await(&target, 200);
	worker->counts[0]++;
	if (atomic_load(&owners[0].calls) != before)
		return;
	worker->counts[1]++;
	worker->bad += live_stats().traps == traps;
}

START_TEST(test_flood_loses_nothing)
{
	unsigned long rounds = live_rounds(2000), i;
	struct live_worker sender;
	struct ftr_group *group;

	take(0, false);
	start();
	group = live_attach("flood", handler_counts, NULL, 0, live_sites[9]);
	live_worker_start(&target, target_turn, NULL);
	live_worker_start(&sender, send_turn, NULL);
	for (i = 0; i < rounds || !live_stats().traps; i++) {
		ck_ok(ftr_group_detach(group));
		ck_ok(ftr_group_attach(group));
		if (i % 16 == 0)
			live_worker_await(&target, 1);
	}
	live_worker_stop(&sender);
	live_worker_stop(&target);
	ck_assert_uint_eq(target.bad, 0);
	ck_assert_uint_eq(sender.bad, 0);
	ck_assert_uint_gt(atomic_load(&sender.turns), 0);
	ck_assert_uint_eq(atomic_load(&owners[0].calls) + sender.counts[1], sender.counts[0]);
	ck_assert_uint_eq(live_stats().traps_foreign, atomic_load(&owners[0].calls));
	live_drop(group);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("trap owners");
	TCase *loops = tcase_create("phases");

	tcase_set_timeout(loops, 30);
	tcase_add_loop_test(loops, test_owners_between_batches, 0, 2);
	tcase_add_loop_test(loops, test_owner_in_each_phase_hands_on, 0, PHASES);
	tcase_add_loop_test(loops, test_owner_in_each_phase, 0, PHASES);
	tcase_add_loop_test(loops, test_merged_trap_is_both, FTR__PHASE_BREAKPOINTS,
			    FTR__PHASE_TAILS + 1);
	suite_add_tcase(suite, loops);
	LIVE_CASE(suite, test_owner_that_comes_again, 30);
	LIVE_CASE(suite, test_owner_that_goes_again, 30);
	LIVE_CASE(suite, test_no_owner_between_batches, 30);
	LIVE_CASE(suite, test_flood_loses_nothing, 60);
	return live_main(suite);
}
