/* SPDX-License-Identifier: MIT */
/*
 * P3, P4, P5: what a batch of each strategy is made of; the syncs, what a thread
 * meets in each phase, what is left after a write that failed, what is refused.
 */
#include "lib/batch.h"
#include "lib/hazard.h"
#include "lib/trap.h"
#include "tests/live/visitor.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { PADS = 64 };
extern const live_fn live_pads[PADS];

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

static int handler_c(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		     struct ftr_regs *regs)
{
	return 0;
}

static struct ftr_group *group_a, *group_b;

static void start(unsigned poke, const live_fn *fns, size_t n)
{
	struct ftr_options options = FTR_OPTIONS_INIT;

	options.poke = poke;
	ck_ok(ftr_init(&options));
	ftr__batch_trust_stores = 1;
	group_a = live_group("a", handler_a, NULL, 0);
	group_b = live_group("b", handler_b, NULL, 0);
	live_hold(group_a, fns, n);
	live_hold(group_b, fns, n);
}

static void finish(void)
{
	ck_ok(ftr_group_free(group_a));
	ck_ok(ftr_group_free(group_b));
	ck_ok(ftr_shutdown());
}

static int exchange(void)
{
	return ftr_group_update(&group_b, 1, &group_a, 1);
}

static const char *const names[] = { "auto", "int3", "atomic", "skip" };

/* --- the strategies' own counts ------------------------------------------------------ */

struct counts {
	unsigned long int3, atomic, skip, syncs, batches;
};

static struct counts counts(void)
{
	struct ftr_stats s = live_stats();

	return (struct counts){ (unsigned long)s.pokes_int3, (unsigned long)s.pokes_atomic,
				(unsigned long)s.pokes_skip, (unsigned long)s.syncs,
				(unsigned long)s.batches };
}

/** Since `before`: exactly these, as one batch. */
static void expect_counts(const char *what, struct counts before, unsigned long int3,
			  unsigned long atomic, unsigned long skip, unsigned long syncs)
{
	struct counts now = counts();

	ck_assert_msg(now.int3 - before.int3 == int3 && now.atomic - before.atomic == atomic &&
			      now.skip - before.skip == skip,
		      "%s: int3 %lu, atomic %lu, skip %lu", what, now.int3 - before.int3,
		      now.atomic - before.atomic, now.skip - before.skip);
	ck_assert_msg(now.syncs - before.syncs == syncs, "%s: %lu syncs", what,
		      now.syncs - before.syncs);
	ck_assert_uint_eq(now.batches - before.batches, 1);
}

/* Sites at offsets 0, 4 (as behind endbr), 6 and 7 of a quadword. */
static const struct {
	unsigned poke, offset;
	unsigned long int3, atomic, skip, syncs;
} choices[] = {
	{ FTR_POKE_AUTO, 0, 0, 1, 0, 1 },   { FTR_POKE_AUTO, 4, 0, 1, 0, 1 },
	{ FTR_POKE_AUTO, 6, 0, 0, 1, 3 },   { FTR_POKE_AUTO, 7, 1, 0, 0, 3 },
	{ FTR_POKE_INT3, 0, 1, 0, 0, 3 },   { FTR_POKE_INT3, 7, 1, 0, 0, 3 },
	{ FTR_POKE_ATOMIC, 0, 0, 1, 0, 1 }, { FTR_POKE_ATOMIC, 4, 0, 1, 0, 1 },
	{ FTR_POKE_SKIP, 0, 0, 0, 1, 3 },   { FTR_POKE_SKIP, 6, 0, 0, 1, 3 },
};
enum { CHOICES = sizeof(choices) / sizeof(choices[0]) };

START_TEST(test_way_of_one_site)
{
	live_fn fn = live_sites[choices[_i].offset];
	struct counts before;

	start(choices[_i].poke, &fn, 1);
	before = counts();
	ck_ok(ftr_group_attach(group_a));
	expect_counts("attach", before, choices[_i].int3, choices[_i].atomic, choices[_i].skip,
		      choices[_i].syncs);
	before = counts();
	ck_ok(ftr_group_detach(group_a));
	expect_counts("detach", before, choices[_i].int3, choices[_i].atomic, choices[_i].skip,
		      choices[_i].syncs);
	ck_assert(live_idle(fn));
	finish();
}
END_TEST

/** Of a maker that documents nothing the breakpoint is the way. */
START_TEST(test_auto_without_documented_stores)
{
	struct counts before;

	start(FTR_POKE_AUTO, live_sites, 8);
	ftr__batch_trust_stores = 0;
	before = counts();
	ck_ok(ftr_group_attach(group_a));
	expect_counts("attach", before, 8, 0, 0, 3);
	live_drop(group_a);
	ck_ok(ftr_group_free(group_b));
}
END_TEST

