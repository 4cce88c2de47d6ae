/* SPDX-License-Identifier: MIT */
/*
 * Where the values of a traced call lie (lib/values.h).
 */
#include "backends/x86/vectors.h"
#include "backends/x86_64/frame.h"
#include "backends/x86_64/typed.h"

void ftr__x86_64_typed_enter(const struct ftr__values *values, void *closure);
void ftr__x86_64_typed_store(void);
void ftr__x86_64_typed_vectors(void);
void ftr__x86_64_typed_give(void);
void ftr__x86_64_typed_take(struct ftr__values *values, void *closure);

FTR__BARE static void find(struct ftr_regs *regs, struct ftr__values *values)
{
	values->regs = regs;
	values->vectors = ftr__x86_vectors_saved(regs, ftr__x86_64_vectors(regs),
						 &values->stride);
	values->stack = ftr__backend->regs_arg(regs, 6);
	values->pt = (uintptr_t)ftr__backend->regs_arg(regs, 0) - offsetof(struct pt_regs, rdi);
}

/* The low halves are all that an argument has. */
FTR__BARE static void put(const struct ftr__values *v, unsigned n_general)
{
	for (unsigned i = 0; i < n_general; i++)
		*ftr__backend->regs_arg(v->regs, i) = v->general[i];
	for (unsigned i = 0; v->vectors && i < v->n_vectors; i++)
		__builtin_memcpy((char *)v->vectors + i * v->stride, v->vector[i], 8);
}

static void (*const store[])(void) = { ftr__x86_64_typed_store };

const struct ftr__typed_ops ftr__x86_64_typed = {
	.find = find,
	.enter = ftr__x86_64_typed_enter,
	.store = store,
	.put = put,
	.give = ftr__x86_64_typed_give,
	.take = ftr__x86_64_typed_take,
	.vectors = ftr__x86_64_typed_vectors,
	.general_at = { offsetof(struct pt_regs, rdi), offsetof(struct pt_regs, rsi),
			offsetof(struct pt_regs, rdx), offsetof(struct pt_regs, rcx),
			offsetof(struct pt_regs, r8), offsetof(struct pt_regs, r9) },
	.n_general = { 6 },
};
