/* SPDX-License-Identifier: MIT */
/*
 * Both text writers: what each pass writes, what stays as it is, and what the
 * mappings look like meanwhile (P10).
 */
#include "lib/backend.h"
#include "lib/maps.h"
#include "lib/text.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGES = 200, PATCHES = 6 };

static uint8_t *text;
static size_t page;
static uintptr_t ips[PATCHES];
static struct ftr__span spans[PATCHES];
static const struct ftr__patches patches = { .n = PATCHES, .spans = spans,
					    .n_spans = PATCHES };
/* For literal spans: nothing is encoded. */
static const struct ftr__text_ops ops = { .breakpoint = 0xcc };

/* Early, astride a page, in the next page, near the end, and five or eight bytes. */
static const size_t places[PATCHES] = { 0, 4093, 4100, 8190, 100 * 4096 + 5, 199 * 4096 + 4000 };

static void set_up(bool strict)
{
	size_t i, k;

	page = (size_t)sysconf(_SC_PAGESIZE);
	text = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(text, MAP_FAILED);
	memset(text, 0x11, PAGES * page);
	memset(spans, 0, sizeof(spans));
	for (i = 0; i < PATCHES; i++) {
		ips[i] = (uintptr_t)text + places[i];
		spans[i].ips = &ips[i];
		spans[i].first = i;
		spans[i].n = 1;
		spans[i].literal = true;
		spans[i].size = spans[i].length = i == 3 ? 8 : 5;
		for (k = 0; k < 8; k++) {
			spans[i].before.bytes[k] = (uint8_t)(0x20 + k);
			spans[i].after.bytes[k] = (uint8_t)(0x40 + k);
		}
		memcpy(text + places[i], spans[i].before.bytes, spans[i].size);
	}
	ck_assert_int_eq(mprotect(text, PAGES * page, PROT_READ | PROT_EXEC), 0);
	ftr__text_set_strict(strict);
}

/** Any page of the text writable now? */
static bool writable(void)
{
	struct ftr__maps maps;
	bool found = false;
	size_t i;

	ck_assert_int_eq(ftr__maps_read(&maps), 0);
	for (i = 0; i < maps.n; i++)
		found |= maps.list[i].writable && maps.list[i].start < (uintptr_t)text + PAGES * page &&
			 maps.list[i].end > (uintptr_t)text;
	ftr__maps_free(&maps);
	return found;
}

static void expect(const char *pass, uint8_t head, uint8_t tail)
{
	uint8_t *whole = malloc(PAGES * page);
	size_t i, k;

	memset(whole, 0x11, PAGES * page);
	for (i = 0; i < PATCHES; i++) {
		whole[places[i]] = head;
		for (k = 1; k < spans[i].size; k++)
			whole[places[i] + k] = (uint8_t)(tail + k);
	}
	ck_assert_msg(!memcmp(whole, text, PAGES * page), "after %s", pass);
	free(whole);
}

/* _i: strict. */
START_TEST(test_each_pass)
{
	struct ftr__text_window window;

	set_up(_i);
	ck_assert_int_eq(ftr__text_open(&window, &patches, &ops), 0);
	ck_assert_str_eq(ftr__text_writer(), _i ? "mem" : "mprotect");
	ck_assert_int_eq(writable(), !_i);
	expect("open", 0x20, 0x20);
	ck_assert_int_eq(ftr__text_pass(&window, FTR__PASS_BREAKPOINTS), 0);
	expect("breakpoints", 0xcc, 0x20);
	ck_assert_int_eq(ftr__text_pass(&window, FTR__PASS_TAILS), 0);
	expect("tails", 0xcc, 0x40);
	ck_assert_int_eq(ftr__text_pass(&window, FTR__PASS_HEADS), 0);
	expect("heads", 0x40, 0x40);
	ck_assert_int_eq(ftr__text_pass(&window, FTR__PASS_BREAKPOINTS), 0);
	ck_assert_int_eq(ftr__text_pass(&window, FTR__PASS_OLD_TAILS), 0);
	expect("old tails", 0xcc, 0x20);
	ck_assert_int_eq(ftr__text_pass(&window, FTR__PASS_OLD_HEADS), 0);
	expect("old heads", 0x20, 0x20);
	ftr__text_close(&window);
	ck_assert(!writable());
}
END_TEST

