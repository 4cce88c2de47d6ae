/* SPDX-License-Identifier: MIT */
/*
 * The SIGTRAP handler.  Floor 3.
 *
 * It decides by address alone whether a trap is ours: kernel-made and sent
 * SIGTRAPs merge when both are pending, and then si_code tells of one only.
 * Where a trap is ours but si_code says that somebody sent it, both happened
 * (or the sent one hit a thread at that very address, which does no harm):
 * the emulation is done and the signal handed on as well.
 *
 * Everything here that runs in the handler is FTR__BARE, takes no lock and
 * calls no function outside the library.
 */
#include "lib/trap.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>

#include "lib/error.h"
#include "lib/stub.h"
#include "lib/sys.h"
#include "lib/thread.h"

bool (*ftr__trap_is_site)(uintptr_t addr);
void (*ftr__trap_look)(uintptr_t sp);
void (*ftr__trap_hold)(uintptr_t address);
ftr__counter ftr__trap_count, ftr__trap_foreign_count;

/* Who had SIGTRAP before us; a newer record where the application took it
 * again since.  Records are read by the handler at any time: never freed. */
struct predecessor {
	struct predecessor *older;
	struct sigaction action;
	int used; /* with SA_RESETHAND: it was called */
};
static struct predecessor *predecessor;
static bool installed;

/* The batch under way. */
static struct {
	const struct ftr__patches *patches;
	int committed;
} batch;
static int published;
/* Counts publishing and withdrawing: odd while published. */
static unsigned changes;

/* Threads that may look at `batch` or at the index of sites, counted in two
 * columns: new ones go to the column of `phase`. */
static int readers[2];
static unsigned phase;

void ftr__trap_publish(const struct ftr__patches *patches)
{
	batch.patches = patches;
	FTR__WRITE_ONCE(batch.committed, 0);
	FTR__PUBLISH(published, 1);
	__atomic_fetch_add(&changes, 1, __ATOMIC_SEQ_CST);
}

void ftr__trap_commit(void)
{
	FTR__PUBLISH(batch.committed, 1);
}

void ftr__trap_rollback(void)
{
	FTR__PUBLISH(batch.committed, 0);
}

FTR__BARE unsigned ftr__trap_read_lock(void)
{
	unsigned column = __atomic_load_n(&phase, __ATOMIC_SEQ_CST) & 1;

	__atomic_fetch_add(&readers[column], 1, __ATOMIC_SEQ_CST);
	return column;
}

FTR__BARE void ftr__trap_read_unlock(unsigned token)
{
	__atomic_fetch_sub(&readers[token], 1, __ATOMIC_RELEASE);
}

/* Once new readers go elsewhere, a column runs empty however many there are. */
static void wait_empty(unsigned column)
{
	for (unsigned round = 0; __atomic_load_n(&readers[column], __ATOMIC_SEQ_CST); round++) {
		struct timespec pause = { 0, 50000 };
		if (round < 100)
			sched_yield();
		else
			nanosleep(&pause, NULL);
	}
}

/*
 * A reader counts itself, then loads what was published; here it was
 * withdrawn, then the counts are loaded: a reader that is not counted yet will
 * not find what was withdrawn.  One that chose its column before an earlier
 * phase may stand in either: so both are waited for, as in Linux
 * kernel/rcu/srcutree.c.
 */
void ftr__trap_quiesce(void)
{
	for (int i = 0; i < 2; i++)
		wait_empty(__atomic_fetch_add(&phase, 1, __ATOMIC_SEQ_CST) & 1);
}

void ftr__trap_unpublish(void)
{
	FTR__PUBLISH(published, 0);
	__atomic_fetch_add(&changes, 1, __ATOMIC_SEQ_CST);
	ftr__trap_quiesce();
}

void ftr__trap_forked(void)
{
	readers[0] = readers[1] = 0;
}

/* --- inside the handler --------------------------------------------------- */

FTR__BARE static bool has(const struct ftr__span *span, uintptr_t addr)
{
	size_t low = 0, high = span->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (span->ips[middle] == addr)
			return true;
		if (span->ips[middle] < addr)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* The span of a place; NULL: it is not in the batch. */
FTR__BARE static const struct ftr__span *find(const struct ftr__patches *patches, uintptr_t addr)
{
	size_t low = 0, high = patches->n_spans;

	/* The last span that begins at or before it. */
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (*patches->spans[middle].ips <= addr)
			low = middle;
		else
			high = middle;
	}
	return has(&patches->spans[low], addr) ? &patches->spans[low] : NULL;
}

