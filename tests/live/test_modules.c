/* SPDX-License-Identifier: MIT */
/*
 * Modules come and go (P11): found when they were loaded later, let alone when
 * they were unloaded, whatever lies at their address afterwards.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "tests/live/live.h"
#include "tests/live/load.h"

enum { ATTEMPTS = 10000, LOADS = 300 };

struct tally {
	uintptr_t calls; /* a word: counted atomically on every architecture */
	uintptr_t ip;
};

static int count_call(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		      struct ftr_regs *regs)
{
	struct tally *tally = ftr_group_data(group);

	__atomic_add_fetch(&tally->calls, 1, __ATOMIC_RELAXED);
	tally->ip = ip;
	return 0;
}

/* A site of the program itself, so that a group need not lose all it has. */
FTR_TRACEABLE long resident(long x);
FTR_TRACEABLE long resident(long x)
{
	LIVE_OPAQUE(x);
	return x ^ 1;
}

static struct ftr_group *counting(struct tally *tally, const char *pattern, unsigned flags,
				  int matched)
{
	struct ftr_group *group = live_group("counting", count_call, tally, 0);
	int result = ftr_group_filter(group, pattern, flags);

	ck_assert_msg(result == matched, "%s matched %d, not %d: %s", pattern, result, matched,
		      ftr_last_error());
	return group;
}

static void expect_calls(struct tally *tally, const struct loaded *loaded, uint64_t calls)
{
	tally->calls = 0;
	load_call_all(loaded);
	ck_assert_uint_eq(tally->calls, calls);
}

static int count_site(const struct ftr_site *site, void *arg)
{
	++*(int *)arg;
	return 0;
}

static int sites_held(const struct ftr_group *group)
{
	int n = 0;

	ck_ok(ftr_group_for_each(group, count_site, &n));
	return n;
}

START_TEST(test_refresh_finds_a_later_module)
{
	struct loaded a;
	size_t before;

	ck_ok(ftr_init(NULL));
	before = ftr_site_count();
	load(&a, load_path("a"));
	ck_ok(ftr_sites_refresh());
	ck_assert_uint_eq(ftr_site_count(), before + PLUGIN_FUNCTIONS);
	for (int i = 0; i < PLUGIN_FUNCTIONS; i++) {
		const struct ftr_site *site = ftr_site_find((uintptr_t)a.plugin->call[i]);

		ck_assert_ptr_nonnull(site);
		ck_assert_str_eq(ftr_site_module(site), a.module);
	}
	unload(&a);
	ck_ok(ftr_sites_refresh());
	ck_assert_uint_eq(ftr_site_count(), before);
	ck_assert_ptr_null(ftr_site_find((uintptr_t)a.text));
	ck_ok(ftr_shutdown());
}
END_TEST

START_TEST(test_attach_finds_a_later_module)
{
	struct tally tally = { 0, 0 };
	struct loaded a;
	struct ftr_group *group;

	ck_ok(ftr_init(NULL));
	group = counting(&tally, "resident", 0, 1);
	ck_assert_int_eq(ftr_group_filter(group, "plugin_a.so:*", FTR_FILTER_PENDING), 0);
	load(&a, load_path("a"));
	ck_ok(ftr_group_attach(group));
	expect_calls(&tally, &a, PLUGIN_FUNCTIONS);
	ck_assert_int_eq(sites_held(group), 1 + PLUGIN_FUNCTIONS);
	ck_ok(ftr_group_detach(group));
	expect_calls(&tally, &a, 0);
	ck_ok(ftr_group_free(group));
}
END_TEST

