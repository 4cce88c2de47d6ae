/* SPDX-License-Identifier: MIT */
/*
 * The callers: from a trampoline slot to the handlers and back.
 *
 * State on entry
 *
 *     T        return address into the parent, stack arguments above; T is the
 *              traced function's esp
 *     T -  4   return address into the traced function
 *     T -  8   what the slot pushed: where its struct ftr__slot_hot lies; esp
 *     all registers and flags are the traced function's at its entry; eax, ecx
 *     and edx may carry arguments (regparm, fastcall, a nested function's chain)
 *
 * While handlers run
 *
 *             args              flat                    overlay
 *     T + 4   1st argument      1st argument            1st argument, as ss
 *     T       parent's          parent's                parent's, as sp
 *     T -  4  traced function's traced function's       flags
 *     T -  8  slot's word       slot's word             cs
 *     T - 12  -                 (room: sp may be        ip: traced function's
 *     T - 16  -                 lowered, 272 bytes)     orig_ax
 *     T - 20  -                 ss                      gs
 *     T - 24  -                 sp = T                  fs
 *     T - 28  -                 flags                   es
 *     T - 32  -                 cs                      ds
 *     T - 36  ax                ip: traced function's   ax
 *     T - 40  bp                orig_ax                 bp
 *     T - 44  -                 gs                      di
 *     T - 48  -                 fs                      si
 *     T - 52  dx                es                      dx
 *     T - 56  cx                ds                      cx
 *     T - 60  -                 ax                      bx
 *     then    R_LAST ... R      bp di si dx cx bx       R_LAST ... R
 *     then    vectors           R_LAST ... R, vectors   vectors
 *
 * (flat: everything below the room lies 272 bytes lower than drawn; of it segments,
 * orig_ax, ip and sp, and R_LAST, are filled in when a handler asks for pt_regs.)  In the
 * overlay layout, the kernel's before 5.2, &regs->sp *is* the stack top just
 * before the site's call: so flags have the place of the return address, and
 * the return address that of ip, until the end.
 *
 * State on exit
 *     at the return address into the traced function, or where a handler said;
 *         esp = T, or flat: sp of pt_regs
 *     jumped variants, which no call led to (lib/jump.h): the same, but args
 *         where that is a cell: eax at T - 4, which is esp
 *     args: all general registers, arithmetic flags and the vector registers
 *         that the variant saves as on entry, or as handlers changed them
 *     flat, overlay: the same, and all flags as in pt_regs
 * x87 and segment registers are not touched.  Nothing before lahf and pushf
 * changes flags.
 *
 * Variants of each caller, by what is saved of the vector registers:
 *     none       nothing: all handlers promised general registers only
 *     sse, avx, avx512
 *                registers 0-7, which is all there are
 *     all_...    the same and mxcsr; avx512: mask registers of 16 bits, avx512bw:
 *                of 64 bits
 *
 * Stack used below the traced function's esp, bytes, besides the handlers' own
 * and 20 for the call of them: args, overlay 88, flat 376; for vectors up to 63
 * and 8 * 16, 32 or 64, and 64 for mask registers.
 *
 * What happens in between is lib/backend.h's list of steps.
 */
#include "backends/i386/exits.h"
#include "backends/i386/frame.h"
#include "backends/i386/widths.h"

/* How a caller was come to. */
#define CALLED 0 /* by a site's call */
#define JUMPED 1 /* by a site's jump */
#define EXITS  2 /* by a cell */

/* --- the frame ------------------------------------------------------------------ */

	.macro	BEGIN name
	.globl	\name
	.hidden	\name
	.type	\name, @function
	.balign	64
\name:
	.cfi_startproc
	.cfi_def_cfa %esp, 8
	endbr32
	.endm

	.macro	END name
	.cfi_endproc
	.size	\name, . - \name
	.endm

/* ftr__self; slot: where the struct ftr__slot_hot lies, or a record. */
	.macro	LOAD_SELF self, slot
	movl	FTR__SLOT_SELF(%\slot), %\self
	movl	%gs:(%\self), %\self
	.endm

/* The frame's end, esp at the word where execution goes on: by a return. */
	.macro	LEAVE way
	.if	\way == JUMPED
	/* One that has a call of its own, which processors take for none if what
	 * it calls is the next instruction: else all returns above would be
	 * mispredicted, and not this one alone. */
	call	.Lleave\@
	int3
