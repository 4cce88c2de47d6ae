/* SPDX-License-Identifier: MIT */
/*
 * R3: a processor predicts a return by the call that it has seen last and not
 * yet seen return.  Hooked calls are stepped through, and each return is
 * compared with what a stack of the calls so far says: it goes where that
 * predicts, and at the end as many calls have returned as were made.
 */
#include "tests/live/hooks.h"
#include "tests/live/step.h"

#include "arch.h"

#include <stdio.h>
#include <string.h>

#define HOOKED FTR_TRACEABLE static

HOOKED long returns_leaf(long n)
{
	LIVE_OPAQUE(n);
	return n + 1;
}

HOOKED long returns_chain(long n)
{
	long result = n ? returns_chain(n - 1) : returns_leaf(n);

	LIVE_OPAQUE(result);
	return result;
}

/** Hooked functions that jump to another (hooks_stub.S), and that one. */
long hook_jumps(long n);
long hook_jumps_twice(long n);
long hook_jumped_to(long n) __attribute__((visibility("hidden")));

FTR_TRACEABLE long hook_jumped_to(long n)
{
	LIVE_OPAQUE(n);
	return n + 1;
}

static __attribute__((noinline)) long calls_leaf(long n)
{
	return returns_leaf(n) + returns_leaf(n) - n - 1;
}

static __attribute__((noinline)) long calls_chain(long n)
{
	return returns_chain(3) + n;
}

static __attribute__((noinline)) long calls_jumps(long n)
{
	return hook_jumps_twice(n);
}

/* --- what a processor would predict ----------------------------------------------- */

enum { DEPTH = 256 };
static struct {
	uintptr_t calls[DEPTH];
	unsigned n;
	unsigned returns;   /* seen */
	unsigned unexpected; /* that went elsewhere than predicted */
	unsigned lost;      /* without any call */
	uintptr_t last;     /* the first such one */
} stack;

enum insn { OTHER, CALL, RETURN };
static enum insn before;
static uintptr_t before_ip;

/* Segments, notrack, an operand's or a branch's size, bnd, rep: they change nothing
 * here. */
static const uint8_t *skip_prefixes(const uint8_t *p)
{
	while ((*p & 0xe7) == 0x26 || (*p & 0xfe) == 0x64 || *p == 0x66 || *p == 0x67 || *p == 0xf2 || *p == 0xf3 ||
	       (sizeof(long) == 8 && (*p & 0xf0) == 0x40))
		p++;
	return p;
}

static enum insn insn_at(uintptr_t ip)
{
	const uint8_t *p = skip_prefixes((const uint8_t *)ip);

	if (*p == 0xe8 || (*p == 0xff && (p[1] >> 3 & 7) == 2))
		return CALL;
	return *p == 0xc3 || *p == 0xc2 ? RETURN : OTHER;
}

/** A call of the next instruction is one to learn its address; what it pushed
 *  lies where the stack pointer is.  No check here: a step may be one of Check's. */
static void saw_call(uintptr_t ip, uintptr_t pushed)
{
	if (pushed != ip && stack.n < DEPTH)
		stack.calls[stack.n++] = pushed;
}

static void saw_return(uintptr_t ip)
{
	stack.returns++;
	if (!stack.n) {
		stack.lost++;
	} else if (stack.calls[--stack.n] != ip) {
		if (!stack.unexpected++)
			stack.last = before_ip;
	}
}

static void predict(struct step *step, uintptr_t ip)
{
	const ucontext_t *uc = step->context;
	uintptr_t sp = (uintptr_t)uc->uc_mcontext.gregs[ARCH_SP];

	if (before == CALL)
		saw_call(ip, *(const uintptr_t *)sp);
	else if (before == RETURN)
		saw_return(ip);
	before = insn_at(ip);
	before_ip = ip;
}

/* --- cases ------------------------------------------------------------------------ */

static const struct returns_way {
	const char *name;
	uint32_t flags;
	bool cancel;
	bool twice;  /* two groups */
	/* Of each hooked call, where the architecture has no word that is safe below
	 * the stack pointer: one of its own in the caller. */
	unsigned unexpected;
} ways[] = {
	{ .name = "no vectors", .flags = FTR_GROUP_NO_SIMD },
	{ .name = "args" },
	{ .name = "all vectors", .flags = FTR_GROUP_ALL_VECTORS },
	{ .name = "two groups", .twice = true },
	{ .name = "watched", .flags = FTR_GROUP_UNWOUND_EXITS },
	{ .name = "cancelled", .cancel = true, .unexpected = 1 },
	{ .name = "cancelled, no vectors", .flags = FTR_GROUP_NO_SIMD, .cancel = true,
	  .unexpected = 1 },
	{ .name = "regs", .flags = FTR_GROUP_REGS, .unexpected = 1 },
	{ .name = "regs, cancelled", .flags = FTR_GROUP_REGS, .cancel = true, .unexpected = 1 },
#if defined(__i386__)
	{ .name = "overlay", .flags = FTR_GROUP_SP_OVERLAY, .unexpected = 1 },
#endif
};

static const struct {
	live_fn fn;
	unsigned calls; /* hooked ones */
} shapes[] = { { calls_leaf, 2 }, { calls_chain, 5 }, { calls_jumps, 3 } };

enum {
	N_WAYS = sizeof(ways) / sizeof(ways[0]),
	N_SHAPES = sizeof(shapes) / sizeof(shapes[0])
};

#if defined(__i386__)
enum { NO_RED_ZONE = 1 };
#else
enum { NO_RED_ZONE = 0 };
#endif

static void attach(struct hook *hook, const struct returns_way *way)
{
	hook->cancel = way->cancel;
	hook_attach(hook, "returns_*", way->flags);
	ck_assert_int_eq(ftr_group_filter(hook->group, "hook_jump*", 0), 3);
}

START_TEST(test_each_return_is_expected)
{
	const struct returns_way *way = &ways[_i / N_SHAPES];
	unsigned calls = shapes[_i % N_SHAPES].calls;
	live_fn fn = shapes[_i % N_SHAPES].fn;
	struct step step = { .at = predict };
	struct hook hooks[2] = { 0 };
	unsigned entries;

	step_install(0);
	attach(&hooks[0], way);
	if (way->twice)
		attach(&hooks[1], way);
	fn(5); /* the thread is known, its records are there */
	entries = hooks[0].entries;
	ck_assert_int_eq(step_call(&step, fn, 5), 6);
	ck_assert_uint_eq(hooks[0].entries - entries, calls);
	ck_assert_uint_eq(hooks[0].exits, way->cancel ? 0 : hooks[0].entries);
	ck_assert_uint_ge(stack.returns, 2 * calls);
	ck_assert_msg(stack.unexpected == NO_RED_ZONE * way->unexpected * calls,
		      "%s: %u of %u returns went elsewhere than predicted, first that at %#lx",
		      way->name, stack.unexpected, stack.returns, (long)stack.last);
	/* What the steps began in returns where they end. */
	ck_assert_uint_le(stack.lost, 1);
	ck_assert_uint_eq(stack.n, 0);
	hook_drop(&hooks[0]);
	if (way->twice)
		hook_drop(&hooks[1]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("exits_returns");

	LIVE_LOOP(suite, test_each_return_is_expected, 0, N_WAYS * N_SHAPES, 30);
	return live_main(suite);
}
