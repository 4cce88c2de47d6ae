/* SPDX-License-Identifier: MIT */
/*
 * Arguments and results between the saved registers and libffi (lib/values.h).
 *
 * libffi's static chain is r10: it says which closure is called, and hands
 * ours to what libffi calls.
 */
#include "backends/x86_64/frame.h"
#include "lib/values.h"

	.macro	BEGIN name
	.globl	\name
	.hidden	\name
	.type	\name, @function
	.balign	16
\name:
	.cfi_startproc
	endbr64
	.endm

	.macro	END name
	.cfi_endproc
	.size	\name, . - \name
	.endm

/* Vector registers \first to \first + 3 at \base, \stride apart; changes \three. */
	.macro	LOAD_FOUR base, stride, three, first:vararg
	leaq	(\stride, \stride, 2), \three
	LOAD_EACH \base, \stride, \three, \first
	.endm

	.macro	LOAD_EACH base, stride, three, a, b, c, d
	movups	(\base), %xmm\a
	movups	(\base, \stride), %xmm\b
	movups	(\base, \stride, 2), %xmm\c
	movups	(\base, \three), %xmm\d
	.endm

	.text

/*
 * void enter(const struct ftr__values *values, void *closure)
 *
 * The closure is called as the traced function was: with its argument registers
 * (rax among them, which counts vector registers of a variadic call) and a copy of its
 * stack arguments.
 *
 *     rbp + 8   return address
 *     rbp       rbp
 *     rsp       stack arguments, a multiple of 16
 */
	BEGIN	ftr__x86_64_typed_enter
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset %rbp, -16
	movq	%rsp, %rbp
	.cfi_def_cfa_register %rbp
	movq	%rsi, %r10
	movq	%rdi, %r11
	movq	FTR__V_STACK_SIZE(%r11), %rcx
	testq	%rcx, %rcx
	jz	2f
	leaq	15(%rcx), %rax
	andq	$-16, %rax
	subq	%rax, %rsp
	movq	FTR__V_STACK(%r11), %rax
1:	movq	-8(%rax, %rcx), %rdx
	movq	%rdx, -8(%rsp, %rcx)
	subq	$8, %rcx
	jnz	1b
2:	movq	FTR__V_VECTORS(%r11), %rax
	testq	%rax, %rax
	jz	3f
	movq	FTR__V_STRIDE(%r11), %rdx
	LOAD_FOUR %rax, %rdx, %rcx, 0, 1, 2, 3
	leaq	(%rax, %rdx, 4), %rax
	LOAD_FOUR %rax, %rdx, %rcx, 4, 5, 6, 7
3:	movq	FTR__V_PT(%r11), %r11
	movq	R_DI - R_PT(%r11), %rdi
	movq	R_SI - R_PT(%r11), %rsi
	movq	R_DX - R_PT(%r11), %rdx
	movq	R_CX - R_PT(%r11), %rcx
	movq	R_R8 - R_PT(%r11), %r8
	movq	R_R9 - R_PT(%r11), %r9
	movq	R_AX - R_PT(%r11), %rax
	call	*(%r10)
	leave
	.cfi_def_cfa %rsp, 8
	ret
	END	ftr__x86_64_typed_enter

/*
 * Called by libffi with arguments; r10: the values.  eax counts the vector
 * registers that hold some.
 *
 *     rsp + 8   stack arguments
 *     rsp       return address
 */
	BEGIN	ftr__x86_64_typed_store
	movq	%rdi, FTR__V_GENERAL + 0(%r10)
	movq	%rsi, FTR__V_GENERAL + 8(%r10)
	movq	%rdx, FTR__V_GENERAL + 16(%r10)
	movq	%rcx, FTR__V_GENERAL + 24(%r10)
	movq	%r8, FTR__V_GENERAL + 32(%r10)
	movq	%r9, FTR__V_GENERAL + 40(%r10)
	movzbl	%al, %eax
	movq	%rax, FTR__V_N_VECTORS(%r10)
	testl	%eax, %eax
	jz	1f
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	movups	%xmm\n, FTR__V_VECTOR + \n * 16(%r10)
	.endr
1:	movq	FTR__V_STACK_SIZE(%r10), %rcx
	testq	%rcx, %rcx
	jz	3f
	movq	FTR__V_STACK(%r10), %rdi
2:	movq	(%rsp, %rcx), %rax
	movq	%rax, -8(%rdi, %rcx)
	subq	$8, %rcx
	jnz	2b
3:	ret
	END	ftr__x86_64_typed_store

/* Called by libffi with arguments; r10: struct ftr__mended. */
	BEGIN	ftr__x86_64_typed_vectors
	movq	8(%r10), %xmm0
	jmp	*(%r10)
	END	ftr__x86_64_typed_vectors

/* Called by libffi for a result; r10: the values. */
	BEGIN	ftr__x86_64_typed_give
	movq	FTR__V_VECTORS(%r10), %rcx
	testq	%rcx, %rcx
	jz	1f
	movq	FTR__V_STRIDE(%r10), %rdx
	movups	(%rcx), %xmm0
	movups	(%rcx, %rdx), %xmm1
1:	movq	FTR__V_N_X87(%r10), %rax
	movq	FTR__V_X87(%r10), %rcx
	testq	%rax, %rax
	jz	3f
	cmpq	$2, %rax
	jb	2f
	fldt	16(%rcx)
2:	fldt	(%rcx)
3:	movq	FTR__V_PT(%r10), %r11
	movq	R_AX - R_PT(%r11), %rax
	movq	R_DX - R_PT(%r11), %rdx
	ret
	END	ftr__x86_64_typed_give

/*
 * void take(struct ftr__values *values, void *closure)
 *
 * What the closure leaves on the x87 stack stays there.
 */
	BEGIN	ftr__x86_64_typed_take
	pushq	%rbx
	.cfi_def_cfa_offset 16
	.cfi_offset %rbx, -16
	movq	%rdi, %rbx
	movq	%rsi, %r10
	call	*(%r10)
	movq	%rax, FTR__V_GENERAL(%rbx)
	movq	%rdx, FTR__V_GENERAL + 8(%rbx)
	movups	%xmm0, FTR__V_VECTOR(%rbx)
	movups	%xmm1, FTR__V_VECTOR + 16(%rbx)
	popq	%rbx
	.cfi_def_cfa_offset 8
	.cfi_restore %rbx
	ret
	END	ftr__x86_64_typed_take

	.section .note.GNU-stack, "", @progbits
