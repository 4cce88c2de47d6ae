/* SPDX-License-Identifier: MIT */
/*
 * A caller that knows what is in every register before and after a call,
 * traced functions that change nothing themselves, and functions that change
 * whatever the psABI lets them ("Register Usage").
 */
#include "tests/live/regs_image.h"

	.macro	object name, size
	.globl	\name
	.hidden	\name
	.type	\name, @object
	.size	\name, \size
\name:	.zero	\size
	.endm

	.bss
	.balign	64
	object	regs_in, I_SIZE
	object	regs_out, I_SIZE
	object	regs_fn, 8		/* what regs_call() calls */
	object	regs_skew, 8		/* how far its stack is below a multiple of 64 */
	object	regs_width, 8		/* bytes of a vector register: 16, 32, 64 */
	object	regs_mask_width, 8	/* of a mask register: 0, 2, 8 */
	object	regs_zero_upper, 8	/* whether regs_clobber() ends by vzeroupper */
	object	regs_seen_sp, 8		/* regs_site_sp: rsp behind the site */
	object	regs_seen_word, 8	/* and what it points at */
	object	regs_true_sp, 8		/* regs_site_sp returns to there */
	object	regs_true_ip, 8
	object	old_sp, 8
	object	old_mxcsr, 4
	object	old_control, 4
	object	status, 4

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
	.balign	8
	.quad	\name
	.popsection
	.endm

	/* Each general register but rsp; no flag changes. */
	.macro	load_all
	movq	regs_in + I_RAX(%rip), %rax
	movq	regs_in + I_RBX(%rip), %rbx
	movq	regs_in + I_RCX(%rip), %rcx
	movq	regs_in + I_RDX(%rip), %rdx
	movq	regs_in + I_RSI(%rip), %rsi
	movq	regs_in + I_RDI(%rip), %rdi
	movq	regs_in + I_RBP(%rip), %rbp
	movq	regs_in + I_R8(%rip), %r8
	movq	regs_in + I_R9(%rip), %r9
	movq	regs_in + I_R10(%rip), %r10
	movq	regs_in + I_R11(%rip), %r11
	movq	regs_in + I_R12(%rip), %r12
	movq	regs_in + I_R13(%rip), %r13
	movq	regs_in + I_R14(%rip), %r14
	movq	regs_in + I_R15(%rip), %r15
	.endm

	.macro	store_all
	movq	%rax, regs_out + I_RAX(%rip)
	movq	%rbx, regs_out + I_RBX(%rip)
	movq	%rcx, regs_out + I_RCX(%rip)
	movq	%rdx, regs_out + I_RDX(%rip)
	movq	%rsi, regs_out + I_RSI(%rip)
	movq	%rdi, regs_out + I_RDI(%rip)
	movq	%rbp, regs_out + I_RBP(%rip)
	movq	%r8, regs_out + I_R8(%rip)
	movq	%r9, regs_out + I_R9(%rip)
	movq	%r10, regs_out + I_R10(%rip)
	movq	%r11, regs_out + I_R11(%rip)
	movq	%r12, regs_out + I_R12(%rip)
	movq	%r13, regs_out + I_R13(%rip)
	movq	%r14, regs_out + I_R14(%rip)
	movq	%r15, regs_out + I_R15(%rip)
	.endm

	.macro	each_of_16 what, register
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	\what	\register, \n
	.endr
	.endm

	.macro	each_of_32 what, register
	each_of_16 \what, \register
	.irp	n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	\what	\register, \n
	.endr
	.endm

	.macro	load_sse register, n
	movups	\n * 64(%r11), %\register\n
	.endm
	.macro	load_avx register, n
	vmovups	\n * 64(%r11), %\register\n
	.endm
	.macro	store_sse register, n
	movups	%\register\n, \n * 64(%r11)
	.endm
	.macro	store_avx register, n
	vmovups	%\register\n, \n * 64(%r11)
	.endm

	/* All vector registers of regs_width; clobbers r11 and flags. */
	.macro	vectors what, image
	leaq	\image + I_VECTORS(%rip), %r11
	cmpl	$32, regs_width(%rip)
	ja	3f
	je	2f
	each_of_16 \what\()_sse, xmm
	jmp	4f
2:	each_of_16 \what\()_avx, ymm
	jmp	4f
3:	each_of_32 \what\()_avx, zmm
4:
	.endm

	/* The mask registers; clobbers r11 and flags. */
	.macro	load_masks image
	leaq	\image + I_MASKS(%rip), %r11
	cmpl	$2, regs_mask_width(%rip)
	jb	4f
	ja	3f
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	kmovw	\n * 8(%r11), %k\n
	.endr
	jmp	4f
3:
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	kmovq	\n * 8(%r11), %k\n
	.endr
