/* SPDX-License-Identifier: MIT */
/*
 * Handler sets: equal members, one set; order; what a set says of its members.
 * Groups are only compared here, never looked into.
 */
#include "lib/set.h"
#include "tests/unit/unit.h"

#define GROUP(n) ((struct ftr_group *)(uintptr_t)(0x1000 * (n)))

static int entry(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group, struct ftr_regs *regs)
{
	return 0;
}

static struct ftr__member member(unsigned n, uint32_t flags)
{
	return (struct ftr__member){ .entry = entry, .group = GROUP(n), .flags = flags,
				     .epoch = n };
}

START_TEST(test_equal_members_one_set)
{
	struct ftr__member one = member(1, 0), two = member(2, 0);
	struct ftr__set *a = ftr__set_with(&ftr__set_empty, &one);
	struct ftr__set *b = ftr__set_with(&ftr__set_empty, &one);
	struct ftr__set *ba = ftr__set_with(a, &two), *again;
	struct ftr__member both[2] = { two, one }, reversed[2] = { one, two };

	ck_assert_ptr_eq(a, b);
	ck_assert_uint_eq(a->refs, 2);
	again = ftr__set_get(both, 2);
	ck_assert_ptr_eq(again, ba);
	/* Order matters. */
	again = ftr__set_get(reversed, 2);
	ck_assert_ptr_ne(again, ba);
	ck_assert(ftr__set_has(ba, GROUP(1)) && ftr__set_has(ba, GROUP(2)));
	ck_assert(!ftr__set_has(a, GROUP(2)));
	/* Another life of the same group is another set. */
	one.epoch++;
	ck_assert_ptr_ne(ftr__set_get(&one, 1), a);
}
END_TEST

START_TEST(test_newest_stands_first)
{
	struct ftr__member members[3] = { member(1, 0), member(2, 0), member(3, 0) };
	struct ftr__set *set = &ftr__set_empty;
	size_t i;

	for (i = 0; i < 3; i++)
		set = ftr__set_with(set, &members[i]);
	ck_assert_uint_eq(set->n, 3);
	for (i = 0; i < 3; i++)
		ck_assert_ptr_eq(set->members[i].group, GROUP(3 - i));
	set = ftr__set_without(set, GROUP(2));
	ck_assert_uint_eq(set->n, 2);
	ck_assert_ptr_eq(set->members[0].group, GROUP(3));
	ck_assert_ptr_eq(set->members[1].group, GROUP(1));
	ck_assert_ptr_eq(ftr__set_without(set, GROUP(7)), set);
}
END_TEST

START_TEST(test_flags_of_any_and_all)
{
	struct ftr__member members[2] = { member(1, FTR_GROUP_NO_SIMD),
					  member(2, FTR_GROUP_NO_SIMD | FTR_GROUP_REGS) };
	struct ftr__set *set = ftr__set_get(members, 2);

	ck_assert_uint_eq(set->any, FTR_GROUP_NO_SIMD | FTR_GROUP_REGS);
	ck_assert_uint_eq(set->all, FTR_GROUP_NO_SIMD);
}
END_TEST

START_TEST(test_empty_set_is_one)
{
	struct ftr__member one = member(1, 0);
	struct ftr__set *set = ftr__set_with(&ftr__set_empty, &one);
	struct ftr__set *none = ftr__set_without(set, GROUP(1));

	ck_assert_ptr_eq(none, &ftr__set_empty);
	ck_assert_uint_eq(none->n, 0);
	ftr__set_unref(none);
	ftr__set_unref(set);
	ftr__set_reap(ftr__set_age());
	/* The last reference gone, it is no longer found. */
	set = ftr__set_get(&one, 1);
	ck_assert_uint_eq(set->refs, 1);
	ck_assert_uint_eq(set->n, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("set");

	UNIT_CASE(suite, test_equal_members_one_set);
	UNIT_CASE(suite, test_newest_stands_first);
	UNIT_CASE(suite, test_flags_of_any_and_all);
	UNIT_CASE(suite, test_empty_set_is_one);
	return unit_main(suite);
}
