/* SPDX-License-Identifier: MIT */
/*
 * H11 and R4 for return hooks: from inside entry and exit handlers, and before
 * each instruction of stub, slot, caller, cell, on the way in and on the way out,
 * every hooked call under way is on the stack: its parent, with the stack pointer
 * and the saved registers that it has.  See unwind.h.
 */
#include "arch.h"
#include "tests/live/unwind.h"

#include <asm/ptrace.h>
#include <execinfo.h>
#include <stdio.h>
#include <ucontext.h>

#if defined(__x86_64__)
static const int saved_gregs[UNWIND_SAVED] = { REG_RBX, REG_RBP, REG_R12,
					       REG_R13, REG_R14, REG_R15 };
#elif defined(__i386__)
static const int saved_gregs[UNWIND_SAVED] = { REG_EBX, REG_EBP, REG_ESI, REG_EDI };
#endif
enum { SITE_LENGTH = 5, CELL = 32, DEEP = 4 };

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

long unwind_deep(long n);
long hook_jumped_to(long n) __attribute__((visibility("hidden")));

/** Each level hooked. */
FTR_TRACEABLE __attribute__((noinline)) long unwind_deep(long n)
{
	volatile long kept[4] = { n, 1, 2, 3 };

	if (n <= 1)
		return unwind_traced(n);
	return unwind_deep(n - 1) + kept[1];
}

__attribute__((noinline)) long unwind_parent(long n)
{
	volatile long kept[5] = { n, 2, 3, 4, 5 };

	return unwind_traced(n) + kept[1] - 2;
}

static __attribute__((noinline)) long deep_parent(long n)
{
	volatile long kept[5] = { n, 2, 3, 4, 5 };

	return unwind_deep(DEEP) + kept[1] + n - DEEP - 2;
}

/** Jumped to, by hooked functions, one of them behind a landing pad. */
FTR_TRACEABLE __attribute__((noinline)) long hook_jumped_to(long n)
{
	LIVE_OPAQUE(n);
	return n + 1;
}

long hook_jumps(long n);
long hook_jumps_twice(long n);

static __attribute__((noinline)) long jump_parent(long n)
{
	volatile long kept[5] = { n, 2, 3, 4, 5 };

	return hook_jumps_twice(n) + kept[1] - 2;
}

static const live_fn hooked[] = { unwind_traced, unwind_deep, hook_jumped_to, hook_jumps,
				  hook_jumps_twice };
enum { N_HOOKED = sizeof(hooked) / sizeof(hooked[0]) };
static uintptr_t sites[N_HOOKED];

static live_fn parent;
static uintptr_t bottom;

/** The calls under way: what is right in each one's parent. */
static struct call {
	uintptr_t sp, back, saved[UNWIND_SAVED];
} calls[DEEP + 2];
static size_t n_calls;

/** What was found wrong first. */
static struct {
	uintptr_t ip;
	const char *what;
	unsigned long step;
	size_t n;
	struct unwind_frame frames[UNWIND_FRAMES];
} wrong;

/** From a cell on, the address is one less (R4). */
static bool is_back(uintptr_t ip, uintptr_t back)
{
	return ip == back || ip == back - 1;
}

static const char *bad_call(const struct unwind_frame *frame, const struct call *call)
{
	if (!frame->function)
		return "a parent is no known function";
	if (frame->sp != call->sp + sizeof(void *))
		return "another stack pointer in a parent";
	if (memcmp(frame->saved, call->saved, sizeof(call->saved)))
		return "a saved register is another in a parent";
	return NULL;
}

/** All calls under way, and the thread's first function, are among the frames;
 *  the first frame is nobody's parent. */
static const char *bad_stack(const struct unwind_frame *frames, size_t n)
{
	size_t i = 1, c;
	const char *bad;

	for (c = n_calls; c-- > 0; i++) {
		while (i < n && !is_back(frames[i].ip, calls[c].back))
			i++;
		if (i == n)
			return "a parent is missing";
		bad = bad_call(&frames[i], &calls[c]);
		if (bad)
			return bad;
	}
	while (i < n && frames[i].function != bottom)
		i++;
	return i < n ? NULL : "the thread's first function is missing";
}

/** From the frame at ip on; 0: from the first. */
static void check(uintptr_t ip, void *context, unsigned long step)
{
	struct unwind_frame frames[UNWIND_FRAMES];
	size_t n, i = 0;

	if (wrong.what || (ip && arch_without_cfi(ip)))
		return;
	n = unwind_walk(frames, context);
	while (ip && i < n && frames[i].ip != ip)
		i++;
	wrong.what = i < n ? bad_stack(frames + i, n - i) : "nothing of what was interrupted";
	if (!wrong.what)
		return;
	wrong.ip = ip;
	wrong.step = step;
	wrong.n = n;
	memcpy(wrong.frames, frames, sizeof(frames));
}

