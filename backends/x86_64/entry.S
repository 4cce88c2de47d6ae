/* SPDX-License-Identifier: MIT */
/*
 * The callers: from a trampoline slot to the handlers and back.
 *
 * State on entry (see frame.h for the whole stack)
 *     rdi        where the slot's struct ftr__slot_hot lies
 *     (%rsp)     rdi as it was (pushed by the slot)
 *     8(%rsp)    return address into the traced function
 *     16(%rsp)   return address into the parent, stack arguments above
 *     all other registers and flags are the traced function's at its entry
 *
 * State on exit
 *     at the return address into the traced function, or where a handler said;
 *         jumped variants by a jump, for no call led here (lib/jump.h)
 *     args caller: rsp above that address; all general registers, arithmetic
 *         flags and the vector registers that the variant saves as on entry,
 *         or as handlers changed them
 *     regs caller: the same, and rsp and all flags as in pt_regs
 *
 * Variants of each caller, by what is saved of the vector registers:
 *     none       nothing: all handlers promised general registers only
 *     sse, avx, avx512
 *                registers 0-7; 14 and 15 (avx), 16 and 17 and k1 (avx512) are
 *                used on the way, call-clobbered as they are
 *     all_...    all vector and mask registers, and mxcsr
 * x87 is not touched.
 *
 * Stack used below the traced function's rsp, bytes, besides the handlers' own
 * and 8 for the call of them: args 104, regs 504; for vectors up to 63 and
 * 8 * 16, 32 or 64; all: 264, 520 or 2120.
 *
 * What happens in between is lib/backend.h's list of steps.  What bounds the
 * time of the short variants is the number of stores, and of taken branches: a
 * slot's first instruction is the first that saves, and nothing is stored that
 * a handler's accessors can tell by other means.
 */
#include "backends/x86_64/calling.h"
#include "backends/x86_64/exits.h"
#include "backends/x86_64/members.h"
#include "backends/x86_64/widths.h"

	.macro	END_HANDLER fn, way, base, at, frame
	.if	\way == JUMPED
	BIND_RECORD \fn, \base, \at
	.elseif	\way == EXITS
	RELEASE_RECORD \fn
	.else
	LOAD_SELF r11
	.endif
	STEP_OUTSIDE r11, .L\fn\()_notice
	.endm

/* --- without vector registers -------------------------------------------------- */

/* size: from R to S. */
	.macro	ARGS_NONE fn, way, mark, size
	BEGIN	ftr__x86_64_\fn
	SAVE_ARGS \size
	SAVE_FLAGS FTR__X86_MARK(FTR__MARK_PLAIN | \mark, 0, 0)
	movq	%rsp, %rcx
	LOAD_SELF r11
	.if	\way == EXITS
	STEP_INSIDE_EXIT \fn, %rsp, \size, 0
	.else
	STEP_INSIDE \fn, r11, %rsp, \size, \way
	.endif
	.if	\way == JUMPED
	READY_RECORD \fn
	.endif
	testl	$15, %esp
	jnz	.L\fn\()_misaligned
	CALL_HANDLERS \fn, \way
.L\fn\()_ran:
	END_HANDLER \fn, \way, %rsp, \size, \size
.L\fn\()_outside:
	RESTORE_FLAGS
	.cfi_remember_state
	RESTORE_ARGS \size
	LEAVE	\way
	.cfi_restore_state
.L\fn\()_misaligned:
	ALIGNED_CALL \size, CALL_HANDLER \way
	jmp	.L\fn\()_ran
.L\fn\()_slow:
	SLOW_ARGUMENTS %rsp, \size, \way
	ALIGNED_CALL \size, CALL_OUT ftr__dispatch_slow, FIX_SLOW
.L\fn\()_was_slow:
	FTR__LATE .L\fn\()_slow, .L\fn\()_was_slow
	jmp	.L\fn\()_outside
.L\fn\()_notice:
	movq	%rsp, %rdi
	ALIGNED_CALL \size, CALL_OUT ftr__dispatch_notice, FIX_NOTICE
	jmp	.L\fn\()_outside
	.if	\way == CALLED
	RUN_MANY_NONE \fn, \size
	.elseif	\way == JUMPED
	READY_RECORD_ASIDE \fn, %rsp, \size, \size, 0
	.elseif	\way == EXITS
	RELEASE_RECORD_ASIDE \fn, \size, 0
	.endif
	END	ftr__x86_64_\fn
	.endm

/* --- with a frame pointer --------------------------------------------------------- */

/* What callers with a frame pointer jump to. */
	.macro	DISPATCH_ASIDE kind, fn, frame, way
.L\fn\()_slow:
	SLOW_ARGUMENTS %rbp, 0, \way
	CALL_OUT ftr__dispatch_slow, FIX_SLOW
