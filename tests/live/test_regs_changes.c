/* SPDX-License-Identifier: MIT */
/*
 * H4: what handlers change is in force when they return, and nothing but that,
 * by call and by trap; where execution goes on is for groups with
 * FTR_GROUP_IPMODIFY to say.
 */
#include "tests/live/regs.h"
#include "tests/live/step.h"

#include <signal.h>
#include <ucontext.h>

static struct regs_cell cell;
static struct role roles[2];

/* What the handler's part of a test noted. */
static struct {
	int result;
	uintptr_t read_back;
} noted;

/** The cell's handler with this part in it, on fn. */
static void change(void (*fn)(void), void (*more)(struct role *, struct ftr_regs *),
		   uint32_t flags, unsigned calls, void (*visit)(enum regs_way))
{
	roles[0].more = more;
	roles[0].count = 0;
	regs_ways_of(fn, regs_handler(&cell), &roles[0], cell.flags | flags, calls, visit);
	ck_assert_uint_eq(roles[0].count, REGS_WAYS * calls);
}

/* --- arguments ------------------------------------------------------------------------ */

enum { ARGUMENTS = 10 };
static unsigned argument;
static bool two_groups;

REGS_BARE static void set_one_argument(struct role *role, struct ftr_regs *regs)
{
	noted.result = ftr_regs_set_arg(regs, argument, 0x4000 + argument);
	noted.read_back = ftr_regs_arg(regs, argument);
}

static uint64_t *argument_of(struct image *image, unsigned n)
{
	uint64_t *const in_registers[] = { &image->rdi, &image->rsi, &image->rdx,
					   &image->rcx, &image->r8,  &image->r9 };

	return n < 6 ? in_registers[n] : &image->stack[n - 6];
}

static void call_with_each_argument(enum regs_way way)
{
	struct image want;

	for (argument = 0; argument < ARGUMENTS; argument++) {
		memset(&roles[1].view, 0, sizeof(roles[1].view));
		regs_round(argument * 7);
		regs_call();
		want = regs_in;
		*argument_of(&want, argument) = 0x4000 + argument;
		regs_expect_uint("result", (unsigned)noted.result, 0);
		regs_expect_uint("read back", noted.read_back, 0x4000 + argument);
		if (two_groups)
			regs_expect_uint("the next handler's argument",
					 roles[1].view.args[argument], 0x4000 + argument);
		regs_expect(&cell, &want);
	}
}

START_TEST(test_set_arguments)
{
	struct ftr_group *groups[2];

	cell = regs_start(_i);
	change(regs_site, set_one_argument, 0, ARGUMENTS, call_with_each_argument);
	two_groups = true;
	/* The newest, last in an update, runs first. */
	groups[0] = regs_group(regs_site, regs_handler(&cell), &roles[1], cell.flags);
	groups[1] = regs_group(regs_site, regs_handler(&cell), &roles[0], cell.flags);
	regs_ways(groups, 2, ARGUMENTS, call_with_each_argument);
	ck_assert_uint_eq(roles[1].count, REGS_WAYS * ARGUMENTS);
	ck_ok(ftr_group_free(groups[0]));
	ck_ok(ftr_group_free(groups[1]));
}
END_TEST

REGS_BARE static void set_return_value(struct role *role, struct ftr_regs *regs)
{
	noted.result = ftr_regs_set_return_value(regs, 0xabcdef);
	noted.read_back = ftr_regs_return_value(regs);
}

static void call_with_return_value(enum regs_way way)
{
	struct image want;

	regs_round(5);
	regs_call();
	want = regs_in;
	want.rax = 0xabcdef;
	regs_expect_uint("result", (unsigned)noted.result, 0);
	regs_expect_uint("read back", noted.read_back, 0xabcdef);
	regs_expect(&cell, &want);
}

START_TEST(test_set_return_value_register)
{
	cell = regs_start(_i);
	change(regs_site, set_return_value, 0, 1, call_with_return_value);
}
END_TEST

/* --- every general register ---------------------------------------------------------------- */

static unsigned changed_register; /* REGS_GENERALS: all of them */

