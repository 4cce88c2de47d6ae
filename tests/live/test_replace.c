/* SPDX-License-Identifier: MIT */
/*
 * T1: functions replaced at their sites.
 */
#include "tests/live/live.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

FTR_TRACEABLE long plain(long x);
FTR_TRACEABLE long plain(long x)
{
	LIVE_OPAQUE(x);
	return x + 1;
}

FTR_TRACEABLE long other_plain(long x);
FTR_TRACEABLE long other_plain(long x)
{
	LIVE_OPAQUE(x);
	return x + 2;
}

static void *original;

static long replaced(long x)
{
	return x + 100;
}

static long wrapped(long x)
{
	return 2 * ((live_fn)original)(x + 10);
}

static unsigned entries, exits;

static int on_entry(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		    struct ftr_regs *regs)
{
	entries++;
	return 0;
}

static int adding(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		  struct ftr_regs *regs)
{
	entries++;
	ftr_regs_set_arg(regs, 0, ftr_regs_arg(regs, 0) + 1000);
	return 0;
}

static void on_exit_seen(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			 struct ftr_regs *regs)
{
	exits++;
}

static const unsigned char *text_of(live_fn fn)
{
	return (const void *)ftr_site_ip(ftr_site_find((uintptr_t)fn));
}

/** The site is a nop, or what the compiler left: gcc five, clang another one. */
static bool idle(live_fn fn)
{
	return !memcmp(text_of(fn), live_nop5, 5) ||
	       !memcmp(text_of(fn), "\x90\x90\x90\x90\x90", 5) ||
	       !memcmp(text_of(fn), "\x0f\x1f\x44\x00\x08", 5);
}

static bool jumps(live_fn fn)
{
	return *text_of(fn) == 0xe9;
}

START_TEST(test_calls_go_elsewhere)
{
	ck_ok(ftr_replace(plain, replaced, &original));
	ck_assert_int_eq(plain(1), 101);
	ck_assert(jumps(plain));
	ck_assert_int_eq(((live_fn)original)(1), 2);
	ck_assert_int_eq(other_plain(1), 3);
	ck_ok(ftr_restore(plain));
	ck_assert_int_eq(plain(1), 2);
	ck_assert(idle(plain));
	/* Also when nothing is at the site. */
	ck_assert_int_eq(((live_fn)original)(1), 2);

	ck_ok(ftr_replace((void *)text_of(plain), wrapped, &original));
	ck_assert_int_eq(plain(1), 24);
	ck_ok(ftr_restore((void *)text_of(plain)));
	ck_ok(ftr_replace(plain, replaced, NULL));
	ck_ok(ftr_restore(plain));
}
END_TEST

/** H1-H4 under it: handlers come first, whoever came first to the site. */
START_TEST(test_still_traced)
{
	struct ftr_group *first = live_attach("first", on_entry, NULL, 0, plain);

	ck_ok(ftr_replace(plain, replaced, &original));
	ck_assert(!jumps(plain));
	entries = 0;
	ck_assert_int_eq(plain(1), 101);
	ck_assert_uint_eq(entries, 1);

	/* A change of an argument reaches what takes the place. */
	struct ftr_group *second = live_attach("second", adding, NULL, FTR_GROUP_REGS, plain);
	ck_assert_int_eq(plain(1), 1101);
	ck_assert_uint_eq(entries, 3);
	struct ftr_group *groups[4];
	ck_assert_int_eq(ftr_site_groups(ftr_site_find((uintptr_t)plain), groups, 4), 2);
	ck_assert_ptr_eq(groups[0], second);
	ck_assert_ptr_eq(groups[1], first);

	live_drop(first);
	ck_assert_int_eq(plain(1), 1101);
	ck_ok(ftr_restore(plain));
	ck_assert_int_eq(plain(1), 1002);
	ck_ok(ftr_replace(plain, replaced, NULL));
	live_drop(second);
	ck_assert(jumps(plain));
	ck_assert_int_eq(plain(1), 101);
	ck_ok(ftr_restore(plain));
}
END_TEST

/** R1: an exit handler sees what took the place return. */
START_TEST(test_exits)
{
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;
	struct ftr_group *group;

	options.exit = on_exit_seen;
	ck_ok(ftr_group_new(&group, &options));
	ck_assert_int_eq(ftr_group_filter(group, "plain", 0), 1);
	ck_ok(ftr_group_attach(group));
	ck_ok(ftr_replace(plain, wrapped, &original));
	exits = 0;
	ck_assert_int_eq(plain(1), 24);
	ck_assert_uint_eq(exits, 1);
	live_drop(group);
	ck_assert_int_eq(plain(1), 24);
	ck_ok(ftr_restore(plain));
}
END_TEST

