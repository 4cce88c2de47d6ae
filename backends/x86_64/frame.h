/* SPDX-License-Identifier: MIT */
/*
 * The x86_64 register frame, for C and assembly.
 *
 * A caller is entered with S = rsp, edi or rdi saying where the slot's struct
 * ftr__slot_hot lies:
 *
 *     S + 16   return address into the parent; the traced function's rsp
 *     S +  8   return address into the traced function (pushed by the site)
 *     S        rdi (pushed by the slot)
 *
 * and builds below it R, struct ftr_regs, which begins the same in both ways to
 * lay it out; a multiple of 16 where the traced function was called as the psABI
 * says:
 *
 *     args   S is the place of di in what would be a struct pt_regs; of that
 *            there are the registers that a call may change
 *     regs   a whole struct pt_regs, R_LAST behind it, and then a room before S:
 *            what a handler may lower sp by, and three words.  The caller saves
 *            what only it can know; the rest is filled in when pt_regs is asked
 *            for (FTR__MARK_FILLED), and until then is where args has it
 *
 * Below R, with all vector registers, R_MXCSR; then, aligned down by 64, vector
 * registers (backends/x86/vectors.h); rsp.
 */
#ifndef FTR__X86_64_FRAME_H
#define FTR__X86_64_FRAME_H

#include "backends/x86/flags.h"

#define FTR_X86_64_ROOM (256 + 32)

/* Offsets from R. */
#define R_MXCSR    (-FTR__X86_ALL_MXCSR) /* as found; the word behind it: as it is at the end */
#define R_SAVED    0  /* args: flags, ax after lahf and seto; filled: flags as they were */
#define R_MARK     4
#define R_WIDTH    5  /* its second byte */
#define R_GROUP    8
#define R_ARGS_BP  16 /* args with vectors, or misaligned; else see entry.S */

/* pt_regs, in the order of <asm/ptrace.h>. */
#define R_PT       24
#define R_R15      (R_PT + 0)
#define R_R14      (R_PT + 8)
#define R_R13      (R_PT + 16)
#define R_R12      (R_PT + 24)
#define R_BP       (R_PT + 32)
#define R_BX       (R_PT + 40)
#define R_R11      (R_PT + 48)
#define R_R10      (R_PT + 56)
#define R_R9       (R_PT + 64)
#define R_R8       (R_PT + 72)
#define R_AX       (R_PT + 80)
#define R_CX       (R_PT + 88)
#define R_DX       (R_PT + 96)
#define R_SI       (R_PT + 104)
#define R_DI       (R_PT + 112)
#define R_ORIG_AX  (R_PT + 120)
#define R_IP       (R_PT + 128)
#define R_CS       (R_PT + 136)
#define R_FLAGS    (R_PT + 144)
#define R_SP       (R_PT + 152)
#define R_SS       (R_PT + 160)
#define R_LAST     (R_PT + 168) /* filled: where to go on; at the end, rsp */
#define REGS_SIZE  (R_LAST + 8)

/* From R to S.  A function returned with rsp a multiple of 16: the callers of
 * exits leave a word more below the registers. */
#define R_ABOVE_ARGS (R_PT + R_DI - R_R11)
#define R_ABOVE_EXIT (R_ABOVE_ARGS + 8)
#define R_ABOVE_REGS (REGS_SIZE + FTR_X86_64_ROOM)

/* A caller's first instruction, which a jump by its address needs not run. */
#define FTR_X86_64_LANDING 4

/* In FTR__MARK_OWN. */
#define FTR_X86_64_MARK_EXIT   0x80 /* args: the caller of an exit made the frame */

/* In the byte of the mark at R_FILLED. */
#define R_FILLED          6
#define FTR_X86_64_FILLED (FTR__MARK_FILLED >> 16)

/*
 * What the callers reach by their own place: struct fixup of backend.c tells
 * where, and a copy of them gets words of its own.
 */
#define FIX_SELF   0 /* not a word: an instruction, see LOAD_SELF */
#define FIX_TABLE  1 /* ftr__slot_table */
#define FIX_SLOW   2 /* ftr__dispatch_slow */
#define FIX_NOTICE 3 /* ftr__dispatch_notice */
#define FIX_MASKS  4 /* ftr__x86_wide_masks */
#define FIX_READY  5 /* ftr__exit_make_ready */
#define FIX_EXITS  6 /* ftr__run_exits */
#define FIX_MEMBERS 7 /* ftr__run_members */
#define FIX_CELLS  8 /* where ftr__record_cells lies */
#define FIX_WORDS  9

#ifndef __ASSEMBLER__

#include <asm/ptrace.h>
#include <stddef.h>

#include "lib/backend.h"
#include "lib/hot.h"

struct ftr_regs {
	struct ftr__regs_head head;
	uintptr_t args_bp;
	struct pt_regs pt; /* regs alone */
	uintptr_t last;
};

#define FTR__AT(field, offset) \
	_Static_assert(offsetof(struct ftr_regs, field) == (offset), #field)
FTR__AT(head.group, R_GROUP);
FTR__AT(head.saved, R_SAVED);
FTR__AT(head.mark, R_MARK);
FTR__AT(args_bp, R_ARGS_BP);
FTR__AT(pt.r15, R_R15);
FTR__AT(pt.r14, R_R14);
FTR__AT(pt.r13, R_R13);
FTR__AT(pt.r12, R_R12);
FTR__AT(pt.rbp, R_BP);
FTR__AT(pt.rbx, R_BX);
FTR__AT(pt.r11, R_R11);
FTR__AT(pt.r10, R_R10);
FTR__AT(pt.r9, R_R9);
FTR__AT(pt.r8, R_R8);
FTR__AT(pt.rax, R_AX);
FTR__AT(pt.rcx, R_CX);
FTR__AT(pt.rdx, R_DX);
FTR__AT(pt.rsi, R_SI);
FTR__AT(pt.rdi, R_DI);
FTR__AT(pt.orig_rax, R_ORIG_AX);
FTR__AT(pt.rip, R_IP);
FTR__AT(pt.cs, R_CS);
FTR__AT(pt.eflags, R_FLAGS);
FTR__AT(pt.rsp, R_SP);
FTR__AT(pt.ss, R_SS);
FTR__AT(last, R_LAST);
_Static_assert(sizeof(struct ftr_regs) == REGS_SIZE, "size");
_Static_assert(FTR_X86_64_ROOM >= FTR_SP_ROOM + 24, "room for flags, rbp and ip below sp");

#endif /* __ASSEMBLER__ */
#endif
