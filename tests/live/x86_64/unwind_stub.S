/* SPDX-License-Identifier: MIT */
/* Parents of unwind_traced() that no compiler makes; long f(long n). */

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

/* Calls with a stack pointer that is no odd multiple of 8 at the entry. */
	PARENT	unwind_misaligned
	call	unwind_traced
	nop
	ret
	END	unwind_misaligned

/* Calls with bits set in the upper half of ymm0. */
	PARENT	unwind_wide
	sub	$8, %rsp
	.cfi_adjust_cfa_offset 8
	vcmpps	$15, %ymm0, %ymm0, %ymm0	/* true */
	call	unwind_traced
	vzeroupper
	add	$8, %rsp
	.cfi_adjust_cfa_offset -8
	ret
	END	unwind_wide

	.section .note.GNU-stack, "", @progbits
