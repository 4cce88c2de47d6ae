/* SPDX-License-Identifier: MIT */
/* Traced functions, handlers, and what must be on the stack; see unwind.h. */
#include "tests/live/unwind.h"

#include <asm/ptrace.h>
#include <execinfo.h>
#include <stdio.h>
#include <ucontext.h>

#if defined(__x86_64__)
static const int saved_gregs[UNWIND_SAVED] = { REG_RBX, REG_RBP, REG_R12,
					       REG_R13, REG_R14, REG_R15 };
enum { GREG_SP = REG_RSP, SITE_LENGTH = 5 };
#elif defined(__i386__)
static const int saved_gregs[UNWIND_SAVED] = { REG_EBX, REG_EBP, REG_ESI, REG_EDI };
enum { GREG_SP = REG_ESP, SITE_LENGTH = 5 };
#endif

/* --- what is on the stack ----------------------------------------------------- */

FTR_TRACEABLE __attribute__((noinline)) long unwind_traced(long n)
{
	LIVE_OPAQUE(n);
	return n + 1;
}

FTR_TRACEABLE __attribute__((noinline)) long unwind_inner(long n)
{
	LIVE_OPAQUE(n);
	return n + 2;
}

__attribute__((noinline)) long unwind_parent(long n)
{
	volatile long kept[5] = { n, 2, 3, 4, 5 };

	return unwind_traced(n) + kept[1] - 2;
}

/** What is right at the site, to be found again from everywhere behind it. */
static struct {
	uintptr_t sp, back, saved[UNWIND_SAVED];
	bool has_saved;
} entry;

/** What was found wrong first. */
static struct {
	uintptr_t ip;
	const char *what;
	size_t n;
	struct unwind_frame frames[UNWIND_FRAMES];
} wrong;

static const char *bad_frame(const struct unwind_frame *frame, uintptr_t ip, uintptr_t sp,
			     uintptr_t function)
{
	if (frame->ip != ip)
		return "another ip";
	if (frame->sp != sp)
		return "another sp";
	return frame->function == function ? NULL : "another function";
}

static const char *bad_below_parent(const struct unwind_frame *frames, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (frames[i].function == (uintptr_t)main)
			return NULL;
	return "no main";
}

static const char *bad_parent(const struct unwind_frame *frames, size_t n)
{
	const char *bad;

	if (!n)
		return "no parent";
	bad = bad_frame(frames, entry.back, entry.sp + sizeof(void *), (uintptr_t)unwind_parent);
	if (bad)
		return bad;
	if (entry.has_saved && memcmp(frames->saved, entry.saved, sizeof(entry.saved)))
		return "a saved register is another in the parent";
	return bad_below_parent(frames + 1, n - 1);
}

enum where { IN_TRACED, IN_SLOT, ELSEWHERE };

static bool called_slot(uintptr_t function)
{
	return function == (uintptr_t)unwind_traced || function == (uintptr_t)unwind_inner;
}

/** frames[0] was interrupted, or is the one that asks. */
static const char *bad_stack(const struct unwind_frame *frames, size_t n, enum where where)
{
	uintptr_t resume = (uintptr_t)unwind_traced + SITE_LENGTH;
	const char *bad;
	size_t i;

	if (where == IN_TRACED && frames[0].function != (uintptr_t)unwind_traced)
		return "not in the traced function";
	if (where == IN_TRACED)
		return bad_parent(frames + 1, n - 1);
	if (where == IN_SLOT && (n < 2 || !called_slot(frames[1].function)))
		return "something between slot and traced function";
	for (i = 1; i < n && frames[i].ip != resume; i++)
		;
	if (i == n)
		return "no traced function";
	bad = bad_frame(frames + i, resume, entry.sp, (uintptr_t)unwind_traced);
	return bad ? bad : bad_parent(frames + i + 1, n - i - 1);
}

