/* SPDX-License-Identifier: MIT */
/*
 * P1, P2, P5: by each strategy, sites toggle 100,000 times in each direction while two threads call
 * them, and each single call must have run exactly the old or the new handler
 * set, once, and then the function's body.
 *
 * The toggling thread publishes in one word what a call may see.  A caller
 * reads it before and after its call: if it did not change, the call ran in a
 * quiet moment and has one right outcome; if one change went by, either side
 * of it is right; if more, whatever the pair of sets allows.
 */
#include "lib/batch.h"
#include "tests/live/live.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
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

/* --- strategies --------------------------------------------------------------- */

/* P5: each alone.  "line" is auto where a thread blocks SIGTRAP (P6) on a CPU that
 * no manual speaks for: stores within a cache line. */
static const struct strategy {
	const char *name, *poke;
	unsigned unit; /* the stores lie within so many bytes; 0: anywhere */
	bool traps;
} strategies[] = {
	{ "int3", "int3", 0, true },
	{ "atomic", "atomic", 8, false },
	{ "skip", "skip", 8, false },
	{ "line", "auto", 64, false },
	{ "auto", "auto", 0, true },
};
enum { INT3, ATOMIC, SKIP, LINE, AUTO, STRATEGIES };

/* In each direction.  Of "line" each batch looks at all threads first. */
static const unsigned long strategy_rounds[STRATEGIES] = { 100000, 50000, 50000, 10000, 0 };

static const struct strategy *strategy;
static struct live_worker callers[2];
static pthread_t blocker;
static sem_t blocked;

_Noreturn static void *block_all(void *arg)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	sem_post(&blocked);
	for (;;)
		pause();
}

static void start(int number)
{
	strategy = &strategies[number];
	live_poke(strategy->poke);
	ck_assert_ptr_ne(signal(SIGTRAP, on_stray_signal), SIG_ERR);
	ck_ok(ftr_init(NULL));
	atomic_store(&target, live_sites[0]);
	atomic_store(&allowed, word(0, 0, SAW_NONE, SAW_NONE));
	if (number == LINE) {
		ftr__batch_trust_stores = 0;
		ftr__batch_hazard_ms = 1;
		ck_assert_int_eq(sem_init(&blocked, 0, 0), 0);
		ck_assert_int_eq(pthread_create(&blocker, NULL, block_all, NULL), 0);
		while (sem_wait(&blocked))
			;
	}
}

static void start_callers(void (*turn)(struct live_worker *))
{
	live_worker_start(&callers[0], turn, NULL);
	live_worker_start(&callers[1], turn, NULL);
}

/** Whether the strategy can serve from nop to call at all: where the head's two
 *  bytes lie apart it can't. */
static bool never_serves(live_fn fn)
{
	return strategy->unit && live_ip(fn) % strategy->unit == strategy->unit - 1;
}

/** With trampolines within 16 MB above, the first four bytes are all that
 *  differ; a skip, which is no way from call to call, needs two. */
static bool always_serves(live_fn fn, bool call_to_call)
{
	unsigned offset = strategy->unit ? live_ip(fn) % strategy->unit : 0;

	if (strategy == &strategies[ATOMIC] || call_to_call)
		return offset + 4 <= strategy->unit || !strategy->unit;
	return offset + 2 <= strategy->unit || !strategy->unit;
}

/** 1: the change was made; 0: it was refused, as it had to be. */
static int served(int result, live_fn fn, bool may_refuse)
{
	char address[32];

	if (!result)
		return 1;
	snprintf(address, sizeof(address), "%#lx", (unsigned long)live_ip(fn));
	ck_assert_msg(may_refuse, "%s at %s: %d: %s", strategy->name, address, result,
		      ftr_last_error());
	ck_assert_int_eq(result, strategy == &strategies[LINE] ? -EAGAIN : -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(ftr_last_error(), address));
	return 0;
}

