/* SPDX-License-Identifier: MIT */
/*
 * Writing the program's text (P10).  Floor 1.
 *
 * A window is opened over the patches of a batch, written to in passes and
 * closed.  Two writers: *mprotect* makes merged ranges of pages writable for
 * the window's length; *mem* writes through /proc/self/mem and leaves every
 * mapping as it is.
 */
#ifndef FTR__TEXT_H
#define FTR__TEXT_H

#include "lib/compiler.h"

enum { FTR__PATCH_MAX = 8 };

/* What stands, or is to stand, at a place: a call to `target` (0: a nop) as the
 * architecture writes it there, or given bytes. */
union ftr__code {
	uintptr_t target;
	uint8_t bytes[FTR__PATCH_MAX];
};

/* How one place is changed (P5); lib/batch.c tells the protocols. */
enum ftr__way {
	FTR__WAY_INT3,   /* breakpoint, tail, head */
	FTR__WAY_SKIP,   /* a two-byte jump over the tail, tail, head */
	FTR__WAY_ATOMIC, /* one store */
	FTR__WAY_LEFT,   /* not at all: it is left out */
	FTR__WAYS
};

/* What a choice of ways may take (lib/plan.c). */
struct ftr__poke_rules {
	uint8_t ways;  /* a bit for each that is allowed; the later are preferred */
	bool one_line; /* stores within a cache line do, not only within a quadword */
};

/*
 * Places in a row that change in the same way.  Tens of thousands of sites are
 * a few spans; the memory that each pass goes through is their addresses alone.
 */
struct ftr__span {
	const uintptr_t *ips;     /* sorted */
	size_t n;
	size_t first;             /* how many places the spans before have */
	union ftr__code before;   /* expected there now */
	union ftr__code after;
	union ftr__code found;    /* pads made one nop first: what stood there; `before` is that nop */
	uint32_t segment;         /* spans of equal segment share one mapping */
	uint8_t size;             /* how many bytes are written at each place */
	uint8_t length;           /* where the instruction (or pad) ends */
	bool literal;             /* one place, its bytes given */
	/* Before, after: 0: calls, or nops; else jumps, of which the targets lie so
	 * far apart, `target` being the first one's. */
	uint32_t stride[2];
	/* Literal: where the instructions before, after the change are run by a
	 * thread that meets the breakpoint; 0: they are a call, a jump, nops. */
	uintptr_t moved[2];
	uint8_t occupied;         /* a thread may stand inside (lib/rendezvous.h) */
	bool mixed;               /* not all places go one way */
	bool aligned;             /* all places are known to be multiples of four */
	/* How many go another way than by a breakpoint; [FTR__WAY_INT3] is 0. */
	uint32_t n_way[FTR__WAYS];
};

/* What a batch changes. */
struct ftr__patches {
	size_t n; /* places */
	struct ftr__span *spans; /* in the order of their addresses */
	size_t n_spans;
	/* Room for n of each: addresses that the spans have nowhere else, and what
	 * a batch makes of it. */
	uintptr_t *ips;
	uint8_t *ways;    /* enum ftr__way of each place */
	uintptr_t *order; /* of mixed spans: the addresses, sorted by their ways */
	size_t n_way[FTR__WAYS];
};

/* The places of a span that go one way, and how many these are. */
static inline const uintptr_t *ftr__span_places(const struct ftr__patches *patches,
						const struct ftr__span *span, enum ftr__way way,
						size_t *n)
{
	const uintptr_t *at = span->mixed ? patches->order + span->first : span->ips;

	*n = span->n - span->n_way[FTR__WAY_SKIP] - span->n_way[FTR__WAY_ATOMIC] -
	     span->n_way[FTR__WAY_LEFT];
	for (unsigned i = FTR__WAY_INT3; i < way; i++) {
		at += *n;
		*n = span->n_way[i + 1];
	}
	return at;
}

/* How the architecture writes a site; handed down by floor 2. */
struct ftr__text_ops {
	uint8_t breakpoint; /* one byte */
	/* FTR__PATCH_MAX bytes, of which `length` count.  Async-signal-safe. */
	void (*encode)(uint8_t *bytes, unsigned length, uintptr_t ip, uintptr_t target);
	/* The same for a jump to a target; async-signal-safe, too. */
	void (*encode_jump)(uint8_t *bytes, unsigned length, uintptr_t ip, uintptr_t target);
	/* All bytes but the first, at each of n places. */
	void (*write_tails)(const uintptr_t *ips, size_t n, unsigned length, uintptr_t target);
	/* The first place that holds other bytes; n: none does.  aligned: all places
	 * are multiples of four. */
	size_t (*check)(const uintptr_t *ips, size_t n, unsigned length, uintptr_t target,
			bool aligned);
	/* The same two for spans with a stride: these places of it, all of it. */
	void (*write_jump_tails)(const struct ftr__span *span, const uintptr_t *ips, size_t n,
				 bool after);
	size_t (*check_jumps)(const struct ftr__span *span);

