/* SPDX-License-Identifier: MIT */
/*
 * Macros of the callers (entry.S): what all of them begin and end with.  Labels
 * of a caller are .L, its name `fn`, and what is there.
 */
#ifndef FTR__X86_64_CALLING_H
#define FTR__X86_64_CALLING_H

#include "backends/x86_64/frame.h"
#include "lib/hot.h"

/* How a caller was come to. */
#define CALLED 0 /* by a site's call */
#define JUMPED 1 /* by a site's jump */
#define EXITS  2 /* by a cell */

	.macro	PUSH reg
	pushq	%\reg
	.cfi_adjust_cfa_offset 8
	.endm

	.macro	POP reg
	popq	%\reg
	.cfi_adjust_cfa_offset -8
	.endm

	.macro	GROW bytes:vararg
	leaq	-(\bytes)(%rsp), %rsp
	.cfi_adjust_cfa_offset \bytes
	.endm

/* The args frame, \size bytes up to S: the registers that a call may change, and
 * the room below. */
	.macro	SAVE_ARGS size
	.irp	reg, rsi, rdx, rcx, rax, r8, r9, r10, r11
	PUSH	\reg
	.endr
	GROW	\size - 8 * 8
	.endm

/* Leaves rsp at the return address into the traced function. */
	.macro	RESTORE_ARGS size
	GROW	-(\size - 8 * 8)
	.irp	reg, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi
	POP	\reg
	.endr
	.endm

/* Arithmetic flags and the mark in one store.  mov changes no flag; lahf has
 * SF ZF AF PF CF, seto has OF. */
	.macro	SAVE_FLAGS mark:vararg
	movabsq	$((\mark) << 32), %rax
	lahf
	seto	%al
	movq	%rax, R_SAVED(%rsp)
	.endm

	.macro	RESTORE_FLAGS
	movl	R_SAVED(%rsp), %eax
	addb	$0x7f, %al	/* overflows where OF was set */
	sahf
	.endm

/* The instruction before ends with the distance to a word (frame.h). */
	.macro	FIXUP word
771:	.pushsection .rodata.ftr_fixups, "a", @progbits
	.long	771b - ftr__x86_64_callers, \word
	.popsection
	.endm

/*
 * ftr__self to r11 or rbx.  Two loads, for a library that may be opened late:
 * initial-exec.  In a copy one, for there the distance from fs is known; it
 * takes the place of both, and the linker may have made a constant of the first.
 */
	.macro	LOAD_SELF self
	movq	ftr__self@gottpoff(%rip), %\self
	FIXUP	FIX_SELF
	movq	%fs:(%\self), %\self
	.endm

/* A routine of the library's, which lies far from a copy. */
	.macro	CALL_OUT routine, word
	notrack call *\routine\()_at(%rip)
	FIXUP	\word
	.endm

/*
 * Step inside: rcx = R on entry, \self = ftr__self, rdi from the slot, S at
 * \at(\base).  Goes to fn_slow where ftr__dispatch_slow() has to be called.
 * Leaves the set in r10, the handler's arguments in rdi, rsi, rdx, rcx; jumped:
 * the struct ftr__slot_hot in r9.
 */
	.macro	STEP_INSIDE fn, self, base, at, way
	testq	%\self, %\self
	jz	.L\fn\()_slow
	cmpq	$0, FTR__THREAD_FRAME(%\self)
	jne	.L\fn\()_slow
	addq	ftr__slot_table(%rip), %rdi
	FIXUP	FIX_TABLE
	movq	%rcx, FTR__THREAD_FRAME(%\self)
.L\fn\()_load_set:
	/* The set is loaded after the store above: see lib/grace.h. */
	movq	FTR__SLOT_SET(%rdi), %r10
.L\fn\()_has_set:
	FTR__LATE ftr__x86_64_\fn, .L\fn\()_has_set
	.if	\way == JUMPED
	movq	%rdi, %r9
	.endif
	movq	\at + 8(\base), %rax
	subq	FTR__SLOT_SITE_LENGTH(%rdi), %rax
	movq	\at + 16(\base), %rsi
	movq	FTR__SET_ARG(%r10), %rdx
	movq	%rax, %rdi
	.endm

/* Step outside again; goes to \notice where someone asked to hear of it. */
	.macro	STEP_OUTSIDE self, notice
	movq	$0, FTR__THREAD_FRAME(%\self)
	movq	FTR__THREAD_ASKED(%\self), %rax
	movq	%rax, %rdx
	shrq	$32, %rdx	/* FTR__THREAD_ANSWERED */
	cmpl	%eax, %edx
	jne	\notice
	.endm

/* ftr__dispatch_slow(R, slot, return_ip, parent_ip): rcx = R. */
	.macro	SLOW_ARGUMENTS base, at, way
	movq	%rdi, %rsi
	.if	\way == EXITS
	subq	ftr__slot_table(%rip), %rsi	/* as a slot's */
	FIXUP	FIX_TABLE
	.endif
	movq	%rcx, %rdi
	movq	\at + 8(\base), %rdx
	movq	\at + 16(\base), %rcx
	.endm

/*
 * Unwinders know a function by where its description begins: before its first
 * instruction, at a byte that never runs, so that their own memory does not
 * look as if a thread were late there (lib/rendezvous.h).
 */
	.macro	BEGIN name
	.globl	\name
	.hidden	\name
	.type	\name, @function
	.cfi_startproc
	.cfi_def_cfa %rsp, 16
772:	int3
	.pushsection .data.rel.ro.ftr_starts, "aw", @progbits
	.quad	772b
	.popsection
	/* What runs after the landing pad begins a line: a slot goes there. */
	.balign	64, 0xcc
	.skip	64 - FTR_X86_64_LANDING, 0xcc
\name:
	endbr64
	.endm

	.macro	END name
	.cfi_endproc
	.size	\name, . - \name
	.endm

/*
 * The frame's end, rsp at the word that the site pushed: on to there by a return,
 * or by a jump, which reads that word in the red zone.
 */
	.macro	LEAVE way
	.if	\way == JUMPED
	leaq	8(%rsp), %rsp
	.cfi_adjust_cfa_offset -8
	jmp	*-8(%rsp)
	.else
	ret
	.endif
	.endm

	.macro	CALL_ASIDE aligned, frame, routine, word
	.if	\aligned
	CALL_OUT \routine, \word
	.else
	ALIGNED_CALL \frame, CALL_OUT \routine, \word
	.endif
	.endm

/*
 * rsp = R throughout, so that rbp need not be saved.  Where rsp is no multiple
 * of 16 (gcc's -fipa-stack-alignment calls functions so), and off the hot path,
 * rbp keeps R.  Its place is given from the CFA, not from rsp: behind a
 * .cfi_restore_state clang's assembler takes rsp for where it was before.
 */
	.macro	ALIGNED_CALL size, call:vararg
	movq	%rbp, R_ARGS_BP(%rsp)
	.cfi_remember_state
	.cfi_offset %rbp, R_ARGS_BP - (\size + 16)
	movq	%rsp, %rbp
	.cfi_def_cfa_register %rbp
	andq	$-16, %rsp
	\call
	movq	%rbp, %rsp
	.cfi_def_cfa_register %rsp
	movq	R_ARGS_BP(%rsp), %rbp
	.cfi_restore_state
	.endm

#endif
