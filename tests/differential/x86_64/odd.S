/* SPDX-License-Identifier: MIT */
/*
 * Every odd instruction, for differential.c: each function is run alone and probed
 * at each of its instructions.  What knows its own place is in moved.S of
 * tests/backend.  Level: 1, AVX2 and BMI; 2, AVX-512.
 */
	.macro	BEGIN name, level=0
	.pushsection .rodata.names, "a", @progbits
.Lname_\name:
	.asciz	"\name"
	.popsection
	.pushsection .data.rel.ro.odd, "aw", @progbits
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
	.endm

	.pushsection .data.rel.ro.odd, "aw", @progbits
	.globl	odd_functions, odd_functions_end
odd_functions:
	.popsection

	.data
	.balign	64
	.globl	odd_data, odd_data_end
odd_data:
	.irp	n, 1, 2, 3, 4, 5, 6, 7, 8
	.quad	0x0123456789abcdef * \n
	.endr
odd_scratch:
	.zero	256
odd_indices:
	.long	0, 3, 1, 2, 4, 6, 5, 7
odd_float:
	.double	2.5, -3.25
	.float	1.5, 0.25
odd_tbyte:
	.long	0, 0xa0000000	/* 1.25 */
	.short	0x3fff
odd_data_end:

	.bss
	.balign	16
odd_saved:
	.zero	512

	.section .tbss, "awT", @nobits
	.balign	8
odd_of_thread:
	.zero	8

	.text
BEGIN odd_stack
	sub	$32, %rsp
	push	$0x12
	push	$0x12345678
	push	%rdi
	pushq	odd_data(%rip)
	pushw	$7
	popw	%ax
	popq	odd_scratch(%rip)
	popq	%rcx
	add	%rcx, %rax
	popq	%rcx
	xor	%rcx, %rax
	popq	8(%rsp)
	add	8(%rsp), %rax
	enter	$32, $0
	mov	%rax, -8(%rbp)
	leave
	enter	$32, $1
	leave
	pushfq
	pop	%rdx
	and	$0x8d5, %edx
	add	%rdx, %rax
	add	$32, %rsp
	ret
END odd_stack

BEGIN odd_stack_itself
	push	%rbp
	mov	%rsp, %rbp
	enter	$16, $3
	leave
	sub	$64, %rsp
	mov	%rdi, (%rsp)
	mov	%rdi, -8(%rsp)
	addq	$3, -128(%rsp)
	notq	-16(%rsp)
	mov	-8(%rsp), %rax
	pushq	(%rsp)
	pushq	8(%rsp)
	popq	(%rsp)
	popq	16(%rsp)
	add	16(%rsp), %rax
	push	%rsp
	pop	%rcx
	sub	%rsp, %rcx
	add	%rcx, %rax
	mov	%rsp, %rdx
	lea	-32(%rsp), %rcx
	xchg	%rcx, %rsp
	pushq	$5
	xchg	%rsp, %rcx
	mov	%rdx, %rsp
	xchg	%rdi, (%rsp)
	pushq	%rsp
	popq	%rsp
	and	$-16, %rsp
	mov	%rdx, %rsp
	lea	1f(%rip), %r8
	mov	%r8, 8(%rsp)
	call	*8(%rsp)
	call	*-8(%rdx,%rcx)
	mov	%r8, %fs:odd_of_thread@tpoff
	call	*%fs:odd_of_thread@tpoff
	jmp	2f
1:	add	$7, %rax
	mov	$16, %ecx
	ret
2:	mov	%rbp, %rsp
	pop	%rbp
	ret
END odd_stack_itself

/* Below, at and above what the red zone has room for. */
BEGIN odd_returns
	mov	%rdi, %rax
	.irp	n, 104, 112, 120, 128, 400
	sub	$\n, %rsp
	mov	%rax, (%rsp)
	call	1f
	jmp	2f
1:	add	8(%rsp), %rax
	ret	$\n
2:	lea	3(%rax,%rax), %rax
	.endr
	ret
END odd_returns

BEGIN odd_flags
	stc
	lahf
	cmc
	sahf
	setc	%cl
	std
	pushfq
	cld
	popfq
	cld
	clc
	adc	$5, %rdi
	sbb	$3, %rdi
	rcl	$3, %rdi
	rcr	%cl, %rdi
	shld	$5, %rdi, %rax
	shrd	%cl, %rdi, %rax
	bt	$3, %rdi
	btsq	$70, odd_scratch(%rip)
	btc	%rdi, %rdi
	bsf	%rdi, %rcx
	bsr	%rdi, %rdx
	cmovz	%rcx, %rax
	cmovnz	odd_data(%rip), %rax
	xadd	%rax, odd_scratch(%rip)
	cmpxchg	%rcx, odd_scratch(%rip)
	lock xadd %rax, odd_scratch+8(%rip)
	lock cmpxchg8b odd_scratch+16(%rip)
	xchg	%rax, %rcx
	xchg	%rax, odd_scratch+24(%rip)
	bswap	%rax
	ret
