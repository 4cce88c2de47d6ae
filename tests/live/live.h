/* SPDX-License-Identifier: MIT */
/*
 * What the live tests share: fixtures written in assembly, worker threads that
 * run until they are stopped, and checks that print the library's sentence.
 *
 * No test waits for a time to pass: where two threads must meet they do so by
 * a semaphore, and a test that hangs is ended by Check's timeout.
 */
#ifndef TESTS_LIVE_H
#define TESTS_LIVE_H

#include <check.h>
#include <errno.h>
#include <ftr/ftr.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/** A fixture: a traced function that returns its argument plus one. */
typedef long (*live_fn)(long);

/** sites.S: sites of one five-byte nop. */
#define LIVE_LINE_SITES 64 /* one at each offset of a cache line */
#define LIVE_PAGE_SITES 4  /* 1 to 4 bytes before a page's end */
#define LIVE_SITES      (LIVE_LINE_SITES + LIVE_PAGE_SITES)
extern const live_fn live_sites[LIVE_SITES];

/** Built with a sanitizer: memory and time are not what they would be. */
#if defined(__SANITIZE_ADDRESS__)
#define LIVE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LIVE_SANITIZED 1
#endif
#endif
#ifndef LIVE_SANITIZED
#define LIVE_SANITIZED 0
#endif

/** The bytes of an idle site. */
extern const unsigned char live_nop5[5];

/** The call succeeds, else the test fails with the library's sentence. */
#define ck_ok(call)                                                                       \
	do {                                                                              \
		int ck_result_ = (call);                                                  \
		ck_assert_msg(ck_result_ == 0, "%s = %d: %s", #call, ck_result_,          \
			      ftr_last_error());                                          \
	} while (0)

/** The call fails with exactly this error, and says something about it. */
#define ck_fails(call, error)                                                             \
	do {                                                                              \
		int ck_result_ = (call);                                                  \
		ck_assert_msg(ck_result_ == (error), "%s = %d, expected %d: %s", #call,   \
			      ck_result_, (int)(error), ftr_last_error());                \
		ck_assert_msg(ftr_last_error()[0], "%s: no sentence", #call);             \
	} while (0)

/** A group with these handlers; its filter is empty. */
struct ftr_group *live_group(const char *name, ftr_entry_fn entry, void *data, uint32_t flags);

/** Let the group hold exactly these functions. */
void live_hold(struct ftr_group *group, const live_fn *fns, size_t n);

/** The same and attach it. */
struct ftr_group *live_attach(const char *name, ftr_entry_fn entry, void *data, uint32_t flags,
			      live_fn fn);

/** Detach and free. */
void live_drop(struct ftr_group *group);

/** Statistics now. */
struct ftr_stats live_stats(void);

/** The address as a handler gets it. */
static inline uintptr_t live_ip(live_fn fn)
{
	return (uintptr_t)fn;
}

/** Whether the function's site holds the idle nop. */
static inline int live_idle(live_fn fn)
{
	return memcmp((const void *)fn, live_nop5, sizeof(live_nop5)) == 0;
}

/** The calling thread's id, by a plain system call. */
pid_t live_tid(void);

/** Whether the thread of this id, of this process or a child of it, waits in the system
 *  call of this number. */
bool live_waits_in(pid_t tid, long number);

/** Threads that call `turn` over and over until they are stopped. */
struct live_worker {
	pthread_t thread;
	void (*turn)(struct live_worker *worker);
	_Atomic unsigned long turns; /* how many were completed */
	atomic_bool stop;
	void *arg;
	unsigned long bad; /* what the turns found wrong; read it when stopped */
	unsigned long counts[8];
};

/** Start a worker and wait until it has completed a turn. */
void live_worker_start(struct live_worker *worker, void (*turn)(struct live_worker *), void *arg);
/** Wait until the worker has completed at least n more turns. */
void live_worker_await(struct live_worker *worker, unsigned long n);
void live_worker_stop(struct live_worker *worker);

/** How often a stress loop runs: the default, or FTR_TEST_ROUNDS per cent of it. */
unsigned long live_rounds(unsigned long rounds);

/** Let the library poke by this strategy alone ("int3", ...) in tests to come. */
void live_poke(const char *strategy);

/** Whether the environment asks for a strategy without breakpoints: says so.  Where
 *  they are needed the test is skipped then (77). */
bool live_lacks_breakpoints(void);

/** Run the suite: the value for exit(). */
int live_main(Suite *suite);

/** A case of one test each with a timeout in seconds. */
#define LIVE_CASE(suite, test, seconds)                                                   \
	do {                                                                              \
		TCase *live_case_ = tcase_create(#test);                                  \
		tcase_set_timeout(live_case_, seconds);                                   \
		tcase_add_test(live_case_, test);                                         \
		suite_add_tcase(suite, live_case_);                                       \
	} while (0)

/** The same for a test that is run with each number from `from` to below `to`. */
#define LIVE_LOOP(suite, test, from, to, seconds)                                         \
	do {                                                                              \
		TCase *live_case_ = tcase_create(#test);                                  \
		tcase_set_timeout(live_case_, seconds);                                   \
		tcase_add_loop_test(live_case_, test, from, to);                          \
		suite_add_tcase(suite, live_case_);                                       \
	} while (0)

/*
 * In a traced function: what the compiler can neither compute beforehand nor
 * leave out where the result is not used.  gcc's noipa does that, clang has
 * nothing like it.
 */
#define LIVE_OPAQUE(x) __asm__ volatile("" : "+r"(x))

#endif /* TESTS_LIVE_H */
