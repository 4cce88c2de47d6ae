/* SPDX-License-Identifier: MIT */
/*
 * B1-B3, H2, H4, H7, H10, P3: probes by breakpoints: where they may be, what their
 * handlers see and change, several at one place, many at once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>

#include "tests/live/probed.h"

static unsigned long pres, posts;
static struct pt_regs pre_regs, post_regs;
static unsigned long word_at_sp;

static int pre_look(struct ftr_probe *probe, struct ftr_regs *regs)
{
	pres++;
	pre_regs = *ftr_regs_pt_regs(regs);
	word_at_sp = *(unsigned long *)pre_regs.PT_SP;
	return 0;
}

static void post_look(struct ftr_probe *probe, struct ftr_regs *regs)
{
	posts++;
	post_regs = *ftr_regs_pt_regs(regs);
}

static long add_one(long n)
{
	return n + 1;
}

/* --- where ---------------------------------------------------------------------- */

static int new_at(uintptr_t at, uint32_t flags)
{
	struct ftr_probe_options options = FTR_PROBE_OPTIONS_INIT;
	struct ftr_probe *probe = NULL;
	int result;

	options.addr = at;
	options.pre = pre_look;
	options.flags = flags;
	result = ftr_probe_new(&probe, &options);
	if (!result)
		ck_ok(ftr_probe_free(probe));
	else
		ck_assert_ptr_null(probe);
	return result;
}

static bool is_begin(uintptr_t at)
{
	const char *const *begin;

	for (begin = probed_begins; begin < probed_begins_end; begin++)
		if ((uintptr_t)*begin == at)
			return true;
	return false;
}

/* B1: of all offsets, 256 and more, where instructions begin; forced, too. */
START_TEST(test_only_boundaries_are_accepted)
{
	uintptr_t start = (uintptr_t)probed_mixed, at;
	unsigned accepted = 0;

	ck_assert_uint_ge((uintptr_t)probed_mixed_end - start, 256);
	for (at = start; at < (uintptr_t)probed_mixed_end; at++) {
		int result = new_at(at, 0);
		ck_assert_msg(result == (is_begin(at) ? 0 : -EINVAL), "+%#lx: %d: %s",
			      (long)(at - start), result, ftr_last_error());
		ck_assert_int_eq(new_at(at, FTR_PROBE_FORCE), result);
		accepted += !result;
	}
	ck_assert_uint_eq(accepted, (unsigned)(probed_begins_end - probed_begins));
}
END_TEST

/* B1: every instruction of a function that was accepted works, one by one and all
 * at once, with handlers on either side. */
START_TEST(test_every_instruction_of_a_function)
{
	size_t n = (size_t)(probed_begins_end - probed_begins), i;
	struct ftr_probe *probes[128];
	long argument;

	ck_assert_uint_le(n, 128);
	for (i = 0; i < n; i++) {
		probes[i] = probe_on(probed_begins[i], pre_look, i % 2 ? post_look : NULL, NULL);
		for (argument = 0; argument < 3; argument++)
			ck_assert_int_eq(probed_mixed(argument), argument + 1);
		ck_assert_uint_ge(ftr_probe_hits(probes[i]), 2);
		ck_ok(ftr_probe_disable(probes[i]));
	}
	pres = posts = 0;
	ck_ok(ftr_probe_enable_many(probes, n));
	ck_assert_int_eq(probed_mixed(7), 8);
	ck_assert_uint_eq(pres, n);
	ck_assert_uint_eq(posts, n / 2);
	ck_ok(ftr_probe_disable_many(probes, n));
	for (i = 0; i < n; i++)
		ck_ok(ftr_probe_free(probes[i]));
	ck_assert_int_eq(probed_mixed(7), 8);
	ck_assert_uint_eq(pres, n);
}
END_TEST

/* Data is in a module, but not code. */
static long some_data = 3;

