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
	.quad	100f
	.popsection
100:	\insn
	.endm

	.pushsection .data.rel.ro.probed, "aw", @progbits
	.balign	8
	label	probed_begins
	.popsection

	.data
	.balign	8
word:	.quad	5

	.text
/* Its argument and one, by instructions of all lengths. */
	function probed_mixed
	i	push %rbp
	i	mov %rsp, %rbp
	i	lea 1(%rdi), %rax
	i	add word(%rip), %rax
	i	sub $5, %rax
	i	movabs $0x123456789abcdef0, %rcx
	i	movl $0x12345678, -16(%rsp)
	i	movq $0x12345678, -300(%rsp)
	i	nopw 0x12345678(%rax,%rax,1)
	i	lock addl $0, -8(%rsp)
	i	test %rdi, %rdi
	i	jz 1f
	i	nopw %cs:0x12345678(%rax,%rax,1)
	/* With what could begin instructions inside of others. */
	.rept	4
	i	movabs $0xe8cc90c3e9eb74c3, %rdx
	i	imul $0x90909090, word(%rip), %ecx
	i	xadd %r8, %rdx
	i	nop
	i	cmpl $-128, %fs:0
	i	jmp 2f
2:	i	test $0xc3900f5b, %r9d
	i	movdqu -24(%rsp), %xmm15
	.endr
1:	i	pop %rbp
	i	ret
	label	probed_mixed_end
	end	probed_mixed

	.pushsection .data.rel.ro.probed, "aw", @progbits
	label	probed_begins_end
	.popsection

/* Its argument, and what it adds: 3. */
	function probed_add
	mov	%rdi, %rax
	label	probed_add_middle
	add	$3, %rax
	label	probed_add_next
	ret
	end	probed_add

/* Its argument, by way of 10,000 instructions. */
	function probed_many
	mov	%rdi, %rax
	label	probed_many_first
	.rept	5000
	inc	%rax
	dec	%rax
	.endr
	label	probed_many_last
	ret
	end	probed_many

/* The word that its argument points to, and one. */
	function probed_load
	mov	%rsp, %rcx
	label	probed_load_insn
	mov	(%rdi), %rax
	label	probed_load_next
	inc	%rax
	ret
	end	probed_load

/* Its first argument by its second. */
	function probed_divide
	mov	%rdi, %rax
	cqto
	label	probed_divide_insn
	idiv	%rsi
	ret
	end	probed_divide

/* read(2), by itself: the result, and whether rcx is as the kernel leaves it. */
	function probed_read
	xor	%eax, %eax
	label	probed_read_insn
	syscall
	label	probed_read_next
	lea	probed_read_next(%rip), %rdx
	cmp	%rdx, %rcx
	je	1f
	mov	$-1000, %rax
1:	ret
	end	probed_read

/* Call with known values in all registers. */
	function probed_call
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	sub	$8, %rsp
	mov	%rdi, %r11
	.irp	r, rax, rbx, rcx, rdx, rsi, rdi, rbp
	movabs	$0x1122334455667788 + 0x100 * (. - probed_call), %\r
	.endr
	.irp	r, 8, 9, 10, 12, 13, 14, 15
	movabs	$0x1122334455667788 + 0x100 * (. - probed_call), %r\r
	.endr
	xor	$0, %eax
	stc
	call	*%r11
	add	$8, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret
	end	probed_call

/* By pushing it: the stack is another when that faults. */
	function probed_call_via
	label	probed_call_via_insn
	call	*(%rdi)
	inc	%rax
	ret
	end	probed_call_via

/* sp, as code sees it; and it stays in the red zone. */
	function probed_sp
	mov	%rdi, -8(%rsp)
	mov	%rdi, -128(%rsp)
	label	probed_sp_insn
	lea	(%rsp), %rax
	cmp	%rdi, -8(%rsp)
	jne	1f
	cmp	%rdi, -128(%rsp)
	jne	1f
	ret
1:	xor	%eax, %eax
	ret
	end	probed_sp

