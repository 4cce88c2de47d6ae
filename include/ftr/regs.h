/* SPDX-License-Identifier: MIT */
/**
 * @file regs.h
 * What a handler sees of the thread that reached a site, and may change.
 *
 * A `struct ftr_regs` is valid until the handler it was given to returns.
 * All functions here are async-signal-safe and meant for handlers.
 *
 * The *args* caller (the default) saves what a C call needs; a group made with
 * FTR_GROUP_REGS gets the *regs* caller and a full `struct pt_regs`.
 */
#ifndef FTR_REGS_H
#define FTR_REGS_H

#include <ftr/common.h>

FTR_BEGIN_DECLS

struct ftr_regs;

/** How far below its value a handler may move `sp` in a pt_regs, bytes. */
#define FTR_SP_ROOM 256

/**
 * The full registers, for groups with FTR_GROUP_REGS; NULL for all others,
 * also where another group on the same site asked for them.
 *
 * `ip` is where execution goes on (the instruction after the site); `sp` the
 * stack pointer just before the site's call, so that at a function's entry it
 * points at the return address into the parent; `orig_ax` is -1.  General
 * registers, flags and sp take effect when written, sp down to FTR_SP_ROOM
 * bytes lower; ip needs FTR_GROUP_IPMODIFY and is otherwise put back.
 */
FTR_API struct pt_regs *ftr_regs_pt_regs(struct ftr_regs *regs);

/** Where execution goes on: the instruction after the site, or what was set. */
FTR_API uintptr_t ftr_regs_ip(const struct ftr_regs *regs);

/** The stack pointer just before the site's call. */
FTR_API uintptr_t ftr_regs_sp(const struct ftr_regs *regs);

/** The flags register; with the args caller the arithmetic flags alone
 *  (carry, parity, adjust, zero, sign, overflow). */
FTR_API uintptr_t ftr_regs_flags(const struct ftr_regs *regs);

/**
 * The n-th integer or pointer argument, from 0, by the C calling convention
 * (psABI, "Parameter Passing"): registers first, then the stack.  Floating
 * point arguments do not count.
 */
FTR_API uintptr_t ftr_regs_arg(const struct ftr_regs *regs, unsigned n);

/**
 * Change the n-th integer argument, n as in ftr_regs_arg().
 * @return 0; -EINVAL if regs is NULL.
 */
FTR_API int ftr_regs_set_arg(struct ftr_regs *regs, unsigned n, uintptr_t value);

/**
 * Let execution go on elsewhere: at another function of the same prototype.
 * @return 0; -EPERM if the group was not made with FTR_GROUP_IPMODIFY;
 * -EINVAL if regs is NULL.
 */
FTR_API int ftr_regs_set_ip(struct ftr_regs *regs, uintptr_t ip);

/** The return value register (rax, eax): in an entry handler what
 *  ftr_regs_override_return() set; rax counts vector registers of a variadic call. */
FTR_API uintptr_t ftr_regs_return_value(const struct ftr_regs *regs);

/**
 * Set the return value register.
 * @return 0; -EINVAL if regs is NULL.
 */
FTR_API int ftr_regs_set_return_value(struct ftr_regs *regs, uintptr_t value);

/**
 * The traced function does not run: its caller sees value.  For functions
 * that return in the integer register and do not pop their own arguments.
 * @return 0; -EPERM if the group was not made with FTR_GROUP_IPMODIFY;
 * -EINVAL if regs is NULL.
 */
FTR_API int ftr_regs_override_return(struct ftr_regs *regs, uintptr_t value);

/**
 * A vector register as saved, readable and writable.
 * @param n      its number: 0 to 7, the argument registers; where a group on the
 *               site has FTR_GROUP_ALL_VECTORS any that the CPU has.
 * @param width  where not NULL, receives its width in bytes: 16, 32 or 64, the
 *               CPU's full width; 0: none was saved.
 * @return NULL where it was not saved, and for groups with FTR_GROUP_NO_SIMD.
 */
FTR_API void *ftr_regs_vector(struct ftr_regs *regs, unsigned n, size_t *width);

FTR_END_DECLS

#endif /* FTR_REGS_H */
