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
	.long	\name, .Lend_\name, .Lname_\name, \level
	.popsection
	.balign	16
	.type	\name, @function
\name:
	.cfi_startproc
	push	%ebx
	push	%esi
	push	%edi
	push	%ebp
	mov	20(%esp), %edi
	call	1f
1:	pop	%ebx
	lea	odd_data - 1b(%ebx), %ebx
	.endm

	.macro	END name
	pop	%ebp
	pop	%edi
	pop	%esi
	pop	%ebx
	ret
	.cfi_endproc
.Lend_\name:
	.size	\name, . - \name
	.endm

	.pushsection .data.rel.ro.odd, "aw", @progbits
	.globl	odd_functions, odd_functions_end
odd_functions:
	.popsection

/* By ebx, which has the address of odd_data. */
#define DATA    (%ebx)
#define SCRATCH 64(%ebx)
#define INDICES 320(%ebx)
#define FLOAT   352(%ebx)
#define SINGLE  368(%ebx)
#define TBYTE   384(%ebx)

	.data
	.balign	64
	.globl	odd_data, odd_data_end
odd_data:
	.irp	n, 1, 2, 3, 4, 5, 6, 7, 8
	.quad	0x0123456789abcdef * \n
	.endr
	.zero	256
	.long	0, 3, 1, 2, 4, 6, 5, 7
	.double	2.5, -3.25
	.float	1.5, 0.25, 0, 0
	.long	0, 0xa0000000	/* 1.25 */
	.short	0x3fff
odd_data_end:
	.balign	16
odd_saved:
	.zero	512
#define SAVED	odd_saved - odd_data(%ebx)

	.section .tbss, "awT", @nobits
	.balign	4
odd_of_thread:
	.zero	4

	.text
BEGIN odd_stack
	sub	$32, %esp
	push	$0x12
	push	$0x12345678
	push	%edi
	pushl	DATA
	pushw	$7
	popw	%ax
	popl	SCRATCH
	popl	%ecx
	add	%ecx, %eax
	popl	%ecx
	xor	%ecx, %eax
	popl	4(%esp)
	add	4(%esp), %eax
	enter	$32, $0
	mov	%eax, -8(%ebp)
	leave
	enter	$32, $1
	leave
	pushal
	popal
	pushfl
	pop	%edx
	and	$0x8d5, %edx
	add	%edx, %eax
	add	$32, %esp
END odd_stack

BEGIN odd_stack_itself
	push	%ebp
	mov	%esp, %ebp
	enter	$16, $3
	leave
	sub	$64, %esp
	mov	%edi, (%esp)
	mov	%edi, %eax
	mov	%edi, 4(%esp)
	pushl	(%esp)
	pushl	4(%esp)
	popl	(%esp)
	popl	8(%esp)
	add	8(%esp), %eax
	push	%esp
	pop	%ecx
	sub	%esp, %ecx
	add	%ecx, %eax
	mov	%esp, %edx
	lea	-32(%esp), %ecx
	xchg	%ecx, %esp
	pushl	$5
	xchg	%esp, %ecx
	mov	%edx, %esp
	xchg	%edi, (%esp)
	pushl	%esp
	popl	%esp
	and	$-16, %esp
	mov	%edx, %esp
	pushal
	popal
	call	3f
3:	pop	%esi
	lea	1f-3b(%esi), %esi
	mov	%esi, 4(%esp)
	call	*4(%esp)
	call	*-4(%edx,%ecx)
	mov	%esi, %gs:odd_of_thread@ntpoff
	call	*%gs:odd_of_thread@ntpoff
	mov	$20, %eax	/* getpid, by what the kernel lends */
	call	*%gs:0x10
	mov	%eax, %esi
	mov	$20, %eax
	int	$0x80
	sub	%esi, %eax
	jmp	2f
1:	add	$7, %eax
	mov	$8, %ecx
	ret
2:	mov	%ebp, %esp
	pop	%ebp
END odd_stack_itself

BEGIN odd_returns
	mov	%edi, %eax
	.irp	n, 4, 8, 128, 400
	sub	$\n, %esp
	mov	%eax, (%esp)
	call	1f
	jmp	2f
1:	add	4(%esp), %eax
	ret	$\n
2:	lea	3(%eax,%eax), %eax
	.endr
END odd_returns

