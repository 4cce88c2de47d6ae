/* SPDX-License-Identifier: MIT */
/*
 * H8 under return hooks: detaching while threads are deep inside hooked functions,
 * from inside exit handlers, and over and over under recursion and signals.
 */
#include "tests/live/hooks.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>

#define HOOKED FTR_TRACEABLE static

/* --- deep inside ---------------------------------------------------------------------------- */

enum { THREADS = 100, LEVELS = 100 };

static sem_t arrived, go_on;

HOOKED long detach_deep(long n)
{
	long result;

	if (n == 0) {
		sem_post(&arrived);
		while (sem_wait(&go_on))
			;
		return 0;
	}
	result = detach_deep(n - 1);
	LIVE_OPAQUE(result);
	return result + 1;
}

static void *go_deep(void *arg)
{
	return (void *)detach_deep(LEVELS - 1);
}

/** What the group's data points at; freed as soon as detach returns. */
struct seen {
	_Atomic unsigned long entries, exits;
};

static int count_entry(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		       struct ftr_regs *regs)
{
	struct seen *seen = ftr_group_data(group);

	seen->entries++;
	return 0;
}

static void count_exit(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		       struct ftr_regs *regs)
{
	struct seen *seen = ftr_group_data(group);

	seen->exits++;
}

static struct ftr_group *attach_seen(struct seen *seen, uint32_t flags)
{
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;
	struct ftr_group *group;

	options.name = "seen";
	options.entry = count_entry;
	options.exit = count_exit;
	options.data = seen;
	options.flags = flags;
	ck_ok(ftr_group_new(&group, &options));
	ck_assert_int_eq(ftr_group_filter(group, "detach_deep", 0), 1);
	ck_ok(ftr_group_attach(group));
	return group;
}

static const uint32_t kinds[] = { 0, FTR_GROUP_NO_SIMD, FTR_GROUP_REGS, FTR_GROUP_UNWOUND_EXITS };
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* What the sanitizer does not find by itself shows as a write into what was
 * freed: no exit may run any more. */
START_TEST(test_threads_deep_inside)
{
	struct seen *seen = calloc(1, sizeof(*seen));
	struct ftr_group *group = attach_seen(seen, kinds[_i]);
	pthread_t threads[THREADS];
	struct seen after;
	void *result;
	int i;

	sem_init(&arrived, 0, 0);
	sem_init(&go_on, 0, 0);
	for (i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, go_deep, NULL), 0);
	for (i = 0; i < THREADS; i++)
		while (sem_wait(&arrived))
			;
	ck_assert_uint_eq(seen->entries, THREADS * LEVELS);
	ck_ok(ftr_group_detach(group));
	ck_assert_uint_eq(seen->exits, 0);
	ck_ok(ftr_group_free(group));
	free(seen);
	seen = calloc(1, sizeof(*seen));
	for (i = 0; i < THREADS; i++)
		sem_post(&go_on);
	for (i = 0; i < THREADS; i++) {
		ck_assert_int_eq(pthread_join(threads[i], &result), 0);
		ck_assert_int_eq((long)result, LEVELS - 1);
	}
	memcpy(&after, seen, sizeof(after));
	ck_assert_uint_eq(after.entries, 0);
	ck_assert_uint_eq(after.exits, 0);
	free(seen);
}
END_TEST

/* --- from inside exit handlers ---------------------------------------------------------------- */

HOOKED long detach_plain(long n)
{
	LIVE_OPAQUE(n);
	return n + 1;
}

HOOKED long detach_other(long n)
{
	LIVE_OPAQUE(n);
	return n + 1;
}

static void detach_in_exit(struct hook *hook, struct ftr_regs *regs)
{
	ck_fails(ftr_group_detach(hook->group), -EDEADLK);
}

