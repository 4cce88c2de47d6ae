/* SPDX-License-Identifier: MIT */
/*
 * H1-H6 on i386: what handlers see of the registers in each layout, by call and
 * by trap; that nothing else changes; that what they change is in force.
 */
#include <asm/ptrace.h>

#include "backends/x86/vectors.h"
#include "lib/batch.h"
#include "tests/live/i386/image.h"
#include "tests/live/visitor.h"

#include <stdio.h>

extern struct image image_in, image_out;
extern void (*image_fn)(void);
extern uint32_t image_width, image_masks, image_seen_sp, image_seen_word, image_true_sp,
	image_true_ip;
extern const char image_call_return[];
void image_call(void), image_clobber(void), image_site(void), image_site_sp(void),
	image_elsewhere(void);

enum { ARITHMETIC = 0x8d5, DIRECTION = 0x400 };

/* The flags of a group by layout: args, flat, overlay. */
enum { ARGS, FLAT, OVERLAY, LAYOUTS };
static const uint32_t layout_flags[LAYOUTS] = { 0, FTR_GROUP_REGS,
						FTR_GROUP_REGS | FTR_GROUP_SP_OVERLAY };
static int layout;

/* By number of the CPU's vector registers' width. */
static const uint32_t widths[] = { 0, 16, 32, 64 };

static void fill(void)
{
	for (unsigned i = 0; i < IMAGE_GENERAL; i++)
		image_in.general[i] = 0x11111111u * (i + 1) + 0x01234567u;
	image_in.flags = 0x202 | ARITHMETIC;
	image_in.sp = 0;
	image_in.stack[0] = 0x57575757;
	image_in.stack[1] = 0x76767676;
	for (unsigned i = 0; i < 8; i++)
		image_in.masks[i] = 0x0123456789abcdefull * (i + 1);
	for (unsigned i = 0; i < sizeof(image_in.vectors); i++)
		image_in.vectors[i / 64][i % 64] = (unsigned char)(i * 7 + 1);
	memset(&image_out, 0, sizeof(image_out));
}

static void start(void (*fn)(void))
{
	ck_assert_uint_gt(ftr_site_count(), 0);
	image_width = widths[ftr__x86_vector_level()];
	image_masks = ftr__x86_wide_masks;
	image_fn = fn;
	fill();
}

static struct ftr_group *attach_to(void (*fn)(void), ftr_entry_fn entry, uint32_t flags)
{
	uintptr_t ip = (uintptr_t)fn;
	struct ftr_group *group = live_group("regs", entry, NULL, flags);

	ck_assert_int_eq(ftr_group_filter_ips(group, &ip, 1, 0), 1);
	ck_ok(ftr_group_attach(group));
	return group;
}

static void expect(const char *what, const struct image *expected)
{
	static const char *const names[] = { "eax", "ebx", "ecx", "edx", "esi", "edi", "ebp" };

	for (unsigned i = 0; i < IMAGE_GENERAL; i++)
		ck_assert_msg(image_out.general[i] == expected->general[i], "%s: %s is %#x, not %#x",
			      what, names[i], image_out.general[i], expected->general[i]);
	ck_assert_msg(!((image_out.flags ^ expected->flags) & (ARITHMETIC | DIRECTION)),
		      "%s: flags are %#x, not %#x", what, image_out.flags, expected->flags);
	ck_assert_uint_eq(image_out.sp % 16, expected->sp);
	ck_assert_uint_eq(image_out.stack[0], expected->stack[0]);
	ck_assert_uint_eq(image_out.stack[1], expected->stack[1]);
	for (unsigned i = 0; i < 8; i++)
		ck_assert_msg(!memcmp(image_out.vectors[i], expected->vectors[i], image_width),
			      "%s: vector register %u has changed", what, i);
}

/* --- what handlers see ------------------------------------------------------------ */

struct view {
	struct pt_regs pt;
	bool has_pt;
	uintptr_t ip, parent_ip, regs_ip, regs_sp, flags, args[2], return_value, sp_field;
	unsigned count;
};
static struct view seen;