START_TEST(test_addresses_that_are_refused)
{
	uintptr_t vdso = getauxval(AT_SYSINFO_EHDR);
	long on_stack;

	ck_fails(new_at((uintptr_t)&some_data, FTR_PROBE_FORCE), -EINVAL);
	ck_fails(new_at((uintptr_t)&on_stack, FTR_PROBE_FORCE), -EINVAL);
	ck_fails(new_at(1, FTR_PROBE_FORCE), -EINVAL);
	ck_fails(new_at(UINTPTR_MAX, FTR_PROBE_FORCE), -EINVAL);
	ck_fails(new_at((uintptr_t)probed_int3, 0), -EILSEQ);
	ck_fails(new_at((uintptr_t)probed_ud2, FTR_PROBE_FORCE), -EILSEQ);
	ck_fails(new_at((uintptr_t)probed_xbegin, 0), -EOPNOTSUPP);
	ck_fails(new_at((uintptr_t)probed_rseq_start, 0), -EPERM);
	ck_fails(new_at((uintptr_t)probed_rseq_middle, FTR_PROBE_FORCE), -EPERM);
	ck_fails(new_at((uintptr_t)probed_rseq_abort, 0), -EPERM);
	ck_assert_int_eq(new_at((uintptr_t)probed_rseq_commit, 0), 0);
	ck_assert_int_eq(new_at((uintptr_t)probed_rseq, 0), 0);
	ck_fails(new_at((uintptr_t)ftr_init, 0), -EPERM);
	ck_fails(new_at((uintptr_t)ftr_handle_trap, FTR_PROBE_FORCE), -EPERM);
	/* Above the headers of the kernel's own module. */
	if (vdso)
		ck_fails(new_at(vdso + 0x800, FTR_PROBE_FORCE), -EPERM);
}
END_TEST

/* FTR_PROBE_FORCE: where only certainty is lacking. */
START_TEST(test_force)
{
	struct ftr_probe *probe;

	/* It lies behind a function that is known to end before. */
	ck_fails(new_at((uintptr_t)probed_unknown, 0), -EINVAL);
	probe = probe_at(probed_unknown, pre_look, NULL, NULL, FTR_PROBE_FORCE);
	ck_ok(ftr_probe_enable(probe));
	ck_assert_int_eq(((long (*)(long))(uintptr_t)probed_unknown)(1), 11);
	ck_assert_uint_eq(pres, 1);
	probe_off(probe);
}
END_TEST

/* --- misuse --------------------------------------------------------------------- */

static int new_with(struct ftr_probe_options options)
{
	struct ftr_probe *probe = NULL;
	int result = ftr_probe_new(&probe, &options);

	ck_assert_ptr_null(probe);
	return result;
}

START_TEST(test_options_that_are_wrong)
{
	struct ftr_probe_options good = FTR_PROBE_OPTIONS_INIT, o;
	struct ftr_probe *probe;

	good.addr = (uintptr_t)probed_add;
	good.pre = pre_look;
	ck_fails(ftr_probe_new(NULL, &good), -EINVAL);
	ck_fails(ftr_probe_new(&probe, NULL), -EINVAL);
	o = good, o.size = 8;
	ck_fails(new_with(o), -EINVAL);
	o = good, o.size = 5000;
	ck_fails(new_with(o), -EINVAL);
	o = good, o.pre = NULL;
	ck_fails(new_with(o), -EINVAL);
	o = good, o.addr = 0;
	ck_fails(new_with(o), -EINVAL);
	o = good, o.symbol = "probed_add";
	ck_fails(new_with(o), -EINVAL);
	o = good, o.flags = 8;
	ck_fails(new_with(o), -EINVAL);
	o = good, o.addr = 0, o.symbol = "";
	ck_fails(new_with(o), -EINVAL);
	o.symbol = "no_function_of_this_name";
	ck_fails(new_with(o), -ENOENT);
	o.symbol = "no_module:probed_add";
	ck_fails(new_with(o), -ENOENT);
	o.symbol = "probed_add", o.offset = 1;
	ck_fails(new_with(o), -EINVAL);
}
END_TEST