/* More calls are under way than there are stubs for: once more, until the batch
 * is over.  The pause lets the thread that writes it run. */
FTR__BARE static void wait_at(uintptr_t addr, void *ucontext)
{
	struct timespec pause = { 0, 50000 };

	ftr__syscall(SYS_nanosleep, (long)&pause, 0, 0, 0, 0, 0);
	ftr__backend->trap_resume(ucontext, addr);
}

/* A place of the batch that goes by stores had its breakpoint from an earlier one:
 * old or new is right for it as for the others. */
FTR__BARE static bool resume_from_batch(uintptr_t addr, void *ucontext)
{
	uint8_t bytes[FTR__PATCH_MAX];

	if (!FTR__FETCH(published))
		return false;
	const struct ftr__span *span = find(batch.patches, addr);
	if (!span)
		return false;

	/* A look at the own stack comes before the context changes. */
	void (*look)(uintptr_t) = FTR__FETCH(ftr__trap_look);
	if (look)
		look(ftr__backend->trap_sp(ucontext));
	ftr__span_bytes(&ftr__backend->text, span, addr, FTR__FETCH(batch.committed), bytes);
	if (!ftr__backend->trap_emulate(ucontext, addr, bytes, span->length, ftr__stub_get))
		wait_at(addr, ucontext);
	return true;
}

/* The batch ended between trap and look-up: run what stands there now. */
FTR__BARE static bool resume_late(uintptr_t addr, void *ucontext)
{
	if (FTR__READ_ONCE(*(volatile uint8_t *)addr) == ftr__backend->text.breakpoint)
		return false;
	ftr__backend->trap_resume(ucontext, addr);
	return true;
}

/*
 * A breakpoint that no batch knows is somebody else's: unless a batch began
 * between the two looks.  Its patches were published before it wrote.
 */
FTR__BARE static bool resume_site(uintptr_t addr, void *ucontext)
{
	unsigned seen;

	do {
		seen = __atomic_load_n(&changes, __ATOMIC_SEQ_CST);
		if (resume_from_batch(addr, ucontext))
			return true;
		if (!ftr__trap_is_site || !ftr__trap_is_site(addr))
			return false;
		if (resume_late(addr, ucontext))
			return true;
	} while (__atomic_load_n(&changes, __ATOMIC_SEQ_CST) != seen);
	return false;
}

/* Sent by kill(2) and its like, not raised by an instruction (sigaction(2)). */
FTR__BARE static bool was_sent(const siginfo_t *info)
{
	return info->si_code <= 0;
}

/*
 * A step by the trap flag, or a debug register: no breakpoint was executed, and
 * the address before the next instruction means nothing.  (Such a signal is
 * taken before its thread runs on, so it never stands for a merged one.)
 */
FTR__BARE static bool is_step(const siginfo_t *info)
{
	return info->si_code == TRAP_TRACE || info->si_code == TRAP_HWBKPT;
}

FTR__BARE int ftr__trap_handle(const siginfo_t *info, void *ucontext)
{
	uintptr_t addr = ftr__backend->trap_address(ucontext);
	void (*hold)(uintptr_t) = FTR__READ_ONCE(ftr__trap_hold);

	if (is_step(info))
		return 0;
	if (hold)
		hold(addr);
	unsigned token = ftr__trap_read_lock();
	bool ours = resume_site(addr, ucontext);
	ftr__trap_read_unlock(token);
	if (ours)
		ftr__count(&ftr__trap_count);
	return ours && !was_sent(info);
}

/* End as the default action would: by SIGTRAP, once the handler returns. */
FTR__BARE static void take_default(void)
{
	/* Zero is SIG_DFL without flags in the kernel's layout on every arch. */
	unsigned long action[8] = { 0 };

	ftr__syscall(SYS_rt_sigaction, SIGTRAP, (long)action, 0, FTR__KERNEL_SIGSET_SIZE, 0, 0);
	ftr__sys_tgkill(ftr__sys_getpid(), ftr__sys_gettid(), SIGTRAP);
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
	struct predecessor *to;
};

/*
 * Who is next.  A predecessor that was installed over ours and hands on to ours
 * in turn comes here again with the same context, from below the frame that
 * called it: then it is the turn of the one before.  (A new signal may have its
 * context at the same place after a handler was left by siglongjmp(3), but not
 * from a deeper frame.)
 */
