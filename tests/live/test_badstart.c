/* SPDX-License-Identifier: MIT */
/*
 * Wrong arguments (E1, E2) to what starts the library, reports, and tells of
 * sites and modules: each gives its errno and a sentence, and leaves the text
 * byte for byte as it was.
 */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "tests/live/textwatch.h"

START_TEST(test_init_options)
{
	struct {
		struct ftr_options options;
		uint64_t tail;
	} longer = { FTR_OPTIONS_INIT, 0 };
	struct ftr_options bad = FTR_OPTIONS_INIT;

	ck_assert_str_eq(ftr_last_error(), "");
	bad.size = 0;
	ck_fails(ftr_init(&bad), -EINVAL);
	bad.size = sizeof(size_t) - 1;
	ck_fails(ftr_init(&bad), -EINVAL);
	bad.size = (size_t)-1;
	ck_fails(ftr_init(&bad), -EINVAL);
	bad.size = sizeof(bad);
	bad.poke = 4;
	ck_fails(ftr_init(&bad), -EINVAL);
	bad.poke = UINT_MAX;
	ck_fails(ftr_init(&bad), -EINVAL);
	/* What they store /proc/self/mem can't. */
	bad.flags = FTR_TEXT_STRICT;
	bad.poke = FTR_POKE_ATOMIC;
	ck_fails(ftr_init(&bad), -EOPNOTSUPP);
	bad.poke = FTR_POKE_SKIP;
	ck_fails(ftr_init(&bad), -EOPNOTSUPP);
	bad.poke = FTR_POKE_AUTO;
	bad.flags = 8;
	ck_fails(ftr_init(&bad), -EINVAL);
	bad.flags = 0x80000000u | FTR_TEXT_STRICT;
	ck_fails(ftr_init(&bad), -EINVAL);
	longer.options.size = sizeof(longer);
	longer.tail = 1;
	ck_fails(ftr_init(&longer.options), -EINVAL);
	longer.tail = 0;
	ck_ok(ftr_init(&longer.options));
	ck_fails(ftr_init(NULL), -EALREADY);
	ck_fails(ftr_init(&longer.options), -EALREADY);
	ck_ok(ftr_shutdown());
	ck_ok(ftr_shutdown());
}
END_TEST

/* One case: the environment, and what ftr_init() makes of it. */
static const struct {
	const char *name, *value;
	unsigned poke;
	int result;
} environments[] = {
	{ "FTR_POKE", "int3", FTR_POKE_AUTO, 0 },
	{ "FTR_POKE", "auto", FTR_POKE_AUTO, 0 },
	{ "FTR_POKE", "atomic", FTR_POKE_AUTO, 0 },
	{ "FTR_POKE", "skip", FTR_POKE_AUTO, 0 },
	{ "FTR_POKE", "", FTR_POKE_AUTO, 0 },
	/* What the program asks for wins. */
	{ "FTR_POKE", "atomic", FTR_POKE_INT3, 0 },
	{ "FTR_POKE", "int3", FTR_POKE_SKIP, 0 },
	{ "FTR_POKE", "int4", FTR_POKE_SKIP, 0 },
	{ "FTR_POKE", "int3 ", FTR_POKE_AUTO, -EINVAL },
	{ "FTR_POKE", "no such strategy", FTR_POKE_AUTO, -EINVAL },
	{ "FTR_TEXT", "strict", FTR_POKE_AUTO, 0 },
	{ "FTR_TEXT", "no such way", FTR_POKE_AUTO, -EINVAL },
};
enum { ENVIRONMENTS = sizeof(environments) / sizeof(environments[0]) };

/* Those of the strategy that was asked for, and no others.  (To make a pad
 * normal either of the two that need no trap may serve.) */
static void check_pokes(const char *name, const char *value, unsigned poke)
{
	struct ftr_stats stats = live_stats();

	if (poke == FTR_POKE_AUTO && !strcmp(name, "FTR_POKE"))
		poke = !strcmp(value, "int3")	  ? FTR_POKE_INT3
		       : !strcmp(value, "atomic") ? FTR_POKE_ATOMIC
		       : !strcmp(value, "skip")	  ? FTR_POKE_SKIP
						  : FTR_POKE_AUTO;
	if (poke == FTR_POKE_INT3 || !strcmp(name, "FTR_TEXT"))
		ck_assert_uint_eq(stats.pokes_atomic + stats.pokes_skip, 0);
	if (poke == FTR_POKE_ATOMIC)
		ck_assert_uint_ge(stats.pokes_atomic, TRACED_FUNCTIONS);
	if (poke == FTR_POKE_SKIP)
		ck_assert_uint_ge(stats.pokes_skip, TRACED_FUNCTIONS);
	if (poke == FTR_POKE_ATOMIC || poke == FTR_POKE_SKIP)
		ck_assert_uint_eq(stats.pokes_int3, 0);
	ck_assert_uint_gt(stats.pokes_int3 + stats.pokes_atomic + stats.pokes_skip, 0);
}

