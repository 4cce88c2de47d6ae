/* SPDX-License-Identifier: MIT */
/*
 * B3, H7: probes in the very functions of the C library that handlers call, and that
 * the library itself calls: nothing recurses, what handlers reach is counted as
 * missed, and both work.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "tests/live/probed.h"

/* Through pointers: the compiler knows what they do. */
static void *(*volatile call_malloc)(size_t) = malloc;
static void (*volatile call_free)(void *) = free;
static void *(*volatile call_memcpy)(void *, const void *, size_t) = memcpy;
static ssize_t (*volatile call_write)(int, const void *, size_t) = write;

static const char words[] = "in the middle of the journey";
static unsigned long handled, wrong;
static int null;

static void use_all(void)
{
	char *copy = call_malloc(sizeof(words));

	call_memcpy(copy, words, sizeof(words));
	wrong += strcmp(copy, words) != 0;
	wrong += call_write(null, copy, sizeof(words)) != sizeof(words);
	call_free(copy);
}

static int pre_use(struct ftr_probe *probe, struct ftr_regs *regs)
{
	handled++;
	use_all();
	return 0;
}

static void post_use(struct ftr_probe *probe, struct ftr_regs *regs)
{
	handled++;
	use_all();
}

/* --- first instructions --------------------------------------------------------- */

enum { FUNCTIONS = 4, CALLS = 50 };

struct counts {
	uint64_t hits[FUNCTIONS], missed[FUNCTIONS], handled;
};

static struct counts count(struct ftr_probe **probes)
{
	struct counts c = { .handled = handled };

	for (size_t i = 0; i < FUNCTIONS; i++) {
		c.hits[i] = ftr_probe_hits(probes[i]);
		c.missed[i] = ftr_probe_missed(probes[i]);
	}
	return c;
}

/* Each call is seen, and each one that a handler makes is missed. */
START_TEST(test_functions_that_handlers_call)
{
	const void *functions[FUNCTIONS] = { call_malloc, call_free, call_memcpy, call_write };
	struct ftr_probe *probes[FUNCTIONS];
	struct counts before, after;

	for (size_t i = 0; i < FUNCTIONS; i++)
		probes[i] = probe_at(functions[i], pre_use, NULL, NULL, 0);
	ck_ok(ftr_probe_enable_many(probes, FUNCTIONS));
	before = count(probes);
	for (int i = 0; i < CALLS; i++)
		use_all();
	after = count(probes);
	ck_ok(ftr_probe_disable_many(probes, FUNCTIONS));
	for (size_t i = 0; i < FUNCTIONS; i++) {
		ck_assert_uint_eq(after.hits[i] - before.hits[i], CALLS);
		ck_assert_uint_eq(after.missed[i] - before.missed[i], FUNCTIONS * CALLS);
		ck_ok(ftr_probe_free(probes[i]));
	}
	ck_assert_uint_eq(after.handled - before.handled, FUNCTIONS * CALLS);
	ck_assert_uint_eq(wrong, 0);
}
END_TEST

/* --- all instructions ------------------------------------------------------------ */

enum { INSNS_MAX = 2000 };

static size_t probe_all(struct ftr_probe **probes, const void *function, size_t bytes)
{
	struct ftr_probe_options options = FTR_PROBE_OPTIONS_INIT;
	size_t n = 0;

	options.pre = pre_use;
	options.post = post_use;
	for (size_t i = 0; i < bytes && n < INSNS_MAX; i++) {
		options.addr = (uintptr_t)function + i;
		n += !ftr_probe_new(&probes[n], &options);
	}
	return n;
}

/* Anywhere in what takes no lock and keeps nothing: the handlers run it, too, with
 * all vector registers in use by it. */
START_TEST(test_instructions_of_what_handlers_call)
{
	const void *functions[] = { call_memcpy, call_write };
	static struct ftr_probe *probes[INSNS_MAX];
	uint64_t hits = 0, missed = 0;
	size_t n = probe_all(probes, functions[_i], _i ? 64 : 400);

	ck_assert_uint_gt(n, 8);
	ck_ok(ftr_probe_enable_many(probes, n));
	handled = 0;
	for (int i = 0; i < CALLS; i++)
		use_all();
	ck_ok(ftr_probe_disable_many(probes, n));
	for (size_t i = 0; i < n; i++) {
		hits += ftr_probe_hits(probes[i]);
		missed += ftr_probe_missed(probes[i]);
		ck_ok(ftr_probe_free(probes[i]));
	}
	ck_assert_uint_ge(hits, 5 * CALLS);
	ck_assert_uint_ge(missed, 5 * hits);
	ck_assert_uint_gt(handled, hits);
	ck_assert_uint_eq(wrong, 0);
}
END_TEST

/* --- what the library calls --------------------------------------------------------- */

static unsigned long inside, outside;

/* From inside the library's own calls nothing is begun. */
static int pre_call_back(struct ftr_probe *probe, struct ftr_regs *regs)
{
	struct ftr_probe_options options = FTR_PROBE_OPTIONS_INIT;
	struct ftr_probe *other;
	int result;

	options.addr = (uintptr_t)probed_add_next;
	options.pre = pre_use;
	result = ftr_probe_new(&other, &options);
	if (result == -EDEADLK) {
		inside++;
		return 0;
	}
	wrong += result != 0 || ftr_probe_free(other) != 0;
	outside++;
	return 0;
}

START_TEST(test_functions_that_the_library_calls)
{
	const void *functions[] = { call_malloc, call_free, call_memcpy, syscall, mprotect, sigaction,
				    memset, qsort, calloc, open, read, close };
	enum { N = sizeof(functions) / sizeof(functions[0]) };
	struct ftr_probe *probes[N], *probe;
	size_t i;

	for (i = 0; i < N; i++)
		probes[i] = probe_at(functions[i], pre_call_back, NULL, NULL, 0);
	ck_ok(ftr_probe_enable_many(probes, N));
	inside = 0;
	for (i = 0; i < 20; i++) {
		probe = probe_on(probed_add_middle, pre_use, post_use, NULL);
		ck_assert_int_eq(probed_add(1), 4);
		probe_off(probe);
	}
	ck_assert_uint_gt(inside, 0);
	outside = 0;
	call_free(call_malloc(10));
	ck_assert_uint_eq(outside, 2);
	ck_ok(ftr_probe_disable_many(probes, N));
	ck_assert_uint_eq(wrong, 0);
	for (i = 0; i < N; i++)
		ck_ok(ftr_probe_free(probes[i]));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("probe libc");

	if (LIVE_SANITIZED) {
		printf("SKIP: sanitizers have these functions themselves\n");
		return 77;
	}
	null = open("/dev/null", O_WRONLY);
	LIVE_CASE(suite, test_functions_that_handlers_call, 20);
	LIVE_LOOP(suite, test_instructions_of_what_handlers_call, 0, 2, 60);
	LIVE_CASE(suite, test_functions_that_the_library_calls, 20);
	return live_main(suite);
}
