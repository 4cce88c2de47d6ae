/* SPDX-License-Identifier: MIT */

	.text

/*
 * long step_run(live_fn fn, long n)
 *
 * fn(n) with the trap flag set: SIGTRAP before each instruction, from fn's
 * first on to the one that clears the flag here.
 */
	.globl	step_run
	.hidden	step_run
	.type	step_run, @function
step_run:
	.cfi_startproc
	push	%rbx
	.cfi_adjust_cfa_offset 8
	mov	%rdi, %rax
	mov	%rsi, %rdi
	pushfq
	orl	$0x100, (%rsp)
	popfq
	call	*%rax
	pushfq
	andl	$~0x100, (%rsp)
	popfq
	pop	%rbx
	.cfi_adjust_cfa_offset -8
	ret
	.cfi_endproc
	.size	step_run, . - step_run

	.section .note.GNU-stack, "", @progbits
