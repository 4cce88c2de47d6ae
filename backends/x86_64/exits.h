/* SPDX-License-Identifier: MIT */
/*
 * Macros of the callers (entry.S): return hooks, what lib/exit.c does, for a lone
 * plain group.
 */
#ifndef FTR__X86_64_EXITS_H
#define FTR__X86_64_EXITS_H

#include "backends/x86_64/calling.h"
#include "lib/hot.h"

/*
 * Handlers get the parent that a function has which was jumped to by a hooked one,
 * not that one's cell (H1).  rsi: the return address; \record: of the call.
 */
	.macro	SHOW_PARENT fn, record, scratch
	movq	FTR__RECORD_CELL(%\record), %\scratch
	xorq	%rsi, %\scratch
	shrq	$FTR__CELLS_SHIFT, %\scratch
	jz	.L\fn\()_jumped_to
.L\fn\()_parent:
	.endm

	.macro	SHOW_PARENT_ASIDE fn, record, scratch
.L\fn\()_jumped_to:
	andq	$-FTR__CELL_SIZE, %rsi
	movq	FTR__CELLS_SIZE + FTR__CELL_PARENT(%rsi), %rsi
	movq	FTR__RECORD_CELL(%\record), %\scratch
	xorq	%rsi, %\scratch
	shrq	$FTR__CELLS_SHIFT, %\scratch
	jz	.L\fn\()_jumped_to
	jmp	.L\fn\()_parent
	.endm

/*
 * Behind STEP_INSIDE: see to it that the first of the thread's records is free
 * and serves the call; the handler finds it there (R1's entry data).  Where the set
 * does all by its `run` there is nothing to do.  Leaves the results of STEP_INSIDE as
 * they are.  `slot` is looked at before `set`: who hands a record back stores them
 * in the other order.
 */
	.macro	READY_RECORD fn
	movq	FTR__SET_HOOKS(%r10), %r8
	testq	%r8, %r8
	jz	.L\fn\()_ready
	movq	FTR__THREAD_RECORDS(%r11), %rax
	testq	%rax, %rax
	jz	.L\fn\()_make_ready
.L\fn\()_look:
	cmpq	$0, FTR__RECORD_SLOT(%rax)
	jne	.L\fn\()_next_record
	cmpq	%r8, FTR__RECORD_SET(%rax)
	jne	.L\fn\()_make_ready
	movq	%rdi, FTR__RECORD_IP(%rax)
	SHOW_PARENT \fn, rax, r8
.L\fn\()_ready:
	.endm

/* The handler is not called where no record is to be had. */
	.macro	READY_RECORD_ASIDE fn, base, at, frame, aligned
	SHOW_PARENT_ASIDE \fn, rax, r8
.L\fn\()_next_record:
	movq	FTR__RECORD_NEXT(%rax), %rax
	testq	%rax, %rax
	jz	.L\fn\()_make_ready
	movq	%rax, FTR__THREAD_RECORDS(%r11)
	jmp	.L\fn\()_look
.L\fn\()_make_ready:
	movq	%r9, R_GROUP(%rcx)
	movq	FTR__SET_HOOKS(%r10), %rdi
	leaq	\at + 16(\base), %rsi
	CALL_ASIDE \aligned, \frame, ftr__exit_make_ready, FIX_READY
.L\fn\()_made_ready:
	FTR__LATE .L\fn\()_make_ready, .L\fn\()_made_ready, 1
	leaq	\at - (\frame)(\base), %rcx
	movq	R_GROUP(%rcx), %rdi
	LOAD_SELF r11
	testl	%eax, %eax
	jnz	.L\fn\()_load_set
	jmp	.L\fn\()_bound
	.endm

