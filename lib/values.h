/* SPDX-License-Identifier: MIT */
/*
 * Where the arguments or the result of a traced call lie, for C and for the
 * assembly that moves them between the saved registers and libffi
 * (backends/<arch>/typed.S).  Floor 1.
 */
#ifndef FTR__VALUES_H
#define FTR__VALUES_H

#include "lib/hot.h"

/* struct ftr__values */
#define FTR__V_REGS       0
#define FTR__V_VECTORS    (1 * FTR__WORD)
#define FTR__V_STRIDE     (2 * FTR__WORD)
#define FTR__V_STACK      (3 * FTR__WORD)
#define FTR__V_STACK_SIZE (4 * FTR__WORD)
#define FTR__V_X87        (5 * FTR__WORD)
#define FTR__V_N_X87      (6 * FTR__WORD)
#define FTR__V_N_VECTORS  (7 * FTR__WORD)
#define FTR__V_HOW        (8 * FTR__WORD)
#define FTR__V_PT         (9 * FTR__WORD)
#define FTR__V_GENERAL    (10 * FTR__WORD)
#define FTR__V_VECTOR     (16 * FTR__WORD)

/* Which registers, besides those of the C calling convention, have arguments. */
#define FTR__HOW_C       0
#define FTR__HOW_FAST    1 /* i386: ecx, edx; libffi's static chain is eax */
#define FTR__HOW_REGPARM 2 /* i386: eax, edx, ecx; for libffi on the stack */

#ifndef __ASSEMBLER__

#include <stdbool.h>
#include <stddef.h>

struct ftr_regs;

struct ftr__values {
	struct ftr_regs *regs;
	/* Vector register n, its low 16 bytes; NULL: none was saved. */
	void *vectors;
	uintptr_t stride;
	/* Arguments on the stack, in whole words. */
	void *stack;
	uintptr_t stack_size;
	/* What is, or goes, on the x87 stack. */
	long double *x87;
	uintptr_t n_x87;
	/* What libffi gave: of the vector registers so many. */
	uintptr_t n_vectors;
	uintptr_t how;
	/* x86_64: a struct pt_regs, of which the registers that a call may change
	 * are there. */
	uintptr_t pt;
	uintptr_t general[6];
	uint8_t vector[8][16];
};

#define FTR__V_AT(field, offset) \
	_Static_assert(offsetof(struct ftr__values, field) == (offset), #field)
FTR__V_AT(regs, FTR__V_REGS);
FTR__V_AT(vectors, FTR__V_VECTORS);
FTR__V_AT(stride, FTR__V_STRIDE);
FTR__V_AT(stack, FTR__V_STACK);
FTR__V_AT(stack_size, FTR__V_STACK_SIZE);
FTR__V_AT(x87, FTR__V_X87);
FTR__V_AT(n_x87, FTR__V_N_X87);
FTR__V_AT(n_vectors, FTR__V_N_VECTORS);
FTR__V_AT(how, FTR__V_HOW);
FTR__V_AT(pt, FTR__V_PT);
FTR__V_AT(general, FTR__V_GENERAL);
FTR__V_AT(vector, FTR__V_VECTOR);

struct ftr__mended {
	void *fn;
	uint64_t vector;
};

/* What an architecture does with them. */
struct ftr__typed_ops {
	/* Where the values of a call are whose registers were saved: regs, vectors,
	 * stride, stack. */
	void (*find)(struct ftr_regs *regs, struct ftr__values *values);
	/* Call a Go closure of libffi's with the arguments as the traced function
	 * gets them. */
	void (*enter)(const struct ftr__values *values, void *closure);
	/* What libffi calls to put arguments: general, vector, n_vectors and the
	 * stack are stored.  The values are its static chain; by how. */
	void (*const *store)(void);
	/* From there to the registers saved: of the general ones so many. */
	void (*put)(const struct ftr__values *values, unsigned n_general);
	/* What libffi calls to see the result; the values are its static chain. */
	void (*give)(void);
	/* Call a Go closure without arguments; its result is the call's. */
	void (*take)(struct ftr__values *values, void *closure);
	/* What libffi calls to call mended.fn, its static chain, with this in the first
	 * vector register; NULL: these have no arguments. */
	void (*vectors)(void);
	/* Where the n-th general register of FTR__HOW_C is, from values.pt. */
	uint32_t general_at[6];
	/* General registers that are given to arguments at most. */
	unsigned n_general[3];
};

#endif /* __ASSEMBLER__ */
#endif