/** All ways in one batch have three syncs still; the report tells of each. */
START_TEST(test_mixed_batch)
{
	struct counts before;
	char report[65536], line[128];
	FILE *file = tmpfile();
	size_t n;

	start(FTR_POKE_AUTO, live_sites, LIVE_LINE_SITES);
	before = counts();
	ck_ok(ftr_group_attach(group_a));
	expect_counts("attach", before, 8, 40, 16, 3);
	before = counts();
	ck_ok(ftr_group_detach(group_a));
	expect_counts("detach", before, 8, 40, 16, 3);
	ck_ok(ftr_dump(fileno(file)));
	rewind(file);
	n = fread(report, 1, sizeof(report) - 1, file);
	report[n] = 0;
	fclose(file);
	before = counts();
	snprintf(line, sizeof(line), "int3 %lu, atomic %lu, skip %lu,", before.int3, before.atomic,
		 before.skip);
	ck_assert_msg(strstr(report, line) != NULL, "no \"%s\" in: %s", line, report);
	finish();
}
END_TEST

/** /proc/self/mem stores no eight bytes at once. */
START_TEST(test_other_writer_takes_breakpoints)
{
	struct counts before;

	setenv("FTR_TEXT", "strict", 1);
	start(FTR_POKE_AUTO, live_sites, 4);
	before = counts();
	ck_ok(ftr_group_attach(group_a));
	expect_counts("attach", before, 4, 0, 0, 3);
	ck_ok(ftr_group_detach(group_a));
	finish();
}
END_TEST

/** mprotect fails for once: auto goes on, a forced strategy says why it can't. */
START_TEST(test_text_not_writable_now)
{
	start((unsigned)_i, live_sites, 1);
	ftr__text_fail_after = 1;
	if (_i == FTR_POKE_AUTO) {
		ck_ok(ftr_group_attach(group_a));
		ck_assert_uint_eq(counts().int3, 1);
	} else {
		ck_fails(ftr_group_attach(group_a), -EACCES);
		ck_assert_ptr_nonnull(strstr(ftr_last_error(), names[_i]));
		ck_assert(live_idle(live_sites[0]));
		ck_ok(ftr_group_attach(group_a));
	}
	ck_ok(ftr_group_detach(group_a));
	finish();
}
END_TEST

/* --- what a forced strategy refuses ---------------------------------------------------- */

static void check_names(live_fn fn, const char *strategy)
{
	char address[32];

	snprintf(address, sizeof(address), "%#lx", (unsigned long)live_ip(fn));
	ck_assert_msg(strstr(ftr_last_error(), address) != NULL, "%s", ftr_last_error());
	ck_assert_msg(strstr(ftr_last_error(), strategy) != NULL, "%s", ftr_last_error());
}

/** One site of many that can't be done: nothing is, and it is named. */
START_TEST(test_forced_strategy_refuses)
{
	/* The lowest that atomic can't do, and that skip can't. */
	unsigned first = _i == FTR_POKE_ATOMIC ? 5 : 7;
	struct counts before;

	start((unsigned)_i, live_sites, LIVE_SITES);
	before = counts();
	ck_fails(ftr_group_attach(group_a), -EOPNOTSUPP);
	check_names(live_sites[first], names[_i]);
	ck_assert_int_eq(memcmp(&before, &(struct counts){ .syncs = before.syncs,
							   .batches = before.batches },
				sizeof(before)), 0);
	ck_assert_uint_eq(counts().batches, before.batches);
	for (size_t i = 0; i < LIVE_SITES; i++)
		ck_assert(live_idle(live_sites[i]));
	ck_assert_int_eq(ftr_group_attached(group_a), 0);
	live_hold(group_a, live_sites, first);
	ck_ok(ftr_group_attach(group_a));
	ck_ok(ftr_group_detach(group_a));
	finish();
}
END_TEST

/** Behind a jump there is a nop: from call to call calls would be lost. */
START_TEST(test_skip_is_no_way_from_call_to_call)
{
	start(FTR_POKE_SKIP, live_sites, 1);
	ck_ok(ftr_group_attach(group_a));
	ck_fails(exchange(), -EOPNOTSUPP);
	check_names(live_sites[0], "skip");
	ran_a = ran_b = 0;
	ck_assert_int_eq(live_sites[0](1), 2);
	ck_assert_uint_eq(ran_a, 1);
	ck_assert_uint_eq(ran_b, 0);
	ck_ok(ftr_group_detach(group_a));
	finish();
}
END_TEST

