/* SPDX-License-Identifier: MIT */
/*
 * The list of mappings, and where a gap is found in one.
 */
#include "lib/maps.h"
#include "tests/unit/unit.h"

#include <sys/mman.h>
#include <unistd.h>

START_TEST(test_own_mappings)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), i;
	struct ftr__maps maps;
	unsigned found = 0;
	char *mine = mmap(NULL, 3 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(mine, MAP_FAILED);
	ck_assert_int_eq(mprotect(mine + page, page, PROT_READ | PROT_WRITE), 0);
	ck_assert_int_eq(ftr__maps_read(&maps), 0);
	for (i = 0; i < maps.n; i++) {
		const struct ftr__mapping *m = &maps.list[i];

		ck_assert_uint_lt(m->start, m->end);
		ck_assert(!i || m[-1].end <= m->start);
		if (m->start == (uintptr_t)mine + page) {
			ck_assert_uint_eq(m->end, m->start + page);
			ck_assert(m->readable && m->writable && !m->executable && !m->shared);
			found++;
		}
		if (m->start <= (uintptr_t)test_own_mappings_fn &&
		    (uintptr_t)test_own_mappings_fn < m->end) {
			ck_assert(m->readable && !m->writable && m->executable);
			found++;
		}
	}
	ck_assert_uint_eq(found, 2);
	ftr__maps_free(&maps);
}
END_TEST

static struct ftr__mapping list[] = {
	{ .start = 0x10000, .end = 0x20000 },
	{ .start = 0x20000, .end = 0x28000 },
	{ .start = 0x40000, .end = 0x50000 },
	{ .start = 0x90000, .end = 0xa0000 },
};
static const struct ftr__maps four = { list, 4 };

static uintptr_t gap(uintptr_t low, uintptr_t high, size_t size, size_t margin, bool highest)
{
	return ftr__maps_gap(&four, low, high, size, margin, highest);
}

START_TEST(test_gaps)
{
	/* Between 0x28000 and 0x40000, between 0x50000 and 0x90000. */
	ck_assert_uint_eq(gap(0x10000, 0x90000, 0x1000, 0, false), 0x28000);
	ck_assert_uint_eq(gap(0x10000, 0x90000, 0x1000, 0, true), 0x8f000);
	ck_assert_uint_eq(gap(0x10000, 0x90000, 0x18000, 0, false), 0x28000);
	ck_assert_uint_eq(gap(0x10000, 0x90000, 0x19000, 0, false), 0x50000);
	ck_assert_uint_eq(gap(0x10000, 0x90000, 0x40000, 0, true), 0x50000);
	ck_assert_uint_eq(gap(0x10000, 0x90000, 0x41000, 0, true), 0);
	ck_assert_uint_eq(gap(0x10000, 0x90000, 0x1000, 0x1000, false), 0x29000);
	ck_assert_uint_eq(gap(0x10000, 0x90000, 0x1000, 0x1000, true), 0x8e000);
	ck_assert_uint_eq(gap(0x10000, 0x90000, 0x17000, 0x1000, false), 0x51000);
}
END_TEST

/** The range may begin or end inside a mapping, or behind all of them. */
START_TEST(test_gap_at_the_ends)
{
	ck_assert_uint_eq(gap(0x18000, 0x45000, 0x1000, 0, false), 0x28000);
	ck_assert_uint_eq(gap(0x18000, 0x45000, 0x1000, 0, true), 0x3f000);
	ck_assert_uint_eq(gap(0x95000, 0xc0000, 0x1000, 0, false), 0xa0000);
	ck_assert_uint_eq(gap(0x95000, 0xc0000, 0x1000, 0, true), 0xbf000);
	ck_assert_uint_eq(gap(0x95000, 0xc0000, 0x1000, 0x1000, false), 0xa1000);
	ck_assert_uint_eq(gap(0x42000, 0x4f000, 0x1000, 0, false), 0);
	ck_assert_uint_eq(gap(0x55000, 0x56000, 0x1000, 0, false), 0x55000);
	ck_assert_uint_eq(gap(0x55000, 0x56000, 0x2000, 0, false), 0);
	ck_assert_uint_eq(gap(0x1000, 0x10000, 0x1000, 0, false), 0x1000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("maps");

	UNIT_CASE(suite, test_own_mappings);
	UNIT_CASE(suite, test_gaps);
	UNIT_CASE(suite, test_gap_at_the_ends);
	return unit_main(suite);
}
