/* SPDX-License-Identifier: MIT */
/*
 * See around.h.  Floor 5.
 */
#include "lib/around.h"

#include <stdlib.h>
#include <time.h>

#include "lib/error.h"
#include "lib/grace.h"
#include "lib/thread.h"

static struct ftr__around *all;
static unsigned made;

/* Without memory for a node nobody can be told. */
static inline void count(struct ftr__thread *self, const struct ftr__around *a, int by)
{
	if (FTR__LIKELY(self != NULL))
		FTR__WRITE_ONCE(self->around[a->bucket],
				self->around[a->bucket] + (uint32_t)by);
}

static void run(void *ret, void **args, void *arg)
{
	struct ftr__around *a = arg;
	struct ftr_call call = { a->ip, a->signature, (void *)a->original, !a->variadic };
	struct ftr__thread *self = ftr__thread_self();

	count(self, a, 1);
	FTR__BARRIER(); /* pairs with membarrier in ftr__around_end() */
	/* What it is to be called with nobody knows of a variadic one. */
	if (FTR__UNLIKELY(FTR__READ_ONCE(a->withdrawn)) && call.plain)
		ftr__signature_call(a->signature, call.original, ret, args);
	else
		a->fn(&call, args, ret, a->data);
	FTR__BARRIER();
	count(self, a, -1);
}

static struct ftr__around *find(uintptr_t ip, const struct ftr_signature *signature,
				ftr_typed_fn fn, const void *data)
{
	struct ftr__around *a = all;

	while (a && (!a->withdrawn || a->ip != ip || a->fn != fn || a->data != data ||
		     !ftr__signature_same(a->signature, signature)))
		a = a->next;
	return a;
}

int ftr__around_get(struct ftr__around **around, uintptr_t ip,
		    const struct ftr_signature *signature, ftr_typed_fn fn, void *data)
{
	*around = find(ip, signature, fn, data);
	if (*around)
		return 0;
	struct ftr__around *a = calloc(1, sizeof *a);
	if (!a)
		return ftr__fail(ENOMEM, "no memory for a handler around a function");
	a->fn = fn;
	a->data = data;
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

void ftr__around_begin(struct ftr__around *a, uintptr_t original)
{
	a->original = original;
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

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static bool is_inside(const struct ftr__thread *thread, unsigned buckets)
{
	for (unsigned i = 0; i < FTR__AROUND_BUCKETS; i++)
		if (buckets >> i & 1 && FTR__FETCH(thread->around[i]))
			return true;
	return false;
}

static bool wait_one(struct ftr__thread *thread, void *arg)
{
	const struct timespec pause = { .tv_nsec = 100000 };
	struct wait *w = arg;

	while (is_inside(thread, w->buckets)) {
		if (!ftr__thread_alive(thread))
			return false;
		if (now_ms() >= w->deadline) {
			w->late = FTR__READ_ONCE(thread->tid);
			return true;
		}
		nanosleep(&pause, NULL);
	}
	return false;
}

int ftr__around_wait(unsigned buckets, unsigned timeout_ms, pid_t *late)
{
	struct wait w = { .buckets = buckets, .deadline = now_ms() + timeout_ms };

	if (!buckets)
		return 0;
	if (ftr__self && is_inside(ftr__self, buckets))
		return -EDEADLK;
	if (!ftr__thread_for_each(wait_one, &w))
		return 0;
	*late = w.late;
	return -ETIMEDOUT;
}