REGS_BARE static void set_register(struct role *role, struct ftr_regs *regs)
{
	char *pt = (char *)ftr_regs_pt_regs(regs);
	unsigned i;

	for (i = 0; i < REGS_GENERALS; i++)
		if (changed_register == i || changed_register == REGS_GENERALS)
			*(uint64_t *)(pt + regs_generals[i].pt) = 0x1000 + i;
}

static void call_with_each_register(enum regs_way way)
{
	struct image want;
	unsigned i;

	for (changed_register = 0; changed_register <= REGS_GENERALS; changed_register++) {
		regs_round(changed_register * 5);
		regs_call();
		want = regs_in;
		for (i = 0; i < REGS_GENERALS; i++)
			if (changed_register == i || changed_register == REGS_GENERALS)
				*(uint64_t *)((char *)&want + regs_generals[i].image) = 0x1000 + i;
		regs_expect(&cell, &want);
	}
}

START_TEST(test_each_register_can_be_set)
{
	cell = regs_start(2 * _i + 1);
	change(regs_site, set_register, 0, REGS_GENERALS + 1, call_with_each_register);
}
END_TEST

/* --- every flag ------------------------------------------------------------------------------ */

static const uint64_t flag_bits[] = { 1, 4, 0x10, 0x40, 0x80, DIRECTION, 0x800, IDENTITY };
enum { FLAGS = sizeof(flag_bits) / sizeof(flag_bits[0]), FLAG_CALLS = 2 * FLAGS + 2 };
static uint64_t flipped;

REGS_BARE static void flip_flags(struct role *role, struct ftr_regs *regs)
{
	ftr_regs_pt_regs(regs)->eflags ^= flipped;
	noted.read_back = ftr_regs_flags(regs);
}

/* DF is clear at every call; it can only be set. */
static void call_with_flags(uint64_t before, uint64_t change_of_it)
{
	struct image want;

	flipped = change_of_it;
	regs_round(9);
	regs_in.flags = before;
	regs_call();
	want = regs_in;
	want.flags ^= flipped;
	regs_expect_uint("flags read back", noted.read_back, want.flags);
	regs_expect(&cell, &want);
}

static void call_with_each_flag(enum regs_way way)
{
	const uint64_t all = ALWAYS | ARITHMETIC | IDENTITY;
	unsigned i;

	for (i = 0; i < FLAGS; i++) {
		call_with_flags(ALWAYS, flag_bits[i]);
		call_with_flags(all, flag_bits[i]);
	}
	call_with_flags(ALWAYS, REGS_FLAGS);
	call_with_flags(all, REGS_FLAGS);
}

START_TEST(test_each_flag_can_be_set)
{
	cell = regs_start(2 * _i + 1);
	change(regs_site, flip_flags, 0, FLAG_CALLS, call_with_each_flag);
}
END_TEST

/* The trap flag is in force from the instruction on that comes behind popf: at
 * the latest in the traced function. */
static unsigned single_steps;

