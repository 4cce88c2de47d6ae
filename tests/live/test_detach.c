/* SPDX-License-Identifier: MIT */
/*
 * H8: detach is a promise.  When it has returned, the handler's data is freed
 * and unmapped at once, while threads go on to call; other groups on the same
 * sites never miss a call; threads that stay inside a handler are named.
 */
#include "tests/live/visitor.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

static __thread unsigned ran_a, ran_b;

static int handler_a(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		     struct ftr_regs *regs)
{
	ran_a++;
	return 0;
}

static int handler_b(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		     struct ftr_regs *regs)
{
	ran_b++;
	return 0;
}

static struct live_worker callers[2];

static void callers_start(void (*turn)(struct live_worker *))
{
	live_worker_start(&callers[0], turn, NULL);
	live_worker_start(&callers[1], turn, NULL);
}

static void callers_stop(void)
{
	live_worker_stop(&callers[0]);
	live_worker_stop(&callers[1]);
	ck_assert_uint_eq(callers[0].bad, 0);
	ck_assert_uint_eq(callers[1].bad, 0);
	ck_assert_uint_eq(live_stats().traps_foreign, 0);
}

/* --- free and unmap at once ------------------------------------------------ */

enum { MAGIC = 0x5afe, LINGER = 200 };

struct page {
	volatile unsigned long magic;
	_Atomic unsigned long calls;
};

/** Stays in its data for a while: whoever unmaps it too early hits it there. */
static int handler_page(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			struct ftr_regs *regs)
{
	struct page *page = ftr_group_data(group);
	unsigned i;

	for (i = 0; i < LINGER; i++)
		if (page->magic != MAGIC)
			abort();
	atomic_fetch_add_explicit(&page->calls, 1, memory_order_relaxed);
	return 0;
}

static void wander_turn(struct live_worker *worker)
{
	long n = (long)worker->turns;

	if (live_sites[n % LIVE_SITES](n) != n + 1)
		worker->bad++;
}

static struct page *page_map(void)
{
	struct page *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				 -1, 0);

	ck_assert_ptr_ne(page, MAP_FAILED);
	page->magic = MAGIC;
	return page;
}

START_TEST(test_unmap_at_once)
{
	const unsigned long rounds = live_rounds(10000);
	unsigned long i, calls = 0, called = 0;

	ck_ok(ftr_init(NULL));
	callers_start(wander_turn);
	for (i = 0; i < rounds; i++) {
		struct page *page = page_map();
		struct ftr_group *group = live_group("page", handler_page, page, 0);

		live_hold(group, live_sites + i % 4 * 17, 17);
		ck_ok(ftr_group_attach(group));
		if (i % 16 == 0)
			live_worker_await(&callers[i / 16 % 2], LIVE_SITES);
		ck_ok(ftr_group_detach(group));
		calls += page->calls;
		called += page->calls != 0;
		ck_ok(ftr_group_free(group));
		ck_assert_int_eq(munmap(page, 4096), 0);
	}
	callers_stop();
	ck_assert_uint_ge(called, rounds / 16);
	ck_assert_uint_gt(calls, 0);
}
END_TEST

/* --- a thread that stays inside -------------------------------------------- */

struct room {
	sem_t entered, leave;
	pid_t tid;
};

static int handler_waits(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			 struct ftr_regs *regs)
{
	struct room *room = ftr_group_data(group);

	room->tid = live_tid();
	sem_post(&room->entered);
	while (sem_wait(&room->leave))
		;
	return 0;
}

static void call_first(void *arg)
{
	*(long *)arg = live_sites[0](1);
}

static void room_start(struct room *room, struct visitor *visitor, unsigned timeout_ms)
{
	struct ftr_options options = FTR_OPTIONS_INIT;

	options.detach_timeout_ms = timeout_ms;
	ck_ok(ftr_init(&options));
	sem_init(&room->entered, 0, 0);
	sem_init(&room->leave, 0, 0);
	visitor_start(visitor);
}

START_TEST(test_timeout_names_the_thread)
{
	struct visitor visitor;
	struct ftr_group *group;
	struct room room;
	char tid[16];
	long result = 0;

	room_start(&room, &visitor, 50);
	group = live_attach("waits", handler_waits, &room, 0, live_sites[0]);
	visitor_send(&visitor, call_first, &result);
	while (sem_wait(&room.entered))
		;
	ck_fails(ftr_group_detach(group), -ETIMEDOUT);
	snprintf(tid, sizeof(tid), "%d", (int)room.tid);
	ck_assert_msg(strstr(ftr_last_error(), tid) != NULL, "\"%s\" does not name thread %s",
		      ftr_last_error(), tid);
	ck_assert(live_idle(live_sites[0]));
	ck_fails(ftr_group_free(group), -EBUSY);
	ck_fails(ftr_group_detach(group), -ETIMEDOUT);
	ck_assert_int_eq(live_sites[0](2), 3);
	sem_post(&room.leave);
	visitor_await(&visitor);
	ck_assert_int_eq(result, 2);
	live_drop(group);
	visitor_stop(&visitor);
}
END_TEST