static void expect_nothing_wrong(const char *name)
{
	size_t i;

	if (!wrong.what)
		return;
	for (i = 0; i < wrong.n; i++)
		printf("    ip %#lx in %#lx, sp %#lx\n", (long)wrong.frames[i].ip,
		       (long)wrong.frames[i].function, (long)wrong.frames[i].sp);
	for (i = 0; i < n_calls; i++)
		printf("    call %zu: back to %#lx, sp %#lx\n", i, (long)calls[i].back,
		       (long)calls[i].sp);
	fflush(stdout);
	ck_abort_msg("%s: at %#lx, step %lu: %s", name, (long)wrong.ip, wrong.step, wrong.what);
}

/* --- handlers ----------------------------------------------------------------- */

static unsigned entries, exits, walks;
static bool walk_in_handlers;

/** What backtrace() is to find: all parents, and the thread's first function. */
static const char *bad_addresses(void *const *addresses, size_t n)
{
	size_t i = 0, c;

	for (c = n_calls; c-- > 0; i++) {
		while (i < n && !is_back((uintptr_t)addresses[i], calls[c].back))
			i++;
		if (i == n)
			return "backtrace() loses a parent";
	}
	for (; i < n; i++)
		if ((uintptr_t)addresses[i] - bottom < 64)
			return NULL;
	return "backtrace() does not reach the thread's first function";
}

static void check_backtrace(void)
{
	void *addresses[UNWIND_FRAMES];
	int n = backtrace(addresses, UNWIND_FRAMES);

	if (wrong.what)
		return;
	wrong.what = bad_addresses(addresses, (size_t)n);
	for (wrong.n = 0; wrong.what && wrong.n < (size_t)n; wrong.n++)
		wrong.frames[wrong.n].ip = (uintptr_t)addresses[wrong.n];
}

static void walk(void)
{
	walks++;
	check(0, NULL, 0);
	check_backtrace();
}

static int entry_plain(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		       struct ftr_regs *regs)
{
	entries++;
	if (walk_in_handlers)
		walk();
	return 0;
}

static void exit_plain(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		       struct ftr_regs *regs)
{
	exits++;
	if (walk_in_handlers)
		walk();
}

static int entry_nests(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		       struct ftr_regs *regs)
{
	if (ip != (uintptr_t)unwind_inner)
		unwind_inner(1);
	return entry_plain(ip, parent_ip, group, regs);
}

static int entry_cancels(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			 struct ftr_regs *regs)
{
	return entry_plain(ip, parent_ip, group, regs) + 1;
}

/** Not Check's: it goes into code of others, which unwinds here and there alone. */
static void must(bool ok)
{
	if (!ok)
		wrong.what = "a handler's call fails";
}

/** Callers have another way out where more than arithmetic flags changed. */
static void change_flags(struct ftr_regs *regs)
{
	const unsigned long identification = 1 << 21;
	struct pt_regs *pt = ftr_regs_pt_regs(regs);

	must(pt != NULL);
	if (pt)
		pt->eflags ^= (__typeof__(pt->eflags))identification;
}

static int entry_changes_flags(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			       struct ftr_regs *regs)
{
	change_flags(regs);
	return entry_plain(ip, parent_ip, group, regs);
}

static void exit_changes_flags(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			       struct ftr_regs *regs)
{
	change_flags(regs);
	exit_plain(ip, parent_ip, group, regs);
}

static int entry_overrides(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			   struct ftr_regs *regs)
{
	must(ftr_regs_override_return(regs, ftr_regs_arg(regs, 0) + 1) == 0);
	return entry_plain(ip, parent_ip, group, regs);
}

/* --- cases -------------------------------------------------------------------- */

