/* SPDX-License-Identifier: MIT */
/*
 * P1, P2, P3: a batch is held in each of its phases, and a thread that meets
 * the site there on purpose must execute exactly the old instruction or the
 * new one; and a thread that took the trap but looks it up only when the batch
 * is over, or when the next one is under way.
 */
#include "lib/batch.h"
#include "lib/hazard.h"
#include "lib/text.h"
#include "lib/trap.h"
#include "tests/live/visitor.h"

#include <sched.h>
#include <stdlib.h>

enum { SAW_NONE = 1, SAW_A = 2, SAW_B = 4 };

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

/** One call: which handlers ran; 0 if it went wrong. */
struct call {
	live_fn fn;
	unsigned saw;
};

static void call_visit(void *arg)
{
	struct call *call = arg;
	long result;

	ran_a = ran_b = 0;
	result = call->fn(41);
	call->saw = 0;
	if (result == 42 && ran_a + ran_b <= 1)
		call->saw = ran_a ? SAW_A : ran_b ? SAW_B : SAW_NONE;
}

static struct visitor visitor;
static struct ftr_group *group_a, *group_b;
static live_fn site;

/* --- what the hooks do ---------------------------------------------------- */

/** What a held batch does: `visits` calls in each phase of the mask. */
static struct {
	unsigned phases;  /* 1 << phase: visit there */
	unsigned order;   /* the phases as they came, a hex digit each, from 1 */
	struct call call[3];
} held;

static void hold_and_visit(enum ftr__batch_phase phase)
{
	held.order = held.order << 4 | (phase + 1);
	if (!(held.phases & 1u << phase))
		return;
	held.call[phase].fn = site;
	visitor_call(&visitor, call_visit, &held.call[phase]);
}

/* A thread in the trap handler waits for `release`. */
static atomic_bool trapped, release;
static _Atomic uintptr_t trapped_at;

static void hold_trap(uintptr_t address)
{
	atomic_store(&trapped_at, address);
	atomic_store(&trapped, true);
	while (!atomic_load(&release))
		sched_yield();
}

static void await_trapped(void)
{
	while (!atomic_load(&trapped))
		sched_yield();
}

/* --- the transitions ------------------------------------------------------ */

struct transition {
	const char *name;
	unsigned before, after; /* what calls see */
	void (*prepare)(void);
	int (*go)(void);
};

static void nothing(void)
{
}

static void attach_a(void)
{
	ck_ok(ftr_group_attach(group_a));
}

static int go_attach_a(void)
{
	return ftr_group_attach(group_a);
}

static int go_detach_a(void)
{
	return ftr_group_detach(group_a);
}

static int go_exchange(void)
{
	return ftr_group_update(&group_b, 1, &group_a, 1);
}

static const struct transition transitions[] = {
	{ "nop to call", SAW_NONE, SAW_A, nothing, go_attach_a },
	{ "call to nop", SAW_A, SAW_NONE, attach_a, go_detach_a },
	{ "call A to call B", SAW_A, SAW_B, attach_a, go_exchange },
};
enum { TRANSITIONS = sizeof(transitions) / sizeof(transitions[0]) };

static void start(live_fn fn)
{
	ck_ok(ftr_init(NULL));
	site = fn;
	group_a = live_group("a", handler_a, NULL, 0);
	group_b = live_group("b", handler_b, NULL, 0);
	live_hold(group_a, &site, 1);
	live_hold(group_b, &site, 1);
	visitor_start(&visitor);
}

static void back_to_idle(void)
{
	if (ftr_group_attached(group_a))
		ck_ok(ftr_group_detach(group_a));
	if (ftr_group_attached(group_b))
		ck_ok(ftr_group_detach(group_b));
	ck_assert(live_idle(site));
}

static void finish(void)
{
	back_to_idle();
	visitor_stop(&visitor);
	ck_ok(ftr_group_free(group_a));
	ck_ok(ftr_group_free(group_b));
	ck_assert_uint_eq(live_stats().traps_foreign, 0);
}

/** Carry the transition out, visited in these phases; how many trapped. */
static unsigned long held_transition(const struct transition *transition, unsigned phases)
{
	uint64_t traps;
	int result;

	transition->prepare();
	memset(&held, 0, sizeof(held));
	held.phases = phases;
	traps = live_stats().traps;
	ftr__batch_hold = hold_and_visit;
	result = transition->go();
	ftr__batch_hold = NULL;
	ck_assert_msg(result == 0, "%s: %d: %s", transition->name, result, ftr_last_error());
	return (unsigned long)(live_stats().traps - traps);
}

/** A call in a quiet moment. */
static unsigned quiet_call(void)
{
	struct call call = { site, 0 };
	uint64_t traps = live_stats().traps;

	visitor_call(&visitor, call_visit, &call);
	ck_assert_uint_eq(live_stats().traps, traps);
	return call.saw;
}