.L\fn\()_was_slow:
	FTR__LATE .L\fn\()_slow, .L\fn\()_was_slow, 1
	jmp	.L\fn\()_outside
.L\fn\()_notice:
	leaq	-(\frame)(%rbp), %rdi
	CALL_OUT ftr__dispatch_notice, FIX_NOTICE
	jmp	.L\fn\()_outside
	.if	\way == CALLED
	RUN_MANY \fn, \frame
	.elseif	\way == JUMPED
	READY_RECORD_ASIDE \fn, %rbp, 0, \frame, 1
	.elseif	\way == EXITS
	RELEASE_RECORD_ASIDE \fn, \frame, 1
	.endif
	WIDE_VECTORS \kind, \fn, \frame
	.endm

/* size: from R to S. */
	.macro	ARGS_CALLER kind, fn, way, size, bits, stride, width
	BEGIN	ftr__x86_64_\fn
	SAVE_ARGS \size
	movq	%rbp, R_ARGS_BP(%rsp)
	.cfi_rel_offset %rbp, R_ARGS_BP
	leaq	\size(%rsp), %rbp
	.cfi_def_cfa %rbp, 16
	SAVE_FLAGS FTR__X86_MARK(FTR__MARK_PLAIN | \bits, \stride, \width)
	SAVE_\kind \fn, \size
	leaq	-(\size)(%rbp), %rcx
	LOAD_SELF r11
	.if	\way == EXITS
	STEP_INSIDE_EXIT \fn, %rbp, 0, 1
	.else
	STEP_INSIDE \fn, r11, %rbp, 0, \way
	.endif
	.if	\way == JUMPED
	READY_RECORD \fn
	.endif
	CALL_HANDLERS \fn, \way
.L\fn\()_ran:
	END_HANDLER \fn, \way, %rbp, 0, \size
.L\fn\()_outside:
	LOAD_\kind \fn, \size
	leaq	-(\size)(%rbp), %rsp
	RESTORE_FLAGS
	.cfi_remember_state
	movq	R_ARGS_BP(%rsp), %rbp
	.cfi_restore %rbp
	.cfi_def_cfa %rsp, \size + 16
	RESTORE_ARGS \size
	LEAVE	\way
	.cfi_restore_state
	DISPATCH_ASIDE \kind, \fn, \size, \way
	END	ftr__x86_64_\fn
	.endm

	.macro	SAVE_KEPT reg, at
	movq	%\reg, \at(%rsp)
	.cfi_rel_offset %\reg, \at
	.endm

/*
 * The regs frame, from a stack that was lowered to R.  In ascending order: some
 * CPUs join neighbouring stores.  What can be told later, is: frame.h.  Leaves
 * rbp = S, rbx = ftr__self; rdi is the slot's.
 */
	.macro	SAVE_REGS mark:vararg
	movl	$\mark, R_MARK(%rsp)
	SAVE_KEPT r15, R_R15
	SAVE_KEPT r14, R_R14
	SAVE_KEPT r13, R_R13
	SAVE_KEPT r12, R_R12
	SAVE_KEPT rbp, R_BP
	SAVE_KEPT rbx, R_BX
	leaq	R_ABOVE_REGS(%rsp), %rbp
	.cfi_def_cfa %rbp, 16
	movq	%r11, R_R11(%rsp)
	movq	%r10, R_R10(%rsp)
	movq	%r9, R_R9(%rsp)
	movq	%r8, R_R8(%rsp)
	movq	%rax, R_AX(%rsp)
	movq	%rcx, R_CX(%rsp)
	movq	%rdx, R_DX(%rsp)
	movq	%rsi, R_SI(%rsp)
	LOAD_SELF rbx
	.endm

/* What a handler set: from here on an unwinder sees these, too. */
	.macro	RESTORE_CALLEE_SAVED
	movq	R_R15(%rsp), %r15
	.cfi_restore %r15
	movq	R_R14(%rsp), %r14
	.cfi_restore %r14
	movq	R_R13(%rsp), %r13
	.cfi_restore %r13
	movq	R_R12(%rsp), %r12
	.cfi_restore %r12
	movq	R_BX(%rsp), %rbx
	.cfi_restore %rbx
	.endm

/* All but rdi. */
	.macro	RESTORE_CALL_CLOBBERED
	movq	R_R11(%rsp), %r11
	movq	R_R10(%rsp), %r10
	movq	R_R9(%rsp), %r9
	movq	R_R8(%rsp), %r8
	movq	R_AX(%rsp), %rax
	movq	R_CX(%rsp), %rcx
	movq	R_DX(%rsp), %rdx
	movq	R_SI(%rsp), %rsi
	.endm

