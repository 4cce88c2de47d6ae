/* SPDX-License-Identifier: MIT */
/*
 * Typed handlers: of groups, and what they and closures see of a call.  Floor 5.
 */
#ifndef FTR__TYPED_H
#define FTR__TYPED_H

#include "ftr/typed.h"
#include "lib/signature.h"

struct ftr_call {
	uintptr_t ip;
	const struct ftr_signature *signature;
	void *original; /* what ftr_call_original() calls, or NULL */
	bool plain;     /* nothing is in its way */
};

struct ftr_closure {
	struct ftr__thunk *thunk;
	const struct ftr_signature *signature;
	ftr_typed_fn fn;
	void *data;
	void *code;
};

/* The typed handlers of a group (lib/group.h has them freed). */
struct ftr__typing {
	const struct ftr_signature *signature; /* referenced */
	ftr_typed_entry_fn entry; /* or NULL */
	ftr_typed_fn exit;        /* or NULL */
};

/* Make them the detached group's handlers.  -ENOMEM, -EOPNOTSUPP. */
int ftr__typed_set(struct ftr_group *group, const struct ftr__typing *typing);
void ftr__typing_free(struct ftr__typing *typing);

#endif
