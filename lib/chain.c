/* SPDX-License-Identifier: MIT */
/*
 * See chain.h.  Floor 3.
 *
 * Everything here that runs in a handler is FTR__BARE, takes no lock and calls
 * no function outside the library but the application's handlers.
 */
#include "lib/chain.h"

#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "lib/error.h"
#include "lib/sys.h"

/* --- inside a handler ------------------------------------------------------ */

/* End as the default action would, once the handler returns: by the same signal,
 * which tells the same where an instruction raised it. */
FTR__BARE static void take_default(const struct ftr__chain *chain, siginfo_t *info)
{
	/* Zero is SIG_DFL without flags in the kernel's layout on every arch. */
	unsigned long action[8] = { 0 };
	pid_t pid = ftr__sys_getpid(), tid = ftr__sys_gettid();

	ftr__syscall(SYS_rt_sigaction, chain->sig, (long)action, 0, FTR__KERNEL_SIGSET_SIZE, 0, 0);
	if (chain->raised && !ftr__was_sent(info) &&
	    ftr__syscall(SYS_rt_tgsigqueueinfo, pid, tid, chain->sig, (long)info, 0, 0) == 0)
		return;
	ftr__sys_tgkill(pid, tid, chain->sig);
}

FTR__BARE static void run_handler(const struct sigaction *action, int sig, siginfo_t *info,
				  void *ucontext)
{
	/* The mask that the kernel would have set for this handler; it is
	 * undone when the signal returns. */
	uint64_t mask, also;

	__builtin_memcpy(&mask, &((ucontext_t *)ucontext)->uc_sigmask, sizeof mask);
	__builtin_memcpy(&also, &action->sa_mask, sizeof also);
	mask |= also;
	if (!(action->sa_flags & SA_NODEFER))
		mask |= (uint64_t)1 << (sig - 1);
	ftr__sys_sigprocmask(SIG_SETMASK, &mask, NULL);
	if (action->sa_flags & SA_SIGINFO)
		action->sa_sigaction(sig, info, ucontext);
	else
		action->sa_handler(sig);
}

/* A signal of this thread that is being handed on, by the frame that does it. */
struct forwarding {
	const void *context;
	uintptr_t frame;
	struct ftr__predecessor *to;
};

/*
 * Who is next.  A predecessor that was installed over ours and hands on to ours
 * in turn comes here again with the same context, from below the frame that
 * called it: then it is the turn of the one before.  (A new signal may have its
 * context at the same place after a handler was left by siglongjmp(3), but not
 * from a deeper frame.)
 */
FTR__BARE static struct ftr__predecessor *next_in_turn(const struct ftr__chain *chain,
						       const struct forwarding *outer,
						       const void *ucontext, uintptr_t frame)
{
	if (outer->context == ucontext && outer->to && frame < outer->frame)
		return outer->to->older;
	return FTR__FETCH(chain->predecessor);
}

/* What SA_RESETHAND asks for: the handler is called once (sigaction(2)). */
FTR__BARE static bool used_up(struct ftr__predecessor *p)
{
	return (p->action.sa_flags & SA_RESETHAND) &&
	       __atomic_exchange_n(&p->used, 1, __ATOMIC_RELAXED);
}

FTR__BARE __attribute__((noinline)) bool ftr__chain_forward(struct ftr__chain *chain, int sig,
							    siginfo_t *info, void *ucontext)
{
	static __thread struct forwarding current __attribute__((tls_model("initial-exec")));
	struct forwarding outer = current;
	uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
	struct ftr__predecessor *to = next_in_turn(chain, &outer, ucontext, frame);

	/* An instruction's signal can't be ignored. */
	if (!to || to->action.sa_handler == SIG_DFL ||
	    (to->action.sa_handler == SIG_IGN && !ftr__was_sent(info))) {
		take_default(chain, info);
		return false;
	}
	if (to->action.sa_handler == SIG_IGN)
		return true;
	if (used_up(to)) {
		take_default(chain, info);
		return false;
	}
	current = (struct forwarding){ ucontext, frame, to };
	run_handler(&to->action, sig, info, ucontext);
	current = outer;
	return true;
}

/* --- installing ------------------------------------------------------------ */

static bool handles(const struct sigaction *action)
{
	return action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN;
}

/* A record is never freed: a handler may be late.  After a shutdown the one
 * that was put back is found there again, and serves again. */
static bool is_remembered(const struct ftr__chain *chain, const struct sigaction *current)
{
	const struct ftr__predecessor *last = chain->predecessor;

	if (chain->installed || !last || last->action.sa_sigaction != current->sa_sigaction)
		return false;
	/* The others have no use for flags and mask. */
	if (!handles(current))
		return true;
	return last->action.sa_flags == current->sa_flags &&
	       !memcmp(&last->action.sa_mask, &current->sa_mask, sizeof current->sa_mask);
}

static int remember(struct ftr__chain *chain, const struct sigaction *current)
{
	if (is_remembered(chain, current))
		return 0;
	struct ftr__predecessor *before = malloc(sizeof *before);
	if (!before)
		return ftr__fail(ENOMEM, "no memory to remember the handler of signal %d",
				 chain->sig);
	before->action = *current;
	before->used = 0;
	before->older = chain->predecessor;
	FTR__PUBLISH(chain->predecessor, before);
	return 0;
}

bool ftr__chain_hands_on(const struct ftr__chain *chain)
{
	const struct ftr__predecessor *p = chain->predecessor;

	while (p && !handles(&p->action))
		p = p->older;
	return p;
}

/*
 * A trap interrupts no system call, a sent signal does: whether the call goes on
 * after it is for the one to say whom it is for.
 */
static struct sigaction ours(const struct ftr__chain *chain, const struct sigaction *current)
{
	struct sigaction action = { .sa_sigaction = chain->handler };
	int like = SA_RESTART;

	if (!chain->as_predecessor) {
		sigfillset(&action.sa_mask);
	} else if (handles(current)) {
		action.sa_mask = current->sa_mask;
		like |= SA_ONSTACK | SA_NODEFER;
	}
	action.sa_flags = SA_SIGINFO | (like & SA_ONSTACK ? 0 : SA_ONSTACK) |
			  (handles(current) ? current->sa_flags & like : SA_RESTART);
	return action;
}

int ftr__chain_install(struct ftr__chain *chain)
{
	struct sigaction current;

	if (sigaction(chain->sig, NULL, &current) == 0 && current.sa_sigaction == chain->handler)
		return 0;
	int result = remember(chain, &current);
	if (result)
		return result;
	struct sigaction action = ours(chain, &current);
	if (sigaction(chain->sig, &action, NULL))
		return ftr__fail(EACCES, "signal %d can't be taken (errno %d)", chain->sig, errno);
	chain->installed = true;
	return 0;
}

void ftr__chain_uninstall(struct ftr__chain *chain)
{
	static const struct sigaction by_default = { .sa_handler = SIG_DFL };
	struct sigaction current;

	if (!chain->installed)
		return;
	if (sigaction(chain->sig, NULL, &current) == 0 && current.sa_sigaction == chain->handler)
		sigaction(chain->sig,
			  chain->predecessor->used ? &by_default : &chain->predecessor->action,
			  NULL);
	chain->installed = false;
}