static int calling(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		   struct ftr_regs *regs)
{
	/* H7: the call is missed by groups, not by the replacement. */
	*(long *)ftr_group_data(group) = plain(1);
	return 0;
}

START_TEST(test_inside_handlers)
{
	long seen = 0;
	struct ftr_group *caller = live_attach("caller", calling, &seen, 0, other_plain);
	struct ftr_group *group = live_attach("group", on_entry, NULL, 0, plain);

	ck_ok(ftr_replace(plain, replaced, NULL));
	entries = 0;
	other_plain(1);
	ck_assert_int_eq(seen, 101);
	ck_assert_uint_eq(entries, 0);
	live_drop(group);
	other_plain(1);
	ck_assert_int_eq(seen, 101);
	live_drop(caller);
	ck_ok(ftr_restore(plain));
}
END_TEST

static int changing_ip(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		       struct ftr_regs *regs)
{
	return 0;
}

START_TEST(test_exclusive)
{
	struct ftr_group *group = live_attach("ip", changing_ip, NULL, FTR_GROUP_IPMODIFY, plain);
	struct ftr_replacement many[] = { { other_plain, replaced, NULL },
					  { plain, replaced, NULL } };

	ck_fails(ftr_replace(plain, replaced, NULL), -EBUSY);
	/* All or none. */
	ck_fails(ftr_replace_many(many, 2), -EBUSY);
	ck_assert_int_eq(other_plain(1), 3);
	ck_assert(idle(other_plain));
	live_drop(group);

	ck_ok(ftr_replace_many(many, 2));
	ck_assert_int_eq(other_plain(1), 101);
	ck_assert_int_eq(((live_fn)many[0].original)(1), 3);
	ck_assert_int_eq(((live_fn)many[1].original)(1), 2);
	ck_fails(ftr_replace(plain, wrapped, NULL), -EBUSY);
	group = live_group("ip", changing_ip, NULL, FTR_GROUP_IPMODIFY);
	ck_assert_int_eq(ftr_group_filter(group, "plain", 0), 1);
	ck_fails(ftr_group_attach(group), -EBUSY);
	ck_ok(ftr_group_free(group));

	void *const fns[] = { plain, other_plain, plain };
	ck_fails(ftr_restore_many(fns, 3), -EINVAL);
	ck_assert_int_eq(plain(1), 101);
	ck_ok(ftr_restore_many(fns, 2));
	ck_assert_int_eq(plain(1) + other_plain(1), 5);
}
END_TEST

/** E1. */
START_TEST(test_misuse)
{
	struct ftr_replacement twice[] = { { plain, replaced, NULL }, { plain, wrapped, NULL } };
	void *one = plain;

	ck_fails(ftr_replace(NULL, replaced, NULL), -EINVAL);
	ck_fails(ftr_replace(plain, NULL, NULL), -EINVAL);
	ck_fails(ftr_replace(plain, plain, NULL), -EINVAL);
	ck_fails(ftr_replace_many(NULL, 1), -EINVAL);
	ck_fails(ftr_replace_many(twice, 2), -EBUSY);
	ck_fails(ftr_restore(plain), -ENOENT);
	ck_fails(ftr_restore(NULL), -ENOENT);
	ck_fails(ftr_restore_many(NULL, 1), -EINVAL);
	ck_ok(ftr_replace_many(NULL, 0));
	ck_ok(ftr_restore_many(&one, 0));
	ck_assert_int_eq(plain(1), 2);
	ck_assert(idle(plain));
}
END_TEST

static int restoring(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		     struct ftr_regs *regs)
{
	*(int *)ftr_group_data(group) = ftr_restore(plain);
	return 0;
}

START_TEST(test_restored_by_a_handler)
{
	int result = 1;
	struct ftr_group *group = live_attach("g", restoring, &result, 0, other_plain);

	ck_ok(ftr_replace(plain, replaced, NULL));
	other_plain(1);
	ck_assert_int_eq(result, -EDEADLK);
	ck_assert_int_eq(plain(1), 2);
	ck_ok(ftr_replace(plain, replaced, NULL));
	live_drop(group);
	ck_assert_int_eq(plain(1), 101);
	ck_ok(ftr_restore(plain));
}
END_TEST

/** A shutdown makes all functions themselves again. */
START_TEST(test_shutdown)
{
	ck_ok(ftr_replace(plain, replaced, NULL));
	ck_ok(ftr_replace(other_plain, replaced, NULL));
	ck_ok(ftr_shutdown());
	ck_assert_int_eq(plain(1), 2);
	ck_ok(ftr_replace(plain, wrapped, &original));
	ck_assert_int_eq(plain(1), 24);
	ck_fails(ftr_restore(other_plain), -ENOENT);
	ck_ok(ftr_restore(plain));
}
END_TEST

