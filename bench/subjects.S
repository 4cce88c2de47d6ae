/* SPDX-License-Identifier: MIT */
/*
 * The functions that bench/entry.c measures, each with the loop that calls it:
 *
 *	void bench_loop_NAME(long n)	calls bench_fn_NAME n times, n > 0
 *
 * They differ in their first instruction alone: none, a site, a call of a
 * floor, or a breakpoint.  Each begins a cache line and so does each loop, for
 * a nanosecond is a matter of alignment.
 */
	.text

	.macro	subject name, kind:vararg
	.p2align 6
	.type	bench_fn_\name, @function
bench_fn_\name:
	\kind
	leal	1(%rdi), %eax
	ret
	.size	bench_fn_\name, . - bench_fn_\name

/* %rbx counts; with it pushed the stack is as a C caller leaves it. */
	.p2align 6
	.globl	bench_loop_\name
	.type	bench_loop_\name, @function
bench_loop_\name:
	.cfi_startproc
	endbr64
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_offset %rbx, -16
	movq	%rdi, %rbx
	.p2align 5
1:	movl	%ebx, %edi
	call	bench_fn_\name
	decq	%rbx
	jnz	1b
	popq	%rbx
	.cfi_adjust_cfa_offset -8
	ret
	.cfi_endproc
	.size	bench_loop_\name, . - bench_loop_\name
	.endm

/* A place the library finds: one five-byte nop and its record. */
	.macro	site
	.section __patchable_function_entries, "aw", @progbits
	.p2align 3
	.quad	1f
	.text
1:	.byte	0x0f, 0x1f, 0x44, 0x00, 0x00
	.endm

	.macro	trap
	.globl	bench_trap
bench_trap:
	int3
	.byte	0x1f, 0x44, 0x00, 0x00		/* the rest of a nop, never run */
	.endm

	.macro	nothing
	.endm

	subject	plain,		nothing
	subject	off,		site
	subject	args_nosimd,	site
	subject	args,		site
	subject	args_wide,	site
	subject	regs_nosimd,	site
	subject	regs_looked_at,	site
	subject	regs,		site
	subject	two_nosimd,	site
	subject	two,		site
	subject	crowd,		site
	subject	floor_gpr,	call bench_floor_gpr
	subject	floor_xmm,	call bench_floor_xmm
	subject	floor_ymm,	call bench_floor_ymm
	subject	floor_zmm,	call bench_floor_zmm
	subject	floor_pt_regs,	call bench_floor_pt_regs
	subject	floor_pt_regs_xmm, call bench_floor_pt_regs_xmm
	subject	floor_pt_regs_ymm, call bench_floor_pt_regs_ymm
	subject	floor_pt_regs_zmm, call bench_floor_pt_regs_zmm
	subject	floor_flags,	call bench_floor_pt_regs_flags
	subject	trap,		trap

/* As wide as bench_widest says: 0 xmm, 1 ymm, 2 zmm. */
	.globl	bench_widen
	.type	bench_widen, @function
bench_widen:
	.cfi_startproc
	endbr64
	cmpl	$1, bench_widest(%rip)
	jl	2f
	je	1f
	vpternlogd $0xff, %zmm0, %zmm0, %zmm0
	ret
1:	vcmptrueps %ymm0, %ymm0, %ymm0
2:	ret
	.cfi_endproc
	.size	bench_widen, . - bench_widen

	.globl	bench_narrow
	.type	bench_narrow, @function
bench_narrow:
	.cfi_startproc
	endbr64
	cmpl	$1, bench_widest(%rip)
	jl	1f
	vzeroupper
1:	ret
	.cfi_endproc
	.size	bench_narrow, . - bench_narrow

	.bss
	.balign	4
	.globl	bench_widest
	.type	bench_widest, @object
	.size	bench_widest, 4
bench_widest:
	.zero	4

	.section .note.GNU-stack, "", @progbits
