/* SPDX-License-Identifier: MIT */
/*
 * P4, P10, E1: each call out of the library that can fail does so once, one at
 * a time, in each call into it that changes something.  Such a call either does
 * its work nevertheless, or says what is wrong and leaves everything as it was;
 * and the same call works right afterwards.
 *
 * Each failure has a child of its own; that no failure is left is found out by
 * not coming to it.
 */
#include "tests/live/faults.h"
#include "tests/live/load.h"
#include "tests/live/textwatch.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

extern int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

static const char *const fault_names[FAULTS] = { "memory", "mmap", "mprotect", "open", "pwrite",
						 "sigaction", "atfork" };

/* --- the scene ------------------------------------------------------------------ */

static struct ftr_group *a, *b;
static uint64_t calls_a, calls_b;
static struct loaded plugin;
static struct ftr_options options = FTR_OPTIONS_INIT;

static int count(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group, struct ftr_regs *regs)
{
	++*(uint64_t *)ftr_group_data(group);
	return 0;
}

/* How many calls of the traced functions each group sees; of the plugin's, a. */
struct view {
	unsigned a, b, plugin;
};

static void expect(struct view view, const char *when)
{
	uint64_t seen_a;

	calls_a = calls_b = 0;
	for (int i = 0; i < TRACED_FUNCTIONS; i++)
		ck_assert_int_eq(traced[i](), i);
	seen_a = calls_a;
	if (plugin.handle)
		load_call_all(&plugin);
	ck_assert_msg(seen_a == view.a && calls_b == view.b && calls_a - seen_a == view.plugin,
		      "%s: calls seen %u %u %u, expected %u %u %u", when, (unsigned)seen_a,
		      (unsigned)calls_b, (unsigned)(calls_a - seen_a), view.a, view.b,
		      view.plugin);
}

static struct ftr_group *group_on(const char *pattern, uint64_t *calls)
{
	struct ftr_group *group = live_group(pattern, count, calls, 0);

	ck_assert_int_ge(ftr_group_filter(group, pattern, FTR_FILTER_PENDING), 0);
	return group;
}

static void begin(void)
{
	ck_ok(ftr_init(&options));
	a = group_on("traced_*", &calls_a);
	b = group_on("traced_[01]", &calls_b);
}

/* Pads are normal, slots of a are there; idle again. */
static void begin_warm(void)
{
	begin();
	ck_ok(ftr_group_attach(a));
	ck_ok(ftr_group_detach(a));
}

static void begin_attached(void)
{
	begin();
	ck_ok(ftr_group_attach(a));
}

static void begin_both(void)
{
	begin_attached();
	ck_ok(ftr_group_attach(b));
}

static void begin_with_plugin(void)
{
	begin();
	ck_assert_int_eq(ftr_group_filter(a, "a_*", FTR_FILTER_PENDING), 0);
	ck_ok(ftr_group_attach(a));
	load(&plugin, load_path("a"));
}

/* --- the calls -------------------------------------------------------------------- */

static int start_library(void)
{
	return ftr_init(&options);
}

static int make_group(void)
{
	struct ftr_group_options wanted = FTR_GROUP_OPTIONS_INIT;
	struct ftr_group *group = NULL;
	int result;

	wanted.entry = count;
	wanted.name = "another";
	result = ftr_group_new(&group, &wanted);
	if (!result)
		result = ftr_group_free(group);
	return result;
}

static int attach_a(void)
{
	return ftr_group_attach(a);
}

static int attach_b(void)
{
	return ftr_group_attach(b);
}

static int detach_a(void)
{
	return ftr_group_detach(a);
}

static int detach_a_asynchronously(void)
{
	return ftr_group_detach_async(a, NULL, NULL);
}

static int exchange(void)
{
	return ftr_group_update(&b, 1, &a, 1);
}

static int narrow(void)
{
	return ftr_group_filter(a, "traced_0", FTR_FILTER_RESET);
}

static int narrow_by_address(void)
{
	uintptr_t ip = (uintptr_t)traced[2];

	return ftr_group_filter_ips(a, &ip, 1, FTR_FILTER_RESET);
}

static int leave_out(void)
{
	return ftr_group_exclude(a, "traced_3", 0);
}

static int limit(void)
{
	pid_t other = 1;

	return ftr_group_limit_threads(a, &other, 1);
}

