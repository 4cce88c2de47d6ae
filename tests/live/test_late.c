/* SPDX-License-Identifier: MIT */
/*
 * H8, P2, P9: a thread that is late.  It is parked before each single
 * instruction on the way from a site to the handlers and back, one after the
 * other, and the world is changed behind its back:
 *
 *  - a group is detached, and its data unmapped as soon as detach has returned
 *    0: its handler must not begin, nor go on, after that;
 *  - two groups are exchanged: exactly one of them must run;
 *  - the slot it stands in is left, and many sets come and go: no stranger's
 *    handler may run;
 *
 * and all the while another group on the same site must run exactly once.
 */
#include "tests/live/step.h"

#include <stdlib.h>
#include <sys/mman.h>

/** Written by the stepped thread, read when it has ended. */
static unsigned ran_a, ran_b, ran_c, ran_stranger;
/* The handler was entered, or went on, when detach had returned 0. */
static unsigned broken_promises;
static atomic_bool off;

static int handler_a(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		     struct ftr_regs *regs)
{
	volatile unsigned long *data = ftr_group_data(group);

	broken_promises += atomic_load(&off);
	ran_a += *data == 1;
	broken_promises += atomic_load(&off);
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
	ran_c++;
	return 0;
}

static int handler_stranger(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			    struct ftr_regs *regs)
{
	ran_stranger++;
	return 0;
}

enum { MAX_STEPS = 20000 };

static live_fn site;
static struct ftr_group *group_a, *group_b, *group_c;
static unsigned long *page;

/* Which callers and which order: bits of the loop's index; and a thread that the
 * library meets for the first time. */
enum { A_REGS = 1, C_REGS = 2, C_NEWER = 4, FRESH = 8, VARIANTS = 9 };

/* Each instruction with the two extreme mixtures; a third of them with the
 * others; some of the many that a fresh thread runs. */
static unsigned long next_nth(unsigned long nth, unsigned variant)
{
	if (variant & FRESH)
		return nth + 1 + nth / 4;
	return nth < 4 || variant == 0 || variant == 7 ? nth + 1 : nth + 3;
}

static void page_map(void)
{
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(page, MAP_FAILED);
	*page = 1;
}

static void start(unsigned variant)
{
	struct ftr_options options = FTR_OPTIONS_INIT;

	options.detach_timeout_ms = 1;
	step_install(0);
	ck_ok(ftr_init(&options));
	/* The parked thread blocks SIGTRAP: a site that needs no breakpoint. */
	site = live_sites[4];
	group_b = live_group("b", handler_b, NULL, variant & A_REGS ? FTR_GROUP_REGS : 0);
	group_c = live_group("c", handler_c, NULL, variant & C_REGS ? FTR_GROUP_REGS : 0);
	live_hold(group_b, &site, 1);
	live_hold(group_c, &site, 1);
}

/** Both groups on, in this order. */
static void attach_both(unsigned variant)
{
	page_map();
	group_a = live_group("a", handler_a, page, variant & A_REGS ? FTR_GROUP_REGS : 0);
	live_hold(group_a, &site, 1);
	if (variant & C_NEWER)
		ck_ok(ftr_group_attach(group_a));
	ck_ok(ftr_group_attach(group_c));
	if (!(variant & C_NEWER))
		ck_ok(ftr_group_attach(group_a));
	ran_a = ran_b = ran_c = ran_stranger = broken_promises = 0;
	atomic_store(&off, false);
}

/** A is off and no one is in it. */
static void unmap_a(void)
{
	atomic_store(&off, true);
	ck_assert_int_eq(munmap(page, 4096), 0);
}

static void free_a(int result)
{
	if (result) {
		ck_ok(ftr_group_detach(group_a));
		unmap_a();
	}
	ck_ok(ftr_group_free(group_a));
	ck_ok(ftr_group_detach(group_c));
}

static void check_call(unsigned long nth, long result)
{
	ck_assert_msg(result == 2, "at %lu: the function returned %ld", nth, result);
	ck_assert_msg(ran_c == 1, "at %lu: the bystander ran %u times", nth, ran_c);
	ck_assert_msg(!broken_promises, "at %lu: the handler ran after detach", nth);
	ck_assert_msg(!ran_stranger, "at %lu: a stranger's handler ran", nth);
}

/** Park before the nth instruction; false: there are not that many. */
static bool park_nth(struct step *step, unsigned long nth, unsigned variant)
{
	memset(step, 0, sizeof(*step));
	step->at = step_park_nth;
	step->nth = nth;
	step->fresh = variant & FRESH;
	return step_start(step, site, 1);
}

/* 0, or -ETIMEDOUT where the thread was inside. */
static bool detached(unsigned long nth, int result)
{
	ck_assert_msg(result == 0 || result == -ETIMEDOUT, "at %lu: %d: %s", nth, result,
		      ftr_last_error());
	return result == 0;
}