.Lleave\@:
	.cfi_def_cfa_offset 8
	leal	4(%esp), %esp
	.cfi_def_cfa_offset 4
	.endif
	ret
	.endm

/* --- running the handlers -------------------------------------------------------- */

/* With the frame in eax, what the slot pushed in ecx. */
	.macro	RUN_HANDLER fn, above, overlay, way, ret:vararg
.L\fn\()_load_set:
	/* The set is loaded after the store of the frame: see lib/grace.h. */
	movl	FTR__SLOT_SET(%ecx), %edx
.L\fn\()_has_set:
	FTR__LATE ftr__i386_\fn, .L\fn\()_has_set
	pushl	%eax
	movl	\ret, %eax
	subl	FTR__SLOT_SITE_LENGTH(%ecx), %eax
	.if	\overlay
	movl	FTR__SET_ARG(%edx), %ecx
	movl	%ecx, R_GROUP - (\above)(%ebp)
	pushl	%ecx
	.else
	pushl	FTR__SET_ARG(%edx)
	.endif
	pushl	8(%ebp)
	pushl	%eax
	.if	\way == JUMPED
	READY_RECORD \fn
	.endif
	call	*FTR__SET_RUN(%edx)
	.endm

/*
 * Save vectors, run the handlers, load vectors.  ecx: what the slot pushed;
 * \ret: the place of the return address into the traced function, by ebp; \self:
 * what ftr__self is kept in, edx: it is loaded anew.
 * overlay: the slot's word may be overwritten, and handlers find their group in the
 * frame.
 */
	.macro	DISPATCH kind, fn, above, overlay, way, x87, self, ret:vararg
	SAVE_\kind \above
	LOAD_SELF \self, ecx
	testl	%\self, %\self
	jz	.L\fn\()_slow
	cmpl	$0, FTR__THREAD_FRAME(%\self)
	jne	.L\fn\()_slow
	leal	-(\above)(%ebp), %eax
	movl	%eax, FTR__THREAD_FRAME(%\self)
	.if	\way == EXITS
	RUN_EXIT \fn, \above, \x87
	.else
	RUN_HANDLER \fn, \above, \overlay, \way, \ret
	.endif
	.ifc	\self, edx
	movl	(%ebp), %ecx
	LOAD_SELF edx, ecx
	.endif
	.if	\way == JUMPED
	BIND_RECORD \fn, \above
	.elseif	\way == EXITS
	RELEASE_RECORD \fn
	.endif
	movl	$0, FTR__THREAD_FRAME(%\self)
	movl	FTR__THREAD_ASKED(%\self), %eax
	cmpl	FTR__THREAD_ANSWERED(%\self), %eax
	jne	.L\fn\()_notice
.L\fn\()_outside:
	.ifnc	\kind, none
	leal	16(%esp), %esp
	LOAD_\kind \above
	.endif
	leal	-(\above)(%ebp), %esp
	.endm

/* What DISPATCH jumps to. */
	.macro	DISPATCH_ASIDE kind, fn, above, way, ret:vararg
.L\fn\()_slow:
	leal	-(\above)(%ebp), %eax
	pushl	8(%ebp)
	pushl	\ret
	pushl	%ecx
	pushl	%eax
	call	ftr__dispatch_slow
.L\fn\()_was_slow:
	FTR__LATE .L\fn\()_slow, .L\fn\()_was_slow, 1
	jmp	.L\fn\()_outside
.L\fn\()_notice:
	leal	-(\above)(%ebp), %eax
	movl	%eax, (%esp)
	call	ftr__dispatch_notice
	jmp	.L\fn\()_outside
	.if	\way == JUMPED
	READY_RECORD_ASIDE \fn, \above
	.elseif	\way == EXITS
	RELEASE_RECORD_ASIDE \fn
	.endif
	.endm

/* eax holds eflags. */
	.macro	LOAD_ARITHMETIC_FLAGS
	btl	$11, %eax	/* OF */
	movb	%al, %ah	/* SF ZF AF PF CF */
	setc	%al
	addb	$0x7f, %al	/* overflows where OF was set */
	sahf
	.endm

/* --- args ------------------------------------------------------------------------- */

	.macro	RESTORE_FLAGS
	addb	$0x7f, %al	/* overflows where OF was set */
	sahf
	.endm

