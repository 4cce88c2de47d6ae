/* SPDX-License-Identifier: MIT */
/*
 * Functions without sites, for probes at known places of them.
 */
	.macro	function name
	.globl	\name
	.hidden	\name
	.type	\name, @function
	.balign	16
\name:
	.cfi_startproc
	.endm

	.macro	end name
	.cfi_endproc
	.size	\name, . - \name
	.endm

	.macro	label name
	.globl	\name
	.hidden	\name
\name:
	.endm

/* An instruction of probed_mixed(), and its place in the table. */
	.macro	i insn:vararg
	.pushsection .data.rel.ro.probed, "aw", @progbits
	.long	100f
	.popsection
100:	\insn
	.endm

	.pushsection .data.rel.ro.probed, "aw", @progbits
	.balign	4
	label	probed_begins
	.popsection

	.text
/* Its argument and one, by instructions of all lengths. */
	function probed_mixed
	i	push %ebp
	i	mov %esp, %ebp
	i	mov 8(%ebp), %eax
	i	push $5
	i	add (%esp), %eax
	i	sub $4, %eax
	i	movl $0x12345678, (%esp)
	i	movl $0x12345678, %ecx
	i	nopw 0x12345678(%eax,%eax,1)
	i	lock addl $0, (%esp)
	i	test %ecx, %ecx
	i	jz 1f
	i	nopw %cs:0x12345678(%eax,%eax,1)
	/* With what could begin instructions inside of others. */
	.rept	5
	i	movl $0xe8cc90c3, %edx
	i	imul $0x90909090, (%esp), %ecx
	i	xadd %edx, %ecx
	i	nop
	i	cmpl $-128, %gs:0
	i	jmp 2f
2:	i	test $0xc3900f5b, %edx
	i	lea 0x5b5d5fc3(%esp,%ecx,8), %edx
	i	movl $0x90c3cce8, (%esp)
	.endr
1:	i	leave
	i	ret
	label	probed_mixed_end
	end	probed_mixed

	.pushsection .data.rel.ro.probed, "aw", @progbits
	label	probed_begins_end
	.popsection

/* Its argument, and what it adds: 3. */
	function probed_add
	mov	4(%esp), %eax
	label	probed_add_middle
	add	$3, %eax
	label	probed_add_next
	ret
	end	probed_add

/* Its argument, by way of 10,000 instructions. */
	function probed_many
	mov	4(%esp), %eax
	label	probed_many_first
	.rept	5000
	inc	%eax
	dec	%eax
	.endr
	label	probed_many_last
	ret
	end	probed_many

/* The word that its argument points to, and one. */
	function probed_load
	mov	4(%esp), %edx
	mov	%esp, %ecx
	label	probed_load_insn
	mov	(%edx), %eax
	label	probed_load_next
	inc	%eax
	ret
	end	probed_load

/* Its first argument by its second. */
	function probed_divide
	mov	4(%esp), %eax
	mov	8(%esp), %ecx
	cltd
	label	probed_divide_insn
	idiv	%ecx
	ret
	end	probed_divide

/* read(2), by itself. */
	function probed_read
	push	%ebx
	mov	8(%esp), %ebx
	mov	12(%esp), %ecx
	mov	16(%esp), %edx
	mov	$3, %eax
	label	probed_read_insn
	int	$0x80
	label	probed_read_next
	pop	%ebx
	ret
	end	probed_read

/* Call with known values in all registers. */
	function probed_call
	push	%ebx
	push	%ebp
	push	%esi
	push	%edi
	mov	20(%esp), %eax
	push	%eax
	.irp	r, ebx, ecx, edx, esi, edi, ebp
	mov	$0x11223344 + 0x100 * (. - probed_call), %\r
	.endr
	xor	$0, %eax
	stc
	call	*%eax
	add	$4, %esp
	pop	%edi
	pop	%esi
	pop	%ebp
	pop	%ebx
	ret
	end	probed_call

/* By pushing it: the stack is another when that faults. */
	function probed_call_via
	mov	4(%esp), %edx
	label	probed_call_via_insn
	call	*(%edx)
	inc	%eax
	ret
	end	probed_call_via

/* sp, as code sees it. */
	function probed_sp
	nop
	label	probed_sp_insn
	lea	(%esp), %eax
	ret
	end	probed_sp

/* Of its second argument's callee's. */
	function probed_calls
	mov	8(%esp), %ecx
	pushl	4(%esp)
	label	probed_calls_insn
	call	*%ecx
	label	probed_calls_next
	add	$4, %esp
	label	probed_calls_ret
	ret
	end	probed_calls

