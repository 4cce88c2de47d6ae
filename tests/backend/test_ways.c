/* SPDX-License-Identifier: MIT */
/*
 * P5: which way a place can go, at each offset of a cache line, and what each
 * pass of a way writes: that, and not a byte beside it.
 */
#include "backends/x86/insn.h"
#include "backends/x86/poke.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

enum { LINE = 64, LINES = 4, AT = LINE, ANY = 1 << FTR__WAY_ATOMIC | 1 << FTR__WAY_SKIP };

static uint8_t text[LINES * LINE] __attribute__((aligned(64)));
static uint8_t before_text[sizeof(text)];

/* Within 16 MB above; beyond; a neighbour of the first. */
static const uintptr_t distances[] = { 0xfff0a0, 0x1234a0, 0x20, 0x12345670, 0xfff0b0 };
enum { DISTANCES = 5 };

static uint64_t seed = 88172645463325252u;

static uint8_t noise(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint8_t)(seed >> 24);
}

/** Fill the text with noise; put the span's place there as it is before. */
static uintptr_t place(const struct ftr__span *span, unsigned offset)
{
	uintptr_t ip = (uintptr_t)text + AT + offset;
	uint8_t bytes[FTR__PATCH_MAX];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = noise();
	ftr__span_bytes(&ftr__backend->text, span, ip, false, bytes);
	memcpy((void *)ip, bytes, span->size);
	memcpy(before_text, text, sizeof(text));
	return ip;
}

/** Exactly these bytes stand at ip, and around them what stood there. */
static void expect(const char *what, uintptr_t ip, const uint8_t *bytes, unsigned size)
{
	size_t at = ip - (uintptr_t)text;
	uint8_t right[sizeof(text)];

	memcpy(right, before_text, sizeof(right));
	memcpy(right + at, bytes, size);
	for (size_t i = 0; memcmp(text, right, sizeof(text)) && i < sizeof(text); i++)
		ck_assert_msg(text[i] == right[i], "%s, offset %zu: byte %zd is %02x, not %02x",
			      what, at % LINE, (ssize_t)(i - at), text[i], right[i]);
}

static struct ftr__span span_of(unsigned length, uintptr_t before, uintptr_t after)
{
	return (struct ftr__span){ .n = 1, .size = (uint8_t)length, .length = (uint8_t)length,
				   .before.target = before, .after.target = after };
}

/* --- which way ------------------------------------------------------------------- */

/** All bytes that differ, and the first two, in one unit? */
static bool differ_in_one(const struct ftr__span *span, uintptr_t ip, unsigned unit)
{
	uint8_t from[FTR__PATCH_MAX], to[FTR__PATCH_MAX];
	uintptr_t first = 0, last = 0;

	ftr__span_bytes(&ftr__backend->text, span, ip, false, from);
	ftr__span_bytes(&ftr__backend->text, span, ip, true, to);
	for (unsigned i = 0; i < span->size; i++)
		if (from[i] != to[i]) {
			first = first ? first : ip + i;
			last = ip + i;
		}
	return first / unit == last / unit;
}

static unsigned way_of(const struct ftr__span *span, uintptr_t ip, unsigned ways, bool one_line)
{
	struct ftr__poke_rules rules = { .ways = (uint8_t)ways, .one_line = one_line };
	uint8_t way = 0xff;

	ftr__x86_choose(span, &ip, &rules, &way);
	return way;
}

