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
	movl	4(%esp), %eax
	movl	8(%esp), %ecx
	subl	$8, %esp
	.cfi_adjust_cfa_offset 8
	pushl	%ecx
	.cfi_adjust_cfa_offset 4
	pushfl
	orl	$0x100, (%esp)
	popfl
	call	*%eax
	pushfl
	andl	$~0x100, (%esp)
	popfl
	addl	$12, %esp
	.cfi_adjust_cfa_offset -12
	ret
	.cfi_endproc
	.size	step_run, . - step_run

	.section .note.GNU-stack, "", @progbits
