/* SPDX-License-Identifier: MIT */
/*
 * SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGSYS: ours while probes have breakpoints, so
 * that the application's handlers see a fault of a displaced instruction where
 * that was (B2).  Floor 3.
 */
#ifndef FTR__FAULT_H
#define FTR__FAULT_H

#include "lib/backend.h"

/* A fault in a copy of an instruction. */
struct ftr__fault_place {
	uintptr_t ip;    /* of the original, or behind it */
	uintptr_t again; /* where the copy is to be run again, or goes on */
	const struct ftr__moved_step *step;
};

/* Whether an address is in such a copy, or `behind` the instruction of it; handed
 * down by the floor that knows them.  Called inside the handlers. */
extern bool (*ftr__fault_locate)(uintptr_t ip, bool behind, struct ftr__fault_place *place);

/* Take the signals, or take them again; 0, -EACCES, -ENOMEM.  Under the
 * library's lock. */
int ftr__fault_install(void);
void ftr__fault_uninstall(void);

extern ftr__counter ftr__fault_count;

#endif
