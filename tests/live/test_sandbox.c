/* SPDX-License-Identifier: MIT */
/*
 * P10: programs that lock themselves up by seccomp(2) while the library is in
 * use.  What is forbidden is done in another way, or is an error that names the
 * cause, with nothing changed; what needs none of it works on.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "tests/live/textwatch.h"
#include "tests/live/visitor.h"

/* The leak checker wants what is forbidden here. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

/* A test's child alone is locked up: Check runs each in one. */
static bool lock_up(struct sock_filter *program, size_t n)
{
	struct sock_fprog filter = { (unsigned short)n, program };

	if (!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	    !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0))
		return true;
	printf("SKIP: no seccomp filters: %s\n", strerror(errno));
	return false;
}

#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define UNLESS(value, skipped) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skipped)
#define FAIL(error) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static bool forbid(long number, int error)
{
	struct sock_filter program[] = { LOAD(nr), UNLESS((unsigned)number, 1),
					 FAIL((unsigned)error), ALLOW };

	return lock_up(program, sizeof(program) / sizeof(program[0]));
}

/* Nothing can be opened: as where /proc is not there, or no descriptor is left. */
static bool forbid_opening(void)
{
#ifdef SYS_open
	if (!forbid(SYS_open, ENOENT))
		return false;
#endif
	return forbid(SYS_openat, ENOENT);
}

/* As where a policy forbids to make code writable, or data code. */
static bool forbid_code_by_mprotect(void)
{
	struct sock_filter program[] = {
		LOAD(nr), UNLESS(SYS_mprotect, 3),
		/* The low word; both machines have it first. */
		LOAD(args[2]), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1),
		FAIL(EACCES), ALLOW
	};

	return lock_up(program, sizeof(program) / sizeof(program[0]));
}

static struct ftr_group *group;

static void expect_works(void)
{
	ck_ok(ftr_group_attach(group));
	ck_assert_uint_eq(calls_of_all(), TRACED_FUNCTIONS);
	ck_ok(ftr_group_detach(group));
	ck_assert_uint_eq(calls_of_all(), 0);
}

static void says(const char *cause)
{
	ck_assert_msg(strstr(ftr_last_error(), cause) != NULL, "%s", ftr_last_error());
}

/* What it meets for the first time is behind it. */
static void start_warm(void)
{
	start();
	group = counting(0);
	expect_works();
	keep_text();
}

/* --- membarrier ------------------------------------------------------------------------ */

START_TEST(test_membarrier_forbidden_later)
{
	start_warm();
	if (!forbid(SYS_membarrier, _i ? ENOSYS : EPERM))
		return;
	REFUSED(ftr_group_attach(group), -ENOSYS);
	says("membarrier");
	says("seccomp");
	ck_assert_int_eq(ftr_group_attached(group), 0);
	ck_assert_uint_eq(calls_of_all(), 0);
}
END_TEST

/* Once attached it stays so: to write without a sync would be worse. */
START_TEST(test_membarrier_forbidden_while_attached)
{
	start_warm();
	ck_ok(ftr_group_attach(group));
	keep_text();
	if (!forbid(SYS_membarrier, EPERM))
		return;
	REFUSED(ftr_group_detach(group), -ENOSYS);
	says("membarrier");
	REFUSED(ftr_group_filter(group, "traced_0", FTR_FILTER_RESET), -ENOSYS);
	REFUSED(ftr_shutdown(), -ENOSYS);
	ck_assert_int_eq(ftr_group_attached(group), 1);
	ck_assert_uint_eq(calls_of_all(), TRACED_FUNCTIONS);
}
END_TEST

/* --- writing text ------------------------------------------------------------------------ */

START_TEST(test_mprotect_of_code_forbidden)
{
	if (_i)
		start_warm();
	if (!forbid_code_by_mprotect())
		return;
	if (!_i) {
		start();
		group = counting(0);
	}
	expect_works();
}
END_TEST

START_TEST(test_no_way_to_write)
{
	start_warm();
	if (!forbid_code_by_mprotect() || !forbid_opening())
		return;
	REFUSED(ftr_group_attach(group), -EACCES);
	says("mprotect");
	says("/proc/self/mem");
	says("seccomp");
	ck_assert_uint_eq(calls_of_all(), 0);
}
END_TEST

