/* SPDX-License-Identifier: MIT */
/*
 * P11: the library and the dynamic loader at work at the same time, met on
 * purpose: loading and unloading in each phase of a batch, in constructors,
 * destructors and handlers; and the namespaces of dlmopen(3).
 */
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "lib/batch.h"
#include "tests/live/live.h"
#include "tests/live/load.h"

static atomic_ulong calls;

static int count_call(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		      struct ftr_regs *regs)
{
	atomic_fetch_add(&calls, 1);
	return 0;
}

FTR_TRACEABLE long resident(long x);
FTR_TRACEABLE long resident(long x)
{
	LIVE_OPAQUE(x);
	return x ^ 1;
}

static struct ftr_group *group_on(const char *pattern, ftr_entry_fn entry)
{
	struct ftr_group *group = live_group(pattern, entry, NULL, 0);

	ck_assert_int_ge(ftr_group_filter(group, pattern, FTR_FILTER_PENDING), 0);
	return group;
}

static unsigned long calls_of(const struct loaded *loaded)
{
	unsigned long before = atomic_load(&calls);

	load_call_all(loaded);
	return atomic_load(&calls) - before;
}

/* Every batch has its three phases. */
static void start_with_breakpoints(void)
{
	struct ftr_options options = FTR_OPTIONS_INIT;

	options.poke = FTR_POKE_INT3;
	ck_ok(ftr_init(&options));
}

/* --- in each phase of a batch ------------------------------------------------------ */

static struct {
	enum ftr__batch_phase phase;
	void *(*act)(void *arg);
	pthread_t thread;
	_Atomic pid_t tid;
	atomic_bool done;
	unsigned met;
} rival;

static struct loaded loaded;
static void *opened;

static void *close_it(void *arg)
{
	atomic_store(&rival.tid, live_tid());
	dlclose(loaded.handle);
	atomic_store(&rival.done, true);
	return NULL;
}

static void *open_another(void *arg)
{
	atomic_store(&rival.tid, live_tid());
	opened = dlopen(load_path("b"), RTLD_NOW | RTLD_LOCAL);
	atomic_store(&rival.done, true);
	return NULL;
}

/* It must wait for the batch; then the batch goes on. */
static void let_rival_wait(enum ftr__batch_phase phase)
{
	if (phase != rival.phase || rival.met++)
		return;
	ck_assert_int_eq(pthread_create(&rival.thread, NULL, rival.act, NULL), 0);
	while (!atomic_load(&rival.tid))
		sched_yield();
	while (!atomic_load(&rival.done) && !live_waits_in(atomic_load(&rival.tid), SYS_futex))
		sched_yield();
	ck_assert_msg(!atomic_load(&rival.done), "the loader changed its list during a batch");
}

enum { PHASES = 3 };

/* A group on plugin_a, attached or about to be, and the rival in its batch. */
static struct ftr_group *meet_rival(int variant, void *(*act)(void *arg))
{
	struct ftr_group *group;

	start_with_breakpoints();
	load(&loaded, load_path("a"));
	group = group_on("a_*", count_call);
	ck_ok(ftr_group_attach(group));
	if (variant < PHASES)
		ck_ok(ftr_group_detach(group));
	rival.phase = (enum ftr__batch_phase)(variant % PHASES);
	rival.act = act;
	ftr__batch_hold = let_rival_wait;
	if (variant < PHASES)
		ck_ok(ftr_group_attach(group));
	else
		ck_ok(ftr_group_detach(group));
	ftr__batch_hold = NULL;
	ck_assert_uint_ge(rival.met, 1);
	ck_assert_int_eq(pthread_join(rival.thread, NULL), 0);
	return group;
}

/* _i: phases of an attach, then of a detach. */
START_TEST(test_dlclose_by_another_thread_in_a_batch)
{
	struct ftr_group *group = meet_rival(_i, close_it);
	struct loaded again;

	if (_i < PHASES)
		ck_ok(ftr_group_detach(group));
	ck_ok(ftr_sites_refresh());
	ck_assert_ptr_null(ftr_site_find(loaded.text));
	load(&again, load_path("a"));
	ck_assert_uint_eq(calls_of(&again), 0);
	ck_ok(ftr_group_attach(group));
	ck_assert_uint_eq(calls_of(&again), PLUGIN_FUNCTIONS);
	ck_ok(ftr_shutdown());
	ck_ok(ftr_group_free(group));
}
END_TEST