START_TEST(test_pending_pattern_takes_effect_at_refresh)
{
	struct tally tally = { 0, 0 }, none = { 0, 0 };
	struct loaded a;
	struct ftr_group *group, *missing = live_group("missing", count_call, &none, 0);

	group = counting(&tally, "resident", 0, 1);
	ck_assert_int_eq(ftr_group_filter(group, "a_t*", FTR_FILTER_PENDING), 0);
	ck_fails(ftr_group_filter(missing, "a_t*", 0), -ENOENT);
	ck_ok(ftr_group_attach(group));
	load(&a, load_path("a"));
	ck_ok(ftr_sites_refresh());
	ck_assert_int_eq(sites_held(group), 2);
	ck_assert_int_eq(sites_held(missing), 0);
	expect_calls(&tally, &a, 1);
	ck_assert_uint_eq(tally.ip, ftr_site_ip(ftr_site_find((uintptr_t)a.plugin->call[1])));
	ck_ok(ftr_group_detach(group));
	expect_calls(&tally, &a, 0);
	ck_ok(ftr_group_free(group));
	ck_ok(ftr_group_free(missing));
}
END_TEST

START_TEST(test_star_holds_what_is_loaded_later)
{
	struct tally tally = { 0, 0 };
	struct ftr_group *group = live_group("star", count_call, &tally, 0);
	struct loaded a, b;

	ck_assert_int_ge(ftr_group_filter(group, "*", 0), 1);
	ck_assert_int_ge(ftr_group_exclude(group, "b_two", FTR_FILTER_PENDING), 0);
	ck_ok(ftr_group_attach(group));
	load(&a, load_path("a"));
	load(&b, load_path("b"));
	ck_ok(ftr_sites_refresh());
	expect_calls(&tally, &a, PLUGIN_FUNCTIONS);
	expect_calls(&tally, &b, PLUGIN_FUNCTIONS - 1);
	ck_ok(ftr_group_detach(group));
	ck_ok(ftr_group_free(group));
}
END_TEST

START_TEST(test_module_is_unloaded_while_attached)
{
	struct tally tally = { 0, 0 };
	struct loaded a;
	struct ftr_group *group;
	struct ftr_stats stats;

	load(&a, load_path("a"));
	group = counting(&tally, "a_*", 0, PLUGIN_FUNCTIONS);
	ck_assert_int_eq(ftr_group_filter(group, "resident", 0), 1);
	for (int i = 0; i < 3; i++) {
		ck_ok(ftr_group_attach(group));
		expect_calls(&tally, &a, PLUGIN_FUNCTIONS);
		unload(&a);
		if (i > 0) {
			ck_ok(ftr_sites_refresh());
			stats = live_stats();
			ck_assert_uint_eq(stats.attached, 1);
		}
		tally.calls = 0;
		ck_assert_int_eq(resident(2), 3);
		ck_assert_uint_eq(tally.calls, 1);
		ck_ok(ftr_group_detach(group));
		resident(2);
		ck_assert_uint_eq(tally.calls, 1);
		load(&a, load_path("a"));
		expect_calls(&tally, &a, 0);
	}
	ck_ok(ftr_group_free(group));
	ck_ok(ftr_shutdown());
}
END_TEST

/* What the library may be asked once a module is gone. */
enum { AFTER_DETACH, AFTER_REFRESH, AFTER_FILTER, AFTER_ASYNC, AFTER_SHUTDOWN, AFTERS };

static void ask_after_unload(struct ftr_group *group, int what)
{
	switch (what) {
	case AFTER_DETACH:
		ck_ok(ftr_group_detach(group));
		break;
	case AFTER_REFRESH:
		ck_ok(ftr_sites_refresh());
		break;
	case AFTER_FILTER:
		ck_assert_int_eq(ftr_group_filter(group, "resident",
						  FTR_FILTER_RESET), 1);
		break;
	case AFTER_ASYNC:
		ck_ok(ftr_group_detach_async(group, NULL, NULL));
		break;
	default:
		break;
	}
}

static unsigned char *copy_of(const void *from, size_t size)
{
	unsigned char *copy = malloc(size);

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, from, size);
	return copy;
}

