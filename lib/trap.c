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
#include <time.h>
#include <ucontext.h>

#include "lib/error.h"
#include "lib/sys.h"
#include "lib/thread.h"

bool (*ftr__trap_is_site)(uintptr_t addr);
void (*ftr__trap_look)(uintptr_t sp);
void (*ftr__trap_hold)(uintptr_t address);
uint64_t ftr__trap_count, ftr__trap_foreign_count;

/* Who had SIGTRAP before us; a newer record where the application took it
 * again since.  Records are read by the handler at any time: never freed. */
struct predecessor {
	const struct predecessor *older;
	struct sigaction action;
};
static const struct predecessor *predecessor;
static bool installed;

/* The batch under way. */
static struct {
	struct ftr__patch *patches;
	size_t n;
	int committed;
} batch;
static int published;
/* Counts publishing and withdrawing: odd while published. */
static unsigned changes;

/* Threads that may look at `batch` or at the index of sites, counted in two
 * columns: new ones go to the column of `phase`. */
static int readers[2];
static unsigned phase;

void ftr__trap_publish(struct ftr__patch *patches, size_t n)
{
	batch.patches = patches;
	batch.n = n;
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

FTR__BARE static struct ftr__patch *find(uintptr_t addr)
{
	size_t low = 0, high = batch.n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (batch.patches[middle].ip == addr)
			return &batch.patches[middle];
		if (batch.patches[middle].ip < addr)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

FTR__BARE static bool resume_from_batch(uintptr_t addr, void *ucontext)
{
	if (!FTR__FETCH(published))
		return false;
	struct ftr__patch *patch = find(addr);
	if (!patch)
		return false;

	/* A look at the own stack comes before the context changes. */
	void (*look)(uintptr_t) = FTR__FETCH(ftr__trap_look);
	if (look)
		look(ftr__backend->trap_sp(ucontext));
	ftr__backend->trap_emulate(ucontext, addr,
				   FTR__FETCH(batch.committed) ? patch->after : patch->before,
				   patch->length);
	return true;
}

/* The batch ended between trap and look-up: run what stands there now. */
FTR__BARE static bool resume_late(uintptr_t addr, void *ucontext)
{
	if (FTR__READ_ONCE(*(volatile uint8_t *)addr) == ftr__backend->breakpoint)
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

FTR__BARE int ftr__trap_handle(const siginfo_t *info, void *ucontext)
{
	uintptr_t addr = ftr__backend->trap_address(ucontext);
	void (*hold)(uintptr_t) = FTR__READ_ONCE(ftr__trap_hold);

	if (hold)
		hold(addr);
	unsigned token = ftr__trap_read_lock();
	bool ours = resume_site(addr, ucontext);
	ftr__trap_read_unlock(token);
	if (ours)
		__atomic_fetch_add(&ftr__trap_count, 1, __ATOMIC_RELAXED);
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
	const uint64_t *interrupted = (const uint64_t *)&((ucontext_t *)ucontext)->uc_sigmask;
	uint64_t mask = *interrupted | *(const uint64_t *)&action->sa_mask;

	if (!(action->sa_flags & SA_NODEFER))
		mask |= (uint64_t)1 << (sig - 1);
	ftr__sys_sigprocmask(SIG_SETMASK, &mask, NULL);
	if (action->sa_flags & SA_SIGINFO)
		action->sa_sigaction(sig, info, ucontext);
	else
		action->sa_handler(sig);
}

/*
 * Hand a signal that is not ours to who had SIGTRAP before.  If that one was
 * installed over ours and hands on to ours in turn, this finds itself called
 * again for the same context and goes to the one before.
 */
FTR__BARE static void forward(int sig, siginfo_t *info, void *ucontext)
{
	static __thread const void *context __attribute__((tls_model("initial-exec")));
	static __thread const struct predecessor *last __attribute__((tls_model("initial-exec")));
	const void *outer_context = context;
	const struct predecessor *outer_last = last;
	const struct predecessor *to = FTR__FETCH(predecessor);

	if (context == ucontext && last)
		to = last->older;
	__atomic_fetch_add(&ftr__trap_foreign_count, 1, __ATOMIC_RELAXED);
	if (!to || to->action.sa_handler == SIG_DFL ||
	    (to->action.sa_handler == SIG_IGN && !was_sent(info))) {
		take_default();
		return;
	}
	if (to->action.sa_handler == SIG_IGN)
		return;
	context = ucontext;
	last = to;
	run_handler(&to->action, sig, info, ucontext);
	context = outer_context;
	last = outer_last;
}

FTR__BARE static void handler(int sig, siginfo_t *info, void *ucontext)
{
	if (!ftr__trap_handle(info, ucontext))
		forward(sig, info, ucontext);
}

/* --- installing ------------------------------------------------------------ */

int ftr__trap_install(void)
{
	struct sigaction current, ours = { .sa_sigaction = handler,
					   .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART };

	if (sigaction(SIGTRAP, NULL, &current) == 0 && current.sa_sigaction == handler)
		return 0;
	struct predecessor *before = malloc(sizeof *before);
	if (!before)
		return ftr__fail(ENOMEM, "no memory to remember the SIGTRAP handler");
	before->action = current;
	before->older = installed ? predecessor : NULL;
	FTR__PUBLISH(predecessor, before);
	sigfillset(&ours.sa_mask);
	if (sigaction(SIGTRAP, &ours, NULL))
		return ftr__fail(EACCES, "SIGTRAP can't be taken (errno %d)", errno);
	installed = true;
	return 0;
}

void ftr__trap_uninstall(void)
{
	struct sigaction current;

	if (!installed)
		return;
	if (sigaction(SIGTRAP, NULL, &current) == 0 && current.sa_sigaction == handler)
		sigaction(SIGTRAP, &predecessor->action, NULL);
	installed = false;
}
