/* SPDX-License-Identifier: MIT */
/*
 * H12: a group that is limited to threads is called in these alone, at once for
 * calls that start later, while the list changes and the threads run.
 */
#include "tests/live/tally.h"
#include "tests/live/visitor.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

/* --- a list that changes ----------------------------------------------------------- */

enum role { ALWAYS, NEVER, NOW_AND_THEN, ROLES };

/* A thread's part; `strict` as soon as the list says the same. */
struct part {
	enum role role;
	pid_t tid;
	atomic_bool strict;
};

static void part_turn(struct live_worker *worker)
{
	struct part *part = worker->arg;
	bool strict = atomic_load(&part->strict);
	unsigned long seen = tally_here.seen;

	part->tid = live_tid();
	tally_call(live_sites[worker->turns % LIVE_SITES]);
	seen = tally_here.seen - seen;
	worker->counts[0] += seen;
	if (strict && part->role == ALWAYS)
		worker->bad += seen != 1;
	if (strict && part->role == NEVER)
		worker->bad += seen != 0;
}

enum { PADDING = 500 };

static int compare_ids(const void *a, const void *b)
{
	return *(const pid_t *)a - *(const pid_t *)b;
}

/** A list with these threads, each twice, and with ids of nobody before them:
 *  now and then sorted. */
static void limit_to(struct ftr_group *group, const pid_t *tids, size_t n, unsigned long round)
{
	pid_t list[PADDING + 2 * ROLES];
	size_t i, length = 0, padding = round % 3 ? round % PADDING : 0;

	for (i = 0; i < padding; i++)
		list[length++] = (pid_t)((1 << 23) + i * 7);
	for (i = 0; i < 2 * n; i++)
		list[length++] = tids[i % n];
	if (round % 2)
		qsort(list, length, sizeof(*list), compare_ids);
	ck_ok(ftr_group_limit_threads(group, list, length));
}

static void parts_start(struct live_worker *workers, struct part *parts)
{
	unsigned i;

	for (i = 0; i < ROLES; i++) {
		parts[i].role = (enum role)i;
		parts[i].tid = 0;
		atomic_init(&parts[i].strict, false);
		live_worker_start(&workers[i], part_turn, &parts[i]);
	}
}

static void parts_are_strict(struct part *parts, bool strict)
{
	unsigned i;

	for (i = 0; i < ROLES; i++)
		atomic_store(&parts[i].strict, strict);
}

/** _i: with the regs caller. */
START_TEST(test_list_changes_under_calls)
{
	const unsigned long rounds = live_rounds(3000);
	struct live_worker workers[ROLES];
	struct part parts[ROLES];
	struct ftr_group *group;
	unsigned long i, seen;

	ck_ok(ftr_init(NULL));
	parts_start(workers, parts);
	group = live_group("limited", tally_handler, NULL, _i ? FTR_GROUP_REGS : 0);
	live_hold(group, live_sites, LIVE_SITES);
	limit_to(group, &parts[ALWAYS].tid, 1, 0);
	ck_ok(ftr_group_attach(group));
	parts_are_strict(parts, true);
	for (i = 0; i < rounds; i++) {
		pid_t tids[2] = { parts[ALWAYS].tid, parts[NOW_AND_THEN].tid };

		limit_to(group, tids, 1 + i % 2, i);
		if (i % 64 == 1)
			live_worker_await(&workers[NOW_AND_THEN], 2);
	}
	seen = tally_sum.seen;
	for (i = 0; i < ROLES; i++)
		live_worker_stop(&workers[i]);
	for (i = 0; i < ROLES; i++)
		ck_assert_msg(!workers[i].bad, "thread %lu: %lu of %lu calls wrong", i,
			      workers[i].bad, workers[i].turns);
	ck_assert_uint_ge(tally_sum.seen, seen);
	ck_assert_uint_gt(workers[NOW_AND_THEN].counts[0], 0);
	ck_assert_uint_lt(workers[NOW_AND_THEN].counts[0], workers[NOW_AND_THEN].turns);
	ck_assert_uint_eq(ftr_group_missed(group), 0);
	live_drop(group);
}
END_TEST

/* From "all threads" to a list and back, which changes the sites' sets: who is on
 * every list never misses a call meanwhile. */
START_TEST(test_all_threads_and_back)
{
	const unsigned long rounds = live_rounds(500);
	struct live_worker workers[ROLES];
	struct part parts[ROLES];
	struct ftr_group *group;
	unsigned long i;

	ck_ok(ftr_init(NULL));
	parts_start(workers, parts);
	group = tally_attach(tally_handler, _i ? FTR_GROUP_REGS : 0);
	parts[NEVER].role = NOW_AND_THEN;
	parts_are_strict(parts, true);
	for (i = 0; i < rounds; i++) {
		ck_ok(ftr_group_limit_threads(group, &parts[ALWAYS].tid, 1));
		if (i % 64 == 0)
			live_worker_await(&workers[NEVER], 2);
		ck_ok(ftr_group_limit_threads(group, NULL, 0));
		if (i % 64 == 0)
			live_worker_await(&workers[NEVER], 2);
	}
	for (i = 0; i < ROLES; i++)
		live_worker_stop(&workers[i]);
	ck_assert_uint_eq(workers[ALWAYS].bad, 0);
	ck_assert_uint_gt(workers[NEVER].counts[0], 0);
	ck_assert_uint_lt(workers[NEVER].counts[0], workers[NEVER].turns);
	ck_assert_uint_eq(ftr_group_missed(group), 0);
	live_drop(group);
}
END_TEST