BEGIN odd_flags
	stc
	lahf
	cmc
	sahf
	setc	%cl
	std
	pushfl
	cld
	popfl
	cld
	clc
	adc	$5, %edi
	sbb	$3, %edi
	rcl	$3, %edi
	rcr	%cl, %edi
	shld	$5, %edi, %eax
	shrd	%cl, %edi, %eax
	bt	$3, %edi
	btsl	$7, SCRATCH
	btc	%edi, %edi
	bsf	%edi, %ecx
	bsr	%edi, %edx
	cmovz	%ecx, %eax
	cmovnz	DATA, %eax
	xadd	%eax, SCRATCH
	cmpxchg	%ecx, SCRATCH
	lock xadd %eax, 72(%ebx)
	lock cmpxchg8b 80(%ebx)
	xchg	%eax, %ecx
	xchg	%eax, 88(%ebx)
	bswap	%eax
END odd_flags

BEGIN odd_arithmetic
	mov	%edi, %eax
	cltd
	mov	$7, %ecx
	idiv	%ecx
	mul	%edx
	imul	$100, %eax, %eax
	imull	DATA, %eax
	xor	%edx, %edx
	div	%ecx
	cwtl
	movsbl	%al, %ecx
	movzwl	%ax, %edx
	mov	%ah, %dl
	add	%dh, %al
	neg	%eax
	not	%eax
	lea	(%eax,%ecx,4), %eax
	lea	0x1234(,%eax,8), %eax
	addr16 lea 5(%bx), %ax
	inc	%ecx
	dec	%dl
	add	%ecx, %eax
	aaa
	aas
	daa
	das
	aam
	aad
	.byte	0xd6	/* salc */
	lea	DATA, %esi
	push	%ebx
	mov	%esi, %ebx
	mov	$3, %al
	xlat
	pop	%ebx
	mov	$3, %ecx
	bound	%ecx, 320(%ebx)
	test	%eax, %eax
	into
END odd_arithmetic

BEGIN odd_strings
	lea	DATA, %esi
	lea	SCRATCH, %edi
	mov	$5, %ecx
	rep movsl
	mov	$7, %ecx
	rep stosb
	lea	DATA, %esi
	lea	SCRATCH, %edi
	mov	$64, %ecx
	repe cmpsb
	mov	%ecx, %edx
	lea	DATA, %edi
	mov	$64, %ecx
	mov	$0x45, %al
	repne scasb
	std
	lea	32(%ebx), %esi
	lea	96(%ebx), %edi
	mov	$4, %ecx
	rep movsl
	lodsb
	stosw
	cld
	xor	%ecx, %ecx
	rep movsb
	lea	(%edx,%ecx), %eax
END odd_strings

BEGIN odd_x87
	fldpi
	fld1
	fldl	FLOAT
	fadd	%st(1), %st
	fmulp
	fsubl	360(%ebx)
	fsqrt
	fxch
	fsin
	fcomip	%st(1), %st
	fistpll	SCRATCH
	mov	SCRATCH, %eax
	fnstcw	SCRATCH
	fldcw	SCRATCH
	fnstsw	%ax
	fldt	TBYTE
	fstpt	80(%ebx)
	movq	DATA, %mm1
	paddd	8(%ebx), %mm1
	movd	%mm1, %ecx
	emms
	add	%ecx, %eax
END odd_x87

BEGIN odd_sse
	movdqu	DATA, %xmm1
	paddd	16(%ebx), %xmm1
	pshufd	$0x1b, %xmm1, %xmm6
	movsd	FLOAT, %xmm2
	addsd	360(%ebx), %xmm2
	cvttsd2si %xmm2, %ecx
	ucomisd	FLOAT, %xmm2
	seta	%dl
	movd	%xmm6, %eax
	pinsrw	$3, DATA, %xmm1
	pmovmskb %xmm1, %esi
	stmxcsr	SCRATCH
	ldmxcsr	SCRATCH
	movntdq	%xmm1, 96(%ebx)
	sfence
	lfence
	mfence
	prefetcht0 DATA
	clflush	SCRATCH
	pause
	fxsave	SAVED
	fxrstor	SAVED
	add	%ecx, %eax
	add	%esi, %eax
	movzbl	%dl, %edx
	add	%edx, %eax
END odd_sse

BEGIN odd_segments
	mov	%gs:0, %eax
	sub	%gs:8, %eax
	mov	%cs, %ecx
	mov	%ds, %edx
	mov	%edx, %es
	push	%ds
	pop	%es
	push	%gs
	pop	%esi
	mov	%ss, %ebp
	mov	%ebp, %ss	/* no interrupt before the next */
	nop
	push	%ss
	pop	%ss
	nop
	push	%ds
	push	$77
	les	(%esp), %edi
	add	$8, %esp
	xor	%edx, %edx
	sub	%gs:(%edx), %eax
	add	%gs:8(%edx,%edx,4), %eax
	sub	%edi, %eax
	mov	%ds, %edx
	lea	(%ecx,%ebp), %eax
	verr	%cx
	lsl	%ecx, %edx
	add	%edx, %eax
