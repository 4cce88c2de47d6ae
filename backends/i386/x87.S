/* SPDX-License-Identifier: MIT */
/*
 * long double ftr_regs_return_x87(const struct ftr_regs *regs, unsigned n)
 *
 * The result is in st(0) (psABI, "Returning of Values"), which C compiled for
 * general registers alone can't say.
 */
	.text
	.globl	ftr_regs_return_x87
	.type	ftr_regs_return_x87, @function
	.hidden	ftr__regs_return_x87
	.balign	16
ftr_regs_return_x87:
	.cfi_startproc
	endbr32
	subl	$4, %esp
	.cfi_adjust_cfa_offset 4
	pushl	12(%esp)
	.cfi_adjust_cfa_offset 4
	pushl	12(%esp)
	.cfi_adjust_cfa_offset 4
	call	ftr__regs_return_x87
	addl	$12, %esp
	.cfi_adjust_cfa_offset -12
	testl	%eax, %eax
	jz	1f
	fldt	(%eax)
	ret
1:	fldz
	ret
	.cfi_endproc
	.size	ftr_regs_return_x87, . - ftr_regs_return_x87

	.section .note.GNU-stack, "", @progbits
