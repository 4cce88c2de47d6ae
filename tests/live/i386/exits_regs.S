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
	pushl	%ebx
	pushl	%ebp
	pushl	%esi
	pushl	%edi
	pushl	24(%esp)		/* found */
	.cfi_adjust_cfa_offset 20
	movl	24(%esp), %eax		/* given */
	movl	4(%eax), %ebx
	movl	16(%eax), %esi
	movl	20(%eax), %edi
	movl	24(%eax), %ebp
	call	exits_regs_fn
	.globl	exits_regs_back
	.hidden	exits_regs_back
exits_regs_back:
	pushfl
	.cfi_adjust_cfa_offset 4
	pushl	%eax
	.cfi_adjust_cfa_offset 4
	movl	8(%esp), %eax
	movl	%ebx, 4(%eax)
	movl	%ecx, 8(%eax)
	movl	%edx, 12(%eax)
	movl	%esi, 16(%eax)
	movl	%edi, 20(%eax)
	movl	%ebp, 24(%eax)
	leal	8(%esp), %ecx
	movl	%ecx, 28(%eax)
	popl	(%eax)
	popl	32(%eax)
	.cfi_adjust_cfa_offset -8
	cld
	popl	%eax
	popl	%edi
	popl	%esi
	popl	%ebp
	popl	%ebx
	.cfi_adjust_cfa_offset -20
	ret
	.cfi_endproc
	.size	exits_regs_call, . - exits_regs_call

/* eax: the same array; sets what a call may change, flags, too, and returns. */
	.globl	exits_regs_fn
	.hidden	exits_regs_fn
	.type	exits_regs_fn, @function
	.balign	16
exits_regs_fn:
	.cfi_startproc
	.byte	0x0f, 0x1f, 0x44, 0x00, 0x00
	pushl	32(%eax)
	.cfi_adjust_cfa_offset 4
	movl	8(%eax), %ecx
	movl	12(%eax), %edx
	movl	(%eax), %eax
	popfl
	.cfi_adjust_cfa_offset -4
	ret
	.cfi_endproc
	.size	exits_regs_fn, . - exits_regs_fn

	.section __patchable_function_entries, "awo", @progbits, .text
	.balign	4
	.long	exits_regs_fn

	.section .note.GNU-stack, "", @progbits