/** Where mprotect is refused the other writer takes over. */
START_TEST(test_fallback)
{
	struct ftr__text_window window;

	set_up(false);
	ftr__text_fail_after = 1;
	ck_assert_int_eq(ftr__text_open(&window, &patches, &ops), 0);
	ck_assert_str_eq(ftr__text_writer(), "mem");
	ck_assert(!writable());
	ck_assert_int_eq(ftr__text_pass(&window, FTR__PASS_TAILS), 0);
	expect("tails", 0x20, 0x40);
	ftr__text_close(&window);
	ck_assert(!writable());
}
END_TEST

START_TEST(test_failed_write_is_reported)
{
	struct ftr__text_window window;

	set_up(true);
	ck_assert_int_eq(ftr__text_open(&window, &patches, &ops), 0);
	ftr__text_fail_after = 2;
	ck_assert_int_eq(ftr__text_pass(&window, FTR__PASS_BREAKPOINTS), -EACCES);
	ck_assert_int_eq(ftr__text_pass(&window, FTR__PASS_BREAKPOINTS), 0);
	expect("breakpoints", 0xcc, 0x20);
	ftr__text_close(&window);
}
END_TEST

/** Patches of different segments never share a range: no page of another
 *  mapping gets writable. */
START_TEST(test_gap_between_segments_is_left_alone)
{
	struct ftr__text_window window;
	struct ftr__maps maps;
	uintptr_t gap;
	size_t i;

	set_up(false);
	gap = (uintptr_t)text + 3 * page;
	ck_assert_int_eq(mprotect((void *)gap, page, PROT_NONE), 0);
	for (i = 4; i < PATCHES; i++)
		spans[i].segment = 1;
	ck_assert_int_eq(ftr__text_open(&window, &patches, &ops), 0);
	ck_assert_int_eq(ftr__maps_read(&maps), 0);
	for (i = 0; i < maps.n; i++)
		if (maps.list[i].start <= gap && gap < maps.list[i].end)
			ck_assert(!maps.list[i].readable && !maps.list[i].writable);
	ftr__maps_free(&maps);
	ftr__text_close(&window);
	ck_assert_int_eq(mprotect((void *)gap, page, PROT_READ), 0);
	ck_assert(!writable());
}
END_TEST

START_TEST(test_populate_changes_no_byte)
{
	struct ftr__text_window window;

	set_up(false);
	ck_assert_int_eq(ftr__text_open(&window, &patches, &ops), 0);
	ftr__text_populate(&window);
	ftr__text_close(&window);
	expect("populate", 0x20, 0x20);
}
END_TEST

/* --- spans of calls ---------------------------------------------------------- */

enum { CALLS = 500 };

static uintptr_t call_ips[CALLS];

/** `length` bytes each, a nop there; all over the pages, some astride two.  aligned:
 *  at multiples of four. */
static void place_nops(unsigned length, bool aligned)
{
	uint8_t bytes[FTR__PATCH_MAX];
	size_t i;

	ck_assert_int_eq(mprotect(text, PAGES * page, PROT_READ | PROT_WRITE), 0);
	memset(text, 0x11, PAGES * page);
	for (i = 0; i < CALLS; i++) {
		call_ips[i] = (uintptr_t)text + i * 1638 + 3;
		if (aligned)
			call_ips[i] &= ~(uintptr_t)3;
		ftr__backend->text.encode(bytes, length, call_ips[i], 0);
		memcpy((void *)call_ips[i], bytes, length);
	}
	ck_assert_int_eq(mprotect(text, PAGES * page, PROT_READ | PROT_EXEC), 0);
}

/** All hold the instruction for `target` with this head, and nothing else changed. */
static void expect_calls(const char *pass, unsigned length, uintptr_t target, int head)
{
	uint8_t *whole = malloc(PAGES * page), bytes[FTR__PATCH_MAX];
	size_t i;

	memset(whole, 0x11, PAGES * page);
	for (i = 0; i < CALLS; i++) {
		ftr__backend->text.encode(bytes, length, call_ips[i], target);
		if (head >= 0)
			bytes[0] = (uint8_t)head;
		memcpy(whole + (call_ips[i] - (uintptr_t)text), bytes, length);
	}
	ck_assert_msg(!memcmp(whole, text, PAGES * page), "length %u, after %s", length, pass);
	free(whole);
}

