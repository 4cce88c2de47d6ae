/* SPDX-License-Identifier: MIT */
/*
 * What the callers' assembly reads and writes of the library's structures, and
 * the head of every backend's register frame.  Floor 1; for C and assembly.
 */
#ifndef FTR__HOT_H
#define FTR__HOT_H

#define FTR__WORD __SIZEOF_POINTER__

/* struct ftr__thread */
#define FTR__THREAD_FRAME    0
#define FTR__THREAD_ASKED    FTR__WORD
#define FTR__THREAD_ANSWERED (FTR__WORD + 4)
#define FTR__THREAD_RECORDS  (FTR__WORD + 8)
#define FTR__THREAD_TLS      (2 * FTR__WORD + 8)

/* struct ftr__set */
#define FTR__SET_RUN         0
#define FTR__SET_ARG         FTR__WORD
#define FTR__SET_HOOKS       (2 * FTR__WORD)
#define FTR__SET_EXIT_RUN    (3 * FTR__WORD)
#define FTR__SET_EXIT_ARG    (4 * FTR__WORD)
#define FTR__SET_EXIT_CALLER (5 * FTR__WORD)
#define FTR__SET_DATA_SIZE   (6 * FTR__WORD)

#define FTR__SET_ANY         (6 * FTR__WORD + 12)
/* In `any` of sets of plain groups, once their functions may be jumped to by hooked
 * ones: the return address may be a cell's then, and handlers get the parent's (H1).
 * Those of a lone group run ftr__run_members(), too. */
#define FTR__SET_BELOW       (1 << 24)

#define FTR__SET_MEMBERS     (8 * FTR__WORD + 32)

/* struct ftr__member */
#define FTR__MEMBER_ENTRY 0
#define FTR__MEMBER_GROUP FTR__WORD
#define FTR__MEMBER_SIZE  (6 * FTR__WORD + 24)

/* struct ftr__record, which begins with a struct ftr__slot_hot */
#define FTR__RECORD_SET       (4 * FTR__WORD)
#define FTR__RECORD_IP        (5 * FTR__WORD)
#define FTR__RECORD_SLOT      (6 * FTR__WORD)
#define FTR__RECORD_CELL      (7 * FTR__WORD)
#define FTR__RECORD_OWNER     (8 * FTR__WORD)
#define FTR__RECORD_NEXT      (9 * FTR__WORD)
#define FTR__RECORD_PENDING   (10 * FTR__WORD)
#define FTR__RECORD_DATA_ROOM (10 * FTR__WORD + 8)
#define FTR__RECORD_HANDED    (10 * FTR__WORD + 12)
#define FTR__RECORD_TLS       (11 * FTR__WORD + 16)

/* A cell's length; its struct ftr__cell_words lies as many bytes behind it as all
 * cells are long. */
#define FTR__CELL_SIZE   32
#if FTR__WORD == 8
#define FTR__CELLS_SHIFT 25
#else
#define FTR__CELLS_SHIFT 21
#endif
#define FTR__CELLS_SIZE  (1 << FTR__CELLS_SHIFT) /* by which all are aligned, too */
#define FTR__CELL_PARENT 0
#define FTR__CELL_BODY   FTR__WORD
#define FTR__CELL_CALLER (2 * FTR__WORD)

/* struct ftr__slot_hot; a slot pushes its number times the size, or its address. */
#define FTR__SLOT_SET         0
#define FTR__SLOT_SITE_LENGTH FTR__WORD
#define FTR__SLOT_SELF        (2 * FTR__WORD)
#define FTR__SLOT_HOT_SIZE    (4 * FTR__WORD)

/*
 * struct ftr__regs_head.mark: FTR__MARK, how wide the saved vector registers
 * are (its second byte: bytes divided by 16), and
 */
#define FTR__MARK       0x46540000
#define FTR__MARK_MASK  0xfffc0000
#define FTR__MARK_PLAIN 1    /* `group` is not whose handler runs: the frame tells
			      * what any of its set's may do */
#define FTR__MARK_WHOLE 2    /* the regs caller made the frame */
#define FTR__MARK_ALL   4    /* all vector registers are saved */
#define FTR__MARK_PROBE 8    /* a probe's caller made the frame */
#define FTR__MARK_HOOKED 0x10000 /* with PLAIN: by a caller that binds records itself;
				  * else `hooking` tells of the call */
#define FTR__MARK_FILLED 0x20000 /* with WHOLE: pt_regs is, for it was asked for */
#define FTR__MARK_OWN   0xf0 /* the backend's own */
#define FTR__MARK_WIDTH 0xff00

#ifdef __ASSEMBLER__

/*
 * A thread between two labels, the second excluded, has not loaded its set yet:
 * a slot may not serve another one meanwhile.  Nor while the call that ends at
 * the second label runs, where that is called with `call`.  Makes a struct
 * ftr__inside of lib/rendezvous.h in the table that FTR__LATE_TABLE opens.
 */
	.macro	FTR__LATE from, to, call=0
	.pushsection .data.rel.ro.ftr_late, "aw", @progbits
	.if	FTR__WORD == 8
	.quad	\from - 1, \to + \call, 0
	.else
	.long	\from - 1, \to + \call, 0
	.endif
	.popsection
	.endm

	.macro	FTR__LATE_TABLE name
	.pushsection .data.rel.ro.ftr_late, "aw", @progbits
	.balign	FTR__WORD
	.globl	\name
	.hidden	\name
\name:
	.popsection
	.endm

#else

#include <stdint.h>

struct ftr_group;
struct ftr__hooking;

struct ftr__regs_head {
	/* The backend's own. */
	uint32_t saved;
	/* Written before the frame is the thread's outermost: where it is not
	 * found any more, the handler was jumped over. */
	uint32_t mark;
	/* Whose handler is running: decides what the accessors allow.  Where an
	 * exit's caller runs it itself, perhaps the struct ftr__record (lib/backend.h,
	 * exits_first). */
	union {
		struct ftr_group *group;
		struct ftr__hooking *hooking; /* lib/exit.h */
	};
};

#endif /* __ASSEMBLER__ */
#endif
