/* SPDX-License-Identifier: MIT */
/*
 * Groups: wrong arguments and wrong order (E1, E2).  Each gives its errno and
 * a sentence, and leaves the text byte for byte as it was.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "arch.h"
#include "tests/live/textwatch.h"

/* Not groups: nothing, an address that is not mapped, memory of another kind. */
static struct ftr_group *no_group(int i)
{
	static uint64_t zeros[64];

	return i == 0 ? NULL : i == 1 ? (struct ftr_group *)16 : (struct ftr_group *)zeros;
}
enum { NO_GROUPS = 3 };

/* Typed handlers may yet come, so it can be made; it can't be attached. */
START_TEST(test_group_without_handlers)
{
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;
	struct ftr_group *group;

	start();
	ck_ok(ftr_group_new(&group, &options));
	ck_assert_int_gt(ftr_group_filter(group, "traced_*", 0), 0);
	REFUSED(ftr_group_attach(group), -EINVAL);
	ck_assert(strstr(ftr_last_error(), "no handler") != NULL);
	REFUSED(ftr_group_update(&group, 1, NULL, 0), -EINVAL);
	ck_ok(ftr_group_free(group));
}
END_TEST

START_TEST(test_group_options)
{
	static const uint32_t missing[] = { FTR_GROUP_UNINSTRUMENTED,
					    ARCH_MISSING_FLAGS };
	struct {
		struct ftr_group_options options;
		uint64_t tail;
	} longer = { FTR_GROUP_OPTIONS_INIT, 0 };
	struct ftr_group_options bad = FTR_GROUP_OPTIONS_INIT;
	struct ftr_group *group = NULL;

	start();
	REFUSED(ftr_group_new(&group, NULL), -EINVAL);
	bad.entry_data_size = 8; /* of no exit handler */
	REFUSED(ftr_group_new(&group, &bad), -EINVAL);
	bad.entry_data_size = 0;
	bad.entry = count_call;
	REFUSED(ftr_group_new(NULL, &bad), -EINVAL);
	bad.size = 0;
	REFUSED(ftr_group_new(&group, &bad), -EINVAL);
	bad.size = sizeof(size_t);
	REFUSED(ftr_group_new(&group, &bad), -EINVAL);
	bad.size = sizeof(bad);
	bad.flags = 256;
	REFUSED(ftr_group_new(&group, &bad), -EINVAL);
	bad.flags = 0x80000000u;
	REFUSED(ftr_group_new(&group, &bad), -EINVAL);
	bad.flags = FTR_GROUP_NO_SIMD | FTR_GROUP_ALL_VECTORS;
	REFUSED(ftr_group_new(&group, &bad), -EINVAL);
	for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
		bad.flags = missing[i];
		REFUSED(ftr_group_new(&group, &bad), -EOPNOTSUPP);
	}
	bad.flags = FTR_GROUP_UNWOUND_EXITS;
	REFUSED(ftr_group_new(&group, &bad), -EINVAL);
	bad.flags = 0;
	bad.entry_data_size = 8;
	REFUSED(ftr_group_new(&group, &bad), -EINVAL);
	bad.exit = (ftr_exit_fn)(void (*)(void))count_call;
	bad.entry_data_size = FTR_ENTRY_DATA_MAX + 1;
	REFUSED(ftr_group_new(&group, &bad), -EINVAL);
	bad.exit = NULL;
	bad.entry_data_size = 8;
	longer.options.entry = count_call;
	longer.options.size = sizeof(longer);
	longer.tail = 1;
	REFUSED(ftr_group_new(&group, &longer.options), -EINVAL);
	ck_assert_ptr_null(group);
	longer.tail = 0;
	ck_ok(ftr_group_new(&group, &longer.options));
	ck_assert_str_eq(ftr_group_name(group), "");
	ck_assert_ptr_null(ftr_group_data(group));
	ck_ok(ftr_group_free(group));
}
END_TEST