/* _i: strict. */
START_TEST(test_one_span_of_many_calls)
{
	const struct ftr__text_ops *const native = &ftr__backend->text;
	unsigned length;

	set_up(_i);
	for (length = 5; length <= 6; length++) {
		const uintptr_t target = (uintptr_t)text + PAGES * page + 0x1230;
		struct ftr__span span = { .ips = call_ips, .n = CALLS, .after.target = target,
					  .size = (uint8_t)length, .length = (uint8_t)length };
		const struct ftr__patches calls = { .n = CALLS, .spans = &span,
						    .n_spans = 1 };
		struct ftr__text_window window;

		place_nops(length, false);
		ck_assert_uint_eq(native->check(call_ips, CALLS, length, 0, false), CALLS);
		ck_assert_uint_eq(native->check(call_ips, CALLS, length, target, false), 0);
		ck_assert_int_eq(ftr__text_open(&window, &calls, native), 0);
		ck_assert_int_eq(ftr__text_pass(&window, FTR__PASS_BREAKPOINTS), 0);
		expect_calls("breakpoints", length, 0, native->breakpoint);
		ck_assert_int_eq(ftr__text_pass(&window, FTR__PASS_TAILS), 0);
		expect_calls("tails", length, target, native->breakpoint);
		ck_assert_int_eq(ftr__text_pass(&window, FTR__PASS_HEADS), 0);
		expect_calls("heads", length, target, -1);
		ck_assert_uint_eq(native->check(call_ips, CALLS, length, target, false), CALLS);
		ck_assert_int_eq(ftr__text_pass(&window, FTR__PASS_BREAKPOINTS), 0);
		ck_assert_int_eq(ftr__text_pass(&window, FTR__PASS_OLD_TAILS), 0);
		expect_calls("old tails", length, 0, native->breakpoint);
		ck_assert_int_eq(ftr__text_pass(&window, FTR__PASS_OLD_HEADS), 0);
		expect_calls("old heads", length, 0, -1);
		ftr__text_close(&window);
	}
}
END_TEST

/** With each byte of each place changed in turn. */
static void check_each_byte(unsigned length, uintptr_t target, bool aligned)
{
	const struct ftr__text_ops *const native = &ftr__backend->text;

	for (size_t place = 0; place < CALLS; place++) {
		uint8_t *at = (uint8_t *)call_ips[place];

		for (unsigned byte = 0; byte < length; byte++) {
			at[byte] ^= 0x10;
			ck_assert_uint_eq(native->check(call_ips, CALLS, length, target, aligned),
					  place);
			at[byte] ^= 0x10;
		}
	}
	ck_assert_uint_eq(native->check(call_ips, CALLS, length, target, aligned), CALLS);
}

/** The check names the first place that is not as it should be.  _i: aligned. */
START_TEST(test_check_finds_each_byte)
{
	set_up(false);
	for (unsigned length = 5; length <= 6; length++) {
		const uintptr_t target = (uintptr_t)text + PAGES * page + 0x1230;

		place_nops(length, _i);
		ck_assert_int_eq(mprotect(text, PAGES * page, PROT_READ | PROT_WRITE), 0);
		check_each_byte(length, 0, _i);
		for (size_t i = 0; i < CALLS; i++) {
			uint8_t bytes[FTR__PATCH_MAX];

			ftr__backend->text.encode(bytes, length, call_ips[i], target);
			memcpy((void *)call_ips[i], bytes, length);
		}
		check_each_byte(length, target, _i);
	}
}
END_TEST

/** Aligned places are read by eight bytes, but not beyond a page that ends behind
 *  one. */
START_TEST(test_check_stays_in_its_pages)
{
	const struct ftr__text_ops *const native = &ftr__backend->text;
	uintptr_t last[64];

	set_up(false);
	place_nops(5, true);
	ck_assert_int_eq(mprotect(text, PAGES * page, PROT_READ | PROT_WRITE), 0);
	for (size_t i = 0; i < 64; i++) {
		last[i] = (uintptr_t)text + 100 * page - 8 * (64 - i);
		native->encode((uint8_t *)last[i], 5, last[i], 0);
	}
	ck_assert_int_eq(mprotect(text + 100 * page, page, PROT_NONE), 0);
	ck_assert_uint_eq(native->check(last, 64, 5, 0, true), 64);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("text");
	TCase *passes = tcase_create("passes");

	tcase_add_loop_test(passes, test_each_pass, 0, 2);
	tcase_add_loop_test(passes, test_one_span_of_many_calls, 0, 2);
	tcase_add_loop_test(passes, test_check_finds_each_byte, 0, 2);
	suite_add_tcase(suite, passes);
	UNIT_CASE(suite, test_fallback);
	UNIT_CASE(suite, test_failed_write_is_reported);
	UNIT_CASE(suite, test_gap_between_segments_is_left_alone);
	UNIT_CASE(suite, test_populate_changes_no_byte);
	UNIT_CASE(suite, test_check_stays_in_its_pages);
	return unit_main(suite);
}
