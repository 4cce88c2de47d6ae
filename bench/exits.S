/* SPDX-License-Identifier: MIT */
/*
 * The functions that bench/exit.c measures, each with the loop that calls it:
 *
 *	void bench_exit_NAME(long n)	calls a function NAME n times, n > 0
 *	void bench_chain_NAME(long n)	the same through four more frames
 *
 * floor: what return hooks cost at least if the processor's predictions of
 * returns are to hold: a jump out of the function; nine registers saved around
 * the entry handler; the return address noted; the body called; two registers
 * saved around the exit handler.  kept: the same, but that nine registers are
 * saved around that, too, for a compiler that sees both caller and function may
 * keep values in any that the function leaves alone.  swapped: as floor, but that the
 * return address is swapped for one of ours, as other tracers do it.  No handler
 * sets, no recursion guard, no memory but one record.
 */
	.text

	.macro	loop name, function
	.p2align 6
	.globl	\name
	.type	\name, @function
\name:
	.cfi_startproc
	endbr64
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_offset %rbx, -16
	movq	%rdi, %rbx
	.p2align 5
1:	movl	%ebx, %edi
	call	\function
	decq	%rbx
	jnz	1b
	popq	%rbx
	.cfi_adjust_cfa_offset -8
	ret
	.cfi_endproc
	.size	\name, . - \name
	.endm

	.macro	frame name, callee
	.p2align 6
	.type	\name, @function
\name:
	subq	$8, %rsp
	call	\callee
	addl	$1, %eax
	addq	$8, %rsp
	ret
	.size	\name, . - \name
	.endm

	.macro	subject name, kind:vararg
	.p2align 6
	.type	bench_fn_exit_\name, @function
bench_fn_exit_\name:
	\kind
bench_body_\name:
	leal	1(%rdi), %eax
	ret
	.size	bench_fn_exit_\name, . - bench_fn_exit_\name
	callers	\name
	.endm

	.macro	callers name
	loop	bench_exit_\name, bench_fn_exit_\name
	frame	bench_frame4_\name, bench_fn_exit_\name
	frame	bench_frame3_\name, bench_frame4_\name
	frame	bench_frame2_\name, bench_frame3_\name
	frame	bench_frame1_\name, bench_frame2_\name
	loop	bench_chain_\name, bench_frame1_\name
	.endm

	.macro	site
	.section __patchable_function_entries, "aw", @progbits
	.p2align 3
	.quad	1f
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
#ifdef BENCH_XRAY
	callers	xray	/* of a function that clang made (bench/xray-exit.c) */
#endif

/* On entry (%rsp) is the return address into the parent. */
	.macro	entry_handler ip
	.irp	reg, rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11
	pushq	%\reg
	.endr
	leaq	\ip(%rip), %rdi
	movq	72(%rsp), %rsi
	call	bench_handler
	.irp	reg, r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax
	popq	%\reg
	.endr
	.endm

	.macro	exit_handler ip
	pushq	%rax
	pushq	%rdx
	leaq	\ip(%rip), %rdi
	movq	16(%rsp), %rsi
	subq	$8, %rsp
	call	bench_handler
	addq	$8, %rsp
	popq	%rdx
	popq	%rax
	.endm

	.p2align 6
bench_hook_floor:
	entry_handler bench_fn_exit_floor
	popq	record(%rip)
	call	bench_body_floor
	pushq	record(%rip)
	exit_handler bench_fn_exit_floor
	ret

	.p2align 6
bench_hook_swapped:
	entry_handler bench_fn_exit_swapped
	popq	record(%rip)
	pushq	returned(%rip)
	jmp	bench_body_swapped
1:	pushq	record(%rip)
	exit_handler bench_fn_exit_swapped
	ret

	.p2align 6
bench_hook_kept:
	entry_handler bench_fn_exit_kept
	popq	record(%rip)
	call	bench_body_kept
	pushq	record(%rip)
	entry_handler bench_fn_exit_kept
	ret

	.section .data.rel.ro, "aw", @progbits
	.p2align 3
returned:
	.quad	1b

	.bss
	.p2align 6
record:	.zero	8

	.section .note.GNU-stack, "", @progbits