/* What probed_add() gives. */
	function probed_nested
	pushl	4(%esp)
	.cfi_adjust_cfa_offset 4
	label	probed_nested_insn
	call	probed_add
	add	$4, %esp
	.cfi_adjust_cfa_offset -4
	label	probed_nested_ret
	ret
	end	probed_nested

/* Which way it went: 1 or 2. */
	function probed_branch
	mov	$1, %eax
	cmpl	$0, 4(%esp)
	label	probed_branch_insn
	jz	1f
	label	probed_branch_next
	inc	%eax
	label	probed_branch_target
1:	ret
	end	probed_branch

/* Bytes from its second argument to its first; how many of its third are left. */
	function probed_copy
	push	%esi
	push	%edi
	mov	12(%esp), %edi
	mov	16(%esp), %esi
	mov	20(%esp), %ecx
	label	probed_copy_insn
	rep movsb
	mov	%ecx, %eax
	pop	%edi
	pop	%esi
	ret
	end	probed_copy

/* Its argument and one, behind an overflow. */
	function probed_overflow
	mov	$0x7fffffff, %eax
	inc	%eax
	mov	4(%esp), %eax
	label	probed_overflow_insn
	into
	label	probed_overflow_next
	inc	%eax
	ret
	end	probed_overflow

/* Its argument and one, behind what is undefined outside of system management. */
	function probed_illegal
	mov	4(%esp), %eax
	label	probed_illegal_insn
	rsm
	label	probed_illegal_next
	inc	%eax
	ret
	end	probed_illegal

/* A system call with three arguments. */
	function probed_system
	push	%ebx
	mov	8(%esp), %eax
	mov	12(%esp), %ebx
	mov	16(%esp), %ecx
	mov	20(%esp), %edx
	label	probed_system_insn
	int	$0x80
	label	probed_system_next
	pop	%ebx
	ret
	end	probed_system

/* One that returns twice, with two arguments; the child exits with 7, at once. */
	function probed_spawn
	push	%ebx
	push	%esi
	push	%edi
	mov	16(%esp), %eax
	mov	20(%esp), %ebx
	mov	24(%esp), %ecx
	xor	%edx, %edx
	xor	%esi, %esi
	xor	%edi, %edi
	label	probed_spawn_insn
	int	$0x80
	test	%eax, %eax
	jnz	1f
	mov	$7, %ebx
	mov	$1, %eax	/* exit */
	label	probed_spawn_exit
	int	$0x80
1:	pop	%edi
	pop	%esi
	pop	%ebx
	ret
	end	probed_spawn

/* Where a signal's handler returns to. */
	function probed_restorer
	mov	$173, %eax	/* rt_sigreturn */
	label	probed_restorer_insn
	int	$0x80
	end	probed_restorer

/* 5, by way of an interrupt's return and a far one. */
	function probed_far
	call	9f
9:	pop	%ecx
	pushfl
	push	%cs
	lea	1f-9b(%ecx), %eax
	push	%eax
	label	probed_far_iret
	iret
	ud2
1:	push	%cs
	lea	2f-9b(%ecx), %eax
	push	%eax
	label	probed_far_ret
	lret
	ud2
2:	mov	$5, %eax
	ret
	end	probed_far

/* Its argument and two, with the trap flag set for a while. */
	function probed_steps
	mov	4(%esp), %eax
	pushfl
	orl	$0x100, (%esp)
	label	probed_steps_set
	popfl
	label	probed_steps_first
	inc	%eax
	pushfl
	andl	$~0x100, (%esp)
	popfl
	inc	%eax
	ret
	end	probed_steps

	function probed_no_code
	xor	%eax, %eax
	ret
	label	probed_int3
	int3
	label	probed_ud2
	ud2
	label	probed_xbegin
	xbegin	1f
1:	ret
	end	probed_no_code

/* Known to no table: without a symbol of a function. */
	.balign	64
	label	probed_unknown
	mov	4(%esp), %eax
	label	probed_unknown_middle
	add	$10, %eax
	ret

/* A restartable sequence (<linux/rseq.h>), and its abort handler. */
	function probed_rseq
	mov	4(%esp), %eax
	label	probed_rseq_start
	inc	%eax
	label	probed_rseq_middle
	nop
	label	probed_rseq_commit
	ret
	.long	0x53053053
	label	probed_rseq_abort
	jmp	probed_rseq_start
	end	probed_rseq

	.section __rseq_cs, "aw", @progbits
	.balign	32
	.long	0, 0
	.long	probed_rseq_start, 0, probed_rseq_commit - probed_rseq_start, 0, probed_rseq_abort, 0

	.section .note.GNU-stack, "", @progbits
