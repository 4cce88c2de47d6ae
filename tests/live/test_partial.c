/* SPDX-License-Identifier: MIT */
/*
 * P6: FTR_UPDATE_PARTIAL.  A thread blocks SIGTRAP, and what would need a
 * breakpoint is left out: exactly that, it is listed, and it stays as it was
 * through whatever comes after.
 */
#include "tests/live/blocked.h"

static struct ftr_group *group_a, *group_b;
static uintptr_t left[LIVE_SITES];

static struct ftr_update_options partial(struct ftr_group *const *attach,
					 struct ftr_group *const *detach)
{
	struct ftr_update_options options = FTR_UPDATE_OPTIONS_INIT;

	options.attach = attach;
	options.n_attach = attach != NULL;
	options.detach = detach;
	options.n_detach = detach != NULL;
	options.flags = FTR_UPDATE_PARTIAL;
	options.left_out = left;
	options.left_out_room = LIVE_SITES;
	memset(left, 0, sizeof(left));
	return options;
}

static bool needs_breakpoint(live_fn fn)
{
	return live_ip(fn) % 64 == 63;
}

/** Exactly those that need a breakpoint are listed, in order. */
static void check_left(const struct ftr_update_options *options)
{
	size_t n = 0, i, j;

	for (i = 0; i < LIVE_SITES; i++) {
		if (!needs_breakpoint(live_sites[i]))
			continue;
		for (j = 0; j < options->left_out_count; j++)
			n += left[j] == live_ip(live_sites[i]);
	}
	ck_assert_uint_eq(n, 2); /* offset 63 of a line, and the last byte of a page */
	ck_assert_uint_eq(options->left_out_count, n);
	ck_assert_uint_lt(left[0], left[1]);
	ck_assert_uint_eq(left[2], 0);
}

/** How often each site's call is seen: where a breakpoint is needed, elsewhere. */
static void check_all_traced(unsigned needing, unsigned others)
{
	for (size_t i = 0; i < LIVE_SITES; i++)
		check_traced(live_sites[i], needs_breakpoint(live_sites[i]) ? needing : others);
}

static void start_partial(void)
{
	blocked_begin("auto");
	group_a = live_group("a", blocked_handler, NULL, 0);
	group_b = live_group("b", blocked_handler, NULL, 0);
	live_hold(group_a, live_sites, LIVE_SITES);
	live_hold(group_b, live_sites, LIVE_SITES);
	blocker_start();
}

START_TEST(test_left_out_exactly)
{
	struct ftr_update_options options;

	start_partial();
	options = partial(&group_a, NULL);
	ck_ok(ftr_update(&options));
	check_left(&options);
	ck_assert_int_eq(ftr_group_attached(group_a), 1);
	check_all_traced(0, 1);
	ck_assert(live_idle(astride()));
	ck_assert_uint_eq(live_stats().attached, LIVE_SITES - 2);
	/* All or nothing, of what is left. */
	ck_fails(ftr_group_attach(group_a), -EAGAIN);
	options = partial(&group_a, NULL);
	ck_ok(ftr_update(&options));
	check_left(&options);
	check_all_traced(0, 1);
	blocker_stop();
	options = partial(&group_a, NULL);
	ck_ok(ftr_update(&options));
	ck_assert_uint_eq(options.left_out_count, 0);
	check_all_traced(1, 1);
	ck_fails(ftr_update(&options), -EBUSY);
	ck_ok(ftr_group_detach(group_a));
	check_all_traced(0, 0);
	ck_ok(ftr_group_free(group_a));
}
END_TEST

/** A full detach of a group that was attached with sites left out, in hazard:
 *  those are off already. */
START_TEST(test_detach_of_what_is_held)
{
	struct ftr_update_options options;

	start_partial();
	options = partial(&group_a, NULL);
	ck_ok(ftr_update(&options));
	ck_ok(ftr_group_detach(group_a));
	check_all_traced(0, 0);
	/* The next time the whole filter counts again. */
	blocker_stop();
	ck_ok(ftr_group_attach(group_a));
	check_all_traced(1, 1);
	live_drop(group_a);
}
END_TEST

START_TEST(test_detach_that_stays_incomplete)
{
	struct ftr_update_options options;

	start_partial();
	blocker_stop();
	ck_ok(ftr_group_attach(group_a));
	blocker_start();
	ck_fails(ftr_group_detach(group_a), -EAGAIN);
	options = partial(NULL, &group_a);
	ck_ok(ftr_update(&options));
	check_left(&options);
	check_all_traced(1, 0);
	ck_assert_int_eq(ftr_group_attached(group_a), 1);
	ck_fails(ftr_group_free(group_a), -EBUSY);
	options = partial(NULL, &group_a);
	ck_ok(ftr_update(&options));
	check_left(&options);
	check_all_traced(1, 0);
	blocker_stop();
	ck_ok(ftr_group_detach(group_a));
	ck_assert_int_eq(ftr_group_attached(group_a), 0);
	check_all_traced(0, 0);
	ck_ok(ftr_group_free(group_a));
}
END_TEST

/*
 * So many slots between that of one group and the next one's that calls to them
 * differ in two bytes, which lie astride a cache line in some site.
 */
static void take_slots(void)
{
	enum { SLOTS = 32 };

	for (int i = 0; i < SLOTS; i++)
		live_drop(live_attach("between", blocked_handler, NULL, 0, live_sites[0]));
}

