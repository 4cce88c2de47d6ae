/* SPDX-License-Identifier: MIT */
/*
 * The floors of an entry handler: the least that a call from a function's
 * entry to a C handler can cost, with nothing between them: no handler set, no
 * recursion guard, no grace period, no flags but where named.
 *
 * State on entry, each of them (called from a site at a function's start):
 *
 *	8(%rsp)	the traced function's return address
 *	0(%rsp)	the site's end, where execution goes on
 *
 * %rsp is a multiple of 16.  On exit every general register is as it was; the
 * flags are not, but for bench_floor_pt_regs_flags.  The handler gets ip and
 * parent_ip.
 */
#define SITE_LENGTH	5

	.text

	.macro	begin name
	.p2align 6
	.globl	\name
	.hidden	\name
	.type	\name, @function
\name:	.cfi_startproc
	.cfi_def_cfa_offset 16		/* the traced function's frame */
	.endm

	.macro	end name
	.cfi_endproc
	.size	\name, . - \name
	.endm

	.macro	save reg
	pushq	%\reg
	.cfi_adjust_cfa_offset 8
	.endm

	.macro	restore reg
	popq	%\reg
	.cfi_adjust_cfa_offset -8
	.endm

	.macro	grow bytes
	subq	$\bytes, %rsp
	.cfi_adjust_cfa_offset \bytes
	.endm

	.macro	shrink bytes
	addq	$\bytes, %rsp
	.cfi_adjust_cfa_offset -\bytes
	.endm

/*
 * What a C function may change of the general registers:
 *
 *	88(%rsp)	the traced function's return address
 *	80(%rsp)	the site's end
 *	72 .. 8(%rsp)	rax rcx rdx rsi rdi r8 r9 r10 r11
 */
	begin	bench_floor_gpr
	.irp	reg, rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11
	save	\reg
	.endr
	grow	8
	movq	80(%rsp), %rdi
	movq	88(%rsp), %rsi
	subq	$SITE_LENGTH, %rdi
	call	bench_handler
	shrink	8
	.irp	reg, r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax
	restore	\reg
	.endr
	ret
	end	bench_floor_gpr

/*
 * The same and the vector registers 0-7, in the width that `vec` names.  Their
 * area is aligned to a cache line, for a 64-byte store that straddles two takes
 * twice as long; so %rbp keeps the way back:
 *
 *	8(%rbp)		the site's end
 *	0(%rbp)		rbp
 *	-8 .. -72	rax rcx rdx rsi rdi r8 r9 r10 r11
 *	... (%rsp)	the vector registers, %rsp a multiple of 64
 */
	.macro	floor_vectors name, move, vec, width
	begin	\name
	save	rbp
	.cfi_rel_offset %rbp, 0
	movq	%rsp, %rbp
	.cfi_def_cfa_register %rbp
	.irp	reg, rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11
	pushq	%\reg
	.endr
	subq	$(8*\width), %rsp
	andq	$-64, %rsp
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	\move	%\vec\n, \n*\width(%rsp)
	.endr
	movq	8(%rbp), %rdi
	movq	16(%rbp), %rsi
	subq	$SITE_LENGTH, %rdi
	call	bench_handler
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	\move	\n*\width(%rsp), %\vec\n
	.endr
	leaq	-72(%rbp), %rsp
	.irp	reg, r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax
	popq	%\reg
	.endr
	.cfi_def_cfa_register %rsp
	restore	rbp
	.cfi_restore %rbp
	ret
	end	\name
	.endm

	floor_vectors bench_floor_xmm, movups, xmm, 16
	floor_vectors bench_floor_ymm, vmovups, ymm, 32
	floor_vectors bench_floor_zmm, vmovups, zmm, 64

/*
 * A struct pt_regs at base(%rsp): r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx
 * rdx rsi rdi orig_ax ip cs flags sp ss; eight bytes above it keep the stack
 * aligned.
 */
#define R15		0
#define R14		8
#define R13		16
#define R12		24
#define RBP		32
#define RBX		40
#define R11		48
#define R10		56
#define R9		64
#define R8		72
#define RAX		80
#define RCX		88
#define RDX		96
#define RSI		104
#define RDI		112
#define ORIG_RAX	120
#define RIP		128
#define FLAGS		144
#define RSP		152
#define FRAME		176