static int handler_looks(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			 struct ftr_regs *regs)
{
	struct pt_regs *pt = ftr_regs_pt_regs(regs);

	seen.has_pt = pt != NULL;
	if (pt) {
		seen.pt = *pt;
		seen.sp_field = (uintptr_t)&pt->esp;
	}
	seen.ip = ip;
	seen.parent_ip = parent_ip;
	seen.regs_ip = ftr_regs_ip(regs);
	seen.regs_sp = ftr_regs_sp(regs);
	seen.flags = ftr_regs_flags(regs);
	seen.args[0] = ftr_regs_arg(regs, 0);
	seen.args[1] = ftr_regs_arg(regs, 1);
	seen.return_value = ftr_regs_return_value(regs);
	seen.count++;
	return 0;
}

static void look(void *arg)
{
	memset(&seen, 0, sizeof(seen));
	fill();
	image_call();
}

static void expect_pt_regs(const char *how)
{
	const struct pt_regs *pt = &seen.pt;
	const uint32_t general[IMAGE_GENERAL] = { pt->eax, pt->ebx, pt->ecx, pt->edx,
						  pt->esi, pt->edi, pt->ebp };
	unsigned cs, ss, ds, es, fs, gs;

	__asm__("movl %%cs, %0; movl %%ss, %1; movl %%ds, %2"
		: "=r"(cs), "=r"(ss), "=r"(ds));
	__asm__("movl %%es, %0; movl %%fs, %1; movl %%gs, %2"
		: "=r"(es), "=r"(fs), "=r"(gs));
	ck_assert_msg(!memcmp(general, image_in.general, sizeof(general)), "%s: registers", how);
	ck_assert_int_eq(pt->eip, (long)image_site + 5);
	ck_assert_int_eq(pt->orig_eax, -1);
	ck_assert_int_eq(pt->eflags, (long)image_in.flags);
	ck_assert_uint_eq(pt->xcs, cs);
	ck_assert_uint_eq(pt->xds, ds);
	ck_assert_uint_eq(pt->xes, es);
	ck_assert_uint_eq(pt->xfs, fs);
	ck_assert_uint_eq(pt->xgs, gs);
	if (layout == FLAT) {
		ck_assert_uint_eq((uint32_t)pt->esp, image_out.sp - 4);
		ck_assert_uint_eq(pt->xss, ss);
	} else {
		/* The stack pointer is where the field is. */
		ck_assert_uint_eq(seen.sp_field, image_out.sp - 4);
		ck_assert_uint_eq((uintptr_t)pt->esp, (uintptr_t)image_call_return);
		ck_assert_uint_eq((uint32_t)pt->xss, image_in.stack[0]);
	}
}