START_TEST(test_wrong_states)
{
	struct ftr_probe *probe = probe_at(probed_add, pre_look, NULL, NULL, 0);
	struct ftr_probe *twice[2] = { probe, probe };

	ck_fails(ftr_probe_disable(probe), -EINVAL);
	ck_fails(ftr_probe_enable_many(twice, 2), -EBUSY);
	ck_fails(ftr_probe_enable_many(twice, 0), -EINVAL);
	ck_fails(ftr_probe_enable_many(NULL, 1), -EINVAL);
	ck_fails(ftr_probe_disable_many(NULL, 1), -EINVAL);
	ck_fails(ftr_probe_enable(NULL), -EINVAL);
	ck_fails(ftr_probe_enable((struct ftr_probe *)&pres), -EINVAL);
	ck_fails(ftr_probe_free((struct ftr_probe *)&pres), -EINVAL);
	ck_assert_uint_ne(probed_byte(probed_add), 0xcc);
	ck_ok(ftr_probe_enable(probe));
	ck_assert_uint_eq(probed_byte(probed_add), 0xcc);
	ck_fails(ftr_probe_enable(probe), -EBUSY);
	ck_fails(ftr_probe_free(probe), -EBUSY);
	ck_fails(ftr_probe_disable_many(twice, 2), -EINVAL);
	probe_off(probe);
	ck_fails(ftr_probe_free(probe), -EINVAL);
	ck_assert_uint_eq(ftr_probe_hits(NULL) + ftr_probe_missed(NULL) + ftr_probe_addr(NULL), 0);
	ck_assert_ptr_null(ftr_probe_data(NULL));
	ck_assert_int_eq(probed_add(1), 4);
}
END_TEST

/* E2, P4: the text is another than when the probe was made: nothing is changed. */
START_TEST(test_text_that_changed)
{
	struct ftr_probe *first = probe_at(probed_add, pre_look, NULL, NULL, 0);
	struct ftr_probe *other = probe_at(probed_many_first, pre_look, NULL, NULL, 0);
	struct ftr_probe *both[] = { other, first };
	unsigned char found = probed_byte(probed_many_first);

	probe_off(probe_on(probed_many_first, pre_look, NULL, NULL));
	live_write_text(probed_many_first, 0x90);
	ck_fails(ftr_probe_enable_many(both, 2), -EILSEQ);
	ck_assert_uint_eq(probed_byte(probed_many_first), 0x90);
	ck_assert_int_eq(probed_add(1), 4);
	ck_assert_uint_eq(pres, 0);
	live_write_text(probed_many_first, found);
	ck_ok(ftr_probe_enable_many(both, 2));
	live_write_text(probed_many_first, 0x90);
	ck_fails(ftr_probe_disable_many(both, 2), -EILSEQ);
	ck_assert_int_eq(probed_add(1), 4);
	ck_assert_uint_eq(pres, 1);
	live_write_text(probed_many_first, 0xcc);
	ck_ok(ftr_probe_disable_many(both, 2));
	ck_assert_int_eq(probed_add(1), 4);
	ck_assert_uint_eq(pres, 1);
}
END_TEST

/* Another operand alone, too. */
START_TEST(test_operand_that_changed)
{
	struct ftr_probe *probe = probe_at(probed_add_middle, pre_look, NULL, NULL, 0);
	const char *operand = (const char *)((uintptr_t)probed_add_next - 1);

	probe_off(probe_on(probed_add_middle, pre_look, NULL, NULL));
	live_write_text(operand, 5);
	ck_fails(ftr_probe_enable(probe), -EILSEQ);
	ck_assert_int_eq(probed_add(1), 6);
	live_write_text(operand, 3);
	ck_ok(ftr_probe_enable(probe));
	ck_assert_int_eq(probed_add(1), 4);
	probe_off(probe);
}
END_TEST

/* P5, P10: whatever writes, a breakpoint is one byte. */
START_TEST(test_each_writer_and_strategy)
{
	static const char *const settings[][2] = { { "FTR_TEXT", "strict" }, { "FTR_POKE", "int3" },
						   { "FTR_POKE", "skip" }, { "FTR_POKE", "atomic" } };
	struct ftr_probe *probes[2];
	struct ftr_stats before;

	setenv(settings[_i][0], settings[_i][1], 1);
	probes[0] = probe_at(probed_add_middle, pre_look, NULL, NULL, 0);
	probes[1] = probe_at(probed_add_next, pre_look, post_look, NULL, 0);
	before = live_stats();
	ck_ok(ftr_probe_enable_many(probes, 2));
	ck_assert_uint_eq(live_stats().syncs, before.syncs + 1);
	ck_assert_int_eq(probed_add(1), 4);
	ck_assert_uint_eq(pres, 2);
	ck_assert_uint_eq(posts, 1);
	ck_ok(ftr_probe_disable_many(probes, 2));
	ck_assert_uint_eq(live_stats().syncs, before.syncs + 2);
	ck_assert_int_eq(probed_add(1), 4);
	ck_assert_uint_eq(pres, 2);
}
END_TEST

