/* SPDX-License-Identifier: MIT */
/*
 * Exports: signatures, closures, typed calls.  Floor 6.
 */
#include <stdlib.h>

#include "lib/error.h"
#include "lib/typed.h"

FTR_API int ftr_signature_parse(struct ftr_signature **signature, const char *prototype)
{
	struct ftr__prototype parsed;

	if (!signature || !prototype)
		return ftr__fail(EINVAL, "ftr_signature_parse: NULL");
	*signature = NULL;
	int result = ftr__prototype_parse(&parsed, prototype);
	if (result)
		return result;
	result = ftr__signature_make(signature, &parsed);
	ftr__prototype_free(&parsed);
	return result;
}

FTR_API void ftr_signature_free(struct ftr_signature *signature)
{
	if (signature)
		ftr__signature_unref(signature);
}

/* --- closures -------------------------------------------------------------------- */

static void run_closure(void *ret, void **args, void *arg)
{
	const struct ftr_closure *closure = arg;
	struct ftr_call call = { .ip = (uintptr_t)closure->code,
				 .signature = closure->signature };

	closure->fn(&call, args, ret, closure->data);
}

FTR_API int ftr_closure_new(struct ftr_closure **closure, const struct ftr_signature *signature,
			    ftr_typed_fn fn, void *data, void **code)
{
	if (!closure || !signature || !fn || !code)
		return ftr__fail(EINVAL, "ftr_closure_new: NULL");
	*closure = NULL;
	struct ftr_closure *c = malloc(sizeof *c);
	if (!c)
		return ftr__fail(ENOMEM, "no memory for a closure");
	*c = (struct ftr_closure){ .signature = signature, .fn = fn, .data = data };
	int result = ftr__thunk_new(&c->thunk, signature, run_closure, c, &c->code);
	if (result) {
		free(c);
		return result;
	}
	*closure = c;
	*code = c->code;
	return 0;
}

FTR_API void ftr_closure_free(struct ftr_closure *closure)
{
	if (!closure)
		return;
	ftr__thunk_free(closure->thunk);
	free(closure);
}

FTR_API uintptr_t ftr_call_ip(const struct ftr_call *call)
{
	return call ? call->ip : 0;
}
