/* SPDX-License-Identifier: MIT */
/*
 * The two text writers.  Floor 1.  Called under the library's lock.
 *
 * The mem writer hands the kernel whole stretches of bytes.  Its copy is no
 * atomic store, and rewrites unchanged bytes with the same value: right for
 * the byte-wise breakpoint protocol, for no other.
 */
#include "lib/text.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/error.h"

/* Gaps of so many pages between two sites are made writable with them. */
enum { MERGE_PAGES = 64 };

/* The longest stretch of one write to /proc/self/mem. */
enum { STRETCH = 4096 };

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

int ftr__text_fail_after;

static bool strict;
static bool mem_last; /* the latest window used mem */

void ftr__text_set_strict(bool on)
{
	strict = on;
	mem_last = on;
}

const char *ftr__text_writer(void)
{
	return mem_last ? "mem" : "mprotect";
}

static bool injected_failure(void)
{
	return ftr__text_fail_after > 0 && --ftr__text_fail_after == 0;
}

/* The pages of all patches, merged; the list is sorted as the patches are. */
static int collect_ranges(struct ftr__text_window *w)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	size_t n = 0, room = 0;
	uint32_t segment = 0;

	for (size_t i = 0; i < w->n; i++) {
		const struct ftr__patch *p = &w->patches[i];
		uintptr_t end = p->ip + p->size;

		if (FTR__LIKELY(n && end <= w->ranges[n - 1].end))
			continue; /* on pages of this mapping already */
		end = ftr__align_up(end, page);
		if (n && p->segment == segment &&
		    p->ip < w->ranges[n - 1].end + MERGE_PAGES * page) {
			if (end > w->ranges[n - 1].end)
				w->ranges[n - 1].end = end;
			continue;
		}
		if (n == room) {
			room = room ? 2 * room : 16;
			void *grown = realloc(w->ranges, room * sizeof *w->ranges);
			if (!grown)
				return ftr__fail(ENOMEM, "no memory for a batch's page ranges");
			w->ranges = grown;
		}
		w->ranges[n].start = ftr__align_down(p->ip, page);
		w->ranges[n++].end = end;
		segment = p->segment;
	}
	w->n_ranges = n;
	return 0;
}

static void protect(const struct ftr__text_window *w, size_t n)
{
	for (size_t i = 0; i < n; i++)
		mprotect((void *)w->ranges[i].start, w->ranges[i].end - w->ranges[i].start,
			 PROT_READ | PROT_EXEC);
}

static bool unprotect(const struct ftr__text_window *w)
{
	for (size_t i = 0; i < w->n_ranges; i++) {
		if (mprotect((void *)w->ranges[i].start, w->ranges[i].end - w->ranges[i].start,
			     PROT_READ | PROT_WRITE | PROT_EXEC)) {
			int error = errno;
			protect(w, i);
			errno = error;
			return false;
		}
	}
	return true;
}

static int open_mem(struct ftr__text_window *w, int mprotect_error)
{
	w->mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	if (w->mem >= 0)
		return 0;
	if (mprotect_error)
		return ftr__fail(EACCES, "text can't be written: mprotect gives errno %d (a security"
				 " policy such as PR_SET_MDWE, SELinux or seccomp), and /proc/self/mem"
				 " errno %d", mprotect_error, errno);
	return ftr__fail(EACCES, "text can't be written: /proc/self/mem gives errno %d, and"
			 " FTR_TEXT_STRICT forbids mprotect", errno);
}

int ftr__text_open(struct ftr__text_window *w, struct ftr__patch *patches, size_t n,
		   uint8_t breakpoint)
{
	*w = (struct ftr__text_window){
		.patches = patches, .n = n, .breakpoint = breakpoint, .mem = -1 };
	int result = collect_ranges(w);

	if (!result && !strict && !injected_failure() && unprotect(w)) {
		mem_last = false;
		return 0;
	}
	if (!result)
		result = open_mem(w, strict ? 0 : errno);
	if (!result)
		mem_last = true;
	else
		free(w->ranges);
	return result;
}

void ftr__text_close(struct ftr__text_window *w)
{
	if (w->mem >= 0)
		close(w->mem);
	else
		protect(w, w->n_ranges);
	free(w->ranges);
	w->ranges = NULL;
}