START_TEST(test_what_is_no_group)
{
	uintptr_t ip = (uintptr_t)traced[0];
	struct ftr_group *none;

	start();
	for (int i = 0; i < NO_GROUPS; i++) {
		none = no_group(i);
		REFUSED(ftr_group_free(none), -EINVAL);
		REFUSED(ftr_group_filter(none, "*", 0), -EINVAL);
		REFUSED(ftr_group_exclude(none, "*", 0), -EINVAL);
		REFUSED(ftr_group_filter_ips(none, &ip, 1, 0), -EINVAL);
		REFUSED(ftr_group_limit_threads(none, NULL, 0), -EINVAL);
		REFUSED(ftr_group_for_each(none, end_walk, NULL), -EINVAL);
		REFUSED(ftr_group_attach(none), -EINVAL);
		REFUSED(ftr_group_detach(none), -EINVAL);
		REFUSED(ftr_group_detach_async(none, NULL, NULL), -EINVAL);
		REFUSED(ftr_group_attached(none), -EINVAL);
		REFUSED(ftr_group_update(&none, 1, NULL, 0), -EINVAL);
		REFUSED(ftr_group_update(NULL, 0, &none, 1), -EINVAL);
	}
	ck_assert_str_eq(ftr_group_name(NULL), "");
	ck_assert_ptr_null(ftr_group_data(NULL));
	ck_assert_uint_eq(ftr_group_missed(NULL), 0);
}
END_TEST

START_TEST(test_group_freed_twice)
{
	struct ftr_group *group;

	start();
	group = counting(0);
	ck_ok(ftr_group_free(group));
	REFUSED(ftr_group_free(group), -EINVAL);
	REFUSED(ftr_group_attach(group), -EINVAL);
	REFUSED(ftr_group_attached(group), -EINVAL);
	REFUSED(ftr_group_filter(group, "*", 0), -EINVAL);
	REFUSED(ftr_group_update(&group, 1, NULL, 0), -EINVAL);
}
END_TEST

/* The patterns that are refused, and what they are refused with. */
static void bad_patterns(struct ftr_group *group,
			 int (*change)(struct ftr_group *, const char *, unsigned))
{
	char *overlong = malloc(100000);

	ck_assert_ptr_nonnull(overlong);
	memset(overlong, 'x', 100000);
	REFUSED(change(group, NULL, 0), -EINVAL);
	REFUSED(change(group, "", 0), -EINVAL);
	REFUSED(change(group, "traced_*", 8), -EINVAL);
	REFUSED(change(group, "traced_*", UINT_MAX), -EINVAL);
	overlong[4096] = 0;
	REFUSED(change(group, overlong, 0), -ENOENT); /* long, but not too long */
	overlong[4096] = 'x';
	overlong[4097] = 0;
	REFUSED(change(group, overlong, 0), -EINVAL);
	REFUSED(change(group, overlong, FTR_FILTER_PENDING), -EINVAL);
	overlong[4097] = 'x';
	overlong[99999] = 0;
	REFUSED(change(group, overlong, 0), -EINVAL);
	memset(overlong, '*', 4096); /* a glob that would take for ever if tried naively */
	overlong[4095] = '!';
	overlong[4096] = 0;
	REFUSED(change(group, overlong, 0), -ENOENT);
	REFUSED(change(group, "no_such_function", 0), -ENOENT);
	REFUSED(change(group, "no_such_module:*", 0), -ENOENT);
	REFUSED(change(group, "no_such_function", FTR_FILTER_RESET), -ENOENT);
	free(overlong);
}

START_TEST(test_patterns)
{
	struct ftr_group *group;

	start();
	group = counting(0);
	bad_patterns(group, ftr_group_filter);
	bad_patterns(group, ftr_group_exclude);
	ck_assert_int_eq(sites_held(group), TRACED_FUNCTIONS);
	ck_ok(ftr_group_attach(group));
	keep_text();
	bad_patterns(group, ftr_group_filter);
	bad_patterns(group, ftr_group_exclude);
	ck_assert_int_eq(sites_held(group), TRACED_FUNCTIONS);
	ck_assert_uint_eq(calls_of_all(), TRACED_FUNCTIONS);
	ck_ok(ftr_shutdown());
}
END_TEST

