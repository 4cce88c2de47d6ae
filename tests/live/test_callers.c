/* SPDX-License-Identifier: MIT */
/*
 * Callers, wherever their code lies: threads that are late in one keep their
 * slot (P9), where the backend makes copies a call runs the near one alone, and
 * each hands a call to all groups of a site (H10).
 */
#include "lib/slot.h"
#include "lib/thread.h"
#include "tests/live/step.h"

#include "arch.h"

#include <stdlib.h>

static _Atomic unsigned ran_own, ran_stranger;

static int handler_own(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		       struct ftr_regs *regs)
{
	atomic_fetch_add(&ran_own, 1);
	return 0;
}

static int handler_stranger(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			    struct ftr_regs *regs)
{
	atomic_fetch_add(&ran_stranger, 1);
	return 0;
}

/** What a caller saves, and so which one it is. */
static const uint32_t kinds[] = { FTR_GROUP_NO_SIMD, 0, FTR_GROUP_REGS | FTR_GROUP_NO_SIMD,
				  FTR_GROUP_REGS, FTR_GROUP_ALL_VECTORS };
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]), MAX_LATE = 256 };
/* Behind the site's call and the slot. */
enum { IN_CALLER = 1 + ARCH_SLOT_STEPS };

static live_fn site, other;

static void start(void)
{
	step_install(0);
	ck_ok(ftr_init(NULL));
	/* Parked threads block SIGTRAP: sites that need no breakpoint. */
	site = live_sites[0];
	other = live_sites[1];
}

/* --- late threads --------------------------------------------------------------- */

static unsigned long inside_at;

static void note_inside(struct step *step, uintptr_t ip)
{
	if (!inside_at && ftr__self && ftr__self->frame)
		inside_at = step->count;
}

/** How many instructions run before the thread is a reader. */
static unsigned long count_late(void)
{
	struct step step = { .at = note_inside };

	ftr_site_count(); /* the library knows the thread */
	inside_at = 0;
	ck_assert_int_eq(step_call(&step, site, 1), 2);
	ck_assert_uint_gt(inside_at, 4);
	ck_assert_uint_lt(inside_at, MAX_LATE);
	return inside_at;
}

/** More sets than the library lets wait before it looks for slots to use again. */
static void come_and_go(uint32_t flags)
{
	for (int i = 0; i < 1100; i++)
		live_drop(live_attach("stranger", handler_stranger, NULL, flags, other));
}

START_TEST(test_late_threads_keep_their_slot)
{
	static struct step steps[MAX_LATE];
	struct ftr_group *own, *strangers[8];
	unsigned long n, i;

	start();
	own = live_attach("own", handler_own, NULL, kinds[_i], site);
	n = count_late();
	/* Each before another instruction of the caller. */
	for (i = IN_CALLER; i < n; i++) {
		steps[i].at = step_park_nth;
		steps[i].nth = i;
		ck_assert(step_start(&steps[i], site, 1));
	}
	live_drop(own);
	atomic_store(&ran_own, 0);
	come_and_go(kinds[_i]);
	for (i = 0; i < 8; i++)
		strangers[i] = live_attach("stranger", handler_stranger, NULL, kinds[_i], other);
	/* Whose slot they are late in can't be told: no slot serves again. */
	ck_assert_uint_ge(ftr__slot_count(), 1100);
	for (i = IN_CALLER; i < n; i++)
		ck_assert_int_eq(step_finish(&steps[i]), 2);
	ck_assert_uint_eq(atomic_load(&ran_own), 0);
	ck_assert_uint_eq(atomic_load(&ran_stranger), 0);
	for (i = 0; i < 8; i++)
		live_drop(strangers[i]);
}
END_TEST

/* --- copies --------------------------------------------------------------------- */

enum { NEAR = 1 << 20, FIRST_SLOT = 1 };

static struct {
	uintptr_t handler;
	bool ended;
	unsigned long in_library, near;
} seen;

/** From slot to handler: only what lies beside the slot. */
static void note_where(struct step *step, uintptr_t ip)
{
	if (ip == seen.handler)
		seen.ended = true;
	if (seen.ended || ip - (uintptr_t)site < 16)
		return;
	seen.in_library += ip >= (uintptr_t)ftr__backend->callers &&
			   ip < (uintptr_t)ftr__backend->callers_end;
	seen.near += ip - ftr__slot_address(FIRST_SLOT) < NEAR;
}

