/* SPDX-License-Identifier: MIT */
/*
 * Where the values of a traced call lie (lib/values.h).  Vector registers carry
 * none here.
 */
#include "backends/i386/frame.h"
#include "backends/i386/typed.h"

void ftr__i386_typed_enter(const struct ftr__values *values, void *closure);
void ftr__i386_typed_store(void);
void ftr__i386_typed_store_fast(void);
void ftr__i386_typed_give(void);
void ftr__i386_typed_take(struct ftr__values *values, void *closure);

FTR__BARE static void find(struct ftr_regs *regs, struct ftr__values *values)
{
	values->regs = regs;
	values->vectors = NULL;
	values->stack = ftr__backend->regs_arg(regs, 0);
}

FTR__BARE static void put(const struct ftr__values *v, unsigned n_general)
{
	struct pt_regs *pt = &v->regs->pt;

	if (v->how == FTR__HOW_FAST) {
		pt->ecx = (long)v->general[0];
		if (n_general > 1)
			pt->edx = (long)v->general[1];
	}
	if (v->how == FTR__HOW_REGPARM) {
		long *const places[] = { &pt->eax, &pt->edx, &pt->ecx };
		for (unsigned i = 0; i < n_general; i++)
			*places[i] = (long)v->general[i];
	}
}

static void (*const store[])(void) = {
	[FTR__HOW_C] = ftr__i386_typed_store,
	[FTR__HOW_FAST] = ftr__i386_typed_store_fast,
	[FTR__HOW_REGPARM] = ftr__i386_typed_store,
};

const struct ftr__typed_ops ftr__i386_typed = {
	.find = find,
	.enter = ftr__i386_typed_enter,
	.store = store,
	.put = put,
	.give = ftr__i386_typed_give,
	.take = ftr__i386_typed_take,
	.n_general = { [FTR__HOW_FAST] = 2, [FTR__HOW_REGPARM] = 3 },
};