static void check_ways(const struct ftr__span *span, unsigned offset, bool nop)
{
	const unsigned atomic = 1 << FTR__WAY_ATOMIC, skip = 1 << FTR__WAY_SKIP;
	uintptr_t ip = place(span, offset);

	for (int line = 0; line < 2; line++) {
		unsigned unit = line ? LINE : 8;
		bool can_skip = nop && ip / unit == (ip + 1) / unit;
		unsigned by_atomic = differ_in_one(span, ip, unit) ? FTR__WAY_ATOMIC : FTR__WAY_LEFT;
		unsigned by_skip = can_skip ? FTR__WAY_SKIP : FTR__WAY_LEFT;
		unsigned best = by_atomic == FTR__WAY_ATOMIC ? by_atomic : by_skip;

		ck_assert_uint_eq(way_of(span, ip, atomic, line), by_atomic);
		ck_assert_uint_eq(way_of(span, ip, skip, line), by_skip);
		ck_assert_uint_eq(way_of(span, ip, ANY, line), best);
		ck_assert_uint_eq(way_of(span, ip, 0, line), FTR__WAY_LEFT);
		ck_assert_uint_eq(way_of(span, ip, ANY | 1 << FTR__WAY_INT3, line),
				  best == FTR__WAY_LEFT ? FTR__WAY_INT3 : best);
	}
}

START_TEST(test_ways_at_each_offset)
{
	for (unsigned length = 5; length <= 6; length++)
		for (unsigned offset = 0; offset < LINE; offset++)
			for (unsigned d = 0; d < DISTANCES; d++) {
				uintptr_t target = (uintptr_t)text + distances[d];
				struct ftr__span there = span_of(length, 0, target);
				struct ftr__span back = span_of(length, target, 0);
				struct ftr__span over = span_of(length, target, target + 0x12010);

				check_ways(&there, offset, true);
				check_ways(&back, offset, true);
				check_ways(&over, offset, false);
			}
}
END_TEST

/** What the trampolines' place is for: behind endbr too one quadword has it all. */
START_TEST(test_atomic_up_to_offset_four)
{
	for (unsigned offset = 0; offset < LINE; offset++) {
		struct ftr__span span = span_of(5, 0, (uintptr_t)text + distances[0]);
		uintptr_t ip = place(&span, offset);

		ck_assert_uint_eq(way_of(&span, ip, 1 << FTR__WAY_ATOMIC, false),
				  offset % 8 <= 4 ? FTR__WAY_ATOMIC : FTR__WAY_LEFT);
	}
}
END_TEST

/* --- what is written --------------------------------------------------------------- */

static void check_writes(const struct ftr__span *span, unsigned offset, bool nop)
{
	uintptr_t ip = place(span, offset);
	uint8_t from[FTR__PATCH_MAX], to[FTR__PATCH_MAX], skipping[FTR__PATCH_MAX];

	ftr__span_bytes(&ftr__backend->text, span, ip, false, from);
	ftr__span_bytes(&ftr__backend->text, span, ip, true, to);
	if (differ_in_one(span, ip, LINE)) {
		ftr__x86_write_atomic(span, &ip, 1, false); /* nothing to undo */
		expect("atomic, back at once", ip, from, span->size);
		ftr__x86_write_atomic(span, &ip, 1, true);
		expect("atomic", ip, to, span->size);
		ftr__x86_write_atomic(span, &ip, 1, false);
		expect("atomic, back", ip, from, span->size);
	}
	if (!nop)
		return;
	memcpy(skipping, from, sizeof(from));
	skipping[0] = 0xeb;
	skipping[1] = (uint8_t)(span->length - 2);
	ftr__x86_write_skips(span, &ip, 1);
	expect("skip", ip, skipping, span->size);
	memcpy(skipping + 2, to + 2, sizeof(to) - 2);
	ftr__x86_write_skipped(span, &ip, 1, true);
	expect("skip, tail", ip, skipping, span->size);
	ftr__x86_write_unskipped(span, &ip, 1, true);
	expect("skip, head", ip, to, span->size);
	ftr__x86_write_skips(span, &ip, 1);
	ftr__x86_write_skipped(span, &ip, 1, false);
	ftr__x86_write_unskipped(span, &ip, 1, false);
	expect("skip, back", ip, from, span->size);
}

START_TEST(test_writes_at_each_offset)
{
	for (unsigned length = 5; length <= 6; length++)
		for (unsigned offset = 0; offset < LINE; offset++)
			for (unsigned d = 0; d < DISTANCES; d++) {
				uintptr_t target = (uintptr_t)text + distances[d];
				struct ftr__span there = span_of(length, 0, target);
				struct ftr__span back = span_of(length, target, 0);
				struct ftr__span over = span_of(length, target, target + 0x12010);

				check_writes(&there, offset, true);
				check_writes(&back, offset, true);
				check_writes(&over, offset, false);
			}
}
END_TEST

