/* SPDX-License-Identifier: MIT */
/*
 * See around.h.  Floor 5.
 */
#include "lib/around.h"

#include <stdlib.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/error.h"
#include "lib/grace.h"
#include "lib/rendezvous.h"
#include "lib/stack.h"
#include "lib/thread.h"

static struct ftr__around *all;
static unsigned made;

/* --- who is inside --------------------------------------------------------------- */

/* How a call is noted: not at all without memory for a node, and where a child of
 * vfork(2) makes it, whose exec(2) never comes back here. */
enum note { NOT_NOTED, OUTERMOST, NESTED, ELSEWHERE };

/* On the stack of what runs a handler: its own address, changed. */
enum { MARK = 0x46545241 };

/* Whether the frame is a handler's that the thread, at `sp` on the same stack, is
 * still inside. */
FTR__BARE static inline bool frame_lives(uintptr_t frame, uintptr_t sp)
{
	return frame > sp && FTR__READ_ONCE(*(uintptr_t *)frame) == (frame ^ MARK);
}

FTR__BARE static __attribute__((noinline)) enum note enter_elsewhere(struct ftr__thread *self,
								     unsigned bucket)
{
	if (!self || !ftr__thread_is_at_home())
		return NOT_NOTED;
	__atomic_fetch_add(&self->around[bucket].elsewhere, 1, __ATOMIC_SEQ_CST);
	return ELSEWHERE;
}

FTR__BARE static inline bool is_own(struct ftr__thread *self, uintptr_t addr)
{
	return FTR__LIKELY(addr >= self->stack_low && addr < self->stack_high) ||
	       ftr__stack_is_own(self, addr);
}

FTR__BARE static inline enum note enter(struct ftr__thread *self, unsigned bucket,
					uintptr_t *mark)
{
	uintptr_t here = (uintptr_t)mark;

	if (FTR__UNLIKELY(!self || !is_own(self, here)))
		return enter_elsewhere(self, bucket);
	struct ftr__inside_around *inside = &self->around[bucket];
	if (FTR__UNLIKELY(inside->frame != 0)) {
		if (frame_lives(inside->frame, here))
			return NESTED;
		/* Above it: a signal's stack may be a part of the thread's own. */
		if (ftr__stack_is_for_signals(here))
			return enter_elsewhere(self, bucket);
		FTR__WRITE_ONCE(inside->over, inside->over + 1); /* it was jumped over */
	}
	FTR__WRITE_ONCE(*mark, here ^ MARK);
	FTR__WRITE_ONCE(inside->frame, here);
	return OUTERMOST;
}

FTR__BARE static inline void leave(struct ftr__thread *self, unsigned bucket, uintptr_t *mark,
				   enum note note)
{
	struct ftr__inside_around *inside = &self->around[bucket];

	if (FTR__LIKELY(note == OUTERMOST)) {
		FTR__WRITE_ONCE(inside->frame, 0);
		FTR__BARRIER();
		FTR__WRITE_ONCE(inside->over, inside->over + 1);
		FTR__WRITE_ONCE(*mark, 0);
	} else if (note == ELSEWHERE) {
		__atomic_fetch_sub(&inside->elsewhere, 1, __ATOMIC_SEQ_CST);
	}
}

FTR__BARE static void run(void *cif, void *ret, void **args, void *data)
{
	struct ftr__around *a = ftr__closure_begin(data, ret);
	struct ftr__thread *self = ftr__thread_self();
	uintptr_t mark;
	enum note note = enter(self, a->bucket, &mark);

	FTR__BARRIER(); /* pairs with membarrier in ftr__around_end() */
	bool withdrawn = FTR__READ_ONCE(a->withdrawn);
	FTR__BARRIER(); /* pairs with ftr__around_begin() */
	struct ftr_call call = { a->ip, a->signature, (void *)a->original, !a->variadic };
	/* What it is to be called with nobody knows of a variadic one. */
	if (FTR__UNLIKELY(withdrawn) && call.plain)
		ftr__signature_call(a->signature, call.original, ret, args);
	else
		a->fn(&call, args, ret, a->data);
	FTR__BARRIER();
	leave(self, a->bucket, &mark, note);
}

/* --- closures ------------------------------------------------------------------------ */

static bool serves(const struct ftr__around *a, uintptr_t ip,
		   const struct ftr_signature *signature, ftr_typed_fn fn, const void *data)
{
	return a->withdrawn && a->ip == ip && ftr__signature_same(a->signature, signature) &&
	       (!a->users || (a->fn == fn && a->data == data));
}

