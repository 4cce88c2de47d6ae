/* SPDX-License-Identifier: MIT */
/*
 * H1, H2, H5, H6: what handlers see of the registers, by call and by trap; and
 * that nothing else changes.
 */
#include <asm/ptrace.h>

#include "lib/batch.h"
#include "tests/live/regs.h"
#include "tests/live/visitor.h"

#include <stdarg.h>
#include <stdio.h>
#include <xmmintrin.h>

/* --- what handlers see ------------------------------------------------------ */

/** All that a handler can see. */
struct view {
	struct pt_regs pt;
	bool has_pt;
	uintptr_t ip, parent_ip, regs_ip, regs_sp, regs_flags, args[8], word_at_sp;
	uintptr_t return_value;
	unsigned count;
};
static struct view seen;

static int handler_looks(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			 struct ftr_regs *regs)
{
	const struct pt_regs *pt = ftr_regs_pt_regs(regs);
	unsigned i;

	seen.has_pt = pt != NULL;
	if (pt)
		seen.pt = *pt;
	seen.ip = ip;
	seen.parent_ip = parent_ip;
	seen.regs_ip = ftr_regs_ip(regs);
	seen.regs_sp = ftr_regs_sp(regs);
	seen.regs_flags = ftr_regs_flags(regs);
	seen.return_value = ftr_regs_return_value(regs);
	seen.word_at_sp = *(const uintptr_t *)seen.regs_sp;
	for (i = 0; i < 8; i++)
		seen.args[i] = ftr_regs_arg(regs, i);
	seen.count++;
	return 0;
}

static void look(void *arg)
{
	memset(&seen, 0, sizeof(seen));
	fill_image();
	regs_call();
}

static void expect_view(const char *how)
{
	const uint64_t args[8] = { regs_in.rdi, regs_in.rsi, regs_in.rdx, regs_in.rcx,
				   regs_in.r8, regs_in.r9, regs_in.stack[0], regs_in.stack[1] };
	size_t i;

	ck_assert_msg(seen.count == 1, "%s: ran %u times", how, seen.count);
	ck_assert_uint_eq(seen.ip, (uintptr_t)regs_site);
	ck_assert_uint_eq(seen.parent_ip, (uintptr_t)regs_call_return);
	ck_assert_uint_eq(seen.regs_ip, (uintptr_t)regs_site + 5);
	ck_assert_uint_eq(seen.regs_sp, regs_out.sp - 8);
	ck_assert_uint_eq(seen.word_at_sp, (uintptr_t)regs_call_return);
	ck_assert_uint_eq(seen.regs_flags & ARITHMETIC, regs_in.flags & ARITHMETIC);
	ck_assert_uint_eq(seen.return_value, regs_in.rax);
	for (i = 0; i < 8; i++)
		ck_assert_msg(seen.args[i] == args[i], "%s: argument %zu", how, i);
}

static void expect_pt_regs(void)
{
	const struct pt_regs *pt = &seen.pt;
	unsigned cs, ss;

	__asm__("movl %%cs, %0; movl %%ss, %1" : "=r"(cs), "=r"(ss));
	ck_assert(seen.has_pt);
	ck_assert_uint_eq(pt->rip, (uintptr_t)regs_site + 5);
	ck_assert_uint_eq(pt->rsp, regs_out.sp - 8);
	ck_assert_uint_eq(pt->orig_rax, (unsigned long)-1);
	ck_assert_uint_eq(pt->cs, cs);
	ck_assert_uint_eq(pt->ss, ss);
	ck_assert_uint_eq(pt->eflags, regs_in.flags);
	ck_assert(pt->rax == regs_in.rax && pt->rbx == regs_in.rbx && pt->rcx == regs_in.rcx);
	ck_assert(pt->rdx == regs_in.rdx && pt->rsi == regs_in.rsi && pt->rdi == regs_in.rdi);
	ck_assert(pt->rbp == regs_in.rbp && pt->r8 == regs_in.r8 && pt->r9 == regs_in.r9);
	ck_assert(pt->r10 == regs_in.r10 && pt->r11 == regs_in.r11 && pt->r12 == regs_in.r12);
	ck_assert(pt->r13 == regs_in.r13 && pt->r14 == regs_in.r14 && pt->r15 == regs_in.r15);
}

static struct visitor visitor;
static struct view by_trap;
static enum ftr__batch_phase look_phase;