/** A site that is left out is so for both groups of an exchange. */
START_TEST(test_exchange_that_stays_incomplete)
{
	struct ftr_update_options options;
	struct ftr_group *at;

	start_partial();
	blocker_stop();
	ck_ok(ftr_group_attach(group_a));
	take_slots();
	blocker_start();
	options = partial(&group_b, &group_a);
	ck_ok(ftr_update(&options));
	ck_assert_uint_ge(options.left_out_count, 1);
	check_all_traced(1, 1);
	ck_assert_int_eq(ftr_site_groups(ftr_site_find(left[0]), &at, 1), 1);
	ck_assert_ptr_eq(at, group_a);
	ck_assert_int_eq(ftr_site_groups(ftr_site_find(live_ip(live_sites[0])), &at, 1), 1);
	ck_assert_ptr_eq(at, group_b);
	blocker_stop();
	options = partial(&group_b, &group_a);
	ck_ok(ftr_update(&options));
	ck_assert_uint_eq(options.left_out_count, 0);
	ck_assert_int_eq(ftr_group_attached(group_a), 0);
	check_all_traced(1, 1);
	live_drop(group_b);
	ck_ok(ftr_group_free(group_a));
}
END_TEST

/** Changes of the filter, and of the threads, leave what is left out alone. */
START_TEST(test_changes_of_an_incomplete_group)
{
	struct ftr_update_options options;
	const live_fn some[] = { live_sites[4], live_sites[5], live_sites[6], astride(),
				 live_sites[64] };
	uintptr_t ip = live_ip(live_sites[5]), needing = live_ip(astride());
	pid_t self = live_tid();

	start_partial();
	live_hold(group_a, some, 5);
	options = partial(&group_a, NULL);
	ck_ok(ftr_update(&options));
	ck_assert_int_eq(ftr_group_filter_ips(group_a, &ip, 1, FTR_FILTER_REMOVE), 1);
	check_traced(live_sites[5], 0);
	check_traced(live_sites[6], 1);
	ck_ok(ftr_group_limit_threads(group_a, &self, 1));
	check_traced(live_sites[6], 1);
	check_traced(astride(), 0);
	ck_assert_int_eq(ftr_group_filter_ips(group_a, &needing, 1, FTR_FILTER_REMOVE), 1);
	blocker_stop();
	ck_ok(ftr_group_attach(group_a)); /* the other one */
	check_traced(astride(), 0);
	check_traced(live_sites[64], 1);
	ck_fails(ftr_group_attach(group_a), -EBUSY);
	live_drop(group_a);
}
END_TEST

START_TEST(test_list_is_too_short)
{
	struct ftr_update_options options;

	start_partial();
	options = partial(&group_a, NULL);
	options.left_out_room = 1;
	ck_ok(ftr_update(&options));
	ck_assert_uint_eq(options.left_out_count, 2);
	ck_assert_uint_ne(left[0], 0);
	ck_assert_uint_eq(left[1], 0);
	blocker_stop();
	live_drop(group_a);
}
END_TEST

START_TEST(test_wrong_options)
{
	struct ftr_update_options options;

	start_partial();
	blocker_stop();
	ck_fails(ftr_update(NULL), -EINVAL);
	options = partial(NULL, NULL);
	ck_fails(ftr_update(&options), -EINVAL);
	options = partial(&group_a, NULL);
	options.size--;
	ck_fails(ftr_update(&options), -EINVAL);
	options = partial(&group_a, NULL);
	options.flags = 2;
	ck_fails(ftr_update(&options), -EINVAL);
	options = partial(&group_a, NULL);
	options.left_out = NULL;
	ck_fails(ftr_update(&options), -EINVAL);
	options.left_out_room = 0;
	ck_ok(ftr_update(&options));
	ck_assert_uint_eq(options.left_out_count, 0);
	options.flags = 0;
	options.attach = NULL;
	ck_fails(ftr_update(&options), -EINVAL);
	live_drop(group_a);
}
END_TEST

/** Pads: what lies astride stays a pad, byte for byte. */
START_TEST(test_pad_left_out)
{
	static const unsigned char pad[5] = { 0x90, 0x90, 0x90, 0x90, 0x90 };
	struct ftr_update_options options;

	blocked_begin("auto");
	group_a = live_group("a", blocked_handler, NULL, 0);
	live_hold(group_a, live_pads, PADS);
	blocker_start();
	ck_fails(ftr_group_attach(group_a), -EAGAIN);
	for (int i = 0; i < PADS; i++)
		ck_assert(!memcmp((const void *)live_pads[i], pad, sizeof(pad)));
	options = partial(&group_a, NULL);
	ck_ok(ftr_update(&options));
	ck_assert_uint_eq(options.left_out_count, 1);
	ck_assert_uint_eq(left[0], live_ip(live_pads[63]));
	ck_assert(!memcmp((const void *)live_pads[63], pad, sizeof(pad)));
	for (int i = 0; i < PADS; i++)
		check_traced(live_pads[i], i < 63);
	/* Taken off again while nothing can be done there. */
	ck_ok(ftr_group_detach(group_a));
	blocker_stop();
	ck_ok(ftr_group_attach(group_a));
	check_traced(live_pads[63], 1);
	live_drop(group_a);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("partial");

	LIVE_CASE(suite, test_left_out_exactly, 30);
	LIVE_CASE(suite, test_detach_of_what_is_held, 30);
	LIVE_CASE(suite, test_detach_that_stays_incomplete, 30);
	LIVE_CASE(suite, test_exchange_that_stays_incomplete, 30);
	LIVE_CASE(suite, test_changes_of_an_incomplete_group, 30);
	LIVE_CASE(suite, test_list_is_too_short, 30);
	LIVE_CASE(suite, test_wrong_options, 30);
	LIVE_CASE(suite, test_pad_left_out, 30);
	return live_main(suite);
}