START_TEST(test_environment)
{
	struct ftr_options options = FTR_OPTIONS_INIT;
	struct ftr_group *group;

	options.poke = environments[_i].poke;
	ck_assert_int_eq(setenv(environments[_i].name, environments[_i].value, 1), 0);
	if (environments[_i].result) {
		ck_fails(ftr_init(&options), environments[_i].result);
		return;
	}
	ck_ok(ftr_init(&options));
	group = counting(0);
	ck_ok(ftr_group_attach(group));
	ck_assert_uint_eq(calls_of_all(), TRACED_FUNCTIONS);
	check_pokes(environments[_i].name, environments[_i].value, environments[_i].poke);
	ck_ok(ftr_shutdown());
	ck_assert_uint_eq(calls_of_all(), 0);
}
END_TEST

START_TEST(test_reports)
{
	struct {
		struct ftr_stats stats;
		unsigned char tail[16];
	} longer;
	struct ftr_stats stats = FTR_STATS_INIT;
	int ends[2], full = open("/dev/full", O_WRONLY);

	start();
	REFUSED(ftr_stats_get(NULL), -EINVAL);
	stats.size = 0;
	REFUSED(ftr_stats_get(&stats), -EINVAL);
	stats.size = sizeof(size_t) - 1;
	REFUSED(ftr_stats_get(&stats), -EINVAL);
	memset(&longer, 0xa5, sizeof(longer));
	longer.stats.size = sizeof(longer);
	ck_ok(ftr_stats_get(&longer.stats));
	for (size_t i = 0; i < sizeof(longer.tail); i++)
		ck_assert_uint_eq(longer.tail[i], 0xa5);
	REFUSED(ftr_dump(-1), -EINVAL);
	REFUSED(ftr_dump(INT_MIN), -EINVAL);
	ck_assert_int_eq(pipe(ends), 0);
	REFUSED(ftr_dump(ends[0]), -EIO);
	close(ends[0]);
	close(ends[1]);
	REFUSED(ftr_dump(ends[1]), -EIO);
	if (full >= 0)
		REFUSED(ftr_dump(full), -EIO);
}
END_TEST

START_TEST(test_texts_of_errors)
{
	static const int errors[] = { EINVAL, EBUSY, EILSEQ, EAGAIN, EACCES, ENOSPC, ENOMEM, EIO,
				      EDEADLK, ENOENT, EPERM, EALREADY, EOPNOTSUPP, ENOSYS,
				      ETIMEDOUT };
	static const int strange[] = { 0, 1, 12345, -12345, INT_MAX, INT_MIN };

	ck_assert_str_eq(ftr_version_string(), "0.1.0");
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		ck_assert_str_ne(ftr_strerror(-errors[i]), "");
		ck_assert_str_eq(ftr_strerror(-errors[i]), ftr_strerror(errors[i]));
		for (size_t j = 0; j < i; j++)
			ck_assert_str_ne(ftr_strerror(errors[i]), ftr_strerror(errors[j]));
	}
	for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++)
		ck_assert_ptr_nonnull(ftr_strerror(strange[i]));
}
END_TEST

static void *fail_elsewhere(void *arg)
{
	if (strcmp(ftr_last_error(), "") != 0)
		return NULL;
	ftr_site_for_each(NULL, NULL);
	return ftr_last_error()[0] ? arg : NULL;
}

START_TEST(test_sentence_belongs_to_its_thread)
{
	char sentence[512];
	pthread_t thread;
	void *result;

	start();
	REFUSED(ftr_dump(-1), -EINVAL);
	snprintf(sentence, sizeof(sentence), "%s", ftr_last_error());
	ck_assert_int_eq(pthread_create(&thread, NULL, fail_elsewhere, sentence), 0);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	ck_assert_ptr_eq(result, sentence);
	ck_assert_str_eq(ftr_last_error(), sentence);
}
END_TEST

START_TEST(test_traps_that_are_none)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	ck_assert_int_eq(ftr_handle_trap(SIGTRAP, NULL, NULL), 0);
	start();
	ck_assert_int_eq(ftr_handle_trap(SIGTRAP, NULL, NULL), 0);
	ck_assert_int_eq(ftr_handle_trap(SIGSEGV, &info, NULL), 0);
	ck_assert_int_eq(ftr_handle_trap(0, NULL, NULL), 0);
	check_text("ftr_handle_trap");
}
END_TEST

START_TEST(test_sites)
{
	const struct ftr_site *site;
	struct ftr_group *room[1] = { NULL };

	start();
	REFUSED(ftr_site_for_each(NULL, NULL), -EINVAL);
	ck_assert_ptr_null(ftr_site_find(0));
	ck_assert_ptr_null(ftr_site_find(1));
	ck_assert_ptr_null(ftr_site_find(UINTPTR_MAX));
	ck_assert_ptr_null(ftr_site_find((uintptr_t)&site));
	ck_assert_ptr_null(ftr_site_find((uintptr_t)malloc));
	site = ftr_site_find((uintptr_t)traced[0]);
	ck_assert_ptr_nonnull(site);
	REFUSED(ftr_site_groups(NULL, room, 1), -EINVAL);
	REFUSED(ftr_site_groups(site, NULL, 1), -EINVAL);
	ck_assert_int_eq(ftr_site_groups(site, NULL, 0), 0);
	ck_assert_int_eq(ftr_site_groups(site, room, 1), 0);
	/* What can't fail says nothing of a site that is none. */
	ck_assert_uint_eq(ftr_site_ip(NULL), 0);
	ck_assert_uint_eq(ftr_site_function(NULL), 0);
	ck_assert_str_eq(ftr_site_name(NULL), "");
	ck_assert_str_eq(ftr_site_module(NULL), "");
}
END_TEST

