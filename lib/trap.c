/* SPDX-License-Identifier: MIT */
/*
 * The SIGTRAP handler.  Floor 3.
 *
 * It decides by address alone whether a trap is ours: kernel-made and sent
 * SIGTRAPs merge when both are pending, and then si_code tells of one only.
 * Where a trap is ours but si_code says that somebody sent it, both happened
 * (or the sent one hit a thread at that very address, which does no harm):
 * the emulation is done and the signal handed on as well.  One case stays open: a
 * probed instruction of one byte, and a signal that was sent to a thread of probes
 * right behind it.  That counts as a trap, which it is far more often: while the
 * signal was on its way.
 *
 * Everything here that runs in the handler is FTR__BARE, takes no lock and
 * calls no function outside the library.
 */
#include "lib/trap.h"

#include <sched.h>
#include <time.h>

#include "lib/chain.h"
#include "lib/stub.h"
#include "lib/sys.h"

bool (*ftr__trap_is_site)(uintptr_t addr);
enum ftr__trap_claim (*ftr__trap_claim)(uintptr_t addr, uintptr_t *to);
void (*ftr__trap_look)(uintptr_t sp);
void (*ftr__trap_hold)(uintptr_t address);
ftr__counter ftr__trap_count, ftr__trap_foreign_count;

static void handler(int sig, siginfo_t *info, void *ucontext);
static struct ftr__chain chain = { .sig = SIGTRAP, .handler = handler };

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
	const struct ftr__span *span = &patches->spans[low];
	return ftr__span_find(span, addr) < span->n ? span : NULL;
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
	bool committed = FTR__FETCH(batch.committed);
	ftr__span_bytes(&ftr__backend->text, span, addr, committed, bytes);
	if (span->moved[committed])
		ftr__backend->trap_resume(ucontext, span->moved[committed]);
	else if (!ftr__backend->trap_emulate(ucontext, addr, bytes, span->length, ftr__stub_get))
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

/* What stands here, or stood here, by itself: sites have no breakpoint but a batch's. */
FTR__BARE static enum ftr__trap_claim claim(uintptr_t addr, uintptr_t *to)
{
	enum ftr__trap_claim claimed = FTR__TRAP_FOREIGN;

	if (ftr__trap_claim)
		claimed = ftr__trap_claim(addr, to);
	if (claimed == FTR__TRAP_FOREIGN && ftr__trap_is_site && ftr__trap_is_site(addr))
		claimed = FTR__TRAP_FORMER;
	return claimed;
}

/*
 * A breakpoint that no batch knows is somebody else's: unless a batch began
 * between the two looks.  Its patches were published before it wrote.
 */
FTR__BARE static bool resume_site(uintptr_t addr, const siginfo_t *info, void *ucontext)
{
	unsigned seen;
	uintptr_t to;

	do {
		seen = __atomic_load_n(&changes, __ATOMIC_SEQ_CST);
		if (resume_from_batch(addr, ucontext))
			return true;
		enum ftr__trap_claim claimed = claim(addr, &to);
		if (claimed == FTR__TRAP_FOREIGN)
			return false;
		if (claimed == FTR__TRAP_OURS && ftr__was_sent(info) &&
		    !ftr__backend->trap_raised(ucontext))
			return false;
		if (claimed == FTR__TRAP_OURS) {
			ftr__backend->trap_resume(ucontext, to);
			return true;
		}
		if (resume_late(addr, ucontext))
			return true;
	} while (__atomic_load_n(&changes, __ATOMIC_SEQ_CST) != seen);
	return false;
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
	bool ours = resume_site(addr, info, ucontext);
	ftr__trap_read_unlock(token);
	if (ours)
		ftr__count(&ftr__trap_count);
	return ours && !ftr__was_sent(info);
}

FTR__BARE static void handler(int sig, siginfo_t *info, void *ucontext)
{
	if (ftr__trap_handle(info, ucontext))
		return;
	ftr__count(&ftr__trap_foreign_count);
	ftr__chain_forward(&chain, sig, info, ucontext);
}

/* --- installing ------------------------------------------------------------ */

bool ftr__trap_hands_on(void)
{
	return ftr__chain_hands_on(&chain);
}

int ftr__trap_install(void)
{
	return ftr__chain_install(&chain);
}

void ftr__trap_uninstall(void)
{
	ftr__chain_uninstall(&chain);
}
