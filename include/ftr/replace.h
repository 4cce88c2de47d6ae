/* SPDX-License-Identifier: MIT */
/**
 * @file replace.h
 * Taking functions' places: live patches (the kernel's direct calls).
 *
 * Calls of a replaced function go to another one of the same prototype, by a
 * jump at its site.  Handlers of groups on the site still run, first.  Where a
 * function has no site the jump takes the place of its first instructions, which
 * then run elsewhere; that needs a breakpoint for a moment, threads that are not
 * among these instructions, and no loop that comes back to them.  A function is
 * replaced by one at a time; no group with FTR_GROUP_IPMODIFY may be on its site.
 * Threads that are in the function go on in it.
 */
#ifndef FTR_REPLACE_H
#define FTR_REPLACE_H

#include <ftr/common.h>

FTR_BEGIN_DECLS

/**
 * Let all calls of a function go to another one from now on.
 *
 * @param fn        the function's address, or its site's.
 * @param with      what is called instead; of the same prototype.
 * @param original  receives the address of code that does what fn did, to be
 *                  called like it; also before and after, while fn's module is
 *                  loaded.  May be NULL.
 * @return 0; -EINVAL: a NULL, or with is fn; -EBUSY: it is replaced already, or a
 * group with FTR_GROUP_IPMODIFY is on its site, or a probe among its first
 * instructions; -ENOENT: no function begins there; where there is no site,
 * -EOPNOTSUPP: its first instructions can't make room, or the poke strategy that
 * was asked for can't do that, -EINVAL, -EPERM: as of ftr_probe_new(), -EAGAIN: a
 * thread may stand among them; -EILSEQ, -EAGAIN, -EACCES, -ENOMEM, -ENOSPC, -ENOSYS, -EDEADLK, -EIO: as of
 * ftr_group_attach().  On an error nothing is changed.
 * Context: any thread, handler.
 */
FTR_API int ftr_replace(void *fn, void *with, void **original);

/**
 * Let a replaced function be itself again.  When this returns 0 no call is on
 * its way to what took its place; calls that are there go on.  Of a typed
 * replacement (ftr_replace_typed()) no handler runs any more: its data may be freed.
 *
 * @return 0; -ENOENT: it is not replaced; -EDEADLK: from inside a handler, which
 * may be one of those; -ETIMEDOUT: a thread stayed inside a handler: after these
 * two the function is itself again all the same, and who wants to wait again
 * calls again, from elsewhere (-ENOENT then, too: another restore has waited for
 * it); or what a batch returns (see ftr_group_attach()), with nothing changed.
 * Context: any thread.
 */
FTR_API int ftr_restore(void *fn);

/** One of many replacements: as the parameters of ftr_replace(). */
struct ftr_replacement {
	void *fn;
	void *with;
	void *original; /**< set */
};

/**
 * As ftr_replace() for n functions, in one batch: all or none.
 * @return as ftr_replace(); -EINVAL also if the list is NULL.
 * Context: any thread, handler.
 */
FTR_API int ftr_replace_many(struct ftr_replacement *list, size_t n);

/**
 * As ftr_restore() for n functions, in one batch: all or none.
 * @return as ftr_restore(); -EINVAL: the list is NULL, or has a function twice.
 * Context: any thread.
 */
FTR_API int ftr_restore_many(void *const *fns, size_t n);

FTR_END_DECLS

#endif /* FTR_REPLACE_H */
