/* SPDX-License-Identifier: MIT */
/**
 * @file common.h
 * Version, start and stop, errors, statistics, the trap entry.
 */
#ifndef FTR_COMMON_H
#define FTR_COMMON_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/** The version these headers belong to; ftr_version_string() tells the library's. */
#define FTR_VERSION_MAJOR 0
#define FTR_VERSION_MINOR 1
#define FTR_VERSION_PATCH 0

/** Marks what the shared library exports. */
#define FTR_API __attribute__((visibility("default")))

#ifdef __cplusplus
#define FTR_BEGIN_DECLS extern "C" {
#define FTR_END_DECLS   }
#else
#define FTR_BEGIN_DECLS
#define FTR_END_DECLS
#endif

FTR_BEGIN_DECLS

/** The registers as <asm/ptrace.h> and <sys/ptrace.h> lay them out; include
 *  one of these to look inside (not both: they do not compile together). */
struct pt_regs;

/**
 * How a site's instruction is rewritten (ftr_options.poke, environment FTR_POKE).
 * What is asked for is used alone: a site that it can't do makes a call fail with
 * -EOPNOTSUPP.  (Once, to make a site normal, ATOMIC and SKIP stand in for each
 * other.)
 */
enum {
	/** The library chooses, by site and CPU: ATOMIC, else SKIP, else INT3 where
	 *  the CPU's maker allows aligned stores to code that runs (AMD); elsewhere
	 *  INT3.  Where a thread or a handler blocks SIGTRAP stores within a cache
	 *  line take INT3's place.  Environment "auto". */
	FTR_POKE_AUTO,
	FTR_POKE_INT3,   /**< breakpoint, tail, head; environment "int3" */
	FTR_POKE_ATOMIC, /**< one aligned 8-byte store; environment "atomic" */
	FTR_POKE_SKIP    /**< from and to nops: a two-byte jump over the tail
			  *   meanwhile; environment "skip" */
};

/** Flags of ftr_options. */
enum {
	/** Never make the program's text writable: write through /proc/self/mem
	 *  alone (environment FTR_TEXT=strict). */
	FTR_TEXT_STRICT = 1,
	/** Make the pages of all sites private to the process in ftr_init(), so
	 *  that the first batch need not (the first write to a page of a mapped
	 *  file copies it). */
	FTR_TEXT_POPULATE = 2,
	/** Look for sites only in modules that registered themselves by FTR_MODULE. */
	FTR_NO_SCAN = 4
};

/** Options of ftr_init().  Set `size` by FTR_OPTIONS_INIT; zero is each field's default. */
struct ftr_options {
	size_t size;                /**< sizeof(struct ftr_options) as the caller knows it */
	unsigned poke;              /**< FTR_POKE_*; the environment's FTR_POKE wins over AUTO */
	unsigned flags;             /**< FTR_TEXT_STRICT, FTR_TEXT_POPULATE, FTR_NO_SCAN */
	size_t exit_depth;          /**< return hooks: how deep; 0: 4,096 */
	unsigned detach_timeout_ms; /**< how long a detach waits for handlers, ms; 0: 1,000 */
};
#define FTR_OPTIONS_INIT { sizeof(struct ftr_options), 0, 0, 0, 0 }

/**
 * Start the library: look for sites, take over SIGTRAP, register for
 * membarrier(2).  Optional: the first call of any other function does it with
 * the defaults.
 *
 * @param options  NULL for the defaults.
 * @return 0;
 *   -EALREADY    the library is in use already (nothing was changed);
 *   -EINVAL      `size` is too small, an unknown flag or strategy, or a
 *                non-zero tail that this version does not know;
 *   -EOPNOTSUPP  the poke strategy stores to text, and text may not or can't
 *                be made writable (FTR_TEXT_STRICT);
 *   -ENOSYS      the kernel has no membarrier(2) with SYNC_CORE (Linux 4.16);
 *   -ENOMEM, -EACCES  no memory; neither way to write text works.
 * Context: any thread.
 */
FTR_API int ftr_init(const struct ftr_options *options);

