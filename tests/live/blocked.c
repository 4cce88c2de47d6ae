/* SPDX-License-Identifier: MIT */
/* A thread that blocks SIGTRAP: see blocked.h. */
#include "tests/live/blocked.h"

#include <signal.h>

__thread unsigned blocked_ran;
pid_t blocker_tid;

static pthread_t blocker;
static sem_t blocks, may_go;

int blocked_handler(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		    struct ftr_regs *regs)
{
	blocked_ran++;
	return 0;
}

void blocked_begin(const char *poke)
{
	live_poke(poke);
	ck_ok(ftr_init(NULL));
	ftr__batch_trust_stores = 0;
	ftr__batch_hazard_ms = 1;
}

void block_all(void)
{
	sigset_t all;

	sigfillset(&all);
	ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, &all, NULL), 0);
}

static void *sleep_blocked(void *arg)
{
	block_all();
	blocker_ready();
	while (sem_wait(&may_go))
		;
	return NULL;
}

void blocker_ready(void)
{
	blocker_tid = live_tid();
	sem_post(&blocks);
}

void blocker_run(void *(*thread)(void *), void *arg)
{
	ck_assert_int_eq(sem_init(&blocks, 0, 0), 0);
	ck_assert_int_eq(pthread_create(&blocker, NULL, thread, arg), 0);
	while (sem_wait(&blocks))
		;
}

void blocker_start(void)
{
	ck_assert_int_eq(sem_init(&may_go, 0, 0), 0);
	blocker_run(sleep_blocked, NULL);
}

void blocker_stop(void)
{
	sem_post(&may_go);
	ck_assert_int_eq(pthread_join(blocker, NULL), 0);
}

void check_traced(live_fn fn, unsigned times)
{
	blocked_ran = 0;
	ck_assert_int_eq(fn(1), 2);
	ck_assert_uint_eq(blocked_ran, times);
}