/*
 * On to a cell.  No register is left for its address, and a word below esp may be
 * overwritten by a signal before the jump has read it: so eax goes on by the stack.
 */
	.macro	LEAVE_TO_CELL
	RESTORE_FLAGS
	movl	R_BX(%esp), %ebx
	.cfi_restore %ebx
	movl	R_AX(%esp), %ecx
	movl	R_FLAGS(%esp), %eax
	leal	-FTR_I386_CELL_ENTER(%eax), %eax
	movl	%ecx, R_FLAGS(%esp)
	.cfi_register 8, %eax	/* eip */
	.cfi_def_cfa_offset 4
	.cfi_offset %ebp, R_BP - (FTR_I386_ABOVE + 4)
	movl	R_DX(%esp), %edx
	movl	R_CX(%esp), %ecx
	movl	R_BP(%esp), %ebp
	.cfi_restore %ebp
	.cfi_def_cfa %esp, R_FLAGS
	leal	R_FLAGS(%esp), %esp
	.cfi_def_cfa_offset 0
	jmp	*%eax
	.endm

	.macro	ARGS_CALLER kind, fn, way, mark, x87
	BEGIN	ftr__i386_\fn
	leal	-FTR_I386_ABOVE(%esp), %esp
	.cfi_adjust_cfa_offset FTR_I386_ABOVE
	movl	%ecx, R_CX(%esp)
	movl	%edx, R_DX(%esp)
	movl	%ebp, R_BP(%esp)
	.cfi_rel_offset %ebp, R_BP
	.if	\way != CALLED
	movl	%ebx, R_BX(%esp)
	.cfi_rel_offset %ebx, R_BX
	.endif
	movl	%eax, R_AX(%esp)
	/* SF ZF AF PF CF to ah, OF to al */
	lahf
	seto	%al
	leal	FTR_I386_ABOVE(%esp), %ebp
	.cfi_def_cfa %ebp, 8
	movl	%eax, R_SAVED(%esp)
	movl	$\mark, R_MARK(%esp)
	movl	(%ebp), %ecx
	.if	\way == CALLED
	DISPATCH \kind, \fn, FTR_I386_ABOVE, 0, \way, \x87, edx, 4(%ebp)
	.else
	DISPATCH \kind, \fn, FTR_I386_ABOVE, 0, \way, \x87, ebx, 4(%ebp)
	.endif
	movl	R_SAVED(%esp), %eax
	.if	\way == JUMPED
	testb	$FTR_I386_MARK_CELL, R_MARK(%esp)
	jz	.L\fn\()_leave
	.cfi_remember_state
	LEAVE_TO_CELL
	.cfi_restore_state
.L\fn\()_leave:
	.endif
	.cfi_remember_state
	RESTORE_FLAGS
	.if	\way != CALLED
	movl	R_BX(%esp), %ebx
	.cfi_restore %ebx
	.endif
	movl	R_DX(%esp), %edx
	movl	R_CX(%esp), %ecx
	movl	R_AX(%esp), %eax
	movl	R_BP(%esp), %ebp
	.cfi_restore %ebp
	.cfi_def_cfa %esp, R_SP
	leal	R_FLAGS(%esp), %esp	/* the return address' place */
	.cfi_def_cfa_offset 4
	LEAVE	\way
	.cfi_restore_state
	DISPATCH_ASIDE \kind, \fn, FTR_I386_ABOVE, \way, 4(%ebp)
	END	ftr__i386_\fn
	.endm

/* --- flat and overlay --------------------------------------------------------------- */

	.macro	SAVE_SEGMENT reg, at
	movl	%\reg, %eax
	movl	%eax, \at(%esp)
	.endm

/*
 * What both layouts have, in ascending order: some CPUs join neighbouring
 * stores.  From a stack that was lowered to R.
 */
	.macro	SAVE_GENERAL above
	movl	%ebx, R_BX(%esp)
	.cfi_rel_offset %ebx, R_BX
	movl	%ecx, R_CX(%esp)
	movl	%edx, R_DX(%esp)
	movl	%esi, R_SI(%esp)
	.cfi_rel_offset %esi, R_SI
	movl	%edi, R_DI(%esp)
	.cfi_rel_offset %edi, R_DI
	movl	%ebp, R_BP(%esp)
	.cfi_rel_offset %ebp, R_BP
	leal	(\above)(%esp), %ebp
	.cfi_def_cfa %ebp, 8
	movl	%eax, R_AX(%esp)
	.endm