	/* Choose a way for each of a span's places: the last of the allowed
	 * ones that serves, else FTR__WAY_LEFT.  Whether all go one way; false
	 * where that was not looked for. */
	bool (*choose)(const struct ftr__span *span, const uintptr_t *ips,
		       const struct ftr__poke_rules *rules, uint8_t *ways);
	/* FTR__WAY_ATOMIC: all that differs between before and after. */
	void (*write_atomic)(const struct ftr__span *span, const uintptr_t *ips, size_t n,
			     bool after);
	/* FTR__WAY_SKIP: the jump; what lies behind it; the bytes it covers. */
	void (*write_skips)(const struct ftr__span *span, const uintptr_t *ips, size_t n);
	void (*write_skipped)(const struct ftr__span *span, const uintptr_t *ips, size_t n,
			      bool after);
	void (*write_unskipped)(const struct ftr__span *span, const uintptr_t *ips, size_t n,
				bool after);
	/*
	 * Make one nop of a pad of several in such a way that the bytes can be
	 * written in any order, one by one: wherever a thread stands, what
	 * follows is nops.  false: these bytes don't allow it.
	 */
	bool (*fuse)(const uint8_t *pad, unsigned length, uint8_t *fused);
	/* Whether the CPU's maker allows aligned stores to code that runs. */
	bool (*stores_documented)(void);
};

/* Which one of a span's places, in order, is at ip; n: none. */
FTR__BARE static inline size_t ftr__span_find(const struct ftr__span *span, uintptr_t ip)
{
	size_t low = 0, high = span->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (span->ips[middle] == ip)
			return middle;
		if (span->ips[middle] < ip)
			low = middle + 1;
		else
			high = middle;
	}
	return span->n;
}

/* The same of a place in a list: most often that is the span's own. */
FTR__BARE static inline size_t ftr__span_index(const struct ftr__span *span, const uintptr_t *place)
{
	size_t i = ((uintptr_t)place - (uintptr_t)span->ips) / sizeof *place;

	return i < span->n ? i : ftr__span_find(span, *place);
}

/* Where the i-th place's call or jump leads. */
FTR__BARE static inline uintptr_t ftr__span_target(const struct ftr__span *span, size_t i, bool after)
{
	const union ftr__code *code = after ? &span->after : &span->before;

	return code->target + i * span->stride[after];
}

/* The bytes of a place before or after the change. */
FTR__BARE static inline void ftr__span_bytes(const struct ftr__text_ops *ops, const struct ftr__span *span,
				   uintptr_t ip, bool after, uint8_t *bytes)
{
	const union ftr__code *code = after ? &span->after : &span->before;

	if (span->stride[after])
		ops->encode_jump(bytes, span->length, ip,
				 ftr__span_target(span, ftr__span_find(span, ip), after));
	else if (!span->literal)
		ops->encode(bytes, span->length, ip, code->target);
	else
		for (unsigned i = 0; i < FTR__PATCH_MAX; i++)
			bytes[i] = code->bytes[i];
}

enum ftr__pass {
	FTR__PASS_BREAKPOINTS, /* the breakpoint, or jump, over each head */
	FTR__PASS_TAILS,       /* all bytes but the heads */
	FTR__PASS_HEADS,       /* the heads: one byte, two under a jump; atomic stores */
	FTR__PASS_OLD_TAILS,   /* undo: tails and heads as they were before */
	FTR__PASS_OLD_HEADS,
	FTR__PASS_FUSE,        /* literal pads: `before`, in any order (see `fuse`) */
	FTR__PASS_UNFUSE       /* the same back to `found`, where a way is FTR__WAY_LEFT */
};

struct ftr__text_range {
	uintptr_t start, end;
};

struct ftr__text_window {
	const struct ftr__text_ops *ops;
	const struct ftr__patches *patches;
	int mem; /* /proc/self/mem, or -1: the mprotect writer */
	struct ftr__text_range *ranges;
	size_t n_ranges;
};

/* Which writer, "mprotect" or "mem"; strict: mem alone. */
void ftr__text_set_strict(bool strict);
const char *ftr__text_writer(void);

/* Find out which writer works here: 0, or -EACCES: neither. */
int ftr__text_probe(void);

/* 0; -EACCES with a sentence that names the cause; -ENOMEM. */
int ftr__text_open(struct ftr__text_window *window, const struct ftr__patches *patches,
		   const struct ftr__text_ops *ops);

/* 0, or -EACCES: some of the pass may be written. */
int ftr__text_pass(struct ftr__text_window *window, enum ftr__pass pass);

void ftr__text_close(struct ftr__text_window *window);

/* Make the window's pages private to the process. */
void ftr__text_populate(struct ftr__text_window *window);

/* For tests: fail the n-th write to text from now on (1: the next); 0: none. */
extern int ftr__text_fail_after;

#endif