/** From the frame at ip on; 0: from the first. */
static void check(uintptr_t ip, enum where where, void *context)
{
	struct unwind_frame frames[UNWIND_FRAMES];
	size_t n, i = 0;

	if (wrong.what)
		return;
	n = unwind_walk(frames, context);
	while (ip && i < n && frames[i].ip != ip)
		i++;
	wrong.what = i < n ? bad_stack(frames + i, n - i, where) : "nothing of what was interrupted";
	if (!wrong.what)
		return;
	wrong.ip = ip;
	wrong.n = n;
	memcpy(wrong.frames, frames, sizeof(frames));
}

static void expect_nothing_wrong(const char *name, unsigned long step)
{
	size_t i;

	if (!wrong.what)
		return;
	for (i = 0; i < wrong.n; i++)
		printf("    ip %#lx in %#lx, sp %#lx\n", (long)wrong.frames[i].ip,
		       (long)wrong.frames[i].function, (long)wrong.frames[i].sp);
	printf("    expected: main %#lx, parent %#lx, traced %#lx; sp at the site %#lx\n", (long)main,
	       (long)unwind_parent, (long)unwind_traced, (long)entry.sp);
	fflush(stdout);
	ck_abort_msg("%s: at %#lx, step %lu: %s", name, (long)wrong.ip, step, wrong.what);
}

/* --- handlers ----------------------------------------------------------------- */

static unsigned ran;
static bool walk_in_handler;

/** The traced function, its parent, and main's call below them. */
static const char *bad_backtrace(void)
{
	void *addresses[UNWIND_FRAMES];
	int n = backtrace(addresses, UNWIND_FRAMES);
	int i = 0;

	while (i < n && (uintptr_t)addresses[i] != (uintptr_t)unwind_traced + SITE_LENGTH)
		i++;
	if (i + 1 >= n || (uintptr_t)addresses[i + 1] != entry.back)
		return "backtrace() loses the parent";
	for (i += 2; i < n; i++)
		if ((uintptr_t)addresses[i] - (uintptr_t)main < 64)
			return NULL;
	return "backtrace() does not reach main";
}

static void handler_walks(uintptr_t parent_ip, struct ftr_regs *regs)
{
	entry.sp = ftr_regs_sp(regs);
	entry.back = parent_ip;
	check(0, ELSEWHERE, NULL);
	if (!wrong.what)
		wrong.what = bad_backtrace();
}

static int handler_plain(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			 struct ftr_regs *regs)
{
	ran++;
	if (walk_in_handler && ip == (uintptr_t)unwind_traced)
		handler_walks(parent_ip, regs);
	return 0;
}

/** Slot and caller once more, on the way that does not run the handler again. */
static int handler_nests(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			 struct ftr_regs *regs)
{
	if (ip != (uintptr_t)unwind_inner)
		unwind_inner(1);
	return handler_plain(ip, parent_ip, group, regs);
}

/** The caller has another way out where more than arithmetic flags changed. */
static int handler_changes_flags(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
				 struct ftr_regs *regs)
{
	const unsigned long identification = 1 << 21;
	struct pt_regs *pt = ftr_regs_pt_regs(regs);

	ck_assert_ptr_nonnull(pt);
#if defined(__x86_64__)
	pt->eflags ^= identification;
#else
	pt->eflags ^= (long)identification;
#endif
	return handler_plain(ip, parent_ip, group, regs);
}

/** The callers, and what handlers do to them. */
struct unwind_case {
	const char *name;
	ftr_entry_fn entry;
	uint32_t flags;
};
static const struct unwind_case cases[] = {
	{ "args", handler_plain, 0 },
	{ "args, no vectors", handler_plain, FTR_GROUP_NO_SIMD },
	{ "regs", handler_plain, FTR_GROUP_REGS },
	{ "regs, no vectors", handler_plain, FTR_GROUP_REGS | FTR_GROUP_NO_SIMD },
	{ "args, nested", handler_nests, 0 },
	{ "regs, nested", handler_nests, FTR_GROUP_REGS },
	{ "args, reentrant", handler_nests, FTR_GROUP_REENTRANT },
	{ "regs, flags changed", handler_changes_flags, FTR_GROUP_REGS },
};
enum { N_CASES = sizeof(cases) / sizeof(cases[0]) };

