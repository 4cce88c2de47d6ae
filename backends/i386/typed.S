/* SPDX-License-Identifier: MIT */
/*
 * Arguments and results between the saved registers and libffi (lib/values.h).
 *
 * libffi's static chain, which says which closure is called, and hands ours to
 * what libffi calls, is ecx; with fastcall and thiscall, which use that for an
 * argument, eax.
 */
#include "backends/i386/frame.h"
#include "lib/values.h"

	.macro	BEGIN name
	.globl	\name
	.hidden	\name
	.type	\name, @function
	.balign	16
\name:
	.cfi_startproc
	endbr32
	.endm

	.macro	END name
	.cfi_endproc
	.size	\name, . - \name
	.endm

	.text

/*
 * void enter(const struct ftr__values *values, void *closure)
 *
 * The closure is called as the traced function was: with its argument registers
 * and a copy of its stack arguments; of regparm, with those registers on the
 * stack.  It may pop its arguments.
 *
 *     ebp + 12  closure
 *     ebp +  8  values
 *     ebp +  4  return address
 *     ebp       ebp
 *     ebp -  4  esi
 *     ebp -  8  edi
 *     esp       stack arguments, a multiple of 16
 */
	BEGIN	ftr__i386_typed_enter
	pushl	%ebp
	.cfi_def_cfa_offset 8
	.cfi_offset %ebp, -8
	movl	%esp, %ebp
	.cfi_def_cfa_register %ebp
	pushl	%esi
	.cfi_offset %esi, -12
	pushl	%edi
	.cfi_offset %edi, -16
	movl	8(%ebp), %esi
	movl	FTR__V_STACK(%esi), %edi
	movl	FTR__V_STACK_SIZE(%esi), %ecx
	subl	%ecx, %esp
	andl	$-16, %esp
	testl	%ecx, %ecx
	jz	2f
1:	movl	-4(%edi, %ecx), %eax
	movl	%eax, -4(%esp, %ecx)
	subl	$4, %ecx
	jnz	1b
2:	movl	FTR__V_REGS(%esi), %edi
	movl	12(%ebp), %eax
	movl	FTR__V_HOW(%esi), %edx
	cmpl	$FTR__HOW_FAST, %edx
	je	3f
	ja	4f
	movl	%eax, %ecx
	call	*(%eax)
	jmp	5f
3:	movl	R_CX(%edi), %ecx
	movl	R_DX(%edi), %edx
	call	*(%eax)
	jmp	5f
4:	subl	$16, %esp
	movl	%eax, %ecx
	movl	R_AX(%edi), %edx
	movl	%edx, (%esp)
	movl	R_DX(%edi), %edx
	movl	%edx, 4(%esp)
	movl	R_CX(%edi), %edx
	movl	%edx, 8(%esp)
	call	*(%eax)
5:	leal	-8(%ebp), %esp
	popl	%edi
	.cfi_restore %edi
	popl	%esi
	.cfi_restore %esi
	popl	%ebp
	.cfi_restore %ebp
	.cfi_def_cfa %esp, 4
	ret
	END	ftr__i386_typed_enter

/*
 * Called by libffi with arguments; \chain: the values.  libffi's caller does not
 * mind who pops them.
 *
 *     esp + 12  stack arguments
 *     esp +  8  return address
 *     esp       esi, edi
 */
	.macro	STORE_STACK chain
	pushl	%edi
	.cfi_def_cfa_offset 8
	.cfi_offset %edi, -8
	pushl	%esi
	.cfi_def_cfa_offset 12
	.cfi_offset %esi, -12
	movl	FTR__V_STACK(\chain), %edi
	movl	FTR__V_STACK_SIZE(\chain), %esi
	testl	%esi, %esi
	jz	2f
1:	movl	8(%esp, %esi), %edx
	movl	%edx, -4(%edi, %esi)
	subl	$4, %esi
	jnz	1b
2:	popl	%esi
	.cfi_def_cfa_offset 8
	.cfi_restore %esi
	popl	%edi
	.cfi_def_cfa_offset 4
	.cfi_restore %edi
	ret
	.endm

	BEGIN	ftr__i386_typed_store
	STORE_STACK %ecx
	END	ftr__i386_typed_store

	BEGIN	ftr__i386_typed_store_fast
	movl	%ecx, FTR__V_GENERAL(%eax)
	movl	%edx, FTR__V_GENERAL + 4(%eax)
	STORE_STACK %eax
	END	ftr__i386_typed_store_fast

/* Called by libffi for a result; ecx: the values. */
	BEGIN	ftr__i386_typed_give
	movl	FTR__V_N_X87(%ecx), %eax
	movl	FTR__V_X87(%ecx), %edx
	testl	%eax, %eax
	jz	2f
	cmpl	$2, %eax
	jb	1f
	fldt	12(%edx)
1:	fldt	(%edx)
2:	movl	FTR__V_REGS(%ecx), %ecx
	movl	R_AX(%ecx), %eax
	movl	R_DX(%ecx), %edx
	ret
	END	ftr__i386_typed_give

/*
 * void take(struct ftr__values *values, void *closure)
 *
 * What the closure leaves on the x87 stack stays there.
 */
	BEGIN	ftr__i386_typed_take
	subl	$12, %esp
	.cfi_def_cfa_offset 16
	movl	20(%esp), %ecx
	call	*(%ecx)
	movl	16(%esp), %ecx
	movl	%eax, FTR__V_GENERAL(%ecx)
	movl	%edx, FTR__V_GENERAL + 4(%ecx)
	addl	$12, %esp
	.cfi_def_cfa_offset 4
	ret
	END	ftr__i386_typed_take

	.section .note.GNU-stack, "", @progbits
