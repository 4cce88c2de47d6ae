/* SPDX-License-Identifier: MIT */
/**
 * @file site.h
 * Sites: the places at functions' entries that the compiler left for us.
 */
#ifndef FTR_SITE_H
#define FTR_SITE_H

#include <ftr/common.h>

FTR_BEGIN_DECLS

/** One site.  It lives as long as its module is loaded; never freed by the user. */
struct ftr_site;
struct ftr_group;

/** What made the site. */
enum ftr_site_kind {
	FTR_SITE_PATCHABLE,   /**< -fpatchable-function-entry */
	FTR_SITE_FENTRY_CALL, /**< -pg -mfentry -mrecord-mcount: a call, made a nop when found */
	FTR_SITE_FENTRY_NOP,  /**< the same with -mnop-mcount */
	FTR_SITE_PROBED       /**< a function no compiler prepared, reached by a jump probe */
};

/** How many sites are known.  Context: any thread, handler. */
FTR_API size_t ftr_site_count(void);

/**
 * Call fn for every site, in the order of addresses.  Modules are neither
 * added nor forgotten before it returns.
 *
 * @param fn   called with each site and arg; non-zero ends the walk.  It may
 *             call the library, but not the loader (dlopen(3), dladdr(3)): the
 *             loader's lock is held.
 * @param arg  handed to fn.
 * @return what fn returned last (0 if there are no sites); -EINVAL if fn is NULL.
 * Context: any thread.
 */
FTR_API int ftr_site_for_each(int (*fn)(const struct ftr_site *site, void *arg), void *arg);

/**
 * The site at an address.
 * @param addr  a site's address, or any address of its function (by the
 *              symbol's size, where the module has symbols).
 * @return the site, or NULL where there is none.
 * Context: async-signal-safe once the library is started.
 */
FTR_API const struct ftr_site *ftr_site_find(uintptr_t addr);

/** The site's address: what a handler gets as `ip`.  Context: async-signal-safe. */
FTR_API uintptr_t ftr_site_ip(const struct ftr_site *site);

/** The address of the site's function (before an endbr).  Context: async-signal-safe. */
FTR_API uintptr_t ftr_site_function(const struct ftr_site *site);

/**
 * The function's name from the symbol table; for a function without a symbol
 * its offset in the module, "0x1139".
 * @return valid as long as the module is loaded.  Context: async-signal-safe.
 */
FTR_API const char *ftr_site_name(const struct ftr_site *site);

/** The module's file name without directories.  Context: async-signal-safe. */
FTR_API const char *ftr_site_module(const struct ftr_site *site);

/** What made the site.  Context: async-signal-safe. */
FTR_API enum ftr_site_kind ftr_site_kind(const struct ftr_site *site);

/**
 * The groups that hold a site, newest first.
 * @param groups  room for n pointers; may be NULL if n is 0.
 * @return how many hold it (may be more than n); -EINVAL for NULL.
 * Context: any thread, handler.
 */
FTR_API int ftr_site_groups(const struct ftr_site *site, struct ftr_group **groups, size_t n);

/**
 * Look for modules that were loaded or unloaded since (every attach does it
 * too), and let the patterns of attached groups take effect on new ones.
 * @return 0 or a negative errno as of ftr_group_attach().
 * Context: any thread.
 */
FTR_API int ftr_sites_refresh(void);

/**
 * Placed once at file scope in a module (program or shared object) of which
 * the section headers may be stripped: registers the module's sites from a
 * constructor and forgets them in a destructor.  Needs `-lftr`.
 */
#define FTR_MODULE                                                                            \
	extern const uintptr_t ftr_module_pfe_start[] __asm__("__start___patchable_function_entries") \
		__attribute__((weak, visibility("hidden")));                                  \
	extern const uintptr_t ftr_module_pfe_stop[] __asm__("__stop___patchable_function_entries")   \
		__attribute__((weak, visibility("hidden")));                                  \
	extern const uintptr_t ftr_module_mcount_start[] __asm__("__start___mcount_loc")      \
		__attribute__((weak, visibility("hidden")));                                  \
	extern const uintptr_t ftr_module_mcount_stop[] __asm__("__stop___mcount_loc")        \
		__attribute__((weak, visibility("hidden")));                                  \
	static struct ftr_module_record ftr_module_record;                                    \
	__attribute__((constructor, no_instrument_function, patchable_function_entry(0)))     \
	static void ftr_module_enter(void)                                                    \
	{                                                                                     \
		ftr_module_record.size = sizeof ftr_module_record;                            \
		ftr_module_record.patchable_start = ftr_module_pfe_start;                     \
		ftr_module_record.patchable_stop = ftr_module_pfe_stop;                       \
		ftr_module_record.mcount_start = ftr_module_mcount_start;                     \
		ftr_module_record.mcount_stop = ftr_module_mcount_stop;                       \
		ftr_module_register(&ftr_module_record);                                      \
	}                                                                                     \
	__attribute__((destructor, no_instrument_function, patchable_function_entry(0)))      \
	static void ftr_module_leave(void)                                                    \
	{                                                                                     \
		ftr_module_unregister(&ftr_module_record);                                    \
	}                                                                                     \
	struct ftr_module_record

/** What FTR_MODULE registers: where the module's tables lie in memory. */
struct ftr_module_record {
	size_t size;                       /**< sizeof(struct ftr_module_record) */
	const uintptr_t *patchable_start;  /**< __patchable_function_entries, or NULL */
	const uintptr_t *patchable_stop;
	const uintptr_t *mcount_start;     /**< __mcount_loc, or NULL */
	const uintptr_t *mcount_stop;
	struct ftr_module_record *next;    /**< the library's */
};

/**
 * Make a module's tables known; FTR_MODULE calls it.  The record must stay
 * until ftr_module_unregister().  Sites appear at the next refresh.
 * @return 0; -EINVAL for a NULL, a wrong size or a table that ends before it starts.
 * Context: any thread, constructors.
 */
FTR_API int ftr_module_register(struct ftr_module_record *record);

/**
 * Forget a module's tables; sites that are attached there are detached from
 * their groups first, without a wait.
 * @return 0; -EINVAL for a record that is not registered.
 * Context: any thread, destructors.
 */
FTR_API int ftr_module_unregister(struct ftr_module_record *record);

/**
 * Makes one function traceable in a file that is compiled without
 * -fpatchable-function-entry.  `noipa` keeps gcc from using what it knows of
 * the function's registers (-fipa-ra), which a handler does not keep.
 */
#if defined(__clang__)
#define FTR_TRACEABLE __attribute__((noinline, patchable_function_entry(5)))
#else
#define FTR_TRACEABLE __attribute__((noipa, patchable_function_entry(5)))
#endif

FTR_END_DECLS

#endif /* FTR_SITE_H */
