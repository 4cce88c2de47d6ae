/* SPDX-License-Identifier: MIT */
/*
 * Macros of the callers (entry.S): vector registers, by what is saved of them.
 */
#ifndef FTR__X86_64_WIDTHS_H
#define FTR__X86_64_WIDTHS_H

#include "backends/x86/vectors.h"
#include "backends/x86_64/calling.h"
#include "lib/hot.h"

#define ARGS_REGISTERS 0, 1, 2, 3, 4, 5, 6, 7
#define LOW_REGISTERS  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
#define HIGH_REGISTERS 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31

/* Compares ftr__x86_wide_masks with 0. */
	.macro	LOAD_WIDE_MASKS
	movl	ftr__x86_wide_masks(%rip), %ecx
	FIXUP	FIX_MASKS
	testl	%ecx, %ecx
	.endm

	.macro	OPEN_VECTORS size
	leaq	-(\size)(%rsp), %rsp
	andq	$-64, %rsp
	.endm

/* Narrow registers side by side: one wide store instead of several.  Their
 * upper parts are known to be zero. */
	.macro	PACK a, b, scratch
	vinsertf128 $1, %xmm\b, %ymm\a, %ymm\scratch
	vmovaps	%ymm\scratch, \a * 16(%rsp)
	.endm

	.macro	PACK4 a, b, c, d, scratch
	vinserti32x4 $1, %xmm\b, %zmm\a, %zmm\scratch
	vinserti32x4 $2, %xmm\c, %zmm\scratch, %zmm\scratch
	vinserti32x4 $3, %xmm\d, %zmm\scratch, %zmm\scratch
	vmovaps	%zmm\scratch, \a * 16(%rsp)
	.endm

/*
 * rbp = R + frame.  Where a macro jumps to \fn\()_wide... its partner in
 * WIDE_VECTORS, below the function's ret, goes on at the label behind.
 */
	.macro	SAVE_none fn, frame
	andq	$-16, %rsp
	.endm

	.macro	SAVE_sse fn, frame
	OPEN_VECTORS (8 * 16)
	FTR_X86_STORE movaps, xmm, 16, rsp, ARGS_REGISTERS
	.endm

	.macro	SAVE_avx fn, frame
	OPEN_VECTORS (8 * 32)
	vorps	%ymm0, %ymm1, %ymm15
	vorps	%ymm2, %ymm3, %ymm14
	vorps	%ymm4, %ymm15, %ymm15
	vorps	%ymm5, %ymm14, %ymm14
	vorps	%ymm6, %ymm15, %ymm15
	vorps	%ymm7, %ymm14, %ymm14
	vorps	%ymm14, %ymm15, %ymm15
	vextractf128 $1, %ymm15, %xmm15
	vptest	%xmm15, %xmm15
	jnz	.L\fn\()_wide
	PACK 0, 1, 15
	PACK 2, 3, 14
	PACK 4, 5, 15
	PACK 6, 7, 14
.L\fn\()_saved:
	.endm

	.macro	SAVE_avx512 fn, frame
	OPEN_VECTORS (8 * 64)
	vporq	%zmm0, %zmm1, %zmm16
	vporq	%zmm2, %zmm3, %zmm17
	vpternlogq $0xfe, %zmm4, %zmm5, %zmm16	/* or of three */
	vpternlogq $0xfe, %zmm6, %zmm7, %zmm17
	vporq	%zmm16, %zmm17, %zmm16
	vptestmd %zmm16, %zmm16, %k1
	kmovw	%k1, %eax
	testl	$0xfff0, %eax	/* the doublewords above the low 16 bytes */
	jnz	.L\fn\()_wide
	PACK4 0, 1, 2, 3, 16
	PACK4 4, 5, 6, 7, 17
.L\fn\()_saved:
	.endm

	.macro	SAVE_all_sse fn, frame
	stmxcsr	R_MXCSR(%rsp)
	OPEN_VECTORS (16 * 16 - R_MXCSR)
	FTR_X86_STORE movaps, xmm, 16, rsp, LOW_REGISTERS
	.endm

	.macro	SAVE_all_avx fn, frame
	stmxcsr	R_MXCSR(%rsp)
	OPEN_VECTORS (16 * 32 - R_MXCSR)
	FTR_X86_STORE vmovaps, ymm, 32, rsp, LOW_REGISTERS
	.endm

	.macro	SAVE_all_avx512 fn, frame
	stmxcsr	R_MXCSR(%rsp)
	OPEN_VECTORS (32 * 64 + FTR__X86_MASKS_SIZE - R_MXCSR)
	FTR_X86_STORE vmovaps, zmm, 64, rsp, LOW_REGISTERS
	FTR_X86_STORE vmovaps, zmm, 64, rsp, HIGH_REGISTERS
	leaq	32 * 64(%rsp), %rax
	LOAD_WIDE_MASKS
	jne	.L\fn\()_wide
	FTR_X86_STORE kmovw, k, 8, rax, ARGS_REGISTERS
