/* SPDX-License-Identifier: MIT */
/* Exact accounts; see tally.h. */
#include "tests/live/tally.h"

#include <stdio.h>
#include <stdlib.h>

__thread struct tally tally_here;
struct tally tally_sum;

static void add(_Atomic unsigned long *here, _Atomic unsigned long *sum)
{
	atomic_fetch_add_explicit(here, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(sum, 1, memory_order_relaxed);
}

void tally_call(live_fn fn)
{
	add(&tally_here.made, &tally_sum.made);
	if (fn(7) != 8)
		abort();
}

int tally_handler(uintptr_t ip, uintptr_t parent_ip, struct ftr_group *group,
		  struct ftr_regs *regs)
{
	add(&tally_here.seen, &tally_sum.seen);
	return 0;
}

struct ftr_group *tally_attach(ftr_entry_fn entry, uint32_t flags)
{
	struct ftr_group *group = live_group("tally", entry, NULL, flags);

	live_hold(group, live_sites, LIVE_SITES);
	ck_ok(ftr_group_attach(group));
	return group;
}

void tally_check(const struct ftr_group *group)
{
	unsigned long made = tally_sum.made, seen = tally_sum.seen;
	unsigned long missed = (unsigned long)ftr_group_missed(group);

	ck_assert_msg(made == seen + missed, "%lu calls made, %lu seen and %lu missed", made, seen,
		      missed);
}

/* Ask the kernel that the next thread gets this id. */
static bool next_id_is(pid_t tid)
{
	FILE *file = fopen("/proc/sys/kernel/ns_last_pid", "w");

	if (!file)
		return false;
	fprintf(file, "%d", tid - 1);
	return fclose(file) == 0;
}

bool tally_thread_as(pid_t wanted, void *(*start)(void *got), pid_t *got)
{
	pthread_t thread;
	unsigned tries;

	/* Another process may be quicker. */
	for (tries = 0; tries < 50; tries++) {
		if (!next_id_is(wanted))
			return false;
		ck_assert_int_eq(pthread_create(&thread, NULL, start, got), 0);
		ck_assert_int_eq(pthread_join(thread, NULL), 0);
		if (*got == wanted)
			return true;
	}
	return false;
}
