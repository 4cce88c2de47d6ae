/* SPDX-License-Identifier: MIT */
/*
 * Groups as policy: order (H10), filters, limits to threads (H12), exclusive
 * changes of ip (H4), updates as one batch, reports, and what is said of sites.
 *
 * This program is linked to the shared library, as its users' are.
 */
#include "arch.h"
#include "tests/live/visitor.h"

#include <stdio.h>
#include <stdlib.h>

/* --- traced functions ---------------------------------------------------------- */

FTR_TRACEABLE static long apple_one(long n)
{
	LIVE_OPAQUE(n);
	return n + 1;
}

FTR_TRACEABLE static long apple_two(long n)
{
	LIVE_OPAQUE(n);
	return n + 1;
}

FTR_TRACEABLE static long apple_pie(long n)
{
	LIVE_OPAQUE(n);
	return n + 1;
}

FTR_TRACEABLE static long pear(long n)
{
	LIVE_OPAQUE(n);
	return n + 1;
}

static const live_fn fruit[] = { apple_one, apple_two, apple_pie, pear };
enum { APPLE_ONE, APPLE_TWO, APPLE_PIE, PEAR, FRUIT };

/* --- handlers that count --------------------------------------------------------- */

static unsigned ran;
static char order[16];
static uintptr_t last_ip, last_parent;

static int handler_counts(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			  struct ftr_regs *regs)
{
	ran++;
	last_ip = ip;
	last_parent = parent_ip;
	if (strlen(order) < sizeof(order) - 1)
		strncat(order, ftr_group_name(group), 1);
	return 0;
}

static struct ftr_group *counting(const char *name, uint32_t flags)
{
	return live_group(name, handler_counts, NULL, flags);
}

static void filter(struct ftr_group *group, const char *pattern, unsigned flags, int matched)
{
	int result = ftr_group_filter(group, pattern, flags);

	ck_assert_msg(result == matched, "filter \"%s\": %d, not %d: %s", pattern, result, matched,
		      ftr_last_error());
}

static void exclude(struct ftr_group *group, const char *pattern, unsigned flags, int matched)
{
	int result = ftr_group_exclude(group, pattern, flags);

	ck_assert_msg(result == matched, "exclude \"%s\": %d, not %d: %s", pattern, result,
		      matched, ftr_last_error());
}

/** Bits of the fruit whose calls run a handler now. */
static unsigned traced(void)
{
	unsigned bits = 0, i;

	for (i = 0; i < FRUIT; i++) {
		ran = 0;
		ck_assert_int_eq(fruit[i](i), i + 1);
		ck_assert_uint_le(ran, 1);
		bits |= ran << i;
	}
	return bits;
}

static int count_site(const struct ftr_site *site, void *arg)
{
	++*(unsigned *)arg;
	return 0;
}

static unsigned held(struct ftr_group *group)
{
	unsigned n = 0;

	ck_assert_int_eq(ftr_group_for_each(group, count_site, &n), 0);
	return n;
}

enum {
	ONE = 1 << APPLE_ONE,
	TWO = 1 << APPLE_TWO,
	PIE = 1 << APPLE_PIE,
	APPLES = ONE | TWO | PIE,
	A_PEAR = 1 << PEAR
};

/* --- order --------------------------------------------------------------------------- */

START_TEST(test_newest_first)
{
	struct ftr_group *a, *b, *c;

	a = counting("a", 0);
	b = counting("b", FTR_GROUP_REGS);
	c = counting("c", FTR_GROUP_REENTRANT);
	filter(a, "pear", 0, 1);
	filter(b, "pear", 0, 1);
	filter(c, "pear", 0, 1);
	ck_ok(ftr_group_attach(a));
	ck_ok(ftr_group_attach(b));
	ck_ok(ftr_group_attach(c));
	pear(1);
	ck_assert_str_eq(order, "cba");
	ck_ok(ftr_group_detach(b));
	order[0] = 0;
	pear(1);
	ck_assert_str_eq(order, "ca");
	ck_ok(ftr_group_attach(b));
	order[0] = 0;
	pear(1);
	ck_assert_str_eq(order, "bca");
	live_drop(c);
	live_drop(a);
	order[0] = 0;
	pear(1);
	ck_assert_str_eq(order, "b");
	live_drop(b);
}
END_TEST