START_TEST(test_dlopen_by_another_thread_in_a_batch)
{
	struct ftr_group *group = meet_rival(_i, open_another);
	struct loaded another;

	ck_assert_ptr_nonnull(opened);
	ck_assert_uint_eq(calls_of(&loaded), _i < PHASES ? PLUGIN_FUNCTIONS : 0);
	ck_assert_int_eq(ftr_group_filter(group, "b_*", 0), PLUGIN_FUNCTIONS);
	load(&another, load_path("b"));
	ck_assert_uint_eq(calls_of(&another), _i < PHASES ? PLUGIN_FUNCTIONS : 0);
	ck_ok(ftr_shutdown());
	ck_ok(ftr_group_free(group));
}
END_TEST

/* --- constructors and destructors ---------------------------------------------------- */

static void (*notice)(enum plugin_event event);
static atomic_long wrong_in_plugin;
static atomic_uint loads, unloads;

void plugin_notice(enum plugin_event event, long wrong)
{
	atomic_fetch_add(&wrong_in_plugin, wrong);
	atomic_fetch_add(event == PLUGIN_LOADED ? &loads : &unloads, 1);
	if (notice)
		notice(event);
}

/* A destructor's calls are the last that are seen. */
START_TEST(test_destructors_calls_are_seen)
{
	struct ftr_group *group = group_on("e_*", count_call);
	struct loaded e;

	ck_assert_int_eq(ftr_group_filter(group, "resident", 0), 1);
	ck_ok(ftr_group_attach(group));
	load(&e, load_path("e"));
	ck_assert_uint_eq(atomic_load(&loads), 1);
	ck_assert_uint_eq(atomic_load(&calls), 0);
	ck_ok(ftr_sites_refresh());
	unload(&e);
	ck_assert_uint_eq(atomic_load(&unloads), 1);
	ck_assert_uint_eq(atomic_load(&calls), PLUGIN_FUNCTIONS);
	ck_assert_int_eq(atomic_load(&wrong_in_plugin), 0);
	ck_ok(ftr_group_detach(group));
	ck_ok(ftr_group_free(group));
}
END_TEST

static struct ftr_group *theirs;

static void trace_from_constructor(enum plugin_event event)
{
	if (event == PLUGIN_LOADED)
		ck_ok(ftr_group_attach(theirs));
	else
		ck_ok(ftr_group_detach(theirs));
}

/* The constructor attaches to its own module, the destructor detaches. */
START_TEST(test_attach_in_a_constructor)
{
	struct loaded e;

	theirs = group_on("e_*", count_call);
	notice = trace_from_constructor;
	for (int i = 0; i < 3; i++) {
		load(&e, load_path("e"));
		ck_assert_uint_eq(calls_of(&e), PLUGIN_FUNCTIONS);
		unload(&e);
	}
	/* Each time the destructor's own calls came before it detached. */
	ck_assert_uint_eq(atomic_load(&calls), 6 * PLUGIN_FUNCTIONS);
	ck_assert_int_eq(atomic_load(&wrong_in_plugin), 0);
	ck_ok(ftr_group_free(theirs));
}
END_TEST

static atomic_uint failures;

static void note(int result)
{
	/* -EAGAIN: the other thread may stand in a pad. */
	if (result && result != -EAGAIN)
		atomic_fetch_add(&failures, 1);
}

/* With the loader's other lock, that of dlopen(3), in hand. */
static void work_in_constructor(enum plugin_event event)
{
	note(ftr_sites_refresh());
	if (!ftr_group_attached(theirs))
		note(ftr_group_attach(theirs));
	if (resident(4) != 5)
		atomic_fetch_add(&failures, 1);
	if (ftr_group_attached(theirs))
		note(ftr_group_detach(theirs));
}

