/* SPDX-License-Identifier: MIT */
/*
 * H5, H7, H8: registers are kept on the less travelled ways through the callers
 * too: a thread's first call, a call inside a handler, a thread that is waited
 * for as it leaves, a thread late in a slot that its site left.  And no caller
 * runs an instruction that the CPU it was made for does not have.
 */
#include "lib/hazard.h"
#include "tests/live/regs.h"
#include "tests/live/step.h"
#include "tests/live/visitor.h"

#include <sys/syscall.h>

static struct regs_cell cell;
static struct role roles[2];

/** A call that the handler in roles[0] sees. */
static void seen_round(unsigned round)
{
	memset(&roles[0].view, 0, sizeof(roles[0].view));
	regs_round(round);
	regs_call();
	regs_expect_view(&cell, &roles[0].view);
	regs_expect(&cell, &regs_in);
}

static struct ftr_group *attach(uint32_t flags)
{
	struct ftr_group *group =
		regs_group(regs_site, regs_handler(&cell), &roles[0], cell.flags | flags);

	ck_ok(ftr_group_attach(group));
	return group;
}

/* --- a thread's first call ------------------------------------------------------------ */

static void *first_call(void *arg)
{
	seen_round(*(unsigned *)arg);
	return NULL;
}

START_TEST(test_first_call_of_a_thread)
{
	struct ftr_group *group;
	unsigned round;

	cell = regs_start(_i);
	group = attach(0);
	for (round = 0; round < 32; round++) {
		pthread_t thread;

		ck_assert_int_eq(pthread_create(&thread, NULL, first_call, &round), 0);
		ck_assert_int_eq(pthread_join(thread, NULL), 0);
		regs_assert();
	}
	ck_assert_uint_eq(roles[0].count, 32);
	live_drop(group);
}
END_TEST

/* --- a call inside a handler ------------------------------------------------------------ */

static void (*inside)(unsigned round);
static unsigned inside_count;

static int handler_calls(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			 struct ftr_regs *regs)
{
	unsigned round;

	for (round = 0; round < REGS_ROUNDS; round++)
		inside(round);
	inside_count++;
	return 0;
}

static void unseen_round(unsigned round)
{
	regs_round(round);
	regs_call();
	regs_expect(&cell, &regs_in);
}

/** Reentrant groups see the inner call, others miss it: nothing changes by it. */
START_TEST(test_call_inside_a_handler)
{
	struct ftr_group *outer, *group;

	cell = regs_start(_i);
	outer = live_attach("outer", handler_calls, NULL, 0, live_sites[0]);
	group = attach(0);
	inside = unseen_round;
	ck_assert_int_eq(live_sites[0](1), 2);
	regs_assert();
	ck_assert_uint_eq(roles[0].count, 0);
	ck_assert_uint_eq(ftr_group_missed(group), REGS_ROUNDS);
	live_drop(group);

	group = attach(FTR_GROUP_REENTRANT);
	inside = seen_round;
	ck_assert_int_eq(live_sites[0](1), 2);
	regs_assert();
	ck_assert_uint_eq(roles[0].count, REGS_ROUNDS);
	ck_assert_uint_eq(ftr_group_missed(group), 0);
	live_drop(group);
	ck_assert_uint_eq(inside_count, 2);
	live_drop(outer);
}
END_TEST

/* --- a thread that is waited for ---------------------------------------------------------- */

static atomic_bool is_inside, may_leave;
static atomic_uint done_calls;

/* By itself: a handler for NO_SIMD may not call what it does not know. */
REGS_BARE static void stay(struct role *role, struct ftr_regs *regs)
{
	atomic_store(&is_inside, true);
	while (!atomic_load(&may_leave)) {
		long result = SYS_sched_yield;
		__asm__ volatile("syscall" : "+a"(result)::"rcx", "r11", "memory");
	}
}

static void done(void *arg)
{
	atomic_fetch_add(&done_calls, 1);
	regs_clobber();
}

static void visit_round(void *arg)
{
	seen_round(*(unsigned *)arg);
}

