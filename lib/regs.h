/* SPDX-License-Identifier: MIT */
/*
 * The head of every backend's register frame: what generic code may touch.
 * Floor 1.  backends/<arch>/frame.h lays the rest out.
 */
#ifndef FTR__REGS_H
#define FTR__REGS_H

#include <stdint.h>

struct ftr_group;

struct ftr__regs_head {
	/* Whose handler is running: decides what the accessors allow. */
	struct ftr_group *group;
	/* Written at the thread's outermost entry: see ftr__thread_cookie(). */
	uintptr_t cookie;
};

#endif
