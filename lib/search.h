/* SPDX-License-Identifier: MIT */
/*
 * A search of memory for pcs that lie inside ranges of code: where a thread that
 * was interrupted there is to go on.  Floor 3.
 *
 * It is conservative: any aligned word counts, on a stack or elsewhere, that is an
 * address inside.  A frame of a signal that came on a stack of its own
 * (sigaltstack(2)) leads to the stack that was interrupted.
 */
#ifndef FTR__SEARCH_H
#define FTR__SEARCH_H

#include "lib/compiler.h"
#include "lib/maps.h"

/*
 * Addresses from `after` on, not itself, and below `end`.  occupied: whether a thread
 * may stand there.  enterable: threads come there from outside, or from others of the
 * ranges, and go on to outside: of one that is there nothing is told of the others.
 */
struct ftr__inside {
	uintptr_t after, end;
	bool occupied, enterable;
};

enum { FTR__RESTORERS_MAX = 6 };

struct ftr__search {
	struct ftr__inside *ranges; /* sorted, at least one */
	size_t n;
	int mem;                    /* /proc/self/mem, for reading */
	struct ftr__maps maps;      /* where stacks end */
	/* What handlers of signals return to: marks a signal's frame. */
	struct ftr__restorer {
		uintptr_t ip;
		size_t frame_sp;
	} restorers[FTR__RESTORERS_MAX];
	size_t n_restorers;
};

/* 0, or -ENOMEM, -EACCES with a sentence.  Close it in any case. */
int ftr__search_open(struct ftr__search *s, struct ftr__inside *ranges, size_t n);
void ftr__search_close(struct ftr__search *s);

/* Mark the range as occupied that has `word` inside, or if it is enterable, return
 * true; in any thread, at any time. */
bool ftr__search_word(struct ftr__search *s, uintptr_t word);
bool ftr__search_words(struct ftr__search *s, const uintptr_t *words, size_t n);

/* The same for the words of a stack from sp on, and of those that frames of signals
 * lead to; in any thread, in a handler of a signal, too. */
bool ftr__search_stack(struct ftr__search *s, uintptr_t sp);

/* Reading by system call: at unmapped memory it ends instead of faulting.  How many
 * bytes, or a negative errno. */
long ftr__search_read(const struct ftr__search *s, void *to, size_t size, uintptr_t at);

/* All writable memory that is present, for a GiB at most and until `deadline` by
 * ftr__clock_ms(): whether that was all, and no range was met that is enterable.  One
 * thread at a time. */
bool ftr__search_memory(struct ftr__search *s, uint64_t deadline);

/* Memory of the library's, in whole pages, that holds such addresses and no
 * thread's saved pc: no look at all memory goes there.  Up to 512 times. */
void ftr__search_ignore(uintptr_t start, uintptr_t end);

#endif
