/* SPDX-License-Identifier: MIT */
/*
 * A caller that knows what is in every register before and after a call, and
 * traced functions that change nothing themselves.
 */
#include "arch.h"
#include "tests/live/i386/image.h"

	.macro	object name, size
	.globl	\name
	.hidden	\name
	.type	\name, @object
	.size	\name, \size
\name:	.zero	\size
	.endm

	.bss
	.balign	64
	object	image_in, I_SIZE
	object	image_out, I_SIZE
	object	image_fn, 4		/* what image_call() calls */
	object	image_width, 4		/* bytes of a vector register: 16, 32, 64 */
	object	image_masks, 4		/* there are mask registers of 64 bits */
	object	image_seen_sp, 4	/* image_site_sp: esp behind the site */
	object	image_seen_word, 4	/* and what it points at */
	object	image_true_sp, 4	/* image_site_sp returns to there */
	object	image_true_ip, 4
	object	saved_sp, 4

	.macro	function name
	.globl	\name
	.hidden	\name
	.type	\name, @function
	.balign	16
\name:
	.endm

	.macro	site
	.byte	0x0f, 0x1f, 0x44, 0x00, 0x00
	.endm

	.macro	record name
	.size	\name, . - \name
	.pushsection __patchable_function_entries, "awo", @progbits, \name
	address	\name
	.popsection
	.endm

	.macro	each move, vec, store
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	.if	\store
	\move	%\vec\n, I_VECTORS + \n * 64(%edx)
	.else
	\move	I_VECTORS + \n * 64(%edx), %\vec\n
	.endif
	.endr
	.endm

	/* The vector and mask registers that the CPU has; edx: the image. */
	.macro	vectors store
	cmpl	$32, image_width
	ja	3f
	je	2f
	each	movups, xmm, \store
	jmp	4f
2:	each	vmovups, ymm, \store
	jmp	4f
3:	each	vmovups, zmm, \store
4:	cmpl	$0, image_masks
	je	5f
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	.if	\store
	kmovq	%k\n, I_MASKS + 8 * \n(%edx)
	.else
	kmovq	I_MASKS + 8 * \n(%edx), %k\n
	.endif
	.endr
5:
	.endm

	.text

	/*
	 * void image_call(void): load image_in, call *image_fn, store image_out.
	 *
	 *     sp at the call + 4   the second stack argument
	 *     sp at the call       the first; remainder by 16 as asked for
	 */
	function image_call
	pushl	%ebx
	pushl	%ebp
	pushl	%esi
	pushl	%edi
	movl	%esp, saved_sp
	andl	$-16, %esp
	subl	$64, %esp
	addl	image_in + I_SP, %esp
	movl	image_in + I_STACK0, %eax
	movl	%eax, (%esp)
	movl	image_in + I_STACK1, %eax
	movl	%eax, 4(%esp)
	leal	image_in, %edx
	vectors	0
	pushl	image_in + I_FLAGS
	popfl
	movl	image_in + I_EAX, %eax
	movl	image_in + I_EBX, %ebx
	movl	image_in + I_ECX, %ecx
	movl	image_in + I_EDX, %edx
	movl	image_in + I_ESI, %esi
	movl	image_in + I_EDI, %edi
	movl	image_in + I_EBP, %ebp
	call	*image_fn
	.globl	image_call_return
	.hidden	image_call_return
image_call_return:
	movl	%eax, image_out + I_EAX
	movl	%ebx, image_out + I_EBX
	movl	%ecx, image_out + I_ECX
	movl	%edx, image_out + I_EDX
	movl	%esi, image_out + I_ESI
	movl	%edi, image_out + I_EDI
	movl	%ebp, image_out + I_EBP
	pushfl
	popl	image_out + I_FLAGS
	cld
	movl	%esp, image_out + I_SP
	leal	image_out, %edx
	vectors	1
	popl	image_out + I_STACK0
	popl	image_out + I_STACK1
	movl	saved_sp, %esp
	popl	%edi
	popl	%esi
	popl	%ebp
	popl	%ebx
	ret
	.size	image_call, . - image_call

	/* void image_clobber(void): whatever a function may change, changed. */
	function image_clobber
	leal	image_junk, %edx
	vectors	0
	movl	$-1, %eax
	movl	%eax, %ecx
	movl	%eax, %edx
	pushl	$0x8d7		/* CF PF AF ZF SF OF */
	popfl
	ret
	.size	image_clobber, . - image_clobber

	/* A traced function that does nothing. */
	function image_site
	site
	ret
	record	image_site

	/* A traced function that tells where esp is, and returns without it. */
	function image_site_sp
	site
	movl	%esp, image_seen_sp
	popl	image_seen_word
	movl	image_true_sp, %esp
	jmp	*image_true_ip
	record	image_site_sp

	/* Where execution can be sent to. */
	function image_elsewhere
	movl	$77, %eax
	ret
	.size	image_elsewhere, . - image_elsewhere

	.section .rodata
	.balign	64
	.type	image_junk, @object
image_junk:
	.fill	I_SIZE / 4, 4, 0xdeadbeef
	.size	image_junk, . - image_junk

	.section .note.GNU-stack, "", @progbits