/* Odd, but not wrong enough to know which errno: no harm is what counts. */
START_TEST(test_odd_patterns_do_no_harm)
{
	static const char *const odd[] = { "!", ":", "!:", "a:", ":*", "::", "[", "[]", "[!", "[a",
					   "[z-a]*", "\\", "traced_\\", "*[", "\xff\xfe*", "%s%n" };
	struct ftr_group *group;

	start();
	group = counting(0);
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		int result = ftr_group_filter(group, odd[i], 0);

		ck_assert_msg(result >= 0 || result == -EINVAL || result == -ENOENT, "%s: %d",
			      odd[i], result);
		ck_assert_msg(result >= 0 || ftr_last_error()[0], "%s: no sentence", odd[i]);
		check_text(odd[i]);
	}
}
END_TEST

START_TEST(test_addresses)
{
	uintptr_t ips[TRACED_FUNCTIONS + 1];
	char address[32];
	struct ftr_group *group = NULL;

	start();
	group = live_group("addresses", count_call, NULL, 0);
	for (int i = 0; i < TRACED_FUNCTIONS; i++)
		ips[i] = (uintptr_t)traced[i];
	ips[TRACED_FUNCTIONS] = 0x1234;
	REFUSED(ftr_group_filter_ips(group, NULL, 1, 0), -EINVAL);
	REFUSED(ftr_group_filter_ips(group, ips, 1, FTR_FILTER_PENDING << 1), -EINVAL);
	REFUSED(ftr_group_filter_ips(group, ips + TRACED_FUNCTIONS, 1, 0), -ENOENT);
	snprintf(address, sizeof(address), "%#x", 0x1234);
	ck_assert_msg(strstr(ftr_last_error(), address) != NULL, "%s", ftr_last_error());
	REFUSED(ftr_group_filter_ips(group, ips, TRACED_FUNCTIONS + 1, 0), -ENOENT);
	ck_assert_int_eq(sites_held(group), 0);
	ck_assert_int_eq(ftr_group_filter_ips(group, ips, 2, 0), 2);
	REFUSED(ftr_group_filter_ips(group, ips, TRACED_FUNCTIONS + 1, FTR_FILTER_RESET), -ENOENT);
	REFUSED(ftr_group_filter_ips(group, ips, TRACED_FUNCTIONS + 1, FTR_FILTER_REMOVE),
		-ENOENT);
	ck_assert_int_eq(sites_held(group), 2);
	ck_ok(ftr_group_attach(group));
	keep_text();
	REFUSED(ftr_group_filter_ips(group, ips, TRACED_FUNCTIONS + 1, 0), -ENOENT);
	ck_assert_uint_eq(calls_of_all(), 2);
	ips[TRACED_FUNCTIONS] = ips[0] + 2; /* inside a site, text, but no site */
	REFUSED(ftr_group_filter_ips(group, ips, TRACED_FUNCTIONS + 1, 0), -ENOENT);
	ck_assert_uint_eq(calls_of_all(), 2);
	ck_ok(ftr_shutdown());
}
END_TEST

START_TEST(test_threads)
{
	static const pid_t zero[] = { 1, 0 }, negative[] = { -1 };
	struct ftr_group *group;

	start();
	group = counting(0);
	REFUSED(ftr_group_limit_threads(group, NULL, 1), -EINVAL);
	REFUSED(ftr_group_limit_threads(group, zero, 2), -EINVAL);
	REFUSED(ftr_group_limit_threads(group, negative, 1), -EINVAL);
	ck_ok(ftr_group_attach(group));
	ck_assert_uint_eq(calls_of_all(), TRACED_FUNCTIONS); /* not limited */
	ck_ok(ftr_shutdown());
}
END_TEST