static const struct hooked_case {
	const char *name;
	uint32_t flags;
	live_fn parent;
	unsigned calls; /* hooked ones */
	ftr_entry_fn entry;
	ftr_exit_fn exit;
	bool fresh; /* in a thread that the library never met */
} cases[] = {
#define BOTH(name_, flags_, parent_, calls_, ...)                                         \
	{ .name = "args, " name_, .flags = flags_, .parent = parent_, .calls = calls_, __VA_ARGS__ }, \
	{ .name = "regs, " name_, .flags = (flags_) | FTR_GROUP_REGS, .parent = parent_,  \
	  .calls = calls_, __VA_ARGS__ }
	BOTH("plain", 0, unwind_parent, 1, .entry = NULL),
	BOTH("no vectors", FTR_GROUP_NO_SIMD, unwind_parent, 1, .entry = NULL),
	BOTH("all vectors", FTR_GROUP_ALL_VECTORS, unwind_parent, 1, .entry = NULL),
	BOTH("unwound", FTR_GROUP_UNWOUND_EXITS, unwind_parent, 1, .entry = NULL),
	BOTH("deep", 0, deep_parent, DEEP + 1, .entry = NULL),
	BOTH("deep, no vectors", FTR_GROUP_NO_SIMD, deep_parent, DEEP + 1, .entry = NULL),
	BOTH("deep, unwound", FTR_GROUP_UNWOUND_EXITS, deep_parent, DEEP + 1, .entry = NULL),
	BOTH("jumps", 0, jump_parent, 3, .entry = NULL),
	BOTH("jumps, no vectors", FTR_GROUP_NO_SIMD, jump_parent, 3, .entry = NULL),
	BOTH("nested", 0, unwind_parent, 1, .entry = entry_nests),
	BOTH("reentrant", FTR_GROUP_REENTRANT, unwind_parent, 1, .entry = entry_nests),
	BOTH("cancelled", 0, deep_parent, DEEP + 1, .entry = entry_cancels),
	BOTH("fresh", 0, unwind_parent, 1, .fresh = true),
	BOTH("overridden", FTR_GROUP_IPMODIFY, unwind_parent, 1, .entry = entry_overrides),
	BOTH("overridden, no vectors", FTR_GROUP_IPMODIFY | FTR_GROUP_NO_SIMD, unwind_parent, 1,
	     .entry = entry_overrides),
	{ .name = "flags changed at entry", .flags = FTR_GROUP_REGS, .parent = jump_parent,
	  .calls = 3, .entry = entry_changes_flags },
	{ .name = "flags changed at exit", .flags = FTR_GROUP_REGS, .parent = jump_parent,
	  .calls = 3, .exit = exit_changes_flags },
	BOTH("misaligned", 0, unwind_misaligned, 1, .entry = NULL),
	BOTH("misaligned, no vectors", FTR_GROUP_NO_SIMD, unwind_misaligned, 1, .entry = NULL),
#if defined(__i386__)
	{ .name = "overlay", .flags = FTR_GROUP_SP_OVERLAY, .parent = jump_parent, .calls = 3 },
	{ .name = "overlay, no vectors", .flags = FTR_GROUP_SP_OVERLAY | FTR_GROUP_NO_SIMD,
	  .parent = deep_parent, .calls = DEEP + 1 },
	{ .name = "overlay, flags changed at entry", .flags = FTR_GROUP_SP_OVERLAY,
	  .parent = jump_parent, .calls = 3, .entry = entry_changes_flags },
	{ .name = "overlay, flags changed at exit", .flags = FTR_GROUP_SP_OVERLAY,
	  .parent = jump_parent, .calls = 3, .exit = exit_changes_flags },
	{ .name = "overlay, overridden", .flags = FTR_GROUP_SP_OVERLAY | FTR_GROUP_IPMODIFY,
	  .parent = unwind_parent, .calls = 1, .entry = entry_overrides },
#endif
};
enum { N_CASES = sizeof(cases) / sizeof(cases[0]) };

static struct ftr_group *attach(const struct hooked_case *c)
{
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;
	struct ftr_group *group;
	size_t i;

	options.name = c->name;
	options.entry = c->entry ? c->entry : entry_plain;
	options.exit = c->exit ? c->exit : exit_plain;
	options.flags = c->flags;
	ck_ok(ftr_group_new(&group, &options));
	ck_assert_int_eq(ftr_group_filter(group, "unwind_traced", 0), 1);
	ck_assert_int_eq(ftr_group_filter(group, "unwind_deep", 0), 1);
	ck_assert_int_eq(ftr_group_filter(group, "hook_jump*", 0), 3);
	if (c->entry == entry_nests)
		ck_assert_int_eq(ftr_group_filter(group, "unwind_inner", 0), 1);
	ck_ok(ftr_group_attach(group));
	for (i = 0; i < N_HOOKED; i++) {
		const struct ftr_site *site = ftr_site_find((uintptr_t)hooked[i]);
		ck_assert_ptr_nonnull(site);
		sites[i] = ftr_site_ip(site);
	}
	parent = c->parent;
	bottom = (uintptr_t)main;
	return group;
}

static void expect_counts(const struct hooked_case *c)
{
	unsigned inner = c->entry == entry_nests && c->flags & FTR_GROUP_REENTRANT ? 1 : 0;

	ck_assert_uint_eq(entries, c->calls + inner);
	ck_assert_uint_eq(exits, c->entry == entry_cancels ? 0 : c->calls + inner);
}