4:
	.endm

	.macro	store_masks image
	leaq	\image + I_MASKS(%rip), %r11
	cmpl	$2, regs_mask_width(%rip)
	jb	4f
	ja	3f
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	kmovw	%k\n, \n * 8(%r11)
	.endr
	jmp	4f
3:
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	kmovq	%k\n, \n * 8(%r11)
	.endr
4:
	.endm

	/* So that what the C code around does is not slowed down. */
	.macro	zero_upper
	cmpl	$32, regs_width(%rip)
	jb	1f
	vzeroupper
1:
	.endm

	.text

	/*
	 * void regs_call(void): load regs_in, call *regs_fn, store regs_out.
	 *
	 *     a multiple of 64
	 *     256 bytes that nobody uses, and regs_skew
	 *     sp at the call + 24  the fourth stack argument
	 *     sp at the call       the first
	 */
	function regs_call
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	stmxcsr	old_mxcsr(%rip)
	fnstcw	old_control(%rip)
	movq	%rsp, old_sp(%rip)
	andq	$-64, %rsp
	subq	$256, %rsp
	subq	regs_skew(%rip), %rsp
	.irp	n, 3, 2, 1, 0
	pushq	regs_in + I_STACK + \n * 8(%rip)
	.endr
	fninit
	fldcw	regs_in + I_CONTROL(%rip)
	fldt	regs_in + I_X87 + 32(%rip)
	fldt	regs_in + I_X87 + 16(%rip)
	fldt	regs_in + I_X87(%rip)
	ldmxcsr	regs_in + I_MXCSR(%rip)
	load_masks regs_in
	vectors	load, regs_in
	pushq	regs_in + I_FLAGS(%rip)
	popfq
	load_all
	call	*regs_fn(%rip)
	.globl	regs_call_return
	.hidden	regs_call_return
regs_call_return:
	store_all
	pushfq
	popq	regs_out + I_FLAGS(%rip)
	cld
	movq	%rsp, regs_out + I_SP(%rip)
	stmxcsr	regs_out + I_MXCSR(%rip)
	fnsave	regs_out + I_FSAVE(%rip)
	store_masks regs_out
	vectors	store, regs_out
	.irp	n, 0, 1, 2, 3
	popq	regs_out + I_STACK + \n * 8(%rip)
	.endr
	movq	old_sp(%rip), %rsp
	ldmxcsr	old_mxcsr(%rip)
	fldcw	old_control(%rip)
	zero_upper
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	ret
	.size	regs_call, . - regs_call

	/*
	 * void regs_clobber(void): whatever a function may change, changed:
	 * vector and mask registers, the status bits of mxcsr, and what
	 * regs_clobber_general() does.
	 */
	function regs_clobber
	vectors	load, regs_junk
	load_masks regs_junk
	cmpl	$0, regs_zero_upper(%rip)
	je	1f
	zero_upper
1:	stmxcsr	status(%rip)
	xorl	$0x3f, status(%rip)
	ldmxcsr	status(%rip)
	jmp	regs_clobber_general
	.size	regs_clobber, . - regs_clobber

	/* void regs_clobber_general(void): the same with general registers only. */
	function regs_clobber_general
	pushfq
	popq	%rax
	xorl	$0x8d5, %eax		/* CF PF AF ZF SF OF */
	pushq	%rax
	popfq
	movq	$-1, %rax
	movq	%rax, %rcx
	movq	%rax, %rdx
	movq	%rax, %rsi
	movq	%rax, %rdi
	movq	%rax, %r8
	movq	%rax, %r9
	movq	%rax, %r10
	movq	%rax, %r11
	ret
	.size	regs_clobber_general, . - regs_clobber_general

	/* A traced function that does nothing. */
	function regs_site
	site
	ret
	record	regs_site

	/* A traced function that tells where rsp is, and returns without it. */
	function regs_site_sp
	site
	movq	%rsp, regs_seen_sp(%rip)
	popq	regs_seen_word(%rip)
	movq	regs_true_sp(%rip), %rsp
	jmp	*regs_true_ip(%rip)
	record	regs_site_sp

	/* Where execution can be sent to: the same two, another rax. */
	function regs_elsewhere
	movl	$77, %eax
	ret
	.size	regs_elsewhere, . - regs_elsewhere

	function regs_elsewhere_sp
	movl	$77, %eax
	movq	%rsp, regs_seen_sp(%rip)
	popq	regs_seen_word(%rip)
	movq	regs_true_sp(%rip), %rsp
	jmp	*regs_true_ip(%rip)
	.size	regs_elsewhere_sp, . - regs_elsewhere_sp

	.section .rodata
	.balign	64
	.type	regs_junk, @object
regs_junk:
	.fill	I_SIZE / 4, 4, 0xdeadbeef
	.size	regs_junk, . - regs_junk

	.section .note.GNU-stack, "", @progbits