static void expect_view(const char *how)
{
	ck_assert_msg(seen.count == 1, "%s: ran %u times", how, seen.count);
	ck_assert_uint_eq(seen.ip, (uintptr_t)image_site);
	ck_assert_uint_eq(seen.parent_ip, (uintptr_t)image_call_return);
	ck_assert_uint_eq(seen.regs_ip, (uintptr_t)image_site + 5);
	ck_assert_uint_eq(seen.regs_sp, image_out.sp - 4);
	ck_assert_uint_eq(seen.flags & ARITHMETIC, image_in.flags & ARITHMETIC);
	ck_assert_uint_eq(seen.args[0], image_in.stack[0]);
	ck_assert_uint_eq(seen.args[1], image_in.stack[1]);
	ck_assert_uint_eq(seen.return_value, image_in.general[0]);
	ck_assert_int_eq(seen.has_pt, layout != ARGS);
	if (seen.has_pt)
		expect_pt_regs(how);
	expect(how, &image_in);
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

START_TEST(test_same_registers_by_call_and_trap)
{
	struct ftr_group *group;
	struct view by_call;
	uint64_t traps;

	layout = _i;
	start(image_site);
	visitor_start(&visitor);
	traps = live_stats().traps;
	look_phase = FTR__PHASE_TAILS;
	ftr__batch_hold = look_in_phase;
	group = attach_to(image_site, handler_looks, layout_flags[layout]);
	ck_assert_uint_eq(live_stats().traps, traps + 1);
	expect_view("by trap");
	visitor_call(&visitor, look, NULL);
	ck_assert_uint_eq(live_stats().traps, traps + 1);
	expect_view("by call");
	by_call = seen;
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

/** The layout is asked for by SP_OVERLAY alone; one site has one layout. */
START_TEST(test_layouts_exclude_each_other)
{
	uintptr_t ip = (uintptr_t)image_site;
	struct ftr_group *one, *other, *args;

	start(image_site);
	one = attach_to(image_site, handler_looks, _i ? FTR_GROUP_SP_OVERLAY : FTR_GROUP_REGS);
	other = live_group("other", handler_looks, NULL,
			   _i ? FTR_GROUP_REGS : FTR_GROUP_SP_OVERLAY);
	ck_assert_int_eq(ftr_group_filter_ips(other, &ip, 1, 0), 1);
	ck_fails(ftr_group_attach(other), -EBUSY);
	args = attach_to(image_site, handler_looks, 0);
	image_call();
	ck_assert_uint_eq(seen.count, 2);
	ck_assert(seen.has_pt);
	ck_assert_uint_eq(seen.regs_sp, image_out.sp - 4);
	live_drop(one);
	ck_ok(ftr_group_attach(other));
	live_drop(other);
	live_drop(args);
}
END_TEST

/* --- nothing else changes ------------------------------------------------------------ */

static int handler_clobbers(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			    struct ftr_regs *regs)
{
	static char text[128], copy[128];

	snprintf(text, sizeof(text), "%p %f %Lf %s", (void *)ip, 1.5, 2.5L, "text");
	memcpy(copy, text, sizeof(copy));
	image_clobber();
	seen.count++;
	return 0;
}

/* All combinations of arithmetic flags; all remainders of the stack pointer. */
static void survive(uint32_t flags, unsigned level)
{
	static const unsigned bits[6] = { 1, 4, 16, 64, 128, 0x800 };
	struct ftr_group *group;
	unsigned was = seen.count;

	ftr__vectors_limit = level;
	start(image_site);
	group = attach_to(image_site, handler_clobbers, flags);
	for (unsigned combination = 0; combination < 64; combination++) {
		fill();
		image_in.sp = 4 * (combination % 4);
		image_in.flags = 0x202;
		for (unsigned i = 0; i < 6; i++)
			if (combination & 1u << i)
				image_in.flags |= bits[i];
		image_call();
		expect("clobbering handler", &image_in);
		if (flags & FTR_GROUP_ALL_VECTORS && image_masks && level == FTR__X86_AVX512)
			ck_assert_mem_eq(image_out.masks, image_in.masks, sizeof(image_in.masks));
	}
	ck_assert_uint_eq(seen.count, was + 64);
	live_drop(group);
}

START_TEST(test_all_registers_survive)
{
	survive(layout_flags[_i % LAYOUTS] | (_i / LAYOUTS ? FTR_GROUP_ALL_VECTORS : 0),
		FTR__X86_AVX512);
}
END_TEST

/** What a lesser CPU has; the handler clobbers that much. */
START_TEST(test_all_registers_survive_on_lesser_cpus)
{
	uint32_t flags = layout_flags[_i % LAYOUTS];

	for (unsigned level = FTR__X86_SSE; level <= FTR__X86_AVX; level++) {
		survive(flags, level);
		survive(flags | FTR_GROUP_ALL_VECTORS, level);
	}
}
END_TEST

static unsigned misaligned;

/** Keeps the promise of NO_SIMD.  The psABI's "The Stack Frame": 16 bytes at a call. */
__attribute__((target("general-regs-only"))) static int
handler_looks_at_its_stack(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			   struct ftr_regs *regs)
{
	misaligned |= ((uintptr_t)__builtin_frame_address(0) + 8) % 16;
	seen.count += ftr_regs_vector(regs, 0, NULL) == NULL;
	return 0;
}

START_TEST(test_no_simd)
{
	uint32_t flags = layout_flags[_i] | FTR_GROUP_NO_SIMD;
	struct ftr_group *group;

	start(image_site);
	group = attach_to(image_site, handler_looks_at_its_stack, flags);
	for (unsigned i = 0; i < 4; i++) {
		fill();
		image_in.sp = 4 * i;
		image_call();
		expect("no simd", &image_in);
	}
	ck_assert_uint_eq(seen.count, 4);
	ck_assert_uint_eq(misaligned, 0);
	live_drop(group);
}
END_TEST

static int handler_changes_mxcsr(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
				 struct ftr_regs *regs)
{
	unsigned mxcsr;

	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
	mxcsr |= 0x3f; /* exceptions seen */
	__asm__ volatile("ldmxcsr %0" ::"m"(mxcsr));
	seen.count++;
	return 0;
}

START_TEST(test_control_words_survive)
{
	unsigned mxcsr = 0x1f80 ^ 0x6000, after_mxcsr = 0; /* rounding */
	uint16_t control = 0x0c7f, after = 0;
	struct ftr_group *group;

	start(image_site);
	group = attach_to(image_site, handler_changes_mxcsr,
			  layout_flags[_i] | FTR_GROUP_ALL_VECTORS);
	__asm__ volatile("ldmxcsr %0; fldcw %1" ::"m"(mxcsr), "m"(control));
	image_call();
	__asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(after_mxcsr), "=m"(after));
	ck_assert_uint_eq(after_mxcsr, mxcsr);
	ck_assert_uint_eq(after, control);
	ck_assert_uint_eq(seen.count, 1);
	live_drop(group);
}
END_TEST

static int handler_swaps_vectors(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
				 struct ftr_regs *regs)
{
	size_t width = 0;

	for (unsigned i = 0; i < 8; i++) {
		unsigned char *vector = ftr_regs_vector(regs, i, &width);

		if (!vector || width != image_width || memcmp(vector, image_in.vectors[i], width))
			return 0;
		memset(vector, (int)(0xa0 + i), width);
	}
	image_clobber();
	seen.count += ftr_regs_vector(regs, 8, NULL) == NULL;
	return 0;
}

START_TEST(test_vectors_readable_and_writable)
{
	struct ftr_group *group;
	struct image expected;

	start(image_site);
	expected = image_in;
	for (unsigned i = 0; i < 8; i++)
		memset(expected.vectors[i], (int)(0xa0 + i), sizeof(expected.vectors[i]));
	group = attach_to(image_site, handler_swaps_vectors, layout_flags[_i]);
	image_call();
	ck_assert_uint_eq(seen.count, 1);
	expect("written by the handler", &expected);
	live_drop(group);
}
END_TEST

/* --- calling conventions ---------------------------------------------------------------- */

/* Weak: else clang, which has no noipa, computes their results beforehand. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#define TRACED FTR_TRACEABLE __attribute__((weak))
TRACED __attribute__((regparm(3))) int in_registers(int a, int b, int c, int d)
{
	return a + 10 * b + 100 * c + 1000 * d;
}
TRACED __attribute__((fastcall)) int by_fastcall(int a, int b, int c)
{
	return a + 10 * b + 100 * c;
}
TRACED __attribute__((stdcall)) int by_stdcall(int a, int b, int c)
{
	return a + 10 * b + 100 * c;
}
TRACED __attribute__((cdecl)) int by_cdecl(int a, int b, int c)
{
	return a + 10 * b + 100 * c;
}
TRACED double floating(double a, float b, long double c)
{
	return a + 10 * (double)b + 100 * (double)c;
}
struct pair {
	long long a, b;
};
TRACED struct pair by_memory(long long a, long long b)
{
	return (struct pair){ b, a };
}

START_TEST(test_calling_conventions)
{
	static const char *const names[] = { "in_registers", "by_fastcall", "by_stdcall", "by_cdecl",
					     "floating", "by_memory" };
	struct ftr_group *group;
	struct pair pair;

	start(image_site);
	group = live_group("conventions", handler_clobbers, NULL, layout_flags[_i]);
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		ck_assert_int_eq(ftr_group_filter(group, names[i], 0), 1);
	ck_ok(ftr_group_attach(group));
	ck_assert_int_eq(in_registers(1, 2, 3, 4), 4321);
	ck_assert_int_eq(by_fastcall(1, 2, 3), 321);
	ck_assert_int_eq(by_stdcall(1, 2, 3), 321);
	ck_assert_int_eq(by_cdecl(1, 2, 3), 321);
	ck_assert(floating(1, 2, 3) == 321);
	pair = by_memory(0x123456789a, -5);
	ck_assert_int_eq(pair.a, -5);
	ck_assert_int_eq(pair.b, 0x123456789a);
	ck_assert_uint_eq(seen.count, 6);
	live_drop(group);
}
END_TEST

/* --- changes count ------------------------------------------------------------------------ */

static uint32_t new_flags;
static int32_t sp_change;
static uint32_t old_sp;

static int handler_sets_all(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			    struct ftr_regs *regs)
{
	struct pt_regs *pt = ftr_regs_pt_regs(regs);

	pt->eax = 1;
	pt->ebx = 2;
	pt->ecx = 3;
	pt->edx = 4;
	pt->esi = 5;
	pt->edi = 6;
	pt->ebp = 7;
	pt->eflags = (long)new_flags;
	ftr_regs_set_arg(regs, 1, 0x4001);
	seen.count++;
	return 0;
}

static void all_set(struct image *expected)
{
	*expected = image_in;
	for (unsigned i = 0; i < IMAGE_GENERAL; i++)
		expected->general[i] = i + 1;
	expected->flags = new_flags;
	expected->stack[1] = 0x4001;
}

START_TEST(test_all_registers_can_be_set)
{
	static const uint32_t flags[] = { 0x202, 0x202 | ARITHMETIC, 0x202 | DIRECTION,
					  0x202 | DIRECTION | 0x801, 0x246, 0xa03 };
	struct ftr_group *group;
	struct image expected;
	size_t i;

	start(image_site);
	group = attach_to(image_site, handler_sets_all, layout_flags[FLAT + _i]);
	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		fill();
		image_in.sp = 4 * (i % 4);
		new_flags = flags[i];
		all_set(&expected);
		image_call();
		expect("all set", &expected);
	}
	ck_assert_uint_eq(seen.count, i);
	live_drop(group);
}
END_TEST

