/* SPDX-License-Identifier: MIT */
/*
 * Traced functions, handlers, and what must be on the stack; see unwind.h.  The
 * cases together run each instruction of each caller.
 */
#include "arch.h"
#include "tests/live/unwind.h"
#include "tests/live/visitor.h"

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
enum { SSE = 1, AVX, AVX512 }; /* ftr__vectors_limit */
extern unsigned ftr__vectors_limit __attribute__((visibility("hidden")));
long unwind_misaligned(long n);
long unwind_wide(long n);

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

/** Who calls the traced function now, and in which program or thread. */
static live_fn parent;
static uintptr_t bottom;
static bool overridden; /* the traced function does not run */

/** What is right at the site, to be found again from everywhere behind it. */
static struct {
	uintptr_t sp, back, saved[UNWIND_SAVED];
	bool has_saved;
	bool popped; /* one of them, where the walk begins */
} entry;

/** What was found wrong first. */
static struct {
	uintptr_t ip;
	const char *what;
	size_t n;
	struct unwind_frame frames[UNWIND_FRAMES];
} wrong;

static const char *bad_frame(const struct unwind_frame *frame, uintptr_t ip, uintptr_t sp,
			     live_fn function)
{
	if (frame->ip != ip)
		return "another ip";
	if (frame->sp != sp)
		return "another sp";
	return frame->function == (uintptr_t)function ? NULL : "another function";
}

static const char *bad_traced(const struct unwind_frame *frame)
{
	return bad_frame(frame, (uintptr_t)unwind_traced + SITE_LENGTH, entry.sp, unwind_traced);
}

static const char *bad_below_parent(const struct unwind_frame *frames, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (frames[i].function == bottom)
			return NULL;
	return "the thread's first function is missing";
}

static const char *bad_parent(const struct unwind_frame *frames, size_t n)
{
	const char *bad;

	if (!n)
		return "no parent";
	bad = bad_frame(frames, entry.back, entry.sp + sizeof(void *), parent);
	if (bad)
		return bad;
	if (entry.has_saved && !entry.popped &&
	    memcmp(frames->saved, entry.saved, sizeof(entry.saved)))
		return "a saved register is another in the parent";
	return bad_below_parent(frames + 1, n - 1);
}

enum where { IN_TRACED, IN_SLOT, ELSEWHERE };

static bool called_slot(uintptr_t function)
{
	return function == (uintptr_t)unwind_traced || function == (uintptr_t)unwind_inner;
}

/** The frame that parent called: the traced function's, or what was put in its
 *  place by a handler. */
static bool is_called(const struct unwind_frame *frame)
{
	if (frame->ip == (uintptr_t)unwind_traced + SITE_LENGTH)
		return true;
	return overridden && frame->sp == entry.sp;
}

/** frames[0] was interrupted, or is the one that asks. */
static const char *bad_stack(const struct unwind_frame *frames, size_t n, enum where where)
{
	const char *bad;
	size_t i;

	if (where == IN_TRACED && frames[0].function != (uintptr_t)unwind_traced)
		return "not in the traced function";
	if (frames[0].function == (uintptr_t)unwind_traced)
		return bad_parent(frames + 1, n - 1);
	if (where == IN_SLOT && (n < 2 || !called_slot(frames[1].function)))
		return "something between slot and traced function";
	for (i = overridden ? 0 : 1; i < n && !is_called(frames + i); i++)
		;
	if (i == n)
		return "no traced function";
	bad = overridden ? NULL : bad_traced(frames + i);
	return bad ? bad : bad_parent(frames + i + 1, n - i - 1);
}

/** From the frame at ip on; 0: from the first. */
static void check(uintptr_t ip, enum where where, void *context)
{
	struct unwind_frame frames[UNWIND_FRAMES];
	size_t n, i = 0;

	if (wrong.what || (ip && arch_without_cfi(ip)))
		return;
	entry.popped = ip && arch_popped(ip);
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
	       (long)parent, (long)unwind_traced, (long)entry.sp);
	fflush(stdout);
	ck_abort_msg("%s: at %#lx, step %lu: %s", name, (long)wrong.ip, step, wrong.what);
}

/** The instructions of a traced call. */
static struct {
	bool active;
	uintptr_t slot;
	unsigned long steps[3], wrong_at;
} walked;

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
		if ((uintptr_t)addresses[i] - bottom < 64)
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

