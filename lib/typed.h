/* SPDX-License-Identifier: MIT */
/*
 * Typed calls: what a handler of these sees.  Floor 5.
 */
#ifndef FTR__TYPED_H
#define FTR__TYPED_H

#include "ftr/typed.h"
#include "lib/signature.h"

struct ftr_call {
	uintptr_t ip;
	const struct ftr_signature *signature;
	void *original; /* what ftr_call_original() calls, or NULL */
};

struct ftr_closure {
	struct ftr__thunk *thunk;
	const struct ftr_signature *signature;
	ftr_typed_fn fn;
	void *data;
	void *code;
};

#endif
