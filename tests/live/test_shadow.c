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

int main(void)
{
	Suite *suite = suite_create("shadow");

	LIVE_CASE(suite, test_exits_and_changed_returns_are_refused, 10);
	LIVE_LOOP(suite, test_entries_work_without_breakpoints, 0, CASES, 10);
	return live_main(suite);
}