/** New means attached last, not filtered last. */
START_TEST(test_order_survives_filter_changes)
{
	struct ftr_group *a = counting("a", 0), *b = counting("b", 0);
	struct ftr_group *groups[4] = { 0 };

	filter(a, "pear", 0, 1);
	filter(b, "apple_one", 0, 1);
	ck_ok(ftr_group_attach(a));
	ck_ok(ftr_group_attach(b));
	filter(a, "apple_one", 0, 1);
	filter(b, "pear", 0, 1);
	apple_one(1);
	pear(1);
	ck_assert_str_eq(order, "baba");
	ck_assert_int_eq(ftr_site_groups(ftr_site_find((uintptr_t)pear), groups, 4), 2);
	ck_assert_ptr_eq(groups[0], b);
	ck_assert_ptr_eq(groups[1], a);
	live_drop(b);
	live_drop(a);
}
END_TEST

/* --- filters ---------------------------------------------------------------------------- */

START_TEST(test_globs)
{
	static const struct {
		const char *pattern;
		int matched;
		unsigned traced;
	} cases[] = {
		{ "apple_*", 3, APPLES },
		{ "apple_???", 3, APPLES },
		{ "apple_??", -ENOENT, 0 },
		{ "apple_[ot]*", 2, ONE | TWO },
		{ "apple_[a-o]*", 1, ONE },
		{ "apple_[!o]*", 2, TWO | PIE },
		{ "*e*r", 1, A_PEAR },
		{ "pear", 1, A_PEAR },
		{ "pea", -ENOENT, 0 },
		{ "ear", -ENOENT, 0 },
		{ "PEAR", -ENOENT, 0 },
		{ "\\pe\\ar", 1, A_PEAR },
		{ "pe\\*", -ENOENT, 0 },
		{ "test_groups:pear", 1, A_PEAR },
		{ "*test_groups:pear", 1, A_PEAR },
		{ "*:pear", 1, A_PEAR },
		{ "?est_group?:apple_t*", 1, TWO },
		{ "libc.so*:pear", -ENOENT, 0 },
		{ "test_groups:", FRUIT + LIVE_SITES, APPLES | A_PEAR },
		{ ":pear", -ENOENT, 0 },
		{ "", -EINVAL, 0 },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ftr_group *group = counting("a", 0);

		filter(group, cases[i].pattern, 0, cases[i].matched);
		if (cases[i].traced) {
			ck_assert_uint_eq(held(group), (unsigned)cases[i].matched);
			ck_ok(ftr_group_attach(group));
			ck_assert_msg(traced() == cases[i].traced, "%s", cases[i].pattern);
			ck_ok(ftr_group_detach(group));
		} else {
			ck_assert_uint_eq(held(group), 0);
			ck_fails(ftr_group_attach(group), -EINVAL);
		}
		ck_ok(ftr_group_free(group));
	}
}
END_TEST

START_TEST(test_filter_add_remove_reset)
{
	struct ftr_group *group = counting("a", 0);

	filter(group, "apple_*", 0, 3);
	filter(group, "pear", 0, 1);
	ck_assert_uint_eq(held(group), 4);
	filter(group, "!apple_two", 0, 1);
	ck_assert_uint_eq(held(group), 3);
	filter(group, "apple_one", FTR_FILTER_REMOVE, 1);
	ck_assert_uint_eq(held(group), 2);
	ck_ok(ftr_group_attach(group));
	ck_assert_uint_eq(traced(), PIE | A_PEAR);
	filter(group, "apple_two", FTR_FILTER_RESET, 1);
	ck_assert_uint_eq(traced(), TWO);
	/* Later rules win. */
	filter(group, "!*", 0, (int)ftr_site_count());
	ck_assert_uint_eq(traced(), 0);
	filter(group, "apple_*", 0, 3);
	ck_assert_uint_eq(traced(), APPLES);
	live_drop(group);
}
END_TEST

/** Removing the last pattern, or excluding all that is held, never means all. */
START_TEST(test_nothing_never_means_all)
{
	struct ftr_group *group = counting("a", 0);

	ck_assert_uint_eq(held(group), 0);
	ck_fails(ftr_group_attach(group), -EINVAL);
	filter(group, "pear", 0, 1);
	filter(group, "!pear", 0, 1);
	ck_assert_uint_eq(held(group), 0);
	ck_fails(ftr_group_attach(group), -EINVAL);
	filter(group, "pear", 0, 1);
	ck_ok(ftr_group_attach(group));
	ck_assert_uint_eq(traced(), A_PEAR);
	filter(group, "!pear", 0, 1);
	ck_assert_uint_eq(traced(), 0);
	ck_assert_int_eq(ftr_group_attached(group), 1);
	filter(group, "apple_one", 0, 1);
	ck_assert_uint_eq(traced(), ONE);
	exclude(group, "*", 0, (int)ftr_site_count());
	ck_assert_uint_eq(traced(), 0);
	live_drop(group);
}
END_TEST

