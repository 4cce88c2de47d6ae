/* SPDX-License-Identifier: MIT */
/*
 * Return hooks (R1-R5): binding a call to a record at its entry, running the
 * exit handlers at its return.  Floor 5.
 *
 *     site      jmp stub            (lib/jump.h)
 *     stub      push next; jmp slot
 *     slot      push number; jmp caller
 *     caller    ftr__run_hooked(): entry handlers, and a record is bound
 *     cell      drop the return address into the parent; call the body
 *     ...
 *     cell      push the parent's address again, and the record; jmp caller
 *     caller    ftr__run_exits(): exit handlers; the record is free
 *     parent    by ret
 *
 * Each ret belongs to the call before it, as the processor expects.
 */
#ifndef FTR__EXIT_H
#define FTR__EXIT_H

#include "lib/record.h"

/* What the handler that runs was called for: its frame names it
 * (struct ftr__regs_head). */
struct ftr__hooking {
	struct ftr_group *group;    /* whose handler it is */
	void *data;                 /* the group's entry data */
	bool exits;                 /* of an exit handler */
	bool unwound;
	bool live_x87;              /* what the x87 stack had is still there */
	uint8_t n_x87;              /* else, how many values were taken from it */
	long double x87[2];
};

/* Of the running handler with these registers; NULL: its set has no exits. */
struct ftr__hooking *ftr__exit_hooking(const struct ftr_regs *regs);

/* The handler is run with the rights of another group. */
void ftr__exit_give_rights(struct ftr_regs *regs, struct ftr_group *group);

/* What lib/dispatch.c does with such sets in a handler in a handler. */
void ftr__exit_nested(const struct ftr__set *set, uintptr_t ip, uintptr_t parent_ip,
		      struct ftr_regs *regs);

/* No thread's node is to be had for a call: if it is a record's return, the record
 * is free. */
void ftr__exit_lost(const struct ftr__slot_hot *hot);

#endif