/* By symbol, with an offset. */
START_TEST(test_symbols)
{
	struct ftr_probe_options options = FTR_PROBE_OPTIONS_INIT;
	struct ftr_probe *probe;

	options.symbol = "probed_add";
	options.offset = (size_t)(probed_add_middle - (const char *)probed_add);
	options.post = post_look;
	options.data = &options;
	ck_ok(ftr_probe_new(&probe, &options));
	ck_assert_uint_eq(ftr_probe_addr(probe), (uintptr_t)probed_add_middle);
	ck_assert_ptr_eq(ftr_probe_data(probe), &options);
	ck_assert_int_eq(ftr_probe_kind(probe), FTR_PROBE_BREAKPOINT);
	ck_ok(ftr_probe_enable(probe));
	ck_assert_int_eq(probed_add(1), 4);
	ck_assert_uint_eq(posts, 1);
	probe_off(probe);
}
END_TEST

/* --- what handlers see -------------------------------------------------------------- */

/* H2: ip, sp and orig_ax on either side of an instruction. */
START_TEST(test_registers_before_and_behind)
{
	struct ftr_probe *probe = probe_on(probed_add_middle, pre_look, post_look, NULL);

	ck_assert_int_eq(probed_add(4), 7);
	ck_assert_uint_eq(pres, 1);
	ck_assert_uint_eq(posts, 1);
	ck_assert_uint_eq((uintptr_t)pre_regs.PT_IP, (uintptr_t)probed_add_middle);
	ck_assert_uint_eq((uintptr_t)post_regs.PT_IP, (uintptr_t)probed_add_next);
	ck_assert_int_eq((long)pre_regs.PT_AX, 4);
	ck_assert_int_eq((long)post_regs.PT_AX, 7);
	ck_assert_int_eq((long)pre_regs.PT_ORIG, -1);
	ck_assert_int_eq((long)(post_regs.PT_SP - pre_regs.PT_SP), 0);
	probe_off(probe);
	probe = probe_on(probed_sp_insn, pre_look, post_look, NULL);
	ck_assert_uint_eq((uintptr_t)probed_sp(3), (uintptr_t)pre_regs.PT_SP);
	probe_off(probe);
}
END_TEST

static void expect_post(const void *insn, const void *ip, long (*call)(void), long result)
{
	struct ftr_probe *probe = probe_on(insn, pre_look, post_look, NULL);

	pres = posts = 0;
	ck_assert_int_eq(call(), result);
	ck_assert_uint_eq(pres, 1);
	ck_assert_uint_eq(posts, 1);
	if (ip)
		ck_assert_uint_eq((uintptr_t)post_regs.PT_IP, (uintptr_t)ip);
	probe_off(probe);
}

static long call_calls(void)
{
	return probed_calls(5, add_one);
}

static long branch_there(void)
{
	return probed_branch(0);
}

static long branch_on(void)
{
	return probed_branch(1);
}

/* Behind a call, a return and both ways of a branch: ip is where it goes. */
START_TEST(test_post_of_branches)
{
	expect_post(probed_calls_insn, (const void *)add_one, call_calls, 6);
	ck_assert_int_eq((long)(post_regs.PT_SP - pre_regs.PT_SP), -(long)sizeof(long));
	expect_post(probed_calls_ret, (const void *)0, call_calls, 6);
	ck_assert_int_eq((long)(post_regs.PT_SP - pre_regs.PT_SP), (long)sizeof(long));
	ck_assert_uint_eq((uintptr_t)post_regs.PT_IP, word_at_sp);
	expect_post(probed_branch_insn, probed_branch_target, branch_there, 1);
	ck_assert_int_eq((long)(post_regs.PT_SP - pre_regs.PT_SP), 0);
	expect_post(probed_branch_insn, probed_branch_next, branch_on, 2);
}
END_TEST

