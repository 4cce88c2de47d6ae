/* SPDX-License-Identifier: MIT */
/*
 * Functions without a site whose first instructions make room for a jump
 * (T1, B2).  Floor 4; guarded by the library's lock, but for what the trap handler reads.
 *
 *     function   endbr                     copy   endbr
 *                jmp target                       the instructions moved
 *                ...                              jmp back
 *
 * A landing pad stays.  What the jump covers runs in the copy, which stays for ever:
 * a thread may sleep there.  The jump is written as a site is changed, by a
 * breakpoint; a thread that meets that goes to the copy, or to the target.  Nobody
 * may stand between the instructions that the jump covers, or come back there:
 * P9's rendezvous sees to the first, a look at the whole function to jumps.
 */
#ifndef FTR__PROLOGUE_H
#define FTR__PROLOGUE_H

#include "lib/boundary.h"

struct ftr__prologue {
	uintptr_t fn;
	uintptr_t patch;    /* where the jump is, or comes */
	uintptr_t copy;     /* what does as fn did */
	uint32_t module_number;
	uint8_t length;     /* of the instructions from `patch` that it covers */
	uint8_t found[FTR__PATCH_MAX]; /* the first bytes of these */
	uintptr_t target;   /* 0: no jump is there */
	uintptr_t next_target; /* of an update under way */
	struct ftr__prologue *next;
};

/* Of a function, made where there is none: -ENOENT, -EINVAL, -EILSEQ, -EPERM,
 * -EOPNOTSUPP, -EBUSY (a probe is there), -ENOMEM, -ENOSPC, -EACCES. */
int ftr__prologue_get(struct ftr__prologue **prologue, uintptr_t fn);

/* Let each have its next_target: all or none, in one batch. */
int ftr__prologues_update(struct ftr__prologue **list, size_t n);

/* Whether a jump covers an instruction, which can't be probed meanwhile. */
bool ftr__prologue_covers(uintptr_t addr);

/* In n bytes that were read from text at an address: what jumps stand over. */
void ftr__prologue_original(uintptr_t addr, uint8_t *bytes, size_t n);

/* Whether there ever was a breakpoint here.  In the trap handler. */
bool ftr__prologue_is_touched(uintptr_t addr);

/* Whether the jumps in a module, there are some, are all gone: it was loaded anew at
 * its place. */
bool ftr__prologues_lost(const struct ftr__module *module);
/* A module that is still there was read as another one. */
void ftr__prologues_rehome(const struct ftr__module *from, const struct ftr__module *to);

/* The module that a prologue belongs to; NULL: it is gone. */
struct ftr__module *ftr__prologue_module(const struct ftr__prologue *prologue);

#endif
