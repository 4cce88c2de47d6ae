/* SPDX-License-Identifier: MIT */
/*
 * T2, P10: where a system forbids memory that is executable, what needs a closure
 * says so and changes nothing; what needs none works.
 */
#include "tests/live/live.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* The leak checker wants what is forbidden here. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

#ifndef PR_SET_MDWE
#define PR_SET_MDWE           65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

FTR_TRACEABLE long plain(long x);
FTR_TRACEABLE long plain(long x)
{
	LIVE_OPAQUE(x);
	return x + 1;
}

static long doubled(long x)
{
	return 2 * x;
}

static struct ftr_signature *signature;
static unsigned char text[16];
static unsigned entries;

static int entering(struct ftr_call *call, void **args, void *data)
{
	entries++;
	*(long *)args[0] += 10;
	return 0;
}

static void leaving(struct ftr_call *call, void **args, void *ret, void *data)
{
	*(long *)ret *= 3;
}

static void around(struct ftr_call *call, void **args, void *ret, void *data)
{
	ck_ok(ftr_call_original(call, args, ret));
	*(long *)ret += 100;
}

#ifdef SYS_mmap2
#define MMAP SYS_mmap2
#else
#define MMAP SYS_mmap
#endif
#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))

/* No memory becomes executable, by mmap(2) or by mprotect(2): as under SELinux
 * without execmem and its relatives. */
static bool forbid_code(void)
{
	struct sock_filter program[] = {
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MMAP, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 3),
		/* The low word; both machines have it first. */
		LOAD(args[2]), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { sizeof program / sizeof *program, program };

	if (!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	    !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0))
		return true;
	printf("SKIP: no seccomp filters: %s\n", strerror(errno));
	return false;
}

/* Attached and replaced once: so that the library has its own code. */
static struct ftr_group *warm_up(void)
{
	struct ftr_group *group = live_group("typed", NULL, NULL, 0);

	ck_ok(ftr_signature_parse(&signature, "long (long)"));
	ck_ok(ftr_group_set_typed(group, signature, entering, leaving));
	ck_assert_int_eq(ftr_group_filter(group, "plain", 0), 1);
	ck_ok(ftr_group_attach(group));
	ck_assert_int_eq(plain(1), 36);
	ck_ok(ftr_group_detach(group));
	ck_ok(ftr_replace(plain, doubled, NULL));
	ck_ok(ftr_restore(plain));
	memcpy(text, (void *)plain, sizeof text);
	return group;
}

static void check_without_closures(struct ftr_group *group)
{
	/* libffi's closures for typed handlers take no executable memory. */
	ck_ok(ftr_group_attach(group));
	ck_assert_int_eq(plain(1), 36);
	ck_ok(ftr_group_detach(group));
	ck_ok(ftr_replace(plain, doubled, NULL));
	ck_assert_int_eq(plain(4), 8);
	ck_ok(ftr_restore(plain));
	ck_assert_mem_eq(text, (void *)plain, sizeof text);
}

START_TEST(test_no_code)
{
	struct ftr_group *group = warm_up();
	struct ftr_closure *closure = (void *)&closure;
	void *code;

	if (!forbid_code())
		return;
	ck_fails(ftr_closure_new(&closure, signature, around, NULL, &code), -EACCES);
	ck_assert(strstr(ftr_last_error(), "executable memory"));
	ck_assert_ptr_null(closure);
	ck_fails(ftr_replace_typed((void *)plain, signature, around, NULL), -EACCES);
	ck_assert(strstr(ftr_last_error(), "executable memory"));
	ck_assert_mem_eq(text, (void *)plain, sizeof text);
	ck_assert_int_eq(plain(1), 2);
	check_without_closures(group);
}
END_TEST

/** Forbidden later: what was made works on, and can be undone. */
START_TEST(test_no_code_any_more)
{
	struct ftr_group *group = warm_up();
	struct ftr_closure *closure;
	void *code;

	ck_ok(ftr_closure_new(&closure, signature, leaving, NULL, &code));
	ck_ok(ftr_replace_typed((void *)plain, signature, around, NULL));
	if (!forbid_code())
		return;
	ck_assert_int_eq(((live_fn)code)(1), 0);
	ck_assert_int_eq(plain(1), 102);
	ck_ok(ftr_restore((void *)plain));
	ck_ok(ftr_replace_typed((void *)plain, signature, around, &closure));
	ck_assert_int_eq(plain(1), 102);
	ck_ok(ftr_restore((void *)plain));
	check_without_closures(group);
	ftr_closure_free(closure);
}
END_TEST

/** No mapping may gain the right to be executed: libffi's static trampolines, where
 *  it has them, are a part of its file. */
START_TEST(test_no_gain)
{
	struct ftr_closure *closure;
	void *code;

	ck_ok(ftr_signature_parse(&signature, "long (long)"));
	if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0)) {
		printf("SKIP: no PR_SET_MDWE: %s\n", strerror(errno));
		return;
	}
	int result = ftr_closure_new(&closure, signature, leaving, NULL, &code);
	if (result == -EACCES) {
		ck_assert(strstr(ftr_last_error(), "executable memory"));
		return;
	}
	ck_assert_msg(!result, "%d: %s", result, ftr_last_error());
	ck_assert_int_eq(((live_fn)code)(1), 0);
	ck_ok(ftr_replace_typed((void *)plain, signature, around, NULL));
	ck_assert_int_eq(plain(1), 102);
	ck_ok(ftr_restore((void *)plain));
	ck_assert_int_eq(plain(1), 2);
	ftr_closure_free(closure);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("forbidden");

	LIVE_CASE(suite, test_no_code, 30);
	LIVE_CASE(suite, test_no_code_any_more, 30);
	LIVE_CASE(suite, test_no_gain, 30);
	return live_main(suite);
}