START_TEST(test_detach_at_each_instruction)
{
	unsigned long nth = 0, waited = 0, outside = 0;
	bool more = true;

	for (start(_i); more; nth = next_nth(nth, _i)) {
		struct step step;
		long returned;
		int result;

		ck_assert_uint_lt(nth, MAX_STEPS);
		attach_both(_i);
		more = park_nth(&step, nth, _i);
		result = ftr_group_detach(group_a);
		if (detached(nth, result))
			unmap_a();
		waited += result != 0;
		outside += result == 0;
		/* Not begun yet: the site itself, and the first in the slot. */
		ck_assert(nth > 1 || result == 0);
		returned = step_finish(&step);
		check_call(nth, returned);
		ck_assert(nth > 1 || !ran_a);
		ck_assert(more || ran_a == 1);
		free_a(result);
	}
	ck_assert_uint_gt(waited, 0);
	ck_assert_uint_gt(outside, 3);
}
END_TEST

START_TEST(test_exchange_at_each_instruction)
{
	unsigned long nth = 0;
	bool more = true;

	for (start(_i); more; nth = next_nth(nth, _i)) {
		struct step step;
		long returned;
		int result;

		ck_assert_uint_lt(nth, MAX_STEPS);
		attach_both(_i);
		more = park_nth(&step, nth, _i);
		result = ftr_group_update(&group_b, 1, &group_a, 1);
		if (detached(nth, result))
			unmap_a();
		returned = step_finish(&step);
		check_call(nth, returned);
		ck_assert_msg(ran_a + ran_b == 1, "at %lu: A ran %u times, B %u", nth, ran_a,
			      ran_b);
		free_a(result);
		ck_ok(ftr_group_detach(group_b));
	}
}
END_TEST

START_TEST(test_attach_at_each_instruction)
{
	unsigned long nth = 0;
	bool more = true;

	for (start(_i); more; nth = next_nth(nth, _i)) {
		struct step step;
		long returned;

		ck_assert_uint_lt(nth, MAX_STEPS);
		ck_ok(ftr_group_attach(group_c));
		ran_b = ran_c = broken_promises = 0;
		more = park_nth(&step, nth, _i);
		ck_ok(ftr_group_attach(group_b));
		returned = step_finish(&step);
		check_call(nth, returned);
		ck_assert_uint_le(ran_b, 1);
		ck_assert(nth || ran_b == 1);
		ck_assert(more || !ran_b);
		ck_ok(ftr_group_detach(group_b));
		ck_ok(ftr_group_detach(group_c));
	}
}
END_TEST

/* --- slots that are left and taken again ------------------------------------ */

enum { STRANGERS = 6, CYCLES = 40 };

/** Many sets come and go: all mixtures of some groups, over all sites. */
static void churn_sets(void)
{
	struct ftr_group *strangers[STRANGERS];
	size_t i, cycle;

	for (i = 0; i < STRANGERS; i++)
		strangers[i] = live_group("stranger", handler_stranger, NULL, 0);
	for (cycle = 0; cycle < CYCLES; cycle++) {
		for (i = 0; i < STRANGERS; i++) {
			/* Not the late thread's own site, which is number 63. */
			live_hold(strangers[i], live_sites + i, 40 - 5 * i);
			ck_ok(ftr_group_attach(strangers[i]));
		}
		for (i = 0; i < STRANGERS; i++)
			ck_ok(ftr_group_detach(strangers[(i * 5 + cycle) % STRANGERS]));
	}
	for (i = 0; i < STRANGERS; i++)
		ck_ok(ftr_group_free(strangers[i]));
}

START_TEST(test_no_strangers_handler_from_a_left_slot)
{
	unsigned long nth;
	int result = 0;

	start(0);
	for (nth = 1; result == 0; nth++) {
		struct step step;

		attach_both(0);
		ck_assert(park_nth(&step, nth, 0));
		result = ftr_group_detach(group_a);
		if (!detached(nth, result)) {
			step_finish(&step);
			break;
		}
		unmap_a();
		/* C's own set goes too: the late thread runs nothing then. */
		ck_ok(ftr_group_detach(group_c));
		churn_sets();
		ck_assert_int_eq(step_finish(&step), 2);
		ck_assert_uint_eq(ran_a + ran_c + ran_stranger + broken_promises, 0);
		ck_ok(ftr_group_free(group_a));
	}
	ck_assert_uint_gt(nth, 2);
	free_a(result);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("late");

	LIVE_LOOP(suite, test_detach_at_each_instruction, 0, VARIANTS, 120);
	LIVE_LOOP(suite, test_exchange_at_each_instruction, 0, VARIANTS, 120);
	LIVE_LOOP(suite, test_attach_at_each_instruction, 0, VARIANTS, 120);
	LIVE_CASE(suite, test_no_strangers_handler_from_a_left_slot, 120);
	return live_main(suite);
}