static void look_in_phase(enum ftr__batch_phase phase)
{
	if (phase != look_phase)
		return;
	visitor_call(&visitor, look, NULL);
	by_trap = seen;
}

/** The same function in the same thread, by call and by both ways of a trap. */
START_TEST(test_same_registers_by_call_and_trap)
{
	uint32_t flags = _i ? FTR_GROUP_REGS : 0;
	struct ftr_group *group;
	struct view by_call;
	uint64_t traps;

	start(regs_site);
	visitor_start(&visitor);
	traps = live_stats().traps;
	look_phase = FTR__PHASE_TAILS;
	ftr__batch_hold = look_in_phase;
	group = attach_to(regs_site, handler_looks, flags);
	ck_assert_uint_eq(live_stats().traps, traps + 1);
	expect_view("by trap");
	expect_general("by trap", &regs_in);
	expect_vectors("by trap", &regs_in);

	visitor_call(&visitor, look, NULL);
	ck_assert_uint_eq(live_stats().traps, traps + 1);
	by_call = seen;
	expect_view("by call");
	if (flags)
		expect_pt_regs();
	else
		ck_assert(!seen.has_pt);
	expect_general("by call", &regs_in);
	expect_vectors("by call", &regs_in);
	ck_assert_mem_eq(&by_call, &by_trap, sizeof(by_call));

	look_phase = FTR__PHASE_BREAKPOINTS;
	ck_ok(ftr_group_detach(group));
	ftr__batch_hold = NULL;
	ck_assert_uint_eq(live_stats().traps, traps + 2);
	ck_assert_mem_eq(&by_call, &by_trap, sizeof(by_call));
	visitor_stop(&visitor);
	ck_ok(ftr_group_free(group));
}
END_TEST

static struct view plain_view;

static int handler_looks_plain(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			       struct ftr_regs *regs)
{
	int result = handler_looks(ip, parent_ip, group, regs);

	plain_view = seen;
	seen.count = 0;
	return result;
}

/** A group that did not ask for pt_regs gets none, also beside one that did. */
START_TEST(test_pt_regs_only_for_who_asked)
{
	struct ftr_group *plain, *whole;

	start(regs_site);
	plain = attach_to(regs_site, _i ? handler_looks : handler_looks_plain,
			  _i ? FTR_GROUP_REGS : 0);
	whole = attach_to(regs_site, _i ? handler_looks_plain : handler_looks,
			  _i ? 0 : FTR_GROUP_REGS);
	/* Newest first; the older one is run last and leaves `seen`. */
	regs_call();
	if (_i) {
		expect_view("the group with pt_regs");
		expect_pt_regs();
		ck_assert(!plain_view.has_pt);
	} else {
		ck_assert(!plain_view.has_pt);
		ck_assert_uint_eq(plain_view.ip, (uintptr_t)regs_site);
		ck_assert_uint_eq(plain_view.parent_ip, (uintptr_t)regs_call_return);
	}
	live_drop(whole);
	memset(&seen, 0, sizeof(seen));
	regs_call();
	ck_assert_int_eq(seen.has_pt, _i != 0);
	live_drop(plain);
}
END_TEST

/* --- nothing else changes ------------------------------------------------------ */

static int handler_clobbers(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			    struct ftr_regs *regs)
{
	static char text[128], copy[128];

	snprintf(text, sizeof(text), "%p %f %Lf %s", (void *)ip, 1.5, 2.5L, "text");
	memcpy(copy, text, sizeof(copy));
	regs_clobber();
	seen.count++;
	return 0;
}

/* _i: arithmetic flags, one bit each, and the kind of the group. */
START_TEST(test_all_registers_survive)
{
	static const unsigned bits[6] = { 1, 4, 16, 64, 128, 0x800 };
	struct ftr_group *group;
	unsigned combination, i;

	start(regs_site);
	group = attach_to(regs_site, handler_clobbers, _i ? FTR_GROUP_REGS : 0);
	for (combination = 0; combination < 64; combination++) {
		fill_image();
		regs_in.flags = 0x202;
		for (i = 0; i < 6; i++)
			if (combination & 1u << i)
				regs_in.flags |= bits[i];
		regs_call();
		expect_general("clobbering handler", &regs_in);
		expect_vectors("clobbering handler", &regs_in);
	}
	ck_assert_uint_eq(seen.count, 64);
	live_drop(group);
}
END_TEST