/* --- what handlers change -------------------------------------------------------------- */

static int pre_set_ax(struct ftr_probe *probe, struct ftr_regs *regs)
{
	ftr_regs_pt_regs(regs)->PT_AX = 100;
	ftr_regs_pt_regs(regs)->PT_IP = 1; /* of no effect: 0 is returned */
	return 0;
}

static void post_add_ax(struct ftr_probe *probe, struct ftr_regs *regs)
{
	ftr_regs_pt_regs(regs)->PT_AX += 1000;
	ftr_regs_pt_regs(regs)->PT_IP = 1;
}

/* B3, H4 */
START_TEST(test_changes_count)
{
	struct ftr_probe *probe = probe_on(probed_add_middle, pre_set_ax, post_add_ax, NULL);

	ck_assert_int_eq(probed_add(1), 1103);
	probe_off(probe);
}
END_TEST

static int pre_go_on(struct ftr_probe *probe, struct ftr_regs *regs)
{
	pres++;
	ck_assert_int_eq(ftr_regs_set_ip(regs, (uintptr_t)probed_add_next), 0);
	return 1;
}

static int pre_override(struct ftr_probe *probe, struct ftr_regs *regs)
{
	ck_assert_int_eq(ftr_regs_override_return(regs, 77), 0);
	return 1;
}

/* B3: the instruction and what is behind it are skipped. */
START_TEST(test_pre_goes_elsewhere)
{
	struct ftr_probe *probe = probe_on(probed_add_middle, pre_go_on, post_look, NULL);

	ck_assert_int_eq(probed_add(1), 1);
	ck_assert_uint_eq(pres, 1);
	ck_assert_uint_eq(posts, 0);
	probe_off(probe);
	probe = probe_on(probed_add, pre_override, NULL, NULL);
	ck_assert_int_eq(probed_add(1), 77);
	probe_off(probe);
}
END_TEST

/* FTR_SP_ROOM: the stack below sp is the handler's to fill. */
static int pre_lower_sp(struct ftr_probe *probe, struct ftr_regs *regs)
{
	struct pt_regs *pt = ftr_regs_pt_regs(regs);
	size_t by = *(size_t *)ftr_probe_data(probe);

	memset((char *)pt->PT_SP - by, 0x5a, by);
	pt->PT_SP -= by;
	return 0;
}

static void post_raise_sp(struct ftr_probe *probe, struct ftr_regs *regs)
{
	struct pt_regs *pt = ftr_regs_pt_regs(regs);
	size_t by = *(size_t *)ftr_probe_data(probe), i;

	posts++;
	for (i = 0; i < by; i++)
		ck_assert_uint_eq(((unsigned char *)pt->PT_SP)[i], 0x5a);
	pt->PT_SP += by;
}

static int pre_raise_sp(struct ftr_probe *probe, struct ftr_regs *regs)
{
	post_raise_sp(probe, regs);
	return 0;
}

START_TEST(test_sp_counts)
{
	size_t by;
	struct ftr_probe *probe =
		probe_on(probed_add_middle, pre_lower_sp, post_raise_sp, &by), *second;

	for (by = sizeof(long); by <= FTR_SP_ROOM; by += sizeof(long)) {
		ck_assert_int_eq(probed_add(1), 4);
		ck_assert_uint_eq(posts, by / sizeof(long));
	}
	probe_off(probe);
	/* Nothing runs behind the instruction: another probe raises it, before the
	 * next one. */
	posts = 0;
	probe = probe_on(probed_add_middle, pre_lower_sp, NULL, &by);
	second = probe_on(probed_add_next, pre_raise_sp, NULL, &by);
	for (by = sizeof(long); by <= FTR_SP_ROOM; by += sizeof(long))
		ck_assert_int_eq(probed_add(1), 4);
	ck_assert_uint_eq(posts, FTR_SP_ROOM / sizeof(long));
	probe_off(second);
	probe_off(probe);
}
END_TEST

/* --- several ------------------------------------------------------------------------- */

static char order[64];