/* All but rbp; leaves the handler's arguments in %rdi and %rsi.
 * site_end: where the site's call left its return address. */
	.macro	save_pt_regs base, site_end:vararg
	movq	%r15, \base+R15(%rsp)
	movq	%r14, \base+R14(%rsp)
	movq	%r13, \base+R13(%rsp)
	movq	%r12, \base+R12(%rsp)
	movq	%rbx, \base+RBX(%rsp)
	movq	%r11, \base+R11(%rsp)
	movq	%r10, \base+R10(%rsp)
	movq	%r9, \base+R9(%rsp)
	movq	%r8, \base+R8(%rsp)
	movq	%rax, \base+RAX(%rsp)
	movq	%rcx, \base+RCX(%rsp)
	movq	%rdx, \base+RDX(%rsp)
	movq	%rsi, \base+RSI(%rsp)
	movq	%rdi, \base+RDI(%rsp)
	movq	$-1, \base+ORIG_RAX(%rsp)
	leaq	\site_end, %rcx
	movq	(%rcx), %rdi
	movq	8(%rcx), %rsi
	addq	$8, %rcx
	movq	%rdi, \base+RIP(%rsp)
	movq	%rcx, \base+RSP(%rsp)
	subq	$SITE_LENGTH, %rdi
	.endm

	.macro	restore_pt_regs base
	movq	\base+R15(%rsp), %r15
	movq	\base+R14(%rsp), %r14
	movq	\base+R13(%rsp), %r13
	movq	\base+R12(%rsp), %r12
	movq	\base+RBX(%rsp), %rbx
	movq	\base+R11(%rsp), %r11
	movq	\base+R10(%rsp), %r10
	movq	\base+R9(%rsp), %r9
	movq	\base+R8(%rsp), %r8
	movq	\base+RAX(%rsp), %rax
	movq	\base+RCX(%rsp), %rcx
	movq	\base+RDX(%rsp), %rdx
	movq	\base+RSI(%rsp), %rsi
	movq	\base+RDI(%rsp), %rdi
	.endm

	begin	bench_floor_pt_regs
	grow	FRAME
	movq	%rbp, RBP(%rsp)
	save_pt_regs 0, FRAME(%rsp)
	call	bench_handler
	restore_pt_regs 0
	movq	RBP(%rsp), %rbp
	shrink	FRAME
	ret
	end	bench_floor_pt_regs

/* The same with all flags in it, put back from it. */
	begin	bench_floor_pt_regs_flags
	pushfq
	.cfi_adjust_cfa_offset 8
	grow	(FRAME-8)
	movq	%rbp, RBP(%rsp)
	save_pt_regs 0, FRAME(%rsp)
	movq	FRAME-8(%rsp), %rcx
	movq	%rcx, FLAGS(%rsp)
	call	bench_handler
	restore_pt_regs 0
	movq	RBP(%rsp), %rbp
	shrink	(FRAME-8)
	popfq
	.cfi_adjust_cfa_offset -8
	ret
	end	bench_floor_pt_regs_flags

/* The same without flags, with the vector registers 0-7 below it. */
	.macro	floor_pt_regs_vectors name, move, vec, width
	begin	\name
	save	rbp
	.cfi_rel_offset %rbp, 0
	movq	%rsp, %rbp
	.cfi_def_cfa_register %rbp
	subq	$(8*\width+FRAME), %rsp
	andq	$-64, %rsp
	save_pt_regs 8*\width, 8(%rbp)
	movq	(%rbp), %rcx
	movq	%rcx, 8*\width+RBP(%rsp)
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	\move	%\vec\n, \n*\width(%rsp)
	.endr
	call	bench_handler
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	\move	\n*\width(%rsp), %\vec\n
	.endr
	restore_pt_regs 8*\width
	leave
	.cfi_def_cfa %rsp, 16
	.cfi_restore %rbp
	ret
	end	\name
	.endm

	floor_pt_regs_vectors bench_floor_pt_regs_xmm, movups, xmm, 16
	floor_pt_regs_vectors bench_floor_pt_regs_ymm, vmovups, ymm, 32
	floor_pt_regs_vectors bench_floor_pt_regs_zmm, vmovups, zmm, 64

	.section .note.GNU-stack, "", @progbits
