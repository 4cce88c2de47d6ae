/* SPDX-License-Identifier: MIT */
/*
 * Functions that know where they are, for test_relocate.c: each is moved as a
 * whole, its copies are called with the same argument, and have to return the
 * same.  From one to sixteen instructions.
 */
	.macro	BEGIN name, level=0
	.pushsection .rodata.names, "a", @progbits
.Lname_\name:
	.asciz	"\name"
	.popsection
	.pushsection .data.rel.ro.moved, "aw", @progbits
	.quad	\name, .Lend_\name, .Lname_\name, \level
	.popsection
	.balign	16
	.type	\name, @function
\name:
	.cfi_startproc
	.endm

	.macro	END name
	.cfi_endproc
.Lend_\name:
	.size	\name, . - \name
	ud2
	.endm

	.pushsection .data.rel.ro.moved, "aw", @progbits
	.globl	moved_functions, moved_functions_end
moved_functions:
	.popsection

	.data
	.balign	64
wide:	.quad	0x0102030405060708, 0x1112131415161718, 0x2122232425262728, 0x3132333435363738
	.quad	0x4142434445464748, 0x5152535455565758, 0x6162636465666768, 0x7172737475767778
word:	.quad	0x1122334455667788
count:	.quad	0
	.section .data.rel, "aw", @progbits
to_helper: .quad helper
to_away: .quad	away
to_keeper: .quad keeper

	.text
	.balign	16
helper:	lea	3(%rdi), %rax
	ret
/* Where a tail call goes. */
away:	lea	7(%rdi), %rax
	ret

/* The red zone of its caller: 8 more than in its own, and one beyond that. */
keeper:	mov	-8(%rsp), %rdx
	add	-16(%rsp), %rdx
	add	-120(%rsp), %rdx
	lea	(%rdx,%rdx,2), %rax
	ret

BEGIN rip_load
	mov	word(%rip), %rax
	add	%rdi, %rax
	ret
END rip_load

BEGIN rip_lea
	lea	word(%rip), %rax
	lea	word(%rip), %r11
	sub	%r11, %rax
	mov	%r11, %rax
	ret
END rip_lea

BEGIN rip_store_with_immediate
	movl	$0x12345678, count(%rip)
	mov	count(%rip), %eax
	ret
END rip_store_with_immediate

BEGIN rip_byte_register
	mov	%dil, count(%rip)
	movzbl	count(%rip), %eax
	ret
END rip_byte_register

BEGIN rip_high_register
	mov	%rdi, %r8
	mov	%r8, count(%rip)
	xor	%r9d, %r9d
	add	count(%rip), %r9
	mov	%r9, %rax
	ret
END rip_high_register

/* All that a register could be spared from, and flags. */
BEGIN rip_compare_exchange
	mov	%rbx, %r8
	mov	$1, %eax
	mov	%eax, %edx
	mov	%eax, %ecx
	mov	%eax, %ebx
	andq	$-16, wide(%rip)
	lock cmpxchg16b wide(%rip)
	setz	%al
	movzbl	%al, %eax
	mov	%r8, %rbx
	ret
END rip_compare_exchange

BEGIN rip_flags
	cmp	%rdi, word(%rip)
	mov	count(%rip), %rcx
	pushfq
	pop	%rax
	and	$0x8d5, %eax
	ret
END rip_flags

BEGIN rip_address_of_32_bits
	lea	word(%eip), %eax
	ret
END rip_address_of_32_bits

BEGIN rip_red_zone
	mov	%rdi, -8(%rsp)
	mov	%rdi, -16(%rsp)
	mov	%rdi, -128(%rsp)
	mov	word(%rip), %rax
	add	word(%rip), %rax
	add	-8(%rsp), %rax
	add	-16(%rsp), %rax
	add	-128(%rsp), %rax
	ret
END rip_red_zone

BEGIN rip_push
	mov	%rdi, -16(%rsp)
	pushq	word(%rip)
	mov	-8(%rsp), %rax
	add	(%rsp), %rax
	lea	8(%rsp), %rsp
	ret
END rip_push

BEGIN rip_pop
	mov	%rdi, -16(%rsp)
	mov	%rdi, -120(%rsp)
	lea	5(%rdi), %rax
	push	%rax
	popq	count(%rip)
	pushfq
	addq	count(%rip), %rax
	popfq
	add	-120(%rsp), %rax
	ret
END rip_pop

BEGIN rip_jump
	mov	%rdi, -120(%rsp)
	jmp	*to_away(%rip)
END rip_jump

BEGIN rip_call
	sub	$8, %rsp
	call	*to_helper(%rip)
	add	$8, %rsp
	ret
END rip_call

BEGIN rip_vex, 1
	vmovdqu	wide(%rip), %xmm0
	vpaddq	wide+16(%rip), %xmm0, %xmm9
	vmovq	%xmm9, %rax
	ret
END rip_vex

BEGIN rip_vex_three_bytes, 1
	vpxor	%xmm8, %xmm8, %xmm8
	vpinsrq	$0, word(%rip), %xmm8, %xmm9
	vmovq	%xmm9, %rax
	ret
