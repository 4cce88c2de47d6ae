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
 *     esp = T, or flat: sp of pt_regs
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
#include "backends/i386/frame.h"
#include "backends/x86/vectors.h"

/* --- vector registers ---------------------------------------------------------- */

#define REGISTERS 0, 1, 2, 3, 4, 5, 6, 7

	.macro	OPEN_VECTORS size
	leal	-(\size)(%esp), %esp
	andl	$-64, %esp
	.endm

/* esp = R on entry of SAVE_, the area on entry of LOAD_; ebp = R + above. */
	.macro	SAVE_none above
	andl	$-16, %esp
	.endm

	.macro	LOAD_none above
	.endm

	.macro	SAVE_sse above
	OPEN_VECTORS (8 * 16)
	FTR_X86_STORE movaps, xmm, 16, esp, REGISTERS
	.endm

	.macro	LOAD_sse above
	FTR_X86_LOAD movaps, xmm, 16, esp, REGISTERS
	.endm

	.macro	SAVE_avx above
	OPEN_VECTORS (8 * 32)
	FTR_X86_STORE vmovaps, ymm, 32, esp, REGISTERS
	.endm

	.macro	LOAD_avx above
	FTR_X86_LOAD vmovaps, ymm, 32, esp, REGISTERS
	.endm

	.macro	SAVE_avx512 above
	OPEN_VECTORS (8 * 64)
	FTR_X86_STORE vmovaps, zmm, 64, esp, REGISTERS
	.endm

	.macro	LOAD_avx512 above
	FTR_X86_LOAD vmovaps, zmm, 64, esp, REGISTERS
	.endm

	.macro	SAVE_all_sse above
	stmxcsr	R_MXCSR(%esp)
	SAVE_sse \above
	.endm

	.macro	LOAD_all_sse above
	LOAD_sse \above
	LOAD_MXCSR \above
	.endm

	.macro	SAVE_all_avx above
	stmxcsr	R_MXCSR(%esp)
	SAVE_avx \above
	.endm

	.macro	LOAD_all_avx above
	LOAD_avx \above
	LOAD_MXCSR \above
	.endm

	.macro	SAVE_MASKS move
	stmxcsr	R_MXCSR(%esp)
	OPEN_VECTORS (8 * 64 + FTR__X86_MASKS_SIZE)
	FTR_X86_STORE vmovaps, zmm, 64, esp, REGISTERS
	leal	8 * 64(%esp), %eax
	FTR_X86_STORE \move, k, 8, eax, REGISTERS
	.endm

	.macro	LOAD_MASKS move, above
	LOAD_avx512 \above
	leal	8 * 64(%esp), %eax
	FTR_X86_LOAD \move, k, 8, eax, REGISTERS
	LOAD_MXCSR \above
	.endm

	.macro	SAVE_all_avx512 above
	SAVE_MASKS kmovw
	.endm

	.macro	LOAD_all_avx512 above
	LOAD_MASKS kmovw, \above
	.endm

	.macro	SAVE_all_avx512bw above
	SAVE_MASKS kmovq
	.endm

	.macro	LOAD_all_avx512bw above
	LOAD_MASKS kmovq, \above
	.endm

/* Loading it costs more than looking whether it has changed. */
	.macro	LOAD_MXCSR above
	stmxcsr	R_MXCSR + 4 - (\above)(%ebp)
	movl	R_MXCSR - (\above)(%ebp), %eax
	cmpl	%eax, R_MXCSR + 4 - (\above)(%ebp)
	je	.Lsame_mxcsr\@
	ldmxcsr	R_MXCSR - (\above)(%ebp)
.Lsame_mxcsr\@:
	.endm

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

/*
 * Save vectors, run the handlers, load vectors.  ecx: what the slot pushed;
 * \ret: the place of the return address into the traced function, by ebp.
 * whole: edi is free to keep ftr__self; overlay: the slot's word may be overwritten,
 * and handlers find their group in the frame.
 */
	.macro	DISPATCH kind, fn, above, whole, overlay, ret:vararg
	SAVE_\kind \above
	movl	FTR__SLOT_SELF(%ecx), %edx
	movl	%gs:(%edx), %edx
	testl	%edx, %edx
	jz	.L\fn\()_slow
	cmpl	$0, FTR__THREAD_FRAME(%edx)
	jne	.L\fn\()_slow
	leal	-(\above)(%ebp), %eax
	.if	\whole
	movl	%edx, %edi
	.endif
	movl	%eax, FTR__THREAD_FRAME(%edx)
	/* The set is loaded after the store above: see lib/grace.h. */
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
	call	*FTR__SET_RUN(%edx)
	.if	\whole
	movl	%edi, %edx
	.else
	movl	(%ebp), %ecx
	movl	FTR__SLOT_SELF(%ecx), %edx
	movl	%gs:(%edx), %edx
	.endif
	movl	$0, FTR__THREAD_FRAME(%edx)
	movl	FTR__THREAD_ASKED(%edx), %eax
	cmpl	FTR__THREAD_ANSWERED(%edx), %eax
	jne	.L\fn\()_notice
