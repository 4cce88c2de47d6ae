/* SPDX-License-Identifier: MIT */
/*
 * Functions of the default list (R5), traced, and each with a reason to be there:
 *
 *	long savectx(void **buffer)       returns again from restore_context(buffer)
 *	long __vfork(void)                returns in a child first, on the same stack
 *	uintptr_t dlvsym(long)            wants to know who called: its return address
 */
#include "arch.h"

	.macro	TRACED name
	.globl	\name
	.hidden	\name
	.type	\name, @function
	.balign	16
\name:
	.byte	0x0f, 0x1f, 0x44, 0x00, 0x00
	.section __patchable_function_entries, "awo", @progbits, .text
	address	\name
	.text
	.endm

	.macro	END name
	.size	\name, . - \name
	.endm

	.text
#if __SIZEOF_POINTER__ == 8
	TRACED	savectx
	movq	(%rsp), %rax
	movq	%rax, (%rdi)
	movq	%rsp, 8(%rdi)
	movq	%rbx, 16(%rdi)
	movq	%rbp, 24(%rdi)
	movq	%r12, 32(%rdi)
	movq	%r13, 40(%rdi)
	movq	%r14, 48(%rdi)
	movq	%r15, 56(%rdi)
	xorl	%eax, %eax
	ret
	END	savectx

	.globl	restore_context
	.hidden	restore_context
restore_context:
	movq	8(%rdi), %rsp
	movq	16(%rdi), %rbx
	movq	24(%rdi), %rbp
	movq	32(%rdi), %r12
	movq	40(%rdi), %r13
	movq	48(%rdi), %r14
	movq	56(%rdi), %r15
	movl	$1, %eax
	leaq	8(%rsp), %rsp
	jmp	*(%rdi)

	TRACED	__vfork
	popq	%rdi
	movl	$58, %eax
	syscall
	pushq	%rdi
	ret
	END	__vfork

	TRACED	dlvsym
	movq	(%rsp), %rax
	ret
	END	dlvsym
#else
	TRACED	savectx
	movl	4(%esp), %eax
	movl	(%esp), %edx
	movl	%edx, (%eax)
	movl	%esp, 4(%eax)
	movl	%ebx, 8(%eax)
	movl	%ebp, 12(%eax)
	movl	%esi, 16(%eax)
	movl	%edi, 20(%eax)
	xorl	%eax, %eax
	ret
	END	savectx

	.globl	restore_context
	.hidden	restore_context
restore_context:
	movl	4(%esp), %ecx
	movl	4(%ecx), %esp
	movl	8(%ecx), %ebx
	movl	12(%ecx), %ebp
	movl	16(%ecx), %esi
	movl	20(%ecx), %edi
	movl	$1, %eax
	leal	4(%esp), %esp
	jmp	*(%ecx)

	TRACED	__vfork
	popl	%ecx
	movl	$190, %eax
	int	$0x80
	pushl	%ecx
	ret
	END	__vfork

	TRACED	dlvsym
	movl	(%esp), %eax
	ret
	END	dlvsym
#endif

	.section .note.GNU-stack, "", @progbits
