/* SPDX-License-Identifier: MIT */
/**
 * @file group.h
 * Groups: handlers with a filter, attached and detached as one (the kernel's
 * ftrace_ops).
 */
#ifndef FTR_GROUP_H
#define FTR_GROUP_H

#include <ftr/common.h>
#include <ftr/regs.h>
#include <ftr/site.h>

FTR_BEGIN_DECLS

struct ftr_group;

/**
 * An entry handler.  It runs in the thread that called the traced function,
 * before the function's body; possibly inside a signal handler, during thread
 * start or thread exit.  It may do what its context allows.  Traced functions
 * that it reaches run untraced and are counted as missed (unless the group is
 * FTR_GROUP_REENTRANT).  It must return: no C++ exception or longjmp out of it.
 * It stays on its stack: no swapcontext(3) in it.  Registers are kept for it; errno is memory: one that changes it puts it back.
 *
 * @param ip         the site's address (ftr_site_find() gives the site).
 * @param parent_ip  the traced function's return address.
 * @return 0; non-zero cancels this call's exit handler.
 */
typedef int (*ftr_entry_fn)(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			    struct ftr_regs *regs);

/**
 * An exit handler: runs in the thread that returns, between the traced
 * function's last instruction and its caller (<ftr/exit.h>).  The registers are
 * those that the function returned with: the return value is what
 * ftr_regs_return_value() and its relatives say, and may be changed.  What holds
 * for entry handlers holds here.
 *
 * @param ip, parent_ip  as the call's entry handler got them.
 */
typedef void (*ftr_exit_fn)(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
			    struct ftr_regs *regs);

/** Flags of a group. */
enum {
	/** The handler wants a full struct pt_regs: ftr_regs_pt_regs(). */
	FTR_GROUP_REGS = 1,
	/** The handler may change where execution goes on; one such group per site. */
	FTR_GROUP_IPMODIFY = 2,
	/** The handler is also called for traced functions reached from handlers. */
	FTR_GROUP_REENTRANT = 4,
	/** The promise that the handler, and all it calls, was compiled with
	 *  general registers only (-mgeneral-regs-only): nothing vector is saved. */
	FTR_GROUP_NO_SIMD = 8,
	/** Save all vector and mask registers, and mxcsr: for traced functions
	 *  whose callers keep more than the calling convention promises them, as
	 *  ms_abi callers and gcc's -fipa-ra do (FTR_TRACEABLE forbids the
	 *  latter).  Contradicts FTR_GROUP_NO_SIMD. */
	FTR_GROUP_ALL_VECTORS = 16,
	/** i386, with FTR_GROUP_REGS: the kernel's former layout of pt_regs, in which
	 *  &regs->sp is the stack top just before the site's call.  A site is held by
	 *  groups of one layout alone. */
	FTR_GROUP_SP_OVERLAY = 32,
	/** The exit handler is also told of frames that were unwound past or jumped
	 *  over: ftr_regs_unwound(). */
	FTR_GROUP_UNWOUND_EXITS = 64,
	/** Functions no compiler prepared, too (not available in this version). */
	FTR_GROUP_UNINSTRUMENTED = 128
};

/** Options of ftr_group_new().  Set `size` by FTR_GROUP_OPTIONS_INIT. */
struct ftr_group_options {
	size_t size;              /**< sizeof(struct ftr_group_options) as the caller knows it */
	const char *name;         /**< for reports; copied; NULL: "" */
	ftr_entry_fn entry;       /**< NULL: none */
	ftr_exit_fn exit;         /**< NULL: none; without either ftr_group_set_typed() is due */
	void *data;               /**< ftr_group_data() */
	uint32_t flags;           /**< FTR_GROUP_* */
	uint32_t entry_data_size; /**< ftr_entry_data(), bytes; up to FTR_ENTRY_DATA_MAX */
};
#define FTR_GROUP_OPTIONS_INIT { sizeof(struct ftr_group_options), 0, 0, 0, 0, 0, 0 }

/**
 * Make a group; its filter is empty.
 * @param group    receives it; free it by ftr_group_free().
 * @param options  copied.
 * @return 0; -EINVAL: a NULL, a wrong size, an unknown flag, entry data without
 * an exit handler or too much of it, or a non-zero tail;
 * -EOPNOTSUPP: a flag that this version or this architecture does not have, or
 * an exit handler or FTR_GROUP_IPMODIFY where threads have hardware shadow
 * stacks; -ENOMEM; or an error of ftr_init().
 * Context: any thread.
 */
