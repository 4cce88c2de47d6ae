/* SPDX-License-Identifier: MIT */
/* Callers of a traced function as a compiler does not make them; see
 * test_unwind.c. */

	.text
	.macro	PARENT name
	.globl	\name
	.hidden	\name
	.type	\name, @function
\name:
	.cfi_startproc
	.endm
	.macro	END name
	.cfi_endproc
	.size	\name, . - \name
	.endm

/* Calls with a stack pointer that is 4 below what the psABI asks for. */
	PARENT	unwind_misaligned
	pushl	4(%esp)
	.cfi_adjust_cfa_offset 4
	call	unwind_traced
	addl	$4, %esp
	.cfi_adjust_cfa_offset -4
	ret
	END	unwind_misaligned

/* Calls with bits set in the upper half of ymm0. */
	PARENT	unwind_wide
	subl	$8, %esp
	.cfi_adjust_cfa_offset 8
	pushl	12(%esp)
	.cfi_adjust_cfa_offset 4
	vcmpps	$15, %ymm0, %ymm0, %ymm0	/* true */
	call	unwind_traced
	vzeroupper
	addl	$12, %esp
	.cfi_adjust_cfa_offset -12
	ret
	END	unwind_wide

	.section .note.GNU-stack, "", @progbits
