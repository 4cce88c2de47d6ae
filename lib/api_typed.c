/* SPDX-License-Identifier: MIT */
/*
 * Exports: signatures, closures, typed calls.  Floor 6.
 */
#include <stdlib.h>

#include "lib/core.h"
#include "lib/error.h"
#include "lib/group.h"
#include "lib/record.h"
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
	result = ftr__signature_make(signature, &parsed, prototype);
	ftr__prototype_free(&parsed);
	return result;
}

FTR_API void ftr_signature_free(struct ftr_signature *signature)
{
	if (signature)
		ftr__signature_unref(signature);
}

/* --- closures -------------------------------------------------------------------- */

static void run_closure(void *cif, void *ret, void **args, void *data)
{
	const struct ftr_closure *closure = ftr__closure_begin(data, ret);
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

/* --- groups ---------------------------------------------------------------------- */

struct set_args {
	struct ftr_group *group;
	struct ftr__typing typing;
};

static int set_locked(void *arg)
{
	struct set_args *args = arg;
	struct ftr_group *group = args->group;

	if (!ftr__group_known(group))
		return ftr__fail(EINVAL, "not a group");
	if (group->state != FTR__GROUP_DETACHED)
		return ftr__fail(EBUSY, "the group \"%s\" is attached, or a thread may still be in"
				 " its handler", group->name);
	if (group->member.flags & FTR_GROUP_NO_SIMD)
		return ftr__fail(EINVAL, "typed handlers need vector registers saved, and the group"
				 " \"%s\" has FTR_GROUP_NO_SIMD", group->name);
	if (args->typing.exit && ftr__backend->shadow_stack())
		return ftr__fail(EOPNOTSUPP, "exit handlers are not available to a thread with a"
				 " hardware shadow stack");
	int result = args->typing.exit ? ftr__record_init() : 0;
	return result ? result : ftr__typed_set(group, &args->typing);
}

FTR_API int ftr_group_set_typed(struct ftr_group *group, const struct ftr_signature *signature,
				ftr_typed_entry_fn entry, ftr_typed_fn exit)
{
	struct set_args args = { group, { signature, entry, exit } };

	if (!group || !signature)
		return ftr__fail(EINVAL, "ftr_group_set_typed: NULL");
	if (!entry && !exit)
		return ftr__fail(EINVAL, "ftr_group_set_typed: neither an entry nor an exit"
				 " handler");
	return ftr__core_run(set_locked, &args);
}

/* --- calling on ------------------------------------------------------------------- */

/* Apart, so that calls which can be made need less. */
static __attribute__((noinline, cold)) int cannot_call(const struct ftr_call *call, void **args)
{
	if (!call || (!args && ftr__signature_count(call->signature)))
		return ftr__fail(EINVAL, "ftr_call_original: NULL");
	if (!call->original)
		return ftr__fail(EINVAL, "ftr_call_original: this call is no replaced function's");
	if (ftr__signature_variadic(call->signature))
		return ftr__fail(EOPNOTSUPP, "what was passed beyond \"...\" is not known: name"
				 " these arguments in the prototype");
	return 0;
}

FTR_API int ftr_call_original(struct ftr_call *call, void **args, void *ret)
{
	if (FTR__UNLIKELY(!call || !args || !call->plain)) {
		int result = cannot_call(call, args);
		if (result)
			return result;
	}
	ftr__signature_call(call->signature, call->original, ret, args);
	return 0;
}