FTR_API int ftr_group_new(struct ftr_group **group, const struct ftr_group_options *options);

/**
 * Free a group that is not attached.
 * @return 0; -EBUSY while it is attached, or while a thread may still be in
 * its handler (after -EDEADLK or -ETIMEDOUT of a detach, or a failed attach that
 * could not wait for it: detach again); -EINVAL if it is not a group; -EDEADLK
 * from a handler that interrupted the library.
 * Context: any thread.
 */
FTR_API int ftr_group_free(struct ftr_group *group);

/** What the options gave as `data`.  Context: async-signal-safe. */
FTR_API void *ftr_group_data(const struct ftr_group *group);

/** The name; never NULL.  Context: async-signal-safe. */
FTR_API const char *ftr_group_name(const struct ftr_group *group);

/** Flags of the filter functions. */
enum {
	FTR_FILTER_REMOVE = 1, /**< take away what matches (as a leading '!') */
	FTR_FILTER_RESET = 2,  /**< forget what was set before */
	FTR_FILTER_PENDING = 4 /**< nothing matched: keep it for modules yet to come */
};

/**
 * Add to, or take from, what the group holds.
 *
 * A pattern is a glob of function names (`*`, `?`, `[a-z]`, `\`), with
 * `module:` before it (a glob too) only in these modules; a leading `!`
 * removes.  Later rules win.  They apply to modules loaded later as well.  The
 * filter of an attached group changes at once, as one batch; if that fails
 * the filter is as it was.
 *
 * @return how many sites the pattern matched; -ENOENT: none (without PENDING;
 * nothing is changed); -EINVAL: NULL, empty, longer than 4,096 bytes, unknown
 * flags; -ENOMEM; or, attached, what ftr_group_attach() returns.
 * Context: any thread, handler.
 */
FTR_API int ftr_group_filter(struct ftr_group *group, const char *pattern, unsigned flags);

/**
 * The same for what the group leaves alone, which wins over the filter.
 * Parameters, result and context as of ftr_group_filter().
 */
FTR_API int ftr_group_exclude(struct ftr_group *group, const char *pattern, unsigned flags);

/**
 * Add or take sites by their addresses (a site's, or its function's).
 * @param ips  n addresses; the sites' modules unloaded, they are forgotten.
 * @return n; -ENOENT if one of them is no site (nothing is changed; the
 * sentence names it); -EINVAL; -ENOMEM; or, attached, as ftr_group_attach().
 * Context: any thread, handler.
 */
FTR_API int ftr_group_filter_ips(struct ftr_group *group, const uintptr_t *ips, size_t n,
				 unsigned flags);

/**
 * Call the group's handlers in these threads alone (the kernel's
 * set_ftrace_pid).  A limited group's handler is called for no thread that is
 * not listed, at once for calls that start later.  An id stands for whatever
 * thread has it: take it off the list when its thread has ended.
 * @param tids  n thread ids (gettid(2)); n = 0: all threads.
 * @return 0; -EINVAL: NULL with n > 0, an id below 1; -ENOMEM; or, attached,
 * what ftr_group_attach() returns.
 * Context: any thread.
 */
FTR_API int ftr_group_limit_threads(struct ftr_group *group, const pid_t *tids, size_t n);

/**
 * Call fn for every site that the filter holds, in the order of addresses.
 * @return what fn returned last (0 if there are none); non-zero ends the walk.
 * -EINVAL for a NULL.  Context: any thread.
 */
FTR_API int ftr_group_for_each(const struct ftr_group *group,
			       int (*fn)(const struct ftr_site *site, void *arg), void *arg);

/**
 * Let the group's sites call its handler: one batch, while the process runs.
 *
 * @return 0;
 *   -EINVAL     not a group, it has no handler, or the filter holds nothing;
 *   -EBUSY      it is attached already; or it is FTR_GROUP_IPMODIFY and
 *               another such group holds one of the sites;
 *   -EILSEQ     a site does not hold the bytes expected there; the sentence
 *               names the site, what was expected and what was found;
 *   -EAGAIN     a thread may stand inside a pad of several nops; or a site wants
 *               a breakpoint, and a thread or a signal's handler blocks
 *               SIGTRAP: try again;
 *   -EOPNOTSUPP the poke strategy that was asked for can't do a site, or threads
 *               have hardware shadow stacks and it takes a breakpoint;
 *   -EACCES     text can't be written; the sentence names the cause;
 *   -ENOSYS     membarrier(2) is no longer allowed, see ftr_init();
 *   -ENOSPC     no room for trampolines within reach of a module;
 *   -ENOMEM, -EIO, -EDEADLK (from a handler that interrupted the library).
 * On any error nothing is changed.
 * Context: any thread, handler.
 */
