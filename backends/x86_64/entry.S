/* SPDX-License-Identifier: MIT */
/*
 * The callers: from a trampoline slot to ftr__dispatch() and back.
 *
 * State on entry (see frame.h for the whole stack)
 *     (%rsp)     the slot's number
 *     8(%rsp)    return address into the traced function
 *     16(%rsp)   return address into the parent, stack arguments above
 *     all registers and flags are the traced function's at its entry
 *
 * State on exit
 *     at the address that ftr__dispatch() returned, rsp above both words
 *     args caller: all general registers, arithmetic flags and the vector
 *         argument registers as on entry, or as handlers changed them
 *     regs caller: the same, and rsp and all flags as in pt_regs
 *
 * Kept without being touched: x87, mxcsr, vector registers 8 and up, mask
 * registers (call-clobbered or callee-saved by the psABI, "Register Usage";
 * the C handler sees to the latter).
 *
 * Four vector variants of each caller: none, xmm, ymm and zmm 0-7.
 * Stack used below the traced function's rsp, bytes, besides the handlers' own:
 * args 224, regs 512; plus 128 and up to 63 for xmm, 256 for ymm, 512 for zmm.
 */
#include "backends/x86_64/frame.h"

	.macro	SAVE_VECTORS kind
	.ifc	\kind, sse
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	movaps	%xmm\n, \n * 16(%rsp)
	.endr
	.endif
	.ifc	\kind, avx
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	vmovaps	%ymm\n, \n * 32(%rsp)
	.endr
	.endif
	.ifc	\kind, avx512
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	vmovaps	%zmm\n, \n * 64(%rsp)
	.endr
	.endif
	.endm

	.macro	RESTORE_VECTORS kind
	.ifc	\kind, sse
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	movaps	\n * 16(%rsp), %xmm\n
	.endr
	.endif
	.ifc	\kind, avx
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	vmovaps	\n * 32(%rsp), %ymm\n
	.endr
	.endif
	.ifc	\kind, avx512
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	vmovaps	\n * 64(%rsp), %zmm\n
	.endr
	.endif
	.endm

/* The registers that a call may change, at R + offset. */
	.macro	SAVE_CALL_CLOBBERED
	movq	%rcx, R_CX(%rsp)
	movq	%rdx, R_DX(%rsp)
	movq	%rsi, R_SI(%rsp)
	movq	%rdi, R_DI(%rsp)
	movq	%r8, R_R8(%rsp)
	movq	%r9, R_R9(%rsp)
	movq	%r10, R_R10(%rsp)
	movq	%r11, R_R11(%rsp)
	.endm

	.macro	RESTORE_CALL_CLOBBERED
	movq	R_CX(%rsp), %rcx
	movq	R_DX(%rsp), %rdx
	movq	R_SI(%rsp), %rsi
	movq	R_DI(%rsp), %rdi
	movq	R_R8(%rsp), %r8
	movq	R_R9(%rsp), %r9
	movq	R_R10(%rsp), %r10
	movq	R_R11(%rsp), %r11
	movq	R_AX(%rsp), %rax
	.endm

/* Build the frame: rsp = R, rbp = S.  No flag changes (lea, mov). */
	.macro	OPEN_FRAME size
	.cfi_def_cfa %rsp, 16
	endbr64
	leaq	-(\size)(%rsp), %rsp
	.cfi_adjust_cfa_offset \size
	movq	%rbp, R_BP(%rsp)
	.cfi_rel_offset %rbp, R_BP
	movq	%rax, R_AX(%rsp)
	leaq	(\size)(%rsp), %rbp
	.cfi_def_cfa %rbp, 16
	SAVE_CALL_CLOBBERED
	.endm

/* Make room for 8 vectors of \width bytes, save them, call. */
	.macro	DISPATCH kind, width, whole
	movl	$(\width | (\whole << 16)), R_WIDTH(%rsp)
	movq	%rsp, %rdi
	movl	(%rbp), %esi
	movq	8(%rbp), %rdx
	movq	16(%rbp), %rcx
	.if	\width
	leaq	-(8 * \width)(%rsp), %rsp
	.endif
	andq	$-64, %rsp
	SAVE_VECTORS \kind
	call	ftr__dispatch
	RESTORE_VECTORS \kind
	.endm

	.macro	ARGS_CALLER kind, width
	.globl	ftr__x86_64_args_\kind
	.hidden	ftr__x86_64_args_\kind
	.type	ftr__x86_64_args_\kind, @function
	.balign	64
ftr__x86_64_args_\kind:
	.cfi_startproc
	OPEN_FRAME REGS_SIZE
	/* SF ZF AF PF CF to ah, OF to al */
	lahf
	seto	%al
	movq	%rax, R_FLAGS(%rsp)
	DISPATCH \kind, \width, 0
	movq	%rax, 8(%rbp)
	leaq	-REGS_SIZE(%rbp), %rsp
	movq	R_FLAGS(%rsp), %rax
	addb	$0x7f, %al	/* overflows where OF was set */
	sahf
	RESTORE_CALL_CLOBBERED
	movq	R_BP(%rsp), %rbp
	.cfi_restore %rbp
	.cfi_def_cfa %rsp, REGS_SIZE + 16
	leaq	REGS_SIZE + 8(%rsp), %rsp
	.cfi_def_cfa_offset 8
	ret
	.cfi_endproc
	.size	ftr__x86_64_args_\kind, . - ftr__x86_64_args_\kind
	.endm