END odd_flags

BEGIN odd_arithmetic
	mov	%rdi, %rax
	cqto
	mov	$7, %ecx
	idiv	%rcx
	mul	%rdx
	imul	$100, %rax, %rax
	imulq	odd_data(%rip), %rax
	xor	%edx, %edx
	div	%rcx
	cltq
	cwtl
	movsbq	%al, %rcx
	movzwl	%ax, %edx
	movslq	odd_data(%rip), %r8
	mov	%ah, %dl
	add	%dh, %al
	neg	%rax
	not	%rax
	lea	(%rax,%rcx,4), %rax
	lea	0x1234(,%rax,8), %rax
	lea (%eax,%edx), %rax
	inc	%r8
	dec	%r9b
	add	%r8, %rax
	ret
END odd_arithmetic

BEGIN odd_strings
	push	%rbx
	lea	odd_data(%rip), %rbx
	mov	$3, %al
	xlat
	lea	odd_data(%rip), %rsi
	lea	odd_scratch(%rip), %rdi
	mov	$5, %ecx
	rep movsq
	mov	$7, %ecx
	rep stosb
	lea	odd_data(%rip), %rsi
	lea	odd_scratch(%rip), %rdi
	mov	$64, %ecx
	repe cmpsb
	mov	%rcx, %rdx
	lea	odd_data(%rip), %rdi
	mov	$64, %ecx
	mov	$0x45, %al
	repne scasb
	std
	lea	odd_data+32(%rip), %rsi
	lea	odd_scratch+32(%rip), %rdi
	mov	$4, %ecx
	rep movsq
	lodsb
	stosw
	cld
	xor	%ecx, %ecx
	rep movsb
	lea	(%rdx,%rcx), %rax
	pop	%rbx
	ret
END odd_strings

BEGIN odd_x87
	fldpi
	fld1
	fldl	odd_float(%rip)
	fadd	%st(1), %st
	fmulp
	fsubl	odd_float+8(%rip)
	fsqrt
	fxch
	fsin
	fcomip	%st(1), %st
	fistpll	odd_scratch(%rip)
	mov	odd_scratch(%rip), %rax
	fnstcw	odd_scratch(%rip)
	fldcw	odd_scratch(%rip)
	fnstsw	%ax
	fldt	odd_tbyte(%rip)
	fstpt	odd_scratch+16(%rip)
	movq	odd_data(%rip), %mm1
	paddd	odd_data+8(%rip), %mm1
	movd	%mm1, %ecx
	emms
	add	%rcx, %rax
	ret
END odd_x87

BEGIN odd_sse
	movdqu	odd_data(%rip), %xmm1
	paddd	odd_data+16(%rip), %xmm1
	pshufd	$0x1b, %xmm1, %xmm9
	movsd	odd_float(%rip), %xmm2
	addsd	odd_float+8(%rip), %xmm2
	cvttsd2si %xmm2, %rcx
	ucomisd	odd_float(%rip), %xmm2
	seta	%dl
	movq	%xmm9, %rax
	movhps	odd_data+8(%rip), %xmm1
	pinsrw	$3, odd_data(%rip), %xmm1
	pmovmskb %xmm1, %r8d
	stmxcsr	odd_scratch(%rip)
	ldmxcsr	odd_scratch(%rip)
	movntdq	%xmm1, odd_scratch+32(%rip)
	sfence
	lfence
	mfence
	prefetcht0 odd_data(%rip)
	clflush	odd_scratch(%rip)
	pause
	fxsave64 odd_saved(%rip)
	fxrstor64 odd_saved(%rip)
	add	%rcx, %rax
	add	%r8, %rax
	movzbl	%dl, %edx
	add	%rdx, %rax
	ret
END odd_sse

BEGIN odd_segments
	mov	%fs:0, %rax
	sub	%fs:16, %rax
	mov	%cs, %ecx
	mov	%ds, %edx
	mov	%gs, %r8d
	mov	%edx, %ds
	push	%fs
	pop	%r9
	mov	%ss, %r10d
	lea	(%rcx,%r10), %rax
	mov	%ecx, %r9d
	mov	%ss, %ecx
	mov	%ecx, %ss	/* no interrupt before the next */
	nop
	mov	%r9d, %ecx
	xor	%r9d, %r9d
	sub	%fs:(%r9), %rax
	add	%fs:16(%r9,%r9,4), %rax
	movabs	%fs:0, %rax
	sub	%fs:16, %rax
	verr	%cx
	lsl	%ecx, %edx
	add	%rdx, %rax
	ret
END odd_segments