static int make(struct ftr__around **around, uintptr_t ip, const struct ftr_signature *signature)
{
	struct ftr__around *a = calloc(1, sizeof *a);

	if (!a)
		return ftr__fail(ENOMEM, "no memory for a handler around a function");
	a->ip = ip;
	a->signature = signature; /* the thunk keeps it */
	a->variadic = ftr__signature_variadic(signature);
	a->withdrawn = true;
	a->bucket = made++ % FTR__AROUND_BUCKETS;
	int result = ftr__thunk_new(&a->thunk, signature, run, a, &a->code);
	if (result) {
		free(a);
		return result;
	}
	a->next = all;
	all = a;
	*around = a;
	return 0;
}

int ftr__around_get(struct ftr__around **around, uintptr_t ip,
		    const struct ftr_signature *signature, ftr_typed_fn fn, void *data)
{
	struct ftr__around *a = all;

	while (a && !serves(a, ip, signature, fn, data))
		a = a->next;
	int result = a ? 0 : make(&a, ip, signature);
	if (result)
		return result;
	a->users++;
	a->fn = fn;
	a->data = data;
	*around = a;
	return 0;
}

void ftr__around_prepare(struct ftr__around *a, uintptr_t original)
{
	a->original = original;
}

void ftr__around_put(struct ftr__around *a)
{
	a->users--;
}

void ftr__around_begin(struct ftr__around *a)
{
	FTR__PUBLISH(a->withdrawn, false);
}

void ftr__around_end(struct ftr__around *a)
{
	FTR__WRITE_ONCE(a->withdrawn, true);
	ftr__membarrier();
}

/* --- waiting ------------------------------------------------------------------------- */

struct wait {
	unsigned buckets;
	uint64_t deadline;
	pid_t late;
};

/* Whether the frame is of a handler that was jumped over: the thread waits in the
 * kernel with its stack pointer above it. */
static bool was_left(const struct ftr__thread *thread, uintptr_t frame)
{
	uintptr_t sp;

	return ftr__rendezvous_sp(FTR__READ_ONCE(thread->tid), &sp) && sp > frame &&
	       sp < FTR__READ_ONCE(thread->stack_high);
}

/* Whether the thread is inside what it was inside when `over` were over. */
static bool stays(const struct ftr__thread *thread, unsigned bucket, uint32_t over)
{
	const struct ftr__inside_around *inside = &thread->around[bucket];
	uintptr_t frame = FTR__FETCH(inside->frame);

	if (FTR__FETCH(inside->elsewhere))
		return true;
	return frame && FTR__FETCH(inside->over) == over && !was_left(thread, frame);
}

static bool wait_for(struct ftr__thread *thread, unsigned bucket, struct wait *w)
{
	const struct timespec pause = { .tv_nsec = 100000 };
	uint32_t over = FTR__FETCH(thread->around[bucket].over);

	while (stays(thread, bucket, over)) {
		if (!ftr__thread_alive(thread))
			return false;
		if (ftr__clock_ms() >= w->deadline) {
			w->late = FTR__READ_ONCE(thread->tid);
			return true;
		}
		nanosleep(&pause, NULL);
	}
	return false;
}

static bool wait_one(struct ftr__thread *thread, void *arg)
{
	struct wait *w = arg;
	bool late = false;

	for (unsigned i = 0; i < FTR__AROUND_BUCKETS && !late; i++)
		late = w->buckets >> i & 1 && thread != ftr__self && wait_for(thread, i, w);
	return late;
}

/* The calling thread itself. */
FTR__BARE static bool is_inside(struct ftr__thread *self, unsigned bucket)
{
	struct ftr__inside_around *inside = &self->around[bucket];
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	if (inside->frame && is_own(self, here) && !frame_lives(inside->frame, here)) {
		FTR__WRITE_ONCE(inside->over, inside->over + 1);
		FTR__WRITE_ONCE(inside->frame, 0);
	}
	return inside->frame || inside->elsewhere;
}

int ftr__around_wait(unsigned buckets, unsigned timeout_ms, pid_t *late)
{
	struct wait w = { .buckets = buckets, .deadline = ftr__clock_ms() + timeout_ms };

	for (unsigned i = 0; i < FTR__AROUND_BUCKETS && ftr__self; i++)
		if (buckets >> i & 1 && is_inside(ftr__self, i))
			return -EDEADLK;
	if (!buckets || !ftr__thread_for_each(wait_one, &w))
		return 0;
	*late = w.late;
	return -ETIMEDOUT;
}
