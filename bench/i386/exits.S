/* SPDX-License-Identifier: MIT */
/*
 * The functions that bench/exit.c measures, each with the loop that calls it:
 *
 *	void bench_exit_NAME(long n)	calls a function NAME n times, n > 0
 *	void bench_chain_NAME(long n)	the same through four more frames
 *
 * floor: what return hooks cost at least if the processor's predictions of
 * returns are to hold: a jump out of the function; three registers saved around
 * the entry handler; the return address noted; the body called; two registers
 * saved around the exit handler.  kept: three around that, too (bench/exits.S tells
 * why).  swapped: as floor, but that the return address is swapped for one of ours,
 * as other tracers do it.  No handler sets, no recursion guard, no memory but one
 * record.
 */
	.text

	.macro	loop name, function
	.p2align 6
	.globl	\name
	.type	\name, @function
\name:
	pushl	%ebx
	subl	$8, %esp
	movl	16(%esp), %ebx
	.p2align 5
1:	movl	%ebx, (%esp)
	call	\function
	decl	%ebx
	jnz	1b
	addl	$8, %esp
	popl	%ebx
	ret
	.size	\name, . - \name
	.endm

	.macro	frame name, callee
	.p2align 6
	.type	\name, @function
\name:
	subl	$12, %esp
	movl	%eax, (%esp)
	call	\callee
	addl	$1, %eax
	addl	$12, %esp
	ret
	.size	\name, . - \name
	.endm

	.macro	subject name, kind:vararg
	.p2align 6
	.type	bench_fn_exit_\name, @function
bench_fn_exit_\name:
	\kind
bench_body_\name:
	movl	4(%esp), %eax
	incl	%eax
	ret
	.size	bench_fn_exit_\name, . - bench_fn_exit_\name
	loop	bench_exit_\name, bench_fn_exit_\name
	frame	bench_frame4_\name, bench_fn_exit_\name
	frame	bench_frame3_\name, bench_frame4_\name
	frame	bench_frame2_\name, bench_frame3_\name
	frame	bench_frame1_\name, bench_frame2_\name
	loop	bench_chain_\name, bench_frame1_\name
	.endm

	.macro	site
	.section __patchable_function_entries, "aw", @progbits
	.p2align 2
	.long	1f
	.text
1:	.byte	0x0f, 0x1f, 0x44, 0x00, 0x00
	.endm

	.macro	nothing
	.endm

	subject	plain,		nothing
	subject	nosimd,		site
	subject	default,	site
	subject	cancelled,	site
	subject	floor,		jmp bench_hook_floor
	subject	swapped,	jmp bench_hook_swapped
	subject	kept,		jmp bench_hook_kept

/* On entry (%esp), which is 4 below a multiple of 16, is the return address into
 * the parent. */
	.macro	entry_handler ip
	pushl	%eax
	pushl	%ecx
	pushl	%edx
	pushl	12(%esp)
	pushl	$\ip
	call	bench_handler
	leal	8(%esp), %esp
	popl	%edx
	popl	%ecx
	popl	%eax
	.endm

	.macro	exit_handler ip
	pushl	%eax
	pushl	%edx
	pushl	8(%esp)
	pushl	$\ip
	call	bench_handler
	leal	8(%esp), %esp
	popl	%edx
	popl	%eax
	.endm

	.p2align 6
bench_hook_floor:
	entry_handler bench_fn_exit_floor
	popl	record
	call	bench_body_floor
	pushl	record
	exit_handler bench_fn_exit_floor
	ret

	.p2align 6
bench_hook_swapped:
	entry_handler bench_fn_exit_swapped
	popl	record
	pushl	$1f
	jmp	bench_body_swapped
1:	pushl	record
	exit_handler bench_fn_exit_swapped
	ret

	.p2align 6
bench_hook_kept:
	entry_handler bench_fn_exit_kept
	popl	record
	call	bench_body_kept
	pushl	record
	entry_handler bench_fn_exit_kept
	ret

	.bss
	.p2align 6
record:	.zero	4

	.section .note.GNU-stack, "", @progbits
