/* SPDX-License-Identifier: MIT */
/*
 * Macros of the callers (entry.S): vector registers, by what is saved of them.
 */
#ifndef FTR__I386_WIDTHS_H
#define FTR__I386_WIDTHS_H

#include "backends/x86/vectors.h"
#include "backends/i386/frame.h"

#define REGISTERS 0, 1, 2, 3, 4, 5, 6, 7

	.macro	OPEN_VECTORS size
	leal	-(\size)(%esp), %esp
	andl	$-64, %esp
	.endm

/* esp = R on entry of SAVE_, the area on entry of LOAD_; ebp = R + above. */
	.macro	SAVE_none above
	andl	$-16, %esp
	.endm

	.macro	LOAD_none above
	.endm

	.macro	SAVE_sse above
	OPEN_VECTORS (8 * 16)
	FTR_X86_STORE movaps, xmm, 16, esp, REGISTERS
	.endm

	.macro	LOAD_sse above
	FTR_X86_LOAD movaps, xmm, 16, esp, REGISTERS
	.endm

	.macro	SAVE_avx above
	OPEN_VECTORS (8 * 32)
	FTR_X86_STORE vmovaps, ymm, 32, esp, REGISTERS
	.endm

	.macro	LOAD_avx above
	FTR_X86_LOAD vmovaps, ymm, 32, esp, REGISTERS
	.endm

	.macro	SAVE_avx512 above
	OPEN_VECTORS (8 * 64)
	FTR_X86_STORE vmovaps, zmm, 64, esp, REGISTERS
	.endm

	.macro	LOAD_avx512 above
	FTR_X86_LOAD vmovaps, zmm, 64, esp, REGISTERS
	.endm

	.macro	SAVE_all_sse above
	stmxcsr	R_MXCSR(%esp)
	SAVE_sse \above
	.endm

	.macro	LOAD_all_sse above
	LOAD_sse \above
	LOAD_MXCSR \above
	.endm

	.macro	SAVE_all_avx above
	stmxcsr	R_MXCSR(%esp)
	SAVE_avx \above
	.endm

	.macro	LOAD_all_avx above
	LOAD_avx \above
	LOAD_MXCSR \above
	.endm

	.macro	SAVE_MASKS move
	stmxcsr	R_MXCSR(%esp)
	OPEN_VECTORS (8 * 64 + FTR__X86_MASKS_SIZE)
	FTR_X86_STORE vmovaps, zmm, 64, esp, REGISTERS
	leal	8 * 64(%esp), %eax
	FTR_X86_STORE \move, k, 8, eax, REGISTERS
	.endm

	.macro	LOAD_MASKS move, above
	LOAD_avx512 \above
	leal	8 * 64(%esp), %eax
	FTR_X86_LOAD \move, k, 8, eax, REGISTERS
	LOAD_MXCSR \above
	.endm

	.macro	SAVE_all_avx512 above
	SAVE_MASKS kmovw
	.endm

	.macro	LOAD_all_avx512 above
	LOAD_MASKS kmovw, \above
	.endm

	.macro	SAVE_all_avx512bw above
	SAVE_MASKS kmovq
	.endm

	.macro	LOAD_all_avx512bw above
	LOAD_MASKS kmovq, \above
	.endm

/* Loading it costs more than looking whether it has changed. */
	.macro	LOAD_MXCSR above
	stmxcsr	R_MXCSR + 4 - (\above)(%ebp)
	movl	R_MXCSR - (\above)(%ebp), %eax
	cmpl	%eax, R_MXCSR + 4 - (\above)(%ebp)
	je	.Lsame_mxcsr\@
	ldmxcsr	R_MXCSR - (\above)(%ebp)
.Lsame_mxcsr\@:
	.endm

#endif
