/* SPDX-License-Identifier: MIT */
/*
 * H7: what the library itself calls can be traced.  This program defines some
 * of libc's functions as traced ones; the shared library calls them as well: in
 * the middle of its updates, with its lock held, with breakpoints on them.
 */
#include "tests/live/live.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void __libc_free(void *p);

/* --- libc's functions, traced --------------------------------------------------- */

#if !LIVE_SANITIZED /* has its own */
FTR_TRACEABLE void *malloc(size_t size)
{
	return __libc_malloc(size);
}

FTR_TRACEABLE void *calloc(size_t n, size_t size)
{
	return __libc_calloc(n, size);
}

FTR_TRACEABLE void *realloc(void *p, size_t size)
{
	return __libc_realloc(p, size);
}

FTR_TRACEABLE void free(void *p)
{
	__libc_free(p);
}
#endif

FTR_TRACEABLE int mprotect(void *start, size_t size, int protection)
{
	return (int)syscall(SYS_mprotect, start, size, protection);
}

/* The offset is two words where a word has 32 bits. */
FTR_TRACEABLE ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at)
{
	return syscall(SYS_pwrite64, fd, bytes, n, (long)at, (long)((uint64_t)at >> 32));
}

FTR_TRACEABLE int nanosleep(const struct timespec *time, struct timespec *left)
{
	return (int)syscall(SYS_nanosleep, time, left);
}

FTR_TRACEABLE int sched_yield(void)
{
	return (int)syscall(SYS_sched_yield);
}

FTR_TRACEABLE static long own_function(long n)
{
	return n + 1;
}

static const char *const traced[] = {
#if !LIVE_SANITIZED
	"malloc", "calloc", "realloc", "free",
#endif
	"mprotect", "pwrite64", "nanosleep", "sched_yield", "own_function",
};

/* --- handlers ---------------------------------------------------------------------- */

static _Atomic unsigned long ran, wrong;
static struct ftr_group *other;
static __thread unsigned ran_other;

/** Asks the library, which may be the one that was interrupted here. */
static int handler_asks(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			struct ftr_regs *regs)
{
	const struct ftr_site *site = ftr_site_find(ip);
	int result = ftr_group_detach(group);

	atomic_fetch_add_explicit(&ran, 1, memory_order_relaxed);
	if (!site || ftr_site_ip(site) != ip || result != -EDEADLK)
		atomic_fetch_add(&wrong, 1);
	return 0;
}

static int handler_counts(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			  struct ftr_regs *regs)
{
	atomic_fetch_add_explicit(&ran, 1, memory_order_relaxed);
	return 0;
}

static int handler_other(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			 struct ftr_regs *regs)
{
	ran_other++;
	return 0;
}

static struct ftr_group *trace_libc(ftr_entry_fn entry)
{
	struct ftr_group *group = live_group("libc", entry, NULL, 0);
	size_t i;

	for (i = 0; i < sizeof(traced) / sizeof(traced[0]); i++)
		ck_assert_int_eq(ftr_group_filter(group, traced[i], 0), 1);
	ck_ok(ftr_group_attach(group));
	return group;
}

/* --- threads that use what is traced ------------------------------------------------- */

static void allocate_turn(struct live_worker *worker)
{
	unsigned long n = worker->turns;
	char *volatile p = malloc(n % 1000 + 1);

	if (!p)
		worker->bad++;
	p[n % 1000] = 1;
	p = realloc(p, 2000);
	if (p[n % 1000] != 1 || own_function((long)n) != (long)n + 1)
		worker->bad++;
	free(p);
	ran_other = 0;
	if (live_sites[0](1) != 2 || ran_other > 1)
		worker->bad++;
}

static void churn(unsigned long rounds)
{
	unsigned long i;

	for (i = 0; i < rounds; i++) {
		other = live_group("other", handler_other, NULL, 0);
		live_hold(other, live_sites + i % 16, 8);
		ck_ok(ftr_group_attach(other));
		ck_ok(ftr_group_detach(other));
		ck_ok(ftr_group_free(other));
	}
}

/* _i: FTR_TEXT=strict, where the text is written by pwrite(). */
START_TEST(test_traced_libc)
{
	struct live_worker callers[2];
	struct ftr_group *group;
	unsigned long i;

	if (_i)
		setenv("FTR_TEXT", "strict", 1);
	ck_ok(ftr_init(NULL));
	live_worker_start(&callers[0], allocate_turn, NULL);
	live_worker_start(&callers[1], allocate_turn, NULL);
	group = trace_libc(handler_counts);
	churn(live_rounds(1000));
	/* On and off: breakpoints on the functions that write them. */
	for (i = 0; i < live_rounds(300); i++) {
		ck_ok(ftr_group_detach(group));
		ck_ok(ftr_group_attach(group));
	}
	live_worker_stop(&callers[0]);
	live_worker_stop(&callers[1]);
	ck_assert_uint_eq(callers[0].bad + callers[1].bad, 0);
	ck_assert_uint_gt(ran, 0);
	ck_assert_uint_eq(live_stats().traps_foreign, 0);
	live_drop(group);
}
END_TEST

static void *ask_in_turn(void *arg)
{
	long i;

	for (i = 0; i < 100; i++)
		if (own_function(i) != i + 1)
			atomic_fetch_add(&wrong, 1);
	return NULL;
}

/* A handler may call the library, and gets an answer rather than a deadlock. */
START_TEST(test_handler_asks_the_interrupted_library)
{
	struct ftr_group *group;
	pthread_t thread;
	int result;

	ck_ok(ftr_init(NULL));
	group = trace_libc(handler_asks);
	/* The first handler has taken all sites off: the group can't come back
	 * before it is detached from outside. */
	ck_assert_int_eq(pthread_create(&thread, NULL, ask_in_turn, NULL), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	churn(50);
	ck_assert_uint_gt(ran, 0);
	ck_assert_uint_eq(wrong, 0);
	result = ftr_group_detach(group);
	ck_assert_msg(result == 0, "%d: %s", result, ftr_last_error());
	ck_ok(ftr_group_free(group));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("self");
	TCase *libc = tcase_create("test_traced_libc");

	tcase_set_timeout(libc, 120);
	tcase_add_loop_test(libc, test_traced_libc, 0, 2);
	suite_add_tcase(suite, libc);
	LIVE_CASE(suite, test_handler_asks_the_interrupted_library, 60);
	return live_main(suite);
}