START_TEST(test_module_records)
{
	static const uintptr_t table[2];
	struct ftr_module_record record = { sizeof(record), NULL, NULL, NULL, NULL, NULL };

	start();
	REFUSED(ftr_module_register(NULL), -EINVAL);
	REFUSED(ftr_module_unregister(NULL), -EINVAL);
	REFUSED(ftr_module_unregister(&record), -EINVAL);
	record.size = sizeof(record) - 1;
	REFUSED(ftr_module_register(&record), -EINVAL);
	record.size = 0;
	REFUSED(ftr_module_register(&record), -EINVAL);
	record.size = sizeof(record);
	record.patchable_start = table + 1;
	record.patchable_stop = table;
	REFUSED(ftr_module_register(&record), -EINVAL);
	record.patchable_start = record.patchable_stop;
	record.mcount_start = table + 2;
	record.mcount_stop = table;
	REFUSED(ftr_module_register(&record), -EINVAL);
	record.mcount_start = record.mcount_stop = NULL;
	ck_ok(ftr_module_register(&record));
	ck_ok(ftr_sites_refresh());
	ck_ok(ftr_module_unregister(&record));
	REFUSED(ftr_module_unregister(&record), -EINVAL);
}
END_TEST

/* Tables that lead anywhere: counted as refused, and nothing is touched. */
static void register_table(const uintptr_t *from, const uintptr_t *stop, int mcount)
{
	/* As FTR_MODULE has it: it lies in the module that it speaks for. */
	static struct ftr_module_record record;
	size_t sites = ftr_site_count();

	memset(&record, 0, sizeof(record));
	record.size = sizeof(record);
	*(mcount ? &record.mcount_start : &record.patchable_start) = from;
	*(mcount ? &record.mcount_stop : &record.patchable_stop) = stop;
	if (ftr_module_register(&record))
		return; /* as good an answer */
	ck_ok(ftr_sites_refresh());
	ck_assert_uint_eq(ftr_site_count(), sites);
	check_text("ftr_sites_refresh");
	ck_ok(ftr_module_unregister(&record));
	ck_ok(ftr_sites_refresh());
	ck_assert_uint_eq(ftr_site_count(), sites);
}

START_TEST(test_tables_that_lead_anywhere)
{
	static uintptr_t data = (uintptr_t)0x9090909090909090;
	uintptr_t wrong[] = { 0, 1, UINTPTR_MAX, UINTPTR_MAX - 4, (uintptr_t)&data,
			      (uintptr_t)wrong, (uintptr_t)malloc, (uintptr_t)traced[0] + 1,
			      0 };
	void *gone = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uintptr_t *heap = malloc(sizeof(wrong));

	start();
	wrong[sizeof(wrong) / sizeof(wrong[0]) - 1] = text_start - 1;
	ck_assert_ptr_ne(gone, MAP_FAILED);
	ck_assert_ptr_nonnull(heap);
	memcpy(heap, wrong, sizeof(wrong));
	for (int mcount = 0; mcount < 2; mcount++) {
		register_table(wrong, wrong + sizeof(wrong) / sizeof(wrong[0]), mcount);
		register_table(heap, heap + sizeof(wrong) / sizeof(wrong[0]), mcount);
		register_table(gone, (uintptr_t *)gone + 4, mcount);
		register_table((uintptr_t *)8, (uintptr_t *)4096, mcount);
		register_table((uintptr_t *)8, (uintptr_t *)-8, mcount);
		register_table((const uintptr_t *)((char *)&data + 1),
			       (const uintptr_t *)((char *)&data + 4), mcount);
	}
	free(heap);
}
END_TEST

static void add_loop(Suite *suite)
{
	TCase *loop = tcase_create("environment");

	tcase_add_loop_test(loop, test_environment, 0, ENVIRONMENTS);
	suite_add_tcase(suite, loop);
}

int main(void)
{
	Suite *suite = suite_create("badstart");

	LIVE_CASE(suite, test_init_options, 20);
	LIVE_CASE(suite, test_reports, 20);
	LIVE_CASE(suite, test_texts_of_errors, 20);
	LIVE_CASE(suite, test_sentence_belongs_to_its_thread, 20);
	LIVE_CASE(suite, test_traps_that_are_none, 20);
	LIVE_CASE(suite, test_sites, 20);
	LIVE_CASE(suite, test_module_records, 20);
	LIVE_CASE(suite, test_tables_that_lead_anywhere, 20);
	add_loop(suite);
	return live_main(suite);
}
