/* SPDX-License-Identifier: MIT */
#include "tests/soak/account.h"

#include <pthread.h>
#include <signal.h>

#include "tests/soak/soak.h"

/* Each is changed by one locked instruction, so by a signal handler, too. */
static __thread uint64_t made, seen;
static uint64_t all_made;
static struct ftr_group *group;

static void count(uint64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

long soak_step(long x)
{
	count(&made);
	return x + 1;
}

long soak_twice(long x)
{
	long sum = x;

	count(&made);
	for (long i = 0; i < x; i++)
		sum = soak_step(sum);
	return sum;
}

static int see(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *self, struct ftr_regs *regs)
{
	count(&seen);
	return 0;
}

/* REENTRANT: a signal handler that interrupts a handler is seen as well. */
void account_start(void)
{
	struct ftr_group_options options = FTR_GROUP_OPTIONS_INIT;

	options.name = "account";
	options.entry = see;
	options.flags = FTR_GROUP_REENTRANT;
	soak_ok("ftr_group_new", ftr_group_new(&group, &options));
	if (ftr_group_filter(group, "soak_step", 0) != 1 ||
	    ftr_group_filter(group, "soak_twice", 0) != 1)
		soak_fail("the program's own sites are not found: %s", ftr_last_error());
	soak_ok("ftr_group_attach", ftr_group_attach(group));
	made = seen = 0; /* of the one thread that there is */
}

void account_stop(void)
{
	uint64_t missed = ftr_group_missed(group);

	soak_ok("ftr_group_detach", ftr_group_detach(group));
	soak_ok("ftr_group_free", ftr_group_free(group));
	if (missed)
		soak_fail("%llu calls were missed", (unsigned long long)missed);
}

void account_work(long n)
{
	if (soak_twice(n) != 2 * n)
		soak_fail("soak_twice(%ld) is wrong", n);
}

void account_check(const char *who)
{
	sigset_t all, old;

	sigfillset(&all);
	sigdelset(&all, SIGTRAP);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	if (made != seen)
		soak_fail("%s: %llu calls were made, %llu were seen", who,
			  (unsigned long long)made, (unsigned long long)seen);
	__atomic_fetch_add(&all_made, made, __ATOMIC_RELAXED);
	made = seen = 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

uint64_t account_calls(void)
{
	return __atomic_load_n(&all_made, __ATOMIC_RELAXED);
}
