/* SPDX-License-Identifier: MIT */
/*
 * Handlers around functions (T2): closures that take their places.  Floor 5.
 *
 * Once made such a closure stays for ever, for a thread may stand before its first
 * instruction: it serves again for the same handler around the same function.  A thread
 * that comes late calls the function as it is.
 *
 * A thread counts in its node that it is inside, then looks whether the handler is
 * withdrawn; who withdraws it says so, runs membarrier, then looks at all
 * threads' counts.
 */
#ifndef FTR__AROUND_H
#define FTR__AROUND_H

#include "lib/typed.h"

struct ftr__around {
	struct ftr__around *next;
	struct ftr__thunk *thunk;
	const struct ftr_signature *signature;
	ftr_typed_fn fn;
	void *data;
	uintptr_t ip;       /* the function */
	uintptr_t original;
	void *code;
	uint8_t bucket;     /* of threads' counts */
	bool withdrawn, variadic;
};

/* Of this handler around the function: -ENOMEM, -EACCES, -EOPNOTSUPP.  Under the
 * library's lock; in force from ftr__around_begin() on. */
int ftr__around_get(struct ftr__around **around, uintptr_t ip,
		    const struct ftr_signature *signature, ftr_typed_fn fn, void *data);
void ftr__around_begin(struct ftr__around *around, uintptr_t original);

/* No handler begins from now on, but in threads that are inside already. */
void ftr__around_end(struct ftr__around *around);
/* Wait for these, without the lock: 0, -EDEADLK from inside such a handler, or
 * -ETIMEDOUT and who is *late. */
int ftr__around_wait(unsigned buckets, unsigned timeout_ms, pid_t *late);

#endif
