/* SPDX-License-Identifier: MIT */
/*
 * Handlers around functions (T2): closures that take their places.  Floor 5.
 *
 * Once made such a closure stays for ever, for a thread may stand before its first
 * instruction.  It serves again: for the same handler, or, once it was made sure that
 * no thread runs the former one, for any around the same function by the same
 * prototype: so there is one for each function and prototype, and one more for
 * each whose handler was not waited for to its end.  A thread that comes late
 * calls the function as it is, or what is around it by then.
 *
 * A thread notes in its node that it is inside, then looks whether the handler is
 * withdrawn; who withdraws it says so, runs membarrier, then looks at all
 * threads' notes.
 *
 * Of what runs on the thread's own stack the outermost frame is noted: as with
 * groups' handlers (H7) one that was left by longjmp(3) or an exception is known by
 * the stack pointer, on the thread's next call, or where it waits in the kernel.
 * On other stacks (signals', coroutines') they are counted, and who is left in
 * that way stays counted.
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
	unsigned users;     /* replacements that have it, in force or not waited for yet */
	uint8_t bucket;     /* of threads' notes */
	bool withdrawn, variadic;
};

/* Of this handler around the function: -ENOMEM, -EACCES, -EOPNOTSUPP; under the
 * library's lock.  put: it is over, and no thread runs the handler. */
int ftr__around_get(struct ftr__around **around, uintptr_t ip,
		    const struct ftr_signature *signature, ftr_typed_fn fn, void *data);
void ftr__around_put(struct ftr__around *around);
/* Before a call can come here, which goes on to the original; and when all do. */
void ftr__around_prepare(struct ftr__around *around, uintptr_t original);
void ftr__around_begin(struct ftr__around *around);

/* No handler begins from now on, but in threads that are inside already. */
void ftr__around_end(struct ftr__around *around);
/* Wait for these, without the lock: 0, -EDEADLK from inside such a handler, or
 * -ETIMEDOUT and who is *late. */
int ftr__around_wait(unsigned buckets, unsigned timeout_ms, pid_t *late);

#endif