BEGIN odd_system
	mov	$39, %eax	/* getpid, both ways */
	syscall
	mov	%rax, %r8
	mov	$20, %eax
	int	$0x80
	sub	%rax, %r8
	mov	$102, %eax
	syscall
	xor	%ecx, %ecx
	xor	%r11d, %r11d
	xgetbv
	push	%rbx
	xor	%eax, %eax
	cpuid
	lea	(%rbx,%rcx), %rax
	add	%rdx, %rax
	pop	%rbx
	nopw	0x1234(%rax)
	nop
	endbr64
	movzbl	%r8b, %eax
	ret
END odd_system

BEGIN odd_bmi, 1
	andn	odd_data(%rip), %rdi, %rax
	bextr	%rdi, %rax, %rcx
	blsr	%rax, %rax
	pdep	odd_data+8(%rip), %rdi, %rdx
	pext	%rdi, %rdx, %rdx
	mulx	odd_data(%rip), %r8, %r9
	rorx	$7, odd_data(%rip), %r10
	shlx	%rdi, odd_data(%rip), %r11
	adcx	%rdx, %rax
	adox	odd_data+16(%rip), %rax
	popcnt	odd_data(%rip), %rcx
	lzcnt	%rax, %rdx
	tzcnt	%rax, %r8
	movbe	odd_data(%rip), %r9
	crc32q	%rax, %rcx
	crc32b	odd_data(%rip), %ecx
	add	%rcx, %rax
	add	%rdx, %rax
	xor	%r10, %rax
	xor	%r11, %rax
	ret
END odd_bmi

BEGIN odd_avx, 1
	vmovdqu	odd_data(%rip), %ymm1
	vpaddq	odd_data+32(%rip), %ymm1, %ymm12
	vpermq	$0x4e, %ymm12, %ymm13
	vextracti128 $1, %ymm13, %xmm3
	vpcmpeqd %ymm4, %ymm4, %ymm4
	vmovdqu	odd_indices(%rip), %ymm5
	lea	odd_data(%rip), %rdx
	vpgatherdd %ymm4, (%rdx,%ymm5,4), %ymm6
	vpblendvb %ymm6, %ymm13, %ymm1, %ymm7
	vpmovmskb %ymm7, %eax
	vmaskmovps %ymm6, %ymm4, odd_scratch(%rip)
	vfmadd213sd odd_float(%rip), %xmm1, %xmm2
	vbroadcastss odd_float+16(%rip), %ymm8
	vzeroupper
	vmovq	%xmm3, %rcx
	add	%rcx, %rax
	ret
END odd_avx

BEGIN odd_avx512, 2
	vmovdqu64 odd_data(%rip), %zmm17
	vpcmpgtd odd_data+8(%rip), %zmm17, %k1
	vpaddq	odd_data+8(%rip){1to8}, %zmm17, %zmm18{%k1}{z}
	vpternlogq $0x96, odd_data(%rip), %zmm17, %zmm18
	kmovw	%k1, %ecx
	knotw	%k1, %k2
	kmovw	%k2, odd_scratch(%rip)
	vmovdqu32 %zmm18, odd_scratch+64(%rip){%k2}
	lea	odd_data(%rip), %rdx
	vmovdqu	odd_indices(%rip), %ymm5
	vpgatherdq (%rdx,%ymm5,8), %zmm6{%k2}
	vmovdqu32 64(%rdx), %zmm20
	vpaddd	16(%rdx){1to16}, %zmm20, %zmm20
	vpscatterdd %zmm20, odd_scratch-odd_data+128(%rdx,%zmm5,4){%k2}
	vmovdqa32 odd_scratch+128(%rip), %xmm21
	vmovq	%xmm21, %r8
	vmovq	%xmm18, %rax
	vzeroupper
	add	%r8, %rax
	add	%rcx, %rax
	ret
END odd_avx512

BEGIN odd_branches
	xor	%eax, %eax
	cmp	$3, %rdi
	.irp	cc, o, no, b, nb, z, nz, be, nbe, s, ns, p, np, l, nl, le, nle
	j\cc	1f
	inc	%eax
1:	cmp	$3, %rdi
	.endr
	lea	2f(%rip), %rdx
	jmp	*%rdx
	inc	%eax
2:	push	%rdx
	lea	3f(%rip), %rcx
	mov	%rcx, (%rsp)
	ret
	inc	%eax
3:	call	4f
	jmp	5f
4:	add	$100, %eax
	ret
5:	lea	6f(%rip), %rdx
	push	%rdx
	jmp	*(%rsp)
6:	pop	%rdx
	ret
END odd_branches

/* The address of an instruction that jumps to itself is met each time. */
BEGIN odd_loop_to_itself
	mov	$5, %ecx
1:	loop	1b
	mov	%ecx, %eax
	ret
END odd_loop_to_itself


	.pushsection .data.rel.ro.odd, "aw", @progbits
odd_functions_end:
	.popsection
	.section .note.GNU-stack, "", @progbits