/** The handlers see the parents' parent alone: what the steps noted is not there. */
START_TEST(test_unwind_in_handlers)
{
	const struct hooked_case *c = &cases[_i];
	struct ftr_group *group = attach(c);

	parent(5);
	walk_in_handlers = true;
	entries = exits = 0;
	ck_assert_int_eq(parent(5), 6);
	walk_in_handlers = false;
	expect_nothing_wrong(c->name);
	expect_counts(c);
	ck_assert_uint_eq(walks, entries + exits);
	live_drop(group);
}
END_TEST

/* --- step by step ------------------------------------------------------------- */

/** Where instructions were seen. */
static struct {
	uintptr_t stub, cell;
	unsigned long in_stubs, in_cells, elsewhere;
} seen;

/** What the site jumps to. */
static uintptr_t jump_target(uintptr_t site)
{
	int32_t distance;

	memcpy(&distance, (const char *)site + 1, sizeof(distance));
	return site + SITE_LENGTH + (uintptr_t)(intptr_t)distance;
}

static bool is_site(uintptr_t ip)
{
	size_t i;

	for (i = 0; i < N_HOOKED; i++)
		if (ip == sites[i])
			return true;
	return false;
}

/** At a site: what was jumped to returns where what jumped does. */
static void note_call(const ucontext_t *uc)
{
	uintptr_t sp = (uintptr_t)uc->uc_mcontext.gregs[ARCH_SP];
	struct call *call = &calls[n_calls];
	int i;

	if (n_calls && calls[n_calls - 1].sp == sp)
		return;
	n_calls++;
	call->sp = sp;
	call->back = *(const uintptr_t *)sp;
	for (i = 0; i < UNWIND_SAVED; i++)
		call->saved[i] = (uintptr_t)uc->uc_mcontext.gregs[saved_gregs[i]];
}

/** All of them are near each other; the areas are found at the first site. */
static void count_place(const ucontext_t *uc, uintptr_t ip)
{
	if (is_site(ip)) {
		seen.stub = jump_target(ip);
	} else if (is_site(ip - SITE_LENGTH)) {
		uintptr_t back = *(const uintptr_t *)uc->uc_mcontext.gregs[ARCH_SP];
		seen.cell = back & ~(uintptr_t)(CELL - 1);
	}
	if (ip - seen.stub < 16)
		seen.in_stubs++;
	else if (seen.cell && ip - seen.cell + 64 * CELL < 128 * CELL)
		seen.in_cells++;
	else
		seen.elsewhere++;
}

static void walk_at(struct step *step, uintptr_t ip)
{
	const ucontext_t *uc = step->context;

	if (is_site(ip))
		note_call(uc);
	if (n_calls && ip == calls[n_calls - 1].back &&
	    (uintptr_t)uc->uc_mcontext.gregs[ARCH_SP] > calls[n_calls - 1].sp)
		n_calls--;
	if (!n_calls)
		return;
	count_place(uc, ip);
	check(ip, step->context, step->count);
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
	const struct hooked_case *c = &cases[_i];
	struct step step = { .at = walk_at };
	struct ftr_group *group;
	bool returns;
	long result;

	step_install(0);
	group = attach(c);
	parent(5);
	entries = exits = 0;
	result = c->fresh ? step_in_fresh_thread(&step) : step_call(&step, parent, 5);
	expect_nothing_wrong(c->name);
	ck_assert_int_eq(result, 6);
	ck_assert_uint_eq(n_calls, 0);
	expect_counts(c);
	returns = c->entry != entry_cancels;
	ck_assert_uint_eq(seen.in_stubs, 2 * c->calls);
	/* Those of the first call come before its cell is known. */
	ck_assert_uint_ge(seen.in_cells, returns && c->entry != entry_overrides ? 3 * c->calls : 0);
	/* A caller alone saves and restores nine registers. */
	ck_assert_uint_gt(seen.elsewhere, (returns ? 2 : 1) * 18 * c->calls);
	live_drop(group);
}
END_TEST

int unwind_main(const char *name)
{
	Suite *suite = suite_create(name);
	TCase *in_handlers = tcase_create("in_handlers");
	TCase *each = tcase_create("at_each_instruction");
	int result;

	tcase_add_loop_test(in_handlers, test_unwind_in_handlers, 0, N_CASES);
	tcase_set_timeout(in_handlers, 30);
	suite_add_tcase(suite, in_handlers);
	tcase_add_loop_test(each, test_unwind_at_each_instruction, 0, N_CASES);
	tcase_set_timeout(each, 60);
	suite_add_tcase(suite, each);
	result = live_main(suite);
	LIVE_OPAQUE(result); /* no tail call */
	return result;
}