.L\fn\()_saved:
	.endm

	.macro	LOAD_none fn, frame
	.endm

	.macro	LOAD_sse fn, frame
	FTR_X86_LOAD movaps, xmm, 16, rsp, ARGS_REGISTERS
	.endm

	.macro	LOAD_avx fn, frame
	cmpb	$(16 / 16), R_WIDTH - (\frame)(%rbp)
	jne	.L\fn\()_load_wide
	FTR_X86_LOAD vmovaps, xmm, 16, rsp, ARGS_REGISTERS
.L\fn\()_loaded:
	.endm

	.macro	LOAD_avx512 fn, frame
	cmpb	$(16 / 16), R_WIDTH - (\frame)(%rbp)
	jne	.L\fn\()_load_wide
	FTR_X86_LOAD vmovaps, xmm, 16, rsp, ARGS_REGISTERS
.L\fn\()_loaded:
	.endm

	.macro	LOAD_all_sse fn, frame
	FTR_X86_LOAD movaps, xmm, 16, rsp, LOW_REGISTERS
	LOAD_MXCSR \fn, \frame
	.endm

	.macro	LOAD_all_avx fn, frame
	FTR_X86_LOAD vmovaps, ymm, 32, rsp, LOW_REGISTERS
	LOAD_MXCSR \fn, \frame
	.endm

	.macro	LOAD_all_avx512 fn, frame
	FTR_X86_LOAD vmovaps, zmm, 64, rsp, LOW_REGISTERS
	FTR_X86_LOAD vmovaps, zmm, 64, rsp, HIGH_REGISTERS
	leaq	32 * 64(%rsp), %rax
	LOAD_WIDE_MASKS
	jne	.L\fn\()_load_wide
	FTR_X86_LOAD kmovw, k, 8, rax, ARGS_REGISTERS
.L\fn\()_loaded:
	LOAD_MXCSR \fn, \frame
	.endm

/* Also its exception flags, which the psABI lets a call change.  Costs as much
 * as all the rest, so it is not for the hot variants; ldmxcsr even more. */
	.macro	LOAD_MXCSR fn, frame
	stmxcsr	R_MXCSR + 4 - (\frame)(%rbp)
	movl	R_MXCSR - (\frame)(%rbp), %eax
	cmpl	%eax, R_MXCSR + 4 - (\frame)(%rbp)
	je	.L\fn\()_same_mxcsr
	ldmxcsr	R_MXCSR - (\frame)(%rbp)
.L\fn\()_same_mxcsr:
	.endm

	.macro	WIDE_VECTORS kind, fn, frame
	.ifc	\kind, avx
.L\fn\()_wide:
	movb	$(32 / 16), R_WIDTH - (\frame)(%rbp)
	FTR_X86_STORE vmovaps, ymm, 32, rsp, ARGS_REGISTERS
	jmp	.L\fn\()_saved
.L\fn\()_load_wide:
	FTR__LATE .L\fn\()_wide, .L\fn\()_load_wide
	FTR_X86_LOAD vmovaps, ymm, 32, rsp, ARGS_REGISTERS
	jmp	.L\fn\()_loaded
	.endif
	.ifc	\kind, avx512
.L\fn\()_wide:
	movb	$(64 / 16), R_WIDTH - (\frame)(%rbp)
	FTR_X86_STORE vmovaps, zmm, 64, rsp, ARGS_REGISTERS
	jmp	.L\fn\()_saved
.L\fn\()_load_wide:
	FTR__LATE .L\fn\()_wide, .L\fn\()_load_wide
	FTR_X86_LOAD vmovaps, zmm, 64, rsp, ARGS_REGISTERS
	jmp	.L\fn\()_loaded
	.endif
	.ifc	\kind, all_avx512
.L\fn\()_wide:
	FTR_X86_STORE kmovq, k, 8, rax, ARGS_REGISTERS
	jmp	.L\fn\()_saved
.L\fn\()_load_wide:
	FTR__LATE .L\fn\()_wide, .L\fn\()_load_wide
	FTR_X86_LOAD kmovq, k, 8, rax, ARGS_REGISTERS
	jmp	.L\fn\()_loaded
	.endif
	.endm

#endif