START_TEST(test_exclude_wins)
{
	struct ftr_group *group = counting("a", 0);

	exclude(group, "apple_two", 0, 1);
	filter(group, "apple_*", 0, 3);
	ck_ok(ftr_group_attach(group));
	ck_assert_uint_eq(traced(), ONE | PIE);
	filter(group, "apple_two", 0, 1);
	ck_assert_uint_eq(traced(), ONE | PIE);
	exclude(group, "apple_pie", 0, 1);
	ck_assert_uint_eq(traced(), ONE);
	exclude(group, "apple_two", FTR_FILTER_REMOVE, 1);
	ck_assert_uint_eq(traced(), ONE | TWO);
	exclude(group, "pear", FTR_FILTER_RESET, 1);
	ck_assert_uint_eq(traced(), APPLES);
	live_drop(group);
}
END_TEST

/** A change that fails leaves the filter as it was. */
START_TEST(test_failed_filter_changes_nothing)
{
	struct ftr_group *group = counting("a", 0);
	uintptr_t ips[2] = { (uintptr_t)pear, 1 };
	char *pattern = malloc(5001);

	filter(group, "pear", 0, 1);
	ck_ok(ftr_group_attach(group));
	ck_fails(ftr_group_filter(group, "no_such_*", 0), -ENOENT);
	ck_fails(ftr_group_filter(group, "no_such_*", FTR_FILTER_RESET), -ENOENT);
	ck_fails(ftr_group_filter(group, "apple_one", 1u << 30), -EINVAL);
	ck_fails(ftr_group_filter(group, NULL, 0), -EINVAL);
	memset(pattern, '*', 5000);
	pattern[5000] = 0;
	ck_fails(ftr_group_filter(group, pattern, 0), -EINVAL);
	free(pattern);
	ck_fails(ftr_group_filter_ips(group, ips, 2, FTR_FILTER_RESET), -ENOENT);
	ck_assert_uint_eq(held(group), 1);
	ck_assert_uint_eq(traced(), A_PEAR);
	live_drop(group);
}
END_TEST

START_TEST(test_pending_pattern)
{
	struct ftr_group *group = counting("a", 0);

	filter(group, "not_yet_*", FTR_FILTER_PENDING, 0);
	ck_assert_uint_eq(held(group), 0);
	filter(group, "pear", FTR_FILTER_PENDING, 1);
	ck_ok(ftr_group_attach(group));
	ck_assert_uint_eq(traced(), A_PEAR);
	live_drop(group);
}
END_TEST

/** By the site's address or the function's; removed the same way. */
START_TEST(test_filter_by_address)
{
	struct ftr_group *group = counting("a", 0);
	uintptr_t ips[3];

	ips[0] = ftr_site_ip(ftr_site_find((uintptr_t)apple_one));
	ips[1] = (uintptr_t)apple_two;
	ips[2] = (uintptr_t)pear;
	ck_assert_int_eq(ftr_group_filter_ips(group, ips, 3, 0), 3);
	ck_ok(ftr_group_attach(group));
	ck_assert_uint_eq(traced(), ONE | TWO | A_PEAR);
	ck_assert_int_eq(ftr_group_filter_ips(group, ips, 1, FTR_FILTER_REMOVE), 1);
	ck_assert_uint_eq(traced(), TWO | A_PEAR);
	filter(group, "!apple_*", 0, 3);
	ck_assert_uint_eq(traced(), A_PEAR);
	ck_assert_int_eq(ftr_group_filter_ips(group, ips, 2, FTR_FILTER_RESET), 2);
	ck_assert_uint_eq(traced(), ONE | TWO);
	live_drop(group);
}
END_TEST

/* --- threads ---------------------------------------------------------------------------- */

static void call_pear(void *arg)
{
	if (arg)
		*(pid_t *)arg = live_tid();
	pear(1);
}