/** The wait is for handlers that began before, not for the sites' next calls. */
START_TEST(test_other_groups_detach_meanwhile)
{
	struct ftr_group *waits, *other;
	struct visitor visitor;
	struct room room;
	long result = 0;
	int detached;

	room_start(&room, &visitor, 50);
	waits = live_attach("waits", handler_waits, &room, 0, live_sites[0]);
	other = live_attach("other", handler_a, NULL, 0, live_sites[1]);
	visitor_send(&visitor, call_first, &result);
	while (sem_wait(&room.entered))
		;
	ran_a = 0;
	ck_assert_int_eq(live_sites[1](5), 6);
	ck_assert_uint_eq(ran_a, 1);
	/* Whether a thread in another group's handler is waited for is the
	 * library's choice; that `other` no longer runs is not. */
	detached = ftr_group_detach(other);
	ck_assert(detached == 0 || detached == -ETIMEDOUT);
	ck_assert_int_eq(live_sites[1](5), 6);
	ck_assert_uint_eq(ran_a, 1);
	sem_post(&room.leave);
	visitor_await(&visitor);
	if (detached)
		ck_ok(ftr_group_detach(other));
	ck_ok(ftr_group_free(other));
	live_drop(waits);
	visitor_stop(&visitor);
}
END_TEST

/* --- from inside a handler -------------------------------------------------- */

static int detach_result, free_result;

static int handler_detaches(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			    struct ftr_regs *regs)
{
	ran_a++;
	detach_result = ftr_group_detach(group);
	free_result = ftr_group_free(group);
	return 0;
}

START_TEST(test_detach_from_inside)
{
	struct ftr_group *group;

	ck_ok(ftr_init(NULL));
	group = live_attach("self", handler_detaches, NULL, 0, live_sites[0]);
	ck_assert_int_eq(live_sites[0](1), 2);
	ck_assert_uint_eq(ran_a, 1);
	ck_assert_int_eq(detach_result, -EDEADLK);
	ck_assert_int_eq(free_result, -EBUSY);
	ck_assert(live_idle(live_sites[0]));
	ck_assert_int_eq(live_sites[0](1), 2);
	ck_assert_uint_eq(ran_a, 1);
	ck_fails(ftr_group_free(group), -EBUSY);
	live_drop(group);
}
END_TEST

/** What an asynchronous detach leaves behind. */
struct async {
	atomic_bool asked;
	_Atomic unsigned done, ran_since;
	_Atomic int result;
	struct ftr_group *group;
};

static void async_done(void *arg)
{
	struct async *async = arg;

	if (ftr_group_free(async->group))
		atomic_fetch_add(&async->done, 1000);
	atomic_fetch_add(&async->done, 1);
}

static int handler_async(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			 struct ftr_regs *regs)
{
	struct async *async = ftr_group_data(group);

	if (atomic_load(&async->done))
		atomic_fetch_add(&async->ran_since, 1);
	if (!atomic_exchange(&async->asked, true))
		async->result = ftr_group_detach_async(group, async_done, async);
	if (atomic_load(&async->done))
		atomic_fetch_add(&async->ran_since, 1);
	return 0;
}

/** A safe point of this thread comes with each call of the library. */
static void await_done(struct async *async)
{
	while (!atomic_load(&async->done)) {
		ck_ok(ftr_sites_refresh());
		sched_yield();
	}
}

START_TEST(test_async_from_inside)
{
	const unsigned long rounds = live_rounds(1000);
	struct async *asyncs = calloc(rounds, sizeof(*asyncs));
	unsigned long i;

	ck_ok(ftr_init(NULL));
	callers_start(wander_turn);
	for (i = 0; i < rounds; i++) {
		struct async *async = &asyncs[i];

		async->group = live_group("async", handler_async, async, 0);
		live_hold(async->group, live_sites, LIVE_SITES);
		ck_ok(ftr_group_attach(async->group));
		await_done(async);
	}
	callers_stop();
	for (i = 0; i < rounds; i++) {
		ck_assert_int_eq(asyncs[i].result, 0);
		ck_assert_uint_eq(asyncs[i].done, 1);
		ck_assert_uint_eq(asyncs[i].ran_since, 0);
	}
	ck_assert_uint_eq(live_stats().attached, 0);
	free(asyncs);
}
END_TEST

