/* SPDX-License-Identifier: MIT */
/*
 * Grace periods over the threads' nodes.  Floor 1.
 *
 * Who waits asks the threads that are inside: each answers on leaving, so that
 * a thread which left and is inside again is known from one that stayed.
 *
 * Asynchronous waits: a round's items are due once none of the threads that
 * were inside when it began still is.  The last one to leave therefore finds
 * them due and runs what is due.  One thread at a time runs rounds; no one
 * waits for it.
 */
#include "lib/grace.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/error.h"
#include "lib/hot.h"
#include "lib/sys.h"
#include "lib/thread.h"

uint64_t ftr__sync_count, ftr__grace_count;

static long membarrier(int command)
{
	return ftr__syscall(SYS_membarrier, command, 0, 0, 0, 0, 0);
}

static int no_membarrier(long error)
{
	return ftr__fail(ENOSYS, "membarrier(2) with PRIVATE_EXPEDITED_SYNC_CORE is not"
			 " available (error %ld): Linux 4.16 has it, a seccomp filter may"
			 " forbid it", error);
}

int ftr__grace_init(void)
{
	long r = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);

	if (!r)
		r = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE);
	return r ? no_membarrier(-r) : 0;
}

int ftr__sync_check(void)
{
	long r = membarrier(MEMBARRIER_CMD_QUERY);

	if (r >= 0 && r & MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE)
		return 0;
	return no_membarrier(r < 0 ? -r : ENOSYS);
}

/* EPERM: not registered, as after a fork on kernels that do not inherit it. */
static void membarrier_registered(int command, int enrol)
{
	if (membarrier(command) == -EPERM && membarrier(enrol) == 0)
		membarrier(command);
}

void ftr__membarrier(void)
{
	membarrier_registered(MEMBARRIER_CMD_PRIVATE_EXPEDITED,
			      MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
}

void ftr__sync_core(void)
{
	ftr__sync_count++;
	membarrier_registered(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE,
			      MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE);
}

struct wait {
	uint64_t start, deadline;
	pid_t late;
};

/*
 * Ask a thread that is inside to say so when it leaves: the question's number.
 * On leaving it stores frame, then loads `asked`; the question is counted by a
 * locked instruction before frame is loaded again.  If the thread's load came
 * first it left before: frame is 0, or it entered anew, and its next answer
 * will do.
 */
static uint32_t ask(struct ftr__thread *thread)
{
	return __atomic_add_fetch(&thread->asked, 1, __ATOMIC_SEQ_CST);
}

static bool has_left(const struct ftr__thread *thread, uint32_t question)
{
	return !FTR__FETCH(thread->frame) ||
	       (int32_t)(FTR__FETCH(thread->answered) - question) >= 0;
}

/* Wait for one thread to leave; true: time is up. */
static bool wait_one(struct ftr__thread *thread, void *arg)
{
	struct wait *w = arg;
	pid_t tid = FTR__READ_ONCE(thread->tid);

	if (thread == ftr__self || !FTR__FETCH(thread->frame))
		return false;
	uint32_t question = ask(thread);
	for (unsigned round = 0; !has_left(thread, question); round++) {
		struct timespec pause = { 0, round < 64 ? 20000 : 500000 };
		uint64_t now = ftr__clock_ms();

		/* A thread that ended inside a handler leaves no one to wait for,
		 * and is never the one that is late. */
		if ((round % 64 == 3 || now >= w->deadline) && !ftr__thread_alive(thread))
			return false;
		if (now >= w->deadline) {
			w->late = tid;
			return true;
		}
		nanosleep(&pause, NULL);
	}
	return false;
}

int ftr__grace_wait(unsigned timeout_ms, pid_t *late)
{
	struct wait w = { .start = ftr__clock_ms() };

	int cancel;

	w.deadline = w.start + timeout_ms;
	ftr__grace_count++;
	ftr__membarrier();
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	bool timed_out = ftr__thread_for_each(wait_one, &w);
	pthread_setcancelstate(cancel, NULL);
	if (!timed_out)
		return 0;
	*late = w.late;
	return -ETIMEDOUT;
}

/* --- without a wait ------------------------------------------------------ */

static struct ftr__grace_item *incoming; /* pushed by anyone, taken by a round */
static struct ftr__grace_item *waiting;  /* the round's own */
static struct ftr__grace_item *ready;    /* due, and left for a poll */
static unsigned rounds_asked;            /* 0: no round is running */

/* Who is outside now is not waited for: its latest answer will do. */
static bool ask_for_round(struct ftr__thread *thread, void *arg)
{
	(void)arg;
	thread->awaited = FTR__FETCH(thread->frame) ? ask(thread)
						    : FTR__READ_ONCE(thread->answered);
	return false;
}

/* An asked thread that is still inside; a dead one is not counted. */
static bool still_inside(struct ftr__thread *thread, void *arg)
{
	(void)arg;
	return !has_left(thread, thread->awaited) && ftr__thread_alive(thread);
}

static void push(struct ftr__grace_item **list, struct ftr__grace_item *item)
{
	item->next = FTR__READ_ONCE(*list);
	while (!__atomic_compare_exchange_n(list, &item->next, item, false, __ATOMIC_ACQ_REL,
					    __ATOMIC_RELAXED))
		;
}

static void run(struct ftr__grace_item *list, bool from_poll)
{
	while (list) {
		struct ftr__grace_item *item = list;
		list = item->next;
		if (item->from_poll && !from_poll)
			push(&ready, item);
		else
			item->done(item->arg); /* may free the item */
	}
}

/*
 * One round: take what came in, ask, look.  Items wait for all threads that
 * were inside when the round began and are asked again by later rounds, so
 * what came in later never shortens the wait of another.
 */
static struct ftr__grace_item *round_once(void)
{
	struct ftr__grace_item *due = NULL;

	if (!waiting) {
		waiting = __atomic_exchange_n(&incoming, NULL, __ATOMIC_ACQ_REL);
		if (!waiting)
			return NULL;
		ftr__membarrier();
		ftr__thread_for_each(ask_for_round, NULL);
		/* A thread left between ask and its own look at `asked`?  The
		 * barrier makes either side see the other. */
		ftr__membarrier();
	}
	if (!ftr__thread_for_each(still_inside, NULL)) {
		due = waiting;
		waiting = NULL;
	}
	return due;
}

/* Who comes while a round runs makes its runner look once more. */
static void rounds_unless_running(bool from_poll)
{
	unsigned seen = __atomic_add_fetch(&rounds_asked, 1, __ATOMIC_ACQ_REL);

	if (seen != 1)
		return;
	do {
		struct ftr__grace_item *due;
		seen = FTR__FETCH(rounds_asked);
		while ((due = round_once()) != NULL)
			run(due, from_poll);
	} while (!__atomic_compare_exchange_n(&rounds_asked, &seen, 0, false, __ATOMIC_ACQ_REL,
					      __ATOMIC_ACQUIRE));
}

/* Left in the middle by siglongjmp(3), it would run for ever, and items be lost. */
static void rounds(bool from_poll)
{
	uint64_t signals = ftr__sys_block_signals();

	rounds_unless_running(from_poll);
	ftr__sys_restore_signals(signals);
}

void ftr__grace_poll(void)
{
	rounds(true);
	run(__atomic_exchange_n(&ready, NULL, __ATOMIC_ACQ_REL), true);
}

void ftr__grace_async(struct ftr__grace_item *item)
{
	ftr__grace_count++;
	push(&incoming, item);
	if (ftr__self && ftr__self->frame)
		rounds(false); /* called from a handler */
	else
		ftr__grace_poll();
}

static void (*look)(uintptr_t sp);
static unsigned lookers;

static bool ask_to_look(struct ftr__thread *thread, void *arg)
{
	ask(thread);
	return false;
}

void ftr__grace_ask_to_look(void (*fn)(uintptr_t sp))
{
	FTR__PUBLISH(look, fn);
	ftr__thread_for_each(ask_to_look, NULL);
}

void ftr__grace_end_looks(void)
{
	struct timespec pause = { 0, 20000 };

	__atomic_store_n(&look, NULL, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&lookers, __ATOMIC_SEQ_CST))
		nanosleep(&pause, NULL);
}

