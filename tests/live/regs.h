/* SPDX-License-Identifier: MIT */
/*
 * Registers before and after a traced call.  regs_call() loads known values
 * into every register, calls, and stores every register; the traced functions
 * it calls change nothing themselves.
 */
#ifndef TESTS_REGS_H
#define TESTS_REGS_H

#include "tests/live/live.h"
#include "tests/live/regs_image.h"

extern struct image regs_in, regs_out;
extern void (*regs_fn)(void);
extern uint64_t regs_width, regs_seen_sp, regs_seen_word, regs_true_sp, regs_true_ip;
extern const char regs_call_return[];
void regs_call(void);
void regs_clobber(void);
void regs_site(void);
void regs_site_sp(void);
void regs_elsewhere(void);

enum { ARITHMETIC = 0x8d5, DIRECTION = 0x400 };

static inline void fill_image(void)
{
	unsigned char *vectors = regs_in.vectors[0];
	uint64_t *general = &regs_in.rax;
	size_t i;

	for (i = 0; i < 15; i++)
		general[i] = 0x1111111111111111ull * (i + 1) + 0x0123456789abcdefull;
	regs_in.flags = 0x202 | 0x8d5;
	regs_in.stack[0] = 0x5757575757575757;
	regs_in.stack[1] = 0x7676767676767676;
	for (i = 0; i < sizeof(regs_in.vectors); i++)
		vectors[i] = (unsigned char)(i * 7 + 1);
	memset(&regs_out, 0, sizeof(regs_out));
}

static inline void start(void (*fn)(void))
{
	ck_ok(ftr_init(NULL));
	regs_width = __builtin_cpu_supports("avx512f") ? 64
		     : __builtin_cpu_supports("avx")   ? 32
						       : 16;
	regs_fn = fn;
	fill_image();
}

static inline struct ftr_group *attach_to(void (*fn)(void), ftr_entry_fn entry, uint32_t flags)
{
	uintptr_t ip = (uintptr_t)fn;
	struct ftr_group *group = live_group("regs", entry, NULL, flags);

	ck_assert_int_eq(ftr_group_filter_ips(group, &ip, 1, 0), 1);
	ck_ok(ftr_group_attach(group));
	return group;
}

static inline void expect_general(const char *what, const struct image *expected)
{
	const uint64_t *want = &expected->rax, *got = &regs_out.rax;
	size_t i;

	for (i = 0; i < 15; i++)
		ck_assert_msg(want[i] == got[i], "%s: register %zu: %#llx, not %#llx", what, i,
			      (unsigned long long)got[i], (unsigned long long)want[i]);
	ck_assert_msg(((want[15] ^ got[15]) & (ARITHMETIC | DIRECTION)) == 0,
		      "%s: flags %#llx, not %#llx", what, (unsigned long long)got[15],
		      (unsigned long long)want[15]);
	ck_assert_uint_eq(regs_out.stack[0], expected->stack[0]);
	ck_assert_uint_eq(regs_out.stack[1], expected->stack[1]);
}

static inline void expect_vectors(const char *what, const struct image *expected)
{
	size_t i;

	for (i = 0; i < 8; i++)
		ck_assert_msg(!memcmp(regs_out.vectors[i], expected->vectors[i], regs_width),
			      "%s: vector register %zu has changed", what, i);
}

/** A test for the args caller and for the regs caller. */
static inline void regs_case(Suite *suite, const char *name, const TTest *test)
{
	TCase *tcase = tcase_create(name);

	tcase_set_timeout(tcase, 30);
	tcase_add_loop_test(tcase, test, 0, 2);
	suite_add_tcase(suite, tcase);
}

#endif /* TESTS_REGS_H */
