/* SPDX-License-Identifier: MIT */
/*
 * The callers of probes: from a detour to the handlers and back.
 *
 * State on entry (backends/x86/detour.h)
 *     (%esp)     return address into the detour
 *     4(%esp)    POINT
 *     8(%esp)    what is ip for the handlers
 *     12(%esp)   is the program's esp
 *     all registers and flags are the program's
 *
 * State on exit
 *     at that return address with the stack as on entry; or, where regs_resume()
 *     said so, there, with esp as in pt_regs.  All general registers, flags,
 *     x87, mxcsr, vector and mask registers as on entry, or as handlers
 *     changed them
 *
 * While handlers run
 *     S = esp on entry
 *     S - ROOM               end of struct ftr_regs (frame.h, flat), which begins at R
 *     below R                vector registers (backends/x86/vectors.h), then what
 *                            fxsave (none: fnsave) gives; aligned by 64
 *
 * The frame is unwound as a signal's: the program is at IP, not behind a call,
 * and every register may be in use there.
 *
 * Stack used below the program's esp, bytes, besides the handlers' own: 12, 272
 * that a handler may lower esp by, 92 for the registers, 512 (none: 112) for x87,
 * up to 63, and 8 * 16, 32 or 64, and 64 for mask registers.
 */
#include "backends/i386/frame.h"
#include "backends/x86/detour.h"
#include "backends/x86/vectors.h"

#define FXSAVE_SIZE 512
#define FNSAVE_SIZE 112

#define REGISTERS 0, 1, 2, 3, 4, 5, 6, 7

	.macro	KEEP reg, at
	movl	%\reg, \at(%esp)
	.cfi_rel_offset %\reg, \at
	.endm

	.macro	SAVE_SEGMENT reg, at
	movl	%\reg, %eax
	movl	%eax, \at(%esp)
	.endm

	.macro	OPEN_VECTORS size
	leal	-(\size)(%esp), %esp
	andl	$-64, %esp
	.endm

	.macro	SAVE_none
	andl	$-64, %esp
	.endm

	.macro	LOAD_none
	.endm

	.macro	SAVE_sse
	OPEN_VECTORS (8 * 16)
	FTR_X86_STORE movaps, xmm, 16, esp, REGISTERS
	.endm

	.macro	LOAD_sse
	FTR_X86_LOAD movaps, xmm, 16, esp, REGISTERS
	.endm

	.macro	SAVE_avx
	OPEN_VECTORS (8 * 32)
	FTR_X86_STORE vmovaps, ymm, 32, esp, REGISTERS
	.endm

	.macro	LOAD_avx
	FTR_X86_LOAD vmovaps, ymm, 32, esp, REGISTERS
	.endm

	.macro	SAVE_masked move
	OPEN_VECTORS (8 * 64 + FTR__X86_MASKS_SIZE)
	FTR_X86_STORE vmovaps, zmm, 64, esp, REGISTERS
	leal	8 * 64(%esp), %eax
	FTR_X86_STORE \move, k, 8, eax, REGISTERS
	.endm

	.macro	LOAD_masked move
	FTR_X86_LOAD vmovaps, zmm, 64, esp, REGISTERS
	leal	8 * 64(%esp), %eax
	FTR_X86_LOAD \move, k, 8, eax, REGISTERS
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

/* The x87 state; a C function may expect that its stack is empty. */
	.macro	SAVE_X87 kind
	.ifc	\kind, none
	leal	-FNSAVE_SIZE(%esp), %esp
	fnsave	(%esp)
	.else
	leal	-FXSAVE_SIZE(%esp), %esp
	fxsave	(%esp)
	fninit
	.endif
	.endm

	.macro	LOAD_X87 kind
	.ifc	\kind, none
	frstor	(%esp)
	.else
	fxrstor	(%esp)
	.endif
	.endm

	.macro	TAKE reg, at
	movl	\at(%esp), %\reg
	.cfi_same_value %\reg
	.endm

/* All but esp and ebp. */
	.macro	LOAD_GENERAL
	TAKE	ebx, R_BX
	TAKE	esi, R_SI
	TAKE	edi, R_DI
	TAKE	eax, R_AX
	TAKE	ecx, R_CX
	TAKE	edx, R_DX
	.endm

#define PROBE_MARK(stride) \
	FTR__X86_MARK(FTR__MARK_WHOLE | FTR__MARK_FILLED | FTR__MARK_ALL | FTR__MARK_PROBE, \
		      stride, stride)

	.macro	PROBE_CALLER when, kind, stride
	.globl	ftr__i386_\when\()_\kind
	.hidden	ftr__i386_\when\()_\kind
	.type	ftr__i386_\when\()_\kind, @function
	.balign	64