/* Of its second argument's callee's. */
	function probed_calls
	sub	$8, %rsp
	label	probed_calls_insn
	call	*%rsi
	label	probed_calls_next
	add	$8, %rsp
	label	probed_calls_ret
	ret
	end	probed_calls

/* What probed_add() gives. */
	function probed_nested
	sub	$8, %rsp
	.cfi_adjust_cfa_offset 8
	label	probed_nested_insn
	call	probed_add
	add	$8, %rsp
	.cfi_adjust_cfa_offset -8
	label	probed_nested_ret
	ret
	end	probed_nested

/* Which way it went: 1 or 2. */
	function probed_branch
	mov	$1, %eax
	test	%edi, %edi
	label	probed_branch_insn
	jz	1f
	label	probed_branch_next
	inc	%eax
	label	probed_branch_target
1:	ret
	end	probed_branch

/* Bytes from its second argument to its first; how many of its third are left. */
	function probed_copy
	mov	%rdx, %rcx
	label	probed_copy_insn
	rep movsb
	mov	%rcx, %rax
	ret
	end	probed_copy

/* Its argument and one, behind an overflow. */
	function probed_overflow
	mov	%rdi, %rax
	label	probed_overflow_insn
	int	$4
	label	probed_overflow_next
	inc	%rax
	ret
	end	probed_overflow

/* Its argument and one, behind what is undefined outside of system management. */
	function probed_illegal
	mov	%rdi, %rax
	label	probed_illegal_insn
	rsm
	label	probed_illegal_next
	inc	%rax
	ret
	end	probed_illegal

/* A system call with three arguments: the result, and whether rcx is as the kernel
 * leaves it. */
	function probed_system
	mov	%rdi, %rax
	mov	%rsi, %rdi
	mov	%rdx, %rsi
	mov	%rcx, %rdx
	label	probed_system_insn
	syscall
	label	probed_system_next
	lea	probed_system_next(%rip), %rdx
	cmp	%rdx, %rcx
	je	1f
	mov	$-1000, %rax
1:	ret
	end	probed_system

/* One that returns twice, with two arguments; the child exits with 7, at once. */
	function probed_spawn
	mov	%rdi, %rax
	mov	%rsi, %rdi
	mov	%rdx, %rsi
	xor	%edx, %edx
	xor	%r10d, %r10d
	xor	%r8d, %r8d
	label	probed_spawn_insn
	syscall
	test	%rax, %rax
	jnz	1f
	mov	$7, %edi
	mov	$60, %eax	/* exit */
	label	probed_spawn_exit
	syscall
1:	ret
	end	probed_spawn

/* Where a signal's handler returns to. */
	function probed_restorer
	mov	$15, %eax	/* rt_sigreturn */
	label	probed_restorer_insn
	syscall
	end	probed_restorer

/* 5, by way of an interrupt's return and a far one. */
	function probed_far
	mov	%rsp, %rcx
	mov	%ss, %eax
	push	%rax
	push	%rcx
	pushfq
	mov	%cs, %eax
	push	%rax
	lea	1f(%rip), %rax
	push	%rax
	label	probed_far_iret
	iretq
	ud2
1:	mov	%cs, %eax
	push	%rax
	lea	2f(%rip), %rax
	push	%rax
	label	probed_far_ret
	lretq
	ud2
2:	mov	$5, %eax
	ret
	end	probed_far

/* Its argument and two, with the trap flag set for a while. */
	function probed_steps
	mov	%rdi, %rax
	pushfq
	orq	$0x100, (%rsp)
	label	probed_steps_set
	popfq
	label	probed_steps_first
	inc	%rax
	pushfq
	andq	$~0x100, (%rsp)
	popfq
	inc	%rax
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
	lea	9(%rdi), %rax
	label	probed_unknown_middle
	inc	%rax
	ret

/* A restartable sequence (<linux/rseq.h>), and its abort handler. */
	function probed_rseq
	mov	%rdi, %rax
	label	probed_rseq_start
	inc	%rax
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
	.quad	probed_rseq_start, probed_rseq_commit - probed_rseq_start, probed_rseq_abort

	.section .note.GNU-stack, "", @progbits