static void load_and_unload(struct live_worker *worker)
{
	void *handle = dlopen(worker->arg, RTLD_NOW | RTLD_LOCAL);

	worker->bad += !handle || dlclose(handle) != 0;
}

enum { ROUNDS = 100 };

START_TEST(test_constructors_while_another_thread_attaches)
{
	struct ftr_group *mine = group_on("e_*", count_call);
	char *path = strdup(load_path("e"));
	struct live_worker worker;

	ck_assert_int_eq(ftr_group_filter(mine, "resident", 0), 1);
	theirs = group_on("resident", count_call);
	notice = work_in_constructor;
	live_worker_start(&worker, load_and_unload, path);
	while (atomic_load(&worker.turns) < live_rounds(ROUNDS)) {
		int result = ftr_group_attach(mine);

		note(result);
		ck_assert_int_eq(resident(2), 3);
		if (!result)
			note(ftr_group_detach(mine));
	}
	live_worker_stop(&worker);
	ck_assert_uint_eq(worker.bad, 0);
	ck_assert_uint_eq(atomic_load(&failures), 0);
	ck_assert_int_eq(atomic_load(&wrong_in_plugin), 0);
	ck_assert_uint_eq(atomic_load(&loads), atomic_load(&unloads));
	ck_assert_uint_gt(atomic_load(&calls), 0);
	free(path);
}
END_TEST

/* A handler may wait for the loader, and a detach for the handler. */
static int load_in_handler(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			   struct ftr_regs *regs)
{
	void *handle = dlopen(load_path("b"), RTLD_NOW | RTLD_LOCAL);

	if (!handle || dlclose(handle))
		atomic_fetch_add(&failures, 1);
	atomic_fetch_add(&calls, 1);
	return 0;
}

static void call_resident(struct live_worker *worker)
{
	worker->bad += resident(6) != 7;
}

START_TEST(test_handler_loads_while_another_thread_detaches)
{
	struct ftr_group *group = group_on("resident", load_in_handler);
	struct live_worker worker;
	unsigned long rounds = live_rounds(ROUNDS), seen;

	live_worker_start(&worker, call_resident, NULL);
	for (unsigned long i = 0; i < rounds; i++) {
		seen = atomic_load(&calls);
		note(ftr_group_attach(group));
		while (ftr_group_attached(group) == 1 && atomic_load(&calls) == seen)
			sched_yield();
		if (ftr_group_attached(group) == 1)
			note(ftr_group_detach(group));
	}
	live_worker_stop(&worker);
	ck_assert_uint_eq(worker.bad, 0);
	ck_assert_uint_eq(atomic_load(&failures), 0);
	ck_assert_uint_gt(atomic_load(&calls), 0);
}
END_TEST

/* --- namespaces ------------------------------------------------------------------------ */

static bool load_in_namespace(struct loaded *into, const char *path)
{
	struct link_map *map;

	memset(into, 0, sizeof(*into));
	into->handle = dlmopen(LM_ID_NEWLM, path, RTLD_NOW | RTLD_LOCAL);
	if (!into->handle)
		return false;
	into->plugin = dlsym(into->handle, "plugin");
	ck_assert_ptr_nonnull(into->plugin);
	ck_assert_int_eq(dlinfo(into->handle, RTLD_DI_LINKMAP, &map), 0);
	into->base = map->l_addr;
	return true;
}

static bool namespaces_are_told(void)
{
#ifdef DLFO_STRUCT_HAS_EH_DBASE
	return true;
#else
	printf("SKIP: no _dl_find_object(3): other namespaces can't be seen\n");
	return false;
#endif
}

