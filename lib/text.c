/* SPDX-License-Identifier: MIT */
/*
 * The two text writers.  Floor 1.  Called under the library's lock.
 *
 * The mem writer hands the kernel whole stretches of bytes.  Its copy is no
 * atomic store, and rewrites unchanged bytes with the same value: right for
 * the byte-wise breakpoint protocol, for no other.  (A batch asks for others
 * only where ftr__text_open() gave a window with `mem` below 0.)
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

/* How many places are passed over at once where they lie close. */
enum { STRIDE = 256 };

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

static bool range_add(struct ftr__text_window *w, size_t *room, uintptr_t start, uintptr_t end)
{
	if (w->n_ranges == *room) {
		*room = *room ? 2 * *room : 16;
		void *grown = realloc(w->ranges, *room * sizeof *w->ranges);
		if (!grown)
			return false;
		w->ranges = grown;
	}
	w->ranges[w->n_ranges++] = (struct ftr__text_range){ start, end };
	return true;
}

/* The pages of all places, merged; sorted as these are. */
static int collect_ranges(struct ftr__text_window *w)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uint32_t segment = 0;
	size_t room = 0;

	for (size_t s = 0; s < w->patches->n_spans; s++) {
		const struct ftr__span *span = &w->patches->spans[s];
		const uintptr_t *ips = span->ips;
		uintptr_t last = w->n_ranges ? w->ranges[w->n_ranges - 1].end : 0;

		for (size_t i = 0; i < span->n; i++) {
			/* Far ahead and still near enough: so are all between. */
			while (w->n_ranges && span->segment == segment && i + STRIDE < span->n &&
			       ips[i + STRIDE] < last + MERGE_PAGES * page) {
				i += STRIDE;
				last = ftr__align_up(ips[i] + span->size, page);
				w->ranges[w->n_ranges - 1].end = last;
			}
			uintptr_t end = ips[i] + span->size;
			if (end <= last)
				continue; /* on pages of this mapping already */
			end = ftr__align_up(end, page);
			if (w->n_ranges && span->segment == segment &&
			    ips[i] < last + MERGE_PAGES * page)
				w->ranges[w->n_ranges - 1].end = end;
			else if (!range_add(w, &room, ftr__align_down(ips[i], page), end))
				return ftr__fail(ENOMEM, "no memory for a batch's page ranges");
			last = end;
			segment = span->segment;
		}
	}
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
			protect(w, i + 1); /* a part of it may be writable */
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

