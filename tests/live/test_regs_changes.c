/* SPDX-License-Identifier: MIT */
/*
 * H4: what handlers change is in force when they return, and nothing but that;
 * where execution goes on is for groups with FTR_GROUP_IPMODIFY to say.
 */
#include <asm/ptrace.h>

#include "tests/live/regs.h"

/* What the handlers of a test noted. */
static struct {
	unsigned count;
	uintptr_t args[8], regs_ip, return_value;
} seen;

/* --- changes count ------------------------------------------------------------------ */

static int handler_sets_args(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			     struct ftr_regs *regs)
{
	unsigned i;

	for (i = 0; i < 8; i++) {
		if (ftr_regs_set_arg(regs, i, 0x4000 + i))
			return 0;
		seen.args[i] = ftr_regs_arg(regs, i);
	}
	seen.count++;
	return 0;
}

static int handler_looks_at_args(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
				 struct ftr_regs *regs)
{
	seen.count += 100 * (ftr_regs_arg(regs, 3) == 0x4003 && ftr_regs_arg(regs, 7) == 0x4007);
	return 0;
}

START_TEST(test_set_arguments)
{
	struct ftr_group *older, *group;
	struct image expected;
	unsigned i;

	start(regs_site);
	expected = regs_in;
	expected.rdi = 0x4000;
	expected.rsi = 0x4001;
	expected.rdx = 0x4002;
	expected.rcx = 0x4003;
	expected.r8 = 0x4004;
	expected.r9 = 0x4005;
	expected.stack[0] = 0x4006;
	expected.stack[1] = 0x4007;
	older = attach_to(regs_site, handler_looks_at_args, 0);
	group = attach_to(regs_site, handler_sets_args, _i ? FTR_GROUP_REGS : 0);
	regs_call();
	ck_assert_uint_eq(seen.count, 101);
	for (i = 0; i < 8; i++)
		ck_assert_uint_eq(seen.args[i], 0x4000 + i);
	expect_general("arguments set", &expected);
	expect_vectors("arguments set", &expected);
	live_drop(group);
	live_drop(older);
}
END_TEST

static int handler_sets_return_value(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
				     struct ftr_regs *regs)
{
	seen.count += ftr_regs_set_return_value(regs, 0xabcdef) == 0;
	seen.return_value = ftr_regs_return_value(regs);
	return 0;
}

START_TEST(test_set_return_value_register)
{
	struct ftr_group *group;
	struct image expected;

	start(regs_site);
	expected = regs_in;
	expected.rax = 0xabcdef;
	group = attach_to(regs_site, handler_sets_return_value, _i ? FTR_GROUP_REGS : 0);
	regs_call();
	ck_assert_uint_eq(seen.count, 1);
	ck_assert_uint_eq(seen.return_value, 0xabcdef);
	expect_general("return value set", &expected);
	live_drop(group);
}
END_TEST

static uint64_t new_flags;

static int handler_sets_all(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			    struct ftr_regs *regs)
{
	struct pt_regs *pt = ftr_regs_pt_regs(regs);

	pt->rax = 1;
	pt->rbx = 2;
	pt->rcx = 3;
	pt->rdx = 4;
	pt->rsi = 5;
	pt->rdi = 6;
	pt->rbp = 7;
	pt->r8 = 8;
	pt->r9 = 9;
	pt->r10 = 10;
	pt->r11 = 11;
	pt->r12 = 12;
	pt->r13 = 13;
	pt->r14 = 14;
	pt->r15 = 15;
	pt->eflags = new_flags;
	seen.count++;
	return 0;
}

START_TEST(test_all_registers_can_be_set)
{
	static const uint64_t flags[] = { 0x202, 0x202 | ARITHMETIC, 0x202 | DIRECTION,
					  0x202 | DIRECTION | 0x801, 0x246, 0xa03 };
	struct ftr_group *group;
	struct image expected;
	size_t i;

	start(regs_site);
	group = attach_to(regs_site, handler_sets_all, FTR_GROUP_REGS);
	expected = regs_in;
	for (i = 0; i < 15; i++)
		(&expected.rax)[i] = i + 1;
	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		fill_image();
		new_flags = expected.flags = flags[i];
		regs_call();
		expect_general("all set", &expected);
		expect_vectors("all set", &expected);
	}
	ck_assert_uint_eq(seen.count, i);
	live_drop(group);
}
END_TEST

/* --- the stack pointer ----------------------------------------------------------------- */

static intptr_t sp_change;
static uint64_t old_sp;

/** Moves sp, and leaves words all over what it gained. */
static int handler_moves_sp(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			    struct ftr_regs *regs)
{
	struct pt_regs *pt = ftr_regs_pt_regs(regs);
	uint64_t at;

	old_sp = pt->rsp;
	regs_true_sp = old_sp + 8;
	regs_true_ip = *(const uint64_t *)old_sp;
	pt->rsp += (uint64_t)sp_change;
	for (at = pt->rsp; sp_change < 0 && at < old_sp; at += 8)
		*(volatile uint64_t *)at = at ^ 0x5a5a;
	seen.count++;
	return 0;
}

START_TEST(test_sp_can_be_moved)
{
	static const intptr_t changes[] = { 0, -8, -16, -64, -128, -248, -(intptr_t)FTR_SP_ROOM, 8 };
	struct ftr_group *group;
	size_t i;

	start(regs_site_sp);
	group = attach_to(regs_site_sp, handler_moves_sp, FTR_GROUP_REGS);
	for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		fill_image();
		sp_change = changes[i];
		regs_call();
		ck_assert_uint_eq(old_sp, regs_out.sp - 8);
		ck_assert_msg(regs_seen_sp == old_sp + (uint64_t)sp_change,
			      "moved by %ld: is at %+ld", (long)sp_change,
			      (long)(regs_seen_sp - old_sp));
		if (sp_change < 0)
			ck_assert_uint_eq(regs_seen_word, regs_seen_sp ^ 0x5a5a);
		expect_general("sp moved", &regs_in);
		expect_vectors("sp moved", &regs_in);
	}
	ck_assert_uint_eq(seen.count, i);
	live_drop(group);
}
END_TEST

