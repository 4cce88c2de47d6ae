/* SPDX-License-Identifier: MIT */
/*
 * Points: instructions that have, or had, a breakpoint for probes.  Floor 4;
 * guarded by the library's lock, but for what the trap handler reads.
 *
 *   1. a point is made, with its detour, and put into the table that the trap
 *      handler looks into
 *   2. `runs` is set, then `enabled`; then the breakpoint is written: a thread
 *      that meets it goes on in the detour, which does what the instruction would
 *   3. the instruction is put back, sync; then `enabled` is cleared: a thread
 *      that trapped before and looks after runs the instruction itself
 *
 * A point and its detour stay for ever: threads may sleep in a detour.  What takes
 * the place of a module that is gone gets the point again where the instruction
 * is the same.
 */
#ifndef FTR__POINT_H
#define FTR__POINT_H

#include "lib/detour.h"
#include "lib/module.h"

enum { FTR__INSN_MAX = 16 };

struct ftr__runs;

struct ftr__point {
	uintptr_t addr;
	const struct ftr__module *module; /* identity; NULL: it is gone */
	uint8_t found[FTR__INSN_MAX];     /* the instruction, and what follows */
	uint8_t room;                     /* how much of that there is */
	uint8_t length;
	bool enabled;
	uintptr_t pre, post;              /* its detours; 0: none */
	struct ftr__detour_map pre_map, post_map;
	const struct ftr__runs *runs;     /* what a thread runs there (lib/probe.h); NULL: nothing */
	/* Of an update under way. */
	struct ftr__runs *next_runs;
	bool touched, changes;
};

/* The point at an address, made where there is none; it is not in the table
 * before ftr__points_publish().  Asked for in the order of addresses.  0, or an
 * error of ftr__detour_make(). */
int ftr__point_get(const struct ftr__module *module, uintptr_t addr, unsigned length,
		   struct ftr__point **point);
/* Let it have a detour for handlers behind the instruction. */
int ftr__point_want_post(struct ftr__point *point);

/* Take all that was made into use: 0, -ENOMEM, -EACCES; or forget it. */
int ftr__points_publish(void);
void ftr__points_drop(void);

struct ftr__point *ftr__point_find(uintptr_t addr);
size_t ftr__point_count(void);
struct ftr__point *ftr__point_at(size_t i); /* in the order of addresses */

/* Copy n bytes of text as they were found. */
void ftr__points_original(uintptr_t addr, uint8_t *bytes, size_t n);

/* Whether a point's text holds what it should; a sentence if not. */
int ftr__point_verify(const struct ftr__point *point);

/* A module that is loaded where a known one was has none of its breakpoints. */
bool ftr__points_lost(const struct ftr__module *module);
/* The module is gone: its points are no more. */
void ftr__points_forget(const struct ftr__module *module);

/* Let the handlers of SIGTRAP and of faults know of points. */
void ftr__points_start(void);

/* Where the pre detour's instruction begins. */
static inline uintptr_t ftr__point_insn(const struct ftr__point *point)
{
	return point->pre + point->pre_map.insn;
}

#endif
