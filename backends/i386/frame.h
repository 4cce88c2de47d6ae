/* SPDX-License-Identifier: MIT */
/*
 * The i386 register frame, for C and assembly.
 *
 * A caller is entered with S = esp, T = S + 8:
 *
 *     T         return address into the parent; the traced function's esp
 *     S + 4     return address into the traced function (pushed by the site)
 *     S         where the slot's struct ftr__slot_hot lies (pushed by the slot)
 *
 * R, struct ftr_regs, ends with a struct pt_regs.  It lies in one of two ways:
 *
 *     args, overlay     with the sp field of pt_regs at T
 *     flat              whole, FTR_I386_ROOM bytes below S: what a handler may
 *                       lower sp by, and four words.  The caller saves what
 *                       only it can know; the rest is filled in when pt_regs is
 *                       asked for (FTR__MARK_FILLED)
 *
 * and below it, aligned down by 64, vector registers (backends/x86/vectors.h).
 */
#ifndef FTR__I386_FRAME_H
#define FTR__I386_FRAME_H

#include "backends/x86/flags.h"

#define FTR_I386_ROOM (256 + 16)

/* In FTR__MARK_OWN. */
#define FTR_I386_MARK_OVERLAY 0x80 /* the layout is overlay */
#define FTR_I386_MARK_EXIT    0x80 /* args: the caller of an exit made the frame */
#define FTR_I386_MARK_CELL    0x80 /* args, come to by a jump: what is to go on is a cell */

/* Where a return enters a cell; a jump through eax does before it. */
#define FTR_I386_CELL_ENTER 1

/* The byte of the mark with FTR__MARK_FILLED. */
#define R_FILLED        6
#define FTR_I386_FILLED (FTR__MARK_FILLED >> 16)

/* Offsets from R.  pt_regs begins at 24, in the order of <asm/ptrace.h>. */
#define R_SAVED    0  /* args: flags, ax after lahf and seto; filled: flags as they were */
#define R_MARK     4
#define R_GROUP    8
#define R_MXCSR    12 /* as found; the word behind it: as it is at the end */
#define R_LAST     20 /* filled: where to go on; at the end, esp */
#define R_PT       24
#define R_BX       (R_PT + 0)
#define R_CX       (R_PT + 4)
#define R_DX       (R_PT + 8)
#define R_SI       (R_PT + 12)
#define R_DI       (R_PT + 16)
#define R_BP       (R_PT + 20)
#define R_AX       (R_PT + 24)
#define R_DS       (R_PT + 28)
#define R_ES       (R_PT + 32)
#define R_FS       (R_PT + 36)
#define R_GS       (R_PT + 40)
#define R_ORIG_AX  (R_PT + 44)
#define R_IP       (R_PT + 48)
#define R_CS       (R_PT + 52)
#define R_FLAGS    (R_PT + 56)
#define R_SP       (R_PT + 60)
#define R_SS       (R_PT + 64)
#define REGS_SIZE  (R_SS + 4)

/* From R to S. */
#define FTR_I386_ABOVE_FLAT (REGS_SIZE + FTR_I386_ROOM)
#define FTR_I386_ABOVE      (R_SP - 8)

#ifndef __ASSEMBLER__

#include <asm/ptrace.h>
#include <stddef.h>

#include "lib/backend.h"
#include "lib/hot.h"

struct ftr_regs {
	struct ftr__regs_head head;
	uint32_t mxcsr[2];
	uintptr_t last;
	struct pt_regs pt;
};

#define FTR__AT(field, offset) \
	_Static_assert(offsetof(struct ftr_regs, field) == (offset), #field)
FTR__AT(head.group, R_GROUP);
FTR__AT(head.saved, R_SAVED);
FTR__AT(head.mark, R_MARK);
FTR__AT(mxcsr, R_MXCSR);
FTR__AT(last, R_LAST);
FTR__AT(pt.ebx, R_BX);
FTR__AT(pt.ecx, R_CX);
FTR__AT(pt.edx, R_DX);
FTR__AT(pt.esi, R_SI);
FTR__AT(pt.edi, R_DI);
FTR__AT(pt.ebp, R_BP);
FTR__AT(pt.eax, R_AX);
FTR__AT(pt.xds, R_DS);
FTR__AT(pt.xes, R_ES);
FTR__AT(pt.xfs, R_FS);
FTR__AT(pt.xgs, R_GS);
FTR__AT(pt.orig_eax, R_ORIG_AX);
FTR__AT(pt.eip, R_IP);
FTR__AT(pt.xcs, R_CS);
FTR__AT(pt.eflags, R_FLAGS);
FTR__AT(pt.esp, R_SP);
FTR__AT(pt.xss, R_SS);
_Static_assert(sizeof(struct ftr_regs) == REGS_SIZE, "size");
_Static_assert(FTR_I386_ROOM >= FTR_SP_ROOM + 8, "room for flags and ip below sp");

#endif /* __ASSEMBLER__ */
#endif
