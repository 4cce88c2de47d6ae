/* SPDX-License-Identifier: MIT */
/*
 * All of memory.  Floor 3; under the library's lock.
 */
#include "lib/search.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/clock.h"

enum {
	MEMORY_BOUND = 1 << 30, /* bytes */
	CHUNK = 64 * 1024
};

/* What is left of memory and time. */
struct bounds {
	size_t left; /* bytes */
	uint64_t deadline; /* by ftr__clock_ms() */
};

static struct ftr__inside ignored[512];
static size_t n_ignored;

void ftr__search_ignore(uintptr_t start, uintptr_t end)
{
	if (n_ignored < FTR__ARRAY_SIZE(ignored))
		ignored[n_ignored++] = (struct ftr__inside){ .after = start, .end = end };
}

/* What is ignored and begins first in [start, end); NULL: nothing. */
static const struct ftr__inside *next_ignored(uintptr_t start, uintptr_t end)
{
	const struct ftr__inside *next = NULL;

	for (size_t i = 0; i < n_ignored; i++)
		if (ignored[i].after < end && ignored[i].end > start &&
		    (!next || ignored[i].after < next->after))
			next = &ignored[i];
	return next;
}

static bool check_words(struct ftr__search *s, uintptr_t start, uintptr_t end,
			struct bounds *bounds)
{
	static uintptr_t words[CHUNK / sizeof(uintptr_t)];

	for (uintptr_t at = start; at < end; at += CHUNK) {
		size_t want = end - at < CHUNK ? end - at : CHUNK;
		long got = ftr__search_read(s, words, want, at);
		if (bounds->left < want || ftr__clock_ms() >= bounds->deadline)
			return false;
		bounds->left -= want;
		if (got > 0 && ftr__search_words(s, words, (size_t)got / sizeof *words))
			return false;
	}
	return true;
}

/* Pages in a row that are present, up to a mapping's end, which may be within one: a
 * page that was never touched holds no frame. */
static bool check_pages(struct ftr__search *s, const struct ftr__mapping *map, uintptr_t start,
			uintptr_t end, struct bounds *bounds)
{
	const struct ftr__inside *skip;

	end = end < map->end ? end : map->end;
	while (start < end && (skip = next_ignored(start, end)) != NULL) {
		if (skip->after > start && !check_words(s, start, skip->after, bounds))
			return false;
		start = skip->end;
	}
	return start >= end || check_words(s, start, end, bounds);
}

/*
 * PAGEMAP_SCAN of Linux 6.7 (include/uapi/linux/fs.h): passes over what was
 * never touched at once, where a reservation may be terabytes.  The kernel's
 * names, for headers that do not have them yet.
 */
struct page_region_ {
	uint64_t start, end, categories;
};
struct pm_scan_arg_ {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define PAGEMAP_SCAN_ _IOWR('f', 16, struct pm_scan_arg_)
enum { PAGE_IS_PRESENT_ = 1 << 3, PAGE_IS_SWAPPED_ = 1 << 4 };

/* 1: all looked at; 0: not within bounds; -1: the kernel does not have it. */
static int scan_mapping(struct ftr__search *s, int pagemap, const struct ftr__mapping *map,
			struct bounds *bounds)
{
	struct page_region_ regions[64];
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	struct pm_scan_arg_ arg = { .size = sizeof arg, .start = map->start,
				    .end = ftr__align_up(map->end, page),
				    .vec = (uintptr_t)regions,
				    .vec_len = FTR__ARRAY_SIZE(regions),
				    .category_anyof_mask = PAGE_IS_PRESENT_ | PAGE_IS_SWAPPED_,
				    .return_mask = PAGE_IS_PRESENT_ };

	while (arg.start < map->end) {
		int n = ioctl(pagemap, PAGEMAP_SCAN_, &arg);
		if (n < 0)
			return -1;
		for (int i = 0; i < n; i++)
			if (!check_pages(s, map, (uintptr_t)regions[i].start,
					 (uintptr_t)regions[i].end, bounds))
				return 0;
		if (arg.walk_end <= arg.start)
			return 0;
		arg.start = arg.walk_end;
	}
	return 1;
}

/* Page by page: bits 63 and 62 of pagemap, present and swapped (Linux
 * Documentation/admin-guide/mm/pagemap.rst). */
static bool read_mapping(struct ftr__search *s, int pagemap, const struct ftr__mapping *map,
			 struct bounds *bounds)
{
	uint64_t entries[512];
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	for (uintptr_t at = map->start; at < map->end;) {
		size_t n = (map->end - at + page - 1) / page;
		if (n > FTR__ARRAY_SIZE(entries))
			n = FTR__ARRAY_SIZE(entries);
		ssize_t got = pread(pagemap, entries, n * 8, (off_t)(at / page * 8));
		if (got < 8 || ftr__clock_ms() >= bounds->deadline)
			return false;
		for (size_t i = 0; i < (size_t)got / 8; i++, at += page)
			if ((entries[i] >> 62) && !check_pages(s, map, at, at + page, bounds))
				return false;
	}
	return true;
}

static bool check_mapping(struct ftr__search *s, int pagemap, const struct ftr__mapping *map,
			  struct bounds *bounds)
{
	int scanned = scan_mapping(s, pagemap, map, bounds);

	return scanned >= 0 ? scanned : read_mapping(s, pagemap, map, bounds);
}

bool ftr__search_memory(struct ftr__search *s, uint64_t deadline)
{
	struct bounds bounds = { MEMORY_BOUND, deadline };
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	bool ok = pagemap >= 0;

	for (size_t i = 0; ok && i < s->maps.n; i++) {
		const struct ftr__mapping *map = &s->maps.list[i];
		/* Stacks are executable where a program wants nested functions. */
		if (map->readable && map->writable)
			ok = check_mapping(s, pagemap, map, &bounds);
	}
	if (pagemap >= 0)
		close(pagemap);
	return ok;
}