/* Leaves the flags in esi, the slot's word in ecx. */
	.macro	SAVE_OVERLAY above, mark
	movl	$\mark, R_MARK(%esp)
	SAVE_GENERAL \above
	pushfl
	popl	%esi
	SAVE_SEGMENT ds, R_DS
	SAVE_SEGMENT es, R_ES
	SAVE_SEGMENT fs, R_FS
	SAVE_SEGMENT gs, R_GS
	movl	$-1, R_ORIG_AX(%esp)
	movl	4(%ebp), %eax
	movl	(%ebp), %ecx
	movl	%eax, R_IP(%esp)
	movl	%eax, R_LAST(%esp)
	.cfi_offset 8, R_LAST - (\above + 8)	/* eip */
	SAVE_SEGMENT cs, R_CS
	movl	%esi, R_FLAGS(%esp)
	.endm

/* All general registers but esp; \to: where the CFA is from then on. */
	.macro	LOAD_WHOLE to:vararg
	movl	R_BX(%esp), %ebx
	movl	R_SI(%esp), %esi
	movl	R_DI(%esp), %edi
	movl	R_BP(%esp), %ebp
	\to
	.cfi_restore %ebx
	.cfi_restore %esi
	.cfi_restore %edi
	.cfi_restore %ebp
	movl	R_AX(%esp), %eax
	movl	R_CX(%esp), %ecx
	movl	R_DX(%esp), %edx
	.endm

/* CFA: the word R_LAST, and 8 */
	.macro	CFA_IS_LAST
	.cfi_escape 0x0f, 5, 0x74, R_LAST, 0x06, 0x23, 8
	.endm

/*
 * The end of both, esi being the flags as they were.  Where no handler changed sp, nor more of the flags than the
 * arithmetic ones, the return address is put in its place and all is loaded.
 * Else N is what esp shall be, and what is needed last is written below N
 * first, where no signal handler can overwrite it (overlay: N - 4 is flags'
 * place again, N - 8 that of cs):
 *
 *     N -  4   where execution goes on
 *     N -  8   flags
 */
	.macro	RESTORE_WHOLE above, flat, way
	.cfi_remember_state
	leal	8(%ebp), %edx
	movl	R_FLAGS(%esp), %eax
	.if	\flat
	cmpl	R_SP(%esp), %edx
	jne	1f
	.endif
	xorl	%eax, %esi
	testl	$~FTR_X86_ARITHMETIC_FLAGS, %esi
	jnz	1f
	movl	R_LAST(%esp), %ecx
	movl	%ecx, 4(%ebp)
	.cfi_offset 8, -4
	LOAD_ARITHMETIC_FLAGS
	LOAD_WHOLE .cfi_def_cfa %esp, \above + 8
	leal	\above + 4(%esp), %esp
	.cfi_def_cfa_offset 4
	LEAVE	\way
1:	.cfi_restore_state
	.cfi_remember_state
	.if	\flat
	movl	R_SP(%esp), %edx
	.endif
	movl	R_LAST(%esp), %ecx
	movl	%ecx, -4(%edx)
	movl	%eax, -8(%edx)
	leal	-8(%edx), %edx
	movl	%edx, R_LAST(%esp)
	.cfi_offset 8, -4
	LOAD_WHOLE CFA_IS_LAST
	movl	R_LAST(%esp), %esp
	.cfi_def_cfa %esp, 8
	popfl
	.cfi_def_cfa_offset 4
	LEAVE	\way
	.cfi_restore_state
	.endm

#define WHOLE_MARK(bits, width) FTR__X86_MARK(FTR__MARK_WHOLE | bits, width, width)

/* Where nobody asked for pt_regs, what a call keeps is as it was. */
	.macro	FLAT_CALLER kind, fn, way, mark
	BEGIN	ftr__i386_\fn
	leal	-(FTR_I386_ABOVE_FLAT - R_FLAGS - 4)(%esp), %esp
	.cfi_adjust_cfa_offset FTR_I386_ABOVE_FLAT - R_FLAGS - 4
	pushfl
	.cfi_adjust_cfa_offset 4
	leal	-R_FLAGS(%esp), %esp
	.cfi_adjust_cfa_offset R_FLAGS
	movl	$\mark, R_MARK(%esp)
	SAVE_GENERAL FTR_I386_ABOVE_FLAT
	movl	(%ebp), %ecx
	DISPATCH \kind, \fn, FTR_I386_ABOVE_FLAT, 0, CALLED, 0, edi, 4(%ebp)
	testb	$FTR_I386_FILLED, R_FILLED(%esp)
	jnz	2f
	.cfi_remember_state
	movl	R_FLAGS(%esp), %eax
	LOAD_ARITHMETIC_FLAGS
	movl	R_DI(%esp), %edi
	movl	R_BP(%esp), %ebp
	.cfi_def_cfa %esp, FTR_I386_ABOVE_FLAT + 8
	.irp	reg, ebx, esi, edi, ebp
	.cfi_restore %\reg
	.endr
	movl	R_AX(%esp), %eax
	movl	R_CX(%esp), %ecx
	movl	R_DX(%esp), %edx
	leal	FTR_I386_ABOVE_FLAT + 4(%esp), %esp
	.cfi_def_cfa_offset 4
	LEAVE	\way
	.cfi_restore_state
