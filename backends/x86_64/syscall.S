/* SPDX-License-Identifier: MIT */
/*
 * long ftr__syscall(long number, long a, long b, long c, long d, long e, long f)
 *
 * On entry  rdi number, rsi rdx rcx r8 r9 a..e, 8(%rsp) f (psABI, "Parameter
 * Passing").  The kernel takes rax, rdi rsi rdx r10 r8 r9 and destroys rcx and
 * r11 (psABI, "Linux Conventions": AMD64 Linux Kernel Conventions).
 * On exit   rax the result or a negative errno.
 */
	.text
	.globl	ftr__syscall
	.hidden	ftr__syscall
	.type	ftr__syscall, @function
	.balign	16
ftr__syscall:
	.cfi_startproc
	endbr64
	movq	%rdi, %rax
	movq	%rsi, %rdi
	movq	%rdx, %rsi
	movq	%rcx, %rdx
	movq	%r8, %r10
	movq	%r9, %r8
	movq	8(%rsp), %r9
	syscall
	ret
	.cfi_endproc
	.size	ftr__syscall, . - ftr__syscall

	.section .note.GNU-stack, "", @progbits
