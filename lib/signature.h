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
#include "lib/layout.h"
#include "lib/prototype.h"

struct ftr_signature;

/* -EOPNOTSUPP, -ENOMEM, with a sentence. */
int ftr__signature_make(struct ftr_signature **signature, const struct ftr__prototype *prototype,
			const char *text);
/* Made of the same text. */
bool ftr__signature_same(const struct ftr_signature *a, const struct ftr_signature *b);
/* One user more, one less: the last one frees it. */
const struct ftr_signature *ftr__signature_ref(const struct ftr_signature *signature);
void ftr__signature_unref(const struct ftr_signature *signature);

/* How many arguments are decoded. */
unsigned ftr__signature_count(const struct ftr_signature *signature);
bool ftr__signature_variadic(const struct ftr_signature *signature);

/* Call fn with these arguments; ret may be NULL.  Only as many bytes are stored
 * there as the result's type has. */
void ftr__signature_call(const struct ftr_signature *signature, void *fn, void *ret, void **args);

/*
 * A traced call's values.  Async-signal-safe; nothing is allocated or prepared.
 *
 * fn gets pointers to the arguments of the call whose registers were saved; where
 * it says so, what stands there is the call's from then on.
 */
typedef bool ftr__arguments_fn(void **args, void *arg);
/* Whether whatever stands there is, without its saying so. */
bool ftr__signature_in_place(const struct ftr_signature *signature);
void ftr__signature_arguments(const struct ftr_signature *signature, struct ftr_regs *regs,
			      ftr__arguments_fn *fn, void *arg);

/* How a copy of the arguments lies. */
const struct ftr__layout *ftr__signature_layout(const struct ftr_signature *signature);

/* What a call returned: in `values`, of which x87 and n_x87 are set, to `buffer` of
 * FTR__RESULT_ROOM bytes, or where the function put it; NULL: nothing. */
enum { FTR__RESULT_ROOM = 64 };
void *ftr__signature_result(const struct ftr_signature *signature, struct ftr__values *values,
			    void *buffer);
/* The other way, for what is in a buffer. */
void ftr__signature_set_result(const struct ftr_signature *signature,
			       struct ftr__values *values, const void *buffer);
size_t ftr__signature_result_size(const struct ftr_signature *signature);

/*
 * A function of the signature that calls fn: by libffi itself, with a pointer to
 * what it was made with.  fn first clears the result, but a struct's.
 */
struct ftr__closure_data {
	void *arg;
	size_t result_clear; /* so many words */
};
typedef void ftr__closure_fn(void *cif, void *ret, void **args, void *data);
struct ftr__thunk; /* a closure as libffi has it */
/* -ENOMEM, -EACCES, with a sentence. */
int ftr__thunk_new(struct ftr__thunk **thunk, const struct ftr_signature *signature,
		   ftr__closure_fn *fn, void *arg, void **code);

/* One word, most often, and then few: a call of memset() takes longer. */
static inline void *ftr__closure_begin(const struct ftr__closure_data *data, void *ret)
{
	volatile uintptr_t *word = ret;

	for (size_t i = data->result_clear; i; i--)
		*word++ = 0;
	return data->arg;
}

void ftr__thunk_free(struct ftr__thunk *thunk);

#endif
