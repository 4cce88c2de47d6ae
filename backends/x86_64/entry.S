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
#include "backends/x86/vectors.h"
#include "backends/x86_64/frame.h"

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

/* --- return hooks: what lib/exit.c does, for a lone plain group ---------------- */

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

/* --- vector registers ---------------------------------------------------------- */

#define ARGS_REGISTERS 0, 1, 2, 3, 4, 5, 6, 7
#define LOW_REGISTERS  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
#define HIGH_REGISTERS 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31

/* Compares ftr__x86_wide_masks with 0. */
	.macro	LOAD_WIDE_MASKS
	movl	ftr__x86_wide_masks(%rip), %ecx
	FIXUP	FIX_MASKS
	testl	%ecx, %ecx
	.endm

	.macro	OPEN_VECTORS size
	leaq	-(\size)(%rsp), %rsp
	andq	$-64, %rsp
	.endm

/* Narrow registers side by side: one wide store instead of several.  Their
 * upper parts are known to be zero. */
	.macro	PACK a, b, scratch
	vinsertf128 $1, %xmm\b, %ymm\a, %ymm\scratch
	vmovaps	%ymm\scratch, \a * 16(%rsp)
	.endm

	.macro	PACK4 a, b, c, d, scratch
	vinserti32x4 $1, %xmm\b, %zmm\a, %zmm\scratch
	vinserti32x4 $2, %xmm\c, %zmm\scratch, %zmm\scratch
	vinserti32x4 $3, %xmm\d, %zmm\scratch, %zmm\scratch
	vmovaps	%zmm\scratch, \a * 16(%rsp)
	.endm

/*
 * rbp = R + frame.  Where a macro jumps to \fn\()_wide... its partner in
 * WIDE_VECTORS, below the function's ret, goes on at the label behind.
 */
	.macro	SAVE_none fn, frame
	andq	$-16, %rsp
	.endm

	.macro	SAVE_sse fn, frame
	OPEN_VECTORS (8 * 16)
	FTR_X86_STORE movaps, xmm, 16, rsp, ARGS_REGISTERS
	.endm

	.macro	SAVE_avx fn, frame
	OPEN_VECTORS (8 * 32)
	vorps	%ymm0, %ymm1, %ymm15
	vorps	%ymm2, %ymm3, %ymm14
	vorps	%ymm4, %ymm15, %ymm15
	vorps	%ymm5, %ymm14, %ymm14
	vorps	%ymm6, %ymm15, %ymm15
	vorps	%ymm7, %ymm14, %ymm14
	vorps	%ymm14, %ymm15, %ymm15
	vextractf128 $1, %ymm15, %xmm15
	vptest	%xmm15, %xmm15
	jnz	.L\fn\()_wide
	PACK 0, 1, 15
	PACK 2, 3, 14
	PACK 4, 5, 15
	PACK 6, 7, 14
.L\fn\()_saved:
	.endm

	.macro	SAVE_avx512 fn, frame
	OPEN_VECTORS (8 * 64)
	vporq	%zmm0, %zmm1, %zmm16
	vporq	%zmm2, %zmm3, %zmm17
	vpternlogq $0xfe, %zmm4, %zmm5, %zmm16	/* or of three */
	vpternlogq $0xfe, %zmm6, %zmm7, %zmm17
	vporq	%zmm16, %zmm17, %zmm16
	vptestmd %zmm16, %zmm16, %k1
	kmovw	%k1, %eax
	testl	$0xfff0, %eax	/* the doublewords above the low 16 bytes */
	jnz	.L\fn\()_wide
	PACK4 0, 1, 2, 3, 16
	PACK4 4, 5, 6, 7, 17
.L\fn\()_saved:
	.endm

	.macro	SAVE_all_sse fn, frame
	stmxcsr	R_MXCSR(%rsp)
	OPEN_VECTORS (16 * 16 - R_MXCSR)
	FTR_X86_STORE movaps, xmm, 16, rsp, LOW_REGISTERS
	.endm

	.macro	SAVE_all_avx fn, frame
	stmxcsr	R_MXCSR(%rsp)
	OPEN_VECTORS (16 * 32 - R_MXCSR)
	FTR_X86_STORE vmovaps, ymm, 32, rsp, LOW_REGISTERS
	.endm

	.macro	SAVE_all_avx512 fn, frame
	stmxcsr	R_MXCSR(%rsp)
	OPEN_VECTORS (32 * 64 + FTR__X86_MASKS_SIZE - R_MXCSR)
	FTR_X86_STORE vmovaps, zmm, 64, rsp, LOW_REGISTERS
	FTR_X86_STORE vmovaps, zmm, 64, rsp, HIGH_REGISTERS
	leaq	32 * 64(%rsp), %rax
	LOAD_WIDE_MASKS
	jne	.L\fn\()_wide
	FTR_X86_STORE kmovw, k, 8, rax, ARGS_REGISTERS