/* Whether code may be made writable: tried on a page of no one's. */
static int try_mprotect(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *p = mmap(NULL, page, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int error = 0;

	if (p == MAP_FAILED)
		return errno;
	if (mprotect(p, page, PROT_READ | PROT_WRITE | PROT_EXEC))
		error = errno;
	munmap(p, page);
	return error;
}

int ftr__text_probe(void)
{
	struct ftr__text_window w = { .mem = -1 };
	int error = strict ? 0 : try_mprotect();

	if (!strict && !error)
		return 0;
	int result = open_mem(&w, error);
	if (!result)
		close(w.mem);
	mem_last = true;
	return result;
}

int ftr__text_open(struct ftr__text_window *w, const struct ftr__patches *patches,
		   const struct ftr__text_ops *ops)
{
	*w = (struct ftr__text_window){ .patches = patches, .ops = ops, .mem = -1 };
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

static bool writes_tail(enum ftr__pass pass)
{
	return pass == FTR__PASS_TAILS || pass == FTR__PASS_OLD_TAILS;
}

static bool writes_after(enum ftr__pass pass)
{
	return pass == FTR__PASS_TAILS || pass == FTR__PASS_HEADS;
}

static bool writes_all(enum ftr__pass pass)
{
	return pass == FTR__PASS_FUSE || pass == FTR__PASS_UNFUSE;
}

/* --- mem ---------------------------------------------------------------------- */

/* What the pass changes of one place, of which `at` is a copy. */
static void apply(const struct ftr__text_window *w, uint8_t *at, const struct ftr__span *span,
		  uintptr_t ip, enum ftr__pass pass)
{
	uint8_t bytes[FTR__PATCH_MAX];

	ftr__span_bytes(w->ops, span, ip, writes_after(pass), bytes);
	if (pass == FTR__PASS_BREAKPOINTS)
		at[0] = w->ops->breakpoint;
	else if (writes_tail(pass))
		memcpy(at + 1, bytes + 1, span->size - 1u);
	else
		at[0] = bytes[0];
}

static int write_stretch(const struct ftr__text_window *w, const uint8_t *copy, uintptr_t start,
			 size_t size)
{
	if (!injected_failure() && pwrite(w->mem, copy, size, (off_t)start) == (ssize_t)size)
		return 0;
	return ftr__fail(EACCES, "writing %zu bytes of text at %#lx through /proc/self/mem failed"
			 " (errno %d)", size, (unsigned long)start, errno);
}

/* A span's places, as many in one write as fit a stretch.  Only breakpoints
 * serve here, and bytes. */
static int pass_mem(const struct ftr__text_window *w, const struct ftr__span *span,
		    enum ftr__pass pass)
{
	uint8_t copy[STRETCH];
	size_t n;
	const uintptr_t *ips = ftr__span_places(
		w->patches, span, span->size == 1 ? FTR__WAY_ATOMIC : FTR__WAY_INT3, &n);

	if (span->size == 1 && pass != FTR__PASS_HEADS && pass != FTR__PASS_OLD_HEADS)
		return 0;
	for (size_t i = 0, j; i < n; i = j) {
		uintptr_t start = ips[i];
		for (j = i + 1; j < n && ips[j] + span->size <= start + STRETCH;)
			j++;
		size_t size = ips[j - 1] + span->size - start;
		memcpy(copy, (const void *)start, size);
		for (size_t k = i; k < j; k++)
			apply(w, copy + (ips[k] - start), span, ips[k], pass);
		int result = write_stretch(w, copy, start, size);
		if (result)
			return result;
	}
	return 0;
}

/* --- mprotect ------------------------------------------------------------------ */

static void write_heads(const uintptr_t *ips, size_t n, uint8_t head)
{
	for (size_t i = 0; i < n; i++)
		FTR__WRITE_ONCE(*(uint8_t *)ips[i], head);
}

/* All places of a span get the same first byte. */
static void pass_int3(const struct ftr__text_window *w, const struct ftr__span *span,
		      const uintptr_t *ips, size_t n, enum ftr__pass pass)
{
	const union ftr__code *code = writes_after(pass) ? &span->after : &span->before;
	uint8_t bytes[FTR__PATCH_MAX];

	if (pass == FTR__PASS_BREAKPOINTS) {
		write_heads(ips, n, w->ops->breakpoint);
	} else if (!writes_tail(pass)) {
		ftr__span_bytes(w->ops, span, ips[0], writes_after(pass), bytes);
		write_heads(ips, n, bytes[0]);
	} else if (span->literal) {
		memcpy((uint8_t *)ips[0] + 1, code->bytes + 1, span->size - 1u);
	} else if (span->stride[writes_after(pass)]) {
		w->ops->write_jump_tails(span, ips, n, writes_after(pass));
	} else {
		w->ops->write_tails(ips, n, span->length, code->target);
	}
}

static void pass_skip(const struct ftr__text_window *w, const struct ftr__span *span,
		      const uintptr_t *ips, size_t n, enum ftr__pass pass)
{
	if (pass == FTR__PASS_BREAKPOINTS)
		w->ops->write_skips(span, ips, n);
	else if (writes_tail(pass))
		w->ops->write_skipped(span, ips, n, writes_after(pass));
	else
		w->ops->write_unskipped(span, ips, n, writes_after(pass));
}

static void pass_fuse(const struct ftr__span *span, uint8_t *at, enum ftr__pass pass)
{
	const union ftr__code *code = pass == FTR__PASS_FUSE ? &span->before : &span->found;

	if (!span->n_way[FTR__WAY_LEFT] == (pass == FTR__PASS_FUSE))
		for (unsigned i = 0; i < span->size; i++)
			FTR__WRITE_ONCE(at[i], code->bytes[i]);
}

static int pass_direct(const struct ftr__text_window *w, const struct ftr__span *span,
		       enum ftr__pass pass)
{
	const uintptr_t *ips;
	size_t n;

	if (injected_failure())
		return ftr__fail(EACCES, "writing text failed by a test's wish");
	if (writes_all(pass)) {
		pass_fuse(span, (uint8_t *)*span->ips, pass);
		return 0;
	}
	ips = ftr__span_places(w->patches, span, FTR__WAY_INT3, &n);
	if (n)
		pass_int3(w, span, ips, n, pass);
	ips = ftr__span_places(w->patches, span, FTR__WAY_SKIP, &n);
	if (n)
		pass_skip(w, span, ips, n, pass);
	ips = ftr__span_places(w->patches, span, FTR__WAY_ATOMIC, &n);
	if (n && span->size == 1 && (pass == FTR__PASS_HEADS || pass == FTR__PASS_OLD_HEADS))
		pass_int3(w, span, ips, n, pass);
	else if (n && (pass == FTR__PASS_HEADS || pass == FTR__PASS_OLD_HEADS))
		w->ops->write_atomic(span, ips, n, writes_after(pass));
	return 0;
}

int ftr__text_pass(struct ftr__text_window *w, enum ftr__pass pass)
{
	int result = 0;

	for (size_t i = 0; i < w->patches->n_spans && !result; i++) {
		if (w->mem >= 0)
			result = pass_mem(w, &w->patches->spans[i], pass);
		else
			result = pass_direct(w, &w->patches->spans[i], pass);
	}
	return result;
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
