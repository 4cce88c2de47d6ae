/* SPDX-License-Identifier: MIT */
/*
 * What libffi stores when it puts the arguments of a signature: how many registers
 * are arguments', and how much of the stack.  Floor 5; no state.
 *
 * libffi does not say, and what else it stores is left over from before: in a
 * variadic call that would overwrite arguments that nobody named.  So it is made
 * to put patterns, once, when a signature is made; by them it is found, too, where
 * each argument is that lies in one piece.
 */
#ifndef FTR__STORED_H
#define FTR__STORED_H

#include "lib/backend.h"
#include "lib/prototype.h"

struct ftr__stored {
	unsigned n_general;
	size_t stack_size;
	/* Where the first vector register's value is, if libffi gets that wrong: in
	 * this argument, at this place, so many bytes. */
	bool mend;
	unsigned mend_argument;
	size_t mend_at, mend_size;
};

/* Where an argument lies, all of it. */
struct ftr__argument {
	enum { FTR__NOWHERE, FTR__GENERAL, FTR__VECTOR, FTR__STACK } where;
	/* A narrow integer, of which callers pass 32 bits. */
	enum { FTR__AS_IT_IS, FTR__SIGNED_BYTE, FTR__BYTE, FTR__SIGNED_HALF, FTR__HALF } extend;
	uint32_t at; /* a vector register's number; else bytes, from `pt`, or of the stack */
};

struct ftr__storing {
	unsigned n;        /* arguments; and their sizes */
	size_t sizes[FTR__PARAMETERS_MAX + 1];
	unsigned how;      /* FTR__HOW_* */
	size_t stack_room; /* what they take of the stack at most */
	/* Let libffi put the first n of them. */
	bool (*store)(void *arg, unsigned n, void **args, struct ftr__values *values);
	void *arg;
};

/* -ENOMEM, -EOPNOTSUPP, with a sentence. */
int ftr__stored_find(struct ftr__stored *stored, const struct ftr__storing *storing);

/* Where each of them lies, but for `extend`; false: some do not in one piece, or that
 * is not known. */
bool ftr__stored_places(struct ftr__argument *places, const struct ftr__storing *storing);
/* Pointers to them in a traced call; and, once they may have been changed, narrow ones
 * in all their width.  Async-signal-safe. */
void ftr__stored_point(const struct ftr__argument *places, unsigned n,
		       const struct ftr__values *values, void **args);
void ftr__stored_extend(const struct ftr__argument *places, unsigned n, void **args);

static inline void ftr__stored_mend(const struct ftr__stored *stored, void **args, void *vector)
{
	__builtin_memcpy(vector, (char *)args[stored->mend_argument] + stored->mend_at,
			 stored->mend_size);
}

#endif
