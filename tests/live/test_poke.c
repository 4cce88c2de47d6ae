/* SPDX-License-Identifier: MIT */
/*
 * P1, P2: sites toggle 100,000 times in each direction while two threads call
 * them, and each single call must have run exactly the old or the new handler
 * set, once, and then the function's body.
 *
 * The toggling thread publishes in one word what a call may see.  A caller
 * reads it before and after its call: if it did not change, the call ran in a
 * quiet moment and has one right outcome; if one change went by, either side
 * of it is right; if more, whatever the pair of sets allows.
 */
#include "tests/live/live.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>

/* Outcomes, as bits. */
enum { SAW_WRONG = 0, SAW_NONE = 1, SAW_A = 2, SAW_B = 4 };

/* The word: run (which site, which pair), change, outcomes of the pair,
 * outcomes now. */
static _Atomic uint64_t allowed;
static _Atomic(live_fn) target;
static volatile sig_atomic_t stray_signals;

static __thread unsigned ran_a, ran_b;

static int handler_a(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		     struct ftr_regs *regs)
{
	ran_a++;
	return 0;
}

static int handler_b(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		     struct ftr_regs *regs)
{
	ran_b++;
	return 0;
}

static void on_stray_signal(int sig)
{
	stray_signals++;
}

static uint64_t word(uint64_t run, uint64_t change, unsigned pair, unsigned now)
{
	return run << 40 | (change & 0xffffff) << 16 | pair << 8 | now;
}

static unsigned outcomes(uint64_t before, uint64_t after)
{
	unsigned changes = (unsigned)((after >> 16) - (before >> 16)) & 0xffffff;

	if (before == after)
		return before & 0xff;
	if (before >> 40 != after >> 40)
		return SAW_NONE | SAW_A | SAW_B;
	return changes == 1 ? (before | after) & 0xff : (before >> 8) & 0xff;
}

static unsigned outcome(unsigned a, unsigned b)
{
	if (a + b > 1)
		return SAW_WRONG;
	return a ? SAW_A : b ? SAW_B : SAW_NONE;
}

static void call_turn(struct live_worker *worker)
{
	uint64_t before = atomic_load(&allowed), after;
	live_fn fn = atomic_load(&target);
	long n = (long)worker->turns, result;
	unsigned saw;

	ran_a = ran_b = 0;
	result = fn(n);
	saw = outcome(ran_a, ran_b);
	after = atomic_load(&allowed);
	worker->counts[saw]++;
	if (result != n + 1 || !(saw & outcomes(before, after)))
		worker->bad++;
}

static struct live_worker callers[2];

static void start(void)
{
	ck_assert_ptr_ne(signal(SIGTRAP, on_stray_signal), SIG_ERR);
	ck_ok(ftr_init(NULL));
	atomic_store(&target, live_sites[0]);
	atomic_store(&allowed, word(0, 0, SAW_NONE, SAW_NONE));
	live_worker_start(&callers[0], call_turn, NULL);
	live_worker_start(&callers[1], call_turn, NULL);
}

static void finish(const char *pair, unsigned long toggles, unsigned wanted)
{
	struct ftr_stats stats = live_stats();
	size_t i;

	for (i = 0; i < 2; i++) {
		live_worker_stop(&callers[i]);
		ck_assert_msg(!callers[i].bad && !callers[i].counts[SAW_WRONG],
			      "%s: caller %zu: %lu of %lu calls ran something else", pair, i,
			      callers[i].bad, callers[i].turns);
		ck_assert(!(wanted & SAW_NONE) || callers[i].counts[SAW_NONE]);
		ck_assert(!(wanted & SAW_A) || callers[i].counts[SAW_A]);
		ck_assert(!(wanted & SAW_B) || callers[i].counts[SAW_B]);
	}
	ck_assert_int_eq(stray_signals, 0);
	ck_assert_uint_eq(stats.traps_foreign, 0);
	ck_assert_uint_gt(stats.traps, 0);
	ck_assert_uint_ge(stats.pokes_int3, toggles);
	ck_assert_uint_ge(stats.batches, toggles);
	for (i = 0; i < LIVE_SITES; i++)
		ck_assert(live_idle(live_sites[i]));
	ck_ok(ftr_shutdown());
	ck_assert_uint_eq(live_stats().attached, 0);
}

/** On a loaded machine the callers may have slept in every window. */
static bool no_trap_yet(void)
{
	return live_stats().traps == 0;
}

/** Now and then both callers shall see this state, however rarely they run. */
static void meet_both_callers(unsigned long turn)
{
	if (turn)
		return;
	live_worker_await(&callers[0], 2);
	live_worker_await(&callers[1], 2);
}