FTR__BARE static struct predecessor *next_in_turn(const struct forwarding *outer,
							 const void *ucontext, uintptr_t frame)
{
	if (outer->context == ucontext && outer->to && frame < outer->frame)
		return outer->to->older;
	return FTR__FETCH(predecessor);
}

/* What SA_RESETHAND asks for: the handler is called once (sigaction(2)). */
FTR__BARE static bool used_up(struct predecessor *p)
{
	return (p->action.sa_flags & SA_RESETHAND) &&
	       __atomic_exchange_n(&p->used, 1, __ATOMIC_RELAXED);
}

/* Hand a signal that is not ours to who had SIGTRAP before. */
FTR__BARE static __attribute__((noinline)) void forward(int sig, siginfo_t *info, void *ucontext)
{
	static __thread struct forwarding current __attribute__((tls_model("initial-exec")));
	struct forwarding outer = current;
	uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
	struct predecessor *to = next_in_turn(&outer, ucontext, frame);

	ftr__count(&ftr__trap_foreign_count);
	if (!to || to->action.sa_handler == SIG_DFL ||
	    (to->action.sa_handler == SIG_IGN && !was_sent(info))) {
		take_default();
		return;
	}
	if (to->action.sa_handler == SIG_IGN)
		return;
	if (used_up(to)) {
		take_default();
		return;
	}
	current = (struct forwarding){ ucontext, frame, to };
	run_handler(&to->action, sig, info, ucontext);
	current = outer;
}

FTR__BARE static void handler(int sig, siginfo_t *info, void *ucontext)
{
	if (!ftr__trap_handle(info, ucontext))
		forward(sig, info, ucontext);
}

/* --- installing ------------------------------------------------------------ */

/* A record is never freed: a handler may be late.  After a shutdown the one
 * that was put back is found there again, and serves again. */
static bool is_remembered(const struct sigaction *current)
{
	const struct predecessor *last = predecessor;

	if (installed || !last || last->action.sa_sigaction != current->sa_sigaction)
		return false;
	/* These have no use for flags and mask. */
	if (current->sa_handler == SIG_DFL || current->sa_handler == SIG_IGN)
		return true;
	return last->action.sa_flags == current->sa_flags &&
	       !memcmp(&last->action.sa_mask, &current->sa_mask, sizeof current->sa_mask);
}

static int remember(const struct sigaction *current)
{
	if (is_remembered(current))
		return 0;
	struct predecessor *before = malloc(sizeof *before);
	if (!before)
		return ftr__fail(ENOMEM, "no memory to remember the SIGTRAP handler");
	before->action = *current;
	before->used = 0;
	before->older = predecessor;
	FTR__PUBLISH(predecessor, before);
	return 0;
}

bool ftr__trap_hands_on(void)
{
	const struct predecessor *p = predecessor;

	while (p && (p->action.sa_handler == SIG_DFL || p->action.sa_handler == SIG_IGN))
		p = p->older;
	return p;
}

/* A trap interrupts no system call, a sent signal does: whether the call goes on
 * after it is for the one to say whom it is for. */
static int restart_flag(const struct sigaction *current)
{
	bool handled = current->sa_handler != SIG_DFL && current->sa_handler != SIG_IGN;

	return handled ? current->sa_flags & SA_RESTART : SA_RESTART;
}

int ftr__trap_install(void)
{
	struct sigaction current, ours = { .sa_sigaction = handler };

	if (sigaction(SIGTRAP, NULL, &current) == 0 && current.sa_sigaction == handler)
		return 0;
	int result = remember(&current);
	if (result)
		return result;
	ours.sa_flags = SA_SIGINFO | SA_ONSTACK | restart_flag(&current);
	sigfillset(&ours.sa_mask);
	if (sigaction(SIGTRAP, &ours, NULL))
		return ftr__fail(EACCES, "SIGTRAP can't be taken (errno %d)", errno);
	installed = true;
	return 0;
}

void ftr__trap_uninstall(void)
{
	static const struct sigaction by_default = { .sa_handler = SIG_DFL };
	struct sigaction current;

	if (!installed)
		return;
	if (sigaction(SIGTRAP, NULL, &current) == 0 && current.sa_sigaction == handler)
		sigaction(SIGTRAP, predecessor->used ? &by_default : &predecessor->action, NULL);
	installed = false;
}
