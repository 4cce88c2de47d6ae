/* SPDX-License-Identifier: MIT */
/*
 * H5: vector registers to the bit: upper halves that are zero but for one bit,
 * and what a handler writes into them by ftr_regs_vector().
 */
#include "tests/live/regs.h"

#include <limits.h>

static struct regs_cell cell;
static struct role roles[2];

static void clear_vectors(void)
{
	memset(regs_in.vectors, 0, sizeof(regs_in.vectors));
	memset(regs_in.masks, 0, sizeof(regs_in.masks));
}

/** How many bytes of vector registers are kept. */
static unsigned kept_bytes(void)
{
	return (unsigned)(regs_shown(&cell) * regs_width);
}

/* --- one bit ---------------------------------------------------------------------- */

static void each_bit_alone(enum regs_way way)
{
	unsigned at;

	for (at = 0; at < kept_bytes(); at++) {
		memset(&roles[0].view, 0, sizeof(roles[0].view));
		regs_round(at % REGS_ROUNDS);
		clear_vectors();
		regs_in.vectors[at / regs_width][at % regs_width] = (uint8_t)(1 << at % 8);
		regs_call();
		regs_expect_view(&cell, &roles[0].view);
		regs_expect(&cell, &regs_in);
	}
}

/** Callers may look whether upper halves are in use: at each of their bytes. */
START_TEST(test_one_bit_of_one_register)
{
	cell = regs_start(_i);
	if (cell.mode == REGS_NO_SIMD)
		return;
	regs_ways_of(regs_site, regs_handler(&cell), &roles[0], cell.flags, kept_bytes(),
		     each_bit_alone);
	ck_assert_uint_eq(roles[0].count, REGS_WAYS * kept_bytes());
}
END_TEST

/** The same for a handler that does not look, so that nothing is made of it. */
static int handler_clobbers(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			    struct ftr_regs *regs)
{
	regs_clobber();
	return 0;
}

static void each_bit_unseen(enum regs_way way)
{
	unsigned at;

	for (at = 0; at < kept_bytes(); at++) {
		regs_round(at % REGS_ROUNDS);
		clear_vectors();
		regs_in.vectors[at / regs_width][at % regs_width] = (uint8_t)(0x80 >> at % 8);
		regs_call();
		regs_expect(&cell, &regs_in);
	}
}

START_TEST(test_one_bit_unseen)
{
	cell = regs_start(_i);
	if (cell.mode == REGS_NO_SIMD)
		return;
	regs_ways_of(regs_site, handler_clobbers, NULL, cell.flags, kept_bytes(), each_bit_unseen);
}
END_TEST

/* --- mask registers ---------------------------------------------------------------- */

static void each_mask_bit(enum regs_way way)
{
	unsigned at;

	for (at = 0; at < 8 * 8 * regs_mask_width; at++) {
		regs_round(at % REGS_ROUNDS);
		clear_vectors();
		regs_in.masks[at % 8] = 1ull << at / 8;
		regs_call();
		regs_expect(&cell, &regs_in);
	}
}

START_TEST(test_one_bit_of_one_mask)
{
	cell = regs_start(_i);
	if (cell.mode != REGS_ALL || !regs_mask_width)
		return;
	regs_ways_of(regs_site, handler_clobbers, NULL, cell.flags,
		     (unsigned)(8 * 8 * regs_mask_width), each_mask_bit);
}
END_TEST

/* --- what a handler writes ------------------------------------------------------------ */

/** Bytes of one register: [from, to) of register n become `value`. */
static struct {
	unsigned n, from, to;
	uint8_t value;
	bool stays; /* a second look gives the same place, and what was written */
} writing;

REGS_BARE static void write_vector(struct role *role, struct ftr_regs *regs)
{
	size_t width = 0;
	uint8_t *vector = ftr_regs_vector(regs, writing.n, &width);
	unsigned i;

	writing.stays = false;
	if (!vector || width < writing.to)
		return;
	for (i = writing.from; i < writing.to; i++)
		((volatile uint8_t *)vector)[i] = writing.value;
	writing.stays = ftr_regs_vector(regs, writing.n, NULL) == vector &&
			(writing.from == writing.to ||
			 ((volatile uint8_t *)vector)[writing.from] == writing.value) &&
			!ftr_regs_vector(regs, UINT_MAX, NULL) &&
			!ftr_regs_vector(regs, 32, NULL);
}

