/* SPDX-License-Identifier: MIT */
/*
 * R6: what is refused to threads with a hardware shadow stack, and what works for
 * them.  No such thread is needed: the question whether the calling one is has the
 * test's answer.
 */
#include "tests/live/hooks.h"

#include <stdlib.h>

static bool shadowed;

bool __wrap_ftr__x86_shadow_stack(void);
bool __wrap_ftr__x86_shadow_stack(void)
{
	return shadowed;
}

static int count(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group, struct ftr_regs *regs)
{
	++*(unsigned *)ftr_group_data(group);
	return 0;
}

START_TEST(test_exits_and_changed_returns_are_refused)
{
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;
	struct ftr_group *group = NULL;

	shadowed = true;
	options.exit = hook_exit;
	ck_fails(ftr_group_new(&group, &options), -EOPNOTSUPP);
	options.exit = NULL;
	options.entry = count;
	options.flags = FTR_GROUP_IPMODIFY;
	ck_fails(ftr_group_new(&group, &options), -EOPNOTSUPP);
	ck_assert_ptr_null(group);
	options.flags = 0;
	ck_ok(ftr_group_new(&group, &options));
	ck_ok(ftr_group_free(group));
}
END_TEST

/** At which offsets of a cache line the strategy serves. */
static const struct {
	const char *strategy;
	unsigned site;
	int result;
} cases[] = {
	{ "auto", 0, 0 },	     { "auto", 4, 0 },		 { "atomic", 0, 0 },
	{ "skip", 6, 0 },	     { "auto", 6, 0 },		 { "int3", 0, -EOPNOTSUPP },
	{ "auto", 63, -EOPNOTSUPP }, { "int3", 63, -EOPNOTSUPP },
};
enum { CASES = sizeof(cases) / sizeof(cases[0]) };

START_TEST(test_entries_work_without_breakpoints)
{
	live_fn site = live_sites[cases[_i].site];
	unsigned calls = 0;
	struct ftr_group *group;
	int result;

	live_poke(cases[_i].strategy);
	ck_ok(ftr_init(NULL));
	shadowed = true;
	group = live_group("entry", count, &calls, 0);
	live_hold(group, &site, 1);
	result = ftr_group_attach(group);
	ck_assert_msg(result == cases[_i].result, "%s at %u: %d: %s", cases[_i].strategy,
		      cases[_i].site, result, ftr_last_error());
	ck_assert_int_eq(live_idle(site), result != 0);
	ck_assert_int_eq(site(1), 2);
	ck_assert_uint_eq(calls, result == 0);
	ck_assert_uint_eq(live_stats().pokes_int3, 0);
	if (!result)
		ck_ok(ftr_group_detach(group));
	ck_assert(live_idle(site));
	ck_ok(ftr_group_free(group));
}
END_TEST

/* --- probes ---------------------------------------------------------------------- */

static struct ftr_probe *new_probe(uintptr_t at, ftr_pre_fn pre, unsigned *calls)
{
	struct ftr_probe_options options = FTR_PROBE_OPTIONS_INIT;
	struct ftr_probe *probe;

	options.addr = at;
	options.pre = pre;
	options.data = calls;
	ck_ok(ftr_probe_new(&probe, &options));
	return probe;
}

static int pre_count(struct ftr_probe *probe, struct ftr_regs *regs)
{
	++*(unsigned *)ftr_probe_data(probe);
	return 0;
}

/* A moved call is a push and a jump. */
START_TEST(test_breakpoints_of_probes_are_refused)
{
	unsigned calls = 0;
	live_fn site = live_sites[0];
	struct ftr_probe *probe = new_probe((uintptr_t)site + 5, pre_count, &calls);

	ck_assert_int_eq(ftr_probe_kind(probe), FTR_PROBE_BREAKPOINT);
	shadowed = true;
	ck_fails(ftr_probe_enable(probe), -EOPNOTSUPP);
	ck_assert_int_eq(site(1), 2);
	ck_assert_uint_eq(calls, 0);
	shadowed = false;
	ck_ok(ftr_probe_enable(probe));
	ck_assert_int_eq(site(1), 2);
	ck_assert_uint_eq(calls, 1);
	ck_ok(ftr_probe_disable(probe));
	ck_ok(ftr_probe_free(probe));
}
END_TEST

static long elsewhere(void)
{
	return 100;
}

static int pre_go(struct ftr_probe *probe, struct ftr_regs *regs)
{
	++*(unsigned *)ftr_probe_data(probe);
	ck_assert_int_eq(ftr_regs_set_ip(regs, (uintptr_t)elsewhere), shadowed ? -EPERM : 0);
	return 1;
}

/* By its call, which returns where it is to. */
START_TEST(test_probes_ride_on_sites)
{
	unsigned calls = 0;
	live_fn site = live_sites[0];
	struct ftr_probe *probe;

	live_poke("atomic");
	probe = new_probe((uintptr_t)site, pre_go, &calls);
	shadowed = true;
	ck_assert_int_eq(ftr_probe_kind(probe), FTR_PROBE_SITE);
	ck_ok(ftr_probe_enable(probe));
	ck_assert_int_eq(site(1), 2);
	ck_assert_uint_eq(calls, 1);
	shadowed = false;
	ck_assert_int_eq(site(1), 100);
	ck_ok(ftr_probe_disable(probe));
	ck_assert(live_idle(site));
	ck_ok(ftr_probe_free(probe));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("shadow");

	LIVE_CASE(suite, test_exits_and_changed_returns_are_refused, 10);
	LIVE_CASE(suite, test_breakpoints_of_probes_are_refused, 10);
	LIVE_CASE(suite, test_probes_ride_on_sites, 10);
	LIVE_LOOP(suite, test_entries_work_without_breakpoints, 0, CASES, 10);
	return live_main(suite);
}