static struct ftr_group *attach(const struct unwind_case *c)
{
	struct ftr_group *group = live_group(c->name, c->entry, NULL, c->flags);
	const live_fn fns[] = { unwind_traced, unwind_inner };

	live_hold(group, fns, c->entry == handler_nests ? 2 : 1);
	ck_ok(ftr_group_attach(group));
	return group;
}

START_TEST(test_unwind_in_handler)
{
	const struct unwind_case *c = &cases[_i];
	struct ftr_group *group;
	unsigned nested = c->flags & FTR_GROUP_REENTRANT ? 1 : 0;

	group = attach(c);
	unwind_parent(1);
	walk_in_handler = true;
	ran = 0;
	unwind_parent(1);
	walk_in_handler = false;
	expect_nothing_wrong(c->name, 0);
	ck_assert_uint_eq(ran, 1 + nested);
	live_drop(group);
}
END_TEST

/* --- step by step ------------------------------------------------------------- */

static struct {
	bool active;
	uintptr_t slot;
	unsigned long steps[3], wrong_at;
} walked;

/** Where the site calls. */
static uintptr_t slot_of(live_fn fn)
{
	int32_t distance;

	ck_assert_uint_eq(*(const unsigned char *)fn, 0xe8);
	memcpy(&distance, (const char *)fn + 1, sizeof(distance));
	return (uintptr_t)fn + SITE_LENGTH + (uintptr_t)(intptr_t)distance;
}

static void note_entry(const ucontext_t *uc)
{
	int i;

	entry.sp = (uintptr_t)uc->uc_mcontext.gregs[GREG_SP];
	entry.back = *(const uintptr_t *)entry.sp;
	for (i = 0; i < UNWIND_SAVED; i++)
		entry.saved[i] = (uintptr_t)uc->uc_mcontext.gregs[saved_gregs[i]];
	entry.has_saved = true;
	walked.active = true;
}

static enum where where_is(uintptr_t ip)
{
	if (ip - walked.slot < 16)
		return IN_SLOT;
	return ip - (uintptr_t)unwind_traced < 16 ? IN_TRACED : ELSEWHERE;
}

static void walk_at(struct step *step, uintptr_t ip)
{
	if (ip == (uintptr_t)unwind_traced)
		note_entry(step->context);
	if (ip == entry.back)
		walked.active = false;
	if (!walked.active)
		return;
	walked.steps[where_is(ip)]++;
	check(ip, where_is(ip), step->context);
	if (wrong.what && !walked.wrong_at)
		walked.wrong_at = step->count;
}

START_TEST(test_unwind_at_each_instruction)
{
	const struct unwind_case *c = &cases[_i];
	struct step step = { .at = walk_at };
	struct ftr_group *group;

	step_install(0);
	group = attach(c);
	unwind_parent(1);
	walked.slot = slot_of(unwind_traced);
	ran = 0;
	ck_assert_int_eq(step_call(&step, unwind_parent, 5), 6);
	expect_nothing_wrong(c->name, walked.wrong_at);
	ck_assert_uint_eq(ran, 1 + (c->flags & FTR_GROUP_REENTRANT ? 1 : 0));
	ck_assert(!walked.active);
	ck_assert_uint_eq(walked.steps[IN_SLOT], c->entry == handler_nests ? 4 : 2);
	ck_assert_uint_gt(walked.steps[IN_TRACED], 2);
	/* A caller alone saves and restores nine registers. */
	ck_assert_uint_gt(walked.steps[ELSEWHERE], 18);
	live_drop(group);
}
END_TEST

int unwind_main(const char *name)
{
	Suite *suite = suite_create(name);
	TCase *in_handler = tcase_create("in_handler");
	TCase *each = tcase_create("at_each_instruction");
	int result;

	tcase_add_loop_test(in_handler, test_unwind_in_handler, 0, N_CASES);
	tcase_set_timeout(in_handler, 30);
	suite_add_tcase(suite, in_handler);
	tcase_add_loop_test(each, test_unwind_at_each_instruction, 0, N_CASES);
	tcase_set_timeout(each, 60);
	suite_add_tcase(suite, each);
	result = live_main(suite);
	LIVE_OPAQUE(result); /* no tail call */
	return result;
}
