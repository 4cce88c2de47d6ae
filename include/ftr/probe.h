/* SPDX-License-Identifier: MIT */
/**
 * @file probe.h
 * Probes: handlers at any instruction, also of programs that were not compiled to
 * be traced (the kernel's kprobes).
 */
#ifndef FTR_PROBE_H
#define FTR_PROBE_H

#include <ftr/common.h>
#include <ftr/regs.h>

FTR_BEGIN_DECLS

struct ftr_probe;

/**
 * A handler before an instruction.  It runs in the thread that reached it, never
 * in signal context, and sees all registers (ftr_regs_pt_regs()): ip is the
 * probed address, sp what it is there, orig_ax -1.  Changes of general registers,
 * flags and vector registers are in force when it returns; so is that of sp, down to
 * FTR_SP_ROOM bytes lower.  The pt_regs lies on the stack that the instruction found,
 * aligned as that is.
 *
 * Probes that it reaches itself are counted as missed (unless they are
 * FTR_PROBE_REENTRANT).  The code that it interrupts may hold any lock.  It must
 * return: no C++ exception or longjmp out of it.  It puts back errno.
 *
 * @return 0: the instruction runs.  Non-zero: ip was set (ftr_regs_set_ip()), and
 * execution goes on there, past the instruction, its other probes' handlers that
 * would come later, and all post handlers.
 */
typedef int (*ftr_pre_fn)(struct ftr_probe *probe, struct ftr_regs *regs);

/**
 * A handler behind an instruction, which sees and changes the registers as it left
 * them; ip is where execution goes on, and stays so.  It does not run where the
 * instruction leaves by iret or a far jump.
 */
typedef void (*ftr_post_fn)(struct ftr_probe *probe, struct ftr_regs *regs);

/** Flags of a probe. */
enum {
	/** Never reach the handlers by a jump (no probe does in this version). */
	FTR_PROBE_NO_JUMP = 1,
	/** Go on where only certainty is lacking: no function is known around the
	 *  address, or somebody blocks SIGTRAP now. */
	FTR_PROBE_FORCE = 2,
	/** The handlers are also called where the thread is in a handler already. */
	FTR_PROBE_REENTRANT = 4
};

/** How a probe is reached. */
enum ftr_probe_kind {
	FTR_PROBE_SITE,       /**< a site stands there: by its call */
	FTR_PROBE_BREAKPOINT, /**< by a breakpoint, which takes SIGTRAP each time */
	FTR_PROBE_JUMP        /**< by a jump (not in this version) */
};

/** Options of ftr_probe_new().  Set `size` by FTR_PROBE_OPTIONS_INIT. */
struct ftr_probe_options {
	size_t size;        /**< sizeof(struct ftr_probe_options) as the caller knows it */
	const char *symbol; /**< a function, "name" or "module:name"; or NULL: addr counts */
	uintptr_t addr;     /**< an address; 0 with a symbol */
	size_t offset;      /**< added to either */
	ftr_pre_fn pre;     /**< a handler before the instruction, or NULL */
	ftr_post_fn post;   /**< one behind it, or NULL; not both are NULL */
	void *data;         /**< ftr_probe_data() */
	uint32_t flags;     /**< FTR_PROBE_* */
};
#define FTR_PROBE_OPTIONS_INIT { sizeof(struct ftr_probe_options), 0, 0, 0, 0, 0, 0, 0 }

/**
 * Make a probe; it is not enabled.
 *
 * The address is checked: an instruction has to begin there, as is found by
 * decoding from the function's start.  A symbol is looked for in the program, then in
 * the other modules.
 *
 * @param probe    receives it; free it by ftr_probe_free().
 * @param options  copied, the symbol too.
 * @return 0;
 *   -EINVAL     a NULL, no handler, a wrong size or flag, neither or both of
 *               symbol and addr; the address is in no module's code, in the
 *               middle of an instruction or of a site's pad, or in no known
 *               function (without FTR_PROBE_FORCE);
 *   -ENOENT     no module has the symbol;
 *   -EILSEQ     there is no instruction, or a breakpoint or one that is undefined
 *               on purpose; or none before it from which it can be told
 *               (without FTR_PROBE_FORCE);
 *   -EPERM      a restartable sequence, the library's own code, the kernel's,
 *               the code that signals' handlers return to;
 *   -EOPNOTSUPP the instruction can't be run elsewhere, or no handler behind it;
 *   -EBUSY      it is among the first of a function that ftr_replace() gave
 *               another's place to;
 *   -ENOMEM, -EDEADLK; or an error of ftr_init().
 * The sentence says which.
 * Context: any thread.
 */