/*
 * Behind the handler, which returned eax = 0: the record is the call's, which goes
 * on in its cell.  It stays where it is in the list (lib/record.h).  Leaves ftr__self
 * in r11.
 */
	.macro	BIND_RECORD fn, base, at
	LOAD_SELF r11
	testl	%eax, %eax
	jnz	.L\fn\()_bound
	movq	FTR__THREAD_RECORDS(%r11), %rdx
	movq	FTR__RECORD_CELL(%rdx), %rcx
	movq	\at + 8(\base), %rax
	movq	%rax, FTR__CELLS_SIZE + FTR__CELL_BODY(%rcx)
	movq	\at + 16(\base), %rax
	movq	%rax, FTR__CELLS_SIZE + FTR__CELL_PARENT(%rcx)
	leaq	\at + 16(\base), %rax
	movq	%rax, FTR__RECORD_SLOT(%rdx)
	movq	%rcx, \at + 8(\base)
.L\fn\()_bound:
	.endm

/*
 * As STEP_INSIDE, for a cell's call that returned: rdi is the record.  That is made
 * the first of its thread's, where handler and RELEASE_RECORD find it, if it is not,
 * and stays pending until then.  The set in r10 is the record's.  x87: what is on the
 * x87 stack has to be taken from there.
 */
	.macro	STEP_INSIDE_EXIT fn, base, at, x87
	testq	%r11, %r11
	jz	.L\fn\()_slow
	cmpq	$0, FTR__THREAD_FRAME(%r11)
	jne	.L\fn\()_slow
	movq	%rcx, FTR__THREAD_FRAME(%r11)
	movq	%rdi, %rdx
	cmpq	FTR__THREAD_RECORDS(%r11), %rdi
	jne	.L\fn\()_behind
.L\fn\()_first:
	movq	FTR__RECORD_SET(%rdx), %r10
	testq	%r10, %r10
	jz	.L\fn\()_otherwise	/* taken for dead, too, or handed back */
	movq	FTR__RECORD_IP(%rdx), %rdi
	movq	\at + 8(\base), %rsi
	SHOW_PARENT \fn, rdx, rax
	.if	\x87
	/* Its top register empty: class C3 C0 of fxam. */
	fxam
	fnstsw	%ax
	andl	$0x4500, %eax
	cmpl	$0x4100, %eax
	jne	.L\fn\()_otherwise
	.endif
	movq	FTR__SET_EXIT_ARG(%r10), %rdx
	.endm

/* The record is free.  Leaves ftr__self in r11. */
	.macro	RELEASE_RECORD fn
	LOAD_SELF r11
	movq	FTR__THREAD_RECORDS(%r11), %rdx
	movq	$0, FTR__RECORD_SLOT(%rdx)
.L\fn\()_released:
	.endm

/* What is another thread's, was taken for dead, has to be looked for on the x87
 * stack, or may be the first of what was inherited: is left to C. */
	.macro	RELEASE_RECORD_ASIDE fn, frame, aligned
	SHOW_PARENT_ASIDE \fn, rdx, rax
.L\fn\()_behind:
	cmpq	%r11, FTR__RECORD_OWNER(%rdx)
	jne	.L\fn\()_otherwise
	cmpq	$0, FTR__RECORD_SLOT(%rdx)
	je	.L\fn\()_otherwise
	cmpb	$0, FTR__RECORD_HANDED(%rdx)
	jne	.L\fn\()_otherwise	/* was for a handler in a handler */
	movq	FTR__THREAD_TLS(%r11), %rax
	cmpq	%rax, FTR__RECORD_TLS(%rdx)
	jne	.L\fn\()_otherwise	/* of a thread that ended */
	movq	FTR__THREAD_RECORDS(%r11), %rax
	testq	%rax, %rax
	jz	.L\fn\()_otherwise
	cmpq	$0, FTR__RECORD_SLOT(%rax)
	jne	2f
	cmpb	$0, FTR__RECORD_HANDED(%rax)
	jne	2f
1:	movq	%rax, FTR__RECORD_NEXT(%rdx)
	movq	%rdx, FTR__THREAD_RECORDS(%r11)
	jmp	.L\fn\()_first
2:	movq	FTR__RECORD_NEXT(%rax), %rax
	jmp	1b
.L\fn\()_otherwise:
	CALL_ASIDE \aligned, \frame, ftr__run_exits, FIX_EXITS
	LOAD_SELF r11
	jmp	.L\fn\()_released
	.endm

#endif
