/* SPDX-License-Identifier: MIT */
/*
 * The contract between the library and an architecture.  Floor 2.
 *
 * A backend is one const struct.  Generic code knows instructions only as
 * bytes that a backend wrote, and registers only through it.  Adding an
 * architecture is a folder under backends/ and a line in configure.ac.
 */
#ifndef FTR__BACKEND_H
#define FTR__BACKEND_H

#include "ftr/ftr.h"
#include "lib/compiler.h"
#include "lib/elffile.h"
#include "lib/hot.h"
#include "lib/text.h"
#include "lib/values.h"

/* What a caller saves of the vector registers. */
enum ftr__vectors {
	FTR__VECTORS_NONE, /* every handler promised general registers only */
	FTR__VECTORS_ARGS, /* the vector argument registers, in full width */
	FTR__VECTORS_ALL   /* every vector and mask register */
};

/* What stands at a place that a table names, and what a site makes of it. */
struct ftr__form {
	enum ftr_site_kind kind;
	uint8_t site_length;    /* of the site's call: where a handler's ip + length is */
	uint8_t pad_length;     /* of what stands there now */
	uint8_t instructions;   /* how many; with more than one, P9 */
	uint8_t normal_size;    /* bytes of `normal` to write; 0: it is normal already */
	uint8_t normal[FTR__PATCH_MAX];
};

/*
 * How a trampoline slot is unwound, in DWARF's bytes (lib/unwind.c): the CFA,
 * by ip since one description covers all slots, and where below it the word
 * lies that the site's call pushed.  The same of stubs, which push that word.
 */
struct ftr__slot_cfi {
	const uint8_t *bytes;  /* DW_CFA_* instructions; data in units of -sizeof(void *) */
	uint8_t size;
	uint8_t return_column; /* the register number of the return address */
	/*
	 * Where a frame's stack pointer is that of its parent: what libgcc gets,
	 * which tells frames apart by that alone, but for signals' frames.  It is
	 * marked as one of these; others would take it for what the kernel makes.
	 */
	const uint8_t *gcc_bytes;
	uint8_t gcc_size;
};

/* What a cell reads; as far apart as cells are. */
struct ftr__cell_words {
	uintptr_t parent; /* where its call's return goes on */
	uintptr_t body;   /* what is called */
	uintptr_t caller; /* sees to the exit handlers, and then returns to parent */
	uintptr_t pushed; /* the record, or the same as a slot pushes it (lib/slot.h) */
} __attribute__((aligned(FTR__CELL_SIZE)));
_Static_assert(offsetof(struct ftr__cell_words, parent) == FTR__CELL_PARENT, "parent");
_Static_assert(offsetof(struct ftr__cell_words, body) == FTR__CELL_BODY, "body");
_Static_assert(offsetof(struct ftr__cell_words, caller) == FTR__CELL_CALLER, "caller");

/*
 * Moving instructions elsewhere (backends/x86/relocate.h tells what is kept).
 *
 * Room for what becomes of a run: its first instructions, as many as it takes
 * to have `least` bytes, and a jump to what follows them.
 */
enum { FTR__MOVED_INSNS = 16, FTR__MOVED_STEPS = 20, FTR__MOVED_MOST = 512 };

struct ftr__displaced {
	const uint8_t *bytes; /* what stands at `from`, before anybody wrote there */
	size_t room;          /* how many bytes there are */
	uintptr_t from;
	size_t least;         /* 1: one instruction */
	uintptr_t to;         /* where the copy is to stand */
	size_t out_room;
	/* Branches from the run to the run stay in the copy: for bytes that are
	 * about to be overwritten. */
	bool inwards;
};

/* Where the program is, as far as it is concerned. */
enum ftr__moved_where {
	FTR__MOVED_AT,     /* at the instruction */
	FTR__MOVED_BEHIND, /* at the next one */
	FTR__MOVED_AWAY    /* where the word says that sp pointed to first (detours) */
};

