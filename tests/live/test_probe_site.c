/* SPDX-License-Identifier: MIT */
/*
 * B2, H2, H4, H10: probes that ride on sites: the same pt_regs as by a breakpoint,
 * beside groups in any order, and no trap.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/live/probed.h"

static unsigned long pres, posts, calls, exits;
static struct pt_regs pre_regs, post_regs, group_regs;

static int pre_look(struct ftr_probe *probe, struct ftr_regs *regs)
{
	pres++;
	pre_regs = *ftr_regs_pt_regs(regs);
	return 0;
}

static void post_look(struct ftr_probe *probe, struct ftr_regs *regs)
{
	posts++;
	post_regs = *ftr_regs_pt_regs(regs);
}

static int entry_look(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		      struct ftr_regs *regs)
{
	calls++;
	if (ftr_regs_pt_regs(regs))
		group_regs = *ftr_regs_pt_regs(regs);
	return 0;
}

static const void *site_at(int i)
{
	return (const void *)(uintptr_t)live_sites[i];
}

/* Behind the site's nop. */
static const void *behind(int i)
{
	return (const char *)site_at(i) + 5;
}

enum { SITE = 17 };

/* No breakpoint, no trap; ip before and behind. */
START_TEST(test_site_is_reached_by_its_call)
{
	struct ftr_probe *probe = probe_at(site_at(SITE), pre_look, post_look, NULL, 0);
	struct ftr_stats before;

	ck_assert_int_eq(ftr_probe_kind(probe), FTR_PROBE_SITE);
	ck_ok(ftr_probe_enable(probe));
	ck_assert_uint_ne(probed_byte(site_at(SITE)), 0xcc);
	before = live_stats();
	ck_assert_int_eq(live_sites[SITE](4), 5);
	ck_assert_uint_eq(live_stats().traps, before.traps);
	ck_assert_uint_eq(pres, 1);
	ck_assert_uint_eq(posts, 1);
	ck_assert_uint_eq(ftr_probe_hits(probe), 1);
	ck_assert_uint_eq((uintptr_t)pre_regs.PT_IP, (uintptr_t)site_at(SITE));
	ck_assert_uint_eq((uintptr_t)post_regs.PT_IP, (uintptr_t)behind(SITE));
	ck_assert_int_eq((long)pre_regs.PT_ORIG, -1);
	ck_assert_int_eq(ftr_site_groups(ftr_site_find((uintptr_t)site_at(SITE)), NULL, 0), 0);
	probe_off(probe);
	ck_assert(live_idle(live_sites[SITE]));
	ck_assert_int_eq(live_sites[SITE](4), 5);
	ck_assert_uint_eq(pres, 1);
}
END_TEST

/* Inside of it nothing begins. */
START_TEST(test_inside_of_a_site)
{
	int i;

	for (i = 1; i < 5; i++) {
		struct ftr_probe_options options = FTR_PROBE_OPTIONS_INIT;
		struct ftr_probe *probe;
		options.addr = (uintptr_t)site_at(SITE) + (unsigned)i;
		options.pre = pre_look;
		options.flags = FTR_PROBE_FORCE;
		ck_fails(ftr_probe_new(&probe, &options), -EINVAL);
	}
	probe_off(probe_on(behind(SITE), pre_look, NULL, NULL));
}
END_TEST

/* What handlers saw in the i-th way: a site, a breakpoint, both with a group. */
static void visit(int i, struct pt_regs *seen)
{
	struct ftr_probe *probe = probe_at(i ? behind(SITE) : site_at(SITE), pre_look, NULL, NULL, 0);
	struct ftr_group *group = live_group("regs", entry_look, NULL, FTR_GROUP_REGS);

	live_hold(group, &live_sites[SITE], 1);
	ck_ok(ftr_probe_enable(probe));
	if (i == 2)
		ck_ok(ftr_group_attach(group));
	/* With the same registers and stack each time. */
	probed_call(live_sites[SITE]);
	*seen = pre_regs;
	if (i == 2)
		ck_ok(ftr_group_detach(group));
	ck_ok(ftr_group_free(group));
	probe_off(probe);
}

