/* SPDX-License-Identifier: MIT */
/*
 * Detours, as x86_64 and i386 have them: lib/backend.h tells what they do.
 *
 * A caller is entered with, from sp up,
 *
 *     the return address into the detour
 *     POINT
 *     IP, NEXT, TARGET or where else it goes on
 *     (x86_64: the red zone, 128 bytes)
 *     the program's sp
 */
#ifndef FTR__X86_DETOUR_H
#define FTR__X86_DETOUR_H

/* From a caller's sp to the program's. */
#ifdef __x86_64__
#define FTR__X86_DETOUR_STACK (3 * 8 + 128)
#else
#define FTR__X86_DETOUR_STACK (3 * 4)
#endif

#ifndef __ASSEMBLER__
#include "lib/backend.h"

int ftr__x86_detour_emit(const struct ftr__detour *detour, uint8_t *code, struct ftr__detour_map *map);
#endif
#endif
