/* SPDX-License-Identifier: MIT */
/*
 * Functions that go on to another one by a jump; long f(long n).  hook_jumps
 * behind a landing pad, hook_jumps_twice by way of hook_jumps.
 */
#include "arch.h"

	.macro	JUMPS name, to, pad=0
	.globl	\name
	.hidden	\name
	.type	\name, @function
	.balign	16
\name:
	.cfi_startproc
	.if	\pad
	.if	__SIZEOF_POINTER__ == 8
	endbr64
	.else
	endbr32
	.endif
	.endif
.Lsite\@:
	.byte	0x0f, 0x1f, 0x44, 0x00, 0x00
	jmp	\to
	.cfi_endproc
	.size	\name, . - \name
	.section __patchable_function_entries, "awo", @progbits, .text
	address	.Lsite\@
	.text
	.endm

	.hidden	hook_jumped_to
	.text
	JUMPS	hook_jumps, hook_jumped_to, 1
	JUMPS	hook_jumps_twice, hook_jumps

	.section .note.GNU-stack, "", @progbits
