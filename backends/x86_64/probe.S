/* SPDX-License-Identifier: MIT */
/*
 * The callers of probes: from a detour to the handlers and back.
 *
 * State on entry (backends/x86/detour.h)
 *     (%rsp)     return address into the detour
 *     8(%rsp)    POINT
 *     16(%rsp)   what is ip for the handlers
 *     24(%rsp)   the red zone; 152(%rsp) is the program's rsp, X below
 *     all registers and flags are the program's
 *
 * State on exit
 *     at that return address with the stack as on entry; or, where regs_resume()
 *     said so, there, with rsp as in pt_regs.  All general registers, flags,
 *     x87, mxcsr, vector and mask registers as on entry, or as handlers
 *     changed them
 *
 * While handlers run
 *     S = rsp on entry
 *     S - ROOM               end of struct ftr_regs (frame.h), which begins at R
 *     below R                vector registers (backends/x86/vectors.h), then what
 *                            fxsave gives; aligned by 64
 *
 * The frame is unwound as a signal's: the program is at IP, not behind a call,
 * and every register may be in use there.
 *
 * Stack used below the program's rsp, bytes, besides the handlers' own: 128 for the
 * red zone, 32, 288 that a handler may lower sp by, 200 for the registers, 512 for
 * fxsave, and up to 63 and 264 (SSE), 520 (AVX) or 2120 (AVX-512).
 */
#include "backends/x86/detour.h"
#include "backends/x86/vectors.h"
#include "backends/x86_64/frame.h"

#define FRAME_SIZE   (REGS_SIZE + FTR_X86_64_ROOM)
#define FXSAVE_SIZE  512
#define RED_ZONE     128

#define LOW_REGISTERS  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
#define HIGH_REGISTERS 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
#define MASKS          0, 1, 2, 3, 4, 5, 6, 7

/* Save a register in the frame, and say so to unwinders. */
	.macro	KEEP reg, at
	movq	%\reg, \at(%rsp)
	.cfi_rel_offset %\reg, \at
	.endm

	.macro	OPEN_VECTORS size
	leaq	-(FTR__X86_ALL_MXCSR + \size)(%rsp), %rsp
	andq	$-64, %rsp
	.endm

	.macro	SAVE_sse
	OPEN_VECTORS (16 * 16)
	FTR_X86_STORE movaps, xmm, 16, rsp, LOW_REGISTERS
	.endm

	.macro	LOAD_sse
	FTR_X86_LOAD movaps, xmm, 16, rsp, LOW_REGISTERS
	.endm

	.macro	SAVE_avx
	OPEN_VECTORS (16 * 32)
	FTR_X86_STORE vmovaps, ymm, 32, rsp, LOW_REGISTERS
	.endm

	.macro	LOAD_avx
	FTR_X86_LOAD vmovaps, ymm, 32, rsp, LOW_REGISTERS
	.endm

	.macro	SAVE_masked move
	OPEN_VECTORS (32 * 64 + FTR__X86_MASKS_SIZE)
	FTR_X86_STORE vmovaps, zmm, 64, rsp, LOW_REGISTERS
	FTR_X86_STORE vmovaps, zmm, 64, rsp, HIGH_REGISTERS
	leaq	32 * 64(%rsp), %rax
	FTR_X86_STORE \move, k, 8, rax, MASKS
	.endm

	.macro	LOAD_masked move
	FTR_X86_LOAD vmovaps, zmm, 64, rsp, LOW_REGISTERS
	FTR_X86_LOAD vmovaps, zmm, 64, rsp, HIGH_REGISTERS
	leaq	32 * 64(%rsp), %rax
	FTR_X86_LOAD \move, k, 8, rax, MASKS
	.endm

	.macro	SAVE_avx512
	SAVE_masked kmovw
	.endm

	.macro	LOAD_avx512
	LOAD_masked kmovw
	.endm

	.macro	SAVE_avx512bw
	SAVE_masked kmovq
	.endm

	.macro	LOAD_avx512bw
	LOAD_masked kmovq
	.endm

#define PROBE_MARK(stride) \
	FTR__X86_MARK(FTR__MARK_WHOLE | FTR__MARK_FILLED | FTR__MARK_ALL | FTR__MARK_PROBE, \
		      stride, stride)

	.macro	PROBE_CALLER when, kind, stride
	.globl	ftr__x86_64_\when\()_\kind
	.hidden	ftr__x86_64_\when\()_\kind
	.type	ftr__x86_64_\when\()_\kind, @function
	.balign	64
