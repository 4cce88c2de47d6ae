/* SPDX-License-Identifier: MIT */
/*
 * H1, H2, H5, H6: what handlers see of the registers, by call and by trap; and
 * that nothing else changes: by each caller, with each choice of vectors, for
 * each CPU, with one group and with two.
 */
#include "tests/live/regs.h"

#include <stdio.h>

static struct regs_cell cells[2], kept;
static struct role roles[2];
static size_t groups_now;

/* What the first group saw by the first way, to compare the others with. */
static struct view first_views[REGS_ROUNDS];

/* H2: all of it, but for what a newer group's handler left in mxcsr. */
static void expect_same_view(enum regs_way way, unsigned round)
{
	if (cells[0].beside)
		roles[0].view.mxcsr &= ~(uint32_t)MXCSR_STATUS;
	if (way == BY_TRAP_ATTACHING)
		first_views[round] = roles[0].view;
	else if (memcmp(&first_views[round], &roles[0].view, sizeof(struct view)))
		regs_wrong("round %u: not the view that the trap gave", round);
}

static void one_round(enum regs_way way, unsigned round)
{
	size_t i;

	for (i = 0; i < groups_now; i++)
		memset(&roles[i].view, 0, sizeof(roles[i].view));
	regs_round(round);
	regs_call();
	for (i = 0; i < groups_now; i++)
		regs_expect_view(&cells[i], &roles[i].view);
	regs_expect(&kept, &regs_in);
	expect_same_view(way, round);
}

static void all_rounds(enum regs_way way)
{
	unsigned round;

	for (round = 0; round < REGS_ROUNDS; round++)
		one_round(way, round);
}

/** Groups of the kinds in cells[]; a site keeps what `kept` keeps. */
static void expect_seen_and_kept(size_t n)
{
	struct ftr_group *groups[2];
	size_t i;

	groups_now = n;
	cells[0].beside = cells[1].beside = n > 1;
	memset(roles, 0, sizeof(roles));
	for (i = 0; i < n; i++)
		groups[i] = regs_group(regs_site, regs_handler(&cells[i]), &roles[i],
				       cells[i].flags);
	regs_ways(groups, n, REGS_ROUNDS, all_rounds);
	for (i = 0; i < n; i++) {
		ck_assert_uint_eq(roles[i].count, REGS_WAYS * REGS_ROUNDS);
		ck_ok(ftr_group_free(groups[i]));
	}
}

/* _i: the cell. */
START_TEST(test_seen_and_kept)
{
	cells[0] = cells[1] = kept = regs_start(_i);
	expect_seen_and_kept(1);
	expect_seen_and_kept(2);
}
END_TEST

/** Each kind beside each other: everyone gets what he asked for, and not more. */
START_TEST(test_kinds_side_by_side)
{
	int widest = regs_cells() - REGS_KINDS;

	cells[0] = regs_start(widest + _i % REGS_KINDS);
	cells[1] = regs_start(widest + _i / REGS_KINDS);
	cells[0].mixed = cells[1].mixed = true;
	kept = cells[cells[0].mode < cells[1].mode];
	expect_seen_and_kept(2);
}
END_TEST

/** A group that comes and goes beside another changes what the other is given
 *  while it runs, and the pt_regs stay where they were asked for. */
START_TEST(test_kinds_come_and_go)
{
	int widest = regs_cells() - REGS_KINDS;
	struct ftr_group *stays, *comes;
	int other;

	kept = cells[0] = regs_start(widest + _i);
	stays = regs_group(regs_site, regs_handler(&cells[0]), &roles[0], cells[0].flags);
	ck_ok(ftr_group_attach(stays));
	for (other = 0; other < REGS_KINDS; other++) {
		cells[1] = regs_start(widest + other);
		comes = regs_group(regs_site, regs_handler(&cells[1]), &roles[1], cells[1].flags);
		ck_ok(ftr_group_attach(comes));
		cells[0].beside = cells[1].beside = true;
		cells[0].mixed = cells[1].mixed = true;
		kept = cells[cells[0].mode < cells[1].mode];
		groups_now = 2;
		one_round(BY_TRAP_ATTACHING, (unsigned)other);
		live_drop(comes);
		cells[0].beside = cells[0].mixed = false;
		kept = cells[0];
		groups_now = 1;
		one_round(BY_TRAP_ATTACHING, (unsigned)other + 32);
		regs_assert();
	}
	ck_assert_uint_eq(roles[0].count, 2 * REGS_KINDS);
	live_drop(stays);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("regs");
	TCase *pairs = tcase_create("kinds side by side");
	TCase *comings = tcase_create("kinds come and go");

	live_poke("int3"); /* traps are among the ways to a site */
	regs_case(suite, "seen and kept", test_seen_and_kept);
	tcase_set_timeout(pairs, 30);
	tcase_add_loop_test(pairs, test_kinds_side_by_side, 0, REGS_KINDS * REGS_KINDS);
	suite_add_tcase(suite, pairs);
	tcase_set_timeout(comings, 30);
	tcase_add_loop_test(comings, test_kinds_come_and_go, 0, REGS_KINDS);
	suite_add_tcase(suite, comings);
	return live_main(suite);
}