static void note(struct ftr_probe *probe, int shift)
{
	size_t n = strlen(order);

	order[n] = (char)(*(const char *)ftr_probe_data(probe) + shift);
	order[n + 1] = 0;
}

static int pre_note(struct ftr_probe *probe, struct ftr_regs *regs)
{
	note(probe, 0);
	return 0;
}

static void post_note(struct ftr_probe *probe, struct ftr_regs *regs)
{
	note(probe, 'A' - 'a');
}

static void expect_order(const char *expected)
{
	order[0] = 0;
	ck_assert_int_eq(probed_add(1), 4);
	ck_assert_str_eq(order, expected);
}

/* H10: the latest first, behind the instruction the other way round; each comes and
 * goes by itself. */
START_TEST(test_several_at_one_instruction)
{
	struct ftr_probe *a = probe_on(probed_add_middle, pre_note, post_note, "a"), *b, *c;

	expect_order("aA");
	b = probe_on(probed_add_middle, pre_note, NULL, "b");
	expect_order("baA");
	c = probe_on(probed_add_middle, pre_note, post_note, "c");
	expect_order("cbaAC");
	ck_ok(ftr_probe_disable(b));
	expect_order("caAC");
	ck_ok(ftr_probe_enable(b));
	expect_order("bcaAC");
	ck_ok(ftr_probe_disable(a));
	expect_order("bcC");
	probe_off(c);
	expect_order("b");
	probe_off(b);
	expect_order("");
	ck_ok(ftr_probe_enable_many((struct ftr_probe *[]){ a }, 1));
	expect_order("aA");
	probe_off(a);
}
END_TEST

/* In one batch: as if one after the other; and one goes elsewhere. */
START_TEST(test_several_at_once_and_one_goes_elsewhere)
{
	struct ftr_probe *list[3] = { probe_at(probed_add_middle, pre_note, post_note, "a", 0),
				      probe_at(probed_add_middle, pre_go_on, post_note, "b", 0),
				      probe_at(probed_add_middle, pre_note, post_note, "c", 0) };
	size_t i;

	ck_ok(ftr_probe_enable_many(list, 3));
	order[0] = 0;
	ck_assert_int_eq(probed_add(1), 1);
	ck_assert_str_eq(order, "c");
	ck_assert_uint_eq(ftr_probe_hits(list[0]), 0);
	ck_ok(ftr_probe_disable(list[1]));
	expect_order("caAC");
	ck_ok(ftr_probe_disable_many((struct ftr_probe *[]){ list[2], list[0] }, 2));
	expect_order("");
	for (i = 0; i < 3; i++)
		ck_ok(ftr_probe_free(list[i]));
}
END_TEST

/* --- recursion ------------------------------------------------------------------------ */

static int pre_call(struct ftr_probe *probe, struct ftr_regs *regs)
{
	pres++;
	if (pres < 10)
		ck_assert_int_eq(probed_add(5), 8);
	return 0;
}

/* H7: what a handler reaches itself is missed, or not if it is asked for. */
START_TEST(test_recursion)
{
	struct ftr_probe *probe = probe_on(probed_add_middle, pre_call, post_look, NULL);

	ck_assert_int_eq(probed_add(1), 4);
	ck_assert_uint_eq(pres, 1);
	ck_assert_uint_eq(posts, 1);
	ck_assert_uint_eq(ftr_probe_hits(probe), 1);
	ck_assert_uint_eq(ftr_probe_missed(probe), 1);
	ck_assert_uint_eq(live_stats().missed, 1);
	probe_off(probe);
	pres = posts = 0;
	probe = probe_at(probed_add_middle, pre_call, post_look, NULL, FTR_PROBE_REENTRANT);
	ck_ok(ftr_probe_enable(probe));
	ck_assert_int_eq(probed_add(1), 4);
	ck_assert_uint_eq(pres, 10);
	ck_assert_uint_eq(posts, 10);
	ck_assert_uint_eq(ftr_probe_missed(probe), 0);
	probe_off(probe);
}
END_TEST

/* --- many ------------------------------------------------------------------------------ */