/*
 * While the copy runs, from byte `at` of it on: the program's sp is `sp` bytes
 * above the register; where `reg` is one (by its number in instructions), its
 * value of before lies `saved_at` bytes above the register.
 */
struct ftr__moved_step {
	uint16_t at;
	int16_t sp;
	uint8_t reg, saved_at;
	uint8_t where; /* enum ftr__moved_where */
};

struct ftr__moved {
	size_t from_size;   /* of the instructions that were moved, all of them whole */
	size_t to_size;
	bool goes_on;       /* the last may fall through: the copy ends in a jump */
	unsigned n;         /* where each instruction is, and is now */
	struct {
		uint8_t from;
		uint16_t to;
	} insns[FTR__MOVED_INSNS];
	unsigned n_steps;   /* of the first instructions, as far as there is room */
	struct ftr__moved_step steps[FTR__MOVED_STEPS];
};

/* An instruction, as far as a walk through a function goes. */
struct ftr__insn {
	size_t length;
	bool ends;          /* what follows is not reached through it */
	bool branches;      /* it may go to `target`: jmp, jcc, loop, call */
	bool calls;         /* and come back */
	bool indirect;      /* it goes where a register or memory says */
	bool sets_thread;   /* it may set what thread-local variables are found by */
	bool no_code;       /* a breakpoint, or undefined on purpose */
	uintptr_t target;
	const char *refused; /* why it can't be moved; NULL: it can */
};

/*
 * Detours: where a thread goes on that met a probe's breakpoint (lib/point.h).
 * What a detour's code does:
 *
 *     pre     calls the caller of its CALLER word with IP and POINT, then does
 *             what the displaced instruction would, and goes on behind it
 *     post    does what the instruction would, calls the caller with POINT and
 *             where it goes on (NEXT, TARGET or what the instruction says), and
 *             goes on there
 *
 * The caller saves all registers, but for those that are no program's business, in
 * a struct ftr_regs with ftr_regs_ip() as given to it, calls
 *
 *     ftr__probe_pre(regs, point)     or      ftr__probe_post(regs, point)
 *
 * of lib/probe_run.c, and loads them again: then it returns to the detour, or goes
 * on where ftr_backend.regs_resume() said.
 */
enum ftr__detour_word {
	FTR__DETOUR_POINT,
	FTR__DETOUR_IP,     /* of the displaced instruction */
	FTR__DETOUR_NEXT,   /* the address behind it */
	FTR__DETOUR_TARGET, /* where it branches to */
	FTR__DETOUR_CALLER,
	FTR__DETOUR_WORDS = 8
};

/*
 * A detour's length; its words lie as far apart, as many bytes behind it as all
 * detours of an area are long.  As far behind these, a byte for each of the
 * detour's, for unwinders: how many words the program's sp is above the register
 * there, and enum ftr__moved_where in the bits from FTR__DETOUR_WHERE on.
 */
enum { FTR__DETOUR_WHERE = 5 };
enum { FTR__DETOUR_SIZE = 128, FTR__DETOURS_SIZE = 1024 * FTR__DETOUR_SIZE };

struct ftr__detour {
	const uint8_t *bytes; /* the displaced instruction, as found */
	size_t room;
	uintptr_t ip;         /* where it was */
	uintptr_t at;         /* where the detour is to stand */
	uintptr_t words;      /* where its words are: within reach */
	bool post;
};

/* Where the instruction is in a detour, and what a fault has to be told from. */
struct ftr__detour_map {
	uint16_t insn, insn_end;
	uint8_t length;     /* of the instruction as it was */
	uint8_t n_steps;
	uintptr_t target;   /* for the word */
	struct ftr__moved_step steps[FTR__MOVED_STEPS];
};

struct ftr__point;
void ftr__probe_pre(struct ftr_regs *regs, struct ftr__point *point);
void ftr__probe_post(struct ftr_regs *regs, struct ftr__point *point);

/* In the trap handler: the address of a stub that pushes `next` and goes to
 * `target` (lib/stub.h); 0: none is to be had. */