/* --- what is not the group's business ---------------------------------------------- */

static int handler_calls_on(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			    struct ftr_regs *regs)
{
	if (ip == live_ip(live_sites[0]))
		tally_call(live_sites[1]);
	return 0;
}

static void call_first(void *arg)
{
	tally_call(live_sites[0]);
}

/* A call inside a handler of a thread that is not listed is not a missed one. */
START_TEST(test_unlisted_is_not_missed)
{
	struct ftr_group *limited, *all;
	struct visitor visitor;
	pid_t here = live_tid();

	ck_ok(ftr_init(NULL));
	visitor_start(&visitor);
	limited = live_group("limited", tally_handler, NULL, 0);
	live_hold(limited, live_sites, 2);
	ck_ok(ftr_group_limit_threads(limited, &here, 1));
	ck_ok(ftr_group_attach(limited));
	all = live_group("all", handler_calls_on, NULL, 0);
	live_hold(all, live_sites, 2);
	ck_ok(ftr_group_attach(all));
	visitor_call(&visitor, call_first, NULL);
	ck_assert_uint_eq(tally_sum.seen, 0);
	ck_assert_uint_eq(ftr_group_missed(limited), 0);
	ck_assert_uint_eq(ftr_group_missed(all), 1);
	call_first(NULL);
	ck_assert_uint_eq(tally_sum.seen, 1);
	ck_assert_uint_eq(ftr_group_missed(limited), 1);
	ck_assert_uint_eq(ftr_group_missed(all), 2);
	visitor_stop(&visitor);
	live_drop(limited);
	live_drop(all);
}
END_TEST

/* --- ids that others get --------------------------------------------------------------- */

/* A child's thread has an id of its own, which is not on its parent's list. */
START_TEST(test_fork_is_not_listed)
{
	struct ftr_group *group;
	pid_t here = live_tid(), child;
	int status = -1;

	ck_ok(ftr_init(NULL));
	group = tally_attach(tally_handler, 0);
	ck_ok(ftr_group_limit_threads(group, &here, 1));
	call_first(NULL);
	child = fork();
	if (!child) {
		call_first(NULL);
		if (tally_sum.seen != 1)
			_exit(1);
		here = live_tid();
		if (ftr_group_limit_threads(group, &here, 1))
			_exit(2);
		call_first(NULL);
		_exit(tally_sum.seen == 2 ? 0 : 3);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	call_first(NULL);
	ck_assert_uint_eq(tally_sum.seen, 2);
	live_drop(group);
}
END_TEST

static void *call_and_tell(void *tid)
{
	tally_call(live_sites[0]);
	*(pid_t *)tid = live_tid();
	return NULL;
}

/* A list is one of ids.  The node of a thread that ended must not stand for its
 * successor's id. */
START_TEST(test_successor_is_not_listed)
{
	unsigned long expected, same = 0;
	struct ftr_group *group;
	unsigned i;

	ck_ok(ftr_init(NULL));
	group = tally_attach(tally_handler, 0);
	for (i = 0; i < 400; i++) {
		pthread_t thread;
		pid_t before = 0, tid = 0;

		ck_assert_int_eq(pthread_create(&thread, NULL, call_and_tell, &before), 0);
		ck_assert_int_eq(pthread_join(thread, NULL), 0);
		expected = tally_sum.seen;
		ck_ok(ftr_group_limit_threads(group, &before, 1));
		ck_assert_int_eq(pthread_create(&thread, NULL, call_and_tell, &tid), 0);
		ck_assert_int_eq(pthread_join(thread, NULL), 0);
		expected += tid == before;
		same += tid == before;
		ck_assert_uint_eq(tally_sum.seen, expected);
		ck_ok(ftr_group_limit_threads(group, NULL, 0));
	}
	ck_assert_uint_lt(same, 400);
	live_drop(group);
}
END_TEST

/* But a thread that got the id of one that is listed, and ended, is called. */
START_TEST(test_id_that_is_used_again)
{
	struct ftr_group *group;
	pid_t before = 0, tid = 0;
	pthread_t thread;
	unsigned long seen;

	ck_ok(ftr_init(NULL));
	group = tally_attach(tally_handler, 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, call_and_tell, &before), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_ok(ftr_group_limit_threads(group, &before, 1));
	seen = tally_sum.seen;
	if (tally_thread_as(before, call_and_tell, &tid))
		ck_assert_uint_eq(tally_sum.seen, seen + 1);
	else
		printf("SKIP: thread ids can't be chosen here (ns_last_pid)\n");
	live_drop(group);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("limit");

	LIVE_LOOP(suite, test_list_changes_under_calls, 0, 2, 60);
	LIVE_LOOP(suite, test_all_threads_and_back, 0, 2, 60);
	LIVE_CASE(suite, test_unlisted_is_not_missed, 30);
	LIVE_CASE(suite, test_fork_is_not_listed, 30);
	LIVE_CASE(suite, test_successor_is_not_listed, 60);
	LIVE_CASE(suite, test_id_that_is_used_again, 60);
	return live_main(suite);
}