START_TEST(test_leaving_while_waited_for)
{
	struct visitor visitor;
	unsigned round;

	cell = regs_start(_i);
	roles[0].more = stay;
	visitor_start(&visitor);
	for (round = 0; round < 16; round++) {
		struct ftr_group *group = attach(0);
		int freed;

		atomic_store(&is_inside, false);
		atomic_store(&may_leave, false);
		visitor_send(&visitor, visit_round, &round);
		while (!atomic_load(&is_inside))
			sched_yield();
		ck_ok(ftr_group_detach_async(group, done, NULL));
		ck_assert_uint_eq(atomic_load(&done_calls), round);
		atomic_store(&may_leave, true);
		visitor_await(&visitor);
		regs_assert();
		/* Where no vector registers were saved another call of the
		 * library hears that the thread left. */
		while ((freed = ftr_group_free(group)) == -EBUSY)
			sched_yield();
		ck_assert_int_eq(freed, 0);
		ck_assert_uint_eq(atomic_load(&done_calls), round + 1);
	}
	visitor_stop(&visitor);
}
END_TEST

/* --- a thread that is late ------------------------------------------------------------------ */

static unsigned ran_old, ran_new;
static unsigned long first_step, last_step;

REGS_BARE static int handler_counts(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
				    struct ftr_regs *regs)
{
	++*(unsigned *)ftr_group_data(group);
	return 0;
}

static void note_steps(struct step *step, uintptr_t ip)
{
	if (ip == (uintptr_t)regs_site && !first_step)
		first_step = step->count;
	if (ip == (uintptr_t)regs_site + SITE_LENGTH)
		last_step = step->count;
}

static struct ftr_group *attach_counting(uint32_t flags, unsigned *count)
{
	struct ftr_group *group = regs_group(regs_site, handler_counts, count, flags);

	ck_ok(ftr_group_attach(group));
	return group;
}

static void free_once_left(struct ftr_group *group)
{
	int freed;

	while ((freed = ftr_group_free(group)) == -EBUSY)
		sched_yield();
	ck_assert_int_eq(freed, 0);
}

/** A round whose flags keep the thread stepped. */
static void stepped_round(unsigned round)
{
	regs_round(round);
	regs_in.flags |= TRAP;
}

/** Park the thread before its nth instruction; exchange the groups meanwhile. */
static void be_late(unsigned long nth, const struct regs_cell *other)
{
	struct step step = { .at = step_park_nth, .nth = nth, .fresh = nth % 8 == 0 };
	struct ftr_group *old_group = attach_counting(cell.flags, &ran_old), *new_group;

	ran_old = ran_new = 0;
	stepped_round(nth % REGS_ROUNDS);
	ck_assert(step_start(&step, regs_stepped_call, 5));
	ck_ok(ftr_group_detach_async(old_group, NULL, NULL));
	new_group = attach_counting(other->flags, &ran_new);
	ck_assert_int_eq(step_finish(&step), 5);
	/* By default less is kept than by the other two, with such handlers. */
	regs_expect(other->mode == REGS_DEFAULT ? other : &cell, &regs_in);
	regs_assert();
	ck_assert_msg(ran_old + ran_new == 1, "step %lu: handlers ran %u and %u times", nth,
		      ran_old, ran_new);
	free_once_left(old_group);
	live_drop(new_group);
}

/**
 * Wherever the thread stands on its way from the site and back: its registers
 * are kept, also where it has to go to the site again, and reaches another
 * caller by it.  _i: the kind of the old group.
 */
START_TEST(test_late_anywhere)
{
	const int widest = regs_cells() - REGS_KINDS;
	struct step step = { .at = note_steps };
	struct regs_cell others[REGS_KINDS];
	struct ftr_group *group;
	unsigned long nth;
	int i;

	step_install(0);
	/* The thread is parked in a handler of SIGTRAP, where it meets no site. */
	ftr__hazard_ignored = true;
	for (i = 0; i < REGS_KINDS; i++)
		others[i] = regs_start(widest + i);
	cell = regs_start(widest + _i);
	group = attach_counting(cell.flags, &ran_old);
	stepped_round(0);
	step_call(&step, regs_stepped_call, 0);
	live_drop(group);
	ck_assert_uint_gt(last_step, first_step + 20);
	for (nth = first_step; nth <= last_step; nth++)
		be_late(nth, &others[nth % REGS_KINDS]);
}
END_TEST

/* --- a signal between any two instructions --------------------------------------------------- */

static void call_traced(struct step *step, uintptr_t ip)
{
	live_sites[2](1);
}

/**
 * Its handler calls what is traced, which uses the stack from the red zone on,
 * and goes by the same callers.
 */