START_TEST(test_a_call_runs_the_near_copy)
{
	struct step step = { .at = note_where };
	struct ftr_group *own;

	if (!ftr__backend->callers)
		return;
	start();
	own = live_attach("own", handler_own, NULL, kinds[_i], site);
	ck_assert_int_eq(site(1), 2);
	memset(&seen, 0, sizeof(seen));
	seen.handler = (uintptr_t)handler_own;
	ck_assert_int_eq(step_call(&step, site, 1), 2);
	ck_assert(seen.ended);
	ck_assert_uint_eq(seen.in_library, 0);
	ck_assert_uint_gt(seen.near, 15);
	live_drop(own);
}
END_TEST

/* --- several groups --------------------------------------------------------------- */

enum { GROUPS = 5 };

static struct {
	unsigned n;
	struct ftr_group *group[GROUPS];
	uintptr_t ip[GROUPS], parent_ip[GROUPS], arg[GROUPS];
	struct pt_regs *pt[GROUPS];
	int changed_ip;
} told;

/** Each handler finds what the one before it left. */
static __attribute__((target("general-regs-only"))) int handler_told(uintptr_t ip,
								     uintptr_t parent_ip,
								     struct ftr_group *group,
								     struct ftr_regs *regs)
{
	unsigned i = told.n++;

	if (i >= GROUPS)
		return 0;
	told.group[i] = group;
	told.ip[i] = ip;
	told.parent_ip[i] = parent_ip;
	told.pt[i] = ftr_regs_pt_regs(regs);
	told.changed_ip |= ftr_regs_set_ip(regs, 0) != -EPERM;
	told.arg[i] = *(uintptr_t *)ftr_group_data(group);
	*(uintptr_t *)ftr_group_data(group) += 1;
	return 0;
}

/** One group, two, ... of a kind on a site: newest first, each once, and no more. */
START_TEST(test_every_group_is_told)
{
	struct ftr_group *groups[GROUPS];
	uintptr_t calls = 0, parent = 0, with_regs = kinds[_i] & FTR_GROUP_REGS;

	start();
	for (unsigned n = 1; n <= GROUPS; n++) {
		groups[n - 1] = live_attach("told", handler_told, &calls, kinds[_i], site);
		memset(&told, 0, sizeof(told));
		calls = 0;
		ck_assert_int_eq(site(1), 2);
		ck_assert_uint_eq(told.n, n);
		for (unsigned i = 0; i < n; i++) {
			ck_assert_ptr_eq(told.group[i], groups[n - 1 - i]);
			ck_assert_uint_eq(told.ip[i], told.ip[0]);
			ck_assert_uint_eq(told.parent_ip[i], told.parent_ip[0]);
			ck_assert_uint_eq(told.arg[i], i);
			ck_assert(!told.pt[i] == !with_regs);
		}
		ck_assert_ptr_eq(ftr_site_find(told.ip[0]), ftr_site_find((uintptr_t)site));
		ck_assert_uint_eq(ftr_site_ip(ftr_site_find((uintptr_t)site)), told.ip[0]);
		parent = told.parent_ip[0] - (uintptr_t)test_every_group_is_told->fn;
		ck_assert_uint_lt(parent, 4096);
		ck_assert_int_eq(told.changed_ip, 0);
	}
	for (unsigned n = 0; n < GROUPS; n++)
		live_drop(groups[n]);
}
END_TEST

static void add_kinds(Suite *suite, const char *name, const TTest *test)
{
	TCase *all = tcase_create(name);

	tcase_set_timeout(all, 120);
	tcase_add_loop_test(all, test, 0, KINDS);
	suite_add_tcase(suite, all);
}

int main(void)
{
	Suite *suite = suite_create("callers");

	add_kinds(suite, "late", test_late_threads_keep_their_slot);
	add_kinds(suite, "near", test_a_call_runs_the_near_copy);
	add_kinds(suite, "several", test_every_group_is_told);
	return live_main(suite);
}
