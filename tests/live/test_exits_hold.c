/* SPDX-License-Identifier: MIT */
/*
 * P1, P2 for sites that jump: from nop or call to a return hook's jump and back, and
 * from one hook to another, a thread that meets the site in any phase of the
 * batch runs the old or the new, whole; under each strategy that can serve.
 */
#include "lib/batch.h"
#include "lib/trap.h"
#include "tests/live/visitor.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef HOLD_SIX_BYTES
/** Sites of six bytes.  That some strategies cannot serve some of them ends these:
 *  they are calls that have to be made nops. */
extern const live_fn live_sixes[], live_sixes_end[];
#endif

/** What a call saw: handlers at entry, hooks at entry and at exit. */
enum { SAW_CALL = 1, SAW_A = 2, SAW_B = 4, LEFT_A = 8, LEFT_B = 16, RIGHT = 32 };
enum { PLAIN = RIGHT, CALL = RIGHT | SAW_CALL, HOOK_A = RIGHT | SAW_A | LEFT_A,
       HOOK_B = RIGHT | SAW_B | LEFT_B };
static __thread unsigned saw;

static int on_call(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		   struct ftr_regs *regs)
{
	saw |= SAW_CALL;
	return 0;
}

static int on_entry(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		    struct ftr_regs *regs)
{
	saw |= (unsigned)(uintptr_t)ftr_group_data(group) & (SAW_A | SAW_B);
	return 0;
}

static void on_exit_(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		     struct ftr_regs *regs)
{
	saw |= (unsigned)(uintptr_t)ftr_group_data(group) & (LEFT_A | LEFT_B);
}

static struct ftr_group *call_group, *hook_a, *hook_b;
static live_fn site;

static struct ftr_group *make_hook(const char *name, unsigned bits)
{
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;
	struct ftr_group *group;

	options.name = name;
	options.entry = on_entry;
	options.exit = on_exit_;
	options.data = (void *)(uintptr_t)bits;
	ck_ok(ftr_group_new(&group, &options));
	live_hold(group, &site, 1);
	return group;
}

/* --- transitions ---------------------------------------------------------------------------- */

enum { NONE = 0, HAS_CALL = 1, HAS_A = 2, HAS_B = 4 };

static const struct transition {
	const char *name;
	unsigned from, to; /* the groups that hold the site */
	unsigned before, after;
	bool text; /* the instruction changes */
} transitions[] = {
	{ "nop to jmp", NONE, HAS_A, PLAIN, HOOK_A, true },
	{ "jmp to nop", HAS_A, NONE, HOOK_A, PLAIN, true },
	{ "call to jmp", HAS_CALL, HAS_CALL | HAS_A, CALL, CALL | HOOK_A, true },
	{ "jmp to call", HAS_CALL | HAS_A, HAS_CALL, CALL | HOOK_A, CALL, true },
	{ "call to jmp of another", HAS_CALL, HAS_A, CALL, HOOK_A, true },
	{ "jmp A to jmp B", HAS_A, HAS_B, HOOK_A, HOOK_B, false },
	{ "jmp A to jmp A and B", HAS_A, HAS_A | HAS_B, HOOK_A, HOOK_A | HOOK_B, false },
};
enum { TRANSITIONS = sizeof(transitions) / sizeof(transitions[0]) };

/** Let the site be held by these groups alone. */
static int change_to(unsigned groups)
{
	struct ftr_group *const all[] = { call_group, hook_a, hook_b };
	struct ftr_group *on[3], *off[3];
	size_t n_on = 0, n_off = 0, i;

	for (i = 0; i < 3; i++) {
		bool is = ftr_group_attached(all[i]), shall = groups & 1u << i;
		if (shall && !is)
			on[n_on++] = all[i];
		else if (is && !shall)
			off[n_off++] = all[i];
	}
	if (!n_on && !n_off)
		return 0;
	return ftr_group_update(on, n_on, off, n_off);
}

/* --- visits ----------------------------------------------------------------------------------- */

static struct visitor visitor;

static void visit(void *arg)
{
	unsigned *result = arg;

	saw = 0;
	*result = site(41) == 42 ? RIGHT : 0;
	*result |= saw;
}

static unsigned visit_now(void)
{
	unsigned result = 0;

	visitor_call(&visitor, visit, &result);
	return result;
}

static void begin(const char *strategy, live_fn fn)
{
	live_poke(strategy);
	ck_ok(ftr_init(NULL));
	ftr__batch_trust_stores = 1;
	site = fn;
	call_group = live_group("call", on_call, NULL, 0);
	live_hold(call_group, &site, 1);
	hook_a = make_hook("a", SAW_A | LEFT_A);
	hook_b = make_hook("b", SAW_B | LEFT_B);
	visitor_start(&visitor);
	/* What stands there at first may have to be made a nop, by a batch of its own. */
	if (change_to(HAS_CALL) == 0)
		ck_ok(change_to(NONE));
}

static void finish(void)
{
	ck_ok(change_to(NONE));
	visitor_stop(&visitor);
	ck_ok(ftr_group_free(call_group));
	ck_ok(ftr_group_free(hook_a));
	ck_ok(ftr_group_free(hook_b));
	ck_assert_uint_eq(live_stats().traps_foreign, 0);
	ck_ok(ftr_shutdown());
}

/** What the held batch let the visitor see, phase by phase. */
static unsigned seen[FTR__PHASE_FUSED + 1], phases;

static void hold(enum ftr__batch_phase phase)
{
	phases |= 1u << phase;
	seen[phase] = visit_now();
}