START_TEST(test_signal_between_any_two_instructions)
{
	struct step step = { .at = call_traced };
	struct ftr_group *group, *inner;

	step_install(0);
	cell = regs_start(_i);
	group = attach_counting(cell.flags, &ran_old);
	inner = live_attach("inner", regs_handler(&cell), &roles[1],
			    cell.flags | FTR_GROUP_REENTRANT, live_sites[2]);
	stepped_round(0);
	step_call(&step, regs_stepped_call, 0);
	regs_expect(&cell, &regs_in);
	regs_assert();
	ck_assert_uint_eq(ran_old, 1);
	ck_assert_uint_eq(roles[1].count, step.count);
	ck_assert_uint_eq(ftr_group_missed(inner), 0);
	live_drop(group);
	live_drop(inner);
}
END_TEST

/* --- what instructions there are ------------------------------------------------------------ */

/** Of the instructions stepped through. */
static struct {
	unsigned r15, sse, vex, evex;
} met;

/* Legacy moves between memory and xmm, and what looks at mxcsr (SDM volume 2,
 * "Opcode Map"). */
static bool is_sse(const uint8_t *code)
{
	switch (code[1]) {
	case 0x10: case 0x11: case 0x28: case 0x29: case 0x6f: case 0x7f:
		return true;
	case 0xae:
		return (code[2] >> 3 & 7) == 2 || (code[2] >> 3 & 7) == 3;
	default:
		return false;
	}
}

/* VEX and EVEX prefixes come first of all (SDM volume 2, "Instruction Encoding
 * Format with VEX Prefix", "Intel AVX-512 Encoding"); kmov and its like are VEX
 * encoded, yet of AVX-512. */
static bool is_mask_move(const uint8_t *code)
{
	const uint8_t opcode = code[code[0] == 0xc5 ? 2 : 3];
	const unsigned map = code[0] == 0xc5 ? 1 : code[1] & 31;

	return map == 1 && (opcode >> 2 == 0x90 >> 2 || opcode == 0x98 || opcode == 0x99);
}

static void note_instruction(struct step *step, uintptr_t ip)
{
	const uint8_t *code = (const uint8_t *)ip;

	met.r15 += code[0] == 0x4c && code[1] == 0x89 && (code[2] & 0x3f) == 0x3c; /* mov to the stack */
	met.vex += code[0] == 0xc4 || code[0] == 0xc5;
	met.evex += code[0] == 0x62 ||
		    ((code[0] == 0xc4 || code[0] == 0xc5) && is_mask_move(code));
	while (*code == 0x66 || *code == 0xf2 || *code == 0xf3 || *code >> 4 == 4)
		code++;
	met.sse += code[0] == 0x0f && is_sse(code);
}

REGS_BARE static int handler_plain(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
				   struct ftr_regs *regs)
{
	return 0;
}

static void step_through(struct step *step, uint32_t flags)
{
	struct ftr_group *group =
		live_attach("stepped", handler_plain, NULL, flags, live_sites[1]);

	live_sites[1](1);
	memset(&met, 0, sizeof(met));
	ck_assert_int_eq(step_call(step, live_sites[1], 1), 2);
	live_drop(group);
}

/**
 * From slot to handler and back: nothing that the CPU does not have, nothing of
 * vectors at all where every handler promised; and the regs caller only while
 * a group asks for it: that it saves r15 is its mark.
 */
START_TEST(test_instructions_of_each_caller)
{
	struct step step = { .at = note_instruction };

	step_install(0);
	cell = regs_start(_i);
	step_through(&step, cell.flags);
	ck_assert_uint_gt(step.count, 20);
	ck_assert_uint_eq(met.r15, cell.whole);
	ck_assert_int_eq(met.sse + met.vex + met.evex > 0, cell.mode != REGS_NO_SIMD);
	ck_assert_int_eq(met.vex + met.evex > 0, cell.mode != REGS_NO_SIMD && cell.level > 1);
	ck_assert_int_eq(met.evex > 0, cell.mode != REGS_NO_SIMD && cell.level > 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("regs_paths");
	TCase *late = tcase_create("late anywhere");

	regs_case(suite, "first call of a thread", test_first_call_of_a_thread);
	regs_case(suite, "call inside a handler", test_call_inside_a_handler);
	regs_case(suite, "leaving while waited for", test_leaving_while_waited_for);
	tcase_set_timeout(late, 60);
	tcase_add_loop_test(late, test_late_anywhere, 0, REGS_KINDS);
	suite_add_tcase(suite, late);
	regs_case(suite, "signals", test_signal_between_any_two_instructions);
	regs_case(suite, "instructions of each caller", test_instructions_of_each_caller);
	return live_main(suite);
}
