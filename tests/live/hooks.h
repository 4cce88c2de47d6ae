/* SPDX-License-Identifier: MIT */
/*
 * Groups with exit handlers, and what these saw.
 */
#ifndef TESTS_HOOKS_H
#define TESTS_HOOKS_H

#include "tests/live/live.h"

/** A hook: a group on some functions, and what its handlers saw last. */
struct hook {
	struct ftr_group *group;
	_Atomic unsigned entries, exits, unwound;
	uintptr_t ip, parent_ip, exit_ip, exit_parent_ip;
	uintptr_t value, value2; /* returned */
	bool cancel;             /* what the entry handler returns */
	uintptr_t change;        /* by what the exit handler adds to the value */
	void (*at_exit)(struct hook *hook, struct ftr_regs *regs);
	void *arg;
};

/** Handlers that note what they see; the group's data is the hook. */
int hook_entry(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group, struct ftr_regs *regs);
void hook_exit(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
	       struct ftr_regs *regs);

/** Make the hook's group, with a pattern, or without; attach it. */
void hook_make(struct hook *hook, uint32_t flags, uint32_t data_size);
void hook_attach(struct hook *hook, const char *pattern, uint32_t flags);
/** Detach and free. */
void hook_drop(struct hook *hook);

#endif