static void check_pokes(const struct ftr_stats *stats, unsigned long toggles)
{
	ck_assert_uint_ge(stats->pokes_int3 + stats->pokes_atomic + stats->pokes_skip, toggles);
	if (strategy == &strategies[INT3]) {
		ck_assert_uint_gt(stats->traps, 0);
		ck_assert_uint_eq(stats->pokes_atomic + stats->pokes_skip, 0);
	}
	if (!strategy->traps)
		ck_assert_uint_eq(stats->pokes_int3 + stats->traps, 0);
	if (strategy == &strategies[ATOMIC])
		ck_assert_uint_eq(stats->pokes_skip, 0);
	if (strategy == &strategies[SKIP])
		ck_assert_uint_eq(stats->pokes_atomic, 0);
}

static void finish(const char *pair, unsigned long toggles, unsigned wanted)
{
	struct ftr_stats stats = live_stats();
	size_t i;

	for (i = 0; i < 2; i++) {
		live_worker_stop(&callers[i]);
		ck_assert_msg(!callers[i].bad && !callers[i].counts[SAW_WRONG],
			      "%s, %s: caller %zu: %lu of %lu calls ran something else",
			      strategy->name, pair, i, callers[i].bad, callers[i].turns);
		ck_assert(!(wanted & SAW_NONE) || callers[i].counts[SAW_NONE]);
		ck_assert(!(wanted & SAW_A) || callers[i].counts[SAW_A]);
		ck_assert(!(wanted & SAW_B) || callers[i].counts[SAW_B]);
	}
	ck_assert_int_eq(stray_signals, 0);
	ck_assert_uint_eq(stats.traps_foreign, 0);
	ck_assert_uint_ge(stats.batches, toggles);
	check_pokes(&stats, toggles);
	for (i = 0; i < LIVE_SITES; i++)
		ck_assert(live_idle(live_sites[i]));
	ck_ok(ftr_shutdown());
	ck_assert_uint_eq(live_stats().attached, 0);
}

/** On a loaded machine the callers may have slept in every window. */
static bool no_trap_yet(void)
{
	return strategy == &strategies[INT3] && live_stats().traps == 0;
}

/** Now and then both callers shall see this state, however rarely they run. */
static void meet_both_callers(unsigned long turn)
{
	if (turn)
		return;
	live_worker_await(&callers[0], 2);
	live_worker_await(&callers[1], 2);
}

/** Each direction `times` times on one site; how many, in all. */
static unsigned long toggle_site(struct ftr_group *a, live_fn fn, uint64_t run,
				 unsigned long times)
{
	const unsigned pair = SAW_NONE | SAW_A;
	uint64_t change = 0;
	unsigned long i;

	live_hold(a, &fn, 1);
	atomic_store(&allowed, word(run, change, pair, SAW_NONE));
	atomic_store(&target, fn);
	for (i = times; i--;) {
		atomic_store(&allowed, word(run, ++change, pair, pair));
		if (!served(ftr_group_attach(a), fn, !always_serves(fn, false))) {
			ck_assert(live_idle(fn));
			return 0;
		}
		ck_assert(!never_serves(fn));
		atomic_store(&allowed, word(run, ++change, pair, SAW_A));
		meet_both_callers(i % 256);
		atomic_store(&allowed, word(run, ++change, pair, pair));
		ck_ok(ftr_group_detach(a));
		atomic_store(&allowed, word(run, ++change, pair, SAW_NONE));
		meet_both_callers(i % 256);
	}
	return 2 * times;
}

/* _i: the strategy. */
START_TEST(test_nop_to_call_and_back)
{
	const unsigned long times = live_rounds(strategy_rounds[_i]) / LIVE_SITES + 1;
	unsigned long toggles = 0;
	struct ftr_group *a;
	size_t i;

	start(_i);
	start_callers(call_turn);
	a = live_group("a", handler_a, NULL, 0);
	for (i = 0; i < LIVE_SITES; i++)
		toggles += toggle_site(a, live_sites[i], i + 1, times);
	for (; no_trap_yet(); i++)
		toggles += toggle_site(a, live_sites[i % LIVE_SITES], i + 1, times);
	ck_ok(ftr_group_free(a));
	finish("nop, call", toggles, SAW_NONE | SAW_A);
}
END_TEST

