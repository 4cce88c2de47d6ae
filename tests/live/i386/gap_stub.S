/* SPDX-License-Identifier: MIT */
/*
 * long gap_call(live_fn fn, unsigned residue, const void *in, void *out, int width)
 *
 * fn(41) with `residue` for esp modulo 64 at fn's first instruction, and with
 * the vector registers 0-7 loaded from `in` before and stored to `out` after it:
 * 64 bytes each, of which `width` are used.
 *
 * The stack at fn's first instruction
 *
 *     (%esp) + 8 and up   whatever lies below ebp - 12, aligned down
 *     (%esp) + 4          41
 *     (%esp)              return address; esp % 64 == residue
 */
	.macro	each move, vec, store
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	.if	\store
	\move	%\vec\n, \n * 64(%edx)
	.else
	\move	\n * 64(%edx), %\vec\n
	.endif
	.endr
	.endm

	.macro	vectors store
	cmpl	$32, 24(%ebp)
	ja	3f
	je	2f
	each	movups, xmm, \store
	jmp	4f
2:	each	vmovups, ymm, \store
	jmp	4f
3:	each	vmovups, zmm, \store
4:
	.endm

	.text
	.globl	gap_call
	.hidden	gap_call
	.type	gap_call, @function
gap_call:
	pushl	%ebp
	movl	%esp, %ebp
	pushl	%ebx
	pushl	%esi
	pushl	%edi
	movl	12(%ebp), %ecx
	addl	$4, %ecx
	andl	$63, %ecx
	andl	$-64, %esp
	leal	-128(%esp,%ecx), %esp
	movl	$41, (%esp)
	movl	16(%ebp), %edx
	vectors	0
	call	*8(%ebp)
	movl	20(%ebp), %edx
	vectors	1
	leal	-12(%ebp), %esp
	popl	%edi
	popl	%esi
	popl	%ebx
	popl	%ebp
	ret
	.size	gap_call, . - gap_call

	.section .note.GNU-stack, "", @progbits