/* Pads that get normal, of 8 bytes and of 10 with the first 8 to write. */
static const struct {
	uint8_t length;
	uint8_t before[FTR__PATCH_MAX], after[FTR__PATCH_MAX];
} literals[] = {
	{ 5, { 0x0f, 0x1f, 0x44, 0x00, 0x08 }, { 0x0f, 0x1f, 0x44, 0x00, 0x00 } },
	{ 5, { 0x66, 0x66, 0x66, 0x66, 0x90 }, { 0x0f, 0x1f, 0x44, 0x00, 0x00 } },
	{ 8, { 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0 }, { 0x0f, 0x1f, 0x44, 0, 0, 0x0f, 0x1f, 0 } },
	{ 10, { 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0x02 },
	  { 0x0f, 0x1f, 0x44, 0, 0, 0xeb, 0x03, 0xcc } },
};

START_TEST(test_literal_spans)
{
	for (size_t l = 0; l < FTR__ARRAY_SIZE(literals); l++) {
		struct ftr__span span = { .n = 1, .literal = true, .length = literals[l].length };

		span.size = span.length < FTR__PATCH_MAX ? span.length : FTR__PATCH_MAX;
		memcpy(span.before.bytes, literals[l].before, FTR__PATCH_MAX);
		memcpy(span.after.bytes, literals[l].after, FTR__PATCH_MAX);
		for (unsigned offset = 0; offset < LINE; offset++) {
			check_ways(&span, offset, true);
			check_writes(&span, offset, true);
		}
	}
}
END_TEST

/* --- many places in one span -------------------------------------------------------- */

enum { PLACES = 9 };

/* Where they stand, and what is said of that. */
static const struct {
	unsigned offset, stride;
	bool aligned;
} rows[] = {
	{ 0, 16, true }, { 4, 16, true }, { 0, 12, true }, { 0, 16, false }, { 4, 16, false },
	{ 5, 16, false }, { 0, 13, false }, { 3, 11, false },
};

/* Such that the distance takes four bytes at the first places and three at the
 * others; three, then none; and so at all of them. */
static const intptr_t middles[] = { 0x1000005 + PLACES / 2 * 16, 5 + PLACES / 2 * 16,
				    0x10000, 0x2000000, -0x10000 };

static void expect_all(const char *what, const struct ftr__span *span, const uintptr_t *ips,
		       size_t n, bool after)
{
	uint8_t right[sizeof(text)], bytes[FTR__PATCH_MAX];

	memcpy(right, before_text, sizeof(right));
	for (size_t i = 0; i < n; i++) {
		ftr__span_bytes(&ftr__backend->text, span, ips[i], after, bytes);
		memcpy(right + (ips[i] - (uintptr_t)text), bytes, span->size);
	}
	for (size_t i = 0; memcmp(text, right, sizeof(text)) && i < sizeof(text); i++)
		ck_assert_msg(text[i] == right[i], "%s: byte %zu is %02x, not %02x", what, i,
			      text[i], right[i]);
}

#ifdef __x86_64__
#define FLAGS_READ()       __builtin_ia32_readeflags_u64()
#define FLAGS_WRITE(value) __builtin_ia32_writeeflags_u64(value)
#else
#define FLAGS_READ()       __builtin_ia32_readeflags_u32()
#define FLAGS_WRITE(value) __builtin_ia32_writeeflags_u32(value)
#endif

/* With the flag AC set an access that is not aligned raises SIGBUS. */
static void write_aligned(const struct ftr__span *span, const uintptr_t *ips, size_t n,
			  bool after)
{
	const uintptr_t ac = 1 << 18;
	uintptr_t flags = FLAGS_READ();

	FLAGS_WRITE(flags | ac);
	ftr__x86_write_atomic(span, ips, n, after);
	FLAGS_WRITE(flags);
}

