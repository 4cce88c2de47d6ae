/* SPDX-License-Identifier: MIT */
/*
 * What image_call() loads into the registers before a call and stores after it;
 * shared by C and assembly.
 */
#ifndef TESTS_I386_IMAGE_H
#define TESTS_I386_IMAGE_H

#define I_EAX     0
#define I_EBX     4
#define I_ECX     8
#define I_EDX     12
#define I_ESI     16
#define I_EDI     20
#define I_EBP     24
#define I_FLAGS   28
#define I_SP      32 /* stored: at the call; loaded: its remainder by 16 */
#define I_STACK0  36 /* the first stack argument */
#define I_STACK1  40
#define I_MASKS   64  /* k0-7 where the CPU has them */
#define I_VECTORS 128 /* 8 of 64 bytes, of which the CPU's width is used */
#define I_SIZE    (128 + 8 * 64)

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

enum { IMAGE_GENERAL = 7 };

struct image {
	uint32_t general[IMAGE_GENERAL]; /* eax ebx ecx edx esi edi ebp */
	uint32_t flags, sp, stack[2], unused[5];
	uint64_t masks[8];
	uint8_t vectors[8][64];
} __attribute__((aligned(64)));

_Static_assert(offsetof(struct image, flags) == I_FLAGS, "flags");
_Static_assert(offsetof(struct image, sp) == I_SP, "sp");
_Static_assert(offsetof(struct image, stack) == I_STACK0, "stack");
_Static_assert(offsetof(struct image, masks) == I_MASKS, "masks");
_Static_assert(offsetof(struct image, vectors) == I_VECTORS, "vectors");
_Static_assert(sizeof(struct image) == I_SIZE, "size");
#endif

#endif /* TESTS_I386_IMAGE_H */