/* Write what the pass changes of one patch; `at` stands for p->ip. */
static inline __attribute__((always_inline)) void apply(uint8_t *at, const struct ftr__patch *p, enum ftr__pass pass,
			 uint8_t breakpoint)
{
	switch (pass) {
	case FTR__PASS_BREAKPOINTS:
		FTR__WRITE_ONCE(*at, breakpoint);
		break;
	case FTR__PASS_HEADS:
		FTR__WRITE_ONCE(*at, p->after[0]);
		break;
	case FTR__PASS_OLD_HEADS:
		FTR__WRITE_ONCE(*at, p->before[0]);
		break;
	case FTR__PASS_TAILS:
	case FTR__PASS_OLD_TAILS: {
		const uint8_t *bytes = pass == FTR__PASS_TAILS ? p->after : p->before;
		if (FTR__LIKELY(p->size == 5))
			memcpy(at + 1, bytes + 1, 4);
		else
			memcpy(at + 1, bytes + 1, p->size - 1u);
		break;
	}
	}
}

/* Patches from i that fit one stretch; returns the first behind it. */
static size_t stretch_end(const struct ftr__text_window *w, size_t i)
{
	uintptr_t limit = w->patches[i].ip + STRETCH;
	uint32_t segment = w->patches[i].segment;
	size_t j = i + 1;

	while (j < w->n && w->patches[j].segment == segment &&
	       w->patches[j].ip + w->patches[j].size <= limit)
		j++;
	return j;
}

static int pass_mem(struct ftr__text_window *w, enum ftr__pass pass)
{
	uint8_t copy[STRETCH + FTR__PATCH_MAX];

	for (size_t i = 0, j; i < w->n; i = j) {
		j = stretch_end(w, i);
		uintptr_t start = w->patches[i].ip;
		size_t size = w->patches[j - 1].ip + w->patches[j - 1].size - start;

		memcpy(copy, (const void *)start, size);
		for (size_t k = i; k < j; k++)
			apply(copy + (w->patches[k].ip - start), &w->patches[k], pass,
			      w->breakpoint);
		if (injected_failure() ||
		    pwrite(w->mem, copy, size, (off_t)start) != (ssize_t)size)
			return ftr__fail(EACCES, "writing %zu bytes of text at %#lx through"
					 " /proc/self/mem failed (errno %d)", size,
					 (unsigned long)start, errno);
	}
	return 0;
}

/* One loop for each pass: the choice is made outside. */
static void pass_direct(const struct ftr__text_window *w, enum ftr__pass pass)
{
	const uint8_t breakpoint = w->breakpoint;

#define APPLY_TO_ALL(constant)                                                          \
	case constant:                                                                  \
		for (size_t i = 0; i < w->n; i++)                                       \
			apply((uint8_t *)w->patches[i].ip, &w->patches[i], constant,    \
			      breakpoint);                                              \
		break

	switch (pass) {
		APPLY_TO_ALL(FTR__PASS_BREAKPOINTS);
		APPLY_TO_ALL(FTR__PASS_TAILS);
		APPLY_TO_ALL(FTR__PASS_HEADS);
		APPLY_TO_ALL(FTR__PASS_OLD_TAILS);
		APPLY_TO_ALL(FTR__PASS_OLD_HEADS);
	}
#undef APPLY_TO_ALL
}

int ftr__text_pass(struct ftr__text_window *w, enum ftr__pass pass)
{
	if (w->mem >= 0)
		return pass_mem(w, pass);
	pass_direct(w, pass);
	return 0;
}

void ftr__text_populate(struct ftr__text_window *w)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	if (w->mem >= 0)
		return; /* pages get private as they are written */
	for (size_t i = 0; i < w->n_ranges; i++) {
		size_t size = w->ranges[i].end - w->ranges[i].start;
		if (madvise((void *)w->ranges[i].start, size, MADV_POPULATE_WRITE) == 0)
			continue;
		/* Before Linux 5.14: a locked add of nothing is a write, and
		 * loses no byte that another thread writes. */
		for (size_t at = 0; at < size; at += page)
			__atomic_fetch_add((uint8_t *)w->ranges[i].start + at, 0,
					   __ATOMIC_RELAXED);
	}
}