static void place_all(struct ftr__span *span, size_t row, uintptr_t *ips)
{
	for (size_t i = 0; i < PLACES; i++)
		ips[i] = (uintptr_t)text + AT + rows[row].offset + i * rows[row].stride;
	span->ips = ips;
	place(span, 0);
	for (size_t i = 0; i < PLACES; i++) {
		uint8_t bytes[FTR__PATCH_MAX];

		ftr__span_bytes(&ftr__backend->text, span, ips[i], false, bytes);
		memcpy((void *)ips[i], bytes, span->size);
	}
	memcpy(before_text, text, sizeof(text));
}

/** All are found as they are before; one that differs in its last byte is found. */
static void check_found(const struct ftr__span *span)
{
	const struct ftr__text_ops *ops = &ftr__backend->text;
	size_t wrong = PLACES;

	for (size_t i = 0; i <= PLACES; i++) {
		uint8_t *last = (uint8_t *)span->ips[i % PLACES] + span->length - 1;

		*last ^= i < PLACES;
		wrong = span->stride[false] ? ops->check_jumps(span)
					    : ops->check(span->ips, PLACES, span->length,
							 span->before.target, span->aligned);
		*last ^= i < PLACES;
		ck_assert_uint_eq(wrong, i);
	}
}

/** Each place's way is its own, and what one store does for it is done. */
static void check_many(struct ftr__span span, size_t row)
{
	struct ftr__poke_rules rules = { .ways = ANY | 1 << FTR__WAY_INT3 };
	uintptr_t ips[PLACES], stored[PLACES];
	uint8_t ways[PLACES];
	size_t n = 0;

	span.n = PLACES;
	span.aligned = rows[row].aligned;
	place_all(&span, row, ips);
	check_found(&span);
	bool alike = ftr__x86_choose(&span, ips, &rules, ways);
	for (size_t i = 0; i < PLACES; i++) {
		bool one = differ_in_one(&span, ips[i], 8);

		ck_assert_uint_eq(ways[i] == FTR__WAY_ATOMIC, one);
		ck_assert(!alike || ways[i] == ways[0]);
		if (one)
			stored[n++] = ips[i];
	}
	if (!n)
		return;
	write_aligned(&span, stored, n, true);
	expect_all("there", &span, stored, n, true);
	write_aligned(&span, stored, n, false);
	expect_all("back", &span, stored, n, false);
}

/** Jumps whose targets are as far apart as stubs: each has its own, also where
 *  places are listed elsewhere than in the span. */
static void check_jumps(struct ftr__span span, size_t row, bool after)
{
	uintptr_t ips[PLACES], some[PLACES], target;
	size_t n = 0;

	check_many(span, row);
	span.n = PLACES;
	place_all(&span, row, ips);
	for (size_t i = 0; i < PLACES; i += 2)
		some[n++] = ips[i];
	for (int all = 0; all < 2; all++) {
		const uintptr_t *list = all ? ips : some;

		ftr__x86_write_jump_tails(&span, list, all ? PLACES : n, after);
		for (size_t i = 0; i < (all ? PLACES : n); i++) {
			uint8_t *at = (uint8_t *)list[i];

			*at = span.length == 5 ? 0xe9 : 0x2e;
			ck_assert_int_eq(ftr__x86_decode(at, list[i], &target), FTR__X86_JMP);
			ck_assert_uint_eq(target, ftr__span_target(&span, all ? i : 2 * i, after));
		}
	}
	ck_assert_uint_eq(ftr__span_target(&span, 3, after) - ftr__span_target(&span, 0, after), 48);
}

START_TEST(test_many_jumps)
{
	for (size_t row = 0; row < FTR__ARRAY_SIZE(rows); row++)
		for (size_t m = 0; m < FTR__ARRAY_SIZE(middles); m++)
			for (unsigned length = 5; length <= 6; length++) {
				uintptr_t target = (uintptr_t)text + AT + (uintptr_t)middles[m];
				struct ftr__span there = span_of(length, 0, target);
				struct ftr__span back = span_of(length, target, 0);
				struct ftr__span over = span_of(length, target + 0x12010, target);

				there.stride[true] = back.stride[false] = over.stride[true] = 16;
				check_jumps(there, row, true);
				check_jumps(back, row, false);
				check_jumps(over, row, true);
			}
}
END_TEST