/* i: which site; the last four lie astride a page. */
START_TEST(test_each_phase_met_on_purpose)
{
	static const unsigned long traps_expected[] = { 1, 1, 0 };
	size_t t, phase;

	start(live_sites[_i]);
	for (t = 0; t < TRANSITIONS; t++) {
		const struct transition *transition = &transitions[t];

		for (phase = FTR__PHASE_BREAKPOINTS; phase <= FTR__PHASE_HEADS; phase++) {
			unsigned expected = phase == FTR__PHASE_BREAKPOINTS ? transition->before
									    : transition->after;
			unsigned long traps = held_transition(transition, 1u << phase);

			ck_assert_msg(held.call[phase].saw == expected,
				      "%s, phase %zu: saw %u, not %u", transition->name, phase,
				      held.call[phase].saw, expected);
			ck_assert_uint_eq(traps, traps_expected[phase]);
			ck_assert_uint_eq(held.order, 0x123);
			ck_assert_uint_eq(quiet_call(), transition->after);
			back_to_idle();
		}
	}
	finish();
}
END_TEST

START_TEST(test_all_phases_of_one_batch)
{
	size_t t;

	start(live_sites[61]);
	for (t = 0; t < TRANSITIONS; t++) {
		unsigned long traps = held_transition(&transitions[t], 7);

		ck_assert_uint_eq(held.call[FTR__PHASE_BREAKPOINTS].saw, transitions[t].before);
		ck_assert_uint_eq(held.call[FTR__PHASE_TAILS].saw, transitions[t].after);
		ck_assert_uint_eq(held.call[FTR__PHASE_HEADS].saw, transitions[t].after);
		ck_assert_uint_eq(traps, 2);
		back_to_idle();
	}
	finish();
}
END_TEST

/* --- the trap that is looked up too late ---------------------------------- */

static enum ftr__batch_phase trap_phase;
static struct call late_call;

/** In one phase: let the visitor take the trap, and leave it in the handler. */
static void hold_until_trapped(enum ftr__batch_phase phase)
{
	if (phase != trap_phase)
		return;
	visitor_send(&visitor, call_visit, &late_call);
	await_trapped();
}

/** The transition while the visitor takes a trap and stays in the handler. */
static void transition_with_late_thread(const struct transition *transition,
					enum ftr__batch_phase phase)
{
	transition->prepare();
	trap_phase = phase;
	late_call.fn = site;
	late_call.saw = 0;
	atomic_store(&trapped, false);
	atomic_store(&release, false);
	ftr__trap_hold = hold_trap;
	ftr__batch_hold = hold_until_trapped;
	ck_ok(transition->go());
	ftr__batch_hold = NULL;
	ck_assert_uint_eq(trapped_at, live_ip(site));
}

static void release_late_thread(void)
{
	ftr__trap_hold = NULL;
	atomic_store(&release, true);
	visitor_await(&visitor);
}

START_TEST(test_lookup_after_the_batch)
{
	static const enum ftr__batch_phase phases[] = { FTR__PHASE_BREAKPOINTS, FTR__PHASE_TAILS };
	size_t t, p;

	start(live_sites[LIVE_SITES - 2]);
	for (t = 0; t < TRANSITIONS; t++) {
		for (p = 0; p < 2; p++) {
			uint64_t traps = live_stats().traps;

			transition_with_late_thread(&transitions[t], phases[p]);
			release_late_thread();
			ck_assert_msg(late_call.saw == transitions[t].after, "%s: saw %u, not %u",
				      transitions[t].name, late_call.saw, transitions[t].after);
			ck_assert_uint_eq(live_stats().traps, traps + 1);
			back_to_idle();
		}
	}
	finish();
}
END_TEST

/** The late thread sleeps through a whole cycle of batches. */
START_TEST(test_lookup_many_batches_later)
{
	unsigned i;

	start(live_sites[0]);
	ftr__hazard_ignored = true; /* the late thread is in the library's handler */
	transition_with_late_thread(&transitions[0], FTR__PHASE_BREAKPOINTS);
	for (i = 0; i < 100; i++) {
		ck_ok(ftr_group_detach(group_a));
		ck_ok(ftr_group_attach(group_a));
	}
	ck_ok(ftr_group_detach(group_a));
	ck_assert(live_idle(site));
	release_late_thread();
	ck_assert_uint_eq(late_call.saw, SAW_NONE);
	finish();
}
END_TEST

/** In the next batch: let the late thread go on in one phase, and finish. */
static void hold_and_release(enum ftr__batch_phase phase)
{
	if (phase == trap_phase)
		release_late_thread();
}

START_TEST(test_lookup_in_the_next_batch)
{
	static const unsigned expected[] = { SAW_A, SAW_B, SAW_B };
	unsigned phase;

	start(live_sites[63]);
	ftr__hazard_ignored = true;
	for (phase = FTR__PHASE_BREAKPOINTS; phase <= FTR__PHASE_HEADS; phase++) {
		transition_with_late_thread(&transitions[0], FTR__PHASE_TAILS);
		trap_phase = phase;
		ftr__batch_hold = hold_and_release;
		ck_ok(ftr_group_update(&group_b, 1, &group_a, 1));
		ftr__batch_hold = NULL;
		ck_assert_msg(late_call.saw == expected[phase], "phase %u: saw %u, not %u", phase,
			      late_call.saw, expected[phase]);
		back_to_idle();
	}
	finish();
}
END_TEST

