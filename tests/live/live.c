/* SPDX-License-Identifier: MIT */
/*
 * Helpers of the live tests; see live.h.  Nothing here touches the library
 * before a test does: each test starts it in its own process.
 */
#include "tests/live/live.h"

#include <fcntl.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>

const unsigned char live_nop5[5] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };

struct ftr_group *live_group(const char *name, ftr_entry_fn entry, void *data, uint32_t flags)
{
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;
	struct ftr_group *group = NULL;

	options.name = name;
	options.entry = entry;
	options.data = data;
	options.flags = flags;
	ck_ok(ftr_group_new(&group, &options));
	ck_assert_ptr_nonnull(group);
	return group;
}

void live_hold(struct ftr_group *group, const live_fn *fns, size_t n)
{
	uintptr_t ips[LIVE_SITES];
	size_t i;
	int held;

	ck_assert_uint_le(n, LIVE_SITES);
	for (i = 0; i < n; i++)
		ips[i] = live_ip(fns[i]);
	held = ftr_group_filter_ips(group, ips, n, FTR_FILTER_RESET);
	ck_assert_msg(held == (int)n, "filter of %zu: %d: %s", n, held, ftr_last_error());
}

struct ftr_group *live_attach(const char *name, ftr_entry_fn entry, void *data, uint32_t flags,
			      live_fn fn)
{
	struct ftr_group *group = live_group(name, entry, data, flags);

	live_hold(group, &fn, 1);
	ck_ok(ftr_group_attach(group));
	return group;
}

void live_drop(struct ftr_group *group)
{
	ck_ok(ftr_group_detach(group));
	ck_ok(ftr_group_free(group));
}

struct ftr_stats live_stats(void)
{
	struct ftr_stats stats = FTR_STATS_INIT;

	ck_ok(ftr_stats_get(&stats));
	return stats;
}

pid_t live_tid(void)
{
	return (pid_t)syscall(SYS_gettid);
}

bool live_waits_in(pid_t tid, long number)
{
	char path[64], text[128] = "";
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/syscall", (int)tid);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	/* Of one that runs it says so. */
	return n > 0 && text[0] >= '0' && text[0] <= '9' && strtol(text, NULL, 10) == number;
}

static void *worker_main(void *arg)
{
	struct live_worker *worker = arg;

	while (!atomic_load_explicit(&worker->stop, memory_order_relaxed)) {
		unsigned long n;

		worker->turn(worker);
		n = atomic_fetch_add_explicit(&worker->turns, 1, memory_order_relaxed);
		/* On few processors: change places here, between calls, rather
		 * than wherever the time slice happens to end. */
		if (n % 64 == 0)
			sched_yield();
	}
	return NULL;
}

void live_worker_start(struct live_worker *worker, void (*turn)(struct live_worker *), void *arg)
{
	memset(worker, 0, sizeof(*worker));
	worker->turn = turn;
	worker->arg = arg;
	ck_assert_int_eq(pthread_create(&worker->thread, NULL, worker_main, worker), 0);
	live_worker_await(worker, 1);
}

void live_worker_await(struct live_worker *worker, unsigned long n)
{
	unsigned long from = atomic_load(&worker->turns);

	while (atomic_load(&worker->turns) - from < n)
		sched_yield();
}

void live_worker_stop(struct live_worker *worker)
{
	atomic_store(&worker->stop, true);
	ck_assert_int_eq(pthread_join(worker->thread, NULL), 0);
}

unsigned long live_rounds(unsigned long rounds)
{
	const char *percent = getenv("FTR_TEST_ROUNDS");
	unsigned long scaled;

	if (!percent)
		return rounds;
	scaled = rounds * strtoul(percent, NULL, 10) / 100;
	return scaled ? scaled : 1;
}

void live_poke(const char *strategy)
{
	setenv("FTR_POKE", strategy, 1);
}

/** Why the library can't work here, or NULL. */
static const char *missing_facility(void)
{
	long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

	if (commands < 0 || !(commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE))
		return "the kernel has no membarrier(2) with SYNC_CORE";
	return NULL;
}

bool live_lacks_breakpoints(void)
{
	const char *poke = getenv("FTR_POKE");

	if (!poke || (strcmp(poke, "atomic") && strcmp(poke, "skip")))
		return false;
	printf("SKIP: what is done here takes breakpoints, and FTR_POKE=%s has none\n", poke);
	return true;
}

int live_main(Suite *suite)
{
	const char *missing = missing_facility();
	SRunner *runner;
	int failed;

	if (missing) {
		printf("SKIP: %s\n", missing);
		return 77;
	}
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
