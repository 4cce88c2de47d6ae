/* SPDX-License-Identifier: MIT */
/**
 * @file exit.h
 * Return hooks: what exit handlers see and change, and which functions they
 * leave alone.
 *
 * A group with an exit handler (ftr_group_options.exit) sees each call of its
 * functions return: by a return, that is; a frame that an exception, longjmp(3)
 * or the end of a thread took away is told of where the group asks
 * (FTR_GROUP_UNWOUND_EXITS).  An entry handler that returns non-zero cancels its
 * call's exit.  How many calls of a thread may be pending is bounded
 * (ftr_options.exit_depth): beyond that neither handler of such a group is
 * called, and the call is counted as missed.
 *
 * Exceptions, longjmp, coroutines that change threads, cancellation and
 * debuggers work through hooked functions as through others.
 */
#ifndef FTR_EXIT_H
#define FTR_EXIT_H

#include <ftr/group.h>
#include <ftr/regs.h>

FTR_BEGIN_DECLS

/** The most that ftr_group_options.entry_data_size can be, bytes. */
#define FTR_ENTRY_DATA_MAX 4096

/**
 * The call's data block, from its entry handler to its exit handler: the
 * group's entry_data_size bytes, aligned for any type.  Its contents at entry
 * are whatever they are.
 * @return the block; NULL for a group without one, or where regs is NULL.
 * Context: handlers of the group; async-signal-safe.
 */
FTR_API void *ftr_entry_data(struct ftr_regs *regs);

/** The second register of a returned value (rdx, edx), or 0 for NULL.
 *  Context: handlers. */
FTR_API uintptr_t ftr_regs_return_value2(const struct ftr_regs *regs);

/**
 * Set the second register of a returned value.
 * @return 0; -EINVAL if regs is NULL.  Context: handlers.
 */
FTR_API int ftr_regs_set_return_value2(struct ftr_regs *regs, uintptr_t value);

/**
 * What the function returned on the x87 stack: long double (i386: float and
 * double, too) as value 0, the imaginary part of a complex one as value 1.
 * @return the value; 0 where none was returned there.
 * Context: exit handlers; async-signal-safe.
 */
FTR_API long double ftr_regs_return_x87(const struct ftr_regs *regs, unsigned n);

/**
 * Change what was returned there.
 * @param value  the new one.
 * @return 0; -EINVAL: a NULL, no value n was returned there, or the site's groups
 * all have FTR_GROUP_NO_SIMD.  Context: exit handlers; async-signal-safe.
 */
FTR_API int ftr_regs_set_return_x87(struct ftr_regs *regs, unsigned n, const long double *value);

/** What ftr_regs_unwound() returns for a frame that did not return. */
enum { FTR_EXIT_UNWOUND = 1 };

/**
 * Whether this exit stands for a frame that an exception or a jump took away
 * (FTR_GROUP_UNWOUND_EXITS).  It is called at a later entry or return of a hooked
 * function in the same thread, and the registers are those of that one: there
 * is no return value.  A thread that ends tells of none.
 * @return FTR_EXIT_UNWOUND, or 0.  Context: exit handlers; async-signal-safe.
 */
FTR_API int ftr_regs_unwound(const struct ftr_regs *regs);

/**
 * Change the list of functions that exits leave alone: at those, groups with
 * an exit handler get their entry alone.  By default these are functions that
 * return twice or look at their own return address: setjmp and its relatives,
 * vfork, clone, getcontext, dlopen, dlsym and their like.  It counts for sites
 * that are attached from then on.
 * @param pattern  as of ftr_group_filter(); a leading '!' takes away.
 * @param flags    FTR_FILTER_REMOVE: take away; FTR_FILTER_RESET: forget what was
 *                 there before, the defaults too; or 0.
 * @return 0; -EINVAL: NULL, a wrong pattern, unknown flags; -ENOMEM; or an error
 * of ftr_init().  Context: any thread.
 */
FTR_API int ftr_exits_exclude(const char *pattern, unsigned flags);

/**
 * Call fn for each pattern of that list in its order, those that take away with
 * a leading '!'.
 * @return what fn returned last, 0 if there are none; non-zero ends the walk.
 * -EINVAL: no function; -ENOMEM.  Context: any thread.
 */
FTR_API int ftr_exits_excluded(int (*fn)(const char *pattern, void *arg), void *arg);

FTR_END_DECLS

#endif /* FTR_EXIT_H */