/* H2: but for ip, as it says. */
START_TEST(test_same_registers_however_it_is_reached)
{
	struct pt_regs seen[3];
	int i;

	for (i = 0; i < 3; i++)
		visit(i, &seen[i]);
	ck_assert_uint_eq(calls, 1);
	ck_assert_uint_eq((uintptr_t)seen[0].PT_IP, (uintptr_t)site_at(SITE));
	ck_assert_uint_eq((uintptr_t)seen[1].PT_IP, (uintptr_t)behind(SITE));
	ck_assert_uint_eq((uintptr_t)group_regs.PT_IP, (uintptr_t)behind(SITE));
	ck_assert_mem_eq(&seen[1], &seen[2], sizeof(seen[1]));
	seen[0].PT_IP = seen[1].PT_IP;
	ck_assert_mem_eq(&seen[0], &seen[1], sizeof(seen[0]));
	ck_assert_mem_eq(&group_regs, &seen[1], sizeof(group_regs));
}
END_TEST

/* --- beside groups ------------------------------------------------------------------ */

static char order[64];

static void note(char c)
{
	size_t n = strlen(order);

	order[n] = c;
	order[n + 1] = 0;
}

static int pre_note(struct ftr_probe *probe, struct ftr_regs *regs)
{
	note(*(const char *)ftr_probe_data(probe));
	return 0;
}

static int entry_note(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		      struct ftr_regs *regs)
{
	note(*(const char *)ftr_group_data(group));
	return 0;
}

static void expect_order(const char *expected)
{
	order[0] = 0;
	ck_assert_int_eq(live_sites[SITE](1), 2);
	ck_assert_str_eq(order, expected);
}

START_TEST(test_probes_and_groups_in_any_order)
{
	struct ftr_probe *p = probe_on(site_at(SITE), pre_note, NULL, "p"), *q;
	struct ftr_group *g, *h;

	expect_order("p");
	g = live_attach("g", entry_note, "g", 0, live_sites[SITE]);
	expect_order("gp");
	q = probe_on(site_at(SITE), pre_note, NULL, "q");
	expect_order("qgp");
	h = live_attach("h", entry_note, "h", FTR_GROUP_IPMODIFY | FTR_GROUP_REGS,
			live_sites[SITE]);
	expect_order("hqgp");
	ck_assert_int_eq(ftr_site_groups(ftr_site_find((uintptr_t)site_at(SITE)), NULL, 0), 2);
	ck_ok(ftr_probe_disable(p));
	expect_order("hqg");
	ck_ok(ftr_group_detach(g));
	expect_order("hq");
	ck_ok(ftr_probe_enable(p));
	expect_order("phq");
	ck_ok(ftr_group_detach(h));
	probe_off(q);
	expect_order("p");
	ck_ok(ftr_group_attach(g));
	probe_off(p);
	expect_order("g");
	live_drop(g);
	ck_ok(ftr_group_free(h));
	expect_order("");
	ck_assert(live_idle(live_sites[SITE]));
}
END_TEST

static int pre_override(struct ftr_probe *probe, struct ftr_regs *regs)
{
	pres++;
	ck_assert_int_eq(ftr_regs_override_return(regs, 77), 0);
	return *(int *)ftr_probe_data(probe);
}

/* Non-zero goes elsewhere, beside groups that see it all; 0 does not. */
START_TEST(test_pre_goes_elsewhere)
{
	int result = 0;
	struct ftr_probe *probe = probe_on(site_at(SITE), pre_override, post_look, &result);
	struct ftr_group *group;

	/* The value stays set, of no effect. */
	ck_assert_int_eq(live_sites[SITE](1), 2);
	ck_assert_uint_eq(posts, 1);
	result = 1;
	ck_assert_int_eq(live_sites[SITE](1), 77);
	ck_assert_uint_eq(posts, 1);
	group = live_attach("g", entry_look, NULL, 0, live_sites[SITE]);
	ck_assert_int_eq(live_sites[SITE](1), 77);
	ck_assert_uint_eq(calls, 1);
	live_drop(group);
	group = live_attach("regs", entry_look, NULL, FTR_GROUP_REGS, live_sites[SITE]);
	ck_assert_int_eq(live_sites[SITE](1), 77);
	ck_assert_uint_eq(calls, 2);
	live_drop(group);
	probe_off(probe);
	ck_assert_int_eq(live_sites[SITE](1), 2);
}
END_TEST

static void exit_look(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		      struct ftr_regs *regs)
{
	exits++;
}

