/* SPDX-License-Identifier: MIT */
/*
 * What regs_call() loads into the registers before a call and stores after it;
 * shared by C and assembly.
 */
#ifndef TESTS_REGS_IMAGE_H
#define TESTS_REGS_IMAGE_H

#define I_RAX     0
#define I_RBX     8
#define I_RCX     16
#define I_RDX     24
#define I_RSI     32
#define I_RDI     40
#define I_RBP     48
#define I_R8      56
#define I_R9      64
#define I_R10     72
#define I_R11     80
#define I_R12     88
#define I_R13     96
#define I_R14     104
#define I_R15     112
#define I_FLAGS   120
#define I_SP      128 /* stored: at the call; not loaded */
#define I_STACK   136 /* 4 words: the first stack arguments */
#define I_MXCSR   168
#define I_CONTROL 172 /* of x87; loaded, and stored as part of I_FSAVE */
#define I_X87     176 /* 3 of 16 bytes: st0, st1, st2; loaded */
#define I_FSAVE   224 /* stored: what fnsave gives */
#define I_MASKS   336 /* k0 to k7 */
#define I_VECTORS 448 /* 32 of 64 bytes, of which regs_width are used */
#define I_SIZE    (I_VECTORS + 32 * 64)

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

/* The protected mode format of fnsave (SDM volume 1, "Saving the x87 FPU's
 * State with FSTENV/FNSTENV and FSAVE/FNSAVE"). */
struct fsave {
	uint16_t control, unused0, status, unused1, tags, unused2;
	uint32_t pointers[4];
	uint8_t st[8][10]; /* st0 first */
	uint8_t unused3[4];
};

struct image {
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t flags, sp, stack[4];
	uint32_t mxcsr;
	uint16_t control, unused0;
	uint8_t x87[3][16];
	struct fsave fsave;
	uint64_t masks[8], unused1[6];
	uint8_t vectors[32][64];
} __attribute__((aligned(64)));

_Static_assert(offsetof(struct image, r15) == I_R15, "r15");
_Static_assert(offsetof(struct image, flags) == I_FLAGS, "flags");
_Static_assert(offsetof(struct image, sp) == I_SP, "sp");
_Static_assert(offsetof(struct image, stack) == I_STACK, "stack");
_Static_assert(offsetof(struct image, mxcsr) == I_MXCSR, "mxcsr");
_Static_assert(offsetof(struct image, control) == I_CONTROL, "control");
_Static_assert(offsetof(struct image, x87) == I_X87, "x87");
_Static_assert(offsetof(struct image, fsave) == I_FSAVE, "fsave");
_Static_assert(offsetof(struct fsave, st) == 28, "st");
_Static_assert(offsetof(struct image, masks) == I_MASKS, "masks");
_Static_assert(offsetof(struct image, vectors) == I_VECTORS, "vectors");
_Static_assert(sizeof(struct image) == I_SIZE, "size");
#endif

#endif /* TESTS_REGS_IMAGE_H */
