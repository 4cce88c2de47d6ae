/* SPDX-License-Identifier: MIT */
/*
 * Flags in a frame, for C and assembly.
 */
#ifndef FTR__X86_FLAGS_H
#define FTR__X86_FLAGS_H

/* Those that sahf and an addition can set: CF PF AF ZF SF OF. */
#define FTR_X86_ARITHMETIC_FLAGS 0x8d5

#ifndef __ASSEMBLER__

#include <stdint.h>

/* What lahf and seto gave: ah and al. */
static inline uint32_t ftr__x86_arithmetic_flags(uint32_t saved)
{
	return ((saved >> 8) & (FTR_X86_ARITHMETIC_FLAGS & 0xff)) | (saved & 1) << 11;
}

#endif /* __ASSEMBLER__ */
#endif