static int handler_of_crowd(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			    struct ftr_regs *regs)
{
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

/* Not Check's: it goes into code of others, which unwinds here and there alone. */
static void must(bool ok)
{
	if (!ok)
		wrong.what = "a handler's call fails";
}

/** The caller has another way out where more than arithmetic flags changed. */
static int handler_changes_flags(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
				 struct ftr_regs *regs)
{
	const unsigned long identification = 1 << 21;
	struct pt_regs *pt = ftr_regs_pt_regs(regs);

	must(pt != NULL);
	if (pt)
		pt->eflags ^= (__typeof__(pt->eflags))identification;
	return handler_plain(ip, parent_ip, group, regs);
}

/** The caller goes on somewhere else. */
static int handler_overrides(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			     struct ftr_regs *regs)
{
	int result = handler_plain(ip, parent_ip, group, regs);

	overridden = true;
	must(ftr_regs_override_return(regs, ftr_regs_arg(regs, 0) + 1) == 0);
	return result;
}

static struct visitor detacher;
static bool detached;
static sem_t is_detached;

static void note_detached(void *arg)
{
	sem_post(&is_detached);
}

static void detach_from_elsewhere(void *group)
{
	ck_ok(ftr_group_detach_async(group, note_detached, NULL));
}

/** The caller is asked to tell when it has left. */
static int handler_is_detached(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			       struct ftr_regs *regs)
{
	if (walked.active && !detached) {
		detached = true;
		visitor_call(&detacher, detach_from_elsewhere, group);
	}
	return handler_plain(ip, parent_ip, group, regs);
}

/* --- cases -------------------------------------------------------------------- */

/** What the callers do, and what handlers do to them. */
static const struct unwind_case {
	const char *name;
	ftr_entry_fn entry;
	uint32_t flags;
	live_fn parent;
	unsigned limit; /* of the vector registers to be seen; 0: the CPU's */
	bool fresh;     /* in a thread that the library never met */
	bool crowded;   /* two more groups hold the site */
} cases[] = {
#define BOTH(name_, entry_, flags_, ...)                                           \
	{ .name = "args, " name_, .entry = entry_, .flags = flags_, __VA_ARGS__ }, \
	{ .name = "regs, " name_, .entry = entry_, .flags = (flags_) | FTR_GROUP_REGS, __VA_ARGS__ }
	BOTH("plain", handler_plain, 0, .parent = unwind_parent),
	BOTH("no vectors", handler_plain, FTR_GROUP_NO_SIMD, .parent = unwind_parent),
	BOTH("nested", handler_nests, 0, .parent = unwind_parent),
	BOTH("nested, no vectors", handler_nests, FTR_GROUP_NO_SIMD, .parent = unwind_parent),
	BOTH("reentrant", handler_nests, FTR_GROUP_REENTRANT, .parent = unwind_parent),
	BOTH("detached", handler_is_detached, 0, .parent = unwind_parent),
	BOTH("detached, no vectors", handler_is_detached, FTR_GROUP_NO_SIMD,
	     .parent = unwind_parent),
	BOTH("fresh", handler_plain, 0, .parent = unwind_parent, .fresh = true),
	BOTH("fresh, no vectors", handler_plain, FTR_GROUP_NO_SIMD, .parent = unwind_parent,
	     .fresh = true),
	BOTH("crowded", handler_plain, 0, .parent = unwind_parent, .crowded = true),
	BOTH("crowded, no vectors", handler_plain, FTR_GROUP_NO_SIMD, .parent = unwind_parent,
	     .crowded = true),
	BOTH("crowded, misaligned, no vectors", handler_plain, FTR_GROUP_NO_SIMD,
	     .parent = unwind_misaligned, .crowded = true),
	{ .name = "flags changed", .entry = handler_changes_flags, .flags = FTR_GROUP_REGS,
	  .parent = unwind_parent },
	BOTH("overridden", handler_overrides, FTR_GROUP_IPMODIFY, .parent = unwind_parent),
	BOTH("overridden, no vectors", handler_overrides, FTR_GROUP_IPMODIFY | FTR_GROUP_NO_SIMD,
	     .parent = unwind_parent),
#if defined(__i386__)
	{ .name = "overlay, plain", .entry = handler_plain, .flags = FTR_GROUP_SP_OVERLAY,
	  .parent = unwind_parent },
	{ .name = "overlay, nested", .entry = handler_nests, .flags = FTR_GROUP_SP_OVERLAY,
	  .parent = unwind_parent },
	{ .name = "overlay, overridden, no vectors", .entry = handler_overrides,
	  .flags = FTR_GROUP_SP_OVERLAY | FTR_GROUP_IPMODIFY | FTR_GROUP_NO_SIMD,
	  .parent = unwind_parent },
	{ .name = "overlay, flags changed", .entry = handler_changes_flags,
	  .flags = FTR_GROUP_SP_OVERLAY, .parent = unwind_parent },
#endif
	BOTH("misaligned", handler_plain, 0, .parent = unwind_misaligned),
	BOTH("misaligned, no vectors", handler_plain, FTR_GROUP_NO_SIMD,
	     .parent = unwind_misaligned),
	BOTH("sse", handler_plain, 0, .parent = unwind_parent, .limit = SSE),
	BOTH("avx", handler_plain, 0, .parent = unwind_parent, .limit = AVX),
	BOTH("avx, wide", handler_plain, 0, .parent = unwind_wide, .limit = AVX),
	BOTH("avx512", handler_plain, 0, .parent = unwind_parent, .limit = AVX512),
	BOTH("avx512, wide", handler_plain, 0, .parent = unwind_wide, .limit = AVX512),
	BOTH("all sse", handler_plain, FTR_GROUP_ALL_VECTORS, .parent = unwind_parent,
	     .limit = SSE),
	BOTH("all avx", handler_plain, FTR_GROUP_ALL_VECTORS, .parent = unwind_parent,
	     .limit = AVX),
	BOTH("all avx512", handler_plain, FTR_GROUP_ALL_VECTORS, .parent = unwind_parent,
	     .limit = AVX512),
};
enum { N_CASES = sizeof(cases) / sizeof(cases[0]) };

/** Whether the CPU can; prepares to. */
static bool begin(const struct unwind_case *c)
{
	parent = c->parent;
	bottom = (uintptr_t)main;
	if ((c->limit >= AVX || parent == unwind_wide) && !__builtin_cpu_supports("avx"))
		return false;
	if (c->limit == AVX512 && !__builtin_cpu_supports("avx512f"))
		return false;
	if (c->limit)
		ftr__vectors_limit = c->limit;
	return true;
}

static struct ftr_group *crowd[2];

/** One before the group and one behind. */
static void attach_to_crowd(const struct unwind_case *c, size_t i)
{
	crowd[i] = c->crowded ? live_attach("crowd", handler_of_crowd, NULL, c->flags,
					    unwind_traced)
			      : NULL;
}

static void drop(struct ftr_group *group)
{
	size_t i;

	live_drop(group);
	for (i = 0; i < 2; i++)
		if (crowd[i])
			live_drop(crowd[i]);
}

static struct ftr_group *attach(const struct unwind_case *c)
{
	struct ftr_group *group = live_group(c->name, c->entry, NULL, c->flags);
	const live_fn fns[] = { unwind_traced, unwind_inner };

	live_hold(group, fns, c->entry == handler_nests ? 2 : 1);
	attach_to_crowd(c, 0);
	ck_ok(ftr_group_attach(group));
	attach_to_crowd(c, 1);
	return group;
}

START_TEST(test_unwind_in_handler)
{
	const struct unwind_case *c = &cases[_i];
	struct ftr_group *group;

	if (!begin(c))
		return;
	group = attach(c);
	parent(1);
	walk_in_handler = true;
	overridden = false;
	ran = 0;
	parent(1);
	walk_in_handler = false;
	expect_nothing_wrong(c->name, 0);
	ck_assert_uint_eq(ran, 1 + (c->flags & FTR_GROUP_REENTRANT ? 1 : 0));
	drop(group);
}
END_TEST

/* --- step by step ------------------------------------------------------------- */

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
	/* At the site and behind it: further on the frames tell. */
	if (ip == (uintptr_t)unwind_traced || ip == (uintptr_t)unwind_traced + SITE_LENGTH)
		return IN_TRACED;
	return ELSEWHERE;
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

static void expect_all_steps(const struct unwind_case *c)
{
	expect_nothing_wrong(c->name, walked.wrong_at);
	ck_assert_uint_eq(ran, 1 + (c->flags & FTR_GROUP_REENTRANT ? 1 : 0));
	ck_assert(!walked.active);
	ck_assert_uint_eq(walked.steps[IN_SLOT], (c->entry == handler_nests ? 2 : 1) * ARCH_SLOT_STEPS);
	ck_assert_uint_eq(walked.steps[IN_TRACED], overridden ? 1 : 2);
	/* A caller alone saves and restores nine registers. */
	ck_assert_uint_gt(walked.steps[ELSEWHERE], 18);
	ck_assert_int_eq(detached, c->entry == handler_is_detached);
}

static void *step_in_thread(void *arg)
{
	long result = step_call(arg, parent, 5);

	LIVE_OPAQUE(result);
	return (void *)result;
}

static long step_in_fresh_thread(struct step *step)
{
	pthread_t thread;
	void *result;

	bottom = (uintptr_t)step_in_thread;
	ck_assert_int_eq(pthread_create(&thread, NULL, step_in_thread, step), 0);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	return (long)result;
}

START_TEST(test_unwind_at_each_instruction)
{
	const struct unwind_case *c = &cases[_i];
	struct step step = { .at = walk_at };
	struct ftr_group *group;
	long result;

	if (!begin(c))
		return;
	step_install(0);
	sem_init(&is_detached, 0, 0);
	visitor_start(&detacher);
	group = attach(c);
	parent(1);
	walked.slot = slot_of(unwind_traced);
	overridden = false;
	ran = 0;
	result = c->fresh ? step_in_fresh_thread(&step) : step_call(&step, parent, 5);
	ck_assert_int_eq(result, 6);
	expect_all_steps(c);
	visitor_stop(&detacher);
	if (detached) {
		ftr_site_count(); /* where the handler's thread could not tell */
		while (sem_wait(&is_detached))
			;
		ck_ok(ftr_group_free(group));
	} else {
		drop(group);
	}
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