/** FTR_UPDATE_PARTIAL takes what the strategy can do. */
START_TEST(test_forced_strategy_in_part)
{
	struct ftr_update_options options = FTR_UPDATE_OPTIONS_INIT;
	unsigned left_from = _i == FTR_POKE_ATOMIC ? 5 : 7;
	uintptr_t left[LIVE_LINE_SITES];

	start((unsigned)_i, live_sites, LIVE_LINE_SITES);
	options.attach = &group_a;
	options.n_attach = 1;
	options.flags = FTR_UPDATE_PARTIAL;
	options.left_out = left;
	options.left_out_room = LIVE_LINE_SITES;
	ck_ok(ftr_update(&options));
	ck_assert_uint_eq(options.left_out_count, 8 * (8 - left_from));
	for (size_t i = 0; i < LIVE_LINE_SITES; i++) {
		ran_a = 0;
		ck_assert_int_eq(live_sites[i](3), 4);
		ck_assert_uint_eq(ran_a, i % 8 < left_from);
	}
	for (size_t i = 0; i < options.left_out_count; i++)
		ck_assert_uint_ge(left[i] % 8, left_from);
	ck_ok(ftr_group_detach(group_a));
	finish();
}
END_TEST

/** Pads of five nops become normal without a breakpoint: whichever of the two
 *  ways serves, and back. */
START_TEST(test_forced_strategy_on_pads)
{
	static const unsigned char pad[5] = { 0x90, 0x90, 0x90, 0x90, 0x90 };

	start((unsigned)_i, live_pads, 5);
	ck_ok(ftr_group_attach(group_a));
	for (size_t i = 0; i < 5; i++) {
		ran_a = 0;
		ck_assert_int_eq(live_pads[i](3), 4);
		ck_assert_uint_eq(ran_a, 1);
	}
	ck_assert_uint_eq(counts().int3, 0);
	ck_ok(ftr_group_detach(group_a));
	finish();
	for (size_t i = 0; i < 5; i++)
		ck_assert_int_eq(memcmp((const void *)live_pads[i], pad, sizeof(pad)), 0);
}
END_TEST

START_TEST(test_forced_strategy_refuses_a_pad)
{
	static const unsigned char pad[5] = { 0x90, 0x90, 0x90, 0x90, 0x90 };

	start((unsigned)_i, live_pads, 8);
	ck_fails(ftr_group_attach(group_a), -EOPNOTSUPP);
	check_names(live_pads[7], names[_i]);
	for (size_t i = 0; i < 8; i++)
		ck_assert_int_eq(memcmp((const void *)live_pads[i], pad, sizeof(pad)), 0);
	finish();
}
END_TEST

/* --- what a thread meets in each phase -------------------------------------------------- */

static struct visitor visitor;
static unsigned phases_seen;
static unsigned seen_a[4], seen_b[4];

static void call_all(void *arg)
{
	ran_a = ran_b = 0;
	for (size_t i = 0; i < LIVE_LINE_SITES; i++)
		if (i % 8 < 7)
			ck_assert_int_eq(live_sites[i](1), 2);
}

static void visit(void *arg)
{
	enum ftr__batch_phase phase = *(enum ftr__batch_phase *)arg;

	call_all(NULL);
	seen_a[phase] = ran_a;
	seen_b[phase] = ran_b;
}

static void visit_in_phase(enum ftr__batch_phase phase)
{
	phases_seen |= 1u << phase;
	visitor_call(&visitor, visit, &phase);
}

static void attach_and_visit(int (*go)(struct ftr_group *))
{
	phases_seen = 0;
	memset(seen_a, 0, sizeof(seen_a));
	ftr__batch_hold = visit_in_phase;
	ck_ok(go(group_a));
	ftr__batch_hold = NULL;
}

/** While the jump stands the place is a nop, going there and coming back; no
 *  signal is raised. */
START_TEST(test_skip_in_each_phase)
{
	live_fn fns[LIVE_LINE_SITES];
	unsigned n = 0;

	for (size_t i = 0; i < LIVE_LINE_SITES; i++)
		if (i % 8 < 7)
			fns[n++] = live_sites[i];
	start(FTR_POKE_SKIP, fns, n);
	visitor_start(&visitor);
	attach_and_visit(ftr_group_attach);
	ck_assert_uint_eq(phases_seen, 1u << FTR__PHASE_BREAKPOINTS | 1u << FTR__PHASE_TAILS |
				       1u << FTR__PHASE_HEADS);
	ck_assert_uint_eq(seen_a[FTR__PHASE_BREAKPOINTS], 0);
	ck_assert_uint_eq(seen_a[FTR__PHASE_TAILS], 0);
	ck_assert_uint_eq(seen_a[FTR__PHASE_HEADS], n);
	attach_and_visit(ftr_group_detach);
	ck_assert_uint_eq(seen_a[0] + seen_a[1] + seen_a[2], 0);
	ck_assert_uint_eq(live_stats().traps, 0);
	visitor_stop(&visitor);
	finish();
}
END_TEST

