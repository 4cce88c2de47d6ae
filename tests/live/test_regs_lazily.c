/* SPDX-License-Identifier: MIT */
/*
 * H2, H4: what a handler of the regs caller may see and change before, and without,
 * asking for its pt_regs, which is filled in when it is asked for: all is the same,
 * and all is in force.
 */
#include "tests/live/live.h"

#include <asm/ptrace.h>
#include <stdlib.h>

#if defined(__i386__)
#define IP    eip
#define SP    esp
#define FLAGS eflags
#define AX    eax
#else
#define IP    rip
#define SP    rsp
#define FLAGS eflags
#define AX    rax
#endif
enum { SITE_LENGTH = 5, ELSEWHERE = 70, ARITHMETIC = 0x8d5 };

static const uint32_t kinds[] = {
	FTR_GROUP_REGS,
	FTR_GROUP_REGS | FTR_GROUP_NO_SIMD,
	FTR_GROUP_REGS | FTR_GROUP_ALL_VECTORS,
#if defined(__i386__)
	FTR_GROUP_SP_OVERLAY,
	FTR_GROUP_SP_OVERLAY | FTR_GROUP_NO_SIMD,
#endif
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static __attribute__((noinline)) long elsewhere(long n)
{
	__asm__ volatile("" ::: "memory");
	return n + ELSEWHERE;
}

static const live_fn body_elsewhere = elsewhere;
static uintptr_t site_ip;
static unsigned calls;

/** Says what is not so; without vector registers. */
static const char *wrong;
#define EXPECT(condition)                    \
	do {                                 \
		if (!(condition) && !wrong)  \
			wrong = #condition;  \
	} while (0)

/** What the accessors tell. */
struct told {
	uintptr_t ip, sp, flags, arg, ax;
};

static struct told ask(const struct ftr_regs *regs)
{
	return (struct told){ .ip = ftr_regs_ip(regs),
			      .sp = ftr_regs_sp(regs),
			      .flags = ftr_regs_flags(regs) & ARITHMETIC,
			      .arg = ftr_regs_arg(regs, 0),
			      .ax = ftr_regs_return_value(regs) };
}

static void expect_same(const struct told *a, const struct told *b)
{
	EXPECT(a->ip == b->ip);
	EXPECT(a->sp == b->sp);
	EXPECT(a->flags == b->flags);
	EXPECT(a->arg == b->arg);
	EXPECT(a->ax == b->ax);
}

static void looks(struct ftr_regs *regs, uintptr_t parent_ip)
{
	struct told before = ask(regs);
	const struct pt_regs *pt = ftr_regs_pt_regs(regs);
	struct told after = ask(regs);

	expect_same(&before, &after);
	EXPECT(before.ip == site_ip + SITE_LENGTH);
	EXPECT(before.arg == 5);
	EXPECT((uintptr_t)pt->IP == before.ip);
	EXPECT((uintptr_t)pt->SP == before.sp || &pt->SP == (void *)before.sp); /* overlay */
	EXPECT(*(const uintptr_t *)before.sp == parent_ip);
	EXPECT(((uintptr_t)pt->FLAGS & ARITHMETIC) == before.flags);
	EXPECT((uintptr_t)pt->AX == before.ax);
	EXPECT(ftr_regs_pt_regs(regs) == pt);
}

static void sets_argument(struct ftr_regs *regs, uintptr_t parent_ip)
{
	EXPECT(ftr_regs_set_arg(regs, 0, 30) == 0);
}

static void sets_ip(struct ftr_regs *regs, uintptr_t parent_ip)
{
	EXPECT(ftr_regs_set_ip(regs, (uintptr_t)body_elsewhere) == 0);
	EXPECT(ftr_regs_ip(regs) == (uintptr_t)body_elsewhere);
}

static void sets_ip_and_looks(struct ftr_regs *regs, uintptr_t parent_ip)
{
	sets_ip(regs, parent_ip);
	EXPECT((uintptr_t)ftr_regs_pt_regs(regs)->IP == (uintptr_t)body_elsewhere);
}

static void looks_and_sets_ip(struct ftr_regs *regs, uintptr_t parent_ip)
{
	looks(regs, parent_ip);
	sets_ip_and_looks(regs, parent_ip);
}

static void overrides(struct ftr_regs *regs, uintptr_t parent_ip)
{
	EXPECT(ftr_regs_override_return(regs, 4711) == 0);
}

static void sees_what_was_set(struct ftr_regs *regs, uintptr_t parent_ip)
{
	EXPECT((uintptr_t)ftr_regs_pt_regs(regs)->IP == (uintptr_t)body_elsewhere);
}

/** One that may not: nothing comes of it, looked at or not. */
static void may_not(struct ftr_regs *regs, uintptr_t parent_ip)
{
	EXPECT(ftr_regs_set_ip(regs, 1) == -EPERM);
	ftr_regs_pt_regs(regs)->IP = 1;
}

static void nothing(struct ftr_regs *regs, uintptr_t parent_ip)
{
}

static int entry(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group, struct ftr_regs *regs)
{
	void (*const *act)(struct ftr_regs *, uintptr_t) = ftr_group_data(group);

	calls++;
	(*act)(regs, parent_ip);
	return 0;
}

static const struct {
	void (*act)(struct ftr_regs *regs, uintptr_t parent_ip);
	long result;
	bool modifies;
	void (*older)(struct ftr_regs *regs, uintptr_t parent_ip); /* runs after it */
} cases[] = {
	{ .act = nothing, .result = 6 },
	{ .act = looks, .result = 6 },
	{ .act = sets_argument, .result = 31 },
	{ .act = may_not, .result = 6 },
	{ .act = sets_ip, .result = 5 + ELSEWHERE, .modifies = true },
	{ .act = sets_ip_and_looks, .result = 5 + ELSEWHERE, .modifies = true },
	{ .act = looks_and_sets_ip, .result = 5 + ELSEWHERE, .modifies = true },
	{ .act = overrides, .result = 4711, .modifies = true },
	{ .act = sets_ip, .result = 5 + ELSEWHERE, .modifies = true,
	  .older = sees_what_was_set },
	{ .act = sets_ip, .result = 5 + ELSEWHERE, .modifies = true, .older = nothing },
	{ .act = sets_argument, .result = 31, .modifies = true, .older = nothing },
	{ .act = nothing, .result = 6, .modifies = false, .older = looks },
};
enum { CASES = sizeof(cases) / sizeof(cases[0]) };

START_TEST(test_seen_and_changed_before_pt_regs)
{
	uint32_t kind = kinds[_i / CASES];
	void (*act)(struct ftr_regs *, uintptr_t) = cases[_i % CASES].act;
	void (*act_of_older)(struct ftr_regs *, uintptr_t) = cases[_i % CASES].older;
	uint32_t flags = kind | (cases[_i % CASES].modifies ? FTR_GROUP_IPMODIFY : 0);
	struct ftr_group *older = NULL, *group;

	site_ip = (uintptr_t)live_sites[0];
	if (act_of_older)
		older = live_attach("older", entry, &act_of_older, kind, live_sites[0]);
	group = live_attach("newer", entry, &act, flags, live_sites[0]);
	for (unsigned round = 0; round < 3; round++) {
		calls = 0;
		ck_assert_int_eq(live_sites[0](5), cases[_i % CASES].result);
		ck_assert_uint_eq(calls, older ? 2 : 1);
		ck_assert_msg(!wrong, "kind %#x: not so: %s", kind, wrong);
	}
	live_drop(group);
	if (older)
		live_drop(older);
	ck_assert_int_eq(live_sites[0](5), 6);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("regs_lazily");

	LIVE_LOOP(suite, test_seen_and_changed_before_pt_regs, 0, KINDS * CASES, 10);
	return live_main(suite);
}