2:	movl	R_SAVED(%esp), %esi
	RESTORE_WHOLE FTR_I386_ABOVE_FLAT, 1, \way
	DISPATCH_ASIDE \kind, \fn, FTR_I386_ABOVE_FLAT, CALLED, 4(%ebp)
	END	ftr__i386_\fn
	.endm

#define OVERLAY    FTR_I386_MARK_OVERLAY | FTR__MARK_FILLED
#define OVERLAY_IP R_LAST - FTR_I386_ABOVE(%ebp)

	.macro	OVERLAY_CALLER kind, fn, way, mark
	BEGIN	ftr__i386_\fn
	leal	-FTR_I386_ABOVE(%esp), %esp
	.cfi_adjust_cfa_offset FTR_I386_ABOVE
	SAVE_OVERLAY FTR_I386_ABOVE, \mark
	DISPATCH \kind, \fn, FTR_I386_ABOVE, 1, CALLED, 0, edi, OVERLAY_IP
	RESTORE_WHOLE FTR_I386_ABOVE, 0, \way
	DISPATCH_ASIDE \kind, \fn, FTR_I386_ABOVE, CALLED, OVERLAY_IP
	END	ftr__i386_\fn
	.endm

#define ARGS_MARK(bits, width) FTR__X86_MARK(FTR__MARK_PLAIN | bits, width, width)

	.macro	WHOLE_CALLERS kind, way, bits, width, prefix
	FLAT_CALLER	\kind, \prefix\()flat_\kind, \way, \
			WHOLE_MARK(FTR__MARK_PLAIN | \bits, \width)
	OVERLAY_CALLER	\kind, \prefix\()overlay_\kind, \way, WHOLE_MARK(OVERLAY | \bits, \width)
	.endm

	.macro	CALLERS kind, bits, width, x87=1
	ARGS_CALLER	\kind, args_\kind, CALLED, ARGS_MARK(\bits, \width), 0
	ARGS_CALLER	\kind, jumped_args_\kind, JUMPED, \
			ARGS_MARK(FTR__MARK_HOOKED | \bits, \width), 0
	ARGS_CALLER	\kind, exit_args_\kind, EXITS, \
			ARGS_MARK(FTR__MARK_HOOKED | FTR_I386_MARK_EXIT | \bits, \width), \x87
	WHOLE_CALLERS	\kind, CALLED, \bits, \width
	WHOLE_CALLERS	\kind, JUMPED, \bits, \width, jumped_
	.endm

	.hidden	ftr__exit_make_ready
	.hidden	ftr__run_exits
	.hidden	ftr__record_return
	.hidden	ftr__dispatch_slow
	.hidden	ftr__dispatch_notice

	.text
	FTR__LATE_TABLE ftr__late
	CALLERS	none, 0, 0, 0
	CALLERS	sse, 0, 16
	CALLERS	avx, 0, 32
	CALLERS	avx512, 0, 64
	CALLERS	all_sse, FTR__MARK_ALL, 16
	CALLERS	all_avx, FTR__MARK_ALL, 32
	CALLERS	all_avx512, FTR__MARK_ALL, 64
	CALLERS	all_avx512bw, FTR__MARK_ALL, 64
	FTR__LATE_TABLE ftr__late_end

/*
 * Where a traced function goes on whose return was overridden: esp is as at
 * its entry.  Unwinders take its address for a return address while the caller
 * that goes on here has not left yet, and look for the instruction before it:
 * the nop is described, too.
 */
	.balign	64
	.cfi_startproc
	.cfi_def_cfa %esp, 4
	nop
	.globl	ftr__i386_just_return
	.hidden	ftr__i386_just_return
	.type	ftr__i386_just_return, @function
ftr__i386_just_return:
	endbr32
	ret
	END	ftr__i386_just_return

	.section .note.GNU-stack, "", @progbits
