/* SPDX-License-Identifier: MIT */
/*
 * A caller that knows what is in every register before and after a call, and
 * traced functions that change nothing themselves.
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
	object	regs_width, 8		/* bytes of a vector register: 16, 32, 64 */
	object	regs_seen_sp, 8		/* regs_site_sp: rsp behind the site */
	object	regs_seen_word, 8	/* and what it points at */
	object	regs_true_sp, 8		/* regs_site_sp returns to there */
	object	regs_true_ip, 8

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

	/* The vector registers 0-7 by the CPU's width; clobbers r11 and flags. */
	.macro	load_vectors image
	leaq	\image + I_VECTORS(%rip), %r11
	cmpl	$32, regs_width(%rip)
	ja	3f
	je	2f
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	movups	\n * 64(%r11), %xmm\n
	.endr
	jmp	4f
2:	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	vmovups	\n * 64(%r11), %ymm\n
	.endr
	jmp	4f
3:	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	vmovups	\n * 64(%r11), %zmm\n
	.endr
4:
	.endm

	.macro	store_vectors image
	leaq	\image + I_VECTORS(%rip), %r11
	cmpl	$32, regs_width(%rip)
	ja	3f
	je	2f
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	movups	%xmm\n, \n * 64(%r11)
	.endr
	jmp	4f
2:	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	vmovups	%ymm\n, \n * 64(%r11)
	.endr
	jmp	4f
3:	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	vmovups	%zmm\n, \n * 64(%r11)
	.endr
4:
	.endm

	.text

	/*
	 * void regs_call(void): load regs_in, call *regs_fn, store regs_out.
	 *
	 *     sp at the call + 8   the second stack argument
	 *     sp at the call       the first
	 */
	function regs_call
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	subq	$8, %rsp
	pushq	regs_in + I_STACK1(%rip)
	pushq	regs_in + I_STACK0(%rip)
	load_vectors regs_in
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
	store_vectors regs_out
	popq	regs_out + I_STACK0(%rip)
	popq	regs_out + I_STACK1(%rip)
	addq	$8, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	ret
	.size	regs_call, . - regs_call

	/* void regs_clobber(void): whatever a function may change, changed. */
	function regs_clobber
	load_vectors regs_junk
	movq	$-1, %rax
	movq	%rax, %rcx
	movq	%rax, %rdx
	movq	%rax, %rsi
	movq	%rax, %rdi
	movq	%rax, %r8
	movq	%rax, %r9
	movq	%rax, %r10
	pushq	$0x8d7		/* CF PF AF ZF SF OF */
	popfq
	movq	%rax, %r11
	ret
	.size	regs_clobber, . - regs_clobber

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

	/* Where execution can be sent to. */
	function regs_elsewhere
	movl	$77, %eax
	ret
	.size	regs_elsewhere, . - regs_elsewhere

	.section .rodata
	.balign	64
	.type	regs_junk, @object
regs_junk:
	.fill	I_SIZE / 4, 4, 0xdeadbeef
	.size	regs_junk, . - regs_junk

	.section .note.GNU-stack, "", @progbits