static const struct act {
	const char *name;
	void (*begin)(void);
	int (*call)(void);
	struct view before, after;
	bool coarse; /* sites may be left in another idle form than before */
	unsigned kinds; /* of failures that must be met */
} acts[] = {
	{ "init", NULL, start_library, { 0, 0, 0 }, { 0, 0, 0 }, false,
	  1 << FAULT_MEMORY | 1 << FAULT_MAPPING | 1 << FAULT_SIGNALS | 1 << FAULT_HANDLERS },
	{ "new", begin, make_group, { 0, 0, 0 }, { 0, 0, 0 }, false, 1 << FAULT_MEMORY },
	{ "first attach", begin, attach_a, { 0, 0, 0 }, { 4, 0, 0 }, true,
	  1 << FAULT_MEMORY | 1 << FAULT_MAPPING | 1 << FAULT_PROTECTION | 1 << FAULT_OPENING |
		  1 << FAULT_SIGNALS },
	{ "attach", begin_warm, attach_a, { 0, 0, 0 }, { 4, 0, 0 }, false, 1 << FAULT_MEMORY },
	{ "attach beside", begin_attached, attach_b, { 4, 0, 0 }, { 4, 2, 0 }, false,
	  1 << FAULT_MEMORY },
	{ "detach", begin_attached, detach_a, { 4, 0, 0 }, { 0, 0, 0 }, false, 1 << FAULT_MEMORY },
	{ "detach beside", begin_both, detach_a, { 4, 2, 0 }, { 0, 2, 0 }, false,
	  1 << FAULT_MEMORY },
	{ "detach async", begin_both, detach_a_asynchronously, { 4, 2, 0 }, { 0, 2, 0 }, false,
	  1 << FAULT_MEMORY },
	{ "update", begin_attached, exchange, { 4, 0, 0 }, { 0, 2, 0 }, false, 1 << FAULT_MEMORY },
	{ "filter", begin_both, narrow, { 4, 2, 0 }, { 1, 2, 0 }, false, 1 << FAULT_MEMORY },
	{ "filter_ips", begin_both, narrow_by_address, { 4, 2, 0 }, { 1, 2, 0 }, false,
	  1 << FAULT_MEMORY },
	{ "exclude", begin_both, leave_out, { 4, 2, 0 }, { 3, 2, 0 }, false, 1 << FAULT_MEMORY },
	{ "limit", begin_attached, limit, { 4, 0, 0 }, { 0, 0, 0 }, false, 1 << FAULT_MEMORY },
	{ "refresh", begin_with_plugin, ftr_sites_refresh, { 4, 0, 0 }, { 4, 0, 3 }, false,
	  1 << FAULT_MEMORY | 1 << FAULT_MAPPING },
	{ "shutdown", begin_both, ftr_shutdown, { 4, 2, 0 }, { 0, 0, 0 }, false, 0 },
};
enum { ACTS = sizeof(acts) / sizeof(acts[0]) };

/* --- one failure ------------------------------------------------------------------- */

/* Calls of the traced sites count as what they call, not by their bytes. */
static void even_out_sites(unsigned char *text)
{
	for (int i = 0; i < TRACED_FUNCTIONS; i++) {
		const struct ftr_site *site = ftr_site_find((uintptr_t)traced[i]);

		ck_assert_ptr_nonnull(site);
		memset(text + (ftr_site_ip(site) - text_start), 0, 5);
	}
}

static unsigned char *copy_text(bool without_sites)
{
	unsigned char *copy = malloc(text_size);

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, (const void *)text_start, text_size);
	if (without_sites)
		even_out_sites(copy);
	return copy;
}

static bool known_error(int result)
{
	return result < 0 && strcmp(ftr_strerror(result), "unknown error") != 0;
}

/* 1: the failure was met and reported, 2: met and got over; 0: there is none. */
static int meet(const struct act *act, enum fault kind, unsigned at)
{
	unsigned char *before, *now;
	bool met;
	int result;

	keep_text();
	if (act->begin)
		act->begin();
	before = copy_text(act->coarse);
	expect(act->before, "before");
	fault_arm(kind, at);
	result = act->call();
	met = fault_disarm();
	if (result >= 0) {
		expect(act->after, "in spite of it");
		free(before);
		return met ? 2 : 0;
	}
	ck_assert_msg(met, "%d without a failure: %s", result, ftr_last_error());
	ck_assert_msg(known_error(result) && ftr_last_error()[0], "%d: %s", result,
		      ftr_last_error());
	now = copy_text(act->coarse);
	/* A shutdown goes in steps: groups first. */
	if (act->call != ftr_shutdown) {
		ck_assert_msg(!memcmp(now, before, text_size), "%d: the text changed", result);
		expect(act->before, "after the failure");
	}
	result = act->call();
	ck_assert_msg(result >= 0, "once more: %d: %s", result, ftr_last_error());
	expect(act->after, "once more");
	free(now);
	free(before);
	return 1;
}

static void leave(void)
{
	struct view none = { 0, 0, 0 };

	ck_ok(ftr_shutdown());
	expect(none, "after the shutdown");
	if (a)
		ck_ok(ftr_group_free(a));
	if (b)
		ck_ok(ftr_group_free(b));
	ck_ok(ftr_shutdown());
	a = b = NULL;
	if (__lsan_do_recoverable_leak_check)
		ck_assert_int_eq(__lsan_do_recoverable_leak_check(), 0);
}

static int meet_in_child(const struct act *act, enum fault kind, unsigned at)
{
	pid_t child = fork();
	int status;

	ck_assert_int_ge(child, 0);
	if (!child) {
		int found = meet(act, kind, at);

		leave();
		_exit(found + 10);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) >= 10,
		      "%s, failure %u of %s: status %#x", act->name, at, fault_names[kind],
		      status);
	return WEXITSTATUS(status) - 10;
}

/* _i: an act, with each of the two writers. */
START_TEST(test_each_failure_once)
{
	const struct act *act = &acts[_i / 2];
	unsigned met = 0;

	options.poke = FTR_POKE_INT3; /* SIGTRAP has to be taken, whatever the sites */
	options.flags = _i % 2 ? FTR_TEXT_STRICT : 0;
	for (enum fault kind = 0; kind < FAULTS; kind++) {
		unsigned at = 1;

		while (meet_in_child(act, kind, at))
			at++;
		met |= (unsigned)(at > 1) << kind;
	}
	if (options.flags)
		ck_assert_msg(!act->after.a == !act->before.a || met & 1 << FAULT_WRITING,
			      "%s: no write failed", act->name);
	ck_assert_msg((met & act->kinds) == act->kinds, "%s: only these failed: %#x", act->name,
		      met);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("failures");
	TCase *loops = tcase_create("acts");

	tcase_set_timeout(loops, 120);
	tcase_add_loop_test(loops, test_each_failure_once, 0, 2 * ACTS);
	suite_add_tcase(suite, loops);
	return live_main(suite);
}