/**
 * Detach all groups, wait until no handler runs, put the text back as it was
 * found, give SIGTRAP back.  The groups remain and can be freed, or attached
 * again.  Pads longer than five bytes stay split (a thread may stand there).
 *
 * @return 0; -EDEADLK from inside a handler; -ETIMEDOUT if a thread stays in a
 * handler (text is restored, call again); or what a batch returns (see
 * ftr_group_attach()).
 * Context: any thread.
 */
FTR_API int ftr_shutdown(void);

/** The library's version, "0.1.0".  Context: async-signal-safe. */
FTR_API const char *ftr_version_string(void);

/**
 * A short constant text for an error.
 * @param error  a value that a function of this library returned, or its
 *               positive errno.
 * @return the text; never NULL.  Context: async-signal-safe.
 */
FTR_API const char *ftr_strerror(int error);

/**
 * The sentence about the calling thread's latest failed call: which site, what
 * was expected and what was found.
 * @return the sentence, "" where nothing failed yet; valid until this thread's
 * next failing call.  Context: any thread, handler.
 */
FTR_API const char *ftr_last_error(void);

/** Report of ftr_stats_get(): counts since the start of the process. */
struct ftr_stats {
	size_t size;            /**< sizeof(struct ftr_stats) as the caller knows it */
	uint64_t sites;         /**< sites known now */
	uint64_t sites_refused; /**< places that can't be sites, see ftr_dump() for the reasons */
	uint64_t attached;      /**< sites that call handlers now */
	uint64_t sets;          /**< handler sets in use now */
	uint64_t batches;       /**< batches carried out */
	uint64_t pokes_int3;    /**< instructions rewritten, by strategy */
	uint64_t pokes_atomic;
	uint64_t pokes_skip;
	uint64_t traps;         /**< breakpoints met and resumed */
	uint64_t traps_foreign; /**< SIGTRAPs that were not ours */
	uint64_t syncs;         /**< membarrier(SYNC_CORE) calls */
	uint64_t missed;        /**< calls that ran untraced by a recursion guard */
	uint64_t grace_periods; /**< waits for handlers to end */
	uint64_t last_batch_ns; /**< how long the latest batch took, ns */
	uint64_t probes;        /**< probes enabled now */
	uint64_t probes_forced; /**< batches of breakpoints set while somebody blocked SIGTRAP */
	uint64_t faults;        /**< faults of probed instructions, as told to the program */
};
#define FTR_STATS_INIT \
	{ sizeof(struct ftr_stats), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/**
 * Fill in the statistics; starts the library where it is not in use.
 * @param stats  `size` set by the caller (FTR_STATS_INIT); fields beyond it
 *               are left alone.
 * @return 0; -EINVAL if stats is NULL or `size` is too small.
 * Context: any thread, handler.
 */
FTR_API int ftr_stats_get(struct ftr_stats *stats);

/**
 * Write a text report, as the kernel's enabled_functions: a line for each
 * attached site with its groups and trampoline; then the counts, and the
 * refused places by reason.
 * @param fd  a descriptor open for writing; see write(2).
 * @return 0; -EINVAL for a negative fd; -EIO if writing failed.
 * Context: any thread.
 */
FTR_API int ftr_dump(int fd);

/**
 * The library's part of a SIGTRAP handler, for applications that keep SIGTRAP
 * for themselves: call it first from a handler that was installed with
 * SA_SIGINFO (and every signal masked); where it returns 1 return at once.
 *
 * @param sig       the signal's number.
 * @param info      as given to the handler.
 * @param ucontext  as given to the handler; changed where the trap was ours.
 * @return 1: the trap was ours and is dealt with; 0: it was not.
 * Context: async-signal-safe.
 *
 * Not declared where <signal.h> leaves siginfo_t out (strict C99 without
 * POSIX, which has no SI_USER either).
 */
#ifdef SI_USER
FTR_API int ftr_handle_trap(int sig, siginfo_t *info, void *ucontext);
#endif

FTR_END_DECLS

#endif /* FTR_COMMON_H */