/** Flags and sp together take another way out of the caller. */
static int handler_moves_sp_and_flags(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
				      struct ftr_regs *regs)
{
	handler_moves_sp(ip, parent_ip, group, regs);
	return handler_sets_all(ip, parent_ip, group, regs);
}

START_TEST(test_sp_and_flags_together)
{
	struct ftr_group *group;
	struct image expected;
	size_t i;

	start(regs_site_sp);
	group = attach_to(regs_site_sp, handler_moves_sp_and_flags, FTR_GROUP_REGS);
	expected = regs_in;
	for (i = 0; i < 15; i++)
		(&expected.rax)[i] = i + 1;
	sp_change = -(intptr_t)FTR_SP_ROOM;
	new_flags = expected.flags = 0x202 | DIRECTION;
	regs_call();
	ck_assert_uint_eq(regs_seen_sp, old_sp - FTR_SP_ROOM);
	ck_assert_uint_eq(regs_seen_word, regs_seen_sp ^ 0x5a5a);
	expect_general("sp and flags", &expected);
	expect_vectors("sp and flags", &regs_in);
	live_drop(group);
}
END_TEST

/* --- where execution goes on ------------------------------------------------------------- */

static int ip_result, override_result;

static int handler_sets_ip(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			   struct ftr_regs *regs)
{
	ip_result = ftr_regs_set_ip(regs, (uintptr_t)regs_elsewhere);
	seen.regs_ip = ftr_regs_ip(regs);
	return 0;
}

static int handler_writes_ip(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			     struct ftr_regs *regs)
{
	ftr_regs_pt_regs(regs)->rip = (uintptr_t)regs_elsewhere;
	return 0;
}

static int handler_overrides(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			     struct ftr_regs *regs)
{
	override_result = ftr_regs_override_return(regs, 4711);
	seen.return_value = ftr_regs_return_value(regs);
	return 0;
}

/** What regs_call() leaves in rax with this handler, once attached. */
static uint64_t rax_with(ftr_entry_fn entry, uint32_t flags)
{
	struct ftr_group *group = attach_to(regs_site, entry, flags);
	struct image expected;

	fill_image();
	regs_call();
	expected = regs_in;
	expected.rax = regs_out.rax;
	expect_general("ip", &expected);
	expect_vectors("ip", &expected);
	live_drop(group);
	return regs_out.rax;
}

START_TEST(test_ip_without_permission)
{
	const uint32_t flags = _i ? FTR_GROUP_REGS : 0;

	start(regs_site);
	ck_assert_uint_eq(rax_with(handler_sets_ip, flags), regs_in.rax);
	ck_assert_int_eq(ip_result, -EPERM);
	ck_assert_uint_eq(seen.regs_ip, (uintptr_t)regs_site + 5);
	ck_assert_uint_eq(rax_with(handler_overrides, flags), regs_in.rax);
	ck_assert_int_eq(override_result, -EPERM);
	ck_assert_uint_eq(seen.return_value, regs_in.rax);
	if (flags)
		ck_assert_uint_eq(rax_with(handler_writes_ip, flags), regs_in.rax);
}
END_TEST

START_TEST(test_ip_with_permission)
{
	const uint32_t flags = FTR_GROUP_IPMODIFY | (_i ? FTR_GROUP_REGS : 0);

	start(regs_site);
	ck_assert_uint_eq(rax_with(handler_sets_ip, flags), 77);
	ck_assert_int_eq(ip_result, 0);
	ck_assert_uint_eq(seen.regs_ip, (uintptr_t)regs_elsewhere);
	ck_assert_uint_eq(rax_with(handler_overrides, flags), 4711);
	ck_assert_int_eq(override_result, 0);
	ck_assert_uint_eq(seen.return_value, 4711);
	if (_i)
		ck_assert_uint_eq(rax_with(handler_writes_ip, flags), 77);
}
END_TEST

/** One group may; another's attempt beside it changes nothing. */
START_TEST(test_ip_of_two_groups)
{
	struct ftr_group *may, *may_not;

	start(regs_site);
	may = attach_to(regs_site, handler_sets_ip, FTR_GROUP_IPMODIFY);
	may_not = attach_to(regs_site, _i ? handler_writes_ip : handler_overrides,
			    _i ? FTR_GROUP_REGS : 0);
	regs_call();
	ck_assert_uint_eq(regs_out.rax, 77);
	ck_assert_int_eq(ip_result, 0);
	live_drop(may);
	regs_call();
	ck_assert_uint_eq(regs_out.rax, regs_in.rax);
	live_drop(may_not);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("regs_changes");

	regs_case(suite, "set arguments", test_set_arguments);
	regs_case(suite, "set return value", test_set_return_value_register);
	regs_case(suite, "ip without permission", test_ip_without_permission);
	regs_case(suite, "ip with permission", test_ip_with_permission);
	regs_case(suite, "ip of two groups", test_ip_of_two_groups);
	LIVE_CASE(suite, test_all_registers_can_be_set, 30);
	LIVE_CASE(suite, test_sp_can_be_moved, 30);
	LIVE_CASE(suite, test_sp_and_flags_together, 30);
	return live_main(suite);
}
