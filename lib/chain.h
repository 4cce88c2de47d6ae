/* SPDX-License-Identifier: MIT */
/*
 * Signals that the library shares with the application (P7): ours comes first,
 * and hands on what is not its own to who had the signal before.  Floor 3.
 */
#ifndef FTR__CHAIN_H
#define FTR__CHAIN_H

#include <signal.h>

#include "lib/compiler.h"

/* Who had a signal before us; a newer record where the application took it
 * again since.  Read by the handler at any time: never freed. */
struct ftr__predecessor {
	struct ftr__predecessor *older;
	struct sigaction action;
	int used; /* with SA_RESETHAND: it was called */
};

struct ftr__chain {
	int sig;
	void (*handler)(int sig, siginfo_t *info, void *ucontext);
	/* Who runs as the predecessor would: its mask, and whether on its stack.
	 * Else all signals are masked, and it runs on the signal stack. */
	bool as_predecessor;
	/* An instruction raises it, and does so again where it is run again. */
	bool raised;
	struct ftr__predecessor *predecessor;
	bool installed;
};

/* Take the signal, or take it again where the application has installed another
 * handler since.  0; -EACCES, -ENOMEM.  Under the library's lock. */
int ftr__chain_install(struct ftr__chain *chain);

/* Give it back to the handler that was there before, if it is still ours. */
void ftr__chain_uninstall(struct ftr__chain *chain);

/* Whether somebody else has, or had, a handler for it. */
bool ftr__chain_hands_on(const struct ftr__chain *chain);

/* In the handler: it is not ours, or not ours alone.  false: nobody handles it, and
 * the default action is taken as the handler returns. */
bool ftr__chain_forward(struct ftr__chain *chain, int sig, siginfo_t *info, void *ucontext);

/* Sent by kill(2) and its like, not raised by an instruction (sigaction(2)). */
FTR__BARE static inline bool ftr__was_sent(const siginfo_t *info)
{
	return info->si_code <= 0;
}

#endif