/* Left in the middle by siglongjmp(3), it would be waited for for ever. */
FTR__BARE static void look_if_asked(uintptr_t sp)
{
	if (FTR__LIKELY(!FTR__FETCH(look)))
		return;
	uint64_t signals = ftr__sys_block_signals();
	__atomic_add_fetch(&lookers, 1, __ATOMIC_SEQ_CST);
	void (*fn)(uintptr_t) = __atomic_load_n(&look, __ATOMIC_SEQ_CST);
	if (fn)
		fn(sp);
	__atomic_sub_fetch(&lookers, 1, __ATOMIC_SEQ_CST);
	ftr__sys_restore_signals(signals);
}

void ftr__grace_notice(bool may_run, uintptr_t sp)
{
	struct ftr__thread *self = ftr__self;

	__atomic_store_n(&self->answered, FTR__READ_ONCE(self->asked), __ATOMIC_SEQ_CST);
	look_if_asked(sp);
	if (may_run && ftr__grace_pending())
		rounds(false);
}

/* Inside, as the callers and lib/dispatch.c see it, of a handler that is none.
 * Signals wait: what their handlers call is not to be missed. */
void ftr__grace_quietly(void (*fn)(void *arg), void *arg)
{
	struct ftr__thread *self = ftr__self;
	struct ftr__regs_head head = { .mark = FTR__MARK };
	uint64_t signals = ftr__sys_block_signals();
	/* A frame that was jumped over is none. */
	bool outermost = !ftr__thread_inside();

	self->quiet++;
	FTR__BARRIER();
	if (outermost)
		FTR__WRITE_ONCE(self->frame, (uintptr_t)&head);
	fn(arg);
	if (outermost)
		FTR__WRITE_ONCE(self->frame, 0);
	FTR__BARRIER();
	self->quiet--;
	if (outermost && FTR__READ_ONCE(self->asked) != FTR__READ_ONCE(self->answered))
		ftr__grace_notice(false, (uintptr_t)&head);
	ftr__sys_restore_signals(signals);
}

bool ftr__grace_pending(void)
{
	return FTR__FETCH(incoming) || FTR__FETCH(waiting) || FTR__FETCH(ready);
}

void ftr__grace_forked(void)
{
	rounds_asked = 0;
	look = NULL;
	lookers = 0;
}