END odd_segments

BEGIN odd_system
	mov	$20, %eax	/* getpid */
	int	$0x80
	mov	%eax, %edi
	mov	$20, %eax
	int	$0x80
	sub	%eax, %edi
	xor	%ecx, %ecx
	xgetbv
	push	%ebx
	xor	%eax, %eax
	cpuid
	add	%ebx, %edi
	add	%ecx, %edi
	xor	%edx, %edi
	pop	%ebx
	nopw	0x1234(%eax)
	nop
	endbr32
	mov	%edi, %eax
END odd_system

BEGIN odd_bmi, 1
	andn	DATA, %edi, %eax
	bextr	%edi, %eax, %ecx
	blsr	%eax, %eax
	pdep	8(%ebx), %edi, %edx
	pext	%edi, %edx, %edx
	mulx	DATA, %esi, %ebp
	rorx	$7, DATA, %esi
	shlx	%edi, DATA, %ebp
	adcx	%edx, %eax
	adox	16(%ebx), %eax
	popcnt	DATA, %ecx
	lzcnt	%eax, %edx
	tzcnt	%eax, %esi
	movbe	DATA, %ebp
	crc32l	%eax, %ecx
	crc32b	DATA, %ecx
	add	%ecx, %eax
	add	%edx, %eax
	xor	%ebp, %eax
END odd_bmi

BEGIN odd_avx, 1
	vmovdqu	DATA, %ymm1
	vpaddq	32(%ebx), %ymm1, %ymm2
	vpermq	$0x4e, %ymm2, %ymm3
	vextracti128 $1, %ymm3, %xmm0
	vpcmpeqd %ymm4, %ymm4, %ymm4
	vmovdqu	INDICES, %ymm5
	vpgatherdd %ymm4, (%ebx,%ymm5,4), %ymm6
	vpblendvb %ymm6, %ymm3, %ymm1, %ymm7
	vpmovmskb %ymm7, %eax
	vmaskmovps %ymm6, %ymm4, SCRATCH
	vfmadd213sd FLOAT, %xmm1, %xmm2
	vbroadcastss SINGLE, %ymm7
	vzeroupper
	vmovd	%xmm0, %ecx
	add	%ecx, %eax
END odd_avx

BEGIN odd_avx512, 2
	vmovdqu64 DATA, %zmm1
	vpcmpgtd 8(%ebx), %zmm1, %k1
	vpaddq	8(%ebx){1to8}, %zmm1, %zmm2{%k1}{z}
	vpternlogq $0x96, DATA, %zmm1, %zmm2
	kmovw	%k1, %ecx
	knotw	%k1, %k2
	kmovw	%k2, SCRATCH
	vmovdqu32 %zmm2, 128(%ebx){%k2}
	vmovdqu	INDICES, %ymm5
	vpgatherdq (%ebx,%ymm5,8), %zmm6{%k2}
	vmovdqu32 64(%ebx), %zmm4
	vpaddd	16(%ebx){1to16}, %zmm4, %zmm4
	vpscatterdd %zmm4, 192(%ebx,%zmm5,4){%k2}
	vmovd	%xmm2, %eax
	vzeroupper
	add	%ecx, %eax
END odd_avx512

BEGIN odd_branches
	xor	%eax, %eax
	cmp	$3, %edi
	.irp	cc, o, no, b, nb, z, nz, be, nbe, s, ns, p, np, l, nl, le, nle
	j\cc	1f
	inc	%eax
1:	cmp	$3, %edi
	.endr
	call	2f
2:	pop	%edx
	lea	3f-2b(%edx), %ecx
	jmp	*%ecx
	inc	%eax
3:	lea	4f-2b(%edx), %ecx
	push	%ecx
	ret
	inc	%eax
4:	call	5f
	jmp	6f
5:	add	$100, %eax
	ret
6:	lea	7f-2b(%edx), %ecx
	push	%ecx
	jmp	*(%esp)
7:	pop	%ecx
END odd_branches

/* The address of an instruction that jumps to itself is met each time. */
BEGIN odd_loop_to_itself
	mov	$5, %ecx
1:	loop	1b
	mov	%ecx, %eax
END odd_loop_to_itself

	.pushsection .data.rel.ro.odd, "aw", @progbits
odd_functions_end:
	.popsection
	.section .note.GNU-stack, "", @progbits