/** Code anywhere, for jumps of 32 bits to reach or not: it returns 7. */
static live_fn far_code(uintptr_t where)
{
	static const unsigned char seven[] = { 0xb8, 7, 0, 0, 0, 0xc3 };
	void *at = mmap((void *)where, 4096, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	ck_assert_ptr_ne(at, MAP_FAILED);
	memcpy(at, seven, sizeof seven);
	ck_assert_int_eq(mprotect(at, 4096, PROT_READ | PROT_EXEC), 0);
	return (live_fn)(uintptr_t)at;
}

START_TEST(test_far_away)
{
	live_fn far = far_code(0x10000000);
	unsigned char first[5] = { 0 };

	for (unsigned i = 0; i < 3; i++) {
		ck_ok(ftr_replace(plain, far, &original));
		ck_assert(jumps(plain));
		/* By the same jump each time: they stay. */
		if (!i)
			memcpy(first, text_of(plain), sizeof first);
		ck_assert_mem_eq(text_of(plain), first, sizeof first);
		ck_assert_int_eq(plain(1), 7);
		ck_assert_int_eq(((live_fn)original)(1), 2);
		ck_ok(ftr_restore(plain));
		ck_assert_int_eq(plain(1), 2);
	}
}
END_TEST

/* --- under load --------------------------------------------------------------------- */

/** The buggy function forgets a carry now and then. */
FTR_TRACEABLE long buggy(long x);
FTR_TRACEABLE long buggy(long x)
{
	LIVE_OPAQUE(x);
	return x & 7 ? x * 3 : -1;
}

static long fixed(long x)
{
	return x * 3;
}

static atomic_bool must_be_fixed;

/** Every answer is the old one's or the new one's. */
static void asking(struct live_worker *worker)
{
	for (long x = 0; x < 64; x++) {
		bool only_fixed = atomic_load(&must_be_fixed);
		long got = buggy(x);
		bool wrong = got != x * 3 && !(got == -1 && !(x & 7));

		worker->counts[got == -1]++;
		if (wrong || (only_fixed && got == -1 && atomic_load(&must_be_fixed)))
			worker->bad++;
	}
}

static void patch_under_load(bool traced)
{
	struct live_worker workers[2] = { 0 };
	struct ftr_group *group = live_group("load", on_entry, NULL, 0);
	unsigned long rounds = live_rounds(traced ? 1000 : 10000);

	ck_assert_int_eq(ftr_group_filter(group, "buggy", 0), 1);
	for (unsigned i = 0; i < 2; i++)
		live_worker_start(&workers[i], asking, NULL);
	for (unsigned long i = 0; i < rounds; i++) {
		int result;
		/* A thread may be inside the pad that the compiler left, for a while. */
		while ((result = ftr_replace(buggy, fixed, &original)) == -EAGAIN)
			;
		ck_ok(result);
		atomic_store(&must_be_fixed, true);
		if (traced)
			ck_ok(ftr_group_attach(group));
		ck_assert_int_eq(buggy(8), 24);
		if (traced)
			ck_ok(ftr_group_detach(group));
		atomic_store(&must_be_fixed, false);
		ck_ok(ftr_restore(buggy));
		ck_assert_int_eq(buggy(8), -1);
	}
	for (unsigned i = 0; i < 2; i++) {
		live_worker_stop(&workers[i]);
		ck_assert_uint_eq(workers[i].bad, 0);
		ck_assert_uint_gt(workers[i].counts[0], 0);
	}
	ck_ok(ftr_group_free(group));
}

START_TEST(test_patched_under_load)
{
	patch_under_load(false);
}
END_TEST

START_TEST(test_patched_and_traced_under_load)
{
	patch_under_load(true);
}
END_TEST

START_TEST(test_patched_by_breakpoints)
{
	live_poke("int3");
	patch_under_load(true);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("replace");
	const char *poke = getenv("FTR_POKE");

	if (poke && !strcmp(poke, "skip")) {
		puts("SKIP: sites go from call to jump here, which FTR_POKE=skip can't");
		return 77;
	}
	LIVE_CASE(suite, test_calls_go_elsewhere, 30);
	LIVE_CASE(suite, test_still_traced, 30);
	LIVE_CASE(suite, test_exits, 30);
	LIVE_CASE(suite, test_inside_handlers, 30);
	LIVE_CASE(suite, test_exclusive, 30);
	LIVE_CASE(suite, test_misuse, 30);
	LIVE_CASE(suite, test_restored_by_a_handler, 30);
	LIVE_CASE(suite, test_shutdown, 30);
	LIVE_CASE(suite, test_far_away, 30);
	LIVE_CASE(suite, test_patched_under_load, 120);
	LIVE_CASE(suite, test_patched_and_traced_under_load, 120);
	LIVE_CASE(suite, test_patched_by_breakpoints, 120);
	return live_main(suite);
}