/*
 * Leaving the regs caller: rsp may have been changed, so what is needed last
 * is written below the new rsp first, where no signal handler can overwrite it:
 *
 *     sp -  8   where execution goes on
 *     sp - 16   rbp
 *     sp - 24   flags, if more than the arithmetic ones were changed
 */
	.macro	REGS_CALLER kind, width
	.globl	ftr__x86_64_regs_\kind
	.hidden	ftr__x86_64_regs_\kind
	.type	ftr__x86_64_regs_\kind, @function
	.balign	64
ftr__x86_64_regs_\kind:
	.cfi_startproc
	OPEN_FRAME REGS_SIZE + FTR_X86_64_ROOM
	pushfq
	popq	%rax
	movq	%rax, R_FLAGS(%rsp)
	movq	%rax, R_OLDFLAGS(%rsp)
	movq	%rbx, R_BX(%rsp)
	.cfi_offset %rbx, R_BX - (REGS_SIZE + FTR_X86_64_ROOM + 16)
	movq	%r12, R_R12(%rsp)
	.cfi_offset %r12, R_R12 - (REGS_SIZE + FTR_X86_64_ROOM + 16)
	movq	%r13, R_R13(%rsp)
	.cfi_offset %r13, R_R13 - (REGS_SIZE + FTR_X86_64_ROOM + 16)
	movq	%r14, R_R14(%rsp)
	.cfi_offset %r14, R_R14 - (REGS_SIZE + FTR_X86_64_ROOM + 16)
	movq	%r15, R_R15(%rsp)
	.cfi_offset %r15, R_R15 - (REGS_SIZE + FTR_X86_64_ROOM + 16)
	movq	$-1, R_ORIG_AX(%rsp)
	movq	8(%rbp), %rax
	movq	%rax, R_IP(%rsp)
	leaq	16(%rbp), %rax
	movq	%rax, R_SP(%rsp)
	movl	%cs, %eax
	movq	%rax, R_CS(%rsp)
	movl	%ss, %eax
	movq	%rax, R_SS(%rsp)
	DISPATCH \kind, \width, 1
	leaq	-(REGS_SIZE + FTR_X86_64_ROOM)(%rbp), %rsp
	movq	R_SP(%rsp), %rdx
	movq	%rax, -8(%rdx)
	movq	R_BP(%rsp), %rax
	movq	%rax, -16(%rdx)
	movq	R_R15(%rsp), %r15
	movq	R_R14(%rsp), %r14
	movq	R_R13(%rsp), %r13
	movq	R_R12(%rsp), %r12
	movq	R_BX(%rsp), %rbx
	movq	R_FLAGS(%rsp), %rax
	movq	R_OLDFLAGS(%rsp), %rcx
	xorq	%rax, %rcx
	testq	$~FTR_X86_ARITHMETIC_FLAGS, %rcx
	jnz	1f
	leaq	-16(%rdx), %rdx
	movq	%rdx, R_GROUP(%rsp)
	movb	%al, %ah		/* SF ZF AF PF CF */
	btl	$11, R_FLAGS(%rsp)	/* OF */
	setc	%al
	addb	$0x7f, %al
	sahf
	RESTORE_CALL_CLOBBERED
	movq	R_GROUP(%rsp), %rsp
	.cfi_remember_state
	.cfi_def_cfa %rsp, 16
	.cfi_rel_offset %rbp, 0
	.cfi_restore %rbx
	.cfi_restore %r12
	.cfi_restore %r13
	.cfi_restore %r14
	.cfi_restore %r15
	popq	%rbp
	.cfi_def_cfa_offset 8
	.cfi_restore %rbp
	ret
1:	.cfi_restore_state
	movq	%rax, -24(%rdx)
	leaq	-24(%rdx), %rdx
	movq	%rdx, R_GROUP(%rsp)
	RESTORE_CALL_CLOBBERED
	movq	R_GROUP(%rsp), %rsp
	.cfi_def_cfa %rsp, 24
	.cfi_rel_offset %rbp, 8
	.cfi_restore %rbx
	.cfi_restore %r12
	.cfi_restore %r13
	.cfi_restore %r14
	.cfi_restore %r15
	popfq
	.cfi_def_cfa_offset 16
	popq	%rbp
	.cfi_def_cfa_offset 8
	.cfi_restore %rbp
	ret
	.cfi_endproc
	.size	ftr__x86_64_regs_\kind, . - ftr__x86_64_regs_\kind
	.endm

	.text
	.globl	ftr__entry_text_start
	.hidden	ftr__entry_text_start
ftr__entry_text_start:
	ARGS_CALLER	none, 0
	ARGS_CALLER	sse, 16
	ARGS_CALLER	avx, 32
	ARGS_CALLER	avx512, 64
	REGS_CALLER	none, 0
	REGS_CALLER	sse, 16
	REGS_CALLER	avx, 32
	REGS_CALLER	avx512, 64
	.globl	ftr__entry_text_end
	.hidden	ftr__entry_text_end
ftr__entry_text_end:

/*
 * Where a traced function goes on whose return was overridden: rsp is as at
 * its entry.
 */
	.globl	ftr__x86_64_just_return
	.hidden	ftr__x86_64_just_return
	.type	ftr__x86_64_just_return, @function
	.balign	16
ftr__x86_64_just_return:
	.cfi_startproc
	endbr64
	ret
	.cfi_endproc
	.size	ftr__x86_64_just_return, . - ftr__x86_64_just_return

	.section .note.GNU-stack, "", @progbits
