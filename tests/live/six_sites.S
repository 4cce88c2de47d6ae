/* SPDX-License-Identifier: MIT */
/*
 * Sites of six bytes, as gcc makes them of -pg -mfentry in position-independent
 * code, at each way to lie in a cache line that differs; x86_64 alone.  Each
 * function returns its argument plus one.
 */
#include "arch.h"

	.pushsection .data.rel.ro.live_sixes, "aw", @progbits
	.balign	8
	.globl	live_sixes
	.hidden	live_sixes
live_sixes:
	.popsection

#if defined(__x86_64__)
	.section .text.live_sixes, "ax", @progbits
	.macro	six offset
	.balign	64, 0xcc
	.fill	\offset, 1, 0xcc
	.globl	live_six_\offset
	.hidden	live_six_\offset
	.type	live_six_\offset, @function
live_six_\offset:
	call	*__fentry__@GOTPCREL(%rip)
	return_next
	.size	live_six_\offset, . - live_six_\offset
	.pushsection __mcount_loc, "aw", @progbits
	address	live_six_\offset
	.popsection
	.pushsection .data.rel.ro.live_sixes, "aw", @progbits
	address	live_six_\offset
	.popsection
	.endm

	.irp	offset, 0, 1, 2, 3, 4, 5, 6, 7, 57, 58, 59, 60, 61, 62, 63
	six	\offset
	.endr
#endif

	.pushsection .data.rel.ro.live_sixes, "aw", @progbits
	.globl	live_sixes_end
	.hidden	live_sixes_end
live_sixes_end:
	.popsection

	.section .note.GNU-stack, "", @progbits