START_TEST(test_many_places)
{
	for (size_t row = 0; row < FTR__ARRAY_SIZE(rows); row++)
		for (size_t m = 0; m < FTR__ARRAY_SIZE(middles); m++)
			for (unsigned length = 5; length <= 6; length++) {
				uintptr_t target = (uintptr_t)text + AT + (uintptr_t)middles[m];

				check_many(span_of(length, 0, target), row);
				check_many(span_of(length, target, 0), row);
				check_many(span_of(length, target, target + 0x12010), row);
			}
}
END_TEST

/* --- fusing -------------------------------------------------------------------------- */

/** From each boundary of the old pad nops, and nothing else, lead to its end;
 *  in whatever order the bytes are written. */
static void check_mixtures(const uint8_t *pad, const uint8_t *fused, unsigned length)
{
	for (unsigned mix = 0; mix < 1u << length; mix++) {
		uint8_t bytes[FTR__PATCH_MAX];

		for (unsigned i = 0; i < length; i++)
			bytes[i] = mix & 1u << i ? fused[i] : pad[i];
		for (unsigned start = 0; start < length;
		     start += (unsigned)ftr__x86_nop_length(pad + start, length - start)) {
			unsigned at = start;

			while (at < length) {
				size_t n = ftr__x86_nop_length(bytes + at, length - at);

				ck_assert_msg(n, "mixture %#x, from %u: no nop at %u", mix, start, at);
				at += (unsigned)n;
			}
			ck_assert_uint_eq(at, length);
		}
	}
}

static const struct {
	uint8_t length, bytes[FTR__PATCH_MAX];
} pads[] = {
	{ 5, { 0x90, 0x90, 0x90, 0x90, 0x90 } },
	{ 5, { 0x66, 0x90, 0x66, 0x90, 0x90 } },
	{ 6, { 0x90, 0x90, 0x90, 0x90, 0x66, 0x90 } },
	{ 8, { 0x90, 0x66, 0x90, 0x66, 0x66, 0x66, 0x66, 0x90 } },
};

START_TEST(test_fused_in_any_order)
{
	for (size_t i = 0; i < FTR__ARRAY_SIZE(pads); i++) {
		uint8_t fused[FTR__PATCH_MAX] = { 0 };

		ck_assert(ftr__x86_fuse(pads[i].bytes, pads[i].length, fused));
		ck_assert_uint_eq(ftr__x86_nop_length(fused, pads[i].length), pads[i].length);
		check_mixtures(pads[i].bytes, fused, pads[i].length);
	}
}
END_TEST

START_TEST(test_what_cannot_be_fused)
{
	static const uint8_t others[][5] = {
		{ 0x0f, 0x1f, 0x00, 0x66, 0x90 }, { 0x90, 0x0f, 0x1f, 0x40, 0x00 },
		{ 0x90, 0x90, 0x90, 0x90, 0x66 }, { 0xe8, 0x90, 0x90, 0x90, 0x90 } };

	for (size_t i = 0; i < FTR__ARRAY_SIZE(others); i++) {
		uint8_t fused[FTR__PATCH_MAX] = { 0xaa };

		ck_assert(!ftr__x86_fuse(others[i], 5, fused));
		ck_assert_uint_eq(fused[0], 0xaa);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ways");

	UNIT_CASE(suite, test_ways_at_each_offset);
	UNIT_CASE(suite, test_atomic_up_to_offset_four);
	UNIT_CASE(suite, test_writes_at_each_offset);
	UNIT_CASE(suite, test_literal_spans);
	UNIT_CASE(suite, test_many_places);
	UNIT_CASE(suite, test_many_jumps);
	UNIT_CASE(suite, test_fused_in_any_order);
	UNIT_CASE(suite, test_what_cannot_be_fused);
	return unit_main(suite);
}