START_TEST(test_atomic_has_one_phase)
{
	start(FTR_POKE_ATOMIC, live_sites, 5);
	visitor_start(&visitor);
	attach_and_visit(ftr_group_attach);
	ck_assert_uint_eq(phases_seen, 1u << FTR__PHASE_HEADS);
	ck_assert_uint_eq(seen_a[FTR__PHASE_HEADS], 5);
	ck_ok(ftr_group_detach(group_a));
	visitor_stop(&visitor);
	finish();
}
END_TEST

/* --- a late trap --------------------------------------------------------------------------- */

static sem_t trapped, look_up;

static void hold_trapped(uintptr_t addr)
{
	sem_post(&trapped);
	while (sem_wait(&look_up))
		;
}

static void call_first(void *arg)
{
	ran_a = ran_b = 0;
	ck_assert_int_eq(live_sites[0](1), 2);
}

static void send_into_trap(enum ftr__batch_phase phase)
{
	if (phase != FTR__PHASE_BREAKPOINTS)
		return;
	ftr__trap_hold = hold_trapped;
	visitor_send(&visitor, call_first, NULL);
	while (sem_wait(&trapped))
		;
	ftr__trap_hold = NULL;
}

static void let_it_look(enum ftr__batch_phase phase)
{
	sem_post(&look_up);
	visitor_await(&visitor);
	seen_a[0] = ran_a;
}

static void send_result(void *arg)
{
	seen_a[0] = ran_a;
	seen_b[0] = ran_b;
}

/** A thread met a breakpoint; it comes to the handler when a batch is under way
 *  that stores: it runs what stands there now. */
START_TEST(test_late_trap_in_a_batch_of_stores)
{
	ck_assert_int_eq(sem_init(&trapped, 0, 0), 0);
	ck_assert_int_eq(sem_init(&look_up, 0, 0), 0);
	start(FTR_POKE_INT3, live_sites, 1);
	ftr__hazard_ignored = true; /* that thread is in the library's handler */
	visitor_start(&visitor);
	ftr__batch_hold = send_into_trap;
	ck_ok(ftr_group_attach(group_a));
	ftr__batch_hold = let_it_look;
	ftr__batch_set_poke(FTR_POKE_ATOMIC);
	ck_ok(exchange());
	ftr__batch_hold = NULL;
	visitor_call(&visitor, send_result, NULL);
	ck_assert_uint_eq(seen_a[0], 0);
	ck_assert_uint_eq(seen_b[0], 1);
	ck_assert_uint_eq(live_stats().traps, 1);
	ck_ok(ftr_group_detach(group_b));
	visitor_stop(&visitor);
	finish();
}
END_TEST

/* --- P4: writes that fail --------------------------------------------------------------------- */

static unsigned char kept[LIVE_SITES + PADS][5];

static const unsigned char *bytes_of(size_t i)
{
	return (const unsigned char *)(i < LIVE_SITES ? live_sites[i] : live_pads[i - LIVE_SITES]);
}

static void keep_all(void)
{
	for (size_t i = 0; i < LIVE_SITES + PADS; i++)
		memcpy(kept[i], bytes_of(i), 5);
}

static void check_all(int nth)
{
	for (size_t i = 0; i < LIVE_SITES + PADS; i++)
		ck_assert_msg(!memcmp(kept[i], bytes_of(i), 5), "write %d: place %zu changed", nth,
			      i);
}

static int go_attach(void)
{
	return ftr_group_attach(group_a);
}

static int go_detach(void)
{
	return ftr_group_detach(group_b);
}

/** Fail each write in turn, until the batch comes through; how many there are.
 *  The first is the mprotect: what takes its place is another test's. */
static int fail_each_write(int (*go)(void))
{
	int nth = 2, result;

	keep_all();
	for (;; nth++) {
		ck_assert_int_lt(nth, 2000);
		ftr__text_fail_after = nth;
		result = go();
		ck_assert_msg(result < 0 || ftr__text_fail_after, "a failed write went unnoticed");
		ftr__text_fail_after = 0;
		if (!result)
			return nth - 2;
		ck_assert_int_eq(result, -EACCES);
		check_all(nth);
		ck_assert(!ftr__batch_stuck);
	}
}