ftr__i386_\when\()_\kind:
	.cfi_startproc
	.cfi_signal_frame
	.cfi_def_cfa %esp, FTR__X86_DETOUR_STACK
	.cfi_offset 8, -4	/* eip */
	endbr32
	/* No flag changes before they are in their place. */
	leal	-FTR_I386_ABOVE_FLAT(%esp), %esp
	.cfi_adjust_cfa_offset FTR_I386_ABOVE_FLAT
	pushfl
	.cfi_adjust_cfa_offset 4
	popl	R_FLAGS(%esp)
	.cfi_adjust_cfa_offset -4
	KEEP	ebx, R_BX
	KEEP	ecx, R_CX
	KEEP	edx, R_DX
	KEEP	esi, R_SI
	KEEP	edi, R_DI
	KEEP	ebp, R_BP
	KEEP	eax, R_AX
	leal	FTR_I386_ABOVE_FLAT(%esp), %ebp
	.cfi_def_cfa %ebp, FTR__X86_DETOUR_STACK
	cld
	SAVE_SEGMENT ds, R_DS
	SAVE_SEGMENT es, R_ES
	SAVE_SEGMENT fs, R_FS
	SAVE_SEGMENT gs, R_GS
	SAVE_SEGMENT cs, R_CS
	SAVE_SEGMENT ss, R_SS
	movl	$-1, R_ORIG_AX(%esp)
	movl	8(%ebp), %eax
	movl	%eax, R_IP(%esp)
	leal	FTR__X86_DETOUR_STACK(%ebp), %eax
	movl	%eax, R_SP(%esp)
	movl	$0, R_LAST(%esp)
	movl	$PROBE_MARK(\stride), R_MARK(%esp)
	movl	%esp, %esi
	SAVE_\kind
	movl	%esp, %ebx
	SAVE_X87 \kind
	leal	-16(%esp), %esp
	movl	%esi, (%esp)
	movl	4(%ebp), %eax
	movl	%eax, 4(%esp)
	call	ftr__probe_\when
	leal	16(%esp), %esp
	LOAD_X87 \kind
	movl	%ebx, %esp
	LOAD_\kind
	movl	%esi, %esp
	.cfi_remember_state
	movl	R_LAST(%esp), %ecx
	testl	%ecx, %ecx
	jnz	1f
	/* Back to the detour: the top of the room is free for the flags. */
	movl	R_FLAGS(%esp), %eax
	movl	%eax, FTR_I386_ABOVE_FLAT - 4(%esp)
	.cfi_def_cfa %esp, FTR_I386_ABOVE_FLAT + FTR__X86_DETOUR_STACK
	LOAD_GENERAL
	movl	R_BP(%esp), %ebp
	.cfi_same_value %ebp
	leal	FTR_I386_ABOVE_FLAT - 4(%esp), %esp
	.cfi_def_cfa_offset FTR__X86_DETOUR_STACK + 4
	popfl
	.cfi_def_cfa_offset FTR__X86_DETOUR_STACK
	ret
	.cfi_restore_state
	/*
	 * Elsewhere, N being the new esp.  What is needed last is written below
	 * it, above this frame, where no signal handler can overwrite it:
	 *
	 *     N - 4    where execution goes on
	 *     N - 8    flags
	 *     N - 12   ebp
	 */
1:	movl	R_SP(%esp), %edx
	movl	%ecx, -4(%edx)
	movl	R_FLAGS(%esp), %eax
	movl	%eax, -8(%edx)
	movl	R_BP(%esp), %eax
	movl	%eax, -12(%edx)
	leal	-12(%edx), %edx
	movl	%edx, R_LAST(%esp)
	LOAD_GENERAL
	movl	R_LAST(%esp), %esp
	.cfi_def_cfa %esp, 12
	.cfi_offset 8, -4
	.cfi_offset %ebp, -12
	popl	%ebp
	.cfi_def_cfa_offset 8
	.cfi_same_value %ebp
	popfl
	.cfi_def_cfa_offset 4
	ret
	.cfi_endproc
	.size	ftr__i386_\when\()_\kind, . - ftr__i386_\when\()_\kind
	.endm

	.hidden	ftr__probe_pre
	.hidden	ftr__probe_post

	.text
	PROBE_CALLER	pre, none, 0
	PROBE_CALLER	post, none, 0
	PROBE_CALLER	pre, sse, 16
	PROBE_CALLER	post, sse, 16
	PROBE_CALLER	pre, avx, 32
	PROBE_CALLER	post, avx, 32
	PROBE_CALLER	pre, avx512, 64
	PROBE_CALLER	post, avx512, 64
	PROBE_CALLER	pre, avx512bw, 64
	PROBE_CALLER	post, avx512bw, 64

	.section .note.GNU-stack, "", @progbits