/* --- P3 ------------------------------------------------------------------- */

static uint64_t syncs_of(int (*go)(struct ftr_group *), struct ftr_group *group)
{
	struct ftr_stats before = live_stats(), after;

	ck_ok(go(group));
	after = live_stats();
	ck_assert_uint_eq(after.batches, before.batches + 1);
	return after.syncs - before.syncs;
}

START_TEST(test_constant_syncs)
{
	uint64_t attach_one, attach_all, detach_one, detach_all;

	start(live_sites[0]);
	attach_one = syncs_of(ftr_group_attach, group_a);
	detach_one = syncs_of(ftr_group_detach, group_a);
	live_hold(group_b, live_sites, LIVE_SITES);
	attach_all = syncs_of(ftr_group_attach, group_b);
	ck_assert_uint_eq(live_stats().attached, LIVE_SITES);
	detach_all = syncs_of(ftr_group_detach, group_b);
	ck_assert_uint_ge(attach_one, 1);
	ck_assert_uint_le(attach_one, 3);
	ck_assert_uint_eq(attach_all, attach_one);
	ck_assert_uint_ge(detach_one, 1);
	ck_assert_uint_le(detach_one, 3);
	ck_assert_uint_eq(detach_all, detach_one);
	finish();
}
END_TEST

/* --- P4: a write that fails in the middle ----------------------------------- */

static void expect_unchanged(int nth, unsigned saw)
{
	size_t i;

	for (i = 0; i < LIVE_SITES; i++)
		ck_assert_msg(live_idle(live_sites[i]) == (saw == SAW_NONE || i >= 2),
			      "write %d: site %zu has changed", nth, i);
	ck_assert_uint_eq(quiet_call(), saw);
}

/** Fail the first write, the second, ... of a batch until it comes through. */
static void fail_each_write(int (*go)(void), unsigned before)
{
	int nth, result = -1;

	for (nth = 1; result; nth++) {
		uint64_t batches = live_stats().batches;

		ck_assert_int_lt(nth, 1000);
		ftr__text_fail_after = nth;
		result = go();
		/* Still armed: the batch had fewer writes, and succeeded. */
		ck_assert_msg(result < 0 || ftr__text_fail_after, "a failed write went unnoticed");
		ftr__text_fail_after = 0;
		if (!result)
			break;
		ck_assert_int_eq(result, -EACCES);
		ck_assert(ftr_last_error()[0]);
		expect_unchanged(nth, before);
		ck_assert_uint_le(live_stats().batches, batches + 1);
	}
	ck_assert_int_gt(nth, 1);
}

static int go_detach_b(void)
{
	return ftr_group_detach(group_b);
}

START_TEST(test_failed_write_is_rolled_back)
{
	setenv("FTR_TEXT", "strict", 1);
	start(live_sites[0]);
	live_hold(group_a, live_sites, 2);
	live_hold(group_b, live_sites, 2);
	fail_each_write(go_attach_a, SAW_NONE);
	ck_assert_uint_eq(quiet_call(), SAW_A);
	fail_each_write(go_exchange, SAW_A);
	ck_assert_uint_eq(quiet_call(), SAW_B);
	fail_each_write(go_detach_b, SAW_B);
	expect_unchanged(0, SAW_NONE);
	finish();
}
END_TEST

/** mprotect fails: /proc/self/mem serves instead. */
START_TEST(test_other_writer_takes_over)
{
	unsetenv("FTR_TEXT");
	start(live_sites[LIVE_SITES - 1]);
	ftr__text_fail_after = 1;
	ck_ok(ftr_group_attach(group_a));
	ck_assert_int_eq(ftr__text_fail_after, 0);
	ck_assert_str_eq(ftr__text_writer(), "mem");
	ck_assert_uint_eq(quiet_call(), SAW_A);
	ck_ok(ftr_group_detach(group_a));
	ck_assert_str_eq(ftr__text_writer(), "mprotect");
	ck_assert_uint_eq(quiet_call(), SAW_NONE);
	finish();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hold");
	TCase *phases = tcase_create("test_each_phase_met_on_purpose");

	live_poke("int3"); /* traps are what is tested */
	tcase_set_timeout(phases, 30);
	tcase_add_loop_test(phases, test_each_phase_met_on_purpose, 0, LIVE_SITES);
	suite_add_tcase(suite, phases);
	LIVE_CASE(suite, test_all_phases_of_one_batch, 30);
	LIVE_CASE(suite, test_lookup_after_the_batch, 30);
	LIVE_CASE(suite, test_lookup_many_batches_later, 30);
	LIVE_CASE(suite, test_lookup_in_the_next_batch, 30);
	LIVE_CASE(suite, test_constant_syncs, 30);
	LIVE_CASE(suite, test_failed_write_is_rolled_back, 30);
	LIVE_CASE(suite, test_other_writer_takes_over, 30);
	return live_main(suite);
}
