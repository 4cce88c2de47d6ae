/* SPDX-License-Identifier: MIT */
/*
 * P8: a call that a trap emulates, on an architecture whose signal frames lie
 * directly below the interrupted stack pointer.  The same tests built with a
 * push from the trap handler (naive.c) must fail.
 */
#include "arch.h"
#include "lib/batch.h"
#include "lib/stub.h"
#include "lib/trap.h"
#include "tests/live/visitor.h"

#include <execinfo.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

long gap_call(live_fn fn, unsigned residue, const void *in, void *out, int width);

static _Atomic unsigned ran_a, ran_b;
static uintptr_t ip_a, ip_b;

static int handler_a(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		     struct ftr_regs *regs)
{
	ran_a++;
	ip_a = ip;
	return 0;
}

static int handler_b(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		     struct ftr_regs *regs)
{
	ran_b++;
	ip_b = ip;
	return 0;
}

/* --- a thread that meets a held batch ----------------------------------------- */

static struct visitor visitor;
static void (*visit)(void *arg);
static enum ftr__batch_phase visit_phase;

static void visit_in_phase(enum ftr__batch_phase phase)
{
	if (phase == visit_phase)
		visitor_call(&visitor, visit, NULL);
}

/** Attach and detach with a visit in the phase in which a trap does a call: that
 *  of the new instruction, and that of the old one. */
static void visit_both(struct ftr_group *group, void (*fn)(void *))
{
	visit = fn;
	visit_phase = FTR__PHASE_TAILS;
	ftr__batch_hold = visit_in_phase;
	ck_ok(ftr_group_attach(group));
	visit_phase = FTR__PHASE_BREAKPOINTS;
	ck_ok(ftr_group_detach(group));
	ftr__batch_hold = NULL;
}

/* --- the interrupted stack ------------------------------------------------------ */

enum { RESIDUES = 16 };
static struct {
	unsigned char in[8][64], out[8][64];
	int width;
	unsigned lost[RESIDUES]; /* vector registers that changed */
	unsigned wrong;          /* results */
} gap;

static void call_at_all_residues(void *arg)
{
	for (unsigned r = 0; r < RESIDUES; r++) {
		memset(gap.out, 0, sizeof(gap.out));
		gap.wrong += gap_call(live_sites[7], 4 * r, gap.in, gap.out, gap.width) != 42;
		for (unsigned n = 0; n < 8; n++)
			if (memcmp(gap.in[n], gap.out[n], (size_t)gap.width))
				gap.lost[r] |= 1u << n;
	}
}

/** H5, too: registers 0-7 in full width.  _i: FTR_GROUP_NO_SIMD or not. */
START_TEST(test_vectors_survive_at_any_stack)
{
	uint32_t flags = _i ? FTR_GROUP_NO_SIMD : 0;
	struct ftr_group *group;
	uint64_t traps;

	ck_ok(ftr_init(NULL));
	gap.width = __builtin_cpu_supports("avx512f") ? 64 : __builtin_cpu_supports("avx") ? 32 : 16;
	for (size_t i = 0; i < sizeof(gap.in); i++)
		gap.in[i / 64][i % 64] = (unsigned char)(i * 37 + i / 64 + 1);
	visitor_start(&visitor);
	group = live_group("a", handler_a, NULL, flags);
	live_hold(group, &live_sites[7], 1);
	traps = live_stats().traps;
	visit_both(group, call_at_all_residues);
	ck_assert_uint_eq(live_stats().traps, traps + 2 * RESIDUES);
	ck_assert_uint_eq(ran_a, 2 * RESIDUES);
	ck_assert_uint_eq(gap.wrong, 0);
	for (unsigned r = 0; r < RESIDUES; r++)
		ck_assert_msg(!gap.lost[r], "esp %% 64 == %u: vector registers %#x have changed",
			      4 * r, gap.lost[r]);
	visitor_stop(&visitor);
	ck_ok(ftr_group_free(group));
}
END_TEST

/* --- a signal before the stub --------------------------------------------------- */

/* By the timer: the site that its handler calls, and what it found. */
static struct {
	live_fn fn;
	timer_t timer;
	bool armed, in_stub, unwound, stay;
	sem_t there, leave;
	long result;
	unsigned ran;
} alarmed;

static void call_and_be_alarmed(void *arg);

/** H11: from the stub on to who called the traced function. */
static bool unwinds(void)
{
	enum { ROOM = 32, FUNCTION = 256 };
	void *frames[ROOM];
	int n = backtrace(frames, ROOM);

	for (int i = 0; i < n; i++)
		if ((uintptr_t)frames[i] - (uintptr_t)call_and_be_alarmed < FUNCTION)
			return true;
	return false;
}

