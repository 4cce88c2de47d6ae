/* SPDX-License-Identifier: MIT */
/*
 * H5, B3: a breakpoint's handlers, before and behind the instruction, change all
 * that a function may, and nothing has changed: general registers, flags, x87,
 * mxcsr, vector and mask registers in full width, for each CPU; and they are shown
 * the vector registers.
 */
#include "backends/x86/vectors.h"
#include "tests/live/regs.h"

static struct regs_cell cell;
static unsigned pres, posts, wrong;

/* A C function finds the x87 stack empty, and the direction flag clear. */
static bool as_the_abi_says(void)
{
	struct {
		uint16_t control, unused0, status, unused1, tags, unused2;
		uint32_t pointers[4];
	} env;
	uint64_t flags;

	__asm__ volatile("fnstenv %0" : "=m"(env));
	__asm__ volatile("pushfq; popq %0" : "=r"(flags));
	return env.tags == 0xffff && !(flags & DIRECTION);
}

static void look_and_clobber(struct ftr_regs *regs)
{
	unsigned n, shown = cell.level == FTR__X86_AVX512 ? 32 : 16;
	size_t width;

	wrong += !as_the_abi_says();
	for (n = 0; n < shown; n++) {
		const void *vector = ftr_regs_vector(regs, n, &width);
		wrong += !vector || width != regs_width ||
			 memcmp(vector, regs_in.vectors[n], width) != 0;
	}
	wrong += ftr_regs_vector(regs, shown, &width) != NULL;
	regs_clobber();
	__asm__ volatile("fninit; fld1; fldpi; fld1; fldpi; fld1; fldpi; fld1; fldpi");
}

static int pre(struct ftr_probe *probe, struct ftr_regs *regs)
{
	pres++;
	look_and_clobber(regs);
	return 0;
}

static void post(struct ftr_probe *probe, struct ftr_regs *regs)
{
	posts++;
	look_and_clobber(regs);
}

static struct ftr_probe *new_probe(ftr_pre_fn before, ftr_post_fn behind)
{
	struct ftr_probe_options options = FTR_PROBE_OPTIONS_INIT;
	struct ftr_probe *probe;

	options.addr = (uintptr_t)regs_site + SITE_LENGTH;
	options.pre = before;
	options.post = behind;
	ck_ok(ftr_probe_new(&probe, &options));
	ck_ok(ftr_probe_enable(probe));
	return probe;
}

static void all_rounds(void)
{
	unsigned round;

	for (round = 0; round < REGS_ROUNDS; round++) {
		regs_round(round);
		/* As code may have it in the middle of a function. */
		regs_in.flags |= round % 2 ? DIRECTION : 0;
		regs_call();
		regs_expect(&cell, &regs_in);
	}
	regs_assert();
}

/* _i: with handlers before, behind, or both. */
static void expect_kept(int which)
{
	struct ftr_probe *probe = new_probe(which != 1 ? pre : NULL, which != 0 ? post : NULL);

	pres = posts = wrong = 0;
	all_rounds();
	ck_assert_uint_eq(pres, which != 1 ? REGS_ROUNDS : 0);
	ck_assert_uint_eq(posts, which != 0 ? REGS_ROUNDS : 0);
	ck_assert_uint_eq(wrong, 0);
	ck_ok(ftr_probe_disable(probe));
	ck_ok(ftr_probe_free(probe));
}

START_TEST(test_all_is_kept)
{
	int which;

	cell = regs_start(_i);
	cell.mode = REGS_ALL;
	cell.whole = true;
	for (which = 0; which < 3; which++)
		expect_kept(which);
}
END_TEST

/* H4: what they write into vector registers is in force. */
static int pre_write(struct ftr_probe *probe, struct ftr_regs *regs)
{
	size_t width;
	unsigned char *vector = ftr_regs_vector(regs, 9, &width);

	pres++;
	memset(vector, 0x77, width);
	return 0;
}

START_TEST(test_vectors_count)
{
	struct ftr_probe *probe;
	struct image want;

	cell = regs_start(_i);
	cell.mode = REGS_ALL;
	cell.whole = true;
	probe = new_probe(pre_write, NULL);
	regs_round(1);
	regs_call();
	want = regs_in;
	memset(want.vectors[9], 0x77, 64);
	regs_expect(&cell, &want);
	regs_assert();
	ck_assert_uint_eq(pres, 1);
	ck_ok(ftr_probe_disable(probe));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("probe regs");
	TCase *tcase = tcase_create("regs");
	int i;

	tcase_set_timeout(tcase, 60);
	for (i = 0; i < regs_cells(); i += REGS_KINDS) {
		tcase_add_loop_test(tcase, test_all_is_kept, i, i + 1);
		tcase_add_loop_test(tcase, test_vectors_count, i, i + 1);
	}
	suite_add_tcase(suite, tcase);
	return live_main(suite);
}