/* P3: one sync for 10,000 breakpoints, there and back. */
START_TEST(test_ten_thousand_in_one_batch)
{
	static struct ftr_probe *probes[PROBED_MANY];
	struct ftr_stats before, after;
	const char *at = probed_many_first;
	size_t n;

	for (n = 0; n < PROBED_MANY; n++) {
		struct ftr_probe_options options = FTR_PROBE_OPTIONS_INIT;
		options.addr = (uintptr_t)at;
		options.pre = pre_look;
		ck_ok(ftr_probe_new(&probes[n], &options));
		at += sizeof(long) == 8 ? 3 : 1;
	}
	ck_assert_ptr_eq(at, probed_many_last);
	before = live_stats();
	ck_ok(ftr_probe_enable_many(probes, n));
	after = live_stats();
	ck_assert_uint_eq(after.syncs, before.syncs + 1);
	ck_assert_uint_eq(after.batches, before.batches + 1);
	ck_assert_uint_eq(after.probes, n);
	ck_assert_int_eq(probed_many(5), 5);
	ck_assert_uint_eq(pres, n);
	ck_ok(ftr_probe_disable_many(probes, n));
	ck_assert_uint_eq(live_stats().syncs, before.syncs + 2);
	ck_assert_int_eq(probed_many(5), 5);
	ck_assert_uint_eq(pres, n);
	while (n)
		ck_ok(ftr_probe_free(probes[--n]));
}
END_TEST

/* Shutdown takes them away; then they can be enabled again. */
START_TEST(test_shutdown)
{
	struct ftr_probe *probe = probe_on(probed_add_middle, pre_look, NULL, NULL);

	ck_ok(ftr_shutdown());
	ck_assert_uint_ne(probed_byte(probed_add_middle), 0xcc);
	ck_assert_int_eq(probed_add(1), 4);
	ck_assert_uint_eq(pres, 0);
	ck_ok(ftr_probe_enable(probe));
	ck_assert_int_eq(probed_add(1), 4);
	ck_assert_uint_eq(pres, 1);
	probe_off(probe);
}
END_TEST

/* The report has a line for each. */
START_TEST(test_dump)
{
	struct ftr_probe *probe = probe_on(probed_add_middle, pre_look, NULL, NULL);
	char text[4096] = "", expected[128];
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	probed_add(1);
	ck_ok(ftr_dump(fds[1]));
	ck_assert_int_gt(read(fds[0], text, sizeof(text) - 1), 0);
	snprintf(expected, sizeof(expected), ":probed_add+%#lx breakpoint hits 1, missed 0",
		 (long)(probed_add_middle - (const char *)probed_add));
	ck_assert_msg(strstr(text, expected) != NULL, "%s not in: %s", expected, text);
	probe_off(probe);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("probe");
	TCase *settings = tcase_create("settings");

	tcase_add_loop_test(settings, test_each_writer_and_strategy, 0, 4);
	suite_add_tcase(suite, settings);
	LIVE_CASE(suite, test_operand_that_changed, 10);

	LIVE_CASE(suite, test_only_boundaries_are_accepted, 30);
	LIVE_CASE(suite, test_every_instruction_of_a_function, 30);
	LIVE_CASE(suite, test_addresses_that_are_refused, 10);
	LIVE_CASE(suite, test_force, 10);
	LIVE_CASE(suite, test_options_that_are_wrong, 10);
	LIVE_CASE(suite, test_wrong_states, 10);
	LIVE_CASE(suite, test_text_that_changed, 10);
	LIVE_CASE(suite, test_symbols, 10);
	LIVE_CASE(suite, test_registers_before_and_behind, 10);
	LIVE_CASE(suite, test_post_of_branches, 10);
	LIVE_CASE(suite, test_changes_count, 10);
	LIVE_CASE(suite, test_pre_goes_elsewhere, 10);
	LIVE_CASE(suite, test_sp_counts, 10);
	LIVE_CASE(suite, test_several_at_one_instruction, 10);
	LIVE_CASE(suite, test_several_at_once_and_one_goes_elsewhere, 10);
	LIVE_CASE(suite, test_recursion, 10);
	LIVE_CASE(suite, test_ten_thousand_in_one_batch, 60);
	LIVE_CASE(suite, test_shutdown, 10);
	LIVE_CASE(suite, test_dump, 10);
	return live_main(suite);
}