static void on_alarm(int sig, siginfo_t *info, void *context)
{
	uintptr_t ip = (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[ARCH_IP];
	struct ftr__inside ranges[FTR__STUB_AREAS];
	size_t n = ftr__stub_ranges(ranges);

	for (size_t i = 0; i < n; i++)
		alarmed.in_stub |= ip > ranges[i].after && ip < ranges[i].end;
	alarmed.ran++;
	alarmed.unwound = unwinds();
	if (alarmed.stay) {
		sem_post(&alarmed.there);
		while (sem_wait(&alarmed.leave))
			;
		return;
	}
	alarmed.result = alarmed.fn(1);
}

/** In the trap handler, every signal blocked: the timer's stays pending, and is
 *  taken when the handler returns, before another instruction is run. */
static void let_timer_expire(uintptr_t address)
{
	const struct itimerspec soon = { .it_value = { 0, 1 } };
	sigset_t pending;

	if (!alarmed.armed)
		return;
	alarmed.armed = false;
	timer_settime(alarmed.timer, 0, &soon, NULL);
	do {
		sched_yield();
		sigpending(&pending);
	} while (!sigismember(&pending, SIGALRM));
}

static long result_of_visit;

static void call_and_be_alarmed(void *arg)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM };

	event._sigev_un._tid = live_tid();
	ck_assert_int_eq(timer_create(CLOCK_MONOTONIC, &event, &alarmed.timer), 0);
	alarmed.armed = true;
	result_of_visit = live_sites[3](10);
	timer_delete(alarmed.timer);
}

/** _i: the signal's handler calls the site that was interrupted, or one of
 *  another group. */
START_TEST(test_signal_before_the_stub)
{
	struct sigaction action = { .sa_sigaction = on_alarm, .sa_flags = SA_SIGINFO };
	struct ftr_group *both[2];
	uint64_t traps;

	sigaction(SIGALRM, &action, NULL);
	ck_ok(ftr_init(NULL));
	alarmed.fn = live_sites[_i ? 9 : 3];
	both[0] = live_group("a", handler_a, NULL, 0);
	live_hold(both[0], &live_sites[3], 1);
	both[1] = live_group("b", handler_b, NULL, 0);
	live_hold(both[1], &live_sites[9], 1);
	visitor_start(&visitor);
	visit = call_and_be_alarmed;
	visit_phase = FTR__PHASE_TAILS;
	ftr__batch_hold = visit_in_phase;
	ftr__trap_hold = let_timer_expire;
	traps = live_stats().traps;
	ck_ok(ftr_group_update(both, 2, NULL, 0));
	ftr__batch_hold = NULL;
	ck_assert_uint_eq(live_stats().traps, traps + 2);
	ck_assert_uint_eq(alarmed.ran, 1);
	ck_assert(alarmed.in_stub);
	ck_assert(alarmed.unwound);
	ck_assert_int_eq(alarmed.result, 2);
	ck_assert_int_eq(result_of_visit, 11);
	ck_assert_uint_eq(ran_a, _i ? 1 : 2);
	ck_assert_uint_eq(ran_b, _i ? 1 : 0);
	ck_assert_uint_eq(ip_a, live_ip(live_sites[3]));
	ck_assert_uint_eq(ip_b, _i ? live_ip(live_sites[9]) : 0);
	visitor_stop(&visitor);
	live_drop(both[0]);
	live_drop(both[1]);
}
END_TEST

/* --- more calls than stubs -------------------------------------------------------- */

static void call_all(void *arg)
{
	for (unsigned i = 0; i < LIVE_SITES; i++)
		gap.wrong += live_sites[i]((long)i) != (long)i + 1;
}

static void call_all_turn(struct live_worker *worker)
{
	call_all(NULL);
}

/** A trap that finds no stub waits for the end of the batch. */
START_TEST(test_stubs_run_out)
{
	unsigned long rounds = live_rounds(300), i;
	struct live_worker worker;
	struct ftr_group *group;

	ck_ok(ftr_init(NULL));
	ftr__stub_limit = 1;
	group = live_group("a", handler_a, NULL, 0);
	live_hold(group, live_sites, LIVE_SITES);
	live_worker_start(&worker, call_all_turn, NULL);
	for (i = 0; i < rounds || ftr__stub_count() < 2; i++) {
		ck_ok(ftr_group_attach(group));
		if (i % 16 == 0)
			live_worker_await(&worker, 1);
		ck_ok(ftr_group_detach(group));
	}
	ck_assert_uint_le(ftr__stub_count(), FTR__STUB_AREAS);
	live_worker_stop(&worker);
	ck_assert_uint_eq(gap.wrong, 0);
	ck_assert_uint_gt(ran_a, 0);
	ck_ok(ftr_group_free(group));
}
END_TEST