START_TEST(test_limit_threads)
{
	struct ftr_group *limited = counting("l", 0), *others = counting("o", 0);
	struct visitor visitor;
	pid_t tids[2] = { live_tid(), 0 }, bad = 0;

	visitor_start(&visitor);
	visitor_call(&visitor, call_pear, &tids[1]);
	filter(limited, "pear", 0, 1);
	filter(others, "pear", 0, 1);
	ck_ok(ftr_group_limit_threads(limited, &tids[0], 1));
	ck_ok(ftr_group_attach(others));
	ck_ok(ftr_group_attach(limited));
	pear(1);
	visitor_call(&visitor, call_pear, NULL);
	ck_assert_str_eq(order, "loo");

	order[0] = 0;
	ck_ok(ftr_group_limit_threads(limited, &tids[1], 1));
	pear(1);
	visitor_call(&visitor, call_pear, NULL);
	ck_assert_str_eq(order, "olo");

	order[0] = 0;
	ck_ok(ftr_group_limit_threads(limited, tids, 2));
	pear(1);
	visitor_call(&visitor, call_pear, NULL);
	ck_assert_str_eq(order, "lolo");

	order[0] = 0;
	ck_fails(ftr_group_limit_threads(limited, &bad, 1), -EINVAL);
	ck_fails(ftr_group_limit_threads(limited, NULL, 1), -EINVAL);
	ck_ok(ftr_group_limit_threads(limited, &tids[1], 1));
	ck_ok(ftr_group_limit_threads(limited, NULL, 0));
	pear(1);
	visitor_call(&visitor, call_pear, NULL);
	ck_assert_str_eq(order, "lolo");
	visitor_stop(&visitor);
	live_drop(limited);
	live_drop(others);
}
END_TEST

/* --- one group may change ip -------------------------------------------------------------- */

START_TEST(test_ipmodify_is_exclusive)
{
	struct ftr_group *first = counting("f", FTR_GROUP_IPMODIFY);
	struct ftr_group *second = counting("s", FTR_GROUP_IPMODIFY);
	struct ftr_group *both[2] = { first, second };

	filter(first, "pear", 0, 1);
	filter(second, "*", 0, (int)ftr_site_count());
	ck_ok(ftr_group_attach(first));
	ck_fails(ftr_group_attach(second), -EBUSY);
	ck_assert_int_eq(ftr_group_attached(second), 0);
	ck_assert_uint_eq(traced(), A_PEAR);
	ck_assert_uint_eq(live_stats().attached, 1);

	/* Elsewhere it may; and its filter can't grow over the other's site. */
	filter(second, "apple_*", FTR_FILTER_RESET, 3);
	ck_ok(ftr_group_attach(second));
	ck_assert_uint_eq(traced(), APPLES | A_PEAR);
	ck_fails(ftr_group_filter(second, "pear", 0), -EBUSY);
	ck_assert_uint_eq(held(second), 3);
	ck_assert_uint_eq(traced(), APPLES | A_PEAR);
	ck_ok(ftr_group_detach(second));

	/* One for the other, as one batch; both at once never. */
	filter(second, "pear", FTR_FILTER_RESET, 1);
	ck_ok(ftr_group_update(&second, 1, &first, 1));
	ck_assert_int_eq(ftr_group_attached(first), 0);
	ck_ok(ftr_group_detach(second));
	ck_fails(ftr_group_update(both, 2, NULL, 0), -EBUSY);
	ck_assert_uint_eq(traced(), 0);
	ck_assert_uint_eq(live_stats().attached, 0);
	ck_ok(ftr_group_free(first));
	ck_ok(ftr_group_free(second));
}
END_TEST

/* --- updates -------------------------------------------------------------------------------- */

START_TEST(test_update_is_one_batch)
{
	struct ftr_group *a = counting("a", 0), *b = counting("b", 0), *c = counting("c", 0);
	struct ftr_group *ab[2] = { a, b };
	uint64_t batches;

	filter(a, "apple_*", 0, 3);
	filter(b, "pear", 0, 1);
	filter(c, "apple_one", 0, 1);
	batches = live_stats().batches;
	ck_ok(ftr_group_update(ab, 2, NULL, 0));
	ck_assert_uint_eq(traced(), APPLES | A_PEAR);
	batches = live_stats().batches;
	ck_ok(ftr_group_update(&c, 1, ab, 2));
	ck_assert_uint_eq(live_stats().batches, batches + 1);
	ck_assert_uint_eq(traced(), ONE);
	ck_assert_int_eq(ftr_group_attached(a), 0);
	ck_assert_int_eq(ftr_group_attached(c), 1);

	/* One that can't be: nothing is changed. */
	ck_fails(ftr_group_update(&a, 1, &b, 1), -EINVAL);
	ck_fails(ftr_group_update(&c, 1, NULL, 0), -EBUSY);
	ck_assert_int_eq(ftr_group_attached(a), 0);
	ck_assert_uint_eq(traced(), ONE);
	ck_ok(ftr_group_update(NULL, 0, &c, 1));
	ck_assert_uint_eq(traced(), 0);
	ck_ok(ftr_group_free(a));
	ck_ok(ftr_group_free(b));
	ck_ok(ftr_group_free(c));
}
END_TEST

