/* SPDX-License-Identifier: MIT */
/*
 * Registers before, at and after a traced call.
 *
 * regs_call() loads known values into every register, calls, and stores every
 * register; the traced functions it calls change nothing themselves.  A *cell*
 * is one of the ways to save registers: which caller, what of the vectors, and
 * which CPU.  A *round* is one choice of values, flags, stack alignment.
 *
 * Calls are made in a thread of their own while a batch is held, so checks do
 * not end the test where they are made: regs_wrong() keeps the first sentence,
 * and regs_ways() asserts that there is none.
 */
#ifndef TESTS_REGS_H
#define TESTS_REGS_H

#include <asm/ptrace.h>

#include "lib/compiler.h"
#include "tests/live/live.h"
#include "tests/live/regs_image.h"

extern struct image regs_in, regs_out;
extern void (*regs_fn)(void);
extern uint64_t regs_skew, regs_width, regs_mask_width, regs_zero_upper;
extern uint64_t regs_seen_sp, regs_seen_word, regs_true_sp, regs_true_ip;
extern const char regs_call_return[];
void regs_call(void);
/** The same, in the shape of what is stepped (step.h); gives n. */
long regs_stepped_call(long n);
void regs_clobber(void);
void regs_clobber_general(void);
void regs_site(void);
void regs_site_sp(void);
void regs_elsewhere(void);
void regs_elsewhere_sp(void);

/** Of the flags register.  IDENTITY is the one that means nothing. */
enum {
	ARITHMETIC = 0x8d5,
	DIRECTION = 0x400,
	IDENTITY = 0x200000,
	TRAP = 0x100, /* regs_call() does not end stepping */
	ALWAYS = 0x202,
	REGS_FLAGS = ARITHMETIC | DIRECTION | IDENTITY
};

enum { SITE_LENGTH = 5, MXCSR_STATUS = 0x3f };

/** The code that handlers for NO_SIMD may consist of. */
#define REGS_BARE FTR__BARE __attribute__((target("general-regs-only")))

/* --- cells -------------------------------------------------------------------- */

enum regs_mode { REGS_NO_SIMD, REGS_DEFAULT, REGS_ALL };

struct regs_cell {
	bool whole; /* the regs caller */
	enum regs_mode mode;
	unsigned level; /* of ftr__vectors_limit */
	uint32_t flags; /* FTR_GROUP_* */
	bool beside;    /* another group is on the site */
	bool mixed;     /* and its cell differs: more may be saved */
	char name[48];
};

/** How many there are: a multiple of REGS_KINDS, by what this CPU has. */
enum { REGS_KINDS = 6 };
int regs_cells(void);

/** Start the library and choose the i-th cell; kinds of one level are neighbours,
 *  and the regs caller's are the odd ones. */
struct regs_cell regs_start(int i);

/** How many vector registers a handler is shown. */
unsigned regs_shown(const struct regs_cell *cell);

/** A test for each cell; for the cells of the regs caller alone. */
void regs_case(Suite *suite, const char *name, const TTest *test);
void regs_whole_case(Suite *suite, const char *name, const TTest *test);

/** A group of one site, not attached. */
struct ftr_group *regs_group(void (*fn)(void), ftr_entry_fn entry, void *data, uint32_t flags);

/* --- rounds ------------------------------------------------------------------- */

/** The general registers, in the order of struct image and of a pt_regs. */
enum { REGS_GENERALS = 15 };
extern const struct regs_general {
	const char *name;
	size_t pt, image; /* offsets */
} regs_generals[REGS_GENERALS];

/** Fill regs_in: all combinations of the arithmetic flags, each eight bytes of a
 *  cache line for the stack, vectors whose upper parts are zero, and so on. */
enum { REGS_ROUNDS = 128 };
void regs_round(unsigned round);

/* --- what must be as it was ----------------------------------------------------- */

void regs_wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** In the test's own thread: nothing was wrong. */
void regs_assert(void);

/** The image in regs_out is `want`, in all that is kept in this cell. */
void regs_expect(const struct regs_cell *cell, const struct image *want);

/** Parts of it. */
void regs_expect_general(const struct image *want);
void regs_expect_stack(const struct image *want);
void regs_expect_vectors(const struct image *want, unsigned n);

#define regs_expect_uint(what, got, want)                                                \
	do {                                                                             \
		unsigned long long got_ = (got), want_ = (want);                         \
		if (got_ != want_)                                                       \
			regs_wrong("%s: %#llx, not %#llx", what, got_, want_);           \
	} while (0)

/* --- what a handler sees ---------------------------------------------------------- */

struct view {
	struct pt_regs pt;
	bool has_pt;
	unsigned count;
	uintptr_t ip, parent_ip, regs_ip, regs_sp, regs_flags, return_value, word_at_sp;
	uintptr_t args[10];
	uintptr_t frame_offset; /* of the handler's own stack frame, modulo 16 */
	uint32_t mxcsr;
	uint16_t control;
	bool has_vector[33];
	size_t width[33];
	uint8_t vectors[32][64];
};

/** Note all of it, by general registers alone. */
void regs_look(struct view *view, uintptr_t ip, uintptr_t parent_ip, struct ftr_regs *regs);

/** The view is that of the call just made. */
void regs_expect_view(const struct regs_cell *cell, const struct view *view);

/** memcpy() that keeps a promise. */
REGS_BARE static inline void regs_copy(void *to, const void *from, size_t n)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n)::"memory");
}

/* A handler's data: what it saw, and a second opinion. */
struct role {
	const struct regs_cell *cell;
	struct view view;
	/* Called by the handler before it changes all it may. */
	void (*more)(struct role *role, struct ftr_regs *regs);
	unsigned count;
};

/** The handler for a cell: looks, then changes whatever a handler may. */
ftr_entry_fn regs_handler(const struct regs_cell *cell);

/* --- ways ------------------------------------------------------------------------ */

/** How visit() reaches the site. */
enum regs_way { BY_TRAP_ATTACHING, BY_CALL, BY_TRAP_DETACHING, REGS_WAYS };

/**
 * Attach the groups, visit by trap; visit by call; detach, and visit by trap
 * meanwhile.  Every visit makes `calls` calls to the site, else the test fails.
 */
void regs_ways(struct ftr_group **groups, size_t n, unsigned calls, void (*visit)(enum regs_way));

/** The same for one group, which is made, and freed. */
void regs_ways_of(void (*fn)(void), ftr_entry_fn entry, void *data, uint32_t flags, unsigned calls,
		  void (*visit)(enum regs_way));

#endif /* TESTS_REGS_H */
