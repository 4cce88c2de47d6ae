/* SPDX-License-Identifier: MIT */
/*
 * Hundreds of sites in a row, as a compiler makes them: sixteen bytes apart,
 * but now and then behind endbr, out of line, a pad of five nops, or a call of
 * __fentry__ of six bytes.  Each function returns its argument plus one.
 */
#include "arch.h"

	.altmacro

	.macro	run_site number
	.if	\number % 50 == 49 && \number < 300
	run_function \number, 1
	.byte	0x67
	call	__fentry__
	run_end	\number, __mcount_loc
	.else
	.if	\number % 7 == 3
	run_function \number, 1
	.else
	run_function \number, 16
	.endif
	.if	\number > 200 && \number < 300
#ifdef __x86_64__
	endbr64
#else
	endbr32
#endif
	.endif
	.if	\number % 50 == 24
	.fill	5, 1, 0x90
	.else
	.byte	0x0f, 0x1f, 0x44, 0x00, 0x00
	.endif
	run_end	\number, __patchable_function_entries
	.endif
	.endm

	.macro	run_function number, alignment
	.balign	\alignment, 0xcc
	.type	live_run_\number, @function
live_run_\number:
	.endm

	.macro	run_end number, table
	return_next
	.size	live_run_\number, . - live_run_\number
	.pushsection \table, "aw", @progbits
	address	live_run_\number
	.popsection
	.pushsection .data.rel.ro.live_runs, "aw", @progbits
	address	live_run_\number
	.popsection
	.endm

	.pushsection .data.rel.ro.live_runs, "aw", @progbits
	.balign	8
	.globl	live_runs
	.hidden	live_runs
	.type	live_runs, @object
live_runs:
	.popsection

	.section .text.live_runs, "ax", @progbits
	.set	number, 0
	.rept	400
	run_site %number
	.set	number, number + 1
	.endr

	.section .note.GNU-stack, "", @progbits