ftr__x86_64_\when\()_\kind:
	.cfi_startproc
	.cfi_signal_frame
	.cfi_def_cfa %rsp, FTR__X86_DETOUR_STACK
	.cfi_offset %rip, -(RED_ZONE + 8)
	endbr64
	/* No flag changes before they are pushed to their place. */
	leaq	-(FRAME_SIZE - R_FLAGS - 8)(%rsp), %rsp
	.cfi_adjust_cfa_offset FRAME_SIZE - R_FLAGS - 8
	pushfq
	.cfi_adjust_cfa_offset 8
	leaq	-R_FLAGS(%rsp), %rsp
	.cfi_adjust_cfa_offset R_FLAGS
	KEEP	r15, R_R15
	KEEP	r14, R_R14
	KEEP	r13, R_R13
	KEEP	r12, R_R12
	KEEP	rbp, R_BP
	KEEP	rbx, R_BX
	KEEP	r11, R_R11
	KEEP	r10, R_R10
	KEEP	r9, R_R9
	KEEP	r8, R_R8
	KEEP	rax, R_AX
	KEEP	rcx, R_CX
	KEEP	rdx, R_DX
	KEEP	rsi, R_SI
	KEEP	rdi, R_DI
	leaq	FRAME_SIZE(%rsp), %rbp
	.cfi_def_cfa %rbp, FTR__X86_DETOUR_STACK
	cld
	movq	$-1, R_ORIG_AX(%rsp)
	movq	16(%rbp), %rax
	movq	%rax, R_IP(%rsp)
	movl	%cs, %ecx
	movq	%rcx, R_CS(%rsp)
	leaq	FTR__X86_DETOUR_STACK(%rbp), %rcx
	movq	%rcx, R_SP(%rsp)
	movl	%ss, %ecx
	movq	%rcx, R_SS(%rsp)
	movq	$0, R_LAST(%rsp)
	movl	R_FLAGS(%rsp), %eax
	movabsq	$(PROBE_MARK(\stride) << 32), %rcx
	orq	%rcx, %rax
	movq	%rax, R_SAVED(%rsp)
	movq	%rsp, %rdi
	movq	8(%rbp), %rsi
	SAVE_\kind
	movq	%rsp, %rbx
	leaq	-FXSAVE_SIZE(%rsp), %rsp
	fxsave64 (%rsp)
	/* A C function may expect that the x87 stack is empty. */
	fninit
	call	ftr__probe_\when
	fxrstor64 (%rsp)
	movq	%rbx, %rsp
	LOAD_\kind
	leaq	-FRAME_SIZE(%rbp), %rsp
	.cfi_remember_state
	movq	R_LAST(%rsp), %rcx
	testq	%rcx, %rcx
	jnz	1f
	/* Back to the detour: the top of the room is free for the flags. */
	movq	R_FLAGS(%rsp), %rax
	movq	%rax, FRAME_SIZE - 8(%rsp)
	.cfi_def_cfa %rsp, FRAME_SIZE + FTR__X86_DETOUR_STACK
	LOAD_GENERAL
	movq	R_BP(%rsp), %rbp
	.cfi_same_value %rbp
	leaq	FRAME_SIZE - 8(%rsp), %rsp
	.cfi_def_cfa_offset FTR__X86_DETOUR_STACK + 8
	popfq
	.cfi_def_cfa_offset FTR__X86_DETOUR_STACK
	ret
	.cfi_restore_state
	/*
	 * Elsewhere, N being the new rsp.  What is needed last is written below
	 * its red zone, above this frame, where no signal handler can
	 * overwrite it:
	 *
	 *     N - 136   where execution goes on
	 *     N - 144   rbp
	 *     N - 152   flags
	 */
1:	movq	R_SP(%rsp), %rdx
	movq	%rcx, -(RED_ZONE + 8)(%rdx)
	movq	R_BP(%rsp), %rax
	movq	%rax, -(RED_ZONE + 16)(%rdx)
	movq	R_FLAGS(%rsp), %rax
	movq	%rax, -(RED_ZONE + 24)(%rdx)
	leaq	-(RED_ZONE + 24)(%rdx), %rdx
	movq	%rdx, R_LAST(%rsp)
	LOAD_GENERAL
	movq	R_LAST(%rsp), %rsp
	.cfi_def_cfa %rsp, RED_ZONE + 24
	.cfi_offset %rip, -(RED_ZONE + 8)
	.cfi_offset %rbp, -(RED_ZONE + 16)
	popfq
	.cfi_def_cfa_offset RED_ZONE + 16
	popq	%rbp
	.cfi_def_cfa_offset RED_ZONE + 8
	.cfi_same_value %rbp
	ret	$RED_ZONE
	.cfi_endproc
	.size	ftr__x86_64_\when\()_\kind, . - ftr__x86_64_\when\()_\kind
	.endm

	.macro	TAKE reg, at
	movq	\at(%rsp), %\reg
	.cfi_same_value %\reg
	.endm

/* All but rbp and rsp. */
	.macro	LOAD_GENERAL
	TAKE	r15, R_R15
	TAKE	r14, R_R14
	TAKE	r13, R_R13
	TAKE	r12, R_R12
	TAKE	rbx, R_BX
	TAKE	r11, R_R11
	TAKE	r10, R_R10
	TAKE	r9, R_R9
	TAKE	r8, R_R8
	TAKE	rax, R_AX
	TAKE	rcx, R_CX
	TAKE	rdx, R_DX
	TAKE	rsi, R_SI
	TAKE	rdi, R_DI
	.endm

	.hidden	ftr__probe_pre
	.hidden	ftr__probe_post

	.text
	PROBE_CALLER	pre, sse, 16
	PROBE_CALLER	post, sse, 16
	PROBE_CALLER	pre, avx, 32
	PROBE_CALLER	post, avx, 32
	PROBE_CALLER	pre, avx512, 64
	PROBE_CALLER	post, avx512, 64
	PROBE_CALLER	pre, avx512bw, 64
	PROBE_CALLER	post, avx512bw, 64

	.section .note.GNU-stack, "", @progbits