typedef uintptr_t ftr__stub_fn(uintptr_t next, uintptr_t target);

struct ftr_backend {
	const char *name;
	uint16_t elf_machine;    /* EM_* */
	uint8_t slot_size;       /* code bytes of a trampoline slot */
	uint8_t stub_size;       /* code bytes of a stub; 0: calls are emulated
				  * on the interrupted stack (P8) */
	uint32_t group_flags;    /* the FTR_GROUP_* that this architecture has */
	uintptr_t reach;         /* a call's target is closer than this; 0: any */

	/* --- instructions --- */

	/* Length of a landing pad (endbr) at `bytes`, or 0. */
	size_t (*landing_length)(const uint8_t *bytes, size_t room);
	/* Length of the nop instruction at `bytes`, or 0. */
	size_t (*nop_length)(const uint8_t *bytes, size_t room);
	/* Recognise what a table of this kind may point at.  NULL, or why it
	 * is no site. */
	const char *(*site_form)(const uint8_t *bytes, size_t room, enum ftr__table_kind table,
				 struct ftr__form *form);
	/* Calls to targets within reach, and nops. */
	struct ftr__text_ops text;

	/* Decode the instruction that is run at ip.  false: there is none. */
	bool (*decode)(const uint8_t *bytes, size_t room, uintptr_t ip, struct ftr__insn *insn);
	/* Its length alone, which takes less; 0: there is none. */
	size_t (*insn_length)(const uint8_t *bytes, size_t room);
	/* In n bytes that are run at `at`, the first that may begin a branch with a
	 * long distance, less its prefixes, to *target or, at most `size` bytes, behind
	 * it; n: there is none.  Takes less than decoding. */
	size_t (*next_branch)(const uint8_t *bytes, size_t n, uintptr_t at, uintptr_t *target,
			      size_t size);
	/*
	 * Make a copy of instructions that does the same elsewhere.  0; with a
	 * sentence: -EILSEQ, there are others than instructions; -EOPNOTSUPP, one
	 * can't be moved, or the code ends before `least` bytes; -ENOSPC.
	 */
	int (*relocate)(const struct ftr__displaced *run, uint8_t *out, struct ftr__moved *moved);

	/* Write a detour.  0, or an error of relocate(). */
	int (*detour_emit)(const struct ftr__detour *detour, uint8_t *code, struct ftr__detour_map *map);
	/* The routine for a detour's CALLER. */
	uintptr_t (*detour_caller)(bool post);
	struct ftr__slot_cfi detour_cfi;

	/* --- traps; async-signal-safe, no traced code --- */

	/* The address of the breakpoint that raised the signal, if one did. */
	uintptr_t (*trap_address)(const void *ucontext);
	/* Whether the latest exception of the thread was a breakpoint's: false
	 * of a thread that never met one. */
	bool (*trap_raised)(const void *ucontext);
	/* Whether the signal tells of an overflow, which leaves the address behind
	 * the instruction that finds it. */
	bool (*trap_overflowed)(const void *ucontext);
	uintptr_t (*trap_sp)(const void *ucontext);
	void (*trap_resume)(void *ucontext, uintptr_t ip);
	uintptr_t (*trap_ip)(const void *ucontext);
	/* A fault at a step of a copy: the registers as the original would have
	 * them. */
	void (*trap_undo)(void *ucontext, const struct ftr__moved_step *step);
	/* In a signal frame, from the word that returns to the restorer: where
	 * the interrupted stack pointer lies.  [1]: the frame of a handler with
	 * SA_SIGINFO. */
	size_t frame_sp[2];
	/* Whether n words of a stack hold a signal's frame with a stack pointer of
	 * these.  NULL: the kernel leaves a red zone. */
	bool (*interrupted)(const uintptr_t *words, size_t n, uintptr_t low, uintptr_t high);
	/* What a handler returns to that was installed without a restorer; 0:
	 * there is always one.  Where no signal comes. */
	uintptr_t (*signal_restorer)(bool siginfo);
	/* Do what the `length` bytes of instructions would do at ip: a call or
	 * jump, or nops.  With stub_size, calls are done by stub(next, target).
	 * false: it had none, and nothing was done. */
	bool (*trap_emulate)(void *ucontext, uintptr_t ip, const uint8_t *bytes, unsigned length,
			     ftr__stub_fn *stub);
	/* Write a stub that pushes the first of two words and goes to the second. */
	void (*stub_emit)(uint8_t *code, uintptr_t words);
	struct ftr__slot_cfi stub_cfi;

