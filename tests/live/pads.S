/* SPDX-License-Identifier: MIT */
/*
 * Pads as gcc makes them: five one-byte nops, at each offset of a cache line.
 * Each function returns its argument plus one.
 */
#include "arch.h"

	.section .text.live_pads, "ax", @progbits
	.macro	pad offset
	.balign	64, 0xcc
	.fill	\offset, 1, 0xcc
	.globl	live_pad_\offset
	.hidden	live_pad_\offset
	.type	live_pad_\offset, @function
live_pad_\offset:
	.byte	0x90, 0x90, 0x90, 0x90, 0x90
	return_next
	.size	live_pad_\offset, . - live_pad_\offset
	.pushsection __patchable_function_entries, "awo", @progbits, live_pad_\offset
	address	live_pad_\offset
	.popsection
	.pushsection .data.rel.ro.live_pads, "aw", @progbits
	address	live_pad_\offset
	.popsection
	.endm

	.pushsection .data.rel.ro.live_pads, "aw", @progbits
	.balign	8
	.globl	live_pads
	.hidden	live_pads
	.type	live_pads, @object
live_pads:
	.popsection

	.irp	ten, , 1, 2, 3, 4, 5
	.irp	one, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
	pad	\ten\one
	.endr
	.endr
	.irp	offset, 60, 61, 62, 63
	pad	\offset
	.endr

	.pushsection .data.rel.ro.live_pads, "aw", @progbits
	.size	live_pads, . - live_pads
	.popsection

	.section .note.GNU-stack, "", @progbits
