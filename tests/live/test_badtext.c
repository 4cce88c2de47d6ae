/* SPDX-License-Identifier: MIT */
/*
 * Text that does not hold what it should (P4), and systems that do not let
 * text be written (P10): nothing is changed, and the sentence says why.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "lib/batch.h"
#include "tests/live/textwatch.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE              65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

enum { SITE_LENGTH = 5, FOREIGN = 0xf4 };

static uintptr_t ip_of(int i)
{
	const struct ftr_site *site = ftr_site_find((uintptr_t)traced[i]);

	ck_assert_ptr_nonnull(site);
	return ftr_site_ip(site);
}

/*
 * As a stranger would: another tracer, a self-modifying program.  The byte's
 * address must not stay on the stack: to a rendezvous it would be a place
 * where the thread may stand.
 */
static unsigned char overwrite(int i, int offset, unsigned char byte)
{
	uintptr_t at = ip_of(i) + (uintptr_t)offset;
	uintptr_t page = at & -(uintptr_t)sysconf(_SC_PAGESIZE);
	unsigned char before = *(unsigned char *)at;

	ck_assert_int_eq(mprotect((void *)page, at + 1 - page,
				  PROT_READ | PROT_WRITE | PROT_EXEC), 0);
	*(unsigned char *)at = byte;
	ck_assert_int_eq(mprotect((void *)page, at + 1 - page, PROT_READ | PROT_EXEC), 0);
	return before;
}

/* It names the site, by address or name, and the byte that was found. */
static void check_sentence_names(int i)
{
	char address[32];
	const char *sentence = ftr_last_error();

	snprintf(address, sizeof(address), "%#zx", (size_t)ip_of(i));
	ck_assert_msg(strstr(sentence, address) != NULL, "no %s: %s", address, sentence);
	ck_assert_msg(strstr(sentence, "expected") != NULL, "%s", sentence);
	ck_assert_msg(strstr(strstr(sentence, "found"), "f4") != NULL, "%s", sentence);
}

static void check_refused(struct ftr_group *group, int (*call)(struct ftr_group *), int i)
{
	int attached = ftr_group_attached(group);

	keep_text();
	REFUSED(call(group), -EILSEQ);
	check_sentence_names(i);
	ck_assert_int_eq(ftr_group_attached(group), attached);
}

/* _i counts bytes: each byte of each site once. */
START_TEST(test_foreign_byte_before_attach)
{
	int i = _i / SITE_LENGTH;
	struct ftr_group *group;
	unsigned char before;

	start();
	group = counting(0);
	before = overwrite(i, _i % SITE_LENGTH, FOREIGN);
	check_refused(group, ftr_group_attach, i);
	overwrite(i, _i % SITE_LENGTH, before);
	ck_ok(ftr_group_attach(group));
	ck_assert_uint_eq(calls_of_all(), TRACED_FUNCTIONS);
	ck_ok(ftr_shutdown());
}
END_TEST

static int attach_by_update(struct ftr_group *group)
{
	return ftr_group_update(&group, 1, NULL, 0);
}

static int detach_by_update(struct ftr_group *group)
{
	return ftr_group_update(NULL, 0, &group, 1);
}

static int narrow(struct ftr_group *group)
{
	return ftr_group_filter(group, "traced_0", FTR_FILTER_RESET);
}

static int leave_out(struct ftr_group *group)
{
	return ftr_group_exclude(group, "traced_[1-3]", 0);
}

static int detach_asynchronously(struct ftr_group *group)
{
	return ftr_group_detach_async(group, NULL, NULL);
}

static int shut_down(struct ftr_group *group)
{
	return ftr_shutdown();
}

START_TEST(test_foreign_byte_before_update)
{
	struct ftr_group *group;
	unsigned char before;

	start();
	group = counting(0);
	before = overwrite(1, 0, FOREIGN);
	check_refused(group, attach_by_update, 1);
	overwrite(1, 0, before);
	ck_ok(ftr_shutdown());
}
END_TEST

/* Every change of what an attached group holds. */
static int (*const changes[])(struct ftr_group *) = {
	ftr_group_detach, detach_asynchronously, detach_by_update, narrow, leave_out, shut_down,
};
enum { CHANGES = sizeof(changes) / sizeof(changes[0]) };

START_TEST(test_foreign_byte_while_attached)
{
	struct ftr_group *group;
	unsigned char before;

	start();
	group = counting(0);
	ck_ok(ftr_group_attach(group));
	before = overwrite(2, SITE_LENGTH - 1, FOREIGN);
	check_refused(group, changes[_i], 2);
	overwrite(2, SITE_LENGTH - 1, before);
	/* It is all as it was: each call still counts. */
	ck_assert_int_eq(sites_held(group), TRACED_FUNCTIONS);
	ck_assert_uint_eq(calls_of_all(), TRACED_FUNCTIONS);
	ck_assert_int_ge(changes[_i](group), 0);
	ck_ok(ftr_shutdown());
	ck_assert_uint_eq(calls_of_all(), 0);
}
END_TEST

/* What the batch met: how the text was mapped in each of its phases. */
static char access_seen[64];