/** Moves sp, and leaves words all over what it gained. */
static int handler_moves_sp(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			    struct ftr_regs *regs)
{
	struct pt_regs *pt = ftr_regs_pt_regs(regs);

	old_sp = (uint32_t)pt->esp;
	image_true_sp = old_sp + 4;
	image_true_ip = *(const uint32_t *)old_sp;
	pt->esp += sp_change;
	for (uint32_t at = (uint32_t)pt->esp; sp_change < 0 && at < old_sp; at += 4)
		*(volatile uint32_t *)at = at ^ 0x5a5a;
	/* The slot's word is gone, and who it is for is still known. */
	seen.count += ftr_regs_pt_regs(regs) == pt;
	return new_flags ? handler_sets_all(ip, parent_ip, group, regs) : 0;
}

/** _i: with flags that need another way out of the caller, too. */
START_TEST(test_sp_can_be_moved)
{
	static const int32_t changes[] = { 0, -4, -8, -64, -128, -252, -FTR_SP_ROOM, 4 };
	struct ftr_group *group;
	struct image expected;
	unsigned i;

	start(image_site_sp);
	new_flags = _i ? 0x202 | DIRECTION : 0;
	group = attach_to(image_site_sp, handler_moves_sp, FTR_GROUP_REGS);
	for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		fill();
		expected = image_in;
		if (_i)
			all_set(&expected);
		sp_change = changes[i];
		image_call();
		ck_assert_uint_eq(old_sp, image_out.sp - 4);
		ck_assert_msg(image_seen_sp == old_sp + (uint32_t)sp_change,
			      "moved by %d: is at %+d", sp_change, (int)(image_seen_sp - old_sp));
		if (sp_change < 0)
			ck_assert_uint_eq(image_seen_word, image_seen_sp ^ 0x5a5a);
		expect("sp moved", &expected);
	}
	ck_assert_uint_eq(seen.count, _i ? 2 * i : i);
	live_drop(group);
}
END_TEST