/* --- reports ---------------------------------------------------------------------------------- */

static char *dump(void)
{
	static char text[1 << 16];
	FILE *file = tmpfile();
	size_t n;

	ck_assert_ptr_nonnull(file);
	ck_ok(ftr_dump(fileno(file)));
	rewind(file);
	n = fread(text, 1, sizeof(text) - 1, file);
	text[n] = 0;
	fclose(file);
	return text;
}

START_TEST(test_stats_and_dump)
{
	struct ftr_group *a = counting("fruit_counter", 0), *b = counting("second_group", 0);
	struct ftr_stats before, after;

	filter(a, "apple_*", 0, 3);
	filter(b, "apple_one", 0, 1);
	before = live_stats();
	ck_assert_uint_eq(before.sites, ftr_site_count());
	ck_assert_uint_eq(before.attached, 0);
	ck_assert_ptr_null(strstr(dump(), "apple_one"));
	ck_ok(ftr_group_attach(a));
	after = live_stats();
	ck_assert_uint_eq(after.attached, 3);
	ck_assert_uint_eq(after.sets, before.sets + 1);
	ck_assert_uint_ge(after.pokes_int3 + after.pokes_atomic + after.pokes_skip,
			  before.pokes_int3 + before.pokes_atomic + before.pokes_skip + 3);
	ck_assert_uint_gt(after.last_batch_ns, 0);
	ck_ok(ftr_group_attach(b));
	ck_assert_uint_eq(live_stats().sets, before.sets + 2);
	ck_assert_uint_eq(live_stats().attached, 3);
	ck_assert_ptr_nonnull(strstr(dump(), "apple_one"));
	ck_assert_ptr_nonnull(strstr(dump(), "apple_pie"));
	ck_assert_ptr_nonnull(strstr(dump(), "fruit_counter"));
	ck_assert_ptr_nonnull(strstr(dump(), "second_group"));
	ck_assert_ptr_null(strstr(dump(), "pear"));
	live_drop(b);
	after = live_stats();
	live_drop(a);
	ck_assert_uint_eq(live_stats().grace_periods, after.grace_periods + 1);
	ck_assert_uint_eq(live_stats().attached, 0);
	ck_assert_uint_eq(live_stats().sets, before.sets);
	ck_assert_ptr_null(strstr(dump(), "apple_pie"));
	ck_fails(ftr_dump(-1), -EINVAL);
}
END_TEST

/* A caller that knows fewer fields gets these alone. */
START_TEST(test_stats_of_an_older_caller)
{
	struct ftr_stats stats;

	memset(&stats, 0x77, sizeof(stats));
	stats.size = offsetof(struct ftr_stats, sites_refused);
	ck_ok(ftr_stats_get(&stats));
	ck_assert_uint_eq(stats.sites, ftr_site_count());
	ck_assert_uint_eq(stats.sites_refused, 0x7777777777777777);
	stats.size = 3;
	ck_fails(ftr_stats_get(&stats), -EINVAL);
	ck_fails(ftr_stats_get(NULL), -EINVAL);
}
END_TEST

/* --- sites ------------------------------------------------------------------------------------- */

START_TEST(test_site_accessors)
{
	const uintptr_t ip = (uintptr_t)live_sites[5];
	const struct ftr_site *site;
	struct ftr_group *a, *groups[2] = { NULL, NULL };

	ck_ok(ftr_init(NULL));
	site = ftr_site_find(ip);
	ck_assert_ptr_nonnull(site);
	ck_assert_uint_eq(ftr_site_ip(site), ip);
	ck_assert_uint_eq(ftr_site_function(site), ip);
	ck_assert_str_eq(ftr_site_name(site), "live_line_5");
	ck_assert_str_eq(ftr_site_module(site), "test_groups");
	ck_assert_int_eq(ftr_site_kind(site), FTR_SITE_PATCHABLE);
	ck_assert_int_eq(ftr_site_groups(site, NULL, 0), 0);
	a = live_attach("a", handler_counts, NULL, 0, live_sites[5]);
	ck_assert_int_eq(ftr_site_groups(site, NULL, 0), 1);
	ck_assert_int_eq(ftr_site_groups(site, groups, 2), 1);
	ck_assert_ptr_eq(groups[0], a);
	ck_assert_ptr_null(groups[1]);
	live_drop(a);
}
END_TEST