START_TEST(test_async_alone)
{
	struct async async;

	memset(&async, 0, sizeof(async));
	ck_ok(ftr_init(NULL));
	async.group = live_attach("async", handler_async, &async, 0, live_sites[0]);
	ck_assert_int_eq(live_sites[0](1), 2);
	await_done(&async);
	ck_assert_int_eq(async.result, 0);
	ck_assert_uint_eq(async.done, 1);
	ck_assert(live_idle(live_sites[0]));
}
END_TEST

START_TEST(test_async_from_outside)
{
	struct ftr_group *group;
	struct async async;

	memset(&async, 0, sizeof(async));
	ck_ok(ftr_init(NULL));
	group = live_attach("a", handler_a, NULL, 0, live_sites[0]);
	async.group = group;
	ck_ok(ftr_group_detach_async(group, async_done, &async));
	await_done(&async);
	ck_assert_uint_eq(async.done, 1);

	group = live_attach("a", handler_a, NULL, 0, live_sites[0]);
	ck_ok(ftr_group_detach_async(group, NULL, NULL));
	ck_assert(live_idle(live_sites[0]));
	ck_assert_int_eq(ftr_group_attached(group), 0);
	ck_assert_int_eq(live_sites[0](1), 2);
	ck_assert_uint_eq(ran_a, 0);
	ck_ok(ftr_group_free(group));
}
END_TEST

/* A detach waits for a thread inside; an asynchronous one must not, and its
 * `done` must not come before that thread has left. */
START_TEST(test_async_waits_for_the_handler)
{
	struct ftr_group *group;
	struct visitor visitor;
	struct async async;
	struct room room;
	long result = 0;
	unsigned i;

	memset(&async, 0, sizeof(async));
	room_start(&room, &visitor, 50);
	group = live_attach("waits", handler_waits, &room, 0, live_sites[0]);
	async.group = group;
	visitor_send(&visitor, call_first, &result);
	while (sem_wait(&room.entered))
		;
	ck_ok(ftr_group_detach_async(group, async_done, &async));
	for (i = 0; i < 100; i++)
		ck_ok(ftr_sites_refresh());
	ck_assert_uint_eq(async.done, 0);
	sem_post(&room.leave);
	visitor_await(&visitor);
	await_done(&async);
	ck_assert_uint_eq(async.done, 1);
	ck_assert_int_eq(result, 2);
	visitor_stop(&visitor);
}
END_TEST

/* --- the others lose nothing ------------------------------------------------ */

/** A holds the site all the time. */
static void exact_turn(struct live_worker *worker)
{
	long n = (long)worker->turns;

	ran_a = ran_b = 0;
	if (live_sites[n % LIVE_SITES](n) != n + 1 || ran_a != 1 || ran_b > 1)
		worker->bad++;
	worker->counts[ran_b]++;
}

START_TEST(test_bystander_loses_nothing)
{
	const unsigned long rounds = live_rounds(5000);
	struct ftr_group *a, *b;
	unsigned long i;

	ck_ok(ftr_init(NULL));
	a = live_group("a", handler_a, NULL, 0);
	b = live_group("b", handler_b, NULL, _i ? FTR_GROUP_REGS : 0);
	live_hold(a, live_sites, LIVE_SITES);
	ck_ok(ftr_group_attach(a));
	callers_start(exact_turn);
	for (i = 0; i < rounds; i++) {
		live_hold(b, live_sites + i % 4 * 17, 17);
		ck_ok(ftr_group_attach(b));
		if (i % 16 == 0)
			live_worker_await(&callers[i / 16 % 2], LIVE_SITES);
		ck_ok(ftr_group_detach(b));
		if (i % 16 == 8)
			live_worker_await(&callers[i / 16 % 2], LIVE_SITES);
	}
	callers_stop();
	ck_assert_uint_gt(callers[0].counts[1] + callers[1].counts[1], 0);
	ck_assert_uint_gt(callers[0].counts[0] + callers[1].counts[0], 0);
	ck_ok(ftr_group_free(b));
	live_drop(a);
}
END_TEST

/* What calls of live_sites[1] may see: a change's number, and two bits. */
static _Atomic unsigned long allowed;
enum { MAY_MISS = 1, MAY_RUN = 2 };