START_TEST(test_walks)
{
	struct ftr_group *group;

	start();
	group = counting(0);
	REFUSED(ftr_group_for_each(group, NULL, NULL), -EINVAL);
	ck_assert_int_eq(ftr_group_for_each(group, end_walk, NULL), 1);
	ck_assert_int_eq(ftr_site_for_each(end_walk, NULL), 1);
}
END_TEST

START_TEST(test_attach_without_sites)
{
	struct ftr_group *group;

	start();
	group = live_group("empty", count_call, NULL, 0);
	REFUSED(ftr_group_attach(group), -EINVAL);
	REFUSED(ftr_group_update(&group, 1, NULL, 0), -EINVAL);
	ck_assert_int_eq(ftr_group_filter(group, "traced_*", 0), TRACED_FUNCTIONS);
	ck_assert_int_eq(ftr_group_filter(group, "!traced_*", 0), TRACED_FUNCTIONS);
	REFUSED(ftr_group_attach(group), -EINVAL); /* never "all" */
	ck_assert_int_eq(ftr_group_filter(group, "*", 0), TRACED_FUNCTIONS);
	ck_assert_int_eq(ftr_group_exclude(group, "traced_*", 0), TRACED_FUNCTIONS);
	REFUSED(ftr_group_attach(group), -EINVAL);
	ck_assert_int_eq(ftr_group_attached(group), 0);
	ck_ok(ftr_group_free(group));
}
END_TEST

START_TEST(test_wrong_order)
{
	struct ftr_group *group;

	start();
	group = counting(0);
	REFUSED(ftr_group_detach(group), -EINVAL);
	REFUSED(ftr_group_detach_async(group, NULL, NULL), -EINVAL);
	REFUSED(ftr_group_update(NULL, 0, &group, 1), -EINVAL);
	ck_ok(ftr_group_attach(group));
	keep_text();
	REFUSED(ftr_group_attach(group), -EBUSY);
	REFUSED(ftr_group_update(&group, 1, NULL, 0), -EBUSY);
	REFUSED(ftr_group_free(group), -EBUSY);
	ck_assert_int_eq(ftr_group_attached(group), 1);
	ck_assert_uint_eq(calls_of_all(), TRACED_FUNCTIONS);
	ck_ok(ftr_group_detach(group));
	keep_text();
	REFUSED(ftr_group_detach(group), -EINVAL);
	ck_ok(ftr_group_free(group));
}
END_TEST

/* An update is one batch: with one wrong group in it nothing is done. */
START_TEST(test_updates)
{
	struct ftr_group *on[2], *off[2], *twice[2];

	start();
	on[0] = counting(0);
	on[1] = NULL;
	off[0] = counting(0);
	off[1] = NULL;
	twice[0] = twice[1] = on[0];
	ck_ok(ftr_group_attach(off[0]));
	keep_text();
	REFUSED(ftr_group_update(NULL, 1, NULL, 0), -EINVAL);
	REFUSED(ftr_group_update(NULL, 0, NULL, 1), -EINVAL);
	REFUSED(ftr_group_update(on, 2, off, 1), -EINVAL);
	REFUSED(ftr_group_update(on, 1, off, 2), -EINVAL);
	REFUSED(ftr_group_update(on, 1, on, 1), -EINVAL);
	REFUSED(ftr_group_update(off, 1, off, 1), -EBUSY);
	REFUSED(ftr_group_update(twice, 2, off, 1), -EBUSY);
	ck_assert_int_eq(ftr_group_attached(on[0]), 0);
	ck_assert_int_eq(ftr_group_attached(off[0]), 1);
	ck_assert_uint_eq(calls_of_all(), TRACED_FUNCTIONS);
	ck_ok(ftr_group_update(on, 1, off, 1));
	ck_assert_int_eq(ftr_group_attached(on[0]), 1);
	ck_assert_int_eq(ftr_group_attached(off[0]), 0);
	ck_ok(ftr_shutdown());
}
END_TEST

