/* SPDX-License-Identifier: MIT */
/*
 * What bench/probe.c calls: functions of an instruction and a return, one with a
 * breakpoint in place of it, one with a site before it; and many instructions.
 */
	.macro	function name
	.globl	\name
	.type	\name, @function
	.balign	64
\name:
	.cfi_startproc
	.endm

	.macro	end name
	.cfi_endproc
	.size	\name, . - \name
	.endm

	.text
	function bench_plain
	nopl	0x12(%eax)
	ret
	end	bench_plain

	function bench_breakpoint
	int3
	ret
	end	bench_breakpoint

	function bench_probed
	nopl	0x12(%eax)
	ret
	end	bench_probed

	function bench_site
	.byte	0x0f, 0x1f, 0x44, 0x00, 0x00
	ret
	end	bench_site
	.pushsection __patchable_function_entries, "awo", @progbits, bench_site
#ifdef __x86_64__
	.balign	8
	.quad	bench_site
#else
	.balign	4
	.long	bench_site
#endif
	.popsection

	function bench_many
	.rept	10000
	xchg	%ax, %ax
	.endr
	ret
	end	bench_many

	.section .note.GNU-stack, "", @progbits