/** One call; the register's bytes must be those written, all others as before;
 *  and the older group's handler sees them so. */
static void write_round(unsigned n, unsigned from, unsigned to, unsigned round)
{
	struct image want;

	writing.n = n;
	writing.from = from;
	writing.to = to;
	writing.value = (uint8_t)(from == to ? 0 : 0x30 + round % 64);
	memset(&roles[1].view, 0, sizeof(roles[1].view));
	regs_round(round);
	regs_call();
	want = regs_in;
	memset(&want.vectors[n][from], writing.value, to - from);
	if (!writing.stays)
		regs_wrong("vector register %u: not what was written", n);
	if (memcmp(roles[1].view.vectors[n], want.vectors[n], regs_width))
		regs_wrong("vector register %u: the next handler does not see it", n);
	regs_expect(&cell, &want);
}

/* In each round the upper halves begin at another place to be zero (regs.c). */
enum { WRITE_ROUNDS = 6 };

static void write_each(enum regs_way way)
{
	const unsigned width = (unsigned)regs_width;
	unsigned n, zero;

	for (n = 0; n < regs_shown(&cell); n++) {
		for (zero = 0; zero < 4; zero++)
			write_round(n, 0, width, 8 * zero + n);
		write_round(n, width - 1, width, 16 + n);
		write_round(n, 0, 0, 16 + n);
	}
}

START_TEST(test_written_vectors_are_in_force)
{
	struct ftr_group *groups[2];

	cell = regs_start(_i);
	if (cell.mode == REGS_NO_SIMD)
		return;
	/* The newest runs first: the last of an update. */
	groups[0] = regs_group(regs_site, regs_handler(&cell), &roles[1], cell.flags);
	groups[1] = regs_group(regs_site, regs_handler(&cell), &roles[0], cell.flags);
	roles[0].more = write_vector;
	regs_ways(groups, 2, WRITE_ROUNDS * regs_shown(&cell), write_each);
	ck_assert_uint_eq(roles[0].count, REGS_WAYS * WRITE_ROUNDS * regs_shown(&cell));
	ck_assert_uint_eq(roles[1].count, roles[0].count);
	ck_ok(ftr_group_free(groups[0]));
	ck_ok(ftr_group_free(groups[1]));
}
END_TEST

/** Writes without a look at the others: they must not be lost. */
static int handler_writes(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			  struct ftr_regs *regs)
{
	write_vector(NULL, regs);
	regs_clobber();
	return 0;
}

static void write_upper_byte(enum regs_way way)
{
	struct image want;
	unsigned at;

	for (at = 0; at < kept_bytes(); at++) {
		writing.n = (unsigned)(at / regs_width);
		writing.from = (unsigned)(at % regs_width);
		writing.to = writing.from + 1;
		writing.value = 0x99;
		regs_round(at % REGS_ROUNDS);
		regs_call();
		want = regs_in;
		want.vectors[writing.n][writing.from] = 0x99;
		if (!writing.stays)
			regs_wrong("vector register %u: not what was written", writing.n);
		regs_expect(&cell, &want);
	}
}

START_TEST(test_one_written_byte)
{
	cell = regs_start(_i);
	if (cell.mode == REGS_NO_SIMD)
		return;
	regs_ways_of(regs_site, handler_writes, NULL, cell.flags, kept_bytes(), write_upper_byte);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("regs_vectors");

	regs_case(suite, "one bit of one register", test_one_bit_of_one_register);
	regs_case(suite, "one bit unseen", test_one_bit_unseen);
	regs_case(suite, "one bit of one mask", test_one_bit_of_one_mask);
	regs_case(suite, "written vectors", test_written_vectors_are_in_force);
	regs_case(suite, "one written byte", test_one_written_byte);
	return live_main(suite);
}
