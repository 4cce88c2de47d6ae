/* SPDX-License-Identifier: MIT */
/*
 * Vector registers in a frame, for C and assembly.
 *
 * The area lies below struct ftr_regs, aligned down to 64: register n at
 * n * stride, then, with all of AVX-512, the mask registers in 8 bytes each.
 * The stride is the register's full width.  Where all upper parts are zero only
 * the low 16 bytes of each are saved, side by side: storing the rest takes
 * longer than to look, and loading it marks it used (Intel's optimization
 * manual, "Mixing AVX Code With SSE Code": then every legacy SSE instruction
 * pays until the next vzeroupper).  The second byte of the frame's mark says
 * how much of each is in the area.
 */
#ifndef FTR__X86_VECTORS_H
#define FTR__X86_VECTORS_H

#include "lib/hot.h"

/* In FTR__MARK_OWN: the stride, divided by 16.  The bit above is i386's. */
#define FTR__X86_MARK_STRIDE_SHIFT 4
#define FTR__X86_MARK_STRIDE       0x70

/* A frame's first mark: registers of `width` bytes saved at `stride`. */
#define FTR__X86_MARK(bits, stride, width)                                        \
	(FTR__MARK | (bits) | ((stride) / 16) << FTR__X86_MARK_STRIDE_SHIFT |     \
	 ((width) / 16) << 8)

#define FTR__X86_MASKS_SIZE 64

/* Bytes between struct ftr_regs and all vector registers, for mxcsr, where the
 * struct has no room for it. */
#if FTR__WORD == 8
#define FTR__X86_ALL_MXCSR 8
#else
#define FTR__X86_ALL_MXCSR 0
#endif

#ifdef __ASSEMBLER__

/* Store or load registers first to last of `vec` at n * stride(%sp). */
	.macro	FTR_X86_STORE move, vec, stride, sp, regs:vararg
	.irp	n, \regs
	\move	%\vec\n, \n * \stride(%\sp)
	.endr
	.endm

	.macro	FTR_X86_LOAD move, vec, stride, sp, regs:vararg
	.irp	n, \regs
	\move	\n * \stride(%\sp), %\vec\n
	.endr
	.endm

#else

#include "lib/backend.h"

/* What the CPU and the kernel have switched on, for callers to save. */
enum ftr__x86_level {
	FTR__X86_NO_VECTORS,
	FTR__X86_SSE,
	FTR__X86_AVX,
	FTR__X86_AVX512
};

/* At most ftr__vectors_limit. */
enum ftr__x86_level ftr__x86_vector_level(void);

/* For tests: take the CPU for a lesser one in what is attached from now on. */
extern unsigned ftr__vectors_limit __attribute__((visibility("hidden")));

/* Mask registers have 64 bits, not 16.  For the callers. */
extern uint32_t ftr__x86_wide_masks __attribute__((visibility("hidden")));

/* The registers of the frame as they lie there, register n at n * *stride; at
 * least the low 16 bytes of each.  NULL: none was saved. */
void *ftr__x86_vectors_saved(struct ftr_regs *regs, unsigned count, uintptr_t *stride);

/* Register n of the frame at `regs`, saved in full width from now on. */
void *ftr__x86_vector(struct ftr_regs *regs, unsigned n, unsigned count, size_t *width);

#endif /* __ASSEMBLER__ */
#endif
