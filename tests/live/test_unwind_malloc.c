/* SPDX-License-Identifier: MIT */
/*
 * H7, H11: a heap profiler.  The handler of malloc walks the stack, also where
 * it is libgcc's unwinder that called malloc: it allocates for the first search
 * of what the library registers, with a mutex held that each search takes.
 */
#include "tests/live/live.h"
#include "tests/live/load.h"

#include <execinfo.h>
#include <stdlib.h>

#if !LIVE_SANITIZED /* has its own malloc */
void *__libc_malloc(size_t size);

FTR_TRACEABLE void *malloc(size_t size)
{
	return __libc_malloc(size);
}

static unsigned ran, walked, plugin_ran;

static int handler_walks(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			 struct ftr_regs *regs)
{
	void *addresses[64];
	int i, n = backtrace(addresses, 64);

	ran++;
	for (i = 0; i < n; i++)
		if ((uintptr_t)addresses[i] == parent_ip)
			break;
	walked += i < n;
	return 0;
}

static int handler_of_plugin(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			     struct ftr_regs *regs)
{
	plugin_ran++;
	return 0;
}

START_TEST(test_unwinder_that_allocates)
{
	struct ftr_group *profiler, *group;
	struct loaded plugin;
	void *address;

	ck_assert_int_eq(backtrace(&address, 1), 1);
	profiler = live_group("profiler", handler_walks, NULL,
			      _i ? FTR_GROUP_REENTRANT : 0);
	ck_assert_int_eq(ftr_group_filter(profiler, "malloc", 0), 1);
	ck_ok(ftr_group_attach(profiler));

	/* Far from the program: slots of its own. */
	load(&plugin, load_path("a"));
	group = live_group("plugin", handler_of_plugin, NULL, 0);
	ck_assert_int_eq(ftr_group_filter(group, "a_*", 0), 3);
	ck_ok(ftr_group_attach(group));
	load_call_all(&plugin);
	ck_assert_uint_eq(plugin_ran, PLUGIN_FUNCTIONS);
	live_drop(group);
	live_drop(profiler);
	ck_assert_uint_gt(ran, 0);
	ck_assert_uint_eq(walked, ran);
}
END_TEST
#endif

int main(void)
{
	Suite *suite = suite_create("unwind_malloc");

#if !LIVE_SANITIZED
	TCase *tcase = tcase_create("unwinder_that_allocates");

	tcase_add_loop_test(tcase, test_unwinder_that_allocates, 0, 2);
	tcase_set_timeout(tcase, 20);
	suite_add_tcase(suite, tcase);
#endif
	return live_main(suite);
}