/** From A to B and back, `times` exchanges each way on one site; how many. */
static unsigned long exchange_site(struct ftr_group *groups[2], live_fn fn, uint64_t run,
				   unsigned long times)
{
	const unsigned pair = SAW_A | SAW_B;
	uint64_t change = 0;
	unsigned long i;

	for (i = 0; i < 2 * times; i++) {
		unsigned next = i % 2 ? 0 : 1;

		atomic_store(&allowed, word(run, ++change, pair, pair));
		if (!served(ftr_group_update(&groups[next], 1, &groups[!next], 1), fn,
			    !always_serves(fn, true) && !i))
			return 0;
		atomic_store(&allowed, word(run, ++change, pair, next ? SAW_B : SAW_A));
		meet_both_callers(i / 2 % 256);
	}
	return i;
}

/** All of it for one site. */
static unsigned long visit_site(struct ftr_group *groups[2], live_fn fn, uint64_t run,
				unsigned long times)
{
	const unsigned all = SAW_NONE | SAW_A | SAW_B;
	unsigned long exchanges;

	atomic_store(&allowed, word(run, 0, all, all));
	live_hold(groups[0], &fn, 1);
	live_hold(groups[1], &fn, 1);
	if (!served(ftr_group_attach(groups[0]), fn, !always_serves(fn, false)))
		return 0;
	atomic_store(&target, fn);
	atomic_store(&allowed, word(run + 1, 0, SAW_A | SAW_B, SAW_A));
	exchanges = exchange_site(groups, fn, run + 1, times);
	atomic_store(&allowed, word(run + 2, 0, all, all));
	ck_ok(ftr_group_detach(groups[0]));
	return exchanges;
}

START_TEST(test_call_a_to_call_b)
{
	const unsigned long times = live_rounds(strategy_rounds[_i] / 2) / LIVE_SITES + 1;
	unsigned long exchanges = 0;
	struct ftr_group *groups[2];
	size_t i;

	start(_i);
	start_callers(call_turn);
	groups[0] = live_group("a", handler_a, NULL, 0);
	groups[1] = live_group("b", handler_b, NULL, 0);
	for (i = 0; i < LIVE_SITES || no_trap_yet(); i++)
		exchanges += visit_site(groups, live_sites[i % LIVE_SITES], 3 * i + 1, times);
	ck_ok(ftr_group_free(groups[0]));
	ck_ok(ftr_group_free(groups[1]));
	finish("call A, call B", exchanges, SAW_A | SAW_B);
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
	struct ftr_stats stats;
	struct ftr_group *a;

	start(_i);
	a = live_group("a", handler_a, NULL, 0);
	live_hold(a, live_sites, LIVE_SITES);
	atomic_store(&allowed, word(1, 0, pair, SAW_NONE));
	start_callers(wander_turn);
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
	/* Where aligned stores are trusted all three ways meet in each batch. */
	stats = live_stats();
	if (_i == AUTO) {
		ck_assert_uint_ge(stats.pokes_int3, 2 * times);
		ck_assert_uint_ge(stats.pokes_skip, 2 * times);
		ck_assert_uint_ge(stats.pokes_atomic, 2 * times);
	}
	finish("all at once", 2 * times, pair);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test, int strategy_number)
{
	TCase *one = tcase_create(name);

	tcase_set_timeout(one, 300);
	tcase_add_loop_test(one, test, strategy_number, strategy_number + 1);
	suite_add_tcase(suite, one);
}

int main(void)
{
	Suite *suite = suite_create("poke");
	int i;

	for (i = INT3; i <= LINE; i++)
		add(suite, "nop to call and back", test_nop_to_call_and_back, i);
	add(suite, "call A to call B", test_call_a_to_call_b, INT3);
	add(suite, "call A to call B", test_call_a_to_call_b, ATOMIC);
	add(suite, "call A to call B", test_call_a_to_call_b, LINE);
	add(suite, "all at once", test_all_sites_as_one_batch, INT3);
	add(suite, "all at once", test_all_sites_as_one_batch, AUTO);
	return live_main(suite);
}