/* How many sites the strategy can do, and how many passes it takes for one run
 * of sites. */
static const struct {
	unsigned poke;
	size_t sites;
	int writes;
} failures[] = {
	{ FTR_POKE_INT3, LIVE_SITES, 3 },
	{ FTR_POKE_ATOMIC, 5, 1 },
	{ FTR_POKE_SKIP, 7, 3 },
	{ FTR_POKE_AUTO, LIVE_SITES, 3 },
};
enum { FAILURES = sizeof(failures) / sizeof(failures[0]) };

START_TEST(test_failed_write_is_rolled_back)
{
	unsigned poke = failures[_i].poke;
	struct ftr_group *other = NULL;

	start(poke, live_sites, failures[_i].sites);
	/* One site that has another set: what lies before it is written, and has
	 * to be taken back, when a later write fails. */
	if (poke != FTR_POKE_SKIP)
		other = live_attach("c", handler_c, NULL, 0, live_sites[2]);
	ck_assert_int_ge(fail_each_write(go_attach), failures[_i].writes);
	/* Skip is no way from call to call. */
	ftr__batch_set_poke(poke == FTR_POKE_SKIP ? FTR_POKE_INT3 : poke);
	ck_assert_int_ge(fail_each_write(exchange), failures[_i].writes);
	ftr__batch_set_poke(poke);
	ck_assert_int_ge(fail_each_write(go_detach), failures[_i].writes);
	if (other)
		live_drop(other);
	for (size_t i = 0; i < LIVE_SITES; i++)
		ck_assert(live_idle(live_sites[i]));
	finish();
}
END_TEST

/** Pads made one nop before they get normal are pads again. */
START_TEST(test_failed_write_to_pads)
{
	start(_i ? FTR_POKE_SKIP : FTR_POKE_INT3, live_pads, 5);
	/* As many spans as pads: in each of the passes each may fail. */
	keep_all();
	for (int nth = 2;; nth++) {
		int result;

		ck_assert_int_lt(nth, 2000);
		ftr__text_fail_after = nth;
		result = ftr_group_attach(group_a);
		ftr__text_fail_after = 0;
		if (!result)
			break;
		ck_assert_int_eq(result, -EACCES);
		/* Those that got normal in time stay so: each is a pad or a nop. */
		for (size_t i = 0; i < 5; i++)
			ck_assert(live_idle(live_pads[i]) ||
				  !memcmp(kept[LIVE_SITES + i], (const void *)live_pads[i], 5));
	}
	ck_ok(ftr_group_detach(group_a));
	finish();
	check_all(0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("strategies");
	TCase *loops = tcase_create("loops");

	tcase_set_timeout(loops, 60);
	tcase_add_loop_test(loops, test_way_of_one_site, 0, CHOICES);
	tcase_add_loop_test(loops, test_text_not_writable_now, FTR_POKE_ATOMIC, FTR_POKE_SKIP + 1);
	tcase_add_loop_test(loops, test_text_not_writable_now, FTR_POKE_AUTO, FTR_POKE_AUTO + 1);
	tcase_add_loop_test(loops, test_forced_strategy_refuses, FTR_POKE_ATOMIC,
			    FTR_POKE_SKIP + 1);
	tcase_add_loop_test(loops, test_forced_strategy_in_part, FTR_POKE_ATOMIC,
			    FTR_POKE_SKIP + 1);
	tcase_add_loop_test(loops, test_forced_strategy_on_pads, FTR_POKE_ATOMIC,
			    FTR_POKE_SKIP + 1);
	tcase_add_loop_test(loops, test_forced_strategy_refuses_a_pad, FTR_POKE_ATOMIC,
			    FTR_POKE_SKIP + 1);
	tcase_add_loop_test(loops, test_failed_write_is_rolled_back, 0, FAILURES);
	tcase_add_loop_test(loops, test_failed_write_to_pads, 0, 2);
	suite_add_tcase(suite, loops);
	LIVE_CASE(suite, test_auto_without_documented_stores, 30);
	LIVE_CASE(suite, test_mixed_batch, 30);
	LIVE_CASE(suite, test_other_writer_takes_breakpoints, 30);
	LIVE_CASE(suite, test_skip_is_no_way_from_call_to_call, 30);
	LIVE_CASE(suite, test_skip_in_each_phase, 30);
	LIVE_CASE(suite, test_atomic_has_one_phase, 30);
	LIVE_CASE(suite, test_late_trap_in_a_batch_of_stores, 30);
	return live_main(suite);
}