END rip_vex_three_bytes

/* Relative to ip, the bit that extends a base register means nothing. */
BEGIN rip_with_bit_that_means_nothing, 1
	.byte	0x49, 0x8b, 0x05	/* mov word(%rip), %rax */
	.long	word - . - 4
	.byte	0xc4, 0xc1, 0x7a, 0x6f, 0x05	/* vmovdqu wide(%rip), %xmm0 */
	.long	wide - . - 4
	vmovq	%xmm0, %rdx
	add	%rdx, %rax
	ret
END rip_with_bit_that_means_nothing

BEGIN rip_evex, 2
	vmovdqu64 wide(%rip), %zmm17
	vpaddq	word(%rip){1to8}, %zmm17, %zmm18
	vmovq	%xmm18, %rax
	vzeroupper
	ret
END rip_evex

BEGIN call_pushes_its_own_address
	call	1f
1:	pop	%rax
	ret
END call_pushes_its_own_address

BEGIN call_direct
	sub	$8, %rsp
	call	helper
	add	$8, %rsp
	ret
END call_direct

BEGIN call_register
	lea	helper(%rip), %rax
	sub	$8, %rsp
	call	*%rax
	add	$8, %rsp
	ret
END call_register

BEGIN call_by_base
	lea	to_helper(%rip), %rax
	sub	$8, %rsp
	call	*(%rax)
	add	$8, %rsp
	ret
END call_by_base

BEGIN call_by_index
	lea	to_helper-800(%rip), %r9
	mov	$100, %r10d
	sub	$8, %rsp
	call	*(%r9,%r10,8)
	add	$8, %rsp
	ret
END call_by_index

/* It lies where the call pushes to. */
BEGIN call_by_red_zone
	lea	helper(%rip), %rax
	mov	%rax, -16(%rsp)
	sub	$8, %rsp
	call	*-8(%rsp)
	add	$8, %rsp
	ret
END call_by_red_zone

/* What is called finds the caller's red zone as that left it. */
BEGIN call_that_keeps_the_red_zone
	lea	to_helper(%rip), %rax
	mov	%rdi, -16(%rsp)
	mov	%rdi, -24(%rsp)
	mov	%rdi, -128(%rsp)
	call	*to_keeper-to_helper(%rax)
	call	*to_keeper(%rip)
	add	%rdx, %rax
	ret
END call_that_keeps_the_red_zone

BEGIN call_by_red_zone_index
	lea	helper(%rip), %rax
	mov	%rax, -16(%rsp)
	mov	$-1, %rcx
	sub	$8, %rsp
	call	*(%rsp,%rcx,8)
	add	$8, %rsp
	ret
END call_by_red_zone_index

BEGIN jump_by_stack
	lea	away(%rip), %rax
	mov	%rax, -24(%rsp)
	jmp	*-24(%rsp)
END jump_by_stack

BEGIN tail_call
	jmp	away
END tail_call

BEGIN jump_if
	xor	%eax, %eax
	test	$1, %dil
	jnz	away
	js	away
	ret
END jump_if

BEGIN jump_if_both_ways
	xor	%eax, %eax
1:	inc	%eax
	dec	%edi
	jg	1b
	jle	2f
	hlt
2:	ret
END jump_if_both_ways

BEGIN loops
	mov	$5, %ecx
	xor	%eax, %eax
1:	add	%ecx, %eax
	loop	1b
	mov	$4, %ecx
2:	add	%ecx, %eax
	cmp	$40, %eax
	loopne	2b
	mov	$3, %ecx
3:	add	%ecx, %eax
	cmp	%eax, %eax
	loope	3b
	ret
END loops

BEGIN jump_on_zero_count
	mov	%rdi, %rcx
	xor	%eax, %eax
	jrcxz	1f
	inc	%eax
1:	shl	$1, %eax
	mov	$0x100000000, %rcx
	jecxz	2f
	inc	%eax
2:	ret
END jump_on_zero_count

BEGIN returns_and_pops
	lea	5(%rdi), %rax
	popq	%rdx
	pushq	$0
	pushq	%rdx
	ret	$8
END returns_and_pops

BEGIN pushes_and_pops_sp
	pushq	%rsp
	movq	(%rsp), %rax
	sub	%rsp, %rax
	popq	%rsp
	ret
END pushes_and_pops_sp

BEGIN enters_the_kernel
	mov	$39, %eax	/* getpid */
	syscall
	add	%rcx, %rax
	ret
END enters_the_kernel

BEGIN branch_and_call_with_prefixes
	test	%edi, %edi
	.byte	0x3e, 0x75, 0x02	/* likely */
	mov	%eax, %eax
	.byte	0x66, 0x48, 0xe8	/* as calls of __tls_get_addr() are padded */
	.long	1f - . - 4
1:	pop	%rax
	ret
END branch_and_call_with_prefixes

	.pushsection .data.rel.ro.moved, "aw", @progbits
moved_functions_end:
	.popsection
	.section .note.GNU-stack, "", @progbits