static int held_change(unsigned groups)
{
	int result;

	phases = 0;
	ftr__batch_hold = hold;
	result = change_to(groups);
	ftr__batch_hold = NULL;
	return result;
}

/* --- each phase met on purpose ------------------------------------------------------------------ */

static void check_phases(const struct transition *t)
{
	unsigned phase;

	ck_assert_msg(!t->text || phases, "%s: no phase", t->name);
	for (phase = 0; phase <= FTR__PHASE_FUSED; phase++)
		if (phases & 1u << phase)
			ck_assert_msg(seen[phase] == t->before || seen[phase] == t->after,
				      "%s, phase %u: saw %#x, neither %#x nor %#x", t->name, phase,
				      seen[phase], t->before, t->after);
}

/** Under int3 it is known which, and who takes a trap. */
static void check_int3(const struct transition *t, unsigned long traps)
{
	if (!t->text)
		return;
	ck_assert_uint_eq(phases, 7);
	ck_assert_uint_eq(seen[FTR__PHASE_BREAKPOINTS], t->before);
	ck_assert_uint_eq(seen[FTR__PHASE_TAILS], t->after);
	ck_assert_uint_eq(seen[FTR__PHASE_HEADS], t->after);
	ck_assert_msg(traps == 2, "%s: %lu traps", t->name, traps);
}

#ifdef HOLD_SIX_BYTES
static const char *const strategies[] = { "int3", "auto" };
#else
static const char *const strategies[] = { "int3", "auto", "atomic", "skip" };
#endif
enum { STRATEGIES = sizeof(strategies) / sizeof(strategies[0]) };

/** false: the strategy does not serve there, and all is as it was. */
static bool one_transition(const struct transition *t, const char *strategy)
{
	uint64_t traps;
	int result = change_to(t->from);

	if (result == -EOPNOTSUPP)
		return false;
	ck_assert_msg(result == 0, "before %s: %d: %s", t->name, result, ftr_last_error());
	ck_assert_uint_eq(visit_now(), t->before);
	traps = live_stats().traps;
	result = held_change(t->to);
	if (result == -EOPNOTSUPP && strcmp(strategy, "int3") && strcmp(strategy, "auto")) {
		ck_assert_uint_eq(visit_now(), t->before);
		return false;
	}
	ck_assert_msg(result == 0, "%s: %d: %s", t->name, result, ftr_last_error());
	check_phases(t);
	if (!strcmp(strategy, "int3"))
		check_int3(t, (unsigned long)(live_stats().traps - traps));
	ck_assert_uint_eq(visit_now(), t->after);
	return true;
}

/** How many of the transitions the strategy serves at a site. */
static unsigned all_transitions(const char *strategy, live_fn fn)
{
	unsigned served = 0;
	size_t t;

	begin(strategy, fn);
	for (t = 0; t < TRANSITIONS; t++)
		served += one_transition(&transitions[t], strategy);
	finish();
	return served;
}

static void all_sites(const char *strategy, const live_fn *sites, size_t n)
{
	bool always = !strcmp(strategy, "int3") || !strcmp(strategy, "auto");
	unsigned served = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		unsigned here = all_transitions(strategy, sites[i]);
		ck_assert_msg(!always || here == TRANSITIONS, "site %zu: %u served", i, here);
		served += here;
	}
	/* Half of them, at least; none of a page's last. */
	ck_assert_uint_ge(2 * served, n * 2);
}

START_TEST(test_each_phase)
{
#ifdef HOLD_SIX_BYTES
	all_sites(strategies[_i], live_sixes, (size_t)(live_sixes_end - live_sixes));
#else
	static const size_t some[] = { 0, 3, 4, 5, 6, 7, 59, 60, 61, 62, 63, 64, 65, 66, 67 };
	live_fn sites[sizeof(some) / sizeof(some[0])];
	size_t i;

	for (i = 0; i < sizeof(some) / sizeof(some[0]); i++)
		sites[i] = live_sites[some[i]];
	all_sites(strategies[_i], sites, i);
#endif
}
END_TEST

/* --- the trap that is looked up too late ---------------------------------------------------------- */

static atomic_bool trapped, release;
static enum ftr__batch_phase trap_phase;
static unsigned late;

static void hold_trap(uintptr_t address)
{
	atomic_store(&trapped, true);
	while (!atomic_load(&release))
		sched_yield();
}

static void hold_until_trapped(enum ftr__batch_phase phase)
{
	if (phase != trap_phase)
		return;
	visitor_send(&visitor, visit, &late);
	while (!atomic_load(&trapped))
		sched_yield();
}

START_TEST(test_lookup_after_the_batch)
{
	size_t t;

	trap_phase = _i ? FTR__PHASE_TAILS : FTR__PHASE_BREAKPOINTS;
	begin("int3", live_sites[61]);
	for (t = 0; t < TRANSITIONS; t++) {
		if (!transitions[t].text)
			continue;
		ck_ok(change_to(transitions[t].from));
		late = 0;
		atomic_store(&trapped, false);
		atomic_store(&release, false);
		ftr__trap_hold = hold_trap;
		ftr__batch_hold = hold_until_trapped;
		ck_ok(change_to(transitions[t].to));
		ftr__batch_hold = NULL;
		ftr__trap_hold = NULL;
		atomic_store(&release, true);
		visitor_await(&visitor);
		ck_assert_msg(late == transitions[t].after, "%s: saw %#x", transitions[t].name,
			      late);
	}
	finish();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("exits_hold");

	LIVE_LOOP(suite, test_each_phase, 0, STRATEGIES, 60);
	LIVE_LOOP(suite, test_lookup_after_the_batch, 0, 2, 30);
	return live_main(suite);
}
