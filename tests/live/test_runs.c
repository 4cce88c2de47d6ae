/* SPDX-License-Identifier: MIT */
/*
 * P4, H10: sites of all kinds, side by side and with gaps, held by groups that come,
 * go, change places and change their filters at random: after each change each
 * site holds what it should, and its call runs exactly the groups that hold it.
 */
#include "lib/batch.h"
#include "tests/live/live.h"

#include <stdlib.h>

enum { RUNS = 400, GROUPS = 3 };
extern const live_fn live_runs[RUNS] __attribute__((visibility("hidden")));

/* What should be: which sites each group's filter holds, and who is attached. */
static bool held[GROUPS][RUNS];
static bool attached[GROUPS];
static struct ftr_group *groups[GROUPS];

/* Groups that the latest call ran, as bits; and how often one did. */
static unsigned ran, times, exits;

static int on_entry(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		    struct ftr_regs *regs)
{
	ran |= 1u << (uintptr_t)ftr_group_data(group);
	times++;
	return 0;
}

static void on_exit_(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		     struct ftr_regs *regs)
{
	exits++;
}

static uint64_t seed;

static unsigned any(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed >> 20) % n;
}

/* --- what a filter may hold ------------------------------------------------------- */

static void hold_range(bool *sites, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to && i < RUNS; i++)
		sites[i] = true;
}

static void choose_sites(bool *sites)
{
	unsigned kind = any(6), from = any(RUNS);

	memset(sites, 0, RUNS * sizeof(*sites));
	hold_range(sites, kind < 3 ? 0 : from, kind < 3 ? RUNS : from + 1 + any(RUNS));
	if (kind == 1 || kind == 4) /* a few gaps */
		for (int i = 0; i < 5; i++)
			sites[any(RUNS)] = false;
	if (kind == 2) /* many */
		for (unsigned i = 0; i < RUNS; i++)
			sites[i] = any(3);
	sites[from] = true; /* never none */
}

static void set_filter(unsigned group)
{
	uintptr_t ips[RUNS];
	size_t n = 0;

	for (unsigned i = 0; i < RUNS; i++)
		if (held[group][i])
			ips[n++] = live_ip(live_runs[i]);
	ck_assert_int_eq(ftr_group_filter_ips(groups[group], ips, n, FTR_FILTER_RESET), n);
}

/* --- what is -------------------------------------------------------------------------- */

static unsigned holders(unsigned site)
{
	unsigned mask = 0;

	for (unsigned g = 0; g < GROUPS; g++)
		if (attached[g] && held[g][site])
			mask |= 1u << g;
	return mask;
}

static void check_site(unsigned i, bool hooks)
{
	const struct ftr_site *site = ftr_site_find((uintptr_t)live_runs[i]);
	const unsigned char *at = (const unsigned char *)ftr_site_ip(site);
	unsigned mask = holders(i), n = (unsigned)__builtin_popcount(mask);
	bool idle = at[0] == 0x0f || at[0] == 0x90 || (at[0] == 0x66 && at[1] == 0x0f);

	ran = times = exits = 0;
	if (live_runs[i]((long)i) != (long)i + 1 || ran != mask || times != n)
		ck_abort_msg("site %u: groups %#x, %u in all, not %#x", i, ran, times, mask);
	if (exits != (hooks && mask >> (GROUPS - 1)))
		ck_abort_msg("site %u: %u exits", i, exits);
	if (idle != !mask || ftr_site_groups(site, NULL, 0) != (int)n)
		ck_abort_msg("site %u: %s, %d groups", i, idle ? "a nop" : "no nop",
			     ftr_site_groups(site, NULL, 0));
}

static void check_all(bool hooks)
{
	size_t n = 0;

	for (unsigned i = 0; i < RUNS; i++) {
		check_site(i, hooks);
		n += holders(i) != 0;
	}
	ck_assert_uint_eq(live_stats().attached, n);
}

/* --- changes ----------------------------------------------------------------------------- */

static void toggle(unsigned group, bool partly)
{
	struct ftr_update_options options = FTR_UPDATE_OPTIONS_INIT;

	if (attached[group]) {
		options.detach = &groups[group];
		options.n_detach = 1;
	} else {
		options.attach = &groups[group];
		options.n_attach = 1;
	}
	options.flags = partly ? FTR_UPDATE_PARTIAL : 0;
	ck_ok(ftr_update(&options));
	ck_assert_uint_eq(options.left_out_count, 0);
	attached[group] = !attached[group];
}

/** Two that hold the same sites change places, or hold their own. */
static void exchange(unsigned from, unsigned to, bool alike)
{
	if (from == to || !attached[from] || attached[to])
		return;
	if (alike)
		memcpy(held[to], held[from], sizeof(held[to]));
	else
		choose_sites(held[to]);
	set_filter(to);
	ck_ok(ftr_group_update(&groups[to], 1, &groups[from], 1));
	attached[from] = false;
	attached[to] = true;
}

static void change(void)
{
	unsigned group = any(GROUPS), what = any(8);

	if (what < 2) {
		exchange(group, any(GROUPS), what);
	} else if (what < 4) {
		choose_sites(held[group]);
		set_filter(group);
	} else {
		toggle(group, what == 7);
	}
}