/* ecx holds eflags. */
	.macro	LOAD_ARITHMETIC_FLAGS
	movb	%cl, %ah		/* SF ZF AF PF CF */
	btl	$11, %ecx		/* OF */
	setc	%al
	addb	$0x7f, %al
	sahf
	.endm

#define REGS_MARK(bits, stride, width) \
	FTR__X86_MARK(FTR__MARK_PLAIN | FTR__MARK_WHOLE | bits, stride, width)

/*
 * Leaving the regs caller.  Where nobody asked for pt_regs, as the args caller
 * does: what a call keeps is as it was.  Else all is loaded; where sp or a flag
 * that sahf cannot set was changed, what is needed last is written below the new
 * rsp first, where no signal handler can overwrite it:
 *
 *     sp -  8   where execution goes on
 *     sp - 16   rbp
 *     sp - 24   flags, if sahf cannot set them
 */
	.macro	LEAVE_REGS way
	.cfi_remember_state
	testb	$FTR_X86_64_FILLED, R_FILLED(%rsp)
	jnz	1f
	movl	R_FLAGS(%rsp), %ecx
	LOAD_ARITHMETIC_FLAGS
	RESTORE_CALL_CLOBBERED
	movq	R_BX(%rsp), %rbx
	movq	R_BP(%rsp), %rbp
	.irp	reg, rbx, rbp, r12, r13, r14, r15
	.cfi_restore %\reg
	.endr
	.cfi_def_cfa %rsp, R_ABOVE_REGS + 16
	GROW	-R_ABOVE_REGS
	POP	rdi
	LEAVE	\way
	.cfi_restore_state
	.cfi_remember_state
1:	movq	R_SP(%rsp), %rdx
	leaq	16(%rbp), %rax
	cmpq	%rax, %rdx
	jne	2f
	movl	R_FLAGS(%rsp), %ecx
	movl	R_SAVED(%rsp), %eax
	xorl	%ecx, %eax
	testl	$~FTR_X86_ARITHMETIC_FLAGS, %eax
	jnz	2f
	movq	R_LAST(%rsp), %rax
	movq	%rax, 8(%rbp)
	RESTORE_CALLEE_SAVED
	LOAD_ARITHMETIC_FLAGS
	RESTORE_CALL_CLOBBERED
	movq	R_DI(%rsp), %rdi
	movq	R_BP(%rsp), %rbp
	.cfi_restore %rbp
	.cfi_def_cfa %rsp, R_ABOVE_REGS + 16
	GROW	-(R_ABOVE_REGS + 8)
	LEAVE	\way
	.cfi_restore_state
	.cfi_remember_state
2:	movl	R_FLAGS(%rsp), %ecx
	movq	R_LAST(%rsp), %rax
	movq	%rax, -8(%rdx)
	movq	R_BP(%rsp), %rax
	movq	%rax, -16(%rdx)
	movl	R_SAVED(%rsp), %eax
	xorl	%ecx, %eax
	testl	$~FTR_X86_ARITHMETIC_FLAGS, %eax
	RESTORE_CALLEE_SAVED
	jnz	3f
	leaq	-16(%rdx), %rdx
	movq	%rdx, R_LAST(%rsp)
	LOAD_ARITHMETIC_FLAGS
	RESTORE_CALL_CLOBBERED
	movq	R_DI(%rsp), %rdi
	movq	R_LAST(%rsp), %rsp
	.cfi_remember_state
	.cfi_def_cfa %rsp, 16
	.cfi_rel_offset %rbp, 0
	popq	%rbp
	.cfi_def_cfa_offset 8
	.cfi_restore %rbp
	ret
	.cfi_restore_state
3:	movq	%rcx, -24(%rdx)
	leaq	-24(%rdx), %rdx
	movq	%rdx, R_LAST(%rsp)
	RESTORE_CALL_CLOBBERED
	movq	R_DI(%rsp), %rdi
	movq	R_LAST(%rsp), %rsp
	.cfi_def_cfa %rsp, 24
	.cfi_rel_offset %rbp, 8
	popfq
	.cfi_def_cfa_offset 16
	popq	%rbp
	.cfi_def_cfa_offset 8
	.cfi_restore %rbp
	ret
	.cfi_restore_state
	.endm

	.macro	REGS_CALLER kind, fn, way, bits, stride, width
	BEGIN	ftr__x86_64_\fn
	/* No flag changes (lea, mov) before they are pushed to their place. */
	GROW	R_ABOVE_REGS - R_FLAGS - 8
	pushfq
	.cfi_adjust_cfa_offset 8
	GROW	R_FLAGS
	SAVE_REGS REGS_MARK(\bits, \stride, \width)
	SAVE_\kind \fn, R_ABOVE_REGS
	leaq	-R_ABOVE_REGS(%rbp), %rcx
	STEP_INSIDE \fn, rbx, %rbp, 0, CALLED
	CALL_HANDLERS \fn, CALLED