	/* --- trampolines --- */

	/* Slots hand over the address of their struct ftr__slot_hot, not its
	 * distance from ftr__slot_table: where an instruction has room for it. */
	bool slots_push_addresses;
	/* Write n slots that are to stand at `at`: slot i hands pushed + i *
	 * FTR__SLOT_HOT_SIZE to `caller`.  The last one never serves: its place
	 * may hold what the others need. */
	void (*slots_emit)(uint8_t *code, uintptr_t at, size_t n, uintptr_t pushed,
			   uintptr_t caller);
	struct ftr__slot_cfi slot_cfi;
	/* The callers' code, for copies beside slots: all of it, and where the
	 * description of each begins for unwinders.  NULL: nothing is gained by
	 * copies.  callers_emit() writes callers_copy_size() bytes, to stand where
	 * they may: a copy and what it reaches by its own place.  slot_table: what
	 * slots without slots_push_addresses push the distance from. */
	const uint8_t *callers, *callers_end;
	const uintptr_t *callers_starts, *callers_starts_end;
	size_t (*callers_copy_size)(void);
	void (*callers_emit)(uint8_t *code, uintptr_t slot_table);
	/* What a variable of a thread lies a fixed distance from. */
	uintptr_t (*thread_pointer)(void);
	/* The caller (entry routine) for a set of handlers with these
	 * FTR_GROUP_* among them.  jumped: it goes on by a jump, not by a return,
	 * since no call led to it (lib/jump.h). */
	uintptr_t (*caller)(uint32_t flags, enum ftr__vectors vectors, bool jumped);
	/* The same for the exits of a lone plain group: does what ftr__run_exits()
	 * does, by the record's set's exit_run; what its cell pushes is the record's
	 * address.  Jumped callers then bind records of
	 * such groups themselves, as ftr__run_hooked() does.  NULL: there is none. */
	uintptr_t (*exit_caller)(enum ftr__vectors vectors);
	/* While the exit's handler runs that it called the record is the first in its
	 * thread's list; else struct ftr__regs_head.group is the record. */
	bool exits_first;

	/* --- return hooks (lib/jump.h, lib/record.h) --- */

	uint8_t jump_size;       /* code bytes of a stub that a site jumps to */
	/* Write n such stubs that are to stand at `at`.  Stub i pushes the first of
	 * the two words i and goes to the second. */
	void (*jumps_emit)(uint8_t *code, uintptr_t at, size_t n, size_t data_distance);
	struct ftr__slot_cfi jump_cfi;
	/*
	 * Write n cells of FTR__CELL_SIZE bytes that are to stand at `at`, their
	 * struct ftr__cell_words data_distance bytes behind each.  A cell is entered as
	 * the traced function was: it drops the return address into the parent,
	 * calls words.body, pushes words.parent and words.pushed, and goes to
	 * words.caller.
	 */
	void (*cells_emit)(uint8_t *code, uintptr_t at, size_t n, size_t data_distance);
	/* Jumps to where the words say that lie data_distance behind the first
	 * (lib/near.h); size 0: everything is within reach. */
	uint8_t near_size;
	void (*near_emit)(uint8_t *code, size_t n, size_t data_distance);
	struct ftr__slot_cfi near_cfi;
	uint8_t cell_enter;      /* where in a cell a return enters it */
	uint8_t cell_return;     /* what a cell's call pushes: offset in the cell */
	struct ftr__slot_cfi cell_cfi;

