/* SPDX-License-Identifier: MIT */
/*
 * H2, H4, H5 at the exit: the registers are those of the return, ip the parent's
 * address and sp what it is there; what a handler changes is in force; nothing
 * else changes, flags neither.
 */
#include "tests/live/hooks.h"

#include <asm/ptrace.h>
#include <stdio.h>

#if defined(__x86_64__)
enum image { AX, BX, CX, DX, SI, DI, BP, SP, R8, R9, R10, R11, R12, R13, R14, R15, FL, N_IMAGE };
#else
enum image { AX, BX, CX, DX, SI, DI, BP, SP, FL, N_IMAGE };
#endif

void exits_regs_call(const uintptr_t *given, uintptr_t *found);
extern const char exits_regs_back[];

/** Of the caller's: interrupts on, and one that is always set. */
enum { CF = 1, ALWAYS = 2, PF = 4, AF = 0x10, ZF = 0x40, SF = 0x80, IF = 0x200, DF = 0x400,
       OF = 0x800, ID = 1 << 21 };

static void fill(uintptr_t *image, uintptr_t from, uintptr_t flags)
{
	for (int i = 0; i < N_IMAGE; i++)
		image[i] = from + (uintptr_t)i * 0x01010101u;
	image[FL] = flags | ALWAYS | IF;
}

static void read_image(uintptr_t *image, const struct pt_regs *pt)
{
#if defined(__x86_64__)
	const uintptr_t all[N_IMAGE] = { pt->rax, pt->rbx, pt->rcx, pt->rdx, pt->rsi, pt->rdi,
					 pt->rbp, pt->rsp, pt->r8,  pt->r9,  pt->r10, pt->r11,
					 pt->r12, pt->r13, pt->r14, pt->r15, pt->eflags };
#else
	const uintptr_t all[N_IMAGE] = { (uintptr_t)pt->eax, (uintptr_t)pt->ebx,
					 (uintptr_t)pt->ecx, (uintptr_t)pt->edx,
					 (uintptr_t)pt->esi, (uintptr_t)pt->edi,
					 (uintptr_t)pt->ebp, (uintptr_t)pt->esp,
					 (uintptr_t)pt->eflags };
#endif
	memcpy(image, all, sizeof(all));
}

/** All but sp. */
static void write_image(const uintptr_t *image, struct pt_regs *pt)
{
#if defined(__x86_64__)
	pt->rax = image[AX], pt->rbx = image[BX], pt->rcx = image[CX], pt->rdx = image[DX];
	pt->rsi = image[SI], pt->rdi = image[DI], pt->rbp = image[BP];
	pt->r8 = image[R8], pt->r9 = image[R9], pt->r10 = image[R10], pt->r11 = image[R11];
	pt->r12 = image[R12], pt->r13 = image[R13], pt->r14 = image[R14], pt->r15 = image[R15];
	pt->eflags = image[FL];
#else
	pt->eax = (long)image[AX], pt->ebx = (long)image[BX], pt->ecx = (long)image[CX];
	pt->edx = (long)image[DX], pt->esi = (long)image[SI], pt->edi = (long)image[DI];
	pt->ebp = (long)image[BP], pt->eflags = (long)image[FL];
#endif
}

static void expect_image(const char *what, const uintptr_t *image, const uintptr_t *expected)
{
	for (int i = 0; i < N_IMAGE; i++)
		if (i != SP)
			ck_assert_msg(image[i] == expected[i], "%s: register %d is %#lx, not %#lx",
				      what, i, (long)image[i], (long)expected[i]);
}

/** What the handler saw, what it shall set. */
static uintptr_t seen[N_IMAGE], seen_sp, seen_ip, seen_pt_ip;
static const uintptr_t *changed;