static void note_access(enum ftr__batch_phase phase)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[8192], permissions[5];
	unsigned long from, to;

	while (maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx %4s", &from, &to, permissions) == 3 &&
		    ip_of(0) >= from && ip_of(0) < to)
			strncat(access_seen, permissions,
				sizeof(access_seen) - strlen(access_seen) - 1);
	if (maps)
		fclose(maps);
}

static void trace_and_note_access(const char *expected)
{
	struct ftr_group *group = counting(0);

	ck_ok(ftr_group_attach(group)); /* pads are normalised by a batch of their own */
	ck_ok(ftr_group_detach(group));
	ftr__batch_hold = note_access;
	ck_ok(ftr_group_attach(group));
	ck_assert_str_eq(access_seen, expected);
	ck_assert_uint_eq(calls_of_all(), TRACED_FUNCTIONS);
	ftr__batch_hold = NULL;
	ck_ok(ftr_group_detach(group));
	access_seen[0] = 0;
	note_access(FTR__PHASE_HEADS);
	ck_assert_str_eq(access_seen, "r-xp");
	ck_ok(ftr_shutdown());
}

START_TEST(test_strict_text_is_never_writable)
{
	ck_assert_int_eq(setenv("FTR_TEXT", "strict", 1), 0);
	ck_ok(ftr_init(NULL));
	trace_and_note_access("r-xpr-xpr-xp");
}
END_TEST

START_TEST(test_strict_option)
{
	struct ftr_options options = FTR_OPTIONS_INIT;

	options.flags = FTR_TEXT_STRICT;
	ck_ok(ftr_init(&options));
	trace_and_note_access("r-xpr-xpr-xp");
}
END_TEST

START_TEST(test_text_is_writable_for_a_batch_only)
{
	ck_ok(ftr_init(NULL));
	trace_and_note_access("rwxprwxprwxp");
}
END_TEST

START_TEST(test_populated_text)
{
	struct ftr_options options = FTR_OPTIONS_INIT;

	options.flags = FTR_TEXT_POPULATE;
	ck_ok(ftr_init(&options));
	trace_and_note_access("rwxprwxprwxp");
}
END_TEST

/* mprotect is refused: the other writer serves. */
START_TEST(test_mprotect_is_refused)
{
	if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0)) {
		printf("SKIP: no PR_SET_MDWE: %s\n", strerror(errno));
		return;
	}
	ck_ok(ftr_init(NULL));
	trace_and_note_access("r-xpr-xpr-xp");
}
END_TEST

/* Neither writer works: the cause is told, and later it works again. */
START_TEST(test_no_writer_works)
{
	struct ftr_options options = FTR_OPTIONS_INIT;
	struct rlimit files, none;
	struct ftr_group *group;

	options.flags = FTR_TEXT_STRICT;
	ck_ok(ftr_init(&options));
	group = counting(0);
	ck_ok(ftr_group_attach(group));
	ck_ok(ftr_group_detach(group));
	keep_text();
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
	none = files;
	none.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	REFUSED(ftr_group_attach(group), -EACCES);
	ck_assert_msg(strstr(ftr_last_error(), "/proc/self/mem") != NULL, "%s", ftr_last_error());
	ck_assert_int_eq(ftr_group_attached(group), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
	ck_ok(ftr_group_attach(group));
	ck_assert_uint_eq(calls_of_all(), TRACED_FUNCTIONS);
	ck_ok(ftr_shutdown());
}
END_TEST

/* A kernel without membarrier(2), as a seccomp filter shows it. */
static int forbid_membarrier(void)
{
	struct sock_filter program[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { sizeof(program) / sizeof(program[0]), program };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0);
}

START_TEST(test_no_membarrier)
{
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;
	struct ftr_group *group = NULL;

	keep_text();
	if (forbid_membarrier()) {
		printf("SKIP: no seccomp filters: %s\n", strerror(errno));
		return;
	}
	REFUSED(ftr_init(NULL), -ENOSYS);
	options.entry = count_call;
	REFUSED(ftr_group_new(&group, &options), -ENOSYS);
	ck_assert_ptr_null(group);
	REFUSED(ftr_sites_refresh(), -ENOSYS);
}
END_TEST

static void add_loops(Suite *suite)
{
	TCase *loops = tcase_create("foreign bytes");

	tcase_set_timeout(loops, 20);
	tcase_add_loop_test(loops, test_foreign_byte_before_attach, 0,
			    TRACED_FUNCTIONS * SITE_LENGTH);
	tcase_add_loop_test(loops, test_foreign_byte_while_attached, 0, CHANGES);
	suite_add_tcase(suite, loops);
}

int main(void)
{
	Suite *suite = suite_create("badtext");

	live_poke("int3"); /* each phase is looked at */
	add_loops(suite);
	LIVE_CASE(suite, test_foreign_byte_before_update, 20);
	LIVE_CASE(suite, test_strict_text_is_never_writable, 20);
	LIVE_CASE(suite, test_strict_option, 20);
	LIVE_CASE(suite, test_text_is_writable_for_a_batch_only, 20);
	LIVE_CASE(suite, test_populated_text, 20);
	LIVE_CASE(suite, test_mprotect_is_refused, 20);
	LIVE_CASE(suite, test_no_writer_works, 20);
	LIVE_CASE(suite, test_no_membarrier, 20);
	return live_main(suite);
}