.L\fn\()_ran:
	STEP_OUTSIDE rbx, .L\fn\()_notice
.L\fn\()_outside:
	LOAD_\kind \fn, R_ABOVE_REGS
	leaq	-R_ABOVE_REGS(%rbp), %rsp
	LEAVE_REGS \way
	DISPATCH_ASIDE \kind, \fn, R_ABOVE_REGS, CALLED
	END	ftr__x86_64_\fn
	.endm

	.macro	WHOLE kind, bits, stride, width
	REGS_CALLER \kind, regs_\kind, CALLED, \bits, \stride, \width
	REGS_CALLER \kind, jumped_regs_\kind, JUMPED, \bits, \stride, \width
	.endm

#define HOOKED(bits) FTR__MARK_HOOKED | bits
#define EXITED(bits) FTR__MARK_HOOKED | FTR_X86_64_MARK_EXIT | bits

	.macro	BOTH kind, bits, stride, width
	ARGS_CALLER \kind, args_\kind, CALLED, R_ABOVE_ARGS, \bits, \stride, \width
	ARGS_CALLER \kind, jumped_args_\kind, JUMPED, R_ABOVE_ARGS, HOOKED(\bits), \stride, \width
	ARGS_CALLER \kind, exit_args_\kind, EXITS, R_ABOVE_EXIT, EXITED(\bits), \stride, \width
	WHOLE	\kind, \bits, \stride, \width
	.endm

	.hidden	ftr__self
	.hidden	ftr__slot_table
	.hidden	ftr__x86_wide_masks
	.hidden	ftr__dispatch_slow
	.hidden	ftr__dispatch_notice
	.hidden	ftr__exit_make_ready
	.hidden	ftr__run_exits
	.hidden	ftr__run_members
	.hidden	ftr__record_cells

	.macro	TABLE name, section, flags
	.pushsection \section, "\flags", @progbits
	.balign	8
	.globl	\name
	.hidden	\name
\name:
	.popsection
	.endm

	.macro	FAR_ROUTINE routine
\routine\()_at:
	.quad	\routine
	.endm

	.section .data.rel.ro, "aw", @progbits
	.balign	8
	FAR_ROUTINE ftr__dispatch_slow
	FAR_ROUTINE ftr__dispatch_notice
	FAR_ROUTINE ftr__exit_make_ready
	FAR_ROUTINE ftr__run_exits
	FAR_ROUTINE ftr__run_members
	FAR_ROUTINE ftr__record_cells

	.text
	TABLE	ftr__x86_64_fixups, .rodata.ftr_fixups, a
	TABLE	ftr__x86_64_starts, .data.rel.ro.ftr_starts, aw
	FTR__LATE_TABLE ftr__late
	.balign	64
	.globl	ftr__x86_64_callers
	.hidden	ftr__x86_64_callers
ftr__x86_64_callers:
	ARGS_NONE	args_none, CALLED, 0, R_ABOVE_ARGS
	ARGS_NONE	jumped_args_none, JUMPED, FTR__MARK_HOOKED, R_ABOVE_ARGS
	ARGS_NONE	exit_args_none, EXITS, EXITED(0), R_ABOVE_EXIT
	WHOLE	none, 0, 0, 0
	BOTH	sse, 0, 16, 16
	BOTH	avx, 0, 32, 16
	BOTH	avx512, 0, 64, 16
	BOTH	all_sse, FTR__MARK_ALL, 16, 16
	BOTH	all_avx, FTR__MARK_ALL, 32, 32
	BOTH	all_avx512, FTR__MARK_ALL, 64, 64
	.globl	ftr__x86_64_callers_end
	.hidden	ftr__x86_64_callers_end
ftr__x86_64_callers_end:
	FTR__LATE_TABLE ftr__late_end
	TABLE	ftr__x86_64_starts_end, .data.rel.ro.ftr_starts, aw
	TABLE	ftr__x86_64_fixups_end, .rodata.ftr_fixups, a

/*
 * Where a traced function goes on whose return was overridden: rsp is as at
 * its entry.  Unwinders take its address for a return address while the caller
 * that goes on here has not left yet, and look for the instruction before it:
 * the nop is described, too.
 */
	.balign	64
	.cfi_startproc
	.cfi_def_cfa %rsp, 8
	nop
	.globl	ftr__x86_64_just_return
	.hidden	ftr__x86_64_just_return
	.type	ftr__x86_64_just_return, @function
ftr__x86_64_just_return:
	endbr64
	ret
	END	ftr__x86_64_just_return

	.section .note.GNU-stack, "", @progbits