/* al counts the vector registers of a variadic call; r11 and r10 are in use too. */
FTR_TRACEABLE static double sum_of_doubles(int n, ...)
{
	double sum = 0;
	va_list list;

	va_start(list, n);
	while (n--)
		sum += va_arg(list, double);
	va_end(list);
	return sum;
}

START_TEST(test_variadic_arguments_survive)
{
	struct ftr_group *group;

	start(regs_site);
	group = live_group("variadic", handler_clobbers, NULL, _i ? FTR_GROUP_REGS : 0);
	ck_assert_int_eq(ftr_group_filter(group, "sum_of_doubles", 0), 1);
	ck_ok(ftr_group_attach(group));
	ck_assert_double_eq(sum_of_doubles(10, 1., 2., 3., 4., 5., 6., 7., 8., 9., 10.), 55.);
	ck_assert_uint_eq(seen.count, 1);
	live_drop(group);
}
END_TEST

static unsigned handler_mxcsr;

static int handler_reads_mxcsr(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			       struct ftr_regs *regs)
{
	handler_mxcsr = _mm_getcsr();
	return 0;
}

START_TEST(test_control_words_survive)
{
	const unsigned mxcsr = _mm_getcsr() ^ 0x6000; /* rounding */
	uint16_t control = 0x0c7f, after = 0;
	struct ftr_group *group;

	start(regs_site);
	group = attach_to(regs_site, handler_reads_mxcsr, _i ? FTR_GROUP_REGS : 0);
	_mm_setcsr(mxcsr);
	__asm__ volatile("fldcw %0" ::"m"(control));
	regs_call();
	__asm__ volatile("fnstcw %0" : "=m"(after));
	ck_assert_uint_eq(_mm_getcsr(), mxcsr);
	ck_assert_uint_eq(handler_mxcsr, mxcsr);
	ck_assert_uint_eq(after, control);
	live_drop(group);
}
END_TEST

/* --- vectors ---------------------------------------------------------------------- */

static size_t vector_width;

static int handler_swaps_vectors(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
				 struct ftr_regs *regs)
{
	unsigned i;

	for (i = 0; i < 8; i++) {
		unsigned char *vector = ftr_regs_vector(regs, i, &vector_width);

		if (!vector || memcmp(vector, regs_in.vectors[i], vector_width))
			return 0;
		memset(vector, (int)(0xa0 + i), vector_width);
	}
	regs_clobber();
	seen.count += ftr_regs_vector(regs, 8, NULL) == NULL;
	return 0;
}

START_TEST(test_vectors_readable_and_writable)
{
	struct ftr_group *group;
	struct image expected;
	unsigned i;

	start(regs_site);
	expected = regs_in;
	for (i = 0; i < 8; i++)
		memset(expected.vectors[i], (int)(0xa0 + i), sizeof(expected.vectors[i]));
	group = attach_to(regs_site, handler_swaps_vectors, _i ? FTR_GROUP_REGS : 0);
	regs_call();
	ck_assert_uint_eq(vector_width, regs_width);
	ck_assert_uint_eq(seen.count, 1);
	expect_vectors("written by the handler", &expected);
	expect_general("written by the handler", &regs_in);
	live_drop(group);
}
END_TEST

/** Keeps its promise: general registers only. */
__attribute__((target("general-regs-only"))) static int
handler_without_vectors(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			struct ftr_regs *regs)
{
	size_t width = 99;

	seen.count += ftr_regs_vector(regs, 0, &width) == NULL &&
		      ftr_regs_vector(regs, 7, NULL) == NULL;
	return 0;
}

START_TEST(test_no_simd)
{
	uint32_t flags = FTR_GROUP_NO_SIMD | (_i ? FTR_GROUP_REGS : 0);
	struct ftr_group *group;

	start(regs_site);
	group = attach_to(regs_site, handler_without_vectors, flags);
	regs_call();
	ck_assert_uint_eq(seen.count, 1);
	expect_general("no simd", &regs_in);
	expect_vectors("no simd", &regs_in);
	live_drop(group);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("regs");

	regs_case(suite, "same by call and trap", test_same_registers_by_call_and_trap);
	regs_case(suite, "pt_regs for who asked", test_pt_regs_only_for_who_asked);
	regs_case(suite, "all survive", test_all_registers_survive);
	regs_case(suite, "variadic", test_variadic_arguments_survive);
	regs_case(suite, "control words", test_control_words_survive);
	regs_case(suite, "vectors", test_vectors_readable_and_writable);
	regs_case(suite, "no simd", test_no_simd);
	return live_main(suite);
}