/** Each direction `times` times on one site. */
static void toggle_site(struct ftr_group *a, live_fn fn, uint64_t run, unsigned long times)
{
	const unsigned pair = SAW_NONE | SAW_A;
	uint64_t change = 0;

	live_hold(a, &fn, 1);
	atomic_store(&allowed, word(run, change, pair, SAW_NONE));
	atomic_store(&target, fn);
	while (times--) {
		atomic_store(&allowed, word(run, ++change, pair, pair));
		ck_ok(ftr_group_attach(a));
		atomic_store(&allowed, word(run, ++change, pair, SAW_A));
		meet_both_callers(times % 256);
		atomic_store(&allowed, word(run, ++change, pair, pair));
		ck_ok(ftr_group_detach(a));
		atomic_store(&allowed, word(run, ++change, pair, SAW_NONE));
		meet_both_callers(times % 256);
	}
}

START_TEST(test_nop_to_call_and_back)
{
	const unsigned long times = live_rounds(100000) / LIVE_SITES + 1;
	struct ftr_group *a;
	size_t i;

	start();
	a = live_group("a", handler_a, NULL, 0);
	for (i = 0; i < LIVE_SITES; i++)
		toggle_site(a, live_sites[i], i + 1, times);
	for (; no_trap_yet(); i++)
		toggle_site(a, live_sites[i % LIVE_SITES], i + 1, times);
	ck_ok(ftr_group_free(a));
	finish("nop, call", 2 * LIVE_SITES * times, SAW_NONE | SAW_A);
}
END_TEST

/** From A to B and back, `times` exchanges each way on one site. */
static void exchange_site(struct ftr_group *groups[2], uint64_t run, unsigned long times)
{
	const unsigned pair = SAW_A | SAW_B;
	uint64_t change = 0;
	unsigned long i;

	for (i = 0; i < 2 * times; i++) {
		unsigned next = i % 2 ? 0 : 1;

		atomic_store(&allowed, word(run, ++change, pair, pair));
		ck_ok(ftr_group_update(&groups[next], 1, &groups[!next], 1));
		atomic_store(&allowed, word(run, ++change, pair, next ? SAW_B : SAW_A));
		meet_both_callers(i / 2 % 256);
	}
}

START_TEST(test_call_a_to_call_b)
{
	const unsigned all = SAW_NONE | SAW_A | SAW_B;
	const unsigned long times = live_rounds(50000) / LIVE_SITES + 1;
	struct ftr_group *groups[2];
	uint64_t run = 0;
	size_t i;

	start();
	groups[0] = live_group("a", handler_a, NULL, 0);
	groups[1] = live_group("b", handler_b, NULL, 0);
	for (i = 0; i < LIVE_SITES || no_trap_yet(); i++) {
		live_fn fn = live_sites[i % LIVE_SITES];

		atomic_store(&allowed, word(++run, 0, all, all));
		live_hold(groups[0], &fn, 1);
		live_hold(groups[1], &fn, 1);
		ck_ok(ftr_group_attach(groups[0]));
		atomic_store(&target, fn);
		atomic_store(&allowed, word(++run, 0, SAW_A | SAW_B, SAW_A));
		exchange_site(groups, run, times);
		atomic_store(&allowed, word(++run, 0, all, all));
		ck_ok(ftr_group_detach(groups[0]));
	}
	ck_ok(ftr_group_free(groups[0]));
	ck_ok(ftr_group_free(groups[1]));
	finish("call A, call B", 2 * LIVE_SITES * times, SAW_A | SAW_B);
}
END_TEST

/** The callers wander over all sites while all of them toggle in one batch. */
static void wander_turn(struct live_worker *worker)
{
	atomic_store_explicit(&target, live_sites[worker->turns % LIVE_SITES],
			      memory_order_relaxed);
	call_turn(worker);
}

START_TEST(test_all_sites_as_one_batch)
{
	const unsigned pair = SAW_NONE | SAW_A;
	unsigned long times = live_rounds(2000), i;
	struct ftr_group *a;

	ck_ok(ftr_init(NULL));
	a = live_group("a", handler_a, NULL, 0);
	live_hold(a, live_sites, LIVE_SITES);
	atomic_store(&allowed, word(1, 0, pair, SAW_NONE));
	live_worker_start(&callers[0], wander_turn, NULL);
	live_worker_start(&callers[1], wander_turn, NULL);
	for (i = 0; i < times || no_trap_yet(); i++) {
		atomic_store(&allowed, word(1, 4 * i + 1, pair, pair));
		ck_ok(ftr_group_attach(a));
		atomic_store(&allowed, word(1, 4 * i + 2, pair, SAW_A));
		live_worker_await(&callers[i % 2], 4);
		atomic_store(&allowed, word(1, 4 * i + 3, pair, pair));
		ck_ok(ftr_group_detach(a));
		atomic_store(&allowed, word(1, 4 * i + 4, pair, SAW_NONE));
	}
	ck_ok(ftr_group_free(a));
	finish("all at once", 2 * times, pair);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("poke");

	LIVE_CASE(suite, test_nop_to_call_and_back, 300);
	LIVE_CASE(suite, test_call_a_to_call_b, 300);
	LIVE_CASE(suite, test_all_sites_as_one_batch, 120);
	return live_main(suite);
}