.L\fn\()_outside:
	.ifnc	\kind, none
	leal	16(%esp), %esp
	LOAD_\kind \above
	.endif
	leal	-(\above)(%ebp), %esp
	.endm

/* What DISPATCH jumps to. */
	.macro	DISPATCH_ASIDE kind, fn, above, ret:vararg
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

	.macro	ARGS_CALLER kind, bits, width
	BEGIN	ftr__i386_args_\kind
	leal	-FTR_I386_ABOVE(%esp), %esp
	.cfi_adjust_cfa_offset FTR_I386_ABOVE
	movl	%ecx, R_CX(%esp)
	movl	%edx, R_DX(%esp)
	movl	%ebp, R_BP(%esp)
	.cfi_rel_offset %ebp, R_BP
	movl	%eax, R_AX(%esp)
	/* SF ZF AF PF CF to ah, OF to al */
	lahf
	seto	%al
	leal	FTR_I386_ABOVE(%esp), %ebp
	.cfi_def_cfa %ebp, 8
	movl	%eax, R_SAVED(%esp)
	movl	$FTR__X86_MARK(FTR__MARK_PLAIN | \bits, \width, \width), R_MARK(%esp)
	movl	(%ebp), %ecx
	DISPATCH \kind, args_\kind, FTR_I386_ABOVE, 0, 0, 4(%ebp)
	.cfi_remember_state
	movl	R_SAVED(%esp), %eax
	addb	$0x7f, %al
	sahf
	movl	R_DX(%esp), %edx
	movl	R_CX(%esp), %ecx
	movl	R_AX(%esp), %eax
	movl	R_BP(%esp), %ebp
	.cfi_restore %ebp
	.cfi_def_cfa %esp, R_SP
	leal	R_FLAGS(%esp), %esp	/* the return address' place */
	.cfi_def_cfa_offset 4
	ret
	.cfi_restore_state
	DISPATCH_ASIDE \kind, args_\kind, FTR_I386_ABOVE, 4(%ebp)
	END	ftr__i386_args_\kind
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
	.macro	RESTORE_WHOLE above, flat
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
	ret
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
	ret
	.cfi_restore_state
	.endm

#define WHOLE_MARK(bits, width) FTR__X86_MARK(FTR__MARK_WHOLE | bits, width, width)

/* Where nobody asked for pt_regs, what a call keeps is as it was. */
	.macro	FLAT_CALLER kind, mark
	BEGIN	ftr__i386_flat_\kind
	leal	-(FTR_I386_ABOVE_FLAT - R_FLAGS - 4)(%esp), %esp
	.cfi_adjust_cfa_offset FTR_I386_ABOVE_FLAT - R_FLAGS - 4
	pushfl
	.cfi_adjust_cfa_offset 4
	leal	-R_FLAGS(%esp), %esp
	.cfi_adjust_cfa_offset R_FLAGS
	movl	$\mark, R_MARK(%esp)
	SAVE_GENERAL FTR_I386_ABOVE_FLAT
	movl	(%ebp), %ecx
	DISPATCH \kind, flat_\kind, FTR_I386_ABOVE_FLAT, 1, 0, 4(%ebp)
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
	ret
	.cfi_restore_state
2:	movl	R_SAVED(%esp), %esi
	RESTORE_WHOLE FTR_I386_ABOVE_FLAT, 1
	DISPATCH_ASIDE \kind, flat_\kind, FTR_I386_ABOVE_FLAT, 4(%ebp)
	END	ftr__i386_flat_\kind
	.endm

#define OVERLAY    FTR_I386_MARK_OVERLAY | FTR__MARK_FILLED
#define OVERLAY_IP R_LAST - FTR_I386_ABOVE(%ebp)

	.macro	OVERLAY_CALLER kind, mark
	BEGIN	ftr__i386_overlay_\kind
	leal	-FTR_I386_ABOVE(%esp), %esp
	.cfi_adjust_cfa_offset FTR_I386_ABOVE
	SAVE_OVERLAY FTR_I386_ABOVE, \mark
	DISPATCH \kind, overlay_\kind, FTR_I386_ABOVE, 1, 1, OVERLAY_IP
	RESTORE_WHOLE FTR_I386_ABOVE, 0
	DISPATCH_ASIDE \kind, overlay_\kind, FTR_I386_ABOVE, OVERLAY_IP
	END	ftr__i386_overlay_\kind
	.endm

	.macro	CALLERS kind, bits, width
	ARGS_CALLER	\kind, \bits, \width
	FLAT_CALLER	\kind, WHOLE_MARK(FTR__MARK_PLAIN | \bits, \width)
	OVERLAY_CALLER	\kind, WHOLE_MARK(OVERLAY | \bits, \width)
	.endm

	.hidden	ftr__dispatch_slow
	.hidden	ftr__dispatch_notice

	.text
	FTR__LATE_TABLE ftr__late
	CALLERS	none, 0, 0
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