/* --- where execution goes on ------------------------------------------------------------------ */

static int result_of_change;

static int handler_sets_ip(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			   struct ftr_regs *regs)
{
	result_of_change = ftr_regs_set_ip(regs, (uintptr_t)image_elsewhere);
	return 0;
}

static int handler_writes_ip(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			     struct ftr_regs *regs)
{
	ftr_regs_pt_regs(regs)->eip = (long)image_elsewhere;
	return 0;
}

static int handler_overrides(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			     struct ftr_regs *regs)
{
	result_of_change = ftr_regs_override_return(regs, 4711);
	return 0;
}

/** What image_call() leaves in eax with this handler, once attached. */
static uint32_t eax_with(ftr_entry_fn entry, uint32_t flags)
{
	struct ftr_group *group = attach_to(image_site, entry, flags);
	struct image expected;

	fill();
	image_call();
	expected = image_in;
	expected.general[0] = image_out.general[0];
	expect("ip", &expected);
	live_drop(group);
	return image_out.general[0];
}

START_TEST(test_ip_with_and_without_permission)
{
	const uint32_t flags = layout_flags[_i], may = flags | FTR_GROUP_IPMODIFY;
	uint32_t eax;

	start(image_site);
	eax = image_in.general[0];
	ck_assert_uint_eq(eax_with(handler_sets_ip, flags), eax);
	ck_assert_int_eq(result_of_change, -EPERM);
	ck_assert_uint_eq(eax_with(handler_overrides, flags), eax);
	ck_assert_int_eq(result_of_change, -EPERM);
	ck_assert_uint_eq(eax_with(handler_sets_ip, may), 77);
	ck_assert_int_eq(result_of_change, 0);
	ck_assert_uint_eq(eax_with(handler_overrides, may), 4711);
	ck_assert_int_eq(result_of_change, 0);
	if (_i == ARGS)
		return;
	ck_assert_uint_eq(eax_with(handler_writes_ip, flags), eax);
	ck_assert_uint_eq(eax_with(handler_writes_ip, may), 77);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("regs_i386");

	live_poke("int3"); /* traps are what is tested */
	LIVE_LOOP(suite, test_same_registers_by_call_and_trap, 0, LAYOUTS, 30);
	LIVE_LOOP(suite, test_layouts_exclude_each_other, 0, 2, 30);
	LIVE_LOOP(suite, test_all_registers_survive, 0, 2 * LAYOUTS, 30);
	LIVE_LOOP(suite, test_all_registers_survive_on_lesser_cpus, 0, LAYOUTS, 30);
	LIVE_LOOP(suite, test_no_simd, 0, LAYOUTS, 30);
	LIVE_LOOP(suite, test_control_words_survive, 0, LAYOUTS, 30);
	LIVE_LOOP(suite, test_vectors_readable_and_writable, 0, LAYOUTS, 30);
	LIVE_LOOP(suite, test_calling_conventions, 0, LAYOUTS, 30);
	LIVE_LOOP(suite, test_all_registers_can_be_set, 0, 2, 30);
	LIVE_LOOP(suite, test_sp_can_be_moved, 0, 2, 30);
	LIVE_LOOP(suite, test_ip_with_and_without_permission, 0, LAYOUTS, 30);
	return live_main(suite);
}