FTR_API int ftr_group_attach(struct ftr_group *group);

/**
 * Take the group off its sites.  When this returns 0 no handler of the group
 * runs, and none will: its data may be freed.
 *
 * @return 0; -EINVAL: not attached; -EDEADLK: called from inside a handler: the
 * sites are off, but handlers may run, detach again from elsewhere (or, from a
 * handler that interrupted the library, nothing was done: detach again);
 * -ETIMEDOUT: a thread (named in the sentence) stayed inside a handler: the
 * sites are off, detach again; or what a batch returns (see
 * ftr_group_attach()), with nothing changed.  A thread that left a handler by
 * siglongjmp(3) counts as inside until it reaches a site or the library again.
 * Context: any thread.
 */
FTR_API int ftr_group_detach(struct ftr_group *group);

/**
 * As ftr_group_detach(), without a wait: also from inside a handler.
 * @param done  called once no handler of the group runs: before this returns,
 *              or later, from the thread that was the last in a handler (where
 *              that was a signal handler: in there) or from a later call of the
 *              library; with signals blocked.  It may free the group.  NULL: none.
 * @return 0, or an error with nothing changed and done not called.
 * Context: any thread, handler.
 */
FTR_API int ftr_group_detach_async(struct ftr_group *group, void (*done)(void *arg), void *arg);

/** 1 while attached, else 0; -EINVAL if it is not a group.  Context: any thread, handler. */
FTR_API int ftr_group_attached(const struct ftr_group *group);

/**
 * Attach some groups and detach others as one batch: a call sees all of it or
 * nothing.  Then wait as ftr_group_detach() does for the detached.
 * @return as ftr_group_attach() and ftr_group_detach().  Context: any thread.
 */
FTR_API int ftr_group_update(struct ftr_group *const *attach, size_t n_attach,
			     struct ftr_group *const *detach, size_t n_detach);

/** Flags of ftr_update(). */
enum {
	/** Leave out sites that can't be changed now, rather than fail. */
	FTR_UPDATE_PARTIAL = 1
};

/** Options, and result, of ftr_update().  Set `size` by FTR_UPDATE_OPTIONS_INIT. */
struct ftr_update_options {
	size_t size; /**< sizeof(struct ftr_update_options) as the caller knows it */
	struct ftr_group *const *attach; /**< groups to attach */
	size_t n_attach;
	struct ftr_group *const *detach; /**< groups to detach */
	size_t n_detach;
	uint32_t flags;         /**< FTR_UPDATE_PARTIAL or 0 */
	uintptr_t *left_out;    /**< receives addresses of sites, sorted; may be NULL */
	size_t left_out_room;   /**< for how many */
	size_t left_out_count;  /**< set: how many sites were left out */
};
#define FTR_UPDATE_OPTIONS_INIT { sizeof(struct ftr_update_options), 0, 0, 0, 0, 0, 0, 0, 0 }

/**
 * As ftr_group_update(); with FTR_UPDATE_PARTIAL, sites that can't be changed
 * now are left as they are, for all groups of the update: those that want a
 * breakpoint while a thread or a signal's handler blocks SIGTRAP, those with a
 * pad of several nops that a thread may stand in, and those that the forced poke
 * strategy can't do.
 *
 * A group that was attached with sites left out is attached; to try them again
 * let it be in `attach` once more (with or without the flag).  A group that was to
 * be detached and could not be everywhere stays attached where it was left:
 * ftr_group_attached() tells; detach it again.
 *
 * @param options  left_out_count is set; as many addresses as left_out_room has
 *                 room for are stored.
 * @return as ftr_group_update(), and -EINVAL: a wrong size, an unknown flag, a
 * NULL list.  Without an error the count says whether all was done.
 * Context: any thread.
 */
FTR_API int ftr_update(struct ftr_update_options *options);

/** How many calls the group missed by the recursion guard, or because too many
 *  exits were pending.  Context: async-signal-safe. */
FTR_API uint64_t ftr_group_missed(const struct ftr_group *group);

FTR_END_DECLS

#endif /* FTR_GROUP_H */
