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
#define I_STACK0  136 /* the first stack argument */
#define I_STACK1  144
#define I_VECTORS 192 /* 8 of 64 bytes, of which the CPU's width is used */
#define I_SIZE    (192 + 8 * 64)

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

struct image {
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t flags, sp, stack[2], unused[5];
	uint8_t vectors[8][64];
} __attribute__((aligned(64)));

_Static_assert(offsetof(struct image, r15) == I_R15, "r15");
_Static_assert(offsetof(struct image, flags) == I_FLAGS, "flags");
_Static_assert(offsetof(struct image, sp) == I_SP, "sp");
_Static_assert(offsetof(struct image, stack) == I_STACK0, "stack");
_Static_assert(offsetof(struct image, vectors) == I_VECTORS, "vectors");
_Static_assert(sizeof(struct image) == I_SIZE, "size");
#endif

#endif /* TESTS_REGS_IMAGE_H */