/* The function's body from 5 on; then bytes that are no one's. */
START_TEST(test_find_inner_addresses)
{
	const uintptr_t ip = (uintptr_t)live_sites[5];
	uintptr_t at;

	ck_ok(ftr_init(NULL));
	for (at = ip; at < ip + 5 + ARCH_BODY; at++)
		ck_assert_ptr_eq(ftr_site_find(at), ftr_site_find(ip));
	ck_assert_ptr_null(ftr_site_find(ip + 5 + ARCH_BODY));
	ck_assert_ptr_null(ftr_site_find(ip - 1));
	ck_assert_ptr_null(ftr_site_find(0));
	ck_assert_ptr_null(ftr_site_find(UINTPTR_MAX));
	ck_assert_ptr_null(ftr_site_find((uintptr_t)&at));
	ck_assert_ptr_null(ftr_site_find((uintptr_t)live_main));
}
END_TEST

static int note_rising(const struct ftr_site *site, void *arg)
{
	uintptr_t *last = arg;

	ck_assert_uint_gt(ftr_site_ip(site), *last);
	*last = ftr_site_ip(site);
	return *last == (uintptr_t)live_sites[9] ? 17 : 0;
}

START_TEST(test_for_each_in_order)
{
	struct ftr_group *group = counting("a", 0);
	uintptr_t last = 0;
	unsigned n = 0;

	ck_assert_int_eq(ftr_site_for_each(count_site, &n), 0);
	ck_assert_uint_eq(n, ftr_site_count());
	ck_assert_uint_eq(n, LIVE_SITES + FRUIT);
	ck_assert_int_eq(ftr_site_for_each(note_rising, &last), 17);
	ck_fails(ftr_site_for_each(NULL, NULL), -EINVAL);
	filter(group, "live_line_*", 0, LIVE_LINE_SITES);
	last = 0;
	ck_assert_int_eq(ftr_group_for_each(group, note_rising, &last), 17);
	ck_fails(ftr_group_for_each(group, NULL, NULL), -EINVAL);
	ck_ok(ftr_group_free(group));
}
END_TEST

START_TEST(test_ip_and_parent)
{
	struct ftr_group *a;
	uintptr_t site;

	ck_ok(ftr_init(NULL));
	site = ftr_site_ip(ftr_site_find((uintptr_t)pear));
	a = counting("a", 0);
	filter(a, "pear", 0, 1);
	ck_ok(ftr_group_attach(a));
	ck_assert_int_eq(pear(1), 2);
	ck_assert_uint_eq(last_ip, site);
	/* Called from this very function: a short way from here. */
	ck_assert_uint_gt(last_parent, (uintptr_t)test_ip_and_parent_fn);
	ck_assert_uint_lt(last_parent, (uintptr_t)test_ip_and_parent_fn + 4096);
	live_drop(a);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("groups");

	LIVE_CASE(suite, test_newest_first, 30);
	LIVE_CASE(suite, test_order_survives_filter_changes, 30);
	LIVE_CASE(suite, test_globs, 30);
	LIVE_CASE(suite, test_filter_add_remove_reset, 30);
	LIVE_CASE(suite, test_nothing_never_means_all, 30);
	LIVE_CASE(suite, test_exclude_wins, 30);
	LIVE_CASE(suite, test_failed_filter_changes_nothing, 30);
	LIVE_CASE(suite, test_pending_pattern, 30);
	LIVE_CASE(suite, test_filter_by_address, 30);
	LIVE_CASE(suite, test_limit_threads, 30);
	LIVE_CASE(suite, test_ipmodify_is_exclusive, 30);
	LIVE_CASE(suite, test_update_is_one_batch, 30);
	LIVE_CASE(suite, test_stats_and_dump, 30);
	LIVE_CASE(suite, test_stats_of_an_older_caller, 30);
	LIVE_CASE(suite, test_site_accessors, 30);
	LIVE_CASE(suite, test_find_inner_addresses, 30);
	LIVE_CASE(suite, test_for_each_in_order, 30);
	LIVE_CASE(suite, test_ip_and_parent, 30);
	return live_main(suite);
}