static void on_single_step(int sig, siginfo_t *info, void *context)
{
	((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~TRAP;
	single_steps++;
}

static void call_and_trap(enum regs_way way)
{
	single_steps = 0;
	call_with_flags(ALWAYS | ARITHMETIC, TRAP);
	regs_expect_uint("single steps", single_steps, 1);
}

START_TEST(test_trap_flag_can_be_set)
{
	struct sigaction action = { .sa_sigaction = on_single_step, .sa_flags = SA_SIGINFO };

	ck_assert_int_eq(sigaction(SIGTRAP, &action, NULL), 0);
	cell = regs_start(2 * _i + 1);
	change(regs_site, flip_flags, 0, 1, call_and_trap);
}
END_TEST

/* --- the stack pointer ----------------------------------------------------------------------- */

static intptr_t sp_change;
static uint64_t sp_flags; /* flipped with it: another way out of the caller */
static uint64_t old_sp, new_word;

/** Moves sp, and leaves words all over what it gained. */
REGS_BARE static void move_sp(struct role *role, struct ftr_regs *regs)
{
	struct pt_regs *pt = ftr_regs_pt_regs(regs);
	uint64_t at;

	old_sp = pt->rsp;
	regs_true_sp = old_sp + 8;
	regs_true_ip = *(const uint64_t *)old_sp;
	pt->rsp += (uint64_t)sp_change;
	pt->eflags ^= sp_flags;
	for (at = pt->rsp; sp_change < 0 && at < old_sp; at += 8)
		*(volatile uint64_t *)at = at ^ 0x5a5a;
	new_word = *(volatile uint64_t *)pt->rsp;
	noted.read_back = ftr_regs_sp(regs);
}

/** The same without all else that the cell's handler does. */
REGS_BARE static int handler_moves(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
				   struct ftr_regs *regs)
{
	move_sp(NULL, regs);
	return 0;
}

REGS_BARE static void move_sp_and_ip(struct role *role, struct ftr_regs *regs)
{
	move_sp(role, regs);
	noted.result = ftr_regs_set_ip(regs, (uintptr_t)regs_elsewhere_sp);
}

enum { SP_STEP = 8, SP_RAISED = 128, SP_CALLS = 2 * ((FTR_SP_ROOM + SP_RAISED) / SP_STEP + 1) };
static bool ip_too;
static struct step *stepped; /* NULL: not stepped */

static void call_with_sp(unsigned round)
{
	struct image want;

	regs_round(round);
	if (stepped) {
		regs_in.flags |= TRAP;
		step_call(stepped, regs_stepped_call, 0);
	} else {
		regs_call();
	}
	want = regs_in;
	want.flags ^= sp_flags;
	if (ip_too)
		want.rax = 77;
	regs_expect_uint("sp before", old_sp, regs_out.sp - 8);
	regs_expect_uint("sp read back", noted.read_back, old_sp + (uint64_t)sp_change);
	regs_expect_uint("sp", regs_seen_sp, old_sp + (uint64_t)sp_change);
	regs_expect_uint("word at sp", regs_seen_word, new_word);
	/* What lies below a raised sp is free to be written on. */
	if (sp_change > 0)
		memcpy(want.stack, regs_out.stack, sizeof(want.stack));
	regs_expect(&cell, &want);
}

static void call_with_each_sp(enum regs_way way)
{
	unsigned round = 0;

	for (sp_change = -FTR_SP_ROOM; sp_change <= SP_RAISED; sp_change += SP_STEP) {
		sp_flags = round % 4 < 2 ? 0x801 : 0;
		call_with_sp(round++);
		sp_flags = DIRECTION | 0x40;
		call_with_sp(round++);
	}
}

START_TEST(test_sp_can_be_moved)
{
	cell = regs_start(2 * _i + 1);
	ip_too = false;
	change(regs_site_sp, move_sp, 0, SP_CALLS, call_with_each_sp);
	ip_too = true;
	change(regs_site_sp, move_sp_and_ip, FTR_GROUP_IPMODIFY, SP_CALLS, call_with_each_sp);
}
END_TEST

/** A signal handler that uses the stack comes between any two instructions: what
 *  the caller wrote below the sp to come must not be written on. */
static void use_stack(struct step *step, uintptr_t ip)
{
	volatile char junk[1024];
	size_t i;

	for (i = 0; i < sizeof(junk); i++)
		junk[i] = (char)0xee;
}

START_TEST(test_sp_is_moved_under_signals)
{
	struct step step = { .at = use_stack };
	struct ftr_group *group;

	step_install(0);
	cell = regs_start(2 * _i + 1);
	regs_fn = regs_site_sp;
	group = regs_group(regs_site_sp, handler_moves, NULL, cell.flags);
	ck_ok(ftr_group_attach(group));
	stepped = &step;
	ip_too = false;
	for (sp_change = -FTR_SP_ROOM; sp_change <= 64; sp_change += 64) {
		sp_flags = 0;
		call_with_sp(1);
		sp_flags = DIRECTION;
		call_with_sp(2);
	}
	regs_assert();
	ck_assert_uint_gt(step.count, 100);
	live_drop(group);
}
END_TEST

/* --- where execution goes on ----------------------------------------------------------------- */

REGS_BARE static void set_ip(struct role *role, struct ftr_regs *regs)
{
	noted.result = ftr_regs_set_ip(regs, (uintptr_t)regs_elsewhere);
	noted.read_back = ftr_regs_ip(regs);
}

REGS_BARE static void write_ip(struct role *role, struct ftr_regs *regs)
{
	ftr_regs_pt_regs(regs)->rip = (uintptr_t)regs_elsewhere;
}

REGS_BARE static void override_return(struct role *role, struct ftr_regs *regs)
{
	noted.result = ftr_regs_override_return(regs, 4711);
	noted.read_back = ftr_regs_return_value(regs);
}

enum { IP_CALLS = 8 };
static bool rax_as_before;
static uint64_t rax_want;

/* The stack's words come back in order only if sp is as after a return. */
static void call_with_ip(enum regs_way way)
{
	struct image want;
	unsigned round;

	for (round = 0; round < IP_CALLS; round++) {
		regs_round(round * 17);
		regs_call();
		want = regs_in;
		if (!rax_as_before)
			want.rax = rax_want;
		regs_expect(&cell, &want);
	}
}

static void change_ip(void (*more)(struct role *, struct ftr_regs *), uint32_t flags, uint64_t rax)
{
	rax_as_before = !(flags & FTR_GROUP_IPMODIFY);
	rax_want = rax;
	noted.result = 1;
	change(regs_site, more, flags, IP_CALLS, call_with_ip);
}

START_TEST(test_ip_without_permission)
{
	cell = regs_start(_i);
	change_ip(set_ip, 0, 0);
	ck_assert_int_eq(noted.result, -EPERM);
	ck_assert_uint_eq(noted.read_back, (uintptr_t)regs_site + SITE_LENGTH);
	change_ip(override_return, 0, 0);
	ck_assert_int_eq(noted.result, -EPERM);
	ck_assert_uint_eq(noted.read_back, regs_in.rax);
	if (cell.whole)
		change_ip(write_ip, 0, 0);
}
END_TEST

START_TEST(test_ip_with_permission)
{
	cell = regs_start(_i);
	change_ip(set_ip, FTR_GROUP_IPMODIFY, 77);
	ck_assert_int_eq(noted.result, 0);
	ck_assert_uint_eq(noted.read_back, (uintptr_t)regs_elsewhere);
	change_ip(override_return, FTR_GROUP_IPMODIFY, 4711);
	ck_assert_int_eq(noted.result, 0);
	ck_assert_uint_eq(noted.read_back, 4711);
	if (cell.whole)
		change_ip(write_ip, FTR_GROUP_IPMODIFY, 77);
}
END_TEST

/** One group may; another's attempt beside it, before or after, changes nothing. */
static void two_change_ip(unsigned who_may, void (*other)(struct role *, struct ftr_regs *))
{
	struct ftr_group *groups[2];
	unsigned i;

	for (i = 0; i < 2; i++) {
		roles[i].more = i == who_may ? set_ip : other;
		roles[i].count = 0;
		groups[i] = regs_group(regs_site, regs_handler(&cell), &roles[i],
				       cell.flags | (i == who_may ? FTR_GROUP_IPMODIFY : 0));
	}
	rax_as_before = false;
	rax_want = 77;
	regs_ways(groups, 2, IP_CALLS, call_with_ip);
	for (i = 0; i < 2; i++) {
		ck_assert_uint_eq(roles[i].count, REGS_WAYS * IP_CALLS);
		ck_ok(ftr_group_free(groups[i]));
	}
}

REGS_BARE static void write_ip_nowhere(struct role *role, struct ftr_regs *regs)
{
	ftr_regs_pt_regs(regs)->rip = 1;
}

START_TEST(test_ip_of_two_groups)
{
	unsigned who;

	cell = regs_start(_i);
	for (who = 0; who < 2; who++) {
		two_change_ip(who, override_return);
		if (cell.whole)
			two_change_ip(who, write_ip_nowhere);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("regs_changes");

	regs_case(suite, "set arguments", test_set_arguments);
	regs_case(suite, "set return value", test_set_return_value_register);
	regs_case(suite, "ip without permission", test_ip_without_permission);
	regs_case(suite, "ip with permission", test_ip_with_permission);
	regs_case(suite, "ip of two groups", test_ip_of_two_groups);
	regs_whole_case(suite, "each register", test_each_register_can_be_set);
	regs_whole_case(suite, "each flag", test_each_flag_can_be_set);
	regs_whole_case(suite, "trap flag", test_trap_flag_can_be_set);
	regs_whole_case(suite, "sp", test_sp_can_be_moved);
	regs_whole_case(suite, "sp under signals", test_sp_is_moved_under_signals);
	return live_main(suite);
}
