/* SPDX-License-Identifier: MIT */
/*
 * T1, T2, P11: functions of modules that go while they are replaced, and of a process
 * that forks.  plugin_a has sites, plugin_n none.
 */
#include "tests/live/live.h"
#include "tests/live/plugin.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

static const char *const paths[] = { PLUGIN_DIR "/plugin_a.so", PLUGIN_DIR "/plugin_n.so" };

static void *handle;

static const struct plugin *load(unsigned which)
{
	handle = dlopen(paths[which], RTLD_NOW | RTLD_LOCAL);
	ck_assert_msg(handle != NULL, "%s", dlerror());
	const struct plugin *plugin = dlsym(handle, "plugin");
	ck_assert_ptr_nonnull(plugin);
	return plugin;
}

static void unload(void)
{
	ck_assert_int_eq(dlclose(handle), 0);
}

static live_fn original;

static long replaced(long x)
{
	return original(x) + 100;
}

static struct ftr_signature *signature;
static const long thousand = 1000;

static void around(struct ftr_call *call, void **args, void *ret, void *data)
{
	ck_ok(ftr_call_original(call, args, ret));
	*(long *)ret += *(const long *)data;
}

static void set_up(void)
{
	if (!signature)
		ck_ok(ftr_signature_parse(&signature, "long (long)"));
}

static void take_places(const struct plugin *p)
{
	set_up();
	ck_ok(ftr_replace((void *)p->call[PLUGIN_ONE], (void *)replaced, (void **)&original));
	ck_ok(ftr_replace_typed((void *)p->call[PLUGIN_TWO], signature, around, (void *)&thousand));
	ck_assert_int_eq(p->call[PLUGIN_ONE](1), 102);
	ck_assert_int_eq(p->call[PLUGIN_TWO](1), 1003);
}

static void expect_untouched(const struct plugin *p)
{
	for (long i = 0; i < PLUGIN_FUNCTIONS; i++)
		ck_assert_int_eq(p->call[i](1), i + 2);
}

/** A module that comes back, at the same place or another, is itself, and can be
 *  replaced again; what is where it was nobody touches. */
START_TEST(test_gone)
{
	for (unsigned i = 0; i < 3; i++) {
		const struct plugin *p = load((unsigned)_i);
		expect_untouched(p);
		take_places(p);
		unload();
		/* The other one may come to where this was. */
		p = load(!_i);
		expect_untouched(p);
		unload();
	}
	ck_ok(ftr_sites_refresh());
	ck_ok(ftr_shutdown());
}
END_TEST

/** To restore what is not there any more is no error, once. */
START_TEST(test_restored_when_gone)
{
	const struct plugin *p = load((unsigned)_i);
	void *fns[] = { (void *)p->call[PLUGIN_ONE], (void *)p->call[PLUGIN_TWO] };

	take_places(p);
	unload();
	ck_ok(ftr_restore_many(fns, 2));
	ck_fails(ftr_restore(fns[0]), -ENOENT);
	ck_fails(ftr_restore(fns[1]), -ENOENT);
	p = load((unsigned)_i);
	expect_untouched(p);
	take_places(p);
	fns[0] = (void *)p->call[PLUGIN_ONE];
	fns[1] = (void *)p->call[PLUGIN_TWO];
	ck_ok(ftr_restore_many(fns, 2));
	expect_untouched(p);
	unload();
}
END_TEST

/** All or none, where one of them is gone. */
START_TEST(test_replaced_when_gone)
{
	const struct plugin *p = load((unsigned)_i);
	void *gone = (void *)p->call[PLUGIN_ONE];

	set_up();
	unload();
	p = load(!_i);
	struct ftr_replacement list[] = { { (void *)p->call[PLUGIN_TWO], replaced, NULL },
					  { (void *)8, replaced, NULL } };
	int result = ftr_replace_many(list, 2);
	ck_assert_msg(result == -ENOENT || result == -EINVAL, "%d: %s", result,
		      ftr_last_error());
	expect_untouched(p);
	unload();
	result = ftr_replace(gone, replaced, NULL);
	ck_assert_msg(result == -ENOENT || result == -EINVAL, "%d: %s", result,
		      ftr_last_error());
	result = ftr_replace_typed(gone, signature, around, NULL);
	ck_assert_msg(result == -ENOENT || result == -EINVAL, "%d: %s", result,
		      ftr_last_error());
}
END_TEST

/* --- forks ----------------------------------------------------------------------------------- */

static int in_child(const struct plugin *p, bool restores)
{
	if (p->call[PLUGIN_ONE](1) != 102 || p->call[PLUGIN_TWO](1) != 1003)
		return 1;
	if (!restores)
		return 0;
	if (ftr_restore((void *)p->call[PLUGIN_ONE]) || ftr_restore((void *)p->call[PLUGIN_TWO]))
		return 2;
	if (p->call[PLUGIN_ONE](1) != 2 || p->call[PLUGIN_TWO](1) != 3)
		return 3;
	if (ftr_replace_typed((void *)p->call[PLUGIN_ONE], signature, around, (void *)&thousand))
		return 4;
	return p->call[PLUGIN_ONE](1) == 1002 ? 0 : 5;
}

static void expect_child(const struct plugin *p, bool restores)
{
	int status;
	pid_t child = fork();

	if (!child)
		_exit(in_child(p, restores));
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFEXITED(status) && !WEXITSTATUS(status), "status %#x", (unsigned)status);
}

/** The child has what its parent replaced, and undoes it for itself. */
START_TEST(test_fork)
{
	const struct plugin *p = load((unsigned)_i);

	take_places(p);
	expect_child(p, false);
	expect_child(p, true);
	ck_assert_int_eq(p->call[PLUGIN_ONE](1), 102);
	ck_assert_int_eq(p->call[PLUGIN_TWO](1), 1003);
	ck_ok(ftr_restore((void *)p->call[PLUGIN_TWO]));
	ck_ok(ftr_restore((void *)p->call[PLUGIN_ONE]));
	expect_untouched(p);
	unload();
}
END_TEST

static int result_in_child;

static void forking(struct ftr_call *call, void **args, void *ret, void *data)
{
	pid_t child = fork();
	int status;

	if (!child) {
		/* The thread is in this handler in the child, too. */
		result_in_child = ftr_restore((void *)ftr_call_ip(call));
		ck_ok(ftr_call_original(call, args, ret));
		_exit(result_in_child == -EDEADLK && *(long *)ret == 3 ? 0 : 9);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	ck_ok(ftr_call_original(call, args, ret));
}

START_TEST(test_fork_in_a_handler)
{
	const struct plugin *p = load((unsigned)_i);

	set_up();
	ck_ok(ftr_replace_typed((void *)p->call[PLUGIN_TWO], signature, forking, NULL));
	ck_assert_int_eq(p->call[PLUGIN_TWO](1), 3);
	ck_ok(ftr_restore((void *)p->call[PLUGIN_TWO]));
	expect_untouched(p);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("replace modules");

	if (live_lacks_breakpoints())
		return 77;
	LIVE_LOOP(suite, test_gone, 0, 2, 30);
	LIVE_LOOP(suite, test_restored_when_gone, 0, 2, 30);
	LIVE_LOOP(suite, test_replaced_when_gone, 0, 2, 30);
	LIVE_LOOP(suite, test_fork, 0, 2, 30);
	LIVE_LOOP(suite, test_fork_in_a_handler, 0, 2, 30);
	return live_main(suite);
}