static void look(struct hook *hook, struct ftr_regs *regs)
{
	struct pt_regs *pt = ftr_regs_pt_regs(regs);

	seen_sp = ftr_regs_sp(regs);
	seen_ip = ftr_regs_ip(regs);
	ck_assert(!pt == !hook->arg);
	if (!pt)
		return;
	read_image(seen, pt);
#if defined(__x86_64__)
	seen_pt_ip = pt->rip;
	ck_assert_int_eq((long)pt->orig_rax, -1);
	ck_assert_uint_ne(pt->cs, 0);
	ck_assert_uint_ne(pt->ss, 0);
#else
	seen_pt_ip = (uintptr_t)pt->eip;
	ck_assert_int_eq(pt->orig_eax, -1);
	ck_assert_int_ne(pt->xcs, 0);
#endif
	if (changed)
		write_image(changed, pt);
}

static const uintptr_t flag_sets[] = { 0, CF | ZF | OF, SF | PF | AF, CF | PF | AF | ZF | SF | OF,
				       DF, DF | CF, ID | OF };
enum { FLAG_SETS = sizeof(flag_sets) / sizeof(flag_sets[0]) };

static const struct {
	const char *name;
	uint32_t flags;
	bool whole, overlay;
} kinds[] = {
	{ "args", 0, false, false },
	{ "args, unwound", FTR_GROUP_UNWOUND_EXITS, false, false },
	{ "args, all vectors", FTR_GROUP_ALL_VECTORS, false, false },
	{ "regs", FTR_GROUP_REGS, true, false },
	{ "regs, all vectors", FTR_GROUP_REGS | FTR_GROUP_ALL_VECTORS, true, false },
#if defined(__i386__)
	{ "overlay", FTR_GROUP_SP_OVERLAY, true, true },
#endif
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static struct hook hook = { .at_exit = look };

static void begin(int kind)
{
	hook.arg = kinds[kind].whole ? &hook : NULL;
	hook_attach(&hook, "exits_regs_fn", kinds[kind].flags);
}

/* DF is the caller's to have cleared, psABI; what goes out may be any. */
START_TEST(test_registers_survive_and_are_seen)
{
	uintptr_t given[N_IMAGE], found[N_IMAGE], sp;

	for (int i = 0; i < FLAG_SETS; i++) {
		if (!kinds[_i].whole && flag_sets[i] & (DF | ID))
			continue; /* arithmetic flags alone */
		fill(given, 0x12345678u + (uintptr_t)i, flag_sets[i]);
		if (flag_sets[i] & DF)
			given[FL] &= ~(uintptr_t)DF;
		exits_regs_call(given, found);
		sp = found[SP];
		memset(found, 0, sizeof(found));
		memset(seen, 0, sizeof(seen));
		begin(_i);
		exits_regs_call(given, found);
		hook_drop(&hook);
		expect_image(kinds[_i].name, found, given);
		ck_assert_uint_eq(found[SP], sp);
		ck_assert_uint_eq(seen_sp, sp);
		ck_assert_uint_eq(seen_ip, (uintptr_t)exits_regs_back);
		ck_assert_uint_eq(hook.exit_parent_ip, (uintptr_t)exits_regs_back);
		if (!kinds[_i].whole)
			continue;
		expect_image("seen", seen, given);
		ck_assert_uint_eq(seen_pt_ip, (uintptr_t)exits_regs_back);
		if (!kinds[_i].overlay)
			ck_assert_uint_eq(seen[SP], sp);
	}
}
END_TEST

START_TEST(test_changes_are_in_force)
{
	uintptr_t given[N_IMAGE], found[N_IMAGE], to[N_IMAGE];

	if (!kinds[_i].whole)
		return;
	begin(_i);
	for (int i = 0; i < FLAG_SETS; i++) {
		fill(given, 0x12345678u, flag_sets[(i + 1) % FLAG_SETS] & ~(uintptr_t)DF);
		fill(to, 0x7654321u + (uintptr_t)i, flag_sets[i]);
		changed = to;
		exits_regs_call(given, found);
		expect_image(kinds[_i].name, found, to);
	}
	hook_drop(&hook);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("exits_regs");

	LIVE_LOOP(suite, test_registers_survive_and_are_seen, 0, KINDS, 10);
	LIVE_LOOP(suite, test_changes_are_in_force, 0, KINDS, 10);
	return live_main(suite);
}