START_TEST(test_detach_in_an_exit_handler)
{
	struct hook hook = { .at_exit = detach_in_exit };

	hook_attach(&hook, "detach_plain", kinds[_i]);
	ck_assert_int_eq(detach_plain(1), 2);
	ck_assert_uint_eq(hook.exits, 1);
	/* The site is off already. */
	ck_assert_int_eq(detach_plain(1), 2);
	ck_assert_uint_eq(hook.entries, 1);
	hook_drop(&hook);
}
END_TEST

static struct hook other;

/* Attaching waits for nobody; detaching would wait for this thread, too. */
static void attach_in_exit(struct hook *hook, struct ftr_regs *regs)
{
	if (!other.group) {
		hook_attach(&other, "detach_other", 0);
		return;
	}
	ck_fails(ftr_group_free(other.group), -EBUSY);
	ck_fails(ftr_group_detach(other.group), -EDEADLK);
}

START_TEST(test_attach_another_in_an_exit_handler)
{
	struct hook hook = { .at_exit = attach_in_exit };

	hook_attach(&hook, "detach_plain", kinds[_i]);
	ck_assert_int_eq(detach_plain(1), 2);
	ck_assert_int_eq(detach_other(1), 2);
	ck_assert_uint_eq(other.exits, 1);
	ck_assert_int_eq(detach_plain(1), 2);
	ck_assert_int_eq(detach_other(1), 2);
	ck_assert_uint_eq(other.exits, 1);
	hook_drop(&other);
	hook_drop(&hook);
}
END_TEST

static sem_t detached;

static void note_detached(void *arg)
{
	sem_post(&detached);
}

static void detach_async_in_exit(struct hook *hook, struct ftr_regs *regs)
{
	ck_ok(ftr_group_detach_async(hook->group, note_detached, NULL));
}

START_TEST(test_detach_async_in_an_exit_handler)
{
	struct hook hook = { .at_exit = detach_async_in_exit };

	sem_init(&detached, 0, 0);
	hook_attach(&hook, "detach_plain", kinds[_i]);
	ck_assert_int_eq(detach_plain(1), 2);
	ftr_site_count();
	while (sem_wait(&detached))
		;
	ck_assert_uint_eq(hook.exits, 1);
	ck_ok(ftr_group_free(hook.group));
}
END_TEST

/* --- over and over ------------------------------------------------------------------------------ */

/*
 * Each thread keeps books of the calls that are open: an exit belongs to one of
 * them; those above it were cut off by a detach.  A thread inside a handler runs
 * no other handler: no lock is needed.
 */
enum { BOOK = 4096 };
struct line {
	unsigned long id, generation;
};
static __thread struct line book[BOOK];
static __thread unsigned long n_open, n_ids;

static _Atomic unsigned long generation; /* odd: attached */
static _Atomic unsigned long opened, closed, cut_off, wrong;

static int open_line(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		     struct ftr_regs *regs)
{
	unsigned long *id = ftr_entry_data(regs);

	if (n_open == BOOK) {
		wrong++;
		return 1;
	}
	*id = ++n_ids;
	book[n_open++] = (struct line){ *id, generation };
	opened++;
	return 0;
}

static void close_line(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		       struct ftr_regs *regs)
{
	unsigned long id = *(unsigned long *)ftr_entry_data(regs), now = generation;

	while (n_open && book[n_open - 1].id != id) {
		n_open--;
		if (book[n_open].generation >= now - 1)
			wrong++; /* its exit never came */
		cut_off++;
	}
	if (!n_open || book[n_open - 1].generation < now - 1)
		wrong++; /* it never began, or was cut off */
	else
		n_open--;
	closed++;
}

HOOKED long books_recurse(long n)
{
	long below = n > 0 ? books_recurse(n - 1) : 0;

	LIVE_OPAQUE(below);
	return n > 0 ? below + 1 : 0;
}

HOOKED long books_leaf(long n)
{
	LIVE_OPAQUE(n);
	return n + 1;
}

static _Atomic unsigned long signals, bad;