START_TEST(test_two_that_modify_ip)
{
	struct ftr_group *first, *second, *both[2];
	uintptr_t ip = (uintptr_t)traced[3];

	start();
	first = live_group("first", count_call, NULL, FTR_GROUP_IPMODIFY);
	ck_assert_int_eq(ftr_group_filter_ips(first, &ip, 1, 0), 1);
	second = counting(FTR_GROUP_IPMODIFY);
	both[0] = first;
	both[1] = second;
	REFUSED(ftr_group_update(both, 2, NULL, 0), -EBUSY);
	ck_ok(ftr_group_attach(first));
	keep_text();
	REFUSED(ftr_group_attach(second), -EBUSY);
	ck_assert_int_eq(ftr_group_attached(second), 0);
	ck_assert_uint_eq(calls_of_all(), 1);
	ck_ok(ftr_group_detach(first));
	ck_ok(ftr_group_attach(second));
	ck_ok(ftr_shutdown());
}
END_TEST

START_TEST(test_registers_of_nobody)
{
	start();
	REFUSED(ftr_regs_set_arg(NULL, 0, 1), -EINVAL);
	REFUSED(ftr_regs_set_ip(NULL, 1), -EINVAL);
	REFUSED(ftr_regs_set_return_value(NULL, 1), -EINVAL);
	REFUSED(ftr_regs_override_return(NULL, 1), -EINVAL);
	ck_assert_ptr_null(ftr_regs_pt_regs(NULL));
	ck_assert_ptr_null(ftr_regs_vector(NULL, 0, NULL));
	ck_assert_uint_eq(ftr_regs_ip(NULL), 0);
	ck_assert_uint_eq(ftr_regs_sp(NULL), 0);
	ck_assert_uint_eq(ftr_regs_flags(NULL), 0);
	ck_assert_uint_eq(ftr_regs_arg(NULL, 0), 0);
	ck_assert_uint_eq(ftr_regs_return_value(NULL), 0);
}
END_TEST

/* Calls that a handler may not make, and what they gave. */
struct from_handler {
	struct ftr_group *group;
	int shutdown, vector_out_of_range;
};

static int misbehave(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		     struct ftr_regs *regs)
{
	struct from_handler *seen = ftr_group_data(group);

	seen->shutdown = ftr_shutdown();
	seen->vector_out_of_range = ftr_regs_vector(regs, 8, NULL) != NULL ||
				    ftr_regs_vector(regs, UINT_MAX, NULL) != NULL;
	return 0;
}

START_TEST(test_shutdown_from_a_handler)
{
	struct from_handler seen = { NULL, 1, 1 };
	struct ftr_group *group;

	start();
	group = live_group("misbehaves", misbehave, &seen, 0);
	ck_assert_int_eq(ftr_group_filter(group, "traced_0", 0), 1);
	ck_ok(ftr_group_attach(group));
	ck_assert_int_eq(traced[0](), 0);
	ck_assert_int_eq(seen.shutdown, -EDEADLK);
	ck_assert_int_eq(seen.vector_out_of_range, 0);
	ck_ok(ftr_shutdown());
	ck_ok(ftr_group_free(group));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("badinput");

	LIVE_CASE(suite, test_group_without_handlers, 20);
	LIVE_CASE(suite, test_group_options, 20);
	LIVE_CASE(suite, test_what_is_no_group, 20);
	LIVE_CASE(suite, test_group_freed_twice, 20);
	LIVE_CASE(suite, test_patterns, 60);
	LIVE_CASE(suite, test_odd_patterns_do_no_harm, 20);
	LIVE_CASE(suite, test_addresses, 20);
	LIVE_CASE(suite, test_threads, 20);
	LIVE_CASE(suite, test_walks, 20);
	LIVE_CASE(suite, test_attach_without_sites, 20);
	LIVE_CASE(suite, test_wrong_order, 20);
	LIVE_CASE(suite, test_updates, 20);
	LIVE_CASE(suite, test_two_that_modify_ip, 20);
	LIVE_CASE(suite, test_registers_of_nobody, 20);
	LIVE_CASE(suite, test_shutdown_from_a_handler, 20);
	return live_main(suite);
}