START_TEST(test_no_way_to_write_at_start)
{
	keep_text();
	if (!forbid_code_by_mprotect() || !forbid_opening())
		return;
	REFUSED(ftr_init(NULL), -EACCES);
	says("mprotect");
	says("/proc/self/mem");
}
END_TEST

/* --- /proc ---------------------------------------------------------------------------------- */

/* With trampolines and normal pads at hand no file is needed. */
START_TEST(test_no_proc_later)
{
	struct visitor other;

	start_warm();
	visitor_start(&other);
	if (!forbid_opening())
		return;
	ck_ok(ftr_group_attach(group));
	ck_assert_uint_eq(calls_of_all(), TRACED_FUNCTIONS);
	ck_ok(ftr_group_detach(group));
	ck_assert_uint_eq(calls_of_all(), 0);
	ck_ok(ftr_shutdown());
	visitor_stop(&other);
}
END_TEST

/* The first trampolines need a look at the mappings. */
START_TEST(test_no_proc_before_first_attach)
{
	start();
	group = counting(0);
	if (!forbid_opening())
		return;
	REFUSED(ftr_group_attach(group), -EACCES);
	says("/proc/self/maps");
	ck_assert_uint_eq(calls_of_all(), 0);
}
END_TEST

/* No file can be read: no sites, and no harm. */
START_TEST(test_no_proc_at_start)
{
	struct ftr_group *none;

	keep_text();
	if (!forbid_opening())
		return;
	ck_ok(ftr_init(NULL));
	ck_assert_uint_eq(ftr_site_count(), 0);
	none = live_group("none", count_call, NULL, 0);
	REFUSED(ftr_group_filter(none, "traced_*", 0), -ENOENT);
	ck_ok(ftr_shutdown());
}
END_TEST

/* --- memory for code -------------------------------------------------------------------------- */

START_TEST(test_no_memory_files)
{
	start();
	group = counting(0);
	if (!forbid(SYS_memfd_create, EPERM))
		return;
	expect_works();
}
END_TEST

START_TEST(test_no_way_to_make_code)
{
	start();
	group = counting(0);
	if (!forbid(SYS_memfd_create, EPERM) || !forbid_code_by_mprotect())
		return;
	REFUSED(ftr_group_attach(group), -EACCES);
	says("trampolines");
	says("security policy");
	ck_assert_uint_eq(calls_of_all(), 0);
}
END_TEST

/* --- other threads ------------------------------------------------------------------------------ */

static void call_all_traced(void *arg)
{
	*(int *)arg = traced[1]() == 1;
}

/* A thread's first call registers it, and asks which others have ended. */
START_TEST(test_no_signals_to_threads)
{
	struct visitor other;
	int right = 0;

	start_warm();
	if (!forbid(SYS_tgkill, EPERM))
		return;
	ck_ok(ftr_group_attach(group));
	visitor_start(&other);
	visitor_call(&other, call_all_traced, &right);
	ck_assert_int_eq(right, 1);
	visitor_stop(&other);
	ck_ok(ftr_group_detach(group));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sandbox");
	TCase *loops = tcase_create("twice");

	tcase_set_timeout(loops, 20);
	tcase_add_loop_test(loops, test_membarrier_forbidden_later, 0, 2);
	tcase_add_loop_test(loops, test_mprotect_of_code_forbidden, 0, 2);
	suite_add_tcase(suite, loops);
	LIVE_CASE(suite, test_membarrier_forbidden_while_attached, 20);
	LIVE_CASE(suite, test_no_way_to_write, 20);
	LIVE_CASE(suite, test_no_way_to_write_at_start, 20);
	LIVE_CASE(suite, test_no_proc_later, 20);
	LIVE_CASE(suite, test_no_proc_before_first_attach, 20);
	LIVE_CASE(suite, test_no_proc_at_start, 20);
	LIVE_CASE(suite, test_no_memory_files, 20);
	LIVE_CASE(suite, test_no_way_to_make_code, 20);
	LIVE_CASE(suite, test_no_signals_to_threads, 20);
	return live_main(suite);
}
