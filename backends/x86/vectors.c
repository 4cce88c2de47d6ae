/* SPDX-License-Identifier: MIT */
/*
 * See vectors.h.
 */
#include "backends/x86/vectors.h"

unsigned ftr__vectors_limit = FTR__X86_AVX512;
uint32_t ftr__x86_wide_masks;

/* SDM volume 1, "Detection of AVX Instructions" and "Detection of AVX-512
 * Instructions": the compiler's run-time library looks at CPUID and at XCR0. */
enum ftr__x86_level ftr__x86_vector_level(void)
{
	enum ftr__x86_level level = FTR__X86_NO_VECTORS;

	__builtin_cpu_init();
	if (__builtin_cpu_supports("sse2"))
		level = FTR__X86_SSE;
	if (__builtin_cpu_supports("avx"))
		level = FTR__X86_AVX;
	if (__builtin_cpu_supports("avx512f"))
		level = FTR__X86_AVX512;
	ftr__x86_wide_masks = __builtin_cpu_supports("avx512bw") != 0;
	return level < ftr__vectors_limit ? level : ftr__vectors_limit;
}

/* Narrow registers lie side by side; what was not saved of each was zero.  From
 * the last on, so that none is overwritten before it was moved. */
static void widen(uint8_t *area, unsigned count, size_t stride, size_t saved)
{
	for (unsigned n = count; n--;)
		for (size_t i = stride; i--;)
			area[n * stride + i] = i < saved ? area[n * saved + i] : 0;
}

FTR__BARE static size_t full_width(const struct ftr__regs_head *head)
{
	return 16 * ((head->mark & FTR__X86_MARK_STRIDE) >> FTR__X86_MARK_STRIDE_SHIFT);
}

FTR__BARE void *ftr__x86_vectors_saved(struct ftr_regs *regs, unsigned count, uintptr_t *stride)
{
	const struct ftr__regs_head *head = (const struct ftr__regs_head *)regs;
	size_t full = full_width(head), more = 0;

	*stride = 16 * ((head->mark & FTR__MARK_WIDTH) >> 8);
	if (!full)
		return NULL;
	if (head->mark & FTR__MARK_ALL)
		more = FTR__X86_ALL_MXCSR + (full == 64 ? FTR__X86_MASKS_SIZE : 0);
	return (void *)ftr__align_down((uintptr_t)regs - count * full - more, 64);
}

void *ftr__x86_vector(struct ftr_regs *regs, unsigned n, unsigned count, size_t *width)
{
	struct ftr__regs_head *head = (struct ftr__regs_head *)regs;
	size_t stride = full_width(head);
	uintptr_t saved;

	if (width)
		*width = stride;
	uint8_t *area = ftr__x86_vectors_saved(regs, count, &saved);
	if (n >= count || !area)
		return NULL;
	if (saved < stride)
		widen(area, count, stride, saved);
	head->mark = (head->mark & ~(uint32_t)FTR__MARK_WIDTH) | (uint32_t)stride / 16 << 8;
	return area + n * stride;
}
