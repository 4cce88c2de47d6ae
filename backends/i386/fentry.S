/* SPDX-License-Identifier: MIT */
/*
 * __fentry__: what programs compiled with -pg -mfentry link against.  Their
 * calls become nops when libftr adopts the module; until then this returns.
 *
 * State on entry: esp is 4 below the traced function's; every register is the
 * function's.  State on exit: the same.  Nothing is clobbered.
 */
	.text
	.globl	__fentry__
	.type	__fentry__, @function
	.balign	16
__fentry__:
	.cfi_startproc
	endbr32
	ret
	.cfi_endproc
	.size	__fentry__, . - __fentry__

	.section .note.GNU-stack, "", @progbits
