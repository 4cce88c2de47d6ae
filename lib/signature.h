/* SPDX-License-Identifier: MIT */
/*
 * Signatures: how libffi calls, and is called by, a function of a prototype.
 * Floor 5.  Immutable but for its count of users, so of no lock.
 *
 * lib/signature.c is the one file that sees ffi.h.
 */
#ifndef FTR__SIGNATURE_H
#define FTR__SIGNATURE_H

#include "lib/backend.h"
#include "lib/prototype.h"

struct ftr_signature;

/* -EOPNOTSUPP, -ENOMEM, with a sentence. */
int ftr__signature_make(struct ftr_signature **signature, const struct ftr__prototype *prototype);
/* One user more, one less: the last one frees it. */
const struct ftr_signature *ftr__signature_ref(const struct ftr_signature *signature);
void ftr__signature_unref(const struct ftr_signature *signature);

unsigned ftr__signature_count(const struct ftr_signature *signature);
bool ftr__signature_variadic(const struct ftr_signature *signature);

/* Call fn with these arguments; ret may be NULL.  Only as many bytes are stored
 * there as the result's type has. */
void ftr__signature_call(const struct ftr_signature *signature, void *fn, void *ret, void **args);

/* A function of the signature that calls fn. */
typedef void ftr__closure_fn(void *ret, void **args, void *arg);
struct ftr__thunk; /* a closure as libffi has it */
/* -ENOMEM, -EACCES, with a sentence. */
int ftr__thunk_new(struct ftr__thunk **thunk, const struct ftr_signature *signature,
		   ftr__closure_fn *fn, void *arg, void **code);
void ftr__thunk_free(struct ftr__thunk *thunk);

#endif