/* A site that goes by a jump, for an exit handler is there. */
START_TEST(test_beside_exit_handlers)
{
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;
	struct ftr_probe *probe = probe_on(site_at(SITE), pre_look, post_look, NULL);
	struct ftr_group *group;
	int goes = 1;

	options.entry = entry_look;
	options.exit = exit_look;
	ck_ok(ftr_group_new(&group, &options));
	live_hold(group, &live_sites[SITE], 1);
	ck_ok(ftr_group_attach(group));
	ck_assert_int_eq(live_sites[SITE](4), 5);
	ck_assert_uint_eq(pres + posts + calls + exits, 4);
	ck_assert_uint_eq((uintptr_t)pre_regs.PT_IP, (uintptr_t)site_at(SITE));
	ck_assert_uint_eq((uintptr_t)post_regs.PT_IP, (uintptr_t)behind(SITE));
	probe_off(probe);
	ck_assert_int_eq(live_sites[SITE](4), 5);
	ck_assert_uint_eq(pres + posts + calls + exits, 6);
	probe = probe_on(site_at(SITE), pre_override, NULL, &goes);
	ck_assert_int_eq(live_sites[SITE](4), 77);
	ck_assert_uint_eq(pres + posts + calls + exits, 9);
	probe_off(probe);
	live_drop(group);
}
END_TEST

/* Breakpoints in the body and groups on the site know nothing of each other. */
START_TEST(test_body_beside_groups)
{
	struct ftr_probe *probe = probe_on(behind(SITE), pre_look, post_look, NULL);
	unsigned long round, rounds = live_rounds(200);
	struct ftr_group *group = live_group("g", entry_look, NULL, 0);

	live_hold(group, &live_sites[SITE], 1);
	for (round = 0; round < rounds; round++) {
		ck_ok(ftr_group_attach(group));
		ck_assert_int_eq(live_sites[SITE](1), 2);
		if (round % 2)
			ck_ok(ftr_probe_disable(probe));
		ck_ok(ftr_group_detach(group));
		ck_assert_int_eq(live_sites[SITE](1), 2);
		if (round % 2)
			ck_ok(ftr_probe_enable(probe));
	}
	ck_assert_uint_eq(calls, rounds);
	ck_assert_uint_eq(pres, rounds + rounds / 2 + rounds % 2);
	ck_assert_uint_eq(posts, pres);
	ck_ok(ftr_group_free(group));
	probe_off(probe);
}
END_TEST

/* A mixed list, in which one can't be. */
START_TEST(test_sites_and_breakpoints_together)
{
	struct ftr_probe *list[] = { probe_at(site_at(SITE), pre_look, NULL, NULL, 0),
				     probe_at(behind(SITE), pre_look, NULL, NULL, 0),
				     probe_at(probed_add_middle, pre_look, NULL, NULL, 0) };
	unsigned char found = probed_byte(probed_add_middle);
	size_t i;

	ck_ok(ftr_probe_enable_many(list, 3));
	ck_assert_int_eq(live_sites[SITE](1) + probed_add(1), 6);
	ck_assert_uint_eq(pres, 3);
	ck_ok(ftr_probe_disable_many(list, 3));
	live_write_text(probed_add_middle, 0x90);
	ck_fails(ftr_probe_enable_many(list, 3), -EILSEQ);
	ck_assert(live_idle(live_sites[SITE]));
	ck_assert_int_eq(live_sites[SITE](1), 2);
	ck_assert_uint_eq(pres, 3);
	live_write_text(probed_add_middle, found);
	ck_ok(ftr_probe_enable_many(list, 3));
	ck_ok(ftr_shutdown());
	ck_assert(live_idle(live_sites[SITE]));
	for (i = 0; i < 3; i++)
		ck_ok(ftr_probe_free(list[i]));
}
END_TEST

#ifdef __i386__
/* The other layout of pt_regs has no place for it. */
START_TEST(test_beside_the_other_layout)
{
	struct ftr_probe *probe = probe_at(site_at(SITE), pre_look, NULL, NULL, 0);
	struct ftr_group *group = live_attach("overlay", entry_look, NULL, FTR_GROUP_SP_OVERLAY,
					      live_sites[SITE]);

	ck_fails(ftr_probe_enable(probe), -EBUSY);
	live_drop(group);
	ck_ok(ftr_probe_enable(probe));
	probe_off(probe);
}
END_TEST
#endif

int main(void)
{
	Suite *suite = suite_create("probe site");

	LIVE_CASE(suite, test_site_is_reached_by_its_call, 10);
	LIVE_CASE(suite, test_inside_of_a_site, 10);
	LIVE_CASE(suite, test_same_registers_however_it_is_reached, 10);
	LIVE_CASE(suite, test_probes_and_groups_in_any_order, 10);
	LIVE_CASE(suite, test_pre_goes_elsewhere, 10);
	LIVE_CASE(suite, test_beside_exit_handlers, 10);
	LIVE_CASE(suite, test_body_beside_groups, 30);
	LIVE_CASE(suite, test_sites_and_breakpoints_together, 10);
#ifdef __i386__
	LIVE_CASE(suite, test_beside_the_other_layout, 10);
#endif
	return live_main(suite);
}
