/* SPDX-License-Identifier: MIT */
/*
 * The dynamic loader's list of modules.  Floor 4.
 *
 * Lock order: the loader's lock, then the library's, always.  Nothing that may
 * take another lock of the loader (dlopen, dladdr) is called under it.
 */
#ifndef FTR__LOADER_H
#define FTR__LOADER_H

#include <link.h>

#include "lib/compiler.h"

/* How often modules were added and taken away (dl_iterate_phdr(3)). */
struct ftr__loader_state {
	unsigned long long adds, subs;
};

/* A loaded module, copied. */
struct ftr__loaded {
	uintptr_t base;
	char *path;              /* "/proc/self/exe" for the program */
	bool program;
	const ElfW(Phdr) *where; /* of the headers in memory: identity, not for reading */
	ElfW(Phdr) *phdr;
	size_t phnum;
};

struct ftr__loaded_list {
	struct ftr__loaded *list;
	size_t n;
	struct ftr__loader_state state;
};

/* Copy the list, of all namespaces; -ENOMEM.  Free with ftr__loader_free(). */
int ftr__loader_list(struct ftr__loaded_list *list);
void ftr__loader_free(struct ftr__loaded_list *list);

/* Run fn(state, arg) under the loader's lock; what it returned. */
int ftr__loader_locked(int (*fn)(const struct ftr__loader_state *state, void *arg), void *arg);

/* Around a fork: none of our threads holds the loader's lock meanwhile. */
void ftr__loader_before_fork(void);
void ftr__loader_after_fork(bool child);

#endif