static void on_timer(int sig)
{
	int error = errno;

	signals++;
	bad += books_recurse(5) != 5 || books_leaf(1) != 2;
	errno = error;
}

static void turn(struct live_worker *worker)
{
	for (long n = 0; n < 20; n++)
		bad += books_recurse(n) != n || books_leaf(n) != n + 1;
}

static void start_timer(long microseconds)
{
	struct itimerval timer = { .it_interval.tv_usec = microseconds,
				   .it_value.tv_usec = microseconds };

	ck_assert_int_eq(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

static struct ftr_group *make_books(uint32_t flags)
{
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;
	struct ftr_group *group;

	options.name = "books";
	options.entry = open_line;
	options.exit = close_line;
	options.flags = flags;
	options.entry_data_size = sizeof(unsigned long);
	ck_ok(ftr_group_new(&group, &options));
	ck_assert_int_eq(ftr_group_filter(group, "books_*", 0), 2);
	return group;
}

/* The exits of calls that a detach found open are cut off, each counted once. */
START_TEST(test_books_agree_under_attach_and_detach)
{
	struct sigaction action = { .sa_handler = on_timer, .sa_flags = SA_RESTART };
	struct ftr_group *group = make_books(kinds[_i]);
	struct live_worker workers[3];
	unsigned long i, rounds = live_rounds(100);

	ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
	for (i = 0; i < 3; i++)
		live_worker_start(&workers[i], turn, NULL);
	start_timer(1000);
	for (i = 0; i < rounds; i++) {
		int result;
		generation++;
		do
			result = ftr_group_attach(group);
		while (result == -EAGAIN);
		ck_assert_msg(result == 0, "%d: %s", result, ftr_last_error());
		live_worker_await(&workers[i % 3], 2);
		ck_ok(ftr_group_detach(group));
		generation++;
	}
	start_timer(0);
	for (i = 0; i < 3; i++)
		live_worker_stop(&workers[i]);
	ck_assert_uint_eq(bad, 0);
	ck_assert_uint_eq(wrong, 0);
	ck_assert_uint_ge(opened, rounds * 20);
	ck_assert_uint_le(closed + cut_off, opened);
	/* Not more than was open at some detach: three threads, and the timer's. */
	ck_assert_uint_le(opened - closed, rounds * 4 * 30);
	ck_ok(ftr_group_free(group));
}
END_TEST

/* Attached all the time: all that begins ends. */
START_TEST(test_books_balance)
{
	struct sigaction action = { .sa_handler = on_timer, .sa_flags = SA_RESTART };
	struct ftr_group *group = make_books(kinds[_i]);
	struct live_worker workers[3];
	unsigned long i;

	ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
	generation = 1;
	ck_ok(ftr_group_attach(group));
	for (i = 0; i < 3; i++)
		live_worker_start(&workers[i], turn, NULL);
	start_timer(1000);
	while (signals < live_rounds(300))
		live_worker_await(&workers[signals % 3], 1);
	start_timer(0);
	for (i = 0; i < 3; i++)
		live_worker_stop(&workers[i]);
	ck_assert_uint_eq(bad, 0);
	ck_assert_uint_eq(wrong, 0);
	ck_assert_uint_eq(cut_off, 0);
	ck_assert_uint_eq(opened, closed);
	ck_ok(ftr_group_detach(group));
	ck_ok(ftr_group_free(group));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("exits_detach");

	LIVE_LOOP(suite, test_threads_deep_inside, 0, KINDS, 30);
	LIVE_LOOP(suite, test_detach_in_an_exit_handler, 0, KINDS, 10);
	LIVE_LOOP(suite, test_attach_another_in_an_exit_handler, 0, KINDS, 10);
	LIVE_LOOP(suite, test_detach_async_in_an_exit_handler, 0, KINDS, 10);
	LIVE_LOOP(suite, test_books_agree_under_attach_and_detach, 0, KINDS, 60);
	LIVE_LOOP(suite, test_books_balance, 0, KINDS, 60);
	return live_main(suite);
}
