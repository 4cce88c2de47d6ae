/* SPDX-License-Identifier: MIT */
/*
 * Macros of the callers (entry.S): the handlers of a set, one or several.
 */
#ifndef FTR__X86_64_MEMBERS_H
#define FTR__X86_64_MEMBERS_H

#include "backends/x86_64/calling.h"
#include "lib/hot.h"

	.macro	CALL_HANDLER way
	.if	\way == EXITS
	call	*FTR__SET_EXIT_RUN(%r10)
	.else
	call	*FTR__SET_RUN(%r10)
	.endif
	.endm

/* The same where rsp is aligned; goes to fn_aside where ftr__run_members() would be
 * called, which lies far from a copy. */
	.macro	CALL_HANDLERS fn, way
	.if	\way == CALLED
	movq	FTR__SET_RUN(%r10), %rax
	cmpq	ftr__run_members_at(%rip), %rax
	FIXUP	FIX_MEMBERS
	je	.L\fn\()_aside
	call	*%rax
	.else
	CALL_HANDLER \way
	.endif
	.endm

/* rsi: a return address, where that is a cell's, the parent's. */
	.macro	FIND_PARENT
.Lfind\@:
	movq	ftr__record_cells_at(%rip), %rax
	FIXUP	FIX_CELLS
	movq	(%rax), %rax
	xorq	%rsi, %rax
	shrq	$FTR__CELLS_SHIFT, %rax
	jnz	.Lfound\@
	andq	$-FTR__CELL_SIZE, %rsi
	movq	FTR__CELLS_SIZE + FTR__CELL_PARENT(%rsi), %rsi
	jmp	.Lfind\@
.Lfound\@:
	.endm

/* Where parents may have to be found; else .L\fn\()_many follows. */
	.macro	HANDLERS_ASIDE fn
	.balign	64, 0xcc
.L\fn\()_aside:
	testl	$FTR__SET_BELOW, FTR__SET_ANY(%r10)
	jz	.L\fn\()_many
	FIND_PARENT
	cmpq	%rdx, %r10
	je	.L\fn\()_below
	call	*FTR__SET_MEMBERS + FTR__MEMBER_ENTRY(%r10)	/* a lone group's */
	jmp	.L\fn\()_ran
.L\fn\()_below:
	call	*FTR__SET_RUN(%r10)
	jmp	.L\fn\()_ran
	.endm

/*
 * ftr__run_members(): the handlers of several groups.  Without vector registers
 * none of them has other rights than a lone one, so that the frame's mark may
 * stay; and the frame has two words left for ip and the set, or the member whose
 * handler runs.
 */
#define R_KEPT_IP     R_ARGS_BP
#define R_KEPT_MEMBER R_GROUP

	.macro	RUN_MEMBER base, at
	movq	%rsp, %rcx
	movq	FTR__MEMBER_GROUP + \at(\base), %rdx
	call	*FTR__MEMBER_ENTRY + \at(\base)
	movq	R_KEPT_MEMBER(%rsp), \base
	.endm

	.macro	LOAD_KEPT size
	movq	R_KEPT_IP(%rsp), %rdi
	movq	\size + 16(%rsp), %rsi
	.endm

	.macro	RUN_MANY_NONE fn, size
	HANDLERS_ASIDE \fn
.L\fn\()_many:
	movq	%rdi, R_KEPT_IP(%rsp)
	movq	%r10, R_KEPT_MEMBER(%rsp)
	RUN_MEMBER %r10, FTR__SET_MEMBERS
	LOAD_KEPT \size
	RUN_MEMBER %r10, FTR__SET_MEMBERS + FTR__MEMBER_SIZE
	leaq	FTR__SET_MEMBERS + 2 * FTR__MEMBER_SIZE(%r10), %r8
1:	cmpq	$0, FTR__MEMBER_ENTRY(%r8)
	je	.L\fn\()_ran
	LOAD_KEPT \size
	movq	%r8, R_KEPT_MEMBER(%rsp)
	RUN_MEMBER %r8, 0
	addq	$FTR__MEMBER_SIZE, %r8
	jmp	1b
	.endm

/*
 * The same with a frame pointer.  The stack gets two words:
 *
 *     8(%rsp)    ip
 *     (%rsp)     the member whose handler runs
 */
	.macro	RUN_MANY fn, frame
	HANDLERS_ASIDE \fn
.L\fn\()_many:
	leaq	-16(%rsp), %rsp
	andl	$~FTR__MARK_PLAIN, R_MARK(%rcx)
	leaq	FTR__SET_MEMBERS(%r10), %r8
	movq	%rdi, 8(%rsp)
1:	movq	FTR__MEMBER_GROUP(%r8), %rdx
	movq	%r8, (%rsp)
	movq	%rdx, R_GROUP(%rcx)
	call	*FTR__MEMBER_ENTRY(%r8)
	movq	(%rsp), %r8
	movq	8(%rsp), %rdi
	movq	16(%rbp), %rsi
	leaq	-(\frame)(%rbp), %rcx
	addq	$FTR__MEMBER_SIZE, %r8
	cmpq	$0, FTR__MEMBER_ENTRY(%r8)
	jne	1b
	leaq	16(%rsp), %rsp
	jmp	.L\fn\()_ran
	.endm

#endif