static void make_groups(bool hooks)
{
	for (uintptr_t g = 0; g < GROUPS; g++) {
		struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;

		options.name = "run";
		options.entry = on_entry;
		options.exit = hooks && g == GROUPS - 1 ? on_exit_ : NULL;
		options.data = (void *)g;
		ck_ok(ftr_group_new(&groups[g], &options));
		choose_sites(held[g]);
		set_filter((unsigned)g);
	}
}

/* _i: the last group has an exit handler, so that its sites jump. */
START_TEST(test_changes_at_random)
{
	unsigned long rounds = live_rounds(1000), i;

	seed = 88172645463325252u + (uint64_t)_i;
	ck_ok(ftr_init(NULL));
	make_groups(_i);
	check_all(_i);
	for (i = 0; i < rounds; i++) {
		change();
		check_all(_i);
	}
	ck_ok(ftr_shutdown());
	memset(attached, 0, sizeof(attached));
	for (i = 0; i < RUNS; i++) {
		ran = 0;
		ck_assert_int_eq(live_runs[i]((long)i), i + 1);
		ck_assert_uint_eq(ran, 0);
	}
}
END_TEST

static void hold_exactly(unsigned group, unsigned from, unsigned to)
{
	memset(held[group], 0, sizeof(held[group]));
	hold_range(held[group], from, to);
	set_filter(group);
}

static int head(unsigned i)
{
	return *(const unsigned char *)live_ip(live_runs[i]);
}

/** Of the sites in the midst of which some are left alone. */
static void check_heads(bool hooked)
{
	for (unsigned i = 300; i < RUNS; i++) {
		bool alone = i / 10 == 37 || i == 309;
		int right = hooked && !alone ? 0xe9 : attached[0] || attached[GROUPS - 1] ? 0xe8 : 0x0f;

		ck_assert_msg(head(i) == right, "site %u begins with %02x, not %02x", i, head(i), right);
		exits = ran = 0;
		ck_assert_int_eq(live_runs[i](i), (long)i + 1);
		ck_assert_uint_eq(ran, holders(i));
		ck_assert_uint_eq(exits, hooked && !alone);
	}
}

/** R5: in the midst of sites that jump there are some that don't; by each strategy
 *  that can do it. */
START_TEST(test_some_are_left_alone)
{
	seed = 1;
	ck_ok(ftr_init(NULL));
	ftr__batch_set_poke((unsigned)_i);
	make_groups(true);
	ck_ok(ftr_exits_exclude("live_run_37?", 0));
	ck_ok(ftr_exits_exclude("live_run_309", 0));
	/* Of one kind, and aligned: any way is theirs. */
	hold_exactly(GROUPS - 1, 300, RUNS);
	hold_exactly(0, 300, RUNS);
	hold_exactly(1, 0, 1);
	for (int round = 0; round < 3; round++) {
		toggle(GROUPS - 1, false);
		check_heads(round != 1);
		if (_i == FTR_POKE_SKIP) /* not from calls to jumps */
			continue;
		toggle(0, false);
		check_heads(round != 1);
	}
	ck_ok(ftr_exits_exclude("live_run_38?", 0));
	ck_ok(ftr_exits_exclude("live_run_309", FTR_FILTER_REMOVE));
	toggle(GROUPS - 1, false);
	toggle(GROUPS - 1, false);
	ck_assert_int_eq(head(309), 0xe9);
	ck_assert_int_eq(head(385), 0xe8);
}
END_TEST

/** Pads that were never touched in the midst of the others. */
START_TEST(test_all_at_first)
{
	seed = 1;
	ck_ok(ftr_init(NULL));
	make_groups(false);
	hold_exactly(0, 0, RUNS);
	toggle(0, false);
	check_all(false);
	toggle(0, false);
	check_all(false);
}
END_TEST

/** One site, wherever it lies, comes from another set than all around it. */
START_TEST(test_one_site_differs)
{
	seed = 1;
	ck_ok(ftr_init(NULL));
	make_groups(false);
	hold_exactly(0, 0, RUNS);
	for (unsigned i = 0; i < RUNS; i++) {
		hold_exactly(1, i, i + 1);
		toggle(1, false);
		toggle(0, false);
		check_all(false);
		toggle(0, false);
		check_all(false);
		toggle(1, false);
	}
}
END_TEST

/** One list is the other's beginning: they are not the same. */
START_TEST(test_exchange_for_more_and_for_less)
{
	seed = 1;
	ck_ok(ftr_init(NULL));
	make_groups(false);
	hold_exactly(0, 0, 100);
	hold_exactly(1, 0, 200);
	toggle(0, false);
	ck_ok(ftr_group_update(&groups[1], 1, &groups[0], 1));
	attached[0] = false;
	attached[1] = true;
	check_all(false);
	ck_ok(ftr_group_update(&groups[0], 1, &groups[1], 1));
	attached[0] = true;
	attached[1] = false;
	check_all(false);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("runs");

	LIVE_CASE(suite, test_all_at_first, 30);
	LIVE_LOOP(suite, test_some_are_left_alone, FTR_POKE_AUTO, FTR_POKE_SKIP + 1, 30);
	LIVE_CASE(suite, test_one_site_differs, 60);
	LIVE_CASE(suite, test_exchange_for_more_and_for_less, 30);
	LIVE_LOOP(suite, test_changes_at_random, 0, 2, 60);
	return live_main(suite);
}
