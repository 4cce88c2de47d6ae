/* SPDX-License-Identifier: MIT */
/*
 * A thread that calls something once, when asked to: so that a thread meets a
 * site in a certain phase of a batch on purpose.
 */
#ifndef TESTS_VISITOR_H
#define TESTS_VISITOR_H

#include "tests/live/live.h"

struct visitor {
	pthread_t thread;
	sem_t go, done;
	void (*visit)(void *arg);
	void *arg;
	bool quit;
};

static inline void *visitor_main(void *arg)
{
	struct visitor *visitor = arg;

	for (;;) {
		while (sem_wait(&visitor->go))
			;
		if (visitor->quit)
			return NULL;
		visitor->visit(visitor->arg);
		sem_post(&visitor->done);
	}
}

static inline void visitor_start(struct visitor *visitor)
{
	memset(visitor, 0, sizeof(*visitor));
	sem_init(&visitor->go, 0, 0);
	sem_init(&visitor->done, 0, 0);
	ck_assert_int_eq(pthread_create(&visitor->thread, NULL, visitor_main, visitor), 0);
}

/** Let the thread call visit(arg), without waiting for it. */
static inline void visitor_send(struct visitor *visitor, void (*visit)(void *), void *arg)
{
	visitor->visit = visit;
	visitor->arg = arg;
	sem_post(&visitor->go);
}

static inline void visitor_await(struct visitor *visitor)
{
	while (sem_wait(&visitor->done))
		;
}

static inline void visitor_call(struct visitor *visitor, void (*visit)(void *), void *arg)
{
	visitor_send(visitor, visit, arg);
	visitor_await(visitor);
}

static inline void visitor_stop(struct visitor *visitor)
{
	visitor->quit = true;
	sem_post(&visitor->go);
	ck_assert_int_eq(pthread_join(visitor->thread, NULL), 0);
}

#endif /* TESTS_VISITOR_H */