/*
 * A stranger's pages at the former address hold the very bytes that the module
 * held while attached: only knowing that the module is gone protects them.
 * With no access at all even a look at them is found out.
 */
static void leave_strangers_alone(int what, int access)
{
	struct tally tally = { 0, 0 };
	struct loaded a;
	struct ftr_group *group;
	unsigned char *text;
	void *page;

	load(&a, load_path("a"));
	group = counting(&tally, "a_*", 0, PLUGIN_FUNCTIONS);
	ck_assert_int_eq(ftr_group_filter(group, "resident", 0), 1);
	ck_ok(ftr_group_attach(group));
	text = copy_of((const void *)a.text, a.text_size);
	unload(&a);
	page = mmap((void *)a.text, a.text_size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	ck_assert_ptr_eq(page, (void *)a.text);
	memcpy(page, text, a.text_size);
	ck_assert_int_eq(mprotect(page, a.text_size, access), 0);
	ask_after_unload(group, what);
	ck_ok(ftr_shutdown());
	ck_assert_int_eq(mprotect(page, a.text_size, PROT_READ), 0);
	ck_assert_mem_eq(page, text, a.text_size);
	ck_ok(ftr_group_free(group));
	free(text);
}

START_TEST(test_strangers_pages_are_not_written)
{
	leave_strangers_alone(_i, PROT_READ | PROT_WRITE | PROT_EXEC);
}
END_TEST

START_TEST(test_strangers_pages_are_not_read)
{
	leave_strangers_alone(_i, PROT_NONE);
}
END_TEST

START_TEST(test_reloaded_at_the_same_address)
{
	struct tally tally = { 0, 0 };
	struct loaded a, again;
	struct ftr_group *group;

	load(&a, load_path("a"));
	group = counting(&tally, "a_*", 0, PLUGIN_FUNCTIONS);
	ck_ok(ftr_group_attach(group));
	for (int i = 0; i < 3; i++) {
		unload(&a);
		load_again_at(&again, load_path("a"), &a);
		a = again;
		expect_calls(&tally, &a, 0);
		ck_ok(ftr_sites_refresh());
		expect_calls(&tally, &a, PLUGIN_FUNCTIONS);
	}
	/* And without a look in between. */
	unload(&a);
	load_again_at(&again, load_path("a"), &a);
	ck_ok(ftr_group_detach(group));
	expect_calls(&tally, &again, 0);
	ck_ok(ftr_group_attach(group));
	expect_calls(&tally, &again, PLUGIN_FUNCTIONS);
	ck_ok(ftr_shutdown());
	expect_calls(&tally, &again, 0);
	ck_ok(ftr_group_free(group));
}
END_TEST

/* Its sites lie where those of the former module lay, under other names. */
START_TEST(test_another_module_at_the_same_address)
{
	struct tally tally = { 0, 0 };
	struct loaded a, b;
	struct ftr_group *group;
	unsigned char *text;
	uintptr_t one;

	load(&a, load_path("a"));
	one = (uintptr_t)a.plugin->call[PLUGIN_ONE];
	group = counting(&tally, "a_*", 0, PLUGIN_FUNCTIONS);
	ck_assert_int_eq(ftr_group_filter(group, "resident", 0), 1);
	ck_ok(ftr_group_attach(group));
	unload(&a);
	load_again_at(&b, load_path("b"), &a);
	ck_assert_uint_eq((uintptr_t)b.plugin->call[PLUGIN_ONE], one);
	text = copy_of((const void *)b.text, b.text_size);
	if (_i)
		ck_ok(ftr_sites_refresh());
	expect_calls(&tally, &b, 0);
	ck_ok(ftr_group_detach(group));
	ck_assert_mem_eq((const void *)b.text, text, b.text_size);
	ck_assert_int_eq(sites_held(group), 1);
	ck_assert_int_eq(ftr_group_filter(group, "b_*", 0), PLUGIN_FUNCTIONS);
	ck_ok(ftr_group_attach(group));
	expect_calls(&tally, &b, PLUGIN_FUNCTIONS);
	ck_ok(ftr_shutdown());
	ck_assert_mem_eq((const void *)b.text, text, b.text_size);
	free(text);
}
END_TEST

START_TEST(test_reloaded_at_another_address)
{
	struct tally tally = { 0, 0 };
	struct loaded a, moved;
	struct ftr_group *group;

	load(&a, load_path("a"));
	group = counting(&tally, "plugin_a.so:*", 0, PLUGIN_FUNCTIONS);
	ck_ok(ftr_group_attach(group));
	unload(&a);
	load_elsewhere(&moved, load_path("a"), &a);
	expect_calls(&tally, &moved, 0);
	ck_ok(ftr_sites_refresh());
	expect_calls(&tally, &moved, PLUGIN_FUNCTIONS);
	ck_ok(ftr_group_detach(group));
	expect_calls(&tally, &moved, 0);
	unload(&moved);
	ck_ok(ftr_group_free(group));
	ck_ok(ftr_shutdown());
}
END_TEST

START_TEST(test_addresses_are_forgotten_with_their_module)
{
	struct tally tally = { 0, 0 };
	struct ftr_group *group = live_group("addresses", count_call, &tally, 0);
	uintptr_t ips[PLUGIN_FUNCTIONS + 1];
	struct loaded a, again;

	load(&a, load_path("a"));
	for (int i = 0; i < PLUGIN_FUNCTIONS; i++)
		ips[i] = (uintptr_t)a.plugin->call[i];
	ips[PLUGIN_FUNCTIONS] = (uintptr_t)resident;
	ck_assert_int_eq(ftr_group_filter_ips(group, ips, PLUGIN_FUNCTIONS + 1, 0),
			 PLUGIN_FUNCTIONS + 1);
	ck_ok(ftr_group_attach(group));
	expect_calls(&tally, &a, PLUGIN_FUNCTIONS);
	unload(&a);
	load_again_at(&again, load_path("a"), &a);
	ck_ok(ftr_sites_refresh());
	expect_calls(&tally, &again, 0);
	ck_assert_int_eq(sites_held(group), 1);
	resident(0);
	ck_assert_uint_eq(tally.calls, 1);
	ck_ok(ftr_group_detach(group));
	ck_ok(ftr_group_free(group));
}
END_TEST

/* No section headers: only the registration tells where the table is. */
START_TEST(test_registered_module)
{
	struct image image = image_read(load_path("r"));
	struct ftr_options options = FTR_OPTIONS_INIT;
	struct tally tally = { 0, 0 };
	struct ftr_group *group;
	struct loaded r, again;
	size_t before;
	char *path;

	image_drop_sections(&image);
	path = image_write(&image);
	options.flags = _i ? FTR_NO_SCAN : 0;
	ck_ok(ftr_init(&options));
	before = ftr_site_count();
	ck_assert_int_eq(before == 0, options.flags == FTR_NO_SCAN);
	load(&r, path);
	ck_ok(ftr_sites_refresh());
	ck_assert_uint_eq(ftr_site_count(), before + PLUGIN_FUNCTIONS);
	group = live_group("registered", count_call, &tally, 0);
	ck_assert_int_eq(ftr_group_filter(group, "plugin_tmp*:*", 0), PLUGIN_FUNCTIONS);
	ck_ok(ftr_group_attach(group));
	expect_calls(&tally, &r, PLUGIN_FUNCTIONS);
	unload(&r); /* its destructor detaches */
	ck_assert_uint_eq(live_stats().attached, 0);
	load_again_at(&again, path, &r);
	ck_ok(ftr_sites_refresh());
	ck_assert_uint_eq(ftr_site_count(), before + PLUGIN_FUNCTIONS);
	expect_calls(&tally, &again, PLUGIN_FUNCTIONS);
	ck_ok(ftr_group_detach(group));
	ck_ok(ftr_shutdown());
	unload(&again);
	ck_ok(ftr_group_free(group));
	unlink(path);
	free(path);
	free(image.bytes);
}
END_TEST

/* Registered before the library was ever started, and left before it is. */
START_TEST(test_registered_module_comes_and_goes_first)
{
	struct loaded r;

	load(&r, load_path("r"));
	unload(&r);
	ck_ok(ftr_init(NULL));
	ck_assert_ptr_null(ftr_site_find((uintptr_t)r.text));
	load(&r, load_path("r"));
	ck_ok(ftr_sites_refresh());
	ck_assert_ptr_nonnull(ftr_site_find((uintptr_t)r.plugin->call[0]));
	unload(&r);
	ck_ok(ftr_shutdown());
}
END_TEST

START_TEST(test_without_scan_only_registered_modules)
{
	struct ftr_options options = FTR_OPTIONS_INIT;
	struct loaded a, r;

	options.flags = FTR_NO_SCAN;
	ck_ok(ftr_init(&options));
	load(&a, load_path("a"));
	load(&r, load_path("r"));
	ck_ok(ftr_sites_refresh());
	ck_assert_uint_eq(ftr_site_count(), PLUGIN_FUNCTIONS);
	ck_assert_ptr_null(ftr_site_find((uintptr_t)a.plugin->call[0]));
	ck_assert_ptr_nonnull(ftr_site_find((uintptr_t)r.plugin->call[0]));
}
END_TEST

/*
 * A thread loads a library, calls into it and unloads it, while another
 * attaches or looks for sites.
 */
struct visit {
	const char *path;
	atomic_ulong looks; /* for sites, by the other thread, completed */
};

static uint64_t call_few_times(long (*one)(long))
{
	uint64_t wrong = 0;

	for (long i = 0; i < 20; i++)
		wrong += one(i) != i + 1;
	return wrong;
}

/* Stay until a look that began while the library was there has ended. */
static uint64_t call_while_looked_for(long (*one)(long), struct live_worker *worker)
{
	struct visit *visit = worker->arg;
	unsigned long seen = atomic_load(&visit->looks);
	uint64_t wrong = 0;

	while (atomic_load(&visit->looks) < seen + 2 && !atomic_load(&worker->stop))
		wrong += call_few_times(one);
	return wrong + call_few_times(one);
}

static void visit_library(struct live_worker *worker, bool stay)
{
	const struct visit *visit = worker->arg;
	const struct plugin *plugin;
	void *handle = dlopen(visit->path, RTLD_NOW | RTLD_LOCAL);

	plugin = handle ? dlsym(handle, "plugin") : NULL;
	if (!plugin) {
		worker->bad++;
		return;
	}
	if (stay)
		worker->bad += call_while_looked_for(plugin->call[PLUGIN_ONE], worker);
	else
		worker->bad += call_few_times(plugin->call[PLUGIN_ONE]);
	worker->bad += dlclose(handle) != 0;
}

static void visit_shortly(struct live_worker *worker)
{
	visit_library(worker, false);
}

/* Once looks are under way: every other time it is gone before or while it is found. */
static void visit_and_stay(struct live_worker *worker)
{
	struct visit *visit = worker->arg;

	visit_library(worker, atomic_load(&visit->looks) && atomic_load(&worker->turns) % 2);
}

static void attach_patiently(struct ftr_group *group)
{
	int error = -EAGAIN;

	/* -EAGAIN: the other thread may stand inside a pad of several nops. */
	for (int i = 0; i < ATTEMPTS && error == -EAGAIN; i++)
		error = ftr_group_attach(group);
	ck_assert_msg(error == 0, "%s: %s", ftr_strerror(error), ftr_last_error());
}

START_TEST(test_loader_and_library_at_the_same_time)
{
	struct tally tally = { 0, 0 };
	struct live_worker worker;
	struct ftr_group *group;
	char *path = strdup(load_path("a"));
	struct visit visit = { path, 0 };
	uint64_t resident_calls = 0;

	group = counting(&tally, "resident", 0, 1);
	ck_assert_int_ge(ftr_group_filter(group, "a_two", FTR_FILTER_PENDING), 0);
	ck_assert_int_ge(ftr_group_filter(group, "a_hidden", FTR_FILTER_PENDING), 0);
	live_worker_start(&worker, visit_shortly, &visit);
	while (atomic_load(&worker.turns) < live_rounds(LOADS)) {
		attach_patiently(group);
		resident(1);
		resident_calls++;
		ck_ok(ftr_group_detach(group));
		resident(1);
	}
	live_worker_stop(&worker);
	ck_assert_uint_eq(worker.bad, 0);
	ck_assert_uint_eq(tally.calls, resident_calls);
	ck_ok(ftr_group_free(group));
	free(path);
}
END_TEST

/* The same, and the sites that come and go are met while they do. */
START_TEST(test_sites_come_and_go_while_they_are_called)
{
	struct tally tally = { 0, 0 };
	struct live_worker worker;
	struct ftr_group *group;
	char *path = strdup(load_path("a"));
	struct visit visit = { path, 0 };

	group = counting(&tally, "resident", 0, 1);
	ck_assert_int_ge(ftr_group_filter(group, "a_*", FTR_FILTER_PENDING), 0);
	ck_ok(ftr_group_attach(group));
	live_worker_start(&worker, visit_and_stay, &visit);
	while (atomic_load(&worker.turns) < live_rounds(LOADS) ||
	       !__atomic_load_n(&tally.calls, __ATOMIC_RELAXED)) {
		int error = ftr_sites_refresh();

		ck_assert_msg(!error || error == -EAGAIN, "%s", ftr_last_error());
		atomic_fetch_add(&visit.looks, 1);
	}
	live_worker_stop(&worker);
	ck_assert_uint_eq(worker.bad, 0);
	ck_ok(ftr_group_detach(group));
	ck_ok(ftr_group_free(group));
	free(path);
}
END_TEST

static void add_loops(Suite *suite)
{
	TCase *strangers = tcase_create("strangers");

	tcase_set_timeout(strangers, 20);
	tcase_add_loop_test(strangers, test_strangers_pages_are_not_written, 0, AFTERS);
	tcase_add_loop_test(strangers, test_strangers_pages_are_not_read, 0, AFTERS);
	tcase_add_loop_test(strangers, test_another_module_at_the_same_address, 0, 2);
	tcase_add_loop_test(strangers, test_registered_module, 0, 2);
	suite_add_tcase(suite, strangers);
}

int main(void)
{
	Suite *suite = suite_create("modules");

	LIVE_CASE(suite, test_refresh_finds_a_later_module, 20);
	LIVE_CASE(suite, test_attach_finds_a_later_module, 20);
	LIVE_CASE(suite, test_pending_pattern_takes_effect_at_refresh, 20);
	LIVE_CASE(suite, test_star_holds_what_is_loaded_later, 20);
	LIVE_CASE(suite, test_module_is_unloaded_while_attached, 20);
	LIVE_CASE(suite, test_reloaded_at_the_same_address, 20);
	LIVE_CASE(suite, test_reloaded_at_another_address, 20);
	LIVE_CASE(suite, test_addresses_are_forgotten_with_their_module, 20);
	LIVE_CASE(suite, test_registered_module_comes_and_goes_first, 20);
	LIVE_CASE(suite, test_without_scan_only_registered_modules, 20);
	LIVE_CASE(suite, test_loader_and_library_at_the_same_time, 60);
	LIVE_CASE(suite, test_sites_come_and_go_while_they_are_called, 60);
	add_loops(suite);
	return live_main(suite);
}