static void stay_in_stub(enum ftr__batch_phase phase)
{
	if (phase != FTR__PHASE_TAILS)
		return;
	visitor_send(&visitor, call_and_be_alarmed, NULL);
	while (sem_wait(&alarmed.there))
		;
}

/** Attach with a thread that is interrupted at its stub's first instruction, and
 *  stays there. */
static void attach_under_a_thread(struct ftr_group *group)
{
	struct sigaction action = { .sa_sigaction = on_alarm, .sa_flags = SA_SIGINFO };

	sigaction(SIGALRM, &action, NULL);
	sem_init(&alarmed.there, 0, 0);
	sem_init(&alarmed.leave, 0, 0);
	alarmed.stay = true;
	visitor_start(&visitor);
	ftr__trap_hold = let_timer_expire;
	ftr__batch_hold = stay_in_stub;
	ck_ok(ftr_group_attach(group));
	ftr__batch_hold = NULL;
	ck_assert(alarmed.in_stub);
}

/** However full the areas are: a stub stays as it is while a thread stands in it. */
START_TEST(test_stub_under_a_thread)
{
	struct live_worker worker;
	struct ftr_group *group;
	size_t full = 0;

	ck_ok(ftr_init(NULL));
	ftr__stub_limit = 1;
	group = live_group("a", handler_a, NULL, 0);
	live_hold(group, live_sites, LIVE_SITES);
	attach_under_a_thread(group);
	live_worker_start(&worker, call_all_turn, NULL);
	for (unsigned i = 0; i < 100 || (full < FTR__STUB_AREAS && i < 20000); i++) {
		ck_ok(ftr_group_detach(group));
		ck_ok(ftr_group_attach(group));
		ck_assert_uint_ge(ftr__stub_count(), full);
		full = ftr__stub_count();
	}
	ck_assert_uint_eq(full, FTR__STUB_AREAS);
	live_worker_stop(&worker);
	ck_ok(ftr_group_detach(group));
	ran_a = 0;
	sem_post(&alarmed.leave);
	visitor_await(&visitor);
	/* Late in its slot, it runs its site as it is now. */
	ck_assert_int_eq(result_of_visit, 11);
	ck_assert_uint_eq(ran_a, 0);
	ck_assert_uint_eq(gap.wrong, 0);
	visitor_stop(&visitor);
	ck_ok(ftr_group_free(group));
}
END_TEST

/** Full areas are emptied while no thread is in them, and found full of others. */
START_TEST(test_stubs_are_reused)
{
	struct ftr_group *group;
	size_t most = 0, emptied = 0, before = 0;

	ck_ok(ftr_init(NULL));
	ftr__stub_limit = LIVE_SITES;
	visitor_start(&visitor);
	group = live_group("a", handler_a, NULL, 0);
	/* Each site's slot is a new one by its new group. */
	for (unsigned i = 0; i < 16; i++) {
		live_hold(group, live_sites, LIVE_SITES);
		visit_both(group, call_all);
		emptied += ftr__stub_count() < before;
		before = ftr__stub_count();
		most = before > most ? before : most;
		ck_ok(ftr_group_free(group));
		group = live_group("a", handler_a, NULL, 0);
	}
	ck_assert_uint_eq(gap.wrong, 0);
	ck_assert_uint_eq(ran_a, 16 * 2 * LIVE_SITES);
	ck_assert_uint_le(most, (size_t)FTR__STUB_AREAS * LIVE_SITES);
	ck_assert_uint_gt(emptied, 0);
	visitor_stop(&visitor);
	ck_ok(ftr_group_free(group));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("gap");

	live_poke("int3"); /* traps are what is tested */
	if (GAP_NAIVE && !__builtin_cpu_supports("avx")) {
		puts("SKIP: without wide vector registers nothing is lost");
		return 77;
	}
	LIVE_LOOP(suite, test_vectors_survive_at_any_stack, 0, 2, 30);
	if (GAP_NAIVE)
		return live_main(suite);
	LIVE_LOOP(suite, test_signal_before_the_stub, 0, 2, 30);
	LIVE_CASE(suite, test_stubs_run_out, 60);
	LIVE_CASE(suite, test_stubs_are_reused, 60);
	LIVE_CASE(suite, test_stub_under_a_thread, 60);
	return live_main(suite);
}
