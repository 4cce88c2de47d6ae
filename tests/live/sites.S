/* SPDX-License-Identifier: MIT */
/*
 * Hand-placed sites: one five-byte nop at each of the 64 offsets of a cache
 * line, and at each way to lie astride a page; recorded as gcc records the
 * sites of -fpatchable-function-entry.  Each function returns its argument
 * plus one and touches nothing else, so that a thread that is resumed at a
 * wrong byte shows it.
 */
#include "arch.h"

	/* The function `name` at the place where it stands, and its record. */
	.macro	site name
	.globl	\name
	.hidden	\name
	.type	\name, @function
\name:
	.byte	0x0f, 0x1f, 0x44, 0x00, 0x00
	return_next
	.size	\name, . - \name
	.pushsection __patchable_function_entries, "awo", @progbits, \name
	address	\name
	.popsection
	.pushsection .data.rel.ro.live_sites, "aw", @progbits
	address	\name
	.popsection
	.endm

	.pushsection .data.rel.ro.live_sites, "aw", @progbits
	.balign	8
	.globl	live_sites
	.hidden	live_sites
	.type	live_sites, @object
live_sites:
	.popsection

	.section .text.live_line, "ax", @progbits
	.balign	64
	.macro	line_site offset
	.balign	64, 0xcc
	.fill	\offset, 1, 0xcc
	site	live_line_\offset
	.endm
	.irp	ten, , 1, 2, 3, 4, 5
	.irp	one, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
	line_site \ten\one
	.endr
	.endr
	.irp	offset, 60, 61, 62, 63
	line_site \offset
	.endr

	.section .text.live_page, "ax", @progbits
	.macro	page_site before
	.balign	4096, 0xcc
	.fill	4096 - \before, 1, 0xcc
	site	live_page_\before
	.endm
	.irp	before, 1, 2, 3, 4
	page_site \before
	.endr

	.pushsection .data.rel.ro.live_sites, "aw", @progbits
	.size	live_sites, . - live_sites
	.popsection

	.section .note.GNU-stack, "", @progbits