FTR_API int ftr_probe_new(struct ftr_probe **probe, const struct ftr_probe_options *options);

/**
 * Let the probe's handlers be called.
 *
 * A breakpoint that stays is a danger to who blocks SIGTRAP: a thread that meets it
 * then dies, and the process with it.  Where one does now, or a signal's handler would
 * (its mask, sigaction(2)), the call is refused without FTR_PROBE_FORCE; who begins to
 * block it later is not seen.  C libraries block all signals in parts of thread
 * creation and of posix_spawn(3).
 *
 * @return 0;
 *   -EINVAL     not a probe;
 *   -EBUSY      it is enabled already, or listed twice; a group with
 *               FTR_GROUP_SP_OVERLAY holds its site; or its function was replaced
 *               since it was made, and it is among the instructions that the jump
 *               covers;
 *   -ENOENT     its module was unloaded, and its symbol is in none;
 *   -EILSEQ     the text does not hold the bytes expected there;
 *   -EAGAIN     somebody blocks SIGTRAP, see above; or as ftr_group_attach();
 *   -EOPNOTSUPP no handler can run behind the instruction;
 *   -EACCES, -ENOSYS, -ENOSPC, -ENOMEM, -EDEADLK  as ftr_group_attach();
 *   or, where it was unloaded and loaded anew, as ftr_probe_new().
 * On any error nothing is changed.
 * Context: any thread, handler.
 */
FTR_API int ftr_probe_enable(struct ftr_probe *probe);

/**
 * Take it away again.  When this returns 0 none of its handlers runs, and none
 * will: its data may be freed.
 *
 * @return 0; -EINVAL: not a probe, or not enabled; -EDEADLK: called from inside a
 * handler (the breakpoint is away, disable again from elsewhere), or from one
 * that interrupted the library (nothing was done); -ETIMEDOUT: a thread, named
 * in the sentence, stayed inside a handler: disable again; or what a batch
 * returns (see ftr_group_attach()), with nothing changed.
 * Context: any thread.
 */
FTR_API int ftr_probe_disable(struct ftr_probe *probe);

/**
 * Free a probe that is not enabled.
 * @return 0; -EBUSY while it is enabled, or a thread may be in its handler (after
 * -EDEADLK or -ETIMEDOUT: disable it again); -EINVAL: not a probe; -EDEADLK.
 * Context: any thread.
 */
FTR_API int ftr_probe_free(struct ftr_probe *probe);

/**
 * Enable n probes, all or none: those of breakpoints in one batch, those of sites in
 * another.
 * @param probes  no one twice.
 * @return as ftr_probe_enable(), and -EINVAL for a NULL list or n = 0.
 * Context: any thread, handler.
 */
FTR_API int ftr_probe_enable_many(struct ftr_probe *const *probes, size_t n);

/** Disable n probes likewise.
 * @return as ftr_probe_disable(), and -EINVAL for a NULL list or n = 0.
 * Context: any thread. */
FTR_API int ftr_probe_disable_many(struct ftr_probe *const *probes, size_t n);

/** How it is reached; FTR_PROBE_BREAKPOINT for NULL.  Context: async-signal-safe. */
FTR_API enum ftr_probe_kind ftr_probe_kind(const struct ftr_probe *probe);

/** The probed address.  Context: async-signal-safe. */
FTR_API uintptr_t ftr_probe_addr(const struct ftr_probe *probe);

/** How often the instruction was reached with its handlers called.  Context:
 *  async-signal-safe. */
FTR_API uint64_t ftr_probe_hits(const struct ftr_probe *probe);

/** How often without, by the recursion guard.  Context: async-signal-safe. */
FTR_API uint64_t ftr_probe_missed(const struct ftr_probe *probe);

/** What the options gave as `data`.  Context: async-signal-safe. */
FTR_API void *ftr_probe_data(const struct ftr_probe *probe);

FTR_END_DECLS

#endif /* FTR_PROBE_H */
