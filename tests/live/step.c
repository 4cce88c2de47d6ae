/* SPDX-License-Identifier: MIT */
/* Single-stepping a thread; see step.h. */
#include "tests/live/step.h"

#include "arch.h"

#include <signal.h>

long step_run(live_fn fn, long n);

enum { TRAP_FLAG = 0x100 };

static __thread struct step *current;

static void on_step(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	struct step *step = current;

	if (!step)
		return;
	step->context = context;
	if (step->at)
		step->at(step, (uintptr_t)uc->uc_mcontext.gregs[ARCH_IP]);
	step->count++;
	/* What comes behind the place to park at need not be stepped: slow. */
	if (atomic_load(&step->reached))
		uc->uc_mcontext.gregs[ARCH_FLAGS] &= ~TRAP_FLAG;
}

void step_install(int flags)
{
	struct sigaction action = { .sa_sigaction = on_step, .sa_flags = SA_SIGINFO | flags };

	ck_assert_int_eq(sigaction(SIGTRAP, &action, NULL), 0);
}

long step_call(struct step *step, live_fn fn, long n)
{
	long result;

	step->count = 0;
	current = step;
	result = step_run(fn, n);
	current = NULL;
	return result;
}

/* sem_wait() here interrupts code of this test or of the library, never of libc. */
static void park(struct step *step, uintptr_t ip)
{
	if (atomic_exchange(&step->reached, true))
		return;
	step->parked_ip = ip;
	sem_post(&step->parked);
	while (sem_wait(&step->go))
		;
}

void step_park_nth(struct step *step, uintptr_t ip)
{
	if (step->count == step->nth)
		park(step, ip);
}

void step_park_at(struct step *step, uintptr_t ip)
{
	if (ip == step->ip)
		park(step, ip);
}

static void *step_main(void *arg)
{
	struct step *step = arg;

	if (!step->fresh)
		ftr_site_count();
	step->result = step_call(step, step->fn, step->argument);
	if (!atomic_load(&step->reached))
		sem_post(&step->parked);
	return NULL;
}

bool step_start(struct step *step, live_fn fn, long n)
{
	step->fn = fn;
	step->argument = n;
	atomic_store(&step->reached, false);
	sem_init(&step->parked, 0, 0);
	sem_init(&step->go, 0, 0);
	ck_assert_int_eq(pthread_create(&step->thread, NULL, step_main, step), 0);
	while (sem_wait(&step->parked))
		;
	return atomic_load(&step->reached);
}

long step_finish(struct step *step)
{
	sem_post(&step->go);
	ck_assert_int_eq(pthread_join(step->thread, NULL), 0);
	return step->result;
}
