/* SPDX-License-Identifier: MIT */
/*
 * Grace periods over the threads' state words.  Floor 1.
 *
 * Asynchronous waits: the threads that are inside when a round begins are
 * asked (`notify`) to look on leaving; the round's items are due once none of
 * them is still inside.  The last one to leave therefore finds them due and
 * runs what is due.  One thread at a time runs rounds; no one waits for it.
 */
#include "lib/grace.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <time.h>

#include "lib/error.h"
#include "lib/sys.h"
#include "lib/thread.h"

uint64_t ftr__sync_count, ftr__grace_count;

static long membarrier(int command)
{
	return ftr__syscall(SYS_membarrier, command, 0, 0, 0, 0, 0);
}

int ftr__grace_init(void)
{
	long r = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);

	if (!r)
		r = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE);
	if (r)
		return ftr__fail(ENOSYS, "membarrier(2) with PRIVATE_EXPEDITED_SYNC_CORE is not"
				 " available (error %ld): Linux 4.16 has it, a seccomp filter may"
				 " forbid it", -r);
	return 0;
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

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

struct wait {
	uint64_t start, deadline;
	pid_t late;
};

/* Wait for one thread to leave; true: time is up. */
static bool wait_one(struct ftr__thread *thread, void *arg)
{
	struct wait *w = arg;
	uintptr_t seen = FTR__FETCH(thread->state);
	pid_t tid = FTR__READ_ONCE(thread->tid);

	if (thread == ftr__self || !(seen & 1))
		return false;
	for (unsigned round = 0; FTR__FETCH(thread->state) == seen; round++) {
		struct timespec pause = { 0, round < 64 ? 20000 : 500000 };
		uint64_t now = now_ms();

		/* A thread that ended inside a handler leaves no one to wait for. */
		if (round % 64 == 63 && !ftr__thread_alive(thread))
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
	struct wait w = { .start = now_ms() };

	w.deadline = w.start + timeout_ms;
	ftr__grace_count++;
	ftr__membarrier();
	if (!ftr__thread_for_each(wait_one, &w))
		return 0;
	*late = w.late;
	return -ETIMEDOUT;
}

/* --- without a wait ------------------------------------------------------ */

static struct ftr__grace_item *incoming; /* pushed by anyone, taken by a round */
static struct ftr__grace_item *waiting;  /* the round's own */
static struct ftr__grace_item *ready;    /* due, and left for a poll */
static unsigned rounds_asked;            /* 0: no round is running */

/* Ask a thread that is inside to call ftr__grace_notice() when it leaves. */
static bool ask(struct ftr__thread *thread, void *arg)
{
	(void)arg;
	if (FTR__FETCH(thread->state) & 1)
		FTR__WRITE_ONCE(thread->notify, 1);
	return false;
}

/* An asked thread that is still inside, or a dead one's node: not counted. */
static bool still_inside(struct ftr__thread *thread, void *arg)
{
	(void)arg;
	return (FTR__FETCH(thread->state) & 1) && FTR__READ_ONCE(thread->notify) &&
	       ftr__thread_alive(thread);
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
		ftr__thread_for_each(ask, NULL);
		/* A thread left between ask and its own look at notify? The
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
static void rounds(bool from_poll)
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

void ftr__grace_poll(void)
{
	rounds(true);
	run(__atomic_exchange_n(&ready, NULL, __ATOMIC_ACQ_REL), true);
}

void ftr__grace_async(struct ftr__grace_item *item)
{
	ftr__grace_count++;
	push(&incoming, item);
	if (ftr__self && (ftr__self->state & 1))
		rounds(false); /* called from a handler */
	else
		ftr__grace_poll();
}

void ftr__grace_notice(void)
{
	FTR__WRITE_ONCE(ftr__self->notify, 0);
	rounds(false);
}

bool ftr__grace_pending(void)
{
	return FTR__FETCH(incoming) || FTR__FETCH(waiting) || FTR__FETCH(ready);
}

void ftr__grace_forked(void)
{
	rounds_asked = 0;
}