	/* The x87 stack: whether its top is empty; take the top, put it back. */
	bool (*x87_is_empty)(void);
	void (*x87_pop)(long double *value);
	void (*x87_push)(const long double *value);
	/* A copy of its n-th value, or 0. */
	void (*x87_peek)(unsigned n, long double *value);

	/* --- registers --- */

	/* Go on at ip, whatever is set as the traced function's ip. */
	void (*regs_resume)(struct ftr_regs *regs, uintptr_t ip);
	uintptr_t (*regs_resume_at)(const struct ftr_regs *regs);
	/* Of a frame with FTR__MARK_HOOKED: whether an exit's caller made it. */
	bool (*regs_of_exit)(const struct ftr_regs *regs);
	/* The same for a cell, under a jumped caller. */
	void (*regs_resume_cell)(struct ftr_regs *regs, uintptr_t cell);
	struct pt_regs *(*regs_pt_regs)(struct ftr_regs *regs);
	uintptr_t (*regs_ip)(const struct ftr_regs *regs);
	void (*regs_set_ip)(struct ftr_regs *regs, uintptr_t ip);
	uintptr_t (*regs_sp)(const struct ftr_regs *regs);
	uintptr_t (*regs_flags)(const struct ftr_regs *regs);
	/* Where the n-th integer argument lies. */
	uintptr_t *(*regs_arg)(struct ftr_regs *regs, unsigned n);
	uintptr_t *(*regs_return)(struct ftr_regs *regs);
	uintptr_t *(*regs_return2)(struct ftr_regs *regs);
	void *(*regs_vector)(struct ftr_regs *regs, unsigned n, size_t *width);
	/* Whether the calling thread's returns are checked by hardware (R6). */
	bool (*shadow_stack)(void);
	const struct ftr__typed_ops *typed;
	/* A routine that does nothing but return to the traced function's caller. */
	uintptr_t just_return;
};

/* The one that configure chose. */
extern const struct ftr_backend *const ftr__backend;

/*
 * What a caller does with its registers saved, in lib/hot.h's words:
 *
 *     self = ftr__self
 *     if (!self || self->frame)
 *             ftr__dispatch_slow(regs, slot, return_ip, parent_ip)
 *     else
 *             self->frame = regs
 *             hot = ftr__slot_hot(slot)
 *             regs->group = hot->set->arg, unless regs->mark has PLAIN
 *             hot->set->run(return_ip - hot->site_length, parent_ip,
 *                           hot->set->arg, regs)
 *             self->frame = 0
 *             if (self->asked != self->answered)
 *                     ftr__dispatch_notice(regs)
 *     go on at the resume word, which was return_ip
 *
 * in exactly this order (lib/grace.h).  A signal handler may come between any
 * two steps and do the same: it leaves frame as it found it, or 0 for 0.
 *
 * regs: the frame; slot: what the slot handed over; return_ip: what the site's
 * call pushed; parent_ip: the traced function's return address.  Both routines
 * are in lib/dispatch.c.
 */
void ftr__dispatch_slow(struct ftr_regs *regs, uintptr_t slot, uintptr_t return_ip,
			uintptr_t parent_ip);
void ftr__dispatch_notice(struct ftr_regs *regs);

/* lib/dispatch.c; callers may do the same themselves.  `group` is a set or, of sets
 * with FTR__SET_BELOW, a lone group. */
int ftr__run_members(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		     struct ftr_regs *regs);

/* What callers of return hooks call: lib/exit.c and lib/record.c. */
struct ftr__set;
struct ftr__record;
int ftr__exit_make_ready(const struct ftr__set *set, uintptr_t sp);
int ftr__run_exits(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *record,
		   struct ftr_regs *regs);
void ftr__record_return(struct ftr__record *record);
/* Where all cells begin. */
extern uintptr_t ftr__record_cells __attribute__((visibility("hidden")));

#endif