static void filter_turn(struct live_worker *worker)
{
	unsigned long before = atomic_load(&allowed);
	unsigned mask = MAY_MISS | MAY_RUN;

	ran_a = 0;
	if (live_sites[0](1) != 2 || ran_a != 1)
		worker->bad++;
	ran_a = 0;
	if (live_sites[1](1) != 2 || ran_a > 1)
		worker->bad++;
	if (before == atomic_load(&allowed))
		mask = before & 3;
	if (!(mask & (ran_a ? MAY_RUN : MAY_MISS)))
		worker->bad++;
	worker->counts[ran_a]++;
}

START_TEST(test_filter_of_an_attached_group)
{
	const unsigned long rounds = live_rounds(3000);
	unsigned long i, change = 0;
	struct ftr_group *group;

	ck_ok(ftr_init(NULL));
	group = live_attach("a", handler_a, NULL, 0, live_sites[0]);
	atomic_store(&allowed, MAY_MISS);
	callers_start(filter_turn);
	for (i = 0; i < rounds; i++) {
		atomic_store(&allowed, ++change << 2 | MAY_MISS | MAY_RUN);
		ck_assert_int_eq(ftr_group_filter(group, "live_line_1", 0), 1);
		atomic_store(&allowed, ++change << 2 | MAY_RUN);
		if (i % 16 == 0)
			live_worker_await(&callers[i / 16 % 2], 2);
		atomic_store(&allowed, ++change << 2 | MAY_MISS | MAY_RUN);
		ck_assert_int_eq(ftr_group_filter(group, "!live_line_1", 0), 1);
		atomic_store(&allowed, ++change << 2 | MAY_MISS);
		if (i % 16 == 8)
			live_worker_await(&callers[i / 16 % 2], 2);
	}
	callers_stop();
	ck_assert_uint_gt(callers[0].counts[0] + callers[1].counts[0], 0);
	ck_assert_uint_gt(callers[0].counts[1] + callers[1].counts[1], 0);
	live_drop(group);
}
END_TEST

/* --- threads that come and go ------------------------------------------------ */

static void *short_life(void *arg)
{
	ran_a = 0;
	*(unsigned *)arg += live_sites[0](1) == 2 && ran_a == 1;
	return NULL;
}

static unsigned long resident_pages(void)
{
	unsigned long size = 0, resident = 0;
	FILE *statm = fopen("/proc/self/statm", "re");

	ck_assert_ptr_nonnull(statm);
	ck_assert_int_eq(fscanf(statm, "%lu %lu", &size, &resident), 2);
	fclose(statm);
	return resident;
}

static void run_threads(unsigned long n)
{
	unsigned traced = 0;
	unsigned long i;

	for (i = 0; i < n; i++) {
		pthread_t thread;

		ck_assert_int_eq(pthread_create(&thread, NULL, short_life, &traced), 0);
		ck_assert_int_eq(pthread_join(thread, NULL), 0);
	}
	ck_assert_uint_eq(traced, n);
}

START_TEST(test_threads_that_come_and_go)
{
	const unsigned long rounds = live_rounds(10000);
	unsigned long before, after;
	struct ftr_group *group;

	ck_ok(ftr_init(NULL));
	group = live_attach("a", handler_a, NULL, 0, live_sites[0]);
	run_threads(rounds / 10);
	before = resident_pages();
	run_threads(rounds - rounds / 10);
	after = resident_pages();
	/* A page each would be 9,000; the pool grows by none.  A sanitizer keeps
	 * what was freed for a while. */
	if (!LIVE_SANITIZED)
		ck_assert_uint_le(after, before + 64);
	ck_assert_uint_gt(after, 0);
	live_drop(group);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("detach");
	TCase *bystander = tcase_create("test_bystander_loses_nothing");

	tcase_set_timeout(bystander, 120);
	tcase_add_loop_test(bystander, test_bystander_loses_nothing, 0, 2);
	suite_add_tcase(suite, bystander);
	LIVE_CASE(suite, test_unmap_at_once, 120);
	LIVE_CASE(suite, test_timeout_names_the_thread, 30);
	LIVE_CASE(suite, test_other_groups_detach_meanwhile, 30);
	LIVE_CASE(suite, test_detach_from_inside, 30);
	LIVE_CASE(suite, test_async_from_inside, 120);
	LIVE_CASE(suite, test_async_alone, 30);
	LIVE_CASE(suite, test_async_from_outside, 30);
	LIVE_CASE(suite, test_async_waits_for_the_handler, 30);
	LIVE_CASE(suite, test_filter_of_an_attached_group, 120);
	LIVE_CASE(suite, test_threads_that_come_and_go, 120);
	return live_main(suite);
}