START_TEST(test_another_namespace)
{
	struct ftr_group *group = group_on("plugin_a.so:*", count_call);
	struct loaded first, second;
	size_t before = ftr_site_count();

	if (!namespaces_are_told() || !load_in_namespace(&first, load_path("a")))
		return;
	ck_ok(ftr_group_attach(group));
	ck_assert_uint_eq(ftr_site_count(), before + PLUGIN_FUNCTIONS);
	ck_assert_uint_eq(calls_of(&first), PLUGIN_FUNCTIONS);
	ck_assert_str_eq(ftr_site_module(ftr_site_find((uintptr_t)first.plugin->call[0])),
			 "plugin_a.so");
	/* A third copy of the same file, and one in the program's namespace. */
	ck_assert(load_in_namespace(&second, load_path("a")));
	load(&loaded, load_path("a"));
	ck_ok(ftr_sites_refresh());
	ck_assert_uint_eq(ftr_site_count(), before + 3 * PLUGIN_FUNCTIONS);
	ck_assert_uint_eq(calls_of(&second), PLUGIN_FUNCTIONS);
	ck_assert_uint_eq(calls_of(&loaded), PLUGIN_FUNCTIONS);
	ck_assert_int_eq(dlclose(first.handle), 0);
	ck_ok(ftr_sites_refresh());
	ck_assert_uint_eq(ftr_site_count(), before + 2 * PLUGIN_FUNCTIONS);
	ck_assert_uint_eq(calls_of(&second), PLUGIN_FUNCTIONS);
	ck_ok(ftr_group_detach(group));
	ck_assert_uint_eq(calls_of(&second) + calls_of(&loaded), 0);
	ck_ok(ftr_shutdown());
	ck_ok(ftr_group_free(group));
}
END_TEST

/* Its pages are let alone, and the next namespace is found again. */
START_TEST(test_namespaces_come_and_go_while_attached)
{
	struct ftr_group *group = group_on("a_*", count_call);
	size_t before = ftr_site_count();
	struct loaded here;

	ck_assert_int_eq(ftr_group_filter(group, "resident", 0), 1);
	ck_ok(ftr_group_attach(group));
	for (int i = 0; i < 20 && namespaces_are_told(); i++) {
		if (!load_in_namespace(&here, load_path("a")))
			break;
		ck_ok(ftr_sites_refresh());
		ck_assert_uint_eq(calls_of(&here), PLUGIN_FUNCTIONS);
		ck_assert_int_eq(dlclose(here.handle), 0);
		if (i % 2)
			ck_ok(ftr_sites_refresh());
		if (i % 3 == 2) {
			ck_ok(ftr_group_detach(group));
			ck_ok(ftr_group_attach(group));
		}
	}
	ck_assert_uint_eq(ftr_site_count(), before);
	ck_assert_uint_eq(live_stats().attached, 1);
	ck_ok(ftr_group_detach(group));
	ck_ok(ftr_group_free(group));
}
END_TEST

/* --- interposing ------------------------------------------------------------------------- */

/* Linked with all of the library's code, the program has none of these. */
START_TEST(test_nothing_is_interposed)
{
	void *const functions[] = { (void *)dlopen, (void *)dlmopen, (void *)dlclose,
				    (void *)dl_iterate_phdr, (void *)mmap, (void *)munmap,
				    (void *)fork, (void *)pthread_create, (void *)sigaction,
				    (void *)siglongjmp, (void *)malloc };
	Dl_info ours, theirs_info;

	ck_assert_int_ne(dladdr((void *)ftr_init, &ours), 0);
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		ck_assert_int_ne(dladdr(functions[i], &theirs_info), 0);
		if (!LIVE_SANITIZED)
			ck_assert_msg(theirs_info.dli_fbase != ours.dli_fbase, "function %zu", i);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("loader");
	TCase *phases = tcase_create("phases");

	tcase_set_timeout(phases, 30);
	tcase_add_loop_test(phases, test_dlclose_by_another_thread_in_a_batch, 0, 2 * PHASES);
	tcase_add_loop_test(phases, test_dlopen_by_another_thread_in_a_batch, 0, 2 * PHASES);
	suite_add_tcase(suite, phases);
	LIVE_CASE(suite, test_destructors_calls_are_seen, 30);
	LIVE_CASE(suite, test_attach_in_a_constructor, 30);
	LIVE_CASE(suite, test_constructors_while_another_thread_attaches, 60);
	LIVE_CASE(suite, test_handler_loads_while_another_thread_detaches, 60);
	LIVE_CASE(suite, test_another_namespace, 30);
	LIVE_CASE(suite, test_namespaces_come_and_go_while_attached, 30);
	LIVE_CASE(suite, test_nothing_is_interposed, 30);
	return live_main(suite);
}