.L\fn\()_saved:
	.endm

	.macro	LOAD_none fn, frame
	.endm

	.macro	LOAD_sse fn, frame
	FTR_X86_LOAD movaps, xmm, 16, rsp, ARGS_REGISTERS
	.endm

	.macro	LOAD_avx fn, frame
	cmpb	$(16 / 16), R_WIDTH - (\frame)(%rbp)
	jne	.L\fn\()_load_wide
	FTR_X86_LOAD vmovaps, xmm, 16, rsp, ARGS_REGISTERS
.L\fn\()_loaded:
	.endm

	.macro	LOAD_avx512 fn, frame
	cmpb	$(16 / 16), R_WIDTH - (\frame)(%rbp)
	jne	.L\fn\()_load_wide
	FTR_X86_LOAD vmovaps, xmm, 16, rsp, ARGS_REGISTERS
.L\fn\()_loaded:
	.endm

	.macro	LOAD_all_sse fn, frame
	FTR_X86_LOAD movaps, xmm, 16, rsp, LOW_REGISTERS
	LOAD_MXCSR \fn, \frame
	.endm

	.macro	LOAD_all_avx fn, frame
	FTR_X86_LOAD vmovaps, ymm, 32, rsp, LOW_REGISTERS
	LOAD_MXCSR \fn, \frame
	.endm

	.macro	LOAD_all_avx512 fn, frame
	FTR_X86_LOAD vmovaps, zmm, 64, rsp, LOW_REGISTERS
	FTR_X86_LOAD vmovaps, zmm, 64, rsp, HIGH_REGISTERS
	leaq	32 * 64(%rsp), %rax
	LOAD_WIDE_MASKS
	jne	.L\fn\()_load_wide
	FTR_X86_LOAD kmovw, k, 8, rax, ARGS_REGISTERS
.L\fn\()_loaded:
	LOAD_MXCSR \fn, \frame
	.endm

/* Also its exception flags, which the psABI lets a call change.  Costs as much
 * as all the rest, so it is not for the hot variants; ldmxcsr even more. */
	.macro	LOAD_MXCSR fn, frame
	stmxcsr	R_MXCSR + 4 - (\frame)(%rbp)
	movl	R_MXCSR - (\frame)(%rbp), %eax
	cmpl	%eax, R_MXCSR + 4 - (\frame)(%rbp)
	je	.L\fn\()_same_mxcsr
	ldmxcsr	R_MXCSR - (\frame)(%rbp)
.L\fn\()_same_mxcsr:
	.endm

	.macro	WIDE_VECTORS kind, fn, frame
	.ifc	\kind, avx
.L\fn\()_wide:
	movb	$(32 / 16), R_WIDTH - (\frame)(%rbp)
	FTR_X86_STORE vmovaps, ymm, 32, rsp, ARGS_REGISTERS
	jmp	.L\fn\()_saved
.L\fn\()_load_wide:
	FTR__LATE .L\fn\()_wide, .L\fn\()_load_wide
	FTR_X86_LOAD vmovaps, ymm, 32, rsp, ARGS_REGISTERS
	jmp	.L\fn\()_loaded
	.endif
	.ifc	\kind, avx512
.L\fn\()_wide:
	movb	$(64 / 16), R_WIDTH - (\frame)(%rbp)
	FTR_X86_STORE vmovaps, zmm, 64, rsp, ARGS_REGISTERS
	jmp	.L\fn\()_saved
.L\fn\()_load_wide:
	FTR__LATE .L\fn\()_wide, .L\fn\()_load_wide
	FTR_X86_LOAD vmovaps, zmm, 64, rsp, ARGS_REGISTERS
	jmp	.L\fn\()_loaded
	.endif
	.ifc	\kind, all_avx512
.L\fn\()_wide:
	FTR_X86_STORE kmovq, k, 8, rax, ARGS_REGISTERS
	jmp	.L\fn\()_saved
.L\fn\()_load_wide:
	FTR__LATE .L\fn\()_wide, .L\fn\()_load_wide
	FTR_X86_LOAD kmovq, k, 8, rax, ARGS_REGISTERS
	jmp	.L\fn\()_loaded
	.endif
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
