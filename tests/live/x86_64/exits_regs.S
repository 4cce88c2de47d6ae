/* SPDX-License-Identifier: MIT */
/*
 * void exits_regs_call(const uintptr_t *given, uintptr_t *found)
 *
 * Calls exits_regs_fn with the registers that a call preserves as given, and notes
 * all registers behind the call.  Both arrays in the order of enum image.
 */
	.text
	.globl	exits_regs_call
	.hidden	exits_regs_call
	.type	exits_regs_call, @function
exits_regs_call:
	.cfi_startproc
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	pushq	%rsi
	.cfi_adjust_cfa_offset 56
	movq	%rdi, %rax
	movq	8(%rax), %rbx
	movq	48(%rax), %rbp
	movq	96(%rax), %r12
	movq	104(%rax), %r13
	movq	112(%rax), %r14
	movq	120(%rax), %r15
	call	exits_regs_fn
	.globl	exits_regs_back
	.hidden	exits_regs_back
exits_regs_back:
	pushfq
	.cfi_adjust_cfa_offset 8
	pushq	%rax
	.cfi_adjust_cfa_offset 8
	movq	16(%rsp), %rax		/* found */
	movq	%rbx, 8(%rax)
	movq	%rcx, 16(%rax)
	movq	%rdx, 24(%rax)
	movq	%rsi, 32(%rax)
	movq	%rdi, 40(%rax)
	movq	%rbp, 48(%rax)
	leaq	16(%rsp), %rcx
	movq	%rcx, 56(%rax)
	movq	%r8, 64(%rax)
	movq	%r9, 72(%rax)
	movq	%r10, 80(%rax)
	movq	%r11, 88(%rax)
	movq	%r12, 96(%rax)
	movq	%r13, 104(%rax)
	movq	%r14, 112(%rax)
	movq	%r15, 120(%rax)
	popq	(%rax)
	popq	128(%rax)
	.cfi_adjust_cfa_offset -16
	cld
	popq	%rsi
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	.cfi_adjust_cfa_offset -56
	ret
	.cfi_endproc
	.size	exits_regs_call, . - exits_regs_call

/* rax: the same array; sets what a call may change, flags, too, and returns. */
	.globl	exits_regs_fn
	.hidden	exits_regs_fn
	.type	exits_regs_fn, @function
	.balign	16
exits_regs_fn:
	.cfi_startproc
	.byte	0x0f, 0x1f, 0x44, 0x00, 0x00
	pushq	128(%rax)
	.cfi_adjust_cfa_offset 8
	movq	16(%rax), %rcx
	movq	24(%rax), %rdx
	movq	32(%rax), %rsi
	movq	40(%rax), %rdi
	movq	64(%rax), %r8
	movq	72(%rax), %r9
	movq	80(%rax), %r10
	movq	88(%rax), %r11
	movq	(%rax), %rax
	popfq
	.cfi_adjust_cfa_offset -8
	ret
	.cfi_endproc
	.size	exits_regs_fn, . - exits_regs_fn

	.section __patchable_function_entries, "awo", @progbits, .text
	.balign	8
	.quad	exits_regs_fn

	.section .note.GNU-stack, "", @progbits
