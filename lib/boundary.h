/* SPDX-License-Identifier: MIT */
/*
 * Where functions and their instructions begin, in the program's text (B1).
 * Floor 4; guarded by the library's lock and the loader's.
 */
#ifndef FTR__BOUNDARY_H
#define FTR__BOUNDARY_H

#include "lib/module.h"

/* The loaded module that has code at an address; NULL. */
struct ftr__module *ftr__boundary_module(uintptr_t addr);

/* The function of a name, in modules of a name (NULL: any): the program's own
 * first.  0: there is none.  *n: in how many modules there is. */
uintptr_t ftr__boundary_symbol(const char *module, const char *name, unsigned *n);

/* A function, or a part of one that lies by itself. */
struct ftr__boundary {
	struct ftr__module *module;
	uintptr_t start, end; /* end: 0 where it is not known */
	const char *name;     /* of the function that starts at or before; NULL: none */
	uintptr_t named;      /* where that one starts */
};

/*
 * Whether an instruction that may be probed begins at an address, and which.
 * unsure: it does where nothing speaks against it.  0; or, with a sentence,
 *   -EINVAL      not in a module's code, not the begin of an instruction
 *   -EILSEQ      a breakpoint, or what is undefined on purpose; or the code
 *                before it can't be followed to there
 *   -EPERM       a restartable sequence, the library's own code, the kernel's
 *   -EOPNOTSUPP  it can't run elsewhere
 *   -EBUSY       see below
 *   -ENOMEM
 */
int ftr__boundary_check(uintptr_t addr, bool unsure, struct ftr__boundary *around,
			struct ftr__insn *insn);

/* Whether an address is in the middle of what fills up the room behind a function. */
bool ftr__boundary_in_padding(uintptr_t addr);

/* -EBUSY: a jump to what replaces the function is there. */
int ftr__boundary_check_replaced(uintptr_t addr);

#endif
