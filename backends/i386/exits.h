/* SPDX-License-Identifier: MIT */
/*
 * Macros of the callers (entry.S): return hooks, what lib/exit.c does, for a lone
 * plain group.
 */
#ifndef FTR__I386_EXITS_H
#define FTR__I386_EXITS_H

#include "backends/i386/frame.h"
#include "lib/hot.h"

/*
 * Handlers get the parent that a function has which was jumped to by a hooked one,
 * not that one's cell (H1).  ecx: the call's record; \at: where the return address
 * lies, which is the second of the arguments on the stack.
 */
	.macro	SHOW_PARENT fn, at:vararg
	movl	FTR__RECORD_CELL(%ecx), %eax
	xorl	\at, %eax
	shrl	$FTR__CELLS_SHIFT, %eax
	jz	.L\fn\()_jumped_to
.L\fn\()_parent:
	.endm

	.macro	SHOW_PARENT_ASIDE fn
.L\fn\()_jumped_to:
	movl	4(%esp), %eax
	andl	$-FTR__CELL_SIZE, %eax
	movl	FTR__CELLS_SIZE + FTR__CELL_PARENT(%eax), %eax
	movl	%eax, 4(%esp)
	xorl	FTR__RECORD_CELL(%ecx), %eax
	shrl	$FTR__CELLS_SHIFT, %eax
	jz	.L\fn\()_jumped_to
	jmp	.L\fn\()_parent
	.endm

/*
 * ebx: ftr__self.
 *
 * The handler's arguments are on the stack, the set in edx: see to it that the first of the thread's free records serves the call; the
 * handler finds it there (R1's entry data).  Where the set does all by its `run`
 * there is nothing to do.
 */
	.macro	READY_RECORD fn
	movl	FTR__SET_HOOKS(%edx), %eax
	testl	%eax, %eax
	jz	.L\fn\()_ready
	movl	FTR__THREAD_RECORDS(%ebx), %ecx
	testl	%ecx, %ecx
	jz	.L\fn\()_make_ready
	cmpl	%eax, FTR__RECORD_SET(%ecx)
	jne	.L\fn\()_make_ready
	movl	FTR__SET_DATA_SIZE(%eax), %eax
	cmpl	%eax, FTR__RECORD_DATA_ROOM(%ecx)
	jb	.L\fn\()_make_ready
	movl	(%esp), %eax
	movl	%eax, FTR__RECORD_IP(%ecx)
	SHOW_PARENT \fn, 8(%ebp)
.L\fn\()_ready:
	.endm

/* The handler is not called where no record is to be had. */
	.macro	READY_RECORD_ASIDE fn, above
	SHOW_PARENT_ASIDE \fn
.L\fn\()_make_ready:
	movl	FTR__SET_HOOKS(%edx), %eax
	leal	8(%ebp), %ecx
	movl	%eax, (%esp)
	movl	%ecx, 4(%esp)
	call	ftr__exit_make_ready
.L\fn\()_made_ready:
	FTR__LATE .L\fn\()_make_ready, .L\fn\()_made_ready, 1
	testl	%eax, %eax
	jz	.L\fn\()_bound
	movl	(%ebp), %ecx
	leal	16(%esp), %esp
	leal	-(\above)(%ebp), %eax
	jmp	.L\fn\()_load_set
	.endm

#define CELL_WORDS (FTR__CELLS_SIZE - FTR_I386_CELL_ENTER)

/* Behind the handler: if it returned eax = 0 the record is the call's, which goes
 * on in its cell. */
	.macro	BIND_RECORD fn, above
	testl	%eax, %eax
	jnz	.L\fn\()_bound
	movl	FTR__THREAD_RECORDS(%ebx), %ecx
	movl	FTR__RECORD_NEXT(%ecx), %eax
	movl	%eax, FTR__THREAD_RECORDS(%ebx)
	movl	FTR__RECORD_CELL(%ecx), %edx
	movl	4(%ebp), %eax
	movl	%eax, CELL_WORDS + FTR__CELL_BODY(%edx)
	movl	8(%ebp), %eax
	movl	%eax, CELL_WORDS + FTR__CELL_PARENT(%edx)
	leal	8(%ebp), %eax
	movl	%eax, FTR__RECORD_SLOT(%ecx)
	orb	$FTR_I386_MARK_CELL, R_MARK - (\above)(%ebp)
	movl	%edx, 4(%ebp)
.L\fn\()_bound:
	.endm

/*
 * For a cell's call that returned: ecx is its record, which is kept in the frame,
 * eax the frame.  x87: what is on the x87 stack has to be taken from there.
 */
	.macro	RUN_EXIT fn, above, x87
	movl	%ecx, R_GROUP - (\above)(%ebp)
	movl	FTR__RECORD_SET(%ecx), %edx
	pushl	%eax
	pushl	FTR__SET_EXIT_ARG(%edx)
	pushl	4(%ebp)
	pushl	FTR__RECORD_IP(%ecx)
	SHOW_PARENT \fn, 4(%ebp)
	.if	\x87
	/* Its top register empty: class C3 C0 of fxam. */
	fxam
	fnstsw	%ax
	andl	$0x4500, %eax
	cmpl	$0x4100, %eax
	jne	.L\fn\()_x87
	.endif
	call	*FTR__SET_EXIT_RUN(%edx)
	.endm

/* The record is free. */
	.macro	RELEASE_RECORD fn
	movl	(%ebp), %ecx
	cmpl	%ebx, FTR__RECORD_OWNER(%ecx)
	jne	.L\fn\()_foreign
	movl	FTR__THREAD_TLS(%ebx), %eax
	cmpl	%eax, FTR__RECORD_TLS(%ecx)
	jne	.L\fn\()_foreign	/* of a thread that ended */
	movl	FTR__THREAD_RECORDS(%ebx), %eax
	movl	$0, FTR__RECORD_SLOT(%ecx)
	movl	%eax, FTR__RECORD_NEXT(%ecx)
	movl	%ecx, FTR__THREAD_RECORDS(%ebx)
.L\fn\()_released:
	.endm

	.macro	RELEASE_RECORD_ASIDE fn
	SHOW_PARENT_ASIDE \fn
.L\fn\()_x87:
	movl	%ecx, 8(%esp)
	call	ftr__run_exits
	jmp	.L\fn\()_released
.L\fn\()_foreign:
	movl	%ecx, (%esp)
	call	ftr__record_return
	jmp	.L\fn\()_released
	.endm

#endif
