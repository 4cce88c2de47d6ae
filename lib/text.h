/* SPDX-License-Identifier: MIT */
/*
 * Writing the program's text (P10).  Floor 1.
 *
 * A window is opened over the patches of a batch, written to in passes and
 * closed.  Two writers: *mprotect* makes merged ranges of pages writable for
 * the window's length; *mem* writes through /proc/self/mem and leaves every
 * mapping as it is.
 */
#ifndef FTR__TEXT_H
#define FTR__TEXT_H

#include "lib/compiler.h"

enum { FTR__PATCH_MAX = 8 };

/* One instruction to be changed. */
struct ftr__patch {
	uintptr_t ip;
	uint8_t before[FTR__PATCH_MAX]; /* expected there now */
	uint8_t after[FTR__PATCH_MAX];
	uint8_t size;   /* how many bytes are written */
	uint8_t length; /* where the instruction (or pad) ends */
	uint8_t occupied; /* a thread may stand inside (lib/rendezvous.h) */
	uint8_t unused;
	uint32_t segment; /* patches of equal segment share one mapping */
};

enum ftr__pass {
	FTR__PASS_BREAKPOINTS, /* the breakpoint over each first byte */
	FTR__PASS_TAILS,       /* all bytes but the first */
	FTR__PASS_HEADS,       /* the first byte */
	FTR__PASS_OLD_TAILS,   /* undo: tails and heads as they were before */
	FTR__PASS_OLD_HEADS
};

struct ftr__text_range {
	uintptr_t start, end;
};

struct ftr__text_window {
	struct ftr__patch *patches; /* sorted by ip */
	size_t n;
	uint8_t breakpoint;
	int mem; /* /proc/self/mem, or -1: the mprotect writer */
	struct ftr__text_range *ranges;
	size_t n_ranges;
};

/* Which writer, "mprotect" or "mem"; strict: mem alone. */
void ftr__text_set_strict(bool strict);
const char *ftr__text_writer(void);

/* 0; -EACCES with a sentence that names the cause; -ENOMEM. */
int ftr__text_open(struct ftr__text_window *window, struct ftr__patch *patches, size_t n,
		   uint8_t breakpoint);

/* 0, or -EACCES: some of the pass may be written. */
int ftr__text_pass(struct ftr__text_window *window, enum ftr__pass pass);

void ftr__text_close(struct ftr__text_window *window);

/* Make the window's pages private to the process. */
void ftr__text_populate(struct ftr__text_window *window);

/* For tests: fail the n-th write to text from now on (1: the next); 0: none. */
extern int ftr__text_fail_after;

#endif
